"""After boot a station is asked what it can do; what it will not say stays conservative."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from test_ocpp_commands_2 import knows

from gridleaf.domain.errors import CallTimeout, ConnectionLost, RejectedByStation
from gridleaf.domain.events import CapabilitiesRead
from gridleaf.ocpp.csms import Payload
from ocpp_fakes import NOW, V16, V21, V201, Desk, FakeHost, Script


def probe(desk: Desk, station: Script) -> list[CapabilitiesRead]:
    asyncio.run(desk.dialect.probe(station.call))
    assert all(isinstance(e, CapabilitiesRead) for e in desk.host.events)
    return [e for e in desk.host.events if isinstance(e, CapabilitiesRead)]


def nothing(**change: Any) -> CapabilitiesRead:
    return CapabilitiesRead(station_id="CP1", received_at=NOW, **change)


def test_a_16_station_tells_by_configuration_keys() -> None:
    keys = {
        "ChargeProfileMaxStackLevel": "8",
        "ChargingScheduleAllowedChargingRateUnit": "Current",
        "ChargingScheduleMaxPeriods": "24",
    }
    answer = {
        "configurationKey": [
            {"key": key, "readonly": True, "value": value} for key, value in keys.items()
        ],
        "unknownKey": ["ConnectorSwitch3to1PhaseSupported"],
    }
    station = Script(V16, {"GetConfiguration": answer})
    (event,) = probe(Desk(V16), station)
    assert event == nothing(rate_units=("A",), max_stack_level=8, max_periods=24, values=keys)
    assert len(station.calls) == 1


@pytest.mark.parametrize(
    ("said", "units"),
    [
        ("Current,Power", ("A", "W")),
        ("Power", ("W",)),
        ("", ("A", "W")),
        ("Bananas", ("A", "W")),
    ],
)
def test_the_rate_units_of_16(said: str, units: tuple[str, ...]) -> None:
    key = "ChargingScheduleAllowedChargingRateUnit"
    answer = {"configurationKey": [{"key": key, "readonly": True, "value": said}]}
    (event,) = probe(Desk(V16), Script(V16, {"GetConfiguration": answer}))
    assert event.rate_units == units


V2X = {
    "DeviceDataCtrlr.ItemsPerMessage[GetVariables]": "10",
    "SmartChargingCtrlr.ProfileStackLevel": "5",
    "SmartChargingCtrlr.RateUnit": "W",
    "SmartChargingCtrlr.PeriodsPerSchedule": "1024",
    "SmartChargingCtrlr.SupportsDynamicProfiles": "true",
    "V2XChargingCtrlr.Enabled": "true",
    "V2XChargingCtrlr.SupportedOperationModes": "ChargingOnly, CentralSetpoint,LocalFrequency",
}


def test_a_21_station_tells_by_variables() -> None:
    station = Script(V21, knows(V2X))
    (event,) = probe(Desk(V21), station)
    assert event == nothing(
        rate_units=("W",),
        max_stack_level=5,
        max_periods=1024,
        dynamic_profiles=True,
        v2x_enabled=True,
        operation_modes=("ChargingOnly", "CentralSetpoint", "LocalFrequency"),
        values=V2X,
    )
    sizes = [len(payload["getVariableData"]) for _, payload in station.calls]
    assert sizes[0] == 1
    assert max(sizes) == 10


def test_an_evse_that_speaks_for_itself_has_an_event_of_its_own() -> None:
    values = V2X | {
        "V2XChargingCtrlr.2.Enabled": "false",
        "V2XChargingCtrlr.2.SupportedOperationModes": "ChargingOnly",
    }
    station_wide, second = probe(Desk(V21), Script(V21, knows(values)))
    assert (station_wide.evse_id, station_wide.v2x_enabled) == (0, True)
    assert (second.evse_id, second.v2x_enabled, second.dynamic_profiles) == (2, False, False)
    assert second.operation_modes == ("ChargingOnly",)
    assert (second.rate_units, second.max_stack_level) == (("W",), 5)


def test_what_an_evse_does_not_say_holds_as_for_the_station() -> None:
    values = V2X | {"V2XChargingCtrlr.1.Enabled": "true"}
    _, first = probe(Desk(V21), Script(V21, knows(values)))
    assert (first.evse_id, first.operation_modes[1]) == (1, "CentralSetpoint")


@pytest.mark.parametrize(
    "without",
    ["SmartChargingCtrlr.SupportsDynamicProfiles", "V2XChargingCtrlr.SupportedOperationModes"],
)
def test_dynamic_profiles_need_the_variable_and_central_setpoint(without: str) -> None:
    values = {name: value for name, value in V2X.items() if name != without}
    (event,) = probe(Desk(V21), Script(V21, knows(values)))
    assert event.dynamic_profiles is False


def test_a_station_led_by_negative_limits_gets_no_dynamic_profiles() -> None:
    desk = Desk(V21, FakeHost(discharge_via="negative_limit"))
    (event,) = probe(desk, Script(V21, knows(V2X)))
    assert event.dynamic_profiles is False


def test_a_201_station_is_not_asked_for_what_21_added() -> None:
    station = Script(V201, knows(V2X))
    (event,) = probe(Desk(V201), station)
    assert (event.rate_units, event.max_stack_level, event.v2x_enabled) == (("W",), 5, False)
    assert "V2X" not in str(station.calls)


@pytest.mark.parametrize("version", [V16, V201, V21])
@pytest.mark.parametrize(
    "error",
    [CallTimeout("silence"), RejectedByStation("GetVariables", "NotImplemented")],
    ids=["silent", "refusing"],
)
def test_a_station_that_says_nothing_keeps_conservative_defaults(
    version: str, error: Exception
) -> None:
    station = Script(version, {"GetVariables": error, "GetConfiguration": error})
    (event,) = probe(Desk(version), station)
    assert event == nothing()


@pytest.mark.parametrize("version", [V16, V201, V21])
def test_nonsense_values_keep_conservative_defaults(version: str) -> None:
    names = ["SmartChargingCtrlr.ProfileStackLevel", "SmartChargingCtrlr.PeriodsPerSchedule",
             "SmartChargingCtrlr.RateUnit", "SmartChargingCtrlr.SupportsDynamicProfiles",
             "DeviceDataCtrlr.ItemsPerMessage[GetVariables]", "V2XChargingCtrlr.Enabled"]  # fmt: skip
    keys = ["ChargeProfileMaxStackLevel", "ChargingScheduleMaxPeriods"]
    station = Script(version, knows(dict.fromkeys(names, "NaN")))
    station.answers["GetConfiguration"] = {
        "configurationKey": [{"key": key, "readonly": True, "value": "1e999"} for key in keys]
    }
    (event,) = probe(Desk(version), station)
    assert (event.max_stack_level, event.max_periods, event.rate_units) == (None, None, ("A", "W"))
    assert (event.dynamic_profiles, event.v2x_enabled) == (False, False)


def test_a_station_that_refuses_a_batch_is_asked_one_by_one() -> None:
    answer = knows(V2X)["GetVariables"]

    def touchy(payload: Payload) -> Payload:
        if len(payload["getVariableData"]) > 1:
            raise RejectedByStation("GetVariables", "OccurrenceConstraintViolation")
        return answer(payload)

    (event,) = probe(Desk(V21), Script(V21, {"GetVariables": touchy}))
    assert event.operation_modes[1] == "CentralSetpoint"


def test_a_station_that_refuses_some_variables_still_tells_the_others() -> None:
    answer = knows(V2X)["GetVariables"]

    def touchy(payload: Payload) -> Payload:
        if "ISO15118Ctrlr" in str(payload):
            raise RejectedByStation("GetVariables", "InternalError")
        return answer(payload)

    (event,) = probe(Desk(V21), Script(V21, {"GetVariables": touchy}))
    assert event.values == V2X


@pytest.mark.parametrize("version", [V201, V21])
def test_a_station_without_variables_is_not_asked_for_each_of_them(version: str) -> None:
    station = Script(version, {"GetVariables": RejectedByStation("GetVariables", "NotSupported")})
    probe(Desk(version), station)
    assert len(station.calls) == 2


@pytest.mark.parametrize("version", [V16, V201, V21])
def test_a_lost_connection_ends_the_probe(version: str) -> None:
    lost = ConnectionLost("gone")
    with pytest.raises(ConnectionLost):
        probe(Desk(version), Script(version, {"GetVariables": lost, "GetConfiguration": lost}))


@pytest.mark.parametrize("version", [V16, V201, V21])
def test_a_store_that_is_down_does_not_fail_the_probe(version: str) -> None:
    desk = Desk(version)
    desk.host.store.down = True
    assert probe(desk, Script(version, knows({}))) == []


KEYS = {
    "MeterValuesSampledData": "Energy.Active.Import.Register",
    "MeterValueSampleInterval": "900",
}


def configured(values: dict[str, str], takes: Callable[[str], bool] = lambda _: True) -> Script:
    """A 1.6 station over some keys; ``takes`` says which values it accepts."""

    def changed(payload: Payload) -> Payload:
        if not takes(payload["value"]):
            return {"status": "Rejected"}
        values[payload["key"]] = payload["value"]
        return {"status": "Accepted"}

    rows = [{"key": key, "readonly": False, "value": value} for key, value in values.items()]
    answers: dict[str, Any] = {
        "GetConfiguration": {"configurationKey": rows},
        "ChangeConfiguration": changed,
    }
    return Script(V16, answers)


def test_a_16_station_that_samples_too_little_is_asked_for_power_every_minute() -> None:
    values = dict(KEYS)
    probe(Desk(V16, FakeHost(discharge_via="none")), configured(values))
    assert values == {
        "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import",
        "MeterValueSampleInterval": "60",
    }


def test_where_a_station_may_discharge_export_is_asked_for_as_far_as_it_takes_it() -> None:
    generous, plain = dict(KEYS), dict(KEYS)
    probe(Desk(V16, FakeHost(discharge_via="negative_limit")), configured(generous))
    assert generous["MeterValuesSampledData"] == (
        "Energy.Active.Import.Register,Power.Active.Import,"
        "Power.Active.Export,Energy.Active.Export.Register,SoC"
    )
    knows_no_soc = configured(plain, lambda value: "SoC" not in value)
    probe(Desk(V16, FakeHost(discharge_via="negative_limit")), knows_no_soc)
    assert plain["MeterValuesSampledData"] == "Energy.Active.Import.Register,Power.Active.Import"


def test_a_station_that_samples_enough_or_keeps_its_ways_is_left_alone() -> None:
    enough = {
        "MeterValuesSampledData": "Power.Active.Import, Energy.Active.Import.Register,Voltage",
        "MeterValueSampleInterval": "30",
    }
    station = configured(enough)
    probe(Desk(V16, FakeHost(discharge_via="none")), station)
    assert len(station.calls) == 1
    stubborn = configured(dict(KEYS), lambda _: False)
    (event,) = probe(Desk(V16), stubborn)
    assert event.values == KEYS


@pytest.mark.parametrize("version", [V201, V21])
def test_a_2x_station_is_asked_for_power_every_minute_too(version: str) -> None:
    values = {
        "SampledDataCtrlr.TxUpdatedMeasurands": "Energy.Active.Import.Register,Voltage",
        "SampledDataCtrlr.TxUpdatedInterval": "0",
    }
    station = Script(version, knows(values))
    probe(Desk(version, FakeHost(discharge_via="none")), station)
    assert [
        (item["variable"]["name"], item["attributeValue"])
        for action, payload in station.calls
        if action == "SetVariables"
        for item in payload["setVariableData"]
    ] == [
        ("TxUpdatedMeasurands", "Energy.Active.Import.Register,Voltage,Power.Active.Import"),
        ("TxUpdatedInterval", "60"),
    ]
