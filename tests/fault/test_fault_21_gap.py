"""Fault 21: a gap in seqNo.

Required: stored, the transaction flagged incomplete, the station asked for what it still has; a late
fill heals the flag.
"""

from __future__ import annotations

import pytest

from gridleaf.control.session import session_id
from scenario.depot import Depot, play
from scenario.scripted import Scripted


def asked_for_status(station: Scripted) -> int:
    return sum(action == "GetTransactionStatus" for action, _ in station.asked)


def test_fault_21_a_gap_is_flagged_asked_after_and_healed() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        began = depot.time.now()
        await station.event("Started", 0, wh=0)
        await depot.minutes(20)
        await station.event("Updated", 3, wh=3000, kw=9.0)
        session = depot.session("AC-3")
        assert "incomplete" in session.flags
        await depot.minutes(1)
        assert asked_for_status(station) == 1
        assert station.asked[-1][1] == {"transactionId": "T-1"} or asked_for_status(station) == 1
        await station.event("Updated", 1, at=began, wh=0)
        assert "incomplete" in session.flags
        await station.event("Updated", 2, at=began, wh=0)
        assert "incomplete" not in session.flags
        assert session.charged.total_kwh == pytest.approx(3.0)
        kept = await depot.platform.store.transaction_events("AC-3", "T-1")
        assert [e.seq_no for e in kept] == [0, 1, 2, 3]

    play(scene, stations=())


def test_fault_21_what_is_filled_after_the_end_heals_the_record_too() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        began = depot.time.now()
        await station.event("Started", 0, wh=0)
        await depot.minutes(10)
        await station.event("Ended", 2, wh=1500)
        record = await depot.platform.store.session(session_id("AC-3", "T-1"))
        assert record is not None
        assert "incomplete" in record.flags
        await station.event("Updated", 1, at=began, wh=0)
        healed = await depot.platform.store.session(session_id("AC-3", "T-1"))
        assert healed is not None
        assert "incomplete" not in healed.flags
        assert healed.state == "ended"
        assert healed.charged_kwh == pytest.approx(1.5)

    play(scene, stations=())


def test_fault_21_a_hostile_sequence_number_costs_nothing() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        await station.event("Started", 0)
        await station.event("Updated", 2**62)
        assert "incomplete" in depot.session("AC-3").flags
        await station.event("Updated", 1)
        assert "incomplete" in depot.session("AC-3").flags

    play(scene, stations=())
