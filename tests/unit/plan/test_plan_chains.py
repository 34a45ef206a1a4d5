"""Several visits of one vehicle, with trips between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from benchmarks.instances import rich
from small_problems import small

from gridleaf.domain.errors import PlanningFailed, ProblemError
from gridleaf.plan import Plan, Problem, check, fallback, solve, verify
from gridleaf.plan.fleet import solve_fleet
from gridleaf.plan.method import CROSSOVER

NAN = float("nan")
TWICE: dict[str, Any] = {
    "id": ["morning", "evening"],
    "node": ["site", "site"],
    "arrive": [0, 3],
    "depart": [2, 4],
    "energy_kwh": [10, None],
    "max_kwh": [50, 50],
    "charge_kw": [10, 10],
    "after": ["", "morning"],
    "trip_kwh": [None, 12],
}


def twice(nodes: dict[str, Any] | None = None, **visits: Any) -> Problem:
    return small(TWICE | visits, nodes)


def agreed(problem: Problem) -> Plan:
    """The exact plan, after the fleet method and the check have agreed with it."""
    plan, fleet = solve(problem), solve_fleet(problem, gap=1e-8)
    assert fleet.objective_eur == pytest.approx(plan.objective_eur, rel=1e-6, abs=1e-6)
    assert verify(problem, plan) == verify(problem, fleet) == []
    return plan


def test_a_vehicle_charges_for_its_trip_and_for_what_is_wanted_after_it() -> None:
    plan = agreed(twice(target_kwh=[None, 15]))
    # 0.3 0.1 | 0.2 | 0.4: all that the evening wants is cheaper in the morning
    assert plan.charge_kw.tolist() == [pytest.approx([7, 10, 0, 0]), pytest.approx([0, 0, 0, 0])]
    assert plan.trip_unmet_kwh.tolist() == [0, 0]


def test_each_visit_has_powers_and_limits_of_its_own() -> None:
    plan = agreed(twice(target_kwh=[None, 15], max_kwh=[16, 50]))
    assert plan.charge_kw[:, [0, 1, 3]].tolist() == [
        pytest.approx([0, 6, 0]), pytest.approx([0, 0, 10]),
    ]  # fmt: skip
    assert plan.unmet_kwh.tolist() == pytest.approx([0, 1])


def test_a_trip_out_of_reach_is_unmet_and_the_battery_is_then_at_its_floor() -> None:
    plan = agreed(twice(trip_kwh=[0, 40], target_kwh=[None, 5]))
    assert plan.charge_kw[0, :2].tolist() == pytest.approx([10, 10])
    assert plan.trip_unmet_kwh.tolist() == pytest.approx([0, 10])
    assert plan.charge_kw[1, 3] == pytest.approx(5)
    assert any("1 trips need more than there is, by 10.00 kWh" in note for note in plan.notes)
    reserve = agreed(twice(trip_kwh=[0, 40], min_kwh=[0, 4]))
    assert reserve.trip_unmet_kwh.tolist() == pytest.approx([0, 14])


def test_a_trip_comes_before_a_target_and_after_a_limit() -> None:
    narrow = {"import_limit_kw": [[3, 3, 50, 50]]}
    other = {
        "id": [*TWICE["id"], "other"], "node": ["site"] * 3, "arrive": [0, 3, 0],
        "depart": [2, 4, 2], "energy_kwh": [10, None, 0], "max_kwh": [50] * 3,
        "charge_kw": [10] * 3, "after": ["", "morning", ""], "trip_kwh": [0, 15, 0],
        "target_kwh": [None, None, 9],
    }  # fmt: skip
    plan = agreed(small(other, narrow))
    assert plan.trip_unmet_kwh.tolist() == pytest.approx([0, 0, 0])
    assert plan.unmet_kwh.tolist() == pytest.approx([0, 0, 8])
    assert not plan.over_limit_kw.any()
    far = agreed(small(other | {"trip_kwh": [0, 30, 0]}, narrow))
    assert far.trip_unmet_kwh.tolist() == pytest.approx([0, 14, 0])
    assert not far.over_limit_kw.any()


def test_what_is_taken_in_on_the_way_relieves_no_limit() -> None:
    nodes = {"load_kw": [[0, 0, 0, 30]], "import_limit_kw": [[25, 25, 25, 20]]}
    plan = agreed(
        twice(
            nodes, trip_kwh=[0, 29], discharge_kw=[0, 10], min_kwh=[0, 0],
            discharge_efficiency=[0.95, 0.95],
        )
    )  # fmt: skip
    # 30 kWh at most in the morning, 1 after the trip: that is all there is to give
    assert plan.trip_unmet_kwh.tolist() == pytest.approx([0, 0])
    assert plan.discharge_kw[1, 3] == pytest.approx(0.95)


def test_a_battery_that_comes_above_its_maximum_by_itself_stays_and_does_not_rise() -> None:
    plan = agreed(twice(trip_kwh=[0, 2], max_kwh=[50, 5], target_kwh=[None, 30]))
    assert not plan.charge_kw.any()
    # 3 kWh more would fit in the morning, but then they would be above the maximum of the evening
    room = agreed(twice(trip_kwh=[0, 8], max_kwh=[50, 5], target_kwh=[30, None]))
    assert room.charge_kw[0].sum() == pytest.approx(3)
    assert room.unmet_kwh.tolist() == pytest.approx([17, 0])


def test_energy_is_worth_something_at_the_last_departure_alone() -> None:
    worth = twice(value_eur_per_kwh=[0.15, 0.15], trip_kwh=[0, 0])
    plan = agreed(worth)
    assert plan.charge_kw[0, :2].tolist() == pytest.approx([0, 10])
    assert plan.objective_eur == pytest.approx(10 * 0.1 - 20 * 0.15)


def test_a_stay_in_two_parts_without_a_trip_costs_what_it_costs_in_one() -> None:
    whole = small({"target_kwh": [25], "discharge_kw": [5], "min_kwh": [2]})
    parts = twice(
        depart=[2, 4], arrive=[0, 2], trip_kwh=[0, 0], target_kwh=[None, 25],
        discharge_kw=[5, 5], min_kwh=[2, 2],
    )  # fmt: skip
    assert agreed(parts).objective_eur == pytest.approx(agreed(whole).objective_eur)


def test_visits_of_no_time_pass_on_what_they_got() -> None:
    moments = twice(arrive=[2, 2], depart=[2, 4], trip_kwh=[0, 3], target_kwh=[12, 12])
    plan = agreed(moments)
    assert plan.unmet_kwh.tolist() == pytest.approx([2, 0])
    assert plan.charge_kw[1].sum() == pytest.approx(5)
    last = twice(arrive=[0, 4], depart=[2, 4], trip_kwh=[0, 3], target_kwh=[None, 12])
    assert agreed(last).charge_kw[0].sum() == pytest.approx(5)
    at_once = twice(
        arrive=[0, 4], depart=[4, 4], trip_kwh=[0, 0], target_kwh=[None, 20], charge_kw=[10, 0]
    )
    assert agreed(at_once).charge_kw[0, 1] == pytest.approx(10)


def test_plain_rules_charge_for_the_trip_and_the_target_after_it() -> None:
    for problem in (
        twice(target_kwh=[None, 15]),
        twice(trip_kwh=[0, 40], min_kwh=[0, 3]),
        twice(trip_kwh=[0, 2], max_kwh=[50, 5], target_kwh=[40, 30]),
        rich(30),
    ):
        plan = fallback(problem)
        assert verify(problem, plan) == []
    enough = fallback(twice(target_kwh=[None, 15]))
    assert (enough.unmet_kwh.sum(), enough.trip_unmet_kwh.sum()) == (0, 0)


def test_visits_at_different_nodes_are_left_to_the_exact_method() -> None:
    nodes = {
        "id": ["site", "away"],
        "import_price_eur_per_kwh": [[0.3, 0.1, 0.2, 0.4], [0.2] * 4],
    }
    apart = twice(nodes, node=["site", "away"], target_kwh=[None, 15])
    assert verify(apart, solve(apart)) == []
    with pytest.raises(PlanningFailed, match="priced apart"):
        solve(apart, method="fleet")
    many = CROSSOVER // 3
    columns = {
        name: [f"{entry}-{i}" if entry and name in ("id", "after") else entry for i in range(many) for entry in column]
        for name, column in {**TWICE, "node": ["site", "away"]}.items()
    }  # fmt: skip
    plan = solve(small(columns, nodes))
    assert plan.method == "exact"
    assert any("priced apart" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("columns", "path", "reason"),
    [
        ({"after": ("", "noon")}, "after[1]", "no visit 'noon'"),
        ({"after": ("",)}, "after", "2 entries"),
        ({"after": ("evening", "morning"), "energy_kwh": [NAN, NAN]}, "after[0]", "ring"),
        ({"after": ("", "evening")}, "after[1]", "ring"),
        ({"energy_kwh": [10, 5]}, "energy_kwh[1]", "follows another visit"),
        ({"energy_kwh": [NAN, NAN]}, "energy_kwh[0]", "only after another visit"),
        ({"trip_kwh": [0, -1]}, "trip_kwh[1]", "at least 0"),
        ({"trip_kwh": [1, 1]}, "trip_kwh[0]", "follows no visit"),
        ({"trip_kwh": [0, np.inf]}, "trip_kwh[1]", "finite"),
        ({"arrive": [0, 1]}, "arrive[1]", "before the visit that it follows ends"),
        ({"max_kwh": [50, -1], "min_kwh": [0, NAN]}, "max_kwh[1]", "below 0"),
        ({"after": None}, "trip_kwh", "after is absent"),
    ],
)
def test_visits_that_do_not_come_one_after_the_other_are_refused(
    columns: dict[str, Any], path: str, reason: str
) -> None:
    visits = twice().visits
    arrays = {
        name: np.array(c, dtype=np.int64 if name == "arrive" else np.float64)
        if isinstance(c, list)
        else c
        for name, c in columns.items()
    }
    with pytest.raises(ProblemError) as error:
        check(replace(twice(), visits=replace(visits, **arrays)))
    assert error.value.path == f"visits.{path}"
    assert reason in error.value.reason


def test_a_visit_is_followed_by_one_at_most() -> None:
    with pytest.raises(ProblemError, match=r"visits\.after\[2\]: another visit follows 'v0'"):
        small(
            {
                "id": ["v0", "v1", "v2"], "node": ["site"] * 3, "arrive": [0, 2, 2],
                "depart": [1, 3, 3], "energy_kwh": [1, None, None], "max_kwh": [9] * 3,
                "charge_kw": [1] * 3, "after": ["", "v0", "v0"],
            }
        )  # fmt: skip


@pytest.mark.parametrize("size", [10, 60])
def test_days_of_two_stays_are_planned_alike_by_both_methods(size: int) -> None:
    problem = rich(size)
    plan, best = solve_fleet(problem), solve(problem, method="exact")
    assert verify(problem, plan) == verify(problem, best) == []
    assert plan.lower_bound_eur <= best.objective_eur + 1e-6
    assert best.objective_eur - 1e-6 <= plan.objective_eur <= best.objective_eur * (1 + 1e-4)
