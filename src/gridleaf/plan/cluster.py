"""Vehicles on the machines of a Ray cluster: prices go out, sums come back.

Each worker holds some pieces of the packed fleet. A piece is never divided, and the sums are added up
in the same order, so the plan is that of the threads of one machine. What is asked of few vehicles is
answered here. When a worker is lost another one gets its pieces, from the copy in the object store of
this machine, and is asked again: no answer is left out of a bound.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from gridleaf.domain.errors import ConfigError, PlanningFailed
from gridleaf.plan.problem import Floats, Ints
from gridleaf.plan.sweep import (
    Fleet,
    Mixtures,
    Sheets,
    Sweeper,
    Vectors,
    Written,
    blank,
    in_blocks,
    part,
    pieces,
    ranked,
)

NEAR = 20_000
"""Fewer vehicles than this are asked on this machine: a call would take longer."""
MOST_LOST = 20
"""After so many lost workers something else is wrong."""
KNOCK_S = 5.0
"""So long a cluster has to be there [s]."""
PATIENCE_S = 300.0
"""After so long without an answer the search is given up [s]."""


class Worker:
    """Some pieces of a fleet, in another process or on another machine."""

    def __init__(self, fleet: Fleet) -> None:
        self._vehicles = Sweeper(_writable(fleet), None, 1)

    def answers(
        self, begin: Ints, end: Ints, vector: Ints, prices: Floats
    ) -> tuple[Floats, Floats]:
        """See :meth:`Sweeper.answers`; positions are those in the worker."""
        begin, end, vector = begin.copy(), end.copy(), vector.copy()
        return self._vehicles.answers(begin, end, vector, ranked(prices.copy()))

    def write(self, begin: Ints, end: Ints, mixtures: Mixtures, prices: Floats) -> Written:
        """See :meth:`Sweeper.write`; positions are those in the worker."""
        vectors, mixtures = ranked(prices.copy()), _writable(mixtures)
        fleet = self._vehicles.fleet
        sheets = blank(len(fleet.cars), len(fleet.step_h))
        return self._vehicles.write(begin.copy(), end.copy(), mixtures, vectors, sheets)


class Cluster(Sweeper):
    """Asks vehicles that are spread over workers."""

    def __init__(self, fleet: Fleet, ray: Any, workers: int) -> None:
        super().__init__(fleet, None, 1)
        self._ray = ray
        size = fleet.end - fleet.begin
        self._begin, end, block, _ = pieces(in_blocks(fleet), np.arange(len(size)), size)
        first = np.searchsorted(block, np.arange(len(size)))
        # the first pieces of all groups, of which samples are made, are spread as well
        self._owner = (block + np.arange(len(block)) - first[block]) % workers
        self._place = np.empty(len(block), dtype=np.int64)
        self._start = ray.remote(Worker).options(num_cpus=1).remote
        self._rows: list[Ints] = []
        self._kept: list[Any] = []
        self._workers: list[Any] = []
        self._lost = 0
        for worker in range(min(workers, len(block))):
            mine = np.flatnonzero(self._owner == worker)
            size = end[mine] - self._begin[mine]
            self._place[mine] = np.cumsum(size) - size
            ranges = zip(self._begin[mine].tolist(), end[mine].tolist(), strict=True)
            vehicles = np.concatenate([np.arange(*positions) for positions in ranges])
            some, rows = part(fleet, vehicles)
            self._rows.append(rows)
            self._kept.append(ray.put(some))
            self._workers.append(self._start(self._kept[-1]))

    def answers(
        self, begin: Ints, end: Ints, vector: Ints, vectors: Vectors
    ) -> tuple[Floats, Floats]:
        if int((end - begin).sum()) < NEAR:
            return super().answers(begin, end, vector, vectors)
        flow, own = np.empty((len(begin), len(self.fleet.step_h))), np.empty(len(begin))
        prices = self._ray.put(vectors.prices)

        def call(worker: Any, first: Ints, last: Ints, tasks: Ints) -> Any:
            return worker.answers.remote(first, last, vector[tasks], prices)

        for _, tasks, answer in self._asked(begin, end, call):
            flow[tasks], own[tasks] = answer
        return flow, own

    def write(
        self, begin: Ints, end: Ints, mixtures: Mixtures, vectors: Vectors, sheets: Sheets
    ) -> Written:
        count, steps = len(self.fleet.cars), len(self.fleet.step_h)
        if count < NEAR:
            return super().write(begin, end, mixtures, vectors, sheets)
        charge, discharge = sheets
        result = Written(
            charge_kw=charge,
            discharge_kw=discharge,
            missing_kwh=np.empty(count),
            lent_kwh=np.empty(count),
            drawn=np.empty((len(begin), steps)),
            sums=np.empty((len(begin), 6)),
        )
        prices = self._ray.put(vectors.prices)

        def call(worker: Any, first: Ints, last: Ints, tasks: Ints) -> Any:
            return worker.write.remote(first, last, mixtures.of(tasks), prices)

        for worker, tasks, answer in self._asked(begin, end, call):
            order = self.fleet.order[self._rows[worker]]
            result.charge_kw[order] = answer.charge_kw
            result.discharge_kw[order] = answer.discharge_kw
            result.missing_kwh[order] = answer.missing_kwh
            result.lent_kwh[order] = answer.lent_kwh
            result.drawn[tasks], result.sums[tasks] = answer.drawn, answer.sums
        return result

    def _asked(
        self, begin: Ints, end: Ints, call: Callable[[Any, Ints, Ints, Ints], Any]
    ) -> Iterator[tuple[int, Ints, Any]]:
        """The answers of the workers, each with its number and its tasks."""
        piece = np.searchsorted(self._begin, begin)
        owner, place = self._owner[piece], self._place[piece]

        def ask(number: int) -> Any:
            tasks = np.flatnonzero(owner == number)
            first, size = place[tasks], (end - begin)[tasks]
            return tasks, call(self._workers[number], first, first + size, tasks)

        asked = {number: ask(number) for number in np.unique(owner).tolist()}
        while asked:
            number = next(iter(asked))
            tasks, answer = asked.pop(number)
            try:
                result = self._ray.get(answer, timeout=PATIENCE_S)
            except self._ray.exceptions.RayActorError as error:
                self._replace(number, error)
                asked[number] = ask(number)
            except self._ray.exceptions.RayError as error:
                raise _failed(error) from error
            else:
                yield number, tasks, result

    def _replace(self, number: int, error: Exception) -> None:
        """A new worker in place of a lost one."""
        self._lost += 1
        if self._lost > MOST_LOST:
            raise _failed(error) from error
        self._ray.kill(self._workers[number])  # it may only be out of reach
        self._workers[number] = self._start(self._kept[number])

    def dismiss(self) -> None:
        """End the workers."""
        for worker in self._workers:
            self._ray.kill(worker)


@contextmanager
def sweeper_on_ray(fleet: Fleet) -> Iterator[Cluster]:
    """A worker on every free processor of the cluster that the program or ``RAY_ADDRESS`` names.

    Without one a cluster on this machine is started, and ended afterwards. Raises :class:`ConfigError`
    if Ray is not installed or the cluster does not answer.
    """
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise ConfigError("workers", "Ray is not installed: pip install 'gridleaf[ray]'") from None
    ours = not ray.is_initialized()
    if ours:
        _connect(ray)
    try:
        free = int(ray.available_resources().get("CPU", 0))
        cluster = Cluster(fleet, ray, max(free, 1))
        try:
            yield cluster
        finally:
            cluster.dismiss()
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any) -> None:
    """Join the cluster of ``RAY_ADDRESS``, or start one on this machine."""
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    place = os.environ.get("RAY_ADDRESS", "")
    if not place:
        processors = len(os.sched_getaffinity(0))
        ray.init(address="local", num_cpus=processors, include_dashboard=False, **quiet)
        return
    try:
        host, _, port = place.removeprefix("ray://").rpartition(":")
        if port.isdecimal():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), KNOCK_S).close()
        ray.init(address="auto", **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError("RAY_ADDRESS", f"no Ray cluster at {place}: {error}") from error


def _failed(error: Exception) -> PlanningFailed:
    return PlanningFailed(f"the Ray cluster failed: {str(error).strip().splitlines()[-1]}")


def _writable(record: Any) -> Any:
    """A copy of a record of arrays: what comes from the object store is read-only, and would be compiled for."""
    arrays = {name: getattr(record, name) for name in record.__slots__}
    return replace(record, **{n: a.copy() for n, a in arrays.items() if isinstance(a, np.ndarray)})
