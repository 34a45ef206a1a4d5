"""The limits of the site: known beforehand, and broken by others than us."""

from __future__ import annotations

from typing import Any

import pytest

from gridleaf.domain.site import SiteConfig
from scenario.depot import Depot, car, giver, play, small_depot
from scenario.umpire import REACTION_S


async def three_cars(depot: Depot) -> None:
    await depot.plug("DC-1", giver(1, soc=0.1), leaves=30.0)
    await depot.plug("DC-2", giver(2, soc=0.1), leaves=30.0)
    await depot.plug("AC-3", car("AC", 0.1, charge_max_kw=11.0))


def with_window(**window: Any) -> SiteConfig:
    return small_depot(limit_windows=[{"start": "22:30", "end": "23:00", **window}])


def test_a_lower_limit_that_was_known_is_never_broken_not_even_at_its_first_second() -> None:
    async def scene(depot: Depot) -> None:
        depot.umpire.reaction_s = 0.0
        await three_cars(depot)
        await depot.minutes(15)
        assert depot.grid_kw() > 40.0
        await depot.until(22.75)
        assert 15.0 < depot.grid_kw() <= 20.0 + 0.1
        await depot.until(23.2)
        assert depot.grid_kw() > 40.0

    play(scene, start=22.0, site=with_window(import_limit_kw=20))


def test_an_export_limit_that_was_known_is_never_broken_either() -> None:
    async def scene(depot: Depot) -> None:
        depot.umpire.reaction_s = 0.0
        depot.load_kw = 3.0
        await depot.plug("DC-1", giver(1, soc=0.95), leaves=31.0)
        await depot.until(22.3)
        assert depot.grid_kw() < -10.0
        await depot.until(22.75)
        assert -5.0 - 0.1 <= depot.grid_kw() < 0.0

    play(
        scene,
        start=22.0,
        site=with_window(export_limit_kw=5),
        price=lambda at: 0.9 if at.hour in (22, 23) else 0.05,
    )


@pytest.mark.parametrize("parts", [True, False], ids=["whole meter", "grid meter alone"])
def test_a_building_that_jumps_above_the_limit_is_made_room_for_within_one_reaction(
    parts: bool,
) -> None:
    async def scene(depot: Depot) -> None:
        depot.meter_parts = parts
        await three_cars(depot)
        await depot.minutes(20)
        assert depot.grid_kw() > 43.0
        depot.load_kw = 30.0
        await depot.time.sleep(REACTION_S)
        assert depot.grid_kw() <= 45.0 + 0.1
        await depot.minutes(10)
        assert depot.grid_kw() > 40.0
        depot.load_kw = 8.0
        await depot.minutes(8)
        assert depot.grid_kw() > 43.0

    play(scene, start=22.0)


def test_a_sun_that_vanishes_is_made_up_for_within_one_reaction() -> None:
    async def scene(depot: Depot) -> None:
        depot.pv_kw = 30.0
        await three_cars(depot)
        await depot.minutes(10)
        assert depot.evse_kw() > 45.0
        depot.pv_kw = 0.0
        await depot.time.sleep(REACTION_S)
        assert depot.grid_kw() <= 45.0 + 0.1

    play(scene, start=13.0, price=lambda _: 0.1)


def test_a_load_that_falls_away_does_not_push_the_cars_power_over_the_export_limit() -> None:
    async def scene(depot: Depot) -> None:
        depot.load_kw = 40.0
        await depot.plug("DC-1", giver(1, soc=0.95), leaves=36.0)
        await depot.plug("DC-2", giver(2, soc=0.95), leaves=36.0)
        await depot.until(22.3)
        assert depot.evse_kw() < -30.0
        depot.load_kw = 2.0
        await depot.time.sleep(REACTION_S)
        assert depot.grid_kw() >= -25.0 - 0.1

    play(scene, start=22.0, price=lambda at: 0.9 if at.hour == 22 else 0.05)


def test_a_giver_that_leaves_takes_its_room_along() -> None:
    """What one car gives another may take, until the giver is pulled out."""

    async def scene(depot: Depot) -> None:
        depot.load_kw = 40.0
        await depot.plug("DC-1", giver(1, soc=0.95), leaves=36.0)
        await depot.plug("DC-2", giver(2, soc=0.2), leaves=23.0)
        await depot.minutes(15)
        assert depot.power("DC-1") < -5.0
        assert depot.power("DC-2") > 8.0
        await depot.unplug("DC-1")
        await depot.time.sleep(REACTION_S)
        assert depot.grid_kw() <= 45.0 + 0.1

    play(scene, start=22.0)


def test_a_meter_that_lies_about_the_building_does_not_get_the_limit_broken() -> None:
    """The sub-meter of the building shows nothing; the grid meter is right."""

    async def scene(depot: Depot) -> None:
        depot.load_kw = 25.0
        depot.parts = {"load_kw": 0.0, "pv_kw": 0.0}
        await three_cars(depot)
        await depot.minutes(45)

    play(scene, start=22.0)
