"""Tables and the frame log as single elements: the server sends plain rows, the browser draws them.

A row of many NiceGUI elements would cost the server milliseconds; three hundred EVSEs must not hold
up the control loop that runs beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nicegui import ui


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What stands in a cell, from top to bottom; everything is text.

    ``href`` makes the text a link with ``label`` for screen readers, ``chip`` a pill of that look.
    ``bar`` are state of charge, target and reserve (0..1). ``warning`` comes with a sign.
    """

    text: str = ""
    note: str = ""
    href: str = ""
    label: str = ""
    chip: str = ""
    bar: tuple[float, float, float] | None = None
    warning: str = ""
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row that keeps its place in the page under its ``key``."""

    key: str
    cells: tuple[Cell, ...]
    look: str = ""


def plain(key: str, texts: Iterable[str]) -> Row:
    """A row of nothing but texts."""
    return Row(key=key, cells=tuple(Cell(text=text) for text in texts))


class DataTable(ui.element, component="table.js"):
    """A table; columns are (title, look), the look ``number`` for figures."""

    def __init__(
        self, caption: str, columns: Sequence[tuple[str, str]], look: str = "", empty: str = ""
    ) -> None:
        super().__init__()
        self.props["caption"] = caption
        self.props["columns"] = [{"title": title, "look": kind} for title, kind in columns]
        self.props["look"] = look
        self.props["empty"] = empty
        self.props["rows"] = ()

    def show(self, rows: Iterable[Row]) -> None:
        """Show these rows; nothing is sent when they are the same as before."""
        shown = tuple(rows)
        if shown != self.props["rows"]:
            self.props["rows"] = shown


@dataclass(frozen=True, slots=True)
class Frame:
    """An OCPP frame in a form to read. ``action`` of an answer is that of its request."""

    key: str
    at: str
    outgoing: bool
    kind: str
    action: str
    text: str


class FrameLog(ui.element, component="frames.js"):
    """The log of a station's frames with a filter by action."""

    def __init__(self) -> None:
        super().__init__()
        self.props["frames"] = ()

    def show(self, frames: Iterable[Frame]) -> None:
        """Show these frames, newest first."""
        shown = tuple(frames)
        if shown != self.props["frames"]:
            self.props["frames"] = shown
