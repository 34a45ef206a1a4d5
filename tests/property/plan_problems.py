"""Small random planning problems with every feature, and their optimum from the mathematics alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import linprog

from gridleaf.plan import Nodes, Problem, Rows, Visits, penalties

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


@st.composite
def problems(
    draw: st.DrawFn, *, convex: bool = True, kind_to_limits: bool = False, least_visits: int = 0
) -> Problem:
    """A problem with up to 4 visits, 6 steps and 4 nodes.

    ``convex``: export never pays more than import costs. ``kind_to_limits``: the load alone breaks
    no limit.
    """
    count = draw(st.integers(least_visits, 4))
    steps = draw(st.integers(1, 6 if convex else 4))
    nodes = draw(st.integers(1, 4 if convex else 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    some = {
        name: draw(st.booleans())
        for name in [
            "v2g",
            "short",
            "above",
            "target",
            "value",
            "wear",
            "lossy",
            "by_step",
            "unequal",
            "negative",
            "spread",
            "demand",
            "nested",
            "rows",
            "limits_in",
            "limits_out",
            "load",
            "free",
        ]
    }

    def numbers(low: float, high: float, *shape: int) -> Any:
        return np.round(rng.uniform(low, high, shape), 2)

    step_h = numbers(0.1, 1.5, steps) if some["unequal"] else np.full(steps, 0.5)
    arrive = rng.integers(0, steps + 1, count)
    depart = np.array([rng.integers(a, steps + 1) for a in arrive], dtype=np.int64)
    low = numbers(2, 8, count)
    high = low + numbers(0, 30, count)
    energy = low + (high - low) * rng.random(count)
    if some["short"]:
        energy = np.where(rng.random(count) < 0.5, low - numbers(0, 6, count), energy)
    if some["above"]:
        energy = np.where(rng.random(count) < 0.3, high + numbers(0, 6, count), energy)
    none = np.full(count, np.nan)
    shape = (count, steps) if some["by_step"] else (count,)
    charge = numbers(0, 22, *shape) * (rng.random(shape) < 0.85)
    discharge = numbers(0, 22, *shape) * (rng.random(shape) < 0.85)
    visits = Visits(
        id=tuple(f"v{i}" for i in range(count)),
        node=tuple(f"n{k}" for k in rng.integers(0, nodes, count)),
        arrive=arrive.astype(np.int64),
        depart=depart,
        energy_kwh=energy,
        target_kwh=np.where(rng.random(count) < 0.8, numbers(0, 50, count), np.nan)
        if some["target"]
        else none,
        min_kwh=np.where(rng.random(count) < 0.9, low, np.nan),
        max_kwh=np.where(rng.random(count) < 0.9, high, np.nan),
        charge_kw=charge,
        discharge_kw=discharge if some["v2g"] else np.zeros(count),
        charge_efficiency=numbers(0.6, 1, count) if some["lossy"] else np.ones(count),
        discharge_efficiency=numbers(0.6, 1, count) if some["lossy"] else np.ones(count),
        wear_eur_per_kwh=numbers(0, 0.1, count) if some["wear"] else np.zeros(count),
        value_eur_per_kwh=numbers(0, 0.3, count) if some["value"] else np.zeros(count),
    )
    buy = numbers(-0.2 if some["negative"] else 0.05, 0.5, nodes, steps)
    sell = buy - numbers(0, 0.2, nodes, steps) * some["spread"]
    if not convex:
        sell = np.where(rng.random((nodes, steps)) < 0.5, buy + numbers(0, 0.3, nodes, steps), sell)
    metered = (rng.random((nodes, 1)) < 0.4) | (np.arange(nodes)[:, None] == 0)
    buy, sell = (np.where(metered, price, np.nan) for price in (buy, sell))
    if some["free"] and convex:
        buy = np.where(rng.random(buy.shape) < 0.3, np.nan, buy)
        sell = np.where(np.isnan(buy), -0.01, sell)
    load = numbers(-15, 15, nodes, steps) * some["load"]
    limit_in = np.where(rng.random((nodes, steps)) < 0.8, numbers(0, 20, nodes, steps), np.nan)
    limit_out = np.where(rng.random((nodes, steps)) < 0.8, numbers(0, 20, nodes, steps), np.nan)
    if not some["limits_in"]:
        limit_in = np.full((nodes, steps), np.inf)
    if not some["limits_out"]:
        limit_out = np.full((nodes, steps), np.nan)
    if kind_to_limits:
        limit_in, limit_out = np.maximum(limit_in, load), np.maximum(limit_out, -load)
    rows = None
    if some["rows"]:
        rows = Rows(
            id=("r0", "r1"),
            coefficient=numbers(-1, 1, 2, count) * (rng.random((2, count)) < 0.8),
            bound_kw=np.where(rng.random((2, steps)) < 0.8, numbers(0, 10, 2, steps), np.nan),
        )
    return Problem(
        start=START,
        step_h=step_h,
        visits=visits,
        nodes=Nodes(
            id=tuple(f"n{k}" for k in range(nodes)),
            parent=(
                "",
                *(f"n{rng.integers(0, k)}" if some["nested"] else "" for k in range(1, nodes)),
            ),
            import_limit_kw=limit_in,
            export_limit_kw=limit_out,
            load_kw=load,
            import_price_eur_per_kwh=buy,
            export_price_eur_per_kwh=sell,
            demand_charge_eur_per_kw=numbers(0, 1, nodes) * some["demand"],
            peak_so_far_kw=numbers(0, 10, nodes) * some["demand"],
        ),
        rows=rows,
    )


def optimum(problem: Problem) -> float:
    """The least cost, over all choices of import or export where export pays more than import."""
    nodes = problem.nodes
    buy = np.nan_to_num(nodes.import_price_eur_per_kwh)
    sell = np.nan_to_num(nodes.export_price_eur_per_kwh)
    cells = [tuple(cell) for cell in np.argwhere(sell > buy)]
    return min(
        _least_cost(problem, dict(zip(cells, choice, strict=True)))
        for choice in product((True, False), repeat=len(cells))
    )


def _least_cost(problem: Problem, importing: dict[tuple[int, int], bool]) -> float:
    """Every variable of the design for every visit, node and step, as the formulas stand there."""
    visits, nodes, hours = problem.visits, problem.nodes, problem.step_h
    price = penalties(problem)
    names: dict[tuple[Any, ...], int] = {}
    cost: list[float] = []
    bounds: list[tuple[float | None, float | None]] = []
    equal: list[tuple[dict[int, float], float]] = []
    most: list[tuple[dict[int, float], float]] = []
    constant = 0.0

    def variable(name: tuple[Any, ...], c: float, low: float | None, high: float | None) -> int:
        names[name] = len(cost)
        cost.append(c)
        bounds.append((low, high if high is None or np.isfinite(high) else None))
        return names[name]

    for i in range(len(visits.id)):
        start = visits.energy_kwh[i]
        floor, cap = visits.min_kwh[i], visits.max_kwh[i]
        low = None if np.isnan(floor) else min(floor, start)
        high = None if np.isnan(cap) else max(cap, start)
        before: int | None = None
        for t in range(visits.arrive[i], visits.depart[i]):
            c_most, d_most = (
                power[i, t] if power.ndim == 2 else power[i]
                for power in (visits.charge_kw, visits.discharge_kw)
            )
            c = variable(("c", i, t), 0.0, 0.0, c_most)
            d = variable(("d", i, t), visits.wear_eur_per_kwh[i] * hours[t], 0.0, d_most)
            e = variable(("e", i, t), 0.0, low, high)
            terms = {
                e: 1.0,
                c: -visits.charge_efficiency[i] * hours[t],
                d: hours[t] / visits.discharge_efficiency[i],
            }
            if before is not None:
                terms[before] = -1.0
            equal.append((terms, start if before is None else 0.0))
            if not np.isnan(floor):
                s = variable(("s", i, t), price.short_eur_per_kwh_h * hours[t], 0.0, None)
                most.append(({e: -1.0, s: -1.0}, -floor))
            before = e
        target = -np.inf if np.isnan(visits.target_kwh[i]) else visits.target_kwh[i]
        if before is None:
            constant -= visits.value_eur_per_kwh[i] * start
            constant += price.unmet_eur_per_kwh * max(target - start, 0.0)
            continue
        cost[before] -= visits.value_eur_per_kwh[i]
        if np.isfinite(target):
            u = variable(("u", i), price.unmet_eur_per_kwh, 0.0, None)
            most.append(({before: -1.0, u: -1.0}, -target))

    parent = dict(zip(nodes.id, nodes.parent, strict=True))
    buy = np.nan_to_num(nodes.import_price_eur_per_kwh)
    sell = np.nan_to_num(nodes.export_price_eur_per_kwh)
    for k, name in enumerate(nodes.id):
        below = []
        for i, at in enumerate(visits.node):
            while at and at != name:
                at = parent[at]
            if at == name:
                below.append(i)
        peak = variable(("p", k), nodes.demand_charge_eur_per_kw[k], nodes.peak_so_far_kw[k], None)
        for t, h in enumerate(hours):
            only = importing.get((k, t))
            imp = variable(("imp", k, t), buy[k, t] * h, 0.0, 0.0 if only is False else None)
            exp = variable(("exp", k, t), -sell[k, t] * h, 0.0, 0.0 if only is True else None)
            terms = {imp: 1.0, exp: -1.0}
            for i in below:
                if visits.arrive[i] <= t < visits.depart[i]:
                    terms[names["c", i, t]] = -1.0
                    terms[names["d", i, t]] = 1.0
            equal.append((terms, nodes.load_kw[k, t]))
            most.append(({imp: 1.0, peak: -1.0}, 0.0))
            for flow, limit in ((imp, nodes.import_limit_kw), (exp, nodes.export_limit_kw)):
                if np.isfinite(limit[k, t]):
                    over = variable(("over", flow), price.limit_eur_per_kwh * h, 0.0, None)
                    most.append(({flow: 1.0, over: -1.0}, limit[k, t]))
    if problem.rows is not None:
        for m, t in np.argwhere(np.isfinite(problem.rows.bound_kw)):
            over = variable(("row", m, t), price.row_eur_per_kwh[m] * hours[t], 0.0, None)
            terms = {over: -1.0}
            for i in range(len(visits.id)):
                if visits.arrive[i] <= t < visits.depart[i]:
                    terms[names["c", i, t]] = problem.rows.coefficient[m, i]
                    terms[names["d", i, t]] = -problem.rows.coefficient[m, i]
            most.append((terms, problem.rows.bound_kw[m, t]))

    def matrix(lines: list[tuple[dict[int, float], float]]) -> Any:
        dense = np.zeros((len(lines), len(cost)))
        for row, (terms, _) in enumerate(lines):
            dense[row, list(terms)] = list(terms.values())
        return dense

    answer = linprog(
        cost,
        A_ub=matrix(most),
        b_ub=[side for _, side in most],
        A_eq=matrix(equal),
        b_eq=[side for _, side in equal],
        bounds=bounds,
        method="highs",
        options={"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9},
    )
    if answer.status == 2:
        return np.inf  # this choice of directions is impossible
    assert answer.status == 0, answer.message
    return float(answer.fun) + constant


def scale_of(problem: Problem) -> float:
    """What a rounding error of the solver is small against [EUR]."""
    return 1.0 + penalties(problem).limit_eur_per_kwh


def with_visits(problem: Problem, order: Any) -> Problem:
    """The problem with its visits in another order."""
    columns = {}
    for name in Visits.__dataclass_fields__:
        column = getattr(problem.visits, name)
        columns[name] = (
            tuple(column[i] for i in order) if isinstance(column, tuple) else column[order]
        )
    rows = problem.rows
    if rows is not None:
        rows = replace(rows, coefficient=rows.coefficient[:, order])
    return replace(problem, visits=Visits(**columns), rows=rows)
