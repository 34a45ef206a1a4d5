"""``gridleaf battery wear``: what giving a kWh back costs the cells, and what holding one costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.table import Table

from gridleaf.battery import pack as packs
from gridleaf.battery.catalogue import catalogue
from gridleaf.battery.wear import Floats, WearPrice, Worth, marginal, usual_day, worn
from gridleaf.cli.battery_packs import ageing_of, spelt
from gridleaf.cli.figure import PlotOption, check_figure, drawing
from gridleaf.domain.errors import ConfigError

DEPTHS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Depths of discharge that are priced, as far as there is room above the empty battery."""
LEVELS = np.linspace(0.0, 1.0, 11)


def wear(
    battery: Annotated[
        str,
        typer.Option("--cell", "--pack", metavar="NAME", help="A pack, a cell or an ageing model."),
    ],
    soh: Annotated[
        float, typer.Option(min=0.3, max=1.0, help="Relative capacity of the battery now.")
    ] = 0.95,
    temperature: Annotated[float, typer.Option(min=-40, max=80, help="Of the cells [°C].")] = 20.0,
    pack_price: Annotated[
        float, typer.Option(min=0, help="What a pack costs for each usable kWh.")
    ] = 120.0,
    end_of_life: Annotated[
        float, typer.Option(min=0.1, max=0.98, help="Relative capacity at which it is used up.")
    ] = 0.7,
    capacity: Annotated[
        float | None, typer.Option(min=1, help="Usable kWh when new; of a pack, its own.")
    ] = None,
    power: Annotated[float, typer.Option(min=0.5, help="Of the charger, both ways [kW].")] = 11.0,
    comes: Annotated[float, typer.Option(min=0.1, max=1, help="SoC in the evening.")] = 0.7,
    leaves: Annotated[float, typer.Option(min=0.1, max=1, help="SoC in the morning.")] = 0.85,
    plot: PlotOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The price of wear by charge level and depth, for one day of driving and V2G."""
    check_figure(plot)
    known = catalogue().packs
    battery = spelt(battery, known)
    pack = packs.named(battery) if battery in known else None
    own = 40.0 if pack is None else float(packs.usable_kwh(pack))
    worth = Worth(
        capacity_kwh=own if capacity is None else capacity,
        pack_price_eur_per_kwh=pack_price,
        end_of_life_soh=end_of_life,
        pack=pack,
    )
    model = ageing_of(battery)
    cell = worn(model, soh, temperature)
    holds = min(float(cell.relative_capacity[0]), 1.0)
    worth = replace(worth, soh=holds)
    depths = [depth for depth in DEPTHS if depth < comes + 1e-9]
    if not depths:
        raise ConfigError("comes", "leaves no room to discharge")
    rate = power * 0.93 / worth.capacity_kwh
    prices = [
        marginal(
            cell,
            worth,
            usual_day(
                leaves_soc=leaves * holds,
                comes_soc=comes * holds,
                lowest_soc=(comes - depth) * holds,
                charge_c=rate,
                discharge_c=rate,
                capacity_kwh=worth.capacity_kwh,
                temperature_c=temperature,
            ),
        )
        for depth in depths
    ]
    document = _document(battery, model.name, worth, depths, prices)
    if plot is not None:
        _draw(plot, document, prices[len(prices) // 2])
    if as_json:
        print(orjson.dumps(document).decode())
    else:
        _print(document)


def _document(
    battery: str,
    model: str,
    worth: Worth,
    depths: list[float],
    prices: list[WearPrice],
) -> dict[str, Any]:
    """Dwell is that of the middle depth; money per day, because an hour's is tiny."""
    middle, holds_kwh = prices[len(prices) // 2], worth.soh * worth.capacity_kwh
    per_day = 24.0 * (middle.dwell_at(LEVELS * holds_kwh) - middle.dwell_at(0.0))
    rate = np.interp(LEVELS * worth.soh, middle.soc, middle.rate_eur_per_h)
    exact = 24.0 * (rate - middle.rate_eur_per_h[0])

    def rounded(values: Floats, digits: int = 5) -> list[float]:
        return [float(value) for value in np.round(values, digits)]

    return {
        "battery": battery,
        "ageing_model": model,
        "soh": round(worth.soh, 4),
        "capacity_kwh": round(worth.capacity_kwh, 2),
        "eur_per_capacity_point": round(worth.eur_per_capacity / 100.0, 2),
        "depth": depths,
        "discharge_eur_per_kwh": [round(price.discharge_eur_per_kwh, 5) for price in prices],
        "soc": rounded(LEVELS, 2),
        "dwell_eur_per_day": rounded(per_day),
        "dwell_exact_eur_per_day": rounded(exact),
        "levels_soc": rounded(middle.dwell_kwh / holds_kwh, 4),
        "slopes_eur_per_kwh_day": rounded(24.0 * middle.dwell_eur_per_kwh_h, 6),
        "hull_below_eur_per_day": round(24.0 * middle.hull_below_eur_per_h, 5),
        "fit_error_eur_per_day": round(24.0 * middle.fit_error_eur_per_h, 5),
        "notes": list(middle.notes),
    }


def _print(document: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(
        f"{document['battery']} by {document['ageing_model']}, health {document['soh']:.1%}: a hundredth of "
        f"its capacity is worth {document['eur_per_capacity_point']:.2f}"
    )
    table = Table(title="giving back", show_edge=False)
    table.add_column("depth", justify="right")
    table.add_column("per kWh given", justify="right")
    pairs = zip(document["depth"], document["discharge_eur_per_kwh"], strict=True)
    for depth, price in pairs:
        table.add_row(f"{depth:.0%}", f"{price:.4f}")
    console.print(table)
    table = Table(title="holding charge, against holding none", show_edge=False)
    for head in ("SoC", "a day, as planned", "a day, before it was made convex"):
        table.add_column(head, justify="right")
    rows = zip(
        document["soc"],
        document["dwell_eur_per_day"],
        document["dwell_exact_eur_per_day"],
        strict=True,
    )
    for soc, planned, exact in rows:
        table.add_row(f"{soc:.0%}", f"{planned:.3f}", f"{exact:.3f}")
    console.print(table)
    for note in document["notes"]:
        console.print(note)


def _draw(path: Path, document: dict[str, Any], price: WearPrice) -> None:
    title = f"{document['battery']}, health {document['soh']:.0%}"
    with drawing(path, x="SoC", y="holding charge, per day", title=title) as axes:
        zero = float(price.dwell_at(0.0))
        exact = 24.0 * (price.rate_eur_per_h - price.rate_eur_per_h[0])
        share = price.soc / document["soh"]
        axes.plot(share, exact, color="0.6", label="by the ageing model")
        energy = price.soc * document["capacity_kwh"]
        axes.plot(share, 24.0 * (price.dwell_at(energy) - zero), label="as planned: convex")
        axes.legend(frameon=False)
