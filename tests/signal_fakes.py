"""What tests of the site's signals stand on: a real MQTT broker, a real Modbus server, an ear."""

from __future__ import annotations

import asyncio
import re
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gridleaf.domain.clock import RealClock
from gridleaf.domain.errors import GridleafError
from gridleaf.domain.meter import SiteMeasurement

PATIENCE_S = 20.0


class Ear:
    """A sink that remembers; ``fails`` makes the next deliveries raise."""

    def __init__(self) -> None:
        self.heard: list[SiteMeasurement] = []
        self.fails: list[GridleafError] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._news = asyncio.Condition()

    async def __call__(self, measurement: SiteMeasurement) -> None:
        await self.gate.wait()
        if self.fails:
            raise self.fails.pop()
        async with self._news:
            self.heard.append(measurement)
            self._news.notify_all()

    async def until(self, right: Callable[[SiteMeasurement], bool]) -> SiteMeasurement:
        """The first measurement for which ``right`` holds, now or later."""

        def found() -> SiteMeasurement | None:
            return next((m for m in self.heard if right(m)), None)

        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: found() is not None)
        measurement = found()
        assert measurement is not None
        return measurement


class FastClock(RealClock):
    """Twenty seconds in one; tells when something pauses because its peer is away."""

    def __init__(self) -> None:
        super().__init__(speed=20)
        self._pausing = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds >= 1:
            self._pausing.set()
        await super().sleep(seconds)

    async def pause(self) -> None:
        """Wait until a pause of a second or more begins."""
        self._pausing.clear()
        async with asyncio.timeout(PATIENCE_S):
            await self._pausing.wait()


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """The work goes on in the background and is cancelled at the end; it must not end by itself."""
    task = asyncio.create_task(work)
    try:
        yield task
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Broker:
    """``nats-server`` as an MQTT broker on a free port of loopback; keeps its port when restarted."""

    def __init__(self, folder: Path, *, authorization: str = "") -> None:
        self.port = -1
        self._folder = folder
        self._authorization = authorization
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        config = self._folder / "broker.conf"
        config.write_text(
            f"""
            server_name: test
            host: 127.0.0.1
            port: -1
            jetstream {{ store_dir: "{self._folder / "jetstream"}" }}
            mqtt {{ host: 127.0.0.1, port: {self.port} }}
            {self._authorization}
            """
        )
        server = Path(sys.executable).parent / "nats-server"
        self._process = subprocess.Popen([server, "-c", config], stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"mqtt://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
            if "Server is ready" in line:
                return
        raise AssertionError("the broker did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def publish(
        self, *messages: tuple[str, object], retain: bool = False, **login: str
    ) -> None:
        async with aiomqtt.Client("127.0.0.1", self.port, **login) as client:  # type: ignore[arg-type]
            for topic, payload in messages:
                await client.publish(topic, str(payload), qos=1, retain=retain)

    @asynccontextmanager
    async def repeating(self, *messages: tuple[str, object]) -> AsyncIterator[None]:
        """Like a meter that publishes again and again, so that it does not matter who came first."""

        async def repeat() -> None:
            async with aiomqtt.Client("127.0.0.1", self.port) as client:
                while True:
                    for topic, payload in messages:
                        await client.publish(topic, str(payload))
                    await asyncio.sleep(0.05)

        async with running(repeat()):
            yield


Registers = Mapping[int, list[int]]


class MeterServer:
    """A Modbus TCP server whose registers a test can change; keeps its port when restarted."""

    def __init__(self, registers: Registers, *, function: int = 3, unit: int = 1) -> None:
        self.port = 0
        self._requests = 0
        self._asked = asyncio.Condition()
        self._function = function
        self._unit = unit
        self._blocks = [
            SimData(address, values=list(words), datatype=DataType.REGISTERS)
            for address, words in sorted(registers.items())
        ]
        self._changes: dict[int, int] = {}
        self._server: ModbusTcpServer | None = None

    def set(self, address: int, words: list[int]) -> None:
        self._changes.update(enumerate(words, address))

    async def _changed(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if function != self._function:
            return ExcCodes.ILLEGAL_FUNCTION
        async with self._asked:
            self._requests += 1
            self._asked.notify_all()
        for at, word in self._changes.items():
            if start <= at < start + len(registers):
                registers[at - start] = word
        return None

    async def asked(self, times: int) -> None:
        """Wait for that many requests in all."""
        async with asyncio.timeout(PATIENCE_S), self._asked:
            await self._asked.wait_for(lambda: self._requests >= times)

    async def start(self) -> None:
        device = SimDevice(self._unit, simdata=self._blocks, action=self._changed)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)
        assert self._server.transport is not None
        self.port = self._server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.shutdown()
            self._server = None

    async def __aenter__(self) -> MeterServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def words(kind: str, *values: float, low_first: bool = False) -> list[int]:
    """Registers of values in a :mod:`struct` format such as ``f`` or ``i``."""
    found: list[int] = []
    for value in values:
        data = struct.pack(">" + kind, value)
        of_value = list(struct.unpack(f">{len(data) // 2}H", data))
        found += of_value[::-1] if low_first else of_value
    return found
