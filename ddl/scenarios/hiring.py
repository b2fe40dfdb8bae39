"""A pool of applicants, equally able in two groups, and people who hired with a bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddl.checks import fraction, generator, whole_number
from ddl.scenarios.parameters import Table, World, setting, top

FEATURES = ("work sample", "interview", "grades", "experience", "clubs", "wording")
"""What an application shows: three measures of ability, one of ability and group, two of the group only."""

ABILITY_IN_EXPERIENCE, GAP_IN_EXPERIENCE, NOISE_OF_EXPERIENCE = 0.6, 0.5, 0.8


@dataclass(frozen=True, eq=False, repr=False)
class Applicants(Table):
    """Applicants: what a model may see, and what it may not.

    Parameters
    ----------
    x
        What the application shows, float32, shape (n, 6), columns as in ``feature_names``.
    group
        0 for group A, 1 for group B, shape (n,).
    ability
        The hidden truth, in standard deviations, shape (n,).
    rating
        What people of the past thought of each, in standard deviations of ability, shape (n,).
    hired
        Whether they hired, 0 or 1, shape (n,).
    """

    x: np.ndarray
    group: np.ndarray
    ability: np.ndarray
    rating: np.ndarray
    hired: np.ndarray

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of ``x``."""
        return FEATURES

    def best(self, part: float) -> np.ndarray:
        """Return which applicants are truly among the ablest share of these, shape (n,)."""
        return top(self.ability, fraction("part", part, one=True))


@dataclass(frozen=True)
class Hiring(World):
    """A world of applicants in two groups, A and B, and of people who marked group B down.

    The ability of each is normal with standard deviation 1. People saw it through noise, subtracted ``bias``
    from everybody in group B, and hired those whom they rated highest.

    Parameters
    ----------
    bias
        How much lower people of group B were rated than others as able, in standard deviations of ability.
    proxy
        Distance between the groups' means in each of the two proxies (clubs, wording), whose standard
        deviation within a group is 1. Experience shows half of it, in favour of group A.
    share_b
        Share of applicants who belong to group B.
    ability_gap
        Mean ability of group A minus that of group B, in standard deviations within a group.
    hired_share
        Share of the applicants who are hired.
    measurement_noise
        Standard deviation of the error with which work sample, interview and grades measure ability.
    rating_noise
        Standard deviation of the chance in people's ratings.

    Raises
    ------
    TypeError
        If a parameter is not a number.
    ValueError
        If it is out of its range.

    Examples
    --------
    >>> import ddl
    >>> pool = Hiring(bias=0.0, share_b=0.5).applicants(20000, rng=ddl.rng(1))
    >>> round(float(pool.group[pool.hired == 1].mean()), 1)  # without bias, hires are like applicants
    0.5
    """

    bias: float = setting(1.5, 0, 3, "standard deviations of ability")
    proxy: float = setting(3.0, 0, 4, "standard deviations of a proxy")
    share_b: float = setting(0.4, 0.05, 0.95, "share of applicants")
    ability_gap: float = setting(0.0, -2, 2, "standard deviations of ability")
    hired_share: float = setting(0.2, 0.01, 0.9, "share of applicants")
    measurement_noise: float = setting(0.7, 0.1, 3, "standard deviations of ability")
    rating_noise: float = setting(1.5, 0, 3, "standard deviations of ability")

    PURE_PROXIES = (4, 5)
    """Columns that depend on the group and on nothing else."""
    MIXED = (3,)
    """Columns that depend on the group and on ability."""

    def applicants(self, n: int, rng: np.random.Generator) -> Applicants:
        """Draw a pool of applicants, and let the people of the past hire from it.

        Parameters
        ----------
        n
            Number of applicants, at least 1.
        rng
            Where the draws come from.

        Returns
        -------
        Applicants
            The pool.

        Raises
        ------
        TypeError, ValueError
            If ``n`` is not a whole number of at least 1, or ``rng`` no generator.
        """
        whole_number("n", n, at_least=1)
        generator(rng)
        group = (rng.random(n) < self.share_b).astype(np.int64)
        ability = rng.normal(size=n) - self.ability_gap * group
        measured = ability[:, None] + self.measurement_noise * rng.normal(size=(n, 3))
        side = self.proxy * (group - 0.5)
        experience = (
            ABILITY_IN_EXPERIENCE * ability
            - GAP_IN_EXPERIENCE * side
            + NOISE_OF_EXPERIENCE * rng.normal(size=n)
        )
        proxies = side[:, None] + rng.normal(size=(n, 2))
        rating = ability - self.bias * group + self.rating_noise * rng.normal(size=n)
        x = np.column_stack([measured, experience, proxies]).astype(np.float32)
        return Applicants(x, group, ability, rating, top(rating, self.hired_share).astype(np.int64))
