"""From a ``SiteState`` to the planning problem, and back from its plan to sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from gridleaf.battery.curve import generic, time_h
from gridleaf.control.ladder import PAUSE_RUNG
from gridleaf.control.limits import Node, offered_kw, path_to_grid, tree
from gridleaf.control.types import EvseState, SessionPlan, SessionState, SiteState
from gridleaf.domain.site import SiteConfig
from gridleaf.plan.problem import Floats, Nodes, Plan, Problem, Rows, Visits

GRID = "grid connection"
"""Name of the root node in a problem; no circuit can have it, for it holds a space."""
REPLACEMENT = 0.95
"""Energy left at departure is worth this share of the cheapest price it could be bought back at."""

PUT_OFF_H = 2000.0
"""A kWh put off by an hour is taken to cost the demand charge of a kW over so many (``put_off_price``)."""


@dataclass(frozen=True, slots=True)
class Controlled:
    """An EVSE that can be commanded now, with its session."""

    evse: EvseState
    session: SessionState


def controlled(state: SiteState) -> tuple[Controlled, ...]:
    """The sessions a decision is made for, in the order of the EVSEs."""
    return tuple(
        Controlled(evse, evse.session)
        for evse in state.evses
        if evse.session is not None and evse.online and evse.obeying
    )


def charge_bound_kw(evse: EvseState, session: SessionState) -> float:
    """The most this session may charge with; nothing while its EVSE is paused [kW].

    A known battery limits it to the most that its cells take at any charge it can come to: from the
    lowest it may be discharged to, or the present one, up to full; with something on top, for a
    catalogue is not the car. Where that falls on the way up, time is left for it (``_early_h``).
    """
    if evse.rung >= PAUSE_RUNG:
        return 0.0
    bounds = [evse.charge_max_kw, session.charge_max_kw]
    if evse.external_limit_kw is not None:
        bounds.append(evse.external_limit_kw)
    if session.accepts is not None and session.soc is not None and session.capacity_kwh:
        lowest = session.soc
        if session.v2g and session.discharge_max_kw > 0:
            lowest = min(lowest, session.floor_kwh / session.capacity_kwh)
        bounds.append(offered_kw(session.accepts.most(lowest, 1.0)))
    return max(min(bounds), 0.0)


def may_discharge(state: SiteState, item: Controlled) -> str | None:
    """None when the session may be discharged now, else the reason why not (design, section 6)."""
    evse, session = item.evse, item.session
    if state.policy != "v2g":
        return "the site's policy is not v2g"
    if not evse.v2x or evse.discharge_max_kw <= 0:
        return "the EVSE is not enabled for discharging"
    if not session.v2g:
        return "the driver did not allow V2G"
    if not state.meter_fresh:
        return "the site meter is not fresh"
    if state.grid_event is not None:
        return f"a grid event is latched: {state.grid_event}"
    if session.soc is None:
        return "the state of charge is unknown"
    if session.withheld:
        return session.withheld
    if session.discharge_max_kw <= 0:
        return "the state of charge is stale or jumped, or discharging was not confirmed"
    if session.energy_kwh <= session.reserve_kwh:
        return "the vehicle is at its reserve"
    if session.energy_kwh <= session.floor_kwh:
        return "the vehicle is below its V2X window"
    return None


def is_reserved(evse: EvseState) -> bool:
    """Whether an EVSE counts with its worst case: it is offline, or has a vehicle and does not obey."""
    return not evse.online or (not evse.obeying and evse.session is not None)


def reserved_kw(state: SiteState, nodes: tuple[Node, ...]) -> dict[str, tuple[float, float]]:
    """Worst-case import and export of the EVSEs we cannot command, summed up the tree [kW].

    A station that is offline or does not obey counts with its worst case (invariant 1); an online
    EVSE without a session counts 0.
    """
    total = {node.id: [0.0, 0.0] for node in nodes}
    for evse in filter(is_reserved, state.evses):
        for name in path_to_grid(nodes, evse.circuit):
            total[name][0] += evse.worst_import_kw
            total[name][1] += evse.worst_export_kw
    return {name: (imports, exports) for name, (imports, exports) in total.items()}


def build(state: SiteState, site: SiteConfig) -> Problem:
    """The planning problem of a state.

    Without a fresh meter the building and the generation are unknown: the grid connection then
    carries the static share alone, and nothing is exported. Reserved worst cases and the margin are
    taken from the limits. A departure inside a step leaves the share of the step's power before it.
    """
    outlook = state.outlook
    steps = np.asarray(outlook.step_h, dtype=np.float64)
    items = controlled(state)
    nodes = tree(site)
    held = reserved_kw(state, nodes)
    return Problem(
        start=outlook.start,
        step_h=steps,
        visits=_visits(state, items, steps, site.control.ready_early_s),
        nodes=_nodes(state, site, nodes, held, steps),
        rows=_phase_rows(state, site, nodes, items, steps),
    )


def put_off_price(site: SiteConfig, steps: Floats) -> Floats:
    """What energy is taken to cost more in each step than in the first one, ``(T,)`` [per kWh].

    Where a demand charge is at stake, vehicles that nobody expected may want the hours into which
    energy was put off for a trifle, and the peak is then higher than if it had been taken at once.
    The rate is a judgement: at 4 EUR per kW and month it outweighs differences of 0.2 cents between
    one hour and the next, and leaves the spread between evening and night.
    """
    return site.tariff.demand_charge_per_kw / PUT_OFF_H * (np.cumsum(steps) - steps)


def now_kw(state: SiteState, plan: Plan) -> dict[str, float]:
    """What the plan wants of each controlled session right now, signed [kW].

    A schedule holds the mean of a step; a vehicle that leaves within the first step needs its energy
    in the part before. A vehicle of which nobody knows what it takes is offered all at once until the
    meter shows it: one that uses a single phase needs three times as long, and that must not come out
    in its last hour.
    """
    if not state.outlook.step_h:
        return {}
    first_h = state.outlook.step_h[0]
    wanted = {}
    for row, item in enumerate(controlled(state)):
        power = float(plan.charge_kw[row, 0] - plan.discharge_kw[row, 0])
        stay_h = (item.session.departure_at - state.at) / timedelta(hours=1)
        power *= first_h / min(max(stay_h, 1e-3), first_h)
        if not item.session.gauged and item.session.target_kwh > item.session.energy_kwh:
            power = charge_bound_kw(item.evse, item.session)
        wanted[item.session.session_id] = power
    return wanted


def _visits(
    state: SiteState, items: tuple[Controlled, ...], steps: Floats, early_s: float
) -> Visits:
    count, horizon = len(items), len(steps)
    edges = np.concatenate(([0.0], np.cumsum(steps)))
    stay = np.array(
        [(s.session.departure_at - state.at) / timedelta(hours=1) for s in items]
    ).reshape(count)
    stay = np.array([h - _early_h(i, h, early_s) for i, h in zip(items, stay, strict=True)])
    stay = np.clip(stay.reshape(count), 0.0, edges[-1])
    share = np.clip((stay[:, None] - edges[None, :-1]) / steps[None, :], 0.0, 1.0)
    depart = np.minimum(np.searchsorted(edges, stay - 1e-9, side="left"), horizon)
    charge = np.array([charge_bound_kw(i.evse, i.session) for i in items]).reshape(count)
    discharge = np.array(
        [
            min(i.session.discharge_max_kw, i.evse.discharge_max_kw)
            if may_discharge(state, i) is None
            else 0.0
            for i in items
        ]
    ).reshape(count)

    def column(values: list[float]) -> Floats:
        return np.array(values, dtype=np.float64).reshape(count)

    sessions = [i.session for i in items]
    into = column([i.evse.charge_efficiency for i in items])
    known = column([float(s.soc is not None) for s in sessions])
    cheapest = min(state.outlook.import_price, default=0.0)
    energy = column([s.energy_kwh for s in sessions])
    reserve = column([s.reserve_kwh for s in sessions])
    levels, slopes = _dwell(sessions)
    return Visits(
        id=tuple(s.session_id for s in sessions),
        node=tuple(i.evse.circuit or GRID for i in items),
        arrive=np.zeros(count, dtype=np.int64),
        depart=depart.astype(np.int64),
        energy_kwh=energy,
        target_kwh=np.maximum(column([s.target_kwh for s in sessions]), reserve),
        min_kwh=np.minimum(column([s.floor_kwh for s in sessions]), energy),
        max_kwh=np.maximum(column([s.max_kwh for s in sessions]), energy),
        charge_kw=charge[:, None] * share,
        discharge_kw=discharge[:, None] * share,
        charge_efficiency=into,
        discharge_efficiency=column([i.evse.discharge_efficiency for i in items]),
        wear_eur_per_kwh=column([s.wear_per_kwh for s in sessions]),
        value_eur_per_kwh=known * max(REPLACEMENT * cheapest, 0.0) / into,
        dwell_kwh=levels,
        dwell_eur_per_kwh_h=slopes,
    )


def _dwell(sessions: list[SessionState]) -> tuple[Floats | None, Floats | None]:
    """What holding charge costs each session, None where nobody knows of any."""
    wide = max((len(s.wear.levels_kwh) for s in sessions if s.wear is not None), default=0)
    if not wide:
        return None, None
    both = np.full((2, len(sessions), wide), np.nan)
    for row, session in enumerate(sessions):
        if session.wear is not None:
            count = len(session.wear.levels_kwh)
            both[:, row, :count] = session.wear.levels_kwh, session.wear.per_kwh_h
    return both[0], both[1]


def _early_h(item: Controlled, stay_h: float, early_s: float) -> float:
    """How long before its departure a session is planned to be done, as far as its time allows [h].

    A planner that thinks in constant power is late where cells take less with rising charge; the time
    that this costs is added: what the curve of the battery needs beyond constant power.
    """
    session = item.session
    power = charge_bound_kw(item.evse, session)
    need = max(session.target_kwh - session.energy_kwh, 0.0)
    if power <= 0 or need <= 0:
        return 0.0
    into = item.evse.charge_efficiency
    early = early_s / 3600
    if session.soc is not None and session.capacity_kwh:
        accepts = session.accepts or generic(power)
        last = min(session.target_kwh / session.capacity_kwh, 1.0)
        needs_h = time_h(accepts, power, session.capacity_kwh, session.soc, last, into)
        constant_h = max(last - session.soc, 0.0) * session.capacity_kwh / (power * into)
        early += needs_h - constant_h
    return min(early, max(stay_h - need / (power * into), 0.0))


def _nodes(
    state: SiteState,
    site: SiteConfig,
    nodes: tuple[Node, ...],
    held: dict[str, tuple[float, float]],
    steps: Floats,
) -> Nodes:
    outlook, horizon = state.outlook, len(steps)
    nothing = np.full(horizon, np.nan)
    imports, exports, loads = [], [], []
    for node in nodes:
        worst_import, worst_export = held[node.id]
        if node.parent is None:
            margin = site.control.margin_kw
            if state.meter_fresh:
                limit_in = np.asarray(outlook.import_limit_kw) - worst_import - margin
                limit_out = np.asarray(outlook.export_limit_kw) - worst_export - margin
                load = np.asarray(outlook.load_kw) - np.asarray(outlook.pv_kw)
                if outlook.arrivals_kw:
                    # Newcomers count for the peak, but take nothing from those who are here: they
                    # will be planned themselves, within the limits.
                    load = load + np.asarray(outlook.arrivals_kw)
                    limit_in = limit_in + np.asarray(outlook.arrivals_kw)
            else:
                share = min(site.control.static_share_kw, state.import_ceiling_kw)
                limit_in = np.full(horizon, share - worst_import)
                limit_out = np.zeros(horizon)
                load = np.zeros(horizon)
        else:
            limit_in = np.full(horizon, node.import_kw - worst_import)
            limit_out = np.full(horizon, node.export_kw - worst_export)
            load = np.full(horizon, node.load_kw)
        imports.append(np.maximum(limit_in, 0.0))
        exports.append(np.maximum(limit_out, 0.0))
        loads.append(load)
    later = put_off_price(site, steps)
    prices = [np.asarray(outlook.import_price) + later] + [nothing] * (len(nodes) - 1)
    earnings = [np.asarray(outlook.export_price) + later] + [nothing] * (len(nodes) - 1)
    charge = np.zeros(len(nodes))
    charge[0] = site.tariff.demand_charge_per_kw
    peak = np.zeros(len(nodes))
    peak[0] = state.peak_so_far_kw
    return Nodes(
        id=tuple(node.id or GRID for node in nodes),
        parent=tuple("" if n.parent is None else n.parent or GRID for n in nodes),
        import_limit_kw=np.array(imports, dtype=np.float64),
        export_limit_kw=np.array(exports, dtype=np.float64),
        load_kw=np.array(loads, dtype=np.float64),
        import_price_eur_per_kwh=np.array(prices, dtype=np.float64),
        export_price_eur_per_kwh=np.array(earnings, dtype=np.float64),
        demand_charge_eur_per_kw=charge,
        peak_so_far_kw=peak,
    )


def _phase_rows(
    state: SiteState,
    site: SiteConfig,
    nodes: tuple[Node, ...],
    items: tuple[Controlled, ...],
    steps: Floats,
) -> Rows | None:
    """Fuses as rows: power of each phase, both directions.

    The base is taken as symmetric, and nothing of it as relief: generation may be on one phase only.
    """
    fused = [node for node in nodes if node.fuse_a is not None]
    if not fused or not items:
        return None
    most = np.array(
        [max(charge_bound_kw(i.evse, i.session), i.evse.discharge_max_kw) for i in items]
    )
    shares = np.array([[_phase_share(i.evse, phase) for i in items] for phase in (1, 2, 3)])
    below = {i.evse.circuit: set(path_to_grid(nodes, i.evse.circuit)) for i in items}
    names: list[str] = []
    coefficients: list[Floats] = []
    bounds: list[Floats] = []
    base = np.asarray(state.outlook.load_kw) - np.asarray(state.outlook.pv_kw)
    for node in fused:
        assert node.fuse_a is not None
        phase_kw = node.fuse_a * site.voltage_v / 1000
        load = base / 3 if node.parent is None else np.full(len(steps), node.load_kw / 3)
        if not state.meter_fresh:
            load = np.zeros(len(steps))
        inside = np.array([float(node.id in below[i.evse.circuit]) for i in items])
        for phase in (1, 2, 3):
            row = shares[phase - 1] * inside
            for sign, name in ((1.0, "import"), (-1.0, "export")):
                bound = np.maximum(phase_kw - np.maximum(sign * load, 0.0), 0.0)
                if row @ most > bound.min():
                    names.append(f"{node.id or GRID} L{phase} {name}")
                    coefficients.append(sign * row)
                    bounds.append(bound)
    if not names:
        return None
    return Rows(id=tuple(names), coefficient=np.array(coefficients), bound_kw=np.array(bounds))


def _phase_share(evse: EvseState, phase: int) -> float:
    if evse.phases == 3:
        return 1 / 3
    return 1.0 if evse.phase == phase or evse.phases == 2 else 0.0


def session_plans(state: SiteState, plan: Plan) -> tuple[SessionPlan, ...]:
    """The plan of each controlled session as people read it: signed power and energy by step."""
    steps = np.asarray(state.outlook.step_h)
    result = []
    for row, item in enumerate(controlled(state)):
        charge, discharge = plan.charge_kw[row], plan.discharge_kw[row]
        gained = charge * item.evse.charge_efficiency - discharge / item.evse.discharge_efficiency
        energy = item.session.energy_kwh + np.cumsum(gained * steps)
        capacity = item.session.capacity_kwh
        result.append(
            SessionPlan(
                session_id=item.session.session_id,
                station_id=item.evse.station_id,
                evse_id=item.evse.evse_id,
                power_kw=tuple(np.round(charge - discharge, 6).tolist()),
                energy_kwh=tuple(np.round(energy, 6).tolist()),
                unmet_kwh=round(float(plan.unmet_kwh[row]), 6),
                expected_soc=round(float(energy[-1]) / capacity, 6)
                if capacity and item.session.soc is not None and len(energy)
                else None,
            )
        )
    return tuple(result)
