"""From shares of columns to a schedule for every vehicle."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array

from gridleaf.plan.cells import active_cells
from gridleaf.plan.columns import Coordinator, Mixture, Standing
from gridleaf.plan.cost import Bill, settled
from gridleaf.plan.network import Network
from gridleaf.plan.problem import Floats, Ints, Penalties, Powers, Problem
from gridleaf.plan.sweep import Mixtures, Sheets, Sweeper, blank, pieces, ranked

IN_USE = (1e-2, 2e-3, 1e-5, 0.0)
"""Only columns with a larger share are mixed, if that is good enough."""
MANY_GROUPS = 64
"""With more groups than this the simplex method would take too long."""


@dataclass(frozen=True, slots=True)
class Schedules:
    """Powers ``(N, T)`` [kW], in how many steps a vehicle charges and discharges at once, their bill."""

    charge_kw: Powers
    discharge_kw: Powers
    both: int
    bill: Bill


def settle_shares(coordinator: Coordinator, tolerance: float) -> None:
    """Few columns with exactly optimal shares, in place of many nearly optimal ones.

    A vertex of the master problem has at most one column for each group and active cell together; every
    vehicle is asked once for each column of its group that is left.
    """
    pool, standing = coordinator.pool, coordinator.standing
    if coordinator.groups > MANY_GROUPS and coordinator.net.incidence.shape[1] > 1:
        coordinator.polish()
        return
    theta = pool.theta
    best = coordinator.cost(theta)
    for least in IN_USE:
        use = np.flatnonzero(theta > least)
        with coordinator.times.of("master"):
            found = _vertex(coordinator, use)
            while found is not None and coordinator.widen(found):
                found = _vertex(coordinator, use)
        if found is None:
            continue
        cost = coordinator.cost(found)
        if cost - standing.bound <= 1.1 * tolerance * abs(standing.bound) or least == 0.0:
            if cost <= best or cost - standing.bound <= 1.1 * tolerance * abs(standing.bound):
                pool.theta, standing.cost = found, cost
            break
    pool.keep(pool.theta > 0)


def _vertex(coordinator: Coordinator, use: Ints) -> Floats | None:
    """The optimal shares ``(n,)`` if only the columns ``use`` have any, by the simplex method."""
    net, pool, count = coordinator.net, coordinator.pool, coordinator.count
    cells = active_cells(net.inside(), coordinator.active, count)
    n, nv, k, nq = len(use), len(cells.at), len(cells.charge), len(cells.peak_at)
    rows, groups = len(cells.rhs), coordinator.groups
    into = coordinator.entries(use)
    column, row = np.nonzero(into)
    entry = into[column, row]
    variable = np.arange(nv)
    seen = cells.peak >= 0
    entries = [
        (row, column, entry / count),
        (rows + pool.group[use], np.arange(n), np.ones(n)),
        (cells.at, n + variable, cells.sign),
        (rows + groups + cells.peak[seen], n + variable[seen], np.ones(int(seen.sum()))),
        (rows + groups + np.arange(nq), n + nv + cells.peak_of, -cells.hours),
    ]
    at, on, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    size = n + nv + k
    matrix = csc_array(coo_array((value, (at, on)), shape=(rows + groups + nq, size)))
    lower = np.concatenate((cells.rhs, np.ones(groups), np.full(nq, -np.inf)))
    upper = np.concatenate((cells.rhs, np.ones(groups), cells.ceiling))
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("presolve", "off")
    highs.setOptionValue("primal_feasibility_tolerance", 1e-9)
    highs.setOptionValue("dual_feasibility_tolerance", 1e-9)
    highs.passModel(
        size,
        rows + groups + nq,
        matrix.nnz,
        highspy.MatrixFormat.kColwise.value,
        highspy.ObjSense.kMinimize.value,
        0.0,
        np.concatenate((coordinator.own()[use] / count, cells.cost, cells.charge)),
        np.zeros(size),
        np.concatenate((np.full(n, np.inf), cells.upper, np.full(k, np.inf))),
        lower,
        upper,
        matrix.indptr.astype(np.int32),
        matrix.indices.astype(np.int32),
        matrix.data,
        np.zeros(size, dtype=np.int32),
    )
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    theta = np.maximum(np.array(highs.getSolution().col_value)[:n], 0.0)
    theta[theta < 1e-9] = 0.0
    total = np.bincount(pool.group[use], weights=theta, minlength=groups)
    shares = np.zeros(len(pool.theta))
    shares[use] = theta / total[pool.group[use]]
    return shares


def schedules(
    mixture: Mixture,
    net: Network,
    sweeper: Sweeper,
    standing: Standing,
    problem: Problem,
    prices: Penalties,
    tolerance: float,
    sheets: Sheets,
) -> Schedules:
    """The schedule of every vehicle: its group's shares of its own answers; and what all that costs.

    Where charging in one answer meets discharging in another, one power with the same effect on the
    battery takes their place, unless that costs more after all.
    """
    mixed = _may_net(net, mixture.drawn, standing.price)
    result = _written(mixture, net, sweeper, problem, prices, mixed, sheets)
    worse = result.bill.objective_eur - standing.cost
    if worse <= 0.1 * tolerance * abs(standing.bound) or not mixed.any():
        return result
    sheets = blank(*sheets[0].shape)
    other = _written(mixture, net, sweeper, problem, prices, np.zeros_like(mixed), sheets)
    return min(result, other, key=lambda written: written.bill.objective_eur)


def _written(
    mixture: Mixture,
    net: Network,
    sweeper: Sweeper,
    problem: Problem,
    prices: Penalties,
    mixed: NDArray[np.bool_],
    sheets: Sheets,
) -> Schedules:
    """The schedules with charging and discharging netted where ``mixed`` ``(P, T)`` says."""
    fleet = sweeper.fleet
    groups = len(fleet.kind)
    by_group = np.argsort(mixture.group, kind="stable")
    number = np.bincount(mixture.group, minlength=groups)
    stop = np.cumsum(number)
    classes = net.incidence.shape[1]
    vectors = ranked(mixture.prices)
    vector, share = mixture.vector[by_group], mixture.share[by_group]

    begin, end, _, task = pieces(fleet, np.arange(groups), fleet.end - fleet.begin)
    mixtures = Mixtures((stop - number)[task], stop[task], vector, share, mixed[fleet.kind[task]])
    written = sweeper.write(begin, end, mixtures, vectors, sheets)
    by_class = np.zeros((classes, len(fleet.step_h)))
    np.add.at(by_class, fleet.kind[task], written.drawn)
    lines = net.incidence @ by_class
    wear, value, turnover, short, dwell, both = written.sums.sum(axis=0).tolist()
    nodes = len(problem.nodes.id)
    result = settled(
        problem,
        prices,
        node_kw=lines[:nodes],
        row_kw=lines[nodes:],
        unmet_kwh=written.missing_kwh,
        trip_unmet_kwh=np.zeros(0) if problem.visits.after is None else written.lent_kwh,
        short_kwh_h=short,
        dwell_eur=dwell,
        wear_eur=wear,
        value_eur=value,
        value_turnover_eur=turnover,
    )
    return Schedules(written.charge_kw, written.discharge_kw, int(both), result)


def _may_net(net: Network, drawn: Floats, price: Floats) -> NDArray[np.bool_]:
    """Where drawing a little less costs nothing, for each class ``(P, T)``.

    Charging and discharging at once wastes energy. Undoing it lowers what a vehicle draws, which is
    no gain where energy has a negative price, and would break an export limit that is met.
    """
    flow = net.flows(drawn)
    margin = 0.02 * (net.high - net.low)
    tight = (flow - margin < -net.limit_out) | ((net.sell < 0) & (flow < margin))
    reach = net.incidence
    blocked = np.asarray(abs(reach).T @ tight.astype(np.float64)) > 0
    # a row that a vehicle relieves by drawing more
    relieved = np.asarray((-reach).maximum(0).T @ net.needed.astype(np.float64)) > 0
    return np.asarray((net.price_of_classes(price) >= 0) & ~blocked & ~relieved)
