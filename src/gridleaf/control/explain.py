"""Explain: why each vehicle got the power it got, from the stored state and decision of a cycle."""

from __future__ import annotations

from gridleaf.control.types import Decision, SiteState


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
                "why": [
                    _motive(state, decision, setpoint.planned_kw),
                    *setpoint.reasons,
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
