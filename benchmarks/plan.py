"""The exact planner beside its solver called directly, and where its time goes.

``python -m benchmarks plan [--visits 10,100,1000] [--variants core,full] [--repeat 5] [--peers
highs,highs-ipm,scipy] [--json]``. The peers get the formulas as they stand (charge, discharge and energy for
every visit and step of its window, import and export for every step) and their own defaults; one
thread for all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import highspy
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import linprog
from scipy.sparse import coo_array, csc_array

from benchmarks.instances import OPTIMUM, depot, fleet
from gridleaf.domain.clock import stopwatch
from gridleaf.plan import Problem, bill, check, penalties, solve, verify
from gridleaf.plan.exact import lower_bound, simplex
from gridleaf.plan.lp import build

LARGEST_OF_SCIPY = 100


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


def by_highs(problem: Problem, solver: str = "choose") -> float:
    """HiGHS by its own interface; "choose" is the simplex method, "ipm" interior point and crossover."""
    model = textbook(problem)
    matrix, steps = model["matrix"], len(problem.step_h)
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("solver", solver)
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
    return float(highs.getInfo().objective_function_value)


def by_scipy(problem: Problem) -> float:
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
    )
    return float(answer.fun)


def by_gridleaf(problem: Problem) -> float:
    """``plan.solve``: the checked problem, the proof and the bill included."""
    return solve(problem).objective_eur


def timed(work: Callable[[], Any], repeat: int) -> tuple[list[float], Any]:
    """Times of some runs [s], and what the last gave."""
    times, result = [], None
    for _ in range(repeat):
        began = stopwatch()
        result = work()
        times.append(stopwatch() - began)
    return times, result


def stages(problem: Problem, repeat: int) -> dict[str, float]:
    """Median time of each part of the planner and of the independent check [s]."""
    names = ("check", "build", "simplex", "proof", "bill", "verify")
    plan, prices = solve(problem), penalties(problem)
    rounds = []
    for _ in range(repeat):
        marks = [stopwatch()]
        check(problem)
        marks.append(stopwatch())
        model = build(problem, prices)
        marks.append(stopwatch())
        solved = simplex(model, highspy.kHighsInf)
        marks.append(stopwatch())
        lower_bound(model, solved.duals)
        marks.append(stopwatch())
        bill(problem, plan.charge_kw, plan.discharge_kw, prices)
        marks.append(stopwatch())
        verify(problem, plan)
        marks.append(stopwatch())
        rounds.append(np.diff(marks))
    return dict(zip(names, np.median(rounds, axis=0).tolist(), strict=True))


def measure(
    counts: list[int], variants: list[str], peers: list[str], repeat: int, depots: bool
) -> list[dict[str, Any]]:
    """One record for each problem and planner."""
    known_peers: dict[str, Callable[[Problem], float]] = {
        "highs": by_highs,
        "highs-ipm": partial(by_highs, solver="ipm"),
        "scipy": by_scipy,
    }
    records: list[dict[str, Any]] = []
    problems: list[tuple[str, Problem, float | None]] = []
    for count in counts:
        for variant in variants:
            problem = fleet(count, "full" if variant == "full" else "core")
            problems.append((f"{count} {variant}", problem, OPTIMUM.get((count, variant))))
    if depots:
        problems += [
            ("depot 20 x 40", depot(), None),
            ("depot 20 x 40, one-way", depot(v2g=0.0), None),
            ("depot 300 x 96", depot(300, step_h=np.full(96, 0.25)), None),
        ]
    for name, problem, known in problems:
        planners: dict[str, Callable[[Problem], float]] = {"gridleaf": by_gridleaf}
        if name.partition(" ")[0] != "depot":
            planners |= {peer: known_peers[peer] for peer in peers}
        for planner, work in planners.items():
            size = len(problem.visits.id)
            if planner == "scipy" and size > LARGEST_OF_SCIPY:
                continue
            runs = repeat if size <= LARGEST_OF_SCIPY else min(repeat, 3)
            times, objective = timed(partial(work, problem), runs)
            record = {
                "problem": name,
                "planner": planner,
                "median_s": statistics.median(times),
                "least_s": min(times),
                "most_s": max(times),
                "objective_eur": objective,
                "off_known_optimum": None if known is None else objective / known - 1,
            }
            if planner == "gridleaf":
                plan = solve(problem)
                record |= {
                    "gap": plan.gap,
                    "accepted": verify(problem, plan) == [],
                    "stages_s": stages(problem, runs),
                }
            records.append(record)
            print(f"{name}: {planner} {record['median_s']:.4f} s", file=sys.stderr, flush=True)
    return records


def main(argv: list[str]) -> None:
    """Measure and print; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks plan", description=__doc__)
    parser.add_argument("--visits", default="10,100,1000")
    parser.add_argument("--variants", default="core,full")
    parser.add_argument("--peers", default="highs,highs-ipm,scipy", help="'' for none")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--depots", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    records = measure(
        [int(count) for count in args.visits.split(",")],
        args.variants.split(","),
        [peer for peer in args.peers.split(",") if peer],
        args.repeat,
        args.depots,
    )
    if args.json:
        print(json.dumps(records))
        return
    table = Table(title="Planning: whole calls, one thread")
    for head in ("problem", "planner", "median s", "from", "to", "objective", "gap", "check"):
        table.add_column(head, no_wrap=True)
    parts = Table(title="Where the time goes [ms]")
    names = ("check", "build", "simplex", "proof", "bill", "verify")
    for head in ("problem", *names):
        parts.add_column(head)
    for record in records:
        ours = record["planner"] == "gridleaf"
        table.add_row(
            record["problem"],
            record["planner"],
            f"{record['median_s']:.4f}",
            f"{record['least_s']:.3f}",
            f"{record['most_s']:.3f}",
            f"{record['objective_eur']:.6f}",
            f"{record['gap']:.1e}" if ours else "",
            ("accepted" if record["accepted"] else "REFUSED") if ours else "",
        )
        if ours:
            parts.add_row(
                record["problem"], *(f"{1e3 * record['stages_s'][name]:.2f}" for name in names)
            )
    console = Console(width=110)
    console.print(table)
    console.print(parts)


if __name__ == "__main__":
    main(sys.argv[1:])
