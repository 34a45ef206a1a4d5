"""NotifyEVChargingNeeds of 2.0.1 and 2.1, field by field."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gridleaf.domain.errors import ProtocolError
from gridleaf.ocpp import schemas
from gridleaf.ocpp.needs import read_needs
from ocpp_fakes import NOW, V21, V201, stamp


def read(version: str = V21, **needs: Any) -> dict[str, Any]:
    payload = {"evseId": 2, "chargingNeeds": {"requestedEnergyTransfer": "DC_BPT", **needs}}
    assert schemas.violation(version, "NotifyEVChargingNeeds", "request", payload) is None
    return read_needs(payload, NOW, 230.0)


ALL_V2X = {
    "minChargePower": 500,
    "maxChargePower": 11000,
    "minDischargePower": 600,
    "maxDischargePower": 10000,
    "minChargeCurrent": 1,
    "maxChargeCurrent": 30,
    "minDischargeCurrent": 2,
    "maxDischargeCurrent": 28,
    "minVoltage": 300,
    "maxVoltage": 450,
    "evTargetEnergyRequest": 12000,
    "evMinEnergyRequest": 2000,
    "evMaxEnergyRequest": 30000,
    "evMinV2XEnergyRequest": -4000,
    "evMaxV2XEnergyRequest": 9000,
    "targetSoC": 80,
}


def test_everything_a_bidirectional_vehicle_may_say() -> None:
    departure = NOW + timedelta(hours=8)
    got = read(
        availableEnergyTransfer=["DC", "DC_BPT"],
        controlMode="DynamicControl",
        mobilityNeedsMode="EVCC_SECC",
        departureTime=stamp(departure),
        dcChargingParameters={
            "evMaxCurrent": 100,
            "evMaxVoltage": 450,
            "evMaxPower": 40000,
            "evEnergyCapacity": 62000,
            "energyAmount": 20000,
            "stateOfCharge": 40,
        },
        v2xChargingParameters=ALL_V2X,
    )
    assert got == {
        "evse_id": 2,
        "requested_transfer": "DC_BPT",
        "available_transfers": ("DC", "DC_BPT"),
        "control_mode": "DynamicControl",
        "departure_at": departure,
        "soc": 0.4,
        "target_soc": 0.8,
        "capacity_kwh": 62.0,
        "energy_needed_kwh": 12.0,
        "energy_min_kwh": 2.0,
        "energy_max_kwh": 30.0,
        "v2x_min_energy_kwh": -4.0,
        "v2x_max_energy_kwh": 9.0,
        "charge_min_kw": 0.5,
        "charge_max_kw": 11.0,
        "discharge_min_kw": 0.6,
        "discharge_max_kw": 10.0,
    }


def test_what_is_not_said_is_left_out() -> None:
    assert read() == {
        "evse_id": 2,
        "requested_transfer": "DC_BPT",
        "available_transfers": (),
    }


@pytest.mark.parametrize("sign", [1, -1])
def test_discharge_is_a_magnitude_whatever_sign_the_station_sends(sign: int) -> None:
    v2x = {"minDischargePower": sign * 1000, "maxDischargePower": sign * 10000}
    got = read(v2xChargingParameters=v2x)
    assert (got["discharge_min_kw"], got["discharge_max_kw"]) == (1.0, 10.0)


def test_phases_are_summed() -> None:
    v2x = {
        "maxChargePower": 3000,
        "maxChargePower_L2": 3100,
        "maxChargePower_L3": 3200,
        "maxDischargePower": -2000,
        "maxDischargePower_L2": -2100,
        "maxDischargePower_L3": -2200,
    }
    got = read(requestedEnergyTransfer="AC_BPT", v2xChargingParameters=v2x)
    assert got["charge_max_kw"] == pytest.approx(9.3)
    assert got["discharge_max_kw"] == pytest.approx(6.3)


def test_currents_take_the_voltage_that_errs_to_the_safe_side() -> None:
    v2x = {
        "maxChargeCurrent": 30,
        "maxDischargeCurrent": -28,
        "minVoltage": 300,
        "maxVoltage": 450,
    }
    got = read(v2xChargingParameters=v2x)
    assert (got["charge_max_kw"], got["discharge_max_kw"]) == (13.5, 8.4)


def test_a_current_without_a_voltage_says_nothing_about_power() -> None:
    assert "discharge_max_kw" not in read(v2xChargingParameters={"maxDischargeCurrent": 28})


def test_the_dc_power_is_current_times_voltage_where_it_is_missing() -> None:
    got = read(V201, requestedEnergyTransfer="DC", dcChargingParameters=DC)
    assert got["charge_max_kw"] == 50.0


DC = {"evMaxCurrent": 125, "evMaxVoltage": 400}


@pytest.mark.parametrize(
    ("transfer", "phases"), [("AC_single_phase", 1), ("AC_two_phase", 2), ("AC_three_phase", 3)]
)
def test_ac_currents_count_on_the_phases_of_the_transfer(transfer: str, phases: int) -> None:
    ac = {"energyAmount": 9000, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400}
    got = read(V201, requestedEnergyTransfer=transfer, acChargingParameters=ac)
    assert got["energy_needed_kwh"] == 9.0
    assert got["charge_min_kw"] == pytest.approx(1.38 * phases)
    assert got["charge_max_kw"] == pytest.approx(3.68 * phases)


def test_an_energy_below_zero_is_none_but_the_v2x_window_keeps_its_sign() -> None:
    v2x = {"evTargetEnergyRequest": -500, "evMinEnergyRequest": -1, "evMaxV2XEnergyRequest": -700}
    got = read(v2xChargingParameters=v2x)
    assert (got["energy_needed_kwh"], got["energy_min_kwh"]) == (0.0, 0.0)
    assert got["v2x_max_energy_kwh"] == -0.7


def test_a_battery_without_capacity_is_unknown() -> None:
    assert "capacity_kwh" not in read(dcChargingParameters={**DC, "evEnergyCapacity": 0})


@pytest.mark.parametrize("text", ["soon", "9999-12-31T23:59:59Z"])
def test_a_departure_that_is_no_time_is_left_out(text: str) -> None:
    assert "departure_at" not in read(departureTime=text)


def test_an_evse_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ProtocolError, match="evseId"):
        read_needs({"evseId": 1e30, "chargingNeeds": {"requestedEnergyTransfer": "DC"}}, NOW, 230.0)
