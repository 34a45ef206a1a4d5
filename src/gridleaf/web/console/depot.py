"""The depot at a glance."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from gridleaf.control.types import Alert
from gridleaf.web.console.charts import Chart, depot_options, figures
from gridleaf.web.console.frame import SLOWLY_S, Visit, frame
from gridleaf.web.console.kit import Keyed, box, confirm, heading, icon, props, say
from gridleaf.web.console.model import Console
from gridleaf.web.console.now import GridNow, Tiles
from gridleaf.web.console.texts import (
    VERDICT,
    kw,
    kwh,
    moment,
    percent,
    price,
    until,
    who,
)
from gridleaf.web.figures import Readiness, Timeline, flow, readiness, worst_first

LEGEND = (
    ("c-load", "Building"),
    ("c-charge", "Charging"),
    ("c-pv", "PV"),
    ("c-discharge", "Discharging"),
    ("line c-grid", "Grid, net"),
    ("dash c-limit", "Limits"),
    ("line c-price", "Price"),
)
_SHOWN_DEPARTURES = 8


@ui.page("/")
async def depot(request: Request) -> None:
    """Grid power against its limits, now and as planned; money, alerts, next departures."""
    with frame(request, "Depot", "depot") as visit:
        say("h1", "Depot", "sr-only")
        grid = GridNow()
        tiles = Tiles()
        with box("div", "columns three"):
            with box("section", "card area-alerts"):
                heading("Alerts")
                with box("p", "all-well") as well:
                    icon("good")
                    say("span", "All is well.")
                alerts: Keyed[Alert] = Keyed(
                    box("ul", "alerts", aria_live="polite"), lambda a: _AlertRow(visit, a)
                )
            with box("section", "card area-chart"):
                heading("Power and price", note="6 hours measured, then as planned")
                chart = Chart("Power of the depot", LEGEND, "clamp(21rem, 46vh, 30rem)")
            with box("section", "card area-leaving"):
                heading("Next departures")
                nobody = say("p", "No vehicle is plugged in.", "quiet")
                leaving: Keyed[Readiness] = Keyed(
                    box("ol", "departures"), lambda _: _Departure(visit.console)
                )

    async def refresh() -> None:
        platform, console = visit.console.platform, visit.console
        state, decision = platform.state(), platform.decision()
        now = flow(state)
        grid.show(now)
        ready = readiness(state, decision)
        tiles.show(now, platform.savings(), [r.verdict for r in ready], console.currency)
        known = worst_first(decision.alerts) if decision is not None else []
        alerts.show([((a.kind, a.severity, a.where), a) for a in known])
        well.set_visibility(not known)
        leaving.show([(r.session.session_id, r) for r in ready[:_SHOWN_DEPARTURES]])
        nobody.set_visibility(not ready)

    async def redraw() -> None:
        console = visit.console
        line = await console.timeline()
        hours = [moment(at, console.zone, line.now) for at in line.at]
        chart.show(
            depot_options(line, console.platform.site.timezone, console.currency),
            in_words(line, console.currency),
            figures(line, hours, console.currency),
        )

    visit.every(refresh)
    visit.every(redraw, SLOWLY_S)


class _AlertRow:
    """An alert with its severity in sign, word and colour."""

    def __init__(self, visit: Visit, alert: Alert) -> None:
        self._console = visit.console
        with box("li", f"alert {alert.severity}") as self.frame:
            icon(alert.severity)
            with box("div"):
                with box("div", "alert-head"):
                    self._where = say("a", alert.where)
                    say("span", alert.severity, "alert-severity")
                self._text = say("p", alert.text)
                if alert.kind == "grid_event" and visit.principal.operates:
                    _clear_grid_event(visit)

    def show(self, alert: Alert) -> None:
        self._text.text = alert.text
        sessions = {
            e.key: e.session.session_id
            for e in self._console.platform.state().evses
            if e.session is not None
        }
        station = alert.where.partition("/")[0]
        if alert.where in sessions:
            props(self._where, href=f"/sessions/{quote(sessions[alert.where])}")
        elif any(s.id == station for s in self._console.platform.site.stations):
            props(self._where, href=f"/stations/{quote(station)}")


def _clear_grid_event(visit: Visit) -> None:
    async def clear() -> None:
        await visit.act(
            visit.console.platform.clear_grid_event, "Cleared. Discharging is allowed again."
        )

    confirm(
        say("button", "Clear…", "button", type="button"),
        "Clear the grid event?",
        "Vehicles may discharge again. Do this only when the grid operator or the inspection of "
        "the event allows it.",
        "Clear the event",
        clear,
    )


class _Departure:
    """A line of the departures."""

    def __init__(self, console: Console) -> None:
        self._console = console
        with box("li") as self.frame, box("a", "departure") as self._link:
            with box("span", "departure-time"):
                self._at = say("span", "", "strong")
                self._wait = say("span", "", "quiet")
            self._name = say("span", "", "departure-name")
            self._level = say("span", "", "departure-level")
            self._verdict = say("span", "", "chip")

    def show(self, ready: Readiness) -> None:
        session, console = ready.session, self._console
        now = console.now()
        props(self._link, href=f"/sessions/{quote(session.session_id)}")
        self._at.text = moment(session.departure_at, console.zone, now)
        self._wait.text = until(session.departure_at, now)
        self._name.text = who(session.vehicle, session.id_token)
        self._level.text = (
            percent(session.soc) if session.soc is not None else kwh(session.energy_kwh)
        )
        self._verdict.text = VERDICT[ready.verdict]
        self._verdict.classes(replace=f"chip {ready.verdict}")


def in_words(line: Timeline, currency: str) -> str:
    """What the chart of the depot shows, in a sentence."""
    ahead = [i for i, at in enumerate(line.at) if at >= line.now]
    grid = [g for i in ahead if (g := line.grid_kw[i]) is not None]
    prices = [p for i in ahead if (p := line.import_price[i]) is not None]
    if not grid or not prices:
        return "no plan yet"
    out = min((line.discharging_kw[i] or 0.0) for i in ahead)
    return (
        f"planned grid power between {kw(min(grid))} and {kw(max(grid))}, "
        f"discharging up to {kw(-out)}, "
        f"price between {price(min(prices), currency)} and {price(max(prices), currency)}"
    )
