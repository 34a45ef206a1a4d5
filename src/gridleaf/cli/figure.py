"""Figures that a command writes, by the file's suffix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gridleaf.cli.output import check_output, writing
from gridleaf.domain.errors import ConfigError

SUFFIXES = (".svg", ".png", ".pdf")
PlotOption = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw the result: .svg, .png or .pdf."),
]


def check_figure(path: Path | None) -> None:
    """Refuse a figure that cannot be written; raises :class:`ConfigError`."""
    if path is None:
        return
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(str(path), f"must be a {', '.join(SUFFIXES)} file")
    check_output(path)


@contextmanager
def drawing(path: Path, *, x: str, y: str, title: str) -> Iterator[Any]:
    """Axes to draw on; the figure is written when they are left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.subplots()
    yield axes
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    with writing(path):
        figure.savefig(path, dpi=150)
