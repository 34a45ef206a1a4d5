from __future__ import annotations

import asyncio
import base64

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from gridleaf.domain.errors import ConnectionLost
from gridleaf.sim.dial import dial

OFFER = ["ocpp2.1", "ocpp2.0.1"]


def test_the_station_names_itself_in_path_and_credentials_and_talks() -> None:
    async def main() -> None:
        seen: list[tuple[str, str]] = []

        async def echo(socket: ServerConnection) -> None:
            assert socket.request is not None
            seen.append((socket.request.path, socket.request.headers["Authorization"]))
            async for frame in socket:
                await socket.send(f"you said {frame!s}")

        async with serve(echo, "127.0.0.1", 0, subprotocols=["ocpp2.0.1"]) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"ws://127.0.0.1:{port}/ocpp/"
            wire = await dial(url, station_id="BAY*1", password="s:t", subprotocols=OFFER)
            assert wire.subprotocol == "ocpp2.0.1"
            await wire.send("hello")
            assert await wire.receive() == "you said hello"
            await wire.close()
            with pytest.raises(ConnectionLost):
                await wire.receive()
            with pytest.raises(ConnectionLost):
                await wire.send("more")
        expected = base64.b64encode(b"BAY*1:s:t").decode()
        assert seen == [("/ocpp/BAY%2A1", f"Basic {expected}")]

    asyncio.run(main())


def test_a_server_that_ends_the_connection_ends_the_wire() -> None:
    async def main() -> None:
        async def leave(socket: ServerConnection) -> None:
            await socket.close(1001, "going")

        async with serve(leave, "127.0.0.1", 0, subprotocols=["ocpp2.1"]) as server:
            port = server.sockets[0].getsockname()[1]
            wire = await dial(
                f"ws://127.0.0.1:{port}/ocpp", station_id="A", password="x", subprotocols=OFFER
            )
            with pytest.raises(ConnectionLost):
                await wire.receive()

    asyncio.run(main())


def test_refusals_are_a_lost_connection() -> None:
    async def main() -> None:
        def refuse(socket: ServerConnection, request: Request) -> Response | None:
            return socket.respond(401, "no") if request.path.endswith("B") else None

        async def idle(socket: ServerConnection) -> None:
            await socket.wait_closed()

        async with serve(idle, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"ws://127.0.0.1:{port}/ocpp"
            with pytest.raises(ConnectionLost, match="401"):
                await dial(url, station_id="B", password="x", subprotocols=OFFER)
            with pytest.raises(ConnectionLost, match="subprotocol"):
                await dial(url, station_id="A", password="x", subprotocols=OFFER)
        with pytest.raises(ConnectionLost):
            await dial(url, station_id="A", password="x", subprotocols=OFFER)

    asyncio.run(main())
