"""The store of :mod:`gridleaf.store.port` on SQLAlchemy Core, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.domain.events import StationEvent, identity
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.wishes import Wish
from gridleaf.store import history, records
from gridleaf.store.database import CommitUnknown, Database, Link
from gridleaf.store.journal import Journal
from gridleaf.store.lead import Lead
from gridleaf.store.migrate import prepare
from gridleaf.store.port import (
    Account,
    CycleRecord,
    DispatchRecord,
    FrameRecord,
    HealthRecord,
    PassportRecord,
    SeriesPoint,
    SessionRecord,
    StoredEvent,
    Throughput,
)
from gridleaf.store.writer import Bulk, Item, Writer

R = TypeVar("R")


class SqlStore:
    """:class:`~gridleaf.store.port.Store` in a SQL database.

    One thread writes, in groups; another one reads on a connection of its own, so that neither
    waits for the other. A database in memory has one connection and needs no threads.

    Parameters
    ----------
    database
        Where connections come from.
    queue
        How many writes may wait for the database before more are refused; telemetry (frames,
        measurements) is refused from three quarters of it.
    """

    def __init__(self, database: Database, *, queue: int = 10_000) -> None:
        self._database = database
        self._journal = Journal(database.engine.dialect)
        self._write_link = Link(database)
        self._write_thread = self._read_thread = None
        if database.in_memory:
            self._read_link = self._write_link
        else:
            self._read_link = Link(database, reads=True)
            self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
            self._read_thread = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._lead = Lead(database)
        self._writer = Writer(self._write_link, self._write_thread, queue)
        self._unknown: set[str] = set()
        """Identities of events whose commit was lost from sight; their sender has no answer yet."""
        self._is_open = False

    # -- life --

    async def open(self) -> None:
        await _on(self._write_thread, partial(prepare, self._database))
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        await self._writer.drained()
        await _on(self._read_thread, self._lead.give_up)
        for thread, link in (
            (self._read_thread, self._read_link),
            (self._write_thread, self._write_link),
        ):
            await _on(thread, link.close)
            if thread is not None:
                thread.shutdown()
        self._database.engine.dispose()

    async def lead(self) -> bool:
        self._must_be_open()
        return await _on(self._read_thread, self._lead.take)

    async def _write(self, bulk: Bulk[Item, R], item: Item, *, telemetry: bool = False) -> R:
        self._must_be_open()
        return await self._writer.write(bulk, item, telemetry=telemetry)

    async def _read(self, work: Callable[[Connection], R]) -> R:
        self._must_be_open()
        return await _on(self._read_thread, partial(self._read_link.run, work))

    def _must_be_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailable("the store is not open")

    # -- what stations reported --

    async def append(self, event: StationEvent) -> bool:
        key = identity(event)
        try:
            new = await self._write(self._journal.append, event)
        except CommitUnknown:
            if key is not None:
                self._unknown.add(key)
            raise
        if key is not None and key in self._unknown:
            self._unknown.remove(key)
            return True
        return new

    async def events(
        self,
        *,
        after_id: int = 0,
        station_id: str | None = None,
        kinds: Sequence[str] = (),
        since: datetime | None = None,
        newest_first: bool = False,
        limit: int = 1000,
    ) -> list[StoredEvent]:
        return await self._read(
            partial(
                history.listed,
                after_id=after_id,
                station_id=station_id,
                kinds=kinds,
                since=since,
                newest_first=newest_first,
                limit=limit,
            )
        )

    async def transaction_events(self, station_id: str, transaction_id: str) -> list[StationEvent]:
        return await self._read(lambda c: history.of_transaction(c, station_id, transaction_id))

    async def open_history(self) -> list[StoredEvent]:
        return await self._read(history.still_open)

    async def next_epoch(self, station_id: str) -> int:
        return await self._write(records.next_epochs, station_id)

    async def open_transaction(
        self,
        station_id: str,
        evse_id: int,
        id_token: str,
        started_at: datetime,
        meter_start_kwh: float,
        proposed_id: str,
    ) -> str:
        start = {
            "station_id": station_id,
            "transaction_id": proposed_id,
            "evse_id": evse_id,
            "id_token": id_token,
            "started_at": started_at,
            "meter_start_kwh": meter_start_kwh,
        }
        given = await self._write(records.open_transactions, start)
        if given is None:
            raise KeyError(f"{station_id} has another transaction {proposed_id}")
        return given

    async def find_transaction(self, station_id: str, transaction_id: str) -> int | None:
        return await self._read(lambda c: history.evse_of_start(c, station_id, transaction_id))

    async def next_seq_no(self, station_id: str, transaction_id: str) -> int:
        return await self._read(lambda c: history.next_seq_no(c, station_id, transaction_id))

    async def series(
        self,
        station_id: str,
        evse_id: int,
        measurand: str,
        since: datetime,
        until: datetime,
        phase: str | None = None,
        limit: int = 10_000,
    ) -> list[SeriesPoint]:
        return await self._read(
            lambda c: history.series(c, station_id, evse_id, measurand, since, until, phase, limit)
        )

    # -- views and decisions --

    async def save_session(self, session: SessionRecord) -> None:
        await self._write(records.save_sessions, session)

    async def session(self, session_id: str) -> SessionRecord | None:
        return await self._read(lambda c: records.session(c, session_id))

    async def sessions(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        id_token: str | None = None,
        state: str | None = None,
        limit: int = 1000,
    ) -> list[SessionRecord]:
        return await self._read(
            partial(
                records.sessions,
                since=since,
                until=until,
                id_token=id_token,
                state=state,
                limit=limit,
            )
        )

    async def throughput(
        self, *, id_token: str | None = None, since: datetime | None = None
    ) -> dict[str, Throughput]:
        return await self._read(lambda c: records.throughput(c, id_token, since))

    async def append_health(self, record: HealthRecord) -> bool:
        return await self._write(records.append_health, record)

    async def health(self, vehicle: str, *, limit: int = 1000) -> list[HealthRecord]:
        return await self._read(lambda c: records.health(c, vehicle, limit))

    async def latest_health(self) -> list[HealthRecord]:
        return await self._read(records.latest_health)

    async def append_passport(self, record: PassportRecord) -> bool:
        return await self._write(records.append_passport, record)

    async def passport(self, vehicle: str) -> list[PassportRecord]:
        return await self._read(lambda c: records.passport(c, vehicle))

    async def latest_passports(self) -> list[PassportRecord]:
        return await self._read(records.latest_passports)

    async def save_wish(self, session_id: str, wish: Wish) -> None:
        await self._write(records.save_wishes, (session_id, wish))

    async def wish(self, session_id: str) -> Wish | None:
        return await self._read(lambda c: records.wish(c, session_id))

    async def save_cycle(self, at: datetime, trigger: str, state: bytes, decision: bytes) -> int:
        row = {"at": at, "trigger": trigger, "state": state, "decision": decision}
        return await self._write(records.save_cycles, row)

    async def cycle(self, cycle_id: int) -> CycleRecord | None:
        return await self._read(lambda c: records.cycle(c, cycle_id))

    async def cycles(self, *, before_id: int | None = None, limit: int = 50) -> list[CycleRecord]:
        return await self._read(lambda c: records.cycles(c, before_id, limit))

    async def save_dispatch(self, record: DispatchRecord) -> None:
        await self._write(records.save_dispatches, record)

    async def last_dispatches(self) -> list[DispatchRecord]:
        return await self._read(records.last_dispatches)

    # -- the site's signals and prices --

    async def save_measurements(self, rows: Sequence[SiteMeasurement]) -> None:
        await self._write(records.save_measurements, rows, telemetry=True)

    async def measurements(
        self, since: datetime, until: datetime, limit: int = 100_000
    ) -> list[SiteMeasurement]:
        return await self._read(lambda c: records.measurements(c, since, until, limit))

    async def save_prices(
        self, source: str, known_at: datetime, points: Sequence[PricePoint]
    ) -> None:
        await self._write(records.save_prices, (source, known_at, points))

    async def prices(
        self, source: str, since: datetime, until: datetime, known_by: datetime | None = None
    ) -> list[PricePoint]:
        return await self._read(lambda c: records.prices(c, source, since, until, known_by))

    # -- the log of frames, and who may come in --

    async def log_frames(self, rows: Sequence[FrameRecord]) -> None:
        await self._write(records.save_frames, rows, telemetry=True)

    async def frames(
        self, station_id: str, *, before: datetime | None = None, limit: int = 200
    ) -> list[FrameRecord]:
        return await self._read(lambda c: records.frames(c, station_id, before, limit))

    async def prune(self, frames_before: datetime) -> int:
        dropped = 0
        while True:
            some = await self._write(records.prune_frames, frames_before)
            dropped += some
            if some < records.PRUNED_AT_ONCE:
                return dropped

    async def save_account(self, account: Account) -> None:
        await self._write(records.save_accounts, account)

    async def account(self, name: str) -> Account | None:
        found = await self._read(lambda c: records.accounts(c, name))
        return found[0] if found else None

    async def accounts(self) -> list[Account]:
        return await self._read(records.accounts)

    async def delete_account(self, name: str) -> bool:
        return await self._write(records.delete_accounts, name)

    async def save_value(self, key: str, value: str) -> None:
        await self._write(records.save_settings, (key, value))

    async def value(self, key: str) -> str | None:
        return await self._read(lambda c: records.setting(c, key))


async def _on(thread: Executor | None, work: Callable[[], R]) -> R:
    if thread is None:
        return work()
    return await asyncio.get_running_loop().run_in_executor(thread, work)
