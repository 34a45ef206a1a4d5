from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ProtocolError
from gridleaf.sim.station import SimStation
from sim_csms import AC1, AC3, DC, START, Csms, car, measured, play

V = "ocpp1.6"


def profile(purpose: str, limit: float, **changes: Any) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "chargingRateUnit": "A",
        "startSchedule": START.isoformat(),
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    }
    schedule.update(changes.pop("schedule", {}))
    raw = {
        "chargingProfileId": {"TxProfile": 1001, "TxDefaultProfile": 2001}.get(purpose, 3001),
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
        **changes,
    }
    connector = 0 if purpose == "ChargePointMaxProfile" else 1
    return {"connectorId": connector, "csChargingProfiles": raw}


def ac_car(**changes: Any) -> Any:
    fields = {"id_token": "PHEV-1", "charge_max_kw": 7.36, "reports_soc": False, "ac_phases": 1}
    return car(**{**fields, **changes})


def test_a_session_from_plug_to_unplug() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, ac_car())
        await clock.sleep(120)
        assert station.power_kw(1) == pytest.approx(7.36)
        tx = csms.sent("MeterValues")[0]["transactionId"]
        set_16_a = profile("TxProfile", 16.0, transactionId=tx)
        assert await csms.call("SetChargingProfile", set_16_a) == {"status": "Accepted"}
        await clock.sleep(120)
        assert station.power_kw(1) == pytest.approx(3.68)
        pause = profile("TxProfile", 5.9)
        assert await csms.call("SetChargingProfile", pause) == {"status": "Accepted"}
        await clock.sleep(120)
        assert station.power_kw(1) == 0.0
        await station.unplug(1)
        await clock.sleep(1)

    csms = play(scene, V, AC1)
    statuses = [s["status"] for s in csms.sent("StatusNotification")]
    assert statuses == [
        "Available",
        "Preparing",
        "Charging",
        "SuspendedEVSE",
        "Finishing",
        "Available",
    ]
    start, stop = csms.sent("StartTransaction")[0], csms.sent("StopTransaction")[0]
    assert start["idTag"] == "PHEV-1"
    assert stop["reason"] == "EVDisconnected"
    assert stop["transactionId"] == 4711
    assert stop["meterStop"] - start["meterStart"] == pytest.approx(7360 / 30 + 3680 / 30, rel=0.02)
    values = csms.sent("MeterValues")
    assert {v["transactionId"] for v in values} == {4711}
    assert measured(values[1]["meterValue"], "Current.Import") == pytest.approx(32, abs=0.1)
    assert measured(values[1]["meterValue"], "Voltage") == 230
    names = {s["measurand"] for s in values[0]["meterValue"][0]["sampledValue"]}
    assert "SoC" not in names
    assert "Power.Active.Export" not in names


def test_a_transaction_of_an_offline_time_gets_its_number_when_it_is_told() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        station.offline(600)
        await clock.sleep(10)
        await station.plug(1, ac_car())
        await clock.sleep(150)
        await station.unplug(1)
        await clock.sleep(600)

    csms = play(scene, V, AC1)
    told = [(a, p) for _, a, p in csms.log if a.endswith("Transaction") or a == "MeterValues"]
    assert [a for a, _ in told] == [
        "StartTransaction",
        *["MeterValues"] * (len(told) - 2),
        "StopTransaction",
    ]
    assert len(told) > 3
    assert {p.get("transactionId") for _, p in told[1:]} == {4711}
    assert told[0][1]["timestamp"] < "2026-01-05T16:01"


def test_a_start_that_is_never_accepted_takes_its_followers_with_it() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        station.link.attempts = 2

        def refuse(_: Any) -> Any:
            raise ProtocolError("PropertyConstraintViolation", "no such tag here")

        csms.answers["StartTransaction"] = refuse
        await station.plug(1, ac_car())
        await clock.sleep(90)
        await station.unplug(1)
        await clock.sleep(600)
        assert not station.link.waiting

    csms = play(scene, V, AC1)
    assert len(csms.sent("StartTransaction")) == 2
    assert csms.sent("StopTransaction") == []


def test_the_station_maximum_is_shared_and_profiles_in_one_place_replace_each_other() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car(charge_max_kw=11.0, reports_soc=False))
        await clock.sleep(1)
        for number, limit in ((2001, 10.0), (2002, 12.0)):
            raw = profile("TxDefaultProfile", limit, chargingProfileId=number)
            assert await csms.call("SetChargingProfile", raw) == {"status": "Accepted"}
        assert [p.id for p in station.profiles] == [2002]
        await clock.sleep(60)
        assert station.power_kw(1) == pytest.approx(12 * 0.69)
        await csms.call("SetChargingProfile", profile("ChargePointMaxProfile", 8.0))
        await clock.sleep(60)
        assert station.power_kw(1) == pytest.approx(8 * 0.69)
        asked = {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"}
        answer = await csms.call("GetCompositeSchedule", asked)
        periods = answer["chargingSchedule"]["chargingSchedulePeriod"]
        assert periods == [{"startPeriod": 0, "limit": 8.0}]
        cleared = await csms.call(
            "ClearChargingProfile", {"chargingProfilePurpose": "ChargePointMaxProfile"}
        )
        assert cleared == {"status": "Accepted"}
        await clock.sleep(60)
        assert station.power_kw(1) == pytest.approx(12 * 0.69)

    play(scene, V, AC3)


@pytest.mark.parametrize(
    "wrong",
    [
        profile("TxProfile", 10.0, transactionId=99),
        profile("TxProfile", -10.0),
        profile("TxDefaultProfile", 10.0, stackLevel=9),
        profile("TxDefaultProfile", 10.0, chargingProfileKind="Recurring", schedule={})
        | {"connectorId": 5},
        {**profile("ChargePointMaxProfile", 10.0), "connectorId": 1},
    ],
)
def test_profiles_that_cannot_be_are_rejected(wrong: dict[str, Any]) -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, ac_car())
        await clock.sleep(1)
        assert await csms.call("SetChargingProfile", wrong) == {"status": "Rejected"}

    play(scene, V, AC1)


def test_a_negative_limit_discharges_where_the_back_port_is_configured() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, car())
        await clock.sleep(1)
        back = profile("TxProfile", -7000.0, schedule={"chargingRateUnit": "W"})
        assert await csms.call("SetChargingProfile", back) == {"status": "Accepted"}
        await clock.sleep(100)
        assert station.power_kw(1) == -7.0

    csms = play(scene, V, DC, discharge_via="negative_limit")
    assert measured(csms.sent("MeterValues")[-1]["meterValue"], "Power.Active.Export") == 7000
    assert measured(csms.sent("MeterValues")[-1]["meterValue"], "SoC") < 50


def test_configuration_is_read_and_changed() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        everything = await csms.call("GetConfiguration", {})
        keys = {k["key"]: k for k in everything["configurationKey"]}
        assert keys["ChargingScheduleAllowedChargingRateUnit"]["value"] == "Current,Power"
        assert keys["ChargeProfileMaxStackLevel"]["readonly"]
        some = await csms.call("GetConfiguration", {"key": ["HeartbeatInterval", "Moon"]})
        assert some["configurationKey"][0]["value"] == "600"
        assert some["unknownKey"] == ["Moon"]

        async def change(key: str, value: str) -> str:
            answer = await csms.call("ChangeConfiguration", {"key": key, "value": value})
            return str(answer["status"])

        assert await change("MeterValueSampleInterval", "10") == "Accepted"
        assert await change("MeterValueSampleInterval", "soon") == "Rejected"
        assert await change("NumberOfConnectors", "5") == "Rejected"
        assert await change("Moon", "full") == "NotSupported"
        await station.plug(1, ac_car())
        await clock.sleep(65)

    csms = play(scene, V, AC1)
    assert 6 <= len(csms.sent("MeterValues")) <= 7


def test_remote_start_and_stop_and_the_unlocked_plug() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        ask = {"connectorId": 1, "idTag": "OFFICE"}
        assert await csms.call("RemoteStartTransaction", ask) == {"status": "Accepted"}
        await station.plug(1, ac_car())
        await clock.sleep(1)
        assert await csms.call("RemoteStartTransaction", ask) == {"status": "Rejected"}
        stop = {"transactionId": 4711}
        assert await csms.call("RemoteStopTransaction", stop) == {"status": "Accepted"}
        assert await csms.call("RemoteStopTransaction", stop) == {"status": "Rejected"}
        await clock.sleep(10)
        assert station.power_kw(1) == 0.0
        own = profile("TxProfile", 10.0)["csChargingProfiles"]
        assert (await csms.call("RemoteStartTransaction", {**ask, "chargingProfile": own})) == {
            "status": "Accepted"
        }
        await clock.sleep(10)
        assert station.power_kw(1) == pytest.approx(2.3)
        assert await csms.call("UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
        await clock.sleep(10)

    csms = play(scene, V, AC1)
    assert [s["idTag"] for s in csms.sent("StartTransaction")] == ["OFFICE", "OFFICE"]
    assert [s["reason"] for s in csms.sent("StopTransaction")] == ["Remote", "UnlockCommand"]


def test_a_soft_reset_ends_transactions_first_and_boots_again() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        await station.plug(1, ac_car())
        await clock.sleep(30)
        assert await csms.call("Reset", {"type": "Soft"}) == {"status": "Accepted"}
        await clock.sleep(60)
        assert station.link.online

    csms = play(scene, V, AC1)
    assert csms.connections == 2
    assert len(csms.sent("BootNotification")) == 2
    assert csms.sent("StopTransaction")[0]["reason"] == "SoftReset"
    last = csms.sent("StatusNotification")[-1]
    assert last["status"] == "Preparing"
    assert last["timestamp"] > (START + timedelta(seconds=30)).isoformat()


def test_messages_are_triggered() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        for wanted in ("BootNotification", "Heartbeat", "StatusNotification", "MeterValues"):
            answer = await csms.call("TriggerMessage", {"requestedMessage": wanted})
            assert answer == {"status": "Accepted"}
        other = await csms.call(
            "TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"}
        )
        assert other == {"status": "NotImplemented"}
        await clock.sleep(1)

    csms = play(scene, V, AC1)
    counts = {a: len(csms.sent(a)) for a in ("BootNotification", "Heartbeat", "MeterValues")}
    assert counts == {"BootNotification": 2, "Heartbeat": 1, "MeterValues": 1}
    assert "transactionId" not in csms.sent("MeterValues")[0]


def test_an_inoperative_connector_takes_no_transaction() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        off = {"connectorId": 1, "type": "Inoperative"}
        assert await csms.call("ChangeAvailability", off) == {"status": "Accepted"}
        await station.plug(1, ac_car())
        await clock.sleep(60)
        assert station.power_kw(1) == 0.0
        await station.unplug(1)
        on = {"connectorId": 0, "type": "Operative"}
        assert await csms.call("ChangeAvailability", on) == {"status": "Accepted"}
        await station.plug(1, ac_car())
        await clock.sleep(60)
        assert await csms.call("ChangeAvailability", off) == {"status": "Scheduled"}
        await station.unplug(1)
        await clock.sleep(1)

    csms = play(scene, V, AC1)
    assert len(csms.sent("StartTransaction")) == 1
    assert csms.sent("StatusNotification")[-1]["status"] == "Unavailable"


def test_a_token_refused_at_the_start_stops_the_transaction() -> None:
    async def scene(station: SimStation, csms: Csms, clock: Clock) -> None:
        csms.answers["StartTransaction"] = lambda _: {
            "transactionId": 12,
            "idTagInfo": {"status": "Blocked"},
        }
        await station.plug(1, ac_car())
        await clock.sleep(60)
        assert station.power_kw(1) == 0.0
        csms.answers["Authorize"] = lambda _: {"idTagInfo": {"status": "Invalid"}}
        await station.unplug(1)
        await station.plug(1, ac_car())
        await clock.sleep(60)
        assert station.power_kw(1) == 0.0

    csms = play(scene, V, AC1)
    assert csms.sent("StopTransaction")[0]["reason"] == "DeAuthorized"
    assert len(csms.sent("StartTransaction")) == 1
