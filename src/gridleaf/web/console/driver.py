"""The driver's page, made for a phone: when do you leave, how full, and what does it earn."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from gridleaf.control.types import EvseState
from gridleaf.web.console.frame import Visit, absent, frame
from gridleaf.web.console.kit import box, definition, heading, link, say
from gridleaf.web.console.texts import (
    DOING,
    UNKNOWN,
    kw,
    kwh,
    moment,
    money,
    part_of_gain,
    percent,
    until,
    who,
)
from gridleaf.web.console.wishes import wish_form
from gridleaf.web.figures import doing, expected_saving


@ui.page("/driver")
async def choose(request: Request) -> None:
    """A driver's own vehicle; whoever watches the site picks one."""
    with frame(request, "My car", "evses") as visit:
        plugged = [e for e in visit.console.platform.state().evses if _may_see(visit, e)]
        if visit.principal.role == "driver" and len(plugged) == 1:
            _page(visit, plugged[0])
            return
        say("h1", "Which car is yours?" if plugged else "No car is plugged in")
        if not plugged:
            say("p", "Plug in and come back to this page.", "quiet")
        with box("ul", "cars"):
            for evse in plugged:
                session = evse.session
                assert session is not None
                with box("li"), link("", f"/driver/{quote(evse.key)}", "car"):
                    say("span", who(session.vehicle, session.id_token), "strong")
                    say("span", f"at {evse.key}", "quiet")


@ui.page("/driver/{key:path}")
async def driver(request: Request, key: str) -> None:
    """The page of one session, by its own id or by the EVSE it is plugged in at."""
    with frame(request, "My car", "evses") as visit:
        evse = next(
            (
                e
                for e in visit.console.platform.state().evses
                if e.session is not None and key in (e.key, e.session.session_id)
            ),
            None,
        )
        if evse is None or not _may_see(visit, evse):
            absent("No car of yours is plugged in here.")
            return
        _page(visit, evse)


def _may_see(visit: Visit, evse: EvseState) -> bool:
    session = evse.session
    return session is not None and (
        visit.principal.watches or visit.principal.owns(session.id_token)
    )


def _page(visit: Visit, evse: EvseState) -> None:
    session = evse.session
    assert session is not None
    console, session_id = visit.console, session.session_id
    with box("div", "driver"):
        with box("section", "card driver-now"):
            with box("div", "driver-title"):
                say("h1", who(session.vehicle, session.id_token))
                state = say("span", "", "chip")
            with box("div", "driver-soc"):
                level = say("span", UNKNOWN, "big")
                doing_now = say("span", "", "quiet")
            bar = box("div", "soc-bar tall", aria_hidden="true")
            with bar:
                box("div", "soc-fill")
                box("div", "soc-reserve")
                box("div", "soc-target")
            with box("dl", "facts"):
                leaves = definition("Leaves")
                expected = definition("Expected then")
                earned = definition("Saved so far")
                earning = definition("Saving by departure")
                share = definition("Yours") if session.driver_share > 0 else None
            promise = say("p", "", "promise", role="status")
        with box("section", "card"):
            heading("Your wishes")
            wish_form(visit, session_id, compact=False)

    async def refresh() -> None:
        platform = console.platform
        live = console.evse_of(session_id)
        if live is None or live.session is None:
            state.text, doing_now.text = "Ended", "The session is over."
            promise.text = "You have left, or the session has ended."
            return
        now, car = console.now(), live.session
        state.text = DOING[doing(live)]
        state.classes(replace=f"chip {doing(live)}")
        if car.soc is not None and car.capacity_kwh:
            level.text = percent(car.soc)
            bar.style(
                replace=f"--soc: {car.soc:.3f}; --target: {car.target_kwh / car.capacity_kwh:.3f}; "
                f"--reserve: {car.reserve_kwh / car.capacity_kwh if car.v2g else 0:.3f}"
            )
        else:
            level.text = kwh(car.energy_kwh)
            done = car.energy_kwh / car.target_kwh if car.target_kwh > 0 else 1.0
            bar.style(replace=f"--soc: {min(done, 1):.3f}; --target: 1; --reserve: 0")
        power = live.power_kw or 0.0
        doing_now.text = {
            "charging": f"charging with {kw(power)}",
            "discharging": f"giving back {kw(-power)}",
        }.get(doing(live), "waiting for a better time" if doing(live) == "waiting" else "")
        leaves.text = (
            f"{moment(car.departure_at, console.zone, now)}, {until(car.departure_at, now)}"
        )
        decision, decided = platform.decision(), platform.decided_state()
        plans = decision.sessions if decision is not None else ()
        plan = next((p for p in plans if p.session_id == session_id), None)
        record = await platform.store.session(session_id)
        saved = None
        if record is not None:
            record = platform.current(record)
        if record is not None and record.cost_eur is not None:
            saved = (record.uncontrolled_cost_eur or 0.0) - record.cost_eur
        earned.text = money(saved, console.currency)
        if share is not None and record is not None:
            share.text = part_of_gain(record.driver_eur, car.driver_share, console.currency)
        if plan is None or decision is None or decided is None:
            expected.text, earning.text = "planning…", UNKNOWN
            promise.text = ""
            return
        expected.text = (
            percent(plan.expected_soc)
            if plan.expected_soc is not None
            else f"{kwh(car.target_kwh - plan.unmet_kwh)} of {kwh(car.target_kwh)}"
        )
        ahead = expected_saving(
            plan, car, decided.outlook, decision.grid_kw, live.charge_efficiency
        )
        earning.text = money((saved or 0.0) + ahead, console.currency)
        if plan.unmet_kwh > 0.1:
            promise.text = f"There is not enough time: {kwh(plan.unmet_kwh)} will be missing."
            promise.classes(replace="promise at_risk")
        else:
            promise.text = "Your car will be ready in time."
            promise.classes(replace="promise ready")

    visit.every(refresh)
