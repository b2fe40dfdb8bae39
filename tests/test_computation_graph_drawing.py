"""A drawn computation graph shows its numbers, keeps its parts apart, and fits where it is put."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import nn
from torch.nn import functional

from ddl.diagrams import computation_graph, one_node, trace
from ddl.diagrams.cards import lines
from ddl.diagrams.drawing import LEAF, PAGE_WIDTH
from ddl.diagrams.layout import layered
from ddl.plots import BLUE, GREY, INK, ORANGE


@pytest.fixture(autouse=True)
def no_figure_is_left():
    with mpl.rc_context():
        yield
    plt.close("all")


def scalars(*numbers):
    return [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers]


def neuron():
    def function(x, w, b):
        z = x * w + b
        return {"z": z, "a": torch.tanh(z)}

    return trace(function, *scalars(2.0, -0.5, 0.3))


def fan_out():
    def function(x):
        a = x * x
        c = a * torch.exp(-x)
        return {"a": a, "c": c, "J": c + a}

    return trace(function, *scalars(1.5))


def chain():
    def function(x, w1, w2, w3, w4):
        found = {}
        for i, w in enumerate((w1, w2, w3, w4), 1):
            x = found[f"h{i}"] = w * x
        return found

    return trace(function, *scalars(1.2, 0.5, -2.0, 1.5, 0.7))


def regularised():
    penalty = one_node(lambda *weights: 0.05 * sum((w**2).sum() for w in weights), "ℓ₂")

    def function(x, y, W1, W2):
        z = W1 @ x
        h = torch.relu(z)
        o = W2 @ h
        loss, s = functional.mse_loss(o, y), penalty(W1, W2)
        return {"z": z, "h": h, "o": o, "L": loss, "s": s, "J": loss + s}

    first = torch.tensor([[0.5, -0.2], [0.1, 0.3]], requires_grad=True)
    second = torch.tensor([[1.0, -1.0]], requires_grad=True)
    return trace(function, torch.tensor([1.0, 2.0]), torch.tensor([1.0]), first, second)


def classifier(**options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    x, y = torch.randn(8, 4), torch.arange(8) % 3
    return trace(lambda x, y: functional.cross_entropy(model(x), y), x, y, module=model, **options)


def residual():
    torch.manual_seed(0)
    first, second, last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1)

    def function(x):
        h = x + second(torch.relu(first(x)))
        return {"h": h, "J": last(h + torch.tanh(h)).square().mean()}

    return trace(function, torch.randn(4, 3))


def crowded():
    """Three edges side by side that pass a column, and nine edges that arrive at one card."""
    last = one_node(lambda *parts: sum(parts), "all")

    def function(x, a, b, c, d):
        y = torch.exp(x)
        return {"y": y, "J": last(x, x, x, y, y * 2, a, b, c, d)}

    return trace(function, *scalars(0.5, -1.0, 2.0, 3.0, 4.0))


GRAPHS = {
    "neuron": neuron, "fan-out": fan_out, "chain": chain, "regularised": regularised,
    "classifier": classifier, "opened": lambda: classifier(open_linear=True), "residual": residual,
    "neighbourhood": lambda: fan_out().around("a"), "crowded": crowded,
}  # fmt: skip
EACH_GRAPH = pytest.mark.parametrize("graph", [make() for make in GRAPHS.values()], ids=GRAPHS)


def cards(ax):
    """The patches of the cards, in the order of the nodes."""
    return [p for p in ax.patches if isinstance(p, FancyBboxPatch) and to_hex(p.get_facecolor()) != INK]


def arrows(ax):
    """The patches of the edges, in the order of the graph."""
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def texts_on(ax, card):
    """The texts on a card, from top to bottom and from left to right."""
    x, y, width, height = card.get_x(), card.get_y(), card.get_width(), card.get_height()
    inside = [
        text
        for text in ax.texts
        if x < text.get_position()[0] < x + width and y < text.get_position()[1] < y + height
    ]
    inside.sort(key=lambda text: (-text.get_position()[1], text.get_position()[0]))
    return [text.get_text() for text in inside]


def written(ax):
    return [text.get_text() for text in ax.texts]


def box(ax, artist):
    """Left, bottom, right and top of what is drawn, in units of the axes."""
    return ax.transData.inverted().transform(artist.get_window_extent()).ravel()


def apart(one, other, room=0.0):
    return (
        one[2] <= other[0] + room
        or other[2] <= one[0] + room
        or one[3] <= other[1] + room
        or other[3] <= one[1] + room
    )


# What is on the cards


def test_a_card_holds_name_operation_value_and_gradient():
    ax = computation_graph(neuron())
    on = [texts_on(ax, card) for card in cards(ax)]
    assert on == [
        ["$x$", "→", "2", "←", "−0.317"],
        ["$w$", "→", "−0.5", "←", "1.27"],
        ["$b$", "→", "0.3", "←", "0.635"],
        ["×", "→", "−1", "←", "0.635"],
        ["$z$", "+", "→", "−0.7", "←", "0.635"],
        ["$a$", "tanh", "→", "−0.604", "←", "1"],
    ]


def test_leaves_are_filled_boxes_and_operations_white_and_round():
    ax = computation_graph(neuron())
    faces = [to_hex(card.get_facecolor()) for card in cards(ax)]
    assert faces == [LEAF] * 3 + ["#ffffff"] * 3
    assert [type(card.get_boxstyle()).__name__ for card in cards(ax)] == ["Square"] * 3 + ["Round"] * 3
    assert {to_hex(card.get_edgecolor()) for card in cards(ax)} == {INK}


def test_values_and_gradients_can_be_left_out():
    on = texts_on(ax := computation_graph(neuron(), gradients=False), cards(ax)[4])
    assert on == ["$z$", "+", "→", "−0.7"]
    on = texts_on(ax := computation_graph(neuron(), values=False), cards(ax)[4])
    assert on == ["$z$", "+", "←", "0.635"]
    ax = computation_graph(neuron(), values=False, gradients=False)
    assert [texts_on(ax, card) for card in cards(ax)] == [
        ["$x$"], ["$w$"], ["$b$"], ["×"], ["$z$", "+"], ["$a$", "tanh"]
    ]  # fmt: skip
    assert not any(
        "‖" in text or "pass" in text
        for text in written(computation_graph(classifier(), values=False, gradients=False))
    )


def test_what_has_no_gradient_has_no_arrow_back():
    ax = computation_graph(regularised())
    assert texts_on(ax, cards(ax)[0]) == ["$x$", "1", "→", "2"]


def test_large_tensors_show_their_shape_and_norm():
    graph = classifier()
    ax = computation_graph(graph)
    x, weight = graph.node("x"), graph.node("0.weight")
    assert texts_on(ax, cards(ax)[0]) == ["$x$", "(8, 4)", "→", f"‖·‖ {x.value.norm():.3g}"]
    assert texts_on(ax, cards(ax)[1]) == ["$y$", "(8,)", "→", "0  1  2  …"]
    assert texts_on(ax, cards(ax)[2]) == [
        *("0.weight", "(16, 4)", "→", f"‖·‖ {weight.value.norm():.3g}"),
        *("←", f"‖·‖ {weight.gradient.norm():.3g}"),
    ]
    assert "‖·‖ norm of a larger tensor" in written(ax)
    assert not any("norm of" in text for text in written(computation_graph(regularised())))


def test_shapes_are_shown_as_asked():
    assert [text for text in written(computation_graph(regularised())) if text.startswith("(")] == []
    ax = computation_graph(regularised(), shapes=True)
    shapes = [text for text in written(ax) if text.startswith("(")]
    assert shapes == ["(2,)", "(1,)", "(2, 2)", "(1, 2)", "(2,)", "(2,)", "(1,)"]
    ax = computation_graph(classifier(), shapes=False)
    assert [text for text in written(ax) if text.startswith("(8")] == []


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (torch.tensor(1 / 3), ["0.333"]),
        (torch.tensor([[2.0]]), ["2"]),
        (torch.tensor([0.5, -1.25]), ["\u2007\u20070.5", "−1.25"]),  # a column, aligned at the right
        (torch.tensor([[0.5, -1.25]]), ["0.5  −1.25"]),
        (torch.tensor([[1.0, 10.0], [100.0, 1.0]]), ["\u2007\u20071  \u200710", "100  \u2007\u20071"]),
        (torch.ones(6), ["1"] * 6),
        (torch.ones(7), ["‖·‖ 2.65"]),
        (torch.ones(1, 2, 2), ["‖·‖ 2"]),
        (torch.arange(6), list("012345")),
        (torch.arange(7), ["0  1  2  …"]),
        (torch.ones(3, 3, dtype=torch.bool), ["1  1  1  …"]),
        (torch.ones(0), ["empty"]),
        (torch.tensor(float("nan")), ["nan"]),
        (torch.ones(4, 4, dtype=torch.bfloat16), ["‖·‖ 4"]),
    ],
    ids=str,
)
def test_tensors_as_text(tensor, text):
    assert lines(tensor) == text


def test_parameters_can_be_left_out():
    ax = computation_graph(classifier(), parameters=False)
    assert [texts_on(ax, card)[0] for card in cards(ax)] == [
        *("$x$", "$y$", "linear", "ReLU", "linear", "cross entropy")
    ]  # fmt: skip
    assert len(arrows(ax)) == 5


def test_the_legend_says_what_the_gradient_is_of():
    assert "value (forward pass)" in written(computation_graph(neuron()))
    assert "gradient of $a$ (backward pass)" in written(computation_graph(neuron()))
    assert "gradient of the output (backward pass)" in written(computation_graph(classifier()))
    x = torch.ones(3, requires_grad=True)
    graph = trace(lambda x: {"y": x * 2}, x)
    assert "gradient of the sum of $y$ (backward pass)" in written(computation_graph(graph))


def test_the_numbers_of_the_regularised_network_are_those_computed_by_hand():
    """J = (o − y)² + 0.05 (‖W₁‖² + ‖W₂‖²), with W₁x = (0.1, 0.7), o = −0.6 and y = 1."""
    ax = computation_graph(regularised())
    on = {texts[0]: texts for texts in (texts_on(ax, card) for card in cards(ax))}
    assert on["$z$"] == ["$z$", "matmul", "0.1", "→", "0.7", "−3.2", "←", "\u20073.2"]
    assert on["$o$"] == ["$o$", "matmul", "→", "−0.6", "←", "−3.2"]  # 2 (o − y)
    assert on["$L$"] == ["$L$", "MSE", "→", "2.56", "←", "1"]
    assert on["$W_{2}$"] == ["$W_{2}$", "→", "1  −1", "←", "−0.22  −2.34"]  # −3.2 (0.1, 0.7) + 0.1 (1, −1)
    assert on["$s$"] == ["$s$", "ℓ₂", "→", "0.119", "←", "1"]  # 0.05 · 2.39 = 0.1195
    assert on["$J$"] == ["$J$", "+", "→", "2.68", "←", "1"]


def test_downwards_the_arrows_point_down_and_up():
    ax = computation_graph(neuron(), direction="down")
    assert texts_on(ax, cards(ax)[4]) == ["$z$", "+", "↓", "−0.7", "↑", "0.635"]
    heights = [card.get_y() for card in cards(ax)]
    assert heights[3] > heights[4] > heights[5]
    assert {"↓", "↑"} < set(written(ax))
    assert not {"→", "←"} & set(written(ax))


# What is on the edges


@pytest.mark.parametrize("graph", [fan_out(), crowded()], ids=["fan-out", "crowded"])
def test_there_is_an_arrow_for_each_use(graph):
    ax = computation_graph(graph)
    assert len(arrows(ax)) == len(graph.edges)
    for arrow, edge in zip(arrows(ax), graph.edges, strict=True):
        vertices = (
            arrow.get_path().vertices if arrow._path_original is None else arrow._path_original.vertices
        )
        source, target = (cards(ax)[i] for i in (edge.source, edge.target))
        assert vertices[0][0] == pytest.approx(source.get_x() + source.get_width())
        assert vertices[-1][0] == pytest.approx(target.get_x())
        for card, y in ((source, vertices[0][1]), (target, vertices[-1][1])):
            assert card.get_y() < y < card.get_y() + card.get_height()
        assert arrow.get_arrowstyle().__class__.__name__ == "CurveFilledB"
        assert to_hex(arrow.get_edgecolor()) == GREY


def notes(ax):
    return [text.get_text() for text in ax.texts if text.get_fontstyle() == "italic"]


def test_local_derivatives_stand_on_their_edges():
    graph = fan_out()
    assert notes(computation_graph(graph)) == []
    ax = computation_graph(graph, edges="local")
    assert notes(ax) == ["1.5", "1.5", "−1", "0.223", "0.223", "2.25", "1", "1"]
    for text, arrow in zip([t for t in ax.texts if t.get_fontstyle() == "italic"], arrows(ax), strict=True):
        curve = arrow._path_original.interpolated(50).vertices
        distance = np.hypot(*(curve - text.get_position()).T).min()
        assert distance < 0.06
    assert "on an arrow: local derivative" in written(ax)


def test_products_show_what_is_handed_back_and_how_it_adds_up():
    graph = fan_out()
    ax = computation_graph(graph.around("a"), edges="product")
    assert notes(ax) == [
        "1.22 · 1.5 = 1.83",
        "1.22 · 1.5 = 1.83",
        r"$\bar{c}\;\partial c/\partial a$" + "\n1 · 0.223 = 0.223",
        r"$\bar{J}\;\partial J/\partial a$" + "\n1 · 1 = 1",
    ]
    x, a, _, _ = (texts_on(ax, card) for card in cards(ax))
    assert a == ["$a$", "×", "→", "2.25", "←", "0.223 + 1 = 1.22"]
    assert x == ["$x$", "→", "1.5", "←", "3.17"]  # not all of its uses are drawn
    whole = computation_graph(graph, edges="product")
    assert texts_on(whole, cards(whole)[0])[-1] == "1.83 + 1.83 − 0.502 = 3.17"


def test_the_bar_of_a_gradient_stands_over_the_letter_alone():
    graph = trace(lambda x1: {"x2": (x2 := x1 * 2), r"$\hat y$": x2 + 1}, *scalars(3.0))
    assert [note.split("\n")[0] for note in notes(computation_graph(graph, edges="product"))] == [
        r"$\bar{x}_{2}\;\partial x_{2}/\partial x_{1}$",
        r"$\bar{\hat y}\;\partial \hat y/\partial x_{2}$",
    ]


def test_products_of_tensors_show_what_is_handed_back():
    v = torch.tensor([1.0, 2.0], requires_grad=True)
    graph = trace(lambda v: {"q": (q := v * v), "J": q.sum() * 3}, v)
    assert notes(computation_graph(graph, edges="product")) == [
        *("3; 6", "3; 6", "3; 3"),
        "1 · 3 = 3",
    ]


# Step by step


def test_steps_fill_the_cards_in():
    graph = fan_out()
    for step in range(graph.steps + 1):
        ax = computation_graph(graph, step=step)
        x, a, _, _, c, output = (texts_on(ax, card) for card in cards(ax))
        known = graph.after(step)
        for text, name in ((x, "x"), (a, "a"), (c, "c"), (output, "J")):
            node = graph.node(name)
            assert (f"{node.value.item():.3g}" in text) == (node.index in known.values)
            complete = node.index in known.gradients and node.index not in known.waiting
            assert (text[-1] == f"{node.gradient.item():.3g}") == complete
        plt.close(ax.figure)
    ax = computation_graph(graph, step=7)
    assert texts_on(ax, cards(ax)[1])[-1] == "1 + …"
    ax = computation_graph(graph, step=10)
    assert texts_on(ax, cards(ax)[0])[-1] == "−0.502 + …"


def test_sums_grow_with_the_steps():
    graph = fan_out()
    shown = []
    for step in (6, 7, 8):
        ax = computation_graph(graph, step=step, edges="product")
        shown.append((texts_on(ax, cards(ax)[1])[-1], len(notes(ax))))
    assert shown == [("", 0), ("1 + …", 2), ("0.223 + 1 = 1.22", 4)]


def test_local_derivatives_appear_with_the_values_that_they_need():
    counts = [len(notes(computation_graph(fan_out(), step=step, edges="local"))) for step in range(7)]
    assert counts == [0, 2, 3, 4, 6, 8, 8]


def test_what_takes_part_in_a_step_is_marked():
    graph = fan_out()

    def marked(step):
        ax = computation_graph(graph, step=step)
        bold = [
            (graph.nodes[i].label, to_hex(card.get_edgecolor()))
            for i, card in enumerate(cards(ax))
            if card.get_linewidth() > 2
        ]
        moving = [
            (graph.nodes[edge.source].label, graph.nodes[edge.target].label, to_hex(arrow.get_edgecolor()))
            for arrow, edge in zip(arrows(ax), graph.edges, strict=True)
            if arrow.get_linewidth() > 2
        ]
        back = {type(a.get_arrowstyle()).__name__ for a in arrows(ax) if a.get_linewidth() > 2}
        return bold, moving, back

    assert marked(0) == ([], [], set())
    assert marked(1) == ([("a", BLUE)], [("x", "a", BLUE)] * 2, {"CurveFilledB"})
    assert marked(6) == ([("J", ORANGE)], [], set())  # the output's own gradient is one
    assert marked(7) == ([("J", ORANGE)], [("c", "J", ORANGE), ("a", "J", ORANGE)], {"CurveFilledA"})
    assert marked(None) == ([], [], set())


@EACH_GRAPH
def test_nothing_moves_from_step_to_step(graph):
    edges = "local" if any(edge.derivative is not None for edge in graph.edges) else None
    places = set()
    for step in range(graph.steps + 1):
        ax = computation_graph(graph, step=step, edges=edges)
        places.add(tuple((c.get_x(), c.get_y(), c.get_width(), c.get_height()) for c in cards(ax)))
        for card in cards(ax)[:: max(1, graph.steps // 4)]:
            left, right = card.get_x(), card.get_x() + card.get_width()
            for text in ax.texts:
                x, y = text.get_position()
                if (
                    text.get_text()
                    and left < x < right
                    and card.get_y() < y < card.get_y() + card.get_height()
                ):
                    extent = box(ax, text)
                    assert left < extent[0] < extent[2] < right, text
        plt.close(ax.figure)
    assert len(places) == 1


# The layout


@EACH_GRAPH
@pytest.mark.parametrize(
    "options", [{}, {"shapes": True}, {"edges": "product"}, {"direction": "down"}], ids=str
)
def test_nothing_overlaps(graph, options):
    ax = computation_graph(graph, **options)
    ax.figure.canvas.draw()
    boxes = [box(ax, text) for text in ax.texts if text.get_text()]
    for one, other in itertools.combinations(boxes, 2):
        assert apart(one, other, 0.025), written(ax)
    frames = [
        (c.get_x(), c.get_y(), c.get_x() + c.get_width(), c.get_y() + c.get_height()) for c in cards(ax)
    ]
    assert len(frames) == len(graph.nodes)
    for one, other in itertools.combinations(frames, 2):
        assert apart(one, other, -0.1)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    for extent in [*boxes, *frames]:
        assert left <= extent[0] < extent[2] <= right
        assert bottom <= extent[1] < extent[3] <= top


@pytest.mark.parametrize(
    "graph",
    [neuron(), fan_out(), chain(), crowded()],
    ids=["neuron", "fan-out", "chain", "crowded"],
)
@pytest.mark.parametrize("direction", ["right", "down"])
def test_local_derivatives_do_not_overlap(graph, direction):
    ax = computation_graph(graph, edges="local", direction=direction)
    ax.figure.canvas.draw()
    boxes = [box(ax, text) for text in ax.texts]
    for one, other in itertools.combinations(boxes, 2):
        assert apart(one, other, 0.025), written(ax)
    assert min(extent[0] for extent in boxes) >= ax.get_xlim()[0]


@EACH_GRAPH
@pytest.mark.parametrize("direction", ["right", "down"])
def test_edges_run_around_all_other_cards(graph, direction):
    ax = computation_graph(graph, direction=direction)
    frames = [
        (c.get_x(), c.get_y(), c.get_x() + c.get_width(), c.get_y() + c.get_height()) for c in cards(ax)
    ]
    for arrow, edge in zip(arrows(ax), graph.edges, strict=True):
        curve = arrow._path_original.interpolated(40).vertices
        ahead = curve[:, 0] if direction == "right" else -curve[:, 1]
        assert (np.diff(ahead) >= -1e-9).all()
        for i, frame in enumerate(frames):
            inside = (curve > np.array(frame[:2]) + 1e-6) & (curve < np.array(frame[2:]) - 1e-6)
            assert not inside.all(axis=1).any(), (edge, i)


@EACH_GRAPH
def test_a_graph_fits_on_a_page_in_a_readable_size(graph):
    deep = len(graph.operations) > 6
    ax = computation_graph(graph, direction="down" if deep else "right")
    width, height = ax.figure.get_size_inches()
    assert width < PAGE_WIDTH + 0.4
    assert height < (15 if deep else 5.5)
    assert min(text.get_fontsize() for text in ax.texts) > 7.99
    assert (ax.get_xlim()[1] - ax.get_xlim()[0], ax.get_ylim()[1] - ax.get_ylim()[0]) == pytest.approx(
        (width, height)
    )  # one unit is an inch


def crossings(layout):
    """How many pairs of routes cross, ends aside."""

    def side(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    found = 0
    for one, other in itertools.combinations(layout.routes, 2):
        for (a, b), (c, d) in itertools.product(itertools.pairwise(one), itertools.pairwise(other)):
            found += side(a, b, c) * side(a, b, d) < -1e-12 and side(c, d, a) * side(c, d, b) < -1e-12
    return found


def laid_out(edges, sizes=None):
    sizes = sizes or {v: (0.8, 0.5) for edge in edges for v in edge}
    return layered(sizes, edges, [0.3] * len(edges))


def test_a_chain_with_weights_is_straight_and_its_edges_do_not_cross():
    edges = [(0, 2), (1, 2), (2, 4), (3, 4), (4, 6), (5, 6)]
    layout = laid_out(edges)
    heights = {layout.centres[v][1] for v in (2, 4, 6)}
    assert max(heights) - min(heights) < 1e-6
    assert layout.centres[0][0] < layout.centres[2][0] < layout.centres[4][0] < layout.centres[6][0]


def test_edges_of_a_graph_that_can_do_without_crossings_do_not_cross():
    # A ring of two long paths, with shortcuts on either side.
    edges = [(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 3), (0, 2), (4, 3)]
    assert crossings(laid_out(edges)) == 0


def test_rows_and_columns_follow_the_sizes_of_cards():
    edges = [(0, 2), (1, 2), (2, 3)]
    sizes = {0: (2.0, 0.4), 1: (0.5, 1.6), 2: (0.7, 0.4), 3: (0.7, 0.4)}
    layout = layered(sizes, edges, [0.3, 0.3, 0.9])
    between = abs(layout.centres[0][1] - layout.centres[1][1])
    assert between == pytest.approx(0.2 + 0.8 + 0.13)
    assert layout.width == pytest.approx(2.0 + 0.3 + 0.7 + 0.9 + 0.7)
    assert layout.height == pytest.approx(0.4 + 0.13 + 1.6)
    assert layout.centres[0][0] == layout.centres[1][0] == pytest.approx(1.0)


def test_edges_between_the_same_cards_run_side_by_side():
    layout = laid_out([(0, 1), (0, 1), (0, 1)])
    heights = [route[0][1] - layout.centres[0][1] for route in layout.routes]
    assert heights == pytest.approx([0.2, 0, -0.2])
    for route in layout.routes:
        assert len({round(y, 6) for _, y in route}) == 1


def test_a_graph_without_edges_is_one_card():
    layout = layered({3: (1.0, 0.5)}, [], [])
    assert layout == ({3: (0.5, 0.25)}, [], 1.0, 0.5)
    ax = computation_graph(trace(lambda x: x, *scalars(2.0)))
    assert [texts_on(ax, card) for card in cards(ax)] == [["$x$", "→", "2", "←", "1"]]


def test_a_layout_is_always_the_same():
    edges = [(i, j) for j in range(1, 30) for i in {(11 * j + 5) % j, (3 * j + 1) % j, j * j // 31 % j}]
    first = laid_out(edges)
    for _ in range(3):
        layered.__globals__["_best"].cache_clear()
        assert laid_out(edges) == first


# Where it is drawn


def test_it_is_drawn_where_told_and_shrinks_to_fit():
    _, (small, other) = plt.subplots(1, 2, figsize=(6, 1.5))
    assert computation_graph(fan_out(), small) is small
    assert not other.has_data()
    small.figure.canvas.draw()
    (left, right), (bottom, top) = small.get_xlim(), small.get_ylim()
    for text in small.texts:
        x0, y0, x1, y1 = box(small, text)
        assert left <= x0 < x1 <= right
        assert bottom <= y0 < y1 <= top
    extents = [box(small, text) for text in small.texts]
    for one, another in itertools.combinations(extents, 2):
        assert apart(one, another, 0.025)
    assert max(text.get_fontsize() for text in small.texts) < 7


def test_in_a_large_place_it_keeps_its_size_and_stands_in_the_middle():
    figure = plt.figure(figsize=(12, 9))
    ax = computation_graph(neuron(), figure.add_axes((0, 0, 1, 1)))
    assert {text.get_fontsize() for text in ax.texts} == {10, 9, 8}
    assert (ax.get_xlim()[1] - ax.get_xlim()[0], ax.get_ylim()[1] - ax.get_ylim()[0]) == pytest.approx(
        (12, 9)
    )
    extents = np.array([box(ax, text) for text in ax.texts])
    middle = (extents[:, 0].min() + extents[:, 2].max()) / 2
    assert middle == pytest.approx(sum(ax.get_xlim()) / 2, abs=0.3)


def test_drawing_changes_nothing():
    random, graph = torch.get_rng_state(), classifier()
    torch.set_rng_state(random)
    before = [(node.value.clone(), node.gradient) for node in graph.nodes]
    computation_graph(graph, step=3)
    assert torch.equal(torch.get_rng_state(), random)
    for node, (value, gradient) in zip(graph.nodes, before, strict=True):
        assert torch.equal(node.value, value)
        assert node.gradient is gradient


# Refusals


@pytest.mark.parametrize(
    ("graph", "options", "error", "words"),
    [
        (torch.ones(2), {}, TypeError, r"graph is of type Tensor; give what ddl\.diagrams\.trace\("),
        (fan_out(), {"direction": "up"}, ValueError, "direction is 'up'; give 'right' or 'down'"),
        (fan_out(), {"edges": "all"}, ValueError, "edges is 'all'; give None, 'local' or 'product'"),
        (
            fan_out(),
            {"direction": "down", "edges": "product"},
            ValueError,
            "products are too wide to stand side by side; draw them with direction='right'",
        ),
        (fan_out(), {"step": 12}, ValueError, "step is 12; this graph has steps 0 to 11"),
        (classifier(), {"edges": "local"}, ValueError, "no edge of this graph joins two single"),
    ],
    ids=["tensor", "direction", "edges", "products", "step", "no local derivatives"],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said_with_the_remedy(graph, options, error, words):
    with pytest.raises(error, match=words):
        computation_graph(graph, **options)
    assert plt.get_fignums() == []
