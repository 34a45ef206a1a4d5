"""What must survive: SQLite without a server, or PostgreSQL, behind one port."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Storage
from gridleaf.store.database import postgresql_database, sqlite_database
from gridleaf.store.port import Store
from gridleaf.store.sql import SqlStore

__all__ = ["open_store", "sqlite_store"]

FILE_NAME = "gridleaf.db"
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


def sqlite_store(path: Path | None, *, busy_timeout_s: float = 5.0) -> Store:
    """A store in a SQLite file, or in memory without a path. Not open yet.

    ``busy_timeout_s`` is how long to wait for another program's lock [s].
    """
    return SqlStore(sqlite_database(path, busy_timeout_s))


def open_store(storage: Storage) -> Store:
    """The store that a site file asks for. Not open yet.

    Raises
    ------
    ConfigError
        The URL cannot be read or is not one of PostgreSQL. It is a secret and never repeated.
    """
    if storage.url_file is not None:
        try:
            url = storage.url_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                "storage.url_file", f"cannot be read: {type(error).__name__}"
            ) from None
        return _postgresql_store("storage.url_file", url)
    if storage.url_env is not None:
        if storage.url_env not in os.environ:
            raise ConfigError("storage.url_env", f"{storage.url_env} is not set")
        return _postgresql_store("storage.url_env", os.environ[storage.url_env])
    return sqlite_store(storage.data_dir / FILE_NAME)


def _postgresql_store(path: str, url: str) -> Store:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(path, "does not hold a database URL") from None
    if parsed.drivername not in _SCHEMES:
        raise ConfigError(path, "must hold a URL of PostgreSQL (postgresql://...)")
    return SqlStore(postgresql_database(parsed))
