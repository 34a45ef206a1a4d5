"""Reads price files as they come: plain or gzip, any delimiter, local or UTC, EUR/MWh or ct/kWh.

What cannot be used is dropped and said in the notes of the result, never silently.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.prices import PricePoint
from gridleaf.tariff import csv_layout
from gridleaf.tariff.csv_layout import Layout, LocalTime
from gridleaf.tariff.curve import ends_of
from gridleaf.tariff.quality import sift

_MAX_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Prices read from a file, oldest first, without overlaps; ``notes`` say what was wrong."""

    points: tuple[PricePoint, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Row:
    line: int
    at: datetime | LocalTime
    end: datetime | None
    price: float
    start: datetime | None = None


@dataclass(slots=True)
class _Notes:
    """Counts of each kind of trouble with its first example."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, example: str, times: int = 1) -> None:
        self.counts[what] += times
        self.first.setdefault(what, example)

    def sentences(self) -> tuple[str, ...]:
        return tuple(f"{n} {what}, first: {self.first[what]}" for what, n in self.counts.items())


def read_price_csv(
    path: Path, *, timezone: str | None = None, columns: Mapping[str, str] | None = None
) -> PriceSeries:
    """Read a price file.

    Known without options: a ``start`` in ISO 8601 or Unix time with a price column; the exports of
    the ENTSO-E transparency platform, old and new; Ember's hourly prices; OTE's date, time_from,
    time_to (local time of Prague). The unit comes from the name of the price column or from a
    ``unit`` column; a name without one means currency per kWh.

    Parameters
    ----------
    path
        CSV, semicolon- or tab-separated, optionally gzipped.
    timezone
        IANA zone of local times, where neither the times nor the header (``Datetime (UTC)``,
        ``MTU (CET/CEST)``) nor the layout (OTE) says it.
    columns
        Column names by role (``start``, ``end``, ``date``, ``time``, ``price``, ``unit``, ``area``,
        ``sequence``) where they cannot be guessed; ``unit`` may be a unit, e.g. ``EUR/MWh``.

    Raises
    ------
    ConfigError
        With path, line and reason, when the file cannot be read as prices at all.
    """
    if timezone is not None:
        _zone(path, timezone)
    rows = csv_layout.rows_of(path, _text(path))
    layout = csv_layout.find_layout(path, rows, columns)
    notes = _Notes()
    body = list(_body(path, rows, layout, notes))
    if not body:
        raise ConfigError(
            f"{path}:{layout.header_row + 2}",
            "; ".join(("no row with a time and a price", *notes.sentences())),
        )
    _place(path, body, layout.zone or timezone, notes)
    points = _points(_unique(body, notes), notes)
    believed, refused = sift(points)
    for item in refused:
        notes.add("prices quarantined", f"{_iso(item.point.start)} {item.reason}")
    if not believed:
        raise ConfigError(str(path), f"no plausible price; is the unit right? {refused[0].reason}")
    _note_gaps(believed, notes)
    return PriceSeries(tuple(believed), notes.sentences())


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            with gzip.open(path) as unpacked:
                data = unpacked.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(str(path), getattr(error, "strerror", None) or str(error)) from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(str(path), f"larger than {_MAX_BYTES // 1_000_000} MB")
    return csv_layout.text_of(data)


def _body(
    path: Path, rows: Sequence[Sequence[str]], layout: Layout, notes: _Notes
) -> Iterator[_Row]:
    """Rows that hold a time and a price of the wanted auction; the others go to the notes."""
    first = layout.header_row + 1
    mark = csv_layout.decimal_mark(layout.cell(row, "price") for row in rows[first:])
    times = [layout.cell(row, "date") or layout.cell(row, "start") for row in rows[first:]]
    month_first = csv_layout.month_comes_first(path, times)
    in_name = None if layout.unit is None else csv_layout.kwh_in(layout.unit)
    divisors: dict[str, float | None] = {"": in_name or 1.0}
    areas: dict[str, int] = {}
    for line, row in enumerate(rows[first:], first + 1):
        if not any(cell.strip() for cell in row):
            continue
        if any(cell.strip() for cell in row[len(layout.names) :]):
            notes.add(
                "rows dropped that have more cells than the header", f"line {line} {_brief(row)}"
            )
            continue
        if layout.cell(row, "sequence").lower() not in _FIRST_AUCTION:
            notes.add("rows of another auction dropped", f"line {line}")
            continue
        areas.setdefault(layout.cell(row, "area"), line)
        if len(areas) > 1:
            raise ConfigError(
                f"{path}:{line}",
                f"holds prices of several areas ({', '.join(map(repr, areas))}); keep one",
            )
        at: datetime | LocalTime | None
        if "date" in layout.columns:
            at = csv_layout.day_and_clock(
                layout.cell(row, "date"), layout.cell(row, "time"), month_first=month_first
            )
        else:
            at = csv_layout.moment(layout.cell(row, "start"), month_first=month_first)
        if at is None:
            notes.add("rows dropped whose time cannot be read", f"line {line} {_brief(row)}")
            continue
        cell = layout.cell(row, "price")
        price = csv_layout.number(cell)
        if csv_layout.ambiguous(cell, mark):
            notes.add(
                "rows dropped whose price can be read in two ways, decimals or thousands",
                f"line {line} {cell!r}",
            )
            continue
        if price is None:
            notes.add("rows dropped whose price is not a number", f"line {line} {cell!r}")
            continue
        unit = layout.cell(row, "unit")
        if unit not in divisors:
            divisors[unit] = csv_layout.kwh_in(unit)
        divisor = divisors[unit]
        if divisor is None:
            raise ConfigError(f"{path}:{line}", f"unknown unit {unit!r}")
        end = csv_layout.moment(layout.cell(row, "end"), month_first=month_first)
        yield _Row(line, at, end if isinstance(end, datetime) else None, price / divisor)


_FIRST_AUCTION = {"", "1", "sequence 1", "without sequence", "sequence sequence 1"}


def _place(path: Path, body: Sequence[_Row], zone: str | None, notes: _Notes) -> None:
    """Give every row its start in UTC; rows of local time day by day, in the order of the file."""
    local = [row for row in body if isinstance(row.at, LocalTime)]
    for row in body:
        if isinstance(row.at, datetime):
            row.start = row.at
    if not local:
        return
    if zone is None:
        raise ConfigError(
            f"{path}:{local[0].line}",
            "times without an offset: say which zone they are in (timezone, e.g. Europe/Berlin)",
        )
    tz = _zone(path, zone)
    if _local(local[0]).naive > _local(local[-1]).naive:
        local.reverse()
    for day, group in groupby(local, key=lambda row: _local(row).day):
        _place_day(day, list(group), tz, notes)


def _zone(path: Path, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(str(path), f"unknown time zone {name!r}") from None


def _place_day(day: datetime, rows: Sequence[_Row], zone: ZoneInfo, notes: _Notes) -> None:
    midnight = day.replace(tzinfo=zone).astimezone(UTC)
    next_midnight = (day + timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC)
    hours = round((next_midnight - midnight) / timedelta(hours=1))
    if hours == 24:
        for row in rows:
            row.start = midnight + timedelta(minutes=_local(row).minutes)
        return
    if len(rows) in (hours, 2 * hours, 4 * hours):
        # A complete day of 23 or 25 hours: files label it in many ways, but all keep the order.
        slot = timedelta(hours=hours) / len(rows)
        for number, row in enumerate(rows):
            row.start = midnight + number * slot
        return
    passes: Counter[float] = Counter()
    for row in rows:
        at = _local(row)
        fold = at.fold if at.fold is not None else passes[at.minutes] % 2
        passes[at.minutes] += 1
        candidates = {f: at.naive.replace(tzinfo=zone, fold=f).astimezone(UTC) for f in (0, 1)}
        if candidates[0].astimezone(zone).replace(tzinfo=None) != at.naive:
            notes.add(
                "rows dropped in the hour that the clocks skip", f"line {row.line} {at.naive}"
            )
            continue
        row.start = candidates[fold]


def _local(row: _Row) -> LocalTime:
    assert isinstance(row.at, LocalTime)
    return row.at


def _unique(body: Sequence[_Row], notes: _Notes) -> list[_Row]:
    """One row per start, oldest first; of two that contradict each other the later in the file."""
    kept: dict[datetime, _Row] = {}
    for row in body:
        if row.start is None:
            continue
        before = kept.get(row.start)
        if before is not None and before.price == row.price:
            notes.add("duplicate rows with the same price dropped", f"line {row.line}")
            continue
        if before is not None:
            notes.add(
                "rows contradict an earlier one, the later kept",
                f"lines {before.line} and {row.line}",
            )
        kept[row.start] = row
    return [kept[start] for start in sorted(kept)]


def _points(rows: Sequence[_Row], notes: _Notes) -> list[PricePoint]:
    starts = [row.start for row in rows if row.start is not None]
    points = []
    for row, start, end in zip(rows, starts, ends_of(starts), strict=True):
        if row.end is not None and row.end <= start:
            notes.add("ends before their start ignored", f"line {row.line}")
        elif row.end is not None:
            end = row.end
        points.append(PricePoint(start=start, end=end, price_per_kwh=row.price))
    return points


def _note_gaps(points: Sequence[PricePoint], notes: _Notes) -> None:
    missing = timedelta()
    first: datetime | None = None
    gaps = 0
    for before, after in pairwise(points):
        if after.start > before.end:
            gaps += 1
            missing += after.start - before.end
            first = first or before.end
    if first is not None:
        hours = missing / timedelta(hours=1)
        notes.add(f"gaps, {hours:g} h without a price", _iso(first), gaps)
    negative = sum(point.price_per_kwh < 0 for point in points)
    if negative:
        lowest = min(points, key=lambda point: point.price_per_kwh)
        notes.add(
            "negative prices kept",
            f"the lowest {lowest.price_per_kwh:g} at {_iso(lowest.start)}",
            negative,
        )


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%MZ")


def _brief(row: Sequence[str]) -> str:
    return repr(", ".join(row)[:40])
