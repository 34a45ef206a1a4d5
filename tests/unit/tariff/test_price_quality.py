from __future__ import annotations

import math

import pytest

from gridleaf.domain.prices import PricePoint
from gridleaf.tariff.quality import sift
from price_fakes import series

DAY = "2026-01-05T00:00"
RECENT = [0.08] * 24


def test_genuine_negative_prices_and_spikes_are_believed() -> None:
    day = series(DAY, [-0.5, 0.0, 0.08, 0.94, 2.33, 4.0] * 4)
    believed, refused = sift(day, RECENT)
    assert believed == day
    assert refused == []


@pytest.mark.parametrize("wild", [80.0, -80.0, 8.5, 1e9])
def test_a_jump_far_beyond_the_recent_scale_is_refused(wild: float) -> None:
    day = series(DAY, [0.08] * 23 + [wild])
    believed, refused = sift(day, RECENT)
    assert believed == day[:23]
    assert [item.point for item in refused] == day[23:]
    assert "beyond the plausible 8" in refused[0].reason


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    believed, refused = sift(series(DAY, [0.08, bad]), RECENT)
    assert len(believed) == 1
    assert [item.reason for item in refused] == ["not a number"]


def test_an_interval_that_runs_backwards_is_refused() -> None:
    hour = series(DAY, [0.08])[0]
    backwards = PricePoint(start=hour.end, end=hour.start, price_per_kwh=0.08)
    assert [item.reason for item in sift([backwards])[1]] == ["ends before it starts"]


def test_a_first_day_in_the_wrong_unit_is_refused_without_any_history() -> None:
    believed, refused = sift(series(DAY, lambda n: 60.0 + n))
    assert believed == []
    assert len(refused) == 24


def test_a_day_a_thousand_times_too_small_is_refused() -> None:
    believed, refused = sift(series(DAY, lambda n: (60 + n) / 1e6), RECENT)
    assert believed == []
    assert "wrong unit" in refused[0].reason


def test_a_sunny_day_at_almost_nothing_is_believed() -> None:
    day = series(DAY, lambda n: 0.045 if n > 18 else 0.00001 * n)
    assert sift(day, RECENT) == (day, [])


def test_nothing_is_nothing() -> None:
    assert sift([], RECENT) == ([], [])
