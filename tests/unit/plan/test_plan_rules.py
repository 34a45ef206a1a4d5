from __future__ import annotations

import math

import numpy as np
import pytest
from small_problems import small

from gridleaf.bench.instances import depot, fleet
from gridleaf.plan import fallback, solve, verify

TWO = {
    "id": ["late", "soon"],
    "node": ["row", "row"],
    "arrive": [0, 0],
    "depart": [4, 2],
    "energy_kwh": [10, 10],
    "target_kwh": [20, 25],
    "max_kwh": [50, 50],
    "charge_kw": [10, 10],
}
ROW = {
    "id": ["site", "row"],
    "parent": ["", "site"],
    "import_limit_kw": [None, 12],
    "import_price_eur_per_kwh": [[0.3, 0.1, 0.2, 0.4], None],
}


def test_who_has_the_least_time_to_spare_is_charged_first() -> None:
    problem = small(TWO, ROW)
    plan = fallback(problem)
    assert plan.charge_kw[1].tolist() == pytest.approx([10, 5, 0, 0])
    assert plan.charge_kw[0].tolist() == pytest.approx([2, 7, 1, 0])
    assert verify(problem, plan) == []


def test_who_is_below_the_reserve_comes_before_all_targets() -> None:
    plan = fallback(small(TWO | {"min_kwh": [22, 0], "target_kwh": [22, 25]}, ROW))
    assert plan.charge_kw[0].tolist() == pytest.approx([10, 2, 0, 0])
    assert plan.charge_kw[1].tolist() == pytest.approx([2, 10, 0, 0])


def test_rows_and_loads_are_respected() -> None:
    rows = {"id": ["phase"], "coefficient": [[0.5, 0.5]], "bound_kw": [2]}
    problem = small(TWO, ROW | {"load_kw": [[0, 0, 0, 0], [11, 0, 0, 13]]}, rows)
    plan = fallback(problem)
    total = plan.charge_kw.sum(axis=0)
    assert total.tolist() == pytest.approx([1, 4, 4, 0])
    assert plan.over_limit_kw[1].tolist() == pytest.approx([0, 0, 0, 1])
    assert verify(problem, plan) == []


def test_nothing_is_wanted_nothing_is_charged() -> None:
    assert not fallback(small()).charge_kw.any()


def test_nothing_is_proven() -> None:
    plan = fallback(small({"target_kwh": [25]}))
    assert plan.method == "rules"
    assert plan.lower_bound_eur == -math.inf
    assert plan.gap == math.inf
    assert plan.objective_eur == pytest.approx(10 * 0.3 + 5 * 0.1)


def test_shadow_prices_are_those_of_the_meters() -> None:
    nodes = {"import_price_eur_per_kwh": [0.3, 0.05], "export_price_eur_per_kwh": [0.1, None]}
    plan = fallback(small(TWO, ROW | nodes | {"load_kw": [[0, 0, 0, -5], [0, 0, 0, 0]]}))
    assert plan.shadow_price_eur_per_kwh[0].tolist() == pytest.approx([0.3, 0.3, 0.3, 0.1])
    assert plan.shadow_price_eur_per_kwh[1].tolist() == pytest.approx([0.35, 0.35, 0.35, 0.15])


@pytest.mark.parametrize("problem", [depot(), depot(40, v2g=0), fleet(100)])
def test_a_whole_site_is_planned_within_its_limits(problem: object) -> None:
    plan = fallback(problem)  # type: ignore[arg-type]
    assert verify(problem, plan) == []  # type: ignore[arg-type]
    assert not plan.over_limit_kw.any()
    best = solve(problem)  # type: ignore[arg-type]
    assert plan.objective_eur > best.objective_eur
    assert np.isfinite(plan.objective_eur)
