"""Fault 31: the state of charge is unknown, stale, no number, above 1, or jumps.

Required: no V2G; charging by energy; never below the driver's reserve.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridleaf.domain.wishes import Wish
from scenario.depot import CYCLE_S, Depot, car, giver, monday, one_dear_hour, play, small_depot
from scenario.scripted import Scripted


def change(depot: Depot, station_id: str, **what: object) -> None:
    """Something happens inside the car."""
    station = depot.stations[station_id]
    with station.changing():
        evse = station.evses[1]
        assert evse.vehicle is not None
        evse.vehicle = replace(evse.vehicle, **what)


def test_fault_31_a_car_that_keeps_its_state_of_charge_to_itself_is_charged_and_never_discharged() -> (
    None
):
    async def scene(depot: Depot) -> None:
        station = depot.stations["DC-1"]
        station.dialect.needs = lambda _: None  # type: ignore[method-assign]
        await depot.plug("DC-1", car("GIVER-1", 0.5, discharge_max_kw=22.0))
        await depot.until(17.0)
        session = depot.evse("DC-1").session
        assert session is not None
        assert session.soc is None
        while depot.time.now().hour < 18:
            assert depot.power("DC-1") >= 0.0
            await depot.minutes(5)
        await depot.platform.wish(session.session_id, Wish(departure_at=monday(19.5)))
        await depot.until(19.5)
        assert depot.session("DC-1").charged.total_kwh >= 20.0 - 0.25

    play(scene, start=16.9, price=one_dear_hour)


def test_fault_31_discharging_ends_when_the_state_of_charge_is_no_longer_told() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.9), leaves=30.0)
        await depot.until(17.5)
        assert depot.power("DC-1") < 0
        change(depot, "DC-1", reports_soc=False)
        await depot.time.sleep(900 + CYCLE_S + 30)
        while depot.time.now().hour < 20:
            assert depot.power("DC-1") >= 0.0
            await depot.minutes(5)
        assert "soc_unknown" in depot.alerts()

    play(scene, start=16.9)


@pytest.mark.parametrize("soc", [0.35, 1.0])
def test_fault_31_a_state_of_charge_that_jumps_stops_discharging_for_a_while(soc: float) -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.75), leaves=30.0)
        await depot.until(17.3)
        assert depot.power("DC-1") < 0
        change(depot, "DC-1", soc=soc)
        await depot.time.sleep(60 + CYCLE_S + 30)
        for _ in range(8):
            assert depot.power("DC-1") >= 0.0
            await depot.minutes(1)
        assert "soc_jump" in depot.session("DC-1").flags

    play(scene, start=16.9, price=one_dear_hour)


def test_fault_31_the_reserve_is_kept_to_the_last_tenth_of_a_per_cent() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.45), leaves=36.0)
        lowest = 1.0
        while depot.time.now() < monday(19):
            lowest = min(lowest, depot.soc("DC-1"))
            await depot.minutes(1)
        assert 0.298 <= lowest < 0.33

    play(scene, start=17.0, price=lambda at: 0.9 if at.hour < 19 else 0.02)


@pytest.mark.parametrize("nonsense", ["NaN", "-inf", "", "101", "-1", "6000"])
def test_fault_31_a_state_of_charge_that_cannot_be_one_is_not_taken_and_ends_discharging(
    nonsense: str,
) -> None:
    """The last believable one goes stale, and no setpoint is negative from then on."""

    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "DC-6", "ocpp1.6")
        await station.boot()
        tx = await station.start(tag="GIVER-1")
        for _ in range(10):
            await station.meter(tx, 0, 0.0, soc="85")
            await depot.minutes(1)
        session = depot.session("DC-6")
        known_at = session.soc_at
        assert _lowest(station) < 0
        for _ in range(17):
            await station.meter(tx, 0, 0.0, soc=nonsense)
            await depot.minutes(1)
        assert (session.soc, session.soc_at) == (0.85, known_at)
        asked = len(station.profiles())
        await depot.time.sleep(2 * CYCLE_S)
        state = depot.evse("DC-6").session
        assert state is not None
        assert state.discharge_max_kw == 0.0
        assert _lowest(station, asked) >= 0
        if nonsense in ("101", "-1", "6000"):
            assert "soc_out_of_range" in session.flags

    dc = {"id": 1, "current": "DC", "charge_max_kw": 22, "discharge_max_kw": 22}
    play(
        scene,
        start=16.9,
        price=one_dear_hour,
        site=small_depot(
            stations=[
                {
                    "id": "DC-6",
                    "circuit": "dc-row",
                    "versions": ["ocpp1.6"],
                    "discharge_via": "negative_limit",
                    "evses": [dc],
                }
            ]
        ),
        stations=(),
    )


def _lowest(station: Scripted, since: int = 0) -> float:
    """The lowest limit of the profiles a station was sent."""
    return min(
        period["limit"]
        for profile in station.profiles()[since:]
        for period in profile["chargingSchedule"]["chargingSchedulePeriod"]
    )
