"""What tests of the protocol stand it on: a host in a list, a station that answers by script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from gridleaf import ocpp
from gridleaf.domain.errors import ProtocolError, RejectedByStation, StoreUnavailable
from gridleaf.domain.events import StationEvent, TransactionReported, from_json, identity, to_json
from gridleaf.ocpp import schemas
from gridleaf.ocpp.commands import Answer, Command
from gridleaf.ocpp.csms import Authorisation, Dialect, Payload

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
V16, V201, V21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"


class FakeStore:
    """What hosts share: events by identity, 1.6 transactions by (station, id)."""

    def __init__(self) -> None:
        self.events: list[StationEvent] = []
        self.identities: set[str] = set()
        self.transactions: dict[tuple[str, str], int] = {}
        self.starts: dict[tuple[Any, ...], str] = {}
        self.down = False


class FakeHost:
    """A :class:`gridleaf.ocpp.csms.Host` in memory."""

    def __init__(
        self,
        station_id: str = "CP1",
        *,
        store: FakeStore | None = None,
        evse_ids: tuple[int, ...] = (1, 2),
        discharge_via: Literal["none", "ocpp21", "negative_limit"] = "ocpp21",
    ) -> None:
        self.station_id = station_id
        self.store = store if store is not None else FakeStore()
        self.evse_ids = evse_ids
        self.discharge_via = discharge_via
        self.heartbeat_interval_s = 300
        self.voltage_v = 230.0
        self.at = NOW
        self.answers: dict[str, Authorisation] = {}
        self.asked: list[tuple[str, int | None]] = []
        self.setpoints: dict[int, float] = {}

    @property
    def events(self) -> list[StationEvent]:
        return [e for e in self.store.events if e.station_id == self.station_id]

    def now(self) -> datetime:
        return self.at

    async def accept(self, event: StationEvent) -> bool:
        if self.store.down:
            raise StoreUnavailable("disk full")
        assert from_json(to_json(event)) == event
        key = identity(event)
        if key is not None and key in self.store.identities:
            return False
        if key is not None:
            self.store.identities.add(key)
        self.store.events.append(event)
        return True

    async def authorise(self, id_token: str, evse_id: int | None) -> Authorisation:
        self.asked.append((id_token, evse_id))
        return self.answers.get(id_token, Authorisation(status="Accepted"))

    async def open_transaction(
        self, id_token: str, evse_id: int, started_at: datetime, meter_start_kwh: float
    ) -> str:
        start = (self.station_id, id_token, evse_id, started_at, meter_start_kwh)
        if start not in self.store.starts:
            self.store.starts[start] = str(7001 + 13 * len(self.store.starts))
            self.store.transactions[self.station_id, self.store.starts[start]] = evse_id
        return self.store.starts[start]

    async def find_transaction(self, transaction_id: str) -> int | None:
        return self.store.transactions.get((self.station_id, transaction_id))

    async def has_ended(self, transaction_id: str) -> bool:
        return any(e.phase == "ended" for e in self._of(transaction_id))

    async def next_seq_no(self, transaction_id: str) -> int:
        return 1 + max((e.seq_no for e in self._of(transaction_id)), default=-1)

    def _of(self, transaction_id: str) -> list[TransactionReported]:
        return [
            e
            for e in self.events
            if isinstance(e, TransactionReported) and e.transaction_id == transaction_id
        ]

    async def pull_setpoint(self, profile_id: int) -> float | None:
        return self.setpoints.get(profile_id)


class Desk:
    """A dialect with its host; whatever passes is checked against the schemas."""

    def __init__(self, version: str, host: FakeHost | None = None) -> None:
        self.host = host if host is not None else FakeHost()
        self.version = version
        self.dialect: Dialect = ocpp.dialect(version, self.host)
        self.handlers = self.dialect.handlers()

    def ask(self, action: str, payload: Payload) -> Payload:
        """What the central system answers to a station's call; raises ProtocolError."""
        return asyncio.run(self.ask_async(action, payload))

    async def ask_async(self, action: str, payload: Payload) -> Payload:
        wrong = schemas.violation(self.version, action, "request", payload)
        assert wrong is None, f"the test's own {action} is invalid: {wrong}"
        answer = await self.handlers[action](payload)
        if action not in schemas.sendable(self.version):
            invalid = schemas.violation(self.version, action, "response", answer)
            assert invalid is None, f"{action} answered invalidly: {invalid}"
        return answer

    def last(self) -> Any:
        return self.host.events[-1]

    def do(self, command: Command, station: Script) -> Answer:
        return asyncio.run(self.dialect.execute(command, station.call))

    def sent(self, command: Command, answer: Payload | None = None) -> tuple[str, Payload]:
        """The one call that a command makes."""
        station = Script(self.version, default=answer or {"status": "Accepted"})
        self.do(command, station)
        (call,) = station.calls
        return call


class Script:
    """A station that answers by script; it checks what it is asked against the schemas.

    ``answers`` maps an action to its answer, an error to raise, or a function of the payload.
    """

    def __init__(
        self,
        version: str,
        answers: Mapping[str, Payload | Exception | Callable[[Payload], Payload]] | None = None,
        default: Payload | None = None,
    ) -> None:
        self.version = version
        self.answers = dict(answers or {})
        self.default = default
        self.calls: list[tuple[str, Payload]] = []

    async def call(self, action: str, payload: Payload) -> Payload:
        if action not in schemas.actions(self.version):
            raise ProtocolError("NotImplemented", action)
        wrong = schemas.violation(self.version, action, "request", payload)
        assert wrong is None, f"we sent an invalid {action}: {wrong}"
        self.calls.append((action, payload))
        answer = self.answers.get(action, self.default)
        if answer is None:
            raise RejectedByStation(action, "NotSupported")
        if isinstance(answer, Exception):
            raise answer
        given = answer(payload) if callable(answer) else answer
        invalid = schemas.violation(self.version, action, "response", given)
        assert invalid is None, f"the test's own {action} answer is invalid: {invalid}"
        return given


def stamp(time: datetime = NOW) -> str:
    return time.isoformat().replace("+00:00", "Z")
