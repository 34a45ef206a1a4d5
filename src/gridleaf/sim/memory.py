"""What a simulated station remembers over a restart of the program, as JSON."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, TypeAdapter

from gridleaf.sim.dialect import Report
from gridleaf.sim.evse import SimEvse, Transaction
from gridleaf.sim.profiles import Profile
from gridleaf.sim.vehicle import SimVehicle

if TYPE_CHECKING:
    from gridleaf.sim.station import SimStation


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseMemory:
    """Registers, vehicle and transaction of one EVSE."""

    import_kwh: float
    export_kwh: float
    vehicle: SimVehicle | None
    departure_at: datetime | None
    transaction: Transaction | None
    available: bool
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StationMemory:
    """A station's durable memory; ``waiting`` was not delivered yet."""

    __pydantic_config__: ClassVar = ConfigDict(ser_json_inf_nan="strings")

    evses: dict[int, EvseMemory]
    profiles: list[Profile]
    waiting: list[Report]


_memory: TypeAdapter[StationMemory] = TypeAdapter(StationMemory)


def remember(station: SimStation) -> dict[str, Any]:
    """What the station must not forget, as JSON-ready values."""
    station.settle()
    memory = StationMemory(
        evses={evse.id: _of(evse) for evse in station.evses.values()},
        profiles=list(station.profiles),
        waiting=list(station.link.waiting),
    )
    result: dict[str, Any] = json.loads(_memory.dump_json(memory))
    return result


def recall(station: SimStation, state: dict[str, Any]) -> None:
    """Put back what :func:`remember` gave; the station must not be running.

    Raises
    ------
    ValueError
        It is not such a memory (``pydantic.ValidationError``), or of a station with other EVSEs.
    """
    memory = _memory.validate_json(json.dumps(state))
    if set(memory.evses) != set(station.evses):
        raise ValueError(f"{station.config.id}: the memory is of a station with other EVSEs")
    station.settle()
    for evse_id, saved in memory.evses.items():
        evse = station.evses[evse_id]
        evse.import_kwh, evse.export_kwh = saved.import_kwh, saved.export_kwh
        evse.vehicle, evse.departure_at = saved.vehicle, saved.departure_at
        evse.transaction = saved.transaction
        evse.available, evse.finished = saved.available, saved.finished
    station.link.waiting = deque(memory.waiting)
    for profile in memory.profiles:
        station.profiles.install(profile)


def _of(evse: SimEvse) -> EvseMemory:
    return EvseMemory(
        import_kwh=evse.import_kwh,
        export_kwh=evse.export_kwh,
        vehicle=evse.vehicle,
        departure_at=evse.departure_at,
        transaction=evse.transaction,
        available=evse.available,
        finished=evse.finished,
    )
