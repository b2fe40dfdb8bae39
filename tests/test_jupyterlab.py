"""An explorable in JupyterLab: a server, its page in a browser, a kernel, and a hand on the slider."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import books
import nbformat
import pytest
from playwright.sync_api import Error, Page, expect

pytest_plugins = ["browser"]

EXPLORABLE = """
import threading, time
import ddl
import matplotlib.pyplot as plt

disturbed = []

@ddl.explore(epoch=ddl.steps([0, 1, 5]), shape=["disc", "ring"], dense=[False, True])
def learning(epoch, shape, dense):
    '''A network learns a shape.'''
    if disturbed or threading.current_thread() is not threading.main_thread():
        raise RuntimeError("two threads have drawn at the same time")
    if epoch == 5 and dense:
        raise OverflowError("too much")
    figure = plt.figure(figsize=(4, 1), facecolor=(epoch / 5, shape == "ring", dense))
    time.sleep(0.3)  # meanwhile the next moves arrive, in another thread, where the kernel shows open figures
    if not plt.fignum_exists(figure.number):
        disturbed.append(figure)
    return figure

learning
""".strip()
RUN_ALL = """async () => {
    await jupyterapp.restored;
    const notebook = jupyterapp.shell.currentWidget;
    await notebook.revealed;
    await notebook.sessionContext.ready;
    await jupyterapp.commands.execute('notebook:run-all-cells');
}"""
START = 60
"""Seconds that the server, its page and the kernel may each take, on a slow machine; each takes a few."""


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Run a server of its own in a folder; give the address of its page. What it logs is in `server.log`."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = "a-token-for-this-test"
    own = {
        f"JUPYTER_{name}_DIR": str(folder / "jupyter" / name.lower())
        for name in ("CONFIG", "DATA", "RUNTIME")
    }
    readers = {name: value for name, value in os.environ.items() if not name.startswith(("DDL_", "JUPYTER"))}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    options = [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--ServerApp.ip=127.0.0.1", *options],
            cwd=folder,
            env={**readers, **own, "IPYTHONDIR": str(folder / "ipython")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server)
            yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}"
        finally:
            server.terminate()  # which ends its kernels too
            server.wait(START)


def _wait_for(address: str, server: subprocess.Popen) -> None:
    end = time.monotonic() + START
    while server.poll() is None and time.monotonic() < end:
        try:
            with urlopen(address, timeout=START):
                return
        except URLError:
            time.sleep(0.2)
    raise TimeoutError("JupyterLab did not start")


@pytest.fixture
def lab(tmp_path, open_page) -> Iterator[Page]:
    """JupyterLab's page with a notebook of one explorable, all of it run."""
    nbformat.write(books.notebook(EXPLORABLE), tmp_path / "learning.ipynb")
    try:
        with jupyterlab(tmp_path) as address, open_page(address.format("learning.ipynb")) as (page, _):
            page.wait_for_function(
                "window.jupyterapp?.shell.currentWidget?.sessionContext", timeout=START * 1000
            )
            page.evaluate(RUN_ALL)
            expect(page.locator(".jp-OutputArea img")).to_be_visible(timeout=START * 1000)
            yield page
    except (AssertionError, Error, TimeoutError) as error:
        error.add_note("JupyterLab says:\n" + (tmp_path / "server.log").read_text()[-4000:])
        raise


def test_the_figure_follows_the_controls_in_jupyterlab(lab):
    namespace = {}
    exec(EXPLORABLE, namespace)

    def expect_state(*state):
        frame = namespace["learning"].frame(state)
        image = lab.locator(".jp-OutputArea img")
        expect(image).to_have_attribute(
            "src", f"data:image/png;base64,{frame.encoded('png')}", timeout=20_000
        )
        expect(image).to_have_attribute("alt", frame.alt)

    output = lab.locator(".jp-OutputArea")
    expect_state(0, 0, 0)
    slider = output.get_by_role("slider").first
    slider.press("ArrowRight")
    expect_state(1, 0, 0)
    slider.press("ArrowLeft")
    output.get_by_role("combobox").select_option("ring")
    slider.press("ArrowRight")
    output.get_by_role("checkbox").check()
    expect_state(1, 1, 1)
    slider.press("ArrowRight")
    expect(output.get_by_text("OverflowError: too much")).to_be_visible(timeout=20_000)
    slider.press("ArrowLeft")
    expect_state(1, 1, 1)
