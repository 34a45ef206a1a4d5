"""What the control loop decided, and why."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from gridleaf.control.explain import explain
from gridleaf.control.types import Decision, SiteState, decision_from_json, state_from_json
from gridleaf.store.port import CycleRecord
from gridleaf.web.console.charts import Chart, depot_options, figures
from gridleaf.web.console.depot import LEGEND
from gridleaf.web.console.frame import Visit, absent, frame
from gridleaf.web.console.kit import box, definition, heading, link, say
from gridleaf.web.console.tables import Cell, DataTable, Row
from gridleaf.web.console.texts import (
    METHODS,
    UNKNOWN,
    kw,
    moment,
    money,
    number,
    percent,
    price,
    signed_kw,
)
from gridleaf.web.figures import timeline

COLUMNS = (
    ("Time", ""),
    ("Because of", ""),
    ("Planned by", ""),
    ("Gap", "number"),
    ("Objective", "number"),
    ("Setpoints", "number"),
    ("Alerts", "number"),
    ("Took", "number"),
)
SETPOINTS = (
    ("EVSE", ""),
    ("Vehicle", "wrap"),
    ("Setpoint", "number"),
    ("Planned", "number"),
    ("State of charge", "number"),
    ("Leaves", ""),
    ("Why", "why"),
)
_PAGE = 25


@ui.page("/decisions")
async def decisions(request: Request, before: int | None = None) -> None:
    """The newest control cycles; older ones a page further."""
    with frame(request, "Decisions", "decisions") as visit:
        with box("div", "page-head"):
            say("h1", "Decisions")
            say("p", "one for each control cycle, newest first", "quiet")
        with box("section", "card flush"):
            body = DataTable(
                "Decisions, newest first", COLUMNS, "stacking", "No decision has been made yet."
            )
        with box("nav", "row end", aria_label="Older and newer decisions"):
            if before is not None:
                link("Newest", "/decisions", "button")
            older = link("Older", "/decisions", "button")
            older.set_visibility(False)

    async def refresh() -> None:
        rows = await visit.console.platform.store.cycles(before_id=before, limit=_PAGE)
        body.show(_line(visit, record) for record in rows)
        more = len(rows) == _PAGE
        if more:
            older.props["href"] = f"/decisions?before={rows[-1].cycle_id}"
        older.set_visibility(more)

    seen: datetime | None = None

    async def when_new() -> None:
        nonlocal seen
        made = visit.console.platform.decision()
        at = made.at if made is not None else None
        if at != seen:
            seen = at
            await refresh()

    await refresh()
    if before is None:
        visit.every(when_new)


def _line(visit: Visit, record: CycleRecord) -> Row:
    made = decision_from_json(record.decision)
    key = str(record.cycle_id)
    texts = (
        record.trigger,
        METHODS.get(made.method, made.method),
        _gap(made.gap),
        money(made.objective_eur, visit.console.currency),
        str(len(made.setpoints)),
        str(len(made.alerts)),
        f"{number(made.plan_seconds * 1000, 0)} ms",
    )
    time = Cell(text=_seconds(record.at, visit), href=f"/decisions/{key}")
    return Row(key=key, cells=(time, *(Cell(text=text) for text in texts)))


def _seconds(at: datetime, visit: Visit) -> str:
    console = visit.console
    seconds = at.astimezone(console.zone).strftime(":%S")
    return moment(at, console.zone, console.now()) + seconds


def _gap(gap: float | None) -> str:
    return UNKNOWN if gap is None else f"{number(100 * gap, 2)} %"


@ui.page("/decisions/{cycle_id}")
async def decision(request: Request, cycle_id: int) -> None:
    """One decision explained from what was stored with it."""
    with frame(request, f"Decision {cycle_id}", "decisions") as visit:
        valid = 0 < cycle_id < 2**53
        record = await visit.console.platform.store.cycle(cycle_id) if valid else None
        if record is None:
            absent("There is no such decision.")
            return
        state, made = state_from_json(record.state), decision_from_json(record.decision)
        with box("div", "page-head"), box("div"):
            link("Decisions", "/decisions", "crumb")
            say("h1", f"Decision {cycle_id}")
        _facts(visit, record, state, made)
        with box("section", "card"):
            heading("Setpoints and their reasons")
            _setpoints(visit, state, made)
        with box("section", "card"):
            heading("The plan behind it")
            chart = Chart("Plan of this decision", LEGEND, "clamp(19rem, 40vh, 26rem)")
            _draw(visit, chart, state, made)
        if made.alerts or made.notes:
            with box("section", "card"):
                heading("Alerts and notes")
                with box("ul", "notes"):
                    for alert in made.alerts:
                        say("li", f"{alert.severity}, {alert.where}: {alert.text}")
                    for note in made.notes:
                        say("li", note)


def _facts(visit: Visit, record: CycleRecord, state: SiteState, made: Decision) -> None:
    console = visit.console
    measured = state.measurement
    outlook = state.outlook
    with box("dl", "facts card"):
        definition("Time", _seconds(record.at, visit))
        definition("Because of", record.trigger)
        definition("Planned by", METHODS.get(made.method, made.method))
        definition("At most from optimal", _gap(made.gap))
        definition("Objective", money(made.objective_eur, console.currency))
        definition("Grid then", signed_kw(measured.grid_kw if measured else None))
        definition("Limits", f"{kw(state.import_limit_kw)} in, {kw(state.export_limit_kw)} out")
        if outlook.import_price:
            buy = price(outlook.import_price[0], console.currency)
            definition("Price", f"{buy}, export {price(outlook.export_price[0], console.currency)}")
        definition("Peak of the month", kw(state.peak_so_far_kw))
        definition("Meter", "fresh" if state.meter_fresh else "not fresh")


def _setpoints(visit: Visit, state: SiteState, made: Decision) -> None:
    zone = visit.console.zone
    sessions = explain(state, made)["sessions"]
    assert isinstance(sessions, list)
    table = DataTable("Setpoints", SETPOINTS, "stacking", "No vehicle was plugged in.")
    table.show(
        Row(
            key=s["evse"],
            cells=(
                Cell(text=s["evse"], href=f"/sessions/{quote(s['session_id'])}"),
                Cell(text=s["vehicle"] or UNKNOWN),
                Cell(text=signed_kw(s["setpoint_kw"])),
                Cell(text=signed_kw(s["planned_kw"])),
                Cell(text=percent(s["soc"])),
                Cell(text=moment(datetime.fromisoformat(s["departure_at"]), zone, state.at)),
                Cell(items=tuple(r[:1].upper() + r[1:] for r in s["why"])),
            ),
        )
        for s in sessions
    )


def _draw(visit: Visit, chart: Chart, state: SiteState, made: Decision) -> None:
    console = visit.console
    site = console.platform.site
    line = timeline(site, state.at, [], {}, state.outlook, made, since=state.at)
    hours = [moment(at, console.zone, state.at) for at in line.at]
    chart.show(
        depot_options(line, site.timezone, console.currency),
        "the power planned for the horizon",
        figures(line, hours, console.currency),
    )
