"""The site file: what it refuses, with path and reason, and that its example is complete."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

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


def evse(**changes: Any) -> dict[str, Any]:
    return {"stations": [{"id": "A", "evses": [{"id": 1, "charge_max_kw": 11, **changes}]}]}


def vehicle(**changes: Any) -> dict[str, Any]:
    return {"vehicles": [{"id_token": "T", "capacity_kwh": 40, **changes}]}


def modbus(**changes: Any) -> dict[str, Any]:
    meter = {"measures": "grid_kw", "host": "10.0.0.6", "map": "siemens-pac", **changes}
    return {"signals": {"modbus": [meter]}}


def mqtt(**changes: Any) -> dict[str, Any]:
    return {"signals": {"mqtt": {"host": "10.0.0.5", "fields": {"grid_kw": "a"}, **changes}}}


def window(start: Any, end: Any) -> dict[str, Any]:
    return {"limit_windows": [{"start": start, "end": end, "import_limit_kw": 5}]}


@pytest.mark.parametrize(
    ("change", "path", "hint"),
    [
        ({"import_limit_kw": 2_000_000}, "import_limit_kw", "in W?"),
        ({"import_limit_kw": 0.06}, "import_limit_kw", "in MW?"),
        ({"export_limit_kw": 2_000_000}, "export_limit_kw", "in W?"),
        ({"fuse_a": 250_000}, "fuse_a", "in mA?"),
        ({"voltage_v": 0.23}, "voltage_v", "in kV?"),
        ({"circuits": [{"id": "a", "import_limit_kw": 2_000_000}]}, "circuits.0", "in W?"),
        (evse(charge_max_kw=22_000), "charge_max_kw", "in W?"),
        (evse(charge_max_kw=3700), "charge_max_kw", "in W"),
        (evse(charge_max_kw=7400, current="DC"), "charge_max_kw", "in W?"),
        (evse(charge_max_kw=0.022), "charge_max_kw", "in MW?"),
        (evse(charge_max_kw=22, discharge_max_kw=2200), "discharge_max_kw", "in W"),
        (evse(charge_max_kw=22, discharge_max_kw=2200, current="DC"), "discharge_max_kw", "in W?"),
        (evse(min_a=6000), "min_a", "in mA?"),
        (evse(charge_efficiency=0.093), "charge_efficiency", "0.5"),
        (vehicle(capacity_kwh=40_000), "capacity_kwh", "in Wh?"),
        (vehicle(capacity_kwh=0.04), "capacity_kwh", "in MWh?"),
        (vehicle(charge_max_kw=22_000), "charge_max_kw", "in W?"),
        (vehicle(charge_max_kw=22, discharge_max_kw=2200), "discharge_max_kw", "in W?"),
        (vehicle(reserve_soc=0.9, target_soc=0.8), "vehicles.T.reserve_soc", "0.8"),
        (vehicle(reserve_soc=0.9), "vehicles.T.reserve_soc", "0.8"),
        ({"defaults": {"reserve_soc": 0.9}}, "defaults.reserve_soc", "target_soc"),
        ({"defaults": {"stay_h": 28_800}}, "defaults.stay_h", "minutes or s?"),
        ({"defaults": {"capacity_kwh": 50_000}}, "defaults.capacity_kwh", "in Wh?"),
        ({"control": {"cycle_s": 0.001}}, "control.cycle_s", "minutes or h?"),
        ({"control": {"cycle_s": 300_000}}, "control.cycle_s", "in ms?"),
        ({"control": {"horizon_h": 0.01}}, "control.horizon_h", "in days?"),
        ({"control": {"horizon_h": 1440}}, "control.horizon_h", "minutes or s?"),
        ({"control": {"meter_max_age_s": 60_000}}, "control.meter_max_age_s", "in ms?"),
        ({"control": {"soc_max_age_s": 900_000}}, "control.soc_max_age_s", "in ms?"),
        ({"control": {"ready_early_s": 900_000}}, "control.ready_early_s", "in ms?"),
        ({"control": {"solver_time_limit_s": 20_000}}, "control.solver_time_limit_s", "in ms?"),
        ({"control": {"margin_kw": 10}}, "control.margin_kw", "leaves nothing"),
        ({"server": {"call_timeout_s": 0.03}}, "server.call_timeout_s", "plausible"),
        ({"server": {"ping_interval_s": 20_000}}, "server.ping_interval_s", "in ms?"),
        ({"server": {"heartbeat_interval_s": 300_000}}, "heartbeat_interval_s", "in ms?"),
        (modbus(every_s=5000), "every_s", "in ms?"),
        (modbus(every_s=120), "signals.modbus.0.every_s", "meter_max_age_s"),
        (window("17:00", "17:00"), "limit_windows.0", "the same"),
        (window(17, 20), "limit_windows.0.start", "17:30:00"),
        (window(1700, 2000), "limit_windows.0.start", "17:30:00"),
        (window("17:00Z", "20:00Z"), "limit_windows.0.start", "local"),
        (vehicle(departure=700), "departure", "17:30:00"),
        (mqtt(host=""), "signals.mqtt.host", "pattern"),
        (mqtt(host="mqtt://10.0.0.5"), "signals.mqtt.host", "pattern"),
        (modbus(host="10.0.0..6"), "signals.modbus.0.host", "pattern"),
        ({"server": {"host": ""}}, "server.host", "pattern"),
        ({"server": {"ocpp_host": ""}}, "server.ocpp_host", "pattern"),
    ],
)
def test_fault_50_a_number_in_another_unit_is_refused_with_a_hint(
    change: dict[str, Any], path: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**MINIMAL, **change})
    assert path in str(caught.value)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (model, name)
        for model in models()
        for name, field in model.model_fields.items()
        if re.search(r"\b(float|int|bool)\b|Literal\[\d", str(field.annotation))
    ],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
@pytest.mark.parametrize("given", ["60", math.nan, math.inf, -math.inf, 10**400])
def test_fault_50_no_number_is_taken_from_a_text_or_is_not_a_number(
    model: type[BaseModel], key: str, given: object
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate({key: {"grid_kw": given} if key == "scale" else given})
    assert (key,) in [error["loc"][:1] for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (model, name)
        for model in models()
        for name, field in model.model_fields.items()
        if re.search(r"\b(float|int)\b|Literal\[\d", str(field.annotation))
    ],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_fault_50_true_is_no_number(model: type[BaseModel], key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate({key: {"grid_kw": True} if key == "scale" else True})
    assert (key,) in [error["loc"][:1] for error in caught.value.errors()]


@pytest.mark.parametrize(
    "real",
    [
        {"import_limit_kw": 45_000, "export_limit_kw": 45_000},
        {"import_limit_kw": 3},
        {**evse(charge_max_kw=3750, current="DC"), "import_limit_kw": 30_000},
        evse(charge_max_kw=1.4, phases=1),
        evse(charge_max_kw=166),
        evse(charge_max_kw=3.7, discharge_max_kw=22),
        vehicle(capacity_kwh=1200, charge_max_kw=3750),
        vehicle(capacity_kwh=2.5, charge_max_kw=0.7),
        vehicle(target_soc=0.2, v2g=False),
        vehicle(target_soc=0.3),
        {"currency": "HUF", "tariff": {"import_price": 70, "demand_charge_per_kw": 2400}},
        {"currency": "JPY", "tariff": {"import_price": 31, "factor": 165}},
        {"tariff": {"import_price": -0.05, "export_adder": -0.01}},
        {"voltage_v": 100},
        {"voltage_v": 398},
        {"fuse_a": 6300},
        {"control": {"ready_early_s": 0, "cycle_s": 900, "horizon_h": 96}},
        window("22:00", "06:00"),
        mqtt(host="broker.depot.example.", port=8883),
        modbus(host="fe80::1%eth0"),
        modbus(every_s=0.2),
        {"server": {"host": "::", "ocpp_host": "0.0.0.0"}},
    ],
)
def test_no_real_site_is_refused(real: dict[str, Any]) -> None:
    parse({**MINIMAL, **real})


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"name": "x", "import_limit_kw": -1, "bogus": 1})
    assert "import_limit_kw" in str(caught.value)
    assert "bogus" in str(caught.value)


def test_an_evse_that_is_wrong_is_not_told_as_one_that_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**MINIMAL, **evse(charge_max_kw=22_000)})
    assert "in W?" in str(caught.value)
    assert "at least 1 item" not in str(caught.value)
    with pytest.raises(ConfigError, match="at least 1 item"):
        parse({**MINIMAL, "stations": [{"id": "A", "evses": []}]})


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
