"""Keeping what sessions tell of batteries: from the live view into the store, and back after a start."""

from __future__ import annotations

from datetime import datetime

from gridleaf.control.live import LiveSite
from gridleaf.control.session import LiveSession
from gridleaf.domain.site import Vehicle
from gridleaf.store.port import Store


async def restore_batteries(live: LiveSite, store: Store, at: datetime) -> None:
    """The newest estimates, and what vehicles with a budget have given."""
    live.batteries.restore(await store.latest_health())
    for vehicle in live.site.vehicles:
        await _count_given(live, store, vehicle, at)


async def keep_health(live: LiveSite, store: Store, session: LiveSession, at: datetime) -> None:
    """What a session that is over tells about its battery, and what it took of the budgets.

    Durable first; a session of which this is known already adds nothing.
    """
    vehicle = live.vehicle(session.id_token)
    evse = live.evse(session.station_id, session.evse_id)
    if vehicle is None or evse is None:
        return
    record = live.batteries.learn(session, vehicle, evse.config)
    if record is not None and not await store.append_health(record):
        # its number was taken meanwhile, or the session is known: look again, once
        live.batteries.restore(await store.latest_health())
        record = live.batteries.learn(session, vehicle, evse.config)
        if record is not None and not await store.append_health(record):
            record = None
    if record is not None:
        live.batteries.learnt(record)
    await _count_given(live, store, vehicle, at)


async def _count_given(live: LiveSite, store: Store, vehicle: Vehicle, at: datetime) -> None:
    if vehicle.discharge_kwh_per_year is None and vehicle.discharge_kwh_total is None:
        return
    year = await store.throughput(id_token=vehicle.id_token, since=live.batteries.year_start(at))
    ever = await store.throughput(id_token=vehicle.id_token)
    live.batteries.gave(
        vehicle,
        at,
        sum(moved.discharged_kwh for moved in year.values()),
        sum(moved.discharged_kwh for moved in ever.values()),
    )
