"""What `ddl.explore` takes and refuses, what it draws, and what it shows where."""

from __future__ import annotations

import base64
import io
import json
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from matplotlib.colors import to_rgb
from PIL import Image

import ddl
from ddl.explorables import COLOURS, FRAME_LIMIT, PIXELS_PER_INCH, Explorable

WIDGET = "application/vnd.jupyter.widget-view+json"
NASTY = """</script><!--<script> "quoted" & 'so' <b>bold</b>"""


@pytest.fixture(autouse=True)
def own_run(monkeypatch):
    """As in a reader's own kernel, unless a test says otherwise; and no test leaves a figure open."""
    monkeypatch.delenv("DDL_STATIC", raising=False)
    monkeypatch.delenv("DDL_STRICT", raising=False)
    yield
    assert plt.get_fignums() == []


@pytest.fixture
def static(monkeypatch):
    monkeypatch.setenv("DDL_STATIC", "1")


@pytest.fixture
def strict(monkeypatch):
    monkeypatch.setenv("DDL_STRICT", "1")


class Counting:
    """A function for an explorable: a plain coloured figure; it counts its calls and fails where told to."""

    __name__ = "coloured"
    __doc__ = "A coloured figure."

    def __init__(self, *, fails_at=(), returns=lambda figure: figure):
        self.calls = []
        self.fails_at = fails_at
        self.returns = returns

    def __call__(self, x):
        self.calls.append(x)
        figure = plt.figure(figsize=(0.5, 0.25), facecolor=plt.get_cmap("viridis")(x * 60))
        if x in self.fails_at:
            raise ZeroDivisionError(f"no figure at {x}")
        return self.returns(figure)


def blank(**_):
    return plt.figure(figsize=(0.5, 0.25))


def picture_in(encoded):
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def embedded(explorable):
    """What the HTML holds: its elements, and the data that its script reads."""
    page = BeautifulSoup(explorable._repr_mimebundle_()["text/html"], "html.parser")
    return page, json.loads(page.find("script", type="application/json").string)


# What it takes


def test_the_function_gets_the_values_as_they_were_given():
    got = []

    @ddl.explore(size=np.array([1, 2]), optimiser={"SGD": torch.optim.SGD, "none": None}, on=[False, True])
    def chosen(size, optimiser, on):
        """What was chosen."""
        got.append((size, optimiser, on))
        return blank()

    for state in chosen.states():
        chosen.frame(state)
    assert got[:3] == [(1, torch.optim.SGD, False), (1, torch.optim.SGD, True), (1, None, False)]
    assert len(got) == 8


@pytest.mark.parametrize("given", [["phase"], ["amplitude", "phase", "width"], ["amplitude", "width"]])
def test_arguments_and_parameters_must_be_the_same(given):
    def wave(phase, amplitude=1):
        """A wave."""

    says = rf"wave takes \['amplitude', 'phase'\].*given {re.escape(str(given))}; give values for each"
    with pytest.raises(TypeError, match=says):
        ddl.explore(**dict.fromkeys(given, (1, 2)))(wave)


def test_an_explorable_without_parameters_is_refused():
    def fixed():
        """Nothing moves."""

    with pytest.raises(TypeError, match=r"fixed.*at least one argument"):
        ddl.explore()(fixed)


def test_a_function_without_a_caption_is_refused():
    def nameless(x):
        return blank()

    with pytest.raises(ValueError, match=r"nameless has no docstring; its first line is the caption"):
        ddl.explore(x=[1, 2])(nameless)


def test_the_limit_of_frames_is_said_with_the_number_asked_for():
    def grid(row, column):
        """A cell of a grid."""

    assert FRAME_LIMIT == 80
    ddl.explore(row=range(8), column=range(10))(grid)
    with pytest.raises(
        ValueError, match=r"grid has 81 frames \(9 row × 9 column\); at most 80 .*leave out"
    ) as raised:
        ddl.explore(row=range(9), column=range(9))(grid)
    assert "split" in str(raised.value)


# Frames


def test_a_state_is_drawn_once():
    function = Counting()
    explorable = ddl.explore(x=[0, 1, 2])(function)
    assert function.calls == []
    explorable._repr_mimebundle_()
    explorable._repr_mimebundle_()
    assert function.calls == [0]
    explorable.frame((2,))
    explorable.frame((2,))
    assert function.calls == [0, 2]


def test_static_html_is_made_once(static):
    function = Counting()
    explorable = ddl.explore(x=[0, 1, 2])(function)
    assert explorable._repr_mimebundle_()["text/html"] is explorable.to_html()
    assert function.calls == [0, 1, 2]


def test_a_frame_is_the_figure_at_the_resolution_of_frames():
    frame = ddl.explore(x=[0, 1, 2])(Counting()).frame((2,))
    assert frame.picture.size == (0.5 * PIXELS_PER_INCH, 0.25 * PIXELS_PER_INCH)
    colour = np.array(plt.get_cmap("viridis")(120)[:3]) * 255
    np.testing.assert_allclose(np.asarray(frame.picture), np.broadcast_to(colour, (30, 60, 3)), atol=1)


def test_frames_on_a_page_keep_their_colours_within_what_an_eye_sees():
    @ddl.explore(shift=[0, 1])
    def lines(shift):
        """Lines of all colours of the house style."""
        figure, ax = plt.subplots(figsize=(4, 2))
        for row, colour in enumerate(ddl.plots.CLASS_COLOURS):
            ax.plot([0, 1], [row, row + shift], color=colour)
        return figure

    frame = lines.frame((1,))
    exact, small = frame.picture, picture_in(frame.encoded("webp")).convert("RGB")
    assert np.array_equal(picture_in(frame.encoded("png")), exact)
    assert len(small.getcolors(maxcolors=1_000)) <= COLOURS
    assert np.abs(np.asarray(exact, float) - np.asarray(small, float)).max() < 32
    for colour in ddl.plots.CLASS_COLOURS:
        nearest = np.abs(np.asarray(small) / 255 - to_rgb(colour)).max(axis=-1).min()
        assert nearest < 0.03, colour
    assert len(frame.encoded("webp")) < 0.5 * len(frame.encoded("png"))


def test_calling_it_draws_the_figure_for_any_values():
    function = Counting()
    explorable = ddl.explore(x=[0, 1])(function)
    figure = explorable(x=3)
    assert isinstance(figure, plt.Figure)
    assert function.calls == [3]
    plt.close(figure)


def test_figures_are_closed_but_those_of_others_stay_open():
    kept = plt.figure()
    explorable = ddl.explore(x=[0, 1])(Counting(fails_at=[1]))
    explorable.frame((0,))
    with pytest.raises(ZeroDivisionError):
        explorable.frame((1,))
    assert plt.get_fignums() == [kept.number]
    plt.close(kept)


def test_an_interactive_pyplot_does_not_show_figures_that_become_frames():
    interactive = []
    with plt.ion():
        ddl.explore(x=[0, 1])(
            Counting(returns=lambda figure: interactive.append(plt.isinteractive()) or figure)
        ).frame((0,))
        interactive.append(plt.isinteractive())
    assert interactive == [False, True]


def test_a_figure_that_pyplot_does_not_know_is_drawn_too():
    explorable = ddl.explore(x=[0, 1])(Counting(returns=lambda _: plt.Figure(figsize=(1, 1))))
    assert explorable.frame((0,)).picture.size == (PIXELS_PER_INCH, PIXELS_PER_INCH)


@pytest.mark.parametrize("returned", [lambda figure: figure.gca(), lambda _: None])
def test_what_is_no_figure_is_refused(returned):
    explorable = ddl.explore(x=[0, 1])(Counting(returns=returned))
    with pytest.raises(TypeError, match=r"coloured returned (<Axes:.*>|None); return the matplotlib figure"):
        explorable.frame((0,))


def test_an_error_names_the_state_in_which_it_happened():
    @ddl.explore(learning_rate=[0.1, 1], optimiser=["SGD", "Adam"])
    def descent(learning_rate, optimiser):
        """A descent."""
        raise OverflowError("too far")

    with pytest.raises(OverflowError, match="too far") as raised:
        descent.frame((1, 0))
    assert raised.value.__notes__ == ["while drawing descent with learning rate 1, optimiser SGD"]


# What is shown where


def test_it_is_no_widget_itself():
    # Colab's ipywidgets 7.7.1 ignores `_repr_mimebundle_` in subclasses of widgets.
    assert not issubclass(Explorable, ipywidgets.Widget)
    assert not hasattr(Explorable, "_ipython_display_")


def test_its_text_says_what_can_move():
    explorable = ddl.explore(x=[0, 1, 2])(Counting())
    assert repr(explorable) == str(explorable) == "Explorable coloured: x (3 values)"
    assert repr(ddl.explore(x=[0, 1, 2])(Counting())) == repr(explorable)


def test_with_a_kernel_it_shows_text_a_picture_and_a_widget():
    explorable = ddl.explore(x=[1, 0])(Counting())
    bundle = explorable._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain", "image/png", WIDGET}
    assert bundle["text/plain"] == repr(explorable)
    assert np.array_equal(picture_in(bundle["image/png"]), explorable.frame((0,)).picture)
    assert set(bundle[WIDGET]) == {"version_major", "version_minor", "model_id"}


def test_on_a_page_it_shows_text_a_picture_and_html(static):
    explorable = ddl.explore(x=[1, 0])(Counting())
    bundle = explorable._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/png", "text/html"}
    assert np.array_equal(picture_in(bundle["image/png"]), explorable.frame((0,)).picture)


def test_a_reader_s_own_cell_draws_nothing_before_it_is_shown():
    function = Counting(fails_at=[0])
    ddl.explore(x=[0, 1])(function)
    assert function.calls == []


def test_in_the_build_all_frames_are_drawn_in_the_cell_that_defines_them(static):
    with pytest.raises(ZeroDivisionError, match="no figure at 2"):
        ddl.explore(x=[0, 1, 2])(Counting(fails_at=[2]))


def test_in_strict_runs_the_first_frame_is_drawn_in_the_cell_that_defines_it(strict):
    function = Counting(fails_at=[2])
    ddl.explore(x=[0, 1, 2])(function)
    assert function.calls == [0]
    with pytest.raises(ZeroDivisionError, match="no figure at 0"):
        ddl.explore(x=[0, 1])(Counting(fails_at=[0]))


def test_frames_of_different_sizes_are_refused_on_a_page(static):
    def growing(size):
        """A growing figure."""
        return plt.figure(figsize=(size, 1))

    with pytest.raises(
        ValueError, match=r"growing: frames have different sizes \[\(120, 120\), \(240, 120\)\].*figsize"
    ):
        ddl.explore(size=[1, 2])(growing)


# The page's HTML


def test_the_html_has_a_native_control_for_each_parameter_and_a_frame_for_each_state(static):
    @ddl.explore(epoch=ddl.steps([0, 2, 8]), size=[1, 2], shape=["disc", "ring"], filled=[False, True])
    def shape(epoch, size, shape, filled):
        """A shape."""
        return blank()

    page, data = embedded(shape)
    inputs = page.select(".ddl-control :is(input, select)")
    assert [(tag.name, tag.get("type"), tag.get("role")) for tag in inputs] == [
        ("input", "range", None),
        ("input", "range", None),
        ("select", None, None),
        ("input", "checkbox", "switch"),
    ]
    assert [
        control.find("label").get_text(" ", strip=True) for control in page.select("div.ddl-control")
    ] == ["epoch", "size"]
    assert [(tag["min"], tag["max"], tag["step"]) for tag in inputs[:2]] == [("0", "2", "1"), ("0", "1", "1")]
    assert [option.string for option in inputs[2].find_all("option")] == ["disc", "ring"]
    assert [len(control.select("button")) for control in page.select(".ddl-control")] == [1, 0, 0, 0]
    assert data["sizes"] == [3, 2, 2, 2]
    assert data["labels"] == [["0", "2", "8"], ["1", "2"], ["disc", "ring"], ["off", "on"]]
    assert len(page.select("img")) + len(data["frames"]) == 3 * 2 * 2 * 2


def test_the_frames_stand_in_the_order_of_the_states_with_their_alternative_texts(static):
    @ddl.explore(x=[0, 1], y=["a", "b", "c"])
    def pair(x, y):
        """A pair."""
        figure = plt.figure(figsize=(0.5, 0.25), facecolor=(x, "abc".index(y) / 2, 0))
        return ddl.describe(figure, f"{y} at {x}.") if x else figure

    page, data = embedded(pair)
    image = page.img
    frames = [(image["src"], image["alt"]), *((frame["src"], frame["alt"]) for frame in data["frames"])]
    assert [alt for _, alt in frames] == [
        "x 0, y a: A pair.",
        "x 0, y b: A pair.",
        "x 0, y c: A pair.",
        "x 1, y a: a at 1.",
        "x 1, y b: b at 1.",
        "x 1, y c: c at 1.",
    ]
    colours = [picture_in(src.partition(",")[2]).convert("RGB").getpixel((9, 9)) for src, _ in frames]
    assert colours == [(255 * x, round(127.5 * y + 0.1), 0) for x in (0, 1) for y in (0, 1, 2)]
    assert (image["width"], image["height"]) == ("60", "30")


def test_the_html_asks_for_nothing_from_elsewhere(static):
    explorable = ddl.explore(x=[0, 1])(Counting())
    page, data = embedded(explorable)
    assert all(
        source.startswith("data:")
        for source in [page.img["src"], *(frame["src"] for frame in data["frames"])]
    )
    assert page.select("link, [href], script[src]") == []
    assert "://" not in explorable.to_html()
    assert "url(" not in explorable.to_html()


def test_text_in_labels_captions_and_descriptions_stays_text(static):
    def shown(choice):
        return ddl.describe(blank(), f"alternative {choice}")

    shown.__doc__ = f"Caption {NASTY}"
    page, data = embedded(ddl.explore(choice={NASTY: NASTY, "plain": "plain"})(shown))
    assert [option.string for option in page.select("option")] == [NASTY, "plain"]
    assert page.select_one(".ddl-caption").string == f"Caption {NASTY}"
    assert page.img["alt"] == f"choice {NASTY}: alternative {NASTY}"
    assert data["labels"] == [[NASTY, "plain"]]
    # The data's script element is not opened twice: "<!--<script>" would let it swallow the rest of the page.
    assert "<" not in page.find("script", type="application/json").string


def test_the_caption_is_the_first_paragraph_of_the_docstring(static):
    def two(x):
        """First line
        and second line.

        Not shown.
        """
        return blank()

    page, _ = embedded(ddl.explore(x=[0, 1])(two))
    assert page.select_one(".ddl-caption").string == "First line and second line."
