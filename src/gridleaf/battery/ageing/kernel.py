"""Carrying cells forward, compiled: pieces of history, the laws of growth, the rates of cycling.

A history is cut into *pieces*: at the first turning point after more than one equivalent full cycle
(EFC), otherwise at the first sample after more than a day. A day's piece so begins a little later in
each day than the last one did. Within a piece the swings of SoC are divided by the cell's capacity
when the piece began, because a worn cell swings deeper for the same energy. What the piece did is kept
as sums (:data:`HOURS` and what follows), and becomes an increment of the parts when it ends.

The growth of a part from where it stands is exact, whatever the length of the piece, and holds at
nought: a published model that is integrated by tangents explodes or ends in NaN where rates change.

Rates that time sets come from a table; those that cycling sets are evaluated at the two temperatures
which have the piece's mean, variance and skewness (a two-point Gauss rule of its own temperatures).

All that is compiled together is in this one file: what is kept on disk is compiled anew when its own
file changes, but not when one changes that it calls into.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from gridleaf.battery.ageing.stress import FIRST_KNOT, GAS, KELVIN, KNOT
from gridleaf.domain.compiled import compiled, inlined

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
RATE: Final = 26
PIECE: Final = 29
UNKNOWN: Final = -1.0
"""A piece is a row of these: where it began, its last sample, sums over its time [h], the last rates.

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
LOW_CELLS: Final = 8
FINE_CELLS: Final = 48
EVEN_CELLS: Final = 49
SOC_CELLS: Final = 8 + 48 + 49
FINE: Final = KNOT / 8.0
EVEN_FROM: Final = FIRST_KNOT + 6.0 * KNOT
COLDEST_C: Final = -50.0
HOTTEST_C: Final = 90.0
CELL_C: Final = 2.0
TEMPERATURE_CELLS: Final = 70
COEFFICIENTS: Final = 16
"""The table of rates over SoC: by its root up to :data:`FIRST_KNOT`, where an anode empties; then eight
cells, and from :data:`EVEN_FROM` one cell, between each two knots of an open-circuit voltage."""


# -- growth --


@inlined
def _longer(e: float, p: float) -> Any:
    """``(1 + e)**p``, most often for a small ``e``."""
    if e > 0.01:
        return (1.0 + e) ** p
    return 1.0 + p * e * (
        1.0
        + (p - 1.0)
        / 2.0
        * e
        * (1.0 + (p - 2.0) / 3.0 * e * (1.0 + (p - 3.0) / 4.0 * e * (1.0 + (p - 4.0) / 5.0 * e)))
    )


@inlined
def _grow(law: float, y: float, k: float, p: float, end: float, dx: float) -> Any:
    """A part after ``dx`` more, from the place on its law where it stands.

    A negative ``k`` leads along the mirrored law: back to nought first, where the part stands above.
    """
    if dx <= 0.0:
        return y
    if law == POWER:
        if p == 1.0:
            return y + k * dx
        if k == 0.0:
            return y
        if y == 0.0:
            return k * dx**p
        stood = abs(y / k) ** (1.0 / p)
        if y * k < 0.0:
            return k * (dx - stood) ** p if dx > stood else -k * (stood - dx) ** p
        return k * (stood + dx) ** p if stood < dx else y * _longer(dx / stood, p)
    if k <= 0.0 or p <= 0.0 or y >= end:
        return y
    if y <= 0.0:
        return end * math.tanh(0.5 * (k * dx) ** p)
    z = 2.0 * math.atanh(y / end)
    stood = z ** (1.0 / p) / k
    if stood < dx:
        return end * math.tanh(0.5 * (k * (stood + dx)) ** p)
    return end * math.tanh(0.5 * z * _longer(dx / stood, p))


@inlined
def _capacity(code: int, laws: Any, y: Any) -> Any:
    if code == NMC_KOKAM:
        return min(1.0 - y[0] - y[1], 1.01 - y[2])
    q = 1.0
    for part in range(PARTS):
        if laws[part, LAW] != NO_PART:
            q += laws[part, ON_CAPACITY] * y[part]
    return q


@inlined
def _resistance(code: int, laws: Any, y: Any) -> Any:
    r = 1.0
    for part in range(PARTS):
        if laws[part, LAW] != NO_PART:
            r += laws[part, ON_RESISTANCE] * y[part]
    if code == NMC_KOKAM:
        return max(r, 1.09 / max(1.01 - y[2], LEAST_CAPACITY) - 0.08)
    return r


# -- what cycling sets --


@inlined
def _arrhenius(energy: float, t: float) -> Any:
    return math.exp(-energy / GAS * (1.0 / t - 1.0 / 298.15))


@inlined
def _cycling(code: int, t: float, depth: float, c: float, c_out: float) -> Any:
    """Rate of loss per throughput at one temperature [K] (models with one such rate)."""
    n = t / (KELVIN + 35.0)
    if code == NMC_B1:
        return 0.844 * (depth * depth * n**3 * math.sqrt(c)) ** 0.458
    if code == NMC_B2:
        x = depth * math.sqrt(c)
        if x <= 0.0:
            return 0.0
        return 2.2e9 * math.exp(11.9 * math.log(x / n**3) - 35.7 * x / n**2 + 13.7 * x * x / n**3)
    if code == NMC_A:
        root = math.sqrt(depth)
        return abs(
            0.0267
            + 1.64 * n**3 * root
            + 0.011 * math.exp(c * c / math.sqrt(n))
            - 0.44 * math.exp(root * n * n * math.sqrt(c))
        )
    if code == LTO:
        return (1.29 + 7.83e-5 * c + 4.02 * depth**3) * math.exp(-8.33 * (KELVIN + 45.0) / t)
    if code == LFP_PRISMATIC:
        return (4.38e-8 + 1.55e-8 * depth + 1.68e-7 * c) * (
            math.exp(2190.0 / t) + math.exp(-1.55e5 / t)
        )
    if code == NCA_PANASONIC:
        return (1.86e-6 + 4.74e-11 * c + 1.77e-4 * depth) * (
            math.exp(3.34e-11 / t) + math.exp(-2.81e-9 / t)
        )
    if code == NMC_MJ1:
        return (1.77e-7 + 8.08e-13 * c + 2.21e-7 * depth) * (
            math.exp(2250.0 / t) + math.exp(-11400.0 / t)
        )
    if code == NMC_KOKAM:
        return 3.80e3 * math.exp(-18.4 / n + 1.04 * math.exp(depth * depth))
    if code == NMC_M50:
        return 0.181235015387132 * math.exp(
            -0.123779206033993 * c_out**3 + 1.24459541295018 * n**3 * math.sqrt(c_out)
        )
    return 0.0


@inlined
def _nca_exponent(
    t: float, depth: float, c_in: float, c_out: float, low: float, high: float
) -> Any:
    n = t / (KELVIN + 45.0)
    root = math.sqrt(depth)
    return abs(
        0.422
        + 2.64 * math.exp(c_out * math.sqrt(high) / n**3)
        + 0.00627 * math.exp(root * math.sqrt(c_in) * n**3 * low * low)
        - 0.0342 * n * n * low
        + 1.29 * root * math.sqrt(c_out * c_in) / n
        - 2.14 * math.exp(root * c_in**3 * n * math.sqrt(c_out))
    )


@inlined
def _skewed(x: float, skew: float, width: float) -> Any:
    u = (x - 0.5) / width
    density = math.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
    return 2.0 * density * 0.5 * math.erfc(-skew * u / math.sqrt(2.0))


@inlined
def _nodes(mean: float, square: float, cube: float) -> tuple[float, float, float]:
    """Two places and the weight of the first that share three moments."""
    variance = square - mean * mean
    if variance < 1e-6 * (mean * mean + 1e-3):
        return mean, mean, 0.5
    skew = (cube - 3.0 * mean * square + 2.0 * mean**3) / variance
    half = math.sqrt(variance + 0.25 * skew * skew)
    first, second = 0.5 * skew - half, 0.5 * skew + half
    return mean + first, mean + second, second / (second - first)


@inlined
def _scaled(soc: float, anchor: float, q: float) -> Any:
    return min(max(anchor + (soc - anchor) / q, 0.0), 1.0)


@inlined
def _rates(code: int, piece: Any, laws: Any, q: float, rates: Any) -> Any:
    """Fill in what the history sets of ``k``, ``p`` and ``end``; True where a rate was limited."""
    h = piece[HOURS]
    low = _scaled(piece[LOW], piece[ANCHOR], q)
    high = _scaled(piece[HIGH], piece[ANCHOR], q)
    depth = high - low
    c = q * (piece[CHARGED] + piece[DISCHARGED]) / h
    c_in = q * piece[CHARGED] / piece[CHARGING_H] if piece[CHARGING_H] > 0.0 else 0.0
    c_out = q * piece[DISCHARGED] / piece[DISCHARGING_H] if piece[DISCHARGING_H] > 0.0 else 0.0
    soc = piece[SUM_SOC] / h
    cold, hot, share = _nodes(piece[SUM_T] / h, piece[SUM_T2] / h, piece[SUM_T3] / h)
    cold += KELVIN + 25.0
    hot += KELVIN + 25.0
    mean_t = piece[SUM_T] / h + KELVIN + 25.0
    limited = False
    for part in range(PARTS):
        rates[part, 0] = laws[part, K]
        rates[part, 1] = laws[part, P]
        rates[part, 2] = laws[part, END]
    first = piece[SUM_RATE] / h
    second = piece[SUM_RATE + 1] / h
    third = piece[SUM_RATE + 2] / h
    rates[0, 0] = first
    if code == LEAF:
        return False
    if code == LFP_SONY:
        rates[0, 0] = laws[0, K]
        rates[0, 1] = second
        rates[0, 2] = first
        slope = abs(
            -6.81260579372875e-6
            + 2.59615973160844e-5 * depth
            + 2.11559710307295e-6 * math.exp(depth * depth * c**3)
        )
        rates[1, 0] = slope ** laws[1, P]
        busy = 0.5 * q * piece[SWING] > 3.0 * h / 24.0
        rates[2, 2] = (
            third
            * _skewed(depth, -3.80744333129564, 1.16126260428210)
            * math.tanh(0.5 * 25.4130804598602 * depth)
            if busy
            else 0.0
        )
        warm = share * _arrhenius(71827.0, cold) + (1.0 - share) * _arrhenius(71827.0, hot)
        rates[3, 0] = 86400.0 * 3.4194e-10 * warm * (1.5604 - 3.3903 * piece[SUM_CUBE] / h)
        rates[4, 0] = (0.0021 - 0.002 * c) * (6.8477 * (depth - 0.5) ** 3 + 0.91882)
        return False
    if code == NMC_SANYO:
        v = math.sqrt(third)
        rates[1, 0] = 7.348e-3 * (v - 3.667) ** 2 + 7.6e-4 + 4.081e-3 * depth
        rates[2, 0] = second
        rates[3, 0] = 2.153e-4 * (v - 3.725) ** 2 - 1.521e-5 + 2.798e-4 * depth
        return False
    if code == NMC_DENSO:
        stress = math.sqrt(depth * (c_in if c_in > 0.0 else c))
        k = _arrhenius(37000.0, mean_t) * (
            -1.97e-4
            + 0.0101 * soc
            - 0.0157 * soc**2
            + 0.00835 * soc**3
            - 4.06e-6 * soc * mean_t
            + 3.32e-5 * max(0.0, mean_t - 328.15)
        )
        per_cycle = (
            max(0.0, 3.24 * _arrhenius(-58000.0, mean_t) * stress * (1.0 + 2.1 * soc) - 0.099)
            + 1.44 * _arrhenius(-13000.0, mean_t) * depth**6
        )
        rates[0, 0] = k
        rates[1, 0] = 0.985 * k * per_cycle
        return k <= 0.0
    if code == NCA_SONY:
        rates[0, 0] = laws[0, K]
        rates[0, 1] = second
        rates[0, 2] = first
        a = math.sqrt(c_in)
        left, right, weight = _nodes(piece[SUM_U] / h, piece[SUM_U2] / h, piece[SUM_U3] / h)
        v = piece[SUM_V] / h
        wide = math.sqrt(max(0.0, piece[SUM_V2] / h - v * v))
        end = (
            5.49
            - 64.9 * a * piece[SUM_U] / h
            + 21.3 * (weight * math.exp(a * left) + (1.0 - weight) * math.exp(a * right))
            + 8.01e-4 * math.exp(c_out * v) * math.cosh(c_out * wide)
        )
        limited = end < 0.15
        rates[1, 2] = max(0.15, end)
        rates[1, 1] = share * _nca_exponent(cold, depth, c_in, c_out, low, high) + (
            1.0 - share
        ) * _nca_exponent(hot, depth, c_in, c_out, low, high)
        return limited
    k = share * _cycling(code, cold, depth, c, c_out) + (1.0 - share) * _cycling(
        code, hot, depth, c, c_out
    )
    if code == LTO:
        rates[1, 0] = second
        rates[2, 0] = k
        return False
    rates[1, 0] = k
    if code == NMC_KOKAM:
        slowness = 1e4 + 153.0 * (mean_t - KELVIN - 55.0) * depth * soc / 0.6
        limited = slowness <= 0.0
        rates[2, 0] = 0.0 if limited else 1.0 / slowness
        rates[3, 0] = 0.0570 * first
        rates[4, 0] = 4.87 * k
    return limited or first <= 0.0


@inlined
def _step(code: int, laws: Any, rates: Any, y: Any, days: float, efc: float) -> None:
    for part in range(PARTS):
        if laws[part, LAW] != NO_PART:
            dx = (efc if laws[part, ALONG] == EFC else days) / laws[part, UNIT]
            y[part] = _grow(
                laws[part, LAW], y[part], rates[part, 0], rates[part, 1], rates[part, 2], dx
            )


# -- along a history --


@inlined
def _count(piece: Any, limits: Any, q: float, limited: bool, outside: Any) -> None:
    """Count the hours of a piece that is outside the fitted range, by reason."""
    h = piece[HOURS]
    low = _scaled(piece[LOW], piece[ANCHOR], q)
    high = _scaled(piece[HIGH], piece[ANCHOR], q)
    depth = high - low
    wrong = limited
    if limited:
        outside[OUT_RATE] += h
    if piece[OUT_H] > 0.0:
        outside[OUT_TEMPERATURE] += h
        wrong = True
    if depth > SHALLOW and (depth < limits[2] - TINY or depth > limits[3] + TINY):
        outside[OUT_DEPTH] += h
        wrong = True
    if low < limits[4] - TINY or high > limits[5] + TINY:
        outside[OUT_SOC] += h
        wrong = True
    if q * piece[CHARGED] > (limits[6] + TINY) * piece[CHARGING_H]:
        outside[OUT_CHARGE] += h
        wrong = True
    if q * piece[DISCHARGED] > (limits[7] + TINY) * piece[DISCHARGING_H]:
        outside[OUT_DISCHARGE] += h
        wrong = True
    if wrong:
        outside[ANY] += h


@inlined
def _cubic(m: Any, x: Any, w: Any) -> Any:
    a = m[0] + x * (m[4] + x * (m[8] + x * m[12]))
    b = m[1] + x * (m[5] + x * (m[9] + x * m[13]))
    c = m[2] + x * (m[6] + x * (m[10] + x * m[14]))
    d = m[3] + x * (m[7] + x * (m[11] + x * m[15]))
    return a + w * (b + w * (c + w * d))


@inlined
def _cell(soc: float) -> Any:
    """Place of a SoC in the table: its cell, and how far through it."""
    if soc >= EVEN_FROM:
        return LOW_CELLS + FINE_CELLS + (soc - EVEN_FROM) * (1.0 / KNOT)
    if soc >= FIRST_KNOT:
        return LOW_CELLS + (soc - FIRST_KNOT) * (1.0 / FINE)
    return LOW_CELLS * math.sqrt(soc / FIRST_KNOT)


@inlined
def _look_up(table: Any, soc: float, temperature_c: float, rate: int) -> float:
    """A rate at one place."""
    x = _cell(soc)
    w = min((temperature_c - COLDEST_C) * (1.0 / CELL_C), TEMPERATURE_CELLS - 1e-9)
    i, j = int(x), int(w)
    place = i * TEMPERATURE_CELLS + j
    return float(_cubic(table[rate, place], np.float32(x - i), np.float32(w - j)))


@compiled
def carry(
    code: int,
    laws: Any,
    limits: Any,
    table: Any,
    rates_of: int,
    hours: Any,
    soc: Any,
    temperature_c: Any,
    speed: Any,
    piece_in: Any,
    y: Any,
    outside: Any,
    capacity: Any,
    resistance: Any,
    efc: Any,
    piece_out: Any,
) -> None:
    """Carry cells (rows) over samples (columns) that end steps of ``hours``; the last arrays change.

    A cell whose ``ANCHOR`` is UNKNOWN begins at its first sample, which then is no step.
    """
    steps = soc.shape[1]
    rates = np.empty((PARTS, 3))
    scaled = np.empty(steps + 1)
    warm = np.empty(steps + 1)
    clock = np.cumsum(hours) - hours
    for n in range(soc.shape[0]):
        p = piece_out[n]
        p[:] = piece_in[n]
        begin = 0
        if p[ANCHOR] == UNKNOWN:
            begin = 1
            p[ANCHOR] = p[SOC] = soc[n, 0]
            p[TEMPERATURE] = temperature_c[n, 0]
            _begin(p, table, rates_of)
        while begin < steps:
            end, ended = _until(p, clock, soc[n], begin)
            q = max(capacity[n], LEAST_CAPACITY)
            if end > begin:
                h, s, t = hours[begin:end], soc[n][begin:end], temperature_c[n][begin:end]
                _extend(code, p, table, rates_of, limits, q, h, s, t, scaled, warm)
            if ended:
                full = 0.5 * q * p[SWING]
                limited = _rates(code, p, laws, q, rates)
                _count(p, limits, q, limited, outside[n])
                _step(code, laws, rates, y[n], speed[n] * p[HOURS] / 24.0, speed[n] * full)
                efc[n] += full
                capacity[n] = _capacity(code, laws, y[n])
                resistance[n] = _resistance(code, laws, y[n])
                p[ANCHOR] = p[SOC]
                _begin(p, table, rates_of)
            begin = end


@inlined
def _begin(p: Any, table: Any, rates_of: int) -> None:
    """A piece begins where the last one ended."""
    p[THROUGHPUT] = 0.0
    p[LOW] = p[HIGH] = p[ANCHOR]
    for m in range(HOURS, RATE):
        p[m] = 0.0
    for rate in range(rates_of):
        p[RATE + rate] = _look_up(table, p[ANCHOR], p[TEMPERATURE], rate)


@inlined
def _until(p: Any, clock: Any, soc: Any, begin: int) -> tuple[int, bool]:
    """How many samples still belong to the piece, and whether it then ends.

    ``clock`` are the hours before each step. Most pieces end by their time, and what they travel
    is a sum; only where it may be too much is each turning point looked at.
    """
    steps = soc.shape[0]
    last = PIECE_H + TINY - p[HOURS] + clock[begin]
    end = begin
    while end < steps and clock[end] <= last:
        end += 1
    s = soc[begin:end]
    travelled = p[THROUGHPUT]
    if end > begin:
        travelled += abs(s[0] - p[SOC])
    for k in range(1, end - begin):
        travelled += abs(s[k] - s[k - 1])
    ended = end < steps
    if travelled > 2.0 * PIECE_EFC:
        travelled, direction, was = p[THROUGHPUT], p[DIRECTION], p[SOC]
        for k in range(end - begin):
            change = s[k] - was
            if travelled > 2.0 * PIECE_EFC and change * direction < 0.0:
                end = begin + k
                ended = True
                break
            travelled += abs(change)
            direction = change if change != 0.0 else direction
            was = s[k]
    p[THROUGHPUT] = travelled
    return end, ended


@inlined
def _note(p: Any, soc: Any) -> None:
    """The last direction of SoC, its lowest and its highest."""
    k = len(soc) - 1
    while k > 0 and soc[k] == soc[k - 1]:
        k -= 1
    change = soc[k] - (soc[k - 1] if k > 0 else p[SOC])
    if change != 0.0:
        p[DIRECTION] = change
    # Two chains each: a minimum has to wait for the one before it.
    low, high = p[LOW], p[HIGH]
    other_low, other_high = low, high
    for k in range(len(soc) // 2):
        a, b = soc[2 * k], soc[2 * k + 1]
        low = a if a < low else low
        high = a if a > high else high
        other_low = b if b < other_low else other_low
        other_high = b if b > other_high else other_high
    end = soc[len(soc) - 1]
    p[LOW] = min(low, other_low, end)
    p[HIGH] = max(high, other_high, end)


@inlined
def _extend(
    code: int,
    p: Any,
    table: Any,
    rates_of: int,
    limits: Any,
    q: float,
    hours: Any,
    soc: Any,
    temperature_c: Any,
    scaled: Any,
    warm: Any,
) -> None:
    """Some steps more: both ends of each weigh half of it."""
    steps = len(hours)
    _note(p, soc)
    anchor, worn = p[ANCHOR], 1.0 / q
    cold, hot = limits[0] - TINY - 25.0, limits[1] + TINY - 25.0
    scaled[0] = _scaled(p[SOC], anchor, q)
    warm[0] = p[TEMPERATURE] - 25.0
    for k in range(steps):
        scaled[k + 1] = min(max(anchor + (soc[k] - anchor) * worn, 0.0), 1.0)
        warm[k + 1] = temperature_c[k] - 25.0
    s0, s1 = scaled[:steps], scaled[1 : steps + 1]
    t0, t1 = warm[:steps], warm[1 : steps + 1]
    swing = charged = charging_h = discharged = discharging_h = 0.0
    for k in range(steps):
        h = hours[k]
        moved = s1[k] - s0[k]
        rest = RESTING_C * h
        up, down = moved > rest, moved < -rest
        swing += abs(moved)
        charged += moved * up
        charging_h += h * up
        discharged -= moved * down
        discharging_h += h * down
    time = out = sum_s = sum_t = sum_t2 = sum_t3 = 0.0
    for k in range(steps):
        half = 0.5 * hours[k]
        a, b = t0[k], t1[k]
        time += hours[k]
        out += hours[k] * ((b < cold) | (b > hot))
        sum_s += half * (s0[k] + s1[k])
        sum_t += half * (a + b)
        sum_t2 += half * (a * a + b * b)
        sum_t3 += half * (a * a * a + b * b * b)
    p[HOURS] += time
    p[OUT_H] += out
    p[SWING] += swing
    p[CHARGED] += charged
    p[CHARGING_H] += charging_h
    p[DISCHARGED] += discharged
    p[DISCHARGING_H] += discharging_h
    p[SUM_SOC] += sum_s
    p[SUM_T] += sum_t
    p[SUM_T2] += sum_t2
    p[SUM_T3] += sum_t3
    if code == LFP_SONY:
        for k in range(steps):
            a, b = scaled[k] - 0.5, scaled[k + 1] - 0.5
            p[SUM_CUBE] += 0.5 * hours[k] * (a * a * a + b * b * b)
    if code == NCA_SONY:
        _stretch(p, hours, scaled, warm)
    for rate in range(rates_of):
        total, before = 0.0, p[RATE + rate]
        for k in range(steps):
            now = _look_up(table, s1[k], temperature_c[k], rate)
            total += 0.5 * hours[k] * (before + now)
            before = now
        p[SUM_RATE + rate] += total
        p[RATE + rate] = before
    p[SOC] = soc[steps - 1]
    p[TEMPERATURE] = temperature_c[steps - 1]


@inlined
def _stretch(p: Any, hours: Any, scaled: Any, warm: Any) -> None:
    """The sums over SoC and the cube of temperature that one model needs."""
    for k in range(len(hours)):
        half = 0.5 * hours[k]
        a = (KELVIN + 45.0) / (warm[k] + KELVIN + 25.0)
        b = (KELVIN + 45.0) / (warm[k + 1] + KELVIN + 25.0)
        a, b = a * a * a, b * b * b
        u, w = scaled[k] * a, scaled[k + 1] * b
        p[SUM_U] += half * (u + w)
        p[SUM_U2] += half * (u * u + w * w)
        p[SUM_U3] += half * (u * u * u + w * w * w)
        u, w = math.sqrt(scaled[k]) * a, math.sqrt(scaled[k + 1]) * b
        p[SUM_V] += half * (u + w)
        p[SUM_V2] += half * (u * u + w * w)


@compiled
def marginal(
    code: int,
    laws: Any,
    pieces: Any,
    y: Any,
    capacity: Any,
    speed: Any,
    days: float,
    efc: float,
    loss: Any,
) -> None:
    """Loss of capacity of each cell (row) in each piece (column) if ``days`` and ``efc`` of it came."""
    rates = np.empty((PARTS, 3))
    later = np.empty(PARTS)
    for n in range(pieces.shape[0]):
        q = max(capacity[n], LEAST_CAPACITY)
        before = _capacity(code, laws, y[n])
        for m in range(pieces.shape[1]):
            later[:] = y[n]
            _rates(code, pieces[n, m], laws, q, rates)
            _step(code, laws, rates, later, speed[n] * days, speed[n] * efc)
            loss[n, m] = before - _capacity(code, laws, later)
