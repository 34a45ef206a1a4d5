"""What schedules cost: the objective, term by term, computed from the schedules alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gridleaf.plan.depth import depth_cost
from gridleaf.plan.problem import (
    Floats,
    Ints,
    Nodes,
    Penalties,
    Plan,
    Powers,
    Problem,
    filled,
    from_the_roots,
    parents,
    penalties,
    places,
)
from gridleaf.plan.vehicles import Chains, chains, dwelling

NOTHING = 1e-6
"""Less than this is rounding: not unmet [kWh], not beyond a limit [kW]."""
PART = 50_000
"""Visits reckoned together, so that memory does not grow with their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The flows that follow from schedules, and their cost.

    ``import_kw``, ``export_kw``, ``over_limit_kw`` ``(K, T)``, ``row_over_kw`` ``(M, T)``,
    ``unmet_kwh`` and ``trip_unmet_kwh`` ``(N,)``; ``energy_eur`` and ``demand_eur`` ``(K,)``.
    ``value_eur`` is earned, everything else is paid.
    """

    import_kw: Floats
    export_kw: Floats
    over_limit_kw: Floats
    row_over_kw: Floats
    unmet_kwh: Floats
    trip_unmet_kwh: Floats
    energy_eur: Floats
    demand_eur: Floats
    wear_eur: float
    dwell_eur: float
    value_eur: float
    penalty_eur: float
    turnover_eur: float
    """All terms without their signs: what a difference in the objective is small against."""

    @property
    def objective_eur(self) -> float:
        """The objective [EUR]."""
        money = float(self.energy_eur.sum() + self.demand_eur.sum())
        return money + self.wear_eur + self.dwell_eur - self.value_eur + self.penalty_eur


def bill(
    problem: Problem,
    charge_kw: Powers,
    discharge_kw: Powers,
    prices: Penalties | None = None,
    *,
    trip_unmet_kwh: Floats | None = None,
) -> Bill:
    """The cost of schedules ``(N, T)`` [kW] that are zero outside the windows.

    ``trip_unmet_kwh`` ``(N,)`` is taken in on the way to each visit; when absent, the least that keeps
    the battery above its floor.
    """
    prices = penalties(problem) if prices is None else prices
    visits, step_h = problem.visits, problem.step_h
    place, step, chain = places(problem), np.arange(len(step_h)), chains(visits)
    holding, deep = dwelling(visits), visits.depth_kwh is not None
    costs = holding.costs
    node_kw = np.zeros(problem.nodes.load_kw.shape)
    row_kw = np.zeros((0 if problem.rows is None else len(problem.rows.id), len(step_h)))
    count = len(visits.id)
    left, taken = np.zeros(count), np.zeros(count)
    told = trip_unmet_kwh is not None and visits.after is not None
    if told:
        taken[:] = trip_unmet_kwh
    start, levels = np.zeros(count if deep else 0), np.zeros((count if deep else 0, len(step_h)))
    short, wear, dwell = 0.0, 0.0, 0.0
    for some in parts(chain):
        charge, discharge = (power[some].astype(np.float64) for power in (charge_kw, discharge_kw))
        power = charge - discharge
        np.add.at(node_kw, place[some], power)
        if problem.rows is not None:
            row_kw += problem.rows.coefficient[:, some] @ power
        wear += float(visits.wear_eur_per_kwh[some] @ (discharge @ step_h))
        energy = gained(problem, some, charge, discharge)
        follows = chain.before[some] >= 0
        brought = np.where(
            follows, left[chain.before[some]] - chain.trip[some], visits.energy_kwh[some]
        )
        if not told:
            lowest = brought + energy.min(axis=1).clip(max=0.0)
            taken[some] = np.where(follows, np.maximum(chain.floor[some] - lowest, 0.0), 0.0)
        begin = brought + taken[some]
        energy += begin[:, None]
        left[some] = energy[:, -1]
        if deep:
            start[some], levels[some] = begin, energy
        stay = (step >= visits.arrive[some, None]) & (step < visits.depart[some, None])
        low = visits.energy_kwh[some] < visits.min_kwh[some]
        below = np.maximum(visits.min_kwh[some][low, None] - energy[low], 0.0)
        short += float((np.where(stay[low], below, 0.0) @ step_h).sum())
        if costs[some].any():
            held = holding.of(some).cost(energy)
            dwell += float((np.where(stay, held, 0.0) @ step_h).sum())
    if deep:
        wear += float(depth_cost(problem, chain, start, levels).sum())
    value = np.where(chain.after < 0, visits.value_eur_per_kwh * left, 0.0)
    return settled(
        problem,
        prices,
        node_kw=_with_what_is_below(problem, node_kw),
        row_kw=row_kw,
        unmet_kwh=filled(visits.target_kwh, -np.inf) - left,
        trip_unmet_kwh=np.zeros(0) if visits.after is None else taken,
        short_kwh_h=short,
        dwell_eur=dwell,
        wear_eur=wear,
        value_eur=float(value.sum()),
        value_turnover_eur=float(np.abs(value).sum()),
    )


def gained(problem: Problem, some: Ints, charge_kw: Floats, discharge_kw: Floats) -> Floats:
    """What visits ``some`` have gained since arrival at the end of each step ``(n, T)`` [kWh].

    Overwrites the powers.
    """
    charge_kw *= problem.visits.charge_efficiency[some, None]
    discharge_kw /= problem.visits.discharge_efficiency[some, None]
    return np.cumsum((charge_kw - discharge_kw) * problem.step_h, axis=1)


def meter_prices(nodes: Nodes, export_kw: Floats) -> Floats:
    """What one more kWh at each node costs at the meters of it and all above it ``(K, T)``."""
    price = np.where(
        export_kw > 0,
        filled(nodes.export_price_eur_per_kwh, 0.0),
        filled(nodes.import_price_eur_per_kwh, 0.0),
    )
    parent = parents(nodes)
    for k in from_the_roots(parent):
        if parent[k] >= 0:
            price[k] += price[parent[k]]
    return price


def parts(chain: Chains) -> Iterator[Ints]:
    """The visits, some at a time, every one after those that it follows."""
    for wave in (chain.first, *chain.waves):
        for start in range(0, len(wave), PART):
            yield wave[start : start + PART]


def settled(
    problem: Problem,
    prices: Penalties,
    *,
    node_kw: Floats,
    row_kw: Floats,
    unmet_kwh: Floats,
    trip_unmet_kwh: Floats,
    short_kwh_h: float,
    dwell_eur: float,
    wear_eur: float,
    value_eur: float,
    value_turnover_eur: float,
) -> Bill:
    """The bill of what the visits below each node ``(K, T)`` and in each row ``(M, T)`` draw together.

    ``unmet_kwh`` ``(N,)`` may be negative where more than the target is there; ``trip_unmet_kwh`` is empty
    where no visit follows another; ``short_kwh_h`` is what all lack to their minimum, hour by hour.
    """
    nodes, step_h = problem.nodes, problem.step_h
    unmet, taken = _positive(unmet_kwh), _positive(trip_unmet_kwh)
    net = nodes.load_kw + node_kw
    imports, exports = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    limit_in = filled(nodes.import_limit_kw, np.inf)
    limit_out = filled(nodes.export_limit_kw, np.inf)
    over = _positive(np.maximum(imports - limit_in, exports - limit_out))
    paid = filled(nodes.import_price_eur_per_kwh, 0.0) * imports * step_h
    earned = filled(nodes.export_price_eur_per_kwh, 0.0) * exports * step_h
    peak = np.maximum(imports.max(axis=1, initial=0.0), nodes.peak_so_far_kw)
    demand = nodes.demand_charge_eur_per_kw * peak
    row_over = np.zeros((0, len(step_h)))
    if problem.rows is not None:
        row_over = _positive(row_kw - filled(problem.rows.bound_kw, np.inf))
    penalty = (
        prices.unmet_eur_per_kwh * float(unmet.sum())
        + prices.trip_eur_per_kwh * float(taken.sum())
        + prices.short_eur_per_kwh_h * short_kwh_h
        + prices.limit_eur_per_kwh * float((over @ step_h).sum())
        + float(prices.row_eur_per_kwh @ (row_over @ step_h))
    )
    return Bill(
        import_kw=imports,
        export_kw=exports,
        over_limit_kw=over,
        row_over_kw=row_over,
        unmet_kwh=unmet,
        trip_unmet_kwh=taken,
        energy_eur=(paid - earned).sum(axis=1),
        demand_eur=demand,
        wear_eur=wear_eur,
        dwell_eur=dwell_eur,
        value_eur=value_eur,
        penalty_eur=penalty,
        turnover_eur=float(
            np.abs(paid).sum()
            + np.abs(earned).sum()
            + demand.sum()
            + wear_eur
            + abs(dwell_eur)
            + value_turnover_eur
            + penalty
        ),
    )


def relative_gap(objective_eur: float, lower_bound_eur: float, turnover_eur: float) -> float:
    """How far the objective may be from the optimum, relative to the bound [-].

    Where gains and costs nearly cancel, the bound is no measure of anything; the distance is then
    relative to a millionth of what was turned over. Less than 1e-12 EUR is rounding.
    """
    if not np.isfinite(lower_bound_eur):
        return float("inf")
    distance = objective_eur - lower_bound_eur
    if distance < 1e-12:
        return 0.0
    return distance / max(abs(lower_bound_eur), 1e-6 * turnover_eur, 1e-9)


def finish(
    problem: Problem,
    result: Bill,
    *,
    method: str,
    charge_kw: Powers,
    discharge_kw: Powers,
    lower_bound_eur: float,
    shadow_price_eur_per_kwh: Floats,
    notes: Sequence[str],
    seconds: float,
) -> Plan:
    """The plan of these schedules; what they could not do is added to the notes."""
    objective = result.objective_eur
    bound = min(lower_bound_eur, objective)
    notes = list(notes)
    missing = np.count_nonzero(result.unmet_kwh)
    if missing:
        notes.append(
            f"{missing} of {len(result.unmet_kwh)} visits miss the target, "
            f"by {result.unmet_kwh.sum():.2f} kWh together"
        )
    if result.trip_unmet_kwh.any():
        notes.append(
            f"{np.count_nonzero(result.trip_unmet_kwh)} trips need more than there is, "
            f"by {result.trip_unmet_kwh.sum():.2f} kWh together"
        )
    if result.over_limit_kw.any():
        notes.append(f"a limit is exceeded, by up to {result.over_limit_kw.max():.2f} kW")
    if result.row_over_kw.any():
        notes.append(f"a further row is exceeded, by up to {result.row_over_kw.max():.2f} kW")
    return Plan(
        method=method,
        objective_eur=objective,
        lower_bound_eur=bound,
        gap=relative_gap(objective, bound, result.turnover_eur),
        seconds=seconds,
        visit_id=problem.visits.id,
        charge_kw=charge_kw,
        discharge_kw=discharge_kw,
        unmet_kwh=result.unmet_kwh,
        node_id=problem.nodes.id,
        import_kw=result.import_kw,
        export_kw=result.export_kw,
        over_limit_kw=result.over_limit_kw,
        shadow_price_eur_per_kwh=shadow_price_eur_per_kwh,
        row_id=() if problem.rows is None else problem.rows.id,
        row_over_kw=result.row_over_kw,
        trip_unmet_kwh=result.trip_unmet_kwh,
        notes=tuple(notes),
    )


def _with_what_is_below(problem: Problem, own_kw: Floats) -> Floats:
    """What flows through each node ``(K, T)``, from what the visits at it draw."""
    parent = parents(problem.nodes)
    flow = own_kw.copy()
    for k in reversed(from_the_roots(parent)):
        if parent[k] >= 0:
            flow[parent[k]] += flow[k]
    return flow


def _positive(excess: Floats) -> Floats:
    return np.where(excess > NOTHING, excess, 0.0)
