"""The planner for many vehicles: prices coordinate them, and a bound says how good that is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gridleaf.domain.clock import stopwatch
from gridleaf.domain.errors import PlanningFailed
from gridleaf.plan.columns import Coordinator, Memory
from gridleaf.plan.cost import finish
from gridleaf.plan.network import classes, network
from gridleaf.plan.problem import (
    Floats,
    Plan,
    Problem,
    Progress,
    check,
    filled,
    from_the_roots,
    parents,
    penalties,
)
from gridleaf.plan.realise import schedules, settle_shares
from gridleaf.plan.sweep import pack, sweeper

GROUPS = 32
DEAR = 50_000
"""Before so many vehicles are asked again it pays to make the columns few and the groups many."""
BLOCKS = 4
"""Into so many each group is divided then: each of them needs fewer columns."""
MANY = 16
"""With more classes of vehicles than this samples of each would be too small."""
FEW = 5000
"""Fewer visits than this are coordinated in three quarters of the groups."""


def solve_fleet(
    problem: Problem,
    *,
    gap: float = 1e-4,
    time_limit_s: float | None = None,
    workers: int | None = None,
    warm: Memory | None = None,
    cancel: Callable[[], bool] | None = None,
    progress: Callable[[Progress], None] | None = None,
    timer: Callable[[], float] = stopwatch,
) -> Plan:
    """A plan within a relative gap of the cheapest, for any number of vehicles.

    See :mod:`gridleaf.plan.columns` for how. Out of time or cancelled, the plan is the best so far, with
    its gap. The number of threads changes nothing but rounding.

    Parameters
    ----------
    gap
        Of the objective to the lower bound, relative to the bound [-].
    time_limit_s
        After so long no more prices are asked [s]; writing the schedules comes on top.
    workers
        Threads; as many as processors when absent.
    warm
        What the last search left; this one starts from it and leaves its own.
    cancel
        Asked now and then; true ends the search like the time limit.
    progress
        Told in every round.

    Raises
    ------
    ProblemError
        The problem is malformed.
    PlanningFailed
        Export pays more than import costs, which only the exact method can plan.
    """
    began = timer()
    check(problem)
    prices = penalties(problem)
    kind, first = classes(problem)
    net = network(problem, prices, kind, first)
    if not net.is_convex:
        raise PlanningFailed("export pays more than import costs: only the exact method plans that")

    def out_of_time() -> bool:
        late = time_limit_s is not None and timer() - began > time_limit_s
        return late or (cancel is not None and cancel())

    groups = GROUPS if len(kind) >= FEW else 3 * GROUPS // 4
    price = None
    rungs = ladder(len(kind), gap)
    large = len(kind) >= DEAR
    fleet = pack(problem, prices, kind, groups, BLOCKS if large and len(first) <= MANY else 1)
    memory = warm if warm is not None and warm.fits(net, len(fleet.begin)) else None
    if memory is not None and large and memory.moved(net):
        memory = None  # to ask all of them again costs more than to begin with few
    if memory is not None:
        # prices that have moved are found again on a sample, unless all are few
        rungs = rungs[-2:] if memory.moved(net) and len(kind) >= FEW else rungs[-1:]
    elif net.needed[net.only_limits].any() and len(first) > MANY:
        # first as if only what all share had limits, in few groups: these prices are near the final
        whole, lines, merged = net.shared()
        with sweeper(pack(problem, prices, merged[kind], groups), workers) as vehicles:
            coordinator = Coordinator(whole, vehicles, out_of_time, progress)
            for share, _ in rungs[:-1]:
                coordinator.level(share, 1e-3)
        price = np.zeros(net.needed.shape)
        price[lines] = coordinator.standing.price
        rungs = rungs[-1:]
    with sweeper(fleet, workers) as vehicles:
        coordinator = Coordinator(net, vehicles, out_of_time, progress, price)
        if memory is not None:
            if coordinator.groups < len(fleet.begin):
                coordinator.divide()
            coordinator.recall(memory)
        for share, tolerance in rungs:
            if share * len(kind) >= DEAR:
                if coordinator.pool.theta.any():
                    settle_shares(coordinator, tolerance)
                if coordinator.groups < len(fleet.begin):
                    coordinator.divide()
            coordinator.level(share, tolerance)
        settle_shares(coordinator, gap)
        if warm is not None:
            coordinator.remember(warm)
        result = schedules(coordinator, problem, prices, gap)
    notes = []
    if result.both:
        notes.append(
            f"in {result.both} steps a visit charges and discharges at once: losses pay there"
        )
    return finish(
        problem,
        result.bill,
        method="fleet",
        charge_kw=result.charge_kw,
        discharge_kw=result.discharge_kw,
        lower_bound_eur=coordinator.standing.bound,
        shadow_price_eur_per_kwh=_shadow_prices(problem, coordinator.standing.price),
        notes=notes,
        seconds=timer() - began,
    )


def ladder(count: int, gap: float) -> list[tuple[float, float]]:
    """Which share of the fleet to ask, and to which gap, until it is all of it."""
    samples = [(300, 5e-3), (1000, 1e-3), (10_000, 3e-5), (100_000, 5e-5)]
    if count < 50_000:
        samples = [(300, 3e-3), (1000, 5e-4)]
    below = [
        (size / count, max(tolerance, 0.3 * gap))
        for size, tolerance in samples
        if 2 * size <= count
    ]
    return [*below, (1.0, 0.9 * gap)]


def needs_integers(problem: Problem) -> bool:
    """Whether a node could gain by importing and exporting at once. Raises :class:`ProblemError`."""
    nodes = problem.nodes
    if not (
        filled(nodes.export_price_eur_per_kwh, 0.0) > filled(nodes.import_price_eur_per_kwh, 0.0)
    ).any():
        return False
    check(problem)
    return not network(problem, penalties(problem), *classes(problem)).is_convex


def _shadow_prices(problem: Problem, price: Floats) -> Floats:
    """What a kWh costs at each node and all above it ``(K, T)``, from the prices of the lines."""
    parent = parents(problem.nodes)
    result = price[: len(parent)].copy()
    for k in from_the_roots(parent):
        if parent[k] >= 0:
            result[k] += result[parent[k]]
    return np.ascontiguousarray(result)
