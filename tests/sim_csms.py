"""A scripted central system for the tests of simulated stations: records calls, answers plainly."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConnectionLost
from gridleaf.domain.site import Evse, Station
from gridleaf.ocpp import schemas
from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.ocpp.peer import Peer
from gridleaf.ocpp.wire import Wire, memory_wires
from gridleaf.sim.station import SimStation
from gridleaf.sim.vehicle import SimVehicle
from gridleaf.sim.virtual import run_virtual

START = datetime(2026, 1, 5, 16, tzinfo=UTC)


class Csms:
    """Accepts whatever connects; ``answers`` replaces the answer to an action."""

    def __init__(self, clock: Clock, version: str) -> None:
        self.clock = clock
        self.version = version
        self.log: list[tuple[float, str, Payload]] = []
        self.frames: list[str] = []
        self.answers: dict[str, Callable[[Payload], Payload]] = {}
        self.refuse_connections = False
        self.connections = 0
        self.peer: Peer | None = None
        self._transactions = itertools.count(4711)
        self._ids = itertools.count(1)
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self) -> Wire:
        if self.refuse_connections:
            raise ConnectionLost("nobody there")
        self.connections += 1
        ours, theirs = memory_wires(self.version)
        handlers: dict[str, Handler] = {
            action: self._handler(action) for action in schemas.actions(self.version)
        }
        self.peer = Peer(
            ours,
            role="csms",
            clock=self.clock,
            handlers=handlers,
            new_id=lambda: f"c{next(self._ids)}",
            on_frame=lambda outgoing, frame: self.frames.append(("<" if outgoing else ">") + frame),
        )
        self._tasks.append(asyncio.get_running_loop().create_task(self.peer.run()))
        return theirs

    def _handler(self, action: str) -> Handler:
        async def handle(payload: Payload) -> Payload:
            self.log.append((self.clock.monotonic(), action, payload))
            answer = self.answers.get(action, self._plain(action))
            return answer(payload)

        return handle

    def _plain(self, action: str) -> Callable[[Payload], Payload]:
        now = self.clock.now().isoformat()
        token = {"idTokenInfo": {"status": "Accepted"}}
        if self.version == "ocpp2.1":
            token = {**token, "allowedEnergyTransfer": ["DC", "DC_BPT"]}
        if self.version == "ocpp1.6":
            token = {"idTagInfo": {"status": "Accepted"}}
        answers: dict[str, Callable[[Payload], Payload]] = {
            "BootNotification": lambda _: {
                "status": "Accepted",
                "currentTime": now,
                "interval": 600,
            },
            "Heartbeat": lambda _: {"currentTime": now},
            "Authorize": lambda _: token,
            "StartTransaction": lambda _: {
                "transactionId": next(self._transactions),
                "idTagInfo": {"status": "Accepted"},
            },
            "NotifyEVChargingNeeds": lambda _: {"status": "Processing"},
            "PullDynamicScheduleUpdate": lambda _: {
                "status": "Accepted",
                "scheduleUpdate": {"setpoint": -3000.0},
            },
        }
        return answers.get(action, lambda _: {})

    async def call(self, action: str, payload: Payload) -> Payload:
        assert self.peer is not None
        return await self.peer.call(action, payload)

    def sent(self, action: str) -> list[Payload]:
        """The payloads of an action the station has called so far."""
        return [payload for _, name, payload in self.log if name == action]

    def events(self, kind: str | None = None) -> list[Payload]:
        """TransactionEvents, perhaps of one type."""
        events = self.sent("TransactionEvent")
        return [e for e in events if kind in (None, e["eventType"])]


Scene = Callable[[SimStation, Csms, Clock], Awaitable[None]]


def play(
    scene: Scene,
    version: str,
    evses: tuple[Evse, ...],
    *,
    seed: int = 1,
    discharge_via: str = "ocpp21",
    meter_interval_s: float = 60.0,
) -> Csms:
    """Run a scene with one station that is online, on virtual time; returns the central system."""

    async def main(clock: Clock) -> Csms:
        csms = Csms(clock, version)
        station = SimStation(
            Station(id="ST-1", discharge_via=discharge_via, evses=evses),  # type: ignore[arg-type]
            version=version,
            clock=clock,
            connect=csms.connect,
            rng=random.Random(seed),
            meter_interval_s=meter_interval_s,
        )
        running = asyncio.get_running_loop().create_task(station.run())
        await clock.sleep(1)
        await scene(station, csms, clock)
        assert not running.done() or running.result() is None
        running.cancel()
        return csms

    return run_virtual(main, START)


def car(**changes: Any) -> SimVehicle:
    """A 40 kWh car, bidirectional by DC."""
    fields: dict[str, Any] = {
        "id_token": "LEAF-1",
        "capacity_kwh": 39.0,
        "soc": 0.5,
        "charge_max_kw": 46.0,
        "discharge_max_kw": 22.0,
        "reports_soc": True,
        "ramp_kw_per_s": 5.0,
        **changes,
    }
    return SimVehicle(**fields)


DC = (Evse(id=1, current="DC", charge_max_kw=22.0, discharge_max_kw=22.0),)
AC3 = (Evse(id=1, charge_max_kw=11.04),)
AC1 = (Evse(id=1, charge_max_kw=7.36, phases=1),)


def measured(meter_value: list[Payload], measurand: str) -> float:
    """The first value of a measurand in a meterValue array."""
    samples = [s for mv in meter_value for s in mv["sampledValue"]]
    return next(float(s["value"]) for s in samples if s["measurand"] == measurand)
