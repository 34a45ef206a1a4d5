"""Views, decisions, signals, prices and accounts: one row for each record of the port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Select, Table, and_, delete, func, insert, select

from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.wishes import Wish
from gridleaf.store import tables
from gridleaf.store.journal import insert_into
from gridleaf.store.port import (
    Account,
    CycleRecord,
    DispatchRecord,
    FrameRecord,
    HealthRecord,
    PassportRecord,
    SessionRecord,
    Throughput,
)

T = TypeVar("T")
PRUNED_AT_ONCE = 5_000


def rows_of(connection: Connection, record: type[T], query: Select[Any]) -> list[T]:
    """The rows of a query as records; further columns of the query are left out."""
    return [record(**row) for row in connection.execute(query).mappings()]


def select_record(table: Table, record: type[Any]) -> Select[Any]:
    return select(*(table.c[field.name] for field in fields(record)))


def replace_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace those with the same key."""
    statement = insert_into(connection.dialect, table)
    key = list(table.primary_key)
    others = {c.name: statement.excluded[c.name] for c in table.c if c not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=others), rows)


# -- sessions and wishes --


def save_sessions(connection: Connection, items: Sequence[SessionRecord]) -> list[None]:
    replace_rows(connection, tables.sessions, [asdict(item) for item in items])
    return [None] * len(items)


def session(connection: Connection, session_id: str) -> SessionRecord | None:
    query = select_record(tables.sessions, SessionRecord)
    found = rows_of(
        connection, SessionRecord, query.where(tables.sessions.c.session_id == session_id)
    )
    return found[0] if found else None


def sessions(
    connection: Connection,
    *,
    since: datetime | None,
    until: datetime | None,
    id_token: str | None,
    state: str | None,
    limit: int,
) -> list[SessionRecord]:
    table = tables.sessions.c
    query = select_record(tables.sessions, SessionRecord)
    if since is not None:
        query = query.where(table.arrived_at >= since)
    if until is not None:
        query = query.where(table.arrived_at < until)
    if id_token is not None:
        query = query.where(func.lower(table.id_token) == id_token.lower())
    if state is not None:
        query = query.where(table.state == state)
    query = query.order_by(table.arrived_at.desc(), table.session_id).limit(limit)
    return rows_of(connection, SessionRecord, query)


def save_wishes(connection: Connection, items: Sequence[tuple[str, Wish]]) -> list[None]:
    rows = [{"session_id": session_id, **asdict(wish)} for session_id, wish in items]
    connection.execute(insert(tables.wishes), rows)
    return [None] * len(items)


def wish(connection: Connection, session_id: str) -> Wish | None:
    table = tables.wishes.c
    query = (
        select_record(tables.wishes, Wish)
        .where(table.session_id == session_id)
        .order_by(table.id.desc())
        .limit(1)
    )
    found = rows_of(connection, Wish, query)
    return found[0] if found else None


# -- batteries --


def throughput(
    connection: Connection, id_token: str | None, since: datetime | None
) -> dict[str, Throughput]:
    table = tables.sessions.c
    token = func.lower(table.id_token)
    query = select(
        token.label("vehicle"),
        func.sum(table.charged_kwh).label("charged_kwh"),
        func.sum(table.discharged_kwh).label("discharged_kwh"),
        func.min(table.arrived_at).label("since"),
    ).where(table.id_token.is_not(None), table.state != "live")
    if id_token is not None:
        query = query.where(token == id_token.lower())
    if since is not None:
        query = query.where(table.arrived_at >= since)
    found = rows_of(connection, Throughput, query.group_by(token))
    return {row.vehicle: row for row in found}


def append_rows(
    connection: Connection, table: Table, items: Sequence[HealthRecord | PassportRecord]
) -> list[bool]:
    """Whether each is new; what is there already stays as it is."""
    statement = insert_into(connection.dialect, table).on_conflict_do_nothing()
    added = statement.returning(table.c.vehicle)
    return [connection.scalar(added, asdict(item)) is not None for item in items]


def append_health(connection: Connection, items: Sequence[HealthRecord]) -> list[bool]:
    return append_rows(connection, tables.health, items)


def append_passport(connection: Connection, items: Sequence[PassportRecord]) -> list[bool]:
    return append_rows(connection, tables.passport, items)


def health(connection: Connection, vehicle: str, limit: int) -> list[HealthRecord]:
    table = tables.health.c
    query = select_record(tables.health, HealthRecord).where(table.vehicle == vehicle)
    return rows_of(connection, HealthRecord, query.order_by(table.version.desc()).limit(limit))


def latest_health(connection: Connection) -> list[HealthRecord]:
    return _latest(connection, tables.health, tables.health.c.version, HealthRecord)


def passport(connection: Connection, vehicle: str) -> list[PassportRecord]:
    table = tables.passport.c
    query = select_record(tables.passport, PassportRecord).where(table.vehicle == vehicle)
    return rows_of(connection, PassportRecord, query.order_by(table.number))


def latest_passports(connection: Connection) -> list[PassportRecord]:
    return _latest(connection, tables.passport, tables.passport.c.number, PassportRecord)


def _latest(connection: Connection, table: Table, number: Column[int], record: type[T]) -> list[T]:
    """The row of each vehicle with the highest number."""
    vehicle = table.c.vehicle
    newest = select(vehicle, func.max(number).label("number")).group_by(vehicle).subquery()
    rows = and_(vehicle == newest.c.vehicle, number == newest.c.number)
    query = select_record(table, record).join(newest, rows)
    return rows_of(connection, record, query.order_by(vehicle))


# -- control --


def save_cycles(connection: Connection, items: Sequence[dict[str, Any]]) -> list[int]:
    table = tables.cycles
    return [
        connection.execute(insert(table).values(item).returning(table.c.cycle_id)).scalar_one()
        for item in items
    ]


def cycle(connection: Connection, cycle_id: int) -> CycleRecord | None:
    query = select_record(tables.cycles, CycleRecord)
    found = rows_of(connection, CycleRecord, query.where(tables.cycles.c.cycle_id == cycle_id))
    return found[0] if found else None


def cycles(connection: Connection, before_id: int | None, limit: int) -> list[CycleRecord]:
    table = tables.cycles.c
    query = select_record(tables.cycles, CycleRecord).order_by(table.cycle_id.desc())
    if before_id is not None:
        query = query.where(table.cycle_id < before_id)
    return rows_of(connection, CycleRecord, query.limit(limit))


def save_dispatches(connection: Connection, items: Sequence[DispatchRecord]) -> list[None]:
    table = tables.dispatches
    for item in items:
        added = insert(table).values(asdict(item)).returning(table.c.id)
        newest = {
            "kind": "dispatch",
            "station_id": item.station_id,
            "evse_id": item.evse_id,
            "part": "",
            "row_id": connection.scalar(added),
        }
        replace_rows(connection, tables.latest, [newest])
    return [None] * len(items)


def last_dispatches(connection: Connection) -> list[DispatchRecord]:
    table, newest = tables.dispatches.c, tables.latest.c
    query = (
        select_record(tables.dispatches, DispatchRecord)
        .join(
            tables.latest,
            and_(newest.row_id == table.id, newest.kind == "dispatch"),
        )
        .order_by(table.station_id, table.evse_id)
    )
    return rows_of(connection, DispatchRecord, query)


# -- signals and prices --


def save_measurements(
    connection: Connection, items: Sequence[Sequence[SiteMeasurement]]
) -> list[None]:
    """Measurements of one source and instant complete each other; the newer value wins."""
    table = tables.measurements
    statement = insert_into(connection.dialect, table)
    key = list(table.primary_key)
    merged = {c.name: func.coalesce(statement.excluded[c.name], c) for c in table.c if c not in key}
    rows = [asdict(row) for row in chain.from_iterable(items)]
    if rows:
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=merged), rows)
    return [None] * len(items)


def measurements(
    connection: Connection, since: datetime, until: datetime, limit: int
) -> list[SiteMeasurement]:
    table = tables.measurements.c
    query = (
        select_record(tables.measurements, SiteMeasurement)
        .where(table.measured_at >= since, table.measured_at < until)
        .order_by(table.measured_at, table.source)
        .limit(limit)
    )
    return rows_of(connection, SiteMeasurement, query)


def save_prices(
    connection: Connection, items: Sequence[tuple[str, datetime, Sequence[PricePoint]]]
) -> list[None]:
    rows = [
        {"source": source, "known_at": known_at, **asdict(point)}
        for source, known_at, points in items
        for point in points
    ]
    if rows:
        statement = insert_into(connection.dialect, tables.prices).on_conflict_do_nothing()
        connection.execute(statement, rows)
    return [None] * len(items)


def prices(
    connection: Connection,
    source: str,
    since: datetime,
    until: datetime,
    known_by: datetime | None,
) -> list[PricePoint]:
    table, other = tables.prices.c, tables.prices.alias("other").c
    newest = select(func.max(other.known_at)).where(
        other.source == table.source, other.start == table.start
    )
    if known_by is not None:
        newest = newest.where(other.known_at <= known_by)
    query = (
        select_record(tables.prices, PricePoint)
        .where(table.source == source, table.start < until, table.end > since)
        .where(table.known_at == newest.scalar_subquery())
        .order_by(table.start)
    )
    return rows_of(connection, PricePoint, query)


# -- frames --


def save_frames(connection: Connection, items: Sequence[Sequence[FrameRecord]]) -> list[None]:
    rows = [asdict(row) for row in chain.from_iterable(items)]
    if rows:
        connection.execute(insert(tables.frames), rows)
    return [None] * len(items)


def frames(
    connection: Connection, station_id: str, before: datetime | None, limit: int
) -> list[FrameRecord]:
    table = tables.frames.c
    query = select_record(tables.frames, FrameRecord).where(table.station_id == station_id)
    if before is not None:
        query = query.where(table.at < before)
    return rows_of(
        connection, FrameRecord, query.order_by(table.at.desc(), table.id.desc()).limit(limit)
    )


def prune_frames(connection: Connection, items: Sequence[datetime]) -> list[int]:
    """Drop at most :data:`PRUNED_AT_ONCE` old frames for each item, so that others need not wait."""
    table = tables.frames
    dropped = []
    for before in items:
        old = select(table.c.id).where(table.c.at < before).limit(PRUNED_AT_ONCE)
        dropped.append(connection.execute(delete(table).where(table.c.id.in_(old))).rowcount)
    return dropped


# -- accounts, epochs, settings, starts --


def save_accounts(connection: Connection, items: Sequence[Account]) -> list[None]:
    replace_rows(connection, tables.accounts, [asdict(item) for item in items])
    return [None] * len(items)


def accounts(connection: Connection, name: str | None = None) -> list[Account]:
    query = select_record(tables.accounts, Account).order_by(tables.accounts.c.name)
    if name is not None:
        query = query.where(tables.accounts.c.name == name)
    return rows_of(connection, Account, query)


def delete_accounts(connection: Connection, items: Sequence[str]) -> list[bool]:
    table = tables.accounts
    return [
        connection.execute(delete(table).where(table.c.name == name)).rowcount > 0 for name in items
    ]


def save_settings(connection: Connection, items: Sequence[tuple[str, str]]) -> list[None]:
    replace_rows(connection, tables.settings, [{"key": k, "value": v} for k, v in items])
    return [None] * len(items)


def setting(connection: Connection, key: str) -> str | None:
    value: str | None = connection.scalar(
        select(tables.settings.c.value).where(tables.settings.c.key == key)
    )
    return value


def next_epochs(connection: Connection, items: Sequence[str]) -> list[int]:
    table = tables.epochs
    statement = insert_into(connection.dialect, table)
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={"epoch": table.c.epoch + 1}
    )
    returning = statement.returning(table.c.epoch)
    return [
        connection.execute(returning, {"station_id": station_id, "epoch": 1}).scalar_one()
        for station_id in items
    ]


def open_transactions(connection: Connection, items: Iterable[dict[str, Any]]) -> list[str | None]:
    """The id each start has, or None where the proposed one is another start's."""
    table = tables.starts
    same = [c.name for c in table.c if c.name != "transaction_id"]
    given: list[str | None] = []
    for item in items:
        known = select(table.c.transaction_id).where(
            *(table.c[name] == item[name] for name in same)
        )
        added = insert_into(connection.dialect, table).values(item).on_conflict_do_nothing()
        connection.execute(added)
        given.append(connection.scalar(known))
    return given
