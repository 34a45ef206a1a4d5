"""What events alone could not rebuild after a restart, as one text that the store keeps."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from gridleaf.control.accounts import Totals
from gridleaf.control.gain import Gain
from gridleaf.control.loop import Controller
from gridleaf.control.session import Mark
from gridleaf.domain.events import NeedsReported, from_json, to_json
from gridleaf.tariff import DemandMeter


def written(controller: Controller, demand: DemandMeter, uncontrolled_demand: DemandMeter) -> str:
    """The sums, what was imposed, and what stations and vehicles are known by."""
    live, accounts, imposed = controller.live, controller.accounts, controller.imposed
    return json.dumps(
        {
            "grid_event": live.grid_event,
            "imposed": [imposed.import_kw, imposed.export_kw],
            "defaults": {e.key: e.default_kw for e in live.evses() if e.default_kw is not None},
            "disobeying": [e.key for e in live.evses() if not e.obeying],
            "needs": {
                s.session_id: to_json(s.needs).decode()
                for s in live.sessions.values()
                if s.needs is not None
            },
            "refuses_zero": [e.key for e in live.evses() if e.refuses_zero and e.takes_more],
            "today": _dump(accounts.today),
            "total": _dump(accounts.total),
            "owed": accounts.owed,
            "demand": demand.state(),
            "uncontrolled_demand": uncontrolled_demand.state(),
            "uncontrolled_kwh": {s.session_id: s.uncontrolled_kwh for s in live.sessions.values()},
            "gain": {s.session_id: s.gain.kept() for s in live.sessions.values()},
        }
    )


def restore(
    text: str,
    controller: Controller,
    demand: DemandMeter,
    uncontrolled_demand: DemandMeter,
    at: datetime,
) -> None:
    """Inverse of :func:`written`, once the sessions are there again."""
    kept = json.loads(text)
    live, accounts = controller.live, controller.accounts
    live.grid_event = kept["grid_event"]
    controller.impose(*kept["imposed"])
    for evse in live.evses():
        evse.default_kw = kept["defaults"].get(evse.key)
        evse.obeying = evse.key not in kept["disobeying"]
        evse.refuses_zero = evse.takes_more = evse.key in kept["refuses_zero"]
    accounts.today, accounts.total = _totals(kept["today"]), _totals(kept["total"])
    accounts.owed = kept["owed"]
    demand.restore(kept["demand"], at)
    uncontrolled_demand.restore(kept["uncontrolled_demand"], at)
    for name, said in kept["needs"].items():
        session, needs = live.sessions.get(name), from_json(said)
        if session is not None and session.needs is None and isinstance(needs, NeedsReported):
            # said before the session began, so no transaction of the store has it
            session.needs, session.needs_from = needs, Mark(soc=session.arrival_soc)
    for name, gain in kept["gain"].items():
        if name in live.sessions:
            live.sessions[name].gain = Gain.again(gain)
    for name, energy in kept["uncontrolled_kwh"].items():
        if name in live.sessions:
            live.sessions[name].uncontrolled_kwh = energy


def _dump(totals: Totals | None) -> dict[str, Any] | None:
    return None if totals is None else {**asdict(totals), "since": totals.since.isoformat()}


def _totals(kept: dict[str, Any] | None) -> Totals | None:
    if kept is None:
        return None
    return Totals(**{**kept, "since": datetime.fromisoformat(kept["since"])})
