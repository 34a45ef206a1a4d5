"""NotifyEVChargingNeeds of 2.0.1 and 2.1: what the vehicle wants, in gridleaf's words and signs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from gridleaf.ocpp.csms import Payload
from gridleaf.ocpp.profiles import discharge_magnitude
from gridleaf.ocpp.semantics import read_time, whole

_AC_PHASES: Final = {"AC_single_phase": 1, "AC_two_phase": 2}


def read_needs(payload: Payload, now: datetime, voltage_v: float) -> dict[str, Any]:
    """The fields of a :class:`~gridleaf.domain.events.NeedsReported`; what is unknown is left out.

    Of 2.1's ``v2xChargingParameters`` the powers are used where given, else current times the
    voltage that errs to the safe side: the highest for charging, the lowest for discharging.

    Raises
    ------
    ProtocolError
        ``evseId`` does not fit.
    """
    needs = payload["chargingNeeds"]
    transfer = needs["requestedEnergyTransfer"]
    fields: dict[str, Any] = {
        "evse_id": whole(payload["evseId"], "evseId"),
        "requested_transfer": transfer,
        "available_transfers": tuple(needs.get("availableEnergyTransfer", ())),
        "control_mode": needs.get("controlMode"),
    }
    if "departureTime" in needs:
        departure_at, doubts = read_time(needs["departureTime"], now)
        fields["departure_at"] = None if "time_unreadable" in doubts else departure_at
    if "acChargingParameters" in needs:
        fields |= _ac(needs["acChargingParameters"], _AC_PHASES.get(transfer, 3), voltage_v)
    if "dcChargingParameters" in needs:
        fields |= _dc(needs["dcChargingParameters"])
    if "v2xChargingParameters" in needs:
        fields |= _v2x(needs["v2xChargingParameters"])
    return {name: value for name, value in fields.items() if value is not None}


def _ac(ac: Mapping[str, Any], phases: int, voltage_v: float) -> dict[str, Any]:
    return {
        "energy_needed_kwh": _magnitude(ac.get("energyAmount")),
        "charge_min_kw": ac["evMinCurrent"] * voltage_v * phases / 1000,
        "charge_max_kw": ac["evMaxCurrent"] * voltage_v * phases / 1000,
    }


def _dc(dc: Mapping[str, Any]) -> dict[str, Any]:
    power_w = dc.get("evMaxPower", dc["evMaxCurrent"] * dc["evMaxVoltage"])
    capacity_kwh = _magnitude(dc.get("evEnergyCapacity"))
    return {
        "soc": _fraction(dc.get("stateOfCharge")),
        "capacity_kwh": capacity_kwh or None,
        "energy_needed_kwh": _magnitude(dc.get("energyAmount")),
        "charge_max_kw": _magnitude(power_w),
    }


def _v2x(v2x: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "target_soc": _fraction(v2x.get("targetSoC")),
        "energy_needed_kwh": _magnitude(v2x.get("evTargetEnergyRequest")),
        "energy_min_kwh": _magnitude(v2x.get("evMinEnergyRequest")),
        "energy_max_kwh": _magnitude(v2x.get("evMaxEnergyRequest")),
        "v2x_min_energy_kwh": _kilo(v2x.get("evMinV2XEnergyRequest")),
        "v2x_max_energy_kwh": _kilo(v2x.get("evMaxV2XEnergyRequest")),
        "charge_min_kw": _power(v2x, "minCharge", "maxVoltage"),
        "charge_max_kw": _power(v2x, "maxCharge", "maxVoltage"),
        "discharge_min_kw": _power(v2x, "minDischarge", "minVoltage"),
        "discharge_max_kw": _power(v2x, "maxDischarge", "minVoltage"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _power(v2x: Mapping[str, Any], what: str, voltage: str) -> float | None:
    """A power bound summed over its phases [kW]; from current and voltage where there is none."""
    parts = [v2x[key] for key in (f"{what}Power{phase}" for phase in _SUFFIXES) if key in v2x]
    if parts:
        return sum(discharge_magnitude(part) for part in parts) / 1000
    if f"{what}Current" in v2x and voltage in v2x:
        return discharge_magnitude(v2x[f"{what}Current"]) * float(v2x[voltage]) / 1000
    return None


_SUFFIXES: Final = ("", "_L2", "_L3")


def _kilo(value: float | None) -> float | None:
    return None if value is None else value / 1000


def _magnitude(value: float | None) -> float | None:
    """An energy or power that is not asked for below zero: less than nothing is nothing."""
    return None if value is None else max(value, 0.0) / 1000


def _fraction(percent: float | None) -> float | None:
    return None if percent is None else percent / 100
