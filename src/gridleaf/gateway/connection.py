"""One admitted connection of a station: its fence, and the host its dialect talks to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol

from gridleaf import ocpp
from gridleaf.domain.clock import Clock, stopwatch
from gridleaf.domain.errors import ConnectionLost, ProtocolError, RejectedByStation
from gridleaf.domain.events import Booted, StationEvent, TransactionReported
from gridleaf.domain.site import SiteConfig, Station
from gridleaf.gateway.framelog import FrameLog
from gridleaf.gateway.metrics import GatewayMetrics
from gridleaf.ocpp import schemas
from gridleaf.ocpp.commands import Answer, Command
from gridleaf.ocpp.csms import Authorisation, Payload
from gridleaf.ocpp.peer import Peer
from gridleaf.ocpp.wire import Wire
from gridleaf.store.port import Store

_REPLACED = "replaced by a newer connection"
_LAST_1_6_ID = 2**31 - 1
_ID_ATTEMPTS = 8
_HEARTBEAT_JITTER = 0.1


class Intake(Protocol):
    """What the platform behind the gateway does with what stations say."""

    async def accept(self, event: StationEvent) -> bool:
        """Make an event durable, then apply it to the live state; False for a duplicate.

        Raises StoreUnavailable; then nothing was applied.
        """

    async def authorise(
        self, station_id: str, id_token: str, evse_id: int | None
    ) -> Authorisation: ...

    def pull_setpoint(self, station_id: str, profile_id: int) -> float | None:
        """The setpoint a dynamic profile should have now [kW]; None when there is none."""


class FencedWire:
    """A wire that can be cut off for its reader and writer at once, before it has closed."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self.subprotocol = wire.subprotocol
        self.heard_at = clock.now()
        self.cut = False
        self._wire = wire
        self._clock = clock

    async def send(self, frame: str) -> None:
        if self.cut:
            raise ConnectionLost(_REPLACED)
        await self._wire.send(frame)

    async def receive(self) -> str:
        frame = await self._wire.receive()
        if self.cut:
            raise ConnectionLost(_REPLACED)
        self.heard_at = self._clock.now()
        return frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._wire.close(code, reason)

    async def ping(self) -> None:
        """Return when the far end has answered; at once for a wire that cannot ask."""
        ping = getattr(self._wire, "ping", None)
        if ping is not None:
            await ping()


class Connection:
    """An admitted connection of ``epoch``; it is the :class:`~gridleaf.ocpp.csms.Host` of its dialect.

    Once :meth:`fence`-d it can neither send nor have anything accepted any more.

    Attributes
    ----------
    station_id, version, epoch, remote
        Who is connected, in which OCPP version, the how-manieth time, from where.
    connected_at
        When it was admitted (aware, UTC).
    booted
        Set when the station has booted within this connection.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        station: Station,
        epoch: int,
        remote: str,
        site: SiteConfig,
        clock: Clock,
        store: Store,
        intake: Intake,
        rng: random.Random,
        frames: FrameLog | None,
        metrics: GatewayMetrics,
        timer: Callable[[], float] = stopwatch,
    ) -> None:
        self.station_id = station.id
        self.version = wire.subprotocol
        self.epoch = epoch
        self.remote = remote
        self.connected_at = clock.now()
        self.booted = asyncio.Event()
        self.wire = FencedWire(wire, clock)
        self._station = station
        self._voltage_v = site.voltage_v
        self._clock = clock
        self._store = store
        self._intake = intake
        self._rng = rng
        self._frames = frames
        self._metrics = metrics
        self._timer = timer
        self._calls = 0
        self._accepting = asyncio.Lock()
        self._evses: dict[str, int] = {}
        self._seq_nos: dict[str, int] = {}
        self._heartbeat_s = _jittered(site.server.heartbeat_interval_s, rng)
        self._known_actions = schemas.actions(self.version) | schemas.sendable(self.version)
        self.peer = Peer(
            self.wire,
            role="csms",
            clock=clock,
            new_id=self._new_id,
            call_timeout_s=site.server.call_timeout_s,
            on_frame=self._note,
        )
        self.dialect = ocpp.dialect(self.version, self)
        self.peer.handlers.update(self.dialect.handlers())

    @property
    def last_seen_at(self) -> datetime:
        """When the station was last heard (aware, UTC)."""
        return self.wire.heard_at

    async def fence(self) -> None:
        """From now on nothing goes out and nothing that comes in counts.

        Returns when an event that was being made durable is so: what comes next can rely on it.
        """
        self.wire.cut = True
        async with self._accepting:
            pass

    async def call(self, action: str, payload: Payload) -> Payload:
        """One OCPP call to the station; raises like :meth:`gridleaf.ocpp.peer.Peer.call`."""
        started = self._timer()
        try:
            answer = await self.peer.call(action, payload)
        except RejectedByStation:
            self._metrics.call_seconds.labels(action).observe(self._timer() - started)
            raise
        self._metrics.call_seconds.labels(action).observe(self._timer() - started)
        return answer

    async def execute(self, command: Command) -> Answer:
        """Carry out a command in the station's version; raises like ``Dialect.execute``."""
        return await self.dialect.execute(command, self.call)

    # -- the host of the dialect --

    def now(self) -> datetime:
        return self._clock.now()

    @property
    def heartbeat_interval_s(self) -> int:
        return self._heartbeat_s

    @property
    def evse_ids(self) -> tuple[int, ...]:
        return tuple(evse.id for evse in self._station.evses)

    @property
    def discharge_via(self) -> Literal["none", "ocpp21", "negative_limit"]:
        return self._station.discharge_via

    @property
    def voltage_v(self) -> float:
        return self._voltage_v

    async def accept(self, event: StationEvent) -> bool:
        async with self._accepting:
            if self.wire.cut:
                raise ProtocolError("InternalError", _REPLACED)
            new = await self._intake.accept(event)
        if isinstance(event, TransactionReported):
            self._heard_of(event)
        elif isinstance(event, Booted):
            self.booted.set()
        return new

    async def authorise(self, id_token: str, evse_id: int | None) -> Authorisation:
        return await self._intake.authorise(self.station_id, id_token, evse_id)

    async def open_transaction(
        self, id_token: str, evse_id: int, started_at: datetime, meter_start_kwh: float
    ) -> str:
        for _ in range(_ID_ATTEMPTS):
            try:
                return await self._store.open_transaction(
                    self.station_id,
                    evse_id,
                    id_token,
                    started_at,
                    meter_start_kwh,
                    str(self._rng.randint(1, _LAST_1_6_ID)),
                )
            except KeyError:
                continue
        raise ProtocolError("InternalError", "no free transaction id")

    async def find_transaction(self, transaction_id: str) -> int | None:
        if not 0 < int(transaction_id) <= _LAST_1_6_ID:
            return None  # never one of ours
        if transaction_id in self._evses:
            return self._evses[transaction_id]
        evse_id = await self._store.find_transaction(self.station_id, transaction_id)
        if evse_id is not None:
            self._evses[transaction_id] = evse_id
        return evse_id

    async def next_seq_no(self, transaction_id: str) -> int:
        if transaction_id in self._seq_nos:
            return self._seq_nos[transaction_id] + 1
        return max(1, await self._store.next_seq_no(self.station_id, transaction_id))

    async def has_ended(self, transaction_id: str) -> bool:
        events = await self._store.transaction_events(self.station_id, transaction_id)
        return any(isinstance(e, TransactionReported) and e.phase == "ended" for e in events)

    async def pull_setpoint(self, profile_id: int) -> float | None:
        return self._intake.pull_setpoint(self.station_id, profile_id)

    # -- what passes --

    def _heard_of(self, event: TransactionReported) -> None:
        """Remember the number of a live transaction's newest event: only we report its events."""
        if event.phase == "ended":
            self._evses.pop(event.transaction_id, None)
            self._seq_nos.pop(event.transaction_id, None)
        elif event.transaction_id in self._evses:
            highest = self._seq_nos.get(event.transaction_id, 0)
            self._seq_nos[event.transaction_id] = max(highest, event.seq_no)

    def _new_id(self) -> str:
        self._calls += 1
        return f"{self.epoch}.{self._calls}"

    def _note(self, outgoing: bool, frame: str) -> None:
        label = "out" if outgoing else "in"
        self._metrics.messages[self._kind(frame), label] += 1
        if self._frames is not None:
            self._frames.note(self.station_id, outgoing, frame)

    def _kind(self, frame: str) -> str:
        """The action of a CALL, else what the frame is; only known words, they become labels."""
        match frame[:2]:
            case "[2" | "[6":
                parts = frame.split('"', 4)
                return parts[3] if len(parts) == 5 and parts[3] in self._known_actions else "other"
            case "[3":
                return "CALLRESULT"
            case "[4":
                return "CALLERROR"
        return "other"


def _jittered(seconds: float, rng: random.Random) -> int:
    """Spread over +-10 %, so that stations that came back together do not stay in step [s]."""
    return max(1, round(seconds * (1 + _HEARTBEAT_JITTER * (2 * rng.random() - 1))))
