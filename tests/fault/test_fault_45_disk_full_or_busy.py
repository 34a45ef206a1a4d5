"""Fault 45: disk full, read-only file system, SQLite BUSY.

Required: telemetry is shed first; writes are refused in a way that may be tried again, nothing that
was acknowledged is lost, and the store works again as soon as the fault is over.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as hooks

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.store import sqlite_store
from gridleaf.store.database import Database, sqlite_database
from gridleaf.store.port import FrameRecord
from gridleaf.store.sql import SqlStore
from store_events import NOON, metered, report


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, where this account may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("this account may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


class Pragmas:
    """Sets pragmas on every connection that the store makes from now on, and on the present one."""

    def __init__(self, database: Database) -> None:
        self._connections: list[sqlite3.Connection] = []
        self._sql = ""
        hooks.listen(database.engine, "connect", self._connected)

    def _connected(self, connection: sqlite3.Connection, _: Any) -> None:
        self._connections.append(connection)
        connection.executescript(self._sql)

    def set(self, sql: str) -> None:
        self._sql = sql
        for connection in self._connections:
            try:
                connection.executescript(sql)
            except sqlite3.ProgrammingError:
                continue  # closed meanwhile


async def fill(store: Any) -> tuple[int, StoreUnavailable]:
    for i in range(100_000):
        try:
            await store.append(metered(i))
        except StoreUnavailable as error:
            return i, error
    raise AssertionError("the disk never filled up")


def frames(size: int) -> list[FrameRecord]:
    return [FrameRecord(station_id="S1", at=NOON, outgoing=False, frame="x" * size)]


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    async def main() -> None:
        store = sqlite_store(small_disk / "test.db")
        await store.open()
        count, error = await fill(store)
        assert str(error) == "the disk is full"
        assert count > 10
        events = await store.transaction_events("S1", "T1")
        assert events == [metered(i) for i in range(count)]
        remount(small_disk, "size=16m")
        assert await store.append(metered(count))
        assert not await store.append(metered(count - 1))
        await store.close()

    asyncio.run(main())


def test_a_read_only_file_system_refuses_and_goes_on_when_it_is_writable(small_disk: Path) -> None:
    async def main() -> None:
        store = sqlite_store(small_disk / "test.db")
        await store.open()
        assert await store.append(report(0))
        await store.close()
        remount(small_disk, "ro")
        with pytest.raises(StoreUnavailable, match="Read-only file system"):
            await sqlite_store(small_disk / "test.db").open()
        remount(small_disk, "rw")
        store = sqlite_store(small_disk / "test.db")
        await store.open()
        assert not await store.append(report(0))
        await store.close()

    asyncio.run(main())


def test_telemetry_is_shed_first_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    async def main() -> None:
        database = sqlite_database(tmp_path / "test.db", busy_timeout_s=1.0)
        pragmas = Pragmas(database)
        store = SqlStore(database)
        await store.open()
        await store.append(metered(0))
        pages = await store._read(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
        pragmas.set(f"PRAGMA max_page_count = {pages + 4}")
        outcomes = await asyncio.gather(
            store.log_frames(frames(100_000)),
            store.append(metered(1)),
            store.save_value("a", "1"),
            store.log_frames(frames(100_000)),
            return_exceptions=True,
        )
        assert [str(o) for o in (outcomes[0], outcomes[3])] == ["the disk is full"] * 2
        assert outcomes[1:3] == [True, None]
        assert await store.frames("S1") == []
        pragmas.set("PRAGMA max_page_count = 1000000")
        await store.log_frames(frames(100_000))
        assert await store.frames("S1") == frames(100_000)
        await store.close()

    asyncio.run(main())


def test_a_database_that_turns_read_only_refuses_and_still_reads(tmp_path: Path) -> None:
    async def main() -> None:
        database = sqlite_database(tmp_path / "test.db", busy_timeout_s=1.0)
        pragmas = Pragmas(database)
        store = SqlStore(database)
        await store.open()
        assert await store.append(report(0))
        pragmas.set("PRAGMA query_only = ON")
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="cannot be written to"):
                await store.append(report(1))
        assert await store.transaction_events("S1", "T1") == [report(0)]
        pragmas.set("PRAGMA query_only = OFF")
        assert await store.append(report(1))
        await store.close()

    asyncio.run(main())


def test_another_programs_lock_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "test.db"
        store = sqlite_store(path, busy_timeout_s=0.05)
        await store.open()
        assert await store.append(report(0))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        outcomes = await asyncio.gather(
            *(store.append(report(i)) for i in range(1, 9)),
            store.log_frames(frames(1)),
            return_exceptions=True,
        )
        assert {str(outcome) for outcome in outcomes} == {"another program holds the database"}
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        assert await store.transaction_events("S1", "T1") == [report(0)]
        other.execute("ROLLBACK")
        other.close()
        assert await asyncio.gather(*(store.append(report(i)) for i in range(3))) == [
            False,
            True,
            True,
        ]
        await store.close()

    asyncio.run(main())


def test_a_short_lock_of_another_program_costs_nothing_but_time(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "test.db"
        store = sqlite_store(path, busy_timeout_s=30.0)
        await store.open()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        waiting = asyncio.ensure_future(store.append(report(0)))
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        other.execute("ROLLBACK")
        other.close()
        assert await waiting
        await store.close()

    asyncio.run(main())
