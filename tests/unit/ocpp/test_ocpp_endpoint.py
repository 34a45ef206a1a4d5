"""The endpoint: frames in, decisions and frames out."""

from __future__ import annotations

import orjson
import pytest

from gridleaf.domain.errors import ProtocolError, RejectedByStation
from gridleaf.ocpp.endpoint import Endpoint, Incoming, Refusal, Settled
from ocpp_fakes import V16, V21, V201

VERSIONS = (V16, V201, V21)
HEARTBEAT = '[2,"m1","Heartbeat",{}]'
NOW = {"currentTime": "2026-01-05T12:00:00Z"}


def refused(endpoint: Endpoint, frame: str, now: float = 0.0) -> list[object]:
    outcome = endpoint.receive(frame, now)
    assert isinstance(outcome, Refusal)
    assert outcome.reply is not None
    reply: list[object] = orjson.loads(outcome.reply)
    assert reply[0] == 4
    assert len(reply) == 5
    return reply


def incoming(endpoint: Endpoint, frame: str) -> Incoming:
    outcome = endpoint.receive(frame, 0.0)
    assert isinstance(outcome, Incoming)
    return outcome


@pytest.mark.parametrize("version", VERSIONS)
def test_a_valid_call_is_handed_over_and_answered(version: str) -> None:
    endpoint = Endpoint(version)
    call = incoming(endpoint, HEARTBEAT)
    assert (call.message_id, call.action, call.payload) == ("m1", "Heartbeat", {})
    assert orjson.loads(endpoint.answer(call, NOW)) == [3, "m1", NOW]


def test_an_unknown_subprotocol_is_no_endpoint() -> None:
    with pytest.raises(ValueError, match=r"ocpp1\.5"):
        Endpoint("ocpp1.5")


def test_an_answer_of_ours_that_breaks_the_schema_never_leaves() -> None:
    endpoint = Endpoint(V201)
    call = incoming(endpoint, HEARTBEAT)
    with pytest.raises(ValueError, match="currentTime"):
        endpoint.answer(call, {})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_call_of_ours_that_breaks_the_schema_is_never_sent(version: str) -> None:
    with pytest.raises(ProtocolError) as error:
        Endpoint(version).call("1", "Reset", {"type": "Sideways"})
    assert error.value.code == "PropertyConstraintViolation"


def test_a_call_of_another_version_is_never_sent() -> None:
    with pytest.raises(ProtocolError) as error:
        Endpoint(V201).call("1", "UpdateDynamicSchedule", {})
    assert error.value.code == "NotImplemented"


def test_only_one_call_is_outstanding() -> None:
    endpoint = Endpoint(V16)
    endpoint.call("1", "ClearCache", {})
    with pytest.raises(RuntimeError):
        endpoint.call("2", "ClearCache", {})
    assert isinstance(endpoint.receive('[3,"1",{"status":"Accepted"}]', 0.0), Settled)
    endpoint.call("2", "ClearCache", {})


def test_our_message_ids_have_at_most_36_characters() -> None:
    with pytest.raises(ValueError, match="36"):
        Endpoint(V16).call("x" * 37, "ClearCache", {})


def test_an_abandoned_call_makes_room_and_its_late_answer_is_counted() -> None:
    endpoint = Endpoint(V16)
    endpoint.call("1", "ClearCache", {})
    endpoint.abandon("1")
    endpoint.call("2", "ClearCache", {})
    assert endpoint.receive('[3,"1",{"status":"Accepted"}]', 0.0) is None
    assert endpoint.counters["unsolicited"] == 1
    settled = endpoint.receive('[3,"2",{"status":"Accepted"}]', 0.0)
    assert settled == Settled("2", {"status": "Accepted"})


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('[4,"1","NotSupported","no",{}]', "NotSupported"),
        ('[4,"1","NotSupported"]', "NotSupported"),
        ('[4,"1"]', "GenericError"),
        ('[4,"1","",""]', "GenericError"),
    ],
)
def test_a_callerror_settles_the_call_however_short_it_is(frame: str, code: str) -> None:
    endpoint = Endpoint(V16)
    endpoint.call("1", "ClearCache", {})
    settled = endpoint.receive(frame, 0.0)
    assert isinstance(settled, Settled)
    assert isinstance(settled.outcome, RejectedByStation)
    assert (settled.outcome.action, settled.outcome.code) == ("ClearCache", code)


@pytest.mark.parametrize(
    ("version", "answered"), [(V16, False), (V201, False), (V21, True)], ids=str
)
def test_an_invalid_result_rejects_the_call_and_21_is_told(version: str, answered: bool) -> None:
    endpoint = Endpoint(version)
    endpoint.call("1", "ClearCache", {})
    settled = endpoint.receive('[3,"1",{"status":"Perhaps"}]', 0.0)
    assert isinstance(settled, Settled)
    assert isinstance(settled.outcome, RejectedByStation)
    assert settled.outcome.code == "PropertyConstraintViolation"
    assert "status" in settled.outcome.description
    if answered:
        assert settled.reply is not None
        assert orjson.loads(settled.reply)[:3] == [5, "1", "PropertyConstraintViolation"]
    else:
        assert settled.reply is None
    endpoint.call("2", "ClearCache", {})


def test_a_result_that_is_no_object_rejects_the_call() -> None:
    endpoint = Endpoint(V16)
    endpoint.call("1", "ClearCache", {})
    settled = endpoint.receive('[3,"1"]', 0.0)
    assert isinstance(settled, Settled)
    assert isinstance(settled.outcome, RejectedByStation)
    assert settled.outcome.code == "FormatViolation"


def test_an_answer_is_never_answered_with_a_callerror() -> None:
    endpoint = Endpoint(V201)
    for frame in ("[3,5,{}]", '[4,null,"x","",{}]', '[3,"","x"]'):
        outcome = endpoint.receive(frame, 0.0)
        assert outcome == Refusal(None)


STREAM = '{"id":1,"pending":0,"basetime":"2026-01-05T12:00:00Z","data":[{"t":0,"v":"1"}]}'


def test_a_send_of_21_is_served_and_not_answered() -> None:
    endpoint = Endpoint(V21)
    send = incoming(endpoint, f'[6,"s1","NotifyPeriodicEventStream",{STREAM}]')
    assert send.is_send
    assert endpoint.counters["sends"] == 1


@pytest.mark.parametrize(
    "frame",
    [
        '[6,"s1","NotifyPeriodicEventStream",{}]',
        '[6,"s1","Heartbeat",{}]',
        '[6,"s1","Nonsense",{}]',
    ],
)
def test_a_bad_send_is_dropped_without_an_answer(frame: str) -> None:
    endpoint = Endpoint(V21)
    assert endpoint.receive(frame, 0.0) is None
    assert endpoint.counters["invalid"] == 1


@pytest.mark.parametrize(
    "frame", ['[6,"s1","NotifyPeriodicEventStream"]', '[6,"s1",[],{}]', '[6,"s1","x",[]]']
)
def test_a_send_with_the_wrong_shape_is_a_strike_without_an_answer(frame: str) -> None:
    endpoint = Endpoint(V21)
    assert endpoint.receive(frame, 0.0) == Refusal(None)
    assert endpoint.counters["malformed"] == 1


def test_a_stream_cannot_be_called_only_sent() -> None:
    reply = refused(Endpoint(V21), f'[2,"s1","NotifyPeriodicEventStream",{STREAM}]')
    assert reply[2] == "NotImplemented"
    assert orjson.loads(
        Endpoint(V21).send("s1", "NotifyPeriodicEventStream", orjson.loads(STREAM))
    ) == [6, "s1", "NotifyPeriodicEventStream", orjson.loads(STREAM)]
    with pytest.raises(ProtocolError):
        Endpoint(V201).send("s1", "NotifyPeriodicEventStream", orjson.loads(STREAM))


def test_a_callresulterror_of_21_is_counted() -> None:
    endpoint = Endpoint(V21)
    assert endpoint.receive('[5,"m1","FormatViolation","",{}]', 0.0) is None
    assert endpoint.counters["result_errors"] == 1


@pytest.mark.parametrize("kind", [5, 6])
def test_the_message_types_of_21_are_unknown_to_201(kind: int) -> None:
    reply = refused(Endpoint(V201), f'[{kind},"m1","NotifyPeriodicEventStream",{STREAM}]')
    assert reply[1:3] == ["m1", "MessageTypeNotSupported"]


def test_an_internal_error_is_not_remembered_so_that_the_same_call_can_succeed() -> None:
    endpoint = Endpoint(V201)
    call = incoming(endpoint, HEARTBEAT)
    endpoint.refuse(call, ProtocolError("InternalError", "later"))
    assert endpoint.remembered(call) is None
    answer = endpoint.answer(call, NOW)
    assert endpoint.remembered(incoming(endpoint, HEARTBEAT)) == answer


def test_a_reused_id_with_another_content_is_another_call() -> None:
    endpoint = Endpoint(V201)
    endpoint.answer(incoming(endpoint, HEARTBEAT), NOW)
    other = incoming(endpoint, '[2,"m1","Heartbeat",{"customData":{"vendorId":"x"}}]')
    assert endpoint.remembered(other) is None


def test_the_memory_of_answers_is_bounded() -> None:
    endpoint = Endpoint(V201, remember=2)
    calls = [incoming(endpoint, f'[2,"m{i}","Heartbeat",{{}}]') for i in range(3)]
    for call in calls:
        endpoint.answer(call, NOW)
    assert endpoint.remembered(calls[0]) is None
    assert endpoint.remembered(calls[1]) is not None
    assert endpoint.remembered(calls[2]) is not None


def test_an_error_description_has_at_most_255_characters() -> None:
    endpoint = Endpoint(V201)
    call = incoming(endpoint, HEARTBEAT)
    reply = orjson.loads(endpoint.refuse(call, ProtocolError("SecurityError", "x" * 300)))
    assert len(reply[3]) == 255
