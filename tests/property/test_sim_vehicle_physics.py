"""Energy is conserved and no limit is passed, whatever a vehicle is told."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.battery.catalogue import load
from gridleaf.battery.pack import named, usable_kwh
from gridleaf.sim.vehicle import SimVehicle, advance, step

SLACK = 1e-6


@st.composite
def vehicles(draw: st.DrawFn) -> SimVehicle:
    capacity = draw(st.floats(10, 100))
    most = draw(st.floats(2, 50))
    vehicle = SimVehicle(
        id_token="X",
        capacity_kwh=capacity,
        soc=draw(st.floats(0, 1)),
        charge_max_kw=most,
        discharge_max_kw=draw(st.sampled_from([0.0, 7.4, 22.0])),
        taper_soc=draw(st.floats(0.3, 0.97)),
        cutoff=draw(st.sampled_from([0.02, 0.05, 0.3, 1.0])),
        charge_efficiency=draw(st.floats(0.7, 1)),
        discharge_efficiency=draw(st.floats(0.7, 1)),
        ramp_kw_per_s=draw(st.sampled_from([1.5, 5.0, math.inf])),
        min_soc=draw(st.sampled_from([0.0, 0.1, 0.3])),
        limit_soc=draw(st.sampled_from([1.0, 1.0, 0.9, 0.55])),
    )
    # the taper must not fall faster than the slowest ramp
    limit = (1 - vehicle.taper_soc) * capacity * 3600 * 1.4 / vehicle.charge_efficiency
    return replace(vehicle, charge_max_kw=min(most, math.sqrt(limit)))


commands = st.lists(
    st.tuples(st.floats(-30, 60), st.sampled_from([0.5, 1.0, 7.0, 60.0, 900.0, 7200.0])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(vehicles(), commands)
def test_registers_times_efficiency_are_the_change_of_charge(
    vehicle: SimVehicle, told: list[tuple[float, float]]
) -> None:
    now, imported, exported = vehicle, 0.0, 0.0
    for allowed_kw, dt_s in told:
        now, got, gave = advance(now, allowed_kw, dt_s)
        assert got >= 0
        assert gave >= 0
        imported, exported = imported + got, exported + gave
        assert 0 <= now.soc <= 1
        assert now.soc >= min(vehicle.soc, vehicle.min_soc) - SLACK
        assert now.soc <= max(vehicle.soc, vehicle.limit_soc) + SLACK
        assert -now.discharge_max_kw - SLACK <= now.power_kw <= now.charge_max_kw + SLACK
        assert now.power_kw <= now.accepts_kw() + SLACK
    cells = imported * vehicle.charge_efficiency - exported / vehicle.discharge_efficiency
    assert cells == pytest.approx((now.soc - vehicle.soc) * vehicle.capacity_kwh, abs=SLACK)


@settings(max_examples=100, deadline=None)
@given(vehicles(), st.floats(-30, 60), st.floats(1, 9000), st.floats(0, 1))
def test_it_does_not_matter_when_one_looks(
    vehicle: SimVehicle, allowed_kw: float, dt_s: float, where: float
) -> None:
    whole, mean_kw = step(vehicle, allowed_kw, dt_s)
    first, mean_first = step(vehicle, allowed_kw, dt_s * where)
    second, mean_second = step(first, allowed_kw, dt_s * (1 - where))
    assert second.soc == pytest.approx(whole.soc, abs=1e-7)
    assert second.power_kw == pytest.approx(whole.power_kw, abs=1e-5)
    if 0 < dt_s * where < dt_s:
        assert mean_first * where + mean_second * (1 - where) == pytest.approx(mean_kw, abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(vehicles(), st.floats(0, 60), st.floats(1, 9000))
def test_the_closed_form_agrees_with_small_steps(
    vehicle: SimVehicle, allowed_kw: float, dt_s: float
) -> None:
    vehicle = replace(vehicle, ramp_kw_per_s=math.inf)
    exact, imported, _ = advance(vehicle, allowed_kw, dt_s)
    soc, total, pieces = vehicle.soc, 0.0, 4000
    for _ in range(pieces):
        power = min(allowed_kw, replace(vehicle, soc=soc).accepts_kw())
        rise = power * vehicle.charge_efficiency * dt_s / pieces / 3600 / vehicle.capacity_kwh
        total += power * dt_s / pieces / 3600
        soc = min(soc + rise, 1.0)
    assert exact.soc == pytest.approx(soc, abs=3e-3)
    assert imported == pytest.approx(total, abs=4e-3 * vehicle.capacity_kwh)


@st.composite
def packed(draw: st.DrawFn) -> SimVehicle:
    """A vehicle with a pack of the catalogue, in any weather and health."""
    battery = draw(st.sampled_from(sorted(load().packs)))
    new_kwh = float(usable_kwh(named(battery)))
    return SimVehicle(
        id_token="X",
        capacity_kwh=new_kwh * draw(st.floats(0.5, 1.0)),
        soc=draw(st.floats(0, 1)),
        charge_max_kw=draw(st.sampled_from([6.6, 22.0, 50.0])),
        discharge_max_kw=draw(st.sampled_from([0.0, 10.0, 22.0])),
        battery=battery,
        temperature_c=draw(st.floats(-25, 50)),
        ambient_c=draw(st.floats(-25, 40)),
        limit_soc=draw(st.sampled_from([1.0, 0.8])),
        ramp_kw_per_s=draw(st.sampled_from([1.5, math.inf])),
    )


@settings(max_examples=100, deadline=None)
@given(packed(), commands)
def test_a_pack_stores_less_than_it_takes_and_keeps_its_limits(
    vehicle: SimVehicle, told: list[tuple[float, float]]
) -> None:
    now = vehicle
    for allowed_kw, dt_s in told:
        before = now
        now, got, gave = advance(now, allowed_kw, dt_s)
        assert got >= 0
        assert gave >= 0
        assert (
            min(before.soc, now.min_soc) - SLACK
            <= now.soc
            <= max(before.soc, now.limit_soc) + SLACK
        )
        assert -now.discharge_max_kw - SLACK <= now.power_kw <= now.charge_max_kw + SLACK
        cells = (now.soc - before.soc) * now.capacity_kwh
        assert cells <= got - gave + SLACK
        assert now.battery is not None
        cooled_to = named(now.battery).thermal.setpoint_c
        lowest = min(before.temperature_c, now.ambient_c, cooled_to)
        assert lowest - SLACK <= now.temperature_c < 70
