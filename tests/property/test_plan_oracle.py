"""The compiled vehicle against HiGHS, on random vehicles and prices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_problems import problems, unchained, vehicle, with_visits

from gridleaf.plan import Problem, oracle, penalties, solve
from gridleaf.plan.problem import Floats
from gridleaf.plan.sweep import Fleet, Sweeper, listed_columns, pack, ranked, sweeper
from gridleaf.plan.vehicles import chains


def alone(problem: Problem, visit: int, price: Floats) -> Problem:
    """The vehicle of one visit at a meter that buys and sells at the same price."""
    single = with_visits(problem, vehicle(problem, visit))
    visits = replace(single.visits, node=("meter",) * len(single.visits.id))
    none = np.full((1, len(price)), np.nan)
    nodes = replace(
        problem.nodes,
        id=("meter",),
        parent=("",),
        import_limit_kw=none,
        export_limit_kw=none,
        load_kw=np.zeros((1, len(price))),
        import_price_eur_per_kwh=price[None, :],
        export_price_eur_per_kwh=price[None, :],
        demand_charge_eur_per_kw=np.zeros(1),
        peak_so_far_kw=np.zeros(1),
    )
    return replace(problem, visits=visits, nodes=nodes, rows=None)


def answer(fleet: Fleet, price: Floats) -> tuple[Floats, float]:
    """What all vehicles draw ``(T,)`` [kWh] and what that costs with everything else [EUR]."""
    groups = np.arange(len(fleet.kind))
    with sweeper(fleet, workers=1) as vehicles:
        vectors = ranked(price[None, :])
        flow, own = vehicles.ask(groups, 0 * groups, vectors, vehicles.sample(1.0))
    return flow.sum(axis=0), float(own.sum() + (flow @ price).sum())


def packed(problem: Problem) -> Fleet:
    return pack(problem, penalties(problem), np.zeros(len(problem.visits.id), dtype=np.int64), 1)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(problems(least_visits=1), st.integers(0, 2**32 - 1), st.booleans())
def test_a_vehicle_alone_does_what_the_linear_programme_does(
    problem: Problem, seed: int, coarse: bool
) -> None:
    rng = np.random.default_rng(seed)
    price = rng.uniform(-0.3, 0.6, len(problem.step_h))
    if coarse:
        price = np.round(price, 1)
    single = alone(problem, int(rng.integers(len(problem.visits.id))), price)
    exact = solve(single)
    _, cost = answer(packed(single), price)
    prices = penalties(single)
    scale = 1.0 + prices.short_eur_per_kwh_h * single.step_h.max()
    if single.visits.after is not None:
        scale += prices.trip_eur_per_kwh
    assert abs(cost - exact.objective_eur) <= 1e-6 * max(1.0, abs(cost)) + 1e-8 * scale


@settings(max_examples=300, deadline=None, derandomize=True)
@given(problems(least_visits=1), st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_all_ways_to_solve_a_vehicle_agree(problem: Problem, seed: int, repeat: int) -> None:
    """Bit sets over ranks and sorted lists, on longer days than an independent solver needs."""
    rng = np.random.default_rng(seed)
    steps = len(problem.step_h)
    visits = unchained(problem).visits
    longer = replace(
        problem,
        step_h=np.tile(problem.step_h, repeat),
        visits=replace(
            visits,
            arrive=visits.arrive,
            depart=np.where(visits.depart > visits.arrive, visits.depart + steps * (repeat - 1), 0)
            .clip(min=visits.arrive)
            .astype(np.int64),
            charge_kw=np.tile(visits.charge_kw, repeat)
            if visits.charge_kw.ndim == 2
            else visits.charge_kw,
            discharge_kw=np.tile(visits.discharge_kw, repeat)
            if visits.discharge_kw.ndim == 2
            else visits.discharge_kw,
        ),
        rows=None,
    )
    price = rng.uniform(-0.3, 0.6, steps * repeat)
    fleet = packed(longer)
    listed = fleet.cars.copy()
    listed[:, oracle.KIND] = oracle.LISTED
    flow, cost = answer(fleet, price)
    more = listed_columns(longer, penalties(longer), chains(longer.visits), fleet.order)
    other_flow, other_cost = answer(replace(fleet, cars=listed, more=more), price)
    assert abs(cost - other_cost) <= 1e-9 * max(1.0, abs(cost)) * len(visits.id)
    np.testing.assert_allclose(flow, other_flow, atol=1e-6)


def test_a_sample_stands_for_its_group() -> None:
    from gridleaf.bench.instances import fleet as benchmark_fleet

    problem = benchmark_fleet(4000)
    price = problem.nodes.import_price_eur_per_kwh
    fleet = pack(problem, penalties(problem), np.zeros(4000, dtype=np.int64), 32)
    with sweeper(fleet, workers=1) as vehicles:
        whole, tenth = (_sums(vehicles, price, share) for share in (1.0, 0.1))
    assert np.abs(tenth - whole).sum() < 0.05 * np.abs(whole).sum()


def _sums(vehicles: Sweeper, price: Floats, share: float) -> Floats:
    groups = np.arange(len(vehicles.fleet.kind))
    flow, _ = vehicles.ask(groups, 0 * groups, ranked(price), vehicles.sample(share))
    return flow.sum(axis=0)


def test_threads_change_nothing() -> None:
    from gridleaf.bench.instances import fleet as benchmark_fleet

    problem = benchmark_fleet(4000)
    price = problem.nodes.import_price_eur_per_kwh
    fleet = pack(problem, penalties(problem), np.zeros(4000, dtype=np.int64), 8)
    sums = []
    for workers in (1, 2, 3):
        with sweeper(fleet, workers) as vehicles:
            sums.append(_sums(vehicles, price, 1.0))
    np.testing.assert_array_equal(sums[0], sums[1])
    np.testing.assert_array_equal(sums[0], sums[2])
