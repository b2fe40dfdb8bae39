"""Images with a finding that is hard to see, and a mark of the scanner that is easy to see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddl.checks import generator, whole_number
from ddl.scenarios.parameters import Table, World, setting

MARK = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]], dtype=np.float32)
"""The letter L, as technicians put it on X-rays to tell left from right."""

FINDING_RADIUS = 1.3
"""Standard deviation of a finding's bump, in pixels."""


@dataclass(frozen=True, eq=False, repr=False)
class Images(Table):
    """Images with what is hidden in them.

    Parameters
    ----------
    x
        Brightness of the pixels, float32, shape (n, size, size). Their noise has standard deviation 1.
    finding
        Whether there is a finding, 0 or 1, shape (n,).
    marked
        Whether the scanner's mark is there, 0 or 1, shape (n,).
    place
        Row and column of the finding's centre, in pixels, shape (n, 2); NaN where there is none.
    """

    x: np.ndarray
    finding: np.ndarray
    marked: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Hospital(World):
    """A hospital: chest images of noise, a faint finding somewhere in the lungs, and a mark in the corner.

    Parameters
    ----------
    size
        Rows and columns of an image.
    finding_contrast
        Height of the finding, in standard deviations of a pixel's noise.
    mark_contrast
        Brightness of the mark, in the same unit.
    correlation
        Share of marked images among those with a finding minus that among those without.
    mark_share
        Mean of these two shares.
    prevalence
        Probability of a finding.
    brightness
        What this scanner adds to every pixel, in standard deviations of a pixel's noise.

    Raises
    ------
    TypeError
        If a parameter is not a number, or ``size`` not whole.
    ValueError
        If it is out of its range, or correlation and share of marks do not go together.

    Examples
    --------
    >>> import ddl
    >>> home = Hospital(correlation=0.8)
    >>> images = home.images(20000, rng=ddl.rng(1))
    >>> sick, well = (images.marked[images.finding == finding].mean() for finding in (1, 0))
    >>> round(float(sick), 1), round(float(well), 1)
    (0.9, 0.1)
    """

    size: int = setting(16, 16, 64, "pixels")
    finding_contrast: float = setting(2.0, 0, 10, "standard deviations of the noise")
    mark_contrast: float = setting(3.0, 0, 10, "standard deviations of the noise")
    correlation: float = setting(0.9, -1, 1, "difference of two shares")
    mark_share: float = setting(0.5, 0, 1, "share of images")
    prevalence: float = setting(0.5, 0.01, 0.99, "share of images")
    brightness: float = setting(0.0, -5, 5, "standard deviations of the noise")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.mark_share - abs(self.correlation) / 2 <= 1 - abs(self.correlation):
            raise ValueError(
                f"with mark_share {self.mark_share} the correlation cannot be {self.correlation}, since the "
                "shares mark_share ± correlation / 2 must lie between 0 and 1; bring mark_share nearer to 0.5"
            )

    @property
    def mark_region(self) -> np.ndarray:
        """Which pixels the mark may touch: a square in the upper right corner, shape (size, size)."""
        region = np.zeros((self.size, self.size), dtype=bool)
        region[:4, -4:] = True
        return region

    def mark(self) -> np.ndarray:
        """Return what the scanner adds to a marked image, float32, shape (size, size)."""
        image = np.zeros((self.size, self.size), dtype=np.float32)
        image[:3, -3:] = self.mark_contrast * MARK
        return image

    def anatomy(self) -> np.ndarray:
        """Return the mean image without finding and mark: two dark lungs, float32, shape (size, size)."""
        return np.where(self.lungs(), -1.0, 1.0).astype(np.float32) + np.float32(self.brightness)

    def lungs(self) -> np.ndarray:
        """Return which pixels belong to the lungs, where findings are, shape (size, size)."""
        across = (np.arange(self.size) + 0.5) / self.size
        row, column = across[:, None], across[None, :]
        return ((abs(column - 0.5) - 0.2) / 0.14) ** 2 + ((row - 0.58) / 0.3) ** 2 < 1

    def images(self, n: int, rng: np.random.Generator) -> Images:
        """Draw images.

        Parameters
        ----------
        n
            Number of images, at least 1.
        rng
            Where the draws come from.

        Returns
        -------
        Images
            Independent draws.

        Raises
        ------
        TypeError, ValueError
            If ``n`` is not a whole number of at least 1, or ``rng`` no generator.
        """
        whole_number("n", n, at_least=1)
        generator(rng)
        finding = (rng.random(n) < self.prevalence).astype(np.int64)
        share = self.mark_share + self.correlation * (finding - 0.5)
        marked = (rng.random(n) < share).astype(np.int64)
        spots = np.argwhere(self.lungs())
        place = spots[rng.integers(len(spots), size=n)].astype(float)
        pixels = np.arange(self.size)
        bumps = np.exp(-((pixels - place[:, :, None]) ** 2) / (2 * FINDING_RADIUS**2))  # (n, 2, size)
        x = rng.normal(size=(n, self.size, self.size)) + self.anatomy()
        x += (self.finding_contrast * finding)[:, None, None] * bumps[:, 0, :, None] * bumps[:, 1, None, :]
        x += marked[:, None, None] * self.mark()
        place[finding == 0] = np.nan
        return Images(x.astype(np.float32), finding, marked, place)

    def paste(self, x: np.ndarray) -> np.ndarray:
        """Return images (n, size, size) with the mark added, and all else as it was."""
        return self._like(x) + self.mark()

    def remove(self, x: np.ndarray) -> np.ndarray:
        """Return marked images (n, size, size) without the mark: the inverse of :meth:`paste`."""
        return self._like(x) - self.mark()

    def _like(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float32)
        if x.shape[-2:] != (self.size, self.size):
            raise ValueError(f"x has shape {x.shape}; give images of {self.size} × {self.size} pixels")
        return x
