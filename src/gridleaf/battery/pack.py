"""A pack as electricity sees it: voltage, resistance, what it takes and gives, what is lost.

One cell stands for all of them: an open-circuit voltage over the state of charge and a resistance
over charge and temperature (the Rint model: Johnson, Battery performance models in ADVISOR, J. Power
Sources 110 (2002) 321, doi 10.1016/S0378-7753(02)00194-5). Functions take one :class:`Pack` and
arrays of states: as many packs of this model as the arrays are long, broadcast against each other.

``soc`` here is the charge of the cells (Ah), 0 at the least and 1 at the highest voltage; a vehicle
shows the share of its usable *energy*, see :func:`usable_share`. ``soh`` is relative capacity and
``resistance`` relative resistance, both 1 when new. + charges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridleaf.battery.catalogue import Catalogue, Surface, catalogue
from gridleaf.battery.thermal import Thermal, settle

Floats: TypeAlias = NDArray[np.float64]

END_OF_CHARGE_C = 0.05
"""Charging at constant voltage ends at this rate (C/20, as data sheets of cells state it)."""
HOUSING_J_PER_KG_K = 500.0
"""Specific heat of what is not cells; steel has 490."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Values on a grid of temperatures [°C] and states of charge, ``(N, S)``; beyond it the edge."""

    soc: Floats
    temperature_c: Floats
    value: Floats

    def at(self, soc: ArrayLike, temperature_c: ArrayLike) -> Floats:
        """Bilinear between the points."""
        column, right = _between(self.soc, soc)
        row, above = _between(self.temperature_c, temperature_c)
        low = self.value[row, column] * (1 - right) + self.value[row, column + 1] * right
        high = self.value[row + 1, column] * (1 - right) + self.value[row + 1, column + 1] * right
        return low * (1 - above) + high * above


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pack:
    """A model of pack: everything that does not change with use.

    Attributes
    ----------
    capacity_ah
        When new [Ah].
    soc, ocv_v
        Open-circuit voltage of the pack [V] at the points ``soc``.
    resistance_ohm, charge_a, discharge_a
        Over charge and temperature, when new [ohm], [A].
    min_v, max_v
        Voltage limits at the terminals [V].
    low_soc, high_soc
        The usable window.
    charge_kw, discharge_kw
        What pack and contactors may take and give at the terminals [kW].
    """

    name: str
    capacity_ah: float
    soc: Floats
    ocv_v: Floats
    resistance_ohm: Table
    charge_a: Table
    discharge_a: Table
    min_v: float
    max_v: float
    low_soc: float
    high_soc: float
    charge_kw: float
    discharge_kw: float
    thermal: Thermal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """Packs at a moment, and what the step before it did; arrays of one shape or numbers.

    ``power_kw`` is the mean at the terminals; of its energy ``stored_kwh`` is in the cells now and
    ``heat_kwh`` became heat. ``cooling_kwh`` is what the coolant took of the pack's heat, for which it
    drew ``drawn_kwh`` of electric energy beside the terminals.
    """

    soc: Floats
    temperature_c: Floats
    soh: Floats
    resistance: Floats
    power_kw: Floats
    stored_kwh: Floats
    heat_kwh: Floats
    cooling_kwh: Floats
    drawn_kwh: Floats


def named(name: str) -> Pack:
    """The pack of this name in the catalogue in use; raises like :func:`build`."""
    return build(catalogue(), name)


@cache
def build(known: Catalogue, name: str) -> Pack:
    """A pack of a catalogue.

    Raises
    ------
    ConfigError
        There is none of this name; those that look like it are told.
    """
    entry = known.pack(name)
    cell = known.cells[entry.cell]
    cells = entry.series * entry.parallel
    capacity_ah = entry.parallel * cell.capacity_ah.value
    ohm = 1e-3 * entry.series / entry.parallel

    def table(of: Surface, factor: float) -> Table:
        return Table(np.array(of.soc), np.array(of.temperature_c), np.array(of.value) * factor)

    cells_kg = cells * cell.mass_kg.value
    joule_per_k = cells_kg * cell.specific_heat_j_per_kg_k.value
    joule_per_k += max(entry.mass_kg.value - cells_kg, 0.0) * HOUSING_J_PER_KG_K
    cooling = entry.cooling
    return Pack(
        name=name,
        capacity_ah=capacity_ah,
        soc=np.array(cell.ocv_v.soc),
        ocv_v=entry.series * np.array(cell.ocv_v.value),
        resistance_ohm=table(cell.resistance_mohm, ohm),
        charge_a=table(cell.charge_c, capacity_ah),
        discharge_a=table(cell.discharge_c, capacity_ah),
        min_v=entry.series * cell.min_v.value,
        max_v=entry.series * cell.max_v.value,
        low_soc=entry.usable_soc.low,
        high_soc=entry.usable_soc.high,
        charge_kw=entry.charge_kw.value,
        discharge_kw=entry.discharge_kw.value,
        thermal=Thermal(
            heat_capacity_kwh_per_k=joule_per_k / 3.6e6,
            conductance_kw_per_k=entry.conductance_w_per_k.value / 1000,
            setpoint_c=np.inf if cooling is None else cooling.setpoint_c,
            cooling_kw=0.0 if cooling is None else cooling.capacity_kw,
            performance=1.0 if cooling is None else cooling.performance,
        ),
    )


# -- charge and energy --


def ocv_v(pack: Pack, soc: ArrayLike) -> Floats:
    """Open-circuit voltage [V]."""
    return np.asarray(np.interp(_floats(soc), pack.soc, pack.ocv_v))


def stored_kwh(pack: Pack, soc: ArrayLike, soh: ArrayLike = 1.0) -> Floats:
    """Energy in the cells above ``soc`` 0: capacity times the integral of the voltage [kWh]."""
    soc = np.clip(_floats(soc), 0.0, 1.0)
    steps = np.diff(pack.soc)
    below = np.concatenate(([0.0], np.cumsum(steps * (pack.ocv_v[1:] + pack.ocv_v[:-1]) / 2)))
    piece = np.clip(np.searchsorted(pack.soc, soc, side="right") - 1, 0, len(steps) - 1)
    mean_v = (pack.ocv_v[piece] + ocv_v(pack, soc)) / 2
    volts = below[piece] + mean_v * (soc - pack.soc[piece])
    return _floats(soh) * pack.capacity_ah * volts / 1000


def usable_kwh(pack: Pack, soh: ArrayLike = 1.0) -> Floats:
    """Energy in the usable window [kWh]."""
    return stored_kwh(pack, pack.high_soc, soh) - stored_kwh(pack, pack.low_soc, soh)


def usable_share(pack: Pack, soc: ArrayLike) -> Floats:
    """State of charge as a vehicle shows it: usable energy, 0..1 for the cells' ``soc``."""
    floor = stored_kwh(pack, pack.low_soc)
    share = (stored_kwh(pack, soc) - floor) / usable_kwh(pack)
    return np.clip(share, 0.0, 1.0)


def cell_soc(pack: Pack, share: ArrayLike) -> Floats:
    """The cells' charge of a share of the usable energy; the inverse of :func:`usable_share`."""
    energy = _floats(share) * usable_kwh(pack) + stored_kwh(pack, pack.low_soc)
    points = stored_kwh(pack, pack.soc)
    piece = np.clip(np.searchsorted(points, energy, side="right") - 1, 0, len(points) - 2)
    first_v, rise = pack.ocv_v[piece], np.diff(pack.ocv_v)[piece] / np.diff(pack.soc)[piece]
    volts = (energy - points[piece]) * 1000 / pack.capacity_ah
    # v0 x + rise x²/2 = volts, in the form that is exact for a flat voltage too
    return pack.soc[piece] + 2 * volts / (first_v + np.sqrt(first_v**2 + 2 * rise * volts))


# -- limits --


def power_limits(
    pack: Pack,
    soc: ArrayLike,
    temperature_c: ArrayLike,
    soh: ArrayLike = 1.0,
    resistance: ArrayLike = 1.0,
) -> tuple[Floats, Floats]:
    """What packs can take and give at their terminals now [kW], both magnitudes.

    Charging is at the highest current that cells of this charge and temperature bear until the
    terminals are at ``max_v``; from there the current is (max_v − OCV)/R and falls: the constant-voltage
    phase. Discharging stops at ``min_v`` in the same way. Currents follow the capacity that is left.
    Outside the usable window the limit in that direction is 0.
    """
    charge, discharge = _limits(pack, soc, temperature_c, soh, resistance)
    charge = np.where(_floats(soc) >= pack.high_soc, 0.0, charge)
    discharge = np.where(_floats(soc) <= pack.low_soc, 0.0, discharge)
    return charge, discharge


def _limits(
    pack: Pack, soc: ArrayLike, temperature_c: ArrayLike, soh: ArrayLike, resistance: ArrayLike
) -> tuple[Floats, Floats]:
    volts = ocv_v(pack, soc)
    ohm = pack.resistance_ohm.at(soc, temperature_c) * _floats(resistance)
    bear_a = pack.charge_a.at(soc, temperature_c) * _floats(soh)
    into_a = np.minimum(bear_a, np.maximum(pack.max_v - volts, 0.0) / ohm)
    charge = np.minimum(into_a * (volts + into_a * ohm) / 1000, pack.charge_kw)
    bear_a = pack.discharge_a.at(soc, temperature_c) * _floats(soh)
    least_v = np.maximum(pack.min_v, volts / 2)  # below half the voltage more current is less power
    out_of_a = np.minimum(bear_a, np.maximum(volts - least_v, 0.0) / ohm)
    discharge = np.minimum(out_of_a * (volts - out_of_a * ohm) / 1000, pack.discharge_kw)
    return charge, discharge


def charge_curve(
    pack: Pack, temperature_c: float, soh: float = 1.0, resistance: float = 1.0, points: int = 21
) -> tuple[Floats, Floats]:
    """What one pack takes over the share of its usable energy, as a planner and a vehicle use it.

    Returns
    -------
    share, power_kw
        ``points`` evenly spaced shares 0..1 and the power at the terminals [kW]. At the top it ends
        where charging does, ``END_OF_CHARGE_C``, as far as the temperature allows it.
    """
    share = np.linspace(0.0, 1.0, points)
    soc = cell_soc(pack, share)
    power, _ = _limits(pack, soc, temperature_c, soh, resistance)
    bear = pack.charge_a.at(soc, temperature_c) * _floats(soh) * ocv_v(pack, soc) / 1000
    end = np.minimum(END_OF_CHARGE_C * soh * pack.capacity_ah * ocv_v(pack, soc) / 1000, bear)
    return share, np.maximum(power, end)


def discharge_curve(
    pack: Pack, temperature_c: float, soh: float = 1.0, resistance: float = 1.0, points: int = 21
) -> tuple[Floats, Floats]:
    """What one pack can give over the share of its usable energy [kW]; like :func:`charge_curve`."""
    share = np.linspace(0.0, 1.0, points)
    _, power = _limits(pack, cell_soc(pack, share), temperature_c, soh, resistance)
    return share, power


# -- losses --


def current_a(
    pack: Pack,
    power_kw: ArrayLike,
    soc: ArrayLike,
    temperature_c: ArrayLike,
    resistance: ArrayLike = 1.0,
) -> Floats:
    """The current of a power at the terminals [A], signed like the power.

    From P = (OCV + I R) I. More than the cells could ever give (OCV²/4R) is taken as that.
    """
    volts = ocv_v(pack, soc)
    ohm = pack.resistance_ohm.at(soc, temperature_c) * _floats(resistance)
    watts = np.maximum(_floats(power_kw) * 1000, -(volts**2) / (4 * ohm))
    root = np.sqrt(np.maximum(volts**2 + 4 * ohm * watts, 0.0))
    return 2 * watts / (volts + root)


def efficiency(
    pack: Pack,
    power_kw: ArrayLike,
    soc: ArrayLike,
    temperature_c: ArrayLike,
    resistance: ArrayLike = 1.0,
) -> Floats:
    """One way between terminals and cells, 0..1: OCV/V when charging, V/OCV when discharging."""
    volts = ocv_v(pack, soc)
    ohm = pack.resistance_ohm.at(soc, temperature_c) * _floats(resistance)
    drop = current_a(pack, power_kw, soc, temperature_c, resistance) * ohm
    return np.where(drop >= 0, volts / (volts + np.maximum(drop, 0.0)), (volts + drop) / volts)


# -- time --


def state(
    soc: ArrayLike,
    temperature_c: ArrayLike = 25.0,
    *,
    soh: ArrayLike = 1.0,
    resistance: ArrayLike = 1.0,
) -> State:
    """Packs at rest."""
    of = np.broadcast_arrays(*(_floats(x) for x in (soc, temperature_c, soh, resistance)))
    nothing = np.zeros_like(of[0])
    return State(
        soc=of[0],
        temperature_c=of[1],
        soh=of[2],
        resistance=of[3],
        power_kw=nothing,
        stored_kwh=nothing,
        heat_kwh=nothing,
        cooling_kwh=nothing,
        drawn_kwh=nothing,
    )


def step(pack: Pack, now: State, power_kw: ArrayLike, ambient_c: ArrayLike, dt_h: float) -> State:
    """Let ``dt_h`` hours pass with ``power_kw`` at the terminals, as far as the pack can.

    The power is cut to :func:`power_limits` of the beginning, and at the ends of the usable window to
    what leads there. Over the step the current is constant, so that the energy at the terminals is
    E(soc after) − E(soc before) + R I² dt exactly; this equation is solved for the charge. Resistance
    is that of the beginning: steps should be short against the warming (minutes). The temperature
    follows in closed form, stable for any ``dt_h``.
    """
    if dt_h <= 0:
        return now
    most_in, most_out = power_limits(pack, now.soc, now.temperature_c, now.soh, now.resistance)
    wanted = np.clip(_floats(power_kw), -most_out, most_in)
    capacity_ah = pack.capacity_ah * now.soh
    ohm = pack.resistance_ohm.at(now.soc, now.temperature_c) * now.resistance
    before = stored_kwh(pack, now.soc, now.soh)

    def terminals_kwh(moved: Floats) -> tuple[Floats, Floats, Floats]:
        stored = stored_kwh(pack, now.soc + moved, now.soh) - before
        heat = ohm * (moved * capacity_ah / dt_h) ** 2 * dt_h / 1000
        return stored + heat, stored, heat

    floor, ceiling = np.minimum(pack.low_soc, now.soc), np.maximum(pack.high_soc, now.soc)
    moved = current_a(pack, wanted, now.soc, now.temperature_c, now.resistance) * dt_h / capacity_ah
    for _ in range(30):
        moved = np.clip(moved, floor - now.soc, ceiling - now.soc)
        slope = ocv_v(pack, now.soc + moved) * capacity_ah / 1000
        slope = slope + 2 * ohm * moved * capacity_ah**2 / dt_h / 1000
        change = (wanted * dt_h - terminals_kwh(moved)[0]) / np.maximum(slope, 1e-9)
        moved = moved + change
        if np.all(np.abs(change) < 1e-13):
            break
    moved = np.clip(moved, floor - now.soc, ceiling - now.soc)
    total, stored, heat = terminals_kwh(moved)
    temperature, cooling = settle(pack.thermal, now.temperature_c, heat / dt_h, ambient_c, dt_h)
    return replace(
        now,
        soc=now.soc + moved,
        temperature_c=temperature,
        power_kw=total / dt_h,
        stored_kwh=stored,
        heat_kwh=heat,
        cooling_kwh=cooling,
        drawn_kwh=cooling / pack.thermal.performance,
    )


def _between(axis: Floats, at: ArrayLike) -> tuple[NDArray[np.intp], Floats]:
    """Piece of an axis and share within it; outside the axis its edge."""
    at = np.clip(_floats(at), axis[0], axis[-1])
    piece = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, len(axis) - 2)
    return piece, (at - axis[piece]) / (axis[piece + 1] - axis[piece])


def _floats(value: ArrayLike) -> Floats:
    return np.asarray(value, dtype=np.float64)
