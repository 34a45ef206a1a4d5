"""Fault 34: stations that take little, and say so: they are spoken to in the words they know."""

from __future__ import annotations

import asyncio

import pytest

from gridleaf.control.explain import as_text, explain
from gridleaf.ocpp.csms import Payload
from scenario.depot import Depot, car, play
from scenario.scripted import Scripted


def keys(**values: str) -> Payload:
    listed = [{"key": k, "readonly": True, "value": v} for k, v in values.items()]
    return {"configurationKey": listed, "unknownKey": []}


class Narrow(Scripted):
    """A 1.6 station with a vehicle that takes what the last accepted profile offers, 32 A at most."""

    amps = 0.0
    wh = 0.0

    async def charge(self, minutes: int) -> None:
        """Start, and tell the meter every 30 s."""
        self.transaction = await self.start()
        for _ in range(2 * minutes):
            kw = min(self.amps, 32.0) * 230 / 1000
            self.wh += kw * 1000 / 120
            await self.meter(self.transaction, self.wh, kw)
            await self.depot.time.sleep(30)

    def only_amps_on_level_0(self, payload: Payload) -> Payload:
        profile = payload["csChargingProfiles"]
        schedule = profile["chargingSchedule"]
        if profile["stackLevel"] > 0 or schedule["chargingRateUnit"] != "A":
            return {"status": "Rejected"}
        if profile["chargingProfilePurpose"] == "TxProfile":
            self.amps = schedule["chargingSchedulePeriod"][0]["limit"]
        return {"status": "Accepted"}

    def nothing_below_6_a(self, payload: Payload) -> Payload:
        profile = payload["csChargingProfiles"]
        amps = [p["limit"] for p in profile["chargingSchedule"]["chargingSchedulePeriod"]]
        if min(amps) < 6:
            return {"status": "Rejected"}
        if profile["chargingProfilePurpose"] == "TxProfile":
            self.amps = amps[0]
        return {"status": "Accepted"}

    def ends(self, payload: Payload) -> Payload:
        assert payload["transactionId"] == self.transaction
        self.amps = 0.0
        self.stopped = asyncio.create_task(self.stop(self.transaction, int(self.wh)))
        return {"status": "Accepted"}


@pytest.mark.parametrize("tells", [True, False], ids=["it says so", "it does not say"])
def test_fault_34_a_station_of_amperes_and_one_stack_level_is_led(tells: bool) -> None:
    async def scene(depot: Depot) -> None:
        station = Narrow(depot, "AC-1", "ocpp1.6")
        station.rules["SetChargingProfile"] = station.only_amps_on_level_0
        if tells:
            station.answers["GetConfiguration"] = keys(
                ChargeProfileMaxStackLevel="0", ChargingScheduleAllowedChargingRateUnit="Current"
            )
        await station.boot()
        charging = asyncio.create_task(station.charge(40))
        await depot.minutes(20 if not tells else 2)
        evse = depot.evse("AC-1")
        assert evse.obeying
        assert evse.rung == (0 if tells else 2)
        assert station.amps >= 6.0
        assert "not_obeying" not in depot.alerts()
        await charging
        assert depot.session("AC-1").charged.total_kwh > 2.0
        if tells:
            assert {p["stackLevel"] for p in station.profiles()} == {0}
        live = depot.platform.controller.live.evse("AC-1", 1)
        assert live is not None
        assert live.default_kw is not None

    play(scene, start=22.0, stations=("DC-1", "DC-2", "AC-3"), fair=False)


async def unpausable(depot: Depot) -> tuple[Narrow, asyncio.Task[None]]:
    """A station that refuses whatever is below 6 A, with a vehicle that should wait for the night."""
    station = Narrow(depot, "AC-1", "ocpp1.6")
    station.rules["SetChargingProfile"] = station.nothing_below_6_a
    station.rules["RemoteStopTransaction"] = station.ends
    await station.boot()
    charging = asyncio.create_task(station.charge(60))
    await depot.minutes(12)
    return station, charging


def test_fault_34_who_refuses_only_a_limit_of_0_is_held_at_its_floor_and_stays_trusted() -> None:
    async def scene(depot: Depot) -> None:
        station, charging = await unpausable(depot)
        evse = depot.evse("AC-1")
        assert evse.obeying
        assert evse.rung == 0
        assert evse.refuses_zero
        assert station.amps == 6.0
        assert "refuses_zero" in depot.alerts()
        text = as_text(explain(*depot.decisions[-1]))
        assert "the station refuses 0: held at its least, 1.4 kW" in text
        refused = len(station.asked)
        await depot.minutes(20)
        sent = [p for a, p in station.asked[refused:] if a == "SetChargingProfile"]
        limits = [
            p["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
            for p in sent
        ]
        assert set(limits) == {6.0}
        charging.cancel()
        await depot.crash()
        await depot.platform.close()
        await depot.start()
        assert depot.evse("AC-1").refuses_zero

    play(scene, start=17.0, stations=("DC-1", "DC-2", "AC-3"), fair=False)


def test_fault_34_who_refuses_0_is_stopped_where_its_floor_does_not_fit() -> None:
    async def scene(depot: Depot) -> None:
        station, charging = await unpausable(depot)
        live = depot.platform.controller.live
        depot.load_kw = 46.0
        await depot.time.sleep(30)
        stops = [p for a, p in station.asked if a == "RemoteStopTransaction"]
        assert len(stops) == 1
        stopping = [
            d for _, d in depot.decisions if any(a.kind == "refuses_zero" for a in d.alerts)
        ]
        assert any("is stopped" in a.text for a in stopping[-1].alerts)
        evse = live.evse("AC-1", 1)
        assert evse is not None
        assert evse.session is None
        assert evse.rung == 0
        charging.cancel()

    play(scene, start=17.0, stations=("DC-1", "DC-2", "AC-3"), fair=False)


def test_fault_34_a_station_that_will_not_stop_is_asked_once_a_cycle_and_its_power_is_kept_free() -> (
    None
):
    async def scene(depot: Depot) -> None:
        station, charging = await unpausable(depot)
        station.rules["RemoteStopTransaction"] = lambda _: {"status": "Rejected"}
        depot.load_kw = 46.0
        await depot.minutes(20)
        stops = [p for a, p in station.asked if a == "RemoteStopTransaction"]
        assert 2 <= len(stops) <= 6
        assert "refuses_zero" in depot.alerts()
        charging.cancel()

    play(scene, start=17.0, stations=("DC-1", "DC-2", "AC-3"), fair=False)


@pytest.mark.parametrize("station_id", ["DC-1", "AC-3", "AC-1"])
def test_fault_34_what_one_vehicle_would_not_do_is_not_held_against_the_next(
    station_id: str,
) -> None:
    async def scene(depot: Depot) -> None:
        station = depot.stations[station_id]
        vehicle = car("WILD", 0.1, charge_max_kw=7.3 if station_id == "AC-1" else 11.0)
        await depot.plug(station_id, vehicle, leaves=30.0)
        depot.load_kw = 43.0
        station.disobey = True
        await depot.minutes(60)
        assert depot.evse(station_id).rung == 5
        await depot.unplug(station_id)
        station.disobey = False
        depot.load_kw = 8.0
        await depot.minutes(2)
        await depot.plug(station_id, car("MEEK", 0.2, charge_max_kw=7.3), leaves=30.0)
        assert depot.evse(station_id).rung == 0
        await depot.minutes(20)
        assert depot.evse(station_id).obeying
        assert depot.power(station_id) > 6.0

    play(scene, start=22.0, fair=False)
