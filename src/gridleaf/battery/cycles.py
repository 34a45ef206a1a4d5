"""Cycles of a day that closes: rainflow counting without half cycles."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def cycle_cost(energy_kwh: Floats, width_kwh: float, eur_per_kwh: Floats) -> float:
    """What the cycles of a closed sequence of energies cost by slices of their depth [EUR].

    The part of a cycle in slice j, from its top down, costs ``eur_per_kwh[j]``; what is deeper than
    all slices costs as much as the last.
    """
    depths = np.array(closed_cycles(energy_kwh.tolist()))
    top = width_kwh * np.arange(len(eur_per_kwh))
    most = np.full(len(eur_per_kwh), width_kwh)
    most[-1] = np.inf
    return float((np.clip(depths[:, None] - top, 0.0, most) @ eur_per_kwh).sum())


def closed_cycles(values: Iterable[float]) -> list[float]:
    """Depths of the full cycles of a sequence that ends where it begins, by rainflow counting.

    Begun at its highest value a closed sequence has no half cycles (ASTM E1049, section 5.4.5).
    """
    stack: list[float] = []
    depths = []
    for value in _turning_points(list(values)):
        stack.append(value)
        while len(stack) > 3:
            inner = abs(stack[-2] - stack[-3])
            if inner > abs(stack[-1] - stack[-2]) or inner > abs(stack[-3] - stack[-4]):
                break
            depths.append(inner)
            del stack[-3:-1]
    return [*depths, stack[0] - stack[1]] if len(stack) > 1 else depths


def _turning_points(values: list[float]) -> list[float]:
    """The turning points of a closed sequence, from its highest value on and back to it."""
    if not values:
        return []
    top = values.index(max(values))
    points: list[float] = []
    for value in (*values[top:], *values[: top + 1]):
        if points and value == points[-1]:
            continue
        if len(points) > 1 and (points[-1] > points[-2]) == (value > points[-1]):
            points[-1] = value
        else:
            points.append(value)
    return points
