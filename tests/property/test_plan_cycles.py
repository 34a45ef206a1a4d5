"""A price on the depth of cycles: the slices of the programme are rainflow counting on the closed day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plan_problems import problems, scale_of

from gridleaf.battery.rainflow import cycle_cost
from gridleaf.plan import Nodes, Problem, Visits, bill, solve, verify

Floats = NDArray[np.float64]
few = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def deep(draw: st.DrawFn, *, convex: bool = True) -> Problem:
    """A problem in which the cycles of some vehicles have a price, alike along a vehicle's visits."""
    problem = draw(problems(least_visits=1, convex=convex))
    visits = problem.visits
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, wide = len(visits.id), int(rng.integers(1, 5))
    price = np.sort(np.round(rng.uniform(0, 0.3, (count, wide)), 3), axis=1)
    span = np.round(rng.uniform(2, 40, count), 1)
    for i, slices in enumerate(rng.integers(0, wide + 1, count)):
        price[i, slices:] = np.nan
        span[i] = span[i] if slices else np.nan
    after = visits.after or ("",) * count
    for i in range(count):
        first = i
        while after[first]:
            first = visits.id.index(after[first])
        price[i], span[i] = price[first], span[first]
    return replace(problem, visits=replace(visits, depth_kwh=span, depth_eur_per_kwh=price))


@few
@given(deep())
def test_the_programme_prices_a_schedule_as_rainflow_counting_does(problem: Problem) -> None:
    plan = solve(problem, method="exact")
    # the bill counts cycles, the bound comes from the slices of the programme
    assert plan.objective_eur - plan.lower_bound_eur <= 1e-6 * scale_of(problem)
    assert verify(problem, plan) == []


@few
@given(deep(convex=False))
def test_it_does_so_where_directions_are_chosen_too(problem: Problem) -> None:
    plan = solve(problem, method="exact")
    assert plan.objective_eur - plan.lower_bound_eur <= 2e-6 * scale_of(problem)
    assert verify(problem, plan) == []


@settings(few, suppress_health_check=[HealthCheck.filter_too_much])  # many plans wear nothing
@given(deep(), st.floats(0.5, 1.0))
def test_a_plan_that_hides_the_wear_of_its_cycles_is_found(problem: Problem, share: float) -> None:
    plan = solve(problem, method="exact")
    free = replace(problem, visits=replace(problem.visits, depth_kwh=None, depth_eur_per_kwh=None))
    worn = bill(problem, plan.charge_kw, plan.discharge_kw).wear_eur
    worn -= bill(free, plan.charge_kw, plan.discharge_kw).wear_eur
    hidden = replace(plan, objective_eur=plan.objective_eur - share * worn)
    assume(share * worn > 1e-4 * scale_of(problem))
    assert any("schedules cost" in fault for fault in verify(problem, hidden))


def depth_loss(depth: Floats) -> Floats:
    """Loss of life by one cycle: Xu, Zhao, Zheng, Litvinov, Kirschen 2018, arXiv 1707.04567."""
    return np.asarray(5.24e-4 * depth**2.03)


CAPACITY_KWH = 40.0


def one_day(pack_eur_per_kwh: float, seed: int, slices: int = 20) -> Problem:
    """A vehicle that stays for a day, with a price on the depth of its cycles."""
    rng, steps, one = np.random.default_rng(seed), 96, np.ones(1)
    hour = np.arange(steps) / 4
    buy = 0.15 + 0.1 * np.sin(4 * np.pi * (hour - 3.6) / 24) + 0.01 * rng.standard_normal(steps)
    edges = np.linspace(0.0, 1.0, slices + 1)
    price = pack_eur_per_kwh * np.diff(depth_loss(edges)) * slices
    none = np.full((1, steps), np.nan)
    return Problem(
        start=datetime(2026, 1, 5, tzinfo=UTC),
        step_h=np.full(steps, 0.25),
        visits=Visits(
            id=("car",),
            node=("site",),
            arrive=np.zeros(1, dtype=np.int64),
            depart=np.full(1, steps),
            energy_kwh=0.5 * CAPACITY_KWH * one,
            target_kwh=0.5 * CAPACITY_KWH * one,
            min_kwh=0.0 * one,
            max_kwh=CAPACITY_KWH * one,
            charge_kw=7.0 * one,
            discharge_kw=7.0 * one,
            charge_efficiency=0.95 * one,
            discharge_efficiency=0.95 * one,
            wear_eur_per_kwh=0.0 * one,
            value_eur_per_kwh=0.0 * one,
            depth_kwh=CAPACITY_KWH * one,
            depth_eur_per_kwh=price[None],
        ),
        nodes=Nodes(
            id=("site",),
            parent=("",),
            import_limit_kw=none,
            export_limit_kw=none,
            load_kw=np.zeros((1, steps)),
            import_price_eur_per_kwh=buy[None],
            export_price_eur_per_kwh=buy[None],
            demand_charge_eur_per_kw=np.zeros(1),
            peak_so_far_kw=np.zeros(1),
        ),
    )


def path_of(problem: Problem) -> Floats:
    """The energies of its best day, at the edges of the steps."""
    plan = solve(problem, method="exact")
    gained = plan.charge_kw[0] * 0.95 - plan.discharge_kw[0] / 0.95
    return np.append(0.0, np.cumsum(gained * problem.step_h)) + problem.visits.energy_kwh[0]


@pytest.mark.parametrize("pack_eur_per_kwh", [75, 150, 300, 600])
@pytest.mark.parametrize("seed", [1, 2])
def test_slices_are_within_2_percent_of_rainflow_over_200_days(
    pack_eur_per_kwh: float, seed: int
) -> None:
    problem = one_day(pack_eur_per_kwh, seed)
    path = path_of(problem)
    price = problem.visits.depth_eur_per_kwh
    assert price is not None
    said = cycle_cost(path, CAPACITY_KWH / price.shape[1], price[0])
    value = pack_eur_per_kwh * CAPACITY_KWH
    many = half_cycles(np.tile(path[:-1], 200) / CAPACITY_KWH)
    true = value * sum(weight * depth_loss(np.array(depth)) for depth, weight in many) / 200
    assert said == pytest.approx(float(true), rel=0.02)


def half_cycles(path: Floats) -> list[tuple[float, float]]:
    """Depth and weight of the cycles of an open sequence (ASTM E1049, section 5.4.4)."""
    path = path[np.append(True, np.diff(path) != 0)]
    turning = np.diff(path[:-1]) * np.diff(path[1:]) < 0
    turns = path[np.concatenate(([True], turning, [True]))].tolist()
    found: list[tuple[float, float]] = []
    stack: list[float] = []
    for value in turns:
        stack.append(value)
        while len(stack) > 2 and abs(stack[-1] - stack[-2]) >= abs(stack[-2] - stack[-3]):
            inner = abs(stack[-2] - stack[-3])
            if len(stack) == 3:
                found.append((inner, 0.5))
                stack.pop(0)
            else:
                found.append((inner, 1.0))
                del stack[-3:-1]
    return found + [(abs(a - b), 0.5) for a, b in pairwise(stack)]


def test_a_dearer_pack_gives_less_back_every_day() -> None:
    given_kwh = []
    for pack_eur_per_kwh in (75, 150, 300, 600):
        plan = solve(one_day(pack_eur_per_kwh, seed=1), method="exact")
        given_kwh.append(float(plan.discharge_kw.sum() / 4))
    assert given_kwh == sorted(given_kwh, reverse=True)
    assert given_kwh[0] > 2 * given_kwh[-1] > 10
