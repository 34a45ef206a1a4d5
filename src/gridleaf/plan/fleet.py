"""The planner for many vehicles: prices coordinate them, and a bound says how good that is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gridleaf.domain.clock import stopwatch
from gridleaf.domain.errors import PlanningFailed
from gridleaf.plan.columns import Coordinator, Memory
from gridleaf.plan.cost import bill, finish
from gridleaf.plan.least import keep_least_powers
from gridleaf.plan.network import Network, classes, divide, network
from gridleaf.plan.parts import Parts
from gridleaf.plan.problem import (
    Floats,
    Ints,
    Penalties,
    Plan,
    Problem,
    Progress,
    check,
    filled,
    from_the_roots,
    least_powers,
    parents,
    penalties,
    predecessors,
    usable,
)
from gridleaf.plan.realise import Schedules, schedules, settle_shares
from gridleaf.plan.sweep import BOTH_KW, Workers, blank_soon, pack, sweeper
from gridleaf.plan.times import Times

GROUPS = 32
DEAR = 50_000
"""Before so many vehicles are asked again it pays to make the columns few and the groups many."""
BLOCKS, FEW_CLASSES = 4, 16
"""Into so many each group is divided then: each of them needs fewer columns. Not with more classes."""
LEAST = 32
"""A tree of fewer vehicles is not worth a division."""
MOST_GROUPS = 200_000
"""Under a tree every vehicle is a group by itself, up to so many."""
FEW = 5000
"""Fewer visits than this are coordinated in three quarters of the groups."""
WRITTEN = 3e-7
"""What schedules of single precision, kept inside the limits, may cost more than their shares, relative to the bound [-]."""


def solve_fleet(
    problem: Problem,
    *,
    gap: float = 1e-4,
    time_limit_s: float | None = None,
    workers: Workers = None,
    warm: Memory | None = None,
    cancel: Callable[[], bool] | None = None,
    progress: Callable[[Progress], None] | None = None,
    times: Times | None = None,
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
        Threads; as many as processors when absent. ``"ray"``: see :mod:`gridleaf.plan.cluster`.
    warm
        What the last search left; this one starts from it and leaves its own.
    cancel
        Asked now and then; true ends the search like the time limit.
    progress
        Told in every round.
    times
        Filled with where the time goes.

    Raises
    ------
    ProblemError
        The problem is malformed.
    PlanningFailed
        Only the exact method can plan that (see :func:`why_exact`); or Ray is not there, or lost the
        workers for good.
    """
    began = timer()
    times = Times() if times is None else times
    check(problem)
    problem = usable(problem)
    prices = penalties(problem)
    kind, first = classes(problem)
    net = network(problem, prices, kind, first)
    reason = _why_exact(problem, net, kind)
    if reason:
        raise PlanningFailed(f"{reason}: only the exact method plans that")

    def out_of_time() -> bool:
        late = time_limit_s is not None and timer() - began > time_limit_s
        return late or (cancel is not None and cancel())

    sheets = blank_soon(len(kind), len(problem.step_h), workers)
    count = int((predecessors(problem.visits) < 0).sum())
    division = divide(net, problem, kind)
    if count >= LEAST and net.needed[division[0] >= 0].any():
        price = None if warm is None else warm.price_for(net)
        if price is None:
            price = _above(net, division[0], problem, prices, kind, workers, out_of_time, times)
        with times.of("packing"):
            fleet = pack(problem, prices, kind, min(count, MOST_GROUPS))
        with sweeper(fleet, workers) as vehicles:
            parts = Parts(net, vehicles, division, price, out_of_time, progress, times)
            mixture, standing = parts.settle(aim(gap)), parts.standing
            if warm is not None:
                warm.note(net, standing.price, None, 0)
            with times.of("schedules"):
                result = schedules(mixture, net, vehicles, standing, problem, prices, gap, sheets())
    else:
        groups = GROUPS if count >= FEW else 3 * GROUPS // 4
        rungs, large = ladder(count, gap), count >= DEAR
        with times.of("packing"):
            blocks = BLOCKS if large and len(first) <= FEW_CLASSES else 1
            fleet = pack(problem, prices, kind, groups, blocks)
        memory = warm if warm is not None and warm.fits(net, len(fleet.begin)) else None
        if memory is not None and large and memory.moved(net):
            memory = None  # to ask all of them again costs more than to begin with few
        if memory is not None:
            # prices that have moved are found again on a sample, unless all are few
            rungs = rungs[-2:] if memory.moved(net) and count >= FEW else rungs[-1:]
        with sweeper(fleet, workers) as vehicles:
            coordinator = Coordinator(net, vehicles, out_of_time, progress, times=times)
            if memory is not None:
                if coordinator.groups < len(fleet.begin):
                    coordinator.divide()
                coordinator.recall(memory)
            for share, tolerance in rungs:
                if share * count >= DEAR:
                    if coordinator.pool.theta.any():
                        settle_shares(coordinator, tolerance)
                    if coordinator.groups < len(fleet.begin):
                        coordinator.divide()
                coordinator.level(share, tolerance)
            settle_shares(coordinator, aim(gap))
            standing = coordinator.standing
            if warm is not None:
                warm.note(net, standing.price, coordinator.pool, coordinator.groups)
            mixture = coordinator.mixture()
            with times.of("schedules"):
                result = schedules(mixture, net, vehicles, standing, problem, prices, gap, sheets())
    notes = []
    if any(least.any() for least in least_powers(problem.visits)):
        relaxed = result.bill.objective_eur
        result = _with_least_powers(problem, prices, net, kind, standing.price, result)
        cost = result.bill.objective_eur - relaxed
        notes.append(f"keeping the least powers cost {cost:.2f} EUR")
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
        lower_bound_eur=standing.bound,
        shadow_price_eur_per_kwh=_shadow_prices(problem, standing.price),
        notes=notes,
        seconds=timer() - began,
    )


def _above(
    net: Network,
    of_line: Ints,
    problem: Problem,
    prices: Penalties,
    kind: Ints,
    workers: Workers,
    out_of_time: Callable[[], bool],
    times: Times,
) -> Floats:
    """Prices to start from under a tree: as if only what its parts share had limits, found with samples."""
    price = np.where(net.needed, net.slope(net.load), 0.0)
    shared = of_line < 0
    if net.needed[shared].any() and net.only_limits[~shared].all():
        whole, merged = net.only(np.flatnonzero(shared)).merged()
        with times.of("packing"):
            fleet = pack(problem, prices, merged[kind], GROUPS)
        # samples only: not worth another machine
        with sweeper(fleet, None if workers == "ray" else workers) as vehicles:
            coordinator = Coordinator(whole, vehicles, out_of_time, times=times)
            for share, _ in ladder(fleet.count, 1e-3)[:-1] or [(1.0, 1e-3)]:
                coordinator.level(share, 1e-3)
            price[shared] = coordinator.standing.price
    return price


def ladder(count: int, gap: float) -> list[tuple[float, float]]:
    """Which share of the fleet to ask, and to which gap, until it is all of it."""
    samples = [(300, 5e-3), (1000, 1e-3), (10_000, 3e-5), (100_000, 3e-5)]
    if count < 50_000:
        samples = [(300, 3e-3), (2000, 2e-4)]
    below = [
        (size / count, max(tolerance, 0.3 * gap))
        for size, tolerance in samples
        if 2 * size <= count
    ]
    return [*below, (1.0, aim(gap))]


def aim(gap: float) -> float:
    """The gap at which to end the search, so that the schedules are within ``gap`` when they are written."""
    return max(min(0.9 * gap, gap - WRITTEN), gap / 2)


def _with_least_powers(
    problem: Problem,
    prices: Penalties,
    net: Network,
    kind: Ints,
    price: Floats,
    relaxed: Schedules,
) -> Schedules:
    """Schedules that keep the least powers, from some that need not."""
    taken = np.zeros(len(kind))
    if relaxed.bill.trip_unmet_kwh.size:
        taken = relaxed.bill.trip_unmet_kwh.copy()
    paid = net.price_of_classes(price)
    charge = relaxed.charge_kw.astype(np.float64)
    discharge = relaxed.discharge_kw.astype(np.float64)
    keep_least_powers(problem, prices, net, kind, paid, charge, discharge, taken)
    kept = bill(problem, charge, discharge, prices, trip_unmet_kwh=taken)
    both = int((np.minimum(charge, discharge) > BOTH_KW).sum())
    return Schedules(charge, discharge, both, kept)


def why_exact(problem: Problem) -> str:
    """Why only the exact method can plan a problem; "" if the fleet method can. Raises :class:`ProblemError`."""
    nodes = problem.nodes
    spread = filled(nodes.export_price_eur_per_kwh, 0.0) - filled(
        nodes.import_price_eur_per_kwh, 0.0
    )
    visits = problem.visits
    if not (spread > 0).any() and visits.after is None and visits.depth_kwh is None:
        return ""
    check(problem)
    kind, first = classes(problem)
    return _why_exact(problem, network(problem, penalties(problem), kind, first), kind)


def _why_exact(problem: Problem, net: Network, kind: Ints) -> str:
    if problem.visits.depth_kwh is not None and np.isfinite(problem.visits.depth_kwh).any():
        return "the depth of cycles has a price"
    if not net.is_convex:
        return "export pays more than import costs"
    before = predecessors(problem.visits)
    if (kind != kind[before])[before >= 0].any():
        return "a vehicle has visits at nodes or in rows that are priced apart"
    return ""


def _shadow_prices(problem: Problem, price: Floats) -> Floats:
    """What a kWh costs at each node and all above it ``(K, T)``, from the prices of the lines."""
    parent = parents(problem.nodes)
    result = price[: len(parent)].copy()
    for k in from_the_roots(parent):
        if parent[k] >= 0:
            result[k] += result[parent[k]]
    return np.ascontiguousarray(result)
