"""Rainflow counting of SoC, along a history that goes on: what is still open is carried over.

The four-point method: a swing that lies within both of its neighbours is a full cycle and is taken
out. What is left has growing and then shrinking swings; only at the end of a life do they count, as
half cycles, as in ASTM E1049-85 (2017), 5.4.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gridleaf.battery.ageing.stress import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles:
    """Counted cycles: ``depth`` and ``mean`` of SoC, ``count`` 1 or 0.5; arrays of one length."""

    depth: Floats
    mean: Floats
    count: Floats

    @property
    def efc(self) -> float:
        """Their throughput in equivalent full cycles."""
        return float(self.depth @ self.count)


def count(soc: Iterable[float], open_points: Iterable[float] = ()) -> tuple[Cycles, Floats]:
    """Full cycles that close within ``soc``, and the turning points that stay open.

    ``open_points`` are those of the history before: counting it in parts gives the same cycles.
    """
    points: list[float] = list(open_points)
    closed: list[tuple[float, float]] = []
    for now in map(float, soc):
        if points and now == points[-1]:
            continue
        if len(points) >= 2 and (points[-1] > points[-2]) == (now > points[-1]):
            points[-1] = now
        else:
            points.append(now)
        while len(points) >= 4:
            a, b, c, d = points[-4:]
            if abs(b - c) > abs(a - b) or abs(b - c) > abs(c - d):
                break
            closed.append((b, c))
            del points[-3:-1]
    return _cycles(closed, 1.0), np.array(points)


def halves(open_points: Floats) -> Cycles:
    """What is still open at the end of a history, as half cycles."""
    points = [float(point) for point in open_points]
    return _cycles(list(pairwise(points)), 0.5)


def _cycles(swings: list[tuple[float, float]], weight: float) -> Cycles:
    ends = np.array(swings).reshape(-1, 2)
    return Cycles(
        depth=np.abs(ends[:, 0] - ends[:, 1]),
        mean=ends.mean(axis=1),
        count=np.full(len(ends), weight),
    )
