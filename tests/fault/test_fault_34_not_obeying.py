"""Fault 34: SetChargingProfile is refused, not answered, or accepted and ignored.

Required: marked as not obeying, its maximum reserved, the ladder tried in order, an alarm; and the
other stations do not suffer for it.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gridleaf.ocpp.csms import Payload
from scenario.depot import CYCLE_S, Depot, car, giver, play
from scenario.scripted import Scripted


def rung(depot: Depot, station_id: str) -> int:
    return depot.evse(station_id).rung


@pytest.mark.parametrize("station_id", ["DC-1", "AC-3", "AC-1"])
def test_fault_34_who_accepts_and_ignores_is_found_out_within_two_cycles(station_id: str) -> None:
    async def scene(depot: Depot) -> None:
        station = depot.stations[station_id]
        vehicle = giver(1, soc=0.7) if station_id == "DC-1" else car("AC", 0.2, charge_max_kw=11.0)
        await depot.plug(station_id, vehicle, leaves=30.0)
        await depot.minutes(5)
        most = station.config.evses[0].charge_max_kw
        depot.load_kw = 45.0 - 0.6 * most
        station.disobey = True
        await depot.time.sleep(2 * CYCLE_S + 120)
        assert "not_obeying" in depot.alerts()
        assert depot.evse(station_id).worst_import_kw == most
        assert rung(depot, station_id) >= 1

    # the wild one breaks the limit by itself: nobody can help that
    play(scene, start=22.0, fair=False)


@pytest.mark.parametrize("parts", [True, False], ids=["whole meter", "grid meter alone"])
def test_fault_34_the_maximum_of_the_disobedient_is_kept_free_by_the_others(parts: bool) -> None:
    """From the first reading of the grid meter on, long before its own meter has convicted it."""

    async def scene(depot: Depot) -> None:
        depot.meter_parts = parts
        depot.load_kw = 10.0
        await depot.plug("DC-1", giver(1, soc=0.3), leaves=30.0)
        await depot.plug("DC-2", giver(2, soc=0.1), leaves=24.5)
        await depot.minutes(10)
        assert depot.power("DC-2") == pytest.approx(22.0, abs=0.1)
        assert depot.power("DC-1") <= 13.0
        depot.stations["DC-1"].disobey = True
        await depot.minutes(60)
        assert not depot.evse("DC-1").obeying
        assert depot.power("DC-2") == pytest.approx(13.0, abs=0.2)

    play(scene, start=22.0)


@pytest.mark.parametrize("station_id", ["DC-1", "AC-3", "AC-1"])
def test_fault_34_who_obeys_again_is_led_again_and_gets_its_energy(station_id: str) -> None:
    async def scene(depot: Depot) -> None:
        station = depot.stations[station_id]
        if station_id == "DC-1":
            vehicle = giver(1, soc=0.5)
        else:
            vehicle = car("GUEST", 0.2, charge_max_kw=7.36)
        await depot.plug(station_id, vehicle, leaves=30.0)
        depot.load_kw = 43.0
        await depot.minutes(5)
        station.disobey = True
        await depot.minutes(35)
        assert "not_obeying" in depot.alerts()
        station.disobey = False
        depot.load_kw = 8.0
        await depot.minutes(40)
        assert depot.evse(station_id).obeying
        assert "not_obeying" not in depot.alerts()
        reached = depot.session(station_id).charged.total_kwh
        await depot.until(29.9)
        if station_id == "DC-1":
            assert depot.soc(station_id) >= 0.8 - 0.005
        else:
            assert depot.session(station_id).charged.total_kwh >= 20.0 - 0.3
            assert depot.session(station_id).charged.total_kwh >= reached

    play(scene, start=22.0, fair=False)


def test_fault_34_the_ladder_is_climbed_in_order() -> None:
    """The other rate unit, stack level 0, a TxDefaultProfile, the floor, a pause."""

    async def scene(depot: Depot) -> None:
        await depot.plug("AC-3", car("AC", 0.1, charge_max_kw=11.0))
        depot.load_kw = 42.0
        depot.stations["AC-3"].disobey = True
        seen: list[int] = []
        until = depot.time.now() + timedelta(minutes=90)
        while depot.time.now() < until:
            now = rung(depot, "AC-3")
            if now not in seen:
                seen.append(now)
            await depot.minutes(1)
        assert seen == [0, 1, 2, 3, 4, 5]
        sent = [p["chargingProfile"] for p in depot.told("AC-3", "SetChargingProfile")]
        told = [
            (
                p["chargingSchedule"][0]["chargingRateUnit"],
                p["stackLevel"],
                p["chargingProfilePurpose"],
            )
            for p in sent
            if p["id"] < 2000
        ]
        assert list(dict.fromkeys(told))[:4] == [
            ("A", 1, "TxProfile"),
            ("W", 1, "TxProfile"),
            ("A", 0, "TxProfile"),
            ("A", 1, "TxDefaultProfile"),
        ]

    play(scene, start=22.0, fair=False)


@pytest.mark.parametrize("station_id", ["DC-1", "AC-3", "AC-1"])
def test_fault_34_what_the_ladder_tried_leaves_the_default_limit_in_place(station_id: str) -> None:
    async def scene(depot: Depot) -> None:
        station = depot.stations[station_id]
        vehicle = giver(1, soc=0.1) if station_id == "DC-1" else car("AC", 0.1, charge_max_kw=7.3)
        await depot.plug(station_id, vehicle, leaves=30.0)
        depot.load_kw = 43.0
        station.disobey = True
        await depot.minutes(50)
        station.disobey = False
        await depot.minutes(15)
        station.offline(3600)
        await depot.time.sleep(2 * CYCLE_S + 10)
        evse = depot.platform.controller.live.evse(station_id, 1)
        assert evse is not None
        assert evse.default_kw is not None
        assert depot.power(station_id) <= evse.default_kw + 0.05

    play(scene, start=22.0, fair=False)


def test_fault_34_who_refuses_every_profile_neither_starves_the_others_nor_is_pestered() -> None:
    async def scene(depot: Depot) -> None:
        depot.load_kw = 10.0
        await depot.plug("DC-2", giver(2, soc=0.2), leaves=29.0)
        await depot.minutes(10)
        depot.stations["DC-1"].reject_profiles = True
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=29.0)
        await depot.minutes(2)
        assert "not_obeying" in depot.alerts()
        assert depot.evse("DC-1").worst_import_kw == 22.0
        assert depot.power("DC-2") == pytest.approx(13.0, abs=0.1)
        depot.load_kw = 2.0
        before = len(depot.told("DC-1", "SetChargingProfile"))
        await depot.minutes(30)
        assert len(depot.told("DC-1", "SetChargingProfile")) - before <= 8
        assert depot.power("DC-2") == pytest.approx(18.0, abs=0.1)
        depot.stations["DC-1"].reject_profiles = False
        await depot.minutes(45)
        assert depot.evse("DC-1").obeying
        assert depot.power("DC-1") > 10.0

    play(scene, start=22.0)


def test_fault_34_a_default_limit_that_was_refused_is_sent_again() -> None:
    async def scene(depot: Depot) -> None:
        station = depot.stations["DC-1"]
        station.reject_profiles = True
        station.profiles.clear()
        station.offline(5)
        await depot.minutes(4)
        assert list(station.profiles) == []
        station.reject_profiles = False
        await depot.minutes(6)
        assert [p.purpose for p in station.profiles] == ["tx_default"]

    play(scene, start=22.0)


def test_fault_34_a_station_that_no_longer_answers_does_not_hold_back_the_others() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=29.0)
        await depot.plug("DC-2", giver(2, soc=0.2), leaves=29.0)
        await depot.minutes(10)

        async def never(payload: Payload) -> Payload:
            await asyncio.Event().wait()
            return {}

        peer = depot.stations["DC-1"].link._peer
        assert peer is not None
        for action in ("SetChargingProfile", "UpdateDynamicSchedule"):
            peer.handlers[action] = never
        depot.load_kw = 30.0
        await depot.minutes(10)
        assert "not_obeying" in depot.alerts()
        assert depot.power("DC-2") == 0.0
        cycles = depot.platform.controller.cycles
        depot.load_kw = 8.0
        await depot.minutes(10)
        assert depot.power("DC-2") > 10.0
        assert depot.platform.controller.cycles - cycles <= 8

    play(scene, start=22.0, fair=False)


def test_fault_34_a_station_that_tells_only_its_register_is_found_out_by_it() -> None:
    """OCPP 1.6 as it comes out of the box: no power, one register a minute."""

    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-1", "ocpp1.6")
        await station.boot()
        tx, wh = await station.start(wh=1003), 1003.0
        depot.load_kw = 60.0
        for minute in range(20):
            wh += 7000 / 60
            await depot.minutes(1)
            await station.meter(tx, round(wh))
            if minute == 8:
                assert depot.evse("AC-1").power_kw == pytest.approx(7.0, abs=0.1)
        live = depot.platform.controller.live.evse("AC-1", 1)
        assert live is not None
        assert live.setpoint_kw(depot.time.now()) == 0.0
        assert not live.obeying
        assert "not_obeying" in depot.alerts()

    play(scene, start=22.0, stations=(), fair=False)
