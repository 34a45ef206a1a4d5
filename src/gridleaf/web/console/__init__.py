"""The operator's console: NiceGUI pages on the running platform.

NiceGUI is one application for the whole process. Its pages are registered once, when this package is
imported, and find the platform they are about in the scope of their request; so several web
applications in one process (tests) each have their own console.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from nicegui import ui
from starlette.types import ASGIApp, Receive, Scope, Send

from gridleaf.web.auth import Accounts
from gridleaf.web.console import (
    decisions,
    depot,
    driver,
    evses,
    history,
    session,
    stations,
    vehicles,
)
from gridleaf.web.console.frame import SCOPE_KEY, missing
from gridleaf.web.console.model import Console
from gridleaf.web.login import Gate

__all__ = ["Console", "mount", "running"]

PAGES = (decisions, depot, driver, evses, history, session, stations, vehicles)
"""Importing them has registered their pages."""

_nicegui = FastAPI(openapi_url=None)
ui.run_with(
    _nicegui,
    root=missing,
    title="gridleaf",
    favicon=Path(str(files("gridleaf.web") / "static" / "leaf.svg")),
    dark=None,
    tailwind=False,
    show_welcome_message=False,
    reconnect_timeout=10.0,
)


_running = AsyncExitStack()
_users = 0


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    """NiceGUI runs while at least one web application of the process does."""
    global _users
    _users += 1
    if _users == 1:
        await _running.enter_async_context(_nicegui.router.lifespan_context(_nicegui))
    try:
        yield
    finally:
        _users -= 1
        if _users == 0:
            await _running.aclose()


def mount(console: Console, accounts: Accounts, *, auto_login: bool) -> ASGIApp:
    """The console behind its gate, to be mounted at ``/``."""

    async def with_console(scope: Scope, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY] = console
        await _nicegui(scope, receive, send)

    return Gate(with_console, accounts, auto_login=auto_login)
