from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_problems import small

from gridleaf.bench.instances import OPTIMUM, depot, fleet
from gridleaf.domain.errors import PlanningFailed, ProblemError
from gridleaf.plan import penalties, problem_of, solve, verify


@pytest.mark.parametrize(("count", "variant"), [key for key in OPTIMUM if key[0] <= 100])
def test_the_benchmark_family_is_solved_to_its_known_optimum(count: int, variant: str) -> None:
    problem = fleet(count, variant)  # type: ignore[arg-type]
    plan = solve(problem)
    assert plan.objective_eur == pytest.approx(OPTIMUM[count, variant], abs=1e-6)
    assert 0 <= plan.gap <= 1e-9
    assert verify(problem, plan) == []


def test_the_cheapest_hour_is_used_first_and_only_as_far_as_wanted() -> None:
    plan = solve(small({"target_kwh": [25]}))
    assert plan.charge_kw[0].tolist() == pytest.approx([0, 10, 5, 0])
    assert plan.objective_eur == pytest.approx(10 * 0.1 + 5 * 0.2)
    assert plan.lower_bound_eur == pytest.approx(plan.objective_eur)


def test_discharging_pays_only_beyond_wear_and_losses() -> None:
    v2g = {"discharge_kw": [10], "charge_efficiency": [0.9], "discharge_efficiency": [0.9]}
    nodes = {"export_price_eur_per_kwh": [[0.3, 0.1, 0.2, 0.4]]}
    # the 10 kWh kept would be worth 0.21 in the car; sold, 9 of them are worth 0.4 less wear each
    for wear, sells in ((0.1, True), (0.2, False)):
        visits = v2g | {"target_kwh": [0], "wear_eur_per_kwh": [wear], "value_eur_per_kwh": [0.21]}
        plan = solve(small(visits, nodes))
        assert bool(plan.discharge_kw[0, 3] > 0) is sells


def test_the_reserve_is_kept_at_every_step() -> None:
    visits = {"discharge_kw": [10], "min_kwh": [8], "target_kwh": [10]}
    nodes = {"export_price_eur_per_kwh": [[0.3, 0.1, 0.2, 0.4]]}
    plan = solve(small(visits, nodes))
    energy = 10 + np.cumsum(plan.charge_kw - plan.discharge_kw)
    assert energy.min() == pytest.approx(8)
    assert plan.unmet_kwh.tolist() == [0]


def test_a_car_below_its_reserve_is_charged_at_once_whatever_it_costs() -> None:
    plan = solve(small({"min_kwh": [25], "target_kwh": [40]}))
    assert plan.charge_kw[0].tolist() == pytest.approx([10, 10, 10, 0])
    nodes = {"import_price_eur_per_kwh": [[0.3, 0.1, 0.2, 0.05]]}
    plan = solve(small({"min_kwh": [12], "target_kwh": [20]}, nodes))
    assert plan.charge_kw[0].tolist() == pytest.approx([2, 0, 0, 8])


def test_a_car_above_its_maximum_is_not_charged_and_need_not_discharge() -> None:
    nodes = {"import_price_eur_per_kwh": [-0.1]}
    plan = solve(small({"energy_kwh": [55], "max_kwh": [50]}, nodes))
    assert plan.charge_kw[0].tolist() == [0, 0, 0, 0]


def test_a_target_out_of_reach_leaves_the_rest_unmet() -> None:
    problem = small({"target_kwh": [60], "max_kwh": [80]})
    plan = solve(problem)
    assert plan.unmet_kwh.tolist() == pytest.approx([10])
    assert plan.charge_kw[0].tolist() == pytest.approx([10, 10, 10, 10])
    price = penalties(problem).unmet_eur_per_kwh
    assert plan.objective_eur == pytest.approx(10 * (0.3 + 0.1 + 0.2 + 0.4) + 10 * price)
    assert "1 of 1 visits miss the target, by 10.00 kWh together" in plan.notes


def test_a_car_that_leaves_as_it_comes_can_only_miss_its_target() -> None:
    problem = small({"arrive": [2], "depart": [2], "target_kwh": [25]})
    plan = solve(problem)
    assert plan.unmet_kwh.tolist() == [15]
    assert not plan.charge_kw.any()
    assert plan.gap == pytest.approx(0, abs=1e-12)


def test_a_limit_is_never_broken_to_serve_energy() -> None:
    plan = solve(small({"target_kwh": [40]}, {"import_limit_kw": [4], "load_kw": [1]}))
    assert plan.import_kw.max() == pytest.approx(4)
    assert not plan.over_limit_kw.any()
    assert plan.unmet_kwh.tolist() == pytest.approx([30 - 4 * 3])


def test_a_load_beyond_the_limit_stops_charging_and_calls_on_the_battery() -> None:
    visits = {"discharge_kw": [10], "target_kwh": [40]}
    nodes = {"import_limit_kw": [10], "load_kw": [[0, 13, 0, 0]]}
    plan = solve(small(visits, nodes))
    assert plan.discharge_kw[0, 1] == pytest.approx(3)
    assert not plan.over_limit_kw.any()
    plan = solve(small({"target_kwh": [40]}, nodes))
    assert plan.charge_kw[0, 1] == 0
    assert plan.over_limit_kw[0].tolist() == pytest.approx([0, 3, 0, 0])
    assert "a limit is exceeded, by up to 3.00 kW" in plan.notes


def test_limits_of_zero_and_no_limits_are_limits() -> None:
    plan = solve(small({"target_kwh": [25]}, {"import_limit_kw": [0], "export_limit_kw": [0]}))
    assert not plan.charge_kw.any()
    assert plan.unmet_kwh.tolist() == pytest.approx([15])
    problem = small({"target_kwh": [25]})
    for none in (np.inf, np.nan):
        nodes = replace(problem.nodes, import_limit_kw=np.full((1, 4), none))
        assert not solve(replace(problem, nodes=nodes)).unmet_kwh.any()


def test_a_circuit_inside_a_site_is_narrower_than_the_site() -> None:
    visits = {
        "id": ["a", "b", "c"],
        "node": ["row", "row", "site"],
        "arrive": [0] * 3,
        "depart": [4] * 3,
        "energy_kwh": [0] * 3,
        "target_kwh": [10] * 3,
        "max_kwh": [50] * 3,
        "charge_kw": [10] * 3,
    }
    nodes = {
        "id": ["row", "site"],
        "parent": ["site", ""],
        "import_limit_kw": [12, None],
        "import_price_eur_per_kwh": [None, [0.3, 0.1, 0.2, 0.4]],
    }
    problem = small(visits, nodes)
    plan = solve(problem)
    assert plan.import_kw[0].tolist() == pytest.approx([0, 12, 8, 0])
    assert plan.import_kw[1].tolist() == pytest.approx([0, 22, 8, 0])
    # in the cheap hour a kWh below the circuit is worth what it costs in the next best hour
    assert plan.shadow_price_eur_per_kwh[:, 1].tolist() == pytest.approx([0.2, 0.1])
    assert verify(problem, plan) == []


def test_a_parents_load_holds_what_its_children_carry() -> None:
    nodes = {"id": ["row", "site"], "parent": ["site", ""], "load_kw": [5, 5]}
    nodes["import_price_eur_per_kwh"] = [None, 0.1]
    plan = solve(small({"node": ["row"], "charge_kw": [0]}, nodes))
    assert plan.import_kw.tolist() == [[5] * 4, [5] * 4]


def test_the_demand_charge_flattens_the_peak_but_not_below_the_one_so_far() -> None:
    nodes = {"demand_charge_eur_per_kw": [5.0]}
    plan = solve(small({"target_kwh": [30]}, nodes))
    assert plan.import_kw[0].tolist() == pytest.approx([5, 5, 5, 5])
    plan = solve(small({"target_kwh": [30]}, nodes | {"peak_so_far_kw": [8]}))
    assert plan.import_kw[0].tolist() == pytest.approx([4, 8, 8, 0])
    assert plan.import_kw.max() == pytest.approx(8)
    assert plan.objective_eur == pytest.approx(8 * 5 + 8 * 0.1 + 8 * 0.2 + 4 * 0.3)


def test_a_peak_already_above_the_limit_changes_nothing_but_the_bill() -> None:
    nodes = {"demand_charge_eur_per_kw": [5.0], "peak_so_far_kw": [20], "import_limit_kw": [7]}
    plan = solve(small({"target_kwh": [25]}, nodes))
    assert plan.charge_kw[0].tolist() == pytest.approx([1, 7, 7, 0])
    assert plan.objective_eur == pytest.approx(20 * 5 + 0.3 + 0.7 + 1.4)


def test_steps_may_differ_in_length() -> None:
    problem = small({"target_kwh": [25]}, step_h=[0.5, 0.5, 2, 1])
    plan = solve(problem)
    assert plan.charge_kw[0].tolist() == pytest.approx([0, 10, 5, 0])
    assert verify(problem, plan) == []


def test_a_further_row_binds_what_its_coefficients_say() -> None:
    rows = {"id": ["phase"], "coefficient": [[0.5]], "bound_kw": [[2, 1, None, 5]]}
    plan = solve(small({"target_kwh": [25]}, rows=rows))
    assert plan.charge_kw[0].tolist() == pytest.approx([3, 2, 10, 0])
    rows["bound_kw"] = [-1]
    plan = solve(small({"target_kwh": [25]}, rows=rows))
    assert plan.row_over_kw[0].tolist() == pytest.approx([1, 1, 1, 1])


def test_charging_and_discharging_at_once_happens_only_where_losses_pay_and_is_reported() -> None:
    lossy = {"discharge_kw": [10], "charge_efficiency": [0.8], "discharge_efficiency": [0.8]}
    visits = lossy | {"energy_kwh": [50]}
    nodes = {"import_price_eur_per_kwh": [-0.1], "export_price_eur_per_kwh": [-0.1]}
    problem = small(visits, nodes)
    plan = solve(problem)
    assert ((plan.charge_kw > 1) & (plan.discharge_kw > 1)).any()
    assert any("charges and discharges at once" in note for note in plan.notes)
    assert verify(problem, plan) == []
    free = {"import_price_eur_per_kwh": [0.0], "export_price_eur_per_kwh": [0.0]}
    plan = solve(small(visits, free))
    assert not (plan.charge_kw * plan.discharge_kw).any()


def test_export_dearer_than_import_is_no_money_machine() -> None:
    visits = {"discharge_kw": [10], "energy_kwh": [30], "target_kwh": [30]}
    nodes = {"import_price_eur_per_kwh": [0.1], "export_price_eur_per_kwh": [0.3]}
    problem = small(visits, nodes | {"load_kw": [2]})
    plan = solve(problem)
    assert not ((plan.import_kw > 0) & (plan.export_kw > 0)).any()
    assert verify(problem, plan) == []
    # 20 kWh out in two hours and in again in the two others, past the load of 2 kW
    assert plan.objective_eur == pytest.approx(0.1 * (12 + 12) - 0.3 * (8 + 8))
    assert plan.lower_bound_eur == pytest.approx(plan.objective_eur, abs=1e-5)
    assert any("solved with integers" in note for note in plan.notes)


def test_of_plans_that_cost_the_same_the_early_one_is_taken() -> None:
    plan = solve(small({"target_kwh": [25]}, {"import_price_eur_per_kwh": [0.2]}))
    assert plan.charge_kw[0].tolist() == pytest.approx([10, 5, 0, 0])
    assert plan.objective_eur == pytest.approx(15 * 0.2)
    assert plan.gap == pytest.approx(0, abs=1e-12)


def test_nobody_there_is_a_plan_too() -> None:
    problem = problem_of(
        {
            "start": "2026-01-05T12:00:00Z",
            "step_h": [1, 1],
            "visits": {
                n: [] for n in ("id", "node", "arrive", "depart", "energy_kwh", "charge_kw")
            },
            "nodes": {
                "id": ["site"],
                "load_kw": [[3, -1]],
                "import_price_eur_per_kwh": [0.2],
                "export_price_eur_per_kwh": [0.1],
            },
        }
    )
    plan = solve(problem)
    assert plan.objective_eur == pytest.approx(0.6 - 0.1)
    assert plan.charge_kw.shape == (0, 2)
    assert plan.shadow_price_eur_per_kwh[0].tolist() == pytest.approx([0.2, 0.1])
    assert verify(problem, plan) == []


def test_nothing_at_all_is_a_plan_too() -> None:
    none: dict[str, list[object]] = {
        n: [] for n in ("id", "node", "arrive", "depart", "energy_kwh", "charge_kw")
    }
    problem = problem_of(
        {"start": "2026-01-05T12:00:00Z", "step_h": [1], "visits": none, "nodes": {"id": []}}
    )
    plan = solve(problem)
    assert (plan.objective_eur, plan.lower_bound_eur, plan.gap) == (0, 0, 0)
    assert verify(problem, plan) == []


def test_the_same_problem_gives_the_same_plan() -> None:
    first, second = solve(depot()), solve(depot())
    for name in ("charge_kw", "discharge_kw", "shadow_price_eur_per_kwh"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


def test_a_depot_with_circuits_and_phases_is_solved_to_the_optimum() -> None:
    problem = depot(30)
    plan = solve(problem)
    assert plan.gap <= 1e-9
    assert verify(problem, plan) == []


def test_no_time_at_all_is_a_failure_not_a_plan() -> None:
    with pytest.raises(PlanningFailed, match="Time limit"):
        solve(depot(), time_limit_s=0.0)


def test_the_time_is_told_by_the_timer_handed_in() -> None:
    ticks = iter((10.0, 12.5))
    assert solve(small(), timer=lambda: next(ticks)).seconds == 2.5


def test_a_malformed_problem_is_refused_before_it_is_solved() -> None:
    problem = small()
    broken = replace(problem, visits=replace(problem.visits, energy_kwh=np.array([np.nan])))
    with pytest.raises(ProblemError, match=r"visits\.energy_kwh\[0\]"):
        solve(broken)
