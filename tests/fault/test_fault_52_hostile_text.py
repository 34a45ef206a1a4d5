"""Fault 52: an id token, vendor or model that is HTML, a spreadsheet formula or holds line feeds."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import structlog

from fake_depot import HOSTILE
from gridleaf.web.console.history import sessions_csv
from web_world import World, in_world


def test_no_cell_of_the_csv_becomes_a_formula_or_a_second_line() -> None:
    async def test(w: World) -> str:
        rows = await w.platform.store.sessions(limit=5)
        texts = (HOSTILE, "=1+1", "+cmd", "-2", "@SUM(A1)", "\t=1", '"; DROP', "a,b\r\nc")
        return sessions_csv([replace(rows[0], id_token=text) for text in texts])

    text = in_world(test, filled=True)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 8
    for row in rows:
        token = row["id_token"]
        assert not token.startswith(("=", "+", "-", "@", "\t", "\r")), token
        assert "\n" not in token
    assert [row["id_token"] for row in rows[1:6]] == ["'=1+1", "'+cmd", "'-2", "'@SUM(A1)", "'=1"]


def test_numbers_of_the_csv_stay_numbers() -> None:
    async def test(w: World) -> str:
        rows = await w.platform.store.sessions(limit=1)
        return sessions_csv([replace(rows[0], cost_eur=-1.25)])

    [row] = csv.DictReader(io.StringIO(in_world(test, filled=True)))
    assert row["cost_eur"] == "-1.25"


def test_the_api_answers_hostile_text_as_json_and_never_as_a_page() -> None:
    async def test(w: World) -> None:
        answer = await w.ask("GET", f"/sessions/{w.session_at('DC01')}")
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert json.loads(answer.content)["session"]["id_token"] == HOSTILE
        stations = (await w.ask("GET", "/stations")).json()
        assert stations[0]["vendor"] == HOSTILE

    in_world(test, filled=True, hostile=True)


def test_the_sign_in_page_escapes_what_it_repeats() -> None:
    async def test(w: World) -> str:
        w.platform.site = w.platform.site.model_copy(update={"name": HOSTILE})
        page = await w.ask("GET", '!/login?next=/"><script>alert(1)</script>', None)
        return page.text

    page = in_world(test)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_a_refused_request_is_one_entry_of_the_log_whatever_its_path_holds() -> None:
    async def test(w: World) -> None:
        with structlog.testing.capture_logs() as logs:
            await w.ask("GET", "/state%0d%0alevel=error%20event=forged", None)
            await w.ask("GET", "/state?x=%0d%0aevent=forged", None)
        assert all("\n" not in json.dumps(entry) for entry in logs)
        assert not [entry for entry in logs if entry["event"] == "forged"]

    in_world(test)
