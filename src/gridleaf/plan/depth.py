"""What the depth of a cycle costs: the full cycles of a closed day, each at a convex price.

A kWh taken out of a full battery wears it less than one taken out below it: the loss of a cycle grows
faster than its depth. The range of a battery is cut into equal slices, and of a cycle that goes down by
d the part in slice j costs that slice's price. Cycles are those of rainflow counting on the closed
sequence, in which the drive leads from the last departure back to the first arrival (Xu, Zhao, Zheng,
Litvinov, Kirschen 2018, doi 10.1109/TPWRS.2017.2733339; convex: Shi, Xu, Tan, Zhang 2018, arXiv
1703.07968).
"""

from __future__ import annotations

import numpy as np

from gridleaf.battery.rainflow import cycle_cost
from gridleaf.plan.problem import Floats, Problem, Visits
from gridleaf.plan.vehicles import Chains


def slices(visits: Visits) -> tuple[Floats, Floats]:
    """Width ``(N,)`` [kWh] and price ``(N, J)`` [EUR/kWh] of each visit's slices; NaN where none."""
    count = len(visits.id)
    if visits.depth_kwh is None or visits.depth_eur_per_kwh is None:
        return np.full(count, np.nan), np.zeros((count, 0))
    number = np.count_nonzero(~np.isnan(visits.depth_eur_per_kwh), axis=1)
    width = np.full(count, np.nan)
    np.divide(visits.depth_kwh, number, out=width, where=number > 0)
    return width, visits.depth_eur_per_kwh


def depth_cost(problem: Problem, chain: Chains, arrival_kwh: Floats, energy_kwh: Floats) -> Floats:
    """What the cycles of each vehicle cost, at its first visit ``(N,)`` [EUR].

    ``arrival_kwh`` ``(N,)`` and ``energy_kwh`` ``(N, T)`` are what is in the batteries at arrival and at
    the ends of the steps.
    """
    visits = problem.visits
    width, price = slices(visits)
    cost = np.zeros(len(visits.id))
    for i in np.flatnonzero((chain.before < 0) & ~np.isnan(width)).tolist():
        at, path = i, [arrival_kwh[i : i + 1]]
        while True:
            path.append(energy_kwh[at, visits.arrive[at] : visits.depart[at]])
            at = int(chain.after[at])
            if at < 0:
                break
            path.append(arrival_kwh[at : at + 1])
        known = price[i][~np.isnan(price[i])]
        cost[i] = cycle_cost(np.concatenate(path), float(width[i]), known)
    return cost
