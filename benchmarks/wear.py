"""Does the price of wear add up to the full model's loss, along the plans that it made?

Fourteen vehicles, one for each published cell, come home every evening for a year. Every day the plan
is made with each vehicle's price of wear at its present state and along its last day; the full model
then carries the cells through what was planned. In the end what the prices said is held against what
the full model says. ``python -m benchmarks wear [--soh 0.95] [--warmer 0] [--pack-price 120]``: health in the
beginning, how much warmer than temperate it is [K], and what a pack costs for each kWh.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gridleaf.battery.ageing import MODELS, Model, Population
from gridleaf.battery.wear import (
    Day,
    LifeCost,
    WearPrice,
    Worth,
    cost_of_life,
    marginal,
    usual_day,
    worn,
)
from gridleaf.plan import Nodes, Problem, Visits, solve

Floats = NDArray[np.float64]

WORTH = Worth(capacity_kwh=40.0, pack_price_eur_per_kwh=120.0)
POWER_KW, EFFICIENCY = 10.0, 0.93
RESERVE, LEAVES = 0.3, 0.85
ROUNDS = 5
START = datetime(2026, 1, 1, 17, tzinfo=UTC)
STEP_H = 0.5
STEPS = 48
COMES, GOES = 1, 30
"""Steps from 17 h at which a vehicle comes home and leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """What came of one vehicle: money by the prices and by the full model, what it gave back."""

    model: Model
    priced_eur: Floats
    life: LifeCost
    given_kwh: Floats
    prices: list[WearPrice]

    @property
    def turnover_eur(self) -> float:
        """What the full model's loss is measured against: its parts without their signs."""
        return float(np.abs(self.life.calendar_eur).sum() + np.abs(self.life.cycling_eur).sum())

    @property
    def error(self) -> float:
        return float(self.priced_eur.sum() - self.life.eur.sum()) / self.turnover_eur


def trip_soc(day: int) -> float:
    """What a day's driving takes: less on weekends, more in the cold."""
    rng = np.random.default_rng(day % 365)
    usual = 0.08 if (START + timedelta(days=day)).weekday() >= 5 else 0.22
    return float(
        np.clip(
            usual * (1.0 + 0.15 * np.cos(2 * np.pi * day / 365)) + 0.05 * rng.standard_normal(),
            0.02,
            0.45,
        )
    )


def temperature_c(day: int) -> Floats:
    """Of the cells at the edges of the steps."""
    hour = 17.0 + STEP_H * np.arange(STEPS + 1)
    mean = 14.0 - 9.0 * np.cos(2 * np.pi * (day - 15) / 365)
    return np.asarray(mean + 3.0 * np.sin(2 * np.pi * (hour - 9.0) / 24))


def price_eur_per_kwh(day: int) -> Floats:
    """Dear in the evening, cheap at night; by how much changes from day to day."""
    rng = np.random.default_rng(10_000 + day)
    hour = 17.0 + STEP_H * (np.arange(STEPS) + 0.5)
    spread = np.exp(0.5 * rng.standard_normal()) * (0.09 + 0.03 * np.cos(2 * np.pi * day / 365))
    evening = np.exp(-(((hour - 19.5) / 2.0) ** 2)) + 0.6 * np.exp(-(((hour - 31.5) / 1.5) ** 2))
    return np.asarray(0.22 + spread * (2.0 * evening - 0.6) + 0.005 * rng.standard_normal(STEPS))


def problem(
    day: int, comes: Floats, prices: list[WearPrice], worths: list[Worth], by_depth: bool
) -> Problem:
    count, one = len(prices), np.ones(len(prices))
    wide = max(len(p.dwell_kwh) for p in prices)
    dwell = np.full((2, count, wide), np.nan)
    for i, price in enumerate(prices):
        dwell[0, i, : len(price.dwell_kwh)] = price.dwell_kwh
        dwell[1, i, : len(price.dwell_kwh)] = price.dwell_eur_per_kwh_h
    holds = np.array([worth.soh * worth.capacity_kwh for worth in worths])
    buy = price_eur_per_kwh(day)[None]
    none = np.full((1, STEPS), np.nan)
    return Problem(
        start=START + timedelta(days=day),
        step_h=np.full(STEPS, STEP_H),
        visits=Visits(
            id=tuple(str(i) for i in range(count)),
            node=("site",) * count,
            arrive=np.full(count, COMES),
            depart=np.full(count, GOES),
            energy_kwh=comes * WORTH.capacity_kwh,
            target_kwh=np.minimum(LEAVES * WORTH.capacity_kwh, holds),
            min_kwh=RESERVE * WORTH.capacity_kwh * one,
            max_kwh=holds,
            charge_kw=POWER_KW * one,
            discharge_kw=POWER_KW * one,
            charge_efficiency=EFFICIENCY * one,
            discharge_efficiency=EFFICIENCY * one,
            wear_eur_per_kwh=0.0 * one
            if by_depth
            else np.array([p.discharge_eur_per_kwh for p in prices]),
            value_eur_per_kwh=0.0 * one,
            dwell_kwh=dwell[0],
            dwell_eur_per_kwh_h=dwell[1],
            depth_kwh=np.array([p.depth_kwh for p in prices]) if by_depth else None,
            depth_eur_per_kwh=np.array([p.depth_eur_per_kwh for p in prices]) if by_depth else None,
        ),
        nodes=Nodes(
            id=("site",),
            parent=("",),
            import_limit_kw=none,
            export_limit_kw=none,
            load_kw=np.zeros((1, STEPS)),
            import_price_eur_per_kwh=buy,
            export_price_eur_per_kwh=buy - 0.01,
            demand_charge_eur_per_kw=np.zeros(1),
            peak_so_far_kw=np.zeros(1),
        ),
    )


def planned(
    day: int, comes: Floats, prices: list[WearPrice], worths: list[Worth], by_depth: bool
) -> tuple[Floats, Floats]:
    """SoC ``(N, T + 1)`` from one evening to the next, and what is given back ``(N,)`` [kWh]."""
    plan = solve(problem(day, comes, prices, worths, by_depth), method="exact")
    moved = plan.charge_kw * EFFICIENCY - plan.discharge_kw / EFFICIENCY
    soc = np.empty((len(comes), STEPS + 1))
    soc[:, 0] = comes
    soc[:, 1:] = comes[:, None] + np.cumsum(moved, axis=1) * STEP_H / WORTH.capacity_kwh
    driven = np.linspace(0.0, trip_soc(day), STEPS - GOES + 1)
    soc[:, GOES:] = soc[:, [GOES]] - driven
    return np.clip(soc, 0.0, 1.0), plan.discharge_kw.sum(axis=1) * STEP_H


def expected(soc: Floats, given_kwh: float, warm_c: Floats) -> Day:
    """The day that is expected from the one that was."""
    home = soc[COMES : GOES + 1]
    keeping, giving = soc.copy(), soc
    keeping[COMES : GOES + 1] = np.minimum(np.maximum.accumulate(home), max(home[-1], home[0]))
    if given_kwh <= 0.0:
        # had it given something back: half of what is there above the reserve, at full power
        deep = max(0.5 * (home[0] - RESERVE), 0.02)
        per_step = POWER_KW * STEP_H / WORTH.capacity_kwh
        down = np.minimum(np.arange(len(home)) * per_step / EFFICIENCY, deep)
        up = np.arange(len(home))[::-1] * per_step * EFFICIENCY
        giving = soc.copy()
        giving[COMES : GOES + 1] = np.maximum(
            np.minimum(keeping[COMES : GOES + 1], home[0] - down), home[-1] - up
        )
        giving[COMES : GOES + 1] = np.minimum(giving[COMES : GOES + 1], keeping[COMES : GOES + 1])
        given_kwh = deep * WORTH.capacity_kwh * EFFICIENCY
    return Day(
        step_h=np.full(STEPS, STEP_H),
        soc=soc,
        giving=giving,
        keeping=keeping,
        given_kwh=given_kwh,
        temperature_c=warm_c,
    )


def year(
    models: tuple[Model, ...] = MODELS,
    days: range = range(365),
    *,
    by_depth: bool,
    soh: float = 0.95,
    warmer_c: float = 0.0,
    pack_price_eur_per_kwh: float = WORTH.pack_price_eur_per_kwh,
) -> list[Year]:
    """Plan day by day, with the prices of depth or of discharge; every vehicle begins worn to ``soh``."""
    new = replace(WORTH, pack_price_eur_per_kwh=pack_price_eur_per_kwh)
    cells: list[Population] = [worn(model, soh, 20.0 + warmer_c) for model in models]
    first = usual_day(
        leaves_soc=LEAVES,
        comes_soc=0.65,
        lowest_soc=0.45,
        charge_c=POWER_KW / WORTH.capacity_kwh,
        discharge_c=POWER_KW / WORTH.capacity_kwh,
        capacity_kwh=WORTH.capacity_kwh,
    )
    last: list[Day] = [
        replace(first, temperature_c=warmer_c + float(temperature_c(days[0]).mean()))
    ] * len(models)
    count = len(models)
    priced, given = np.zeros((count, len(days))), np.zeros((count, len(days)))
    lives: list[list[LifeCost]] = [[] for _ in models]
    prices: list[WearPrice] = []
    comes = np.full(count, LEAVES - trip_soc(days[0] - 1))
    for n, day in enumerate(days):
        worths = [replace(new, soh=min(float(c.relative_capacity[0]), 1.0)) for c in cells]
        prices = [
            marginal(cell, worth, ahead, reach=(RESERVE, 1.0))
            for cell, worth, ahead in zip(cells, worths, last, strict=True)
        ]
        warm = temperature_c(day) + warmer_c
        for again in range(ROUNDS):
            soc, given[:, n] = planned(day, comes, prices, worths, by_depth)
            if by_depth or again == ROUNDS - 1:
                break
            own = [
                marginal(
                    cell,
                    worths[i],
                    expected(soc[i], float(given[i, n]), warm),
                    reach=(RESERVE, 1.0),
                )
                for i, cell in enumerate(cells)
            ]
            prices = [
                replace(
                    new,
                    discharge_eur_per_kwh=0.5
                    * (new.discharge_eur_per_kwh + old.discharge_eur_per_kwh),
                )
                for new, old in zip(own, prices, strict=True)
            ]
        for i, cell in enumerate(cells):
            hours = np.full(STEPS, STEP_H)
            energy = soc[i] * WORTH.capacity_kwh
            priced[i, n] = (
                prices[i].cost_by_depth_eur(hours, energy)
                if by_depth
                else prices[i].cost_eur(hours, energy, given[i, n])
            )
            life = cost_of_life(cell, worths[i], soc[[i], 1:], warm[None, 1:], STEP_H)
            lives[i].append(life)
            cells[i] = life.after
            last[i] = expected(soc[i], float(given[i, n]), temperature_c(day + 1) + warmer_c)
        comes = soc[:, -1]
    return [
        Year(
            model=model,
            priced_eur=priced[i],
            life=_joined(lives[i]),
            given_kwh=given[i],
            prices=[prices[i]],
        )
        for i, model in enumerate(models)
    ]


def _joined(lives: list[LifeCost]) -> LifeCost:
    """The days of one vehicle as the rows of one."""
    columns = {
        name: np.concatenate([getattr(life, name) for life in lives])
        for name in ("eur", "calendar_eur", "cycling_eur", "loss", "outside")
    }
    return LifeCost(**columns, reasons={}, after=lives[-1].after)


def main(argv: list[str]) -> None:
    """Print the table of all cells, with both prices."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks wear", description=__doc__)
    parser.add_argument("--soh", type=float, default=0.95)
    parser.add_argument("--warmer", type=float, default=0.0)
    parser.add_argument("--pack-price", type=float, default=WORTH.pack_price_eur_per_kwh)
    options = parser.parse_args(argv)
    for by_depth in (True, False):
        print("depth of cycles has a price" if by_depth else "discharging has a price")
        head = ("cell", "prices", "model", "off", "days off", "calendar", "cycling", "given kWh")
        print("{:38} {:>9} {:>9} {:>8} {:>9} {:>9} {:>8} {:>10}".format(*head))
        for found in year(
            by_depth=by_depth,
            soh=options.soh,
            warmer_c=options.warmer,
            pack_price_eur_per_kwh=options.pack_price,
        ):
            life = found.life
            daily = np.abs(found.priced_eur - life.eur).mean() * len(life.eur) / found.turnover_eur
            print(
                f"{found.model.name:38} {found.priced_eur.sum():9.2f} {life.eur.sum():9.2f} "
                f"{found.error:+8.2%} {daily:9.1%} {life.calendar_eur.sum():9.2f} "
                f"{life.cycling_eur.sum():8.2f} {found.given_kwh.sum():10.0f}"
            )


if __name__ == "__main__":
    main([])
