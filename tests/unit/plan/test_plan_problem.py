from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from small_problems import small

from gridleaf.bench.instances import fleet
from gridleaf.domain.errors import ProblemError
from gridleaf.plan import Problem, Rows, check, penalties


def changed(part: str, **columns: Any) -> Problem:
    problem = small()
    return replace(problem, **{part: replace(getattr(problem, part), **columns)})


def one(value: float) -> np.ndarray:
    return np.array([value])


def by_step(*values: float) -> np.ndarray:
    return np.array([values])


NAN = float("nan")


@pytest.mark.parametrize(
    ("problem", "path", "reason"),
    [
        (replace(small(), start=datetime(2026, 1, 5)), "start", "no offset"),  # noqa: DTZ001
        (replace(small(), step_h=np.zeros(0)), "step_h", "one or more steps"),
        (replace(small(), step_h=np.array([1, 0, 1, 1.0])), "step_h[1]", "above 0"),
        (replace(small(), step_h=np.array([1, NAN, 1, 1.0])), "step_h[1]", "finite"),
        (changed("visits", energy_kwh=one(NAN)), "visits.energy_kwh[0]", "finite"),
        (changed("visits", charge_kw=one(np.inf)), "visits.charge_kw[0]", "finite"),
        (changed("visits", charge_kw=one(-1)), "visits.charge_kw[0]", "at least 0"),
        (changed("visits", charge_kw=by_step(1, 2, NAN, 4)), "visits.charge_kw[0][2]", "finite"),
        (changed("visits", charge_kw=by_step(1, 2)), "visits.charge_kw", "shape (1, 4)"),
        (changed("visits", discharge_kw=one(-0.1)), "visits.discharge_kw[0]", "at least 0"),
        (
            changed("visits", arrive=np.array([3]), depart=np.array([2])),
            "visits.depart[0]",
            "before",
        ),
        (changed("visits", depart=np.array([5])), "visits.depart[0]", "at most 4"),
        (changed("visits", arrive=np.array([-1])), "visits.arrive[0]", "at least 0"),
        (changed("visits", arrive=one(0.5)), "visits.arrive", "whole steps"),
        (changed("visits", min_kwh=one(60)), "visits.min_kwh[0]", "above max_kwh"),
        (changed("visits", charge_efficiency=one(0)), "visits.charge_efficiency[0]", "above 0"),
        (
            changed("visits", discharge_efficiency=one(1.1)),
            "visits.discharge_efficiency[0]",
            "most 1",
        ),
        (changed("visits", wear_eur_per_kwh=one(-1)), "visits.wear_eur_per_kwh[0]", "at least 0"),
        (changed("visits", value_eur_per_kwh=one(NAN)), "visits.value_eur_per_kwh[0]", "finite"),
        (changed("visits", target_kwh=one(np.inf)), "visits.target_kwh[0]", "number or none"),
        (changed("visits", node=("attic",)), "visits.node[0]", "no node 'attic'"),
        (changed("visits", node=()), "visits.node", "1 entries"),
        (changed("visits", id=("",)), "visits.id[0]", "empty"),
        (changed("nodes", load_kw=by_step(1, NAN, 1, 1)), "nodes.load_kw[0][1]", "finite"),
        (changed("nodes", load_kw=one(1)), "nodes.load_kw", "shape (1, 4)"),
        (
            changed("nodes", import_limit_kw=by_step(1, -1, 1, 1)),
            "nodes.import_limit_kw[0][1]",
            "0",
        ),
        (
            changed("nodes", import_price_eur_per_kwh=by_step(1, np.inf, 1, 1)),
            "nodes.import_price_eur_per_kwh[0][1]",
            "finite number or none",
        ),
        (changed("nodes", peak_so_far_kw=one(NAN)), "nodes.peak_so_far_kw[0]", "finite"),
        (changed("nodes", parent=("cellar",)), "nodes.parent[0]", "no node 'cellar'"),
        (changed("nodes", parent=("site",)), "nodes.parent[0]", "ring"),
        (changed("nodes", parent=()), "nodes.parent", "1 entries"),
        (
            replace(
                small(), rows=Rows(id=("r",), coefficient=np.ones((1, 2)), bound_kw=np.ones((1, 4)))
            ),
            "rows.coefficient",
            "shape (1, 1)",
        ),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(
    problem: Problem, path: str, reason: str
) -> None:
    with pytest.raises(ProblemError) as error:
        check(problem)
    assert error.value.path == path
    assert reason in error.value.reason


def test_a_name_that_is_there_twice_is_refused() -> None:
    problem = fleet(10)
    visits = replace(problem.visits, id=("v0", *problem.visits.id[1:-1], "v0"))
    with pytest.raises(ProblemError, match=r"visits\.id\[9\]: 'v0' is there twice"):
        check(replace(problem, visits=visits))


def test_a_ring_of_nodes_is_found_wherever_it_is() -> None:
    nodes = {"id": ["site", "a", "b", "c"], "parent": ["", "b", "c", "a"]}
    nodes["import_price_eur_per_kwh"] = [[0.1] * 4, None, None, None]
    with pytest.raises(ProblemError, match=r"nodes\.parent\[1\]: node 'a' is on or below a ring"):
        small(nodes=nodes)


def test_what_is_only_out_of_reach_is_accepted() -> None:
    for problem in (
        changed("visits", target_kwh=one(1e4)),
        changed("visits", energy_kwh=one(-5)),
        changed("visits", energy_kwh=one(500)),
        changed("visits", min_kwh=one(NAN), max_kwh=one(NAN), target_kwh=one(NAN)),
        changed("visits", arrive=np.array([4]), depart=np.array([4])),
        changed("nodes", import_limit_kw=by_step(0, NAN, np.inf, 1)),
        changed("nodes", load_kw=by_step(100, -100, 0, 0)),
    ):
        check(problem)


def test_a_kwh_is_never_sold_from_a_target_nor_a_limit_broken_for_it() -> None:
    nodes = {"demand_charge_eur_per_kw": [3.0]}
    prices = penalties(small({"wear_eur_per_kwh": [0.1]}, nodes, step_h=[0.25, 1, 1, 1]))
    # at most 0.4 EUR to buy, and 3 EUR for each kW of a quarter of an hour
    assert prices.unmet_eur_per_kwh >= 2 * (0.4 + 3 / 0.25)
    assert prices.short_eur_per_kwh_h * 0.25 == pytest.approx(prices.unmet_eur_per_kwh)
    assert prices.limit_eur_per_kwh == pytest.approx(4 * prices.unmet_eur_per_kwh)


def test_a_limit_outweighs_all_hours_below_the_reserve() -> None:
    prices = penalties(small({"min_kwh": [20]}))
    assert prices.limit_eur_per_kwh >= 2 * 4 * prices.short_eur_per_kwh_h


def test_where_nothing_costs_anything_penalties_still_do() -> None:
    prices = penalties(small(nodes={"import_price_eur_per_kwh": [None]}))
    assert (prices.unmet_eur_per_kwh, prices.limit_eur_per_kwh) == (4, 16)


def test_a_row_of_small_coefficients_is_as_hard_to_break_as_a_limit() -> None:
    rows = {"id": ["third", "none"], "coefficient": [[-1 / 3], [0]], "bound_kw": [1, 1]}
    prices = penalties(small(rows=rows))
    assert prices.row_eur_per_kwh == pytest.approx(prices.limit_eur_per_kwh * np.array([3, 1]))
