"""One pure step from a state to a decision, that always ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from builders import NOON, ac_evse, evse, outlook, session, site, state
from gridleaf.control.decide import decide
from gridleaf.control.explain import as_text, explain
from gridleaf.control.problem import build
from gridleaf.control.types import (
    Decision,
    SiteState,
    decision_from_json,
    decision_to_json,
    state_from_json,
    state_to_json,
)
from gridleaf.domain.errors import PlanningFailed
from gridleaf.plan import Plan, Problem, solve, verify

EVENING = [0.6] + [0.5] * 11 + [0.1] * 36
"""The dearest quarter now, a dear afternoon, nine cheap hours afterwards."""


def evening(**changes: Any) -> SiteState:
    look = outlook(buy=EVENING, sell=[p - 0.02 for p in EVENING], load_kw=15.0)
    base: dict[str, Any] = {"outlook": look, "base_kw": 15.0}
    return state(evse(), **{**base, **changes})


def test_a_vehicle_discharges_when_a_kwh_is_dear_and_is_full_when_it_leaves() -> None:
    decision = decide(evening(), site())
    (setpoint,) = decision.setpoints
    (plan,) = decision.sessions
    assert setpoint.power_kw < -5.0
    assert plan.unmet_kwh == 0.0
    assert min(plan.energy_kwh) >= 12.0 - 1e-6
    assert plan.energy_kwh[31] >= 32.0 - 1e-6


def test_policy_smart_never_discharges() -> None:
    decision = decide(evening(policy="smart"), site())
    assert min(min(p.power_kw) for p in decision.sessions) >= 0.0
    assert decision.setpoints[0].power_kw == 0.0


def test_policy_uncontrolled_commands_nothing() -> None:
    assert decide(evening(policy="uncontrolled"), site()).setpoints == ()


def test_wear_beyond_the_spread_stops_discharging() -> None:
    worn = evening()
    worn = replace(worn, evses=(evse(session=session(wear_per_kwh=1.0)),))
    assert decide(worn, site()).setpoints[0].power_kw == 0.0


def test_the_same_state_gives_the_same_decision() -> None:
    def still() -> float:
        return 0.0

    first = decide(evening(), site(), timer=still)
    assert decision_to_json(decide(evening(), site(), timer=still)) == decision_to_json(first)


def test_state_and_decision_survive_json() -> None:
    now = evening()
    decision = decide(now, site())
    assert state_from_json(state_to_json(now)) == now
    assert decision_from_json(decision_to_json(decision)) == decision


def test_a_departure_within_a_step_leaves_the_share_of_its_power() -> None:
    leaving = session(departure_at=NOON + timedelta(minutes=20), target_kwh=40.0)
    problem = build(state(evse(session=leaving)), site())
    assert problem.visits.depart.tolist() == [2]
    assert problem.visits.charge_kw[0, :3].tolist() == pytest.approx([22.0, 22.0 / 3, 0.0])
    assert verify(problem, solve(problem)) == []


def test_what_cannot_be_reached_is_said_with_the_expected_charge() -> None:
    late = session(departure_at=NOON + timedelta(minutes=30), target_kwh=40.0)
    decision = decide(state(evse(session=late)), site())
    (alert,) = [a for a in decision.alerts if a.kind == "will_miss_departure"]
    assert alert.where == "DC1/1"
    assert "expected SoC" in alert.text
    assert decision.setpoints[0].power_kw == pytest.approx(22.0)


def test_where_time_allows_a_vehicle_is_done_before_it_leaves() -> None:
    flat = state(evse(session=session(target_kwh=38.0)))
    (plan,) = decide(flat, site()).sessions
    assert plan.energy_kwh[30] >= 38.0 - 1e-6


def broken(*_: object, **__: object) -> Plan:
    raise PlanningFailed("out of time")


def test_fault_40_without_a_solver_plain_rules_charge_and_nothing_is_discharged() -> None:
    decision = decide(evening(), site(), solver=broken)
    assert decision.method == "rules"
    assert decision.gap is None
    assert decision.setpoints[0].power_kw > 0
    assert any(a.kind == "planner_fallback" for a in decision.alerts)


def test_fault_40_the_previous_plan_shifted_stands_in_for_a_failing_solver() -> None:
    before = evening()
    first = decide(before, site())
    later = NOON + timedelta(minutes=30)
    after = evening(at=later, outlook=replace(before.outlook, start=later))
    decision = decide(after, site(), solver=broken, previous=(before, first))
    assert decision.method == "shifted"
    assert decision.sessions[0].power_kw[0] == pytest.approx(first.sessions[0].power_kw[2])


def test_fault_40_rubbish_from_the_solver_is_found_by_the_check() -> None:
    def rubbish(problem: Problem, **arguments: Any) -> Plan:
        plan = solve(problem, **arguments)
        return replace(plan, charge_kw=np.full_like(plan.charge_kw, np.nan))

    decision = decide(evening(), site(), solver=rubbish)
    assert decision.method == "rules"
    assert all(np.isfinite(s.power_kw) for s in decision.setpoints)


def test_fault_30_a_stale_meter_means_the_static_share_and_no_export() -> None:
    stale = evening(meter_fresh=False, base_kw=0.0)
    decision = decide(stale, site())
    assert decision.method == "static"
    assert sum(s.power_kw for s in decision.setpoints) <= 10.0
    assert all(s.power_kw >= 0 for s in decision.setpoints)
    assert max(decision.grid_kw) <= 10.0 + 1e-6
    assert any(a.kind == "meter_stale" for a in decision.alerts)


def test_fault_31_without_a_state_of_charge_energy_targets_are_charged_and_nothing_discharged() -> (
    None
):
    blind = session(soc=None, capacity_kwh=None, energy_kwh=0.0, target_kwh=18.6, reserve_kwh=0.0)
    now = replace(evening(), evses=(evse(session=blind),))
    (plan,) = decide(now, site()).sessions
    assert min(plan.power_kw) >= 0.0
    assert plan.unmet_kwh == 0.0


def test_fault_35_a_limit_of_zero_is_obeyed_at_once() -> None:
    shut = evening(
        import_limit_kw=0.0,
        outlook=outlook(import_limit_kw=0.0, load_kw=15.0),
    )
    decision = decide(shut, site())
    assert sum(max(s.power_kw, 0.0) for s in decision.setpoints) == 0.0


def test_fault_39_an_infeasible_wish_still_gives_a_plan() -> None:
    impossible = [
        evse(
            f"DC{n}",
            session=session(
                f"s{n}",
                target_kwh=40.0,
                energy_kwh=1.0,
                reserve_kwh=0.4,
                departure_at=NOON + timedelta(hours=1),
            ),
        )
        for n in range(5)
    ]
    decision = decide(state(*impossible), site())
    assert decision.method == "exact"
    assert sum(p.unmet_kwh for p in decision.sessions) > 100
    assert sum(s.power_kw for s in decision.setpoints) <= 30.0


def test_fault_43_a_latched_grid_event_stops_discharging() -> None:
    decision = decide(evening(grid_event="NotifyDERAlarm of DC1"), site())
    assert all(s.power_kw >= 0 for s in decision.setpoints)
    assert min(decision.sessions[0].power_kw) >= 0
    assert any(a.kind == "grid_event" for a in decision.alerts)


def test_a_site_without_vehicles_has_a_plan_too() -> None:
    decision = decide(state(evse(session=None)), site())
    assert decision.setpoints == ()
    assert decision.grid_kw == pytest.approx((5.0,) * 48)


def test_explain_tells_the_motive_and_every_change() -> None:
    now = replace(
        evening(),
        evses=(
            evse(),
            ac_evse(
                session=session(
                    "ac",
                    soc=None,
                    v2g=False,
                    discharge_max_kw=0.0,
                    charge_max_kw=11.0,
                    departure_at=NOON + timedelta(hours=2),
                    energy_kwh=0.0,
                    target_kwh=18.0,
                    reserve_kwh=0.0,
                )
            ),
        ),
    )
    decision: Decision = decide(now, site())
    facts = explain(now, decision)
    sessions = facts["sessions"]
    assert isinstance(sessions, list)
    assert [s["evse"] for s in sessions] == ["DC1/1", "AC1/1"]
    assert "the plan discharges" in sessions[0]["why"][0]
    text = as_text(facts)
    assert "DC1/1" in text
    assert "planned by exact" in text
