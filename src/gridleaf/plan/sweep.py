"""All vehicles of a problem in an order that can be sampled, and their answers to prices.

Vehicles that are priced alike form a class. Inside a class they are sorted by what they can do and
cut into groups of equal size, and these into blocks; inside a block every prefix is a systematic sample
of it, so a part of the fleet is the first part of every block.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gridleaf.domain.compiled import compiled
from gridleaf.plan import listed, oracle
from gridleaf.plan.problem import Floats, Ints, Penalties, Problem, Singles, filled, plugged_in
from gridleaf.plan.vehicles import Chains, chains, dwelling, useful_on_the_way

CHUNK = 2000
"""Vehicles in one piece of work."""
INLINE = 1500
"""Fewer vehicles than this are not worth another thread."""
LEAST_GROUPS = 3
"""Each of several classes is cut into as many groups as this, if it has the vehicles."""
ALIKE = 8
"""Fewer vehicles than this are not cut any further."""
GOLDEN = 0.6180339887
PAGE = 1024
"""Numbers of single precision in a page of memory."""
BOTH_KW = 1e-4
"""Charging and discharging at once by more than this is reported [kW]."""

Workers = int | Literal["ray"] | None
"""Threads, as many as processors, or the machines of a Ray cluster."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """N visits of V vehicles in B blocks and G groups, packed for :mod:`gridleaf.plan.oracle`.

    The first V rows are the first visits of the vehicles, the others those that follow. ``order`` ``(N,)``
    is the position in the problem of each packed visit. Block b is the vehicles ``begin[b]..end[b]``,
    group g the blocks ``first[g]..first[g + 1]``, all of class ``kind[g]``. ``more`` is what
    :mod:`gridleaf.plan.listed` needs of each visit, empty where there is nothing for it.
    """

    count: int
    """V."""
    trips: int
    """Of the vehicle that has most of them."""
    cars: Floats
    more: Floats
    most_in: Floats
    most_out: Floats
    step_h: Floats
    unmet: float
    short: float
    lacking: float
    order: Ints
    begin: Ints
    end: Ints
    first: Ints
    kind: Ints


def pack(problem: Problem, prices: Penalties, kind: Ints, groups: int, blocks: int = 1) -> Fleet:
    """The vehicles of a problem, their visits of the classes ``kind`` ``(N,)``, in about ``groups`` groups.

    Each group is of as many ``blocks``, where it has the vehicles.
    """
    visits, steps = problem.visits, len(problem.step_h)
    chain = chains(visits)
    likeness = _likeness(problem, kind)
    if chain.waves:
        order = chain.first[np.argsort(likeness[chain.first], kind="stable")]
    else:
        order = np.argsort(likeness, kind="stable")
    count = len(order)
    sizes = np.bincount(kind[order])
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

    wave = order
    while chain.waves and (wave := chain.after[wave][chain.after[wave] >= 0]).size:
        order = np.concatenate((order, wave))
    cars = np.empty((len(order), oracle.COLUMNS))
    charge, in_most = _power(visits.charge_kw, order)
    discharge, out_most = _power(visits.discharge_kw, order)
    several = (chain.before >= 0) | (chain.after >= 0)
    short, dwell = visits.energy_kwh < chain.floor, dwelling(visits).costs
    apart = several | short | dwell | (steps > oracle.MOST_RANKS)
    columns = {
        oracle.ARRIVE: visits.arrive,
        oracle.DEPART: visits.depart,
        oracle.CHARGE_KW: charge,
        oracle.DISCHARGE_KW: discharge,
        oracle.INTO: visits.charge_efficiency,
        oracle.OUT: visits.discharge_efficiency,
        oracle.START: visits.energy_kwh,
        oracle.LEAST: chain.least,
        oracle.MOST: chain.most,
        oracle.TARGET: filled(visits.target_kwh, -np.inf),
        oracle.WEAR: visits.wear_eur_per_kwh,
        oracle.VALUE: visits.value_eur_per_kwh,
        oracle.KIND: np.where(apart, oracle.LISTED, np.where(discharge > 0, oracle.RANKED, 0.0)),
    }
    for at in range(0, len(order), CHUNK):  # a part that stays in the cache
        some = slice(at, at + CHUNK)
        for column, values in columns.items():
            cars[some, column] = values[order[some]]
    return Fleet(
        count=count,
        trips=len(chain.waves),
        cars=cars,
        more=listed_columns(problem, prices, chain, order) if apart.any() else np.zeros((0, 0)),
        most_in=in_most,
        most_out=out_most,
        step_h=problem.step_h,
        unmet=prices.unmet_eur_per_kwh,
        short=prices.short_eur_per_kwh_h,
        lacking=prices.trip_eur_per_kwh,
        order=order,
        begin=begin,
        end=end,
        first=first,
        kind=kind[order[begin[first[:-1]]]],
    )


def part(fleet: Fleet, vehicles: Ints) -> tuple[Fleet, Ints]:
    """Some of the packed vehicles, as a fleet without groups, in this order; and the rows of their visits."""
    rows = wave = vehicles
    more = fleet.more
    if len(more):
        while (wave := fleet.more[wave, listed.NEXT].astype(np.int64))[wave >= 0].size:
            wave = wave[wave >= 0]
            rows = np.concatenate((rows, wave))
        row = np.full(len(fleet.cars) + 1, -1)
        row[rows] = np.arange(len(rows))
        more = more[rows]
        more[:, listed.NEXT] = row[more[:, listed.NEXT].astype(np.int64)]
    none = np.zeros(0, dtype=np.int64)
    some = replace(
        fleet,
        count=len(vehicles),
        cars=fleet.cars[rows],
        more=more,
        most_in=fleet.most_in[rows] if len(fleet.most_in) else fleet.most_in,
        most_out=fleet.most_out[rows] if len(fleet.most_out) else fleet.most_out,
        order=np.arange(len(rows)),
        begin=none,
        end=none,
        first=none,
        kind=none,
    )
    return some, rows


def listed_columns(problem: Problem, prices: Penalties, chain: Chains, order: Ints) -> Floats:
    """What the listed oracle needs of each packed visit: its vehicle's next, and the cost of holding."""
    visits, holding = problem.visits, dwelling(problem.visits)
    fall = _discharged(problem) / visits.discharge_efficiency
    row = np.full(len(order) + 1, -1)
    row[order] = np.arange(len(order))
    short = visits.energy_kwh < chain.floor
    floor = np.where(short, chain.floor, -np.inf)
    # what is lacking to the floor costs something too: one level more, and below it a slope
    level = np.sort(np.column_stack((holding.level, np.where(short, floor, np.inf))), axis=1)
    lower = np.column_stack((np.full(len(order), -np.inf), level))
    at = (holding.level[:, None, :] <= lower[:, :, None]).sum(axis=2)
    slope = np.take_along_axis(holding.slope, at, axis=1)
    slope -= prices.short_eur_per_kwh_h * (lower < floor[:, None])
    start = holding.start + np.where(short, prices.short_eur_per_kwh_h * chain.floor, 0.0)
    columns = (
        row[chain.after],
        chain.trip,
        useful_on_the_way(visits, chain, fall),
        floor,
        start,
        slope,
        level,
    )
    return np.ascontiguousarray(np.column_stack(columns)[order])


def _discharged(problem: Problem) -> Floats:
    """What each visit can discharge in all of its stay ``(N,)`` [kWh]."""
    visits, step_h = problem.visits, problem.step_h
    if visits.discharge_kw.ndim == 2:
        return np.asarray(np.where(plugged_in(problem), visits.discharge_kw, 0.0) @ step_h)
    edges = np.concatenate(([0.0], np.cumsum(step_h)))
    return np.asarray(visits.discharge_kw * (edges[visits.depart] - edges[visits.arrive]))


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
    """The first vehicles of the blocks of groups ``(J,)``, cut into pieces of ``CHUNK``, the last one shorter.

    Gives the first vehicle of each piece, the one behind the last, the block, and for which of the J. A
    larger sample has the pieces of a smaller one and further ones.
    """
    blocks = fleet.first[group + 1] - fleet.first[group]
    question = np.repeat(np.arange(len(group)), blocks)
    inside = np.arange(len(question)) - (np.cumsum(blocks) - blocks)[question]
    block = fleet.first[group][question] + inside
    number = -(-sample[block] // CHUNK)
    piece = np.repeat(np.arange(len(block)), number)
    at = CHUNK * (np.arange(len(piece)) - (np.cumsum(number) - number)[piece])
    block = block[piece]
    start = fleet.begin[block] + at
    return start, start + np.minimum(sample[block] - at, CHUNK), block, question[piece]


Sheets = tuple[Singles, Singles]
"""Schedules ``(N, T)`` [kW] to be written: of charging, of discharging."""


def blank(count: int, steps: int) -> Sheets:
    """Schedules of zeros, in memory that the system has really handed out."""
    charge, discharge = (np.zeros(count * steps, dtype=np.float32) for _ in range(2))
    charge[::PAGE] = 0.0
    discharge[::PAGE] = 0.0
    return charge.reshape(count, steps), discharge.reshape(count, steps)


def blank_soon(count: int, steps: int, workers: Workers) -> Callable[[], Sheets]:
    """The same, made while one thread coordinates and others have nothing to do; the call waits for it."""
    if workers == 1:
        return partial(blank, count, steps)
    aside = ThreadPoolExecutor(1)
    sheets = aside.submit(blank, count, steps)
    aside.shutdown(wait=False)
    return sheets.result


@dataclass(frozen=True, slots=True)
class Mixtures:
    """What pieces of a fleet do, task by task.

    Each vehicle in task k takes ``share[j]`` ``(n,)`` of its answer to the prices ``vector[j]``, for j in
    ``first[k]..last[k]``; ``mixed[k]`` ``(T,)`` says where charging may be netted with discharging.
    """

    first: Ints
    last: Ints
    vector: Ints
    share: Floats
    mixed: NDArray[np.bool_]

    def of(self, tasks: Ints) -> Mixtures:
        """Those of some tasks."""
        return replace(
            self, first=self.first[tasks], last=self.last[tasks], mixed=self.mixed[tasks]
        )


@dataclass(frozen=True, slots=True)
class Written:
    """Schedules ``(N, T)`` [kW], what is missing to targets and lent to trips ``(N,)`` [kWh], sums by task.

    ``drawn`` ``(k, T)`` [kW]; ``sums`` ``(k, 6)``: wear, worth of the energy left, of its absolute values
    [EUR], what is below the floor [kWh h], cost of the charge held [EUR], steps of both at once.
    """

    charge_kw: Singles
    discharge_kw: Singles
    missing_kwh: Floats
    lent_kwh: Floats
    drawn: Floats
    sums: Floats


class Sweeper:
    """Asks vehicles what they do, on several threads.

    Work comes in tasks, each the first vehicles of a piece. A task gives the same sums wherever it is done.
    """

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
        begin, end, block, question = pieces(fleet, group, sample)
        flow, own = self.answers(begin, end, vector[question], vectors)
        weight = ((fleet.end - fleet.begin) / sample)[block]
        flow *= weight[:, None]
        own *= weight
        if len(block) > len(group):
            first = np.searchsorted(question, np.arange(len(group)))
            flow, own = np.add.reduceat(flow, first), np.add.reduceat(own, first)
        return flow, own

    def answers(
        self, begin: Ints, end: Ints, vector: Ints, vectors: Vectors
    ) -> tuple[Floats, Floats]:
        """What the vehicles ``begin[k]..end[k]`` draw at the prices ``vector[k]``, and what they cost."""
        fleet = self.fleet
        flow, own = np.empty((len(begin), len(fleet.step_h))), np.empty(len(begin))

        def work(piece: slice) -> None:
            oracle.answer(
                fleet.cars, fleet.most_in, fleet.most_out, fleet.step_h, fleet.unmet,
                begin[piece], end[piece], vector[piece], vectors.prices, vectors.slot,
                vectors.place, vectors.dear, vectors.before, flow[piece], own[piece],
            )  # fmt: skip
            if len(fleet.more):
                listed.answer(
                    fleet.cars, fleet.more, fleet.most_in, fleet.most_out, fleet.step_h,
                    fleet.unmet, fleet.lacking, fleet.trips, begin[piece], end[piece],
                    vector[piece], vectors.prices, flow[piece], own[piece],
                )  # fmt: skip

        self.share(work, end - begin)
        return flow, own

    def write(
        self, begin: Ints, end: Ints, mixtures: Mixtures, vectors: Vectors, sheets: Sheets
    ) -> Written:
        """The schedules of the vehicles ``begin[k]..end[k]``, on blank sheets; the tasks must hold each once."""
        fleet, count, steps = self.fleet, len(self.fleet.cars), len(self.fleet.step_h)
        charge, discharge = sheets
        missing, lent = np.empty(count), np.zeros(count)
        drawn, sums = np.empty((len(begin), steps)), np.empty((len(begin), 6))
        first, last, mixed = mixtures.first, mixtures.last, mixtures.mixed

        def work(piece: slice) -> None:
            oracle.write(
                fleet.cars, fleet.most_in, fleet.most_out, fleet.step_h, fleet.unmet,
                begin[piece], end[piece], first[piece], last[piece], mixtures.vector,
                mixtures.share, vectors.prices, vectors.slot, vectors.place, vectors.dear,
                vectors.before, mixed[piece], BOTH_KW, fleet.order, charge, discharge, missing,
                drawn[piece], sums[piece],
            )  # fmt: skip
            if len(fleet.more):
                listed.write(
                    fleet.cars, fleet.more, fleet.most_in, fleet.most_out, fleet.step_h,
                    fleet.unmet, fleet.lacking, fleet.short, fleet.trips, begin[piece], end[piece],
                    first[piece], last[piece], mixtures.vector, mixtures.share, vectors.prices,
                    mixed[piece], BOTH_KW, fleet.order, charge, discharge, missing, lent,
                    drawn[piece], sums[piece],
                )  # fmt: skip

        self.share(work, (end - begin) * (last - first))
        return Written(charge, discharge, missing, lent, drawn, sums)

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
def sweeper(fleet: Fleet, workers: Workers = None) -> Iterator[Sweeper]:
    """A sweeper with ``workers``, or as many threads as there are processors to use."""
    if workers == "ray":
        from gridleaf.plan.cluster import sweeper_on_ray

        with sweeper_on_ray(fleet) as vehicles:
            yield vehicles
        return
    threads = len(os.sched_getaffinity(0)) if workers is None else workers
    if threads == 1 or fleet.count < INLINE:
        yield Sweeper(fleet, None, 1)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield Sweeper(fleet, pool, threads)
