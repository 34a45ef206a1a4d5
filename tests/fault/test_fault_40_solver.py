"""Fault 40: the solver is out of time, crashes, or returns rubbish.

Required: the last plan moved on, else plain rules; cycles go on.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from gridleaf.domain.errors import PlanningFailed
from gridleaf.plan import Plan, Problem, solve
from scenario.depot import CYCLE_S, Depot, car, giver, monday, play


def never(_: Problem, **__: Any) -> Plan:
    raise PlanningFailed("out of time")


def test_fault_40_without_any_plan_cars_are_charged_by_rules_within_every_limit() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.5), leaves=20.0)
        await depot.plug("DC-2", giver(2, soc=0.5), leaves=20.5)
        await depot.plug("AC-3", car("GUEST", 0.2, charge_max_kw=11.0))
        await depot.minutes(5)
        assert "planner_fallback" in depot.alerts()
        while depot.time.now() < monday(20):
            assert min(depot.power("DC-1"), depot.power("DC-2")) >= 0.0
            await depot.minutes(5)
        assert min(depot.soc("DC-1"), depot.soc("DC-2")) >= 0.8 - 0.005
        assert depot.session("AC-3").charged.total_kwh > 5.0

    play(scene, start=17.0, solver=never)


def test_fault_40_a_solver_that_fails_and_lies_by_turns_costs_no_cycle_and_no_limit() -> None:
    turns = count()

    def moody(problem: Problem, **arguments: Any) -> Plan:
        turn = next(turns) % 4
        if turn == 0:
            raise MemoryError
        plan = solve(problem, **arguments)
        if turn == 1:
            return replace(plan, charge_kw=np.full_like(plan.charge_kw, np.nan))
        if turn == 2:
            return replace(plan, charge_kw=plan.charge_kw + 50.0)
        return plan

    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.6), leaves=20.0)
        await depot.plug("DC-2", giver(2, soc=0.6), leaves=20.0)
        cycles = depot.platform.controller.cycles
        began = depot.time.now()
        await depot.until(20.0)
        methods = {d.method for _, d in depot.decisions}
        assert {"exact", "shifted"} <= methods <= {"exact", "shifted", "rules"}
        least = (depot.time.now() - began).total_seconds() / CYCLE_S - 1
        assert depot.platform.controller.cycles - cycles >= least
        assert min(depot.soc("DC-1"), depot.soc("DC-2")) >= 0.8 - 0.005

    play(scene, start=17.5, solver=moody)
