"""What a central system asks of a station, free of OCPP versions, in gridleaf's units and signs.

A dialect (:mod:`gridleaf.ocpp.v16`, ``v201``, ``v21``) turns a command into one or more calls and
reads the answers back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SetpointStep:
    """A setpoint that holds from ``start_s`` seconds after the profile's start.

    ``power_kw`` is signed (+ charges). ``limit_a`` is the same as a current per phase [A] where the
    station takes amperes; it was rounded by the envelope, so the dialect never rounds up.
    """

    start_s: int
    power_kw: float
    limit_a: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetProfile:
    """Make an EVSE follow setpoints until ``expires_s`` after ``start``, then fall back by itself.

    ``phases`` is how many phases the session uses (AC). ``dynamic`` asks for a 2.1 dynamic profile
    with CentralSetpoint, updated afterwards by :class:`UpdateSetpoint`. ``v2x`` tells whether the
    steps may be negative at all; then operation mode CentralSetpoint is used on 2.1. ``fallback``
    replaces the transaction's profile by a TxDefaultProfile (a rung of the degradation ladder).
    """

    evse_id: int
    transaction_id: str
    profile_id: int
    stack_level: int
    start: datetime
    expires_s: int
    steps: tuple[SetpointStep, ...]
    rate_unit: Literal["A", "W"]
    phases: int | None = None
    dynamic: bool = False
    v2x: bool = False
    purpose: Literal["tx", "tx_default"] = "tx"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDefaultLimit:
    """The low TxDefaultProfile a station falls back to when nothing else holds."""

    evse_id: int
    profile_id: int
    stack_level: int
    limit_kw: float
    limit_a: float | None
    rate_unit: Literal["A", "W"]
    phases: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSetpoint:
    """Move the setpoint of a dynamic profile (2.1 UpdateDynamicSchedule)."""

    profile_id: int
    power_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearProfile:
    """Clear one profile, or every profile of a purpose on an EVSE."""

    profile_id: int | None = None
    evse_id: int | None = None
    purpose: Literal["tx", "tx_default"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetComposite:
    """Read back what the station thinks it follows (GetCompositeSchedule)."""

    evse_id: int
    duration_s: int
    rate_unit: Literal["A", "W"] = "W"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStart:
    evse_id: int
    id_token: str
    remote_start_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStop:
    transaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowTransfers:
    """Grant or withdraw the permission to discharge (2.1 NotifyAllowedEnergyTransfer)."""

    transaction_id: str
    transfers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Ask for a message now; ``message`` in 2.x words (``MeterValues``, ``StatusNotification`` ...)."""

    message: str
    evse_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetValues:
    """Read variables (``Component[.evse].Variable``, 2.x) or configuration keys (1.6); () is all."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetValues:
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAvailability:
    evse_id: int
    operative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    immediate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    evse_id: int
    connector_id: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferData:
    vendor_id: str
    message_id: str | None = None
    data: str | None = None


Command = (
    SetProfile
    | SetDefaultLimit
    | UpdateSetpoint
    | ClearProfile
    | GetComposite
    | RemoteStart
    | RemoteStop
    | AllowTransfers
    | Trigger
    | GetValues
    | SetValues
    | ChangeAvailability
    | Reset
    | Unlock
    | TransferData
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How the station answered a command.

    ``accepted`` is True only for an accepting status; ``status`` is the station's word; ``values``
    holds what was read (variables, keys); ``steps`` a composite schedule.
    """

    accepted: bool
    status: str
    values: dict[str, str] = field(default_factory=dict)
    steps: tuple[SetpointStep, ...] = ()
