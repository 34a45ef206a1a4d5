"""What the platform lets into its books, and that they outlive it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from structlog.testing import capture_logs

from gridleaf.domain.meter import SiteMeasurement
from gridleaf.platform import Platform
from scenario.depot import Depot, Market, evening_peak, giver, play


def test_a_measurement_from_the_future_is_refused() -> None:
    async def scene(depot: Depot) -> None:
        depot.meter_on = False
        platform = depot.platform
        now = depot.platform.clock.now()
        before = platform.controller.measurement
        ahead = SiteMeasurement(measured_at=now + timedelta(minutes=6), grid_kw=900.0)
        with capture_logs() as logs:
            await platform.measured(ahead)
            await platform.measured(replace(ahead, measured_at=now + timedelta(days=400)))
        assert [log["event"] for log in logs] == ["measurement_refused"] * 2
        assert platform.controller.measurement is before
        assert platform.demand.state()["sampled_s"] <= now.timestamp()
        slightly = replace(ahead, measured_at=now + timedelta(minutes=4), grid_kw=5.0)
        await platform.measured(slightly)
        assert platform.controller.measurement == slightly

    play(scene, fair=False)


def test_debts_outlive_a_restart() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(soc=0.8), leaves=31.0)
        await depot.until(20.0)
        platform = depot.platform
        books = platform.controller.accounts
        await platform.checkpoint()
        again = Platform(
            platform.site,
            clock=platform.clock,
            store=platform.store,
            rng=random.Random(2),
            source=Market(evening_peak),
        )
        await again.restore()
        kept = again.controller.accounts
        assert sum(books.owed.values()) > 0.5
        assert kept.owed == books.owed
        assert kept.total == books.total
        assert kept.today == books.today
        await again.gateway.close()

    play(scene, fair=False)
