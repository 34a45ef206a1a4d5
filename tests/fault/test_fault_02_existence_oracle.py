from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from gateway_fakes import PASSWORD, StationEnd, listening, station_site


async def answer(port: int, station_id: str, password: str) -> bytes:
    """The bytes the server answers a handshake with."""
    credentials = base64.b64encode(f"{station_id}:{password}".encode()).decode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /ocpp/{station_id} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n"
        f"Authorization: Basic {credentials}\r\n\r\n".encode()
    )
    answered = await reader.read()
    writer.close()
    return answered


def test_fault_02_unknown_wrong_and_already_connected_get_the_same_bytes() -> None:
    async def main() -> None:
        async with listening(station_site("CP1", "CP2")) as port:
            online = StationEnd.over(await port.dial("CP2"), port.clock)
            await online.boot()
            wrong = await answer(port.number, "CP1", "wrong")
            unknown = await answer(port.number, "GHOST", PASSWORD)
            connected = await answer(port.number, "CP2", "wrong")
            assert wrong.startswith(b"HTTP/1.1 401 ")
            assert wrong == unknown == connected
            await online.heartbeat()

    asyncio.run(main())


def test_fault_02_unknown_and_known_cost_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            done.append(f"{function.__name__} {len(args[0])}")
            return function(*args, **options)

        return call

    async def main() -> None:
        async with listening(station_site()) as port:
            work = []
            monkeypatch.setattr(hashlib, "blake2b", counted(hashlib.blake2b))
            monkeypatch.setattr(hmac, "compare_digest", counted(hmac.compare_digest))
            for name in ("CP1", "XP1"):
                done.clear()
                await answer(port.number, name, "wrong")
                work.append(list(done))
            assert work[0] == work[1]
            assert work[0] == ["blake2b 5", "compare_digest 32", "compare_digest 32"]

    asyncio.run(main())
