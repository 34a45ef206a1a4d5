"""Events made durable per second, each with two samples, and what that costs in processor time.

``sqlite``: many stations append to a SQLite file at once, each sending its next event when the last
one is durable; every commit waits for the disk. Beside it ``commit each``: the standard library's
``sqlite3`` in one thread with the same settings writes the same event and samples to two plain
tables, a commit for each event. ``memory``: one station, one event after the other. ``restart``: the
file is opened again and the events of what is still going on are read back.
``python -m benchmarks store [--events 24000] [--stations 200] [--json]``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from gridleaf.domain.clock import stopwatch
from gridleaf.domain.events import TransactionReported, to_json
from gridleaf.domain.meter import MeterSample
from gridleaf.store import sqlite_store
from gridleaf.store.port import Store

START = datetime(2026, 1, 5, tzinfo=UTC)
EVENTS_PER_TRANSACTION = 90
"""One a minute for an hour and a half; the last one ends it."""
Row = dict[str, Any]


def event(station: int, number: int) -> TransactionReported:
    """The next event of a station that charges one vehicle after the other."""
    at = START + timedelta(minutes=number)
    transaction, seq_no = divmod(number, EVENTS_PER_TRANSACTION)
    last = EVENTS_PER_TRANSACTION - 1
    return TransactionReported(
        station_id=f"CS-{station:05d}",
        received_at=at,
        transaction_id=f"{station:05d}-{transaction:06d}",
        seq_no=seq_no,
        phase="started" if seq_no == 0 else "ended" if seq_no == last else "updated",
        occurred_at=at,
        evse_id=1,
        charging_state="charging",
        samples=(
            MeterSample(measured_at=at, measurand="Power.Active.Import", value=11.04, unit="kW"),
            MeterSample(
                measured_at=at,
                measurand="Energy.Active.Import.Register",
                value=1203.3 + number,
                unit="kWh",
            ),
        ),
    )


@contextmanager
def measured(name: str, rows: list[Row]) -> Iterator[Row]:
    """Times what it surrounds, which has to tell how many ``events`` it was."""
    row: Row = {"name": name}
    wall, cpu = stopwatch(), time.process_time()
    yield row
    wall, cpu = stopwatch() - wall, time.process_time() - cpu
    row["events_per_s"] = round(row["events"] / wall)
    row["cpu_us_per_event"] = round(cpu / max(row["events"], 1) * 1e6, 1)
    row["seconds"] = round(wall, 3)
    rows.append(row)


async def many_stations(
    store: Store, events: list[list[TransactionReported]], rows: list[Row]
) -> None:
    async def station(mine: list[TransactionReported]) -> None:
        for each in mine:
            await store.append(each)

    with measured("sqlite", rows) as row:
        row["events"] = sum(map(len, events))
        await asyncio.gather(*(station(mine) for mine in events))


async def one_station(store: Store, events: list[TransactionReported], rows: list[Row]) -> None:
    with measured("memory", rows) as row:
        row["events"] = len(events)
        for each in events:
            await store.append(each)


def commit_each(path: Path, events: list[TransactionReported], rows: list[Row]) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE events (station TEXT, tx TEXT, seq INTEGER, body TEXT,"
        " PRIMARY KEY (station, tx, seq));"
        "CREATE TABLE samples (station TEXT, evse INTEGER, measurand TEXT, at TEXT, value REAL,"
        " PRIMARY KEY (station, evse, measurand, at)) WITHOUT ROWID;"
    )
    with measured("commit each", rows) as row:
        row["events"] = len(events)
        for each in events:
            connection.execute(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)",
                (each.station_id, each.transaction_id, each.seq_no, to_json(each).decode()),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?)",
                [
                    (each.station_id, 1, s.measurand, s.measured_at.isoformat(), s.value)
                    for s in each.samples
                ],
            )
            connection.commit()
    connection.close()


async def measure(stations: int, events: int, folder: Path) -> list[Row]:
    rows: list[Row] = []
    each = -(-events // stations)
    reported = [[event(s, number) for number in range(each)] for s in range(stations)]

    store = sqlite_store(folder / "gridleaf.db")
    await store.open()
    await many_stations(store, reported, rows)
    await store.close()
    with measured("restart", rows) as row:
        store = sqlite_store(folder / "gridleaf.db")
        await store.open()
        row["events"] = len(await store.open_history())
    await store.close()

    commit_each(folder / "peer.db", [event(0, number) for number in range(events // 10)], rows)

    memory = sqlite_store(None)
    await memory.open()
    await one_station(memory, [event(0, number) for number in range(events)], rows)
    await memory.close()
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=24_000)
    parser.add_argument("--stations", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(options.stations, options.events, Path(folder)))
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'':12} {'events':>8} {'events/s':>10} {'CPU us/event':>13} {'seconds':>9}")
    for row in rows:
        print(
            f"{row['name']:12} {row['events']:>8} {row['events_per_s']:>10}"
            f" {row['cpu_us_per_event']:>13} {row['seconds']:>9}"
        )


if __name__ == "__main__":
    main()
