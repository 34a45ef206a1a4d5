"""The page of the vehicles' batteries: what is measured, and what age suggests where nothing is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gridleaf.battery.passport import Facts, Head, attributes, sign, write_heads
from gridleaf.control.batteries import expected
from gridleaf.control.passports import heads_file, key_file
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Storage, same_token
from gridleaf.store.port import PassportRecord
from gridleaf.web.auth import Principal, Role
from gridleaf.web.batteries import BatteryView, battery_views, passport_of
from gridleaf.web.console.tables import Row
from gridleaf.web.console.texts import kwh
from gridleaf.web.console.vehicles import battery_row
from gridleaf.web.login import COOKIE
from web_world import World, in_world


def row(w: World, view: BatteryView) -> Row:
    return battery_row(view, "EUR", ZoneInfo("UTC"), w.platform.clock.now())


def test_a_battery_is_shown_with_its_band_and_its_wear() -> None:
    async def test(w: World) -> None:
        view = replace(
            (await battery_views(w.platform))[0],
            capacity_kwh=36.0,
            low_kwh=34.5,
            high_kwh=37.5,
            soh=0.9,
            soh_low=0.8625,
            soh_high=0.9375,
            sessions=12,
            measured_at=w.platform.clock.now(),
            planned_with=True,
            discharged_kwh=100.0,
            wear_per_kwh=0.04,
            wear_cost=4.0,
            passport_entries=2,
            passport_at=w.platform.clock.now(),
        )
        cells = row(w, view).cells
        assert [c.text for c in cells[1:]] == [
            "90\u00a0%",
            "36.0\u00a0kWh",
            "12",
            "sessions",
            "100.0\u00a0kWh",
            "€4.00",
            "2 entries",
        ]
        assert cells[7].href == f"/vehicles/{quote(view.id_token, safe='')}/passport.json"
        assert cells[1].note == "86 to 94\u00a0%"
        assert cells[2].note == f"34.5 to 37.5, new {kwh(view.nominal_kwh)}"

    in_world(test)


def test_a_battery_of_another_size_than_was_measured_counts_as_not_measured() -> None:
    async def test(w: World) -> None:
        views = await battery_views(w.platform)
        assert views[0].measured_at is not None
        first = w.platform.site.vehicles[0]
        other = first.model_copy(update={"capacity_kwh": first.capacity_kwh + 20})
        w.platform.site = w.platform.site.model_copy(
            update={"vehicles": (other, *w.platform.site.vehicles[1:])}
        )
        view = (await battery_views(w.platform))[0]
        assert (view.measured_at, view.sessions, view.planned_with) == (None, 0, False)
        known = expected(other, w.platform.site.defaults, w.platform.clock.now())
        assert view.soh == pytest.approx(known.capacity_kwh / other.capacity_kwh)
        assert view.soh_high - view.soh_low > views[0].soh_high - views[0].soh_low
        assert row(w, view).cells[4].text == "age"

    in_world(test, filled=True)


def test_a_battery_put_in_since_it_was_measured_counts_as_not_measured() -> None:
    async def test(w: World) -> None:
        first = w.platform.site.vehicles[0]
        today = w.platform.clock.now().date()
        (record,) = [
            r
            for r in await w.platform.store.latest_health()
            if r.vehicle == same_token(first.id_token)
        ]
        past = replace(record, at=record.at - timedelta(days=1), version=99, session_id="past")
        await w.platform.store.append_health(past)
        other = first.model_copy(update={"battery_since": today})
        (view,) = await battery_views(w.platform, other)
        assert (view.measured_at, view.sessions) == (None, 0)

    in_world(test, filled=True)


def test_a_passport_that_another_key_has_signed_or_that_was_cut_is_not_given_out(
    tmp_path: Path,
) -> None:
    async def test(w: World) -> None:
        storage = Storage(data_dir=tmp_path)
        first, *_, last = w.platform.site.vehicles
        w.platform.site = w.platform.site.model_copy(update={"storage": storage})
        battery = same_token(first.id_token)
        assert (await passport_of(w.platform, first.id_token))["battery"] == battery
        key = key_file(storage)
        key.write_bytes(bytes(range(32)))
        key.chmod(0o600)
        assert (await passport_of(w.platform, first.id_token))["battery"] == battery

        stranger, other = Ed25519PrivateKey.generate(), same_token(last.id_token)
        facts = attributes(Facts(nominal_kwh=99.0), w.platform.clock.now())
        forged = sign(other, facts, w.platform.clock.now(), (), stranger)
        await w.platform.store.append_passport(
            PassportRecord(vehicle=other, number=1, entry=forged)
        )
        with pytest.raises(ConfigError, match="entry 1 is signed with another key"):
            await passport_of(w.platform, last.id_token)

        write_heads(heads_file(key), {battery: Head(2, "00")})
        with pytest.raises(ConfigError, match="1 entries are missing at the end"):
            await passport_of(w.platform, first.id_token)

    in_world(test, filled=True)


class Counted:
    """A store that counts what it is asked."""

    def __init__(self, store: Any) -> None:
        self.asked: list[str] = []
        self._store = store

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._store, name)


def test_the_store_is_asked_as_often_for_many_vehicles_as_for_one() -> None:
    async def test(w: World) -> None:
        alone = w.platform.site.vehicles[:1]
        many = await battery_views(w.platform)
        assert len(many) > 10
        assert sum(view.discharged_kwh > 0 for view in many) > 3
        w.platform.store = store = Counted(w.platform.store)
        await battery_views(w.platform)
        questions = list(store.asked)
        store.asked.clear()
        w.platform.site = w.platform.site.model_copy(update={"vehicles": alone})
        assert await battery_views(w.platform) == many[:1]
        assert store.asked == questions
        assert await battery_views(w.platform, alone[0]) == many[:1]

    in_world(test, filled=True)


def test_a_passport_is_downloaded_by_who_may_see_the_page_and_by_nobody_else() -> None:
    async def test(w: World) -> None:
        first, *_, last = w.platform.site.vehicles
        path = f"!/vehicles/{quote(first.id_token.lower(), safe='')}/passport.json"

        async def ask(path: str, role: Role) -> httpx.Response:
            kept = next(a for a in await w.platform.store.accounts() if a.role == role)
            principal = Principal(name=kept.name, role=role)
            cookie = await w.accounts.open_session(principal)
            return await w.ask("GET", path, None, headers={"Cookie": f"{COOKIE}={cookie}"})

        nobody = await w.ask("GET", path, None)
        assert (nobody.status_code, nobody.headers["location"][:7]) == (303, "/login?")
        driver = await ask(path, "driver")
        assert (driver.status_code, driver.headers["location"]) == (303, "/driver")
        given = await ask(path, "viewer")
        assert given.json()["battery"] == same_token(first.id_token)
        assert "attachment" in given.headers["content-disposition"]
        none = await ask(f"!/vehicles/{quote(last.id_token, safe='')}/passport.json", "operator")
        assert none.status_code == 404
        (row,) = await w.platform.store.passport(same_token(first.id_token))
        assert await w.platform.store.append_passport(replace(row, number=2))
        assert (await ask(path, "operator")).status_code == 409

    in_world(test, filled=True)
