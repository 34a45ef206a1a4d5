from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.wear import year

from gridleaf.battery.ageing import MODELS, Model, advance, fresh, layout, model
from gridleaf.battery.pack import named
from gridleaf.battery.wear import Day, Worth, cost_of_life, marginal, usual_day, worn

WORTH = Worth(capacity_kwh=40.0, pack_price_eur_per_kwh=120.0, end_of_life_soh=0.7)
DAY = usual_day(
    leaves_soc=0.9,
    comes_soc=0.7,
    lowest_soc=0.4,
    charge_c=0.2,
    discharge_c=0.2,
    capacity_kwh=40.0,
)
every_cell = pytest.mark.parametrize("cell", MODELS, ids=lambda cell: cell.name)
LEAF = model("Lmo_Gr_NissanLeaf66Ah_2ndLife_Battery")


@pytest.mark.parametrize("by_depth", [True, False], ids=["depth", "discharge"])
def test_prices_add_up_to_the_loss_of_the_full_model_within_5_percent(by_depth: bool) -> None:
    # every fifth day of the year; `python -m benchmarks wear` has all of them
    for found in year(days=range(0, 365, 5), by_depth=by_depth):
        assert abs(found.error) < 0.05, (found.model.name, found.error)
        assert found.given_kwh.sum() > 20


@every_cell
def test_along_the_expected_day_the_price_is_the_full_models_loss(cell: Model) -> None:
    # a worn cell swings around where its piece of history began, which moves from day to day
    population = worn(cell, 0.93)
    worth = replace(WORTH, soh=min(float(population.relative_capacity[0]), 1.0))
    day = from_8h(DAY)
    price = marginal(population, worth, day)
    said = price.cost_eur(day.step_h, day.soc * WORTH.capacity_kwh, day.given_kwh)
    by_depth = price.cost_by_depth_eur(day.step_h, day.soc * WORTH.capacity_kwh)
    again = np.tile(day.soc[1:], 7)[None]
    begin = worth.history(day.soc[None, :1])
    anew = replace(population, piece=fresh(cell).piece)
    start = advance(anew, begin, np.full((1, 1), 20.0), 0.25)
    week = cost_of_life(start, worth, again, 20.0, 0.25)
    turnover = np.abs(week.calendar_eur) + np.abs(week.cycling_eur)
    assert said == pytest.approx(by_depth)
    assert 7 * said == pytest.approx(float(week.eur[0]), abs=0.1 * float(turnover[0]))


def from_8h(day: Day) -> Day:
    """The same day, begun when the vehicle leaves."""

    def path(soc: np.ndarray) -> np.ndarray:
        later = np.roll(soc[:-1], -60)
        return np.append(later, later[0])

    return replace(day, soc=path(day.soc), giving=path(day.giving), keeping=path(day.keeping))


@every_cell
def test_the_dwell_price_is_convex_and_no_dearer_than_the_curve(cell: Model) -> None:
    price = marginal(worn(cell, 0.9), WORTH, DAY)
    assert len(price.dwell_kwh) <= 4
    assert (np.diff(price.dwell_kwh) > 0).all()
    assert (np.diff(price.dwell_eur_per_kwh_h) >= 0).all()
    above = price.dwell_at(price.soc * WORTH.capacity_kwh) - price.rate_eur_per_h
    assert above.max() <= price.fit_error_eur_per_h + 1e-12
    assert -above.min() <= price.hull_below_eur_per_h + 1e-12


@every_cell
def test_deeper_slices_are_never_cheaper(cell: Model) -> None:
    price = marginal(worn(cell, 0.9), WORTH, DAY)
    assert (price.depth_eur_per_kwh >= 0).all()
    assert (np.diff(price.depth_eur_per_kwh) >= -1e-12).all()


def test_wear_costs_in_proportion_to_the_pack() -> None:
    population = worn(LEAF, 0.9)
    cheap, dear = (
        marginal(population, replace(WORTH, pack_price_eur_per_kwh=eur), DAY) for eur in (60, 180)
    )
    assert dear.discharge_eur_per_kwh == pytest.approx(3 * cheap.discharge_eur_per_kwh)
    assert dear.dwell_eur_per_kwh_h == pytest.approx(3 * cheap.dwell_eur_per_kwh_h)


def test_a_share_of_capacity_costs_that_share_of_what_a_pack_may_lose() -> None:
    # 40 kWh at 120 are 4,800 for the 30 % that it may lose
    assert WORTH.eur_per_capacity == pytest.approx(16_000)


def test_holding_charge_costs_an_old_pack_less_than_a_new_one() -> None:
    new, old = (marginal(worn(LEAF, soh), WORTH, DAY) for soh in (0.97, 0.8))
    span = [p.dwell_at(40.0) - p.dwell_at(0.0) for p in (new, old)]
    assert span[1] < span[0]


@pytest.mark.parametrize(
    "cell", [m for m in MODELS if m.code != layout.NMC_DENSO], ids=lambda cell: cell.name
)
def test_heat_makes_holding_charge_dearer(cell: Model) -> None:
    population = worn(cell, 0.9)
    mild, hot = (marginal(population, WORTH, replace(DAY, temperature_c=c)) for c in (15.0, 35.0))
    spans = [float(np.ptp(price.rate_eur_per_h)) for price in (mild, hot)]
    assert spans[1] > spans[0]


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("Nmc811_GrSi_LGM50_5Ah_Battery", "not convex"),
        ("Nmc811_GrSi_LGM50_5Ah_Battery", "rests best at"),
        ("NMC_Gr_50Ah_B1", "depth 0.5, not 0.8 to 1"),
    ],
)
def test_what_a_price_leaves_out_is_said(name: str, note: str) -> None:
    assert any(note in text for text in marginal(worn(model(name), 0.95), WORTH, DAY).notes)


def test_the_hull_is_as_near_as_the_range_that_is_used_is_narrow() -> None:
    population = worn(model("Nmc811_GrSi_LGM50_5Ah_Battery"), 0.95)
    wide, narrow = (
        marginal(population, WORTH, DAY, reach=reach) for reach in ((0.0, 1.0), (0.4, 0.8))
    )
    assert narrow.hull_below_eur_per_h < wide.hull_below_eur_per_h


def test_a_price_needs_no_discharge_to_be_expected() -> None:
    idle = replace(DAY, soc=DAY.keeping)
    price = marginal(worn(LEAF, 0.9), WORTH, idle)
    assert price.discharge_eur_per_kwh > 0
    said = price.cost_eur(idle.step_h, idle.soc * 40.0, 0.0)
    more = marginal(worn(LEAF, 0.9), WORTH, DAY).cost_eur(DAY.step_h, DAY.soc * 40.0, DAY.given_kwh)
    assert 0 < said < more


@every_cell
def test_a_full_worn_pack_rests_as_full_cells_do(cell: Model) -> None:
    """Its gauge says 100 % at 80 % of the energy that it once held, and its cells are full."""
    population = replace(worn(cell, 0.95), relative_capacity=np.array([0.8]))
    worth = replace(WORTH, soh=0.8)
    rests = np.full(25, 0.4)  # half full by its gauge
    day = replace(DAY, step_h=np.ones(24), soc=rests, giving=rests, keeping=rests, given_kwh=0.0)
    price = marginal(population, worth, day)
    new = marginal(replace(population, relative_capacity=np.array([1.0])), WORTH, half(day))
    assert price.soc[-1] == pytest.approx(0.8)
    assert price.rate_eur_per_h == pytest.approx(new.rate_eur_per_h, rel=1e-6)


def half(day: Day) -> Day:
    rests = np.full(25, 0.5)
    return replace(day, soc=rests, giving=rests, keeping=rests)


def test_the_cells_of_a_pack_move_within_its_window() -> None:
    pack = named("nissan-leaf-40")
    worth = replace(WORTH, pack=pack)
    assert worth.cells([0.0, 1.0]).tolist() == pytest.approx([pack.low_soc, pack.high_soc])


def test_a_worn_cell_has_the_health_that_was_asked_for() -> None:
    assert worn(LEAF, 0.9).relative_capacity[0] == pytest.approx(0.9, abs=1e-3)
    assert worn(LEAF, 1.0).relative_capacity[0] < 1.0


def test_rest_costs_time_alone_and_the_parts_add_up() -> None:
    population = advance(fresh(LEAF, 2), np.full((2, 1), 0.6), np.full((2, 1), 25.0), 1.0)
    soc = np.stack([np.full(240, 0.6), np.tile([0.6, 0.9, 0.3], 80)])
    cost = cost_of_life(population, WORTH, soc, 25.0, 1.0)
    assert cost.cycling_eur[0] == pytest.approx(0.0, abs=1e-9)
    assert cost.cycling_eur[1] > 0
    assert cost.calendar_eur + cost.cycling_eur == pytest.approx(cost.eur)
    assert cost.eur == pytest.approx(cost.loss * WORTH.eur_per_capacity)


def test_scoring_a_history_in_two_parts_changes_nothing() -> None:
    population = advance(fresh(LEAF), np.full((1, 1), 0.6), np.full((1, 1), 25.0), 1.0)
    soc = np.tile([0.6, 0.9, 0.3], 81)[None]
    whole = cost_of_life(population, WORTH, soc, 25.0, 1.0)
    first = cost_of_life(population, WORTH, soc[:, :100], 25.0, 1.0)
    second = cost_of_life(first.after, WORTH, soc[:, 100:], 25.0, 1.0)
    assert first.eur + second.eur == pytest.approx(whole.eur)


def test_a_day_with_more_than_one_full_cycle_is_priced_too() -> None:
    soc = np.tile([0.9, 0.1], 13)[:25]
    busy = Day(
        step_h=np.ones(24),
        soc=soc,
        giving=soc,
        keeping=np.full(25, 0.9),
        given_kwh=12 * 0.8 * 40.0,
    )
    population = worn(LEAF, 0.9)
    price = marginal(population, WORTH, busy)
    life = cost_of_life(population, WORTH, np.tile(soc[1:], 20)[None], 20.0, 1.0)
    said = price.cost_eur(busy.step_h, soc * 40.0, busy.given_kwh)
    assert 20 * said == pytest.approx(float(life.eur[0]), rel=0.1)
