"""What holds for every history: cut anywhere, at any resolution, with more or less stress."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.battery.ageing import (
    MODELS,
    History,
    Model,
    Population,
    advance,
    calendar_rate,
    cycling_rate,
    fresh,
    simulate,
)
from gridleaf.battery.ageing.stress import Floats

models = st.sampled_from(MODELS)
seeds = st.integers(0, 2**32 - 1)
falling = st.sampled_from([m for m in MODELS if not m.rises])


def lived(seed: int, days: int = 40) -> tuple[Floats, Floats]:
    """SoC and temperature of a car with trips, charging, rest and weather; hourly, (1, steps)."""
    draws = np.random.default_rng(seed)
    hours = np.arange(24 * days + 1.0)
    knots = np.sort(draws.uniform(0.0, hours[-1], int(draws.integers(2, 6 * days))))
    levels = draws.uniform(0.05, 1.0, len(knots))
    if draws.random() < 0.3:
        levels[:] = levels[0]
    soc = np.interp(hours, knots, levels)
    weather = draws.uniform(-5.0, 35.0) + 6.0 * np.sin(2.0 * np.pi * hours / 24.0)
    return soc[None], weather[None]


def states(cell: Population) -> Floats:
    return np.concatenate([cell.relative_capacity, cell.resistance, cell.parts[0], cell.efc])


@given(models, seeds, st.lists(st.integers(1, 960), max_size=6))
@settings(max_examples=60, deadline=None)
def test_cutting_a_history_changes_nothing(model: Model, seed: int, cuts: list[int]) -> None:
    soc, temperature_c = lived(seed)
    whole = advance(fresh(model), soc, temperature_c, 1.0)
    parts = fresh(model)
    for s, t in zip(
        np.split(soc, sorted(cuts), axis=1),
        np.split(temperature_c, sorted(cuts), axis=1),
        strict=True,
    ):
        parts = advance(parts, s, t, 1.0)
    assert states(parts) == pytest.approx(states(whole), rel=1e-12, abs=1e-15)
    assert parts.outside_h == pytest.approx(whole.outside_h)


@given(falling, seeds)
@settings(max_examples=40, deadline=None)
def test_capacity_never_rises_and_resistance_never_falls_by_much(model: Model, seed: int) -> None:
    soc, temperature_c = lived(seed)
    cell, before = fresh(model), 1.0
    for s, t in zip(
        np.split(soc, range(24, 960, 24), 1),
        np.split(temperature_c, range(24, 960, 24), 1),
        strict=True,
    ):
        cell = advance(cell, s, t, 1.0)
        assert cell.relative_capacity[0] <= before + 1e-15
        before = cell.relative_capacity[0]
    assert before < 1.0


@given(models, seeds)
@settings(max_examples=30, deadline=None)
def test_zero_time_ages_nothing(model: Model, seed: int) -> None:
    soc, temperature_c = lived(seed, 3)
    cell = advance(fresh(model), soc, temperature_c, 1.0)
    assert advance(cell, soc[:, :0], temperature_c[:, :0], 1.0) is cell
    assert (fresh(model).relative_capacity == 1.0).all()
    assert advance(fresh(model), soc[:, :1], temperature_c[:, :1], 1.0).relative_capacity[0] == 1.0


@given(
    st.sampled_from([m for m in MODELS if m.monotone]),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.floats(-20.0, 50.0),
    st.floats(0.0, 20.0),
)
@settings(max_examples=100, deadline=None)
def test_a_fuller_and_hotter_rest_never_ages_less(
    model: Model, one: float, other: float, cold: float, hotter: float
) -> None:
    days = np.ones((1, 24 * 60))
    gentle = advance(fresh(model), min(one, other) * days, cold * days, 1.0)
    harsh = advance(fresh(model), max(one, other) * days, (cold + hotter) * days, 1.0)
    assert harsh.relative_capacity[0] <= gentle.relative_capacity[0] + 1e-9


@given(falling, seeds)
@settings(max_examples=30, deadline=None)
def test_faster_cells_age_more(model: Model, seed: int) -> None:
    soc, temperature_c = lived(seed)
    cells = fresh(model, 3, speed=[0.5, 1.0, 2.0])
    cells = advance(cells, np.tile(soc, (3, 1)), np.tile(temperature_c, (3, 1)), 1.0)
    assert (np.diff(cells.relative_capacity) < 0.0).all()


@given(models, st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_quarter_of_an_hour_and_an_hour_agree(model: Model, seed: int) -> None:
    """To 0.3 % of capacity in a year: a piece ends a sample after a day, so it is not the same one."""
    draws = np.random.default_rng(seed)
    at = np.array([0.0, 7.0, 8.0, 17.0, 18.0, 22.0, 24.0])
    top = draws.uniform(0.6, 1.0)
    trip = draws.uniform(0.02, 0.25)
    soc = top - trip * np.array([0.0, 0.0, 1.0, 1.0, 2.0, 0.0, 0.0])
    ends = []
    for step in (1.0, 0.25):
        time = np.arange(0.0, 24.0 + step / 2.0, step)
        day = History(
            time_h=time,
            soc=np.interp(time, at, soc),
            temperature_c=18.0 + 7.0 * np.sin(2.0 * np.pi * time / 24.0),
        )
        ends.append(simulate(model, day, 1).relative_capacity[0])
    assert ends[0] == pytest.approx(ends[1], abs=3e-3)


@given(models, seeds)
@settings(max_examples=30, deadline=None)
def test_cells_beside_each_other_do_not_disturb_each_other(model: Model, seed: int) -> None:
    soc, temperature_c = lived(seed)
    other, weather = lived(seed + 1)
    alone = advance(fresh(model), soc, temperature_c, 1.0)
    both = advance(
        fresh(model, 2), np.vstack([other, soc]), np.vstack([weather, temperature_c]), 1.0
    )
    assert both.relative_capacity[1] == alone.relative_capacity[0]
    assert both.parts[1] == pytest.approx(alone.parts[0], rel=1e-12)


@given(falling, seeds, st.floats(0.0, 1.0), st.floats(-10.0, 45.0))
@settings(max_examples=40, deadline=None)
def test_the_calendar_rate_is_what_the_next_day_of_rest_costs(
    model: Model, seed: int, soc: float, warm: float
) -> None:
    history, weather = lived(seed)
    cell = advance(fresh(model), history, weather, 1.0)
    for _ in range(2):
        cell = advance(cell, np.full((1, 25), soc), np.full((1, 25), warm), 1.0)
    rate = calendar_rate(cell, soc, warm)[0, 0]
    rested = advance(cell, np.full((1, 25), soc), np.full((1, 25), warm), 1.0)
    lost = cell.relative_capacity[0] - rested.relative_capacity[0]
    assert lost / 25.0 == pytest.approx(rate, rel=0.05, abs=1e-8)


@given(models, seeds)
@settings(max_examples=20, deadline=None)
def test_rates_broadcast_over_cells_and_places(model: Model, seed: int) -> None:
    soc, temperature_c = lived(seed, 5)
    cells = advance(fresh(model, 2), np.tile(soc, (2, 1)), np.tile(temperature_c, (2, 1)), 1.0)
    places = np.linspace(0.1, 1.0, 4)
    assert calendar_rate(cells, places, 25.0).shape == (2, 4)
    rates = cycling_rate(cells, places, 0.3, 0.5, 25.0)
    assert rates.shape == (2, 4)
    assert np.isfinite(rates).all()
