"""The coordination of a tree: sites below a feeder, each with few vehicles and limits of its own.

Few vehicles do not stand for each other, so every vehicle is a group by itself here. That makes a master
problem of hundreds of thousands of columns, but nearly all its cells belong to one part of the tree and are
eliminated with it (:func:`gridleaf.plan.master.mix_together`); a cell has a row only where its limit is near.

First the parts find prices of their own lines at shared prices that stay as they are: then they have nothing
to do with each other, and every round is one small problem for each of them. From there all prices
are found together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gridleaf.plan.cells import Cells, Columns, Lines, active_cells, lines_of, split
from gridleaf.plan.columns import Mixture, Standing
from gridleaf.plan.master import mix, mix_together
from gridleaf.plan.network import Network
from gridleaf.plan.problem import Floats, Ints, Progress
from gridleaf.plan.stock import Ranges, Stock, ranges
from gridleaf.plan.sweep import Sweeper
from gridleaf.plan.times import Times

FIRST = 1e-2
"""The gap of each part by itself before all go on together [-]."""
MOST_ROUNDS = 30
PATIENCE = 20
"""Rounds without a smaller gap after which nothing better is expected."""
SOFT_ROUNDS = 6
SOFT = 0.003
"""In the first rounds of the parts a broken limit costs this share of its price, so that prices rise slowly."""
AT_FIRST, AT_LAST = 0.5, 0.3
"""Weight of the prices of the best bound in the next prices."""
NEAR = 0.02
"""A cell gets a row when it is this near to its limits, relative to what is possible [-]."""
NEARER, NARROW = 0.004, 2e-3
"""Once the gap is below the second, rows are taken from cells that are not this near."""
STORE, LEAST_KEPT, MOST_KEPT = 80_000_000, 10, 120
"""Numbers in all answers that are kept; answers of a group at least, and at most."""
USED_OF_PART, LEAST_USED = 350, 7
"""Columns in the master problem of all groups of a part; of one group at least."""
FAR = 10.0
"""No column is used whose reduced cost is so many times the gap per vehicle."""
CARE = 0.3
"""Complementarity at which the master problem stops, relative to the gap."""
AGAIN = 4
"""So many times at most the same columns are mixed if that breaks limits without a row."""
HARD = 3.0
"""Below so many times the tolerance limits that hold are held exactly."""
BROKEN = 1e-6
"""A flow so far beyond its limit, relative to what is possible, is meant to be [-]."""


@dataclass(frozen=True, slots=True)
class View:
    """Some parts, their groups, lines and classes, and the network of these lines."""

    parts: Ints
    groups: Ranges
    lines: Ranges
    classes: Ranges
    net: Network

    def of_lines(self, values: Floats) -> Floats:
        """Sums over the lines of each part."""
        return np.asarray(np.bincount(self.lines.owner, values, len(self.parts)), np.float64)


class Parts:
    """Finds prices and shares for a fleet under a tree that is divided into parts."""

    def __init__(
        self,
        net: Network,
        sweeper: Sweeper,
        division: tuple[Ints, Ints],
        price: Floats,
        out_of_time: Callable[[], bool],
        progress: Callable[[Progress], None] | None = None,
        times: Times | None = None,
    ) -> None:
        of_line, of_class = division
        self.times = Times() if times is None else times
        fleet = sweeper.fleet
        # groups of vehicles that are in no part are parts by themselves, without lines
        part = of_class[fleet.kind].copy()
        alone = part < 0
        part[alone] = 1 + of_line.max(initial=-1) + np.arange(int(alone.sum()))
        count = int(part.max(initial=-1)) + 1
        pairs = np.unique(np.stack((part, fleet.kind)), axis=1)
        every = np.arange(count)
        self.net = net.inside()
        self.true_net = net
        kept = STORE // max(len(fleet.begin) * len(fleet.step_h), 1)
        self.stock = Stock(sweeper, min(max(kept, LEAST_KEPT), MOST_KEPT))
        self._used = max(USED_OF_PART // max(np.bincount(part).max(initial=1), 1), LEAST_USED)
        self.standing = Standing(price)
        self.whole = max(float(fleet.count), 1.0)
        self.vehicles = np.maximum(
            np.bincount(part, weights=fleet.end - fleet.begin, minlength=count), 1.0
        )
        self.top = np.flatnonzero(of_line < 0)
        self.view = View(
            every,
            ranges(part, count),
            (lines := ranges(of_line, count)),
            Ranges(pairs[1], np.searchsorted(pairs[0], np.arange(count + 1))),
            self.net.only(lines.item),
        )
        self.active = np.zeros(net.needed.shape, dtype=np.bool_)
        self.fixed = np.where(net.needed, net.slope(net.load), 0.0)
        self.mixture: Mixture | None = None
        self._price = price.copy()
        self._near = NEAR
        self._hard = False
        self._lowest = net.sell - net.over[:, None]
        self._highest = net.buy + net.over[:, None] + net.demand[:, None] / net.step_h
        self._out_of_time = out_of_time
        self._progress = progress

    def settle(self, tolerance: float) -> Mixture:
        """Prices and shares whose gap is below the tolerance, or the best there are when time is out."""
        self._apart(max(FIRST, tolerance))
        self._together(tolerance)
        assert self.mixture is not None
        return self.mixture

    def _apart(self, tolerance: float) -> None:
        """Prices of the parts' own lines, each to a gap at the shared prices as they are."""
        view, net = self.view, self.net
        above = net.only(self.top).price_of_classes(self._price[self.top])
        bound, cost = np.full(len(view.parts), -np.inf), np.full(len(view.parts), np.inf)
        best = self._price.copy()
        for turn in range(MOST_ROUNDS):
            lines, parts = view.lines.item, view.parts
            with self.times.of("vehicles"):
                value = self.stock.ask(view.groups, view.classes, net.price_of_classes(self._price))
            if turn == 0:
                self._widen(view.net, lines, self.stock.drawn(view.groups))
            value += view.of_lines(view.net.bound(self._price[lines]))
            better = value > bound[parts]
            bound[parts[better]] = value[better]
            at = lines[better[view.lines.owner]]
            best[at] = self._price[at]
            gap = np.minimum((cost - bound)[parts] / np.maximum(np.abs(bound[parts]), 1e-9), 1.0)
            soft = SOFT if turn < SOFT_ROUNDS else 1.0
            with self.times.of("master"):
                self._mix_apart(view, above, gap, np.abs(bound[parts]), tolerance, soft)
            drawn = self.stock.drawn(view.groups)
            flow = self._widen(view.net, lines, drawn)
            paid = (drawn * above)[view.classes.item].sum(axis=1)
            cost[parts] = (
                self.stock.own(view.groups)
                + view.of_lines(view.net.cost(flow))
                + np.bincount(view.classes.owner, weights=paid, minlength=len(parts))
            )
            left = cost[parts] - bound[parts] > tolerance * np.abs(bound[parts])
            at = lines[left[view.lines.owner]]
            self._price[at] = np.clip(self._price[at], self._lowest[at], self._highest[at])
            if not left.any() or self._out_of_time():
                break
            view = self._of(parts[left])
        self._price[self.view.lines.item] = best[self.view.lines.item]

    def _together(self, tolerance: float) -> None:
        """All prices, to a gap."""
        standing, net, groups = self.standing, self.net, self.view.groups
        every = np.arange(len(net.load))
        drawn = self.stock.drawn(groups)
        self._widen(net, every, drawn)
        self._keep(drawn)
        weight, stuck = AT_FIRST, 0
        while True:
            with self.times.of("vehicles"):
                value = self.stock.ask(groups, self.view.classes, net.price_of_classes(self._price))
            bound = float(value.sum() + self.true_net.bound(self._price).sum())
            standing.rounds += 1
            better = bound > standing.bound
            if better:
                standing.bound, standing.price = bound, self._price.copy()
            done = standing.gap <= tolerance and self._hard
            if done or stuck >= PATIENCE or self._out_of_time():
                return
            before = standing.gap
            for _ in range(AGAIN):
                with self.times.of("master"):
                    self._mix_together(tolerance, 0.1 ** min(stuck, 4))
                drawn = self.stock.drawn(groups)
                missed = self._broken(drawn)
                self._widen(net, every, drawn)
                if not (self._hard and missed):
                    break
            if not (self._hard and missed):
                self._keep(drawn)
            self._narrow(drawn, tolerance)
            self._tell()
            if standing.gap <= tolerance and self._hard:
                return
            stuck = 0 if standing.gap < before else stuck + 1
            weight = (
                max(weight - 0.15, AT_LAST) if better else min(weight + 0.5 * (1 - weight), 0.95)
            )
            near = weight / (1 + stuck)
            price = near * standing.price + (1 - near) * self._price
            self._price = np.clip(price, self._lowest, self._highest)

    def _mix_apart(
        self, view: View, above: Floats, gap: Floats, scale: Floats, tolerance: float, soft: float
    ) -> None:
        """Shares and prices of each part by itself."""
        per = scale / self.vehicles[view.parts]
        distance = np.maximum(gap * per, 1e-7)
        net = replace(view.net, over=view.net.over * soft)
        cells, lines, begin, at = self._cells(replace(view, net=net), None)
        linear = above + net.price_of_classes(self.fixed[view.lines.item])
        columns, column, slot = self._columns(view, linear, FAR * distance)
        theta, price = self.stock.theta[slot], self._price[at]
        mix(
            columns,
            lines,
            cells,
            split(cells, column, begin, view.groups.begin),
            self.vehicles[view.parts],
            theta=theta,
            price=price,
            distance=distance,
            precision=0.1 * np.clip(gap / 3, tolerance, 0.1),
            share=self.stock.share,
        )
        self.stock.take(view.groups, slot, theta)
        self._price[view.lines.item] = self.fixed[view.lines.item]
        self._price[at] = price

    def _mix_together(self, tolerance: float, care: float) -> None:
        """Shares and prices of all."""
        standing, view = self.standing, self.view
        gap = standing.gap if np.isfinite(standing.gap) else 1.0
        scale = max(abs(standing.bound) / self.whole, 1e-9)
        distance = min(gap, 0.01) * scale
        net = self._held(self.net) if self._hard else self.net
        cells, lines, begin, at = self._cells(
            replace(view, net=net.only(view.lines.item)), self.whole
        )
        line, step = np.nonzero(self.active[self.top])
        top_at = self.top[line], step
        most = np.full(len(view.parts), FAR * gap * scale)
        columns, column, slot = self._columns(view, net.price_of_classes(self.fixed), most)
        theta, price, shared = self.stock.theta[slot], self._price[at], self._price[top_at]
        found = mix_together(
            columns,
            lines,
            cells,
            split(cells, column, begin, view.groups.begin),
            self.vehicles,
            active_cells(net.only(self.top), (line, step), self.whole),
            step,
            net.incidence[self.top].toarray()[line],
            self.whole,
            theta=theta,
            price=price,
            shared_price=shared,
            distance=max(distance, 1e-7),
            precision=care * CARE * min(0.1, max(min(gap, 0.01), tolerance / 2)),
            share=self.stock.share,
            out_of_time=self._out_of_time,
        )
        if not found:
            return
        self.stock.take(view.groups, slot, theta)
        self._price = self.fixed.copy()
        self._price[at] = price
        self._price[top_at] = shared

    def _columns(self, view: View, linear: Floats, most: Floats) -> tuple[Columns, Ints, Ints]:
        """The answers worth a share, where those of each part begin, and their places in the stock."""
        groups = view.groups
        price = self.net.price_of_classes(self._price)
        owner, slot = self.stock.worthy(groups, price, most, self._used)
        part = groups.owner[owner]
        columns = Columns(
            self.stock.flow,
            self.stock.cost,
            slot,
            owner - groups.begin[:-1][part],
            self.stock.fleet.kind[groups.item][owner],
            linear,
        )
        return columns, np.searchsorted(part, np.arange(len(view.parts) + 1)), slot

    def _cells(
        self, view: View, whole: float | None
    ) -> tuple[Cells, Lines, Ints, tuple[Ints, Ints]]:
        """The active cells of parts, where those of each begin, and their lines and steps in all."""
        line, step = np.nonzero(self.active[view.lines.item])
        part = view.lines.owner[line]
        cells = active_cells(view.net, (line, step), self.vehicles[view.parts][part], whole)
        begin = np.searchsorted(part, np.arange(len(view.parts) + 1))
        return cells, lines_of(line, step, view.net.incidence), begin, (view.lines.item[line], step)

    def _of(self, parts: Ints) -> View:
        view = self.view
        groups, lines, classes = (of.of(parts) for of in (view.groups, view.lines, view.classes))
        return View(parts, groups, lines, classes, self.net.only(lines.item))

    def _widen(self, net: Network, lines: Ints, drawn: Floats) -> Floats:
        """Give rows to the cells whose flow comes near to where its price changes; the flows."""
        flow = net.flows(drawn)
        active, fixed = self.active[lines], self.fixed[lines]
        met = net.needed & ~active & ~(net.linear(flow, self._near) & (fixed == net.slope(flow)))
        self.active[lines] = active | met
        self.fixed[lines] = np.where(active | met, 0.0, fixed)
        return flow

    def _narrow(self, drawn: Floats, tolerance: float) -> None:
        """Near the optimum take rows from cells that are not near their limits, once; hold the others."""
        gap, net = self.standing.gap, self.net
        if gap <= HARD * tolerance and not self._hard:
            self._hard, self.standing.cost = True, np.inf  # what may break limits does not count
        if gap < max(NARROW, tolerance) and self._near == NEAR:
            flow = net.flows(drawn)
            self.active = net.needed & ~net.linear(flow, NEARER)
            self.fixed = np.where(self.active, 0.0, net.slope(flow))
            self._near = NEARER / 2

    def _held(self, net: Network) -> Network:
        """The network without a way beyond limits that hold."""
        assert self.mixture is not None
        flow = net.flows(self.mixture.drawn)
        slack = BROKEN * (net.high - net.low)
        held_in, held_out = flow <= net.limit_in + slack, flow >= -net.limit_out - slack
        return replace(
            net,
            high=np.where(held_in, np.minimum(net.high, net.limit_in), net.high),
            low=np.where(held_out, np.maximum(net.low, -net.limit_out), net.low),
        )

    def _broken(self, drawn: Floats) -> bool:
        """Whether a flow is beyond a limit where the master problem has no row."""
        net = self.true_net
        flow = net.flows(drawn)
        beyond = (flow > net.limit_in) | (flow < -net.limit_out)
        return bool((beyond & net.needed & ~self.active).any())

    def _keep(self, drawn: Floats) -> None:
        """Note the shares if they cost less than all before."""
        cost = float(self.stock.own(self.view.groups).sum())
        cost += float(self.true_net.cost(self.true_net.flows(drawn)).sum())
        if cost < self.standing.cost:
            self.standing.cost = cost
            self.mixture = self.stock.mixture(drawn)

    def _tell(self) -> None:
        """Report the progress."""
        if self._progress is not None:
            standing = self.standing
            self._progress(
                Progress(
                    share=1.0,
                    rounds=standing.rounds,
                    lower_bound_eur=standing.bound,
                    objective_eur=standing.cost,
                    gap=standing.gap,
                )
            )
