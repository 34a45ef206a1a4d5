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

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gridleaf.plan.cells import Columns, active_cells, lines_of, split
from gridleaf.plan.interior import put
from gridleaf.plan.master import mix
from gridleaf.plan.network import Network
from gridleaf.plan.problem import Floats, Ints, Progress
from gridleaf.plan.sweep import Sweeper, in_blocks, ranked
from gridleaf.plan.times import Times

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


@dataclass(frozen=True, slots=True)
class Mixture:
    """Group ``group`` takes ``share`` of its answer to row ``vector`` of ``prices`` ``(V, T)``, all three ``(n,)``.

    ``drawn`` ``(P, T)`` is what the classes draw with that [kWh].
    """

    group: Ints
    vector: Ints
    share: Floats
    prices: Floats
    drawn: Floats


@dataclass(slots=True)
class Memory:
    """What a search leaves for the next one of a problem that differs a little.

    Hand the same one to one call of ``plan.solve`` after the other. It fits problems of the same nodes,
    rows and steps; where it does not fit it is not used. Of a tree it holds prices alone.
    """

    pool: Pool | None = None
    price: Floats | None = None
    buy: Floats | None = None
    sell: Floats | None = None
    groups: int = 0
    incidence: csr_array | None = None

    def fits(self, net: Network, groups: int) -> bool:
        """Whether there are columns to start from."""
        return self.pool is not None and self.groups == groups and self.price_for(net) is not None

    def price_for(self, net: Network) -> Floats | None:
        """The prices to start from, if they fit; those that followed the meters' follow them again."""
        old, new = self.incidence, net.incidence
        if self.price is None or old is None or self.price.shape != net.needed.shape:
            return None
        if old.shape != new.shape or abs(old - new).sum() > 0:
            return None
        assert self.buy is not None
        assert self.sell is not None
        price = self.price
        for before, now in ((self.buy, net.buy), (self.sell, net.sell)):
            if not np.array_equal(before, now):
                price = _follow(price, before, now)
        return price

    def note(self, net: Network, price: Floats, pool: Pool | None, groups: int) -> None:
        """Keep what a search found."""
        self.pool, self.price, self.groups = pool, price, groups
        self.buy, self.sell, self.incidence = net.buy, net.sell, net.incidence

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
        times: Times | None = None,
    ) -> None:
        fleet = sweeper.fleet
        self.times = Times() if times is None else times
        self.net = net
        self.sweeper = sweeper
        self.count = max(fleet.count, 1)
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
        self._activate(first, np.zeros(net.needed.shape))
        self._narrowed = False
        self._lowest = net.sell - net.over[:, None]
        self._highest = net.buy + net.over[:, None] + net.demand[:, None] / net.step_h

    def recall(self, memory: Memory) -> None:
        """Start from a memory that fits; prices that followed the meters' follow them again."""
        pool, price, net = memory.pool, memory.price_for(self.net), self.net
        assert pool is not None
        assert price is not None
        assert memory.buy is not None
        assert memory.sell is not None
        asked = pool.asked
        for old, new in ((memory.buy, net.buy), (memory.sell, net.sell)):
            if not np.array_equal(old, new):
                classes = net.price_of_classes(old), net.price_of_classes(new)
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
            with self.times.of("master"):
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
        line, step = np.nonzero(active)
        self.active = line, step
        self._lines = lines_of(line, step, self.net.incidence)
        self._fixed = np.where(active, 0.0, fixed)
        self._cells = active_cells(self.net, self.active, self.count)

    def _narrow(self) -> None:
        """Take cells out of the master problem whose flow is far from where its price changes."""
        net = self.net
        self._narrowed = self._partial = True
        flow = net.flows(self.drawn(self.pool.theta))
        self._activate(net.needed & ~net.linear(flow, MARGIN), net.slope(flow))

    def widen(self, theta: Floats) -> bool:
        """Bring back the cells whose flow has come to where its price changes; whether there are any."""
        net = self.net
        flow = net.flows(self.drawn(theta))
        inactive = net.needed.copy()
        inactive[self.active] = False
        met = inactive & ~(net.linear(flow, 0.0) & (self._fixed == net.slope(flow)))
        if met.any():
            self._activate((net.needed & ~inactive) | met, self._fixed)
        return bool(met.any())

    def columns(self) -> Columns:
        """The columns, for the master problem."""
        pool = self.pool
        none = np.zeros((self.net.incidence.shape[1], 0))
        linear = self.net.price_of_classes(self._fixed) if self._fixed.any() else none
        at = np.arange(len(pool.own))
        return Columns(pool.flow, pool.own, at, pool.group, self.kind[pool.group], linear)

    def entries(self, use: Ints) -> Floats:
        """What the columns ``use`` put into the active cells ``(n, R)`` [kWh]."""
        columns = self.columns()
        columns = columns._replace(at=columns.at[use], kind=columns.kind[use])
        entries = np.empty((len(use), len(self._cells.rhs)))
        put(columns, self._lines, 0, len(use), 0, entries.shape[1], entries)
        return entries

    def mixture(self) -> Mixture:
        """The shares as they are."""
        pool, classes = self.pool, self.net.incidence.shape[1]
        used, vector = np.unique(pool.vector, return_inverse=True)
        asked = [pool.asked[v] for v in used]
        prices = np.concatenate(asked) if asked else np.zeros((0, pool.flow.shape[1]))
        vector = vector * classes + self.kind[pool.group]
        return Mixture(pool.group, vector, pool.theta, prices, self.drawn(pool.theta))

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
        flow = self.net.flows(self.drawn(theta))
        return float(theta @ self.pool.own + self.net.cost(flow).sum())

    def _ask(self, price: Floats, sample: Ints, group: Ints) -> tuple[Floats, Floats]:
        """The answers of some groups; if it is all of them, a better bound is noted."""
        classes = self.net.price_of_classes(price)
        vectors = ranked(classes)
        kind = self.kind[group]
        with self.times.of("vehicles"):
            flow, own = self.sweeper.ask(group, kind, vectors, sample)
        self.standing.rounds += 1
        if len(group) == self.groups:
            bound = float((flow * classes[kind]).sum() + own.sum() + self.net.bound(price).sum())
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
        with self.times.of("master"):
            self._mix(0.0, 1e-8)
        if self.cost(before) < self.cost(pool.theta):
            pool.theta = before
        pool.keep(pool.theta > 1e-6)

    def _mix(self, tolerance: float, care: float) -> Floats:
        """Solve the master problem; prices of the lines ``(M, T)``."""
        pool, standing, count = self.pool, self.standing, self.count
        gap = min(standing.gap, 10.0)
        known = np.isfinite(gap) and np.isfinite(standing.gap)
        scale = abs(standing.bound) / count
        distance = gap * scale if known else 3 * tolerance * scale
        if not known and not pool.theta.any():
            distance = float(np.abs(pool.own).sum() / count + scale)
        precision = care * min(0.1, max(gap if known else 1.0, tolerance / 2) / 10)
        found = standing.price[self.active]
        ends = (np.array([0, size]) for size in (len(pool.own), len(found), self.groups))
        mix(
            self.columns(),
            self._lines,
            self._cells,
            split(self._cells, *ends),
            np.array([float(count)]),
            theta=pool.theta,
            price=found,
            distance=np.array([max(distance, 1e-7)]),
            precision=np.array([precision]),
        )
        standing.cost = min(standing.cost, self.cost(pool.theta))
        price = self._fixed.copy()
        price[self.active] = found
        if self._partial:
            self.widen(pool.theta)
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
        with self.times.of("vehicles"):
            pool.flow, pool.own = self.sweeper.ask(pool.group, at, vectors, sample)
        pool.vector, pool.asked = vector, asked
