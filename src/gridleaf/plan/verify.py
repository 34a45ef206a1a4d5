"""The independent check of a plan: everything again, from the schedules alone.

It shares nothing with the planners but the types and the penalties, which are part of the problem.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gridleaf.plan.problem import Floats, Plan, Powers, Problem, check, penalties

ABSOLUTE = 1e-5
"""A deviation of less than this is rounding [kW, kWh]."""
RELATIVE = 1e-6
"""And so is less than this share of what was added up [-]."""

PART = 50_000
"""Visits looked at together, so that memory does not grow with their number."""

Mask = NDArray[np.bool_]


def verify(problem: Problem, plan: Plan) -> list[str]:
    """What is wrong with a plan, in plain sentences; an empty list accepts it.

    Checked are the ids and shapes, the power of each visit inside its window and bounds, its energy,
    what is unmet, the balance, limits and overload of each node and row, the objective against the
    cost of these schedules, and the lower bound and the gap against the objective.

    Raises
    ------
    ProblemError
        The problem itself is malformed.
    """
    check(problem)
    faults = _shapes(problem, plan)
    if faults:
        return faults
    arrival = _arrivals(problem, plan)
    return [
        *next(filter(None, (_visits(problem, plan, arrival, part) for part in _parts(plan))), []),
        *_nodes(problem, plan),
        *_rows(problem, plan),
        *_money(problem, plan, arrival),
    ]


@dataclass(frozen=True, slots=True)
class _Arrivals:
    """The energy of each visit at arrival, as planned, and what it would be without any power [kWh].

    ``handled`` is all that was added up to know it; ``follows`` and ``last`` say whether a visit is the
    first or the last of its vehicle. All ``(N,)``.
    """

    energy: Floats
    idle: Floats
    floor: Floats
    handled: Floats
    follows: Mask
    last: Mask


def _arrivals(problem: Problem, plan: Plan) -> _Arrivals:
    """From the first visit of every vehicle on, what each leaves to the next."""
    visits, hours, count = problem.visits, problem.step_h, len(problem.visits.id)
    energy, idle, handled = visits.energy_kwh.copy(), visits.energy_kwh.copy(), np.zeros(count)
    floor = np.where(np.isnan(visits.min_kwh), -np.inf, visits.min_kwh)
    follows, last = np.zeros(count, dtype=np.bool_), np.ones(count, dtype=np.bool_)
    if visits.after is None:
        return _Arrivals(energy, idle, floor, np.abs(energy), follows, last)
    stored = visits.charge_efficiency * (plan.charge_kw @ hours)
    drawn = (plan.discharge_kw @ hours) / visits.discharge_efficiency
    position = {name: i for i, name in enumerate(visits.id)}
    following = {position[name]: i for i, name in enumerate(visits.after) if name}
    for first in (i for i, name in enumerate(visits.after) if not name):
        at, handled[first] = first, abs(energy[first])
        while (then := following.get(at)) is not None:
            follows[then], last[at] = True, False
            floor[then] = 0.0 if floor[then] == -np.inf else floor[then]
            lost = 0.0
            if visits.trip_kwh is not None and not np.isnan(visits.trip_kwh[then]):
                lost = visits.trip_kwh[then]
            energy[then] = energy[at] + stored[at] - drawn[at] - lost + plan.trip_unmet_kwh[then]
            idle[then] = max(idle[at] - lost, floor[then])
            handled[then] = handled[at] + stored[at] + drawn[at] + lost
            at = then
    return _Arrivals(energy, idle, floor, handled, follows, last)


def _parts(plan: Plan) -> Iterator[slice]:
    """The visits, some at a time."""
    for start in range(0, len(plan.visit_id), PART):
        yield slice(start, start + PART)


def _doubles(plan: Plan, part: slice) -> tuple[Floats, Floats]:
    """What some visits charge and discharge, in double precision whatever the plan has."""
    return plan.charge_kw[part].astype(np.float64), plan.discharge_kw[part].astype(np.float64)


def _shapes(problem: Problem, plan: Plan) -> list[str]:
    steps, visits, nodes = len(problem.step_h), problem.visits.id, problem.nodes.id
    rows = () if problem.rows is None else problem.rows.id
    faults = []
    if plan.visit_id != visits:
        faults.append("The plan is for other visits than the problem.")
    if plan.node_id != nodes:
        faults.append("The plan is for other nodes than the problem.")
    if plan.row_id != rows:
        faults.append("The plan is for other rows than the problem.")
    expected = {
        "charge_kw": (len(visits), steps),
        "discharge_kw": (len(visits), steps),
        "unmet_kwh": (len(visits),),
        "import_kw": (len(nodes), steps),
        "export_kw": (len(nodes), steps),
        "over_limit_kw": (len(nodes), steps),
        "shadow_price_eur_per_kwh": (len(nodes), steps),
    }
    if rows:
        expected["row_over_kw"] = (len(rows), steps)
    if problem.visits.after is not None or plan.trip_unmet_kwh.size:
        expected["trip_unmet_kwh"] = (len(visits),)
    for name, shape in expected.items():
        values = getattr(plan, name)
        if np.shape(values) != shape:
            faults.append(f"{name} has the shape {np.shape(values)}, not {shape}.")
        elif not np.isfinite(values).all():
            faults.append(f"{name} holds something that is not a finite number.")
    return faults


def _visits(problem: Problem, plan: Plan, arrival: _Arrivals, part: slice) -> list[str]:
    """The faults of some visits; those behind the first part with faults are not looked at."""
    visits, hours, names = problem.visits, problem.step_h, plan.visit_id[part]
    faults: list[str] = []
    step = np.arange(len(hours))[None, :]
    plugged = (visits.arrive[part, None] <= step) & (step < visits.depart[part, None])
    for name, power, most in (
        ("charges", plan.charge_kw[part], visits.charge_kw[part]),
        ("discharges", plan.discharge_kw[part], visits.discharge_kw[part]),
    ):
        bound = most if most.ndim == 2 else np.repeat(most[:, None], len(hours), axis=1)
        tell = _Teller(names, f"Visit {{id}} {name} {{value:.6g}} kW in step {{step}}")
        faults += tell(power < -ABSOLUTE, power, ", a negative power")
        faults += tell(~plugged & (np.abs(power) > ABSOLUTE), power, ", outside its window")
        excess = plugged & (power > bound * (1 + RELATIVE) + ABSOLUTE)
        faults += tell(excess, power, ", above its bound")

    faults += _least_powers(problem, plan, part)
    start, idle, floor = arrival.energy[part], arrival.idle[part], arrival.floor[part]
    stored = plan.charge_kw[part] * visits.charge_efficiency[part, None]
    drawn = plan.discharge_kw[part] / visits.discharge_efficiency[part, None]
    energy = start[:, None] + ((stored - drawn) * hours).cumsum(axis=1)
    moved = ((stored + drawn) * hours).sum(axis=1) + arrival.handled[part]
    slack = ABSOLUTE + RELATIVE * moved
    least, most_kwh = np.minimum(floor, idle) - slack, np.fmax(visits.max_kwh[part], idle) + slack
    most_kwh[np.isnan(visits.max_kwh[part])] = np.inf
    tell = _Teller(names, "Visit {id} has {value:.6g} kWh after step {step}")
    faults += tell(plugged & (energy < least[:, None]), energy, ", less than its minimum allows")
    faults += tell(plugged & (energy > most_kwh[:, None]), energy, ", more than its maximum allows")
    follows = arrival.follows[part]
    for wrong, what in (
        (follows & (start < least), "less than its minimum allows"),
        (follows & (start > most_kwh), "more than its maximum allows"),
    ):
        for i in np.flatnonzero(wrong)[:1]:
            faults.append(
                f"Visit {names[i]} arrives with {start[i]:.6g} kWh, {what}{_more(wrong)}."
            )
    if plan.trip_unmet_kwh.size:
        taken = plan.trip_unmet_kwh[part]
        wrong = (taken < -ABSOLUTE) | (~follows & (taken > ABSOLUTE))
        for i in np.flatnonzero(wrong)[:1]:
            faults.append(
                f"Visit {names[i]} has {taken[i]:.6g} kWh from a trip on which it cannot "
                f"have taken that{_more(wrong)}."
            )

    target, told = visits.target_kwh[part], plan.unmet_kwh[part]
    missing = np.where(np.isnan(target), 0.0, np.fmax(target - energy[:, -1], 0.0))
    wrong = np.abs(told - missing) > slack + ABSOLUTE
    for i in np.flatnonzero(wrong)[:1]:
        faults.append(
            f"Visit {names[i]} leaves {missing[i]:.6g} kWh short of its target, the plan "
            f"says {told[i]:.6g} kWh{_more(wrong)}."
        )
    return faults


def _least_powers(problem: Problem, plan: Plan, part: slice) -> list[str]:
    """Where some visits have less power than the least there may be, or two at once."""
    visits, names = problem.visits, plan.visit_id[part]
    faults: list[str] = []
    applies = np.zeros(len(names), dtype=np.bool_)
    for name, power, column in (
        ("charges", plan.charge_kw[part], visits.min_charge_kw),
        ("discharges", plan.discharge_kw[part], visits.min_discharge_kw),
    ):
        if column is None:
            continue
        least = np.nan_to_num(column[part])
        applies |= least > 0
        tell = _Teller(names, f"Visit {{id}} {name} {{value:.6g}} kW in step {{step}}")
        little = (power > ABSOLUTE) & (power < (least * (1 - RELATIVE) - ABSOLUTE)[:, None])
        faults += tell(little, power, ", below its least power")
    charge, discharge = plan.charge_kw[part], plan.discharge_kw[part]
    both = applies[:, None] & (charge > ABSOLUTE) & (discharge > ABSOLUTE)
    tell = _Teller(names, "Visit {id} charges {value:.6g} kW in step {step}")
    return [*faults, *tell(both, charge, " and discharges at once")]


def _nodes(problem: Problem, plan: Plan) -> list[str]:
    nodes = problem.nodes
    net = nodes.load_kw.copy()
    size = np.abs(nodes.load_kw)
    parent = dict(zip(nodes.id, nodes.parent, strict=True))
    position = {name: k for k, name in enumerate(nodes.id)}
    above: dict[str, list[int]] = {}
    for name in nodes.id:
        at, above[name] = name, []
        while at:
            above[name].append(position[at])
            at = parent[at]
    for part in _parts(plan):
        paths = [above[name] for name in problem.visits.node[part]]
        visit = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
        node = np.array([k for path in paths for k in path], dtype=np.int64)
        shape = (len(nodes.id), len(paths))
        below = csr_array((np.ones(len(node)), (node, visit)), shape=shape)
        charge, discharge = _doubles(plan, part)
        net += np.asarray(below @ (charge - discharge))
        size += np.asarray(below @ (charge + discharge))
    slack = ABSOLUTE + RELATIVE * size

    faults: list[str] = []
    tell = _Teller(plan.node_id, "Node {id} should exchange {value:.6g} kW in step {step}")
    faults += tell(np.abs(plan.import_kw - plan.export_kw - net) > slack, net, ", the plan differs")
    tell = _Teller(plan.node_id, "Node {id} imports {value:.6g} kW in step {step}")
    faults += tell(plan.import_kw < -ABSOLUTE, plan.import_kw, ", a negative power")
    at_once = (plan.import_kw > slack) & (plan.export_kw > slack)
    faults += tell(at_once, plan.import_kw, " and exports at once")
    tell = _Teller(plan.node_id, "Node {id} exports {value:.6g} kW in step {step}")
    faults += tell(plan.export_kw < -ABSOLUTE, plan.export_kw, ", a negative power")

    excess = np.fmax(
        np.fmax(net - nodes.import_limit_kw, -net - nodes.export_limit_kw), np.zeros(net.shape)
    )
    tell = _Teller(plan.node_id, "Node {id} is {value:.6g} kW beyond its limit in step {step}")
    faults += tell(np.abs(plan.over_limit_kw - excess) > slack, excess, ", the plan differs")
    return faults


def _rows(problem: Problem, plan: Plan) -> list[str]:
    if problem.rows is None or not problem.rows.id:
        return []
    rows = problem.rows
    total = np.zeros((len(rows.id), len(problem.step_h)))
    size = np.ones(total.shape)
    for part in _parts(plan):
        charge, discharge = _doubles(plan, part)
        power = charge - discharge
        total += rows.coefficient[:, part] @ power
        size += np.abs(rows.coefficient[:, part]) @ np.abs(power)
    excess = np.fmax(total - rows.bound_kw, 0.0)
    excess = np.where(np.isnan(rows.bound_kw), 0.0, excess)
    tell = _Teller(plan.row_id, "Row {id} is {value:.6g} kW beyond its bound in step {step}")
    wrong = np.abs(plan.row_over_kw - excess) > ABSOLUTE + RELATIVE * size
    return tell(wrong, excess, ", the plan differs")


def _money(problem: Problem, plan: Plan, arrival: _Arrivals) -> list[str]:
    """The objective from the stated flows (which are checked on their own) and the schedules."""
    visits, nodes, hours = problem.visits, problem.nodes, problem.step_h
    prices = penalties(problem)
    terms: list[float] = []
    for k in range(len(nodes.id)):
        bought, sold = plan.import_kw[k] * hours, plan.export_kw[k] * hours
        terms.append(float(np.nansum(nodes.import_price_eur_per_kwh[k] * bought)))
        terms.append(-float(np.nansum(nodes.export_price_eur_per_kwh[k] * sold)))
        highest = max(float(plan.import_kw[k].max()), float(nodes.peak_so_far_kw[k]))
        terms.append(float(nodes.demand_charge_eur_per_kw[k]) * highest)
        terms.append(prices.limit_eur_per_kwh * float((plan.over_limit_kw[k] * hours).sum()))
    step = np.arange(len(hours))
    for part in _parts(plan):
        stored = plan.charge_kw[part] * hours * visits.charge_efficiency[part, None]
        given = plan.discharge_kw[part] * hours
        gain = stored - given / visits.discharge_efficiency[part, None]
        left = arrival.energy[part] + gain.sum(axis=1)
        terms += (visits.wear_eur_per_kwh[part] * given.sum(axis=1)).tolist()
        worth = np.where(arrival.last[part], visits.value_eur_per_kwh[part], 0.0)
        terms += (-worth * left).tolist()
        terms += _dwell(problem, part, arrival.energy[part, None] + np.cumsum(gain, axis=1))
        terms += (prices.unmet_eur_per_kwh * plan.unmet_kwh[part]).tolist()
        short = np.flatnonzero(visits.energy_kwh[part] < visits.min_kwh[part])
        start, floor = visits.energy_kwh[part][short], visits.min_kwh[part][short]
        lacking = floor[:, None] - start[:, None] - np.cumsum(gain[short], axis=1)
        stay = (visits.arrive[part][short, None] <= step) & (
            step < visits.depart[part][short, None]
        )
        lost = np.where(stay, np.maximum(lacking, 0.0), 0.0) * hours
        terms += (prices.short_eur_per_kwh_h * lost.sum(axis=1)).tolist()
    terms += (prices.trip_eur_per_kwh * plan.trip_unmet_kwh).tolist()
    terms += _depth(problem, plan, arrival)
    if problem.rows is not None and problem.rows.id:
        terms.append(float(prices.row_eur_per_kwh @ (plan.row_over_kw @ hours)))
    cost = math.fsum(terms)
    slack = RELATIVE * math.fsum(map(abs, terms)) + ABSOLUTE

    faults = []
    if not abs(plan.objective_eur - cost) <= slack:
        faults.append(f"The schedules cost {cost:.6f}, the plan says {plan.objective_eur:.6f}.")
    if not plan.lower_bound_eur <= plan.objective_eur + slack:
        faults.append(
            f"The lower bound {plan.lower_bound_eur:.6f} is above the objective "
            f"{plan.objective_eur:.6f}."
        )
    if plan.lower_bound_eur == -np.inf:
        honest = plan.gap == np.inf
    else:
        distance = plan.objective_eur - plan.lower_bound_eur
        honest = plan.gap * max(abs(plan.lower_bound_eur), slack) >= distance - slack
    if not honest:
        faults.append(f"The gap {plan.gap:.3g} is smaller than objective and bound say.")
    return faults


def _dwell(problem: Problem, part: slice, energy: Floats) -> list[float]:
    """What holding these energies ``(n, T)`` [kWh] at the ends of the steps costs each visit [EUR]."""
    visits, hours = problem.visits, problem.step_h
    if visits.dwell_kwh is None or visits.dwell_eur_per_kwh_h is None:
        return []
    levels, slopes = visits.dwell_kwh[part], visits.dwell_eur_per_kwh_h[part]
    step = np.arange(len(hours))
    stay = (visits.arrive[part, None] <= step) & (step < visits.depart[part, None])
    cost = np.zeros(energy.shape)
    for b in range(levels.shape[1]):
        # how much of the energy lies between this level and the next, below the first it is negative
        lower = levels[:, b, None]
        upper = levels[:, b + 1, None] if b + 1 < levels.shape[1] else np.full(lower.shape, np.inf)
        held = np.fmin(energy, upper) - lower
        cost += np.nan_to_num(slopes[:, b, None] * (held if b == 0 else np.maximum(held, 0.0)))
    return (np.where(stay, cost, 0.0) @ hours).tolist()  # type: ignore[no-any-return]


def _depth(problem: Problem, plan: Plan, arrival: _Arrivals) -> list[float]:
    """What the cycles of each vehicle cost [EUR], its visits one after the other and closed."""
    visits, hours = problem.visits, problem.step_h
    if visits.depth_kwh is None or visits.depth_eur_per_kwh is None:
        return []
    following = {}
    if visits.after is not None:
        position = {name: i for i, name in enumerate(visits.id)}
        following = {position[name]: i for i, name in enumerate(visits.after) if name}
    costs = []
    for first in np.flatnonzero(~arrival.follows & ~np.isnan(visits.depth_kwh)).tolist():
        prices = visits.depth_eur_per_kwh[first]
        prices = prices[~np.isnan(prices)].tolist()
        width = float(visits.depth_kwh[first]) / len(prices)
        path: list[float] = []
        at: int | None = first
        while at is not None:
            path.append(float(arrival.energy[at]))
            for t in range(int(visits.arrive[at]), int(visits.depart[at])):
                stored = plan.charge_kw[at, t] * visits.charge_efficiency[at]
                drawn = plan.discharge_kw[at, t] / visits.discharge_efficiency[at]
                path.append(path[-1] + float((stored - drawn) * hours[t]))
            at = following.get(at)
        for bottom, top in _basins(path):
            cost, left = 0.0, top - bottom
            for price in prices[:-1]:
                cost += price * min(left, width)
                left = max(left - width, 0.0)
            costs.append(cost + prices[-1] * left)
    return costs


def _basins(path: list[float]) -> list[tuple[float, float]]:
    """The cycles of a closed path: its lows, each with the height at which it runs over.

    As water rises each low is a lake; where two meet, the one that is less deep ends, and its depth
    is that of a cycle of rainflow counting. The deepest ends at the top of all.
    """
    lake = list(range(len(path)))

    def find(at: int) -> int:
        while lake[at] != at:
            at = lake[at]
        return at

    wet: set[int] = set()
    cycles = []
    for at in sorted(range(len(path)), key=path.__getitem__):
        wet.add(at)
        for beside in ((at - 1) % len(path), (at + 1) % len(path)):
            if beside in wet and find(beside) != find(at):
                deep, flat = sorted((find(beside), find(at)), key=path.__getitem__)
                cycles.append((path[flat], path[at]))
                lake[flat] = deep
    return [*cycles, (min(path), max(path))]


class _Teller:
    """Makes one sentence of all places with one fault: the first, and how many more."""

    def __init__(self, names: tuple[str, ...], start: str) -> None:
        self._names = names
        self._start = start

    def __call__(self, wrong: Mask, values: Powers, end: str) -> list[str]:
        if not wrong.any():
            return []
        row, step = (int(position) for position in np.argwhere(wrong)[0])
        start = self._start.format(id=self._names[row], value=values[row, step], step=step)
        return [f"{start}{end}{_more(wrong)}."]


def _more(wrong: Mask) -> str:
    others = int(np.count_nonzero(wrong)) - 1
    return f" (and {others} more)" if others else ""
