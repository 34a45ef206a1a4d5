from __future__ import annotations

import asyncio

import pytest

from gateway_fakes import StationEnd, listening, station_site
from gridleaf.domain.clock import RealClock
from gridleaf.domain.errors import ConnectionLost
from gridleaf.domain.events import Connected, Disconnected, SecurityReported
from gridleaf.ocpp.commands import Reset
from gridleaf.ocpp.csms import Payload


def counting(calls: list[str], name: str):
    async def reset(payload: Payload) -> Payload:
        calls.append(name)
        return {"status": "Accepted"}

    return {"Reset": reset}


def test_fault_05_the_newest_connection_wins_and_the_living_old_one_is_reported() -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            calls: list[str] = []
            old = StationEnd.over(await port.dial(), port.clock, counting(calls, "old"))
            await old.boot()
            new = StationEnd.over(
                await port.dial(local_ip="127.0.0.2"), port.clock, counting(calls, "new")
            )
            await new.boot()
            for _ in range(5):
                assert (await port.gateway.execute("CP1", Reset())).accepted
            assert calls == ["new"] * 5
            await old.running
            connection = port.gateway.connection("CP1")
            assert connection is not None
            assert (connection.epoch, connection.remote) == (2, "127.0.0.2")
            await port.until(lambda: bool(port.intake.of(SecurityReported)))
            assert port.intake.of(SecurityReported)[0].what == "second connection"

    asyncio.run(main())


def test_fault_05_a_dead_old_connection_is_pinged_replaced_and_fenced() -> None:
    async def main() -> None:
        site = station_site(server={"call_timeout_s": 3600})
        async with listening(site, clock=RealClock(speed=25)) as port:
            calls: list[str] = []
            socket = await port.dial()
            old = StationEnd.over(socket, port.clock, counting(calls, "old"))
            await old.boot()
            socket.transport.pause_reading()  # no pong and no FIN from here on
            stuck = asyncio.create_task(port.gateway.execute("CP1", Reset()))
            await asyncio.sleep(0.05)
            new = StationEnd.over(await port.dial(), port.clock, counting(calls, "new"))
            await new.boot()
            assert (await port.gateway.execute("CP1", Reset())).accepted
            with pytest.raises(ConnectionLost):
                await stuck
            assert calls == ["new"]
            assert [e.epoch for e in port.intake.of(Connected)] == [1, 2]
            assert [e.epoch for e in port.intake.of(Disconnected)] == [1]
            assert port.intake.of(SecurityReported) == []
            socket.transport.abort()
            await old.running

    asyncio.run(main())
