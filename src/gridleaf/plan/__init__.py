"""Planning: the problem, its exact solution with proof, plain rules, and the independent check.

>>> plan = solve(read_problem(Path("depot.json")))
>>> verify(problem, plan)
[]
"""

from __future__ import annotations

from gridleaf.plan.cost import Bill, bill
from gridleaf.plan.exact import solve_exact as solve
from gridleaf.plan.problem import Nodes, Penalties, Plan, Problem, Rows, Visits, check, penalties
from gridleaf.plan.rules import fallback
from gridleaf.plan.verify import verify

__all__ = [
    "Bill",
    "Nodes",
    "Penalties",
    "Plan",
    "Problem",
    "Rows",
    "Visits",
    "bill",
    "check",
    "fallback",
    "penalties",
    "solve",
    "verify",
]
