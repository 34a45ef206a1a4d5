"""A simulated station's WebSocket: OCPP-J over the ``websockets`` client."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from ssl import SSLContext
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from gridleaf.domain.errors import ConnectionLost
from gridleaf.ocpp.wire import Wire

_MAX_FRAME = 256 * 1024


class _SocketWire:
    """One open connection as a :class:`~gridleaf.ocpp.wire.Wire`."""

    def __init__(self, socket: ClientConnection, subprotocol: str) -> None:
        self.subprotocol = subprotocol
        self._socket = socket

    async def send(self, frame: str) -> None:
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise ConnectionLost(str(error)) from None

    async def receive(self) -> str:
        try:
            frame = await self._socket.recv()
        except ConnectionClosed as error:
            raise ConnectionLost(str(error)) from None
        return frame if isinstance(frame, str) else frame.decode(errors="replace")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.close(code, reason)


async def dial(
    url: str,
    *,
    station_id: str,
    password: str,
    subprotocols: Sequence[str],
    ssl: SSLContext | None = None,
) -> Wire:
    """Connect to a central system (OCPP-J 1.6 section 3.1, security profiles 1 and 2).

    Parameters
    ----------
    url
        The endpoint without the station, e.g. ``ws://127.0.0.1:9000/ocpp``.
    station_id
        Appended to the URL, and the user name of HTTP Basic authentication.
    subprotocols
        What is offered, the preferred one first.
    ssl
        For ``wss``; the system's trust when absent.

    Raises
    ------
    ConnectionLost
        Nobody answers, the handshake was refused, or none of the subprotocols was chosen.
    """
    secret = base64.b64encode(f"{station_id}:{password}".encode()).decode()
    secure: dict[str, Any] = {"ssl": ssl} if ssl is not None else {}
    try:
        socket = await connect(
            f"{url.rstrip('/')}/{quote(station_id, safe='')}",
            subprotocols=[Subprotocol(name) for name in subprotocols],
            additional_headers={"Authorization": f"Basic {secret}"},
            compression=None,
            max_size=_MAX_FRAME,
            proxy=None,
            **secure,
        )
    except (OSError, TimeoutError, WebSocketException) as error:
        raise ConnectionLost(f"{station_id}: {error}") from None
    if socket.subprotocol is None:
        await socket.close(1002, "no common subprotocol")
        raise ConnectionLost(f"{station_id}: no common subprotocol")
    return _SocketWire(socket, socket.subprotocol)
