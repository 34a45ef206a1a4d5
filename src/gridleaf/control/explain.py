"""Explain: why each vehicle got the power it got, from the stored state and decision of a cycle."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gridleaf.control.problem import REPLACEMENT, Controlled, may_discharge
from gridleaf.control.types import Decision, SiteState

JUST = 5e-4
"""Less than this nobody sees: of a price per kWh, and of an energy."""


def explain(state: SiteState, decision: Decision) -> dict[str, object]:
    """A cycle in plain facts, for a person (:func:`as_text`) or a program (JSON-ready)."""
    plans = {p.session_id: p for p in decision.sessions}
    evses = {(e.station_id, e.evse_id): e for e in state.evses}
    outlook = state.outlook
    sessions = []
    for setpoint in decision.setpoints:
        evse = evses[setpoint.station_id, setpoint.evse_id]
        session, plan = evse.session, plans.get(setpoint.session_id)
        assert session is not None
        v2g = trade(state, decision, Controlled(evse, session))
        sessions.append(
            {
                "evse": evse.key,
                "session_id": setpoint.session_id,
                "vehicle": session.vehicle or session.id_token or "",
                "setpoint_kw": setpoint.power_kw,
                "planned_kw": setpoint.planned_kw,
                "limit_a": setpoint.limit_a,
                "energy_kwh": round(session.energy_kwh, 3),
                "target_kwh": round(session.target_kwh, 3),
                "reserve_kwh": round(session.reserve_kwh, 3),
                "soc": session.soc,
                "departure_at": session.departure_at.isoformat(),
                "said_by": session.said_by,
                "unmet_kwh": plan.unmet_kwh if plan else None,
                "expires_at": setpoint.expires_at.isoformat(),
                "v2g": v2g,
                "why": [
                    _motive(state, decision, setpoint.planned_kw),
                    *setpoint.reasons,
                    *([_why_v2g(v2g)] if evse.v2x and not session.withheld else []),
                    *([f"it gives nothing: {session.withheld}"] if session.withheld else []),
                ],
            }
        )
    return {
        "at": state.at.isoformat(),
        "trigger": decision.trigger,
        "method": decision.method,
        "gap": decision.gap,
        "objective_eur": decision.objective_eur,
        "grid_kw": state.measurement.grid_kw if state.measurement else None,
        "meter_fresh": state.meter_fresh,
        "base_kw": state.base_kw,
        "import_limit_kw": state.import_limit_kw,
        "export_limit_kw": state.export_limit_kw,
        "import_price": outlook.import_price[0] if outlook.import_price else None,
        "export_price": outlook.export_price[0] if outlook.export_price else None,
        "reserved": [
            {"evse": e.key, "worst_import_kw": e.worst_import_kw, "online": e.online}
            for e in state.evses
            if (not e.online or not e.obeying) and (e.session is not None or not e.online)
        ],
        "sessions": sessions,
        "alerts": [f"{a.where}: {a.text}" for a in decision.alerts],
        "notes": list(decision.notes),
    }


def trade(state: SiteState, decision: Decision, item: Controlled) -> dict[str, Any]:
    """What giving a kWh back would earn this session at best, and what stands against that.

    Steps of the stay are compared by what energy is worth at the grid connection in the plan; the kWh
    that is given has to be bought with the losses of both ways, before or after, and wears the cells. What a
    vehicle holds beyond its target it may leave without instead, for what the plan values it at. Charge
    that is not held in the meantime costs no dwell: that counts for it. ``gain_per_kwh`` is what is left.
    A plan gives as far as that is not below nothing, so where it gives it may be nothing.
    """
    session, evse = item.session, item.evse
    worth, edges = _worth(state, decision, item)
    facts: dict[str, Any] = {
        "wear_per_kwh": round(session.wear_per_kwh, 4),
        "wear_of": session.wear.model if session.wear else "the site file",
        "hinders": may_discharge(state, item),
        "planned_kwh": round(_planned_kwh(state, decision, session.session_id), 3),
    }
    if session.wear is not None:
        facts["soh"], facts["notes"] = session.wear.soh, list(session.wear.notes)
    if not worth:
        return facts
    round_trip = evse.charge_efficiency * evse.discharge_efficiency
    spared = 0.0
    if session.wear is not None:
        energy = session.energy_kwh
        held = session.wear.held_per_h(energy) - session.wear.held_per_h(energy - 1.0)
        spared = held / evse.discharge_efficiency
    steps = range(len(worth))
    gives = max(steps, key=lambda n: worth[n] - spared * edges[n])
    buys = min(steps, key=lambda n: worth[n] / round_trip - spared * edges[n])
    buys_at, buys_worth = edges[buys], worth[buys]
    leaves_without = False
    if session.energy_kwh > session.target_kwh:
        kept = max(REPLACEMENT * min(state.outlook.import_price), 0.0)
        stay_h = (session.departure_at - state.outlook.start) / timedelta(hours=1)
        if kept / round_trip - spared * stay_h < buys_worth / round_trip - spared * buys_at:
            buys_at, buys_worth, leaves_without = stay_h, kept, True
    again = buys_worth / round_trip
    spared *= buys_at - edges[gives]
    gain = worth[gives] - again - session.wear_per_kwh + spared
    return facts | {
        "gives_at": (state.outlook.start + timedelta(hours=edges[gives])).isoformat(),
        "gives_worth": round(worth[gives], 4),
        "buys_at": (state.outlook.start + timedelta(hours=buys_at)).isoformat(),
        "buys_worth": round(buys_worth, 4),
        "leaves_without": leaves_without,
        "losses_per_kwh": round(again - buys_worth, 4),
        "dwell_spared_per_kwh": round(spared, 4),
        "gain_per_kwh": round(gain, 4),
    }


def _planned_kwh(state: SiteState, decision: Decision, session_id: str) -> float:
    """What the plan gives of a session."""
    for plan in decision.sessions:
        if plan.session_id == session_id:
            pairs = zip(plan.power_kw, state.outlook.step_h, strict=False)
            return sum(max(-power, 0.0) * hours for power, hours in pairs)
    return 0.0


def _worth(
    state: SiteState, decision: Decision, item: Controlled
) -> tuple[list[float], list[float]]:
    """What a kWh is worth in each step of a stay, and when each step begins [h]."""
    outlook = state.outlook
    stay_h = (item.session.departure_at - outlook.start) / timedelta(hours=1)
    worth, edges, at = [], [], 0.0
    for n, hours in enumerate(outlook.step_h):
        if at >= stay_h:
            break
        known = decision.shadow_price[n] if n < len(decision.shadow_price) else None
        worth.append(outlook.import_price[n] if known is None else known)
        edges.append(at)
        at += hours
    return worth, edges


def _why_v2g(facts: dict[str, Any]) -> str:
    """The facts of :func:`trade` as a sentence."""
    if facts["hinders"] is not None:
        return f"it is not discharged: {facts['hinders']}"
    if "gain_per_kwh" not in facts:
        return "nothing is known of the hours ahead"
    gives, buys = facts["gives_at"][11:16], facts["buys_at"][11:16]
    spared, planned = facts["dwell_spared_per_kwh"], facts["planned_kwh"]
    aged = "" if abs(spared) < 5e-4 else f", less {spared:.3f} of ageing at rest"
    if facts["leaves_without"]:
        again = f"it is not needed at {buys} and then worth"
    elif facts["buys_at"] > facts["gives_at"]:
        again = f"to buy it again at {buys} costs"
    else:
        again = f"to buy it before, at {buys}, costs"
    pays = facts["gain_per_kwh"] > (-JUST if planned > JUST else JUST)
    verdict = "it pays" if pays else "it does not pay"
    given = f", and {planned:.1f} kWh are planned" if planned > JUST else ""
    return (
        f"a kWh given at {gives} is worth {facts['gives_worth']:.3f}; {again} "
        f"{facts['buys_worth']:.3f} and {facts['losses_per_kwh']:.3f} of losses, wear by "
        f"{facts['wear_of']} {facts['wear_per_kwh']:.3f}{aged}: {verdict}{given}"
    )


def _motive(state: SiteState, decision: Decision, planned_kw: float) -> str:
    outlook = state.outlook
    now = outlook.import_price[0] if outlook.import_price else 0.0
    ahead = sorted(outlook.import_price)
    rank = sum(p < now for p in ahead) / len(ahead) if ahead else 0.0
    value = decision.shadow_price[0] if decision.shadow_price else now
    where = f"a kWh is worth {value:.3f} here now, cheaper in {rank:.0%} of the horizon"
    if planned_kw > 0.01:
        return f"the plan charges with {planned_kw:.1f} kW: {where}"
    if planned_kw < -0.01:
        return f"the plan discharges {-planned_kw:.1f} kW: {where}"
    return f"the plan waits: {where}"


def as_text(facts: dict[str, object]) -> str:
    """The facts of :func:`explain` as lines for a terminal."""
    lines = [
        f"{facts['at']}  cycle by {facts['trigger']}, planned by {facts['method']}"
        + (f", gap {facts['gap']:.1e}" if facts["gap"] is not None else ""),
        f"grid {facts['grid_kw']} kW (meter {'fresh' if facts['meter_fresh'] else 'not fresh'}), "
        f"without EVSEs {facts['base_kw']:.1f} kW, limits {facts['import_limit_kw']:.1f} in / "
        f"{facts['export_limit_kw']:.1f} out, price {facts['import_price']} / {facts['export_price']}",
    ]
    sessions = facts["sessions"]
    assert isinstance(sessions, list)
    for s in sessions:
        soc = "" if s["soc"] is None else f", SoC {s['soc']:.0%}"
        lines.append(
            f"{s['evse']}  {s['vehicle']}: {s['setpoint_kw']:+.2f} kW{soc}, has {s['energy_kwh']:.1f}"
            f" of {s['target_kwh']:.1f} kWh, leaves {s['departure_at']} (said by {s['said_by']})"
        )
        lines += [f"    {reason}" for reason in s["why"]]
    for title in ("alerts", "notes"):
        entries = facts[title]
        assert isinstance(entries, list)
        lines += [f"{title}: {entry}" for entry in entries]
    return "\n".join(lines)
