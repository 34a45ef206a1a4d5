"""Day-ahead prices of Germany and Austria from aWATTar's market data, without VAT and fees.

API: https://www.awattar.de/services/api, ``/v1/marketdata``.
"""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConfigError, SourceUnavailable
from gridleaf.domain.prices import PricePoint
from gridleaf.tariff.web import MALFORMED, Web

_URL = {
    "DE": "https://api.awattar.de/v1/marketdata",
    "AT": "https://api.awattar.at/v1/marketdata",
}


class AwattarSource:
    """Prices of ``DE`` or ``AT``."""

    def __init__(self, area: str, clock: Clock, client: httpx.AsyncClient | None = None) -> None:
        if area.upper() not in _URL:
            raise ConfigError("tariff.area", f"{area!r}: aWATTar has prices of DE and AT")
        self.name = f"awattar:{area.upper()}"
        self._url = _URL[area.upper()]
        self._web = Web(self.name, clock, client)

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        answer = await self._web.get_json(
            self._url,
            {
                "start": str(round(since.timestamp() * 1000)),
                "end": str(round(until.timestamp() * 1000)),
            },
        )
        try:
            if units := {row["unit"].lower() for row in answer["data"]} - {"eur/mwh"}:
                raise SourceUnavailable(f"{self.name}: unknown unit {min(units)}")
            points = [
                PricePoint(
                    start=datetime.fromtimestamp(row["start_timestamp"] / 1000, UTC),
                    end=datetime.fromtimestamp(row["end_timestamp"] / 1000, UTC),
                    price_per_kwh=float(row["marketprice"]) / 1000,
                )
                for row in answer["data"]
            ]
        except MALFORMED:
            raise SourceUnavailable(f"{self.name}: unexpected answer") from None
        points = [p for p in points if p.end > since and p.start < until]
        return sorted(points, key=lambda p: p.start)
