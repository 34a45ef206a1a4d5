"""``gridleaf battery``: cells, how they age, and what that means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.table import Table

from gridleaf.battery.ageing import MODELS, Life, Model, simulate
from gridleaf.battery.ageing.files import read_history
from gridleaf.battery.catalogue import catalogue
from gridleaf.battery.habits import BAND, HABITS, Habit, Use, compare
from gridleaf.cli.battery_health import health, passport, verify
from gridleaf.cli.battery_packs import ageing_of, list_packs, show_pack, spelt, value_pack
from gridleaf.cli.battery_wear import wear
from gridleaf.cli.figure import PlotOption, check_figure, drawing
from gridleaf.domain.errors import ConfigError

CellOption = Annotated[
    str, typer.Option("--cell", metavar="CELL", help="A cell, or an ageing model by its name.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LONGEST_YEARS = 100


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Cells, how they age, and what that means.")
    group.command("list")(list_cells)
    group.command("show")(show)
    group.command("packs")(list_packs)
    group.command("simulate")(simulate_profile)
    group.command("compare")(compare_habits)
    group.command("value")(value_pack)
    group.command("health")(health)
    group.command("passport")(passport)
    group.command("verify")(verify)
    group.command("wear")(wear)
    app.add_typer(group, name="battery")


def ageing_model(cell: str) -> Model:
    """The ageing model of a cell or a pack by any of its names."""
    return ageing_of(cell)


def list_cells(as_json: JsonOption = False) -> None:
    """The ageing models: cell, chemistry, where each was fitted."""
    if as_json:
        print(orjson.dumps([_facts(found) for found in MODELS]).decode())
        return
    table = Table(show_edge=False)
    for head in ("name", "chemistry", "fitted °C", "depth", "charge", "discharge"):
        table.add_column(head, no_wrap=head == "name")
    for found in MODELS:
        f = found.fitted
        table.add_row(
            found.name,
            found.chemistry,
            _span(f.temperature_c),
            _span(f.depth),
            f"{f.charge_c:g}C",
            f"{f.discharge_c:g}C",
        )
    Console(highlight=False).print(table)


def show(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="A cell, a pack or an ageing model.")],
    as_json: JsonOption = False,
) -> None:
    """One cell and its ageing model, or one pack: sources, fitted range, what it cannot do."""
    pack = spelt(cell, catalogue().packs)
    if pack in catalogue().packs:
        show_pack(pack, as_json=as_json)
        return
    found = ageing_model(cell)
    if as_json:
        print(orjson.dumps(_facts(found)).decode())
        return
    f = found.fitted
    lines = {
        "name": found.name,
        "cell": found.cell,
        "chemistry": found.chemistry,
        "capacity": f"{found.capacity_ah:g} Ah",
        "source": "\n".join(found.source),
        "fitted to": f"{_span(f.temperature_c)} °C, depth {_span(f.depth)}, SoC {_span(f.soc)}, "
        f"charging up to {f.charge_c:g}C, discharging up to {f.discharge_c:g}C",
        "resistance": "yes" if found.resistance else "no",
        "caveat": found.caveat or "none known",
    }
    table = Table(show_header=False, show_edge=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, value in lines.items():
        table.add_row(name, value)
    Console(highlight=False).print(table)


def simulate_profile(
    cell: CellOption,
    profile: Annotated[
        Path,
        typer.Option(
            "--profile",
            metavar="FILE.csv",
            help="A history that repeats: time_s,soc,temperature_c, linear between rows.",
        ),
    ],
    years: Annotated[
        int, typer.Option(min=1, max=LONGEST_YEARS, help="For how long it repeats.")
    ] = 10,
    as_json: JsonOption = False,
    plot: PlotOption = None,
) -> None:
    """Repeat a history for years and print the relative capacity at the end of each."""
    found = ageing_model(cell)
    check_figure(plot)
    life = simulate(found, read_history(profile), years)
    if plot is not None:
        _draw(plot, found, life)
    if as_json:
        print(orjson.dumps(_document(found, life)).decode())
    else:
        _print(found, life)


def compare_habits(
    cell: Annotated[
        str | None, typer.Option("--cell", metavar="CELL", help="A cell or an ageing model.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every ageing model.")] = False,
    mean_c: Annotated[float, typer.Option(help="Mean temperature of the year [°C].")] = 20.0,
    amplitude_c: Annotated[
        float, typer.Option(min=0.0, help="Midsummer above the mean [°C].")
    ] = 8.0,
    driving: Annotated[
        float, typer.Option(min=0.0, help="Share of the capacity that a day's trips use.")
    ] = 0.2,
    years: Annotated[int, typer.Option(min=1, max=LONGEST_YEARS, help="For how long.")] = 15,
    as_json: JsonOption = False,
    plot: PlotOption = None,
) -> None:
    """This car, this climate, this driving: unmanaged, delayed and V2G, with the band of cells.

    Unmanaged charges at once and sits at 90 %. Delayed charges just before it leaves and comes home
    with 50 %. V2G gives 30 % in the evening and is at 90 % in the morning.
    """
    if every == (cell is not None):
        raise ConfigError("cell", "give --cell CELL or --all")
    if every and plot is not None:
        raise ConfigError("plot", "needs one --cell")
    check_figure(plot)
    use = Use(mean_c=mean_c, amplitude_c=amplitude_c, driving=driving)
    found = MODELS if cell is None else (ageing_model(cell),)
    lives = {m: compare(m, use, years) for m in found}
    if plot is not None:
        _draw_habits(plot, found[0], lives[found[0]])
    if as_json:
        cells = [_habits(m, by_habit) for m, by_habit in lives.items()]
        print(orjson.dumps({"years": list(range(1, years + 1)), "cells": cells}).decode())
        return
    console = Console(highlight=False)
    if cell is None:
        console.print(_overview(lives, years))
    else:
        console.print(_bands(found[0], lives[found[0]], years))


def _overview(lives: dict[Model, dict[Habit, Life]], years: int) -> Table:
    table = Table(title=f"Capacity after {years} years, median cell", show_edge=False)
    table.add_column("cell", no_wrap=True)
    for head in (*HABITS, "V2G"):
        table.add_column(head, justify="right", no_wrap=True)
    middle = BAND.index(0.5)
    for found, by_habit in lives.items():
        capacities = (by_habit[habit].relative_capacity[-1, middle] for habit in HABITS)
        effect = f"{_v2g_effect(by_habit):+.1%}"
        table.add_row(found.name, *(f"{q:.3f}" for q in capacities), effect)
    table.caption = "V2G: what it leaves more (+) or less (-) than unmanaged charging"
    return table


def _bands(found: Model, lives: dict[Habit, Life], years: int) -> Table:
    table = Table(title=f"{found.cell}: capacity after {years} years", show_edge=False)
    table.add_column("")
    for quantile in BAND:
        table.add_column(f"cell at {quantile:.0%}", justify="right")
    table.add_column("outside the fitted range", justify="right")
    for habit, life in lives.items():
        share = life.outside[:, BAND.index(0.5)].mean()
        capacities = (f"{q:.3f}" for q in life.relative_capacity[-1])
        table.add_row(habit, *capacities, f"{share:.0%} of the time")
    table.caption = f"V2G leaves {_v2g_effect(lives):+.1%} against unmanaged. {found.caveat}"
    return table


def _v2g_effect(lives: dict[Habit, Life]) -> float:
    """Capacity that V2G leaves more than unmanaged charging."""
    middle = BAND.index(0.5)
    unmanaged, v2g = (lives[h].relative_capacity[-1, middle] for h in ("unmanaged", "v2g"))
    return float(v2g - unmanaged)


def _habits(found: Model, lives: dict[Habit, Life]) -> dict[str, Any]:
    return {
        "cell": found.name,
        "v2g_against_unmanaged": round(_v2g_effect(lives), 6),
        "habits": {
            habit: {
                "relative_capacity": {
                    f"p{quantile * 100:.0f}": np.round(column, 6).tolist()
                    for quantile, column in zip(BAND, life.relative_capacity.T, strict=True)
                },
                "outside_fitted_range": (life.outside[:, BAND.index(0.5)] > 0.0).tolist(),
            }
            for habit, life in lives.items()
        },
    }


def _draw_habits(path: Path, found: Model, lives: dict[Habit, Life]) -> None:
    with drawing(path, x="years", y="relative capacity", title=found.cell) as axes:
        for habit, life in lives.items():
            years = [0.0, *life.years]
            low, middle, high = np.vstack([np.ones(3), life.relative_capacity]).T
            (line,) = axes.plot(years, middle, label=habit)
            axes.fill_between(years, low, high, alpha=0.15, color=line.get_color(), linewidth=0)
        axes.set_xlim(0.0, years[-1])
        axes.legend(frameon=False)


def _document(found: Model, life: Life) -> dict[str, Any]:
    return {
        "cell": found.name,
        "years": [int(year) for year in life.years],
        "relative_capacity": [round(float(q), 6) for q in life.relative_capacity],
        "outside_fitted_range": [bool(share > 0.0) for share in life.outside],
        "reasons": [_reasons(life, year) for year in range(len(life.years))],
        "relative_resistance": (
            [round(float(r), 6) for r in life.resistance] if found.resistance else None
        ),
        "equivalent_full_cycles": [round(float(efc), 3) for efc in life.efc],
    }


def _reasons(life: Life, year: int) -> dict[str, float]:
    """Why a year is outside the fitted range, and for which share of it."""
    return {
        name: round(float(share[year]), 4)
        for name, share in life.reasons.items()
        if share[year] > 0.0
    }


def _print(found: Model, life: Life) -> None:
    table = Table(title=found.cell, show_edge=False)
    for head in ("year", "capacity", "resistance", "full cycles"):
        table.add_column(head, justify="right")
    table.add_column("outside the fitted range")
    for year, q, r, efc in zip(
        life.years, life.relative_capacity, life.resistance, life.efc, strict=True
    ):
        reasons = _reasons(life, int(year) - 1)
        table.add_row(
            f"{year:.0f}",
            f"{q:.4f}",
            f"{r:.3f}" if found.resistance else "–",
            f"{efc:.0f}",
            ", ".join(f"{name} {share:.0%}" for name, share in reasons.items()),
        )
    console = Console(highlight=False)
    console.print(table)
    if found.new < 1.0:
        console.print(f"Relative to a used cell, at {found.new:.0%} of its capacity when new.")
    if found.caveat:
        console.print(found.caveat)


def _draw(path: Path, found: Model, life: Life) -> None:
    with drawing(path, x="years", y="relative capacity", title=found.cell) as axes:
        years, q = [0.0, *life.years], [1.0, *life.relative_capacity]
        axes.plot(years, q)
        axes.set_ylim(min(0.6, float(min(q)) - 0.05), max(1.02, float(max(q)) + 0.02))
        axes.set_xlim(0.0, float(life.years[-1]))
        out = [year for year, share in zip(life.years, life.outside, strict=True) if share > 0.0]
        if out:
            axes.plot(out, [axes.get_ylim()[0]] * len(out), "v", clip_on=False, color="0.5")
            axes.annotate(
                "▾ years with time outside the fitted range",
                (0.02, 0.05),
                xycoords="axes fraction",
                color="0.4",
                fontsize=8,
            )


def _facts(found: Model) -> dict[str, Any]:
    f = found.fitted
    return {
        "name": found.name,
        "cell": found.cell,
        "chemistry": found.chemistry,
        "capacity_ah": found.capacity_ah,
        "source": list(found.source),
        "fitted": {
            "temperature_c": list(f.temperature_c),
            "depth": list(f.depth),
            "soc": list(f.soc),
            "charge_c": f.charge_c,
            "discharge_c": f.discharge_c,
        },
        "resistance": found.resistance,
        "relative_to_new": found.new,
        "caveat": found.caveat,
    }


def _span(limits: tuple[float, float]) -> str:
    low, high = limits
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"
