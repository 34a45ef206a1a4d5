"""The planning problem as a sparse linear programme, built from whole arrays.

Columns are energies per step [kWh], so that nearly all coefficients are 1. Only what can matter gets
a column or a row, decided from what the visits could do at most:

* a visit has columns in the steps of its window where it may have power;
* a visit that cannot discharge, arrives above its minimum and pays nothing for holding energy only
  ever rises, so its energy needs one row for the whole stay; any other needs one row for each step with power;
* the energy after such a row is cut in pieces at the minimum, the target and the levels of what
  holding energy costs, each with its own price: this is what makes all of them convex without
  further rows;
* a visit that follows another has a row for its arrival, with what is taken in on the way;
* where the depth of cycles has a price, what moves in and out of a vehicle is shared among slices,
  whose fill at first is free and at last the same again;
* a node has a balance in the steps where a meter bills it, a demand charge sees it or a limit
  could be met; what hangs below it otherwise counts for the next such node above;
* import and export are apart only where their prices differ and both can happen. Where export
  pays more than import costs, a binary keeps them from happening at once;
* a least power has a binary for each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gridleaf.plan.depth import slices
from gridleaf.plan.problem import (
    Floats,
    Ints,
    Penalties,
    Problem,
    Visits,
    by_step,
    filled,
    from_the_roots,
    least_powers,
    parents,
    places,
    plugged_in,
)
from gridleaf.plan.vehicles import Chains, Holding, chains, dwelling, useful_on_the_way

Int32s = NDArray[np.int32]
Cells = tuple[Ints, Ints]
"""Positions in two dimensions."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Model:
    """minimise ``cost @ x + offset`` with ``row_lower <= A x <= row_upper``, ``lower <= x <= upper``.

    ``A`` is column-wise: ``starts``, ``rows``, ``values``. The first columns are charging, at
    ``charge_at`` (visit, step), the next discharging, at ``discharge_at``. ``binary`` are the positions
    of columns with two entries each, in the row of the imports and in that of the exports. ``stepped``
    are columns that are 1 where a visit has a power that is bounded from below, and else 0.
    ``preference`` is a cost by which equal plans are told apart. ``balance`` is ``(K, T)``: the row whose
    dual prices energy at a node, -1 where energy there is free. ``taken`` ``(N,)`` are the columns of
    what is taken in on the way to each visit, -1 where it follows none. ``basis`` names a column for each row
    (-1: its slack), a triangular basis to start from: a vehicle's energy moves with its power and the
    grid takes what the vehicles leave.
    """

    cost: Floats
    lower: Floats
    upper: Floats
    row_lower: Floats
    row_upper: Floats
    starts: Int32s
    rows: Int32s
    values: Floats
    offset: float
    charge_at: Cells
    discharge_at: Cells
    binary: Ints
    stepped: Ints
    preference: Floats
    balance: Ints
    taken: Ints
    basis: Ints


class _Builder:
    """Collects columns, rows, entries and the starting basis block by block."""

    def __init__(self) -> None:
        self.columns = 0
        self.rows = 0
        self._columns: list[tuple[Floats, Floats, Floats]] = []
        self._rows: list[tuple[Floats, Floats]] = []
        self._entries: list[tuple[Ints, Ints, Floats]] = []
        self._basis: list[tuple[Ints, Ints]] = []

    def add_columns(self, cost: Floats, lower: Floats | float, upper: Floats) -> Ints:
        """Add columns; their positions."""
        self._columns.append((cost, np.full(cost.shape, lower), upper))
        self.columns += len(cost)
        return np.arange(self.columns - len(cost), self.columns)

    def add_rows(self, lower: Floats | float, upper: Floats) -> Ints:
        """Add rows; their positions."""
        self._rows.append((np.full(upper.shape, lower), upper))
        self.rows += len(upper)
        return np.arange(self.rows - len(upper), self.rows)

    def put(self, row: Ints, column: Ints, value: Floats | float) -> None:
        """Set entries, none where the row or the column is negative."""
        keep = (row >= 0) & (column >= 0)
        values = np.full(row.shape, value)
        self._entries.append((row[keep], column[keep], values[keep]))

    def start_with(self, row: Ints, column: Ints) -> None:
        """Make these columns basic in these rows; later calls win."""
        self._basis.append((row, column))

    def model(
        self,
        *,
        offset: float,
        charge_at: Cells,
        discharge_at: Cells,
        binary: Ints,
        stepped: Ints,
        preference: Floats,
        balance: Ints,
        taken: Ints,
    ) -> Model:
        """The model with the entries sorted by column."""
        cost, lower, upper = (np.concatenate(part) for part in zip(*self._columns, strict=True))
        row_lower, row_upper = (np.concatenate(part) for part in zip(*self._rows, strict=True))
        row, column, value = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        order = np.argsort(column, kind="stable")
        starts = np.zeros(self.columns + 1, dtype=np.int32)
        np.cumsum(np.bincount(column, minlength=self.columns), out=starts[1:])
        basis = np.full(self.rows, -1)
        for rows, columns in self._basis:
            basis[rows] = columns
        return Model(
            cost=cost,
            lower=lower,
            upper=upper,
            row_lower=row_lower,
            row_upper=row_upper,
            starts=starts,
            rows=row[order].astype(np.int32),
            values=value[order],
            offset=offset,
            charge_at=charge_at,
            discharge_at=discharge_at,
            binary=binary,
            stepped=stepped,
            preference=preference,
            balance=balance,
            taken=taken,
            basis=basis,
        )


@dataclass(frozen=True, slots=True)
class _Power:
    """What the visits may charge and discharge at most in each step [kWh], and their columns."""

    most_in: Floats
    most_out: Floats
    charge_at: Cells
    discharge_at: Cells
    charge: Ints
    discharge: Ints


def build(problem: Problem, prices: Penalties) -> Model:
    """The linear programme of a checked problem (with binaries where it is not convex)."""
    lp = _Builder()
    power = _power(problem, lp)
    offset, taken = _energy(problem, prices, lp, power)
    _depth(problem, lp, power, taken)
    balance, binary = _network(problem, prices, lp, power)
    _further_rows(problem, prices, lp, power)
    stepped = _least_powers(problem, lp, power)

    middle = np.cumsum(problem.step_h) - problem.step_h / 2
    preference = np.zeros(lp.columns)
    taking, (giver, giving) = power.charge_at[1], power.discharge_at
    preference[power.charge] = middle[taking]
    preference[power.discharge] = _turns(problem)[giver] * (middle[-1] + middle[0] - middle[giving])
    return lp.model(
        offset=offset,
        charge_at=power.charge_at,
        discharge_at=power.discharge_at,
        binary=binary,
        stepped=stepped,
        preference=preference,
        balance=balance,
        taken=taken,
    )


def _turns(problem: Problem) -> Floats:
    """How dear early discharging seems to each visit, 1 to 2: least to who leaves last.

    So vehicles of equal worth have an order, and do not take turns at discharging from plan to plan.
    Charging has none: vehicles that share what there is lose less where their power falls near full.
    """
    count = len(problem.visits.id)
    weight = np.empty(count)
    weight[np.argsort(-problem.visits.depart, kind="stable")] = 1.0 + np.arange(count) / max(
        count, 1
    )
    return weight


def _cells(where: Mask) -> Cells:
    row, column = np.nonzero(where)
    return row, column


def _power(problem: Problem, lp: _Builder) -> _Power:
    visits, step_h = problem.visits, problem.step_h
    inside = plugged_in(problem)
    most_in = np.where(inside, by_step(visits.charge_kw, len(step_h)) * step_h, 0.0)
    most_out = np.where(inside, by_step(visits.discharge_kw, len(step_h)) * step_h, 0.0)
    charge_at, discharge_at = _cells(most_in > 0), _cells(most_out > 0)
    wear = visits.wear_eur_per_kwh[discharge_at[0]]
    return _Power(
        most_in=most_in,
        most_out=most_out,
        charge_at=charge_at,
        discharge_at=discharge_at,
        charge=lp.add_columns(np.zeros(len(charge_at[0])), 0.0, most_in[charge_at]),
        discharge=lp.add_columns(wear, 0.0, most_out[discharge_at]),
    )


@dataclass(frozen=True, slots=True)
class _Reach:
    """Between which energies each visit can be at arrival and after it ``(N,)`` [kWh], at the widest."""

    arrive_low: Floats
    arrive_high: Floats
    low: Floats
    high: Floats
    taken: Floats
    """How much could be of use on the way to it."""


def _reach(visits: Visits, chain: Chains, power: _Power) -> _Reach:
    fall = power.most_out.sum(axis=1) / visits.discharge_efficiency
    rise = power.most_in.sum(axis=1) * visits.charge_efficiency
    arrive_low, arrive_high = visits.energy_kwh.copy(), visits.energy_kwh.copy()
    low = np.maximum(chain.least, arrive_low - fall)
    high = np.minimum(chain.most, arrive_high + rise)
    taken = useful_on_the_way(visits, chain, fall)
    for wave in chain.waves:
        brought = chain.before[wave]
        arrive_low[wave] = np.maximum(low[brought] - chain.trip[wave], chain.floor[wave])
        enough = np.maximum(high[brought] - chain.trip[wave], chain.floor[wave]) + taken[wave]
        arrive_high[wave] = np.minimum(chain.most[wave], enough)
        low[wave] = np.maximum(chain.least[wave], arrive_low[wave] - fall[wave])
        high[wave] = np.minimum(chain.most[wave], arrive_high[wave] + rise[wave])
    return _Reach(arrive_low, arrive_high, low, high, taken)


def _energy(problem: Problem, prices: Penalties, lp: _Builder, power: _Power) -> tuple[float, Ints]:
    """Rows that carry each visit's energy from power to power.

    Gives the constant of their prices, and the column of what is taken in on the way to each visit.
    """
    visits, step_h = problem.visits, problem.step_h
    edges = np.concatenate(([0.0], np.cumsum(step_h)))
    chain, holding = chains(visits), dwelling(visits)
    start, floor = visits.energy_kwh, chain.floor
    reach = _reach(visits, chain, power)
    target = np.fmax(visits.target_kwh, reach.low)
    short = start < floor
    worth = np.where(chain.after < 0, visits.value_eur_per_kwh, 0.0)

    powered = (power.most_in > 0) | (power.most_out > 0)
    followed = short | (power.most_out > 0).any(axis=1) | holding.costs
    first = powered & (np.cumsum(powered, axis=1) == 1)
    # the first place of each visit is its arrival, which has a row where it follows another
    opens = np.column_stack((chain.before >= 0, first | (powered & followed[:, None])))
    visit, place = np.nonzero(opens)
    arriving = place == 0
    since = np.where(arriving, edges[visits.arrive[visit]], edges[place - 1])
    count = len(visit)
    at = (np.cumsum(opens.ravel()) - 1).reshape(opens.shape)
    last = np.ones(count, dtype=np.bool_)
    last[:-1] = visit[1:] != visit[:-1]
    opening = np.ones(count, dtype=np.bool_)
    opening[1:] = last[:-1]

    until = edges[visits.depart[visit]]
    until[:-1][~last[:-1]] = since[1:][~last[:-1]]
    hours = until - since
    late = np.where(short[visit], hours, 0.0)
    low = np.where(arriving, reach.arrive_low[visit], reach.low[visit])
    high = np.where(arriving, reach.arrive_high[visit], reach.high[visit])
    reserve = np.where(short[visit], floor[visit], low)
    wanted = np.where(last, target[visit], low)

    # the energy of the row before: of the same visit, of the visit before, or none
    behind = np.arange(count) - 1
    final = np.full(len(start), -1)
    final[visit[last]] = np.flatnonzero(last)
    behind[opening] = np.where(chain.before[visit] >= 0, final[chain.before[visit]], -1)[opening]
    known = np.where(chain.before[visit] >= 0, start[chain.before[visit]], start[visit])
    brought = np.where(behind >= 0, low[behind], known)
    rhs = brought - low - np.where(arriving, chain.trip[visit], 0.0)
    row = lp.add_rows(rhs, rhs)
    following = np.full(count, -1)
    following[behind[behind >= 0]] = row[behind >= 0]
    middle = np.column_stack((reserve[:, None], wanted[:, None], holding.level[visit])).clip(
        low[:, None], high[:, None]
    )
    middle.sort(axis=1)
    for lower, upper in pairwise((low, *middle.T, high)):
        piece = np.flatnonzero(upper > lower)
        between = (lower + upper)[:, None] / 2 > holding.level[visit]
        slope = np.take_along_axis(
            holding.slope[visit], between.sum(axis=1, keepdims=True), axis=1
        )[:, 0]
        cost = (
            hours * slope
            - np.where(last, worth[visit], 0.0)
            - prices.short_eur_per_kwh_h * late * (lower < reserve)
            - prices.unmet_eur_per_kwh * (lower < wanted)
        )[piece]
        column = lp.add_columns(cost, 0.0, (upper - lower)[piece])
        lp.put(row[piece], column, 1.0)
        lp.put(following[piece], column, -1.0)
        lp.start_with(row[piece], column)
    lp.put(
        row[at[power.charge_at[0], power.charge_at[1] + 1]],
        power.charge,
        -visits.charge_efficiency[power.charge_at[0]],
    )
    lp.put(
        row[at[power.discharge_at[0], power.discharge_at[1] + 1]],
        power.discharge,
        1.0 / visits.discharge_efficiency[power.discharge_at[0]],
    )
    follows = np.flatnonzero(arriving)
    taken = np.full(len(start), -1)
    taken[visit[follows]] = lp.add_columns(
        np.full(len(follows), prices.trip_eur_per_kwh), 0.0, reach.taken[visit[follows]]
    )
    lp.put(row[follows], taken[visit[follows]], -1.0)

    # before the first row nothing moves; where there is none all of the stay
    idle = edges[visits.depart] - edges[visits.arrive]
    idle[visit[opening]] = (since - edges[visits.arrive[visit]])[opening]
    offset = float(
        prices.unmet_eur_per_kwh * (target - reach.low).sum()
        - (worth * reach.low).sum()
        + prices.short_eur_per_kwh_h
        * (((floor - start)[short] * idle[short]).sum() + (late * (reserve - low)).sum())
    )
    if holding.costs.any():
        dwell = np.where(chain.before < 0, idle * holding.at(filled(start, 0.0)), 0.0).sum()
        per_row = Holding(holding.start[visit], holding.slope[visit], holding.level[visit])
        offset += float(dwell + (hours * per_row.at(low)).sum())
    return offset, taken


def _depth(problem: Problem, lp: _Builder, power: _Power, taken: Ints) -> None:
    """Slices of each vehicle's energy, each with a price for what leaves it.

    With the fill at first free and the drive leading back to it, what the slices cost is what the
    rainflow cycles of the closed sequence cost (:mod:`gridleaf.plan.depth`).
    """
    visits = problem.visits
    width, price = slices(visits)
    chain = chains(visits)
    root, number = np.arange(len(width)), np.zeros(len(width), dtype=np.int64)
    for turn, wave in enumerate(chain.waves, 1):
        root[wave], number[wave] = root[chain.before[wave]], turn
    powered = (power.most_in > 0) | (power.most_out > 0)
    # the first place of each visit is its arrival
    opens = np.column_stack((np.ones(len(width), dtype=np.bool_), powered))
    moments = np.bincount(root, weights=opens.sum(axis=1), minlength=len(width))
    visit, place = np.nonzero(opens & (~np.isnan(width) & (moments[root] > 1))[:, None])
    if not len(visit):
        return
    order = np.lexsort((place, number[visit], root[visit]))
    visit, place, vehicle = visit[order], place[order], root[visit[order]]
    at = np.full(opens.shape, -1)
    moment = np.arange(len(visit))
    at[visit, place] = moment
    opening = np.append(True, vehicle[1:] != vehicle[:-1])
    begin = np.flatnonzero(opening)
    following = moment + 1
    following[np.append(begin[1:], len(visit)) - 1] = begin

    gain = power.most_in.sum(axis=1) * visits.charge_efficiency
    loss = power.most_out.sum(axis=1) / visits.discharge_efficiency
    widest = np.zeros(len(width))
    np.add.at(widest, root, gain + loss + chain.trip)
    # a row for each moment but the first, in which its vehicle's slices take up what has moved
    sides = -np.where(place == 0, chain.trip[visit], 0.0)[~opening]
    row = np.full(len(visit), -1)
    row[~opening] = lp.add_rows(sides, sides)
    count = np.count_nonzero(~np.isnan(price), axis=1)
    for j in range(price.shape[1]):
        mine = moment[j < count[visit]]
        last = j == count[visit[mine]] - 1
        most = width[visit[mine]] + np.where(last, widest[vehicle[mine]], 0.0)
        fill = np.full(len(visit), -1)
        fill[mine] = lp.add_columns(np.zeros(len(mine)), 0.0, most)
        out = lp.add_columns(price[visit[mine], j], 0.0, most)
        falls = lp.add_rows(-np.inf, np.zeros(len(mine)))
        lp.put(falls, fill[mine], 1.0)
        lp.put(falls, fill[following[mine]], -1.0)
        lp.put(falls, out, -1.0)
        lp.put(row[mine], fill[mine], 1.0)
        lp.put(row[following[mine]], fill[mine], -1.0)
    row = np.append(row, -1)  # what has no price is at the place -1
    for (mover, step), column, sign in (
        (power.charge_at, power.charge, -visits.charge_efficiency),
        (power.discharge_at, power.discharge, 1.0 / visits.discharge_efficiency),
    ):
        lp.put(row[at[mover, step + 1]], column, sign[mover])
    arrivals = moment[(place == 0) & ~opening]
    lp.put(row[arrivals], taken[visit[arrivals]], -1.0)


def _network(problem: Problem, prices: Penalties, lp: _Builder, power: _Power) -> tuple[Ints, Ints]:
    """Balances, meters, limits and peaks of the nodes; where energy is priced, and the binaries."""
    nodes, step_h = problem.nodes, problem.step_h
    place, parent = places(problem), parents(nodes)
    order = from_the_roots(parent)
    shape = (len(nodes.id), len(step_h))
    rise, fall = np.zeros(shape), np.zeros(shape)
    np.add.at(rise, place, power.most_in)
    np.add.at(fall, place, power.most_out)
    for k in reversed(order):
        if parent[k] >= 0:
            rise[parent[k]] += rise[k]
            fall[parent[k]] += fall[k]
    load = nodes.load_kw * step_h
    high, low = load + rise, load - fall
    limit_in = filled(nodes.import_limit_kw, np.inf) * step_h
    limit_out = filled(nodes.export_limit_kw, np.inf) * step_h
    buy = filled(nodes.import_price_eur_per_kwh, 0.0)
    sell = filled(nodes.export_price_eur_per_kwh, 0.0)
    demand, so_far = nodes.demand_charge_eur_per_kw, nodes.peak_so_far_kw
    peaking = (demand[:, None] > 0) & (high > so_far[:, None] * step_h)
    needed = (buy != 0) | (sell != 0) | peaking | (high > limit_in) | (-low > limit_out)

    at = np.nonzero(needed)
    balance, above = np.full(shape, -1), np.full(shape, -1)
    balance[at] = lp.rows + np.arange(len(at[0]))
    for k in order:
        if parent[k] >= 0:
            above[k] = balance[parent[k]]
            balance[k] = np.where(needed[k], balance[k], above[k])
    below = np.zeros(lp.rows + len(at[0]))
    nested = above[at] >= 0
    np.add.at(below, above[at][nested], load[at][nested])
    rhs = below[balance[at]] - load[at]
    lp.add_rows(rhs, rhs)
    lp.put(balance[place[power.charge_at[0]], power.charge_at[1]], power.charge, 1.0)
    lp.put(balance[place[power.discharge_at[0]], power.discharge_at[1]], power.discharge, -1.0)

    def flows(where: Mask, cost: Floats, lower: Floats | float, upper: Floats, sign: float) -> Ints:
        """Columns of one kind of flow out of (sign 1) or into the balances; -1 where there is none."""
        cells = np.flatnonzero(where)
        bottom = lower[cells] if isinstance(lower, np.ndarray) else lower
        column = lp.add_columns(cost[cells], bottom, upper[cells])
        lp.put(balance[at][cells], column, -sign)
        lp.put(above[at][cells], column, sign)
        lp.start_with(balance[at][cells], column)
        result = np.full(len(where), -1)
        result[cells] = column
        return result

    high, low, limit_in, limit_out, buy, sell = (
        values[at] for values in (high, low, limit_in, limit_out, buy, sell)
    )
    # every column has bounds, so that any duals prove something, but wider than the flows can be:
    # at a bound that moves with the load, the dual of the balance would not be the price of load
    wide = 1.0 + high - low
    penalty = prices.limit_eur_per_kwh
    over_in = flows(high > limit_in, penalty + buy, 0.0, high - limit_in + wide, 1.0)
    over_out = flows(-low > limit_out, penalty - sell, 0.0, wide - low - limit_out, -1.0)
    apart = (buy != sell) & (high > 0) & (low < 0)
    signed = flows(
        ~apart,
        np.where(high > 0, buy, sell),
        np.clip(low - wide, -limit_out, limit_in),
        np.clip(high + wide, -limit_out, limit_in),
        1.0,
    )
    exports = flows(apart, -sell, 0.0, np.minimum(wide - low, limit_out), -1.0)
    imports = flows(apart, buy, 0.0, np.minimum(wide + high, limit_in), 1.0)

    def bound(cells: Ints, upper: Floats, *columns: Ints) -> Ints:
        """Rows that bound the sum of some flows of these cells."""
        row = lp.add_rows(-np.inf, upper)
        for column in columns:
            lp.put(row, column[cells], 1.0)
        return row

    billed = np.flatnonzero(demand > 0)
    peak = np.full(shape[0], -1)
    most = np.maximum((load + rise)[billed] / step_h, so_far[billed, None]).max(axis=1)
    peak[billed] = lp.add_columns(demand[billed], so_far[billed], 1.0 + 2.0 * most)
    cells = np.flatnonzero(peaking[at])
    row = bound(cells, np.zeros(len(cells)), signed, imports, over_in)
    lp.put(row, peak[at[0][cells]], -step_h[at[1][cells]])

    cells = np.flatnonzero(apart & (sell > buy))
    imports_only = bound(cells, np.zeros(len(cells)), imports, over_in)
    exports_only = bound(cells, -low[cells], exports, over_out)
    binary = lp.add_columns(np.zeros(len(cells)), 0.0, np.ones(len(cells)))
    lp.put(imports_only, binary, -high[cells])
    lp.put(exports_only, binary, -low[cells])
    return balance, binary


def _further_rows(problem: Problem, prices: Penalties, lp: _Builder, power: _Power) -> None:
    """The further rows, in the steps where the visits could break them."""
    if problem.rows is None:
        return
    factor = problem.rows.coefficient
    allowed = filled(problem.rows.bound_kw, np.inf) * problem.step_h
    reach = np.maximum(factor, 0) @ power.most_in + np.maximum(-factor, 0) @ power.most_out
    at = np.nonzero(reach > allowed)
    row = np.full(allowed.shape, -1)
    row[at] = lp.add_rows(-np.inf, allowed[at])
    for (visit, step), column, sign in (
        (power.charge_at, power.charge, 1.0),
        (power.discharge_at, power.discharge, -1.0),
    ):
        which, entry = np.nonzero((row[:, step] >= 0) & (factor[:, visit] != 0))
        lp.put(row[which, step[entry]], column[entry], sign * factor[which, visit[entry]])
    over = lp.add_columns(prices.row_eur_per_kwh[at[0]], 0.0, 1.0 + (reach - allowed)[at])
    lp.put(row[at], over, -1.0)


def _least_powers(problem: Problem, lp: _Builder, power: _Power) -> Ints:
    """Columns and rows that keep a power at 0 or above the least one, and in one direction."""
    least_in, least_out = least_powers(problem.visits)
    applies = (least_in > 0) | (least_out > 0)
    both = (power.most_in > 0) & (power.most_out > 0)
    only_one = np.full((*both.shape, 2), -1)
    columns = []
    for way, (at, column, most, least) in enumerate(
        (
            (power.charge_at, power.charge, power.most_in, least_in),
            (power.discharge_at, power.discharge, power.most_out, least_out),
        )
    ):
        cells = np.flatnonzero((least[at[0]] > 0) | (applies[at[0]] & both[at]))
        visit, step = at[0][cells], at[1][cells]
        on = lp.add_columns(np.zeros(len(cells)), 0.0, np.ones(len(cells)))
        row = lp.add_rows(-np.inf, np.zeros(len(cells)))
        lp.put(row, column[cells], 1.0)
        lp.put(row, on, -most[visit, step])
        row = lp.add_rows(-np.inf, np.zeros(len(cells)))
        lp.put(row, column[cells], -1.0)
        lp.put(row, on, least[visit] * problem.step_h[step])
        only_one[visit, step, way] = on
        columns.append(on)
    pairs = only_one[applies[:, None] & both]
    row = lp.add_rows(-np.inf, np.ones(len(pairs)))
    for way in range(2):
        lp.put(row, pairs[:, way], 1.0)
    return np.concatenate(columns)
