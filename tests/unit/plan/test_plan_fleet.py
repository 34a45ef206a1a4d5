"""The fleet method: its proof, its limits of time, and input of the strangest kind."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from small_problems import small

from gridleaf.bench.instances import OPTIMUM, changed, depot, feeder, fleet
from gridleaf.domain.errors import PlanningFailed, ProblemError
from gridleaf.plan import Plan, Problem, Progress, Visits, bill, realise, solve, verify
from gridleaf.plan import fleet as fleet_method
from gridleaf.plan.columns import Coordinator, Memory
from gridleaf.plan.fleet import solve_fleet
from gridleaf.plan.method import CROSSOVER
from gridleaf.plan.network import classes, network
from gridleaf.plan.problem import penalties
from gridleaf.plan.sweep import pack, sweeper


def agreed(problem: Problem, **options: Any) -> Plan:
    """A plan of the fleet method that the exact one and the check agree with."""
    plan = solve_fleet(problem, **options)
    assert verify(problem, plan) == []
    best = solve(problem, method="exact").objective_eur
    rounding = 1e-6 * max(1.0, abs(best))
    assert plan.lower_bound_eur <= best + rounding
    assert best - rounding <= plan.objective_eur <= best + 1e-4 * abs(best) + rounding
    return plan


@pytest.mark.parametrize("variant", ["core", "full"])
@pytest.mark.parametrize("size", [10, 100, 1000])
def test_bound_and_plan_enclose_the_known_optimum(size: int, variant: Any) -> None:
    plan = solve_fleet(fleet(size, variant))
    assert plan.method == "fleet"
    assert plan.gap <= 1e-4
    assert plan.lower_bound_eur <= OPTIMUM[size, variant] + 1e-3
    assert plan.objective_eur >= OPTIMUM[size, variant] - 1e-3
    assert verify(fleet(size, variant), plan) == []


def test_a_smaller_gap_can_be_asked_for() -> None:
    assert solve_fleet(fleet(300), gap=1e-6).gap <= 1e-6


def test_circuits_phases_and_unequal_steps() -> None:
    agreed(depot(60))
    agreed(depot(40, circuits=2, phases=False, v2g=0.0))


def test_the_bill_is_that_of_the_schedules() -> None:
    problem = fleet(500, "full")
    plan = solve_fleet(problem)
    again = bill(problem, plan.charge_kw, plan.discharge_kw)
    assert again.objective_eur == pytest.approx(plan.objective_eur, rel=1e-12)
    np.testing.assert_allclose(again.import_kw, plan.import_kw, atol=1e-6)


def test_the_number_of_threads_changes_nothing_but_rounding() -> None:
    problem = fleet(2000)
    one, two, three = (solve_fleet(problem, workers=workers) for workers in (1, 2, 3))
    for other in (two, three):
        np.testing.assert_allclose(one.charge_kw, other.charge_kw, atol=1e-4)
        assert one.lower_bound_eur == pytest.approx(other.lower_bound_eur, rel=1e-8)
        assert one.objective_eur == pytest.approx(other.objective_eur, rel=1e-8)


def test_rounding_to_single_precision_misses_no_target_and_breaks_no_limit() -> None:
    problem = fleet(6000)
    plan = solve_fleet(problem)
    assert plan.charge_kw.dtype == plan.discharge_kw.dtype == np.float32
    assert verify(problem, plan) == []
    assert not plan.unmet_kwh.any()
    assert not plan.over_limit_kw.any()
    limit = problem.nodes.import_limit_kw
    assert (plan.import_kw > (1 - 1e-5) * limit).any()


def test_a_power_above_its_bound_by_more_than_its_rounding_is_found() -> None:
    problem = small({"charge_kw": [1000 / 3], "target_kwh": [1000], "max_kwh": [2000]})
    plan = agreed(problem)
    faulty = replace(plan, charge_kw=plan.charge_kw * np.float32(1 + 1e-5))
    assert "above its bound" in " ".join(verify(problem, faulty))


def test_divided_groups_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before very many vehicles are asked, and when these are planned again."""
    problem, memory = fleet(6000, "full"), Memory()
    whole = solve_fleet(problem)
    monkeypatch.setattr(fleet_method, "DEAR", 5000)
    plan = solve_fleet(problem, warm=memory)
    for _ in range(2):
        assert plan.gap <= 1e-4
        assert verify(problem, plan) == []
        assert plan.lower_bound_eur <= whole.objective_eur
        assert whole.lower_bound_eur <= plan.objective_eur
        plan = solve_fleet(problem, warm=memory)


def test_memory_is_that_of_the_schedules_and_of_the_packed_vehicles() -> None:
    problem = fleet(20_000)
    steps = len(problem.step_h)
    tracemalloc.start()
    try:
        solve_fleet(problem, gap=1e-2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * 20_000 * steps * 8


def test_auto_takes_the_exact_method_for_small_problems_and_for_integers() -> None:
    assert solve(fleet(20)).method == "exact"
    large = fleet(400)
    assert solve(large).method == "fleet"
    nodes = large.nodes
    dear = np.where(np.arange(96) == 5, nodes.import_price_eur_per_kwh + 0.1, -1.0)
    awkward = replace(large, nodes=replace(nodes, export_price_eur_per_kwh=dear))
    with pytest.raises(PlanningFailed, match="only the exact method"):
        solve(awkward, method="fleet")


def test_out_of_time_there_is_still_a_plan_with_an_honest_gap() -> None:
    problem = fleet(1500)
    ticks = count()
    plan = solve_fleet(problem, time_limit_s=20.0, timer=lambda: float(next(ticks)))
    assert verify(problem, plan) == []
    assert 1e-4 < plan.gap < np.inf
    at_once = solve_fleet(problem, time_limit_s=0.0)
    assert verify(problem, at_once) == []
    assert at_once.lower_bound_eur <= plan.objective_eur


@pytest.mark.parametrize("prices", [False, True])
def test_a_search_starts_from_what_the_last_one_left(prices: bool) -> None:
    problem, memory = fleet(2000, "full"), Memory()
    rounds: list[int] = []
    solve_fleet(problem, warm=memory, progress=lambda told: rounds.append(told.rounds))
    first = len(rounds)
    for seed in range(3):
        problem = changed(problem, seed, prices=prices)
        rounds.clear()
        plan = solve_fleet(problem, warm=memory, progress=lambda told: rounds.append(told.rounds))
        assert len(rounds) < 2 / 3 * first
        assert plan.gap <= 1e-4
        assert verify(problem, plan) == []
        cold = solve_fleet(problem)
        assert plan.lower_bound_eur <= cold.objective_eur
        assert cold.lower_bound_eur <= plan.objective_eur


def test_few_shares_keep_the_limits_of_cells_that_had_no_row() -> None:
    problem = fleet(1000, "full")
    kind, first = classes(problem)
    net = network(problem, penalties(problem), kind, first)
    with sweeper(pack(problem, penalties(problem), kind, 24)) as vehicles:
        coordinator = Coordinator(net, vehicles, lambda: False)
        coordinator.level(1.0, 1e-4)
        pool, rows = coordinator.pool, np.zeros(net.needed.shape, dtype=bool)
        rows[tuple(of[::2] for of in coordinator.active)] = True
        coordinator._activate(rows, net.slope(net.flows(coordinator.drawn(pool.theta))))
        realise.settle_shares(coordinator, 1e-4)
    assert len(coordinator.active[0]) > rows.sum()
    assert len(pool.own) <= coordinator.groups + 2 * len(coordinator.active[0])
    assert coordinator.standing.gap <= 1.1e-4
    flow = net.flows(coordinator.drawn(pool.theta))
    assert (flow <= net.limit_in).all()
    assert (-flow <= net.limit_out).all()


def test_a_memory_that_does_not_fit_is_not_used() -> None:
    memory = Memory()
    solve_fleet(feeder(4, 20), warm=memory)
    agreed(depot(40), warm=memory)
    agreed(fleet(100), warm=memory)


def test_it_can_be_cancelled_and_tells_how_far_it_is() -> None:
    problem = fleet(1500)
    told: list[Progress] = []
    plan = solve_fleet(problem, progress=told.append, cancel=lambda: len(told) >= 30)
    assert verify(problem, plan) == []
    assert len(told) == 30
    assert [progress.rounds for progress in told] == sorted(progress.rounds for progress in told)
    assert told[0].share < 1


@pytest.mark.parametrize(
    "visits",
    [
        {"depart": [1]},
        {"arrive": [2], "depart": [2]},
        {"target_kwh": [500]},
        {"target_kwh": [40], "charge_kw": [0]},
        {"energy_kwh": [3], "min_kwh": [8]},
        {"energy_kwh": [3], "min_kwh": [8], "charge_kw": [0]},
        {"energy_kwh": [60]},
        {"discharge_kw": [10], "value_eur_per_kwh": [0.2]},
        {"discharge_kw": [10], "min_kwh": [None], "max_kwh": [None]},
        {"charge_kw": [[0, 3, 0, 9]], "discharge_kw": [[5, 0, 0, 0]], "target_kwh": [15]},
    ],
)
def test_strange_visits(visits: dict[str, Any]) -> None:
    agreed(small(visits))


@pytest.mark.parametrize(
    "nodes",
    [
        {"import_limit_kw": [0]},
        {"import_limit_kw": [0], "export_limit_kw": [0]},
        {"import_price_eur_per_kwh": [0.2]},
        {"import_price_eur_per_kwh": [-0.2], "export_price_eur_per_kwh": [-0.3]},
        {"import_price_eur_per_kwh": [None]},
        {"import_limit_kw": [4], "load_kw": [[3, 3, 8, 3]]},
        {"demand_charge_eur_per_kw": [2], "peak_so_far_kw": [7]},
        {"demand_charge_eur_per_kw": [2], "peak_so_far_kw": [5], "load_kw": [9]},
        {"export_price_eur_per_kwh": [0.05], "load_kw": [-4]},
    ],
)
def test_strange_nodes(nodes: dict[str, Any]) -> None:
    agreed(small({"target_kwh": [30], "discharge_kw": [6]}, nodes))


def test_negative_prices_for_a_fleet() -> None:
    """Where the master problem once lost its precision, and the vehicles their way."""
    problem = fleet(3000, "full")
    nodes = problem.nodes
    cheap = replace(
        nodes,
        import_price_eur_per_kwh=nodes.import_price_eur_per_kwh - 0.17,
        export_price_eur_per_kwh=nodes.export_price_eur_per_kwh - 0.20,
    )
    problem = replace(problem, nodes=cheap)
    plan = solve_fleet(problem)
    assert plan.gap <= 1e-4
    assert verify(problem, plan) == []


def test_no_vehicles_at_all() -> None:
    names = ("id", "node", "arrive", "depart", "energy_kwh", "charge_kw", "max_kwh")
    problem = small({name: [] for name in names}, {"load_kw": [5]})
    assert agreed(problem).charge_kw.shape == (0, 4)


def test_identical_vehicles_and_equal_prices() -> None:
    visits = {
        "id": [f"car{i}" for i in range(50)],
        "node": ["site"] * 50,
        "arrive": [0] * 50,
        "depart": [4] * 50,
        "energy_kwh": [10] * 50,
        "target_kwh": [30] * 50,
        "max_kwh": [50] * 50,
        "charge_kw": [10] * 50,
        "discharge_kw": [10] * 50,
    }
    plan = agreed(small(visits, {"import_price_eur_per_kwh": [0.2], "import_limit_kw": [300]}))
    assert plan.unmet_kwh.max() < 1e-6


def test_nan_is_refused_by_name() -> None:
    problem = fleet(400)
    energy = problem.visits.energy_kwh.copy()
    energy[7] = np.nan
    bad = replace(problem, visits=replace(problem.visits, energy_kwh=energy))
    with pytest.raises(ProblemError, match=r"visits\.energy_kwh\[7\]"):
        solve(bad)


@pytest.mark.parametrize(("sites", "cars"), [(4, 20), (20, 10)])
def test_a_feeder_with_sites(sites: int, cars: int) -> None:
    agreed(feeder(sites, cars))


def honest(problem: Problem) -> Plan:
    """A plan near the optimum whose proof is right, if not as tight as asked for."""
    plan = solve_fleet(problem)
    assert verify(problem, plan) == []
    best = solve(problem, method="exact").objective_eur
    rounding = 1e-6 * abs(best)
    assert plan.lower_bound_eur <= best + rounding
    assert best - rounding <= plan.objective_eur <= best + 0.02 * abs(best)
    return plan


def with_nodes(problem: Problem, **columns: Any) -> Problem:
    return replace(problem, nodes=replace(problem.nodes, **columns))


def test_a_site_without_any_power() -> None:
    problem = feeder(6, 10)
    limits = {}
    for name in ("import_limit_kw", "export_limit_kw", "load_kw"):
        values = getattr(problem.nodes, name).copy()
        values[2] = 0.0
        limits[name] = values
    here = np.array([node == "s1" for node in problem.visits.node])
    one_way = np.where(here, 0.0, problem.visits.discharge_kw)
    problem = replace(problem, visits=replace(problem.visits, discharge_kw=one_way))
    plan = agreed(with_nodes(problem, **limits))
    assert plan.charge_kw[here].sum(axis=0).max() < 1e-5
    assert plan.unmet_kwh[here].sum() > 1


def test_limits_are_tightened_only_as_far_as_there_is_room_between_them() -> None:
    problem = island(2, 5)
    kind, first = classes(problem)
    net = network(problem, penalties(problem), kind, first)
    inside = net.inside()
    met = np.isfinite(net.limit_in) & np.isfinite(net.limit_out)
    assert (inside.limit_in + inside.limit_out)[met].min() >= 0.0
    assert (inside.limit_in < net.limit_in)[np.isfinite(net.limit_in) & (net.limit_in > 0)].all()


def test_a_limit_that_cannot_be_met_is_none() -> None:
    problem = island(2, 5)
    charge_only = replace(problem.visits, discharge_kw=np.zeros(len(problem.visits.id)))
    problem = replace(problem, visits=charge_only)
    kind, first = classes(problem)
    net = network(problem, penalties(problem), kind, first)
    assert (net.limit_out[2] == np.inf).all()
    assert (net.limit_in[2] == 0.0).any()


def island(sites: int, vehicles: int) -> Problem:
    """A feeder on which one site may neither import nor export, only pass energy from car to car."""
    problem = feeder(sites, vehicles)
    limits = {}
    for name in ("import_limit_kw", "export_limit_kw", "load_kw"):
        values = getattr(problem.nodes, name).copy()
        values[2] = 0.0
        limits[name] = values
    return with_nodes(problem, **limits)


def test_a_site_that_may_only_pass_energy_on_gets_an_honest_gap() -> None:
    plan = honest(island(6, 10))
    assert plan.over_limit_kw.max() < 0.1


def test_auto_asks_the_exact_method_where_the_fleet_method_ends_above_the_gap() -> None:
    problem = island(20, 11)
    assert int((problem.visits.depart - problem.visits.arrive).sum()) > CROSSOVER
    assert solve_fleet(problem).gap > 1e-4
    plan = solve(problem)
    assert plan.method == "exact"
    assert plan.gap < 1e-6
    assert any("the fleet method ended at a gap of" in note for note in plan.notes)


def test_limits_that_cannot_hold_are_reported_where_they_break() -> None:
    problem = feeder(6, 10)
    load = problem.nodes.load_kw.copy()
    load[3, 10:14] = problem.nodes.import_limit_kw[3, 10:14] + 300.0
    plan = honest(with_nodes(problem, load_kw=load))
    assert plan.over_limit_kw[3, 10:14].sum() > 0
    assert plan.over_limit_kw[[0, 1, 2, 4, 5, 6]].max() < 0.05
    assert any("a limit is exceeded" in note for note in plan.notes)


def test_identical_sites_with_identical_vehicles() -> None:
    problem = feeder(8, 6)
    visits, first = problem.visits, np.arange(48) // 8 * 8
    alike = {
        name: getattr(visits, name)[first]
        for name in ("arrive", "depart", "energy_kwh", "target_kwh", "min_kwh", "max_kwh", "charge_kw",
                     "discharge_kw", "charge_efficiency", "discharge_efficiency", "wear_eur_per_kwh")
    }  # fmt: skip
    agreed(replace(problem, visits=replace(visits, **alike)))


def test_a_tree_out_of_time_still_has_a_plan_with_an_honest_gap() -> None:
    problem = feeder(16, 20)
    ticks = count()
    bounds = []
    for limit in (0.0, 40.0, 400.0):
        plan = solve_fleet(problem, time_limit_s=limit, timer=lambda: float(next(ticks)))
        assert verify(problem, plan) == []
        assert 0 < plan.gap < np.inf
        bounds.append(plan.lower_bound_eur)
    best = solve_fleet(problem)
    assert max(bounds) <= best.objective_eur
    assert best.gap <= 1e-4


def test_a_tree_is_planned_again_from_the_prices_of_the_last_plan() -> None:
    problem, memory = feeder(8, 10), Memory()
    told: list[Progress] = []
    solve_fleet(problem, warm=memory)
    other = changed(problem, 1, prices=True)
    plan = solve_fleet(other, warm=memory, progress=told.append)
    assert plan.gap <= 1e-4
    assert verify(other, plan) == []
    assert all(progress.share == 1 for progress in told)
    cold = solve_fleet(other)
    assert plan.lower_bound_eur <= cold.objective_eur
    assert cold.lower_bound_eur <= plan.objective_eur


def test_many_steps() -> None:
    """More than the bit sets hold."""
    problem = fleet(30)
    visits, nodes = problem.visits, problem.nodes

    def twice(values: Any) -> Any:
        return np.repeat(values, 2, axis=1)

    finer = replace(
        problem,
        step_h=np.full(192, 0.125),
        visits=replace(visits, arrive=2 * visits.arrive, depart=2 * visits.depart),
        nodes=replace(
            nodes,
            **{
                name: twice(getattr(nodes, name))
                for name in (
                    "import_limit_kw",
                    "export_limit_kw",
                    "load_kw",
                    "import_price_eur_per_kwh",
                    "export_price_eur_per_kwh",
                )
            },
        ),
    )
    assert isinstance(finer.visits, Visits)
    agreed(finer)
