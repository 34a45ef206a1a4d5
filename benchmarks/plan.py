"""Both planners beside the exact one's solver called directly, and where the time goes.

``python -m benchmarks plan [--visits 10,100,1000] [--variants core,full] [--methods exact,fleet]
[--gap 1e-4] [--time-limit S] [--sites 64x50] [--replan 10000] [--repeat 5]
[--peers highs,highs-ipm,scipy] [--json]``. The peers get the formulas as they stand (charge, discharge
and energy for every visit and step of its window, import and export for every step) and their own
defaults, on one thread; the fleet method asks vehicles on all processors. Every plan of ours is
checked. The first call of the fleet method, which may have to compile, is not counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import highspy
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import linprog
from scipy.sparse import coo_array, csc_array

from benchmarks.instances import OPTIMUM, changed, depot, feeder, fleet
from gridleaf.domain.clock import stopwatch
from gridleaf.plan import Plan, Problem, bill, check, columns, penalties, solve, verify
from gridleaf.plan import fleet as fleet_method
from gridleaf.plan.columns import Memory
from gridleaf.plan.exact import lower_bound, simplex
from gridleaf.plan.lp import build
from gridleaf.plan.method import Method
from gridleaf.plan.sweep import Sweeper

LARGEST_OF_SCIPY = 100
LARGEST_OF_LP = 1000
"""Visits beyond which general solvers are not waited for."""


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


def by_gridleaf(problem: Problem, method: Method, gap: float, limit_s: float | None) -> Plan:
    """``plan.solve``: the checked problem, the proof and the bill included."""
    return solve(problem, method=method, gap=gap, time_limit_s=limit_s)


def timed(work: Callable[[], Any], repeat: int) -> tuple[list[float], Any]:
    """Times of some runs [s], and what the last gave."""
    times, result = [], None
    for _ in range(repeat):
        began = stopwatch()
        result = work()
        times.append(stopwatch() - began)
    return times, result


def peak_mib(work: Callable[[], Any]) -> float:
    """How much memory one run needs at most, above what there is before it (Linux) [MiB]."""

    def told(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))

    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = told("VmRSS")
    work()
    return (told("VmHWM") - before) / 1024


def stages(problem: Problem, repeat: int) -> dict[str, float]:
    """Median time of each part of the planner and of the independent check [s]."""
    names = ("check", "build", "simplex", "proof", "bill", "verify")
    plan, prices = solve(problem, method="exact"), penalties(problem)
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


def fleet_stages(problem: Problem, gap: float, limit_s: float | None) -> dict[str, float]:
    """Time of each part of the fleet method in one run [s]: asking, master problem, schedules."""
    spent = {"ask": 0.0, "master": 0.0, "vertex": 0.0, "schedules": 0.0}
    places: list[tuple[Any, str, str]] = [
        (Sweeper, "ask", "ask"),
        (columns, "shares", "master"),
        (fleet_method, "settle_shares", "vertex"),
        (fleet_method, "schedules", "schedules"),
    ]

    def timing(work: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed_work(*args: Any, **options: Any) -> Any:
            began = stopwatch()
            try:
                return work(*args, **options)
            finally:
                spent[name] += stopwatch() - began

        return timed_work

    with ExitStack() as stack:
        for owner, attribute, name in places:
            watched = timing(getattr(owner, attribute), name)
            stack.enter_context(patch.object(owner, attribute, watched))
        began = stopwatch()
        solve(problem, method="fleet", gap=gap, time_limit_s=limit_s)
        whole = stopwatch() - began
    return spent | {"rest": whole - sum(spent.values())}


def replanned(count: int, variant: str, prices: bool, gap: float, repeat: int) -> dict[str, Any]:
    """The fleet method after each of some changes, from what it left and from nothing."""
    problem = fleet(count, "full" if variant == "full" else "core")
    memory = Memory()
    solve(problem, method="fleet", gap=gap, warm=memory)
    warm, cold, gaps, accepted = [], [], [], True
    for seed in range(repeat):
        problem = changed(problem, seed, prices=prices)
        began = stopwatch()
        plan = solve(problem, method="fleet", gap=gap, warm=memory)
        warm.append(stopwatch() - began)
        began = stopwatch()
        solve(problem, method="fleet", gap=gap)
        cold.append(stopwatch() - began)
        gaps.append(plan.gap)
        accepted = accepted and verify(problem, plan) == []
    what = "cars, prices and load" if prices else "3 % of the cars"
    return {
        "problem": f"{count} {variant}, {what}",
        "warm_s": statistics.median(warm),
        "cold_s": statistics.median(cold),
        "gap": max(gaps),
        "accepted": accepted,
    }


def measure(
    problems: list[tuple[str, Problem, float | None]],
    methods: list[str],
    gap: float,
    limit_s: float | None,
    peers: list[str],
    repeat: int,
) -> list[dict[str, Any]]:
    """One record for each problem and planner."""
    known_peers: dict[str, Callable[[Problem], float]] = {
        "highs": by_highs,
        "highs-ipm": partial(by_highs, solver="ipm"),
        "scipy": by_scipy,
    }
    records: list[dict[str, Any]] = []
    if "fleet" in methods:
        solve(depot(), method="fleet")  # compiled code is loaded, or made
    for name, problem, known in problems:
        planners: dict[str, Callable[[Problem], Any]] = {
            f"gridleaf {method}": partial(
                by_gridleaf, method=cast(Method, method), gap=gap, limit_s=limit_s
            )
            for method in methods
        }
        if name.split()[0] not in ("depot", "feeder"):
            planners |= {peer: known_peers[peer] for peer in peers}
        for planner, work in planners.items():
            size, ours = len(problem.visits.id), planner.startswith("gridleaf")
            if planner == "scipy" and size > LARGEST_OF_SCIPY:
                continue
            if planner != "gridleaf fleet" and size > LARGEST_OF_LP:
                continue
            runs = repeat if size <= LARGEST_OF_SCIPY or planner == "gridleaf fleet" else 3
            times, result = timed(partial(work, problem), min(runs, repeat))
            objective = result.objective_eur if ours else result
            record = {
                "problem": name,
                "planner": planner,
                "median_s": statistics.median(times),
                "least_s": min(times),
                "most_s": max(times),
                "objective_eur": objective,
                "off_known_optimum": None if known is None else objective / known - 1,
            }
            if ours:
                record |= {"gap": result.gap, "accepted": verify(problem, result) == []}
            if planner == "gridleaf exact":
                record["stages_s"] = stages(problem, min(runs, 3))
            elif ours:
                record["stages_s"] = fleet_stages(problem, gap, limit_s)
                record["peak_mib"] = peak_mib(partial(work, problem))
            records.append(record)
            print(f"{name}: {planner} {record['median_s']:.4f} s", file=sys.stderr, flush=True)
    return records


def main(argv: list[str]) -> None:
    """Measure and print; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks plan", description=__doc__)
    parser.add_argument("--visits", default="10,100,1000")
    parser.add_argument("--variants", default="core,full")
    parser.add_argument("--methods", default="exact,fleet")
    parser.add_argument("--gap", type=float, default=1e-4, help="of the fleet method")
    parser.add_argument("--time-limit", type=float, help="for each plan of ours [s]")
    parser.add_argument("--sites", default="", help="feeders, as sites x visits: 64x50,8x50")
    parser.add_argument("--replan", default="", help="visits after a small change: 1000,10000")
    parser.add_argument("--peers", default="highs,highs-ipm,scipy", help="'' for none")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--depots", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    problems: list[tuple[str, Problem, float | None]] = []
    for count in (int(count) for count in args.visits.split(",") if count):
        for variant in args.variants.split(","):
            problem = fleet(count, "full" if variant == "full" else "core")
            problems.append((f"{count} {variant}", problem, OPTIMUM.get((count, variant))))
    if args.depots:
        problems += [
            ("depot 20 x 40", depot(), None),
            ("depot 20 x 40, one-way", depot(v2g=0.0), None),
            ("depot 300 x 96", depot(300, step_h=np.full(96, 0.25)), None),
        ]
    for size in filter(None, args.sites.split(",")):
        sites, cars = size.split("x")
        problems.append((f"feeder {size}", feeder(int(sites), int(cars)), None))
    records = measure(
        problems,
        args.methods.split(","),
        args.gap,
        args.time_limit,
        [peer for peer in args.peers.split(",") if peer],
        args.repeat,
    )
    again = [
        replanned(int(count), variant, prices, args.gap, args.repeat)
        for count in filter(None, args.replan.split(","))
        for variant in args.variants.split(",")
        for prices in (False, True)
    ]
    if args.json:
        print(json.dumps([*records, *again]))
        return
    table = Table(title="Planning: whole calls")
    for head in ("problem", "planner", "median s", "from", "to", "objective", "gap", "check"):
        table.add_column(head, no_wrap=True)
    parts = Table("problem", "planner", "ms and peak memory", title="Where the time goes")
    for record in records:
        ours = record["planner"].startswith("gridleaf")
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
            spent = (f"{name} {1e3 * time:.1f}" for name, time in record["stages_s"].items())
            memory = f", {record['peak_mib']:.0f} MiB" if "peak_mib" in record else ""
            parts.add_row(record["problem"], record["planner"], ", ".join(spent) + memory)
    console = Console(width=110)
    console.print(table)
    console.print(parts)
    if again:
        after = Table("problem", "warm s", "cold s", "gap", "check", title="Planning again")
        for line in again:
            after.add_row(
                line["problem"],
                f"{line['warm_s']:.3f}",
                f"{line['cold_s']:.3f}",
                f"{line['gap']:.1e}",
                "accepted" if line["accepted"] else "REFUSED",
            )
        console.print(after)


if __name__ == "__main__":
    main(sys.argv[1:])
