"""Fault 28: a station's clock says 1970, five minutes ahead, nothing about its zone, or next year.

Required: the time of receipt drives control; both times are kept.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from gridleaf.domain.events import TransactionReported
from gridleaf.domain.meter import MeterSample
from gridleaf.platform import Platform
from scenario.depot import Depot, Market, car, evening_peak, giver, play
from scenario.scripted import Scripted

YEAR_S = 365 * 86400.0
OFFSETS = [-YEAR_S * 56, -3600.0, -90.0, 240.0, 360.0, 3600.0, YEAR_S]


@pytest.mark.parametrize("offset_s", OFFSETS)
def test_fault_28_a_station_with_a_wrong_clock_is_seen_as_it_is_now(offset_s: float) -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()

        def theirs() -> datetime:
            return depot.time.now() + timedelta(seconds=offset_s)

        await station.event("Started", 0, at=theirs(), wh=0)
        for seq_no in range(1, 7):
            await depot.minutes(10)
            await station.event("Updated", seq_no, at=theirs(), wh=1000 * seq_no, kw=6.0)
        evse = depot.evse("AC-3")
        assert evse.power_kw == 6.0
        assert evse.power_at is not None
        assert abs(depot.time.now() - evse.power_at) <= timedelta(seconds=120)
        session = depot.session("AC-3")
        assert session.charged.total_kwh == pytest.approx(6.0)
        if abs(offset_s) > 300:
            assert session.arrived_at <= depot.time.now()
        assert evse.session is not None
        assert evse.session.departure_at > depot.time.now()
        newest = (await depot.platform.store.transaction_events("AC-3", "T-1"))[-1]
        assert isinstance(newest, TransactionReported)
        assert abs(newest.occurred_at - theirs()) < timedelta(seconds=1)
        assert newest.received_at == depot.time.now()

    play(scene, stations=())


@pytest.mark.parametrize("year", [1, 9999])
def test_fault_28_a_time_that_no_clock_can_mean_is_ours_and_the_site_starts_again(
    year: int,
) -> None:
    """The station's clock is a second ahead; then comes .NET's smallest or largest date."""

    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        ahead = timedelta(seconds=1)
        await station.event("Started", 0, at=depot.time.now() + ahead, wh=0)
        odd = datetime(year, 1, 1, tzinfo=UTC)
        for seq_no in (1, 2):
            await depot.minutes(10)
            await station.event("Updated", seq_no, at=odd, wh=1000 * seq_no, kw=6.0)
        evse = depot.evse("AC-3")
        assert evse.power_kw == 6.0
        assert evse.power_at is not None
        assert depot.time.now() - evse.power_at <= timedelta(seconds=2)
        assert "time_unreadable" in depot.session("AC-3").flags
        again = await restarted(depot.platform)
        session = again.controller.live.session_of("AC-3", "T-1")
        assert session is not None
        assert session.charged.total_kwh == pytest.approx(2.0)
        await again.gateway.close()

    play(scene, stations=())


def test_fault_28_an_event_that_the_live_view_trips_over_is_durable_and_bricks_nothing() -> None:
    """As a version before this one stored it; nothing that reaches the store now has such a time."""

    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        now = depot.time.now()
        await station.event("Started", 0, at=now + timedelta(seconds=1), wh=0)
        odd = datetime(1, 1, 1, tzinfo=UTC)
        event = TransactionReported(
            station_id="AC-3",
            received_at=now,
            transaction_id="T-1",
            seq_no=1,
            phase="updated",
            occurred_at=now,
            samples=(MeterSample(measured_at=odd, measurand="SoC", value=0.5, unit="1"),),
        )
        with capture_logs() as logs:
            assert await depot.platform.accept(event)
            again = await restarted(depot.platform)
        assert [log["event"] for log in logs].count("event_not_applied") == 2
        assert again.controller.live.session_of("AC-3", "T-1") is not None
        await again.gateway.close()
        await station.event("Ended", 2)
        assert depot.evse("AC-3").session is None

    play(scene, stations=())


async def restarted(platform: Platform) -> Platform:
    again = Platform(
        platform.site,
        clock=platform.clock,
        store=platform.store,
        rng=random.Random(2),
        source=Market(evening_peak),
    )
    await again.restore()
    return again


def test_fault_28_a_clock_that_is_set_back_costs_no_energy() -> None:
    """Next year's clock is put right in the middle of the session."""

    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        ahead = timedelta(days=365)
        await station.event("Started", 0, at=depot.time.now() + ahead, wh=0)
        await depot.minutes(10)
        await station.event("Updated", 1, at=depot.time.now() + ahead, wh=1000, kw=6.0)
        for seq_no in (2, 3):
            await depot.minutes(10)
            await station.event("Updated", seq_no, wh=1000 * seq_no, kw=6.0)
        assert depot.session("AC-3").charged.total_kwh == pytest.approx(3.0, abs=0.1)

    play(scene, stations=())


@pytest.mark.parametrize(("before_h", "after_h"), [(2, 1), (1, 2), (-1, -2), (-2, -1)])
def test_fault_28_a_wrong_clock_that_is_set_to_another_wrong_time_is_followed(
    before_h: int, after_h: int
) -> None:
    """As where local time is sent as UTC and summer begins or ends in the middle of a session."""

    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-1", "ocpp1.6")
        await station.boot()
        before, after = timedelta(hours=before_h), timedelta(hours=after_h)
        tx = await station.start(at=depot.time.now() + before)
        live = depot.platform.controller.live.evse("AC-1", 1)
        assert live is not None
        for minutes in range(1, 4):
            await depot.minutes(1)
            await station.meter(tx, 100 * minutes, 6.0, at=depot.time.now() + before)
            assert live.power_at == depot.time.now()
        for minutes in range(4, 8):
            await depot.minutes(1)
            await station.meter(tx, 100 * minutes, 5.0, at=depot.time.now() + after)
        assert (live.power_kw, live.power_at) == (5.0, depot.time.now())
        assert live.session is not None
        assert live.session.charged.total_kwh == pytest.approx(0.7)

    play(scene, stations=())


def test_fault_28_a_naive_time_is_taken_as_utc() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        naive = depot.time.now().astimezone(UTC).replace(tzinfo=None).isoformat()
        payload = {
            "eventType": "Started",
            "timestamp": naive,
            "triggerReason": "Authorized",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "T-1"},
            "evse": {"id": 1, "connectorId": 1},
        }
        await station.say("TransactionEvent", payload)
        session = depot.session("AC-3")
        assert session.arrived_at == depot.time.now()
        assert "naive_time" in session.flags

    play(scene, stations=())


@pytest.mark.parametrize("offset_s", [-300.0, 300.0])
def test_fault_28_stations_some_minutes_off_are_led_and_fall_back(offset_s: float) -> None:
    """What they follow never outlives two cycles by more than their clock is late."""

    async def scene(depot: Depot) -> None:
        for name in ("DC-1", "AC-3", "AC-1"):
            depot.stations[name].clock_offset_s = offset_s
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=27.0)
        await depot.plug("AC-3", car("A3", 0.2, charge_max_kw=11.0))
        await depot.plug("AC-1", car("A1", 0.2, charge_max_kw=7.36))
        await depot.minutes(30)
        assert depot.power("DC-1") > 5.0
        for name in ("DC-1", "AC-3", "AC-1"):
            depot.stations[name].offline(7200)
        await depot.minutes(16)
        for name in ("DC-1", "AC-3", "AC-1"):
            evse = depot.platform.controller.live.evse(name, 1)
            assert evse is not None
            assert evse.default_kw is not None
            assert depot.power(name) <= evse.default_kw + 0.05

    play(scene, start=22.0)
