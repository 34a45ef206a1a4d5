"""An event loop on virtual time: when nothing is left to do now, time jumps to the next timer.

A simulated month takes as long as its callbacks do, and the same start gives the same order of
everything. There is no real I/O; work handed to an executor runs in line, so that no thread can
bring in an order of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import GridleafError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Deadlock(GridleafError):
    """Every task waits for something that can no longer happen: no callback and no timer is left."""


class VirtualClock:
    """:class:`~gridleaf.domain.clock.Clock` of a virtual loop; its time is the loop's.

    Parameters
    ----------
    loop
        The loop whose time it tells.
    start
        Wall-clock time at loop time 0 (aware, UTC).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("start must be aware")
        self._loop = loop
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait_for(self, awaitable: Awaitable[T], timeout_s: float) -> T:
        async with asyncio.timeout(timeout_s):
            return await awaitable


class _Jump:
    """Stands in for the selector of a real loop: instead of waiting it moves the time on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            self._loop.stuck()
        if timeout:
            self._loop.jump()
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order they were scheduled; its clock starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _Jump(self)

    def time(self) -> float:
        return self._now

    def jump(self) -> None:
        """To the next timer, exactly: adding up time-outs would drift."""
        self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]

    def stuck(self) -> None:
        waiting = [
            f"{task.get_name()} in {_place(task)}" for task in _in_order(asyncio.all_tasks(self))
        ]
        raise Deadlock("nothing can happen any more; waiting: " + ("; ".join(waiting) or "no task"))

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run ``func`` now, in line; the future returned is already done."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the future
            future.set_exception(error)
        return future

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none: nothing outside the loop exists."""

    def _write_to_self(self) -> None:
        """Wakes a loop that waits; this one never does."""


def run_virtual(main: Callable[[Clock], Awaitable[T]], start: datetime) -> T:
    """Run ``main(clock)`` to its end on a loop of its own; like :func:`asyncio.run` but without waiting.

    What is still running when ``main`` ends is cancelled, in the order it was started.

    Parameters
    ----------
    start
        Wall-clock time at which the clock begins (aware).

    Raises
    ------
    Deadlock
        ``main`` is not done and nothing can ever happen again.
    """

    async def whole() -> T:
        try:
            return await main(VirtualClock(asyncio.get_running_loop(), start))
        finally:
            await _cancel_rest()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(whole())


async def _cancel_rest() -> None:
    rest = _in_order(asyncio.all_tasks() - {asyncio.current_task()})
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _in_order(tasks: set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Tasks by name; the names asyncio gives carry a rising number, so this is their age."""
    return sorted(tasks, key=lambda task: (len(task.get_name()), task.get_name()))


def _place(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    if not frames:
        return "?"
    return f"{frames[-1].f_code.co_qualname}, line {frames[-1].f_lineno}"
