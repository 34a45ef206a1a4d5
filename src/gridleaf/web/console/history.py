"""The sessions of the past and what they cost against uncontrolled charging."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Request
from nicegui import ui

from gridleaf.domain.site import same_token
from gridleaf.store.port import SessionRecord
from gridleaf.web.console.frame import frame
from gridleaf.web.console.kit import Region, box, choice, form, say
from gridleaf.web.console.tables import Cell, DataTable, Row
from gridleaf.web.console.texts import UNKNOWN, kwh, moment, money, percent

COLUMNS = (
    ("Arrived", ""),
    ("Left", ""),
    ("Vehicle", "wrap"),
    ("EVSE", ""),
    ("Charged", "number"),
    ("Discharged", "number"),
    ("State of charge", "number"),
    ("Paid", "number"),
    ("Uncontrolled", "number"),
    ("Saved", "number"),
    ("Ready?", ""),
)
DAYS = (("1", "Last 24 hours"), ("7", "Last 7 days"), ("31", "Last 31 days"))
_MOST = 500


@ui.page("/history")
async def history(request: Request) -> None:
    """Sessions with cost against uncontrolled, their sums, and all of it as CSV."""
    with frame(request, "History", "history") as visit:
        console = visit.console
        days = 7
        vehicle = ""
        with box("div", "page-head"):
            say("h1", "History")
            summary = say("p", "", "quiet", role="status")
            box("div", "grow")

            async def chosen(values: dict[str, str]) -> None:
                nonlocal days, vehicle
                days = int(values["days"]) if values.get("days") in dict(DAYS) else days
                vehicle = values.get("vehicle", "").strip()[:255]
                await refresh()

            with form("row", chosen, aria_label="What to show"):
                choice("Time", "days", DAYS, "7")
                with box("div", "field"):
                    entry = box("input", "", type="search", name="vehicle", placeholder="all")
                    say("label", "Vehicle or id token", for_=f"c{entry.id}").move(target_index=0)
                say("button", "Show", "button", type="submit")
                say("button", "Download CSV", "button", type="button").on(
                    "click", lambda: download()
                )
        sums: Region[Sums] = Region(box("dl", "tiles"), _sums)
        with box("section", "card flush"):
            body = DataTable(
                "Sessions, newest first", COLUMNS, "stacking", "No sessions in this time."
            )
        names = {same_token(v.id_token): v.name for v in console.platform.site.vehicles if v.name}

    async def load() -> tuple[SessionRecord, ...]:
        found = await console.platform.store.sessions(
            since=console.now() - timedelta(days=days), limit=_MOST
        )
        wanted = vehicle.casefold()
        return tuple(
            r
            for r in map(console.platform.current, found)
            if wanted in (r.id_token or "").casefold()
            or wanted in names.get(same_token(r.id_token or ""), "").casefold()
        )

    async def refresh() -> None:
        rows = await load()
        summary.text = f"{len(rows)} sessions" + (" (the newest 500)" if len(rows) == _MOST else "")
        sums.show(Sums.of(rows, console.currency))
        now = console.now()
        body.show(_row(r, names, console.zone, now, console.currency) for r in rows)

    async def download() -> None:
        ui.download(sessions_csv(await load()).encode(), "sessions.csv", "text/csv")

    await refresh()


class Sums(tuple[tuple[str, str], ...]):
    """Titles and figures of the sums over sessions."""

    @classmethod
    def of(cls, rows: Sequence[SessionRecord], currency: str) -> Sums:
        paid = sum(r.cost_eur or 0.0 for r in rows)
        plain = sum(r.uncontrolled_cost_eur or 0.0 for r in rows)
        ended = [r for r in rows if r.state == "ended"]
        ready = sum(not (r.unmet_kwh or 0.0) > 0.1 for r in ended)
        return cls(
            (
                ("Charged", kwh(sum(r.charged_kwh for r in rows), 0)),
                ("Discharged", kwh(sum(r.discharged_kwh for r in rows), 0)),
                ("Paid", money(paid, currency)),
                ("Uncontrolled", money(plain, currency)),
                ("Saved", money(plain - paid, currency)),
                ("Left with their energy", f"{ready} of {len(ended)}"),
            )
        )


def _sums(sums: Sums) -> None:
    for title, figure in sums:
        with box("div", "tile emphasis" if title == "Saved" else "tile"):
            with box("dt"):
                say("span", title)
            with box("dd"):
                say("span", figure, "tile-value")


def _row(
    record: SessionRecord, names: dict[str, str], zone: ZoneInfo, now: datetime, currency: str
) -> Row:
    saved = None
    if record.cost_eur is not None and record.uncontrolled_cost_eur is not None:
        saved = record.uncontrolled_cost_eur - record.cost_eur
    token = record.id_token or ""
    arrived = Cell(
        text=moment(record.arrived_at, zone, now), href=f"/sessions/{quote(record.session_id)}"
    )
    texts = (
        "plugged in" if record.state == "live" else moment(record.departed_at, zone, now),
        names.get(same_token(token), "") or token or UNKNOWN,
        f"{record.station_id}/{record.evse_id or '?'}",
        kwh(record.charged_kwh),
        kwh(record.discharged_kwh),
        _levels(record),
        money(record.cost_eur, currency),
        money(record.uncontrolled_cost_eur, currency),
        money(saved, currency),
        _fulfilled(record),
    )
    return Row(key=record.session_id, cells=(arrived, *(Cell(text=text) for text in texts)))


def _levels(record: SessionRecord) -> str:
    """State of charge at arrival and departure; empty where the vehicle never told."""
    if record.arrival_soc is None and record.departure_soc is None:
        return ""
    end = "…" if record.state == "live" else percent(record.departure_soc)
    return f"{percent(record.arrival_soc)} → {end}"


def _fulfilled(record: SessionRecord) -> str:
    if record.state == "live":
        return ""
    if record.state == "suspect":
        return "end not seen"
    unmet = record.unmet_kwh or 0.0
    return f"{kwh(unmet)} short" if unmet > 0.1 else "yes"


_FIELDS = (
    "session_id",
    "station_id",
    "evse_id",
    "id_token",
    "arrived_at",
    "departed_at",
    "state",
    "charged_kwh",
    "discharged_kwh",
    "arrival_soc",
    "departure_soc",
    "unmet_kwh",
    "cost_eur",
    "uncontrolled_cost_eur",
    "life_eur",
    "driver_eur",
)


def sessions_csv(rows: Sequence[SessionRecord]) -> str:
    """Sessions as CSV (RFC 4180), times in UTC. No cell can become a formula in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_FIELDS)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in _FIELDS])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        flat = " ".join(value.split())
        return f"'{flat}" if flat.startswith(("=", "+", "-", "@")) else flat
    return value
