from __future__ import annotations

import math

import numpy as np
import pytest

from gridleaf.battery import pack as packs
from gridleaf.battery.curve import PowerCurve, generic, of_battery, time_h
from gridleaf.domain.errors import ConfigError


def test_a_generic_vehicle_takes_its_power_and_tapers_from_80_percent() -> None:
    curve = generic(10.0)
    assert [curve.at(s) for s in (0.0, 0.5, 0.8)] == [10.0, 10.0, 10.0]
    assert curve.at(0.9) == pytest.approx(5.25)
    assert curve.at(1.0) == pytest.approx(0.5)


def test_a_generic_taper_takes_the_time_of_its_logarithm() -> None:
    """E/(p eta) ln(p/q) (1 - taper)/(1 - cutoff), the closed form of a straight line."""
    got = time_h(generic(10.0), 10.0, 50.0, 0.8, 1.0, efficiency=0.9)
    expected = 50 * 0.2 / 0.9 * math.log(10 / 0.5) / (10 - 0.5)
    assert got == pytest.approx(expected)


def test_below_the_curve_the_charger_sets_the_time() -> None:
    assert time_h(generic(10.0), 4.0, 50.0, 0.2, 0.7) == pytest.approx(50 * 0.5 / 4)


def test_the_time_is_the_integral_over_the_charge() -> None:
    curve = of_battery("nissan-leaf-40", 39.0, 5.0)
    soc = np.linspace(0.1, 1.0, 200_001)
    power = np.minimum([curve.at(s) for s in soc], 14.0)
    by_sum = np.trapezoid(1 / power, soc) * 39 / 0.94
    assert time_h(curve, 14.0, 39.0, 0.1, 1.0, 0.94) == pytest.approx(by_sum, rel=1e-7)


def test_nothing_to_charge_takes_no_time_and_no_power_takes_for_ever() -> None:
    assert time_h(generic(10.0), 10.0, 50.0, 0.9, 0.9) == 0
    assert time_h(PowerCurve((0.0, 1.0), (0.0, 0.0)), 10.0, 50.0, 0.2, 0.9) == math.inf


def test_the_most_between_two_charges_is_found_inside_too() -> None:
    curve = PowerCurve((0.0, 0.4, 1.0), (5.0, 20.0, 2.0))
    assert curve.most(0.1, 0.9) == 20.0
    assert curve.most(0.7, 0.7) == pytest.approx(11.0)


def test_a_worn_battery_takes_less() -> None:
    new, worn = of_battery("nissan-leaf-24", 22.0), of_battery("nissan-leaf-24", 15.0)
    assert all(w < n for w, n in zip(worn.power_kw, new.power_kw, strict=True))
    assert worn.at(0.5) / new.at(0.5) == pytest.approx(15 / 22, rel=0.02)


def test_the_curve_of_a_battery_is_that_of_its_pack() -> None:
    pack = packs.named("van-lfp-75")
    usable = float(packs.usable_kwh(pack))
    _, power = packs.charge_curve(pack, 20.0)
    assert of_battery("van-lfp-75", usable).power_kw == pytest.approx(power.tolist())


def test_an_unknown_battery_is_refused() -> None:
    with pytest.raises(ConfigError, match="nissan-leaf-40"):
        of_battery("nissan-leaf-41", 40.0)
