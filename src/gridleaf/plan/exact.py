"""The exact planner: the linear programme in HiGHS, and the proof of its optimum.

It is the simplex method at every size: from the basis that the model brings along it is faster than
the interior point method with crossover, and than itself with presolve (``benchmarks/plan.py``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import highspy
import numpy as np
from numpy.typing import NDArray

from gridleaf.domain.clock import stopwatch
from gridleaf.domain.errors import PlanningFailed
from gridleaf.plan.cost import bill, finish
from gridleaf.plan.lp import Model, build
from gridleaf.plan.problem import Floats, Ints, Plan, Problem, by_step, check, penalties, usable

PREFERENCE = 1e-5
"""EUR per kWh and hour by which later charging and earlier discharging seem dearer at first, the
latter more to who leaves early than to who leaves late."""
MIP_GAP = 1e-7
"""Relative gap at which the search over import or export stops, where one is needed."""
BOTH_KW = 1e-4
"""Charging and discharging at once by more than this is reported [kW]."""


def solve_exact(
    problem: Problem,
    *,
    gap: float = 1e-7,
    time_limit_s: float | None = None,
    timer: Callable[[], float] = stopwatch,
) -> Plan:
    """The cheapest plan of a problem, with a lower bound from the dual prices.

    The simplex method starts from a basis that the problem suggests, with a slight preference for
    charging early, and then drops the preference: the optimum is that of the problem itself, and of
    plans that cost the same an early one is taken. The same problem gives the same plan.

    The bound is computed here, from the solver's dual prices and the bounds of the columns (weak
    duality): it holds whatever the solver did. Where export pays more than import costs, whether to
    import or to export is first read off the relaxed problem and then searched by branch and bound, and so
    is where a least power is kept; out of time, the best plan so far is returned with its gap.

    Parameters
    ----------
    gap
        Relative gap at which a search over least powers stops [-].
    time_limit_s
        For the solver [s]; none when absent.
    timer
        Measures ``Plan.seconds``.

    Raises
    ------
    ProblemError
        The problem is malformed.
    PlanningFailed
        The solver ended without a feasible plan, as by its time limit.
    """
    began = timer()
    check(problem)
    problem = usable(problem)
    prices = penalties(problem)
    model = build(problem, prices)
    directions = len(model.binary)
    limit_s = highspy.kHighsInf if time_limit_s is None else time_limit_s
    solved = simplex(model, limit_s)
    bound = lower_bound(model, solved.duals)
    if len(model.stepped):
        solved, bound = _search(model, solved, bound, limit_s, max(gap, MIP_GAP))
    elif directions:
        solved, bound = _decide(model, solved, bound, limit_s)
    values, duals = solved.values, solved.duals
    first = len(model.charge_at[0])
    charge = _schedule(problem, problem.visits.charge_kw, model.charge_at, values)
    discharge = _schedule(problem, problem.visits.discharge_kw, model.discharge_at, values[first:])
    taken = np.where(model.taken >= 0, np.append(values, 0.0)[model.taken], 0.0).clip(min=0.0)
    notes = []
    both = int(((charge > BOTH_KW) & (discharge > BOTH_KW)).sum())
    if both:
        notes.append(f"in {both} steps a visit charges and discharges at once: losses pay there")
    if len(model.stepped):
        notes.append(f"least powers apply {len(model.stepped)} times: solved with integers")
    if directions:
        notes.append(f"export pays more than import costs {directions} times: solved with integers")
    return finish(
        problem,
        bill(problem, charge, discharge, prices, trip_unmet_kwh=taken),
        method="exact",
        charge_kw=charge,
        discharge_kw=discharge,
        lower_bound_eur=bound,
        # where there is no balance its row is -1: the zero at the end
        shadow_price_eur_per_kwh=0.0 - np.append(duals, 0.0)[model.balance],
        notes=notes,
        seconds=timer() - began,
    )


def _greet_unheard() -> None:
    """Make the first solver of the process with standard output shut.

    HiGHS prints its name and version there when the first one is made, before any option can be
    set, and what a program prints may be read by another.
    """
    try:
        saved = os.dup(1)
    except OSError:  # no standard output, nothing to spoil
        return
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        highspy.Highs()  # type: ignore[no-untyped-call]
    finally:
        os.dup2(saved, 1)
        os.close(nowhere)
        os.close(saved)


_greet_unheard()


def _highs(model: Model, cost: Floats, limit_s: float) -> highspy.Highs:
    """A fresh solver with the model, all columns continuous."""
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("time_limit", limit_s)
    status = highs.passModel(
        len(model.cost),
        len(model.row_lower),
        len(model.values),
        highspy.MatrixFormat.kColwise.value,
        highspy.ObjSense.kMinimize.value,
        model.offset,
        cost,
        model.lower,
        model.upper,
        model.row_lower,
        model.row_upper,
        model.starts,
        model.rows,
        model.values,
        np.zeros(len(model.cost), dtype=np.int32),
    )
    if status == highspy.HighsStatus.kError:
        raise PlanningFailed("HiGHS refused the model")
    return highs


@dataclass(frozen=True, slots=True)
class Solved:
    """Values of the columns, duals of the rows, the cost, and the time it took [s]."""

    values: Floats
    duals: Floats
    cost: float
    seconds: float


def simplex(model: Model, limit_s: float) -> Solved:
    """The optimum of the model with its binaries relaxed, by the simplex method."""
    if not len(model.cost):
        return Solved(np.zeros(0), np.zeros(0), model.offset, 0.0)
    status = highspy.HighsBasisStatus
    names = np.array([status.kLower, status.kUpper, status.kBasic], dtype=object)
    columns = (model.cost < 0).astype(np.int64)
    columns[model.basis[model.basis >= 0]] = 2
    basis = highspy.HighsBasis()
    basis.col_status = names[columns].tolist()
    basis.row_status = names[np.where(model.basis >= 0, 0, 2)].tolist()
    basis.valid = True

    highs = _highs(model, model.cost + PREFERENCE * model.preference, limit_s)
    highs.setBasis(basis)
    _run(highs)
    count = len(model.cost)
    highs.changeColsCost(count, np.arange(count, dtype=np.int32), model.cost)
    _run(highs)
    solution, info = highs.getSolution(), highs.getInfo()
    return Solved(
        np.array(solution.col_value),
        np.array(solution.row_dual),
        info.objective_function_value,
        highs.getRunTime(),
    )


def _run(highs: highspy.Highs) -> None:
    """Run; whatever ended it, only a primal feasible point is of use."""
    highs.run()
    if not _has_plan(highs):
        reason = highs.modelStatusToString(highs.getModelStatus())
        raise PlanningFailed(f"HiGHS ended without a plan: {reason}")


def _has_plan(highs: highspy.Highs) -> bool:
    feasible = highspy.SolutionStatus.kSolutionStatusFeasible
    return bool(highs.getInfo().primal_solution_status == feasible)


def _decide(model: Model, relaxed: Solved, bound: float, limit_s: float) -> tuple[Solved, float]:
    """The best plan with every direction decided, and the bound of all of them."""
    best = simplex(_fixed(model, _directions(model, relaxed.values)), limit_s)
    if best.cost - bound <= MIP_GAP * abs(bound):
        return best, bound
    rest_s = max(limit_s - relaxed.seconds - best.seconds, 0.0)
    found, bound = _branch_and_bound(model, best, bound, rest_s, MIP_GAP)
    if found is not None:
        # outside the limit, but this is short, and what was found must not be lost
        better = simplex(_fixed(model, np.round(found[model.binary])), highspy.kHighsInf)
        best = min(best, better, key=lambda solved: solved.cost)
    return best, bound


def _search(
    model: Model, relaxed: Solved, bound: float, limit_s: float, gap: float
) -> tuple[Solved, float]:
    """The best plan with every least power kept, and the bound of all of them.

    It starts from what the relaxed plan does with at least the least power, or else from nothing.
    """
    directions = _directions(model, relaxed.values)
    kept = np.floor(relaxed.values[model.stepped] + 1e-6)
    try:
        best = simplex(_stepped(_fixed(model, directions), kept), limit_s)
    except PlanningFailed:
        best = simplex(_stepped(_fixed(model, directions), 0.0 * kept), limit_s)
    if best.cost - bound <= gap * abs(bound):
        return best, bound
    rest_s = max(limit_s - relaxed.seconds - best.seconds, 0.0)
    found, bound = _branch_and_bound(model, best, bound, rest_s, gap)
    if found is not None:
        decided = _fixed(model, np.round(found[model.binary]))
        better = simplex(_stepped(decided, np.round(found[model.stepped])), highspy.kHighsInf)
        best = min(best, better, key=lambda solved: solved.cost)
    return best, bound


def _branch_and_bound(
    model: Model, best: Solved, bound: float, limit_s: float, gap: float
) -> tuple[Floats | None, float]:
    """A better plan than the one given, if there is one, and the bound of all."""
    highs = _highs(model, model.cost, limit_s)
    for column in (*model.binary.tolist(), *model.stepped.tolist()):
        highs.changeColIntegrality(column, highspy.HighsVarType.kInteger)
    highs.setOptionValue("mip_rel_gap", gap)
    start = highspy.HighsSolution()
    start.col_value = best.values.tolist()
    highs.setSolution(start)
    highs.run()
    info = highs.getInfo()
    if np.isfinite(info.mip_dual_bound):
        bound = max(bound, info.mip_dual_bound)
    if _has_plan(highs) and info.objective_function_value < best.cost:
        return np.array(highs.getSolution().col_value), bound
    return None, bound


def _directions(model: Model, values: Floats) -> Floats:
    """1 for each binary where the relaxed flows come to an import, 0 where to an export."""
    column = np.repeat(np.arange(len(model.cost)), np.diff(model.starts))
    sums = np.bincount(
        model.rows, weights=model.values * values[column], minlength=len(model.row_lower)
    )
    entry = _entries(model)
    flows = sums[model.rows[entry]] - model.values[entry] * values[model.binary][:, None]
    return np.where(flows[:, 0] >= flows[:, 1], 1.0, 0.0)


def _fixed(model: Model, decided: Floats) -> Model:
    """The model with every binary decided; what one then allows is allowed without bound."""
    lower, upper, row_upper = model.lower.copy(), model.upper.copy(), model.row_upper.copy()
    lower[model.binary] = upper[model.binary] = decided
    imports, exports = model.rows[_entries(model)].T
    row_upper[np.where(decided > 0, imports, exports)] = np.inf
    return replace(model, lower=lower, upper=upper, row_upper=row_upper)


def _stepped(model: Model, decided: Floats) -> Model:
    """The model with every least power kept or none."""
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[model.stepped] = upper[model.stepped] = decided
    return replace(model, lower=lower, upper=upper)


def _entries(model: Model) -> NDArray[np.int32]:
    """Where the two entries of each binary are."""
    return np.stack((model.starts[model.binary], model.starts[model.binary] + 1), axis=1)


def lower_bound(model: Model, duals: Floats) -> float:
    """What any plan costs at least, by weak duality from any prices of the rows.

    All columns have finite bounds, so every price gives a finite bound; a price of a one-sided row
    counts only with its right sign.
    """
    price = np.where(np.isneginf(model.row_lower), np.minimum(duals, 0.0), duals)
    sides = np.where(price < 0, model.row_upper, model.row_lower)
    worth = price @ np.where(price == 0, 0.0, sides)
    column = np.repeat(np.arange(len(model.cost)), np.diff(model.starts))
    reduced = model.cost - np.bincount(
        column, weights=price[model.rows] * model.values, minlength=len(model.cost)
    )
    return float(
        model.offset + worth + np.minimum(reduced * model.lower, reduced * model.upper).sum()
    )


def _schedule(problem: Problem, most_kw: Floats, at: tuple[Ints, Ints], values: Floats) -> Floats:
    """Columns of energy per step as a schedule ``(N, T)`` [kW], inside its bounds."""
    most = by_step(most_kw, len(problem.step_h))
    schedule = np.zeros(most.shape)
    power = values[: len(at[0])] / problem.step_h[at[1]]
    schedule[at] = np.clip(np.where(power > 1e-9, power, 0.0), 0.0, most[at])
    return schedule
