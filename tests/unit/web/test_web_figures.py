"""From state, plan and measurements to what the screens show."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from fake_depot import START, STEP_H, outlook_at
from fake_platform import FakePlatform
from gridleaf.control.types import Alert, EvseState
from gridleaf.domain.events import TransactionReported
from gridleaf.domain.meter import MeterSample, SiteMeasurement
from gridleaf.store import sqlite_store
from gridleaf.web.figures import (
    doing,
    expected_saving,
    flow,
    price_steps,
    quarter,
    readiness,
    session_series,
    timeline,
    worst_first,
)


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform(sqlite_store(None))


def _evse(platform: FakePlatform, key: str) -> EvseState:
    return next(e for e in platform.state().evses if e.key == key)


def test_alerts_come_worst_first_and_otherwise_in_order() -> None:
    alerts = [
        Alert(kind=kind, severity=severity, where="", text="")  # type: ignore[arg-type]
        for kind, severity in (
            ("a", "info"),
            ("b", "critical"),
            ("c", "warning"),
            ("d", "critical"),
        )
    ]
    assert [a.kind for a in worst_first(alerts)] == ["b", "d", "c", "a"]


def test_price_steps_join_without_a_gap() -> None:
    steps = price_steps(outlook_at(START))
    assert len(steps) == len(STEP_H)
    assert steps[0]["start"] == START
    assert all(a["end"] == b["start"] for a, b in pairwise(steps))
    assert steps[-1]["end"] - START == timedelta(hours=sum(STEP_H))


def test_the_flow_adds_up_to_the_grid(platform: FakePlatform) -> None:
    now = flow(platform.state())
    assert now.grid_kw is not None
    assert now.load_kw is not None
    assert now.pv_kw is not None
    assert now.charging_kw > 0
    assert now.discharging_kw > 0
    balance = now.load_kw - now.pv_kw + now.charging_kw - now.discharging_kw
    assert now.grid_kw == pytest.approx(balance, abs=0.1)


def test_without_a_meter_the_flow_is_unknown_and_not_zero(platform: FakePlatform) -> None:
    now = flow(replace(platform.state(), measurement=None, meter_fresh=False))
    assert (now.grid_kw, now.pv_kw, now.load_kw, now.fresh) == (None, None, None, False)


def test_readiness_sorts_by_departure_and_judges_by_the_plan(platform: FakePlatform) -> None:
    ready = readiness(platform.state(), platform.decision())
    departures = [r.session.departure_at for r in ready]
    assert departures == sorted(departures)
    assert {r.verdict for r in ready} == {"ready", "on_track", "at_risk"}
    for r in ready:
        assert (r.verdict == "at_risk") == (r.unmet_kwh > 0.1)


def test_readiness_without_a_decision_is_only_what_is_there_already(platform: FakePlatform) -> None:
    assert {r.verdict for r in readiness(platform.state(), None)} == {"ready", "on_track"}


def test_what_an_evse_does_in_a_word(platform: FakePlatform) -> None:
    evse = _evse(platform, "DC01/1")
    assert doing(replace(evse, power_kw=7.0)) == "charging"
    assert doing(replace(evse, power_kw=-7.0)) == "discharging"
    assert doing(replace(evse, power_kw=0.03)) == "waiting"
    assert doing(replace(evse, online=False, power_kw=7.0)) == "offline"
    assert doing(replace(evse, status="faulted")) == "faulted"
    assert doing(replace(evse, session=None)) == "plugged"
    assert doing(replace(evse, session=None, status="available")) == "free"


def test_the_timeline_joins_what_was_measured_with_what_is_planned(platform: FakePlatform) -> None:
    since = START - timedelta(hours=1)
    rows = [
        SiteMeasurement(
            measured_at=since + timedelta(minutes=5 * n), grid_kw=10.0 + n, pv_kw=4.0, load_kw=8.0
        )
        for n in range(12)
    ]
    decided, decision = platform.decided_state(), platform.decision()
    assert decided is not None
    past = {quarter(since): (0.31, 0.25)}
    line = timeline(platform.site, START, rows, past, decided.outlook, decision, since=since)
    before = [i for i, at in enumerate(line.at) if at < START]
    assert [line.at[i].minute for i in before] == [30, 45, 0, 15, 30]
    assert line.grid_kw[1] == pytest.approx(12.0)  # the mean of 11, 12 and 13
    assert line.charging_kw[1] == pytest.approx(12.0 - 8.0 + 4.0)
    assert line.discharging_kw[1] == 0.0
    assert line.import_price[:2] == (0.31, None)
    assert line.import_limit_kw[1] == 200.0

    planned = len(before)
    assert line.at[planned] == START
    assert line.end == START + timedelta(hours=sum(STEP_H))
    assert line.grid_kw[planned] == decision.grid_kw[0]  # type: ignore[union-attr]
    assert line.import_limit_kw[planned] == 120.0
    columns = (line.at, line.grid_kw, line.pv_kw, line.discharging_kw, line.export_price)
    assert len({len(column) for column in columns}) == 1


def test_a_plan_that_began_before_now_is_shown_from_now_on(platform: FakePlatform) -> None:
    now = START + timedelta(minutes=45)
    decided, decision = platform.decided_state(), platform.decision()
    assert decided is not None
    line = timeline(platform.site, now, [], {}, decided.outlook, decision, since=START)
    assert line.at[0] == now
    assert line.import_price[0] == decided.outlook.import_price[2]


def test_before_the_first_decision_there_is_an_empty_timeline(platform: FakePlatform) -> None:
    line = timeline(platform.site, START, [], {}, None, None, since=START)
    assert line.at == ()
    assert line.grid_kw == ()
    assert line.end == START


def test_a_sessions_power_has_the_sign_of_its_direction() -> None:
    def report(minute: int, **values: float) -> TransactionReported:
        at = START + timedelta(minutes=minute)
        return TransactionReported(
            station_id="DC01",
            received_at=at,
            transaction_id="tx",
            seq_no=minute,
            phase="updated",
            occurred_at=at,
            samples=tuple(
                MeterSample(
                    measured_at=at,
                    measurand=name.replace("_", "."),
                    value=value,
                    unit="1" if name == "SoC" else "kW",
                )
                for name, value in values.items()
            ),
        )

    power, soc = session_series(
        [
            report(5, Power_Active_Import=0.0, Power_Active_Export=8.5, SoC=0.6),
            report(0, Power_Active_Import=11.0, Power_Active_Export=0.0),
        ]
    )
    assert [p.value for p in power] == [11.0, -8.5]
    assert [(p.at, p.value) for p in soc] == [(START + timedelta(minutes=5), 0.6)]


def test_charging_later_and_cheaper_saves_the_difference(platform: FakePlatform) -> None:
    evse = _evse(platform, "DC09/1")
    session = evse.session
    decision = platform.decision()
    assert session is not None
    assert decision is not None
    outlook = replace(
        outlook_at(START), step_h=(1.0, 1.0), import_price=(0.40, 0.10), export_price=(0.3, 0.08)
    )
    plan = replace(
        decision.sessions[0], power_kw=(0.0, 10.0), energy_kwh=(20.0, 29.3), session_id="x"
    )
    car = replace(session, energy_kwh=20.0, charge_max_kw=10.0)
    assert expected_saving(plan, car, outlook, (5.0, 5.0), 0.93) == pytest.approx(4.0 - 1.0)
    exporting = expected_saving(plan, car, outlook, (5.0, -5.0), 0.93)
    assert exporting == pytest.approx(4.0 - 0.8)
