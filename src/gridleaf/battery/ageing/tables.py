"""Tables of the rates that time sets, taken apart into what SoC and what temperature does.

The logarithm of a rate of Arrhenius or Tafel form is ``c(T) + sum_j a_j(SoC) b_j(T)``, with one or two
products; where a rate is no such thing (a sum of them), it is itself such a sum, with a few more. Both are
found from the published rate (:mod:`~gridleaf.battery.ageing.calendar`) by a singular value decomposition
that weighs what is colder or hotter than a battery gets a thousandth. ``c`` and ``b`` are polynomials of
temperature, ``a`` is linear between places that are even in the root of SoC, because an anode changes
fastest where it is nearly empty. Between 5 and 98 % and -10 and 60 °C the error is below 5e-5 of the
rate (``tests/unit/battery``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from gridleaf.battery.ageing import layout
from gridleaf.battery.ageing.models import Model
from gridleaf.battery.ageing.stress import KELVIN, Floats

_USUAL_C: Final = (-12.0, 62.0)
_UNUSUAL: Final = 1e-3
_ENOUGH: Final = 5e-6
"""So near a rate the sum of products comes, of the rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What the kernel needs of the rates of a model.

    Attributes
    ----------
    shape
        (rates, 2): how many products each rate has, and what it is of them (:data:`layout.EXPONENTIAL`).
    over_soc
        (products, :data:`layout.SOC_CELLS`, 2): value and rise of each ``a`` in each cell.
    over_temperature
        (rates + products, :data:`layout.TERMS`): ``c`` of each rate, then ``b`` of each product, by powers
        of temperature, -1 at its coldest and 1 at its hottest.
    """

    shape: NDArray[np.int64]
    over_soc: NDArray[np.float32]
    over_temperature: NDArray[np.float32]


@cache
def table(model: Model) -> Table:
    """The rates of a model."""
    soc = (np.arange(layout.SOC_CELLS + 1) / layout.SOC_CELLS) ** 2
    nodes = np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    temperature_c = layout.MIDDLE_C + layout.REACH_C * nodes
    shape: list[tuple[int, int]] = []
    along: list[Floats] = []
    constants: list[Floats] = []
    slopes: list[Floats] = []
    for rate in model.calendar(soc[:, None], temperature_c[None] + KELVIN):
        values = np.broadcast_to(rate, (len(soc), len(nodes)))
        if (values == values[:, :1]).all():
            kind, mean, a, b = layout.OF_SOC, 0.0 * nodes, values[:, :1], np.ones((1, len(nodes)))
        else:
            kind, mean, a, b = min(
                (_apart(values, temperature_c, kind) for kind in (layout.EXPONENTIAL, layout.SUM)),
                key=lambda found: len(found[3]),
            )
        shape.append((len(b), kind))
        along.extend(a.T)
        constants.append(_polynomial(nodes, mean))
        slopes.extend(_polynomial(nodes, row) for row in b)
    cells = np.empty((len(along), layout.SOC_CELLS, 2), np.float32)
    for place, values in enumerate(along):
        cells[place, :, 0] = values[:-1]
        cells[place, :, 1] = np.diff(values)
    return Table(
        shape=np.array(shape, np.int64).reshape(-1, 2),
        over_soc=cells,
        over_temperature=np.array([*constants, *slopes], np.float32).reshape(-1, layout.TERMS),
    )


def _apart(rate: Floats, temperature_c: Floats, kind: int) -> tuple[int, Floats, Floats, Floats]:
    """``c`` (temperatures,), ``a`` (SoC, products) and ``b`` (products, temperatures) of a rate."""
    values, size = (np.log(rate), 1.0) if kind == layout.EXPONENTIAL else (rate, np.abs(rate))
    usual = (temperature_c >= _USUAL_C[0]) & (temperature_c <= _USUAL_C[1])
    weight = np.where(usual, 1.0, _UNUSUAL) / np.mean(size + 0.0 * values, axis=0)
    mean = values.mean(axis=0)
    left, found, right = np.linalg.svd((values - mean) * weight, full_matrices=False)
    for products in range(len(found) + 1):
        a, b = left[:, :products] * found[:products], right[:products] / weight
        error = np.abs(mean + a @ b - values) / size
        if error[:, usual].max() < _ENOUGH:
            break
    return kind, mean, a, b


def _polynomial(nodes: Floats, values: Floats) -> Floats:
    """The polynomial nearest to values at Chebyshev nodes, by powers."""
    fitted = Chebyshev.fit(nodes, values, layout.TERMS - 1, domain=[-1.0, 1.0])
    powers = fitted.convert(kind=Polynomial).coef
    return np.pad(powers, (0, layout.TERMS - len(powers)))
