"""What the three dialects of the central system have in common: their ports.

A dialect has two halves. The *inbound* half is a table of short handlers, one for each action a
station may call: it turns the payload into an event, hands it to the :class:`Host` and, once that
returned (the event is durable then), builds the response. The *outbound* half encodes a
:mod:`gridleaf.ocpp.commands` command as calls and decodes the answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from gridleaf.domain.events import StationEvent
from gridleaf.ocpp.commands import Answer, Command

Payload = dict[str, Any]
Handler = Callable[[Payload], Awaitable[Payload]]
"""Takes a schema-valid request payload, returns the response payload; raises ProtocolError."""
Caller = Callable[[str, Payload], Awaitable[Payload]]
"""``await call(action, payload)``: one OCPP call to the station, answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorisation:
    """Whether an id token may charge. ``transfers`` are the 2.1 allowed energy transfer modes."""

    status: Literal["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx", "Unknown"]
    transfers: tuple[str, ...] = ()
    group_id: str | None = None
    expires_at: datetime | None = None


class Host(Protocol):
    """What a dialect needs of the platform behind it, for one station."""

    @property
    def station_id(self) -> str: ...

    def now(self) -> datetime:
        """The time, for responses and ``received_at``."""

    @property
    def heartbeat_interval_s(self) -> int: ...

    @property
    def evse_ids(self) -> tuple[int, ...]:
        """The EVSEs the site file names for this station."""

    @property
    def discharge_via(self) -> Literal["none", "ocpp21", "negative_limit"]:
        """How the station takes a discharge setpoint (:class:`gridleaf.domain.site.Station`)."""

    @property
    def voltage_v(self) -> float:
        """Nominal phase voltage, to turn amperes into kW where a station reports only amperes [V]."""

    async def accept(self, event: StationEvent) -> bool:
        """Make the event durable and let the live state see it.

        Returns False when the same event was stored before. Raises StoreUnavailable (the handler
        lets it through: it becomes CALLERROR InternalError and the station tries again).
        """

    async def authorise(self, id_token: str, evse_id: int | None) -> Authorisation: ...

    async def open_transaction(
        self, id_token: str, evse_id: int, started_at: datetime, meter_start_kwh: float
    ) -> str:
        """A non-guessable, durable id for a 1.6 transaction (decimal integer, > 0, < 2**31).

        The same start sent again (same EVSE, token, time and register) gets the same id.
        """

    async def find_transaction(self, transaction_id: str) -> int | None:
        """The EVSE of a transaction *of this station*, None when there is no such one."""

    async def has_ended(self, transaction_id: str) -> bool:
        """Whether an end of this 1.6 transaction is stored: stations send it again after a reboot."""

    async def next_seq_no(self, transaction_id: str) -> int:
        """Our own rising number for events of a 1.6 transaction, from 1: its start is event 0."""

    async def pull_setpoint(self, profile_id: int) -> float | None:
        """The setpoint [kW] a dynamic profile should have now; None when there is none."""


class Dialect(Protocol):
    """One OCPP version as spoken by the central system, for one connection of a station.

    What it remembers need not outlive the connection.
    """

    @property
    def version(self) -> str: ...

    def handlers(self) -> Mapping[str, Handler]:
        """Inbound: action -> handler."""

    async def probe(self, call: Caller) -> None:
        """Read what the station supports and hand CapabilitiesRead events to the host.

        A station that refuses or knows nothing gets conservative defaults; raises nothing but
        ConnectionLost.
        """

    async def execute(self, command: Command, call: Caller) -> Answer:
        """Outbound: carry out a command with as many calls as it takes.

        Raises
        ------
        RejectedByStation
            The station answered with a CALLERROR.
        ProtocolError
            ``NotSupported``: this version has no such command.
        """
