"""How cells grow worn, compiled: the laws of growth, and the rates that a piece of history sets.

The growth of a part from where it stands is exact, whatever the length of the piece, and holds at
nought: a published model that is integrated by tangents explodes or ends in NaN where rates change.

Rates that cycling sets are evaluated at the two temperatures which have the piece's mean, variance and
skewness (a two-point Gauss rule of its own temperatures). The constants are those of the papers named
with each model (:mod:`~gridleaf.battery.ageing.models`).

A quantity is a row of ``b`` and every function goes over lanes ``first`` to ``first + count``
(:mod:`~gridleaf.battery.ageing.kernel`).
"""

from __future__ import annotations

import math
from typing import Any

from gridleaf.battery.ageing import layout as at
from gridleaf.battery.ageing.stress import GAS, KELVIN
from gridleaf.domain.compiled import inlined
from gridleaf.domain.vector import atanh_twice, exp, log, power, tanh_half

# -- growth --


@inlined
def _grow_by_power(b: Any, part: int, first: Any, count: Any) -> None:
    """``y = k x**p`` from the place on the law where ``y`` stands, ``DX`` further.

    A negative ``k`` leads along the mirrored law: back to nought first, where the part stands above.
    """
    for j in range(count):
        i = first + j
        y, k, p, dx = (
            b[at.PARTS_AT + part, i],
            b[at.RATES_K + part, i],
            b[at.RATES_P + part, i],
            b[at.DX, i],
        )
        one = 1.0 if y * k >= 0.0 else -1.0
        stood = exp((log(abs(y)) - log(abs(k))) / p) if y != 0.0 else 0.0
        far = dx > stood
        way = dx + one * stood if far else 1.0 + one * dx / max(stood, dx, 1e-300)
        grown = (abs(k) if far else abs(y)) * power(way, p)
        up = k >= 0.0 if far else y >= 0.0
        b[at.PARTS_AT + part, i] = y if (dx <= 0.0) | (k == 0.0) else grown if up else -grown


@inlined
def _grow_evenly(b: Any, part: int, first: Any, count: Any) -> None:
    """``y = k x``."""
    for j in range(count):
        i = first + j
        b[at.PARTS_AT + part, i] += b[at.RATES_K + part, i] * b[at.DX, i]


@inlined
def _grow_by_sigmoid(b: Any, part: int, first: Any, count: Any) -> None:
    """``y = end tanh((k x)**p / 2)``, the same; not beyond ``end``."""
    for j in range(count):
        i = first + j
        y, k, p, end = (
            b[at.PARTS_AT + part, i],
            b[at.RATES_K + part, i],
            b[at.RATES_P + part, i],
            b[at.RATES_END + part, i],
        )
        dx = b[at.DX, i]
        still = (dx <= 0.0) | (k <= 0.0) | (p <= 0.0) | (y >= end)
        k, p, end = (1.0, 1.0, 1.0) if still else (k, p, end)
        z = atanh_twice(min(max(y / end, 0.0), 1.0 - 1e-15))
        stood = power(z, 1.0 / p) / k if y > 0.0 else 0.0
        far = dx > stood
        way = k * (dx + stood) if far else 1.0 + dx / max(stood, dx, 1e-300)
        grown = end * tanh_half((1.0 if far else z) * power(way, p))
        b[at.PARTS_AT + part, i] = y if still else grown


@inlined
def grow(laws: Any, b: Any, first: Any, count: Any) -> None:
    """Every part, ``DT`` days and ``FULL`` cycles further; then capacity and resistance."""
    for part in range(at.PARTS):
        if laws[part, at.LAW] == at.NO_PART:
            continue
        along = at.CYCLES if laws[part, at.ALONG] == at.EFC else at.DT
        for j in range(count):
            b[at.DX, first + j] = b[along, first + j] / laws[part, at.UNIT]
        if laws[part, at.LAW] == at.SIGMOID:
            _grow_by_sigmoid(b, part, first, count)
        elif laws[part, at.P] == 1.0:
            _grow_evenly(b, part, first, count)
        else:
            _grow_by_power(b, part, first, count)


@inlined
def total(code: int, laws: Any, b: Any, first: Any, count: Any) -> None:
    """Capacity and resistance of what the parts are."""
    for j in range(count):
        b[at.CAPACITY, first + j] = b[at.RESISTANCE, first + j] = 1.0
    for part in range(at.PARTS):
        of_capacity, of_resistance = laws[part, at.ON_CAPACITY], laws[part, at.ON_RESISTANCE]
        for j in range(count):
            i = first + j
            b[at.CAPACITY, i] += of_capacity * b[at.PARTS_AT + part, i]
            b[at.RESISTANCE, i] += of_resistance * b[at.PARTS_AT + part, i]
    if code == at.NMC_KOKAM:
        for j in range(count):
            i = first + j
            left = 1.01 - b[at.PARTS_AT + 2, i]
            b[at.CAPACITY, i] = min(1.0 - b[at.PARTS_AT, i] - b[at.PARTS_AT + 1, i], left)
            b[at.RESISTANCE, i] = max(
                b[at.RESISTANCE, i], 1.09 / max(left, at.LEAST_CAPACITY) - 0.08
            )


# -- what cycling sets: loss per throughput at one temperature [at.K] --


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
def _along(law: Any, b: Any, first: Any, count: Any) -> None:
    """A law over the two temperatures of a piece."""
    for j in range(count):
        b[at.CYCLING, first + j] = 0.0
    for node in range(2):
        for j in range(count):
            i = first + j
            rate = law(b[at.COLD + node, i], b[at.DEPTH, i], b[at.C_RATE, i], b[at.C_OUT, i])
            b[at.CYCLING, i] += b[at.SHARE + node, i] * rate


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
def scaled(soc: float, anchor: float, worn: float) -> Any:
    return min(max(anchor + (soc - anchor) * worn, 0.0), 1.0)


@inlined
def stresses(b: Any, first: Any, count: Any) -> None:
    """What a piece was on the whole: depth, C-rates, temperatures."""
    for j in range(count):
        i = first + j
        h, q, worn = b[at.HOURS, i], max(b[at.CAPACITY, i], at.LEAST_CAPACITY), b[at.WORN, i]
        b[at.BOTTOM, i] = scaled(b[at.LOW, i], b[at.ANCHOR, i], worn)
        b[at.TOP, i] = scaled(b[at.HIGH, i], b[at.ANCHOR, i], worn)
        b[at.DEPTH, i] = b[at.TOP, i] - b[at.BOTTOM, i]
        moved = b[at.CHARGED, i] + b[at.DISCHARGED, i]
        b[at.C_RATE, i] = q * (moved - 0.5 * (b[at.FIRST, i] + b[at.LAST, i])) / h
        b[at.C_IN, i] = q * b[at.CHARGED, i] / max(b[at.CHARGING_H, i], 1e-300)
        b[at.C_OUT, i] = q * b[at.DISCHARGED, i] / max(b[at.DISCHARGING_H, i], 1e-300)
        cold, hot, share = _nodes(b[at.SUM_T, i] / h, b[at.SUM_T2, i] / h, b[at.SUM_T3, i] / h)
        b[at.COLD, i] = cold + (KELVIN + 25.0)
        b[at.HOT, i] = hot + (KELVIN + 25.0)
        b[at.SHARE, i] = share
        b[at.SHARE + 1, i] = 1.0 - share
        b[at.LIMITED, i] = 0.0


@inlined
def set_rates(code: int, laws: Any, b: Any, first: Any, count: Any) -> None:
    """What the history of a piece sets of ``k``, ``p`` and ``end``; ``LIMITED`` where it could not."""
    k, p, end = at.RATES_K, at.RATES_P, at.RATES_END
    if code == at.LFP_SONY:
        for j in range(count):
            i = first + j
            h, depth, c = b[at.HOURS, i], b[at.DEPTH, i], b[at.C_RATE, i]
            b[p, i] = b[at.SUM_RATE + 1, i] / h
            b[end, i] = b[at.SUM_RATE, i] / h
            slope = abs(
                -6.81260579372875e-6
                + 2.59615973160844e-5 * depth
                + 2.11559710307295e-6 * exp(depth * depth * c * c * c)
            )
            b[k + 1, i] = power(slope, laws[1, at.P])
            cold, hot = _arrhenius(71827.0, b[at.COLD, i]), _arrhenius(71827.0, b[at.HOT, i])
            warm = b[at.SHARE, i] * cold + b[at.SHARE + 1, i] * hot
            b[k + 3, i] = 86400.0 * 3.4194e-10 * warm * (1.5604 - 3.3903 * b[at.SUM_CUBE, i] / h)
            around = depth - 0.5
            b[k + 4, i] = (0.0021 - 0.002 * c) * (6.8477 * around * around * around + 0.91882)
        for j in range(count):
            i = first + j
            depth = b[at.DEPTH, i]
            idle = b[at.CYCLES_SEEN, i] <= 3.0 * b[at.HOURS, i] / 24.0
            b[end + 2, i] = (
                0.0
                if idle
                else b[at.SUM_RATE + 2, i]
                / b[at.HOURS, i]
                * _skewed(depth, -3.80744333129564, 1.16126260428210)
                * math.tanh(0.5 * 25.4130804598602 * depth)
            )
        return
    if code == at.NCA_SONY:
        for j in range(count):
            i = first + j
            h, c_in, c_out = b[at.HOURS, i], b[at.C_IN, i], b[at.C_OUT, i]
            a = math.sqrt(c_in)
            left, right, weight = _nodes(
                b[at.SUM_U, i] / h, b[at.SUM_U2, i] / h, b[at.SUM_U3, i] / h
            )
            v = b[at.SUM_V, i] / h
            wide = exp(c_out * math.sqrt(max(0.0, b[at.SUM_V2, i] / h - v * v)))
            most = (
                5.49
                - 64.9 * a * b[at.SUM_U, i] / h
                + 21.3 * (weight * exp(a * left) + (1.0 - weight) * exp(a * right))
                + 8.01e-4 * exp(c_out * v) * 0.5 * (wide + 1.0 / wide)
            )
            b[at.LIMITED, i] = 1.0 if most < 0.15 else 0.0
            b[end + 1, i] = max(0.15, most)
            b[p, i] = b[at.SUM_RATE + 1, i] / h
            b[end, i] = b[at.SUM_RATE, i] / h
        for j in range(count):
            b[p + 1, first + j] = 0.0
        for node in range(2):
            for j in range(count):
                i = first + j
                depth, c_in, c_out = b[at.DEPTH, i], b[at.C_IN, i], b[at.C_OUT, i]
                low, high = b[at.BOTTOM, i], b[at.TOP, i]
                exponent = _nca_exponent(b[at.COLD + node, i], depth, c_in, c_out, low, high)
                b[p + 1, i] += b[at.SHARE + node, i] * exponent
        return
    if code == at.NMC_DENSO:
        for j in range(count):
            i = first + j
            h, depth = b[at.HOURS, i], b[at.DEPTH, i]
            soc, t = b[at.SUM_SOC, i] / h, b[at.SUM_T, i] / h + (KELVIN + 25.0)
            stress = math.sqrt(depth * (b[at.C_IN, i] if b[at.C_IN, i] > 0.0 else b[at.C_RATE, i]))
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
            b[at.LIMITED, i] = 1.0 if rate <= 0.0 else 0.0
        return
    for j in range(count):
        b[k, first + j] = b[at.SUM_RATE, first + j] / b[at.HOURS, first + j]
    if code == at.LEAF:
        return
    if code == at.NMC_SANYO:
        for j in range(count):
            i = first + j
            v = math.sqrt(b[at.SUM_RATE + 2, i] / b[at.HOURS, i])
            low, high = v - 3.667, v - 3.725
            b[k + 1, i] = 7.348e-3 * low * low + 7.6e-4 + 4.081e-3 * b[at.DEPTH, i]
            b[k + 2, i] = b[at.SUM_RATE + 1, i] / b[at.HOURS, i]
            b[k + 3, i] = 2.153e-4 * high * high - 1.521e-5 + 2.798e-4 * b[at.DEPTH, i]
        return
    if code == at.NMC_B1:
        _along(_nmc_b1, b, first, count)
    elif code == at.NMC_B2:
        _along(_nmc_b2, b, first, count)
    elif code == at.NMC_A:
        _along(_nmc_a, b, first, count)
    elif code == at.LTO:
        _along(_lto, b, first, count)
    elif code == at.LFP_PRISMATIC:
        _along(_lfp_prismatic, b, first, count)
    elif code == at.NCA_PANASONIC:
        _along(_nca_panasonic, b, first, count)
    elif code == at.NMC_MJ1:
        _along(_nmc_mj1, b, first, count)
    elif code == at.NMC_KOKAM:
        _along(_nmc_kokam, b, first, count)
    else:
        _along(_nmc_m50, b, first, count)
    if code == at.LTO:
        for j in range(count):
            i = first + j
            b[k + 1, i] = b[at.SUM_RATE + 1, i] / b[at.HOURS, i]
            b[k + 2, i] = b[at.CYCLING, i]
        return
    for j in range(count):
        i = first + j
        b[k + 1, i] = b[at.CYCLING, i]
        b[at.LIMITED, i] = 1.0 if b[k, i] <= 0.0 else 0.0
    if code == at.NMC_KOKAM:
        for j in range(count):
            i = first + j
            h = b[at.HOURS, i]
            soc, t = b[at.SUM_SOC, i] / h, b[at.SUM_T, i] / h - 30.0
            slowness = 1e4 + 153.0 * t * b[at.DEPTH, i] * soc / 0.6
            b[at.LIMITED, i] = 1.0 if slowness <= 0.0 else b[at.LIMITED, i]
            b[k + 2, i] = 0.0 if slowness <= 0.0 else 1.0 / slowness
            b[k + 3, i] = 0.0570 * b[k, i]
            b[k + 4, i] = 4.87 * b[at.CYCLING, i]
