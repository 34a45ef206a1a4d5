"""The picture of a session as data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from fake_depot import START, outlook_at
from fake_platform import FakePlatform
from gridleaf.control.types import SessionState
from gridleaf.store import sqlite_store
from gridleaf.store.port import SeriesPoint
from gridleaf.web.console.session_chart import Ahead, ahead, session_options, session_rows, thinned

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform(sqlite_store(None))


def _ahead(platform: FakePlatform, departure_h: float) -> Ahead:
    session = platform.state().evses[0].session
    decision = platform.decision()
    assert session is not None
    assert decision is not None
    changed: SessionState = replace(session, departure_at=START + timedelta(hours=departure_h))
    return ahead(changed, decision.sessions[0], outlook_at(START))


def test_the_plan_is_shown_to_the_step_of_the_departure(platform: FakePlatform) -> None:
    plan = _ahead(platform, 1.0)  # steps end after 20, 35, 50 and 65 minutes
    assert len(plan.power_kw) == len(plan.energy_kwh) == len(plan.price) == 4
    assert plan.at[0] == START
    assert plan.at[-1] == START + timedelta(minutes=65)
    assert len(_ahead(platform, -1.0).power_kw) == 1


def test_measured_and_planned_share_one_time_axis(platform: FakePlatform) -> None:
    plan = _ahead(platform, 3.0)
    power = [SeriesPoint(at=START - timedelta(minutes=m), value=7.0) for m in (30, 20, 10)]
    held = [(START - timedelta(minutes=15), 0.2), (START + timedelta(minutes=15), 9.9)]
    options = session_options(power, [], plan, held, START, "Europe/Berlin", "EUR")
    first, last = power[0].at.timestamp() * 1000, plan.at[-1].timestamp() * 1000
    assert {(axis["min"], axis["max"]) for axis in options["xAxis"]} == {(first, last)}
    series = {one["name"]: one for one in options["series"]}
    assert [one["yAxisIndex"] for one in options["series"]] == [0, 1, 0, 1, 2]
    prices = [value for _, value in series["Price"]["data"]]
    assert prices[0] == 0.2
    assert 9.9 not in prices
    levels = [value for _, value in series["Planned state of charge %"]["data"]]
    assert plan.session.soc is not None
    assert levels[0] == pytest.approx(plan.session.soc * 100)


def test_a_session_that_is_over_shows_only_what_was_measured() -> None:
    soc = [SeriesPoint(at=START, value=0.5)]
    options = session_options([], soc, None, [], START, "UTC", "EUR")
    assert [one["name"] for one in options["series"]] == ["Power", "State of charge %"]
    assert session_rows(None, BERLIN, START, "EUR").rows == ()


def test_the_figures_name_energy_where_no_state_of_charge_is_known(platform: FakePlatform) -> None:
    plan = _ahead(platform, 1.0)
    known = session_rows(plan, BERLIN, START, "EUR").rows[0]
    assert known[0] == "17:40"
    assert known[2].endswith("%")
    silent = replace(plan, session=replace(plan.session, soc=None))
    assert session_rows(silent, BERLIN, START, "EUR").rows[0][2].endswith("kWh")


def test_a_long_session_is_thinned_but_ends_where_it_ended() -> None:
    points = [SeriesPoint(at=START + timedelta(minutes=n), value=n) for n in range(5003)]
    kept = thinned(points)
    assert len(kept) < 500
    assert kept[0] is points[0]
    assert kept[-1] is points[-1]
    assert thinned([]) == []
