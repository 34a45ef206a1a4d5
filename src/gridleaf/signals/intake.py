"""What all meters have in common: values checked, joined into measurements, patience when away."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import structlog
from prometheus_client import Counter

from gridleaf.domain.errors import GridleafError
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig

Field = Literal["grid_kw", "pv_kw", "load_kw"]
Sink = Callable[[SiteMeasurement], Awaitable[None]]

HOLD = timedelta(seconds=60)
"""Generation and building load may be this much older than the grid power they travel with."""
LARGEST_KW = 1e6
UNBELIEVABLE = 10.0
"""No meter of a site shows this many times what its connection and its EVSEs can carry."""
_GENERATION_NOISE_KW = 1.0

REJECTED = Counter(
    "gridleaf_signal_rejected", "Values of meters that were not used", ["source", "reason"]
)
_log = structlog.get_logger()


class Join:
    """Joins the fields of several meters into measurements of the site.

    Grid power decides about limits: it is handed on at once, always with its own time, and never a
    second time. Generation and building load wait for the next grid power and may be repeated with
    it while younger than ``hold``. They are handed on by themselves only while no grid meter speaks.
    A sink that fails with one of our errors is reported, and the next measurement tries again.
    """

    def __init__(self, sink: Sink, hold: timedelta = HOLD) -> None:
        self._sink = sink
        self._hold = hold
        self._pv: tuple[datetime, float] | None = None
        self._load: tuple[datetime, float] | None = None
        self._grid_at: datetime | None = None

    async def __call__(self, measurement: SiteMeasurement) -> None:
        at = measurement.measured_at
        if measurement.pv_kw is not None:
            self._pv = at, measurement.pv_kw
        if measurement.load_kw is not None:
            self._load = at, measurement.load_kw
        if measurement.grid_kw is not None:
            self._grid_at = at
            measurement = replace(
                measurement, pv_kw=self._fresh(self._pv, at), load_kw=self._fresh(self._load, at)
            )
        elif self._grid_at is not None and abs(at - self._grid_at) <= self._hold:
            return
        try:
            await self._sink(measurement)
        except GridleafError as error:
            _log.warning("measurement lost", source=measurement.source, reason=str(error))

    def _fresh(self, part: tuple[datetime, float] | None, at: datetime) -> float | None:
        return part[1] if part is not None and abs(at - part[0]) <= self._hold else None


def reject(source: str, reason: str) -> None:
    """Count a value that was not used."""
    REJECTED.labels(source, reason).inc()


def plausible(field: Field, kw: float) -> float | None:
    """The value as the site knows it, or None for what no meter of a site can mean.

    Generation that is slightly negative is an inverter's own consumption at night and becomes 0;
    clearly negative generation is a wrong sign and is refused.
    """
    if not math.isfinite(kw) or abs(kw) > LARGEST_KW:
        return None
    if field == "pv_kw" and kw < 0:
        return 0.0 if kw >= -_GENERATION_NOISE_KW else None
    return kw


def believable(measurement: SiteMeasurement, site: SiteConfig) -> SiteMeasurement | None:
    """The measurement without numbers that no meter of this site can show.

    None when the grid power is one of them, or nothing is left: then the meter counts as silent.
    """
    evses = (evse for station in site.stations for evse in station.evses)
    most = UNBELIEVABLE * (site.import_limit_kw + sum(evse.charge_max_kw for evse in evses))

    def kept(kw: float | None) -> float | None:
        return kw if kw is not None and abs(kw) <= most else None

    load, pv = kept(measurement.load_kw), kept(measurement.pv_kw)
    told = (load, pv) if measurement.grid_kw is None else (kept(measurement.grid_kw),)
    if all(kw is None for kw in told):
        return None
    return replace(measurement, load_kw=load, pv_kw=pv)


def pauses() -> Iterator[float]:
    """1, 2, 4 ... 60, 60, 60 [s]."""
    seconds = 1.0
    while True:
        yield seconds
        seconds = min(2 * seconds, 60.0)
