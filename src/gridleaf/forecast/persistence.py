"""Building load and PV generation for the horizon, from the site's own measurements.

Weighted persistence: the same local time of previous days, recent days and days of the same kind
counting more, pulled towards the newest measurement with a memory of about two hours. It needs no
weather and no training, is never wildly wrong, and starts on the first day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gridleaf.domain.meter import SiteMeasurement

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLOT_S = 900
"""Measurements are kept as means of quarters of an hour [s]."""
DAYS = 28
"""How far back days are looked at [d]."""
MEMORY_H = 2.0
"""Time constant with which the newest measurement's surprise is forgotten [h]."""
_SLOTS = (DAYS + 1) * 86400 // SLOT_S
_LOAD_HALF_LIFE_D = 7.0
_PV_HALF_LIFE_D = 3.0
"""Weather persists for days, habits for weeks."""
_OTHER_KIND = 0.01
"""Weight of a day of another kind (workday, Saturday, Sunday): it counts where no other was seen."""
_FAINT = 0.05
"""Below this share of its own peak, PV tells nothing about the sky."""


class SiteHistory:
    """Quarter-hour means of load and PV over the last four weeks, fed measurement by measurement.

    Values that are missing, NaN or infinite are left out. A late measurement is counted in its own
    quarter; one older than four weeks is ignored.
    """

    def __init__(self) -> None:
        self._slot = np.full(_SLOTS, -1, dtype=np.int64)
        self._sum = np.zeros((2, _SLOTS))
        self._count = np.zeros((2, _SLOTS), dtype=np.int64)
        self._newest_slot = -1
        self.newest: list[tuple[float, float] | None] = [None, None]
        """Of load and PV: (seconds since 1970, kW) of the newest measurement."""
        self.flowed = [False, False]
        """Of load and PV: whether anything but zero was ever measured."""

    @classmethod
    def of(cls, measurements: Iterable[SiteMeasurement]) -> Self:
        """A history of these measurements, in any order."""
        history = cls()
        for measurement in measurements:
            history.add(measurement)
        return history

    def add(self, measurement: SiteMeasurement) -> None:
        """Take one measurement."""
        at = measurement.measured_at.timestamp()
        slot = int(at // SLOT_S)
        if slot <= self._newest_slot - _SLOTS:
            return
        self._newest_slot = max(self._newest_slot, slot)
        index = slot % _SLOTS
        if self._slot[index] != slot:
            self._slot[index] = slot
            self._sum[:, index] = 0.0
            self._count[:, index] = 0
        for row, value in enumerate((measurement.load_kw, measurement.pv_kw)):
            if value is None or not math.isfinite(value):
                continue
            self.flowed[row] |= value != 0
            self._sum[row, index] += value
            self._count[row, index] += 1
            newest = self.newest[row]
            if newest is None or at >= newest[0]:
                self.newest[row] = at, value

    def means(self, row: int, slots: Ints) -> Floats:
        """Mean of each of these quarters [kW], NaN where nothing was measured; any shape."""
        index = slots % _SLOTS
        known = (self._slot[index] == slots) & (self._count[row, index] > 0)
        return np.where(
            known, self._sum[row, index] / np.maximum(self._count[row, index], 1), np.nan
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteForecast:
    """Mean load and PV of each step, ``(T,)`` [kW], both >= 0 and finite."""

    load_kw: Floats
    pv_kw: Floats


def forecast_site(
    history: SiteHistory,
    start: datetime,
    step_h: Sequence[float] | Floats,
    *,
    timezone: str,
    default_load_kw: float = 0.0,
) -> SiteForecast:
    """Load and PV for T steps from ``start``.

    Parameters
    ----------
    history
        What was measured before ``start``.
    start, step_h
        Beginning (aware) and lengths ``(T,)`` [h] of the steps; any lengths.
    timezone
        IANA zone of the site: "the same time yesterday" means its wall clock, so days of 23 and 25
        hours are compared rightly.
    default_load_kw
        Load to expect when nothing was ever measured [kW].

    Notes
    -----
    Where no earlier day covers a time of day (first day of operation) the newest load is held, and
    the newest PV fades to zero within hours: counting on less generation is the safe side.
    """
    edges = start.timestamp() + 3600 * np.concatenate([[0.0], np.cumsum(np.asarray(step_h))])
    slots = np.arange(int(edges[0] // SLOT_S), int(-(-edges[-1] // SLOT_S)), dtype=np.int64)
    if len(slots) == 0:
        return SiteForecast(load_kw=np.zeros(0), pv_kw=np.zeros(0))
    zone = ZoneInfo(timezone)
    nothing = np.zeros(len(slots))
    unknown = history.newest[0] is None
    load = nothing
    if unknown or history.flowed[0]:
        load = _load(history, slots, zone, default_load_kw)
    pv = _pv(history, slots, zone) if history.flowed[1] else nothing
    return SiteForecast(load_kw=_by_step(load, slots, edges), pv_kw=_by_step(pv, slots, edges))


def _load(history: SiteHistory, slots: Ints, zone: ZoneInfo, default_kw: float) -> Floats:
    usual = _usual(history, 0, slots, zone, _LOAD_HALF_LIFE_D, same_kind=True)
    newest = history.newest[0]
    if newest is None:
        return np.maximum(np.where(np.isnan(usual), default_kw, usual), 0.0)
    at, value = newest
    usual_then = _usual(history, 0, _slot_of(at), zone, _LOAD_HALF_LIFE_D, same_kind=True)[0]
    surprise = 0.0 if np.isnan(usual_then) else value - usual_then
    usual = np.where(np.isnan(usual), value - surprise, usual)
    return np.maximum(usual + surprise * _fading(slots, at), 0.0)


def _pv(history: SiteHistory, slots: Ints, zone: ZoneInfo) -> Floats:
    usual = _usual(history, 1, slots, zone, _PV_HALF_LIFE_D, same_kind=False)
    newest = history.newest[1]
    if newest is None:
        return np.maximum(np.nan_to_num(usual), 0.0)
    at, value = newest
    fading = _fading(slots, at)
    usual_then = _usual(history, 1, _slot_of(at), zone, _PV_HALF_LIFE_D, same_kind=False)[0]
    peak = float(np.max(np.nan_to_num(usual), initial=0.0))
    ratio = 1.0
    if not np.isnan(usual_then) and usual_then > _FAINT * peak:
        ratio = min(max(value / usual_then, 0.0), 3.0)
    corrected = usual * (1 + (ratio - 1) * fading)
    return np.maximum(np.where(np.isnan(usual), value * fading, corrected), 0.0)


def _slot_of(at: float) -> Ints:
    return np.array([int(at // SLOT_S)], dtype=np.int64)


def _fading(slots: Ints, at: float) -> Floats:
    ahead_h = np.maximum((slots + 0.5) * SLOT_S - at, 0.0) / 3600
    return np.asarray(np.exp(-ahead_h / MEMORY_H))


def _usual(
    history: SiteHistory,
    row: int,
    slots: Ints,
    zone: ZoneInfo,
    half_life_d: float,
    *,
    same_kind: bool,
) -> Floats:
    """Weighted mean of the same local time on the days before; NaN where none was measured."""
    days = np.arange(1, DAYS + 1, dtype=np.int64)
    then = slots[None, :] - days[:, None] * (86400 // SLOT_S)
    offset_now, offset_then = _offsets(slots, zone), _offsets(then, zone)
    then = then + (offset_now[None, :] - offset_then) // SLOT_S
    values = history.means(row, then)
    weight = np.broadcast_to(0.5 ** (days[:, None] / half_life_d), values.shape)
    if same_kind:
        local_day = (slots * SLOT_S + offset_now) // 86400
        kinds = _kind(local_day)[None, :] == _kind(local_day[None, :] - days[:, None])
        weight = np.where(kinds, weight, _OTHER_KIND * weight)
    weight = np.where(np.isnan(values), 0.0, weight)
    total = weight.sum(axis=0)
    mean = (weight * np.nan_to_num(values)).sum(axis=0) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, np.nan)


def _kind(day: Ints) -> Ints:
    """0 for workdays, 1 for Saturdays, 2 for Sundays; ``day`` counts from 1970-01-01, a Thursday."""
    weekday = (day + 3) % 7
    return np.maximum(weekday - 4, 0)


def _offsets(slots: Ints, zone: ZoneInfo) -> Ints:
    """UTC offset of the zone at the start of each slot [s]; any shape."""
    hours = slots * SLOT_S // 3600
    first, last = int(hours.min()) // _BLOCK_H, int(hours.max()) // _BLOCK_H
    table = np.concatenate([_offset_block(zone, block) for block in range(first, last + 1)])
    return np.asarray(table[hours - first * _BLOCK_H])


_BLOCK_H = 1024


@lru_cache(maxsize=64)
def _offset_block(zone: ZoneInfo, block: int) -> Ints:
    """UTC offsets of the zone's hours in a block, counted from 1970 [s]; asking costs, so kept."""
    offsets = []
    for hour in range(block * _BLOCK_H, (block + 1) * _BLOCK_H):
        offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone).utcoffset()
        offsets.append(int(offset.total_seconds()) if offset is not None else 0)
    return np.asarray(offsets, dtype=np.int64)


def _by_step(values: Floats, slots: Ints, edges: Floats) -> Floats:
    """Means over steps of a function that is constant on each slot."""
    knots = np.concatenate([slots, slots[-1:] + 1]).astype(float) * SLOT_S
    integral = np.concatenate([[0.0], np.cumsum(values) * SLOT_S])
    return np.asarray(np.diff(np.interp(edges, knots, integral)) / np.diff(edges))
