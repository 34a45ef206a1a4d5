"""What the platform lets into its books, and that they outlive it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig
from gridleaf.platform import Platform
from scenario.depot import Depot, Market, evening_peak, giver, play, small_depot


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


def test_a_live_session_is_as_new_as_its_newest_report() -> None:
    async def scene(depot: Depot) -> None:
        session = await depot.plug("DC-1", giver(soc=0.2), leaves=30.0)
        await depot.minutes(8)
        kept = await depot.platform.store.session(session.session_id)
        assert kept is not None
        now = depot.platform.current(kept)
        assert now.charged_kwh == session.charged.total_kwh > kept.charged_kwh
        await depot.unplug("DC-1")
        await depot.time.sleep(1)
        over = await depot.platform.store.session(session.session_id)
        assert over is not None
        assert depot.platform.current(over) is over

    play(scene, start=22.0)


async def _asked(depot: Depot, id_token: str) -> str:
    return (await depot.platform.authorise("AC-3", id_token, 1)).status


def test_a_known_vehicle_is_let_in_whatever_the_case_of_its_token() -> None:
    async def scene(depot: Depot) -> None:
        assert await _asked(depot, "giver-1") == "Accepted"
        assert await _asked(depot, "stranger") == "Invalid"

    play(scene, site=small_depot(authorise="known"))


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


def _with_cells() -> SiteConfig:
    """The small depot, where the cells of the first car are known and have their price."""
    site = small_depot()
    first, *others = site.vehicles
    known = first.model_copy(update={"battery": "nissan-leaf-62", "wear_per_kwh": None})
    return site.model_copy(update={"vehicles": (known, *others)})


def test_the_life_a_session_has_cost_outlives_a_restart_in_its_middle() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(soc=0.8), leaves=31.0)
        await depot.until(19.0)
        before = depot.session("DC-1").life_eur
        assert before != 0.0
        await depot.platform.checkpoint()
        await depot.crash()
        await depot.start()
        assert depot.session("DC-1").life_eur == before
        await depot.until(21.0)
        assert depot.session("DC-1").life_eur != before
        name = depot.session("DC-1").session_id
        await depot.unplug("DC-1")
        await depot.time.sleep(60)
        kept = await depot.platform.store.session(name)
        books = depot.platform.controller.accounts.total
        assert kept is not None
        assert books is not None
        assert kept.life_eur == pytest.approx(books.life_cost, abs=1e-3)

    play(scene, site=_with_cells(), fair=False)
