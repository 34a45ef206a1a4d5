"""Prices that are missing, late, wrong, negative; nights of 23 and 25 hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scenario.depot import Depot, car, giver, monday, one_dear_hour, play, small_depot


def test_without_prices_cars_are_charged_by_the_flat_tariff_and_nothing_is_traded() -> None:
    async def scene(depot: Depot) -> None:
        assert depot.market.asked > 0
        await depot.plug("DC-1", giver(1, soc=0.6), leaves=20.0)
        await depot.minutes(2)
        assert "price_missing" in depot.alerts()
        while depot.time.now() < monday(20):
            assert depot.power("DC-1") >= 0.0
            await depot.minutes(5)
        assert depot.soc("DC-1") >= 0.8 - 0.005

    play(scene, price=one_dear_hour, market_down=True)


def test_prices_that_come_late_are_used_as_soon_as_they_come() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.9), leaves=30.0)
        await depot.until(17.1)
        assert depot.power("DC-1") >= 0.0
        depot.market.down = False
        await depot.minutes(25)
        assert "price_missing" not in depot.alerts()
        assert depot.power("DC-1") < -5.0

    play(scene, start=16.9, price=one_dear_hour, market_down=True)


def test_a_price_a_thousand_times_too_high_is_replaced_by_the_flat_tariff() -> None:
    def broken(at: datetime) -> float:
        return 90.0 if at.hour == 17 else 0.10

    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.9), leaves=30.0)
        while depot.time.now() < monday(18.5):
            assert depot.grid_kw() >= -0.1
            await depot.minutes(5)
        flat = depot.site.tariff.import_price
        for state, _ in depot.decisions:
            assert max(state.outlook.import_price) <= flat
        assert not all(depot.decisions[0][0].outlook.price_known)

    play(scene, start=16.5, price=broken)


def test_negative_prices_are_taken_at_their_word() -> None:
    def windy(at: datetime) -> float:
        return -0.20 if at.hour == 18 else 0.10

    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.5), leaves=30.0)
        await depot.until(18.3)
        assert depot.power("DC-1") == pytest.approx(22.0, abs=0.1)

    play(scene, start=17.5, price=windy)


NIGHTS = [datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)]


@pytest.mark.parametrize("day", NIGHTS, ids=["23 hours", "25 hours"])
def test_a_night_on_which_the_clocks_change_is_planned_and_slept_through(day: datetime) -> None:
    """Cars that leave at six o'clock local time are ready at six o'clock local time."""
    site = small_depot(timezone="Europe/Amsterdam", control={"horizon_h": 10})

    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.6))
        await depot.plug("AC-3", car("GUEST", 0.3, charge_max_kw=11.0))
        seen = depot.evse("DC-1").session
        assert seen is not None
        leaves = seen.departure_at
        local_six = 4 if day.month == 3 else 5
        assert leaves == day + timedelta(days=1, hours=local_six)
        while depot.time.now() < leaves:
            state, decision = depot.decisions[-1]
            assert decision.method == "exact"
            steps = state.outlook.step_h
            assert all(0 < hours <= 1.0 + 1e-9 for hours in steps)
            assert len(decision.grid_kw) == len(steps)
            await depot.minutes(15)
        assert depot.soc("DC-1") >= 0.8 - 0.005
        assert depot.session("AC-3").charged.total_kwh >= 20.0 - 0.25
        ends = [decision.at for _, decision in depot.decisions]
        assert ends == sorted(ends)

    play(scene, start=((day - monday(0)) / timedelta(hours=1)) + 22.5, site=site)
