"""What a vehicle takes as it fills: power over its state of charge, in straight pieces.

The planner's power limits and the simulated vehicles use the same curve. That of a known pack comes
from its cells (:func:`of_battery`); of any other vehicle nothing is known but its power, and a generic
one holds: constant up to 80 %, then in a straight line down to a twentieth, which is what constant
voltage with an exponentially decaying current looks like over the charge (Marra et al., Demand profile
study of battery electric vehicle under different charging options, IEEE PES General Meeting 2012).
``soc`` is the share of the usable energy.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from gridleaf.battery import pack as packs

TAPER_SOC, CUTOFF = 0.8, 0.05
"""Where cells usually reach constant voltage, and the share of the power at which charging ends."""
USUAL_C = 20.0
"""The temperature of a pack of which nobody tells it [°C]."""


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Power [kW] at the points ``soc``, which lead from 0 to 1; linear between them."""

    soc: tuple[float, ...]
    power_kw: tuple[float, ...]

    def at(self, soc: float) -> float:
        """The power at a state of charge [kW]."""
        piece = min(max(bisect_right(self.soc, soc) - 1, 0), len(self.soc) - 2)
        first, last = self.soc[piece], self.soc[piece + 1]
        share = min(max((soc - first) / (last - first), 0.0), 1.0)
        return self.power_kw[piece] * (1 - share) + self.power_kw[piece + 1] * share

    def most(self, first: float, last: float) -> float:
        """The highest power between two states of charge [kW]."""
        inside = (p for s, p in zip(self.soc, self.power_kw, strict=True) if first < s < last)
        return max(self.at(first), self.at(last), *inside)

    def scaled(self, factor: float) -> PowerCurve:
        return PowerCurve(self.soc, tuple(p * factor for p in self.power_kw))


@lru_cache(maxsize=4096)
def generic(
    charge_max_kw: float, taper_soc: float = TAPER_SOC, cutoff: float = CUTOFF
) -> PowerCurve:
    """The curve of a vehicle of which only the power is known."""
    flat = () if taper_soc <= 0 else (0.0,)
    return PowerCurve(
        (*flat, max(taper_soc, 0.0), 1.0),
        (*((charge_max_kw,) * len(flat)), charge_max_kw, cutoff * charge_max_kw),
    )


@lru_cache(maxsize=4096)
def of_battery(battery: str, capacity_kwh: float, temperature_c: float = USUAL_C) -> PowerCurve:
    """The curve of a pack of the catalogue at its terminals.

    Parameters
    ----------
    capacity_kwh
        What the vehicle holds now; less than a new pack of its kind is its relative capacity.

    Raises
    ------
    ConfigError
        There is no such battery.
    """
    pack = packs.named(battery)
    soc, power = packs.charge_curve(pack, temperature_c, soh_of(pack, capacity_kwh))
    return PowerCurve(tuple(soc.tolist()), tuple(power.tolist()))


@lru_cache(maxsize=4096)
def given_by(battery: str, capacity_kwh: float, temperature_c: float = USUAL_C) -> PowerCurve:
    """What a pack of the catalogue can give at its terminals; like :func:`of_battery`."""
    pack = packs.named(battery)
    soc, power = packs.discharge_curve(pack, temperature_c, soh_of(pack, capacity_kwh))
    return PowerCurve(tuple(soc.tolist()), tuple(power.tolist()))


def soh_of(pack: packs.Pack, capacity_kwh: float) -> float:
    """Relative capacity of a pack that holds ``capacity_kwh`` [0..1]."""
    return min(capacity_kwh / float(packs.usable_kwh(pack)), 1.0)


def time_h(
    curve: PowerCurve,
    power_kw: float,
    capacity_kwh: float,
    first: float,
    last: float,
    efficiency: float = 1.0,
) -> float:
    """How long charging with at most ``power_kw`` takes from one state of charge to another [h].

    In a straight piece from power p to q over the charge it is the integral of dE/p: with equal
    powers E/p, else E ln(q/p)/(q − p). Infinite where nothing is taken.
    """
    if last <= first:
        return 0.0
    points = sorted({first, last, *(s for s in curve.soc if first < s < last)})
    total = 0.0
    for start, end in pairwise(points):
        p, q = curve.at(start), curve.at(end)
        cuts = [start, end]
        if min(p, q) < power_kw < max(p, q):  # the limit of the power begins or ends inside
            cuts.insert(1, start + (end - start) * (power_kw - p) / (q - p))
        for a, b in pairwise(cuts):
            p, q = min(curve.at(a), power_kw), min(curve.at(b), power_kw)
            if min(p, q) <= 0:
                return math.inf
            even = abs(q - p) <= 1e-9 * p
            total += (b - a) * (1 / p if even else math.log(q / p) / (q - p))
    return total * capacity_kwh / efficiency
