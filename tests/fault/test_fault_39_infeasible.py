"""Fault 39: a wish that cannot be met.

Required: an elastic plan, an honest expected state of charge, never an exception, never no schedule.
"""

from __future__ import annotations

import pytest

from gridleaf.domain.wishes import Wish
from scenario.depot import Depot, car, giver, monday, play


def test_fault_39_who_leaves_too_early_is_told_honestly_and_gets_all_there_is() -> None:
    async def scene(depot: Depot) -> None:
        session = await depot.plug("DC-1", giver(1, soc=0.1), leaves=30.0)
        await depot.platform.wish(
            session.session_id, Wish(departure_at=monday(23.0), target_soc=0.9)
        )
        await depot.minutes(2)
        decision = depot.platform.decision()
        assert decision is not None
        assert decision.method == "exact"
        assert "will_miss_departure" in depot.alerts()
        (plan,) = decision.sessions
        assert plan.expected_soc is not None
        assert plan.unmet_kwh > 20.0
        assert depot.power("DC-1") == pytest.approx(22.0, abs=0.1)
        await depot.until(23.0)
        assert depot.soc("DC-1") == pytest.approx(plan.expected_soc, abs=0.02)

    play(scene, start=22.0)


def test_fault_39_a_limit_too_low_for_all_still_serves_the_most_urgent_first() -> None:
    async def scene(depot: Depot) -> None:
        await depot.platform.set_limit(20.0, None)
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=23.5)
        await depot.plug("DC-2", giver(2, soc=0.5), leaves=26.0)
        await depot.plug("AC-3", car("GUEST", 0.2, charge_max_kw=11.0))
        await depot.minutes(10)
        assert "will_miss_departure" in depot.alerts()
        assert depot.power("DC-1") >= 12.0 - 0.1
        await depot.until(23.5)
        await depot.unplug("DC-1")
        await depot.until(26.0)
        assert depot.soc("DC-2") >= 0.8 - 0.005

    play(scene, start=22.0)


def test_fault_39_a_departure_in_the_past_is_no_reason_to_stop() -> None:
    async def scene(depot: Depot) -> None:
        session = await depot.plug("DC-1", giver(1, soc=0.2), leaves=30.0)
        await depot.platform.wish(session.session_id, Wish(departure_at=monday(12)))
        await depot.minutes(10)
        assert depot.power("DC-1") == pytest.approx(22.0, abs=0.1)

    play(scene, start=22.0)
