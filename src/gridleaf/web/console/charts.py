"""The charts as ECharts options: plain dictionaries, drawn as SVG in the colours of the style sheet.

The colours are CSS variables, so a chart follows light and dark without being told. Every chart
has its figures in words and as a table beside it (:class:`Chart`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nicegui import ui

from gridleaf.store.port import SeriesPoint
from gridleaf.web.console.kit import box, props, say
from gridleaf.web.console.tables import DataTable, plain
from gridleaf.web.console.texts import number
from gridleaf.web.figures import Column, Timeline

Options = dict[str, Any]
Points = tuple[tuple[float, float | None], ...]

INK = "var(--ink)"
QUIET = "var(--quiet)"
LINE = "var(--line)"
_GAP = 8.0
"""Room above a panel for the name of its unit [% of the height]."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical or horizontal line with a word."""

    word: str
    at: datetime | None = None
    level: float | None = None
    axis: int = 0


def depot_options(line: Timeline, timezone: str, currency: str) -> Options:
    """Stacked load, charging, PV and discharging; net power and its limits; the price below."""
    negative = tuple(-v if v is not None else None for v in line.pv_kw)
    floor = tuple(-v if v is not None else None for v in line.export_limit_kw)
    at, end = line.at, line.end
    series = [
        _area("Building", at, line.load_kw, end, "var(--c-load)"),
        _area("Charging", at, line.charging_kw, end, "var(--c-charge)"),
        _area("PV", at, negative, end, "var(--c-pv)"),
        _area("Discharging", at, line.discharging_kw, end, "var(--c-discharge)"),
        _step("Import limit", at, line.import_limit_kw, end, "var(--c-limit)", dash=[7, 4]),
        _step("Export limit", at, floor, end, "var(--c-limit)", dash=[7, 4]),
        _step("Grid", at, line.grid_kw, end, "var(--c-grid)", width=2.2),
        _step("Price", at, line.import_price, end, "var(--c-price)", axis=1, width=2),
    ]
    mark(series[6], [Mark("now", at=line.now)])
    if line.at and line.at[0] < line.now:
        series[6]["markArea"] = {
            "silent": True,
            "itemStyle": {"color": "var(--past)"},
            "data": [[{"xAxis": _ms(line.at[0])}, {"xAxis": _ms(line.now)}]],
        }
    return panels(series, timezone, [("kW", 3), (f"{currency}/kWh", 1)])


def panels(series: list[Options], timezone: str, panels: Sequence[tuple[str, float]]) -> Options:
    """Pictures above each other on one time axis.

    ``panels`` are (unit, share of the height); a series names its panel by ``yAxisIndex``.
    """
    times = [at for one in series for at, _ in one["data"]]
    for one in series:
        one["xAxisIndex"] = one["yAxisIndex"]
    whole = sum(share for _, share in panels)
    room = 93.0 - _GAP * len(panels)
    grids, top = [], _GAP
    for _, share in panels:
        height = room * share / whole
        grids.append({"left": 50, "right": 22, "top": f"{top:.1f}%", "height": f"{height:.1f}%"})
        top += height + _GAP
    last = len(panels) - 1
    return {
        "animation": False,
        "textStyle": {"fontFamily": "Roboto, system-ui, sans-serif", "color": QUIET},
        "grid": grids,
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "tooltip": _tooltip(),
        "xAxis": [_time_axis(timezone, i, times, labels=i == last) for i in range(len(panels))],
        "yAxis": [_value_axis(unit, i) for i, (unit, _) in enumerate(panels)],
        "series": series,
    }


def _tooltip() -> Options:
    return {
        "trigger": "axis",
        "confine": True,
        "backgroundColor": "var(--surface)",
        "borderColor": LINE,
        "textStyle": {"color": INK, "fontSize": 12},
        "axisPointer": {"type": "line", "lineStyle": {"color": QUIET}},
        ":valueFormatter": "(v) => v === null || v === undefined ? '–' : "
        "(Math.abs(v) < 3 ? v.toFixed(3) : v.toFixed(1)).replace('-', '−')",
    }


def _time_axis(timezone: str, grid: int, times: Sequence[float], *, labels: bool) -> Options:
    local = "new Intl.DateTimeFormat('en-GB', {timeZone: '%s', %s}).format(v)"
    hour = local % (timezone, "hour: '2-digit', minute: '2-digit'")
    whole = local % (timezone, "weekday: 'short', hour: '2-digit', minute: '2-digit'")
    return {
        "type": "time",
        "min": min(times, default=None),
        "max": max(times, default=None),
        "gridIndex": grid,
        "axisLine": {"lineStyle": {"color": LINE}},
        "axisTick": {"show": labels, "lineStyle": {"color": LINE}},
        "axisLabel": {
            "show": labels,
            "color": QUIET,
            "fontSize": 12,
            "hideOverlap": True,
            ":formatter": f"(v) => {hour}",
        },
        "splitLine": {"show": False},
        "axisPointer": {
            "label": {"show": labels, ":formatter": f"(p) => ((v) => {whole})(p.value)"}
        },
    }


def _value_axis(unit: str, grid: int) -> Options:
    return {
        "type": "value",
        "gridIndex": grid,
        "name": unit,
        "nameTextStyle": {"color": QUIET, "align": "left", "padding": [0, 0, 0, -42]},
        "nameGap": 10,
        "scale": False,
        "splitNumber": 5 if grid == 0 else 2,
        "axisLabel": {
            "color": QUIET,
            "fontSize": 12,
            ":formatter": "(v) => String(v).replace('-', '−')",
        },
        "splitLine": {"lineStyle": {"color": LINE, "opacity": 0.7}},
    }


def _points(at: Sequence[datetime], values: Column, end: datetime) -> Points:
    rows = tuple(
        (_ms(t), None if v is None else round(v, 4)) for t, v in zip(at, values, strict=True)
    )
    return (*rows, (_ms(end), rows[-1][1])) if rows and end > at[-1] else rows


def _ms(at: datetime) -> float:
    return at.timestamp() * 1000


def _step(
    name: str,
    at: Sequence[datetime],
    values: Column,
    end: datetime,
    colour: str,
    *,
    axis: int = 0,
    width: float = 1.4,
    dash: list[int] | None = None,
) -> Options:
    return {
        "name": name,
        "type": "line",
        "step": "end",
        "yAxisIndex": axis,
        "data": _points(at, values, end),
        "showSymbol": False,
        "silent": True,
        "color": colour,
        "lineStyle": {"width": width, "color": colour, "type": dash or "solid"},
        "emphasis": {"disabled": True},
        "z": 4,
    }


def _area(name: str, at: Sequence[datetime], values: Column, end: datetime, colour: str) -> Options:
    filled = tuple(0.0 if v is None else v for v in values)
    return _step(name, at, filled, end, colour, width=0) | {
        "stack": "use",
        "areaStyle": {"color": colour, "opacity": 0.85},
        "z": 2,
    }


def curve(
    name: str, points: Sequence[SeriesPoint], colour: str, *, axis: int = 0, width: float = 2.0
) -> Options:
    """Measured points as a line."""
    return {
        "name": name,
        "type": "line",
        "yAxisIndex": axis,
        "data": tuple((_ms(p.at), round(p.value, 4)) for p in points),
        "showSymbol": False,
        "silent": True,
        "color": colour,
        "lineStyle": {"width": width, "color": colour},
        "emphasis": {"disabled": True},
        "z": 4,
    }


def planned(
    name: str,
    at: Sequence[datetime],
    values: Column,
    end: datetime,
    colour: str,
    *,
    axis: int = 0,
    filled: bool = False,
    straight: bool = False,
) -> Options:
    """Planned values: dashed, as steps or as a straight line between them."""
    line = _step(name, at, values, end, colour, axis=axis, width=1.6, dash=[5, 3])
    if filled:
        line["areaStyle"] = {"color": colour, "opacity": 0.22}
    if straight:
        line["step"] = False
    return line


def mark(series: Options, marks: Sequence[Mark]) -> None:
    """Put lines with a word on a series."""
    series["markLine"] = {
        "silent": True,
        "symbol": "none",
        "animation": False,
        "label": {"color": INK, "fontSize": 11},
        "lineStyle": {"color": INK, "width": 1.2, "type": "solid"},
        "data": [
            {
                "label": {"formatter": m.word, "position": "end" if m.at else "insideEndTop"},
                **({"xAxis": _ms(m.at)} if m.at is not None else {"yAxis": m.level}),
            }
            for m in marks
        ],
    }


@dataclass(frozen=True, slots=True)
class Rows:
    """A chart's figures as a table."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]


class Chart:
    """A chart with its legend, its message in words, and its figures as a table to unfold."""

    def __init__(self, title: str, legend: Sequence[tuple[str, str]], height: str) -> None:
        with box("ul", "legend", aria_label="Legend"):
            for kind, name in legend:
                with box("li"):
                    box("span", f"swatch {kind}", aria_hidden="true")
                    say("span", name)
        self._frame = box("div", "chart", role="img", aria_label=title)
        self._title = title
        with self._frame:
            self._chart = ui.echart({}, renderer="svg").style(f"height: {height}")
        with box("details", "figures"):
            say("summary", "Show the figures as a table")
            self._figures = box()
            self._table: DataTable | None = None

    def show(self, options: Options, words: str, rows: Rows) -> None:
        """Draw; ``words`` say what there is to see."""
        if options != self._chart.options:
            self._chart.props["options"] = options
        props(self._frame, aria_label=f"{self._title}: {words}")
        if self._table is None:
            with self._figures:
                self._table = DataTable(
                    "Figures of the chart", rows.columns, "dense", "There are no figures yet."
                )
        self._table.show(plain(str(i), texts) for i, texts in enumerate(rows.rows))


def figures(line: Timeline, hours: Sequence[str], currency: str) -> Rows:
    """The figures of the depot chart, a row for each step."""
    columns = (
        ("Time", ""),
        ("Grid kW", "number"),
        ("Building kW", "number"),
        ("PV kW", "number"),
        ("Charging kW", "number"),
        ("Discharging kW", "number"),
        (f"Price {currency}/kWh", "number"),
    )
    return Rows(
        columns,
        tuple(
            (
                hours[i],
                number(line.grid_kw[i]),
                number(line.load_kw[i]),
                number(line.pv_kw[i]),
                number(line.charging_kw[i]),
                number(line.discharging_kw[i]),
                number(line.import_price[i], 3),
            )
            for i in range(len(line.at))
        ),
    )
