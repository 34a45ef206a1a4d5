from __future__ import annotations

import re
from pathlib import Path

import pytest

from gridleaf.battery import catalogue
from gridleaf.battery.catalogue import load
from gridleaf.domain.errors import ConfigError

MODELS = {
    "Lfp_Gr_250AhPrismatic",
    "Lfp_Gr_SonyMurata3Ah_Battery",
    "Lmo_Gr_NissanLeaf66Ah_2ndLife_Battery",
    "NCA_GrSi_SonyMurata2p5Ah_Battery",
    "NMC_Gr_50Ah_B1",
    "NMC_Gr_50Ah_B2",
    "NMC_Gr_75Ah_A",
    "Nca_Gr_Panasonic3Ah_Battery",
    "Nmc111_Gr_Kokam75Ah_Battery",
    "Nmc111_Gr_Sanyo2Ah_Battery",
    "Nmc622_Gr_DENSO50Ah_Battery",
    "Nmc811_GrSi_LGM50_5Ah_Battery",
    "Nmc811_GrSi_LGMJ1_4Ah_Battery",
    "Nmc_Lto_10Ah_Battery",
}


def own(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_published_ageing_model_has_its_cell() -> None:
    shipped = load()
    fitted = {
        cell.ageing_model.name
        for cell in shipped.cells.values()
        if cell.ageing_model is not None and not cell.ageing_model.assumed
    }
    assert fitted == MODELS
    for model in MODELS:
        name = shipped.fitted_to(model)
        assert name is not None
        found = shipped.cells[name].ageing_model
        assert found is not None
        assert found.name == model


def test_every_pack_that_ships_names_a_model_of_ageing() -> None:
    shipped = load()
    for pack in shipped.packs.values():
        assert shipped.cells[pack.cell].ageing_model is not None


@pytest.mark.parametrize(
    ("pack", "usable_kwh"),
    [("nissan-leaf-24", 22), ("nissan-leaf-40", 39), ("nissan-leaf-62", 59)],
)
def test_the_leafs_hold_what_is_told_of_them(pack: str, usable_kwh: float) -> None:
    entry = load().packs[pack]
    window = entry.usable_soc.high - entry.usable_soc.low
    whole_kwh = entry.series * entry.parallel * load().cells[entry.cell].energy_wh / 1000
    assert whole_kwh * window == pytest.approx(usable_kwh, rel=0.02)


def test_the_energy_density_of_the_leaf_cell_is_that_of_its_maker() -> None:
    assert load().cells["aesc-lmo-33"].wh_per_kg == pytest.approx(157, rel=0.02)


def test_what_a_cell_takes_over_from_another_is_assumed_and_follows_its_capacity() -> None:
    cells = load().cells
    small, large = cells["aesc-nmc-42"], cells["aesc-nmc-56"]
    ratio = small.capacity_ah.value / large.capacity_ah.value
    assert small.mass_kg.value == pytest.approx(large.mass_kg.value * ratio, rel=1e-3)
    assert small.resistance_mohm.value[0][0] == pytest.approx(
        large.resistance_mohm.value[0][0] / ratio, rel=1e-3
    )
    assert small.mass_kg.assumed
    assert small.mass_kg.source.startswith("as aesc-nmc-56: ")
    assert not large.mass_kg.assumed


def test_a_file_of_ones_own_adds_to_what_ships_and_its_names_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own(
        tmp_path,
        """
[cells.mine]
like = "aesc-nmc-56"
title = "My cell"
capacity_ah = { value = 60, source = "its label" }

[packs.bus]
like = "nissan-leaf-40"
title = "My bus"
cell = "mine"
series = 180

[packs.nissan-leaf-24]
like = "nissan-leaf-40"
title = "Retrofitted"
""",
    )
    monkeypatch.setenv(catalogue.ENVIRONMENT, str(path))
    seen = catalogue.catalogue()
    assert seen.packs["bus"].series == 180
    assert seen.packs["bus"].parallel == 2
    assert seen.packs["nissan-leaf-24"].title == "Retrofitted"
    assert "van-lfp-75" in seen.packs


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("[cells.a]\nlike = 'lg-m50'\ncolour = 'red'", "cells.a: colour", "unknown key"),
        (
            "[cells.a]\nlike = 'lg-m50'\nmass_kg = { value = -1, source = 'scales' }",
            "cells.a: mass_kg.value",
            "greater than 0",
        ),
        (
            "[cells.a]\nlike = 'lg-m50'\n"
            "ocv_v = { soc = [0, 0.5, 1], value = [3, 3.7, 3.6], source = 'test' }",
            "cells.a",
            "ocv_v.value: must rise, 3.6 follows 3.7",
        ),
        (
            "[cells.a]\nlike = 'lg-m50'\n"
            "ocv_v = { soc = [0.1, 1], value = [3, 3.7], source = 'test' }",
            "cells.a: ocv_v",
            "soc: must lead from 0 to 1",
        ),
        (
            "[cells.a]\nlike = 'lg-m50'\n"
            "ocv_v = { soc = [0, 0.6, 0.5, 1], value = [3, 3.5, 3.6, 4], source = 'test' }",
            "cells.a: ocv_v",
            "soc: must rise, 0.5 follows 0.6",
        ),
        (
            "[cells.a]\nlike = 'lg-m50'\nocv_v = { soc = [0, 1], value = [3, 5], source = 'test' }",
            "cells.a",
            "beyond min_v or max_v",
        ),
        ("[cells.a]\nlike = 'lg-m5'\n", "cells.a.like", "perhaps lg-m50"),
        ("[cells.a]\nlike = ['lg-m50']", "cells.a.like", "no such entry"),
        ("[cells.a]\nlike = 'b'\n[cells.b]\nlike = 'a'", "cells.a.like", "in a ring"),
        ("[cells.a]\nlike = 'lg-m50'\nmass_kg = { value = 1 }", "mass_kg.source", "required"),
        (
            "[cells.a]\nlike = 'lg-m50'\nmass_kg = 0.07",
            "cells.a: mass_kg",
            "must be a table such as",
        ),
        (
            "[cells.a]\nlike = 'lg-m50'\nresistance_mohm = { soc = [0, 1], temperature_c = [0, 25], "
            "value = [[0.04, 0.04], [0.02, 0.02]], source = 'test' }",
            "cells.a",
            "would lose 2.8e-05 of its voltage: is it in milliohm?",
        ),
        (
            "[packs.a]\nlike = 'nissan-leaf-40'\ncell = 'aesc-nmc-65'",
            "packs.a.cell",
            "perhaps aesc-nmc-56",
        ),
        ("[packs.a]\nlike = 'nissan-leaf-40'\nseries = 0", "packs.a: series", "greater"),
        (
            "[packs.a]\nlike = 'nissan-leaf-40'\n"
            "usable_soc = { low = 0.9, high = 0.1, source = 'test' }",
            "packs.a: usable_soc",
            "low: must be below high",
        ),
        ("[pack.a]\ncell = 'x'", "own.toml: pack", "there are cells and packs"),
        ("cells = 3", "own.toml: cells", "tables such as [cells.my-own]"),
        ("[cells", "own.toml", "not valid TOML"),
    ],
)
def test_what_cannot_be_is_refused_with_path_and_reason(
    tmp_path: Path, text: str, where: str, why: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(own(tmp_path, text))
    assert "own.toml" in refused.value.path
    assert where in refused.value.path
    assert why in refused.value.reason


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeff[packs.mine]\nlike = 'nissan-leaf-40'\n"
    assert load(own(tmp_path, text)).packs["mine"].series == 96


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: No such file"):
        load(tmp_path / "gone.toml")


def test_an_unknown_battery_is_refused_with_those_that_look_like_it() -> None:
    with pytest.raises(ConfigError, match="perhaps nissan-leaf-40"):
        load().pack("nisan-leaf-40")
    assert load().fitted_to("lead-acid") is None


def test_the_files_of_the_how_to_are_what_it_says(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "add-a-battery.md"
    blocks = re.findall(r"^```toml\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    known = load(own(tmp_path, "\n".join(b for b in blocks if "vehicles" not in b)))
    truck, cell = known.packs["delivery-truck"], known.cells["our-cell"]
    assert truck.charge_kw.value == 120
    assert not truck.charge_kw.assumed
    assert truck.mass_kg.assumed
    assert cell.resistance_mohm.value[1][2] == 0.35
    assert cell.capacity_ah.value == 280


def test_a_cell_that_is_like_another_states_what_is_its_own(tmp_path: Path) -> None:
    text = """
[cells.a]
like = "lg-m50"
title = "A"
resistance_mohm = { soc = [0, 1], temperature_c = [0, 25], value = [[3, 3], [2, 2]], source = "test" }
"""
    assert load(own(tmp_path, text)).cells["a"].resistance_mohm.value == ((3, 3), (2, 2))
