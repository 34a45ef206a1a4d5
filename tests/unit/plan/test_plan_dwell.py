"""The cost of charge level: holding energy costs something while plugged in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_problems import small

from gridleaf.domain.errors import ProblemError
from gridleaf.plan import Problem, bill, check, solve, verify
from gridleaf.plan.fleet import solve_fleet

NAN = float("nan")


def priced(levels: Any, slopes: Any, **visits: Any) -> Problem:
    return small(visits | {"dwell_kwh": [levels], "dwell_eur_per_kwh_h": [slopes]})


def test_a_full_battery_waits_for_the_last_hour_where_holding_energy_is_dear() -> None:
    # the third hour is 0.1 dearer than the second; the charge of an hour less costs 0.2 a kWh to hold
    plan = solve(priced([10], [0.2], target_kwh=[20], depart=[3]))
    assert plan.charge_kw[0].tolist() == pytest.approx([0, 0, 10, 0])
    assert plan.objective_eur == pytest.approx(10 * 0.2 + 10 * 0.2)
    cheap = solve(priced([10], [0.05], target_kwh=[20], depart=[3]))
    assert cheap.charge_kw[0].tolist() == pytest.approx([0, 10, 0, 0])
    assert cheap.objective_eur == pytest.approx(10 * 0.1 + 2 * 10 * 0.05)


def test_only_what_is_above_a_level_costs_its_slope() -> None:
    problem = priced([10, 15], [0.0, 0.5], target_kwh=[20], depart=[3])
    plan = solve(problem)
    assert plan.charge_kw[0].tolist() == pytest.approx([0, 5, 5, 0])
    costs = bill(problem, plan.charge_kw, plan.discharge_kw)
    assert costs.dwell_eur == pytest.approx(5 * 0.5)
    assert plan.objective_eur == pytest.approx(5 * 0.1 + 5 * 0.2 + costs.dwell_eur)


def test_cells_that_age_faster_when_empty_are_filled_at_once() -> None:
    plan = solve(priced([10, 20], [-0.3, 0.0], target_kwh=[20]))
    assert plan.charge_kw[0].tolist() == pytest.approx([10, 0, 0, 0])
    assert plan.objective_eur == pytest.approx(10 * 0.3 - 4 * 10 * 0.3)
    # below the first level its slope goes on
    low = solve(priced([20, 30], [-0.3, 0.0], target_kwh=[20], charge_kw=[0], depart=[1]))
    assert low.unmet_kwh[0] == pytest.approx(10)
    problem = priced([20, 30], [-0.3, 0.0], charge_kw=[0])
    assert solve(problem).objective_eur == pytest.approx(4 * 10 * 0.3)


def test_it_is_no_penalty_and_counts_in_every_step_of_the_stay_alone() -> None:
    problem = priced([0], [0.01], arrive=[1], depart=[3], charge_kw=[0])
    costs = bill(problem, np.zeros((1, 4)), np.zeros((1, 4)))
    assert costs.dwell_eur == pytest.approx(2 * 10 * 0.01)
    assert costs.penalty_eur == 0


@pytest.mark.parametrize("method", ["exact", "fleet"])
def test_slopes_of_nothing_are_no_cost(method: Any) -> None:
    free = small({"target_kwh": [25], "discharge_kw": [5]})
    plan = solve(free, method=method)
    for levels, slopes in (([5, 20], [0, 0]), ([None, None], [None, None]), ([], []), ([10], [0])):
        again = solve(priced(levels, slopes, target_kwh=[25], discharge_kw=[5]), method=method)
        assert again.objective_eur == plan.objective_eur


def test_levels_at_the_edges_of_the_battery_change_nothing() -> None:
    both = {"min_kwh": [5], "max_kwh": [30], "target_kwh": [30], "discharge_kw": [5]}
    within = priced([5, 20], [-0.01, 0.02], **both)
    edges = priced([5, 20, 30], [-0.01, 0.02, 7], **both)
    for method in (solve, solve_fleet):
        expected = method(within).objective_eur
        assert method(edges).objective_eur == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("columns", "path", "reason"),
    [
        ({"dwell_kwh": [[1, 2]]}, "dwell_eur_per_kwh_h", "missing"),
        ({"dwell_kwh": [[2, 1]]}, "dwell_kwh[0][1]", "above the level before"),
        ({"dwell_kwh": [[1, 1]]}, "dwell_kwh[0][1]", "above the level before"),
        ({"dwell_eur_per_kwh_h": [[2, 1]]}, "dwell_eur_per_kwh_h[0][1]", "no less"),
        ({"dwell_eur_per_kwh_h": [[2, NAN]]}, "dwell_eur_per_kwh_h[0][1]", "together"),
        ({"dwell_eur_per_kwh_h": [[2, 3, 4]]}, "dwell_eur_per_kwh_h", "shape (1, 2)"),
        ({"dwell_kwh": [[NAN, 2]]}, "dwell_eur_per_kwh_h[0][0]", "together"),
        (
            {"dwell_kwh": [[NAN, 2]], "dwell_eur_per_kwh_h": [[NAN, 2]]},
            "dwell_kwh[0][1]",
            "follows a level that is none",
        ),
        ({"dwell_kwh": [[1, np.inf]]}, "dwell_kwh[0][1]", "finite"),
    ],
)
def test_what_is_not_convex_or_not_whole_is_refused(
    columns: dict[str, Any], path: str, reason: str
) -> None:
    problem = small()
    good = {"dwell_kwh": [[1, 2]], "dwell_eur_per_kwh_h": [[0, 1]]} | columns
    if reason == "missing":
        good["dwell_eur_per_kwh_h"] = None
    arrays = {name: None if c is None else np.array(c, dtype=float) for name, c in good.items()}
    with pytest.raises(ProblemError) as error:
        check(replace(problem, visits=replace(problem.visits, **arrays)))
    assert error.value.path == f"visits.{path}"
    assert reason in error.value.reason


def test_both_methods_agree_on_a_level_below_the_reserve() -> None:
    problem = priced(
        [4, 8, 20], [-0.05, 0.01, 0.03],
        energy_kwh=[5], min_kwh=[9], target_kwh=[25], discharge_kw=[5], charge_kw=[3],
    )  # fmt: skip
    exact, fleet = solve(problem), solve_fleet(problem, gap=1e-8)
    assert fleet.objective_eur == pytest.approx(exact.objective_eur, rel=1e-7)
    assert verify(problem, exact) == verify(problem, fleet) == []
