"""What is expected of a session when nobody says anything."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from gridleaf.domain.wishes import Wish
from gridleaf.forecast import learned_wish
from gridleaf.store.port import SessionRecord

BERLIN = ZoneInfo("Europe/Berlin")


def record(
    arrived: datetime, departed: datetime | None, kwh: float, token: str = "ANNA", evse: int = 1
) -> SessionRecord:
    return SessionRecord(
        session_id=f"{token}-{arrived.isoformat()}",
        station_id="depot",
        evse_id=evse,
        transaction_id="t",
        id_token=token,
        arrived_at=arrived.astimezone(UTC),
        departed_at=None if departed is None else departed.astimezone(UTC),
        state="live" if departed is None else "ended",
        charged_kwh=kwh,
    )


def commuter(days: int, rng: random.Random, token: str = "ANNA") -> list[SessionRecord]:
    """Arrives about 8:00 on workdays and leaves about 17:00, whenever it came."""
    records = []
    for day in range(days):
        date = datetime(2026, 2, 2, tzinfo=BERLIN) + timedelta(days=day)
        if date.weekday() < 5:
            records.append(
                record(
                    date + timedelta(hours=8 + rng.gauss(0, 0.7)),
                    date + timedelta(hours=17 + rng.gauss(0, 0.25)),
                    12 + rng.gauss(0, 2),
                    token,
                )
            )
    return records


def expect(history: list[SessionRecord], arrived: datetime, token: str | None = "ANNA") -> Wish:
    return learned_wish(
        history,
        id_token=token,
        station_id="depot",
        evse_id=1,
        arrived_at=arrived.astimezone(UTC),
        timezone="Europe/Berlin",
    )


def test_left_out_days_are_ready_before_the_driver_leaves_and_not_hours_too_early() -> None:
    history = commuter(60, random.Random(1))
    early_h, missing_kwh = [], []
    for index, left_out in enumerate(history):
        others = history[:index] + history[index + 1 :]
        wish = expect(others, left_out.arrived_at)
        if index < 5:
            assert wish.said_by == "default"
            continue
        assert wish.said_by == "history"
        assert wish.departure_at is not None
        assert wish.energy_kwh is not None
        assert left_out.departed_at is not None
        early_h.append((left_out.departed_at - wish.departure_at).total_seconds() / 3600)
        missing_kwh.append(left_out.charged_kwh - wish.energy_kwh)
    assert np.mean(np.array(early_h) > -0.1) >= 0.85
    assert np.median(early_h) < 1.0
    assert np.mean(np.array(missing_kwh) <= 0) >= 0.8


def test_too_few_sessions_teach_nothing() -> None:
    wish = expect(commuter(4, random.Random(1)), datetime(2026, 3, 2, 8, tzinfo=BERLIN))
    assert wish == Wish(said_by="default", said_at=wish.said_at)


def test_sessions_still_running_or_in_the_future_are_not_looked_at() -> None:
    history = commuter(60, random.Random(1))
    early = min(r.arrived_at for r in history)
    assert expect(history, early).said_by == "default"
    running = [record(early + timedelta(days=d), None, 5) for d in range(9)]
    assert expect(running, early + timedelta(days=30)).said_by == "default"


def test_a_stranger_gets_the_habit_of_the_evse_then_of_the_site() -> None:
    monday = datetime(2026, 4, 6, 8, tzinfo=BERLIN)
    here = commuter(30, random.Random(1))
    assert expect(here, monday, token="BERT").said_by == "history"
    assert expect(here, monday, token=None).said_by == "history"
    elsewhere = [record(r.arrived_at, r.departed_at, r.charged_kwh, "CARL", evse=2) for r in here]
    assert expect(elsewhere, monday, token="BERT").said_by == "history"
    sunday_night = datetime(2026, 4, 5, 23, tzinfo=BERLIN)
    assert expect(elsewhere, sunday_night, token="BERT").said_by == "default"


def test_ones_own_habit_wins_over_the_evse() -> None:
    night = [
        record(
            datetime(2026, 3, 2 + d, 8, tzinfo=BERLIN),
            datetime(2026, 3, 3 + d, 6, tzinfo=BERLIN),
            40.0,
            "BERT",
        )
        for d in range(10)
    ]
    history = commuter(30, random.Random(1)) + night
    wish = expect(history, datetime(2026, 4, 6, 8, tzinfo=BERLIN), token="BERT")
    assert wish.energy_kwh == 40.0
    assert wish.departure_at == datetime(2026, 4, 7, 6, tzinfo=BERLIN)


def test_who_stays_equally_long_is_expected_by_length_of_stay() -> None:
    rng = random.Random(3)
    history = []
    for day in range(20):
        arrived = datetime(2026, 3, 2, tzinfo=BERLIN) + timedelta(
            days=day, hours=rng.uniform(7, 20)
        )
        history.append(record(arrived, arrived + timedelta(hours=2), 9.0))
    arrived = datetime(2026, 4, 6, 14, tzinfo=BERLIN)
    assert expect(history, arrived).departure_at == arrived + timedelta(hours=2)


def test_who_comes_after_the_usual_time_to_leave_is_expected_by_length_of_stay() -> None:
    history = commuter(60, random.Random(1))
    late = datetime(2026, 4, 6, 18, tzinfo=BERLIN)
    wish = expect(history, late)
    assert wish.departure_at is not None
    assert wish.departure_at > late + timedelta(hours=3)


def test_energy_is_net_of_discharging_and_counts_what_was_missing() -> None:
    base = datetime(2026, 3, 2, 8, tzinfo=BERLIN)
    history = [
        SessionRecord(
            session_id=str(d),
            station_id="depot",
            evse_id=1,
            transaction_id="t",
            id_token="ANNA",
            arrived_at=base + timedelta(days=d),
            departed_at=base + timedelta(days=d, hours=8),
            state="ended",
            charged_kwh=30.0,
            discharged_kwh=12.0,
            unmet_kwh=2.0,
        )
        for d in range(5)
    ]
    assert expect(history, base + timedelta(days=14)).energy_kwh == 20.0


def test_fault_38_a_clock_habit_keeps_its_wall_time_across_the_change_to_summer_time() -> None:
    history = commuter(50, random.Random(1))
    fixed = [
        record(r.arrived_at, r.arrived_at.astimezone(BERLIN).replace(hour=17, minute=0), 9.0)
        for r in history
    ]
    wish = expect(fixed, datetime(2026, 3, 30, 8, tzinfo=BERLIN))
    assert wish.departure_at is not None
    assert abs(wish.departure_at - datetime(2026, 3, 30, 17, tzinfo=BERLIN)) < timedelta(minutes=1)
