"""A store that forgets everything when the replay ends, for a world that cannot crash.

It keeps what the running platform asks for again. The long records that only people read (cycles,
measurements, meter values of sessions that ended) are not kept: a replay has its own recording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from gridleaf.domain.events import StationEvent, TransactionReported, identity
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.wishes import Wish
from gridleaf.store.port import (
    Account,
    CycleRecord,
    DispatchRecord,
    FrameRecord,
    HealthRecord,
    PassportRecord,
    SeriesPoint,
    SessionRecord,
    StoredEvent,
    Throughput,
)


class MemoryStore:
    """Implements :class:`~gridleaf.store.port.Store` with dictionaries; always open."""

    def __init__(self) -> None:
        self._transactions: dict[tuple[str, str], list[StationEvent]] = defaultdict(list)
        self._identities: dict[str, None] = {}
        self._epochs: dict[str, int] = defaultdict(int)
        self._opened: dict[tuple[object, ...], str] = {}
        self._evse_of: dict[tuple[str, str], int] = {}
        self._sessions: dict[str, SessionRecord] = {}
        self._health: defaultdict[str, list[HealthRecord]] = defaultdict(list)
        self._wishes: dict[str, Wish] = {}
        self._dispatches: dict[tuple[str, int], DispatchRecord] = {}
        self._prices: dict[str, dict[datetime, tuple[datetime, PricePoint]]] = defaultdict(dict)
        self._accounts: dict[str, Account] = {}
        self._values: dict[str, str] = {}
        self._cycles = 0

    async def open(self) -> None:
        """Nothing has to be opened."""

    async def close(self) -> None:
        """Nothing has to be closed."""

    async def lead(self) -> bool:
        return True

    async def append(self, event: StationEvent) -> bool:
        if isinstance(event, TransactionReported):
            key = identity(event) or ""
            if key in self._identities:
                return False
            self._identities[key] = None
            transaction = event.station_id, event.transaction_id
            self._transactions[transaction].append(event)
            if event.phase == "ended":
                self._forget(transaction)
        return True

    def _forget(self, transaction: tuple[str, str]) -> None:
        """Of a transaction that is over only its starts and ends are asked for again."""
        kept: list[StationEvent] = []
        for event in self._transactions[transaction]:
            if isinstance(event, TransactionReported) and event.phase == "updated":
                self._identities.pop(identity(event) or "", None)
            else:
                kept.append(event)
        self._transactions[transaction] = kept

    async def events(
        self,
        *,
        after_id: int = 0,
        station_id: str | None = None,
        kinds: Sequence[str] = (),
        since: datetime | None = None,
        newest_first: bool = False,
        limit: int = 1000,
    ) -> list[StoredEvent]:
        return []

    async def transaction_events(self, station_id: str, transaction_id: str) -> list[StationEvent]:
        return list(self._transactions.get((station_id, transaction_id), []))

    async def open_history(self) -> list[StoredEvent]:
        return []

    async def next_epoch(self, station_id: str) -> int:
        self._epochs[station_id] += 1
        return self._epochs[station_id]

    async def open_transaction(
        self,
        station_id: str,
        evse_id: int,
        id_token: str,
        started_at: datetime,
        meter_start_kwh: float,
        proposed_id: str,
    ) -> str:
        start = station_id, evse_id, id_token, started_at, meter_start_kwh
        if start not in self._opened and (station_id, proposed_id) in self._evse_of:
            raise KeyError(proposed_id)
        given = self._opened.setdefault(start, proposed_id)
        self._evse_of[station_id, given] = evse_id
        return given

    async def find_transaction(self, station_id: str, transaction_id: str) -> int | None:
        return self._evse_of.get((station_id, transaction_id))

    async def next_seq_no(self, station_id: str, transaction_id: str) -> int:
        events = await self.transaction_events(station_id, transaction_id)
        return 1 + max((e.seq_no for e in events if isinstance(e, TransactionReported)), default=-1)

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
        return []

    async def save_session(self, session: SessionRecord) -> None:
        self._sessions[session.session_id] = session

    async def session(self, session_id: str) -> SessionRecord | None:
        return self._sessions.get(session_id)

    async def sessions(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        id_token: str | None = None,
        state: str | None = None,
        limit: int = 1000,
    ) -> list[SessionRecord]:
        found: list[SessionRecord] = []
        for session in reversed(self._sessions.values()):
            if (
                (id_token is None or (session.id_token or "").lower() == id_token.lower())
                and (state is None or session.state == state)
                and (since is None or session.arrived_at >= since)
                and (until is None or session.arrived_at < until)
            ):
                found.append(session)
                if len(found) == limit:
                    break
        return found

    async def throughput(
        self, *, id_token: str | None = None, since: datetime | None = None
    ) -> dict[str, Throughput]:
        moved: dict[str, list[SessionRecord]] = defaultdict(list)
        for s in self._sessions.values():
            vehicle = (s.id_token or "").lower()
            if vehicle and s.state != "live" and (since is None or s.arrived_at >= since):
                moved[vehicle].append(s)
        return {
            vehicle: Throughput(
                vehicle=vehicle,
                charged_kwh=sum(s.charged_kwh for s in over),
                discharged_kwh=sum(s.discharged_kwh for s in over),
                since=min(s.arrived_at for s in over),
            )
            for vehicle, over in moved.items()
            if id_token is None or vehicle == id_token.lower()
        }

    async def append_health(self, record: HealthRecord) -> bool:
        known = self._health[record.vehicle]
        if any(record.version == h.version or record.session_id == h.session_id for h in known):
            return False
        known.append(record)
        return True

    async def health(self, vehicle: str, *, limit: int = 1000) -> list[HealthRecord]:
        return self._health[vehicle][: -limit - 1 : -1]

    async def latest_health(self) -> list[HealthRecord]:
        return [known[-1] for known in self._health.values() if known]

    async def append_passport(self, record: PassportRecord) -> bool:
        """Nobody asks for a passport of a replay."""
        return False

    async def passport(self, vehicle: str) -> list[PassportRecord]:
        return []

    async def latest_passports(self) -> list[PassportRecord]:
        return []

    async def save_wish(self, session_id: str, wish: Wish) -> None:
        self._wishes[session_id] = wish

    async def wish(self, session_id: str) -> Wish | None:
        return self._wishes.get(session_id)

    async def save_cycle(self, at: datetime, trigger: str, state: bytes, decision: bytes) -> int:
        self._cycles += 1
        return self._cycles

    async def cycle(self, cycle_id: int) -> CycleRecord | None:
        return None

    async def cycles(self, *, before_id: int | None = None, limit: int = 50) -> list[CycleRecord]:
        return []

    async def save_dispatch(self, record: DispatchRecord) -> None:
        self._dispatches[record.station_id, record.evse_id] = record

    async def last_dispatches(self) -> list[DispatchRecord]:
        return list(self._dispatches.values())

    async def save_measurements(self, rows: Sequence[SiteMeasurement]) -> None:
        """Measurements are asked for only after a restart."""

    async def measurements(
        self, since: datetime, until: datetime, limit: int = 100_000
    ) -> list[SiteMeasurement]:
        return []

    async def save_prices(
        self, source: str, known_at: datetime, points: Sequence[PricePoint]
    ) -> None:
        for point in points:
            self._prices[source][point.start] = known_at, point

    async def prices(
        self, source: str, since: datetime, until: datetime, known_by: datetime | None = None
    ) -> list[PricePoint]:
        return [
            point
            for start, (known_at, point) in sorted(self._prices[source].items())
            if point.end > since and start < until and (known_by is None or known_at <= known_by)
        ]

    async def log_frames(self, rows: Sequence[FrameRecord]) -> None:
        """Frames are only for people."""

    async def frames(
        self, station_id: str, *, before: datetime | None = None, limit: int = 200
    ) -> list[FrameRecord]:
        return []

    async def prune(self, frames_before: datetime) -> int:
        return 0

    async def save_account(self, account: Account) -> None:
        self._accounts[account.name] = account

    async def account(self, name: str) -> Account | None:
        return self._accounts.get(name)

    async def accounts(self) -> list[Account]:
        return list(self._accounts.values())

    async def delete_account(self, name: str) -> bool:
        return self._accounts.pop(name, None) is not None

    async def save_value(self, key: str, value: str) -> None:
        self._values[key] = value

    async def value(self, key: str) -> str | None:
        return self._values.get(key)
