from __future__ import annotations

import numpy as np
import pytest

from gridleaf.battery import pack as packs
from gridleaf.battery.catalogue import load
from gridleaf.battery.converter import Converter, grid_kw, one_way, round_trip, terminal_kw
from gridleaf.battery.pack import build, charge_curve, power_limits, state, step

LEAF = build(load(), "nissan-leaf-40")
BOLT = build(load(), "chevrolet-bolt-60")


def test_series_adds_voltage_and_parallel_adds_capacity() -> None:
    cell = load().cells["aesc-nmc-56"]
    assert LEAF.capacity_ah == pytest.approx(2 * 56.3)
    assert packs.ocv_v(LEAF, 0.5) == pytest.approx(96 * 3.697)
    assert LEAF.resistance_ohm.at(0.5, 25.0) == pytest.approx(
        48e-3 * cell.resistance_mohm.value[4][3]
    )


def test_between_its_points_a_table_is_bilinear_and_beyond_them_its_edge() -> None:
    table = packs.Table(
        np.array([0.0, 1.0]), np.array([0.0, 20.0]), np.array([[1.0, 3.0], [5.0, 11.0]])
    )
    assert table.at(0.5, 10.0) == pytest.approx(5.0)
    assert table.at(0.0, -40.0) == 1.0
    assert table.at(2.0, 99.0) == 11.0
    assert table.at([0.0, 1.0], 0.0).tolist() == [1.0, 3.0]


def test_the_energy_of_the_window_is_the_integral_of_the_voltage() -> None:
    soc = np.linspace(LEAF.low_soc, LEAF.high_soc, 200_001)
    volts = packs.ocv_v(LEAF, soc)
    assert packs.usable_kwh(LEAF) == pytest.approx(
        np.trapezoid(volts, soc) * LEAF.capacity_ah / 1000, rel=1e-8
    )


def test_the_charge_of_a_share_of_energy_is_found_back() -> None:
    share = np.linspace(0, 1, 101)
    assert packs.usable_share(LEAF, packs.cell_soc(LEAF, share)) == pytest.approx(share, abs=1e-12)
    assert packs.cell_soc(LEAF, [0.0, 1.0]) == pytest.approx([LEAF.low_soc, LEAF.high_soc])


def test_a_worn_pack_holds_less_and_bears_less() -> None:
    new, worn = power_limits(BOLT, 0.4, 25.0), power_limits(BOLT, 0.4, 25.0, 0.7, 1.6)
    assert worn[0] < new[0]
    assert packs.usable_kwh(BOLT, 0.7) == pytest.approx(0.7 * packs.usable_kwh(BOLT))


def test_cold_cells_take_less() -> None:
    charge, _ = power_limits(LEAF, 0.4, np.array([-15.0, 0.0, 10.0, 25.0]))
    assert np.all(np.diff(charge) > 0)


def test_hot_cells_are_not_charged() -> None:
    assert power_limits(LEAF, 0.4, 60.0)[0] == 0


def test_at_the_ends_of_the_window_nothing_more_moves() -> None:
    assert power_limits(LEAF, LEAF.high_soc, 25.0)[0] == 0
    assert power_limits(LEAF, LEAF.low_soc, 25.0)[1] == 0


def test_a_pack_of_high_resistance_tapers_at_constant_voltage() -> None:
    """Where the voltage binds, the power is max_v (max_v − OCV) / R."""
    soc, resistance = 0.95, 8.0
    ohm = BOLT.resistance_ohm.at(soc, 25.0) * resistance
    expected = BOLT.max_v * (BOLT.max_v - packs.ocv_v(BOLT, soc)) / ohm / 1000
    assert power_limits(BOLT, soc, 25.0, 1.0, resistance)[0] == pytest.approx(expected)


def test_a_step_moves_the_charge_by_the_current_of_its_power() -> None:
    now = state(0.5, 25.0)
    after = step(LEAF, now, 20.0, 25.0, 1e-4)
    current = packs.current_a(LEAF, 20.0, 0.5, 25.0)
    assert (after.soc - 0.5) * LEAF.capacity_ah == pytest.approx(current * 1e-4, rel=1e-5)
    ohm = LEAF.resistance_ohm.at(0.5, 25.0)
    assert after.heat_kwh == pytest.approx(ohm * current**2 / 1000 * 1e-4, rel=1e-4)
    assert after.power_kw == pytest.approx(20.0)


def test_a_step_ends_at_the_edge_of_the_window_and_takes_no_more_than_that() -> None:
    after = step(LEAF, state([0.97, 0.03], 25.0), [40.0, -40.0], 25.0, 1.0)
    assert after.soc == pytest.approx([LEAF.high_soc, LEAF.low_soc])
    assert 0 < after.power_kw[0] < 40
    assert -40 < after.power_kw[1] < 0


def test_a_step_of_no_time_is_none() -> None:
    now = state(0.5)
    assert step(LEAF, now, 20.0, 25.0, 0.0) is now


def test_an_evening_warms_a_passive_pack_more_than_a_cooled_one_allows() -> None:
    passive = packs.build(load(), "nissan-leaf-24")
    warm, cooled = state(0.9, 29.5), state(0.9, 29.5)
    for _ in range(12):
        warm = step(passive, warm, -22.0, 29.0, 0.05)
        cooled = step(BOLT, cooled, -55.0, 29.0, 0.05)
    assert warm.temperature_c > 30.5
    assert cooled.temperature_c <= 30 + 1e-9
    assert cooled.cooling_kwh > 0
    assert cooled.drawn_kwh == pytest.approx(cooled.cooling_kwh / 2.0)
    assert warm.drawn_kwh == 0


def test_the_curve_of_a_vehicle_is_the_limit_down_to_the_end_of_charge() -> None:
    share, power = charge_curve(LEAF, 25.0)
    inside = slice(0, -1)
    limits, _ = power_limits(LEAF, packs.cell_soc(LEAF, share[inside]), 25.0)
    assert power[inside] == pytest.approx(limits)
    end = packs.END_OF_CHARGE_C * LEAF.capacity_ah * packs.ocv_v(LEAF, LEAF.high_soc) / 1000
    assert power[-1] >= end


def test_a_charger_loses_its_no_load_and_its_conduction_loss() -> None:
    charger = Converter(rated_kw=10.0, no_load=0.01, conduction=0.05)
    assert terminal_kw(charger, -5.0) == pytest.approx(-(5 + 0.1 + 0.05 * 0.25 * 10))
    assert grid_kw(charger, 5.0) == pytest.approx(5 + 0.1 + 0.05 * 0.25 * 10)
    assert terminal_kw(charger, 0.05) == 0
    assert grid_kw(charger, -0.05) == 0


def test_a_charger_at_rest_draws_its_standby() -> None:
    assert grid_kw(Converter(rated_kw=10.0, standby_kw=0.02), 0.0) == pytest.approx(0.02)


def test_a_round_trip_is_worst_at_little_power_and_falls_again_at_much() -> None:
    charger = Converter(rated_kw=22.0)
    little, some, much = round_trip(LEAF, charger, [0.5, 8.0, 22.0])
    assert little < much < some < 1


def test_one_way_at_no_power_gets_nothing_through() -> None:
    assert one_way(LEAF, Converter(rated_kw=22.0), 0.0, 0.5, 25.0) == 0


def test_a_charger_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="rating"):
        Converter(rated_kw=0.0)


def test_more_than_the_cells_could_ever_give_is_taken_as_their_most() -> None:
    volts, ohm = packs.ocv_v(LEAF, 0.5), LEAF.resistance_ohm.at(0.5, 25.0)
    assert packs.current_a(LEAF, -1e6, 0.5, 25.0) == pytest.approx(-volts / (2 * ohm))
    assert packs.efficiency(LEAF, -1e6, 0.5, 25.0) == pytest.approx(0.5)
