"""Day-ahead prices of a bidding zone from energy-charts.info (Fraunhofer ISE), without a key.

API: https://api.energy-charts.info, ``/price``: parallel arrays of Unix seconds and EUR/MWh, hourly
until 2025-09-30 and quarter-hourly since; HTTP 404 when nothing is published yet.
"""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import SourceUnavailable
from gridleaf.domain.prices import PricePoint
from gridleaf.tariff.curve import ends_of
from gridleaf.tariff.web import MALFORMED, Web, iso

URL = "https://api.energy-charts.info/price"
_EUR_PER_MWH = {"eur/mwh", "nounit", ""}
"""``No Unit`` is what the API said at times; the prices were EUR/MWh then too."""


class EnergyChartsSource:
    """Prices of one bidding zone, e.g. ``DE-LU``, ``NL``, ``FR``."""

    def __init__(self, area: str, clock: Clock, client: httpx.AsyncClient | None = None) -> None:
        self.name = f"energy-charts:{area}"
        self._area = area
        self._web = Web(self.name, clock, client)

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        answer = await self._web.get_json(
            URL, {"bzn": self._area, "start": iso(since), "end": iso(until)}
        )
        try:
            unit = str(answer.get("unit") or "").replace(" ", "").lower()
            if unit not in _EUR_PER_MWH:
                raise SourceUnavailable(f"{self.name}: unknown unit {answer['unit']}")
            seconds, prices = answer["unix_seconds"], answer["price"]
            by_start = {
                datetime.fromtimestamp(at, UTC): price
                for at, price in zip(seconds, prices, strict=True)
            }
            starts = sorted(by_start)
            points = [
                PricePoint(start=start, end=end, price_per_kwh=float(by_start[start]) / 1000)
                for start, end in zip(starts, ends_of(starts), strict=True)
                if by_start[start] is not None
            ]
        except MALFORMED:
            raise SourceUnavailable(f"{self.name}: unexpected answer") from None
        return [p for p in points if p.end > since and p.start < until]
