"""One mode of a replay: the platform and simulated stations on a virtual clock, and who watches them.

It is the platform that runs real sites: the same control loop, gateway and OCPP messages, over wires
in memory.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from gridleaf.control.limits import path_to_grid, tree
from gridleaf.control.types import Policy
from gridleaf.domain.clock import Clock
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.wishes import Wish
from gridleaf.ocpp.wire import Wire, memory_wires
from gridleaf.platform import Platform
from gridleaf.replay.memory import MemoryStore
from gridleaf.replay.metrics import MINUTE, Recording, Tape, mode_result
from gridleaf.replay.results import ModeResult
from gridleaf.replay.site import ReplaySite, ReplayVisit
from gridleaf.replay.window import Window
from gridleaf.sim.station import SimStation
from gridleaf.sim.vehicle import SimVehicle
from gridleaf.sim.virtual import run_virtual
from gridleaf.store.port import SessionRecord
from gridleaf.tariff import DayAheadSource, PriceCurve, Prices, tariff_prices

WARM_UP = timedelta(minutes=15)
"""Stations connect, boot and are read before the window begins; cycles then fall on its quarters."""
IDLE_S = 3600.0
"""A vehicle that neither takes nor gives has nothing new to tell for so long [s]."""
DEMAND_S = 300.0
"""The demand meter is read at least this often: its samples hold no longer [s]."""
_BEFORE_S = 1.0
"""Meters are read this long before a cycle of the timer [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that one mode needs; it can be sent to another process. The window is whole intervals.

    ``past`` are sessions before the window, from which a platform in operation would have learned.
    """

    replay: ReplaySite
    window: Window
    points: tuple[PricePoint, ...]
    past: tuple[SessionRecord, ...]
    seed: int

    def prices(self) -> Prices:
        """Of each metering interval of the window import and export price, and if the market's."""
        interval = timedelta(minutes=self.replay.site.tariff.demand_interval_min)
        count = (self.window.end - self.window.start) // interval
        steps = [interval / timedelta(hours=1)] * count
        curve = PriceCurve.of(self.points)
        return tariff_prices(curve, self.window.start, steps, self.replay.site.tariff)


_HOUR_S, _DAY_S = 3600.0, 86_400.0


class PriceSeriesSource:
    """A price series at hand, oldest first."""

    name = "replay"

    def __init__(self, points: Sequence[PricePoint]) -> None:
        self._points = points

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        first = bisect_right(self._points, since, key=lambda p: p.end)
        last = bisect_left(self._points, until, key=lambda p: p.start)
        return list(self._points[first:last])


def run_mode(
    scenario: Scenario, mode: Policy, progress: Callable[[float], None] = lambda _: None
) -> ModeResult:
    """Replay the scenario in one mode; the same scenario gives the same result, to the bit.

    ``progress`` is told the share of the window that has passed, 0..1.
    """
    start = scenario.window.start - WARM_UP
    recording = run_virtual(lambda clock: _World(scenario, mode, clock, progress).run(), start)
    buy, sell, _ = scenario.prices()
    return mode_result(
        mode,
        recording,
        site=scenario.replay.site,
        window=scenario.window,
        buy=buy,
        sell=sell,
        battery=scenario.replay.battery,
    )


class _World:
    def __init__(
        self, scenario: Scenario, mode: Policy, clock: Clock, progress: Callable[[float], None]
    ) -> None:
        site = scenario.replay.site
        self.scenario = scenario
        self.clock = clock
        self.progress = progress
        # Meters are read before every decision instead of every minute: between decisions they must
        # not be taken for dead. Where nothing is decided, an hour is soon enough. Wires in memory
        # never break: a heartbeat has nothing to tell.
        control = site.control
        self.decides = mode != "uncontrolled"
        cycle_s = control.cycle_s if self.decides else max(control.cycle_s, _HOUR_S)
        patience = {
            "cycle_s": cycle_s,
            "meter_max_age_s": max(control.meter_max_age_s, 2 * cycle_s),
            "soc_max_age_s": max(control.soc_max_age_s, 2 * cycle_s, 2 * IDLE_S),
            "solver_time_limit_s": 3600.0,  # a busy machine must not change the result
        }
        self.site = site.model_copy(
            update={
                "control": control.model_copy(update={"policy": mode, **patience}),
                "server": site.server.model_copy(update={"heartbeat_interval_s": _DAY_S}),
            }
        )
        self.batteries = {vehicle.id_token: vehicle.battery for vehicle in site.vehicles}
        rng = random.Random(scenario.seed)
        self.store = MemoryStore()
        self.platform = Platform(
            self.site,
            clock=clock,
            store=self.store,
            rng=random.Random(rng.random()),
            source=DayAheadSource(PriceSeriesSource(scenario.points), clock),
            timer=lambda: 0.0,
            checkpoint_s=_DAY_S,
            keep_frames=False,
        )
        self.stations: dict[str, SimStation] = {}
        for station in self.site.stations:
            self.stations[station.id] = SimStation(
                station,
                version=station.versions[0],
                clock=clock,
                connect=self._connector(station.id, station.versions[0]),
                rng=random.Random(rng.random()),
                voltage_v=self.site.voltage_v,
                meter_interval_s=_DAY_S,
                meter_fixed=True,
            )
        nodes = tree(self.site)
        minutes = (scenario.window.end - scenario.window.start) // MINUTE
        self.minute_kwh = {node.id: np.zeros(minutes) for node in nodes}
        self.paths = {
            (s.id, e.id): path_to_grid(nodes, self.site.circuit_of(s, e))
            for s in self.site.stations
            for e in s.evses
        }
        self.interval_min = self.site.tariff.demand_interval_min
        self.minute = -1
        self.tapes: list[Tape] = []
        self.running: dict[str, _Running] = {}
        self.group: asyncio.TaskGroup

    def _connector(self, station_id: str, version: str) -> Callable[[], Awaitable[Wire]]:
        async def connect() -> Wire:
            ours, theirs = memory_wires(version)
            self.group.create_task(self.platform.gateway.serve(ours, station_id, "replay"))
            return theirs

        return connect

    async def run(self) -> Recording:
        for session in self.scenario.past:
            await self.store.save_session(session)
        await self.platform.restore()
        messages = 0
        async with asyncio.TaskGroup() as self.group:
            background = [self.group.create_task(self.platform.run())]
            background += [self.group.create_task(s.run()) for s in self.stations.values()]
            background.append(self.group.create_task(self._demand()))
            background.append(self.group.create_task(self._timer()))
            drivers = self.group.create_task(self._drivers())
            await self._record()
            await drivers
            for station_id in self.stations:
                connection = self.platform.gateway.connection(station_id)
                if connection is not None:
                    counters = connection.peer.endpoint.counters
                    messages += counters["calls"] + counters["results"] + counters["sends"]
            for task in background:
                task.cancel()
            await asyncio.wait(background)
            await self.platform.close()
        cycles = self.platform.controller.cycles
        order = {v.visit_id: n for n, v in enumerate(self.scenario.replay.visits)}
        tapes = sorted(self.tapes, key=lambda tape: order[tape.visit.visit_id])
        return Recording(tapes=tapes, minute_kwh=self.minute_kwh, cycles=cycles, messages=messages)

    # -- who comes and goes --

    async def _drivers(self) -> None:
        events = sorted(
            (
                (at, leaving, visit)
                for visit in self.scenario.replay.visits
                for at, leaving in ((visit.arrived_at, False), (visit.departed_at, True))
            ),
            key=lambda e: (e[0], not e[1], e[2].id_token),
        )
        for at, leaving, visit in events:
            wait_s = (at - self.clock.now()).total_seconds()
            if wait_s > 0:
                await self.clock.sleep(wait_s)
            await (self._leave(visit) if leaving else self._arrive(visit))
            if self.decides:
                self._read_meters(idle=False)

    async def _arrive(self, visit: ReplayVisit) -> None:
        station = self.stations[visit.station_id]
        evse = station.evses[visit.evse_id].config
        vehicle = SimVehicle(
            id_token=visit.id_token,
            name=visit.vehicle,
            capacity_kwh=visit.capacity_kwh,
            soc=visit.arrival_soc,
            charge_max_kw=visit.charge_max_kw,
            discharge_max_kw=visit.discharge_max_kw,
            ac_phases=evse.phases,
            battery=self.batteries.get(visit.id_token) or "",
            temperature_c=self.site.defaults.ambient_c,
            ambient_c=self.site.defaults.ambient_c,
            cutoff=1.0,
            min_soc=0.0,
            limit_soc=visit.target_soc,
            charge_efficiency=evse.charge_efficiency,
            discharge_efficiency=evse.discharge_efficiency,
            ramp_kw_per_s=float("inf"),
            reports_soc=evse.current == "DC",
            target_soc=visit.target_soc,
        )
        first = max(self.minute, 0) // self.interval_min
        tape = Tape(visit, first, soc=[visit.arrival_soc])
        self.tapes.append(tape)
        self.running[visit.id_token] = _Running(tape, *station.energy(visit.evse_id))
        await station.plug(visit.evse_id, vehicle, departure_at=visit.departed_at)
        live = self.platform.controller.live.evse(visit.station_id, visit.evse_id)
        if live is not None and live.session is not None:
            wish = Wish(
                departure_at=visit.departed_at,
                energy_kwh=visit.energy_kwh,
                target_soc=visit.target_soc,
            )
            await self.platform.wish(live.session.session_id, wish)

    async def _leave(self, visit: ReplayVisit) -> None:
        station = self.stations[visit.station_id]
        running = self.running.pop(visit.id_token)
        self._count(running)
        vehicle = await station.unplug(visit.evse_id)
        running.tape.final_soc = vehicle.soc
        running.tape.soc.append(running.tape.final_soc)

    # -- who watches --

    async def _timer(self) -> None:
        """Read the meters shortly before each cycle of the timer."""
        cycle_s = self.site.control.cycle_s
        all_due = 0.0
        await self._measure()
        await self.clock.sleep(cycle_s - _BEFORE_S)
        while True:
            now = self.clock.monotonic()
            self._read_meters(idle=now >= all_due)
            if now >= all_due:
                all_due = now + IDLE_S
            await self._measure()
            await self.clock.sleep(cycle_s)

    def _read_meters(self, *, idle: bool) -> None:
        """Every station tells of its transactions; without ``idle`` only where power flows."""
        for running in self.running.values():
            visit = running.tape.visit
            station = self.stations[visit.station_id]
            if idle or station.power_kw(visit.evse_id) != 0.0:
                station.report(station.evses[visit.evse_id], "periodic")

    async def _measure(self) -> None:
        """The site's own meters; the building's load and generation count as zero."""
        await self.platform.measured(
            SiteMeasurement(
                measured_at=self.clock.now(),
                grid_kw=self._power_kw(),
                pv_kw=0.0,
                load_kw=0.0,
                source="sim",
            )
        )

    async def _demand(self) -> None:
        while True:
            self.platform.demand.add(self.clock.now(), self._power_kw())
            await self.clock.sleep(DEMAND_S)

    def _power_kw(self) -> float:
        return sum(
            self.stations[r.tape.visit.station_id].power_kw(r.tape.visit.evse_id)
            for r in self.running.values()
        )

    async def _record(self) -> None:
        minutes = len(self.minute_kwh[""])
        wait_s = (self.scenario.window.start - self.clock.now()).total_seconds()
        await self.clock.sleep(wait_s)
        for self.minute in range(minutes):
            await self.clock.sleep(60.0)
            for running in self.running.values():
                self._count(running)
            if (self.minute + 1) % self.interval_min == 0:
                for running in self.running.values():
                    self._note_soc(running)
                self.progress((self.minute + 1) / minutes)

    def _count(self, running: _Running) -> None:
        """What went through the EVSE since it was last looked at belongs to the running minute."""
        tape = running.tape
        visit = tape.visit
        imported, exported = self.stations[visit.station_id].energy(visit.evse_id)
        taken, given = imported - running.imported, exported - running.exported
        running.imported, running.exported = imported, exported
        index = self.minute // self.interval_min - tape.first
        while len(tape.imported) <= index:
            tape.imported.append(0.0)
            tape.exported.append(0.0)
        tape.imported[index] += taken
        tape.exported[index] += given
        for node in self.paths[visit.station_id, visit.evse_id]:
            self.minute_kwh[node][self.minute] += taken - given

    def _note_soc(self, running: _Running) -> None:
        visit = running.tape.visit
        vehicle = self.stations[visit.station_id].vehicle(visit.evse_id)
        if vehicle is not None:
            running.tape.soc.append(vehicle.soc)


@dataclass(slots=True)
class _Running:
    """A visit under way, with the registers of its EVSE when last looked at [kWh]."""

    tape: Tape
    imported: float
    exported: float
