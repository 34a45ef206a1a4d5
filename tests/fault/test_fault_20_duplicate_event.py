"""Fault 20: the same TransactionEvent again. Required: one row, the same reply, one effect."""

from __future__ import annotations

import random

import pytest

from gridleaf.control.session import session_id
from gridleaf.domain.events import TransactionReported
from gridleaf.platform import Platform
from scenario.depot import Depot, Market, evening_peak, play
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


def test_fault_20_a_station_that_numbers_everything_0_is_heard_and_its_end_ends() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        began = depot.time.now()
        first = await station.event("Started", 0, at=began, wh=1000)
        await depot.minutes(10)
        then = depot.time.now()
        for _ in range(2):
            await station.event("Updated", 0, at=then, wh=2500, kw=9.0)
        assert depot.evse("AC-3").power_kw == 9.0
        await depot.minutes(10)
        for _ in range(2):
            await station.event("Ended", 0, wh=4000)
        assert await station.event("Started", 0, at=began, wh=1000) == first
        assert depot.evse("AC-3").session is None
        record = await depot.platform.store.session(session_id("AC-3", "T-1"))
        assert record is not None
        assert (record.state, record.charged_kwh) == ("ended", pytest.approx(3.0))
        assert "seq_no_reused" in record.flags
        kept = await depot.platform.store.transaction_events("AC-3", "T-1")
        assert [e.phase for e in kept if isinstance(e, TransactionReported)] == [
            "started",
            "updated",
            "ended",
        ]

    play(scene, stations=())


@pytest.mark.parametrize("first_no", [0, 7], ids=["numbered anew", "numbered on"])
def test_fault_20_a_transaction_id_that_is_used_again_is_another_session(first_no: int) -> None:
    """Also after a restart of the platform in its middle, and when its events come twice."""

    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        await station.event("Started", 0, wh=0)
        await depot.minutes(10)
        await station.event("Ended", 1, wh=1500)
        await depot.minutes(30)
        began = depot.time.now()
        for _ in range(2):
            await station.event("Started", first_no, at=began, wh=1500)
        await depot.minutes(6)
        assert station.profiles()[-1]["transactionId"] == "T-1"
        await station.event("Updated", first_no + 1, wh=2500, kw=10.0)
        session = depot.session("AC-3")
        assert (session.arrived_at, session.charged.total_kwh) == (began, pytest.approx(1.0))
        again = Platform(
            depot.platform.site,
            clock=depot.platform.clock,
            store=depot.platform.store,
            rng=random.Random(2),
            source=Market(evening_peak),
        )
        await again.restore()
        restored = again.controller.live.session_of("AC-3", "T-1")
        assert restored is not None
        assert restored.session_id == session.session_id
        assert restored.charged.total_kwh == pytest.approx(1.0)
        await again.gateway.close()
        await depot.minutes(6)
        for _ in range(2):
            await station.event("Ended", first_no + 2, wh=3300)
        records = await depot.platform.store.sessions()
        assert sorted((r.state, round(r.charged_kwh, 3)) for r in records) == [
            ("ended", 1.5),
            ("ended", 1.8),
        ]

    play(scene, stations=())
