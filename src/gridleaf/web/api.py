"""The REST API under ``/api/v1``: what the platform knows. Commands are in :mod:`.commands`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, FastAPI, Header, HTTPException, Query, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import StreamingResponse

import gridleaf
from gridleaf.control.types import SiteState, decision_from_json, state_from_json
from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import same_token
from gridleaf.store.port import CycleRecord
from gridleaf.web import commands, problems
from gridleaf.web.access import (
    Anyone,
    PeoplesClock,
    ReadableSession,
    ThePlatform,
    Watcher,
)
from gridleaf.web.auth import Accounts, Principal
from gridleaf.web.batteries import BatteryView, battery_views, passport_of, vehicle_of
from gridleaf.web.events import stream
from gridleaf.web.figures import price_steps, session_series, worst_first
from gridleaf.web.port import Platform, StationView
from gridleaf.web.schema import (
    Alerts,
    BatteryHealth,
    CircuitView,
    CycleId,
    DecisionDetail,
    DecisionPage,
    DecisionSummary,
    EvseId,
    EvseView,
    Frames,
    Limit,
    Measurements,
    PlanView,
    Prices,
    PriceStep,
    Series,
    SessionDetail,
    SessionPage,
    Since,
    SiteView,
    StationDetail,
    StationId,
    Until,
    VehicleId,
)

router = APIRouter()

_DAY = timedelta(days=1)
_FIRST = datetime(1970, 1, 2, tzinfo=UTC)
"""Nothing was measured before; the day before it is still in the calendar."""


def create_api(platform: Platform, accounts: Accounts, clock: Clock) -> FastAPI:
    """The API as an application of its own, to be mounted at ``/api/v1``.

    ``clock`` is the people's time: the pace of the event stream follows it, not the platform's.
    """
    app = FastAPI(
        title="gridleaf",
        version=gridleaf.__version__,
        description=__doc__.split(":")[0] + ". Powers in kW, + charges or imports; times in UTC.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.platform = platform
    app.state.accounts = accounts
    app.state.clock = clock
    problems.install(app)
    app.include_router(router)
    app.include_router(commands.router)

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=app.description,
                    routes=app.routes,
                    servers=[{"url": "/api/v1"}],
                )
            )
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
    return app


def _with_problems(schema: dict[str, Any]) -> dict[str, Any]:
    """Every operation may answer with a problem; FastAPI's own 422 is replaced by that."""
    schemas = schema["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    mistake = problems.Mistake.model_json_schema()
    whole = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    whole.pop("$defs")
    schemas |= {"Mistake": mistake, "Problem": whole}
    answer = {
        "description": "400 or 422 bad input, 401 no token, 403 not allowed, 404 not there, 409 the "
        "station is not connected or a passport was tampered with, 413 too large, 502 refused by the station, 503 the store is "
        "down, 504 the station did not answer.",
        "content": {problems.PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = answer
    return schema


@router.get("/site", tags=["site"])
async def site(platform: ThePlatform, _: Anyone) -> SiteView:
    """The site as configured, and the money since local midnight."""
    config = platform.site
    return SiteView(
        name=config.name,
        timezone=config.timezone,
        currency=config.currency,
        import_limit_kw=config.import_limit_kw,
        export_limit_kw=config.export_limit_kw,
        circuits=[
            CircuitView(
                id=c.id,
                parent=c.parent,
                import_limit_kw=c.import_limit_kw,
                export_limit_kw=c.export_limit_kw,
            )
            for c in config.circuits
        ],
        stations=len(config.stations),
        evses=sum(len(station.evses) for station in config.stations),
        policy=config.control.policy,
        version=gridleaf.__version__,
        now=platform.clock.now(),
        savings=platform.savings(),
    )


@router.get("/state", tags=["site"], dependencies=[Watcher])
async def state(platform: ThePlatform) -> SiteState:
    """The site as the control loop would see it now."""
    return platform.state()


@router.get("/alerts", tags=["site"], dependencies=[Watcher])
async def alerts(platform: ThePlatform) -> Alerts:
    """What a person should know now, the worst first."""
    decision = platform.decision()
    return Alerts(items=worst_first(decision.alerts) if decision else [])


@router.get("/prices", tags=["site"], dependencies=[Watcher])
async def prices(platform: ThePlatform) -> Prices:
    """Import and export prices of the horizon of the newest decision."""
    decided = platform.decided_state()
    return Prices(
        currency=platform.site.currency,
        items=[PriceStep(**step) for step in price_steps(decided.outlook)] if decided else [],
    )


@router.get("/decisions", tags=["control"], dependencies=[Watcher])
async def decisions(
    platform: ThePlatform,
    before_id: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DecisionPage:
    """Control cycles, newest first."""
    found = await platform.store.cycles(before_id=before_id, limit=limit)
    more = len(found) == limit
    return DecisionPage(
        items=[_summary(record) for record in found],
        next_before_id=found[-1].cycle_id if more else None,
    )


def _summary(record: CycleRecord) -> DecisionSummary:
    decision = decision_from_json(record.decision)
    return DecisionSummary(
        cycle_id=record.cycle_id,
        at=record.at,
        trigger=record.trigger,
        method=decision.method,
        gap=decision.gap,
        objective_eur=decision.objective_eur,
        plan_seconds=decision.plan_seconds,
        setpoints=len(decision.setpoints),
        alerts=len(decision.alerts),
    )


@router.get("/decisions/{cycle_id}", tags=["control"], dependencies=[Watcher])
async def decision(platform: ThePlatform, cycle_id: CycleId) -> DecisionDetail:
    """One control cycle whole: what it saw and what it decided, with the reasons."""
    record = await platform.store.cycle(cycle_id)
    if record is None:
        raise HTTPException(404, "there is no such decision")
    return DecisionDetail(
        cycle_id=record.cycle_id,
        at=record.at,
        trigger=record.trigger,
        state=state_from_json(record.state),
        decision=decision_from_json(record.decision),
    )


@router.get("/plans/current", tags=["control"], dependencies=[Watcher])
async def current_plan(platform: ThePlatform) -> PlanView:
    """The newest plan; 404 before the first decision."""
    decided, made = platform.decided_state(), platform.decision()
    if decided is None or made is None:
        raise HTTPException(404, "there is no plan yet")
    outlook = decided.outlook
    return PlanView(
        start=outlook.start,
        step_h=list(outlook.step_h),
        method=made.method,
        gap=made.gap,
        objective_eur=made.objective_eur,
        lower_bound_eur=made.lower_bound_eur,
        grid_kw=list(made.grid_kw),
        import_limit_kw=list(outlook.import_limit_kw),
        export_limit_kw=list(outlook.export_limit_kw),
        shadow_price=list(made.shadow_price),
        sessions=list(made.sessions),
    )


@router.get("/stations", tags=["stations"], dependencies=[Watcher])
async def stations(platform: ThePlatform) -> list[StationView]:
    """Every configured station and what is known of it now."""
    return platform.stations()


def _station(platform: Platform, station_id: str) -> StationView:
    found = next((s for s in platform.stations() if s.station_id == station_id), None)
    if found is None:
        raise HTTPException(404, "there is no such station")
    return found


@router.get("/stations/{station_id}", tags=["stations"], dependencies=[Watcher])
async def station(platform: ThePlatform, station_id: StationId) -> StationDetail:
    """One station with what it said it can do."""
    view = _station(platform, station_id)
    configured = next(s for s in platform.site.stations if s.id == station_id)
    return StationDetail(
        station=view, circuit=configured.circuit, discharge_via=configured.discharge_via
    )


@router.get("/stations/{station_id}/frames", tags=["stations"], dependencies=[Watcher])
async def frames(
    platform: ThePlatform, station_id: StationId, before: Until = None, limit: Limit = 200
) -> Frames:
    """The log of OCPP frames of a station, newest first."""
    _station(platform, station_id)
    return Frames(items=await platform.store.frames(station_id, before=before, limit=limit))


@router.get("/evses", tags=["evses"], dependencies=[Watcher])
async def evses(platform: ThePlatform) -> list[EvseView]:
    """Every EVSE now."""
    return [
        EvseView(
            station_id=e.station_id,
            evse_id=e.evse_id,
            circuit=e.circuit,
            current=e.current,
            charge_max_kw=e.charge_max_kw,
            discharge_max_kw=e.discharge_max_kw,
            online=e.online,
            status=e.status,
            obeying=e.obeying,
            power_kw=e.power_kw,
            setpoint_kw=e.setpoint_kw,
            session=e.session,
        )
        for e in platform.state().evses
    ]


@router.get("/evses/{station_id}/{evse_id}/series", tags=["evses"], dependencies=[Watcher])
async def series(
    platform: ThePlatform,
    station_id: StationId,
    evse_id: EvseId,
    measurand: Annotated[
        str, Query(pattern=r"^[A-Za-z.]{1,50}$", description="E.g. `Power.Active.Import`, `SoC`.")
    ],
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
) -> Series:
    """What the meter of an EVSE said; the last day unless told otherwise."""
    configured = _station(platform, station_id)
    if evse_id not in configured.evses:
        raise HTTPException(404, "there is no such EVSE")
    start, end = _window(platform, since, until)
    points = await platform.store.series(station_id, evse_id, measurand, start, end, limit=limit)
    return Series(station_id=station_id, evse_id=evse_id, measurand=measurand, items=points)


def _window(
    platform: Platform, since: datetime | None, until: datetime | None
) -> tuple[datetime, datetime]:
    now = platform.clock.now()
    last = max(min(now, until or now), _FIRST)
    return since or last - _DAY, until or now + timedelta(seconds=1)


@router.get("/measurements", tags=["site"], dependencies=[Watcher])
async def measurements(
    platform: ThePlatform,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
) -> Measurements:
    """Grid, PV and building power, oldest first; the last day unless told otherwise."""
    start, end = _window(platform, since, until)
    return Measurements(items=await platform.store.measurements(start, end, limit=limit))


@router.get("/sessions", tags=["sessions"])
async def sessions(
    platform: ThePlatform,
    principal: Anyone,
    since: Since = None,
    until: Until = None,
    id_token: Annotated[
        str | None, Query(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")
    ] = None,
    state: Annotated[Literal["live", "ended", "suspect"] | None, Query()] = None,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
    limit: Limit = 100,
) -> SessionPage:
    """Sessions by arrival, newest first. A driver gets those of the own vehicle only."""
    if not principal.watches:
        id_token = principal.name
    found = await platform.store.sessions(
        since=since, until=until, id_token=id_token, state=state, limit=offset + limit + 1
    )
    return SessionPage(
        items=[platform.current(record) for record in found[offset : offset + limit]],
        next_offset=offset + limit if len(found) > offset + limit else None,
    )


@router.get("/sessions/{session_id}", tags=["sessions"])
async def session(platform: ThePlatform, record: ReadableSession) -> SessionDetail:
    """One session: wish, plan, and what the meter said."""
    made, decided = platform.decision(), platform.decided_state()
    live = next(
        (
            e.session
            for e in platform.state().evses
            if e.session is not None and e.session.session_id == record.session_id
        ),
        None,
    )
    plan = None
    if live is not None and made is not None:
        plan = next((p for p in made.sessions if p.session_id == record.session_id), None)
    outlook = decided.outlook if decided is not None and plan is not None else None
    power, soc = session_series(
        await platform.store.transaction_events(record.station_id, record.transaction_id)
    )
    return SessionDetail(
        session=record,
        live=live,
        wish=await platform.store.wish(record.session_id),
        plan=plan,
        plan_start=outlook.start if outlook is not None else None,
        step_h=list(outlook.step_h) if outlook is not None else [],
        power_kw=power,
        soc=soc,
    )


@router.get("/vehicles", tags=["vehicles"], dependencies=[Watcher])
async def vehicles(platform: ThePlatform) -> list[BatteryView]:
    """Every vehicle of the site file with the health of its battery as measured."""
    return await battery_views(platform)


@router.get("/vehicles/{id_token}/health", tags=["vehicles"])
async def health(
    platform: ThePlatform, principal: Anyone, id_token: VehicleId, limit: Limit = 100
) -> BatteryHealth:
    """The battery of one vehicle. A driver gets that of the own vehicle only."""
    _only_own(principal, id_token)
    vehicle = vehicle_of(platform.site.vehicles, id_token)
    if vehicle is None:
        raise HTTPException(404, "there is no such vehicle")
    history = await platform.store.health(same_token(id_token), limit=limit)
    (view,) = await battery_views(platform, vehicle)
    return BatteryHealth(battery=view, history=history)


@router.get("/vehicles/{id_token}/passport", tags=["vehicles"], response_model=dict[str, Any])
async def passport(platform: ThePlatform, principal: Anyone, id_token: VehicleId) -> Response:
    """The battery passport of one vehicle with its signed history. A driver gets the own one only."""
    _only_own(principal, id_token)
    try:
        with problems.named("passport"):
            found = await passport_of(platform, id_token)
    except ConfigError as error:
        raise HTTPException(409, str(error)) from None
    return Response(orjson.dumps(found), media_type="application/json")


def _only_own(principal: Principal, id_token: str) -> None:
    if not principal.watches and not principal.owns(id_token):
        raise HTTPException(403, "this is not the own vehicle")


@router.get(
    "/events",
    tags=["site"],
    dependencies=[Watcher],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    platform: ThePlatform,
    clock: PeoplesClock,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Live updates as server-sent events, at most two batches a second.

    The event's name is the topic (``state``, ``decision``, ``station``, ``session``, ``alert``). With
    ``Last-Event-ID`` what is still in the buffer after it comes first.
    """
    after = int(last_event_id) if last_event_id and last_event_id.isdecimal() else None
    return StreamingResponse(
        stream(platform, clock, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
