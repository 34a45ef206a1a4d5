"""Measured health in the control loop: whose capacity counts, and when discharging ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from builders import NOON, outlook, site
from fake_depot import past_health
from gridleaf.battery.health import Estimate, prior
from gridleaf.control.batteries import expected, is_of, sweep_of
from gridleaf.control.decide import decide
from gridleaf.control.explain import explain
from gridleaf.control.learn import keep_health, restore_batteries
from gridleaf.control.live import LiveSite
from gridleaf.control.observe import Imposed, observe
from gridleaf.control.problem import controlled, may_discharge
from gridleaf.control.session import LiveSession, session_id
from gridleaf.control.types import SessionState, SiteState
from gridleaf.control.wear import predicted_fade
from gridleaf.domain.events import CapabilitiesRead, NeedsReported, TransactionReported
from gridleaf.domain.meter import MeterSample, SiteMeasurement
from gridleaf.domain.site import Defaults, Vehicle
from gridleaf.store import sqlite_store
from gridleaf.store.port import SessionRecord, Store

VAN = Vehicle(id_token="VAN", capacity_kwh=40, reserve_soc=0.2, target_soc=0.9)
DRIFT = timedelta(hours=6)
DC1 = site().stations[0].evses[0]


def depot(**vehicle: Any) -> LiveSite:
    live = LiveSite(site(vehicles=[{**VAN.model_dump(exclude_unset=True), **vehicle}]))
    live.stations["DC1"].online = True
    live.apply(
        CapabilitiesRead(
            station_id="DC1",
            received_at=NOON,
            v2x_enabled=True,
            operation_modes=("ChargingOnly", "CentralSetpoint"),
        )
    )
    return live


def report(
    name: str, at: datetime, phase: Any, *, soc: float, charged: float, discharged: float = 0.0
) -> TransactionReported:
    def sample(measurand: str, value: float, unit: str) -> MeterSample:
        return MeterSample(measured_at=at, measurand=measurand, value=value, unit=unit)

    return TransactionReported(
        station_id="DC1",
        received_at=at,
        transaction_id=name,
        seq_no={"started": 0, "updated": 1, "ended": 2}[phase],
        phase=phase,
        occurred_at=at,
        evse_id=1,
        id_token="van",
        samples=(
            sample("Energy.Active.Import.Register", charged, "kWh"),
            sample("Energy.Active.Export.Register", discharged, "kWh"),
            sample("SoC", soc, "1"),
        ),
    )


def begin(live: LiveSite, name: str, at: datetime, soc: float = 0.5) -> LiveSession:
    live.apply(report(name, at, "started", soc=soc, charged=100.0, discharged=50.0))
    return live.sessions[session_id("DC1", name)]


def play(
    live: LiveSite, number: int, *, capacity_kwh: float = 34.0, last: float = 0.9
) -> LiveSession:
    """A session from 40 % to 90 % that is over."""
    at = NOON + timedelta(days=number)
    session = begin(live, f"t{number}", at, 0.4)
    charged = 100.0 + 0.5 * capacity_kwh / 0.93
    live.apply(
        report(f"t{number}", at + DRIFT, "updated", soc=last, charged=charged, discharged=50.0)
    )
    live.apply(
        report(f"t{number}", at + DRIFT, "ended", soc=last, charged=charged, discharged=50.0)
    )
    live.take_over()
    return session


def learnt(live: LiveSite, sessions: int, **changes: Any) -> None:
    vehicle = live.site.vehicles[0]
    for number in range(sessions):
        record = live.batteries.learn(play(live, number, **changes), vehicle, DC1)
        assert record is not None
        live.batteries.learnt(record)


def seen(live: LiveSite, at: datetime) -> SiteState:
    return observe(
        live,
        at=at,
        policy="v2g",
        measurement=SiteMeasurement(measured_at=at, grid_kw=3.0),
        imposed=Imposed(),
        peak_so_far_kw=0.0,
        outlook=replace(outlook(), start=at),
    )


def only(state: SiteState) -> SessionState:
    (found,) = [e.session for e in state.evses if e.session is not None]
    return found


def needs(at: datetime, capacity_kwh: float) -> NeedsReported:
    return NeedsReported(
        station_id="DC1",
        received_at=at,
        evse_id=1,
        requested_transfer="DC_BPT",
        capacity_kwh=capacity_kwh,
    )


def test_the_vehicles_word_beats_its_sessions_beat_the_site_file() -> None:
    live, at = depot(), NOON + timedelta(days=9)
    begin(live, "now", at)
    state = only(seen(live, at))
    assert (state.capacity_kwh, state.capacity_by) == (40.0, "site")
    live = depot()
    learnt(live, 8)
    begin(live, "now", at)
    state = only(seen(live, at))
    assert state.capacity_by == "sessions"
    assert state.capacity_kwh == pytest.approx(34.0, rel=0.02)
    assert state.target_kwh == pytest.approx(0.9 * 34.0, rel=0.02)
    live.apply(needs(at, 35.5))
    state = only(seen(live, at))
    assert (state.capacity_kwh, state.capacity_by) == (35.5, "vehicle")


@pytest.mark.parametrize("told_kwh", [0.04, 10.0, 40_000.0])
def test_a_capacity_in_the_wrong_unit_is_not_believed(told_kwh: float) -> None:
    """Fault 31: nothing that a vehicle tells may bring the reserve down."""
    live, at = depot(), NOON
    begin(live, "now", at)
    live.apply(needs(at, told_kwh))
    assert only(seen(live, at)).capacity_by == "site"


def test_two_sessions_do_not_yet_beat_the_site_file() -> None:
    live, at = depot(), NOON + timedelta(days=9)
    learnt(live, 2)
    begin(live, "now", at)
    assert only(seen(live, at)).capacity_by == "site"


def test_another_capacity_in_the_site_file_begins_anew() -> None:
    live = depot()
    learnt(live, 8)
    other = depot(capacity_kwh=62)
    other.batteries.restore(live.batteries.latest.values())
    begin(other, "now", NOON + timedelta(days=9))
    assert only(seen(other, NOON + timedelta(days=9))).capacity_kwh == 62.0
    record = other.batteries.learn(play(other, 10, capacity_kwh=55.0), other.site.vehicles[0], DC1)
    assert record is not None
    assert (record.version, record.sessions) == (9, 1)


@pytest.mark.parametrize(("days", "version", "sessions"), [(9, 9, 1), (-400, 9, 9), (400, 9, 9)])
def test_a_battery_in_use_since_the_newest_estimate_begins_anew(
    days: int, version: int, sessions: int
) -> None:
    """Of the same capacity; one that is in use for longer, or is not yet, changes nothing."""
    live, later = depot(), NOON + timedelta(days=12)
    learnt(live, 8)
    other = depot(battery_since=(NOON + timedelta(days=days)).date())
    other.batteries.restore(live.batteries.latest.values())
    vehicle = other.site.vehicles[0]
    assert is_of(live.batteries.latest["van"], vehicle, later) == (sessions > 1)
    record = other.batteries.learn(play(other, 10, capacity_kwh=34.0), vehicle, DC1)
    assert record is not None
    assert (record.version, record.sessions) == (version, sessions)


def test_a_cold_site_does_not_take_its_batteries_for_worn_and_plans_with_what_the_cold_leaves() -> (
    None
):
    found = []
    for ambient_c in (25, 5):
        live = LiveSite(
            site(vehicles=[VAN.model_dump(exclude_unset=True)], defaults={"ambient_c": ambient_c})
        )
        learnt(live, 8, capacity_kwh=34.0 * (1 - 0.003 * (25 - ambient_c)))
        vehicle, at = live.site.vehicles[0], NOON + timedelta(days=9)
        found.append(
            (live.batteries.soh(vehicle, at), live.batteries.capacity_kwh(vehicle, None, at))
        )
    (warm_soh, (warm_kwh, _)), (cold_soh, (cold_kwh, _)) = found
    assert cold_soh == pytest.approx(warm_soh, rel=5e-3)
    assert warm_kwh is not None
    assert cold_kwh == pytest.approx(0.94 * warm_kwh, rel=5e-3)


def test_energy_counts_between_the_readings_of_the_state_of_charge() -> None:
    live = depot()
    session = begin(live, "t", NOON, 0.4)
    later = report("t", NOON + DRIFT, "updated", soc=0.8, charged=117.0, discharged=52.0)
    live.apply(later)
    end = report("t", NOON + 2 * DRIFT, "ended", soc=0.8, charged=119.0, discharged=52.0)
    live.apply(replace(end, samples=end.samples[:2]))
    sweep = sweep_of(session, DC1, 12.0)
    assert sweep is not None
    assert (sweep.charged_kwh, sweep.discharged_kwh) == (17.0, 2.0)
    assert (sweep.soc_from, sweep.soc_to) == (0.4, 0.8)
    assert sweep.temperature_c == 12.0
    assert session.charged.total_kwh == 19.0


@pytest.mark.parametrize("soc", [0.95, 0.05])
def test_fault_31_a_session_whose_state_of_charge_jumped_teaches_nothing(soc: float) -> None:
    live = depot()
    session = begin(live, "t", NOON, 0.5)
    live.apply(report("t", NOON + DRIFT, "updated", soc=soc, charged=102.0, discharged=50.0))
    assert "soc_jump" in session.flags
    assert sweep_of(session, DC1, 20.0) is None


def test_fault_27_a_session_whose_register_was_reset_teaches_nothing() -> None:
    live = depot()
    session = begin(live, "t", NOON, 0.5)
    live.apply(report("t", NOON + DRIFT, "updated", soc=0.8, charged=3.0, discharged=50.0))
    assert "register_reset" in session.flags
    assert sweep_of(session, DC1, 20.0) is None


def test_fault_24_a_session_that_was_closed_by_a_guess_teaches_nothing() -> None:
    live = depot()
    session = begin(live, "t", NOON, 0.5)
    begin(live, "next", NOON + DRIFT, 0.6)
    assert session.suspect
    assert sweep_of(session, DC1, 20.0) is None


def in_store(work: Any) -> None:
    async def main() -> None:
        store = sqlite_store(None)
        await store.open()
        await work(store)
        await store.close()

    asyncio.run(main())


def test_what_was_learnt_survives_a_restart_and_no_session_counts_twice() -> None:
    async def work(store: Store) -> None:
        live = depot()
        for number in range(6):
            session = play(live, number)
            for _ in range(2):  # a late report brings a session up again
                await keep_health(live, store, session, NOON)
        kept = await store.health("van")
        assert [record.version for record in kept] == [6, 5, 4, 3, 2, 1]
        assert len({record.session_id for record in kept}) == 6
        again = depot()
        await restore_batteries(again, store, NOON)
        assert again.batteries.latest == live.batteries.latest

    in_store(work)


def test_two_sessions_that_end_at_once_both_count() -> None:
    async def work(store: Store) -> None:
        live = depot()
        sessions = [play(live, number) for number in range(2)]
        records = [live.batteries.learn(s, live.site.vehicles[0], DC1) for s in sessions]
        assert records[0] is not None
        await store.append_health(records[0])  # written while the other one was being learnt
        await keep_health(live, store, sessions[1], NOON)
        kept = await store.health("van")
        assert [(r.version, r.session_id) for r in kept] == [
            (2, sessions[1].session_id),
            (1, sessions[0].session_id),
        ]

    in_store(work)


def test_a_vehicle_that_nobody_knows_teaches_nothing() -> None:
    async def work(store: Store) -> None:
        live = LiveSite(site())
        await keep_health(live, store, play(live, 0), NOON)
        assert await store.latest_health() == []

    in_store(work)


def given_before(kwh: float, at: datetime) -> SessionRecord:
    return SessionRecord(
        session_id=f"s{at.timestamp()}",
        station_id="DC1",
        evse_id=1,
        transaction_id="old",
        id_token="VAN",
        arrived_at=at,
        departed_at=at + DRIFT,
        state="ended",
        discharged_kwh=kwh,
    )


def test_discharging_ends_when_the_budget_is_used_up_and_explain_says_why() -> None:
    async def work(store: Store) -> None:
        live = depot(discharge_kwh_per_year=500, v2g=True)
        await store.save_session(given_before(400.0, NOON - timedelta(days=30)))  # last year
        await store.save_session(given_before(460.0, NOON - timedelta(days=2)))
        await restore_batteries(live, store, NOON)
        session = begin(live, "now", NOON, 0.9)
        state = seen(live, NOON)
        assert only(state).discharge_left_kwh == pytest.approx(40.0)
        assert only(state).discharge_max_kw > 0
        session.discharged.total_kwh = 39.999
        state = seen(live, NOON)
        (item,) = controlled(state)
        assert may_discharge(state, item) == "its 500 kWh for this year are given"
        decision = decide(state, live.site)
        assert [a.kind for a in decision.alerts if a.where == "DC1/1"] == ["budget_spent"]
        facts = explain(state, decision)["sessions"]
        assert isinstance(facts, list)
        assert "it gives nothing: its 500 kWh for this year are given" in facts[0]["why"]

    in_store(work)


def test_no_setpoint_can_overrun_what_is_left_of_a_budget() -> None:
    """Even if the controller dies: a setpoint holds for two cycles, and gives no more than is left."""
    live = depot(discharge_kwh_total=2, v2g=True)
    session = begin(live, "now", NOON, 0.9)
    for given in (0.0, 1.0, 1.9, 1.99):
        session.discharged.total_kwh = given
        most = only(seen(live, NOON)).discharge_max_kw
        assert most * 2 * live.site.control.cycle_s / 3600 <= 2 - given + 1e-9


def test_a_new_year_brings_a_new_budget_but_not_a_new_total() -> None:
    live = depot(discharge_kwh_per_year=500, discharge_kwh_total=2000)
    vehicle = live.site.vehicles[0]
    live.batteries.gave(vehicle, NOON, 500.0, 1200.0)
    assert live.batteries.left_kwh(vehicle, 0.0, NOON)[0] == 0.0
    assert live.batteries.left_kwh(vehicle, 0.0, NOON + timedelta(days=361))[0] == 500.0
    live.batteries.gave(vehicle, NOON, 500.0, 1990.0)
    assert live.batteries.left_kwh(vehicle, 0.0, NOON + timedelta(days=361))[0] == 10.0


def test_the_driver_gets_a_share_of_what_discharging_added_and_of_nothing_else() -> None:
    live = depot(driver_share=0.4)
    session = begin(live, "now", NOON, 0.9)
    session.seen = only(seen(live, NOON))
    session.cost_eur, session.uncontrolled_cost_eur = -1.0, 2.0  # saved by charging late
    assert session.record().driver_eur == 0.0
    session.gain.move(-5.0, 0.5, wear_eur=0.2, round_trip=0.8)
    session.gain.move(6.25, 0.1, wear_eur=0.0, round_trip=0.8)
    assert session.record().driver_eur == pytest.approx(0.4 * (2.5 - 0.2 - 0.625))
    session.gain.move(-1.0, 0.1, wear_eur=3.0, round_trip=0.8)
    assert session.record().driver_eur == 0.0


def test_the_floor_under_health_counts_what_the_cells_lose_by_time_and_by_giving() -> None:
    """A budget for the pack's cells: the nearer the floor, the less it may still give."""
    left = []
    for floor in (0.6, 0.7):
        live = depot(
            battery="nissan-leaf-40", soh_floor=floor, soh_floor_on=date(2027, 5, 1), v2g=True
        )
        vehicle = live.site.vehicles[0]
        fade = predicted_fade(vehicle, live.site.defaults, 0.9)
        assert fade is not None
        assert 0.0 < fade.per_year < 0.1
        assert fade.per_kwh > 0.0
        live.batteries.learnt(past_health(vehicle, NOON, 5))
        given, why = live.batteries.left_kwh(vehicle, 0.0, NOON)
        assert given is not None
        assert f"below {floor:.0%}" in why
        left.append(given)
    assert 0.0 < left[1] < left[0]


def test_before_its_sessions_tell_a_battery_is_as_old_as_its_cells_make_it() -> None:
    def told(**changes: Any) -> Estimate:
        vehicle = Vehicle(
            id_token="VAN", capacity_kwh=40, battery_since=date(2016, 1, 5), **changes
        )
        return expected(vehicle, Defaults(), NOON)

    lfp, unknown, leaf = (
        told(**named) for named in ({"battery": "van-lfp-75"}, {}, {"battery": "nissan-leaf-24"})
    )
    assert lfp.capacity_kwh > unknown.capacity_kwh > leaf.capacity_kwh
    assert unknown == prior(
        40, NOON, NOON - timedelta(hours=12) - (date(2026, 1, 5) - date(2016, 1, 5))
    )
    assert leaf.band_kwh[0] < 0.66 * 40 < leaf.band_kwh[1]


def test_a_hot_site_expects_its_batteries_to_be_older() -> None:
    vehicle = Vehicle(
        id_token="VAN", capacity_kwh=40, battery="nissan-leaf-40", battery_since=date(2020, 5, 1)
    )
    cool, hot = (expected(vehicle, Defaults(ambient_c=c), NOON) for c in (12, 30))
    assert hot.capacity_kwh < cool.capacity_kwh
