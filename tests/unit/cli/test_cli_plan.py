from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridleaf.bench.instances import fleet
from gridleaf.cli import main
from gridleaf.cli import plan as command
from gridleaf.plan import read_plan, read_problem, verify, write_problem

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "plan").glob("*.json"))


def run(*args: object) -> int:
    """Exit code of ``gridleaf plan``."""
    with pytest.raises(SystemExit) as ended:
        main(["plan", *map(str, args)])
    return int(ended.value.code or 0)


def summary_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_planned_and_verified(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.json"
    assert run(example, "--out", out, "--json") == 0
    summary = summary_of(capsys)
    assert summary["verified"] is True
    assert summary["problems"] == []
    assert 0 <= summary["gap"] < 1e-6
    plan = read_plan(out)
    assert verify(read_problem(example), plan) == []
    assert plan.objective_eur == pytest.approx(summary["objective_eur"])


def test_the_examples_show_what_they_are_named_for(capsys: pytest.CaptureFixture[str]) -> None:
    summaries = {}
    for example in EXAMPLES:
        run(example, "--json")
        summaries[example.stem] = summary_of(capsys)
    assert summaries["depot-v2g"]["unmet_kwh"] == 0
    assert summaries["depot-v2g"]["over_limit_kw"] == 0
    assert summaries["negative-prices"]["objective_eur"] < 0
    assert summaries["out-of-reach"]["unmet_kwh"] > 0
    assert summaries["out-of-reach"]["over_limit_kw"] == pytest.approx(5)


def test_the_fleet_method_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(EXAMPLES[0], "--method", "fleet", "--gap", "1e-3", "--json") == 0
    summary = summary_of(capsys)
    assert summary["method"] == "fleet"
    assert summary["verified"] is True
    assert summary["gap"] <= 1e-3


def test_large_problems_go_in_and_out_as_arrays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem, plan = tmp_path / "problem.npz", tmp_path / "plan.npz"
    write_problem(fleet(10), problem)
    assert run(problem, "--out", plan, "--json") == 0
    assert summary_of(capsys)["objective_eur"] == pytest.approx(43.399446)
    assert verify(fleet(10), read_plan(plan)) == []


def test_people_read_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(EXAMPLES[0]) == 0
    text = capsys.readouterr().out
    for word in ("depot", "row A", "objective", "lower bound", "gap", "accepts the plan"):
        assert word in text


def test_each_visit_has_its_cost_of_energy_beside_that_of_its_battery(
    capsys: pytest.CaptureFixture[str],
) -> None:
    depot = next(example for example in EXAMPLES if example.stem == "depot-v2g")
    run(depot, "--json")
    visits = summary_of(capsys)["visits"]
    assert visits["id"] == ["van 1", "van 2", "van 3", "car 1", "car 2"]
    assert visits["life_eur"] == pytest.approx(
        [0.04 * kwh for kwh in visits["discharged_kwh"][:3]] + [0.05 * 11.04, 0.0]
    )
    assert visits["energy_eur"][2] == pytest.approx(-4.7696, abs=1e-4)
    run(depot)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    van = next(words for words in lines if words[:2] == ["van", "3"])
    assert [word for word in van if word != "│"][5:] == ["1.2032", "0.072,", "0.040:", "gives"]
    whole = next(words for words in lines if words[:1] == ["all"])
    assert [word for word in whole if word != "│"][1:] == ["151.71", "82.48", "-0.3474", "3.4096"]


@pytest.mark.parametrize(
    ("wear", "target_kwh", "verdict"),
    [
        (0.04, 20, "gives"),
        (0.40, 20, "does not pay"),
        (0.04, 40, "is held back"),
    ],
)
def test_a_visit_that_could_give_says_why_it_does_or_does_not(
    wear: float, target_kwh: float, verdict: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Held back: every hour is needed for the target."""
    visits = {
        "id": ["giver", "taker"],
        "node": ["site", "site"],
        "arrive": [0, 0],
        "depart": [2, 2],
        "energy_kwh": [20, 20],
        "target_kwh": [target_kwh, 20],
        "charge_kw": [10, 10],
        "discharge_kw": [10, 0],
        "wear_eur_per_kwh": [wear, wear],
    }
    nodes = {"id": ["site"], "load_kw": [20], "import_price_eur_per_kwh": [[0.5, 0.2]]}
    path = tmp_path / "problem.json"
    document = {"start": "2026-01-05T16:00:00Z", "step_h": 1, "visits": visits, "nodes": nodes}
    path.write_text(json.dumps(document))
    assert run(path, "--json") == 0
    found = summary_of(capsys)["visits"]
    assert found["verdict"] == [verdict, ""]
    assert found["spread_eur_per_kwh"] == [pytest.approx(0.3), None]
    assert found["wear_eur_per_kwh"] == [wear, wear]


def test_a_row_for_each_visit_only_where_they_are_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for count in (40, 41):
        problem = fleet(count)
        path = tmp_path / f"{count}.npz"
        write_problem(problem, path)
        assert run(path) == 0
        words = capsys.readouterr().out.split()
        assert (problem.visits.id[0] in words) == (count == 40)


def test_without_time_to_solve_plain_rules_stand_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(EXAMPLES[0], "--time-limit", "0", "--json") == 0
    summary = summary_of(capsys)
    assert summary["method"] == "rules"
    assert (summary["lower_bound_eur"], summary["gap"]) == (None, None)
    assert "Time limit" in summary["notes"][0]
    assert run(EXAMPLES[0], "--time-limit", "0") == 0
    assert "plain rules instead" in " ".join(capsys.readouterr().out.split())


def test_a_plan_that_fails_its_check_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(problem: Any, **options: Any) -> Any:
        plan = command.fallback(problem)
        return replace(plan, charge_kw=plan.charge_kw + 100.0)

    monkeypatch.setattr(command, "solve", wrong)
    assert run(EXAMPLES[0], "--json") == 1
    summary = summary_of(capsys)
    assert summary["verified"] is False
    assert any("above its bound" in fault for fault in summary["problems"])
    assert run(EXAMPLES[0]) == 1
    assert "wrong" in capsys.readouterr().out


def test_unusable_input_ends_with_2_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(EXAMPLES[0].read_text())
    document["visits"]["energy_kwh"][3] = None
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(document))
    assert run(path) == 2
    assert "visits.energy_kwh[3]" in capsys.readouterr().err
    assert run(tmp_path / "none.json") == 2
    assert "No such file" in capsys.readouterr().err
    assert run(EXAMPLES[0], "--out", tmp_path / "plan.csv") == 2
    assert "must be a .json or a .npz file" in capsys.readouterr().err
    assert run(EXAMPLES[0], "--out", tmp_path / "none" / "plan.json") == 2
    assert "its folder does not exist" in capsys.readouterr().err


def test_a_plan_that_cannot_be_written_is_told_before_the_problem_is_solved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "solve", lambda *_, **__: pytest.fail("was solved"))
    out = tmp_path / "plan.json"
    out.mkdir()
    assert run(EXAMPLES[0], "--out", out) == 2
    assert capsys.readouterr().err == f"gridleaf: {out}: is a folder\n"


def test_a_file_that_cannot_be_written_to_its_end_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(plan: Any, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "write_plan", full)
    out = tmp_path / "plan.json"
    assert run(EXAMPLES[0], "--out", out) == 2
    assert capsys.readouterr().err == f"gridleaf: {out}: No space left on device\n"


def test_nothing_but_the_summary_is_printed_even_by_the_solver() -> None:
    """HiGHS greets on standard output past Python: that must not spoil what a program reads."""
    code = "from gridleaf.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "plan", str(EXAMPLES[0]), "--json"],
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert json.loads(result.stdout)["verified"] is True


def test_blas_has_one_thread_unless_told_otherwise() -> None:
    code = (
        "import os, sys, gridleaf.cli as cli\n"
        "assert 'numpy' not in sys.modules, 'too late: numpy has made its threads'\n"
        "try: cli.main(['plan', '--help'])\n"
        "except SystemExit: print('threads', os.environ['OMP_NUM_THREADS'])"
    )
    for given, wanted in ((None, "1"), ("3", "3")):
        env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        env |= {} if given is None else {"OMP_NUM_THREADS": given}
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
        )
        assert ran.stdout.endswith(f"threads {wanted}\n")


def test_an_error_of_the_system_ends_with_2_and_names_the_file_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(command, "read_problem", refused)
    assert run("locked.json") == 2
    assert capsys.readouterr().err == "gridleaf: locked.json: Permission denied\n"
