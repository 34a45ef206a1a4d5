"""What a simulated station needs of the OCPP version it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.sim.evse import Cause, SimEvse

Trigger = Literal["periodic", "state", "mode", "asked", "resumed"]
"""Why a running transaction is reported."""
Message = tuple[str, Payload]
"""An action and its payload."""


@dataclass(slots=True, kw_only=True)
class Report:
    """A message about a transaction; it is kept until the central system has answered it.

    ``opens`` marks one without which those that follow mean nothing (1.6 StartTransaction).
    """

    action: str
    payload: Payload = field(default_factory=dict)
    evse_id: int
    transaction_id: str
    attempts: int = 0
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to Authorize; ``transfers`` are the energy transfer modes allowed (2.1)."""

    accepted: bool
    transfers: tuple[str, ...] = ()


class StationDialect(Protocol):
    """The station's half of one OCPP version: it puts words to what the station does."""

    def handlers(self) -> Mapping[str, Handler]:
        """What the central system may call."""

    def boot(self, reason: str) -> Message:
        """``reason`` in the words of 2.x."""

    def status(self, evse: SimEvse) -> Message: ...

    def authorize(self, evse: SimEvse, id_token: str) -> Message: ...

    def admission(self, answer: Payload) -> Admission: ...

    def started(self, evse: SimEvse) -> list[Report]: ...

    def updated(self, evse: SimEvse, trigger: Trigger) -> list[Report]: ...

    def ended(self, evse: SimEvse, cause: Cause) -> list[Report]: ...

    def meter_values(self, evse: SimEvse) -> Message:
        """The meter outside a transaction."""

    def needs(self, evse: SimEvse) -> Message | None:
        """What the vehicle says it needs; None where this version or connection has no such words."""

    def pull(self, profile_id: int) -> Message | None:
        """The question for the present rates of a dynamic profile."""

    def pulled(self, profile_id: int, answer: Payload) -> None: ...

    def answered(self, report: Report, answer: Payload) -> bool:
        """Read the answer to a report; False when the token must not charge (any more)."""


def stamp(at: datetime) -> str:
    """A timestamp as it stands in a payload (ISO 8601, UTC, milliseconds)."""
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def read_stamp(text: str) -> float:
    """Inverse of :func:`stamp`, as seconds since 1970; a time without zone is UTC."""
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
