"""Fault 22: events out of order, or after Ended. Required: history; the state never regresses."""

from __future__ import annotations

import pytest

from gridleaf.control.session import session_id
from scenario.depot import Depot, monday, play
from scenario.scripted import Scripted


def test_fault_22_what_comes_after_the_end_opens_nothing_and_moves_no_setpoint() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        began = depot.time.now()
        await station.event("Started", 0, wh=0)
        await depot.minutes(30)
        await station.event("Ended", 4, wh=4000)
        told = len(station.profiles())
        await station.event("Updated", 3, at=began, wh=3900, kw=11.0)
        await station.event("Started", 0, at=began, wh=0, tx="T-1")
        await station.event("Updated", 2, at=began, wh=2000, kw=11.0)
        await depot.minutes(6)
        assert depot.evse("AC-3").session is None
        assert depot.evse("AC-3").power_kw == 0.0
        assert len(station.profiles()) == told
        record = await depot.platform.store.session(session_id("AC-3", "T-1"))
        assert record is not None
        assert record.state == "ended"
        assert record.charged_kwh == pytest.approx(4.0)

    play(scene, stations=())


def test_fault_22_an_end_that_overtakes_its_start_leaves_one_ended_session() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        await station.event("Ended", 2, wh=5000, at=monday(15.9))
        await station.event("Started", 0, wh=1000, at=monday(14))
        await station.event("Updated", 1, wh=2000, at=monday(15))
        await depot.minutes(6)
        assert depot.evse("AC-3").session is None
        assert station.profiles() == []
        (record,) = await depot.platform.store.sessions()
        assert record.state == "ended"
        assert record.arrived_at == monday(14)
        assert record.departed_at == monday(15.9)

    play(scene, stations=())
