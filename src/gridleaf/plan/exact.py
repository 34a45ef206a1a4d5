"""The exact planner: the linear programme in HiGHS, and the proof of its optimum."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import highspy
import numpy as np

from gridleaf.domain.clock import stopwatch
from gridleaf.domain.errors import PlanningFailed
from gridleaf.plan.cost import bill, finish
from gridleaf.plan.lp import Model, build
from gridleaf.plan.problem import Floats, Ints, Plan, Problem, by_step, check, penalties

PREFERENCE = 1e-5
"""EUR per kWh and hour by which later charging and earlier discharging seem dearer at first."""
MIP_GAP = 1e-7
"""Relative gap at which the search over import or export stops, where one is needed."""
BOTH_KW = 1e-4
"""Charging and discharging at once by more than this is reported [kW]."""


def solve_exact(
    problem: Problem,
    *,
    time_limit_s: float | None = None,
    timer: Callable[[], float] = stopwatch,
) -> Plan:
    """The cheapest plan of a problem, with a lower bound from the dual prices.

    The simplex method starts from a basis that the problem suggests, with a slight preference for
    charging early, and then drops the preference: the optimum is that of the problem itself, and of
    plans that cost the same an early one is taken. The same problem gives the same plan.

    The bound is computed here, from the solver's dual prices and the bounds of the columns (weak
    duality): it holds whatever the solver did. Only where export pays more than import costs, it is
    that of the solver's branch and bound.

    Parameters
    ----------
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
    prices = penalties(problem)
    model = build(problem, prices)
    directions = len(model.binary)
    limit_s = highspy.kHighsInf if time_limit_s is None else time_limit_s
    searched = None
    if directions:
        searched = _search(model, limit_s)
        model = replace(model, lower=searched.lower, upper=searched.upper)
        limit_s = max(limit_s - searched.seconds, 0.1 * limit_s)
    values, duals = simplex(model, limit_s)
    first = len(model.charge_at[0])
    charge = _schedule(problem, problem.visits.charge_kw, model.charge_at, values)
    discharge = _schedule(problem, problem.visits.discharge_kw, model.discharge_at, values[first:])
    notes = []
    both = int(((charge > BOTH_KW) & (discharge > BOTH_KW)).sum())
    if both:
        notes.append(f"in {both} steps a visit charges and discharges at once: losses pay there")
    if directions:
        notes.append(f"export pays more than import costs {directions} times: solved with integers")
    return finish(
        problem,
        bill(problem, charge, discharge, prices),
        method="exact",
        charge_kw=charge,
        discharge_kw=discharge,
        lower_bound_eur=lower_bound(model, duals) if searched is None else searched.bound,
        shadow_price_eur_per_kwh=np.where(
            model.balance >= 0, -np.append(duals, 0.0)[model.balance], 0.0
        ),
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


def _run(highs: highspy.Highs) -> None:
    """Run; whatever ended it, only a primal feasible point is of use."""
    highs.run()
    feasible = highspy.SolutionStatus.kSolutionStatusFeasible
    if highs.getInfo().primal_solution_status != feasible:
        reason = highs.modelStatusToString(highs.getModelStatus())
        raise PlanningFailed(f"HiGHS ended without a plan: {reason}")


def simplex(model: Model, limit_s: float) -> tuple[Floats, Floats]:
    """Values of the columns and duals of the rows."""
    if not len(model.cost):
        return np.zeros(0), np.zeros(0)
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
    solution = highs.getSolution()
    return np.array(solution.col_value), np.array(solution.row_dual)


@dataclass(frozen=True, slots=True)
class _Searched:
    """Columns with every binary decided, the proven bound, and the time it took [s]."""

    lower: Floats
    upper: Floats
    bound: float
    seconds: float


def _search(model: Model, limit_s: float) -> _Searched:
    """Decide by branch and bound whether to import or to export where that is not convex."""
    highs = _highs(model, model.cost, limit_s)
    for column in model.binary.tolist():
        highs.changeColIntegrality(column, highspy.HighsVarType.kInteger)
    highs.setOptionValue("mip_rel_gap", MIP_GAP)
    _run(highs)
    decided = np.round(np.array(highs.getSolution().col_value)[model.binary])
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[model.binary] = upper[model.binary] = decided
    return _Searched(lower, upper, highs.getInfo().mip_dual_bound, highs.getRunTime())


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
