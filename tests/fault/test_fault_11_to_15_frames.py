"""Faults 11 to 15 of section B: what may come in a frame (the endpoint alone)."""

from __future__ import annotations

import json

import orjson
import pytest

from gridleaf.ocpp.endpoint import MAX_DEPTH, Endpoint, Incoming, Refusal
from ocpp_fakes import V16, V21, V201

VERSIONS = (V16, V201, V21)


def error(endpoint: Endpoint, frame: str) -> tuple[str, str, str]:
    """Message id, code and description of the CALLERROR a frame gets."""
    outcome = endpoint.receive(frame, 0.0)
    assert isinstance(outcome, Refusal), outcome
    assert outcome.reply is not None
    kind, message_id, code, description, details = orjson.loads(outcome.reply)
    assert (kind, details) == (4, {})
    return message_id, code, description


UNREADABLE = ("", "{", "nonsense", "{}", "[]", "[2]", "null", "1", '"[2]"', '[2,5,"Heartbeat",{}]',
              '[2,"","Heartbeat",{}]', '[2,null,"Heartbeat",{}]', f'[2,"{"x" * 37}","Heartbeat",{{}}]')  # fmt: skip


@pytest.mark.parametrize("frame", UNREADABLE)
@pytest.mark.parametrize("version", VERSIONS)
def test_fault_11_a_frame_whose_id_cannot_be_read(version: str, frame: str) -> None:
    message_id, code, _ = error(Endpoint(version), frame)
    assert message_id == "-1"
    assert code == ("FormationViolation" if version == V16 else "RpcFrameworkError")


@pytest.mark.parametrize(
    ("frame", "code_16", "code_2"),
    [
        ('[2,"m1","Heartbeat"]', "FormationViolation", "RpcFrameworkError"),
        ('[2,"m1","Heartbeat",{},{}]', "FormationViolation", "RpcFrameworkError"),
        ('[2,"m1",7,{}]', "FormationViolation", "RpcFrameworkError"),
        ('[2,"m1","Heartbeat",[]]', "FormationViolation", "FormatViolation"),
        ('[2,"m1","Heartbeat",null]', "FormationViolation", "FormatViolation"),
        ('[7,"m1","Heartbeat",{}]', "ProtocolError", "MessageTypeNotSupported"),
        ('["2","m1","Heartbeat",{}]', "ProtocolError", "MessageTypeNotSupported"),
        ('[true,"m1","Heartbeat",{}]', "ProtocolError", "MessageTypeNotSupported"),
        ('[2.5,"m1","Heartbeat",{}]', "ProtocolError", "MessageTypeNotSupported"),
    ],
)
def test_fault_11_a_frame_of_the_wrong_shape(frame: str, code_16: str, code_2: str) -> None:
    assert error(Endpoint(V16), frame)[:2] == ("m1", code_16)
    for version in (V201, V21):
        assert error(Endpoint(version), frame)[:2] == ("m1", code_2)


def strikes(endpoint: Endpoint, times: list[float]) -> list[bool]:
    outcomes = [endpoint.receive("nonsense", now) for now in times]
    assert all(isinstance(o, Refusal) for o in outcomes)
    return [o.close for o in outcomes if isinstance(o, Refusal)]


def test_fault_11_ten_strikes_in_sixty_seconds_end_the_connection() -> None:
    assert strikes(Endpoint(V201), [6.0 * i for i in range(9)]) == [False] * 9
    assert strikes(Endpoint(V201), [6.0 * i for i in range(9)] + [60.0])[-1] is True


def test_fault_11_nine_strikes_in_sixty_seconds_do_not() -> None:
    assert not any(strikes(Endpoint(V201), [7.0 * i for i in range(100)]))


def test_fault_11_an_invalid_payload_is_no_strike() -> None:
    endpoint = Endpoint(V16)
    for i in range(50):
        outcome = endpoint.receive(f'[2,"{i}","BootNotification",{{}}]', 0.0)
        assert isinstance(outcome, Refusal)
        assert not outcome.close
    assert endpoint.counters["malformed"] == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_fault_12_a_frame_beyond_the_cap_is_not_even_parsed(version: str) -> None:
    padding = "x" * (256 * 1024)
    frame = json.dumps([2, "m1", "Heartbeat", {"customData": {"vendorId": padding}}])
    assert error(Endpoint(version), frame)[0] == "-1"


def test_fault_12_the_cap_is_sharp() -> None:
    frame = '[2,"m1","Heartbeat",{}]'
    assert isinstance(Endpoint(V16, max_frame=len(frame)).receive(frame, 0.0), Incoming)
    assert isinstance(Endpoint(V16, max_frame=len(frame) - 1).receive(frame, 0.0), Refusal)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 10_000])
@pytest.mark.parametrize("version", [V201, V21])
def test_fault_12_numbers_that_are_none_never_reach_arithmetic(version: str, number: str) -> None:
    frame = (
        '[2,"m1","MeterValues",{"evseId":1,"meterValue":[{"timestamp":"2026-01-05T12:00:00Z",'
        f'"sampledValue":[{{"value":{number}}}]}}]}}]'
    )
    assert error(Endpoint(version), frame)[:2] == ("-1", "RpcFrameworkError")


def test_fault_12_deep_nesting_is_refused() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert error(Endpoint(V201), deep)[1] == "RpcFrameworkError"
    wrapped = '{"a":' * 500 + "1" + "}" * 500
    assert error(Endpoint(V201), f'[2,"m1","Heartbeat",{wrapped}]')[1] == "RpcFrameworkError"


def test_fault_12_the_cap_on_nesting_is_sharp_and_a_long_flat_frame_is_not_deep() -> None:
    def frame(depth: int) -> str:
        inner = "[" * depth + "]" * depth
        return f'[2,"m1","DataTransfer",{{"vendorId":"v","data":{inner}}}]'

    assert isinstance(Endpoint(V201).receive(frame(MAX_DEPTH - 2), 0.0), Incoming)
    assert isinstance(Endpoint(V201).receive(frame(MAX_DEPTH - 1), 0.0), Refusal)
    flat = '[2,"m1","DataTransfer",{"vendorId":"v","data":[' + "[]," * 1000 + "[]]}]"
    assert isinstance(Endpoint(V201).receive(flat, 0.0), Incoming)


def test_fault_12_a_million_samples_do_not_fit() -> None:
    frame = '[2,"m1","MeterValues",{"x":[' + "0," * 1_000_000 + "0]}]"
    assert error(Endpoint(V16), frame)[1] == "FormationViolation"


def test_fault_12_integers_beyond_64_bits_are_no_integers_of_ours() -> None:
    endpoint = Endpoint(V16)
    frame = (
        '[2,"m1","MeterValues",{"connectorId":1,"transactionId":1'
        + "0" * 60
        + (',"meterValue":[{"timestamp":"2026-01-05T12:00:00Z","sampledValue":[{"value":"1"}]}]}]')
    )
    outcome = endpoint.receive(frame, 0.0)
    assert isinstance(outcome, Incoming | Refusal)


@pytest.mark.parametrize(
    ("version", "action", "code"),
    [
        (V16, "Nonsense", "NotImplemented"),
        (V16, "TransactionEvent", "NotImplemented"),
        (V16, "UpdateDynamicSchedule", "NotImplemented"),
        (V201, "StartTransaction", "NotImplemented"),
        (V201, "UpdateDynamicSchedule", "NotImplemented"),
        (V201, "NotifyDERAlarm", "NotImplemented"),
        (V21, "StartTransaction", "NotImplemented"),
        (V21, "", "NotImplemented"),
    ],
)
def test_fault_13_an_action_that_the_version_does_not_have(
    version: str, action: str, code: str
) -> None:
    assert error(Endpoint(version), f'[2,"m1","{action}",{{}}]')[:2] == ("m1", code)


def test_fault_13_an_action_of_21_is_recognised_under_21() -> None:
    frame = '[2,"m1","PullDynamicScheduleUpdate",{"chargingProfileId":1}]'
    assert isinstance(Endpoint(V21).receive(frame, 0.0), Incoming)


def test_fault_13_the_negotiated_version_decides_which_schema_holds() -> None:
    boot_201 = '{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}'
    boot_16 = '{"chargePointVendor":"v","chargePointModel":"m"}'
    for payload, versions in ((boot_201, (V201, V21)), (boot_16, (V16,))):
        for version in VERSIONS:
            outcome = Endpoint(version).receive(f'[2,"m1","BootNotification",{payload}]', 0.0)
            assert isinstance(outcome, Incoming) == (version in versions)


@pytest.mark.parametrize(
    ("payload", "code_16", "path"),
    [
        ('{"idTag":"A","z":1}', "FormationViolation", "payload"),
        ("{}", "OccurenceConstraintViolation", "idTag"),
        ('{"idTag":"123456789012345678901"}', "PropertyConstraintViolation", "idTag"),
        ('{"idTag":5}', "TypeConstraintViolation", "idTag"),
        ('{"idTag":null}', "TypeConstraintViolation", "idTag"),
    ],
)
def test_fault_14_a_field_that_is_wrong_in_16(payload: str, code_16: str, path: str) -> None:
    _, code, description = error(Endpoint(V16), f'[2,"m1","Authorize",{payload}]')
    assert code == code_16
    assert path in description


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"extra": 1}, "FormatViolation", "extra"),
        ({"connectorStatus": None}, "TypeConstraintViolation", "connectorStatus"),
        ({"connectorStatus": "Melted"}, "PropertyConstraintViolation", "connectorStatus"),
        ({"evseId": "1"}, "TypeConstraintViolation", "evseId"),
        ({"customData": {"vendorId": "v" * 256}}, "PropertyConstraintViolation", "customData.vendorId"),
        ({"customData": {}}, "OccurrenceConstraintViolation", "vendorId"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", [V201, V21])
def test_fault_14_a_field_that_is_wrong_in_2x(
    version: str, change: dict[str, object], code: str, path: str
) -> None:
    payload = {
        "timestamp": "2026-01-05T12:00:00Z",
        "connectorStatus": "Available",
        "evseId": 1,
        "connectorId": 1,
        **change,
    }
    frame = json.dumps([2, "m1", "StatusNotification", payload])
    message_id, got, description = error(Endpoint(version), frame)
    assert (message_id, got) == ("m1", code)
    assert path in description


def test_fault_14_the_path_leads_into_lists() -> None:
    frame = (
        '[2,"m1","MeterValues",{"evseId":1,"meterValue":[{"timestamp":"2026-01-05T12:00:00Z",'
        '"sampledValue":[{"value":1},{"value":"x"}]}]}]'
    )
    _, code, description = error(Endpoint(V201), frame)
    assert code == "TypeConstraintViolation"
    assert "meterValue[0].sampledValue[1].value" in description


def test_fault_14_an_empty_list_violates_its_occurrence() -> None:
    _, code, _ = error(Endpoint(V201), '[2,"m1","MeterValues",{"evseId":1,"meterValue":[]}]')
    assert code == "OccurrenceConstraintViolation"


@pytest.mark.parametrize("version", VERSIONS)
def test_fault_15_unsolicited_results_are_ignored_and_counted(version: str) -> None:
    endpoint = Endpoint(version)
    assert endpoint.receive('[3,"m9",{"status":"Accepted"}]', 0.0) is None
    assert endpoint.receive('[4,"m9","InternalError","",{}]', 0.0) is None
    assert endpoint.counters["unsolicited"] == 2
    assert endpoint.counters["malformed"] == 0
