"""2.0.1 and 2.1: the exact payload of every command, and how answers are read."""

from __future__ import annotations

from typing import Any

import pytest

from gridleaf.domain.errors import ProtocolError
from gridleaf.ocpp import commands
from gridleaf.ocpp.commands import Answer, SetpointStep
from gridleaf.ocpp.csms import Payload
from ocpp_fakes import NOW, V21, V201, Desk, FakeHost, Script


def profile(**change: Any) -> commands.SetProfile:
    fields: dict[str, Any] = {
        "evse_id": 1,
        "transaction_id": "tx-1",
        "profile_id": 1001,
        "stack_level": 1,
        "start": NOW,
        "expires_s": 600,
        "steps": (
            SetpointStep(start_s=0, power_kw=-10.0),
            SetpointStep(start_s=300, power_kw=5.0),
        ),
        "rate_unit": "W",
        "v2x": True,
    }
    return commands.SetProfile(**{**fields, **change})


def charging(**change: Any) -> commands.SetProfile:
    steps = (SetpointStep(start_s=0, power_kw=11.0, limit_a=15.9),)
    return profile(steps=steps, rate_unit="A", phases=3, v2x=False, **change)


@pytest.fixture(params=[V201, V21])
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(request.param)


@pytest.fixture
def desk21() -> Desk:
    return Desk(V21)


def test_a_charging_profile_ends_by_duration_and_by_date(desk: Desk) -> None:
    mode = {"operationMode": "ChargingOnly"} if desk.version == V21 else {}
    assert desk.sent(charging()) == (
        "SetChargingProfile",
        {
            "evseId": 1,
            "chargingProfile": {
                "id": 1001,
                "stackLevel": 1,
                "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Absolute",
                "transactionId": "tx-1",
                "validTo": "2026-01-05T12:10:00.000Z",
                "chargingSchedule": [
                    {
                        "id": 1001,
                        "startSchedule": "2026-01-05T12:00:00.000Z",
                        "duration": 600,
                        "chargingRateUnit": "A",
                        "chargingSchedulePeriod": [
                            {"startPeriod": 0, "limit": 15.9, "numberPhases": 3, **mode}
                        ],
                    }
                ],
            },
        },
    )


def test_a_v2x_profile_leads_by_setpoints_and_dies_offline(desk21: Desk) -> None:
    _, payload = desk21.sent(profile())
    assert payload["chargingProfile"] == {
        "id": 1001,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "transactionId": "tx-1",
        "validTo": "2026-01-05T12:10:00.000Z",
        "maxOfflineDuration": 600,
        "invalidAfterOfflineDuration": True,
        "chargingSchedule": [
            {
                "id": 1001,
                "startSchedule": "2026-01-05T12:00:00.000Z",
                "duration": 600,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [
                    {
                        "startPeriod": 0,
                        "operationMode": "CentralSetpoint",
                        "setpoint": -10000.0,
                    },
                    {
                        "startPeriod": 300,
                        "operationMode": "CentralSetpoint",
                        "setpoint": 5000.0,
                    },
                ],
            }
        ],
    }


def test_a_dynamic_profile_has_one_period_at_0_and_no_start(desk21: Desk) -> None:
    _, payload = desk21.sent(profile(dynamic=True))
    sent = payload["chargingProfile"]
    assert sent["chargingProfileKind"] == "Dynamic"
    assert (sent["maxOfflineDuration"], sent["invalidAfterOfflineDuration"]) == (600, True)
    assert sent["validTo"] == "2026-01-05T12:10:00.000Z"
    assert sent["chargingSchedule"] == [
        {
            "id": 1001,
            "duration": 600,
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [
                {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": -10000.0}
            ],
        }
    ]


def test_a_dynamic_profile_is_in_watts_as_its_updates_are(desk21: Desk) -> None:
    steps = (SetpointStep(start_s=0, power_kw=11.0, limit_a=15.9),)
    _, payload = desk21.sent(profile(steps=steps, dynamic=True, v2x=False, rate_unit="A", phases=3))
    (schedule,) = payload["chargingProfile"]["chargingSchedule"]
    assert schedule["chargingRateUnit"] == "W"
    assert schedule["chargingSchedulePeriod"] == [
        {
            "startPeriod": 0,
            "operationMode": "CentralSetpoint",
            "setpoint": 11000.0,
            "numberPhases": 3,
        }
    ]


def periods(payload: Payload) -> list[Payload]:
    (schedule,) = payload["chargingProfile"]["chargingSchedule"]
    found: list[Payload] = schedule["chargingSchedulePeriod"]
    return found


@pytest.mark.parametrize("via", ["none", "ocpp21"])
def test_201_never_gets_a_negative_limit_unless_configured(via: Any) -> None:
    desk = Desk(V201, FakeHost(discharge_via=via))
    _, payload = desk.sent(profile())
    assert [p["limit"] for p in periods(payload)] == [0.0, 5000.0]


@pytest.mark.parametrize("version", [V201, V21])
def test_a_negative_limit_where_it_is_configured(version: str) -> None:
    desk = Desk(version, FakeHost(discharge_via="negative_limit"))
    _, payload = desk.sent(profile())
    assert [p["limit"] for p in periods(payload)] == [-10000.0, 5000.0]
    assert all(p.get("operationMode", "ChargingOnly") == "ChargingOnly" for p in periods(payload))


def test_21_without_discharge_allowed_by_name_rests_instead() -> None:
    desk = Desk(V21, FakeHost(discharge_via="none"))
    _, payload = desk.sent(profile())
    assert periods(payload) == [
        {"startPeriod": 0, "operationMode": "ChargingOnly", "limit": 0.0},
        {"startPeriod": 300, "operationMode": "ChargingOnly", "limit": 5000.0},
    ]


def test_as_a_default_profile_it_names_no_transaction(desk: Desk) -> None:
    _, payload = desk.sent(charging(purpose="tx_default"))
    assert payload["chargingProfile"]["chargingProfilePurpose"] == "TxDefaultProfile"
    assert "transactionId" not in payload["chargingProfile"]


def test_the_low_default_limit_has_begun_and_never_ends(desk: Desk) -> None:
    command = commands.SetDefaultLimit(
        evse_id=0, profile_id=2000, stack_level=0, limit_kw=4.14, limit_a=None, rate_unit="W"
    )
    mode = {"operationMode": "ChargingOnly"} if desk.version == V21 else {}
    assert desk.sent(command) == (
        "SetChargingProfile",
        {
            "evseId": 0,
            "chargingProfile": {
                "id": 2000,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Absolute",
                "chargingSchedule": [
                    {
                        "id": 2000,
                        "startSchedule": "2026-01-04T00:00:00.000Z",
                        "chargingRateUnit": "W",
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 4140.0, **mode}],
                    }
                ],
            },
        },
    )


@pytest.mark.parametrize(
    ("command", "action", "payload"),
    [
        (
            commands.ClearProfile(profile_id=7),
            "ClearChargingProfile",
            {"chargingProfileId": 7},
        ),
        (
            commands.ClearProfile(evse_id=1, purpose="tx"),
            "ClearChargingProfile",
            {"chargingProfileCriteria": {"evseId": 1, "chargingProfilePurpose": "TxProfile"}},
        ),
        (commands.ClearProfile(), "ClearChargingProfile", {}),
        (
            commands.RemoteStart(evse_id=1, id_token="T", remote_start_id=9),
            "RequestStartTransaction",
            {"idToken": {"idToken": "T", "type": "Central"}, "remoteStartId": 9, "evseId": 1},
        ),
        (
            commands.RemoteStop(transaction_id="tx-1"),
            "RequestStopTransaction",
            {"transactionId": "tx-1"},
        ),
        (
            commands.Trigger(message="MeterValues", evse_id=1),
            "TriggerMessage",
            {"requestedMessage": "MeterValues", "evse": {"id": 1}},
        ),
        (
            commands.Trigger(message="StatusNotification", evse_id=1),
            "TriggerMessage",
            {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}},
        ),
        (
            commands.Trigger(message="BootNotification"),
            "TriggerMessage",
            {"requestedMessage": "BootNotification"},
        ),
        (
            commands.ChangeAvailability(evse_id=0, operative=False),
            "ChangeAvailability",
            {"operationalStatus": "Inoperative"},
        ),
        (
            commands.ChangeAvailability(evse_id=1, operative=True),
            "ChangeAvailability",
            {"operationalStatus": "Operative", "evse": {"id": 1}},
        ),
        (commands.Reset(), "Reset", {"type": "OnIdle"}),
        (commands.Reset(immediate=True), "Reset", {"type": "Immediate"}),
        (
            commands.TransferData(vendor_id="v", message_id="m", data="d"),
            "DataTransfer",
            {"vendorId": "v", "messageId": "m", "data": "d"},
        ),
    ],
)
def test_a_command_is_one_call(
    desk: Desk, command: commands.Command, action: str, payload: Payload
) -> None:
    assert desk.sent(command) == (action, payload)


def test_unlocking(desk: Desk) -> None:
    sent = desk.sent(commands.Unlock(evse_id=2, connector_id=3), {"status": "Unlocked"})
    assert sent == ("UnlockConnector", {"evseId": 2, "connectorId": 3})


@pytest.mark.parametrize(
    ("command", "action", "payload"),
    [
        (
            commands.UpdateSetpoint(profile_id=1001, power_kw=-7.5),
            "UpdateDynamicSchedule",
            {"chargingProfileId": 1001, "scheduleUpdate": {"setpoint": -7500.0}},
        ),
        (
            commands.AllowTransfers(transaction_id="tx-1", transfers=("DC",)),
            "NotifyAllowedEnergyTransfer",
            {"transactionId": "tx-1", "allowedEnergyTransfer": ["DC"]},
        ),
    ],
)
def test_what_only_21_has(
    desk21: Desk, command: commands.Command, action: str, payload: Payload
) -> None:
    assert desk21.sent(command) == (action, payload)
    with pytest.raises(ProtocolError) as error:
        Desk(V201).sent(command)
    assert error.value.code == "NotSupported"


def test_a_refusal_keeps_its_reason(desk: Desk) -> None:
    refusal = {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidSchedule"}}
    answer = desk.do(charging(), Script(desk.version, default=refusal))
    assert answer == Answer(accepted=False, status="Rejected (InvalidSchedule)")


def test_a_composite_schedule_is_read_back(desk: Desk) -> None:
    schedule = {
        "evseId": 1,
        "duration": 600,
        "scheduleStart": "2026-01-05T12:00:00Z",
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7000}],
    }
    station = Script(
        desk.version, {"GetCompositeSchedule": {"status": "Accepted", "schedule": schedule}}
    )
    got = desk.do(commands.GetComposite(evse_id=1, duration_s=600), station)
    assert station.calls == [
        ("GetCompositeSchedule", {"evseId": 1, "duration": 600, "chargingRateUnit": "W"})
    ]
    assert got.steps == (SetpointStep(start_s=0, power_kw=7.0),)


def test_setpoints_of_a_composite_schedule_go_before_limits(desk21: Desk) -> None:
    schedule = {
        "evseId": 1,
        "duration": 600,
        "scheduleStart": "2026-01-05T12:00:00Z",
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": 11000, "setpoint": -5000},
            {"startPeriod": 60, "limit": 1000, "limit_L2": 2000, "limit_L3": 3000},
            {"startPeriod": 90, "operationMode": "Idle"},
        ],
    }
    station = Script(V21, {"GetCompositeSchedule": {"status": "Accepted", "schedule": schedule}})
    got = desk21.do(commands.GetComposite(evse_id=1, duration_s=600), station)
    assert [(s.start_s, s.power_kw) for s in got.steps] == [(0, -5.0), (60, 6.0)]


def test_a_refused_composite_schedule_has_no_steps(desk: Desk) -> None:
    station = Script(desk.version, {"GetCompositeSchedule": {"status": "Rejected"}})
    got = desk.do(commands.GetComposite(evse_id=1, duration_s=600), station)
    assert got == Answer(accepted=False, status="Rejected")


# -- variables --


def knows(values: dict[str, str]) -> dict[str, Any]:
    """A station's GetVariables and SetVariables over some variables."""

    def result(item: Payload, key: str) -> Payload:
        component, variable = item["component"], item["variable"]
        evse = component.get("evse")
        name = component["name"] + (f".{evse['id']}" if evse else "") + "." + variable["name"]
        name += f"[{variable['instance']}]" if "instance" in variable else ""
        known = name in values
        answer = {
            "component": component,
            "variable": variable,
            "attributeStatus": "Accepted" if known else "UnknownVariable",
        }
        return {**answer, "attributeValue": values[name]} if known and key == "get" else answer

    return {
        "GetVariables": lambda p: {
            "getVariableResult": [result(i, "get") for i in p["getVariableData"]]
        },
        "SetVariables": lambda p: {
            "setVariableResult": [result(i, "set") for i in p["setVariableData"]]
        },
    }


def test_variables_are_read_by_name_in_batches(desk: Desk) -> None:
    values = {f"C.{i}.V": str(i) for i in range(1, 7)} | {"D.X[Y]": "z"}
    station = Script(desk.version, knows(values))
    got = desk.do(commands.GetValues(names=(*values, "D.Unknown")), station)
    assert (got.accepted, got.values) == (True, values)
    assert [len(payload["getVariableData"]) for _, payload in station.calls] == [4, 4]
    assert station.calls[1][1]["getVariableData"][2] == {
        "component": {"name": "D"},
        "variable": {"name": "X", "instance": "Y"},
    }


def test_variables_are_written_by_name(desk: Desk) -> None:
    station = Script(desk.version, knows({"C.V": "1"}))
    got = desk.do(commands.SetValues(values={"C.V": "2"}), station)
    assert (got.accepted, got.values) == (True, {"C.V": "Accepted"})
    assert station.calls == [
        (
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "attributeValue": "2",
                        "component": {"name": "C"},
                        "variable": {"name": "V"},
                    }
                ]
            },
        )
    ]
    got = desk.do(commands.SetValues(values={"C.V": "2", "C.W": "3"}), station)
    assert (got.accepted, got.status) == (False, "UnknownVariable")
    assert got.values == {"C.V": "Accepted", "C.W": "UnknownVariable"}


@pytest.mark.parametrize("name", ["", "NoDot", "A.", ".B", "A.1.2.B", "A.B[", "A B[x]y.C[d"])
def test_a_name_that_is_none_is_refused_before_it_is_sent(desk: Desk, name: str) -> None:
    station = Script(desk.version, knows({}))
    with pytest.raises(ProtocolError):
        desk.do(commands.GetValues(names=(name,)), station)
    assert station.calls == []


def test_all_variables_are_those_that_are_probed(desk: Desk) -> None:
    known = {"SmartChargingCtrlr.RateUnit": "A,W"}
    got = desk.do(commands.GetValues(), Script(desk.version, knows(known)))
    assert got.values == known
