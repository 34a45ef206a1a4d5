from __future__ import annotations

from dataclasses import replace

import pytest

from gridleaf.sim.vehicle import SimVehicle, ac_kw, advance, step

LEAF = SimVehicle(
    id_token="LEAF-1",
    capacity_kwh=39.0,
    soc=0.4,
    charge_max_kw=46.0,
    discharge_max_kw=22.0,
    reports_soc=True,
    ramp_kw_per_s=5.0,
)


def test_charging_at_constant_power_moves_the_charge_by_power_time_and_efficiency() -> None:
    after, mean_kw = step(replace(LEAF, power_kw=20.0), 20.0, 1800)
    assert mean_kw == pytest.approx(20.0)
    assert (after.soc - 0.4) * 39 == pytest.approx(20 * 0.5 * 0.93)


def test_power_ramps_up_before_it_holds() -> None:
    after, imported, _ = advance(LEAF, 20.0, 2.0)
    assert after.power_kw == pytest.approx(10.0)
    assert imported * 3600 == pytest.approx(10.0)
    after, imported, _ = advance(LEAF, 20.0, 10.0)
    assert after.power_kw == 20.0
    assert imported * 3600 == pytest.approx(40 + 6 * 20)


def test_from_charging_to_discharging_the_meter_counts_each_direction() -> None:
    after, imported, exported = advance(replace(LEAF, power_kw=10.0), -10.0, 4.0)
    assert after.power_kw == -10.0
    assert imported * 3600 == pytest.approx(10.0)
    assert exported * 3600 == pytest.approx(10.0)


def test_a_full_battery_takes_nothing_and_the_taper_leads_there() -> None:
    nearly = replace(LEAF, soc=0.95)
    assert nearly.accepts_kw() < 22
    after, imported, _ = advance(nearly, 22.0, 6 * 3600)
    assert after.full
    assert after.soc == 1.0
    assert after.power_kw == 0.0
    assert imported * 0.93 == pytest.approx(0.05 * 39)
    again, imported, _ = advance(after, 22.0, 3600)
    assert again is after
    assert imported == 0.0


@pytest.mark.parametrize("limit_soc", [0.6, 0.9])
def test_charging_ends_at_the_limit_set_in_the_car_below_and_within_the_taper(
    limit_soc: float,
) -> None:
    after, imported, _ = advance(replace(LEAF, limit_soc=limit_soc), 46.0, 6 * 3600)
    assert after.soc == pytest.approx(limit_soc)
    assert after.full
    assert after.power_kw == 0.0
    assert imported * 0.93 == pytest.approx((limit_soc - 0.4) * 39)
    lower, _, _ = advance(after, -10.0, 600)
    assert not lower.full
    again, _, _ = advance(lower, 46.0, 3600)
    assert again.soc == pytest.approx(limit_soc)


def test_discharging_stops_at_the_cut_off_and_may_be_charged_again() -> None:
    low = replace(LEAF, soc=0.1, min_soc=0.05)
    after, _, exported = advance(low, -22.0, 3600)
    assert after.soc == pytest.approx(0.05)
    assert after.empty
    assert after.power_kw == 0.0
    assert exported == pytest.approx(0.05 * 39 * 0.93)
    assert advance(after, 10.0, 600)[0].soc > 0.05


def test_a_charger_without_permission_to_discharge_gets_nothing() -> None:
    after, mean_kw = step(replace(LEAF, discharge_max_kw=0.0), -10.0, 600)
    assert mean_kw == 0.0
    assert after.soc == LEAF.soc


@pytest.mark.parametrize(
    ("limit_a", "vehicle_phases", "evse_phases", "expected_kw"),
    [
        (5.9, 3, 3, 0.0),
        (6.0, 3, 3, 4.14),
        (10.9, 3, 3, 6.9),
        (16.0, 3, 3, 11.0),
        (32.0, 3, 3, 11.0),
        (16.0, 1, 3, 3.68),
        (16.0, 3, 1, 3.68),
    ],
)
def test_ac_follows_whole_amperes_from_six_upwards(
    limit_a: float, vehicle_phases: int, evse_phases: int, expected_kw: float
) -> None:
    car = replace(LEAF, charge_max_kw=11.0, ac_phases=vehicle_phases)
    assert ac_kw(car, limit_a, evse_phases, 230.0) == pytest.approx(expected_kw)


@pytest.mark.parametrize(
    "wrong",
    [
        {"soc": 1.2},
        {"capacity_kwh": 0.0},
        {"taper_soc": 1.0},
        {"cutoff": 0.0},
        {"charge_efficiency": 1.1},
        {"ramp_kw_per_s": 1e-6},
    ],
)
def test_a_vehicle_that_cannot_exist_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="LEAF-1"):
        replace(LEAF, **wrong)
