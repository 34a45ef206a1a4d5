from __future__ import annotations

from typing import Any

import pytest

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ProtocolError
from gridleaf.domain.site import Evse
from gridleaf.sim.station import SimStation
from sim_csms import AC3, DC, START, Csms, car, measured, play

V = "ocpp2.0.1"
TOKEN = {"idToken": "OFFICE", "type": "ISO14443"}


def ac_car(**changes: Any) -> Any:
    return car(**{"charge_max_kw": 11.0, "reports_soc": False, "id_token": "POOL-1", **changes})


def profile(transaction_id: str | None, limit_a: float, **changes: Any) -> dict[str, Any]:
    schedule = {
        "id": 1,
        "chargingRateUnit": "A",
        "startSchedule": START.isoformat(),
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}],
    }
    raw: dict[str, Any] = {
        "id": 1001,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
        **changes,
    }
    if transaction_id is not None:
        raw["transactionId"] = transaction_id
    return {"evseId": 1, "chargingProfile": raw}


def test_an_ac_session_with_phases_and_the_six_ampere_floor() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, ac_car())
        await clock.sleep(90)
        tx = csms.events("Started")[0]["transactionInfo"]["transactionId"]
        assert station.power_kw(1) == pytest.approx(11.0)
        for limit, expected in ((10.7, 6.9), (6.0, 4.14), (5.5, 0.0)):
            answer = await csms.call("SetChargingProfile", profile(tx, limit))
            assert answer == {"status": "Accepted"}
            await clock.sleep(90)
            assert station.power_kw(1) == pytest.approx(expected)

    csms = play(scene, V, AC3)
    assert csms.sent("NotifyEVChargingNeeds") == []
    states = [e["transactionInfo"]["chargingState"] for e in csms.events()]
    assert states[0] == "Charging"
    assert states[-1] == "SuspendedEVSE"
    update = csms.events("Updated")[0]
    assert update["numberOfPhasesUsed"] == 3
    samples = update["meterValue"][0]["sampledValue"]
    assert {s["phase"] for s in samples if s["measurand"] == "Current.Import"} == {
        "L1",
        "L2",
        "L3",
    }
    assert measured(update["meterValue"], "Current.Import") == pytest.approx(15.94, abs=0.01)


def test_a_dc_car_tells_its_needs_without_words_for_discharging() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car(soc=0.305, target_soc=0.8))
        await clock.sleep(1)

    needs = play(scene, V, DC).sent("NotifyEVChargingNeeds")[0]["chargingNeeds"]
    assert needs["requestedEnergyTransfer"] == "DC"
    assert needs["dcChargingParameters"]["stateOfCharge"] == 30
    assert needs["dcChargingParameters"]["energyAmount"] == round(0.495 * 39_000)
    assert "v2xChargingParameters" not in needs


def test_boot_is_repeated_until_it_is_accepted_and_nothing_else_is_said() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        later = [("Pending", 20), ("Rejected", 30), ("Accepted", 120)]

        def answer(_: Any) -> Any:
            status, interval = later.pop(0)
            return {"status": status, "interval": interval, "currentTime": START.isoformat()}

        csms.answers["BootNotification"] = answer
        station.link.booted = False
        station.offline(1)
        await clock.sleep(15)
        await station.plug(1, ac_car())
        await clock.sleep(500)

    csms = play(scene, V, AC3)
    after = [(t, a) for t, a, _ in csms.log if t > 1]
    boots = [t for t, a in after if a == "BootNotification"]
    assert boots[1] - boots[0] == pytest.approx(20)
    assert boots[2] - boots[1] == pytest.approx(30)
    assert [a for t, a in after if t < boots[2]] == ["BootNotification"] * 2
    beats = [t for t, a in after if a == "Heartbeat"]
    assert beats[1] - beats[0] == pytest.approx(120)
    started = csms.events("Started")[0]
    assert started["offline"]


def test_variables_are_read_and_set() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        interval = {
            "component": {"name": "SampledDataCtrlr"},
            "variable": {"name": "TxUpdatedInterval"},
        }
        units = {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": "RateUnit"}}
        attempts = {
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": "MessageAttempts", "instance": "TransactionEvent"},
        }
        dynamic = {
            "component": {"name": "SmartChargingCtrlr"},
            "variable": {"name": "SupportsDynamicProfiles"},
        }
        target = {**interval, "attributeType": "Target"}
        query = {"getVariableData": [interval, units, attempts, dynamic, target]}
        results = (await csms.call("GetVariables", query))["getVariableResult"]
        assert [r.get("attributeValue") for r in results[:3]] == ["60", "A,W", "3"]
        assert results[3]["attributeStatus"] == "UnknownVariable"
        assert results[4]["attributeStatus"] == "NotSupportedAttributeType"
        wanted = [
            {**interval, "attributeValue": "15"},
            {**interval, "attributeValue": "-3"},
            {**units, "attributeValue": "W"},
        ]
        answer = await csms.call("SetVariables", {"setVariableData": wanted})
        statuses = [r["attributeStatus"] for r in answer["setVariableResult"]]
        assert statuses == ["Accepted", "Rejected", "Rejected"]
        await station.plug(1, ac_car())
        await clock.sleep(61)
        wanted_report = {"requestId": 1, "reportBase": "ConfigurationInventory"}
        assert (await csms.call("GetBaseReport", wanted_report))["status"] == "Accepted"
        await clock.sleep(1)

    csms = play(scene, V, AC3)
    assert len(csms.events("Updated")) == 4
    rows = [row for r in csms.sent("NotifyReport") for row in r["reportData"]]
    assert all(r["variableAttribute"][0]["mutability"] == "ReadWrite" for r in rows)
    assert "TxUpdatedInterval" in [r["variable"]["name"] for r in rows]


def test_remote_start_with_a_profile_and_remote_stop() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        ask = {"evseId": 1, "idToken": TOKEN, "remoteStartId": 77}
        foreign = {**ask, "chargingProfile": profile("tx", 8.0)["chargingProfile"]}
        assert (await csms.call("RequestStartTransaction", foreign))["statusInfo"] == {
            "reasonCode": "InvalidValue",
            "additionalInfo": "a transaction is started with a TxProfile of its own",
        }
        own = {**ask, "chargingProfile": profile(None, 8.0)["chargingProfile"]}
        assert await csms.call("RequestStartTransaction", own) == {"status": "Accepted"}
        await clock.sleep(30)
        await station.plug(1, ac_car())
        await clock.sleep(60)
        assert station.power_kw(1) == pytest.approx(8 * 0.69)
        tx = csms.events("Started")[0]["transactionInfo"]["transactionId"]
        status = await csms.call("GetTransactionStatus", {"transactionId": tx})
        assert status == {"ongoingIndicator": True, "messagesInQueue": False}
        stop = {"transactionId": tx}
        assert await csms.call("RequestStopTransaction", stop) == {"status": "Accepted"}
        again = await csms.call("RequestStopTransaction", stop)
        assert again["statusInfo"]["reasonCode"] == "TxNotFound"
        assert len(station.profiles) == 0
        assert station.vehicle(1) is not None

    csms = play(scene, V, AC3)
    started = csms.events("Started")[0]
    assert started["transactionInfo"]["remoteStartId"] == 77
    assert started["idToken"]["idToken"] == "OFFICE"
    assert csms.events("Ended")[0]["transactionInfo"]["stoppedReason"] == "Remote"


def test_a_reset_on_idle_waits_for_the_transaction() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, ac_car())
        await clock.sleep(30)
        assert await csms.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
        await clock.sleep(60)
        assert csms.connections == 1
        await station.unplug(1)
        await clock.sleep(60)

    csms = play(scene, V, AC3)
    assert csms.connections == 2
    assert csms.sent("BootNotification")[1]["reason"] == "RemoteReset"


def test_an_immediate_reset_ends_the_transaction_and_tells_so_after_booting() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, ac_car())
        await clock.sleep(30)
        assert await csms.call("Reset", {"type": "Immediate"}) == {"status": "Accepted"}
        await clock.sleep(60)

    csms = play(scene, V, AC3)
    assert csms.events("Ended")[0]["transactionInfo"]["stoppedReason"] == "ImmediateReset"
    assert csms.connections == 2


def test_the_two_plugs_of_a_station_share_its_maximum() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        schedule = {
            "id": 1,
            "chargingRateUnit": "W",
            "startSchedule": START.isoformat(),
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16_560.0}],
        }
        most = profile(None, 0.0, chargingSchedule=[schedule])
        most["chargingProfile"]["chargingProfilePurpose"] = "ChargingStationMaxProfile"
        most["evseId"] = 0
        assert await csms.call("SetChargingProfile", most) == {"status": "Accepted"}
        await station.plug(1, ac_car(charge_max_kw=22.0))
        await clock.sleep(60)
        assert station.power_kw(1) == pytest.approx(16.56)
        await station.plug(2, ac_car(charge_max_kw=22.0, id_token="POOL-2"))
        await clock.sleep(60)
        assert station.power_kw(1) == pytest.approx(8.28)
        assert station.power_kw(2) == pytest.approx(8.28)
        ask = {"duration": 60, "evseId": 0, "chargingRateUnit": "W"}
        answer = await csms.call("GetCompositeSchedule", ask)
        assert answer["schedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 16560}]
        with pytest.raises(ProtocolError):
            await csms.call("UpdateDynamicSchedule", {})

    play(scene, V, (Evse(id=1, charge_max_kw=22.0), Evse(id=2, charge_max_kw=22.0)))


@pytest.mark.parametrize(
    ("via", "status", "expected_kw"),
    [("negative_limit", "Accepted", -7.0), ("none", "Rejected", 22.0)],
)
def test_a_negative_limit_discharges_only_where_the_back_port_is_configured(
    via: str, status: str, expected_kw: float
) -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car())
        tx = csms.events("Started")[0]["transactionInfo"]["transactionId"]
        schedule = {
            "id": 1,
            "chargingRateUnit": "W",
            "startSchedule": START.isoformat(),
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -7000.0}],
        }
        answer = await csms.call("SetChargingProfile", profile(tx, 0, chargingSchedule=[schedule]))
        assert answer["status"] == status
        await clock.sleep(60)
        assert station.power_kw(1) == expected_kw

    play(scene, V, DC, discharge_via=via)
