"""A depot that lives: vehicles come and go at simulated stations, the meter turns, books are kept.

It talks to the platform only as the real world does: OCPP through the stations, the site meter
through ``measured``, drivers through ``wish``. The same life runs over WebSockets on a fast clock and
over in-memory wires on a virtual one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from gridleaf.demo.umpire import Umpire
from gridleaf.demo.visits import Visit, plugged_at, visits_of
from gridleaf.demo.world import ZONE, World
from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import StoreUnavailable
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig, Station
from gridleaf.ocpp.wire import Wire
from gridleaf.platform import Platform
from gridleaf.sim.memory import recall, remember
from gridleaf.sim.station import SimStation
from gridleaf.sim.vehicle import SimVehicle, ac_kw, advance

log = structlog.get_logger()

Connect = Callable[[Station], Awaitable[Wire]]

METER_S = 10.0
"""How often the site meter is read [s]."""
READY_SOC = 0.005
"""A vehicle that lacks less than this is ready."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What happened so far. ``limit_violations`` counts the times a limit stayed broken too long."""

    sessions: int = 0
    ready_on_time: int = 0
    could_be_ready: int = 0
    missed: list[str] = field(default_factory=list)
    unmet_kwh: float = 0.0
    charged_kwh: float = 0.0
    discharged_kwh: float = 0.0
    evening_discharged_kwh: float = 0.0
    limit_violations: int = 0
    longest_violation_s: float = 0.0


class Life:
    """Plays the visits of a seed at the depot's stations.

    Parameters
    ----------
    connect
        Opens a station's connection to the platform.
    reaction_s
        A limit broken for longer than this counts as violated [s].
    """

    def __init__(
        self,
        site: SiteConfig,
        *,
        clock: Clock,
        platform: Platform,
        world: World,
        connect: Connect,
        start: datetime,
        reaction_s: float = 60.0,
    ) -> None:
        self.site = site
        self.clock = clock
        self.platform = platform
        self.world = world
        self.start = start
        self.tally = Tally()
        self.visits: dict[str, Visit] = {}
        """Who stands where: the visit of each occupied station."""
        self._registers: dict[str, tuple[float, float]] = {}
        self.umpire = Umpire(site, reaction_s)
        self._group: asyncio.TaskGroup
        rng = random.Random(f"{world.seed}/stations")
        self.stations = {
            s.id: SimStation(
                s,
                version=s.versions[0],
                clock=clock,
                connect=_bound(connect, s),
                rng=random.Random(rng.random()),
                voltage_v=site.voltage_v,
            )
            for s in site.stations
        }

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            for station in self.stations.values():
                self._group.create_task(station.run())
            self._group.create_task(self._meter())
            self._group.create_task(self._come_and_go())

    # -- the meter --

    async def _meter(self) -> None:
        while True:
            now = self.clock.now()
            powers = {name: s.power_kw(1) for name, s in self.stations.items()}
            load, pv = self.world.load_kw(now), self.world.pv_kw(now)
            grid = load - pv + sum(powers.values())
            self._watch(now, load - pv, powers)
            await self.platform.measured(
                SiteMeasurement(
                    measured_at=now,
                    grid_kw=round(grid, 3),
                    pv_kw=round(pv, 3),
                    load_kw=round(load, 3),
                    source="sim",
                )
            )
            await self.clock.sleep(METER_S)

    def _watch(self, now: datetime, base_kw: float, powers: dict[str, float]) -> None:
        """Show the true powers to the umpire, and count what is given in the evening."""
        phases = {name: s.evses[1].phases_used for name, s in self.stations.items()}
        self.umpire.look(now, base_kw, powers, phases, self.platform.controller.imposed)
        tally = self.tally
        tally.limit_violations = self.umpire.violations
        tally.longest_violation_s = self.umpire.longest_s
        if 17 <= now.astimezone(ZONE).hour < 21:
            given = sum(max(-p, 0.0) for p in powers.values())
            tally.evening_discharged_kwh += given * METER_S / 3600

    # -- vehicles --

    async def _come_and_go(self) -> None:
        today = self.start.astimezone(ZONE).date()
        if not self.visits:
            for visit in plugged_at(self.world.seed, self.start, today):
                await self._arrive(visit)
        else:
            for visit in self.visits.values():
                self._leave_later(visit)
        day = self.clock.now().astimezone(ZONE).date()
        while True:
            for visit in visits_of(self.world.seed, day):
                wait_s = (visit.arrives_at - self.clock.now()).total_seconds()
                if wait_s < 0:
                    continue
                await self.clock.sleep(wait_s)
                if visit.station_id not in self.visits:
                    await self._arrive(visit)
            day += timedelta(days=1)

    async def _arrive(self, visit: Visit) -> None:
        station = self.stations[visit.station_id]
        self.visits[visit.station_id] = visit
        self._registers[visit.station_id] = station.energy(1)
        told = visit.leaves_at if visit.in_car else None
        await station.plug(1, visit.vehicle, departure_at=told)
        if visit.wish is not None:
            self._group.create_task(self._say(visit))
        self._leave_later(visit)

    async def _say(self, visit: Visit) -> None:
        """The driver tells the platform, as soon as it knows of the session."""
        assert visit.wish is not None
        for _ in range(60):
            evse = self.platform.controller.live.evse(visit.station_id, 1)
            session = evse.session if evse is not None else None
            if session is not None and session.id_token == visit.vehicle.id_token:
                try:
                    await self.platform.wish(session.session_id, visit.wish)
                except (KeyError, StoreUnavailable) as error:
                    log.warning("wish_not_taken", visit=visit.name, reason=str(error))
                return
            await self.clock.sleep(2.0)
        log.warning("wish_not_heard", visit=visit.name)

    def _leave_later(self, visit: Visit) -> None:
        self._group.create_task(self._leave(visit))

    async def _leave(self, visit: Visit) -> None:
        await self.clock.sleep(max((visit.leaves_at - self.clock.now()).total_seconds(), 0.0))
        station = self.stations[visit.station_id]
        vehicle = await station.unplug(1)
        imported, exported = station.energy(1)
        before = self._registers.pop(visit.station_id)
        del self.visits[visit.station_id]
        self._count(visit, vehicle, imported - before[0], exported - before[1])

    def _count(
        self, visit: Visit, vehicle: SimVehicle, charged_kwh: float, discharged_kwh: float
    ) -> None:
        tally = self.tally
        tally.sessions += 1
        tally.charged_kwh += charged_kwh
        tally.discharged_kwh += discharged_kwh
        ready = vehicle.soc >= visit.target_soc - READY_SOC
        possible = self.could_be_ready(visit)
        tally.ready_on_time += ready
        tally.could_be_ready += possible
        missing = max(visit.target_soc - vehicle.soc, 0.0) * vehicle.capacity_kwh
        tally.unmet_kwh += 0.0 if ready else missing / vehicle.charge_efficiency
        if possible and not ready:
            tally.missed.append(visit.name)
            log.warning("missed", visit=visit.name, soc=vehicle.soc, target=visit.target_soc)

    def could_be_ready(self, visit: Visit) -> bool:
        """Whether full power from arrival to departure would have been enough."""
        evse = self.stations[visit.station_id].config.evses[0]
        power = min(evse.charge_max_kw, visit.vehicle.charge_max_kw)
        if evse.current == "AC":
            amps = evse.charge_max_kw * 1000 / (self.site.voltage_v * evse.phases)
            power = ac_kw(visit.vehicle, amps, evse.phases, self.site.voltage_v)
        stay_s = (visit.leaves_at - visit.arrives_at).total_seconds()
        after, _, _ = advance(visit.vehicle, power, stay_s)
        return after.soc >= visit.target_soc - READY_SOC

    # -- what survives a restart --

    def remember(self) -> dict[str, Any]:
        """The state of the world as JSON-ready values."""
        return {
            "at": self.clock.now().isoformat(),
            "start": self.start.isoformat(),
            "seed": self.world.seed,
            "tally": asdict(self.tally),
            "visits": {name: visit.name for name, visit in self.visits.items()},
            "registers": {name: list(pair) for name, pair in self._registers.items()},
            "stations": {name: remember(station) for name, station in self.stations.items()},
        }

    def recall(self, kept: dict[str, Any]) -> None:
        """Go on where :meth:`remember` was called; before :meth:`run`."""
        self.tally = Tally(**kept["tally"])
        self.umpire.violations = self.tally.limit_violations
        self.umpire.longest_s = self.tally.longest_violation_s
        self._registers = {name: (pair[0], pair[1]) for name, pair in kept["registers"].items()}
        for name, station in self.stations.items():
            recall(station, kept["stations"][name])
        day = datetime.fromisoformat(kept["at"]).astimezone(ZONE).date()
        known = {
            v.name: v
            for back in range(5)
            for v in visits_of(self.world.seed, day - timedelta(days=back))
        }
        self.visits = {name: known[visit] for name, visit in kept["visits"].items()}


def _bound(connect: Connect, station: Station) -> Callable[[], Awaitable[Wire]]:
    return lambda: connect(station)
