"""The built book in a real browser: every page, from disk and served, light and dark, desktop and phone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import books
import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe

from tools.fork import configured_address
from tools.slides.deck import chapters

pytest_plugins = ["browser"]

HEAVIEST = 4_000_000
"""Bytes of a page: its HTML with all frames, and its images; not the scripts that all pages share."""

# Elements that reach beyond the right edge, unless something around them scrolls.
WIDE = """() => [...document.querySelectorAll('body *')]
    .filter((e) => e.getBoundingClientRect().width > 0 && e.getBoundingClientRect().right > innerWidth + 1)
    .filter((e) => {
        for (let a = e; a; a = a.parentElement) {
            const style = getComputedStyle(a);
            if (/auto|scroll|hidden|clip/.test(style.overflowX) || style.position === 'fixed') return false;
        }
        return true;
    })
    .map((e) => e.outerHTML.slice(0, 80))"""
IMAGES = "() => [...document.images].map((i) => [i.currentSrc.slice(0, 120), i.getAttribute('alt')])"
DISTORTED = """() => [...document.images]
    .filter((i) => i.clientWidth)
    .filter((i) => Math.abs(i.clientHeight - i.clientWidth * i.naturalHeight / i.naturalWidth) > 2)
    .map((i) => `${i.alt.slice(0, 60)}: ${i.clientWidth} × ${i.clientHeight}`)"""
RAW_FORMULAS = """() => [...document.querySelectorAll('.math')]
    .filter((e) => !e.querySelector('mjx-container') || e.querySelector('mjx-merror'))
    .map((e) => e.textContent.slice(0, 80))"""


@dataclass
class Visit:
    """What was seen of one page in one way of showing it."""

    page: str
    way: str
    foreign: list[str]
    faults: list[str]
    images: list[tuple[str, str | None]]
    distorted: list[str]
    raw_formulas: list[str]
    wide: list[str]
    inaccessible: list[str]
    weight: int


@dataclass(frozen=True)
class Way:
    """A way of showing a page."""

    name: str
    served: bool = False
    options: dict[str, object] = field(default_factory=dict)


# Two ways, since a visit takes seconds: between them, each page is seen in each of these.
WAYS = [
    Way("from disk, light, desktop"),
    Way("from a server, dark, phone", served=True, options={"width": 390, "height": 844, "dark": True}),
]


def pages(book: Path) -> list[Path]:
    """All pages of the book, not those that extensions keep among their files, nor decks."""
    found = [path.relative_to(book) for path in sorted(book.rglob("*.html"))]
    return [path for path in found if path.parts[0] not in {"_static", "_sources", "slides"}]


@pytest.fixture(scope="module")
def visits(built_book, open_page, serve) -> list[Visit]:
    """Every page, seen in every way."""
    server = serve(built_book)
    return [
        visit(open_page, built_book, page, way, server if way.served else built_book.as_uri())
        for page in pages(built_book)
        for way in WAYS
    ]


def visit(open_page: Callable, book: Path, name: Path, way: Way, root: str) -> Visit:
    with open_page(f"{root}/{name.as_posix()}", **way.options) as (page, watch):
        page.evaluate("document.querySelectorAll('details').forEach((folded) => { folded.open = true })")
        found = [page.evaluate(script) for script in (IMAGES, DISTORTED, RAW_FORMULAS, WIDE)]
        faults = list(watch.faults)
        # From disk it cannot read style sheets as text; the one rule that would is not a standard one.
        axe = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
        return Visit(
            name.as_posix(),
            way.name,
            watch.foreign,
            faults,
            *found,
            [
                describe(violation)
                for violation in axe.response["violations"]
                if violation["impact"] in {"serious", "critical"}
            ],
            weight(book, name, watch.requests),
        )


def describe(violation: dict) -> str:
    places = ", ".join(str(node["target"][0]) for node in violation["nodes"][:3])
    return f"{violation['id']}: {violation['help']} ({len(violation['nodes'])}: {places})"


def weight(book: Path, name: Path, requests: list[str]) -> int:
    images = {
        unquote(urlsplit(url).path).rpartition("/_images/")[2] for url in requests if "/_images/" in url
    }
    return sum(file.stat().st_size for file in [book / name, *(book / "_images" / image for image in images)])


def demand_none(visits: list[Visit], of: Callable[[Visit], Iterable[str]]) -> None:
    """Fail with all faults and where they were seen, if there are any."""
    found = [f"{visit.page} ({visit.way}): {fault}" for visit in visits for fault in of(visit)]
    if found:
        pytest.fail("\n".join([f"{len(found)} faults", *found[:40]]), pytrace=False)


def test_pages_ask_no_other_host_for_anything(visits):
    demand_none(visits, lambda visit: visit.foreign)


def test_pages_run_without_errors(visits):
    demand_none(visits, lambda visit: visit.faults)


def test_images_say_what_they_show(visits):
    def nameless(visit: Visit) -> Iterator[str]:
        for source, alternative in visit.images:
            if not alternative or re.search(r"\.(png|svg|webp|jpe?g)$|_build/|_images/", alternative):
                yield f"{source} has the alternative text {alternative!r}"

    demand_none(visits, nameless)


def test_images_keep_their_shape(visits):
    demand_none(visits, lambda visit: visit.distorted)


def test_formulas_are_set(visits):
    demand_none(visits, lambda visit: visit.raw_formulas)


def test_nothing_is_wider_than_the_screen(visits):
    demand_none(visits, lambda visit: visit.wide)


def test_pages_are_accessible(visits):
    demand_none(visits, lambda visit: visit.inaccessible)


def test_pages_are_light(visits):
    demand_none(visits, lambda visit: [f"{visit.weight} bytes"] if visit.weight > HEAVIEST else [])


@pytest.mark.parametrize("served", [False, True], ids=["from disk", "from a server"])
def test_search_finds_a_chapter_by_its_title(built_book, open_page, serve, served):
    root = serve(built_book) if served else built_book.as_uri()
    for chapter in chapters(books.REPOSITORY):
        title = nbformat.read(chapter, as_version=4).cells[0].source.splitlines()[0].lstrip("# ")
        with open_page(f"{root}/search.html?q={quote(title)}") as (page, watch):
            link = page.locator("#search-results a", has_text=title).first
            link.wait_for()
            assert link.get_attribute("href").startswith(f"chapters/{chapter.stem}.html")
            assert watch.foreign == []


def test_chapters_open_in_colab_and_binder(built_book, open_page):
    address = configured_address(books.REPOSITORY)
    repository = address.url.removeprefix("https://github.com/")
    for chapter in chapters(books.REPOSITORY):
        with open_page((built_book / "chapters" / f"{chapter.stem}.html").as_uri()) as (page, _):
            links = page.eval_on_selector_all("a[href]", "links => links.map((link) => link.href)")
        path = f"chapters/{chapter.name}"
        assert f"https://colab.research.google.com/github/{repository}/blob/{address.branch}/{path}" in links
        assert f"https://mybinder.org/v2/gh/{repository}/{address.branch}?urlpath=lab/tree/{path}" in links


def test_a_chapter_can_be_downloaded_as_it_stands_in_the_repository(built_book, open_page):
    for chapter in chapters(books.REPOSITORY):
        with open_page((built_book / "chapters" / f"{chapter.stem}.html").as_uri()) as (page, _):
            link = page.locator("a.btn-download-source-button").first.evaluate("link => link.href")
        offered = json.loads(Path(unquote(urlsplit(link).path)).read_text(encoding="utf-8"))
        assert offered == json.loads(chapter.read_text(encoding="utf-8"))
