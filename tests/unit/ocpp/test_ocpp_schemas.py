"""The official schemas as data."""

from __future__ import annotations

import pytest
from ocpp import exceptions

from gridleaf.ocpp import endpoint, schemas
from ocpp_fakes import V16, V21, V201


@pytest.mark.parametrize(("version", "count"), [(V16, 39), (V201, 64), (V21, 90)])
def test_every_action_of_a_version_is_known(version: str, count: int) -> None:
    assert len(schemas.actions(version)) == count


def test_only_21_sends_and_only_the_event_stream() -> None:
    assert schemas.sendable(V16) == schemas.sendable(V201) == frozenset()
    assert schemas.sendable(V21) == {"NotifyPeriodicEventStream"}
    assert "NotifyPeriodicEventStream" not in schemas.actions(V21)


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_every_schema_compiles_in_both_directions(version: str) -> None:
    for action in schemas.actions(version):
        for direction in ("request", "response"):
            schemas.violation(version, action, direction, {})


def test_timestamps_are_left_to_the_semantic_rules() -> None:
    payload = {"type": "x", "timestamp": "yesterday"}
    assert schemas.violation(V16, "SecurityEventNotification", "request", payload) is None


@pytest.mark.parametrize("limit", [0, 0.1, 6.7, 16.1, 21.4, 7400.1, 11000.7])
def test_one_decimal_is_a_multiple_of_a_tenth(limit: float) -> None:
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        },
    }
    payload = {"connectorId": 1, "csChargingProfiles": profile}
    assert schemas.violation(V16, "SetChargingProfile", "request", payload) is None


def test_several_violations_are_all_reported_by_their_path() -> None:
    error = schemas.violation(V16, "Authorize", "request", {"idToken": "x"})
    assert error is not None
    assert "idTag" in error.description
    assert "idToken" in error.description


def test_the_43_names_that_other_codecs_lose_pass_unchanged() -> None:
    period = {
        "startPeriod": 0,
        "limit": 1.0,
        "limit_L2": 2.0,
        "limit_L3": 3.0,
        "dischargeLimit_L2": -1.0,
        "setpoint_L3": -2.0,
        "setpointReactive_L2": 0.0,
    }
    schedule = {
        "id": 1,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [period],
        "limitAtSoC": {"soc": 80, "limit": 5.0},
    }
    payload = {"evseId": 1, "timeBase": "2026-01-05T12:00:00Z", "chargingSchedule": schedule}
    assert schemas.violation(V21, "NotifyEVChargingSchedule", "request", payload) is None


def test_the_codes_are_those_that_the_field_knows() -> None:
    known = {
        error.code
        for error in vars(exceptions).values()
        if isinstance(error, type) and hasattr(error, "code")
    }
    ours = {*schemas._CODES.values(), "PropertyConstraintViolation", *endpoint._CODES_16.values()}
    ours |= {"NotImplemented", "NotSupported", "InternalError", "ProtocolError"}
    assert ours <= known


def test_a_positive_discharge_limit_is_refused_by_the_schema() -> None:
    payload = {"chargingProfileId": 1, "scheduleUpdate": {"dischargeLimit": 5.0}}
    error = schemas.violation(V21, "UpdateDynamicSchedule", "request", payload)
    assert error is not None
    assert error.code == "PropertyConstraintViolation"
