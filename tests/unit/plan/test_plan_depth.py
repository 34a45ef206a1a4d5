from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_problems import small

from gridleaf.bench.instances import fleet
from gridleaf.domain.errors import PlanningFailed, ProblemError
from gridleaf.plan import Problem, check, read_problem, solve, verify, write_problem

NAN = float("nan")
TRADE = {
    "import_price_eur_per_kwh": [[0.1, 0.5, 0.1, 0.5]],
    "export_price_eur_per_kwh": [[0.1, 0.5, 0.1, 0.5]],
}


def trading(depth_eur_per_kwh: list[float], **visits: object) -> Problem:
    """A car that may sell dear and buy cheap twice, with a range of 20 kWh in slices."""
    car = {"discharge_kw": [10], "target_kwh": [10], "depth_kwh": [20]}
    return small(car | {"depth_eur_per_kwh": [depth_eur_per_kwh]} | visits, TRADE)


def test_a_deep_cycle_costs_more_for_each_kwh_than_a_shallow_one() -> None:
    plan = solve(trading([0.1, 0.3]))
    # two cycles of 10 kWh lie in the first slice: 0.4 is earned by each kWh, 0.1 is worn
    assert plan.discharge_kw[0].tolist() == pytest.approx([0, 10, 0, 10])
    assert plan.objective_eur == pytest.approx(20 * (-0.4 + 0.1))


def test_only_the_slices_that_pay_are_used() -> None:
    plan = solve(trading([0.1, 0.5], depth_kwh=[12]))
    assert plan.discharge_kw[0].tolist() == pytest.approx([0, 6, 0, 6])


def test_what_is_deeper_than_all_slices_costs_as_much_as_the_last() -> None:
    plan = solve(trading([0.1, 0.3], depth_kwh=[4]))
    assert plan.objective_eur == pytest.approx(-20 * 0.4 + 2 * (2 * 0.1 + 8 * 0.3))


def test_charging_for_the_road_is_a_cycle_that_the_drive_closes() -> None:
    visits = {"target_kwh": [25], "depth_kwh": [10], "depth_eur_per_kwh": [[0.01, 0.02]]}
    with_price, without = solve(small(visits)), solve(small({"target_kwh": [25]}))
    assert with_price.charge_kw.tolist() == without.charge_kw.tolist()
    worn = with_price.objective_eur - without.objective_eur
    assert worn == pytest.approx(5 * 0.01 + 10 * 0.02)


def test_two_visits_of_a_vehicle_are_one_day() -> None:
    both = {
        "id": ["morning", "evening"],
        "node": ["site", "site"],
        "arrive": [0, 2],
        "depart": [2, 4],
        "after": ["", "morning"],
        "trip_kwh": [None, 5],
        "energy_kwh": [20, None],
        "target_kwh": [20, 20],
        "max_kwh": [20, 20],
        "charge_kw": [10, 10],
        "depth_kwh": [10, 10],
        "depth_eur_per_kwh": [[0.01, 0.03], [0.01, 0.03]],
    }
    problem = small(both)
    plan = solve(problem)
    free = solve(
        replace(problem, visits=replace(problem.visits, depth_kwh=None, depth_eur_per_kwh=None))
    )
    assert plan.objective_eur - free.objective_eur == pytest.approx(5 * 0.01)
    assert verify(problem, plan) == []


@pytest.mark.parametrize(
    ("columns", "path", "reason"),
    [
        ({"depth_kwh": None}, "visits.depth_kwh", "go together"),
        ({"depth_kwh": np.zeros(1)}, "visits.depth_kwh[0]", "above 0"),
        ({"depth_kwh": np.full(1, NAN)}, "visits.depth_kwh[0]", "goes with its prices"),
        (
            {"depth_eur_per_kwh": np.array([[0.2, 0.1]])},
            "visits.depth_eur_per_kwh[0][1]",
            "no less",
        ),
        (
            {"depth_eur_per_kwh": np.array([[NAN, 0.1]])},
            "visits.depth_eur_per_kwh[0][0]",
            "comes before",
        ),
        (
            {"depth_eur_per_kwh": np.array([[-0.1, 0.1]])},
            "visits.depth_eur_per_kwh[0][0]",
            "at least 0",
        ),
    ],
)
def test_slices_that_make_no_sense_are_refused(
    columns: dict[str, object], path: str, reason: str
) -> None:
    problem = trading([0.1, 0.3])
    with pytest.raises(ProblemError) as error:
        check(replace(problem, visits=replace(problem.visits, **columns)))  # type: ignore[arg-type]
    assert error.value.path == path
    assert reason in error.value.reason


@pytest.mark.parametrize("kind", ["json", "npz"])
def test_slices_survive_a_file(tmp_path: Path, kind: str) -> None:
    problem = trading([0.1, 0.3])
    write_problem(problem, tmp_path / f"problem.{kind}")
    again = read_problem(tmp_path / f"problem.{kind}").visits
    np.testing.assert_array_equal(again.depth_kwh, problem.visits.depth_kwh)
    np.testing.assert_array_equal(again.depth_eur_per_kwh, problem.visits.depth_eur_per_kwh)


def test_the_fleet_method_leaves_depth_to_the_exact_one() -> None:
    with pytest.raises(PlanningFailed, match="depth of cycles"):
        solve(trading([0.1, 0.3]), method="fleet")
    many = fleet(300)
    count = len(many.visits.id)
    spans, prices = np.full(count, NAN), np.full((count, 1), NAN)
    spans[0], prices[0] = 40.0, 0.01
    visits = replace(many.visits, depth_kwh=spans, depth_eur_per_kwh=prices)
    plan = solve(replace(many, visits=visits))
    assert plan.method == "exact"
    assert any("depth of cycles" in note for note in plan.notes)
