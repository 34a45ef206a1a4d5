"""Decide: one pure step from a ``SiteState`` to a ``Decision``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import numpy as np
import structlog

from gridleaf.control.envelope import envelope
from gridleaf.control.ladder import FLOOR_RUNG, PAUSE_RUNG
from gridleaf.control.problem import (
    GRID,
    Controlled,
    build,
    charge_bound_kw,
    controlled,
    may_discharge,
    now_kw,
    put_off_price,
    session_plans,
)
from gridleaf.control.types import Alert, Decision, SessionPlan, Setpoint, SiteState
from gridleaf.domain.clock import stopwatch
from gridleaf.domain.errors import GridleafError
from gridleaf.domain.site import SiteConfig
from gridleaf.plan import fallback, solve_exact, verify
from gridleaf.plan.problem import Floats, Plan, Problem

log = structlog.get_logger()

Solver = Callable[..., Plan]
UNMET_KWH = 0.25
"""Less than this is not worth an alert [kWh]."""


def decide(
    state: SiteState,
    site: SiteConfig,
    *,
    trigger: str = "timer",
    previous: tuple[SiteState, Decision] | None = None,
    solver: Solver = solve_exact,
    timer: Callable[[], float] = stopwatch,
) -> Decision:
    """Plan, then hold the plan against the envelope.

    The same state gives the same decision. It never raises for what a state holds: where the solver
    fails, the previous plan moved on in time takes its place, and plain rules where there is none.

    Parameters
    ----------
    previous
        The last state and the decision made from it, for when the solver fails.
    solver, timer
        Replaceable for tests; ``timer`` in seconds.
    """
    if state.policy == "uncontrolled":
        return _uncontrolled(state, trigger)
    began = timer()
    items = controlled(state)
    problem = build(state, site)
    notes: list[str] = []
    alerts: list[Alert] = []
    method = "exact" if state.meter_fresh else "static"
    try:
        plan = solver(problem, time_limit_s=site.control.solver_time_limit_s, timer=timer)
        faults = verify(problem, plan)
        if faults:
            raise GridleafError("the plan failed its check: " + "; ".join(faults[:3]))
    except Exception as error:  # noqa: BLE001 - a solver may fail in any way; the cycle must end
        log.warning("planner_fallback", site=state.site, reason=str(error))
        plan, method = _stand_in(problem, items, state, previous)
        notes.append(f"planner: {error}")
        alerts.append(
            Alert(
                kind="planner_fallback",
                severity="warning",
                where=state.site,
                text=f"The planner gave no plan; {_METHODS[method]} stands in.",
            )
        )
    setpoints = envelope(state, site, now_kw(state, plan))
    plans = session_plans(state, plan)
    grid_row = plan.node_id.index(GRID)
    exact = method in ("exact", "static")
    later = put_off_price(site, problem.step_h)
    base_eur = float((later * problem.step_h) @ problem.nodes.load_kw[0])
    return Decision(
        at=state.at,
        trigger=trigger,
        method=method,
        gap=plan.gap if exact else None,
        objective_eur=plan.objective_eur - base_eur if exact else None,
        lower_bound_eur=plan.lower_bound_eur - base_eur if exact else None,
        plan_seconds=timer() - began,
        setpoints=setpoints,
        sessions=plans,
        grid_kw=_series(plan.import_kw[grid_row] - plan.export_kw[grid_row]),
        shadow_price=_series(plan.shadow_price_eur_per_kwh[grid_row] - later),
        alerts=(*alerts, *_alerts(state, site, items, plans), *_unpausable(state, setpoints)),
        notes=(*state.notes, *notes, *plan.notes),
    )


_METHODS = {"shifted": "the last plan", "rules": "charging by plain rules"}


def _series(values: Floats) -> tuple[float, ...]:
    return tuple(np.round(values, 6).tolist())


def _stand_in(
    problem: Problem,
    items: tuple[Controlled, ...],
    state: SiteState,
    previous: tuple[SiteState, Decision] | None,
) -> tuple[Plan, str]:
    """Rules, with the last plan in place of them for every session that it knew."""
    plan = fallback(problem)
    if previous is None or previous[1].method in ("rules", "uncontrolled"):
        return plan, "rules"
    old_state, old = previous
    known = {p.session_id: p.power_kw for p in old.sessions}
    old_edges = np.concatenate(([0.0], np.cumsum(old_state.outlook.step_h)))
    shift = (state.outlook.start - old_state.outlook.start) / timedelta(hours=1)
    starts = np.concatenate(([0.0], np.cumsum(problem.step_h)[:-1])) + shift
    column = np.searchsorted(old_edges, starts + 1e-9, side="right") - 1
    charge, discharge = plan.charge_kw.copy(), plan.discharge_kw.copy()
    for row, item in enumerate(items):
        powers = known.get(item.session.session_id)
        if powers is None:
            continue
        inside = column < len(powers)
        old_power = np.where(inside, np.array(powers)[np.minimum(column, len(powers) - 1)], 0.0)
        charge[row] = np.minimum(np.maximum(old_power, 0.0), problem.visits.charge_kw[row])
        discharge[row] = np.minimum(np.maximum(-old_power, 0.0), problem.visits.discharge_kw[row])
    return replace(plan, charge_kw=charge, discharge_kw=discharge), "shifted"


def _uncontrolled(state: SiteState, trigger: str) -> Decision:
    return Decision(
        at=state.at,
        trigger=trigger,
        method="uncontrolled",
        gap=None,
        objective_eur=None,
        lower_bound_eur=None,
        plan_seconds=0.0,
        setpoints=(),
        sessions=(),
        grid_kw=(),
        shadow_price=(),
        notes=state.notes,
    )


def _alerts(
    state: SiteState,
    site: SiteConfig,
    items: tuple[Controlled, ...],
    plans: tuple[SessionPlan, ...],
) -> list[Alert]:
    alerts: list[Alert] = []
    if not state.meter_fresh:
        never = state.measurement is None
        alerts.append(
            Alert(
                kind="no_meter" if never else "meter_stale",
                severity="info" if never else "critical",
                where=state.site,
                text=(
                    f"No site meter: all EVSEs share the safe {site.control.static_share_kw:g} kW."
                    if never
                    else "The site meter is stale: no export, "
                    f"all EVSEs share the safe {site.control.static_share_kw:g} kW."
                ),
            )
        )
    grid = state.measurement.grid_kw if state.measurement is not None else None
    if state.meter_fresh and grid is not None:
        if grid > state.import_limit_kw + 0.05:
            alerts.append(_over("import", grid, state.import_limit_kw, state.site))
        if -grid > state.export_limit_kw + 0.05:
            alerts.append(_over("export", -grid, state.export_limit_kw, state.site))
    if state.grid_event is not None:
        alerts.append(
            Alert(
                kind="grid_event",
                severity="critical",
                where=state.site,
                text=f"{state.grid_event}: no discharging until an operator clears it.",
            )
        )
    if not all(state.outlook.price_known):
        missing = sum(
            h
            for h, known in zip(state.outlook.step_h, state.outlook.price_known, strict=True)
            if not known
        )
        alerts.append(
            Alert(
                kind="price_missing",
                severity="info",
                where=state.site,
                text=f"No market price for {missing:.0f} h of the horizon: yesterday's or the flat tariff there.",
            )
        )
    for evse in state.evses:
        if not evse.online:
            alerts.append(
                Alert(
                    kind="station_offline",
                    severity="warning",
                    where=evse.key,
                    text=f"Offline: {evse.worst_import_kw:.1f} kW stay reserved."
                    if evse.session
                    else "Offline.",
                )
            )
        elif not evse.obeying and evse.session is not None:
            alerts.append(
                Alert(
                    kind="not_obeying",
                    severity="critical",
                    where=evse.key,
                    text=f"Does not follow its setpoint: {evse.worst_import_kw:.1f} kW reserved.",
                )
            )
    for item in items:
        if item.evse.rung >= FLOOR_RUNG:
            alerts.append(
                Alert(
                    kind="not_obeying",
                    severity="warning",
                    where=item.evse.key,
                    text="Paused: it obeyed nothing milder."
                    if item.evse.rung >= PAUSE_RUNG and not item.evse.refuses_zero
                    else "Held at its least power: it obeyed no other limit.",
                )
            )
    for item, plan in zip(items, plans, strict=True):
        if plan.unmet_kwh > UNMET_KWH:
            alerts.append(_will_miss(item, plan))
        session = item.session
        wants_v2g = session.v2g and item.evse.v2x and item.evse.discharge_max_kw > 0
        if wants_v2g and state.policy == "v2g" and session.discharge_max_kw <= 0:
            alerts.append(
                Alert(
                    kind="budget_spent" if session.withheld else "soc_unknown",
                    severity="info",
                    where=item.evse.key,
                    text=f"No V2G: {may_discharge(state, item)}.",
                )
            )
    return alerts


def _unpausable(state: SiteState, setpoints: tuple[Setpoint, ...]) -> list[Alert]:
    """EVSEs that refuse a setpoint of 0 and get another than was planned for that."""
    unpausable = {e.key for e in state.evses if e.refuses_zero}
    alerts = []
    for setpoint in setpoints:
        where = f"{setpoint.station_id}/{setpoint.evse_id}"
        held = where in unpausable and setpoint.power_kw > max(setpoint.planned_kw, 0.0) + 0.01
        if setpoint.stop:
            text = "The station refuses a setpoint of 0, and its least does not fit any more: "
            text += "its transaction is stopped."
            severity: Literal["info", "critical"] = "critical"
        elif held:
            text = "The station refuses a setpoint of 0: "
            text += f"held at {setpoint.power_kw:.1f} kW where the plan waits."
            severity = "info"
        else:
            continue
        alerts.append(Alert(kind="refuses_zero", severity=severity, where=where, text=text))
    return alerts


def _over(direction: str, power_kw: float, limit_kw: float, where: str) -> Alert:
    return Alert(
        kind="over_limit",
        severity="critical",
        where=where,
        text=f"{direction.capitalize()} of {power_kw:.1f} kW is above the limit of {limit_kw:.1f} kW.",
    )


def _will_miss(item: Controlled, plan: SessionPlan) -> Alert:
    session = item.session
    text = f"Will miss departure by {plan.unmet_kwh:.1f} kWh"
    if plan.expected_soc is not None:
        text += f", expected SoC {plan.expected_soc:.0%}"
    if charge_bound_kw(item.evse, session) <= 0:
        text += "; the EVSE may not charge now"
    return Alert(
        kind="will_miss_departure", severity="warning", where=item.evse.key, text=text + "."
    )
