"""The device model of 2.x by name: ``Component[.evse].Variable``.

An instance stands in brackets behind the name it belongs to:
``DeviceDataCtrlr.ItemsPerMessage[GetVariables]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gridleaf.domain.errors import ProtocolError
from gridleaf.ocpp.base import words
from gridleaf.ocpp.csms import Payload

ITEMS_PER_GET: Final = "DeviceDataCtrlr.ItemsPerMessage[GetVariables]"
ITEMS_PER_SET: Final = "DeviceDataCtrlr.ItemsPerMessage[SetVariables]"
SAMPLED_MEASURANDS: Final = "SampledDataCtrlr.TxUpdatedMeasurands"
SAMPLED_INTERVAL: Final = "SampledDataCtrlr.TxUpdatedInterval"

STATION_VARIABLES: Final = (
    ITEMS_PER_SET,
    "SmartChargingCtrlr.Enabled",
    "SmartChargingCtrlr.ProfileStackLevel",
    "SmartChargingCtrlr.RateUnit",
    "SmartChargingCtrlr.PeriodsPerSchedule",
    "SmartChargingCtrlr.Entries[ChargingProfiles]",
    "SmartChargingCtrlr.LimitChangeSignificance",
    "SmartChargingCtrlr.ACPhaseSwitchingSupported",
    SAMPLED_MEASURANDS,
    SAMPLED_INTERVAL,
)
"""Read after boot of every 2.x station."""
STATION_VARIABLES_21: Final = (
    "SmartChargingCtrlr.SupportsDynamicProfiles",
    "SmartChargingCtrlr.SupportsUseLocalTime",
    "SmartChargingCtrlr.SupportsRandomizedDelay",
    "SmartChargingCtrlr.SupportsLimitAtSoC",
    "SmartChargingCtrlr.SupportedAdditionalPurposes",
    "SmartChargingCtrlr.MaxExternalConstraintsId",
    "ISO15118Ctrlr.Enabled",
)
EVSE_VARIABLES_21: Final = (
    "V2XChargingCtrlr.Enabled",
    "V2XChargingCtrlr.SupportedOperationModes",
    "V2XChargingCtrlr.SupportedEnergyTransferModes",
)
"""Read of the station and of each EVSE by itself."""

_NAME: Final = re.compile(
    r"(?P<component>[^.\[\]]+)(?:\[(?P<of>[^\]]+)\])?(?:\.(?P<evse>\d{1,9}))?"
    r"\.(?P<variable>[^.\[\]]+)(?:\[(?P<instance>[^\]]+)\])?"
)


def parse(name: str) -> Payload:
    """``component`` and ``variable`` of a name; raises ProtocolError when it is not one."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ProtocolError("PropertyConstraintViolation", f"{name!r}: Component[.evse].Variable")
    component: Payload = {"name": match["component"]}
    if match["of"]:
        component["instance"] = match["of"]
    if match["evse"]:
        component["evse"] = {"id": int(match["evse"])}
    variable = {"name": match["variable"]}
    if match["instance"]:
        variable["instance"] = match["instance"]
    return {"component": component, "variable": variable}


def name_of(result: Mapping[str, Any]) -> str:
    """Inverse of :func:`parse`."""
    component, variable = result["component"], result["variable"]
    evse = component.get("evse")
    name = component["name"] + _bracketed(component) + (f".{evse['id']}" if evse else "")
    return f"{name}.{variable['name']}{_bracketed(variable)}"


def _bracketed(part: Mapping[str, Any]) -> str:
    return f"[{part['instance']}]" if "instance" in part else ""


def of_evse(name: str, evse_id: int) -> str:
    """The same variable of one EVSE."""
    component, variable = name.split(".", 1)
    return f"{component}.{evse_id}.{variable}"


@dataclass(frozen=True, slots=True)
class V2X:
    """What an EVSE, or the station as a whole, says of V2X."""

    enabled: bool
    operation_modes: tuple[str, ...]


def read_v2x(values: Mapping[str, str], evse_id: int) -> V2X:
    """V2XChargingCtrlr of an EVSE; what it does not say holds as for the station (``evse_id`` 0)."""
    enabled, modes, _ = (
        values.get(of_evse(name, evse_id) if evse_id else name, values.get(name, ""))
        for name in EVSE_VARIABLES_21
    )
    return V2X(is_true(enabled), words(modes))


def is_true(value: str | None) -> bool:
    return value is not None and value.strip().lower() == "true"
