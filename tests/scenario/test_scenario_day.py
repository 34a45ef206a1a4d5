"""A day at the depot: from the first connection to full cars in the morning."""

from __future__ import annotations

import pytest

from gridleaf.domain.wishes import Wish
from scenario.depot import Depot, car, giver, monday, play


def test_a_station_connects_a_plan_is_made_a_setpoint_goes_out_and_the_meter_confirms_it() -> None:
    async def scene(depot: Depot) -> None:
        assert all(view.online for view in depot.platform.stations())
        session = await depot.plug("DC-1", giver(soc=0.3), leaves=30.0)
        await depot.minutes(2)
        decision = depot.platform.decision()
        assert decision is not None
        assert decision.method == "exact"
        (plan,) = decision.sessions
        assert plan.session_id == session.session_id
        (setpoint,) = decision.setpoints
        profile = depot.told("DC-1", "SetChargingProfile")[-1]["chargingProfile"]
        period = profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]
        assert period["setpoint"] == pytest.approx(setpoint.power_kw * 1000)
        assert depot.power("DC-1") == pytest.approx(setpoint.power_kw, abs=0.05)
        evse = depot.evse("DC-1")
        assert evse.power_kw == pytest.approx(setpoint.power_kw, abs=0.05)
        assert evse.setpoint_kw == setpoint.power_kw
        (kept, *_) = await depot.platform.store.cycles(limit=1)
        assert kept.cycle_id == depot.platform.controller.last_cycle_id

    play(scene, start=22.5)


def test_cars_discharge_in_the_evening_peak_and_are_full_in_the_morning() -> None:
    async def scene(depot: Depot) -> None:
        for number, name in ((1, "DC-1"), (2, "DC-2")):
            await depot.plug(name, giver(number, soc=0.7), leaves=30.0)
        guest = await depot.plug("AC-3", car("GUEST", soc=0.2, charge_max_kw=11.0))
        given = 0.0
        await depot.until(17.1)
        while depot.time.now() < monday(20.9):
            given += sum(max(-depot.power(name), 0.0) for name in ("DC-1", "DC-2")) / 60
            assert depot.power("AC-3") >= 0.0
            await depot.minutes(1)
        assert given > 15.0
        assert min(depot.soc("DC-1"), depot.soc("DC-2")) >= 0.3
        await depot.until(30.0)
        assert depot.soc("DC-1") >= 0.8 - 0.005
        assert depot.soc("DC-2") >= 0.8 - 0.005
        assert guest.charged.total_kwh >= 20.0 - 0.25
        assert depot.session("DC-1").discharged.total_kwh > 5.0
        assert "will_miss_departure" not in depot.alerts()

    play(scene)


def test_a_driver_who_leaves_earlier_is_served_earlier_within_seconds() -> None:
    async def scene(depot: Depot) -> None:
        session = await depot.plug("DC-1", giver(soc=0.6), leaves=30.0)
        await depot.until(17.5)
        assert depot.power("DC-1") <= 0
        wanted = depot.soc("DC-1") + 0.25
        wish = Wish(departure_at=monday(18.5), target_soc=wanted)
        await depot.platform.wish(session.session_id, wish)
        await depot.time.sleep(30)
        assert depot.power("DC-1") > 15.0
        seen = depot.evse("DC-1").session
        assert seen is not None
        assert (seen.departure_at, seen.said_by) == (monday(18.5), "driver")
        await depot.until(18.5)
        assert depot.soc("DC-1") >= wanted - 0.005

    play(scene, start=16.9)
