"""The safety envelope holds whatever the plan says."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOON, ac_evse, evse, session, site, state
from gridleaf.control.envelope import envelope
from gridleaf.control.types import Setpoint, SiteState
from gridleaf.domain.site import SiteConfig


def only(setpoints: tuple[Setpoint, ...]) -> Setpoint:
    assert len(setpoints) == 1
    return setpoints[0]


def test_a_wish_inside_every_limit_is_granted_as_it_is() -> None:
    assert only(envelope(state(evse()), site(), {"s1": 10.0})).power_kw == 10.0
    assert only(envelope(state(evse()), site(), {"s1": -10.0})).power_kw == -10.0


def test_import_stays_inside_the_grid_limit_with_the_building_counted() -> None:
    given = state(evse(), base_kw=35.0)
    setpoint = only(envelope(given, site(), {"s1": 22.0}))
    assert setpoint.power_kw == pytest.approx(5.0)
    assert any("has 5.0 kW left" in reason for reason in setpoint.reasons)


def test_a_circuit_narrower_than_its_chargers_is_shared() -> None:
    given = state(evse(), ac_evse(), import_limit_kw=100.0)
    total = sum(s.power_kw for s in envelope(given, site(), {"s1": 22.0, "AC1-s": 11.0}))
    assert total <= 30.0


def test_the_more_urgent_vehicle_is_served_first() -> None:
    hurried = session("late", departure_at=NOON + timedelta(hours=1), target_kwh=38.0)
    given = state(evse("DC1"), evse("DC2", session=hurried), base_kw=15.0)
    powers = {s.session_id: s.power_kw for s in envelope(given, site(), {"s1": 22.0, "late": 22.0})}
    assert powers == {"late": 22.0, "s1": pytest.approx(3.0)}


@pytest.mark.parametrize(
    ("change", "session_change", "reason"),
    [
        ({"meter_fresh": False, "base_kw": 0.0}, {}, "meter is not fresh"),
        ({"grid_event": "NotifyDERAlarm of X"}, {}, "grid event"),
        ({"policy": "smart"}, {}, "policy is not v2g"),
        ({}, {"soc": None}, "state of charge is unknown"),
        ({}, {"discharge_max_kw": 0.0}, "stale or jumped"),
        ({}, {"energy_kwh": 12.0}, "reserve"),
        ({}, {"v2g": False}, "driver did not allow"),
    ],
)
def test_no_discharge_without_every_condition(
    change: dict[str, object], session_change: dict[str, object], reason: str
) -> None:
    given = state(evse(session=session(**session_change)), **change)
    setpoint = only(envelope(given, site(), {"s1": -10.0}))
    assert setpoint.power_kw == 0.0
    assert any(reason in text for text in setpoint.reasons)


def test_no_discharge_at_a_station_where_it_is_not_enabled_by_name() -> None:
    assert only(envelope(state(evse(v2x=False)), site(), {"s1": -10.0})).power_kw == 0.0


def test_export_counts_the_building_but_not_what_charges() -> None:
    charging = evse("DC2", session=session("s2"), power_kw=22.0)
    given = state(evse("DC1"), charging, base_kw=-15.0)
    powers = {s.session_id: s.power_kw for s in envelope(given, site(), {"s1": -20.0, "s2": 22.0})}
    assert powers["s1"] == pytest.approx(-5.0)


def test_discharging_makes_room_only_as_far_as_it_is_measured() -> None:
    def granted(measured_kw: float) -> float:
        giving = evse("DC2", session=session("s2"), power_kw=measured_kw)
        given = state(evse("DC1"), giving, base_kw=38.0)
        wanted = {"s1": 22.0, "s2": -20.0}
        return {s.session_id: s.power_kw for s in envelope(given, site(), wanted)}["s1"]

    assert granted(0.0) == pytest.approx(2.0)
    assert granted(-20.0) == pytest.approx(22.0)


def test_without_a_fresh_meter_all_share_the_static_share() -> None:
    given = state(evse(), ac_evse(), meter_fresh=False, base_kw=0.0)
    total = sum(s.power_kw for s in envelope(given, site(), {"s1": 22.0, "AC1-s": 11.0}))
    assert 0 < total <= 10.0


def test_an_offline_station_keeps_its_worst_case_reserved() -> None:
    gone = ac_evse(online=False, worst_import_kw=11.0)
    given = state(evse(), gone, base_kw=20.0)
    assert only(envelope(given, site(), {"s1": 22.0})).power_kw == pytest.approx(9.0)


def test_an_evse_that_does_not_obey_is_reserved_and_asked_for_little() -> None:
    rebel = evse("DC2", session=session("s2"), obeying=False, rung=1, worst_import_kw=22.0)
    given = state(evse("DC1"), rebel, import_limit_kw=100.0)
    setpoints = {s.session_id: s for s in envelope(given, site(), {"s1": 22.0, "s2": 22.0})}
    assert setpoints["s1"].power_kw == pytest.approx(8.0)
    assert setpoints["s2"].power_kw <= 2.2
    assert "does not obey" in setpoints["s2"].reasons[0]


def test_ac_is_told_whole_amperes_rounded_down() -> None:
    setpoint = only(envelope(state(ac_evse()), site(), {"AC1-s": 7.7}))
    assert setpoint.limit_a == 11.0
    assert setpoint.power_kw == pytest.approx(7.59)


@pytest.mark.parametrize(
    ("running_kw", "wanted_kw", "expected_kw"),
    [(None, 2.0, 0.0), (None, 3.5, 4.14), (4.14, 2.0, 4.14), (4.14, 1.0, 0.0)],
)
def test_below_six_amperes_there_is_only_on_or_off_with_hysteresis(
    running_kw: float | None, wanted_kw: float, expected_kw: float
) -> None:
    given = state(ac_evse(setpoint_kw=running_kw))
    setpoint = only(envelope(given, site(), {"AC1-s": wanted_kw}))
    assert setpoint.power_kw == pytest.approx(expected_kw)


def test_the_floor_is_not_granted_where_it_does_not_fit() -> None:
    setpoint = only(envelope(state(ac_evse(), base_kw=37.0), site(), {"AC1-s": 4.0}))
    assert setpoint.power_kw == 0.0
    assert setpoint.limit_a == 0.0


def test_a_fuse_counts_each_phase() -> None:
    fused: SiteConfig = site(
        fuse_a=40.0,
        import_limit_kw=100.0,
        circuits=[],
        stations=[
            {"id": n, "evses": [{"id": 1, "charge_max_kw": 7.4, "phases": 1, "phase": 1}]}
            for n in ("A", "B")
        ],
    )
    both = [ac_evse(n, circuit="", phases=1, phase=1, charge_max_kw=7.4) for n in ("A", "B")]
    given: SiteState = state(*both, base_kw=0.0, import_limit_kw=100.0)
    amps = [s.limit_a for s in envelope(given, fused, {"A-s": 7.4, "B-s": 7.4})]
    assert sum(a for a in amps if a is not None) <= 40.0
    assert max(a for a in amps if a is not None) == 32.0


def test_rubbish_from_the_planner_commands_nothing() -> None:
    assert only(envelope(state(evse()), site(), {"s1": math.nan})).power_kw == 0.0
    assert only(envelope(state(evse()), site(), {"s1": 1e9})).power_kw == 22.0
    assert only(envelope(state(evse(), base_kw=0.0), site(), {"s1": -1e9})).power_kw == -20.0


def test_discharging_cannot_reach_below_the_reserve_before_the_setpoint_expires() -> None:
    nearly = evse(session=session(energy_kwh=13.0, reserve_kwh=12.0))
    setpoint = only(envelope(state(nearly), site(), {"s1": -22.0}))
    taken_kwh = -setpoint.power_kw / 0.93 * (setpoint.expires_at - NOON) / timedelta(hours=1)
    assert 0.9 < taken_kwh <= 1.0


def test_every_setpoint_expires_two_cycles_ahead() -> None:
    setpoint = only(envelope(state(evse()), site(), {"s1": -5.0}))
    assert setpoint.expires_at == NOON + timedelta(seconds=600)


def test_a_discharge_that_was_measured_long_ago_makes_no_room() -> None:
    old = NOON - timedelta(minutes=10)
    giving = evse("DC2", session=session("s2"), power_kw=-20.0, power_at=old)
    given = state(evse("DC1"), giving, base_kw=38.0)
    powers = {s.session_id: s.power_kw for s in envelope(given, site(), {"s1": 22.0, "s2": -20.0})}
    assert powers["s1"] == pytest.approx(2.0)


def test_the_ceiling_of_the_minutes_ahead_holds_now() -> None:
    given = state(evse(), import_ceiling_kw=12.0)
    assert only(envelope(given, site(), {"s1": 22.0})).power_kw == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("running_kw", "wanted_kw", "expected_kw"),
    [
        (None, 1.0, 0.0),
        (None, 1.6, 2.0),
        (2.0, 1.0, 2.0),
        (2.0, 0.4, 0.0),
        (None, 5.0, 5.0),
        (None, -1.0, 0.0),
        (None, -2.5, -3.0),
        (-3.0, -1.0, -3.0),
        (-3.0, -0.5, 0.0),
        (None, -5.0, -5.0),
    ],
)
def test_below_its_least_power_a_vehicle_gets_its_least_or_nothing(
    running_kw: float | None, wanted_kw: float, expected_kw: float
) -> None:
    car = session(charge_min_kw=2.0, discharge_min_kw=3.0)
    given = state(evse(session=car, setpoint_kw=running_kw))
    assert only(envelope(given, site(), {"s1": wanted_kw})).power_kw == pytest.approx(expected_kw)


@pytest.mark.parametrize("wanted_kw", [22.0, -22.0])
def test_where_less_than_its_least_is_left_a_vehicle_gets_nothing(wanted_kw: float) -> None:
    car = session(charge_min_kw=4.0, discharge_min_kw=4.0)
    given = state(evse(session=car), base_kw=38.0, import_limit_kw=40.0, export_limit_kw=0.0)
    given = replace(given, base_export_kw=-17.0, export_limit_kw=20.0, export_ceiling_kw=20.0)
    setpoint = only(envelope(given, site(), {"s1": wanted_kw}))
    assert setpoint.power_kw == 0.0
    assert any("or nothing" in reason for reason in setpoint.reasons)


def test_discharging_ends_at_the_window_of_the_vehicle_before_the_setpoint_expires() -> None:
    car = session(energy_kwh=21.0, v2x_from_kwh=20.0)
    setpoint = only(envelope(state(evse(session=car)), site(), {"s1": -22.0}))
    assert -setpoint.power_kw / 0.93 / 6 == pytest.approx(1.0, abs=0.1)
    below = session(energy_kwh=19.0, v2x_from_kwh=20.0)
    assert only(envelope(state(evse(session=below)), site(), {"s1": -22.0})).power_kw == 0.0


def test_who_refuses_zero_gets_its_floor_before_the_more_urgent_and_within_every_limit() -> None:
    hurried = session("late", departure_at=NOON + timedelta(hours=1), target_kwh=38.0)
    given = state(evse("DC2", session=hurried), ac_evse(refuses_zero=True), base_kw=30.0)
    powers = {s.session_id: s for s in envelope(given, site(), {"AC1-s": 0.0, "late": 22.0})}
    assert powers["AC1-s"].power_kw == pytest.approx(4.14)
    assert powers["AC1-s"].limit_a == 6.0
    assert "the station refuses 0" in powers["AC1-s"].reasons[-1]
    assert powers["late"].power_kw == pytest.approx(5.86, abs=0.01)


@pytest.mark.parametrize(
    "change",
    [{"base_kw": 37.0}, {"meter_fresh": False, "base_kw": 0.0, "import_ceiling_kw": 4.0}],
)
def test_who_refuses_zero_is_to_stop_where_its_floor_does_not_fit(change: dict[str, Any]) -> None:
    given = state(ac_evse(refuses_zero=True, unpausable=True), **change)
    setpoint = only(envelope(given, site(), {"AC1-s": 11.0}))
    assert setpoint.stop
    assert (setpoint.power_kw, setpoint.limit_a) == (0.0, 0.0)


def test_an_external_limit_below_the_floor_stops_who_refuses_zero() -> None:
    given = state(ac_evse(refuses_zero=True, unpausable=True, external_limit_kw=3.0))
    assert only(envelope(given, site(), {"AC1-s": 11.0})).stop


def test_until_it_has_stopped_what_it_draws_is_kept_free() -> None:
    drawing = ac_evse(refuses_zero=True, unpausable=True, external_limit_kw=3.0, most_kw=8.0)
    given = state(evse(), drawing, base_kw=20.0)
    powers = {s.session_id: s.power_kw for s in envelope(given, site(), {"s1": 22.0})}
    assert powers["s1"] == pytest.approx(12.0)


def test_who_has_not_shown_that_it_takes_more_than_zero_is_not_stopped_for_refusing_it() -> None:
    given = state(ac_evse(refuses_zero=True), base_kw=37.0)
    setpoint = only(envelope(given, site(), {"AC1-s": 11.0}))
    assert (setpoint.power_kw, setpoint.stop) == (0.0, False)
