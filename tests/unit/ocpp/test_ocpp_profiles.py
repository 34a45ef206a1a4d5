"""Limits that others impose, and names of variables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridleaf.ocpp.profiles import lowest_limit_kw, period_kw
from gridleaf.ocpp.variables import name_of, of_evse, parse, read_v2x, words
from ocpp_fakes import NOW, stamp


def schedule(*periods: tuple[int, float], **change: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": s, "limit": w} for s, w in periods],
        **change,
    }


def lowest(*schedules: dict[str, Any]) -> float | None:
    return lowest_limit_kw(schedules, NOW, 230.0)


def test_the_lowest_limit_from_now_on_counts() -> None:
    assert lowest(schedule((0, 9000), (600, 4000), (1200, 7000))) == 4.0


def test_a_period_that_is_over_no_longer_counts() -> None:
    begun = stamp(NOW - timedelta(minutes=10))
    periods = ((0, 3000), (600, 8000), (1200, 9000))
    assert lowest(schedule(*periods, startSchedule=begun)) == 8.0
    begun = stamp(NOW - timedelta(minutes=10) + timedelta(seconds=1))
    assert lowest(schedule(*periods, startSchedule=begun)) == 3.0


def test_the_last_period_goes_on() -> None:
    begun = stamp(NOW - timedelta(days=1))
    assert lowest(schedule((0, 3000), (600, 8000), startSchedule=begun)) == 8.0


def test_the_lowest_of_several_schedules_counts() -> None:
    assert lowest(schedule((0, 9000)), schedule((0, 5000))) == 5.0


def test_no_schedule_and_no_limit_are_no_limit() -> None:
    assert lowest() is None
    idle = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0}]}
    assert lowest(idle) is None


def test_a_limit_below_zero_leaves_nothing_to_charge_with() -> None:
    assert lowest(schedule((0, -2000))) == 0.0


@pytest.mark.parametrize(
    ("period", "unit", "expected"),
    [
        ({"limit": 16}, "A", 11.04),
        ({"limit": 16, "numberPhases": 1}, "A", 3.68),
        ({"limit": 16, "limit_L2": 10, "limit_L3": 6}, "A", 7.36),
        ({"limit": 16, "limit_L2": 10, "numberPhases": 3}, "A", 5.98),
        ({"limit": 4000, "limit_L2": 3000}, "W", 7.0),
        ({"limit_L2": 3000}, "W", 3.0),
        ({"setpoint": 1}, "W", None),
    ],
)
def test_a_limit_is_a_power_over_all_phases(
    period: dict[str, Any], unit: Any, expected: float | None
) -> None:
    got = period_kw(period, "limit", unit, 230.0)
    assert got == (None if expected is None else pytest.approx(expected))


names = st.text("abcXYZ019 _-", min_size=1, max_size=12)


@given(component=names, variable=names, evse=st.none() | st.integers(1, 999), at=st.none() | names)
def test_a_variable_has_one_name(
    component: str, variable: str, evse: int | None, at: str | None
) -> None:
    name = component + (f".{evse}" if evse else "") + f".{variable}" + (f"[{at}]" if at else "")
    parsed = parse(name)
    assert parsed["component"].get("evse") == ({"id": evse} if evse else None)
    assert parsed["variable"].get("instance") == at
    assert name_of(parsed) == name


def test_a_component_may_have_an_instance() -> None:
    name = "Connector[left].2.Power[max]"
    assert parse(name)["component"] == {"name": "Connector", "instance": "left", "evse": {"id": 2}}
    assert name_of(parse(name)) == name


def test_a_variable_of_one_evse() -> None:
    assert of_evse("V2XChargingCtrlr.Enabled", 3) == "V2XChargingCtrlr.3.Enabled"


@pytest.mark.parametrize(
    ("value", "enabled"), [("true", True), ("TRUE", True), (" true ", True), ("false", False), ("", False), ("1", False)]
)  # fmt: skip
def test_only_true_is_true(value: str, enabled: bool) -> None:
    assert read_v2x({"V2XChargingCtrlr.Enabled": value}, 0).enabled is enabled


def test_a_list_of_words() -> None:
    assert words(" A, B ,,C") == ("A", "B", "C")
    assert words("") == ()
