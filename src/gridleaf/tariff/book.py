"""The prices a site goes by: fetched when they are due, checked, kept with when they were known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from prometheus_client import Counter

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import SourceUnavailable, StoreUnavailable
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.site import Tariff
from gridleaf.tariff.auction import market_midnight, published_until
from gridleaf.tariff.curve import PriceCurve, Prices, tariff_prices
from gridleaf.tariff.port import PriceSource
from gridleaf.tariff.quality import Quarantined, sift

MEMORY = timedelta(days=14)
"""Prices kept at hand; their median is the scale by which new ones are judged."""
FIRST_PAUSE_S = 300.0
LONGEST_PAUSE_S = 3600.0

QUARANTINED = Counter(
    "gridleaf_prices_quarantined", "Market prices that were not believed", ["source"]
)
FETCHES = Counter("gridleaf_price_fetches", "Fetches of market prices", ["source", "outcome"])
_log = structlog.get_logger()


class PriceStore(Protocol):
    """The part of the store that prices need."""

    async def save_prices(
        self, source: str, known_at: datetime, points: Sequence[PricePoint]
    ) -> None: ...

    async def prices(
        self, source: str, since: datetime, until: datetime, known_by: datetime | None = None
    ) -> list[PricePoint]: ...


class PriceBook:
    """Market prices of one source; without a source every price is the tariff's flat one.

    Attributes
    ----------
    curve
        What is known now, of the last two weeks and the future.
    trouble
        Why the last fetch brought nothing new or not all of it; None when all is well.
    quarantined
        Prices of the last fetch that were not believed.
    """

    def __init__(self, source: PriceSource | None, store: PriceStore, clock: Clock) -> None:
        self.curve = PriceCurve.of(())
        self.trouble: str | None = None
        self.quarantined: tuple[Quarantined, ...] = ()
        self._source = source
        self._store = store
        self._clock = clock
        self._points: dict[datetime, PricePoint] = {}
        self._loaded = False
        self._pause_s = 0.0
        self._not_before = float("-inf")

    async def refresh(self, until: datetime) -> bool:
        """Bring the prices up to date as far as ``until``, if that is due; call it as often as you like.

        Asks the source only when prices are missing that should be out: today's, and from 12:45
        market time tomorrow's. A fetch that fails or leaves some missing is repeated after 5
        minutes, then 10, 20, 40, and every hour. Failures of source and store are told by
        ``trouble``; what was known stays.

        Returns
        -------
        bool
            Whether any price is new or changed.
        """
        if self._source is None:
            return False
        try:
            if not self._loaded:
                await self._load(self._source)
            if not self._due(until):
                return False
            return await self._fetch(self._source, until)
        except (SourceUnavailable, StoreUnavailable) as error:
            self._failed(self._source, str(error))
            return False

    def prices(self, start: datetime, step_h: Sequence[float], tariff: Tariff) -> Prices:
        """Import price, export price and whether they are known, of each step [currency per kWh]."""
        return tariff_prices(self.curve, start, step_h, tariff)

    async def as_known_at(self, known_by: datetime, since: datetime, until: datetime) -> PriceCurve:
        """The prices of ``[since, until)`` that were known at ``known_by``, for honest backtests."""
        if self._source is None:
            return PriceCurve.of(())
        return PriceCurve.of(
            await self._store.prices(self._source.name, since, until, known_by=known_by)
        )

    async def _load(self, source: PriceSource) -> None:
        now = self._clock.now()
        for point in await self._store.prices(source.name, now - MEMORY, now + MEMORY):
            self._points[point.start] = point
        self.curve = PriceCurve.of(list(self._points.values()))
        self._loaded = True

    def _wanted(self, until: datetime) -> datetime:
        return min(until, published_until(self._clock.now()))

    def _due(self, until: datetime) -> bool:
        if self._clock.monotonic() < self._not_before:
            return False
        return self.curve.covered_until(self._clock.now()) < self._wanted(until)

    async def _fetch(self, source: PriceSource, until: datetime) -> bool:
        now = self._clock.now()
        points = await source.fetch(market_midnight(now), max(market_midnight(now, 2), until))
        now = self._clock.now()
        believed, refused = sift(points, self._recent(now))
        self._report(source, refused)
        news = [p for p in believed if self._points.get(p.start) != p]
        if news:
            await self._store.save_prices(source.name, now, news)
            self._keep(now, news)
        covered = self.curve.covered_until(now)
        if covered < self._wanted(until):
            self._failed(source, f"no prices from {covered.astimezone(UTC):%Y-%m-%dT%H:%MZ} on")
        else:
            FETCHES.labels(source.name, "complete").inc()
            self._pause_s, self._not_before = 0.0, float("-inf")
            self.trouble = None
        return bool(news)

    def _recent(self, now: datetime) -> list[float]:
        return [p.price_per_kwh for p in self._points.values() if p.start >= now - MEMORY]

    def _keep(self, now: datetime, news: Sequence[PricePoint]) -> None:
        for point in news:
            self._points[point.start] = point
        self._points = {s: p for s, p in self._points.items() if p.end > now - MEMORY}
        self.curve = PriceCurve.of(list(self._points.values()))

    def _report(self, source: PriceSource, refused: Sequence[Quarantined]) -> None:
        self.quarantined = tuple(refused)
        if refused:
            QUARANTINED.labels(source.name).inc(len(refused))
            _log.warning(
                "prices quarantined",
                source=source.name,
                count=len(refused),
                first=refused[0].point.start.isoformat(),
                reason=refused[0].reason,
            )

    def _failed(self, source: PriceSource, trouble: str) -> None:
        self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._not_before = self._clock.monotonic() + self._pause_s
        self.trouble = trouble
        FETCHES.labels(source.name, "incomplete").inc()
        _log.warning("prices missing", source=source.name, reason=trouble, retry_s=self._pause_s)
