"""What stations reported: appended once, read back as it was, on every database."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, get_args

import pytest
from sqlalchemy import text

from gridleaf.domain.events import (
    Booted,
    CapabilitiesRead,
    Connected,
    Disconnected,
    ExternalLimitReported,
    MeterReported,
    NeedsReported,
    Noted,
    SecurityReported,
    StationEvent,
    TransactionReported,
    identity,
)
from gridleaf.store.database import Database
from gridleaf.store.sql import SqlStore
from store_events import NOON, minutes, report, sample, status

ONE_OF_EACH: tuple[StationEvent, ...] = (
    Connected(station_id="S1", received_at=NOON, version="ocpp2.1", epoch=3, remote="192.0.2.1"),
    Disconnected(station_id="S1", received_at=NOON, epoch=3, reason="gone"),
    Booted(station_id="S1", received_at=NOON, vendor="V", model="M", serial_number="Ä\u20ac\x00"),
    status("faulted", detail="SuspendedEV"),
    report(
        7,
        transaction_id="T9",
        id_token="tag",
        charging_state="charging",
        samples=(sample(7.25), sample(0.5, measurand="SoC", location="EV", unit="1", raw="50 %")),
        flags=("clock_ahead",),
    ),
    MeterReported(station_id="S1", received_at=NOON, evse_id=0, samples=(sample(-1e-9),)),
    NeedsReported(
        station_id="S1", received_at=NOON, evse_id=1, requested_transfer="DC_BPT", soc=0.1
    ),
    CapabilitiesRead(station_id="S1", received_at=NOON, values={"A.B": "c"}, rate_units=("W",)),
    ExternalLimitReported(
        station_id="S1", received_at=NOON, evse_id=1, source="EMS", limit_kw=None
    ),
    SecurityReported(station_id="S1", received_at=NOON, what="foreign transaction"),
    Noted(station_id="S1", received_at=NOON, action="DataTransfer", payload={"a": [1, None]}),
)


@asynccontextmanager
async def opened(database: Database, **options: Any) -> AsyncIterator[SqlStore]:
    store = SqlStore(database, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def query(store: SqlStore, sql: str) -> list[tuple[Any, ...]]:
    return await store._read(lambda c: [tuple(row) for row in c.execute(text(sql))])


def test_every_kind_of_event_comes_back_equal_and_in_order(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            for event in ONE_OF_EACH:
                assert await store.append(event)
            stored = await store.events()
            assert [s.event for s in stored] == list(ONE_OF_EACH)
            assert [s.id for s in stored] == sorted({s.id for s in stored})

    assert {type(event) for event in ONE_OF_EACH} == set(get_args(StationEvent))
    asyncio.run(main())


def test_an_event_of_the_same_identity_is_stored_once(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            assert await store.append(report(0, samples=(sample(1.0),)))
            assert not await store.append(report(0, samples=(sample(2.0),)))
            twins = [report(1), report(2), report(1), report(1)]
            fresh = await asyncio.gather(*(store.append(event) for event in twins))
            assert fresh == [True, True, False, False]
            assert await store.append(report(1, station_id="S2"))
            assert await store.append(report(1, transaction_id="T2"))
            events = await store.transaction_events("S1", "T1")
            assert [e.samples for e in events if isinstance(e, TransactionReported)] == [
                (sample(1.0),),
                (),
                (),
            ]

    asyncio.run(main())


def test_the_unique_index_is_the_identity_of_events(database: Database) -> None:
    """Whatever has an identity is refused the second time; whatever has none counts each time."""

    async def main() -> None:
        async with opened(database) as store:
            for event in ONE_OF_EACH:
                await store.append(event)
                assert await store.append(event) == (identity(event) is None), event.kind

    asyncio.run(main())


def test_events_are_filtered(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            for event in (
                report(0),
                status(at=minutes(1)),
                status(at=minutes(2), station_id="S2"),
                status(at=minutes(3)),
            ):
                await store.append(event)
            everything = await store.events()
            ids = [s.id for s in everything]

            async def found(**filters: Any) -> list[int]:
                return [ids.index(s.id) for s in await store.events(**filters)]

            assert await found(after_id=ids[1]) == [2, 3]
            assert await found(station_id="S1") == [0, 1, 3]
            assert await found(kinds=["status"], newest_first=True) == [3, 2, 1]
            assert await found(kinds=["status", "transaction"], station_id="S1") == [0, 1, 3]
            assert await found(since=minutes(2)) == [2, 3]
            assert await found(newest_first=True, limit=2) == [3, 2]
            assert await found(kinds=["booted"]) == []

    asyncio.run(main())


def test_events_of_a_transaction_come_in_the_order_of_seq_no(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            for seq_no in (2, 0, 10, 1):
                await store.append(report(seq_no))
            await store.append(
                MeterReported(station_id="S1", received_at=NOON, evse_id=1, transaction_id="T1")
            )
            events = await store.transaction_events("S1", "T1")
            assert [e.seq_no for e in events if isinstance(e, TransactionReported)] == [0, 1, 2, 10]
            assert len(events) == 4
            assert await store.next_seq_no("S1", "T1") == 11
            assert await store.next_seq_no("S1", "T2") == 0

    asyncio.run(main())


def test_a_transaction_moves_only_forward_and_knows_its_gaps(database: Database) -> None:
    async def row(store: SqlStore) -> tuple[Any, ...]:
        (found,) = await query(
            store,
            "SELECT evse_id, first_seq, last_seq, events, started, ended, gap FROM transactions",
        )
        return tuple(found)

    async def main() -> None:
        async with opened(database) as store:
            await store.append(report(3, evse_id=None))
            assert await row(store) == (None, 3, 3, 1, False, False, True)
            await store.append(report(5, "ended"))
            await store.append(report(2, "started"))
            assert await row(store) == (1, 2, 5, 3, True, True, True)
            await store.append(report(4, evse_id=2))
            assert await row(store) == (1, 2, 5, 4, True, True, False)
            await store.append(report(6))
            assert await row(store) == (1, 2, 6, 5, True, True, False)
            assert await store.open_history() == []

    asyncio.run(main())


def test_samples_become_series_of_their_evse(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            power = "Power.Active.Import"
            await store.append(report(0, samples=(sample(1.5), sample(0.5, phase="L1"))))
            await store.append(report(1, evse_id=None, samples=(sample(2.5, minutes(1)),)))
            await store.append(
                report(2, samples=(sample(9.9, minutes(1)), sample(math.inf, minutes(2))))
            )
            await store.append(
                MeterReported(station_id="S1", received_at=NOON, evse_id=0, samples=(sample(40.0),))
            )
            await store.append(
                report(0, transaction_id="T2", evse_id=None, samples=(sample(7.0, minutes(5)),))
            )

            async def points(evse_id: int, *until: float, **more: Any) -> list[float]:
                end = minutes(until[0] if until else 60)
                found = await store.series("S1", evse_id, power, NOON, end, **more)
                assert [p.at for p in found] == sorted(p.at for p in found)
                return [p.value for p in found]

            assert await points(1) == [1.5, 2.5]
            assert await points(1, 1) == [1.5]
            assert await points(1, limit=1) == [1.5]
            assert await points(1, phase="L1") == [0.5]
            assert await points(0) == [40.0]
            assert await points(2) == []

    asyncio.run(main())


def test_epochs_rise_over_the_life_of_the_database(durable: Callable[[], Database]) -> None:
    async def main() -> None:
        async with opened(durable()) as store:
            assert await store.next_epoch("S1") == 1
            assert await store.next_epoch("S2") == 1
        async with opened(durable()) as store:
            assert await asyncio.gather(*(store.next_epoch("S1") for _ in range(3))) == [2, 3, 4]

    asyncio.run(main())


def test_the_same_start_is_given_the_same_transaction_id(durable: Callable[[], Database]) -> None:
    async def main() -> None:
        async with opened(durable()) as store:
            start = "S1", 1, "tag", NOON, 12.3
            first, second = await asyncio.gather(
                store.open_transaction(*start, "17"), store.open_transaction(*start, "18")
            )
            assert first == second == "17"
        async with opened(durable()) as store:
            assert await store.open_transaction(*start, "99") == "17"
            assert await store.open_transaction("S1", 1, "tag", minutes(1), 12.3, "18") == "18"
            assert await store.open_transaction("S2", 2, "tag", NOON, 12.3, "17") == "17"
            for other in (("S1", 2, "tag", NOON, 12.3), ("S1", 1, "tag", NOON, 12.4)):
                with pytest.raises(KeyError):
                    await store.open_transaction(*other, "17")
            assert await store.find_transaction("S1", "17") == 1
            assert await store.find_transaction("S2", "17") == 2
            assert await store.find_transaction("S1", "99") is None

    asyncio.run(main())


def test_an_event_that_cannot_be_read_does_not_hide_the_others(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            await store.append(report(0))
            await store.append(report(1, samples=(sample(math.nan),)))
            await store.append(report(2))
            assert len(await store.open_history()) == 2
            assert [e.seq_no for e in await store.transaction_events("S1", "T1")] == [0, 2]

    asyncio.run(main())
