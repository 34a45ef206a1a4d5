"""Whatever its model, charge, temperature and health: a pack keeps its limits and loses no energy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.battery import pack as packs
from gridleaf.battery.catalogue import Catalogue, load
from gridleaf.battery.converter import Converter, grid_kw, round_trip, terminal_kw
from gridleaf.battery.pack import Pack, build, power_limits, state, step

SHIPPED = load()
LIKE = SHIPPED.packs["nissan-leaf-40"]
OF_EACH_CELL = Catalogue(
    SHIPPED.cells,
    {f"of {cell}": LIKE.model_copy(update={"cell": cell}) for cell in SHIPPED.cells},
)
PACKS = [build(SHIPPED, name) for name in SHIPPED.packs]
PACKS += [build(OF_EACH_CELL, name) for name in OF_EACH_CELL.packs]
any_pack = st.sampled_from(PACKS)
soc = st.floats(0, 1)
temperature_c = st.floats(-30, 60)
soh = st.floats(0.5, 1.0)
resistance = st.floats(0.8, 3.0)


@settings(deadline=None)
@given(any_pack, soc, temperature_c, soh, resistance)
def test_limits_are_never_negative_nor_above_what_the_pack_allows(
    pack: Pack, soc: float, temperature_c: float, soh: float, resistance: float
) -> None:
    charge, discharge = power_limits(pack, soc, temperature_c, soh, resistance)
    assert 0 <= charge <= pack.charge_kw
    assert 0 <= discharge <= pack.discharge_kw


@settings(deadline=None)
@given(any_pack, soc, temperature_c, soh, resistance)
def test_at_its_limits_the_terminals_stay_within_the_voltage(
    pack: Pack, soc: float, temperature_c: float, soh: float, resistance: float
) -> None:
    for power, sign in zip(
        power_limits(pack, soc, temperature_c, soh, resistance), (1, -1), strict=True
    ):
        amps = packs.current_a(pack, sign * power, soc, temperature_c, resistance)
        ohm = pack.resistance_ohm.at(soc, temperature_c) * resistance
        volts = packs.ocv_v(pack, soc) + amps * ohm
        slack = 1e-6 * pack.max_v
        assert volts <= max(pack.max_v, packs.ocv_v(pack, soc)) + slack
        assert volts >= min(pack.min_v, packs.ocv_v(pack, soc)) - slack


@settings(deadline=None)
@given(any_pack, temperature_c, soh, st.floats(2.0, 10.0))
def test_where_the_voltage_binds_the_power_falls_with_the_charge(
    pack: Pack, temperature_c: float, soh: float, resistance: float
) -> None:
    soc = np.linspace(pack.low_soc, pack.high_soc, 400)
    charge, _ = power_limits(pack, soc, temperature_c, soh, resistance)
    volts = packs.ocv_v(pack, soc)
    ohm = pack.resistance_ohm.at(soc, temperature_c) * resistance
    at_voltage = pack.max_v * (pack.max_v - volts) / ohm / 1000
    binds = (np.abs(charge - at_voltage) < 1e-9) & (charge > 0)
    steeper = np.diff(ohm) >= 0  # a resistance that falls towards full may let more through
    falling = binds[1:] & binds[:-1] & steeper
    assert np.all(np.diff(charge)[falling] < 0)


@settings(max_examples=200, deadline=None)
@given(
    any_pack,
    soc,
    temperature_c,
    soh,
    resistance,
    st.floats(-200, 200),
    st.sampled_from([1e-4, 0.01, 0.25, 3.0]),
)
def test_what_goes_in_is_stored_or_heat(
    pack: Pack,
    soc: float,
    temperature_c: float,
    soh: float,
    resistance: float,
    power_kw: float,
    dt_h: float,
) -> None:
    now = state(soc, temperature_c, soh=soh, resistance=resistance)
    after = step(pack, now, power_kw, 20.0, dt_h)
    energy = after.power_kw * dt_h
    assert energy == pytest.approx(after.stored_kwh + after.heat_kwh, abs=1e-9)
    gained = packs.stored_kwh(pack, after.soc, soh) - packs.stored_kwh(pack, now.soc, soh)
    assert gained == pytest.approx(after.stored_kwh, abs=1e-9)
    amps = (after.soc - now.soc) * pack.capacity_ah * soh / dt_h
    ohm = pack.resistance_ohm.at(soc, temperature_c) * resistance
    assert after.heat_kwh == pytest.approx(ohm * amps**2 / 1000 * dt_h, rel=1e-6, abs=1e-9)
    charge, discharge = power_limits(pack, soc, temperature_c, soh, resistance)
    assert -discharge - 1e-9 <= after.power_kw <= charge + 1e-9
    assert min(soc, pack.low_soc) - 1e-12 <= after.soc <= max(soc, pack.high_soc) + 1e-12


@settings(deadline=None)
@given(any_pack, st.floats(0.2, 30), st.floats(0.05, 0.95), st.floats(0, 45), resistance)
def test_a_round_trip_gives_back_less_than_went_in(
    pack: Pack, power_kw: float, soc: float, temperature_c: float, resistance: float
) -> None:
    charger = Converter(rated_kw=22.0)
    back = round_trip(pack, charger, power_kw, soc, temperature_c, resistance)
    assert 0 < back <= 1


@settings(deadline=None)
@given(st.floats(1, 400), st.floats(0, 0.05), st.floats(0, 0.2), st.floats(-1.2, 1.2))
def test_a_charger_turned_round_gives_the_power_back(
    rated_kw: float, no_load: float, conduction: float, share: float
) -> None:
    charger = Converter(rated_kw=rated_kw, no_load=no_load, conduction=conduction)
    power = share * rated_kw
    inside = terminal_kw(charger, power)
    assert inside <= power
    if abs(inside) > 1e-9 * rated_kw:
        assert grid_kw(charger, inside) == pytest.approx(power, rel=1e-9, abs=1e-9 * rated_kw)


def test_a_fleet_in_one_call_is_its_packs_one_by_one() -> None:
    pack = PACKS[0]
    rng = np.random.default_rng(7)
    fleet = state(
        rng.uniform(0, 1, 50),
        rng.uniform(-20, 50, 50),
        soh=rng.uniform(0.6, 1, 50),
        resistance=rng.uniform(1, 2, 50),
    )
    power, ambient = rng.uniform(-80, 80, 50), rng.uniform(-10, 35, 50)
    together = step(pack, fleet, power, ambient, 0.25)
    for n in range(50):
        alone = step(
            pack,
            state(
                fleet.soc[n],
                fleet.temperature_c[n],
                soh=fleet.soh[n],
                resistance=fleet.resistance[n],
            ),
            power[n],
            ambient[n],
            0.25,
        )
        assert alone.soc == pytest.approx(together.soc[n], abs=1e-12)
        assert alone.temperature_c == pytest.approx(together.temperature_c[n], abs=1e-9)
