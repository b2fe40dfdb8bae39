"""An explorable where a kernel runs: its controls as the kernel sees them."""

from __future__ import annotations

import base64
import html
import re
import threading
from types import SimpleNamespace

import ipywidgets
import matplotlib.pyplot as plt
import pytest

import ddl
from ddl import explorable_widget
from ddl.explorable_widget import build_widget

KNOWN_TO_7_7_1 = {
    "Checkbox": {"description", "indent", "value"},
    "Dropdown": {"description", "options", "style", "value"},
    "HBox": {"layout"},
    "HTML": {"value"},
    "Play": {"interval", "max", "min", "value"},
    "SelectionSlider": {"description", "options", "style", "value"},
    "VBox": set(),
}
"""Widgets, and traits of theirs, that ipywidgets 7.7.1 has: Colab's version, while the tests run with 8."""


@pytest.fixture(autouse=True)
def own_kernel(monkeypatch):
    monkeypatch.delenv("DDL_STATIC", raising=False)
    monkeypatch.delenv("DDL_STRICT", raising=False)


@ddl.explore(
    epoch=ddl.steps([0, 2, 8]),
    size=[1, 2],
    shape=["disc", "ring"],
    dense=[False, True],
    at={"<b>": 0, "end": 1},
)
def everything(epoch, size, shape, dense, at):
    """A shape & its "frame"."""
    figure = plt.figure(figsize=(0.5, 0.25), facecolor=(epoch / 8, size / 2, at))
    return ddl.describe(figure, f'<a> "{shape}"' if dense else "")


@ddl.explore(x=ddl.steps([0, 1, 2]))
def fragile(x):
    """A figure that cannot be drawn everywhere."""
    figure = plt.figure(figsize=(0.5, 0.25), facecolor=(x / 2, 0, 0))
    if x == 1:
        raise ZeroDivisionError("no <figure> at 1")
    return figure


def parts(explorable):
    """The controls by their names, and what shows the figure."""
    rows, picture, caption = build_widget(explorable).children
    controls, players = {}, {}
    for row in rows.children:
        player, control = row.children if isinstance(row, ipywidgets.HBox) else (None, row)
        controls[control.description] = control
        players[control.description] = player
    return SimpleNamespace(controls=controls, players=players, picture=picture, caption=caption)


def image(picture):
    """The bytes of the image that is shown, and its alternative text."""
    source, alt = re.search(r'src="data:image/png;base64,([^"]*)" alt="([^"]*)"', picture.value).groups()
    return base64.b64decode(source), html.unescape(alt)


def frame(explorable, *state):
    drawn = explorable.frame(state)
    return base64.b64decode(drawn.encoded("png")), drawn.alt


def test_each_kind_of_parameter_has_its_widget():
    shown = parts(everything)
    assert {name: type(control).__name__ for name, control in shown.controls.items()} == {
        "epoch": "SelectionSlider",
        "size": "SelectionSlider",
        "shape": "Dropdown",
        "dense": "Checkbox",
        "at": "Dropdown",
    }
    assert [name for name, player in shown.players.items() if player is not None] == ["epoch"]
    assert [label for label, _ in shown.controls["epoch"].options] == ["0", "2", "8"]
    assert [label for label, _ in shown.controls["at"].options] == ["<b>", "end"]
    assert shown.caption.value == "<em>A shape &amp; its &quot;frame&quot;.</em>"


def test_the_figure_follows_the_controls():
    shown = parts(everything)
    assert image(shown.picture) == frame(everything, 0, 0, 0, 0, 0)
    shown.controls["epoch"].value = 2
    assert image(shown.picture) == frame(everything, 2, 0, 0, 0, 0)
    shown.controls["at"].value = 1
    shown.controls["dense"].value = True
    shown.controls["shape"].value = 1
    assert image(shown.picture) == frame(everything, 2, 0, 1, 1, 1)
    assert image(shown.picture)[1] == 'epoch 8, size 1, shape ring, dense on, at end: <a> "ring"'


def test_two_outputs_of_one_explorable_move_apart():
    first, second = parts(everything), parts(everything)
    first.controls["epoch"].value = 1
    assert image(first.picture) == frame(everything, 1, 0, 0, 0, 0)
    assert image(second.picture) == frame(everything, 0, 0, 0, 0, 0)


def test_the_player_moves_its_slider_through_all_steps():
    shown = parts(everything)
    player = shown.players["epoch"]
    assert (player.min, player.max, player.value) == (0, 2, 0)
    player.value = 1
    assert image(shown.picture) == frame(everything, 1, 0, 0, 0, 0)
    shown.controls["epoch"].value = 2
    assert player.value == 2


def test_an_error_is_shown_in_place_of_the_figure_until_the_control_moves_on():
    shown = parts(fragile)
    shown.controls["x"].value = 1
    assert "<img" not in shown.picture.value
    assert "ZeroDivisionError: no &lt;figure&gt; at 1" in shown.picture.value
    assert "while drawing fragile with x 1" in shown.picture.value
    shown.controls["x"].value = 2
    assert image(shown.picture) == frame(fragile, 2)
    assert plt.get_fignums() == []


def test_an_error_in_the_first_state_leaves_the_controls_to_move_on_with():
    backwards = ddl.explore(x=[1, 2])(fragile.function)
    bundle = backwards._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    shown = parts(backwards)
    assert "ZeroDivisionError" in shown.picture.value
    shown.controls["x"].value = 1
    assert image(shown.picture) == frame(backwards, 1)


def test_figures_are_drawn_in_the_main_thread_alone(monkeypatch):
    # What JupyterLab does with subshells: a thread of its own answers the controls.
    waiting = []
    kernel = SimpleNamespace(io_loop=SimpleNamespace(add_callback=waiting.append))
    monkeypatch.setattr(explorable_widget, "get_ipython", lambda: SimpleNamespace(kernel=kernel))
    shown = parts(everything)

    def move():
        shown.controls["epoch"].value = 1
        shown.controls["shape"].value = 1

    subshell = threading.Thread(target=move)
    subshell.start()
    subshell.join()
    assert image(shown.picture) == frame(everything, 0, 0, 0, 0, 0)
    for function in waiting:
        function()
    assert image(shown.picture) == frame(everything, 1, 0, 1, 0, 0)
    shown.controls["epoch"].value = 2
    assert image(shown.picture) == frame(everything, 2, 0, 1, 0, 0)


def test_nothing_is_asked_of_ipywidgets_that_7_7_1_lacks(monkeypatch):
    asked = {}

    def recording(name):
        def make(*args, **traits):
            asked.setdefault(name, set()).update(traits)
            return getattr(ipywidgets, name)(*args, **traits)

        return make

    # What is not among these is an AttributeError.
    known = {name: recording(name) for name in KNOWN_TO_7_7_1}
    monkeypatch.setattr(explorable_widget, "widgets", SimpleNamespace(**known, link=ipywidgets.link))
    build_widget(everything)
    assert set(asked) == set(KNOWN_TO_7_7_1)
    for name, traits in asked.items():
        assert traits <= KNOWN_TO_7_7_1[name], name
