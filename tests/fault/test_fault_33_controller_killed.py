"""Fault 33: the controller dies. A real process, killed again and again while cars charge and give.

Required: the stations fall back to their default limit by expiry alone; nothing that was acknowledged
is lost; the same sessions go on when the process is back.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gridleaf.control.limits import static_shares_kw
from gridleaf.control.session import session_id
from gridleaf.domain.clock import RealClock
from gridleaf.domain.errors import ConnectionLost
from gridleaf.domain.events import TransactionReported
from gridleaf.domain.site import SiteConfig, Station, load
from gridleaf.ocpp.wire import Wire
from gridleaf.sim.dial import dial
from gridleaf.sim.station import SimStation
from gridleaf.sim.vehicle import SimVehicle
from gridleaf.store import sqlite_store
from scenario.depot import ToldWire
from scenario.umpire import discharges, ends
from signal_fakes import MeterServer, words

CYCLE_S, LOAD_KW, PATIENCE_S = 3.0, 8.0, 60.0
PASSWORD = "long-enough-for-everybody"
SITE = """
name = "Killed depot"
import_limit_kw = 60
export_limit_kw = 40

[control]
cycle_s = {cycle_s}
static_share_kw = 10
meter_max_age_s = 10

[server]
ocpp_port = 0

[storage]
data_dir = "data"

[tariff]
source = "csv"
file = "prices.csv"

[[signals.modbus]]
measures = "grid_kw"
host = "127.0.0.1"
port = {meter_port}
map = "eastron-sdm630"
every_s = 0.5

[[vehicles]]
id_token = "GIVER"
capacity_kwh = 300
v2g = true
reserve_soc = 0.3
target_soc = 0.5

[[vehicles]]
id_token = "HURRIED-3"
capacity_kwh = 80
departure = "{soon}"

[[vehicles]]
id_token = "HURRIED-1"
capacity_kwh = 80
departure = "{soon}"

[[stations]]
id = "DC-1"
versions = ["ocpp2.1"]
password_env = "STATION_PASSWORD"
evses = [{{ id = 1, current = "DC", charge_max_kw = 22, discharge_max_kw = 22 }}]

[[stations]]
id = "AC-3"
versions = ["ocpp2.0.1"]
password_env = "STATION_PASSWORD"
evses = [{{ id = 1, charge_max_kw = 11.04 }}]

[[stations]]
id = "AC-1"
versions = ["ocpp1.6"]
password_env = "STATION_PASSWORD"
evses = [{{ id = 1, charge_max_kw = 7.36, phases = 1 }}]
"""


def write_site(folder: Path, meter_port: int) -> Path:
    """The hours from now on are dear; two cars have to hurry all the same."""
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    rows = [
        f"{hour + timedelta(hours=n):%Y-%m-%dT%H:%MZ},{0.9 if n < 3 else 0.1}" for n in range(36)
    ]
    (folder / "prices.csv").write_text("start,price_eur_per_kwh\n" + "\n".join(rows) + "\n")
    soon = f"{now + timedelta(minutes=80):%H:%M}"
    site = folder / "site.toml"
    site.write_text(SITE.format(cycle_s=CYCLE_S, meter_port=meter_port, soon=soon))
    return site


@dataclass
class World:
    """What stands in the yard: simulated stations over WebSockets, and the true grid meter."""

    site: SiteConfig
    clock: RealClock = field(default_factory=RealClock)
    url: str = ""
    process: asyncio.subprocess.Process | None = None
    stations: dict[str, SimStation] = field(default_factory=dict)
    frames: dict[str, list[tuple[datetime, bool, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, station in enumerate(self.site.stations):
            self.stations[station.id] = SimStation(
                station,
                version=station.versions[0],
                clock=self.clock,
                connect=self._connector(station),
                rng=random.Random(number),
                meter_interval_s=1.0,
            )

    def _connector(self, station: Station) -> Callable[[], Any]:
        async def connect() -> Wire:
            if not self.url:
                raise ConnectionLost("nobody is there")
            wire = await dial(
                self.url,
                station_id=station.id,
                password=PASSWORD,
                subprotocols=station.versions,
            )
            return ToldWire(wire, self.clock, self.frames.setdefault(station.id, []))

        return connect

    def power(self, station_id: str) -> float:
        return self.stations[station_id].power_kw(1)

    def led(self) -> bool:
        """One gives, two charge with all they can: none of it by default."""
        return self.power("DC-1") < -21 and self.power("AC-3") > 11 and self.power("AC-1") > 7.3

    def fallen_back(self) -> bool:
        shares = static_shares_kw(self.site)
        return self.power("DC-1") >= 0 and all(
            self.power(name) <= shares[f"{name}/1"] + 0.05 for name in self.stations
        )

    def lasting_s(self) -> float:
        """For how much longer any station would give by itself [s]."""
        return max(
            (
                ends(profile) - station.epoch()
                for station in self.stations.values()
                for profile in station.profiles
                if discharges(profile)
            ),
            default=0.0,
        )

    def acknowledged(self) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
        """(station, action, payload, answer) of every call that the central system answered."""
        found = []
        for name, frames in self.frames.items():
            asked: dict[str, Any] = {}
            for _, upwards, message in frames:
                if upwards and message[0] == 2:
                    asked[message[1]] = message
                elif not upwards and message[0] == 3 and message[1] in asked:
                    _, _, action, payload = asked.pop(message[1])
                    found.append((name, action, payload, message[2]))
        return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - conditions of many kinds
            await asyncio.sleep(0.1)


async def start(site: Path, world: World) -> asyncio.subprocess.Process:
    """``gridleaf run`` as people start it; returns when it listens."""
    with (site.parent / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("gridleaf"),
            "run",
            site,
            "--headless",
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, "STATION_PASSWORD": PASSWORD},
        )
    world.process = process
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        line = (await process.stdout.readline()).decode()
    assert line.startswith("Stations: ws://"), (site.parent / "log").read_text()[-2000:]
    world.url = line.removeprefix("Stations: ").strip().removesuffix("/<station id>")
    return process


@asynccontextmanager
async def yard(folder: Path) -> AsyncIterator[tuple[Path, World]]:
    async with MeterServer({6: [0] * 12, 52: [0, 0]}, function=4) as server:
        site = write_site(folder, server.port)
        world = World(load(site))

        async def meter() -> None:
            while True:
                grid_kw = LOAD_KW + sum(world.power(name) for name in world.stations)
                server.set(52, words("f", 1000 * grid_kw))
                await asyncio.sleep(0.1)

        running = [asyncio.create_task(s.run()) for s in world.stations.values()]
        running.append(asyncio.create_task(meter()))
        try:
            yield site, world
            assert not any(task.done() for task in running)
        finally:
            if world.process is not None and world.process.returncode is None:
                world.process.kill()
                await world.process.wait()
            for task in running:
                task.cancel()
            await asyncio.wait(running)


async def kill(process: asyncio.subprocess.Process, world: World) -> None:
    process.send_signal(signal.SIGKILL)
    world.url = ""
    assert await process.wait() == -signal.SIGKILL


CARS = {
    "DC-1": SimVehicle(
        id_token="GIVER",
        capacity_kwh=300,
        soc=0.95,
        charge_max_kw=22,
        discharge_max_kw=22,
        reports_soc=True,
        ramp_kw_per_s=50,
    ),
    "AC-3": SimVehicle(
        id_token="HURRIED-3", capacity_kwh=80, soc=0.2, charge_max_kw=11.04, ramp_kw_per_s=50
    ),
    "AC-1": SimVehicle(
        id_token="HURRIED-1",
        capacity_kwh=80,
        soc=0.2,
        charge_max_kw=7.36,
        ac_phases=1,
        ramp_kw_per_s=50,
    ),
}


def test_fault_33_a_controller_that_is_killed_again_and_again_loses_nothing_and_leaves_no_one_giving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridleaf.sim.link._BACK_OFF_S", 0.2)
    rng = random.Random(33)

    async def main() -> tuple[World, dict[str, float]]:
        async with yard(tmp_path) as (site, world):
            process = await start(site, world)
            await until(lambda: all(s.link.online for s in world.stations.values()))
            for name, vehicle in CARS.items():
                await world.stations[name].plug(1, vehicle)
            transactions: dict[str, str] = {}
            for _ in range(2):
                await until(world.led)
                assert world.lasting_s() <= 2 * CYCLE_S + 1
                transactions = transactions or told_transactions(world)
                assert told_transactions(world) == transactions
                await asyncio.sleep(rng.uniform(0, CYCLE_S))
                await kill(process, world)
                assert world.lasting_s() <= 2 * CYCLE_S + 1
                await until(world.fallen_back)
                assert world.lasting_s() <= 0
                forget(world)
                process = await start(site, world)
            await kill(process, world)  # in the middle of everybody coming back
            process = await start(site, world)
            await until(world.led)
            assert told_transactions(world) == transactions
            for name in CARS:
                await world.stations[name].unplug(1)
            await until(lambda: not any(s.link.waiting for s in world.stations.values()))
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
            return world, {name: s.energy(1)[0] for name, s in world.stations.items()}

    world, charged_kwh = asyncio.run(main())
    asyncio.run(check_store(tmp_path / "data" / "gridleaf.db", world, charged_kwh))


def told_transactions(world: World) -> dict[str, str]:
    """Station -> the transaction that its newest TxProfile was for."""
    found = {}
    for name, frames in world.frames.items():
        for _, upwards, message in frames:
            if upwards or message[0] != 2 or message[2] != "SetChargingProfile":
                continue
            profile = message[3].get("chargingProfile") or message[3]["csChargingProfiles"]
            if profile["chargingProfilePurpose"] == "TxProfile":
                found[name] = str(profile["transactionId"])
    return found


def forget(world: World) -> None:
    """From now on only what is told anew counts as told."""
    for name, frames in world.frames.items():
        world.frames[name] = [
            (at, upwards, message)
            for at, upwards, message in frames
            if upwards or message[0] != 2 or message[2] != "SetChargingProfile"
        ]
        # the wires of dead connections write into the old lists, and nobody reads them


async def check_store(path: Path, world: World, charged_kwh: dict[str, float]) -> None:
    store = sqlite_store(path)
    await store.open()
    stored = [s.event for s in await store.events(kinds=["transaction"], limit=100_000)]
    kept = [e for e in stored if isinstance(e, TransactionReported)]
    acknowledged = world.acknowledged()
    numbers = {(e.station_id, e.transaction_id, e.seq_no) for e in kept}
    sent = [
        (name, p["transactionInfo"]["transactionId"], p["seqNo"])
        for name, action, p, _ in acknowledged
        if action == "TransactionEvent"
    ]
    assert len(sent) > 50
    assert set(sent) <= numbers
    of_16 = [e for e in kept if e.station_id == "AC-1"]
    started = [answer for _, action, _, answer in acknowledged if action == "StartTransaction"]
    assert {str(answer["transactionId"]) for answer in started} == {
        e.transaction_id for e in of_16 if e.phase == "started"
    }
    metered = sum(n == "AC-1" and a == "MeterValues" for n, a, _, _ in acknowledged)
    assert metered > 20
    assert sum(e.phase == "updated" for e in of_16) >= metered
    sessions = await store.sessions()
    assert sorted((s.station_id, s.id_token, s.state) for s in sessions) == [
        ("AC-1", "HURRIED-1", "ended"),
        ("AC-3", "HURRIED-3", "ended"),
        ("DC-1", "GIVER", "ended"),
    ]
    for session in sessions:
        assert session.session_id == session_id(session.station_id, session.transaction_id)
        assert session.charged_kwh == pytest.approx(charged_kwh[session.station_id], abs=0.01)
    given = next(s for s in sessions if s.station_id == "DC-1")
    assert given.discharged_kwh > 0.05
    await store.close()
