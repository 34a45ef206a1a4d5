"""Fault 30: the site meter falls silent.

Required: no export; import held to a share that is safe without the meter; status keeps updating.
"""

from __future__ import annotations

import pytest

from gridleaf.domain.events import TransactionReported
from scenario.depot import Depot, car, giver, play

STATIC_KW = 12.0
MAX_AGE_S = 60.0
REACTION_S = 30.0


def test_fault_30_discharging_stops_within_one_reaction_and_returns_with_the_meter() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.8), leaves=30.0)
        await depot.plug("DC-2", giver(2, soc=0.8), leaves=30.0)
        await depot.until(17.3)
        assert depot.evse_kw() < -2.0
        depot.meter_on = False
        await depot.time.sleep(MAX_AGE_S + REACTION_S)
        assert min(depot.power("DC-1"), depot.power("DC-2")) >= 0.0
        assert "meter_stale" in depot.alerts()
        await depot.minutes(20)
        assert 0.0 <= depot.evse_kw() <= STATIC_KW
        depot.meter_on = True
        await depot.time.sleep(REACTION_S)
        assert depot.evse_kw() < -2.0
        assert "meter_stale" not in depot.alerts()

    play(scene)


def test_fault_30_a_full_row_goes_down_to_the_static_share() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=24.5)
        await depot.plug("DC-2", giver(2, soc=0.2), leaves=24.5)
        await depot.plug("AC-3", car("AC", charge_max_kw=11.0))
        await depot.minutes(10)
        assert depot.evse_kw() > 25.0
        depot.meter_on = False
        await depot.time.sleep(MAX_AGE_S + REACTION_S)
        for _ in range(30):
            assert depot.evse_kw() <= STATIC_KW + 0.1
            await depot.minutes(1)
        assert depot.evse_kw() > 0.5 * STATIC_KW
        decision = depot.platform.decision()
        assert decision is not None
        assert decision.method == "static"

    play(scene, start=22.0)


def test_fault_30_stations_are_still_heard_while_the_meter_is_silent() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.5), leaves=30.0)
        depot.meter_on = False
        await depot.minutes(15)
        known = await depot.platform.store.events(
            station_id="DC-1", kinds=["transaction"], newest_first=True, limit=1
        )
        (newest,) = (stored.event for stored in known)
        assert isinstance(newest, TransactionReported)
        assert (depot.time.now() - newest.received_at).total_seconds() < 90
        assert depot.evse("DC-1").power_kw == pytest.approx(depot.power("DC-1"), abs=0.1)

    play(scene, start=22.0)


def test_fault_30_a_site_that_never_had_a_meter_runs_on_the_static_share_and_says_so() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.3), leaves=30.0)
        await depot.plug("AC-3", car("AC", charge_max_kw=11.0))
        await depot.minutes(10)
        assert 6.0 < depot.evse_kw() <= STATIC_KW
        assert "no_meter" in depot.alerts()
        await depot.until(30.0)
        assert depot.soc("DC-1") > 0.6

    play(scene, start=22.0, metered=False)
