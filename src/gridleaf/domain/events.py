"""What stations report, free of OCPP versions, in gridleaf's words, units and signs.

Every event is a frozen value that round-trips through JSON (:func:`to_json`, :func:`from_json`);
the store keeps it for ever and every live view is derived from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from gridleaf.domain.meter import MeterSample

ConnectorStatus = Literal["available", "occupied", "reserved", "unavailable", "faulted"]
ChargingState = Literal["ev_connected", "charging", "suspended_ev", "suspended_evse", "idle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A station's connection was admitted. ``epoch`` rises with every connection of a station."""

    kind: Literal["connected"] = "connected"
    station_id: str
    received_at: datetime
    version: str
    epoch: int
    remote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The connection of ``epoch`` ended."""

    kind: Literal["disconnected"] = "disconnected"
    station_id: str
    received_at: datetime
    epoch: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """BootNotification."""

    kind: Literal["booted"] = "booted"
    station_id: str
    received_at: datetime
    vendor: str
    model: str
    serial_number: str = ""
    firmware_version: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReported:
    """Status of a connector. ``evse_id`` 0 is the station itself (1.6 connector 0).

    1.6 maps Preparing, Charging, SuspendedEV, SuspendedEVSE and Finishing to ``occupied`` and keeps
    its own word in ``detail``.
    """

    kind: Literal["status"] = "status"
    station_id: str
    received_at: datetime
    evse_id: int
    connector_id: int
    status: ConnectorStatus
    reported_at: datetime
    detail: str = ""
    error_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionReported:
    """A transaction started, was updated or ended (2.x TransactionEvent; 1.6 Start/Stop/MeterValues).

    ``transaction_id`` is unique within the station. ``seq_no`` is the station's own (2.x) or ours
    (1.6); (station_id, transaction_id, seq_no) is the identity of the event. ``evse_id`` is None
    where the station did not say: it stays unattributed, never connector 1 by default. One that comes
    under a number that another one has is renumbered by us and flagged ``seq_no_reused``.
    ``flags`` marks what was doubtful, e.g. ``clock_ahead``, ``register_reset``, ``synthetic_start``.
    """

    kind: Literal["transaction"] = "transaction"
    station_id: str
    received_at: datetime
    transaction_id: str
    seq_no: int
    phase: Literal["started", "updated", "ended"]
    occurred_at: datetime
    evse_id: int | None = None
    connector_id: int | None = None
    id_token: str | None = None
    charging_state: ChargingState | None = None
    trigger: str = ""
    stopped_reason: str = ""
    offline: bool = False
    remote_start_id: int | None = None
    operation_mode: str | None = None
    samples: tuple[MeterSample, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReported:
    """MeterValues outside TransactionEvent. ``evse_id`` 0 is the station's main meter."""

    kind: Literal["meter"] = "meter"
    station_id: str
    received_at: datetime
    evse_id: int | None
    transaction_id: str | None = None
    samples: tuple[MeterSample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsReported:
    """What the vehicle said it needs (2.x NotifyEVChargingNeeds). Unknown is None.

    Powers [kW] and energies [kWh] are magnitudes; ``soc`` and ``target_soc`` are 0..1.
    ``energy_needed_kwh`` is the energy still to charge for the target, ``v2x_min_energy_kwh`` and
    ``v2x_max_energy_kwh`` keep the signs of OCPP 2.1 (positive: missing up to the V2X window).
    """

    kind: Literal["needs"] = "needs"
    station_id: str
    received_at: datetime
    evse_id: int
    requested_transfer: str
    available_transfers: tuple[str, ...] = ()
    control_mode: str | None = None
    departure_at: datetime | None = None
    soc: float | None = None
    target_soc: float | None = None
    capacity_kwh: float | None = None
    energy_needed_kwh: float | None = None
    energy_min_kwh: float | None = None
    energy_max_kwh: float | None = None
    v2x_min_energy_kwh: float | None = None
    v2x_max_energy_kwh: float | None = None
    charge_min_kw: float | None = None
    charge_max_kw: float | None = None
    discharge_min_kw: float | None = None
    discharge_max_kw: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilitiesRead:
    """What we learnt the station can do, read after boot (variables or configuration keys).

    ``evse_id`` 0 holds for the whole station; a maximum is None where it did not say. ``values``
    keeps every variable as read, keyed
    ``Component[.evse].Variable`` in 2.x and by key in 1.6.
    """

    kind: Literal["capabilities"] = "capabilities"
    station_id: str
    received_at: datetime
    evse_id: int = 0
    rate_units: tuple[Literal["A", "W"], ...] = ("A", "W")
    max_stack_level: int | None = None
    max_periods: int | None = None
    dynamic_profiles: bool = False
    v2x_enabled: bool = False
    operation_modes: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalLimitReported:
    """An external system limits the station (NotifyChargingLimit), or no longer (``limit_kw`` None)."""

    kind: Literal["external_limit"] = "external_limit"
    station_id: str
    received_at: datetime
    evse_id: int
    source: str
    limit_kw: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityReported:
    """Something an operator should look at: a foreign transaction id, a second connection, ..."""

    kind: Literal["security"] = "security"
    station_id: str
    received_at: datetime
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Any other message of a station, kept as it came (DataTransfer, NotifyEvent, NotifyReport ...)."""

    kind: Literal["noted"] = "noted"
    station_id: str
    received_at: datetime
    action: str
    payload: dict[str, object]


StationEvent = (
    Connected
    | Disconnected
    | Booted
    | StatusReported
    | TransactionReported
    | MeterReported
    | NeedsReported
    | CapabilitiesRead
    | ExternalLimitReported
    | SecurityReported
    | Noted
)

_adapter: TypeAdapter[StationEvent] = TypeAdapter(
    Annotated[StationEvent, Field(discriminator="kind")]
)


def to_json(event: StationEvent) -> bytes:
    """The event as UTF-8 JSON; :func:`from_json` gives an equal event back."""
    return _adapter.dump_json(event)


def from_json(data: bytes | str) -> StationEvent:
    """Inverse of :func:`to_json`; raises ``pydantic.ValidationError`` on anything else."""
    return _adapter.validate_json(data)


TRANSACTION_REUSED = "transaction_reused"
"""Flags a start that gives the name of a transaction that is over to a new session."""


def same_report(one: TransactionReported, other: TransactionReported) -> bool:
    """Whether two reports of one transaction are the same one, sent twice.

    The number alone does not tell: some stations give every event the same. Where a time could not be
    read ours stands in its place, which differs each time.
    """
    unreadable = "time_unreadable" in one.flags and "time_unreadable" in other.flags
    return (
        one.phase == other.phase
        and one.trigger == other.trigger
        and (unreadable or one.occurred_at == other.occurred_at)
    )


def identity(event: StationEvent) -> str | None:
    """The key under which a repeated report is the same report; None where each one counts.

    (station, transaction, seqNo) of a transaction event is unique for the life of the station
    (OCPP 2.0.1 part 2, use case E01 ff.).
    """
    if isinstance(event, TransactionReported):
        return f"{event.station_id}\x1f{event.transaction_id}\x1f{event.seq_no}"
    return None
