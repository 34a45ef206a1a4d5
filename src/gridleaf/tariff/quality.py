"""Is a price a price? Wrong units and wild jumps are kept away from the planner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from gridleaf.domain.prices import PricePoint

JUMP = 100.0
"""A price this many times the recent median magnitude is not believed.

The largest genuine ratio on record is about 40 (Germany on 2024-06-26, 2.33 EUR/kWh on a median of
0.06 EUR/kWh); a mix-up of kWh and MWh is 1000.
"""
ALWAYS_PLAUSIBLE = 1.0
"""Below this magnitude no price is refused, whatever the median [currency per kWh]."""
NEVER_PLAUSIBLE = 10.0
"""Twice the technical limit of any European market [currency per kWh]; in EUR, GBP or alike."""
COLLAPSE = 300.0
"""A batch whose largest price is this many times below the recent median has the wrong unit."""
_BATCH = 12


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A price that was not believed, and why."""

    point: PricePoint
    reason: str


def sift(
    points: Sequence[PricePoint], recent: Sequence[float] = ()
) -> tuple[list[PricePoint], list[Quarantined]]:
    """Split prices into believed and quarantined.

    Parameters
    ----------
    points
        New prices.
    recent
        Believed prices of the last days [currency per kWh], the scale to judge by; without them the
        new ones are judged by their own median.
    """
    good: list[PricePoint] = []
    bad: list[Quarantined] = []
    for point in points:
        if not math.isfinite(point.price_per_kwh):
            bad.append(Quarantined(point, "not a number"))
        elif point.end <= point.start:
            bad.append(Quarantined(point, "ends before it starts"))
        else:
            good.append(point)
    if not good:
        return good, bad
    scale = median(abs(p) for p in (recent or [p.price_per_kwh for p in good]))
    largest = max(abs(p.price_per_kwh) for p in good)
    if recent and len(good) >= _BATCH and 0 < largest * COLLAPSE < scale:
        reason = f"{scale / largest:.0f} times below the recent median: wrong unit"
        return [], bad + [Quarantined(point, reason) for point in good]
    limit = min(max(JUMP * scale, ALWAYS_PLAUSIBLE), NEVER_PLAUSIBLE)
    believed = []
    for point in good:
        if abs(point.price_per_kwh) <= limit:
            believed.append(point)
        else:
            reason = f"{point.price_per_kwh:g} per kWh is beyond the plausible {limit:g}"
            bad.append(Quarantined(point, reason))
    return believed, bad
