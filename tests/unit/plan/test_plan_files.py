from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_problems import ONE_CAR, ONE_SITE, small

from gridleaf.bench.instances import depot, fleet, rich
from gridleaf.domain.errors import ProblemError
from gridleaf.plan import (
    Problem,
    fallback,
    problem_of,
    read_plan,
    read_problem,
    solve,
    verify,
    write_plan,
    write_problem,
)

DOCUMENT: dict[str, Any] = {
    "start": "2026-01-05T12:00:00Z",
    "step_h": 1,
    "visits": ONE_CAR,
    "nodes": ONE_SITE,
}


def with_column(group: str, **columns: Any) -> dict[str, Any]:
    return DOCUMENT | {group: DOCUMENT[group] | columns}


def same(first: Problem, second: Problem) -> None:
    assert first.start == second.start
    np.testing.assert_array_equal(first.step_h, second.step_h)
    for group in ("visits", "nodes", "rows"):
        a, b = getattr(first, group), getattr(second, group)
        assert (a is None) == (b is None)
        for name in () if a is None else a.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize("kind", ["json", "npz"])
@pytest.mark.parametrize(
    "problem",
    [
        depot(),
        fleet(10),
        small(),
        small({"charge_kw": [[1, 2, 3, 4]]}, {"load_kw": [[1, 2, 3, 4]]}),
        small({"depart": [2]}, {"import_price_eur_per_kwh": [0.1]}, step_h=[1, 1, 1]),
        small({"depart": [2]}, {"import_price_eur_per_kwh": [0.1]}, step_h=[1, 2, 1]),
        small({name: [] for name in ONE_CAR}),
        rich(10),
        small({"dwell_kwh": [[5, 8]], "dwell_eur_per_kwh_h": [[0, 0.1]]}),
        small({"min_charge_kw": [4], "min_discharge_kw": [None]}),
    ],
    ids=[
        "depot",
        "fleet",
        "small",
        "rows",
        "constant",
        "unequal",
        "nobody",
        "rich",
        "dwell",
        "least",
    ],
)
def test_a_problem_survives_its_file(problem: Problem, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"problem.{kind}"
    write_problem(problem, path)
    same(read_problem(path), problem)


@pytest.mark.parametrize("kind", ["json", "npz"])
@pytest.mark.parametrize("problem", [depot(), small({name: [] for name in ONE_CAR}), rich(5)])
def test_a_plan_survives_its_file(problem: Problem, kind: str, tmp_path: Path) -> None:
    for plan in (solve(problem), fallback(problem)):
        path = tmp_path / f"plan.{kind}"
        write_plan(plan, path)
        back = read_plan(path)
        for name in plan.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(back, name), getattr(plan, name), err_msg=name)
        assert verify(problem, back) == []


def test_a_plan_of_rules_has_null_for_what_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(fallback(small()), path)
    document = json.loads(path.read_text())
    assert (document["lower_bound_eur"], document["gap"]) == (None, None)
    assert (read_plan(path).lower_bound_eur, read_plan(path).gap) == (-math.inf, math.inf)


def test_columns_that_are_absent_hold_their_defaults() -> None:
    problem = problem_of(DOCUMENT)
    visits, nodes = problem.visits, problem.nodes
    assert np.isnan(visits.target_kwh).all()
    assert visits.min_kwh.tolist() == [0]
    assert visits.charge_efficiency.tolist() == [1]
    assert visits.discharge_kw.tolist() == [0]
    assert nodes.parent == ("",)
    assert np.isnan(nodes.export_price_eur_per_kwh).all()
    assert nodes.load_kw.tolist() == [[0, 0, 0, 0]]


def test_levels_may_be_fewer_for_some_and_none_for_others() -> None:
    columns = {name: column * 3 for name, column in ONE_CAR.items()} | {"id": ["a", "b", "c"]}
    levels = {"dwell_kwh": [[5, 8, 9], None, [7]], "dwell_eur_per_kwh_h": [[0, 1, 2], None, [3]]}
    visits = problem_of(DOCUMENT | {"visits": columns | levels}).visits
    nan = math.nan
    np.testing.assert_array_equal(visits.dwell_kwh, [[5, 8, 9], [nan] * 3, [7, nan, nan]])
    assert visits.after is None


def test_a_number_a_row_and_null_may_stand_beside_each_other() -> None:
    nodes = {
        "id": ["a", "b", "c"],
        "import_limit_kw": [5, None, [1, 2, None, 4]],
        "import_price_eur_per_kwh": [0.1, None, None],
    }
    problem = problem_of(DOCUMENT | {"nodes": nodes} | {"visits": ONE_CAR | {"node": ["a"]}})
    expected = [[5, 5, 5, 5], [math.nan] * 4, [1, 2, math.nan, 4]]
    np.testing.assert_array_equal(problem.nodes.import_limit_kw, expected)


def test_the_number_of_steps_is_that_of_the_rows_or_else_of_the_latest_departure() -> None:
    assert len(problem_of(DOCUMENT).step_h) == 4
    flat = with_column("nodes", import_price_eur_per_kwh=[0.1])
    assert len(problem_of(flat).step_h) == 4
    flat["visits"] = ONE_CAR | {"depart": [7]}
    assert len(problem_of(flat).step_h) == 7
    flat["visits"] = {name: [] for name in ONE_CAR}
    assert len(problem_of(flat).step_h) == 1


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        ([], "problem", "object"),
        (DOCUMENT | {"stop": 1}, "problem", "'stop' was unexpected"),
        (with_column("visits", colour=["red"]), "visits", "'colour' was unexpected"),
        ({k: v for k, v in DOCUMENT.items() if k != "step_h"}, "problem", '"step_h" is a required'),
        (DOCUMENT | {"start": "tomorrow"}, "start", "no ISO 8601 time"),
        (DOCUMENT | {"start": "2026-01-05T12:00:00"}, "start", "no offset"),
        (DOCUMENT | {"step_h": 0}, "step_h", "0"),
        (
            DOCUMENT | {"step_h": [1, 1, 1]},
            "nodes.import_price_eur_per_kwh[0]",
            "must have 3 numbers",
        ),
        (with_column("visits", energy_kwh=[None]), "visits.energy_kwh[0]", "null"),
        (with_column("visits", energy_kwh=["10"]), "visits.energy_kwh[0]", '"10"'),
        (with_column("visits", energy_kwh=[10, 11]), "visits.energy_kwh", "must have 1 entries"),
        (with_column("visits", arrive=[0.5]), "visits.arrive[0]", "integer"),
        (with_column("visits", charge_kw=[[1, 2, "x", 4]]), "visits.charge_kw[0][2]", '"x"'),
        (with_column("visits", charge_kw=[[1, 2]]), "visits.charge_kw[0]", "must have 4 numbers"),
        (with_column("visits", node=["attic"]), "visits.node[0]", "no node 'attic'"),
        (with_column("nodes", load_kw=[None]), "nodes.load_kw[0]", "null"),
        (DOCUMENT | {"rows": {"id": ["r"]}}, "rows", '"coefficient" is a required'),
        (
            DOCUMENT | {"rows": {"id": ["r"], "coefficient": [[1, 2]], "bound_kw": [1]}},
            "rows.coefficient[0]",
            "must have 1 numbers",
        ),
    ],
)
def test_what_is_wrong_in_a_document_is_told_with_its_place(
    document: Any, path: str, reason: str
) -> None:
    with pytest.raises(ProblemError) as error:
        problem_of(document)
    assert error.value.path == path
    assert reason in error.value.reason


def arrays() -> dict[str, Any]:
    return {
        "start": np.array("2026-01-05T12:00:00Z"),
        "step_h": np.array(1.0),
        **{f"visits.{name}": np.array(column) for name, column in ONE_CAR.items()},
        **{f"nodes.{name}": np.array(column) for name, column in ONE_SITE.items()},
    }


def test_arrays_by_hand_are_the_same_problem(tmp_path: Path) -> None:
    path = tmp_path / "hand.npz"
    np.savez(path, **arrays())
    same(read_problem(path), problem_of(DOCUMENT))


@pytest.mark.parametrize(
    ("changes", "path", "reason"),
    [
        ({"visits.colour": np.zeros(1)}, "visits.colour", "is unknown"),
        ({"visits.arrive": np.array([0.5])}, "visits.arrive[0]", "whole step"),
        ({"visits.depart": np.array([np.inf])}, "visits.depart[0]", "whole step"),
        ({"visits.energy_kwh": np.array(["a"])}, "visits.energy_kwh", "must be numbers"),
        ({"visits.energy_kwh": np.array(3.0)}, "visits.energy_kwh", "must be a column"),
        ({"visits.energy_kwh": np.zeros((1, 4))}, "visits.energy_kwh", "shape"),
        ({"visits.charge_kw": np.zeros((1, 3))}, "visits.charge_kw", "rows of 4 numbers"),
        ({"visits.energy_kwh": np.array([np.nan])}, "visits.energy_kwh[0]", "finite"),
    ],
)
def test_what_is_wrong_in_arrays_is_told_with_its_place(
    changes: dict[str, Any], path: str, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.npz"
    np.savez(file, **(arrays() | changes))
    with pytest.raises(ProblemError) as error:
        read_problem(file)
    assert error.value.path == path
    assert reason in error.value.reason


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "missing.npz"
    np.savez(file, **{k: v for k, v in arrays().items() if k != "visits.charge_kw"})
    with pytest.raises(ProblemError, match=r"visits\.charge_kw: is missing"):
        read_problem(file)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, start=np.zeros(1))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ProblemError, match=r"is no \.npz file: .* is encrypted"):
        read_problem(path)


def test_a_plan_in_single_precision_stays_that(tmp_path: Path) -> None:
    problem = fleet(100)
    plan = solve(problem, method="fleet")
    for kind, precision in (("npz", np.float32), ("json", np.float64)):
        path = tmp_path / f"plan.{kind}"
        write_plan(plan, path)
        again = read_plan(path)
        assert again.charge_kw.dtype == precision
        np.testing.assert_allclose(again.charge_kw, plan.charge_kw, rtol=1e-7)
        assert verify(problem, again) == []


def test_one_departure_does_not_fill_the_memory_with_steps() -> None:
    site = {"nodes": {"id": ["site"], "import_price_eur_per_kwh": [0.2]}}
    assert len(problem_of(with_column("visits", depart=[100_000]) | site).step_h) == 100_000
    with pytest.raises(ProblemError, match=r"visits\.depart\[0\]: is step 1000000000: .* 100000"):
        problem_of(with_column("visits", depart=[10**9]) | site)
    with pytest.raises(ProblemError, match=r"visits\.depart\[0\]: must be a whole step"):
        problem_of(with_column("visits", depart=[10**30]) | site)


@pytest.mark.parametrize("name", ["x.json", "x.npz"])
def test_files_that_are_something_else_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(ProblemError, match="No such file"):
        read_problem(path)
    path.write_text("{")
    with pytest.raises(ProblemError, match=r"is no (JSON|\.npz file)"):
        read_problem(path)
    with pytest.raises(ProblemError, match=r"must be a \.json or a \.npz file"):
        read_problem(tmp_path / "x.csv")


def test_a_plan_with_unknown_or_missing_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(solve(small()), path)
    document = json.loads(path.read_text())
    del document["gap"]
    path.write_text(json.dumps(document))
    with pytest.raises(ProblemError, match='"gap" is a required'):
        read_plan(path)
    path = tmp_path / "plan.npz"
    write_plan(solve(small()), path)
    with np.load(path) as stored:
        parts = dict(stored)
    np.savez(path, **{k: v for k, v in parts.items() if k != "nodes.import_kw"})
    with pytest.raises(ProblemError, match=r"nodes\.import_kw: is missing"):
        read_plan(path)
    np.savez(path, **parts, extra=np.zeros(1))
    with pytest.raises(ProblemError, match="extra: is unknown"):
        read_plan(path)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order mark"])
def test_what_python_writes_for_no_limit_is_read_as_null(mark: bytes, tmp_path: Path) -> None:
    none, bare = dict(DOCUMENT), dict(DOCUMENT)
    for document, nan, most, least in (
        (none, None, None, None),
        (bare, math.nan, math.inf, -math.inf),
    ):
        document["visits"] = ONE_CAR | {"target_kwh": [nan], "max_kwh": [most], "min_kwh": [least]}
        document["nodes"] = ONE_SITE | {
            "import_limit_kw": [[most, nan, 5, 6]],
            "export_limit_kw": [most],
            "demand_charge_eur_per_kw": [nan],
        }
    path = tmp_path / "problem.json"
    path.write_bytes(mark + json.dumps(bare).encode())
    same(read_problem(path), problem_of(none))


def test_an_infinite_number_that_says_nothing_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(with_column("visits", target_kwh=[math.inf])))
    with pytest.raises(ProblemError, match=r'visits\.target_kwh\[0\]: "Infinity" is not'):
        read_problem(path)


def test_no_demand_charge_and_no_peak_so_far_are_0_in_both_kinds_of_file(tmp_path: Path) -> None:
    names = ("demand_charge_eur_per_kw", "peak_so_far_kw")
    path = tmp_path / "problem.npz"
    np.savez(path, **(arrays() | {f"nodes.{name}": np.array([np.nan]) for name in names}))
    for problem in (
        problem_of(with_column("nodes", **{name: [None] for name in names})),
        read_problem(path),
    ):
        assert problem.nodes.demand_charge_eur_per_kw.tolist() == [0]
        assert problem.nodes.peak_so_far_kw.tolist() == [0]


def test_arrays_may_hold_one_time_and_names_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "bytes.npz"
    texts = ("visits.id", "visits.node", "nodes.id")
    start = np.array([b"2026-01-05T12:00:00Z"])
    np.savez(
        path,
        **(arrays() | {"start": start} | {name: arrays()[name].astype("S") for name in texts}),
    )
    same(read_problem(path), problem_of(DOCUMENT))
    np.savez(path, **(arrays() | {"start": np.array(["2026-01-05T12:00:00Z"] * 2)}))
    with pytest.raises(ProblemError, match="start: must be one time"):
        read_problem(path)
    np.savez(path, **(arrays() | {"nodes.id": np.array([b"\xff"])}))
    with pytest.raises(ProblemError, match=r"nodes\.id\[0\]: .* is no text"):
        read_problem(path)
