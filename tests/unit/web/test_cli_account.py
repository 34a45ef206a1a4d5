"""``gridleaf account``."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest
import structlog

from gridleaf.cli import main
from gridleaf.domain.clock import RealClock
from gridleaf.domain.site import load
from gridleaf.store import open_store
from gridleaf.web.auth import Accounts, Principal

SITE = """
name = "Yard"
import_limit_kw = 50
[storage]
data_dir = "data"
[[stations]]
id = "A"
evses = [{ id = 1, charge_max_kw = 11 }]
"""
PASSWORD = "correct horse battery"


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return path


def _run(*args: str | Path, code: int = 0) -> None:
    with pytest.raises(SystemExit) as end:
        main(["account", *map(str, args)])
    structlog.reset_defaults()
    assert end.value.code == code


def _ask(site_file: Path, token: str) -> Principal | None:
    async def run() -> Principal | None:
        store = open_store(load(site_file).storage)
        await store.open()
        try:
            return await Accounts(store, RealClock()).by_token(token)
        finally:
            await store.close()

    return asyncio.run(run())


def test_a_token_is_printed_once_and_works(
    site_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run("token", site_file, "grafana")
    token = capsys.readouterr().out.strip()
    assert _ask(site_file, token) == Principal(name="grafana", role="viewer")
    _run("list", site_file, "--json")
    shown = capsys.readouterr().out
    assert token.rpartition(".")[2] not in shown
    [account] = json.loads(shown)["accounts"]
    assert (account["name"], account["kind"], account["role"]) == ("grafana", "token", "viewer")
    _run("remove", site_file, "grafana")
    assert _ask(site_file, token) is None


def test_a_password_is_read_from_standard_input(
    site_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    _run("add", site_file, "anna", "--role", "viewer")
    assert PASSWORD not in "".join(capsys.readouterr())

    async def check() -> Principal | None:
        store = open_store(load(site_file).storage)
        await store.open()
        try:
            return await Accounts(store, RealClock()).by_password("anna", PASSWORD, "127.0.0.1")
        finally:
            await store.close()

    assert asyncio.run(check()) == Principal(name="anna", role="viewer")


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        (("add", "anna"), "short\n", "at least 10 characters"),
        (("add", "an\nna"), PASSWORD, "printable"),
        (("token", ""), "", "printable"),
        (("remove", "nobody"), "", "no such account"),
    ],
)
def test_wrong_use_is_refused_with_the_reason(
    args: tuple[str, str],
    stdin: str,
    said: str,
    site_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    _run(args[0], site_file, args[1], code=2)
    assert said in capsys.readouterr().err
