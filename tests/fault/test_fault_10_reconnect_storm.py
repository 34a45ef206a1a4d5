from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import InvalidHandshake

from gateway_fakes import Port, StationEnd, listening, station_site
from gridleaf.domain.events import Booted, Connected
from gridleaf.gateway import server

STATIONS = 300  # of the 10,000 that a full storm has; the same path, in seconds


async def come_back(port: Port, name: str) -> StationEnd:
    while True:
        try:
            return StationEnd.over(await port.dial(name), port.clock)
        except (InvalidHandshake, OSError, EOFError):
            await asyncio.sleep(0.05)


def test_fault_10_a_reconnect_storm_gets_everybody_back_in_and_out_of_step() -> None:
    async def main() -> None:
        names = [f"CP{number}" for number in range(STATIONS)]
        async with listening(station_site(*names)) as port:
            first = await come_back(port, "CP0")
            storm = [asyncio.create_task(come_back(port, name)) for name in names[1:]]
            while not all(task.done() for task in storm):
                await first.heartbeat()
            stations = [first, *(task.result() for task in storm)]
            answers = await asyncio.gather(*(station.boot() for station in stations))
            intervals = [answer["interval"] for answer in answers]
            assert len(port.intake.of(Connected)) == STATIONS
            assert len(port.intake.of(Booted)) == STATIONS
            assert max(intervals) - min(intervals) > 50
            assert len(set(intervals)) > 30
            assert len(port.server._waiting) == 0
            for station in stations:
                await station.wire.close()

    asyncio.run(main())


def test_fault_10_what_waits_for_its_handshake_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PENDING", 20)
    monkeypatch.setattr(server, "PENDING_PER_IP", 10)

    async def idle(port: Port, ip: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port.number, local_addr=(ip, 0))

    async def main() -> None:
        async with listening(station_site()) as port:
            silent = [await idle(port, "127.0.0.2") for _ in range(30)]
            await port.until(lambda: port.server._waiting.per_ip == {"127.0.0.2": 10})
            station = await port.dial()
            silent += [await idle(port, "127.0.0.3") for _ in range(30)]
            await port.until(lambda: len(port.server._waiting) == 20)
            with pytest.raises((InvalidHandshake, OSError, EOFError)):
                await port.dial()
            for _, writer in silent:
                writer.close()
            await port.until(lambda: len(port.server._waiting) == 0)
            assert (await come_back(port, "CP1")).wire.subprotocol == "ocpp2.0.1"
            await station.close()

    asyncio.run(main())
