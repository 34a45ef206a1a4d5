"""The API against its own description: schemathesis looks for answers that the schema does not allow.

``/events`` never ends and has tests of its own. Commands change nothing in the fake depot but wishes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.python.asgi import shutdown_lifespans

from fake_platform import FakePlatform
from gridleaf.store import sqlite_store
from gridleaf.web.app import create_app

EXAMPLES = 12

platform = FakePlatform(sqlite_store(None))
app = create_app(platform)


async def description() -> dict[str, Any]:
    """The description, without starting the application: other tests have consoles of their own."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://depot.test") as client:
        return dict((await client.get("/api/v1/openapi.json")).json())


schema = schemathesis.openapi.from_dict(asyncio.run(description())).exclude(path="/events")
schema.app = app
schema.location = "/api/v1/openapi.json"


@pytest.fixture(scope="module", autouse=True)
def filled_depot() -> Iterator[None]:
    """The depot has a day of history, and schemathesis an operator's token."""

    async def prepare() -> str:
        await platform.store.open()
        await platform.fill()
        token: str = await app.state.accounts.add_token("schemathesis", "operator")
        return token

    schema.config.update(headers={"Authorization": f"Bearer {asyncio.run(prepare())}"})
    yield
    shutdown_lifespans()
    asyncio.run(platform.store.close())


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_api_keeps_to_its_description(case: schemathesis.Case) -> None:
    case.call_and_validate()
