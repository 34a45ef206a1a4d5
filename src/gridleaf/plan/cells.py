"""What the master problem is made of: the cells of a network, one line in one step each, and columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gridleaf.plan.network import Network
from gridleaf.plan.problem import Floats, Ints

LEAST = 1e-8
"""Between two limits there is so much room at least, as the interior point method needs [kWh per vehicle]."""


class Cells(NamedTuple):
    """R active cells, V variables of their flows, Q cells under K peaks.

    Cell r: ``sum of theta x + sum of sign v = rhs[r]``. Variable v is in cell ``at[v]`` with ``sign`` (-1:
    the vehicles draw it, +1: they give it), costs ``cost`` and is at most ``upper``; it is ``beyond`` a
    limit or not. ``peak[v]`` is the peak cell that sees it, or -1. Peak cell q is cell ``peak_at[q]`` and
    sees ``sum of v - hours[q] p + w = ceiling[q]`` with the excess ``p`` of its line ``peak_of[q]`` over what
    is paid already, which costs ``charge``. ``scale[r]`` is the share of all vehicles that cell r is per
    vehicle of; costs are multiplied by it.
    """

    scale: Floats
    rhs: Floats
    at: Ints
    sign: Floats
    cost: Floats
    upper: Floats
    beyond: Any
    peak: Ints
    peak_at: Ints
    peak_of: Ints
    hours: Floats
    ceiling: Floats
    charge: Floats


class Split(NamedTuple):
    """Where the problems begin and end in columns, cells, variables, peak cells, peaks and groups."""

    column: Ints
    cell: Ints
    variable: Ints
    peak_cell: Ints
    peak: Ints
    group: Ints


class Columns(NamedTuple):
    """n known answers out of a store: row ``at[j]`` of ``flow`` ``(S, T)`` [kWh] and ``own`` ``(S,)`` [EUR].

    Column j is of the group ``group[j]``, counted from 0 in each problem, and the class ``kind[j]``. What it
    draws costs ``linear[kind[j]]`` ``(T,)`` [EUR/kWh] besides what the cells say.
    """

    flow: Floats
    own: Floats
    at: Ints
    group: Ints
    kind: Ints
    linear: Floats


class Lines(NamedTuple):
    """The line and step of each cell, and what share of each class a line carries, row by row."""

    line: Ints
    step: Ints
    indptr: Any
    indices: Any
    weight: Floats


def lines_of(line: Ints, step: Ints, incidence: csr_array) -> Lines:
    """The cells ``(line, step)`` under an incidence ``(M, P)``."""
    return Lines(line, step, incidence.indptr, incidence.indices, incidence.data)


class Point(NamedTuple):
    """An iterate: ``x`` are the shares, the variables, the peaks and their rests; ``z`` is below ``upper``.

    ``s`` and ``q`` are the multipliers of ``x`` and ``z``, ``y`` those of the cells, peak cells and groups.
    """

    x: Floats
    z: Floats
    s: Floats
    q: Floats
    y: Floats
    y_peak: Floats
    y_group: Floats


class Missing(NamedTuple):
    """What is missing in the rows, and in the columns ``dual``, at an iterate."""

    cell: Floats
    peak_cell: Floats
    whole: Floats
    dual: Floats


class System(NamedTuple):
    """The normal matrix of an iterate, its own cells eliminated.

    ``d`` are the weights of ``x``; ``work`` ``(n, W)`` are the weighted columns, less the ``centre``
    ``(G, W)`` of their group, whose ``weight`` is the sum of theirs, in the own and in the shared cells.
    ``factor`` ``(R, R)`` is that of the own cells, ``across`` ``(R, W - R)`` its inverse times their part
    in the shared ones. ``t``, ``scaled``, ``r_group``, ``r_peak``, ``rs`` and ``rq`` are right sides.
    """

    d: Floats
    weight: Floats
    centre: Floats
    work: Floats
    seen_by: Floats
    e: Floats
    inner: Floats
    factor: Floats
    across: Floats
    t: Floats
    scaled: Floats
    r_group: Floats
    r_peak: Floats
    rs: Floats
    rq: Floats


class Part(NamedTuple):
    """One problem: its ``columns`` put ``into`` ``(n, W)`` its own cells and then the shared ones."""

    into: Floats
    group: Ints
    cells: Cells
    c: Floats
    upper: Floats
    point: Point
    step: Point
    missing: Missing
    system: System


class Book(NamedTuple):
    """Parts that share cells, and the working arrays of all: part b has ``memory[begin[b]:begin[b + 1]]``.

    What a column puts into shared cell r is its flow in ``step[r]`` times ``weight[r, kind]``. ``made`` and
    ``left`` ``(B, S)`` are what the parts put into the shared cells and leave for them; ``sums`` ``(B, 4)``.
    """

    columns: Columns
    lines: Lines
    cells: Cells
    split: Split
    step: Ints
    weight: Floats
    memory: Floats
    begin: Ints
    made: Floats
    left: Floats
    sums: Floats


def active_cells(
    net: Network, active: tuple[Ints, Ints], count: Floats | float, whole: float | None = None
) -> Cells:
    """The variables of the active cells ``(line, step)``, per vehicle of ``count`` (of each cell).

    Cells of one line come one after the other. Money is per vehicle of ``whole``, or of ``count`` too.
    """
    line, step = active
    hours = net.step_h[step]
    low, high, load = net.low[active], net.high[active], net.load[active]
    limit_in, limit_out = net.limit_in[active], net.limit_out[active]
    buy, sell, over = net.buy[active], net.sell[active], net.over[line]
    demand, so_far = net.demand[line], net.so_far[line]
    cell = np.arange(len(line))
    count = np.broadcast_to(count, cell.shape)
    scale = np.ones(len(cell)) if whole is None else count / whole
    wide = count + high - low
    least = LEAST * count
    apart = (buy != sell) & (high > 0) & (low < 0)
    down = np.minimum(limit_out, wide - np.minimum(low, limit_in))
    up = np.minimum(limit_in, wide + np.maximum(high, -limit_out))
    shift = np.where(apart, 0.0, down)
    peaking = (demand > 0) & (high > so_far * hours)
    peak = np.full(len(line), -1)
    peak[peaking] = np.arange(int(peaking.sum()))
    unseen, endless = np.full(len(line), -1), np.full(len(line), np.inf)
    kinds = [
        (~apart, -1.0, np.where(high > 0, buy, sell), np.maximum(up + down, least), peak, False),
        (apart, -1.0, buy, np.maximum(limit_in, least), peak, False),
        (apart, 1.0, -sell, np.maximum(limit_out, least), unseen, False),
        (high > limit_in, -1.0, over + buy, endless, peak, True),
        (-low > limit_out, 1.0, over - sell, endless, unseen, True),
    ]
    at = np.concatenate([cell[where] for where, *_ in kinds])
    order = np.argsort(at, kind="stable")

    def gathered(parts: list[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(parts)[order]

    number = [int(where.sum()) for where, *_ in kinds]
    lines = line[peaking]
    turns = np.append(True, lines[1:] != lines[:-1])[: len(lines)]
    return Cells(
        scale=scale,
        rhs=(-load - shift) / count,
        at=at[order],
        sign=gathered([np.full(n, kind[1]) for n, kind in zip(number, kinds, strict=True)]),
        cost=gathered([(cost * scale)[where] for where, _, cost, *_ in kinds]),
        upper=gathered([(upper / count)[where] for where, _, _, upper, *_ in kinds]),
        beyond=gathered([np.full(n, kind[5]) for n, kind in zip(number, kinds, strict=True)]),
        peak=gathered([seen[where] for where, _, _, _, seen, _ in kinds]),
        peak_at=cell[peaking],
        peak_of=np.cumsum(turns) - 1,
        hours=hours[peaking],
        ceiling=((so_far * hours + shift) / count)[peaking],
        charge=(net.demand[line] * scale)[peaking][turns],
    )


def split(cells: Cells, column: Ints, cell: Ints, group: Ints) -> Split:
    """Where problems begin whose columns, cells and groups begin there, all ``(B + 1,)``."""
    peak_cell = np.searchsorted(cells.peak_at, cell)
    return Split(
        column=column,
        cell=cell,
        variable=np.searchsorted(cells.at, cell),
        peak_cell=peak_cell,
        peak=np.append(cells.peak_of, len(cells.charge))[peak_cell],
        group=group,
    )
