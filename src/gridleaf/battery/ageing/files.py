"""A history in a file: ``time_s,soc,temperature_c``, one row for each moment."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gridleaf.battery.ageing import layout
from gridleaf.battery.ageing.life import History
from gridleaf.domain.errors import ConfigError

COLUMNS = ("time_s", "soc", "temperature_c")
_MOST_SOC = 1.0 + 1e-6
"""So much above 1 is rounding."""


def read_history(path: Path) -> History:
    """Read a history; extra columns are ignored, ``;`` or tabs between them and a BOM understood.

    Raises
    ------
    ConfigError
        With the line: a column is missing, a value is no number or cannot be (per cent, kelvin), or
        the times do not rise.
    OSError
        The file cannot be opened.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not text in UTF-8") from None
    rows = list(_rows(path, text))
    if len(rows) < 2:
        raise ConfigError(str(path), "needs at least two rows under its header")
    time_s, soc, temperature_c = np.array([values for _, values in rows]).T
    lines = [line for line, _ in rows]
    falls = np.flatnonzero(np.diff(time_s) <= 0.0)
    if len(falls):
        at = falls[0] + 1
        raise ConfigError(
            f"{path}:{lines[at]}",
            f"time_s {time_s[at]:g} does not come after {time_s[at - 1]:g}",
        )
    _check_soc(path, lines, soc)
    _check_temperature(path, lines, temperature_c)
    return History(time_h=time_s / 3600.0, soc=soc.clip(0.0, 1.0), temperature_c=temperature_c)


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[float]]]:
    """Line number and values of each row."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    mark = next((mark for mark in ";\t" if mark in head), ",")
    reader = csv.reader(text.splitlines(), delimiter=mark)
    places: list[int] | None = None
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            where = f"{path}:{reader.line_num}"
            if places is None:
                places = _places(where, cells)
                continue
            yield reader.line_num, [_number(where, cells, p, mark) for p in places]
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num}", str(error)) from None
    if places is None:
        raise ConfigError(str(path), "is empty")


def _places(where: str, cells: list[str]) -> list[int]:
    names = [cell.casefold() for cell in cells]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ConfigError(
            where, f"no column {' and '.join(missing)}; the header is {','.join(COLUMNS)}"
        )
    for name in COLUMNS:
        if names.count(name) > 1:
            raise ConfigError(where, f"column {name} is there more than once")
    return [names.index(name) for name in COLUMNS]


def _number(where: str, cells: list[str], place: int, mark: str) -> float:
    cell = cells[place] if place < len(cells) else ""
    try:
        value = float(cell.replace(",", ".") if mark == ";" else cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(where, f"{cell!r} is not a number")
    return value


def _check_soc(path: Path, lines: list[int], soc: np.ndarray) -> None:
    wrong = np.flatnonzero((soc < -1e-6) | (soc > _MOST_SOC))
    if len(wrong):
        at = wrong[0]
        per_cent = soc.max() > 1.5 and soc.min() >= 0.0 and soc.max() <= 100.0 * _MOST_SOC
        hint = ": is it in per cent? It must be" if per_cent else " is not"
        raise ConfigError(f"{path}:{lines[at]}", f"soc {soc[at]:g}{hint} from 0 to 1")


def _check_temperature(path: Path, lines: list[int], temperature_c: np.ndarray) -> None:
    least, most = layout.COLDEST_C, layout.HOTTEST_C
    wrong = np.flatnonzero((temperature_c < least) | (temperature_c > most))
    if len(wrong):
        at = wrong[0]
        kelvin = temperature_c.min() > 200.0 and temperature_c.max() < 400.0
        hint = ": is it in kelvin? It must be" if kelvin else " is not"
        raise ConfigError(
            f"{path}:{lines[at]}",
            f"temperature_c {temperature_c[at]:g}{hint} from {least:g} to {most:g} °C",
        )
