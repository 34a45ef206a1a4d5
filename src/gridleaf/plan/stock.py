"""What vehicles answered so far, a few answers of each group, and the shares that are taken of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gridleaf.domain.compiled import compiled
from gridleaf.plan.columns import Mixture
from gridleaf.plan.problem import Floats, Ints
from gridleaf.plan.sweep import Sweeper, ranked

IN_USE = 1e-6
"""An answer with a larger share is of use [-]."""
NOTHING = 1e-9
"""A smaller share is none [-]."""
HEAVY = 0.02
"""Answers with a larger share come before cheaper ones [-]."""


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
    """The items of each of ``count`` owners; items of -1 are nobody's."""
    order = np.argsort(owner, kind="stable")
    begin = np.searchsorted(owner[order], np.arange(count + 1))
    return Ranges(order[begin[0] :], begin - begin[0])


class Stock:
    """Answers of the groups of a fleet, ``places`` of them for each group.

    ``flow`` ``(S, T)`` is what an answer draws [kWh], ``cost`` ``(S,)`` what that costs besides [EUR], ``theta``
    ``(S,)`` its share. ``vector`` ``(S,)`` is the number of the prices that it answers, -1 where a place is free.
    """

    def __init__(self, sweeper: Sweeper, places: int) -> None:
        fleet = sweeper.fleet
        count = len(fleet.begin) * places
        self.fleet = fleet
        self.share = sweeper.share
        self.places = places
        self.flow = np.zeros((count, len(fleet.step_h)))
        self.cost = np.zeros(count)
        self.theta = np.zeros(count)
        self.vector = np.full(count, -1, dtype=np.int64)
        self._sweeper = sweeper
        self._all = sweeper.sample(1.0)
        self._used = np.zeros(count, dtype=np.int64)
        self._asked: list[Floats] = []
        self._number = 0

    def ask(self, groups: Ranges, classes: Ranges, price: Floats) -> Floats:
        """Ask groups at the prices of their classes ``(P, T)``; what they and these prices cost each owner."""
        kind = self.fleet.kind[groups.item]
        row = np.empty(len(price), dtype=np.int64)
        row[classes.item] = np.arange(len(classes.item))
        prices = np.ascontiguousarray(price[classes.item])
        flow, own = self._sweeper.ask(groups.item, row[kind], ranked(prices), self._all)
        self._asked.append(prices)
        _store(
            self.flow, self.cost, self.theta, self.vector, self._used, groups.item, flow, own,
            self._number + row[kind], len(self._asked), self.places,
        )  # fmt: skip
        self._number += len(prices)
        value = own + (flow * prices[row[kind]]).sum(axis=1)
        return np.asarray(np.bincount(groups.owner, value, len(groups.begin) - 1), np.float64)

    def worthy(self, groups: Ranges, price: Floats, most: Floats, used: int) -> tuple[Ints, Ints]:
        """The answers to mix: the position of their group in ``groups`` and their place, in order.

        At the prices of the classes ``(P, T)`` they cost at most ``most`` (of each owner) [EUR] more than the
        best of their group, or have a share already; at most ``used`` of a group.
        """
        chosen = np.zeros((len(groups.item), self.places), dtype=np.bool_)

        def work(piece: slice) -> None:
            _choose(
                piece.start, piece.stop, groups.item, groups.begin, self.fleet.kind, self.flow,
                self.cost, self.theta, self.vector, self.places, used, price, most, chosen,
            )  # fmt: skip

        self.share(work, np.diff(groups.begin) * self.places)
        owner, place = np.nonzero(chosen)
        return owner, groups.item[owner] * self.places + place

    def take(self, groups: Ranges, slot: Ints, theta: Floats) -> None:
        """Take these shares of the answers in these places, and nothing of the others of the groups."""
        self.theta.reshape(-1, self.places)[groups.item] = 0.0
        self.theta[slot] = theta

    def drawn(self, groups: Ranges) -> Floats:
        """What the classes draw ``(P, T)`` [kWh], as far as the groups make it up."""
        kind = self.fleet.kind
        result = np.zeros((int(kind.max(initial=-1)) + 1, self.flow.shape[1]))

        def work(piece: slice) -> None:
            _blend(
                piece.start, piece.stop, self.flow, self.theta, groups.item, groups.begin, kind, self.places,
                result,
            )  # fmt: skip

        self.share(work, np.diff(groups.begin) * self.places)
        return result

    def own(self, groups: Ranges) -> Floats:
        """What the groups of each owner cost besides [EUR]."""
        cost = (self.theta * self.cost).reshape(-1, self.places)[groups.item].sum(axis=1)
        return np.asarray(np.bincount(groups.owner, cost, len(groups.begin) - 1), np.float64)

    def mixture(self, drawn: Floats) -> Mixture:
        """The shares as they are, with what the classes draw."""
        slot = np.flatnonzero(self.theta > NOTHING)
        vector, group, share = self.vector[slot], slot // self.places, self.theta[slot]
        share = share / np.bincount(group, weights=share)[group]
        used, at = np.unique(vector, return_inverse=True)
        begin = np.concatenate(([0], np.cumsum([len(prices) for prices in self._asked])))
        batch = np.searchsorted(begin, used, side="right") - 1
        prices = np.empty((len(used), self.flow.shape[1]))
        for number in np.unique(batch).tolist():
            here = batch == number
            prices[here] = self._asked[number][used[here] - begin[number]]
        return Mixture(group, at, share, prices, drawn)


@compiled
def _store(
    flow: Floats, cost: Floats, theta: Floats, vector: Ints, used: Ints, group: Ints, new_flow: Floats,
    new_cost: Floats, new_vector: Ints, clock: int, stored: int,
) -> None:  # fmt: skip
    """Keep answers that are new, in place of those that were of no use for the longest time."""
    for g in range(len(group)):
        base = group[g] * stored
        place, known = base, False
        for i in range(base, base + stored):
            if theta[i] > IN_USE:
                used[i] = clock - 1
            if vector[i] < 0:
                place = i
                break
            known = abs(cost[i] - new_cost[g]) < 1e-9 and _same(flow[i], new_flow[g])
            if known:
                used[i] = clock
                break
            if used[i] < used[place]:
                place = i
        if known:
            continue
        theta[place] = 1.0 if vector[base] < 0 else 0.0
        flow[place] = new_flow[g]
        cost[place] = new_cost[g]
        vector[place] = new_vector[g]
        used[place] = clock


@compiled
def _blend(
    start: int, stop: int, flow: Floats, theta: Floats, group: Ints, begin: Ints, kind: Ints, stored: int,
    drawn: Floats,
) -> None:  # fmt: skip
    """Add up what is drawn with these shares of the answers."""
    for g in range(begin[start], begin[stop]):
        for i in range(group[g] * stored, (group[g] + 1) * stored):
            if theta[i] > 0.0:
                for t in range(flow.shape[1]):
                    drawn[kind[group[g]], t] += theta[i] * flow[i, t]


@compiled
def _choose(
    start: int, stop: int, group: Ints, begin: Ints, kind: Ints, flow: Floats, cost: Floats,
    theta: Floats, vector: Ints, stored: int, used: int, price: Floats, most: Floats, chosen: Any,
) -> None:  # fmt: skip
    """See :meth:`Stock.worthy`."""
    reduced = np.empty(stored)
    for b in range(start, stop):
        for g in range(begin[b], begin[b + 1]):
            base, k, least = group[g] * stored, kind[group[g]], np.inf
            for i in range(stored):
                reduced[i] = np.inf
                if vector[base + i] < 0:
                    continue
                total = cost[base + i]
                for t in range(flow.shape[1]):
                    total += price[k, t] * flow[base + i, t]
                reduced[i] = total
                least = min(least, total)
            for i in range(stored):
                if reduced[i] > least + most[b] and theta[base + i] <= 1e-3:
                    reduced[i] = np.inf
                elif theta[base + i] > HEAVY and reduced[i] < np.inf:
                    reduced[i] = -theta[base + i] * 1e9
            for _ in range(used):
                first = np.argmin(reduced)
                if reduced[first] == np.inf:
                    break
                chosen[g, first] = True
                reduced[first] = np.inf


@compiled
def _same(one: Floats, other: Floats) -> bool:
    """Whether two answers are one."""
    far = 0.0
    for t in range(len(one)):
        far = max(far, abs(one[t] - other[t]))
    return far <= 1e-9
