"""The fault switches, determinism, and what survives a restart of the program."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ProtocolError
from gridleaf.domain.site import Station
from gridleaf.sim.station import SimStation
from gridleaf.sim.virtual import run_virtual
from sim_csms import AC3, DC, START, Csms, car, measured, play

V = "ocpp2.1"


def limit(watts: float) -> dict[str, Any]:
    schedule = {
        "id": 1,
        "chargingRateUnit": "W",
        "startSchedule": START.isoformat(),
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts}],
    }
    raw = {
        "id": 2001,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    return {"evseId": 1, "chargingProfile": raw}


def test_a_disobedient_station_accepts_and_ignores() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car(soc=0.1))
        station.disobey = True
        assert (await csms.call("SetChargingProfile", limit(3000)))["status"] == "Accepted"
        await clock.sleep(60)
        assert station.power_kw(1) == 22.0
        station.disobey = False
        await clock.sleep(60)
        assert station.power_kw(1) == 3.0

    play(scene, V, DC)


def test_a_frozen_meter_shows_what_it_showed() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car(soc=0.1))
        await clock.sleep(300)
        station.freeze_meter = True
        await csms.call("SetChargingProfile", limit(0))
        await clock.sleep(600)
        assert station.power_kw(1) == 0.0
        frozen = measured(csms.events()[-1]["meterValue"], "Power.Active.Import")
        assert frozen == 22_000
        station.freeze_meter = False
        await clock.sleep(60)
        assert measured(csms.events()[-1]["meterValue"], "Power.Active.Import") == 0

    play(scene, V, DC)


def test_a_clock_that_runs_ahead_shows_in_times_and_schedules() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        station.clock_offset_s = 3600.0
        await station.plug(1, car(soc=0.1))
        await clock.sleep(1)
        ending = limit(3000)
        ending["chargingProfile"]["validTo"] = "2026-01-05T16:30:00Z"
        assert (await csms.call("SetChargingProfile", ending))["status"] == "Accepted"
        await clock.sleep(60)
        assert station.power_kw(1) == 22.0
        station.clock_offset_s = 0.0
        await clock.sleep(60)
        assert station.power_kw(1) == 3.0

    csms = play(scene, V, DC)
    assert csms.events("Started")[0]["timestamp"] == "2026-01-05T17:00:01.000Z"


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
def test_a_station_may_reject_every_profile(version: str) -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        station.reject_profiles = True
        assert (await csms.call("SetChargingProfile", limit(3000)))["status"] == "Rejected"

    play(scene, version, AC3)


def test_what_the_central_system_cannot_store_now_is_sent_again() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        def fail(_: Any) -> Any:
            raise ProtocolError("InternalError", "the store is down")

        csms.answers["TransactionEvent"] = fail
        await station.plug(1, car(soc=0.1))
        await clock.sleep(200)
        assert [e["seqNo"] for e in csms.events()] == [0, 0, 0]
        del csms.answers["TransactionEvent"]
        await clock.sleep(200)
        assert len(station.link.waiting) == 0

    csms = play(scene, V, DC)
    numbers = [e["seqNo"] for e in csms.events()]
    assert sorted(set(numbers)) == list(range(max(numbers) + 1))


def test_a_silent_central_system_is_dialled_with_growing_patience() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        csms.refuse_connections = True
        station.offline(1)
        await clock.sleep(300)
        assert not station.link.online
        csms.refuse_connections = False
        await clock.sleep(90)
        assert station.link.online

    play(scene, V, DC)


@pytest.mark.parametrize(("version", "evses"), [(V, DC), ("ocpp2.0.1", AC3), ("ocpp1.6", AC3)])
def test_the_same_seed_gives_the_same_transcript(version: str, evses: Any) -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car(soc=0.1))
        await clock.sleep(500)
        station.offline(60)
        await clock.sleep(500)
        await station.unplug(1)
        await clock.sleep(5)

    first, again, other = (play(scene, version, evses, seed=s).frames for s in (3, 3, 4))
    assert "\n".join(first).encode() == "\n".join(again).encode()
    assert first != other
    assert len(first) > 30


def test_a_station_goes_on_from_its_state() -> None:
    saved: list[str] = []

    def fresh(clock: Clock, csms: Csms) -> SimStation:
        return SimStation(
            Station(id="ST-1", evses=DC),
            version=V,
            clock=clock,
            connect=csms.connect,
            rng=random.Random(5),
        )

    async def first(clock: Clock) -> Csms:
        csms = Csms(clock, V)
        station = fresh(clock, csms)
        running = asyncio.get_running_loop().create_task(station.run())
        await clock.sleep(1)
        await station.plug(1, car(soc=0.2))
        await clock.sleep(200)
        await csms.call("SetChargingProfile", limit(5000))
        station.offline(1000)
        await clock.sleep(200)
        saved.append(json.dumps(station.state()))
        running.cancel()
        return csms

    async def second(clock: Clock) -> Csms:
        csms = Csms(clock, V)
        station = fresh(clock, csms)
        station.restore(json.loads(saved[0]))
        vehicle = station.vehicle(1)
        assert vehicle is not None
        assert 0.2 < vehicle.soc < 0.3
        running = asyncio.get_running_loop().create_task(station.run())
        await clock.sleep(120)
        assert station.power_kw(1) == 5.0
        await station.unplug(1)
        await clock.sleep(1)
        running.cancel()
        return csms

    before, after = run_virtual(first, START), run_virtual(second, START)
    events = before.events() + after.events()
    assert [e["seqNo"] for e in events] == list(range(len(events)))
    assert len({e["transactionInfo"]["transactionId"] for e in events}) == 1
    assert any(e["triggerReason"] == "TxResumed" for e in after.events())
    registers = [measured(e["meterValue"], "Energy.Active.Import.Register") for e in events]
    assert registers == sorted(registers)


def test_the_state_of_another_station_is_refused() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        state = station.state()
        with pytest.raises(ValueError, match="other EVSEs"):
            station.restore({**state, "evses": {}})
        with pytest.raises(ValueError, match="evses"):
            station.restore({"nonsense": 1})
        with pytest.raises(ValueError, match="no vehicle"):
            await station.unplug(1)
        await station.plug(1, car())
        with pytest.raises(ValueError, match="occupied"):
            await station.plug(1, car())

    play(scene, V, DC)
