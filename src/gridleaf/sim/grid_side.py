"""A vehicle's battery seen from the grid side of its charger: what it accepts, gives and loses."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from gridleaf.battery import curve as curves
from gridleaf.battery import pack as packs
from gridleaf.battery.converter import Converter, grid_kw, terminal_kw
from gridleaf.battery.curve import PowerCurve

TINY = 1e-9
"""Powers [kW] and energies [kWh] closer than this are the same."""


@dataclass(frozen=True, slots=True)
class Accepts:
    """A charging curve over the energy in the battery, at the grid side.

    ``power_kw`` at the points ``energy_kwh``; between two of them it ``falls`` by so many kW per kWh.
    """

    energy_kwh: tuple[float, ...]
    power_kw: tuple[float, ...]
    falls: tuple[float, ...]

    def piece(self, energy_kwh: float) -> int:
        """The piece that begins at an energy or holds it."""
        found = bisect_right(self.energy_kwh, energy_kwh + TINY) - 1
        return min(max(found, 0), len(self.falls) - 1)

    def at(self, energy_kwh: float) -> float:
        piece = self.piece(energy_kwh)
        fallen = self.falls[piece] * (energy_kwh - self.energy_kwh[piece])
        return self.power_kw[piece] - fallen


def _over_energy(curve: PowerCurve, capacity_kwh: float) -> Accepts:
    energy = tuple(soc * capacity_kwh for soc in curve.soc)
    points = list(zip(energy, curve.power_kw, strict=True))
    falls = ((p - q) / (b - a) for (a, p), (b, q) in pairwise(points))
    return Accepts(energy, curve.power_kw, tuple(falls))


@lru_cache(maxsize=4096)
def generic(capacity_kwh: float, charge_max_kw: float, taper_soc: float, cutoff: float) -> Accepts:
    """What a battery accepts of which nothing is known but its taper."""
    return _over_energy(curves.generic(charge_max_kw, taper_soc, cutoff), capacity_kwh)


@lru_cache(maxsize=4096)
def accepts(
    battery: str, capacity_kwh: float, charge_max_kw: float, temperature_c: float
) -> Accepts:
    """What a pack of the catalogue accepts behind a charger of ``charge_max_kw``."""
    inside = curves.of_battery(battery, capacity_kwh, temperature_c)
    outside = grid_kw(Converter(rated_kw=charge_max_kw), inside.power_kw)
    return _over_energy(PowerCurve(inside.soc, tuple(outside.tolist())), capacity_kwh)


@lru_cache(maxsize=4096)
def gives(
    battery: str, capacity_kwh: float, charge_max_kw: float, temperature_c: float
) -> PowerCurve:
    """What a pack of the catalogue gives through a charger of ``charge_max_kw``."""
    inside = curves.given_by(battery, capacity_kwh, temperature_c)
    outside = -grid_kw(Converter(rated_kw=charge_max_kw), [-kw for kw in inside.power_kw])
    return PowerCurve(inside.soc, tuple(outside.tolist()))


@dataclass(frozen=True, slots=True)
class Losses:
    """Efficiencies one way between grid and cells.

    Of it ``charger_in`` and ``charger_out`` are between grid and terminals; the rest warms the cells.
    """

    into: float
    out_of: float
    charger_in: float = 1.0
    charger_out: float = 1.0


@lru_cache(maxsize=65536)
def losses_at(
    battery: str, rated_kw: float, into_kw: float, out_kw: float, soc: float, temperature_c: float
) -> Losses:
    """The losses of a pack and its charger when it charges with one power or discharges with another."""
    pack, charger = packs.named(battery), Converter(rated_kw=rated_kw)
    least = 0.01 * rated_kw  # below, a charger's efficiency falls to nothing
    ends = terminal_kw(charger, [max(into_kw, least), -max(out_kw, least)])
    within = packs.efficiency(pack, ends, packs.cell_soc(pack, soc), temperature_c)
    charger_in, charger_out = ends[0] / max(into_kw, least), -max(out_kw, least) / ends[1]
    return Losses(
        float(charger_in * within[0]),
        float(charger_out * within[1]),
        float(charger_in),
        float(charger_out),
    )
