"""Half-hourly unit rates of an Octopus Energy tariff (Agile), GBP including VAT.

API: https://developer.octopus.energy/rest/guides/endpoints, "standard-unit-rates".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import httpx

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConfigError, SourceUnavailable
from gridleaf.domain.prices import PricePoint
from gridleaf.tariff.web import MALFORMED, Web, iso

URL = "https://api.octopus.energy/v1/products"
_PAGE = 1500
_MOST_PAGES = 100
_TARIFF = re.compile(r"^E-\dR-(?P<product>[A-Z0-9-]+)-[A-P]$")


class OctopusSource:
    """Rates of one tariff code, e.g. ``E-1R-AGILE-24-10-01-C``; the last letter is the region.

    Where the product is not what stands inside the tariff code, ``area`` is ``PRODUCT/TARIFF``.
    """

    def __init__(self, area: str, clock: Clock, client: httpx.AsyncClient | None = None) -> None:
        product, _, tariff = area.rpartition("/")
        code = _TARIFF.match(tariff)
        if code is None:
            raise ConfigError(
                "tariff.area", f"{area!r} is no tariff code such as E-1R-AGILE-24-10-01-C"
            )
        self.name = f"octopus:{tariff}"
        self._url = (
            f"{URL}/{product or code['product']}/electricity-tariffs/{tariff}/standard-unit-rates/"
        )
        self._web = Web(self.name, clock, client)

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        params: dict[str, str] | None = {
            "period_from": iso(since),
            "period_to": iso(until),
            "page_size": str(_PAGE),
        }
        url = self._url
        points: list[PricePoint] = []
        for _ in range(_MOST_PAGES):
            page = await self._web.get_json(url, params)
            try:
                points += [p for r in page["results"] if (p := _rate(r, since, until))]
                following = page["next"]
            except MALFORMED:
                raise SourceUnavailable(f"{self.name}: unexpected answer") from None
            if following is None:
                break
            if not str(following).startswith(self._url):
                raise SourceUnavailable(f"{self.name}: the next page is somewhere else")
            url, params = following, None
        return sorted(points, key=lambda p: p.start)


def _rate(rate: dict[str, object], since: datetime, until: datetime) -> PricePoint | None:
    """A rate of direct debit or of every way to pay; an open end is cut to what was asked for."""
    if rate.get("payment_method") not in (None, "DIRECT_DEBIT"):
        return None
    price = float(str(rate["value_inc_vat"])) / 100
    start = _time(rate["valid_from"], since)
    end = _time(rate["valid_to"], until)
    if end <= since or start >= until:
        return None
    return PricePoint(start=start, end=end, price_per_kwh=price)


def _time(value: object, otherwise: datetime) -> datetime:
    if value is None:
        return otherwise
    at = datetime.fromisoformat(str(value))
    if at.tzinfo is None:
        raise ValueError("a time without an offset")
    return at.astimezone(UTC)
