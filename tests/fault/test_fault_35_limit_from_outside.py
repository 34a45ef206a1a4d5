"""Fault 35: the grid operator lowers the limit, or falls silent; a station is limited by others.

Required: the lowest known limit is obeyed within one cycle; it holds until it is lifted, also over a
restart; external constraints are never exceeded or overwritten.
"""

from __future__ import annotations

import pytest

from scenario.depot import CYCLE_S, Depot, car, giver, one_dear_hour, play, small_depot

REACTION_S = 30.0


async def three_cars(depot: Depot) -> None:
    await depot.plug("DC-1", giver(1, soc=0.1), leaves=26.0)
    await depot.plug("DC-2", giver(2, soc=0.1), leaves=26.0)
    await depot.plug("AC-3", car("AC", 0.1, charge_max_kw=11.0))
    await depot.minutes(10)
    assert depot.grid_kw() > 40.0


@pytest.mark.parametrize("limit_kw", [25.0, 9.0, 0.0])
def test_fault_35_a_lowered_limit_is_obeyed_at_once(limit_kw: float) -> None:
    async def scene(depot: Depot) -> None:
        await three_cars(depot)
        await depot.platform.set_limit(limit_kw, None)
        await depot.time.sleep(REACTION_S)
        for _ in range(15):
            assert depot.evse_kw() <= max(limit_kw - 8.0, 0.0) + 0.1
            await depot.minutes(1)
        await depot.platform.set_limit(None, None)
        await depot.time.sleep(REACTION_S)
        assert depot.grid_kw() > 40.0

    # the building alone is above a limit of 0: nobody can help that
    play(scene, start=22.0, fair=limit_kw > 8.0)


def test_fault_35_no_export_where_the_grid_takes_none() -> None:
    async def scene(depot: Depot) -> None:
        depot.load_kw = 2.0
        await depot.plug("DC-1", giver(1, soc=0.9), leaves=30.0)
        await depot.until(17.3)
        assert depot.grid_kw() < -1.0
        await depot.platform.set_limit(None, 0.0)
        await depot.time.sleep(REACTION_S)
        for _ in range(15):
            assert depot.grid_kw() >= -0.1
            await depot.minutes(1)
        assert depot.power("DC-1") < 0

    play(scene, start=16.9, price=one_dear_hour)


def test_fault_35_a_limit_outlives_the_process_and_the_silence_of_who_set_it() -> None:
    async def scene(depot: Depot) -> None:
        await three_cars(depot)
        await depot.platform.set_limit(20.0, None)
        await depot.time.sleep(REACTION_S)
        await depot.crash()
        await depot.minutes(1)
        await depot.start()
        await depot.minutes(1)
        for _ in range(60):
            assert depot.grid_kw() <= 20.0 + 0.1
            await depot.minutes(1)

    play(scene, start=22.0)


@pytest.mark.parametrize("station_id", ["DC-1", "AC-3"])
def test_fault_35_what_an_external_system_allows_a_station_is_never_exceeded(
    station_id: str,
) -> None:
    async def scene(depot: Depot) -> None:
        await three_cars(depot)
        station = depot.stations[station_id]
        limit = {
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000}],
            "id": 1,
        }
        told = len(depot.told(station_id, "SetChargingProfile"))
        await station.link.call(
            (
                "NotifyChargingLimit",
                {
                    "evseId": 1,
                    "chargingLimit": {"chargingLimitSource": "SO"},
                    "chargingSchedule": [limit],
                },
            )
        )
        await depot.time.sleep(REACTION_S)
        for _ in range(12):
            assert depot.power(station_id) <= 5.0 + 0.05
            await depot.minutes(1)
        sent = depot.told(station_id, "SetChargingProfile")[told:]
        purposes = {p["chargingProfile"]["chargingProfilePurpose"] for p in sent}
        assert "ChargingStationExternalConstraints" not in purposes
        await station.link.call(
            ("ClearedChargingLimit", {"chargingLimitSource": "SO", "evseId": 1})
        )
        await depot.time.sleep(2 * CYCLE_S)
        assert depot.power(station_id) > 5.5

    # with room for all, so that the one under the limit is not also the one that waits
    play(scene, start=22.0, site=small_depot(import_limit_kw=70))


def test_fault_35_an_external_limit_outlives_the_process() -> None:
    async def scene(depot: Depot) -> None:
        await three_cars(depot)
        await depot.stations["DC-1"].link.call(
            (
                "NotifyChargingLimit",
                {
                    "evseId": 1,
                    "chargingLimit": {"chargingLimitSource": "EMS"},
                    "chargingSchedule": [
                        {
                            "id": 1,
                            "chargingRateUnit": "W",
                            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 3000}],
                        }
                    ],
                },
            )
        )
        await depot.crash()
        await depot.start()
        await depot.minutes(2)
        for _ in range(12):
            assert depot.power("DC-1") <= 3.0 + 0.05
            await depot.minutes(1)

    play(scene, start=22.0)
