"""The stations: their connection, what they said of themselves, and their OCPP log."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from gridleaf.domain.errors import GridleafError
from gridleaf.store.port import FrameRecord
from gridleaf.web.console.frame import Visit, absent, frame
from gridleaf.web.console.kit import (
    Region,
    box,
    cancel,
    choice,
    definition,
    form,
    heading,
    link,
    modal,
    say,
    tell,
)
from gridleaf.web.console.model import Console
from gridleaf.web.console.tables import Cell, DataTable, Frame, FrameLog, Row, plain
from gridleaf.web.console.texts import DOING, UNKNOWN, moment, until
from gridleaf.web.figures import doing
from gridleaf.web.port import StationView

COLUMNS = (
    ("Station", ""),
    ("Connection", ""),
    ("Version", ""),
    ("Vendor", "wrap"),
    ("Model", "wrap"),
    ("Firmware", "wrap"),
    ("EVSEs", "number"),
    ("Last seen", ""),
)
VARIABLES = (("Variable", "wrap"), ("Value", "wrap"))
_FRAMES = 200
_LOG_S = 2.0
CONNECTION = {True: ("Connected", "ready"), False: ("Offline", "at_risk")}
_KINDS = {2: "request", 3: "answer", 4: "error", 6: "message"}


@ui.page("/stations")
async def stations(request: Request) -> None:
    """Every station with its connection and make."""
    with frame(request, "Stations", "stations") as visit:
        with box("div", "page-head"):
            say("h1", "Stations")
            summary = say("p", "", "quiet", role="status")
        with box("section", "card flush"):
            body = DataTable("All stations", COLUMNS, "stacking", "No station is configured.")

    async def refresh() -> None:
        found = visit.console.platform.stations()
        summary.text = f"{sum(s.online for s in found)} of {len(found)} connected"
        body.show(_row(view, visit.console) for view in found)

    visit.every(refresh)


def _row(view: StationView, console: Console) -> Row:
    texts = (
        view.version or UNKNOWN,
        view.vendor or UNKNOWN,
        view.model or UNKNOWN,
        view.firmware_version or UNKNOWN,
        str(len(view.evses)),
        moment(view.last_seen_at, console.zone, console.now()),
    )
    name = Cell(text=view.station_id, href=f"/stations/{quote(view.station_id)}")
    word, look = CONNECTION[view.online]
    connection = Cell(text=word, chip=look)
    return Row(key=view.station_id, cells=(name, connection, *(Cell(text=text) for text in texts)))


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
                heading("OCPP log")
                log = FrameLog()
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
                        with box("div", "variables"):
                            variables = DataTable("What it reported of itself", VARIABLES, "dense")
                        variables.show(
                            plain(name, (name, value))
                            for name, value in sorted(view.capabilities.items())
                        )

    async def refresh() -> None:
        console, now = visit.console, visit.console.now()
        found = _view(visit, station_id)
        if found is None:
            return
        chip.text, look = CONNECTION[found.online]
        chip.classes(replace=f"chip {look}")
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

    newest: tuple[datetime, int] | None = None

    async def refresh_log() -> None:
        nonlocal newest
        records = await platform.store.frames(station_id, limit=_FRAMES)
        seen = (records[0].at, len(records)) if records else None
        if seen != newest:
            newest = seen
            zone = visit.console.zone
            times = [r.at.astimezone(zone).strftime("%H:%M:%S") for r in records]
            log.show(read_frames(records, times))

    visit.every(refresh)
    visit.every(refresh_log, _LOG_S)


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
        if not await visit.welcome():
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
            lambda: visit.console.platform.remote_start(station_id, int(evse), id_token),
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
