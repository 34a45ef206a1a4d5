"""Fault 48: two controllers for one site.

Required: one leads; the other one sends nothing.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psycopg
import pytest
from sqlalchemy import make_url

from gridleaf.cli import main
from gridleaf.domain.errors import ConnectionLost
from gridleaf.store.database import Database, postgresql_database, sqlite_database
from gridleaf.store.sql import SqlStore
from scenario.depot import Depot, car, play

PROGRAM = "from gridleaf.cli import main; main()"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """The same database each time, as two processes would see it."""
    if request.param == "sqlite":
        return lambda: sqlite_database(tmp_path / "site.db", busy_timeout_s=5.0)
    url = make_url(request.getfixturevalue("new_database")())
    return lambda: postgresql_database(url)


def test_fault_48_one_of_two_leads_and_the_other_follows_when_it_ends(
    database: Callable[[], Database],
) -> None:
    async def scene() -> None:
        first, second = SqlStore(database()), SqlStore(database())
        await first.open()
        await second.open()
        assert await first.lead()
        assert not await second.lead()
        assert await first.lead()
        await first.close()
        assert await second.lead()
        await second.close()

    asyncio.run(scene())


def test_fault_48_who_lost_the_database_does_not_get_the_lead_back_from_another(
    new_database: Callable[[], str],
) -> None:
    url = make_url(new_database())

    async def scene() -> None:
        first, second = SqlStore(postgresql_database(url)), SqlStore(postgresql_database(url))
        await first.open()
        assert await first.lead()
        await second.open()
        end_connections(url.render_as_string(hide_password=False))
        assert await second.lead()
        assert not await first.lead()
        await second.close()
        assert await first.lead()
        await first.close()

    asyncio.run(scene())


def end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_fault_48_who_does_not_lead_sends_nothing_until_it_leads_again() -> None:
    async def scene(depot: Depot) -> None:
        leads = True

        async def lead() -> bool:
            return leads

        depot.platform.store.lead = lead  # type: ignore[method-assign]
        session = await depot.plug("DC-1", car("A", 0.1), leaves=30.0)
        await depot.minutes(6)
        assert depot.told("DC-1", "SetChargingProfile")
        leads = False
        await depot.minutes(6)
        before = len(depot.told("DC-1", "SetChargingProfile"))
        moved = len(depot.told("DC-1", "UpdateDynamicSchedule"))
        await depot.minutes(20)
        assert len(depot.told("DC-1", "SetChargingProfile")) == before
        assert len(depot.told("DC-1", "UpdateDynamicSchedule")) == moved
        for command in (
            depot.platform.remote_stop(session.session_id),
            depot.platform.request("DC-1", "Reset", {"type": "Immediate"}),
        ):
            with pytest.raises(ConnectionLost, match="another process leads"):
                await command
        assert depot.decisions[-1][1].alerts[0].kind == "not_leading"
        leads = True
        await depot.minutes(6)
        assert len(depot.told("DC-1", "SetChargingProfile")) > before
        assert "not_leading" not in {a.kind for a in depot.decisions[-1][1].alerts}

    play(scene, start=22.0, fair=False)


def test_fault_48_a_second_process_on_the_same_store_is_refused(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    with pytest.raises(SystemExit):
        main(["init", str(site)])
    first = start(site)
    try:
        assert first.stdout is not None
        assert first.stdout.readline().startswith("Stations: ")
        second = start(site)
        said = second.communicate(timeout=60)[1]
        assert second.returncode == 2
        assert "another gridleaf runs this site on the same store" in said
        assert "Traceback" not in said
    finally:
        first.terminate()
        first.communicate(timeout=30)
    assert first.returncode == 0


def start(site: Path) -> subprocess.Popen[str]:
    words = ["run", str(site), "--port", "0", "--ocpp-port", "0"]
    pipe: IO[str] | int = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=pipe,
        stderr=pipe,
        text=True,
        cwd=site.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
