"""Fault 20: the same TransactionEvent again. Required: one row, the same reply, one effect."""

from __future__ import annotations

import pytest

from gridleaf.control.live import session_id
from scenario.depot import Depot, play
from scenario.scripted import Scripted


def test_fault_20_whatever_is_said_twice_counts_once() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        at = depot.time.now()
        first = [await station.event("Started", 0, at=at, wh=1000) for _ in range(3)]
        assert first[0] == first[1] == first[2]
        await depot.minutes(10)
        then = depot.time.now()
        for _ in range(3):
            await station.event("Updated", 1, at=then, wh=2500, kw=9.0)
        session = depot.session("AC-3")
        assert session.charged.total_kwh == pytest.approx(1.5)
        await depot.minutes(1)
        ends = [await station.event("Ended", 2, wh=2600) for _ in range(2)]
        assert ends[0] == ends[1]
        kept = await depot.platform.store.transaction_events("AC-3", "T-1")
        assert [e.seq_no for e in kept] == [0, 1, 2]
        record = await depot.platform.store.session(session_id("AC-3", "T-1"))
        assert record is not None
        assert (record.state, record.charged_kwh) == ("ended", pytest.approx(1.6))

    play(scene, stations=())


def test_fault_20_a_station_that_repeats_its_queue_after_a_reconnect_starts_nothing_anew() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        at = depot.time.now()
        await station.event("Started", 0, at=at, wh=1000)
        await station.event("Ended", 1, at=at, wh=1000)
        await station.peer.close()
        again = Scripted(depot, "AC-3", "ocpp2.0.1")
        await again.boot()
        await again.event("Started", 0, at=at, wh=1000)
        await again.event("Ended", 1, at=at, wh=1000)
        await depot.minutes(1)
        assert depot.evse("AC-3").session is None
        assert len(await depot.platform.store.sessions()) == 1

    play(scene, stations=())
