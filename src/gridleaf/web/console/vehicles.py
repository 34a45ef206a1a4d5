"""The vehicles' batteries: health with its band, what giving energy has cost in wear, and passports."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

import orjson
from fastapi import HTTPException, Request, Response
from nicegui import app, ui

from gridleaf.domain.errors import ConfigError
from gridleaf.web.batteries import BatteryView, battery_views, passport_of
from gridleaf.web.console.frame import frame, visit_of
from gridleaf.web.console.kit import box, say
from gridleaf.web.console.tables import Cell, DataTable, Row
from gridleaf.web.console.texts import kwh, moment, money, number, percent, price

EVERY_S = 30.0
COLUMNS = (
    ("Vehicle", "wrap"),
    ("Health", "number"),
    ("Capacity", "number"),
    ("Sessions", "number"),
    ("Known by", ""),
    ("Discharged", "number"),
    ("Wear", "number"),
    ("Passport", "number"),
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
        now = console.now()
        table.show(battery_row(view, console.currency, console.zone, now) for view in found)

    visit.every(refresh, EVERY_S)


@app.get("/vehicles/{id_token}/passport.json")
async def passport(request: Request, id_token: str) -> Response:
    """The passport of a vehicle as a file."""
    try:
        found = await passport_of(visit_of(request).console.platform, id_token)
    except KeyError:
        raise HTTPException(404, "there is no such passport") from None
    except ConfigError as error:
        raise HTTPException(409, str(error)) from None
    return Response(
        orjson.dumps(found, option=orjson.OPT_INDENT_2),
        media_type="application/json",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="passport.json"',
        },
    )


def battery_row(view: BatteryView, currency: str, zone: ZoneInfo, now: datetime) -> Row:
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
            _passport_cell(view, zone, now),
        ),
    )


def _passport_cell(view: BatteryView, zone: ZoneInfo, now: datetime) -> Cell:
    if not view.passport_entries:
        return Cell(text="none yet")
    entries = "1 entry" if view.passport_entries == 1 else f"{view.passport_entries} entries"
    return Cell(
        text=entries,
        note=moment(view.passport_at, zone, now),
        href=f"/vehicles/{quote(view.id_token, safe='')}/passport.json",
        label=f"Download the passport of {view.name or view.id_token}, {entries}",
    )
