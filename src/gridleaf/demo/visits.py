"""Who comes when, with how much, and needs what: drawn once from seed and day."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from gridleaf.demo.depot import (
    GUESTS,
    HATCHBACK,
    LEAF_40,
    PLUG_IN_HYBRID,
    POOL_CARS,
    VANS,
    Model,
    pool_model,
    van_model,
    van_soh,
)
from gridleaf.demo.world import local
from gridleaf.domain.wishes import Wish
from gridleaf.sim.vehicle import SimVehicle

TARGET_SOC = 0.85
SPRING_C = 15.0
"""The air at the depot, and vehicles that come in [°C]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One plug-in to come.

    ``wish`` is what the driver tells gridleaf; None is a silent driver. ``in_car`` tells whether the
    departure was set in the car, which tells the station (OCPP 2.x DC). ``target_soc`` is what the
    driver really needs on leaving.
    """

    name: str
    station_id: str
    arrives_at: datetime
    leaves_at: datetime
    vehicle: SimVehicle
    target_soc: float
    wish: Wish | None
    in_car: bool


def visits_of(seed: int, day: date) -> list[Visit]:
    """The visits that begin on a local day, earliest first.

    Vans come back in the afternoon and leave in the morning; pool cars stand in the day and some at
    night; guests stay for an hour or four. Weekends are quiet: vans stay from Friday to Monday. Some
    drivers leave earlier or later than they said, and now and then somebody needs more than a charger
    can give in the time.
    """
    result = []
    for number in range(1, VANS + 1):
        result += _van(random.Random(f"{seed}/van/{number}/{day}"), day, number)
    for number in range(1, POOL_CARS + 1):
        result += _pool(random.Random(f"{seed}/pool/{number}/{day}"), day, number)
    for number in range(1, GUESTS + 1):
        result += _guest(random.Random(f"{seed}/guest/{number}/{day}"), day, number)
    return sorted(result, key=lambda v: (v.arrives_at, v.name))


def _van(rng: random.Random, day: date, number: int) -> list[Visit]:
    if day.weekday() >= 5:
        return []
    arrives = local(day, _within(rng.gauss(16.2, 0.7), 14.6, 18.3))
    nights = 3 if day.weekday() == 4 else 1
    told = local(day + timedelta(days=nights), _within(rng.gauss(7.0, 0.45), 6.0, 8.0))
    leaves = told + timedelta(minutes=rng.choice((0, 0, 0, 0, 4, 12, 25)))
    soc = _within(rng.gauss(0.52, 0.13), 0.22, 0.82)
    return [
        Visit(
            name=f"VAN-{number:02d}/{day}",
            station_id=f"BAY-{number:02d}",
            arrives_at=arrives,
            leaves_at=leaves,
            vehicle=_worn(
                _car(f"VAN-{number:02d}", van_model(number), soc, dc=True), van_soh(number)
            ),
            target_soc=TARGET_SOC,
            wish=None if number % 3 else Wish(departure_at=told, target_soc=TARGET_SOC),
            in_car=bool(number % 3),
        )
    ]


def _pool(rng: random.Random, day: date, number: int) -> list[Visit]:
    if day.weekday() >= 5 or rng.random() < 0.12:
        return []
    arrives = local(day, _within(rng.gauss(8.4, 0.6), 7.2, 10.2))
    told = local(day, _within(rng.gauss(16.7, 0.7), 15.2, 18.6))
    model = pool_model(number)
    soc = _within(rng.gauss(0.5, 0.15), 0.15, 0.8)
    target = min(soc + rng.uniform(0.15, 0.45), 0.95)
    energy = (target - soc) * model.capacity_kwh / 0.93
    leaves = told - timedelta(minutes=15) if rng.random() < 0.08 else told
    return [
        Visit(
            name=f"POOL-{number:02d}/{day}",
            station_id=f"POOL-{number:02d}",
            arrives_at=arrives,
            leaves_at=leaves,
            vehicle=_car(f"POOL-{number:02d}", model, soc, dc=False),
            target_soc=target,
            wish=Wish(departure_at=told, energy_kwh=round(energy, 1)),
            in_car=False,
        )
    ]


def _guest(rng: random.Random, day: date, number: int) -> list[Visit]:
    result: list[Visit] = []
    hour = 8.6 + rng.uniform(0, 1.5)
    while hour < 18.0:
        stay = _within(rng.gauss(2.3, 0.9), 0.6, 4.5)
        model = rng.choice((PLUG_IN_HYBRID, HATCHBACK, LEAF_40))
        soc = rng.uniform(0.2, 0.7)
        hasty = rng.random() < 0.12
        reach = model.ac_kw * 0.93 * stay / model.capacity_kwh
        gain = min(0.95 - soc, reach * (1.6 if hasty else rng.uniform(0.3, 0.75)))
        silent = rng.random() < 0.25
        if silent:
            gain = min(gain, 9.0 / model.capacity_kwh)
        energy = gain * model.capacity_kwh / 0.93
        told = local(day, hour + stay)
        result.append(
            Visit(
                name=f"GUEST-{number:02d}/{day}/{len(result)}",
                station_id=f"GUEST-{number:02d}",
                arrives_at=local(day, hour),
                leaves_at=told,
                vehicle=_car(f"GUEST-{rng.randrange(10**6):06d}", model, soc, dc=False),
                target_soc=soc + gain,
                wish=None if silent else Wish(departure_at=told, energy_kwh=round(energy, 1)),
                in_car=False,
            )
        )
        hour += stay + rng.uniform(0.3, 1.6)
    return result


def _car(id_token: str, model: Model, soc: float, *, dc: bool) -> SimVehicle:
    return SimVehicle(
        id_token=id_token,
        name=model.name,
        capacity_kwh=model.capacity_kwh,
        soc=soc,
        charge_max_kw=model.dc_kw if dc else model.ac_kw,
        discharge_max_kw=model.discharge_kw if dc else 0.0,
        ac_phases=3 if dc else model.ac_phases,
        battery=model.battery,
        temperature_c=SPRING_C,
        ambient_c=SPRING_C,
        taper_soc=0.8 if dc else 0.95,
        charge_efficiency=0.94 if dc else 0.93,
        reports_soc=dc,
        target_soc=TARGET_SOC if dc else None,
    )


def _worn(vehicle: SimVehicle, soh: float) -> SimVehicle:
    """The vehicle with what is left of its capacity."""
    return replace(vehicle, capacity_kwh=soh * vehicle.capacity_kwh)


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def plugged_at(seed: int, at: datetime, day: date) -> list[Visit]:
    """Visits of the days up to ``day`` that have begun by ``at`` and are not over, as if just begun."""
    found = []
    for back in range(4):
        found += visits_of(seed, day - timedelta(days=back))
    return sorted(
        (replace(v, arrives_at=at) for v in found if v.arrives_at <= at < v.leaves_at),
        key=lambda v: v.station_id,
    )
