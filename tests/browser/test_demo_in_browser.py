"""The real thing in a real browser: the demo runs at speed, a driver changes the departure."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from conftest import CHROMIUM, Tab

SPEED = 120
SUMMER_TIME = timedelta(hours=2)
"""The depot's offset from UTC in May."""


@dataclass
class Demo:
    """A demo under way: where it is, and its API."""

    url: str
    token: str

    def get(self, path: str) -> Any:
        answer = httpx.get(
            f"{self.url}/api/v1{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        answer.raise_for_status()
        return answer.json()

    def until(self, what: Callable[[], Any], seconds: float = 60.0) -> Any:
        """What ``what`` gives as soon as it gives something."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.3)
        raise AssertionError("it did not happen in time")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    folder: Path = tmp_path_factory.mktemp("demo")
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from gridleaf.cli import main; main()",
            "demo",
            "--speed",
            str(SPEED),
            "--port",
            "0",
            "--ocpp-port",
            "0",
            "--for",
            "180s",
            "--data-dir",
            str(folder),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if line.startswith("Token"):
                break
        url = re.search(r"Console:\s+(http://\S+)/", said)
        token = re.search(r"Token:\s+(\S+)", said)
        assert url is not None, said
        assert token is not None, said
        yield Demo(url.group(1), token.group(1))
    finally:
        process.terminate()
        process.wait(timeout=30)


def session_at(demo: Demo, station_id: str) -> dict[str, Any] | None:
    """The live session of a station, once it has been planned for."""
    for evse in demo.get("/state")["evses"]:
        if evse["station_id"] == station_id and evse["session"] is not None:
            found: dict[str, Any] = demo.get(f"/sessions/{evse['session']['session_id']}")
            return found if found["plan"] and found["live"] else None
    return None


def test_the_depot_moves_and_the_page_follows(demo: Demo, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    tab.open(demo.url)
    demo.until(lambda: session_at(demo, "POOL-01"))
    clock = tab.page.locator(".clock-time")
    before = clock.text_content()
    assert before is not None
    expect(clock).not_to_have_text(before, timeout=15_000)
    expect(tab.page.get_by_role("main")).to_contain_text("Importing from the grid")
    assert tab.complaints == []


def test_a_driver_changes_the_departure_and_the_plan_follows(
    demo: Demo, new_tab: Callable[..., Tab]
) -> None:
    before = demo.until(lambda: session_at(demo, "POOL-01"))
    now = datetime.fromisoformat(demo.get("/state")["at"])
    leaving = (now + timedelta(hours=9)).replace(minute=30, second=0, microsecond=0)
    tab = new_tab(375)
    tab.open(f"{demo.url}/driver/POOL-01/1")
    tab.page.get_by_label("When do you leave?").fill(f"{leaving + SUMMER_TIME:%H:%M}")
    tab.page.get_by_role("button", name="Save").click()
    expect(tab.page.get_by_text("Saved. The plan follows.")).to_be_visible()

    def followed() -> dict[str, Any] | None:
        found = session_at(demo, "POOL-01")
        if found is None or found["live"]["said_by"] != "driver":
            return None
        there = datetime.fromisoformat(found["live"]["departure_at"])
        planned_h = sum(found["step_h"])
        return found if there == leaving and planned_h > 9 else None

    after = demo.until(followed)
    assert after["live"]["departure_at"] != before["live"]["departure_at"]
    assert after["plan"]["unmet_kwh"] == 0
    triggers = [cycle["trigger"] for cycle in demo.get("/decisions")["items"]]
    assert any(trigger.startswith("wish for") for trigger in triggers)
    assert tab.complaints == []
