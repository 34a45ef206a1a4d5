"""Demand charges: the billing month, and the highest mean import of an interval so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

HOLD_S = 300.0
"""A sample counts until the next one, at most this long [s]."""


def billing_month(at: datetime, timezone: str) -> tuple[datetime, datetime]:
    """Start and end (UTC) of the local calendar month that ``at`` is in."""
    zone = ZoneInfo(timezone)
    local = at.astimezone(zone)
    start = datetime(local.year, local.month, 1, tzinfo=zone)
    end = datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=zone)
    return start.astimezone(UTC), end.astimezone(UTC)


@dataclass(slots=True)
class _Tally:
    """Where a meter stands. Times in Unix seconds: of the last sample, how far it is spread, how
    long it holds, the end of the running interval and of the month. Then the last sample [kW], the
    month's peak [kW], and of the running interval the energy [kWh] and the time measured [s].
    """

    sampled_s: float = 0.0
    spread_s: float = 0.0
    held_s: float = 0.0
    end_s: float = 0.0
    month_end_s: float = 0.0
    kw: float = 0.0
    peak_kw: float = 0.0
    kwh: float = 0.0
    measured_s: float = 0.0


class DemandMeter:
    """What the grid operator's meter would show: mean import per interval, and the month's highest.

    Only import counts, as on an import register; a sample holds until the next. An interval that
    was measured for less than half counts what was measured as if the rest had been 0, so a gap
    never invents a peak.

    Parameters
    ----------
    interval_min
        Length of a demand interval [min]; intervals start on the local clock.
    timezone
        Zone of the billing month and of the intervals.
    """

    def __init__(self, interval_min: int, timezone: str) -> None:
        self._length_s = interval_min * 60.0
        self._timezone = timezone
        self._zone = ZoneInfo(timezone)
        self._tally = _Tally()

    def add(self, at: datetime, grid_kw: float) -> None:
        """Take a sample [kW, + imports]; one not later than the last, or not a number, is ignored."""
        tally, at_s = self._tally, at.timestamp()
        if not math.isfinite(grid_kw) or at_s <= tally.sampled_s:
            return
        self._spread(min(at_s, tally.held_s))
        self._enter(at_s)
        tally.kw = max(grid_kw, 0.0)
        tally.sampled_s = tally.spread_s = at_s
        tally.held_s = at_s + HOLD_S

    def peak_kw(self, now: datetime) -> float:
        """Highest mean import of a finished interval in the billing month of ``now`` [kW].

        0 in a month that has no sample yet.
        """
        tally = self._tally
        return tally.peak_kw if now.timestamp() < tally.month_end_s else 0.0

    def state(self) -> dict[str, float]:
        """All of it, to be kept as JSON; :meth:`restore` takes it back."""
        return asdict(self._tally)

    def restore(self, state: Mapping[str, float], now: datetime) -> None:
        """Go on from a kept state; samples that it has seen may be added again without harm.

        A state from beyond ``now`` was kept while a clock was wrong: with it every sample up to then
        would be ignored, so only a peak of the same month is taken from it.
        """
        tally = _Tally(**state)
        if tally.sampled_s > now.timestamp() + HOLD_S:
            month_end_s = billing_month(now, self._timezone)[1].timestamp()
            peak_kw = tally.peak_kw if tally.month_end_s == month_end_s else 0.0
            tally = _Tally(month_end_s=month_end_s, peak_kw=peak_kw)
        self._tally = tally

    def _spread(self, until_s: float) -> None:
        """Spread the last sample over the intervals up to ``until_s``, closing those that end."""
        tally = self._tally
        while tally.spread_s < until_s:
            self._enter(tally.spread_s)
            part_end_s = min(until_s, tally.end_s)
            seconds = part_end_s - tally.spread_s
            tally.kwh += tally.kw * seconds / 3600
            tally.measured_s += seconds
            tally.spread_s = part_end_s

    def _enter(self, at_s: float) -> None:
        """Be in the interval that ``at_s`` is in; close the one before, and the month."""
        tally = self._tally
        if at_s < tally.end_s:
            return
        over_s = tally.measured_s if tally.measured_s >= self._length_s / 2 else self._length_s
        tally.peak_kw = max(tally.peak_kw, tally.kwh * 3600 / over_s)
        tally.kwh = tally.measured_s = 0.0
        at = datetime.fromtimestamp(at_s, UTC)
        if at_s >= tally.month_end_s:
            tally.month_end_s = billing_month(at, self._timezone)[1].timestamp()
            tally.peak_kw = 0.0
        offset_s = (at.astimezone(self._zone).utcoffset() or timedelta()).total_seconds()
        past_s = (at_s + offset_s) % self._length_s
        tally.end_s = min(at_s - past_s + self._length_s, tally.month_end_s)
