"""The device model of a simulated OCPP 2.x station: its components and variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gridleaf.ocpp.csms import Payload
from gridleaf.sim.dialect import stamp
from gridleaf.sim.variables import Variable, constant, fixed, truth, whole

if TYPE_CHECKING:
    from gridleaf.sim.station import SimStation


class Key(NamedTuple):
    """Where a variable is found; ``evse_id`` None is the station."""

    component: str
    variable: str
    evse_id: int | None = None
    instance: str | None = None


class DeviceModel:
    """Variables by component, EVSE, name and instance.

    Attributes
    ----------
    stack_levels, periods, profiles, external_ids
        What the smart-charging variables say of profiles: highest stack level, periods of a
        schedule, profiles installed, the highest id reserved for external constraints.
    """

    stack_levels = 10
    periods = 96
    profiles = 20
    external_ids = 99

    def __init__(self) -> None:
        self._variables: dict[Key, Variable] = {}

    def add(
        self,
        component: str,
        variables: dict[str, Variable],
        *,
        evse_id: int | None = None,
        instance: str | None = None,
    ) -> None:
        for name, variable in variables.items():
            self._variables[Key(component, name, evse_id, instance)] = variable

    def get(self, query: dict[str, Any]) -> Payload:
        """One result of GetVariables."""
        found = self._find(query)
        result = _echo(query)
        if query.get("attributeType", "Actual") != "Actual" and isinstance(found, Variable):
            return {**result, "attributeStatus": "NotSupportedAttributeType"}
        if isinstance(found, str):
            return {**result, "attributeStatus": found}
        return {**result, "attributeStatus": "Accepted", "attributeValue": found.read()}

    def set(self, query: dict[str, Any]) -> Payload:
        """One result of SetVariables."""
        found = self._find(query)
        if query.get("attributeType", "Actual") != "Actual" and isinstance(found, Variable):
            status: str = "NotSupportedAttributeType"
        elif isinstance(found, str):
            status = found
        else:
            status = found.set(query["attributeValue"])
        return {**_echo(query), "attributeStatus": status}

    def inventory(self, *, writable: bool) -> list[Payload]:
        """The rows of a report; ``writable`` keeps to what can be set."""
        return [
            _row(key, variable)
            for key, variable in self._variables.items()
            if variable.write is not None or not writable
        ]

    def _find(self, query: dict[str, Any]) -> Variable | str:
        """The variable, or the status that says why there is none."""
        component, variable = query["component"], query["variable"]
        evse_id = component.get("evse", {}).get("id")
        instance = variable.get("instance", component.get("instance"))
        found = self._variables.get(Key(component["name"], variable["name"], evse_id, instance))
        if found is not None:
            return found
        known = any(
            key.component == component["name"] and key.evse_id == evse_id for key in self._variables
        )
        return "UnknownVariable" if known else "UnknownComponent"


def _echo(query: dict[str, Any]) -> Payload:
    return {"component": query["component"], "variable": query["variable"]}


def _row(key: Key, variable: Variable) -> Payload:
    component: Payload = {"name": key.component}
    if key.evse_id is not None:
        component["evse"] = {"id": key.evse_id}
    name: Payload = {"name": key.variable}
    if key.instance is not None:
        name["instance"] = key.instance
    characteristics: Payload = {"dataType": variable.data_type, "supportsMonitoring": False}
    if variable.unit is not None:
        characteristics["unit"] = variable.unit
    if variable.values is not None:
        characteristics["valuesList"] = variable.values
    if variable.most is not None:
        characteristics["maxLimit"] = variable.most
    return {
        "component": component,
        "variable": name,
        "variableAttribute": [
            {
                "value": variable.read(),
                "mutability": "ReadOnly" if variable.write is None else "ReadWrite",
            }
        ],
        "variableCharacteristics": characteristics,
    }


def meter_interval(station: SimStation) -> Variable:
    """How often the meters of a station are read [s]."""
    variable = whole(lambda: station.meter_interval_s, station.set_meter_interval, least=1)
    return fixed(variable) if station.meter_fixed else variable


def measurands(station: SimStation) -> tuple[str, ...]:
    """What the meters of a station sample of power and energy."""
    names = ("Power.Active.Import", "Energy.Active.Import.Register")
    if all(evse.discharge_max_kw == 0 for evse in station.config.evses):
        return names
    return (*names, "Power.Active.Export", "Energy.Active.Export.Register")


def base_model(station: SimStation, model_name: str, units: tuple[str, ...]) -> DeviceModel:
    """What every 2.x station has (OCPP 2.0.1 part 2, appendices: required variables, smart charging)."""
    device, link = DeviceModel(), station.link

    def timeout(seconds: float) -> None:
        station.connection_timeout_s = seconds

    def attempts(times: float) -> None:
        link.attempts = int(times)

    def interval(seconds: float) -> None:
        link.attempt_interval_s = seconds

    device.add(
        "ChargingStation",
        {
            "Model": constant(model_name),
            "VendorName": constant("gridleaf"),
            "SerialNumber": constant(station.config.id[:25]),
            "SupplyPhases": constant("3", "integer"),
        },
    )
    device.add("ClockCtrlr", {"DateTime": Variable(read=lambda: stamp(station.now()))})
    device.add("SecurityCtrlr", {"SecurityProfile": constant(_profile(station), "integer")})
    device.add(
        "OCPPCommCtrlr",
        {
            "HeartbeatInterval": whole(
                lambda: station.heartbeat_interval_s, station.set_heartbeat_interval, least=1
            ),
            "OfflineThreshold": constant("0", "integer"),
        },
    )
    device.add(
        "OCPPCommCtrlr",
        {
            "MessageAttempts": whole(lambda: link.attempts, attempts, least=1),
            "MessageAttemptInterval": whole(lambda: link.attempt_interval_s, interval, least=1),
        },
        instance="TransactionEvent",
    )
    device.add(
        "DeviceDataCtrlr", {"ItemsPerMessage": constant("50", "integer")}, instance="GetVariables"
    )
    device.add(
        "SampledDataCtrlr",
        {
            "Enabled": constant(truth(True), "boolean"),
            "TxUpdatedInterval": meter_interval(station),
            "TxUpdatedMeasurands": constant(",".join((*measurands(station), "SoC")), "MemberList"),
        },
    )
    device.add("AlignedDataCtrlr", {"Interval": constant("0", "integer")})
    device.add(
        "AuthCtrlr",
        {
            "Enabled": constant(truth(True), "boolean"),
            "AuthorizeRemoteStart": constant(truth(True), "boolean"),
            "LocalAuthorizeOffline": constant(truth(True), "boolean"),
            "OfflineTxForUnknownIdEnabled": constant(truth(True), "boolean"),
        },
    )
    device.add(
        "TxCtrlr",
        {
            "EVConnectionTimeOut": whole(lambda: station.connection_timeout_s, timeout, least=1),
            "StopTxOnEVSideDisconnect": constant(truth(True), "boolean"),
            "StopTxOnInvalidId": constant(truth(True), "boolean"),
            "TxStartPoint": constant("Authorized", "MemberList"),
            "TxStopPoint": constant("EVConnected", "MemberList"),
        },
    )
    device.add(
        "SmartChargingCtrlr",
        {
            "Enabled": constant(truth(True), "boolean"),
            "Available": constant(truth(True), "boolean"),
            "ProfileStackLevel": constant(str(device.stack_levels), "integer"),
            "RateUnit": constant(",".join(units), "MemberList", values="A,W"),
            "PeriodsPerSchedule": constant(str(device.periods), "integer"),
        },
    )
    device.add(
        "SmartChargingCtrlr",
        {"Entries": constant(str(device.profiles), "integer")},
        instance="ChargingProfiles",
    )
    for evse in station.config.evses:
        power = constant(f"{evse.charge_max_kw * 1000:.0f}", "decimal")
        device.add(
            "EVSE",
            {
                "Available": constant(truth(True), "boolean"),
                "Power": Variable(
                    read=power.read, data_type="decimal", unit="W", most=evse.charge_max_kw * 1000
                ),
                "SupplyPhases": constant(str(evse.phases), "integer"),
            },
            evse_id=evse.id,
        )
    return device


def _profile(station: SimStation) -> str:
    return str(station.config.security_profile)
