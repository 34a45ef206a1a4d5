"""``gridleaf battery``: cells, how they age, and what that means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.table import Table

from gridleaf.battery.ageing import MODELS, Life, Model, simulate
from gridleaf.battery.ageing.files import read_history
from gridleaf.battery.catalogue import catalogue
from gridleaf.battery.habits import BAND, HABITS, Habit, Use, compare
from gridleaf.battery.wear import cell_ageing
from gridleaf.cli.battery_health import health, passport, verify
from gridleaf.cli.battery_packs import (
    ageing_of,
    cell_facts,
    cell_of,
    list_packs,
    notes,
    show_cell,
    show_pack,
    spelt,
    value_pack,
)
from gridleaf.cli.battery_wear import wear
from gridleaf.cli.figure import PlotOption, check_figure, drawing
from gridleaf.domain.errors import ConfigError

CellOption = Annotated[
    str, typer.Option("--cell", metavar="CELL", help="A cell, or an ageing model by its name.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LONGEST_YEARS = 100
_WORDS: Final[dict[Habit, str]] = {"unmanaged": "unmanaged", "delayed": "delayed", "v2g": "V2G"}


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


def list_cells(as_json: JsonOption = False) -> None:
    """The ageing models: cell, chemistry, where each was fitted."""
    if as_json:
        print(orjson.dumps([_facts(found) for found in MODELS]).decode())
        return
    table = Table(show_edge=False, caption="where each was fitted")
    for head in ("name", "°C", "depth", "charge", "discharge"):
        table.add_column(head, no_wrap=True)
    for found in MODELS:
        f = found.fitted
        table.add_row(
            found.name,
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
    """One cell and its ageing model, or one pack: numbers, sources, fitted range, what it cannot do."""
    known = catalogue()
    pack = spelt(cell, known.packs)
    if pack in known.packs:
        show_pack(pack, as_json=as_json)
        return
    name = cell_of(cell)
    found = ageing_of(cell) if name is None else cell_ageing(name)
    if name is None and found is not None:
        name = known.fitted_to(found.name)
    if as_json:
        facts = {"name": name} if found is None else _facts(found)
        cell_of_it = None if name is None else cell_facts(name)
        print(orjson.dumps({**facts, "catalogue_cell": cell_of_it}).decode())
        return
    if name is not None:
        show_cell(name)
    if found is not None:
        _show_model(found)


def _show_model(found: Model) -> None:
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
    table = Table(title="ageing model", show_header=False, show_edge=False, box=None)
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
    found = ageing_of(cell)
    check_figure(plot)
    life = simulate(found, read_history(profile), years)
    if plot is not None:
        _draw(plot, found, life)
    if as_json:
        document = {**_document(found, life), "notes": notes(cell, found)}
        print(orjson.dumps(document).decode())
        return
    _print(found, life)
    for note in notes(cell, found):
        Console(highlight=False).print(note)


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
    found = MODELS if cell is None else (ageing_of(cell),)
    lives = {m: compare(m, use, years) for m in found}
    if plot is not None:
        _draw_habits(plot, found[0], lives[found[0]])
    if as_json:
        cells = [
            {**_habits(m, by_habit), "notes": notes(cell or m.name, m)}
            for m, by_habit in lives.items()
        ]
        print(orjson.dumps({"years": list(range(1, years + 1)), "cells": cells}).decode())
        return
    console = Console(highlight=False)
    if cell is None:
        console.print(_overview(lives, years))
    else:
        console.print(_bands(found[0], lives[found[0]], years))
        for note in notes(cell, found[0]):
            console.print(note)


def _overview(lives: dict[Model, dict[Habit, Life]], years: int) -> Table:
    table = Table(title=f"Capacity after {years} years, median cell", show_edge=False)
    table.add_column("cell", no_wrap=True)
    for head in (*(_WORDS[habit] for habit in HABITS), "points"):
        table.add_column(head, justify="right", no_wrap=True)
    middle = BAND.index(0.5)
    for found, by_habit in lives.items():
        capacities = (by_habit[habit].relative_capacity[-1, middle] for habit in HABITS)
        effect = _points(_v2g_effect(by_habit))
        table.add_row(found.name, *(f"{q:.3f}" for q in capacities), effect)
    table.caption = "points: what V2G leaves more (+) or less (-) than unmanaged charging"
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
        table.add_row(_WORDS[habit], *capacities, f"{share:.0%} of the time")
    table.caption = f"V2G leaves {_points(_v2g_effect(lives))} points against unmanaged."
    return table


def _v2g_effect(lives: dict[Habit, Life]) -> float:
    """Capacity that V2G leaves more than unmanaged charging."""
    middle = BAND.index(0.5)
    unmanaged, v2g = (lives[h].relative_capacity[-1, middle] for h in ("unmanaged", "v2g"))
    return float(v2g - unmanaged)


def _points(share: float) -> str:
    return f"{100.0 * share:+.1f}"


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
            (line,) = axes.plot(years, middle, label=_WORDS[habit])
            axes.fill_between(years, low, high, alpha=0.15, color=line.get_color(), linewidth=0)
        axes.set_xlim(0.0, years[-1])
        axes.locator_params(axis="x", integer=True)
        axes.legend(
            frameon=False, title=f"line: median cell\nband: {BAND[-1] - BAND[0]:.0%} of cells"
        )


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
    Console(highlight=False).print(table)


def _draw(path: Path, found: Model, life: Life) -> None:
    with drawing(path, x="years", y="relative capacity", title=found.cell) as axes:
        years, q = [0.0, *life.years], [1.0, *life.relative_capacity]
        axes.plot(years, q)
        axes.set_ylim(min(0.6, float(min(q)) - 0.05), max(1.02, float(max(q)) + 0.02))
        axes.set_xlim(0.0, float(life.years[-1]))
        axes.locator_params(axis="x", integer=True)
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
