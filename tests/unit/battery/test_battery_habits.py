"""What the age of a pack tells before anything is measured: the mean of its cells, an honest spread."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridleaf.battery import habits
from gridleaf.battery.ageing import simulate
from gridleaf.battery.catalogue import catalogue
from gridleaf.battery.habits import OLDEST_Y, Use, fade_of, history
from gridleaf.battery.health import LEAST_SOH, UNKNOWN_AGE_Y, linear_fade, prior
from gridleaf.battery.wear import ageing_model

PACKS = sorted(catalogue().packs)
ages = st.floats(0.0, 30.0)


def band(battery: str, age_y: float, mean_c: float = 20.0) -> tuple[float, float]:
    """Where the health of nine of ten packs of this age is expected to be."""
    soh, sd = fade_of(battery, mean_c)(age_y)
    reach = math.exp(NormalDist().inv_cdf(0.95) * sd / soh)
    return soh / reach, soh * reach


def test_an_old_lfp_pack_is_expected_to_hold_more_than_an_old_leaf() -> None:
    lfp, leaf = fade_of("van-lfp-75", 20.0), fade_of("nissan-leaf-24", 20.0)
    for age_y in (3.0, 6.0, 10.0):
        assert lfp(age_y)[0] > linear_fade(age_y)[0] > leaf(age_y)[0]
    assert lfp(10.0)[0] - leaf(10.0)[0] > 0.15


@pytest.mark.parametrize("battery", PACKS)
def test_the_mean_is_what_the_model_of_the_cells_says_at_the_end_of_each_year(battery: str) -> None:
    model, fade = ageing_model(battery), fade_of(battery, 20.0)
    assert model is not None
    left = simulate(model, history("unmanaged", Use()), 9).relative_capacity
    assert [fade(year)[0] for year in range(1, 10)] == pytest.approx(list(left))


@given(battery=st.sampled_from(PACKS), younger=ages, older=ages)
def test_who_is_older_is_not_expected_to_hold_more(
    battery: str, younger: float, older: float
) -> None:
    younger, older = sorted((younger, older))
    fade = fade_of(battery, 20.0)
    assert LEAST_SOH <= fade(older)[0] <= fade(younger)[0] <= 1.0
    assert fade(older)[1] >= fade(younger)[1]


@given(battery=st.sampled_from(PACKS), age_y=ages)
def test_to_know_the_cells_makes_no_age_tell_more_than_it_does(battery: str, age_y: float) -> None:
    assert fade_of(battery, 20.0)(age_y)[1] >= linear_fade(age_y)[1] - 1e-12


def test_a_pack_of_unknown_cells_is_expected_to_fade_like_the_fleet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(habits, "ageing_model", lambda battery: None)
    assert fade_of.__wrapped__("van-lfp-75", 20.0) is linear_fade


def test_where_it_is_warmer_less_is_left() -> None:
    for battery in PACKS:
        assert fade_of(battery, 30.0)(8.0)[0] < fade_of(battery, 10.0)(8.0)[0], battery


@pytest.mark.parametrize("battery", PACKS)
def test_other_charging_and_climates_lie_within_the_spread(battery: str) -> None:
    model = ageing_model(battery)
    assert model is not None
    low, high = band(battery, 10.0)
    for habit in ("unmanaged", "delayed"):
        for mean_c in (10.0, 27.0):
            left = simulate(model, history(habit, Use(mean_c=mean_c)), 10).relative_capacity[-1]
            assert low < left < high, (habit, mean_c)


@pytest.mark.parametrize(
    ("age_y", "mean_c", "soh"),
    [
        (2.0, 13.0, 1 - 2 * 0.031),  # Myall et al. 2018, New Zealand, 24 kWh
        (4.6, 13.0, 0.85),  # the same
        (5.0, 20.0, 1 - 5 * 0.042),  # Geotab 2019, Leaf 2015
        (10.0, 20.0, 0.60),  # Gao et al. 2024, retired packs, the lower end
        (10.0, 20.0, 0.67),  # the same, the upper end
    ],
)
def test_leafs_as_the_field_has_found_them_lie_within_the_spread(
    age_y: float, mean_c: float, soh: float
) -> None:
    low, high = band("nissan-leaf-24", age_y, mean_c)
    assert low < soh < high


def test_nothing_is_known_beyond_the_oldest_age_but_the_spread_grows() -> None:
    fade = fade_of("nissan-leaf-40", 20.0)
    assert fade(OLDEST_Y + 5.0)[0] == fade(float(OLDEST_Y))[0]
    assert fade(OLDEST_Y + 5.0)[1] > fade(float(OLDEST_Y))[1]


def test_a_battery_of_unknown_age_is_less_known() -> None:
    at, fade = datetime(2026, 5, 11, tzinfo=UTC), fade_of("van-lfp-75", 20.0)
    of_age = prior(75.0, at, at - UNKNOWN_AGE_Y * timedelta(days=365.25), fade)
    of_no_age = prior(75.0, at, None, fade)
    assert of_no_age.mean == pytest.approx(of_age.mean)
    assert of_no_age.relative_sd > of_age.relative_sd
