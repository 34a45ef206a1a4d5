"""What one vehicle does at given prices, whatever it is: several visits, a price on what it holds.

It is the recursion of :mod:`gridleaf.plan.oracle`, with the pieces of the value function in a sorted
list. That takes what bit sets over ranks cannot:

* holding energy costs something (the charge level, or what is lacking to the minimum): one more convex
  function of the energy, added after each step. The slopes of the pieces rise by its slope; a piece
  over a level becomes two;
* a target before the last departure is such a function too;
* a trip moves the domain to the left, and what is taken in on the way is one more piece: slopes above
  its price end there. The minimum and the maximum of the next visit then cut as always;
* more than 128 steps.

A level never reorders pieces either, so the pieces still tell the schedule.

All that is compiled together is in this one file, like the other oracle.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gridleaf.domain.compiled import compiled_with
from gridleaf.plan import oracle
from gridleaf.plan.oracle import (
    ARRIVE,
    CHARGE_KW,
    DEPART,
    DISCHARGE_KW,
    INTO,
    KIND,
    LEAST,
    LISTED,
    MOST,
    OUT,
    ROUNDING,
    START,
    TARGET,
    TINY,
    VALUE,
    WEAR,
)
from gridleaf.plan.problem import Floats, Ints

NEXT: Final = 0
TRIP: Final = 1
TAKEN: Final = 2
FLOOR: Final = 3
HOLDING: Final = 4
SLOPES: Final = 5
"""A visit is a row of these numbers beside that of the oracle: the row of the next one or -1, what the
trip to this one takes and what may be taken in on it [kWh], the floor that it came below [kWh] or -inf,
and the cost of holding energy [EUR/h]: its value at 0, W + 1 slopes and W levels."""


@compiled_with(oracle)
def _insert(
    slopes: Floats, lengths: Floats, tags: Ints, low: int, high: int, slope: float, at: int
) -> Any:
    """Make room for a piece of this slope in ``low..high``: where, and the new bounds."""
    if low < high and slope < slopes[(low + high) >> 1]:
        low -= 1
        at = low
        while at + 1 < high and slopes[at + 1] <= slope:
            slopes[at], lengths[at], tags[at] = slopes[at + 1], lengths[at + 1], tags[at + 1]
            at += 1
    else:
        at = high
        high += 1
        while at > low and slopes[at - 1] > slope:
            slopes[at], lengths[at], tags[at] = slopes[at - 1], lengths[at - 1], tags[at - 1]
            at -= 1
    return at, low, high


@compiled_with(oracle)
def _left(values: Any, first: int, last: int) -> None:
    """Move the values behind ``first`` up to ``last`` one to the left."""
    part = values[first : last + 1]
    for n in range(len(part) - 1):
        part[n] = part[n + 1]


@compiled_with(oracle)
def _right(values: Any, first: int, last: int) -> None:
    """Move the values from ``first`` to before ``last`` one to the right."""
    part = values[first : last + 1]
    for n in range(len(part) - 1, 0, -1):
        part[n] = part[n - 1]


@compiled_with(oracle)
def _raise(
    slopes: Floats, lengths: Floats, tags: Ints, low: int, high: int, at: int, x: float, by: float
) -> Any:
    """Raise the slopes of the next ``x`` kWh from the piece ``at`` on: where it ends, the new bounds."""
    end = at
    while x > TINY and end < high:
        length = lengths[end]
        if length > x + TINY:  # the end lies inside this piece: two of it
            if end - low < high - end:
                low -= 1
                _left(slopes, low, end)
                _left(lengths, low, end)
                _left(tags, low, end)
                at -= 1
                end -= 1
            else:
                _right(slopes, end, high)
                _right(lengths, end, high)
                _right(tags, end, high)
                high += 1
            lengths[end] = x
            lengths[end + 1] = length - x
            end += 1
            break
        x -= length
        end += 1
    if end > at and by != 0.0:
        raised = slopes[at:end]
        for n in range(len(raised)):
            raised[n] += by
    at = end
    return at, low, high


@compiled_with(oracle)
def _use(lengths: Floats, tags: Ints, used: Floats, low: int, high: int, x: float) -> Any:
    """Use ``x`` kWh from the left: the new left end."""
    while x > TINY and low < high:
        length = lengths[low]
        if length > x:
            used[tags[low]] += x
            lengths[low] = length - x
            break
        used[tags[low]] += length
        x -= length
        low += 1
    return low


@compiled_with(oracle)
def _cut(lengths: Floats, low: int, high: int, x: float) -> Any:
    """Cut ``x`` kWh off at the right: the new right end."""
    while x > TINY and low < high:
        length = lengths[high - 1]
        if length > x:
            lengths[high - 1] = length - x
            break
        x -= length
        high -= 1
    return high


@compiled_with(oracle)
def _optimum(
    row: int,
    cars: Floats,
    more: Floats,
    most_in: Floats,
    most_out: Floats,
    step_h: Floats,
    prices: Floats,
    unmet: float,
    lacking: float,
    slopes: Floats,
    lengths: Floats,
    tags: Ints,
    used: Floats,
) -> None:
    """The optimum of the vehicle whose first visit is ``row``.

    What is ``used`` [kWh] has the tag t for charging in step t, T + t for not discharging, and 2 T + n for
    what is taken in on the n-th trip.
    """
    steps, levels = len(step_h), (more.shape[1] - SLOPES - 1) // 2
    by_step_in, by_step_out = most_in.shape[0] > 0, most_out.shape[0] > 0
    low = high = len(slopes) // 2
    bottom = top = cars[row, START]
    trips = 0
    while True:
        into, out, wear = cars[row, INTO], cars[row, OUT], cars[row, WEAR]
        least, most = cars[row, LEAST], cars[row, MOST]
        charge_kw, discharge_kw = cars[row, CHARGE_KW], cars[row, DISCHARGE_KW]
        per_in, per_out = 1.0 / into, 1.0 / out
        holding = False
        for w in range(levels + 1):
            holding = holding or more[row, SLOPES + w] != 0.0
        for t in range(int(cars[row, ARRIVE]), int(cars[row, DEPART])):
            used[t] = used[steps + t] = 0.0
            if by_step_in:
                charge_kw = most_in[row, t]
            if by_step_out:
                discharge_kw = most_out[row, t]
            if charge_kw > 0.0:
                slope, length = prices[t] * per_in, charge_kw * step_h[t] * into
                at, low, high = _insert(slopes, lengths, tags, low, high, slope, 0)
                slopes[at], lengths[at], tags[at] = slope, length, t
                top += length
            if discharge_kw > 0.0:
                slope, length = (prices[t] - wear) * out, discharge_kw * step_h[t] * per_out
                at, low, high = _insert(slopes, lengths, tags, low, high, slope, 0)
                slopes[at], lengths[at], tags[at] = slope, length, steps + t
                bottom -= length
            if bottom < least:
                low = _use(lengths, tags, used, low, high, least - bottom)
                bottom = least
            if top > most:
                high = _cut(lengths, low, high, top - most)
                top = most
            if holding:
                at, energy, w = low, bottom, 0
                while w < levels and more[row, SLOPES + levels + 1 + w] < top:
                    level = more[row, SLOPES + levels + 1 + w]
                    if level > energy:
                        by = more[row, SLOPES + w] * step_h[t]
                        at, low, high = _raise(
                            slopes, lengths, tags, low, high, at, level - energy, by
                        )
                        energy = level
                    w += 1
                by = more[row, SLOPES + w] * step_h[t]
                if by != 0.0 and high > at:
                    rest = slopes[at:high]
                    for n in range(len(rest)):
                        rest[n] += by
        then = int(more[row, NEXT])
        if then < 0:
            break
        x = cars[row, TARGET] - bottom
        at, low, high = _raise(slopes, lengths, tags, low, high, low, x, -unmet)
        trips += 1
        row = then
        bottom -= more[row, TRIP]
        top -= more[row, TRIP]
        while low < high and slopes[high - 1] > lacking:
            high -= 1
            top -= lengths[high]
        used[2 * steps + trips] = 0.0
        slopes[high], lengths[high] = lacking, more[row, TAKEN]
        tags[high] = 2 * steps + trips
        top += lengths[high]
        high += 1
        if bottom < cars[row, LEAST]:
            low = _use(lengths, tags, used, low, high, cars[row, LEAST] - bottom)
            bottom = cars[row, LEAST]
        if top > cars[row, MOST]:
            high = _cut(lengths, low, high, top - cars[row, MOST])
            top = cars[row, MOST]
    # at departure: towards the target below the penalty, and further below the worth of energy
    x, worth = cars[row, TARGET] - bottom, cars[row, VALUE]
    for at in range(low, high):
        slope, length = slopes[at], lengths[at]
        if slope >= worth:
            if x <= TINY or slope >= worth + unmet:
                break
            length = min(length, x)
        used[tags[at]] += length
        x -= length


@compiled_with(oracle)
def _held(more: Floats, row: int, energy: float) -> Any:
    """What holding this energy for an hour costs [EUR/h]."""
    levels = (more.shape[1] - SLOPES - 1) // 2
    slope = more[row, SLOPES]
    cost = more[row, HOLDING] + slope * energy
    for w in range(levels):
        above = energy - more[row, SLOPES + levels + 1 + w]
        if above <= 0.0:
            break
        cost += (more[row, SLOPES + w + 1] - more[row, SLOPES + w]) * above
    return cost


@compiled_with(oracle)
def _workspace(more: Floats, steps: int, trips: int) -> Any:
    """Slopes, lengths and tags of pieces, from the middle to both sides, and what is used of them."""
    levels = (more.shape[1] - SLOPES - 1) // 2
    pieces = 2 * ((2 + levels) * steps + 2 * trips + 2)
    return (
        np.empty(pieces),
        np.empty(pieces),
        np.empty(pieces, dtype=np.int64),
        np.zeros(2 * steps + trips + 1),
    )


@compiled_with(oracle)
def answer(
    cars: Floats,
    more: Floats,
    most_in: Floats,
    most_out: Floats,
    step_h: Floats,
    unmet: float,
    lacking: float,
    most_trips: int,
    begin: Ints,
    end: Ints,
    vector: Ints,
    prices: Floats,
    flow: Floats,
    own: Floats,
) -> None:
    """Add what the listed vehicles among runs of vehicles do at some prices (see :func:`oracle.answer`)."""
    steps = len(step_h)
    slopes, lengths, tags, used = _workspace(more, steps, most_trips)
    by_step_out = most_out.shape[0] > 0
    for k in range(len(begin)):
        v = vector[k]
        cost = 0.0
        for i in range(begin[k], end[k]):
            if cars[i, KIND] != LISTED:
                continue
            row, trips, energy = i, 0, cars[i, START]
            _optimum(
                row, cars, more, most_in, most_out, step_h, prices[v], unmet, lacking,
                slopes, lengths, tags, used,
            )  # fmt: skip
            while True:
                into, out, wear = cars[row, INTO], cars[row, OUT], cars[row, WEAR]
                per_in, per_out = 1.0 / into, 1.0 / out
                discharge_kw, given = cars[row, DISCHARGE_KW], 0.0
                for t in range(int(cars[row, ARRIVE]), int(cars[row, DEPART])):
                    if by_step_out:
                        discharge_kw = most_out[row, t]
                    drawn = discharge_kw * step_h[t] - used[steps + t] * out
                    energy += used[t] - drawn * per_out
                    flow[k, t] += used[t] * per_in - drawn
                    given += drawn
                    cost += _held(more, row, energy) * step_h[t]
                cost += wear * given + unmet * max(cars[row, TARGET] - energy, 0.0)
                then = int(more[row, NEXT])
                if then < 0:
                    break
                row = then
                trips += 1
                cost += lacking * used[2 * steps + trips]
                energy += used[2 * steps + trips] - more[row, TRIP]
            cost -= cars[row, VALUE] * energy
        own[k] += cost


@compiled_with(oracle)
def _single(exact: float, rounding: float) -> Any:
    """A power in single precision, none below it or for ``-ROUNDING`` none above."""
    if exact <= TINY:
        return np.float32(0.0)
    near = np.float32(exact)
    if (near - exact) * rounding < 0.0:
        near = np.float32(near * (1.0 + rounding))
    return near


@compiled_with(oracle)
def write(
    cars: Floats,
    more: Floats,
    most_in: Floats,
    most_out: Floats,
    step_h: Floats,
    unmet: float,
    lacking: float,
    short: float,
    most_trips: int,
    begin: Ints,
    end: Ints,
    first: Ints,
    last: Ints,
    vector: Ints,
    share: Floats,
    prices: Floats,
    mixed: Any,
    both_kw: float,
    order: Ints,
    charge_kw: Any,
    discharge_kw: Any,
    missing: Floats,
    taken: Floats,
    drawn: Floats,
    sums: Floats,
) -> None:
    """The schedules of the listed vehicles among runs of vehicles (see :func:`oracle.write`).

    Filled are also what is ``taken`` in on the way to each visit [kWh]; ``drawn`` and ``sums`` are
    added to.
    """
    steps = len(step_h)
    slopes, lengths, tags, used = _workspace(more, steps, most_trips)
    mean = np.zeros(len(used))
    by_step_in, by_step_out = most_in.shape[0] > 0, most_out.shape[0] > 0
    for k in range(len(begin)):
        for i in range(begin[k], end[k]):
            if cars[i, KIND] != LISTED:
                continue
            mean[:] = 0.0
            for j in range(first[k], last[k]):
                _optimum(
                    i, cars, more, most_in, most_out, step_h, prices[vector[j]], unmet, lacking,
                    slopes, lengths, tags, used,
                )  # fmt: skip
                row, trips = i, 0
                while row >= 0:
                    for t in range(int(cars[row, ARRIVE]), int(cars[row, DEPART])):
                        mean[t] += share[j] * used[t]
                        mean[steps + t] += share[j] * used[steps + t]
                    if trips > 0:
                        mean[2 * steps + trips] += share[j] * used[2 * steps + trips]
                    trips += 1
                    row = int(more[row, NEXT])
            row, trips, energy = i, 0, cars[i, START]
            while True:
                at, into, out = order[row], cars[row, INTO], cars[row, OUT]
                most, most_back = cars[row, CHARGE_KW], cars[row, DISCHARGE_KW]
                for t in range(int(cars[row, ARRIVE]), int(cars[row, DEPART])):
                    if by_step_in:
                        most = most_in[row, t]
                    if by_step_out:
                        most_back = most_out[row, t]
                    power_in = mean[t] / into / step_h[t]
                    power_out = max(most_back - mean[steps + t] * out / step_h[t], 0.0)
                    if power_in > 0.0 and power_out > 0.0 and mixed[k, t]:
                        stored = power_in * into - power_out / out
                        power_in = max(stored, 0.0) / into
                        power_out = max(-stored, 0.0) * out
                    charge_kw[at, t] = _single(min(power_in, most), ROUNDING)
                    discharge_kw[at, t] = _single(min(power_out, most_back), -ROUNDING)
                    # what is written may be less precise: that counts
                    power_in, power_out = float(charge_kw[at, t]), float(discharge_kw[at, t])
                    drawn[k, t] += power_in - power_out
                    energy += (power_in * into - power_out / out) * step_h[t]
                    sums[k, 0] += cars[row, WEAR] * power_out * step_h[t]
                    below = max(more[row, FLOOR] - energy, 0.0)
                    sums[k, 3] += below * step_h[t]
                    sums[k, 4] += (_held(more, row, energy) - short * below) * step_h[t]
                    sums[k, 5] += 1.0 if min(power_in, power_out) > both_kw else 0.0
                missing[at] = cars[row, TARGET] - energy
                then = int(more[row, NEXT])
                if then < 0:
                    break
                row = then
                trips += 1
                taken[order[row]] = mean[2 * steps + trips]
                energy += mean[2 * steps + trips] - more[row, TRIP]
            sums[k, 1] += cars[row, VALUE] * energy
            sums[k, 2] += abs(cars[row, VALUE] * energy)
