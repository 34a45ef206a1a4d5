"""The log of frames: buffered, written in groups, and the first thing to go when the store is down."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import StoreUnavailable
from gridleaf.gateway.metrics import GatewayMetrics
from gridleaf.gateway.redact import redact
from gridleaf.store.port import FrameRecord, Store

GROUP_S = 1.0
"""Frames of so long are written together [s]."""
CAPACITY = 4_000_000
"""Characters that may wait to be written; what does not fit is shed."""
LONGEST = 16_384
"""Characters kept of a frame."""

_log = structlog.get_logger()


class FrameLog:
    """Takes frames at once and never raises; writes them up to a second later."""

    def __init__(self, store: Store, clock: Clock, metrics: GatewayMetrics) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._rows: list[FrameRecord] = []
        self._size = 0
        self._writer: asyncio.Task[None] | None = None
        self._failing = False
        self._closing = asyncio.Event()

    def note(self, station_id: str, outgoing: bool, frame: str) -> None:
        """Keep a frame, without its secrets."""
        if self._size + len(frame) > CAPACITY:
            self._metrics.frames_shed += 1
            return
        self._size += len(frame)
        kept = redact(frame)
        if len(kept) > LONGEST:
            kept = f"{kept[:LONGEST]}... ({len(kept)} characters)"
        self._rows.append(
            FrameRecord(station_id=station_id, at=self._clock.now(), outgoing=outgoing, frame=kept)
        )
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_later())

    async def close(self) -> None:
        """Write what is waiting."""
        self._closing.set()
        if self._writer is not None:
            await self._writer

    async def _write_later(self) -> None:
        while self._rows:
            with contextlib.suppress(TimeoutError):
                await self._clock.wait_for(self._closing.wait(), GROUP_S)
            await self._write()
        self._writer = None

    async def _write(self) -> None:
        rows, self._rows, self._size = self._rows, [], 0
        try:
            await self._store.log_frames(rows)
            self._failing = False
        except StoreUnavailable as error:
            self._metrics.frames_shed += len(rows)
            if not self._failing:
                _log.warning("frames_not_logged", error=str(error))
            self._failing = True
