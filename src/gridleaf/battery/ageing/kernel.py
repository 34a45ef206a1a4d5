"""Carrying cells forward, compiled: pieces of history, the laws of growth, the rates of cycling.

A history is cut into *pieces*: at the first turning point after more than one equivalent full cycle
(EFC), otherwise at the first sample after more than a day. A day's piece so begins a little later in
each day than the last one did. Within a piece the swings of SoC are divided by the cell's capacity
when the piece began, because a worn cell swings deeper for the same energy. What the piece did is kept
as sums (:data:`HOURS` and what follows), and becomes an increment of the parts when it ends.

The growth of a part from where it stands is exact, whatever the length of the piece, and holds at
nought: a published model that is integrated by tangents explodes or ends in NaN where rates change.

Rates that time sets come from :mod:`~gridleaf.battery.ageing.tables`; those that cycling sets are
evaluated at the two temperatures which have the piece's mean, variance and skewness (a two-point Gauss
rule of its own temperatures).

:data:`LANES` cells are worked on beside each other. A quantity is a row of ``b``, and every loop over
lanes is without branches, so that it becomes vector code: ``b`` is made where it is used, because only
then does the compiler know that its rows are apart.

All that is compiled together is in this one file and in :mod:`~gridleaf.domain.vector`: what is kept on
disk is compiled anew when its own file changes, but not when one changes that it calls into.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from gridleaf.battery.ageing.stress import GAS, KELVIN
from gridleaf.domain.compiled import compiled, inlined
from gridleaf.domain.vector import atanh_twice, exp, log, power, tanh_half

NMC_B1: Final = 0
NMC_B2: Final = 1
NMC_A: Final = 2
LTO: Final = 3
LEAF: Final = 4
LFP_PRISMATIC: Final = 5
LFP_SONY: Final = 6
NCA_PANASONIC: Final = 7
NMC_MJ1: Final = 8
NMC_KOKAM: Final = 9
NMC_SANYO: Final = 10
NMC_DENSO: Final = 11
NCA_SONY: Final = 12
NMC_M50: Final = 13

PARTS: Final = 5
"""No model has more parts."""
NO_PART: Final = 0.0
POWER: Final = 1.0
SIGMOID: Final = 2.0
DAYS: Final = 0.0
EFC: Final = 1.0
LAW: Final = 0
ALONG: Final = 1
UNIT: Final = 2
K: Final = 3
P: Final = 4
END: Final = 5
ON_CAPACITY: Final = 6
ON_RESISTANCE: Final = 7
LAW_COLUMNS: Final = 8

ANCHOR: Final = 0
SOC: Final = 1
TEMPERATURE: Final = 2
DIRECTION: Final = 3
THROUGHPUT: Final = 4
LOW: Final = 5
HIGH: Final = 6
HOURS: Final = 7
SWING: Final = 8
CHARGED: Final = 9
CHARGING_H: Final = 10
DISCHARGED: Final = 11
DISCHARGING_H: Final = 12
SUM_SOC: Final = 13
SUM_T: Final = 14
SUM_T2: Final = 15
SUM_T3: Final = 16
SUM_CUBE: Final = 17
SUM_U: Final = 17
SUM_U2: Final = 18
SUM_U3: Final = 19
SUM_V: Final = 20
SUM_V2: Final = 21
OUT_H: Final = 22
SUM_RATE: Final = 23
SCALED: Final = 26
RATE: Final = 27
PIECE: Final = 30
UNKNOWN: Final = -1.0
"""A piece: where it began, its last sample, sums over its time [h]; last, SoC and rates of that sample.

``ANCHOR`` is UNKNOWN before the first sample. ``ANCHOR``, ``SOC``, ``LOW``, ``HIGH`` and ``THROUGHPUT``
are of SoC as it came, the rest of scaled SoC. Temperatures are [°C], their sums around 25 °C. ``CUBE``
is of SoC around a half; ``U`` and ``V`` are SoC and its root over the cube of temperature. ``OUT_H``:
hours at which temperature is outside the fitted range.
"""

ANY: Final = 0
OUT_TEMPERATURE: Final = 1
OUT_SOC: Final = 2
OUT_CHARGE: Final = 3
OUT_DISCHARGE: Final = 4
OUT_DEPTH: Final = 5
OUT_RATE: Final = 6
REASONS: Final = 7
TINY: Final = 1e-6
"""So little over a limit is rounding."""
SHALLOW: Final = 1e-3
"""A swing below this is rest and has no depth."""

PIECE_H: Final = 24.0
PIECE_EFC: Final = 1.0
RESTING_C: Final = 0.01
"""Slower than this is rest [1/h]."""
LEAST_CAPACITY: Final = 0.05
"""Below this a cell is dead: its swings are divided by no less."""

TABLE_RATES: Final = 3
PRODUCTS: Final = 6
"""No model has more rates that time sets, nor more products in them."""
SOC_CELLS: Final = 2048
TERMS: Final = 11
MIDDLE_C: Final = 20.0
REACH_C: Final = 70.0
COLDEST_C: Final = MIDDLE_C - REACH_C
HOTTEST_C: Final = MIDDLE_C + REACH_C

LANES: Final = 32
PARTS_AT: Final = PIECE
OUTSIDE_AT: Final = PARTS_AT + PARTS
CAPACITY: Final = OUTSIDE_AT + REASONS
RESISTANCE: Final = CAPACITY + 1
FULL: Final = CAPACITY + 2
SPEED: Final = CAPACITY + 3
WORN: Final = CAPACITY + 4
NEXT_SOC: Final = CAPACITY + 5
NEXT_T: Final = CAPACITY + 6
ENDED: Final = CAPACITY + 7
LIMITED: Final = CAPACITY + 8
DEPTH: Final = CAPACITY + 9
BOTTOM: Final = CAPACITY + 10
TOP: Final = CAPACITY + 11
C_RATE: Final = CAPACITY + 12
C_IN: Final = CAPACITY + 13
C_OUT: Final = CAPACITY + 14
COLD: Final = CAPACITY + 15
HOT: Final = CAPACITY + 16
SHARE: Final = CAPACITY + 17
CYCLING: Final = CAPACITY + 18
DT: Final = CAPACITY + 19
DX: Final = CAPACITY + 20
PLACE: Final = CAPACITY + 21
CYCLES: Final = CAPACITY + 22
CYCLES_ALONE: Final = CAPACITY + 23
NOW: Final = CAPACITY + 24
PRODUCT: Final = NOW + TABLE_RATES
RATES_K: Final = PRODUCT + PRODUCTS
RATES_P: Final = RATES_K + PARTS
RATES_END: Final = RATES_P + PARTS
ROWS: Final = RATES_END + PARTS
"""The rows of ``b``: a piece, what the cell has become, and what is only needed on the way."""


# -- growth --


@inlined
def _grow_by_power(b: Any, part: int, first: int, count: int) -> None:
    """``y = k x**p`` from the place on the law where ``y`` stands, ``DX`` further.

    A negative ``k`` leads along the mirrored law: back to nought first, where the part stands above.
    """
    for j in range(count):
        i = first + j
        y, k, p, dx = b[PARTS_AT + part, i], b[RATES_K + part, i], b[RATES_P + part, i], b[DX, i]
        one = 1.0 if y * k >= 0.0 else -1.0
        stood = exp((log(abs(y)) - log(abs(k))) / p) if y != 0.0 else 0.0
        far = dx > stood
        way = dx + one * stood if far else 1.0 + one * dx / max(stood, dx, 1e-300)
        grown = (abs(k) if far else abs(y)) * power(way, p)
        up = k >= 0.0 if far else y >= 0.0
        b[PARTS_AT + part, i] = y if (dx <= 0.0) | (k == 0.0) else grown if up else -grown


@inlined
def _grow_evenly(b: Any, part: int, first: int, count: int) -> None:
    """``y = k x``."""
    for j in range(count):
        i = first + j
        b[PARTS_AT + part, i] += b[RATES_K + part, i] * b[DX, i]


@inlined
def _grow_by_sigmoid(b: Any, part: int, first: int, count: int) -> None:
    """``y = end tanh((k x)**p / 2)``, the same; not beyond ``end``."""
    for j in range(count):
        i = first + j
        y, k, p, end = (
            b[PARTS_AT + part, i],
            b[RATES_K + part, i],
            b[RATES_P + part, i],
            b[RATES_END + part, i],
        )
        dx = b[DX, i]
        still = (dx <= 0.0) | (k <= 0.0) | (p <= 0.0) | (y >= end)
        k, p, end = (1.0, 1.0, 1.0) if still else (k, p, end)
        z = atanh_twice(min(max(y / end, 0.0), 1.0 - 1e-15))
        stood = power(z, 1.0 / p) / k if y > 0.0 else 0.0
        far = dx > stood
        way = k * (dx + stood) if far else 1.0 + dx / max(stood, dx, 1e-300)
        grown = end * tanh_half((1.0 if far else z) * power(way, p))
        b[PARTS_AT + part, i] = y if still else grown


@inlined
def _grow(laws: Any, b: Any, first: int, count: int) -> None:
    """Every part, ``DT`` days and ``FULL`` cycles further; then capacity and resistance."""
    for part in range(PARTS):
        if laws[part, LAW] == NO_PART:
            continue
        along = CYCLES if laws[part, ALONG] == EFC else DT
        for j in range(count):
            b[DX, first + j] = b[along, first + j] / laws[part, UNIT]
        if laws[part, LAW] == SIGMOID:
            _grow_by_sigmoid(b, part, first, count)
        elif laws[part, P] == 1.0:
            _grow_evenly(b, part, first, count)
        else:
            _grow_by_power(b, part, first, count)


@inlined
def _total(code: int, laws: Any, b: Any, first: int, count: int) -> None:
    """Capacity and resistance of what the parts are."""
    for j in range(count):
        i = first + j
        b[CAPACITY, i] = b[RESISTANCE, i] = 1.0
    for part in range(PARTS):
        if laws[part, LAW] != NO_PART:
            for j in range(count):
                i = first + j
                b[CAPACITY, i] += laws[part, ON_CAPACITY] * b[PARTS_AT + part, i]
                b[RESISTANCE, i] += laws[part, ON_RESISTANCE] * b[PARTS_AT + part, i]
    if code == NMC_KOKAM:
        for j in range(count):
            i = first + j
            left = 1.01 - b[PARTS_AT + 2, i]
            b[CAPACITY, i] = min(1.0 - b[PARTS_AT, i] - b[PARTS_AT + 1, i], left)
            b[RESISTANCE, i] = max(b[RESISTANCE, i], 1.09 / max(left, LEAST_CAPACITY) - 0.08)


# -- what cycling sets: loss per throughput at one temperature [K] --


@inlined
def _nmc_b1(t: float, depth: float, c: float, c_out: float) -> Any:
    n = t * (1.0 / (KELVIN + 35.0))
    return 0.844 * power(depth * depth * n * n * n * math.sqrt(c), 0.458)


@inlined
def _nmc_b2(t: float, depth: float, c: float, c_out: float) -> Any:
    n = t * (1.0 / (KELVIN + 35.0))
    x = depth * math.sqrt(c)
    n3 = n * n * n
    return 2.2e9 * exp(11.9 * log(x / n3) - 35.7 * x / (n * n) + 13.7 * x * x / n3)


@inlined
def _nmc_a(t: float, depth: float, c: float, c_out: float) -> Any:
    n = t * (1.0 / (KELVIN + 35.0))
    root = math.sqrt(depth)
    return abs(
        0.0267
        + 1.64 * n * n * n * root
        + 0.011 * exp(c * c / math.sqrt(n))
        - 0.44 * exp(root * n * n * math.sqrt(c))
    )


@inlined
def _lto(t: float, depth: float, c: float, c_out: float) -> Any:
    return (1.29 + 7.83e-5 * c + 4.02 * depth * depth * depth) * exp(-8.33 * (KELVIN + 45.0) / t)


@inlined
def _lfp_prismatic(t: float, depth: float, c: float, c_out: float) -> Any:
    return (4.38e-8 + 1.55e-8 * depth + 1.68e-7 * c) * (exp(2190.0 / t) + exp(-1.55e5 / t))


@inlined
def _nca_panasonic(t: float, depth: float, c: float, c_out: float) -> Any:
    return (1.86e-6 + 4.74e-11 * c + 1.77e-4 * depth) * (exp(3.34e-11 / t) + exp(-2.81e-9 / t))


@inlined
def _nmc_mj1(t: float, depth: float, c: float, c_out: float) -> Any:
    return (1.77e-7 + 8.08e-13 * c + 2.21e-7 * depth) * (exp(2250.0 / t) + exp(-11400.0 / t))


@inlined
def _nmc_kokam(t: float, depth: float, c: float, c_out: float) -> Any:
    return 3.80e3 * exp(-18.4 * (KELVIN + 35.0) / t + 1.04 * exp(depth * depth))


@inlined
def _nmc_m50(t: float, depth: float, c: float, c_out: float) -> Any:
    n = t * (1.0 / (KELVIN + 35.0))
    stress = 1.24459541295018 * n * n * n * math.sqrt(c_out)
    return 0.181235015387132 * exp(stress - 0.123779206033993 * c_out * c_out * c_out)


@inlined
def _along(law: Any, b: Any, first: int, count: int) -> None:
    """A law over the temperatures of a piece."""
    for j in range(count):
        i = first + j
        depth, c, c_out, share = b[DEPTH, i], b[C_RATE, i], b[C_OUT, i], b[SHARE, i]
        cold, hot = law(b[COLD, i], depth, c, c_out), law(b[HOT, i], depth, c, c_out)
        b[CYCLING, i] = share * cold + (1.0 - share) * hot


@inlined
def _nca_exponent(
    t: float, depth: float, c_in: float, c_out: float, low: float, high: float
) -> Any:
    n = t * (1.0 / (KELVIN + 45.0))
    n3 = n * n * n
    root = math.sqrt(depth)
    return abs(
        0.422
        + 2.64 * exp(c_out * math.sqrt(high) / n3)
        + 0.00627 * exp(root * math.sqrt(c_in) * n3 * low * low)
        - 0.0342 * n * n * low
        + 1.29 * root * math.sqrt(c_out * c_in) / n
        - 2.14 * exp(root * c_in * c_in * c_in * n * math.sqrt(c_out))
    )


@inlined
def _skewed(x: float, skew: float, width: float) -> Any:
    u = (x - 0.5) / width
    density = math.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
    return 2.0 * density * 0.5 * math.erfc(-skew * u / math.sqrt(2.0))


@inlined
def _arrhenius(energy: float, t: float) -> Any:
    return exp(-energy / GAS * (1.0 / t - 1.0 / 298.15))


@inlined
def _nodes(mean: float, square: float, cube: float) -> tuple[float, float, float]:
    """Two places and the weight of the first that share three moments."""
    variance = square - mean * mean
    flat = variance < 1e-6 * (mean * mean + 1e-3)
    variance = 1.0 if flat else variance
    skew = (cube - 3.0 * mean * square + 2.0 * mean * mean * mean) / variance
    half = math.sqrt(variance + 0.25 * skew * skew)
    first, second = 0.5 * skew - half, 0.5 * skew + half
    return (
        mean if flat else mean + first,
        mean if flat else mean + second,
        0.5 if flat else second / (second - first),
    )


@inlined
def _scaled(soc: float, anchor: float, worn: float) -> Any:
    return min(max(anchor + (soc - anchor) * worn, 0.0), 1.0)


@inlined
def _stresses(b: Any, first: int, count: int) -> None:
    """What a piece was on the whole: depth, C-rates, temperatures."""
    for j in range(count):
        i = first + j
        h, q, worn = b[HOURS, i], max(b[CAPACITY, i], LEAST_CAPACITY), b[WORN, i]
        b[BOTTOM, i] = _scaled(b[LOW, i], b[ANCHOR, i], worn)
        b[TOP, i] = _scaled(b[HIGH, i], b[ANCHOR, i], worn)
        b[DEPTH, i] = b[TOP, i] - b[BOTTOM, i]
        b[C_RATE, i] = q * (b[CHARGED, i] + b[DISCHARGED, i]) / h
        b[C_IN, i] = q * b[CHARGED, i] / max(b[CHARGING_H, i], 1e-300)
        b[C_OUT, i] = q * b[DISCHARGED, i] / max(b[DISCHARGING_H, i], 1e-300)
        cold, hot, share = _nodes(b[SUM_T, i] / h, b[SUM_T2, i] / h, b[SUM_T3, i] / h)
        b[COLD, i] = cold + (KELVIN + 25.0)
        b[HOT, i] = hot + (KELVIN + 25.0)
        b[SHARE, i] = share
        b[LIMITED, i] = 0.0


@inlined
def _set_rates(code: int, laws: Any, b: Any, first: int, count: int) -> None:
    """What the history of a piece sets of ``k``, ``p`` and ``end``; ``LIMITED`` where it could not."""
    k, p, end = RATES_K, RATES_P, RATES_END
    if code == LFP_SONY:
        for j in range(count):
            i = first + j
            h, depth, c = b[HOURS, i], b[DEPTH, i], b[C_RATE, i]
            b[p, i] = b[SUM_RATE + 1, i] / h
            b[end, i] = b[SUM_RATE, i] / h
            slope = abs(
                -6.81260579372875e-6
                + 2.59615973160844e-5 * depth
                + 2.11559710307295e-6 * exp(depth * depth * c * c * c)
            )
            b[k + 1, i] = power(slope, laws[1, P])
            cold, hot = _arrhenius(71827.0, b[COLD, i]), _arrhenius(71827.0, b[HOT, i])
            warm = b[SHARE, i] * cold + (1.0 - b[SHARE, i]) * hot
            b[k + 3, i] = 86400.0 * 3.4194e-10 * warm * (1.5604 - 3.3903 * b[SUM_CUBE, i] / h)
            around = depth - 0.5
            b[k + 4, i] = (0.0021 - 0.002 * c) * (6.8477 * around * around * around + 0.91882)
        for j in range(count):
            i = first + j
            depth = b[DEPTH, i]
            idle = b[CYCLES_ALONE, i] <= 3.0 * b[HOURS, i] / 24.0
            b[end + 2, i] = (
                0.0
                if idle
                else b[SUM_RATE + 2, i]
                / b[HOURS, i]
                * _skewed(depth, -3.80744333129564, 1.16126260428210)
                * math.tanh(0.5 * 25.4130804598602 * depth)
            )
        return
    if code == NCA_SONY:
        for j in range(count):
            i = first + j
            h, c_in, c_out = b[HOURS, i], b[C_IN, i], b[C_OUT, i]
            a = math.sqrt(c_in)
            left, right, weight = _nodes(b[SUM_U, i] / h, b[SUM_U2, i] / h, b[SUM_U3, i] / h)
            v = b[SUM_V, i] / h
            wide = exp(c_out * math.sqrt(max(0.0, b[SUM_V2, i] / h - v * v)))
            most = (
                5.49
                - 64.9 * a * b[SUM_U, i] / h
                + 21.3 * (weight * exp(a * left) + (1.0 - weight) * exp(a * right))
                + 8.01e-4 * exp(c_out * v) * 0.5 * (wide + 1.0 / wide)
            )
            b[LIMITED, i] = 1.0 if most < 0.15 else 0.0
            b[end + 1, i] = max(0.15, most)
            b[p, i] = b[SUM_RATE + 1, i] / h
            b[end, i] = b[SUM_RATE, i] / h
        for j in range(count):
            i = first + j
            depth, c_in, c_out = b[DEPTH, i], b[C_IN, i], b[C_OUT, i]
            low, high, share = b[BOTTOM, i], b[TOP, i], b[SHARE, i]
            cold = _nca_exponent(b[COLD, i], depth, c_in, c_out, low, high)
            hot = _nca_exponent(b[HOT, i], depth, c_in, c_out, low, high)
            b[p + 1, i] = share * cold + (1.0 - share) * hot
        return
    if code == NMC_DENSO:
        for j in range(count):
            i = first + j
            h, depth = b[HOURS, i], b[DEPTH, i]
            soc, t = b[SUM_SOC, i] / h, b[SUM_T, i] / h + (KELVIN + 25.0)
            stress = math.sqrt(depth * (b[C_IN, i] if b[C_IN, i] > 0.0 else b[C_RATE, i]))
            rate = _arrhenius(37000.0, t) * (
                -1.97e-4
                + 0.0101 * soc
                - 0.0157 * soc * soc
                + 0.00835 * soc * soc * soc
                - 4.06e-6 * soc * t
                + 3.32e-5 * max(0.0, t - 328.15)
            )
            cube = depth * depth * depth
            per_cycle = (
                max(0.0, 3.24 * _arrhenius(-58000.0, t) * stress * (1.0 + 2.1 * soc) - 0.099)
                + 1.44 * _arrhenius(-13000.0, t) * cube * cube
            )
            b[k, i] = rate
            b[k + 1, i] = 0.985 * rate * per_cycle
            b[LIMITED, i] = 1.0 if rate <= 0.0 else 0.0
        return
    for j in range(count):
        b[k, first + j] = b[SUM_RATE, first + j] / b[HOURS, first + j]
    if code == LEAF:
        return
    if code == NMC_SANYO:
        for j in range(count):
            i = first + j
            v = math.sqrt(b[SUM_RATE + 2, i] / b[HOURS, i])
            low, high = v - 3.667, v - 3.725
            b[k + 1, i] = 7.348e-3 * low * low + 7.6e-4 + 4.081e-3 * b[DEPTH, i]
            b[k + 2, i] = b[SUM_RATE + 1, i] / b[HOURS, i]
            b[k + 3, i] = 2.153e-4 * high * high - 1.521e-5 + 2.798e-4 * b[DEPTH, i]
        return
    if code == NMC_B1:
        _along(_nmc_b1, b, first, count)
    elif code == NMC_B2:
        _along(_nmc_b2, b, first, count)
    elif code == NMC_A:
        _along(_nmc_a, b, first, count)
    elif code == LTO:
        _along(_lto, b, first, count)
    elif code == LFP_PRISMATIC:
        _along(_lfp_prismatic, b, first, count)
    elif code == NCA_PANASONIC:
        _along(_nca_panasonic, b, first, count)
    elif code == NMC_MJ1:
        _along(_nmc_mj1, b, first, count)
    elif code == NMC_KOKAM:
        _along(_nmc_kokam, b, first, count)
    else:
        _along(_nmc_m50, b, first, count)
    if code == LTO:
        for j in range(count):
            i = first + j
            b[k + 1, i] = b[SUM_RATE + 1, i] / b[HOURS, i]
            b[k + 2, i] = b[CYCLING, i]
        return
    for j in range(count):
        i = first + j
        b[k + 1, i] = b[CYCLING, i]
        b[LIMITED, i] = 1.0 if b[k, i] <= 0.0 else 0.0
    if code == NMC_KOKAM:
        for j in range(count):
            i = first + j
            h = b[HOURS, i]
            soc, t = b[SUM_SOC, i] / h, b[SUM_T, i] / h - 30.0
            slowness = 1e4 + 153.0 * t * b[DEPTH, i] * soc / 0.6
            b[LIMITED, i] = 1.0 if slowness <= 0.0 else b[LIMITED, i]
            b[k + 2, i] = 0.0 if slowness <= 0.0 else 1.0 / slowness
            b[k + 3, i] = 0.0570 * b[k, i]
            b[k + 4, i] = 4.87 * b[CYCLING, i]


# -- along a history --


@inlined
def _count(b: Any, limits: Any, first: int, count: int) -> None:
    """Count the hours of a piece that is outside the fitted range, by reason."""
    for j in range(count):
        i = first + j
        h, q = b[HOURS, i], max(b[CAPACITY, i], LEAST_CAPACITY)
        low, high, depth = b[BOTTOM, i], b[TOP, i], b[DEPTH, i]
        rate = h if b[LIMITED, i] > 0.0 else 0.0
        heat = h if b[OUT_H, i] > 0.0 else 0.0
        shallow_or_deep = (depth < limits[2] - TINY) | (depth > limits[3] + TINY)
        swing = h if (depth > SHALLOW) & shallow_or_deep else 0.0
        level = h if (low < limits[4] - TINY) | (high > limits[5] + TINY) else 0.0
        fast = h if q * b[CHARGED, i] > (limits[6] + TINY) * b[CHARGING_H, i] else 0.0
        strong = h if q * b[DISCHARGED, i] > (limits[7] + TINY) * b[DISCHARGING_H, i] else 0.0
        b[OUTSIDE_AT + OUT_RATE, i] += rate
        b[OUTSIDE_AT + OUT_TEMPERATURE, i] += heat
        b[OUTSIDE_AT + OUT_DEPTH, i] += swing
        b[OUTSIDE_AT + OUT_SOC, i] += level
        b[OUTSIDE_AT + OUT_CHARGE, i] += fast
        b[OUTSIDE_AT + OUT_DISCHARGE, i] += strong
        b[OUTSIDE_AT + ANY, i] += max(rate, heat, swing, level, fast, strong)


@inlined
def _polynomial(c: Any, row: int, x: float) -> Any:
    high = c[row, 6] + x * (c[row, 7] + x * (c[row, 8] + x * (c[row, 9] + x * c[row, 10])))
    middle = c[row, 3] + x * (c[row, 4] + x * (c[row, 5] + x * high))
    return c[row, 0] + x * (c[row, 1] + x * (c[row, 2] + x * middle))


@inlined
def _time_rates(
    b: Any, shape: Any, over_soc: Any, over_temperature: Any, first: int, count: int
) -> None:
    """``NOW``: the rates that time sets at ``SCALED`` and ``TEMPERATURE``."""
    for j in range(count):
        b[PLACE, first + j] = math.sqrt(b[SCALED, first + j]) * SOC_CELLS
    products = over_soc.shape[1]
    for j in range(count):
        x = b[PLACE, first + j]
        cell = min(np.int32(x), SOC_CELLS - 1)
        for product in range(products):
            b[PRODUCT + product, first + j] = (
                over_soc[cell, product, 0] + (x - cell) * over_soc[cell, product, 1]
            )
    for j in range(count):
        b[PLACE, first + j] = (b[TEMPERATURE, first + j] - MIDDLE_C) * (1.0 / REACH_C)
    rates = shape.shape[0]
    product = 0
    for rate in range(rates):
        for j in range(count):
            i = first + j
            b[NOW + rate, i] = _polynomial(over_temperature, rate, b[PLACE, i])
        for _ in range(shape[rate, 0]):
            for j in range(count):
                i = first + j
                slope = _polynomial(over_temperature, rates + product, b[PLACE, i])
                b[NOW + rate, i] += b[PRODUCT + product, i] * slope
            product += 1
        if shape[rate, 1]:
            for j in range(count):
                b[NOW + rate, first + j] = exp(b[NOW + rate, first + j])


@inlined
def _load(b: Any, row: int, values: Any, cell: int, count: int) -> None:
    for place in range(values.shape[0]):
        for i in range(count):
            b[row + place, i] = values[place, cell + i]


@inlined
def _keep(b: Any, row: int, values: Any, cell: int, count: int) -> None:
    for place in range(values.shape[0]):
        for i in range(count):
            values[place, cell + i] = b[row + place, i]


@inlined
def _ends(b: Any, lanes: int) -> Any:
    """How many pieces end before the next sample, and which (``ENDED``)."""
    ended = 0
    for i in range(lanes):
        turns = (b[NEXT_SOC, i] - b[SOC, i]) * b[DIRECTION, i] < 0.0
        over = (b[HOURS, i] > PIECE_H + TINY) | ((b[THROUGHPUT, i] > 2.0 * PIECE_EFC) & turns)
        b[ENDED, i] = 1.0 if over else 0.0
        ended += 1 if over else 0
    return ended


@inlined
def _add(code: int, b: Any, limits: Any, h: float, lanes: int) -> None:
    """One step more, to the next sample: both ends of it weigh half."""
    half, rest = 0.5 * h, RESTING_C * h
    cold, hot = limits[0] - TINY, limits[1] + TINY
    if code == NCA_SONY:
        _stretch(b, half, lanes)
    for i in range(lanes):
        soc = b[NEXT_SOC, i]
        change = soc - b[SOC, i]
        b[SOC, i] = soc
        b[THROUGHPUT, i] += abs(change)
        b[DIRECTION, i] = change if change != 0.0 else b[DIRECTION, i]
        b[LOW, i] = soc if soc < b[LOW, i] else b[LOW, i]
        b[HIGH, i] = soc if soc > b[HIGH, i] else b[HIGH, i]
        before, now = b[SCALED, i], _scaled(soc, b[ANCHOR, i], b[WORN, i])
        b[SCALED, i] = now
        moved = now - before
        up, down = moved > rest, moved < -rest
        b[HOURS, i] += h
        b[SWING, i] += abs(moved)
        b[CHARGED, i] += moved if up else 0.0
        b[CHARGING_H, i] += h if up else 0.0
        b[DISCHARGED, i] -= moved if down else 0.0
        b[DISCHARGING_H, i] += h if down else 0.0
        b[SUM_SOC, i] += half * (before + now)
        if code == LFP_SONY:
            a, z = before - 0.5, now - 0.5
            b[SUM_CUBE, i] += half * (a * a * a + z * z * z)
    for i in range(lanes):
        t = b[NEXT_T, i]
        a, z = b[TEMPERATURE, i] - 25.0, t - 25.0
        a2, z2 = a * a, z * z
        b[TEMPERATURE, i] = t
        b[SUM_T, i] += half * (a + z)
        b[SUM_T2, i] += half * (a2 + z2)
        b[SUM_T3, i] += half * (a2 * a + z2 * z)
        b[OUT_H, i] += h if (t < cold) | (t > hot) else 0.0


@inlined
def _stretch(b: Any, half: float, lanes: int) -> None:
    """The sums over SoC and the cube of temperature that one model needs."""
    for i in range(lanes):
        now = _scaled(b[NEXT_SOC, i], b[ANCHOR, i], b[WORN, i])
        x = (KELVIN + 45.0) / (b[TEMPERATURE, i] + KELVIN)
        z = (KELVIN + 45.0) / (b[NEXT_T, i] + KELVIN)
        x, z = x * x * x, z * z * z
        v, w = math.sqrt(b[SCALED, i]) * x, math.sqrt(now) * z
        b[SUM_V, i] += half * (v + w)
        b[SUM_V2, i] += half * (v * v + w * w)
        v, w = b[SCALED, i] * x, now * z
        b[SUM_U, i] += half * (v + w)
        b[SUM_U2, i] += half * (v * v + w * w)
        b[SUM_U3, i] += half * (v * v * v + w * w * w)


@inlined
def _end(code: int, laws: Any, limits: Any, b: Any, first: int, count: int) -> None:
    """A piece ends: the cell grows by it, and the next one begins at its last sample."""
    _stresses(b, first, count)
    for j in range(count):
        i = first + j
        full = 0.5 * max(b[CAPACITY, i], LEAST_CAPACITY) * b[SWING, i]
        b[CYCLES_ALONE, i] = full
        b[CYCLES, i] = b[SPEED, i] * full
        b[DT, i] = b[SPEED, i] * b[HOURS, i] / 24.0
        b[FULL, i] += full
    _set_rates(code, laws, b, first, count)
    _count(b, limits, first, count)
    _grow(laws, b, first, count)
    _total(code, laws, b, first, count)
    for row in range(HOURS, SCALED):
        for j in range(count):
            b[row, first + j] = 0.0
    for j in range(count):
        i = first + j
        b[ANCHOR, i] = b[LOW, i] = b[HIGH, i] = b[SCALED, i] = b[SOC, i]
        b[THROUGHPUT, i] = 0.0
        b[WORN, i] = 1.0 / max(b[CAPACITY, i], LEAST_CAPACITY)


@compiled
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
    capacity, resistance and full cycles. Cells whose ``ANCHOR`` is UNKNOWN begin at
    their first sample: all do, or none.
    """
    cells, samples = soc.shape
    rates = shape.shape[0]
    b = np.zeros((ROWS, LANES))
    for part in range(PARTS):
        for i in range(LANES):
            b[RATES_K + part, i] = laws[part, K]
            b[RATES_P + part, i] = laws[part, P]
            b[RATES_END + part, i] = laws[part, END]
    for block in range((cells + LANES - 1) // LANES):
        cell = block * LANES
        lanes = min(LANES, cells - cell)
        _load(b, 0, pieces, cell, lanes)
        _load(b, PARTS_AT, parts, cell, lanes)
        _load(b, OUTSIDE_AT, outside, cell, lanes)
        _load(b, CAPACITY, totals, cell, lanes)
        begins = b[ANCHOR, 0] == UNKNOWN
        for i in range(lanes):
            b[SPEED, i] = speed[cell + i]
            if begins:
                at = soc[cell + i, 0]
                b[ANCHOR, i] = b[SOC, i] = b[LOW, i] = b[HIGH, i] = b[SCALED, i] = at
                b[TEMPERATURE, i] = temperature_c[cell + i, 0]
            b[WORN, i] = 1.0 / max(b[CAPACITY, i], LEAST_CAPACITY)
        for sample in range(samples):
            for i in range(lanes):
                b[NEXT_SOC, i] = soc[cell + i, sample]
            for i in range(lanes):
                b[NEXT_T, i] = temperature_c[cell + i, sample]
            ended = _ends(b, lanes)
            first = 0
            while ended > 0 and first < lanes:
                count = lanes if ended == lanes else 1
                if b[ENDED, first] > 0.0:
                    _end(code, laws, limits, b, first, count)
                    _time_rates(b, shape, over_soc, over_temperature, first, count)
                    for rate in range(rates):
                        for j in range(count):
                            b[RATE + rate, first + j] = b[NOW + rate, first + j]
                first += count
            h = 0.0 if begins and sample == 0 else hours[sample]
            _add(code, b, limits, h, lanes)
            _time_rates(b, shape, over_soc, over_temperature, 0, lanes)
            for rate in range(rates):
                for i in range(lanes):
                    now = b[NOW + rate, i]
                    b[SUM_RATE + rate, i] += 0.5 * h * (b[RATE + rate, i] + now)
                    b[RATE + rate, i] = now
        _keep(b, 0, pieces, cell, lanes)
        _keep(b, PARTS_AT, parts, cell, lanes)
        _keep(b, OUTSIDE_AT, outside, cell, lanes)
        _keep(b, CAPACITY, totals, cell, lanes)


@compiled
def unlike(values: Any, low: float, high: float) -> int:
    """How many values are not from ``low`` to ``high``; NaN is not."""
    found = 0
    for n in range(values.size):
        inside = (values[n] >= low) & (values[n] <= high)
        found += 0 if inside else 1
    return found


@compiled
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
    b = np.zeros((ROWS, LANES))
    for part in range(PARTS):
        for i in range(LANES):
            b[RATES_K + part, i] = laws[part, K]
            b[RATES_P + part, i] = laws[part, P]
            b[RATES_END + part, i] = laws[part, END]
    for n in range(pieces.shape[0]):
        for begin in range(0, pieces.shape[1], LANES):
            lanes = min(LANES, pieces.shape[1] - begin)
            for i in range(lanes):
                for row in range(PIECE):
                    b[row, i] = pieces[n, begin + i, row]
                for part in range(PARTS):
                    b[PARTS_AT + part, i] = parts[n, part]
                b[CAPACITY, i] = capacity[n]
                b[WORN, i] = 1.0 / max(capacity[n], LEAST_CAPACITY)
                b[DT, i] = speed[n] * days
                b[CYCLES, i] = speed[n] * efc
                b[CYCLES_ALONE, i] = 0.5 * max(capacity[n], LEAST_CAPACITY) * b[SWING, i]
            _stresses(b, 0, lanes)
            _set_rates(code, laws, b, 0, lanes)
            _total(code, laws, b, 0, lanes)
            for i in range(lanes):
                loss[n, begin + i] = b[CAPACITY, i]
            _grow(laws, b, 0, lanes)
            _total(code, laws, b, 0, lanes)
            for i in range(lanes):
                loss[n, begin + i] -= b[CAPACITY, i]
