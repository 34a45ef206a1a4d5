"""The price of wear of a plugged-in vehicle: from its cells, its health and what it will do."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from gridleaf.battery.budget import PredictedFade
from gridleaf.control.types import Wear
from gridleaf.domain.site import Defaults, Vehicle

if TYPE_CHECKING:
    from gridleaf.battery.wear import WearPrice

USUAL_KW, USUAL_EFFICIENCY = 11.0, 0.93
LEAST_C = 0.02
"""Slower than this nothing is taken to charge or discharge, as a share of the capacity [1/h]."""
_YEAR_H = 8766.0


def wear_of(battery: str, defaults: Defaults, **expected: float) -> Wear | None:
    """The price for a session of a vehicle with this pack, see :func:`_priced`."""
    found = _priced(battery, defaults, **expected)
    if found is None:
        return None
    name, price = found
    return Wear(
        discharge_per_kwh=price.discharge_eur_per_kwh,
        levels_kwh=tuple(price.dwell_kwh.tolist()),
        per_kwh_h=tuple(price.dwell_eur_per_kwh_h.tolist()),
        soh=round(expected["soh"], 3),
        model=name,
        notes=price.notes,
    )


def usual_wear_per_kwh(vehicle: Vehicle, defaults: Defaults, soh: float) -> float:
    """What a kWh that a vehicle gives wears, on a day on which nothing is known of its session."""
    if vehicle.wear_per_kwh is not None:
        return vehicle.wear_per_kwh
    found = _usual(vehicle, defaults, soh)
    return defaults.wear_per_kwh if found is None else found.discharge_eur_per_kwh


def predicted_fade(vehicle: Vehicle, defaults: Defaults, soh: float) -> PredictedFade | None:
    """What the model of a vehicle's cells expects of a usual day; None where nobody knows its cells.

    The rates of today: most cells fade more slowly the older they are, so it errs towards caution.
    """
    found = _usual(vehicle, defaults, soh)
    if found is None:
        return None
    worth = defaults.battery_price_per_kwh * vehicle.capacity_kwh / (1.0 - defaults.end_of_life_soh)
    return PredictedFade(
        per_year=found.rest_eur_per_h * _YEAR_H / worth,
        per_kwh=found.discharge_eur_per_kwh / worth,
    )


def _usual(vehicle: Vehicle, defaults: Defaults, soh: float) -> WearPrice | None:
    target, reserve = (
        usual if own is None else own
        for own, usual in (
            (vehicle.target_soc, defaults.target_soc),
            (vehicle.reserve_soc, defaults.reserve_soc),
        )
    )
    if vehicle.battery is None:
        return None
    holds_kwh = soh * vehicle.capacity_kwh
    found = _priced(
        vehicle.battery,
        defaults,
        capacity_kwh=holds_kwh,
        soh=soh,
        leaves_kwh=target * holds_kwh,
        comes_kwh=(target + reserve) / 2 * holds_kwh,
        lowest_kwh=reserve * holds_kwh,
        charge_kw=vehicle.charge_max_kw or USUAL_KW,
        discharge_kw=vehicle.discharge_max_kw or USUAL_KW,
        discharge_efficiency=USUAL_EFFICIENCY,
    )
    return None if found is None else found[1]


def _priced(
    battery: str,
    defaults: Defaults,
    *,
    capacity_kwh: float,
    soh: float,
    leaves_kwh: float,
    comes_kwh: float,
    lowest_kwh: float,
    charge_kw: float,
    discharge_kw: float,
    discharge_efficiency: float,
) -> tuple[str, WearPrice] | None:
    """The model and the price for a vehicle with this pack; None where nobody knows how its cells age.

    Expected is a day on which it is discharged from what it came with to the lowest that it may be, and
    charged to what it wants: where depth counts, that is the dearest kWh. So the price stays the same
    while it gives. Everything is rounded, and a price is made once for many cycles.

    Parameters
    ----------
    capacity_kwh
        What it holds now, as planned with.
    leaves_kwh, comes_kwh, lowest_kwh
        Energies that it wants, came with, and keeps.
    charge_kw, discharge_kw
        At the cells.
    """

    def share(energy_kwh: float) -> float:
        return round(20 * min(max(energy_kwh / capacity_kwh, 0.0), 1.0)) / 20

    def rate(power_kw: float) -> float:
        return max(round(power_kw / capacity_kwh, 2), LEAST_C)

    return _price(
        battery,
        round(capacity_kwh, 1),
        defaults.battery_price_per_kwh,
        defaults.end_of_life_soh,
        round(min(max(soh, 0.3), 1.0), 2),
        round(defaults.ambient_c),
        share(leaves_kwh),
        share(comes_kwh),
        share(lowest_kwh),
        rate(charge_kw),
        rate(discharge_kw),
        discharge_efficiency,
    )


@lru_cache(maxsize=4096)
def _price(
    battery: str,
    capacity_kwh: float,
    price_per_kwh: float,
    end_of_life_soh: float,
    soh: float,
    temperature_c: float,
    leaves: float,
    comes: float,
    lowest: float,
    charge_c: float,
    discharge_c: float,
    discharge_efficiency: float,
) -> tuple[str, WearPrice] | None:
    # what is compiled takes a moment to load: only those who know a battery wait
    from gridleaf.battery.pack import named
    from gridleaf.battery.wear import Worth, ageing_model, marginal, usual_day, worn

    model = ageing_model(battery)
    if model is None:
        return None
    comes = max(comes, lowest + 0.05)
    worth = Worth(
        capacity_kwh=capacity_kwh / soh,
        pack_price_eur_per_kwh=price_per_kwh,
        end_of_life_soh=end_of_life_soh,
        pack=named(battery),
        soh=soh,
    )
    day = usual_day(
        leaves_soc=max(leaves, comes) * soh,
        comes_soc=comes * soh,
        lowest_soc=lowest * soh,
        charge_c=charge_c * soh,
        discharge_c=discharge_c * soh,
        capacity_kwh=worth.capacity_kwh,
        discharge_efficiency=discharge_efficiency,
        temperature_c=temperature_c,
    )
    reach = (min(lowest, 0.9) * soh, soh)
    return model.name, marginal(worn(model, soh, temperature_c), worth, day, reach=reach)
