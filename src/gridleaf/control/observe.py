"""Observe: from the live view, the site's signals and the tariff to one frozen ``SiteState``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

from gridleaf.battery.curve import given_by, of_battery
from gridleaf.control.ladder import words
from gridleaf.control.limits import grid_limits_kw, offered_kw
from gridleaf.control.live import LiveEvse, LiveSite, is_stale
from gridleaf.control.session import LiveSession
from gridleaf.control.types import EvseState, Outlook, Policy, SessionState, SiteState
from gridleaf.control.wear import wear_of
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig, Vehicle

T = TypeVar("T")

SETTLE_S = 20.0
"""A meter reading this soon after a setpoint moved does not show the setpoint yet."""
EXPIRES_CYCLES = 2
"""A setpoint ends by itself this many cycles ahead (invariant 4)."""
_MINUTE = timedelta(minutes=1)
DOUBT_S = 1800.0
"""After discharging moved no meter it is not tried again for so long [s]."""
_LEAST_KW = 0.1
"""Less is not worth a discharge setpoint [kW]."""
OVERDUE = timedelta(minutes=30)
"""A vehicle that stays beyond its departure is expected to leave within this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imposed:
    """Limits from outside, on top of the configured ones; None where there is none."""

    import_kw: float | None = None
    export_kw: float | None = None


def step_grid(at: datetime, horizon_h: float) -> tuple[datetime, tuple[float, ...]]:
    """Steps of the horizon: to the next quarter of an hour, then 6 h of quarters, half hours, hours.

    Boundaries fall on the clock, so that prices and demand intervals are never split. A remainder
    under one minute is joined to the first full quarter.

    Returns
    -------
    start : datetime
        ``at``.
    step_h : tuple of float
        Lengths [h].
    """
    end = at + timedelta(hours=horizon_h)
    quarter = timedelta(minutes=15)
    boundary = _ceil(at, quarter)
    if boundary - at < timedelta(minutes=1):
        boundary += quarter
    edges = [at, boundary]
    while edges[-1] < end:
        ahead = edges[-1] - at
        if ahead < timedelta(hours=6):
            step = quarter
        elif ahead < timedelta(hours=12):
            step = timedelta(minutes=30)
        else:
            step = timedelta(hours=1)
        edges.append(_ceil(edges[-1] + timedelta(microseconds=1), step))
    lengths = tuple((b - a).total_seconds() / 3600 for a, b in pairwise(edges))
    return at, lengths


def _ceil(at: datetime, step: timedelta) -> datetime:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    over = (at - day) % step
    return at if not over else at + (step - over)


def observe(
    live: LiveSite,
    *,
    at: datetime,
    policy: Policy,
    measurement: SiteMeasurement | None,
    imposed: Imposed,
    peak_so_far_kw: float,
    outlook: Outlook,
    unmetered_kw: float = 0.0,
    notes: Sequence[str] = (),
) -> SiteState:
    """The state of the site at ``at``; every number in it is what the decision may rely on.

    ``unmetered_kw`` is what the grid meter has shown beyond building, generation and EVSEs [kW].
    """
    site = live.site
    import_kw, export_kw = grid_limits_kw(site, at, imposed.import_kw, imposed.export_kw)
    giving = live.giving_kwh()
    evses = tuple(_evse(evse, live, at, giving) for evse in live.evses())
    fresh = (
        measurement is not None
        and not is_stale(measurement.measured_at, at, site.control.meter_max_age_s)
        and (
            measurement.grid_kw is not None
            or (measurement.load_kw is not None and measurement.pv_kw is not None)
        )
    )
    base = (
        base_kw(measurement, evses, import_kw, export_kw)
        if fresh and measurement is not None
        else 0.0
    )
    lower = upper = 0.0
    if fresh and measurement is not None:
        if measurement.load_kw is not None:
            base += unmetered_kw
        else:
            online = [e for e in evses if e.online]
            lower = sum(e.most_kw - e.expected_kw for e in online)
            upper = sum(e.expected_kw - e.least_kw for e in online)
    ceilings = (
        [
            grid_limits_kw(site, at + n * _MINUTE, imposed.import_kw, imposed.export_kw)
            for n in range(round(EXPIRES_CYCLES * site.control.cycle_s / 60) + 1)
        ]
        if site.limit_windows
        else [(import_kw, export_kw)]
    )
    return SiteState(
        at=at,
        site=site.name,
        policy=policy,
        measurement=measurement,
        meter_fresh=fresh,
        base_kw=base,
        base_import_kw=base + upper,
        base_export_kw=base - lower,
        grid_event=live.grid_event,
        import_limit_kw=import_kw,
        export_limit_kw=export_kw,
        import_ceiling_kw=min(limit for limit, _ in ceilings),
        export_ceiling_kw=min(limit for _, limit in ceilings),
        peak_so_far_kw=peak_so_far_kw,
        outlook=outlook,
        evses=evses,
        notes=tuple(notes),
    )


def base_kw(
    measurement: SiteMeasurement,
    evses: Sequence[EvseState],
    import_limit_kw: float,
    export_limit_kw: float,
) -> float:
    """Net power of the site without its EVSEs [kW].

    Load minus generation where they are measured; otherwise grid power minus what the EVSEs are
    expected to draw. Of a station that is offline nobody knows what it draws: it stays in the base
    then, and the envelope allows for it. When the grid meter shows a broken limit the worse of the two
    counts, and what an EVSE draws beyond its setpoint counts to the base, so that the reaction never
    depends on sub-meters being right or on everybody obeying.
    """
    measured = measurement.load_kw is not None
    parts = (measurement.load_kw or 0.0) - (measurement.pv_kw or 0.0)
    if measurement.grid_kw is None:
        return parts
    residual = measurement.grid_kw - sum(e.expected_kw for e in evses if e.online)
    lost = [e for e in evses if measured and not e.online]
    if measurement.grid_kw > import_limit_kw:
        residual += sum(max(_beyond_kw(e), 0.0) for e in evses)
        residual -= sum(e.worst_import_kw for e in lost)
        return max(parts, residual) if measured else residual
    if measurement.grid_kw < -export_limit_kw:
        residual += sum(min(_beyond_kw(e), 0.0) for e in evses)
        residual += sum(e.worst_export_kw for e in lost)
        return min(parts, residual) if measured else residual
    return parts if measured else residual


def _beyond_kw(evse: EvseState) -> float:
    """What an EVSE that is trusted draws (+) or gives (-) beyond its setpoint [kW]."""
    if evse.setpoint_kw is None or not (evse.online and evse.obeying):
        return 0.0
    above = max(evse.expected_kw - max(evse.setpoint_kw, 0.0), 0.0)
    return above + min(evse.expected_kw - min(evse.setpoint_kw, 0.0), 0.0)


def _evse(
    evse: LiveEvse, live: LiveSite, at: datetime, giving_kwh: Mapping[str, float]
) -> EvseState:
    station = live.stations[evse.station.id]
    config = evse.config
    capabilities = live.capabilities(evse)
    via = evse.station.discharge_via
    v2x = via == "negative_limit" or (
        via == "ocpp21"
        and capabilities is not None
        and capabilities.v2x_enabled
        and "CentralSetpoint" in capabilities.operation_modes
    )
    saying = words(evse.station, config, capabilities, evse.rung)
    setpoint = evse.setpoint_kw(at)
    worst_import, worst_export = evse.worst_case_kw(at)
    session = evse.session
    shown = evse.power_at is not None and (
        evse.changed_at is None or evse.power_at >= evse.changed_at + timedelta(seconds=SETTLE_S)
    )
    if session is None:
        expected = 0.0
    elif shown or setpoint is None or not evse.obeying:
        expected = evse.power_kw if evse.power_kw is not None else (evse.default_kw or 0.0)
    else:
        expected = setpoint
    range_kw = [expected]
    if session is not None and not shown:
        range_kw += [evse.power_kw or 0.0, 0.0 if setpoint is None else setpoint]
    return EvseState(
        station_id=evse.station.id,
        evse_id=config.id,
        circuit=evse.circuit,
        current=config.current,
        phases=session.phases if session is not None and session.phases else config.phases,
        phase=config.phase,
        min_a=config.min_a if config.current == "AC" else 0.0,
        rate_unit=saying.rate_unit,
        stack_level=saying.stack_level,
        purpose=saying.purpose,
        charge_max_kw=config.charge_max_kw,
        discharge_max_kw=config.discharge_max_kw if v2x else 0.0,
        charge_efficiency=config.charge_efficiency,
        discharge_efficiency=config.discharge_efficiency,
        online=station.online,
        status=evse.status,
        obeying=evse.obeying and not evse.refused,
        rung=evse.rung,
        power_kw=evse.power_kw,
        power_at=evse.power_at,
        setpoint_kw=setpoint,
        setpoint_expires_at=evse.accepted.expires_at if evse.accepted is not None else None,
        expected_kw=expected,
        least_kw=min(range_kw),
        most_kw=max(range_kw),
        worst_import_kw=worst_import,
        worst_export_kw=worst_export,
        external_limit_kw=station.external_share_kw(evse),
        dynamic=saying.dynamic,
        v2x=v2x,
        session=None if session is None else _session(session, evse, live, at, v2x, giving_kwh),
        resting=config.current == "AC"
        and not is_stale(evse.paused_at, at, live.site.control.cycle_s - SETTLE_S),
        refuses_zero=evse.refuses_zero,
        unpausable=evse.unpausable,
        stopping=not is_stale(evse.stopped_at, at, live.site.control.cycle_s - SETTLE_S),
    )


def _session(
    session: LiveSession,
    evse: LiveEvse,
    live: LiveSite,
    at: datetime,
    v2x: bool,
    giving_kwh: Mapping[str, float],
) -> SessionState:
    site, config, needs = live.site, evse.config, session.needs
    defaults, wish = site.defaults, session.wish
    vehicle = live.vehicle(session.id_token)
    into, out_of = config.charge_efficiency, config.discharge_efficiency

    told_kwh = needs.capacity_kwh if needs is not None else None
    capacity, capacity_by = live.batteries.capacity_kwh(vehicle, told_kwh, at)
    knows_soc = session.soc is not None
    if knows_soc and capacity is None:
        capacity, capacity_by = defaults.capacity_kwh, "default"

    charged, discharged = session.charged.total_kwh, session.discharged.total_kwh
    energy = session.mark().energy_kwh(capacity, into, out_of)
    if session.soc is not None and capacity is not None:
        arrival = (session.arrival_soc or 0.0) * capacity
        reserve_soc = _first(
            wish.reserve_soc if wish is not None else None,
            vehicle.reserve_soc if vehicle is not None else None,
            defaults.reserve_soc,
        )
        reserve = reserve_soc * capacity
    else:
        arrival, reserve = 0.0, 0.0
    asked = session.needs_from
    if asked.soc is None and session.soc is not None:  # it was not known yet when the needs came
        since = (charged - asked.charged_kwh) * into
        asked_kwh = energy - since + (discharged - asked.discharged_kwh) / out_of
    else:
        asked_kwh = asked.energy_kwh(capacity, into, out_of)

    target, said_by = _target(
        session, vehicle, site, capacity, (arrival, asked_kwh), into, knows_soc
    )
    ceiling = capacity if capacity is not None else max(target, energy)
    v2x_from = 0.0
    if knows_soc and needs is not None:
        for most in (needs.energy_max_kwh, needs.v2x_max_energy_kwh):
            if most is not None:
                ceiling = min(ceiling, max(asked_kwh + most, target, energy))
        for least in (needs.v2x_min_energy_kwh, needs.energy_min_kwh or None):
            v2x_from = v2x_from if least is None else max(v2x_from, asked_kwh + least)
    departure, departure_by = _departure(session, vehicle, site)
    overdue = departure <= at
    if overdue:
        departure = at + OVERDUE
    v2g = _first(
        wish.v2g if wish is not None else None,
        vehicle.v2g if vehicle is not None else None,
        defaults.v2g,
    )
    if needs is not None and v2x and evse.station.discharge_via == "ocpp21":
        v2g = v2g and "BPT" in needs.requested_transfer
    charge_max, discharge_max = config.charge_max_kw, config.discharge_max_kw if v2x else 0.0
    charge_min = (needs.charge_min_kw if needs is not None else None) or 0.0
    discharge_min = (needs.discharge_min_kw if needs is not None else None) or 0.0
    if config.current == "AC" and session.phases is not None:
        charge_max *= min(session.phases / config.phases, 1.0)
        charge_min *= min(session.phases / config.phases, 1.0)
    for bound in (
        vehicle.charge_max_kw if vehicle is not None else None,
        needs.charge_max_kw if needs is not None else None,
        None if session.charge_seen_kw is None else offered_kw(session.charge_seen_kw),
    ):
        charge_max = charge_max if bound is None else min(charge_max, bound)
    for bound in (
        vehicle.discharge_max_kw if vehicle is not None else None,
        needs.discharge_max_kw if needs is not None else None,
    ):
        discharge_max = discharge_max if bound is None else min(discharge_max, bound)
    battery = vehicle.battery if vehicle is not None else defaults.battery
    accepts = None
    if battery is not None and capacity is not None:
        usable_kwh = round(capacity, 1)
        accepts = of_battery(battery, usable_kwh).scaled(1 / into)
        if knows_soc:
            gives = given_by(battery, usable_kwh).at(min(energy / capacity, 1.0)) * out_of
            discharge_max = min(discharge_max, gives)
    told = vehicle is not None and vehicle.charge_max_kw is not None
    told = told or (needs is not None and needs.charge_max_kw is not None)
    fresh_soc = knows_soc and not is_stale(session.soc_at, at, site.control.soc_max_age_s)
    jumped = not is_stale(session.soc_jump_at, at, site.control.soc_max_age_s)
    doubted = not is_stale(session.discharge_doubt_at, at, DOUBT_S)
    if not fresh_soc or jumped or doubted or overdue:
        discharge_max = 0.0
    left, withheld = None, ""
    if vehicle is not None:
        giving = giving_kwh.get(vehicle.id_token, 0.0)
        left, withheld = live.batteries.left_kwh(vehicle, giving, at)
    if left is not None:
        # never more than is left, even if no other setpoint follows before this one ends
        most = left / (EXPIRES_CYCLES * site.control.cycle_s / 3600)
        if most >= max(discharge_min, _LEAST_KW):
            discharge_max, withheld = min(discharge_max, most), ""
        else:
            discharge_max = 0.0
    flat = vehicle.wear_per_kwh if vehicle is not None else None
    wear = None
    if flat is None and battery is not None and capacity is not None and knows_soc:
        wear = wear_of(
            battery,
            defaults,
            capacity_kwh=capacity,
            soh=1.0 if vehicle is None else live.batteries.soh(vehicle, at),
            leaves_kwh=min(target, ceiling),
            comes_kwh=min(arrival, ceiling),
            lowest_kwh=min(reserve, ceiling),
            charge_kw=charge_max * into,
            discharge_kw=config.discharge_max_kw / out_of,
            discharge_efficiency=out_of,
        )
    return SessionState(
        session_id=session.session_id,
        transaction_id=session.transaction_id,
        id_token=session.id_token,
        vehicle=vehicle.name if vehicle is not None else "",
        arrived_at=session.arrived_at,
        departure_at=departure,
        energy_kwh=min(energy, ceiling),
        target_kwh=min(target, ceiling),
        reserve_kwh=min(reserve, ceiling),
        max_kwh=ceiling,
        capacity_kwh=capacity,
        soc=min(energy / capacity, 1.0) if knows_soc and capacity else None,
        soc_at=session.soc_at,
        v2g=v2g,
        charge_max_kw=charge_max,
        discharge_max_kw=discharge_max if v2g else 0.0,
        charge_min_kw=min(charge_min, charge_max),
        discharge_min_kw=min(discharge_min, discharge_max),
        v2x_from_kwh=v2x_from,
        accepts=accepts,
        gauged=told or session.gauged,
        wear_per_kwh=_first(
            flat, None if wear is None else wear.discharge_per_kwh, defaults.wear_per_kwh
        ),
        charged_kwh=charged,
        discharged_kwh=discharged,
        said_by=departure_by if departure_by != "default" else said_by,
        capacity_by=capacity_by,
        discharge_left_kwh=left,
        withheld=withheld,
        driver_share=vehicle.driver_share if vehicle is not None else 0.0,
        wear=wear,
    )


def _target(
    session: LiveSession,
    vehicle: Vehicle | None,
    site: SiteConfig,
    capacity: float | None,
    from_kwh: tuple[float, float],
    into: float,
    knows_soc: bool,
) -> tuple[float, str]:
    """Energy wanted at departure on the scale of the session [kWh], and who said so.

    What people and history say counts from the arrival, what the vehicle says from when it said so:
    ``from_kwh``.
    """
    arrival_kwh, asked_kwh = from_kwh
    wish = session.wish
    if wish is not None:
        if wish.target_soc is not None and knows_soc and capacity is not None:
            return wish.target_soc * capacity, wish.said_by
        if wish.energy_kwh is not None:
            return arrival_kwh + wish.energy_kwh * into, wish.said_by
    needs = session.needs
    if needs is not None:
        if needs.target_soc is not None and knows_soc and capacity is not None:
            return needs.target_soc * capacity, "vehicle"
        if needs.energy_needed_kwh is not None:
            wanted = max(needs.energy_needed_kwh, needs.energy_min_kwh or 0.0)
            return asked_kwh + wanted, "vehicle"
    if vehicle is not None and vehicle.target_soc is not None and knows_soc:
        return vehicle.target_soc * (capacity or vehicle.capacity_kwh), "vehicle"
    habit = session.habit
    if habit is not None:
        if habit.target_soc is not None and knows_soc and capacity is not None:
            return habit.target_soc * capacity, habit.said_by
        if habit.energy_kwh is not None:
            return arrival_kwh + habit.energy_kwh * into, habit.said_by
    if knows_soc and capacity is not None:
        return site.defaults.target_soc * capacity, "default"
    return arrival_kwh + site.defaults.energy_kwh * into, "default"


def _departure(
    session: LiveSession, vehicle: Vehicle | None, site: SiteConfig
) -> tuple[datetime, str]:
    wish, needs, habit = session.wish, session.needs, session.habit
    if wish is not None and wish.departure_at is not None:
        departure, said_by = wish.departure_at, wish.said_by
    elif needs is not None and needs.departure_at is not None:
        departure, said_by = needs.departure_at, "vehicle"
    elif vehicle is not None and vehicle.departure is not None:
        departure = _next_local(session.arrived_at, vehicle.departure, site.timezone)
        said_by = "vehicle"
    elif habit is not None and habit.departure_at is not None:
        departure, said_by = habit.departure_at, habit.said_by
    else:
        departure = session.arrived_at + timedelta(hours=site.defaults.stay_h)
        said_by = "default"
    return departure, said_by


def _next_local(after: datetime, at: time, timezone: str) -> datetime:
    zone = ZoneInfo(timezone)
    local = after.astimezone(zone)
    candidate = local.replace(
        hour=at.hour, minute=at.minute, second=at.second, microsecond=0, fold=0
    )
    if candidate <= local:
        candidate += timedelta(days=1)
    return candidate.astimezone(after.tzinfo)


def _first(*options: T | None) -> T:
    return next(option for option in options if option is not None)
