"""Reading the journal: lists of events, open transactions, series of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection, and_, func, select, union

from gridleaf.domain.events import StationEvent, from_json
from gridleaf.store.journal import STATES
from gridleaf.store.port import SeriesPoint, StoredEvent
from gridleaf.store.tables import (
    IS_NEEDS,
    IS_OPEN,
    events,
    latest,
    samples,
    starts,
    transactions,
)

log = structlog.get_logger()


def listed(
    connection: Connection,
    *,
    after_id: int,
    station_id: str | None,
    kinds: Sequence[str],
    since: datetime | None,
    newest_first: bool,
    limit: int,
) -> list[StoredEvent]:
    query = select(events.c.id, events.c.body)
    if after_id > 0:
        query = query.where(events.c.id > after_id)
    if station_id is not None:
        query = query.where(events.c.station_id == station_id)
    if kinds:
        query = query.where(events.c.kind.in_(kinds))
    if since is not None:
        query = query.where(events.c.received_at >= since)
    order = events.c.id.desc() if newest_first else events.c.id
    return _parsed(connection.execute(query.order_by(order).limit(limit)))


def of_transaction(
    connection: Connection, station_id: str, transaction_id: str
) -> list[StationEvent]:
    query = (
        select(events.c.id, events.c.body)
        .where(events.c.station_id == station_id)
        .where(events.c.transaction_id == transaction_id)
        .where(events.c.seq_no.is_not(None))
        .order_by(events.c.seq_no)
    )
    return [stored.event for stored in _parsed(connection.execute(query))]


def still_open(connection: Connection) -> list[StoredEvent]:
    """What ``Store.open_history`` promises, found through the views alone."""
    reports = (
        select(events.c.id)
        .select_from(transactions)
        .join(
            events,
            and_(
                events.c.station_id == transactions.c.station_id,
                events.c.transaction_id == transactions.c.transaction_id,
            ),
        )
        .where(IS_OPEN)
    )
    states = select(latest.c.row_id).where(latest.c.kind.in_(STATES))
    oldest = (
        select(
            transactions.c.station_id,
            transactions.c.evse_id,
            func.min(transactions.c.began_at).label("began_at"),
        )
        .where(IS_OPEN)
        .group_by(transactions.c.station_id, transactions.c.evse_id)
        .subquery()
    )
    needs = (
        select(events.c.id)
        .select_from(oldest)
        .join(
            events,
            and_(
                events.c.station_id == oldest.c.station_id,
                events.c.evse_id == oldest.c.evse_id,
                events.c.received_at >= oldest.c.began_at,
            ),
        )
        .where(IS_NEEDS)
    )
    query = (
        select(events.c.id, events.c.body)
        .where(events.c.id.in_(union(reports, states, needs)))
        .order_by(events.c.id)
    )
    return _parsed(connection.execute(query))


def next_seq_no(connection: Connection, station_id: str, transaction_id: str) -> int:
    query = (
        select(transactions.c.last_seq)
        .where(transactions.c.station_id == station_id)
        .where(transactions.c.transaction_id == transaction_id)
    )
    last: int | None = connection.scalar(query)
    return 0 if last is None else last + 1


def evse_of_start(connection: Connection, station_id: str, transaction_id: str) -> int | None:
    query = (
        select(starts.c.evse_id)
        .where(starts.c.station_id == station_id)
        .where(starts.c.transaction_id == transaction_id)
    )
    evse_id: int | None = connection.scalar(query)
    return evse_id


def series(
    connection: Connection,
    station_id: str,
    evse_id: int,
    measurand: str,
    since: datetime,
    until: datetime,
    phase: str | None,
    limit: int,
) -> list[SeriesPoint]:
    query = (
        select(samples.c.measured_at, samples.c.value)
        .where(samples.c.station_id == station_id)
        .where(samples.c.evse_id == evse_id)
        .where(samples.c.measurand == measurand)
        .where(samples.c.phase == (phase or ""))
        .where(samples.c.measured_at >= since)
        .where(samples.c.measured_at < until)
        .order_by(samples.c.measured_at)
        .limit(limit)
    )
    return [SeriesPoint(at=at, value=value) for at, value in connection.execute(query)]


def _parsed(rows: Iterable[Any]) -> list[StoredEvent]:
    """Events of rows of (id, body). One that cannot be read must not keep the rest from starting."""
    found = []
    for row_id, body in rows:
        try:
            found.append(StoredEvent(id=row_id, event=from_json(body)))
        except ValidationError as error:
            log.error("stored_event_unreadable", id=row_id, problems=error.error_count())
    return found
