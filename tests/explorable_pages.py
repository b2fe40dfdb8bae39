"""Pages with explorables on them, and hands to move these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
from playwright.sync_api import Locator, Page, expect

import ddl
from ddl.explorables import Explorable

SCHEME = ":root { color-scheme: light dark } body { background: Canvas; color: CanvasText }"


@ddl.explore(epoch=ddl.steps([0, 1, 5, 20]), shape=["disc", "ring"], dense=[False, True])
def learning(epoch, shape, dense):
    """A network learns a shape."""
    figure = plt.figure(figsize=(4, 1), facecolor=(epoch / 20, shape == "ring", dense))
    return ddl.describe(figure, f"the {shape} after {epoch} epochs.")


def write_page(
    folder: Path, *shown: Explorable, head: str = "", around: str = "<main><h1>Figures</h1>{}</main>"
) -> str:
    """Write a page of explorables into a folder; return its address."""
    body = around.replace("{}", "".join(explorable.to_html() for explorable in shown))
    path = folder / "index.html"
    path.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Figures</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{SCHEME}</style>{head}</head><body>{body}</body></html>",
        encoding="utf-8",
    )
    return path.as_uri()


def expect_state(within: Page | Locator, explorable: Explorable, *state: int) -> None:
    """Wait until the page shows this state's frame, and says so to those who do not see it."""
    frame = explorable.frame(state)
    image = within.locator("img.ddl-frame")
    expect(image).to_have_count(1)
    expect(image).to_have_attribute("alt", frame.alt)
    expect(image).to_have_attribute("src", f"data:image/webp;base64,{frame.encoded('webp')}")
    sliders = [
        (parameter.labels[position], position)
        for parameter, position in zip(explorable.parameters, state, strict=True)
        if parameter.kind == "slider"
    ]
    for index, (label, position) in enumerate(sliders):
        slider = within.locator("input[type=range]").nth(index)
        expect(slider).to_have_value(str(position))
        expect(slider).to_have_attribute("aria-valuetext", label)
        expect(within.locator("output").nth(index)).to_have_text(label)


@contextmanager
def dragging(page: Page, slider: Locator) -> Iterator[Callable[[float], None]]:
    """Hold the slider's thumb; give a function that moves it to a share of the way."""
    box = slider.bounding_box()
    start, way, y = box["x"] + 8, box["width"] - 16, box["y"] + box["height"] / 2
    page.mouse.move(start, y)
    page.mouse.down()
    yield lambda share: page.mouse.move(start + share * way, y, steps=4)
    page.mouse.up()
