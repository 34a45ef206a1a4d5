"""The fleet method against the exact one, on random small problems with every feature."""

from __future__ import annotations

from hypothesis import given, settings
from plan_problems import problems, scale_of

from gridleaf.plan import Problem, bill, penalties, solve, verify
from gridleaf.plan.cost import NOTHING
from gridleaf.plan.fleet import solve_fleet


@settings(max_examples=200, deadline=None, derandomize=True)
@given(problems(together=True))
def test_the_bound_is_below_the_optimum_and_the_plan_above(problem: Problem) -> None:
    best = solve(problem).objective_eur
    plan = solve_fleet(problem, gap=1e-6)
    rounding = 1e-7 * scale_of(problem)
    assert plan.lower_bound_eur <= best + rounding
    # less than NOTHING beyond a limit has no price, and powers in single precision use that
    hours = problem.step_h.sum() * len(problem.nodes.id)
    free = NOTHING * penalties(problem).limit_eur_per_kwh * hours
    assert plan.objective_eur >= best - 3 * rounding - free
    assert plan.objective_eur <= best + 2e-6 * abs(best) + 10 * rounding
    assert plan.lower_bound_eur >= best - 2e-6 * abs(best) - 10 * rounding
    assert verify(problem, plan) == []
    cost = bill(
        problem, plan.charge_kw, plan.discharge_kw, trip_unmet_kwh=plan.trip_unmet_kwh
    ).objective_eur
    assert abs(cost - plan.objective_eur) <= rounding
