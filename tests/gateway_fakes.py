"""What tests of the gateway stand it on: a site, a store in a dictionary, a platform in a list."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.domain.events import StationEvent, identity
from gridleaf.domain.site import SiteConfig, parse
from gridleaf.ocpp.csms import Authorisation
from gridleaf.store.port import FrameRecord, Store

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
E = TypeVar("E")
PASSWORD = secrets.token_urlsafe(16)


def station_site(*ids: str, server: dict[str, Any] | None = None, **station: Any) -> SiteConfig:
    """A site of bidirectional DC stations; ``station`` is set on each of them."""
    evse = {"id": 1, "current": "DC", "charge_max_kw": 22, "discharge_max_kw": 22, "min_a": 0}
    return parse(
        {
            "name": "Test depot",
            "import_limit_kw": 100,
            "export_limit_kw": 100,
            "server": {"ocpp_port": 0, **(server or {})},
            "stations": [{"id": name, "evses": [evse], **station} for name in ids or ("CP1",)],
        }
    )


class FakeStore:
    """The part of a store that the gateway uses; ``down`` makes every method fail."""

    def __init__(self) -> None:
        self.down = False
        self.epochs: dict[str, int] = {}
        self.transactions: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.logged: list[FrameRecord] = []

    def as_store(self) -> Store:
        return cast(Store, self)

    def _up(self) -> None:
        if self.down:
            raise StoreUnavailable("the disk is full")

    async def next_epoch(self, station_id: str) -> int:
        self._up()
        self.epochs[station_id] = self.epochs.get(station_id, 0) + 1
        return self.epochs[station_id]

    async def open_transaction(
        self,
        station_id: str,
        evse_id: int,
        id_token: str,
        started_at: datetime,
        meter_start_kwh: float,
        proposed_id: str,
    ) -> str:
        self._up()
        start = (evse_id, id_token, started_at, meter_start_kwh)
        for (station, name), known in self.transactions.items():
            if station == station_id and known == start:
                return name
        if (station_id, proposed_id) in self.transactions:
            raise KeyError(proposed_id)
        self.transactions[station_id, proposed_id] = start
        return proposed_id

    async def find_transaction(self, station_id: str, transaction_id: str) -> int | None:
        self._up()
        known = self.transactions.get((station_id, transaction_id))
        return None if known is None else cast(int, known[0])

    async def next_seq_no(self, station_id: str, transaction_id: str) -> int:
        self._up()
        key = f"seq {station_id} {transaction_id}"
        self.epochs[key] = self.epochs.get(key, -1) + 1
        return self.epochs[key]

    async def log_frames(self, rows: Sequence[FrameRecord]) -> None:
        self._up()
        self.logged.extend(rows)


class FakeIntake:
    """Takes every event into a list; ``down`` makes it fail as a platform without a store would."""

    def __init__(self) -> None:
        self.down = False
        self.events: list[StationEvent] = []
        self.setpoints: dict[tuple[str, int], float] = {}

    async def accept(self, event: StationEvent) -> bool:
        if self.down:
            raise StoreUnavailable("the disk is full")
        key = identity(event)
        if key is not None and any(identity(known) == key for known in self.events):
            return False
        self.events.append(event)
        return True

    async def authorise(self, station_id: str, id_token: str, evse_id: int | None) -> Authorisation:
        return Authorisation(status="Accepted", transfers=("DC", "DC_BPT"))

    def pull_setpoint(self, station_id: str, profile_id: int) -> float | None:
        return self.setpoints.get((station_id, profile_id))

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]
