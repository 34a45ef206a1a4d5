"""The stations: their connection, what they said of themselves, and their OCPP log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from fastapi import Request
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from gridleaf.domain.errors import GridleafError
from gridleaf.store.port import FrameRecord
from gridleaf.web.console.frame import Visit, absent, frame
from gridleaf.web.console.kit import (
    Keyed,
    Region,
    box,
    cancel,
    cells,
    choice,
    definition,
    form,
    heading,
    icon,
    link,
    modal,
    say,
    table,
    tell,
)
from gridleaf.web.console.model import Console
from gridleaf.web.console.texts import DOING, UNKNOWN, moment, until
from gridleaf.web.figures import doing
from gridleaf.web.port import StationView

COLUMNS = ("Station", "Connection", "Version", "Vendor", "Model", "Firmware", "EVSEs#", "Last seen")
_FRAMES = 200
_LOG_S = 2.0
_KINDS = {2: "request", 3: "answer", 4: "error", 6: "message"}


@ui.page("/stations")
async def stations(request: Request) -> None:
    """Every station with its connection and make."""
    with frame(request, "Stations", "stations") as visit:
        with box("div", "page-head"):
            say("h1", "Stations")
            summary = say("p", "", "quiet", role="status")
        with box("section", "card flush"):
            body = table(COLUMNS, "All stations", "stacking")
            rows: Keyed[StationView] = Keyed(body, lambda view: _Line(view, visit.console))

    async def refresh() -> None:
        found = visit.console.platform.stations()
        summary.text = f"{sum(s.online for s in found)} of {len(found)} connected"
        rows.show([(s.station_id, s) for s in found])

    visit.every(refresh)


class _Line:
    """A row of the list of stations."""

    def __init__(self, view: StationView, console: Console) -> None:
        self._console = console
        with box("tr") as self.frame:
            with box("th", "", scope="row", data_label="Station"):
                link(view.station_id, f"/stations/{quote(view.station_id)}", "row-link")
            with box("td", "", data_label="Connection"):
                self._connection = say("span", "", "chip")
            self._cells = cells(COLUMNS[2:], [""] * len(COLUMNS[2:]))

    def show(self, view: StationView) -> None:
        connection(self._connection, view.online)
        texts = (
            view.version or UNKNOWN,
            view.vendor or UNKNOWN,
            view.model or UNKNOWN,
            view.firmware_version or UNKNOWN,
            str(len(view.evses)),
            moment(view.last_seen_at, self._console.zone, self._console.now()),
        )
        for cell, text in zip(self._cells, texts, strict=True):
            cell.text = text


def connection(chip: TextElement, online: bool) -> None:
    """Say in word, sign and colour whether a station is there."""
    chip.text = "Connected" if online else "Offline"
    chip.classes(replace=f"chip {'ready' if online else 'at_risk'}")


@ui.page("/stations/{station_id}")
async def station(request: Request, station_id: str) -> None:
    """One station: facts, EVSEs, the OCPP log and a box to send it any request."""
    with frame(request, station_id, "stations") as visit:
        platform = visit.console.platform
        view = _view(visit, station_id)
        if view is None:
            absent("There is no such station.")
            return
        with box("div", "page-head"):
            with box("div"):
                link("Stations", "/stations", "crumb")
                say("h1", station_id)
            chip = say("span", "", "chip")
            box("div", "grow")
            if visit.principal.operates:
                _start_button(visit, station_id, view.evses)
        with box("dl", "facts card"):
            facts = {
                name: definition(name)
                for name in (
                    "Version",
                    "Vendor",
                    "Model",
                    "Firmware",
                    "Connected since",
                    "Last seen",
                )
            }
        with box("div", "columns"):
            with box("section", "card wide"):
                log = _Log(visit, station_id)
            with box("div", "stack"):
                with box("section", "card"):
                    heading("EVSEs")
                    evses: Region[tuple[tuple[str, str, str], ...]] = Region(box(), _evses)
                if visit.principal.operates:
                    with box("section", "card"):
                        heading("Send a request")
                        _request_box(visit, station_id)
                if view.capabilities:
                    with box("section", "card"), box("details"):
                        say("summary", f"What it reported of itself ({len(view.capabilities)})")
                        with box("dl", "variables"):
                            for name, value in sorted(view.capabilities.items()):
                                definition(name, value)

    async def refresh() -> None:
        console, now = visit.console, visit.console.now()
        found = _view(visit, station_id)
        if found is None:
            return
        connection(chip, found.online)
        since = moment(found.connected_at, console.zone, now)
        for name, text in (
            ("Version", found.version or UNKNOWN),
            ("Vendor", found.vendor or UNKNOWN),
            ("Model", found.model or UNKNOWN),
            ("Firmware", found.firmware_version or UNKNOWN),
            ("Connected since", since if found.online else UNKNOWN),
            ("Last seen", until(found.last_seen_at, now) if found.last_seen_at else UNKNOWN),
        ):
            facts[name].text = text
        evses.show(
            tuple(
                (e.key, DOING[doing(e)], f"/sessions/{e.session.session_id}" if e.session else "")
                for e in platform.state().evses
                if e.station_id == station_id
            )
        )

    visit.every(refresh)
    visit.every(log.refresh, _LOG_S)


def _view(visit: Visit, station_id: str) -> StationView | None:
    found = visit.console.platform.stations()
    return next((s for s in found if s.station_id == station_id), None)


def _evses(rows: tuple[tuple[str, str, str], ...]) -> None:
    with box("ul", "lines"):
        for key, what, target in rows:
            with box("li"):
                if target:
                    link(key, target)
                else:
                    say("span", key)
                say("span", what, "quiet")


@dataclass(frozen=True, slots=True)
class Frame:
    """An OCPP frame in a form to read. ``action`` of an answer is that of its request."""

    key: str
    at: str
    outgoing: bool
    kind: str
    action: str
    text: str


def read_frames(records: list[FrameRecord], times: list[str]) -> list[Frame]:
    """Frames newest first, answers named after their requests; what is no frame is kept as it is."""
    actions: dict[tuple[bool, str], str] = {}
    parsed: list[list[Any] | None] = []
    for record in records:
        try:
            frame_ = json.loads(record.frame)
        except ValueError:
            frame_ = None
        parsed.append(frame_ if isinstance(frame_, list) and len(frame_) >= 3 else None)
        content = parsed[-1]
        if content is not None and content[0] in (2, 6) and len(content) >= 4:
            actions[record.outgoing, str(content[1])] = str(content[2])
    frames = []
    for record, content, at in zip(records, parsed, times, strict=True):
        key = f"{record.at.isoformat()} {record.outgoing} {record.frame}"
        if content is None:
            frames.append(Frame(key, at, record.outgoing, "unreadable", "", record.frame))
            continue
        kind = _KINDS.get(content[0], "frame") if isinstance(content[0], int) else "frame"
        if kind in ("request", "message"):
            action = str(content[2])
        else:
            action = actions.get((not record.outgoing, str(content[1])), "")
        payload = (
            content[2] if kind == "answer" else content[2:] if kind == "error" else content[-1]
        )
        text = json.dumps(payload, indent=2, ensure_ascii=False)
        frames.append(Frame(key, at, record.outgoing, kind, action, text))
    return frames


class _Log:
    """The log of frames with a filter by action."""

    def __init__(self, visit: Visit, station_id: str) -> None:
        self._visit, self._station_id = visit, station_id
        self._chosen = ""
        self._newest: tuple[datetime, int, str] | None = None
        heading("OCPP log")
        with box("div", "row"):
            with box("div", "field"):
                entry = box(
                    "input", "", type="search", placeholder="all actions", autocomplete="off"
                )
                say("label", "Filter by action", for_=f"c{entry.id}").move(target_index=0)
            note = "newest first; open a line for its payload"
            say("p", note, "quiet")

        async def typed(event: Any) -> None:
            self._chosen = str(event.args or "").strip().casefold()
            await self.refresh()

        entry.on("input", typed, js_handler="(e) => emit(e.target.value)", throttle=0.3)
        self._none = say("p", "No frames to show.", "quiet")
        self._rows: Keyed[Frame] = Keyed(box("div", "frames"), _FrameRow)

    async def refresh(self) -> None:
        """Read the log again when something has come."""
        console = self._visit.console
        records = await console.platform.store.frames(self._station_id, limit=_FRAMES)
        newest = (records[0].at, len(records), self._chosen) if records else None
        if newest == self._newest:
            return
        self._newest = newest
        times = [r.at.astimezone(console.zone).strftime("%H:%M:%S") for r in records]
        frames = [f for f in read_frames(records, times) if self._chosen in f.action.casefold()]
        self._rows.show([(f.key, f) for f in frames])
        self._none.set_visibility(not frames)


class _FrameRow:
    """A frame: a line to open for its payload. What was logged never changes."""

    def __init__(self, one: Frame) -> None:
        refused = one.kind == "error"
        with box("details", "ocpp refused" if refused else "ocpp") as self.frame:
            with box("summary"):
                say("time", one.at, "quiet")
                icon("down" if one.outgoing else "up")
                say("span", "to station" if one.outgoing else "from station", "sr-only")
                self._action = say("span", "", "strong")
                say("span", one.kind, "quiet")
            say("pre", one.text, tabindex="0")

    def show(self, one: Frame) -> None:
        """An answer learns its action when its request comes into view."""
        self._action.text = one.action or one.kind


def _request_box(visit: Visit, station_id: str) -> None:
    async def send(values: dict[str, str]) -> None:
        action = values.get("action", "").strip()
        try:
            payload = json.loads(values.get("payload", "") or "{}")
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            tell("The payload is not a JSON object.", bad=True)
            return
        answer.text = "Waiting for the station…"
        try:
            got = await visit.console.platform.request(station_id, action, payload)
        except GridleafError as error:
            answer.text = str(error)
            tell(str(error), bad=True)
            return
        answer.text = json.dumps(got, indent=2, ensure_ascii=False)

    with form("", send, aria_label="OCPP request"):
        with box("div", "field"):
            entry = box(
                "input",
                "",
                name="action",
                required=True,
                list="actions",
                autocomplete="off",
                pattern="[A-Za-z0-9]{1,50}",
            )
            say("label", "Action", for_=f"c{entry.id}").move(target_index=0)
        with box("datalist", "", id="actions"):
            for action in ACTIONS:
                box("option", "", value=action)
        with box("div", "field"):
            payload = box("textarea", "mono", name="payload", rows=5, spellcheck="false")
            payload.props["^placeholder"] = "{}"
            say("label", "Payload (JSON)", for_=f"c{payload.id}").move(target_index=0)
        say("button", "Send", "button primary", type="submit")
    say("h3", "Answer", "small")
    answer = say("pre", "Nothing sent yet.", "answer", tabindex="0", role="status")


ACTIONS = (
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearChargingProfile",
    "DataTransfer",
    "GetBaseReport",
    "GetChargingProfiles",
    "GetCompositeSchedule",
    "GetConfiguration",
    "GetVariables",
    "RequestStartTransaction",
    "RequestStopTransaction",
    "Reset",
    "SetChargingProfile",
    "SetVariables",
    "TriggerMessage",
    "UnlockConnector",
    "UpdateDynamicSchedule",
)
"""Suggested in the box; any other action may be typed."""


def _start_button(visit: Visit, station_id: str, evses: tuple[int, ...]) -> None:
    async def start(values: dict[str, str]) -> None:
        id_token = values.get("id_token", "").strip()
        evse = values.get("evse", "")
        if not id_token or not evse.isdecimal():
            tell("Please give an id token.", bad=True)
            return
        await visit.act(
            visit.console.platform.remote_start(station_id, int(evse), id_token),
            "The station starts a session.",
        )

    opener = say("button", "Start…", "button", type="button")
    with (
        modal(opener, "Start a session") as close,
        form("", start, then=close, aria_label="Start a session"),
    ):
        say("p", "The vehicle must be plugged in. It is charged in the name of this id token.")
        choice("EVSE", "evse", [(str(e), f"{station_id}/{e}") for e in evses], str(evses[0]))
        with box("div", "field"):
            entry = box(
                "input", "", name="id_token", required=True, maxlength=255, autocomplete="off"
            )
            say("label", "Id token", for_=f"c{entry.id}").move(target_index=0)
        with box("div", "row end"):
            cancel(close)
            say("button", "Start the session", "button primary", type="submit")
