"""Fault 46: a damaged page or a failed migration: start refused plainly, backup kept.

The schema of every version before is readable: each ``schema_NNNN.sql`` is a database as that
version left it.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.domain.events import TransactionReported
from gridleaf.store import migrate, sqlite_store
from store_events import NOON, metered, minutes

SCHEMAS = sorted((Path(__file__).parents[1] / "unit" / "store").glob("schema_*.sql"))
MIGRATION = """
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE accounts ADD COLUMN colour TEXT")
    op.execute("DELETE FROM events")
    {last}
"""


async def write(path: Path, count: int) -> None:
    store = sqlite_store(path)
    await store.open()
    await asyncio.gather(*(store.append(metered(i)) for i in range(count)))
    await store.close()


async def read(path: Path) -> int:
    store = sqlite_store(path)
    await store.open()
    events = await store.transaction_events("S1", "T1")
    await store.close()
    return len(events)


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for one more migration; gives the file to write it to."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, folder)
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    return folder / "versions" / "v0004_next.py"


@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 0.9])
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, where: float) -> None:
    path = tmp_path / "test.db"
    asyncio.run(write(path, 500))
    content = bytearray(path.read_bytes())
    page = int(where * len(content)) // 4096 * 4096
    content[page : page + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"test\.db is damaged .*restore a backup"):
        asyncio.run(sqlite_store(path).open())
    assert path.read_bytes() == content


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    path.write_text("Dear diary,\n" * 1000)
    with pytest.raises(StoreUnavailable, match="is damaged"):
        asyncio.run(sqlite_store(path).open())
    assert path.read_text() == "Dear diary,\n" * 1000


def test_a_failed_migration_changes_nothing_and_keeps_a_copy(
    tmp_path: Path, next_version: Path
) -> None:
    path, backup = tmp_path / "test.db", tmp_path / "test.db.0003.backup"
    asyncio.run(write(path, 5))
    next_version.write_text(MIGRATION.format(last='op.execute("INSERT INTO nowhere VALUES (1)")'))
    with pytest.raises(StoreUnavailable, match=r"from schema 0003 to 0004.*test\.db\.0003\.backup"):
        asyncio.run(sqlite_store(path).open())
    assert backup.stat().st_mode & 0o777 == 0o600
    next_version.unlink()
    assert asyncio.run(read(path)) == 5
    assert asyncio.run(read(backup)) == 5


def test_a_migration_keeps_a_copy_of_what_was_before(tmp_path: Path, next_version: Path) -> None:
    path = tmp_path / "test.db"
    asyncio.run(write(path, 5))
    next_version.write_text(MIGRATION.format(last=""))
    assert asyncio.run(read(path)) == 0
    next_version.unlink()
    assert asyncio.run(read(tmp_path / "test.db.0003.backup")) == 5
    with pytest.raises(StoreUnavailable, match=r"schema 0004, written by a newer gridleaf"):
        asyncio.run(read(path))


def test_there_is_a_database_of_every_schema() -> None:
    versions = {path.stem.removeprefix("schema_") for path in SCHEMAS}
    migrations = {p.stem[1:5] for p in (migrate.MIGRATIONS / "versions").glob("v*.py")}
    assert versions == migrations


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.stem)
def test_a_database_of_every_schema_so_far_is_readable(tmp_path: Path, schema: Path) -> None:
    path = tmp_path / "test.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(schema.read_text(encoding="utf-8"))
    connection.close()

    async def main() -> None:
        store = sqlite_store(path)
        await store.open()
        assert await store.transaction_events("S1", "T1") == [metered(i) for i in range(3)]
        history = [stored.event for stored in await store.open_history()]
        assert [e.kind for e in history] == ["booted", "status", *["transaction"] * 3, "needs"]
        assert {e.transaction_id for e in history if isinstance(e, TransactionReported)} == {"T1"}
        assert not await store.append(metered(2))
        assert await store.append(metered(3))
        assert await store.next_seq_no("S1", "T1") == 4
        assert len(await store.series("S1", 1, "SoC", NOON, minutes(9))) == 4
        assert await store.next_epoch("S1") == 2
        assert await store.open_transaction("S1", 1, "tag", NOON, 12.5, "18") == "17"
        (session,) = await store.sessions()
        assert (session.charged_kwh, session.flags) == (1.5, ("incomplete",))
        wish = await store.wish(session.session_id)
        assert wish is not None
        assert wish.departure_at == minutes(60)
        (cycle,) = await store.cycles()
        assert (cycle.state, cycle.decision) == (b"{}", b"[]")
        assert [d.steps for d in await store.last_dispatches()] == [((0, 7.5),)]
        (measured,) = await store.measurements(NOON, minutes(1))
        assert measured.grid_phase_a == (1.0, 2.0, 3.0)
        assert [p.price_per_kwh for p in await store.prices("a", NOON, minutes(1))] == [0.25]
        assert [f.frame for f in await store.frames("S1")] == ["[]"]
        assert [a.name for a in await store.accounts()] == ["ada"]
        assert await store.value("key") == "value"
        kept = schema.stem > "schema_0001"
        assert [h.mean for h in await store.health("tag")] == [(3.5, 0.0, -0.01)] * kept
        assert [p.entry for p in await store.passport("tag")] == ["{}"] * kept
        assert session.driver_eur == (0.4 if kept else None)
        assert session.life_eur == (0.1 if schema.stem > "schema_0002" else None)
        await store.close()

    asyncio.run(main())
