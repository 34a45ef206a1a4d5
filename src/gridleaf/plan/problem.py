"""The planning problem and its plan, as arrays, and what makes a problem well formed.

Sign: charging and import are positive. Power at the grid side of the charger. A problem with T
steps, N visits, K nodes and M further rows has arrays of the shapes given below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridleaf.domain.errors import ProblemError

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Powers = Floats | Singles
"""Schedules: double precision, or single where there are many of them."""
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """N visits: one plug-in window of one vehicle each. Columns of length N; ``(N, T)`` where said.

    ``arrive`` and ``depart`` are steps, half-open. ``charge_kw`` and ``discharge_kw`` may be ``(N,)``
    or ``(N, T)`` [kW]. ``energy_kwh`` is in the battery at arrival, ``target_kwh`` wanted at
    departure, within ``min_kwh``..``max_kwh``; NaN in one of these three is no target, no floor, no
    cap. ``value_eur_per_kwh`` is the worth of each kWh left at departure, ``wear_eur_per_kwh`` the
    cost of each kWh discharged (grid side).

    A vehicle that arrives above ``max_kwh`` may stay there but not rise further. One that arrives
    below ``min_kwh`` may not fall further, and every hour below it is penalised, so that it is
    charged at once (see :class:`Penalties`).
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
    """K nodes of a forest; ``(K, T)`` arrays, NaN = no limit / no price (no meter bills there).

    ``load_kw`` is all load minus generation that flows through the node besides the visits below
    it: a parent's load includes what its children carry. ``parent`` is "" for a root.
    """

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
    """See the module. ``start`` is aware, ``step_h`` is ``(T,)`` [h]."""

    start: datetime
    step_h: Floats
    visits: Visits
    nodes: Nodes
    rows: Rows | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A schedule for every visit and what it costs, with the proof of how far from optimal it may be.

    ``charge_kw``, ``discharge_kw`` are ``(N, T)``, of single precision from the fleet method; ``unmet_kwh`` ``(N,)``; ``import_kw``,
    ``export_kw``, ``over_limit_kw``, ``shadow_price_eur_per_kwh`` ``(K, T)``; ``row_over_kw``
    ``(M, T)``. ``objective_eur`` is the cost of these very schedules including penalties,
    ``lower_bound_eur`` a proven bound (-inf: none is known), ``gap`` their relative distance.
    ``shadow_price_eur_per_kwh`` is what one more kWh drawn at the node in that step would add to the
    objective, at this node and at all above it.
    """

    method: str
    objective_eur: float
    lower_bound_eur: float
    gap: float
    seconds: float
    visit_id: tuple[str, ...]
    charge_kw: Powers
    discharge_kw: Powers
    unmet_kwh: Floats
    node_id: tuple[str, ...]
    import_kw: Floats
    export_kw: Floats
    over_limit_kw: Floats
    shadow_price_eur_per_kwh: Floats
    row_id: tuple[str, ...] = ()
    row_over_kw: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a search has come: on ``share`` of the vehicles, asked ``rounds`` times in all.

    ``lower_bound_eur`` and ``objective_eur`` are estimates while ``share`` is below 1, and proven then.
    """

    share: float
    rounds: int
    lower_bound_eur: float
    objective_eur: float
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalties:
    """The prices of what a plan could not do: part of the problem, see :func:`penalties`."""

    unmet_eur_per_kwh: float
    """For each kWh missing from a target at departure."""
    short_eur_per_kwh_h: float
    """For each kWh below ``min_kwh``, for each hour, at the end of the steps of the stay."""
    limit_eur_per_kwh: float
    """For each kWh beyond an import or export limit."""
    row_eur_per_kwh: Floats
    """``(M,)``, for each kWh beyond a row's bound."""


def parents(nodes: Nodes) -> Ints:
    """Index of each node's parent, -1 for a root, ``(K,)``."""
    index = {name: k for k, name in enumerate(nodes.id)} | {"": -1}
    return np.array([index[name] for name in nodes.parent], dtype=np.int64)


def places(problem: Problem) -> Ints:
    """Index of each visit's node, ``(N,)``."""
    index = {name: k for k, name in enumerate(problem.nodes.id)}
    names = problem.visits.node
    return np.fromiter(map(index.__getitem__, names), dtype=np.int64, count=len(names))


def from_the_roots(parent: Ints) -> list[int]:
    """The nodes, every parent before its children; nodes on a ring are left out."""
    children: dict[int, list[int]] = {}
    for k, above in enumerate(parent.tolist()):
        children.setdefault(above, []).append(k)
    order = list(children.get(-1, ()))
    for k in order:
        order.extend(children.get(k, ()))
    return order


def by_step(column: Floats, steps: int) -> Floats:
    """A column that may hold one number or one row for each visit, as ``(N, T)``."""
    if column.ndim == 2:
        return column
    return np.broadcast_to(column[:, None], (len(column), steps))


def plugged_in(problem: Problem) -> NDArray[np.bool_]:
    """Where each visit may have power, ``(N, T)``."""
    step = np.arange(len(problem.step_h))
    visits = problem.visits
    return (step >= visits.arrive[:, None]) & (step < visits.depart[:, None])


def filled(values: Floats, none: float) -> Floats:
    """The values with ``none`` where they are NaN."""
    return np.where(np.isnan(values), none, values)


LEAST_EFFICIENCY = 0.5
"""Efficiencies below this count as this in the penalties, which they would otherwise blow up."""


def penalties(problem: Problem) -> Penalties:
    """The prices of unmet energy and broken limits, from the money in the problem.

    Let M be a bound on what one more kWh in a battery can cost: the dearest price at all meters
    together and the demand charges of one kWh in the shortest step, lost on the way through another
    vehicle's battery, with its wear. Then a kWh unmet at departure costs 4 M, a kWh below the
    minimum costs as much for the shortest step, and a kWh beyond a limit costs 4 times what it could
    ever save of these two. So money never decides against energy, nor energy against a limit (but
    where a limit is broken anyway and a further row weighs visits unequally, the choice between
    these is by 4 to 1). Where nothing costs anything, M is 1.
    """
    visits, nodes = problem.visits, problem.nodes
    shortest = float(problem.step_h.min())
    buy = np.abs(filled(nodes.import_price_eur_per_kwh, 0.0)).max(axis=1, initial=0.0)
    sell = np.abs(filled(nodes.export_price_eur_per_kwh, 0.0)).max(axis=1, initial=0.0)
    dearest = np.maximum(buy, sell)
    money = float(dearest.sum() + nodes.demand_charge_eur_per_kw.sum() / shortest)
    into = max(float(visits.charge_efficiency.min(initial=1.0)), LEAST_EFFICIENCY)
    out = max(float(visits.discharge_efficiency.min(initial=1.0)), LEAST_EFFICIENCY)
    wear = float(visits.wear_eur_per_kwh.max(initial=0.0))
    worth = float(np.abs(visits.value_eur_per_kwh).max(initial=0.0))
    most = (money / (into * out) + wear + worth / out) / into or 1.0
    unmet = 4.0 * most
    short = unmet / shortest
    edges = np.concatenate(([0.0], np.cumsum(problem.step_h)))
    below = visits.energy_kwh < visits.min_kwh
    stay = float((edges[visits.depart] - edges[visits.arrive])[below].max(initial=0.0))
    limit = 4.0 * (unmet + short * stay)
    rows = np.zeros(0)
    if problem.rows is not None:
        size = np.abs(problem.rows.coefficient)
        largest = size.max(axis=1, initial=0.0)
        size = np.where(size > 1e-3 * largest[:, None], size, np.inf)
        smallest = size.min(axis=1, initial=np.inf)
        rows = limit / np.where(np.isfinite(smallest), smallest, 1.0)
    return Penalties(
        unmet_eur_per_kwh=unmet,
        short_eur_per_kwh_h=short,
        limit_eur_per_kwh=limit,
        row_eur_per_kwh=rows,
    )


def check(problem: Problem) -> None:
    """Refuse a malformed problem.

    Raises
    ------
    ProblemError
        With the place (``visits.energy_kwh[3]``) and the reason. What is merely out of reach, such
        as a target, is no error: the problem is elastic.
    """
    if problem.start.tzinfo is None:
        raise ProblemError("start", "the time has no offset")
    steps = len(problem.step_h) if np.ndim(problem.step_h) == 1 else 0
    if steps == 0:
        raise ProblemError("step_h", "must be the lengths of one or more steps")
    _numbers("step_h", problem.step_h, (steps,), above=0.0)
    _check_nodes(problem.nodes, steps)
    _check_visits(problem.visits, problem.nodes, steps)
    if problem.rows is not None:
        rows = problem.rows
        _names("rows.id", rows.id, len(rows.id))
        _numbers("rows.coefficient", rows.coefficient, (len(rows.id), len(problem.visits.id)))
        _numbers("rows.bound_kw", rows.bound_kw, (len(rows.id), steps), none=True)


def _check_nodes(nodes: Nodes, steps: int) -> None:
    count = len(nodes.id)
    _names("nodes.id", nodes.id, count)
    if len(nodes.parent) != count:
        raise ProblemError("nodes.parent", f"must have {count} entries, has {len(nodes.parent)}")
    known = {*nodes.id, ""}
    for k, name in enumerate(nodes.parent):
        if name not in known:
            raise ProblemError(f"nodes.parent[{k}]", f"there is no node {name!r}")
    parent = parents(nodes)
    ring = set(range(count)) - set(from_the_roots(parent))
    if ring:
        k = min(ring)
        raise ProblemError(f"nodes.parent[{k}]", f"node {nodes.id[k]!r} is on or below a ring")
    for name in ("import_limit_kw", "export_limit_kw"):
        values = getattr(nodes, name)
        _numbers(f"nodes.{name}", values, (count, steps), none=True, least=0.0)
    _numbers("nodes.load_kw", nodes.load_kw, (count, steps))
    for name in ("import_price_eur_per_kwh", "export_price_eur_per_kwh"):
        values = getattr(nodes, name)
        _numbers(f"nodes.{name}", values, (count, steps), none=True, finite=True)
    for name in ("demand_charge_eur_per_kw", "peak_so_far_kw"):
        _numbers(f"nodes.{name}", getattr(nodes, name), (count,), least=0.0)


def _check_visits(visits: Visits, nodes: Nodes, steps: int) -> None:
    count = len(visits.id)
    _names("visits.id", visits.id, count)
    if len(visits.node) != count:
        raise ProblemError("visits.node", f"must have {count} entries, has {len(visits.node)}")
    known = set(nodes.id)
    if not known.issuperset(visits.node):
        i = next(i for i, name in enumerate(visits.node) if name not in known)
        raise ProblemError(f"visits.node[{i}]", f"there is no node {visits.node[i]!r}")
    for name in ("arrive", "depart"):
        column = getattr(visits, name)
        _numbers(f"visits.{name}", column, (count,), least=0, most=steps)
        if not np.issubdtype(column.dtype, np.integer):
            raise ProblemError(f"visits.{name}", "must be whole steps")
    _refuse("visits.depart", visits.depart < visits.arrive, "is before the arrival")
    _numbers("visits.energy_kwh", visits.energy_kwh, (count,))
    for name in ("target_kwh", "min_kwh", "max_kwh"):
        _numbers(f"visits.{name}", getattr(visits, name), (count,), none=True)
    _refuse("visits.target_kwh", np.isinf(visits.target_kwh), "must be a number or none")
    _refuse("visits.min_kwh", visits.min_kwh == np.inf, "is infinite")
    _refuse("visits.max_kwh", visits.max_kwh == -np.inf, "is infinite")
    _refuse("visits.min_kwh", visits.min_kwh > visits.max_kwh, "is above max_kwh")
    for name in ("charge_kw", "discharge_kw"):
        column = getattr(visits, name)
        shape = (count, steps) if np.ndim(column) == 2 else (count,)
        _numbers(f"visits.{name}", column, shape, least=0.0)
    for name in ("charge_efficiency", "discharge_efficiency"):
        _numbers(f"visits.{name}", getattr(visits, name), (count,), above=0.0, most=1.0)
    _numbers("visits.wear_eur_per_kwh", visits.wear_eur_per_kwh, (count,), least=0.0)
    _numbers("visits.value_eur_per_kwh", visits.value_eur_per_kwh, (count,))


def _names(path: str, names: Sequence[str], count: int) -> None:
    if len(set(names)) == count and all(names):
        return
    seen: set[str] = set()
    for position, name in enumerate(names):
        if not name:
            raise ProblemError(f"{path}[{position}]", "is empty")
        if name in seen:
            raise ProblemError(f"{path}[{position}]", f"{name!r} is there twice")
        seen.add(name)


def _numbers(
    path: str,
    values: NDArray[Any],
    shape: tuple[int, ...],
    *,
    none: bool = False,
    finite: bool | None = None,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> None:
    """Refuse wrong shapes and values; ``none`` lets NaN and (unless ``finite``) infinity pass."""
    if np.shape(values) != shape:
        raise ProblemError(path, f"must have the shape {shape}, has {np.shape(values)}")
    if not none:
        _refuse(path, ~np.isfinite(values), "must be a finite number")
    elif finite:
        _refuse(path, np.isinf(values), "must be a finite number or none")
    if above is not None:
        _refuse(path, values <= above, f"must be above {above:g}")
    if least is not None:
        _refuse(path, values < least, f"must be at least {least:g}")
    if most is not None:
        _refuse(path, values > most, f"must be at most {most:g}")


def _refuse(path: str, wrong: NDArray[np.bool_], reason: str) -> None:
    if wrong.any():
        place = "".join(f"[{position}]" for position in np.argwhere(wrong)[0])
        raise ProblemError(path + place, reason)
