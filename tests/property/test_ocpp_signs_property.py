"""Signs and units survive the wire, in every protocol (reference table of ``ocpp.profiles``)."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.domain.events import NeedsReported
from gridleaf.domain.meter import MeterSample
from gridleaf.ocpp import commands
from gridleaf.ocpp.commands import SetpointStep
from gridleaf.ocpp.csms import Payload
from gridleaf.ocpp.profiles import from_wire, read_steps, to_wire
from gridleaf.ocpp.units import power_kw, read_sample
from ocpp_fakes import NOW, V16, V21, V201, Desk, FakeHost, stamp

powers = st.floats(-350, 350, allow_nan=False)
magnitudes = st.floats(0, 400_000, allow_nan=False)
units = st.sampled_from(["A", "W"])
phase_counts = st.sampled_from([None, 1, 3])
voltages = st.floats(100, 480)
VIAS = ["none", "ocpp21", "negative_limit"]


@given(power=powers, unit=units, phases=phase_counts, volts=voltages)
def test_a_rate_is_never_rounded_up_and_keeps_its_sign(
    power: float, unit: Literal["A", "W"], phases: int | None, volts: float
) -> None:
    rate = to_wire(power, unit, volts, negative=True, phases=phases)
    back = from_wire(rate, unit, volts, phases)
    step_kw = abs(from_wire(0.1, unit, volts, phases))
    assert abs(back) <= abs(power) + 1e-6 * step_kw
    assert abs(back - power) <= step_kw * (1 + 1e-6)
    assert back * power >= 0
    assert rate * 10 == pytest.approx(round(rate * 10))


@given(power=powers, unit=units, phases=phase_counts, volts=voltages)
def test_a_rate_that_may_not_be_negative_is_not(
    power: float, unit: Literal["A", "W"], phases: int | None, volts: float
) -> None:
    rate = to_wire(power, unit, volts, negative=False, phases=phases)
    assert rate >= 0
    if power < 0:
        assert rate == 0


@given(amps=st.floats(0, 500), power=powers)
def test_worked_out_amperes_keep_the_sign_of_the_power(amps: float, power: float) -> None:
    rate = to_wire(power, "A", 230.0, negative=True, limit_a=amps)
    assert abs(rate) <= amps + 1e-6
    assert rate * power >= 0
    if power == 0:
        assert rate == 0


def numbers(node: Any, key: str) -> list[float]:
    """Every number under a key that starts so, anywhere in a payload."""
    if isinstance(node, dict):
        found = [v for k, v in node.items() if k.startswith(key) and isinstance(v, int | float)]
        return found + [n for v in node.values() for n in numbers(v, key)]
    if isinstance(node, list):
        return [n for v in node for n in numbers(v, key)]
    return []


def periods(payload: Payload) -> tuple[list[Payload], Literal["A", "W"]]:
    if "csChargingProfiles" in payload:
        schedule = payload["csChargingProfiles"]["chargingSchedule"]
    else:
        (schedule,) = payload["chargingProfile"]["chargingSchedule"]
    return schedule["chargingSchedulePeriod"], schedule["chargingRateUnit"]


@settings(max_examples=200, deadline=None)
@given(
    version=st.sampled_from([V16, V201, V21]),
    via=st.sampled_from(VIAS),
    steps=st.lists(powers, min_size=1, max_size=5),
    unit=units,
    phases=phase_counts,
    v2x=st.booleans(),
    dynamic=st.booleans(),
)
def test_a_profile_means_at_the_station_what_was_meant_here(
    version: str,
    via: Any,
    steps: list[float],
    unit: Literal["A", "W"],
    phases: int | None,
    v2x: bool,
    dynamic: bool,
) -> None:
    desk = Desk(version, FakeHost(discharge_via=via))
    command = commands.SetProfile(
        evse_id=1,
        transaction_id="4711",
        profile_id=1,
        stack_level=0,
        start=NOW,
        expires_s=600,
        steps=tuple(SetpointStep(start_s=60 * i, power_kw=p) for i, p in enumerate(steps)),
        rate_unit=unit,
        phases=phases,
        v2x=v2x,
        dynamic=dynamic and version == V21 and via == "ocpp21",
    )
    _, payload = desk.sent(command)
    assert numbers(payload, "dischargeLimit") == []
    if via != "negative_limit" or not v2x:
        assert all(limit >= 0 for limit in numbers(payload, "limit"))
    if via != "ocpp21" or version != V21:
        assert numbers(payload, "setpoint") == []
    expressible = (via == "negative_limit" and v2x) or (
        via == "ocpp21" and version == V21 and (v2x or command.dynamic)
    )
    sent, sent_unit = periods(payload)
    got = read_steps(sent, sent_unit, desk.host.voltage_v)
    for step, meant in zip(got, steps, strict=False):
        wanted = meant if expressible or meant > 0 else 0.0
        resolution_kw = from_wire(0.1, sent_unit, desk.host.voltage_v, phases)
        assert step.power_kw == pytest.approx(wanted, abs=resolution_kw * 1.001)


@settings(max_examples=100, deadline=None)
@given(power=powers, via=st.sampled_from(VIAS))
def test_an_update_of_21_is_signed_watts(power: float, via: Any) -> None:
    desk = Desk(V21, FakeHost(discharge_via=via))
    _, payload = desk.sent(commands.UpdateSetpoint(profile_id=1, power_kw=power))
    wanted = power if via == "ocpp21" or power > 0 else 0.0
    assert payload["scheduleUpdate"]["setpoint"] == pytest.approx(wanted * 1000, abs=0.11)
    desk.host.setpoints = {1: power}
    pulled = desk.ask("PullDynamicScheduleUpdate", {"chargingProfileId": 1})
    assert pulled["scheduleUpdate"] == payload["scheduleUpdate"]


@settings(max_examples=100, deadline=None)
@given(
    low=magnitudes,
    high=magnitudes,
    sign=st.sampled_from([1, -1]),
    energies=st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)),
)
def test_needs_of_21_hold_magnitudes_whatever_sign_a_station_sends(
    low: float, high: float, sign: int, energies: tuple[float, float]
) -> None:
    desk = Desk(V21)
    v2x = {
        "minDischargePower": sign * low,
        "maxDischargePower": sign * high,
        "maxDischargePower_L2": sign * high,
        "maxChargePower": high,
        "evMinV2XEnergyRequest": energies[0],
        "evMaxV2XEnergyRequest": energies[1],
    }
    desk.ask(
        "NotifyEVChargingNeeds",
        {
            "evseId": 1,
            "chargingNeeds": {"requestedEnergyTransfer": "DC_BPT", "v2xChargingParameters": v2x},
        },
    )
    needs = desk.last()
    assert isinstance(needs, NeedsReported)
    assert needs.discharge_min_kw == pytest.approx(low / 1000)
    assert needs.discharge_max_kw == pytest.approx(2 * high / 1000)
    assert needs.charge_max_kw == pytest.approx(high / 1000)
    assert (needs.v2x_min_energy_kwh, needs.v2x_max_energy_kwh) == (
        pytest.approx(energies[0] / 1000),
        pytest.approx(energies[1] / 1000),
    )


def samples(entries: list[dict[str, Any]]) -> list[MeterSample]:
    flags: list[str] = []
    return [s for entry in entries for s in read_sample(entry, NOW, flags)]


@given(power=powers, unit=st.sampled_from(["W", "kW"]), as_text=st.booleans())
def test_power_reads_the_same_from_import_and_export_in_any_unit(
    power: float, unit: str, as_text: bool
) -> None:
    scale = 1000 if unit == "W" else 1
    directions = {"Power.Active.Import": max(power, 0.0), "Power.Active.Export": max(-power, 0.0)}
    entries = [
        {
            "measurand": name,
            "value": str(value * scale) if as_text else value * scale,
            "unit": unit,
        }
        for name, value in directions.items()
    ]
    assert power_kw(samples(entries)) == pytest.approx(power, abs=1e-9)


@given(per_phase=st.lists(st.floats(0, 120), min_size=1, max_size=3), out=st.booleans())
def test_power_of_phases_is_their_sum(per_phase: list[float], out: bool) -> None:
    name = "Power.Active.Export" if out else "Power.Active.Import"
    entries = [
        {"measurand": name, "value": value, "phase": f"L{i}", "unitOfMeasure": {"unit": "kW"}}
        for i, value in enumerate(per_phase, 1)
    ]
    total = sum(per_phase)
    assert power_kw(samples(entries)) == pytest.approx(-total if out else total)


@given(
    value=st.text(max_size=12) | st.floats(allow_nan=True, allow_infinity=True),
    unit=st.text(max_size=6) | st.sampled_from(["Wh", "kWh", "W", "Percent"]),
    measurand=st.sampled_from(["SoC", "Voltage", "Power.Active.Export", "RPM", "Power.Factor"]),
    multiplier=st.integers(),
)
def test_any_sample_is_read_or_flagged_and_always_finite(
    value: str | float, unit: str, measurand: str, multiplier: int
) -> None:
    flags: list[str] = []
    entry = {
        "value": value,
        "measurand": measurand,
        "unitOfMeasure": {"unit": unit, "multiplier": multiplier},
    }
    read = read_sample(entry, NOW, flags)
    assert read or flags
    for sample in read:
        assert abs(sample.value) < float("inf")
        if measurand == "Power.Active.Export":
            assert sample.value >= 0
    assert stamp()
