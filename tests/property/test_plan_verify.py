"""The independent check finds what is planted into accepted plans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plan_problems import problems, unchained

from gridleaf.plan import Plan, Problem, bill, solve, verify

few = settings(max_examples=40, deadline=None, derandomize=True)
cell = st.tuples(st.integers(0, 3), st.integers(0, 5))


def faults_of(problem: Problem, plan: Plan, **changes: Any) -> str:
    return " ".join(verify(problem, replace(plan, **changes)))


def nudged(values: np.ndarray, at: tuple[int, ...], by: float) -> np.ndarray:
    result = values.copy()
    result[tuple(index % size for index, size in zip(at, values.shape, strict=True))] += by
    return result


@few
@given(problems(least_visits=1), cell)
def test_a_power_above_its_bound_is_found(problem: Problem, at: tuple[int, int]) -> None:
    plan = solve(problem)
    for name, most in (
        ("charge_kw", problem.visits.charge_kw),
        ("discharge_kw", problem.visits.discharge_kw),
    ):
        bound = most.max() + 0.01
        planted = nudged(getattr(plan, name) * 0, at, bound)
        found = faults_of(problem, plan, **{name: planted})
        assert "above its bound" in found or "outside its window" in found


@few
@given(problems(least_visits=1), cell)
def test_power_of_the_wrong_sign_is_found(problem: Problem, at: tuple[int, int]) -> None:
    plan = solve(problem)
    planted = nudged(plan.charge_kw * 0, at, -0.01)
    assert "negative power" in faults_of(problem, plan, charge_kw=planted)


@few
@given(problems(least_visits=1))
def test_an_overfull_or_overdrawn_battery_is_found(problem: Problem) -> None:
    problem = unchained(problem)
    plan = solve(problem)
    visits = problem.visits
    # the same schedules for batteries that hold half of what the plan puts through them
    gain = problem.step_h * (
        plan.charge_kw * visits.charge_efficiency[:, None]
        - plan.discharge_kw / visits.discharge_efficiency[:, None]
    )
    change = np.cumsum(gain, axis=1)
    assume((np.abs(change) > 0.1).any())
    tight = replace(
        problem,
        visits=replace(
            visits,
            min_kwh=visits.energy_kwh + 0.5 * np.minimum(change.min(axis=1), 0),
            max_kwh=visits.energy_kwh + 0.5 * np.maximum(change.max(axis=1), 0),
        ),
    )
    assert "than its m" in faults_of(tight, plan)


@few
@given(problems(least_visits=1), cell, st.sampled_from([-0.01, 0.01]))
def test_a_hidden_shortfall_is_found(problem: Problem, at: tuple[int, int], by: float) -> None:
    plan = solve(problem)
    planted = nudged(plan.unmet_kwh, at[:1], by)
    assert "short of its target" in faults_of(problem, plan, unmet_kwh=planted)


@few
@given(problems(least_visits=2), cell, st.sampled_from([-0.01, 0.01]))
def test_energy_that_a_trip_did_not_bring_is_found(
    problem: Problem, at: tuple[int, int], by: float
) -> None:
    assume(problem.visits.after is not None)
    plan = solve(problem)
    planted = nudged(plan.trip_unmet_kwh, at[:1], by)
    assert faults_of(problem, plan, trip_unmet_kwh=planted)
    assert "shape" in faults_of(problem, plan, trip_unmet_kwh=np.zeros(0))


@few
@given(problems(least_visits=1))
def test_a_forgotten_cost_of_charge_level_is_found(problem: Problem) -> None:
    visits = problem.visits
    levels, slopes = np.full((len(visits.id), 1), -1.0), np.ones((len(visits.id), 1))
    visits = replace(visits, dwell_kwh=levels, dwell_eur_per_kwh_h=slopes)
    problem = replace(problem, visits=visits)
    plan = solve(problem)
    dwell = bill(
        problem, plan.charge_kw, plan.discharge_kw, trip_unmet_kwh=plan.trip_unmet_kwh
    ).dwell_eur
    assume((visits.depart > visits.arrive).any())
    found = faults_of(problem, plan, objective_eur=plan.objective_eur - dwell)
    assert "The schedules cost" in found


@few
@given(problems(), cell, st.sampled_from([-0.01, 0.01]))
def test_a_wrong_flow_or_a_hidden_overload_is_found(
    problem: Problem, at: tuple[int, int], by: float
) -> None:
    plan = solve(problem)
    for name in ("import_kw", "export_kw"):
        planted = nudged(getattr(plan, name), at, by)
        assert "the plan differs" in faults_of(problem, plan, **{name: planted})
    both = {name: getattr(plan, name) + 1.0 for name in ("import_kw", "export_kw")}
    assert "exports at once" in faults_of(problem, plan, **both)
    planted = nudged(plan.over_limit_kw, at, by)
    assert "beyond its limit" in faults_of(problem, plan, over_limit_kw=planted)


@few
@given(problems(), cell)
def test_a_hidden_break_of_a_row_is_found(problem: Problem, at: tuple[int, int]) -> None:
    assume(problem.rows is not None)
    plan = solve(problem)
    planted = nudged(plan.row_over_kw, at, 0.01)
    assert "beyond its bound" in faults_of(problem, plan, row_over_kw=planted)


@few
@given(problems())
def test_a_wrong_cost_bound_or_gap_is_found(problem: Problem) -> None:
    plan = solve(problem)
    off = 1e-3 * (1 + abs(plan.objective_eur))
    assert "the plan says" in faults_of(problem, plan, objective_eur=plan.objective_eur - off)
    assert "above the objective" in faults_of(
        problem, plan, lower_bound_eur=plan.objective_eur + off
    )
    assert "The gap" in faults_of(problem, plan, lower_bound_eur=plan.objective_eur - off)
    assert "The gap" in faults_of(problem, plan, lower_bound_eur=-np.inf)
    assert "bound" in faults_of(problem, plan, lower_bound_eur=np.nan)
    assert "gap" in faults_of(problem, plan, gap=np.nan)


@few
@given(problems(least_visits=1))
def test_a_plan_for_something_else_is_found(problem: Problem) -> None:
    plan = solve(problem)
    assert "other visits" in faults_of(problem, plan, visit_id=("x", *plan.visit_id[1:]))
    assert "other nodes" in faults_of(problem, plan, node_id=("x", *plan.node_id[1:]))
    assert "shape" in faults_of(problem, plan, charge_kw=plan.charge_kw[:, :0])
    assert "finite" in faults_of(problem, plan, import_kw=plan.import_kw * np.nan)


@few
@given(problems(least_visits=1), st.integers(0, 12))
def test_single_precision_is_accepted(problem: Problem, scale: int) -> None:
    """Whatever the size of the powers: a depot of cars, of lorries or of ships."""
    visits, nodes = problem.visits, problem.nodes
    size = 2.0**scale
    larger = {
        name: getattr(visits, name) * size
        for name in ("energy_kwh", "target_kwh", "min_kwh", "max_kwh", "charge_kw", "discharge_kw")
    }
    limits = {
        name: getattr(nodes, name) * size
        for name in ("import_limit_kw", "export_limit_kw", "load_kw", "peak_so_far_kw")
    }
    rows = problem.rows
    if rows is not None:
        rows = replace(rows, bound_kw=rows.bound_kw * size)
    problem = replace(
        problem,
        visits=replace(visits, **larger),
        nodes=replace(nodes, **limits),
        rows=rows,
    )
    plan = solve(problem)
    single = replace(
        plan,
        charge_kw=plan.charge_kw.astype(np.float32),
        discharge_kw=plan.discharge_kw.astype(np.float32),
    )
    assert verify(problem, single) == []
