"""Fault 38: days of 23 h and 25 h, leap day, change of the time zone.

Required: the energies of slots sum exactly; no slot is repeated or missing.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gridleaf.domain.site import Tariff
from gridleaf.tariff import DemandMeter, PriceBook, PriceCurve, billing_month, read_price_csv
from price_fakes import JumpClock, PriceShelf, ScriptedSource, contiguous, series, utc

DAYS = [("2026-03-29", 23), ("2026-10-25", 25), ("2028-02-29", 24)]
PRAGUE = ZoneInfo("Europe/Prague")


def local_midnight(date: str, days: int = 0) -> datetime:
    day = datetime.fromisoformat(date) + timedelta(days=days)
    return day.replace(tzinfo=PRAGUE).astimezone(UTC)


@pytest.mark.parametrize(("date", "hours"), DAYS)
@pytest.mark.parametrize("minutes", [15, 60])
def test_a_local_file_has_each_slot_of_the_day_once(
    tmp_path: Path, date: str, hours: int, minutes: int
) -> None:
    rows, at = ["date,time_from,time_to,price_eur_mwh"], local_midnight(date)
    number = 0
    while at < local_midnight(date, 1):
        local = at.astimezone(PRAGUE)
        rows.append(f"{local:%Y-%m-%d},{local:%H:%M},x,{number}")
        at += timedelta(minutes=minutes)
        number += 1
    path = tmp_path / "day.csv"
    path.write_text("\n".join(rows))
    points = read_price_csv(path).points
    assert len(points) == hours * 60 // minutes
    assert contiguous(points)
    assert points[0].start == local_midnight(date)
    assert points[-1].end == local_midnight(date, 1)
    assert [round(p.price_per_kwh * 1000) for p in points] == list(range(number))


@pytest.mark.parametrize(("date", "hours"), DAYS)
def test_the_cost_of_a_constant_kilowatt_is_the_sum_of_the_hours(date: str, hours: int) -> None:
    start = local_midnight(date)
    curve = PriceCurve.of(
        series(start.strftime("%Y-%m-%dT%H:%M"), lambda n: 0.01 * (n + 1), hours=hours)
    )
    for step_h in (0.25, 1 / 3, 0.5, 1.0):
        price, known = curve.means(start, [step_h] * round(hours / step_h))
        assert known.all()
        assert price.sum() * step_h == pytest.approx(0.01 * hours * (hours + 1) / 2)


@pytest.mark.parametrize(("date", "hours"), DAYS)
def test_the_book_wants_the_whole_local_day_and_no_more(date: str, hours: int) -> None:
    start = local_midnight(date)
    day = series(start.strftime("%Y-%m-%dT%H:%M"), [0.1] * hours)
    source, clock = ScriptedSource(day), JumpClock(f"{date}T06:00")
    book = PriceBook(source, PriceShelf(), clock)
    asyncio.run(book.refresh(start + timedelta(days=3)))
    assert book.trouble is None
    assert book.curve.covered_until(start) == local_midnight(date, 1)
    assert sum(book.prices(start, [1.0] * hours, Tariff())[2]) == hours


@pytest.mark.parametrize("zone", ["Europe/Prague", "America/New_York", "Australia/Lord_Howe"])
def test_a_year_of_billing_months_has_neither_gap_nor_overlap(zone: str) -> None:
    at, ends = utc("2028-01-15T00:00"), []
    for _ in range(12):
        start, end = billing_month(at, zone)
        assert not ends or start == ends[-1]
        ends.append(end)
        at = end
    assert len(set(ends)) == 12
    local = ends[-1].astimezone(ZoneInfo(zone))
    assert (local.year, local.month, local.day, local.hour) == (2029, 1, 1, 0)


@pytest.mark.parametrize("zone", ["Europe/Prague", "Australia/Lord_Howe"])
@pytest.mark.parametrize("date", ["2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24"])
def test_demand_intervals_around_a_change_of_the_clocks_lose_no_energy(
    zone: str, date: str
) -> None:
    demand = DemandMeter(15, zone)
    start = utc(f"{date}T12:00")
    for minute in range(36 * 60 + 1):
        demand.add(start + timedelta(minutes=minute), 20.0)
    assert demand.peak_kw(start + timedelta(hours=36)) == pytest.approx(20.0)
