"""``open_history`` and idempotence against a plain reference, for arbitrary orders of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url, text

from gridleaf.domain.events import (
    Booted,
    CapabilitiesRead,
    Connected,
    ExternalLimitReported,
    MeterReported,
    NeedsReported,
    StationEvent,
    TransactionReported,
    identity,
)
from gridleaf.store.database import Database, postgresql_database, sqlite_database
from gridleaf.store.sql import SqlStore
from gridleaf.store.tables import metadata
from store_events import minutes, report, sample, status

STATIONS = st.sampled_from(["S1", "S2"])
EVSES = st.integers(0, 2)
MINUTES = st.integers(0, 30).map(minutes)


@st.composite
def events(draw: st.DrawFn) -> StationEvent:
    base: dict[str, Any] = {"station_id": draw(STATIONS), "received_at": draw(MINUTES)}
    evse_id = draw(EVSES)
    match draw(st.integers(0, 9)):
        case 0:
            return Booted(**base, vendor="V", model=draw(st.sampled_from("ab")))
        case 1:
            return status(
                draw(st.sampled_from(["available", "occupied"])),
                **base,
                evse_id=evse_id,
                connector_id=draw(EVSES),
            )
        case 2:
            return CapabilitiesRead(**base, evse_id=evse_id)
        case 3:
            return ExternalLimitReported(
                **base, evse_id=evse_id, source=draw(st.sampled_from("ab")), limit_kw=1.0
            )
        case 4:
            return NeedsReported(**base, evse_id=evse_id, requested_transfer="DC")
        case 5:
            return MeterReported(
                **base,
                evse_id=draw(st.none() | EVSES),
                transaction_id=draw(st.sampled_from([None, "T1"])),
                samples=(sample(draw(st.floats(0, 9)), draw(MINUTES)),),
            )
        case 6:
            return Connected(**base, version="ocpp2.1", epoch=1)
    return report(
        draw(st.integers(0, 5)),
        **base,
        phase=draw(st.sampled_from(["started", "updated", "updated", "updated", "ended"])),
        transaction_id=draw(st.sampled_from(["T1", "T2", "T3"])),
        occurred_at=draw(MINUTES),
        evse_id=draw(st.none() | EVSES),
        samples=(sample(draw(st.floats(0, 9)), draw(MINUTES)),),
    )


def unique(reported: Sequence[StationEvent]) -> list[StationEvent]:
    seen: set[str] = set()
    kept = []
    for event in reported:
        key = identity(event)
        if key is None or key not in seen:
            kept.append(event)
        if key is not None:
            seen.add(key)
    return kept


def reference(reported: Sequence[StationEvent]) -> list[StationEvent]:
    """The words of ``Store.open_history`` as a plain search through everything."""
    kept = unique(reported)
    of_transactions = [e for e in kept if isinstance(e, TransactionReported)]
    ended = {(e.station_id, e.transaction_id) for e in of_transactions if e.phase == "ended"}
    known = {(e.station_id, e.transaction_id) for e in of_transactions}
    began: dict[tuple[str, int], Any] = {}
    for key in known - ended:
        mine = [e for e in of_transactions if (e.station_id, e.transaction_id) == key]
        at = min(min(e.occurred_at, e.received_at) for e in mine)
        evse_id = next((e.evse_id for e in mine if e.evse_id is not None), None)
        if evse_id is not None:
            began[key[0], evse_id] = min(at, began.get((key[0], evse_id), at))
    newest: dict[tuple[Any, ...], int] = {}
    wanted = set()
    for number, e in enumerate(kept):
        if isinstance(e, TransactionReported | MeterReported):
            if (e.station_id, e.transaction_id) in known - ended:
                wanted.add(number)
        elif isinstance(e, NeedsReported):
            start = began.get((e.station_id, e.evse_id))
            if start is not None and e.received_at >= start:
                wanted.add(number)
        elif not isinstance(e, Connected):
            place = [getattr(e, name, None) for name in ("evse_id", "connector_id", "source")]
            newest[e.kind, e.station_id, *place] = number
    return [kept[number] for number in sorted(wanted | set(newest.values()))]


async def content(store: SqlStore) -> dict[str, list[Any]]:
    names = ("events", "transactions", "samples", "latest")
    return {
        name: await store._read(
            lambda c, name=name: sorted(
                (tuple(row) for row in c.execute(metadata.tables[name].select())), key=repr
            )
        )
        for name in names
    }


async def check(database: Database, reported: list[StationEvent], prefix: int) -> None:
    store = SqlStore(database)
    await store.open()
    fresh = [await store.append(event) for event in reported]
    assert sum(fresh) == len(unique(reported))
    assert [s.event for s in await store.open_history()] == reference(reported)
    before = await content(store)
    again = [event for event in reported[:prefix] if identity(event) is not None]
    assert not any([await store.append(event) for event in again])
    assert await content(store) == before
    await store.close()


@settings(max_examples=50, deadline=None)
@given(st.lists(events(), max_size=40), st.integers(0, 40))
def test_open_history_is_what_it_says_and_a_replayed_prefix_changes_nothing(
    reported: list[StationEvent], prefix: int
) -> None:
    asyncio.run(check(sqlite_database(None, busy_timeout_s=1.0), reported, prefix))


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(events(), min_size=20, max_size=60))
def test_open_history_is_the_same_on_postgresql(
    new_database: Callable[[], str], reported: list[StationEvent]
) -> None:
    asyncio.run(check(postgresql_database(make_url(new_database())), reported, len(reported)))


def test_open_history_never_reads_the_whole_journal() -> None:
    """Millions of events are in the past; every step has to go by an index."""

    async def main() -> None:
        store = SqlStore(sqlite_database(None, busy_timeout_s=1.0))
        await store.open()
        statements: list[str] = []
        raw = store._database.engine.raw_connection().driver_connection
        assert raw is not None
        raw.set_trace_callback(statements.append)
        await store.append(report(0))
        await store.open_history()
        raw.set_trace_callback(None)
        (asked,) = [sql for sql in statements if "UNION" in sql]
        plan = await store._read(
            lambda c: [row[3] for row in c.execute(text(f"EXPLAIN QUERY PLAN {asked}"))]
        )
        assert any("SEARCH events USING" in step for step in plan), plan
        scanned = [step for step in plan if step.startswith("SCAN")]
        assert scanned, "the open transactions are read one by one"
        assert all("open_transactions" in s or "anon" in s for s in scanned), plan
        await store.close()

    asyncio.run(main())
