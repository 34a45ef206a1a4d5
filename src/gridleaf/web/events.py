"""Live updates as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson

from gridleaf.domain.clock import Clock
from gridleaf.web.port import Notice, Platform

PACE_S = 0.5
HEARTBEAT_S = 15.0
_KEYS = ("session_id", "station_id", "evse_id", "kind", "where")


async def stream(platform: Platform, clock: Clock, after_id: int | None) -> AsyncIterator[bytes]:
    """Notices as an event stream: at most one batch per ``PACE_S``, a comment when all is quiet.

    Of several notices on the same thing within a batch only the newest is sent, so a slow reader
    holds no more than one notice for each thing.
    """
    waiting: dict[tuple[object, ...], Notice] = {}
    arrived = asyncio.Event()

    async def collect() -> None:
        async for notice in platform.subscribe(after_id):
            key = _about(notice)
            waiting.pop(key, None)
            waiting[key] = notice
            arrived.set()

    task = asyncio.create_task(collect())
    try:
        yield b"retry: 2000\n\n"
        while True:
            try:
                await clock.wait_for(arrived.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            batch = list(waiting.values())
            waiting.clear()
            arrived.clear()
            yield b"".join(_encode(notice) for notice in batch)
            await clock.sleep(PACE_S)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _about(notice: Notice) -> tuple[object, ...]:
    return (notice.topic, *(str(notice.data.get(key)) for key in _KEYS))


def _encode(notice: Notice) -> bytes:
    data = orjson.dumps(notice.data, default=str)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (notice.id, notice.topic.encode(), data)
