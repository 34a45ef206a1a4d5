"""2.0.1 and 2.1: what a station says becomes an event, and what it is answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gridleaf.domain.errors import ProtocolError, StoreUnavailable
from gridleaf.domain.events import (
    Booted,
    ExternalLimitReported,
    MeterReported,
    NeedsReported,
    Noted,
    SecurityReported,
    StatusReported,
    TransactionReported,
)
from gridleaf.ocpp.csms import Authorisation
from ocpp_fakes import NOW, V21, V201, Desk, FakeHost, stamp

METER = [
    {
        "timestamp": stamp(),
        "sampledValue": [
            {
                "value": 5000,
                "measurand": "Power.Active.Export",
                "unitOfMeasure": {"unit": "W"},
            }
        ],
    }
]
TOKEN = {"idToken": "TOKEN", "type": "ISO14443"}


@pytest.fixture(params=[V201, V21])
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(request.param)


@pytest.fixture
def desk21() -> Desk:
    return Desk(V21)


def event(**change: Any) -> dict[str, Any]:
    return {
        "eventType": "Updated",
        "timestamp": stamp(),
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 7,
        "transactionInfo": {"transactionId": "tx-1"},
        **change,
    }


def test_a_boot_is_accepted_with_the_time_and_the_interval(desk: Desk) -> None:
    station = {
        "model": "One",
        "vendorName": "Leaf",
        "serialNumber": "S1",
        "firmwareVersion": "1.2",
    }
    answer = desk.ask("BootNotification", {"reason": "PowerUp", "chargingStation": station})
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
        reason="PowerUp",
    )


def test_a_heartbeat_is_answered_with_the_time(desk: Desk) -> None:
    assert desk.ask("Heartbeat", {}) == {"currentTime": "2026-01-05T12:00:00.000Z"}


@pytest.mark.parametrize("word", ["Available", "Occupied", "Reserved", "Unavailable", "Faulted"])
def test_a_status_is_mapped(desk: Desk, word: str) -> None:
    payload = {"timestamp": stamp(), "connectorStatus": word, "evseId": 2, "connectorId": 1}
    assert desk.ask("StatusNotification", payload) == {}
    assert desk.last() == StatusReported(
        station_id="CP1",
        received_at=NOW,
        evse_id=2,
        connector_id=1,
        status=word.lower(),
        reported_at=NOW,
        detail=word,
    )


def test_a_status_of_no_evse_is_kept_but_changes_nothing() -> None:
    desk = Desk(V201)
    payload = {
        "timestamp": stamp(),
        "connectorStatus": "Available",
        "evseId": -1,
        "connectorId": 1,
    }
    assert desk.ask("StatusNotification", payload) == {}
    assert [type(e) for e in desk.host.events] == [Noted]


def test_a_token_is_judged(desk: Desk) -> None:
    desk.host.answers["TOKEN"] = Authorisation(status="Accepted", group_id="G", expires_at=NOW)
    assert desk.ask("Authorize", {"idToken": TOKEN}) == {
        "idTokenInfo": {
            "status": "Accepted",
            "groupIdToken": {"idToken": "G", "type": "Central"},
            "cacheExpiryDateTime": "2026-01-05T12:00:00.000Z",
        }
    }


def test_only_21_is_told_which_transfers_are_allowed(desk: Desk) -> None:
    desk.host.answers["TOKEN"] = Authorisation(status="Accepted", transfers=("DC", "DC_BPT"))
    answer = desk.ask("Authorize", {"idToken": TOKEN})
    assert answer.get("allowedEnergyTransfer") == (
        ["DC", "DC_BPT"] if desk.version == V21 else None
    )


def test_no_transfers_are_no_empty_list(desk21: Desk) -> None:
    assert "allowedEnergyTransfer" not in desk21.ask("Authorize", {"idToken": TOKEN})


def test_a_station_that_needs_no_token_is_not_refused_one(desk: Desk) -> None:
    token = {"idToken": "", "type": "NoAuthorization"}
    assert desk.ask("Authorize", {"idToken": token}) == {"idTokenInfo": {"status": "Accepted"}}
    desk.ask("TransactionEvent", event(idToken=token))
    assert desk.last().id_token is None
    assert desk.host.asked == []


def test_a_transaction_event_keeps_all_it_says(desk: Desk) -> None:
    info = {
        "transactionId": "tx-1",
        "chargingState": "SuspendedEVSE",
        "stoppedReason": "Local",
        "remoteStartId": 12,
    }
    if desk.version == V21:
        info["operationMode"] = "CentralSetpoint"
    answer = desk.ask(
        "TransactionEvent",
        event(
            eventType="Ended",
            triggerReason="StopAuthorized",
            transactionInfo=info,
            evse={"id": 2, "connectorId": 1},
            idToken=TOKEN,
            meterValue=METER,
            offline=True,
        ),
    )
    assert answer == {"idTokenInfo": {"status": "Accepted"}}
    got = desk.last()
    assert isinstance(got, TransactionReported)
    assert (got.transaction_id, got.seq_no, got.phase) == ("tx-1", 7, "ended")
    assert (got.evse_id, got.connector_id, got.id_token) == (2, 1, "TOKEN")
    assert (got.charging_state, got.trigger, got.stopped_reason) == (
        "suspended_evse",
        "StopAuthorized",
        "Local",
    )
    assert (got.offline, got.remote_start_id) == (True, 12)
    assert got.operation_mode == ("CentralSetpoint" if desk.version == V21 else None)
    assert [(s.measurand, s.value, s.unit) for s in got.samples] == [
        ("Power.Active.Export", 5.0, "kW")
    ]
    assert desk.host.asked == [("TOKEN", 2)]


def test_an_event_without_a_token_has_an_empty_answer(desk: Desk) -> None:
    assert desk.ask("TransactionEvent", event()) == {}
    assert desk.host.asked == []


def test_an_event_without_an_evse_stays_unattributed(desk: Desk) -> None:
    desk.ask("TransactionEvent", event())
    assert (desk.last().evse_id, desk.last().connector_id) == (None, None)


def test_at_a_station_of_one_evse_it_is_that_one() -> None:
    desk = Desk(V201, FakeHost(evse_ids=(4,)))
    desk.ask("TransactionEvent", event())
    assert desk.last().evse_id == 4


def test_evse_0_is_no_evse_of_a_transaction(desk: Desk) -> None:
    desk.ask("TransactionEvent", event(evse={"id": 0}))
    assert desk.last().evse_id is None
    assert desk.last().flags == ("connector_unknown",)


@pytest.mark.parametrize("seq_no", [2**63, 1e300])
def test_a_number_that_is_too_large_is_refused(desk: Desk, seq_no: float) -> None:
    with pytest.raises(ProtocolError) as error:
        desk.ask("TransactionEvent", event(seqNo=seq_no))
    assert error.value.code == "PropertyConstraintViolation"
    assert desk.host.events == []


@pytest.mark.parametrize(
    "change",
    [
        {"evse": {"id": 1, "connectorId": 1e30}},
        {"transactionInfo": {"transactionId": "tx-1", "remoteStartId": -1e30}},
    ],
)
def test_a_whole_number_that_could_not_be_read_back_is_refused(
    desk: Desk, change: dict[str, Any]
) -> None:
    with pytest.raises(ProtocolError) as error:
        desk.ask("TransactionEvent", event(**change))
    assert error.value.code == "PropertyConstraintViolation"
    assert desk.host.events == []


def test_a_transaction_event_at_no_time_is_from_now(desk: Desk) -> None:
    desk.ask("TransactionEvent", event(timestamp="2026-01-05T12:59:60Z"))
    assert desk.last().occurred_at == NOW
    assert desk.last().flags == ("time_unreadable",)


def test_meter_values_are_the_evses(desk: Desk) -> None:
    assert desk.ask("MeterValues", {"evseId": 1, "meterValue": METER}) == {}
    got = desk.last()
    assert isinstance(got, MeterReported)
    assert (got.evse_id, got.transaction_id, got.samples[0].value) == (1, None, 5.0)


def test_a_register_that_runs_backwards_is_flagged(desk: Desk) -> None:
    def meter(value: float, minutes: int) -> list[dict[str, Any]]:
        at = stamp(NOW + timedelta(minutes=minutes))
        return [{"timestamp": at, "sampledValue": [{"value": value}]}]

    desk.ask("TransactionEvent", event(seqNo=1, meterValue=meter(5000, 0)))
    desk.ask("TransactionEvent", event(seqNo=2, meterValue=meter(4000, 1)))
    assert desk.last().flags == ("register_reset",)
    assert desk.last().samples[0].value == 4.0
    desk.ask("TransactionEvent", event(seqNo=3, meterValue=meter(4_000_000, 2)))
    assert desk.last().flags == ("register_jump",)


def needs(**parameters: Any) -> dict[str, Any]:
    return {
        "evseId": 1,
        "chargingNeeds": {"requestedEnergyTransfer": "DC", **parameters},
    }


def test_needs_are_answered_at_once_and_the_plan_follows(desk: Desk) -> None:
    dc = {
        "evMaxCurrent": 100,
        "evMaxVoltage": 400,
        "evMaxPower": 22000,
        "evEnergyCapacity": 40000,
        "energyAmount": 12000,
        "stateOfCharge": 55,
    }
    departure = NOW + timedelta(hours=8)
    payload = needs(dcChargingParameters=dc, departureTime=stamp(departure))
    assert desk.ask("NotifyEVChargingNeeds", payload) == {"status": "Processing"}
    assert desk.last() == NeedsReported(
        station_id="CP1",
        received_at=NOW,
        evse_id=1,
        requested_transfer="DC",
        departure_at=departure,
        soc=0.55,
        capacity_kwh=40.0,
        energy_needed_kwh=12.0,
        charge_max_kw=22.0,
    )


def schedule(*periods: dict[str, Any], unit: str = "W", **change: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": list(periods),
        **change,
    }


def limit(*schedules: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {
        "chargingLimit": {"chargingLimitSource": "EMS"},
        **({"chargingSchedule": list(schedules)} if schedules else {}),
        **change,
    }


def test_an_external_limit_enters_the_budget(desk: Desk) -> None:
    payload = limit(schedule({"startPeriod": 0, "limit": 7000}), evseId=2)
    assert desk.ask("NotifyChargingLimit", payload) == {}
    assert desk.last() == ExternalLimitReported(
        station_id="CP1", received_at=NOW, evse_id=2, source="EMS", limit_kw=7.0
    )


def test_without_an_evse_it_is_the_stations(desk: Desk) -> None:
    desk.ask("NotifyChargingLimit", limit(schedule({"startPeriod": 0, "limit": 16}, unit="A")))
    assert desk.last().evse_id == 0
    assert desk.last().limit_kw == pytest.approx(11.04)


def test_a_limit_that_says_no_number_is_kept_as_it_came(desk: Desk) -> None:
    assert desk.ask("NotifyChargingLimit", limit()) == {}
    assert isinstance(desk.last(), Noted)


def test_a_cleared_limit_is_none(desk: Desk) -> None:
    desk.ask("ClearedChargingLimit", {"chargingLimitSource": "EMS", "evseId": 1})
    assert desk.last() == ExternalLimitReported(
        station_id="CP1", received_at=NOW, evse_id=1, source="EMS", limit_kw=None
    )


def test_a_security_event_is_reported(desk: Desk) -> None:
    desk.ask("SecurityEventNotification", {"type": "SettingSystemTime", "timestamp": stamp()})
    assert desk.last() == SecurityReported(
        station_id="CP1", received_at=NOW, what="SettingSystemTime"
    )


def availability(component: dict[str, Any], value: str = "Occupied") -> dict[str, Any]:
    return {
        "eventId": 1,
        "timestamp": stamp(),
        "trigger": "Delta",
        "actualValue": value,
        "eventNotificationType": "PreconfiguredMonitor",
        "component": component,
        "variable": {"name": "AvailabilityState"},
    }


def test_the_availability_of_connectors_and_evses_is_their_status(desk: Desk) -> None:
    data = [
        availability({"name": "Connector", "evse": {"id": 2, "connectorId": 1}}, "Unavailable"),
        availability({"name": "EVSE", "evse": {"id": 1}}),
        availability({"name": "ChargingStation"}, "Faulted"),
        availability({"name": "Connector", "evse": {"id": 1, "connectorId": 1}}, "Melted"),
        availability({"name": "EVSE"}),
    ]
    payload = {"generatedAt": stamp(), "seqNo": 0, "eventData": data}
    assert desk.ask("NotifyEvent", payload) == {}
    note, *statuses = desk.host.events
    assert note == Noted(station_id="CP1", received_at=NOW, action="NotifyEvent", payload=payload)
    assert [(e.evse_id, e.connector_id, e.status) for e in statuses] == [  # type: ignore[union-attr]
        (2, 1, "unavailable"),
        (1, 0, "occupied"),
        (0, 0, "faulted"),
    ]
    assert statuses[0] == StatusReported(
        station_id="CP1",
        received_at=NOW,
        evse_id=2,
        connector_id=1,
        status="unavailable",
        reported_at=NOW,
        detail="Unavailable",
    )


KEPT: dict[str, dict[str, Any]] = {
    "DataTransfer": {"vendorId": "v"},
    "FirmwareStatusNotification": {"status": "Installed"},
    "LogStatusNotification": {"status": "Uploaded"},
    "NotifyCustomerInformation": {
        "data": "", "seqNo": 0, "generatedAt": stamp(), "requestId": 1,
    },
    "NotifyDisplayMessages": {"requestId": 1},
    "NotifyEvent": {
        "generatedAt": stamp(),
        "seqNo": 0,
        "eventData": [
            {
                "eventId": 1,
                "timestamp": stamp(),
                "trigger": "Alerting",
                "actualValue": "1",
                "eventNotificationType": "HardWiredNotification",
                "component": {"name": "EVSE"},
                "variable": {"name": "Problem"},
            }
        ],
    },
    "NotifyEVChargingSchedule": {
        "timeBase": stamp(),
        "evseId": 1,
        "chargingSchedule": schedule({"startPeriod": 0, "limit": 1}),
    },
    "NotifyMonitoringReport": {"requestId": 1, "seqNo": 0, "generatedAt": stamp()},
    "NotifyReport": {"requestId": 1, "seqNo": 0, "generatedAt": stamp()},
    "PublishFirmwareStatusNotification": {"status": "Idle"},
    "ReportChargingProfiles": {
        "requestId": 1,
        "chargingLimitSource": "CSO",
        "evseId": 1,
        "chargingProfile": [
            {
                "id": 1,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Absolute",
                "chargingSchedule": [schedule({"startPeriod": 0, "limit": 1})],
            }
        ],
    },
    "ReservationStatusUpdate": {"reservationId": 1, "reservationUpdateStatus": "Expired"},
}  # fmt: skip
KEPT_21: dict[str, dict[str, Any]] = {
    "NotifyDERAlarm": {"controlType": "VoltWatt", "timestamp": stamp()},
    "NotifyDERStartStop": {"controlId": "c", "started": True, "timestamp": stamp()},
    "NotifyPriorityCharging": {"transactionId": "tx-1", "activated": True},
    "ReportDERControl": {"requestId": 1},
    "NotifyPeriodicEventStream": {
        "id": 1, "pending": 0, "basetime": stamp(), "data": [{"t": 0, "v": "1"}],
    },
}  # fmt: skip
ANSWERS = {
    "DataTransfer": {"status": "UnknownVendorId"},
    "NotifyEVChargingSchedule": {"status": "Accepted"},
}


@pytest.mark.parametrize("action", KEPT)
def test_other_messages_are_kept_as_they_came(desk: Desk, action: str) -> None:
    assert desk.ask(action, KEPT[action]) == ANSWERS.get(action, {})
    assert desk.last() == Noted(
        station_id="CP1", received_at=NOW, action=action, payload=KEPT[action]
    )


@pytest.mark.parametrize("action", KEPT_21)
def test_messages_of_21_are_kept_as_they_came(desk21: Desk, action: str) -> None:
    desk21.ask(action, KEPT_21[action])
    assert (desk21.last().action, desk21.last().payload) == (action, KEPT_21[action])
    assert action not in Desk(V201).handlers


def test_a_station_pulls_the_setpoint_of_its_dynamic_profile(desk21: Desk) -> None:
    desk21.host.setpoints = {1001: -7.5, 1002: 11.0}
    assert desk21.ask("PullDynamicScheduleUpdate", {"chargingProfileId": 1001}) == {
        "status": "Accepted",
        "scheduleUpdate": {"setpoint": -7500.0},
    }
    assert desk21.ask("PullDynamicScheduleUpdate", {"chargingProfileId": 1002}) == {
        "status": "Accepted",
        "scheduleUpdate": {"setpoint": 11000.0},
    }


def test_a_pull_for_a_profile_that_is_none_of_ours_is_rejected(desk21: Desk) -> None:
    assert desk21.ask("PullDynamicScheduleUpdate", {"chargingProfileId": 5}) == {
        "status": "Rejected"
    }


def test_a_pulled_discharge_is_0_where_discharging_is_not_allowed_by_name() -> None:
    desk = Desk(V21, FakeHost(discharge_via="none"))
    desk.host.setpoints = {1: -7.5}
    answer = desk.ask("PullDynamicScheduleUpdate", {"chargingProfileId": 1})
    assert answer["scheduleUpdate"] == {"setpoint": 0.0}


def test_nothing_is_acknowledged_that_is_not_stored(desk: Desk) -> None:
    desk.host.store.down = True
    messages = {
        **KEPT,
        "BootNotification": {
            "reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"},
        },
        "StatusNotification": {
            "timestamp": stamp(), "connectorStatus": "Faulted", "evseId": 1, "connectorId": 1,
        },
        "TransactionEvent": event(),
        "MeterValues": {"evseId": 1, "meterValue": METER},
        "NotifyEVChargingNeeds": needs(),
        "NotifyChargingLimit": limit(),
        "ClearedChargingLimit": {"chargingLimitSource": "EMS"},
        "SecurityEventNotification": {"type": "x", "timestamp": stamp()},
    }  # fmt: skip
    for action, payload in messages.items():
        with pytest.raises(StoreUnavailable):
            desk.ask(action, payload)
    assert set(messages) | {"Heartbeat", "Authorize", "PullDynamicScheduleUpdate"} | set(
        KEPT_21
    ) >= set(desk.handlers)
