"""What one vehicle does at given prices: its exact optimum, compiled.

A vehicle alone faces a linear programme over its stay. Let ``F_t(e)`` be the least cost of holding
the energy ``e`` [kWh] after step t. It is convex and piecewise linear, so it is kept as its domain
and its pieces in the order of their slopes [EUR/kWh]:

* a step adds two pieces: charging (length ``h c_max eta_in``, slope ``price / eta_in``) and not
  discharging (length ``h d_max / eta_out``, slope ``(price - wear) eta_out``); adding them is the
  infimal convolution;
* the minimum cuts pieces off at the left (these are used), the maximum at the right (these are not);
* at departure pieces are used from the left while the target is missed and the slope is below the
  penalty and the worth of energy, and then while it is below that worth.

A cut never reorders what is left, so the pieces themselves tell the schedule and no backward pass is
needed. At negative prices charging may come before not discharging: both at once, as in the linear
programme.

Every vehicle at one price vector ranks the steps in the same order, so its pieces are two bit sets
over ranks (:func:`_ranked`); only where they interleave differs. Vehicles for which that does not do are
left to :mod:`gridleaf.plan.listed`.

All that is compiled together is in this one file: what is kept on disk is compiled anew when its own
file changes, but not when one changes that it calls into.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gridleaf.domain.compiled import compiled, inlined, leading_zeros, prefetch, trailing_zeros
from gridleaf.plan.problem import Floats, Ints

ARRIVE: Final = 0
DEPART: Final = 1
CHARGE_KW: Final = 2
DISCHARGE_KW: Final = 3
INTO: Final = 4
OUT: Final = 5
START: Final = 6
LEAST: Final = 7
MOST: Final = 8
TARGET: Final = 9
WEAR: Final = 10
VALUE: Final = 11
KIND: Final = 12
COLUMNS: Final = 13
"""A vehicle is a row of these numbers [steps, kW, kWh, EUR/kWh]; -inf: no target."""

ONLY_CHARGES: Final = 0.0
RANKED: Final = 1.0
LISTED: Final = 2.0

MOST_RANKS: Final = 128
AHEAD: Final = 4
"""So many vehicles ahead the rows to be written, anywhere in memory, are sent for."""
LINE: Final = 16
"""Numbers of single precision in a cache line."""
TINY: Final = 1e-9
"""Less than this is nothing [kWh]."""
ROUNDING: Final = 1.25 * 2.0**-24
"""By this share the next number of single precision is nearer than any other [-]."""


@compiled
def rank(prices: Floats, slot: Ints, place: Ints, dear: Floats, before: Any) -> None:
    """Sort the steps of each price vector ``(V, T)`` [EUR/kWh].

    Filled are ``slot`` (the step of each rank), ``place`` (the rank of each step), ``dear`` (the
    price of each rank), all ``(V, T)``, and ``before`` ``(V, T + 1, 2)``: the ranks of the first
    steps, as bits (where there are no more than 128 steps).
    """
    vectors, steps = prices.shape
    for v in range(vectors):
        order = np.argsort(prices[v], kind="mergesort")
        for r in range(steps):
            t = order[r]
            slot[v, r] = t
            place[v, t] = r
            dear[v, r] = prices[v, t]
        if before.shape[1] > steps:
            low, high = np.uint64(0), np.uint64(0)
            before[v, 0, 0], before[v, 0, 1] = low, high
            for t in range(steps):
                r = place[v, t]
                if r < 64:
                    low |= np.uint64(1) << np.uint64(r)
                else:
                    high |= np.uint64(1) << np.uint64(r - 64)
                before[v, t + 1, 0], before[v, t + 1, 1] = low, high


@inlined
def _lowest(low: Any, high: Any) -> Any:
    """The first rank in a bit set that is not empty."""
    if low != np.uint64(0):
        return trailing_zeros(low)
    return 64 + trailing_zeros(high)


@inlined
def _highest(low: Any, high: Any) -> Any:
    """The last rank in a bit set that is not empty."""
    if high != np.uint64(0):
        return 127 - leading_zeros(high)
    return 63 - leading_zeros(low)


@compiled
def _only_charges(
    car: Floats,
    most_in: Floats,
    step_h: Floats,
    slot: Ints,
    dear: Floats,
    before: Any,
    unmet: float,
    charged: Floats,
) -> Any:
    """A vehicle that only rises: the cheapest steps of its stay. Its energy at departure [kWh]."""
    arrive, depart = int(car[ARRIVE]), int(car[DEPART])
    into = car[INTO]
    power, by_step = car[CHARGE_KW], most_in.shape[0] > 0
    worth = car[VALUE]
    energy = car[START]
    need, room = car[TARGET] - energy, car[MOST] - energy
    low = before[depart, 0] & ~before[arrive, 0]
    high = before[depart, 1] & ~before[arrive, 1]
    while low | high != np.uint64(0) and room > TINY:
        r = _lowest(low, high)
        slope = dear[r] / into
        if slope >= worth and (need <= TINY or slope >= worth + unmet):
            break
        if r < 64:
            low &= low - np.uint64(1)
        else:
            high &= high - np.uint64(1)
        t = slot[r]
        if by_step:
            power = most_in[t]
        amount = min(power * step_h[t] * into, room)
        if slope >= worth:
            amount = min(amount, need)
        charged[r] += amount / into
        energy += amount
        need -= amount
        room -= amount
    return energy


@compiled
def _ranked(
    car: Floats,
    most_in: Floats,
    most_out: Floats,
    step_h: Floats,
    place: Ints,
    dear: Floats,
    unmet: float,
    lengths_in: Floats,
    lengths_out: Floats,
    charged: Floats,
    kept: Floats,
) -> tuple[float, float]:
    """A vehicle by two bit sets over ranks. Its energy at departure and what it discharges [kWh]."""
    arrive, depart = int(car[ARRIVE]), int(car[DEPART])
    into, out, wear, worth = car[INTO], car[OUT], car[WEAR], car[VALUE]
    charge_kw, discharge_kw = car[CHARGE_KW], car[DISCHARGE_KW]
    by_step_in, by_step_out = most_in.shape[0] > 0, most_out.shape[0] > 0
    least, most = car[LEAST], car[MOST]
    per_in, per_out = 1.0 / into, 1.0 / out
    none, one = np.uint64(0), np.uint64(1)
    c0, c1, d0, d1 = none, none, none, none
    bottom = top = car[START]
    given = 0.0
    for t in range(arrive, depart):
        r = place[t]
        if by_step_in:
            charge_kw = most_in[t]
        if by_step_out:
            discharge_kw = most_out[t]
        if r < 64:
            bit0, bit1 = one << np.uint64(r), none
        else:
            bit0, bit1 = none, one << np.uint64(r - 64)
        if charge_kw > 0.0:
            length = charge_kw * step_h[t] * into
            lengths_in[r] = length
            c0 |= bit0
            c1 |= bit1
            top += length
        if discharge_kw > 0.0:
            length = discharge_kw * step_h[t]
            given += length
            length *= per_out
            lengths_out[r] = length
            d0 |= bit0
            d1 |= bit1
            bottom -= length
        x = least - bottom
        if x > 0.0:
            bottom = least
            while x > TINY:
                rc = rd = 0
                slope_in = slope_out = np.inf
                if c0 | c1 != none:
                    rc = _lowest(c0, c1)
                    slope_in = dear[rc] * per_in
                if d0 | d1 != none:
                    rd = _lowest(d0, d1)
                    slope_out = (dear[rd] - wear) * out
                if slope_in < slope_out:
                    length = lengths_in[rc]
                    used = min(length, x)
                    lengths_in[rc] = length - used
                    charged[rc] += used * per_in
                    if length <= x:
                        if rc < 64:
                            c0 &= c0 - one
                        else:
                            c1 &= c1 - one
                elif slope_out < np.inf:
                    length = lengths_out[rd]
                    used = min(length, x)
                    lengths_out[rd] = length - used
                    kept[rd] += used * out
                    given -= used * out
                    if length <= x:
                        if rd < 64:
                            d0 &= d0 - one
                        else:
                            d1 &= d1 - one
                else:
                    break
                x -= used
        x = top - most
        if x > 0.0:
            top = most
            while x > TINY:
                rc = rd = 0
                slope_in = slope_out = -np.inf
                if c0 | c1 != none:
                    rc = _highest(c0, c1)
                    slope_in = dear[rc] * per_in
                if d0 | d1 != none:
                    rd = _highest(d0, d1)
                    slope_out = (dear[rd] - wear) * out
                if slope_in >= slope_out and slope_in > -np.inf:
                    length = lengths_in[rc]
                    used = min(length, x)
                    lengths_in[rc] = length - used
                    if length <= x:
                        if rc < 64:
                            c0 ^= one << np.uint64(rc)
                        else:
                            c1 ^= one << np.uint64(rc - 64)
                elif slope_out > -np.inf:
                    length = lengths_out[rd]
                    used = min(length, x)
                    lengths_out[rd] = length - used
                    if length <= x:
                        if rd < 64:
                            d0 ^= one << np.uint64(rd)
                        else:
                            d1 ^= one << np.uint64(rd - 64)
                else:
                    break
                x -= used
    # at departure: towards the target below the penalty, and further below the worth of energy
    x = car[TARGET] - bottom
    while c0 | c1 | d0 | d1 != none:
        rc = rd = 0
        slope_in = slope_out = np.inf
        if c0 | c1 != none:
            rc = _lowest(c0, c1)
            slope_in = dear[rc] * per_in
        if d0 | d1 != none:
            rd = _lowest(d0, d1)
            slope_out = (dear[rd] - wear) * out
        slope = min(slope_in, slope_out)
        if slope >= worth and (x <= TINY or slope >= worth + unmet):
            break
        if slope_in < slope_out:
            used = lengths_in[rc]
            if slope >= worth:
                used = min(used, x)
            charged[rc] += used * per_in
            if rc < 64:
                c0 &= c0 - one
            else:
                c1 &= c1 - one
        else:
            used = lengths_out[rd]
            if slope >= worth:
                used = min(used, x)
            kept[rd] += used * out
            given -= used * out
            if rd < 64:
                d0 &= d0 - one
            else:
                d1 &= d1 - one
        bottom += used
        x -= used
    return bottom, given


@compiled
def answer(
    cars: Floats,
    most_in: Floats,
    most_out: Floats,
    step_h: Floats,
    unmet: float,
    begin: Ints,
    end: Ints,
    vector: Ints,
    prices: Floats,
    slot: Ints,
    place: Ints,
    dear: Floats,
    before: Any,
    flow: Floats,
    own: Floats,
) -> None:
    """What runs of vehicles do at some prices, each as a sum.

    Task k is the vehicles ``begin[k]..end[k]`` at the prices ``vector[k]`` (see :func:`rank`). Filled
    are ``flow`` ``(K, T)``, what they draw in each step [kWh], and ``own`` ``(K,)``, what they cost
    besides: wear and penalties less the worth of energy left [EUR]. Listed vehicles are left out.
    """
    steps = len(step_h)
    lengths_in, lengths_out = np.zeros(steps), np.zeros(steps)
    charged, kept, giving = np.zeros(steps), np.zeros(steps), np.zeros(steps + 1)
    by_step_in, by_step_out = most_in.shape[0] > 0, most_out.shape[0] > 0
    for k in range(len(begin)):
        v = vector[k]
        charged[:] = 0.0
        kept[:] = 0.0
        giving[:] = 0.0
        cost = 0.0
        for i in range(begin[k], end[k]):
            car = cars[i]
            limit_in = most_in[i] if by_step_in else most_in[0:0].ravel()
            limit_out = most_out[i] if by_step_out else most_out[0:0].ravel()
            kind = car[KIND]
            if kind == LISTED:
                continue
            given = 0.0
            if kind == ONLY_CHARGES:
                left = _only_charges(
                    car, limit_in, step_h, slot[v], dear[v], before[v], unmet, charged
                )
            else:
                left, given = _ranked(
                    car, limit_in, limit_out, step_h, place[v], dear[v], unmet,
                    lengths_in, lengths_out, charged, kept,
                )  # fmt: skip
            cost += car[WEAR] * given - car[VALUE] * left
            cost += unmet * max(car[TARGET] - left, 0.0)
            if by_step_out:
                for t in range(int(car[ARRIVE]), int(car[DEPART])):
                    giving[t] += limit_out[t]
                    giving[t + 1] -= limit_out[t]
            else:
                giving[int(car[ARRIVE])] += car[DISCHARGE_KW]
                giving[int(car[DEPART])] -= car[DISCHARGE_KW]
        power = 0.0
        for t in range(steps):
            power += giving[t]
            r = place[v, t]
            flow[k, t] = charged[r] + kept[r] - power * step_h[t]
        own[k] = cost


@compiled
def _net(charge: Floats, discharge: Floats, into: float, out: float, mixed: Any) -> None:
    """Put one power with the same effect on the battery in place of both, where that is allowed."""
    per_in, per_out = 1.0 / into, 1.0 / out
    for t in range(len(charge)):
        stored = charge[t] * into - discharge[t] * per_out
        charge[t] = max(stored, 0.0) * per_in if mixed[t] else charge[t]
        discharge[t] = max(-stored, 0.0) * out if mixed[t] else discharge[t]


@compiled
def _round(energy: Floats, hours: Floats, most: Floats, rounding: float, power: Any) -> None:
    """The power of energies [kWh] in single precision, none below it or for ``-ROUNDING`` none above."""
    for t in range(len(energy)):
        exact = min(energy[t] / hours[t], most[t])
        near = np.float32(exact)
        next_to_it = np.float32(near * (1.0 + rounding))
        wrong = (near - exact) * rounding < 0.0
        power[t] = 0.0 if exact <= TINY else next_to_it if wrong else near


@compiled
def _approach(car: Floats, row: int, charges: Any, discharges: Any) -> None:
    """Send for the places of a vehicle's stay in flat schedules whose row begins at ``row``."""
    for t in range(int(car[ARRIVE]), int(car[DEPART]) + LINE - 1, LINE):
        prefetch(charges, row + t)
        if car[DISCHARGE_KW] > 0.0:
            prefetch(discharges, row + t)


@compiled
def write(
    cars: Floats,
    most_in: Floats,
    most_out: Floats,
    step_h: Floats,
    unmet: float,
    begin: Ints,
    end: Ints,
    first: Ints,
    last: Ints,
    vector: Ints,
    share: Floats,
    prices: Floats,
    slot: Ints,
    place: Ints,
    dear: Floats,
    before: Any,
    mixed: Any,
    both_kw: float,
    order: Ints,
    charge_kw: Any,
    discharge_kw: Any,
    missing: Floats,
    drawn: Floats,
    sums: Floats,
) -> None:
    """The schedules of runs of vehicles, each a mixture of its answers to some prices.

    Task k is the vehicles ``begin[k]..end[k]``; each takes ``share[j]`` of its answer to the prices
    ``vector[j]``, for j in ``first[k]..last[k]``. Where ``mixed[k]`` ``(T,)`` allows it, charging in one
    answer and discharging in another become one power with the same effect on the battery. Filled
    are, at ``order[i]``, the schedules ``(N, T)`` [kW], zero before, and what is ``missing`` to the target
    [kWh]; for each task what it ``drawn`` in each step [kW], and the ``sums`` of wear, of the worth of
    energy left, of its absolute values [EUR], of what is below the floor [kWh h], of what holding energy
    costs [EUR], and of the steps in which a vehicle charges and discharges at once by more than
    ``both_kw``.

    Schedules are single precision, rounded to charge more and discharge less rather than the reverse, so
    that no target is missed by rounding.
    """
    steps = len(step_h)
    lengths_in, lengths_out = np.zeros(steps), np.zeros(steps)
    charged, kept = np.zeros(steps), np.zeros(steps)
    ins, outs, caps_in, caps_out = (
        np.zeros(steps),
        np.zeros(steps),
        np.zeros(steps),
        np.zeros(steps),
    )
    by_step_in, by_step_out = most_in.shape[0] > 0, most_out.shape[0] > 0
    charges, discharges = charge_kw.reshape(-1), discharge_kw.reshape(-1)
    for k in range(len(begin)):
        drawn[k, :] = 0.0
        sums[k, :] = 0.0
        for i in range(begin[k], end[k]):
            if i + AHEAD < end[k]:
                _approach(cars[i + AHEAD], order[i + AHEAD] * steps, charges, discharges)
            if cars[i, KIND] == LISTED:
                continue
            car, at = cars[i], order[i]
            arrive, depart = int(car[ARRIVE]), int(car[DEPART])
            limit_in = most_in[i] if by_step_in else most_in[0:0].ravel()
            limit_out = most_out[i] if by_step_out else most_out[0:0].ravel()
            gives = car[DISCHARGE_KW] > 0.0
            hours, charge, discharge = (
                step_h[arrive:depart],
                ins[arrive:depart],
                outs[arrive:depart],
            )
            cap_in, cap_out = caps_in[arrive:depart], caps_out[arrive:depart]
            cap_in[:], charge[:] = car[CHARGE_KW], 0.0
            if by_step_in:
                cap_in[:] = limit_in[arrive:depart]
            if gives:
                cap_out[:], discharge[:] = car[DISCHARGE_KW], 0.0
                if by_step_out:
                    cap_out[:] = limit_out[arrive:depart]
            for j in range(first[k], last[k]):
                v = vector[j]
                charged[:] = 0.0
                kept[:] = 0.0
                if car[KIND] == ONLY_CHARGES:
                    _only_charges(
                        car, limit_in, step_h, slot[v], dear[v], before[v], unmet, charged
                    )
                else:
                    _ranked(
                        car, limit_in, limit_out, step_h, place[v], dear[v], unmet,
                        lengths_in, lengths_out, charged, kept,
                    )  # fmt: skip
                ranks = place[v, arrive:depart]
                for t in range(len(ranks)):
                    charge[t] += share[j] * charged[ranks[t]]
                if gives:
                    for t in range(len(ranks)):
                        discharge[t] += share[j] * (cap_out[t] * hours[t] - kept[ranks[t]])
            if gives:
                _net(charge, discharge, car[INTO], car[OUT], mixed[k, arrive:depart])
            into_row, out_row = charge_kw[at, arrive:depart], discharge_kw[at, arrive:depart]
            _round(charge, hours, cap_in, ROUNDING, into_row)
            # what is written is less precise: that counts
            energy, flow = car[START], drawn[k, arrive:depart]
            for t in range(len(into_row)):
                flow[t] += into_row[t]
                energy += into_row[t] * car[INTO] * hours[t]
            if gives:
                given = at_once = 0.0
                per_out = 1.0 / car[OUT]
                _round(discharge, hours, cap_out, -ROUNDING, out_row)
                for t in range(len(out_row)):
                    flow[t] -= out_row[t]
                    given += out_row[t] * hours[t]
                    at_once += 1.0 if min(into_row[t], out_row[t]) > both_kw else 0.0
                energy -= given * per_out
                sums[k, 0] += car[WEAR] * given
                sums[k, 5] += at_once
            missing[at] = car[TARGET] - energy
            sums[k, 1] += car[VALUE] * energy
            sums[k, 2] += abs(car[VALUE] * energy)
