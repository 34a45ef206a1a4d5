"""Writes the generated parts of these pages from the code: ``python docs/tables.py``.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. The tests compare
every part with what the code says now, so a new option or message fails them until this was run.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import numpy as np
import typer

from gridleaf.battery import catalogue
from gridleaf.battery import pack as packs
from gridleaf.battery.ageing import MODELS, History, model, simulate
from gridleaf.battery.converter import Converter, round_trip
from gridleaf.battery.habits import HABITS, Use, history
from gridleaf.cli import COMMANDS
from gridleaf.control.dispatch import DEFAULT_BASE, profile_id
from gridleaf.control.ladder import STACK_LEVEL
from gridleaf.domain.errors import ProtocolError
from gridleaf.ocpp import commands, dialect, schemas
from gridleaf.ocpp.base import BaseDialect
from gridleaf.ocpp.commands import Command, SetpointStep
from gridleaf.ocpp.csms import Host, Payload
from gridleaf.plan import read_problem, solve
from gridleaf.web import api
from gridleaf.web import commands as web_commands

DOCS = Path(__file__).parent
PAGES = (
    "reference/commands.md",
    "reference/ocpp.md",
    "reference/catalogue.md",
    "how-to/api.md",
    "concepts/planning.md",
    "reference/cells.md",
    "validation.md",
)
PART = re.compile(r"<!-- generated: (?P<name>[^>]+?) -->\n.*?<!-- end -->", re.DOTALL)
VERSIONS = {"1.6J": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}
NOW = datetime(2026, 1, 5, 17, 5, tzinfo=UTC)


# -- the command line --


def program() -> Any:
    """The ``gridleaf`` command with all its sub-commands."""
    app = typer.Typer()
    app.callback()(lambda: None)
    for name in COMMANDS:
        importlib.import_module(f"gridleaf.cli.{name}").register(app)
    return typer.main.get_command(app)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from leaves(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


def usage(name: str, command: Any) -> str:
    """The usage line and a table of arguments and options."""
    hints = get_type_hints(inspect.unwrap(command.callback))
    words, rows = ["gridleaf", name], []
    for param in command.params:
        long = max(param.opts, key=len)
        value = param.metavar or long.lstrip("-").upper()
        if param.param_type_name == "argument":
            words.append(value if param.required else f"[{value}]")
            label = f"`{value}`"
        else:
            label = f"`{long}`" if param.is_flag else f"`{long} {value}`"
            if param.required:
                words.append(f"{long} {value}")
        rows.append((label, _default(param), _meaning(param, hints)))
    words.append("[OPTIONS]")
    lines = ["```", " ".join(words), "```", ""]
    return "\n".join([*lines, *_table(("", "default", "meaning"), rows)])


def _default(param: Any) -> str:
    if param.required:
        return "required"
    default = param.default
    if default is None or default is False or default in ((), "") or callable(default):
        return ""
    return f"`{default}`"


def _meaning(param: Any, hints: Mapping[str, Any]) -> str:
    choices = _choices(hints.get(param.name))
    meaning = (param.help or "").strip()
    return f"{meaning} One of {_words(choices)}.".strip() if choices else meaning


def _choices(hint: Any) -> tuple[str, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next((found for part in get_args(hint) if (found := _choices(part))), ())


# -- OCPP --


class _Desk:
    """A host that nothing reaches: enough to list handlers and to encode commands."""

    station_id = "BAY-01"
    heartbeat_interval_s = 300
    evse_ids = (1,)
    voltage_v = 230.0

    def __init__(self, discharge_via: str) -> None:
        self.discharge_via = discharge_via

    def now(self) -> datetime:
        return NOW


def spoken(version: str, discharge_via: str = "ocpp21") -> BaseDialect:
    """The central system's dialect of a version."""
    return cast(BaseDialect, dialect(version, cast(Host, _Desk(discharge_via))))


class _Sent(Exception):
    """Ends a command at its first call, with action and payload."""


def call_of(speaker: BaseDialect, command: Command) -> tuple[str, Payload] | None:
    """Action and payload of the first call of a command; None where the version has none."""

    async def caught(action: str, payload: Payload) -> Payload:
        raise _Sent(action, payload)

    call: tuple[str, Payload] | None = None
    try:
        asyncio.run(speaker.execute(command, caught))
    except _Sent as sent:
        call = sent.args[0], sent.args[1]
    except ProtocolError as missing:
        if missing.code != "NotSupported":
            raise
    if call is not None:
        wrong = schemas.violation(speaker.version, call[0], "request", call[1])
        if wrong is not None:
            raise wrong
    return call


RECEIVED = {
    "Authorize": "The id token is judged; in 2.1 the answer carries the allowed energy transfers.",
    "BootNotification": "Kept; always accepted. Starts the reading of what the station supports.",
    "ClearedChargingLimit": "The external limit of the EVSE is lifted.",
    "Heartbeat": "Answered with the time.",
    "MeterValues": "Power, energy registers, SoC, current and voltage, in all units and phases.",
    "NotifyChargingLimit": "The lowest limit named bounds the EVSE's setpoints.",
    "NotifyEVChargingNeeds": (
        "Departure, energy, SoC, power bounds and, in 2.1, the V2X parameters of the vehicle. "
        "Answered `Processing`; the plan comes as a profile."
    ),
    "NotifyEvent": "Kept as it came; an `AvailabilityState` is the state of its connector or EVSE.",
    "PullDynamicScheduleUpdate": "Answered with the setpoint that holds now.",
    "SecurityEventNotification": "Kept and shown as a security event.",
    "StartTransaction": "A session begins; the transaction id is durable before it is given out.",
    "StatusNotification": "State of the connector.",
    "StopTransaction": "The session ends with the register and the readings in the message.",
    "TransactionEvent": (
        "Start, update and end of a session, with its readings; offline replays and repeats too."
    ),
}
"""What is done about a message. One that is only kept needs no entry."""
KEPT = {
    "DataTransfer": "Kept as it came; answered `UnknownVendorId`.",
    "NotifyDERAlarm": (
        "Kept as it came. Stops all discharging at the site until an operator clears it."
    ),
    "NotifyPeriodicEventStream": "Kept as it came (SEND: it has no answer).",
}
SENT: tuple[tuple[Command, str], ...] = (
    (
        commands.SetProfile(
            evse_id=1,
            transaction_id="17",
            profile_id=profile_id(1),
            stack_level=STACK_LEVEL,
            start=NOW,
            expires_s=600,
            steps=(SetpointStep(start_s=0, power_kw=7.0),),
            rate_unit="W",
        ),
        "a setpoint that ends by itself",
    ),
    (
        commands.SetDefaultLimit(
            evse_id=1,
            profile_id=DEFAULT_BASE + 1,
            stack_level=0,
            limit_kw=2.0,
            limit_a=None,
            rate_unit="W",
        ),
        "the low limit the station falls back to, after boot",
    ),
    (
        commands.UpdateSetpoint(profile_id=profile_id(1), power_kw=-9.5),
        "move the setpoint of a dynamic profile",
    ),
    (commands.AllowTransfers(transaction_id="17", transfers=("DC",)), "allow or end discharging"),
    (commands.ClearProfile(profile_id=profile_id(1)), "clear a profile"),
    (commands.GetComposite(evse_id=1, duration_s=900), "read back what is followed"),
    (commands.GetValues(), "what the station supports; variables or keys"),
    (
        commands.SetValues(values={"OCPPCommCtrlr.HeartbeatInterval": "300"}),
        "set variables or keys",
    ),
    (commands.RemoteStart(evse_id=1, id_token="TAG-0001", remote_start_id=1), "start a session"),
    (commands.RemoteStop(transaction_id="17"), "stop a session"),
    (commands.Trigger(message="MeterValues", evse_id=1), "ask for a message now"),
    (commands.ChangeAvailability(evse_id=1, operative=True), "in or out of service"),
    (commands.Reset(), "restart"),
    (commands.Unlock(evse_id=1), "unlock the connector"),
    (commands.TransferData(vendor_id="org.example"), "a vendor's own message"),
)
"""Every command of :mod:`gridleaf.ocpp.commands` once, and what it is for."""


def received() -> str:
    """What stations may send, by version, and what is done about it."""
    tables = {name: spoken(version).handlers() for name, version in VERSIONS.items()}
    rows = []
    for action in sorted({action for table in tables.values() for action in table}):
        handler = next(table[action] for table in tables.values() if action in table)
        kept = ".noted." in handler.__qualname__
        meaning = KEPT.get(action, "Kept as it came.") if kept else RECEIVED[action]
        rows.append((f"`{action}`", *_marks(action in table for table in tables.values()), meaning))
    return "\n".join(_table(("from the station", *VERSIONS, "what is done"), rows))


def sent() -> str:
    """What gridleaf sends of its own accord, by version."""
    rows = []
    for command, purpose in SENT:
        calls = [call_of(spoken(version), command) for version in VERSIONS.values()]
        rows.append((purpose, *(f"`{call[0]}`" if call else "–" for call in calls)))
    return "\n".join(_table(("purpose", *VERSIONS), rows))


def counts() -> str:
    """How many of the actions that a station may call are handled."""
    rows = []
    for name, version in VERSIONS.items():
        known = schemas.actions(version) | schemas.sendable(version)
        rows.append((name, str(len(known)), str(len(spoken(version).handlers()))))
    return "\n".join(
        _table(("version", "messages in the schemas, both directions", "handled inbound"), rows)
    )


def setpoint_example(name: str) -> str:
    """One frame that carries a setpoint, as the code makes it."""
    version, via, changes = EXAMPLES[name]
    command = commands.SetProfile(
        **{
            "evse_id": 1,
            "transaction_id": "17" if version == "ocpp1.6" else "9f1c0a52",
            "profile_id": profile_id(1),
            "stack_level": STACK_LEVEL,
            "start": NOW,
            "expires_s": 600,
            "purpose": "tx",
            **changes,
        }
    )
    return _frame(spoken(version, via), command)


def update_example() -> str:
    """Between renewals a dynamic profile is only moved."""
    update = commands.UpdateSetpoint(profile_id=profile_id(1), power_kw=-4.25)
    return _frame(spoken("ocpp2.1"), update)


_AC: dict[str, Any] = {
    "steps": (SetpointStep(start_s=0, power_kw=6.9, limit_a=10.0),),
    "rate_unit": "A",
    "phases": 3,
}
_GIVE: dict[str, Any] = {
    "steps": (SetpointStep(start_s=0, power_kw=-9.5),),
    "rate_unit": "W",
    "v2x": True,
}
EXAMPLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "setpoint 1.6": ("ocpp1.6", "none", _AC),
    "setpoint 2.0.1": ("ocpp2.0.1", "none", _AC),
    "setpoint 2.1": ("ocpp2.1", "ocpp21", _GIVE),
    "setpoint 2.1 dynamic": ("ocpp2.1", "ocpp21", {**_GIVE, "dynamic": True}),
    "setpoint negative limit": ("ocpp2.0.1", "negative_limit", _GIVE),
}


def _frame(speaker: BaseDialect, command: Command) -> str:
    call = call_of(speaker, command)
    assert call is not None
    text = json.dumps([2, "5b2e-0042", *call], indent=2)
    return "\n".join(["```json", text, "```"])


# -- the API --


def operations() -> str:
    """Every operation of the API."""
    rows = []
    for route in sorted((*api.router.routes, *web_commands.router.routes), key=_of_path):
        for method in sorted(getattr(route, "methods", ())):
            told = inspect.getdoc(getattr(route, "endpoint", None)) or ""
            path = getattr(route, "path", "")
            rows.append((f"`{method}`", f"`{path}`", told.split("\n\n")[0].replace("\n", " ")))
    return "\n".join(_table(("", "under `/api/v1`", ""), rows))


def _of_path(route: Any) -> tuple[str, list[str]]:
    return route.path, sorted(route.methods)


# -- the catalogue --


def cells() -> str:
    """The cells that ship."""
    rows = []
    for name, cell in catalogue.load().cells.items():
        model = cell.ageing_model
        rows.append(
            (
                f"`{name}`",
                cell.title,
                cell.chemistry,
                _number(cell.capacity_ah, "g"),
                " / ".join(_number(v, "g") for v in (cell.min_v, cell.nominal_v, cell.max_v)),
                f"{cell.wh_per_kg:.0f}" + ("*" if cell.mass_kg.assumed else ""),
                "–" if model is None else f"`{model.name}`" + ("*" if model.assumed else ""),
            )
        )
    head = ("cell", "", "chemistry", "Ah", "V least / nominal / most", "Wh/kg", "ageing model")
    return "\n".join(_table(head, rows))


def pack_facts() -> str:
    """The packs that ship, with what follows from their cells."""
    shipped = catalogue.load()
    rows = []
    for name, entry in shipped.packs.items():
        pack = packs.build(shipped, name)
        warm, cold = (packs.charge_curve(pack, t)[1] for t in (25.0, 0.0))
        back = round_trip(pack, Converter(rated_kw=22.0), [2.0, 11.0, 22.0])
        rows.append(
            (
                f"`{name}`",
                entry.title,
                f"{entry.series}s{entry.parallel}p `{entry.cell}`",
                f"{float(packs.usable_kwh(pack)):.1f}",
                " / ".join(f"{warm[at]:.0f}" for at in (10, 16, 18)),
                f"{cold[10]:.0f}",
                " / ".join(f"{100 * share:.0f}" for share in back),
                "passive" if entry.cooling is None else "liquid",
            )
        )
    head = (
        "battery",
        "",
        "cells",
        "usable kWh",
        "kW at 50 / 80 / 90 %",
        "kW at 0 °C",
        "% back at 2 / 11 / 22 kW",
        "cooling",
    )
    return "\n".join(_table(head, rows))


def sources() -> str:
    """Every number of the catalogue with its source."""
    shipped = catalogue.load()
    rows = []
    for kind, entries in (("cells", shipped.cells), ("packs", shipped.packs)):
        for name, entry in cast(Mapping[str, Any], entries).items():
            for key in type(entry).model_fields:
                value = getattr(entry, key)
                if hasattr(value, "source"):
                    plain = isinstance(value, catalogue.Quantity)
                    single = f"{value.value:g}" if plain else ""
                    mark = "assumed" if value.assumed else ""
                    rows.append((f"`{kind}.{name}.{key}`", single, mark, value.source))
    return "\n".join(_table(("number", "", "", "source"), rows))


def _number(quantity: catalogue.Quantity, form: str) -> str:
    return f"{quantity.value:{form}}" + ("*" if quantity.assumed else "")


# -- planning --


def out_of_reach() -> str:
    """The notes of a plan that could not do everything."""
    plan = solve(read_problem(DOCS.parent / "examples" / "plan" / "out-of-reach.json"))
    return "\n".join(["```text", *plan.notes, "```"])


# -- batteries --


def ageing_models() -> str:
    """Every ageing model, where it was fitted and what it cannot do."""
    rows = []
    for cell in MODELS:
        f = cell.fitted
        links = ", ".join(f"[{n}]({link})" for n, link in enumerate(cell.source, 1))
        rates = f"{f.charge_c:g}C / {f.discharge_c:g}C"
        fitted = (_range(f.temperature_c), _range(f.depth), _range(f.soc), rates)
        rows.append((f"`{cell.name}`", cell.cell, links, *fitted, cell.caveat))
    head = ("name", "cell", "source", "°C", "depth", "SoC", "charge / discharge", "caveat")
    return "\n".join(_table(head, rows))


def _range(limits: tuple[float, float]) -> str:
    return f"{limits[0]:g}" if limits[0] == limits[1] else f"{limits[0]:g} to {limits[1]:g}"


def v2g_signs() -> str:
    """Capacity after ten years by habit, 20 ± 8 °C, 20 % of the capacity driven a day."""
    rows = []
    for cell in MODELS:
        left = [simulate(cell, history(h, Use()), 10).relative_capacity[-1] for h in HABITS]
        effect = f"{100.0 * (left[2] - left[0]):+.1f}"
        rows.append((f"`{cell.name}`", *(f"{q:.3f}" for q in left), effect))
    return "\n".join(_table(("model", *HABITS, "V2G against unmanaged, points"), rows))


def leaf_field() -> str:
    """The Leaf's model as if from new, against what was measured of the 24 kWh pack."""
    leaf = model("Lmo_Gr_NissanLeaf66Ah_2ndLife_Battery")
    hours = np.arange(24.0 * 365.0 + 1.0)
    season = np.sin(2.0 * np.pi * (hours / 24.0 - 100.0) / 365.0)
    commute = np.interp(
        hours % 24.0, (0, 7, 8, 17, 18, 22, 24), (0.9, 0.9, 0.725, 0.725, 0.55, 0.9, 0.9)
    )
    mild = simulate(
        leaf, History(time_h=hours, soc=commute, temperature_c=13.0 + 5.0 * season), 8
    ).relative_capacity
    twice = np.interp(
        hours % 24.0, (0, 6, 8, 12, 14, 18, 20, 24), (1.0, 1.0, 0.12, 1.0, 1.0, 1.0, 0.12, 1.0)
    )
    rows = [
        (
            "New Zealand, 201 cars at 2 years",
            "13 ± 5 °C, 35 % driven a day, charged at once to 90 %",
            "3.1 % a year (2.9 to 3.3)",
            f"{100.0 * (1.0 - mild[1]) / 2.0:.1f} % a year",
        ),
        (
            "the same, at 4.6 years",
            "",
            "85 % left",
            f"{100.0 * np.interp(4.6, np.arange(1.0, 9.0), mild):.0f} % left",
        ),
    ]
    for mean_c in (24.0, 30.0, 33.0):
        hot = History(time_h=hours, soc=twice, temperature_c=np.full(len(hours), mean_c))
        left = np.interp(1.3, (0.0, 1.0, 2.0), (1.0, *simulate(leaf, hot, 2).relative_capacity))
        rows.append(
            (
                "Phoenix, four 2012 cars at 40,000 miles",
                f"{mean_c:g} °C, 1.3 years, two discharges of 88 % a day, full between",
                "22 % (AC) and 25 % (DC) lost",
                f"{100.0 * (1.0 - left):.0f} % lost",
            )
        )
    return "\n".join(_table(("where", "assumed", "measured", "model"), rows))


# -- putting it in its place --


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines]


def _marks(there: Iterable[bool]) -> list[str]:
    return ["yes" if here else "–" for here in there]


def _words(choices: Iterable[str]) -> str:
    return ", ".join(f"`{choice}`" for choice in choices)


def parts() -> dict[str, str]:
    """Every generated part by its name."""
    return {
        **{f"options of {name}": usage(name, command) for name, command in leaves(program())},
        "received": received(),
        "sent": sent(),
        "counts": counts(),
        **{name: setpoint_example(name) for name in EXAMPLES},
        "update": update_example(),
        "operations": operations(),
        "cells": cells(),
        "packs": pack_facts(),
        "sources": sources(),
        "out of reach": out_of_reach(),
        "ageing models": ageing_models(),
        "V2G signs": v2g_signs(),
        "Leaf field data": leaf_field(),
    }


def rendered(text: str, made: Mapping[str, str]) -> str:
    """A page with its generated parts as they should be."""
    return PART.sub(
        lambda m: f"<!-- generated: {m['name']} -->\n\n{made[m['name']]}\n\n<!-- end -->", text
    )


def main() -> int:
    """Bring the pages up to date."""
    made = parts()
    for page in PAGES:
        path = DOCS / page
        path.write_text(rendered(path.read_text("utf-8"), made), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
