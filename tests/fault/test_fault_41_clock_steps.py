"""Fault 41: the machine's wall clock is set by an hour, forwards or back.

Required: the loop runs on the monotonic clock; plans are re-anchored; no burst of setpoints.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import TypeVar

import pytest

from gridleaf.domain.clock import Clock
from scenario.depot import CYCLE_S, Depot, car, giver, play

T = TypeVar("T")
HOUR = timedelta(hours=1)


class SetClock:
    """A clock whose wall time somebody sets; its monotonic time does not care."""

    def __init__(self) -> None:
        self.skew = timedelta(0)
        self._clock: Clock

    def over(self, clock: Clock) -> Clock:
        self._clock = clock
        return self

    def now(self) -> datetime:
        return self._clock.now() + self.skew

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def wait_for(self, awaitable: Awaitable[T], timeout_s: float) -> T:
        return await self._clock.wait_for(awaitable, timeout_s)


def commands(depot: Depot) -> int:
    return sum(
        len(depot.told(name, action))
        for name in depot.stations
        for action in ("SetChargingProfile", "UpdateDynamicSchedule")
    )


def follow(depot: Depot, skew: timedelta) -> None:
    """The stations take the time from the next heartbeat."""
    for station in depot.stations.values():
        station.clock_offset_s = skew.total_seconds()


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forwards", "back"])
@pytest.mark.parametrize("told", [True, False], ids=["stations follow", "stations do not"])
def test_fault_41_control_goes_on_at_its_pace_when_the_clock_is_set(
    step: timedelta, told: bool
) -> None:
    clock = SetClock()

    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=32.0)
        await depot.plug("DC-2", giver(2, soc=0.2), leaves=32.0)
        await depot.plug("AC-3", car("GUEST", 0.2, charge_max_kw=11.0))
        await depot.minutes(20)
        assert depot.grid_kw() > 40.0
        cycles, sent = depot.platform.controller.cycles, commands(depot)
        clock.skew += step
        if told:
            await depot.minutes(2)
            follow(depot, step)
        await depot.minutes(30)
        done = depot.platform.controller.cycles - cycles
        assert 1800 / CYCLE_S - 1 <= done <= 1800 / CYCLE_S + 4
        assert commands(depot) - sent <= 3 * (done + 1)
        if told:
            assert depot.grid_kw() > 40.0
            assert depot.evse("DC-1").obeying
        decision = depot.platform.decision()
        assert decision is not None
        assert decision.method == "exact"
        charged = depot.session("DC-1").charged.total_kwh
        await depot.minutes(10)
        if told:
            assert depot.session("DC-1").charged.total_kwh > charged + 1.0

    play(scene, start=22.0, price=lambda _: 0.1, clock_of=clock.over)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forwards", "back"])
def test_fault_41_after_a_step_the_meter_is_believed_and_cars_still_give(step: timedelta) -> None:
    clock = SetClock()

    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.95), leaves=32.0)
        await depot.until(17.2)
        assert depot.power("DC-1") < -1.0
        clock.skew += step
        follow(depot, step)
        await depot.minutes(6)
        assert depot.state.meter_fresh
        assert depot.power("DC-1") < -1.0
        depot.load_kw = 60.0
        await depot.time.sleep(25)
        assert depot.power("DC-1") < -15.0

    play(
        scene,
        start=17.0,
        price=lambda at: 0.9 if 15 <= at.hour < 20 else 0.05,
        clock_of=clock.over,
    )


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forwards", "back"])
def test_fault_41_disobedience_is_found_out_after_a_step_too(step: timedelta) -> None:
    clock = SetClock()

    async def scene(depot: Depot) -> None:
        depot.load_kw = 38.0
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=32.0)
        await depot.minutes(10)
        clock.skew += step
        follow(depot, step)
        await depot.minutes(6)
        depot.stations["DC-1"].disobey = True
        await depot.time.sleep(2 * CYCLE_S + 120)
        assert "not_obeying" in depot.alerts()

    play(scene, start=22.0, fair=False, clock_of=clock.over)
