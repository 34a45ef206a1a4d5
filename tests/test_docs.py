"""The documentation says what is so: links, command lines, generated tables, the README's program."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from benchmarks.__main__ import NAMES
from docs import figures, tables

from gridleaf.demo import simulate
from gridleaf.demo.depot import demo_site
from gridleaf.plan import solve

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
PROGRAM = tables.program()

BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>[a-z]*)\n(?P<text>.*?)^ *```$", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
CALL = re.compile(r"`(?P<words>(?:gridleaf|make) [^`]+)`")
CURL = re.compile(r"(?:-X (?P<method>[A-Z]+) .*?)?\$API(?P<path>/[^\s\"?]*)", re.S)

every_page = pytest.mark.parametrize(
    "page", PAGES, ids=[p.relative_to(ROOT).as_posix() for p in PAGES]
)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return BLOCK.sub("", page.read_text("utf-8"))


def blocks(page: Path, *kinds: str) -> list[str]:
    """The fenced blocks of a page, continued lines joined."""
    found = BLOCK.finditer(page.read_text("utf-8"))
    return [m["text"].replace("\\\n", " ") for m in found if m["kind"] in kinds]


def command_lines(page: Path, program: str) -> list[str]:
    """Lines of a page's blocks that start a program."""
    lines = (line.strip() for text in blocks(page, "", "sh", "bash") for line in text.splitlines())
    return [line for line in lines if line.startswith(f"{program} ")]


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page make."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


# -- links --


@every_page
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    broken = []
    for match in LINK.finditer(prose(page)):
        target = urlsplit(match["target"])
        if target.scheme:
            continue
        file = (page.parent / unquote(target.path)).resolve() if target.path else page
        lost = target.fragment and file.suffix == ".md" and target.fragment not in anchors(file)
        if not file.exists() or lost:
            broken.append(match["target"])
    assert broken == []


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page() -> None:
    named = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.M)
    assert sorted(named) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


# -- command lines --


@every_page
def test_every_gridleaf_line_in_a_block_would_be_accepted(page: Path) -> None:
    for line in command_lines(page, "gridleaf"):
        words = shlex.split(line, comments=True)[1:]
        if words[0].isupper() or "[OPTIONS]" in words:
            continue
        command, rest = _resolved(words)
        command.make_context(words[0], [w for w in rest if w != "--help"])


@every_page
def test_every_gridleaf_call_in_the_text_names_a_command_and_its_options(page: Path) -> None:
    for match in CALL.finditer(prose(page)):
        words = match["words"].split()
        if words[0] == "make":
            continue
        command, rest = _resolved(words[1:])
        options = {option for param in command.params for option in param.opts} | {"--help"}
        assert {word for word in rest if word.startswith("--")} <= options, match["words"]


def _resolved(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words lead to, and the rest of them."""
    command: Any = PROGRAM
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    assert command is not PROGRAM, f"no such command: gridleaf {' '.join(words)}"
    return command, words


@every_page
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    calls = [m["words"] for m in CALL.finditer(prose(page)) if m["words"].startswith("make ")]
    for line in [*command_lines(page, "make"), *calls]:
        assert line.split()[1] in targets, line


def test_the_readme_starts_the_demo_and_the_tests_with_make() -> None:
    lines = command_lines(ROOT / "README.md", "make")
    assert lines[:2] == ["make demo", "make test"]


# -- what is made from the code --


@pytest.mark.parametrize("page", tables.PAGES)
def test_generated_parts_are_what_the_code_says_now(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert text == tables.rendered(text, tables.parts()), "run: python docs/tables.py"


def test_every_generated_part_stands_in_a_page() -> None:
    used = {m["name"] for page in tables.PAGES for m in tables.PART.finditer(_text(page))}
    assert used == set(tables.parts())


def _text(page: str) -> str:
    return (DOCS / page).read_text("utf-8")


def test_every_command_to_a_station_is_in_the_table_of_what_is_sent() -> None:
    told = {type(command) for command, _ in tables.SENT}
    assert told == set(tables.commands.Command.__args__)


def test_curl_examples_call_operations_that_exist() -> None:
    rows = re.findall(r"^\| `([A-Z]+)` \| `([^`]+)` \|", tables.operations(), re.M)
    patterns = [(method, re.compile(re.sub(r"\{\w+\}", "[^/]+", path))) for method, path in rows]
    page = DOCS / "how-to" / "api.md"
    called = [CURL.search(line) for line in command_lines(page, "curl")]
    assert called
    for match in called:
        assert match is not None
        method = match["method"] or "GET"
        assert any(m == method and p.fullmatch(match["path"]) for m, p in patterns), match[0]


def test_the_tutorial_explains_every_figure_of_the_demo() -> None:
    told = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", _text("tutorial.md"), re.M)
    keys = {key for cell in told for key in re.findall(r"`(\w+)`", cell)}
    assert keys == set(simulate(0, 1 / 60))


def test_the_tutorial_names_the_limits_of_the_demo() -> None:
    site = demo_site(data_dir=ROOT, port=0, ocpp_port=0, call_timeout_s=30, meter_max_age_s=60)
    (window,) = site.limit_windows
    for limit_kw in (site.import_limit_kw, window.import_limit_kw):
        assert f" {limit_kw:g} kW" in _text("tutorial.md")
    assert sum(len(s.evses) for s in site.stations) == 24
    assert (window.start.isoformat("minutes"), window.end.isoformat("minutes")) == (
        "16:30",
        "20:30",
    ), "half past four to half past eight"


def test_every_benchmark_is_described() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) == set(NAMES)


# -- programs --


def test_the_program_in_the_readme_runs_and_prints_what_stands_there() -> None:
    readme = ROOT / "README.md"
    (code,), (printed,) = blocks(readme, "python"), blocks(readme, "text")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == printed


def test_the_programs_for_a_large_fleet_run(tmp_path: Path) -> None:
    code = "\n".join(blocks(DOCS / "how-to" / "plan-a-large-fleet.md", "python"))
    assert "10_000" in code
    fewer = code.replace("10_000", "1_000").replace("_000.0]", "00.0]")
    ran = subprocess.run(
        [sys.executable, "-c", fewer], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    (gap,) = re.findall(r"at most (\S+) above the optimum", ran.stdout)
    assert float(gap) <= 1e-4
    assert (tmp_path / "fleet.npz").exists()


def test_the_curve_of_one_vehicle_in_the_figure_is_what_the_planner_finds() -> None:
    energy, money = figures.curve(*figures.value_function())
    assert (energy[0], energy[-1]) == (figures.LEAST, pytest.approx(figures.MOST))
    for target_kwh in (10.0, 17.3, 24.0, 39.9, 47.0, 50.0):
        plan = solve(figures.one_vehicle(target_kwh))
        assert plan.objective_eur == pytest.approx(np.interp(target_kwh, energy, money), abs=1e-6)


def test_the_figures_that_do_not_depend_on_rounding_can_be_drawn() -> None:
    for name in ("value", "prices"):
        assert figures.FIGURES[name]().axes


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make docs")
    pytest.importorskip("material", reason="mkdocs-material is not installed: make docs")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed: make docs")
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert ran.returncode == 0, ran.stderr
