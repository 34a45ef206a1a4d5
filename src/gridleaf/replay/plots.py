"""The report's figures as inline SVG: the same bytes for the same result, light and dark by CSS.

Matplotlib draws with placeholder colours; they become CSS variables in the SVG, so that the page
decides how ink, grid and series look. The series colours of the page are those of Okabe and Ito,
told apart by every kind of colour vision.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gridleaf.control.types import Policy
from gridleaf.replay.results import MODES, ModeResult, ReplayResult, VisitResult

INK, GRID, PRICE, LIMIT = "#010101", "#010102", "#010103", "#010104"
LABEL: dict[Policy, str] = {"uncontrolled": "uncontrolled", "smart": "smart charging", "v2g": "V2G"}
_COLOUR: dict[Policy, str] = {"uncontrolled": "#010111", "smart": "#010112", "v2g": "#010113"}
_LINE: dict[Policy, Any] = {"uncontrolled": (0, (4, 2)), "smart": "-", "v2g": "-"}
_WIDTH: dict[Policy, float] = {"uncontrolled": 1.3, "smart": 2.8, "v2g": 1.2}
"""Smart charging is drawn broad under V2G, so that both are seen where they agree."""
_PART = {"energy": "#010121", "demand": "#010122", "wear": "#010123"}
_VARIABLES = {
    INK: "--ink",
    GRID: "--rule",
    PRICE: "--price",
    LIMIT: "--limit",
    _COLOUR["uncontrolled"]: "--uncontrolled",
    _COLOUR["smart"]: "--smart",
    _COLOUR["v2g"]: "--v2g",
    _PART["energy"]: "--part-energy",
    _PART["demand"]: "--part-demand",
    _PART["wear"]: "--part-wear",
}
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "text.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
}


@contextmanager
def _figure(name: str, width: float, height: float) -> Iterator[tuple[Figure, list[str]]]:
    """A figure and the list that its SVG is put into when the block ends."""
    svg: list[str] = []
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(width, height))
        yield figure, svg
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg.append(_inline(buffer.getvalue(), name))


def _inline(text: str, name: str) -> str:
    """Only the element itself, with ids that are unique on the page and colours as variables."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px var(--sans)", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text.replace("<svg", f'<svg role="img" aria-labelledby="{name}-caption"', 1)


def cost_bars(result: ReplayResult) -> str:
    """Energy, demand and wear cost of each mode, stacked, with the total beside the bar."""
    with _figure("cost", 7.2, 0.6 + 0.5 * len(result.modes)) as (figure, svg):
        axes = figure.subplots()
        totals = [mode.total_cost_eur for mode in result.modes]
        for row, mode in enumerate(result.modes):
            left = {True: 0.0, False: 0.0}
            parts = (mode.energy_cost_eur, mode.demand_cost_eur, mode.wear_cost_eur)
            for part, value in zip(_PART, parts, strict=True):
                axes.barh(
                    row,
                    value,
                    left=left[value < 0],
                    height=0.62,
                    color=_PART[part],
                    label=part if row == 0 else None,
                )
                left[value < 0] += value
            axes.annotate(
                f" {mode.total_cost_eur:,.0f}",
                (left[False], row),
                va="center",
                fontweight="bold",
            )
        axes.set_yticks(range(len(result.modes)), [LABEL[m.mode] for m in result.modes])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.margins(x=0.12 if max(totals) > 0 else 0.02)
        axes.set_xlabel(f"cost [{result.currency}]")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)
    return svg[0]


def life_bars(result: ReplayResult) -> str:
    """Cost of energy and cost of life of each mode, side by side."""
    with _figure("life", 7.2, 0.9 + 0.45 * len(result.modes)) as (figure, svg):
        energy, life = figure.subplots(1, 2, sharey=True)
        names = [LABEL[mode.mode] for mode in result.modes]
        for axes, values, what in (
            (energy, [m.energy_cost_eur + m.demand_cost_eur for m in result.modes], "energy"),
            (life, [m.life_cost_eur for m in result.modes], "life"),
        ):
            colours = [_COLOUR[mode.mode] for mode in result.modes]
            axes.barh(range(len(names)), values, height=0.62, color=colours)
            for row, value in enumerate(values):
                axes.annotate(f" {value:,.0f}", (max(value, 0.0), row), va="center")
            axes.grid(axis="y", visible=False)
            axes.spines["left"].set_visible(False)
            axes.axvline(0, color=INK, linewidth=0.8)
            axes.margins(x=0.25)
            axes.set_xlabel(f"cost of {what} [{result.currency}]")
        energy.set_yticks(range(len(names)), names)
        energy.invert_yaxis()
    return svg[0]


def week_of_power(result: ReplayResult, first: int, last: int) -> str:
    """Mean site power by mode for intervals ``[first, last)``, and the price below."""
    with _figure("week", 7.2, 4.2) as (figure, svg):
        power, price = figure.subplots(2, 1, sharex=True, height_ratios=(5, 2))
        hours = np.arange(last - first + 1) * result.interval_h
        top = 0.0
        for mode in result.modes:
            values = mode.grid_kw[first:last]
            top = max(top, max(values, default=0.0))
            _stairs(power, hours, values, mode)
        if result.import_limit_kw <= 1.5 * top:
            power.axhline(result.import_limit_kw, color=LIMIT, linewidth=1)
            power.annotate(
                "import limit",
                (hours[-1], result.import_limit_kw),
                (-4, -4),
                textcoords="offset points",
                ha="right",
                va="top",
            )
            power.set_ylim(top=1.05 * max(top, result.import_limit_kw))
        power.axhline(0, color=INK, linewidth=0.8)
        power.set_ylabel("grid power [kW]\n+ imports, − exports")
        power.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)
        cents = np.asarray(result.import_price[first:last]) * 100
        price.stairs(cents, hours, baseline=None, color=PRICE, linewidth=1.2)
        price.set_ylabel(f"price\n[0.01 {result.currency}/kWh]")
        _day_ticks(price, result, first, last)
    return svg[0]


def soc_of_vehicle(result: ReplayResult, visit_id: str) -> str:
    """State of charge of one visit in each mode, and the price meanwhile."""
    visits = {m.mode: next(v for v in m.visits if v.visit_id == visit_id) for m in result.modes}
    some = next(iter(visits.values()))
    with _figure("soc", 7.2, 3.4) as (figure, svg):
        soc, price = figure.subplots(2, 1, sharex=True, height_ratios=(5, 2))
        first = some.first_interval
        for mode, visit in visits.items():
            hours = np.arange(len(visit.soc)) * result.interval_h
            hours[0] = _since(result, first, visit.arrived_at)
            hours[-1] = _since(result, first, visit.departed_at)
            soc.plot(
                hours,
                100 * np.asarray(visit.soc),
                color=_COLOUR[mode],
                linestyle=_LINE[mode],
                linewidth=_WIDTH[mode],
                label=LABEL[mode],
            )
        soc.set_ylim(0, 100)
        soc.set_ylabel("state of charge [%]")
        soc.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)
        count = max(len(v.soc) for v in visits.values())
        cents = np.asarray(result.import_price[first : first + count]) * 100
        edges = np.arange(len(cents) + 1) * result.interval_h
        price.stairs(cents, edges, baseline=None, color=PRICE, linewidth=1.2)
        price.set_ylabel(f"price\n[0.01 {result.currency}/kWh]")
        _clock_ticks(price, result, first, first + count)
    return svg[0]


def price_duration(result: ReplayResult) -> str:
    """Prices in descending order, and at which of them each mode bought on average."""
    with _figure("duration", 7.2, 2.8) as (figure, svg):
        axes = figure.subplots()
        prices = np.asarray(result.import_price)
        hours = np.arange(len(prices) + 1) * result.interval_h
        axes.stairs(np.sort(prices)[::-1] * 100, hours, baseline=None, color=PRICE, label="price")
        for mode in result.modes:
            bought = np.maximum(np.asarray(mode.grid_kw), 0.0)
            if bought.sum() > 0:
                axes.axhline(
                    float(100 * (bought @ prices) / bought.sum()),
                    color=_COLOUR[mode.mode],
                    linestyle=_LINE[mode.mode],
                    linewidth=_WIDTH[mode.mode],
                    label=f"bought by {LABEL[mode.mode]}",
                )
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xlim(0, hours[-1])
        axes.set_xlabel("hours with at least this price [h]")
        axes.set_ylabel(f"price [0.01 {result.currency}/kWh]")
        axes.legend(loc="upper right")
    return svg[0]


def busiest_week(result: ReplayResult) -> tuple[int, int]:
    """Intervals of the seven local days in which most energy was charged, or all of a shorter run."""
    charged = np.maximum(np.asarray(result.modes[0].grid_kw), 0.0)
    week = round(7 * 24 / result.interval_h)
    if len(charged) <= week:
        return 0, len(charged)
    zone = ZoneInfo(result.timezone)
    starts = [
        index
        for index in range(len(charged) - week + 1)
        if _local(result, index, zone).hour == 0 and _local(result, index, zone).minute == 0
    ]
    sums = np.concatenate([[0.0], np.cumsum(charged)])
    best = max(
        starts or [0], key=lambda index: (round(sums[index + week] - sums[index], 6), -index)
    )
    return best, best + week


def telling_visit(result: ReplayResult) -> VisitResult | None:
    """The visit that shows best what control does: it discharged most, else it stayed longest."""
    last = result.modes[-1]
    return max(
        last.visits,
        key=lambda v: (round(v.discharged_kwh, 3), v.departed_at - v.arrived_at, v.visit_id),
        default=None,
    )


def _stairs(axes: Axes, hours: Any, values: Sequence[float], mode: ModeResult) -> None:
    axes.stairs(
        np.asarray(values),
        hours,
        baseline=None,
        color=_COLOUR[mode.mode],
        linestyle=_LINE[mode.mode],
        linewidth=_WIDTH[mode.mode],
        label=LABEL[mode.mode],
        zorder=2 + MODES.index(mode.mode),
    )


def _since(result: ReplayResult, index: int, at: datetime) -> float:
    """Hours from the start of an interval."""
    start = result.start + timedelta(hours=index * result.interval_h)
    return (at - start) / timedelta(hours=1)


def _local(result: ReplayResult, index: int, zone: ZoneInfo) -> datetime:
    return (result.start + timedelta(hours=index * result.interval_h)).astimezone(zone)


def _day_ticks(axes: Axes, result: ReplayResult, first: int, last: int) -> None:
    """A grid line at each local midnight, the day's name at noon."""
    zone = ZoneInfo(result.timezone)
    lines, names = [], []
    for index in range(first, last + 1):
        local = _local(result, index, zone)
        if local.minute:
            continue
        x = (index - first) * result.interval_h
        if local.hour == 0:
            lines.append(x)
        elif local.hour == 12 and index < last:
            names.append((x, f"{_WEEKDAY[local.weekday()]}\n{local:%Y-%m-%d}"))
    axes.set_xlim(0, (last - first) * result.interval_h)
    if len(names) < 2:
        _clock_ticks(axes, result, first, last)
        return
    axes.set_xticks(lines, [""] * len(lines))
    if len(names) <= 10:
        axes.set_xticks([x for x, _ in names], [name for _, name in names], minor=True)


_WEEKDAY = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _clock_ticks(axes: Axes, result: ReplayResult, first: int, last: int) -> None:
    """Local clock time, with the day where it changes."""
    zone = ZoneInfo(result.timezone)

    def name(hours: float, _: int) -> str:
        local = _local(result, first, zone).astimezone(ZoneInfo("UTC")) + timedelta(hours=hours)
        shown = local.astimezone(zone)
        return f"{shown:%H:%M}\n{shown:%Y-%m-%d}"

    axes.set_xlim(0, max(last - first, 1) * result.interval_h)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(name))
