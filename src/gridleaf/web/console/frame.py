"""The frame around every page: navigation, the platform's clock, and who is signed in."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from nicegui import ui

from gridleaf.domain.errors import GridleafError, StoreUnavailable
from gridleaf.web import login
from gridleaf.web.auth import Principal
from gridleaf.web.console.kit import box, icon, link, props, say, tell
from gridleaf.web.console.model import Console

SCOPE_KEY = "gridleaf.console"
NAVIGATION = (
    ("depot", "/", "Depot"),
    ("evses", "/evses", "EVSEs"),
    ("stations", "/stations", "Stations"),
    ("vehicles", "/vehicles", "Vehicles"),
    ("history", "/history", "History"),
    ("decisions", "/decisions", "Decisions"),
)
EVERY_S = 1.0
SLOWLY_S = 5.0
"""How often charts are drawn again: their plan changes once in minutes."""
_WATCH_S = 10.0

_VERSION = hashlib.blake2b(login.STYLE, digest_size=6).hexdigest()
_THEME = """
<script>
(() => {
  const root = document.documentElement;
  root.lang = "en";
  const set = (theme) => { root.dataset.theme = theme; };
  set(localStorage.getItem("gridleaf-theme") || "auto");
  window.gridleafTheme = () => {
    const order = ["auto", "light", "dark"];
    const next = order[(order.indexOf(root.dataset.theme) + 1) % 3];
    localStorage.setItem("gridleaf-theme", next);
    set(next);
    return next;
  };
})();
</script>
"""
_ASKED_FOR_THEME = "() => emit(window.gridleafTheme())"
ui.add_head_html(
    f'<link rel="stylesheet" href="/assets/console.css?{_VERSION}">{_THEME}', shared=True
)


@dataclass(frozen=True, slots=True)
class Visit:
    """One open page of one person."""

    console: Console
    principal: Principal

    def every(self, refresh: Callable[[], Awaitable[None]], seconds: float = EVERY_S) -> None:
        """Call ``refresh`` now and again and again while the page is open."""

        async def guarded() -> None:
            try:
                await refresh()
            except StoreUnavailable:
                tell("The store does not answer; what you see may be old.", bad=True)

        ui.timer(seconds, guarded)

    async def act(self, action: Callable[[], Awaitable[Any]], done: str) -> bool:
        """Carry out a command of this person and say how it went."""
        if not await self.welcome():
            return False
        try:
            answer = await action()
        except GridleafError as error:
            tell(str(error), bad=True)
            return False
        except KeyError:
            tell("This is over, or it is not there any more.", bad=True)
            return False
        if isinstance(answer, str) and answer not in ("Accepted", ""):
            tell(f"The station answered: {answer}.", bad=True)
            return False
        tell(done)
        return True

    async def welcome(self) -> bool:
        """Whether this person may still be here; shows the way out if not."""
        if await self.console.accounts.still_welcome(self.principal):
            return True
        ui.navigate.to("/login")
        return False


def visit_of(request: Request) -> Visit:
    """Whose request this is, as the gate has found out."""
    return Visit(request.scope[SCOPE_KEY], request.scope[login.SCOPE_KEY])


@contextmanager
def frame(request: Request, title: str, here: str) -> Iterator[Visit]:
    """Build a page inside the frame; ``here`` is the entry of the navigation it belongs to."""
    visit = visit_of(request)
    console, principal = visit.console, visit.principal
    ui.page_title(f"{title} · {console.platform.site.name}")
    _one_main()
    link("Skip to the content", "#main", "skip")
    with box("div", "shell"):
        with box("header", "topbar"):
            with link(
                "",
                "/" if principal.watches else "/driver",
                "brand",
                aria_label="gridleaf, start page",
            ):
                box("img", "", src="/assets/leaf.svg", alt="", width=28, height=28)
                say("span", console.platform.site.name, "brand-name")
            box("div", "grow")
            with box("div", "clock", role="timer", aria_label="Time at the site"):
                day = say("span", "", "quiet clock-day")
                clock = say("span", "", "clock-time")
            _theme_button()
            if principal.expires_at is not None:
                with (
                    box("form", "", method="post", action="/logout"),
                    box(
                        "button", "button plain", type="submit", title=f"Sign out {principal.name}"
                    ),
                ):
                    icon("out")
                    say("span", "Sign out", "sr-only")
        if principal.watches:
            with box("nav", "nav", aria_label="Pages"):
                for name, target, label in NAVIGATION:
                    with link("", target, "nav-link") as entry:
                        icon(name)
                        say("span", label)
                    if name == here:
                        entry.props["aria-current"] = "page"
        with box("main", "main", id="main", tabindex="-1"):
            yield visit

    async def tick() -> None:
        local = console.now().astimezone(console.zone)
        day.text = local.strftime("%a %d %b")
        clock.text = local.strftime("%H:%M")

    async def watch() -> None:
        await visit.welcome()

    visit.every(tick)
    visit.every(watch, _WATCH_S)


def _one_main() -> None:
    """Quasar wraps the whole page in a main landmark; ours is the one inside the frame."""
    around = ui.context.client.content.parent_slot
    if around is not None:
        around.parent.props["role"] = "presentation"


def _theme_button() -> None:
    with box("button", "button plain", type="button", title="Colours") as button:
        icon("theme")
        label = say("span", "Colours: automatic, light or dark", "sr-only")

    def told(event: Any) -> None:
        label.text = f"Colours: {event.args}"
        props(button, title=f"Colours: {event.args}")

    button.on("click", told, js_handler=_ASKED_FOR_THEME)


def missing(request: Request) -> None:
    """A page for an address that leads nowhere."""
    ui.context.client.status_code = 404
    with frame(request, "Not found", ""):
        absent("This page does not exist.")


def absent(text: str) -> None:
    """Says that what was asked for is not there."""
    ui.context.client.status_code = 404
    with box("section", "card empty"):
        say("h1", text)
        link("Back to the start", "/", "button")
