"""Who leads a site: at most one process at a time commands the stations behind a database."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import structlog
from sqlalchemy import Connection, text

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.store.database import DATABASE_ERRORS, Database, unavailable

log = structlog.get_logger()

_LOCK = 0x6C656166
"""Any number that every gridleaf agrees on ("leaf")."""


class Lead:
    """The right to lead, held as long as this process lives and its database knows it.

    A file lock beside a SQLite database, an advisory lock of a connection of its own on PostgreSQL:
    both end with the process, however it ends, so that nobody waits for a dead one. A database in
    memory is nobody else's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._file: int | None = None
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Take the lead, or make sure of it; False while another process has it.

        Raises
        ------
        StoreUnavailable
            The database cannot be asked.
        """
        if self._database.in_memory:
            return True
        if self._database.path is not None:
            return self._file is not None or self._lock(self._database.path)
        try:
            return self._ask()
        except DATABASE_ERRORS as error:
            self.give_up()
            raise unavailable(error) from error

    def give_up(self) -> None:
        """Let another process lead."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                # at once, not when the server notices that the connection is gone
                with connection.begin():
                    connection.execute(text("SELECT pg_advisory_unlock_all()"))
                connection.close()
            except DATABASE_ERRORS as error:
                log.debug("broken_connection_closed", reason=type(error).__name__)

    def _lock(self, database: Path) -> bool:
        path = database.with_name(f"{database.name}.lock")
        try:
            file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"{path}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def _ask(self) -> bool:
        """The lock is there as long as its connection is; a dead one is replaced and asks anew."""
        if self._connection is not None:
            try:
                with self._connection.begin():
                    self._connection.execute(text("SELECT 1"))
                return True
            except DATABASE_ERRORS:
                self.give_up()
        connection = self._database.engine.connect()
        with connection.begin():
            lock = text("SELECT pg_try_advisory_lock(:lock)")
            taken = bool(connection.scalar(lock, {"lock": _LOCK}))
        if taken:
            self._connection = connection
        else:
            connection.close()
        return taken
