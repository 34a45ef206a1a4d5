"""Opening: schema, refusal, permissions, and where the site file says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from gridleaf.domain.errors import ConfigError, StoreUnavailable
from gridleaf.domain.site import Storage
from gridleaf.store import open_store, sqlite_store
from gridleaf.store.database import Database
from gridleaf.store.sql import SqlStore
from gridleaf.store.tables import metadata
from store_events import report

SECRET = "postgresql://someone:hunter2@127.0.0.1:1/nothing"


def test_the_migrations_make_exactly_the_tables(database: Database) -> None:
    async def main() -> None:
        store = SqlStore(database)
        await store.open()
        differences = await store._read(
            lambda c: compare_metadata(MigrationContext.configure(c), metadata)
        )
        assert differences == []
        await store.close()

    asyncio.run(main())


def test_two_that_open_an_empty_database_at_once_both_get_it(
    durable: Callable[[], Database],
) -> None:
    async def main() -> None:
        stores = [SqlStore(durable()) for _ in range(3)]
        await asyncio.gather(*(store.open() for store in stores))
        assert [await store.append(report(i)) for i, store in enumerate(stores)] == [True] * 3
        assert len(await stores[0].transaction_events("S1", "T1")) == 3
        for store in stores:
            await store.close()

    asyncio.run(main())


def test_a_schema_of_a_newer_gridleaf_is_refused(durable: Callable[[], Database]) -> None:
    async def main() -> None:
        store = SqlStore(durable())
        await store.open()
        await store.close()
        with durable().engine.connect() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        with pytest.raises(StoreUnavailable, match=r"schema 9999, written by a newer gridleaf"):
            await SqlStore(durable()).open()

    asyncio.run(main())


def test_the_database_and_its_log_are_for_the_owner_only(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "deep" / "down" / "test.db"
        store = sqlite_store(path)
        await store.open()
        await store.append(report(0))
        assert {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()} == {
            "test.db": 0o600,
            "test.db-wal": 0o600,
            "test.db-shm": 0o600,
        }
        assert path.parent.stat().st_mode & 0o777 == 0o700
        await store.close()

    old = os.umask(0o000)
    try:
        asyncio.run(main())
    finally:
        os.umask(old)


def test_a_folder_where_the_file_should_be_is_refused_plainly(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        asyncio.run(sqlite_store(tmp_path).open())
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="file"):
        asyncio.run(sqlite_store(tmp_path / "file" / "test.db").open())


def test_the_site_file_says_where(tmp_path: Path, new_database: Callable[[], str]) -> None:
    url_file = tmp_path / "url"
    url_file.write_text(new_database() + "\n")

    async def main() -> None:
        for storage in (Storage(data_dir=tmp_path / "data"), Storage(url_file=url_file)):
            for fresh in (True, False):
                store = open_store(storage)
                await store.open()
                assert await store.append(report(0)) is fresh
                await store.close()

    asyncio.run(main())
    assert (tmp_path / "data" / "gridleaf.db").is_file()


def test_a_url_that_cannot_be_used_is_refused_without_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_URL", "hunter2")
    monkeypatch.setenv("OTHER_URL", SECRET.replace("postgresql", "mysql"))
    (tmp_path / "binary").write_bytes(b"hunter2\xff")
    for storage, name in (
        (Storage(url_env="STORE_URL"), "storage.url_env"),
        (Storage(url_env="OTHER_URL"), "storage.url_env"),
        (Storage(url_env="NO_URL"), "storage.url_env"),
        (Storage(url_file=tmp_path / "none"), "storage.url_file"),
        (Storage(url_file=tmp_path / "binary"), "storage.url_file"),
    ):
        with pytest.raises(ConfigError) as refused:
            open_store(storage)
        assert refused.value.path == name
        assert "hunter2" not in str(refused.value)


def test_a_server_that_is_not_there_is_told_without_the_url(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORE_URL", SECRET)
    with pytest.raises(StoreUnavailable, match="PostgreSQL is not available") as refused:
        asyncio.run(open_store(Storage(url_env="STORE_URL")).open())
    printed = capfd.readouterr()
    assert "hunter2" not in str(refused.value) + printed.out + printed.err
