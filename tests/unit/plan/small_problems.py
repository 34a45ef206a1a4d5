"""Problems small enough to solve by hand."""

from __future__ import annotations

from typing import Any

from gridleaf.plan import Problem, problem_of

ONE_CAR: dict[str, Any] = {
    "id": ["car"],
    "node": ["site"],
    "arrive": [0],
    "depart": [4],
    "energy_kwh": [10],
    "max_kwh": [50],
    "charge_kw": [10],
}
ONE_SITE: dict[str, Any] = {"id": ["site"], "import_price_eur_per_kwh": [[0.3, 0.1, 0.2, 0.4]]}


def small(
    visits: dict[str, Any] | None = None,
    nodes: dict[str, Any] | None = None,
    rows: dict[str, Any] | None = None,
    *,
    step_h: Any = 1,
) -> Problem:
    """One car at one site for four hours, changed as told."""
    document = {
        "start": "2026-01-05T12:00:00Z",
        "step_h": step_h,
        "visits": ONE_CAR | (visits or {}),
        "nodes": ONE_SITE | (nodes or {}),
    }
    return problem_of(document if rows is None else document | {"rows": rows})
