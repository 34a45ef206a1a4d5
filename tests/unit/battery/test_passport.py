"""The passport: valid or not issued; and nothing in its history changes unseen."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gridleaf.battery.passport import (
    Facts,
    Head,
    attributes,
    document,
    faults,
    head_of,
    load_key,
    read_heads,
    sign,
    write_heads,
)
from gridleaf.domain.errors import ConfigError

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def facts(day: int = 0) -> Facts:
    at = NOON + timedelta(days=day)
    capacity = 34.0 - 0.01 * day
    return Facts(
        nominal_kwh=39.0,
        measured_at=at,
        capacity_kwh=(capacity, capacity - 1.1, capacity + 1.2),
        round_trip=(0.86, 0.84, 0.88),
        charged_kwh=900.0 + day,
        discharged_kwh=300.0,
        metered_since=NOON - timedelta(days=90),
        soc=0.81,
        soc_at=at,
        rated={"nominalVoltage": (350.0, "V"), "ratedCapacity": (115.0, "Ah")},
    )


def written(count: int = 4, key: Ed25519PrivateKey = KEY) -> list[str]:
    entries: list[str] = []
    for day in range(count):
        at = NOON + timedelta(days=day)
        entries.append(sign("van-01", attributes(facts(day), at), at, entries, key))
    return entries


def test_the_attributes_follow_from_what_was_measured() -> None:
    found = attributes(facts(), NOON)
    assert found["stateOfCertifiedEnergy"]["value"] == pytest.approx(87.179)
    assert found["capacityFade"]["value"] == pytest.approx(12.821)
    assert found["capacityFade"]["low"] < 12.821 < found["capacityFade"]["high"]
    assert found["remainingCapacity"]["value"] == pytest.approx(97.143)
    assert found["numberOfFullCycles"]["value"] == pytest.approx(1200 / 78, abs=1e-3)
    assert found["ratedCapacity"]["basis"] == "stated"


def test_what_nobody_measured_is_left_out() -> None:
    assert list(attributes(Facts(nominal_kwh=39.0), NOON)) == ["ratedEnergy"]
    assert "remainingCapacity" not in attributes(
        Facts(nominal_kwh=39.0, measured_at=NOON, capacity_kwh=(34.0, 33.0, 35.0)), NOON
    )


def test_a_passport_is_valid_and_holds_its_history() -> None:
    entries = written()
    passport = document("van-01", entries)
    assert faults("van-01", entries, key=KEY.public_key()) == []
    assert [entry["number"] for entry in passport["history"]] == [1, 2, 3, 4]
    assert passport["attributes"] == passport["history"][-1]["attributes"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"remainingEnergy": {"value": 34.0, "unit": "kWh"}}, "remainingEnergy"),
        ({"stateOfHealth": {"value": 1.0}}, "attributes"),
        ({}, "attributes"),
    ],
)
def test_a_passport_that_is_not_valid_is_not_issued(change: dict[str, object], place: str) -> None:
    with pytest.raises(ConfigError, match=place):
        document("van-01", [sign("van-01", change, NOON, [], KEY)])


@given(st.data())
def test_any_change_of_any_entry_is_found(data: st.DataObject) -> None:
    entries = written()
    number = data.draw(st.integers(0, 3))
    text = entries[number]
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from('0123456789abcdef",.{}').filter(lambda c: c != text[place]))
    entries[number] = text[:place] + letter + text[place + 1 :]
    assert faults("van-01", entries, key=KEY.public_key())


@given(st.permutations(range(4)).filter(lambda order: list(order) != [0, 1, 2, 3]))
def test_any_other_order_is_found(order: list[int]) -> None:
    entries = written()
    assert faults("van-01", [entries[n] for n in order])


@given(st.sets(st.integers(0, 3), max_size=3))
def test_any_entry_that_is_missing_is_found(kept: set[int]) -> None:
    """Also the newest ones: by the head that was seen last."""
    entries = written()
    head = head_of(entries)
    assert head is not None
    assert faults("van-01", [entries[n] for n in sorted(kept)], heads=[head])


def test_without_a_head_the_end_may_be_missing_unseen_and_within_it_never() -> None:
    entries = written()
    assert faults("van-01", entries[:2]) == []
    assert faults("van-01", entries[1:])
    assert faults("van-01", entries, heads=[Head(2, json.loads(entries[1])["hash"])]) == []


def test_a_history_that_was_written_anew_is_found() -> None:
    entries, head = written(), head_of(written())
    assert head is not None
    forged = [*entries[:3], sign("van-01", attributes(facts(9), NOON), NOON, entries[:3], KEY)]
    assert "entry 4 is another one than was seen before" in faults("van-01", forged, heads=[head])
    foreign = written(key=OTHER)
    assert faults("van-01", foreign) == []
    assert len(faults("van-01", foreign, key=KEY.public_key())) == 4


@pytest.mark.parametrize("number", [-3, 0])
@pytest.mark.parametrize("count", [0, 4])
def test_a_head_that_no_history_ever_had_is_found(number: int, count: int) -> None:
    entries = written(count)
    digest = json.loads(entries[-1])["hash"] if entries else ""
    assert faults("van-01", entries, heads=[Head(number, digest)])


def test_an_entry_of_another_battery_is_found() -> None:
    assert "entry 1 is of another battery" in faults("van-02", written())


def test_rubbish_is_told_and_not_raised() -> None:
    for rubbish in ("", "[]", "null", "{", '{"number":1}', "\ud800"):
        assert faults("van-01", [rubbish])


def test_the_key_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "passport.key"
    old = os.umask(0)
    try:
        key = load_key(path, create=True)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path).private_bytes_raw() == key.private_bytes_raw()
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="may be read by others"):
        load_key(path)


def test_fault_53_what_a_key_file_holds_is_never_told(tmp_path: Path) -> None:
    path = tmp_path / "passport.key"
    path.write_bytes(b"hunter2")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        load_key(path)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigError, match="No such file"):
        load_key(tmp_path / "none")
    assert KEY.private_bytes_raw().hex() not in "".join(written())


def test_a_disk_that_is_full_leaves_no_half_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "passport.key"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match="No space left"):
            load_key(path, create=True)
    assert list(tmp_path.iterdir()) == []
    load_key(path, create=True)
    assert list(tmp_path.iterdir()) == [path]


def test_those_who_make_the_key_at_the_same_time_have_the_same_one(tmp_path: Path) -> None:
    """A command and the running platform, both at the first entry of a site."""
    path = tmp_path / "deep" / "passport.key"
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda _: load_key(path, create=True).private_bytes_raw(), range(40))
    assert set(made) == {path.read_bytes()}
    assert list(path.parent.iterdir()) == [path]


def test_heads_are_kept_beside_the_key(tmp_path: Path) -> None:
    path = tmp_path / "passport.key.heads"
    assert read_heads(path) == {}
    write_heads(path, {"van-01": Head(4, "ab")})
    assert read_heads(path) == {"van-01": Head(4, "ab")}
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("[1]")
    with pytest.raises(ConfigError, match="file of heads"):
        read_heads(path)


def test_heads_that_are_written_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    """A command and the running platform, each with its own view of the file."""
    path = tmp_path / "passport.key.heads"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write_heads(path, {f"van-{n}": Head(n + 1, "ab")}), range(40)))
    assert read_heads(path) == {f"van-{n}": Head(n + 1, "ab") for n in range(40)}


def test_a_head_never_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "passport.key.heads"
    write_heads(path, {"van-01": Head(4, "ab")})
    write_heads(path, {"van-01": Head(3, "cd"), "van-02": Head(1, "ef")})
    assert read_heads(path) == {"van-01": Head(4, "ab"), "van-02": Head(1, "ef")}
