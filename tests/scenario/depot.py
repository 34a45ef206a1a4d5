"""A small depot on the virtual clock: a platform, simulated stations, a site meter and an umpire.

Everything between them is real: OCPP frames over in-memory wires, the control loop, the store. Only
time is virtual, so hours take seconds. A test says what happens at which time and looks at true power.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from structlog.testing import capture_logs

from gridleaf.control.decide import Solver
from gridleaf.control.session import LiveSession
from gridleaf.control.types import Decision, EvseState, SiteState
from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConnectionLost, SourceUnavailable
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.site import SiteConfig, Station, parse
from gridleaf.ocpp.wire import Wire, memory_wires
from gridleaf.plan import solve
from gridleaf.platform import Platform
from gridleaf.sim.station import SimStation
from gridleaf.sim.vehicle import SimVehicle
from gridleaf.sim.virtual import run_virtual
from gridleaf.store import sqlite_store
from scenario.umpire import Umpire

T = TypeVar("T")
Profile = Callable[[datetime], float]

CYCLE_S = 300.0
METER_S = 10.0
QUARTER = timedelta(minutes=15)
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def monday(hour: float) -> datetime:
    """An hour of the Monday on which scenes play; beyond 24 it is Tuesday."""
    return MONDAY + timedelta(hours=hour)


def evening_peak(at: datetime) -> float:
    """0.10 by day, 0.50 from 17 to 21, 0.06 at night [EUR/kWh]."""
    return 0.50 if 17 <= at.hour < 21 else 0.06 if at.hour < 6 or at.hour >= 22 else 0.10


def one_dear_hour(at: datetime) -> float:
    """0.90 from 17 to 18, else 0.10 [EUR/kWh]: who may give, gives then."""
    return 0.90 if at.hour == 17 else 0.10


def small_depot(**changes: Any) -> SiteConfig:
    """Two bidirectional 2.1 DC, a three-phase 2.0.1 AC, a single-phase 1.6 AC, three known cars.

    The rows are narrower than their chargers, the AC row has fuses. The cars of the DC stations give
    and want to be at 0.8 at six in the morning.
    """
    dc = {"id": 1, "current": "DC", "charge_max_kw": 22, "discharge_max_kw": 22}
    base: dict[str, Any] = {
        "name": "Small depot",
        "import_limit_kw": 45,
        "export_limit_kw": 25,
        "circuits": [
            {"id": "dc-row", "import_limit_kw": 40},
            {"id": "ac-row", "import_limit_kw": 16, "fuse_a": 32},
        ],
        "stations": [
            {"id": "DC-1", "circuit": "dc-row", "versions": ["ocpp2.1"], "evses": [dc]},
            {"id": "DC-2", "circuit": "dc-row", "versions": ["ocpp2.1"], "evses": [dc]},
            {
                "id": "AC-3",
                "circuit": "ac-row",
                "versions": ["ocpp2.0.1"],
                "evses": [{"id": 1, "charge_max_kw": 11.04, "phases": 3}],
            },
            {
                "id": "AC-1",
                "circuit": "ac-row",
                "versions": ["ocpp1.6"],
                "evses": [{"id": 1, "charge_max_kw": 7.36, "phases": 1, "phase": 2}],
            },
        ],
        "vehicles": [_known("GIVER-1"), _known("GIVER-2"), {**_known("KEEPER"), "v2g": False}],
        "tariff": {"source": "csv", "export_factor": 0.95},
        "control": {"static_share_kw": 12, "horizon_h": 14},
        "server": {"ping_interval_s": 3600},
    }
    return parse(_merged(base, changes))


def _known(id_token: str) -> dict[str, Any]:
    return {
        "id_token": id_token,
        "capacity_kwh": 60,
        "charge_max_kw": 22,
        "discharge_max_kw": 22,
        "reserve_soc": 0.3,
        "target_soc": 0.8,
        "departure": "06:00",
        "wear_per_kwh": 0.04,
    }


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def giver(number: int = 1, soc: float = 0.7, **changes: Any) -> SimVehicle:
    """A bidirectional 60 kWh car that the site knows."""
    return car(f"GIVER-{number}", soc, discharge_max_kw=22.0, reports_soc=True, **changes)


def car(id_token: str, soc: float = 0.5, **changes: Any) -> SimVehicle:
    fields: dict[str, Any] = {"capacity_kwh": 60.0, "charge_max_kw": 22.0, **changes}
    return SimVehicle(id_token=id_token, soc=soc, **fields)


class Market:
    """Quarter-hourly prices by a function of time; ``answers`` may be changed or made to fail."""

    name = "market of the scene"

    def __init__(self, price: Profile) -> None:
        self.price = price
        self.down = False
        self.asked = 0

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        self.asked += 1
        if self.down:
            raise SourceUnavailable("the market is silent")
        start = since - timedelta(seconds=since.timestamp() % 900)
        count = int((until - start) / QUARTER) + 1
        times = [start + n * QUARTER for n in range(count)]
        return [PricePoint(start=t, end=t + QUARTER, price_per_kwh=self.price(t)) for t in times]


class ToldWire:
    """A wire that keeps what passes, decoded: (time, from the station, message)."""

    def __init__(self, wire: Wire, clock: Clock, kept: list[tuple[datetime, bool, Any]]) -> None:
        self.subprotocol = wire.subprotocol
        self._wire = wire
        self._clock = clock
        self._kept = kept

    async def send(self, frame: str) -> None:
        self._kept.append((self._clock.now(), True, json.loads(frame)))
        await self._wire.send(frame)

    async def receive(self) -> str:
        frame = await self._wire.receive()
        self._kept.append((self._clock.now(), False, json.loads(frame)))
        return frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._wire.close(code, reason)


class Depot:
    """The running scene.

    Attributes
    ----------
    load_kw, pv_kw
        What the building takes and the roof gives [kW]; a number or a function of time.
    meter_on, meter_parts
        Whether the site meter speaks, and whether it tells load and generation beside the grid.
    parts, shown_kw
        What the meters of load and generation, and of the grid, show instead of the truth.
    time
        The world's clock; the platform's own may be wrong (``skew_s``).
    """

    platform: Platform

    def __init__(
        self, site: SiteConfig, clock: Clock, market: Market, make: Callable[[], Platform]
    ) -> None:
        self.site = site
        self.time = clock
        self.market = market
        self._make = make
        self._work: asyncio.Task[None] | None = None
        self.load_kw: float | Profile = 8.0
        self.pv_kw: float | Profile = 0.0
        self.meter_on = True
        self.meter_parts = True
        self.parts: dict[str, float] = {}
        self.shown_kw: float | None = None
        self.frames: dict[str, list[tuple[datetime, bool, Any]]] = {}
        self.decisions: list[tuple[SiteState, Decision]] = []
        self.serving: set[asyncio.Task[None]] = set()
        rng = random.Random(7)
        self.stations = {
            s.id: SimStation(
                s,
                version=s.versions[0],
                clock=clock,
                connect=self._connector(s),
                rng=random.Random(rng.random()),
                voltage_v=site.voltage_v,
            )
            for s in site.stations
        }
        self.umpire = Umpire(self)

    # -- what happens --

    async def start(self) -> None:
        """A platform comes up on what the store holds."""
        self.platform = self._make()
        await self.platform.restore()
        controller = self.platform.controller
        controller.on_cycle.append(lambda s, d: self.decisions.append((s, d)))
        controller.on_cycle.append(self.umpire.decided)
        self._work = asyncio.create_task(self.platform.run())

    async def crash(self) -> None:
        """The platform is gone, without a farewell: no checkpoint, no orderly end."""
        assert self._work is not None
        await _stopped([self._work, *self.serving])
        self._work = None

    @property
    def up(self) -> bool:
        return self._work is not None

    async def until(self, hour: float) -> None:
        """Let time pass until an hour of the scene's Monday."""
        left = (monday(hour) - self.time.now()).total_seconds()
        assert left >= 0, "the scene looks back"
        await self.time.sleep(left)

    async def minutes(self, count: float) -> None:
        await self.time.sleep(60 * count)

    async def plug(
        self, station_id: str, vehicle: SimVehicle, leaves: float | None = None
    ) -> LiveSession:
        """Plug in, and wait until the platform knows; ``leaves`` is what the driver set in the car."""
        departure = None if leaves is None else monday(leaves)
        await self.stations[station_id].plug(1, vehicle, departure_at=departure)
        await self.time.sleep(0.1)
        return self.session(station_id)

    async def unplug(self, station_id: str) -> SimVehicle:
        return await self.stations[station_id].unplug(1)

    # -- what is true --

    def power(self, station_id: str) -> float:
        """True power of a station [kW], + charges."""
        return self.stations[station_id].power_kw(1)

    def soc(self, station_id: str) -> float:
        vehicle = self.stations[station_id].vehicle(1)
        assert vehicle is not None
        return vehicle.soc

    def evse_kw(self) -> float:
        """True power of all stations together [kW]."""
        return sum(self.power(name) for name in self.stations)

    def base_kw(self) -> float:
        return self._at(self.load_kw) - self._at(self.pv_kw)

    def grid_kw(self) -> float:
        """True power at the grid connection [kW], + imports."""
        return self.base_kw() + self.evse_kw()

    def _at(self, what: float | Profile) -> float:
        return what(self.time.now()) if callable(what) else what

    # -- what the platform thinks --

    @property
    def state(self) -> SiteState:
        return self.platform.state()

    def evse(self, station_id: str) -> EvseState:
        return next(e for e in self.state.evses if e.station_id == station_id)

    def session(self, station_id: str) -> LiveSession:
        evse = self.platform.controller.live.evse(station_id, 1)
        assert evse is not None
        assert evse.session is not None, f"{station_id} has no session"
        return evse.session

    def alerts(self) -> set[str]:
        """Kinds of the newest decision's alerts."""
        decision = self.platform.decision()
        return set() if decision is None else {a.kind for a in decision.alerts}

    def told(self, station_id: str, action: str) -> list[Any]:
        """Payloads of an action that the platform has called at a station so far."""
        return [
            m[3]
            for _, upwards, m in self.frames.get(station_id, [])
            if not upwards and m[0] == 2 and m[2] == action
        ]

    def heard(self, station_id: str, action: str) -> list[Any]:
        """Payloads of an action that a station has called at the platform so far."""
        return [
            m[3]
            for _, upwards, m in self.frames.get(station_id, [])
            if upwards and m[0] == 2 and m[2] == action
        ]

    def last_told(self, station_id: str, action: str) -> datetime:
        return max(
            at
            for at, upwards, m in self.frames[station_id]
            if not upwards and m[0] == 2 and m[2] == action
        )

    # -- how it runs --

    def _connector(self, station: Station) -> Callable[[], Awaitable[Wire]]:
        async def connect() -> Wire:
            if not self.up:
                raise ConnectionLost("nobody is there")
            return self.connect(station.id, station.versions[0])

        return connect

    def connect(self, station_id: str, version: str) -> Wire:
        """A new connection to the platform, as somebody who may come in."""
        ours, theirs = memory_wires(version)
        task = asyncio.create_task(self.platform.gateway.serve(ours, station_id, "memory"))
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)
        return ToldWire(theirs, self.time, self.frames.setdefault(station_id, []))

    async def meter(self) -> None:
        """The site meter, and the umpire beside it; for ever."""
        while True:
            self.umpire.look()
            if self.meter_on and self.up:
                true = {"load_kw": self._at(self.load_kw), "pv_kw": self._at(self.pv_kw)}
                await self.platform.measured(
                    SiteMeasurement(
                        measured_at=self.platform.clock.now(),
                        grid_kw=self.grid_kw() if self.shown_kw is None else self.shown_kw,
                        source="sim",
                        **({**true, **self.parts} if self.meter_parts else {}),
                    )
                )
            await self.time.sleep(METER_S)


async def _stopped(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        assert not task.done() or task.cancelled() or task.exception() is None
        task.cancel()
    await asyncio.wait(tasks)


Scene = Callable[[Depot], Awaitable[T]]


def play(
    scene: Scene[T],
    *,
    start: float = 16.0,
    site: SiteConfig | None = None,
    price: Profile = evening_peak,
    stations: tuple[str, ...] | None = None,
    clock_of: Callable[[Clock], Clock] = lambda clock: clock,
    solver: Solver = solve,
    expected_errors: tuple[str, ...] = (),
    metered: bool = True,
    market_down: bool = False,
    fair: bool = True,
    passport_key: Path | None = None,
) -> T:
    """Play a scene; afterwards the umpire gives his verdict and no error may have been logged.

    Parameters
    ----------
    start
        Hour of the scene's Monday; the depot has been up for a minute when the scene begins.
    stations
        Which simulated stations are switched on; all by default.
    clock_of
        Makes the platform's clock of the world's.
    expected_errors
        Events that may be logged as errors.
    metered, market_down
        Whether the site meter speaks, and the market is silent, from the beginning.
    fair
        Whether the umpire is asked for his verdict.
    passport_key
        Where the key is that signs passports; none are written when absent.
    """
    site = site or small_depot()

    async def main(clock: Clock) -> T:
        store = sqlite_store(None)
        await store.open()
        market = Market(price)
        market.down = market_down

        def make() -> Platform:
            return Platform(
                site,
                clock=clock_of(clock),
                store=store,
                rng=random.Random(1),
                source=market,
                solver=solver,
                timer=lambda: 0.0,
                keep_frames=False,
                passport_key=passport_key,
            )

        depot = Depot(site, clock, market, make)
        depot.meter_on = metered
        await depot.start()
        running = [
            asyncio.create_task(s.run())
            for name, s in depot.stations.items()
            if stations is None or name in stations
        ]
        running.append(asyncio.create_task(depot.meter()))
        await clock.sleep(60)
        result = await scene(depot)
        await _stopped(running)
        await depot.crash()
        await depot.platform.close()
        await store.close()
        if fair:
            depot.umpire.verdict()
        return result

    with capture_logs() as logs:
        result = run_virtual(main, monday(start) - timedelta(seconds=60))
    errors = [e for e in logs if e["log_level"] in ("error", "critical")]
    assert [e for e in errors if e["event"] not in expected_errors] == []
    return result
