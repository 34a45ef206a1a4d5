"""How good the measured health is: fleets with known truth, the estimate beside the plain quotient.

Each vehicle has its own capacity, fade, efficiencies, gauge (rounding, drift, scale, shape) and habits;
some sessions are short, some have a reset gauge, some are another vehicle's. The first table is of
fleets that err as the estimate assumes; the second of fleets that err otherwise (:data:`HARDER`).
``python -m benchmarks health [--vehicles 400] [--sessions 60] [--seed 0] [--json]``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from gridleaf.battery import health
from gridleaf.battery.health import Estimate, Sweep, prior, update

START = datetime(2026, 1, 5, tzinfo=UTC)
NOMINAL_KWH = (22.0, 39.0, 59.0, 75.0)
INTO, OUT_OF = 0.93, 0.93
BEND_SD = 0.02
"""Spread of how much more energy the upper half of the range holds."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One vehicle of the fleet and what it showed. ``capacity_kwh`` is that at the last session."""

    nominal_kwh: float
    made_at: datetime | None
    capacity_kwh: float
    sweeps: tuple[Sweep, ...]


@dataclass(frozen=True, slots=True)
class Faults:
    """How often things go wrong, as shares of the sessions."""

    short: float = 0.3
    reset: float = 0.03
    stranger: float = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a fleet is like where it is not as the estimate assumes.

    Parameters
    ----------
    soh
        Range of health at the first session, of vehicles whose age nobody tells; None: by age.
    efficiency
        Range of the true efficiency, both ways.
    soc_step
        Of the gauge.
    cells_c
        Mean temperature of the cells over the year; None: they are warm.
    ambient_c
        What the site file says of it; None: nothing.
    told
        The capacity in the site file over the true one when new.
    replaced
        Half way the battery is replaced by a new one of the same kind.
    """

    soh: tuple[float, float] | None = None
    efficiency: tuple[float, float] | None = None
    soc_step: float = 0.01
    cells_c: float | None = None
    ambient_c: float | None = None
    told: float = 1.0
    replaced: bool = False
    faults: Faults = Faults()


HARDER_SESSIONS = 60
UNSEEN = World(soh=(0.6, 1.05), efficiency=(0.86, 0.97))
HARDER = {
    "health 60 to 105 %, efficiency 86 to 97 %": UNSEEN,
    "the same, gauge in steps of 5 %": replace(UNSEEN, soc_step=0.05),
    "the same, 80 % short sessions": replace(UNSEEN, faults=Faults(short=0.8)),
    "the same, 15 % reset gauges": replace(UNSEEN, faults=Faults(reset=0.15)),
    "the same, 20 % strangers": replace(UNSEEN, faults=Faults(stranger=0.2)),
    "the same, site file 10 % too high": replace(UNSEEN, told=1.1),
    "the same, site file 10 % too low": replace(UNSEEN, told=0.9),
    "the same, battery replaced half way": replace(UNSEEN, replaced=True),
    "the same, cells at 12 °C": replace(UNSEEN, cells_c=12.0),
    "the same, and the site file says so": replace(UNSEEN, cells_c=12.0, ambient_c=12.0),
    "health 60 %, nobody tells the age": World(soh=(0.6, 0.6), efficiency=(0.86, 0.97)),
    "efficiency 86 %": World(efficiency=(0.86, 0.86)),
}


def fleet(
    count: int,
    sessions: int,
    seed: int,
    *,
    v2g: float = 0.5,
    faults: Faults | None = None,
    world: World | None = None,
) -> list[Truth]:
    """Vehicles with known truth; ``v2g`` is the share of those that discharge as well."""
    rng = np.random.default_rng(seed)
    where = world or World(faults=faults or Faults())
    return [_vehicle(rng, sessions, bool(rng.random() < v2g), where) for _ in range(count)]


def _vehicle(rng: np.random.Generator, sessions: int, gives: bool, where: World) -> Truth:
    nominal = float(rng.choice(NOMINAL_KWH))
    age_y = float(rng.uniform(0, 8))
    rate = float(rng.normal(health.FADE_PER_YEAR, health.FADE_SD_PER_YEAR))
    new = nominal * (1 + health.NOMINAL_SD * rng.standard_normal())
    shared, own, other = rng.standard_normal(3) * health.EFFICIENCY_SD
    twin = np.sqrt(health.EFFICIENCY_TWIN)
    a, b = twin * shared + np.sqrt(1 - twin**2) * np.array([own, other])
    if where.efficiency is not None:
        a = b = rng.uniform(*where.efficiency) / INTO - 1.0
    if where.soh is not None:
        new = nominal * (rng.uniform(*where.soh) + rate * age_y)
    scale = 1 + health.SCALE_SD * rng.standard_normal()
    bend = rng.normal(0, BEND_SD)
    sweeps, day, capacity = [], 0.0, new
    for number in range(sessions):
        day += float(rng.exponential(3.0))
        capacity = new - nominal * rate * (age_y + day / 365.25)
        if where.replaced and 2 * number >= sessions:
            capacity = nominal
        stranger = rng.random() < where.faults.stranger
        held = float(rng.choice(NOMINAL_KWH)) * 0.9 if stranger else capacity
        if where.cells_c is not None:
            warm_c = where.cells_c - 9.0 * np.cos(2 * np.pi * day / 365.25)
            held *= 1.0 - health.COLD_PER_K * max(health.COLD_C - warm_c, 0.0)
        sweeps.append(
            _session(rng, START + timedelta(days=day), held, (a, b), scale, bend, gives, where)
        )
    known = where.soh is None and rng.random() < 0.7
    made = START - timedelta(days=365.25 * age_y) if known else None
    return Truth(nominal * where.told, made, capacity, tuple(sweeps))


def _session(
    rng: np.random.Generator,
    at: datetime,
    capacity: float,
    off: tuple[float, float],
    scale: float,
    bend: float,
    gives: bool,
    where: World,
) -> Sweep:
    wrong, step = where.faults, where.soc_step
    first = float(np.clip(rng.normal(0.5, 0.15), 0.1, 0.9))
    last = float(np.clip(rng.normal(0.82, 0.08), 0.3, 1.0))
    if rng.random() < wrong.short:
        last = float(np.clip(first + rng.normal(0, 0.04), 0.05, 1.0))
    net = capacity * (_energy(last, bend) - _energy(first, bend))
    cycled = float(rng.uniform(0, 0.5)) * capacity if gives else 0.0
    into = INTO * (1 + off[0]) * (1 + 0.01 * rng.standard_normal())
    out_of = OUT_OF * (1 + off[1]) * (1 + 0.01 * rng.standard_normal())
    shown = [
        float(np.clip(scale * (s - 0.5) + 0.5 + 0.006 * rng.standard_normal(), 0, 1))
        for s in (first, last)
    ]
    if rng.random() < wrong.reset:
        shown[1] = float(np.clip(shown[1] + rng.choice((-1, 1)) * rng.uniform(0.08, 0.4), 0, 1))
    return Sweep(
        at=at,
        charged_kwh=round((cycled + max(net, 0.0)) / into, 2),
        discharged_kwh=round((cycled + max(-net, 0.0)) * out_of, 2),
        soc_from=min(round(shown[0] / step) * step, 1.0),
        soc_to=min(round(shown[1] / step) * step, 1.0),
        charge_efficiency=INTO,
        discharge_efficiency=OUT_OF,
        temperature_c=where.ambient_c,
    )


def _energy(soc: float, bend: float) -> float:
    """Share of the energy below a state of charge: the voltage rises with it."""
    return soc + bend * soc * (soc - 1)


def estimate(truth: Truth) -> Estimate:
    """The estimate after the last session."""
    begin = prior(truth.nominal_kwh, START, truth.made_at)
    found = begin
    for sweep in truth.sweeps:
        found, _, _ = update(found, sweep, begin)
    return found


def quotient(truth: Truth) -> float:
    """The plain way: energy over change of charge, the mean over sessions of more than a tenth."""
    ratios = [
        (s.charged_kwh * INTO - s.discharged_kwh / OUT_OF) / (s.soc_to - s.soc_from)
        for s in truth.sweeps
        if abs(s.soc_to - s.soc_from) > 0.1
    ]
    return float(np.mean(ratios)) if ratios else truth.nominal_kwh


@dataclass(frozen=True, slots=True)
class Score:
    """Errors relative to the nominal capacity, and the share of truths inside the 90 % band."""

    vehicles: int
    bias: float
    rmse: float
    covered: float
    half_band: float
    quotient_bias: float
    quotient_rmse: float


def score(truths: Sequence[Truth]) -> Score:
    """The estimates of a fleet beside the plain quotients."""
    found = [estimate(t) for t in truths]
    nominal = np.array([t.nominal_kwh for t in truths])
    true = np.array([t.capacity_kwh for t in truths])
    ours = (np.array([e.capacity_kwh for e in found]) - true) / nominal
    plain = (np.array([quotient(t) for t in truths]) - true) / nominal
    low, high = np.array([e.band_kwh for e in found]).T
    return Score(
        vehicles=len(truths),
        bias=float(ours.mean()),
        rmse=float(np.sqrt((ours**2).mean())),
        covered=float(((low <= true) & (true <= high)).mean()),
        half_band=float(((high - low) / 2 / nominal).mean()),
        quotient_bias=float(plain.mean()),
        quotient_rmse=float(np.sqrt((plain**2).mean())),
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vehicles", type=int, default=400)
    parser.add_argument("--sessions", default="5,20,60")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    rows: list[dict[str, Any]] = [
        {
            "fleet": "as assumed",
            "v2g": v2g,
            "sessions": n,
            "score": score(fleet(options.vehicles, n, options.seed, v2g=v2g)),
        }
        for v2g in (0.0, 1.0)
        for n in map(int, options.sessions.split(","))
    ]
    rows += [
        {
            "fleet": name,
            "v2g": v2g,
            "sessions": HARDER_SESSIONS,
            "score": score(
                fleet(options.vehicles, HARDER_SESSIONS, options.seed, v2g=v2g, world=world)
            ),
        }
        for name, world in HARDER.items()
        for v2g in (0.0, 1.0)
    ]
    if options.json:
        print(json.dumps([{**row, "score": asdict(row["score"])} for row in rows]))
        return
    print("relative to the nominal capacity, %")
    head = (
        "fleet",
        "V2G",
        "sessions",
        "bias",
        "RMSE",
        "+-band",
        "inside",
        "quotient: bias",
        "RMSE",
    )
    print("{:42} {:4} {:>8} {:>7} {:>7} {:>7} {:>7} {:>15} {:>7}".format(*head))
    for r in rows:
        s = r["score"]
        print(
            f"{r['fleet']:42} {'yes' if r['v2g'] else 'no':4} {r['sessions']:8} {100 * s.bias:+7.2f} "
            f"{100 * s.rmse:7.2f} {100 * s.half_band:7.2f} {100 * s.covered:7.1f} "
            f"{100 * s.quotient_bias:+15.2f} {100 * s.quotient_rmse:7.2f}"
        )


if __name__ == "__main__":
    main()
