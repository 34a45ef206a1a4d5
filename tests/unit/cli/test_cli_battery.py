from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gridleaf.battery.ageing import MODELS
from gridleaf.cli import main


def run(*args: object) -> int:
    """Exit code of ``gridleaf battery``."""
    with pytest.raises(SystemExit) as ended:
        main(["battery", *map(str, args)])
    return int(ended.value.code or 0)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "rest.csv"
    path.write_text("time_s,soc,temperature_c\n0,.5,25\n86400,.5,25\n")
    return path


def test_simulate_prints_capacity_by_year(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = "lfp_gr_250AHprismatic"
    assert run("simulate", "--cell", cell, "--profile", profile, "--years", 5, "--json") == 0
    life = printed(capsys)
    assert life["years"] == [1, 2, 3, 4, 5]
    assert life["relative_capacity"][0] == pytest.approx(0.98896, abs=5e-4)
    assert life["relative_capacity"][4] == pytest.approx(0.9743, abs=5e-4)
    assert life["outside_fitted_range"] == [False] * 5
    assert life["reasons"] == [{}] * 5


@pytest.mark.parametrize(
    "cell", ["NISSAN-leaf-24", " AESC-LMO-33 ", "LMO_GR_NISSANLEAF66AH_2NDLIFE_BATTERY"]
)
def test_case_means_nothing_in_the_name_of_a_cell(
    profile: Path, capsys: pytest.CaptureFixture[str], cell: str
) -> None:
    assert run("simulate", "--cell", cell, "--profile", profile, "--years", 1, "--json") == 0
    assert printed(capsys)["cell"] == "Lmo_Gr_NissanLeaf66Ah_2ndLife_Battery"
    assert run("show", cell, "--json") == 0


def test_simulate_tells_people_why_it_may_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cold.csv"
    path.write_text("time_s,soc,temperature_c\n0,.5,-5\n43200,.4,-5\n86400,.5,-5\n")
    assert run("simulate", "--cell", "NMC_Gr_50Ah_B1", "--profile", path, "--years", 1) == 0
    shown = capsys.readouterr().out
    assert "temperature 100%" in shown
    assert "depth 100%" in shown


def test_a_model_that_stands_in_for_a_cell_is_said_to(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--cell", "nissan-leaf-40", "--profile", profile, "--years", 1)
    assert run("simulate", *given, "--json") == 0
    notes = printed(capsys)["notes"]
    assert notes[0].startswith("aesc-nmc-56 by NMC_Gr_50Ah_B1: no published model of this cell")
    assert run("simulate", *given) == 0
    assert "stands in" in capsys.readouterr().out
    assert run("compare", "--cell", "nissan-leaf-40", "--years", 1) == 0
    assert "stands in" in capsys.readouterr().out
    assert run("compare", "--cell", "NMC_Gr_50Ah_B1", "--years", 1, "--json") == 0
    assert printed(capsys)["cells"][0]["notes"] == ["At 10 °C only charging at 0.3C was tested."]


def test_simulate_draws(profile: Path, tmp_path: Path) -> None:
    figure = tmp_path / "life.svg"
    assert run("simulate", "--cell", "NMC_Gr_50Ah_B1", "--profile", profile, "--plot", figure) == 0
    assert "<svg" in figure.read_text()


def test_a_wrong_cell_file_or_figure_is_wrong_use(
    profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("simulate", "--cell", "lead acid", "--profile", profile) == 2
    assert "lead acid: no such cell, pack or ageing model" in capsys.readouterr().err
    assert run("simulate", "--cell", "NMC_Gr_50Ah_B1", "--profile", tmp_path / "none.csv") == 2
    assert "none.csv: No such file" in capsys.readouterr().err
    wrong = tmp_path / "life.txt"
    assert run("simulate", "--cell", "NMC_Gr_50Ah_B1", "--profile", profile, "--plot", wrong) == 2
    assert ".svg" in capsys.readouterr().err


def test_list_and_show_know_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--json") == 0
    assert {cell["name"] for cell in printed(capsys)} >= {m.name for m in MODELS}
    assert run("list") == 0
    assert all(m.name in capsys.readouterr().out for m in MODELS[:1])
    assert run("show", "nmc_gr_50ah_b1") == 0
    assert "10.1016/j.est.2023.109042" in capsys.readouterr().out
    assert run("show", "nmc_gr_50ah_b1", "--json") == 0
    assert printed(capsys)["fitted"]["depth"] == [0.8, 1.0]


def test_tables_fit_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in (["list"], ["packs"], ["show", "lg-m50"], ["compare", "--all", "--years", 1]):
        assert run(*command) == 0
        assert "…" not in capsys.readouterr().out


def test_compare_gives_each_habit_with_its_band(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "habits.png"
    assert (
        run("compare", "--cell", "NMC_Gr_50Ah_B1", "--years", 10, "--json", "--plot", figure) == 0
    )
    result = printed(capsys)
    (cell,) = result["cells"]
    assert set(cell["habits"]) == {"unmanaged", "delayed", "v2g"}
    assert cell["v2g_against_unmanaged"] > 0.005
    band = cell["habits"]["v2g"]["relative_capacity"]
    assert band["p10"][-1] < band["p50"][-1] < band["p90"][-1]
    assert len(band["p50"]) == len(result["years"]) == 10
    assert figure.stat().st_size > 1000


def test_compare_needs_one_cell_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare") == 2
    assert run("compare", "--all", "--cell", "NMC_Gr_50Ah_B1") == 2
    assert run("compare", "--cell", "NMC_Gr_50Ah_B1", "--driving", 0.8) == 2
    assert "driving" in capsys.readouterr().err
    for option, value in (("--mean-c", "nan"), ("--mean-c", 300), ("--amplitude-c", 80)):
        assert run("compare", "--cell", "NMC_Gr_50Ah_B1", option, value) == 2
        assert (
            "mean_c: with amplitude_c must be numbers within -50 to 90" in capsys.readouterr().err
        )
    assert run("compare", "--all", "--years", 1) == 0
    assert "Nmc_Lto_10Ah_Battery" in capsys.readouterr().out
