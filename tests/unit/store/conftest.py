"""The same tests on every database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from gridleaf.store.database import Database, postgresql_database, sqlite_database

MakeDatabase = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def durable(request: pytest.FixtureRequest, tmp_path: Path) -> MakeDatabase:
    """Gives the same database, at first empty, each time it is called."""
    if request.param == "sqlite":
        return lambda: sqlite_database(tmp_path / "data" / "test.db", busy_timeout_s=5.0)
    url = make_url(request.getfixturevalue("new_database")())
    return lambda: postgresql_database(url)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database."""
    if request.param == "memory":
        return sqlite_database(None, busy_timeout_s=5.0)
    if request.param == "sqlite":
        return sqlite_database(tmp_path / "test.db", busy_timeout_s=5.0)
    return postgresql_database(make_url(request.getfixturevalue("new_database")()))
