"""Files from the network: checked, kept, and with a clear word where there is no network."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import struct
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ddl.progress import progress

DIRECTORY_VARIABLE = "DDL_DATA"
TIMEOUT = 20.0
CHUNK = 1 << 16


class DownloadError(OSError):
    """A file is neither on disk nor to be had; the message says why, and what to do."""


@dataclass(frozen=True)
class Collection:
    """Files that belong together, and where to find them.

    Parameters
    ----------
    name
        Name of the collection, and of its folder on disk.
    mirrors
        Addresses of folders that hold the files, tried in this order.
    files
        SHA-256 of each file, by name.
    stand_in
        What to use instead where there is no network, as a sentence.
    """

    name: str
    mirrors: tuple[str, ...]
    files: Mapping[str, str]
    stand_in: str


# SHA-256 of both collections: torchvision, torchvision/prototype/datasets/_builtin/mnist.py.
MNIST = Collection(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "ddl.datasets.mnist() has 5000 images of the same kind and needs no network.",
)
FASHION_MNIST = Collection(
    "fashion_mnist",
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
        "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/",
    ),
    {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    "ddl.datasets.mnist() has 5000 images of the same size (digits, not clothes) and needs no network.",
)


def data_directory() -> Path:
    """Return the folder that downloads are kept in.

    Returns
    -------
    pathlib.Path
        ``DDL_DATA`` where that environment variable is set, else ``dissecting-deep-learning`` in the user's
        cache folder. It need not exist yet.
    """
    if chosen := os.environ.get(DIRECTORY_VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "dissecting-deep-learning"


def fetch(collection: Collection, file: str) -> Path:
    """Return the path of a file of a collection, downloading it where it is not on disk yet.

    Parameters
    ----------
    collection
        What the file belongs to.
    file
        Its name.

    Returns
    -------
    pathlib.Path
        A file with the right checksum.

    Raises
    ------
    DownloadError
        If no mirror has the file, or the file on disk is another one.
    """
    path = data_directory() / collection.name / file
    expected = collection.files[file]
    if path.is_file():
        with path.open("rb") as stored:
            got = hashlib.file_digest(stored, "sha256").hexdigest()
        if got != expected:
            raise DownloadError(
                f"{path} has SHA-256 {got}, expected {expected}; "
                "delete the file and call again to download it anew"
            )
        return path
    reasons = []
    for mirror in collection.mirrors:
        url = mirror + file
        try:
            _download(url, path, expected)
        except (OSError, http.client.HTTPException) as error:
            reasons.append(f"  {url}: {error}")
        else:
            return path
    raise DownloadError(
        f"{collection.name} cannot be downloaded:\n"
        + "\n".join(reasons)
        + f"\nInstead, {collection.stand_in}\n"
        + f"Or get {', '.join(collection.files)} elsewhere and put them into {path.parent} "
        + f"(the environment variable {DIRECTORY_VARIABLE} chooses another folder than {data_directory()})."
    )


def images_and_labels(collection: Collection) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of a collection in MNIST's format, the training set before the test set.

    Parameters
    ----------
    collection
        One with the four files of MNIST.

    Returns
    -------
    images : numpy.ndarray
        Bytes, shape (n, height, width).
    labels : numpy.ndarray
        Bytes, shape (n,).

    Raises
    ------
    DownloadError
        If a file is neither on disk nor to be had.
    """
    images = [read_idx(fetch(collection, f"{part}-images-idx3-ubyte.gz")) for part in ("train", "t10k")]
    labels = [read_idx(fetch(collection, f"{part}-labels-idx1-ubyte.gz")) for part in ("train", "t10k")]
    return np.concatenate(images), np.concatenate(labels)


def read_idx(path: Path) -> np.ndarray:
    """Return the array of bytes in a gzipped IDX file.

    The format: two zero bytes, a byte for the type (8: unsigned bytes), a byte for the number of axes, the
    length of each axis as a big-endian 32-bit integer, the data.
    """
    content = gzip.decompress(path.read_bytes())
    zero, kind, axes = struct.unpack_from(">HBB", content)
    if (zero, kind) != (0, 8):
        raise ValueError(f"{path} begins with {content[:4]!r}; this is not an IDX file of unsigned bytes")
    shape = struct.unpack_from(f">{axes}I", content, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears at its path only when it is complete, and not at all after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _download(url: str, path: Path, expected: str) -> None:
    """Write what is at the address into the file, unless its checksum is wrong."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response, atomic_writer(path) as file:
        length = int(response.headers.get("Content-Length") or 0)
        received = 0
        with progress(length or None, path.name, unit="B", scale=True) as bar:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                bar.update(len(chunk))
        if length and received != length:
            raise OSError(f"the connection broke off after {received} of {length} bytes")
        if digest.hexdigest() != expected:
            raise OSError(f"SHA-256 is {digest.hexdigest()}, expected {expected}")
