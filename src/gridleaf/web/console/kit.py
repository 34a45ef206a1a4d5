"""A small kit of HTML from Python: native elements, so that the browser's own semantics, keyboard
handling and touch widgets are kept. All text goes through Vue's text nodes and is thus escaped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

T = TypeVar("T")
V = TypeVar("V")
V_contra = TypeVar("V_contra", contravariant=True)
Attribute = str | int | float | bool
Submit = Callable[[dict[str, str]], Awaitable[None]]


def box(tag: str = "div", classes: str = "", **attributes: Attribute) -> ui.element:
    """An element to be filled in a ``with`` block. ``aria_label`` becomes ``aria-label``."""
    return _dress(ui.element(tag), classes, attributes)


def say(tag: str, text: str, classes: str = "", **attributes: Attribute) -> TextElement:
    """An element with text; ``.text`` changes it, and nothing is sent when it stays the same."""
    element = TextElement(tag=tag, text=text)
    _dress(element, classes, attributes)
    return element


def _dress(element: ui.element, classes: str, attributes: dict[str, Attribute]) -> ui.element:
    if classes:
        element.classes(classes)
    for name, value in attributes.items():
        element.props[name.rstrip("_").replace("_", "-")] = value
    return element


def link(text: str, target: str, classes: str = "", **attributes: Attribute) -> TextElement:
    """A link inside the console."""
    return say("a", text, classes, href=target, **attributes)


def icon(name: str) -> ui.html:
    """One of the drawn signs of :data:`ICONS`; decoration, hidden from screen readers."""
    return ui.html(
        f'<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">{ICONS[name]}</svg>',
        sanitize=False,
        tag="span",
    ).classes("icon")


def heading(title: str, level: int = 2, note: str = "") -> None:
    """A section's title with a quiet remark beside it."""
    with box("div", "heading"):
        say(f"h{level}", title)
        if note:
            say("span", note, "quiet")


@contextmanager
def modal(opener: ui.element, title: str) -> Iterator[str]:
    """A dialog that ``opener`` opens, to be filled in a ``with`` block. Escape closes it.

    Yields the JavaScript that closes it.
    """
    with box("dialog", "dialog", aria_label=title) as element:
        say("h2", title)
        yield f"getHtmlElement({element.id}).close()"
    opener.on("click", js_handler=f"() => getHtmlElement({element.id}).showModal()")


def confirm(
    opener: ui.element, title: str, text: str, verb: str, action: Callable[[], Awaitable[None]]
) -> None:
    """Let ``opener`` ask before it acts."""
    with modal(opener, title) as close:
        say("p", text)
        with box("div", "row end"):
            cancel(close)
            go = say("button", verb, "button danger", type="button")
            go.on("click", action)
            go.on("click", js_handler=f"() => {close}")


def cancel(close: str) -> None:
    """The way out of a dialog without doing anything."""
    say("button", "Cancel", "button", type="button").on("click", js_handler=f"() => {close}")


_VALUES = "(e) => { emit(Object.fromEntries(new FormData(e.target))); %s }"


def form(classes: str, submit: Submit, *, then: str = "", **attributes: Attribute) -> ui.element:
    """A native form: what was filled in arrives as texts by field name.

    ``then`` is JavaScript to run in the browser after sending.
    """
    element = box("form", classes, **attributes)

    async def handle(event: GenericEventArguments) -> None:
        values = event.args
        if isinstance(values, dict):
            await submit({str(k): str(v) for k, v in values.items()})

    element.on("submit.prevent", handle, js_handler=_VALUES % then)
    return element


def field(
    label: str, name: str, kind: str, value: str, hint: str = "", **attributes: Attribute
) -> ui.element:
    """A labelled input of a form. The value is only the initial one: updates never undo typing."""
    with box("div", "field"):
        element = box("input", "", type=kind, name=name, **attributes)
        element.props["^value"] = value
        _label(label, element, hint)
    return element


def choice(
    label: str, name: str, options: Sequence[tuple[str, str]], value: str, hint: str = ""
) -> ui.element:
    """A labelled select of a form: (value, text) pairs."""
    with box("div", "field"):
        with box("select", "", name=name) as element:
            for key, text in options:
                option = say("option", text, value=key)
                if key == value:
                    option.props["^selected"] = ""
        _label(label, element, hint)
    return element


def switch(label: str, name: str, on: bool, hint: str = "") -> ui.element:
    """A labelled on/off switch of a form; absent from the values when off."""
    with box("div", "field switch"):
        element = box("input", "", type="checkbox", name=name, role="switch")
        if on:
            element.props["^checked"] = ""
        _label(label, element, hint)
    return element


def _label(label: str, element: ui.element, hint: str) -> None:
    say("label", label, for_=f"c{element.id}").move(target_index=0)
    if hint:
        note = say("p", hint, "hint")
        element.props["aria-describedby"] = f"c{note.id}"


@dataclass(slots=True)
class Region(Generic[T]):
    """A part of the page that is built anew only when what it shows has changed."""

    element: ui.element
    build: Callable[[T], None]
    shown: T | None = None

    def show(self, value: T) -> None:
        if value != self.shown:
            self.shown = value
            self.element.clear()
            with self.element:
                self.build(value)


class Row(Protocol[V_contra]):
    """A part of a list that can be brought up to date in place."""

    @property
    def frame(self) -> ui.element: ...

    def show(self, value: V_contra) -> None: ...


class Keyed(Generic[V]):
    """A list whose rows stay where they are while their content changes.

    Focus, open details and scroll positions survive; rows come, go and move with their keys.
    """

    def __init__(self, parent: ui.element, make: Callable[[V], Row[V]]) -> None:
        self._parent = parent
        self._make = make
        self._rows: dict[Hashable, Row[V]] = {}

    def show(self, values: Sequence[tuple[Hashable, V]]) -> None:
        """Show these rows in this order."""
        wanted = dict(values)
        for key in [key for key in self._rows if key not in wanted]:
            self._rows.pop(key).frame.delete()
        for index, (key, value) in enumerate(wanted.items()):
            row = self._rows.get(key)
            if row is None:
                with self._parent:
                    row = self._rows[key] = self._make(value)
            if self._parent.default_slot.children[index] is not row.frame:
                row.frame.move(self._parent, target_index=index)
            row.show(value)


def definition(term: str, text: str = "") -> TextElement:
    """A term with its text inside a ``dl``; returns the text to keep it up to date."""
    with box("div"):
        say("dt", term)
        return say("dd", text)


def tell(text: str, *, bad: bool = False) -> None:
    """A short message to the person, also read out by screen readers."""
    ui.notify(text, type="negative" if bad else "positive", position="bottom", timeout=6000)


def props(element: ui.element, **changed: Any) -> None:
    """Change attributes; nothing is sent when they stay the same."""
    for name, value in changed.items():
        key = name.rstrip("_").replace("_", "-")
        if element.props.get(key) != value:
            element.props[key] = value


_LINE = 'fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"'
ICONS = {
    "depot": f'<path {_LINE} d="M3 21V9l9-6 9 6v12M8 21v-7h8v7M12.5 15.5 11 18h2l-1.5 2.5"/>',
    "evses": f'<path {_LINE} d="M4 21V5a2 2 0 0 1 2-2h6a2 2 0 0 1 2 2v16M2 21h14M9.5 7 7 11.5h4L8.5 16M14 11h2a2 2 0 0 1 2 2v3.5a1.8 1.8 0 0 0 3.6 0V9L18 5.5"/>',
    "stations": f'<path {_LINE} d="M5 13a10 10 0 0 1 14 0M8 16.5a5.5 5.5 0 0 1 8 0M2 9.5a14.5 14.5 0 0 1 20 0M12 20h.01"/>',
    "vehicles": f'<path {_LINE} d="M3 8h15v9H3zM18 11h3v3h-3M7 11v3M11 11v3"/>',
    "history": f'<path {_LINE} d="M3 12a9 9 0 1 0 3-6.7L3 8M3 3v5h5M12 7v5l3.5 2"/>',
    "decisions": f'<path {_LINE} d="M6 3v12M6 9c0-2 4-2 8-2h4M15 4l3 3-3 3M6 15c0 3 4 3 8 3h4M15 15l3 3-3 3"/>',
    "theme": f'<path {_LINE} d="M12 3a9 9 0 1 0 0 18z"/><path d="M12 3a9 9 0 0 1 0 18z" fill="currentColor" stroke="currentColor" stroke-width="1.8"/>',
    "out": f'<path {_LINE} d="M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M10 8l-4 4 4 4M6 12h9"/>',
    "critical": f'<path {_LINE} d="M8 2.8h8L21.2 8v8L16 21.2H8L2.8 16V8zM12 7.5v5.5M12 16.5h.01"/>',
    "warning": f'<path {_LINE} d="M12 3.5 2.5 20h19zM12 10v4.5M12 17.3h.01"/>',
    "info": f'<circle {_LINE} cx="12" cy="12" r="9"/><path {_LINE} d="M12 11v5M12 7.8h.01"/>',
    "good": f'<circle {_LINE} cx="12" cy="12" r="9"/><path {_LINE} d="m8 12.3 2.8 2.8L16 9.6"/>',
}
"""Drawn for gridleaf; 24 by 24, in the colour of the text."""
