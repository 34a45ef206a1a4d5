"""Fault 53, web: planted secrets never come out again, whatever is asked and however it fails."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog

from gridleaf.cli.logs import set_up_logs
from gridleaf.domain.errors import GridleafError, PlanningFailed
from gridleaf.domain.site import Station
from gridleaf.web.auth import Principal
from web_world import World, world

PASSWORD = "planted-password-4711"
SECRET_FILE = "/etc/planted/station-4711.key"
SECRET_ENV = "PLANTED_STATION_4711"


async def _everything(w: World) -> list[str]:
    """What the web says to every kind of question, with the right and with wrong credentials."""
    paths = (await w.ask("GET", "/openapi.json", None)).json()["paths"]
    values = {
        "cycle_id": "1",
        "station_id": "DC01",
        "evse_id": "1",
        "session_id": w.session_at("DC01"),
        "id_token": quote(w.platform.site.vehicles[0].id_token),
    }
    said = []
    for template, methods in paths.items():
        path = re.sub(r"{(\w+)}", lambda m: values[m[1]], template)
        if template == "/events":
            continue
        for method in methods:
            for role in ("operator", None):
                body = {"unknown": PASSWORD, "id_token": PASSWORD + "\n", "action": PASSWORD}
                answer = await w.ask(method.upper(), path, role, json=body)
                said.append(f"{answer.headers} {answer.text}")
    for page in ("!/login", "!/metrics", "!/health", "!/", "!/nowhere"):
        said.append((await w.ask("GET", page, "operator")).text)
    form = {"name": "anna", "password": PASSWORD + "x"}
    said.append((await w.ask("POST", "!/login", None, data=form)).text)
    return said


@pytest.mark.parametrize("failure", [None, PlanningFailed(f"crashed near {PASSWORD}")])
def test_planted_secrets_never_come_out(failure: GridleafError | None) -> None:
    log = io.StringIO()

    async def run() -> tuple[list[str], list[str]]:
        async with world(filled=True) as w:
            structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
            stations = w.platform.site.stations
            planted = Station.model_validate(
                stations[0].model_dump() | {"password_file": Path(SECRET_FILE)}
            )
            other = Station.model_validate(stations[1].model_dump() | {"password_env": SECRET_ENV})
            w.platform.site = w.platform.site.model_copy(
                update={"stations": (planted, other, *stations[2:])}
            )
            await w.accounts.add_person("anna", "operator", PASSWORD)
            cookie = await w.accounts.open_session(Principal(name="anna", role="operator"))
            account = await w.platform.store.account("anna")
            assert account is not None
            w.platform.fails_with = failure
            said = await _everything(w)
            secrets = [PASSWORD, SECRET_FILE, SECRET_ENV, cookie, account.secret_hash]
            secrets += [token.rpartition(".")[2] for token in w.tokens.values()]
            for key in ("web.token_key", "web.session_key"):
                secrets.append(await w.platform.store.value(key) or "")
            return said, secrets

    try:
        said, secrets = asyncio.run(run())
    finally:
        structlog.reset_defaults()
    assert len(said) > 50
    assert "access_denied" in log.getvalue()
    assert all(secrets)
    for secret in secrets:
        assert not any(secret in text for text in said), secret
        assert secret not in log.getvalue(), secret


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [io.StringIO, _Terminal])
def test_a_crash_is_logged_with_its_place_and_without_the_token_of_who_asked(
    kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = kind()

    async def run() -> str:
        async with world() as w:

            def crash() -> None:
                raise RuntimeError("a bug")

            monkeypatch.setattr(sys, "stderr", log)
            set_up_logs()
            monkeypatch.setattr(w.platform, "state", crash)
            with pytest.raises(RuntimeError):  # the server logs nothing more of it
                await w.ask("GET", "/state")
            return w.tokens["operator"]

    try:
        token = asyncio.run(run())
    finally:
        structlog.reset_defaults()
    said = log.getvalue()
    assert "a bug" in said
    assert "in crash" in said or '"name": "crash"' in said
    assert token not in said
    assert token.partition(".")[2][:12] not in said
