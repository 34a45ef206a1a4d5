"""Fault 25: Started is lost, Updated or Ended arrives. Required: a synthetic start, nothing lost."""

from __future__ import annotations

import pytest

from gridleaf.control.session import session_id
from scenario.depot import Depot, play
from scenario.scripted import Scripted


def test_fault_25_an_update_without_a_start_is_a_session_that_is_led() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        await station.event("Updated", 7, wh=2000, kw=5.0)
        await depot.minutes(1)
        session = depot.session("AC-3")
        assert {"synthetic_start", "incomplete"} <= set(session.flags)
        assert station.profiles()[-1]["transactionId"] == "T-1"
        await depot.minutes(10)
        await station.event("Ended", 8, wh=3000)
        record = await depot.platform.store.session(session_id("AC-3", "T-1"))
        assert record is not None
        assert record.state == "ended"
        assert record.charged_kwh == pytest.approx(1.0)
        assert "synthetic_start" in record.flags

    play(scene, stations=())


def test_fault_25_a_lone_end_is_an_ended_session() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        await station.event("Ended", 9, wh=3000)
        assert depot.evse("AC-3").session is None
        (record,) = await depot.platform.store.sessions()
        assert record.state == "ended"
        assert {"synthetic_start", "incomplete"} <= set(record.flags)

    play(scene, stations=())
