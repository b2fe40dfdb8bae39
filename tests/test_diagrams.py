"""Pictures of real objects show their real numbers, and leave them as they are."""

from __future__ import annotations

import copy
import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Circle
from torch import nn

from ddl import diagrams
from ddl.models import MLP, Heaviside
from ddl.plots import BLUE, GREY, INK, ORANGE


@pytest.fixture(autouse=True)
def no_figure_is_left():
    with mpl.rc_context():
        yield
    plt.close("all")


def linear(weight, bias=None):
    """A linear layer with these weights."""
    weight = torch.tensor(weight)
    layer = nn.Linear(*reversed(weight.shape), bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def units(ax):
    return [patch for patch in ax.patches if isinstance(patch, Circle)]


def weights(ax):
    """The lines between units, in the order of drawing: layer by layer, target by target."""
    return [line for line in ax.lines if len(line.get_xdata()) == 2]


def curves(ax):
    return [line for line in ax.lines if len(line.get_xdata()) > 2]


def texts(ax):
    return [text.get_text() for text in ax.texts]


# Reading layers


def test_layers_hold_weights_biases_and_activations_in_order():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2, bias=False), nn.Tanh())
    found = diagrams.layers_of(model)
    for layer, part in zip(found, (model[0], model[2], model[3]), strict=True):
        assert np.array_equal(layer.weight, part.weight.detach())
    assert np.array_equal(found[0].bias, model[0].bias.detach())
    assert found[2].bias.tolist() == [0, 0]
    assert [layer.activation for layer in found] == [model[1], None, model[4]]


def test_a_single_layer_nested_and_own_modules_are_read():
    layer = nn.Linear(2, 1)
    assert len(diagrams.layers_of(layer)) == 1
    assert len(diagrams.layers_of(nn.Sequential(nn.Sequential(layer, nn.Tanh()), nn.Linear(1, 1)))) == 2
    assert len(diagrams.layers_of(MLP((2, 3, 4, 1)))) == 3
    (found,) = diagrams.layers_of(nn.Sequential(nn.Linear(2, 1), Heaviside()))
    assert isinstance(found.activation, Heaviside)


def test_a_part_that_is_used_twice_is_read_twice():
    tanh, square = nn.Tanh(), nn.Linear(3, 3)
    found = diagrams.layers_of(nn.Sequential(square, tanh, square, tanh, nn.Linear(3, 1)))
    assert [layer.activation for layer in found] == [tanh, tanh, None]
    assert np.array_equal(found[0].weight, found[1].weight)


def test_weights_are_copies():
    layer = nn.Linear(2, 1)
    (found,) = diagrams.layers_of(layer)
    before = found.weight.copy(), found.bias.copy()
    with torch.no_grad():
        layer.weight += 1
        layer.bias += 1
    assert np.array_equal(found.weight, before[0])
    assert np.array_equal(found.bias, before[1])
    found.weight[:] = 7
    assert layer.weight.max() < 7


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_any_precision_are_read(dtype):
    layer = linear([[0.5, -2.0]], [1.0]).to(dtype)
    (found,) = diagrams.layers_of(layer)
    assert found.weight.tolist() == [[0.5, -2]]
    assert found.bias.tolist() == [1]
    double = layer.double()
    diagrams.layers_of(double)[0].weight[:] = 7
    assert double.weight.tolist() == [[0.5, -2]]


@pytest.mark.parametrize(
    "activation",
    [nn.Sigmoid(), nn.LeakyReLU(), nn.Softplus(), nn.PReLU(), nn.Hardtanh(), nn.Identity(), Heaviside()],
    ids=repr,
)
def test_elementwise_activations_are_read(activation):
    (found,) = diagrams.layers_of(nn.Sequential(nn.Linear(2, 3), activation))
    assert found.activation is activation


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (
            nn.Sequential(nn.ReLU(), nn.Linear(2, 1)),
            r"cannot draw ReLU\(\) here: it does not follow a linear",
        ),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Tanh()), r"cannot draw Tanh\(\) here"),
        (nn.Tanh(), r"cannot draw Tanh\(\) here"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1)), "a layer with 4 inputs follows one with 3 outputs"),
        (nn.Sequential(), "Sequential has no linear layer to draw"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=1)), r"Softmax\(dim=1\): it is no elementwise"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=-1)), r"Softmax\(dim=-1\): it is no elementwise"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=2)), r"Softmax\(dim=2\): it is no elementwise"),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), "BatchNorm1d.*: it is no elementwise"),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm2d(3)), "BatchNorm2d.*: it is no elementwise"),
        (nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)), "LayerNorm.*draw the module without it"),
        (nn.Sequential(nn.Linear(2, 3), nn.Conv2d(1, 1, 3)), "Conv2d.*: it is no elementwise"),
        (nn.Sequential(nn.Linear(2, 3), nn.GLU()), "GLU.*: it is no elementwise"),
    ],
    ids=str,
)
def test_what_is_no_plain_stack_is_refused(module, words):
    with pytest.raises(ValueError, match=words):
        diagrams.layers_of(module)
    with pytest.raises(ValueError, match=words):
        diagrams.network(module)
    assert plt.get_fignums() == []


# Drawing a network


def test_each_unit_is_a_circle_in_the_column_of_its_layer():
    ax = diagrams.network(MLP((3, 4, 2)))
    centres = np.array([circle.center for circle in units(ax)])
    columns = [centres[centres[:, 0] == x, 1] for x in sorted(set(centres[:, 0]))]
    assert [len(column) for column in columns] == [3, 4, 2]
    for column in columns:
        assert np.all(np.diff(column) < 0)  # the first unit on top
        assert column.mean() == pytest.approx(0)
    assert all(circle.radius == diagrams.RADIUS for circle in units(ax))


def test_each_weight_is_a_line_from_its_input_to_its_output():
    ax = diagrams.network(MLP((3, 4, 2)))
    centres = [tuple(circle.center) for circle in units(ax)]
    inputs, hidden, outputs = centres[:3], centres[3:7], centres[7:]
    expected = [(source, target) for target in hidden for source in inputs]
    expected += [(source, target) for target in outputs for source in hidden]
    drawn = [tuple(map(tuple, line.get_xydata())) for line in weights(ax)]
    assert drawn == expected


def test_width_is_the_size_of_a_weight_in_its_layer_and_colour_its_sign():
    ax = diagrams.network(nn.Sequential(linear([[1.0, -4.0], [0.0, 2.0]]), linear([[-10.0, 5.0]])))
    drawn = weights(ax)
    assert [line.get_color() for line in drawn] == [ORANGE, BLUE, GREY, ORANGE, BLUE, ORANGE]
    share = np.array([0.25, 1, 0, 0.5, 1, 0.5])
    assert [line.get_linewidth() for line in drawn] == pytest.approx(0.3 + 2.7 * share)
    assert [line.get_alpha() for line in drawn] == pytest.approx(0.25 + 0.75 * share)


def test_a_layer_of_zeros_is_drawn():
    lines = weights(diagrams.network(linear([[0.0, 0.0]])))
    assert [(line.get_color(), line.get_linewidth()) for line in lines] == [(GREY, 0.3)] * 2


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.ReLU(), Heaviside(), nn.PReLU(init=0.5)], ids=str)
def test_a_unit_shows_the_curve_of_its_activation(activation):
    ax = diagrams.network(nn.Sequential(nn.Linear(2, 3), activation))
    assert len(curves(ax)) == 3
    for line, circle in zip(curves(ax), units(ax)[2:], strict=True):
        x, y = (line.get_xydata() - circle.center).T
        z = torch.linspace(-3, 3, len(x))
        value = activation(z).detach().numpy()
        assert np.corrcoef(x, z)[0, 1] == pytest.approx(1)  # drawn to scale, whatever the scale
        assert np.corrcoef(y, value)[0, 1] == pytest.approx(1)
        assert np.hypot(x, y).max() < diagrams.RADIUS
        assert line.get_color() == INK


def test_inputs_linear_units_and_identities_show_no_curve():
    ax = diagrams.network(nn.Sequential(nn.Linear(2, 3), nn.Identity(), nn.Linear(3, 1)))
    assert curves(ax) == []


def test_units_hide_the_ends_of_lines():
    ax = diagrams.network(MLP((2, 1)))
    assert units(ax)[0].get_zorder() > weights(ax)[0].get_zorder()
    assert to_hex(units(ax)[0].get_facecolor()) == "#ffffff"


@pytest.mark.parametrize(("size", "drawn"), [(11, 11), (12, 12), (13, 12), (100, 12)])
def test_a_wide_layer_shows_its_first_and_last_units_and_dots(size, drawn):
    model = MLP((size, 1), seed=0)
    ax = diagrams.network(model)
    assert len(units(ax)) == drawn + 1
    dots = [text for text in ax.texts if text.get_text() == "⋮"]
    assert len(dots) == (size > drawn)
    assert len(weights(ax)) == drawn
    shown = [*range(6), *range(size - 6, size)] if size > drawn else range(size)
    strengths = (model.output.weight.abs() / model.output.weight.abs().max()).detach()[0, list(shown)]
    assert [line.get_linewidth() for line in weights(ax)] == pytest.approx((0.3 + 2.7 * strengths).tolist())
    steps = np.diff(sorted(circle.center[1] for circle in units(ax)[:drawn]))
    if size > drawn:
        assert steps == pytest.approx([1] * 5 + [2] + [1] * 5)
        assert dots[0].get_position() == (0, 0)  # in the gap
    else:
        assert steps == pytest.approx(1)


def test_wide_layers_in_the_middle_and_at_the_end_are_cut_too():
    ax = diagrams.network(MLP((2, 20, 30)), numbers=True)
    assert len(units(ax)) == 2 + 12 + 12
    assert len(weights(ax)) == 2 * 12 + 12 * 12
    assert texts(ax).count("⋮") == 2


def test_numbers_are_the_weights_on_their_lines_and_the_biases_below_their_units():
    model = nn.Sequential(
        linear([[1.5, -2.0], [0.25, 0.0]], [-0.5, 3.0]), linear([[-1234.5, 100.0]], [0.001])
    )
    ax = diagrams.network(model, numbers=True)
    for line, number in zip(weights(ax), ["1.5", "−2", "0.25", "0", "−1234", "100"], strict=True):
        (x0, y0), (x1, y1) = line.get_xydata()
        place = (x0 + 0.3 * (x1 - x0), y0 + 0.3 * (y1 - y0))
        (text,) = [text for text in ax.texts if text.get_position() == pytest.approx(place)]
        assert text.get_text() == number
    for circle, number in zip(units(ax)[2:], ["−0.5", "3", "0.001"], strict=True):
        below = [t for t in ax.texts if t.get_position()[0] == circle.center[0] and t.get_va() == "top"]
        nearest = min(below, key=lambda t: abs(t.get_position()[1] - (circle.center[1] - circle.radius)))
        assert nearest.get_text() == number
        assert 0 < circle.center[1] - circle.radius - nearest.get_position()[1] < 0.2
    assert len(ax.texts) == 6 + 3


def test_no_numbers_unless_asked_for():
    assert texts(diagrams.network(MLP((2, 3, 1)))) == []


def test_names_stand_beside_their_units():
    ax = diagrams.network(MLP((2, 3, 2)), inputs=["a", "b"], outputs=["yes", "no"])
    assert texts(ax) == ["a", "b", "yes", "no"]
    for text, circle in zip(ax.texts, [*units(ax)[:2], *units(ax)[-2:]], strict=True):
        assert text.get_position()[1] == circle.center[1]
    inputs, outputs = sorted({text.get_position()[0] for text in ax.texts})
    assert inputs < units(ax)[0].center[0] - diagrams.RADIUS
    assert outputs > units(ax)[-1].center[0] + diagrams.RADIUS
    assert [text.get_ha() for text in ax.texts] == ["right", "right", "left", "left"]


def test_names_of_units_that_are_not_drawn_are_left_out():
    ax = diagrams.network(MLP((20, 1)), inputs=[f"x{i}" for i in range(20)])
    assert texts(ax) == ["⋮", *(f"x{i}" for i in (0, 1, 2, 3, 4, 5, 14, 15, 16, 17, 18, 19))]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"inputs": ["a", "b", "c"]}, r"3 names \['a', 'b', 'c'\] for 2 inputs; give one for each"),
        ({"inputs": ["a"]}, r"1 names \['a'\] for 2 inputs; give one for each"),
        ({"outputs": ["a", "b"]}, r"2 names \['a', 'b'\] for 1 outputs; give one for each"),
    ],
)
def test_names_that_do_not_fit_are_refused(names, words):
    with pytest.raises(ValueError, match=words):
        diagrams.network(MLP((2, 3, 1)), **names)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("options", [{}, {"inputs": ["$x_1$", "$x_2$"], "outputs": ["out"], "numbers": True}])
@pytest.mark.parametrize("sizes", [(2, 1), (2, 3, 1), (2, 40, 7, 1)])
def test_everything_lies_within_the_axes(sizes, options):
    ax = diagrams.network(MLP(sizes), **options)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    for circle in units(ax):
        x, y = circle.center
        assert left < x - circle.radius < x + circle.radius < right
        assert bottom < y - circle.radius < y + circle.radius < top
    ax.figure.canvas.draw()
    for text in ax.texts:
        (x0, y0), (x1, y1) = ax.transData.inverted().transform(text.get_window_extent())
        assert left < x0 < x1 < right
        assert bottom < y0 < y1 < top
    assert ax.get_aspect() == 1
    assert not ax.axison


def test_long_names_widen_the_picture_and_are_not_cut_off():
    ax = diagrams.network(MLP((2, 1)), inputs=["the first of two inputs", "b"], outputs=["the only output"])
    ax.figure.canvas.draw()
    for text in ax.texts:
        extent = text.get_window_extent()
        assert 0 < extent.x0 < extent.x1 < ax.figure.bbox.x1


def test_a_network_is_drawn_where_told_and_else_in_a_figure_that_fits():
    _, chosen = plt.subplots()
    assert diagrams.network(MLP((2, 3, 1)), chosen) is chosen
    small = diagrams.network(MLP((2, 1))).figure.get_size_inches()
    large = diagrams.network(MLP((8, 8, 8, 1))).figure.get_size_inches()
    assert (large > small).all()


# Leaving no trace


class Counting(nn.Tanh):
    """A tanh that knows how often it was used as a module."""

    def __init__(self):
        super().__init__()
        self.register_buffer("uses", torch.zeros(()))

    def forward(self, x):
        self.uses += 1
        return super().forward(x)


@pytest.mark.parametrize("training", [True, False])
def test_drawing_leaves_module_gradients_and_random_numbers_alone(training):
    model = nn.Sequential(
        nn.Linear(2, 3), Counting(), nn.Linear(3, 2), nn.RReLU(), nn.Linear(2, 1), nn.PReLU()
    )
    model.train(training)
    model[0].bias.requires_grad_(False)
    model(torch.ones(4, 2)).sum().backward()
    called = []
    for part in model.modules():
        part.register_forward_hook(lambda *_: called.append(1))
    state = copy.deepcopy(model.state_dict())
    gradients = [copy.deepcopy(p.grad) for p in model.parameters()]
    flags = [p.requires_grad for p in model.parameters()]
    random = torch.get_rng_state()
    diagrams.network(model, numbers=True)
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    for before, parameter in zip(gradients, model.parameters(), strict=True):
        assert (before is None) == (parameter.grad is None)
        assert before is None or torch.equal(before, parameter.grad)
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(part.training is training for part in model.modules())
    assert called == []
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


# Nerve cells


def segments(ax):
    return [line.get_xydata().tolist() for line in ax.lines]


def test_nerve_cells_are_the_same_for_the_same_generator():
    first, again, other = (segments(diagrams.nerve_cells(np.random.default_rng(seed))) for seed in (4, 4, 5))
    assert first == again
    assert first != other


def test_there_are_two_nerve_cells_in_two_colours_with_their_parts_named():
    ax = diagrams.nerve_cells(np.random.default_rng(4))
    bodies = sorted(units(ax), key=lambda circle: -circle.radius)[:2]
    assert [to_hex(body.get_facecolor()) for body in bodies] == [BLUE, ORANGE]
    assert len({line.get_color() for line in ax.lines}) == 2
    parts = [text.split(":")[0] for text in texts(ax)]
    assert parts == ["dendrites", "cell body", "axon", "synapses"]


def test_nerve_cells_lie_within_the_axes():
    for seed in range(5):
        ax = diagrams.nerve_cells(np.random.default_rng(seed))
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        drawn = np.array(list(itertools.chain.from_iterable(segments(ax))))
        assert left <= drawn[:, 0].min() < drawn[:, 0].max() <= right
        assert bottom <= drawn[:, 1].min() < drawn[:, 1].max() <= top
        plt.close("all")


def test_nerve_cells_are_drawn_where_told():
    _, (chosen, other) = plt.subplots(1, 2)
    assert diagrams.nerve_cells(np.random.default_rng(4), chosen) is chosen
    assert not other.has_data()


def test_nerve_cells_need_a_generator():
    with pytest.raises(TypeError, match=r"rng is 4; give a numpy\.random\.Generator, as ddl\.rng\(1\)"):
        diagrams.nerve_cells(4)
    assert plt.get_fignums() == []
