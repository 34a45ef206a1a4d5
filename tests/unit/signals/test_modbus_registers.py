from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from gridleaf.domain.errors import ConfigError
from gridleaf.signals import load_map, shipped_maps
from gridleaf.signals.registers import Reading, RegisterMap, decode, spans
from signal_fakes import words


def own(kind: str, **rest: object) -> RegisterMap:
    return RegisterMap.model_validate(
        {"name": "own", "source": "test", "power": {"address": 10, "type": kind, **rest}}
    )


@pytest.mark.parametrize(
    ("kind", "code", "value"),
    [
        ("int16", "h", -1234),
        ("uint16", "H", 54321),
        ("int32", "i", -123456789),
        ("uint32", "I", 3123456789),
        ("int64", "q", -(2**60)),
        ("uint64", "Q", 2**63),
        ("float32", "f", -1234.5),
        ("float64", "d", 1e-3),
    ],
)
@pytest.mark.parametrize("low_first", [False, True])
def test_every_type_in_both_word_orders(
    kind: str, code: str, value: float, low_first: bool
) -> None:
    layout = own(kind).model_copy(update={"word_order": "little" if low_first else "big"})
    registers = dict(enumerate(words(code, value, low_first=low_first), 10))
    assert sorted(registers) == [a for s, n in spans(layout) for a in range(s, s + n)]
    assert decode(layout, registers).power_kw == value


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("int16", [0x8000]),
        ("int16", [0x7FFF]),
        ("uint16", [0xFFFF]),
        ("int32", [0x8000, 0]),
        ("int32", [0x7FFF, 0xFFFF]),
        ("uint32", [0xFFFF, 0xFFFF]),
        ("int64", [0x8000, 0, 0, 0]),
        ("uint64", [0xFFFF] * 4),
        ("float32", [0x7FC0, 0]),
        ("float32", [0x7F80, 0]),
        ("float64", [0x7FF8, 0, 0, 0]),
    ],
)
def test_not_available_is_no_value(kind: str, raw: list[int]) -> None:
    assert decode(own(kind), dict(enumerate(raw, 10))).power_kw is None


@pytest.mark.parametrize(
    ("exponent", "kw"), [(0, 1.234), (1, 12.34), (-2, 0.01234), (-32768, None), (40, None)]
)
def test_a_scale_register_holds_a_power_of_ten(exponent: int, kw: float | None) -> None:
    layout = own("int16", scale=0.001, scale_register=20)
    registers = {10: 1234, 20: struct.unpack(">H", struct.pack(">h", exponent))[0]}
    assert spans(layout) == [(10, 1), (20, 1)]
    assert decode(layout, registers).power_kw == pytest.approx(kw)


def test_only_named_registers_are_read_in_as_few_requests_as_possible() -> None:
    assert spans(load_map("eastron-sdm630")) == [(6, 12), (52, 2)]
    assert spans(load_map("sunspec-203")) == [(1, 4), (16, 5)]


def test_currents_get_the_direction_of_the_power_of_their_phase() -> None:
    layout = load_map("eastron-sdm630")
    currents, powers = [10.0, 11.0, 12.0], [2300.0, -2500.0, 2700.0]
    registers = dict(enumerate(words("f", *currents, *powers), 6))
    registers.update(enumerate(words("f", 2500.0), 52))
    assert decode(layout, registers) == Reading(2.5, (10.0, -11.0, 12.0))


def test_a_missing_phase_leaves_the_power() -> None:
    layout = load_map("eastron-sdm630")
    registers = dict(enumerate(words("f", 10.0, math.nan, 12.0, 1.0, 1.0, 1.0), 6))
    registers.update(enumerate(words("f", 2500.0), 52))
    assert decode(layout, registers) == Reading(2.5, None)


@pytest.mark.parametrize("name", shipped_maps())
def test_every_shipped_map_says_where_it_comes_from_and_reads_little(name: str) -> None:
    layout = load_map(name)
    assert len(layout.source.split()) > 10
    assert layout.phase_power is not None
    assert layout.phase_current is not None
    assert len(spans(layout)) <= 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name = ", "not valid TOML"),
        ('name = "x"\nsource = "y"\n', "power: Field required"),
        ('name = "x"\nsource = "y"\ncolour = 1\n[power]\naddress = 1\ntype = "int16"\n', "colour"),
        ('name = "x"\nsource = "y"\n[power]\naddress = 70000\ntype = "int16"\n', "power.address"),
        ('name = "x"\nsource = "y"\n[power]\naddress = 1\ntype = "int24"\n', "power.type"),
    ],
)
def test_an_own_map_that_is_wrong_is_refused_with_the_place(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_map(str(path))
    assert str(refused.value).startswith(str(path))
    assert reason in str(refused.value)


def test_a_map_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"no register map 'sdm630'; known: .*eastron-sdm630"):
        load_map("sdm630")
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_map("/nonexistent/absent.toml")
