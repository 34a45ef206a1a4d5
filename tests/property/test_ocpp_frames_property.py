"""Whatever comes in a frame: the endpoint answers in the dialect of its version or not at all."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.ocpp.endpoint import Endpoint, Incoming, Refusal, Settled
from ocpp_fakes import V16, V21, V201

CODES = {
    V16: {
        "FormationViolation", "PropertyConstraintViolation", "OccurenceConstraintViolation",
        "TypeConstraintViolation", "ProtocolError", "NotImplemented",
    },
    V201: {
        "FormatViolation", "PropertyConstraintViolation", "OccurrenceConstraintViolation",
        "TypeConstraintViolation", "RpcFrameworkError", "MessageTypeNotSupported",
        "NotImplemented",
    },
}  # fmt: skip
CODES[V21] = CODES[V201]

STAMP = "2026-01-05T12:00:00Z"
SAMPLE = {"value": 1.5, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W"}}
CORPUS: list[list[Any]] = [
    [2, "m1", "Heartbeat", {}],
    [2, "m2", "MeterValues", {"evseId": 1, "meterValue": [{"timestamp": STAMP, "sampledValue": [SAMPLE]}]}],
    [2, "m3", "MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": STAMP, "sampledValue": [{"value": "1"}]}]}],
    [2, "m4", "TransactionEvent", {"eventType": "Started", "timestamp": STAMP, "triggerReason": "Authorized",
                                   "seqNo": 0, "transactionInfo": {"transactionId": "t"}, "evse": {"id": 1}}],
    [2, "m5", "StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": STAMP}],
    [2, "m6", "NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": {
        "requestedEnergyTransfer": "DC_BPT", "v2xChargingParameters": {"maxDischargePower": -5000}}}],
    [3, "c1", {"status": "Accepted"}],
    [4, "c1", "InternalError", "", {}],
    [5, "c1", "InternalError", "", {}],
    [6, "s1", "NotifyPeriodicEventStream", {"id": 1, "pending": 0, "basetime": STAMP, "data": [{"t": 0, "v": "1"}]}],
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=40)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A frame of the corpus with one place of it changed, removed or added to; then its text."""
    message = json.loads(json.dumps(draw(st.sampled_from(CORPUS))))
    for _ in range(draw(st.integers(0, 3))):
        place: Any = message
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and draw(st.booleans()):
                place = inner
                continue
            match draw(st.integers(0, 2)):
                case 0:
                    place[key] = draw(values)
                case 1:
                    del place[key]
                case _ if isinstance(place, dict):
                    place[draw(st.text(max_size=8))] = draw(values)
                case _:
                    place.append(draw(values))
            break
    text = json.dumps(message)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    return text


def check(version: str, frame: str) -> None:
    endpoint = Endpoint(version)
    endpoint.call("c1", "ClearCache", {})
    outcome = endpoint.receive(frame, 0.0)
    assert outcome is None or isinstance(outcome, Incoming | Settled | Refusal)
    if isinstance(outcome, Incoming):
        message = orjson.loads(frame)
        assert [message[1], message[2], message[3]] == [
            outcome.message_id,
            outcome.action,
            outcome.payload,
        ]
        assert message[0] == (6 if outcome.is_send else 2)
    if isinstance(outcome, Refusal) and outcome.reply is not None:
        kind, message_id, code, description, details = orjson.loads(outcome.reply)
        assert kind == 4
        assert code in CODES[version]
        assert len(description) <= 255
        assert details == {}
        if message_id != "-1":
            assert message_id == orjson.loads(frame)[1]


@settings(max_examples=400, deadline=None)
@given(version=st.sampled_from([V16, V201, V21]), frame=mutated())
def test_a_mutated_frame_never_raises_and_gets_the_right_class_of_error(
    version: str, frame: str
) -> None:
    check(version, frame)


@settings(max_examples=200, deadline=None)
@given(version=st.sampled_from([V16, V201, V21]), frame=st.text(max_size=200))
def test_any_text_never_raises(version: str, frame: str) -> None:
    check(version, frame)


@settings(max_examples=100, deadline=None)
@given(
    version=st.sampled_from([V16, V201, V21]),
    depth=st.integers(0, 1100),
    brackets=st.sampled_from([("[", "]"), ('{"a":', "}")]),
)
def test_any_depth_of_nesting_never_raises(
    version: str, depth: int, brackets: tuple[str, str]
) -> None:
    inner = brackets[0] * depth + "1" + brackets[1] * depth
    check(version, f'[2,"m1","DataTransfer",{{"vendorId":"v","data":{inner}}}]')


@settings(max_examples=100, deadline=None)
@given(frames=st.lists(mutated(), max_size=30))
def test_any_number_of_frames_leaves_the_endpoint_able_to_serve(frames: list[str]) -> None:
    endpoint = Endpoint(V21)
    for frame in frames:
        endpoint.receive(frame, 0.0)
    served = endpoint.receive('[2,"last","Heartbeat",{}]', 0.0)
    assert isinstance(served, Incoming)
    endpoint.call("after", "ClearCache", {})
