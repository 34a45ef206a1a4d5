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
    draw: st.DrawFn,
    *,
    convex: bool = True,
    kind_to_limits: bool = False,
    least_visits: int = 0,
    together: bool = False,
    stepped: bool = False,
) -> Problem:
    """A problem with up to 4 visits, 6 steps and 4 nodes.

    ``convex``: export never pays more than import costs. ``kind_to_limits``: the load alone breaks
    no limit. ``together``: all visits of a vehicle are priced alike. ``stepped``: with least powers.
    """
    count = draw(st.integers(least_visits, 4))
    steps = draw(st.integers(1, 6 if convex and not stepped else 4))
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
            "dwell",
            "chains",
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
    if some["dwell"]:
        levels = np.cumsum(numbers(0.5, 15, count, 3), axis=1)
        slopes = numbers(-0.05, 0.02, count, 1) + np.cumsum(numbers(0, 0.05, count, 3), axis=1)
        blank = np.arange(3) >= rng.integers(0, 4, (count, 1))
        visits = replace(
            visits,
            dwell_kwh=np.where(blank, np.nan, levels),
            dwell_eur_per_kwh_h=np.where(blank, np.nan, slopes),
        )
    if stepped:
        least = numbers(0, 12, 2, count) * (rng.random((2, count)) < 0.7)
        least = np.where(rng.random((2, count)) < 0.1, np.nan, least)
        visits = replace(visits, min_charge_kw=least[0], min_discharge_kw=least[1])
    if some["chains"]:
        visits, rows = _chained(rng, visits, rows, steps, together)
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


def _chained(
    rng: np.random.Generator, visits: Visits, rows: Rows | None, steps: int, together: bool
) -> tuple[Visits, Rows | None]:
    """Some visits become later ones of the vehicles of others."""
    count = len(visits.id)
    after, trip = [""] * count, np.full(count, np.nan)
    arrive, depart, energy = visits.arrive.copy(), visits.depart.copy(), visits.energy_kwh.copy()
    node = list(visits.node)
    coefficient = np.zeros((0, count)) if rows is None else rows.coefficient.copy()
    order = rng.permutation(count)
    for at in range(1, count):
        i, before = int(order[at]), int(order[rng.integers(0, at)])
        if visits.id[before] in after or rng.random() < 0.3:
            continue
        after[i], energy[i] = visits.id[before], np.nan
        trip[i] = np.round(rng.choice([0, 3, 10, 50]) * rng.random(), 2)
        arrive[i] = rng.integers(depart[before], steps + 1)
        depart[i] = rng.integers(arrive[i], steps + 1)
        if together or rng.random() < 0.7:
            node[i], coefficient[:, i] = node[before], coefficient[:, before]
    chained = replace(
        visits,
        node=tuple(node),
        arrive=arrive,
        depart=depart,
        energy_kwh=energy,
        after=tuple(after),
        trip_kwh=trip,
    )
    return chained, rows and replace(rows, coefficient=coefficient)


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
    whole: list[int] = []
    bounds: list[tuple[float | None, float | None]] = []
    equal: list[tuple[dict[int, float], float]] = []
    most: list[tuple[dict[int, float], float]] = []
    constant = 0.0

    def variable(name: tuple[Any, ...], c: float, low: float | None, high: float | None) -> int:
        names[name] = len(cost)
        cost.append(c)
        whole.append(int(name[0] == "on"))
        bounds.append((low, high if high is None or np.isfinite(high) else None))
        return names[name]

    after = visits.after or ("",) * len(visits.id)
    first = [i for i, name in enumerate(after) if not name]
    for one in first:
        i, start = one, float(visits.energy_kwh[one])
        idle, before = start, None
        while True:
            floor, cap = visits.min_kwh[i], visits.max_kwh[i]
            if i != one:
                floor = 0.0 if np.isnan(floor) else floor
                trip = np.nan_to_num(visits.trip_kwh[i])  # type: ignore[index]
                idle = max(idle - trip, floor)
                a = variable(("a", i), 0.0, floor, None if np.isnan(cap) else max(cap, idle))
                s = variable(("taken", i), price.trip_eur_per_kwh, 0.0, None)
                terms, side = {a: 1.0, s: -1.0}, -trip
                if before is None:
                    side += start
                else:
                    terms[before] = -1.0
                equal.append((terms, side))
                before = a
            low = None if np.isnan(floor) else min(floor, idle)
            high = None if np.isnan(cap) else max(cap, idle)
            for t in range(visits.arrive[i], visits.depart[i]):
                c_most, d_most = (
                    power[i, t] if power.ndim == 2 else power[i]
                    for power in (visits.charge_kw, visits.discharge_kw)
                )
                c = variable(("c", i, t), 0.0, 0.0, c_most)
                d = variable(("d", i, t), visits.wear_eur_per_kwh[i] * hours[t], 0.0, d_most)
                e = variable(("e", i, t), 0.0, low, high)
                least = [
                    0.0 if column is None else float(np.nan_to_num(column[i]))
                    for column in (visits.min_charge_kw, visits.min_discharge_kw)
                ]
                if any(least):
                    on = [variable(("on", way, i, t), 0.0, 0.0, 1.0) for way in (c, d)]
                    for way, power_most, power_least, z in zip(
                        (c, d), (c_most, d_most), least, on, strict=True
                    ):
                        most.append(({way: 1.0, z: -power_most}, 0.0))
                        most.append(({way: -1.0, z: power_least}, 0.0))
                    most.append(({on[0]: 1.0, on[1]: 1.0}, 1.0))
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
                lines = _dwell_lines(problem, i)
                if lines:
                    p = variable(("phi", i, t), hours[t], None, None)
                    most += [({p: -1.0, e: slope}, -at_0) for slope, at_0 in lines]
                before = e
            target = visits.target_kwh[i]
            then = [j for j, name in enumerate(after) if name == visits.id[i]]
            worth = 0.0 if then else visits.value_eur_per_kwh[i]
            if before is None:
                constant -= worth * start
                constant += price.unmet_eur_per_kwh * np.fmax(target - start, 0.0)
            else:
                cost[before] -= worth
                if not np.isnan(target):
                    u = variable(("u", i), price.unmet_eur_per_kwh, 0.0, None)
                    most.append(({before: -1.0, u: -1.0}, -target))
            if not then:
                break
            (i,) = then

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
        integrality=whole if any(whole) else None,
        method="highs",
        options={"mip_rel_gap": 1e-9}
        if any(whole)
        else {"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9},
    )
    if answer.status == 2:
        return np.inf  # this choice of directions is impossible
    assert answer.status == 0, answer.message
    return float(answer.fun) + constant


def _dwell_lines(problem: Problem, i: int) -> list[tuple[float, float]]:
    """Slope and value at 0 of the straight lines whose highest is the cost of holding energy."""
    visits = problem.visits
    if visits.dwell_kwh is None or visits.dwell_eur_per_kwh_h is None:
        return []
    lines, value, last = [], 0.0, None
    for level, slope in zip(visits.dwell_kwh[i], visits.dwell_eur_per_kwh_h[i], strict=True):
        if np.isnan(level):
            break
        if last is not None:
            value += last[1] * (level - last[0])
        lines.append((slope, value - slope * level))
        last = (level, slope)
    return lines


def vehicle(problem: Problem, visit: int) -> list[int]:
    """All visits of the vehicle of a visit, in their order."""
    visits = problem.visits
    if visits.after is None:
        return [visit]
    index = {name: i for i, name in enumerate(visits.id)}
    chain = [visit]
    while visits.after[chain[0]]:
        chain.insert(0, index[visits.after[chain[0]]])
    while visits.id[chain[-1]] in visits.after:
        chain.append(visits.after.index(visits.id[chain[-1]]))
    return chain


def unchained(problem: Problem) -> Problem:
    """The problem with every visit a vehicle of its own."""
    visits = problem.visits
    energy = np.nan_to_num(visits.energy_kwh, nan=5.0)
    return replace(problem, visits=replace(visits, energy_kwh=energy, after=None, trip_kwh=None))


def scale_of(problem: Problem) -> float:
    """What a rounding error of the solver is small against [EUR]."""
    return 1.0 + penalties(problem).limit_eur_per_kwh


def with_visits(problem: Problem, order: Any) -> Problem:
    """The problem with its visits in another order."""
    columns = {}
    for name in Visits.__dataclass_fields__:
        column = getattr(problem.visits, name)
        if isinstance(column, np.ndarray):
            columns[name] = column[order]
        else:
            columns[name] = column and tuple(column[i] for i in order)
    rows = problem.rows
    if rows is not None:
        rows = replace(rows, coefficient=rows.coefficient[:, order])
    return replace(problem, visits=Visits(**columns), rows=rows)
