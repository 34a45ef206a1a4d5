"""Fault 23: a long batch of events with offline=true (here 2,000; the rule does not know the count).

Required: all recorded; they drive no live setpoint; each counts at its own time.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from gridleaf.control.session import session_id
from scenario.depot import Depot, play
from scenario.scripted import Scripted

SESSIONS, EVENTS = 20, 100


def test_fault_23_two_thousand_offline_events_are_recorded_and_drive_nothing() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        first = depot.time.now() - timedelta(days=20)
        for n in range(SESSIONS):
            began = first + timedelta(days=n)
            for seq_no in range(EVENTS):
                last = seq_no == EVENTS - 1
                await station.event(
                    "Started" if seq_no == 0 else "Ended" if last else "Updated",
                    seq_no,
                    tx=f"OLD-{n}",
                    at=began + timedelta(minutes=seq_no),
                    wh=1000 * n + 100 * seq_no,
                    kw=6.0,
                    offline=True,
                )
                await depot.time.sleep(0.5)
        await depot.minutes(10)
        assert station.profiles() == []
        assert depot.evse("AC-3").session is None
        assert depot.evse("AC-3").power_kw in (None, 0.0)
        records = await depot.platform.store.sessions()
        assert len(records) == SESSIONS
        assert {r.state for r in records} == {"ended"}
        assert all(r.charged_kwh == pytest.approx(9.9) for r in records)
        series = await depot.platform.store.series(
            "AC-3", 1, "Power.Active.Import", first, depot.time.now(), limit=10_000
        )
        assert len(series) == SESSIONS * EVENTS
        assert series[0].at == first

    play(scene, stations=())


def test_fault_23_a_transaction_that_began_offline_and_still_runs_is_led() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        began = depot.time.now() - timedelta(minutes=50)
        await station.event("Started", 0, at=began, wh=0, offline=True)
        for seq_no in range(1, 50):
            at = began + timedelta(minutes=seq_no)
            await station.event("Updated", seq_no, at=at, wh=100 * seq_no, kw=6.0, offline=True)
        assert station.profiles() == []
        await station.event("Updated", 50, wh=5000, kw=6.0)
        await depot.minutes(1)
        session = depot.session("AC-3")
        assert session.session_id == session_id("AC-3", "T-1")
        assert session.arrived_at == began
        assert session.charged.total_kwh == pytest.approx(5.0)
        assert depot.evse("AC-3").power_kw == 6.0
        assert station.profiles()[-1]["transactionId"] == "T-1"

    play(scene, stations=())


def test_fault_23_a_16_queue_that_comes_after_a_reading_of_now_is_history() -> None:
    """1.6 has no ``offline``: only the times tell."""

    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-1", "ocpp1.6")
        await station.boot()
        tx = await station.start(wh=0)
        await depot.minutes(40)
        await station.meter(tx, 4000, 6.0, soc="80")
        await station.peer.close()
        lost_at = depot.time.now()
        await depot.minutes(31)
        again = Scripted(depot, "AC-1", "ocpp1.6")
        for minutes, wh in ((1, 4100), (11, 5100), (21, 6100)):
            await again.meter(tx, wh, 7.3, soc="88", at=lost_at + timedelta(minutes=minutes))
        live = depot.platform.controller.live.evse("AC-1", 1)
        assert live is not None
        assert live.session is not None
        assert (live.power_kw, live.power_at) == (6.0, lost_at)
        assert live.session.soc_at == lost_at + timedelta(minutes=21)
        assert live.session.charged.total_kwh == pytest.approx(6.1)
        await again.meter(tx, 7000, 5.0, soc="90")
        assert (live.power_kw, live.power_at) == (5.0, depot.time.now())
        assert live.session.soc_at == depot.time.now()
        assert live.session.charged.total_kwh == pytest.approx(7.0)

    play(scene, stations=())


def test_fault_23_a_16_session_that_began_while_offline_is_history_until_now_is_reached() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-1", "ocpp1.6")
        await station.boot()
        began = depot.time.now() - timedelta(hours=2)
        tx = await station.start(wh=0, at=began)
        live = depot.platform.controller.live.evse("AC-1", 1)
        assert live is not None
        for minutes in range(10, 120, 10):
            at = began + timedelta(minutes=minutes)
            await station.meter(tx, 100 * minutes, 6.0, soc="88", at=at)
            assert live.power_at is None
            assert live.session is not None
            assert live.session.soc_at == at
        await station.meter(tx, 12_000, 5.0, soc="90")
        assert (live.power_kw, live.power_at) == (5.0, depot.time.now())
        assert live.session.soc_at == depot.time.now()
        assert live.session.charged.total_kwh == pytest.approx(12.0)
        assert "register_jump" not in live.session.flags

    play(scene, stations=())
