"""Which column of a price file is what, and how to read a time and a number in it."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from gridleaf.domain.errors import ConfigError

YEARS = (1990, 2100)
"""No log and no price series is older or newer: what says so is a slip or stands for "unknown"."""
ROLES = ("start", "end", "date", "time", "price", "unit", "area", "sequence")
_HEADER_WITHIN = 20
_START = {
    "start", "startutc", "utcstart", "startlocal", "starttime", "starttimestamp", "starttimeutc",
    "time", "timeutc", "timestamp", "timestamputc", "datetime", "datetimeutc", "utc", "from",
    "fromutc", "validfrom", "deliverystart", "deliverystartutc", "unixseconds", "mtu", "mtuutc",
    "mtucet", "mtucetcest", "mtucestcet", "timeinterval", "interval",
}  # fmt: skip
_LOCAL_START = {"datetimelocal", "timelocal", "localtime"}
_END = {"end", "endutc", "utcend", "endtime", "endtimestamp", "to", "validto", "deliveryend"}
_DATE = {"date", "day", "deliverydate", "deliveryday"}
_TIME = {"timefrom", "starttime", "time", "from"}
_UNIT = {"unit", "units"}
_AREA = {"area", "country", "biddingzone", "zone", "bzn"}
_PRICE = re.compile(
    r"price|preis|prijs|prix|cena|value"
    r"|(eur|gbp|usd|chf|czk|dkk|nok|sek|pln|huf|ron|bgn|ct|cent|p)(per)?[mk]wh"
)
_NO_PRICE = re.compile(r"intraday|imbalance|excvat|exclvat|currency|volume|valid|flag")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
_PLAIN = re.compile(r"[+\-−]?[\d., '\u00a0]+")
_THOUSANDS = re.compile(r"[+\-−]?[1-9]\d{0,2}([.,])\d{3}")
_RANGE = re.compile(r"\s+-\s+")
_CLOCK = re.compile(r"^(\d{1,2})([ab]?):?(\d{2})(?::(\d{2}))?$")
_SLASH = re.compile(
    r"^(\d{1,2})[./](\d{1,2})[./](\d{4})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?$"
)
_SUMMER = re.compile(r"\s*\((CES?T|GMT|BST|UTC|WES?T|EES?T)\)\s*$")
_OFFSETS_H = {"UTC": 0, "GMT": 0, "WET": 0, "BST": 1, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand. ``columns`` maps a role to the index of its column."""

    columns: Mapping[str, int]
    names: tuple[str, ...]
    header_row: int
    zone: str | None
    unit: str | None

    def cell(self, row: Sequence[str], role: str) -> str:
        """The stripped text of a role's cell; "" where the row is too short or the role absent."""
        index = self.columns.get(role)
        return row[index].strip() if index is not None and index < len(row) else ""


@dataclass(frozen=True, slots=True)
class LocalTime:
    """A time as the file writes it: on ``day``, ``minutes`` after its 00:00 label.

    ``fold`` is 0 or 1 where the file itself tells the two passes of a repeated hour apart.
    """

    day: datetime
    minutes: float
    fold: int | None = None

    @property
    def naive(self) -> datetime:
        return self.day + timedelta(minutes=self.minutes)


def text_of(data: bytes) -> str:
    """The text of a file: UTF-16 by its byte-order mark, UTF-8, or else Windows' Western code page."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def rows_of(path: Path, text: str) -> list[list[str]]:
    """The cells of every line; the delimiter is the one the first lines agree on."""
    head = [line for line in text.splitlines()[:_HEADER_WITHIN] if line.strip()]
    counts = {d: sum(min(line.count(d), 30) for line in head) for d in (";", "\t", ",", "|")}
    delimiter = max(counts, key=lambda d: counts[d]) if any(counts.values()) else ","
    lines = cells_of(path, text.splitlines(), delimiter, skipinitialspace=True)
    return [cells for _, cells in lines]


def cells_of(
    path: Path, lines: Iterable[str], delimiter: str, *, skipinitialspace: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line; raises :class:`ConfigError` where a cell has no end."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=skipinitialspace)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise ConfigError(
            f"{path}:{reader.line_num}", f"{error}; is a quotation mark left open?"
        ) from None


def find_layout(
    path: Path, rows: Sequence[Sequence[str]], wanted: Mapping[str, str] | None
) -> Layout:
    """The header among the first lines, and the role of each column.

    ``wanted`` maps roles to column names and goes before everything guessed; ``unit`` may also be
    the unit itself. Raises :class:`ConfigError` when times or prices cannot be found, or when
    several columns could be the price.
    """
    wanted = dict(wanted or {})
    if unknown := sorted(set(wanted) - set(ROLES)):
        raise ConfigError(
            str(path), f"columns: unknown role {unknown[0]!r}; one of {', '.join(ROLES)}"
        )
    seen: list[str] = []
    for number, row in enumerate(rows[:_HEADER_WITHIN]):
        names = tuple(name.strip().strip('"') for name in row)
        columns = _roles(path, names, wanted)
        if columns is not None:
            return _finish(names, columns, number, wanted)
        seen = seen or [name for name in names if name]
    raise ConfigError(
        f"{path}:1",
        "no header with a time and a price column"
        + (f"; found {', '.join(map(repr, seen[:8]))}" if seen else "; the file is empty"),
    )


def _roles(path: Path, names: Sequence[str], wanted: Mapping[str, str]) -> dict[str, int] | None:
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    columns: dict[str, int] = {}
    for role, name in wanted.items():
        if name in names:
            columns[role] = list(names).index(name)
        elif role != "unit":
            return None

    def take(role: str, *choices: set[str]) -> None:
        for choice in choices:
            for index, name in enumerate(plain):
                if role not in columns and name in choice and index not in columns.values():
                    columns[role] = index

    if "start" not in columns:
        take("date", _DATE)
    if "date" in columns:
        take("time", _TIME)
    if "time" not in columns:
        if "date" not in wanted:
            columns.pop("date", None)
        take("start", _START, _LOCAL_START)
    take("end", _END)
    take("unit", _UNIT)
    take("area", _AREA)
    take("sequence", {"sequence"})
    if "price" not in columns:
        prices = [
            i
            for i, name in enumerate(plain)
            if i not in columns.values() and _PRICE.search(name) and not _NO_PRICE.search(name)
        ]
        ahead = [i for i in prices if "dayahead" in plain[i]]
        if len(ahead or prices) > 1:
            several = ", ".join(repr(names[i]) for i in ahead or prices)
            raise ConfigError(str(path), f"several columns may be the price: {several}")
        if prices:
            columns["price"] = (ahead or prices)[0]
    timed = "start" in columns or {"date", "time"} <= set(columns)
    return columns if timed and "price" in columns else None


def _finish(
    names: tuple[str, ...], columns: dict[str, int], number: int, wanted: Mapping[str, str]
) -> Layout:
    clock = names[columns["start"] if "start" in columns else columns["time"]].lower()
    zone = None
    if re.search(r"utc|gmt", clock):
        zone = "UTC"
    elif re.search(r"\bce(s)?t\b", clock):
        zone = "Europe/Brussels"
    elif {"date", "time_from", "time_to", "price_eur_mwh"} <= set(names):
        zone = "Europe/Prague"
    unit = wanted.get("unit") if "unit" not in columns else None
    return Layout(columns, names, number, zone, unit or names[columns["price"]])


def kwh_in(unit: str) -> float | None:
    """What to divide a price by to get currency per kWh, from its unit or a name that holds one.

    ``EUR/MWh``, ``price_eur_mwh``, ``Price (EUR/MWhe)`` give 1000, ``ct/kWh`` and ``p/kWh`` 100,
    ``EUR/kWh`` 1, anything else None.
    """
    text = unit.lower()
    if "mwh" in text:
        return 1000.0
    if re.search(r"(?<![a-z])(eur)?(o?cents?|cts?|p|rp|ore|öre|øre)[ _/]*(per)?[ _/]*kwh", text):
        return 100.0
    return 1.0 if "kwh" in text else None


def number(text: str) -> float | None:
    """A number with a point or a comma, grouped or not; None for anything else (also NaN)."""
    plain = text.replace("−", "-").replace("\u00a0", "").replace(" ", "").replace("'", "")
    if "," in plain:
        if "." in plain and plain.rindex(".") > plain.rindex(","):
            plain = plain.replace(",", "")
        else:
            plain = plain.replace(".", "").replace(",", ".")
    return float(plain) if _NUMBER.match(plain) else None


def decimal_mark(texts: Iterable[str]) -> str:
    """Point or comma: what stands before decimals in most numbers that can be read in one way only.

    "" where no number tells.
    """
    marks: Counter[str] = Counter()
    for text in texts:
        found = [c for c in text if c in ".,"] if _PLAIN.fullmatch(text) else []
        # Of both the last one; a single one unless three digits follow, which may be thousands.
        if len(set(found)) == 2 or (len(found) == 1 and not _THOUSANDS.fullmatch(text)):
            marks[found[-1]] += 1
    return max(marks, key=lambda mark: marks[mark], default="")


def ambiguous(text: str, mark: str) -> bool:
    """Whether ``1,234`` may be a thousand: ``mark`` is another one for decimals."""
    parts = _THOUSANDS.fullmatch(text)
    return parts is not None and mark not in ("", parts[1])


def moment(text: str, *, month_first: bool) -> datetime | LocalTime | None:
    """A time in any of the known notations; of a range ``A - B`` the start.

    Aware for ISO 8601 with an offset, for Unix seconds and milliseconds, and for local times that
    name their offset, ``(CEST)``; a :class:`LocalTime` otherwise. None if it is no time.
    """
    text = _RANGE.split(text.strip(), maxsplit=1)[0].strip()
    offset = None
    if named := _SUMMER.search(text):
        offset = timezone(timedelta(hours=_OFFSETS_H[named[1]]))
        text = text[: named.start()]
    if re.fullmatch(r"\d{10}(\.\d+)?|\d{13}", text):
        seconds = float(text) / (1000 if len(text) == 13 else 1)
        at = datetime.fromtimestamp(seconds, UTC)
        return at if plausible(at) else None
    if parts := _SLASH.match(text):
        first, second, year, hour, minute, second_s = parts.groups()
        day, month = (second, first) if month_first else (first, second)
        text = f"{year}-{month:0>2}-{day:0>2}T{hour or '0':0>2}:{minute or '00'}:{second_s or '00'}"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not plausible(at):
        return None
    if offset is not None and at.tzinfo is None:
        at = at.replace(tzinfo=offset)
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return LocalTime(midnight, (at - midnight).total_seconds() / 60)


def plausible(at: datetime) -> bool:
    """Whether a time is within :data:`YEARS`."""
    return YEARS[0] <= at.year <= YEARS[1]


def day_and_clock(date: str, clock: str, *, month_first: bool) -> LocalTime | None:
    """A date column and a clock column; OTE's ``02a:00``, ``02b:00`` and hours past 24 included."""
    day = moment(date, month_first=month_first)
    parts = _CLOCK.match(clock)
    if parts is None or not isinstance(day, LocalTime):
        return None
    fold = {"a": 0, "b": 1}.get(parts[2])
    return LocalTime(day.day, int(parts[1]) * 60 + int(parts[3]), fold)


def month_comes_first(path: Path, texts: Sequence[str]) -> bool:
    """Whether ``1/2/2024`` is the 2nd of January: only if some row leaves no other reading."""
    first = second = False
    for text in texts:
        if parts := _SLASH.match(_RANGE.split(text.strip(), maxsplit=1)[0].strip()):
            first |= int(parts[1]) > 12
            second |= int(parts[2]) > 12
    if first and second:
        raise ConfigError(str(path), "dates are written day/month and month/day in the same file")
    return second
