"""The planning problem and its plan, as arrays (section "planning" of the docs).

Sign: charging and import are positive. Power at the grid side of the charger.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """N visits: one plug-in window of one vehicle each. Columns of length N; ``(N, T)`` where said.

    ``arrive`` and ``depart`` are steps, half-open. ``charge_kw`` and ``discharge_kw`` may be ``(N,)``
    or ``(N, T)`` [kW]. ``energy_kwh`` is in the battery at arrival, ``target_kwh`` wanted at
    departure, within ``min_kwh``..``max_kwh``. ``value_eur_per_kwh`` is the worth of each kWh left at
    departure, ``wear_eur_per_kwh`` the cost of each kWh discharged (grid side).
    """

    id: tuple[str, ...]
    node: tuple[str, ...]
    arrive: Ints
    depart: Ints
    energy_kwh: Floats
    target_kwh: Floats
    min_kwh: Floats
    max_kwh: Floats
    charge_kw: Floats
    discharge_kw: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats
    wear_eur_per_kwh: Floats
    value_eur_per_kwh: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """K nodes of a forest; ``(K, T)`` arrays, NaN = no limit / no price (no meter bills there)."""

    id: tuple[str, ...]
    parent: tuple[str, ...]
    import_limit_kw: Floats
    export_limit_kw: Floats
    load_kw: Floats
    import_price_eur_per_kwh: Floats
    export_price_eur_per_kwh: Floats
    demand_charge_eur_per_kw: Floats
    """``(K,)``; 0 where none."""
    peak_so_far_kw: Floats
    """``(K,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """M further linear rows: sum over visits of ``coefficient[m, i] * (c - d)[i, t] <= bound[m, t]``.

    ``coefficient`` is ``(M, N)`` [-], ``bound_kw`` ``(M, T)`` [kW], NaN = no bound. Phase currents,
    voltages and promises are such rows. Elastic like the limits.
    """

    id: tuple[str, ...]
    coefficient: Floats
    bound_kw: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """See the module. ``step_h`` is ``(T,)`` [h]."""

    start: datetime
    step_h: Floats
    visits: Visits
    nodes: Nodes
    rows: Rows | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A schedule for every visit and what it costs, with the proof of how far from optimal it may be.

    ``charge_kw``, ``discharge_kw`` are ``(N, T)``; ``unmet_kwh`` ``(N,)``; ``import_kw``,
    ``export_kw``, ``over_limit_kw``, ``shadow_price_eur_per_kwh`` ``(K, T)``.
    ``objective_eur`` is the cost of these very schedules including penalties, ``lower_bound_eur`` a
    proven bound, ``gap`` their relative distance.
    """

    method: str
    objective_eur: float
    lower_bound_eur: float
    gap: float
    seconds: float
    visit_id: tuple[str, ...]
    charge_kw: Floats
    discharge_kw: Floats
    unmet_kwh: Floats
    node_id: tuple[str, ...]
    import_kw: Floats
    export_kw: Floats
    over_limit_kw: Floats
    shadow_price_eur_per_kwh: Floats
    notes: tuple[str, ...] = field(default=())
