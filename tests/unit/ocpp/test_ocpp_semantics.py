"""The semantic rules, each with its boundary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gridleaf.domain.errors import ProtocolError
from gridleaf.domain.meter import MeterSample
from gridleaf.ocpp.semantics import (
    HARD,
    MAX_POWER_KW,
    Registers,
    Start,
    connector,
    read_time,
    register_flags,
    sample_flags,
    stop_flags,
    unique,
    whole,
    wire_time,
)
from ocpp_fakes import NOW


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05T12:00:00Z",
        "2026-01-05T12:00:00z",
        "2026-01-05t12:00:00Z",
        "2026-01-05T12:00:00.000Z",
        "2026-01-05T12:00:00.0000000Z",
        "2026-01-05T13:00:00+01:00",
        "2026-01-05T06:30:00.000000000-05:30",
        "2026-01-05 12:00:00Z",
    ],
)
def test_a_time_is_read_in_every_spelling_of_the_field(text: str) -> None:
    assert read_time(text, NOW) == (NOW, ())


def test_a_naive_time_is_utc_and_flagged() -> None:
    assert read_time("2026-01-05T12:00:00", NOW) == (NOW, ("naive_time",))


def test_five_minutes_ahead_are_tolerated_and_no_more() -> None:
    edge = NOW + timedelta(minutes=5)
    assert read_time(edge.isoformat(), NOW) == (edge, ())
    beyond = edge + timedelta(microseconds=1)
    assert read_time(beyond.isoformat(), NOW) == (beyond, ("clock_ahead",))


def test_next_year_is_ahead() -> None:
    assert read_time("2027-01-05T12:00:00Z", NOW)[1] == ("clock_ahead",)


def test_a_clock_that_was_never_set_is_flagged_up_to_2010() -> None:
    assert read_time("1970-01-01T00:00:17Z", NOW)[1] == ("clock_unset",)
    assert read_time("2009-12-31T23:59:59Z", NOW)[1] == ("clock_unset",)
    assert read_time("2010-01-01T00:00:00Z", NOW)[1] == ()


def test_an_old_naive_time_has_both_flags() -> None:
    assert read_time("1970-01-01T00:00:00", NOW)[1] == ("naive_time", "clock_unset")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "0",
        "2026-13-01T00:00:00Z",
        "2026-01-05T25:00:00Z",
        "2026-06-30T23:59:60Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        "2101-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_what_is_no_time_is_now_and_flagged(text: str) -> None:
    assert read_time(text, NOW) == (NOW, ("time_unreadable",))


def test_times_go_out_in_utc_with_a_zone() -> None:
    east = datetime.fromisoformat("2026-01-05T13:00:00.123456+01:00")
    assert wire_time(east) == "2026-01-05T12:00:00.123Z"


@pytest.mark.parametrize("value", [-(2**63), -1, 0, 2**31, 2**63 - 1])
def test_64_bits_fit(value: int) -> None:
    assert whole(value, "seqNo") == value


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1e300, -1e300])
def test_more_than_64_bits_are_refused(value: float) -> None:
    with pytest.raises(ProtocolError, match="seqNo"):
        whole(value, "seqNo")


def test_an_evse_is_counted_from_one_and_zero_is_the_station() -> None:
    assert connector(1, "c", station=False) == (1, ())
    assert connector(0, "c", station=True) == (0, ())
    assert connector(0, "c", station=False) == (None, ("connector_unknown",))
    assert connector(-1, "c", station=True) == (None, ("connector_unknown",))


START = Start(at=NOW, id_token="A")


def test_a_stop_before_its_start_is_hard() -> None:
    assert stop_flags(START, NOW, "A") == ()
    flags = stop_flags(START, NOW - timedelta(microseconds=1), "A")
    assert flags == ("stop_before_start",)
    assert HARD.issuperset(flags)


def test_a_stop_by_another_token_is_soft() -> None:
    assert stop_flags(START, NOW, "B") == ("other_token",)
    assert stop_flags(START, NOW, None) == ()
    assert not HARD.intersection({"other_token"})


def test_a_start_that_is_not_remembered_contradicts_nothing() -> None:
    assert stop_flags(None, NOW, "B") == ()


def test_samples_a_second_outside_their_transaction_are_granted_and_no_more() -> None:
    second, tick = timedelta(seconds=1), timedelta(microseconds=1)
    stop = NOW + timedelta(hours=1)

    def flags(at: datetime) -> tuple[str, ...]:
        return sample_flags([register(1.0, measured_at=at)], START, stop)

    assert flags(NOW - second) == flags(stop + second) == ()
    assert flags(NOW - second - tick) == ("sample_before_start",)
    assert flags(stop + second + tick) == ("sample_after_stop",)
    assert sample_flags([register(1.0, 600)], None) == ()


def test_a_register_that_runs_backwards_is_reset() -> None:
    later = NOW + timedelta(hours=1)
    assert register_flags(10.0, NOW, 10.0, later) == ()
    assert register_flags(10.0, NOW, 9.999, later) == ("register_reset",)


def test_a_register_that_runs_faster_than_any_charger_jumped() -> None:
    later = NOW + timedelta(hours=1)
    assert register_flags(0.0, NOW, MAX_POWER_KW, later) == ()
    assert register_flags(0.0, NOW, MAX_POWER_KW + 0.1, later) == ("register_jump",)


def test_a_minute_at_least_is_granted_to_a_coarse_clock() -> None:
    assert register_flags(0.0, NOW, MAX_POWER_KW / 60, NOW) == ()
    assert register_flags(0.0, NOW, MAX_POWER_KW / 60 + 0.1, NOW) == ("register_jump",)


def register(value: float, minutes: float = 0, **fields: object) -> MeterSample:
    return MeterSample(
        **{
            "measured_at": NOW + timedelta(minutes=minutes),
            "measurand": "Energy.Active.Import.Register",
            "value": value,
            "unit": "kWh",
            **fields,
        }
    )


def test_registers_are_compared_per_transaction_and_measurand() -> None:
    registers = Registers()
    assert registers.check("a", [register(100.0)]) == ()
    assert registers.check("b", [register(5.0, 1)]) == ()
    export = register(1.0, 1, measurand="Energy.Active.Export.Register")
    assert registers.check("a", [export, register(101.0, 1)]) == ()
    assert registers.check("a", [register(50.0, 2)]) == ("register_reset",)
    assert registers.check("a", [register(51.0, 3)]) == ()


def test_a_kwh_sent_as_wh_is_a_jump_by_a_thousand() -> None:
    registers = Registers()
    registers.check("a", [register(20.0)])
    assert registers.check("a", [register(20_100.0, 1)]) == ("register_jump",)


def test_registers_out_of_order_per_phase_or_in_other_units_are_not_compared() -> None:
    registers = Registers()
    registers.check("a", [register(100.0, 10)])
    assert registers.check("a", [register(90.0, 9)]) == ()
    assert registers.check("a", [register(30.0, 11, phase="L1")]) == ()
    assert registers.check("a", [register(0.0, 11, unit="signed")]) == ()
    assert registers.check("a", [register(0.5, 11, measurand="SoC")]) == ()


def test_a_negative_register_is_hard() -> None:
    flags = Registers().check("a", [register(-0.001)])
    assert flags == ("meter_negative",)
    assert HARD.issuperset(flags)


def test_the_memory_of_registers_is_bounded() -> None:
    registers = Registers()
    for i in range(1000):
        registers.check(str(i), [register(100.0)])
    assert registers.check("0", [register(1.0, 1)]) == ()
    assert registers.check("999", [register(1.0, 1)]) == ("register_reset",)


def test_flags_are_kept_once_in_their_order() -> None:
    assert unique(("b", "a"), (), ("a", "c")) == ("b", "a", "c")


def test_the_zero_of_our_times_is_utc() -> None:
    assert read_time("2026-01-05T12:00:00Z", NOW)[0].tzinfo is UTC


def test_registers_of_different_places_and_phases_are_not_compared() -> None:
    registers = Registers()
    for n in range(2):
        at = NOW + timedelta(minutes=n)
        marks = [("Inlet", None, 90_000.0), ("Outlet", None, 1.0), ("Outlet", "L1", 30_000.0)]
        samples = [
            MeterSample(
                measured_at=at,
                measurand="Energy.Active.Import.Register",
                value=kwh + n,
                unit="kWh",
                location=location,
                phase=phase,
            )
            for location, phase, kwh in marks
        ]
        assert registers.check("t", samples) == ()
