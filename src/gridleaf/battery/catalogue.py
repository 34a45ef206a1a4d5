"""The catalogue: cells and packs as data, each number with its source.

It ships as TOML (``battery/data``) and is extended by a file of one's own in the same format, named
by the environment variable ``GRIDLEAF_CATALOGUE``. An entry may say ``like = "other"``: what it does
not state is taken from there and counts as assumed; mass, volume and resistance of a cell follow its
capacity.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Flag, Fraction, Magnitude, Number, Positive, refusal

ENVIRONMENT = "GRIDLEAF_CATALOGUE"
Chemistry = Literal["LFP", "LMO", "LTO", "NCA", "NMC"]
Entry = TypeVar("Entry", bound=BaseModel)
_LEAST_DROP, _MOST_DROP = 1e-4, 0.5
"""Of its voltage, at 1C where its resistance is least; beyond it was meant in another unit."""
Count = Annotated[int, Field(strict=True, ge=1, le=10_000)]


class _Stated(BaseModel):
    """Where a number comes from; ``assumed`` is what no source states of this very cell or pack."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, Field(min_length=3)]
    assumed: Flag = False


class Quantity(_Stated):
    value: Positive


class Model(_Stated):
    """The published ageing model of a cell by the name of its class."""

    name: Annotated[str, Field(min_length=1)]


class Curve(_Stated):
    """A value over the state of charge of the cell, from 0 to 1."""

    soc: tuple[Fraction, ...]
    value: tuple[Positive, ...]

    @model_validator(mode="after")
    def _in_order(self) -> Curve:
        _axis("soc", self.soc)
        _covers_all(self.soc)
        if len(self.value) != len(self.soc):
            raise ValueError(f"value: {len(self.value)} numbers for {len(self.soc)} of soc")
        return self


class Surface(_Stated):
    """A value over temperature [°C] and state of charge: a row of ``soc`` for each temperature."""

    soc: tuple[Fraction, ...]
    temperature_c: tuple[Annotated[Number, Field(ge=-60, le=100)], ...]
    value: tuple[tuple[Magnitude, ...], ...]

    @model_validator(mode="after")
    def _in_order(self) -> Surface:
        _axis("soc", self.soc)
        _covers_all(self.soc)
        _axis("temperature_c", self.temperature_c)
        if len(self.value) != len(self.temperature_c):
            raise ValueError(
                f"value: {len(self.value)} rows for {len(self.temperature_c)} of temperature_c"
            )
        for number, row in enumerate(self.value):
            if len(row) != len(self.soc):
                raise ValueError(f"value.{number}: {len(row)} numbers for {len(self.soc)} of soc")
        return self


class Cell(BaseModel):
    """A cell. Rates are in multiples of its capacity in an hour (1 is 1C)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    chemistry: Chemistry
    ageing_model: Model | None = None
    capacity_ah: Quantity
    min_v: Quantity
    nominal_v: Quantity
    max_v: Quantity
    ocv_v: Curve
    resistance_mohm: Surface
    charge_c: Surface
    discharge_c: Surface
    mass_kg: Quantity
    volume_l: Quantity | None = None
    specific_heat_j_per_kg_k: Quantity

    @model_validator(mode="after")
    def _possible(self) -> Cell:
        if not self.min_v.value < self.nominal_v.value < self.max_v.value:
            raise ValueError("min_v, nominal_v, max_v: must rise in this order")
        _rises("ocv_v.value", self.ocv_v.value)
        first, last = self.ocv_v.value[0], self.ocv_v.value[-1]
        if first < self.min_v.value or last > self.max_v.value:
            raise ValueError(f"ocv_v.value: {first:g} to {last:g} V is beyond min_v or max_v")
        least_mohm = min(min(row) for row in self.resistance_mohm.value)
        if least_mohm <= 0:
            raise ValueError("resistance_mohm.value: must be above 0")
        drop = 1e-3 * least_mohm * self.capacity_ah.value / self.nominal_v.value
        if not _LEAST_DROP <= drop <= _MOST_DROP:
            raise ValueError(
                f"resistance_mohm.value: at 1C a cell of {least_mohm:g} mohm would lose "
                f"{drop:.2g} of its voltage: is it in milliohm?"
            )
        return self

    @property
    def energy_wh(self) -> float:
        """Capacity times the mean of the open-circuit voltage [Wh]."""
        mean_v = float(np.trapezoid(self.ocv_v.value, self.ocv_v.soc))
        return self.capacity_ah.value * mean_v

    @property
    def wh_per_kg(self) -> float:
        return self.energy_wh / self.mass_kg.value

    @property
    def wh_per_l(self) -> float | None:
        return None if self.volume_l is None else self.energy_wh / self.volume_l.value


class Window(_Stated):
    """What of the cells' charge a vehicle uses: its 0 is ``low``, its 1 is ``high``."""

    low: Fraction
    high: Fraction

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if self.low >= self.high:
            raise ValueError("low: must be below high")
        return self


class Cooling(_Stated):
    """Liquid cooling: above ``setpoint_c`` it takes up to ``capacity_kw`` of heat.

    ``performance`` is the heat taken for each unit of electric energy.
    """

    setpoint_c: Annotated[Number, Field(ge=0, le=60)]
    capacity_kw: Positive
    performance: Positive


class PackEntry(BaseModel):
    """A pack: cells in series and parallel, its power limits, its heat.

    ``charge_kw`` and ``discharge_kw`` are at the terminals (DC), ``onboard_kw`` is the charger in
    the vehicle (AC). Without ``cooling`` it is passive: only ``conductance_w_per_k`` to the air.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    cell: str
    series: Count
    parallel: Count
    usable_soc: Window
    charge_kw: Quantity
    discharge_kw: Quantity
    onboard_kw: Quantity | None = None
    mass_kg: Quantity
    conductance_w_per_k: Quantity
    cooling: Cooling | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Cells and packs by name."""

    cells: Mapping[str, Cell]
    packs: Mapping[str, PackEntry]

    def fitted_to(self, model: str) -> str | None:
        """The name of the cell that a published ageing model was fitted to."""
        for name, cell in self.cells.items():
            stated = cell.ageing_model
            if stated is not None and not stated.assumed and stated.name == model:
                return name
        return None

    def pack(self, name: str) -> PackEntry:
        """A pack by name.

        Raises
        ------
        ConfigError
            There is none; names that look like it are told.
        """
        if name in self.packs:
            return self.packs[name]
        raise unknown(name, "battery", self.packs)


def unknown(name: str, kind: str, known: Iterable[str]) -> ConfigError:
    """That a name is not in the catalogue, and which are meant perhaps."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.4) or known
    return ConfigError(name, f"no such {kind} in the catalogue; perhaps {', '.join(near)}")


def catalogue() -> Catalogue:
    """What ships, and the file that ``GRIDLEAF_CATALOGUE`` names; raises like :func:`load`."""
    own = os.environ.get(ENVIRONMENT)
    return load(Path(own) if own else None)


@cache
def load(own: Path | None = None) -> Catalogue:
    """The shipped catalogue and on top of it a file of one's own, whose names win.

    Raises
    ------
    ConfigError
        The file cannot be read or states what cannot be: path and reason.
    """
    raw: dict[str, dict[str, Any]] = {"cells": {}, "packs": {}}
    origin: dict[tuple[str, str], str] = {}
    for name, text in _texts(own):
        for kind, entries in _parsed(name, text).items():
            raw[kind] |= entries
            origin |= dict.fromkeys(((kind, entry) for entry in entries), name)

    def place(kind: str, entry: str) -> str:
        return f"{origin[kind, entry]}: {kind}.{entry}"

    cells: dict[str, Cell] = {}
    for name in raw["cells"]:
        entry = _like(raw["cells"], name, place("cells", name), _sized)
        cells[name] = _valid(Cell, entry, place("cells", name))
    packs: dict[str, PackEntry] = {}
    for name in raw["packs"]:
        at = place("packs", name)
        pack = _valid(PackEntry, _like(raw["packs"], name, at), at)
        if pack.cell not in cells:
            raise ConfigError(f"{at}.cell", str(unknown(pack.cell, "cell", cells)))
        packs[name] = pack
    return Catalogue(cells, packs)


def _texts(own: Path | None) -> Iterator[tuple[str, bytes]]:
    for file in sorted(resources.files("gridleaf.battery").joinpath("data").iterdir(), key=str):
        if file.name.endswith(".toml"):
            yield file.name, file.read_bytes()
    if own is not None:
        try:
            yield str(own), own.read_bytes()
        except OSError as error:
            raise ConfigError(str(own), error.strerror or str(error)) from None


def _parsed(name: str, text: bytes) -> dict[str, dict[str, Any]]:
    try:
        raw = tomllib.loads(text.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(name, f"not valid TOML: {error}") from None
    for kind, entries in raw.items():
        if kind not in ("cells", "packs"):
            raise ConfigError(f"{name}: {kind}", "unknown key; there are cells and packs")
        if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
            raise ConfigError(f"{name}: {kind}", f"must be tables such as [{kind}.my-own]")
    return raw


def _like(
    entries: Mapping[str, dict[str, Any]],
    name: str,
    at: str,
    sized: Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]] | None = None,
    below: tuple[str, ...] = (),
) -> dict[str, Any]:
    """An entry with what it takes over from the one it is like."""
    entry = dict(entries[name])
    other = entry.pop("like", None)
    if other is None:
        return entry
    if other in (*below, name):
        raise ConfigError(f"{at}.like", f"{other!r} is like {name!r} in a ring")
    if not isinstance(other, str) or other not in entries:
        raise ConfigError(f"{at}.like", str(unknown(str(other), "entry", entries)))
    taken = _like(entries, other, at, sized, (*below, name))
    if sized is not None:
        taken = sized(taken, entry)
    return {
        key: {**value, "assumed": True, "source": f"as {other}: {value.get('source')}"}
        if key not in entry and isinstance(value, dict)
        else value
        for key, value in (taken | entry).items()
    }


def _sized(taken: dict[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """A cell of the same build in the capacity of another: more area, less resistance."""
    try:
        ratio = entry["capacity_ah"]["value"] / taken["capacity_ah"]["value"]
        grown = {
            key: {**taken[key], "value": float(f"{taken[key]['value'] * ratio:.4g}")}
            for key in ("mass_kg", "volume_l")
            if key in taken
        }
        surface = taken["resistance_mohm"]
        rows = [[float(f"{mohm / ratio:.4g}") for mohm in row] for row in surface["value"]]
    except (KeyError, TypeError, ZeroDivisionError):
        return taken  # what is wrong with it is said where it is validated
    return taken | grown | {"resistance_mohm": {**surface, "value": rows}}


def _valid(kind: type[Entry], raw: dict[str, Any], at: str) -> Entry:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise refusal(error, at) from None


def _axis(name: str, values: tuple[float, ...]) -> None:
    if len(values) < 2:
        raise ValueError(f"{name}: needs at least 2 numbers")
    _rises(name, values)


def _rises(name: str, values: tuple[float, ...]) -> None:
    for before, after in pairwise(values):
        if after <= before:
            raise ValueError(f"{name}: must rise, {after:g} follows {before:g}")


def _covers_all(soc: tuple[float, ...]) -> None:
    if soc[0] != 0 or soc[-1] != 1:
        raise ValueError("soc: must lead from 0 to 1")
