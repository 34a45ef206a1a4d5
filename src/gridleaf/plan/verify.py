"""The independent check of a plan: everything again, from the schedules alone.

It shares nothing with the planners but the types and the penalties, which are part of the problem.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

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
    return [
        *next(filter(None, (_visits(problem, plan, part) for part in _parts(plan))), []),
        *_nodes(problem, plan),
        *_rows(problem, plan),
        *_money(problem, plan),
    ]


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
    for name, shape in expected.items():
        values = getattr(plan, name)
        if np.shape(values) != shape:
            faults.append(f"{name} has the shape {np.shape(values)}, not {shape}.")
        elif not np.isfinite(values).all():
            faults.append(f"{name} holds something that is not a finite number.")
    return faults


def _visits(problem: Problem, plan: Plan, part: slice) -> list[str]:
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

    start, floor, cap = visits.energy_kwh[part], visits.min_kwh[part], visits.max_kwh[part]
    stored = plan.charge_kw[part] * visits.charge_efficiency[part, None]
    drawn = plan.discharge_kw[part] / visits.discharge_efficiency[part, None]
    energy = start[:, None] + ((stored - drawn) * hours).cumsum(axis=1)
    moved = ((stored + drawn) * hours).sum(axis=1) + np.abs(start)
    slack = ABSOLUTE + RELATIVE * moved
    least, most_kwh = np.fmin(floor, start), np.fmax(cap, start)
    low = plugged & (energy < np.where(np.isnan(floor), -np.inf, least - slack)[:, None])
    high = plugged & (energy > np.where(np.isnan(cap), np.inf, most_kwh + slack)[:, None])
    tell = _Teller(names, "Visit {id} has {value:.6g} kWh after step {step}")
    faults += tell(low, energy, ", less than its minimum allows")
    faults += tell(high, energy, ", more than its maximum allows")

    target, told = visits.target_kwh[part], plan.unmet_kwh[part]
    missing = np.where(np.isnan(target), 0.0, np.fmax(target - energy[:, -1], 0.0))
    wrong = np.abs(told - missing) > slack + ABSOLUTE
    for i in np.flatnonzero(wrong)[:1]:
        faults.append(
            f"Visit {names[i]} leaves {missing[i]:.6g} kWh short of its target, the plan "
            f"says {told[i]:.6g} kWh{_more(wrong)}."
        )
    return faults


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


def _money(problem: Problem, plan: Plan) -> list[str]:
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
        left = visits.energy_kwh[part] + gain.sum(axis=1)
        terms += (visits.wear_eur_per_kwh[part] * given.sum(axis=1)).tolist()
        terms += (-visits.value_eur_per_kwh[part] * left).tolist()
        terms += (prices.unmet_eur_per_kwh * plan.unmet_kwh[part]).tolist()
        short = np.flatnonzero(visits.energy_kwh[part] < visits.min_kwh[part])
        start, floor = visits.energy_kwh[part][short], visits.min_kwh[part][short]
        lacking = floor[:, None] - start[:, None] - np.cumsum(gain[short], axis=1)
        stay = (visits.arrive[part][short, None] <= step) & (
            step < visits.depart[part][short, None]
        )
        lost = np.where(stay, np.maximum(lacking, 0.0), 0.0) * hours
        terms += (prices.short_eur_per_kwh_h * lost.sum(axis=1)).tolist()
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
