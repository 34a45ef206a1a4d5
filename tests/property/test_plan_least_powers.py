"""Least powers: both planners against the mathematics, on random problems with every feature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plan_problems import optimum, problems, scale_of

from gridleaf.plan import Plan, Problem, fallback, solve, verify
from gridleaf.plan.fleet import solve_fleet

some = settings(max_examples=80, deadline=None, derandomize=True)


def without(problem: Problem) -> Problem:
    visits = replace(problem.visits, min_charge_kw=None, min_discharge_kw=None)
    return replace(problem, visits=visits)


@some
@given(problems(stepped=True))
def test_the_exact_plan_costs_what_an_independent_formulation_costs(problem: Problem) -> None:
    plan = solve(problem, gap=0.0)
    best = optimum(problem)
    rounding = 1e-6 * scale_of(problem) + 2e-6 * abs(best)
    assert abs(plan.objective_eur - best) <= rounding
    assert best - rounding <= plan.lower_bound_eur + rounding
    assert plan.lower_bound_eur <= best + rounding
    assert verify(problem, plan) == []


@some
@given(problems(stepped=True))
def test_least_powers_never_cheapen(problem: Problem) -> None:
    free = solve(without(problem)).objective_eur
    kept = solve(problem, gap=0.0).objective_eur
    assert kept >= free - 1e-7 * scale_of(problem) - 1e-6 * abs(free)


@some
@given(problems(stepped=True, together=True))
def test_the_fleet_method_keeps_them_and_its_bound_holds(problem: Problem) -> None:
    plan = solve_fleet(problem)
    best = solve(problem, gap=0.0).objective_eur
    rounding = 1e-6 * scale_of(problem) + 1e-6 * abs(best)
    assert plan.lower_bound_eur <= best + rounding
    assert plan.objective_eur >= best - rounding
    assert verify(problem, plan) == []


@some
@given(problems(stepped=True, kind_to_limits=True))
def test_plain_rules_keep_them_and_every_limit(problem: Problem) -> None:
    plan = fallback(problem)
    assert verify(problem, plan) == []
    assert not (plan.import_kw > problem.nodes.import_limit_kw + 1e-6).any()


@some
@given(problems(stepped=True, least_visits=1), st.integers(0, 3), st.integers(0, 5))
def test_a_power_below_the_least_or_two_at_once_are_found(
    problem: Problem, visit: int, step: int
) -> None:
    visits = problem.visits
    i, t = visit % len(visits.id), step % len(problem.step_h)
    least = 0.0 if visits.min_charge_kw is None else np.nan_to_num(visits.min_charge_kw[i])
    assume(least > 0.01)
    plan = solve(problem)
    assert "below its least power" in " ".join(verify(problem, _with(plan, i, t, least / 2, 0.0)))
    assert "discharges at once" in " ".join(verify(problem, _with(plan, i, t, least, 1.0)))


def _with(plan: Plan, i: int, t: int, charge: float, discharge: float) -> Plan:
    charge_kw, discharge_kw = plan.charge_kw.copy(), plan.discharge_kw.copy()
    charge_kw[i, t], discharge_kw[i, t] = charge, discharge
    return replace(plan, charge_kw=charge_kw, discharge_kw=discharge_kw)
