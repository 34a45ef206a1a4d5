"""What the cycle sees: the grid of steps, whose word counts, what a stale value may be used for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, outlook, site
from gridleaf.control.limits import grid_limits_kw
from gridleaf.control.live import LiveSite
from gridleaf.control.observe import Imposed, observe, step_grid
from gridleaf.control.problem import controlled, may_discharge
from gridleaf.control.session import LiveSession, session_id
from gridleaf.control.types import SessionState, SiteState
from gridleaf.domain.events import (
    CapabilitiesRead,
    NeedsReported,
    StatusReported,
    TransactionReported,
)
from gridleaf.domain.meter import MeterSample, SiteMeasurement
from gridleaf.domain.site import LimitWindow, Vehicle
from gridleaf.domain.wishes import Wish
from gridleaf.store.port import DispatchRecord

BPT = NeedsReported(
    station_id="DC1",
    received_at=NOON,
    evse_id=1,
    requested_transfer="DC_BPT",
    capacity_kwh=60.0,
    departure_at=NOON + timedelta(hours=5),
    energy_needed_kwh=10.0,
    discharge_max_kw=10.0,
)


def plugged(soc: float | None = 0.5, **site_changes: Any) -> tuple[LiveSite, LiveSession]:
    live = LiveSite(site(**site_changes))
    live.stations["DC1"].online = True
    live.apply(
        CapabilitiesRead(
            station_id="DC1",
            received_at=NOON,
            v2x_enabled=True,
            operation_modes=("ChargingOnly", "CentralSetpoint"),
        )
    )
    samples = (
        ()
        if soc is None
        else (MeterSample(measured_at=NOON, measurand="SoC", value=soc, unit="1"),)
    )
    live.apply(
        TransactionReported(
            station_id="DC1",
            received_at=NOON,
            transaction_id="t",
            seq_no=0,
            phase="started",
            occurred_at=NOON,
            evse_id=1,
            id_token="TAG",
            samples=samples,
        )
    )
    return live, live.sessions[session_id("DC1", "t")]


def seen(live: LiveSite, at: datetime = NOON, **changes: Any) -> SiteState:
    arguments: dict[str, Any] = {
        "at": at,
        "policy": "v2g",
        "measurement": SiteMeasurement(measured_at=at, grid_kw=3.0),
        "imposed": Imposed(),
        "peak_so_far_kw": 0.0,
        "outlook": outlook(),
    }
    return observe(live, **{**arguments, **changes})


def only(state: SiteState) -> SessionState:
    found = [e.session for e in state.evses if e.session is not None]
    assert len(found) == 1
    return found[0]


@given(
    st.timedeltas(timedelta(days=-700), timedelta(days=300)).map(lambda d: NOON + d),
    st.floats(1, 72),
)
def test_steps_cover_the_horizon_and_end_on_the_clock(at: datetime, horizon_h: float) -> None:
    start, step_h = step_grid(at, horizon_h)
    assert start == at
    assert all(h > 0 for h in step_h)
    assert sum(step_h) >= horizon_h - 1e-6
    for hours in accumulate(step_h):
        end = at + timedelta(hours=hours)
        off = (end - end.replace(minute=0, second=0, microsecond=0)).total_seconds() % 900
        assert min(off, 900 - off) < 1e-3


def test_the_first_step_is_what_is_left_of_the_quarter() -> None:
    _, step_h = step_grid(NOON + timedelta(minutes=10), 24)
    assert step_h[0] == pytest.approx(5 / 60)
    _, step_h = step_grid(NOON + timedelta(minutes=14, seconds=30), 24)
    assert step_h[0] == pytest.approx(15.5 / 60)


def test_the_drivers_word_beats_the_vehicles_beats_the_default() -> None:
    live, session = plugged()
    assert only(seen(live)).said_by == "default"
    session.needs = BPT
    state = only(seen(live))
    assert state.said_by == "vehicle"
    assert state.departure_at == NOON + timedelta(hours=5)
    assert state.target_kwh == pytest.approx(0.5 * 60 + 10)
    session.wish = Wish(departure_at=NOON + timedelta(hours=2), target_soc=0.9, reserve_soc=0.4)
    state = only(seen(live))
    assert state.said_by == "driver"
    assert state.target_kwh == pytest.approx(54.0)
    assert state.reserve_kwh == pytest.approx(24.0)


def test_a_vehicle_is_not_planned_beyond_the_most_it_takes() -> None:
    live, session = plugged(soc=0.5)
    session.needs = BPT
    assert only(seen(live)).max_kwh == 60.0
    session.needs = replace(BPT, energy_max_kwh=18.0)
    assert only(seen(live)).max_kwh == pytest.approx(48.0)
    session.needs = replace(BPT, energy_max_kwh=4.0)
    assert only(seen(live)).max_kwh == pytest.approx(40.0)


def test_habits_stand_in_for_a_silent_driver() -> None:
    live, session = plugged(soc=None)
    session.habit = Wish(departure_at=NOON + timedelta(hours=6), energy_kwh=12.0, said_by="history")
    state = only(seen(live))
    assert state.said_by == "history"
    assert state.target_kwh == pytest.approx(12.0 * 0.93)
    assert state.departure_at == NOON + timedelta(hours=6)


def test_a_known_vehicles_daily_departure_is_the_next_one_after_arrival() -> None:
    vehicle = Vehicle(id_token="TAG", capacity_kwh=40, departure=time(7, 30))
    live, _ = plugged(vehicles=[vehicle.model_dump()], timezone="Europe/Berlin")
    departure = only(seen(live)).departure_at
    assert departure == datetime(2026, 1, 6, 6, 30, tzinfo=NOON.tzinfo)


def test_a_vehicle_is_known_by_its_token_in_upper_and_lower_case() -> None:
    vehicle = Vehicle(id_token="tAg", name="Leaf", capacity_kwh=40)
    live, _ = plugged(vehicles=[vehicle.model_dump()])
    state = only(seen(live))
    assert (state.vehicle, state.capacity_kwh, state.id_token) == ("Leaf", 40.0, "TAG")


def test_an_overdue_vehicle_is_expected_to_leave_soon() -> None:
    live, session = plugged()
    session.wish = Wish(departure_at=NOON + timedelta(hours=1))
    later = NOON + timedelta(hours=2)
    assert only(seen(live, later)).departure_at > later


def test_discharging_needs_a_fresh_state_of_charge() -> None:
    live, session = plugged(defaults={"v2g": True})
    session.needs = BPT
    assert only(seen(live)).discharge_max_kw == 10.0
    assert only(seen(live, NOON + timedelta(minutes=16))).discharge_max_kw == 0.0
    session.soc_at = NOON + timedelta(minutes=16)
    session.discharge_doubt_at = NOON + timedelta(minutes=16)
    assert only(seen(live, NOON + timedelta(minutes=16))).discharge_max_kw == 0.0


def test_a_vehicle_that_did_not_ask_for_bpt_is_not_discharged() -> None:
    live, session = plugged(defaults={"v2g": True})
    session.needs = replace(BPT, requested_transfer="DC", available_transfers=("DC", "DC_BPT"))
    assert not only(seen(live)).v2g
    session.needs = replace(BPT, available_transfers=("DC",))
    assert only(seen(live)).v2g


def metered(live: LiveSite, imported_kwh: float, seq_no: int, minutes: float) -> None:
    at = NOON + timedelta(minutes=minutes)
    register = MeterSample(
        measured_at=at, measurand="Energy.Active.Import.Register", value=imported_kwh, unit="kWh"
    )
    live.apply(
        TransactionReported(
            station_id="DC1",
            received_at=at,
            transaction_id="t",
            seq_no=seq_no,
            phase="updated",
            occurred_at=at,
            evse_id=1,
            samples=(register,),
        )
    )


@pytest.mark.parametrize("soc", [0.5, None])
def test_what_a_vehicle_asks_for_in_mid_session_counts_from_then(soc: float | None) -> None:
    live, session = plugged(soc=0.3)
    metered(live, 100.0, 1, 0)
    live.apply(replace(BPT, capacity_kwh=40.0, energy_needed_kwh=20.0))
    assert only(seen(live)).target_kwh == pytest.approx(32.0)
    metered(live, 100.0 + 8.0 / 0.93, 2, 30)
    at = NOON + timedelta(minutes=30)
    assert only(seen(live, at)).target_kwh == pytest.approx(32.0)
    again = replace(BPT, received_at=at, capacity_kwh=40.0, energy_needed_kwh=8.0, soc=soc)
    live.apply(again)
    assert only(seen(live, at)).target_kwh == pytest.approx(28.0)
    metered(live, 100.0 + 12.0 / 0.93, 3, 45)
    assert only(seen(live, at + timedelta(minutes=15))).target_kwh == pytest.approx(28.0)
    assert only(seen(live, at + timedelta(minutes=15))).energy_kwh == pytest.approx(24.0)
    assert session.needs == again


def test_asked_for_without_a_state_of_charge_it_counts_from_what_was_charged_by_then() -> None:
    live, _ = plugged(soc=None)
    metered(live, 100.0, 1, 0)
    metered(live, 110.0, 2, 60)
    live.apply(replace(BPT, capacity_kwh=None, received_at=NOON + timedelta(hours=1)))
    assert only(seen(live, NOON + timedelta(hours=1))).target_kwh == pytest.approx(9.3 + 10.0)


def test_needs_that_come_before_the_transaction_are_kept_for_it() -> None:
    live = LiveSite(site())
    live.apply(replace(BPT, soc=0.6))
    start = TransactionReported(
        station_id="DC1",
        received_at=NOON,
        transaction_id="t",
        seq_no=0,
        phase="started",
        occurred_at=NOON,
        evse_id=1,
    )
    live.apply(start)
    session = live.sessions[session_id("DC1", "t")]
    assert session.needs is not None
    assert session.soc == 0.6
    assert only(seen(live)).target_kwh == pytest.approx(0.6 * 60 + 10)
    live.apply(replace(start, seq_no=1, phase="ended"))
    live.apply(replace(start, transaction_id="next"))
    assert live.sessions[session_id("DC1", "next")].needs is None


def test_needs_of_a_vehicle_that_left_without_charging_are_forgotten() -> None:
    live = LiveSite(site())
    live.apply(BPT)
    live.apply(
        StatusReported(
            station_id="DC1",
            received_at=NOON,
            evse_id=1,
            connector_id=1,
            status="available",
            reported_at=NOON,
        )
    )
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.needs is None


def test_below_the_window_of_the_vehicle_nothing_is_discharged() -> None:
    live, _ = plugged(soc=0.5, defaults={"v2g": True})
    live.apply(replace(BPT, v2x_min_energy_kwh=6.0))
    state = only(seen(live))
    assert state.floor_kwh == pytest.approx(36.0)
    assert state.reserve_kwh == pytest.approx(18.0)
    item = next(i for i in controlled(seen(live)) if i.session.session_id == state.session_id)
    assert may_discharge(seen(live), item) == "the vehicle is below its V2X window"
    live.apply(replace(BPT, v2x_min_energy_kwh=-6.0))
    assert only(seen(live)).floor_kwh == pytest.approx(24.0)
    assert may_discharge(seen(live), controlled(seen(live))[0]) is None
    live.apply(replace(BPT, energy_min_kwh=3.0))
    assert only(seen(live)).floor_kwh == pytest.approx(33.0)


def test_above_the_window_of_the_vehicle_nothing_is_charged_but_for_its_target() -> None:
    live, _ = plugged(soc=0.8)
    live.apply(replace(BPT, v2x_max_energy_kwh=-6.0, energy_needed_kwh=0.0))
    state = only(seen(live))
    assert state.max_kwh == pytest.approx(state.energy_kwh) == pytest.approx(48.0)
    live.apply(replace(BPT, v2x_max_energy_kwh=-6.0, energy_needed_kwh=4.0))
    assert only(seen(live)).max_kwh == pytest.approx(52.0)


def test_the_least_that_a_vehicle_must_have_is_part_of_what_it_asks_for() -> None:
    live, _ = plugged(soc=0.5)
    live.apply(replace(BPT, energy_needed_kwh=4.0, energy_min_kwh=7.0))
    assert only(seen(live)).target_kwh == pytest.approx(37.0)


def test_the_least_powers_of_a_vehicle_are_known() -> None:
    live, _ = plugged(defaults={"v2g": True})
    live.apply(replace(BPT, charge_min_kw=1.5, discharge_min_kw=50.0))
    state = only(seen(live))
    assert (state.charge_min_kw, state.discharge_min_kw) == (1.5, 10.0)


def test_a_stale_meter_is_not_fresh_and_its_numbers_are_not_used() -> None:
    live, _ = plugged()
    old = SiteMeasurement(measured_at=NOON - timedelta(seconds=61), grid_kw=30.0)
    state = seen(live, measurement=old)
    assert not state.meter_fresh
    assert state.base_kw == 0.0
    ahead = SiteMeasurement(measured_at=NOON + timedelta(hours=1), grid_kw=30.0)
    assert not seen(live, measurement=ahead).meter_fresh


def test_the_base_is_the_grid_without_what_the_evses_draw() -> None:
    live, _ = plugged()
    evse = live.evse("DC1", 1)
    assert evse is not None
    evse.power_kw, evse.power_at = 12.0, NOON
    state = seen(live, measurement=SiteMeasurement(measured_at=NOON, grid_kw=20.0))
    assert state.base_kw == pytest.approx(8.0)


def test_a_broken_limit_on_the_meter_overrules_the_sub_meters() -> None:
    live, _ = plugged()
    live.stations["AC1"].online = True
    lying = SiteMeasurement(measured_at=NOON, grid_kw=45.0, load_kw=5.0, pv_kw=0.0)
    assert seen(live, measurement=lying).base_kw == pytest.approx(45.0)


def test_a_lost_station_hides_in_the_base_of_a_grid_meter_that_stands_alone() -> None:
    live, _ = plugged()
    evse = live.evse("DC1", 1)
    assert evse is not None
    evse.power_kw, evse.power_at = 12.0, NOON
    live.stations["DC1"].online = False
    state = seen(live, measurement=SiteMeasurement(measured_at=NOON, grid_kw=20.0))
    assert state.base_kw == pytest.approx(20.0)


def test_beyond_the_limit_what_nobody_was_told_to_draw_counts_to_the_base() -> None:
    live, _ = plugged()
    live.stations["AC1"].online = True
    evse = live.evse("DC1", 1)
    assert evse is not None
    evse.power_kw, evse.power_at = 20.0, NOON
    evse.accepted = DispatchRecord(
        station_id="DC1",
        evse_id=1,
        transaction_id="t",
        sent_at=NOON - timedelta(minutes=5),
        expires_at=NOON + timedelta(minutes=5),
        steps=((0, 8.0),),
        accepted=True,
        status="Accepted",
        profile_id=1001,
    )
    within = SiteMeasurement(measured_at=NOON, grid_kw=39.0, load_kw=19.0, pv_kw=0.0)
    assert seen(live, measurement=within).base_kw == pytest.approx(19.0)
    beyond = SiteMeasurement(measured_at=NOON, grid_kw=45.0, load_kw=25.0, pv_kw=0.0)
    assert seen(live, measurement=beyond).base_kw == pytest.approx(37.0)


def test_the_smallest_limit_of_window_and_grid_operator_holds() -> None:
    windows = [
        LimitWindow(start=time(22), end=time(6), import_limit_kw=25).model_dump(),
        LimitWindow(start=time(12), end=time(13), export_limit_kw=5).model_dump(),
    ]
    config = site(limit_windows=windows)
    midnight = NOON.replace(hour=0)
    assert grid_limits_kw(config, midnight) == (25, 20)
    assert grid_limits_kw(config, NOON) == (40, 5)
    assert grid_limits_kw(config, NOON, 10.0, 0.0) == (10.0, 0.0)
    assert grid_limits_kw(config, NOON + timedelta(hours=1)) == (40, 20)


def test_an_overdue_vehicle_is_not_discharged_any_more() -> None:
    live, session = plugged(defaults={"v2g": True})
    session.needs = BPT
    session.wish = Wish(departure_at=NOON + timedelta(minutes=5))
    assert only(seen(live)).discharge_max_kw == 10.0
    assert only(seen(live, NOON + timedelta(minutes=6))).discharge_max_kw == 0.0


def test_a_setpoint_on_its_way_makes_no_room_twice() -> None:
    live, _ = plugged()
    evse = live.evse("DC1", 1)
    assert evse is not None
    evse.power_kw, evse.power_at = 0.0, NOON - timedelta(minutes=1)
    evse.changed_at = NOON
    evse.accepted = DispatchRecord(
        station_id="DC1",
        evse_id=1,
        transaction_id="t",
        sent_at=NOON,
        expires_at=NOON + timedelta(minutes=10),
        steps=((0, 22.0),),
        accepted=True,
        status="Accepted",
        profile_id=1001,
    )
    before_it_rose = SiteMeasurement(measured_at=NOON, grid_kw=30.0)
    state = seen(live, NOON + timedelta(seconds=5), measurement=before_it_rose)
    assert state.base_import_kw == pytest.approx(30.0)
    assert state.base_export_kw == pytest.approx(8.0)


def test_a_limit_that_begins_before_a_setpoint_expires_counts_already() -> None:
    windows = [LimitWindow(start=time(12, 6), end=time(14), import_limit_kw=8).model_dump()]
    live, _ = plugged(limit_windows=windows)
    state = seen(live)
    assert state.import_limit_kw == 40
    assert state.import_ceiling_kw == 8


def test_building_load_alone_is_no_meter() -> None:
    live, _ = plugged()
    assert not seen(live, measurement=SiteMeasurement(measured_at=NOON, load_kw=5.0)).meter_fresh
    both = SiteMeasurement(measured_at=NOON, load_kw=5.0, pv_kw=1.0)
    assert seen(live, measurement=both).meter_fresh
