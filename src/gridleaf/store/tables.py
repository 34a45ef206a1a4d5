"""The tables, the same on SQLite and PostgreSQL; a column has the name of the field it keeps.

Instants are whole microseconds since 1970 UTC on both databases: exact, small and fast to compare.
``events`` is the record of what stations reported and is only ever added to. ``transactions``,
``samples`` and ``latest`` are views of it, kept in the same commit so that no question about the
present has to read the past.
"""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    func,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Microseconds since 1970 UTC; a naive time is a ``TypeError``."""
    return (at - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """Inverse of :func:`micros`."""
    return _EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """An aware UTC ``datetime``."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else micros(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else instant(value)


class Listed(TypeDecorator[tuple[Any, ...]]):
    """A tuple of plain values or of tuples of them, as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[Any, ...] | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> tuple[Any, ...] | None:
        if value is None:
            return None
        return tuple(tuple(v) if isinstance(v, list) else v for v in json.loads(value))


class Packed(TypeDecorator[bytes]):
    """Bytes, compressed."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else zlib.compress(value, level=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> bytes | None:
        return None if value is None else zlib.decompress(value)


def _number(name: str = "id") -> Column[int]:
    """A rising number given by the database; SQLite counts only a plain INTEGER."""
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _key(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _must(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _may(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind)


metadata = MetaData()

events = Table(
    "events",
    metadata,
    _number(),
    _must("kind"),
    _must("station_id"),
    _may("evse_id", Integer),
    _may("transaction_id"),
    _may("seq_no", BigInteger),
    _may("phase"),
    _must("received_at", Instant),
    _must("body"),
)
"""``seq_no`` is null where each report counts (``domain.events.identity``): nulls never collide."""
Index(
    "events_of_transaction",
    events.c.station_id,
    events.c.transaction_id,
    events.c.seq_no,
    unique=True,
)
Index("events_of_station", events.c.station_id, events.c.id)
Index("events_of_kind", events.c.kind, events.c.id)
IS_NEEDS = text("kind = 'needs'")
Index(
    "needs_of_evse",
    events.c.station_id,
    events.c.evse_id,
    events.c.received_at,
    sqlite_where=IS_NEEDS,
    postgresql_where=IS_NEEDS,
)

transactions = Table(
    "transactions",
    metadata,
    _key("station_id"),
    _key("transaction_id"),
    _may("evse_id", Integer),
    _must("began_at", Instant),
    _must("first_seq", BigInteger),
    _must("last_seq", BigInteger),
    _must("events", BigInteger),
    _must("started", Boolean),
    _must("ended", Boolean),
    _must("gap", Boolean),
    sqlite_with_rowid=False,
)
"""``began_at`` is the earliest time any event of it speaks of; ``gap``: the start or a number between
the first and the last is missing."""
IS_OPEN = ~transactions.c.ended
Index(
    "open_transactions",
    transactions.c.station_id,
    transactions.c.evse_id,
    transactions.c.transaction_id,
    sqlite_where=IS_OPEN,
    postgresql_where=IS_OPEN,
)

samples = Table(
    "samples",
    metadata,
    _key("station_id"),
    _key("evse_id", Integer),
    _key("measurand"),
    _key("phase"),
    _key("measured_at", Instant),
    _must("value", Double),
    sqlite_with_rowid=False,
)
"""``phase`` is "" for the sum and for what has no phase."""

latest = Table(
    "latest",
    metadata,
    _key("kind"),
    _key("station_id"),
    _key("evse_id", Integer),
    _key("part"),
    _must("row_id", BigInteger),
    sqlite_with_rowid=False,
)
"""The newest row of ``events`` (by kind of event) or ``dispatches`` (kind ``dispatch``).

``part`` is the connector of a ``status``, the source of an ``external_limit``, else "".
"""

starts = Table(
    "starts",
    metadata,
    _key("station_id"),
    _key("transaction_id"),
    _must("evse_id", Integer),
    _must("id_token"),
    _must("started_at", Instant),
    _must("meter_start_kwh", Double),
)
"""Transaction ids given out to OCPP 1.6 stations."""
Index(
    "one_id_per_start",
    starts.c.station_id,
    starts.c.evse_id,
    starts.c.id_token,
    starts.c.started_at,
    starts.c.meter_start_kwh,
    unique=True,
)

epochs = Table("epochs", metadata, _key("station_id"), _must("epoch", BigInteger))

sessions = Table(
    "sessions",
    metadata,
    _key("session_id"),
    _must("station_id"),
    _may("evse_id", Integer),
    _must("transaction_id"),
    _may("id_token"),
    _must("arrived_at", Instant),
    _may("departed_at", Instant),
    _must("state"),
    _must("charged_kwh", Double),
    _must("discharged_kwh", Double),
    _may("arrival_soc", Double),
    _may("departure_soc", Double),
    _may("capacity_kwh", Double),
    _may("target_kwh", Double),
    _may("departure_at", Instant),
    _may("unmet_kwh", Double),
    _may("reachable_kwh", Double),
    _may("cost_eur", Double),
    _may("uncontrolled_cost_eur", Double),
    _must("flags", Listed),
    _may("driver_eur", Double),
    _may("life_eur", Double),
)
Index("sessions_arrived", sessions.c.arrived_at)
Index("sessions_of_state", sessions.c.state, sessions.c.arrived_at)
Index("sessions_of_token", func.lower(sessions.c.id_token), sessions.c.arrived_at)

health = Table(
    "health",
    metadata,
    _key("vehicle"),
    _key("version", Integer),
    _must("at", Instant),
    _must("session_id"),
    _must("verdict"),
    _must("weight", Double),
    _must("sessions", Integer),
    _must("misfits", Integer),
    _must("nominal_kwh", Double),
    _must("capacity_kwh", Double),
    _must("low_kwh", Double),
    _must("high_kwh", Double),
    _must("mean", Listed),
    _must("covariance", Listed),
    sqlite_with_rowid=False,
)
"""Only ever added to."""
Index("health_of_session", health.c.vehicle, health.c.session_id, unique=True)

passport = Table(
    "passport",
    metadata,
    _key("vehicle"),
    _key("number", Integer),
    _must("entry"),
    sqlite_with_rowid=False,
)
"""Only ever added to; ``entry`` to the byte as it was signed."""

wishes = Table(
    "wishes",
    metadata,
    _number(),
    _must("session_id"),
    _may("departure_at", Instant),
    _may("energy_kwh", Double),
    _may("target_soc", Double),
    _may("reserve_soc", Double),
    _may("v2g", Boolean),
    _must("said_by"),
    _may("said_at", Instant),
)
Index("wishes_of_session", wishes.c.session_id, wishes.c.id)

cycles = Table(
    "cycles",
    metadata,
    _number("cycle_id"),
    _must("at", Instant),
    _must("trigger"),
    _must("state", Packed),
    _must("decision", Packed),
)

dispatches = Table(
    "dispatches",
    metadata,
    _number(),
    _must("station_id"),
    _must("evse_id", Integer),
    _may("transaction_id"),
    _must("sent_at", Instant),
    _may("expires_at", Instant),
    _must("steps", Listed),
    _must("accepted", Boolean),
    _must("status"),
    _must("profile_id", BigInteger),
    _must("rung", Integer),
)

measurements = Table(
    "measurements",
    metadata,
    _key("measured_at", Instant),
    _key("source"),
    _may("grid_kw", Double),
    _may("pv_kw", Double),
    _may("load_kw", Double),
    _may("grid_phase_a", Listed),
    sqlite_with_rowid=False,
)

prices = Table(
    "prices",
    metadata,
    _key("source"),
    _key("start", Instant),
    _key("known_at", Instant),
    _must("end", Instant),
    _must("price_per_kwh", Double),
    sqlite_with_rowid=False,
)

frames = Table(
    "frames",
    metadata,
    _number(),
    _must("station_id"),
    _must("at", Instant),
    _must("outgoing", Boolean),
    _must("frame"),
)
Index("frames_of_station", frames.c.station_id, frames.c.at)
Index("frames_at", frames.c.at)

accounts = Table(
    "accounts",
    metadata,
    _key("name"),
    _must("kind"),
    _must("role"),
    _must("secret_hash"),
    _must("created_at", Instant),
)

settings = Table("settings", metadata, _key("key"), _must("value"))
