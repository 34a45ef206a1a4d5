"""The master problem: how much of each known answer to take.

minimise the cost of columns, flows and peaks, so that each group takes shares of its columns that sum
to one, and the columns give the flows of the active cells (one line in one step). An interior point
method (:mod:`gridleaf.plan.interior`) starts from the last solution and stops early, as in primal-dual
column generation (Gondzio, Gonzalez-Brevis, Munari, EJOR 224, 2013).

:func:`mix` solves one problem, or many that share no cell. :func:`mix_together` solves one whose cells belong
to parts of a tree, but for a few that all parts share: the parts are eliminated one by one, on several
threads, and what is left is dense in the shared cells.

Money is per vehicle [EUR], the energy of a cell is per vehicle below it [kWh].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gridleaf.plan import interior
from gridleaf.plan.cells import Book, Cells, Columns, Lines, Split
from gridleaf.plan.interior import MOST_ITERATIONS
from gridleaf.plan.problem import Floats, Ints

Share = Callable[[Callable[[slice], None], Ints], None]
"""Does pieces of work of given sizes, on several threads."""
BACK = 0.99
"""How far to go of the way to where something would become negative [-]."""


def mix(
    columns: Columns,
    lines: Lines,
    cells: Cells,
    split: Split,
    count: Floats,
    *,
    theta: Floats,
    price: Floats,
    distance: Floats,
    precision: Floats,
    share: Share | None = None,
) -> None:
    """Nearly optimal shares ``theta`` ``(n,)`` and prices of the cells ``price`` ``(R,)``, from the last ones.

    Parameters
    ----------
    count
        Vehicles of each problem ``(B,)``, which its columns are divided by.
    theta, price
        Where to start, and the result.
    distance
        How far each start may be from its optimum ``(B,)`` [EUR per vehicle].
    precision
        Complementarity relative to the objective at which to stop ``(B,)``.
    """

    def work(piece: slice) -> None:
        interior.mix_each(
            piece.start, piece.stop, columns, lines, cells, split, count, theta, price,
            distance, precision,
        )  # fmt: skip

    if share is None:
        work(slice(0, len(count)))
    else:
        share(work, np.diff(split.column) * (np.diff(split.cell) + 4))


def mix_together(
    columns: Columns,
    lines: Lines,
    cells: Cells,
    split: Split,
    count: Floats,
    shared: Cells,
    step: Ints,
    weight: Floats,
    whole: float,
    *,
    theta: Floats,
    price: Floats,
    shared_price: Floats,
    distance: float,
    precision: float,
    share: Share,
    out_of_time: Callable[[], bool],
) -> bool:
    """The same for parts that share cells: ``shared``, at ``step`` ``(S,)``, with ``weight`` ``(S, P)`` of a class.

    ``count`` ``(B,)`` are the vehicles of each part, ``whole`` all of them. ``shared_price`` ``(S,)`` is where
    to start and a result like ``price``. False, and all as it was, if time is out or nothing is found.
    """
    together = _Together(columns, lines, cells, split, shared, step, weight, share)
    per_group = distance * min(0.1, 3.2 / max(split.group[-1], 1))
    together.each(interior.set_out_all, count, whole, theta, price, shared_price, per_group)
    if not together.iterate(shared_price, per_group, precision, out_of_time):
        return False
    new_theta, new_price = theta.copy(), price.copy()
    together.each(interior.shares_all, new_theta, new_price)
    new_shared = -together.top.point.y
    good = all(np.isfinite(values).all() for values in (new_theta, new_price, new_shared))
    if good:
        theta[:], price[:], shared_price[:] = new_theta, new_price, new_shared
    return good


class _Together:
    """The iterations of parts that share cells. The shared cells are a part without columns, the ``top``."""

    def __init__(
        self, columns: Columns, lines: Lines, cells: Cells, split: Split, shared: Cells, step: Ints,
        weight: Floats, share: Share,
    ) -> None:  # fmt: skip
        n, rows, flows, peak_cells, peaks, groups = (np.diff(offsets) for offsets in split)
        parts, wide = len(n), len(step)
        words = interior.words_of(n, rows + wide, groups, rows, flows, peaks, peak_cells)
        begin = np.concatenate(([0], np.cumsum(words)))
        self.book = Book(
            columns, lines, cells, split, step, weight, np.empty(begin[-1]), begin,
            np.empty((parts, wide)), np.empty((parts, wide)), np.empty((parts, 4)),
        )  # fmt: skip
        size = len(shared.at), len(shared.charge), len(shared.peak_at)
        self.top = interior.part_of(
            0, wide, 0, np.zeros(0, dtype=np.int64), shared,
            np.empty(interior.words_of(0, wide, 0, wide, *size)),
        )  # fmt: skip
        interior.set_costs(self.top, columns, 0, 1.0)
        self._share = share
        self._load = n * (rows + wide)

    def each(self, function: Any, *rest: Any) -> None:
        """Do something with every part, on several threads."""
        self._share(lambda piece: function(piece.start, piece.stop, self.book, *rest), self._load)

    def iterate(
        self,
        shared_price: Floats,
        distance: float,
        precision: float,
        out_of_time: Callable[[], bool],
    ) -> bool:
        """From where the parts have set out; false if it ran out of time."""
        top, sums = self.top, self.book.sums
        largest = 1.0 + max(
            np.abs(cells.rhs).max(initial=0.0) for cells in (top.cells, self.book.cells)
        )
        self.each(interior.advance_all, 0.0, 0.0, -shared_price)
        made = self.book.made.sum(axis=0)
        interior.set_out(top, np.zeros(0), shared_price, made, distance)
        for _ in range(MOST_ITERATIONS):
            if out_of_time():
                return False
            gap, objective, primal = interior.miss(top, top.point.y, made)
            gap, objective = gap + sums[:, 0].sum(), objective + sums[:, 1].sum()
            primal = max(primal, sums[:, 2].max(initial=0.0))
            number = sums[:, 3].sum() + interior.products(top)
            if gap <= precision * abs(objective) and primal <= precision * largest:
                break
            if not self._eliminated():
                break
            self._direct(0.0)
            a, b = self._longest(1.0)
            self.each(interior.complementarity_all, a, b)
            after = sums[:, 0].sum() + interior.complementarity(top, a, b)
            self._direct(gap / number * (after / gap) ** 3)
            a, b = (min(BACK * most, 1.0) for most in self._longest(1.0 / BACK))
            if not (np.isfinite(a + b) and np.isfinite(top.step.y.sum())):
                break  # as precise as it gets
            interior.advance(top, a, b)
            self.each(interior.advance_all, a, b, top.point.y)
            made = self.book.made.sum(axis=0)
        return True

    def _eliminated(self) -> bool:
        """Whether the normal matrix could be factored: part by part, and what they leave."""
        wide = len(self.book.step)
        left: list[tuple[int, Floats]] = []
        bad: list[int] = []

        def work(piece: slice) -> None:
            rest = np.zeros((wide, wide))
            if not interior.eliminate_all(piece.start, piece.stop, self.book, rest):
                bad.append(piece.start)
            left.append((piece.start, rest))

        self._share(work, self._load)
        rest = sum(
            (matrix for _, matrix in sorted(left, key=lambda one: one[0])), np.zeros((wide, wide))
        )
        return not bad and interior.eliminate(self.top, rest, np.zeros((0, 0)))

    def _direct(self, target: float) -> None:
        """Newton's step towards complementarities of ``target``."""
        self.each(interior.forward_all, target)
        interior.aim(self.top, target)
        interior.forward(self.top, self.book.left.sum(axis=0), np.zeros(0))
        interior.backward(self.top, np.zeros(0))
        self.each(interior.backward_all, self.top.step.y)

    def _longest(self, most: float) -> tuple[float, float]:
        """How far that step may go, up to ``most``."""
        self.each(interior.longest_all, most)
        a, b = self.book.sums[:, :2].min(axis=0, initial=most).tolist()
        return interior.longest(self.top, a, b)
