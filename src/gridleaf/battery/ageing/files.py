"""A history in a file: ``time_s,soc,temperature_c``, one row for each moment."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
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
        With the line: a column is missing, a row is longer than the header, a value is no number or
        cannot be (per cent, kelvin), or the times do not rise or are no seconds.
    OSError
        The file cannot be opened.
    """
    lines, values = array("q"), array("d")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in _rows(path, file):
                lines.append(line)
                values.extend(row)
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not text in UTF-8") from None
    if len(lines) < 2:
        raise ConfigError(str(path), "needs at least two rows under its header")
    time_s, soc, temperature_c = np.array(values).reshape(-1, len(COLUMNS)).T
    falls = np.flatnonzero(np.diff(time_s) <= 0.0)
    if len(falls):
        at = falls[0] + 1
        raise ConfigError(
            f"{path}:{lines[at]}",
            f"time_s {time_s[at]:g} does not come after {time_s[at - 1]:g}",
        )
    _check_soc(path, lines, soc)
    _check_temperature(path, lines, temperature_c)
    try:
        return History(time_h=time_s / 3600.0, soc=soc.clip(0.0, 1.0), temperature_c=temperature_c)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.path}", error.reason) from None


def _rows(path: Path, file: Iterable[str]) -> Iterator[tuple[int, list[float]]]:
    """Line number and values of each row."""
    lines = enumerate(file, start=1)
    before, head = next(((n - 1, line) for n, line in lines if line.strip()), (0, ""))
    if not head:
        raise ConfigError(str(path), "is empty")
    mark = next((mark for mark in ";\t" if mark in head), ",")
    reader = csv.reader(chain([head], (line for _, line in lines)), delimiter=mark)
    try:
        names = [cell.strip().casefold() for cell in next(reader)]
        places = _places(f"{path}:{before + 1}", names)
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            where = f"{path}:{before + reader.line_num}"
            if any(cells[len(names) :]):
                hint = "; a decimal comma needs semicolons between columns" if mark == "," else ""
                told = f"has {len(cells)} values under {len(names)} columns{hint}"
                raise ConfigError(where, told)
            yield before + reader.line_num, [_number(where, cells, p, mark) for p in places]
    except csv.Error as error:
        raise ConfigError(f"{path}:{before + reader.line_num}", str(error)) from None


def _places(where: str, names: list[str]) -> list[int]:
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
    cell = cells[place].strip() if place < len(cells) else ""
    try:
        value = float(cell.replace(",", ".") if mark == ";" else cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(where, f"{cell!r} is not a number")
    return value


def _check_soc(path: Path, lines: Sequence[int], soc: np.ndarray) -> None:
    wrong = np.flatnonzero((soc < -1e-6) | (soc > _MOST_SOC))
    if len(wrong):
        at = wrong[0]
        per_cent = soc.max() > 1.5 and soc.min() >= 0.0 and soc.max() <= 100.0 * _MOST_SOC
        hint = ": is it in per cent? It must be" if per_cent else " is not"
        raise ConfigError(f"{path}:{lines[at]}", f"soc {soc[at]:g}{hint} from 0 to 1")


def _check_temperature(path: Path, lines: Sequence[int], temperature_c: np.ndarray) -> None:
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
