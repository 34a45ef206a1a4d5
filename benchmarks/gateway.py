"""Round trips per CPU-second of the gateway, beside a server on the ``ocpp`` package's own engine.

Both servers validate every message against the official schemas and use ``websockets`` for their
sockets, with HTTP Basic and without TLS or compression. The load is the same: one process with so
many stations, each sending its next message when the last one was answered. What is counted is
what the server's process spends (user and system, all its threads), not the wall, so that the
figures mean the same on a busy machine.

The gateway runs twice: ``memory`` keeps nothing, as the peer does; ``sqlite`` answers a meter value
after it is committed to a SQLite file and logs every frame.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import multiprocessing
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import structlog

from gridleaf.domain.clock import RealClock
from gridleaf.domain.events import StationEvent
from gridleaf.domain.site import SiteConfig, parse
from gridleaf.gateway import Gateway, OcppServer
from gridleaf.ocpp.csms import Authorisation
from gridleaf.store import sqlite_store
from gridleaf.store.port import Store

Version = Literal["ocpp1.6", "ocpp2.0.1"]
Kind = Literal["heartbeat", "meter"]
SERVERS = ("memory", "sqlite", "ocpp package")
VERSIONS: tuple[Version, ...] = ("ocpp1.6", "ocpp2.0.1")
KINDS: tuple[Kind, ...] = ("heartbeat", "meter")
MEASURANDS = (
    ("Power.Active.Import", "W", "11040.0"),
    ("Energy.Active.Import.Register", "Wh", "1203311.5"),
    ("Energy.Active.Export.Register", "Wh", "201444.0"),
    ("Current.Import", "A", "16.0"),
    ("Voltage", "V", "230.4"),
    ("SoC", "Percent", "61"),
)


# -- the servers, each in a process of its own --


class Forgetful:
    """An intake that keeps nothing."""

    async def accept(self, event: StationEvent) -> bool:
        return True

    async def authorise(self, station_id: str, id_token: str, evse_id: int | None) -> Authorisation:
        return Authorisation(status="Accepted")

    def pull_setpoint(self, station_id: str, profile_id: int) -> float | None:
        return None


class Durable(Forgetful):
    """An intake that commits what it is told."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def accept(self, event: StationEvent) -> bool:
        return await self._store.append(event)


def _site(stations: int) -> SiteConfig:
    evse = {"id": 1, "charge_max_kw": 22}
    return parse(
        {
            "name": "benchmark",
            "import_limit_kw": 1000,
            "server": {"ocpp_port": 0},
            "stations": [{"id": f"CP{n}", "evses": [evse]} for n in range(stations)],
        }
    )


def serve_gridleaf(pipe: Connection, stations: int, password: str, database: str | None) -> None:
    """Run the gateway until told to end."""

    async def main() -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        site, clock = _site(stations), RealClock()
        store = sqlite_store(Path(database) if database else None)
        await store.open()
        gateway = Gateway(
            site=site,
            clock=clock,
            store=store,
            intake=Durable(store) if database else Forgetful(),
            rng=random.Random(1),
            keep_frames=database is not None,
        )
        passwords = {station.id: password for station in site.stations}
        server = OcppServer(
            gateway, site=site, clock=clock, secrets=passwords, rng=random.Random(2)
        )
        await _answer_pipe(pipe, await server.start())
        await server.stop()
        await gateway.close()
        await store.close()

    asyncio.run(main())


def serve_package(pipe: Connection, stations: int, password: str, database: str | None) -> None:
    """Run a server on ``ocpp.v16`` and ``ocpp.v201`` as their documentation shows it."""
    from ocpp import v16, v201
    from ocpp.routing import on
    from websockets.asyncio.server import ServerConnection, basic_auth, serve
    from websockets.typing import Subprotocol

    logging.getLogger("ocpp").setLevel(logging.ERROR)
    now = "2026-01-05T12:00:00Z"

    class Station16(v16.ChargePoint):  # type: ignore[misc]
        @on("Heartbeat")  # type: ignore[untyped-decorator]
        async def heartbeat(self) -> v16.call_result.Heartbeat:
            return v16.call_result.Heartbeat(current_time=now)

        @on("MeterValues")  # type: ignore[untyped-decorator]
        async def meter_values(self, **payload: Any) -> v16.call_result.MeterValues:
            return v16.call_result.MeterValues()

    class Station201(v201.ChargePoint):  # type: ignore[misc]
        @on("Heartbeat")  # type: ignore[untyped-decorator]
        async def heartbeat(self) -> v201.call_result.Heartbeat:
            return v201.call_result.Heartbeat(current_time=now)

        @on("MeterValues")  # type: ignore[untyped-decorator]
        async def meter_values(self, **payload: Any) -> v201.call_result.MeterValues:
            return v201.call_result.MeterValues()

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        kind = Station16 if socket.subprotocol == "ocpp1.6" else Station201
        await kind(socket.request.path.rpartition("/")[2], socket).start()

    async def main() -> None:
        async with serve(
            handle,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol(version) for version in VERSIONS],
            compression=None,
            process_request=basic_auth(
                credentials=[(f"CP{number}", password) for number in range(stations)]
            ),
        ) as server:
            port: int = next(iter(server.sockets)).getsockname()[1]
            await _answer_pipe(pipe, port)

    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    asyncio.run(main())


async def _answer_pipe(pipe: Connection, port: int) -> None:
    """Tell the port, then the CPU time so far whenever asked, until told to end."""
    ended = asyncio.Event()

    def asked() -> None:
        if pipe.recv() == "end":
            ended.set()
        else:
            pipe.send(time.process_time())

    asyncio.get_running_loop().add_reader(pipe.fileno(), asked)
    pipe.send(port)
    await ended.wait()


# -- the load, in a process of its own --


def load(
    pipe: Connection, port: int, stations: int, password: str, version: Version, kind: Kind
) -> None:
    """Connect the stations; for every number of seconds received run the load and report."""
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.typing import Subprotocol

    payload = json.dumps(message(version, kind), separators=(",", ":"))
    action = "Heartbeat" if kind == "heartbeat" else "MeterValues"

    async def dial(name: str) -> ClientConnection:
        credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
        return await connect(
            f"ws://127.0.0.1:{port}/ocpp/{name}",
            subprotocols=[Subprotocol(version)],
            additional_headers={"Authorization": f"Basic {credentials}"},
            compression=None,
            proxy=None,
        )

    async def drive(socket: ClientConnection, until: float, numbers: Callable[[], int]) -> int:
        trips = 0
        while time.perf_counter() < until:
            await socket.send(f'[2,"{numbers()}","{action}",{payload}]')
            answer = await socket.recv()
            if not str(answer).startswith("[3"):
                raise RuntimeError(f"refused: {str(answer)[:300]}")
            trips += 1
        return trips

    async def main() -> None:
        sockets = [await dial(f"CP{number}") for number in range(stations)]
        numbers = iter(range(sys.maxsize)).__next__
        loop = asyncio.get_running_loop()
        while (seconds := await loop.run_in_executor(None, pipe.recv)) is not None:
            until = time.perf_counter() + seconds
            pipe.send(sum(await asyncio.gather(*(drive(s, until, numbers) for s in sockets))))
        await asyncio.gather(*(socket.close() for socket in sockets))

    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    asyncio.run(main())


def message(version: Version, kind: Kind) -> dict[str, Any]:
    """The payload that a station of that version sends; a meter value has six samples."""
    if kind == "heartbeat":
        return {}
    if version == "ocpp1.6":
        samples: list[dict[str, Any]] = [
            {
                "measurand": measurand,
                "unit": unit,
                "value": value,
                "context": "Sample.Periodic",
                "location": "Outlet",
            }
            for measurand, unit, value in MEASURANDS
        ]
        place: dict[str, Any] = {"connectorId": 1}
    else:
        samples = [
            {
                "measurand": measurand,
                "unitOfMeasure": {"unit": unit},
                "value": float(value),
                "context": "Sample.Periodic",
                "location": "Outlet",
            }
            for measurand, unit, value in MEASURANDS
        ]
        place = {"evseId": 1}
    return {**place, "meterValue": [{"timestamp": "2026-01-05T12:00:00Z", "sampledValue": samples}]}


# -- measuring --


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one run of one server came to."""

    server: str
    version: Version
    kind: Kind
    per_cpu_s: float
    per_s: float


def measure(
    server: str, version: Version, kind: Kind, *, stations: int, seconds: float, folder: Path
) -> Rate:
    """Start a server and a load, warm up, and count round trips against the server's CPU time."""
    context = multiprocessing.get_context("spawn")  # each begins as a fresh interpreter
    password = secrets.token_urlsafe(16)
    target = serve_package if server == "ocpp package" else serve_gridleaf
    database = str(folder / f"{secrets.token_hex(8)}.db") if server == "sqlite" else None
    server_pipe, server_end = context.Pipe()
    serving = context.Process(target=target, args=(server_end, stations, password, database))
    serving.start()
    port = _receive(server_pipe, serving)
    load_pipe, load_end = context.Pipe()
    loading = context.Process(target=load, args=(load_end, port, stations, password, version, kind))
    loading.start()
    load_pipe.send(0.3 * seconds)
    _receive(load_pipe, loading)
    server_pipe.send("cpu")
    before = _receive(server_pipe, serving)
    load_pipe.send(seconds)
    trips = _receive(load_pipe, loading)
    server_pipe.send("cpu")
    spent = _receive(server_pipe, serving) - before
    load_pipe.send(None)
    loading.join()
    server_pipe.send("end")
    serving.join()
    return Rate(
        server=server,
        version=version,
        kind=kind,
        per_cpu_s=trips / spent,
        per_s=trips / seconds,
    )


def _receive(pipe: Connection, process: Any) -> Any:
    """What the process says; an error when it has died instead."""
    while not pipe.poll(0.5):
        if not process.is_alive():
            raise RuntimeError(f"a process of the benchmark ended with {process.exitcode}")
    return pipe.recv()


def summary(rates: list[Rate]) -> list[dict[str, Any]]:
    """Medians by version and kind, and how many times the peer's they are."""

    def median(server: str, version: Version, kind: Kind) -> float:
        return statistics.median(
            rate.per_cpu_s
            for rate in rates
            if (rate.server, rate.version, rate.kind) == (server, version, kind)
        )

    rows = []
    for version in VERSIONS:
        for kind in KINDS:
            peer = median("ocpp package", version, kind)
            for server in SERVERS:
                ours = median(server, version, kind)
                rows.append(
                    {
                        "version": version,
                        "message": kind,
                        "server": server,
                        "round_trips_per_cpu_s": round(ours),
                        "cpu_us": round(1e6 / ours, 1),
                        "times_the_peer": round(ours / peer, 1),
                    }
                )
    return rows


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.gateway", description=__doc__)
    parser.add_argument("--stations", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a run")
    parser.add_argument("--rounds", type=int, default=3, help="medians are taken over these")
    parser.add_argument("--json", action="store_true")
    options, _ = parser.parse_known_args(argv)
    rates: list[Rate] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for version in VERSIONS:
                for kind in KINDS:
                    for server in SERVERS:  # side by side, so that noise hits all alike
                        rate = measure(
                            server,
                            version,
                            kind,
                            stations=options.stations,
                            seconds=options.seconds,
                            folder=Path(folder),
                        )
                        rates.append(rate)
                        print(
                            f"{version} {kind:9} {server:12} {rate.per_cpu_s:9.0f} per CPU-s"
                            f" {rate.per_s:9.0f} per s",
                            file=sys.stderr,
                        )
    rows = summary(rates)
    if options.json:
        print(json.dumps({"benchmark": "gateway", "stations": options.stations, "rows": rows}))
        return
    print(f"{'version':10} {'message':10} {'server':13} {'per CPU-s':>10} {'us':>8} {'ratio':>6}")
    for row in rows:
        print(
            f"{row['version']:10} {row['message']:10} {row['server']:13}"
            f" {row['round_trips_per_cpu_s']:10} {row['cpu_us']:8} {row['times_the_peer']:6}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
