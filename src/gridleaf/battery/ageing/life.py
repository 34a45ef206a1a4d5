"""A history that repeats, and what it makes of one cell over years."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from gridleaf.battery.ageing import layout
from gridleaf.battery.ageing.models import Model
from gridleaf.battery.ageing.population import REASONS, advance, fresh
from gridleaf.battery.ageing.stress import Floats
from gridleaf.domain.errors import ConfigError

YEAR_H = 8760.0
LONGEST_STEP_H = 1.0
"""A history is sampled at its own rows, and between rows that are further apart than this."""
DAY_H = 24.0
MOST_ROWS_PER_H = 7200.0
MOST_C = 20.0
"""No cell is charged and discharged so fast [1/h] all the time."""
LONGEST_H = 100.0 * YEAR_H
AT_ONCE = 1_000_000
"""So many rows are worked through before the next ones are made, however many a year has."""


@dataclass(frozen=True, kw_only=True)
class History:
    """SoC and temperature over a stretch of time that repeats, linear between its rows.

    Attributes
    ----------
    time_h, soc, temperature_c
        Rows in the order of time, [h], 0..1 and [°C]. Time begins anywhere.
    """

    time_h: Floats
    soc: Floats
    temperature_c: Floats

    def __post_init__(self) -> None:
        if not len(self.time_h) == len(self.soc) == len(self.temperature_c):
            raise ConfigError("history", "its columns have different lengths")
        if len(self.time_h) < 2:
            raise ConfigError("history", "needs at least two rows")
        if not (np.diff(self.time_h) > 0.0).all():
            raise ConfigError("time_h", "must rise from row to row")
        if len(self.time_h) - 1 > MOST_ROWS_PER_H * (self.time_h[-1] - self.time_h[0]):
            raise ConfigError("time", "has more than two rows a second: were they seconds?")
        span_h = float(self.time_h[-1] - self.time_h[0])
        if span_h > LONGEST_H:
            years = span_h / YEAR_H
            raise ConfigError("time", f"is {years:.3g} years long: is it in milliseconds?")
        mean_c = float(np.abs(np.diff(self.soc)).sum()) / span_h
        if mean_c > MOST_C:
            raise ConfigError("soc", f"changes at {mean_c:.0f}C all the time: is time in hours?")

    @cached_property
    def period_h(self) -> float:
        """After how long it repeats [h].

        From the first row to the last, where that is whole days or the next whole day is further
        away than the rows are from each other; otherwise that whole day. So 24 hourly rows are a day
        whether or not a 25th closes it.
        """
        span = float(self.time_h[-1] - self.time_h[0])
        days = np.ceil(span / DAY_H - 1e-9) * DAY_H
        gap = days - span
        return float(days) if gap <= np.diff(self.time_h).max() * (1.0 + 1e-9) else span

    @cached_property
    def rows(self) -> tuple[Floats, Floats, Floats]:
        """One period from its beginning, the end excluded, no step longer than an hour."""
        time = self.time_h - self.time_h[0]
        inside = time < self.period_h - 1e-9
        knots = np.append(time[inside], self.period_h)
        counts = np.ceil(np.diff(knots) / LONGEST_STEP_H - 1e-9).astype(int).clip(1)
        begun = np.repeat(knots[:-1], counts)
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        at = begun + place * np.repeat(np.diff(knots) / counts, counts)
        return at, self._at(at, self.soc), self._at(at, self.temperature_c)

    @property
    def rows_per_year(self) -> float:
        return len(self.rows[0]) * YEAR_H / self.period_h

    def _at(self, time_h: Floats, values: Floats) -> Floats:
        time = self.time_h - self.time_h[0]
        if time[-1] < self.period_h - 1e-9:
            time, values = np.append(time, self.period_h), np.append(values, values[0])
        return np.interp(time_h, time, values)

    def between(self, start_h: float, end_h: float) -> tuple[Floats, Floats, Floats]:
        """The rows after ``start_h`` up to ``end_h``, a row at the end included: time, SoC, °C."""
        time, soc, temperature = self.rows
        first, last = int(start_h // self.period_h), int(end_h // self.period_h) + 1
        repeats = np.arange(first, last + 1)
        all_h = (repeats[:, None] * self.period_h + time).ravel()
        kept = (all_h > start_h + 1e-9) & (all_h < end_h - 1e-9)
        stacked = [np.tile(column, len(repeats))[kept] for column in (soc, temperature)]
        end = np.array([end_h % self.period_h])
        return (
            np.append(all_h[kept], end_h),
            np.append(stacked[0], self._at(end, self.soc)),
            np.append(stacked[1], self._at(end, self.temperature_c)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Cells by the end of each year; arrays are (years,), or (years, n) for ``n`` speeds.

    ``outside`` is the share of each year that is outside what the model was fitted to, in all;
    ``reasons`` has it by reason. A year has 365 days. ``efc`` are the full cycles so far.
    """

    years: Floats
    relative_capacity: Floats
    resistance: Floats
    efc: Floats
    outside: Floats
    reasons: dict[str, Floats]


def simulate(model: Model, history: History, years: int, *, speed: ArrayLike = 1.0) -> Life:
    """Repeat a history for ``years`` and tell capacity and resistance at the end of each.

    ``speed``, a number or (n,), is how fast cells age (see :func:`~gridleaf.battery.ageing.fresh`).

    Raises
    ------
    ConfigError
        ``years`` is below 1, or the history is outside what can be computed.
    """
    if years < 1:
        raise ConfigError("years", "must be at least 1")
    speed = np.asarray(speed, float)
    wide = (speed.size, 1)
    _, soc, temperature = history.rows
    cells = fresh(model, speed.size, speed=speed.ravel())
    cells = advance(cells, np.tile(soc[:1], wide), np.tile(temperature[:1], wide), 1.0)
    states = [cells]
    stretches = int(history.rows_per_year * speed.size // AT_ONCE) + 1
    for year in range(years):
        for start, end in pairwise(YEAR_H * np.linspace(year, year + 1, stretches + 1)):
            time, soc, temperature = history.between(start, end)
            steps = np.diff(time, prepend=start)
            cells = advance(cells, np.tile(soc, wide), np.tile(temperature, wide), steps)
        states.append(cells)
    outside = np.array([state.outside_h for state in states])
    unseen = np.array([state.piece[:, [layout.HOURS, layout.GAP]].sum(axis=1) for state in states])
    share = np.diff(outside, axis=0) / (YEAR_H - np.diff(unseen, axis=0))[..., None]
    shape = (years, *speed.shape)
    return Life(
        years=np.arange(1.0, years + 1.0),
        relative_capacity=np.array([s.relative_capacity for s in states[1:]]).reshape(shape),
        resistance=np.array([s.resistance for s in states[1:]]).reshape(shape),
        efc=np.array([s.efc for s in states[1:]]).reshape(shape),
        outside=share[..., 0].reshape(shape),
        reasons={name: share[..., 1 + place].reshape(shape) for place, name in enumerate(REASONS)},
    )
