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

from gridleaf.store.port import SessionRecord
from gridleaf.web.console.frame import frame
from gridleaf.web.console.kit import Region, box, cells, choice, form, link, say, table
from gridleaf.web.console.texts import UNKNOWN, kwh, moment, money, percent

COLUMNS = (
    "Arrived",
    "Left",
    "Vehicle",
    "EVSE",
    "Charged#",
    "Discharged#",
    "State of charge#",
    "Paid#",
    "Uncontrolled#",
    "Saved#",
    "Ready?",
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
            body: Region[tuple[SessionRecord, ...]] = Region(
                box(),
                lambda rows: _rows(rows, names, console.zone, console.now(), console.currency),
            )
        names = {v.id_token: v.name for v in console.platform.site.vehicles if v.name}

    async def load() -> tuple[SessionRecord, ...]:
        found = await console.platform.store.sessions(
            since=console.now() - timedelta(days=days), limit=_MOST
        )
        wanted = vehicle.casefold()
        return tuple(
            r
            for r in found
            if wanted in (r.id_token or "").casefold()
            or wanted in names.get(r.id_token or "", "").casefold()
        )

    async def refresh() -> None:
        rows = await load()
        summary.text = f"{len(rows)} sessions" + (" (the newest 500)" if len(rows) == _MOST else "")
        sums.show(Sums.of(rows, console.currency))
        body.show(rows)

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


def _rows(
    rows: tuple[SessionRecord, ...],
    names: dict[str, str],
    zone: ZoneInfo,
    now: datetime,
    currency: str,
) -> None:
    if not rows:
        say("p", "No sessions in this time.", "quiet padded")
        return
    with table(COLUMNS, "Sessions, newest first", "stacking"):
        for r in rows:
            saved = (
                r.uncontrolled_cost_eur - r.cost_eur
                if r.cost_eur is not None and r.uncontrolled_cost_eur is not None
                else None
            )
            with box("tr"):
                with box("th", "", scope="row", data_label="Arrived"):
                    link(
                        moment(r.arrived_at, zone, now),
                        f"/sessions/{quote(r.session_id)}",
                        "row-link",
                    )
                cells(
                    COLUMNS[1:],
                    (
                        "plugged in" if r.state == "live" else moment(r.departed_at, zone, now),
                        names.get(r.id_token or "", "") or r.id_token or UNKNOWN,
                        f"{r.station_id}/{r.evse_id or '?'}",
                        kwh(r.charged_kwh),
                        kwh(r.discharged_kwh),
                        _levels(r),
                        money(r.cost_eur, currency),
                        money(r.uncontrolled_cost_eur, currency),
                        money(saved, currency),
                        _fulfilled(r),
                    ),
                )


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
