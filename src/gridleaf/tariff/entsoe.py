"""Day-ahead prices from the ENTSO-E transparency platform (document type A44, article 12.1.D).

Format: IEC 62325-451-3 ``Publication_MarketDocument``; its namespace changes with the version and
is ignored. A curve of type A03 leaves out points that repeat the one before (ENTSO-E, "CurveType
A01 vs CurveType A03").
"""

from __future__ import annotations

import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import SourceUnavailable
from gridleaf.domain.prices import PricePoint
from gridleaf.tariff.web import Web

URL = "https://web-api.tp.entsoe.eu/api"
DAY_AHEAD = "A01"
LONGEST_REQUEST = timedelta(days=365)
_SLOT = timedelta(minutes=15)
_RESOLUTION = {"PT15M": _SLOT, "PT30M": 2 * _SLOT, "PT60M": 4 * _SLOT, "PT1H": 4 * _SLOT}
_KWH = {"MWH": 1000.0, "KWH": 1.0, "": 1000.0}
_QUARTERS_SINCE = datetime(2025, 9, 30, 22, tzinfo=UTC)
"""Start of the 15-minute market time unit of the coupled day-ahead auction (2025-10-01 CET)."""


class _NoToken(logging.Filter):
    """httpx logs every address it gets; ENTSO-E wants its token in the address."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                re.sub(r"(?i)(securitytoken=)[^&\s]+", r"\1***", str(arg))
                if "securitytoken" in str(arg).lower()
                else arg
                for arg in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_NoToken())


class EntsoeSource:
    """Prices of one bidding zone by its EIC code, e.g. ``10YNL----------L``."""

    def __init__(
        self, area: str, token: str, clock: Clock, client: httpx.AsyncClient | None = None
    ) -> None:
        self.name = f"entsoe:{area}"
        self._area = area
        self._token = token
        self._web = Web(self.name, clock, client)

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        points: list[PricePoint] = []
        while since < until:
            end = min(since + LONGEST_REQUEST, until)
            points += await self._fetch(since, end)
            since = end
        return sorted(points, key=lambda p: p.start)

    async def _fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        answer = await self._web.get(
            URL,
            {
                "documentType": "A44",
                "contract_MarketAgreement.type": DAY_AHEAD,
                "in_Domain": self._area,
                "out_Domain": self._area,
                "periodStart": since.astimezone(UTC).strftime("%Y%m%d%H%M"),
                "periodEnd": until.astimezone(UTC).strftime("%Y%m%d%H%M"),
                "securityToken": self._token,
            },
        )
        if answer.status_code in (401, 403):
            raise SourceUnavailable(f"{self.name}: the security token is refused")
        try:
            points = parse(answer.content)
        except ValueError as error:
            reason = (
                str(error) if answer.status_code == 200 else f"HTTP {answer.status_code}: {error}"
            )
            raise SourceUnavailable(f"{self.name}: {reason.replace(self._token, '***')}") from None
        return [p for p in points if p.end > since and p.start < until]


def parse(content: bytes) -> list[PricePoint]:
    """Prices of the coupled day-ahead auction in a document, oldest first.

    Left out are intraday auctions and whatever is not sequence 1 where auctions are numbered (in
    Germany and Austria sequence 2 is EXAA's local auction). Where hours and quarter-hours of one
    day stand side by side, the market time unit of that day counts.

    Raises
    ------
    ValueError
        When it is no document of prices, with the reason that an acknowledgement gives.
    """
    if b"<!DOCTYPE" in content[:2000]:
        raise ValueError("not an XML document of prices")
    try:
        root = ET.fromstring(content)
    except ET.ParseError:
        raise ValueError("not an XML document of prices") from None
    kind = root.tag.rpartition("}")[2]
    if kind == "Acknowledgement_MarketDocument":
        raise ValueError(root.findtext(".//{*}Reason/{*}text") or "no data")
    if kind != "Publication_MarketDocument":
        raise ValueError(f"unexpected document {kind}")
    return _one_for_each_time(
        [p for series in root.iterfind("{*}TimeSeries") for p in _series(series)]
    )


def _one_for_each_time(points: list[PricePoint]) -> list[PricePoint]:
    """Without overlaps: quarter-hours before hours since the auction trades them, after them before."""
    taken: set[datetime] = set()
    kept = []
    for point in sorted(
        points,
        key=lambda p: p.end - p.start if p.start >= _QUARTERS_SINCE else p.start - p.end,
    ):
        slots = {point.start + n * _SLOT for n in range((point.end - point.start) // _SLOT)}
        if taken.isdisjoint(slots):
            taken |= slots
            kept.append(point)
    return sorted(kept, key=lambda p: p.start)


def _series(series: ET.Element) -> Iterator[PricePoint]:
    def text(name: str) -> str:
        return (series.findtext("{*}" + name) or "").strip()

    if text("contract_MarketAgreement.type") not in ("", DAY_AHEAD):
        return
    sequence = text("classificationSequence_AttributeInstanceComponent.position") or "1"
    unit = text("price_Measure_Unit.name").upper()
    if sequence != "1":
        return
    if unit not in _KWH:
        raise ValueError(f"unknown unit {unit}")
    for period in series.iterfind("{*}Period"):
        yield from _period(period, repeat=text("curveType") == "A03", kwh=_KWH[unit])


def _period(period: ET.Element, *, repeat: bool, kwh: float) -> Iterator[PricePoint]:
    resolution = (period.findtext("{*}resolution") or "").strip()
    if resolution not in _RESOLUTION:
        raise ValueError(f"unknown resolution {resolution!r}")
    step = _RESOLUTION[resolution]
    start = _time(period.findtext("{*}timeInterval/{*}start"))
    end = _time(period.findtext("{*}timeInterval/{*}end"))
    if end - start > 2 * LONGEST_REQUEST:
        raise ValueError("a period of more than two years")
    prices: dict[int, float] = {}
    for point in period.iterfind("{*}Point"):
        try:
            prices[int(point.findtext("{*}position") or "")] = (
                float(point.findtext("{*}price.amount") or "") / kwh
            )
        except ValueError:
            raise ValueError("a point without a position or a price") from None
    price: float | None = None
    for index in range(int((end - start) / step)):
        price = prices.get(index + 1, price if repeat else None)
        if price is not None:
            at = start + index * step
            yield PricePoint(start=at, end=at + step, price_per_kwh=price)


def _time(text: str | None) -> datetime:
    try:
        at = datetime.fromisoformat((text or "").strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time") from None
    if at.tzinfo is None:
        raise ValueError("a time without an offset")
    return at.astimezone(UTC)
