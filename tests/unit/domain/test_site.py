"""The site file: what it refuses, with path and reason, and that its example is complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gridleaf.domain import site as site_module
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import SiteConfig, load, parse

EXAMPLE = Path(__file__).parents[3] / "examples" / "site.toml"
MINIMAL: dict[str, Any] = {"name": "x", "import_limit_kw": 10}
STATION: dict[str, Any] = {"id": "A", "evses": [{"id": 1, "charge_max_kw": 11}]}


def models() -> list[type[BaseModel]]:
    return [
        m
        for m in vars(site_module).values()
        if isinstance(m, type) and issubclass(m, BaseModel) and m is not BaseModel
    ]


def test_the_example_loads() -> None:
    config = load(EXAMPLE)
    assert config.circuit_of(config.stations[1], config.stations[1].evses[0]) == "row-a"
    assert config.stations[0].password_file == EXAMPLE.parent / "secrets" / "BAY-01"


@pytest.mark.parametrize("key", sorted({name for model in models() for name in model.model_fields}))
def test_the_example_shows_every_key(key: str) -> None:
    assert re.search(rf"(^|[#\[.\s]){key}(\s*=|\]|\.)", EXAMPLE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        ({"import_limit_kw": -1}, "import_limit_kw", "greater than 0"),
        ({"export_limit_kw": -1}, "export_limit_kw", "greater than or equal to 0"),
        ({"import_limit": 5}, "import_limit", "unknown key"),
        ({"import_limit_kw": "10 kW"}, "import_limit_kw", "number"),
        ({"timezone": "Berlin"}, "timezone", "IANA"),
        ({"circuits": [{"id": "a", "import_limit_kw": 5, "parent": "b"}]}, "circuits.a", "'b'"),
        (
            {
                "circuits": [
                    {"id": "a", "parent": "b", "import_limit_kw": 5},
                    {"id": "b", "parent": "a", "import_limit_kw": 5},
                ]
            },
            "circuits",
            "ring",
        ),
        ({"stations": [STATION, STATION]}, "stations", "twice"),
        (
            {
                "vehicles": [
                    {"id_token": "TAG-1", "capacity_kwh": 40},
                    {"id_token": "tag-1", "capacity_kwh": 40},
                ]
            },
            "vehicles",
            "twice",
        ),
        ({"stations": [{**STATION, "circuit": "nowhere"}]}, "stations.A", "nowhere"),
        ({"stations": [{**STATION, "id": "a b"}]}, "stations.0.id", "pattern"),
        ({"stations": [{**STATION, "password": "secret"}]}, "stations.0.password", "unknown key"),
        ({"control": {"static_share_kw": 11}}, "static_share_kw", "import_limit_kw"),
        ({"defaults": {"target_soc": 80}}, "defaults.target_soc", "less than or equal to 1"),
    ],
)
def test_fault_50_a_mistake_is_refused_with_its_path_and_the_reason(
    change: dict[str, Any], path: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**MINIMAL, **change})
    assert path in str(caught.value)
    assert reason in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"name": "x", "import_limit_kw": -1, "bogus": 1})
    assert "import_limit_kw" in str(caught.value)
    assert "bogus" in str(caught.value)


def test_a_missing_file_and_broken_toml_are_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    broken = tmp_path / "site.toml"
    broken.write_text("name = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(broken)


def test_a_site_is_frozen() -> None:
    config: SiteConfig = parse(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        config.name = "y"  # type: ignore[misc]
