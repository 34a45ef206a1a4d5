"""``gridleaf replay`` from files to JSON, table and report."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridleaf.cli import main

START = datetime(2024, 5, 6, 6, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    log, prices = tmp_path / "log.csv", tmp_path / "prices.csv"
    log.write_text(
        "Ankunft;Abfahrt;Menge\n"
        "06.05.2024 08:00;06.05.2024 14:00;12000\n"
        "06.05.2024 09:30;06.05.2024 15:00;9000,5\n"
        "06.05.2024 09:30;06.05.2024 09:00;5000\n",
        encoding="utf-8",
    )
    rows = ["start,price_eur_per_mwh"]
    for hour in range(-48, 48):
        at = START + timedelta(hours=hour)
        rows.append(f"{at:%Y-%m-%dT%H:%MZ},{200 if at.hour < 10 else 20}")
    prices.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return log, prices


def arguments(log: Path, prices: Path, *more: str) -> list[str]:
    return [
        "replay",
        *("--sessions", str(log), "--prices", str(prices), "--workers", "1"),
        *("--map", "arrival=Ankunft,departure=Abfahrt", "--map", "energy_kwh=Menge:Wh"),
        *("--timezone", "Europe/Berlin", "--from", "2024-05-06", "--to", "2024-05-06T18:00"),
        *more,
    ]


def run(args: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(args)
    return int(ended.value.code or 0)


def test_one_json_object_with_the_agreed_keys_and_a_report(
    files: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    assert run(arguments(*files, "--json", "--report", str(report))) == 0
    data = json.loads(capfd.readouterr().out)
    assert set(data["modes"]) == {"uncontrolled", "smart", "v2g"}
    for mode in data["modes"].values():
        assert mode["sessions"] == 2
        assert mode["unmet_kwh"] == pytest.approx(0.0, abs=0.05)
        assert mode["limit_violations"] == 0
        assert mode["charged_kwh"] - mode["discharged_kwh"] == pytest.approx(21.0, abs=0.8)
    assert (
        data["modes"]["smart"]["energy_cost_eur"] < data["modes"]["uncontrolled"]["energy_cost_eur"]
    )
    assert (data["data_quality"]["rows"], data["data_quality"]["used"]) == (3, 2)
    assert [f["kind"] for f in data["data_quality"]["findings"]] == ["not_positive_stay"]
    assert data["start"] == "2024-05-05T22:00:00+00:00"
    html = report.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert "departure is not after arrival" in html


def test_a_table_for_people(files: tuple[Path, Path], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(*files, "--evses", "1")) == 0
    out = capfd.readouterr().out
    assert "3 rows, 1 used" in out
    assert "no EVSE of the site could take it" in out
    for line in ("Sessions", "Total EUR", "uncontrolled", "smart charging", "V2G"):
        assert line in out


def test_a_slip_in_a_departure_year_does_not_keep_the_replay_running_for_years(
    files: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """Without ``--to`` the window ends with the visits that the prices cover; gaps are told."""
    log, prices = files
    with log.open("a", encoding="utf-8") as file:
        file.write("06.05.2024 08:00;06.05.2099 14:00;12000\n")
    lines = prices.read_text(encoding="utf-8").splitlines(keepends=True)
    prices.write_text("".join(line for line in lines if "06T10:00Z" not in line), encoding="utf-8")
    asked = arguments(log, prices)
    del asked[asked.index("--to") : asked.index("--to") + 2]
    assert run([*asked, "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert (data["start"], data["end"]) == (
        "2024-05-05T22:00:00+00:00",
        "2024-05-06T22:00:00+00:00",
    )
    assert "implausible_stay" in [f["kind"] for f in data["data_quality"]["findings"]]
    assert data["data_quality"]["price_notes"] == [
        "1 gaps, 1 h without a price, first: 2024-05-06T10:00Z",
        "1 h of the window have no market price and were billed at 0.02 for buying and 0.02 for "
        "selling a kWh",
    ]
    assert run(asked) == 0
    assert "prices: 1 h of the window have no market price" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--from", "yesterday"], "from: 'yesterday'"),
        (["--from", "0001-01-01"], "from 1990 to 2100"),
        (["--to", "9999-12-31"], "from 1990 to 2100"),
        (["--from", "2024-05-07"], "not before"),
        (["--from", "2025-05-06", "--to", "2025-05-07"], "no session between"),
        (["--map", "energy_kwh"], "expected FIELD=COLUMN"),
        (["--map", "energy_kwh=Menge:Wh"], "'energy_kwh' is there twice"),
        (["--preset", "unknown"], "no preset"),
        (["--price-timezone", "X/Y"], "unknown time zone 'X/Y'"),
        (["--site", "site.toml", "--evses", "3"], "leave one out"),
        (["--report", "/nowhere/at/all.html"], "its folder does not exist"),
        (["--report", "."], "is a folder"),
        (["--site", "missing.toml"], "missing.toml"),
    ],
)
def test_unusable_input_ends_with_2_and_says_why(
    files: tuple[Path, Path], more: list[str], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments(*files, *more)) == 2
    assert reason in capfd.readouterr().err
