"""Downloads: from a server of our own on this machine, that behaves as told."""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from ddl import datasets
from ddl.datasets import DownloadError, download

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves files from a dictionary, and counts."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.announced = {}
        self.requests = []
        self.gate = threading.Event()
        self.gate.set()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.gate.wait(10)
        name = self.path.rpartition("/")[2]
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        self.send_response(200)
        if self.server.announced.get(name) != "nothing":
            self.send_header("Content-Length", str(self.server.announced.get(name, len(content))))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        """Keep the tests' output quiet."""


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder for downloads, and no proxy on the way to our server."""
    monkeypatch.setenv("DDL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "data"


def collection(*mirrors, **files):
    return download.Collection(
        "things", mirrors, files or {"a.bin": SHA256}, "ddl.datasets.mnist() stands in."
    )


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kept(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_downloaded_once(server, folder):
    server.files["a.bin"] = CONTENT
    path = download.fetch(collection(server.address + "folder/"), "a.bin")
    assert path == folder / "things" / "a.bin"
    assert path.read_bytes() == CONTENT
    assert download.fetch(collection(server.address), "a.bin") == path
    assert server.requests == ["/folder/a.bin"]
    assert kept(folder) == ["things/a.bin"]


def test_a_file_without_announced_length(server):
    server.files["a.bin"] = CONTENT
    server.announced["a.bin"] = "nothing"
    assert download.fetch(collection(server.address), "a.bin").read_bytes() == CONTENT


def test_what_is_on_disk_needs_no_network(folder):
    (folder / "things").mkdir(parents=True)
    (folder / "things" / "a.bin").write_bytes(CONTENT)
    assert download.fetch(collection("http://127.0.0.1:1/"), "a.bin").read_bytes() == CONTENT


def test_another_file_on_disk_is_named_and_kept(folder):
    (folder / "things").mkdir(parents=True)
    (folder / "things" / "a.bin").write_bytes(b"something else")
    got = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(
        DownloadError, match=f"{folder}/things/a.bin has SHA-256 {got}, expected {SHA256}; delete"
    ):
        download.fetch(collection("http://127.0.0.1:1/"), "a.bin")
    assert kept(folder) == ["things/a.bin"]


def test_a_missing_file_is_looked_for_on_the_next_mirror(server):
    server.files["a.bin"] = CONTENT
    offline = f"http://127.0.0.1:{closed_port()}/"
    with Server() as empty:
        thread = threading.Thread(target=empty.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        path = download.fetch(collection(offline, empty.address, server.address), "a.bin")
        empty.shutdown()
        thread.join()
    assert empty.requests == server.requests == ["/a.bin"]
    assert path.read_bytes() == CONTENT


def test_a_failure_names_addresses_reasons_and_remedies(server, folder):
    offline = f"http://127.0.0.1:{closed_port()}/"
    with pytest.raises(DownloadError) as error:
        download.fetch(collection(offline, server.address), "a.bin")
    message = str(error.value)
    assert f"{offline}a.bin: <urlopen error [Errno" in message
    assert f"{server.address}a.bin: HTTP Error 404: Not Found" in message
    assert "ddl.datasets.mnist() stands in." in message
    assert f"get a.bin elsewhere and put them into {folder / 'things'}" in message
    assert "DDL_DATA" in message
    assert kept(folder) == []


def test_a_wrong_checksum_leaves_nothing_behind(server, folder):
    server.files["a.bin"] = b"something else"
    got = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(DownloadError, match=f"SHA-256 is {got}, expected {SHA256}"):
        download.fetch(collection(server.address), "a.bin")
    assert kept(folder) == []


def test_a_broken_connection_leaves_nothing_behind(server, folder):
    server.files["a.bin"] = CONTENT[:1000]
    server.announced["a.bin"] = len(CONTENT)
    with pytest.raises(DownloadError, match="after 1000 of 256000 bytes"):
        download.fetch(collection(server.address), "a.bin")
    assert kept(folder) == []


def test_what_is_no_http_is_a_download_error(folder):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 welcome to another protocol\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DownloadError, match="220 welcome"):
            download.fetch(collection(f"http://127.0.0.1:{listener.getsockname()[1]}/"), "a.bin")
        thread.join()


def test_two_downloads_at_a_time_do_not_disturb_each_other(server, folder):
    server.files["a.bin"] = CONTENT
    server.gate.clear()
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(download.fetch(collection(server.address), "a.bin").read_bytes())
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    while len(server.requests) < 2:
        pass
    assert kept(folder) == []  # nothing looks like a file before it is complete
    server.gate.set()
    for thread in threads:
        thread.join()
    assert found == [CONTENT, CONTENT]
    assert kept(folder) == ["things/a.bin"]


def test_an_interrupted_write_leaves_nothing_behind(folder):
    def write():
        with download.atomic_writer(folder / "a.bin") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert kept(folder) == []


def idx(array):
    """Write the format by hand: type 8, number of axes, lengths, bytes."""
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def test_images_and_labels_come_training_set_first(server, monkeypatch):
    generator = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte.gz": generator.integers(0, 256, (3, 28, 28), np.uint8),
        "train-labels-idx1-ubyte.gz": np.array([5, 0, 4], np.uint8),
        "t10k-images-idx3-ubyte.gz": generator.integers(0, 256, (2, 28, 28), np.uint8),
        "t10k-labels-idx1-ubyte.gz": np.array([7, 2], np.uint8),
    }
    server.files = {name: idx(array) for name, array in arrays.items()}
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in server.files.items()}
    monkeypatch.setattr(download, "MNIST", collection(server.address, **checksums))
    data = datasets.mnist(full=True)
    assert data.y.tolist() == [5, 0, 4, 7, 2]
    expected = np.concatenate([arrays["train-images-idx3-ubyte.gz"], arrays["t10k-images-idx3-ubyte.gz"]])
    assert np.array_equal((data.x[:, 0] * 255).round().byte().numpy(), expected)


def test_a_file_of_another_format_is_named(tmp_path):
    path = tmp_path / "other.gz"
    path.write_bytes(gzip.compress(b"\x00\x00\x0d\x01 floats"))
    with pytest.raises(ValueError, match=r"other\.gz begins with b'\\x00\\x00\\r\\x01'"):
        download.read_idx(path)


@pytest.mark.parametrize(
    ("load", "files", "stand_in"),
    [
        (lambda: datasets.mnist(full=True), "mnist", "5000 images of the same kind"),
        (datasets.fashion_mnist, "fashion_mnist", "digits, not clothes"),
    ],
)
def test_offline_the_real_collections_say_what_stands_in(load, files, stand_in, monkeypatch, folder):
    def unreachable(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(DownloadError, match=stand_in) as error:
        load()
    message = str(error.value)
    assert message.count(": no network") == 2  # two mirrors
    assert "train-images-idx3-ubyte.gz: no network" in message
    assert str(folder / files) in message
    assert "ddl.datasets.mnist()" in message


@pytest.mark.parametrize("name", ["MNIST", "FASHION_MNIST"])
def test_the_real_collections_are_complete(name):
    real = getattr(download, name)
    assert len(real.files) == 4
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in real.files.values())
    assert all(mirror.endswith("/") for mirror in real.mirrors)


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"DDL_DATA": "/somewhere"}, "/somewhere"),
        ("linux", {"DDL_DATA": "~/data"}, "/home/me/data"),
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/dissecting-deep-learning"),
        ("linux", {}, "/home/me/.cache/dissecting-deep-learning"),
        ("darwin", {}, "/home/me/Library/Caches/dissecting-deep-learning"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/dissecting-deep-learning"),
    ],
)
def test_data_directory(platform, variables, expected, monkeypatch):
    for variable in ("DDL_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.platform", platform)
    assert str(datasets.data_directory()) == expected
