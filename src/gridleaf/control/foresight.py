"""What is expected of a site: prices, building and generation, vehicles yet to come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from gridleaf.control.loop import Series
from gridleaf.domain.clock import Clock
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig
from gridleaf.forecast.arrivals import ArrivalHistory
from gridleaf.forecast.persistence import SiteForecast, SiteHistory, forecast_site
from gridleaf.tariff import PriceBook

FORECAST_S = 60.0
"""A forecast of building and generation is good for so long [s]."""


class Expectations:
    """Learns from measurements and visits; its methods are a :class:`~gridleaf.control.loop.Foresight`."""

    def __init__(self, site: SiteConfig, clock: Clock, book: PriceBook) -> None:
        self.history = SiteHistory()
        self.visits = ArrivalHistory(site.timezone)
        self._site = site
        self._clock = clock
        self._book = book
        self._forecast: tuple[float, SiteForecast] | None = None

    def prices(
        self, start: datetime, step_h: Sequence[float]
    ) -> tuple[Series, Series, tuple[bool, ...]]:
        """Known prices; where there are none yet, those of the day before, else the flat tariff."""
        tariff = self._site.tariff
        buy, sell, known = self._book.prices(start, step_h, tariff)
        if tariff.source == "none":
            return buy, sell, (True,) * len(known)
        if all(known):
            return buy, sell, known
        old_buy, old_sell, was = self._book.prices(start - timedelta(days=1), step_h, tariff)
        use_old = [not k and w for k, w in zip(known, was, strict=True)]
        return (
            tuple(o if use else p for p, o, use in zip(buy, old_buy, use_old, strict=True)),
            tuple(o if use else p for p, o, use in zip(sell, old_sell, use_old, strict=True)),
            known,
        )

    def base(
        self, start: datetime, step_h: Sequence[float], newest: SiteMeasurement | None
    ) -> tuple[Series, Series]:
        """Building load and generation [kW]; of the first step what was measured."""
        if newest is None:
            return (0.0,) * len(step_h), (0.0,) * len(step_h)
        now = self._clock.monotonic()
        made_at, forecast = self._forecast or (now, None)
        if forecast is None or now - made_at > FORECAST_S or len(forecast.load_kw) < len(step_h):
            forecast = forecast_site(self.history, start, step_h, timezone=self._site.timezone)
            self._forecast = now, forecast
        load, pv = forecast.load_kw[: len(step_h)].copy(), forecast.pv_kw[: len(step_h)].copy()
        if len(step_h):
            load[0] = newest.load_kw if newest.load_kw is not None else load[0]
            pv[0] = newest.pv_kw if newest.pv_kw is not None else pv[0]
        return tuple(load.tolist()), tuple(pv.tolist())

    def arrivals(self, start: datetime, step_h: Sequence[float]) -> Series:
        """What vehicles yet to come will want [kW]: nobody in the first step, who is here is known."""
        return (0.0, *self.visits.expected_kw(start, step_h)[1:].tolist())
