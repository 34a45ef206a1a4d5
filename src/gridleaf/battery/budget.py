"""How much a vehicle may still give: warranty and throughput budgets, and a floor under its health."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from gridleaf.battery.health import FADE_PER_YEAR

_YEAR_D = 365.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the owner of a vehicle lets it give, at the grid side; None is no bound.

    ``floor_soh`` (0..1) shall not be passed before the day ``floor_on``.
    """

    per_year_kwh: float | None = None
    total_kwh: float | None = None
    floor_soh: float | None = None
    floor_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedFade:
    """What an ageing model expects: health lost by time alone, and by each kWh that is given.

    A ``per_kwh`` of 0 or less is a model in which giving does not wear.
    """

    per_year: float = FADE_PER_YEAR
    per_kwh: float = 0.0


def allowed_discharge_kwh(
    budget: Budget,
    *,
    year_kwh: float,
    total_kwh: float,
    at: datetime,
    soh: float | None = None,
    fade: PredictedFade | None = None,
) -> tuple[float | None, str]:
    """What is left of the tightest bound, and that bound in words; None where nothing bounds.

    Parameters
    ----------
    year_kwh, total_kwh
        Given so far this year, and in all [kWh].
    soh
        Health now as measured; None is not known, and then the floor bounds nothing.
    fade
        Prediction up to ``floor_on``; without one, time alone wears.
    """
    left: list[tuple[float, str]] = []
    if budget.per_year_kwh is not None:
        room = budget.per_year_kwh - year_kwh
        left.append((room, f"its {budget.per_year_kwh:g} kWh for this year are given"))
    if budget.total_kwh is not None:
        room = budget.total_kwh - total_kwh
        left.append((room, f"its {budget.total_kwh:g} kWh in all are given"))
    if budget.floor_soh is not None and budget.floor_on is not None and soh is not None:
        expected = fade or PredictedFade()
        years = max((budget.floor_on - at.date()).days / _YEAR_D, 0.0)
        spare = soh - expected.per_year * years - budget.floor_soh
        words = f"its health would be below {budget.floor_soh:.0%} by {budget.floor_on}"
        if years > 0 and spare <= 0:
            left.append((0.0, words))
        elif years > 0 and expected.per_kwh > 0:
            left.append((spare / expected.per_kwh, words))
    if not left:
        return None, ""
    room, words = min(left)
    return max(room, 0.0), words
