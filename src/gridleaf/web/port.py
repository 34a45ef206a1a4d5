"""What the web room needs of the running platform; :class:`gridleaf.app.Platform` is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from gridleaf.control.types import Decision, SiteState
from gridleaf.domain.clock import Clock
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig
from gridleaf.domain.wishes import Wish
from gridleaf.store.port import SessionRecord, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class StationView:
    """A configured station and what is known of it now."""

    station_id: str
    online: bool
    version: str | None
    vendor: str = ""
    model: str = ""
    firmware_version: str = ""
    connected_at: datetime | None = None
    last_seen_at: datetime | None = None
    evses: tuple[int, ...] = ()
    capabilities: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """Money since local midnight: what it cost and what uncontrolled charging would have cost.

    ``cost_eur`` holds energy, the share of the demand charge, wear of discharged energy, and what
    plugged-in vehicles still owe to where uncontrolled charging would have them by now.
    """

    since: datetime
    cost_eur: float
    uncontrolled_cost_eur: float
    charged_kwh: float
    discharged_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something changed: ``topic`` is ``state``, ``decision``, ``station``, ``session``, ``alert``."""

    id: int
    topic: Literal["state", "decision", "station", "session", "alert"]
    data: dict[str, Any]


class Platform(Protocol):
    """The running platform as the API and the console see it."""

    @property
    def site(self) -> SiteConfig: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def store(self) -> Store: ...

    def state(self) -> SiteState:
        """The site observed now (cheap; the same function the control cycle uses)."""

    def decision(self) -> Decision | None:
        """The newest decision."""

    def outlook_start(self) -> datetime | None:
        """Start of the horizon of the newest decision."""

    def decided_state(self) -> SiteState | None:
        """The state that the newest decision was made from (its outlook has prices and limits)."""

    def stations(self) -> list[StationView]: ...

    def savings(self) -> Savings: ...

    def current(self, record: SessionRecord) -> SessionRecord:
        """A session of the store as it stands now: one that is live has moved on since it was kept."""

    async def request(
        self, station_id: str, action: str, payload: dict[str, Any]
    ) -> dict[str, Any]:
        """Send any OCPP request and return the station's answer.

        Raises
        ------
        KeyError
            No such station is configured.
        ConnectionLost
            It is not connected.
        ProtocolError
            The payload does not fit the schema of the negotiated version, or there is no such action.
        RejectedByStation
            It answered with a CALLERROR.
        CallTimeout
            It did not answer.
        """

    async def remote_start(self, station_id: str, evse_id: int, id_token: str) -> str:
        """Ask a station to start; returns its status. Raises like :meth:`request`."""

    async def remote_stop(self, session_id: str) -> str: ...

    async def wish(self, session_id: str, wish: Wish) -> None:
        """Record a driver's wish and re-plan; raises KeyError for an unknown or ended session."""

    async def measured(self, measurement: SiteMeasurement) -> None:
        """Take a measurement of the site (the API's own signal source)."""

    async def set_limit(self, import_kw: float | None, export_kw: float | None) -> None:
        """A limit from outside (grid operator, EMS) on top of the configured ones; None lifts it."""

    async def raise_grid_event(self, reason: str) -> None:
        """Latch a grid event that no station told of: nothing is discharged until it is cleared."""

    async def clear_grid_event(self) -> None:
        """Lift the latch that a grid event left (discharging is allowed again)."""

    def subscribe(self, after_id: int | None = None) -> AsyncIterator[Notice]:
        """Notices from now on, first those after ``after_id`` that are still in the buffer."""
