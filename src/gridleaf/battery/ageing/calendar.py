"""What time does: the rates of each model as functions of SoC and temperature, as published.

Every function takes ``soc`` (0..1) and ``temperature_k`` [K], broadcast together, and gives one
array for each rate of :class:`~gridleaf.battery.ageing.models.Model` in the order the kernel expects.
The constants are those of the papers named with each model.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import ndtr

from gridleaf.battery.ageing.stress import KELVIN, Floats, anode_potential, sanyo_voltage

Rates = tuple[Floats, ...]

_REFERENCE_K: Final = KELVIN + 35.0
_HOT_REFERENCE_K: Final = KELVIN + 45.0
_HALF_CHARGED_V: Final = 0.123
"""Anode potential at about half charge [V]."""


def nmc_b1(soc: Floats, temperature_k: Floats) -> Rates:
    t, u = temperature_k / _REFERENCE_K, anode_potential(soc) / _HALF_CHARGED_V
    return (36.2 * np.exp(-4.4 * np.cbrt(u) / t**3),)


def nmc_b2(soc: Floats, temperature_k: Floats) -> Rates:
    t, u = temperature_k / _REFERENCE_K, anode_potential(soc) / _HALF_CHARGED_V
    return (12.0 * np.exp(-3.91 * np.cbrt(u) / t**3),)


def nmc_a(soc: Floats, temperature_k: Floats) -> Rates:
    t, u = temperature_k / _REFERENCE_K, anode_potential(soc) / _HALF_CHARGED_V
    return (8.71e-7 * np.exp(10.0 * t**3 / np.cbrt(u)),)


def lto(soc: Floats, temperature_k: Floats) -> Rates:
    """Gain and loss."""
    t = temperature_k / _HOT_REFERENCE_K
    return (
        3.11e11 * np.exp((-34.8 + 1.07 * soc) / t),
        7.86e10 * np.exp((-35.8 + 3.94 * soc) / t),
    )


def leaf(soc: Floats, temperature_k: Floats) -> Rates:
    return (3.25e8 * np.exp((-7580.0 + 162.0 * soc) / temperature_k),)


def lfp_prismatic(soc: Floats, temperature_k: Floats) -> Rates:
    return (8.37e4 * np.exp((-5210.0 - 3560.0 * anode_potential(soc)) / temperature_k),)


def lfp_sony(soc: Floats, temperature_k: Floats) -> Rates:
    """Extent and exponent of the calendar loss; the part of SoC in the extent of the break-in."""
    t, u = temperature_k, anode_potential(soc)
    root, third, fourth = np.sqrt(u), np.cbrt(u), np.sqrt(np.sqrt(u))
    extent = 0.989687151293590 * np.exp((8742.06309157261 - 2881067.56019324 / t) * root / t)
    exponent = 3.32850281062177e-4 * np.exp(
        (7.34553185711369e11 / t - 3284991315.45121) * third / t**3
        + (0.00127227593657290 - 2.82161575620780e-6 * t) * fourth * t**2
    )
    return extent, exponent, 0.582258029148225 * skewed(soc, 0.0583128906965484, 0.208738181522897)


def skewed(x: Floats, skew: float, width: float) -> Floats:
    """Skewed normal density around a half, without its width in the denominator."""
    u = (x - 0.5) / width
    return np.asarray(2.0 * np.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi) * ndtr(skew * u))


def nca_panasonic(soc: Floats, temperature_k: Floats) -> Rates:
    return (75.4 * np.exp((-3340.0 + 353.0 * soc) / temperature_k),)


def nmc_mj1(soc: Floats, temperature_k: Floats) -> Rates:
    return (0.0353 * np.exp((-1030.0 + 57.7 * soc) / temperature_k),)


def nmc_kokam(soc: Floats, temperature_k: Floats) -> Rates:
    t, u = temperature_k / _REFERENCE_K, anode_potential(soc) / _HALF_CHARGED_V
    return (2.66e7 * np.exp((-17.8 - 5.21 * u) / t),)


def nmc_sanyo(soc: Floats, temperature_k: Floats) -> Rates:
    """Loss, growth of resistance, squared voltage."""
    v = sanyo_voltage(soc)
    return (
        (7.543 * v - 23.75) * 1e6 * np.exp(-6976.0 / temperature_k),
        (5.270 * v - 16.32) * 1e5 * np.exp(-5986.0 / temperature_k),
        v * v + 0.0 * temperature_k,
    )


def nmc_denso(soc: Floats, temperature_k: Floats) -> Rates:
    """None: this model is evaluated at the mean SoC and temperature of a piece."""
    return ()


def nca_sony(soc: Floats, temperature_k: Floats) -> Rates:
    """Extent and exponent."""
    t, u = temperature_k / _HOT_REFERENCE_K, anode_potential(soc) / _HALF_CHARGED_V
    extent = 0.00748 * np.exp(t**2 * (8.9 / np.cbrt(u) - 4.87 / np.sqrt(u)))
    exponent = 1.01 * np.exp(-0.133 * t**3 + 1.22 * (t * soc) ** 3 - 0.56 * t**2 / u**3)
    return extent, exponent


def nmc_m50(soc: Floats, temperature_k: Floats) -> Rates:
    t, u = temperature_k / _REFERENCE_K, anode_potential(soc) / _HALF_CHARGED_V
    return (
        -2.39156628786525
        + 2.44205317834185 * np.exp(t**3 / np.cbrt(u))
        - 4.45998246136905 * t**3 / np.sqrt(u)
        + 0.448140062203916 * np.exp(np.sqrt(soc) / t**2)
        - 0.185337797906876 * np.exp(soc**3),
    )
