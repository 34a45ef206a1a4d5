"""The clock port and the one real clock.

Nothing else in gridleaf reads the time of the machine: whoever needs the time is handed a
:class:`Clock`. The virtual clock of tests and replays is in :mod:`gridleaf.sim.virtual`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Time as gridleaf sees it."""

    def now(self) -> datetime:
        """Wall-clock time, aware, UTC. May step when the machine's clock is set."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start [s]; never steps back. All ages and deadlines use it."""

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` of this clock's time [s]."""

    async def wait_for(self, awaitable: Awaitable[T], timeout_s: float) -> T:
        """Await with a time-out of this clock's time [s]; raises :class:`TimeoutError`."""


class RealClock:
    """The machine's clock, optionally started elsewhere and run faster.

    Parameters
    ----------
    speed
        Seconds of this clock per second of the machine [-]; 1 is real time.
    start
        Wall-clock time at which this clock starts; the machine's own when absent. With a start
        or a speed other than 1 the wall time follows the monotonic clock.
    """

    def __init__(self, speed: float = 1.0, start: datetime | None = None) -> None:
        if speed <= 0:
            raise ValueError("speed must be positive")
        self.speed = speed
        self._origin = time.monotonic()
        self._start = start if start is not None or speed == 1.0 else datetime.now(UTC)

    def now(self) -> datetime:
        if self._start is None:
            return datetime.now(UTC)
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - self._origin) * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    async def wait_for(self, awaitable: Awaitable[T], timeout_s: float) -> T:
        # not asyncio.wait_for: up to Python 3.11 it loses a cancellation that meets the result
        async with asyncio.timeout(timeout_s / self.speed):
            return await awaitable


stopwatch = time.perf_counter
"""Measures how long work took on this machine [s]; hand in another where the result must repeat."""
