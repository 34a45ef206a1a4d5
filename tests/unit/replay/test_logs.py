"""Every layout is read, and every defect is counted: nothing is silently dropped."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridleaf.domain.errors import ConfigError
from gridleaf.replay.logs import SessionLog, read_sessions
from gridleaf.replay.quality import MEANING, Findings

OWN = "arrival,departure,energy_kwh,station,connector,id_token,soc_arrival,soc_departure,capacity_kwh,max_kw\n"


def write(tmp_path: Path, text: str, name: str = "log.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def found(log: SessionLog) -> dict[str, tuple[str, int]]:
    return {f.kind: (f.outcome, f.count) for f in log.quality.findings}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_own_schema(tmp_path: Path) -> None:
    log = read_sessions(
        write(
            tmp_path,
            OWN + "2024-05-06T08:00+02:00,2024-05-06T17:00+02:00,21.5,A,1,ANNA,0.4,0.8,55,11\n",
        )
    )
    (visit,) = log.visits
    assert log.quality.preset == "gridleaf"
    assert (visit.arrived_at, visit.departed_at) == (at("2024-05-06 06:00"), at("2024-05-06 15:00"))
    assert (visit.energy_kwh, visit.station, visit.connector) == (21.5, "A", "1")
    assert (visit.id_token, visit.arrival_soc, visit.departure_soc) == ("ANNA", 0.4, 0.8)
    assert (visit.capacity_kwh, visit.charge_max_kw, visit.flags) == (55.0, 11.0, ())
    assert visit.stay_h == 9.0
    assert log.quality.findings == ()


def test_epfl_is_local_time_of_zurich_in_wh_w_and_percent(tmp_path: Path) -> None:
    log = read_sessions(
        write(
            tmp_path,
            "Session,CCS,Arrival,Departure,Stay (min),Energy (Wh),Pmax (W),TotalCapacity,"
            "SOC arrival,SOC departure,Energy capacity (Wh)\n"
            "7,CCS1,2022-08-11 23:30:00,2022-08-12 00:00:00,31,30000.0,90000,10000,20.0,60.0,71250\n"
            "8,CCS2,2022-01-11 12:00:00,2022-01-11 12:10:00,11,4000.0,60000,10000,80.0,82.0,375000\n",
        )
    )
    first, second = sorted(log.visits, key=lambda v: v.visit_id)
    assert (log.quality.preset, log.timezone) == ("epfl", "Europe/Zurich")
    assert first.arrived_at == at("2022-08-11 21:30")
    assert (first.energy_kwh, first.charge_max_kw, first.arrival_soc) == (30.0, 90.0, 0.2)
    assert first.capacity_kwh == 71.25
    assert second.arrived_at == at("2022-01-11 11:00")
    assert second.capacity_kwh is None
    assert found(log) == {"implausible_capacity": ("repaired", 1)}


BOULDER = (
    "Station_Name,Start_Date___Time,Start_Time_Zone,End_Date___Time,End_Time_Zone,"
    "Total_Duration__hh_mm_ss_,Charging_Time__hh_mm_ss_,Energy__kWh_,ObjectId\n"
)


def test_boulder_is_utc_whatever_the_zone_label_says(tmp_path: Path) -> None:
    """A stay across the change to summer time lasts as long as its UTC times tell."""
    log = read_sessions(
        write(
            tmp_path,
            BOULDER
            + "B / ST1,2019/03/10 08:30:00+00,MST,2019/03/10 09:30:00+00,MDT,1:00:10,0:59:00,5.5,1\n"
            + "B / ST1,2019/03/11 08:30:00+00,MST,2019/03/11 09:30:00+00,MDT,1:00:10,0:59:00,5.5,2\n"
            + "B / ST1,2019/05/11 08:30:00+00,MDT,1970/01/01 00:00:00+00,MDT,1:00:10,0:59:00,5.5,3\n",
        )
    )
    visit = log.visits[0]
    assert (log.quality.preset, log.timezone) == ("boulder-raw", "America/Denver")
    assert visit.arrived_at == at("2019-03-10 08:30")
    assert visit.stay_h == 1.0
    assert visit.charging_h == pytest.approx(59 / 60)
    assert found(log) == {
        "unparsable_value": ("excluded", 1),
        "zone_label_disagrees": ("flagged", 1),
    }


CLEAN = '"Start","End","Day","Charge.Duration","Idle.Duration","Park.Duration","Energy"\n'


@pytest.mark.parametrize(
    ("name", "zone", "utc"),
    [
        ("office.csv", "America/Los_Angeles", "2019-03-25 16:24:42"),
        ("boulder_2021.csv", "America/Denver", "2019-03-25 09:24:42"),
        ("paris.csv", "Europe/Paris", "2019-03-25 08:24:42"),
        ("other.csv", "UTC", "2019-03-25 09:24:42"),
    ],
)
def test_the_clean_layout_takes_its_clock_from_the_file_and_says_so(
    tmp_path: Path, name: str, zone: str, utc: str
) -> None:
    row = '2019-03-25 09:24:42,2019-03-25 18:32:12,"Monday",68.1,479.4,547.5,6.146\n'
    log = read_sessions(write(tmp_path, CLEAN + row, name))
    assert (log.quality.preset, log.timezone) == ("clean", zone)
    assert log.visits[0].arrived_at == at(utc)
    assert log.visits[0].charging_h == pytest.approx(68.1 / 60)
    assert any("times without an offset were read as" in note for note in log.quality.notes)
    given = read_sessions(write(tmp_path, CLEAN + row, name), timezone="Asia/Tokyo")
    assert given.visits[0].arrived_at == at("2019-03-25 00:24:42")
    assert given.quality.notes == ()


def test_acn_json_is_gmt_and_its_last_user_input_holds(tmp_path: Path) -> None:
    item = {
        "connectionTime": "Mon, 25 Mar 2019 16:24:42 GMT",
        "disconnectTime": "Tue, 26 Mar 2019 01:32:12 GMT",
        "doneChargingTime": "Tue, 26 Mar 2019 01:33:12 GMT",
        "kWhDelivered": 6.146,
        "sessionID": "S1",
        "stationID": "1-1",
        "userID": "42",
        "userInputs": [
            {"kWhRequested": 5, "requestedDeparture": "Mon, 25 Mar 2019 20:00:00 GMT"},
            {"kWhRequested": 9.5, "requestedDeparture": "Mon, 25 Mar 2019 22:00:00 GMT"},
        ],
    }
    path = write(tmp_path, json.dumps({"_meta": {}, "_items": [item]}), "acn.json")
    log = read_sessions(path)
    (visit,) = log.visits
    assert (log.quality.preset, log.timezone) == ("acn-json", "America/Los_Angeles")
    assert visit.arrived_at == at("2019-03-25 16:24:42")
    assert visit.charge_end_at == visit.departed_at
    assert (visit.requested_kwh, visit.id_token, visit.station) == (9.5, "42", "1-1")
    assert visit.requested_departure_at == at("2019-03-25 22:00")
    assert found(log) == {"negative_idle": ("repaired", 1), "request_disagrees": ("flagged", 1)}


SAP = (
    "Type Lieu de charge,ID transaction,ID borne,ID connecteur borne,Date demarrage,"
    "Charge batterie demarrage (%),Date fin,Charge batterie fin (%),Duree inactivite totale (s),"
    "Duree totale (s),Consommation totale (Wh)\n"
)


def test_sap_is_wh_with_offsets_and_zero_percent_means_unknown(tmp_path: Path) -> None:
    log = read_sessions(
        write(
            tmp_path,
            SAP
            + "Travail,1,M-11,2,2018-03-23T09:00:00+01:00,0,2018-03-23T12:00:00+01:00,0.0,3600,10800,5664\n"
            + "Travail,2,M-13,1,2020-01-09T09:00:00+01:00,20,2020-01-09T10:00:00+01:00,90.0,-60,3600,56988\n"
            + "Travail,3,M-13,1,2020-01-10T09:00:00+01:00,0,2020-01-10T10:00:00+01:00,0,9000,3600,5000\n"
            + "Domicile,4,M-99,1,2020-06-27T22:50:51+02:00,0,,,,,\n",
        )
    )
    work, fast, odd = log.visits
    assert (log.quality.preset, log.quality.rows, log.quality.used) == ("sap-raw", 4, 3)
    assert (work.energy_kwh, work.arrival_soc, work.departure_soc) == (5.664, None, None)
    assert work.charging_h == 2.0
    assert (work.station, work.connector) == ("M-11", "2")
    assert (fast.arrival_soc, fast.departure_soc) == (0.2, 0.9)
    assert fast.charge_end_at == fast.departed_at
    assert odd.charge_end_at is None
    assert found(log) == {
        "missing_value": ("excluded", 1),
        "negative_idle": ("repaired", 1),
        "idle_exceeds_stay": ("repaired", 1),
    }


def test_columns_are_mapped_with_their_units(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "Steckzeit;Abgesteckt;Menge;Leistung\n31.12.2021 10:00;31.12.2021 14:00;8500,5;11\n",
    )
    with pytest.raises(ConfigError, match="no column for arrival, departure, energy_kwh"):
        read_sessions(path)
    log = read_sessions(
        path,
        mapping={
            "arrival": "Steckzeit",
            "departure": "Abgesteckt",
            "energy_kwh": "Menge:Wh",
            "max_kw": "Leistung",
        },
        timezone="Europe/Berlin",
    )
    (visit,) = log.visits
    assert visit.energy_kwh == 8.5005
    assert visit.charge_max_kw == 11.0
    assert visit.arrived_at == at("2021-12-31 09:00")


def test_wrong_use_is_refused_with_what_there_is(tmp_path: Path) -> None:
    path = write(tmp_path, OWN + "2024-05-06 08:00,2024-05-06 09:00,1,,,,,,,\n")
    with pytest.raises(ConfigError, match="acn-json"):
        read_sessions(path, preset="nothing")
    with pytest.raises(ConfigError, match="no field 'colour'"):
        read_sessions(path, mapping={"colour": "x"})
    with pytest.raises(ConfigError, match="no column 'x'"):
        read_sessions(path, mapping={"energy_kwh": "x"})
    with pytest.raises(ConfigError, match="unknown time zone"):
        read_sessions(path, timezone="Mars/Base")


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({"energy_kwh": "energy_kwh:W"}, "map: energy_kwh: unit 'W': expected one of kWh, Wh"),
        ({"max_kw": "max_kw:kWh"}, "map: max_kw: unit 'kWh'"),
    ],
)
def test_a_unit_that_does_not_fit_is_refused(
    tmp_path: Path, mapping: dict[str, str], reason: str
) -> None:
    path = write(tmp_path, OWN + "2024-05-06 08:00,2024-05-06 09:00,1,,,,,,,\n")
    with pytest.raises(ConfigError, match=reason):
        read_sessions(path, mapping=mapping)


def test_a_name_that_two_columns_have_is_refused_where_it_is_used(tmp_path: Path) -> None:
    rows = "2024-05-06 08:00,2024-05-06 09:00,1,2\n"
    path = write(tmp_path, "arrival,departure,energy_kwh,energy_kwh\n" + rows)
    with pytest.raises(ConfigError, match="several columns are named 'energy_kwh'"):
        read_sessions(path)
    path = write(tmp_path, "arrival,departure,energy_kwh,note,note\n" + rows)
    assert len(read_sessions(path).visits) == 1


def row(arrival: str, departure: str, energy: str = "5", rest: str = ",,,,,,") -> str:
    return f"{arrival},{departure},{energy},{rest}\n"


def test_every_excluded_row_has_one_reason_and_the_counts_add_up(tmp_path: Path) -> None:
    day = "2024-05-06"
    rows = [
        row(f"{day} 08:00", f"{day} 09:00"),
        row(f"{day} 08:00", f"{day} 09:00"),
        row("", f"{day} 09:00"),
        row(f"{day} 08:00", "soon"),
        row(f"{day} 08:00", f"{day} 09:00", "many"),
        row(f"{day} 09:00", f"{day} 08:00"),
        row(f"{day} 09:00", f"{day} 09:00"),
        row(f"{day} 08:00", f"{day} 10:00", "-1"),
        row(f"{day} 08:00", f"{day} 10:00", "0"),
        row(f"{day} 08:00", f"{day} 10:00", "900"),
    ]
    log = read_sessions(write(tmp_path, OWN + "".join(rows)))
    assert found(log) == {
        "duplicate": ("excluded", 1),
        "missing_value": ("excluded", 1),
        "unparsable_value": ("excluded", 2),
        "not_positive_stay": ("excluded", 2),
        "negative_energy": ("excluded", 1),
        "zero_energy": ("excluded", 1),
        "absurd_power": ("excluded", 1),
    }
    assert (log.quality.rows, log.quality.used, len(log.visits)) == (10, 1, 1)
    examples = {f.kind: f.examples for f in log.quality.findings}
    assert examples["duplicate"] == ("row 3",)


def test_doubtful_optional_values_become_unknown_and_the_visit_stays(tmp_path: Path) -> None:
    rows = [
        row("2024-05-06 08:00", "2024-05-06 10:00", "5", ",,,1.4,0.5,,"),
        row("2024-05-07 08:00", "2024-05-07 10:00", "5", ",,,0.9,0.5,,"),
        row("2024-05-08 08:00", "2024-05-08 10:00", "20", ",,,0.2,0.6,500,"),
        row("2024-05-09 08:00", "2024-05-09 10:00", "20", ",,,0.2,0.6,10,"),
        row("2024-05-10 08:00", "2024-05-10 10:00", "5", ",,,x,,,900"),
        row("2024-05-11 08:00", "2024-05-11 10:00", "5", ",,,,,,2"),
    ]
    log = read_sessions(write(tmp_path, OWN + "".join(rows)))
    assert found(log) == {
        "absurd_soc": ("repaired", 1),
        "falling_soc": ("repaired", 1),
        "implausible_capacity": ("repaired", 2),
        "optional_unparsable": ("repaired", 1),
        "absurd_max_power": ("repaired", 1),
        "energy_unreachable": ("flagged", 1),
    }
    by_day = {v.arrived_at.day: v for v in log.visits}
    assert (by_day[6].arrival_soc, by_day[6].departure_soc) == (None, 0.5)
    assert (by_day[7].arrival_soc, by_day[7].departure_soc) == (None, None)
    assert by_day[8].capacity_kwh is None
    assert by_day[10].charge_max_kw is None
    assert by_day[11].charge_max_kw == 2.0
    assert by_day[11].flags == ("energy_unreachable",)
    unreachable = next(f for f in log.quality.findings if f.kind == "energy_unreachable")
    assert unreachable.examples == ("row 7: 5.00 of 4.00 kWh reachable",)


def test_the_same_id_twice_is_numbered(tmp_path: Path) -> None:
    text = (
        "id,arrival,departure,energy_kwh\n"
        "a,2024-05-06 08:00,2024-05-06 10:00,5\na,2024-05-07 08:00,2024-05-07 10:00,5\n"
    )
    log = read_sessions(write(tmp_path, text))
    assert [v.visit_id for v in log.visits] == ["a", "a#2"]
    assert found(log) == {"repeated_id": ("repaired", 1)}


def test_fault_38_times_that_exist_twice_take_the_reading_that_fits_the_stay(
    tmp_path: Path,
) -> None:
    """On 2019-10-27 in Paris 02:30 exists twice; the stated stay tells which one was meant."""
    rows = (
        "2019-10-27 01:30:00,2019-10-27 02:30:00,Sun,60,0,60,5\n"
        "2019-10-27 01:30:00,2019-10-27 02:30:00,Sun,120,0,120,6\n"
        "2019-10-27 02:50:00,2019-10-27 02:10:00,Sun,20,0,20,2\n"
        "2019-03-31 02:30:00,2019-03-31 04:30:00,Sun,60,0,60,4\n"
    )
    log = read_sessions(write(tmp_path, CLEAN + rows, "paris.csv"))
    stays = {v.energy_kwh: v.departed_at - v.arrived_at for v in log.visits}
    assert stays == {
        5.0: timedelta(hours=1),
        6.0: timedelta(hours=2),
        2.0: timedelta(minutes=20),
        4.0: timedelta(hours=1),
    }
    assert found(log) == {
        "ambiguous_time": ("repaired", 3),
        "nonexistent_time": ("repaired", 1),
    }


def test_a_stated_stay_that_disagrees_is_flagged(tmp_path: Path) -> None:
    rows = "2019-06-27 01:30:00,2019-06-27 02:30:00,Thu,30,30,90,5\n"
    log = read_sessions(write(tmp_path, CLEAN + rows))
    assert found(log) == {"stay_disagrees": ("flagged", 1)}
    assert log.visits[0].flags == ("stay_disagrees",)


def test_rows_whose_cells_are_out_of_place_are_excluded(tmp_path: Path) -> None:
    text = (
        "arrival,departure,energy_kwh\n"
        "2024-05-06 08:00,2024-05-06 10:00,10,5\n2024-05-07 08:00,2024-05-07 10:00,10\n"
    )
    log = read_sessions(write(tmp_path, text))
    assert [v.energy_kwh for v in log.visits] == [10.0]
    assert found(log) == {"surplus_cells": ("excluded", 1)}


def test_slips_in_dates_are_excluded(tmp_path: Path) -> None:
    rows = [
        row("2024-05-06 08:00", "2099-05-06 10:00"),
        row("2024-05-06 08:00", "2024-07-05 08:00", "100"),
        row("2024-05-06 08:00", "2024-07-05 08:01", "100"),
        row("2024-05-06 08:00", "9999-12-31T23:59-10:00"),
        row("0001-01-01T00:00+01:00", "2024-05-06 08:00"),
        row("9999-12-31", "9999-12-31"),
        row("9999-12-31 10:00", "9999-12-31 11:00"),
    ]
    log = read_sessions(write(tmp_path, OWN + "".join(rows)), timezone="America/Denver")
    assert [v.stay_h for v in log.visits] == [24 * 60]
    assert found(log) == {
        "implausible_stay": ("excluded", 2),
        "unparsable_value": ("excluded", 4),
    }


def test_states_of_charge_that_can_only_be_per_cent_are_read_so(tmp_path: Path) -> None:
    rows = [
        row("2024-05-06 08:00", "2024-05-06 10:00", "5", ",,,42,80,,"),
        row("2024-05-07 08:00", "2024-05-07 10:00", "5", ",,,,100,,"),
        row("2024-05-08 08:00", "2024-05-08 10:00", "5", ",,,,,,"),
    ]
    log = read_sessions(write(tmp_path, OWN + "".join(rows)))
    assert [(v.arrival_soc, v.departure_soc) for v in log.visits] == [
        (pytest.approx(0.42), pytest.approx(0.8)),
        (None, 1.0),
        (None, None),
    ]
    assert found(log) == {"percent_soc": ("repaired", 2)}
    rows.append(row("2024-05-09 08:00", "2024-05-09 10:00", "5", ",,,0.4,,,"))
    log = read_sessions(write(tmp_path, OWN + "".join(rows)))
    assert found(log) == {"absurd_soc": ("repaired", 3)}
    assert log.visits[3].arrival_soc == 0.4


@pytest.mark.parametrize(
    ("text", "energies"),
    [
        ('a,d,e\n{0},"20,5"\n{1},"12,345"\n', [20.5, 12.345]),
        ('a,d,e\n{0},"20.5"\n{1},"12,345"\n', [20.5]),
        ('a,d,e\n{0},20\n{1},"12,345"\n', [20.0]),
        ("a;d;e\n{0};20,5\n{1};1.020,5\n", [20.5, 1020.5]),
        ("a;d;e\n{0};20,5\n{1};1.020\n", [20.5]),
        ("a;d;e\n{0};35.125\n{1};12.5\n", [35.125, 12.5]),
    ],
)
def test_decimals_are_read_unless_they_may_be_thousands(
    tmp_path: Path, text: str, energies: list[float]
) -> None:
    days = ("1714975200,1715148000", "1715234400,1715407200")
    sep = text[1]
    path = write(tmp_path, text.format(*(day.replace(",", sep) for day in days)))
    log = read_sessions(path, mapping={"arrival": "a", "departure": "d", "energy_kwh": "e"})
    assert [v.energy_kwh for v in log.visits] == energies
    ambiguous = {"unparsable_value": ("excluded", 1)} if len(energies) < 2 else {}
    assert found(log) == ambiguous
    assert log.visits[0].arrived_at == at("2024-05-06 06:00")


def test_absurd_durations_are_unknown(tmp_path: Path) -> None:
    text = "arrival,departure,energy_kwh,charging_min\n2024-05-06 08:00,2024-05-06 10:00,10,1e300\n"
    log = read_sessions(write(tmp_path, text))
    assert log.visits[0].charge_end_at is None
    assert found(log) == {"optional_unparsable": ("repaired", 1)}


def test_acn_user_inputs_may_be_one_object(tmp_path: Path) -> None:
    item = {
        "connectionTime": "Mon, 25 Mar 2019 16:24:42 GMT",
        "disconnectTime": "Tue, 26 Mar 2019 01:32:12 GMT",
        "kWhDelivered": 6.146,
        "userInputs": {"kWhRequested": 5},
    }
    log = read_sessions(write(tmp_path, json.dumps([item]), "acn.json"))
    assert log.visits[0].requested_kwh == 5.0


def test_an_unknown_kind_of_finding_cannot_be_reported() -> None:
    with pytest.raises(ValueError, match="no such kind"):
        Findings().add("something", "flagged", "row 1")
    assert all(text for text in MEANING.values())


SHARED = Path(__file__).parents[4] / "shared" / "data" / "ev_sessions"


@pytest.mark.parametrize(
    ("name", "preset", "rows"),
    [
        ("desl_epfl_dc_fast_sessions_2022_2023.csv", "epfl", 1878),
        ("boulder_raw_2018_2021.csv.gz", "boulder-raw", 24081),
        ("office.csv.gz", "clean", 1426),
        ("paris.csv.gz", "clean", 5780),
        ("acn_office1_raw.json", "acn-json", 1481),
        ("sap_labs_raw_2017_2020.csv.gz", "sap-raw", 26823),
    ],
)
def test_real_logs_are_read_whole(name: str, preset: str, rows: int) -> None:
    if not (SHARED / name).exists():
        pytest.skip("the real logs are not here")
    log = read_sessions(SHARED / name)
    assert (log.quality.preset, log.quality.rows) == (preset, rows)
    assert log.quality.used == len(log.visits) > 0.9 * rows
    assert all(v.departed_at > v.arrived_at and v.energy_kwh > 0 for v in log.visits)
