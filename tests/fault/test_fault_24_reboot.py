"""Fault 24: a station reboots in the middle of a transaction.

Required: resumed where the station says so; otherwise closed provisionally from the last register and
marked estimated; a later Ended corrects it.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from gridleaf.control.session import session_id
from gridleaf.ocpp.semantics import wire_time
from scenario.depot import Depot, giver, play
from scenario.scripted import Scripted

NAME = session_id("AC-3", "T-1")


async def begun(depot: Depot) -> Scripted:
    station = Scripted(depot, "AC-3", "ocpp2.0.1")
    await station.boot()
    await station.event("Started", 0, wh=0)
    await depot.minutes(30)
    await station.event("Updated", 1, wh=4000, kw=8.0)
    await station.peer.close()
    await depot.minutes(3)
    return Scripted(depot, "AC-3", "ocpp2.0.1")


async def status(station: Scripted, word: str) -> None:
    await station.say(
        "StatusNotification",
        {
            "timestamp": wire_time(station.depot.time.now()),
            "connectorStatus": word,
            "evseId": 1,
            "connectorId": 1,
        },
    )


def test_fault_24_an_empty_connector_after_a_boot_closes_the_session_as_an_estimate() -> None:
    async def scene(depot: Depot) -> None:
        station = await begun(depot)
        await station.boot()
        await status(station, "Available")
        assert depot.evse("AC-3").session is None
        record = await depot.platform.store.session(NAME)
        assert record is not None
        assert record.state == "suspect"
        assert "estimated" in record.flags
        assert record.charged_kwh == pytest.approx(4.0)
        assert await depot.platform.store.sessions(state="live") == []
        ended = depot.time.now() - timedelta(minutes=2)
        await station.event("Ended", 2, at=ended, wh=4200)
        record = await depot.platform.store.session(NAME)
        assert record is not None
        assert record.state == "ended"
        assert record.charged_kwh == pytest.approx(4.2)
        assert abs(record.departed_at - ended) < timedelta(seconds=1)

    play(scene, stations=())


def test_fault_24_a_transaction_that_goes_on_after_a_boot_stays_the_same_session() -> None:
    async def scene(depot: Depot) -> None:
        station = await begun(depot)
        await station.boot()
        await status(station, "Occupied")
        await station.event("Updated", 2, wh=4100, kw=8.0)
        await depot.minutes(1)
        assert depot.session("AC-3").session_id == NAME
        assert station.profiles()[-1]["transactionId"] == "T-1"

    play(scene, stations=())


def test_fault_24_a_new_transaction_after_a_boot_closes_the_old_one() -> None:
    async def scene(depot: Depot) -> None:
        station = await begun(depot)
        await station.boot()
        await station.event("Started", 0, tx="T-2", wh=4100)
        record = await depot.platform.store.session(NAME)
        assert record is not None
        assert record.state == "suspect"
        assert depot.session("AC-3").transaction_id == "T-2"

    play(scene, stations=())


def test_fault_24_a_station_that_keeps_its_transaction_over_a_reset_is_led_on() -> None:
    async def scene(depot: Depot) -> None:
        session = await depot.plug("DC-1", giver(1, soc=0.2), leaves=30.0)
        await depot.minutes(10)
        depot.stations["DC-1"].reset("Resume")
        await depot.minutes(10)
        assert depot.session("DC-1") is session
        assert depot.evse("DC-1").setpoint_kw is not None
        assert depot.power("DC-1") == pytest.approx(22.0, abs=0.1)

    play(scene, start=22.0)
