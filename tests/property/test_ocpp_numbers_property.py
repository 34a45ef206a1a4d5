"""Whatever numbers and names stations give their reports: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.domain.events import TransactionReported
from gridleaf.replay.memory import MemoryStore
from gridleaf.store import sqlite_store
from gridleaf.store.port import Store
from gridleaf.store.reports import append_report
from store_events import NOON

MakeStore = Callable[[], Store]
STORES: list[MakeStore] = [lambda: sqlite_store(None), MemoryStore]

reports = st.lists(
    st.builds(
        lambda phase, seq_no, minute: TransactionReported(
            station_id="S1",
            received_at=NOON,
            transaction_id="T1",
            seq_no=seq_no,
            phase=phase,
            occurred_at=NOON + timedelta(minutes=minute),
            evse_id=1,
        ),
        st.sampled_from(["started", "updated", "updated", "ended"]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=10,
)


def tell(make: MakeStore, messages: list[TransactionReported]) -> list[TransactionReported]:
    """What is new of some messages, in the order they come."""

    async def run() -> list[TransactionReported]:
        store = make()
        await store.open()
        kept = [await append_report(store, event, over=False) for event in messages]
        await store.close()
        return [event for event in kept if isinstance(event, TransactionReported)]

    return asyncio.run(run())


def _what(event: TransactionReported) -> tuple[Any, ...]:
    return event.phase, event.occurred_at


@settings(max_examples=40, deadline=None)
@given(messages=reports, data=st.data())
def test_replaying_any_prefix_of_badly_numbered_reports_gives_the_same_rows(
    messages: list[TransactionReported], data: st.DataObject
) -> None:
    make = STORES[0]
    prefix = messages[: data.draw(st.integers(0, len(messages)))]
    assert tell(make, [*prefix, *messages]) == tell(make, messages)


@pytest.mark.parametrize("make", STORES, ids=["sqlite", "memory"])
@settings(max_examples=40, deadline=None)
@given(messages=reports)
def test_every_start_and_every_end_is_kept_once(
    make: MakeStore, messages: list[TransactionReported]
) -> None:
    turns = [m for m in messages if m.phase != "updated"]
    kept = [m for m in tell(make, messages) if m.phase != "updated"]
    assert {_what(m) for m in kept} == {_what(m) for m in turns}
    if make is STORES[0]:  # that of a replay forgets what has ended
        assert len(kept) <= len({(m.seq_no, *_what(m)) for m in turns})
        assert len({m.seq_no for m in kept}) == len(kept)
