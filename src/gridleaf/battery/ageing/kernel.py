"""Carrying cells forward, compiled: pieces of history and their sums.

A history is cut into *pieces*: at the first turning point after more than one equivalent full cycle
(EFC), otherwise at the first sample after more than a day. A day's piece so begins a little later in
each day than the last one did. Within a piece the swings of SoC are divided by the cell's capacity
when the piece began, because a worn cell swings deeper for the same energy. A step of up to
an hour between two pieces belongs to neither and counts as if it were like the later one: so does the
implementation that the models were published with. What a piece did is kept as sums (:data:`~gridleaf.battery.ageing.layout.HOURS` and what
follows), and becomes an increment of the parts when it ends (:mod:`~gridleaf.battery.ageing.laws`). Rates
that time sets come from :mod:`~gridleaf.battery.ageing.tables`.

:data:`~gridleaf.battery.ageing.layout.LANES` cells are worked on beside each other. A quantity is a row
of ``b``, and every loop over lanes is without branches, so that it becomes vector code: ``b`` is made
where it is used, because only then does the compiler know that its rows are apart, and indices into what
is given are unsigned, because a negative one would count from the end.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gridleaf.battery.ageing import laws as growth
from gridleaf.battery.ageing import layout as at
from gridleaf.battery.ageing import stress
from gridleaf.battery.ageing.laws import grow, scaled, set_rates, stresses, total
from gridleaf.battery.ageing.stress import KELVIN
from gridleaf.domain import vector
from gridleaf.domain.compiled import compiled, compiled_with, inlined
from gridleaf.domain.vector import exp_roughly


@inlined
def _count(b: Any, limits: Any, first: Any, count: Any) -> None:
    """Count the hours of a piece that is outside the fitted range, by reason."""
    for j in range(count):
        i = first + j
        h, q = b[at.HOURS, i] + b[at.GAP, i], max(b[at.CAPACITY, i], at.LEAST_CAPACITY)
        low, high, depth = b[at.BOTTOM, i], b[at.TOP, i], b[at.DEPTH, i]
        rate = h if b[at.LIMITED, i] > 0.0 else 0.0
        heat = h if b[at.OUT_H, i] > 0.0 else 0.0
        shallow_or_deep = (depth < limits[2] - at.TINY) | (depth > limits[3] + at.TINY)
        swing = h if (depth > at.SHALLOW) & shallow_or_deep else 0.0
        level = h if (low < limits[4] - at.TINY) | (high > limits[5] + at.TINY) else 0.0
        fast = h if q * b[at.CHARGED, i] > (limits[6] + at.TINY) * b[at.CHARGING_H, i] else 0.0
        strong = (
            h if q * b[at.DISCHARGED, i] > (limits[7] + at.TINY) * b[at.DISCHARGING_H, i] else 0.0
        )
        b[at.OUTSIDE_AT + at.OUT_RATE, i] += rate
        b[at.OUTSIDE_AT + at.OUT_TEMPERATURE, i] += heat
        b[at.OUTSIDE_AT + at.OUT_DEPTH, i] += swing
        b[at.OUTSIDE_AT + at.OUT_SOC, i] += level
        b[at.OUTSIDE_AT + at.OUT_CHARGE, i] += fast
        b[at.OUTSIDE_AT + at.OUT_DISCHARGE, i] += strong
        b[at.OUTSIDE_AT + at.ANY, i] += max(rate, heat, swing, level, fast, strong)


@inlined
def _polynomial(c: Any, row: int, x: Any) -> Any:
    """By Estrin's scheme: no long chain of sums that wait for each other."""
    x2 = x * x
    x4 = x2 * x2
    low = c[row, 0] + x * c[row, 1] + x2 * (c[row, 2] + x * c[row, 3])
    middle = c[row, 4] + x * c[row, 5] + x2 * (c[row, 6] + x * c[row, 7])
    high = c[row, 8] + x * c[row, 9] + x2 * c[row, 10]
    return low + x4 * (middle + x4 * high)


@inlined
def _locate(b: Any, rough: Any, cells: Any, first: Any, count: Any) -> None:
    """Where the last sample is in the table of rates."""
    for j in range(count):
        i = first + j
        x = math.sqrt(b[at.SCALED, i]) * at.SOC_CELLS
        cells[i] = min(np.int32(x), at.SOC_CELLS - 1)
        rough[at.FRACTION, i] = x - cells[i]
        rough[at.WARMTH, i] = (b[at.TEMPERATURE, i] - at.MIDDLE_C) * (1.0 / at.REACH_C)


@inlined
def _time_rates(
    b: Any,
    rough: Any,
    cells: Any,
    shape: Any,
    over_soc: Any,
    over_temperature: Any,
    half: float,
    first: Any,
    count: Any,
) -> None:
    """Add the rates that time sets, at the last sample and at this one, ``half`` a step each."""
    rates, product = shape.shape[0], 0
    for rate in range(rates):
        products = shape[rate, 0]
        for place in range(products):
            for j in range(count):
                i = first + j
                low = over_soc[product + place, cells[i], 0]
                rise = over_soc[product + place, cells[i], 1]
                rough[at.PRODUCT + place, i] = low + rough[at.FRACTION, i] * rise
        if shape[rate, 1] == at.OF_SOC:
            for j in range(count):
                i = first + j
                now = rough[at.PRODUCT, i]
                b[at.SUM_RATE + rate, i] += half * (b[at.RATE + rate, i] + now)
                b[at.RATE + rate, i] = now
        else:
            for j in range(count):
                i = first + j
                rough[at.TOTAL, i] = _polynomial(over_temperature, rate, rough[at.WARMTH, i])
            for place in range(products):
                for j in range(count):
                    i = first + j
                    slope = _polynomial(
                        over_temperature, rates + product + place, rough[at.WARMTH, i]
                    )
                    rough[at.TOTAL, i] += rough[at.PRODUCT + place, i] * slope
            if shape[rate, 1] == at.EXPONENTIAL:
                for j in range(count):
                    rough[at.TOTAL, first + j] = exp_roughly(rough[at.TOTAL, first + j])
            for j in range(count):
                i = first + j
                now = rough[at.TOTAL, i]
                b[at.SUM_RATE + rate, i] += half * (b[at.RATE + rate, i] + now)
                b[at.RATE + rate, i] = now
        product += products


@inlined
def _set_given(b: Any, laws: Any) -> None:
    """What the model gives of ``k``, ``p`` and ``end``; the rest each piece sets anew."""
    for part in range(at.PARTS):
        for i in range(at.LANES):
            b[at.RATES_K + part, i] = laws[part, at.K]
            b[at.RATES_P + part, i] = laws[part, at.P]
            b[at.RATES_END + part, i] = laws[part, at.END]


@inlined
def _load(b: Any, row: int, values: Any, cell: Any, count: Any) -> None:
    for place in range(values.shape[0]):
        for i in range(count):
            b[row + place, i] = values[place, cell + i]


@inlined
def _keep(b: Any, row: int, values: Any, cell: Any, count: Any) -> None:
    for place in range(values.shape[0]):
        for i in range(count):
            values[place, cell + i] = b[row + place, i]


@inlined
def _look(b: Any, soc: Any, temperature_c: Any, cell: Any, sample: int, lanes: Any) -> Any:
    """Take the next samples: how many pieces end before them, and which (``ENDED``)."""
    ended = 0
    for i in range(lanes):
        now = soc[cell + i, sample]
        b[at.NEXT_SOC, i] = now
        turns = (now - b[at.SOC, i]) * b[at.DIRECTION, i] < 0.0
        h = b[at.HOURS, i]
        over = ((h > 0.0) & (h + b[at.GAP, i] > at.PIECE_H + at.TINY)) | (
            (b[at.THROUGHPUT, i] > 2.0 * at.PIECE_EFC) & turns
        )
        b[at.ENDED, i] = 1.0 if over else 0.0
        ended += 1 if over else 0
    for i in range(lanes):
        b[at.NEXT_T, i] = temperature_c[cell + i, sample]
    return ended


@inlined
def _add(code: int, b: Any, limits: Any, h: float, lanes: Any) -> None:
    """One step more, to the next sample: both ends of it weigh half."""
    half, rest = 0.5 * h, at.RESTING_C * h
    cold, hot = limits[0] - at.TINY, limits[1] + at.TINY
    if code == at.NCA_SONY:
        _stretch(b, half, lanes)
    for i in range(lanes):
        soc = b[at.NEXT_SOC, i]
        change = soc - b[at.SOC, i]
        b[at.SOC, i] = soc
        b[at.THROUGHPUT, i] += abs(change)
        b[at.DIRECTION, i] = change if change != 0.0 else b[at.DIRECTION, i]
        b[at.LOW, i] = soc if soc < b[at.LOW, i] else b[at.LOW, i]
        b[at.HIGH, i] = soc if soc > b[at.HIGH, i] else b[at.HIGH, i]
        before, now = b[at.SCALED, i], scaled(soc, b[at.ANCHOR, i], b[at.WORN, i])
        b[at.SCALED, i] = now
        moved = now - before
        up, down = moved > rest, moved < -rest
        fast = abs(moved) if up | down else 0.0
        b[at.FIRST, i] = fast if b[at.HOURS, i] == 0.0 else b[at.FIRST, i]
        b[at.LAST, i] = fast
        b[at.HOURS, i] += h
        b[at.SWING, i] += abs(moved)
        b[at.CHARGED, i] += moved if up else 0.0
        b[at.CHARGING_H, i] += h if up else 0.0
        b[at.DISCHARGED, i] -= moved if down else 0.0
        b[at.DISCHARGING_H, i] += h if down else 0.0
        b[at.SUM_SOC, i] += half * (before + now)
        if code == at.LFP_SONY:
            a, z = before - 0.5, now - 0.5
            b[at.SUM_CUBE, i] += half * (a * a * a + z * z * z)
    for i in range(lanes):
        t = b[at.NEXT_T, i]
        a, z = b[at.TEMPERATURE, i] - 25.0, t - 25.0
        a2, z2 = a * a, z * z
        b[at.TEMPERATURE, i] = t
        b[at.SUM_T, i] += half * (a + z)
        b[at.SUM_T2, i] += half * (a2 + z2)
        b[at.SUM_T3, i] += half * (a2 * a + z2 * z)
        b[at.OUT_H, i] += h if (t < cold) | (t > hot) else 0.0


@inlined
def _stretch(b: Any, half: float, lanes: Any) -> None:
    """The sums over SoC and the cube of temperature that one model needs."""
    for i in range(lanes):
        now = scaled(b[at.NEXT_SOC, i], b[at.ANCHOR, i], b[at.WORN, i])
        x = (KELVIN + 45.0) / (b[at.TEMPERATURE, i] + KELVIN)
        z = (KELVIN + 45.0) / (b[at.NEXT_T, i] + KELVIN)
        x, z = x * x * x, z * z * z
        v, w = math.sqrt(b[at.SCALED, i]) * x, math.sqrt(now) * z
        b[at.SUM_V, i] += half * (v + w)
        b[at.SUM_V2, i] += half * (v * v + w * w)
        v, w = b[at.SCALED, i] * x, now * z
        b[at.SUM_U, i] += half * (v + w)
        b[at.SUM_U2, i] += half * (v * v + w * w)
        b[at.SUM_U3, i] += half * (v * v * v + w * w * w)


@inlined
def _end(code: int, laws: Any, limits: Any, b: Any, first: Any, count: Any) -> None:
    """A piece ends: the cell grows by it, and by the hours before it as if they were like it."""
    stresses(b, first, count)
    for j in range(count):
        i = first + j
        h = b[at.HOURS, i] + b[at.GAP, i]
        seen = 0.5 * max(b[at.CAPACITY, i], at.LEAST_CAPACITY) * b[at.SWING, i]
        full = seen * h / b[at.HOURS, i]
        b[at.CYCLES_SEEN, i] = seen
        b[at.CYCLES, i] = b[at.SPEED, i] * full
        b[at.DT, i] = b[at.SPEED, i] * h / 24.0
        b[at.FULL, i] += full
    set_rates(code, laws, b, first, count)
    _count(b, limits, first, count)
    grow(laws, b, first, count)
    total(code, laws, b, first, count)
    for j in range(count):
        b[at.THROUGHPUT, first + j] = 0.0
        b[at.WORN, first + j] = 1.0 / max(b[at.CAPACITY, first + j], at.LEAST_CAPACITY)


@inlined
def _begin(b: Any, h: float, first: Any, count: Any) -> None:
    """The next piece begins at the last sample, ``h`` hours after the last one ended."""
    for j in range(count):
        i = first + j
        b[at.HOURS, i] = b[at.SWING, i] = b[at.OUT_H, i] = b[at.SUM_SOC, i] = 0.0
        b[at.CHARGED, i] = b[at.CHARGING_H, i] = b[at.DISCHARGED, i] = b[at.DISCHARGING_H, i] = 0.0
        b[at.SUM_T, i] = b[at.SUM_T2, i] = b[at.SUM_T3, i] = 0.0
        b[at.SUM_U, i] = b[at.SUM_U2, i] = b[at.SUM_U3, i] = b[at.SUM_V, i] = b[at.SUM_V2, i] = 0.0
        b[at.SUM_RATE, i] = b[at.SUM_RATE + 1, i] = b[at.SUM_RATE + 2, i] = 0.0
        b[at.ANCHOR, i] = b[at.LOW, i] = b[at.HIGH, i] = b[at.SCALED, i] = b[at.SOC, i]
        b[at.GAP, i] = h


@compiled_with(growth, stress, at, vector)
def carry(
    code: int,
    laws: Any,
    limits: Any,
    shape: Any,
    over_soc: Any,
    over_temperature: Any,
    hours: Any,
    soc: Any,
    temperature_c: Any,
    speed: Any,
    pieces: Any,
    parts: Any,
    outside: Any,
    totals: Any,
) -> None:
    """Carry cells over samples that end steps of ``hours``; the last four arrays change.

    ``soc`` and ``temperature_c`` are (cells, samples), the last four (rows, cells); ``totals`` are
    capacity, resistance and full cycles. Cells whose ``ANCHOR`` is at.UNKNOWN begin at
    their first sample: all do, or none.
    """
    population, samples = soc.shape
    b = np.zeros((at.ROWS, at.LANES))
    rough = np.zeros((at.ROUGH_ROWS, at.LANES), np.float32)
    cells = np.zeros(at.LANES, np.int32)
    _set_given(b, laws)
    for block in range((population + at.LANES - 1) // at.LANES):
        cell = np.uint64(block * at.LANES)
        lanes = np.uint64(min(at.LANES, population - block * at.LANES))
        _load(b, 0, pieces, cell, lanes)
        _load(b, at.PARTS_AT, parts, cell, lanes)
        _load(b, at.OUTSIDE_AT, outside, cell, lanes)
        _load(b, at.CAPACITY, totals, cell, lanes)
        begins = b[at.ANCHOR, 0] == at.UNKNOWN
        for i in range(lanes):
            b[at.SPEED, i] = speed[cell + i]
            if begins:
                now = soc[cell + i, 0]
                b[at.ANCHOR, i] = b[at.SOC, i] = b[at.SCALED, i] = now
                b[at.LOW, i] = b[at.HIGH, i] = now
                b[at.TEMPERATURE, i] = temperature_c[cell + i, 0]
            b[at.WORN, i] = 1.0 / max(b[at.CAPACITY, i], at.LEAST_CAPACITY)
        for sample in range(samples):
            ended = _look(b, soc, temperature_c, cell, sample, lanes)
            count = lanes if ended == int(lanes) else np.uint64(1)
            first = np.uint64(0)
            while ended > 0 and first < lanes:
                if b[at.ENDED, first] > 0.0:
                    _end(code, laws, limits, b, first, count)
                first += count
            h = 0.0 if begins and sample == 0 else hours[sample]
            for added in (False, True):
                if added:
                    _add(code, b, limits, h, lanes)
                    _locate(b, rough, cells, np.uint64(0), lanes)
                    _time_rates(
                        b,
                        rough,
                        cells,
                        shape,
                        over_soc,
                        over_temperature,
                        0.5 * h,
                        np.uint64(0),
                        lanes,
                    )
                if ended == 0 or added == (h > at.GAP_H):
                    continue
                first = np.uint64(0)
                while first < lanes:
                    if b[at.ENDED, first] > 0.0:
                        _begin(b, h if added else 0.0, first, count)
                        _locate(b, rough, cells, first, count)
                        _time_rates(
                            b, rough, cells, shape, over_soc, over_temperature, 0.0, first, count
                        )
                    first += count
        _keep(b, 0, pieces, cell, lanes)
        _keep(b, at.PARTS_AT, parts, cell, lanes)
        _keep(b, at.OUTSIDE_AT, outside, cell, lanes)
        _keep(b, at.CAPACITY, totals, cell, lanes)


@compiled
def within(values: Any, low: float, high: float) -> bool:
    """Whether all values are from ``low`` to ``high``; NaN is not."""
    outside = 0
    for n in range(values.size):
        outside += 0 if (values[n] >= low) & (values[n] <= high) else 1
    return outside == 0


@compiled_with(growth, stress, at, vector)
def marginal(
    code: int,
    laws: Any,
    pieces: Any,
    parts: Any,
    capacity: Any,
    speed: Any,
    days: float,
    efc: float,
    loss: Any,
) -> None:
    """Loss of capacity of each cell (row) in each piece (column) if ``days`` and ``efc`` of it came."""
    b = np.zeros((at.ROWS, at.LANES))
    _set_given(b, laws)
    for n in range(pieces.shape[0]):
        for begin in range(0, pieces.shape[1], at.LANES):
            lanes = min(at.LANES, pieces.shape[1] - begin)
            for i in range(lanes):
                for row in range(at.PIECE):
                    b[row, i] = pieces[n, begin + i, row]
                for part in range(at.PARTS):
                    b[at.PARTS_AT + part, i] = parts[n, part]
                b[at.CAPACITY, i] = capacity[n]
                b[at.WORN, i] = 1.0 / max(capacity[n], at.LEAST_CAPACITY)
                b[at.DT, i] = speed[n] * days
                b[at.CYCLES, i] = speed[n] * efc
                b[at.CYCLES_SEEN, i] = 0.5 * max(capacity[n], at.LEAST_CAPACITY) * b[at.SWING, i]
            first, count = np.uint64(0), np.uint64(lanes)
            stresses(b, first, count)
            set_rates(code, laws, b, first, count)
            total(code, laws, b, first, count)
            for i in range(lanes):
                loss[n, begin + i] = b[at.CAPACITY, i]
            grow(laws, b, first, count)
            total(code, laws, b, first, count)
            for i in range(lanes):
                loss[n, begin + i] -= b[at.CAPACITY, i]
