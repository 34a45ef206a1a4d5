"""What couples the vehicles: the meters, limits and peaks of nodes, and further rows.

Both kinds are *lines*: each carries a weighted sum of what the classes of vehicles draw, and has a
convex cost of it in each step. A price on each line and step gives every class its prices (the sum
along its path to the root) and a lower bound; flows give a cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, vstack

from gridleaf.plan.problem import (
    Floats,
    Ints,
    Penalties,
    Problem,
    filled,
    from_the_roots,
    parents,
    places,
)

MOST_OF_ALL, SMALL = 32, 200
"""A part of a tree has one of so many of the vehicles at most, or at most so many."""

DENSE = 4096
"""An incidence of at most so many numbers is multiplied as a whole: that takes less than to look it up."""

INSIDE = 1e-7
"""Limits are aimed at less this share of them and of what could flow, which rounding does not exceed [-]."""


@dataclass(frozen=True, slots=True)
class Network:
    """M lines over T steps, P classes. Energies per step [kWh], prices [EUR/kWh], ``(M, T)``.

    The first K lines are the nodes. ``incidence`` ``(M, P)`` says what share of what a class draws
    a line carries. A flow costs ``buy`` where it is positive, ``sell`` where it is negative, and ``over``
    ``(M,)`` beyond ``limit_in`` or below ``-limit_out``; its highest power costs ``demand`` ``(M,)``
    [EUR/kW] above ``so_far`` [kW]. ``low`` and ``high`` are what it could be at most. Where not
    ``needed`` it can cost nothing.
    """

    incidence: csr_array
    step_h: Floats
    load: Floats
    low: Floats
    high: Floats
    limit_in: Floats
    limit_out: Floats
    buy: Floats
    sell: Floats
    over: Floats
    demand: Floats
    so_far: Floats
    needed: NDArray[np.bool_]
    _up: Any = field(init=False, repr=False)
    _down: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        up: Any = self.incidence
        if up.shape[0] * up.shape[1] <= DENSE:
            up = up.toarray()
        object.__setattr__(self, "_up", up)
        object.__setattr__(self, "_down", up.T.copy())

    def price_of_classes(self, price: Floats) -> Floats:
        """What each class pays for energy ``(P, T)``, from prices of the lines ``(M, T)``."""
        return np.asarray(self._down @ price)

    def flows(self, drawn: Floats) -> Floats:
        """What the lines carry ``(M, T)``, from what the classes draw ``(P, T)``."""
        return np.asarray(self.load + self._up @ drawn)

    @property
    def is_convex(self) -> bool:
        """Whether no line can gain by importing and exporting at once."""
        both = (self.high > 0) & (self.low < 0)
        return not (self.needed & (self.sell > self.buy) & both).any()

    def only(self, lines: Ints) -> Network:
        """The network of these lines alone."""
        kept = {
            name: getattr(self, name)[lines]
            for name in (
                "incidence", "load", "low", "high", "limit_in", "limit_out", "buy", "sell", "over",
                "demand", "so_far", "needed",
            )
        }  # fmt: skip
        return Network(step_h=self.step_h, **kept)

    @property
    def only_limits(self) -> NDArray[np.bool_]:
        """``(M,)`` the lines that have limits but no prices."""
        free = ((self.buy == 0) & (self.sell == 0)).all(axis=1)
        return np.asarray(free & (self.demand <= 0))

    def scaled(self, share: float) -> Network:
        """The same for a share of the vehicles."""
        energies = ("load", "low", "high", "limit_in", "limit_out", "so_far")
        return replace(self, **{name: share * getattr(self, name) for name in energies})

    def inside(self) -> Network:
        """The network with limits a little tighter, as far as there is room between them."""
        room, between = self.high - self.low, np.maximum(self.limit_in + self.limit_out, 0.0)

        def tighter(limit: Floats) -> Floats:
            finite = np.where(np.isfinite(limit), limit, 0.0)
            return limit - np.where(
                np.isfinite(limit), np.minimum(INSIDE * (np.abs(finite) + room), between / 4), 0.0
            )

        return replace(self, limit_in=tighter(self.limit_in), limit_out=tighter(self.limit_out))

    def merged(self) -> tuple[Network, Ints]:
        """The network with classes that no line tells apart made one, and which one each is ``(P,)``."""
        marks = self.incidence.toarray()
        _, first, kind = np.unique(marks, axis=1, return_index=True, return_inverse=True)
        return replace(self, incidence=csr_array(marks[:, first])), kind.reshape(-1)

    def slope(self, flow: Floats) -> Floats:
        """What one more kWh costs ``(M, T)`` [EUR/kWh], within the limits and below the peak."""
        return np.where(flow > 0, self.buy, self.sell)

    def linear(self, flow: Floats, margin: float) -> NDArray[np.bool_]:
        """Where the price stays as it is ``(M, T)`` if the flow moves by a share of what it could."""
        room = margin * (self.high - self.low)
        peak = np.maximum((flow / self.step_h).max(axis=1, initial=0.0), self.so_far)
        reached = (self.demand[:, None] > 0) & (flow + room >= peak[:, None] * self.step_h)
        one_price = (self.buy == self.sell) | (np.abs(flow) > room)
        clear = (flow + room < self.limit_in) & (-flow + room < self.limit_out)
        return np.asarray(one_price & ~reached & clear)

    def cost(self, flow: Floats) -> Floats:
        """What flows cost on each line ``(M,)`` [EUR]."""
        peak = np.maximum((flow / self.step_h).max(axis=1, initial=0.0), self.so_far)
        return np.asarray(self._cost(flow).sum(axis=1) + self.demand * peak)

    def bound(self, price: Floats) -> Floats:
        """What each line costs at least ``(M,)`` if its flow is paid ``price`` ``(M, T)``, loads included [EUR]."""
        points = np.clip(
            np.stack(
                (self.low, -self.limit_out, np.zeros(self.low.shape), self.limit_in, self.high)
            ),
            self.low,
            self.high,
        )
        profit = self._cost(points) - price * points
        total = profit.min(axis=0).sum(axis=1)
        for m in np.flatnonzero(self.demand > 0).tolist():
            total[m] = self._with_peak(m, price[m], points[:, m], profit[:, m])
        return np.asarray(total + (price * self.load).sum(axis=1))

    def _cost(self, flow: Floats) -> Floats:
        beyond = np.maximum(np.maximum(flow - self.limit_in, -flow - self.limit_out), 0.0)
        return np.where(flow > 0, self.buy, self.sell) * flow + self.over[:, None] * beyond

    def _with_peak(self, m: int, price: Floats, points: Floats, profit: Floats) -> float:
        """The same for one line whose highest power is paid: the best highest power is tried out.

        The cost is convex in the flow, so below a bound that matters the bound itself is best; in
        the bound the sum is convex and piecewise linear, so one of its corners is best.
        """
        h, unlimited = self.step_h, profit.min(axis=0)
        at = np.take_along_axis(points, profit.argmin(axis=0)[None], axis=0)[0]
        corners = np.concatenate((at / h, np.minimum(self.limit_in[m], self.high[m]) / h))
        least = max(float(self.so_far[m]), float((self.low[m] / h).max(initial=0.0)))
        corners = np.unique(np.maximum(np.append(corners, least), least))
        capped = corners[:, None] * h
        beyond = np.maximum(capped - self.limit_in[m], 0.0)
        held = (self.buy[m] - price) * capped + self.over[m] * beyond
        sums = np.where(capped < at, held, unlimited).sum(axis=1) + self.demand[m] * corners
        return float(sums.min(initial=np.inf))


def classes(problem: Problem) -> tuple[Ints, Ints]:
    """The class of each visit ``(N,)``, and a visit of each class ``(P,)``: alike in all lines."""
    place = places(problem)
    if problem.rows is None or not problem.rows.id or not len(place):
        _, first, kind = np.unique(place, return_index=True, return_inverse=True)
    else:
        marks = np.vstack((place[None, :], problem.rows.coefficient)).T
        _, first, kind = np.unique(marks, axis=0, return_index=True, return_inverse=True)
    return kind.reshape(-1), first


def network(problem: Problem, prices: Penalties, kind: Ints, first: Ints) -> Network:
    """The lines of a problem whose visits are of the classes ``kind`` (see :func:`classes`)."""
    nodes, rows, step_h = problem.nodes, problem.rows, problem.step_h
    steps, count = len(step_h), len(first)
    parent, place = parents(nodes), places(problem)[first]
    pairs: list[tuple[Ints, Ints]] = []
    at, column = place, np.arange(count)
    while len(at):
        pairs.append((at, column))
        above = parent[at]
        at, column = above[above >= 0], column[above >= 0]
    row = np.concatenate([a for a, _ in pairs] or [place])
    col = np.concatenate([b for _, b in pairs] or [place])
    shape = (len(nodes.id), count)
    incidence = csr_array(coo_array((np.ones(len(row)), (row, col)), shape=shape))

    load = nodes.load_kw * step_h
    limit_in = filled(nodes.import_limit_kw, np.inf) * step_h
    limit_out = filled(nodes.export_limit_kw, np.inf) * step_h
    buy = filled(nodes.import_price_eur_per_kwh, 0.0)
    sell = filled(nodes.export_price_eur_per_kwh, 0.0)
    over = np.full(len(nodes.id), prices.limit_eur_per_kwh)
    demand, so_far = nodes.demand_charge_eur_per_kw, nodes.peak_so_far_kw
    further = 0
    if rows is not None and rows.id:
        further = len(rows.id)
        incidence = csr_array(vstack((incidence, csr_array(rows.coefficient[:, first]))))
        none = np.zeros((further, steps))
        load, buy, sell = (np.concatenate((part, none)) for part in (load, buy, sell))
        limit_in = np.concatenate((limit_in, filled(rows.bound_kw, np.inf) * step_h))
        limit_out = np.concatenate((limit_out, np.full((further, steps), np.inf)))
        over = np.concatenate((over, prices.row_eur_per_kwh))
        demand, so_far = (np.concatenate((part, none[:, 0])) for part in (demand, so_far))

    rise, fall = _possible(problem, kind, count)
    ahead, back = incidence.maximum(0), (-incidence).maximum(0)
    high = load + ahead @ rise + back @ fall
    low = load - ahead @ fall - back @ rise
    peaking = (demand[:, None] > 0) & (high > so_far[:, None] * step_h)
    needed = (buy != 0) | (sell != 0) | peaking | (high > limit_in) | (-low > limit_out)
    return Network(
        incidence=incidence,
        step_h=step_h,
        load=load,
        low=low,
        high=high,
        # a limit that cannot be met leaves its side of the price open, and no narrow way between two
        limit_in=np.where(high > limit_in, limit_in, np.inf),
        limit_out=np.where(-low > limit_out, limit_out, np.inf),
        buy=buy,
        sell=sell,
        over=over,
        demand=demand,
        so_far=so_far,
        needed=needed,
    )


def divide(net: Network, problem: Problem, kind: Ints) -> tuple[Ints, Ints]:
    """The small parts of the tree that the lines ``(M,)`` and classes ``(P,)`` belong to, -1 if to none.

    A part is a node with few of the vehicles and all below it, with the rows that weigh no others.
    """
    parent = parents(problem.nodes)
    lines, count = net.incidence.shape
    visits = np.bincount(kind, minlength=count)
    below = net.incidence[: len(parent)] @ visits
    small = below <= max(len(kind) / MOST_OF_ALL, min(SMALL, len(kind) / 4))
    of_line, of_class = np.full(lines, -1, dtype=np.int64), np.full(count, -1, dtype=np.int64)
    parts = 0
    for k in from_the_roots(parent):
        above = parent[k]
        if above >= 0 and of_line[above] >= 0:
            of_line[k] = of_line[above]
        elif small[k] and below[k]:
            of_line[k] = parts
            parts += 1
        if of_line[k] >= 0:
            of_class[net.incidence.indices[slice(*net.incidence.indptr[k : k + 2])]] = of_line[k]
    for m in range(len(parent), lines):
        touched = np.unique(
            of_class[net.incidence.indices[slice(*net.incidence.indptr[m : m + 2])]]
        )
        if len(touched) == 1:
            of_line[m] = touched[0]
    return of_line, of_class


def _possible(problem: Problem, kind: Ints, count: int) -> tuple[Floats, Floats]:
    """What the classes may charge and discharge at most in each step ``(P, T)`` [kWh]."""
    visits, step_h = problem.visits, problem.step_h
    steps = len(step_h)

    def most(power: Floats) -> Floats:
        if power.ndim == 2:
            step = np.arange(steps)
            inside = (step >= visits.arrive[:, None]) & (step < visits.depart[:, None])
            total = np.zeros((count, steps))
            np.add.at(total, kind, np.where(inside, power, 0.0))
            return total * step_h
        change = np.zeros(count * (steps + 1))
        for edge, sign in ((visits.arrive, 1.0), (visits.depart, -1.0)):
            at = kind * (steps + 1) + edge
            change += np.bincount(at, weights=sign * power, minlength=len(change))
        running = np.cumsum(change.reshape(count, steps + 1), axis=1)[:, :steps]
        # what is left of sums of both signs is rounding, upwards to be on the safe side
        return np.maximum(running, 0.0) * step_h * (1 + 1e-12) if count else np.zeros((0, steps))

    return most(visits.charge_kw), most(visits.discharge_kw)
