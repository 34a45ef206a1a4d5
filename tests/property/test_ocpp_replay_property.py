"""Replaying messages changes nothing: invariant 8 of the protocol, for every version."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.domain.events import TransactionReported
from ocpp_fakes import NOW, V16, V21, V201, Desk, FakeHost, FakeStore, stamp


def message(kind: str, transaction: int, seq_no: int) -> tuple[str, dict[str, Any]]:
    at = stamp(NOW - timedelta(hours=1) + timedelta(minutes=seq_no))
    payload = {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq_no,
        "transactionInfo": {"transactionId": f"tx-{transaction}"},
        "meterValue": [{"timestamp": at, "sampledValue": [{"value": 100 * seq_no}]}],
    }
    return "TransactionEvent", payload


messages_2 = st.lists(
    st.builds(
        message,
        st.sampled_from(["Started", "Updated", "Ended"]),
        st.integers(1, 2),
        st.integers(0, 6),
    ),
    max_size=12,
)


def play(desks: list[Desk], messages: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        return [
            await desks[i % len(desks)].ask_async(action, payload)
            for i, (action, payload) in enumerate(messages)
        ]

    return asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(version=st.sampled_from([V201, V21]), messages=messages_2, data=st.data())
def test_replaying_any_prefix_of_2x_gives_the_same_rows(
    version: str, messages: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    once, twice = FakeStore(), FakeStore()
    play([Desk(version, FakeHost(store=once))], messages)
    prefix = messages[: data.draw(st.integers(0, len(messages)))]
    desks = [Desk(version, FakeHost(store=twice)) for _ in range(2)]
    play(desks, [*prefix, *messages])
    assert [_row(e) for e in once.events] == [_row(e) for e in twice.events]


def _row(event: Any) -> tuple[Any, ...]:
    assert isinstance(event, TransactionReported)
    return event.transaction_id, event.seq_no, event.phase, event.occurred_at, event.samples


starts = st.builds(
    lambda minute, connector, wh: (
        "StartTransaction",
        {
            "connectorId": connector,
            "idTag": "T",
            "meterStart": wh,
            "timestamp": stamp(NOW - timedelta(minutes=minute)),
        },
    ),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from([0, 500]),
)


@settings(max_examples=60, deadline=None)
@given(messages=st.lists(starts, min_size=1, max_size=8), repeats=st.integers(1, 3))
def test_16_starts_and_stops_have_one_effect_however_often_they_come(
    messages: list[tuple[str, dict[str, Any]]], repeats: int
) -> None:
    store = FakeStore()
    answers = []
    for _ in range(repeats):
        answers.append(play([Desk(V16, FakeHost(store=store))], messages))
    assert all(answer == answers[0] for answer in answers)
    ids = {answer["transactionId"] for answer in answers[0]}
    stops: list[tuple[str, dict[str, Any]]] = [
        (
            "StopTransaction",
            {"transactionId": transaction_id, "meterStop": 900, "timestamp": stamp()},
        )
        for transaction_id in sorted(ids)
    ]
    for _ in range(repeats):
        play([Desk(V16, FakeHost(store=store))], stops)
    events = [e for e in store.events if isinstance(e, TransactionReported)]
    assert len(ids) == len({tuple(sorted(p.items())) for _, p in messages})
    assert sorted(e.phase for e in events) == ["ended"] * len(ids) + ["started"] * len(ids)
