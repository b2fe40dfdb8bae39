"""House style and shared plots: what was drawn, read back from the artists."""

from __future__ import annotations

import itertools

import IPython
import matplotlib as mpl
import matplotlib.pyplot as plt
import matplotlib_inline.backend_inline
import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.contour import QuadContourSet
from matplotlib.markers import MarkerStyle
from torch import nn

from ddl import plots


@pytest.fixture(autouse=True)
def no_figure_is_left():
    """Start from matplotlib's own style, and put it back."""
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
    plt.close("all")


def plane(x):
    """A function that tells both coordinates apart."""
    return x[:, 0] + 10 * x[:, 1]


def contours(ax):
    """The filled and the unfilled contour sets of an axes."""
    sets = [artist for artist in ax.collections if isinstance(artist, QuadContourSet)]
    return [s for s in sets if s.filled], [s for s in sets if not s.filled]


def scatters(ax):
    return [artist for artist in ax.collections if isinstance(artist, PathCollection)]


# Style


def test_the_style_sets_sizes_and_colours():
    assert mpl.rcParams["axes.spines.top"]
    plots.use_style()
    figure, ax = plt.subplots()
    ax.set(title="title", xlabel="x", ylabel="y")
    assert not ax.spines["top"].get_visible()
    assert not ax.spines["right"].get_visible()
    assert ax.spines["left"].get_visible()
    assert tuple(figure.get_size_inches()) == (7.2, 3.4)
    assert to_hex(figure.get_facecolor()) == "#ffffff"  # dark pages show figures on white
    assert ax.get_title(loc="left") == "title"
    assert ax.xaxis.label.get_fontsize() == 11
    assert ax.xaxis.label.get_color() == plots.INK
    assert {label.get_color() for label in ax.get_yticklabels()} == {plots.INK}
    assert min(label.get_fontsize() for label in ax.get_xticklabels()) == 10
    assert ax.plot([0, 1])[0].get_linewidth() == 2
    assert ax.text(0, 0, "text").get_color() == plots.INK


def test_lines_take_the_line_colours_in_turn():
    plots.use_style()
    _, ax = plt.subplots()
    drawn = [ax.plot([0, 1])[0].get_color() for _ in range(6)]
    assert drawn == [*plots.LINE_COLOURS, plots.LINE_COLOURS[0]]


def test_figures_are_sharp_in_notebooks_alone(monkeypatch):
    formats = []
    monkeypatch.setattr(matplotlib_inline.backend_inline, "set_matplotlib_formats", formats.append)
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    plots.use_style()
    assert formats == []
    monkeypatch.setattr(IPython, "get_ipython", object)
    plots.use_style()
    assert formats == ["retina"]


# Colours

VISION = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""What becomes of linear RGB at severity 1: G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, A
physiologically-based model for simulation of color vision deficiency, IEEE Transactions on Visualization
and Computer Graphics 15(6), 1291-1298, 2009, doi:10.1109/TVCG.2009.113."""

TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour):
    encoded = np.array(to_rgb(colour))
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIELAB coordinates of linear RGB."""
    t = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(first, second, vision):
    """Euclidean distance in CIELAB; about 2 can just be told apart side by side."""
    a, b = (lab(np.array(VISION[vision]) @ linear(colour)) for colour in (first, second))
    return np.linalg.norm(a - b)


def contrast(colour, ground="white"):
    """The contrast ratio of WCAG 2.2."""
    bright, dark = sorted((TO_XYZ[1] @ linear(c) for c in (colour, ground)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_and_difference_are_the_formulas():
    assert contrast("black") == pytest.approx(21, abs=0.01)
    assert contrast("#767676") == pytest.approx(4.54, abs=0.01)  # the lightest grey that passes for text
    assert lab(linear("red")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert difference("black", "white", "usual") == pytest.approx(100, abs=0.01)
    for matrix in VISION.values():
        assert np.sum(matrix, axis=1) == pytest.approx(1, abs=2e-6)  # greys look the same to everybody


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("colours", [plots.CLASS_COLOURS, plots.LINE_COLOURS], ids=["classes", "lines"])
def test_any_two_colours_can_be_told_apart(colours, vision):
    pairs = {pair: difference(*pair, vision) for pair in itertools.combinations(colours, 2)}
    assert min(pairs.values()) > 15, pairs


@pytest.mark.parametrize("colour", [*plots.LINE_COLOURS, plots.GREY])
def test_thin_lines_stand_out_from_white(colour):
    assert contrast(colour) >= 3  # WCAG 2.2, 1.4.11 non-text contrast


@pytest.mark.parametrize("colour", [plots.INK, plots.GREY])
def test_text_stands_out_from_white(colour):
    assert contrast(colour) >= 4.5  # WCAG 2.2, 1.4.3 contrast (minimum)


def test_classes_have_a_colour_and_a_marker_each():
    assert len(plots.CLASS_COLOURS) == len(plots.CLASS_MARKERS) == 6
    assert len(set(plots.CLASS_COLOURS)) == len(set(plots.CLASS_MARKERS)) == 6


def test_the_diverging_map_goes_from_class_0_over_white_to_class_1():
    ends = [to_hex(plots.DIVERGING(share)) for share in (0.0, 1.0)]
    assert ends == list(plots.CLASS_COLOURS[:2])
    assert plots.DIVERGING(0.5)[:3] == pytest.approx((1, 1, 1), abs=0.01)


# Grids


def test_limits_leave_the_same_share_on_each_side():
    x = torch.tensor([[0.0, -1.0], [10.0, 1.0], [4.0, 0.0]])
    assert plots.limits_around(x, margin=0.1) == pytest.approx((-1, 11, -1.2, 1.2))
    assert plots.limits_around(x) == pytest.approx((-1.5, 11.5, -1.3, 1.3))
    assert plots.limits_around(x, margin=0) == (0, 10, -1, 1)


def test_limits_around_points_on_an_axis_or_a_single_one_span_an_area():
    assert plots.limits_around(torch.tensor([[0.0, 3.0], [1.0, 3.0]]), 0.5) == (-0.5, 1.5, 2.5, 3.5)
    assert plots.limits_around(torch.tensor([[7, 3]]), 0.5) == (6.5, 7.5, 2.5, 3.5)


@pytest.mark.parametrize("column", [False, True], ids=["(m,)", "(m, 1)"])
def test_the_first_coordinate_runs_along_columns_and_the_second_along_rows(column):
    grid = plots.on_grid(lambda x: plane(x)[:, None] if column else plane(x), (0, 3, 5, 7), resolution=4)
    assert grid.x1.tolist() == [0, 1, 2, 3]
    assert grid.x2 == pytest.approx([5, 5 + 2 / 3, 5 + 4 / 3, 7])
    assert grid.values.shape == (4, 4)
    for i, j in itertools.product(range(4), repeat=2):
        assert grid.values[i, j] == pytest.approx(grid.x1[j] + 10 * grid.x2[i])


def test_the_function_gets_all_points_once_and_tracks_no_gradients():
    calls = []

    def function(x):
        calls.append((x.shape, x.dtype, torch.is_grad_enabled()))
        return plane(x)

    plots.on_grid(function, (0, 1, 0, 1), resolution=7)
    assert calls == [((49, 2), torch.float32, False)]
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    "function",
    [
        nn.Linear(2, 1),
        lambda x: x @ nn.Parameter(torch.ones(2)),
        lambda x: x[:, 0] > 0.5,
        lambda x: x.numpy()[:, 0],
        lambda x: x[:, 0].tolist(),
    ],
    ids=["module", "parameter", "truth values", "array", "list"],
)
def test_whatever_a_function_returns_becomes_an_array(function):
    grid = plots.on_grid(function, (0, 1, 0, 1), resolution=5)
    assert isinstance(grid.values, np.ndarray)
    assert grid.values.shape == (5, 5)
    assert grid.values[2, 4] == float(torch.as_tensor(function(torch.tensor([[1.0, 0.5]]))).detach()[0])


@pytest.mark.parametrize(
    ("function", "shape"),
    [(nn.Linear(2, 3), (25, 3)), (lambda x: x, (25, 2)), (lambda x: x.sum(), ()), (lambda x: x[:5, 0], (5,))],
    ids=["three outputs", "the points", "their sum", "a part"],
)
def test_a_function_that_returns_other_than_one_number_a_point_is_refused(function, shape):
    with pytest.raises(ValueError, match="return one number per point") as error:
        plots.on_grid(function, (0, 1, 0, 1), resolution=5)
    assert f"returned shape {shape} for 25 points" in str(error.value)


# Regions


def half_plane(at=0.3, resolution=41):
    """A score that is above zero where x₁ > at."""
    return plots.on_grid(lambda x: 2 * (x[:, 0] - at), (0, 1, -1, 3), resolution)


def test_regions_have_the_colours_of_their_classes():
    filled, _ = contours(plots.regions(half_plane()))
    class0, class1 = filled[0].get_paths()
    assert class0.contains_point((0.1, 0))
    assert not class0.contains_point((0.9, 0))
    assert class1.contains_point((0.9, 0))
    assert not class1.contains_point((0.1, 0))
    expected = [to_rgba(colour, 0.16) for colour in plots.CLASS_COLOURS[:2]]
    assert filled[0].get_facecolor() == pytest.approx(np.array(expected))


def test_the_boundary_is_where_the_score_is_at_the_threshold():
    ax = plots.regions(half_plane(), threshold=0.8)  # 2 (x₁ − 0.3) = 0.8 at x₁ = 0.7
    filled, (boundary,) = contours(ax)
    assert boundary.levels.tolist() == [0.8]
    assert boundary.get_paths()[0].vertices[:, 0] == pytest.approx(0.7, abs=1e-6)
    assert sorted(boundary.get_paths()[0].vertices[[0, -1], 1]) == [-1, 3]
    assert to_hex(boundary.get_edgecolor()[0]) == plots.INK
    assert boundary.get_linewidth() == pytest.approx(1.8)
    assert filled[0].get_paths()[0].contains_point((0.6, 0))
    assert filled[0].get_paths()[1].contains_point((0.8, 0))


def test_the_regions_fill_the_axes():
    ax = plots.regions(half_plane())
    assert ax.get_xlim() == (0, 1)
    assert ax.get_ylim() == (-1, 3)


def test_without_shade_only_the_boundary_is_drawn():
    filled, boundary = contours(plots.regions(half_plane(), shade=False))
    assert (len(filled), len(boundary)) == (0, 1)


@pytest.mark.parametrize(("at", "present"), [(-1, 1), (2, 0)])
def test_one_class_alone_has_no_boundary(at, present):
    filled, boundary = contours(plots.regions(half_plane(at)))
    assert boundary == []
    inside = [len(path.vertices) > 0 and path.contains_point((0.5, 0)) for path in filled[0].get_paths()]
    assert inside == [present == 0, present == 1]


def test_truth_values_are_a_score_too():
    grid = plots.on_grid(lambda x: x[:, 0] > 0.3, (0, 1, 0, 1), resolution=101)
    _, (boundary,) = contours(plots.regions(grid, threshold=0.5))
    assert boundary.get_paths()[0].vertices[:, 0] == pytest.approx(0.305, abs=0.01)


# Points


def test_each_class_has_its_points_its_colour_and_its_marker():
    x, y = torch.rand(30, 2, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 6
    drawn = scatters(plots.points(x, y, size=17))
    assert len(drawn) == 6
    for label, artist in enumerate(drawn):
        assert np.array_equal(artist.get_offsets(), x[y == label])
        assert to_hex(artist.get_facecolor()[0]) == plots.CLASS_COLOURS[label]
        assert to_hex(artist.get_edgecolor()[0]) == "#ffffff"
        marker = MarkerStyle(plots.CLASS_MARKERS[label])
        shape = marker.get_path().transformed(marker.get_transform()).vertices
        assert np.array_equal(artist.get_paths()[0].vertices, shape)
        assert artist.get_sizes() == [17]


def test_a_class_keeps_its_colour_where_others_are_absent():
    (artist,) = scatters(plots.points(torch.ones(3, 2), torch.tensor([2, 2, 2])))
    assert to_hex(artist.get_facecolor()[0]) == plots.CLASS_COLOURS[2]


def test_more_classes_than_colours_begin_again():
    artist = scatters(plots.points(torch.ones(2, 2), torch.tensor([0, 7])))[1]
    assert to_hex(artist.get_facecolor()[0]) == plots.CLASS_COLOURS[1]


def test_names_stand_in_the_legend_if_given():
    x, y = torch.ones(3, 2), torch.tensor([0, 2, 2])
    _, labels = plots.points(x, y, names=["no", "perhaps", "yes"]).get_legend_handles_labels()
    assert labels == ["no", "yes"]
    assert plots.points(x, y).get_legend_handles_labels() == ([], [])


def test_points_lie_over_regions_and_boundary():
    ax = plots.regions(half_plane())
    plots.points(torch.ones(1, 2), torch.zeros(1), ax)
    below = max(artist.get_zorder() for group in contours(ax) for artist in group)
    assert scatters(ax)[0].get_zorder() > below


def test_points_with_gradients_and_classes_as_floats_are_drawn():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = scatters(plots.points(x, torch.tensor([0.0, 1.0])))
    assert first.get_offsets().tolist() == [[1, 2]]
    assert second.get_offsets().tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("x", "y", "names", "words"),
    [
        ((4, 3), [0, 0, 1, 1], (), r"x has shape \(4, 3\) and y \(4,\); give \(n, 2\) and \(n,\)"),
        ((4, 2), [[0], [0], [1], [1]], (), r"x has shape \(4, 2\) and y \(4, 1\)"),
        ((4, 2), [0, 1], (), r"x has shape \(4, 2\) and y \(2,\)"),
        ((4,), [0, 0, 1, 1], (), r"x has shape \(4,\) and y \(4,\)"),
        ((2, 2), [-1, 1], (), r"classes in y are \[-1, 1\]; number them 0, 1, …, as \(y > 0\)\.long\(\)"),
        ((2, 2), [0.5, 1], (), r"classes in y are \[0\.5, 1\.0\]; number them 0, 1"),
        ((2, 2), [0, 2], ("a", "b"), r"class 2 has no name among \['a', 'b'\]; give one for each class"),
    ],
)
def test_what_are_no_points_with_classes_is_refused(x, y, names, words):
    with pytest.raises(ValueError, match=words):
        plots.points(torch.zeros(x), torch.tensor(y), names=names)
    assert plt.get_fignums() == []


# Lines


@pytest.mark.parametrize("seed", range(6))
def test_a_line_goes_through_the_points_with_zero_score(seed):
    w, b = np.random.default_rng(seed).normal(size=(2, 2))
    (line,) = plots.line(torch.tensor(w), b[0]).lines
    first, second = np.array(line.get_xy1()), np.array(line.get_xy2())
    assert [w @ first + b[0], w @ second + b[0]] == pytest.approx([0, 0], abs=1e-12)
    assert np.linalg.norm(first - second) > 1e-3


@pytest.mark.parametrize("w", [[0, 2], [2, 0]], ids=["level", "upright"])
def test_level_and_upright_lines_are_drawn_where_they_are(w):
    (line,) = plots.line(w, -3).lines
    across = np.array([line.get_xy1(), line.get_xy2()])
    assert across @ w == pytest.approx([3, 3])


@pytest.mark.parametrize(
    ("w", "b"),
    [
        (nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor(-4.0))),
        (torch.tensor([[1, 2]]), torch.tensor([-4])),
        (np.array([1.0, 2.0]), np.float32(-4)),
        ([1, 2], np.array([-4.0])),
    ],
    ids=["parameters", "a layer's", "arrays", "list"],
)
def test_weights_and_bias_of_any_kind_give_a_line(w, b):
    (line,) = plots.line(w, b).lines
    assert np.array(line.get_xy1()) @ [1, 2] == pytest.approx(4)


def test_zero_weights_draw_no_line():
    ax = plots.line(torch.zeros(2), 1.0)
    assert len(ax.lines) == 0


def test_a_line_keeps_the_limits_of_the_axes():
    ax = plots.points(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.zeros(2))
    before = ax.axis()
    plots.line(torch.tensor([1.0, 0.0]), -50.0, ax)
    assert ax.axis() == before
    ax.figure.canvas.draw()
    assert ax.axis() == before


def test_a_line_is_ink_unless_told():
    ax = plots.line([1.0, 1.0], 0.0)
    plots.line([1.0, 1.0], 0.0, ax, color=plots.GREEN, linestyle="--", label="truth")
    plain, styled = ax.lines
    assert (plain.get_color(), plain.get_linewidth(), plain.get_linestyle()) == (plots.INK, 1.8, "-")
    assert (styled.get_color(), styled.get_linewidth(), styled.get_linestyle()) == (plots.GREEN, 1.8, "--")
    assert styled.get_label() == "truth"


@pytest.mark.parametrize("w", [[1.0], [1.0, 2.0, 3.0], torch.ones(2, 2)], ids=["one", "three", "four"])
def test_other_than_two_weights_are_refused(w):
    with pytest.raises(ValueError, match="a line of the plane has two weights") as error:
        plots.line(w, 0.0)
    assert f"w has shape {tuple(np.shape(w))};" in str(error.value)
    assert plt.get_fignums() == []


# Axes


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plots.regions(half_plane(), ax),
        lambda ax: plots.points(torch.ones(1, 2), torch.zeros(1), ax),
        lambda ax: plots.line([1.0, 1.0], 0.0, ax),
    ],
    ids=["regions", "points", "line"],
)
def test_drawing_happens_where_it_is_told_and_else_in_a_new_figure(draw):
    _, (chosen, other) = plt.subplots(1, 2)
    assert draw(chosen) is chosen
    assert chosen.has_data()
    assert not other.has_data()
    assert plt.gca() is other
    fresh = draw(None)
    assert fresh.figure is not chosen.figure
    assert len(plt.get_fignums()) == 2


def boxes(axes):
    axes[0].figure.canvas.draw()
    return np.array([ax.get_window_extent().bounds for ax in axes])


@pytest.mark.parametrize(("count", "width"), [(1, 5.0), (2, 8.8), (3, 9.0), (4, 10.0)])
def test_panels_are_equally_large_and_apart_whatever_is_drawn(count, width):
    plots.use_style()
    _, bare = plots.panels(count, width=width, height=3.1)
    _, full = plots.panels(count, width=width, height=3.1)
    for number, ax in enumerate(full):
        ax.plot([0, 10.0 ** (2 * number)], [0, -4000])
        ax.set(title="A title", xlabel="first", ylabel="second")
    assert boxes(full) == pytest.approx(boxes(bare))
    left, _, wide, high = boxes(bare).T
    assert wide == pytest.approx(wide[0])
    assert high == pytest.approx(high[0])
    assert np.diff(left, 2) == pytest.approx(0, abs=1e-9)  # evenly spaced


@pytest.mark.parametrize(("count", "width"), [(1, 5.0), (2, 8.8), (3, 9.0), (4, 10.0)])
def test_labels_of_panels_fit_between_them(count, width):
    plots.use_style()
    figure, axes = plots.panels(count, width=width, height=3.1)
    for ax in axes:
        ax.plot([0, 1], [-100, 100])
        ax.set(title="Title", xlabel="first feature", ylabel="second feature")
    figure.canvas.draw()
    page = figure.bbox
    for ax in axes:
        outside = ax.get_tightbbox()
        assert outside.x0 >= page.x0
        assert outside.x1 <= page.x1
        assert outside.y0 >= page.y0
        assert outside.y1 <= page.y1
    for left, right in itertools.pairwise(axes):
        assert left.get_window_extent().x1 < right.get_tightbbox().x0


def test_panels_have_the_size_and_options_that_are_asked_for():
    figure, axes = plots.panels(2, width=7.0, height=2.5, sharey=True)
    assert tuple(figure.get_size_inches()) == (7.0, 2.5)
    assert axes.shape == (2,)
    axes[0].set_ylim(3, 4)
    assert axes[1].get_ylim() == (3, 4)


def test_decades_are_ticks_in_plain_text():
    _, ax = plt.subplots()
    ax.loglog([1e-12, 1e5], [1e-12, 1e5])
    plots.decades(ax.yaxis, [-12, -2, 0, 1, 4])
    assert ax.get_yticks() == pytest.approx([1e-12, 0.01, 1, 10, 1e4])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["10⁻¹²", "0.01", "1", "10", "10⁴"]


def test_decades_leave_no_ticks_between_and_the_other_axis_alone():
    _, ax = plt.subplots()
    ax.loglog([1e-6, 1], [1e-2, 1])
    before = ax.get_xticks()
    plots.decades(ax.yaxis, range(-2, 1))
    ax.figure.canvas.draw()
    assert len(ax.yaxis.get_minorticklocs()) == 0
    assert ax.get_xticks() == pytest.approx(before)
    assert len(ax.xaxis.get_minorticklocs()) > 0
