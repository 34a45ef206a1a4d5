"""The world around the depot, all of it a function of seed and time: sun, building, market."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gridleaf.demo.depot import TIMEZONE
from gridleaf.domain.prices import PricePoint

ZONE = ZoneInfo(TIMEZONE)
START = datetime(2026, 5, 11, 12, tzinfo=ZONE).astimezone(UTC)
"""Noon of a Monday in May: the first evening is ahead."""
PV_PEAK_KW = 65.0
_QUARTER = timedelta(minutes=15)


class World:
    """Building load, generation and day-ahead prices. The same seed is the same world for ever."""

    name = "demo market"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def _rng(self, *what: object) -> random.Random:
        return random.Random(f"{self.seed}/{'/'.join(map(str, what))}")

    def load_kw(self, at: datetime) -> float:
        """Net load of the building without generation and chargers [kW]."""
        local = at.astimezone(ZONE)
        hour = local.hour + local.minute / 60 + local.second / 3600
        working = local.weekday() < 5
        day = math.exp(-(((hour - 12.5) / 4.5) ** 4)) * (22.0 if working else 7.0)
        evening = math.exp(-(((hour - 18.5) / 1.8) ** 2)) * 9.0
        return 11.0 + day + evening + 1.8 * self._noise("load", at, minutes=7)

    def pv_kw(self, at: datetime) -> float:
        """Generation on the roof [kW]."""
        local = at.astimezone(ZONE)
        hour = local.hour + local.minute / 60 + local.second / 3600
        height = math.sin(math.pi * (hour - 5.8) / 15.4) if 5.8 < hour < 21.2 else 0.0
        clear = self._rng("sky", local.date()).uniform(0.35, 1.0)
        cloud = 0.5 + 0.5 * self._noise("cloud", at, minutes=11)
        share = clear + (1 - clear) * 0.3 * cloud - 0.25 * clear * (1 - clear) * cloud
        return PV_PEAK_KW * math.pow(max(height, 0.0), 1.3) * max(share, 0.05)

    def _noise(self, name: str, at: datetime, minutes: int) -> float:
        """Smooth noise in -1..1: random values every so many minutes, joined by cosines."""
        span = minutes * 60
        step, part = divmod(at.timestamp(), span)
        before, after = (self._rng(name, int(step) + n).uniform(-1, 1) for n in (0, 1))
        weight = (1 - math.cos(math.pi * part / span)) / 2
        return before + (after - before) * weight

    def price(self, at: datetime) -> float:
        """Day-ahead price of the quarter that begins at ``at`` [EUR/kWh]."""
        local = at.astimezone(ZONE)
        hour = local.hour + local.minute / 60
        sun = self._rng("sky", local.date()).uniform(0.35, 1.0)
        rng = self._rng("price", local.date())
        level = rng.uniform(0.085, 0.115)
        evening = rng.uniform(0.20, 0.30) * math.exp(-(((hour - 19.0) / 1.7) ** 2))
        morning = 0.05 * math.exp(-(((hour - 7.7) / 1.3) ** 2))
        noon = -(0.05 + 0.075 * sun) * math.exp(-(((hour - 13.2) / 2.8) ** 2))
        night = -0.035 * math.exp(-(((hour - 3.2) / 2.4) ** 2))
        saw = 0.006 * ((local.minute // 15) - 1.5) * (1 if hour < 14 else -1)
        return round(level + evening + morning + noon + night + saw, 5)

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        """A price source: the auction's result for tomorrow is out at 12:45 local time."""
        day = _quarter(since)
        points = []
        while day < until:
            points.append(PricePoint(start=day, end=day + _QUARTER, price_per_kwh=self.price(day)))
            day += _QUARTER
        return points


def _quarter(at: datetime) -> datetime:
    over = timedelta(seconds=at.timestamp() % 900)
    return at - over


def local(day: date, hour: float) -> datetime:
    """UTC of a local hour of a day; hours beyond 24 are the next day's."""
    base = datetime.combine(day, time(), ZONE) + timedelta(hours=hour)
    return base.astimezone(UTC)


def days(start: datetime, count: int) -> Sequence[date]:
    """Local days from the one of ``start`` on."""
    first = start.astimezone(ZONE).date()
    return [first + timedelta(days=n) for n in range(count)]
