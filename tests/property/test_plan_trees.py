"""The fleet method on random trees whose limits bind, against the exact method."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.plan import Nodes, Problem, Rows, Visits, bill, solve, verify
from gridleaf.plan.fleet import solve_fleet


@st.composite
def trees(draw: st.DrawFn) -> Problem:
    """A feeder with 6 to 10 sites, some with circuits, of 40 to 60 visits over 8 to 16 steps."""
    sites = draw(st.integers(6, 10))
    steps = draw(st.integers(8, 16))
    count = draw(st.integers(40, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    circuits = draw(st.booleans())
    metered = draw(st.booleans())
    demand = draw(st.sampled_from(["none", "feeder", "sites"]))
    spread = draw(st.booleans())
    tight = draw(st.sampled_from([0.05, 0.3, 0.6, 1.2]))
    parent = ["", *["feeder"] * sites]
    names = ["feeder", *(f"s{k}" for k in range(sites))]
    if circuits:
        names += [f"c{k}" for k in range(sites)]
        parent += [f"s{k}" for k in range(sites)]
    nodes = len(names)
    node = rng.integers(1, nodes, count)
    arrive = rng.integers(0, steps - 2, count)
    depart = np.minimum(arrive + rng.integers(2, steps, count), steps)
    energy = rng.uniform(5, 20, count)
    charge = rng.choice([7.4, 11.0, 22.0], count)
    below = np.full(nodes, count)
    for k in range(sites):
        below[1 + k] = (node == 1 + k).sum() + circuits * (node == 1 + sites + k).sum()
        if circuits:
            below[1 + sites + k] = (node == 1 + sites + k).sum()
    limit = np.repeat(6.0 * tight * below[:, None], steps, axis=1) * rng.uniform(
        0.7, 1.3, (nodes, 1)
    )
    load = rng.uniform(-1, 1, (nodes, steps)) * 0.5 * limit
    price = np.full((nodes, steps), np.nan)
    price[0] = rng.uniform(0.1, 0.4, steps)
    if metered:
        price[1 : 1 + sites] = 0.02
    charges = np.zeros(nodes)
    if demand == "feeder":
        charges[0] = 0.2
    if demand == "sites":
        charges[1 : 1 + sites] = 0.3
    rows = None
    if draw(st.booleans()):
        rows = Rows(
            id=("all", "one"),
            coefficient=np.stack((rng.uniform(0, 1, count), np.where(node == 1, 0.5, 0.0))),
            bound_kw=np.stack((np.full(steps, 3.0 * count), np.full(steps, 6.0))),
        )
    return Problem(
        start=datetime(2026, 1, 5, 12, tzinfo=UTC),
        step_h=np.full(steps, 0.5),
        visits=Visits(
            id=tuple(f"v{i}" for i in range(count)),
            node=tuple(names[k] for k in node),
            arrive=arrive,
            depart=depart,
            energy_kwh=energy,
            target_kwh=energy + rng.uniform(0, 25, count),
            min_kwh=np.full(count, 4.0),
            max_kwh=np.full(count, 50.0),
            charge_kw=charge,
            discharge_kw=charge * (rng.random(count) < 0.6),
            charge_efficiency=np.full(count, 0.95),
            discharge_efficiency=np.full(count, 0.93),
            wear_eur_per_kwh=np.full(count, 0.03),
            value_eur_per_kwh=np.full(count, draw(st.sampled_from([0.0, 0.2]))),
        ),
        nodes=Nodes(
            id=tuple(names),
            parent=tuple(parent),
            import_limit_kw=limit,
            export_limit_kw=limit / 2,
            load_kw=load,
            import_price_eur_per_kwh=price,
            export_price_eur_per_kwh=price - 0.01 * spread,
            demand_charge_eur_per_kw=charges,
            peak_so_far_kw=np.zeros(nodes),
        ),
        rows=rows,
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(trees())
def test_bound_and_plan_of_a_tree_enclose_the_optimum(problem: Problem) -> None:
    best = solve(problem, method="exact").objective_eur
    plan = solve_fleet(problem)
    rounding = 1e-6 * max(1.0, abs(best))
    assert verify(problem, plan) == []
    assert plan.lower_bound_eur <= best + rounding
    assert plan.objective_eur >= best - rounding
    assert plan.gap <= 1e-4
    cost = bill(problem, plan.charge_kw, plan.discharge_kw).objective_eur
    assert abs(cost - plan.objective_eur) <= 1e-9 * max(1.0, abs(cost))
