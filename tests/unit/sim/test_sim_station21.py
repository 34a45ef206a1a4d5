from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import RejectedByStation
from gridleaf.sim.station import SimStation
from sim_csms import AC3, DC, START, Csms, car, measured, play

V = "ocpp2.1"


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def profile(transaction_id: str | None, **changes: Any) -> dict[str, Any]:
    period = {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": -10_000.0}
    fields: dict[str, Any] = {
        "id": 1001,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile" if transaction_id else "TxDefaultProfile",
        "chargingProfileKind": "Dynamic",
        "chargingSchedule": [
            {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
        ],
        **changes,
    }
    if transaction_id:
        fields["transactionId"] = transaction_id
    return {"evseId": 1, "chargingProfile": fields}


def default(limit_w: float) -> dict[str, Any]:
    schedule = {
        "id": 1,
        "chargingRateUnit": "W",
        "startSchedule": at(-86_400),
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_w}],
    }
    return profile(
        None, id=2001, stackLevel=0, chargingProfileKind="Absolute", chargingSchedule=[schedule]
    )


def transaction_of(csms: Csms) -> str:
    return str(csms.events("Started")[-1]["transactionInfo"]["transactionId"])


def test_a_v2g_session_from_plug_to_unplug() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car(target_soc=0.9), departure_at=START + timedelta(hours=14))
        await clock.sleep(1)
        assert (await csms.call("SetChargingProfile", default(4000.0)))["status"] == "Accepted"
        answer = await csms.call("SetChargingProfile", profile(transaction_of(csms)))
        assert answer == {"status": "Accepted"}
        await clock.sleep(600)
        assert station.power_kw(1) == -10.0
        update = {"chargingProfileId": 1001, "scheduleUpdate": {"setpoint": 6000.0}}
        assert (await csms.call("UpdateDynamicSchedule", update))["status"] == "Accepted"
        await clock.sleep(600)
        assert station.power_kw(1) == 6.0
        vehicle = await station.unplug(1)
        imported, exported = station.energy(1)
        assert exported == pytest.approx(10 * 10 / 60, rel=0.05)
        cells = imported * 0.93 - exported / 0.93
        assert cells == pytest.approx((vehicle.soc - 0.5) * 39, abs=1e-9)
        await clock.sleep(1)

    csms = play(scene, V, DC)
    assert [a for _, a, _ in csms.log[:5]] == [
        "BootNotification",
        "StatusNotification",
        "StatusNotification",
        "Authorize",
        "TransactionEvent",
    ]
    needs = csms.sent("NotifyEVChargingNeeds")[0]["chargingNeeds"]
    assert needs["requestedEnergyTransfer"] == "DC_BPT"
    assert needs["departureTime"] == "2026-01-06T06:00:00.000Z"
    assert needs["v2xChargingParameters"]["maxDischargePower"] == 22_000
    assert needs["v2xChargingParameters"]["targetSoC"] == 90
    events = csms.events()
    assert [e["seqNo"] for e in events] == list(range(len(events)))
    assert events[-1]["eventType"] == "Ended"
    assert events[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"
    assert any(e["triggerReason"] == "OperationModeChanged" for e in events)
    assert min(measured(e["meterValue"], "Power.Active.Export") for e in events) == 0
    assert max(measured(e["meterValue"], "Power.Active.Export") for e in events) == 10_000
    assert measured(events[-1]["meterValue"], "SoC") > 0


def test_meter_values_come_every_interval_and_a_full_car_is_suspended_by_itself() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car(soc=0.97))
        await clock.sleep(3600)

    csms = play(scene, V, DC)
    updates = [e for e in csms.events("Updated") if e["triggerReason"] == "MeterValuePeriodic"]
    assert 59 <= len(updates) <= 61
    assert updates[-1]["transactionInfo"]["chargingState"] == "SuspendedEV"
    assert measured(updates[-1]["meterValue"], "SoC") == 100


def test_a_profile_that_runs_out_falls_to_the_default() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car())
        await clock.sleep(1)
        await csms.call("SetChargingProfile", default(4000.0))
        schedule = {
            "id": 1,
            "chargingRateUnit": "W",
            "startSchedule": at(clock.monotonic()),
            "duration": 300,
            "chargingSchedulePeriod": [
                {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": -5000.0}
            ],
        }
        absolute = profile(
            transaction_of(csms), chargingProfileKind="Absolute", chargingSchedule=[schedule]
        )
        assert (await csms.call("SetChargingProfile", absolute))["status"] == "Accepted"
        await clock.sleep(290)
        assert station.power_kw(1) == -5.0
        await clock.sleep(30)
        assert station.power_kw(1) == 4.0

    play(scene, V, DC)


def test_a_dynamic_profile_lives_for_its_duration_after_the_last_update() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car())
        await clock.sleep(1)
        await csms.call("SetChargingProfile", default(4000.0))
        dynamic = profile(transaction_of(csms))
        dynamic["chargingProfile"]["chargingSchedule"][0]["duration"] = 120
        await csms.call("SetChargingProfile", dynamic)
        update = {"chargingProfileId": 1001, "scheduleUpdate": {"setpoint": -8000.0}}
        for _ in range(3):
            await clock.sleep(100)
            await csms.call("UpdateDynamicSchedule", update)
        await clock.sleep(110)
        assert station.power_kw(1) == -8.0
        await clock.sleep(20)
        assert station.power_kw(1) == 4.0

    play(scene, V, DC)


@pytest.mark.parametrize("dies", [True, False])
def test_offline_a_profile_ends_after_its_offline_duration(dies: bool) -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car(soc=0.9))
        await clock.sleep(1)
        await csms.call("SetChargingProfile", default(4000.0))
        dynamic = profile(
            transaction_of(csms), maxOfflineDuration=60, invalidAfterOfflineDuration=dies
        )
        await csms.call("SetChargingProfile", dynamic)
        station.offline(300)
        await clock.sleep(55)
        assert station.power_kw(1) == -10.0
        await clock.sleep(20)
        assert station.power_kw(1) == 4.0
        await clock.sleep(300)
        assert station.link.online
        assert station.power_kw(1) == (4.0 if dies else -10.0)

    csms = play(scene, V, DC)
    assert csms.connections == 2
    assert len(csms.sent("BootNotification")) == 1


def test_events_of_an_offline_time_come_later_in_order_and_marked() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car())
        await clock.sleep(100)
        station.offline(600)
        await clock.sleep(200)
        await station.unplug(1)
        await station.plug(1, car(id_token="LEAF-2"))
        await clock.sleep(100)
        assert len(csms.events("Ended")) == 0
        await clock.sleep(600)
        assert not station.link.waiting
        await station.unplug(1)
        await clock.sleep(1)

    csms = play(scene, V, DC)
    by_transaction: dict[str, list[dict[str, Any]]] = {}
    for event in csms.events():
        by_transaction.setdefault(event["transactionInfo"]["transactionId"], []).append(event)
    assert len(by_transaction) == 2
    for events in by_transaction.values():
        assert [e["seqNo"] for e in events] == list(range(len(events)))
        assert events[0]["eventType"] == "Started"
        assert events[-1]["eventType"] == "Ended"
        stamps = [e["timestamp"] for e in events]
        assert stamps == sorted(stamps)
    first, second = by_transaction.values()
    assert first[-1]["offline"]
    assert second[0]["offline"]
    assert second[0]["idToken"]["idToken"] == "LEAF-2"
    assert "offline" not in second[-1]


def test_without_permission_a_negative_setpoint_only_stops_charging() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        csms.answers["Authorize"] = lambda _: {
            "idTokenInfo": {"status": "Accepted"},
            "allowedEnergyTransfer": ["DC"],
        }
        await station.plug(1, car())
        await clock.sleep(1)
        tx = transaction_of(csms)
        await csms.call("SetChargingProfile", profile(tx))
        await clock.sleep(60)
        assert station.power_kw(1) == 0.0
        allow = {"transactionId": tx, "allowedEnergyTransfer": ["DC", "DC_BPT"]}
        assert (await csms.call("NotifyAllowedEnergyTransfer", allow))["status"] == "Accepted"
        await clock.sleep(60)
        assert station.power_kw(1) == -10.0

    csms = play(scene, V, DC)
    asked = [n["chargingNeeds"] for n in csms.sent("NotifyEVChargingNeeds")]
    assert [n["requestedEnergyTransfer"] for n in asked] == ["DC", "DC_BPT"]
    assert "v2xChargingParameters" not in asked[0]


def test_a_dynamic_profile_with_an_interval_is_pulled() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car())
        await clock.sleep(1)
        await csms.call("SetChargingProfile", profile(transaction_of(csms), dynUpdateInterval=30))
        await clock.sleep(100)
        assert station.power_kw(1) == -3.0
        await station.unplug(1)
        await clock.sleep(300)

    csms = play(scene, V, DC)
    assert csms.sent("PullDynamicScheduleUpdate") == [{"chargingProfileId": 1001}] * 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chargingProfilePurpose": "PriorityCharging"}, "UnsupportedPurpose"),
        ({"transactionId": "another"}, "TxNotFound"),
        ({"id": 7}, "InvalidProfileId"),
        ({"stackLevel": 11}, "InvalidStackLevel"),
        ({"chargingProfileKind": "Absolute", "dynUpdateInterval": 3}, "InvalidProfile"),
        ({"chargingProfileKind": "Absolute"}, "InvalidSchedule"),
        ({"period": {"startPeriod": 5}}, "InvalidSchedule"),
        ({"period": {"setpoint": -9e3, "dischargeLimit": -5e3}}, "InvalidSchedule"),
        ({"period": {"operationMode": "LocalFrequency"}}, "InvalidOperationMode"),
        ({"period": {"operationMode": "ChargingOnly", "limit": 5e3}}, "InvalidSchedule"),
        ({"period": {"numberPhases": 3}}, "NoPhaseForDC"),
        ({"period": {"setpoint_L2": -3.0}}, "PhaseConflict"),
        ({"schedule": {"chargingRateUnit": "A"}}, "UnsupportedRateUnit"),
        ({"schedule": {"useLocalTime": True}}, "InvalidSchedule"),
    ],
)
def test_profiles_are_refused_with_the_reason_of_the_specification(
    changes: dict[str, Any], reason: str
) -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car())
        await clock.sleep(1)
        wrong = profile(transaction_of(csms))
        raw = wrong["chargingProfile"]
        schedule = raw["chargingSchedule"][0]
        schedule["chargingSchedulePeriod"][0].update(changes.pop("period", {}))
        schedule.update(changes.pop("schedule", {}))
        raw.update(changes)
        answer = await csms.call("SetChargingProfile", wrong)
        assert answer["status"] == "Rejected"
        assert answer["statusInfo"]["reasonCode"] == reason
        assert len(station.profiles) == 0

    play(scene, V, DC)


def test_profiles_in_each_others_place_are_refused() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car())
        await clock.sleep(1)
        tx = transaction_of(csms)
        await csms.call("SetChargingProfile", default(4000.0))
        await csms.call("SetChargingProfile", profile(tx))
        assert (await csms.call("SetChargingProfile", profile(tx)))["status"] == "Accepted"
        assert len(station.profiles) == 2
        other = await csms.call("SetChargingProfile", profile(tx, id=1002))
        assert other["statusInfo"]["reasonCode"] == "InvalidStackLevel"
        twice = default(3000.0)
        twice["chargingProfile"]["id"] = 2002
        answer = await csms.call("SetChargingProfile", twice)
        assert answer["statusInfo"]["reasonCode"] == "DuplicateProfile"

    play(scene, V, DC)


def test_composite_schedule_and_reported_profiles_show_what_holds() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car())
        await clock.sleep(1)
        await csms.call("SetChargingProfile", default(4000.0))
        dynamic = profile(transaction_of(csms))
        dynamic["chargingProfile"]["chargingSchedule"][0]["duration"] = 300
        await csms.call("SetChargingProfile", dynamic)
        answer = await csms.call("GetCompositeSchedule", {"duration": 900, "evseId": 1})
        first, second = answer["schedule"]["chargingSchedulePeriod"]
        assert first["setpoint"] == -10_000
        assert first["operationMode"] == "CentralSetpoint"
        assert second == {"startPeriod": 300, "operationMode": "ChargingOnly", "limit": 4000.0}
        update = {"chargingProfileId": 1001, "scheduleUpdate": {"setpoint": 2000.0}}
        await csms.call("UpdateDynamicSchedule", update)
        wanted = {"requestId": 5, "chargingProfile": {}}
        assert (await csms.call("GetChargingProfiles", wanted))["status"] == "Accepted"
        await clock.sleep(1)
        criteria = {"chargingProfileCriteria": {"chargingProfilePurpose": "TxProfile"}}
        assert (await csms.call("ClearChargingProfile", criteria))["status"] == "Accepted"
        assert (await csms.call("ClearChargingProfile", criteria))["status"] == "Unknown"
        only = {"requestId": 6, "chargingProfile": {"chargingProfileId": [1001]}}
        assert (await csms.call("GetChargingProfiles", only))["status"] == "NoProfiles"

    csms = play(scene, V, DC)
    reports = csms.sent("ReportChargingProfiles")
    assert [r["tbc"] for r in reports] == [True, False]
    period = reports[1]["chargingProfile"][0]["chargingSchedule"][0]["chargingSchedulePeriod"][0]
    assert period["setpoint"] == 2000.0


def test_updates_of_what_is_not_dynamic_are_refused() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await csms.call("SetChargingProfile", default(4000.0))
        for number in (2001, 5):
            update = {"chargingProfileId": number, "scheduleUpdate": {"limit": 2000.0}}
            assert (await csms.call("UpdateDynamicSchedule", update))["status"] == "Rejected"
        with pytest.raises(RejectedByStation, match="NotSupported"):
            await csms.call("AFRRSignal", {"timestamp": at(0), "signal": 1})

    play(scene, V, DC)


def test_a_charging_only_ac_station_says_so() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        def ask(component: str, variable: str, evse: int | None = None) -> dict[str, Any]:
            named: dict[str, Any] = {"name": component}
            if evse is not None:
                named["evse"] = {"id": evse}
            return {"component": named, "variable": {"name": variable}}

        query = [
            ask("SmartChargingCtrlr", "SupportsDynamicProfiles"),
            ask("V2XChargingCtrlr", "Enabled", 1),
            ask("V2XChargingCtrlr", "SupportedOperationModes", 1),
            ask("ConnectedEV", "Available", 1),
            ask("SmartChargingCtrlr", "Nonsense"),
            ask("Nonsense", "Enabled"),
        ]
        answer = await csms.call("GetVariables", {"getVariableData": query})
        results = answer["getVariableResult"]
        assert [r.get("attributeValue") for r in results] == [
            "true",
            "false",
            "ChargingOnly",
            "false",
            None,
            None,
        ]
        assert [r["attributeStatus"] for r in results[4:]] == [
            "UnknownVariable",
            "UnknownComponent",
        ]
        assert (
            await csms.call("GetBaseReport", {"requestId": 3, "reportBase": "FullInventory"})
        ) == {"status": "Accepted"}
        await clock.sleep(1)

    csms = play(scene, V, AC3)
    reports = csms.sent("NotifyReport")
    assert [r["seqNo"] for r in reports] == list(range(len(reports)))
    assert [r["tbc"] for r in reports] == [True] * (len(reports) - 1) + [False]
    names = [d["variable"]["name"] for r in reports for d in r["reportData"]]
    assert "SupportedOperationModes" in names
