"""What people fill in, and the OCPP log they read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fake_depot import START
from fake_platform import FakePlatform
from gridleaf.control.types import SessionState
from gridleaf.store import sqlite_store
from gridleaf.store.port import FrameRecord
from gridleaf.web.console.stations import read_frames
from gridleaf.web.console.wishes import next_time, read_wish

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def session() -> SessionState:
    """Leaves at 22:10 local time."""
    live = FakePlatform(sqlite_store(None)).state().evses[0].session
    assert live is not None
    return live


def test_a_time_of_day_is_the_next_one_to_come() -> None:
    assert next_time("18:00", START, BERLIN) == datetime(2026, 5, 13, 16, 0, tzinfo=UTC)
    assert next_time("17:40", START, BERLIN) == datetime(2026, 5, 14, 15, 40, tzinfo=UTC)
    assert next_time("07:30", START, BERLIN) == datetime(2026, 5, 14, 5, 30, tzinfo=UTC)


def test_the_night_the_clocks_change_keeps_the_time_of_day() -> None:
    evening = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)
    assert next_time("07:00", evening, BERLIN) == datetime(2026, 3, 29, 5, 0, tzinfo=UTC)
    evening = datetime(2026, 10, 24, 19, 0, tzinfo=UTC)
    assert next_time("07:00", evening, BERLIN) == datetime(2026, 10, 25, 6, 0, tzinfo=UTC)


def test_a_wish_is_read_from_the_form(session: SessionState) -> None:
    values = {"departure": "06:15", "target": "80", "reserve": "35", "has_v2g": "1", "v2g": "on"}
    wish = read_wish(values, session, "driver", START, BERLIN)
    assert wish.departure_at == datetime(2026, 5, 14, 4, 15, tzinfo=UTC)
    assert (wish.target_soc, wish.reserve_soc, wish.v2g) == (0.8, 0.35, True)
    assert (wish.said_by, wish.said_at, wish.energy_kwh) == ("driver", START, None)


def test_a_switch_that_is_off_is_a_no_and_one_that_is_missing_says_nothing(
    session: SessionState,
) -> None:
    off = read_wish({"departure": "06:15", "has_v2g": "1"}, session, "driver", START, BERLIN)
    silent = read_wish({"departure": "06:15"}, session, "driver", START, BERLIN)
    assert (off.v2g, silent.v2g) == (False, None)


def test_an_unchanged_departure_stays_on_its_day(session: SessionState) -> None:
    later = START + timedelta(days=2, hours=4, minutes=30)
    values = {"departure": later.astimezone(BERLIN).strftime("%H:%M")}
    wish = read_wish(values, replace(session, departure_at=later), "driver", START, BERLIN)
    assert wish.departure_at == later


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"departure": ""},
        {"departure": "25:00"},
        {"departure": "soon"},
        {"departure": "06:15", "target": "140"},
        {"departure": "06:15", "target": "nan"},
        {"departure": "06:15", "reserve": "-5"},
        {"departure": "06:15", "energy": "1e9"},
        {"departure": "06:15", "energy": "many"},
    ],
)
def test_a_form_that_makes_no_sense_is_answered_with_a_sentence(
    session: SessionState, values: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        read_wish(values, session, "driver", START, BERLIN)


def test_answers_are_named_after_their_requests() -> None:
    frames = [
        (False, [3, "b", {"status": "Accepted"}]),
        (True, [2, "b", "Reset", {"type": "Immediate"}]),
        (True, [3, "a", {"currentTime": "x"}]),
        (False, [2, "a", "Heartbeat", {}]),
        (True, [4, "z", "InternalError", "sorry", {}]),
        (False, [6, "c", "NotifyPeriodicEventStream", {"id": 1}]),
    ]
    records = [
        FrameRecord(station_id="A", at=START, outgoing=out, frame=json.dumps(frame))
        for out, frame in frames
    ]
    read = read_frames(records, ["12:00:00"] * len(records))
    assert [(f.kind, f.action) for f in read] == [
        ("answer", "Reset"),
        ("request", "Reset"),
        ("answer", "Heartbeat"),
        ("request", "Heartbeat"),
        ("error", ""),
        ("message", "NotifyPeriodicEventStream"),
    ]
    assert json.loads(read[0].text) == {"status": "Accepted"}
    assert json.loads(read[4].text) == ["InternalError", "sorry", {}]


@pytest.mark.parametrize("frame", ["not json", "{}", "[]", "[2]", '"x"', "[3,4]", "[[],[],[]]"])
def test_what_is_no_frame_is_shown_as_it_came(frame: str) -> None:
    record = FrameRecord(station_id="A", at=START, outgoing=False, frame=frame)
    [read] = read_frames([record], ["12:00:00"])
    assert read.text
    assert read.kind in ("unreadable", "frame")
