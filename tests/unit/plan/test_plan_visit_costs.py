"""What each visit of a plan costs: energy beside life."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_problems import small

from gridleaf.bench.instances import fleet
from gridleaf.plan import Plan, Problem, best_trade, bill, fallback, solve, visit_costs

HELD = {"dwell_kwh": [[5, 12]] * 2, "dwell_eur_per_kwh_h": [[0.001, 0.004]] * 2}
TWICE = {
    "id": ["first", "second"],
    "node": ["site", "site"],
    "arrive": [0, 2],
    "depart": [2, 4],
    "energy_kwh": [14, None],
    "target_kwh": [None, 14],
    "min_kwh": [0, 0],
    "max_kwh": [20, 20],
    "charge_kw": [10, 10],
    "discharge_kw": [10, 10],
    "charge_efficiency": [0.9, 0.9],
    "discharge_efficiency": [0.9, 0.9],
    "wear_eur_per_kwh": [0.01, 0.02],
    "after": ["", "first"],
    "trip_kwh": [0, 6],
}
LOAD = {"load_kw": [30]}
"""Whatever a car gives back is used at the site."""


def with_powers(problem: Problem, charge_kw: list[float], discharge_kw: list[float]) -> Plan:
    charge, discharge = np.array([charge_kw]), np.array([discharge_kw])
    export = bill(problem, charge, discharge).export_kw
    return replace(fallback(problem), charge_kw=charge, discharge_kw=discharge, export_kw=export)


def test_a_kwh_counts_at_what_one_more_costs_at_the_meter_in_its_step() -> None:
    """The third hour is one of export: what is given then earns the export price."""
    problem = small(
        {"discharge_kw": [10], "wear_eur_per_kwh": [0.05]},
        {"load_kw": [[1, 1, 1, -1]], "export_price_eur_per_kwh": [0.15]},
    )
    costs = visit_costs(problem, with_powers(problem, [10.0, 5.0, 0.0, 0.5], [0.0, 2.0, 3.0, 0.0]))
    assert costs.charged_kwh.tolist() == [15.5]
    assert costs.discharged_kwh.tolist() == [5.0]
    paid = 10 * 0.3 + (5 - 2) * 0.1 - 3 * 0.15 + 0.5 * 0.15
    assert costs.energy_eur.tolist() == pytest.approx([paid])
    assert costs.life_eur.tolist() == pytest.approx([5 * 0.05])


def test_every_meter_above_a_vehicle_bills_its_energy() -> None:
    problem = small(
        {"node": ["row"]},
        {
            "id": ["row", "site"],
            "parent": ["site", ""],
            "import_price_eur_per_kwh": [[0.01] * 4, [0.3, 0.1, 0.2, 0.4]],
        },
    )
    costs = visit_costs(problem, with_powers(problem, [1.0, 0.0, 0.0, 0.0], [0.0] * 4))
    assert costs.energy_eur.tolist() == pytest.approx([0.31])


@pytest.mark.parametrize(
    "problem",
    [
        small(TWICE | HELD, LOAD),
        small(TWICE | HELD | {"trip_kwh": [0, 60]}),
        small(TWICE | {"depth_kwh": [20, 20], "depth_eur_per_kwh": [[0.01, 0.05]] * 2}, LOAD),
        fleet(30),
    ],
    ids=["held", "trip out of reach", "depth", "fleet"],
)
def test_what_the_visits_cost_is_what_the_bill_says(problem: Problem) -> None:
    plan = solve(problem)
    costs = visit_costs(problem, plan)
    told = plan.trip_unmet_kwh if plan.trip_unmet_kwh.size else None
    all_of_them = bill(problem, plan.charge_kw, plan.discharge_kw, trip_unmet_kwh=told)
    assert costs.dwell_eur.sum() == pytest.approx(all_of_them.dwell_eur)
    assert (costs.wear_eur + costs.depth_eur).sum() == pytest.approx(all_of_them.wear_eur)
    assert costs.life_eur.sum() > 0


def test_energy_of_visits_and_loads_is_the_bill_while_nothing_is_exported() -> None:
    problem = small(TWICE | HELD, LOAD)
    plan = solve(problem)
    assert plan.discharge_kw.any()
    assert not plan.export_kw.any()
    whole = bill(problem, plan.charge_kw, plan.discharge_kw).energy_eur.sum()
    nobody = np.zeros_like(plan.charge_kw)
    of_loads = bill(problem, nobody, nobody).energy_eur.sum()
    found = visit_costs(problem, plan).energy_eur.sum()
    assert found == pytest.approx(float(whole - of_loads))


def test_the_best_spread_lies_within_the_stay_and_pays_for_the_losses() -> None:
    """Prices are 0.3, 0.1, 0.2, 0.4; the stay ends before the last one."""
    car = {
        "depart": [3],
        "discharge_kw": [10],
        "charge_efficiency": [0.9],
        "discharge_efficiency": [0.8],
        "wear_eur_per_kwh": [0.02],
        "depth_kwh": [20],
        "depth_eur_per_kwh": [[0.01, 0.05]],
    }
    problem = small(car, LOAD)
    trade = best_trade(problem, fallback(problem))
    assert trade.spread.tolist() == pytest.approx([0.3 - 0.1 / 0.72])
    assert trade.wear.tolist() == pytest.approx([0.02 + 0.01 / 0.8])
    alone = small(car | {"discharge_kw": [0]}, LOAD)
    assert np.isnan(best_trade(alone, fallback(alone)).spread).all()
