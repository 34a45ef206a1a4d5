"""Demand charges: the billing month, and the highest mean import of an interval so far."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from gridleaf.domain.meter import SiteMeasurement

HOLD = timedelta(minutes=5)
"""A sample counts until the next one, at most this long."""
_PAGE = timedelta(days=1)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def billing_month(at: datetime, timezone: str) -> tuple[datetime, datetime]:
    """Start and end (UTC) of the local calendar month that ``at`` is in."""
    zone = ZoneInfo(timezone)
    local = at.astimezone(zone)
    start = datetime(local.year, local.month, 1, tzinfo=zone)
    end = datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=zone)
    return start.astimezone(UTC), end.astimezone(UTC)


class MeasurementStore(Protocol):
    """The part of the store that a demand meter is restored from."""

    async def measurements(
        self, since: datetime, until: datetime, limit: int = 100_000
    ) -> list[SiteMeasurement]: ...


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
        self._length = timedelta(minutes=interval_min)
        self._timezone = timezone
        self._zone = ZoneInfo(timezone)
        self._sampled_at = self._until = self._held_until = self._end = _NEVER
        self._month_end = _NEVER
        self._kw = self._peak_kw = self._kwh = self._measured_h = 0.0

    def add(self, at: datetime, grid_kw: float) -> None:
        """Take a sample [kW, + imports]; one not later than the last, or not a number, is ignored."""
        if not math.isfinite(grid_kw) or at <= self._sampled_at:
            return
        self._advance(at)
        self._kw = max(grid_kw, 0.0)
        self._sampled_at, self._held_until = at, at + HOLD
        self._until = max(self._until, at)

    def peak_kw(self, now: datetime) -> float:
        """Highest mean import of a finished interval of the month that ``now`` is in [kW]."""
        self._advance(now)
        return self._peak_kw

    def mean_kw(self, now: datetime) -> float:
        """Mean import so far of the interval that ``now`` is in [kW]; 0 before any sample."""
        self._advance(now)
        return self._kwh / self._measured_h if self._measured_h else 0.0

    async def restore(self, store: MeasurementStore, now: datetime) -> None:
        """Take the samples of the billing month from the store; for a new meter, after a start."""
        since, _ = billing_month(now, self._timezone)
        while since < now:
            until = min(since + _PAGE, now)
            for row in await store.measurements(since, until):
                if row.grid_kw is not None:
                    self.add(row.measured_at, row.grid_kw)
            since = until

    def _advance(self, now: datetime) -> None:
        """Spread the last sample over the intervals up to ``now``, closing those that end."""
        stop = min(now, self._held_until)
        while self._until < stop:
            self._enter(self._until)
            part_end = min(stop, self._end)
            hours = (part_end - self._until) / timedelta(hours=1)
            self._kwh += self._kw * hours
            self._measured_h += hours
            self._until = part_end
        self._enter(now)

    def _enter(self, at: datetime) -> None:
        """Be in the interval that ``at`` is in; close the one before, and the month."""
        if at < self._end:
            return
        length_h = self._length / timedelta(hours=1)
        whole = self._measured_h >= length_h / 2
        mean_kw = self._kwh / (self._measured_h if whole else length_h)
        self._peak_kw = max(self._peak_kw, mean_kw)
        self._kwh = self._measured_h = 0.0
        if at >= self._month_end:
            self._month_end = billing_month(at, self._timezone)[1]
            self._peak_kw = 0.0
        offset = at.astimezone(self._zone).utcoffset() or timedelta()
        past = (at + offset - _NEVER) % self._length
        self._end = min(at - past + self._length, self._month_end)
