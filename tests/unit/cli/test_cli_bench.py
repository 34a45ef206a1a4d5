"""``gridleaf bench plan``: the table and the object, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridleaf.bench.measure import Case
from gridleaf.cli import bench, main


def run(*args: str) -> int:
    """Exit code of ``gridleaf bench plan``."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", "plan", *args])
    return int(ended.value.code or 0)


def test_one_object_has_the_machine_and_a_record_for_each_planner(
    capsys: pytest.CaptureFixture[str],
) -> None:
    args = [
        "--visits",
        "10,12",
        "--family",
        "core,depot",
        "--peers",
        "highs",
        "--repeat",
        "0",
        "--json",
    ]
    assert run(*args) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["machine"]["processors"] >= 1
    names = [(r["family"], r["visits"], r["planner"]) for r in told["records"]]
    assert names == [
        ("core", 10, "auto"),
        ("core", 10, "highs"),
        ("core", 12, "auto"),
        ("core", 12, "highs"),
        ("depot", 10, "auto"),  # the formulas as they stand are those of one site
        ("depot", 12, "auto"),
    ]
    assert all(r["again_s"] is None for r in told["records"])


def test_people_get_tables_with_the_ratio_and_the_solver_that_worked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--visits", "10", "--family", "full", "--peers", "highs-ipm", "--repeat", "1") == 0
    shown = capsys.readouterr().out
    assert "accepted" in shown
    assert "x ours" in shown
    assert "Where the time goes, full" in shown
    assert "highs-ipm: HiGHS" in shown
    assert "interior point" in shown


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"faults": ["energy of v1"]}, "energy of v1"),
        ({"failed": "exit -9"}, "exit -9"),
    ],
)
def test_a_plan_that_is_refused_or_missing_ends_with_1(
    change: dict[str, Any],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def spoilt(case: Case) -> dict[str, Any]:
        return {**measured(case), **change}

    measured = bench.measured
    monkeypatch.setattr(bench, "measured", spoilt)
    assert run("--visits", "10", "--family", "core", "--repeat", "0") == 1
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    "args",
    [
        ["--visits", "ten"],
        ["--visits", ""],
        ["--visits", "0"],
        ["--family", "none"],
        ["--peers", "gurobi"],
        ["--peers", "hipo"],
    ],
)
def test_what_it_does_not_know_it_refuses(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*args) == 2
    assert args[0].strip("-") in capsys.readouterr().err
