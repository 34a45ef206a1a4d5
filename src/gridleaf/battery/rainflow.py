"""Rainflow counting: the cycles of a sequence that goes on, and of one that ends where it begins.

The four-point method: a swing that lies within both of its neighbours is a full cycle and is taken
out. What is left has growing and then shrinking swings; only at the end of a life do they count, as
half cycles (ASTM E1049-85 (2017), 5.4.4). A closed sequence that is begun at its highest value leaves
the swing from there to its lowest and back: it has no half cycles (5.4.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles:
    """Counted cycles: ``depth``, ``mean`` and ``count``, which is 1 or 0.5; arrays of one length."""

    depth: Floats
    mean: Floats
    count: Floats

    @property
    def efc(self) -> float:
        """Their throughput; in equivalent full cycles, where the sequence is of SoC."""
        return float(self.depth @ self.count)


def count(values: Iterable[float], open_points: Iterable[float] = ()) -> tuple[Cycles, Floats]:
    """Full cycles that close within ``values``, and the turning points that stay open.

    ``open_points`` are those of the history before: counting it in parts gives the same cycles.
    """
    points: list[float] = list(open_points)
    closed: list[tuple[float, float]] = []
    for now in map(float, values):
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


def closed_depths(values: Iterable[float]) -> Floats:
    """Depths of the full cycles of a sequence that ends where it begins."""
    path = list(values)
    top = path.index(max(path)) if path else 0
    cycles, left = count([*path[top:], *path[: top + 1]])
    return np.append(cycles.depth, left[0] - left[1]) if len(left) > 1 else cycles.depth


def cycle_cost(energy_kwh: Floats, width_kwh: float, eur_per_kwh: Floats) -> float:
    """What the cycles of a closed sequence of energies cost by slices of their depth [EUR].

    The part of a cycle in slice j, from its top down, costs ``eur_per_kwh[j]``; what is deeper than
    all slices costs as much as the last.
    """
    depths = closed_depths(energy_kwh.tolist())
    top = width_kwh * np.arange(len(eur_per_kwh))
    most = np.full(len(eur_per_kwh), width_kwh)
    most[-1] = np.inf
    return float((np.clip(depths[:, None] - top, 0.0, most) @ eur_per_kwh).sum())


def _cycles(swings: list[tuple[float, float]], weight: float) -> Cycles:
    ends = np.array(swings).reshape(-1, 2)
    return Cycles(
        depth=np.abs(ends[:, 0] - ends[:, 1]),
        mean=ends.mean(axis=1),
        count=np.full(len(ends), weight),
    )
