"""``gridleaf battery``: the packs of the catalogue, and what one is worth over the years."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.table import Table

from gridleaf.battery import pack as packs
from gridleaf.battery.ageing import MODELS, Life, Model, model, simulate
from gridleaf.battery.ageing.files import read_history
from gridleaf.battery.catalogue import Cell, Curve, PackEntry, Surface, catalogue, unknown
from gridleaf.battery.converter import Converter, round_trip
from gridleaf.battery.exit import (
    Exit,
    Floats,
    Market,
    best_exit,
    break_even_eur_per_year,
    residual_eur,
    use_eur_per_year,
    worth_eur,
)
from gridleaf.battery.wear import cell_ageing
from gridleaf.cli.figure import PlotOption, check_figure, drawing
from gridleaf.domain.errors import ConfigError

CHARGER_KW = 22.0
LONGEST_YEARS = 40
_DRAWN = ("worth_eur", "residual_eur")


def spelt(name: str, known: Iterable[str]) -> str:
    """The name among those known that differs in nothing but case; itself where there is none."""
    same = name.strip().casefold()
    return next((other for other in known if other.casefold() == same), name)


def cell_of(name: str) -> str | None:
    """The catalogue's cell of a cell or a pack, in any case; None of what is neither."""
    known = catalogue()
    name = spelt(name, [*known.packs, *known.cells])
    if name in known.packs:
        return known.packs[name].cell
    return name if name in known.cells else None


def ageing_of(name: str) -> Model:
    """The ageing model of a pack, of a cell, or by its own name, in any case.

    Raises
    ------
    ConfigError
        Nothing is called so, or nobody knows how that cell ages.
    """
    cell = cell_of(name)
    if cell is not None:
        found = cell_ageing(cell)
        if found is None:
            raise ConfigError(
                f"cells.{cell}.ageing_model", "is not stated: nobody knows how it ages"
            )
        return found
    models = [found.name for found in MODELS]
    own = spelt(name, models)
    if own not in models:
        known = catalogue()
        raise unknown(name, "cell, pack or ageing model", [*known.cells, *known.packs, *models])
    return model(own)


def notes(name: str, found: Model) -> list[str]:
    """What to know of a model where it tells how ``name``, a cell, a pack or itself, ages."""
    told = []
    cell = cell_of(name)
    stated = None if cell is None else catalogue().cells[cell].ageing_model
    if stated is not None and stated.assumed:
        told.append(f"{cell} by {found.name}: {stated.source}.")
    if found.new < 1.0:
        told.append(f"Relative to a used cell, at {found.new:.0%} of its capacity when new.")
    return [*told, found.caveat] if found.caveat else told


def pack_facts(name: str) -> dict[str, Any]:
    """A pack as one JSON object; raises :class:`ConfigError` where there is none."""
    known = catalogue()
    entry, pack = known.pack(name), packs.build(known, name)
    soc, charge_kw = packs.charge_curve(pack, 25.0)
    _, discharge_kw = packs.discharge_curve(pack, 25.0)
    shares = round_trip(pack, Converter(rated_kw=CHARGER_KW), [2.0, 11.0, 22.0])
    return {
        "name": name,
        **entry.model_dump(exclude_none=True),
        "usable_kwh": round(float(packs.usable_kwh(pack)), 2),
        "soc": soc.round(3).tolist(),
        "charge_kw_at_25_c": charge_kw.round(2).tolist(),
        "discharge_kw_at_25_c": discharge_kw.round(2).tolist(),
        "round_trip_at_2_11_22_kw": shares.round(4).tolist(),
    }


def list_packs(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """The packs of the catalogue."""
    if as_json:
        print(orjson.dumps([pack_facts(name) for name in catalogue().packs]).decode())
        return
    table = Table(show_edge=False)
    table.add_column("battery", no_wrap=True)
    table.add_column("cells", no_wrap=True)
    for head in ("usable kWh", "charge kW"):
        table.add_column(head, justify="right")
    table.add_column("cooling", no_wrap=True)
    known = catalogue()
    for name, entry in known.packs.items():
        table.add_row(
            name,
            f"{entry.series}s{entry.parallel}p {entry.cell}",
            f"{float(packs.usable_kwh(packs.build(known, name))):.1f}",
            f"{entry.charge_kw.value:g}",
            "passive" if entry.cooling is None else "liquid",
        )
    Console(highlight=False).print(table)


def cell_facts(name: str) -> dict[str, Any]:
    """A cell of the catalogue as one JSON object."""
    entry = catalogue().cells[name]
    return {
        "name": name,
        **entry.model_dump(exclude_none=True),
        "wh_per_kg": round(entry.wh_per_kg, 1),
    }


def show_cell(name: str) -> None:
    """One cell of the catalogue: its numbers with their sources."""
    console = Console(highlight=False)
    console.print(_sourced(catalogue().cells[name]))


def show_pack(name: str, *, as_json: bool) -> None:
    """One pack: its numbers with their sources."""
    facts = pack_facts(name)
    if as_json:
        print(orjson.dumps(facts).decode())
        return
    entry = catalogue().packs[name]
    console = Console(highlight=False)
    console.print(_sourced(entry, cells=f"{entry.series}s{entry.parallel}p {entry.cell}"))
    console.print(f"{facts['usable_kwh']} kWh usable when new")
    curve = zip(facts["soc"], facts["charge_kw_at_25_c"], strict=True)
    told = ", ".join(f"{kw:.0f} kW at {share:.0%}" for share, kw in list(curve)[::4])
    console.print(f"at 25 °C it takes {told}")


def _sourced(entry: Cell | PackEntry, **first: str) -> Table:
    """What is stated of a cell or a pack, with its source."""
    table = Table(title=entry.title, show_edge=False, box=None)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column("source", overflow="fold")
    for key, value in first.items():
        table.add_row(key, value, "", "")
    for key in type(entry).model_fields:
        value = getattr(entry, key)
        if hasattr(value, "source"):
            table.add_row(key, _told(value), "assumed" if value.assumed else "", value.source)
    return table


def _told(stated: Any) -> str:
    """A stated value in short: of a curve or a table the least and the most."""
    if isinstance(stated, Curve | Surface):
        values = np.ravel(stated.value)
        return f"{values.min():g} to {values.max():g}"
    kept = stated.model_dump(exclude={"source", "assumed"}).values()
    return " / ".join(f"{value:g}" for value in kept if not isinstance(value, str))


def value_pack(
    battery: Annotated[
        str, typer.Option("--battery", metavar="BATTERY", help="A pack of the catalogue.")
    ],
    profile: Annotated[
        Path,
        typer.Option(
            "--profile",
            metavar="FILE.csv",
            help="How it is used, repeated: time_s,soc,temperature_c, linear between rows.",
        ),
    ],
    v2g_profile: Annotated[
        Path | None,
        typer.Option("--v2g-profile", metavar="FILE.csv", help="The same use, with V2G."),
    ] = None,
    years: Annotated[int, typer.Option(min=1, max=LONGEST_YEARS, help="For how long.")] = 15,
    use: Annotated[
        float, typer.Option(min=0, help="What driving with it is worth a year when new.")
    ] = 1500.0,
    useless: Annotated[
        float, typer.Option(min=0, max=0.99, help="Relative capacity at which it is worth nothing.")
    ] = 0.5,
    v2g_income: Annotated[float, typer.Option(help="What V2G earns a year.")] = 0.0,
    second_life: Annotated[
        float, typer.Option(help="Price of a used pack for each kWh it still holds.")
    ] = Market().second_life_eur_per_kwh,
    falls: Annotated[
        float, typer.Option(help="By which share this price falls a year.")
    ] = Market().falls_per_year,
    refit: Annotated[
        float, typer.Option(help="Testing and refitting, for each kWh when new.")
    ] = Market().refit_eur_per_kwh,
    recycling: Annotated[
        float, typer.Option(help="What a recycler pays for each kWh when new.")
    ] = Market().recycling_eur_per_kwh,
    interest: Annotated[float, typer.Option(help="A year.")] = Market().interest,
    plot: PlotOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """What a pack is worth over the years, when to let it go, and what V2G does to that."""
    check_figure(plot)
    for name, value in (("use", use), ("v2g_income", v2g_income)):
        if not math.isfinite(value):
            raise ConfigError(name, "must be a number")
    market = Market(
        second_life_eur_per_kwh=second_life,
        falls_per_year=falls,
        refit_eur_per_kwh=refit,
        recycling_eur_per_kwh=recycling,
        interest=interest,
    )
    battery = spelt(battery, catalogue().packs)
    pack, found = packs.named(battery), ageing_of(battery)
    energy_kwh = float(packs.stored_kwh(pack, 1.0))
    at = np.arange(years + 1.0)

    def worth(file: Path, income: float) -> dict[str, Any]:
        life = simulate(found, read_history(file), years)
        capacity, resistance = _from_new(life)
        price = residual_eur(market, energy_kwh, at, capacity, resistance)
        gain = use_eur_per_year(use, capacity, useless) + income
        return {
            "relative_capacity": capacity,
            "relative_resistance": resistance,
            "residual_eur": price,
            "worth_eur": worth_eur(market, at, gain, price),
            "best": best_exit(market, at, gain, price),
            "use": gain - income,
        }

    without = worth(profile, 0.0)
    served = None if v2g_profile is None else worth(v2g_profile, v2g_income)
    needed = None
    if served is not None:
        needed = break_even_eur_per_year(
            market, at, without["best"], served["use"], served["residual_eur"]
        )
    if plot is not None:
        _draw(plot, battery, at, without, served)
    if as_json:
        document = {
            "battery": battery,
            "energy_kwh": round(energy_kwh, 2),
            "ageing_model": found.name,
            "years": at.tolist(),
            "without_v2g": _document(without),
            "with_v2g": None if served is None else _document(served),
            "v2g_break_even_per_year": None if needed is None else round(needed, 2),
            "notes": notes(battery, found),
        }
        print(orjson.dumps(document).decode())
    else:
        _print(battery, energy_kwh, found, without, served, needed)


def _from_new(life: Life) -> tuple[Floats, Floats]:
    capacity = np.concatenate(([1.0], life.relative_capacity))
    return capacity, np.concatenate(([1.0], life.resistance))


def _document(worth: dict[str, Any]) -> dict[str, Any]:
    best: Exit = worth["best"]
    numbers = {
        key: worth[key].round(6 if key.startswith("relative") else 2).tolist()
        for key in ("relative_capacity", "relative_resistance", "residual_eur", "worth_eur")
    }
    return {
        **numbers,
        "best_year": best.year,
        "best_worth_eur": round(best.worth_eur, 2),
        "best_residual_eur": round(best.residual_eur, 2),
    }


def _print(
    battery: str,
    energy_kwh: float,
    found: Model,
    without: dict[str, Any],
    served: dict[str, Any] | None,
    needed: float | None,
) -> None:
    columns = [("", without)] + ([] if served is None else [(" with V2G", served)])
    table = Table(title=f"{battery}, {energy_kwh:.1f} kWh when new", show_edge=False)
    table.add_column("year", justify="right")
    for name, _ in columns:
        for head in ("capacity", "sells for", "worth"):
            table.add_column(f"{head}{name}", justify="right")
    for year in range(len(without["worth_eur"])):
        row = [str(year)]
        for _, worth in columns:
            row.append(f"{worth['relative_capacity'][year]:.3f}")
            row += [f"{worth[key][year]:,.0f}" for key in ("residual_eur", "worth_eur")]
        table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    for name, worth in columns:
        best: Exit = worth["best"]
        last = len(worth["worth_eur"]) - 1
        when = "keep it as long as was looked" if best.year == last else "let it go"
        console.print(
            f"best{name}: {when}, {best.year:g} years; it is worth {best.worth_eur:,.0f} today and "
            f"sells for {best.residual_eur:,.0f} then"
        )
    if needed is not None and needed > 0:
        console.print(f"V2G must earn {needed:,.0f} a year to be worth what it does to the pack")
    elif needed is not None:
        console.print(
            f"V2G spares this pack: it is worth {-needed:,.0f} a year even if it earns nothing"
        )
    console.print(f"aged by {found.name}")
    for note in notes(battery, found):
        console.print(note)


def _draw(
    path: Path, battery: str, at: Floats, without: dict[str, Any], served: dict[str, Any] | None
) -> None:
    with drawing(
        path, x="years", y="EUR", title=f"{battery}: worth today, and price when sold"
    ) as axes:
        for worth, name, style in ((without, "without V2G", "-"), (served, "with V2G", "--")):
            if worth is None:
                continue
            best: Exit = worth["best"]
            (line,) = axes.plot(at, worth["worth_eur"], style, label=f"worth today, {name}")
            axes.plot(at, worth["residual_eur"], style, color="0.5", label=f"sells for, {name}")
            axes.plot([best.year], [best.worth_eur], "o", color=line.get_color(), clip_on=False)
        axes.set_xlim(0, at[-1])
        axes.locator_params(axis="x", integer=True)
        shown = [worth[key] for worth in (without, served) if worth for key in _DRAWN]
        axes.set_ylim(bottom=min(0.0, *(float(values.min()) for values in shown)))
        axes.legend(frameon=False)
