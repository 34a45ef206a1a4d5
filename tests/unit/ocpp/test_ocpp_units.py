"""Sampled values of every version in gridleaf's units."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from gridleaf.domain.meter import MeterSample
from gridleaf.ocpp.semantics import read_time
from gridleaf.ocpp.units import convert, power_kw, read_meter_values, read_sample
from ocpp_fakes import NOW


def read(**sampled: Any) -> tuple[list[MeterSample], list[str]]:
    flags: list[str] = []
    return read_sample(sampled, NOW, flags), flags


@pytest.mark.parametrize(
    ("measurand", "value", "unit", "expected", "ours"),
    [
        ("Energy.Active.Import.Register", "12345", "Wh", 12.345, "kWh"),
        ("Energy.Active.Import.Register", "12.345", "kWh", 12.345, "kWh"),
        ("Energy.Reactive.Import.Register", "5", "varh", 0.005, "kvarh"),
        ("Energy.Reactive.Import.Register", "5", "kvarh", 5.0, "kvarh"),
        ("Energy.Apparent.Net", 1500, "VAh", 1.5, "kVAh"),
        ("Power.Active.Import", "7400", "W", 7.4, "kW"),
        ("Power.Active.Import", "7.4", "kW", 7.4, "kW"),
        ("Power.Active.Export", "10000", "W", 10.0, "kW"),
        ("Power.Reactive.Import", "300", "var", 0.3, "kvar"),
        ("Current.Import", "16.0", "A", 16.0, "A"),
        ("Voltage", "231.5", "V", 231.5, "V"),
        ("SoC", "55", "Percent", 0.55, "1"),
        ("SoC", 55, "%", 0.55, "1"),
        ("Frequency", "49.98", "Hertz", 49.98, "Hz"),
        ("Temperature", "20", "Celcius", 20.0, "degC"),
        ("Temperature", "20", "Celsius", 20.0, "degC"),
        ("Temperature", "293.15", "K", 20.0, "degC"),
        ("Temperature", "68", "Fahrenheit", 20.0, "degC"),
    ],
)
def test_every_unit_is_converted(
    measurand: str, value: str | float, unit: str, expected: float, ours: str
) -> None:
    (sample,), flags = read(measurand=measurand, value=value, unit=unit)
    assert sample.value == pytest.approx(expected)
    assert (sample.unit, flags) == (ours, [])


def test_a_16_sample_without_anything_is_the_import_register_in_wh() -> None:
    (sample,), flags = read(value="1234")
    assert (sample.measurand, sample.value) == ("Energy.Active.Import.Register", 1.234)
    assert (sample.context, sample.location, sample.phase) == ("Sample.Periodic", "Outlet", None)
    assert (sample.raw, flags) == ("1234 Wh", [])


@pytest.mark.parametrize(
    ("measurand", "value", "unit"),
    [("Power.Active.Import", 7.4, "kW"), ("SoC", 74.0, "1"), ("Voltage", 7400.0, "V")],
)
def test_a_missing_unit_is_the_natural_one_of_the_measurand(
    measurand: str, value: float, unit: str
) -> None:
    (sample,), _ = read(measurand=measurand, value=7400)
    assert (sample.value, sample.unit) == (value, unit)


@pytest.mark.parametrize(("multiplier", "expected"), [(0, 0.5), (3, 500.0), (-3, 0.0005)])
def test_a_multiplier_of_2x_is_a_power_of_ten(multiplier: int, expected: float) -> None:
    (sample,), _ = read(
        measurand="Power.Active.Import",
        value=500,
        unitOfMeasure={"unit": "W", "multiplier": multiplier},
    )
    assert sample.value == pytest.approx(expected)
    assert sample.raw == ("500 W" if multiplier == 0 else f"500 e{multiplier} W")


def test_a_multiplier_without_a_unit_scales_the_natural_unit() -> None:
    (sample,), _ = read(value=2, unitOfMeasure={"multiplier": 3})
    assert (sample.value, sample.unit) == (2.0, "kWh")


@pytest.mark.parametrize("multiplier", [25, -25, 10**9, -(10**9), 10**18])
def test_an_absurd_multiplier_costs_nothing_and_is_flagged(multiplier: int) -> None:
    samples, flags = read(value=1, unitOfMeasure={"unit": "Wh", "multiplier": multiplier})
    assert (samples, flags) == ([], ["value_unreadable"])


@pytest.mark.parametrize(
    "value", ["NaN", "nan", "Infinity", "-inf", "1e999", "", " ", "abc", "12,5", "1_000", "0x10"]
)
def test_a_string_that_is_no_number_is_flagged_and_left_out(value: str) -> None:
    assert read(value=value) == ([], ["value_unreadable"])


@pytest.mark.parametrize("value", [" 12.5 ", "12.50", "+12.5", "1.25e1"])
def test_a_number_may_be_written_in_many_ways(value: str) -> None:
    (sample,), flags = read(value=value, unit="kWh")
    assert (sample.value, flags) == (12.5, [])
    assert sample.raw.startswith(value)


def test_an_export_below_zero_keeps_its_magnitude() -> None:
    (sample,), flags = read(measurand="Power.Active.Export", value=-5000, unit="W")
    assert (sample.value, flags) == (5.0, ["sign_odd"])


def test_a_negative_import_keeps_its_sign() -> None:
    (sample,), flags = read(measurand="Power.Active.Import", value=-5000, unit="W")
    assert (sample.value, flags) == (-5.0, [])


@pytest.mark.parametrize(
    ("measurand", "unit", "value", "expected"),
    [
        ("Power.Active.Import", "Wh", 7400, 7.4),
        ("Power.Active.Import", "kWh", 7.4, 7.4),
        ("Energy.Active.Import.Register", "W", 1500, 1.5),
        ("SoC", "Wh", 60, 0.6),
        ("Voltage", "kWh", 230, 230.0),
    ],
)
def test_a_unit_of_another_dimension_is_taken_for_the_natural_one(
    measurand: str, unit: str, value: float, expected: float
) -> None:
    (sample,), flags = read(measurand=measurand, value=value, unit=unit)
    assert sample.value == pytest.approx(expected)
    assert flags == ["unit_mismatch"]


def test_an_unknown_unit_of_a_known_measurand_is_left_out() -> None:
    samples, flags = read(measurand="Power.Active.Import", value=5, unitOfMeasure={"unit": "hp"})
    assert (samples, flags) == ([], ["unit_unknown"])


def test_an_unknown_unit_of_an_unknown_measurand_is_kept_as_it_is() -> None:
    (sample,), flags = read(measurand="RPM", value="1500", unit="rpm")
    assert (sample.value, sample.unit, flags) == (1500.0, "rpm", [])


def test_signed_data_of_16_is_kept_raw_and_never_a_number() -> None:
    (sample,), flags = read(value="4F434D", format="SignedData", unit="Wh")
    assert sample.measurand == "SignedData.Energy.Active.Import.Register"
    assert (sample.unit, sample.raw, flags) == ("signed", "4F434D", [])


def test_signed_data_of_2x_stands_beside_its_number() -> None:
    signed = {"signedMeterData": "BLOB", "signingMethod": "", "encodingMethod": "", "publicKey": ""}
    (evidence, number), _ = read(value=1000, signedMeterValue=signed)
    assert (evidence.measurand, evidence.raw) == (
        "SignedData.Energy.Active.Import.Register",
        "BLOB",
    )
    assert (number.measurand, number.value) == ("Energy.Active.Import.Register", 1.0)


def test_phase_context_and_location_are_kept() -> None:
    (sample,), _ = read(
        value="1", phase="L1-N", context="Transaction.End", location="Inlet", measurand="Voltage"
    )
    assert (sample.phase, sample.context, sample.location) == ("L1-N", "Transaction.End", "Inlet")


def test_a_list_of_meter_values_keeps_its_times_and_each_flag_once() -> None:
    values = [
        {"timestamp": "2026-01-05T11:59:00", "sampledValue": [{"value": "1"}, {"value": "x"}]},
        {"timestamp": "2026-01-05T12:00:00", "sampledValue": [{"value": "y"}, {"value": "2"}]},
    ]
    readings = read_meter_values(values, lambda text: read_time(text, NOW))
    assert [s.measured_at for s in readings.samples] == [NOW - timedelta(minutes=1), NOW]
    assert readings.flags == ("naive_time", "value_unreadable")


def test_an_unreadable_time_of_a_meter_value_is_now_and_flagged() -> None:
    values = [{"timestamp": "noon", "sampledValue": [{"value": "1"}]}]
    readings = read_meter_values(values, lambda text: read_time(text, NOW))
    assert readings.samples[0].measured_at == NOW
    assert readings.flags == ("time_unreadable",)


# -- power --


def sample(
    measurand: str,
    value: float,
    phase: str | None = None,
    location: str = "Outlet",
    at: datetime = NOW,
) -> MeterSample:
    return MeterSample(
        measured_at=at, measurand=measurand, value=value, unit="", phase=phase, location=location
    )


IMPORT, EXPORT, AMPS, AMPS_OUT = (
    "Power.Active.Import",
    "Power.Active.Export",
    "Current.Import",
    "Current.Export",
)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], None),
        ([sample("SoC", 0.5), sample("Voltage", 230.0)], None),
        ([sample(IMPORT, 7.0)], 7.0),
        ([sample(EXPORT, 7.0)], -7.0),
        ([sample(IMPORT, 0.0), sample(EXPORT, 7.0)], -7.0),
        ([sample(IMPORT, 7.0), sample(EXPORT, 0.0)], 7.0),
        ([sample(IMPORT, -7.0)], -7.0),
        ([sample(IMPORT, -7.0), sample(EXPORT, 7.0)], -7.0),
        ([sample(IMPORT, -7.0), sample(EXPORT, 0.0)], -7.0),
        ([sample(IMPORT, 3.6, "L1"), sample(IMPORT, 3.7, "L2"), sample(IMPORT, 3.8, "L3")], 11.1),
        ([sample(IMPORT, 3.6, "L1-N"), sample(IMPORT, 3.7, "L2-N")], 7.3),
        ([sample(IMPORT, 11.0), sample(IMPORT, 3.6, "L1")], 11.0),
        ([sample(IMPORT, 9.0, "L1-L2")], None),
        ([sample(IMPORT, 7.0), sample(AMPS, 99.0)], 7.0),
        ([sample(AMPS, 16.0, "L1")], 3.68),
        ([sample(AMPS, 16.0, p) for p in ("L1", "L2", "L3")], 11.04),
        ([sample(AMPS, 48.0)], 11.04),
        ([sample(AMPS, 16.0, "L1"), sample("Voltage", 240.0, "L1")], 3.84),
        ([sample(AMPS, 16.0, "L1"), sample("Voltage", 240.0, "L1-N")], 3.84),
        ([sample(AMPS, 16.0, "L1"), sample("Voltage", 415.692194, "L1-L2")], 3.84),
        ([sample(AMPS, 25.0), sample("Voltage", 400.0)], 10.0),
        ([sample(AMPS_OUT, 25.0), sample("Voltage", 400.0)], -10.0),
        ([sample(IMPORT, 6.0, location="Inlet"), sample(IMPORT, 5.0)], 5.0),
        ([sample(IMPORT, 6.0, location="Inlet")], 6.0),
        ([sample(IMPORT, 6.0, location="Inlet"), sample(IMPORT, 5.0, location="EV")], 5.0),
        ([sample(IMPORT, 9.0, at=NOW - timedelta(minutes=1)), sample(IMPORT, 5.0)], 5.0),
    ],
)
def test_power_is_import_minus_export_over_all_phases(
    samples: list[MeterSample], expected: float | None
) -> None:
    result = power_kw(samples)
    assert result == (None if expected is None else pytest.approx(expected))


def test_the_nominal_voltage_may_be_another() -> None:
    assert power_kw([sample(AMPS, 10.0, "L1")], voltage_v=120.0) == pytest.approx(1.2)


def test_a_reading_of_a_whole_number_beyond_doubles_is_still_finite() -> None:
    flags: list[str] = []
    converted = convert(2**64 - 1, "Wh", 24, "Energy.Active.Import.Register", flags)
    assert converted == (pytest.approx(1.8446744e40), "kWh")
