"""The exact planner against the mathematics, on random problems with every feature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_problems import optimum, problems, scale_of, vehicle, with_visits

from gridleaf.plan import Plan, Problem, Rows, bill, fallback, penalties, solve, verify

EXTENSIVE = "energy_kwh target_kwh min_kwh max_kwh charge_kw discharge_kw dwell_kwh trip_kwh"


def scaled(part: object, names: str, factor: float | np.ndarray) -> dict[str, np.ndarray]:
    columns = {name: getattr(part, name) for name in names.split()}
    return {name: (c.T * factor).T for name, c in columns.items() if c is not None}


few = settings(max_examples=60, deadline=None, derandomize=True)


def close(a: float, b: float, problem: Problem) -> bool:
    return abs(a - b) <= 1e-6 * max(1.0, abs(a)) + 1e-7 * scale_of(problem)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(problems())
def test_the_plan_costs_what_an_independent_formulation_costs(problem: Problem) -> None:
    plan = solve(problem)
    best = optimum(problem)
    assert close(plan.objective_eur, best, problem)
    assert plan.lower_bound_eur <= best + 1e-7 * scale_of(problem)
    assert close(plan.lower_bound_eur, plan.objective_eur, problem)
    assert verify(problem, plan) == []


@settings(max_examples=40, deadline=None, derandomize=True)
@given(problems(convex=False))
def test_export_that_pays_more_than_import_costs_is_billed_on_the_net_flow(
    problem: Problem,
) -> None:
    plan = solve(problem)
    best = optimum(problem)
    assert close(plan.objective_eur, best, problem)
    assert plan.lower_bound_eur <= best + 1e-6 * scale_of(problem)
    assert not ((plan.import_kw > 0) & (plan.export_kw > 0)).any()
    assert verify(problem, plan) == []


@few
@given(problems(least_visits=1), st.integers(0, 5), st.floats(0, 10))
def test_adding_a_constraint_never_cheapens(problem: Problem, step: int, bound: float) -> None:
    steps = len(problem.step_h)
    tighter = np.full((1, steps), np.nan)
    tighter[0, step % steps] = bound
    old = problem.rows or Rows(
        id=(), coefficient=np.zeros((0, len(problem.visits.id))), bound_kw=np.zeros((0, steps))
    )
    rows = Rows(
        id=(*old.id, "new"),
        coefficient=np.concatenate((old.coefficient, np.ones((1, len(problem.visits.id))))),
        bound_kw=np.concatenate((old.bound_kw, tighter)),
    )
    limits = np.fmin(problem.nodes.import_limit_kw, bound)
    before = solve(problem).objective_eur
    for harder in (
        replace(problem, rows=rows),
        replace(problem, nodes=replace(problem.nodes, import_limit_kw=limits)),
    ):
        after = solve(harder).objective_eur
        assert after >= before or close(after, before, problem)


@few
@given(problems(least_visits=2), st.randoms(use_true_random=False))
def test_the_order_of_the_visits_changes_nothing(problem: Problem, random: object) -> None:
    order = np.random.default_rng(random.randint(0, 99)).permutation(len(problem.visits.id))  # type: ignore[attr-defined]
    assert close(
        solve(problem).objective_eur, solve(with_visits(problem, order)).objective_eur, problem
    )


@few
@given(problems(least_visits=1))
def test_two_halves_of_a_vehicle_cost_what_it_costs(problem: Problem) -> None:
    count, twice = len(problem.visits.id), vehicle(problem, 0)
    doubled = with_visits(problem, np.array([*range(count), *twice]))
    half = np.ones(len(doubled.visits.id))
    half[[*twice, *range(count, len(half))]] = 0.5
    visits = doubled.visits

    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return (*names[:count], *(name and f"other {name}" for name in names[count:]))

    halves = replace(
        doubled,
        visits=replace(
            visits,
            id=renamed(visits.id),
            after=visits.after and renamed(visits.after),
            **scaled(visits, EXTENSIVE, half),
        ),
    )
    assert close(solve(problem).objective_eur, solve(halves).objective_eur, problem)


@few
@given(problems(), st.sampled_from([0.01, 3.0, 1000.0]))
def test_a_larger_site_costs_more_in_proportion(problem: Problem, factor: float) -> None:
    nodes = "import_limit_kw export_limit_kw load_kw peak_so_far_kw"
    larger = replace(
        problem,
        visits=replace(problem.visits, **scaled(problem.visits, EXTENSIVE, factor)),
        nodes=replace(problem.nodes, **scaled(problem.nodes, nodes, factor)),
        rows=problem.rows and replace(problem.rows, bound_kw=problem.rows.bound_kw * factor),
    )
    assert close(solve(larger).objective_eur / factor, solve(problem).objective_eur, problem)


@few
@given(problems(), st.sampled_from([0.01, 100.0]))
def test_dearer_money_costs_more_in_proportion(problem: Problem, factor: float) -> None:
    nodes = problem.nodes
    visits = problem.visits
    dearer = replace(
        problem,
        visits=replace(
            visits,
            **scaled(visits, "wear_eur_per_kwh value_eur_per_kwh dwell_eur_per_kwh_h", factor),
        ),
        nodes=replace(
            nodes,
            import_price_eur_per_kwh=nodes.import_price_eur_per_kwh * factor,
            export_price_eur_per_kwh=nodes.export_price_eur_per_kwh * factor,
            demand_charge_eur_per_kw=nodes.demand_charge_eur_per_kw * factor,
        ),
    )
    assert close(solve(dearer).objective_eur / factor, solve(problem).objective_eur, problem)


@few
@given(problems(), st.integers(0, 3), st.integers(0, 5), st.sampled_from([-0.5, -0.01, 0.01, 2.0]))
def test_shadow_prices_tell_what_more_load_costs_at_least(
    problem: Problem, node: int, step: int, more_kw: float
) -> None:
    """The objective is convex in the load: its slope is a bound on both sides."""
    nodes = problem.nodes
    k, t = node % len(nodes.id), step % len(problem.step_h)
    plan = solve(problem)
    load = nodes.load_kw.copy()
    at = nodes.id[k]
    while at:
        position = nodes.id.index(at)
        load[position, t] += more_kw
        at = nodes.parent[position]
    after = solve(replace(problem, nodes=replace(nodes, load_kw=load))).objective_eur
    told = plan.shadow_price_eur_per_kwh[k, t] * more_kw * problem.step_h[t]
    assert after - plan.objective_eur >= told - 1e-6 * scale_of(problem)


@few
@given(problems(kind_to_limits=True))
def test_plain_rules_keep_every_limit_and_cost_no_less_than_the_optimum(problem: Problem) -> None:
    plan = fallback(problem)
    assert verify(problem, plan) == []
    assert not (plan.import_kw > problem.nodes.import_limit_kw + 1e-6).any()
    assert not plan.row_over_kw.any()
    assert not plan.discharge_kw.any()
    assert plan.objective_eur >= solve(problem).lower_bound_eur - 1e-7 * scale_of(problem)


@few
@given(problems(least_visits=1))
def test_charging_and_discharging_at_once_happens_only_where_energy_has_a_negative_worth(
    problem: Problem,
) -> None:
    visits = replace(problem.visits, dwell_kwh=None, dwell_eur_per_kwh_h=None)
    problem = replace(problem, rows=None, visits=visits)
    plan = solve(problem)
    place = [problem.nodes.id.index(name) for name in problem.visits.node]
    worth = plan.shadow_price_eur_per_kwh[place]
    both = (plan.charge_kw > 1e-4) & (plan.discharge_kw > 1e-4)
    assert (worth[both] <= 1e-9 * scale_of(problem)).all()
    lossless = problem.visits.charge_efficiency * problem.visits.discharge_efficiency == 1
    assert not both[lossless].any()
    assert any("at once" in note for note in plan.notes) == both.any()


def beyond_limits_kwh(problem: Problem, plan: Plan) -> float:
    return float((plan.over_limit_kw @ problem.step_h).sum())


def missing_kwh(problem: Problem, plan: Plan) -> float:
    """Unmet at departure, and below the minimum (a kWh for the shortest step is a kWh)."""
    prices = penalties(problem)
    total = bill(
        problem, plan.charge_kw, plan.discharge_kw, trip_unmet_kwh=plan.trip_unmet_kwh
    ).penalty_eur
    total -= prices.limit_eur_per_kwh * beyond_limits_kwh(problem, plan)
    return total / prices.unmet_eur_per_kwh


@few
@given(problems(least_visits=1))
def test_money_never_decides_against_energy_nor_energy_against_a_limit(problem: Problem) -> None:
    problem = replace(problem, rows=None)
    nodes, visits = problem.nodes, problem.visits
    none = np.zeros(len(visits.id))
    free = replace(
        problem,
        visits=replace(
            visits,
            wear_eur_per_kwh=none,
            value_eur_per_kwh=none,
            dwell_kwh=None,
            dwell_eur_per_kwh_h=None,
        ),
        nodes=replace(
            nodes,
            import_price_eur_per_kwh=np.zeros(nodes.load_kw.shape),
            export_price_eur_per_kwh=np.zeros(nodes.load_kw.shape),
            demand_charge_eur_per_kw=np.zeros(len(nodes.id)),
        ),
    )
    anything_goes = replace(
        free,
        visits=replace(
            visits,
            target_kwh=none * np.nan,
            min_kwh=np.where(
                np.isnan(visits.energy_kwh),
                visits.min_kwh,
                np.minimum(visits.min_kwh, visits.energy_kwh),
            ),
        ),
    )
    plan, for_nothing, no_wishes = solve(problem), solve(free), solve(anything_goes)
    assert np.isclose(
        beyond_limits_kwh(problem, plan),
        beyond_limits_kwh(problem, no_wishes),
        rtol=1e-6,
        atol=1e-4,
    )
    assert np.isclose(
        missing_kwh(problem, plan), missing_kwh(free, for_nothing), rtol=1e-6, atol=1e-3
    )
