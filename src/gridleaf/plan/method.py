"""One door to the planners: the exact one for small problems, the fleet method for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from gridleaf.domain.clock import stopwatch
from gridleaf.plan.exact import solve_exact
from gridleaf.plan.problem import Plan, Problem, Progress

if TYPE_CHECKING:
    from gridleaf.plan.columns import Memory

Method = Literal["auto", "exact", "fleet"]

CROSSOVER = 9000
"""From so many steps of all stays together on ``auto`` takes the fleet method (``benchmarks/plan.py``)."""
CROSSOVER_OF_LEAST_POWERS = 1000
"""The same where there are least powers, for which the exact method has to search."""


def solve(
    problem: Problem,
    *,
    gap: float = 1e-4,
    time_limit_s: float | None = None,
    method: Method = "auto",
    workers: int | None = None,
    warm: Memory | None = None,
    cancel: Callable[[], bool] | None = None,
    progress: Callable[[Progress], None] | None = None,
    timer: Callable[[], float] = stopwatch,
) -> Plan:
    """A plan of a problem, with what it costs, a proven lower bound and the gap between them.

    ``exact`` is the linear programme in HiGHS and ends at the optimum
    (:func:`gridleaf.plan.exact.solve_exact`); ``fleet`` scales with the vehicles and ends within the
    gap (:func:`gridleaf.plan.fleet.solve_fleet`). ``auto`` takes the exact method for small problems and
    for what the fleet method cannot plan: export that pays more than import costs, which needs
    integers, vehicles whose visits are priced apart, as at different nodes, and a price on the depth
    of cycles.

    Parameters
    ----------
    gap
        Relative distance of objective and bound at which the fleet method ends, and the exact one where
        there are least powers [-].
    time_limit_s
        For the solver [s]; none when absent. The fleet method then returns its best plan.
    workers
        Threads of the fleet method; as many as processors when absent.
    warm
        Of the fleet method: an empty ``gridleaf.plan.columns.Memory`` at first, the same one when the problem has changed a
        little. The search starts from what the last one left there.
    cancel
        Asked now and then by the fleet method; true ends it like the time limit.
    progress
        Told of every round of the fleet method.
    timer
        Measures ``Plan.seconds``.

    Raises
    ------
    ProblemError
        The problem is malformed.
    PlanningFailed
        The exact solver ended without a feasible plan, as by its time limit; or only it can plan the
        problem, and ``method`` is ``fleet``.
    """
    visits = problem.visits
    columns = (visits.min_charge_kw, visits.min_discharge_kw)
    searching = any(c is not None and bool((c > 0).any()) for c in columns)
    crossover = CROSSOVER_OF_LEAST_POWERS if searching else CROSSOVER
    small = int((visits.depart - visits.arrive).sum()) < crossover
    if method == "exact" or (method == "auto" and small):
        return solve_exact(problem, gap=gap, time_limit_s=time_limit_s, timer=timer)
    # what is compiled takes a moment to load: only those who need it wait
    from gridleaf.plan.fleet import solve_fleet, why_exact

    if method == "auto" and (reason := why_exact(problem)):
        plan = solve_exact(problem, gap=gap, time_limit_s=time_limit_s, timer=timer)
        return replace(plan, notes=(*plan.notes, f"{reason}: planned by the exact method"))
    return solve_fleet(
        problem,
        gap=gap,
        time_limit_s=time_limit_s,
        workers=workers,
        warm=warm,
        cancel=cancel,
        progress=progress,
        timer=timer,
    )
