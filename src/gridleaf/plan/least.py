"""Least powers in the fleet method: schedules that ignore them give way to ones that keep them.

A power that is not 0 must be at least some power, and a vehicle to which that applies does not charge and
discharge at once. That is not convex, so prices alone cannot plan it. The relaxed schedules are nearly
there: few vehicles have a power in between. One after the other these are planned again, each alone at
the prices of the relaxed plan and with what all others leave of limits and highest powers: dynamic
programming (Bellman 1957) over steps and energies, with the value between two energies interpolated.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.sparse import csr_array

from gridleaf.domain.compiled import compiled
from gridleaf.plan.network import Network
from gridleaf.plan.problem import (
    Floats,
    Ints,
    Penalties,
    Problem,
    by_step,
    filled,
    least_powers,
)
from gridleaf.plan.vehicles import chains, dwelling

HALF: Final = 40
"""Energies looked at below the wanted one, and above it."""
POWERS: Final = 4
"""Powers tried from the least to the most one."""
TINY: Final = 1e-9
"""Less than this is nothing [kWh]."""
ROUNDS = 4
"""The first is for those who break a least power, the others for those who miss something or break a limit."""
STIFFNESS = 0.01
"""By how much a step gets dearer when a vehicle's power goes beyond the relaxed plan [-]."""


def keep_least_powers(
    problem: Problem,
    prices: Penalties,
    net: Network,
    kind: Ints,
    price: Floats,
    charge_kw: Floats,
    discharge_kw: Floats,
    trip_unmet_kwh: Floats,
) -> None:
    """Change schedules ``(N, T)`` [kW] in place so that they keep the least powers of a problem.

    ``kind`` ``(N,)`` and ``price`` ``(P, T)`` [EUR/kWh] are the classes of the visits and their prices. What
    the trips lack then, ``trip_unmet_kwh`` ``(N,)``, is changed too.
    """
    visits, step_h = problem.visits, problem.step_h
    steps, chain, holding = len(step_h), chains(visits), dwelling(visits)
    drawn = np.zeros((net.incidence.shape[1], steps))
    np.add.at(drawn, kind, (charge_kw - discharge_kw) * step_h)
    flow = net.flows(drawn)
    peak = np.maximum((flow / step_h).max(axis=1, initial=0.0), net.so_far)
    lines = csr_array(net.incidence.T)
    least_in, least_out = least_powers(visits)
    short = visits.energy_kwh < chain.floor
    planned = flow.copy()
    power = float(np.maximum(charge_kw, discharge_kw).max(axis=1, initial=0.0).mean())
    stiff = STIFFNESS * float(np.abs(price).mean()) / max(power * float(step_h.mean()), TINY)
    for again in range(ROUNDS):
        # who misses something may first push others out, who then make room
        over = np.minimum(net.over, 0.25 * prices.unmet_eur_per_kwh) if again == 1 else net.over
        _keep(
            again, chain.first, chain.after, visits.arrive, visits.depart, visits.energy_kwh,
            chain.trip, chain.least, chain.most, filled(visits.target_kwh, -np.inf),
            np.where(short, chain.floor, -np.inf), visits.charge_efficiency,
            visits.discharge_efficiency, by_step(visits.charge_kw, steps),
            by_step(visits.discharge_kw, steps), least_in, least_out, visits.wear_eur_per_kwh,
            visits.value_eur_per_kwh, holding.start, holding.slope, holding.level,
            prices.unmet_eur_per_kwh, prices.short_eur_per_kwh_h, prices.trip_eur_per_kwh, step_h, kind, price,
            lines.indptr.astype(np.int64), lines.indices.astype(np.int64), lines.data,
            flow, peak, net.limit_in, net.limit_out, over, net.demand, planned, stiff,
            charge_kw, discharge_kw, trip_unmet_kwh,
        )  # fmt: skip


@compiled
def _beyond(
    start: Ints, line: Ints, weight: Floats, flow: Floats, peak: Floats, limit_in: Floats,
    limit_out: Floats, over: Floats, demand: Floats, planned: Floats, stiff: float, hours: float,
    p: int, t: int, drawn: float,
) -> Any:  # fmt: skip
    """What one more draw [kWh] of class p costs beyond limits and highest powers, and off the plan [EUR]."""
    cost = 0.0
    for at in range(start[p], start[p + 1]):
        m = line[at]
        carried = flow[m, t] + weight[at] * drawn
        cost += 0.5 * stiff * (carried - planned[m, t]) ** 2
        beyond = max(carried - limit_in[m, t], -carried - limit_out[m, t])
        if beyond > 0.0:
            cost += over[m] * beyond
        if demand[m] > 0.0 and carried > peak[m] * hours:
            cost += demand[m] * (carried / hours - peak[m])
    return cost


@compiled
def _value(values: Floats, energy: float, low: float, goal: float, high: float) -> Any:
    """The value between two energies looked at: from ``low`` to the ``goal``, and on to ``high``."""
    if energy < goal:
        place = (energy - low) / (goal - low) * HALF
    elif high > goal:
        place = HALF + (energy - goal) / (high - goal) * HALF
    else:
        place = float(HALF)
    at = min(max(int(place), 0), 2 * HALF - 1)
    return values[at] + (values[at + 1] - values[at]) * (place - at)


@compiled
def _held(start: Floats, slope: Floats, level: Floats, i: int, energy: float) -> Any:
    """What holding this energy for an hour costs visit i [EUR/h]."""
    cost = start[i] + slope[i, 0] * energy
    for b in range(level.shape[1]):
        cost += (slope[i, b + 1] - slope[i, b]) * max(energy - level[i, b], 0.0)
    return cost


@compiled
def _best(
    energy: float, goal: float, low: float, high: float, gains: Floats,
    costs: Floats, count: int, values: Floats, hold_start: Floats,
    hold_slope: Floats, hold_level: Floats, i: int, floor: float, short: float, hours: float,
) -> Any:  # fmt: skip
    """The least cost from this step on with this energy before it, and by how much it changes then."""
    least, by = np.inf, 0.0
    for a in range(count + 1):
        x, cost = 0.0, 0.0
        if a < count:
            x, cost = gains[a], costs[a]
        else:
            # exactly to the goal, if there is a power for that
            x, cost = goal - energy, np.inf
            for n in range(1, count - 1):
                inside = gains[n] < x <= gains[n + 1] or gains[n + 1] <= x < gains[n]
                if inside and gains[n] * gains[n + 1] > 0.0:
                    part = (x - gains[n]) / (gains[n + 1] - gains[n])
                    cost = costs[n] + (costs[n + 1] - costs[n]) * part
        after = energy + x
        if after < low - TINY or after > high + TINY or cost == np.inf:
            continue
        cost += _held(hold_start, hold_slope, hold_level, i, after) * hours
        cost += short * max(floor - after, 0.0) * hours
        cost += _value(values, after, low, goal, high)
        if cost < least:
            least, by = cost, x
    return least, by


@compiled
def _keep(
    again: int, firsts: Ints, after: Ints, arrive: Ints, depart: Ints, start_kwh: Floats,
    trip: Floats, least_kwh: Floats, most_kwh: Floats, target: Floats, floor: Floats,
    efficiency_in: Floats, efficiency_out: Floats, most_in: Floats, most_out: Floats,
    least_in: Floats, least_out: Floats, wear: Floats, value: Floats, hold_start: Floats,
    hold_slope: Floats, hold_level: Floats, unmet: float, short: float,
    lacking: float, step_h: Floats,
    kind: Ints, prices: Floats, start: Ints, line: Ints, weight: Floats, flow: Floats,
    peak: Floats, limit_in: Floats, limit_out: Floats, over: Floats, demand: Floats,
    planned: Floats, stiff: float, charge_kw: Any, discharge_kw: Any, taken: Floats,
) -> None:  # fmt: skip
    """Plan again those whose turn it is (see ``ROUNDS``)."""
    steps = len(step_h)
    values = np.zeros((steps + 1, 2 * HALF + 1))
    gains = np.zeros((steps, 2 * POWERS + 1))
    costs = np.zeros((steps, 2 * POWERS + 1))
    counts = np.zeros(steps, dtype=np.int64)
    for first in firsts:
        i, e, wrong, applies = first, start_kwh[first], False, False
        while i >= 0:
            one = least_in[i] > 0.0 or least_out[i] > 0.0
            applies = applies or one
            if i != first:
                e += taken[i] - trip[i]
                wrong = wrong or (again > 0 and taken[i] > 1e-6)
            for t in range(arrive[i], depart[i]):
                c, d = charge_kw[i, t], discharge_kw[i, t]
                for at in range(start[kind[i]], start[kind[i] + 1] if again == 2 else 0):
                    m = line[at]
                    beyond = max(flow[m, t] - limit_in[m, t], -flow[m, t] - limit_out[m, t])
                    wrong = wrong or (c + d > 0.0 and beyond > TINY)
                if again == 0 and one:
                    wrong = wrong or (0.0 < c < least_in[i]) or (0.0 < d < least_out[i])
                    wrong = wrong or (c > 0.0 and d > 0.0)
                e += (c * efficiency_in[i] - d / efficiency_out[i]) * step_h[t]
            wrong = wrong or (again > 0 and e < target[i] - 1e-6)
            i = after[i]
        if not (wrong and applies):
            continue
        i, arrival, relaxed, failed = first, start_kwh[first], start_kwh[first], False
        while i >= 0:
            p, into, out = kind[i], efficiency_in[i], efficiency_out[i]
            a, b = arrive[i], depart[i]
            if i != first:
                relaxed += taken[i] - trip[i]
                arrival -= trip[i]
                taken[i] = max(least_kwh[i] - arrival, 0.0)
                arrival += taken[i]
                failed = failed or arrival > most_kwh[i] + TINY
            rise = fall = 0.0
            for t in range(a, b):
                drawn = (charge_kw[i, t] - discharge_kw[i, t]) * step_h[t]
                relaxed += (charge_kw[i, t] * into - discharge_kw[i, t] / out) * step_h[t]
                for at in range(start[p], start[p + 1]):
                    flow[line[at], t] -= weight[at] * drawn
                rise += most_in[i, t] * step_h[t] * into
                fall += most_out[i, t] * step_h[t] / out
            low = max(least_kwh[i], arrival - fall)
            high = max(min(most_kwh[i], arrival + rise), arrival)
            wanted = target[i]
            if after[i] >= 0:
                wanted = max(wanted, relaxed)
            goal = min(max(wanted, low), high)
            one = least_in[i] > 0.0 or least_out[i] > 0.0
            for t in range(a, b):
                h = step_h[t]
                gains[t, 0] = costs[t, 0] = 0.0
                count = 1
                for way in range(2):
                    top = (most_in[i, t] if way == 0 else most_out[i, t]) * h
                    bottom = (least_in[i] if way == 0 else least_out[i]) * h
                    if top <= 0.0:
                        continue
                    bottom = max(bottom, 0.0 if one else top / POWERS)
                    if bottom <= 0.0:
                        bottom = top / POWERS
                    for n in range(POWERS):
                        x = bottom + (top - bottom) * n / (POWERS - 1)
                        drawn = x if way == 0 else -x
                        gains[t, count] = x * into if way == 0 else -x / out
                        costs[t, count] = prices[p, t] * drawn + _beyond(
                            start, line, weight, flow, peak, limit_in, limit_out, over, demand,
                            planned, stiff, h, p, t, drawn,
                        ) - _beyond(
                            start, line, weight, flow, peak, limit_in, limit_out, over, demand,
                            planned, stiff, h, p, t, 0.0,
                        )  # fmt: skip
                        if way == 1:
                            costs[t, count] += wear[i] * x
                        count += 1
                counts[t] = count
            for n in range(2 * HALF + 1):
                e = low + (goal - low) * n / HALF
                if n > HALF:
                    e = goal + (high - goal) * (n - HALF) / HALF
                values[b, n] = unmet * max(target[i] - e, 0.0)
                if after[i] >= 0:
                    # no less than planned, at least what the trip takes, and no more than fits then
                    then, left = after[i], e - trip[after[i]]
                    values[b, n] += unmet * max(relaxed - e, 0.0)
                    values[b, n] += lacking * max(
                        least_kwh[then] - left, left - most_kwh[then], 0.0
                    )
                else:
                    values[b, n] -= value[i] * e
            for t in range(b - 1, a - 1, -1):
                for n in range(2 * HALF + 1):
                    e = low + (goal - low) * n / HALF
                    if n > HALF:
                        e = goal + (high - goal) * (n - HALF) / HALF
                    values[t, n] = _best(
                        e, goal, low, high, gains[t], costs[t], counts[t],
                        values[t + 1], hold_start, hold_slope, hold_level, i, floor[i], short,
                        step_h[t],
                    )[0]  # fmt: skip
            e = arrival
            for t in range(a, b):
                _, x = _best(
                    e, goal, low, high, gains[t], costs[t], counts[t],
                    values[t + 1], hold_start, hold_slope, hold_level, i, floor[i], short,
                    step_h[t],
                )  # fmt: skip
                e += x
                charge_kw[i, t] = max(x, 0.0) / into / step_h[t]
                discharge_kw[i, t] = max(-x, 0.0) * out / step_h[t]
                drawn = (charge_kw[i, t] - discharge_kw[i, t]) * step_h[t]
                for at in range(start[p], start[p + 1]):
                    m = line[at]
                    flow[m, t] += weight[at] * drawn
                    peak[m] = max(peak[m], flow[m, t] / step_h[t])
            arrival = e
            i = after[i]
        if failed:  # nothing at all always can be done
            i, e = first, start_kwh[first]
            while i >= 0:
                if i != first:
                    taken[i] = max(least_kwh[i] - (e - trip[i]), 0.0)
                    e += taken[i] - trip[i]
                for t in range(arrive[i], depart[i]):
                    drawn = (charge_kw[i, t] - discharge_kw[i, t]) * step_h[t]
                    for at in range(start[kind[i]], start[kind[i] + 1]):
                        flow[line[at], t] -= weight[at] * drawn
                    charge_kw[i, t] = discharge_kw[i, t] = 0.0
                i = after[i]
