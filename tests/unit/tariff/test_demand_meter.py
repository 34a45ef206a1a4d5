from __future__ import annotations

import json
import math
from datetime import datetime, timedelta

import pytest

from gridleaf.tariff import DemandMeter, billing_month
from price_fakes import utc

NOON = utc("2026-01-05T12:00")


def meter(interval_min: int = 15, timezone: str = "Europe/Amsterdam") -> DemandMeter:
    return DemandMeter(interval_min, timezone)


def feed(demand: DemandMeter, start: str, kw: list[float], every_s: float = 60) -> datetime:
    at = utc(start)
    for number, value in enumerate(kw):
        at = utc(start) + timedelta(seconds=every_s * number)
        demand.add(at, value)
    return at


def test_the_peak_is_the_highest_mean_of_a_finished_interval() -> None:
    demand = meter()
    feed(demand, "2026-01-05T12:00", [60.0] * 5 + [0.0] * 10 + [30.0] * 15 + [90.0] * 3)
    assert demand.peak_kw(NOON) == pytest.approx(30.0)


def test_export_does_not_offset_import() -> None:
    demand = meter()
    feed(demand, "2026-01-05T12:00", [40.0] * 8 + [-80.0] * 7 + [0.0])
    assert demand.peak_kw(NOON) == pytest.approx(40 * 8 / 15)


def test_a_sample_holds_until_the_next_but_not_for_ever() -> None:
    demand = meter()
    demand.add(utc("2026-01-05T12:00"), 30.0)
    demand.add(utc("2026-01-05T12:04"), 60.0)
    demand.add(utc("2026-01-05T12:15"), 0.0)
    # 4 min at 30, 5 min at 60, 6 min unknown: more than half is known, the mean is of that.
    assert demand.peak_kw(NOON) == pytest.approx((4 * 30 + 5 * 60) / 9)


def test_a_gap_never_invents_a_peak() -> None:
    demand = meter()
    demand.add(utc("2026-01-05T12:14"), 120.0)
    demand.add(utc("2026-01-05T12:15"), 0.0)
    assert demand.peak_kw(NOON) == pytest.approx(120 * 1 / 15)


def test_a_new_month_starts_from_zero_at_local_midnight() -> None:
    demand = meter(timezone="Europe/Amsterdam")
    feed(demand, "2026-01-31T22:00", [50.0] * 60)
    assert demand.peak_kw(utc("2026-01-31T22:59")) == pytest.approx(50.0)
    feed(demand, "2026-01-31T23:00", [10.0] * 16)
    assert demand.peak_kw(utc("2026-01-31T23:15")) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("at", "timezone", "start", "end"),
    [
        ("2026-01-31T22:59", "Europe/Amsterdam", "2025-12-31T23:00", "2026-01-31T23:00"),
        ("2026-01-31T23:00", "Europe/Amsterdam", "2026-01-31T23:00", "2026-02-28T23:00"),
        ("2028-02-10T00:00", "Europe/Amsterdam", "2028-01-31T23:00", "2028-02-29T23:00"),
        ("2026-03-10T00:00", "Europe/Amsterdam", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("2026-10-31T22:30", "Europe/Amsterdam", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("2026-12-31T12:00", "UTC", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("2026-12-31T20:00", "Asia/Kolkata", "2026-12-31T18:30", "2027-01-31T18:30"),
    ],
)
def test_billing_months_are_calendar_months_of_the_site(
    at: str, timezone: str, start: str, end: str
) -> None:
    assert billing_month(utc(at), timezone) == (utc(start), utc(end))


def test_hours_start_on_the_local_clock() -> None:
    demand = meter(60, "Asia/Kolkata")
    feed(demand, "2026-01-05T12:30", [20.0] * 60 + [80.0] * 30)
    assert demand.peak_kw(NOON) == pytest.approx(20.0)


@pytest.mark.parametrize("start", ["2026-03-28T23:00", "2026-10-24T22:00"])
def test_days_of_23_and_25_hours_have_whole_intervals(start: str) -> None:
    demand = meter()
    at = utc(start)
    for number in range(25 * 4):
        kw = 100.0 if number == 13 else 10.0
        for minute in range(15):
            demand.add(at + timedelta(minutes=15 * number + minute), kw)
    demand.add(at + timedelta(hours=25), 0.0)
    assert demand.peak_kw(at + timedelta(hours=25)) == pytest.approx(100.0)


def test_old_and_unusable_samples_are_ignored() -> None:
    demand = meter()
    feed(demand, "2026-01-05T12:00", [30.0] * 15)
    demand.add(utc("2026-01-05T12:03"), 900.0)
    demand.add(utc("2026-01-05T12:14:30"), math.nan)
    demand.add(utc("2026-01-05T12:15"), 0.0)
    assert demand.peak_kw(NOON) == pytest.approx(30.0)


def test_a_restart_in_the_middle_of_an_interval_changes_nothing() -> None:
    kw = [10.0 + 7 * (n % 11) for n in range(60)]
    whole = meter()
    feed(whole, "2026-01-05T12:00", kw)
    first, second = meter(), meter()
    feed(first, "2026-01-05T12:00", kw[:37])
    second.restore(json.loads(json.dumps(first.state())), utc("2026-01-05T12:37"))
    feed(second, "2026-01-05T12:00", kw)
    assert second.peak_kw(NOON) == whole.peak_kw(NOON)
    assert second.state() == whole.state()


def test_before_any_sample_there_is_nothing() -> None:
    assert meter().peak_kw(NOON) == 0.0


def test_without_a_sample_in_the_new_month_the_old_peak_is_gone() -> None:
    demand = meter(timezone="Europe/Amsterdam")
    feed(demand, "2026-01-31T22:00", [50.0] * 40)
    assert demand.peak_kw(utc("2026-01-31T22:59")) == pytest.approx(50.0)
    assert demand.peak_kw(utc("2026-01-31T23:00")) == 0.0


@pytest.mark.parametrize(("ahead", "kept_kw"), [("2026-01-20", 40.0), ("2026-03-01", 0.0)])
def test_a_state_kept_by_a_clock_that_was_ahead_does_not_blind_the_meter(
    ahead: str, kept_kw: float
) -> None:
    wrong, demand = meter(), meter()
    feed(wrong, f"{ahead}T12:00", [40.0] * 16)
    demand.restore(wrong.state(), NOON)
    assert demand.peak_kw(NOON) == pytest.approx(kept_kw)
    feed(demand, "2026-01-05T12:00", [70.0] * 16)
    assert demand.peak_kw(NOON) == pytest.approx(70.0)
