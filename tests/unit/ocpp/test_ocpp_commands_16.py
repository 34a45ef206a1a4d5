"""1.6J: the exact payload of every command, and how answers are read."""

from __future__ import annotations

from typing import Any

import pytest

from gridleaf.domain.errors import ProtocolError, RejectedByStation
from gridleaf.ocpp import commands
from gridleaf.ocpp.commands import Answer, SetpointStep
from ocpp_fakes import NOW, V16, Desk, FakeHost, Script


def profile(**change: Any) -> commands.SetProfile:
    fields: dict[str, Any] = {
        "evse_id": 2,
        "transaction_id": "4711",
        "profile_id": 1002,
        "stack_level": 1,
        "start": NOW,
        "expires_s": 600,
        "steps": (SetpointStep(start_s=0, power_kw=7.36, limit_a=32.0),),
        "rate_unit": "A",
        "phases": 1,
    }
    return commands.SetProfile(**{**fields, **change})


@pytest.fixture
def desk() -> Desk:
    return Desk(V16)


def test_a_profile_of_amperes_bounded_by_its_duration(desk: Desk) -> None:
    assert desk.sent(profile()) == (
        "SetChargingProfile",
        {
            "connectorId": 2,
            "csChargingProfiles": {
                "chargingProfileId": 1002,
                "transactionId": 4711,
                "stackLevel": 1,
                "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Absolute",
                "chargingSchedule": {
                    "duration": 600,
                    "startSchedule": "2026-01-05T12:00:00.000Z",
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [
                        {"startPeriod": 0, "limit": 32.0, "numberPhases": 1}
                    ],
                },
            },
        },
    )


def test_a_profile_of_watts_with_steps(desk: Desk) -> None:
    steps = (
        SetpointStep(start_s=0, power_kw=11.0),
        SetpointStep(start_s=300, power_kw=0.0),
    )
    _, payload = desk.sent(profile(rate_unit="W", phases=None, steps=steps))
    schedule = payload["csChargingProfiles"]["chargingSchedule"]
    assert schedule["chargingRateUnit"] == "W"
    assert schedule["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 11000.0},
        {"startPeriod": 300, "limit": 0.0},
    ]


def test_as_a_default_profile_it_names_no_transaction_and_ends_by_date(desk: Desk) -> None:
    _, payload = desk.sent(profile(purpose="tx_default"))
    sent = payload["csChargingProfiles"]
    assert sent["chargingProfilePurpose"] == "TxDefaultProfile"
    assert "transactionId" not in sent
    assert sent["validTo"] == "2026-01-05T12:10:00.000Z"


@pytest.mark.parametrize(
    ("via", "v2x", "limit"),
    [
        ("none", True, 0.0),
        ("ocpp21", True, 0.0),
        ("negative_limit", True, -7000.0),
        ("negative_limit", False, 0.0),
    ],
)
def test_a_limit_is_negative_only_where_the_site_file_says_so(
    via: Any, v2x: bool, limit: float
) -> None:
    desk = Desk(V16, FakeHost(discharge_via=via))
    steps = (SetpointStep(start_s=0, power_kw=-7.0),)
    _, payload = desk.sent(profile(rate_unit="W", phases=None, steps=steps, v2x=v2x))
    (period,) = payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
    assert period["limit"] == limit


def test_the_low_default_limit_has_begun_and_never_ends(desk: Desk) -> None:
    command = commands.SetDefaultLimit(
        evse_id=1,
        profile_id=2001,
        stack_level=0,
        limit_kw=1.38,
        limit_a=6.0,
        rate_unit="A",
        phases=1,
    )
    assert desk.sent(command) == (
        "SetChargingProfile",
        {
            "connectorId": 1,
            "csChargingProfiles": {
                "chargingProfileId": 2001,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Absolute",
                "chargingSchedule": {
                    "startSchedule": "2026-01-04T00:00:00.000Z",
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0, "numberPhases": 1}],
                },
            },
        },
    )


@pytest.mark.parametrize(
    ("command", "action", "payload"),
    [
        (commands.ClearProfile(profile_id=7), "ClearChargingProfile", {"id": 7}),
        (
            commands.ClearProfile(evse_id=1, purpose="tx_default"),
            "ClearChargingProfile",
            {"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile"},
        ),
        (commands.ClearProfile(), "ClearChargingProfile", {}),
        (
            commands.RemoteStart(evse_id=1, id_token="T", remote_start_id=9),
            "RemoteStartTransaction",
            {"connectorId": 1, "idTag": "T"},
        ),
        (
            commands.RemoteStop(transaction_id="4711"),
            "RemoteStopTransaction",
            {"transactionId": 4711},
        ),
        (
            commands.Trigger(message="MeterValues", evse_id=1),
            "TriggerMessage",
            {"requestedMessage": "MeterValues", "connectorId": 1},
        ),
        (
            commands.Trigger(message="TransactionEvent"),
            "TriggerMessage",
            {"requestedMessage": "MeterValues"},
        ),
        (
            commands.Trigger(message="LogStatusNotification"),
            "TriggerMessage",
            {"requestedMessage": "DiagnosticsStatusNotification"},
        ),
        (
            commands.ChangeAvailability(evse_id=0, operative=False),
            "ChangeAvailability",
            {"connectorId": 0, "type": "Inoperative"},
        ),
        (
            commands.ChangeAvailability(evse_id=1, operative=True),
            "ChangeAvailability",
            {"connectorId": 1, "type": "Operative"},
        ),
        (commands.Reset(), "Reset", {"type": "Soft"}),
        (commands.Reset(immediate=True), "Reset", {"type": "Hard"}),
        (
            commands.TransferData(vendor_id="v", message_id="m", data="d"),
            "DataTransfer",
            {"vendorId": "v", "messageId": "m", "data": "d"},
        ),
        (commands.TransferData(vendor_id="v"), "DataTransfer", {"vendorId": "v"}),
    ],
)
def test_a_command_is_one_call(
    desk: Desk, command: commands.Command, action: str, payload: dict[str, Any]
) -> None:
    assert desk.sent(command) == (action, payload)


def test_unlocking(desk: Desk) -> None:
    sent = desk.sent(commands.Unlock(evse_id=2), {"status": "Unlocked"})
    assert sent == ("UnlockConnector", {"connectorId": 2})


@pytest.mark.parametrize(
    ("command", "status", "accepted"),
    [
        (commands.Reset(), "Accepted", True),
        (commands.Reset(), "Rejected", False),
        (commands.ChangeAvailability(evse_id=1, operative=True), "Scheduled", True),
        (commands.Unlock(evse_id=1), "Unlocked", True),
        (commands.Unlock(evse_id=1), "UnlockFailed", False),
        (commands.ClearProfile(profile_id=1), "Unknown", False),
        (commands.Trigger(message="Heartbeat"), "NotImplemented", False),
    ],
)
def test_only_an_accepting_status_is_accepted(
    desk: Desk, command: commands.Command, status: str, accepted: bool
) -> None:
    answer = desk.do(command, Script(V16, default={"status": status}))
    assert answer == Answer(accepted=accepted, status=status)


@pytest.mark.parametrize(
    "command",
    [
        commands.UpdateSetpoint(profile_id=1, power_kw=1.0),
        commands.AllowTransfers(transaction_id="1", transfers=("DC",)),
    ],
)
def test_what_16_does_not_have_is_not_supported(desk: Desk, command: commands.Command) -> None:
    with pytest.raises(ProtocolError) as error:
        desk.sent(command)
    assert error.value.code == "NotSupported"


def test_a_transaction_id_of_another_version_is_refused_before_it_is_sent(desk: Desk) -> None:
    with pytest.raises(ProtocolError):
        desk.sent(commands.RemoteStop(transaction_id="a3f0"))


def test_a_callerror_reaches_whoever_gave_the_command(desk: Desk) -> None:
    with pytest.raises(RejectedByStation):
        desk.do(commands.Reset(), Script(V16))


def test_a_composite_schedule_is_read_back(desk: Desk) -> None:
    answer = {
        "status": "Accepted",
        "connectorId": 1,
        "scheduleStart": "2026-01-05T12:00:00Z",
        "chargingSchedule": {
            "duration": 600,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [
                {"startPeriod": 0, "limit": 16.0},
                {"startPeriod": 60, "limit": 10.0, "numberPhases": 1},
            ],
        },
    }
    station = Script(V16, {"GetCompositeSchedule": answer})
    command = commands.GetComposite(evse_id=1, duration_s=600, rate_unit="A")
    got = desk.do(command, station)
    assert station.calls == [
        ("GetCompositeSchedule", {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"})
    ]
    assert got.accepted
    assert got.steps == (
        SetpointStep(start_s=0, power_kw=pytest.approx(11.04), limit_a=16.0),
        SetpointStep(start_s=60, power_kw=pytest.approx(2.3), limit_a=10.0),
    )


def test_accepted_without_a_schedule_is_an_empty_one(desk: Desk) -> None:
    station = Script(V16, {"GetCompositeSchedule": {"status": "Accepted"}})
    got = desk.do(commands.GetComposite(evse_id=1, duration_s=60), station)
    assert got == Answer(accepted=True, status="Accepted")


def test_configuration_keys_are_read(desk: Desk) -> None:
    answer = {
        "configurationKey": [
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
            {"key": "Empty", "readonly": True},
        ],
        "unknownKey": ["Nonsense"],
    }
    station = Script(V16, {"GetConfiguration": answer})
    names = ("HeartbeatInterval", "Empty", "Nonsense")
    got = desk.do(commands.GetValues(names=names), station)
    assert station.calls == [("GetConfiguration", {"key": list(names)})]
    assert got.values == {"HeartbeatInterval": "300", "Empty": ""}


def test_no_keys_are_all_keys(desk: Desk) -> None:
    assert desk.sent(commands.GetValues(), {"configurationKey": []}) == ("GetConfiguration", {})


def test_configuration_keys_are_written_one_by_one(desk: Desk) -> None:
    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": {"A": "Accepted", "B": "RebootRequired"}.get(payload["key"], "Rejected")}

    station = Script(V16, {"ChangeConfiguration": answer})
    got = desk.do(commands.SetValues(values={"A": "1", "B": "2"}), station)
    assert (got.accepted, got.values) == (True, {"A": "Accepted", "B": "RebootRequired"})
    got = desk.do(commands.SetValues(values={"A": "1", "C": "2"}), station)
    assert (got.accepted, got.status) == (False, "Rejected")
