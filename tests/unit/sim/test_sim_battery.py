"""Vehicles with a pack of the catalogue: taper, losses, heat and cold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridleaf.battery import pack as packs
from gridleaf.battery.converter import Converter, one_way
from gridleaf.battery.curve import of_battery
from gridleaf.domain.errors import ConfigError
from gridleaf.sim.vehicle import SimVehicle, advance

LEAF = SimVehicle(
    id_token="LEAF",
    capacity_kwh=39.0,
    soc=0.4,
    charge_max_kw=22.0,
    discharge_max_kw=22.0,
    battery="nissan-leaf-40",
    ramp_kw_per_s=5.0,
)


def efficiency(vehicle: SimVehicle, power_kw: float, soc: float) -> float:
    pack = packs.named(vehicle.battery)
    cells = packs.cell_soc(pack, soc)
    return float(one_way(pack, Converter(rated_kw=22.0), power_kw, cells, vehicle.temperature_c))


@pytest.mark.parametrize("power_kw", [2.0, 10.0, 22.0])
def test_it_stores_what_charger_and_resistance_leave(power_kw: float) -> None:
    after, imported, _ = advance(replace(LEAF, power_kw=power_kw), power_kw, 600)
    stored = (after.soc - LEAF.soc) * 39
    assert stored / imported == pytest.approx(efficiency(LEAF, power_kw, 0.4), abs=2e-4)


def test_it_gives_what_resistance_and_charger_leave() -> None:
    after, _, exported = advance(replace(LEAF, power_kw=-15.0), -15.0, 600)
    taken = (LEAF.soc - after.soc) * 39
    assert exported / taken == pytest.approx(efficiency(LEAF, -15.0, 0.4), abs=2e-4)


def test_its_power_follows_the_curve_of_its_pack() -> None:
    high = replace(LEAF, soc=0.9)
    inside = of_battery("nissan-leaf-40", 39.0).at(0.9)
    assert inside < high.accepts_kw() < inside / 0.94
    after, imported, _ = advance(high, 22.0, 1800)
    assert imported / 0.5 < high.accepts_kw()
    assert after.power_kw == pytest.approx(after.accepts_kw(), abs=0.02)


def test_it_gets_full() -> None:
    after, imported, _ = advance(replace(LEAF, soc=0.8), 22.0, 8 * 3600)
    assert after.full
    assert after.power_kw == 0
    assert imported > 0.2 * 39


def test_in_the_frost_it_takes_less_and_warms_while_it_charges() -> None:
    cold = replace(LEAF, temperature_c=-10.0, ambient_c=-10.0)
    assert cold.accepts_kw() < 0.5 * LEAF.accepts_kw()
    after, _, _ = advance(cold, 22.0, 2 * 3600)
    assert after.temperature_c > -10


def test_after_driving_it_cools_to_the_air_while_it_stands() -> None:
    warm = replace(LEAF, temperature_c=35.0, ambient_c=15.0)
    after, imported, exported = advance(warm, 0.0, 10 * 3600)
    assert imported == exported == 0
    assert 15 < after.temperature_c < 27
    assert after.soc == warm.soc


def test_a_worn_battery_gets_warmer_and_no_colder_than_the_air() -> None:
    after, _, _ = advance(replace(LEAF, power_kw=-22.0, soc=0.9), -22.0, 3600)
    assert LEAF.ambient_c < after.temperature_c < LEAF.ambient_c + 5


def test_looking_in_between_changes_little() -> None:
    whole, imported, _ = advance(replace(LEAF, soc=0.7), 22.0, 3 * 3600)
    now, total = replace(LEAF, soc=0.7), 0.0
    for _ in range(3 * 360):
        now, got, _ = advance(now, 22.0, 10)
        total += got
    assert now.soc == pytest.approx(whole.soc, abs=2e-4)
    assert total == pytest.approx(imported, rel=1e-3)
    assert now.temperature_c == pytest.approx(whole.temperature_c, abs=0.05)


def test_an_unknown_battery_is_refused() -> None:
    with pytest.raises(ConfigError, match="perhaps nissan-leaf-40"):
        replace(LEAF, battery="nissan-leaf-41")
