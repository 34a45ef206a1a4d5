"""What must survive: one port, the same for every database behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from gridleaf.domain.events import StationEvent
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.wishes import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event with the number under which it was committed (rising, gaps allowed)."""

    id: int
    event: StationEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session as last known; a view derived from events, kept for history and learning.

    ``state`` is ``live``, ``ended``, or ``suspect`` (closed without an end from the station).
    Energies at the grid side [kWh], both >= 0. ``life_eur`` is what of the cost is life of the battery,
    more than it would have lost without control. ``flags`` as in TransactionReported.
    """

    session_id: str
    station_id: str
    evse_id: int | None
    transaction_id: str
    id_token: str | None
    arrived_at: datetime
    departed_at: datetime | None = None
    state: Literal["live", "ended", "suspect"] = "live"
    charged_kwh: float = 0.0
    discharged_kwh: float = 0.0
    arrival_soc: float | None = None
    departure_soc: float | None = None
    capacity_kwh: float | None = None
    target_kwh: float | None = None
    departure_at: datetime | None = None
    unmet_kwh: float | None = None
    reachable_kwh: float | None = None
    cost_eur: float | None = None
    uncontrolled_cost_eur: float | None = None
    driver_eur: float | None = None
    life_eur: float | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRecord:
    """What was known of a vehicle's battery after one of its sessions; ``version`` counts from 1.

    ``vehicle`` is its id token in lower case. ``weight`` and ``verdict`` tell how the session counted
    (:func:`gridleaf.battery.health.update`), so the versions up to one name every session it rests
    on. ``mean`` and ``covariance`` are the whole estimate, ``low_kwh`` to ``high_kwh`` its 90 % band.
    """

    vehicle: str
    version: int
    at: datetime
    session_id: str
    verdict: str
    weight: float
    sessions: int
    misfits: int
    nominal_kwh: float
    capacity_kwh: float
    low_kwh: float
    high_kwh: float
    mean: tuple[float, ...]
    covariance: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What the sessions of an id token that are over moved, at the grid side [kWh].

    ``vehicle`` is the token in lower case, ``since`` the first arrival.
    """

    vehicle: str
    charged_kwh: float
    discharged_kwh: float
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PassportRecord:
    """A signed entry of a vehicle's battery passport as it was written; ``number`` counts from 1."""

    vehicle: str
    number: int
    entry: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRecord:
    """One control cycle: the frozen ``SiteState`` and ``Decision`` as JSON, for replay and explain."""

    cycle_id: int
    at: datetime
    trigger: str
    state: bytes
    decision: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchRecord:
    """What was commanded to an EVSE and how the station answered.

    ``steps`` are (seconds from ``sent_at``, kW). ``accepted`` is False for a refusal or a time-out.
    """

    station_id: str
    evse_id: int
    transaction_id: str | None
    sent_at: datetime
    expires_at: datetime | None
    steps: tuple[tuple[int, float], ...]
    accepted: bool
    status: str
    profile_id: int
    rung: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRecord:
    """One OCPP frame as it went over the wire. ``outgoing`` is from us to the station."""

    station_id: str
    at: datetime
    outgoing: bool
    frame: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person or a program that may use the API; ``secret_hash`` is argon2id or keyed BLAKE2b."""

    name: str
    kind: Literal["person", "token"]
    role: Literal["viewer", "driver", "operator"]
    secret_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    at: datetime
    value: float


class Store(Protocol):
    """Every method raises :class:`~gridleaf.domain.errors.StoreUnavailable` when it cannot.

    What a method that writes has returned from is durable (fsynced). Writes of one caller keep their
    order. Times are aware UTC in and out.
    """

    async def open(self) -> None:
        """Connect and bring the schema up to date; refuses a newer schema or a damaged database."""

    async def close(self) -> None: ...

    async def lead(self) -> bool:
        """Take the lead of the site, or make sure of it; False while another process has it."""

    # -- what stations reported: append-only --
    async def append(self, event: StationEvent) -> bool:
        """Store an event with its samples. False when one of the same identity is there already."""

    async def events(
        self,
        *,
        after_id: int = 0,
        station_id: str | None = None,
        kinds: Sequence[str] = (),
        since: datetime | None = None,
        newest_first: bool = False,
        limit: int = 1000,
    ) -> list[StoredEvent]: ...

    async def transaction_events(self, station_id: str, transaction_id: str) -> list[StationEvent]:
        """All events of a transaction in the order of seq_no."""

    async def open_history(self) -> list[StoredEvent]:
        """What it takes to rebuild the live state, in the order it was committed.

        All events of every transaction without ``ended``; per station the last ``booted``; the last
        ``status`` per connector, ``capabilities`` per EVSE and ``external_limit`` per EVSE and source;
        the ``needs`` that came since the oldest open transaction of their EVSE began.
        """

    async def next_epoch(self, station_id: str) -> int:
        """1, 2, 3 ... over the life of the database."""

    async def open_transaction(
        self,
        station_id: str,
        evse_id: int,
        id_token: str,
        started_at: datetime,
        meter_start_kwh: float,
        proposed_id: str,
    ) -> str:
        """The id of a 1.6 transaction: ``proposed_id``, or the one given to the same start before.

        Raises ``KeyError`` when ``proposed_id`` is taken by another start of the station.
        """

    async def find_transaction(self, station_id: str, transaction_id: str) -> int | None:
        """EVSE of a 1.6 transaction given out by :meth:`open_transaction` to this station."""

    async def next_seq_no(self, station_id: str, transaction_id: str) -> int:
        """One more than the highest seq_no stored for the transaction; 0 for none."""

    async def series(
        self,
        station_id: str,
        evse_id: int,
        measurand: str,
        since: datetime,
        until: datetime,
        phase: str | None = None,
        limit: int = 10_000,
    ) -> list[SeriesPoint]:
        """Sampled values of an EVSE in the order of time."""

    # -- views and decisions --
    async def save_session(self, session: SessionRecord) -> None:
        """Insert or replace by ``session_id``."""

    async def session(self, session_id: str) -> SessionRecord | None: ...

    async def sessions(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        id_token: str | None = None,
        state: str | None = None,
        limit: int = 1000,
    ) -> list[SessionRecord]:
        """Newest arrival first; ``since``/``until`` bound the arrival, ``id_token`` in any case."""

    async def throughput(
        self, *, id_token: str | None = None, since: datetime | None = None
    ) -> dict[str, Throughput]:
        """By vehicle, of the sessions that arrived since then and are over."""

    async def append_health(self, record: HealthRecord) -> bool:
        """False when the vehicle has this version already, or one of the same session."""

    async def health(self, vehicle: str, *, limit: int = 1000) -> list[HealthRecord]:
        """Newest first."""

    async def latest_health(self) -> list[HealthRecord]:
        """The newest of each vehicle."""

    async def append_passport(self, record: PassportRecord) -> bool:
        """False when the vehicle has an entry of this number already."""

    async def passport(self, vehicle: str) -> list[PassportRecord]:
        """All entries of a vehicle, the first one first."""

    async def latest_passports(self) -> list[PassportRecord]:
        """The newest entry of each vehicle."""

    async def save_wish(self, session_id: str, wish: Wish) -> None: ...

    async def wish(self, session_id: str) -> Wish | None:
        """The newest wish of a session."""

    async def save_cycle(
        self, at: datetime, trigger: str, state: bytes, decision: bytes
    ) -> int: ...

    async def cycle(self, cycle_id: int) -> CycleRecord | None: ...

    async def cycles(self, *, before_id: int | None = None, limit: int = 50) -> list[CycleRecord]:
        """Newest first."""

    async def save_dispatch(self, record: DispatchRecord) -> None: ...

    async def last_dispatches(self) -> list[DispatchRecord]:
        """The newest record of each EVSE."""

    # -- the site's signals and prices --
    async def save_measurements(self, rows: Sequence[SiteMeasurement]) -> None: ...

    async def measurements(
        self, since: datetime, until: datetime, limit: int = 100_000
    ) -> list[SiteMeasurement]:
        """Oldest first."""

    async def save_prices(
        self, source: str, known_at: datetime, points: Sequence[PricePoint]
    ) -> None:
        """Keep prices with the time they became known; nothing is overwritten."""

    async def prices(
        self, source: str, since: datetime, until: datetime, known_by: datetime | None = None
    ) -> list[PricePoint]:
        """For each start the newest price known by ``known_by`` (now when None), oldest start first."""

    # -- the log of frames, and who may come in --
    async def log_frames(self, rows: Sequence[FrameRecord]) -> None: ...

    async def frames(
        self, station_id: str, *, before: datetime | None = None, limit: int = 200
    ) -> list[FrameRecord]:
        """Newest first."""

    async def prune(self, frames_before: datetime) -> int:
        """Drop frames older than that; returns how many."""

    async def save_account(self, account: Account) -> None: ...

    async def account(self, name: str) -> Account | None: ...

    async def accounts(self) -> list[Account]: ...

    async def delete_account(self, name: str) -> bool: ...

    async def save_value(self, key: str, value: str) -> None:
        """A small durable setting or checkpoint."""

    async def value(self, key: str) -> str | None: ...
