"""Planning: the problem, two ways to solve it with proof, plain rules, and the independent check.

A :class:`Problem` goes into :func:`solve` and comes out as a :class:`Plan` with real schedules, what
they cost and a proven lower bound; :func:`verify` recomputes all of it from the schedules alone.
"""

from __future__ import annotations

from gridleaf.plan.cost import Bill, bill
from gridleaf.plan.exact import solve_exact
from gridleaf.plan.files import (
    plan_document,
    plan_of,
    problem_of,
    read_plan,
    read_problem,
    write_plan,
    write_problem,
)
from gridleaf.plan.method import solve
from gridleaf.plan.problem import (
    Nodes,
    Penalties,
    Plan,
    Problem,
    Progress,
    Rows,
    Visits,
    check,
    penalties,
)
from gridleaf.plan.rules import fallback
from gridleaf.plan.verify import verify
from gridleaf.plan.visit_costs import Trade, VisitCosts, best_trade, visit_costs

__all__ = [
    "Bill",
    "Nodes",
    "Penalties",
    "Plan",
    "Problem",
    "Progress",
    "Rows",
    "Trade",
    "VisitCosts",
    "Visits",
    "best_trade",
    "bill",
    "check",
    "fallback",
    "penalties",
    "plan_document",
    "plan_of",
    "problem_of",
    "read_plan",
    "read_problem",
    "solve",
    "solve_exact",
    "verify",
    "visit_costs",
    "write_plan",
    "write_problem",
]
