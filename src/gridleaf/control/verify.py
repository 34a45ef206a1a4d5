"""Verify: metered power against the setpoint, per EVSE; and the ladder for what does not obey.

An answer of ``Accepted`` proves nothing; only the meter does. Taking less than offered is the
vehicle's right, more is disobedience. After two cycles of it the EVSE counts with its worst case and
the next rung of the ladder (:mod:`gridleaf.control.ladder`) is tried.
Two good cycles restore trust on the rung that worked; from the floor and the pause, where no vehicle
gets what it needs, further good cycles lead back.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gridleaf.battery.curve import TAPER_SOC
from gridleaf.control.ladder import FLOOR_RUNG, rung_above, rung_below
from gridleaf.control.live import LiveEvse, LiveSite
from gridleaf.control.observe import SETTLE_S

CYCLES = 2
"""So many cycles in a row make a verdict."""
_ABSOLUTE_KW, _RELATIVE = 0.5, 0.08


def tolerance_kw(setpoint_kw: float) -> float:
    """How far a meter may stand from a setpoint [kW]."""
    return max(_ABSOLUTE_KW, _RELATIVE * abs(setpoint_kw))


def judge(live: LiveSite, at: datetime) -> list[LiveEvse]:
    """Hold every EVSE's meter against its setpoint; returns the EVSEs whose standing changed.

    Call it once a cycle. A reading counts once, and only when it was taken after the setpoint could
    have taken effect; a rung counts only when the station accepted something on it.
    """
    changed = []
    for evse in live.evses():
        setpoint = evse.setpoint_kw(at)
        if setpoint is None or evse.session is None or not _readable(evse, at):
            continue
        assert evse.power_kw is not None
        evse.judged_at = evse.power_at
        margin = tolerance_kw(setpoint)
        before = (evse.obeying, evse.rung)
        if (
            evse.power_kw > max(setpoint, 0.0) + margin
            or evse.power_kw < min(setpoint, 0.0) - margin
        ):
            evse.misses, evse.hits = evse.misses + 1, 0
            if evse.misses >= CYCLES:
                evse.obeying = False
                evse.rung = rung_above(
                    evse.station, evse.config, live.capabilities(evse), evse.rung
                )
                evse.misses = 0
        else:
            evse.misses, evse.hits = 0, evse.hits + 1
            if evse.hits >= CYCLES:
                evse.obeying = True
            if evse.hits >= 2 * CYCLES and evse.rung >= FLOOR_RUNG:
                read = live.capabilities(evse)
                evse.rung = rung_below(evse.station, evse.config, read, evse.rung)
                evse.hits = CYCLES
            _learn(evse, setpoint, margin)
        if before != (evse.obeying, evse.rung):
            changed.append(evse)
    return changed


def _readable(evse: LiveEvse, at: datetime) -> bool:
    if evse.power_kw is None or evse.power_at is None or evse.changed_at is None:
        return False
    if evse.accepted is None or evse.accepted.rung != evse.rung:
        return False
    settled = evse.changed_at + timedelta(seconds=SETTLE_S)
    return evse.power_at >= settled and (evse.judged_at is None or evse.power_at > evse.judged_at)


def _learn(evse: LiveEvse, setpoint: float, margin: float) -> None:
    """What the vehicle does with an offer: its real maximum, and whether it discharges at all."""
    session = evse.session
    assert session is not None
    assert evse.power_kw is not None
    if setpoint < -margin:
        silent = evse.power_kw > 0.2 * setpoint
        session.discharge_misses = session.discharge_misses + 1 if silent else 0
        if session.discharge_misses > CYCLES:
            session.discharge_doubt_at, session.discharge_misses = evse.power_at, 0
    short = evse.power_kw < setpoint - margin
    tapering = session.soc is not None and session.soc >= TAPER_SOC
    if setpoint > margin and (not short or evse.hits >= CYCLES):
        session.gauged = True
    if setpoint > margin and short and not tapering and evse.power_kw > 1.0 and evse.hits >= CYCLES:
        session.charge_seen_kw = evse.power_kw
    elif session.charge_seen_kw is not None and evse.power_kw > session.charge_seen_kw:
        session.charge_seen_kw = None
