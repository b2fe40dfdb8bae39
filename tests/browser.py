"""A real browser for the tests of pages and decks: `pytest_plugins = ["browser"]` gives its fixtures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--disable-quic")  # fmt: skip
OWN_HOSTS = {"127.0.0.1", "localhost"}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the log of requests out of the tests' output."""


class Watch:
    """What a browser notices while it shows pages: what they ask for, and what goes wrong."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.faults: list[str] = []

    def attach(self, page: Page) -> None:
        """Watch a page from now on."""
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", self._failed)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda message: self._said(message.type, message.text))

    def _failed(self, request: Request) -> None:
        self.faults.append(f"not loaded: {request.url[:200]}")

    def _said(self, kind: str, text: str) -> None:
        if kind == "error":
            self.faults.append(f"console: {text}")

    @property
    def foreign(self) -> list[str]:
        """The requests that left this computer."""
        urls = map(urlsplit, self.requests)
        return [
            url.geturl() for url in urls if url.scheme in {"http", "https"} and url.hostname not in OWN_HOSTS
        ]


@pytest.fixture(scope="module")
def open_page() -> Iterator[Callable[..., AbstractContextManager[tuple[Page, Watch]]]]:
    """A function that opens a page in Chromium and waits until its formulas stand, see `_open`.

    The browser does not outlive a module's tests: while it runs, other tests could start no event loop.
    """
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if shutil.which(executable) is None:
        pytest.fail(
            f"the pages are tested in Chromium, and {executable} is not there: install it "
            "(`sudo apt install chromium`), or say where it is in the environment variable CHROMIUM"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield partial(_open, browser)
        browser.close()


@contextmanager
def _open(
    browser: Browser, url: str, *, width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[tuple[Page, Watch]]:
    """Open a page and wait until its formulas stand; give it with what the browser noticed."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",  # nothing then fades in while it is measured
    )
    watch = Watch()
    context.on("page", watch.attach)
    page = context.new_page()
    page.goto(url)
    page.evaluate("async () => { await window.MathJax?.startup?.promise }")
    yield page, watch
    context.close()


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], str]]:
    """A function that serves a folder on this computer and returns the address of its root."""
    servers = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
