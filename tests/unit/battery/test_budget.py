"""How much a vehicle may still give."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from gridleaf.battery.budget import Budget, PredictedFade, allowed_discharge_kwh

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def left(budget: Budget, **changes: Any) -> tuple[float | None, str]:
    base: dict[str, Any] = {"year_kwh": 100.0, "total_kwh": 900.0, "at": NOON}
    return allowed_discharge_kwh(budget, **{**base, **changes})


def test_without_a_bound_there_is_none() -> None:
    assert left(Budget()) == (None, "")


def test_the_tightest_budget_holds_and_is_named() -> None:
    assert left(Budget(per_year_kwh=300, total_kwh=1000)) == (
        100.0,
        "its 1000 kWh in all are given",
    )
    assert left(Budget(per_year_kwh=150, total_kwh=1000))[0] == 50.0


def test_a_budget_that_was_overrun_leaves_nothing_and_never_less() -> None:
    assert left(Budget(per_year_kwh=80))[0] == 0.0


def test_the_floor_leaves_what_the_predicted_fade_leaves() -> None:
    """0.90 now, 2 % lost by time in two years, so 0.11 above 0.75; a kWh takes 1e-5 of it."""
    budget = Budget(floor_soh=0.75, floor_on=date(2028, 5, 1))
    fade = PredictedFade(per_year=0.02, per_kwh=1e-5)
    room, words = left(budget, soh=0.90, fade=fade)
    assert room == pytest.approx(11_000, rel=1e-3)
    assert words == "its health would be below 75% by 2028-05-01"


def test_below_the_floor_by_time_alone_nothing_may_be_given() -> None:
    budget = Budget(floor_soh=0.75, floor_on=date(2030, 5, 1))
    assert left(budget, soh=0.80)[0] == 0.0
    assert left(budget, soh=0.90) == (None, "")


def test_a_floor_bounds_nothing_while_health_is_unknown_or_the_day_has_passed() -> None:
    budget = Budget(floor_soh=0.75, floor_on=date(2026, 1, 1))
    assert left(budget, soh=0.5) == (None, "")
    assert left(Budget(floor_soh=0.75, floor_on=date(2030, 1, 1))) == (None, "")


def test_where_giving_does_not_wear_the_floor_lets_it_give() -> None:
    budget = Budget(floor_soh=0.75, floor_on=date(2028, 5, 1))
    assert left(budget, soh=0.9, fade=PredictedFade(per_year=0.02, per_kwh=-1e-6)) == (None, "")
