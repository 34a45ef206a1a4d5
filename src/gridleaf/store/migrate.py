"""Bring a database up to this program's schema, or refuse it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.store.database import DATABASE_ERRORS, Database, Link, unavailable

log = structlog.get_logger()

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x67726964
"""Any number that every gridleaf agrees on ("grid")."""


def prepare(database: Database) -> None:
    """Create or check the database and run the migrations that it lacks, under a lock.

    A SQLite file that has to be migrated is copied beside itself first; a migration that fails
    leaves both as they were.

    Raises
    ------
    StoreUnavailable
        The database is damaged, newer than this program, or cannot be opened or migrated.
    """
    try:
        if database.path is not None:
            _create(database.path)
            _check(database.path)
        link = Link(database)
        try:
            link.run(lambda connection: _migrate(connection, database.path))
        finally:
            link.close()
    except DATABASE_ERRORS as error:
        raise unavailable(error) from error
    except OSError as error:
        raise StoreUnavailable(f"{database.path}: {error.strerror}") from error


def _create(path: Path) -> None:
    """Only the owner may read it; SQLite gives its log and its index the same rights."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)


def _check(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        found = str(error)
    finally:
        connection.close()
    if found != "ok":
        raise StoreUnavailable(
            f"{path} is damaged ({found.splitlines()[-1]}); restore a backup or move the file away"
        )


def _migrate(connection: Connection, path: Path | None) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '10min'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    current, head = (
        MigrationContext.configure(connection).get_current_revision(),
        scripts.get_current_head(),
    )
    if current == head:
        return
    if current is not None and current not in known:
        raise StoreUnavailable(
            f"the database has schema {current}, written by a newer gridleaf; this one knows {head}"
        )
    kept = _back_up(path, current) if path is not None and current is not None else None
    try:
        command.upgrade(config, "head")
    except (SQLAlchemyError, sqlite3.Error) as error:
        backup = f"; a copy from before is {kept}" if kept is not None else ""
        raise StoreUnavailable(
            f"the database could not be migrated from schema {current} to {head}{backup}"
        ) from error
    if current is not None:
        log.info("store_migrated", before=current, now=head, backup=str(kept))


def _back_up(path: Path, revision: str) -> Path:
    """Copy the committed content, log included; the lock for writing is ours meanwhile."""
    kept = path.with_name(f"{path.name}.{revision}.backup")
    part = kept.with_name(f"{kept.name}.part")
    os.close(os.open(part, os.O_CREAT | os.O_TRUNC, 0o600))
    source, target = sqlite3.connect(path), sqlite3.connect(part)
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()
    shutil.move(part, kept)
    return kept
