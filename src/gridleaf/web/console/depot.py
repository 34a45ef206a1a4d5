"""The depot at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Request
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from gridleaf.control.types import Alert
from gridleaf.web.console.charts import Chart, depot_options, figures
from gridleaf.web.console.frame import Visit, frame
from gridleaf.web.console.kit import Region, box, heading, icon, link, say
from gridleaf.web.console.texts import (
    SPACE,
    UNKNOWN,
    VERDICT,
    kw,
    kwh,
    moment,
    money,
    number,
    percent,
    price,
    until,
    who,
)
from gridleaf.web.figures import Flow, Timeline, Verdict, flow, readiness, worst_first
from gridleaf.web.port import Savings

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
            with box("section", "card area-alerts", aria_live="polite"):
                heading("Alerts")
                alerts: Region[tuple[Alert, ...]] = Region(box(), lambda a: _alerts(visit, a))
            with box("section", "card area-chart"):
                heading("Power and price", note="6 hours measured, then as planned")
                chart = Chart("Power of the depot", LEGEND, "clamp(21rem, 46vh, 30rem)")
            with box("section", "card area-leaving"):
                heading("Next departures")
                leaving: Region[tuple[Leaving, ...]] = Region(box(), _departures)

    async def refresh() -> None:
        platform, console = visit.console.platform, visit.console
        state, decision = platform.state(), platform.decision()
        now = flow(state)
        grid.show(now)
        ready = readiness(state, decision)
        tiles.show(now, platform.savings(), [r.verdict for r in ready], console.currency)
        alerts.show(tuple(worst_first(decision.alerts)) if decision is not None else ())
        leaving.show(
            tuple(
                Leaving(
                    r.session.session_id,
                    who(r.session.vehicle, r.session.id_token),
                    moment(r.session.departure_at, console.zone, console.now()),
                    until(r.session.departure_at, console.now()),
                    percent(r.session.soc)
                    if r.session.soc is not None
                    else kwh(r.session.charged_kwh),
                    r.verdict,
                )
                for r in ready[:_SHOWN_DEPARTURES]
            )
        )
        line = await console.timeline()
        hours = [moment(at, console.zone, line.now) for at in line.at]
        chart.show(
            depot_options(line, platform.site.timezone, console.currency),
            _words(line, console.currency),
            figures(line, hours, console.currency),
        )

    visit.every(refresh)


class GridNow:
    """The grid connection now: one big figure and a gauge from export limit to import limit."""

    def __init__(self) -> None:
        with box("section", "card grid-now", aria_label="Grid connection now"):
            with box("div", "grid-figure"):
                self._direction = say("span", "Grid", "quiet")
                with box("div", "figure"):
                    self._value = say("span", UNKNOWN, "big")
                    say("span", "kW", "unit")
                self._room = say("span", "", "quiet")
            with box("div", "gauge-frame"):
                self._gauge = box("div", "gauge", aria_hidden="true")
                with self._gauge:
                    box("div", "gauge-fill")
                    box("div", "gauge-zero")
                    box("div", "gauge-now")
                with box("div", "gauge-ends") as self._ends:
                    self._export = say("span", "", "gauge-low")
                    say("span", "0", "gauge-zero-label")
                    self._import = say("span", "", "gauge-high")

    def show(self, now: Flow) -> None:
        """Bring the figure and the gauge up to date."""
        grid = now.grid_kw
        low, high = -now.export_limit_kw, now.import_limit_kw
        whole = max(high - low, 1.0)
        self._export.text = f"{number(low, 0)} kW export limit"
        self._import.text = f"import limit {number(high, 0)} kW"
        zero = -low / whole
        style = f"--zero: {zero:.4f}; "
        if grid is None:
            self._value.text = UNKNOWN
            self._direction.text = "Grid"
            self._room.text = "No site meter: the safe static share holds"
            state = "unknown"
        else:
            at = min(max((grid - low) / whole, 0.0), 1.0)
            style += f"--at: {at:.4f}; --from: {min(zero, at):.4f}; --to: {max(zero, at):.4f}"
            self._value.text = number(abs(grid))
            self._direction.text = (
                "Importing from the grid" if grid >= 0 else "Exporting to the grid"
            )
            room = high - grid if grid >= 0 else grid - low
            over = room < -0.05
            state = "over" if over else "fine" if now.fresh else "stale"
            self._room.text = (
                f"{number(-room)} kW above the limit"
                if over
                else f"{number(room)} kW below the limit"
            ) + ("" if now.fresh else " · meter is stale")
        self._gauge.classes(replace=f"gauge {state}")
        self._gauge.style(replace=style)
        self._ends.style(replace=f"--zero: {zero:.4f}")


class Tiles:
    """The figures of the moment."""

    def __init__(self) -> None:
        with box("dl", "tiles"):
            self._price = _tile("Import price")
            self._pv = _tile("PV", "c-pv")
            self._load = _tile("Building", "c-load")
            self._charging = _tile("Charging", "c-charge")
            self._discharging = _tile("Discharging", "c-discharge")
            self._saved = _tile("Saved today", emphasis=True)
            self._ready = _tile("Cars")

    def show(self, now: Flow, savings: Savings, verdicts: list[Verdict], currency: str) -> None:
        """Bring the figures up to date."""
        self._price.show(
            price(now.import_price, currency), f"export {price(now.export_price, currency)}"
        )
        self._pv.show(kw(now.pv_kw), "generating" if (now.pv_kw or 0) > 0.05 else "")
        self._load.show(kw(now.load_kw), "without chargers")
        self._charging.show(kw(now.charging_kw), f"{kwh(savings.charged_kwh, 0)} today")
        self._discharging.show(kw(now.discharging_kw), f"{kwh(savings.discharged_kwh, 0)} today")
        saved = savings.uncontrolled_cost_eur - savings.cost_eur
        self._saved.show(
            money(saved, currency),
            f"{money(savings.cost_eur, currency)} paid, "
            f"{money(savings.uncontrolled_cost_eur, currency)} uncontrolled",
        )
        risk = verdicts.count("at_risk")
        self._ready.show(
            f"{len(verdicts) - risk} of {len(verdicts)}{SPACE}fine",
            f"{verdicts.count('ready')} ready now, {risk} at risk",
            alarm=risk > 0,
        )


@dataclass(slots=True)
class _Tile:
    frame: ui.element
    value: TextElement
    unit: TextElement
    note: TextElement

    def show(self, value: str, note: str, *, alarm: bool = False) -> None:
        self.value.text, _, self.unit.text = value.partition(SPACE)
        self.note.text = note
        self.frame.classes(**({"add": "alarm"} if alarm else {"remove": "alarm"}))


def _tile(title: str, swatch: str = "", *, emphasis: bool = False) -> _Tile:
    with box("div", "tile emphasis" if emphasis else "tile") as frame_:
        with box("dt"):
            if swatch:
                box("span", f"swatch {swatch}", aria_hidden="true")
            say("span", title)
        with box("dd"):
            with box("span"):
                value = say("span", UNKNOWN, "tile-value")
                unit = say("span", "", "tile-unit")
            note = say("span", "", "tile-note")
    return _Tile(frame_, value, unit, note)


def _alerts(visit: Visit, alerts: tuple[Alert, ...]) -> None:
    if not alerts:
        with box("p", "all-well"):
            icon("good")
            say("span", "All is well.")
        return
    sessions = {
        e.key: e.session.session_id
        for e in visit.console.platform.state().evses
        if e.session is not None
    }
    with box("ul", "alerts"):
        for alert in alerts:
            with box("li", f"alert {alert.severity}"):
                icon(alert.severity)
                with box("div"):
                    with box("div", "alert-head"):
                        if alert.where in sessions:
                            link(alert.where, f"/sessions/{quote(sessions[alert.where])}")
                        else:
                            say("span", alert.where)
                        say("span", alert.severity, "alert-severity")
                    say("p", alert.text)


@dataclass(frozen=True, slots=True)
class Leaving:
    """A line of the departures."""

    session_id: str
    name: str
    at: str
    wait: str
    level: str
    verdict: Verdict


def _departures(rows: tuple[Leaving, ...]) -> None:
    if not rows:
        say("p", "No vehicle is plugged in.", "quiet")
        return
    with box("ol", "departures"):
        for row in rows:
            with box("li"), link("", f"/sessions/{quote(row.session_id)}", "departure"):
                with box("span", "departure-time"):
                    say("span", row.at, "strong")
                    say("span", row.wait, "quiet")
                say("span", row.name, "departure-name")
                say("span", row.level, "departure-level")
                say("span", VERDICT[row.verdict], f"chip {row.verdict}")


def _words(line: Timeline, currency: str) -> str:
    """What the chart shows, in a sentence."""
    ahead = [i for i, at in enumerate(line.at) if at >= line.now]
    grid = [(line.grid_kw[i] or 0.0, line.at[i]) for i in ahead]
    if not grid:
        return "no plan yet"
    prices = [p for i in ahead if (p := line.import_price[i]) is not None]
    out = min((line.discharging_kw[i] or 0.0) for i in ahead)
    return (
        f"planned grid power between {kw(min(grid)[0])} and {kw(max(grid)[0])}, "
        f"discharging up to {kw(-out)}, "
        f"price between {price(min(prices), currency)} and {price(max(prices), currency)}"
        if prices
        else f"planned grid power between {kw(min(grid)[0])} and {kw(max(grid)[0])}"
    )
