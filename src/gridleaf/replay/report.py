"""The report of a replay: one HTML file with everything in it, the same bytes for the same result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files
from zoneinfo import ZoneInfo

from gridleaf.replay.plots import (
    LABEL,
    busiest_week,
    cost_bars,
    life_bars,
    price_duration,
    soc_of_vehicle,
    telling_visit,
    week_of_power,
)
from gridleaf.replay.results import ModeResult, ReplayResult, by_vehicle

MOST_VEHICLES = 200
"""More rows than this do not help a reader; the rest is in the JSON."""

SUMMARY: tuple[tuple[str, str, Callable[[ModeResult], float], int], ...] = (
    ("Sessions", "", lambda m: m.sessions, 0),
    ("Left with their energy", "", lambda m: m.ready_on_time, 0),
    ("Charged", "kWh", lambda m: m.charged_kwh, 0),
    ("Discharged", "kWh", lambda m: m.discharged_kwh, 0),
    ("Unmet", "kWh", lambda m: m.unmet_kwh, 1),
    ("Equivalent full cycles", "", lambda m: m.equivalent_full_cycles, 1),
    ("Highest import", "kW", lambda m: m.peak_kw, 1),
    ("Limit violations", "min", lambda m: m.limit_violations, 0),
    ("Energy cost", "money", lambda m: m.energy_cost_eur, 2),
    ("Demand cost", "money", lambda m: m.demand_cost_eur, 2),
    ("Wear cost", "money", lambda m: m.wear_cost_eur, 2),
    ("Total", "money", lambda m: m.total_cost_eur, 2),
    ("Life of the batteries", "money", lambda m: m.life_cost_eur, 2),
    ("by time", "money", lambda m: m.life_calendar_eur, 2),
    ("by cycles", "money", lambda m: m.life_cycling_eur, 2),
    ("Outside the model's range", "%", lambda m: 100 * m.outside_fitted_range, 0),
)
"""Name, unit, value and decimals of each line of the summary."""


def render(result: ReplayResult) -> str:
    """The report as HTML that needs no network, follows light and dark, and prints."""
    zone = ZoneInfo(result.timezone)
    start, end = result.start.astimezone(zone), result.end.astimezone(zone)
    title = f"What {result.site} would have cost"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}, {escape(result.timezone)} · '
        f"{result.modes[0].sessions:,} sessions on {result.evses} EVSEs</p>",
        f'<p class="lead">{_headline(result)}</p>',
        _section("In total", _summary(result), _figure(cost_bars(result), "cost", _COST)),
        _section("Energy and life", _figure(life_bars(result), "life", _LIFE)),
        _section("A week of power", _week(result)),
        _section("One vehicle", _vehicle(result)),
        _section("Price", _figure(price_duration(result), "duration", _DURATION)),
        _section("Data quality", _quality(result)),
        _section("Assumptions", _list(result.assumptions)),
    ]
    if result.command:
        parts.append(_section("Made with", f"<pre>{escape(result.command)}</pre>"))
    parts.append(_section("Vehicles", _vehicles(result)))
    css = files("gridleaf.replay").joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


_COST = (
    "Cost by mode. Energy is what the meter at the grid connection counted in each metering "
    "interval at the price of that interval; demand is the demand charge; wear is a price on every "
    "kWh discharged."
)
_LIFE = (
    "Cost of energy and cost of life of all vehicles, by mode. Life is what the full ageing model says "
    "that each vehicle's charge, from its first arrival to its last departure, took from its battery, as "
    "a share of the price of a pack; most of it passes with time whatever is done."
)
_DURATION = (
    "Prices of the whole time in descending order. The lines show the mean price at which each "
    "mode bought."
)


def _headline(result: ReplayResult) -> str:
    """The finding in one sentence or two."""
    base = result.modes[0]
    sentences = []
    for mode in result.modes[1:]:
        saved = base.total_cost_eur - mode.total_cost_eur
        share = f" ({saved / base.total_cost_eur:.0%})" if base.total_cost_eur > 0 else ""
        verb = "saves" if saved >= 0 else "costs"
        more = "" if saved >= 0 else " more"
        sentences.append(
            f"{LABEL[mode.mode].capitalize() if mode.mode != 'v2g' else 'V2G'} {verb} "
            f"{_money(abs(saved), result)}{more}{share} against {LABEL[base.mode]} charging"
        )
    return escape(". ".join(sentences) + "." if sentences else "Uncontrolled charging only.")


def _money(value: float, result: ReplayResult) -> str:
    return f"{value:,.2f} {result.currency}"


def _section(title: str, *content: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(content) + "\n</section>"


def _figure(svg: str, name: str, caption: str) -> str:
    return f'<figure>\n{svg}\n<figcaption id="{name}-caption">{escape(caption)}</figcaption>\n</figure>'


def _number(value: float, digits: int) -> str:
    shown = f"{value:,.{digits}f}"
    return (shown.removeprefix("-") if float(shown.replace(",", "")) == 0 else shown).replace(
        "-", "−"
    )


def _summary(result: ReplayResult) -> str:
    head = "".join(
        f'<th class="n" scope="col"><span class="swatch" style="background:var(--{m.mode})"></span>'
        f"{LABEL[m.mode]}</th>"
        for m in result.modes
    )
    body = []
    for name, unit, value, digits in SUMMARY:
        shown = result.currency if unit == "money" else unit
        cells = "".join(f'<td class="n">{_number(value(m), digits)}</td>' for m in result.modes)
        label = f'{name} <span class="soft">{shown}</span>' if shown else name
        row = '<tr class="total">' if name == "Total" else "<tr>"
        body.append(f'{row}<th scope="row">{label}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _week(result: ReplayResult) -> str:
    first, last = busiest_week(result)
    return _figure(
        week_of_power(result, first, last),
        "week",
        "Mean power at the grid connection in each metering interval of the week in which "
        "uncontrolled charging took most, and the price of buying. Local time.",
    )


def _vehicle(result: ReplayResult) -> str:
    visit = telling_visit(result)
    if visit is None:
        return "<p>No vehicle was there.</p>"
    energies = ", ".join(
        f"{LABEL[m.mode]} {v.charged_kwh:.1f} kWh in and {v.discharged_kwh:.1f} kWh out"
        for m in result.modes
        for v in m.visits
        if v.visit_id == visit.visit_id
    )
    return _figure(
        soc_of_vehicle(result, visit.visit_id),
        "soc",
        f"State of charge of {visit.vehicle} from plugging in to plugging out: {energies}.",
    )


def _vehicles(result: ReplayResult) -> str:
    sums = {m.mode: by_vehicle(m) for m in result.modes}
    first = sums[result.modes[0].mode]
    ranked = sorted(
        first,
        key=lambda name: (
            -sum(own[name]["charged_kwh"] + own[name]["discharged_kwh"] for own in sums.values())
        ),
    )
    head = "".join(
        f'<th class="n" scope="col">{escape(text)}</th>'
        for text in (
            "Sessions",
            *(
                f"{LABEL[m.mode]}, {what}"
                for m in result.modes
                for what in ("net kWh", f"energy {result.currency}", f"life {result.currency}")
            ),
            "V2G out kWh",
            "V2G cycles",
        )
    )
    last = sums[result.modes[-1].mode]
    body = []
    for name in ranked[:MOST_VEHICLES]:
        cells = [_number(first[name]["sessions"], 0)]
        for own in sums.values():
            row = own[name]
            cells.append(_number(row["charged_kwh"] - row["discharged_kwh"], 1))
            cells.append(_number(row["energy_cost_eur"], 2))
            cells.append(_number(row["life_cost_eur"], 2))
        cells.append(_number(last[name]["discharged_kwh"], 1))
        cells.append(_number(last[name]["equivalent_full_cycles"], 2))
        shown = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        body.append(f'<tr><th scope="row">{escape(name)}</th>{shown}</tr>')
    rest = len(ranked) - MOST_VEHICLES
    caption = (
        "By energy moved, the most first. Vehicles as the log names them, else one per session."
    )
    if rest > 0:
        caption += f" {rest:,} more are in the JSON."
    return (
        f"<details open><summary>{len(ranked):,} vehicles</summary>"
        f'<div class="scroll"><table><thead><tr><th scope="col">Vehicle</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody><caption>{escape(caption)}</caption></table></div></details>"
    )


def _quality(result: ReplayResult) -> str:
    quality = result.data_quality
    text = (
        f"<p>{escape(quality.source)}, read as {escape(quality.preset)}: {quality.rows:,} rows, "
        f"{quality.used:,} used.</p>"
    )
    if quality.findings:
        body = "".join(
            f'<tr><td>{f.outcome}</td><td class="n">{f.count:,}</td><td>{escape(f.meaning)}</td>'
            f"<td>{escape('; '.join(f.examples))}</td></tr>"
            for f in quality.findings
        )
        text += (
            '<div class="scroll"><table><thead><tr><th scope="col">Outcome</th>'
            '<th class="n" scope="col">Rows</th><th scope="col">What</th>'
            f'<th scope="col">Examples</th></tr></thead><tbody>{body}</tbody></table></div>'
        )
    else:
        text += "<p>Nothing was found wrong.</p>"
    notes = [*quality.notes, *(f"prices: {note}" for note in result.price_notes)]
    return text + (_list(notes) if notes else "")


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
