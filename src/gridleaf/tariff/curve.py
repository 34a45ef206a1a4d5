"""Prices as arrays: cheap enough to be asked in every control cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gridleaf.domain.prices import PricePoint
from gridleaf.domain.site import Tariff

Floats = npt.NDArray[np.float64]
Prices = tuple[tuple[float, ...], tuple[float, ...], tuple[bool, ...]]
"""Import price, export price, known: one number for each step."""

LONGEST_MTU = timedelta(hours=1)
"""No market trades a longer unit; a longer distance between two prices is a gap."""
_TOUCH_S = 1e-3


@dataclass(frozen=True, slots=True)
class PriceCurve:
    """Piecewise constant market price, with gaps where nothing is known.

    ``starts_s`` and ``ends_s`` are Unix seconds of N intervals that neither overlap nor run
    backwards, ``price`` [currency per kWh] has N numbers.
    """

    starts_s: Floats
    ends_s: Floats
    price: Floats

    @classmethod
    def of(cls, points: Sequence[PricePoint]) -> PriceCurve:
        """Points in any order; of two that overlap, the one that starts later wins from its start."""
        ordered = sorted(points, key=lambda p: p.start)
        starts = np.array([p.start.timestamp() for p in ordered], dtype=np.float64)
        ends = np.array([p.end.timestamp() for p in ordered], dtype=np.float64)
        price = np.array([p.price_per_kwh for p in ordered], dtype=np.float64)
        if len(ordered) > 1:
            ends[:-1] = np.minimum(ends[:-1], starts[1:])
        return cls(starts, ends, price)

    def __len__(self) -> int:
        return int(self.price.size)

    def covered_until(self, at: datetime) -> datetime:
        """End of the prices known without a gap from ``at`` on; ``at`` itself when none is."""
        at_s = at.timestamp()
        first = int(np.searchsorted(self.starts_s, at_s + _TOUCH_S, side="right")) - 1
        if first < 0 or self.ends_s[first] <= at_s:
            return at
        gaps = np.flatnonzero(self.starts_s[first + 1 :] > self.ends_s[first:-1] + _TOUCH_S)
        last = first + int(gaps[0]) if gaps.size else len(self) - 1
        return datetime.fromtimestamp(float(self.ends_s[last]), UTC)

    def means(
        self, start: datetime, step_h: Sequence[float]
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Time-weighted mean price of each step, and whether the whole step is known.

        Parameters
        ----------
        start
            Start of the first step (aware).
        step_h
            Length of each of the T steps [h].

        Returns
        -------
        price, known
            (T,) mean [currency per kWh], 0 where not known; (T,) bool.
        """
        lengths_s = np.asarray(step_h, dtype=np.float64) * 3600.0
        if not len(self):
            return np.zeros(lengths_s.size), np.zeros(lengths_s.size, dtype=np.bool_)
        # Seconds relative to the start keep microseconds exact in a float.
        origin = start.timestamp()
        edges = np.concatenate(([0.0], np.cumsum(lengths_s)))
        first = max(int(np.searchsorted(self.ends_s, origin, side="right")), 0)
        last = int(np.searchsorted(self.starts_s, origin + edges[-1], side="left"))
        if first >= last:
            return np.zeros(lengths_s.size), np.zeros(lengths_s.size, dtype=np.bool_)
        starts, ends = self.starts_s[first:last] - origin, self.ends_s[first:last] - origin
        corners = np.column_stack((starts, ends)).ravel()
        seconds = np.zeros(corners.size)
        money = np.zeros(corners.size)
        seconds[1::2] = ends - starts
        money[1::2] = (ends - starts) * self.price[first:last]
        covered_s = np.diff(np.interp(edges, corners, np.cumsum(seconds)))
        paid = np.diff(np.interp(edges, corners, np.cumsum(money)))
        known = covered_s >= lengths_s - _TOUCH_S
        price = np.divide(paid, covered_s, out=np.zeros_like(paid), where=covered_s > 0)
        return np.where(known, price, 0.0), known


def tariff_prices(
    curve: PriceCurve, start: datetime, step_h: Sequence[float], tariff: Tariff
) -> Prices:
    """What a kWh costs and earns at the grid connection in each step.

    Market price times factor plus adder; the tariff's flat prices, marked not known, in every step
    that the market prices do not cover from end to end. Negative market prices count as they are.
    """
    market, known = curve.means(start, step_h)
    buy = np.where(known, market * tariff.factor + tariff.adder, tariff.import_price)
    sell = np.where(known, market * tariff.export_factor + tariff.export_adder, tariff.export_price)
    return tuple(buy.tolist()), tuple(sell.tolist()), tuple(known.tolist())


def ends_of(starts: Sequence[datetime]) -> list[datetime]:
    """Ends of intervals of which only the rising starts are known.

    An interval is as long as the shorter distance to its neighbours and at most an hour, so a
    missing row leaves a gap, and a change from hours to quarter-hours is followed.
    """
    if len(starts) < 2:
        return [start + LONGEST_MTU for start in starts]
    steps = [b - a for a, b in pairwise(starts)]
    before = [steps[0], *steps]
    after = [*steps, steps[-1]]
    return [
        start + min(a, b, LONGEST_MTU) for start, a, b in zip(starts, before, after, strict=True)
    ]
