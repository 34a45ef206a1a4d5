"""Views, decisions, signals, prices and accounts, on every database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.wishes import Wish
from gridleaf.store import records, tables
from gridleaf.store.database import Database, sqlite_database
from gridleaf.store.port import (
    Account,
    CycleRecord,
    DispatchRecord,
    FrameRecord,
    HealthRecord,
    PassportRecord,
    SessionRecord,
)
from gridleaf.store.sql import SqlStore
from store_events import NOON, minutes


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[SqlStore]:
    store = SqlStore(database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def session(name: str, minute: float = 0, **changes: Any) -> SessionRecord:
    base: dict[str, Any] = {
        "session_id": name,
        "station_id": "S1",
        "evse_id": 1,
        "transaction_id": name,
        "id_token": "tag",
        "arrived_at": minutes(minute),
    }
    return SessionRecord(**{**base, **changes})


@pytest.mark.parametrize(
    ("record", "table"),
    [
        (SessionRecord, tables.sessions),
        (Wish, tables.wishes),
        (CycleRecord, tables.cycles),
        (DispatchRecord, tables.dispatches),
        (SiteMeasurement, tables.measurements),
        (PricePoint, tables.prices),
        (FrameRecord, tables.frames),
        (Account, tables.accounts),
        (HealthRecord, tables.health),
        (PassportRecord, tables.passport),
    ],
)
def test_every_field_of_a_record_has_its_column(record: type[Any], table: Table) -> None:
    assert {field.name for field in fields(record)} <= set(table.c.keys())


def test_a_session_is_replaced_as_a_whole(database: Database) -> None:
    full = session(
        "a",
        departed_at=minutes(90),
        state="ended",
        charged_kwh=0.1 + 0.2,
        discharged_kwh=1.0,
        arrival_soc=0.25,
        departure_soc=0.8,
        capacity_kwh=60.0,
        target_kwh=48.0,
        departure_at=minutes(100) + timedelta(microseconds=1),
        unmet_kwh=0.0,
        reachable_kwh=40.0,
        cost_eur=-0.5,
        life_eur=0.1,
        uncontrolled_cost_eur=2.0,
        flags=("incomplete", "estimated"),
    )

    async def main() -> None:
        async with opened(database) as store:
            await store.save_session(session("a"))
            assert await store.session("a") == session("a")
            await store.save_session(full)
            assert await store.session("a") == full
            await store.save_session(session("a", evse_id=None, id_token=None))
            assert await store.session("a") == session("a", evse_id=None, id_token=None)
            assert await store.session("b") is None

    asyncio.run(main())


def test_sessions_are_found_by_arrival_token_and_state(database: Database) -> None:
    kept = [
        session("a", 0),
        session("b", 10, id_token="other", state="ended"),
        session("c", 20, state="suspect"),
        session("d", 30, state="ended"),
    ]

    async def main() -> None:
        async with opened(database) as store:
            for record in kept:
                await store.save_session(record)

            async def found(**filters: Any) -> str:
                return "".join(s.session_id for s in await store.sessions(**filters))

            assert await found() == "dcba"
            assert await found(since=minutes(10), until=minutes(30)) == "cb"
            assert await found(id_token="tag") == await found(id_token="TAG") == "dca"
            assert await found(state="ended") == "db"
            assert await found(state="ended", id_token="tag") == "d"
            assert await found(limit=2) == "dc"

    asyncio.run(main())


def test_the_newest_wish_counts_whatever_its_time(database: Database) -> None:
    first = Wish(departure_at=minutes(60), target_soc=0.8, v2g=True, said_at=minutes(1))
    second = Wish(energy_kwh=12.5, v2g=False, said_by="operator", said_at=NOON)

    async def main() -> None:
        async with opened(database) as store:
            assert await store.wish("a") is None
            await store.save_wish("a", first)
            assert await store.wish("a") == first
            await store.save_wish("a", second)
            await store.save_wish("b", Wish())
            assert await store.wish("a") == second
            assert await store.wish("b") == Wish()

    asyncio.run(main())


def test_cycles_are_numbered_and_listed_newest_first(database: Database) -> None:
    noise = os.urandom(5_000)

    async def main() -> None:
        async with opened(database) as store:
            ids = [await store.save_cycle(minutes(i), "timer", b"{}", noise) for i in range(4)]
            assert ids == sorted(set(ids))
            cycle = await store.cycle(ids[2])
            assert cycle == CycleRecord(
                cycle_id=ids[2], at=minutes(2), trigger="timer", state=b"{}", decision=noise
            )
            assert await store.cycle(ids[3] + 1) is None
            assert [c.cycle_id for c in await store.cycles(limit=3)] == ids[:0:-1]
            assert [c.cycle_id for c in await store.cycles(before_id=ids[2])] == ids[1::-1]

    asyncio.run(main())


def test_the_last_dispatch_of_each_evse_is_the_one_sent_last(database: Database) -> None:
    def dispatch(evse_id: int, minute: float, **changes: Any) -> DispatchRecord:
        base: dict[str, Any] = {
            "station_id": "S1",
            "evse_id": evse_id,
            "transaction_id": "T1",
            "sent_at": minutes(minute),
            "expires_at": minutes(minute + 10),
            "steps": ((0, 7.5), (300, -7.5)),
            "accepted": True,
            "status": "Accepted",
            "profile_id": 2**40,
        }
        return DispatchRecord(**{**base, **changes})

    refused = dispatch(1, 5, accepted=False, transaction_id=None, expires_at=None, steps=(), rung=2)

    async def main() -> None:
        async with opened(database) as store:
            for record in (dispatch(1, 9), dispatch(2, 1), refused, dispatch(2, 2)):
                await store.save_dispatch(record)
            assert await store.last_dispatches() == [refused, dispatch(2, 2)]

    asyncio.run(main())


def test_measurements_of_one_instant_complete_each_other(database: Database) -> None:
    at = minutes(5)
    grid = SiteMeasurement(
        measured_at=at, grid_kw=-3.5, source="mqtt", grid_phase_a=(1.0, 2.0, -3.0)
    )
    pv = SiteMeasurement(measured_at=at, pv_kw=8.0, source="mqtt")

    async def main() -> None:
        async with opened(database) as store:
            await store.save_measurements([])
            await store.save_measurements([SiteMeasurement(measured_at=minutes(9), load_kw=1.0)])
            await store.save_measurements([grid, pv])
            await store.save_measurements([SiteMeasurement(measured_at=at, load_kw=2.0)])
            await store.save_measurements([replace(pv, pv_kw=8.5)])
            assert await store.measurements(at, minutes(9)) == [
                SiteMeasurement(measured_at=at, load_kw=2.0),
                replace(grid, pv_kw=8.5),
            ]
            assert len(await store.measurements(NOON, minutes(10))) == 3
            assert len(await store.measurements(NOON, minutes(10), limit=1)) == 1

    asyncio.run(main())


def test_prices_are_kept_with_the_time_they_became_known(database: Database) -> None:
    def hours(*values: float) -> list[PricePoint]:
        return [
            PricePoint(start=minutes(60 * i), end=minutes(60 * (i + 1)), price_per_kwh=value)
            for i, value in enumerate(values)
        ]

    async def main() -> None:
        async with opened(database) as store:

            async def known(**by: Any) -> list[float]:
                found = await store.prices("a", NOON, minutes(180), **by)
                return [point.price_per_kwh for point in found]

            await store.save_prices("a", minutes(-60), hours(0.1, 0.2))
            await store.save_prices("a", minutes(-10), hours(0.1, -0.3, 0.4))
            await store.save_prices("b", minutes(-5), hours(9.0))
            await store.save_prices("a", minutes(-10), hours(7.0))
            assert await known() == [0.1, -0.3, 0.4]
            assert await known(known_by=minutes(-10)) == [0.1, -0.3, 0.4]
            assert await known(known_by=minutes(-11)) == [0.1, 0.2]
            assert await known(known_by=minutes(-61)) == []
            now = await store.prices("a", minutes(30), minutes(60))
            assert now == hours(0.1)

    asyncio.run(main())


def test_frames_are_listed_newest_first_and_pruned(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PRUNED_AT_ONCE", 3)
    frames = [
        FrameRecord(station_id="S1", at=minutes(i // 2), outgoing=bool(i % 2), frame=f'[2,"{i}"]')
        for i in range(10)
    ]

    async def main() -> None:
        async with opened(database) as store:
            await store.log_frames(frames)
            await store.log_frames([])
            await store.log_frames([replace(frames[0], station_id="S2", at=minutes(60))])
            assert await store.frames("S1") == frames[::-1]
            assert await store.frames("S1", before=minutes(2), limit=3) == frames[3:0:-1]
            assert await store.prune(minutes(4)) == 8
            assert await store.frames("S1") == frames[:7:-1]
            assert len(await store.frames("S2")) == 1

    asyncio.run(main())


def test_accounts_and_values_are_kept_and_replaced(durable: Callable[[], Database]) -> None:
    ada = Account(name="ada", kind="person", role="viewer", secret_hash="x", created_at=NOON)
    bot = Account(name="bot", kind="token", role="operator", secret_hash="y", created_at=NOON)

    async def main() -> None:
        async with opened(durable()) as store:
            await store.save_account(bot)
            await store.save_account(ada)
            await store.save_account(replace(ada, role="operator"))
            await store.save_value("key", "1")
            await store.save_value("key", '{"ü": 2}')
        async with opened(durable()) as store:
            assert await store.accounts() == [replace(ada, role="operator"), bot]
            assert await store.account("bot") == bot
            assert await store.delete_account("bot")
            assert not await store.delete_account("bot")
            assert await store.account("bot") is None
            assert await store.value("key") == '{"ü": 2}'
            assert await store.value("nothing") is None

    asyncio.run(main())


def test_the_sessions_of_an_id_token_are_found_by_an_index(tmp_path: Path) -> None:
    """Whatever its spelling: each arrival asks for the history of its vehicle."""

    async def main() -> None:
        store = SqlStore(sqlite_database(tmp_path / "site.db", busy_timeout_s=5.0))
        await store.open()
        wanted = (
            "SELECT * FROM sessions WHERE lower(id_token) = lower('A') ORDER BY arrived_at DESC"
        )
        (step,) = await store._read(
            lambda c: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {wanted}").all()
        )
        assert "USING INDEX sessions_of_token" in step[3]
        await store.close()

    asyncio.run(main())


def health(vehicle: str, version: int, **changes: Any) -> HealthRecord:
    base: dict[str, Any] = {
        "vehicle": vehicle,
        "version": version,
        "at": minutes(version),
        "session_id": f"s{version}",
        "verdict": "counted",
        "weight": 0.9,
        "sessions": version,
        "misfits": 0,
        "nominal_kwh": 40.0,
        "capacity_kwh": 34.1,
        "low_kwh": 32.9,
        "high_kwh": 35.2,
        "mean": (3.5, 0.0, -0.01),
        "covariance": (0.1, 0.0, 0.0, 0.2, 0.1, 0.3),
    }
    return HealthRecord(**{**base, **changes})


def test_health_is_only_added_to_and_each_session_counts_once(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            first = health("van", 1)
            assert await store.append_health(first)
            assert not await store.append_health(replace(first, capacity_kwh=1.0, session_id="x"))
            assert not await store.append_health(replace(first, version=2))
            assert await store.append_health(health("van", 2))
            assert await store.append_health(health("car", 1))
            assert await store.health("van") == [health("van", 2), first]
            assert await store.health("van", limit=1) == [health("van", 2)]
            assert await store.latest_health() == [health("car", 1), health("van", 2)]
            assert await store.health("bus") == []

    asyncio.run(main())


def test_passport_entries_stay_as_they_were_written(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            entries = [PassportRecord(vehicle="van", number=n, entry=f"é{n}") for n in (1, 2)]
            assert [await store.append_passport(e) for e in entries] == [True, True]
            assert not await store.append_passport(replace(entries[0], entry="forged"))
            assert await store.passport("van") == entries
            assert await store.passport("car") == []
            first = PassportRecord(vehicle="car", number=1, entry="c1")
            assert await store.append_passport(first)
            assert await store.latest_passports() == [first, entries[1]]

    asyncio.run(main())


def test_what_vehicles_moved_is_summed_when_their_sessions_are_over(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            for n, token in enumerate(("VAN", "van", "car")):
                await store.save_session(
                    session(
                        f"s{n}",
                        10.0 * n,
                        id_token=token,
                        charged_kwh=1.0 + n,
                        discharged_kwh=2.0 + n,
                        state="ended",
                    )
                )
            await store.save_session(session("live", id_token="van", discharged_kwh=9.0))
            await store.save_session(session("nobody", id_token=None, state="ended"))
            moved = await store.throughput()
            assert {v: m.discharged_kwh for v, m in moved.items()} == {"van": 5.0, "car": 4.0}
            assert await store.throughput(id_token="Van") == {"van": moved["van"]}
            assert (moved["van"].charged_kwh, moved["van"].since) == (3.0, NOON)
            later = await store.throughput(id_token="van", since=minutes(5))
            assert (later["van"].discharged_kwh, later["van"].since) == (3.0, minutes(10))
            assert await store.throughput(id_token="bus") == {}

    asyncio.run(main())
