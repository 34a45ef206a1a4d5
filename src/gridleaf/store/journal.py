"""Appending to the journal of what stations reported, with the views kept in the same commit.

This is the hot path of the store: its statements are compiled once and handed straight to the
driver, a group of events at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    Table,
    Update,
    bindparam,
    case,
    false,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from gridleaf.domain.events import (
    TRANSACTION_REUSED,
    ExternalLimitReported,
    MeterReported,
    StationEvent,
    StatusReported,
    TransactionReported,
    to_json,
)
from gridleaf.domain.meter import MeterSample
from gridleaf.store.database import driver
from gridleaf.store.tables import Instant, events, latest, micros, samples, transactions

STATES = ("booted", "status", "capabilities", "external_limit")
"""Kinds of events of which only the newest says something about the present."""


_WITH_SAMPLES = (TransactionReported, MeterReported)


def insert_into(dialect: Dialect, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT; both databases spell it the same, SQLAlchemy does not."""
    return sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)


class Journal:
    """The statements of :meth:`append` for one kind of database."""

    def __init__(self, dialect: Dialect) -> None:
        self._pipelined = dialect.name == "postgresql"
        columns = [c.name for c in events.c if c.name != "id"]
        event = insert_into(dialect, events).on_conflict_do_nothing()
        self._event = _compiled(
            event.returning(events.c.id) if self._pipelined else event, dialect, columns
        )
        self._transaction = _compiled(
            _merged(insert_into(dialect, transactions)), dialect, list(transactions.c.keys())
        )
        self._reopened = _compiled(
            update(transactions)
            .where(transactions.c.station_id == bindparam("station"))
            .where(transactions.c.transaction_id == bindparam("transaction"))
            .values(ended=false()),
            dialect,
            ["station", "transaction"],
        )
        self._sample = _compiled(
            insert_into(dialect, samples).on_conflict_do_nothing(),
            dialect,
            list(samples.c.keys()),
        )
        of_transaction = (
            select(
                transactions.c.station_id,
                transactions.c.evse_id,
                bindparam("measurand", type_=samples.c.measurand.type),
                bindparam("phase", type_=samples.c.phase.type),
                bindparam("measured_at", type_=Instant),
                bindparam("value", type_=samples.c.value.type),
            )
            .where(transactions.c.station_id == bindparam("station"))
            .where(transactions.c.transaction_id == bindparam("transaction"))
            .where(transactions.c.evse_id.is_not(None))
        )
        self._sample_of_transaction = _compiled(
            insert_into(dialect, samples)
            .from_select(list(samples.c.keys()), of_transaction)
            .on_conflict_do_nothing(),
            dialect,
            ["measurand", "phase", "measured_at", "value", "station", "transaction"],
        )
        newest = insert_into(dialect, latest)
        self._newest = _compiled(
            newest.on_conflict_do_update(
                index_elements=list(latest.primary_key), set_={"row_id": newest.excluded.row_id}
            ),
            dialect,
            list(latest.c.keys()),
        )

    def append(self, connection: Connection, items: Sequence[StationEvent]) -> list[bool]:
        """Add events; False for each that is there already, also earlier in ``items``.

        A sample goes to the EVSE its event names, else to the one its transaction is known to be
        at; one that belongs to neither, and one that is not a finite number, stays in the event
        alone. Of two values for the same instant the first counts.
        """
        cursor = driver(connection).cursor()
        ids = self._add(cursor, [_event_row(event) for event in items])
        fresh = [(at, event) for at, event in zip(ids, items, strict=True) if at is not None]
        merges: list[tuple[Any, ...]] = []
        placed: list[tuple[Any, ...]] = []
        unplaced: list[tuple[Any, ...]] = []
        states: list[tuple[Any, ...]] = []
        reopened: list[tuple[str, str]] = []
        for row_id, event in fresh:
            if isinstance(event, TransactionReported):
                merges.append(_transaction_row(event))
                if event.phase == "started" and TRANSACTION_REUSED in event.flags:
                    reopened.append((event.station_id, event.transaction_id))
            elif event.kind in STATES:
                states.append(_state_row(event, row_id))
            if isinstance(event, _WITH_SAMPLES) and event.samples:
                station = event.station_id
                rows = [_sample_row(s) for s in event.samples if math.isfinite(s.value)]
                if event.evse_id is not None:
                    placed.extend((station, event.evse_id, *row) for row in rows)
                elif event.transaction_id is not None:
                    unplaced.extend((*row, station, event.transaction_id) for row in rows)
        for sql, rows in (
            (self._reopened, reopened),
            (self._transaction, merges),
            (self._sample, placed),
            (self._sample_of_transaction, unplaced),
            (self._newest, states),
        ):
            if rows:
                cursor.executemany(sql, rows)
        cursor.close()
        return [row_id is not None for row_id in ids]

    def _add(self, cursor: Any, rows: Sequence[tuple[Any, ...]]) -> list[int | None]:
        """Ids of the new rows, None for those that were there.

        PostgreSQL takes all of them in one round trip. SQLite has no round trips to save, and a
        RETURNING that is not read to its end makes every statement after it slow.
        """
        if not self._pipelined:
            return [
                cursor.lastrowid if cursor.execute(self._event, row).rowcount else None
                for row in rows
            ]
        cursor.executemany(self._event, rows, returning=True)
        found: list[tuple[int] | None] = [cursor.fetchone()]
        while cursor.nextset():
            found.append(cursor.fetchone())
        return [row[0] if row is not None else None for row in found]


def _compiled(statement: Any, dialect: Dialect, parameters: list[str]) -> str:
    """The SQL of a statement that takes ``parameters`` in just that order."""
    columns = None if isinstance(statement, Update) else parameters
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    assert compiled.positiontup == parameters, compiled.positiontup
    return str(compiled)


def _merged(insert: Any) -> Any:
    """The upsert that folds one more event into its transaction; an ended one stays ended.

    Only a start that uses its name again opens it, just before.
    """
    kept, new = transactions.c, insert.excluded
    merged = {
        "evse_id": func.coalesce(kept.evse_id, new.evse_id),
        "began_at": case((new.began_at < kept.began_at, new.began_at), else_=kept.began_at),
        "first_seq": case((new.first_seq < kept.first_seq, new.first_seq), else_=kept.first_seq),
        "last_seq": case((new.last_seq > kept.last_seq, new.last_seq), else_=kept.last_seq),
        "events": kept.events + literal_column("1"),
        "started": or_(kept.started, new.started),
        "ended": or_(kept.ended, new.ended),
    }
    missing = merged["last_seq"] - merged["first_seq"] + literal_column("1") > merged["events"]
    merged["gap"] = or_(~merged["started"], missing)
    return insert.on_conflict_do_update(index_elements=list(transactions.primary_key), set_=merged)


def _event_row(event: StationEvent) -> tuple[Any, ...]:
    seq_no = phase = None
    if isinstance(event, TransactionReported):
        seq_no, phase = event.seq_no, event.phase
    return (
        event.kind,
        event.station_id,
        getattr(event, "evse_id", None),
        getattr(event, "transaction_id", None),
        seq_no,
        phase,
        micros(event.received_at),
        to_json(event).decode(),
    )


def _transaction_row(event: TransactionReported) -> tuple[Any, ...]:
    started = event.phase == "started"
    return (
        event.station_id,
        event.transaction_id,
        event.evse_id,
        min(micros(event.occurred_at), micros(event.received_at)),
        event.seq_no,
        event.seq_no,
        1,
        started,
        event.phase == "ended",
        not started,
    )


def _sample_row(sample: MeterSample) -> tuple[Any, ...]:
    return sample.measurand, sample.phase or "", micros(sample.measured_at), sample.value


def _state_row(event: StationEvent, row_id: int) -> tuple[Any, ...]:
    part = ""
    if isinstance(event, StatusReported):
        part = str(event.connector_id)
    elif isinstance(event, ExternalLimitReported):
        part = event.source
    return event.kind, event.station_id, getattr(event, "evse_id", 0), part, row_id
