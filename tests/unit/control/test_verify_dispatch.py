"""The meter judges, the ladder follows, reductions come before increases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from builders import NOON, ac_evse, evse, session, site, state
from gridleaf.control.dispatch import orders, profile_id, remember
from gridleaf.control.live import LiveEvse, LiveSite
from gridleaf.control.types import Decision, Setpoint
from gridleaf.control.verify import judge
from gridleaf.domain.events import TransactionReported
from gridleaf.ocpp.commands import RemoteStop, SetProfile, UpdateSetpoint
from gridleaf.store.port import DispatchRecord


def commanded(power_kw: float, minutes: float = 0.0, **changes: Any) -> DispatchRecord:
    sent = NOON + timedelta(minutes=minutes)
    base: dict[str, Any] = {
        "station_id": "DC1",
        "evse_id": 1,
        "transaction_id": "t",
        "sent_at": sent,
        "expires_at": sent + timedelta(hours=5),
        "steps": ((0, power_kw),),
        "accepted": True,
        "status": "Accepted",
        "profile_id": 1001,
    }
    return DispatchRecord(**{**base, **changes})


def live_evse() -> tuple[LiveSite, LiveEvse]:
    live = LiveSite(site())
    live.apply(
        TransactionReported(
            station_id="DC1",
            received_at=NOON,
            transaction_id="t",
            seq_no=0,
            phase="started",
            occurred_at=NOON,
            evse_id=1,
        )
    )
    found = live.evse("DC1", 1)
    assert found is not None
    return live, found


def reads(evse: LiveEvse, power_kw: float, minutes: float) -> None:
    evse.power_kw, evse.power_at = power_kw, NOON + timedelta(minutes=minutes)


def test_taking_more_than_the_setpoint_for_two_cycles_is_disobedience() -> None:
    live, evse = live_evse()
    remember(live, commanded(7.0), NOON)
    reads(evse, 20.0, 1)
    judge(live, NOON + timedelta(minutes=1))
    assert evse.obeying
    reads(evse, 20.0, 6)
    assert judge(live, NOON + timedelta(minutes=6)) == [evse]
    assert not evse.obeying
    assert evse.rung == 2


def test_the_same_reading_counts_once() -> None:
    live, evse = live_evse()
    remember(live, commanded(7.0), NOON)
    reads(evse, 20.0, 1)
    for minutes in (1, 2, 3):
        judge(live, NOON + timedelta(minutes=minutes))
    assert evse.obeying


def test_a_reading_from_before_the_setpoint_took_effect_proves_nothing() -> None:
    live, evse = live_evse()
    remember(live, commanded(7.0), NOON)
    for seconds in (5, 10, 15):
        evse.power_kw, evse.power_at = 20.0, NOON + timedelta(seconds=seconds)
        judge(live, NOON + timedelta(seconds=seconds))
    assert evse.obeying
    assert evse.misses == 0


def test_taking_less_is_the_vehicles_right_and_its_maximum_is_learned() -> None:
    live, evse = live_evse()
    remember(live, commanded(20.0), NOON)
    for minutes in (1, 6):
        reads(evse, 7.0, minutes)
        judge(live, NOON + timedelta(minutes=minutes))
    assert evse.obeying
    assert evse.session is not None
    assert evse.session.charge_seen_kw == pytest.approx(7.0)


def test_discharging_that_no_meter_shows_is_not_relied_on() -> None:
    live, evse = live_evse()
    remember(live, commanded(-10.0), NOON)
    assert evse.session is not None
    for minutes in (1, 6):
        reads(evse, 0.0, minutes)
        judge(live, NOON + timedelta(minutes=minutes))
    assert evse.session.discharge_doubt_at is None
    reads(evse, 0.0, 11)
    judge(live, NOON + timedelta(minutes=11))
    assert evse.session.discharge_doubt_at == NOON + timedelta(minutes=11)


def test_discharging_more_than_told_is_disobedience() -> None:
    live, evse = live_evse()
    remember(live, commanded(-5.0), NOON)
    for minutes in (1, 6):
        reads(evse, -12.0, minutes)
        judge(live, NOON + timedelta(minutes=minutes))
    assert not evse.obeying


def test_two_good_cycles_restore_trust_on_the_rung_that_worked() -> None:
    live, evse = live_evse()
    evse.obeying, evse.rung = False, 2
    remember(live, commanded(7.0, rung=2), NOON)
    for minutes in (1, 6):
        reads(evse, 6.9, minutes)
        judge(live, NOON + timedelta(minutes=minutes))
    assert evse.obeying
    assert evse.rung == 2


def test_a_refusal_climbs_the_ladder_and_a_time_out_does_not() -> None:
    live, evse = live_evse()
    remember(live, commanded(7.0, accepted=False, status="timeout"), NOON)
    assert evse.refused
    assert evse.rung == 0
    remember(live, commanded(7.0, accepted=False, status="Rejected"), NOON)
    assert evse.rung == 2
    remember(live, commanded(7.0), NOON)
    assert not evse.refused


def test_an_answer_for_a_transaction_that_is_over_changes_nothing() -> None:
    live, evse = live_evse()
    remember(live, commanded(7.0, transaction_id="old"), NOON)
    assert evse.accepted is None


def decision(*setpoints: Setpoint) -> Decision:
    return Decision(
        at=NOON,
        trigger="timer",
        method="exact",
        gap=0.0,
        objective_eur=0.0,
        lower_bound_eur=0.0,
        plan_seconds=0.0,
        setpoints=setpoints,
        sessions=(),
        grid_kw=(),
        shadow_price=(),
    )


def setpoint(station_id: str, power_kw: float, **changes: Any) -> Setpoint:
    base: dict[str, Any] = {
        "station_id": station_id,
        "evse_id": 1,
        "session_id": "s1",
        "transaction_id": "tx-s1",
        "power_kw": power_kw,
        "limit_a": None,
        "phases": 3,
        "planned_kw": power_kw,
        "steps": ((0, power_kw),),
        "expires_at": NOON + timedelta(minutes=10),
    }
    return Setpoint(**{**base, **changes})


def test_orders_tell_reductions_from_increases() -> None:
    now = state(evse("DC1", setpoint_kw=10.0), evse("DC2", setpoint_kw=10.0, session=session("s2")))
    found = orders(now, decision(setpoint("DC1", 4.0), setpoint("DC2", 16.0)), renew=True)
    assert [o.reduces for o in found] == [True, False]


def test_an_unchanged_setpoint_is_sent_again_only_to_renew_it() -> None:
    now = state(evse("DC1", setpoint_kw=10.0))
    assert orders(now, decision(setpoint("DC1", 10.0)), renew=False) == []
    assert len(orders(now, decision(setpoint("DC1", 10.0)), renew=True)) == 1


def test_between_renewals_a_dynamic_profile_is_only_moved() -> None:
    ends = NOON + timedelta(minutes=7)
    now = state(evse("DC1", setpoint_kw=10.0, setpoint_expires_at=ends, dynamic=True))
    (order,) = orders(now, decision(setpoint("DC1", -4.0)), renew=False)
    assert order.command == UpdateSetpoint(profile_id=profile_id(1), power_kw=-4.0)
    assert order.record.expires_at == ends
    (order,) = orders(now, decision(setpoint("DC1", -4.0)), renew=True)
    assert isinstance(order.command, SetProfile)
    assert order.command.dynamic
    assert order.command.expires_s == 600


@pytest.mark.parametrize(("stack_level", "purpose"), [(1, "tx"), (0, "tx"), (1, "tx_default")])
def test_a_profile_is_put_in_the_words_of_its_rung(stack_level: int, purpose: str) -> None:
    now = state(ac_evse("AC1", stack_level=stack_level, purpose=purpose))
    (order,) = orders(now, decision(setpoint("AC1", 6.9, limit_a=10.0)), renew=True)
    assert isinstance(order.command, SetProfile)
    assert (order.command.stack_level, order.command.purpose) == (stack_level, purpose)
    assert order.command.steps[0].limit_a == 10.0
    assert not order.command.dynamic


def test_discharging_harder_waits_for_those_who_make_room_at_the_export_limit() -> None:
    now = state(
        evse("DC1", setpoint_kw=-20.0),
        evse("DC2", setpoint_kw=0.0, session=session("s2")),
        evse("DC3", setpoint_kw=-5.0, session=session("s3")),
    )
    asked = decision(setpoint("DC1", 0.0), setpoint("DC2", -20.0), setpoint("DC3", 5.0))
    assert [o.reduces for o in orders(now, asked, renew=True)] == [True, False, False]


def test_a_refused_zero_is_a_quirk_unless_more_is_refused_too() -> None:
    live, evse = live_evse()
    remember(live, commanded(0.0, accepted=False, status="Rejected"), NOON)
    assert (evse.refuses_zero, evse.refused, evse.rung) == (True, False, 0)
    remember(live, commanded(4.0, accepted=False, status="Rejected"), NOON)
    assert (evse.refuses_zero, evse.refused, evse.rung) == (False, True, 2)
    remember(live, commanded(0.0, accepted=False, status="Rejected"), NOON)
    remember(live, commanded(4.0), NOON)
    assert (evse.refuses_zero, evse.takes_more, evse.refused, evse.rung) == (True, True, False, 2)
    remember(live, commanded(9.0, accepted=False, status="timeout"), NOON)
    assert evse.refuses_zero
    remember(live, commanded(0.0), NOON)
    assert not evse.refuses_zero


def test_a_zero_that_was_refused_as_the_transaction_ended_proves_nothing() -> None:
    live, evse = live_evse()
    remember(live, commanded(0.0, accepted=False, status="Rejected"), NOON)
    assert evse.session is not None
    live.apply(
        TransactionReported(
            station_id="DC1",
            received_at=NOON,
            transaction_id="t",
            seq_no=1,
            phase="ended",
            occurred_at=NOON,
            evse_id=1,
        )
    )
    assert not evse.refuses_zero


def test_what_cannot_be_held_is_asked_to_stop_once_a_cycle() -> None:
    now = state(evse("DC1", setpoint_kw=0.0, refuses_zero=True))
    (order,) = orders(now, decision(setpoint("DC1", 0.0, stop=True)), renew=False)
    assert order.command == RemoteStop(transaction_id="tx-s1")
    assert not order.trusted
    asked = state(evse("DC1", setpoint_kw=0.0, refuses_zero=True, stopping=True))
    assert orders(asked, decision(setpoint("DC1", 0.0, stop=True)), renew=True) == []


def test_a_zero_that_is_refused_again_before_more_was_tried_is_a_refusal_like_any_other() -> None:
    live, evse = live_evse()
    for _ in range(2):
        remember(live, commanded(0.0, accepted=False, status="Rejected"), NOON)
    assert (evse.refuses_zero, evse.refused, evse.rung) == (True, True, 2)
    remember(live, commanded(4.0, rung=2), NOON)
    assert (evse.refuses_zero, evse.takes_more, evse.refused) == (True, True, False)


def test_only_who_refuses_zero_again_after_taking_more_is_stopped() -> None:
    live, evse = live_evse()
    remember(live, commanded(0.0, accepted=False, status="Rejected"), NOON)
    remember(live, commanded(4.0), NOON)
    assert not evse.unpausable
    remember(live, commanded(0.0, accepted=False, status="Rejected"), NOON)
    assert (evse.unpausable, evse.refused, evse.rung) == (True, False, 0)
    remember(live, commanded(4.0), NOON)
    assert (evse.unpausable, evse.refuses_zero) == (False, True)
