"""What the screens show, as pure functions of what the platform knows. kW, kWh, + charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, groupby
from typing import Literal, TypedDict

from gridleaf.control.limits import grid_limits_kw
from gridleaf.control.types import (
    Alert,
    Decision,
    EvseState,
    Outlook,
    SessionPlan,
    SessionState,
    SiteState,
)
from gridleaf.domain.events import StationEvent, TransactionReported
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig
from gridleaf.ocpp.units import power_kw
from gridleaf.store.port import SeriesPoint

_SEVERITIES = ("critical", "warning", "info")
_BIN = timedelta(minutes=15)
IDLE_KW = 0.05
"""Below this an EVSE counts as idle: meters show a few watts of standby."""


def worst_first(alerts: Sequence[Alert]) -> list[Alert]:
    """Alerts by severity, otherwise in the order they came."""
    return sorted(alerts, key=lambda alert: _SEVERITIES.index(alert.severity))


# -- the horizon --


class PriceAt(TypedDict):
    start: datetime
    end: datetime
    import_price: float
    export_price: float
    known: bool


def edges(outlook: Outlook) -> list[datetime]:
    """The T + 1 boundaries of the T steps."""
    hours = accumulate(outlook.step_h, initial=0.0)
    return [outlook.start + timedelta(hours=h) for h in hours]


def price_steps(outlook: Outlook) -> list[PriceAt]:
    """The prices of each step with its boundaries."""
    at = edges(outlook)
    return [
        PriceAt(
            start=at[t],
            end=at[t + 1],
            import_price=outlook.import_price[t],
            export_price=outlook.export_price[t],
            known=outlook.price_known[t],
        )
        for t in range(len(outlook.step_h))
    ]


# -- the depot now --


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Where power goes at this moment; None is not measured. Charging and discharging are >= 0."""

    grid_kw: float | None
    fresh: bool
    pv_kw: float | None
    load_kw: float | None
    charging_kw: float
    discharging_kw: float
    import_limit_kw: float
    export_limit_kw: float
    import_price: float | None
    export_price: float | None


def flow(state: SiteState) -> Flow:
    """The power balance of the site now."""
    powers = [e.power_kw or 0.0 for e in state.evses]
    measured = state.measurement
    outlook = state.outlook
    return Flow(
        grid_kw=measured.grid_kw if measured else None,
        fresh=state.meter_fresh,
        pv_kw=measured.pv_kw if measured else None,
        load_kw=measured.load_kw if measured else None,
        charging_kw=sum(p for p in powers if p > 0),
        discharging_kw=-sum(p for p in powers if p < 0),
        import_limit_kw=state.import_limit_kw,
        export_limit_kw=state.export_limit_kw,
        import_price=outlook.import_price[0] if outlook.import_price else None,
        export_price=outlook.export_price[0] if outlook.export_price else None,
    )


# -- will every car be ready --

Verdict = Literal["ready", "on_track", "at_risk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """A session and whether it will have its energy at departure."""

    evse: EvseState
    session: SessionState
    verdict: Verdict
    unmet_kwh: float
    expected_soc: float | None


def readiness(state: SiteState, decision: Decision | None) -> list[Readiness]:
    """Every session, the earliest departure first.

    At risk where the plan leaves more than 0.1 kWh unmet, ready where the energy is there already.
    """
    plans = {p.session_id: p for p in decision.sessions} if decision else {}
    found = []
    for evse in state.evses:
        session = evse.session
        if session is None:
            continue
        plan = plans.get(session.session_id)
        unmet = plan.unmet_kwh if plan else 0.0
        verdict: Verdict = "on_track"
        if unmet > 0.1:
            verdict = "at_risk"
        elif session.energy_kwh >= session.target_kwh - 0.1:
            verdict = "ready"
        found.append(
            Readiness(
                evse=evse,
                session=session,
                verdict=verdict,
                unmet_kwh=unmet,
                expected_soc=plan.expected_soc if plan else None,
            )
        )
    return sorted(found, key=lambda r: (r.session.departure_at, r.evse.key))


Doing = Literal[
    "offline", "faulted", "unavailable", "free", "charging", "discharging", "waiting", "plugged"
]


def doing(evse: EvseState) -> Doing:
    """What an EVSE does, in one word; ``waiting`` is plugged in and told to wait."""
    if not evse.online:
        return "offline"
    if evse.status in ("faulted", "unavailable"):
        return "faulted" if evse.status == "faulted" else "unavailable"
    if evse.session is None:
        return "plugged" if evse.status == "occupied" else "free"
    power = evse.power_kw or 0.0
    if power > IDLE_KW:
        return "charging"
    return "discharging" if power < -IDLE_KW else "waiting"


# -- past and future in one picture --

Column = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Steps of past and future: values hold from their time to the next, the last one to ``end``.

    Before ``now`` measured means of a quarter of an hour, then the plan. ``charging_kw`` >= 0 and
    ``discharging_kw`` <= 0; in the past their net (grid - building + PV) takes one side.
    """

    now: datetime
    end: datetime
    at: tuple[datetime, ...]
    grid_kw: Column
    load_kw: Column
    pv_kw: Column
    charging_kw: Column
    discharging_kw: Column
    import_limit_kw: Column
    export_limit_kw: Column
    import_price: Column
    export_price: Column


def timeline(
    site: SiteConfig,
    now: datetime,
    measurements: Sequence[SiteMeasurement],
    past: Mapping[datetime, tuple[float, float]],
    planned: Outlook | None,
    decision: Decision | None,
    *,
    since: datetime,
) -> Timeline:
    """The depot from ``since`` to the end of the plan.

    ``past`` are the import and export prices that held, by quarter of an hour.
    """
    rows = _past_rows(site, now, measurements, past, since)
    end = now
    if planned is not None and decision is not None and planned.step_h:
        rows += _planned_rows(now, planned, decision)
        end = edges(planned)[-1]
    columns = list(zip(*(row for _, row in rows), strict=True)) or [()] * 9
    return Timeline(
        now=now,
        end=end,
        at=tuple(at for at, _ in rows),
        grid_kw=columns[0],
        load_kw=columns[1],
        pv_kw=columns[2],
        charging_kw=columns[3],
        discharging_kw=columns[4],
        import_limit_kw=columns[5],
        export_limit_kw=columns[6],
        import_price=columns[7],
        export_price=columns[8],
    )


_Row = tuple[datetime, tuple[float | None, ...]]


def _past_rows(
    site: SiteConfig,
    now: datetime,
    measurements: Sequence[SiteMeasurement],
    past: Mapping[datetime, tuple[float, float]],
    since: datetime,
) -> list[_Row]:
    bins: dict[datetime, list[SiteMeasurement]] = {}
    for row in measurements:
        if since <= row.measured_at < now:
            bins.setdefault(quarter(row.measured_at), []).append(row)
    rows: list[_Row] = []
    for at in sorted(bins):
        grid, load, pv = (
            _mean([getattr(m, name) for m in bins[at]]) for name in ("grid_kw", "load_kw", "pv_kw")
        )
        net = grid - load + (pv or 0.0) if grid is not None and load is not None else None
        limits = grid_limits_kw(site, at)
        rows.append(
            (
                at,
                (
                    grid,
                    load,
                    pv,
                    None if net is None else max(net, 0.0),
                    None if net is None else min(net, 0.0),
                    *limits,
                    *past.get(at, (None, None)),
                ),
            )
        )
    return rows


def _planned_rows(now: datetime, planned: Outlook, decision: Decision) -> list[_Row]:
    bounds = edges(planned)
    rows: list[_Row] = []
    for t in range(len(planned.step_h)):
        if bounds[t + 1] <= now:
            continue
        powers = [p.power_kw[t] for p in decision.sessions if t < len(p.power_kw)]
        rows.append(
            (
                max(bounds[t], now),
                (
                    decision.grid_kw[t] if t < len(decision.grid_kw) else None,
                    planned.load_kw[t],
                    planned.pv_kw[t],
                    sum(p for p in powers if p > 0),
                    sum(p for p in powers if p < 0),
                    planned.import_limit_kw[t],
                    planned.export_limit_kw[t],
                    planned.import_price[t],
                    planned.export_price[t],
                ),
            )
        )
    return rows


def quarter(at: datetime) -> datetime:
    """The start of the quarter of an hour that holds ``at``."""
    return at - (at - at.replace(minute=0, second=0, microsecond=0)) % _BIN


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


# -- one session --


def session_series(
    events: Sequence[StationEvent],
) -> tuple[list[SeriesPoint], list[SeriesPoint]]:
    """Signed power [kW] and SoC [0..1] of a transaction as its station reported them."""
    samples = [s for e in events if isinstance(e, TransactionReported) for s in e.samples]
    samples.sort(key=lambda s: s.measured_at)
    power: list[SeriesPoint] = []
    soc: list[SeriesPoint] = []
    for at, group in groupby(samples, key=lambda s: s.measured_at):
        batch = list(group)
        measured = power_kw(batch)
        if measured is not None:
            power.append(SeriesPoint(at=at, value=measured))
        soc += [SeriesPoint(at=at, value=s.value) for s in batch if s.measurand == "SoC"][-1:]
    return power, soc


def expected_saving(
    plan: SessionPlan,
    session: SessionState,
    outlook: Outlook,
    grid_kw: Sequence[float],
    charge_efficiency: float,
) -> float:
    """What the rest of the plan saves against charging at once to the same energy (+ saves money).

    A kWh counts with the import price while the site imports and with the export price otherwise.
    """
    steps = range(min(len(plan.power_kw), len(outlook.step_h)))
    price = [
        outlook.import_price[t] if t >= len(grid_kw) or grid_kw[t] >= 0 else outlook.export_price[t]
        for t in steps
    ]
    planned = sum(plan.power_kw[t] * outlook.step_h[t] * price[t] for t in steps)
    final = plan.energy_kwh[-1] if plan.energy_kwh else session.energy_kwh
    need = max(final - session.energy_kwh, 0.0) / charge_efficiency
    at_once = 0.0
    for t in steps:
        energy = min(session.charge_max_kw * outlook.step_h[t], need)
        at_once += energy * price[t]
        need -= energy
    return at_once - planned
