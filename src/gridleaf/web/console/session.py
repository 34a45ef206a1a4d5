"""One session in detail: its plan, why it gets its power, its wishes."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Request
from nicegui import ui

from gridleaf.control.explain import explain
from gridleaf.control.types import EvseState
from gridleaf.store.port import SessionRecord
from gridleaf.web.console.charts import Chart
from gridleaf.web.console.frame import SLOWLY_S, Visit, absent, frame
from gridleaf.web.console.kit import (
    Region,
    box,
    confirm,
    definition,
    heading,
    link,
    say,
)
from gridleaf.web.console.session_chart import ahead, session_options, session_rows
from gridleaf.web.console.texts import (
    DOING,
    FLAGS,
    KNOWN_BY,
    SAID_BY,
    UNKNOWN,
    VERDICT,
    kwh,
    moment,
    money,
    percent,
    signed_kw,
    until,
    who,
)
from gridleaf.web.console.wishes import wish_form
from gridleaf.web.figures import doing, readiness, session_series

LEGEND = (
    ("line c-charge", "Power, measured"),
    ("dash c-charge", "Power, planned"),
    ("line c-soc", "State of charge"),
    ("dash c-soc", "planned"),
    ("line c-price", "Price"),
)


@ui.page("/sessions/{session_id}")
async def session(request: Request, session_id: str) -> None:
    """The page of a session, live or over."""
    with frame(request, "Session", "evses") as visit:
        record = await visit.console.platform.store.session(session_id)
        if record is None:
            absent("There is no such session.")
            return
        console = visit.console
        evse = console.evse_of(session_id)
        name = who(evse.session.vehicle, record.id_token) if evse and evse.session else None
        with box("div", "page-head"):
            with box("div"):
                link("EVSEs", "/evses", "crumb")
                say("h1", name or record.id_token or "Session")
            state = say("span", "", "chip")
            box("div", "grow")
            if evse is not None and visit.principal.operates:
                link("Driver's page", f"/driver/{quote(session_id)}", "button")
                _stop_button(visit, session_id)
        facts = _Facts(record, console.zone, console.currency)
        with box("div", "columns"):
            with box("section", "card wide"):
                heading("Plan", note="measured until now, then as planned")
                chart = Chart("Power and state of charge", LEGEND, "clamp(21rem, 48vh, 31rem)")
            with box("div", "stack"):
                if evse is not None:
                    with box("section", "card"):
                        heading("Why this power")
                        why: Region[tuple[str, ...]] = Region(box(aria_live="polite"), _reasons)
                    with box("section", "card"):
                        heading("Wishes")
                        wish_form(visit, session_id, compact=True)

    async def refresh() -> None:
        platform = console.platform
        kept = platform.current(await platform.store.session(session_id) or record)
        live = console.evse_of(session_id)
        facts.show(kept, live, console.now(), _verdict(visit, session_id))
        state.text = DOING[doing(live)] if live is not None else _over(kept)
        state.classes(replace=f"chip {doing(live) if live is not None else 'free'}")
        if live is not None and evse is not None:
            why.show(tuple(_why(visit, session_id)))

    async def redraw() -> None:
        await _draw(visit, chart, record)

    visit.every(refresh)
    visit.every(redraw, SLOWLY_S)


def _over(record: SessionRecord) -> str:
    return "Closed without an end" if record.state == "suspect" else "Ended"


def _stop_button(visit: Visit, session_id: str) -> None:
    async def stop() -> None:
        platform = visit.console.platform
        await visit.act(lambda: platform.remote_stop(session_id), "The station stops the session.")

    confirm(
        say("button", "Stop…", "button danger", type="button"),
        "Stop this session?",
        "Charging and discharging end at once; the driver can unplug. "
        "To go on, the vehicle has to be plugged in or started again.",
        "Stop the session",
        stop,
    )


class _Facts:
    """The figures of the session."""

    def __init__(self, record: SessionRecord, zone: ZoneInfo, currency: str) -> None:
        self._zone, self._currency = zone, currency
        where = f"{record.station_id}/{record.evse_id or '?'}"
        with box("dl", "facts card"):
            with box("div"):
                say("dt", "EVSE")
                with box("dd"):
                    link(where, f"/stations/{quote(record.station_id)}")
            self._arrived = definition("Arrived")
            self._leaves = definition("Leaves")
            self._soc = definition("State of charge")
            self._expected = definition("At departure")
            self._power = definition("Power now")
            self._energy = definition("Charged, discharged")
            self._saved = definition("Saved")
            self._notes = definition("Notes")

    def show(
        self, record: SessionRecord, evse: EvseState | None, now: datetime, verdict: str
    ) -> None:
        live = evse.session if evse is not None else None
        self._arrived.text = moment(record.arrived_at, self._zone, now)
        if live is not None and evse is not None:
            self._leaves.text = (
                f"{moment(live.departure_at, self._zone, now)}, "
                f"{until(live.departure_at, now)} ({SAID_BY.get(live.said_by, live.said_by)})"
            )
            target = live.target_kwh / live.capacity_kwh if live.capacity_kwh else None
            if live.soc is not None:
                self._soc.text = (
                    f"{percent(live.soc)} of {kwh(live.capacity_kwh, 0)}"
                    f" ({KNOWN_BY.get(live.capacity_by, 'assumed')}), target {percent(target)}"
                )
            else:
                self._soc.text = (
                    f"not reported; {kwh(live.energy_kwh)} of {kwh(live.target_kwh)} wanted"
                )
            self._expected.text = verdict
            self._power.text = f"{signed_kw(evse.power_kw)}, set {signed_kw(evse.setpoint_kw)}" + (
                "" if evse.obeying else ", not obeying"
            )
        else:
            self._leaves.text = f"left {moment(record.departed_at, self._zone, now)}"
            self._soc.text = f"{percent(record.arrival_soc)} → {percent(record.departure_soc)}"
            self._expected.text = (
                "everything delivered" if not record.unmet_kwh else f"{kwh(record.unmet_kwh)} short"
            )
            self._power.text = UNKNOWN
        self._energy.text = f"{kwh(record.charged_kwh)}, {kwh(record.discharged_kwh)}"
        if live is not None and live.discharge_left_kwh is not None:
            self._energy.text += f" (may give {kwh(live.discharge_left_kwh, 0)} more)"
        if record.cost_eur is not None and record.uncontrolled_cost_eur is not None:
            saved = money(record.uncontrolled_cost_eur - record.cost_eur, self._currency)
            paid = f"paid {money(record.cost_eur, self._currency)}"
            if record.life_eur:
                paid += f", battery life {money(record.life_eur, self._currency)} of it"
            self._saved.text = f"{saved} ({paid})"
        else:
            self._saved.text = UNKNOWN
        self._notes.text = ", ".join(FLAGS.get(f, f) for f in record.flags) or "none"


def _verdict(visit: Visit, session_id: str) -> str:
    platform = visit.console.platform
    for ready in readiness(platform.state(), platform.decision()):
        if ready.session.session_id == session_id:
            text = VERDICT[ready.verdict]
            if ready.expected_soc is not None:
                text += f", {percent(ready.expected_soc)} expected"
            return text + (f", {kwh(ready.unmet_kwh)} short" if ready.unmet_kwh > 0.1 else "")
    return UNKNOWN


def _why(visit: Visit, session_id: str) -> list[str]:
    """The reasons of the newest decision for this session."""
    platform = visit.console.platform
    state, decision = platform.decided_state(), platform.decision()
    if state is None or decision is None:
        return ["No decision has been made yet."]
    sessions = explain(state, decision)["sessions"]
    assert isinstance(sessions, list)
    found = next((s for s in sessions if s["session_id"] == session_id), None)
    if found is None:
        return ["The newest decision was made before this vehicle came."]
    return [str(reason) for reason in found["why"]]


def _reasons(reasons: tuple[str, ...]) -> None:
    with box("ol", "reasons"):
        for reason in reasons:
            say("li", reason[:1].upper() + reason[1:])


async def _draw(visit: Visit, chart: Chart, record: SessionRecord) -> None:
    """Draw what was measured and, while the session lasts, what is planned."""
    console = visit.console
    platform, now = console.platform, console.now()
    evse = console.evse_of(record.session_id)
    decision, decided = platform.decision(), platform.decided_state()
    plan, held = None, []
    if evse is not None and evse.session is not None and decision is not None and decided:
        own = next((p for p in decision.sessions if p.session_id == record.session_id), None)
        plan = ahead(evse.session, own, decided.outlook) if own is not None else None
        held = await console.past_prices(record.arrived_at)
    power, soc = session_series(
        await platform.store.transaction_events(record.station_id, record.transaction_id)
    )
    words = "measured power and state of charge"
    if plan is not None:
        leaves = moment(plan.session.departure_at, console.zone, now)
        words += f", and {len(plan.power_kw)} planned steps until {leaves}"
    chart.show(
        session_options(power, soc, plan, held, now, platform.site.timezone, console.currency),
        words,
        session_rows(plan, console.zone, now, console.currency),
    )
