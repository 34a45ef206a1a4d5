"""The safety envelope: from what the plan wants to what may be commanded now.

It is separate from the optimiser and simpler than it: EVSEs are served one after the other, most
urgent first, and each is granted no more than every limit above it still has. What is granted is
already rounded to what the EVSE can do, so rounding never breaks a limit. Whatever the plan says,
the sum of the setpoints, the base and the reserved worst cases stays inside every limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from gridleaf.control.ladder import FLOOR_RUNG, PAUSE_RUNG
from gridleaf.control.limits import Node, path_to_grid, phase_currents_a, tree
from gridleaf.control.live import is_stale
from gridleaf.control.observe import EXPIRES_CYCLES
from gridleaf.control.problem import (
    Controlled,
    charge_bound_kw,
    controlled,
    is_reserved,
    may_discharge,
    reserved_kw,
)
from gridleaf.control.types import EvseState, Setpoint, SiteState
from gridleaf.domain.site import SiteConfig

SWITCH_ON, STAY_ON = 0.7, 0.3
"""An AC EVSE that is off starts when the plan wants this share of its floor; one that is on stays."""
LEAST_SHARE = 0.1
"""The least that is asked for without a pause, as a share of what the EVSE can."""
RELIEF_AGE_S = 180.0
"""Discharging that was last measured longer ago makes no room for anybody."""
_W_STEP_KW = 0.01
_A_STEP = 1.0


class _Budget:
    """What every limit still has, for one direction."""

    def __init__(self, room_kw: dict[str, float], room_a: dict[str, list[float]], volt: float):
        self.room_kw = room_kw
        self.room_a = room_a
        self.volt = volt

    def left_kw(self, path: tuple[str, ...], evse: EvseState) -> tuple[float, str]:
        """The most one EVSE may still take [kW], and the limit that says so."""
        best, where = math.inf, ""
        for name in path:
            if self.room_kw[name] < best:
                best, where = self.room_kw[name], name
            if name in self.room_a:
                shares = _phase_amps(evse, 1.0, self.volt)
                for phase, amps_per_kw in enumerate(shares):
                    if amps_per_kw > 0:
                        room = self.room_a[name][phase] / amps_per_kw
                        if room < best:
                            best, where = room, f"{name or 'grid'} fuse L{phase + 1}"
        return max(best, 0.0), where or "the grid connection"

    def take(self, path: tuple[str, ...], evse: EvseState, power_kw: float) -> None:
        used = _phase_amps(evse, power_kw, self.volt)
        for name in path:
            self.room_kw[name] -= power_kw
            if name in self.room_a:
                self.room_a[name] = [
                    have - amps for have, amps in zip(self.room_a[name], used, strict=True)
                ]


def _phase_amps(evse: EvseState, power_kw: float, volt: float) -> tuple[float, float, float]:
    if evse.phases == 2:
        each = power_kw * 1000 / volt / 2
        return each, each, each
    return phase_currents_a(evse.phases, evse.phase, power_kw, volt)


def envelope(
    state: SiteState, site: SiteConfig, wanted_kw: Mapping[str, float]
) -> tuple[Setpoint, ...]:
    """Setpoints for every session of a station that is online.

    An EVSE that does not obey has its worst case reserved and is asked for little, on the next rung
    of the ladder, until its meter shows that it follows.

    Parameters
    ----------
    wanted_kw
        Signed power the plan wants now [kW], by session id; missing means 0.

    Returns
    -------
    tuple of Setpoint
        In the order of the EVSEs, each achievable by its EVSE and, with the reserved worst cases,
        all together inside every limit.
    """
    nodes = tree(site)
    held = reserved_kw(state, nodes)
    items = controlled(state)
    expires = state.at + timedelta(seconds=EXPIRES_CYCLES * site.control.cycle_s)
    held_h = (expires - state.at) / timedelta(hours=1)
    wants = {i.session.session_id: _own_bounds(state, i, wanted_kw, held_h) for i in items}
    paths = {i.evse.key: path_to_grid(nodes, i.evse.circuit) for i in items}
    result: dict[str, Setpoint] = {}
    credit = dict.fromkeys((node.id for node in nodes), 0.0)

    exports = _export_budget(state, site, nodes, held)
    for item in sorted(items, key=lambda i: (-i.session.energy_kwh, i.evse.key)):
        want, reasons = wants[item.session.session_id]
        if want >= 0:
            continue
        left, where = exports.left_kw(paths[item.evse.key], item.evse)
        power, amps, why = _achievable(item.evse, min(-want, left), site.voltage_v)
        if 0 < power < item.session.discharge_min_kw - 1e-6:
            power, amps = 0.0, None if amps is None else 0.0
            why = (*why, f"the vehicle gives {item.session.discharge_min_kw:g} kW or nothing")
        if -want > left + 1e-9:
            reasons = (*reasons, f"{_name(where)} can export {left:.1f} kW more")
        if power == 0 and item.evse.refuses_zero:
            wants[item.session.session_id] = 0.0, (*reasons, *why)
            continue
        exports.take(paths[item.evse.key], item.evse, power)
        measured = max(-(item.evse.power_kw or 0.0), 0.0)
        if is_stale(item.evse.power_at, state.at, RELIEF_AGE_S):
            measured = 0.0
        for name in paths[item.evse.key]:
            credit[name] += min(power, measured)
        result[item.evse.key] = _setpoint(item, -power, amps, (*reasons, *why), wanted_kw, expires)

    imports = _import_budget(state, site, nodes, held, credit)
    floors: dict[str, float] = {}
    for item in items:
        if item.evse.refuses_zero and item.evse.key not in result:
            left, _ = imports.left_kw(paths[item.evse.key], item.evse)
            bound = item.evse.external_limit_kw
            floor = _least_kw(item.evse, site.voltage_v)
            fits = floor <= min(left, left if bound is None else bound) + 1e-9
            if not fits and not item.evse.unpausable:
                continue  # it is asked once more whether it takes 0
            # what cannot be held is asked to stop; until it has, it takes what it takes
            floors[item.evse.key] = floor if fits else 0.0
            taken = floor if fits else min(left, max(item.evse.most_kw, 0.0))
            imports.take(paths[item.evse.key], item.evse, taken)
    for item in sorted(items, key=lambda i: (_laxity_h(state, i), i.evse.key)):
        want, reasons = wants[item.session.session_id]
        if item.evse.key in result:
            continue
        least = floors.get(item.evse.key)
        if least == 0:
            why = (*reasons, "the station refuses 0, and its least does not fit: it is to stop")
            amps = 0.0 if item.evse.current == "AC" else None
            setpoint = _setpoint(item, 0.0, amps, why, wanted_kw, expires)
            result[item.evse.key] = replace(setpoint, stop=True)
            continue
        if least is not None:
            imports.take(paths[item.evse.key], item.evse, -least)
        left, where = imports.left_kw(paths[item.evse.key], item.evse)
        urgent = _laxity_h(state, item) < 2 * site.control.cycle_s / 3600
        target, more = _on_or_off(item, want, urgent, site.voltage_v)
        if least is not None and target < least:
            target, more = least, (f"the station refuses 0: held at its least, {least:.1f} kW",)
        if target > left + 1e-9:
            more = (*more, f"{_name(where)} has {left:.1f} kW left")
        power, amps, why = _achievable(item.evse, min(target, left), site.voltage_v)
        if least is None and 0 < power < item.session.charge_min_kw - 1e-6:
            power, amps = 0.0, None if amps is None else 0.0
            why = (*why, f"the vehicle takes {item.session.charge_min_kw:g} kW or nothing")
        imports.take(paths[item.evse.key], item.evse, power)
        result[item.evse.key] = _setpoint(
            item, power, amps, (*reasons, *more, *why), wanted_kw, expires
        )
    for evse in state.evses:
        if evse.online and not evse.obeying and evse.session is not None:
            item = Controlled(evse, evse.session)
            power, amps, why = _achievable(evse, _retry_kw(evse, site.voltage_v), site.voltage_v)
            why = (f"does not obey: its worst case is reserved, trying rung {evse.rung}", *why)
            result[evse.key] = _setpoint(item, power, amps, why, wanted_kw, expires)
    return tuple(result[e.key] for e in state.evses if e.key in result)


def _retry_kw(evse: EvseState, volt: float) -> float:
    """What an EVSE that did not obey is asked for next [kW]: so little that obeying shows."""
    if evse.rung >= PAUSE_RUNG and not evse.refuses_zero:
        return 0.0
    return min(_least_kw(evse, volt), evse.worst_import_kw)


def _least_kw(evse: EvseState, volt: float) -> float:
    """So little that it is hardly charging, but no pause [kW]."""
    floor = math.ceil(evse.min_a) * volt * evse.phases / 1000
    return max(floor, LEAST_SHARE * evse.charge_max_kw)


def _name(where: str) -> str:
    return where or "the grid connection"


def _setpoint(
    item: Controlled,
    power_kw: float,
    amps: float | None,
    reasons: tuple[str, ...],
    wanted_kw: Mapping[str, float],
    expires_at: datetime,
) -> Setpoint:
    power_kw = round(power_kw, 6) + 0.0
    return Setpoint(
        station_id=item.evse.station_id,
        evse_id=item.evse.evse_id,
        session_id=item.session.session_id,
        transaction_id=item.session.transaction_id,
        power_kw=power_kw,
        limit_a=amps,
        phases=item.evse.phases,
        planned_kw=round(wanted_kw.get(item.session.session_id, 0.0), 6),
        steps=((0, power_kw),),
        expires_at=expires_at,
        reasons=reasons,
    )


def _own_bounds(
    state: SiteState, item: Controlled, wanted_kw: Mapping[str, float], held_h: float
) -> tuple[float, tuple[str, ...]]:
    """The wanted power inside what the EVSE and the vehicle allow, with the reasons for a change."""
    evse, session = item.evse, item.session
    want = wanted_kw.get(session.session_id, 0.0)
    if not math.isfinite(want):
        return 0.0, ("the plan had no usable number",)
    if evse.rung >= PAUSE_RUNG:
        return 0.0, ("paused: the station obeyed nothing milder",)
    if want < 0:
        refusal = may_discharge(state, item)
        if refusal is not None:
            return 0.0, (f"no discharge: {refusal}",)
        reasons: tuple[str, ...] = ()
        spare = (session.energy_kwh - session.floor_kwh) * evse.discharge_efficiency / held_h
        if -want > spare:
            want, reasons = -spare, ("slowed down: the reserve holds until the setpoint expires",)
        want = max(want, -min(session.discharge_max_kw, evse.discharge_max_kw))
        running = (evse.setpoint_kw or 0.0) <= -session.discharge_min_kw + 1e-6
        needed = (STAY_ON if running else SWITCH_ON) * session.discharge_min_kw
        if needed <= -want < session.discharge_min_kw <= spare:
            want = -session.discharge_min_kw
            reasons = (*reasons, f"the vehicle gives {-want:g} kW at least")
        return want, reasons
    most = charge_bound_kw(evse, session)
    if evse.rung == FLOOR_RUNG:
        return min(want, most), ("held at the floor: the station obeys no other limit",)
    if want > most + 1e-9:
        return most, (f"EVSE and vehicle take {most:.1f} kW at most",)
    return want, ()


def _on_or_off(
    item: Controlled, want_kw: float, urgent: bool, volt: float
) -> tuple[float, tuple[str, ...]]:
    """Below the floor, of AC charging or of the vehicle, there is only on (at the floor) or off."""
    evse = item.evse
    of_ac = evse.min_a * volt * evse.phases / 1000
    floor, least = of_ac, f"{evse.min_a:g} A"
    if item.session.charge_min_kw > of_ac + 1e-6:
        floor = item.session.charge_min_kw
        least = f"the vehicle's least of {floor:.1f} kW"
        if evse.current == "AC":
            per_amp = volt * evse.phases / 1000
            floor = math.ceil(floor / per_amp - 1e-6) * per_amp
    if evse.resting and want_kw > 0 and not urgent:
        return 0.0, ("paused a moment ago: it rests for a cycle",)
    if evse.rung == FLOOR_RUNG and want_kw > 0:
        return floor, ()
    if floor == 0.0 or want_kw >= floor or want_kw <= 0.0:
        return want_kw, ()
    running = (evse.setpoint_kw or 0.0) >= floor - 1e-6
    needed = (STAY_ON if running else SWITCH_ON) * floor
    if urgent or want_kw >= needed:
        return floor, (f"{want_kw:.1f} kW is below {least}: charging at the floor",)
    return 0.0, (f"{want_kw:.1f} kW is below {least}: waiting",)


def _achievable(
    evse: EvseState, power_kw: float, volt: float
) -> tuple[float, float | None, tuple[str, ...]]:
    """The largest power not above ``power_kw`` that the EVSE can be told [kW], and its current [A].

    AC is told whole amperes and never less than its floor; the rest of it is 0.
    """
    if evse.current == "DC":
        return math.floor(power_kw / _W_STEP_KW + 1e-6) * _W_STEP_KW, None, ()
    per_amp = volt * evse.phases / 1000
    amps = math.floor(power_kw / per_amp / _A_STEP + 1e-6) * _A_STEP
    if power_kw > 0 and amps < evse.min_a:
        return 0.0, 0.0, (f"less than {evse.min_a:g} A is left: paused",)
    return amps * per_amp, amps, ()


def _laxity_h(state: SiteState, item: Controlled) -> float:
    """Time to spare before the session must charge at full power [h]; negative: already too late."""
    session = item.session
    stay_h = (session.departure_at - state.at) / timedelta(hours=1)
    need = max(session.target_kwh - session.energy_kwh, 0.0) / item.evse.charge_efficiency
    if need <= 0:
        return math.inf
    bound = charge_bound_kw(item.evse, session)
    return stay_h - need / bound if bound > 0 else -math.inf


def _import_budget(
    state: SiteState,
    site: SiteConfig,
    nodes: tuple[Node, ...],
    held: dict[str, tuple[float, float]],
    credit: dict[str, float],
) -> _Budget:
    room: dict[str, float] = {}
    amps: dict[str, list[float]] = {}
    for node in nodes:
        load = node.load_kw
        if node.parent is None:
            limit = state.import_ceiling_kw - site.control.margin_kw
            load = state.base_import_kw
            if not state.meter_fresh:
                limit, load = min(site.control.static_share_kw, state.import_ceiling_kw), 0.0
        else:
            limit = node.import_kw
        room[node.id] = limit - load - held[node.id][0] + credit[node.id]
        if node.parent is None:
            room[node.id] -= sum(e.worst_export_kw for e in _hidden(state))
        if node.fuse_a is not None:
            each = max(load, 0.0) * 1000 / site.voltage_v / 3
            worst = _reserved_a(state, nodes, node.id, site.voltage_v, lambda e: e.worst_import_kw)
            amps[node.id] = [node.fuse_a - each - used for used in worst]
    return _Budget(room, amps, site.voltage_v)


def _export_budget(
    state: SiteState,
    site: SiteConfig,
    nodes: tuple[Node, ...],
    held: dict[str, tuple[float, float]],
) -> _Budget:
    """Nothing that charges counts as room for export: it may stop at any moment."""
    room: dict[str, float] = {}
    amps: dict[str, list[float]] = {}
    for node in nodes:
        if node.parent is None:
            base = state.base_export_kw
            limit = state.export_ceiling_kw - site.control.margin_kw if state.meter_fresh else 0.0
            limit = max(limit, 0.0)
        else:
            base, limit = 0.0, node.export_kw
        room[node.id] = limit + base - held[node.id][1]
        if node.parent is None:
            room[node.id] -= sum(e.worst_import_kw for e in _hidden(state))
        if node.fuse_a is not None:
            each = max(-base, 0.0) * 1000 / site.voltage_v / 3
            worst = _reserved_a(state, nodes, node.id, site.voltage_v, lambda e: e.worst_export_kw)
            amps[node.id] = [node.fuse_a - each - used for used in worst]
    return _Budget(room, amps, site.voltage_v)


def _reserved_a(
    state: SiteState,
    nodes: tuple[Node, ...],
    name: str,
    volt: float,
    worst_kw: Callable[[EvseState], float],
) -> list[float]:
    """What the reserved worst cases below a node take of each phase [A]."""
    amps = [0.0, 0.0, 0.0]
    for evse in state.evses:
        if is_reserved(evse) and name in path_to_grid(nodes, evse.circuit):
            used = _phase_amps(evse, worst_kw(evse), volt)
            amps = [have + more for have, more in zip(amps, used, strict=True)]
    return amps


def _hidden(state: SiteState) -> tuple[EvseState, ...]:
    """EVSEs whose power is in the base, because only the grid meter saw it; it may end at any moment."""
    measured = state.measurement is not None and state.measurement.load_kw is not None
    if measured or not state.meter_fresh:
        return ()
    return tuple(e for e in state.evses if not e.online)
