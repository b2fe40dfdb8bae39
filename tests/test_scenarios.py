"""The simulated worlds: each does what its parameters say, and refuses what they cannot be."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

import ddl
from ddl.scenarios import Applicants, Hiring, Hospital, HousingMarket
from ddl.scenarios.parameters import top

WORLDS = [Hiring(), HousingMarket(), Hospital()]


def draw(world, stream=1):
    """About two thousand cases of a world."""
    generator = ddl.rng(stream)
    if isinstance(world, HousingMarket):
        return world.sales(0, 60, 40, generator)
    return world.applicants(2000, generator) if isinstance(world, Hiring) else world.images(2000, generator)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: type(world).__name__)
def test_the_same_generator_gives_the_same_world(world):
    first, again, other = draw(world), draw(world), draw(world, stream=2)
    for part in fields(first):
        np.testing.assert_array_equal(getattr(first, part.name), getattr(again, part.name))
    assert not np.array_equal(first.x, other.x)
    assert first.x.dtype == np.float32
    assert np.isfinite(first.x).all()


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: type(world).__name__)
def test_every_parameter_says_its_range_and_unit(world):
    for row in world.parameters():
        assert row["from"] <= row["value"] <= row["to"]
        assert row["unit"]
        name, low, high = row["parameter"], row["from"], row["to"]
        for wrong in (low - 1, high + 1):
            with pytest.raises(ValueError, match=f"{name} is {wrong}.*{low:g} and {high:g}"):
                replace(world, **{name: wrong})
        with pytest.raises(TypeError, match=f"{name} is 'much'; give a"):
            replace(world, **{name: "much"})


def test_months_are_whole():
    with pytest.raises(TypeError, match=r"change_month is 3\.5; give a whole number"):
        HousingMarket(change_month=3.5)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: type(world).__name__)
def test_rows_are_taken_from_all_parts(world):
    table = draw(world)
    mask = np.arange(len(table)) % 3 == 0
    for rows in (mask, np.flatnonzero(mask), slice(None, None, 3)):
        some = table[rows]
        assert len(some) == mask.sum()
        for part in fields(table):
            np.testing.assert_array_equal(getattr(some, part.name), getattr(table, part.name)[::3])
    with pytest.raises(ValueError, match="the mask has 3 rows"):
        table[np.ones(3, dtype=bool)]
    with pytest.raises(TypeError, match="rows are 5"):
        table[5]


@pytest.mark.parametrize("n", [0, 2.5])
def test_no_cases_are_refused(n):
    with pytest.raises((TypeError, ValueError), match=f"n is {n}"):
        Hiring().applicants(n, ddl.rng(1))
    with pytest.raises((TypeError, ValueError), match=f"n is {n}"):
        Hospital().images(n, ddl.rng(1))
    with pytest.raises((TypeError, ValueError), match=f"per_month is {n}"):
        HousingMarket().sales(0, 1, n, ddl.rng(1))


def test_a_seed_is_no_generator():
    for call in (Hiring().applicants, Hospital().images):
        with pytest.raises(TypeError, match=r"numpy\.random\.Generator"):
            call(10, 1)
    with pytest.raises(TypeError, match=r"numpy\.random\.Generator"):
        HousingMarket().sales(0, 1, 10, 1)


# ------------------------------------------------------------------ hiring


def test_groups_are_equally_able_unless_told():
    pool = Hiring().applicants(40000, ddl.rng(3))
    gap = Hiring(ability_gap=0.7).applicants(40000, ddl.rng(3))
    assert abs(gap_between(pool, pool.ability)) < 0.04
    assert abs(gap_between(gap, gap.ability) - 0.7) < 0.04
    assert abs(pool.group.mean() - 0.4) < 0.01


def test_bias_marks_group_b_down_and_nobody_else():
    fair, biased = (Hiring(bias=bias).applicants(40000, ddl.rng(4)) for bias in (0.0, 1.2))
    np.testing.assert_array_equal(fair.ability, biased.ability)
    np.testing.assert_allclose(fair.rating - biased.rating, 1.2 * fair.group)
    np.testing.assert_array_equal(fair.x, biased.x)
    assert biased.group[biased.hired == 1].mean() < 0.6 * fair.group[fair.hired == 1].mean()


def test_people_hire_those_whom_they_rated_highest():
    pool = Hiring(hired_share=0.25).applicants(1000, ddl.rng(5))
    assert pool.hired.sum() == 250
    assert pool.rating[pool.hired == 1].min() > pool.rating[pool.hired == 0].max()


def test_proxies_show_the_group_and_measures_do_not():
    pool = Hiring(proxy=2.0).applicants(40000, ddl.rng(6))
    gaps = np.array([gap_between(pool, column) for column in pool.x.T])
    np.testing.assert_allclose(gaps, [0, 0, 0, 1.0, -2.0, -2.0], atol=0.05)
    of_a = pool[pool.group == 0]
    related = np.array([np.corrcoef(column, of_a.ability)[0, 1] for column in of_a.x.T])
    np.testing.assert_allclose(related[:4], [*[1 / np.hypot(1, 0.7)] * 3, 0.6], atol=0.02)
    assert abs(related[4:]).max() < 0.02
    assert pool.x.shape[1] == len(pool.feature_names)
    assert set(Hiring.PURE_PROXIES) | set(Hiring.MIXED) == {3, 4, 5}


def gap_between(pool: Applicants, values):
    """Mean of group A minus mean of group B."""
    return values[pool.group == 0].mean() - values[pool.group == 1].mean()


def test_the_best_are_the_ablest():
    pool = Hiring().applicants(500, ddl.rng(7))
    best = pool.best(0.1)
    assert best.sum() == 50
    assert pool.ability[best].min() > pool.ability[~best].max()
    with pytest.raises(ValueError, match=r"part is 1\.5; give a fraction above 0 and at most 1"):
        pool.best(1.5)


def test_of_equal_scores_the_first_are_chosen():
    assert top(np.zeros(5), 0.4).tolist() == [True, True, False, False, False]
    assert top(np.arange(3), 0.01).sum() == 1


# ------------------------------------------------------------------ houses


def test_houses_stay_within_the_limits_of_the_service():
    from ddl.scenarios.housing import LIMITS

    sales = HousingMarket(mix_shift=3.0).sales(0, 60, 100, ddl.rng(8))
    for column, (low, high) in zip(sales.x.T, LIMITS, strict=True):
        assert low <= column.min() <= column.max() <= high
    assert sales.month.tolist() == np.repeat(np.arange(60), 100).tolist()


def test_prices_grow_at_the_two_rates():
    market = HousingMarket(change_month=10, growth=1.0, growth_after=-2.0, taste_shift=0.0)
    house = np.array([100.0, 4, 20, 5, 0])
    months = np.arange(20)
    x = np.repeat(house[None], 20, axis=0)
    x[:, 4] = months
    growth = 100 * np.diff(np.log(market.value(x)))
    np.testing.assert_allclose(growth, [*[1.0] * 10, *[-2.0] * 9])


def test_the_noise_of_prices_is_that_of_their_logarithm():
    sales = HousingMarket(noise=0.1).sales(0, 50, 400, ddl.rng(9))
    chance = np.log(sales.price / sales.value)
    assert abs(chance.mean()) < 0.003
    assert abs(chance.std() - 0.1) < 0.002
    np.testing.assert_allclose(HousingMarket(noise=0.1).value(sales.x), sales.value, rtol=1e-4)


def test_the_change_comes_when_it_should_and_only_then():
    market = HousingMarket(change_month=30, ramp=4)
    assert market.changed(np.array([0, 29, 30, 31, 33, 50])).tolist() == [0, 0, 0.25, 0.5, 1, 1]
    assert replace(market, ramp=0).changed(np.array([29, 30])).tolist() == [0, 1]
    before = market.sales(0, 30, 50, ddl.rng(10))
    never = replace(market, change_month=600).sales(0, 30, 50, ddl.rng(10))
    np.testing.assert_array_equal(before.price, never.price)


def test_houses_on_sale_move_by_the_shift():
    market = HousingMarket(change_month=10, ramp=0, mix_shift=1.0)
    sales = market.sales(0, 20, 2000, ddl.rng(11))
    for column, moved in ((3, 0.5), (0, 0.175)):
        logarithm = np.log(sales.x[:, column])
        assert abs(logarithm[sales.month >= 10].mean() - logarithm[sales.month < 10].mean() - moved) < 0.02


def test_tastes_shrink_the_loss_with_distance():
    market = HousingMarket(change_month=0, ramp=0, growth_after=0.0, taste_shift=0.4)
    near, far = np.array([[100.0, 4, 20, 0, 5], [100.0, 4, 20, 10, 5]])
    lost = np.log(market.value(near[None]) / market.value(far[None]))[0]
    assert lost == pytest.approx(0.25 * 0.6)


def test_no_months_are_refused():
    with pytest.raises(ValueError, match="months 5 to 5 − 1 are none"):
        HousingMarket().sales(5, 5, 10, ddl.rng(1))


# ------------------------------------------------------------------ hospital


def test_marks_are_as_frequent_as_the_correlation_says():
    images = Hospital(correlation=0.6, mark_share=0.4, prevalence=0.3).images(40000, ddl.rng(12))
    shares = [images.marked[images.finding == finding].mean() for finding in (0, 1)]
    np.testing.assert_allclose(shares, [0.1, 0.7], atol=0.015)
    assert abs(images.finding.mean() - 0.3) < 0.01


def test_shares_outside_zero_to_one_are_refused():
    Hospital(correlation=0.0, mark_share=0.0)
    Hospital(correlation=-1.0, mark_share=0.5)
    for wrong in ({"correlation": 0.9, "mark_share": 0.1}, {"correlation": -0.5, "mark_share": 0.9}):
        with pytest.raises(ValueError, match=f"with mark_share {wrong['mark_share']} the correlation"):
            Hospital(**wrong)


def test_an_image_is_noise_anatomy_finding_and_mark():
    hospital = Hospital(finding_contrast=2.0, mark_contrast=4.0, brightness=0.5)
    plain = replace(hospital, finding_contrast=0.0, mark_contrast=0.0)
    images, without = hospital.images(500, ddl.rng(13)), plain.images(500, ddl.rng(13))
    added = images.x - without.x
    noise = without.x - hospital.anatomy()
    darker = replace(hospital, brightness=0.0).anatomy()
    np.testing.assert_allclose(hospital.anatomy() - darker, 0.5)
    np.testing.assert_allclose(darker, np.where(hospital.lungs(), -1, 1))
    assert abs(noise.std() - 1) < 0.01
    assert abs(noise.mean()) < 0.01
    for image, finding, marked, place in zip(added, images.finding, images.marked, images.place, strict=True):
        rest = image - marked * hospital.mark()
        if finding:
            assert np.unravel_index(rest.argmax(), rest.shape) == tuple(place)
            assert rest.max() == pytest.approx(2.0, abs=1e-5)
            assert hospital.lungs()[tuple(place.astype(int))]
        else:
            assert abs(rest).max() < 1e-5
            assert np.isnan(place).all()


def test_findings_are_everywhere_in_the_lungs_and_never_under_the_mark():
    hospital = Hospital()
    places = hospital.images(5000, ddl.rng(14)).place
    seen = {tuple(place) for place in places[~np.isnan(places[:, 0])].astype(int)}
    assert seen == set(map(tuple, np.argwhere(hospital.lungs())))
    for size in (16, 33, 64):
        larger = Hospital(size=size)
        assert not (larger.lungs() & larger.mark_region).any()
        assert larger.mark()[~larger.mark_region].max() == 0


def test_pasting_adds_the_mark_and_nothing_else():
    hospital = Hospital(mark_contrast=2.5)
    images = replace(hospital, correlation=0.0, mark_share=0.0).images(20, ddl.rng(15))
    pasted = hospital.paste(images.x)
    changed = (pasted != images.x).any(0)
    assert (changed <= hospital.mark_region).all()
    np.testing.assert_allclose((pasted - images.x)[:, changed], 2.5, rtol=1e-5)
    np.testing.assert_allclose(hospital.remove(pasted), images.x, atol=1e-6)
    with pytest.raises(ValueError, match="16 × 16 pixels"):
        hospital.paste(np.zeros((3, 8, 8)))
