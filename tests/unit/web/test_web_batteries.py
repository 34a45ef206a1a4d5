"""The page of the vehicles' batteries: what is measured, and what age suggests where nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridleaf.control.batteries import expected
from gridleaf.web.batteries import battery_views
from gridleaf.web.console.texts import kwh
from gridleaf.web.console.vehicles import battery_row
from web_world import World, in_world


def test_a_battery_is_shown_with_its_band_and_its_wear() -> None:
    async def test(w: World) -> None:
        view = replace(
            (await battery_views(w.platform))[0],
            capacity_kwh=36.0,
            low_kwh=34.5,
            high_kwh=37.5,
            soh=0.9,
            soh_low=0.8625,
            soh_high=0.9375,
            sessions=12,
            measured_at=w.platform.clock.now(),
            planned_with=True,
            discharged_kwh=100.0,
            wear_per_kwh=0.04,
            wear_cost=4.0,
        )
        cells = battery_row(view, "EUR").cells
        assert [c.text for c in cells[1:]] == [
            "90\u00a0%",
            "36.0\u00a0kWh",
            "12",
            "sessions",
            "100.0\u00a0kWh",
            "€4.00",
        ]
        assert cells[1].note == "86 to 94\u00a0%"
        assert cells[2].note == f"34.5 to 37.5, new {kwh(view.nominal_kwh)}"

    in_world(test)


def test_a_battery_of_another_size_than_was_measured_counts_as_not_measured() -> None:
    async def test(w: World) -> None:
        views = await battery_views(w.platform)
        assert views[0].measured_at is not None
        first = w.platform.site.vehicles[0]
        other = first.model_copy(update={"capacity_kwh": first.capacity_kwh + 20})
        w.platform.site = w.platform.site.model_copy(
            update={"vehicles": (other, *w.platform.site.vehicles[1:])}
        )
        view = (await battery_views(w.platform))[0]
        assert (view.measured_at, view.sessions, view.planned_with) == (None, 0, False)
        assert view.soh == pytest.approx(
            expected(other, w.platform.clock.now()).capacity_kwh / other.capacity_kwh
        )
        assert view.soh_high - view.soh_low > views[0].soh_high - views[0].soh_low
        assert battery_row(view, "EUR").cells[4].text == "age"

    in_world(test, filled=True)
