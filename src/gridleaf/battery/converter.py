"""What stands between grid and pack: losses of a charger as a function of its power.

A charger with an output of p (of its rating) loses p0 + k p² of its rating: the first for its own
electronics and gates, the second in its conductors (Notton et al., Optimal sizing of a grid-connected
PV system, Renewable Energy 35 (2010) 541, doi 10.1016/j.renene.2009.07.013; there for inverters, here
in both directions). Power is + when it charges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridleaf.battery import pack as packs
from gridleaf.battery.pack import Pack

Floats: TypeAlias = NDArray[np.float64]

NO_LOAD, CONDUCTION = 0.0072, 0.0345
"""p0 and k of Notton's second type of inverter: 96 % at full power, 94 % at 15 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """A charger of ``rated_kw``; at rest it draws ``standby_kw`` from the grid."""

    rated_kw: float
    no_load: float = NO_LOAD
    conduction: float = CONDUCTION
    standby_kw: float = 0.0

    def __post_init__(self) -> None:
        if self.rated_kw <= 0 or min(self.no_load, self.conduction, self.standby_kw) < 0:
            raise ValueError("a converter's rating must be positive and its losses not negative")


def terminal_kw(converter: Converter, grid_kw: ArrayLike) -> Floats:
    """Power at the pack's terminals of a power at the grid side [kW].

    What is lost is the difference. A charging power below the loss without load comes out as nothing.
    """
    share = np.asarray(grid_kw, dtype=np.float64) / converter.rated_kw
    left = np.maximum(share - converter.no_load, 0.0)
    # p_in = p + p0 + k p², solved for p without dividing by k
    into = 2 * left / (1 + np.sqrt(1 + 4 * converter.conduction * left))
    out_of = share - converter.no_load - converter.conduction * share**2
    return converter.rated_kw * np.where(share > 0, into, np.where(share < 0, out_of, 0.0))


def grid_kw(converter: Converter, terminal_kw: ArrayLike) -> Floats:
    """Power at the grid side of a power at the pack's terminals, standby at rest [kW].

    The inverse of :func:`terminal_kw`. A pack that gives less than the loss without load delivers
    nothing.
    """
    share = np.asarray(terminal_kw, dtype=np.float64) / converter.rated_kw
    into = share + converter.no_load + converter.conduction * share**2
    left = np.maximum(-share - converter.no_load, 0.0)
    out_of = -2 * left / (1 + np.sqrt(1 + 4 * converter.conduction * left))
    rest = converter.standby_kw / converter.rated_kw
    return converter.rated_kw * np.where(share > 0, into, np.where(share < 0, out_of, rest))


def one_way(
    pack: Pack,
    converter: Converter,
    power_kw: ArrayLike,
    soc: ArrayLike,
    temperature_c: ArrayLike,
    resistance: ArrayLike = 1.0,
) -> Floats:
    """Efficiency between grid and cells at a power of the grid side, 0..1; 0 where nothing gets through.

    Charging: stored over bought. Discharging: delivered over taken from the cells.
    """
    power = np.asarray(power_kw, dtype=np.float64)
    inside = terminal_kw(converter, power)
    within = packs.efficiency(pack, inside, soc, temperature_c, resistance)
    with np.errstate(divide="ignore", invalid="ignore"):
        through = np.where(power > 0, inside / power, power / inside)
    return np.where(power == 0, 0.0, through * within)


def round_trip(
    pack: Pack,
    converter: Converter,
    power_kw: ArrayLike,
    soc: ArrayLike = 0.5,
    temperature_c: ArrayLike = 25.0,
    resistance: ArrayLike = 1.0,
) -> Floats:
    """What comes back of a kWh bought at a power and sold at the same power, 0..1."""
    power = np.abs(np.asarray(power_kw, dtype=np.float64))
    into = one_way(pack, converter, power, soc, temperature_c, resistance)
    return into * one_way(pack, converter, -power, soc, temperature_c, resistance)
