"""What vehicles that have not come yet will want."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gridleaf.forecast import ArrivalHistory
from gridleaf.store.port import SessionRecord

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 2, tzinfo=BERLIN)


def session(arrived: datetime, hours: float | None, kwh: float) -> SessionRecord:
    return SessionRecord(
        session_id=arrived.isoformat(),
        station_id="A",
        evse_id=1,
        transaction_id="t",
        id_token=None,
        arrived_at=arrived.astimezone(UTC),
        departed_at=None if hours is None else (arrived + timedelta(hours=hours)).astimezone(UTC),
        charged_kwh=kwh,
    )


def workdays(count: int, hour: float, stay_h: float = 8.0, kwh: float = 16.0) -> ArrivalHistory:
    """One vehicle on each of the workdays of ``count`` days from a Monday on."""
    days = [MONDAY + timedelta(days=d) for d in range(count)]
    return ArrivalHistory.of(
        "Europe/Berlin",
        [session(d + timedelta(hours=hour), stay_h, kwh) for d in days if d.weekday() < 5],
    )


def test_energy_is_spread_over_the_stay_from_the_usual_arrival_on() -> None:
    history = workdays(14, hour=8)
    six = (MONDAY + timedelta(days=14, hours=6)).astimezone(UTC)
    power = history.expected_kw(six, [1.0] * 18)
    assert power == pytest.approx(np.array([0.0] * 2 + [2.0] * 8 + [0.0] * 8))


def test_who_should_have_come_already_is_not_expected_any_more() -> None:
    history = workdays(14, hour=8)
    nine = (MONDAY + timedelta(days=14, hours=9)).astimezone(UTC)
    power = history.expected_kw(nine, [1.0] * 24)
    assert power[:23].max() == 0.0
    assert power[23] == pytest.approx(2.0)


def test_weekends_are_like_weekends_and_days_without_anybody_count() -> None:
    history = workdays(14, hour=8)
    friday_night = (MONDAY + timedelta(days=18, hours=20)).astimezone(UTC)
    assert history.expected_kw(friday_night, [1.0] * 48).max() == 0.0
    days = [MONDAY + timedelta(days=d, hours=8) for d in (0, 1, 2, 3)]
    half = ArrivalHistory.of(
        "Europe/Berlin", [session(days[0], 8, 16.0), session(days[2], 8, 16.0)]
    )
    friday = (MONDAY + timedelta(days=4, hours=6)).astimezone(UTC)
    assert half.expected_kw(friday, [4.0, 4.0])[1] == pytest.approx(2.0 * 2 / 4)


def test_steps_of_any_length_carry_the_same_energy() -> None:
    history = workdays(14, hour=8.4, stay_h=3.3)
    six = (MONDAY + timedelta(days=14, hours=6)).astimezone(UTC)
    fine = history.expected_kw(six, [0.1] * 120)
    coarse = history.expected_kw(six, [0.3, 2.7, 4.0, 5.0])
    assert fine.sum() * 0.1 == pytest.approx(16.0)
    assert coarse @ np.array([0.3, 2.7, 4.0, 5.0]) == pytest.approx(16.0)


def test_what_is_older_than_four_weeks_running_or_empty_teaches_nothing() -> None:
    later = (MONDAY + timedelta(days=60, hours=1)).astimezone(UTC)
    assert workdays(14, hour=8).expected_kw(later, [24.0])[0] == 0.0
    nothing = ArrivalHistory.of(
        "Europe/Berlin",
        [session(MONDAY, None, 16.0), session(MONDAY + timedelta(days=1), 3.0, 0.0)],
    )
    assert nothing.expected_kw((MONDAY + timedelta(days=7)).astimezone(UTC), [24.0])[0] == 0.0
    assert ArrivalHistory("UTC").expected_kw(later, [1.0, 1.0]).tolist() == [0.0, 0.0]


def test_fault_38_arrivals_keep_their_wall_time_across_the_change_to_summer_time() -> None:
    history = workdays(28, hour=8)
    monday = (MONDAY + timedelta(days=28)).replace(hour=6)
    power = history.expected_kw(monday.astimezone(UTC), [1.0] * 12)
    assert monday.utcoffset() == timedelta(hours=2)
    assert power == pytest.approx(np.array([0.0] * 2 + [2.0] * 8 + [0.0] * 2))
