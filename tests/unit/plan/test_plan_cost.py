from __future__ import annotations

import math

import numpy as np
import pytest
from small_problems import small

from gridleaf.plan import bill, penalties
from gridleaf.plan.cost import relative_gap


def test_every_term_of_the_bill_by_hand() -> None:
    visits = {
        "discharge_kw": [10],
        "charge_efficiency": [0.8],
        "discharge_efficiency": [0.5],
        "wear_eur_per_kwh": [0.05],
        "value_eur_per_kwh": [0.02],
        "target_kwh": [25],
    }
    nodes = {
        "load_kw": [[1, 1, 1, 1]],
        "export_price_eur_per_kwh": [0.1],
        "import_limit_kw": [10],
        "export_limit_kw": [[None, None, 1, 1]],
        "demand_charge_eur_per_kw": [2],
        "peak_so_far_kw": [5],
    }
    rows = {"id": ["r"], "coefficient": [[0.5]], "bound_kw": [[4, None, 1, 1]]}
    problem = small(visits, nodes, rows)
    result = bill(problem, np.array([[10.0, 5, 0, 0]]), np.array([[0.0, 0, 3, 0]]))
    assert result.import_kw.tolist() == [[11, 6, 0, 1]]
    assert result.export_kw.tolist() == [[0, 0, 2, 0]]
    assert result.over_limit_kw.tolist() == [[1, 0, 1, 0]]
    assert result.row_over_kw.tolist() == [[1, 0, 0, 0]]
    assert result.energy_eur.tolist() == pytest.approx([11 * 0.3 + 6 * 0.1 + 1 * 0.4 - 2 * 0.1])
    assert result.demand_eur.tolist() == [22]
    assert result.wear_eur == pytest.approx(3 * 0.05)
    left = 10 + 15 * 0.8 - 3 / 0.5
    assert result.value_eur == pytest.approx(left * 0.02)
    assert result.unmet_kwh.tolist() == pytest.approx([25 - left])
    price = penalties(problem)
    expected = (
        (25 - left) * price.unmet_eur_per_kwh
        + 2 * price.limit_eur_per_kwh
        + 1 * price.row_eur_per_kwh[0]
    )
    assert result.penalty_eur == pytest.approx(expected)
    money = result.energy_eur.sum() + 22 + result.wear_eur - result.value_eur
    assert result.objective_eur == pytest.approx(money + expected)


def test_the_peak_so_far_is_paid_for_even_by_nobody() -> None:
    problem = small(nodes={"demand_charge_eur_per_kw": [2], "peak_so_far_kw": [5]})
    assert bill(problem, np.zeros((1, 4)), np.zeros((1, 4))).demand_eur.tolist() == [10]


def test_each_hour_below_the_minimum_counts_until_departure() -> None:
    problem = small({"min_kwh": [12], "depart": [3]}, step_h=[0.5, 1, 1, 1])
    price = penalties(problem)
    result = bill(problem, np.array([[0.0, 2, 0, 0]]), np.zeros((1, 4)))
    assert result.penalty_eur == pytest.approx(2 * 0.5 * price.short_eur_per_kwh_h)


@pytest.mark.parametrize(
    ("objective", "bound", "turnover", "gap"),
    [
        (101, 100, 300, 0.01),
        (-99, -100, 300, 0.01),
        (100, 100.5, 300, 0),
        (1e-4, 0, 100, 1),
        (1e-13, 0, 0, 0),
        (1, -math.inf, 1, math.inf),
    ],
)
def test_the_gap_is_relative_to_the_bound_where_that_measures_anything(
    objective: float, bound: float, turnover: float, gap: float
) -> None:
    assert relative_gap(objective, bound, turnover) == pytest.approx(gap)
