"""The vehicles' batteries: health with its band, and what giving energy has cost in wear."""

from __future__ import annotations

from fastapi import Request
from nicegui import ui

from gridleaf.web.batteries import BatteryView, battery_views
from gridleaf.web.console.frame import frame
from gridleaf.web.console.kit import box, say
from gridleaf.web.console.tables import Cell, DataTable, Row
from gridleaf.web.console.texts import kwh, money, number, percent, price

EVERY_S = 30.0
COLUMNS = (
    ("Vehicle", "wrap"),
    ("Health", "number"),
    ("Capacity", "number"),
    ("Sessions", "number"),
    ("Known by", ""),
    ("Discharged", "number"),
    ("Wear", "number"),
)


@ui.page("/vehicles")
async def vehicles(request: Request) -> None:
    """Every vehicle of the site file with the health of its battery."""
    with frame(request, "Vehicles", "vehicles") as visit:
        with box("div", "page-head"):
            say("h1", "Vehicles")
            summary = say("p", "", "quiet", role="status")
        with box("section", "card flush"):
            table = DataTable(
                "Batteries of the vehicles", COLUMNS, "stacking", "The site file names no vehicle."
            )

    async def refresh() -> None:
        console = visit.console
        found = await battery_views(console.platform)
        measured = sum(view.measured_at is not None for view in found)
        summary.text = f"{measured} of {len(found)} measured, with 90 % bands"
        table.show(battery_row(view, console.currency) for view in found)

    visit.every(refresh, EVERY_S)


def battery_row(view: BatteryView, currency: str) -> Row:
    """The row of a vehicle."""
    name = Cell(text=view.name or view.id_token, note=view.id_token if view.name else "")
    band = f"{100 * view.soh_low:.0f} to {percent(view.soh_high)}"
    if view.measured_at is None:
        source = "age"
    else:
        source = "sessions" if view.planned_with else "sessions, few yet"
    health = Cell(text=percent(view.soh), note=band)
    band = f"{number(view.low_kwh)} to {number(view.high_kwh)}, new {kwh(view.nominal_kwh)}"
    capacity = Cell(text=kwh(view.capacity_kwh), note=band)
    return Row(
        key=view.id_token,
        cells=(
            name,
            health,
            capacity,
            Cell(text=str(view.sessions)),
            Cell(text=source),
            Cell(text=kwh(view.discharged_kwh)),
            Cell(text=money(view.wear_cost, currency), note=price(view.wear_per_kwh, currency)),
        ),
    )
