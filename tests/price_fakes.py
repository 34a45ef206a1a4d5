"""What tests of prices stand on: a clock that jumps, a store in a list, sources that are scripted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from gridleaf.domain.errors import SourceUnavailable, StoreUnavailable
from gridleaf.domain.prices import PricePoint

T = TypeVar("T")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class JumpClock:
    """Sleeping takes no time and moves the clock."""

    def __init__(self, at: str) -> None:
        self.at = utc(at)
        self.started = self.at
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - self.started).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    async def wait_for(self, awaitable: Awaitable[T], timeout_s: float) -> T:
        return await awaitable

    def set(self, at: str) -> None:
        self.at = utc(at)


class PriceShelf:
    """Keeps every price with the time it became known, as the store's port says."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, datetime, PricePoint]] = []
        self.down = False

    async def save_prices(
        self, source: str, known_at: datetime, points: Sequence[PricePoint]
    ) -> None:
        if self.down:
            raise StoreUnavailable("disk full")
        self.rows += [(source, known_at, point) for point in points]

    async def prices(
        self, source: str, since: datetime, until: datetime, known_by: datetime | None = None
    ) -> list[PricePoint]:
        newest: dict[datetime, PricePoint] = {}
        for name, known_at, point in self.rows:
            wanted = name == source and point.start < until and point.end > since
            if wanted and (known_by is None or known_at <= known_by):
                newest[point.start] = point
        return [newest[start] for start in sorted(newest)]


class ScriptedSource:
    """Answers each fetch with the next of ``answers``; the last one for ever."""

    name = "scripted:zone"

    def __init__(self, *answers: Iterable[PricePoint] | SourceUnavailable) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[datetime, datetime]] = []

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        self.asked.append((since, until))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, SourceUnavailable):
            raise answer
        return [p for p in answer if p.end > since and p.start < until]


def contiguous(points: Sequence[PricePoint]) -> bool:
    """Each price begins where the one before ends."""
    return all(before.end == after.start for before, after in pairwise(points))


def series(
    start: str,
    prices: Sequence[float] | Callable[[int], float],
    *,
    hours: int = 24,
    minutes: int = 60,
) -> list[PricePoint]:
    """Prices [currency per kWh] of consecutive intervals; a function gets the index."""
    step = timedelta(minutes=minutes)
    if callable(prices):
        prices = [prices(n) for n in range(hours * 60 // minutes)]
    return [
        PricePoint(
            start=utc(start) + n * step, end=utc(start) + (n + 1) * step, price_per_kwh=price
        )
        for n, price in enumerate(prices)
    ]
