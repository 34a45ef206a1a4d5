"""Charging logs as they come, read into visits with a summary of everything that was wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

from gridleaf.domain.errors import ConfigError
from gridleaf.replay.presets import FIELDS, PRESETS, UNITS, Column, Preset, detect
from gridleaf.replay.quality import LONGEST_STAY, DataQuality, Findings
from gridleaf.replay.table import (
    Table,
    closest,
    day_first,
    factor,
    known,
    later,
    number,
    parse_time,
    read_table,
    seconds,
    to_utc,
)
from gridleaf.tariff.csv_layout import decimal_mark

MAX_POWER_KW = 400.0
"""Above this no EVSE of these logs charges [kW]; 400 kW is the CCS class of today."""
CAPACITY_KWH = (5.0, 700.0)
"""Plausible battery capacities, scooter-like cars to heavy trucks [kWh]."""
_SOCS = ("soc_arrival", "soc_departure")
_TIMES = ("arrival", "departure", "charge_end", "requested_departure")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedVisit:
    """One plug-in as the log has it. Times are UTC, energy at the grid side [kWh], SoC 0..1.

    ``station`` and ``connector`` are the log's own names. ``charge_max_kw`` is the highest power the
    log states for the visit. ``capacity_kwh`` is what the battery can hold at the visit; ``stated_kwh``
    what the log calls its capacity, also where energy and SoC contradict it: that of a worn battery may be
    its capacity when new. ``requested_kwh`` and ``requested_departure_at`` are what the driver
    announced. ``flags`` are the kinds of repairs and doubts (see
    :data:`gridleaf.replay.quality.MEANING`).
    """

    visit_id: str
    arrived_at: datetime
    departed_at: datetime
    energy_kwh: float
    station: str | None = None
    connector: str | None = None
    id_token: str | None = None
    charge_end_at: datetime | None = None
    arrival_soc: float | None = None
    departure_soc: float | None = None
    capacity_kwh: float | None = None
    stated_kwh: float | None = None
    charge_max_kw: float | None = None
    requested_kwh: float | None = None
    requested_departure_at: datetime | None = None
    flags: tuple[str, ...] = ()

    @property
    def stay_h(self) -> float:
        """From plugging in to plugging out [h]."""
        return (self.departed_at - self.arrived_at).total_seconds() / 3600

    @property
    def charging_h(self) -> float | None:
        """From plugging in to the end of charging [h], where the log tells."""
        if self.charge_end_at is None:
            return None
        return (self.charge_end_at - self.arrived_at).total_seconds() / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLog:
    """The usable visits of a log by arrival. ``timezone`` is the zone of the place."""

    visits: tuple[LoggedVisit, ...]
    quality: DataQuality
    timezone: str


def read_sessions(
    path: Path,
    *,
    preset: str | None = None,
    mapping: Mapping[str, str] | None = None,
    timezone: str | None = None,
) -> SessionLog:
    """Read a charging log.

    Parameters
    ----------
    path
        CSV (any delimiter, gzipped or not) or ACN-Data JSON.
    preset
        One of :data:`~gridleaf.replay.presets.PRESETS`; recognised by the header when absent.
    mapping
        Field -> column, on top of the preset; ``Column:unit`` states a unit that the name does not.
    timezone
        IANA zone of times without an offset and of the place; wins over the preset's.

    Raises
    ------
    ConfigError
        The file cannot be read, or it is not known which columns hold arrival, departure and energy.
    """
    table = read_table(path)
    layout = _layout(table, path, preset, mapping or {})
    clock, place = _zones(layout, path, timezone)
    reader = _Reader(table, layout, clock)
    visits = reader.visits()
    if timezone is None and layout.clock is None and layout.timezone is None:
        reader.findings.notes.append(f"times without an offset were read as {clock.key}")
    reader.findings.notes.extend(layout.notes)
    quality = reader.findings.summary(
        source=path.name, preset=layout.name, timezone=place, rows=len(table.rows)
    )
    return SessionLog(visits=tuple(visits), quality=quality, timezone=place)


def _layout(table: Table, path: Path, name: str | None, mapping: Mapping[str, str]) -> Preset:
    if name is not None and name not in PRESETS:
        raise ConfigError("preset", f"no preset {name!r}; there are {', '.join(sorted(PRESETS))}")
    layout = (
        PRESETS[name]
        if name
        else detect(table.header) or Preset(name="mapped", signature=frozenset(), columns={})
    )
    columns = {
        field: column for field, column in layout.columns.items() if column.name in table.header
    }
    for target, source in mapping.items():
        if target not in FIELDS:
            raise ConfigError("map", f"no field {target!r}; there are {', '.join(FIELDS)}")
        column = _column(source, table.header)
        if column is None:
            raise ConfigError("map", f"{path.name} has no column {source!r}")
        columns[target] = column
    missing = [name for name in FIELDS[:3] if name not in columns]
    if missing:
        raise ConfigError(
            str(path),
            f"no column for {', '.join(missing)}; name them with --map (for example "
            f"arrival=Start) or give one of the presets {', '.join(sorted(PRESETS))}. "
            f"The file has {', '.join(table.header)}",
        )
    for name, column in columns.items():
        if table.header.count(column.name) > 1:
            raise ConfigError(str(path), f"several columns are named {column.name!r}, for {name}")
    return replace(layout, columns=columns)


def _column(source: str, header: tuple[str, ...]) -> Column | None:
    if source in header:
        return Column(source)
    name, _, unit = source.rpartition(":")
    stated = next((u for u in UNITS if u == unit), None)
    return Column(name, stated) if name in header and stated else None


def _zones(layout: Preset, path: Path, timezone: str | None) -> tuple[ZoneInfo, str]:
    clock, place = layout.clock, layout.timezone
    for part, zones in layout.clock_by_file.items():
        if part in path.name.lower():
            clock, place = zones
            break
    clock, place = timezone or clock or "UTC", timezone or place or "UTC"
    try:
        return ZoneInfo(clock), ZoneInfo(place).key
    except (KeyError, ValueError, OSError):
        raise ConfigError("timezone", f"unknown time zone {timezone or clock!r}") from None


def _scale(quantity: str, name: str, column: Column) -> float:
    try:
        return factor(quantity, column.name, column.unit)
    except ValueError as error:
        raise ConfigError("map", f"{name}: {error}") from None


class _Excluded(Exception):
    """Why a row is not used."""


@dataclass
class _Doubts:
    """What was found in one row."""

    example: str
    findings: Findings
    flags: list[str] = field(default_factory=list)

    def repaired(self, kind: str, detail: str = "") -> None:
        self.findings.add(kind, "repaired", f"{self.example}{detail and ': '}{detail}")
        self.flags.append(kind)

    def flagged(self, kind: str, detail: str = "") -> None:
        self.findings.add(kind, "flagged", f"{self.example}{detail and ': '}{detail}")
        self.flags.append(kind)


class _Reader:
    """Turns the rows of one table into visits, keeping account of each."""

    def __init__(self, table: Table, layout: Preset, clock: ZoneInfo) -> None:
        self.table = table
        self.columns = layout.columns
        self.clock = clock
        self.findings = Findings()
        self.scale = {
            name: _scale(quantity, name, self.columns[name])
            for quantity, names in {
                "energy": ("energy_kwh", "capacity_kwh", "requested_kwh"),
                "power": ("max_kw",),
                "fraction": ("soc_arrival", "soc_departure"),
                "time": ("charging_time", "idle_time", "stay"),
            }.items()
            for name in names
            if name in self.columns
        }
        self.days_first = day_first(self._texts(*_TIMES))
        # Without evidence a comma in a cell of a comma-separated file may part thousands.
        self.mark = decimal_mark(self._texts(*self.scale)) or ("" if table.decimal_comma else ".")
        self.percent_soc = self._percent_soc()

    def _texts(self, *names: str) -> Iterator[str]:
        """All cells of the columns of these fields."""
        columns = [self.columns[name].name for name in names if name in self.columns]
        return (row.get(column, "") for row in self.table.rows for column in columns)

    def _percent_soc(self) -> bool:
        """Whether the states of charge, given without a unit, can only be per cent."""
        plain = [
            name for name in _SOCS if self.scale.get(name) == 1.0 and not self.columns[name].unit
        ]
        values = []
        for text in filter(known, self._texts(*plain)):
            with suppress(ValueError):
                values.append(number(text, self.mark))
        if not values or not all(1 < value <= 100 for value in values):
            return False
        self.scale |= dict.fromkeys(plain, 0.01)
        return True

    def visits(self) -> list[LoggedVisit]:
        visits: list[LoggedVisit] = []
        seen: set[tuple[object, ...]] = set()
        ids: dict[str, int] = {}
        for line, row in zip(self.table.line, self.table.rows, strict=True):
            doubts = _Doubts(f"row {line}", self.findings)
            try:
                visit = self._visit(row, line, doubts)
                key = (
                    visit.station,
                    visit.connector,
                    visit.arrived_at,
                    visit.departed_at,
                    visit.energy_kwh,
                )
                if key in seen:
                    raise _Excluded("duplicate")
                seen.add(key)
            except _Excluded as why:
                self.findings.add(str(why), "excluded", doubts.example)
                continue
            ids[visit.visit_id] = ids.get(visit.visit_id, 0) + 1
            if ids[visit.visit_id] > 1:
                doubts.repaired("repeated_id", visit.visit_id)
                visit = replace(visit, visit_id=f"{visit.visit_id}#{ids[visit.visit_id]}")
            visits.append(replace(visit, flags=tuple(doubts.flags)))
        return sorted(visits, key=lambda v: (v.arrived_at, v.departed_at, v.visit_id))

    def _text(self, row: Mapping[str, str], name: str) -> str | None:
        column = self.columns.get(name)
        return known(row.get(column.name)) if column else None

    def _value(self, row: Mapping[str, str], name: str, doubts: _Doubts) -> float | None:
        """An optional number in gridleaf's units; what cannot be read is unknown."""
        text = self._text(row, name)
        if text is None:
            return None
        try:
            if name in ("charging_time", "idle_time", "stay"):
                return seconds(text, self.scale[name], self.mark)
            value = number(text, self.mark) * self.scale[name]
        except ValueError:
            doubts.repaired("optional_unparsable", f"{name} {text!r}")
            return None
        return None if value == 0 and self.columns[name].zero_unknown else value

    def _moment(self, row: Mapping[str, str], name: str, doubts: _Doubts) -> datetime | None:
        """An optional time in UTC."""
        text = self._text(row, name)
        if text is None:
            return None
        try:
            moment = parse_time(text, self.days_first)
        except ValueError:
            doubts.repaired("optional_unparsable", f"{name} {text!r}")
            return None
        return moment.astimezone(UTC) if moment.tzinfo else to_utc(moment, self.clock)[0]

    def _visit(self, row: Mapping[str, str], line: int, doubts: _Doubts) -> LoggedVisit:
        if line in self.table.surplus:
            raise _Excluded("surplus_cells")
        texts = {name: self._text(row, name) for name in FIELDS[:3]}
        if any(text is None for text in texts.values()):
            raise _Excluded("missing_value")
        try:
            arrival = parse_time(texts["arrival"] or "", self.days_first)
            departure = parse_time(texts["departure"] or "", self.days_first)
            energy = number(texts["energy_kwh"] or "", self.mark)
        except ValueError:
            raise _Excluded("unparsable_value") from None
        energy *= self.scale["energy_kwh"]
        # Excluded rows are counted once, so their other doubts must not be: judge first, repair after.
        later_doubts = _Doubts(doubts.example, Findings())
        stay_s = self._value(row, "stay", later_doubts)
        arrived, departed, time_doubts = self._stay(arrival, departure, stay_s)
        stay = (departed - arrived).total_seconds()
        if stay <= 0:
            raise _Excluded("not_positive_stay")
        if departed - arrived > LONGEST_STAY:
            raise _Excluded("implausible_stay")
        if energy < 0:
            raise _Excluded("negative_energy")
        if energy == 0:
            raise _Excluded("zero_energy")
        if energy / (stay / 3600) > MAX_POWER_KW:
            raise _Excluded("absurd_power")
        for kind in time_doubts:
            doubts.repaired(kind, f"{texts['arrival']} to {texts['departure']}")
        if stay_s is not None and abs(stay_s - stay) > 120:
            doubts.flagged("stay_disagrees", f"{stay_s / 60:.0f} instead of {stay / 60:.0f} min")
        self._check_zone_label(row, arrived, doubts)
        arrival_soc, departure_soc = self._socs(row, doubts)
        max_kw = self._value(row, "max_kw", doubts)
        if max_kw is not None and not 0 < max_kw <= MAX_POWER_KW:
            doubts.repaired("absurd_max_power", f"{max_kw:g} kW")
            max_kw = None
        if max_kw is not None and energy > max_kw * stay / 3600 * 1.01:
            reachable = max_kw * stay / 3600
            doubts.flagged("energy_unreachable", f"{energy:.2f} of {reachable:.2f} kWh reachable")
        announced = self._moment(row, "requested_departure", doubts)
        if announced is not None and abs(announced - departed) > timedelta(hours=1):
            off = (announced - departed).total_seconds() / 3600
            doubts.flagged("request_disagrees", f"{off:+.1f} h")
        return LoggedVisit(
            visit_id=self._text(row, "id") or f"row-{line}",
            arrived_at=arrived,
            departed_at=departed,
            energy_kwh=energy,
            station=self._text(row, "station"),
            connector=self._text(row, "connector"),
            id_token=self._text(row, "id_token"),
            charge_end_at=self._charge_end(row, arrived, departed, doubts),
            arrival_soc=arrival_soc,
            departure_soc=departure_soc,
            capacity_kwh=self._capacity(row, energy, arrival_soc, departure_soc, doubts),
            stated_kwh=_believable(self._value(row, "capacity_kwh", doubts)),
            charge_max_kw=max_kw,
            requested_kwh=self._value(row, "requested_kwh", doubts),
            requested_departure_at=announced,
        )

    def _stay(
        self, arrival: datetime, departure: datetime, stay_s: float | None
    ) -> tuple[datetime, datetime, list[str]]:
        """Both ends in UTC; of times that exist twice those that fit the stated stay, or any stay."""
        candidates: list[list[datetime]] = []
        doubts: list[str] = []
        for moment in (arrival, departure):
            if moment.tzinfo:
                candidates.append([moment.astimezone(UTC)])
                continue
            first, doubt = to_utc(moment, self.clock)
            candidates.append([first])
            if doubt:
                doubts.append(doubt)
            if doubt == "ambiguous_time":
                candidates[-1].append(later(moment, self.clock))
        pairs = [(a, d) for a, d in product(*candidates) if d > a]
        if not pairs:
            return candidates[0][0], candidates[1][0], doubts
        arrived, departed = closest(pairs, stay_s) if stay_s is not None else pairs[0]
        return arrived, departed, list(dict.fromkeys(doubts))

    def _check_zone_label(self, row: Mapping[str, str], arrived: datetime, doubts: _Doubts) -> None:
        label = self._text(row, "zone_label")
        if label and re.fullmatch(r"[A-Z]{3,4}", label):
            place = _LABELLED.get(label)
            if place and arrived.astimezone(ZoneInfo(place)).tzname() != label:
                doubts.flagged("zone_label_disagrees", f"{label} at {arrived.isoformat()}")

    def _charge_end(
        self, row: Mapping[str, str], arrived: datetime, departed: datetime, doubts: _Doubts
    ) -> datetime | None:
        end = self._moment(row, "charge_end", doubts)
        idle = self._value(row, "idle_time", doubts)
        charging = self._value(row, "charging_time", doubts)
        if end is None and idle is not None:
            end = departed - timedelta(seconds=idle)
        if end is None and charging is not None:
            end = arrived + timedelta(seconds=charging)
        if end is None:
            return None
        if end < arrived:
            doubts.repaired("idle_exceeds_stay", f"idle {idle or 0:.0f} s")
            return None
        # Where the log's times are whole minutes, a part of a minute past the end is no defect.
        exact = departed.second or (idle is not None and idle < 0)
        if end > departed + timedelta(seconds=1 if exact else 60):
            doubts.repaired("negative_idle", f"{(end - departed).total_seconds() / 60:.1f} min")
        return min(end, departed) if end > arrived else None

    def _socs(self, row: Mapping[str, str], doubts: _Doubts) -> tuple[float | None, float | None]:
        socs: list[float | None] = []
        for name in _SOCS:
            soc = self._value(row, name, doubts)
            if soc is not None and not 0 <= soc <= 1:
                doubts.repaired("absurd_soc", f"{name} {soc * 100:g} %")
                soc = None
            socs.append(soc)
        arrival, departure = socs
        if self.percent_soc and any(soc is not None for soc in socs):
            doubts.repaired("percent_soc")
        if arrival is not None and departure is not None and departure < arrival:
            doubts.repaired("falling_soc", f"{arrival * 100:g} % to {departure * 100:g} %")
            return None, None
        return arrival, departure

    def _capacity(
        self,
        row: Mapping[str, str],
        energy: float,
        arrival_soc: float | None,
        departure_soc: float | None,
        doubts: _Doubts,
    ) -> float | None:
        """The stated capacity unless energy and SoC contradict it by more than losses can explain."""
        capacity = self._value(row, "capacity_kwh", doubts)
        if capacity is None:
            return None
        low, high = CAPACITY_KWH
        rise = 1.0
        if arrival_soc is not None and departure_soc is not None:
            # SoC comes in whole per cent: each end may be off by half of one.
            rise = departure_soc - arrival_soc
            low = max(low, energy * 0.7 / (rise + 0.01))
            if rise > 0.01:
                high = min(high, energy * 1.05 / (rise - 0.01))
        low = max(low, energy * 0.7)
        if rise < 0.05 or not low <= capacity <= high:
            doubts.repaired("implausible_capacity", f"{capacity:.1f} kWh for {energy:.1f} kWh")
            return None
        return capacity


def _believable(capacity_kwh: float | None) -> float | None:
    """A capacity that some battery of a road vehicle has."""
    if capacity_kwh is None:
        return None
    low, high = CAPACITY_KWH
    return capacity_kwh if low <= capacity_kwh <= high else None


_LABELLED = {"MST": "America/Denver", "MDT": "America/Denver"}
