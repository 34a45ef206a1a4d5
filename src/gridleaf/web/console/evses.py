"""The board of all EVSEs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from gridleaf.control.types import EvseState, SessionState
from gridleaf.web.console.frame import frame
from gridleaf.web.console.kit import box, say
from gridleaf.web.console.model import Console
from gridleaf.web.console.tables import Cell, DataTable, Row
from gridleaf.web.console.texts import (
    DOING,
    VERDICT,
    kwh,
    moment,
    percent,
    signed_kw,
    until,
    who,
)
from gridleaf.web.figures import IDLE_KW, Readiness, doing, readiness

Filter = Literal["all", "plugged", "attention"]
FILTERS: dict[Filter, str] = {"all": "All", "plugged": "Plugged in", "attention": "Attention"}
COLUMNS = (
    ("EVSE", "board-name"),
    ("Vehicle", "board-vehicle"),
    ("State of charge", "board-soc"),
    ("Departure", "board-departure"),
    ("Power", "number board-power"),
    ("State", "board-state"),
    ("Ready?", "board-ready"),
)


@ui.page("/evses")
async def evses(request: Request) -> None:
    """Every EVSE: vehicle, state of charge, departure, power against setpoint, state."""
    chosen: Filter = "all"
    with frame(request, "EVSEs", "evses") as visit:

        async def choose(choice: Filter) -> None:
            nonlocal chosen
            chosen = choice
            await refresh()

        with box("div", "page-head"):
            say("h1", "EVSEs")
            summary = say("p", "", "quiet", role="status")
            box("div", "grow")
            _filters(choose)
        with box("section", "card flush"):
            board = DataTable("All EVSEs", COLUMNS, "board", "No EVSE needs attention.")

    async def refresh() -> None:
        console = visit.console
        state = console.platform.state()
        ready = {r.evse.key: r for r in readiness(state, console.platform.decision())}
        shown = [e for e in state.evses if _passes(chosen, e, ready.get(e.key))]
        board.show(board_row(e, ready.get(e.key), console) for e in shown)
        plugged = sum(e.session is not None for e in state.evses)
        summary.text = f"{plugged} of {len(state.evses)} in use, {len(shown)} shown"

    visit.every(refresh)


def _filters(choose: Callable[[Filter], Awaitable[None]]) -> None:
    """A choice of one of three, as radio buttons."""
    with box("fieldset", "segments"):
        say("legend", "Show", "sr-only")
        for key, text in FILTERS.items():
            with box("label", "segment"):
                button = box("input", "", type="radio", name="filter", value=key)
                if key == "all":
                    button.props["^checked"] = ""
                say("span", text)

            async def chosen(choice: Filter = key) -> None:
                await choose(choice)

            button.on("change", chosen, args=[])


def _passes(chosen: Filter, evse: EvseState, ready: Readiness | None) -> bool:
    if chosen == "plugged":
        return evse.session is not None
    if chosen == "attention":
        at_risk = ready is not None and ready.verdict == "at_risk"
        return not evse.online or not evse.obeying or evse.status == "faulted" or at_risk
    return True


def board_row(evse: EvseState, ready: Readiness | None, console: Console) -> Row:
    """The row of an EVSE; the cells of a vehicle stay empty while nobody is plugged in."""
    what = doing(evse)
    state = Cell(
        text=DOING[what],
        chip="at_risk" if what in ("offline", "faulted") else what,
        warning="not obeying" if evse.online and not evse.obeying else "",
    )
    kind = f"{evse.current}, {evse.charge_max_kw:g} kW" + (
        " V2G" if evse.discharge_max_kw > 0 else ""
    )
    session = evse.session
    if session is None:
        target = f"/stations/{quote(evse.station_id)}"
        name = Cell(text=evse.key, note=kind, href=target, label=f"{evse.key}, open the station")
        drawn = abs(evse.power_kw or 0.0) > IDLE_KW
        power = Cell(text=signed_kw(evse.power_kw)) if drawn else Cell()
        cells = (name, Cell(), Cell(), Cell(), power, state, Cell())
        return Row(key=evse.key, cells=cells, look="" if drawn else "idle")
    now, zone = console.now(), console.zone
    target = f"/sessions/{quote(session.session_id)}"
    return Row(
        key=evse.key,
        cells=(
            Cell(text=evse.key, note=kind, href=target, label=f"{evse.key}, open the session"),
            Cell(text=who(session.vehicle, session.id_token)),
            _soc(session),
            Cell(
                text=moment(session.departure_at, zone, now), note=until(session.departure_at, now)
            ),
            Cell(text=signed_kw(evse.power_kw), note=f"set {signed_kw(evse.setpoint_kw)}"),
            state,
            _verdict(ready),
        ),
    )


def _soc(session: SessionState) -> Cell:
    """State of charge against target and reserve, or energy where the vehicle does not tell."""
    if session.soc is not None and session.capacity_kwh:
        target = session.target_kwh / session.capacity_kwh
        reserve = session.reserve_kwh / session.capacity_kwh if session.v2g else 0.0
        return Cell(
            text=percent(session.soc),
            note=f"→ {percent(target)}",
            bar=(round(session.soc, 3), round(min(target, 1.0), 3), round(reserve, 3)),
        )
    done = session.energy_kwh / session.target_kwh if session.target_kwh > 0 else 1.0
    return Cell(
        text=kwh(session.energy_kwh),
        note=f"→ {kwh(session.target_kwh)}",
        bar=(round(min(done, 1.0), 3), 1.0, 0.0),
    )


def _verdict(ready: Readiness | None) -> Cell:
    if ready is None:
        return Cell()
    short = f", −{kwh(ready.unmet_kwh)}" if ready.verdict == "at_risk" else ""
    return Cell(text=VERDICT[ready.verdict] + short, chip=ready.verdict)
