"""A battery in the whole platform: what its sessions teach, and a budget that ends its giving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gridleaf.battery.passport import faults, load_key
from gridleaf.control.explain import explain
from gridleaf.domain.errors import StoreUnavailable
from scenario.depot import Depot, giver, play, small_depot

WORN_KWH = 51.0


def with_vehicle(**changes: Any) -> Any:
    """The small depot where its first car has something more in the site file."""
    site = small_depot()
    first = site.vehicles[0].model_copy(update=changes)
    return site.model_copy(update={"vehicles": (first, *site.vehicles[1:])})


def test_a_worn_battery_is_found_out_by_its_sessions() -> None:
    async def scene(depot: Depot) -> None:
        for start in (16.5, 19.5, 22.5, 25.5):
            await depot.until(start)
            await depot.plug("DC-1", giver(soc=0.3, capacity_kwh=WORN_KWH), leaves=start + 2.5)
            await depot.until(start + 2.5)
            await depot.unplug("DC-1")
        await depot.time.sleep(1)
        records = await depot.platform.store.health("giver-1")
        assert len(records) == 4
        newest = records[0]
        assert newest.low_kwh < WORN_KWH < newest.high_kwh
        assert newest.capacity_kwh == pytest.approx(WORN_KWH, rel=0.04)
        assert {record.verdict for record in records} == {"counted"}

    play(scene, start=16.0, fair=False)


def test_a_budget_ends_the_giving_and_is_never_overrun() -> None:
    async def scene(depot: Depot) -> None:
        session = await depot.plug("DC-1", giver(soc=0.9), leaves=30.0)
        other = await depot.plug("DC-2", giver(2, soc=0.9), leaves=30.0)
        await depot.until(20.9)
        assert 4.0 < session.discharged.total_kwh <= 5.0
        assert other.discharged.total_kwh > 10.0
        assert depot.platform.controller.last is not None
        facts = explain(*depot.platform.controller.last)["sessions"]
        assert isinstance(facts, list)
        why = next(s["why"] for s in facts if s["evse"] == "DC-1/1")
        assert why[-1] == "it gives nothing: its 5 kWh in all are given"

    play(scene, start=16.5, site=with_vehicle(discharge_kwh_total=5.0), fair=False)


def test_fault_45_a_store_that_cannot_keep_health_stops_nothing() -> None:
    async def scene(depot: Depot) -> None:
        store = depot.platform.store

        async def fails(*_: object) -> bool:
            raise StoreUnavailable("the disk is full")

        append = store.append_health
        store.append_health = fails  # type: ignore[method-assign]
        await depot.plug("DC-1", giver(soc=0.4), leaves=18.0)
        await depot.until(18.0)
        with capture_logs() as logs:
            await depot.unplug("DC-1")
            await depot.time.sleep(1)
        assert [log["what"] for log in logs if log["event"] == "background_work_failed"] == [
            "health"
        ]
        (over,) = await store.sessions(state="ended")
        assert over.departure_soc is not None
        store.append_health = append  # type: ignore[method-assign]
        await depot.plug("DC-1", giver(soc=0.4), leaves=20.0)
        await depot.until(20.0)
        await depot.unplug("DC-1")
        await depot.time.sleep(1)
        assert [record.version for record in await store.health("giver-1")] == [1]

    play(scene, start=16.5, fair=False)


def test_the_platform_writes_the_passport_of_a_vehicle_that_has_left(tmp_path: Path) -> None:
    key = tmp_path / "passport.key"

    async def scene(depot: Depot) -> None:
        store = depot.platform.store
        await depot.plug("DC-1", giver(soc=0.3), leaves=18.5)
        await depot.until(18.5)
        assert await store.passport("giver-1") == []
        await depot.unplug("DC-1")
        await depot.time.sleep(1)
        await depot.crash()
        await depot.start()
        await depot.minutes(6)
        (first,) = [row.entry for row in await store.passport("giver-1")]
        await depot.plug("DC-1", giver(soc=0.3), leaves=21.5)
        await depot.until(21.5)
        await depot.unplug("DC-1")
        await depot.minutes(6)
        assert len(await store.health("giver-1")) == 2
        assert [row.entry for row in await store.passport("giver-1")] == [first]
        await depot.until(24.2)
        entries = [row.entry for row in await store.passport("giver-1")]
        assert len(entries) == 2
        assert faults("giver-1", entries, key=load_key(key).public_key()) == []
        assert key.stat().st_mode & 0o777 == 0o600

    play(scene, start=16.5, fair=False, passport_key=key)


def test_a_passport_that_cannot_be_written_stops_no_charging(tmp_path: Path) -> None:
    readable_by_all = tmp_path / "passport.key"
    readable_by_all.write_bytes(bytes(32))
    readable_by_all.chmod(0o644)

    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(soc=0.3), leaves=18.5)
        await depot.until(18.5)
        await depot.unplug("DC-1")
        with capture_logs() as logs:
            await depot.plug("DC-2", giver(2, soc=0.2), leaves=21.0)
            await depot.until(21.0)
        refused = [log for log in logs if log["event"] == "passport_not_written"]
        assert len(refused) > 10
        assert "may be read by others" in refused[0]["reason"]
        assert depot.soc("DC-2") > 0.75
        readable_by_all.chmod(0o600)
        await depot.minutes(6)
        assert len(await depot.platform.store.passport("giver-1")) == 1

    play(scene, start=16.5, fair=False, passport_key=readable_by_all)
