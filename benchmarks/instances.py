"""Planning problems to measure with: a family of fleets by size, and depots as they are re-planned.

:func:`fleet` draws the vehicles of N one-day plug-ins on one site from a seed, always the same.
:func:`depot` is what a controller solves every few minutes: vehicles that are here now, steps that
grow with the distance, circuits, phases.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from gridleaf.plan.problem import Floats, Nodes, Problem, Rows, Visits

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
STEPS, STEP_H = 96, 0.25


def fleet(count: int, variant: Literal["core", "full"] = "core", seed: int = 0) -> Problem:
    """A site with ``count`` visits over a day of 96 quarter hours from noon.

    ``core`` sells at the price it buys at and has no demand charge; ``full`` sells for less and pays
    for its peak. The order of the draws is part of the definition.
    """
    rng = np.random.default_rng(seed + 7919 * count)
    arrive = np.clip(rng.normal(22, 10, count), 0, 60).astype(np.int64)
    stay = np.clip(rng.normal(48, 12, count), 12, 80).astype(np.int64)
    depart = np.minimum(arrive + stay, STEPS)
    capacity = rng.choice([40.0, 52.0, 64.0, 77.0, 100.0], count)
    charge = rng.choice([7.4, 11.0, 22.0], count, p=[0.30, 0.55, 0.15])
    discharge = charge * rng.choice([0, 1], count, p=[0.30, 0.70])
    into = rng.uniform(0.90, 0.97, count)
    out = rng.uniform(0.90, 0.97, count)
    energy = capacity * rng.uniform(0.15, 0.60, count)
    floor, cap = 0.10 * capacity, 0.95 * capacity
    want = capacity * rng.uniform(0.6, 0.9, count)
    reach = energy + 0.9 * charge * into * STEP_H * (depart - arrive)
    target = np.maximum(np.minimum(want, reach), floor)
    wear = rng.uniform(0.02, 0.06, count)
    hour = (12 + np.arange(STEPS) * STEP_H) % 24
    price = (
        0.18
        + 0.10 * np.exp(-(((hour - 19) / 2.2) ** 2))
        - 0.07 * np.exp(-(((hour - 3.5) / 3.0) ** 2))
        - 0.05 * np.exp(-(((hour - 13) / 2) ** 2))
        + rng.normal(0, 0.006, STEPS)
    )
    need = np.sum(np.maximum(target - energy, 0) / into)
    base = count * (0.35 + 0.25 * np.exp(-(((hour - 19) / 2.5) ** 2)))
    sun = np.abs(hour - 13) < 6
    pv = 0.8 * count * np.where(sun, np.maximum(np.cos((hour - 13) / 6 * np.pi / 2), 0), 0)
    import_limit = 1.35 * 1.45 * need / (STEPS * STEP_H) + base.mean()
    full = variant == "full"
    return Problem(
        start=NOON,
        step_h=np.full(STEPS, STEP_H),
        visits=Visits(
            id=tuple(f"v{i}" for i in range(count)),
            node=("site",) * count,
            arrive=arrive,
            depart=depart,
            energy_kwh=energy,
            target_kwh=target,
            min_kwh=floor,
            max_kwh=cap,
            charge_kw=charge,
            discharge_kw=discharge,
            charge_efficiency=into,
            discharge_efficiency=out,
            wear_eur_per_kwh=wear,
            value_eur_per_kwh=np.zeros(count),
        ),
        nodes=Nodes(
            id=("site",),
            parent=("",),
            import_limit_kw=np.full((1, STEPS), import_limit),
            export_limit_kw=np.full((1, STEPS), import_limit / 2),
            load_kw=(base - pv)[None, :],
            import_price_eur_per_kwh=price[None, :],
            export_price_eur_per_kwh=(0.8 * price - 0.01 if full else price)[None, :],
            demand_charge_eur_per_kw=np.array([0.35 if full else 0.0]),
            peak_so_far_kw=np.zeros(1),
        ),
    )


def rich(count: int, seed: int = 0) -> Problem:
    """:func:`fleet` ("full") with a day of two stays for each vehicle, and a price on a high charge level.

    The stay is cut in two by a trip of one to three hours that takes 5 to 15 % of the battery; what is
    wanted at the end is wanted then. Every hour plugged in costs more the fuller the cells are, above
    60 % and again above 80 %, and a little below 20 %.
    """
    problem = fleet(count, "full", seed)
    rng = np.random.default_rng(seed + 104729 * count)
    visits = problem.visits
    stay = visits.depart - visits.arrive
    away = np.minimum(rng.integers(4, 13, count), stay - 4)
    leaves = visits.arrive + ((stay - away) * rng.uniform(0.3, 0.7, count)).astype(np.int64)
    returns = leaves + away
    capacity = visits.max_kwh / 0.95
    per_step = 0.85 * visits.charge_kw * visits.charge_efficiency * STEP_H
    least = visits.energy_kwh - visits.min_kwh + per_step * (leaves - visits.arrive)
    trip = np.minimum(np.round(capacity * rng.uniform(0.05, 0.15, count), 3), least)
    reach = visits.energy_kwh + per_step * (stay - away)
    target = np.maximum(np.minimum(visits.target_kwh, reach - trip), visits.min_kwh)
    none = np.full(count, np.nan)
    twice = {
        name: np.concatenate((getattr(visits, name), getattr(visits, name)))
        for name in (
            "min_kwh", "max_kwh", "charge_kw", "discharge_kw", "charge_efficiency",
            "discharge_efficiency", "wear_eur_per_kwh", "value_eur_per_kwh",
        )
    }  # fmt: skip
    levels = np.array([0.0, 0.2, 0.6, 0.8]) * capacity[:, None]
    slopes = rng.uniform(0.5, 1.5, count)[:, None] * np.array([-2e-4, 0.0, 4e-4, 1.2e-3])
    return replace(
        problem,
        visits=Visits(
            id=(*visits.id, *(f"{name} again" for name in visits.id)),
            node=visits.node * 2,
            arrive=np.concatenate((visits.arrive, returns)),
            depart=np.concatenate((leaves, visits.depart)),
            energy_kwh=np.concatenate((visits.energy_kwh, none)),
            target_kwh=np.concatenate((none, target)),
            dwell_kwh=np.concatenate((levels, levels)),
            dwell_eur_per_kwh_h=np.concatenate((slopes, slopes)),
            after=(*("",) * count, *visits.id),
            trip_kwh=np.concatenate((none, trip)),
            **twice,
        ),
    )


def with_least_powers(problem: Problem, share: float) -> Problem:
    """The problem with least powers that are a share of the most ones."""
    visits = problem.visits
    least_in, least_out = (power * share for power in (visits.charge_kw, visits.discharge_kw))
    visits = replace(visits, min_charge_kw=least_in, min_discharge_kw=least_out)
    return replace(problem, visits=visits)


def changed(problem: Problem, seed: int, *, prices: bool) -> Problem:
    """The problem a little later: 3 % of the vehicles are others, and prices and load if wanted.

    These have 5 % more energy and leave up to 4 steps earlier or later; prices and load follow random
    walks of 0.3 % a step.
    """
    rng = np.random.default_rng(seed)
    visits, nodes = problem.visits, problem.nodes
    count, steps = len(visits.id), len(problem.step_h)
    other = rng.random(count) < 0.03
    energy = np.where(
        other, np.minimum(visits.energy_kwh * 1.05, visits.max_kwh), visits.energy_kwh
    )
    later = np.clip(visits.depart + rng.integers(-4, 5, count), visits.arrive + 1, steps)
    depart = np.where(other, later, visits.depart)
    reach = energy + 0.9 * visits.charge_kw * visits.charge_efficiency * STEP_H * (
        depart - visits.arrive
    )
    within = np.maximum(np.minimum(visits.target_kwh, reach), visits.min_kwh)
    target = np.where(other, within, visits.target_kwh)
    if prices:
        walk, load = (1 + 0.003 * np.cumsum(rng.normal(size=steps)) for _ in range(2))
        nodes = replace(
            nodes,
            import_price_eur_per_kwh=nodes.import_price_eur_per_kwh * walk,
            export_price_eur_per_kwh=nodes.export_price_eur_per_kwh * walk,
            load_kw=nodes.load_kw * load,
        )
    visits = replace(visits, energy_kwh=energy, depart=depart, target_kwh=target)
    return replace(problem, visits=visits, nodes=nodes)


def feeder(sites: int, cars: int) -> Problem:
    """One feeder that is metered, and ``sites`` below it, each with ``cars`` visits and limits of its own."""
    one = fleet(sites * cars)
    count, steps = sites * cars, STEPS
    load = np.repeat(one.nodes.load_kw / sites, sites, axis=0)
    limit = np.full((sites, steps), 1.1 * one.nodes.import_limit_kw[0, 0] / sites)
    nan = np.full((sites, steps), np.nan)
    nodes = one.nodes
    return replace(
        one,
        visits=replace(one.visits, node=tuple(f"s{i % sites}" for i in range(count))),
        nodes=Nodes(
            id=("site", *(f"s{k}" for k in range(sites))),
            parent=("", *["site"] * sites),
            import_limit_kw=np.concatenate((nodes.import_limit_kw, limit)),
            export_limit_kw=np.concatenate((nodes.export_limit_kw, limit / 2)),
            load_kw=np.concatenate((nodes.load_kw, load)),
            import_price_eur_per_kwh=np.concatenate((nodes.import_price_eur_per_kwh, nan)),
            export_price_eur_per_kwh=np.concatenate((nodes.export_price_eur_per_kwh, nan)),
            demand_charge_eur_per_kw=np.zeros(sites + 1),
            peak_so_far_kw=np.zeros(sites + 1),
        ),
    )


OPTIMUM: dict[tuple[int, str], float] = {
    (10, "core"): 43.399446,
    (10, "full"): 53.768172,
    (100, "core"): 474.396122,
    (100, "full"): 577.231398,
    (1000, "core"): 4710.713947,
    (1000, "full"): 5713.163,
}
"""What :func:`fleet` (seed 0) costs at least [EUR], on which several solvers agree."""


def growing_steps() -> Floats:
    """40 steps over 24 hours [h]: 12 of 5 minutes, 12 of a quarter, 8 of half an hour, 8 longer."""
    return np.concatenate(
        (np.full(12, 1 / 12), np.full(12, 0.25), np.full(8, 0.5), np.full(4, 1.0), np.full(4, 3.0))
    )


def depot(
    count: int = 20,
    *,
    step_h: Floats | None = None,
    v2g: float = 0.7,
    circuits: int = 3,
    phases: bool = True,
    seed: int = 0,
) -> Problem:
    """A depot as its controller sees it: everybody is here now, and leaves within a day.

    Parameters
    ----------
    v2g
        Share of the visits that may discharge.
    circuits
        Circuits below the site, each narrower than what hangs on it.
    phases
        Whether the site's fuses bound each phase, as further rows.
    """
    rng = np.random.default_rng(seed)
    steps = growing_steps() if step_h is None else step_h
    horizon = len(steps)
    edges = np.concatenate(([0.0], np.cumsum(steps)))
    hour = (17 + edges[:-1]) % 24
    capacity = rng.choice([24.0, 40.0, 62.0, 77.0], count)
    charge = rng.choice([7.4, 11.0, 22.0], count)
    leaves = rng.uniform(0.5, 20, count)
    depart = np.searchsorted(edges, leaves, side="left").clip(1, horizon)
    energy = capacity * rng.uniform(0.15, 0.7, count)
    reserve = 0.2 * capacity
    target = np.maximum(capacity * rng.uniform(0.6, 0.9, count), reserve)
    price = 0.20 + 0.12 * np.exp(-(((hour - 19) / 2.5) ** 2)) - 0.08 * (hour < 6)
    load = 0.6 * count + 0.5 * count * np.exp(-(((hour - 19) / 3) ** 2))
    pv = 0.8 * count * np.maximum(np.cos((hour - 13) / 5 * np.pi / 2), 0) * (np.abs(hour - 13) < 5)
    circuit = rng.integers(0, circuits, count) if circuits else np.zeros(count, dtype=np.int64)
    node = tuple(f"row {c}" if circuits else "site" for c in circuit)
    below = [charge[circuit == c].sum() for c in range(circuits)]
    none = np.full((circuits, horizon), np.nan)
    rows = None
    if phases:
        share = np.where(
            charge[None, :] > 8, 1 / 3, rng.integers(0, 3, count) == np.arange(3)[:, None]
        )
        fuse = 4.0 * count / 3 - load / 3
        rows = Rows(
            id=tuple(f"L{p} {way}" for way in ("import", "export") for p in (1, 2, 3)),
            coefficient=np.concatenate((share, -share)),
            bound_kw=np.concatenate(
                (np.tile(np.maximum(fuse, 0), (3, 1)), np.tile(4.0 * count / 3 + load / 3, (3, 1)))
            ),
        )
    return Problem(
        start=NOON,
        step_h=steps,
        visits=Visits(
            id=tuple(f"v{i}" for i in range(count)),
            node=node,
            arrive=np.zeros(count, dtype=np.int64),
            depart=depart,
            energy_kwh=energy,
            target_kwh=target,
            min_kwh=np.minimum(reserve, energy),
            max_kwh=0.95 * capacity,
            charge_kw=charge,
            discharge_kw=np.where(rng.random(count) < v2g, charge, 0.0),
            charge_efficiency=np.full(count, 0.93),
            discharge_efficiency=np.full(count, 0.93),
            wear_eur_per_kwh=np.full(count, 0.04),
            value_eur_per_kwh=np.full(count, 0.95 * price.min() / 0.93),
        ),
        nodes=Nodes(
            id=("site", *(f"row {c}" for c in range(circuits))),
            parent=("", *("site",) * circuits),
            import_limit_kw=np.concatenate(
                (
                    np.full((1, horizon), 4.0 * count),
                    np.array([[0.6 * b] * horizon for b in below]).reshape(circuits, horizon),
                )
            ),
            export_limit_kw=np.concatenate(
                (
                    np.full((1, horizon), 2.0 * count),
                    np.array([[0.6 * b] * horizon for b in below]).reshape(circuits, horizon),
                )
            ),
            load_kw=np.concatenate(((load - pv)[None, :], np.zeros((circuits, horizon)))),
            import_price_eur_per_kwh=np.concatenate((price[None, :], none)),
            export_price_eur_per_kwh=np.concatenate((0.7 * price[None, :], none)),
            demand_charge_eur_per_kw=np.concatenate(([0.35], np.zeros(circuits))),
            peak_so_far_kw=np.concatenate(([1.5 * count], np.zeros(circuits))),
        ),
        rows=rows,
    )
