"""The decks of all chapters in a real browser: every slide, the speaker's window, and the print."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import books
import pytest

from tools.slides import __main__ as command
from tools.slides.deck import chapters

pytest_plugins = ["browser"]

FEWEST, MOST = 15, 30
"""Slides of a chapter that an instructor can teach from."""

SMALLEST_FIGURE = 240
"""Height of a figure on a slide of 720, in pixels, below which the last row could not read it."""

# What lies outside the slide or below the line that the footer needs, and text that its own box cuts off.
OUTSIDE = """(slide) => {
    const room = slide.getBoundingClientRect(), bottom = room.top + 720 - 40;
    const name = (e) => `${e.tagName} ${e.textContent.trim().slice(0, 50)}`;
    const faults = [];
    for (const e of slide.querySelectorAll('*')) {
        const box = e.getBoundingClientRect();
        if (!box.width || !box.height || e.closest('.ddl-spoken, mjx-assistive-mml')) continue;
        const beside = box.left < room.left || box.right > room.right + 1;
        if (beside || box.top < room.top || box.bottom > bottom + 1) faults.push(`outside: ${name(e)}`);
        const larger = e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1;
        if (larger && e.matches('pre, .column, td')) faults.push(`cut off: ${name(e)}`);
    }
    return faults;
}"""
UNFOLD = """() => {
    Reveal.getCurrentSlide().querySelectorAll('.slide details').forEach((folded) => { folded.open = true });
    return new Promise((resolve) => setTimeout(resolve, 50));
}"""
FIGURES = """(slide) => [...slide.querySelectorAll('img')].map((i) => ({
    alt: i.alt, height: Math.min(i.clientHeight, i.clientWidth * i.naturalHeight / i.naturalWidth)
}))"""


@pytest.fixture(scope="module")
def decks(built_book: Path) -> Path:
    """The folder of the decks, as the command makes them."""
    out = built_book.parent / "slides"
    command.main(["--out", str(out)])
    return out


def names() -> list[str]:
    return [path.stem for path in chapters(books.REPOSITORY)]


def html(decks: Path, chapter: str) -> str:
    return (decks / chapter / "index.html").read_text(encoding="utf-8")


@contextmanager
def opened(open_page: Callable, folder: Path, query: str = ""):
    """A deck in the browser, opened from disk, when its first slide stands."""
    with open_page(f"{(folder / 'index.html').as_uri()}{query}", height=720) as (page, watch):
        page.wait_for_function("window.Reveal?.isReady()")
        yield page, watch


def current(page):
    return page.evaluate_handle("Reveal.getCurrentSlide().querySelector('.slide')")


def go_through(page):
    """Stand on each slide in turn, with all its steps uncovered and its folded parts open."""
    assert page.evaluate("Reveal.getScale()") == 1, "what is measured would not be what is seen"
    for section in range(page.evaluate("Reveal.getHorizontalSlides().length")):
        for below in range(page.evaluate(f"Reveal.getHorizontalSlides()[{section}].children.length")):
            page.evaluate(f"Reveal.slide({section}, {below}, 99)")
            page.evaluate(UNFOLD)
            page.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => {})))")
            yield f"slide {page.evaluate('Reveal.getSlidePastCount() + 1')}"


@pytest.mark.parametrize("chapter", names())
def test_nothing_overflows_a_slide_and_figures_can_be_read(decks, open_page, chapter):
    faults = []
    with opened(open_page, decks / chapter) as (page, _):
        for place in go_through(page):
            slide = current(page)
            faults += [f"{place}: {fault}" for fault in slide.evaluate(OUTSIDE)]
            for figure in slide.evaluate(FIGURES):
                if not figure["alt"].strip():
                    faults.append(f"{place}: a figure without alternative text")
                if figure["height"] < SMALLEST_FIGURE:
                    faults.append(f"{place}: a figure only {figure['height']:.0f} pixels high")
    if faults:
        pytest.fail(
            "\n".join([f"{len(faults)} faults in the deck of {chapter}", *faults[:40]]), pytrace=False
        )


@pytest.mark.parametrize("chapter", names())
def test_a_deck_alone_in_a_folder_works_without_network_and_errors(decks, open_page, tmp_path, chapter):
    folder = shutil.copytree(decks / chapter, tmp_path / "stick")
    with opened(open_page, folder) as (page, watch):
        for _ in go_through(page):
            pass
        assert page.evaluate("[...document.querySelectorAll('mjx-merror')].map((e) => e.textContent)") == []
        assert page.locator("mjx-container").count() > 0
        assert "\\(" not in page.locator("main").inner_text()
    assert watch.faults == []
    outside = [url for url in watch.requests if not url.startswith((folder.as_uri(), "data:", "blob:"))]
    assert outside == []


@pytest.mark.parametrize("chapter", names())
def test_a_chapter_has_slides_for_one_lesson_and_notes_for_the_speaker(decks, open_page, chapter):
    with opened(open_page, decks / chapter) as (page, _):
        assert FEWEST <= page.evaluate("Reveal.getTotalSlides()") <= MOST
        without = page.evaluate(
            """Reveal.getHorizontalSlides().filter((section) => !section.querySelector('aside.notes'))
                .map((section) => section.textContent.trim().slice(0, 60))"""
        )
    assert without == [], "sections without notes"


@pytest.mark.parametrize("chapter", names())
def test_explorables_move_on_slides_and_keys_go_back_to_the_deck(decks, open_page, chapter):
    moved = 0
    with opened(open_page, decks / chapter) as (page, _):
        for _ in go_through(page):
            for explorable in current(page).query_selector_all("ddl-explorable"):
                before, where = explorable.query_selector(".ddl-frame").get_attribute("src"), page.url
                control = explorable.query_selector("input, select")
                control.focus()
                is_switch = control.get_attribute("type") == "checkbox"
                for key in ["Space"] if is_switch else ["ArrowDown", "ArrowRight"]:
                    page.keyboard.press(key)
                assert explorable.query_selector(".ddl-frame").get_attribute("src") != before
                assert page.url == where, "a key that was meant for the control turned the slide"
                page.keyboard.press("Escape")
                assert page.evaluate("document.activeElement === document.body && !Reveal.isOverview()")
                moved += 1
    assert moved == html(decks, chapter).count("<ddl-explorable")


@pytest.mark.parametrize("chapter", names())
def test_the_speakers_window_shows_notes_with_formulas(decks, open_page, chapter):
    with opened(open_page, decks / chapter) as (page, watch):
        page.evaluate(
            """() => {
                const formula = document.querySelector('aside.notes mjx-container');
                const { h, v } = Reveal.getIndices(formula.closest('section'));
                Reveal.slide(h, v);
            }"""
        )
        with page.context.expect_page() as opening:
            page.keyboard.press("s")
        formula = opening.value.locator(".speaker-controls-notes .value mjx-container svg").first
        formula.wait_for()
        assert formula.bounding_box()["height"] > 5
        assert formula.locator("path").count() > 0, "its glyphs stayed behind in the deck"
        assert watch.foreign == []


@pytest.mark.parametrize("chapter", names())
def test_a_deck_prints_one_page_a_slide(decks, open_page, chapter):
    with opened(open_page, decks / chapter, "?print-pdf") as (page, _):
        page.wait_for_selector(".pdf-page")
        slides = page.locator(".pdf-page .slide").element_handles()
        expected = len(re.findall(r'<div class="slide[ "]', html(decks, chapter)))
        assert page.locator(".pdf-page").count() == len(slides) == expected
        faults = [fault for slide in slides for fault in slide.evaluate(OUTSIDE)]
    assert faults == []


def test_the_index_lists_all_decks_and_leads_back_to_the_book(decks, open_page):
    with open_page((decks / "index.html").as_uri()) as (page, watch):
        links = page.eval_on_selector_all(
            "a", "links => links.map((link) => link.href.replace(/[?#].*/, ''))"
        )
        assert watch.faults == watch.foreign == []
    files = {Path(link.removeprefix("file://")) for link in links}
    assert {decks / name / "index.html" for name in names()} <= files
    assert decks.parent / "html" / "index.html" in files
    assert [file for file in files if not file.exists()] == []


@pytest.mark.parametrize("chapter", names())
def test_links_from_a_deck_to_the_book_lead_somewhere(decks, open_page, chapter):
    with opened(open_page, decks / chapter) as (page, _):
        links = page.eval_on_selector_all("a[target=_blank]", "links => links.map((link) => link.href)")
    files = {
        Path(link.removeprefix("file://").partition("#")[0]) for link in links if link.startswith("file:")
    }
    assert [file for file in files if not file.exists()] == []


def test_decks_can_be_made_inside_the_pages_to_publish_them(built_book, decks):
    out = built_book / "slides"
    command.main(["--out", str(out)])
    index = (out / "index.html").read_text(encoding="utf-8")
    shutil.rmtree(out)
    assert 'href="../index.html"' in index
