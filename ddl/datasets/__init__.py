"""Data of the book: real sets that come with installed packages, toy problems, and checked downloads.

Every function returns a :class:`Dataset`. Toy problems draw from the ``numpy.random.Generator`` given.

Examples
--------
>>> import ddl
>>> train, test = ddl.datasets.wine().split(0.7, 0.3, rng=ddl.rng(1))
>>> ddl.datasets.moons(200, noise=0.2, rng=ddl.rng(2))
Dataset(moons: 200 examples × 2 features, 2 classes)
"""

from ddl.datasets.bundled import auto_mpg, digits, fashion_mnist, iris, mnist, wine
from ddl.datasets.curves import (
    four_planes,
    heteroscedastic_sine,
    heteroscedastic_truth,
    inverse_sine,
    noisy_quadratic,
    noisy_sine,
    plane_of,
    sine_line,
    ten_points,
)
from ddl.datasets.dataset import Dataset
from ddl.datasets.download import DownloadError, data_directory
from ddl.datasets.text import Corpus, Windows, dialects
from ddl.datasets.toy import (
    blobs,
    checkerboard,
    circles,
    moons,
    noisy_xor,
    separable,
    spirals,
    split_by_line,
    split_by_parabola,
    xor,
)

__all__ = [
    "Corpus",
    "Dataset",
    "DownloadError",
    "Windows",
    "auto_mpg",
    "blobs",
    "checkerboard",
    "circles",
    "data_directory",
    "dialects",
    "digits",
    "fashion_mnist",
    "four_planes",
    "heteroscedastic_sine",
    "heteroscedastic_truth",
    "inverse_sine",
    "iris",
    "mnist",
    "moons",
    "noisy_quadratic",
    "noisy_sine",
    "noisy_xor",
    "plane_of",
    "separable",
    "sine_line",
    "spirals",
    "split_by_line",
    "split_by_parabola",
    "ten_points",
    "wine",
    "xor",
]
