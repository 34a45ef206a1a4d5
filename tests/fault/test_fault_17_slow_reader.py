"""Fault 17: a station that never drains its socket is cut off, and nobody else notices."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConnectionLost
from gridleaf.gateway.socketwire import WRITE_CAP, SocketWire
from gridleaf.ocpp.csms import Payload
from gridleaf.ocpp.peer import Peer
from gridleaf.ocpp.wire import MemoryWire, memory_wires
from gridleaf.sim.virtual import run_virtual
from ocpp_fakes import NOW, V201


def test_fault_17_the_write_buffer_is_capped_and_then_the_connection_ends() -> None:
    async def main() -> int:
        cut = asyncio.Event()
        sent = 0

        async def flood(wire: SocketWire, connection: ServerConnection) -> None:
            nonlocal sent
            while True:
                await wire.send("x" * 65_536)
                sent += 1
                assert connection.transport.get_write_buffer_size() <= WRITE_CAP
                await asyncio.sleep(0)

        async def echo(wire: SocketWire) -> None:
            while True:
                await wire.send(await wire.receive())

        async def station(connection: ServerConnection) -> None:
            wire = SocketWire(connection)
            if await wire.receive() == "slow":
                with pytest.raises(ConnectionLost, match="does not read"):
                    await flood(wire, connection)
                cut.set()
            else:
                with pytest.raises(ConnectionLost):
                    await echo(wire)

        async with serve(
            station, "127.0.0.1", 0, write_limit=2 * WRITE_CAP, compression=None, close_timeout=0.1
        ) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"ws://127.0.0.1:{port}"
            async with connect(url, close_timeout=0.1) as slow, connect(url) as other:
                await other.send("fast")
                slow.transport.pause_reading()
                await slow.send("slow")
                while not cut.is_set():
                    await other.send("still there?")
                    assert await other.recv() == "still there?"
                slow.transport.resume_reading()
        return sent

    assert asyncio.run(asyncio.wait_for(main(), 60)) * 65_536 > WRITE_CAP


class Deaf(MemoryWire):
    """A wire whose far end was found not to read."""

    async def send(self, frame: str) -> None:
        await self.close()
        raise ConnectionLost("the station does not read")


def test_fault_17_a_peer_that_is_cut_off_while_it_answers_ends_in_order() -> None:
    served: list[int] = []

    async def heartbeat(payload: Payload) -> Payload:
        served.append(1)
        return {"currentTime": "2026-01-05T12:00:00Z"}

    async def main(clock: Clock) -> None:
        ours, theirs = memory_wires(V201)
        deaf = Deaf(V201, ours._inbox, ours._outbox)
        ids = count()
        peer = Peer(
            deaf,
            role="csms",
            clock=clock,
            handlers={"Heartbeat": heartbeat},
            new_id=lambda: str(next(ids)),
        )
        for i in range(3):
            await theirs.send(f'[2,"{i}","Heartbeat",{{}}]')
        await peer.run()
        with pytest.raises(ConnectionLost):
            await peer.call("ClearCache", {})

    run_virtual(main, NOW)
    assert served == [1]
