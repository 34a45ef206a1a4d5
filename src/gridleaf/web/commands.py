"""The part of the API that makes something happen; who may do what is in :mod:`.access`."""

from __future__ import annotations

from fastapi import APIRouter

from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.wishes import Wish
from gridleaf.web.access import (
    Anyone,
    Operator,
    ReadableSession,
    SteerableSession,
    ThePlatform,
)
from gridleaf.web.problems import named
from gridleaf.web.schema import (
    CommandStatus,
    EvseId,
    NewGridEvent,
    NewLimit,
    NewMeasurement,
    NewWish,
    StartRequest,
    StationAnswer,
    StationId,
    StationRequest,
)

router = APIRouter()


@router.post(
    "/measurements", tags=["site"], status_code=202, dependencies=[Operator], response_model=None
)
async def measured(platform: ThePlatform, measurement: NewMeasurement) -> None:
    """Push a measurement of the site: the signal source for those who have no MQTT or Modbus."""
    await platform.measured(
        SiteMeasurement(
            measured_at=measurement.measured_at or platform.clock.now(),
            grid_kw=measurement.grid_kw,
            pv_kw=measurement.pv_kw,
            load_kw=measurement.load_kw,
            source="api",
        )
    )


@router.put("/limit", tags=["site"], status_code=204, dependencies=[Operator])
async def limit(platform: ThePlatform, limit: NewLimit) -> None:
    """Impose a limit on top of the configured ones; null lifts it."""
    await platform.set_limit(limit.import_kw, limit.export_kw)


@router.post("/grid-event", tags=["site"], status_code=204, dependencies=[Operator])
async def raise_grid_event(platform: ThePlatform, principal: Anyone, event: NewGridEvent) -> None:
    """Latch a grid event: discharging ends at once and stays ended until it is cleared."""
    await platform.raise_grid_event(f"{event.reason} (told by {principal.name})")


@router.delete("/grid-event", tags=["site"], status_code=204, dependencies=[Operator])
async def clear_grid_event(platform: ThePlatform) -> None:
    """Lift the latch that a grid event left: discharging is allowed again."""
    await platform.clear_grid_event()


@router.post("/stations/{station_id}/requests", tags=["stations"], dependencies=[Operator])
async def request(
    platform: ThePlatform, station_id: StationId, request: StationRequest
) -> StationAnswer:
    """Send any OCPP request and get the station's answer."""
    with named("station"):
        answer = await platform.request(station_id, request.action, dict(request.payload))
    return StationAnswer(action=request.action, answer=answer)


@router.post("/evses/{station_id}/{evse_id}/start", tags=["evses"], dependencies=[Operator])
async def start(
    platform: ThePlatform, station_id: StationId, evse_id: EvseId, request: StartRequest
) -> CommandStatus:
    """Ask the station to start a session for an id token."""
    with named("EVSE"):
        return CommandStatus(
            status=await platform.remote_start(station_id, evse_id, request.id_token)
        )


@router.post("/sessions/{session_id}/stop", tags=["sessions"])
async def stop(platform: ThePlatform, session: SteerableSession) -> CommandStatus:
    """Ask the station to stop the session."""
    with named("running session"):
        return CommandStatus(status=await platform.remote_stop(session.session_id))


@router.get("/sessions/{session_id}/wish", tags=["sessions"])
async def wish(platform: ThePlatform, session: ReadableSession) -> Wish:
    """What the driver wants; all null when nobody has said anything."""
    return await platform.store.wish(session.session_id) or Wish(said_by="default")


@router.put("/sessions/{session_id}/wish", tags=["sessions"])
async def put_wish(
    platform: ThePlatform, session: SteerableSession, principal: Anyone, wish: NewWish
) -> Wish:
    """Say what the driver wants; what is null stays as it was. The site is planned anew at once."""
    said = Wish(
        departure_at=wish.departure_at,
        energy_kwh=wish.energy_kwh,
        target_soc=wish.target_soc,
        reserve_soc=wish.reserve_soc,
        v2g=wish.v2g,
        said_by="driver" if principal.role == "driver" else "operator",
        said_at=platform.clock.now(),
    )
    with named("running session"):
        await platform.wish(session.session_id, said)
    return await platform.store.wish(session.session_id) or said
