"""Group commit, backpressure, and life on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as hooks

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import StoreUnavailable
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.sim.virtual import run_virtual
from gridleaf.store.database import Database, sqlite_database
from gridleaf.store.port import FrameRecord
from gridleaf.store.sql import SqlStore
from store_events import NOON, report, sample, status


@asynccontextmanager
async def opened(database: Database, **options: Any) -> AsyncIterator[SqlStore]:
    store = SqlStore(database, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def on_file(tmp_path: Path) -> Database:
    return sqlite_database(tmp_path / "test.db", busy_timeout_s=5.0)


def count_commits(database: Database) -> list[None]:
    commits: list[None] = []
    hooks.listen(database.engine, "commit", lambda connection: commits.append(None))
    return commits


def test_writes_of_the_same_moment_share_one_commit(tmp_path: Path) -> None:
    async def main() -> None:
        database = on_file(tmp_path)
        async with opened(database) as store:
            commits = count_commits(database)
            fresh = await asyncio.gather(
                *(store.append(report(i)) for i in range(200)),
                store.save_value("a", "1"),
                store.next_epoch("S1"),
            )
            assert fresh == [*[True] * 200, None, 1]
            assert len(commits) == 1

    asyncio.run(main())


def test_writes_of_one_caller_keep_their_order(database: Database) -> None:
    async def main() -> None:
        async with opened(database) as store:
            async with asyncio.TaskGroup() as group:
                for i in range(50):
                    group.create_task(store.append(report(i)))
                    group.create_task(store.save_value("newest", str(i)))
            assert [s.event for s in await store.events()] == [report(i) for i in range(50)]
            assert await store.value("newest") == "49"

    asyncio.run(main())


def test_a_bad_write_fails_alone(database: Database) -> None:
    naive = replace(status(), received_at=datetime(2026, 1, 5))  # noqa: DTZ001

    async def main() -> None:
        async with opened(database) as store:
            outcomes = await asyncio.gather(
                store.append(report(0)),
                store.append(naive),
                store.append(report(1)),
                store.append(report(0)),
                return_exceptions=True,
            )
            assert isinstance(outcomes[1], TypeError)
            assert [outcomes[0], *outcomes[2:]] == [True, True, False]
            assert [s.event for s in await store.events()] == [report(0), report(1)]

    asyncio.run(main())


def test_one_bad_write_among_many_costs_few_commits(tmp_path: Path) -> None:
    bad = replace(status(), received_at=datetime(2026, 1, 5))  # noqa: DTZ001

    async def main() -> None:
        database = on_file(tmp_path)
        async with opened(database) as store:
            commits = count_commits(database)
            good = [store.append(report(i)) for i in range(500)]
            outcomes = await asyncio.gather(*good, store.append(bad), return_exceptions=True)
            assert outcomes[:500] == [True] * 500
            assert len(commits) < 20

    asyncio.run(main())


def test_what_the_database_cannot_hold_is_refused_as_unavailable(database: Database) -> None:
    huge = replace(report(2), seq_no=2**64 - 1)

    async def main() -> None:
        async with opened(database) as store:
            outcomes = await asyncio.gather(
                store.append(huge), store.append(report(1)), return_exceptions=True
            )
            assert isinstance(outcomes[0], StoreUnavailable)
            assert outcomes[1] is True

    asyncio.run(main())


def test_a_full_queue_refuses_and_sheds_telemetry_first(tmp_path: Path) -> None:
    frame = FrameRecord(station_id="S1", at=NOON, outgoing=False, frame="[]")
    measured = SiteMeasurement(measured_at=NOON, grid_kw=1.0)

    async def main() -> None:
        async with opened(on_file(tmp_path), queue=8) as store:
            outcomes = await asyncio.gather(
                *(store.append(report(i)) for i in range(6)),
                store.log_frames([frame]),
                store.save_measurements([measured]),
                *(store.append(report(i)) for i in range(6, 10)),
                return_exceptions=True,
            )
            assert outcomes[:6] == [True] * 6
            assert [type(o) for o in outcomes[6:8]] == [StoreUnavailable] * 2
            assert outcomes[8:10] == [True] * 2
            assert [type(o) for o in outcomes[10:]] == [StoreUnavailable] * 2
            await store.log_frames([frame])
            assert await store.frames("S1") == [frame]
            assert await store.append(report(9))

    asyncio.run(main())


def test_a_caller_that_gave_up_does_not_undo_its_write(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(on_file(tmp_path)) as store:
            given_up = asyncio.create_task(store.append(report(0)))
            patient = asyncio.create_task(store.append(report(1)))
            await asyncio.sleep(0)
            given_up.cancel()
            assert await patient
            assert given_up.cancelled()
            assert len(await store.events()) == 2

    asyncio.run(main())


def test_close_waits_for_what_is_queued_and_refuses_the_rest(tmp_path: Path) -> None:
    async def main() -> None:
        store = SqlStore(on_file(tmp_path))
        with pytest.raises(StoreUnavailable):
            await store.append(report(0))
        await store.open()
        last = asyncio.create_task(store.append(report(0)))
        await asyncio.sleep(0)
        await store.close()
        assert await last
        with pytest.raises(StoreUnavailable):
            await store.events()
        async with opened(on_file(tmp_path)) as again:
            assert [s.event for s in await again.events()] == [report(0)]

    asyncio.run(main())


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_virtual_clock_gives_the_same_rows_each_time(tmp_path: Path, in_memory: bool) -> None:
    def world(path: Path | None) -> list[Any]:
        async def station(store: SqlStore, clock: Clock, name: str, pause_s: float) -> None:
            for i in range(20):
                await clock.sleep(pause_s)
                event = report(
                    i, station_id=name, received_at=clock.now(), samples=(sample(i, clock.now()),)
                )
                assert await store.append(event)
                await store.save_value(name, str(await store.next_seq_no(name, "T1")))

        async def main(clock: Clock) -> list[Any]:
            async with opened(sqlite_database(path, busy_timeout_s=5.0)) as store:
                async with asyncio.TaskGroup() as group:
                    for i in range(5):
                        group.create_task(station(store, clock, f"S{i}", 1.0 + i % 3))
                assert [await store.value(f"S{i}") for i in range(5)] == ["20"] * 5
                return await store.events()

        return run_virtual(main, NOON)

    paths = [None, None] if in_memory else [tmp_path / "a.db", tmp_path / "b.db"]
    first, second = (world(path) for path in paths)
    assert len(first) == 100
    assert first == second
