"""The server in a running loop, the event stream over a real socket, and the metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from fake_depot import SteppedClock
from fake_platform import FakePlatform
from gridleaf.store import sqlite_store
from gridleaf.web.app import create_app
from gridleaf.web.events import stream
from gridleaf.web.serve import serve
from web_world import World, in_world, world


class _Pace(SteppedClock):
    """Counts how often the stream paused between two batches."""

    pauses = 0

    async def sleep(self, seconds: float) -> None:
        self.pauses += 1
        await asyncio.sleep(0.02)


async def _next(events: AsyncIterator[bytes]) -> list[dict[str, str]]:
    batch = (await anext(events)).decode()
    return [
        dict(line.split(": ", 1) for line in block.splitlines())
        for block in batch.split("\n\n")
        if block
    ]


def test_the_stream_resumes_after_the_last_event_seen() -> None:
    async def run() -> None:
        platform = FakePlatform(sqlite_store(None))
        for n in range(5):
            platform.publish("session", {"session_id": f"s{n}"})
        events = stream(platform, _Pace(), after_id=3)
        assert await _next(events) == [{"retry": "2000"}]
        batch = await _next(events)
        assert [e["id"] for e in batch] == ["4", "5"]
        assert batch[0]["event"] == "session"
        assert json.loads(batch[0]["data"]) == {"session_id": "s3"}
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


def test_of_many_notices_on_one_thing_only_the_newest_is_sent() -> None:
    async def run() -> None:
        platform = FakePlatform(sqlite_store(None))
        clock = _Pace()
        events = stream(platform, clock, after_id=None)
        await anext(events)
        waiting = asyncio.create_task(_next(events))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for n in range(100):
            platform.publish("state", {"grid_kw": float(n)})
        platform.publish("session", {"session_id": "a"})
        platform.publish("session", {"session_id": "b"})
        batch = await waiting
        assert [(e["event"], e["id"]) for e in batch] == [
            ("state", "100"),
            ("session", "101"),
            ("session", "102"),
        ]
        platform.publish("state", {"grid_kw": 1.0})
        assert len(await _next(events)) == 1
        assert clock.pauses == 1  # before the second batch
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


def test_a_quiet_stream_still_breathes() -> None:
    async def run() -> bytes:
        class Impatient(SteppedClock):
            async def wait_for(self, awaitable: object, timeout_s: float) -> object:
                return await asyncio.wait_for(awaitable, 0.01)  # type: ignore[arg-type]

        events = stream(FakePlatform(sqlite_store(None)), Impatient(), after_id=None)
        await anext(events)
        beat = await anext(events)
        await events.aclose()  # type: ignore[attr-defined]
        return beat

    assert asyncio.run(run()) == b": still here\n\n"


def test_events_flow_over_a_real_connection_and_the_server_stops_with_it_open() -> None:
    async def run() -> None:
        async with world() as w:
            port, stop = await serve(w.app, "127.0.0.1", 0)
            headers = {
                "Authorization": f"Bearer {w.tokens['viewer']}",
                "Last-Event-ID": "0",
            }
            w.platform.publish("alert", {"kind": "not_obeying", "where": "DC01/1"})
            url = f"http://127.0.0.1:{port}/api/v1/events"
            async with (
                httpx.AsyncClient() as client,
                client.stream("GET", url, headers=headers) as answer,
            ):
                assert answer.headers["content-type"].startswith("text/event-stream")
                lines = answer.aiter_lines()
                seen: list[str] = []
                while "event: alert" not in seen:
                    seen.append(await anext(lines))
                await stop()

    asyncio.run(run())


def test_two_servers_after_each_other_in_one_process() -> None:
    async def run() -> list[int]:
        statuses = []
        for _ in range(2):
            async with world() as w:
                port, stop = await serve(w.app, "127.0.0.1", 0)
                async with httpx.AsyncClient() as client:
                    answer = await client.get(f"http://127.0.0.1:{port}/login")
                statuses.append(answer.status_code)
                await stop()
        return statuses

    assert asyncio.run(run()) == [200, 200]


def test_a_taken_port_is_an_error_at_once() -> None:
    async def run() -> None:
        async with world() as w, world() as other:
            port, stop = await serve(w.app, "127.0.0.1", 0)
            with pytest.raises(OSError, match="in use"):
                await serve(other.app, "127.0.0.1", port)
            await stop()

    asyncio.run(run())


def test_metrics_show_the_site_and_what_the_rest_of_the_platform_counts() -> None:
    async def run() -> tuple[str, FakePlatform]:
        registry = CollectorRegistry()
        Counter("gridleaf_messages", "Messages of stations", registry=registry).inc(3)
        platform = FakePlatform(sqlite_store(None))
        await platform.store.open()
        app = create_app(platform, registry=registry)
        port, stop = await serve(app, "127.0.0.1", 0)
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics")
        await stop()
        await platform.store.close()
        return answer.text, platform

    text, platform = asyncio.run(run())
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    state = platform.state()
    assert state.measurement is not None
    assert found["gridleaf_grid_kw",] == state.measurement.grid_kw
    assert found["gridleaf_import_limit_kw",] == 120
    assert found["gridleaf_sessions",] == 19
    assert found["gridleaf_evse_power_kw", "1", "DC01"] == state.evses[0].power_kw
    assert found["gridleaf_evse_setpoint_kw", "1", "DC01"] == state.evses[0].setpoint_kw
    assert found["gridleaf_evse_obeying", "1", "AC02"] == 0
    assert found["gridleaf_station_online", "AC03"] == 0
    assert found["gridleaf_cycle_seconds",] == 0.214
    assert found["gridleaf_alerts", "critical", "not_obeying"] == 1
    assert found["gridleaf_messages_total",] == 3


def test_health_says_so_when_the_store_is_down() -> None:
    async def test(w: World) -> None:
        await w.platform.store.close()
        answer = await w.ask("GET", "!/health", None)
        assert (answer.status_code, answer.json()) == (503, {"status": "store unavailable"})

    in_world(test)
