"""Parts of a tree that answer prices as vehicles do: sites below a feeder, each with limits of its own.

At given prices from above the parts have nothing to do with each other. Each is a small problem of its
own kind, solved by column generation like the whole: its lines have prices, its vehicles answer them,
and a master problem with rows only for the cells that bind mixes the answers. All parts go through the
rounds together, so that vehicles are asked and master problems solved many at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridleaf.plan.cells import active_cells, split
from gridleaf.plan.compiled import compiled
from gridleaf.plan.master import Cells, Columns, Lines, lines_of, mix, mix_together
from gridleaf.plan.network import Network
from gridleaf.plan.problem import Floats, Ints
from gridleaf.plan.sweep import Sweeper, ranked

STORED = 16
"""Answers that are kept of each group of vehicles."""
MOST_ROUNDS = 30
INNER_FIRST = 1e-3
TOGETHER = 0.3
WIDE = 0.02
TIGHT = 0.01
CARE = 0.1
WEIGHT0 = 0.8
NARROW_AT = 2e-3
CAP = 0.02
FAR = 30
USED = 5
SOFT = 0.003
SOFT_TURNS = 6
SMOOTHING = 0.3
"""Weight of the prices of the best bound in the next prices."""
NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a group of parts does what it did: the groups of vehicles take ``share`` ``(w,)`` of their answers.

    ``group`` and ``vector`` ``(w,)`` say whose and to which prices; ``kind`` and ``drawn`` ``(P, T)`` what the
    classes of these parts draw then [kWh].
    """

    group: Ints
    vector: Ints
    share: Floats
    kind: Ints
    drawn: Floats


@dataclass(frozen=True, slots=True)
class Ranges:
    """Items of owners, one owner after the other: those of b are ``item[begin[b]:begin[b + 1]]``."""

    item: Ints
    begin: Ints

    @property
    def owner(self) -> Ints:
        """The owner of each item."""
        return np.repeat(np.arange(len(self.begin) - 1), np.diff(self.begin))

    def of(self, owners: Ints) -> Ranges:
        """The items of these owners."""
        size = np.diff(self.begin)[owners]
        begin = np.concatenate(([0], np.cumsum(size)))
        at = np.arange(begin[-1]) + np.repeat(self.begin[owners] - begin[:-1], size)
        return Ranges(self.item[at], begin)


def ranges(owner: Ints, count: int) -> Ranges:
    """The items of each owner; items of -1 are nobody's."""
    order = np.argsort(owner, kind="stable")
    return Ranges(order, np.searchsorted(owner[order], np.arange(count + 1)))


class Parts:
    """The crowd of the parts of a tree, in groups."""

    def __init__(
        self, net: Network, sweeper: Sweeper, of_line: Ints, of_class: Ints
    ) -> None:
        fleet = sweeper.fleet
        vehicles = fleet.end - fleet.begin
        # groups of vehicles that are in no part are parts by themselves, without lines
        part = of_class[fleet.kind].copy()
        alone = part < 0
        known = int(of_line.max(initial=-1)) + 1
        part[alone] = known + np.arange(int(alone.sum()))
        used, part = np.unique(part, return_inverse=True)
        place = np.full(int(used.max(initial=-1)) + 1, -1)
        place[used] = np.arange(len(used))
        self.net = net
        self.sweeper = sweeper
        self.count = len(fleet.cars)
        self.size = len(used)
        self.whole = sweeper.sample(1.0)
        self.groups = ranges(part, self.size)
        self.lines = ranges(np.where(of_line >= 0, place[np.maximum(of_line, 0)], -1), self.size)
        pairs = np.unique(np.stack((part, fleet.kind)), axis=1)
        self.classes = Ranges(pairs[1], np.searchsorted(pairs[0], np.arange(self.size + 1)))
        self.vehicles = np.bincount(part, weights=vehicles, minlength=self.size)
        steps = net.load.shape[1]
        self.stored = STORED
        store = len(fleet.begin) * self.stored
        self.flow = np.zeros((store, steps))
        self.own = np.zeros(store)
        self.theta = np.zeros(store)
        self.vector = np.full(store, -1, dtype=np.int64)
        self.fresh = np.zeros(store, dtype=np.int64)
        self.row = np.zeros(net.incidence.shape[1], dtype=np.int64)
        self.gap = np.full(self.size, np.inf)
        self.scale = np.full(self.size, np.inf)
        self.top_lines = np.flatnonzero(of_line < 0)
        self.top = net.only(self.top_lines)
        self.top_weight = self.top.incidence.toarray()
        self.asked: list[Floats] = []
        self.number = 0
        self.clock = 0
        slope = net.slope(net.load)
        self.price = np.where(net.needed, slope, 0.0)
        self.active = np.zeros(net.needed.shape, dtype=np.bool_)
        self.fixed = self.price.copy()
        self.lowest = net.sell - net.over[:, None]
        self.highest = net.buy + net.over[:, None] + net.demand[:, None] / net.step_h
        self.rounds = 0
        self.solved = 0

    def level(self, parts: Ints, tolerance: float) -> None:
        """Find prices and shares for some parts, until their gap is below the tolerance."""
        self._solve(parts, max(INNER_FIRST, tolerance))
        self._together(parts, tolerance)

    def _solve(self, todo: Ints, precision: float) -> None:
        """Prices of the parts' own lines, at the shared prices as they are."""
        P, steps = self.net.incidence.shape[1], self.net.load.shape[1]
        above = self.top.price_of_classes(self.price[self.top_lines])
        bounds = np.full(self.size, -np.inf)
        best_price = self.price.copy()
        parts = todo
        for turn in range(MOST_ROUNDS):
            view = self._view(parts)
            groups, lines, classes, net = view.groups, view.lines, view.classes, view.net
            paid = np.zeros((P, steps))
            paid[classes.item] = above[classes.item]
            if turn == 0 and (self.vector[groups.item * self.stored] >= 0).all():
                self._mix(view, paid, np.full(len(parts), 0.01), np.full(len(parts), 1e-3))
            value = self._ask(view)
            if turn == 0:
                self._widen(net, lines.item, self._blend(view)[0])
            bound = value + view.of_lines(net.bound(self.price[lines.item]))
            better = bound > bounds[parts]
            bounds[parts[better]] = bound[better]
            at = lines.item[better[lines.owner]]
            best_price[at] = self.price[at]
            scale = np.maximum(np.abs(bounds[parts]), 1e-9)
            gap = self.gap[parts] if turn else np.ones(len(parts))
            self.scale[parts] = scale / self.vehicles[parts]
            self._mix(view, paid, np.minimum(gap, 1.0) * scale / self.vehicles[parts], 0.1 * np.minimum(0.1, np.maximum(gap / 3, precision)), soft=turn < SOFT_TURNS)
            drawn, besides = self._blend(view)
            here = self._widen(net, lines.item, drawn)
            cost = besides + view.of_lines(net.cost(here))
            cost += np.bincount(classes.owner, weights=(drawn * paid)[classes.item].sum(axis=1), minlength=len(parts))
            self.gap[parts] = (cost - bounds[parts]) / scale
            left = self.gap[parts] > precision
            at = lines.item[left[lines.owner]]
            mixed = SMOOTHING * best_price[at] + (1 - SMOOTHING) * self.price[at]
            self.price[at] = np.clip(mixed, self.lowest[at], self.highest[at])
            if VERBOSE:
                print('   inner', turn, len(parts), float(np.median(self.gap[parts])), self.active[lines.item].sum() / len(parts), self.n/len(groups.item))
            parts = parts[left]
            if not len(parts):
                break

    def _together(self, parts: Ints, tolerance: float) -> None:
        """Prices of all lines together."""
        view = self._view(parts)
        groups, lines, classes, net = view.groups, view.lines, view.classes, view.net
        whole = float(self.vehicles[parts].sum())
        top = self.top.scaled(whole / self.count)
        both = np.concatenate((self.top_lines, lines.item))
        drawn, besides = self._blend(view)
        self._narrow(top, self.top_lines, drawn, 0.05)
        self.bound, self.cost, self.best = -np.inf, np.inf, self.price.copy()
        gap, wide, narrowed = 1.0, WIDE, False
        weight = WEIGHT0
        for turn in range(40):
            # ask
            t0 = perf_counter()
            value = self._ask(view)
            bound = float(value.sum() + net.bound(self.price[lines.item]).sum() + top.bound(self.price[self.top_lines]).sum())
            improved = bound > self.bound
            if improved:
                self.bound = bound
                self.best[both] = self.price[both]
            t1 = perf_counter()
            distance = (self.cost - self.bound) if np.isfinite(self.cost) else 0.01 * abs(self.bound)
            if self.relative() <= tolerance:
                break
            its, n = self._mix_together(view, top, whole, distance / whole, CARE * min(0.1, max(distance / abs(self.bound), tolerance / 2)))
            t2 = perf_counter()
            drawn, besides = self._blend(view)
            cost = besides.sum() + net.cost(self._widen(net, lines.item, drawn, wide)).sum()
            cost += top.cost(self._widen(top, self.top_lines, drawn, wide)).sum()
            if cost < self.cost:
                self.cost = float(cost)
                self.kept = self.theta.copy()
            if self.relative() < NARROW_AT and not narrowed:
                narrowed = True
                self._narrow(net, lines.item, drawn, TIGHT)
                self._narrow(top, self.top_lines, drawn, TIGHT)
                wide = TIGHT / 2
            gap = self.relative()
            if VERBOSE:
                print(f'   together {turn} gap {gap:.2e} bound {self.bound:.3f} ({bound:.3f}) cost {self.cost:.3f} ({cost:.3f}) w {weight:.2f} its {its} n/veh {n/len(groups.item):.2f} local {self.active[lines.item].sum()/len(parts):.1f} top {self.active[self.top_lines].sum()} ask {t1-t0:.2f} mix {t2-t1:.2f} rest {perf_counter()-t2:.2f}')
            if gap <= tolerance:
                break
            weight = max(weight - 0.15, TOGETHER) if improved else min(weight + 0.5 * (1 - weight), 0.95)
            smooth = weight
            self.price[both] = np.clip(smooth * self.best[both] + (1 - smooth) * self.price[both], self.lowest[both], self.highest[both])

    def relative(self) -> float:
        return (self.cost - self.bound) / abs(self.bound) if np.isfinite(self.cost) else np.inf

    def _view(self, parts: Ints) -> View:
        groups, lines, classes = (r.of(parts) for r in (self.groups, self.lines, self.classes))
        return View(parts, groups, lines, classes, self.net.only(lines.item))

    def _ask(self, view: View) -> Floats:
        """New answers at the prices as they are; what vehicles of each part cost with them ``(B,)``."""
        groups, classes = view.groups.item, view.classes.item
        kinds = self.sweeper.fleet.kind[groups]
        self.row[classes] = np.arange(len(classes))
        vectors = np.ascontiguousarray(self.net.price_of_classes(self.price)[classes])
        flow, own = self.sweeper.ask(groups, self.row[kinds], ranked(vectors), self.whole)
        self.rounds += len(view.parts)
        value = own + (flow * vectors[self.row[kinds]]).sum(axis=1)
        self.clock += 1
        self.asked.append(vectors)
        _store(
            self.flow, self.own, self.theta, self.vector, self.fresh, groups, flow, own,
            self.number + self.row[kinds], self.clock, self.stored,
        )  # fmt: skip
        self.number += len(vectors)
        return np.bincount(view.groups.owner, weights=value, minlength=len(view.parts))

    def _columns(self, view: View, linear: Floats, most: Floats) -> tuple[Columns, Ints, Ints]:
        """The columns worth a share, where each part's begin, and their places in the store.

        ``linear`` ``(P, T)`` is paid besides, ``most`` ``(B,)`` the reduced cost beyond which one is not [EUR].
        """
        groups = view.groups
        chosen = np.zeros((len(groups.item), self.stored), dtype=np.bool_)
        total = self.net.price_of_classes(self.price)
        kind = self.sweeper.fleet.kind

        def work(piece: slice) -> None:
            _choose(
                piece.start, piece.stop, groups.item, groups.begin, kind, self.flow, self.own, self.theta,
                self.vector, self.stored, USED, total, most, chosen,
            )  # fmt: skip

        self.sweeper.share(work, np.diff(groups.begin) * self.stored)
        owner, slot = np.nonzero(chosen)
        slot += groups.item[owner] * self.stored
        part = groups.owner[owner]
        columns = Columns(
            self.flow, self.own, slot, owner - groups.begin[:-1][part], kind[groups.item[owner]], linear
        )
        return columns, np.searchsorted(part, np.arange(len(view.parts) + 1)), slot

    def _cells(self, view: View, whole: float | None) -> tuple[Cells, Lines, Ints, tuple[Ints, Ints]]:
        line, step = np.nonzero(self.active[view.lines.item])
        part = view.lines.owner[line]
        cells = active_cells(view.net, (line, step), self.vehicles[view.parts][part], whole)
        begin = np.searchsorted(part, np.arange(len(view.parts) + 1))
        return cells, lines_of(line, step, view.net.incidence), begin, (view.lines.item[line], step)

    def _mix(self, view: View, paid: Floats, distance: Floats, precision: Floats, soft: bool = False) -> None:
        """Shares and prices of each part by itself."""
        if soft:
            view = replace(view, net=replace(view.net, over=view.net.over * SOFT))
        cells, lines, begin, at = self._cells(view, None)
        linear = paid + view.net.price_of_classes(self.fixed[view.lines.item])
        columns, column, slot = self._columns(view, linear, np.minimum(FAR * distance, CAP * self.scale[view.parts]))
        self.n = len(slot)
        theta, price = self.theta[slot], self.price[at]
        mix(
            columns, lines, cells, split(cells, column, begin, view.groups.begin),
            self.vehicles[view.parts], theta=theta, price=price,
            distance=np.maximum(distance, 1e-7), precision=precision, share=self.sweeper.share,
        )
        self._note(view, slot, theta)
        self.price[view.lines.item] = self.fixed[view.lines.item]
        self.price[at] = price

    def _mix_together(self, view: View, top: Network, whole: float, distance: float, precision: float) -> tuple[int, int]:
        cells, lines, begin, at = self._cells(view, whole)
        line, step = np.nonzero(self.active[self.top_lines])
        both = np.concatenate((self.top_lines, view.lines.item))
        linear = self.net.only(both).price_of_classes(self.fixed[both])
        columns, column, slot = self._columns(view, linear, np.full(len(view.parts), min(FAR * distance, CAP * abs(self.bound) / whole)))
        theta, price = self.theta[slot], self.price[at]
        top_at = (self.top_lines[line], step)
        top_price = self.price[top_at]
        its = mix_together(
            columns, lines, cells, split(cells, column, begin, view.groups.begin),
            self.vehicles[view.parts], active_cells(top, (line, step), whole), step,
            self.top_weight[line], whole, theta=theta, price=price, shared_price=top_price,
            distance=max(distance, 1e-7), precision=precision, share=self.sweeper.share,
        )
        self._note(view, slot, theta)
        self.price[both] = self.fixed[both]
        self.price[at] = price
        self.price[top_at] = top_price
        return its, len(slot)

    def _note(self, view: View, slot: Ints, theta: Floats) -> None:
        every = (view.groups.item[:, None] * self.stored + np.arange(self.stored)).ravel()
        self.theta[every] = 0.0
        self.theta[slot] = theta

    def _blend(self, view: View) -> tuple[Floats, Floats]:
        """What the classes draw ``(P, T)`` [kWh] and what that costs each part besides [EUR]."""
        groups = view.groups
        drawn, besides = np.zeros(self.net.incidence.shape[::-1][0:1] + self.net.load.shape[1:]), np.zeros(len(view.parts))

        def work(piece: slice) -> None:
            _blend(
                piece.start, piece.stop, self.flow, self.own, self.theta, groups.item, groups.begin,
                self.sweeper.fleet.kind, self.stored, drawn, besides,
            )  # fmt: skip

        self.sweeper.share(work, np.diff(groups.begin) * self.stored)
        return drawn, besides

    def _widen(self, net: Network, lines: Ints, drawn: Floats, wide: float | None = None) -> Floats:
        """Give rows to the cells whose flow has come to where its price changes; the flows."""
        flow = net.flows(drawn)
        active, fixed = self.active[lines], self.fixed[lines]
        met = net.needed & ~active & ~(net.linear(flow, WIDE if wide is None else wide) & (fixed == net.slope(flow)))
        self.active[lines] = active | met
        self.fixed[lines] = np.where(active | met, 0.0, fixed)
        return flow

    def _narrow(self, net: Network, lines: Ints, drawn: Floats, margin: float) -> None:
        """Take rows from cells whose flow is far from where its price changes."""
        flow = net.flows(drawn)
        active = net.needed & ~net.linear(flow, margin)
        self.active[lines] = active
        self.fixed[lines] = np.where(active, 0.0, net.slope(flow))


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
        return np.bincount(self.lines.owner, weights=values, minlength=len(self.parts))


VERBOSE = False


@compiled
def _store(
    flow: Floats, own: Floats, theta: Floats, vector: Ints, fresh: Ints, group: Ints, new_flow: Floats,
    new_own: Floats, new_vector: Ints, clock: int, stored: int,
) -> None:  # fmt: skip
    """Keep new answers in place of those that were of no use for the longest time."""
    for g in range(len(group)):
        base = group[g] * stored
        place = base
        for i in range(base, base + stored):
            if theta[i] > 1e-6:
                fresh[i] = clock - 1
            if vector[i] < 0:
                place = i
                break
            if fresh[i] < fresh[place]:
                place = i
        flow[place] = new_flow[g]
        own[place] = new_own[g]
        theta[place] = 1.0 if vector[base] < 0 else 0.0
        vector[place] = new_vector[g]
        fresh[place] = clock


@compiled
def _blend(
    start: int, stop: int, flow: Floats, own: Floats, theta: Floats, group: Ints, begin: Ints, kind: Ints,
    stored: int, drawn: Floats, besides: Floats,
) -> None:  # fmt: skip
    """What is drawn with these shares of the answers, and its cost besides."""
    for b in range(start, stop):
        for g in range(begin[b], begin[b + 1]):
            k = kind[group[g]]
            for i in range(group[g] * stored, (group[g] + 1) * stored):
                if theta[i] > 0.0:
                    besides[b] += theta[i] * own[i]
                    for t in range(flow.shape[1]):
                        drawn[k, t] += theta[i] * flow[i, t]


@compiled
def _choose(
    start: int, stop: int, group: Ints, begin: Ints, kind: Ints, flow: Floats, own: Floats, theta: Floats,
    vector: Ints, stored: int, used: int, price: Floats, most: Floats, chosen: Any,
) -> None:  # fmt: skip
    """The answers whose cost at these prices is not much above the best of their group, or in use."""
    reduced, rank = np.empty(stored), np.zeros(stored)
    for b in range(start, stop):
        for g in range(begin[b], begin[b + 1]):
            base, k, least = group[g] * stored, kind[group[g]], np.inf
            for i in range(stored):
                if vector[base + i] < 0:
                    continue
                total = own[base + i]
                for t in range(flow.shape[1]):
                    total += price[k, t] * flow[base + i, t]
                for o in range(i):
                    if chosen[g, o] and abs(reduced[o] - total) < 1e-12 and abs(own[base + o] - own[base + i]) < 1e-12:
                        same = True
                        for t in range(flow.shape[1]):
                            same = same and abs(flow[base + o, t] - flow[base + i, t]) < 1e-9
                        if same:
                            total = np.inf
                            theta[base + o] += theta[base + i]
                            theta[base + i] = 0.0
                            break
                reduced[i] = total
                chosen[g, i] = total < np.inf
                least = min(least, total)
            # the best few, those in use first
            for i in range(stored):
                if chosen[g, i]:
                    chosen[g, i] = reduced[i] <= least + most[b] or theta[base + i] > 1e-3
                    if chosen[g, i] and theta[base + i] > 0.02:
                        reduced[i] -= 1e6 * theta[base + i]
            for i in range(stored):
                if chosen[g, i]:
                    better = 0
                    for o in range(stored):
                        better += chosen[g, o] and (reduced[o] < reduced[i] or (reduced[o] == reduced[i] and o < i))
                    rank[i] = better
            for i in range(stored):
                chosen[g, i] = chosen[g, i] and rank[i] < used
