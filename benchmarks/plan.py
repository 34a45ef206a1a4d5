"""What a controller plans again and again: depots, and fleets after a small change.

``python -m benchmarks plan [--replan 1000,10000] [--variants core,full] [--methods exact,fleet]
[--gap 1e-4] [--repeat 5] [--depots | --no-depots] [--json]``. Time, gap and memory by size, beside
general solvers, are measured by ``gridleaf bench plan``. Every plan is checked, outside the time. The
first call of the fleet method, which may have to compile, is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from gridleaf.bench.instances import changed, depot, fleet
from gridleaf.domain.clock import stopwatch
from gridleaf.plan import Problem, solve, verify
from gridleaf.plan.columns import Memory
from gridleaf.plan.method import Method
from gridleaf.plan.times import Times


def planned(name: str, problem: Problem, method: str, gap: float, repeat: int) -> dict[str, Any]:
    """One method on one problem."""
    times, parts, accepted, gaps = [], [], True, []
    for _ in range(repeat):
        spent = Times()
        began = stopwatch()
        plan = solve(problem, method=cast(Method, method), gap=gap, times=spent)
        times.append(stopwatch() - began)
        parts.append(spent.spent_s)
        gaps.append(plan.gap)
        accepted = accepted and verify(problem, plan) == []
    return {
        "problem": name,
        "planner": method,
        "median_s": statistics.median(times),
        "least_s": min(times),
        "most_s": max(times),
        "gap": max(gaps),
        "accepted": accepted,
        "parts_s": {part: statistics.median(p[part] for p in parts) for part in parts[0]},
    }


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


def main(argv: list[str]) -> None:
    """Measure and print; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks plan", description=__doc__)
    parser.add_argument("--replan", default="1000", help="visits after a small change: 1000,10000")
    parser.add_argument("--variants", default="core,full", help="of the fleets after a change")
    parser.add_argument("--methods", default="exact,fleet", help="for the depots")
    parser.add_argument("--gap", type=float, default=1e-4, help="of the fleet method")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--depots", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    solve(depot(), method="fleet")  # compiled code is loaded, or made
    depots = {
        "depot 20 x 40": depot(),
        "depot 20 x 40, one-way": depot(v2g=0.0),
        "depot 300 x 96": depot(300, step_h=np.full(96, 0.25)),
    }
    records = [
        planned(name, problem, method, args.gap, args.repeat)
        for name, problem in (depots.items() if args.depots else ())
        for method in args.methods.split(",")
    ]
    again = [
        replanned(int(count), variant, prices, args.gap, args.repeat)
        for count in filter(None, args.replan.split(","))
        for variant in args.variants.split(",")
        for prices in (False, True)
    ]
    if args.json:
        print(json.dumps([*records, *again]))
        return
    console = Console(width=120)
    if records:
        table = Table(title="Depots: whole calls")
        for head in ("problem", "method", "median s", "from", "to", "gap", "check", "of it, ms"):
            table.add_column(head)
        for record in records:
            table.add_row(
                record["problem"],
                record["planner"],
                f"{record['median_s']:.4f}",
                f"{record['least_s']:.3f}",
                f"{record['most_s']:.3f}",
                f"{record['gap']:.0e}",
                "accepted" if record["accepted"] else "REFUSED",
                ", ".join(f"{part} {1e3 * s:.1f}" for part, s in record["parts_s"].items()),
            )
        console.print(table)
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
