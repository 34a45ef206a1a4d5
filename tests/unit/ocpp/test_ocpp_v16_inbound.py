"""1.6J: what a station says becomes an event, and what it is answered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.domain.events import (
    Booted,
    MeterReported,
    Noted,
    SecurityReported,
    StatusReported,
    TransactionReported,
)
from gridleaf.ocpp.csms import Authorisation
from ocpp_fakes import NOW, V16, Desk, FakeHost, stamp

IMPORT = "Energy.Active.Import.Register"


@pytest.fixture
def desk() -> Desk:
    return Desk(V16)


def start(desk: Desk, **change: object) -> str:
    payload = {
        "connectorId": 2,
        "idTag": "TAG",
        "meterStart": 1000,
        "timestamp": stamp(),
        **change,
    }
    return str(desk.ask("StartTransaction", payload)["transactionId"])


def stop(desk: Desk, transaction_id: str | int, **change: object) -> dict[str, object]:
    desk.host.at = NOW + timedelta(hours=2)
    payload = {
        "transactionId": int(transaction_id),
        "meterStop": 11000,
        "timestamp": stamp(NOW + timedelta(hours=2)),
        **change,
    }
    return desk.ask("StopTransaction", payload)


def test_a_boot_is_accepted_with_the_time_and_the_interval(desk: Desk) -> None:
    answer = desk.ask(
        "BootNotification",
        {
            "chargePointVendor": "Leaf",
            "chargePointModel": "One",
            "chargePointSerialNumber": "S1",
            "firmwareVersion": "1.2",
        },
    )
    assert answer == {
        "status": "Accepted",
        "currentTime": "2026-01-05T12:00:00.000Z",
        "interval": 300,
    }
    assert desk.last() == Booted(
        station_id="CP1",
        received_at=NOW,
        vendor="Leaf",
        model="One",
        serial_number="S1",
        firmware_version="1.2",
    )


def test_the_serial_number_of_the_box_serves_where_the_other_is_missing(desk: Desk) -> None:
    desk.ask(
        "BootNotification",
        {"chargePointVendor": "v", "chargePointModel": "m", "chargeBoxSerialNumber": "B"},
    )
    assert desk.last().serial_number == "B"


def test_a_heartbeat_is_answered_with_the_time_and_stored_nowhere(desk: Desk) -> None:
    assert desk.ask("Heartbeat", {}) == {"currentTime": "2026-01-05T12:00:00.000Z"}
    assert desk.host.events == []


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Available", "available"),
        ("Preparing", "occupied"),
        ("Charging", "occupied"),
        ("SuspendedEV", "occupied"),
        ("SuspendedEVSE", "occupied"),
        ("Finishing", "occupied"),
        ("Reserved", "reserved"),
        ("Unavailable", "unavailable"),
        ("Faulted", "faulted"),
    ],
)
def test_a_status_is_mapped_and_keeps_its_own_word(desk: Desk, word: str, status: str) -> None:
    payload = {"connectorId": 2, "errorCode": "NoError", "status": word, "timestamp": stamp()}
    assert desk.ask("StatusNotification", payload) == {}
    assert desk.last() == StatusReported(
        station_id="CP1",
        received_at=NOW,
        evse_id=2,
        connector_id=1,
        status=status,
        reported_at=NOW,
        detail=word,
    )


def test_a_status_of_the_station_itself_without_a_time(desk: Desk) -> None:
    payload = {"connectorId": 0, "errorCode": "GroundFailure", "status": "Faulted"}
    desk.ask("StatusNotification", payload)
    event = desk.last()
    assert (event.evse_id, event.connector_id, event.error_code) == (0, 0, "GroundFailure")
    assert event.reported_at == NOW


def test_a_status_of_no_connector_is_kept_but_changes_nothing(desk: Desk) -> None:
    payload = {"connectorId": -1, "errorCode": "NoError", "status": "Available"}
    assert desk.ask("StatusNotification", payload) == {}
    assert [type(e) for e in desk.host.events] == [Noted]


@pytest.mark.parametrize(
    ("status", "answered"),
    [
        ("Accepted", "Accepted"),
        ("Blocked", "Blocked"),
        ("Expired", "Expired"),
        ("Invalid", "Invalid"),
        ("ConcurrentTx", "ConcurrentTx"),
        ("Unknown", "Invalid"),
    ],
)
def test_a_token_is_judged(desk: Desk, status: str, answered: str) -> None:
    desk.host.answers["T"] = Authorisation(status=status, group_id="G", expires_at=NOW)
    assert desk.ask("Authorize", {"idTag": "T"}) == {
        "idTagInfo": {
            "status": answered,
            "parentIdTag": "G",
            "expiryDate": "2026-01-05T12:00:00.000Z",
        }
    }


def test_a_start_opens_a_transaction_with_its_register(desk: Desk) -> None:
    transaction_id = start(desk)
    event = desk.last()
    assert isinstance(event, TransactionReported)
    assert (event.transaction_id, event.seq_no, event.phase) == (transaction_id, 0, "started")
    assert (event.evse_id, event.connector_id, event.id_token) == (2, 1, "TAG")
    assert (event.occurred_at, event.received_at, event.flags) == (NOW, NOW, ())
    (sample,) = event.samples
    assert (sample.measurand, sample.value, sample.unit) == (IMPORT, 1.0, "kWh")
    assert (sample.context, sample.raw) == ("Transaction.Begin", "1000 Wh")
    assert desk.host.asked == [("TAG", 2)]


def test_the_same_start_sent_again_is_the_same_transaction_and_one_event(desk: Desk) -> None:
    assert start(desk) == start(desk)
    assert len(desk.host.events) == 1


def test_a_start_with_a_blocked_token_is_reported_all_the_same(desk: Desk) -> None:
    desk.host.answers["TAG"] = Authorisation(status="Blocked")
    payload = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": stamp()}
    assert desk.ask("StartTransaction", payload)["idTagInfo"] == {"status": "Blocked"}
    assert desk.last().phase == "started"


def test_meter_values_of_a_transaction_update_it(desk: Desk) -> None:
    transaction_id = start(desk)
    payload = {
        "connectorId": 2,
        "transactionId": int(transaction_id),
        "meterValue": [
            {
                "timestamp": stamp(NOW + timedelta(minutes=1)),
                "sampledValue": [
                    {"value": "1100"},
                    {"value": "6.6", "measurand": "Power.Active.Import", "unit": "kW"},
                    {"value": "nothing", "measurand": "SoC"},
                ],
            }
        ],
    }
    assert desk.ask("MeterValues", payload) == {}
    event = desk.last()
    assert (event.phase, event.seq_no, event.evse_id) == ("updated", 1, 2)
    assert event.occurred_at == NOW + timedelta(minutes=1)
    assert [(s.measurand, s.value) for s in event.samples] == [
        (IMPORT, 1.1),
        ("Power.Active.Import", 6.6),
    ]
    assert event.flags == ("value_unreadable",)


METER = [{"timestamp": stamp(), "sampledValue": [{"value": "5", "unit": "kWh"}]}]


def test_meter_values_outside_a_transaction_are_the_evses(desk: Desk) -> None:
    desk.ask("MeterValues", {"connectorId": 1, "meterValue": METER})
    event = desk.last()
    assert isinstance(event, MeterReported)
    assert (event.evse_id, event.samples[0].value) == (1, 5.0)


def test_meter_values_of_connector_0_are_the_main_meters(desk: Desk) -> None:
    desk.ask("MeterValues", {"connectorId": 0, "meterValue": METER})
    assert desk.last().evse_id == 0


def test_meter_values_of_connector_0_within_a_transaction_are_its_evses(desk: Desk) -> None:
    transaction_id = start(desk)
    desk.ask(
        "MeterValues",
        {"connectorId": 0, "transactionId": int(transaction_id), "meterValue": METER},
    )
    assert desk.last().evse_id == 2


def test_a_stop_ends_the_transaction_with_its_data_and_its_register(desk: Desk) -> None:
    transaction_id = start(desk)
    ended = NOW + timedelta(hours=2)
    data = [
        {
            "timestamp": stamp(NOW),
            "sampledValue": [{"value": "1000", "context": "Transaction.Begin"}],
        },
        {"timestamp": stamp(ended), "sampledValue": [{"value": "88", "measurand": "SoC"}]},
    ]
    answer = stop(desk, transaction_id, idTag="TAG", reason="EVDisconnected", transactionData=data)
    assert answer == {"idTagInfo": {"status": "Accepted"}}
    event = desk.last()
    assert (event.phase, event.seq_no, event.evse_id) == ("ended", 1, 2)
    assert (event.stopped_reason, event.occurred_at) == ("EVDisconnected", ended)
    assert [(s.measurand, s.value, s.context) for s in event.samples] == [
        (IMPORT, 1.0, "Transaction.Begin"),
        ("SoC", 0.88, "Sample.Periodic"),
        (IMPORT, 11.0, "Transaction.End"),
    ]
    assert event.flags == ()


def test_data_outside_its_transaction_is_flagged_and_kept(desk: Desk) -> None:
    transaction_id = start(desk)
    value = [{"value": "1500"}]
    early, late = stamp(NOW - timedelta(minutes=1)), stamp(NOW + timedelta(hours=2, minutes=1))
    desk.ask(
        "MeterValues",
        {
            "connectorId": 2,
            "transactionId": int(transaction_id),
            "meterValue": [{"timestamp": early, "sampledValue": value}],
        },
    )
    assert desk.last().flags == ("sample_before_start",)
    stop(desk, transaction_id, transactionData=[{"timestamp": late, "sampledValue": value}])
    assert "sample_after_stop" in desk.last().flags
    assert len(desk.last().samples) == 2


def test_a_stop_without_a_token_or_reason_is_local(desk: Desk) -> None:
    assert stop(desk, start(desk)) == {}
    assert desk.last().stopped_reason == "Local"


def test_a_stop_by_another_token_is_flagged(desk: Desk) -> None:
    stop(desk, start(desk), idTag="OTHER")
    assert desk.last().flags == ("other_token",)


def test_a_security_event_is_reported(desk: Desk) -> None:
    desk.ask(
        "SecurityEventNotification",
        {"type": "TamperDetectionActivated", "timestamp": stamp(), "techInfo": "lid"},
    )
    event = desk.last()
    assert isinstance(event, SecurityReported)
    assert (event.what, event.detail) == ("TamperDetectionActivated", "lid")


@pytest.mark.parametrize(
    ("action", "payload", "answer"),
    [
        ("DataTransfer", {"vendorId": "v", "data": "d"}, {"status": "UnknownVendorId"}),
        ("FirmwareStatusNotification", {"status": "Installed"}, {}),
        ("DiagnosticsStatusNotification", {"status": "Uploaded"}, {}),
        ("LogStatusNotification", {"status": "Uploaded"}, {}),
        ("SignedFirmwareStatusNotification", {"status": "Installed"}, {}),
    ],
)
def test_other_messages_are_kept_as_they_came(
    desk: Desk, action: str, payload: dict[str, object], answer: dict[str, object]
) -> None:
    assert desk.ask(action, payload) == answer
    assert desk.last() == Noted(station_id="CP1", received_at=NOW, action=action, payload=payload)


@pytest.mark.parametrize("text", ["noon", "2026-01-05T12:59:60Z"])
def test_a_message_time_that_is_none_is_ours_and_flagged(desk: Desk, text: str) -> None:
    transaction_id = start(desk, timestamp=text)
    assert desk.last().occurred_at == NOW
    assert desk.last().flags == ("time_unreadable",)
    stop(desk, transaction_id, timestamp=text)
    assert (desk.last().phase, desk.last().occurred_at) == ("ended", desk.host.now())
    assert desk.last().flags == ("time_unreadable",)
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": text}
    desk.ask("StatusNotification", status)
    assert desk.last().reported_at == desk.host.now()


def test_nothing_is_acknowledged_that_is_not_stored() -> None:
    host = FakeHost()
    desk = Desk(V16, host)
    transaction_id = start(desk)
    host.store.down = True
    messages = {
        "BootNotification": {"chargePointVendor": "v", "chargePointModel": "m"},
        "StatusNotification": {"connectorId": 1, "errorCode": "NoError", "status": "Charging"},
        "StartTransaction": {
            "connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": stamp(),
        },
        "StopTransaction": {
            "transactionId": int(transaction_id), "meterStop": 9, "timestamp": stamp(),
        },
        "MeterValues": {"connectorId": 1, "meterValue": METER},
        "SecurityEventNotification": {"type": "x", "timestamp": stamp()},
        "DataTransfer": {"vendorId": "v"},
    }  # fmt: skip
    for action, payload in messages.items():
        with pytest.raises(StoreUnavailable):
            desk.ask(action, payload)
