"""``gridleaf battery health``, ``passport`` and ``verify`` on a store and on a log."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gridleaf.battery import passport as book
from gridleaf.battery.health import Sweep, prior
from gridleaf.cli import main
from gridleaf.control.batteries import next_record
from gridleaf.store import sqlite_store
from gridleaf.store.port import HealthRecord, SessionRecord

START = datetime(2026, 3, 2, 17, tzinfo=UTC)
LOG = "arrival,departure,energy_kwh,id_token,soc_arrival,soc_departure\n"


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(["battery", *args])
    except SystemExit as end:
        code = int(end.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A store that has seen ten sessions of a van."""

    async def fill() -> None:
        store = sqlite_store(tmp_path / "gridleaf.db")
        await store.open()
        newest: HealthRecord | None = None
        for day in range(10):
            at = START + timedelta(days=day)
            newest = next_record(
                "van-01",
                newest,
                Sweep(
                    at=at,
                    charged_kwh=0.4 * 34.0 / 0.93,
                    discharged_kwh=0.0,
                    soc_from=0.45,
                    soc_to=0.85,
                    charge_efficiency=0.93,
                    discharge_efficiency=0.93,
                ),
                session_id=f"s{day}",
                nominal_kwh=39.0,
                begin=prior(39.0, START),
            )
            assert newest is not None
            assert await store.append_health(newest)
            await store.save_session(
                SessionRecord(
                    session_id=f"s{day}",
                    station_id="BAY-01",
                    evse_id=1,
                    transaction_id=f"t{day}",
                    id_token="VAN-01",
                    arrived_at=at - timedelta(hours=9),
                    departed_at=at,
                    state="ended",
                    charged_kwh=14.6,
                    departure_soc=0.85,
                )
            )
        await store.close()

    asyncio.run(fill())
    return tmp_path


def health(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    code, out, _ = run(capsys, "health", *args, "--json")
    assert code == 0
    return json.loads(out)["vehicles"]


def test_health_tells_the_band_and_every_session_it_rests_on(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (van,) = health(capsys, "all", "--data-dir", str(data_dir))
    assert van["low_kwh"] < 34.0 < van["high_kwh"]
    assert [row["session_id"] for row in van["history"]] == [f"s{n}" for n in range(10)]
    code, out, _ = run(capsys, "health", "Van-01", "--data-dir", str(data_dir))
    assert code == 0
    assert "van-01" in out


def test_health_of_a_log_needs_no_site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        f"2024-05-{day:02d}T18:00Z,2024-05-{day + 1:02d}T07:00Z,{energy},ANNA,0.30,0.80\n"
        for day, energy in enumerate((18.0, 18.2, 17.9, 18.1, 40.0, 18.0), 1)
    ]
    path = tmp_path / "log.csv"
    path.write_text(LOG + "".join(rows))
    figure = tmp_path / "health.svg"
    (anna,) = health(
        capsys, "all", "--sessions", str(path), "--capacity", "39", "--plot", str(figure)
    )
    assert anna["capacity_kwh"] == pytest.approx(18.05 * 0.93 / 0.5, rel=0.03)
    assert [row["verdict"] for row in anna["history"]].count("outlier") == 1
    assert figure.read_text().startswith("<?xml")
    code, _, err = run(capsys, "health", "all", "--sessions", str(path))
    assert code == 2
    assert "--capacity" in err
    path.write_text(LOG + "2024-05-01T18:00Z,2024-05-02T07:00Z,18,,0.30,0.80\n")
    code, _, err = run(capsys, "health", "all", "--sessions", str(path))
    assert code == 2
    assert "no session with an id token" in err


def test_a_log_that_tells_no_capacity_of_one_vehicle_still_tells_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        LOG.replace("\n", ",capacity_kwh\n")
        + "2024-05-01T18:00Z,2024-05-02T07:00Z,18,ANNA,0.30,0.80,39\n"
        + "2024-05-02T18:00Z,2024-05-03T07:00Z,19,BEN,0.30,0.80,\n"
    )
    code, out, err = run(capsys, "health", "all", "--sessions", str(path), "--json")
    assert code == 0
    (anna,) = json.loads(out)["vehicles"]  # worn to 86 %: her 39 kWh when new are believed
    assert (anna["vehicle"], anna["nominal_kwh"]) == ("anna", 39.0)
    assert "of ben" in err
    assert run(capsys, "health", "ANNA", "--sessions", str(path))[0] == 0
    code, _, err = run(capsys, "health", "Ben", "--sessions", str(path))
    assert code == 2
    assert "--capacity" in err


def test_a_token_that_many_vehicles_share_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.csv"
    rows = [
        f"2024-05-{day:02d}T18:00Z,2024-05-{day + 1:02d}T07:00Z,{energy},ANNA,0.30,0.80\n"
        for day, energy in enumerate((18.0, 30.0, 11.0, 38.0, 9.0, 27.0, 48.0, 15.0), 1)
    ]
    path.write_text(LOG + "".join(rows))
    code, out, _ = run(capsys, "health", "all", "--sessions", str(path), "--capacity", "39")
    assert code == 0
    assert "anna: most sessions do not fit" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("health", "all"), "--site"),
        (("health", "all", "--data-dir", "/nowhere"), "is no folder"),
        (("verify", "van-01", "--data-dir", "{}"), "has no passport yet"),
        (("health", "nobody", "--data-dir", "{}"), "no session has told"),
        (("passport", "nobody", "--data-dir", "{}"), "no vehicle of this id token"),
    ],
)
def test_wrong_use_is_told_plainly(
    data_dir: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], words: str
) -> None:
    code, out, err = run(capsys, *(arg.format(data_dir) for arg in args))
    assert (code, out) == (2, "")
    assert words in err


def issue(capsys: pytest.CaptureFixture[str], folder: Path, *args: str) -> Any:
    code, out, _ = run(capsys, "passport", "VAN-01", "--data-dir", str(folder), "--json", *args)
    assert code == 0
    return json.loads(out)


def verify(capsys: pytest.CaptureFixture[str], folder: Path, *args: str) -> tuple[int, list[str]]:
    code, out, _ = run(capsys, "verify", "van-01", "--data-dir", str(folder), "--json", *args)
    return code, json.loads(out)["faults"]


def tamper(folder: Path, sql: str) -> None:
    with sqlite3.connect(folder / "gridleaf.db") as connection:
        connection.execute(sql)
    connection.close()


def test_each_passport_adds_a_signed_entry(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = issue(capsys, data_dir), issue(capsys, data_dir)
    assert second["history"][0] == first["history"][0]
    assert second["history"][1]["previous"] == first["history"][0]["hash"]
    assert first["attributes"]["energyThroughput"]["value"] == pytest.approx(146.0)
    assert verify(capsys, data_dir) == (0, [])
    key = data_dir / "passport.key"
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_site_file_adds_what_the_catalogue_says_and_where_the_key_is(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = data_dir / "site.toml"
    site.write_text(
        'name = "Depot"\nimport_limit_kw = 60\n'
        '[[stations]]\nid = "BAY-01"\n[[stations.evses]]\nid = 1\ncharge_max_kw = 22\n'
        '[[vehicles]]\nid_token = "Van-01"\ncapacity_kwh = 39\nbattery = "nissan-leaf-40"\n'
        '[storage]\ndata_dir = "."\npassport_key_file = "keys/own.key"\n'
    )
    code, out, _ = run(capsys, "passport", "VAN-01", "--site", str(site), "--json")
    assert code == 0
    found = json.loads(out)["attributes"]
    assert found["ratedCapacity"]["value"] == pytest.approx(112.6, abs=0.5)
    assert 330 < found["nominalVoltage"]["value"] < 370
    assert found["remainingCapacity"]["value"] < found["ratedCapacity"]["value"]
    assert found["stateOfCertifiedEnergy"]["basis"] == "measured"
    assert (data_dir / "keys" / "own.key").stat().st_mode & 0o777 == 0o600
    assert not (data_dir / "passport.key").exists()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE passport SET entry = replace(entry, '146.0', '14.0') WHERE number = 1", "changed"),
        ("DELETE FROM passport WHERE number = 3", "1 entries are missing at the end"),
        ("DELETE FROM passport", "3 entries are missing at the end"),
        ("DELETE FROM passport WHERE number = 1", "does not follow"),
        ("UPDATE passport SET number = number + 10 WHERE number = 2", "has the number"),
    ],
)
def test_verify_finds_tampering_truncation_and_reordering(
    data_dir: Path, capsys: pytest.CaptureFixture[str], sql: str, words: str
) -> None:
    for _ in range(3):
        issue(capsys, data_dir)
    tamper(data_dir, sql)
    code, wrong = verify(capsys, data_dir)
    assert code == 1
    assert words in "; ".join(wrong)
    code, out, err = run(capsys, "passport", "VAN-01", "--data-dir", str(data_dir))
    assert (code, out) == (2, "")
    assert words in err


def test_a_store_set_back_with_its_heads_is_found_by_a_passport_given_out(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        issue(capsys, data_dir)
    given = data_dir / "given.json"
    run(capsys, "passport", "VAN-01", "--data-dir", str(data_dir), "--out", str(given))
    (data_dir / "passport.key.heads").unlink()
    tamper(data_dir, "DELETE FROM passport WHERE number = 3")
    assert verify(capsys, data_dir) == (0, [])
    code, wrong = verify(capsys, data_dir, "--against", str(given))
    assert (code, wrong) == (1, ["1 entries are missing at the end"])


def given_out(capsys: pytest.CaptureFixture[str], folder: Path) -> Path:
    path = folder / "given.json"
    run(capsys, "passport", "VAN-01", "--data-dir", str(folder), "--out", str(path))
    return path


def test_verify_says_that_nobody_vouches_for_a_key_that_only_the_passport_itself_tells(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = given_out(capsys, data_dir)
    key = json.loads(path.read_text())["history"][0]["key"]
    (data_dir / "passport.key").unlink()
    for where in (("--data-dir", str(data_dir)), ("--passport", str(path))):
        code, out, _ = run(capsys, "verify", "van-01", *where)
        assert code == 3
        assert "nobody vouches for the key" in out
        assert key in out
        assert run(capsys, "verify", "van-01", *where, "--key", key)[0] == 0
        code, out, _ = run(capsys, "verify", "van-01", *where, "--key", "07" * 32)
        assert code == 1
        assert "another key" in out
        assert run(capsys, "verify", "van-01", *where, "--key", "abc")[0] == 2


def test_a_passport_that_somebody_else_wrote_anew_is_consistent_and_no_more(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = given_out(capsys, data_dir)
    true = json.loads(path.read_text())
    forger = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    better = {**true["attributes"], "numberOfFullCycles": {**true["attributes"]["ratedEnergy"]}}
    better["numberOfFullCycles"]["unit"] = "1"
    forged = book.document("van-01", [book.sign("van-01", better, START, [], forger)])
    path.write_text(json.dumps(forged))
    assert run(capsys, "verify", "van-01", "--passport", str(path))[0] == 3
    key = true["history"][0]["key"]
    assert run(capsys, "verify", "van-01", "--passport", str(path), "--key", key)[0] == 1


def test_what_a_passport_says_beside_its_signed_history_is_checked_too(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = given_out(capsys, data_dir)
    passport = json.loads(path.read_text())
    passport["attributes"]["stateOfCertifiedEnergy"]["value"] = 99.0
    path.write_text(json.dumps(passport))
    key = passport["history"][0]["key"]
    code, out, _ = run(capsys, "verify", "van-01", "--passport", str(path), "--key", key)
    assert code == 1
    assert "attributes is not that of the newest entry" in out


def test_verify_says_when_nobody_remembers_how_far_a_history_went(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = given_out(capsys, data_dir)
    assert "remembers" not in run(capsys, "verify", "van-01", "--data-dir", str(data_dir))[1]
    (data_dir / "passport.key.heads").unlink()
    code, out, _ = run(capsys, "verify", "van-01", "--data-dir", str(data_dir))
    assert code == 0
    assert "nobody remembers" in out
    again = run(capsys, "verify", "van-01", "--data-dir", str(data_dir), "--against", str(path))
    assert "remembers" not in again[1]


def test_a_crash_before_the_head_is_kept_loses_no_entry(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(capsys, data_dir)
    with monkeypatch.context() as crash:
        crash.setattr(book, "write_heads", lambda *_: (_ for _ in ()).throw(OSError("no room")))
        assert run(capsys, "passport", "VAN-01", "--data-dir", str(data_dir))[0] != 0
    assert verify(capsys, data_dir) == (0, [])
    assert [entry["number"] for entry in issue(capsys, data_dir)["history"]] == [1, 2, 3]
    assert verify(capsys, data_dir) == (0, [])
