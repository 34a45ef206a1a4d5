"""Passports that the platform writes by itself: when, with which key, and what never stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from builders import NOON, site
from fake_depot import past_health
from gridleaf.battery import passport as book
from gridleaf.control.passports import NOT_WRITTEN, add_entry, heads_file, write_due
from gridleaf.domain.errors import ConfigError, StoreUnavailable
from gridleaf.domain.site import SiteConfig, Vehicle
from gridleaf.store import sqlite_store
from gridleaf.store.port import PassportRecord, SessionRecord, Store

VAN = Vehicle(id_token="VAN", capacity_kwh=39, battery="nissan-leaf-40")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def depot(**changes: Any) -> SiteConfig:
    return site(**{"vehicles": [VAN.model_dump(exclude_unset=True)], **changes})


async def drive(store: Store, at: datetime, version: int, vehicle: Vehicle = VAN) -> None:
    """A session that ended at ``at``, and what it told of the battery."""
    told = past_health(vehicle, at, 0)
    await store.append_health(
        replace(
            told,
            version=version,
            session_id=f"s{version}",
            at=at,
            capacity_kwh=told.capacity_kwh - 0.01 * version,
        )
    )
    await store.save_session(
        SessionRecord(
            session_id=f"s{version}",
            station_id="DC1",
            evse_id=1,
            transaction_id=f"t{version}",
            id_token=vehicle.id_token,
            arrived_at=at - 8 * HOUR,
            departed_at=at,
            state="ended",
            charged_kwh=14.0,
            discharged_kwh=6.0,
            departure_soc=0.8,
        )
    )


def in_store(test: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        store = sqlite_store(None)
        await store.open()
        try:
            await test(store)
        finally:
            await store.close()

    asyncio.run(main())


async def entries(store: Store) -> list[str]:
    return [row.entry for row in await store.passport("van")]


def not_written() -> float:
    return float(NOT_WRITTEN._value.get())


def test_new_health_becomes_a_signed_entry(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key = tmp_path / "keys" / "passport.key"
        await drive(store, NOON, 1)
        assert await write_due(store, depot(), key, NOON + HOUR) == ["van"]
        assert key.stat().st_mode & 0o777 == 0o600
        written = await entries(store)
        public = book.load_key(key).public_key()
        heads = list(book.read_heads(heads_file(key)).values())
        assert book.faults("van", written, key=public, heads=heads) == []
        found = book.document("van", written)["attributes"]
        assert found["energyThroughput"]["value"] == 20.0
        assert found["stateOfCharge"]["value"] == 80.0
        assert found["remainingEnergy"]["basis"] == "measured"
        assert "ratedCapacity" in found

    in_store(test)


def test_a_day_of_the_site_has_one_entry_at_most(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key, here = tmp_path / "passport.key", depot(timezone="Europe/Amsterdam")
        late = NOON.replace(hour=22, minute=30)  # 23:30 in Amsterdam
        written = []
        for version, at in enumerate((NOON, late, late + HOUR, late + 2 * HOUR), 1):
            await drive(store, at, version)
            written.append(await write_due(store, here, key, at))
        assert written == [["van"], [], ["van"], []]

    in_store(test)


def test_nothing_new_is_not_told_again(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key = tmp_path / "passport.key"
        await drive(store, NOON, 1)
        assert await write_due(store, depot(), key, NOON) == ["van"]
        assert await write_due(store, depot(), key, NOON + 3 * DAY) == []
        await drive(store, NOON + 3 * DAY, 2)
        assert await write_due(store, depot(), key, NOON + 3 * DAY) == ["van"]
        assert len(await entries(store)) == 2

    in_store(test)


@pytest.mark.parametrize("changes", [{"vehicles": []}, {"capacity_kwh": 59}])
def test_a_battery_that_the_site_does_not_have_gets_none(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    other = {"vehicles": [{"id_token": "VAN", **changes}]} if "capacity_kwh" in changes else changes

    async def test(store: Store) -> None:
        await drive(store, NOON, 1)
        assert await write_due(store, depot(**other), tmp_path / "passport.key", NOON) == []
        assert not (tmp_path / "passport.key").exists()

    in_store(test)


def test_a_battery_put_in_since_gets_an_entry_once_it_is_measured(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key = tmp_path / "passport.key"
        since = {**VAN.model_dump(exclude_unset=True), "battery_since": (NOON + 3 * DAY).date()}
        await drive(store, NOON, 1)
        assert await write_due(store, depot(vehicles=[since]), key, NOON + 5 * DAY) == []
        written = await add_entry(store, "van", key, NOON + 5 * DAY, site=depot(vehicles=[since]))
        assert "remainingEnergy" not in book.document("van", written)["attributes"]
        await drive(store, NOON + 6 * DAY, 2)
        assert await write_due(store, depot(vehicles=[since]), key, NOON + 7 * DAY) == ["van"]

    in_store(test)


def test_a_lost_key_is_missed_and_never_replaced(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key, away = tmp_path / "passport.key", tmp_path / "away"
        await drive(store, NOON, 1)
        await write_due(store, depot(), key, NOON)
        secret = key.read_bytes()
        key.rename(away)
        heads_file(key).unlink()
        second = Vehicle(id_token="CAR", capacity_kwh=39)
        both = depot(vehicles=[v.model_dump(exclude_unset=True) for v in (VAN, second)])
        await drive(store, NOON + DAY, 2)
        await drive(store, NOON + DAY, 3, second)
        before = not_written()
        with capture_logs() as logs:
            assert await write_due(store, both, key, NOON + DAY) == []
        assert [log["event"] for log in logs] == ["passport_not_written"] * 2
        assert not_written() == before + 2
        assert not key.exists()
        away.rename(key)
        with capture_logs() as more:
            assert sorted(await write_due(store, both, key, NOON + DAY)) == ["car", "van"]
        assert secret.hex() not in str([*logs, *more])
        assert key.read_bytes() == secret

    in_store(test)


def test_a_key_that_others_may_read_signs_nothing(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key = tmp_path / "passport.key"
        book.load_key(key, create=True)
        key.chmod(0o644)
        await drive(store, NOON, 1)
        with capture_logs() as logs:
            assert await write_due(store, depot(), key, NOON) == []
        assert "chmod 600" in logs[0]["reason"]
        assert await entries(store) == []
        key.chmod(0o600)
        assert await write_due(store, depot(), key, NOON) == ["van"]

    in_store(test)


def test_a_key_that_was_replaced_by_another_one_signs_nothing(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key = tmp_path / "passport.key"
        await drive(store, NOON, 1)
        await write_due(store, depot(), key, NOON)
        key.unlink()
        book.load_key(key, create=True)
        await drive(store, NOON + DAY, 2)
        with capture_logs() as logs:
            assert await write_due(store, depot(), key, NOON + DAY) == []
        assert "signed with another key" in logs[0]["reason"]
        assert len(await entries(store)) == 1

    in_store(test)


def test_a_vehicle_that_is_renamed_keeps_its_passport_and_one_with_another_token_gets_its_own(
    tmp_path: Path,
) -> None:
    async def test(store: Store) -> None:
        key = tmp_path / "passport.key"
        await drive(store, NOON, 1)
        await write_due(store, depot(), key, NOON)
        named = VAN.model_copy(update={"name": "the red one", "id_token": "Van"})
        other = VAN.model_copy(update={"id_token": "VAN-2"})
        both = depot(vehicles=[v.model_dump(exclude_unset=True) for v in (named, other)])
        await drive(store, NOON + DAY, 2)
        await drive(store, NOON + DAY, 3, other)
        assert sorted(await write_due(store, both, key, NOON + DAY)) == ["van", "van-2"]
        assert len(await entries(store)) == 2
        assert len(await store.passport("van-2")) == 1

    in_store(test)


def test_two_that_write_at_once_make_one_entry(tmp_path: Path) -> None:
    """A command and the running platform: one of them is told to try again."""

    async def test(store: Store) -> None:
        key = tmp_path / "passport.key"
        await drive(store, NOON, 1)
        with capture_logs() as logs:
            found = await asyncio.gather(
                *(write_due(store, depot(), key, NOON) for _ in range(4)), return_exceptions=True
            )
        assert sorted(map(str, found)) == ["['van']", "[]", "[]", "[]"]
        assert all("somebody else wrote" in log["reason"] for log in logs)
        written = await entries(store)
        heads = list(book.read_heads(heads_file(key)).values())
        public = book.load_key(key).public_key()
        assert book.faults("van", written, key=public, heads=heads) == []

    in_store(test)


def test_a_damaged_history_is_not_gone_on_with(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key = tmp_path / "passport.key"
        await store.append_passport(PassportRecord(vehicle="van", number=1, entry="{}"))
        await drive(store, NOON, 1)
        book.load_key(key, create=True)
        with capture_logs() as logs:
            assert await write_due(store, depot(), key, NOON) == []
        assert "entry 1 cannot be read as it was written" in logs[0]["reason"]
        assert len(await entries(store)) == 1

    in_store(test)


def test_a_clock_that_was_set_back_makes_no_entry_from_before_the_newest(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key = tmp_path / "passport.key"
        await drive(store, NOON, 1)
        await write_due(store, depot(), key, NOON)
        await drive(store, NOON - 9 * DAY, 2)
        with capture_logs() as logs:
            assert await write_due(store, depot(), key, NOON - 9 * DAY) == []
        assert "from later than now" in logs[0]["reason"]
        with pytest.raises(ConfigError, match="from later than now"):
            await add_entry(store, "van", key, NOON - HOUR, site=depot())

    in_store(test)


def test_an_entry_that_was_written_counts_where_its_head_could_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def test(store: Store) -> None:
        key = tmp_path / "passport.key"
        await drive(store, NOON, 1)
        with monkeypatch.context() as patched:
            patched.setattr(book, "write_heads", full)
            with capture_logs() as logs:
                assert await write_due(store, depot(), key, NOON) == []
        assert "No space left" in logs[0]["reason"]
        assert await write_due(store, depot(), key, NOON + HOUR) == []
        await drive(store, NOON + DAY, 2)
        assert await write_due(store, depot(), key, NOON + DAY) == ["van"]
        assert book.read_heads(heads_file(key))["van"].number == 2

    in_store(test)


def test_one_that_fails_keeps_no_other_from_its_entry(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        key, second = tmp_path / "passport.key", Vehicle(id_token="CAR", capacity_kwh=39)
        both = depot(vehicles=[v.model_dump(exclude_unset=True) for v in (second, VAN)])
        await drive(store, NOON, 1)
        await drive(store, NOON, 2, second)
        append = store.append_passport

        async def fails(record: PassportRecord) -> bool:
            if record.vehicle == "car":
                raise StoreUnavailable("the disk is full")
            return await append(record)

        store.append_passport = fails  # type: ignore[method-assign]
        assert await write_due(store, both, key, NOON) == ["van"]
        store.append_passport = append  # type: ignore[method-assign]
        assert await write_due(store, both, key, NOON) == ["car"]

    in_store(test)
