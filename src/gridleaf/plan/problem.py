"""The planning problem and its plan, as arrays, and what makes a problem well formed.

Sign: charging and import are positive. Power at the grid side of the charger. A problem with T
steps, N visits, K nodes and M further rows has arrays of the shapes given below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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

    The columns below may be absent. ``dwell_eur_per_kwh_h`` ``(N, B)`` is the slope of what holding
    energy costs per hour plugged in: from the level ``dwell_kwh`` ``(N, B)`` beside it to the next (the
    last: beyond, the first: below too); at the first level it is 0. Levels rise, slopes do not fall;
    NaN at the end of a row is no level. It is counted at the end of every step of the stay.

    A visit may come ``after`` another of the same vehicle: it begins with what that one left, less
    ``trip_kwh``, and its ``energy_kwh`` is NaN. Its floor is 0 where there is none. What the trip takes
    below the floor is ``Plan.trip_unmet_kwh``. It may be above its ``max_kwh`` only as far as the vehicle
    would be if it never had power. ``value_eur_per_kwh`` counts where no visit follows.

    ``depth_kwh`` ``(N,)`` is a range of energy in as many equal slices as ``depth_eur_per_kwh`` ``(N, J)``
    has prices, which do not fall; NaN at the end of a row is no slice, a range of NaN none at all. A
    cycle that goes down by d costs, for each kWh taken out of the cells, the price of the slice that it
    is in, counted from the cycle's top. Cycles are counted on all visits of a vehicle together, closed
    by the drive back to the first arrival. Only the exact method plans with it.

        Charging is 0 or at least ``min_charge_kw``, discharging 0 or at least ``min_discharge_kw``; 0 and NaN
    are no least power. Where one of them is set the vehicle does not do both at once, and it does not
    charge (discharge) in steps in which less than that is possible.
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
    dwell_kwh: Floats | None = None
    dwell_eur_per_kwh_h: Floats | None = None
    after: tuple[str, ...] | None = None
    """The visit of the same vehicle before this one, "" where there is none."""
    trip_kwh: Floats | None = None
    depth_kwh: Floats | None = None
    depth_eur_per_kwh: Floats | None = None
    min_charge_kw: Floats | None = None
    min_discharge_kw: Floats | None = None


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

    ``charge_kw``, ``discharge_kw`` are ``(N, T)``, of single precision from the fleet method;
    ``unmet_kwh`` ``(N,)``, and so is ``trip_unmet_kwh`` where visits follow others: what was lacking on
    the way and taken in there; ``import_kw``,
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
    trip_unmet_kwh: Floats = field(default_factory=lambda: np.zeros(0))
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
    trip_eur_per_kwh: float
    """For each kWh that is lacking on a trip."""
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


def predecessors(visits: Visits) -> Ints:
    """Index of the visit that each one follows, -1 where none, ``(N,)``."""
    count = len(visits.id)
    if visits.after is None:
        return np.full(count, -1)
    index = {name: i for i, name in enumerate(visits.id)} | {"": -1}
    return np.fromiter(map(index.__getitem__, visits.after), dtype=np.int64, count=count)


def waves(before: Ints) -> list[Ints]:
    """All second visits, all third ones and so on; visits on a ring are in none."""
    waves = []
    last = np.flatnonzero(before < 0)
    follower = np.full(len(before) + 1, -1)
    follower[before] = np.arange(len(before))
    while (wave := follower[last][follower[last] >= 0]).size:
        waves.append(wave)
        last = wave
    return waves


def least_powers(visits: Visits) -> tuple[Floats, Floats]:
    """The least charging and discharging power of each visit, 0 where there is none, ``(N,)`` [kW]."""
    none = np.zeros(len(visits.id))
    columns = visits.min_charge_kw, visits.min_discharge_kw
    charge, discharge = (none if c is None else filled(c, 0.0) for c in columns)
    return charge, discharge


def usable(problem: Problem) -> Problem:
    """The problem without the powers that are less than the least one."""
    visits = problem.visits
    least_in, least_out = least_powers(visits)

    def kept(most: Floats, least: Floats) -> Floats:
        return np.where(most >= (least[:, None] if most.ndim == 2 else least), most, 0.0)

    if not (least_in.any() or least_out.any()):
        return problem
    charge, discharge = kept(visits.charge_kw, least_in), kept(visits.discharge_kw, least_out)
    return replace(problem, visits=replace(visits, charge_kw=charge, discharge_kw=discharge))


def filled(values: Floats, none: float) -> Floats:
    """The values with ``none`` where they are NaN."""
    return np.where(np.isnan(values), none, values)


DEARER, DEARER_WITH_TRIPS, DEARER_WITH_LEAST_POWERS = 4.0, 50.0, 1000.0
"""How much more a kWh beyond a limit costs than it could save of energy at visits [-]."""
LEAST_EFFICIENCY = 0.5
"""Efficiencies below this count as this in the penalties, which they would otherwise blow up."""


def penalties(problem: Problem) -> Penalties:
    """The prices of unmet energy and broken limits, from the money in the problem.

    Let M be a bound on what one more kWh in a battery can cost: the dearest price at all meters
    together and the demand charges of one kWh in the shortest step, lost on the way through another
    vehicle's battery, with its wear and what it costs to hold. Then a kWh unmet at departure costs
    4 M, a kWh below the minimum costs as much for the shortest step, and a kWh beyond a limit costs
    4 times what it could ever save of these two. So money never decides against energy, nor energy
    against a limit (but where a limit is broken anyway and a further row weighs visits unequally, the
    choice between these is by 4 to 1). Where nothing costs anything, M is 1.

    Where visits follow others a kWh beyond a limit costs 50 times what it could save of these two, and a
    kWh lacking on a trip costs as much less as that is. So no limit is broken for all of them together,
    and what is taken in on the way relieves no limit: 2 % of it are lost in any battery.
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
    edges = np.concatenate(([0.0], np.cumsum(problem.step_h)))
    hours = edges[visits.depart] - edges[visits.arrive]
    before = predecessors(visits)
    held, stops = hours.copy(), np.ones(len(hours))
    for wave in waves(before):
        held[wave] += held[before[wave]]
        stops[wave] += stops[before[wave]]
    if visits.dwell_eur_per_kwh_h is not None:
        steepest = np.abs(filled(visits.dwell_eur_per_kwh_h, 0.0)).max(initial=0.0)
        worth += float(steepest) * float(held.max(initial=0.0))
    if visits.depth_eur_per_kwh is not None:
        wear += float(filled(visits.depth_eur_per_kwh, 0.0).max(initial=0.0)) / out
    most = (money / (into * out) + wear + worth / out) / into or 1.0
    unmet = 4.0 * most
    short = unmet / shortest
    stay = float(hours[visits.energy_kwh < visits.min_kwh].max(initial=0.0))
    saved = unmet * float(stops.max(initial=1.0)) + short * stay
    dearer = DEARER if visits.after is None else DEARER_WITH_TRIPS
    if any(least.any() for least in least_powers(visits)):
        dearer = DEARER_WITH_LEAST_POWERS
    limit = dearer * saved
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
        trip_eur_per_kwh=limit - saved,
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
    follows = _check_chains(visits)
    _numbers("visits.energy_kwh", visits.energy_kwh, (count,), none=True, finite=True)
    known_energy = ~np.isnan(visits.energy_kwh)
    missing = ~known_energy & ~follows
    _refuse("visits.energy_kwh", missing, "must be a finite number, null only after another visit")
    _refuse("visits.energy_kwh", known_energy & follows, "must be none: it follows another visit")
    for name in ("target_kwh", "min_kwh", "max_kwh"):
        _numbers(f"visits.{name}", getattr(visits, name), (count,), none=True)
    _refuse("visits.target_kwh", np.isinf(visits.target_kwh), "must be a number or none")
    _refuse("visits.min_kwh", visits.min_kwh == np.inf, "is infinite")
    _refuse("visits.max_kwh", visits.max_kwh == -np.inf, "is infinite")
    _refuse("visits.min_kwh", visits.min_kwh > visits.max_kwh, "is above max_kwh")
    negative = follows & ~(visits.min_kwh > -np.inf) & (visits.max_kwh < 0)
    _refuse("visits.max_kwh", negative, "is below 0")
    for name in ("charge_kw", "discharge_kw"):
        column = getattr(visits, name)
        shape = (count, steps) if np.ndim(column) == 2 else (count,)
        _numbers(f"visits.{name}", column, shape, least=0.0)
    for name in ("charge_efficiency", "discharge_efficiency"):
        _numbers(f"visits.{name}", getattr(visits, name), (count,), above=0.0, most=1.0)
    _numbers("visits.wear_eur_per_kwh", visits.wear_eur_per_kwh, (count,), least=0.0)
    _numbers("visits.value_eur_per_kwh", visits.value_eur_per_kwh, (count,))
    _check_dwell(visits)
    _check_depth(visits)
    for name in ("min_charge_kw", "min_discharge_kw"):
        least = getattr(visits, name)
        if least is not None:
            _numbers(f"visits.{name}", least, (count,), none=True, finite=True, least=0.0)


def _check_chains(visits: Visits) -> NDArray[np.bool_]:
    """Refuse visits that do not come one after the other; which follow another, ``(N,)``."""
    count = len(visits.id)
    if visits.after is None:
        if visits.trip_kwh is not None:
            raise ProblemError("visits.trip_kwh", "no visit follows another: after is absent")
        return np.zeros(count, dtype=np.bool_)
    if len(visits.after) != count:
        raise ProblemError("visits.after", f"must have {count} entries, has {len(visits.after)}")
    known, seen = {*visits.id, ""}, set[str]()
    for i, name in enumerate(visits.after):
        if name not in known:
            raise ProblemError(f"visits.after[{i}]", f"there is no visit {name!r}")
        if name in seen:
            raise ProblemError(f"visits.after[{i}]", f"another visit follows {name!r} already")
        seen |= {name} - {""}
    before = predecessors(visits)
    follows = before >= 0
    ring = follows.copy()
    for wave in waves(before):
        ring[wave] = False
    _refuse("visits.after", ring, "is on a ring of visits")
    early = follows & (visits.arrive < visits.depart[before])
    _refuse("visits.arrive", early, "is before the visit that it follows ends")
    if visits.trip_kwh is not None:
        trip = visits.trip_kwh
        _numbers("visits.trip_kwh", trip, (count,), none=True, finite=True, least=0.0)
        _refuse("visits.trip_kwh", ~follows & (trip > 0), "it follows no visit")
    return follows


def _check_dwell(visits: Visits) -> None:
    levels, slopes = visits.dwell_kwh, visits.dwell_eur_per_kwh_h
    if levels is None and slopes is None:
        return
    for name, values in (("dwell_kwh", levels), ("dwell_eur_per_kwh_h", slopes)):
        if values is None:
            raise ProblemError(f"visits.{name}", "is missing: levels and slopes go together")
        wide = np.shape(values)[1] if np.ndim(values) == 2 else 1
        shape = (len(visits.id), wide)
        _numbers(f"visits.{name}", values, shape, none=True, finite=True)
    assert levels is not None
    assert slopes is not None
    _numbers("visits.dwell_eur_per_kwh_h", slopes, levels.shape, none=True)
    none = np.isnan(levels)
    _refuse("visits.dwell_eur_per_kwh_h", np.isnan(slopes) != none, "levels and slopes go together")
    before, first = np.roll(none, 1, axis=1), np.zeros(levels.shape, dtype=np.bool_)
    first[:, :1] = True
    _refuse("visits.dwell_kwh", ~first & before & ~none, "follows a level that is none")
    rises = np.diff(levels, axis=1, prepend=-np.inf) > 0
    _refuse("visits.dwell_kwh", ~(rises | none), "must be above the level before")
    falls = np.diff(slopes, axis=1, prepend=-np.inf) < 0
    _refuse("visits.dwell_eur_per_kwh_h", falls, "must be no less than the slope before")


def _check_depth(visits: Visits) -> None:
    spans, prices = visits.depth_kwh, visits.depth_eur_per_kwh
    if spans is None and prices is None:
        return
    for name, values in (("depth_kwh", spans), ("depth_eur_per_kwh", prices)):
        if values is None:
            raise ProblemError(f"visits.{name}", "is missing: ranges and prices go together")
    assert spans is not None
    assert prices is not None
    count = len(visits.id)
    _numbers("visits.depth_kwh", spans, (count,), none=True, finite=True, above=0.0)
    wide = np.shape(prices)[1] if np.ndim(prices) == 2 else 1
    place = "visits.depth_eur_per_kwh"
    _numbers(place, prices, (count, wide), none=True, finite=True, least=0.0)
    none = np.isnan(prices)
    _refuse("visits.depth_kwh", np.isnan(spans) != none.all(axis=1), "goes with its prices")
    _refuse(place, none[:, :-1] & ~none[:, 1:], "comes before a price")
    _refuse(place, np.diff(prices, axis=1, prepend=0.0) < 0, "must be no less than the one before")
    before = predecessors(visits)
    follows = np.flatnonzero(before >= 0)
    own, other = spans[follows], spans[before[follows]]
    differs = ~((own == other) | (np.isnan(own) & np.isnan(other)))
    same = prices[follows], prices[before[follows]]
    differs |= ((same[0] != same[1]) & ~(np.isnan(same[0]) & np.isnan(same[1]))).any(axis=1)
    for i in follows[differs][:1]:
        raise ProblemError(f"visits.depth_kwh[{i}]", "differs from that of the visit it follows")


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
