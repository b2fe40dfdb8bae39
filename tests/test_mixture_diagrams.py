"""Pictures of mixtures show the parts that the modules have."""

from __future__ import annotations

import copy
import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from torch import nn

from ddl import diagrams
from ddl.models import (
    MLP,
    LeafDensity,
    MeanVariance,
    MixtureDensity,
    MixtureOfExperts,
    SoftMixture,
    hierarchical_mixture,
    mixture_of_mlps,
)
from ddl.plots import BLUE, GREEN, GREY, ORANGE


@pytest.fixture(autouse=True)
def no_figure_is_left():
    with mpl.rc_context():
        yield
    plt.close("all")


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def boxes(ax, colour=None):
    """The boxes with an edge, of one colour if given."""
    found = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch) and patch.get_edgecolor()[3]]
    return [box for box in found if colour is None or to_hex(box.get_edgecolor()) == colour]


def sums(ax):
    return [patch for patch in ax.patches if isinstance(patch, Circle)]


def arrows(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_a_soft_mixture_has_a_box_for_each_expert_and_one_for_its_gate():
    ax = diagrams.mixture(mixture_of_mlps((2, 8, 1), 4, gate=(5,)))
    assert len(boxes(ax, BLUE)) == 4
    assert len(boxes(ax, ORANGE)) == len(sums(ax)) == 1
    assert texts(ax) == [*(f"expert {i}\n2 → 8 → 1" for i in (1, 2, 3, 4)), "gate\n2 → 5 → 4", "Σ"]
    assert len(arrows(ax)) == 5 + 4 + 1 + 1  # in; out of the experts; of the gate; of the sum
    solid = [arrow for arrow in arrows(ax) if arrow.get_linestyle() in ("-", "solid")]
    assert len(solid) == 10


def test_a_tree_has_a_sum_for_each_mixture_and_counts_its_leaves():
    ax = diagrams.mixture(hierarchical_mixture((2, 1), branches=(2, 3)))
    assert [text.split("\n")[0] for text in texts(ax) if "expert" in text] == [
        f"expert {i}" for i in range(1, 7)
    ]
    assert len(boxes(ax, BLUE)) == 6
    assert len(boxes(ax, ORANGE)) == len(sums(ax)) == 3
    mixed = SoftMixture([MLP((2, 1)), mixture_of_mlps((2, 1), 2), nn.Tanh()], nn.Linear(2, 3))
    ax = diagrams.mixture(mixed)
    assert len(boxes(ax, BLUE)) == 4
    assert texts(ax)[-3:] == ["expert 4\ntanh", "gate\n2 → 3", "Σ"]


def test_a_deep_mixture_is_drawn_from_left_to_right():
    model = nn.Sequential(mixture_of_mlps((2, 3), 2), nn.Tanh(), mixture_of_mlps((3, 4), 3), nn.Linear(4, 1))
    ax = diagrams.mixture(model)
    assert len(sums(ax)) == 2
    assert sums(ax)[0].center[0] < sums(ax)[1].center[0]
    grey = sorted(boxes(ax, GREY), key=lambda box: box.get_x())
    assert len(grey) == 2
    assert sums(ax)[0].center[0] < grey[0].get_x() < sums(ax)[1].center[0] < grey[1].get_x()
    assert {"Tanh", "4 → 1"} <= set(texts(ax))


@pytest.mark.parametrize(("experts", "shown"), [(2, 2), (6, 6), (7, 5), (64, 5)])
def test_of_many_sparse_experts_the_first_and_the_last_are_drawn(experts, shown):
    ax = diagrams.mixture(MixtureOfExperts((4, 8, 3), experts, top_k=2, shared=1))
    assert len(boxes(ax, BLUE)) == shown
    assert len(boxes(ax, GREEN)) == len(boxes(ax, ORANGE)) == 1
    assert f"expert {experts}\n4 → 8 → 3" in texts(ax)
    assert f"router 4 → {experts}\n2 of {experts} experts" in texts(ax)
    assert "shared\n4 → 8 → 3" in texts(ax)
    assert ("⋮" in texts(ax)) == (shown < experts)
    assert len(arrows(ax)) == (shown + 2) + (shown + 1) + 2
    assert len(boxes(diagrams.mixture(MixtureOfExperts((4, 3), 3)), GREEN)) == 0


def test_heads_stand_behind_their_backbone_and_stay_apart():
    ax = diagrams.mixture(MeanVariance((1, 50, 40)))
    assert texts(ax) == ["1 → 50 → 40", "mean\n40 → 1", "variance\n40 → 1"]
    assert not sums(ax)
    assert len(arrows(ax)) == 1 + 2 + 2
    ax = diagrams.mixture(MixtureDensity((1,), 3, outputs=2, constant_variance=True))
    assert texts(ax) == ["weights\n1 → 3", "means\n1 → 6", "variances\nconstant"]
    assert len(arrows(ax)) == 3 + 3


def test_leaves_of_a_density_are_normal_distributions():
    ax = diagrams.mixture(LeafDensity(hierarchical_mixture((2, 1))))
    assert len(boxes(ax, BLUE)) == 4
    assert texts(ax)[0] == r"$\mathcal{N}$(expert 1, σ²)" + "\n2 → 1"


@pytest.mark.parametrize(
    "wrap", [lambda tree: tree, LeafDensity, lambda tree: nn.Sequential(nn.Identity(), tree)]
)
def test_with_inputs_the_arrows_are_as_wide_as_the_experts_count(wrap):
    tree, x = hierarchical_mixture((2, 1), branches=(2, 3), seed=0), normal(50, 2)
    ax = diagrams.mixture(wrap(tree), x=x)
    wanted = [*tree.experts[0].gates(x).mean(0), *tree.experts[1].gates(x).mean(0), *tree.gates(x).mean(0)]
    written = [text for text in texts(ax) if text.endswith("%")]
    assert sorted(written) == sorted(f"{share:.0%}" for share in wanted)
    widths = sorted(arrow.get_linewidth() for arrow in arrows(ax) if arrow.get_linewidth() != 1)
    assert widths == pytest.approx(sorted(0.4 + 3.6 * share.item() for share in wanted))


def test_with_inputs_a_sparse_layer_shows_how_often_experts_are_chosen():
    layer, x = MixtureOfExperts((2, 3), 7, noise=1.0, seed=0), normal(50, 2)
    load = layer.eval().route(x).load
    ax = diagrams.mixture(layer.train(), x=x)
    written = [text for text in texts(ax) if text.endswith("%")]
    assert written == [f"{load[i]:.0%}" for i in (0, 1, 2, 3, 6)]


def test_drawing_leaves_no_trace():
    model = nn.Sequential(mixture_of_mlps((2, 3), 2), nn.Dropout(), MixtureOfExperts((3, 3), 4, noise=1.0))
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    diagrams.mixture(model, x=normal(5, 2))
    with pytest.raises(RuntimeError):
        diagrams.mixture(model, x=normal(5, 7))
    assert torch.equal(torch.get_rng_state(), state)
    assert model[1].training
    assert not any(part._forward_pre_hooks for part in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_it_draws_into_given_axes_and_within_their_limits():
    _, ax = plt.subplots()
    assert diagrams.mixture(hierarchical_mixture((2, 1)), ax) is ax
    left, right, bottom, top = ax.axis()
    for box in boxes(ax):
        assert left < box.get_x() < box.get_x() + box.get_width() < right
        assert bottom < box.get_y() < box.get_y() + box.get_height() < top
    heights = sorted((box.get_y(), box.get_y() + box.get_height()) for box in boxes(ax))
    # none overlap
    assert all(above[0] > below[1] + 0.05 for below, above in itertools.pairwise(heights))


def test_texts_fit_into_their_boxes():
    ax = diagrams.mixture(nn.Sequential(MLP((2, 16)), MixtureOfExperts((16, 32, 16), 12, shared=2)))
    ax.figure.canvas.draw()
    frames = [box.get_window_extent() for box in boxes(ax)]
    for text in ax.texts:
        if text.get_text() not in ("Σ", "⋮"):
            extent = text.get_window_extent()
            assert any(
                frame.x0 < extent.x0
                and extent.x1 < frame.x1
                and frame.y0 < extent.y0
                and extent.y1 < frame.y1
                for frame in frames
            ), text.get_text()


def test_a_mixture_inside_an_unknown_module_is_refused():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = MixtureOfExperts((3, 3), 4)

    with pytest.raises(ValueError, match="cannot draw Residual: how it uses the MixtureOfExperts inside"):
        diagrams.mixture(nn.Sequential(nn.Linear(2, 3), Residual()))
