"""From what the stations' registers counted to the figures of a mode: pure functions on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gridleaf.control.limits import grid_limits_kw, tree
from gridleaf.control.types import Policy
from gridleaf.domain.site import SiteConfig
from gridleaf.replay.life import Stay, lives
from gridleaf.replay.results import ModeResult, VisitResult
from gridleaf.replay.site import ReplayVisit
from gridleaf.replay.window import Window
from gridleaf.tariff import billing_month

Floats = NDArray[np.float64]

MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOLERANCE_KW, TOLERANCE_SHARE = 0.1, 0.005
"""A limit counts as broken above it by more than the larger of 0.1 kW and 0.5 % of it: meter error."""
ENOUGH_KWH, ENOUGH_SHARE = 0.1, 0.01
"""A vehicle left with its energy when less than the larger of 0.1 kWh and 1 % was missing."""


@dataclass(slots=True)
class Tape:
    """What was recorded of one visit. Energies per metering interval from ``first`` on [kWh]."""

    visit: ReplayVisit
    first: int
    imported: list[float] = field(default_factory=list)
    exported: list[float] = field(default_factory=list)
    soc: list[float] = field(default_factory=list)
    final_soc: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What was recorded in one mode.

    ``minute_kwh`` is the net energy of each minute at every node of the site's tree of limits
    ("" is the grid connection), + imported [kWh].
    """

    tapes: Sequence[Tape]
    minute_kwh: Mapping[str, Floats]
    cycles: int
    messages: int


def mode_result(
    mode: Policy,
    recording: Recording,
    *,
    site: SiteConfig,
    window: Window,
    buy: Sequence[float],
    sell: Sequence[float],
    battery: str | None = None,
) -> ModeResult:
    """All figures of a mode.

    Energy is billed by metering interval at the grid connection: what was imported net in an
    interval at its import price, what was exported net at its export price. The visits' own costs
    are their shares of that and add up to it.

    Parameters
    ----------
    buy, sell
        Import and export price of each metering interval of the window [currency per kWh].
    battery
        The battery by which the life of the vehicles is scored; None leaves that out.
    """
    interval_min = site.tariff.demand_interval_min
    net = recording.minute_kwh[""].reshape(-1, interval_min).sum(axis=1)
    bought, sold = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    marginal = np.where(net >= 0, np.asarray(buy), np.asarray(sell))
    mean_kw = net * 60 / interval_min
    visits = tuple(_visit(tape, site, marginal) for tape in recording.tapes)
    discharged = sum(v.discharged_kwh for v in visits)
    violations, excess = _violations(recording.minute_kwh, site, window)
    stays = [_stay(tape, window, interval_min) for tape in recording.tapes]
    life = () if battery is None else lives(stays, battery, site.defaults)
    flat = discharged * site.defaults.wear_per_kwh
    known = any(vehicle.battery is not None for vehicle in site.vehicles)
    return ModeResult(
        mode=mode,
        sessions=len(visits),
        charged_kwh=sum(v.charged_kwh for v in visits),
        discharged_kwh=discharged,
        unmet_kwh=sum(v.unmet_kwh for v in visits),
        energy_cost_eur=float(bought @ np.asarray(buy) - sold @ np.asarray(sell)),
        demand_cost_eur=demand_cost(mean_kw, site, window),
        wear_cost_eur=sum(one.eur for one in life) if known and life else flat,
        peak_kw=float(np.max(mean_kw, initial=0.0)),
        limit_violations=violations,
        worst_excess_kw=excess,
        equivalent_full_cycles=sum(v.equivalent_full_cycles for v in visits),
        ready_on_time=sum(
            v.unmet_kwh <= max(ENOUGH_KWH, ENOUGH_SHARE * v.reachable_kwh) for v in visits
        ),
        cycles=recording.cycles,
        messages=recording.messages,
        grid_kw=tuple(mean_kw.tolist()),
        visits=visits,
        lives=life,
    )


def _stay(tape: Tape, window: Window, interval_min: int) -> Stay:
    """The charge of a visit over its time."""
    visit = tape.visit
    step = timedelta(minutes=interval_min)
    inside = [window.start + (tape.first + n) * step for n in range(1, len(tape.soc) - 1)]
    return Stay(
        vehicle=visit.vehicle,
        capacity_kwh=visit.capacity_kwh,
        times=(visit.arrived_at, *inside, visit.departed_at),
        soc=tape.soc,
    )


def _visit(tape: Tape, site: SiteConfig, marginal: Floats) -> VisitResult:
    visit = tape.visit
    imported, exported = np.asarray(tape.imported), np.asarray(tape.exported)
    evse = next(
        e
        for s in site.stations
        if s.id == visit.station_id
        for e in s.evses
        if e.id == visit.evse_id
    )
    into, out_of = evse.charge_efficiency, evse.discharge_efficiency
    missing = max(visit.target_soc - tape.final_soc, 0.0) * visit.capacity_kwh / into
    beyond_reach = visit.energy_kwh - visit.reachable_kwh
    throughput = imported.sum() * into + exported.sum() / out_of
    prices = marginal[tape.first : tape.first + len(imported)]
    return VisitResult(
        visit_id=visit.visit_id,
        vehicle=visit.vehicle,
        arrived_at=visit.arrived_at,
        departed_at=visit.departed_at,
        charged_kwh=float(imported.sum()),
        discharged_kwh=float(exported.sum()),
        unmet_kwh=max(missing - beyond_reach, 0.0),
        reachable_kwh=visit.reachable_kwh,
        energy_cost_eur=float((imported - exported) @ prices),
        equivalent_full_cycles=float(throughput / (2 * visit.capacity_kwh)),
        departure_soc=tape.final_soc,
        first_interval=tape.first,
        soc=tuple(tape.soc),
    )


def demand_cost(mean_kw: Floats, site: SiteConfig, window: Window) -> float:
    """The demand charge on the highest interval of each local month, pro rata for parts of one."""
    interval = timedelta(minutes=site.tariff.demand_interval_min)
    cost, index = 0.0, 0
    while index < len(mean_kw):
        at = window.start + index * interval
        month_start, month_end = billing_month(at, site.timezone)
        count = min(-((at - month_end) // interval), len(mean_kw) - index)
        covered = count * interval / (month_end - month_start)
        peak = max(float(mean_kw[index : index + count].max()), 0.0)
        cost += peak * site.tariff.demand_charge_per_kw * min(covered, 1.0)
        index += count
    return cost


def _violations(
    minute_kwh: Mapping[str, Floats], site: SiteConfig, window: Window
) -> tuple[int, float]:
    """Minutes in which a limit was broken, each counted once, and the worst excess [kW]."""
    minutes = len(minute_kwh[""])
    broken = np.zeros(minutes, dtype=bool)
    worst = 0.0
    for node in tree(site):
        power = minute_kwh[node.id] * 60 + node.load_kw
        imports, exports = np.full(minutes, node.import_kw), np.full(minutes, node.export_kw)
        if node.id == "" and site.limit_windows:
            pairs = [grid_limits_kw(site, window.start + m * MINUTE) for m in range(minutes)]
            imports, exports = (np.asarray(limits) for limits in zip(*pairs, strict=True))
        for value, limit in ((power, imports), (-power, exports)):
            over = value - limit > np.maximum(TOLERANCE_KW, TOLERANCE_SHARE * limit)
            broken |= over
            worst = max(worst, float(np.max((value - limit)[over], initial=0.0)))
    return int(broken.sum()), worst


def aligned(window: Window, interval_min: int) -> Window:
    """The window widened to whole metering intervals."""
    step = timedelta(minutes=interval_min)
    return Window(
        start=_EPOCH + (window.start - _EPOCH) // step * step,
        end=_EPOCH - (_EPOCH - window.end) // step * step,
    )
