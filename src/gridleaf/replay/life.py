"""What a mode took from the vehicles' batteries: their charge, scored by the full ageing model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gridleaf.battery.ageing import advance, fresh
from gridleaf.battery.wear import Worth, ageing_model, cost_of_life, worn
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Defaults
from gridleaf.replay.results import VehicleLife

Floats = NDArray[np.float64]

BATTERY = "nissan-leaf-40"
"""The battery that all vehicles of a log are taken to have where nobody says another."""
SOH = 0.95
"""And their health when the log begins."""
HOUR = timedelta(hours=1)
STOOD_H = 12
"""So long it has stood at the charge that it came with, which costs nothing here: the models take the
C-rate of a day, and a day is more than an hour at a fast charger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One stay of a vehicle: when its charge was what, from plugging in to plugging out."""

    vehicle: str
    capacity_kwh: float
    times: Sequence[datetime]
    soc: Sequence[float]


def lives(stays: Sequence[Stay], battery: str, usual: Defaults) -> tuple[VehicleLife, ...]:
    """The cost of life of each vehicle, in the order of first arrival.

    Between two stays charge goes in a straight line from the departure to the next arrival: that is the
    same in every mode, but for where it begins. A vehicle whose stays were given different capacities
    has the largest of them.

    Parameters
    ----------
    battery
        The catalogue's pack of which all vehicles have one, in their own size.
    usual
        Price of a pack, end of life and temperature.

    Raises
    ------
    ConfigError
        There is no such pack, or nobody knows how its cells age.
    """
    model = ageing_model(battery)
    if model is None:
        raise ConfigError("battery", f"nobody knows how the cells of {battery!r} age")
    begin = replace(worn(model, SOH, usual.ambient_c), piece=fresh(model).piece)
    by_vehicle: dict[str, list[Stay]] = {}
    for stay in stays:
        by_vehicle.setdefault(stay.vehicle, []).append(stay)
    found = []
    for vehicle, own in by_vehicle.items():
        capacity = max(stay.capacity_kwh for stay in own)
        worth = Worth(
            capacity_kwh=capacity,
            pack_price_eur_per_kwh=usual.battery_price_per_kwh,
            end_of_life_soh=usual.end_of_life_soh,
        )
        hours, soc = _history(own, capacity)
        if len(hours) < 2:
            continue
        before = np.full((1, STOOD_H + 1), worth.history(soc[:1])[0])
        stood = advance(begin, before, np.full(before.shape, usual.ambient_c), 1.0)
        score = cost_of_life(stood, worth, soc[None, 1:], usual.ambient_c, np.diff(hours))
        found.append(
            VehicleLife(
                vehicle=vehicle,
                eur=float(score.eur[0]),
                calendar_eur=float(score.calendar_eur[0]),
                cycling_eur=float(score.cycling_eur[0]),
                outside=float(score.outside[0]),
                reasons=tuple(name for name, share in score.reasons.items() if share[0] > 0),
            )
        )
    return tuple(found)


def _history(stays: Sequence[Stay], capacity_kwh: float) -> tuple[Floats, Floats]:
    """Hours from the first arrival and SoC there, no two samples more than an hour apart."""
    first = stays[0].times[0]
    knots_h: list[float] = []
    knots: list[float] = []
    for stay in sorted(stays, key=lambda stay: stay.times[0]):
        share = stay.capacity_kwh / capacity_kwh
        for at, soc in zip(stay.times, stay.soc, strict=True):
            hour = (at - first) / HOUR
            if not knots_h or hour > knots_h[-1]:
                knots_h.append(hour)
                knots.append(min(max(soc * share, 0.0), 1.0))
    hours = np.array(knots_h)
    parts = np.ceil(np.diff(hours) - 1e-9).astype(int).clip(1)
    fine = np.repeat(hours[:-1], parts)
    place = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    fine = np.append(fine + place * np.repeat(np.diff(hours) / parts, parts), hours[-1:])
    return fine, np.interp(fine, hours, knots)
