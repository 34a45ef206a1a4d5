"""The master problem: how much of each known answer to take, by a structured interior point method.

minimise the cost of columns, flows and peaks, so that each group takes shares of its columns that sum
to one, and the columns give the flows of the active cells (one line in one step). Mehrotra's
predictor-corrector method, started from the last solution and stopped early, as in primal-dual column
generation (Gondzio, Gonzalez-Brevis, Munari, EJOR 224, 2013). The normal matrix has one row for
each active cell only: the sums of the shares and the peaks are eliminated first, and the columns of a
group enter as differences from their mean, so that nothing cancels. Cells are shared by all columns
or belong to one block (a part of the tree); the blocks are eliminated one by one, and what is left is
dense in the shared cells.

All numbers are per vehicle: energies [kWh], money [EUR].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gridleaf.domain.compiled import compiled
from gridleaf.plan.problem import Floats, Ints

MOST_ITERATIONS = 80


@dataclass(frozen=True, slots=True)
class Cells:
    """R active cells, V variables of their flows, Q cells under K peaks.

    Cell r: ``sum of theta x + sum of sign v = rhs[r]``. Variable v is in cell ``at[v]`` with ``sign`` (-1:
    the vehicles draw it, +1: they give it), costs ``cost`` and is at most ``upper``; ``peak[v]`` is the
    peak cell that sees it, or -1. Peak cell q is cell ``peak_at[q]`` and sees ``sum of v - hours[q] p +
    w = ceiling[q]`` with the excess ``p`` of its line ``peak_of[q]`` over what is paid already, which
    costs ``charge``. Variables from ``first_over`` on are beyond limits.
    """

    rhs: Floats
    at: Ints
    sign: Floats
    cost: Floats
    upper: Floats
    peak: Ints
    peak_at: Ints
    peak_of: Ints
    hours: Floats
    ceiling: Floats
    charge: Floats
    first_over: int


@dataclass(frozen=True, slots=True)
class Columns:
    """What n columns put into the active cells [kWh], R0 of them shared, the others in B blocks.

    ``shared`` is ``(n, R0)``. Block b has the rows ``row[b]..row[b + 1]``, all behind the shared ones,
    and the columns ``column[b]..column[b + 1]``; ``local`` ``(n, L)`` is what these put into them, padded with
    zeros. Columns of no block come first.
    """

    shared: Floats
    local: Floats
    row: Ints
    column: Ints


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of each column ``theta`` ``(n,)`` and the price of each active cell ``(R,)`` [EUR/kWh]."""

    theta: Floats
    price: Floats


def shares(
    columns: Columns,
    cost: Floats,
    group: Ints,
    groups: int,
    cells: Cells,
    *,
    theta: Floats,
    price: Floats,
    distance: float,
    precision: float,
) -> Shares:
    """Nearly optimal shares of n columns, from the last ones.

    Parameters
    ----------
    theta, price
        Where to start: shares ``(n,)`` and prices ``(R,)``.
    distance
        How far the start may be from the optimum [EUR].
    precision
        Complementarity relative to the objective at which to stop.
    """
    start = 0.9 * theta + 0.1 / np.bincount(group, minlength=groups)[group]
    start /= np.bincount(group, weights=start, minlength=groups)[group]
    theta, found = start.copy(), price.copy()
    try:
        _iterate(
            columns.shared, columns.local, columns.row, columns.column, cost, group, groups,
            cells.rhs, cells.at, cells.sign, cells.cost, cells.upper,
            cells.peak, cells.peak_at, cells.peak_of, cells.hours, cells.ceiling, cells.charge,
            cells.first_over, theta, found, distance, precision,
        )  # fmt: skip
        total = np.bincount(group, weights=theta, minlength=groups)
        precise = bool(np.isfinite(found).all() and np.isfinite(total).all() and (total > 0).all())
    except np.linalg.LinAlgError:
        precise = False
    if not precise:
        return Shares(start, price)  # where it started is as good as it gets
    return Shares(theta / total[group], found)


@compiled
def _gradient(
    y: Floats, y_peak: Floats, at: Ints, sign: Floats, peak: Ints, peak_of: Ints, hours: Floats,
    peaks: int, out: Floats,
) -> None:  # fmt: skip
    """The rows' multipliers as seen by the variables besides the shares: variables, peaks, rests."""
    count = len(at)
    for v in range(count):
        out[v] = sign[v] * y[at[v]]
        if peak[v] >= 0:
            out[v] += y_peak[peak[v]]
    for k in range(peaks):
        out[count + k] = 0.0
    for p in range(len(peak_of)):
        out[count + peak_of[p]] -= hours[p] * y_peak[p]
        out[count + peaks + p] = y_peak[p]


@compiled
def _scatter(
    x: Floats, at: Ints, sign: Floats, peak: Ints, peak_of: Ints, hours: Floats, peaks: int,
    cell: Floats, peak_cell: Floats,
) -> None:  # fmt: skip
    """Add what the variables besides the shares put into the rows."""
    count = len(at)
    for v in range(count):
        cell[at[v]] += sign[v] * x[v]
        if peak[v] >= 0:
            peak_cell[peak[v]] += x[v]
    for p in range(len(peak_of)):
        peak_cell[p] += x[count + peaks + p] - hours[p] * x[count + peak_of[p]]


@compiled
def _longest(x: Floats, dx: Floats, most: float) -> float:
    """The longest step up to ``most`` that leaves all of ``x`` positive."""
    for i in range(len(x)):
        if x[i] + most * dx[i] < 0.0:
            most = -x[i] / dx[i]
    return most


@compiled
def _solve_peaks(
    r: Floats, e: Floats, inner: Floats, peak_of: Ints, hours: Floats, out: Floats, sums: Floats
) -> None:
    """The inverse of the peak rows' block, diagonal and one product for each peak, times ``r``."""
    sums[:] = 0.0
    for p in range(len(e)):
        out[p] = r[p] / e[p]
        sums[peak_of[p]] += hours[p] * out[p]
    for p in range(len(e)):
        out[p] -= inner[peak_of[p]] * sums[peak_of[p]] * hours[p] / e[p]


@compiled
def _substitute(factor: Floats, y: Floats) -> None:
    """Solve with a lower triangular factor and its transpose, in place."""
    count = len(y)
    for i in range(count):
        rest = y[i]
        for j in range(i):
            rest -= factor[i, j] * y[j]
        y[i] = rest / factor[i, i]
    for i in range(count - 1, -1, -1):
        y[i] /= factor[i, i]
        for j in range(i):
            y[j] -= factor[i, j] * y[i]


@compiled
def _made(x: Floats, shared: Floats, local: Floats, row: Ints, column: Ints, rows: int) -> Floats:
    """What shares of the columns put into the rows."""
    out = np.zeros(rows)
    out[: shared.shape[1]] = np.dot(x, shared)
    for b in range(len(row) - 1):
        for j in range(column[b], column[b + 1]):
            for r in range(row[b], row[b + 1]):
                out[r] += x[j] * local[j, r - row[b]]
    return out


@compiled
def _seen(y: Floats, shared: Floats, local: Floats, row: Ints, column: Ints) -> Any:
    """What multipliers of the rows are to the columns."""
    out = np.dot(shared, y[: shared.shape[1]])
    for b in range(len(row) - 1):
        for j in range(column[b], column[b + 1]):
            for r in range(row[b], row[b + 1]):
                out[j] += y[r] * local[j, r - row[b]]
    return out


@compiled
def _factor(
    matrix: Floats, shared: Floats, local: Floats, diagonal: Floats, row: Ints, column: Ints,
    factors: Floats, across: Floats,
) -> Any:  # fmt: skip
    """Eliminate the blocks; the factor of what is left.

    ``shared`` and ``local`` are weighted columns, ``matrix`` ``(R0, R0)`` the shared part of the normal
    matrix. Filled are the ``factors`` ``(B, L, L)`` of the blocks and ``across`` ``(R - R0, R0)``: the inverse
    of each factor times its rows' part in the shared columns.
    """
    dense = shared.shape[1]
    for b in range(len(row) - 1):
        size, own = row[b + 1] - row[b], factors[b]
        some = np.ascontiguousarray(local[column[b] : column[b + 1], :size])
        own[:size, :size] = np.dot(some.T, some)
        for r in range(size):
            own[r, r] += diagonal[row[b] + r] + 1e-14
        own[:size, :size] = np.linalg.cholesky(np.ascontiguousarray(own[:size, :size]))
        part = np.dot(some.T, shared[column[b] : column[b + 1]])
        for r in range(size):
            for o in range(r):
                for i in range(dense):
                    part[r, i] -= own[r, o] * part[o, i]
            for i in range(dense):
                part[r, i] /= own[r, r]
        across[row[b] - dense : row[b + 1] - dense] = part
    if len(across):
        matrix -= np.dot(across.T, across)
    for r in range(dense):
        matrix[r, r] += 1e-14
    return np.linalg.cholesky(matrix)


@compiled
def _solve(factor: Floats, factors: Floats, across: Floats, row: Ints, y: Floats) -> None:
    """Solve with the factors of :func:`_factor`, in place."""
    dense = len(factor)
    for b in range(len(row) - 1):
        for r in range(row[b], row[b + 1]):
            rest = y[r]
            for o in range(row[b], r):
                rest -= factors[b, r - row[b], o - row[b]] * y[o]
            y[r] = rest / factors[b, r - row[b], r - row[b]]
    if len(across):
        y[:dense] -= np.dot(y[dense:], across)
    _substitute(factor, y[:dense])
    if len(across):
        y[dense:] -= np.dot(across, y[:dense])
    for b in range(len(row) - 1):
        for r in range(row[b + 1] - 1, row[b] - 1, -1):
            y[r] /= factors[b, r - row[b], r - row[b]]
            for o in range(row[b], r):
                y[o] -= factors[b, r - row[b], o - row[b]] * y[r]


@compiled
def _iterate(
    shared: Floats, local: Floats, row: Ints, column: Ints, cost: Floats, group: Ints, groups: int,
    rhs: Floats, at: Ints, sign: Floats, flow_cost: Floats, flow_upper: Floats,
    peak: Ints, peak_at: Ints, peak_of: Ints, hours: Floats,
    ceiling: Floats, charge: Floats, first_over: int, theta: Floats, price: Floats,
    distance: float, precision: float,
) -> None:  # fmt: skip
    """The interior point iterations; ``theta`` and ``price`` are where to start, and the result."""
    n, dense = shared.shape
    wide, rows = local.shape[1], len(rhs)
    flows, peaks, peak_cells = len(at), len(charge), len(peak_at)
    rest = flows + peaks + peak_cells
    size = n + rest
    c, upper = np.zeros(size), np.full(size, np.inf)
    c[:n], c[n : n + flows], c[n + flows : n + flows + peaks] = cost, flow_cost, charge
    upper[n : n + flows] = flow_upper
    y, y_peak, y_group = -price, np.zeros(peak_cells), np.full(groups, np.inf)
    x, s, q = np.empty(size), np.empty(size), np.zeros(size)

    # a bit of every column, and prices that are feasible for all of them
    x[:n] = theta
    s[:n] = cost + _seen(price, shared, local, row, column)
    for j in range(n):
        y_group[group[j]] = min(y_group[group[j]], s[j])
    for j in range(n):
        s[j] += 0.1 * distance - y_group[group[j]]
    y_group -= 0.1 * distance
    # flows as the columns make them, kept off their bounds
    drawn = _made(theta, shared, local, row, column, rows) - rhs
    x[n:] = 1e-3
    for v in range(flows):
        wanted = -sign[v] * drawn[at[v]]
        if upper[n + v] < np.inf:
            wanted = min(wanted, 0.95 * upper[n + v])
            x[n + v] = max(wanted, 0.05 * upper[n + v])
        elif v < first_over:
            x[n + v] = max(wanted, 1e-3)
    for p in range(peak_cells):
        above = (max(drawn[peak_at[p]], 0.0) - ceiling[p]) / hours[p]
        k = n + flows + peak_of[p]
        x[k] = max(x[k], above)
    for p in range(peak_cells):
        held = ceiling[p] + hours[p] * x[n + flows + peak_of[p]] - max(drawn[peak_at[p]], 0.0)
        x[n + flows + peaks + p] = max(held, 1e-3)
    seen = np.zeros(rest)
    _gradient(y, y_peak, at, sign, peak, peak_of, hours, peaks, seen)
    bounded = 0
    for v in range(n, size):
        reduced = c[v] - seen[v - n]
        s[v] = max(reduced, 0.0) + 0.02
        if upper[v] < np.inf:
            q[v] = max(-reduced, 0.0) + 0.02
            bounded += 1

    largest = 1.0 + (np.abs(rhs).max() if rows else 0.0)
    z, d, t = np.full(size, np.inf), np.empty(size), np.empty(size)
    rs, rq, dual, scaled = np.empty(size), np.zeros(size), np.empty(size), np.empty(size)
    dx, ds, dq = np.zeros(size), np.zeros(size), np.zeros(size)
    work, work_local, root = np.empty((n, dense)), np.empty((n, wide)), np.empty(n)
    block = np.full(groups, -1)
    for part in range(len(row) - 1):
        for j in range(column[part], column[part + 1]):
            block[group[j]] = part
    factors = np.empty((len(row) - 1, wide, wide))
    across = np.empty((rows - dense, dense))
    iteration = 0
    while iteration < MOST_ITERATIONS:
        # what is missing in the rows and columns
        cell = rhs - _made(x[:n], shared, local, row, column, rows)
        peak_cell = ceiling.copy()
        made, made_peak = np.zeros(rows), np.zeros(peak_cells)
        _scatter(x[n:], at, sign, peak, peak_of, hours, peaks, made, made_peak)
        cell -= made
        peak_cell -= made_peak
        whole = np.ones(groups)
        for j in range(n):
            whole[group[j]] -= x[j]
        by_cell = _seen(y, shared, local, row, column)
        for j in range(n):
            dual[j] = c[j] - s[j] - by_cell[j] - y_group[group[j]]
        _gradient(y, y_peak, at, sign, peak, peak_of, hours, peaks, seen)
        gap, objective = 0.0, 0.0
        for v in range(size):
            gap += x[v] * s[v]
            objective += c[v] * x[v]
            if v >= n:
                dual[v] = c[v] - s[v] + q[v] - seen[v - n]
                if upper[v] < np.inf:
                    z[v] = upper[v] - x[v]
                    gap += z[v] * q[v]
            if abs(dual[v]) <= 1e-12 * (abs(c[v]) + s[v] + q[v]):
                dual[v] = 0.0  # rounding, which a weight without bound would blow up
        primal = 0.0
        for r in range(rows):
            primal = max(primal, abs(cell[r]))
        for p in range(peak_cells):
            primal = max(primal, abs(peak_cell[p]))
        if gap <= precision * abs(objective) and primal <= precision * largest:
            break
        iteration += 1
        mu = gap / (size + bounded)

        # the normal matrix of the active cells
        weight, centre = np.zeros(groups), np.zeros((groups, dense))
        centre_local = np.zeros((groups, wide))
        for v in range(size):
            d[v] = 1.0 / (s[v] / x[v] + q[v] / z[v])
        for j in range(n):
            weight[group[j]] += d[j]
            for r in range(dense):
                centre[group[j], r] += d[j] * shared[j, r]
            for r in range(wide):
                centre_local[group[j], r] += d[j] * local[j, r]
        for g in range(groups):
            for r in range(dense):
                centre[g, r] /= weight[g]
            for r in range(wide):
                centre_local[g, r] /= weight[g]
        for j in range(n):
            root[j] = np.sqrt(d[j])
            for r in range(dense):
                work[j, r] = root[j] * (shared[j, r] - centre[group[j], r])
            for r in range(wide):
                work_local[j, r] = root[j] * (local[j, r] - centre_local[group[j], r])
        matrix = np.dot(work.T, work)
        seen_by, e, inner = np.zeros(peak_cells), np.empty(peak_cells), np.zeros(peaks)
        diagonal = np.zeros(rows)
        for v in range(flows):
            if peak[v] >= 0:
                seen_by[peak[v]] += d[n + v]
            else:
                diagonal[at[v]] += d[n + v]
        for r in range(dense):
            matrix[r, r] += diagonal[r]
        for p in range(peak_cells):
            free = d[n + flows + peaks + p]
            e[p] = seen_by[p] + free
            matrix[peak_at[p], peak_at[p]] += seen_by[p] * free / e[p]
            inner[peak_of[p]] += hours[p] * hours[p] / e[p]
        for k in range(peaks):
            inner[k] = d[n + flows + k] / (1.0 + d[n + flows + k] * inner[k])
        for p in range(peak_cells):
            for o in range(peak_cells):
                if peak_of[p] == peak_of[o]:
                    matrix[peak_at[p], peak_at[o]] += (
                        inner[peak_of[p]] * seen_by[p] * hours[p] / e[p]
                        * seen_by[o] * hours[o] / e[o]
                    )  # fmt: skip
        factor = _factor(matrix, work, work_local, diagonal, row, column, factors, across)

        for corrector in range(2):
            if corrector == 0:
                for v in range(size):
                    rs[v] = -x[v] * s[v]
                    rq[v] = -z[v] * q[v] if upper[v] < np.inf else 0.0
            else:
                a = _longest(x, dx, _longest(z[n:], -dx[n:], 1.0))
                b = _longest(s, ds, _longest(q[n : n + flows], dq[n : n + flows], 1.0))
                after = 0.0
                for v in range(size):
                    after += (x[v] + a * dx[v]) * (s[v] + b * ds[v])
                    if upper[v] < np.inf:
                        after += (z[v] - a * dx[v]) * (q[v] + b * dq[v])
                target = mu * (after / gap) ** 3
                for v in range(size):
                    rs[v] = target - x[v] * s[v] - dx[v] * ds[v]
                    if upper[v] < np.inf:
                        rq[v] = target - z[v] * q[v] + dx[v] * dq[v]
            r_group = whole.copy()
            for v in range(size):
                t[v] = dual[v] - rs[v] / x[v] + rq[v] / z[v]
                scaled[v] = d[v] * t[v]
            for j in range(n):
                r_group[group[j]] += scaled[j]
                root[j] = np.sqrt(d[j]) * t[j]
            r_cell = cell + _made(root, work, work_local, row, column, rows)
            r_cell[:dense] -= np.dot(whole, centre)
            for g in range(groups):
                own = block[g]
                if own >= 0:
                    for r in range(row[own], row[own + 1]):
                        r_cell[r] -= whole[g] * centre_local[g, r - row[own]]
            r_peak = peak_cell.copy()
            _scatter(scaled[n:], at, sign, peak, peak_of, hours, peaks, r_cell, r_peak)
            dy_peak, sums = np.empty(peak_cells), np.empty(peaks)
            _solve_peaks(r_peak, e, inner, peak_of, hours, dy_peak, sums)
            dy = r_cell
            for p in range(peak_cells):
                dy[peak_at[p]] += seen_by[p] * dy_peak[p]
            _solve(factor, factors, across, row, dy)
            for p in range(peak_cells):
                r_peak[p] += seen_by[p] * dy[peak_at[p]]
            _solve_peaks(r_peak, e, inner, peak_of, hours, dy_peak, sums)
            moved = _seen(dy, work, work_local, row, column)
            for g in range(groups):
                r_group[g] /= weight[g]
            for j in range(n):
                dx[j] = np.sqrt(d[j]) * moved[j] + d[j] * (r_group[group[j]] - t[j])
            _gradient(dy, dy_peak, at, sign, peak, peak_of, hours, peaks, seen)
            for v in range(n, size):
                dx[v] = d[v] * seen[v - n] - scaled[v]
            for k in range(peaks):  # the same, without differences of large numbers
                dx[n + flows + k] = -inner[k] * sums[k] - scaled[n + flows + k]
            for v in range(size):
                ds[v] = (rs[v] - s[v] * dx[v]) / x[v]
                dq[v] = (rq[v] + q[v] * dx[v]) / z[v]
        if not np.isfinite(dx.sum() + ds.sum() + dq.sum() + dy.sum()):
            break  # as precise as it gets
        dy_group = r_group - np.dot(centre, dy[:dense])
        for g in range(groups):
            own = block[g]
            if own >= 0:
                for r in range(row[own], row[own + 1]):
                    dy_group[g] -= centre_local[g, r - row[own]] * dy[r]
        a = 0.99 * _longest(x, dx, _longest(z[n:], -dx[n:], 1.0 / 0.99))
        b = 0.99 * _longest(s, ds, _longest(q[n : n + flows], dq[n : n + flows], 1.0 / 0.99))
        a, b = min(a, 1.0), min(b, 1.0)
        x += a * dx
        s += b * ds
        q += b * dq
        y += b * dy
        y_peak += b * dy_peak
        y_group += b * dy_group
    theta[:] = x[:n]
    price[:] = -y
