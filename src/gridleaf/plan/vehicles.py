"""What a vehicle brings to its visits, and what holding energy costs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridleaf.plan.problem import Floats, Ints, Visits, filled, predecessors, waves


@dataclass(frozen=True, slots=True)
class Chains:
    """How N visits follow each other, and within which energies [kWh] they stay; all ``(N,)``.

    ``before`` and ``after`` are positions, -1 where there is none; ``waves`` are all second visits, all
    third ones and so on. ``floor`` is -inf where there is none. ``idle`` is the energy at arrival of a
    vehicle that never had power: doing nothing is always allowed, so ``least`` and ``most`` include it.
    """

    before: Ints
    after: Ints
    waves: list[Ints]
    trip: Floats
    floor: Floats
    idle: Floats
    least: Floats
    most: Floats

    @property
    def first(self) -> Ints:
        """The first visit of each vehicle ``(V,)``."""
        return np.flatnonzero(self.before < 0)

    def along(self, values: Floats) -> Floats:
        """Sums over each visit and all before it."""
        total = values.copy()
        for wave in self.waves:
            total[wave] += total[self.before[wave]]
        return total


def chains(visits: Visits) -> Chains:
    """The visits of each vehicle in their order."""
    before = predecessors(visits)
    follows = np.flatnonzero(before >= 0)
    after = np.full(len(before), -1)
    after[before[follows]] = follows
    trip = np.zeros(len(before)) if visits.trip_kwh is None else filled(visits.trip_kwh, 0.0)
    floor = filled(visits.min_kwh, -np.inf)
    floor[follows] = np.where(np.isinf(floor[follows]), 0.0, floor[follows])
    idle = visits.energy_kwh.copy()
    order = waves(before)
    for wave in order:
        idle[wave] = np.maximum(idle[before[wave]] - trip[wave], floor[wave])
    return Chains(
        before=before,
        after=after,
        waves=order,
        trip=trip,
        floor=floor,
        idle=idle,
        least=np.minimum(floor, idle),
        most=np.maximum(filled(visits.max_kwh, np.inf), idle),
    )


def useful_on_the_way(visits: Visits, chain: Chains, fall_kwh: Floats) -> Floats:
    """More than this ``(N,)`` [kWh] is never worth taking in on the way to a visit.

    ``fall_kwh`` is what each can discharge: with all trips of the vehicle, floors and targets that is
    all the energy it has a use for.
    """
    wanted = np.fmax(np.fmax(visits.target_kwh, visits.min_kwh), 0.0)
    below = np.fmax(-visits.energy_kwh, 0.0)
    use = wanted + below + fall_kwh + chain.trip
    total = chain.along(use)
    for wave in reversed(chain.waves):
        total[chain.before[wave]] = total[wave]
    return np.where(chain.before >= 0, total, 0.0)


@dataclass(frozen=True, slots=True)
class Holding:
    """What N vehicles pay for the energy e that they hold for an hour, convex [EUR/h].

    It is ``start + slope[0] e``, and from ``level[b]`` [kWh] on its slope is ``slope[b + 1]`` [EUR/kWh/h].
    Shapes ``(N,)``, ``(N, B)`` and ``(N, B - 1)``; a level that is not there is infinite.
    """

    start: Floats
    slope: Floats
    level: Floats

    def cost(self, energy_kwh: Floats) -> Floats:
        """The cost per hour of energies ``(N, T)``."""
        result = self.start[:, None] + self.slope[:, :1] * energy_kwh
        for b, rise in enumerate(np.diff(self.slope, axis=1).T):
            if rise.any():
                result += rise[:, None] * np.maximum(energy_kwh - self.level[:, b, None], 0.0)
        return result

    def of(self, visits: Ints) -> Holding:
        """That of some visits."""
        return Holding(self.start[visits], self.slope[visits], self.level[visits])

    def at(self, energy_kwh: Floats) -> Floats:
        """The cost per hour of one energy each ``(N,)``."""
        return self.cost(energy_kwh[:, None])[:, 0]

    @property
    def costs(self) -> NDArray[np.bool_]:
        """Which pay anything ``(N,)``."""
        return np.asarray(np.any(self.slope != 0, axis=1))


def dwelling(visits: Visits) -> Holding:
    """The cost of charge level of each visit."""
    count = len(visits.id)
    levels, slopes = visits.dwell_kwh, visits.dwell_eur_per_kwh_h
    if levels is None or slopes is None or not levels.size:
        return Holding(np.zeros(count), np.zeros((count, 1)), np.zeros((count, 0)))
    slope = slopes.copy()
    slope[:, 0] = filled(slope[:, 0], 0.0)
    for b in range(1, slope.shape[1]):
        slope[:, b] = np.where(np.isnan(slope[:, b]), slope[:, b - 1], slope[:, b])
    return Holding(
        start=-slope[:, 0] * filled(levels[:, 0], 0.0),
        slope=slope,
        level=filled(levels[:, 1:], np.inf),
    )
