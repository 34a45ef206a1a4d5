from __future__ import annotations

import math

import numpy as np
import pytest

from gridleaf.battery.thermal import Thermal, settle

PASSIVE = Thermal(heat_capacity_kwh_per_k=0.06, conductance_kw_per_k=0.005)
LIQUID = Thermal(
    heat_capacity_kwh_per_k=0.06, conductance_kw_per_k=0.005, setpoint_c=30.0, cooling_kw=1.0
)
TAU_H = 0.06 / 0.005


def test_a_warm_pack_cools_exponentially_to_the_air() -> None:
    after, cooling = settle(PASSIVE, 40.0, 0.0, 10.0, 5.0)
    assert after == pytest.approx(10 + 30 * math.exp(-5 / TAU_H))
    assert cooling == 0


def test_constant_heat_leads_to_ambient_plus_heat_over_conductance_however_long_the_step() -> None:
    after, _ = settle(PASSIVE, -10.0, 0.2, 20.0, 1e6)
    assert after == pytest.approx(20 + 0.2 / 0.005)


def test_two_half_steps_are_one_step() -> None:
    for thermal in (PASSIVE, LIQUID):
        for first in (5.0, 29.0, 30.0, 45.0):
            for heat in (0.0, 0.3, 0.9, 3.0):
                for ambient in (-5.0, 25.0, 38.0):
                    whole, taken = settle(thermal, first, heat, ambient, 3.0)
                    half, one = settle(thermal, first, heat, ambient, 1.3)
                    rest, two = settle(thermal, half, heat, ambient, 1.7)
                    assert rest == pytest.approx(whole, abs=1e-9)
                    assert one + two == pytest.approx(taken, abs=1e-9)


def test_cooling_holds_the_set_point_where_it_can() -> None:
    after, cooling = settle(LIQUID, 30.0, 0.5, 20.0, 4.0)
    assert after == 30.0
    assert cooling == pytest.approx(4 * (0.5 - 0.005 * 10))


def test_cooling_at_its_most_lets_the_rest_warm_the_pack() -> None:
    after, cooling = settle(LIQUID, 30.0, 2.0, 20.0, 1.0)
    end = 20 + (2.0 - 1.0) / 0.005
    assert after == pytest.approx(end + (30 - end) * math.exp(-1 / TAU_H))
    assert cooling == pytest.approx(1.0)


def test_a_cold_pack_warms_freely_until_the_set_point() -> None:
    meets_h = TAU_H * math.log((20 + 100 - 25) / (20 + 100 - 30))
    before, nothing = settle(LIQUID, 25.0, 0.5, 20.0, meets_h * 0.99)
    assert 25 < before < 30
    assert nothing == 0
    after, cooling = settle(LIQUID, 25.0, 0.5, 20.0, meets_h + 2.0)
    assert after == 30
    assert cooling == pytest.approx(2.0 * 0.45)


def test_heat_is_in_the_pack_in_the_air_or_in_the_coolant() -> None:
    """The balance over many small steps, with the loss to the air summed by Simpson's rule."""
    first, heat, ambient = 20.0, 1.4, 15.0
    times = np.linspace(0, 3, 3001)
    runs = [settle(LIQUID, first, heat, ambient, t) for t in times]
    temperature = np.array([float(r[0]) for r in runs])
    to_air = np.trapezoid(0.005 * (temperature - ambient), times)
    stored = 0.06 * (temperature[-1] - first)
    assert stored + to_air + float(runs[-1][1]) == pytest.approx(heat * 3, rel=1e-6)


def test_arrays_are_as_many_packs() -> None:
    after, cooling = settle(LIQUID, [20.0, 40.0], [0.0, 0.5], [20.0, 20.0], 1.0)
    assert after[0] == 20
    assert cooling[0] == 0
    assert after[1] == settle(LIQUID, 40.0, 0.5, 20.0, 1.0)[0]
