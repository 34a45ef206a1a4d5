"""A structured interior point method for the master problem, compiled.

Mehrotra's predictor-corrector method, started from a known solution. The normal matrix of a problem has one
row for each of its cells only: the sums of the shares and the peaks are eliminated first, and the columns
of a group enter as differences from their mean, so that nothing cancels. Where problems share cells, the
steps below take one of them at a time, in any order and on any thread: each is eliminated by itself
(:func:`eliminate`), and what it leaves is added up for the cells that all share.

All that is compiled together is in this one file, as in :mod:`gridleaf.plan.oracle`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gridleaf.domain.compiled import compiled
from gridleaf.plan.cells import Book, Cells, Columns, Lines, Missing, Part, Point, Split, System
from gridleaf.plan.problem import Floats, Ints

MOST_ITERATIONS = 80
CENTRED = 0.1
"""Products of a flow and its multiplier start from so much of the distance of a group [-]."""


@compiled
def put(
    columns: Columns, lines: Lines, begin: int, end: int, first: int, last: int, out: Floats
) -> None:
    """What columns ``begin..end`` put into the cells ``first..last``: the first of ``out`` ``(n, W)`` [kWh]."""
    weight = np.zeros(columns.linear.shape[0])
    for r in range(first, last):
        row = range(lines.indptr[lines.line[r]], lines.indptr[lines.line[r] + 1])
        for i in row:
            weight[lines.indices[i]] = lines.weight[i]
        for j in range(begin, end):
            out[j - begin, r - first] = (
                weight[columns.kind[j]] * columns.flow[columns.at[j], lines.step[r]]
            )
        for i in row:
            weight[lines.indices[i]] = 0.0


@compiled
def _cells_of(cells: Cells, split: Split, b: int) -> Cells:
    """The cells of one problem."""
    r0, r1 = split.cell[b], split.cell[b + 1]
    v0, v1 = split.variable[b], split.variable[b + 1]
    q0, q1 = split.peak_cell[b], split.peak_cell[b + 1]
    k0, k1 = split.peak[b], split.peak[b + 1]
    return Cells(
        cells.scale[r0:r1], cells.rhs[r0:r1], cells.at[v0:v1] - r0, cells.sign[v0:v1],
        cells.cost[v0:v1], cells.upper[v0:v1], cells.beyond[v0:v1],
        np.where(cells.peak[v0:v1] >= 0, cells.peak[v0:v1] - q0, -1), cells.peak_at[q0:q1] - r0,
        cells.peak_of[q0:q1] - k0, cells.hours[q0:q1], cells.ceiling[q0:q1], cells.charge[k0:k1],
    )  # fmt: skip


@compiled
def words_of(
    n: Any, wide: Any, groups: Any, rows: Any, flows: Any, peaks: Any, peak_cells: Any
) -> Any:
    """How many numbers a problem works with."""
    vectors = 17 * (n + flows + peaks + peak_cells) + 3 * rows + 6 * peak_cells + 5 * groups + peaks
    return vectors + (2 * n + groups + rows) * wide


@compiled
def part_of(n: int, wide: int, groups: int, group: Ints, cells: Cells, memory: Floats) -> Part:
    """A problem with its working arrays, out of ``memory``."""
    rows, flows = len(cells.rhs), len(cells.at)
    peaks, peak_cells = len(cells.charge), len(cells.peak_at)
    size = n + flows + peaks + peak_cells
    end = 17 * size
    vectors = memory[:end].reshape(17, size)
    by_cell = memory[end : end + 3 * rows].reshape(3, rows)
    end += 3 * rows
    by_peak = memory[end : end + 6 * peak_cells].reshape(6, peak_cells)
    end += 6 * peak_cells
    by_group = memory[end : end + 5 * groups].reshape(5, groups)
    end += 5 * groups
    inner = memory[end : end + peaks]
    end += peaks
    into = memory[end : end + n * wide].reshape(n, wide)
    end += n * wide
    work = memory[end : end + n * wide].reshape(n, wide)
    end += n * wide
    centre = memory[end : end + groups * wide].reshape(groups, wide)
    end += groups * wide
    factor = memory[end : end + rows * rows].reshape(rows, rows)
    end += rows * rows
    across = memory[end : end + rows * (wide - rows)].reshape(rows, wide - rows)
    v, c, p, g = vectors, by_cell, by_peak, by_group
    return Part(
        into, group, cells, v[0], v[1],
        Point(v[2], v[3], v[4], v[5], c[0], p[0], g[0]),
        Point(v[6], v[7], v[8], v[9], c[1], p[1], g[1]),
        Missing(c[2], p[2], g[2], v[10]),
        System(
            v[11], g[3], centre, work, p[3], p[4], inner, factor, across, v[12], v[13], g[4], p[5],
            v[14], v[15],
        ),
    )  # fmt: skip


@compiled
def set_costs(part: Part, columns: Columns, j0: int, per: float) -> None:
    """What columns, variables and peaks cost, and their upper bounds."""
    n, cells = len(part.into), part.cells
    flows, peaks = len(cells.at), len(cells.charge)
    part.c[:] = 0.0
    part.upper[:] = np.inf
    for j in range(n):
        total = columns.own[columns.at[j0 + j]]
        kind, flow = columns.kind[j0 + j], columns.flow[columns.at[j0 + j]]
        for t in range(columns.linear.shape[1]):
            total += columns.linear[kind, t] * flow[t]
        part.c[j] = total * per
    part.c[n : n + flows] = cells.cost
    part.c[n + flows : n + flows + peaks] = cells.charge
    part.upper[n : n + flows] = cells.upper


@compiled
def set_out(part: Part, theta: Floats, price: Floats, made: Floats, distance: float) -> None:
    """Prices that are feasible for all columns, and flows as they make them, kept off their bounds.

    ``price`` ``(W,)`` are those of the own and the shared cells, ``made`` ``(R,)`` is what others put into
    the own ones, and ``distance`` [EUR] how far each group may be from its optimum. No product of a
    variable and its multiplier is much smaller or larger than that: else the first steps are short.
    """
    cells, point, c, upper = part.cells, part.point, part.c, part.upper
    n, size, rows = len(part.into), len(c), len(cells.rhs)
    flows, peaks, peak_cells = len(cells.at), len(cells.charge), len(cells.peak_at)
    x, s, q, z = point.x, point.s, point.q, point.z
    q[:] = 0.0
    z[:] = np.inf
    for r in range(rows):
        point.y[r] = -price[r]
    point.y_group[:] = np.inf
    x[:n] = theta
    s[:n] = c[:n] + np.dot(part.into, price)
    for j in range(n):
        g = part.group[j]
        point.y_group[g] = min(point.y_group[g], s[j])
    for j in range(n):
        s[j] += distance - point.y_group[part.group[j]]
    for g in range(len(point.y_group)):
        point.y_group[g] -= distance
    drawn = made - cells.rhs
    for r in range(rows):
        for j in range(n):
            drawn[r] += theta[j] * part.into[j, r]
    _pay_peaks(point.y, cells, c[n:], point.y_peak)
    _gradient(point.y, point.y_peak, cells, s[n:])
    centre = CENTRED * distance
    x[n:] = 1e-3
    for v in range(flows):
        wanted = -cells.sign[v] * drawn[cells.at[v]]
        if upper[n + v] < np.inf:
            wanted = min(wanted, 0.95 * upper[n + v])
            x[n + v] = max(wanted, 0.05 * upper[n + v])
            z[n + v] = upper[n + v] - x[n + v]
        elif cells.beyond[v]:
            x[n + v] = min(1e-3, centre / max(c[n + v] - s[n + v], 1e-9))
        else:
            x[n + v] = max(wanted, 1e-3)
    for p in range(peak_cells):
        above = (max(drawn[cells.peak_at[p]], 0.0) - cells.ceiling[p]) / cells.hours[p]
        k = n + flows + cells.peak_of[p]
        x[k] = max(x[k], above)
    for p in range(peak_cells):
        paid = cells.ceiling[p] + cells.hours[p] * x[n + flows + cells.peak_of[p]]
        x[n + flows + peaks + p] = max(paid - max(drawn[cells.peak_at[p]], 0.0), 1e-3)
    for v in range(n, size):
        reduced = c[v] - s[v]
        least = 0.02 * (cells.scale[cells.at[v - n]] if v < n + flows else 1.0)
        least = min(least, centre / min(x[v], z[v]))
        s[v] = max(reduced, 0.0) + least
        if upper[v] < np.inf:
            q[v] = max(-reduced, 0.0) + least


@compiled
def _pay_peaks(y: Floats, cells: Cells, c: Floats, y_peak: Floats) -> None:
    """Multipliers of the peak cells for which their flows cost nothing less, as far as the peak is worth it."""
    y_peak[:] = 0.0
    total = np.zeros(len(cells.charge))
    for v in range(len(cells.at)):
        p = cells.peak[v]
        if p >= 0:
            y_peak[p] = min(y_peak[p], c[v] - cells.sign[v] * y[cells.at[v]])
    for p in range(len(y_peak)):
        total[cells.peak_of[p]] -= cells.hours[p] * y_peak[p]
    for p in range(len(y_peak)):
        k = cells.peak_of[p]
        y_peak[p] *= min(1.0, 0.99 * cells.charge[k] / max(total[k], 1e-12))


@compiled
def miss(part: Part, y: Floats, made: Floats) -> tuple[float, float, float]:
    """Fill in what is missing; complementarity, objective and the largest error of a row.

    ``y`` ``(W,)`` are the multipliers of the own and shared cells, ``made`` ``(R,)`` is as in :func:`_begin`.
    """
    cells, point, missing, upper, c = part.cells, part.point, part.missing, part.upper, part.c
    n, size, rows = len(part.into), len(c), len(cells.rhs)
    x, s, q, dual = point.x, point.s, point.q, missing.dual
    here = made.copy()
    missing.peak_cell[:] = cells.ceiling
    taken = np.zeros(len(missing.peak_cell))
    for j in range(n):
        for r in range(rows):
            here[r] += x[j] * part.into[j, r]
    _scatter(x[n:], cells, here, taken)
    primal = 0.0
    for r in range(rows):
        missing.cell[r] = cells.rhs[r] - here[r]
        primal = max(primal, abs(missing.cell[r]))
    for p in range(len(taken)):
        missing.peak_cell[p] -= taken[p]
        primal = max(primal, abs(missing.peak_cell[p]))
    missing.whole[:] = 1.0
    for j in range(n):
        missing.whole[part.group[j]] -= x[j]
    by_cell = np.dot(part.into, y)
    for j in range(n):
        dual[j] = c[j] - s[j] - by_cell[j] - point.y_group[part.group[j]]
    _gradient(point.y, point.y_peak, cells, dual[n:])
    gap, objective = 0.0, 0.0
    for v in range(size):
        gap += x[v] * s[v]
        objective += c[v] * x[v]
        if v >= n:
            dual[v] = c[v] - s[v] + q[v] - dual[v]
            if upper[v] < np.inf:
                gap += point.z[v] * q[v]
        if abs(dual[v]) <= 1e-12 * (abs(c[v]) + s[v] + q[v]):
            dual[v] = 0.0  # rounding, which a weight without bound would blow up
    return gap, objective, primal


@compiled
def eliminate(part: Part, given: Floats, rest: Floats) -> bool:
    """Factor the normal matrix of the own cells; what it leaves of the shared ones is added to ``rest``.

    ``rest`` is ``(W - R, W - R)``, and ``given`` what others left of the own ones. False if the matrix is not
    positive definite.
    """
    into, group, cells, point, system = part.into, part.group, part.cells, part.point, part.system
    n, wide = into.shape
    rows, flows, groups = len(cells.rhs), len(cells.at), len(system.weight)
    d, weight, centre, work = system.d, system.weight, system.centre, system.work
    for v in range(len(d)):
        d[v] = 1.0 / (point.s[v] / point.x[v] + point.q[v] / point.z[v])
    weight[:] = 0.0
    centre[:] = 0.0
    for j in range(n):
        weight[group[j]] += d[j]
        for r in range(wide):
            centre[group[j], r] += d[j] * into[j, r]
    for g in range(groups):
        for r in range(wide):
            centre[g, r] /= weight[g]
    for j in range(n):
        root = np.sqrt(d[j])
        for r in range(wide):
            work[j, r] = root * (into[j, r] - centre[group[j], r])
    matrix = np.dot(work.T, work)
    if len(given):
        matrix += given
    _add_variables(part, matrix, flows, n)
    for r in range(rows):
        matrix[r, r] += 1e-14
    if rows:
        if not _cholesky(np.ascontiguousarray(matrix[:rows, :rows]), system.factor):
            return False
        across, factor = system.across, system.factor
        for r in range(rows):
            for i in range(wide - rows):
                across[r, i] = matrix[r, rows + i]
            for o in range(r):
                for i in range(wide - rows):
                    across[r, i] -= factor[r, o] * across[o, i]
            for i in range(wide - rows):
                across[r, i] /= factor[r, r]
        if wide > rows:
            matrix[rows:, rows:] -= np.dot(across.T, across)
    rest += matrix[rows:, rows:]
    return True


@compiled
def _add_variables(part: Part, matrix: Floats, flows: int, n: int) -> None:
    """The part of variables and peaks in the normal matrix of the own cells."""
    cells, d = part.cells, part.system.d
    seen_by, e, inner = part.system.seen_by, part.system.e, part.system.inner
    peaks, peak_cells = len(cells.charge), len(cells.peak_at)
    peak_at, peak_of, hours = cells.peak_at, cells.peak_of, cells.hours
    seen_by[:] = 0.0
    inner[:] = 0.0
    for v in range(flows):
        if cells.peak[v] >= 0:
            seen_by[cells.peak[v]] += d[n + v]
        else:
            matrix[cells.at[v], cells.at[v]] += d[n + v]
    for p in range(peak_cells):
        free = d[n + flows + peaks + p]
        e[p] = seen_by[p] + free
        matrix[peak_at[p], peak_at[p]] += seen_by[p] * free / e[p]
        inner[peak_of[p]] += hours[p] * hours[p] / e[p]
    for k in range(peaks):
        inner[k] = d[n + flows + k] / (1.0 + d[n + flows + k] * inner[k])
    weight = seen_by * hours / e
    for p in range(peak_cells):
        for o in range(peak_cells):
            if peak_of[p] == peak_of[o]:
                matrix[peak_at[p], peak_at[o]] += inner[peak_of[p]] * weight[p] * weight[o]


@compiled
def _cholesky(matrix: Floats, factor: Floats) -> bool:
    """The lower triangular factor; false where the matrix is not positive definite."""
    try:
        factor[:] = np.linalg.cholesky(matrix)
    except Exception:  # noqa: BLE001
        return False
    return True


@compiled
def aim(part: Part, target: float) -> None:
    """Aim at complementarities of zero, or after a first step at ``target``, with its second order."""
    point, step, upper = part.point, part.step, part.upper
    rs, rq = part.system.rs, part.system.rq
    for v in range(len(rs)):
        rs[v] = target - point.x[v] * point.s[v]
        rq[v] = 0.0
        if target > 0.0:
            rs[v] -= step.x[v] * step.s[v]
        if upper[v] < np.inf:
            rq[v] = target - point.z[v] * point.q[v]
            if target > 0.0:
                rq[v] += step.x[v] * step.q[v]


@compiled
def forward(part: Part, given: Floats, rest: Floats) -> None:
    """Newton's step, as far as the own cells go; what is left for the shared ones is added to ``rest``.

    ``given`` ``(R,)`` is what others left for the own ones.
    """
    cells, point, missing, system = part.cells, part.point, part.missing, part.system
    n, rows, peak_cells = len(part.into), len(cells.rhs), len(cells.peak_at)
    t, scaled, rs, rq = system.t, system.scaled, system.rs, system.rq
    for v in range(len(t)):
        t[v] = missing.dual[v] - rs[v] / point.x[v] + rq[v] / point.z[v]
        scaled[v] = system.d[v] * t[v]
    root = np.empty(n)
    system.r_group[:] = missing.whole
    for j in range(n):
        system.r_group[part.group[j]] += scaled[j]
        root[j] = np.sqrt(system.d[j]) * t[j]
    seen = np.dot(root, system.work) - np.dot(missing.whole, system.centre)
    y = part.step.y
    for r in range(rows):
        y[r] = missing.cell[r] + seen[r] + given[r]
    system.r_peak[:] = missing.peak_cell
    _scatter(scaled[n:], cells, y, system.r_peak)
    _solve_peaks(system.r_peak, system, cells, part.step.y_peak, np.empty(len(cells.charge)))
    for p in range(peak_cells):
        y[cells.peak_at[p]] += system.seen_by[p] * part.step.y_peak[p]
    factor = system.factor
    for i in range(rows):
        left = y[i]
        for j in range(i):
            left -= factor[i, j] * y[j]
        y[i] = left / factor[i, i]
    for i in range(len(rest)):
        rest[i] += seen[rows + i]
    for r in range(rows):
        for i in range(len(rest)):
            rest[i] -= system.across[r, i] * y[r]


@compiled
def backward(part: Part, shared: Floats) -> None:
    """The rest of Newton's step, from that of the multipliers of the shared cells."""
    cells, point, system, step = part.cells, part.point, part.system, part.step
    n, size, rows = len(part.into), len(part.c), len(cells.rhs)
    flows, peaks, peak_cells = len(cells.at), len(cells.charge), len(cells.peak_at)
    d, factor, r_group = system.d, system.factor, system.r_group
    y = np.empty(rows + len(shared))
    y[:rows] = step.y
    y[rows:] = shared
    for r in range(rows):
        for i in range(len(shared)):
            y[r] -= system.across[r, i] * shared[i]
    for i in range(rows - 1, -1, -1):
        y[i] /= factor[i, i]
        for j in range(i):
            y[j] -= factor[i, j] * y[i]
    step.y[:] = y[:rows]
    for p in range(peak_cells):
        system.r_peak[p] += system.seen_by[p] * y[cells.peak_at[p]]
    sums = np.empty(peaks)
    _solve_peaks(system.r_peak, system, cells, step.y_peak, sums)
    moved = np.dot(system.work, y)
    for g in range(len(r_group)):
        r_group[g] /= system.weight[g]
    for j in range(n):
        step.x[j] = np.sqrt(d[j]) * moved[j] + d[j] * (r_group[part.group[j]] - system.t[j])
    step.y_group[:] = r_group - np.dot(system.centre, y)
    _gradient(step.y, step.y_peak, cells, step.x[n:])
    for v in range(n, size):
        step.x[v] = d[v] * step.x[v] - system.scaled[v]
    for k in range(peaks):  # the same, without differences of large numbers
        step.x[n + flows + k] = -system.inner[k] * sums[k] - system.scaled[n + flows + k]
    for v in range(size):
        step.s[v] = (system.rs[v] - point.s[v] * step.x[v]) / point.x[v]
        step.q[v] = (system.rq[v] + point.q[v] * step.x[v]) / point.z[v]


@compiled
def longest(part: Part, a: float, b: float) -> tuple[float, float]:
    """The longest steps up to ``a`` and ``b`` that leave all positive: of what is taken, of multipliers."""
    point, step, n = part.point, part.step, len(part.into)
    for v in range(len(part.c)):
        if point.x[v] + a * step.x[v] < 0.0:
            a = -point.x[v] / step.x[v]
        if point.s[v] + b * step.s[v] < 0.0:
            b = -point.s[v] / step.s[v]
    for v in range(n, n + len(part.cells.at)):
        if point.z[v] - a * step.x[v] < 0.0:
            a = point.z[v] / step.x[v]
        if point.q[v] + b * step.q[v] < 0.0:
            b = -point.q[v] / step.q[v]
    return a, b


@compiled
def complementarity(part: Part, a: float, b: float) -> float:
    """The complementarity after steps."""
    point, step, total = part.point, part.step, 0.0
    for v in range(len(part.c)):
        total += (point.x[v] + a * step.x[v]) * (point.s[v] + b * step.s[v])
        if part.upper[v] < np.inf:
            total += (point.z[v] - a * step.x[v]) * (point.q[v] + b * step.q[v])
    return total


@compiled
def advance(part: Part, a: float, b: float) -> None:
    """Take the steps."""
    point, step = part.point, part.step
    for v in range(len(part.c)):
        point.x[v] += a * step.x[v]
        point.z[v] = part.upper[v] - point.x[v]
        point.s[v] += b * step.s[v]
        point.q[v] += b * step.q[v]
    for r in range(len(point.y)):
        point.y[r] += b * step.y[r]
    for p in range(len(point.y_peak)):
        point.y_peak[p] += b * step.y_peak[p]
    for g in range(len(point.y_group)):
        point.y_group[g] += b * step.y_group[g]


@compiled
def products(part: Part) -> int:
    """How many products the complementarity is the sum of."""
    number = len(part.c)
    for v in range(len(part.cells.at)):
        number += part.cells.upper[v] < np.inf
    return number


@compiled
def _with_some_of_each(theta: Floats, group: Ints, groups: int) -> Floats:
    """Shares with a bit of every column."""
    total, number = np.zeros(groups), np.zeros(groups)
    for j in range(len(theta)):
        total[group[j]] += theta[j]
        number[group[j]] += 1.0
    result = np.empty(len(theta))
    for j in range(len(theta)):
        g = group[j]
        known = 0.9 * theta[j] / total[g] if total[g] > 0.0 else 0.9 / number[g]
        result[j] = known + 0.1 / number[g]
    return result


@compiled
def _shares(part: Part, theta: Floats) -> bool:
    """Write the shares, those of each group made to sum to one; false where they are no numbers."""
    total = np.zeros(len(part.point.y_group))
    for j in range(len(part.into)):
        total[part.group[j]] += part.point.x[j]
    good = True
    for j in range(len(part.into)):
        share = part.point.x[j] / total[part.group[j]]
        good = good and np.isfinite(share)
        theta[j] = share
    return good


@compiled
def mix_each(
    start: int, stop: int, columns: Columns, lines: Lines, cells: Cells, split: Split, count: Floats,
    theta: Floats, price: Floats, distance: Floats, precision: Floats,
) -> None:  # fmt: skip
    """The problems ``start..stop`` one after the other."""
    nothing, square = np.zeros(0), np.zeros((0, 0))
    for b in range(start, stop):
        j0, j1, r0, r1 = split.column[b], split.column[b + 1], split.cell[b], split.cell[b + 1]
        n, rows, groups = j1 - j0, r1 - r0, split.group[b + 1] - split.group[b]
        own = _cells_of(cells, split, b)
        words = words_of(n, rows, groups, rows, len(own.at), len(own.charge), len(own.peak_at))
        part = part_of(n, rows, groups, columns.group[j0:j1], own, np.empty(words))
        put(columns, lines, j0, j1, r0, r1, part.into)
        for j in range(n):
            for r in range(rows):
                part.into[j, r] /= count[b]
        set_costs(part, columns, j0, 1.0 / count[b])
        first = _with_some_of_each(theta[j0:j1], part.group, groups)
        made, point = np.zeros(rows), part.point
        set_out(part, first, price[r0:r1], made, distance[b] * min(0.1, 3.2 / groups))
        largest = 1.0
        for r in range(rows):
            largest = max(largest, 1.0 + abs(own.rhs[r]))
        number = products(part)
        for _ in range(MOST_ITERATIONS):
            gap, objective, primal = miss(part, point.y, made)
            if gap <= precision[b] * abs(objective) and primal <= precision[b] * largest:
                break
            if not eliminate(part, square, square):
                break
            aim(part, 0.0)
            forward(part, made, nothing)
            backward(part, nothing)
            a, c = longest(part, 1.0, 1.0)
            aim(part, gap / number * (complementarity(part, a, c) / gap) ** 3)
            forward(part, made, nothing)
            backward(part, nothing)
            if not np.isfinite(part.step.x.sum() + part.step.s.sum() + part.step.y.sum()):
                break  # as precise as it gets
            a, c = longest(part, 1.0 / 0.99, 1.0 / 0.99)
            advance(part, min(0.99 * a, 1.0), min(0.99 * c, 1.0))
        if np.isfinite(point.y.sum()) and _shares(part, theta[j0:j1]):
            for r in range(rows):
                price[r0 + r] = -point.y[r]
        else:  # where it started is as good as it gets
            theta[j0:j1] = first


@compiled
def _of(book: Book, b: int) -> Part:
    """A part of the book."""
    split = book.split
    n, rows = split.column[b + 1] - split.column[b], split.cell[b + 1] - split.cell[b]
    groups = split.group[b + 1] - split.group[b]
    group = book.columns.group[split.column[b] : split.column[b + 1]]
    memory = book.memory[book.begin[b] : book.begin[b + 1]]
    return part_of(n, rows + len(book.step), groups, group, _cells_of(book.cells, split, b), memory)


@compiled
def set_out_all(
    start: int, stop: int, book: Book, count: Floats, whole: float, theta: Floats, price: Floats,
    shared: Floats, distance: float,
) -> None:  # fmt: skip
    columns, split = book.columns, book.split
    for b in range(start, stop):
        part = _of(book, b)
        n, wide = part.into.shape
        j0, r0, rows = split.column[b], split.cell[b], len(part.cells.rhs)
        put(columns, book.lines, j0, j0 + n, r0, r0 + rows, part.into)
        for j in range(n):
            flow = columns.flow[columns.at[j0 + j]]
            for r in range(rows):
                part.into[j, r] /= count[b]
            for r in range(rows, wide):
                share = book.weight[r - rows, columns.kind[j0 + j]]
                part.into[j, r] = share * flow[book.step[r - rows]] / whole
        set_costs(part, columns, j0, 1.0 / whole)
        prices = np.concatenate((price[r0 : r0 + rows], shared))
        # prices in the units of the rows
        for r in range(rows):
            prices[r] *= part.cells.scale[r]
        first = _with_some_of_each(theta[j0 : j0 + n], part.group, len(part.missing.whole))
        set_out(part, first, prices, np.zeros(rows), distance)


@compiled
def advance_all(start: int, stop: int, book: Book, a: float, c: float, shared: Floats) -> None:
    """Take steps, and see what is missing then."""
    for b in range(start, stop):
        part = _of(book, b)
        if a > 0.0 or c > 0.0:
            advance(part, a, c)
        rows = len(part.cells.rhs)
        y = np.concatenate((part.point.y, shared))
        gap, objective, primal = miss(part, y, np.zeros(rows))
        book.sums[b, 0], book.sums[b, 1], book.sums[b, 2] = gap, objective, primal
        book.sums[b, 3] = products(part)
        book.made[b] = 0.0
        for j in range(len(part.into)):
            for r in range(len(shared)):
                book.made[b, r] += part.point.x[j] * part.into[j, rows + r]


@compiled
def eliminate_all(start: int, stop: int, book: Book, rest: Floats) -> bool:
    square = np.zeros((0, 0))
    good = True
    for b in range(start, stop):
        good = good and eliminate(_of(book, b), square, rest)
    return good


@compiled
def forward_all(start: int, stop: int, book: Book, target: float) -> None:
    for b in range(start, stop):
        part = _of(book, b)
        aim(part, target)
        book.left[b] = 0.0
        forward(part, np.zeros(len(part.cells.rhs)), book.left[b])


@compiled
def backward_all(start: int, stop: int, book: Book, shared: Floats) -> None:
    """:func:`backward` for some parts."""
    for b in range(start, stop):
        backward(_of(book, b), shared)


@compiled
def longest_all(start: int, stop: int, book: Book, most: float) -> None:
    """:func:`longest` for some parts."""
    for b in range(start, stop):
        book.sums[b, 0], book.sums[b, 1] = longest(_of(book, b), most, most)


@compiled
def complementarity_all(start: int, stop: int, book: Book, a: float, c: float) -> None:
    for b in range(start, stop):
        book.sums[b, 0] = complementarity(_of(book, b), a, c)


@compiled
def shares_all(start: int, stop: int, book: Book, theta: Floats, price: Floats) -> bool:
    good = True
    for b in range(start, stop):
        part = _of(book, b)
        j0, r0 = book.split.column[b], book.split.cell[b]
        good = good and _shares(part, theta[j0 : j0 + len(part.into)])
        for r in range(len(part.cells.rhs)):
            price[r0 + r] = -part.point.y[r] / part.cells.scale[r]
    return good


@compiled
def _gradient(y: Floats, y_peak: Floats, cells: Cells, out: Floats) -> None:
    """The rows' multipliers as seen by the variables besides the shares: variables, peaks, rests."""
    count, peaks = len(cells.at), len(cells.charge)
    for v in range(count):
        out[v] = cells.sign[v] * y[cells.at[v]]
        if cells.peak[v] >= 0:
            out[v] += y_peak[cells.peak[v]]
    for k in range(peaks):
        out[count + k] = 0.0
    for p in range(len(cells.peak_of)):
        out[count + cells.peak_of[p]] -= cells.hours[p] * y_peak[p]
        out[count + peaks + p] = y_peak[p]


@compiled
def _scatter(x: Floats, cells: Cells, cell: Floats, peak_cell: Floats) -> None:
    """Add what the variables besides the shares put into the rows."""
    count, peaks = len(cells.at), len(cells.charge)
    for v in range(count):
        cell[cells.at[v]] += cells.sign[v] * x[v]
        if cells.peak[v] >= 0:
            peak_cell[cells.peak[v]] += x[v]
    for p in range(len(cells.peak_of)):
        peak_cell[p] += x[count + peaks + p] - cells.hours[p] * x[count + cells.peak_of[p]]


@compiled
def _solve_peaks(r: Floats, system: System, cells: Cells, out: Floats, sums: Floats) -> None:
    """The inverse of the peak rows' block, diagonal and one product for each peak, times ``r``."""
    e, peak_of, hours = system.e, cells.peak_of, cells.hours
    sums[:] = 0.0
    for p in range(len(e)):
        out[p] = r[p] / e[p]
        sums[peak_of[p]] += hours[p] * out[p]
    for p in range(len(e)):
        out[p] -= system.inner[peak_of[p]] * sums[peak_of[p]] * hours[p] / e[p]
