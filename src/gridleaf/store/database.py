"""Connections to SQLite and PostgreSQL, and what their errors mean."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, StaticPool

from gridleaf.domain.errors import StoreUnavailable

R = TypeVar("R")
log = structlog.get_logger()

DATABASE_ERRORS = (DBAPIError, sqlite3.Error, psycopg.Error, OverflowError)
"""The last is how SQLite's driver refuses a number of more than 64 bits."""

_CACHE_KIB = 65_536
_POSTGRESQL_ARGS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""libpq: a server that has silently gone is noticed within seconds, not after the kernel's 15 min."""
_SQLITE_REASONS = {
    sqlite3.SQLITE_BUSY: "another program holds the database",
    sqlite3.SQLITE_LOCKED: "another program holds the database",
    sqlite3.SQLITE_READONLY: "the database cannot be written to",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk does not work",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
}
_FATAL = re.compile(r"FATAL: +(.+)")
"""What the server says when it refuses a connection; it names the account but no secret."""


class WriteRefused(StoreUnavailable):
    """The database works but did not take this write; another one may pass."""


class CommitUnknown(StoreUnavailable):
    """The connection was lost while committing: the write is there or not, and nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where connections come from. ``path`` is the SQLite file; None in memory and for PostgreSQL."""

    engine: Engine
    path: Path | None = None
    in_memory: bool = False


def sqlite_database(path: Path | None, busy_timeout_s: float) -> Database:
    """SQLite in a file (write-ahead log, every commit synced), or in memory without a path."""
    engine = create_engine(
        URL.create("sqlite", database=None if path is None else str(path)),
        poolclass=StaticPool if path is None else NullPool,
        pool_reset_on_return=None,
        connect_args={"check_same_thread": False, "timeout": busy_timeout_s},
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        # The driver would begin transactions behind our back, and none for DDL.
        connection.isolation_level = None
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if path is not None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reads", False)
        driver(connection).execute("BEGIN" if reads else "BEGIN IMMEDIATE")

    return Database(engine=engine, path=path, in_memory=path is None)


def postgresql_database(url: URL) -> Database:
    """PostgreSQL through psycopg 3; commits wait for the server's disk whatever its default is."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        pool_reset_on_return=None,
        paramstyle="format",
        connect_args=_POSTGRESQL_ARGS,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: psycopg.Connection[Any], _: ConnectionPoolEntry) -> None:
        connection.execute("SET synchronous_commit = on; SET lock_timeout = '5s'")
        connection.commit()

    return Database(engine=engine)


def driver(connection: Connection) -> Any:
    """The driver's own connection, for the few statements that run thousands of times a second."""
    return connection.connection.driver_connection


def unavailable(error: Exception) -> StoreUnavailable:
    """What an error of a database means, in plain words and without addresses or passwords."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        reason = _SQLITE_REASONS.get(code, str(cause))
        refused = code == sqlite3.SQLITE_FULL or code not in _SQLITE_REASONS
        return WriteRefused(reason) if refused else StoreUnavailable(reason)
    if isinstance(cause, psycopg.errors.DiskFull):
        return WriteRefused("the disk is full")
    if isinstance(cause, psycopg.errors.ReadOnlySqlTransaction):
        return StoreUnavailable("the database cannot be written to")
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        told = _FATAL.search(str(cause))
        return StoreUnavailable(
            f"PostgreSQL is not available: {told[1] if told else type(cause).__name__}"
        )
    return WriteRefused(str(cause).partition("\n")[0])


class Link:
    """One connection for one thread, made when it is needed and made anew after it broke."""

    def __init__(self, database: Database, *, reads: bool = False) -> None:
        self._engine = database.engine.execution_options(reads=reads)
        self._connection: Connection | None = None

    def run(self, work: Callable[[Connection], R]) -> R:
        """Run ``work`` in a transaction of its own and commit it.

        A connection that turns out to be dead before the commit is replaced once.

        Raises
        ------
        StoreUnavailable
            The database could not; nothing of ``work`` is there (but see :class:`CommitUnknown`).
        """
        try:
            return self._attempt(work)
        except _Stale:
            log.warning("store_reconnects")
        try:
            return self._attempt(work)
        except _Stale as stale:
            raise unavailable(stale.error) from stale.error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _attempt(self, work: Callable[[Connection], R]) -> R:
        raw: Any = None
        committing = False
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            raw = driver(self._connection)
            transaction = self._connection.begin()
            try:
                result = work(self._connection)
                committing = True
                transaction.commit()
            except BaseException:
                transaction.rollback()
                raise
        except DATABASE_ERRORS as error:
            self._discard()
            lost = getattr(raw, "closed", False)
            if lost and committing:
                raise CommitUnknown("the connection was lost while committing") from error
            if lost:
                raise _Stale(error) from error
            raise unavailable(error) from error
        return result

    def _discard(self) -> None:
        try:
            self.close()
        except DATABASE_ERRORS as error:
            log.debug("broken_connection_closed", reason=type(error).__name__)


class _Stale(Exception):
    """The connection had died before anything was committed on it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
