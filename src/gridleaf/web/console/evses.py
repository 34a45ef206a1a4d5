"""The board of all EVSEs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from fastapi import Request
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from gridleaf.control.types import EvseState
from gridleaf.web.console.frame import frame
from gridleaf.web.console.kit import Keyed, box, icon, props, say, table
from gridleaf.web.console.model import Console
from gridleaf.web.console.texts import (
    DOING,
    UNKNOWN,
    VERDICT,
    kwh,
    moment,
    percent,
    signed_kw,
    until,
    who,
)
from gridleaf.web.figures import Doing, Readiness, doing, readiness

Shown = tuple[EvseState, Readiness | None]
Filter = Literal["all", "plugged", "attention"]
FILTERS: dict[Filter, str] = {"all": "All", "plugged": "Plugged in", "attention": "Attention"}
COLUMNS = ("EVSE", "Vehicle", "State of charge", "Departure", "Power#", "State", "Ready?")


@ui.page("/evses")
async def evses(request: Request) -> None:
    """Every EVSE: vehicle, state of charge, departure, power against setpoint, state."""
    with frame(request, "EVSEs", "evses") as visit:
        with box("div", "page-head"):
            say("h1", "EVSEs")
            summary = say("p", "", "quiet", role="status")
            box("div", "grow")
            filters = _Filters()
        with box("section", "card flush"):
            body = table(COLUMNS, "All EVSEs", "board")
        rows: Keyed[Shown] = Keyed(body, lambda shown: _Row(shown, visit.console))

    async def refresh() -> None:
        console = visit.console
        state = console.platform.state()
        ready = {r.evse.key: r for r in readiness(state, console.platform.decision())}
        rows.show([(e.key, (e, ready.get(e.key))) for e in state.evses])
        shown = 0
        for row, evse in zip(body.default_slot.children, state.evses, strict=True):
            visible = _passes(filters.chosen, evse, ready.get(evse.key))
            row.set_visibility(visible)
            shown += visible
        plugged = sum(e.session is not None for e in state.evses)
        summary.text = f"{plugged} of {len(state.evses)} in use, {shown} shown"

    filters.changed = refresh
    visit.every(refresh)


def _passes(chosen: Filter, evse: EvseState, ready: Readiness | None) -> bool:
    if chosen == "plugged":
        return evse.session is not None
    if chosen == "attention":
        at_risk = ready is not None and ready.verdict == "at_risk"
        return not evse.online or not evse.obeying or evse.status == "faulted" or at_risk
    return True


class _Filters:
    """A choice of one of three, as radio buttons."""

    def __init__(self) -> None:
        self.chosen: Filter = "all"
        self.changed = _nothing
        with box("fieldset", "segments"):
            say("legend", "Show", "sr-only")
            for key, text in FILTERS.items():
                with box("label", "segment"):
                    button = box("input", "", type="radio", name="filter", value=key)
                    if key == "all":
                        button.props["^checked"] = ""
                    say("span", text)

                async def choose(chosen: Filter = key) -> None:
                    self.chosen = chosen
                    await self.changed()

                button.on("change", choose, args=[])


async def _nothing() -> None:
    """Nothing to refresh yet."""


@dataclass(slots=True)
class _Soc:
    frame: ui.element
    bar: ui.element
    text: TextElement
    note: TextElement

    @classmethod
    def build(cls) -> _Soc:
        with box("div", "soc") as frame_:
            with box("div", "soc-figures"):
                text = say("span", UNKNOWN, "strong")
                note = say("span", "", "quiet")
            with box("div", "soc-bar", aria_hidden="true") as bar:
                box("div", "soc-fill")
                box("div", "soc-reserve")
                box("div", "soc-target")
        return cls(frame_, bar, text, note)

    def show(self, evse: EvseState) -> None:
        session = evse.session
        self.frame.set_visibility(session is not None)
        if session is None:
            return
        if session.soc is not None and session.capacity_kwh:
            target = session.target_kwh / session.capacity_kwh
            reserve = session.reserve_kwh / session.capacity_kwh if session.v2g else 0.0
            self.text.text = percent(session.soc)
            self.note.text = f"→ {percent(target)}"
            level = session.soc
        else:
            target, reserve = 1.0, 0.0
            level = session.energy_kwh / session.target_kwh if session.target_kwh > 0 else 1.0
            self.text.text = kwh(session.energy_kwh)
            self.note.text = f"→ {kwh(session.target_kwh)}"
        self.bar.style(
            replace=f"--soc: {min(level, 1.0):.3f}; --target: {min(target, 1.0):.3f}; "
            f"--reserve: {reserve:.3f}"
        )
        self.bar.classes(replace="soc-bar" + (" v2g" if reserve > 0 else ""))


class _Row:
    """A row of the board; only what has changed is sent."""

    def __init__(self, shown: Shown, console: Console) -> None:
        evse, _ = shown
        self._console = console
        with box("tr", "board-row") as self.frame:
            with box("th", "", scope="row", data_label="EVSE"):
                self._link = say("a", evse.key, "row-link")
                kind = f"{evse.current}, {evse.charge_max_kw:g} kW"
                say("span", kind + (" V2G" if evse.discharge_max_kw > 0 else ""), "quiet small")
            with box("td", "board-vehicle", data_label=COLUMNS[1]):
                self._vehicle = say("span", "", "clip")
            with box("td", "board-soc", data_label=COLUMNS[2]):
                self._soc = _Soc.build()
            with box("td", "board-departure", data_label=COLUMNS[3]), box("div", "two-lines"):
                self._departure = say("span", "")
                self._wait = say("span", "", "quiet small")
            with box("td", "number board-power", data_label="Power"), box("div", "two-lines"):
                self._power = say("span", "", "strong")
                self._setpoint = say("span", "", "quiet small")
            with box("td", "board-state", data_label=COLUMNS[5]), box("div", "two-lines"):
                self._state = say("span", "", "chip")
                with box("span", "not-obeying") as self._warning:
                    icon("warning")
                    say("span", "not obeying")
            with box("td", "board-ready", data_label=COLUMNS[6]):
                self._ready = say("span", "", "chip")

    def show(self, shown: Shown) -> None:
        """Bring the row up to date."""
        evse, ready = shown
        console = self._console
        session, what = evse.session, doing(evse)
        now, zone = console.now(), console.zone
        if session is not None:
            target, words = f"/sessions/{quote(session.session_id)}", "open the session"
        else:
            target, words = f"/stations/{quote(evse.station_id)}", "open the station"
        props(self._link, href=target, aria_label=f"{evse.key}, {words}")
        self.frame.classes(**({"remove": "idle"} if session else {"add": "idle"}))
        self._vehicle.text = who(session.vehicle, session.id_token) if session else ""
        self._soc.show(evse)
        self._departure.text = moment(session.departure_at, zone, now) if session else ""
        self._wait.text = until(session.departure_at, now) if session else ""
        idle = session is None and abs(evse.power_kw or 0.0) < 0.05
        self._power.text = "" if idle else signed_kw(evse.power_kw)
        self._setpoint.text = "" if session is None else f"set {signed_kw(evse.setpoint_kw)}"
        self._state.text = DOING[what]
        self._state.classes(replace=f"chip {_tone(what)}")
        self._warning.set_visibility(evse.online and not evse.obeying)
        self._ready.set_visibility(ready is not None)
        if ready is not None:
            self._ready.text = VERDICT[ready.verdict] + (
                f", −{kwh(ready.unmet_kwh)}" if ready.verdict == "at_risk" else ""
            )
            self._ready.classes(replace=f"chip {ready.verdict}")


def _tone(what: Doing) -> str:
    return {"offline": "at_risk", "faulted": "at_risk"}.get(what, what)
