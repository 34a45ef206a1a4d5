"""Fault 36: whole amperes, single- and three-phase loads, the floor of 6 A.

Required: the sum stays within the limit on each phase. (The umpire measures every phase of the AC
row, whose fuses are 32 A; the property over random sites is in ``tests/property``.)
"""

from __future__ import annotations

import pytest

from scenario.depot import Depot, car, play, small_depot

ROW = small_depot(
    circuits=[{"id": "ac-row", "import_limit_kw": 40, "fuse_a": 32}],
    stations=[
        {
            "id": "AC-3",
            "circuit": "ac-row",
            "versions": ["ocpp2.0.1"],
            "evses": [{"id": 1, "charge_max_kw": 22.08, "phases": 3}],
        },
        *(
            {
                "id": f"AC-{phase}",
                "circuit": "ac-row",
                "versions": ["ocpp1.6"],
                "evses": [{"id": 1, "charge_max_kw": 7.36, "phases": 1, "phase": phase}],
            }
            for phase in (1, 2)
        ),
    ],
)


def amps(depot: Depot, phase: int) -> float:
    alone = depot.power(f"AC-{phase}") if phase in (1, 2) else 0.0
    return (depot.power("AC-3") / 3 + alone) * 1000 / 230


def test_fault_36_a_single_phase_car_and_a_three_phase_car_share_the_phase() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("AC-3", car("A", 0.1, charge_max_kw=22.0))
        await depot.plug("AC-1", car("B", 0.1, charge_max_kw=7.36, ac_phases=1))
        await depot.minutes(150)
        told = depot.told("AC-3", "SetChargingProfile") + depot.told("AC-1", "SetChargingProfile")
        for payload in told:
            profile = payload.get("chargingProfile") or payload["csChargingProfiles"]
            schedule = profile["chargingSchedule"]
            schedule = schedule[0] if isinstance(schedule, list) else schedule
            assert schedule["chargingRateUnit"] == "A"
            limit = schedule["chargingSchedulePeriod"][0]["limit"]
            assert limit == int(limit)
            assert limit == 0 or limit >= 6
        for name in ("AC-3", "AC-1"):
            assert depot.session(name).charged.total_kwh > 5.0

    play(scene, start=22.0, site=ROW)


def test_fault_36_a_lost_single_phase_station_keeps_its_amperes_on_its_own_phase() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("AC-1", car("B", 0.1, charge_max_kw=7.36, ac_phases=1))
        await depot.minutes(10)
        assert amps(depot, 1) == pytest.approx(32.0, abs=0.1)
        depot.stations["AC-1"].offline(1800)
        await depot.minutes(1)
        await depot.plug("AC-3", car("A", 0.1, charge_max_kw=22.0))
        for _ in range(50):
            await depot.time.sleep(30)
            assert max(amps(depot, phase) for phase in (1, 2, 3)) <= 32.0 + 0.1
        assert depot.power("AC-3") > 0

    play(scene, start=22.0, site=ROW)


def test_fault_36_a_disobedient_single_phase_station_keeps_its_amperes_on_its_own_phase() -> None:
    async def scene(depot: Depot) -> None:
        depot.stations["AC-1"].reject_profiles = True
        await depot.plug("AC-1", car("B", 0.1, charge_max_kw=7.36, ac_phases=1))
        await depot.plug("AC-3", car("A", 0.1, charge_max_kw=22.0))
        await depot.minutes(2)
        assert not depot.evse("AC-1").obeying
        for _ in range(20):
            assert depot.power("AC-3") / 3 * 1000 / 230 + 32.0 <= 32.0 + 0.01
            await depot.minutes(1)

    play(scene, start=22.0, site=ROW)
