"""The console in a real browser: Chromium against a server in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from fake_platform import FakePlatform
from gridleaf.web.auth import Accounts
from gridleaf.web.serve import serve
from web_world import World, world

CHROMIUM = shutil.which("chromium")
PASSWORD = "correct horse battery"
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Served:
    """A served depot; ``call`` runs something in the server's loop."""

    url: str
    platform: FakePlatform
    accounts: Accounts
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    def call(self, work: Callable[[], Any]) -> Any:
        async def inside() -> Any:
            return work()

        return self.run(inside())

    def session_at(self, station_id: str) -> str:
        evse = next(e for e in self.platform.state().evses if e.station_id == station_id)
        assert evse.session is not None
        return evse.session.session_id


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The one loop of all served depots: NiceGUI has one loop for all the pages of a process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    asyncio.run_coroutine_threadsafe(_end_of_tasks(), loop).result(timeout=60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=10)
    loop.close()


def _serve(
    loop: asyncio.AbstractEventLoop, *, hostile: bool = False, auto_login: bool = True
) -> Iterator[Served]:
    stack = AsyncExitStack()

    async def start() -> tuple[int, Callable[[], Any], World]:
        w = await stack.enter_async_context(
            world(filled=True, hostile=hostile, auto_login=auto_login)
        )
        if not auto_login:
            await w.accounts.add_person("anna", "operator", PASSWORD)
            await w.accounts.add_person("DE*GLF*0003", "driver", PASSWORD)
            await w.accounts.add_person("vera", "viewer", PASSWORD)
        port, stop = await serve(w.app, "127.0.0.1", 0)
        return port, stop, w

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=60)

    port, stop, w = run(start())
    try:
        yield Served(f"http://127.0.0.1:{port}", w.platform, w.accounts, loop)
    finally:
        run(stop())
        run(stack.aclose())


async def _end_of_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest.fixture(scope="module")
def depot(loop: asyncio.AbstractEventLoop) -> Iterator[Served]:
    """A depot that signs in whoever sits at the machine."""
    yield from _serve(loop)


@pytest.fixture(scope="module")
def locked_depot(loop: asyncio.AbstractEventLoop) -> Iterator[Served]:
    """A depot with accounts: anna operates, vera watches, DE*GLF*0003 drives."""
    yield from _serve(loop, auto_login=False)


@pytest.fixture(scope="module")
def hostile_depot(loop: asyncio.AbstractEventLoop) -> Iterator[Served]:
    """A depot whose first station and vehicle try to break out of the page."""
    yield from _serve(loop, hostile=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; it ends with its module, for its driver keeps the thread's event loop."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    os.environ["PW_TEST_SCREENSHOT_NO_FONTS_READY"] = "1"
    expect.set_options(timeout=30_000)  # a busy machine draws late, but it draws
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page and everything it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def open(self, url: str) -> None:
        """Load a page and wait until it is live."""
        self.page.goto(url)
        self.page.wait_for_function("window.did_handshake === true")
        self.page.locator(".clock-time").filter(has_text=":").wait_for()


@pytest.fixture
def new_tab(chromium: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens tabs of given width and colours in contexts of their own."""
    contexts = []

    def make(width: int = 1280, scheme: str = "light") -> Tab:
        context = chromium.new_context(
            viewport={"width": width, "height": 900 if width > 500 else 812},
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        tab = Tab(context.new_page())
        tab.page.on(
            "console",
            lambda m: tab.complaints.append(m.text) if m.type in ("error", "warning") else None,
        )
        tab.page.on("pageerror", lambda e: tab.complaints.append(str(e)))
        tab.page.on(
            "request",
            lambda r: (
                None
                if r.url.startswith(("http://127.0.0.1:", "data:"))
                else tab.complaints.append(f"left the machine: {r.url}")
            ),
        )
        return tab

    yield make
    for context in contexts:
        context.close()
