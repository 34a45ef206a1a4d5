"""What goes over the API beyond the words of the domain. kW, kWh, aware UTC times; + charges."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from gridleaf.control.types import Alert, Decision, SessionPlan, SessionState, SiteState
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.wishes import Wish
from gridleaf.store.port import FrameRecord, HealthRecord, SeriesPoint, SessionRecord
from gridleaf.web.batteries import BatteryView
from gridleaf.web.port import Savings, StationView

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return at.replace(tzinfo=UTC)


def _written_out(value: object) -> object:
    """Only a time written out; a number would be taken for seconds since 1970."""
    if not isinstance(value, str) or not _TIME.match(value):
        raise ValueError("must be a time such as 2026-05-13T17:40:00+02:00")
    return value


UtcTime = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_utc)]
"""RFC 3339 with an offset; at the edge of the calendar the offset is dropped."""

StationId = Annotated[str, Path(pattern=r"^[A-Za-z0-9*\-_=:+|@.]{1,48}$")]
VehicleId = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f/]+$")]
EvseId = Annotated[int, Path(ge=1, le=10_000)]
SessionId = Annotated[str, Path(pattern=r"^[0-9a-zA-Z_.:\-]{1,64}$")]
CycleId = Annotated[int, Path(ge=1, le=2**53)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Since = Annotated[UtcTime | None, Query(description="Not before this time.")]
Until = Annotated[UtcTime | None, Query(description="Before this time.")]
Text = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
Kw = Annotated[float, Field(strict=True, ge=-1e6, le=1e6, allow_inf_nan=False)]
LimitKw = Annotated[float, Field(strict=True, ge=0, le=1e6, allow_inf_nan=False)]
Kwh = Annotated[float, Field(strict=True, ge=0, le=1e4, allow_inf_nan=False)]
Soc = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CircuitView(BaseModel):
    """A limit inside the site; ``parent`` "" is the grid connection."""

    id: str
    parent: str
    import_limit_kw: float
    export_limit_kw: float | None


class SiteView(BaseModel):
    """The site as configured, without what concerns only the machine that runs it."""

    name: str
    timezone: str
    currency: str
    import_limit_kw: float
    export_limit_kw: float
    circuits: list[CircuitView]
    stations: int
    evses: int
    policy: str
    version: str
    now: datetime
    savings: Savings


class DecisionSummary(BaseModel):
    """One control cycle in a line."""

    cycle_id: int
    at: datetime
    trigger: str
    method: str
    gap: float | None
    objective_eur: float | None
    plan_seconds: float
    setpoints: int
    alerts: int


class DecisionPage(BaseModel):
    """Newest first; ``next_before_id`` continues, null at the end."""

    items: list[DecisionSummary]
    next_before_id: int | None


class DecisionDetail(BaseModel):
    """One control cycle whole: what it saw and what it decided."""

    cycle_id: int
    at: datetime
    trigger: str
    state: SiteState
    decision: Decision


class StationDetail(BaseModel):
    """A station and its circuit."""

    station: StationView
    circuit: str
    discharge_via: str


class EvseView(BaseModel):
    """An EVSE now; see ``SiteState.evses`` for everything the control loop knows of it."""

    station_id: str
    evse_id: int
    circuit: str
    current: str
    charge_max_kw: float
    discharge_max_kw: float
    online: bool
    status: str
    obeying: bool
    power_kw: float | None
    setpoint_kw: float | None
    session: SessionState | None


class SessionPage(BaseModel):
    """Newest arrival first; ``next_offset`` continues, null at the end."""

    items: list[SessionRecord]
    next_offset: int | None


class SessionDetail(BaseModel):
    """A session, its wish, its plan and what the meter said. ``live`` and ``plan`` while it lasts."""

    session: SessionRecord
    live: SessionState | None
    wish: Wish | None
    plan: SessionPlan | None
    plan_start: datetime | None
    step_h: list[float]
    power_kw: list[SeriesPoint]
    soc: list[SeriesPoint]


class BatteryHealth(BaseModel):
    """The battery of a vehicle, and every estimate of it with the session it took in, newest first."""

    battery: BatteryView
    history: list[HealthRecord]


class PlanView(BaseModel):
    """The newest plan: numbers per step of ``step_h`` hours from ``start``."""

    start: datetime
    step_h: list[float]
    method: str
    gap: float | None
    objective_eur: float | None
    lower_bound_eur: float | None
    grid_kw: list[float]
    import_limit_kw: list[float]
    export_limit_kw: list[float]
    shadow_price: list[float]
    sessions: list[SessionPlan]


class PriceStep(BaseModel):
    """What a kWh costs and earns at the grid connection in ``[start, end)``."""

    start: datetime
    end: datetime
    import_price: float
    export_price: float
    known: bool


class Prices(BaseModel):
    """``known`` is false where the tariff's fallback stands in for a market price."""

    currency: str
    items: list[PriceStep]


class Series(BaseModel):
    """One measurand of one EVSE, oldest first."""

    station_id: str
    evse_id: int
    measurand: str
    items: list[SeriesPoint]


class Measurements(BaseModel):
    """The site's own signals, oldest first."""

    items: list[SiteMeasurement]


class Frames(BaseModel):
    """OCPP frames of a station, newest first."""

    items: list[FrameRecord]


class Alerts(BaseModel):
    """What a person should know now, the worst first."""

    items: list[Alert]


class NewMeasurement(_Body):
    """A measurement of the site; ``measured_at`` is now unless given, what is null was not measured.

    At least one of the powers is needed.
    """

    measured_at: UtcTime | None = None
    grid_kw: Kw | None = None
    pv_kw: LimitKw | None = None
    load_kw: LimitKw | None = None

    @model_validator(mode="after")
    def _something(self) -> NewMeasurement:
        if self.grid_kw is None and self.pv_kw is None and self.load_kw is None:
            raise ValueError("grid_kw, pv_kw or load_kw is needed")
        return self


class NewWish(_Body):
    """What a driver wants; null stays as said before, or is left to the defaults."""

    departure_at: UtcTime | None = None
    energy_kwh: Kwh | None = None
    target_soc: Soc | None = None
    reserve_soc: Soc | None = None
    v2g: Annotated[bool, Field(strict=True)] | None = None


def _sendable(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """JSON that can be sent as it is: no NaN, no infinity, no lone surrogate."""
    json.dumps(payload, allow_nan=False, ensure_ascii=False).encode()
    return payload


class StationRequest(_Body):
    """Any OCPP request of the negotiated version, as raw camelCase."""

    action: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,50}$")]
    payload: Annotated[dict[str, JsonValue], AfterValidator(_sendable)] = {}


class StationAnswer(BaseModel):
    """The payload of the station's CALLRESULT."""

    action: str
    answer: dict[str, JsonValue]


class StartRequest(_Body):
    """Whose id token a session is started for."""

    id_token: Text


class CommandStatus(BaseModel):
    """The station's own word, e.g. ``Accepted``."""

    status: str


class NewGridEvent(_Body):
    """Why nothing may be discharged, for people to read."""

    reason: Text = "grid event"


class NewLimit(_Body):
    """A limit from outside (grid operator, energy management); null lifts it."""

    import_kw: LimitKw | None = None
    export_kw: LimitKw | None = None
