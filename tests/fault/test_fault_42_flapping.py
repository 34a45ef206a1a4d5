"""Fault 42: setpoints that flap.

Required: contactors switch a bounded number of times an hour, and stations are not pestered, however
restless the building is.
"""

from __future__ import annotations

import math
import random
from datetime import datetime
from itertools import pairwise

import pytest

from scenario.depot import Depot, car, giver, play

SWITCHES_PER_H = 13
"""Off and on again once in each cycle of five minutes at most."""


def square(at: datetime) -> float:
    """One minute up to the limit, one minute far below it."""
    return 43.0 if at.minute % 2 else 30.0


def noise(at: datetime) -> float:
    """Restless around what leaves just 6 A."""
    draw = random.Random(int(at.timestamp()) // 10)
    return 40.9 + draw.uniform(-1.5, 1.5) + math.sin(at.timestamp() / 70)


def wave(at: datetime) -> float:
    return 35.0 + 6.0 * math.sin(at.timestamp() / 40)


@pytest.mark.parametrize("load", [square, noise, wave], ids=["square", "noise", "wave"])
def test_fault_42_a_restless_building_does_not_wear_out_contactors(load: object) -> None:
    async def scene(depot: Depot) -> None:
        depot.load_kw = load  # type: ignore[assignment]
        await depot.plug("AC-3", car("A", 0.1, charge_max_kw=11.0))
        await depot.plug("AC-1", car("B", 0.1, charge_max_kw=7.36))
        await depot.minutes(10)
        sent = {n: len(depot.told(n, "SetChargingProfile")) for n in ("AC-3", "AC-1")}
        states: dict[str, list[bool]] = {"AC-3": [], "AC-1": []}
        for _ in range(720):
            for name, seen in states.items():
                seen.append(depot.power(name) > 0)
            await depot.time.sleep(10)
        for name, seen in states.items():
            switches = sum(a != b for a, b in pairwise(seen))
            assert switches / 2 <= SWITCHES_PER_H
            told = len(depot.told(name, "SetChargingProfile")) - sent[name]
            assert told / 2 <= 4 * 12

    # the building goes over the limit by itself now and then
    play(scene, start=22.0, fair=False)


def test_fault_42_a_price_that_alternates_does_not_make_a_car_swing() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.6), leaves=36.0)
        signs: list[int] = []
        for _ in range(180):
            power = depot.power("DC-1")
            signs.append(0 if abs(power) < 0.1 else 1 if power > 0 else -1)
            await depot.minutes(1)
        moves = [s for s in signs if s]
        assert sum(a != b for a, b in pairwise(moves)) <= 2

    play(scene, start=22.0, price=lambda at: 0.20 + 0.01 * (at.minute // 15 % 2))


def test_fault_42_vehicles_of_equal_worth_do_not_take_turns_at_discharging() -> None:
    """The building takes what one of two can give: it is the same one until it has no more."""

    async def scene(depot: Depot) -> None:
        for number in (1, 2):
            await depot.plug(f"DC-{number}", giver(number, soc=0.7), leaves=32.0)
        await depot.minutes(6)
        powers: dict[str, list[float]] = {"DC-1": [], "DC-2": []}
        for _ in range(180):
            for name, seen in powers.items():
                seen.append(depot.power(name))
            await depot.minutes(1)
        assert min(powers["DC-1"]) < -5.0
        for seen in powers.values():
            assert sum((a < -0.1) != (b < -0.1) for a, b in pairwise(seen)) <= 2

    play(scene, start=17.0)
