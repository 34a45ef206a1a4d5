"""Waiting with a time-out, on the machine's clock and on a virtual one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from gridleaf.domain.clock import Clock, RealClock
from gridleaf.sim.virtual import run_virtual

START = datetime(2026, 1, 5, tzinfo=UTC)


def on_the_machine(main: Callable[[Clock], Awaitable[None]]) -> None:
    async def whole() -> None:
        await main(RealClock(speed=100))

    asyncio.run(whole())


def on_virtual_time(main: Callable[[Clock], Awaitable[None]]) -> None:
    run_virtual(main, START)


@pytest.mark.parametrize("run", [on_the_machine, on_virtual_time])
def test_a_cancellation_that_meets_the_result_is_not_lost(
    run: Callable[[Callable[[Clock], Awaitable[None]]], None],
) -> None:
    async def main(clock: Clock) -> None:
        event = asyncio.Event()

        async def forever() -> None:
            while True:
                await clock.wait_for(event.wait(), 3600)
                event.clear()

        task = asyncio.create_task(forever())
        await clock.sleep(1)
        event.set()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()

    run(main)


@pytest.mark.parametrize("run", [on_the_machine, on_virtual_time])
def test_what_takes_too_long_is_cancelled_and_told(
    run: Callable[[Callable[[Clock], Awaitable[None]]], None],
) -> None:
    async def main(clock: Clock) -> None:
        late = asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            await clock.wait_for(late, 1)
        assert late.cancelled()
        done = asyncio.get_running_loop().create_future()
        done.set_result(7)
        assert await clock.wait_for(done, 1) == 7

    run(main)
