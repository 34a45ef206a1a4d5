"""Draws the figures of these pages: ``python docs/figures.py``.

Every line in them is computed: the curve of one vehicle by the rule that the page explains, the rest by
the planner itself.
"""

from __future__ import annotations

import sys
from bisect import insort
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from gridleaf.bench.instances import fleet
from gridleaf.plan import Problem, Progress, problem_of, solve
from gridleaf.plan.problem import Floats

IMAGES = Path(__file__).parent / "img"
GREY, BLUE, ORANGE, GREEN = "#7d868e", "#3f8fd2", "#e07b39", "#2a9d74"
"""Seen on white and on black alike."""
STYLE: Any = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.titlecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "text.color": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "axes.titlesize": 11,
    "lines.linewidth": 2.2,
    "svg.hashsalt": "gridleaf",
    "svg.fonttype": "none",
}

PRICES = (0.24, 0.31, 0.36, 0.33, 0.25, 0.18, 0.14, 0.12, 0.13, 0.17)
"""Of ten hours from 17:00 on [EUR/kWh]."""
START, LEAST, MOST, TARGET = 24.0, 10.0, 50.0, 40.0
POWER, INTO, OUT, WEAR = 7.0, 0.92, 0.92, 0.04


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A straight piece of the curve: its slope [EUR/kWh], its length [kWh], and whose hour it is."""

    slope: float
    length: float
    hour: int
    charges: bool


def value_function() -> tuple[float, list[Piece]]:
    """What energy at departure costs: the cost at the minimum, and the pieces from there on."""
    pieces: list[Piece] = []
    low = high = START
    cost = 0.0
    for hour, price in enumerate(PRICES):
        insort(pieces, Piece(price / INTO, POWER * INTO, hour, True))
        insort(pieces, Piece((price - WEAR) * OUT, POWER / OUT, hour, False))
        cost -= (price - WEAR) * POWER
        low, high = low - POWER / OUT, high + POWER * INTO
        while low < LEAST - 1e-9:  # what is below the minimum is used
            first = pieces.pop(0)
            used = min(first.length, LEAST - low)
            cost, low = cost + used * first.slope, low + used
            if used < first.length:
                pieces.insert(0, Piece(first.slope, first.length - used, first.hour, first.charges))
        while high > MOST + 1e-9:  # what is above the maximum is not
            last = pieces.pop()
            cut = min(last.length, high - MOST)
            high -= cut
            if cut < last.length:
                pieces.append(Piece(last.slope, last.length - cut, last.hour, last.charges))
    return cost, pieces


def one_vehicle(target_kwh: float = TARGET) -> Problem:
    """The same vehicle for the planner, on a connection without limits."""
    return problem_of(
        {
            "start": "2026-01-05T17:00:00Z",
            "step_h": [1.0] * len(PRICES),
            "visits": {
                "id": ["van"],
                "node": ["depot"],
                "arrive": [0],
                "depart": [len(PRICES)],
                "energy_kwh": [START],
                "target_kwh": [target_kwh],
                "min_kwh": [LEAST],
                "max_kwh": [MOST],
                "charge_kw": [POWER],
                "discharge_kw": [POWER],
                "charge_efficiency": [INTO],
                "discharge_efficiency": [OUT],
                "wear_eur_per_kwh": [WEAR],
            },
            "nodes": {
                "id": ["depot"],
                "import_price_eur_per_kwh": [list(PRICES)],
                "export_price_eur_per_kwh": [list(PRICES)],
            },
        }
    )


def curve(cost: float, pieces: list[Piece]) -> tuple[Floats, Floats]:
    """The corners of the curve: energies [kWh] and costs [EUR]."""
    length = np.array([piece.length for piece in pieces])
    slope = np.array([piece.slope for piece in pieces])
    energy = LEAST + np.concatenate(([0.0], np.cumsum(length)))
    return energy, cost + np.concatenate(([0.0], np.cumsum(length * slope)))


def draw_value() -> Figure:
    """The hours and their prices; the curve made of pieces of these hours."""
    cost, pieces = value_function()
    energy, money = curve(cost, pieces)
    plan = solve(one_vehicle())
    colour = mpl.colormaps["turbo"]
    span = min(PRICES), max(PRICES)
    of = [colour(0.12 + 0.76 * (price - span[0]) / (span[1] - span[0])) for price in PRICES]
    figure = Figure(figsize=(8.2, 3.4), layout="constrained")
    hours, value = figure.subplots(1, 2, width_ratios=(1, 1.7))
    hours.bar(range(len(PRICES)), PRICES, color=of, width=0.85)
    hours.set_xticks(range(0, len(PRICES), 3), [f"{(17 + t) % 24}:00" for t in range(0, 10, 3)])
    hours.set_title("what a kWh costs in each hour")
    hours.set_ylabel("EUR/kWh")
    for k, piece in enumerate(pieces):
        value.plot(
            energy[k : k + 2],
            money[k : k + 2],
            color=of[piece.hour],
            linewidth=4 if piece.charges else 2,
            solid_capstyle="butt",
        )
    value.plot(energy, money, "o", color=GREY, markersize=2.5)
    at = plan.objective_eur
    value.plot(TARGET, at, "o", color=GREEN, markersize=8)
    value.annotate(
        f"the plan: {TARGET:.0f} kWh at departure\nfor {at:.2f} EUR",
        (TARGET, at),
        (-12, 10),
        textcoords="offset points",
        ha="right",
        color=GREEN,
    )
    thick, thin = (value.plot([], [], color=GREY, linewidth=width)[0] for width in (4, 2))
    meanings = ("charging more in that hour", "discharging less in that hour")
    value.legend((thick, thin), meanings, frameon=False, loc="lower right")
    value.set_title("what having so much at departure costs at least")
    value.set_xlabel("energy in the battery at departure, kWh")
    value.set_ylabel("EUR")
    return figure


def draw_prices() -> Figure:
    """What a fleet draws if it sees the meter's prices only, and if the limit has a price too."""
    problem = fleet(200)
    alone, limit = _without_limit(problem), float(problem.nodes.import_limit_kw[0, 0])
    plan = solve(problem, method="exact")
    hours = 12 + np.arange(len(problem.step_h)) * problem.step_h
    figure = Figure(figsize=(8.2, 4.4), layout="constrained")
    load, price = figure.subplots(2, 1, sharex=True, height_ratios=(1.4, 1))
    net = [one.import_kw[0] - one.export_kw[0] for one in (solve(alone, method="exact"), plan)]
    load.step(
        hours, net[0], where="post", color=ORANGE, label="each for itself, at the meter's prices"
    )
    load.step(hours, net[1], where="post", color=BLUE, label="with a price on the limit")
    for bound, name, above in ((limit, "import limit", 4), (-limit / 2, "export limit", -12)):
        load.axhline(bound, color=GREY, linewidth=1, linestyle="--")
        load.annotate(name, (hours[-1], bound), (0, above), textcoords="offset points", ha="right")
    load.set_ylabel("kW")
    load.set_title("200 vehicles and a building at the grid connection")
    load.legend(frameon=False, loc="upper left")
    meter, shadow = problem.nodes.import_price_eur_per_kwh[0], plan.shadow_price_eur_per_kwh[0]
    price.step(hours, meter, where="post", color=ORANGE, label="the meter's price")
    price.step(
        hours, shadow, where="post", color=BLUE, label="the price that the vehicles are asked"
    )
    price.fill_between(hours, meter, shadow, step="post", color=BLUE, alpha=0.25, linewidth=0)
    price.set_ylabel("EUR/kWh")
    price.legend(frameon=False, loc="upper right")
    price.set_xticks(range(12, 37, 3), [f"{h % 24}:00" for h in range(12, 37, 3)])
    return figure


def _without_limit(problem: Problem) -> Problem:
    none = np.full_like(problem.nodes.import_limit_kw, np.nan)
    nodes = replace(problem.nodes, import_limit_kw=none, export_limit_kw=none)
    return replace(problem, nodes=nodes)


def draw_gap() -> Figure:
    """Bound and cost of a search, round by round."""
    rounds: list[Progress] = []
    problem = fleet(200)
    solve(problem, method="fleet", gap=1e-5, progress=rounds.append)
    best = solve(problem, method="exact").objective_eur
    told = [r for r in rounds if r.share == 1 and np.isfinite(r.objective_eur)]
    number = [r.rounds for r in told]
    figure = Figure(figsize=(8.2, 3.0), layout="constrained")
    money, gap = figure.subplots(1, 2)
    upper, lower = [r.objective_eur for r in told], [r.lower_bound_eur for r in told]
    money.fill_between(number, lower, upper, color=BLUE, alpha=0.2, linewidth=0)
    money.plot(number, upper, color=BLUE, label="cost of the best plan so far")
    money.plot(number, lower, color=ORANGE, label="no plan costs less than this")
    money.axhline(best, color=GREY, linewidth=1, linestyle="--", label="the optimum")
    money.set_ylim(best * 0.985, best * 1.015)
    money.set_xlim(next(n for n, cost in zip(number, upper, strict=True) if cost < 1.02 * best))
    money.set_ylabel("EUR")
    money.set_xlabel("round")
    money.legend(frameon=False, loc="upper right")
    money.set_title("the optimum is caught between two lines")
    gap.semilogy(number, [r.gap for r in told], color=GREEN)
    gap.set_xlabel("round")
    gap.set_title("the gap: their distance, relative")
    return figure


FIGURES = {"value": draw_value, "prices": draw_prices, "gap": draw_gap}


def main(names: list[str]) -> int:
    """Draw all figures, or those named."""
    for name in names or FIGURES:
        with mpl.rc_context(STYLE):
            path = IMAGES / f"planning-{name}.svg"
            FIGURES[name]().savefig(path, metadata={"Date": None, "Creator": None})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
