"""Faults 19 to 29 of section C, as far as the protocol decides: what becomes of a message."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from gridleaf.domain.events import (
    MeterReported,
    Noted,
    SecurityReported,
    StatusReported,
    TransactionReported,
)
from ocpp_fakes import NOW, V16, V21, V201, Desk, FakeHost, FakeStore, stamp

V2 = [V201, V21]
METER = [{"timestamp": stamp(), "sampledValue": [{"value": "1000"}]}]


def start(desk: Desk, **change: Any) -> int:
    payload = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": stamp(), **change}
    transaction_id: int = desk.ask("StartTransaction", payload)["transactionId"]
    return transaction_id


def stop(desk: Desk, transaction_id: int, **change: Any) -> dict[str, Any]:
    payload = {"transactionId": transaction_id, "meterStop": 5000, "timestamp": stamp(), **change}
    return desk.ask("StopTransaction", payload)


def event(**change: Any) -> dict[str, Any]:
    return {
        "eventType": "Updated",
        "timestamp": stamp(),
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 1,
        "transactionInfo": {"transactionId": "tx-1"},
        **change,
    }


def transactions(host: FakeHost) -> list[TransactionReported]:
    return [e for e in host.events if isinstance(e, TransactionReported)]


def test_fault_19_a_stop_of_another_stations_transaction_touches_neither() -> None:
    store = FakeStore()
    victim = Desk(V16, FakeHost("CP1", store=store))
    intruder = Desk(V16, FakeHost("CP2", store=store))
    transaction_id = start(victim)
    assert stop(intruder, transaction_id) == {}
    assert stop(intruder, transaction_id, idTag="TAG") == {"idTagInfo": {"status": "Accepted"}}
    assert [e.phase for e in transactions(victim.host)] == ["started"]
    assert transactions(intruder.host) == []
    reports = [e for e in intruder.host.events if isinstance(e, SecurityReported)]
    assert {(r.what, r.detail) for r in reports} == {
        ("transaction_unknown", f"StopTransaction of {transaction_id}")
    }


def test_fault_19_meter_values_of_a_foreign_transaction_do_not_enter_it() -> None:
    store = FakeStore()
    victim = Desk(V16, FakeHost("CP1", store=store))
    intruder = Desk(V16, FakeHost("CP2", store=store))
    transaction_id = start(victim)
    payload = {"connectorId": 1, "transactionId": transaction_id, "meterValue": METER}
    assert intruder.ask("MeterValues", payload) == {}
    assert len(transactions(victim.host)) == 1
    (report,) = intruder.host.events
    assert isinstance(report, MeterReported)
    assert (report.evse_id, report.transaction_id) == (1, None)


@pytest.mark.parametrize("version", V2)
def test_fault_20_a_duplicate_event_is_one_row_and_the_same_reply(version: str) -> None:
    desk = Desk(version)
    payload = event(idToken={"idToken": "T", "type": "Central"})
    answers = [desk.ask("TransactionEvent", payload) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(desk.host.events) == 1


def test_fault_20_a_16_stop_sent_again_after_a_reboot_ends_nothing_twice() -> None:
    store = FakeStore()
    desk = Desk(V16, FakeHost(store=store))
    transaction_id = start(desk)
    first = stop(desk, transaction_id, idTag="TAG")
    again = Desk(V16, FakeHost(store=store))
    assert stop(again, transaction_id, idTag="TAG") == first
    assert [e.phase for e in transactions(desk.host)] == ["started", "ended"]
    assert isinstance(desk.last(), Noted)


@pytest.mark.parametrize("version", V2)
def test_fault_22_events_out_of_order_keep_their_own_numbers(version: str) -> None:
    desk = Desk(version)
    for seq_no, kind in ((0, "Started"), (3, "Ended"), (2, "Updated")):
        desk.ask("TransactionEvent", event(seqNo=seq_no, eventType=kind))
    assert [(e.seq_no, e.phase) for e in transactions(desk.host)] == [
        (0, "started"),
        (3, "ended"),
        (2, "updated"),
    ]


@pytest.mark.parametrize("version", V2)
def test_fault_23_offline_events_keep_their_own_time(version: str) -> None:
    desk = Desk(version)
    then = NOW - timedelta(days=3)

    async def replay() -> None:
        for seq_no in range(200):
            at = then + timedelta(minutes=seq_no)
            payload = event(seqNo=seq_no, offline=True, timestamp=stamp(at))
            assert await desk.ask_async("TransactionEvent", payload) == {}

    asyncio.run(replay())
    events = transactions(desk.host)
    assert len(events) == 200
    assert all(e.offline and e.received_at == NOW and e.flags == () for e in events)
    assert events[-1].occurred_at == then + timedelta(minutes=199)


@pytest.mark.parametrize("version", V2)
def test_fault_25_an_end_without_a_start_is_stored(version: str) -> None:
    desk = Desk(version)
    desk.ask("TransactionEvent", event(eventType="Ended", seqNo=9))
    assert [(e.phase, e.seq_no) for e in transactions(desk.host)] == [("ended", 9)]


def test_fault_25_a_16_stop_without_a_start_is_kept_as_it_came() -> None:
    desk = Desk(V16)
    stop(desk, 99, transactionData=METER)
    kept, report = desk.host.events
    assert isinstance(kept, Noted)
    assert (kept.action, kept.payload["meterStop"]) == ("StopTransaction", 5000)
    assert kept.payload["transactionData"] == METER
    assert isinstance(report, SecurityReported)


@pytest.mark.parametrize("transaction_id", [-1, 0, 2**31, 2**63 - 1, -(2**63)])
def test_fault_26_odd_transaction_ids_of_16_never_meet_one_of_ours(transaction_id: int) -> None:
    desk = Desk(V16)
    ours = start(desk)
    assert ours > 0
    payload = {"connectorId": 2, "transactionId": transaction_id, "meterValue": METER}
    assert desk.ask("MeterValues", payload) == {}
    assert (desk.last().evse_id, desk.last().transaction_id) == (2, None)
    assert stop(desk, transaction_id) == {}
    assert [e.phase for e in transactions(desk.host)] == ["started"]


@pytest.mark.parametrize("transaction_id", ["-1", "0", str(2**63 - 1), "a" * 36])
@pytest.mark.parametrize("version", V2)
def test_fault_26_odd_transaction_ids_of_2x_are_names(version: str, transaction_id: str) -> None:
    desk = Desk(version)
    desk.ask("TransactionEvent", event(transactionInfo={"transactionId": transaction_id}))
    assert desk.last().transaction_id == transaction_id


def test_fault_27_a_stop_register_below_the_start_register() -> None:
    desk = Desk(V16)
    transaction_id = start(desk, meterStart=9000)
    stop(desk, transaction_id, meterStop=4000)
    assert desk.last().flags == ("register_reset",)
    assert desk.last().samples[-1].value == 4.0
    assert desk.last().samples[-1].raw == "4000 Wh"


def test_fault_27_equal_registers_are_no_reset() -> None:
    desk = Desk(V16)
    stop(desk, start(desk, meterStart=9000), meterStop=9000)
    assert desk.last().flags == ()


def test_fault_27_a_stop_register_in_another_unit() -> None:
    desk = Desk(V16)
    transaction_id = start(desk)
    desk.host.at = NOW + timedelta(hours=1)
    stop(desk, transaction_id, meterStop=20_000_000, timestamp=stamp(desk.host.at))
    assert desk.last().flags == ("register_jump",)


def test_fault_27_a_negative_register_is_kept_and_flagged() -> None:
    desk = Desk(V16)
    start(desk, meterStart=-5)
    assert desk.last().flags == ("meter_negative",)
    assert desk.last().samples[0].raw == "-5 Wh"


@pytest.mark.parametrize(
    ("timestamp", "flags"),
    [
        (stamp(), ()),
        (stamp(NOW + timedelta(minutes=5)), ()),
        (stamp(NOW + timedelta(minutes=5, seconds=1)), ("clock_ahead",)),
        (stamp(NOW + timedelta(days=365)), ("clock_ahead",)),
        ("1970-01-01T00:00:10Z", ("clock_unset",)),
        ("2026-01-05T12:00:00", ("naive_time",)),
    ],
)
def test_fault_28_a_clock_that_is_wrong_is_flagged_and_both_times_are_kept(
    timestamp: str, flags: tuple[str, ...]
) -> None:
    for version in V2:
        desk = Desk(version)
        assert desk.ask("TransactionEvent", event(timestamp=timestamp)) == {}
        assert (desk.last().flags, desk.last().received_at) == (flags, NOW)
    desk = Desk(V16)
    start(desk, timestamp=timestamp)
    assert (desk.last().flags, desk.last().received_at) == (flags, NOW)
    desk.ask(
        "StatusNotification",
        {"connectorId": 1, "errorCode": "NoError", "status": "Charging", "timestamp": timestamp},
    )
    assert isinstance(desk.last(), StatusReported)
    assert desk.last().received_at == NOW


@pytest.mark.parametrize("version", V2)
def test_fault_29_an_event_without_a_connector_is_never_the_first_ones(version: str) -> None:
    desk = Desk(version, FakeHost(evse_ids=(1, 2)))
    desk.ask("TransactionEvent", event(eventType="Started"))
    assert (desk.last().evse_id, desk.last().connector_id) == (None, None)


@pytest.mark.parametrize("connector", [0, -1])
def test_fault_29_a_16_start_on_no_connector_is_unattributed(connector: int) -> None:
    desk = Desk(V16)
    start(desk, connectorId=connector)
    assert (desk.last().evse_id, desk.last().connector_id) == (None, None)
    assert desk.last().flags == ("connector_unknown",)
