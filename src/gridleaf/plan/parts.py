"""Parts of a tree that answer prices as vehicles do: sites below a feeder, each with limits of its own.

At given prices from above the parts have nothing to do with each other. Each is a small problem of its
own kind, solved by column generation like the whole: its lines have prices, its vehicles answer them,
and a master problem with rows only for the cells that bind mixes the answers. All parts go through the
rounds together, so that vehicles are asked and master problems solved many at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridleaf.plan.cells import active_cells, split
from gridleaf.plan.columns import Answers
from gridleaf.plan.compiled import compiled
from gridleaf.plan.master import Columns, lines_of, mix
from gridleaf.plan.network import Network
from gridleaf.plan.problem import Floats, Ints
from gridleaf.plan.sweep import Sweeper, ranked

STORED = 16
"""Answers that are kept of each group of vehicles."""
MOST_ROUNDS = 30
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
        self, net: Network, sweeper: Sweeper, of_line: Ints, of_class: Ints, kind: Ints, groups: int
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
        self._divide(kind[fleet.kind[self.groups.item[self.groups.begin[:-1]]]], groups)

        steps = net.load.shape[1]
        store = len(fleet.begin) * STORED
        self.flow = np.zeros((store, steps))
        self.own = np.zeros(store)
        self.theta = np.zeros(store)
        self.vector = np.full(store, -1, dtype=np.int64)
        self.fresh = np.zeros(store, dtype=np.int64)
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

    def _divide(self, above: Ints, groups: int) -> None:
        """Put parts that are priced alike into groups; every prefix of a group stands for it."""
        order = np.lexsort((self.vehicles, above))
        cuts = np.flatnonzero(np.diff(above[order])) + 1
        edges = np.concatenate(([0], cuts, [self.size]))
        begin = [0]
        members: list[Ints] = []
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            pieces = max(1, min(stop - start, round(groups * (stop - start) / self.size)))
            # alternating, so that the groups are alike
            for piece in range(pieces):
                members.append(order[start + piece : stop : pieces])
                begin.append(begin[-1] + len(members[-1]))
        self.members = Ranges(np.concatenate(members), np.array(begin))
        self.kind = above[self.members.item[self.members.begin[:-1]]]

    def sample(self, share: float) -> Ints:
        """How many parts of each group are a share of all ``(G,)``, at least one."""
        size = np.diff(self.members.begin)
        return np.minimum(np.maximum(np.ceil(share * size), 1).astype(np.int64), size)

    def ask(
        self, group: Ints, at: Ints, prices: Floats, sample: Ints, precision: float
    ) -> Answers:
        """See :class:`gridleaf.plan.columns.Crowd`."""
        steps = prices.shape[1]
        flow, own, least = np.empty((len(group), steps)), np.empty(len(group)), np.empty(len(group))
        recipe = np.full(len(group), None, dtype=object)
        order = np.argsort(group, kind="stable")
        turn = np.empty(len(group), dtype=np.int64)
        turn[order] = np.arange(len(group)) - np.searchsorted(group[order], group[order])
        for now in range(int(turn.max(initial=-1)) + 1):
            asked = np.flatnonzero(turn == now)
            taken = [
                self.members.item[self.members.begin[g] : self.members.begin[g] + sample[g]]
                for g in group[asked].tolist()
            ]
            todo = np.concatenate(taken)
            size = np.array([len(parts) for parts in taken])
            drawn, costs, bounds = self._solve(todo, prices[np.repeat(at[asked], size)], precision)
            last = np.cumsum(size)
            for i, parts, stop in zip(asked.tolist(), taken, last.tolist(), strict=True):
                start = stop - len(parts)
                whole = self.members.item[slice(*self.members.begin[group[i] : group[i] + 2])]
                weight = self.vehicles[whole].sum() / self.vehicles[parts].sum()
                kinds = self.classes.of(parts).item
                flow[i] = weight * drawn[kinds].sum(axis=0)
                own[i] = weight * costs[start:stop].sum()
                least[i] = weight * bounds[start:stop].sum()
                recipe[i] = self._recipe(parts, kinds, drawn)
        return Answers(flow, own, least, recipe)

    def _recipe(self, parts: Ints, kinds: Ints, drawn: Floats) -> Recipe:
        groups = self.groups.of(parts).item
        slot = (groups[:, None] * STORED + np.arange(STORED)).ravel()
        slot = slot[self.theta[slot] > NOTHING]
        return Recipe(slot // STORED, self.vector[slot], self.theta[slot], kinds, drawn[kinds])

    def _solve(
        self, todo: Ints, above: Floats, precision: float
    ) -> tuple[Floats, Floats, Floats]:
        """Each part at its prices from above ``(B, T)``: what the classes draw, costs and bounds ``(B,)``."""
        classes_count, steps = self.net.incidence.shape[1], above.shape[1]
        all_drawn = np.zeros((classes_count, steps))
        costs, bounds = np.full(len(todo), np.inf), np.full(len(todo), -np.inf)
        best_price = self.price.copy()
        rows = np.arange(len(todo))
        self.solved += len(todo)
        for turn in range(MOST_ROUNDS):
            parts = todo[rows]
            groups, lines, classes = (
                r.of(parts) for r in (self.groups, self.lines, self.classes)
            )
            net = self.net.only(lines.item)
            paid = np.zeros((classes_count, steps))
            paid[classes.item] = above[rows][classes.owner]
            known = self.vector[groups.item[groups.begin[:-1]] * STORED] >= 0
            if turn == 0 and known.any():
                # what is known already, at the new prices
                if known.all():
                    self._mix(parts, groups, lines, net, paid, np.full(len(parts), 1e-3), 1e-3)
                    drawn, _ = self._blend(groups, classes_count, steps)
                    self._widen(net, lines, drawn)
            price = self.price[lines.item]
            total = paid + net.price_of_classes(price)
            local = np.zeros(classes_count, dtype=np.int64)
            local[classes.item] = np.arange(len(classes.item))
            kinds = self.sweeper.fleet.kind[groups.item]
            vectors = np.ascontiguousarray(total[classes.item])
            flow, own = self.sweeper.ask(groups.item, local[kinds], ranked(vectors), self.whole)
            self.rounds += len(parts)
            value = own + (flow * vectors[local[kinds]]).sum(axis=1)
            bound = np.bincount(groups.owner, weights=value, minlength=len(parts))
            bound += np.bincount(lines.owner, weights=net.bound(price), minlength=len(parts))
            better = bound > bounds[rows]
            bounds[rows[better]] = bound[better]
            at = lines.item[better[lines.owner]]
            best_price[at] = self.price[at]
            self.clock += 1
            self.asked.append(vectors)
            _store(
                self.flow, self.own, self.theta, self.vector, self.fresh, groups.item, flow, own,
                self.number + local[kinds], self.clock, STORED,
            )
            self.number += len(vectors)
            answer = np.zeros((classes_count, steps))
            np.add.at(answer, kinds, flow)
            if turn == 0:
                self._widen(net, lines, answer)
            gap = costs[rows] - bounds[rows]
            scale = np.maximum(np.abs(bounds[rows]), 1e-9)
            gap = np.where(np.isfinite(gap), gap, np.abs(value).sum() / len(parts))
            self._mix(
                parts, groups, lines, net, paid, np.minimum(gap / scale, 1.0) * scale / self.vehicles[parts],
                0.1 * precision,
            )
            drawn, besides = self._blend(groups, classes_count, steps)
            here = self._widen(net, lines, drawn)
            cost = np.bincount(groups.owner, weights=besides, minlength=len(parts))
            cost += np.bincount(lines.owner, weights=net.cost(here), minlength=len(parts))
            costs[rows] = cost
            value = cost + np.bincount(
                classes.owner, weights=(drawn * paid)[classes.item].sum(axis=1), minlength=len(parts)
            )
            done = value - bounds[rows] <= precision * np.abs(bounds[rows])
            self.trace = (turn, len(rows), float(np.median((value - bounds[rows]) / np.abs(bounds[rows]))))
            all_drawn[classes.item] = drawn[classes.item]
            left = ~done
            # next prices
            at = lines.item[left[lines.owner]]
            mixed = SMOOTHING * best_price[at] + (1 - SMOOTHING) * self.price[at]
            self.price[at] = np.clip(mixed, self.lowest[at], self.highest[at])
            rows = rows[left]
            if VERBOSE:
                print(turn, len(rows), float(np.median((value - bounds[todo.searchsorted(parts) if 0 else slice(0,len(value))] if 0 else value))), self.active.sum()/max(len(todo),1))
            if not len(rows):
                break
        return all_drawn, costs, bounds

    def _mix(self, parts, groups, lines, net, paid, distance, precision) -> None:
        slot = (groups.item[:, None] * STORED + np.arange(STORED)).ravel()
        owner = np.repeat(np.arange(len(groups.item)), STORED)
        there = self.vector[slot] >= 0
        slot, owner = slot[there], owner[there]
        part = groups.owner[owner]
        line, step = np.nonzero(self.active[lines.item])
        cell_part = lines.owner[line]
        cells = active_cells(net, (line, step), self.vehicles[parts][cell_part])
        count = np.arange(len(parts) + 1)
        fixed = paid + net.price_of_classes(self.fixed[lines.item])
        columns = Columns(
            self.flow, self.own, slot, (owner - groups.begin[:-1][part]),
            self.sweeper.fleet.kind[groups.item][owner], fixed,
        )
        theta = self.theta[slot]
        price = self.price[lines.item[line], step]
        mix(
            columns, lines_of(line, step, net.incidence), cells,
            split(cells, np.searchsorted(part, count), np.searchsorted(cell_part, count), groups.begin),
            self.vehicles[parts], theta=theta, price=price,
            distance=np.maximum(distance, 1e-7), precision=np.full(len(parts), precision),
            share=self.sweeper.share,
        )
        self.theta[slot] = theta
        self.price[lines.item] = self.fixed[lines.item]
        self.price[lines.item[line], step] = price

    def _blend(self, groups: Ranges, classes: int, steps: int) -> tuple[Floats, Floats]:
        """What the classes draw ``(P, T)`` [kWh] and what that costs each group besides [EUR]."""
        drawn, besides = np.zeros((classes, steps)), np.zeros(len(groups.item))
        _blend(
            self.flow, self.own, self.theta, groups.item, self.sweeper.fleet.kind, STORED, drawn, besides
        )
        return drawn, besides

    def _widen(self, net: Network, lines: Ranges, drawn: Floats) -> Floats:
        """Give rows to the cells whose flow has come to where its price changes; the flows."""
        flow = net.flows(drawn)
        active, fixed = self.active[lines.item], self.fixed[lines.item]
        met = net.needed & ~active & ~(net.linear(flow, 0.0) & (fixed == net.slope(flow)))
        self.active[lines.item] = active | met
        self.fixed[lines.item] = np.where(active | met, 0.0, fixed)
        return flow


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
        theta[place] = 0.0
        vector[place] = new_vector[g]
        fresh[place] = clock


@compiled
def _blend(
    flow: Floats, own: Floats, theta: Floats, group: Ints, kind: Ints, stored: int, drawn: Floats,
    besides: Floats,
) -> None:  # fmt: skip
    """What is drawn with these shares of the answers, and its cost besides."""
    for g in range(len(group)):
        k = kind[group[g]]
        for i in range(group[g] * stored, (group[g] + 1) * stored):
            if theta[i] > 0.0:
                besides[g] += theta[i] * own[i]
                for t in range(flow.shape[1]):
                    drawn[k, t] += theta[i] * flow[i, t]
