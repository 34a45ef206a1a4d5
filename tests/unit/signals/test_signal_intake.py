from __future__ import annotations

import asyncio
import math
from datetime import timedelta

import pytest

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.signals import Join
from gridleaf.signals.intake import Field, pauses, plausible
from price_fakes import utc
from signal_fakes import Ear

NOON = utc("2026-01-05T12:00")


def at(seconds: float, **fields: float) -> SiteMeasurement:
    return SiteMeasurement(
        measured_at=NOON + timedelta(seconds=seconds),
        grid_kw=fields.get("grid"),
        pv_kw=fields.get("pv"),
        load_kw=fields.get("load"),
        source="mqtt",
    )


def joined(*measurements: SiteMeasurement) -> list[SiteMeasurement]:
    async def go() -> list[SiteMeasurement]:
        ear = Ear()
        join = Join(ear)
        for measurement in measurements:
            await join(measurement)
        return ear.heard

    return asyncio.run(go())


def test_generation_and_load_travel_with_the_next_grid_power() -> None:
    assert joined(at(0, grid=10), at(1, pv=3), at(2, load=7), at(5, grid=11)) == [
        at(0, grid=10),
        at(5, grid=11, pv=3, load=7),
    ]


def test_slow_generation_is_repeated_while_it_is_young_and_then_left_out() -> None:
    heard = joined(at(0, grid=10), at(1, pv=3), *(at(s, grid=s) for s in (5, 30, 61, 62)))
    assert [m.pv_kw for m in heard] == [None, 3, 3, 3, None]


def test_grid_power_is_handed_on_once_and_never_made_younger() -> None:
    heard = joined(at(0, grid=10), at(5, pv=3), at(10, pv=4), at(15, load=2))
    assert heard == [at(0, grid=10)]


def test_without_a_grid_meter_the_rest_is_handed_on_as_it_comes() -> None:
    assert joined(at(0, pv=3), at(1, load=2)) == [at(0, pv=3), at(1, load=2)]


def test_when_the_grid_meter_falls_silent_the_rest_does_not_speak_for_it() -> None:
    heard = joined(at(0, grid=10), at(30, pv=3), at(61, pv=4))
    assert heard == [at(0, grid=10), at(61, pv=4)]


def test_a_sink_that_fails_loses_one_measurement_and_no_more() -> None:
    async def go() -> list[SiteMeasurement]:
        ear = Ear()
        ear.fails = [StoreUnavailable("disk full")]
        join = Join(ear)
        await join(at(0, grid=10))
        await join(at(1, grid=11))
        return ear.heard

    assert asyncio.run(go()) == [at(1, grid=11)]


@pytest.mark.parametrize(
    ("field", "kw", "expected"),
    [
        ("grid_kw", -12.5, -12.5),
        ("grid_kw", math.nan, None),
        ("load_kw", math.inf, None),
        ("grid_kw", 2e6, None),
        ("pv_kw", 12.0, 12.0),
        ("pv_kw", -0.04, 0.0),
        ("pv_kw", -12.0, None),
    ],
)
def test_only_values_that_a_site_can_have_pass(
    field: Field, kw: float, expected: float | None
) -> None:
    assert plausible(field, kw) == expected


def test_pauses_double_up_to_a_minute() -> None:
    waits = pauses()
    assert [next(waits) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
