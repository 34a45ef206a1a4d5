"""The wire port: an ordered, reliable stream of text frames, and its in-memory implementation."""

from __future__ import annotations

import asyncio
from typing import Protocol

from gridleaf.domain.errors import ConnectionLost


class Wire(Protocol):
    """One open connection. The gateway, the simulated stations and the tests each bring their own."""

    @property
    def subprotocol(self) -> str:
        """The negotiated subprotocol: ``ocpp1.6``, ``ocpp2.0.1`` or ``ocpp2.1``."""

    async def send(self, frame: str) -> None:
        """Hand over one frame; raises :class:`ConnectionLost` when the connection has ended.

        Does not wait for the other side to read: who lets too much pile up is cut off.
        """

    async def receive(self) -> str:
        """The next frame; raises :class:`ConnectionLost` when the connection has ended."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection; both sides' ``receive`` then raises. Idempotent."""


class MemoryWire:
    """One end of an in-memory connection; :func:`memory_wires` makes the two ends."""

    def __init__(
        self, subprotocol: str, inbox: asyncio.Queue[str | None], outbox: asyncio.Queue[str | None]
    ) -> None:
        self.subprotocol = subprotocol
        self._inbox = inbox
        self._outbox = outbox
        self._closed = False
        self.close_code: int | None = None

    async def send(self, frame: str) -> None:
        if self._closed:
            raise ConnectionLost("closed")
        self._outbox.put_nowait(frame)

    async def receive(self) -> str:
        if self._closed:
            raise ConnectionLost("closed")
        frame = await self._inbox.get()
        if frame is None:
            self._closed = True
            raise ConnectionLost("closed by the peer")
        return frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._closed:
            self._closed = True
            self.close_code = code
            self._outbox.put_nowait(None)
            self._inbox.put_nowait(None)


def memory_wires(subprotocol: str) -> tuple[MemoryWire, MemoryWire]:
    """Two connected ends: what one sends the other receives, in order."""
    a: asyncio.Queue[str | None] = asyncio.Queue()
    b: asyncio.Queue[str | None] = asyncio.Queue()
    return MemoryWire(subprotocol, a, b), MemoryWire(subprotocol, b, a)
