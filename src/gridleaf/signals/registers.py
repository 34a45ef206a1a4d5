"""Register maps of meters: data files that say where power and phase currents stand."""

from __future__ import annotations

import math
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridleaf.domain.errors import ConfigError

Address = Annotated[int, Field(ge=0, le=65535)]
Kind = Literal[
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"
]  # fmt: skip
_FORMAT = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Encoding(_Frozen):
    """How values are written. ``scale`` leads to kW or A; ``scale_register`` holds a power of ten."""

    type: Kind
    scale: float = 1.0
    scale_register: Address | None = None

    @property
    def width(self) -> int:
        """Registers of one value."""
        return struct.calcsize(">" + _FORMAT[self.type]) // 2


class OneValue(Encoding):
    address: Address


class PhaseValues(Encoding):
    """The same quantity of L1, L2 and L3."""

    addresses: tuple[Address, Address, Address]


class RegisterMap(_Frozen):
    """Where a meter keeps what we read. Addresses are those on the wire, counted from 0.

    Attributes
    ----------
    source
        The document that the addresses were taken from.
    function
        3 reads holding registers, 4 input registers.
    word_order
        ``big`` has the high word first, ``little`` the low word.
    sunspec_models
        When given, addresses count from the first register after the header of the first of these
        SunSpec models that the device has.
    power
        Total active power, + imports.
    phase_current, phase_power
        Currents without a direction get the one of the power of their phase.
    """

    name: str
    source: str
    function: Literal[3, 4] = 3
    word_order: Literal["big", "little"] = "big"
    sunspec_models: tuple[int, ...] = ()
    power: OneValue
    phase_power: PhaseValues | None = None
    phase_current: PhaseValues | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Power [kW] and signed phase currents [A]; None for what the meter marks as not available."""

    power_kw: float | None
    phase_a: tuple[float, float, float] | None


def shipped_maps() -> tuple[str, ...]:
    """Names of the register maps that come with gridleaf."""
    folder = resources.files("gridleaf.signals") / "maps"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def load_map(name: str) -> RegisterMap:
    """A shipped map by its name, or one's own by the path of a ``.toml`` file.

    Raises
    ------
    ConfigError
        With the file, the key and the reason.
    """
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(name, str(error)) from None
    elif name in shipped_maps():
        file = resources.files("gridleaf.signals") / "maps" / f"{name}.toml"
        text = file.read_text(encoding="utf-8")
    else:
        known = ", ".join(shipped_maps())
        raise ConfigError(
            "signals.modbus.map", f"no register map {name!r}; known: {known}, or a .toml file"
        )
    try:
        return RegisterMap.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(name, f"not valid TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{name}: {where}", first["msg"]) from None


def spans(layout: RegisterMap) -> list[tuple[int, int]]:
    """The requests that fetch everything: (address, count).

    Only registers that the map names are read; many meters refuse a request with any other in it.
    """
    wanted: set[int] = set()
    for values in (layout.power, layout.phase_power, layout.phase_current):
        if values is None:
            continue
        starts = values.addresses if isinstance(values, PhaseValues) else (values.address,)
        for start in starts:
            wanted.update(range(start, start + values.width))
        if values.scale_register is not None:
            wanted.add(values.scale_register)
    found: list[tuple[int, int]] = []
    for address in sorted(wanted):
        if found and sum(found[-1]) == address:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((address, 1))
    return found


def decode(layout: RegisterMap, registers: Mapping[int, int]) -> Reading:
    """Registers by address (as in the map) to kW and A.

    Parameters
    ----------
    registers
        Every register of :func:`spans`, 0..65535.
    """
    power = _value(layout, layout.power, layout.power.address, registers)
    currents = _phases(layout, layout.phase_current, registers)
    powers = _phases(layout, layout.phase_power, registers)
    if currents is not None and layout.phase_power is not None:
        currents = None if powers is None else tuple(map(math.copysign, map(abs, currents), powers))
    return Reading(power, None if currents is None else (currents[0], currents[1], currents[2]))


def _phases(
    layout: RegisterMap, values: PhaseValues | None, registers: Mapping[int, int]
) -> tuple[float, ...] | None:
    if values is None:
        return None
    found = [_value(layout, values, address, registers) for address in values.addresses]
    return None if None in found else tuple(v for v in found if v is not None)


def _value(
    layout: RegisterMap, encoding: Encoding, address: int, registers: Mapping[int, int]
) -> float | None:
    """One value; None for NaN and for the extreme integers that stand for "not available"."""
    words = [registers[address + n] for n in range(encoding.width)]
    if layout.word_order == "little":
        words.reverse()
    raw: int | float = struct.unpack(
        ">" + _FORMAT[encoding.type], struct.pack(f">{len(words)}H", *words)
    )[0]
    bits = 16 * encoding.width
    if encoding.type.startswith("float"):
        missing = not math.isfinite(raw)
    elif encoding.type.startswith("int"):
        missing = raw in (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    else:
        missing = raw == 2**bits - 1
    if missing:
        return None
    exponent = 0
    if encoding.scale_register is not None:
        exponent = struct.unpack(">h", struct.pack(">H", registers[encoding.scale_register]))[0]
        if not -10 <= exponent <= 10:
            return None
    return raw * 10.0**exponent * encoding.scale
