"""Fault 34: stations that take little, and say so: they are spoken to in the words they know."""

from __future__ import annotations

import asyncio

import pytest

from gridleaf.ocpp.csms import Payload
from scenario.depot import Depot, play
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
