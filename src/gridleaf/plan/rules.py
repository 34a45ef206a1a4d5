"""The plan by plain rules, for when the solver gives none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gridleaf.domain.clock import stopwatch
from gridleaf.plan.cost import bill, finish, meter_prices
from gridleaf.plan.problem import (
    Floats,
    Plan,
    Problem,
    by_step,
    check,
    filled,
    from_the_roots,
    least_powers,
    parents,
    places,
    plugged_in,
    usable,
)
from gridleaf.plan.vehicles import chains


def fallback(problem: Problem, *, timer: Callable[[], float] = stopwatch) -> Plan:
    """Charge at once, who has the least time to spare first, inside every limit; never discharge.

    In each step first every vehicle below its minimum is charged towards it, then all towards
    their targets, in the order of their laxity (time left less the time that charging at full power
    still needs). Prices play no part, so nothing is proven: the lower bound is -inf and the gap inf.
    Shadow prices are what one more kWh costs at the meters as they run.

    Raises
    ------
    ProblemError
        The problem is malformed.
    """
    began = timer()
    check(problem)
    problem = usable(problem)
    charge = _least_laxity_first(problem)
    discharge = np.zeros(charge.shape)
    result = bill(problem, charge, discharge)
    return finish(
        problem,
        result,
        method="rules",
        charge_kw=charge,
        discharge_kw=discharge,
        lower_bound_eur=-np.inf,
        shadow_price_eur_per_kwh=meter_prices(problem.nodes, result.export_kw),
        notes=(),
        seconds=timer() - began,
    )


def _least_laxity_first(problem: Problem) -> Floats:
    visits, nodes, rows, step_h = problem.visits, problem.nodes, problem.rows, problem.step_h
    inside = plugged_in(problem)
    most = np.where(inside, by_step(visits.charge_kw, len(step_h)), 0.0)
    edges = np.concatenate(([0.0], np.cumsum(step_h)))
    chain = chains(visits)
    floor, cap = chain.floor, chain.most.copy()
    goal = np.fmax(floor, visits.target_kwh)
    for wave in reversed(chain.waves):
        # enough for what comes after, and no more than has room then
        behind = chain.before[wave]
        goal[behind] = np.maximum(goal[behind], np.maximum(goal, floor)[wave] + chain.trip[wave])
        cap[behind] = np.minimum(cap[behind], cap[wave] + chain.trip[wave])
    goal = np.minimum(goal, cap)
    goal = np.where(np.isfinite(goal), goal, chain.idle)
    room = filled(nodes.import_limit_kw, np.inf) - nodes.load_kw
    factor = np.zeros((0, len(visits.id))) if rows is None else rows.coefficient
    slack = np.zeros((0, len(step_h))) if rows is None else filled(rows.bound_kw, np.inf)
    parent = parents(nodes)
    path: dict[int, list[int]] = {-1: []}
    for k in from_the_roots(parent):
        path[k] = [k, *path[int(parent[k])]]
    above = [path[int(k)] for k in places(problem)]
    limiting = [np.flatnonzero(factor[:, i] > 0) for i in range(len(visits.id))]

    least, _ = least_powers(visits)
    charge = np.zeros(most.shape)
    energy = visits.energy_kwh.copy()
    for t, hours in enumerate(step_h.tolist()):
        for wave in chain.waves:
            now = wave[visits.arrive[wave] == t]
            energy[now] = np.maximum(energy[chain.before[now]] - chain.trip[now], floor[now])
        per_kw = visits.charge_efficiency * hours
        here = np.flatnonzero(most[:, t] > 0)
        fullest = visits.charge_efficiency[here] * most[here, t]
        left = edges[visits.depart[here]] - edges[t]
        laxity = left - np.maximum(goal[here] - energy[here], 0) / fullest
        turn = here[np.argsort(laxity, kind="stable")].tolist()
        for wanted in (np.minimum(floor, goal), goal):
            for i in turn:
                need = (wanted[i] - energy[i]) / per_kw[i]
                most_spare = min(most[i, t] - charge[i, t], *(room[k, t] for k in above[i]))
                for m in limiting[i]:
                    most_spare = min(most_spare, slack[m, t] / factor[m, i])
                spare = min(need, most_spare)
                if 0 < spare < least[i] - charge[i, t]:
                    # no less than the least power: a little more than is wanted, or nothing
                    most_spare = min(most_spare, (cap[i] - energy[i]) / per_kw[i])
                    spare = least[i] if most_spare >= least[i] else 0.0
                if spare > 0:
                    charge[i, t] += spare
                    energy[i] += spare * per_kw[i]
                    room[above[i], t] -= spare
                    slack[:, t] -= factor[:, i] * spare
    return charge
