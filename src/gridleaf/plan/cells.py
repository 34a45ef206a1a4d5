"""The cells of a network, one line in one step each, as rows and variables of a master problem."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridleaf.plan.master import Cells, Split
from gridleaf.plan.network import Network
from gridleaf.plan.problem import Floats, Ints


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
    least = 1e-4 * count
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

    def gathered(parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
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
