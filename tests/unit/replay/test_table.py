"""Files and values as they come."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gridleaf.domain.errors import ConfigError
from gridleaf.replay.table import (
    day_first,
    factor,
    known,
    number,
    parse_time,
    read_table,
    seconds,
    to_utc,
)

CSV = "a,b\n1,2\n\n3,4\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_and_blank_lines_are_skipped(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text("\ufeff" + CSV.replace(",", delimiter), encoding="utf-8")
    table = read_table(path)
    assert table.header == ("a", "b")
    assert table.rows == ({"a": "1", "b": "2"}, {"a": "3", "b": "4"})
    assert table.line == (2, 4)


def test_gzip_is_recognised_by_content(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(gzip.compress(CSV.encode()))
    assert len(read_table(path).rows) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b\n", "no rows"),
        (b"", "no rows"),
        (b"\x1f\x8bnonsense", "gzipped"),
        (b"a\0,b\n1,2\n", "spreadsheet"),
        (b'a,b\n1,2\n"' + b"x" * 200_000, r"log\.csv:3: field larger .* left open"),
        (b"{broken", "JSON"),
        (b'{"_items": 3}', "list of sessions"),
        (b"[]", "no sessions"),
        (b"[" * 100_000, "JSON"),
        (b'[{"a": 1}, {"userInputs": [1]}]', "session 2: userInputs must be a list of objects"),
        (b'[{"userInputs": "x"}]', "session 1: userInputs must be"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        read_table(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv")


def test_nothing_has_many_names() -> None:
    assert [known(text) for text in ("", " NA ", "nan", "None", None, "0")] == [
        None,
        None,
        None,
        None,
        None,
        "0",
    ]


@pytest.mark.parametrize(
    ("quantity", "column", "expected"),
    [
        ("energy", "Energy (Wh)", 1e-3),
        ("energy", "energy_kwh", 1.0),
        ("energy", "Energy__kWh_", 1.0),
        ("energy", "Consommation totale (Wh)", 1e-3),
        ("energy", "Energy", 1.0),
        ("power", "Pmax (W)", 1e-3),
        ("power", "max_kw", 1.0),
        ("fraction", "Charge (%)", 1e-2),
        ("fraction", "soc_arrival", 1.0),
        ("time", "Duree totale (s)", 1.0),
        ("time", "Park.Duration", 60.0),
        ("time", "idle_min", 60.0),
    ],
)
def test_the_unit_comes_from_the_name_of_the_column(
    quantity: str, column: str, expected: float
) -> None:
    assert factor(quantity, column) == expected


def test_a_stated_unit_wins_and_must_fit() -> None:
    assert factor("energy", "energy_kwh", "Wh") == 1e-3
    with pytest.raises(ValueError, match="kWh, Wh"):
        factor("energy", "energy", "kW")


def test_durations_and_numbers() -> None:
    assert seconds("1:28:23", 60) == 5303
    assert seconds("2:30", 60) == 9000
    assert seconds("90", 60) == 5400
    for bad in ("nan", "inf", "1,5,2", "1.02,5", "1,020,5", "x"):
        with pytest.raises(ValueError, match=r"."):
            number(bad)
    with pytest.raises(ValueError, match="not a duration"):
        seconds("1:2:3:4", 1)
    for endless in ("1e300", "inf:00", "999999:00"):
        with pytest.raises(ValueError, match=r"."):
            seconds(endless, 1)


@pytest.mark.parametrize(
    ("text", "mark", "expected"),
    [
        ("20,5", ".", 20.5),
        ("1.020,5", ",", 1020.5),
        ("1,020.5", ".", 1020.5),
        ("-1.234.020,5", ",", -1234020.5),
        ("35.125", "", 35.125),
        ("12,345", ",", 12.345),
        ("12,345", "", 12.345),
        ("0,345", ".", 0.345),
    ],
)
def test_numbers_with_a_point_or_a_comma(text: str, mark: str, expected: float) -> None:
    assert number(text, mark) == expected


@pytest.mark.parametrize(("text", "mark"), [("12,345", "."), ("12.345", ",")])
def test_decimals_that_may_be_thousands_are_not_guessed(text: str, mark: str) -> None:
    with pytest.raises(ValueError, match="told apart"):
        number(text, mark)


@pytest.mark.parametrize(
    "time",
    ["9999-12-31T23:59-10:00", "0001-01-01T00:00+01:00", "1970-01-01 00:00", "2101-01-01 00:00"],
)
def test_years_that_no_log_is_of_are_refused(time: str) -> None:
    with pytest.raises(ValueError, match="year"):
        parse_time(time)


@pytest.mark.parametrize("text", ["2024010112", "13:30 PM", "2024-05-06 13:30 PM"])
def test_times_that_could_be_two_or_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_the_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes("Säule;b\nGröße;2\n".encode(encoding))
    assert read_table(path).rows == ({"Säule": "Größe", "b": "2"},)


def test_rows_with_more_cells_than_the_header_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("a,b\n1,2\n10,5,2\n3,4,\n", encoding="utf-8")
    assert read_table(path).surplus == {3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-03-23T09:49:02+01:00", datetime(2018, 3, 23, 8, 49, 2, tzinfo=UTC)),
        ("2018-03-23T09:49:02Z", datetime(2018, 3, 23, 9, 49, 2, tzinfo=UTC)),
        ("2018/01/12 15:54:00+00", datetime(2018, 1, 12, 15, 54, tzinfo=UTC)),
        ("Mon, 25 Mar 2019 16:24:42 GMT", datetime(2019, 3, 25, 16, 24, 42, tzinfo=UTC)),
        ("1714975200", datetime(2024, 5, 6, 6, tzinfo=UTC)),
        ("1714975200.5", datetime(2024, 5, 6, 6, 0, 0, 500_000, tzinfo=UTC)),
        ("1714975200000", datetime(2024, 5, 6, 6, tzinfo=UTC)),
    ],
)
def test_times_with_an_offset(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("text", "days_first"),
    [
        ("2021-12-31 13:45", None),
        ("31.12.2021 13:45", None),
        ("31/12/2021 13:45", True),
        ("12/31/2021 13:45:00", False),
        ("12/31/2021 1:45 PM", False),
        ("31.12.2021 01:45:00 p.m.", None),
        ("2021-12-31 1:45pm", None),
    ],
)
def test_times_without_an_offset(text: str, days_first: bool | None) -> None:
    parsed = parse_time(text, days_first)
    assert parsed.replace(second=0) == datetime(2021, 12, 31, 13, 45)  # noqa: DTZ001


@pytest.mark.parametrize(("text", "hour"), [("12:05 AM", 0), ("12:05 PM", 12), ("9:05", 9)])
def test_hours_of_half_a_day_and_of_one_digit(text: str, hour: int) -> None:
    assert parse_time(f"2021-12-31 {text}") == datetime(2021, 12, 31, hour, 5)  # noqa: DTZ001


def test_dates_that_can_be_read_both_ways_are_not_guessed() -> None:
    assert day_first(["03/04/2021 10:00", "13/04/2021 10:00"]) is True
    assert day_first(["03/04/2021 10:00", "04/13/2021 10:00"]) is False
    assert day_first(["03/04/2021 10:00"]) is None
    with pytest.raises(ValueError, match="told apart"):
        parse_time("03/04/2021 10:00")


@pytest.mark.parametrize(
    ("hour", "day", "month", "doubt", "utc_hour"),
    [(12, 1, 7, "", 10), (2, 25, 10, "ambiguous_time", 0), (2, 29, 3, "nonexistent_time", 1)],
)
def test_local_times_of_days_with_23_and_25_hours_are_marked(
    hour: int, day: int, month: int, doubt: str, utc_hour: int
) -> None:
    local = datetime(2026, month, day, hour, 30)  # noqa: DTZ001
    at, found = to_utc(local, ZoneInfo("Europe/Berlin"))
    assert found == doubt
    assert at == datetime(2026, month, day, utc_hour, 30, tzinfo=UTC)
