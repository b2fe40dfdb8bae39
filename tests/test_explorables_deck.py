"""Explorables in a reveal.js deck, which turns its slides by key and by finger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sphinx_revealjs
from explorable_pages import dragging, expect_state, learning, write_page
from playwright.sync_api import Page

pytest_plugins = ["browser"]

REVEAL = Path(sphinx_revealjs.__file__).parent / "_static" / "revealjs" / "dist"


@pytest.fixture
def deck(open_page, tmp_path) -> Iterator[Page]:
    """A deck of three slides in reveal.js, with an explorable on the second, which is shown."""
    address = write_page(
        tmp_path,
        learning,
        head=f'<link rel="stylesheet" href="{(REVEAL / "reveal.css").as_uri()}">',
        around=(
            '<div class="reveal"><div class="slides"><section>First</section><section>{}</section>'
            f'<section>Last</section></div></div><script src="{(REVEAL / "reveal.js").as_uri()}"></script>'
            "<script>Reveal.initialize({ transition: 'none' }).then(() => Reveal.slide(1))</script>"
        ),
    )
    with open_page(address) as (page, watch):
        page.wait_for_function("Reveal.getIndices().h === 1")
        yield page
        assert watch.faults == []


def slide(page: Page) -> int:
    return page.evaluate("Reveal.getIndices().h")


def test_in_a_deck_keys_in_a_control_move_the_figure_and_not_the_slide(deck):
    slider = deck.get_by_role("slider", name="epoch")
    for key, position in [("ArrowRight", 1), ("PageUp", None), ("End", 3), ("ArrowLeft", 2), ("Home", 0)]:
        slider.press(key)
        assert slide(deck) == 1, key
        if position is not None:
            expect_state(deck, learning, position, 0, 0)
    deck.get_by_label("shape").press("ArrowDown")
    expect_state(deck, learning, 0, 1, 0)
    deck.get_by_role("switch").press("Space")
    expect_state(deck, learning, 0, 1, 1)
    deck.get_by_role("button", name=re.compile("Next")).press("Space")
    expect_state(deck, learning, 1, 1, 1)
    assert slide(deck) == 1


def test_in_a_deck_dragging_moves_the_figure_and_not_the_slide(deck):
    with dragging(deck, deck.get_by_role("slider", name="epoch")) as to:
        for position in (3, 1):
            to(position / 3)
            expect_state(deck, learning, position, 0, 0)
    assert slide(deck) == 1


def test_in_a_deck_a_finger_moves_the_figure_and_not_the_slide(deck):
    box = deck.get_by_role("slider", name="epoch").bounding_box()
    client = deck.context.new_cdp_session(deck)
    x, y = box["x"] + 8, box["y"] + box["height"] / 2

    def touch(kind: str, *points: tuple[float, float]) -> None:
        client.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]}
        )

    touch("touchStart", (x, y))
    for share in (0.25, 0.5, 0.75, 1):
        touch("touchMove", (x + share * (box["width"] - 16), y))
    touch("touchEnd")
    assert slide(deck) == 1


def test_in_a_deck_keys_outside_the_controls_turn_the_slide(deck):
    deck.keyboard.press("ArrowRight")
    assert slide(deck) == 2
    deck.keyboard.press("ArrowLeft")
    assert slide(deck) == 1
