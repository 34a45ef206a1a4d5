"""Tables as they come: CSV with any delimiter, gzipped or not, and ACN's JSON; and their values."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gridleaf.domain.errors import ConfigError

_NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text by column name. ``line`` is the number of each row in its file."""

    header: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    line: tuple[int, ...]
    decimal_comma: bool = False


def read_table(path: Path) -> Table:
    """Read a CSV (delimiter sniffed, gz by content) or an ACN-Data JSON file.

    Raises
    ------
    ConfigError
        The file cannot be read or holds no rows.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"neither text in UTF-8 nor gzipped text: {error}") from None
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None
    if text.lstrip()[:1] in ("{", "["):
        return _read_json(text, path)
    return _read_csv(text, path)


def _read_csv(text: str, path: Path) -> Table:
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = tuple(name.strip() for name in next(reader, []))
    rows: list[dict[str, str]] = []
    line: list[int] = []
    for cells in reader:
        if any(cell.strip() for cell in cells):
            rows.append({name: cell.strip() for name, cell in zip(header, cells, strict=False)})
            line.append(reader.line_num)
    if not rows:
        raise ConfigError(str(path), "no rows")
    return Table(
        header=header, rows=tuple(rows), line=tuple(line), decimal_comma=delimiter in ";\t"
    )


def _read_json(text: str, path: Path) -> Table:
    """ACN-Data's API answer: ``{"_items": [...]}``; of several user inputs the last one holds."""
    try:
        data: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(str(path), f"not valid JSON: {error}") from None
    items = data.get("_items") if isinstance(data, dict) else data
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ConfigError(str(path), 'expected a list of sessions, or {"_items": [...]}')
    rows = []
    for item in items:
        flat = {key: value for key, value in item.items() if not isinstance(value, list | dict)}
        for said in item.get("userInputs") or []:
            flat |= {key: value for key, value in said.items() if key != "userID"}
        rows.append({key: "" if value is None else str(value) for key, value in flat.items()})
    if not rows:
        raise ConfigError(str(path), "no sessions")
    header = tuple(dict.fromkeys(key for row in rows for key in row))
    return Table(header=header, rows=tuple(rows), line=tuple(range(1, len(rows) + 1)))


def known(text: str | None) -> str | None:
    """The text, or None for what stands for "no value"."""
    return None if text is None or text.strip().lower() in _NOTHING else text.strip()


def number(text: str, decimal_comma: bool = False) -> float:
    """A finite number; raises ValueError for anything else."""
    if decimal_comma and re.fullmatch(r"-?\d+,\d+", text):
        text = text.replace(",", ".")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"not finite: {text}")
    return value


_FACTORS: dict[str, dict[str, float]] = {
    "energy": {"kWh": 1.0, "Wh": 1e-3},
    "power": {"kW": 1.0, "W": 1e-3},
    "fraction": {"1": 1.0, "%": 1e-2},
    "time": {"s": 1.0, "min": 60.0, "h": 3600.0},
}


def factor(quantity: str, column: str, unit: str = "") -> float:
    """What turns a column's numbers into kWh, kW, 0..1 or seconds.

    Without ``unit`` the column's name tells: ``Energy (Wh)``, ``energy_kwh``, ``Pmax (W)``,
    ``Charge (%)``, ``Duree totale (s)``. A name without a unit means kWh, kW, 0..1 and minutes.

    Raises
    ------
    ValueError
        The unit does not belong to the quantity.
    """
    factors = _FACTORS[quantity]
    if unit:
        if unit not in factors:
            raise ValueError(f"unit {unit!r}: expected one of {', '.join(factors)}")
        return factors[unit]
    for name in sorted(factors, key=len, reverse=True):
        if name == "%" and "%" in column:
            return factors[name]
        if name != "1" and re.search(
            rf"(?:^|[\s_(\[.]){name}(?:$|[\s_)\]])", column, re.IGNORECASE
        ):
            return factors[name]
    return {"time": 60.0}.get(quantity, 1.0)


def seconds(text: str, scale: float, decimal_comma: bool = False) -> float:
    """A duration [s]: ``h:mm:ss``, ``h:mm`` or a number times ``scale``."""
    if ":" in text:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3:
            raise ValueError(f"not a duration: {text}")
        return sum(part * weight for part, weight in zip(parts, (3600.0, 60.0, 1.0), strict=False))
    return number(text, decimal_comma) * scale


def day_first(texts: Iterable[str]) -> bool | None:
    """Whether dates such as 03/04/2021 begin with the day; None where no date of the file tells."""
    for text in texts:
        match = re.match(r"(\d{1,2})/(\d{1,2})/\d{4}", text)
        if match and int(match[1]) > 12:
            return True
        if match and int(match[2]) > 12:
            return False
    return None


def parse_time(text: str, days_first: bool | None = None) -> datetime:
    """A time stamp, naive where the text has no offset.

    Understands ISO 8601 (also with a blank, slashes, ``+00``), RFC 1123 (``... GMT``),
    ``31.12.2021 13:45`` and, with ``days_first`` known, ``31/12/2021 13:45``.

    Raises
    ------
    ValueError
        Anything else, or a date that could be read both ways.
    """
    if text[:1].isalpha():
        moment = parsedate_to_datetime(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    match = re.match(r"(\d{1,2})([./])(\d{1,2})\2(\d{4})[ T](.+)", text)
    if match:
        first, mark, second, year, rest = match.groups()
        if mark == "/" and days_first is None:
            raise ValueError("day and month cannot be told apart")
        day, month = (first, second) if mark == "." or days_first else (second, first)
        text = f"{year}-{int(month):02}-{int(day):02} {rest}"
    elif re.match(r"\d{4}/\d{2}/\d{2}", text):
        text = text.replace("/", "-", 2)
    return datetime.fromisoformat(text)


def to_utc(local: datetime, zone: ZoneInfo) -> tuple[datetime, str]:
    """A naive local time as UTC, with ``""``, ``ambiguous_time`` or ``nonexistent_time``.

    Of a time that exists twice the first is taken (see :func:`later`); one that does not exist
    moves forward by the gap (PEP 495, fold 0).
    """
    first = local.replace(tzinfo=zone, fold=0)
    before, after = first.utcoffset(), local.replace(tzinfo=zone, fold=1).utcoffset()
    doubt = ""
    if before is not None and after is not None and before != after:
        doubt = "ambiguous_time" if before > after else "nonexistent_time"
    return first.astimezone(UTC), doubt


def later(local: datetime, zone: ZoneInfo) -> datetime:
    """The second of the two instants of an ambiguous local time."""
    return local.replace(tzinfo=zone, fold=1).astimezone(UTC)


def closest(
    candidates: Sequence[tuple[datetime, datetime]], stay_s: float
) -> tuple[datetime, datetime]:
    """The (arrival, departure) whose distance is nearest to the stated stay."""
    stay = timedelta(seconds=stay_s)
    return min(candidates, key=lambda pair: abs(pair[1] - pair[0] - stay))
