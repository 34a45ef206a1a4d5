"""Whatever happens to a station: every message is valid, nothing is lost, energy is conserved."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import CallTimeout, ConnectionLost
from gridleaf.domain.site import Evse
from gridleaf.ocpp.csms import Payload
from gridleaf.sim.station import SimStation
from sim_csms import AC3, DC, START, Csms, car, measured, play

steps = st.lists(
    st.one_of(
        st.tuples(st.just("sleep"), st.sampled_from([0.0, 1.0, 47.0, 600.0, 5000.0])),
        st.tuples(st.just("plug"), st.floats(0.0, 1.0)),
        st.tuples(st.just("unplug"), st.just(0.0)),
        st.tuples(st.just("limit"), st.sampled_from([0.0, 1.5, 5.0, 9.3, 22.0])),
        st.tuples(st.just("setpoint"), st.sampled_from([-22.0, -3.0, 0.0, 8.0])),
        st.tuples(st.just("offline"), st.sampled_from([5.0, 90.0, 2000.0])),
        st.tuples(st.just("disobey"), st.sampled_from([0.0, 1.0])),
        st.tuples(st.just("stop"), st.just(0.0)),
        st.tuples(st.just("reset"), st.just(0.0)),
        st.tuples(st.just("trigger"), st.just(0.0)),
    ),
    max_size=14,
)


def scheduled(version: str, kw: float, *, v2g: bool) -> Payload:
    """A default profile with a limit, or with a setpoint for 700 s, in the words of a version."""
    period: Payload = {"startPeriod": 0, "limit": kw * 1000}
    if v2g:
        period = {"startPeriod": 0, "setpoint": kw * 1000, "operationMode": "CentralSetpoint"}
    schedule: Payload = {
        "chargingRateUnit": "W",
        "startSchedule": START.isoformat(),
        "chargingSchedulePeriod": [period],
    }
    if v2g:
        schedule["duration"] = 700
    common = {
        "stackLevel": 1 if v2g else 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
    }
    number = 2002 if v2g else 2001
    if version == "ocpp1.6":
        raw = {**common, "chargingProfileId": number, "chargingSchedule": schedule}
        return {"connectorId": 1, "csChargingProfiles": raw}
    raw = {**common, "id": number, "chargingSchedule": [{"id": 1, **schedule}]}
    return {"evseId": 1, "chargingProfile": raw}


async def ask(csms: Csms, action: str, payload: Payload) -> None:
    """Call the station; the connection may be breaking."""
    with suppress(ConnectionLost, CallTimeout):
        await csms.call(action, payload)


async def act(
    name: str, value: float, station: SimStation, csms: Csms, clock: Clock, cells: list[float]
) -> None:
    connected = csms.peer is not None and station.link.online
    evse = station.evses[1]
    match name:
        case "sleep":
            await clock.sleep(value)
        case "plug" if evse.vehicle is None:
            dc = evse.config.current == "DC"
            most = 46.0 if dc else 11.0
            name = f"CAR-{len(cells)}"
            vehicle = car(id_token=name, soc=value, charge_max_kw=most, reports_soc=dc)
            await station.plug(1, vehicle)
            cells.append(-value)
        case "unplug" if evse.vehicle is not None:
            cells.append((await station.unplug(1)).soc)
        case "limit" if connected:
            await ask(csms, "SetChargingProfile", scheduled(station.version, value, v2g=False))
        case "setpoint" if connected and station.version == "ocpp2.1":
            await ask(csms, "SetChargingProfile", scheduled(station.version, value, v2g=True))
        case "offline":
            station.offline(value)
        case "disobey":
            station.disobey = bool(value)
        case "stop":
            station.stop(evse, "local")
        case "reset" if connected:
            kind = "Soft" if station.version == "ocpp1.6" else "Immediate"
            await ask(csms, "Reset", {"type": kind})
        case "trigger" if connected:
            await ask(csms, "TriggerMessage", {"requestedMessage": "MeterValues"})


def once(reports: list[Payload]) -> list[Payload]:
    """Reports without those that were sent again because the answer got lost."""
    return [r for n, r in enumerate(reports) if n == 0 or r != reports[n - 1]]


def check_transactions(csms: Csms) -> None:
    if csms.version == "ocpp1.6":
        starts, stops = once(csms.sent("StartTransaction")), once(csms.sent("StopTransaction"))
        for start, stop in zip(starts, stops, strict=True):
            assert start["meterStart"] <= stop["meterStop"]
        return
    told: dict[str, list[Payload]] = {}
    for event in once(csms.events()):
        told.setdefault(event["transactionInfo"]["transactionId"], []).append(event)
    for events in told.values():
        assert [e["seqNo"] for e in events] == list(range(len(events)))
        kinds = [e["eventType"] for e in events]
        assert kinds == ["Started", *["Updated"] * (len(events) - 2), "Ended"]
        registers = [measured(e["meterValue"], "Energy.Active.Import.Register") for e in events]
        assert registers == sorted(registers)


@pytest.mark.parametrize(
    ("version", "evses"),
    [("ocpp2.1", DC), ("ocpp2.0.1", AC3), ("ocpp2.0.1", DC), ("ocpp1.6", AC3)],
)
@settings(max_examples=60, deadline=None)
@given(story=steps)
def test_nothing_is_lost_and_energy_is_conserved(
    version: str, evses: tuple[Evse, ...], story: list[tuple[str, float]]
) -> None:
    cells: list[float] = []
    registers: list[tuple[float, float]] = []

    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        for name, value in story:
            await act(name, value, station, csms, clock, cells)
            power: Any = station.power_kw(1)
            assert -22.0 - 1e-9 <= power <= evses[0].charge_max_kw + 1e-9
        if station.vehicle(1) is not None:
            cells.append((await station.unplug(1)).soc)
        await clock.sleep(3000)
        assert station.link.online
        assert not station.link.waiting
        registers.append(station.energy(1))

    csms = play(scene, version, evses)
    check_transactions(csms)
    imported, exported = registers[0]
    assert math.fsum(cells) * 39 == pytest.approx(imported * 0.93 - exported / 0.93, abs=1e-6)
    if evses is AC3:
        assert exported == 0.0
