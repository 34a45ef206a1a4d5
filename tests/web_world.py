"""A web application on the fake depot, called through ASGI without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
import structlog
from fastapi import FastAPI

from fake_depot import SteppedClock
from fake_platform import FakePlatform
from gridleaf.store import sqlite_store
from gridleaf.web.app import create_app
from gridleaf.web.auth import Accounts, Role

T = TypeVar("T")
REMOTE = ("203.0.113.9", 50000)
DRIVER = "DE*GLF*0003"
"""The id token of the vehicle at DC03."""


@dataclass(frozen=True)
class World:
    """The application, what is behind it, and a way to ask it as somebody."""

    app: FastAPI
    platform: FakePlatform
    accounts: Accounts
    people: SteppedClock
    tokens: dict[str, str]

    async def ask(
        self,
        method: str,
        path: str,
        role: str | None = "operator",
        *,
        peer: tuple[str, int] = REMOTE,
        headers: dict[str, str] | None = None,
        **kwargs: object,
    ) -> httpx.Response:
        """One request; paths without a leading ``!`` are below ``/api/v1``."""
        given = dict(headers or {})
        if role is not None:
            given["Authorization"] = f"Bearer {self.tokens[role]}"
        transport = httpx.ASGITransport(self.app, client=peer)
        async with httpx.AsyncClient(transport=transport, base_url="http://depot.test") as client:
            target = path[1:] if path.startswith("!") else f"/api/v1{path}"
            return await client.request(method, target, headers=given, **kwargs)  # type: ignore[arg-type]

    def session_at(self, station_id: str) -> str:
        evse = next(e for e in self.platform.state().evses if e.station_id == station_id)
        assert evse.session is not None
        return evse.session.session_id


@asynccontextmanager
async def world(
    *, filled: bool = False, hostile: bool = False, auto_login: bool = False
) -> AsyncIterator[World]:
    """A fresh depot; ``filled`` also has a day of history."""
    structlog.reset_defaults()  # a command run by an earlier test may have sent the logs elsewhere
    store = sqlite_store(None)
    await store.open()
    platform = FakePlatform(store, hostile=hostile)
    if filled:
        await platform.fill()
    people = SteppedClock()
    app = create_app(platform, auto_login=auto_login, clock=people)
    accounts: Accounts = app.state.accounts
    roles: tuple[tuple[str, Role], ...] = (
        ("viewer", "viewer"),
        ("operator", "operator"),
        ("driver", "driver"),
    )
    tokens = {
        name: await accounts.add_token(DRIVER if role == "driver" else name, role)
        for name, role in roles
    }
    try:
        yield World(app, platform, accounts, people, tokens)
    finally:
        await store.close()


def in_world(
    test: Callable[[World], Awaitable[T]], *, filled: bool = False, hostile: bool = False
) -> T:
    """Run an asynchronous test in a fresh world."""

    async def run() -> T:
        async with world(filled=filled, hostile=hostile) as w:
            return await test(w)

    return asyncio.run(run())
