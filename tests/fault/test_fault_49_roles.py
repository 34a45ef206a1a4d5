"""Fault 49: replay, forgery across sites, expired credentials, foreign objects, sweeps over ids."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from gridleaf.web.auth import SESSION_LIFE, Principal
from web_world import REMOTE, World, in_world

OWN, FOREIGN = "DC03", "DC01"
READ = {"viewer", "operator"}
COMMAND = {"operator"}
MATRIX: dict[tuple[str, str], set[str]] = {
    ("GET", "/site"): {"viewer", "operator", "driver"},
    ("GET", "/state"): READ,
    ("GET", "/alerts"): READ,
    ("GET", "/prices"): READ,
    ("GET", "/decisions"): READ,
    ("GET", "/decisions/{cycle_id}"): READ,
    ("GET", "/plans/current"): READ,
    ("GET", "/vehicles"): READ,
    ("GET", "/vehicles/{id_token}/health"): READ | {"owner"},
    ("GET", "/vehicles/{id_token}/passport"): READ | {"owner"},
    ("GET", "/stations"): READ,
    ("GET", "/stations/{station_id}"): READ,
    ("GET", "/stations/{station_id}/frames"): READ,
    ("GET", "/evses"): READ,
    ("GET", "/evses/{station_id}/{evse_id}/series"): READ,
    ("GET", "/measurements"): READ,
    ("GET", "/sessions"): {"viewer", "operator", "driver"},
    ("GET", "/sessions/{session_id}"): READ | {"owner"},
    ("GET", "/sessions/{session_id}/wish"): READ | {"owner"},
    ("GET", "/events"): READ,
    ("POST", "/measurements"): COMMAND,
    ("PUT", "/limit"): COMMAND,
    ("POST", "/grid-event"): COMMAND,
    ("DELETE", "/grid-event"): COMMAND,
    ("POST", "/stations/{station_id}/requests"): COMMAND,
    ("POST", "/evses/{station_id}/{evse_id}/start"): COMMAND,
    ("POST", "/sessions/{session_id}/stop"): COMMAND | {"owner"},
    ("PUT", "/sessions/{session_id}/wish"): COMMAND | {"owner"},
}
BODIES: dict[str, Any] = {
    "/measurements": {"grid_kw": 12.5},
    "/stations/{station_id}/requests": {"action": "Reset"},
    "/evses/{station_id}/{evse_id}/start": {"id_token": "DE*GLF*0005"},
}


def _path(template: str, w: World, station_id: str) -> str:
    values = {
        "cycle_id": "1",
        "station_id": station_id,
        "evse_id": "1",
        "session_id": w.session_at(station_id),
        "id_token": quote(w.platform.site.vehicles[int(station_id[-2:]) - 1].id_token),
    }
    path = re.sub(r"{(\w+)}", lambda m: values[m[1]], template)
    return path + ("?measurand=SoC" if path.endswith("series") else "")


async def _status(
    w: World, method: str, template: str, role: str | None, station_id: str = FOREIGN
) -> int:
    body = BODIES.get(template, {}) if method in ("POST", "PUT") else None
    return (await w.ask(method, _path(template, w, station_id), role, json=body)).status_code


def test_the_matrix_covers_every_route() -> None:
    async def test(w: World) -> set[tuple[str, str]]:
        paths = (await w.ask("GET", "/openapi.json", None)).json()["paths"]
        return {(m.upper(), path) for path, methods in paths.items() for m in methods}

    assert in_world(test) == set(MATRIX)


@pytest.mark.parametrize("role", ["viewer", "operator", "driver", "owner", None, "stranger"])
def test_every_route_lets_in_its_roles_and_nobody_else(role: str | None) -> None:
    async def test(w: World) -> None:
        w.tokens["owner"] = w.tokens["driver"]
        w.tokens["stranger"] = w.tokens["driver"][:-4] + "AAAA"
        station_id = OWN if role == "owner" else FOREIGN
        for (method, template), allowed in MATRIX.items():
            if template == "/events" and role in allowed:
                continue  # it never ends; it has tests of its own
            status = await _status(w, method, template, role, station_id)
            if role in (None, "stranger"):
                assert status == 401, (method, template)
            elif role in allowed or (role == "owner" and "driver" in allowed):
                assert status in (200, 202, 204), (method, template, status)
            else:
                assert status == 403, (method, template, status)

    in_world(test, filled=True)


def test_a_driver_sees_only_the_sessions_of_the_own_vehicle() -> None:
    async def test(w: World) -> None:
        for query in ("", "?id_token=DE*GLF*0001"):
            items = (await w.ask("GET", f"/sessions{query}", "driver")).json()["items"]
            assert items
            assert {item["id_token"] for item in items} == {"DE*GLF*0003"}

    in_world(test, filled=True)


def test_sweeping_ids_tells_a_driver_nothing_and_is_noted() -> None:
    async def test(w: World) -> None:
        foreign = w.session_at(FOREIGN)
        with structlog.testing.capture_logs() as logs:
            there = await w.ask("GET", f"/sessions/{foreign}", "driver")
            missing = await w.ask("GET", f"/sessions/{'0' * 20}", "driver")
        assert there.status_code == missing.status_code == 403
        assert there.content == missing.content
        noted = [entry for entry in logs if entry["event"] == "access_denied"]
        assert [entry["name"] for entry in noted] == ["DE*GLF*0003"] * 2
        assert noted[0]["path"] == f"/api/v1/sessions/{foreign}"

    in_world(test, filled=True)


def test_a_removed_token_cannot_be_replayed() -> None:
    async def test(w: World) -> None:
        assert await _status(w, "PUT", "/limit", "operator") == 204
        await w.platform.store.delete_account("operator")
        assert await _status(w, "PUT", "/limit", "operator") == 401
        assert len(w.platform.limits) == 1

    in_world(test)


def test_the_api_takes_no_cookie() -> None:
    async def test(w: World) -> None:
        await w.accounts.add_person("anna", "operator", "correct horse battery")
        cookie = await w.accounts.open_session(Principal(name="anna", role="operator"))
        answer = await w.ask(
            "PUT", "/limit", None, json={}, headers={"Cookie": f"gridleaf_session={cookie}"}
        )
        assert answer.status_code == 401
        assert w.platform.limits == []

    in_world(test)


def test_a_form_from_another_site_cannot_sign_in_or_out() -> None:
    async def test(w: World) -> None:
        await w.accounts.add_person("anna", "operator", "correct horse battery")
        form = {"name": "anna", "password": "correct horse battery"}
        for headers in (
            {"Origin": "https://evil.test"},
            {"Origin": "null"},
            {"Origin": "null", "Host": ""},
            {"Origin": "http://["},
            {"Origin": "http://depot.test]"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            answer = await w.ask("POST", "!/login", None, data=form, headers=headers)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
            answer = await w.ask("POST", "!/logout", None, headers=headers)
            assert "set-cookie" not in answer.headers

    in_world(test)


def test_an_expired_session_cookie_leads_to_the_sign_in_page() -> None:
    async def test(w: World) -> None:
        await w.accounts.add_person("anna", "operator", "correct horse battery")
        form = {"name": "anna", "password": "correct horse battery", "next": "/evses"}
        answer = await w.ask(
            "POST", "!/login", None, data=form, headers={"Origin": "http://depot.test"}
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/evses")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        sent = {"Cookie": cookie.partition(";")[0]}
        w.people.advance(SESSION_LIFE.total_seconds() + 1)
        answer = await w.ask("GET", "!/evses", None, headers=sent)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/evses")

    in_world(test)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "javascript:alert(1)",
        "/a\nb",
        "http://[",
        "//[evil",
        "/" + "a" * 100_000,
    ],
)
def test_signing_in_never_leads_off_the_site(target: str) -> None:
    async def test(w: World) -> None:
        await w.accounts.add_person("anna", "operator", "correct horse battery")
        form = {"name": "anna", "password": "correct horse battery", "next": target}
        answer = await w.ask("POST", "!/login", None, data=form)
        assert answer.headers["location"] == "/"
        page = await w.ask("GET", "!/login", None, params={"next": target[:5000]})
        assert page.status_code == 200
        assert 'name="next" value="/"' in page.text

    in_world(test)


def test_a_form_of_the_console_from_an_address_that_is_none_is_refused() -> None:
    async def test(w: World) -> None:
        await w.accounts.add_person("anna", "operator", "correct horse battery")
        cookie = await w.accounts.open_session(Principal(name="anna", role="operator"))
        headers = {"Cookie": f"gridleaf_session={cookie}", "Origin": "http://["}
        assert (await w.ask("POST", "!/", None, headers=headers)).status_code == 403

    in_world(test)


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"name=anna",
        b"password=x",
        b"name=%00&password=%00",
        b"name=%ED%A0%80&password=%ED%A0%80",
        b"name=\xff&password=\xff",
        b"name=" + b"a" * 500_000 + b"&password=x",
        b"name=anna&password=" + b"a" * 500_000,
        "name=\u202eanna&password=\N{FIRE}".encode(),
        b'{"name": "anna", "password": "x"}',
    ],
    ids=range(10),
)
def test_a_sign_in_form_that_makes_no_sense_is_a_wrong_one(form: bytes) -> None:
    async def test(w: World) -> None:
        await w.accounts.add_person("anna", "operator", "correct horse battery")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await w.ask("POST", "!/login", None, content=form, headers=headers)
        assert answer.status_code == 401

    in_world(test)


def test_nothing_of_the_console_is_shown_without_signing_in() -> None:
    async def test(w: World) -> None:
        for path in ("/", "/evses", "/stations/DC01", "/driver/DC01/1", "/_nicegui_ws/socket.io/"):
            answer = await w.ask("GET", f"!{path}", None)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/login?next=/"), path
            assert (await w.ask("POST", f"!{path}", None)).status_code == 403, path

    in_world(test)


def test_metrics_are_open_on_the_machine_itself_and_closed_from_elsewhere() -> None:
    async def test(w: World) -> None:
        local = ("127.0.0.1", 50000)
        assert (await w.ask("GET", "!/metrics", None, peer=local)).status_code == 200
        assert (await w.ask("GET", "!/metrics", None)).status_code == 401
        assert (await w.ask("GET", "!/metrics", "driver")).status_code == 403
        assert (await w.ask("GET", "!/metrics", "viewer")).status_code == 200
        forwarded = {"X-Forwarded-For": "203.0.113.9"}
        answer = await w.ask("GET", "!/metrics", None, peer=local, headers=forwarded)
        assert answer.status_code == 401

    in_world(test)


def test_health_needs_no_token_and_tells_nothing_else() -> None:
    async def test(w: World) -> None:
        assert (await w.ask("GET", "!/health", None, peer=REMOTE)).json() == {"status": "ok"}

    in_world(test)
