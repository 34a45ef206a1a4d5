"""Tables as they come: CSV with any delimiter, gzipped or not, and ACN's JSON; and their values."""

from __future__ import annotations

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
from gridleaf.tariff.csv_layout import ambiguous, cells_of, plausible, text_of

_YEAR_S = 366 * 86_400.0
_NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text by column name. ``line`` is the number of each row in its file.

    ``surplus`` are the lines with more cells than the header: what stands where is not known.
    """

    header: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    line: tuple[int, ...]
    decimal_comma: bool = False
    surplus: frozenset[int] = frozenset()


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
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigError(str(path), f"neither text nor gzipped text: {error}") from None
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None
    text = text_of(raw)
    if "\0" in text:
        raise ConfigError(str(path), "neither text nor gzipped text; is it a spreadsheet?")
    if text.lstrip()[:1] in ("{", "["):
        return _read_json(text, path)
    return _read_csv(text, path)


def _read_csv(text: str, path: Path) -> Table:
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    reader = cells_of(path, io.StringIO(text, newline=""), delimiter)
    header = tuple(name.strip() for name in next(reader, (0, []))[1])
    rows: list[dict[str, str]] = []
    line: list[int] = []
    surplus: set[int] = set()
    for number, cells in reader:
        if any(cell.strip() for cell in cells):
            rows.append({name: cell.strip() for name, cell in zip(header, cells, strict=False)})
            line.append(number)
        if any(cell.strip() for cell in cells[len(header) :]):
            surplus.add(number)
    if not rows:
        raise ConfigError(str(path), "no rows")
    return Table(
        header=header,
        rows=tuple(rows),
        line=tuple(line),
        decimal_comma=delimiter in ";\t",
        surplus=frozenset(surplus),
    )


def _read_json(text: str, path: Path) -> Table:
    """ACN-Data's API answer: ``{"_items": [...]}``; of several user inputs the last one holds."""
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), f"not valid JSON: {error}") from None
    items = data.get("_items") if isinstance(data, dict) else data
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ConfigError(str(path), 'expected a list of sessions, or {"_items": [...]}')
    rows = []
    for number, item in enumerate(items, 1):
        flat = {key: value for key, value in item.items() if not isinstance(value, list | dict)}
        inputs = item.get("userInputs") or []
        inputs = [inputs] if isinstance(inputs, dict) else inputs
        if not isinstance(inputs, list) or not all(isinstance(said, dict) for said in inputs):
            raise ConfigError(str(path), f"session {number}: userInputs must be a list of objects")
        for said in inputs:
            flat |= {key: value for key, value in said.items() if key != "userID"}
        rows.append({key: "" if value is None else str(value) for key, value in flat.items()})
    if not rows:
        raise ConfigError(str(path), "no sessions")
    header = tuple(dict.fromkeys(key for row in rows for key in row))
    return Table(header=header, rows=tuple(rows), line=tuple(range(1, len(rows) + 1)))


def known(text: str | None) -> str | None:
    """The text, or None for what stands for "no value"."""
    return None if text is None or text.strip().lower() in _NOTHING else text.strip()


def number(text: str, mark: str = ".") -> float:
    """A finite number with a point or a comma before the decimals, grouped or not.

    ``mark`` is the one before decimals elsewhere in the file, "" where nothing tells.

    Raises
    ------
    ValueError
        Anything else, or ``1,234`` where the mark does not tell whether it is a thousand.
    """
    if ambiguous(text, mark):
        raise ValueError(f"decimals and thousands cannot be told apart: {text}")
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d+", text):
        text = text.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\.\d+", text):
        text = text.replace(",", "")
    elif re.fullmatch(r"[+-]?\d+,\d+", text):
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


def seconds(text: str, scale: float, mark: str = ".") -> float:
    """A duration [s], at most a year: ``h:mm:ss``, ``h:mm`` or a number times ``scale``."""
    parts = [number(part) for part in text.split(":")] if ":" in text else []
    if len(parts) > 3:
        raise ValueError(f"not a duration: {text}")
    value = (
        sum(part * weight for part, weight in zip(parts, (3600.0, 60.0, 1.0), strict=False))
        if parts
        else number(text, mark) * scale
    )
    if abs(value) > _YEAR_S:
        raise ValueError(f"longer than a year: {text}")
    return value


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

    Understands ISO 8601 (also with a blank, slashes, ``+00``), RFC 1123 (``... GMT``), Unix time in
    seconds or milliseconds, ``31.12.2021 13:45`` and, with ``days_first`` known,
    ``31/12/2021 13:45``; hours also as ``9:45`` and ``1:45 PM``.

    Raises
    ------
    ValueError
        Anything else, a date that could be read both ways, or a year outside of
        :data:`~gridleaf.tariff.csv_layout.YEARS`.
    """
    try:
        moment = _parsed(text, days_first)
    except OverflowError:
        raise ValueError(f"no time: {text}") from None
    if not plausible(moment):
        raise ValueError(f"no plausible year: {text}")
    return moment


def _parsed(text: str, days_first: bool | None) -> datetime:
    if text[:1].isalpha():
        moment = parsedate_to_datetime(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if re.fullmatch(r"\d{10}(\.\d+)?|\d{13}", text):
        if re.fullmatch(r"(199|20)\d+", text) and len(text) == 10:
            raise ValueError("Unix time and YYYYMMDDHH cannot be told apart")
        return datetime.fromtimestamp(float(text) / (1000 if len(text) == 13 else 1), UTC)
    half = re.fullmatch(r"(.+[ T])(\d{1,2})(:.+?) ?([AP])\.?M\.?", text, re.IGNORECASE)
    if half:
        day_text, hour, rest, which = half.groups()
        if not 1 <= int(hour) <= 12:
            raise ValueError(f"no hour of half a day: {text}")
        text = f"{day_text}{int(hour) % 12 + 12 * (which in 'pP'):02}{rest}"
    text = re.sub(r"([ T])(\d):", r"\g<1>0\2:", text)
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
