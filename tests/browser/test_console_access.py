"""Signing in, the keyboard, the driver's way through, and text that tries to break out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from conftest import PASSWORD, Served, Tab
from fake_depot import HOSTILE


def _sign_in(page: Page, url: str, name: str, password: str = PASSWORD) -> None:
    page.goto(url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def test_a_person_signs_in_and_out(locked_depot: Served, new_tab: Callable[..., Tab]) -> None:
    page = new_tab().page
    page.goto(f"{locked_depot.url}/evses")
    assert page.url == f"{locked_depot.url}/login?next=/evses"
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1")).to_have_text("EVSEs")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.goto(locked_depot.url)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_wrong_password_is_refused(locked_depot: Served, new_tab: Callable[..., Tab]) -> None:
    page = new_tab().page
    _sign_in(page, locked_depot.url, "anna", "wrong")
    expect(page.get_by_role("alert")).to_have_text("This name and password do not fit together.")
    _sign_in(page, locked_depot.url, "nobody")
    expect(page.get_by_role("alert")).to_have_text("This name and password do not fit together.")


def test_the_sign_in_page_fits_a_phone(locked_depot: Served, new_tab: Callable[..., Tab]) -> None:
    for scheme in ("light", "dark"):
        tab = new_tab(375, scheme)
        tab.page.goto(locked_depot.url)
        expect(tab.page.locator("h1")).to_have_text("Depot Nordhafen")
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 375
        assert tab.complaints == []


def test_a_viewer_can_look_but_not_touch(locked_depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    page = tab.page
    _sign_in(page, locked_depot.url, "vera")
    expect(page.locator(".grid-now")).to_be_visible()
    page.goto(f"{locked_depot.url}/sessions/{locked_depot.session_at('DC01')}")
    expect(page.get_by_text("Why this power")).to_be_visible()
    expect(page.get_by_role("button", name="Stop…")).to_have_count(0)
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.goto(f"{locked_depot.url}/stations/DC01")
    expect(page.get_by_text("OCPP log")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_have_count(0)


def test_a_driver_gets_to_the_own_car_and_no_further(
    locked_depot: Served, new_tab: Callable[..., Tab]
) -> None:
    page = new_tab(375).page
    _sign_in(page, locked_depot.url, "DE*GLF*0003")
    expect(page.locator("h1")).to_have_text("e-NV200 · 03")
    for path in ("/", "/evses", "/stations/DC01", "/history"):
        page.goto(locked_depot.url + path)
        assert page.url == f"{locked_depot.url}/driver", path
    page.goto(f"{locked_depot.url}/driver/DC01/1")
    expect(page.locator("h1")).to_have_text("No car of yours is plugged in here.")


def test_a_driver_changes_the_departure_with_the_keyboard_alone(
    locked_depot: Served, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(375)
    page = tab.page
    _sign_in(page, locked_depot.url, "DE*GLF*0003")
    expect(page.locator(".clock-time")).to_have_text("17:40")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("When do you leave?")).to_be_focused()
    page.keyboard.type("0515AM")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "target":
            break
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    expect(page.locator("output").first).to_have_text("90 %")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved. The plan follows.")).to_be_visible()
    [(session_id, wish)] = locked_depot.platform.wishes
    assert session_id == locked_depot.session_at("DC03")
    assert wish.departure_at == datetime(2026, 5, 14, 3, 15, tzinfo=UTC)
    assert (wish.target_soc, wish.v2g, wish.said_by) == (0.9, False, "driver")
    expect(page.locator(".facts")).to_contain_text("Thu 05:15")
    assert tab.complaints == []


def test_typing_is_not_undone_by_live_updates(depot: Served, new_tab: Callable[..., Tab]) -> None:
    page = new_tab().page
    page.goto(f"{depot.url}/stations/DC01")
    entry = page.get_by_label("Action", exact=True)
    entry.fill("GetVari")
    before = page.locator(".facts").inner_text()
    depot.call(lambda: depot.platform.clock.advance(3600))  # type: ignore[attr-defined]
    expect(page.locator(".facts")).not_to_have_text(before)
    expect(page.locator(".clock-time")).to_have_text("18:40")
    expect(entry).to_have_value("GetVari")
    expect(entry).to_be_focused()
    depot.call(lambda: depot.platform.clock.advance(-3600))  # type: ignore[attr-defined]


def test_every_page_is_reached_with_the_keyboard(
    depot: Served, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab()
    tab.open(depot.url)
    page = tab.page
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('href')"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached
    assert reached[0] == "#main"
    assert [href for href in reached if href and href.startswith("/")][:7] == [
        "/",
        "/",
        "/evses",
        "/stations",
        "/vehicles",
        "/history",
        "/decisions",
    ]


def test_every_control_and_chart_has_a_name(depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    session_id = depot.session_at("DC01")
    for path in ("/", "/evses", f"/sessions/{session_id}", "/stations/DC01", "/history"):
        tab.open(depot.url + path)
        for role in ("button", "link", "textbox", "slider", "switch", "combobox", "img", "radio"):
            for control in tab.page.get_by_role(role).all():
                snapshot = control.aria_snapshot()
                assert '"' in snapshot or ":" in snapshot, f"{path}: {snapshot}"
        assert tab.page.locator("h1").count() == 1, path
        assert tab.page.get_by_role("main").count() == 1, path


def test_a_chart_tells_its_figures_in_words_and_as_a_table(
    depot: Served, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab()
    tab.open(depot.url)
    chart = tab.page.get_by_role("img", name="Power of the depot: planned grid power between")
    expect(chart).to_be_visible()
    tab.page.get_by_text("Show the figures as a table").focus()
    tab.page.keyboard.press("Enter")
    table = tab.page.get_by_role("table", name="Figures of the chart")
    expect(table.get_by_role("row")).to_have_count(1 + 25 + 48)


def test_hostile_text_is_shown_as_text(hostile_depot: Served, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    session_id = hostile_depot.session_at("DC01")
    shown = "<img src=x onerror=\"document.title='owned'\">"
    assert shown in HOSTILE
    for path in (
        "/",
        "/evses",
        "/stations",
        "/stations/DC01",
        f"/sessions/{session_id}",
        "/driver",
        "/driver/DC01/1",
        "/history",
        "/decisions/30",
    ):
        tab.open(hostile_depot.url + path)
        if path != "/":
            expect(tab.page.get_by_role("main")).to_contain_text(shown)
        assert tab.page.locator("img[src='x']").count() == 0, path
        assert "owned" not in tab.page.title(), path
    assert tab.complaints == []


def test_an_open_page_is_worth_nothing_once_the_account_is_gone(
    locked_depot: Served, new_tab: Callable[..., Tab]
) -> None:
    page = new_tab().page
    locked_depot.run(locked_depot.accounts.add_person("otto", "operator", PASSWORD))
    _sign_in(page, locked_depot.url, "otto")
    expect(page.locator(".grid-now")).to_be_visible()
    page.goto(f"{locked_depot.url}/sessions/{locked_depot.session_at('DC04')}")
    page.get_by_role("button", name="Stop…").click()
    locked_depot.run(locked_depot.platform.store.delete_account("otto"))
    page.get_by_role("button", name="Stop the session").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert locked_depot.platform.stops == []
