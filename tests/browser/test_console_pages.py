"""Every page on every screen: it renders, fits, complains of nothing and shows something real."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from conftest import Served, Tab

PAGES = {
    "/": "Power and price",
    "/evses": "Leaf 40 · 01",
    "/sessions/{DC01}": "Why this power",
    "/stations": "Ambibox",
    "/stations/DC01": "SetChargingProfile",
    "/driver": "Which car is yours?",
    "/driver/DC01/1": "Your car will be ready in time.",
    "/driver/AC01/1": "How much energy do you need",
    "/vehicles": "measured",
    "/history": "Uncontrolled",
    "/decisions": "Exact optimum",
    "/decisions/30": "Setpoints and their reasons",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_every_page_renders_and_fits(
    width: int, scheme: str, depot: Served, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(width, scheme)
    page = tab.page
    for path, text in PAGES.items():
        tab.open(depot.url + path.replace("{DC01}", depot.session_at("DC01")))
        expect(page.get_by_role("main")).to_contain_text(text)
        if path in ("/", "/sessions/{DC01}", "/decisions/30"):
            expect(page.locator(".chart svg path").first).to_be_attached()
        wider = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wider <= 0, path
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(243, 245, 242)", "dark": "rgb(14, 20, 18)"}[scheme]
        assert tab.complaints == [], path


def test_the_page_shows_the_clock_of_the_platform(
    depot: Served, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab()
    tab.open(depot.url)
    expect(tab.page.locator(".clock")).to_have_text("Wed 13 May17:40")


def test_figures_follow_the_platform_without_reloading(
    depot: Served, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab()
    tab.open(depot.url)
    figure = tab.page.locator(".grid-now .big")
    expect(figure).not_to_have_text("88.8")
    platform = depot.platform
    before = platform._state

    def change() -> None:
        assert before.measurement is not None
        platform._state = replace(before, measurement=replace(before.measurement, grid_kw=88.8))

    depot.call(change)
    expect(figure).to_have_text("88.8")
    expect(tab.page.locator(".grid-now")).to_contain_text("Importing from the grid")
    expect(tab.page.locator(".grid-now")).to_contain_text("31.2 kW below the limit")

    def restore() -> None:
        platform._state = before

    depot.call(restore)
    expect(figure).not_to_have_text("88.8")
    assert tab.complaints == []


def test_the_board_can_be_narrowed_to_what_needs_attention(
    depot: Served, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab()
    tab.open(f"{depot.url}/evses")
    rows = tab.page.locator(".board tbody tr")
    expect(rows).to_have_count(24)
    tab.page.get_by_role("radio", name="Attention").check()
    expect(rows.filter(has_text="AC02/1")).to_contain_text("not obeying")
    expect(rows.filter(has_text="AC03/1")).to_contain_text("Offline")
    expect(rows).not_to_have_count(24)
    tab.page.get_by_role("radio", name="Plugged in").check()
    expect(rows).to_have_count(19)


def test_an_evse_leads_to_its_session(depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    tab.open(f"{depot.url}/evses")
    tab.page.get_by_role("link", name="DC02/1, open the session").click()
    expect(tab.page.locator("h1")).to_have_text("Leaf e+ · 02")


def test_stopping_asks_first(depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    session_id = depot.session_at("DC04")
    tab.open(f"{depot.url}/sessions/{session_id}")
    page = tab.page
    page.get_by_role("button", name="Stop…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert depot.platform.stops == []
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Stop the session").click()
    expect(page.get_by_text("The station stops the session.")).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert depot.platform.stops == [session_id]


def test_any_request_can_be_sent_and_its_answer_read(
    depot: Served, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab()
    tab.open(f"{depot.url}/stations/DC01")
    page = tab.page
    page.get_by_label("Action", exact=True).fill("TriggerMessage")
    payload = page.get_by_label("Payload (JSON)")
    payload.fill("{nonsense")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("The payload is not a JSON object.")).to_be_visible()
    payload.fill('{"requestedMessage": "MeterValues"}')
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".answer")).to_contain_text('"status": "Accepted"')
    assert depot.platform.requests == [
        ("DC01", "TriggerMessage", {"requestedMessage": "MeterValues"})
    ]
    tab.open(f"{depot.url}/stations/AC03")
    page.get_by_label("Action", exact=True).fill("Reset")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".answer")).to_contain_text("AC03 is not connected")


def test_the_log_is_filtered_by_action(depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    tab.open(f"{depot.url}/stations/DC01")
    frames = tab.page.locator(".ocpp")
    expect(frames).to_have_count(30)
    tab.page.get_by_label("Filter by action").fill("setcharging")
    expect(frames).to_have_count(6)
    frames.first.locator("summary").click()
    expect(frames.first.locator("pre")).to_contain_text("{")


def test_an_address_that_leads_nowhere_says_so(depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    for path in ("/nowhere", "/sessions/0000", "/stations/NOPE", "/decisions/99999", "/driver/X/1"):
        answer = tab.page.goto(depot.url + path)
        assert answer is not None
        assert answer.status == 404, path
        expect(tab.page.get_by_role("link", name="Back to the start")).to_be_visible()


def test_the_colours_can_be_chosen_and_stay(depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(scheme="light")
    tab.open(depot.url)
    page = tab.page
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(243, 245, 242)"
    button = page.get_by_role("button", name="Colours")
    button.click()
    button.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    tab.open(f"{depot.url}/evses")
    assert page.evaluate(background) == "rgb(14, 20, 18)"


def test_a_passport_can_be_downloaded(depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    tab.open(f"{depot.url}/vehicles")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("link", name="Download the passport of").first.click()
    passport = json.loads(download.value.path().read_text())
    assert [entry["number"] for entry in passport["history"]] == [1]
    assert download.value.suggested_filename == "passport.json"


def test_the_history_can_be_downloaded(depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    tab.open(f"{depot.url}/history")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download CSV").click()
    text = download.value.path().read_text()
    assert text.startswith("session_id,station_id")
    assert len(text.splitlines()) == 80
