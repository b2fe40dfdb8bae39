"""A housing market that changes: prices, what is on sale, and what buyers like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddl.checks import generator, whole_number
from ddl.scenarios.parameters import Table, World, setting

FEATURES = ("area", "rooms", "age", "distance", "month")
UNITS = ("m²", "rooms", "years", "km", "months")
LIMITS = ((20.0, 400.0), (1.0, 12.0), (0.0, 150.0), (0.0, 60.0), (0.0, 600.0))
"""Smallest and largest value of each feature that the market ever has."""

TYPICAL_PRICE, TYPICAL_AREA, AREA_PER_ROOM = 300.0, 95.0, 28.0


@dataclass(frozen=True, eq=False, repr=False)
class Sales(Table):
    """Houses sold.

    Parameters
    ----------
    x
        float32, shape (n, 5): area in square metres, rooms, age in years, distance to the centre in
        kilometres, and the month of the sale.
    price
        In thousands of euros, shape (n,).
    value
        The price without the chance of the single sale, in thousands of euros, shape (n,).
    month
        Month of the sale, counted from 0, shape (n,).
    """

    x: np.ndarray
    price: np.ndarray
    value: np.ndarray
    month: np.ndarray

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of ``x``."""
        return FEATURES


@dataclass(frozen=True)
class HousingMarket(World):
    """A housing market with a regime change.

    Until ``change_month`` prices grow steadily. From then on three things change, each by a parameter of its
    own: growth at once; what is on sale (larger houses farther out) and what buyers like (less the centre)
    over ``ramp`` months.

    Parameters
    ----------
    change_month
        First month of the new regime, counted from 0; 600 for a market without one.
    growth, growth_after
        Growth of prices before and after, in per cent a month (of the logarithm of the price).
    mix_shift
        How far the houses on sale move, in standard deviations of the logarithm of distance; in area, half as
        far.
    taste_shift
        By which share the loss of value with distance shrinks.
    ramp
        Months until houses on sale and tastes have changed; 0 for at once.
    noise
        Standard deviation of the chance in a single price, of its logarithm.

    Raises
    ------
    TypeError
        If a parameter is not a number, or not whole where it counts months.
    ValueError
        If it is out of its range.

    Examples
    --------
    >>> import ddl
    >>> market = HousingMarket(change_month=600, noise=0.05)
    >>> sales = market.sales(0, 12, per_month=50, rng=ddl.rng(1))
    >>> sales.x.shape, int(sales.month.max())
    ((600, 5), 11)
    """

    change_month: int = setting(42, 0, 600, "months")
    growth: float = setting(0.4, -5, 5, "per cent a month")
    growth_after: float = setting(-1.5, -5, 5, "per cent a month")
    mix_shift: float = setting(0.8, 0, 3, "standard deviations of log distance")
    taste_shift: float = setting(0.0, 0, 1, "share of the loss of value with distance")
    ramp: int = setting(6, 0, 60, "months")
    noise: float = setting(0.08, 0, 1, "standard deviations of the logarithm of the price")

    def sales(self, first: int, last: int, per_month: int, rng: np.random.Generator) -> Sales:
        """Draw the houses sold in some months.

        Parameters
        ----------
        first, last
            The months: ``first`` to ``last`` − 1, counted from 0.
        per_month
            Number of sales in each of them.
        rng
            Where the draws come from.

        Returns
        -------
        Sales
            In the order of their months.

        Raises
        ------
        TypeError, ValueError
            If a number is not whole or too small, there is no month, or ``rng`` is no generator.
        """
        whole_number("first", first, at_least=0)
        whole_number("per_month", per_month, at_least=1)
        if whole_number("last", last, at_least=1) <= first:
            raise ValueError(f"months {first} to {last} − 1 are none; let last be larger than first")
        generator(rng)
        month = np.repeat(np.arange(first, last), per_month)
        n, changed = len(month), self.changed(month)
        shift = self.mix_shift * changed
        area = TYPICAL_AREA * np.exp(0.35 * (rng.normal(size=n) + 0.5 * shift))
        distance = 10.0 * np.exp(0.5 * (rng.normal(size=n) + shift))
        age = 40.0 * rng.gamma(2.0, 0.5, size=n)
        rooms = np.rint(area / AREA_PER_ROOM + 0.7 * rng.normal(size=n))
        columns = zip((area, rooms, age, distance, month), LIMITS, strict=True)
        x = np.column_stack([np.clip(column.astype(float), *limits) for column, limits in columns])
        value = self.value(x)
        price = value * np.exp(self.noise * rng.normal(size=n))
        return Sales(x.astype(np.float32), price, value, month)

    def changed(self, month: np.ndarray) -> np.ndarray:
        """Return how far the change has come by each month, from 0 to 1."""
        since = np.asarray(month) - self.change_month
        return (since >= 0).astype(float) if self.ramp == 0 else np.clip((since + 1) / self.ramp, 0, 1)

    def value(self, x: np.ndarray) -> np.ndarray:
        """Return what houses (n, 5) are worth, in thousands of euros, shape (n,)."""
        area, rooms, age, distance, month = np.asarray(x, dtype=float).T
        before, after = np.minimum(month, self.change_month), np.maximum(month - self.change_month, 0)
        per_km = 0.025 * (1 - self.taste_shift * self.changed(month))
        logarithm = (
            0.85 * np.log(area / TYPICAL_AREA)
            + 0.04 * (rooms - area / AREA_PER_ROOM)
            - 0.006 * age
            + 4e-5 * age**2
            - per_km * distance
            + (self.growth * before + self.growth_after * after) / 100
        )
        return TYPICAL_PRICE * np.exp(logarithm)
