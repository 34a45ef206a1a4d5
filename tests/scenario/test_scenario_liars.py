"""Meters and stations that tell nonsense: no number of theirs may break a limit for the others."""

from __future__ import annotations

import math

import pytest

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.domain.events import StationEvent
from scenario.depot import Depot, car, giver, play
from scenario.scripted import Scripted

NONSENSE = [math.nan, math.inf, -math.inf, 1e9, -1e9]


@pytest.mark.parametrize("value", NONSENSE)
@pytest.mark.parametrize("parts", [True, False], ids=["whole meter", "grid meter alone"])
def test_a_grid_meter_that_shows_nonsense_is_no_licence(value: float, parts: bool) -> None:
    async def scene(depot: Depot) -> None:
        depot.meter_parts = parts
        await depot.plug("DC-1", giver(1, soc=0.1), leaves=30.0)
        await depot.plug("DC-2", giver(2, soc=0.1), leaves=30.0)
        await depot.plug("AC-3", car("A", 0.1, charge_max_kw=11.0))
        await depot.minutes(10)
        depot.shown_kw = value
        await depot.minutes(12)
        depot.shown_kw = None
        await depot.minutes(6)
        assert depot.grid_kw() > 30.0

    play(scene, start=22.0)


@pytest.mark.parametrize("value", NONSENSE)
def test_a_building_meter_that_shows_nonsense_is_no_licence(value: float) -> None:
    async def scene(depot: Depot) -> None:
        depot.load_kw = 20.0
        await depot.plug("DC-1", giver(1, soc=0.1), leaves=30.0)
        await depot.plug("DC-2", giver(2, soc=0.1), leaves=30.0)
        await depot.plug("AC-3", car("A", 0.1, charge_max_kw=11.0))
        await depot.minutes(10)
        depot.parts = {"load_kw": value}
        await depot.minutes(12)

    play(scene, start=22.0)


@pytest.mark.parametrize("kw", [9_000.0, -9_000.0, 0.009, 1e30])
@pytest.mark.parametrize("parts", [True, False], ids=["whole meter", "grid meter alone"])
def test_a_station_that_meters_nonsense_is_no_licence_for_the_others(
    kw: float, parts: bool
) -> None:
    async def scene(depot: Depot) -> None:
        depot.meter_parts = parts
        depot.load_kw = 20.0
        liar = Scripted(depot, "AC-3", "ocpp2.0.1")
        await liar.boot()
        await liar.event("Started", 0, wh=0)
        await depot.plug("DC-1", giver(1, soc=0.1), leaves=30.0)
        await depot.plug("DC-2", giver(2, soc=0.1), leaves=30.0)
        for seq_no in range(1, 25):
            await liar.event("Updated", seq_no, wh=0, kw=kw)
            await depot.minutes(1)
        assert depot.evse_kw() > 5.0

    play(scene, start=22.0, stations=("DC-1", "DC-2"))


def test_while_nothing_can_be_stored_limits_hold_and_afterwards_nothing_is_missing() -> None:
    async def scene(depot: Depot) -> None:
        session = await depot.plug("DC-1", giver(1, soc=0.2), leaves=30.0)
        await depot.plug("DC-2", giver(2, soc=0.2), leaves=30.0)
        await depot.minutes(10)
        store = depot.platform.store
        append = store.append

        async def full(event: StationEvent) -> bool:
            raise StoreUnavailable("the disk is full")

        store.append = full  # type: ignore[method-assign]
        cycles = depot.platform.controller.cycles
        await depot.minutes(12)
        assert depot.platform.controller.cycles > cycles
        depot.load_kw = 35.0
        await depot.time.sleep(30)
        assert depot.grid_kw() <= 45.0 + 0.1
        store.append = append  # type: ignore[method-assign]
        await depot.minutes(10)
        true_kwh, _ = depot.stations["DC-1"].energy(1)
        assert session.charged.total_kwh == pytest.approx(true_kwh, abs=0.4)
        assert "incomplete" not in session.flags
        assert depot.session("DC-1") is session

    play(scene, start=22.0, expected_errors=("ocpp_store_unavailable",))
