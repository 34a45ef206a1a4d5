from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gridleaf.cli import main

DRIVE = (
    "time_s,soc,temperature_c\n0,0.9,20\n28800,0.9,20\n61200,0.7,24\n79200,0.9,22\n86400,0.9,20\n"
)
V2G = "time_s,soc,temperature_c\n0,0.4,20\n28800,0.9,20\n64800,0.7,24\n75600,0.4,22\n86400,0.4,20\n"


@pytest.fixture
def uses(tmp_path: Path) -> tuple[str, str]:
    drive, v2g = tmp_path / "drive.csv", tmp_path / "v2g.csv"
    drive.write_text(DRIVE)
    v2g.write_text(V2G)
    return str(drive), str(v2g)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    with pytest.raises(SystemExit) as end:
        main(["battery", *words, "--json"])
    assert end.value.code in (0, None)
    return json.loads(capsys.readouterr().out)


def test_packs_are_listed_and_shown_with_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    listed = told(capsys, "packs")
    assert "nissan-leaf-40" in [pack["name"] for pack in listed]
    shown = told(capsys, "show", "nissan-leaf-40")
    assert shown == next(pack for pack in listed if pack["name"] == "nissan-leaf-40")
    assert shown["usable_kwh"] == pytest.approx(39, rel=0.01)
    assert shown["charge_kw"]["assumed"] is True
    assert shown["charge_kw"]["source"]


def test_a_cell_of_the_catalogue_is_known_by_its_name_and_its_models(
    capsys: pytest.CaptureFixture[str],
) -> None:
    by_model = told(capsys, "show", "Nmc811_GrSi_LGM50_5Ah_Battery")
    assert told(capsys, "show", "lg-m50") == by_model
    assert by_model["catalogue_cell"]["name"] == "lg-m50"
    assert by_model["catalogue_cell"]["capacity_ah"]["value"] == 5


OWN_CELL = """
[cells.mine]
like = "lfp-prismatic-250"
title = "Ours"
"""


def test_a_cell_of_the_catalogue_is_shown_with_its_sources(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["battery", "show", "aesc-lmo-33"])
    shown = capsys.readouterr().out
    assert "0.787" in shown
    assert "pushevs.com" in shown
    assert "second life" in shown


def test_a_model_that_nobody_published_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN_CELL + "ageing_model = { name = 'NMC_Gr_50Ah_B3', source = 'a guess' }")
    monkeypatch.setenv("GRIDLEAF_CATALOGUE", str(own))
    with pytest.raises(SystemExit) as end:
        main(["battery", "show", "mine"])
    assert end.value.code == 2
    assert "cells.mine.ageing_model.name: no ageing model 'NMC_Gr_50Ah_B3'" in (
        capsys.readouterr().err
    )


def test_the_value_of_a_pack_falls_and_its_best_time_is_the_most_worth(
    capsys: pytest.CaptureFixture[str], uses: tuple[str, str]
) -> None:
    found = told(
        capsys, "value", "--battery", "nissan-leaf-24", "--profile", uses[0], "--years", "8"
    )
    one = found["without_v2g"]
    assert found["years"] == list(range(9))
    assert one["residual_eur"] == sorted(one["residual_eur"], reverse=True)
    assert max(one["worth_eur"]) == one["best_worth_eur"]
    assert one["worth_eur"][int(one["best_year"])] == one["best_worth_eur"]
    assert found["with_v2g"] is None


def test_what_v2g_must_earn_depends_on_the_cell(
    capsys: pytest.CaptureFixture[str], uses: tuple[str, str]
) -> None:
    needed = {}
    for battery in ("nissan-leaf-24", "nissan-leaf-40"):
        found = told(
            capsys, "value", "--battery", battery, "--profile", uses[0], "--v2g-profile", uses[1]
        )
        needed[battery] = found["v2g_break_even_per_year"]
    assert needed["nissan-leaf-24"] > 0 > needed["nissan-leaf-40"]


def test_at_its_break_even_v2g_is_worth_what_it_costs(
    capsys: pytest.CaptureFixture[str], uses: tuple[str, str]
) -> None:
    words = ("value", "--battery", "nissan-leaf-24", "--profile", uses[0], "--v2g-profile", uses[1])
    needed = told(capsys, *words)["v2g_break_even_per_year"]
    found = told(capsys, *words, "--v2g-income", str(needed))
    worth = [found[key]["best_worth_eur"] for key in ("without_v2g", "with_v2g")]
    assert worth[1] == pytest.approx(worth[0], abs=0.1)


def test_the_value_is_printed_and_drawn(
    capsys: pytest.CaptureFixture[str], uses: tuple[str, str], tmp_path: Path
) -> None:
    picture = tmp_path / "value.svg"
    with pytest.raises(SystemExit) as end:
        main(
            [
                "battery",
                "value",
                "--battery",
                "van-lfp-75",
                "--profile",
                uses[0],
                "--plot",
                str(picture),
            ]
        )
    assert end.value.code in (0, None)
    assert "best: " in capsys.readouterr().out
    assert "van-lfp-75" in picture.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--battery", "leaf-40"), "perhaps nissan-leaf-40"),
        (("--battery", "nissan-leaf-40", "--falls", "1.5"), "market.falls_per_year"),
        (("--battery", "nissan-leaf-40", "--use", "inf"), "use: must be a number"),
    ],
)
def test_what_cannot_be_valued_is_refused(
    capsys: pytest.CaptureFixture[str], uses: tuple[str, str], words: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["battery", "value", "--profile", uses[0], *words])
    assert end.value.code == 2
    assert reason in capsys.readouterr().err
