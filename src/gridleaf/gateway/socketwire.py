"""A WebSocket of the station port as a :class:`~gridleaf.ocpp.wire.Wire`."""

from __future__ import annotations

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from gridleaf.domain.errors import ConnectionLost

MAX_FRAME = 256 * 1024
"""Longest message a station may send [bytes]."""
WRITE_CAP = 1024 * 1024
"""So much may wait for a station that does not read; then it is cut off [bytes]."""


class SocketWire:
    """One open WebSocket whose writes never wait: a slow reader is cut off instead."""

    def __init__(self, connection: ServerConnection) -> None:
        self.subprotocol = str(connection.subprotocol)
        self._connection = connection

    async def send(self, frame: str) -> None:
        transport = self._connection.transport
        if transport.get_write_buffer_size() + len(frame) > WRITE_CAP:
            transport.abort()
            raise ConnectionLost("the station does not read")
        try:
            await self._connection.send(frame)
        except ConnectionClosed as error:
            raise ConnectionLost(str(error)) from None

    async def receive(self) -> str:
        try:
            frame = await self._connection.recv()
        except ConnectionClosed as error:
            raise ConnectionLost(str(error)) from None
        if isinstance(frame, str):
            return frame
        await self.close(1003, "text frames only")
        raise ConnectionLost("sent a binary frame")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._connection.close(code, reason)

    async def ping(self) -> None:
        """Return when the station has answered a ping; raises ConnectionLost when it is gone."""
        try:
            await (await self._connection.ping())
        except ConnectionClosed as error:
            raise ConnectionLost(str(error)) from None
