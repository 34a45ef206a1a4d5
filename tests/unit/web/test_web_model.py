"""What the pages of a console share: past prices from past decisions, and the common timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from fake_depot import START, SteppedClock, outlook_at
from fake_platform import FakePlatform
from gridleaf.control.types import decision_to_json, state_to_json
from gridleaf.store import sqlite_store
from gridleaf.web.auth import Accounts
from gridleaf.web.console import Console
from gridleaf.web.console.model import PastPrices, cycle_before
from gridleaf.web.figures import quarter


async def _with_cycles(times: Sequence[datetime]) -> FakePlatform:
    store = sqlite_store(None)
    await store.open()
    platform = FakePlatform(store)
    state, decision = platform.state(), platform.decision()
    assert decision is not None
    for at in times:
        await store.save_cycle(
            at,
            "timer",
            state_to_json(replace(state, at=at, outlook=outlook_at(at))),
            decision_to_json(replace(decision, at=at)),
        )
    return platform


@pytest.mark.parametrize("count", [1, 2, 3, 7, 32])
def test_a_cycle_is_found_by_its_time(count: int) -> None:
    times = [START + timedelta(minutes=5 * n) for n in range(count)]

    async def run() -> None:
        store = (await _with_cycles(times)).store
        for n, at in enumerate(times):
            for wanted in (at, at + timedelta(minutes=4)):
                found = await cycle_before(store, wanted)
                assert found is not None
                assert found.cycle_id == n + 1
        earlier = await cycle_before(store, START - timedelta(days=1))
        assert earlier is not None
        assert earlier.cycle_id == 1

    asyncio.run(run())


def test_without_cycles_there_is_none() -> None:
    async def run() -> None:
        assert await cycle_before((await _with_cycles([])).store, START) is None

    asyncio.run(run())


def test_past_prices_are_recalled_from_the_decisions_of_that_time() -> None:
    async def run() -> PastPrices:
        times = [START - timedelta(hours=6) + timedelta(minutes=30 * n) for n in range(12)]
        prices = PastPrices()
        store = (await _with_cycles(times)).store
        await prices.recall(store, START - timedelta(hours=6), START)
        return prices

    prices = asyncio.run(run())
    quarters = [quarter(START - timedelta(minutes=15 * n)) for n in range(1, 24)]
    assert all(at in prices.known for at in quarters)
    at_noon = START.replace(hour=12, minute=0)
    made_before = outlook_at(at_noon - timedelta(minutes=20))
    assert prices.known[at_noon][0] == made_before.import_price[1]
    assert all(at < START for at in prices.known)


def test_a_market_price_wins_over_the_fallback_whichever_comes_first() -> None:
    market = outlook_at(START)
    fallback = replace(
        market,
        import_price=(0.27,) * len(market.step_h),
        price_known=(False,) * len(market.step_h),
    )
    now = START + timedelta(hours=1)
    for order in ((market, fallback), (fallback, market)):
        prices = PastPrices()
        for outlook in order:
            prices.learn(outlook, now)
        assert prices.known[quarter(START)][0] == market.import_price[0]
    prices = PastPrices()
    prices.learn(fallback, now)
    assert prices.known[quarter(START)][0] == 0.27


def test_old_prices_are_forgotten() -> None:
    prices = PastPrices()
    prices.learn(outlook_at(START), START + timedelta(hours=1))
    later = START + timedelta(days=2)
    prices.learn(outlook_at(later), later + timedelta(hours=1))
    assert min(prices.known) >= later - timedelta(minutes=15)


def test_the_timeline_is_made_once_for_all_readers_and_anew_with_a_decision() -> None:
    async def run() -> None:
        platform = await _with_cycles([START - timedelta(hours=3)])
        people = SteppedClock()
        console = Console(platform, Accounts(platform.store, people), people, auto_login=True)
        first = await console.timeline()
        assert await console.timeline() is first
        decision = platform.decision()
        assert decision is not None
        platform._decision = replace(decision, at=decision.at + timedelta(minutes=5))
        second = await console.timeline()
        assert second is not first
        people.advance(6)
        assert await console.timeline() is not second

    asyncio.run(run())
