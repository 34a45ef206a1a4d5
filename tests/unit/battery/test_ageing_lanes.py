"""Cells worked on beside each other: each gets what it gets alone, and nothing else is touched."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from gridleaf.battery.ageing import (
    MODELS,
    Model,
    Population,
    advance,
    calendar_rate,
    cycling_rate,
    fresh,
    layout,
    model,
)
from gridleaf.battery.ageing.stress import Floats
from gridleaf.domain.compiled import compilations
from gridleaf.domain.errors import ConfigError

B1 = model("NMC_Gr_50Ah_B1")
ARRAYS = [field.name for field in fields(Population) if field.name != "model"]
each_model = pytest.mark.parametrize("cell", MODELS, ids=lambda m: m.name)


def histories(cells: int, hours: Floats, seed: int = 0) -> tuple[Floats, Floats]:
    """Cells out of step: at rest empty, full or half, from empty to full and back, in waves, at random."""
    draws, time = np.random.default_rng(seed), np.cumsum(hours)
    soc, temperature_c = np.empty((2, cells, len(hours)))
    for cell in range(cells):
        place = np.arange(len(hours)) + cell
        soc[cell] = (
            np.full(len(hours), draws.choice([0.0, 0.5, 1.0])),
            (place % 4 < 2) * 1.0,
            0.5 + 0.4 * np.sin(time / 4.0 + cell),
            draws.random(len(hours)),
            np.interp((time + cell) % 24.0, (0.0, 8.0, 16.0, 24.0), (0.9, 0.1, 0.9, 0.9)),
        )[cell % 5]
        temperature_c[cell] = (
            np.full(len(hours), draws.choice([-50.0, 20.0, 90.0]))
            if cell % 3 == 0
            else 20.0 + 20.0 * np.sin(time / 24.0 + cell)
        )
    return soc, temperature_c


def steps(kind: str, count: int) -> Floats:
    if kind == "mixed":
        return np.random.default_rng(5).choice([1 / 60, 0.5, 3.0, 26.0, 30.0], count)
    return np.full(count, float(kind))


def one(population: Population, cell: int) -> Population:
    taken = {name: getattr(population, name)[cell : cell + 1] for name in ARRAYS}
    return replace(population, **taken)


def assert_same(found: Population, expected: Population, tolerance: float) -> None:
    for name in ARRAYS:
        a, b = getattr(found, name), getattr(expected, name)
        assert a.shape == b.shape
        assert (np.abs(a - b) <= tolerance * np.maximum(1.0, np.abs(b))).all(), name


@pytest.mark.parametrize("cells", [1, 47, 48, 49, 97])
@each_model
def test_a_cell_gets_beside_others_what_it_gets_alone(cell: Model, cells: int) -> None:
    speed = np.linspace(0.5, 2.0, cells)
    for kind in ("0.016666", "3", "30", "mixed"):
        hours = steps(kind, 150)
        soc, temperature_c = histories(cells, hours)
        together = advance(fresh(cell, cells, speed=speed), soc, temperature_c, hours)
        for n in {0, 1, 2, 3, 4, cells // 2, cells - 1} & set(range(cells)):
            begin = fresh(cell, 1, speed=speed[n])
            alone = advance(begin, soc[n : n + 1], temperature_c[n : n + 1], hours)
            assert_same(one(together, n), alone, 1e-12)


@each_model
def test_a_history_may_be_cut_anywhere(cell: Model) -> None:
    hours = steps("mixed", 150)
    soc, temperature_c = histories(49, hours)
    whole = advance(fresh(cell, 49), soc, temperature_c, hours)
    parts = fresh(cell, 49)
    for piece in (slice(0, 1), slice(1, 2), slice(2, 2), slice(2, 77), slice(77, 150)):
        parts = advance(parts, soc[:, piece], temperature_c[:, piece], hours[piece])
    assert_same(parts, whole, 0.0)


@pytest.mark.parametrize(
    "given",
    [
        np.asfortranarray,
        lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
        lambda a: a.astype(">f8"),
        lambda a: a.tolist(),
    ],
    ids=["Fortran order", "strides", "other bytes", "lists"],
)
def test_how_numbers_lie_in_memory_does_not_matter(given: Any) -> None:
    hours = steps("1", 60)
    soc, temperature_c = histories(5, hours)
    expected = advance(fresh(B1, 5), soc, temperature_c, hours)
    assert_same(advance(fresh(B1, 5), given(soc), given(temperature_c), hours), expected, 0.0)


def test_single_precision_and_whole_numbers_are_taken_as_they_are() -> None:
    whole = np.tile([0, 1, 1, 0, 1], (2, 12))
    expected = advance(fresh(B1, 2), whole.astype(float), 20.0 + whole, 1.0)
    assert_same(advance(fresh(B1, 2), whole, 20 + whole, 1), expected, 0.0)
    single: Any = np.full((2, 60), 0.3, np.float32)
    expected = advance(fresh(B1, 2), single.astype(float), 20.0 + single.astype(float), 1.0)
    assert_same(advance(fresh(B1, 2), single, 20.0 + single, 1.0), expected, 1e-6)


def test_nothing_is_compiled_for_what_is_read_only_or_has_aged() -> None:
    hours = steps("1", 60)
    soc, temperature_c = histories(3, hours)
    cells = advance(fresh(B1, 3), soc, temperature_c, hours)
    calendar_rate(fresh(B1, 3), 0.5, 25.0)
    before = compilations()
    soc.flags.writeable = temperature_c.flags.writeable = False
    assert_same(advance(fresh(B1, 3), soc, temperature_c, hours), cells, 0.0)
    calendar_rate(cells, 0.5, 25.0)
    assert compilations() == before


def test_the_cells_that_are_carried_forward_stay_as_they_were() -> None:
    hours = steps("1", 60)
    soc, temperature_c = histories(49, hours)
    cells = advance(fresh(B1, 49), soc, temperature_c, hours)
    kept = {name: getattr(cells, name).copy() for name in ARRAYS}
    given = soc.copy(), temperature_c.copy()
    after = advance(cells, soc, temperature_c, hours)
    for name in ARRAYS:
        assert (getattr(cells, name) == kept[name]).all(), name
        if name != "speed":
            assert not np.shares_memory(getattr(after, name), getattr(cells, name)), name
    assert (soc == given[0]).all()
    assert (temperature_c == given[1]).all()


def test_no_cells_and_no_samples_are_nothing_to_do() -> None:
    nobody = np.empty((0, 5))
    assert len(advance(fresh(B1, 0), nobody, nobody, 1.0)) == 0
    assert calendar_rate(fresh(B1, 0), [0.5, 0.6], 25.0).shape == (0, 2)
    cells = fresh(B1, 3)
    assert advance(cells, np.empty((3, 0)), np.empty((3, 0)), 1.0) is cells


def test_a_cell_of_no_speed_does_not_age() -> None:
    hours = steps("1", 200)
    cells = advance(fresh(B1, 5, speed=0.0), *histories(5, hours), hours)
    assert (cells.relative_capacity == 1.0).all()
    assert cells.efc[1] > 10.0


HALF, MILD = np.full((3, 5), 0.5), np.full((3, 5), 20.0)


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("soc", (HALF[0], MILD[0], 1.0)),
        ("soc", (HALF[:2], MILD[:2], 1.0)),
        ("soc", (HALF, MILD[:, :4], 1.0)),
        ("soc", (HALF + 0.51, MILD, 1.0)),
        ("soc", (HALF * np.nan, MILD, 1.0)),
        ("temperature_c", (HALF, MILD * np.nan, 1.0)),
        ("temperature_c", (HALF, MILD + 70.1, 1.0)),
        ("step_h", (HALF, MILD, 0.0)),
        ("step_h", (HALF, MILD, -1.0)),
        ("step_h", (HALF, MILD, np.nan)),
        ("step_h", (HALF, MILD, np.inf)),
        ("step_h", (HALF, MILD, np.ones(4))),
        ("step_h", (HALF, MILD, np.ones((3, 5)))),
    ],
)
def test_a_history_that_cannot_be_is_refused(path: str, given: tuple[Any, Any, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        advance(fresh(B1, 3), *given)
    assert refused.value.path == path


@pytest.mark.parametrize("speed", [-1.0, np.nan, np.inf, [1.0, 2.0]])
def test_a_speed_that_cannot_be_is_refused(speed: Any) -> None:
    with pytest.raises(ConfigError, match="speed"):
        fresh(B1, 3, speed=speed)


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("soc", (np.full((5, 1), 0.5), 25.0)),
        ("soc", (np.full((2, 1, 1), 0.5), 25.0)),
        ("soc", (np.full(3, 0.5), np.full(4, 25.0))),
        ("soc", (np.nan, 25.0)),
        ("soc", (1.1, 25.0)),
        ("temperature_c", (0.5, -273.0)),
    ],
)
def test_a_rate_is_not_asked_at_what_cannot_be(path: str, given: tuple[Any, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        calendar_rate(fresh(B1), *given)
    assert refused.value.path == path


@pytest.mark.parametrize(("depth", "c_rate"), [(-0.1, 0.5), (1.1, 0.5), (0.5, -1.0), (0.5, np.nan)])
def test_a_cycle_that_cannot_be_has_no_rate(depth: float, c_rate: float) -> None:
    with pytest.raises(ConfigError):
        cycling_rate(fresh(B1), depth, c_rate, 0.5, 25.0)


def used(cell: Model, days: int = 365) -> Population:
    """A cell after daily use."""
    hour = np.arange(24.0 * days)
    soc = 0.5 + 0.3 * np.sin(2.0 * np.pi * hour / 24.0)
    return advance(fresh(cell), soc[None], np.full((1, len(hour)), 25.0), 1.0)


def ended(cells: Population) -> float:
    """Hours of history that are still open."""
    return float(cells.piece[0, layout.HOURS] + cells.piece[0, layout.GAP])


@each_model
def test_the_rate_of_rest_is_what_the_next_day_of_rest_takes(cell: Model) -> None:
    for soc, temperature_c in ((0.2, 10.0), (0.5, 25.0), (0.9, 35.0)):
        rest = np.full((1, 80), soc), np.full((1, 80), temperature_c)
        before = advance(used(cell), *rest, 1.0)
        after = advance(before, rest[0][:, :26], rest[1][:, :26], 1.0)
        hours = 26.0 + ended(before) - ended(after)
        assert hours > 20.0
        lost = float(before.relative_capacity[0] - after.relative_capacity[0])
        rate = float(calendar_rate(before, soc, temperature_c)[0, 0])
        assert rate * hours == pytest.approx(lost, rel=3e-3, abs=1e-9)


@each_model
def test_the_rates_of_rest_and_of_cycles_make_up_what_a_day_of_cycles_takes(cell: Model) -> None:
    depth, c_rate, temperature_c = 0.4, 0.2, 20.0
    time = np.arange(1.0, 60 * 24 * 4 + 1) / 60.0
    at = time * c_rate / (2.0 * depth) % 1.0
    soc = 0.5 + depth * (0.5 - np.abs(2.0 * at - 1.0))
    before = advance(used(cell), soc[None], np.full((1, len(time)), temperature_c), 1 / 60)
    day = soc[None, : 60 * 28]
    after = advance(before, day, np.full(day.shape, temperature_c), 1 / 60)
    hours = 28.0 + ended(before) - ended(after)
    cycles = float(after.efc[0] - before.efc[0])
    assert cycles > 1.0
    lost = float(before.relative_capacity[0] - after.relative_capacity[0])
    q = float(before.relative_capacity[0])
    levels = np.linspace(0.5 - depth / 2.0 / q, 0.5 + depth / 2.0 / q, 201)
    by_time = hours * float(calendar_rate(before, levels, temperature_c).mean())
    by_cycles = cycles * float(cycling_rate(before, depth, c_rate, 0.5, temperature_c)[0, 0])
    assert by_time + by_cycles == pytest.approx(lost, rel=0.05)
