"""An explorable on a page or a slide without a kernel: all its frames, native controls, a short script."""

from __future__ import annotations

import html
import json
from functools import cache
from importlib import resources

from ddl.explorables import PLAY_INTERVAL, Explorable, Parameter


def build_page(explorable: Explorable) -> str:
    """Return an explorable with all its frames as HTML that needs neither a kernel nor a network.

    Parameters
    ----------
    explorable
        What is to be moved.

    Returns
    -------
    str
        The first frame as an ordinary image, and controls that only a script makes visible.

    Raises
    ------
    ValueError
        If two frames differ in size, since the page would jump.
    """
    frames = [explorable.frame(state) for state in explorable.states()]
    sizes = {frame.picture.size for frame in frames}
    if len(sizes) > 1:
        raise ValueError(f"{explorable.name}: frames have different sizes {sorted(sizes)}; use one figsize")
    (width, height), first = sizes.pop(), frames[0]
    sources = [f"data:image/webp;base64,{frame.encoded('webp')}" for frame in frames]
    data = {
        "interval": PLAY_INTERVAL,
        "sizes": [len(p.values) for p in explorable.parameters],
        "labels": [p.labels for p in explorable.parameters],
        "frames": [{"src": s, "alt": f.alt} for s, f in zip(sources[1:], frames[1:], strict=True)],
    }
    return (
        f'<ddl-explorable role="group" aria-label="{explorable.name.replace("_", " ")}" data-prevent-swipe>'
        f"<style>{_asset('explorable.css')}</style>"
        f'<img class="ddl-frame" src="{sources[0]}" alt="{html.escape(first.alt)}" '
        f'width="{width}" height="{height}">'
        f'<div class="ddl-controls" hidden>{"".join(map(_control, explorable.parameters))}</div>'
        f'<p class="ddl-caption">{html.escape(explorable.caption)}</p>'
        '<p class="ddl-spoken" aria-live="polite"></p>'
        f'<script type="application/json">{_script_text(data)}</script>'
        f"<script>{_asset('explorable.js')}</script></ddl-explorable>"
    )


def _script_text(data: object) -> str:
    """Return the data as JSON that neither ends the script element it stands in nor opens one in it."""
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")


@cache
def _asset(name: str) -> str:
    return resources.files("ddl").joinpath("assets", name).read_text(encoding="utf-8")


def _control(parameter: Parameter) -> str:
    title = html.escape(parameter.title)
    first, last = html.escape(parameter.labels[0]), len(parameter.values) - 1
    if parameter.kind == "switch":
        return (
            '<label class="ddl-control"><input type="checkbox" role="switch" autocomplete="off"> '
            f"{title}</label>"
        )
    if parameter.kind == "choice":
        options = "".join(
            f'<option value="{i}">{html.escape(label)}</option>' for i, label in enumerate(parameter.labels)
        )
        return f'<label class="ddl-control">{title} <select autocomplete="off">{options}</select></label>'
    play = '<button type="button" class="ddl-play">Play</button>' if parameter.playable else ""
    widest = max(map(len, parameter.labels))  # else the slider would change its length in the reader's hand
    return (
        f'<div class="ddl-control ddl-control-slider"><label>{title} '
        f'<input type="range" min="0" max="{last}" step="1" value="0" aria-valuetext="{first}" '
        'autocomplete="off"></label>'
        f'<output aria-hidden="true" style="min-width: {widest}ch">{first}</output>{play}</div>'
    )
