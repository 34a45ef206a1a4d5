"""The picture of one session: what was measured, what is planned, and at which price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from gridleaf.control.types import Outlook, SessionPlan, SessionState
from gridleaf.store.port import SeriesPoint
from gridleaf.web.console.charts import Mark, Options, Rows, curve, mark, panels, planned
from gridleaf.web.console.texts import kwh, moment, number, percent
from gridleaf.web.figures import edges

MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Ahead:
    """The plan of a session until its departure: ``at`` are the K + 1 boundaries of K steps."""

    session: SessionState
    at: tuple[datetime, ...]
    power_kw: tuple[float, ...]
    energy_kwh: tuple[float, ...]
    price: tuple[float, ...]

    @property
    def capacity_kwh(self) -> float | None:
        """Of the battery, where the state of charge is known."""
        return self.session.capacity_kwh if self.session.soc is not None else None


def ahead(session: SessionState, plan: SessionPlan, outlook: Outlook) -> Ahead:
    """The steps that begin before the departure, at least one."""
    bounds = edges(outlook)
    steps = max(sum(at < session.departure_at for at in bounds[:-1]), 1)
    return Ahead(
        session,
        tuple(bounds[: steps + 1]),
        plan.power_kw[:steps],
        plan.energy_kwh[:steps],
        outlook.import_price[:steps],
    )


def session_options(
    power: Sequence[SeriesPoint],
    soc: Sequence[SeriesPoint],
    plan: Ahead | None,
    held: Sequence[tuple[datetime, float]],
    now: datetime,
    timezone: str,
    currency: str,
) -> Options:
    """Power, state of charge and price above each other; ``held`` are the prices of the past."""
    percents = [SeriesPoint(at=p.at, value=p.value * 100) for p in thinned(soc)]
    measured = curve("Power", thinned(power), "var(--c-charge)")
    measured["areaStyle"] = {"color": "var(--c-charge)", "opacity": 0.3}
    level = curve("State of charge %", percents, "var(--c-soc)", axis=1)
    series = [measured, level]
    if plan is not None:
        leaves = plan.session.departure_at
        mark(measured, [Mark("now", at=now), Mark("leaves", at=leaves)])
        series += _planned(plan, held)
        if plan.capacity_kwh:
            target = 100 * plan.session.target_kwh / plan.capacity_kwh
            mark(level, [Mark("target", level=round(target, 1))])
    return panels(series, timezone, [("kW", 4), ("%", 3), (f"{currency}/kWh", 2)])


def _planned(plan: Ahead, held: Sequence[tuple[datetime, float]]) -> list[Options]:
    starts, end = plan.at[:-1], plan.at[-1]
    series = [planned("Planned power", starts, plan.power_kw, end, "var(--c-charge)", filled=True)]
    capacity, soc = plan.capacity_kwh, plan.session.soc
    if capacity and soc is not None:
        levels = (soc * 100, *(100 * energy / capacity for energy in plan.energy_kwh))
        name, colour = "Planned state of charge %", "var(--c-soc)"
        series.append(planned(name, plan.at, levels, end, colour, axis=1, straight=True))
    before = [(at, value) for at, value in held if at < starts[0]]
    times = [*(at for at, _ in before), *starts]
    values = (*(value for _, value in before), *plan.price)
    price = planned("Price", times, values, end, "var(--c-price)", axis=2)
    price["lineStyle"]["type"] = "solid"
    return [*series, price]


def session_rows(plan: Ahead | None, zone: ZoneInfo, now: datetime, currency: str) -> Rows:
    """The plan as figures."""
    columns = (
        ("Time", ""),
        ("Planned power kW", "number"),
        ("State of charge", "number"),
        (f"Price {currency}/kWh", "number"),
    )
    if plan is None:
        return Rows(columns, ())
    capacity = plan.capacity_kwh
    steps = zip(plan.at[:-1], plan.power_kw, plan.energy_kwh, plan.price, strict=True)
    return Rows(
        columns,
        tuple(
            (
                moment(start, zone, now),
                number(power),
                percent(energy / capacity) if capacity else kwh(energy),
                number(price, 3),
            )
            for start, power, energy, price in steps
        ),
    )


def thinned(points: Sequence[SeriesPoint]) -> list[SeriesPoint]:
    """Evenly spaced points, the last always among them; a long session has thousands."""
    every = max(len(points) // MOST_POINTS, 1)
    kept = list(points[::every])
    if points and kept[-1] is not points[-1]:
        kept.append(points[-1])
    return kept
