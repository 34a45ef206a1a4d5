from __future__ import annotations

import asyncio

import pytest

from gateway_fakes import StationEnd, listening, station_site
from gridleaf.domain.errors import CallTimeout, ConnectionLost
from gridleaf.domain.events import Disconnected
from gridleaf.ocpp.commands import Reset


def test_fault_07_a_peer_without_fin_and_pong_is_declared_offline_and_no_call_hangs() -> None:
    async def main() -> None:
        site = station_site("CP1", "CP2", server={"ping_interval_s": 0.4})
        async with listening(site) as port:
            neighbour = StationEnd.over(await port.dial("CP2"), port.clock)
            socket = await port.dial("CP1")
            station = StationEnd.over(socket, port.clock)
            await station.boot()
            socket.transport.pause_reading()
            pending = [asyncio.create_task(port.gateway.execute("CP1", Reset())) for _ in range(3)]
            for call in pending:
                with pytest.raises((ConnectionLost, CallTimeout)):
                    await call
            await port.until(lambda: bool(port.intake.of(Disconnected)))
            assert port.gateway.connection("CP1") is None
            assert [e.station_id for e in port.intake.of(Disconnected)] == ["CP1"]
            await neighbour.heartbeat()
            socket.transport.abort()
            await station.running

    asyncio.run(main())


def test_fault_07_silence_costs_at_most_two_ping_intervals_by_configuration() -> None:
    async def main() -> None:
        async with listening(station_site(server={"ping_interval_s": 20})) as port:
            await port.dial()
            (connection,) = port.server._server.connections
            assert connection.ping_interval == 20
            assert connection.ping_timeout + connection.close_timeout == 20

    asyncio.run(main())
