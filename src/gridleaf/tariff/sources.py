"""From the tariff of a site to its source of market prices."""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left, bisect_right
from datetime import datetime
from pathlib import Path

import httpx

from gridleaf.domain.clock import Clock, RealClock
from gridleaf.domain.errors import ConfigError, SourceUnavailable
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.site import Tariff
from gridleaf.tariff.auction import published_until
from gridleaf.tariff.awattar import AwattarSource
from gridleaf.tariff.csv_prices import PriceSeries, read_price_csv
from gridleaf.tariff.energy_charts import EnergyChartsSource
from gridleaf.tariff.entsoe import EntsoeSource
from gridleaf.tariff.octopus import OctopusSource
from gridleaf.tariff.port import PriceSource


class CsvSource:
    """Prices from a file, read again when it has changed."""

    def __init__(self, path: Path, timezone: str | None = None) -> None:
        self.name = f"csv:{path.name}"
        self._path = path
        self._timezone = timezone
        self._stamp: tuple[int, int] | None = None
        self._series = PriceSeries(())

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        loop = asyncio.get_running_loop()
        try:
            points = await loop.run_in_executor(None, self._read)
        except ConfigError as error:
            raise SourceUnavailable(f"{self.name}: {error.reason}") from None
        first = bisect_right(points, since, key=lambda p: p.end)
        last = bisect_left(points, until, key=lambda p: p.start)
        return list(points[first:last])

    def check(self) -> None:
        """Read the file; raises :class:`ConfigError` when it cannot be used."""
        try:
            self._read()
        except ConfigError as error:
            raise ConfigError("tariff.file", str(error)) from None

    def _read(self) -> tuple[PricePoint, ...]:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise ConfigError(str(self._path), error.strerror or str(error)) from None
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._series = read_price_csv(self._path, timezone=self._timezone)
            self._stamp = stamp
        return self._series.points


class DayAheadSource:
    """Another source as it was on the day: tomorrow is hidden until the auction has published it.

    For replays of a file that knows the whole past.
    """

    def __init__(self, source: PriceSource, clock: Clock) -> None:
        self.name = source.name
        self._source = source
        self._clock = clock

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        return await self._source.fetch(since, min(until, published_until(self._clock.now())))


def make_source(
    tariff: Tariff,
    *,
    client: httpx.AsyncClient | None = None,
    clock: Clock | None = None,
    timezone: str | None = None,
) -> PriceSource | None:
    """The source that ``tariff.source`` names; None for ``none``.

    Parameters
    ----------
    client
        For the requests; opened for each fetch when absent.
    clock
        Times the retries; the machine's when absent.
    timezone
        Zone of local times in a price file that does not say its own; the site's.

    Raises
    ------
    ConfigError
        When something that the source needs is missing from the tariff, or its file cannot be read.
    """
    clock = clock or RealClock()
    match tariff.source:
        case "none":
            return None
        case "csv":
            if tariff.file is None:
                raise ConfigError("tariff.file", "source csv needs the file")
            source = CsvSource(tariff.file, timezone)
            source.check()
            return source
        case "entsoe":
            return EntsoeSource(_area(tariff, "an EIC code"), _token(tariff), clock, client)
        case "octopus":
            return OctopusSource(_area(tariff, "a tariff code"), clock, client)
        case "awattar":
            return AwattarSource(_area(tariff, "DE or AT"), clock, client)
        case "energy-charts":
            return EnergyChartsSource(_area(tariff, "a bidding zone"), clock, client)


def _area(tariff: Tariff, what: str) -> str:
    if not tariff.area:
        raise ConfigError("tariff.area", f"source {tariff.source} needs {what}")
    return tariff.area


def _token(tariff: Tariff) -> str:
    if tariff.token_file is not None:
        try:
            token = tariff.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("tariff.token_file", f"{tariff.token_file}: {error}") from None
    elif tariff.token_env is not None:
        token = os.environ.get(tariff.token_env, "").strip()
    else:
        raise ConfigError("tariff.token_file", f"source {tariff.source} needs a token")
    if not token:
        where = "token_file" if tariff.token_file is not None else "token_env"
        raise ConfigError(f"tariff.{where}", "the token is empty")
    return token
