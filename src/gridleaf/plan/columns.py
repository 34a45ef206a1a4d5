"""The coordination of a fleet by prices: column generation on groups of vehicles, with a bound.

Every price of the lines gives a lower bound (what vehicles and lines cost at best at these prices, weak
duality) and one answer of each group, a column. The master problem mixes the columns; the mixture is
feasible, since what each vehicle can do is convex, and its cost is an upper bound. The master's prices,
smoothed towards those of the best bound (Wentges 1997), are asked next. It starts with a sample of each
group and ends with all of it, so that the whole fleet is asked only a few times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gridleaf.plan.master import Cells, Columns, shares
from gridleaf.plan.network import Network
from gridleaf.plan.problem import Floats, Ints, Progress
from gridleaf.plan.sweep import Sweeper, in_blocks, ranked

SMOOTHING = 0.6
"""Weight of the prices of the best bound in the next prices."""
KEPT = 0.03
"""Shares above this are asked again on a larger sample."""
FEW_GROUPS = 8
"""In a round that need not raise the bound groups take turns, so many at a time."""
MANY_ASKED = 5000
"""Fewer vehicles than this are asked faster than the master problem is solved once more."""
MANY_CLASSES = 16
"""With more classes than this the master problem takes longer than to ask everybody."""
FALLING = 0.85
"""The cost alone still falls if a round leaves less than this of the gap [-]."""
MARGIN = 0.05
"""Cells this far from their limits, relative to what is possible, need no row [-]."""
MOST_ROWS = 400
"""With more cells than this those that only have a limit get a row when it is met."""
MOST_ROUNDS = 400
PATIENCE = 20
"""Rounds without a smaller gap after which nothing better is expected."""


@dataclass(slots=True)
class Pool:
    """n columns: what a group draws ``(n, T)`` [kWh], what that costs besides [EUR], its share.

    ``vector`` is the position in ``asked`` of the prices of the classes ``(P, T)`` that it answers.
    """

    flow: Floats
    own: Floats
    group: Ints
    vector: Ints
    theta: Floats
    asked: list[Floats]

    def keep(self, which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        """Drop all other columns; the shares of each group sum to one again."""
        self.flow, self.own, self.group = self.flow[which], self.own[which], self.group[which]
        self.vector, self.theta = self.vector[which], self.theta[which]
        total = np.bincount(self.group, weights=self.theta)
        self.theta = self.theta / total[self.group]

    def add(self, flow: Floats, own: Floats, group: Ints, vector: int) -> None:
        """Add an answer of each of some groups."""
        self.flow = np.concatenate((self.flow, flow))
        self.own = np.concatenate((self.own, own))
        self.group = np.concatenate((self.group, group))
        self.vector = np.concatenate((self.vector, np.full(len(group), vector)))
        self.theta = np.concatenate((self.theta, np.zeros(len(group))))


@dataclass(slots=True)
class Memory:
    """What a search leaves for the next one of a problem that differs a little.

    Hand the same one to one call of ``plan.solve`` after the other. It fits problems of the same nodes,
    rows and steps; where it does not fit it is not used.
    """

    pool: Pool | None = None
    price: Floats | None = None
    buy: Floats | None = None
    sell: Floats | None = None
    groups: int = 0
    incidence: Floats | None = None

    def fits(self, net: Network, groups: int) -> bool:
        """Whether there is something to start from."""
        return (
            self.price is not None
            and self.incidence is not None
            and self.price.shape == net.needed.shape
            and self.groups == groups
            and np.array_equal(self.incidence, net.incidence.toarray())
        )

    def moved(self, net: Network) -> bool:
        """Whether a meter's price has changed since."""
        assert self.buy is not None
        assert self.sell is not None
        return not (np.array_equal(self.buy, net.buy) and np.array_equal(self.sell, net.sell))


def _follow(price: Floats, old: Floats, new: Floats) -> Floats:
    """Prices that keep their side of a meter's price when that moves, and stay on it where they are."""
    near = np.abs(price - old) <= 1e-9
    return np.where(
        near, new, np.where(price > old, np.maximum(price, new), np.minimum(price, new))
    )


@dataclass(slots=True)
class Standing:
    """Prices of the lines ``(M, T)``, the best bound and the best cost so far [EUR]."""

    price: Floats
    bound: float = -np.inf
    cost: float = np.inf
    rounds: int = 0

    @property
    def gap(self) -> float:
        """Relative to the bound [-]."""
        if not np.isfinite(self.bound) or not np.isfinite(self.cost):
            return np.inf
        return (self.cost - self.bound) / max(abs(self.bound), 1e-9)


class Coordinator:
    """Finds prices and shares for a fleet under a network."""

    def __init__(
        self,
        net: Network,
        sweeper: Sweeper,
        out_of_time: Callable[[], bool],
        progress: Callable[[Progress], None] | None = None,
        price: Floats | None = None,
    ) -> None:
        fleet = sweeper.fleet
        self.net = net
        self.sweeper = sweeper
        self.count = max(len(fleet.cars), 1)
        self.kind = fleet.kind
        self.groups = len(fleet.kind)
        none = np.zeros(0, dtype=np.int64)
        steps = net.load.shape[1]
        self.pool = Pool(np.zeros((0, steps)), np.zeros(0), none, none, np.zeros(0), [])
        self.standing = Standing(net.buy.copy() if price is None else price)
        self._out_of_time = out_of_time
        self._progress = progress
        self._partial = int(net.needed.sum()) > MOST_ROWS
        first = net.needed & ~net.only_limits[:, None] if self._partial else net.needed
        self.active = _in_blocks(net, first)
        self._cells = active_cells(net, self.active, self.count)
        self._fixed = np.zeros(net.needed.shape)
        part = np.full(net.incidence.shape[1], -1, dtype=np.int64)
        for m in np.flatnonzero(net.block >= 0):
            start, stop = net.incidence.indptr[m : m + 2]
            part[net.incidence.indices[start:stop]] = net.block[m]
        self._part = part
        self._weights = net.incidence.toarray()
        self._narrowed = False
        self._lowest = net.sell - net.over[:, None]
        self._highest = net.buy + net.over[:, None] + net.demand[:, None] / net.step_h

    def remember(self, memory: Memory) -> None:
        """Leave the shares and prices for the next search."""
        memory.pool, memory.price = self.pool, self.standing.price
        memory.buy, memory.sell = self.net.buy, self.net.sell
        memory.groups, memory.incidence = self.groups, self._weights

    def recall(self, memory: Memory) -> None:
        """Start from a memory that fits; prices that followed the meters' follow them again."""
        pool, price, net = memory.pool, memory.price, self.net
        assert pool is not None
        assert price is not None
        assert memory.buy is not None
        assert memory.sell is not None
        asked = pool.asked
        for old, new in ((memory.buy, net.buy), (memory.sell, net.sell)):
            if not np.array_equal(old, new):
                classes = net.price_of_classes(old), net.price_of_classes(new)
                price = _follow(price, old, new)
                asked = [_follow(prices, *classes) for prices in asked]
        self.pool = replace(pool, asked=asked)
        self.standing = Standing(price)

    def divide(self) -> None:
        """Make every block of vehicles a group, with the columns and shares of the group it was in."""
        fleet, pool = self.sweeper.fleet, self.pool
        blocks = np.diff(fleet.first)
        size = fleet.end - fleet.begin
        self.sweeper.fleet = in_blocks(fleet)
        self.kind, self.groups = self.sweeper.fleet.kind, len(fleet.begin)
        each = blocks[pool.group]
        column = np.repeat(np.arange(len(each)), each)
        inside = np.arange(len(column)) - (np.cumsum(each) - each)[column]
        block = fleet.first[pool.group][column] + inside
        part = size[block] / np.add.reduceat(size, fleet.first[:-1])[pool.group][column]
        self.pool = Pool(
            flow=pool.flow[column] * part[:, None],
            own=pool.own[column] * part,
            group=block,
            vector=pool.vector[column],
            theta=pool.theta[column],
            asked=pool.asked,
        )

    def level(self, share: float, tolerance: float) -> None:
        """Ask a share of the fleet until its gap is below the tolerance."""
        sample = self.sweeper.sample(share)
        if len(self.pool.own):
            self._ask_again(sample)
        self.standing = Standing(self.standing.price, rounds=self.standing.rounds)
        price = self.standing.price
        stuck = 0
        weight = SMOOTHING
        everybody = asked = np.arange(self.groups)
        turns = 1
        if sample.sum() >= MANY_ASKED and self.net.incidence.shape[1] <= MANY_CLASSES:
            turns = max(self.groups // FEW_GROUPS, 1)
        for turn in range(MOST_ROUNDS):
            before, last = self.standing.gap, self.standing.bound
            flow, own = self._ask(price, sample, asked)
            if self.standing.gap <= tolerance or self._out_of_time():
                return
            if self.standing.gap < 0.1 and not self._narrowed:
                self._narrow()
            if self.standing.gap < 0.1 and not stuck:
                self._forget()
            self._add(price, flow, own, asked)
            master_price = self._mix(tolerance, 0.1 ** min(stuck, 6))
            self._tell(share)
            if self.standing.gap <= tolerance:
                return
            stuck = 0 if self.standing.gap < 0.999 * before else stuck + 1
            if stuck == PATIENCE:
                return
            if self.standing.bound > last:
                weight = max(weight - 0.1, SMOOTHING)
            elif len(asked) == self.groups:
                weight = min(weight + 0.15 * (1 - weight), 0.95)
            # while new columns still lower the cost a part of the groups will do
            falling = self.standing.gap < FALLING * before
            asked = everybody[turn % turns :: turns] if falling else everybody
            smoothing = weight / (1 + stuck)
            price = smoothing * self.standing.price + (1 - smoothing) * master_price
            price = np.clip(price, self._lowest, self._highest)

    def _tell(self, share: float) -> None:
        """Report the progress."""
        if self._progress is not None:
            standing = self.standing
            self._progress(
                Progress(
                    share=share,
                    rounds=standing.rounds,
                    lower_bound_eur=standing.bound,
                    objective_eur=standing.cost,
                    gap=standing.gap,
                )
            )

    def _activate(self, active: NDArray[np.bool_], fixed: Floats) -> None:
        """Give these cells ``(M, T)`` rows in the master problem, the others a price as it is."""
        self.active = _in_blocks(self.net, active)
        self._fixed = np.where(active, 0.0, fixed)
        self._cells = active_cells(self.net, self.active, self.count)

    def _narrow(self) -> None:
        """Take cells out of the master problem whose flow is far from where its price changes."""
        net = self.net
        self._narrowed = self._partial = True
        flow = net.flows(self.drawn(self.pool.theta))
        self._activate(net.needed & ~net.linear(flow, MARGIN), net.slope(flow))

    def _widen(self, theta: Floats) -> None:
        """Bring back the cells whose flow has come to where its price changes."""
        net = self.net
        flow = net.flows(self.drawn(theta))
        inactive = net.needed.copy()
        inactive[self.active] = False
        met = inactive & ~(net.linear(flow, 0.0) & (self._fixed == net.slope(flow)))
        if met.any():
            self._activate((net.needed & ~inactive) | met, self._fixed)

    def columns(self) -> tuple[Columns, Ints]:
        """What the columns put into the active cells [kWh], and in which order they come ``(n,)``."""
        line, step = self.active
        flow, kind, block = self.pool.flow, self.kind[self.pool.group], self.net.block[line]
        dense = int((block < 0).sum())
        parts = np.unique(block[dense:])
        if not len(parts):
            order = np.arange(len(kind))
        else:
            order = np.argsort(self._part[kind], kind="stable")
            flow, kind = flow[order], kind[order]
        part = self._part[kind]
        row = np.concatenate((dense + np.searchsorted(block[dense:], parts), [len(line)]))
        column = np.searchsorted(part, parts)
        column = np.append(column, np.searchsorted(part, parts[-1:], side="right"))
        shared = flow[:, step[:dense]]
        if self.net.incidence.shape != (1, 1):
            shared = shared * self._weights[line[:dense]][:, kind].T
        wide = int(np.diff(row).max(initial=0))
        local = np.zeros((len(kind), wide))
        if len(parts):
            mine = np.searchsorted(parts, part).clip(max=len(parts) - 1)
            at = row[mine][:, None] + np.arange(wide)
            there = (at < row[mine + 1][:, None]) & (parts[mine] == part)[:, None]
            at = np.where(there, at, 0)
            local = np.where(
                there,
                np.take_along_axis(flow, step[at], axis=1) * self._weights[line[at], kind[:, None]],
                0.0,
            )
        return Columns(np.ascontiguousarray(shared), local, row, column), order

    def entries(self, use: Ints) -> tuple[Ints, Ints, Floats]:
        """What the columns ``use`` put into the active cells, as rows, positions in ``use`` and values."""
        columns, order = self.columns()
        place = np.full(len(order), -1)
        place[use] = np.arange(len(use))
        place = place[order]
        kept = np.flatnonzero(place >= 0)
        at, on = np.nonzero(columns.shared[kept])
        parts = [(on, place[kept][at], columns.shared[kept][at, on])]
        for b, (start, stop) in enumerate(pairwise(columns.column.tolist())):
            mine = start + np.flatnonzero(place[start:stop] >= 0)
            at, on = np.nonzero(columns.local[mine])
            parts.append((on + columns.row[b], place[mine][at], columns.local[mine][at, on]))
        rows, positions, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return rows, positions, values

    def own(self) -> Floats:
        """What each column costs besides ``(n,)`` [EUR], the cells without a row included."""
        pool = self.pool
        if not self._fixed.any():
            return pool.own
        fixed = self.net.price_of_classes(self._fixed)[self.kind[pool.group]]
        return np.asarray(pool.own + (pool.flow * fixed).sum(axis=1))

    def drawn(self, theta: Floats) -> Floats:
        """What each class draws ``(P, T)`` [kWh] with these shares."""
        pool = self.pool
        kinds = self.kind[pool.group]
        total = np.zeros((self.net.incidence.shape[1], pool.flow.shape[1]))
        if total.shape[0] == 1:
            total[0] = theta @ pool.flow
        else:
            np.add.at(total, kinds, theta[:, None] * pool.flow)
        return total

    def cost(self, theta: Floats) -> float:
        """What the mixture costs [EUR]: a plan of that cost exists."""
        return float(theta @ self.pool.own) + self.net.cost(self.net.flows(self.drawn(theta)))

    def _ask(self, price: Floats, sample: Ints, group: Ints) -> tuple[Floats, Floats]:
        """The answers of some groups; if it is all of them, a better bound is noted."""
        classes = self.net.price_of_classes(price)
        vectors = ranked(classes)
        kind = self.kind[group]
        flow, own = self.sweeper.ask(group, kind, vectors, sample)
        self.standing.rounds += 1
        if len(group) == self.groups:
            bound = float((flow * classes[kind]).sum() + own.sum()) + self.net.bound(price)
            if bound > self.standing.bound:
                self.standing.bound, self.standing.price = bound, price
        return flow, own

    def _add(self, price: Floats, flow: Floats, own: Floats, group: Ints) -> None:
        self.pool.asked.append(self.net.price_of_classes(price))
        self.pool.add(flow, own, group, len(self.pool.asked) - 1)

    def polish(self) -> None:
        """Precise shares of the columns in use."""
        pool = self.pool
        most = np.zeros(self.groups)
        np.maximum.at(most, pool.group, pool.theta)
        pool.keep((pool.theta > 1e-4) | (pool.theta >= most[pool.group]))
        before = pool.theta
        self._mix(0.0, 1e-8)
        if self.cost(before) < self.cost(pool.theta):
            pool.theta = before
        pool.keep(pool.theta > 1e-6)

    def _mix(self, tolerance: float, care: float) -> Floats:
        """Solve the master problem; prices of the lines ``(M, T)``."""
        pool, standing, count = self.pool, self.standing, self.count
        columns, order = self.columns()
        columns = replace(columns, shared=columns.shared / count, local=columns.local / count)
        gap = min(standing.gap, 10.0)
        known = np.isfinite(gap) and np.isfinite(standing.gap)
        scale = abs(standing.bound) / count
        distance = gap * scale if known else 3 * tolerance * scale
        if not known and not pool.theta.any():
            distance = float(np.abs(pool.own).sum() / count + scale)
        found = shares(
            columns,
            self.own()[order] / count,
            pool.group[order],
            self.groups,
            self._cells,
            theta=pool.theta[order],
            price=standing.price[self.active],
            distance=max(distance, 1e-7),
            precision=care * min(0.1, max(gap if known else 1.0, tolerance / 2) / 10),
        )
        pool.theta = np.empty(len(order))
        pool.theta[order] = found.theta
        standing.cost = min(standing.cost, self.cost(pool.theta))
        price = self._fixed.copy()
        price[self.active] = found.price
        if self._partial:
            self._widen(pool.theta)
        return price

    def _forget(self) -> None:
        """Drop columns that are in no optimum, by their reduced cost at the best bound."""
        pool, standing = self.pool, self.standing
        if not len(pool.own):
            return
        classes = self.net.price_of_classes(standing.price)[self.kind[pool.group]]
        reduced = pool.own + (pool.flow * classes).sum(axis=1)
        least = np.full(self.groups, np.inf)
        np.minimum.at(least, pool.group, reduced)
        distance = standing.cost - standing.bound
        # no optimum has more of a column than distance / reduced cost; of many groups each has a part
        most = distance * min(3.0, 30.0 / self.groups)
        far = (reduced - least[pool.group] >= most) & (pool.theta <= 1e-3)
        pool.keep(~far)

    def _ask_again(self, sample: Ints) -> None:
        """The columns in use, as a larger sample answers."""
        pool = self.pool
        most = np.zeros(self.groups)
        np.maximum.at(most, pool.group, pool.theta)
        pool.keep((pool.theta > KEPT) | (pool.theta >= most[pool.group]))
        used, vector = np.unique(pool.vector, return_inverse=True)
        asked = [pool.asked[v] for v in used]
        classes = asked[0].shape[0]
        vectors = ranked(np.concatenate(asked))
        at = vector * classes + self.kind[pool.group]
        pool.flow, pool.own = self.sweeper.ask(pool.group, at, vectors, sample)
        pool.vector, pool.asked = vector, asked


def _in_blocks(net: Network, active: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """The lines and steps of cells ``(M, T)``, shared ones first, then block by block."""
    line, step = np.nonzero(active)
    order = np.argsort(net.block[line], kind="stable")
    return line[order].astype(np.int64), step[order].astype(np.int64)


def active_cells(net: Network, active: tuple[Ints, Ints], count: int) -> Cells:
    """The variables of the active cells, per vehicle of ``count``."""
    line, step = active
    hours = net.step_h[step]
    low, high, load = net.low[active], net.high[active], net.load[active]
    limit_in, limit_out = net.limit_in[active], net.limit_out[active]
    buy, sell, over = net.buy[active], net.sell[active], net.over[line]
    demand, so_far = net.demand[line], net.so_far[line]
    cell = np.arange(len(line))
    wide = count * 1.0 + high - low
    least = 1e-4 * count
    apart = (buy != sell) & (high > 0) & (low < 0)
    both = ~apart
    down = np.minimum(limit_out, wide - np.minimum(low, limit_in))
    up = np.minimum(limit_in, wide + np.maximum(high, -limit_out))
    shift = np.where(apart, 0.0, down)
    peaking = (demand > 0) & (high > so_far * hours)
    peak = np.full(len(line), -1)
    peak[peaking] = np.arange(int(peaking.sum()))
    beyond_in, beyond_out = high > limit_in, -low > limit_out
    parts = [
        (both, -1.0, np.where(high > 0, buy, sell), np.maximum(up + down, least), peak),
        (apart, -1.0, buy, np.maximum(limit_in, least), peak),
        (apart, 1.0, -sell, np.maximum(limit_out, least), cell * 0 - 1),
        (beyond_in, -1.0, over + buy, np.full(len(line), np.inf), peak),
        (beyond_out, 1.0, over - sell, np.full(len(line), np.inf), cell * 0 - 1),
    ]
    lines, peak_of = np.unique(line[peaking], return_inverse=True)
    return Cells(
        rhs=(-load - shift) / count,
        at=np.concatenate([cell[where] for where, *_ in parts]),
        sign=np.concatenate([np.full(int(where.sum()), sign) for where, sign, *_ in parts]),
        cost=np.concatenate([cost[where] for where, _, cost, *_ in parts]),
        upper=np.concatenate([upper[where] / count for where, _, _, upper, _ in parts]),
        peak=np.concatenate([seen[where] for where, *_, seen in parts]),
        peak_at=cell[peaking],
        peak_of=peak_of,
        hours=hours[peaking],
        ceiling=((so_far * hours + shift) / count)[peaking],
        charge=net.demand[lines],
        first_over=int(both.sum() + 2 * apart.sum()),
    )
