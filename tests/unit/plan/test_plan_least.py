"""Least powers: a power is 0 or at least that, and not both ways at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_problems import small

from gridleaf.bench.instances import depot, fleet, with_least_powers
from gridleaf.domain.errors import ProblemError
from gridleaf.plan import check, fallback, solve, verify
from gridleaf.plan.fleet import solve_fleet


def test_the_last_kwh_are_charged_with_the_least_power() -> None:
    # 12 kWh wanted: 10 in the cheapest hour, and 6 rather than 2 in the next
    plan = solve(small({"target_kwh": [22], "min_charge_kw": [6]}))
    assert plan.charge_kw[0].tolist() == pytest.approx([0, 6, 6, 0])
    more = solve(small({"target_kwh": [25], "min_charge_kw": [6], "max_kwh": [25]}))
    assert more.charge_kw[0].tolist() == pytest.approx([0, 9, 6, 0])
    free = solve(small({"target_kwh": [22]}))
    assert free.charge_kw[0].tolist() == pytest.approx([0, 10, 2, 0])


@pytest.mark.parametrize("method", ["exact", "fleet"])
def test_a_charger_that_knows_only_on_and_off_is_planned(method: Any) -> None:
    problem = small({"target_kwh": [28], "min_charge_kw": [10]})
    plan = solve(problem, method=method)
    assert plan.charge_kw[0].tolist() == pytest.approx([0, 10, 10, 0])
    assert verify(problem, plan) == []


@pytest.mark.parametrize("planner", [solve, solve_fleet, fallback])
def test_a_step_that_cannot_give_the_least_power_has_none(planner: Any) -> None:
    problem = small({"charge_kw": [[10, 5, 10, 10]], "min_charge_kw": [6], "target_kwh": [20]})
    plan = planner(problem)
    assert plan.charge_kw[0, 1] == 0
    assert plan.unmet_kwh[0] == pytest.approx(0)
    assert verify(problem, plan) == []


def test_a_limit_below_the_least_power_leaves_nothing() -> None:
    problem = small({"min_charge_kw": [6], "target_kwh": [20]}, {"import_limit_kw": [[5, 5, 5, 5]]})
    for planner in (solve, solve_fleet, fallback):
        plan = planner(problem)
        assert not plan.charge_kw.any()
        assert plan.unmet_kwh[0] == pytest.approx(10)


def test_no_vehicle_charges_and_discharges_at_once_even_where_losses_pay() -> None:
    visits = {"discharge_kw": [10], "charge_efficiency": [0.8], "max_kwh": [10]}
    paid = {"import_price_eur_per_kwh": [[-0.3] * 4], "export_price_eur_per_kwh": [[-0.3] * 4]}
    free = solve(small(visits, paid))
    assert ((free.charge_kw > 1) & (free.discharge_kw > 1)).any()
    for planner in (solve, solve_fleet):
        problem = small(visits | {"min_discharge_kw": [1]}, paid)
        plan = planner(problem)
        assert not ((plan.charge_kw > 0) & (plan.discharge_kw > 0)).any()
        assert verify(problem, plan) == []


def test_none_and_nothing_are_no_least_power() -> None:
    free = solve(small({"target_kwh": [22]}))
    for least in (0, None):
        plan = solve(small({"target_kwh": [22], "min_charge_kw": [least]}))
        assert plan.objective_eur == free.objective_eur
        assert plan.notes == ()


def test_the_fleet_method_says_what_least_powers_cost() -> None:
    problem = with_least_powers(fleet(1000, "full"), 0.3)
    plan, free = solve_fleet(problem), solve_fleet(fleet(1000, "full"))
    assert verify(problem, plan) == []
    assert plan.lower_bound_eur == pytest.approx(free.lower_bound_eur, rel=1e-4)
    assert plan.gap < 0.02
    assert plan.unmet_kwh.sum() < 0.1
    assert any(note.startswith("keeping the least powers cost") for note in plan.notes)


def test_a_small_depot_is_searched_and_ends_at_the_gap() -> None:
    problem = with_least_powers(depot(8, step_h=np.full(24, 0.5), circuits=0, phases=False), 0.4)
    plan = solve(problem, gap=1e-3)
    assert plan.method == "exact"
    assert plan.gap <= 1.01e-3
    assert any("solved with integers" in note for note in plan.notes)
    assert verify(problem, plan) == []
    assert solve_fleet(problem).objective_eur >= plan.lower_bound_eur


@pytest.mark.parametrize("name", ["min_charge_kw", "min_discharge_kw"])
def test_a_least_power_below_0_is_refused(name: str) -> None:
    problem = small()
    visits = replace(problem.visits, **{name: np.array([-1.0])})
    with pytest.raises(ProblemError, match=rf"visits\.{name}\[0\]: must be at least 0"):
        check(replace(problem, visits=visits))
