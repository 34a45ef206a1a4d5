"""What the API answers, and how it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
import structlog.testing

from fake_depot import START
from gridleaf.battery.passport import faults
from gridleaf.domain.errors import (
    CallTimeout,
    ConnectionLost,
    GridleafError,
    PlanningFailed,
    ProtocolError,
    RejectedByStation,
    StoreUnavailable,
)
from gridleaf.domain.site import same_token
from web_world import DRIVER, World, in_world


def test_every_view_of_a_running_depot_is_served() -> None:
    async def test(w: World) -> None:
        live = w.session_at("DC01")
        for path in (
            "/site",
            "/state",
            "/alerts",
            "/prices",
            "/decisions",
            "/decisions/1",
            "/plans/current",
            "/stations",
            "/stations/DC01",
            "/stations/DC01/frames",
            "/evses",
            "/evses/DC01/1/series?measurand=SoC",
            "/vehicles",
            "/measurements",
            "/sessions",
            f"/sessions/{live}",
            f"/sessions/{live}/wish",
        ):
            answer = await w.ask("GET", path, "viewer")
            assert answer.status_code == 200, (path, answer.text)

    in_world(test, filled=True)


def test_the_state_is_the_one_of_the_control_loop() -> None:
    async def test(w: World) -> None:
        state = (await w.ask("GET", "/state")).json()
        assert state["site"] == "Depot Nordhafen"
        assert len(state["evses"]) == 24
        assert state["evses"][0]["session"]["soc"] == w.platform.state().evses[0].session.soc  # type: ignore[union-attr]

    in_world(test)


def test_a_decision_comes_with_the_state_it_was_made_from() -> None:
    async def test(w: World) -> None:
        newest = (await w.ask("GET", "/decisions?limit=1")).json()
        cycle = newest["items"][0]
        detail = (await w.ask("GET", f"/decisions/{cycle['cycle_id']}")).json()
        assert detail["decision"]["method"] == cycle["method"] == "exact"
        assert detail["state"]["at"] == detail["at"]
        assert len(detail["decision"]["setpoints"]) == cycle["setpoints"]

    in_world(test, filled=True)


def test_decisions_are_paged_to_the_first_without_loss_or_repetition() -> None:
    async def test(w: World) -> list[int]:
        seen: list[int] = []
        path: str | None = "/decisions?limit=7"
        while path:
            page = (await w.ask("GET", path)).json()
            seen += [item["cycle_id"] for item in page["items"]]
            before = page["next_before_id"]
            path = f"/decisions?limit=7&before_id={before}" if before else None
        return seen

    assert in_world(test, filled=True) == list(range(31, 0, -1))


def test_sessions_are_filtered_and_paged() -> None:
    async def test(w: World) -> None:
        everything = (await w.ask("GET", "/sessions?limit=1000")).json()["items"]
        assert len(everything) == 79
        first = (await w.ask("GET", "/sessions?limit=30")).json()
        assert first["items"] == everything[:30]
        second = (await w.ask("GET", f"/sessions?limit=30&offset={first['next_offset']}")).json()
        assert second["items"] == everything[30:60]
        live = (await w.ask("GET", "/sessions?state=live")).json()["items"]
        assert {item["state"] for item in live} == {"live"}
        assert len(live) == 19
        since = (START - timedelta(hours=3)).isoformat().replace("+", "%2B")
        recent = (await w.ask("GET", f"/sessions?since={since}")).json()["items"]
        assert recent
        assert all(item["arrived_at"] >= "2026-05-13T12:40" for item in recent)

    in_world(test, filled=True)


def test_a_drivers_sessions_are_found_whatever_the_case_of_the_token() -> None:
    async def test(w: World) -> None:
        own = (await w.ask("GET", "/sessions", "driver")).json()["items"]
        assert own
        query = f"/sessions?id_token={DRIVER.lower()}"
        assert (await w.ask("GET", query)).json()["items"] == own

    in_world(test, filled=True)


def test_a_battery_is_served_with_its_band_and_where_it_comes_from() -> None:
    async def test(w: World) -> None:
        views = (await w.ask("GET", "/vehicles")).json()
        assert len(views) == len(w.platform.site.vehicles)
        first = w.platform.site.vehicles[0]
        answer = (await w.ask("GET", f"/vehicles/{first.id_token.lower()}/health")).json()
        battery, (newest,) = answer["battery"], answer["history"]
        assert battery == views[0]
        assert battery["soh_low"] < battery["soh"] < battery["soh_high"]
        assert battery["planned_with"] is True
        assert (newest["version"], newest["verdict"]) == (battery["sessions"], "counted")
        unknown = (await w.ask("GET", f"/vehicles/{views[3]['id_token']}/health")).json()
        assert (unknown["battery"]["measured_at"], unknown["history"]) == (None, [])
        assert (
            unknown["battery"]["soh_low"]
            < unknown["battery"]["soh"]
            < unknown["battery"]["soh_high"]
        )
        assert (await w.ask("GET", "/vehicles/NOBODY/health")).status_code == 404

    in_world(test, filled=True)


def test_a_passport_is_given_to_who_watches_and_to_the_vehicles_own_driver() -> None:
    async def test(w: World) -> None:
        first, _, own = w.platform.site.vehicles[:3]
        for role in ("viewer", "operator"):
            answer = await w.ask("GET", f"/vehicles/{first.id_token.lower()}/passport", role)
            assert answer.status_code == 200
            assert answer.json()["battery"] == first.id_token.lower()
        for view in (await w.ask("GET", "/vehicles")).json():
            status = (await w.ask("GET", f"/vehicles/{view['id_token']}/passport")).status_code
            assert status == (200 if view["passport_entries"] else 404)
        assert same_token(own.id_token) == same_token(DRIVER)
        theirs = await w.ask("GET", f"/vehicles/{own.id_token}/passport", "driver")
        assert faults(theirs.json()["battery"], _entries(theirs.json())) == []
        for path in (first.id_token, "NOBODY"):
            refused = await w.ask("GET", f"/vehicles/{path}/passport", "driver")
            assert refused.status_code == 403
        nobody = await w.ask("GET", f"/vehicles/{first.id_token}/passport", None)
        assert nobody.status_code == 401

    in_world(test, filled=True)


def _entries(passport: Any) -> list[str]:
    return [orjson.dumps(e, option=orjson.OPT_SORT_KEYS).decode() for e in passport["history"]]


def test_a_passport_that_was_tampered_with_is_not_given_out() -> None:
    async def test(w: World) -> None:
        first = w.platform.site.vehicles[0]
        (row,) = await w.platform.store.passport(same_token(first.id_token))
        forged = replace(row, number=2)
        assert await w.platform.store.append_passport(forged)
        answer = await w.ask("GET", f"/vehicles/{first.id_token}/passport")
        assert answer.status_code == 409
        assert "entry 2 has the number 1" in answer.json()["detail"]

    in_world(test, filled=True)


def test_a_live_session_is_shown_as_it_stands_and_not_as_it_was_last_kept() -> None:
    async def test(w: World) -> None:
        session_id = w.session_at("DC01")
        kept = await w.platform.store.session(session_id)
        assert kept is not None
        w.platform.moved_on[session_id] = replace(kept, charged_kwh=kept.charged_kwh + 5.0)
        listed = (await w.ask("GET", "/sessions?state=live&limit=100")).json()["items"]
        [shown] = [item for item in listed if item["session_id"] == session_id]
        assert shown["charged_kwh"] == kept.charged_kwh + 5.0
        detail = (await w.ask("GET", f"/sessions/{session_id}")).json()
        assert detail["session"]["charged_kwh"] == kept.charged_kwh + 5.0

    in_world(test, filled=True)


def test_a_session_has_its_plan_and_what_the_meter_said() -> None:
    async def test(w: World) -> None:
        detail = (await w.ask("GET", f"/sessions/{w.session_at('DC01')}")).json()
        assert detail["live"]["vehicle"] == "Leaf 40 · 01"
        assert len(detail["plan"]["power_kw"]) == len(detail["step_h"]) == 48
        assert min(point["value"] for point in detail["power_kw"]) < 0 < detail["soc"][0]["value"]
        past = (await w.ask("GET", "/sessions?state=ended&limit=1")).json()["items"][0]
        over = (await w.ask("GET", f"/sessions/{past['session_id']}")).json()
        assert over["live"] is None
        assert over["plan"] is None

    in_world(test, filled=True)


def test_a_wish_reaches_the_platform_with_its_author() -> None:
    async def test(w: World) -> None:
        session_id = w.session_at("DC03")
        body = {"departure_at": "2026-05-14T05:30:00+02:00", "target_soc": 0.9, "v2g": False}
        answer = await w.ask("PUT", f"/sessions/{session_id}/wish", "driver", json=body)
        assert answer.status_code == 200
        [(of, wish)] = w.platform.wishes
        assert of == session_id
        assert wish.departure_at is not None
        assert wish.departure_at.isoformat() == "2026-05-14T03:30:00+00:00"
        assert (wish.target_soc, wish.v2g, wish.said_by) == (0.9, False, "driver")
        kept = (await w.ask("GET", f"/sessions/{session_id}/wish", "viewer")).json()
        assert kept["departure_at"] == "2026-05-14T03:30:00Z"

    in_world(test, filled=True)


def test_commands_reach_the_platform() -> None:
    async def test(w: World) -> None:
        sent = {"action": "TriggerMessage", "payload": {"requestedMessage": "MeterValues"}}
        answer = await w.ask("POST", "/stations/DC01/requests", json=sent)
        assert answer.json() == {"action": "TriggerMessage", "answer": {"status": "Accepted"}}
        assert w.platform.requests == [("DC01", "TriggerMessage", sent["payload"])]

        await w.ask("POST", "/evses/DC05/1/start", json={"id_token": "DE*GLF*0005"})
        assert w.platform.starts == [("DC05", 1, "DE*GLF*0005")]

        session_id = w.session_at("DC01")
        answer = await w.ask("POST", f"/sessions/{session_id}/stop")
        assert answer.json() == {"status": "Accepted"}
        assert w.platform.stops == [session_id]

        answer = await w.ask("PUT", "/limit", json={"import_kw": 60})
        assert answer.status_code == 204
        assert w.platform.limits == [(60.0, None)]

        answer = await w.ask("POST", "/grid-event", json={"reason": "the DSO called"})
        assert answer.status_code == 204
        assert w.platform.raised == ["the DSO called (told by operator)"]
        assert (await w.ask("DELETE", "/grid-event")).status_code == 204
        assert w.platform.cleared == 1

        answer = await w.ask("POST", "/measurements", json={"grid_kw": -12.5, "pv_kw": 40})
        assert answer.status_code == 202
        [measured] = w.platform.measurements
        assert (measured.grid_kw, measured.pv_kw, measured.load_kw) == (-12.5, 40.0, None)
        assert measured.measured_at == w.platform.clock.now()

    in_world(test, filled=True)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ConnectionLost("DC01 is not connected"), 409, None),
        (CallTimeout("no answer in 30 s"), 504, None),
        (ProtocolError("NotImplemented", "no such action"), 422, "NotImplemented"),
        (RejectedByStation("Reset", "InternalError"), 502, "InternalError"),
        (StoreUnavailable("disk full"), 503, None),
        (PlanningFailed("solver crashed with the key 4711"), 500, None),
    ],
)
def test_each_error_has_its_status(error: GridleafError, status: int, code: str | None) -> None:
    async def test(w: World) -> None:
        w.platform.fails_with = error
        answer = await w.ask("POST", "/stations/DC01/requests", json={"action": "Reset"})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem.get("code") == code
        assert "4711" not in answer.text

    in_world(test)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/stations/NOPE", None),
        ("GET", "/stations/NOPE/frames", None),
        ("GET", "/sessions/0000", None),
        ("GET", "/sessions/0000/wish", None),
        ("GET", "/decisions/999999", None),
        ("GET", "/evses/DC01/9/series?measurand=SoC", None),
        ("GET", "/evses/NOPE/1/series?measurand=SoC", None),
        ("GET", "/nowhere", None),
        ("POST", "/stations/NOPE/requests", {"action": "Reset"}),
        ("POST", "/evses/NOPE/1/start", {"id_token": "A"}),
        ("POST", "/evses/DC01/7/start", {"id_token": "A"}),
        ("POST", "/sessions/0000/stop", None),
        ("PUT", "/sessions/0000/wish", {}),
    ],
)
def test_what_is_not_there_is_not_found(method: str, path: str, body: Any) -> None:
    async def test(w: World) -> None:
        answer = await w.ask(method, path, json=body)
        assert answer.status_code == 404, answer.text
        assert answer.headers["content-type"] == "application/problem+json"

    in_world(test)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/sessions?since=2026-05-13T12:00:00", None),
        ("GET", "/sessions?since=yesterday", None),
        ("GET", "/sessions?limit=0", None),
        ("GET", "/sessions?offset=-1", None),
        ("GET", "/sessions?state=parked", None),
        ("GET", "/sessions?id_token=%00", None),
        ("GET", "/sessions/..%5c..%5cetc", None),
        ("GET", "/decisions/99999999999999999999999", None),
        ("GET", "/decisions/zero", None),
        ("GET", "/evses/DC01/0/series?measurand=SoC", None),
        ("GET", "/evses/DC01/1/series?measurand=SoC'--", None),
        ("GET", "/stations/a%20b", None),
        ("PUT", "/limit", '{"import_kw": NaN}'),
        ("PUT", "/limit", '{"import_kw": Infinity}'),
        ("PUT", "/limit", '{"import_kw": -5}'),
        ("PUT", "/limit", '{"import_kw": 1, "unit": "W"}'),
        ("PUT", "/limit", "{"),
        ("POST", "/grid-event", '{"reason": "a\\u0000b"}'),
        ("POST", "/grid-event", '{"why": "a"}'),
        ("PUT", "/limit", '"ten"'),
        ("POST", "/measurements", '{"grid_kw": 1e999}'),
        ("POST", "/measurements", '{"measured_at": "2026-05-13T12:00:00", "grid_kw": 1}'),
        ("POST", "/measurements", '{"load_kw": -5}'),
        ("POST", "/measurements", '{"pv_kw": -5}'),
        ("POST", "/measurements", "{}"),
        ("POST", "/measurements", '{"measured_at": "2026-05-13T12:00:00Z", "grid_kw": null}'),
        ("POST", "/stations/DC01/requests", '{"action": "Reset; DROP"}'),
        ("POST", "/stations/DC01/requests", '{"action": "Reset", "payload": []}'),
        ("POST", "/stations/DC01/requests", '{"action": "Reset", "payload": {"a": "\\ud800"}}'),
        ("POST", "/stations/DC01/requests", '{"action": "Reset", "payload": {"a": NaN}}'),
        ("POST", "/stations/DC01/requests", "[" * 50_000),
        ("POST", "/evses/DC01/1/start", '{"id_token": "\\ud800"}'),
        ("POST", "/evses/DC01/1/start", '{"id_token": "a\\u0000b"}'),
        ("POST", "/evses/DC01/1/start", '{"id_token": ""}'),
    ],
)
def test_bad_input_is_named_and_never_an_error_of_the_server(
    method: str, path: str, body: str | None
) -> None:
    async def test(w: World) -> None:
        headers = {"Content-Type": "application/json"}
        answer = await w.ask(method, path, content=body, headers=headers)
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert not w.platform.requests
        assert not w.platform.limits
        assert not w.platform.measurements

    in_world(test)


def test_a_wish_is_checked() -> None:
    async def test(w: World) -> None:
        for wrong in (
            {"target_soc": 80},
            {"reserve_soc": -0.1},
            {"energy_kwh": -3},
            {"departure_at": "07:30"},
            {"said_by": "operator"},
        ):
            path = f"/sessions/{w.session_at('DC01')}/wish"
            assert (await w.ask("PUT", path, json=wrong)).status_code == 422, wrong
        assert w.platform.wishes == []

    in_world(test, filled=True)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("key", ["since", "until", "before"])
def test_the_ends_of_the_calendar_are_times_like_others(key: str, at: str) -> None:
    async def test(w: World) -> None:
        for path in (
            "/measurements?",
            "/sessions?",
            "/evses/DC01/1/series?measurand=SoC&",
            "/stations/DC01/frames?",
        ):
            answer = await w.ask("GET", f"{path}{key}={at}")
            assert answer.status_code == 200, (path, answer.text)

    in_world(test, filled=True)


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(11):
        yield b" " * 100_000


@pytest.mark.parametrize("path", ["/limit", "/nowhere", "!/login"])
def test_a_body_without_end_is_refused_as_a_problem_and_logged_as_no_error(path: str) -> None:
    async def test(w: World) -> None:
        method = "POST" if path == "!/login" else "PUT"
        with structlog.testing.capture_logs() as logs:
            answer = await w.ask(method, path, content=b" " * 1_000_001)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.json()["status"] == 413
        assert logs == []

    in_world(test)


@pytest.mark.parametrize("path", ["/limit", "!/login"])
def test_a_body_that_does_not_say_how_long_it_is_ends_at_the_same_size(path: str) -> None:
    async def test(w: World) -> None:
        method = "POST" if path == "!/login" else "PUT"
        headers = {"Content-Type": "application/json"}
        with structlog.testing.capture_logs() as logs:
            answer = await w.ask(method, path, content=_pieces(), headers=headers)
        assert answer.status_code == 413
        assert "larger than 1 MB" in answer.json()["detail"]
        assert logs == []

    in_world(test)


def test_the_description_names_every_operation_and_its_problems() -> None:
    async def test(w: World) -> dict[str, Any]:
        schema: dict[str, Any] = (await w.ask("GET", "/openapi.json", None)).json()
        return schema

    schema = in_world(test)
    operations = [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) == 28
    for path, method, operation in operations:
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert operation["security"], (method, path)
        assert "application/problem+json" in operation["responses"]["default"]["content"]
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_answers_carry_the_protective_headers() -> None:
    async def test(w: World) -> None:
        for path in ("/site", "!/health", "!/login", "!/metrics"):
            answer = await w.ask("GET", path)
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert answer.headers["x-frame-options"] == "DENY", path
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'"), path
            assert "unsafe" not in policy, path

    in_world(test)


def test_a_path_with_a_line_break_is_refused_like_any_other_unknown_one() -> None:
    async def test(w: World) -> None:
        answer = await w.ask("GET", "/stations/a%0Ab/frames")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"

    in_world(test)
