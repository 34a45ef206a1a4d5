"""One door to the planners: the exact one for small problems, the fleet method for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from gridleaf.domain.clock import stopwatch
from gridleaf.domain.errors import PlanningFailed
from gridleaf.plan.exact import solve_exact
from gridleaf.plan.problem import Plan, Problem, Progress
from gridleaf.plan.times import Times

if TYPE_CHECKING:
    from gridleaf.plan.columns import Memory
    from gridleaf.plan.sweep import Workers

Method = Literal["auto", "exact", "fleet"]

CROSSOVER = 9000
"""From so many steps of all stays together on ``auto`` takes the fleet method (``benchmarks/plan.py``)."""
CROSSOVER_OF_LEAST_POWERS = 1000
"""The same where there are least powers, for which the exact method has to search."""

SECOND = 50_000
"""Up to so many steps ``auto`` asks the exact method where the fleet method ends above the gap."""


def solve(
    problem: Problem,
    *,
    gap: float = 1e-4,
    time_limit_s: float | None = None,
    method: Method = "auto",
    workers: Workers = None,
    warm: Memory | None = None,
    cancel: Callable[[], bool] | None = None,
    progress: Callable[[Progress], None] | None = None,
    times: Times | None = None,
    timer: Callable[[], float] = stopwatch,
) -> Plan:
    """A plan of a problem, with what it costs, a proven lower bound and the gap between them.

    ``exact`` is the linear programme in HiGHS and ends at the optimum
    (:func:`gridleaf.plan.exact.solve_exact`); ``fleet`` scales with the vehicles and ends within the
    gap (:func:`gridleaf.plan.fleet.solve_fleet`). ``auto`` takes the exact method for small problems and
    for what the fleet method cannot plan: export that pays more than import costs, which needs
    integers, vehicles whose visits are priced apart, as at different nodes, and a price on the depth
    of cycles. Where the fleet method ends above the gap and the problem is not large, ``auto`` asks the exact
    one after all, with the time that is left.

    Parameters
    ----------
    gap
        Relative distance of objective and bound at which the fleet method ends, and the exact one where
        there are least powers [-].
    time_limit_s
        For the solver [s]; none when absent. The fleet method then returns its best plan.
    workers
        Threads of the fleet method; as many as processors when absent. ``"ray"`` asks the vehicles on all
        machines of a Ray cluster: the one of ``RAY_ADDRESS`` or that the program is connected to, else one
        on this machine that ends with the plan.
    warm
        Of the fleet method: an empty ``gridleaf.plan.columns.Memory`` at first, the same one when the problem has changed a
        little. The search starts from what the last one left there.
    cancel
        Asked now and then by the fleet method; true ends it like the time limit.
    progress
        Told of every round of the fleet method.
    times
        Filled with where the time goes.
    timer
        Measures ``Plan.seconds``.

    Raises
    ------
    ProblemError
        The problem is malformed.
    PlanningFailed
        The exact solver ended without a feasible plan, as by its time limit; or only it can plan the
        problem, and ``method`` is ``fleet``; or Ray is not there, or lost the workers for good.
    """
    visits = problem.visits
    columns = (visits.min_charge_kw, visits.min_discharge_kw)
    searching = any(c is not None and bool((c > 0).any()) for c in columns)
    crossover = CROSSOVER_OF_LEAST_POWERS if searching else CROSSOVER
    steps = int((visits.depart - visits.arrive).sum())
    small = steps < crossover
    if method == "exact" or (method == "auto" and small):
        return solve_exact(problem, gap=gap, time_limit_s=time_limit_s, times=times, timer=timer)
    # what is compiled takes a moment to load: only those who need it wait
    from gridleaf.plan.fleet import solve_fleet, why_exact

    if method == "auto" and (reason := why_exact(problem)):
        plan = solve_exact(problem, gap=gap, time_limit_s=time_limit_s, times=times, timer=timer)
        return replace(plan, notes=(*plan.notes, f"{reason}: planned by the exact method"))
    began = timer()
    plan = solve_fleet(
        problem,
        gap=gap,
        time_limit_s=time_limit_s,
        workers=workers,
        warm=warm,
        cancel=cancel,
        progress=progress,
        times=times,
        timer=timer,
    )
    left_s = None if time_limit_s is None else time_limit_s - (timer() - began)
    stopped = (left_s is not None and left_s <= 0) or (cancel is not None and cancel())
    if method == "fleet" or plan.gap <= gap or searching or stopped or steps > SECOND:
        return plan
    try:
        better = solve_exact(problem, gap=gap, time_limit_s=left_s, times=times, timer=timer)
    except PlanningFailed:
        return plan
    if better.gap > plan.gap:
        return plan
    note = f"the fleet method ended at a gap of {plan.gap:.1e}: planned by the exact method"
    return replace(better, seconds=timer() - began, notes=(*better.notes, note))
