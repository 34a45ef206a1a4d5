"""The fourteen models against published values and the reference implementation's."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from gridleaf.battery.ageing import (
    MODELS,
    History,
    Model,
    fresh,
    kernel,
    laws,
    layout,
    model,
    simulate,
    stress,
)
from gridleaf.battery.ageing.stress import KELVIN, Floats, anode_potential
from gridleaf.battery.ageing.tables import table
from gridleaf.battery.habits import Use, compare
from gridleaf.domain import vector
from gridleaf.domain.compiled import compiled_with
from gridleaf.domain.errors import ConfigError

REFERENCE = Path(__file__).parents[4] / "shared" / "data" / "ageing_reference.csv"
HOURS = np.arange(8761.0)
DRIVE = ((0, 0.9), (8, 0.9), (9, 0.8), (17, 0.8), (18, 0.7), (22, 0.9), (24, 0.9))
DEEP = ((0, 1.0), (6, 1.0), (8, 0.1), (16, 0.1), (20, 1.0), (24, 1.0))
# fmt: off
MEASURED = {
    "Lfp_Gr_250AhPrismatic": (.9890, .9743, .9832, .9609, .9694, .9287, .9813, .9525, .9761, .9264),
    "Lfp_Gr_SonyMurata3Ah_Battery":
        (.9617, .9180, .9414, .8911, .9229, .8522, .9444, .8948, .9621, .9064),
    "Lmo_Gr_NissanLeaf66Ah_2ndLife_Battery":
        (.9400, .8735, .9254, .8428, .8324, .6469, .9199, .8032, .8975, .6741),
    "NCA_GrSi_SonyMurata2p5Ah_Battery":
        (.9471, .8666, .9268, .8496, .9043, .8071, .9291, .8490, .9536, .8745),
    "NMC_Gr_50Ah_B1": (.9731, .9160, .9550, .8595, .9322, .7884, .9551, .8625, .9434, .8534),
    "NMC_Gr_50Ah_B2": (.9769, .9409, .9635, .9067, .9474, .8657, .9654, .9117, .9722, .9233),
    "NMC_Gr_75Ah_A": (.9958, .9895, .9879, .9694, .9653, .9122, .9883, .9669, .9729, .8637),
    "Nca_Gr_Panasonic3Ah_Battery":
        (.9618, .9130, .9387, .8604, .9148, .8060, .9410, .8643, .9340, .8354),
    "Nmc111_Gr_Kokam75Ah_Battery":
        (.9899, .9820, .9528, .9162, .9028, .8275, .9579, .9224, .9532, .8712),
    "Nmc111_Gr_Sanyo2Ah_Battery":
        (.9761, .9203, .9598, .8657, .9141, .7130, .9183, .7724, .7963, .5503),
    "Nmc811_GrSi_LGMJ1_4Ah_Battery":
        (.9014, .6743, .8934, .6481, .8815, .6086, .8862, .6252, .8599, .5618),
    "Nmc_Lto_10Ah_Battery":
        (1.0007, 1.0014, 1.0011, 1.0023, 1.0034, 1.0073, .9992, .9981, .9884, .9727),
    "Nmc622_Gr_DENSO50Ah_Battery":
        (.9738, .9416, .9775, .9498, .9647, .9211, .9704, .9336, .8785, .7358),
    "Nmc811_GrSi_LGM50_5Ah_Battery":
        (.9590, .8830, .9529, .8658, .9330, .8090, .9226, .8038, .8830, .7447),
}
# fmt: on
"""What blast-lite 1.1.1 gives after 1 and 5 years: rest at half charge and 25 °C, at 0.9 and 25 °C, at
0.9 and 35 °C, then DRIVE and DEEP at 25 °C."""

each_model = pytest.mark.parametrize("cell", MODELS, ids=lambda m: m.name)


def daily(
    knots: tuple[tuple[float, float], ...], mean_c: float, amplitude_c: float = 0.0
) -> History:
    """A year of the same day, hourly."""
    at, soc = np.array(knots, float).T
    season = np.sin(2.0 * np.pi * (HOURS / 24.0 - 100.0) / 365.0)
    return History(
        time_h=HOURS,
        soc=np.interp(HOURS % 24.0, at, soc),
        temperature_c=mean_c + amplitude_c * season,
    )


def rest(soc: float, temperature_c: float) -> History:
    return daily(((0, soc), (24, soc)), temperature_c)


@each_model
def test_rest_and_use_give_what_the_reference_implementation_gives(cell: Model) -> None:
    histories = (rest(0.5, 25), rest(0.9, 25), rest(0.9, 35), daily(DRIVE, 25), daily(DEEP, 25))
    for place, history in enumerate(histories):
        found = simulate(cell, history, 5).relative_capacity[[0, 4]]
        expected = MEASURED[cell.name][2 * place : 2 * place + 2]
        tolerance = 5e-4 if place < 3 else 4e-3
        assert found == pytest.approx(expected, abs=tolerance), place


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference values are not here")
@each_model
def test_ten_years_agree_with_the_reference_values_to_half_a_per_cent(cell: Model) -> None:
    histories = {
        "storage_soc50_25c": rest(0.5, 25),
        "storage_soc90_35c": rest(0.9, 35),
        "daily_80_20_25c": daily(((0, 0.8), (8, 0.8), (20, 0.2), (24, 0.8)), 25),
        "full_charge_first_temperate": daily(DRIVE, 20, 8),
        "v2g_evening_temperate": daily(
            ((0, 0.4), (4, 0.4), (8, 0.9), (9, 0.8), (17, 0.8), (18, 0.7), (21, 0.4), (24, 0.4)),
            20,
            8,
        ),
    }
    wanted: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with REFERENCE.open() as file:
        for row in csv.DictReader(file):
            if row["model"] == cell.name:
                wanted[row["profile"]].append((int(row["year"]), float(row["relative_capacity"])))
    assert set(wanted) == set(histories)
    for name, history in histories.items():
        life = simulate(cell, history, 10)
        for year, capacity in wanted[name]:
            assert life.relative_capacity[year - 1] == pytest.approx(capacity, abs=5e-3), name


@compiled_with(kernel, laws, layout, stress, vector)
def _looked_up(
    shape: object,
    over_soc: object,
    over_temperature: object,
    soc: Floats,
    temperature_c: Floats,
    found: Floats,
) -> None:
    b = np.zeros((layout.ROWS, layout.LANES))
    rough = np.zeros((layout.ROUGH_ROWS, layout.LANES), np.float32)
    cells = np.zeros(layout.LANES, np.int32)
    for k in range(len(soc)):
        b[layout.SCALED, 0] = soc[k]
        b[layout.TEMPERATURE, 0] = temperature_c[k]
        kernel._locate(b, rough, cells, 0, 1)
        kernel._time_rates(b, rough, cells, shape, over_soc, over_temperature, 0.0, 0, 1)
        for rate in range(found.shape[0]):
            found[rate, k] = b[layout.RATE + rate, 0]


def looked_up(cell: Model, soc: Floats, temperature_c: Floats) -> Floats:
    """(rates, places)"""
    rates = table(cell)
    found = np.empty((len(rates.shape), len(soc)))
    _looked_up(rates.shape, rates.over_soc, rates.over_temperature, soc, temperature_c, found)
    return found


@each_model
def test_the_table_is_the_published_rate(cell: Model) -> None:
    draws = np.random.default_rng(1)
    soc = draws.uniform(0.05, 0.985, 20_000)
    temperature_c = draws.uniform(-10.0, 60.0, len(soc))
    found = looked_up(cell, soc, temperature_c)
    for rate, exact in zip(found, cell.calendar(soc, temperature_c + KELVIN), strict=True):
        assert np.abs(rate / exact - 1.0).max() < 5e-5


@each_model
def test_the_table_reaches_to_empty_full_hot_and_cold(cell: Model) -> None:
    corners = np.array([0.0, 0.0, 1.0, 1.0, 0.004])
    temperature_c = np.array([-50.0, 90.0, -50.0, 90.0, 20.0])
    found = looked_up(cell, corners, temperature_c)
    for rate, exact in zip(found, cell.calendar(corners, temperature_c + KELVIN), strict=True):
        assert rate == pytest.approx(np.broadcast_to(exact, corners.shape), rel=3e-3)


def test_anode_potential_falls_as_graphite_fills() -> None:
    soc = np.linspace(0.0, 1.0, 200)
    potential = anode_potential(soc)
    assert (np.diff(potential) < 0.0).all()
    assert potential[100] == pytest.approx(0.123, abs=0.01)


@pytest.mark.parametrize("law", ["power", "sigmoid"])
def test_a_part_grows_by_its_law_whatever_the_steps(law: str) -> None:
    code = layout.SIGMOID if law == "sigmoid" else layout.POWER
    k, p, end = 0.01, 0.6, 0.4
    y = 0.0
    for dx in (0.5, 1.0, 3.5, 20.0, 0.01, 75.0):
        y = _grown(code, y, k, p, end, dx)
    x = 100.01
    exact = end * np.tanh((k * x) ** p / 2.0) if law == "sigmoid" else k * x**p
    assert y == pytest.approx(exact, rel=1e-9)


@compiled_with(kernel, laws, layout, stress, vector)
def _grown(law: float, y: float, k: float, p: float, end: float, dx: float) -> float:
    b = np.zeros((layout.ROWS, layout.LANES))
    b[layout.PARTS_AT, 0] = y
    b[layout.RATES_K, 0] = k
    b[layout.RATES_P, 0] = p
    b[layout.RATES_END, 0] = end
    b[layout.DX, 0] = dx
    if law == layout.SIGMOID:
        laws._grow_by_sigmoid(b, 0, 0, 1)
    else:
        laws._grow_by_power(b, 0, 0, 1)
    return float(b[layout.PARTS_AT, 0])


def test_a_sigmoid_that_stands_above_its_end_stays_there() -> None:
    assert _grown(layout.SIGMOID, 0.3, 1.0, 0.5, 0.2, 10.0) == 0.3


def test_a_rate_that_jumps_by_a_thousand_does_not_explode() -> None:
    slow = _grown(layout.POWER, 0.0, 1e-6, 0.5, 0.0, 1.0)
    assert _grown(layout.POWER, slow, 1e-3, 0.5, 0.0, 1.0) == pytest.approx(1e-3, rel=1e-5)


def test_a_power_that_falls_starts_and_never_ends_below_nought() -> None:
    y = 0.0
    for k in (1e-4, 1e-6, 1e-3, 1e-9):
        y = _grown(layout.POWER, y, k, -0.553, 0.0, 1.0)
        assert 0.0 < y < 1e-3


def test_v2g_has_both_signs_and_delayed_charging_wins_most_often() -> None:
    lives = {cell.name: compare(cell, Use(), 10) for cell in MODELS}
    end = {
        name: [life.relative_capacity[-1, 1] for life in habits.values()]
        for name, habits in lives.items()
    }
    gains = {name for name, (unmanaged, _, v2g) in end.items() if v2g > unmanaged}
    assert gains == {
        "NMC_Gr_50Ah_B1",
        "NMC_Gr_50Ah_B2",
        "Nmc111_Gr_Kokam75Ah_Battery",
        "Nca_Gr_Panasonic3Ah_Battery",
        "Lfp_Gr_SonyMurata3Ah_Battery",
        "NCA_GrSi_SonyMurata2p5Ah_Battery",
    }
    assert sum(delayed > unmanaged for unmanaged, delayed, _ in end.values()) >= 12
    assert all(delayed > v2g for _, delayed, v2g in end.values())
    assert end["NMC_Gr_50Ah_B1"] == pytest.approx([0.815, 0.877, 0.827], abs=2e-3)
    assert end["Lmo_Gr_NissanLeaf66Ah_2ndLife_Battery"] == pytest.approx(
        [0.737, 0.761, 0.606], abs=3e-3
    )


def test_faster_ageing_cells_are_the_lower_band() -> None:
    band = compare(model("NMC_Gr_50Ah_B1"), Use(), 2)["v2g"].relative_capacity
    assert (np.diff(band, axis=1) > 0.0).all()


def test_resistance_grows_where_the_model_tells_of_it_and_stays_elsewhere() -> None:
    for cell in MODELS:
        life = simulate(cell, daily(DRIVE, 25), 3)
        assert (life.resistance > 1.0).all() == cell.resistance, cell.name


def test_the_resistance_of_kokams_cell_grows_as_its_caveat_says() -> None:
    kokam = model("Nmc111_Gr_Kokam75Ah_Battery")
    for temperature_c, times in ((25, 11), (35, 22)):
        grown = simulate(kokam, rest(1.0, temperature_c), 10).resistance[-1]
        assert round(float(grown)) == times
        assert f"{times} times" in kokam.caveat


def test_what_is_outside_the_fitted_range_is_told_by_reason() -> None:
    life = simulate(model("NMC_Gr_50Ah_B1"), daily(DRIVE, 12, 15), 1)
    assert life.reasons["depth"][0] == pytest.approx(1.0)
    assert 0.3 < life.reasons["temperature"][0] < 0.7
    assert life.reasons["soc"][0] == life.reasons["charge rate"][0] == 0.0
    assert life.outside[0] == pytest.approx(1.0)


def test_rest_within_the_fitted_range_is_not_marked() -> None:
    assert simulate(model("NMC_Gr_50Ah_B1"), rest(0.5, 25), 2).outside.sum() == 0.0


def test_fast_charging_is_marked() -> None:
    fast = daily(((0, 0.1), (2, 0.1), (3, 1.0), (12, 1.0), (18, 0.1), (24, 0.1)), 25)
    life = simulate(model("Nmc811_GrSi_LGM50_5Ah_Battery"), fast, 1)
    assert life.reasons["charge rate"][0] > 0.9
    assert life.reasons["discharge rate"][0] == 0.0


@each_model
def test_no_history_within_reach_ends_in_nan(cell: Model) -> None:
    draws = np.random.default_rng(3)
    for temperature_c in (-40.0, 80.0):
        soc = np.repeat(draws.choice([0.0, 1.0, 0.5], 365), 24)
        year = History(
            time_h=np.arange(8760.0), soc=soc, temperature_c=np.full(8760, temperature_c)
        )
        life = simulate(cell, year, 3)
        assert np.isfinite(life.relative_capacity).all()
        assert np.isfinite(life.resistance).all()


def test_a_name_is_known_in_any_case_and_an_unknown_one_is_refused() -> None:
    assert model(" lfp_gr_250ahprismatic ").cell.startswith("LFP")
    with pytest.raises(ConfigError, match="gridleaf battery list"):
        model("lead acid")


@each_model
def test_a_model_says_what_it_is(cell: Model) -> None:
    assert all(link.startswith("https://") for link in cell.source)
    assert cell.fitted.temperature_c[0] < cell.fitted.temperature_c[1]
    assert len(fresh(cell)) == 1
