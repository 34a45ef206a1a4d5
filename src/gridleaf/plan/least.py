"""Least powers in the fleet method: schedules that ignore them are moved to ones that keep them.

A power that is not 0 must be at least some power, and a vehicle to which that applies does not charge and
discharge at once. That is not convex, so prices alone cannot plan it. The relaxed schedules are nearly
there: only few steps of a vehicle have a power in between. Vehicle by vehicle their energy moves between
its own steps, the cheapest first, as far as battery and limits allow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from gridleaf.domain.compiled import compiled
from gridleaf.plan.network import Network
from gridleaf.plan.problem import Floats, Ints, Problem, by_step, filled, least_powers
from gridleaf.plan.vehicles import chains

NOTHING = 1e-9
"""Less than this is no energy [kWh]."""


def keep_least_powers(
    problem: Problem,
    net: Network,
    kind: Ints,
    price: Floats,
    charge_kw: Floats,
    discharge_kw: Floats,
    trip_unmet_kwh: Floats,
) -> int:
    """Change schedules ``(N, T)`` [kW] in place so that they keep the least powers of a problem.

    ``kind`` ``(N,)`` and ``price`` ``(P, T)`` are the classes of the visits and their prices. Limits that
    hold go on holding and no new highest power is made, where the vehicle has another way. What trips
    lack after that, ``trip_unmet_kwh`` ``(N,)``, is changed too. Gives how many vehicles were left without
    any power, since nothing else was found for them.
    """
    visits, step_h = problem.visits, problem.step_h
    steps, chain = len(step_h), chains(visits)
    drawn = np.zeros((net.incidence.shape[1], steps))
    np.add.at(drawn, kind, (charge_kw - discharge_kw) * step_h)
    flow = net.flows(drawn)
    peak = np.maximum((flow / step_h).max(axis=1, initial=0.0), net.so_far)
    highest = np.where(net.demand > 0, peak, np.inf)[:, None] * step_h
    lines = csr_array(net.incidence.T)
    least_in, least_out = least_powers(visits)
    return int(
        _keep(
            chain.first, chain.after, visits.arrive, visits.depart, visits.energy_kwh, chain.trip,
            chain.least, chain.most, filled(visits.target_kwh, -np.inf),
            visits.charge_efficiency, visits.discharge_efficiency,
            by_step(visits.charge_kw, steps), by_step(visits.discharge_kw, steps),
            least_in, least_out, step_h, kind, price, np.argsort(price, axis=1, kind="stable"),
            lines.indptr.astype(np.int64), lines.indices.astype(np.int64), lines.data,
            flow, np.minimum(net.limit_in, highest), net.limit_out,
            charge_kw, discharge_kw, trip_unmet_kwh,
        )
    )  # fmt: skip


@compiled
def _spare(start: Ints, line: Ints, weight: Floats, flow: Floats, top: Floats, low: Floats,
           p: int, t: int, sign: float) -> Any:  # fmt: skip
    """How much more (``sign`` 1) or less a vehicle of class p may draw in step t [kWh]."""
    spare = np.inf
    for at in range(start[p], start[p + 1]):
        m, share = line[at], weight[at] * sign
        if share > 0.0:
            spare = min(spare, (top[m, t] - flow[m, t]) / share)
        elif share < 0.0:
            spare = min(spare, (flow[m, t] + low[m, t]) / -share)
    return max(spare, 0.0)


@compiled
def _draw(start: Ints, line: Ints, weight: Floats, flow: Floats, p: int, t: int, by: float) -> None:
    for at in range(start[p], start[p + 1]):
        flow[line[at], t] += weight[at] * by


@compiled
def _reach(energy: Floats, least: float, most: float, first: int, last: int, sign: float) -> Any:
    """How far the energies after the steps ``first..last`` may rise (``sign`` 1) or fall [kWh]."""
    room = np.inf
    for t in range(first, last):
        room = min(room, most - energy[t] if sign > 0.0 else energy[t] - least)
    return max(room, 0.0)


@compiled
def _keep(
    firsts: Ints, after: Ints, arrive: Ints, depart: Ints, start_kwh: Floats, trip: Floats,
    least_kwh: Floats, most_kwh: Floats, target: Floats, efficiency_in: Floats,
    efficiency_out: Floats, most_in: Floats, most_out: Floats, least_in: Floats, least_out: Floats,
    step_h: Floats, kind: Ints, prices: Floats, ranks: Ints, start: Ints, line: Ints,
    weight: Floats, flow: Floats, top: Floats, low: Floats, charge_kw: Any, discharge_kw: Any,
    taken: Floats,
) -> Any:  # fmt: skip
    """See :func:`keep_least_powers`. Inside, ``power[0]`` is charging and ``power[1]`` discharging [kWh]."""
    steps = len(step_h)
    power, room, floor = np.zeros((2, steps)), np.zeros((2, steps)), np.zeros((2, steps))
    energy = np.zeros(steps)
    given_up = 0
    for first in firsts:
        stepped = False
        i = first
        while i >= 0:
            stepped = stepped or least_in[i] > 0.0 or least_out[i] > 0.0
            i = after[i]
        if not stepped:
            continue
        i, arrival, failed = first, start_kwh[first], False
        while i >= 0 and not failed:
            p, into, out = kind[i], efficiency_in[i], efficiency_out[i]
            a, b, lowest, highest = arrive[i], depart[i], least_kwh[i], most_kwh[i]
            applies = least_in[i] > 0.0 or least_out[i] > 0.0
            e = arrival
            under = lowest - e
            for t in range(a, b):
                power[0, t], power[1, t] = (
                    charge_kw[i, t] * step_h[t],
                    discharge_kw[i, t] * step_h[t],
                )
                room[0, t], room[1, t] = most_in[i, t] * step_h[t], most_out[i, t] * step_h[t]
                floor[0, t], floor[1, t] = least_in[i] * step_h[t], least_out[i] * step_h[t]
                if applies and power[0, t] > 0.0 and power[1, t] > 0.0:
                    stored = power[0, t] * into - power[1, t] / out
                    before = power[0, t] - power[1, t]
                    power[0, t], power[1, t] = max(stored, 0.0) / into, max(-stored, 0.0) * out
                    _draw(start, line, weight, flow, p, t, power[0, t] - power[1, t] - before)
                e += power[0, t] * into - power[1, t] / out
                energy[t] = e
                under = max(under, lowest - e)
            if i != first and under > 0.0:
                taken[i] += under
                for t in range(a, b):
                    energy[t] += under
                arrival += under
            if applies:
                for way in range(2):
                    per_kwh = into if way == 0 else -1.0 / out
                    sign = 1.0 if way == 0 else -1.0
                    size = abs(per_kwh)
                    # charging leaves the dearest steps first, discharging the cheapest
                    for nth in range(steps):
                        t = ranks[p, steps - 1 - nth] if way == 0 else ranks[p, nth]
                        if t < a or t >= b or power[way, t] <= NOTHING:
                            continue
                        if power[way, t] >= floor[way, t] - NOTHING:
                            continue
                        # into other steps that have power, the best first
                        for other in range(steps):
                            s = ranks[p, other] if way == 0 else ranks[p, steps - 1 - other]
                            if s < a or s >= b or s == t or power[way, s] <= NOTHING:
                                continue
                            by = min(power[way, t], room[way, s] - power[way, s])
                            rises = sign if s < t else -sign
                            span = _reach(energy, lowest, highest, min(s, t), max(s, t), rises)
                            by = min(by, span / size)
                            by = min(by, _spare(start, line, weight, flow, top, low, p, s, sign))
                            by = min(by, _spare(start, line, weight, flow, top, low, p, t, -sign))
                            if by <= NOTHING:
                                continue
                            power[way, t] -= by
                            power[way, s] += by
                            _draw(start, line, weight, flow, p, t, -sign * by)
                            _draw(start, line, weight, flow, p, s, sign * by)
                            for u in range(min(s, t), max(s, t)):
                                energy[u] += rises * by * size
                            if power[way, t] <= NOTHING:
                                break
                        if power[way, t] <= NOTHING:
                            continue
                        # up to the least power, from steps that have more than theirs
                        for other in range(steps):
                            s = ranks[p, steps - 1 - other] if way == 0 else ranks[p, other]
                            if s < a or s >= b or s == t:
                                continue
                            by = min(floor[way, t] - power[way, t], power[way, s] - floor[way, s])
                            rises = sign if t < s else -sign
                            span = _reach(energy, lowest, highest, min(s, t), max(s, t), rises)
                            by = min(by, span / size)
                            by = min(by, _spare(start, line, weight, flow, top, low, p, t, sign))
                            by = min(by, _spare(start, line, weight, flow, top, low, p, s, -sign))
                            if by <= NOTHING:
                                continue
                            power[way, s] -= by
                            power[way, t] += by
                            _draw(start, line, weight, flow, p, s, -sign * by)
                            _draw(start, line, weight, flow, p, t, sign * by)
                            for u in range(min(s, t), max(s, t)):
                                energy[u] += rises * by * size
                            if power[way, t] >= floor[way, t] - NOTHING:
                                break
                        if power[way, t] >= floor[way, t] - NOTHING:
                            continue
                        # nothing, or the least power with other energy at departure
                        less, more = power[way, t], floor[way, t] - power[way, t]
                        may_drop = less * size <= _reach(
                            energy, lowest, highest, t, b, -sign
                        ) + NOTHING and (way == 0 or after[i] < 0)
                        may_raise = more * size <= _reach(
                            energy, lowest, highest, t, b, sign
                        ) + NOTHING and (way == 1 or after[i] < 0)
                        fits = more <= _spare(start, line, weight, flow, top, low, p, t, sign)
                        misses = way == 0 and energy[b - 1] - less * size < target[i] - NOTHING
                        if may_raise and fits and (misses or not may_drop):
                            by = more
                        elif may_drop:
                            by = -less
                        elif may_raise:
                            by = more
                        else:
                            failed = True
                            break
                        power[way, t] += by
                        _draw(start, line, weight, flow, p, t, sign * by)
                        for u in range(t, b):
                            energy[u] += sign * by * size
                    if failed:
                        break
            for t in range(a, b):
                for way in range(2):
                    if power[way, t] <= NOTHING:
                        power[way, t] = 0.0
                # what is written stays between the least and the most that there may be
                charge_kw[i, t] = power[0, t] / step_h[t]
                discharge_kw[i, t] = power[1, t] / step_h[t]
            then = after[i]
            if then >= 0 and not failed:
                left = energy[b - 1] if b > a else arrival
                arrival = left - trip[then] + taken[then]
            i = then
        if failed:
            given_up += 1
            i, e = first, start_kwh[first]
            while i >= 0:
                if i != first:
                    taken[i] = max(least_kwh[i] - (e - trip[i]), 0.0)
                    e += taken[i] - trip[i]
                for t in range(arrive[i], depart[i]):
                    before = (charge_kw[i, t] - discharge_kw[i, t]) * step_h[t]
                    _draw(start, line, weight, flow, kind[i], t, -before)
                    charge_kw[i, t] = 0.0
                    discharge_kw[i, t] = 0.0
                i = after[i]
    return given_up
