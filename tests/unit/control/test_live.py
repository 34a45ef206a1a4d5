"""The live view only moves forward, and keeps what is doubtful with a flag."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from builders import NOON, site
from gridleaf.control.live import LiveSite
from gridleaf.control.session import LiveSession, session_id
from gridleaf.domain.events import (
    Booted,
    Connected,
    Disconnected,
    ExternalLimitReported,
    MeterReported,
    NeedsReported,
    Noted,
    StatusReported,
    TransactionReported,
)
from gridleaf.domain.meter import MeterSample
from gridleaf.store.port import DispatchRecord


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def sample(measurand: str, value: float, minutes: float, unit: str = "kWh") -> MeterSample:
    return MeterSample(measured_at=at(minutes), measurand=measurand, value=value, unit=unit)


def imported(kwh: float, minutes: float) -> MeterSample:
    return sample("Energy.Active.Import.Register", kwh, minutes)


def tx(
    phase: Any, seq_no: int, minutes: float, *samples: MeterSample, **changes: Any
) -> TransactionReported:
    base: dict[str, Any] = {
        "station_id": "DC1",
        "received_at": at(minutes),
        "transaction_id": "t1",
        "seq_no": seq_no,
        "phase": phase,
        "occurred_at": at(minutes),
        "evse_id": 1,
        "id_token": "TAG",
        "samples": samples,
    }
    return TransactionReported(**{**base, **changes})


def started() -> LiveSite:
    live = LiveSite(site())
    live.apply(Connected(station_id="DC1", received_at=at(0), version="ocpp2.1", epoch=1))
    live.apply(tx("started", 0, 0, imported(100.0, 0), sample("SoC", 0.5, 0, "1")))
    return live


def test_a_session_counts_energy_from_its_registers() -> None:
    live = started()
    live.apply(tx("updated", 1, 30, imported(105.0, 30)))
    live.apply(tx("updated", 2, 60, imported(107.5, 60)))
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.session is not None
    assert evse.session.charged.total_kwh == pytest.approx(7.5)
    assert evse.session.arrival_soc == 0.5


def test_power_is_import_minus_export() -> None:
    live = started()
    live.apply(
        tx(
            "updated",
            1,
            5,
            sample("Power.Active.Import", 0.0, 5, "kW"),
            sample("Power.Active.Export", 9.0, 5, "kW"),
        )
    )
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.power_kw == pytest.approx(-9.0)
    assert evse.power_at == at(5)


def test_a_register_that_steps_back_or_jumps_is_flagged_and_not_billed() -> None:
    live = started()
    live.apply(tx("updated", 1, 30, imported(4.0, 30)))
    live.apply(tx("updated", 2, 60, imported(9.0, 60)))
    live.apply(tx("updated", 3, 61, imported(9000.0, 61)))
    session = live.sessions[session_id("DC1", "t1")]
    assert session.charged.total_kwh == pytest.approx(5.0)
    assert {"register_reset", "register_jump"} <= set(session.flags)


def test_events_after_the_end_do_not_bring_a_session_back() -> None:
    live = started()
    live.apply(tx("ended", 2, 60))
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.session is None
    assert evse.power_kw == 0.0
    assert live.sessions == {}


def test_a_lost_start_is_replaced_by_a_synthetic_one() -> None:
    live = LiveSite(site())
    session = live.apply(tx("updated", 4, 10))
    assert session is not None
    assert session.live
    assert {"synthetic_start", "incomplete"} <= set(session.flags)


def test_a_second_start_makes_the_older_transaction_suspect() -> None:
    live = started()
    old = live.sessions[session_id("DC1", "t1")]
    live.apply(tx("started", 0, 90, transaction_id="t2"))
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.session is not None
    assert evse.session.transaction_id == "t2"
    assert old.suspect
    assert old.record().state == "suspect"
    assert "estimated" in old.flags


def test_a_transaction_without_evse_stays_unattributed() -> None:
    live = LiveSite(site())
    session = live.apply(tx("started", 0, 0, evse_id=None))
    evse = live.evse("DC1", 1)
    assert session is not None
    assert session.evse_id is None
    assert evse is not None
    assert evse.session is None


def test_offline_events_count_energy_but_drive_no_live_power() -> None:
    live = started()
    live.apply(
        tx(
            "updated",
            1,
            30,
            imported(103.0, 30),
            sample("Power.Active.Import", 22.0, 30, "kW"),
            offline=True,
        )
    )
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.power_kw is None
    assert evse.session is not None
    assert evse.session.charged.total_kwh == pytest.approx(3.0)


def test_after_a_reboot_an_empty_connector_closes_the_lost_session() -> None:
    live = started()
    live.apply(Booted(station_id="DC1", received_at=at(20), vendor="V", model="M"))
    live.apply(
        StatusReported(
            station_id="DC1",
            received_at=at(21),
            evse_id=1,
            connector_id=1,
            status="available",
            reported_at=at(21),
        )
    )
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.session is None


def test_the_close_of_an_old_connection_does_not_take_the_new_one_offline() -> None:
    live = started()
    live.apply(Connected(station_id="DC1", received_at=at(1), version="ocpp2.1", epoch=2))
    live.apply(Disconnected(station_id="DC1", received_at=at(2), epoch=1))
    assert live.stations["DC1"].online
    live.apply(Disconnected(station_id="DC1", received_at=at(3), epoch=2))
    assert not live.stations["DC1"].online


def test_a_jumping_state_of_charge_is_noticed() -> None:
    live = started()
    live.apply(tx("updated", 1, 1, sample("SoC", 0.9, 1, "1")))
    session = live.sessions[session_id("DC1", "t1")]
    assert session.soc_jump_at == at(1)
    live.apply(tx("updated", 2, 2, sample("SoC", 1.4, 2, "1")))
    assert session.soc == 0.9
    assert "soc_out_of_range" in session.flags


def test_needs_and_external_limits_reach_the_evse() -> None:
    live = started()
    live.apply(
        NeedsReported(
            station_id="DC1", received_at=at(1), evse_id=1, requested_transfer="DC_BPT", soc=0.51
        )
    )
    live.apply(
        ExternalLimitReported(
            station_id="DC1", received_at=at(1), evse_id=0, source="EMS", limit_kw=7.0
        )
    )
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.session is not None
    assert evse.session.needs is not None
    assert live.stations["DC1"].external_share_kw(evse) == 7.0


def test_a_der_alarm_latches_a_grid_event_until_it_is_cleared() -> None:
    live = started()
    payload: dict[str, object] = {"controlType": "HFMustTrip", "timestamp": "2026-01-05T12:00:00Z"}
    live.apply(Noted(station_id="DC1", received_at=at(1), action="NotifyDERAlarm", payload=payload))
    live.apply(
        Noted(
            station_id="DC1",
            received_at=at(2),
            action="NotifyDERAlarm",
            payload={**payload, "alarmEnded": True},
        )
    )
    assert live.grid_event is not None


def test_an_unknown_station_changes_nothing() -> None:
    live = started()
    assert live.apply(tx("started", 0, 0, station_id="ELSEWHERE")) is None
    assert list(live.sessions) == [session_id("DC1", "t1")]


def record(**changes: Any) -> DispatchRecord:
    base: dict[str, Any] = {
        "station_id": "DC1",
        "evse_id": 1,
        "transaction_id": "t1",
        "sent_at": at(1),
        "expires_at": at(11),
        "steps": ((0, -8.0),),
        "accepted": True,
        "status": "Accepted",
        "profile_id": 1001,
    }
    return DispatchRecord(**{**base, **changes})


def test_the_worst_case_is_what_holds_then_the_default_then_the_hardware() -> None:
    live = started()
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.worst_case_kw(at(1)) == (22.0, 0.0)
    evse.default_kw = 2.0
    assert evse.worst_case_kw(at(1)) == (2.0, 0.0)
    evse.accepted = record()
    assert evse.setpoint_kw(at(5)) == -8.0
    assert evse.worst_case_kw(at(5)) == (2.0, 8.0)
    assert evse.setpoint_kw(at(11)) is None
    assert evse.worst_case_kw(at(11)) == (2.0, 8.0)
    assert evse.worst_case_kw(at(11.5)) == (2.0, 0.0)
    evse.obeying = False
    assert evse.worst_case_kw(at(5)) == (22.0, 22.0)


def test_meter_values_without_a_transaction_belong_to_the_session_of_their_evse() -> None:
    live = started()
    live.apply(
        MeterReported(
            station_id="DC1", received_at=at(10), evse_id=1, samples=(imported(102.0, 10),)
        )
    )
    assert live.sessions[session_id("DC1", "t1")].charged.total_kwh == pytest.approx(2.0)


def test_fault_22_reports_after_the_end_are_history() -> None:
    live = started()
    live.apply(tx("ended", 5, 60))
    late = live.apply(tx("updated", 3, 61, imported(103.0, 40)))
    assert late is not None
    assert not late.live
    assert late.charged.total_kwh == pytest.approx(3.0)
    assert live.sessions == {}


def test_fault_24_a_late_end_corrects_a_session_that_was_closed_by_guess() -> None:
    live = started()
    live.apply(tx("started", 0, 90, transaction_id="t2"))
    corrected = live.apply(tx("ended", 4, 95, occurred_at=at(80)))
    assert corrected is not None
    assert corrected.record().state == "ended"
    assert corrected.ended_at == at(80)


def test_fault_28_a_clock_of_1970_does_not_move_an_arrival() -> None:
    live = LiveSite(site())
    odd = datetime(1970, 1, 1, tzinfo=NOON.tzinfo)
    session = live.apply(tx("started", 0, 5, occurred_at=odd, flags=("clock_unset",)))
    assert session is not None
    assert session.arrived_at == at(5)


def test_the_lowest_of_several_external_limits_holds_until_its_source_lifts_it() -> None:
    live = started()
    for source, limit in (("EMS", 11.0), ("SO", 4.0)):
        live.apply(
            ExternalLimitReported(
                station_id="DC1", received_at=at(1), evse_id=1, source=source, limit_kw=limit
            )
        )
    evse = live.evse("DC1", 1)
    assert evse is not None
    station = live.stations["DC1"]
    assert station.external_share_kw(evse) == 4.0
    live.apply(
        ExternalLimitReported(
            station_id="DC1", received_at=at(2), evse_id=1, source="SO", limit_kw=None
        )
    )
    assert station.external_share_kw(evse) == 11.0


def test_an_external_limit_of_a_station_is_shared_by_its_evses_in_use() -> None:
    twin = {"id": "T", "evses": [{"id": n, "charge_max_kw": 11} for n in (1, 2)]}
    live = LiveSite(site(stations=[twin]))
    for evse_id in (1, 2):
        live.apply(
            tx("started", 0, 0, station_id="T", evse_id=evse_id, transaction_id=f"t{evse_id}")
        )
    live.apply(
        ExternalLimitReported(
            station_id="T", received_at=at(1), evse_id=0, source="EMS", limit_kw=10.0
        )
    )
    shares = [live.stations["T"].external_share_kw(e) for e in live.evses()]
    assert shares == [5.0, 5.0]


def test_import_and_export_in_two_entries_of_one_message_are_one_power() -> None:
    live = started()
    exported = sample("Power.Active.Export", 9.0, 5, "kW")
    imported_later = sample("Power.Active.Import", 0.0, 5 + 0.01 / 60, "kW")
    live.apply(tx("updated", 1, 5.1, exported, imported_later))
    evse = live.evse("DC1", 1)
    assert evse is not None
    assert evse.power_kw == pytest.approx(-9.0)
    second_apart = sample("Power.Active.Import", 4.0, 6.05, "kW")
    live.apply(tx("updated", 2, 6.1, sample("Power.Active.Export", 9.0, 6, "kW"), second_apart))
    assert evse.power_kw == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("phase", "trigger"), [("ended", "StopAuthorized"), ("updated", "StopAuthorized")]
)
def test_who_stops_a_session_does_not_rename_it(phase: str, trigger: str) -> None:
    live = started()
    session = live.apply(tx(phase, 1, 60, id_token="STOPPER", trigger=trigger))
    assert session is not None
    assert session.id_token == "TAG"


def test_an_end_whose_start_was_lost_names_its_session() -> None:
    live = LiveSite(site())
    session = live.apply(tx("ended", 4, 60, id_token="STOPPER"))
    assert session is not None
    assert session.id_token == "STOPPER"


def kept(*messages: tuple[MeterSample, ...]) -> LiveSession:
    """A session of which one message came every half an hour."""
    live = LiveSite(site())
    for n, samples in enumerate(messages):
        live.apply(tx("started" if n == 0 else "updated", n, 30 * n, *samples))
    return live.sessions[session_id("DC1", "t1")]


def test_registers_of_single_phases_count_as_their_sum() -> None:
    session = kept(
        *(
            tuple(replace(imported(10 + 2.5 * n, 30 * n), phase=p) for p in ("L1", "L2", "L3-N"))
            for n in range(3)
        )
    )
    assert session.charged.total_kwh == pytest.approx(15.0)
    assert session.flags == ()


def test_of_two_places_of_measurement_the_outlet_counts_and_the_other_is_flagged() -> None:
    session = kept(
        *(
            (
                replace(imported(50_000 + 5 * n, 30 * n), location="Inlet"),
                imported(5 * n, 30 * n),
            )
            for n in range(3)
        )
    )
    assert session.charged.total_kwh == pytest.approx(10.0)
    assert session.flags == ("location_ignored",)


def test_places_of_measurement_that_take_turns_count_once() -> None:
    inlet = [replace(imported(700 + 5 * n, 30 * n), location="Inlet") for n in range(4)]
    session = kept((imported(0, 0),), (inlet[1],), (inlet[2],), (imported(15, 90),))
    assert session.charged.total_kwh == pytest.approx(15.0)


def interval(kwh: float, minutes: float) -> MeterSample:
    return sample("Energy.Active.Import.Interval", kwh, minutes)


def test_intervals_add_up_from_the_start_of_the_session() -> None:
    session = kept(*((interval(5.0, 30 * n),) for n in range(3)))
    assert session.charged.total_kwh == pytest.approx(10.0)


def test_intervals_between_registers_count_once() -> None:
    registers = imported(100.0, 0), imported(110.0, 90)
    session = kept((registers[0],), (interval(4.0, 30),), (interval(5.0, 60),), (registers[1],))
    assert session.charged.total_kwh == pytest.approx(10.0)
    session = kept(*((imported(5.0 * n, 30 * n), interval(5.0, 30 * n)) for n in range(3)))
    assert session.charged.total_kwh == pytest.approx(10.0)


def test_an_interval_of_more_than_the_evse_can_do_is_not_counted() -> None:
    session = kept((interval(5.0, 0),), (interval(5000.0, 30),), (interval(5.0, 60),))
    assert session.charged.total_kwh == pytest.approx(5.0)
    assert session.flags == ("interval_implausible",)


def registered(live: LiveSite, seq_no: int, minutes: float, kwh: float, out: float = 0.0) -> None:
    exported = sample("Energy.Active.Export.Register", out, minutes)
    live.apply(tx("updated", seq_no, minutes, imported(kwh, minutes), exported))


def test_where_a_meter_tells_no_power_the_energy_does() -> None:
    live = started()
    evse = live.evse("DC1", 1)
    assert evse is not None
    registered(live, 1, 1, 100.123)
    assert evse.power_kw == pytest.approx(0.123 * 60)
    registered(live, 2, 2, 100.123, out=0.2)
    assert (evse.power_kw, evse.power_at) == (pytest.approx(-0.2 * 60), at(2))
    registered(live, 3, 2.2, 100.15, out=0.2)
    assert evse.power_at == at(2)
    evse.changed_at = at(2.5)
    registered(live, 4, 3.1, 100.5, out=0.2)
    assert evse.power_at == at(2)
    registered(live, 5, 4.1, 100.6, out=0.2)
    assert (evse.power_kw, evse.power_at) == (pytest.approx(6.0), at(4.1))


def test_a_coarse_register_tells_power_only_over_a_long_time() -> None:
    live = started()
    evse = live.evse("DC1", 1)
    assert evse is not None
    for minutes in range(1, 15):
        live.apply(tx("updated", minutes, minutes, imported(100 + minutes // 6 * 0.5, minutes)))
        told = evse.power_at
    assert told == at(12)
    assert evse.power_kw == pytest.approx(5.0)


def test_a_meter_that_tells_power_is_not_second_guessed_by_its_register() -> None:
    live = started()
    evse = live.evse("DC1", 1)
    assert evse is not None
    live.apply(tx("updated", 1, 5, imported(100.5, 5), sample("Power.Active.Import", 6.0, 5, "kW")))
    live.apply(tx("updated", 2, 15, imported(102.123, 15)))
    assert (evse.power_kw, evse.power_at) == (6.0, at(5))
