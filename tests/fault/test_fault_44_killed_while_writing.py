"""Fault 44: SIGKILL or power cut during a write: nothing acknowledged is lost, no half group."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from gridleaf.domain.events import TransactionReported
from gridleaf.store.database import sqlite_database
from gridleaf.store.sql import SqlStore
from store_events import NOON, metered, minutes

WRITER = """
import asyncio, os, sys
from pathlib import Path
from gridleaf.store import sqlite_store
from store_events import metered

async def station(store, name, first):
    for i in range(first, first + 100_000):
        assert await store.append(metered(i, station_id=name))
        os.write(1, f"{name} {i}\\n".encode())

async def main(path, first):
    store = sqlite_store(path)
    await store.open()
    await asyncio.gather(*(station(store, f"S{n}", first) for n in range(8)))

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


def write_and_kill(path: Path, first: int, acknowledged: int) -> set[tuple[str, int]]:
    """Start a writer, kill it after so many acknowledgements, and give all that were heard."""
    folders = [*sys.path, str(Path(__file__).parents[1])]
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
    )
    assert child.stdout is not None
    heard = [child.stdout.readline() for _ in range(acknowledged)]
    child.send_signal(signal.SIGKILL)
    heard += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    lines = [line.split() for line in heard if line.startswith(b"S") and line.endswith(b"\n")]
    return {(name.decode(), int(number)) for name, number in lines}


async def check_whole(path: Path) -> set[tuple[str, int]]:
    """The events in the file, after checking that every view agrees with them."""
    store = SqlStore(sqlite_database(path, busy_timeout_s=1.0))
    await store.open()
    stored = [s.event for s in await store.events(limit=10**6)]
    numbers = {(e.station_id, e.seq_no) for e in stored if isinstance(e, TransactionReported)}
    assert len(numbers) == len(stored)
    for name in sorted({name for name, _ in numbers}):
        mine = sorted(number for station, number in numbers if station == name)
        assert mine == list(range(len(mine)))
        assert await store.next_seq_no(name, "T1") == len(mine)
        for measurand in ("Power.Active.Import", "SoC"):
            points = await store.series(name, 1, measurand, NOON, minutes(10**6), limit=10**6)
            assert [point.value for point in points] == mine
    assert len(await store.open_history()) == len(stored)
    await store.close()
    return numbers


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    rng = random.Random(44)
    path = tmp_path / "test.db"
    acknowledged: set[tuple[str, int]] = set()
    first = 0
    for _ in range(3):
        acknowledged |= write_and_kill(path, first, rng.randrange(50, 800))
        kept = asyncio.run(check_whole(path))
        assert acknowledged <= kept
        asyncio.run(fill_up(path, kept))
        first = max(number for _, number in kept) + 1


async def fill_up(path: Path, kept: set[tuple[str, int]]) -> None:
    """Bring every station to the same number, so that the next round goes on without a gap."""
    store = SqlStore(sqlite_database(path, busy_timeout_s=1.0))
    await store.open()
    last = max(number for _, number in kept)
    missing = [(f"S{n}", i) for n in range(8) for i in range(last + 1)]
    for name, i in missing:
        if (name, i) not in kept:
            await store.append(metered(i, station_id=name))
    await store.close()


def test_a_log_that_was_cut_off_anywhere_holds_whole_groups_only(tmp_path: Path) -> None:
    """What a power cut leaves of the part that was not yet synced."""
    path = tmp_path / "test.db"
    write_and_kill(path, 0, 300)
    log = tmp_path / "test.db-wal"
    size = log.stat().st_size
    assert size > 0
    rng = random.Random(44)
    counts = []
    for cut in sorted(rng.randrange(size) for _ in range(12)):
        copy = tmp_path / f"cut{cut}"
        copy.mkdir()
        shutil.copy(path, copy / "test.db")
        (copy / "test.db-wal").write_bytes(log.read_bytes()[:cut])
        counts.append(len(asyncio.run(check_whole(copy / "test.db"))))
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_every_commit_of_a_file_waits_for_the_disk(tmp_path: Path) -> None:
    with sqlite_database(tmp_path / "test.db", busy_timeout_s=1.0).engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
