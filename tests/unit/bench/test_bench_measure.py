"""What the benchmark says of a planner is so: its parts, its memory, its peers."""

from __future__ import annotations

from itertools import count
from typing import Any, get_args

import numpy as np
import pytest

from gridleaf.bench import measure, peers
from gridleaf.bench.instances import CARS_OF_A_SITE, OPTIMUM, Family, fleet, instance
from gridleaf.bench.measure import Case, measured, record
from gridleaf.plan import check, solve
from gridleaf.plan.problem import predecessors
from gridleaf.plan.times import Times


@pytest.mark.parametrize("family", get_args(Family))
@pytest.mark.parametrize("visits", [1, 7, 120])
def test_every_family_has_problems_of_every_size(family: Family, visits: int) -> None:
    problem = instance(family, visits)
    check(problem)
    assert int((predecessors(problem.visits) < 0).sum()) == visits


def test_a_feeder_has_sites_of_fifty() -> None:
    assert len(instance("feeder", 4 * CARS_OF_A_SITE).nodes.id) == 1 + 4


@pytest.mark.parametrize("variant", ["core", "full"])
@pytest.mark.parametrize("peer", peers.PEERS)
def test_every_peer_solves_the_same_problem(peer: str, variant: Any) -> None:
    answer = peers.PEERS[peer](fleet(10, variant), None)
    assert answer.objective_eur == pytest.approx(OPTIMUM[10, variant], abs=1e-5)


def test_the_answer_says_which_solver_worked_not_which_was_asked_for() -> None:
    problem = fleet(10)
    assert "simplex" in peers.by_highs(problem, "simplex").solver
    assert "interior point" in peers.by_highs(problem, "ipm").solver
    # a build without this solver takes another one, and says nothing
    named = peers.by_highs(problem, "hipo")
    assert named.objective_eur == pytest.approx(OPTIMUM[10, "core"], abs=1e-5)
    assert named.solver.endswith("1 thread")
    assert "hipo" not in named.solver


def test_a_peer_out_of_time_has_no_objective() -> None:
    assert peers.by_highs(fleet(100), limit_s=0.0).objective_eur is None
    assert peers.by_scipy(fleet(100), limit_s=0.0).objective_eur is None


@pytest.mark.parametrize("planner", ["exact", "fleet", "auto"])
def test_the_parts_add_up_to_the_whole(planner: str) -> None:
    solve(fleet(30, "full"), method="fleet")  # compiled before: after a minute nothing is repeated
    result = record(Case(family="full", visits=30, planner=planner, repeat=1))
    assert result["faults"] == []
    assert result["calls_again"] == 1
    assert result["lower_bound_eur"] <= result["objective_eur"]
    assert sum(result["parts_s"].values()) == pytest.approx(result["again_s"], rel=1e-9)
    assert all(seconds >= 0 for seconds in result["parts_s"].values())


def test_the_parts_of_both_methods_are_those_that_are_told() -> None:
    told = Times.__doc__ or ""
    for method in ("exact", "fleet"):
        times = Times(timer=count().__next__)
        solve(fleet(40), method=method, times=times)  # type: ignore[arg-type]
        assert set(times.spent_s) == {part for part in times.spent_s if f"``{part}``" in told}
        # every part was entered, and each took one tick of the clock at least
        assert min(times.spent_s.values()) >= 1


def test_a_case_is_measured_in_a_process_of_its_own() -> None:
    result = measured(Case(family="core", visits=10, planner="auto", repeat=1))
    assert result["solver"] == "exact"
    assert result["objective_eur"] == pytest.approx(OPTIMUM[10, "core"], abs=1e-5)
    assert result["known_optimum_eur"] == OPTIMUM[10, "core"]
    assert result["memory_mib"] is None or 0 <= result["memory_mib"] < 1000


def test_memory_is_what_comes_on_top() -> None:
    memory = measure._Memory()
    if memory.added() is None:
        pytest.skip("this system does not tell")
    before = memory.added()
    block = np.ones(64 * 2**17)  # 64 MiB, more than is ever taken from what was freed before
    added = memory.added()
    assert before is not None
    assert added is not None
    assert 50 < added - before < 100
    del block


def test_a_planner_without_a_plan_says_why() -> None:
    result = record(Case(family="core", visits=100, planner="exact", time_limit_s=0.0))
    assert "HiGHS ended without a plan" in result["failed"]


def test_a_process_that_breaks_is_told() -> None:
    result = measured(Case(family="core", visits=-1, planner="exact"))
    assert result["failed"].startswith("exit 1 ValueError")
