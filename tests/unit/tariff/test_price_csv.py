from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gridleaf.domain.errors import ConfigError
from gridleaf.tariff import PriceSeries, read_price_csv
from price_fakes import contiguous, utc

HOUR = timedelta(hours=1)


def read(tmp_path: Path, text: str, **options: object) -> PriceSeries:
    path = tmp_path / "prices.csv"
    path.write_text(text, encoding="utf-8")
    return read_price_csv(path, **options)  # type: ignore[arg-type]


def table(series: PriceSeries) -> list[tuple[str, float]]:
    return [(p.start.strftime("%m-%dT%H:%M"), round(p.price_per_kwh, 6)) for p in series.points]


def ote_day(date: str, labels: list[str], price: float = 50.0) -> str:
    rows = [f"{date},{label},x,{price + n}" for n, label in enumerate(labels)]
    return "\n".join(rows) + "\n"


OTE = "date,time_from,time_to,price_eur_mwh\n"
ENTSOE_NEW = (
    '"MTU (CET/CEST)","Area","Sequence","Day-ahead Price (EUR/MWh)",'
    '"Intraday Period (CET/CEST)","Intraday Price (EUR/MWh)"\n'
)


def test_utc_hours_in_eur_per_mwh(tmp_path: Path) -> None:
    series = read(
        tmp_path, "utc_start,eur_per_mwh\n2025-01-01T00:00Z,34.94\n2025-01-01T01:00Z,-5\n"
    )
    assert table(series) == [("01-01T00:00", 0.03494), ("01-01T01:00", -0.005)]
    assert all(p.end - p.start == HOUR for p in series.points)
    assert series.notes == (
        "1 negative prices kept, first: the lowest -0.005 at 2025-01-01T01:00Z",
    )


def test_gzip_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv.gz"
    with gzip.open(path, "wb") as file:
        file.write("\ufeffstart,price\n2025-01-01T00:00+01:00,0.31\n".encode())
    series = read_price_csv(path)
    assert series.points[0].start == utc("2024-12-31T23:00")
    assert series.points[0].price_per_kwh == 0.31


def test_ember_with_two_date_formats_and_duplicates(tmp_path: Path) -> None:
    series = read(
        tmp_path,
        "Country,ISO3 Code,Datetime (UTC),Datetime (Local),Price (EUR/MWhe)\n"
        "Netherlands,NLD,2022-12-31 00:00:00,2022-12-31 01:00:00,10\n"
        "Netherlands,NLD,2022-12-31 01:00:00,2022-12-31 02:00:00,20\n"
        ",,,,\n"
        "Netherlands,NLD,31/12/2022 01:00,31/12/2022 02:00,20\n"
        "Netherlands,NLD,31/12/2022 02:00,31/12/2022 03:00,30\n",
    )
    assert table(series) == [("12-31T00:00", 0.01), ("12-31T01:00", 0.02), ("12-31T02:00", 0.03)]
    assert series.notes == ("1 duplicate rows with the same price dropped, first: line 5",)


def test_entsoe_export_of_the_new_platform(tmp_path: Path) -> None:
    rows = "".join(
        f'"26/10/2025 {h:02}:00:00{s} - 26/10/2025 {e:02}:00:00{t}","BZN|NL","Sequence Sequence 1","{p}","",""\n'
        for h, s, e, t, p in [
            (1, " (CEST)", 2, " (CEST)", 10),
            (2, " (CEST)", 2, " (CET)", 20),
            (2, " (CET)", 3, " (CET)", 30),
            (3, " (CET)", 4, " (CET)", "-"),
        ]
    )
    series = read(tmp_path, ENTSOE_NEW + rows)
    assert table(series) == [("10-25T23:00", 0.01), ("10-26T00:00", 0.02), ("10-26T01:00", 0.03)]
    assert series.notes == ("1 rows dropped whose price is not a number, first: line 5 '-'",)


def test_entsoe_export_keeps_only_the_first_auction(tmp_path: Path) -> None:
    series = read(
        tmp_path,
        ENTSOE_NEW
        + '"01/11/2025 00:00:00 - 01/11/2025 00:15:00","BZN|DE-LU","Sequence 2","99","",""\n'
        + '"01/11/2025 00:00:00 - 01/11/2025 00:15:00","BZN|DE-LU","Sequence 1","80","",""\n'
        + '"01/11/2025 00:15:00 - 01/11/2025 00:30:00","BZN|DE-LU","Sequence 1","81","",""\n',
    )
    assert table(series) == [("10-31T23:00", 0.08), ("10-31T23:15", 0.081)]
    assert series.notes == ("1 rows of another auction dropped, first: line 2",)


def test_entsoe_export_of_the_old_platform_in_local_time(tmp_path: Path) -> None:
    day = "".join(
        f'"25.10.2020 {h:02}:00 - 25.10.2020 {h + 1:02}:00","{30 + n}","EUR",""\n'
        for n, h in enumerate([0, 1, 2, 2, *range(3, 24)])
    )
    series = read(
        tmp_path, '"MTU (CET/CEST)","Day-ahead Price [EUR/MWh]","Currency","BZN|NL"\n' + day
    )
    assert len(series.points) == 25
    assert contiguous(series.points)
    assert series.points[0].start == utc("2020-10-24T22:00")
    assert series.points[-1].end == utc("2020-10-25T23:00")
    assert series.notes == ()


@pytest.mark.parametrize(
    "labels",
    [
        ["00:00", "01:00", "02a00", "02b00", *(f"{h:02}:00" for h in range(3, 24))],
        ["00:00", "01:00", "02:00", "02:00", *(f"{h:02}:00" for h in range(3, 24))],
        [f"{h:02}:00" for h in range(25)],
    ],
    ids=["02a 02b", "02 twice", "numbered to 24"],
)
def test_the_repeated_hour_of_autumn_however_it_is_labelled(
    tmp_path: Path, labels: list[str]
) -> None:
    series = read(tmp_path, OTE + ote_day("2025-10-26", labels))
    assert series.points[0].start == utc("2025-10-25T22:00")
    assert series.points[-1].end == utc("2025-10-26T23:00")
    assert contiguous(series.points)
    assert [p.price_per_kwh for p in series.points] == [(50 + n) / 1000 for n in range(25)]


@pytest.mark.parametrize(
    "labels",
    [
        [f"{h:02}:{m:02}" for h in range(24) if h != 2 for m in (0, 15, 30, 45)],
        [f"{h:02}:{m:02}" for h in range(23) for m in (0, 15, 30, 45)],
    ],
    ids=["02 skipped", "numbered to 22"],
)
def test_the_short_day_of_spring_however_it_is_labelled(tmp_path: Path, labels: list[str]) -> None:
    series = read(tmp_path, OTE + ote_day("2026-03-29", labels))
    assert len(series.points) == 92
    assert series.points[0].start == utc("2026-03-28T23:00")
    assert series.points[-1].end == utc("2026-03-29T22:00")
    assert contiguous(series.points)


def test_an_incomplete_autumn_day_goes_by_its_labels(tmp_path: Path) -> None:
    labels = ["01:00", "02:00", "02:00", "03:00"]
    series = read(tmp_path, OTE + ote_day("2025-10-26", labels))
    starts = [p.start for p in series.points]
    assert starts == [utc(f"2025-10-{d}") for d in ("25T23:00", "26T00:00", "26T01:00", "26T02:00")]


def test_a_row_in_the_hour_that_spring_skips_is_dropped_and_noted(tmp_path: Path) -> None:
    labels = [f"{h:02}:00" for h in range(24)]
    series = read(tmp_path, OTE + ote_day("2026-03-29", labels))
    assert len(series.points) == 23
    assert series.notes == (
        "1 rows dropped in the hour that the clocks skip, first: line 4 2026-03-29 02:00:00",
    )


def test_local_files_newest_first_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    labels = ["00:00", "01:00", "02:00", "02:00", *(f"{h:02}:00" for h in range(3, 24))]
    lines = ote_day("2025-10-26", labels).splitlines()
    series = read(tmp_path, OTE + "\n".join(lines[::-1]))
    assert [p.price_per_kwh for p in series.points] == [(50 + n) / 1000 for n in range(25)]


def test_local_times_need_a_zone(tmp_path: Path) -> None:
    text = "start,price\n2025-07-01 00:00,0.1\n2025-07-01 01:00,0.2\n"
    with pytest.raises(ConfigError, match=r"prices\.csv:2: times without an offset"):
        read(tmp_path, text)
    assert read(tmp_path, text, timezone="Europe/Berlin").points[0].start == utc("2025-06-30T22:00")
    with pytest.raises(ConfigError, match="unknown time zone 'Berlin'"):
        read(tmp_path, text, timezone="Berlin")


def test_what_the_header_says_about_the_zone_goes_before_the_argument(tmp_path: Path) -> None:
    text = "Datetime (UTC),Price (EUR/MWhe)\n2025-07-01 00:00:00,100\n"
    assert read(tmp_path, text, timezone="Europe/Berlin").points[0].start == utc("2025-07-01T00:00")
    text = OTE + "2025-07-01,00:00,01:00,100\n"
    assert read(tmp_path, text, timezone="UTC").points[0].start == utc("2025-06-30T22:00")


@pytest.mark.parametrize(
    ("header", "value", "per_kwh"),
    [
        ("price_eur_mwh", "85.5", 0.0855),
        ("Price (EUR/MWh)", "85.5", 0.0855),
        ("price EUR/kWh", "0.31", 0.31),
        ("price_ct_kwh", "31", 0.31),
        ("Preis in Cent/kWh", "31", 0.31),
        ("price p/kWh", "24.5", 0.245),
        ("price", "0.31", 0.31),
    ],
)
def test_the_unit_comes_from_the_name_of_the_column(
    tmp_path: Path, header: str, value: str, per_kwh: float
) -> None:
    series = read(tmp_path, f"start,{header}\n2025-07-01T00:00Z,{value}\n")
    assert series.points[0].price_per_kwh == pytest.approx(per_kwh)


def test_a_unit_column_and_ends_are_used(tmp_path: Path) -> None:
    text = (
        "start_timestamp;end_timestamp;marketprice;unit\n"
        "1735686000000;1735686900000;42,5;Eur/MWh\n"
        "1735689600000;1735690500000;1.042,5;Eur/MWh\n"
    )
    series = read(tmp_path, text, columns={"end": "end_timestamp"})
    assert [p.price_per_kwh for p in series.points] == [0.0425, 1.0425]
    assert [p.end - p.start for p in series.points] == [timedelta(minutes=15)] * 2
    assert series.notes == ("1 gaps, 0.75 h without a price, first: 2024-12-31T23:15Z",)


def test_prices_in_mwh_under_a_name_without_a_unit_are_refused(tmp_path: Path) -> None:
    text = "start,price\n2025-07-01T00:00Z,85\n2025-07-01T01:00Z,90\n"
    with pytest.raises(ConfigError, match="no plausible price; is the unit right"):
        read(tmp_path, text)
    assert read(tmp_path, text, columns={"unit": "EUR/MWh"}).points[0].price_per_kwh == 0.085


def test_columns_can_be_named(tmp_path: Path) -> None:
    text = "Von,Kosten\n2025-07-01T00:00Z,85\n"
    with pytest.raises(ConfigError, match="no header with a time and a price column; found 'Von'"):
        read(tmp_path, text)
    series = read(tmp_path, text, columns={"start": "Von", "price": "Kosten", "unit": "EUR/MWh"})
    assert table(series) == [("07-01T00:00", 0.085)]
    with pytest.raises(ConfigError, match="unknown role 'cost'"):
        read(tmp_path, text, columns={"cost": "Kosten"})


def test_a_jump_of_a_thousand_is_quarantined_and_noted(tmp_path: Path) -> None:
    rows = [f"2025-07-01T{h:02}:00Z,{80 + h}" for h in range(24)]
    rows[5] = "2025-07-01T05:00Z,85000"
    series = read(tmp_path, "utc_start,eur_per_mwh\n" + "\n".join(rows))
    assert len(series.points) == 23
    assert series.notes == (
        "1 prices quarantined, first: 2025-07-01T05:00Z 85 per kWh is beyond the plausible 9.25",
        "1 gaps, 1 h without a price, first: 2025-07-01T05:00Z",
    )


def test_unusable_rows_are_counted_with_the_first_example(tmp_path: Path) -> None:
    series = read(
        tmp_path,
        "start,price_eur_mwh\n2025-07-01T00:00Z,80\n2025-07-01T01:00Z,nan\n2025-07-01T02:00Z,SN\n"
        "yesterday,80\n2025-07-01T03:00Z,81\n2025-07-01T03:00Z,82\n",
    )
    assert table(series) == [("07-01T00:00", 0.08), ("07-01T03:00", 0.082)]
    assert series.notes == (
        "2 rows dropped whose price is not a number, first: line 3 'nan'",
        "1 rows dropped whose time cannot be read, first: line 5 'yesterday, 80'",
        "1 rows contradict an earlier one, the later kept, first: lines 6 and 7",
        "1 gaps, 2 h without a price, first: 2025-07-01T01:00Z",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", "no header with a time and a price column; found 'a', 'b'"),
        ("start,price\n", "no row with a time and a price"),
        ("start,price_eur_mwh,price_czk_mwh\n2025-07-01T00:00Z,1,2\n", "several columns may be the price"),
        ("start,price\n13/01/2025 00:00,1\n01/13/2025 00:00,1\n", "day/month and month/day"),
        (
            "Country,start,price_eur_mwh\nNL,2025-07-01T00:00Z,1\nDE,2025-07-01T00:00Z,1\n",
            "several areas",
        ),
        ("start,price,unit\n2025-07-01T00:00Z,1,EUR/week\n", "unknown unit 'EUR/week'"),
    ],
)  # fmt: skip
def test_files_that_are_no_prices_are_refused_with_the_place(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=r"prices\.csv") as refused:
        read(tmp_path, text)
    assert reason in refused.value.reason


def test_a_missing_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_price_csv(tmp_path / "absent.csv")
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(b"start,price\n" * 1000)[:-20])
    with pytest.raises(ConfigError, match=r"broken\.csv\.gz"):
        read_price_csv(broken)


def test_american_dates_are_recognised_when_they_must_be(tmp_path: Path) -> None:
    text = "start,price\n01/02/2025 00:00,0.1\n01/13/2025 00:00,0.2\n"
    starts = [p.start for p in read(tmp_path, text, timezone="UTC").points]
    assert starts == [datetime(2025, 1, d, tzinfo=starts[0].tzinfo) for d in (2, 13)]


def test_a_cell_without_an_end_is_refused_with_its_line(tmp_path: Path) -> None:
    text = f"start,price\n2025-07-01T00:00Z,0.1\n2025-07-01T01:00Z,{'1' * 200_000}\n"
    with pytest.raises(ConfigError, match=r"prices\.csv:3: field larger .* left open"):
        read(tmp_path, text)


def test_prices_in_utf_16_are_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes("Début;start;price\nà;2025-07-01T00:00Z;0,5\n".encode("utf-16"))
    assert read_price_csv(path).points[0].price_per_kwh == 0.5


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00+01:00", "9999-12-31T23:59-10:00", "9999-12-31", "2101-01-01T00:00Z"],
)
def test_a_time_of_no_plausible_year_is_dropped_and_noted(tmp_path: Path, time: str) -> None:
    rows = f"{time},80\n{time},80\n2025-07-01T00:00Z,80\n"
    series = read(tmp_path, "start,price_eur_mwh\n" + rows, timezone="Europe/Berlin")
    assert len(series.points) == 1
    assert series.notes == (
        f"2 rows dropped whose time cannot be read, first: line 2 '{time}, 80'",
    )


def test_a_row_with_more_cells_than_the_header_is_dropped_and_noted(tmp_path: Path) -> None:
    """An unquoted decimal comma: the cents would be read as something else, or not at all."""
    rows = "2025-07-01T00:00Z,34,94\n2025-07-01T01:00Z,35\n2025-07-01T02:00Z,36,\n"
    series = read(tmp_path, "start,price_eur_mwh\n" + rows)
    assert table(series) == [("07-01T01:00", 0.035), ("07-01T02:00", 0.036)]
    assert series.notes == (
        "1 rows dropped that have more cells than the header, "
        "first: line 2 '2025-07-01T00:00Z, 34, 94'",
    )
    with pytest.raises(ConfigError, match="no row with a time and a price; 1 rows dropped"):
        read(tmp_path, "start,price_eur_mwh\n2025-07-01T00:00Z,34,94\n")


@pytest.mark.parametrize(
    ("others", "doubtful"),
    [(("34.94", "1.5"), "1,234"), (("34,94", "1.020,5"), "1.234"), (("34.94", "1,5"), "1,234")],
)
def test_a_price_that_can_be_read_in_two_ways_is_dropped_and_noted(
    tmp_path: Path, others: tuple[str, str], doubtful: str
) -> None:
    cells = (*others, doubtful)
    rows = "".join(f'2025-07-01T{h:02}:00Z,"{cell}"\n' for h, cell in enumerate(cells))
    series = read(tmp_path, "start,price_eur_mwh\n" + rows)
    assert len(series.points) == 2
    assert series.notes == (
        "1 rows dropped whose price can be read in two ways, decimals or thousands, "
        f"first: line 4 '{doubtful}'",
    )


@pytest.mark.parametrize(
    "cells", [("0.123", "1.234"), ("0.1", "0.2", "1,5", "1.234"), ("34,9", "1,234"), ("1,234", "5")]
)
def test_three_decimals_are_decimals_where_no_other_mark_speaks_against_it(
    tmp_path: Path, cells: tuple[str, ...]
) -> None:
    rows = "".join(f'2025-07-01T{h:02}:00Z;"{cell}"\n' for h, cell in enumerate(cells))
    series = read(tmp_path, "start;price_eur_mwh\n" + rows)
    assert [p.price_per_kwh * 1000 for p in series.points] == [
        pytest.approx(float(cell.replace(",", "."))) for cell in cells
    ]
    assert series.notes == ()


def test_an_unknown_zone_is_refused_even_where_no_time_needs_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown time zone 'X/Y'"):
        read(tmp_path, "start,price\n2025-07-01T00:00Z,0.1\n", timezone="X/Y")
