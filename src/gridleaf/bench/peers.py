"""General solvers beside the planners: the formulas as they stand, for anyone's solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csc_array

from gridleaf.plan.problem import Problem


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer found [EUR], None if it did not finish; which of its solvers ran, in words."""

    objective_eur: float | None
    solver: str


def textbook(problem: Problem) -> dict[str, Any]:
    """A one-site problem as anyone would write it down, in kW, without slacks."""
    visits, nodes, h = problem.visits, problem.nodes, float(problem.step_h[0])
    steps = len(problem.step_h)
    step = np.arange(steps)
    visit, at = np.nonzero((step >= visits.arrive[:, None]) & (step < visits.depart[:, None]))
    count = len(visit)
    here = np.arange(count)
    first = at == visits.arrive[visit]
    last = at == visits.depart[visit] - 1
    imports, exports = 3 * count + step, 3 * count + steps + step
    peak = 3 * count + 2 * steps
    entries = [
        (here, 2 * count + here, np.ones(count)),
        (here[~first], 2 * count + here[~first] - 1, -np.ones((~first).sum())),
        (here, here, -visits.charge_efficiency[visit] * h),
        (here, count + here, h / visits.discharge_efficiency[visit]),
        (count + at, here, np.ones(count)),
        (count + at, count + here, -np.ones(count)),
        (count + step, imports, -np.ones(steps)),
        (count + step, exports, np.ones(steps)),
        (count + steps + step, imports, np.ones(steps)),
        (count + steps + step, np.full(steps, peak), -np.ones(steps)),
    ]
    rows, columns, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    floor = np.where(
        last, np.maximum(visits.min_kwh, visits.target_kwh)[visit], visits.min_kwh[visit]
    )
    balance = np.where(first, visits.energy_kwh[visit], 0.0)
    cost = np.concatenate(
        (
            np.zeros(count),
            visits.wear_eur_per_kwh[visit] * h,
            np.zeros(count),
            nodes.import_price_eur_per_kwh[0] * h,
            -nodes.export_price_eur_per_kwh[0] * h,
            nodes.demand_charge_eur_per_kw,
        )
    )
    lower = np.concatenate((np.zeros(2 * count), floor, np.zeros(2 * steps + 1)))
    upper = np.concatenate(
        (
            visits.charge_kw[visit],
            visits.discharge_kw[visit],
            visits.max_kwh[visit],
            nodes.import_limit_kw[0],
            nodes.export_limit_kw[0],
            [np.inf],
        )
    )
    matrix = csc_array(coo_array((values, (rows, columns)), shape=(count + 2 * steps, len(cost))))
    side = np.concatenate((balance, -nodes.load_kw[0]))
    return {"cost": cost, "lower": lower, "upper": upper, "matrix": matrix, "equal": side}


def by_highs(problem: Problem, solver: str = "choose", limit_s: float | None = None) -> Answer:
    """HiGHS by its own interface on one thread: the solver it chooses, or a named one.

    A build without a solver takes another one in silence, so the answer says which one worked.
    """
    model = textbook(problem)
    matrix, steps = model["matrix"], len(problem.step_h)
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("solver", solver)
    highs.setOptionValue("time_limit", highspy.kHighsInf if limit_s is None else limit_s)
    highs.passModel(
        matrix.shape[1],
        matrix.shape[0],
        matrix.nnz,
        highspy.MatrixFormat.kColwise.value,
        highspy.ObjSense.kMinimize.value,
        0.0,
        model["cost"],
        model["lower"],
        model["upper"],
        np.concatenate((model["equal"], np.full(steps, -np.inf))),
        np.concatenate((model["equal"], np.zeros(steps))),
        matrix.indptr.astype(np.int32),
        matrix.indices.astype(np.int32),
        matrix.data,
        np.zeros(matrix.shape[1], dtype=np.int32),
    )
    highs.run()
    np.array(highs.getSolution().col_value)
    info = highs.getInfo()
    iterations = {
        "interior point": info.ipm_iteration_count,
        "crossover": info.crossover_iteration_count,
        "simplex": info.simplex_iteration_count,
        "PDLP": info.pdlp_iteration_count,
    }
    worked = " + ".join(name for name, count in iterations.items() if count > 0) or "presolve"
    finished = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return Answer(
        float(info.objective_function_value) if finished else None,
        f"HiGHS {highs.version()}, {worked}, 1 thread",
    )


def by_scipy(problem: Problem, limit_s: float | None = None) -> Answer:
    """HiGHS as scipy ships it."""
    model = textbook(problem)
    equal = len(model["equal"])
    answer: Any = linprog(  # type: ignore[call-overload]
        model["cost"],
        A_eq=model["matrix"][:equal],
        b_eq=model["equal"],
        A_ub=model["matrix"][equal:],
        b_ub=np.zeros(len(problem.step_h)),
        bounds=np.column_stack((model["lower"], model["upper"])),
        method="highs-ds",
        options={} if limit_s is None else {"time_limit": limit_s},
    )
    return Answer(float(answer.fun) if answer.status == 0 else None, "linprog, dual simplex")


PEERS: dict[str, Callable[[Problem, float | None], Answer]] = {
    "highs": lambda problem, limit_s: by_highs(problem, "choose", limit_s),
    "highs-ipm": lambda problem, limit_s: by_highs(problem, "ipm", limit_s),
    "scipy": by_scipy,
}
