"""What is known of the vehicles' batteries, for the API and the console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gridleaf.control.batteries import estimate_of, expected, trusted
from gridleaf.control.wear import usual_wear_per_kwh
from gridleaf.domain.site import Vehicle, same_token
from gridleaf.store.port import HealthRecord
from gridleaf.web.port import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryView:
    """One vehicle's battery. Capacities and the 90 % band in kWh; health 0..1 of what it was new.

    Before the first session counts they are what the battery's age suggests, and ``measured_at`` is null.
    ``planned_with`` tells whether the control loop uses the measured
    capacity where the vehicle itself tells none: once sessions have taught more than age and model did. ``discharged_kwh`` and its
    ``wear_cost`` are of the sessions that are over.
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


async def battery_views(platform: Platform) -> list[BatteryView]:
    """The battery of each vehicle that the site file names."""
    newest = {record.vehicle: record for record in await platform.store.latest_health()}
    return [
        await battery_view(platform, v, newest.get(same_token(v.id_token)))
        for v in platform.site.vehicles
    ]


async def battery_view(
    platform: Platform, vehicle: Vehicle, record: HealthRecord | None
) -> BatteryView:
    """One battery, by the newest record of it."""
    given_kwh = await platform.store.discharged_kwh(vehicle.id_token)
    nominal = vehicle.capacity_kwh
    if record is not None and record.nominal_kwh != nominal:
        record = None
    now = platform.clock.now()
    known = expected(vehicle, now) if record is None else estimate_of(record)
    low, high = known.band_kwh
    soh = known.capacity_kwh / nominal
    wear = usual_wear_per_kwh(vehicle, platform.site.defaults, min(soh, 1.0))
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
        planned_with=record is not None and trusted(record, vehicle, now),
        discharged_kwh=given_kwh,
        wear_per_kwh=wear,
        wear_cost=given_kwh * wear,
    )


def vehicle_of(vehicles: Sequence[Vehicle], id_token: str) -> Vehicle | None:
    """The vehicle of an id token, in any case of its letters."""
    return next((v for v in vehicles if same_token(v.id_token) == same_token(id_token)), None)
