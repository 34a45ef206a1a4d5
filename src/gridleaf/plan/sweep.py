"""All vehicles of a problem in an order that can be sampled, and their answers to prices.

Vehicles that are priced alike form a class. Inside a class they are sorted by what they can do and
cut into groups of equal size, and these into blocks; inside a block every prefix is a systematic sample
of it, so a part of the fleet is the first part of every block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridleaf.plan import oracle
from gridleaf.plan.compiled import compiled
from gridleaf.plan.problem import Floats, Ints, Penalties, Problem, filled

CHUNK = 2000
"""Vehicles in one piece of work."""
INLINE = 1500
"""Fewer vehicles than this are not worth another thread."""
LEAST_GROUPS = 3
"""Each of several classes is cut into as many groups as this, if it has the vehicles."""
ALIKE = 8
"""Fewer vehicles than this are not cut any further."""
GOLDEN = 0.6180339887


@dataclass(frozen=True, slots=True)
class Fleet:
    """N vehicles in B blocks and G groups, packed for :mod:`gridleaf.plan.oracle`.

    ``order`` ``(N,)`` is the position in the problem of each packed vehicle. Block b is the vehicles
    ``begin[b]..end[b]``, group g the blocks ``first[g]..first[g + 1]``, all of class ``kind[g]``.
    """

    cars: Floats
    most_in: Floats
    most_out: Floats
    step_h: Floats
    unmet: float
    short: float
    order: Ints
    begin: Ints
    end: Ints
    first: Ints
    kind: Ints


def pack(problem: Problem, prices: Penalties, kind: Ints, groups: int, blocks: int = 1) -> Fleet:
    """The vehicles of a problem, of the classes ``kind`` ``(N,)``, in about ``groups`` groups.

    Each group is of as many ``blocks``, where it has the vehicles.
    """
    visits, steps = problem.visits, len(problem.step_h)
    count = len(visits.id)
    order = np.argsort(_likeness(problem, kind), kind="stable")
    sizes = np.bincount(kind)
    present = np.flatnonzero(sizes)
    sizes = sizes[present]
    least = np.minimum(-(-sizes // ALIKE), LEAST_GROUPS if len(sizes) > 1 else 1)
    parts = np.rint(groups * sizes / max(count, 1)).astype(np.int64)
    parts = np.minimum(np.maximum(parts, least), sizes)
    each = np.minimum(blocks, sizes // parts)
    start = np.concatenate(([0], np.cumsum(sizes)[:-1])) if len(sizes) else np.zeros(0, np.int64)
    edges = [
        at + np.arange(part + 1) * size // part
        for at, size, part in zip(
            start.tolist(), sizes.tolist(), (parts * each).tolist(), strict=True
        )
    ]
    begin = np.concatenate([edge[:-1] for edge in edges] or [np.zeros(0, np.int64)])
    end = np.concatenate([edge[1:] for edge in edges] or [np.zeros(0, np.int64)])
    first = np.concatenate(([0], np.cumsum(np.repeat(each, parts))))
    _spread(order, begin, end, GOLDEN)

    cars = np.empty((count, oracle.COLUMNS))
    start, floor = visits.energy_kwh, filled(visits.min_kwh, -np.inf)
    short = start < floor
    charge, in_most = _power(visits.charge_kw, order)
    discharge, out_most = _power(visits.discharge_kw, order)
    listed = short | (steps > oracle.MOST_RANKS)
    columns = {
        oracle.ARRIVE: visits.arrive,
        oracle.DEPART: visits.depart,
        oracle.CHARGE_KW: charge,
        oracle.DISCHARGE_KW: discharge,
        oracle.INTO: visits.charge_efficiency,
        oracle.OUT: visits.discharge_efficiency,
        oracle.START: start,
        oracle.LEAST: np.minimum(floor, start),
        oracle.MOST: np.maximum(filled(visits.max_kwh, np.inf), start),
        oracle.TARGET: filled(visits.target_kwh, -np.inf),
        oracle.WEAR: visits.wear_eur_per_kwh,
        oracle.VALUE: visits.value_eur_per_kwh,
        oracle.FLOOR: np.where(short, floor, -np.inf),
        oracle.KIND: np.where(listed, oracle.LISTED, np.where(discharge > 0, oracle.RANKED, 0.0)),
    }
    for at in range(0, count, CHUNK):  # a part that stays in the cache
        part = slice(at, at + CHUNK)
        for column, values in columns.items():
            cars[part, column] = values[order[part]]
    return Fleet(
        cars=cars,
        most_in=in_most,
        most_out=out_most,
        step_h=problem.step_h,
        unmet=prices.unmet_eur_per_kwh,
        short=prices.short_eur_per_kwh_h,
        order=order,
        begin=begin,
        end=end,
        first=first,
        kind=kind[order[begin[first[:-1]]]],
    )


def in_blocks(fleet: Fleet) -> Fleet:
    """The fleet with every block a group."""
    kind = np.repeat(fleet.kind, np.diff(fleet.first))
    return replace(fleet, first=np.arange(len(fleet.begin) + 1), kind=kind)


@compiled
def _spread(order: Ints, begin: Ints, end: Ints, golden: float) -> None:
    """Reorder each group so that every prefix of it is a systematic sample."""
    for g in range(len(begin)):
        size = end[g] - begin[g]
        stride = max(1, int(golden * size))
        while True:
            a, b = size, stride
            while b:
                a, b = b, a % b
            if a == 1:
                break
            stride += 1
        old = order[begin[g] : end[g]].copy()
        at = 0
        for i in range(size):
            order[begin[g] + i] = old[at]
            at += stride
            if at >= size:
                at -= size


def _likeness(problem: Problem, kind: Ints) -> NDArray[Any]:
    """A number for each vehicle; those near each other charge alike. Sorted by class first."""
    visits, steps = problem.visits, len(problem.step_h)
    charge, _ = _power(visits.charge_kw)
    discharge, _ = _power(visits.discharge_kw)
    levels = np.unique(np.quantile(charge, (0.25, 0.5, 0.75))) if len(charge) else charge
    key = np.searchsorted(levels, charge, side="left") + 4 * (discharge > 0)
    key = (key * 17 + visits.depart * 16 // steps) * 65 + visits.arrive * 64 // steps
    classes = int(kind.max(initial=0)) + 1
    whole = kind * (8 * 17 * 65) + key
    return whole.astype(np.int16 if classes <= 3 else np.int64)


def _power(most_kw: Floats, order: Ints | None = None) -> tuple[Floats, Floats]:
    """The largest power of each vehicle, and its power by step in order, (0, 0) where it is one."""
    if most_kw.ndim == 1:
        return most_kw, np.zeros((0, 0))
    by_step = np.zeros((0, 0)) if order is None else np.ascontiguousarray(most_kw[order])
    return most_kw.max(axis=1, initial=0.0), by_step


@dataclass(frozen=True, slots=True)
class Vectors:
    """Price vectors ``(V, T)`` [EUR/kWh] with their ranks (see :func:`oracle.rank`)."""

    prices: Floats
    slot: Ints
    place: Ints
    dear: Floats
    before: NDArray[np.uint64]


def ranked(prices: Floats) -> Vectors:
    """Price vectors made ready for the oracle."""
    prices = np.ascontiguousarray(prices)
    vectors, steps = prices.shape
    width = steps + 1 if steps <= oracle.MOST_RANKS else 0
    result = Vectors(
        prices,
        np.empty((vectors, steps), dtype=np.int64),
        np.empty((vectors, steps), dtype=np.int64),
        np.empty((vectors, steps)),
        np.empty((vectors, width, 2), dtype=np.uint64),
    )
    oracle.rank(prices, result.slot, result.place, result.dear, result.before)
    return result


def pieces(fleet: Fleet, group: Ints, sample: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """The first vehicles of the blocks of groups ``(J,)``, cut into pieces of work.

    Gives the first vehicle of each piece, the one behind the last, the block, and for which of the J.
    """
    blocks = fleet.first[group + 1] - fleet.first[group]
    question = np.repeat(np.arange(len(group)), blocks)
    inside = np.arange(len(question)) - (np.cumsum(blocks) - blocks)[question]
    block = fleet.first[group][question] + inside
    number = -(-sample[block] // CHUNK)
    piece = np.repeat(np.arange(len(block)), number)
    at = np.arange(len(piece)) - (np.cumsum(number) - number)[piece]
    block, number = block[piece], number[piece]
    start = fleet.begin[block] + at * sample[block] // number
    stop = fleet.begin[block] + (at + 1) * sample[block] // number
    return start, stop, block, question[piece]


class Sweeper:
    """Asks vehicles what they do, on several threads."""

    def __init__(self, fleet: Fleet, pool: ThreadPoolExecutor | None, threads: int) -> None:
        self.fleet = fleet
        self._pool = pool
        self._threads = threads

    def sample(self, share: float) -> Ints:
        """How many of each block are a share of the fleet ``(B,)``, at least one."""
        size = self.fleet.end - self.fleet.begin
        wanted = np.maximum(np.ceil(share * size), 1).astype(np.int64)
        return np.asarray(np.minimum(wanted, size))

    def ask(
        self, group: Ints, vector: Ints, vectors: Vectors, sample: Ints
    ) -> tuple[Floats, Floats]:
        """What groups do at price vectors, seen from samples of them.

        ``group`` and ``vector`` are ``(J,)``, ``sample`` ``(B,)``. Gives what they draw ``(J, T)``
        [kWh] and what they cost besides ``(J,)`` [EUR], both for the whole group.
        """
        fleet = self.fleet
        start, stop, block, question = pieces(fleet, group, sample)
        flow, own = np.empty((len(block), len(fleet.step_h))), np.empty(len(block))
        vector = vector[question]

        def work(piece: slice) -> None:
            oracle.answer(
                fleet.cars, fleet.most_in, fleet.most_out, fleet.step_h, fleet.unmet, fleet.short,
                start[piece], stop[piece], vector[piece], vectors.prices, vectors.slot,
                vectors.place, vectors.dear, vectors.before, flow[piece], own[piece],
            )  # fmt: skip

        self.share(work, stop - start)
        weight = ((fleet.end - fleet.begin) / sample)[block]
        flow *= weight[:, None]
        own *= weight
        if len(block) > len(group):
            first = np.searchsorted(question, np.arange(len(group)))
            flow, own = np.add.reduceat(flow, first), np.add.reduceat(own, first)
        return flow, own

    def share(self, work: Any, sizes: Ints) -> None:
        """Do pieces of work of given sizes, ``work(slice)``, in runs of about equal weight."""
        total = int(sizes.sum())
        if self._pool is None or total < INLINE or len(sizes) == 1:
            work(slice(0, len(sizes)))
            return
        runs = self._threads * (1 if total < 8 * CHUNK else 6)
        cuts = np.searchsorted(np.cumsum(sizes), np.arange(1, runs) * total / runs)
        edges = np.unique(np.concatenate(([0], cuts, [len(sizes)])))
        jobs = [self._pool.submit(work, slice(a, b)) for a, b in pairwise(edges.tolist())]
        for job in jobs:
            job.result()


@contextmanager
def sweeper(fleet: Fleet, workers: int | None = None) -> Iterator[Sweeper]:
    """A sweeper with ``workers`` threads, or as many as there are processors to use."""
    threads = len(os.sched_getaffinity(0)) if workers is None else workers
    if threads == 1 or len(fleet.cars) < INLINE:
        yield Sweeper(fleet, None, 1)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield Sweeper(fleet, pool, threads)
