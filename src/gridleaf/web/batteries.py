"""What is known of the vehicles' batteries, and their passports, for the API and the console."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gridleaf.battery import passport as book
from gridleaf.control.batteries import estimate_of, expected, is_of, trusted
from gridleaf.control.passports import heads_file, key_file, own_key
from gridleaf.control.wear import usual_wear_per_kwh
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Storage, Vehicle, same_token
from gridleaf.store.port import HealthRecord, PassportRecord
from gridleaf.web.port import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryView:
    """One vehicle's battery. Capacities and the 90 % band in kWh; health 0..1 of what it was new.

    Before the first session counts they are what the battery's age suggests, and ``measured_at`` is null.
    ``planned_with`` tells whether the control loop uses the measured capacity where the vehicle itself
    tells none: once sessions have taught more than age and model did. ``discharged_kwh`` and its
    ``wear_cost`` are of the sessions that are over. ``passport_entries`` are in its passport, the newest
    from ``passport_at``.
    """

    id_token: str
    name: str
    nominal_kwh: float
    capacity_kwh: float
    low_kwh: float
    high_kwh: float
    soh: float
    soh_low: float
    soh_high: float
    sessions: int = 0
    measured_at: datetime | None = None
    planned_with: bool = False
    discharged_kwh: float = 0.0
    wear_per_kwh: float = 0.0
    wear_cost: float = 0.0
    passport_entries: int = 0
    passport_at: datetime | None = None


async def battery_views(platform: Platform, only: Vehicle | None = None) -> list[BatteryView]:
    """The battery of each vehicle that the site file names, or of one; the store is asked once for all."""
    store = platform.store
    newest = {record.vehicle: record for record in await store.latest_health()}
    moved = await store.throughput(id_token=None if only is None else only.id_token)
    passports = {record.vehicle: record for record in await store.latest_passports()}
    views = []
    for vehicle in platform.site.vehicles if only is None else (only,):
        name = same_token(vehicle.id_token)
        given_kwh = moved[name].discharged_kwh if name in moved else 0.0
        views.append(_view(platform, vehicle, newest.get(name), given_kwh, passports.get(name)))
    return views


def _view(
    platform: Platform,
    vehicle: Vehicle,
    record: HealthRecord | None,
    given_kwh: float,
    passport: PassportRecord | None,
) -> BatteryView:
    nominal = vehicle.capacity_kwh
    site, now = platform.site, platform.clock.now()
    if record is not None and not is_of(record, vehicle, now):
        record = None
    known = expected(vehicle, site.defaults, now) if record is None else estimate_of(record)
    low, high = known.band_kwh
    soh = known.capacity_kwh / nominal
    wear = usual_wear_per_kwh(vehicle, site.defaults, min(soh, 1.0))
    return BatteryView(
        id_token=vehicle.id_token,
        name=vehicle.name,
        nominal_kwh=nominal,
        capacity_kwh=known.capacity_kwh,
        low_kwh=low,
        high_kwh=high,
        soh=soh,
        soh_low=low / nominal,
        soh_high=high / nominal,
        sessions=known.sessions,
        measured_at=None if record is None else record.at,
        planned_with=record is not None and trusted(record, vehicle, site.defaults, now),
        discharged_kwh=given_kwh,
        wear_per_kwh=wear,
        wear_cost=given_kwh * wear,
        passport_entries=0 if passport is None else passport.number,
        passport_at=None if passport is None else _written_at(passport),
    )


def _written_at(passport: PassportRecord) -> datetime | None:
    """None where the entry is damaged: who asks for the passport is told."""
    try:
        return datetime.fromisoformat(json.loads(passport.entry)["at"])
    except (ValueError, KeyError, TypeError):
        return None


async def passport_of(platform: Platform, id_token: str) -> dict[str, Any]:
    """The passport of a vehicle with its whole history, checked.

    Raises
    ------
    KeyError
        It has none.
    ConfigError
        Its history is not as this site wrote it, or the site's key cannot be used; nothing of it leaves
        then.
    """
    battery, storage = same_token(id_token), platform.site.storage
    heads = await asyncio.to_thread(book.read_heads, heads_file(key_file(storage)))
    entries = [row.entry for row in await platform.store.passport(battery)]
    if not entries:
        raise KeyError(id_token)
    seen = [heads[battery]] if battery in heads else []
    return await asyncio.to_thread(_checked, battery, entries, storage, seen)


def _checked(
    battery: str, entries: Sequence[str], storage: Storage, seen: Sequence[book.Head]
) -> dict[str, Any]:
    if wrong := book.faults(battery, entries, key=own_key(storage), heads=seen):
        raise ConfigError(f"passport of {battery}", "; ".join(wrong))
    return book.document(battery, entries)


def vehicle_of(vehicles: Sequence[Vehicle], id_token: str) -> Vehicle | None:
    """The vehicle of an id token, in any case of its letters."""
    return next((v for v in vehicles if same_token(v.id_token) == same_token(id_token)), None)
