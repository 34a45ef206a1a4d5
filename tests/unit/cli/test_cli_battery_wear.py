from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gridleaf.cli import main


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    with pytest.raises(SystemExit) as end:
        main(["battery", "wear", *words, "--json"])
    assert end.value.code in (0, None)
    return json.loads(capsys.readouterr().out)


def test_wear_is_priced_by_depth_and_charge_level(capsys: pytest.CaptureFixture[str]) -> None:
    prices = told(capsys, "--pack", "nissan-leaf-40", "--soh", "0.9")
    assert prices["ageing_model"] == "NMC_Gr_50Ah_B1"
    assert prices["soh"] == pytest.approx(0.9, abs=2e-3)
    assert prices["depth"] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert prices["discharge_eur_per_kwh"] == sorted(prices["discharge_eur_per_kwh"])
    assert prices["dwell_eur_per_day"][0] == 0.0
    assert prices["slopes_eur_per_kwh_day"] == sorted(prices["slopes_eur_per_kwh_day"])


def test_a_pack_in_other_case_is_the_same_pack(capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "--pack", "NISSAN-Leaf-24")
    assert shown == told(capsys, "--pack", "nissan-leaf-24")
    assert shown["capacity_kwh"] == pytest.approx(22.25, abs=0.01)


def test_a_pack_twice_as_dear_wears_twice_as_dear(capsys: pytest.CaptureFixture[str]) -> None:
    cell = ("--cell", "Lmo_Gr_NissanLeaf66Ah_2ndLife_Battery")
    once, twice = (told(capsys, *cell, "--pack-price", price) for price in ("100", "200"))
    for one, two in zip(once["discharge_eur_per_kwh"], twice["discharge_eur_per_kwh"], strict=True):
        assert two == pytest.approx(2 * one, abs=2e-5)


def test_a_cell_that_is_not_convex_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    prices = told(capsys, "--cell", "Nmc811_GrSi_LGM50_5Ah_Battery")
    assert prices["hull_below_eur_per_day"] > 0
    assert any("not convex" in note for note in prices["notes"])


def test_it_is_shown_and_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    figure = tmp_path / "wear.svg"
    with pytest.raises(SystemExit) as end:
        main(["battery", "wear", "--pack", "nissan-leaf-40", "--plot", str(figure)])
    assert end.value.code in (0, None)
    text = capsys.readouterr().out
    assert "giving back" in text
    assert "holding charge" in text
    assert "as planned" in figure.read_text()


def test_an_unknown_battery_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["battery", "wear", "--pack", "nissan-leave"])
    assert end.value.code == 2
    assert "nissan-leave" in capsys.readouterr().err
