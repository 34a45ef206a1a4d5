"""The heat of a pack as one lump: warmed by its losses, cooled by the air and perhaps by a liquid.

C dT/dt = heat − G (T − ambient) − cooling. With heat and ambient constant over a step this is an
exponential, and so is each of the two phases of a thermostat: the step is exact and stable however
long it is (Incropera et al., Fundamentals of Heat and Mass Transfer, lumped capacitance method).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """Heat capacity [kWh/K], conductance to the air [kW/K], and the liquid cooling if there is one.

    Above ``setpoint_c`` it takes up to ``cooling_kw`` of heat, and ``performance`` units of heat for
    one of electric energy. A passive pack has ``cooling_kw`` 0.
    """

    heat_capacity_kwh_per_k: float
    conductance_kw_per_k: float
    setpoint_c: float = np.inf
    cooling_kw: float = 0.0
    performance: float = 1.0


def settle(
    thermal: Thermal,
    temperature_c: ArrayLike,
    heat_kw: ArrayLike,
    ambient_c: ArrayLike,
    dt_h: float,
) -> tuple[Floats, Floats]:
    """Temperature after ``dt_h`` hours [°C], and the heat the liquid took meanwhile [kWh].

    Notes
    -----
    Away from the set-point the cooling is either off or at its most, and the temperature relaxes
    towards the ambient plus what is left of the heat over the conductance. Where it meets the
    set-point before the step ends it stays there if the cooling can hold it, and goes on beyond it
    otherwise.
    """
    first, heat, ambient = (
        np.asarray(x, dtype=np.float64) for x in (temperature_c, heat_kw, ambient_c)
    )
    tau_h = thermal.heat_capacity_kwh_per_k / thermal.conductance_kw_per_k
    free = ambient + heat / thermal.conductance_kw_per_k
    setpoint, most = thermal.setpoint_c, thermal.cooling_kw
    if most <= 0:
        return free + (first - free) * math.exp(-dt_h / tau_h), np.zeros_like(free)
    cooled = free - most / thermal.conductance_kw_per_k
    on = (first > setpoint) | ((first == setpoint) & (free > setpoint))
    towards = np.where(on, cooled, free)
    crosses = np.where(on, cooled < setpoint, free > setpoint) & (first != setpoint)
    with np.errstate(divide="ignore", invalid="ignore"):
        meets_h = tau_h * np.log((first - towards) / (setpoint - towards))
    meets_h = np.where(crosses, meets_h, np.inf)
    meets_h = np.where((first == setpoint) & (free > setpoint), 0.0, meets_h)
    first_h = np.minimum(meets_h, dt_h)
    rest_h = dt_h - first_h
    alone = towards + (first - towards) * np.exp(-first_h / tau_h)

    # from the set-point on: held, or it cannot be held and rises, or it needs no holding and falls
    holds = (free > setpoint) & (cooled <= setpoint)
    beyond = np.where(free > setpoint, cooled, free)
    after = np.where(holds, setpoint, beyond + (setpoint - beyond) * np.exp(-rest_h / tau_h))
    needed = heat - thermal.conductance_kw_per_k * (setpoint - ambient)
    taken = np.where(holds, needed, np.where(free > setpoint, most, 0.0))
    cooling = np.where(on, most, 0.0) * first_h + taken * rest_h
    return np.where(rest_h > 0, after, alone), cooling
