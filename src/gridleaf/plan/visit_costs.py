"""What each visit of a plan costs: its energy beside the life of its battery; and why it gives or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gridleaf.plan.cost import gained, meter_prices, parts
from gridleaf.plan.depth import depth_cost, slices
from gridleaf.plan.problem import Floats, Plan, Problem, by_step, filled, places
from gridleaf.plan.vehicles import chains, dwelling


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitCosts:
    """Columns ``(N,)``: energies at the grid side [kWh], and money.

    ``energy_eur`` counts every kWh at what one more costs at the meters of that step: the import price
    while they import, the export price while they export; what is discharged earns that. So a visit's cost
    depends on no order among the visits, and the sum is the bill but for loads, demand charges and steps in
    which the visits together turn import into export. ``wear_eur`` is of what is discharged,
    ``dwell_eur`` of the charge held, ``depth_eur`` of the depth of cycles, all of a vehicle at its first
    visit.
    """

    charged_kwh: Floats
    discharged_kwh: Floats
    energy_eur: Floats
    wear_eur: Floats
    dwell_eur: Floats
    depth_eur: Floats

    @property
    def life_eur(self) -> Floats:
        """What the battery loses, at its price [EUR]."""
        return self.wear_eur + self.dwell_eur + self.depth_eur


def visit_costs(problem: Problem, plan: Plan) -> VisitCosts:
    """What each visit of a plan of this problem costs."""
    visits, step_h = problem.visits, problem.step_h
    place, step, chain = places(problem), np.arange(len(step_h)), chains(visits)
    prices = meter_prices(problem.nodes, plan.export_kw)
    holding, deep, count = dwelling(visits), visits.depth_kwh is not None, len(visits.id)
    taken = plan.trip_unmet_kwh if plan.trip_unmet_kwh.size else np.zeros(count)
    charged, discharged, energy_eur, dwell, left = np.zeros((5, count))
    start, levels = np.zeros(count if deep else 0), np.zeros((count if deep else 0, len(step_h)))
    for some in parts(chain):
        charge = plan.charge_kw[some].astype(np.float64)
        discharge = plan.discharge_kw[some].astype(np.float64)
        charged[some], discharged[some] = charge @ step_h, discharge @ step_h
        energy_eur[some] = ((charge - discharge) * prices[place[some]]) @ step_h
        before = chain.before[some]
        brought = np.where(before >= 0, left[before] - chain.trip[some], visits.energy_kwh[some])
        begin = brought + taken[some]
        held = begin[:, None] + gained(problem, some, charge, discharge)
        left[some] = held[:, -1]
        if deep:
            start[some], levels[some] = begin, held
        stay = (step >= visits.arrive[some, None]) & (step < visits.depart[some, None])
        dwell[some] = np.where(stay, holding.of(some).cost(held), 0.0) @ step_h
    return VisitCosts(
        charged_kwh=charged,
        discharged_kwh=discharged,
        energy_eur=energy_eur,
        wear_eur=visits.wear_eur_per_kwh * discharged,
        dwell_eur=dwell,
        depth_eur=depth_cost(problem, chain, start, levels) if deep else np.zeros(count),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """What giving a kWh back would earn each visit at best, and what it wears ``(N,)`` [EUR/kWh].

    ``spread`` compares the steps of the stay by the plan's prices at the node, with what limits and demand
    charges make of them: the dearest less the cheapest, losses of both ways taken off. NaN where the
    visit cannot trade. ``wear`` is that of the first kWh.
    """

    spread: Floats
    wear: Floats


def best_trade(problem: Problem, plan: Plan) -> Trade:
    """The best trade of each visit in a plan of this problem."""
    visits, steps = problem.visits, len(problem.step_h)
    place, step, chain = places(problem), np.arange(steps), chains(problem.visits)
    round_trip = visits.charge_efficiency * visits.discharge_efficiency
    spread = np.full(len(visits.id), np.nan)
    for some in parts(chain):
        stay = (step >= visits.arrive[some, None]) & (step < visits.depart[some, None])
        into = stay & (by_step(visits.charge_kw[some], steps) > 0)
        out_of = stay & (by_step(visits.discharge_kw[some], steps) > 0)
        worth = plan.shadow_price_eur_per_kwh[place[some]]
        dearest = np.where(out_of, worth, -np.inf).max(axis=1, initial=-np.inf)
        cheapest = np.where(into, worth, np.inf).min(axis=1, initial=np.inf)
        found = dearest - cheapest / round_trip[some]
        spread[some] = np.where(np.isfinite(found), found, np.nan)
    _, price = slices(visits)
    deep = filled(price[:, :1], 0.0).sum(axis=1) / visits.discharge_efficiency
    return Trade(spread=spread, wear=visits.wear_eur_per_kwh + deep)
