"""Group commit: whatever waits while a transaction is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.store.database import Link, WriteRefused

Item = TypeVar("Item")
R = TypeVar("R")
Bulk = Callable[[Connection, Sequence[Item]], Sequence[R]]
"""Writes many items at once and gives one result for each."""

FAILURES = Counter("gridleaf_store_write_failures", "Writes that were not made durable", ["reason"])
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    bulk: Bulk[Any, Any]
    item: Any
    done: asyncio.Future[Any]


class Writer:
    """The one writer of a database.

    Parameters
    ----------
    link, executor
        The connection, and the single thread it is used on; without one each write runs in line,
        which is right where no disk and no network make it wait.
    queue
        How many writes may wait; telemetry only up to three quarters of it.
    """

    def __init__(self, link: Link, executor: Executor | None, queue: int) -> None:
        self._link = link
        self._executor = executor
        self._limit = queue
        self._waiting: list[_Job] = []
        self._flying: list[_Job] = []
        self._idle = asyncio.Event()
        self._idle.set()

    async def write(self, bulk: Bulk[Item, R], item: Item, *, telemetry: bool = False) -> R:
        """Write ``item``; returns when it is durable.

        Raises
        ------
        StoreUnavailable
            It is not durable: too much is waiting, or the database could not.
        """
        if self._executor is None:
            return self._alone(bulk, item)
        limit = self._limit * 3 // 4 if telemetry else self._limit
        if len(self._waiting) >= limit:
            FAILURES.labels("QueueFull").inc()
            raise StoreUnavailable("more is waiting to be stored than the database keeps up with")
        loop = asyncio.get_running_loop()
        job = _Job(bulk, item, loop.create_future())
        self._waiting.append(job)
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._take_off)
        result: R = await job.done
        return result

    async def drained(self) -> None:
        """Wait until nothing waits any more."""
        await self._idle.wait()

    def _alone(self, bulk: Bulk[Item, R], item: Item) -> R:
        try:
            return self._link.run(lambda connection: bulk(connection, [item]))[0]
        except StoreUnavailable as error:
            FAILURES.labels(type(error).__name__).inc()
            raise

    def _take_off(self) -> None:
        self._flying, self._waiting = self._waiting, []
        flight = asyncio.get_running_loop().run_in_executor(
            self._executor, self._commit, self._flying
        )
        flight.add_done_callback(self._land)

    def _land(self, flight: asyncio.Future[list[Any]]) -> None:
        for job, outcome in zip(self._flying, flight.result(), strict=True):
            failed = isinstance(outcome, Exception)
            if failed:
                FAILURES.labels(type(outcome).__name__).inc()
            if job.done.done():
                continue
            if failed:
                job.done.set_exception(outcome)
            else:
                job.done.set_result(outcome)
        if self._waiting:
            self._take_off()
        else:
            self._idle.set()

    def _commit(self, jobs: Sequence[_Job]) -> list[Any]:
        """Results or exceptions, one for each job. Runs on the writer's thread.

        A group that holds a bad write is halved until the bad one is alone.
        """
        try:
            return self._link.run(partial(_run, jobs))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the write
            hopeless = isinstance(error, StoreUnavailable) and not isinstance(error, WriteRefused)
            if hopeless:
                log.error("store_unavailable", reason=str(error), writes=len(jobs))
                return [type(error)(str(error)) for _ in jobs]
            if len(jobs) == 1:
                return [error]
        middle = len(jobs) // 2
        return self._commit(jobs[:middle]) + self._commit(jobs[middle:])


def _run(jobs: Sequence[_Job], connection: Connection) -> list[Any]:
    results: list[Any] = []
    for bulk, group in groupby(jobs, key=attrgetter("bulk")):
        results.extend(bulk(connection, [job.item for job in group]))
    return results
