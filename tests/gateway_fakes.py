"""What tests of the gateway stand it on: a site, a store in a dictionary, a platform in a list."""

from __future__ import annotations

import asyncio
import base64
import random
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from gridleaf.domain.clock import Clock, RealClock
from gridleaf.domain.errors import ConnectionLost, StoreUnavailable
from gridleaf.domain.events import StationEvent, TransactionReported, identity
from gridleaf.domain.site import SiteConfig, parse
from gridleaf.gateway import Gateway, OcppServer
from gridleaf.ocpp.csms import Authorisation, Handler, Payload
from gridleaf.ocpp.peer import Peer
from gridleaf.ocpp.wire import Wire, memory_wires
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
        self.events: list[StationEvent] = []
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

    async def transaction_events(self, station_id: str, transaction_id: str) -> list[StationEvent]:
        self._up()
        return [
            event
            for event in self.events
            if isinstance(event, TransactionReported)
            and (event.station_id, event.transaction_id) == (station_id, transaction_id)
        ]

    async def next_seq_no(self, station_id: str, transaction_id: str) -> int:
        known = await self.transaction_events(station_id, transaction_id)
        return max((cast(TransactionReported, event).seq_no for event in known), default=-1) + 1

    async def log_frames(self, rows: Sequence[FrameRecord]) -> None:
        self._up()
        self.logged.extend(rows)


class FakeIntake:
    """Takes every event into a list; ``down`` makes it fail as a platform without a store would."""

    def __init__(self, store: FakeStore) -> None:
        self.down = False
        self.events = store.events
        self.delay_s = 0.0
        self.setpoints: dict[tuple[str, int], float] = {}

    async def accept(self, event: StationEvent) -> bool:
        if isinstance(event, TransactionReported):
            await asyncio.sleep(self.delay_s)
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


BOOT: dict[str, Payload] = {
    "ocpp1.6": {"chargePointVendor": "Acme", "chargePointModel": "One"},
    "ocpp2.0.1": {
        "reason": "PowerUp",
        "chargingStation": {"vendorName": "Acme", "model": "One"},
    },
    "ocpp2.1": {
        "reason": "PowerUp",
        "chargingStation": {"vendorName": "Acme", "model": "One"},
    },
}


class StationEnd:
    """The far end of a connection: a peer that speaks OCPP without any opinion."""

    def __init__(
        self, wire: Wire, clock: Clock, handlers: Mapping[str, Handler] | None = None
    ) -> None:
        numbers = count(1)
        self.wire = wire
        self.peer = Peer(
            wire,
            role="station",
            clock=clock,
            handlers=handlers,
            new_id=lambda: f"s{next(numbers)}",
        )
        self.running = asyncio.create_task(self.peer.run())

    @classmethod
    def over(
        cls,
        connection: ClientConnection,
        clock: Clock,
        handlers: Mapping[str, Handler] | None = None,
    ) -> StationEnd:
        """A station at the end of a WebSocket."""
        return cls(ClientWire(connection), clock, handlers)

    async def boot(self) -> Payload:
        return await self.peer.call("BootNotification", BOOT[self.peer.version])

    async def heartbeat(self) -> Payload:
        return await self.peer.call("Heartbeat", {})


def attach(
    gateway: Gateway,
    clock: Clock,
    station_id: str = "CP1",
    version: str = "ocpp2.0.1",
    handlers: Mapping[str, Handler] | None = None,
) -> tuple[StationEnd, asyncio.Task[None]]:
    """Connect a station in memory: its end, and the gateway's serving of it."""
    ours, theirs = memory_wires(version)
    serving = asyncio.create_task(gateway.serve(ours, station_id, "memory"))
    return StationEnd(theirs, clock, handlers), serving


class Port:
    """An OcppServer on loopback with its gateway, store and intake."""

    def __init__(
        self, site: SiteConfig, passwords: Mapping[str, str] | None, clock: RealClock | None
    ) -> None:
        self.site = site
        self.clock = clock or RealClock()
        self.store = FakeStore()
        self.intake = FakeIntake(self.store)
        self.gateway = Gateway(
            site=site,
            clock=self.clock,
            store=self.store.as_store(),
            intake=self.intake,
            rng=random.Random(1),
        )
        self.server = OcppServer(
            self.gateway,
            site=site,
            clock=self.clock,
            secrets=passwords or {station.id: PASSWORD for station in site.stations},
            rng=random.Random(2),
        )
        self.number = 0

    async def dial(
        self,
        station_id: str = "CP1",
        *,
        password: str | None = PASSWORD,
        user: str | None = None,
        path: str | None = None,
        versions: Sequence[str] = ("ocpp2.0.1",),
        tls: ssl.SSLContext | None = None,
        local_ip: str = "127.0.0.1",
        compression: str | None = None,
        **options: Any,
    ) -> ClientConnection:
        """Open a WebSocket as a station would; raises InvalidStatus when it is refused."""
        headers = {}
        if password is not None:
            credentials = f"{station_id if user is None else user}:{password}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
        return await connect(
            f"{'wss' if tls else 'ws'}://127.0.0.1:{self.number}{path or f'/ocpp/{station_id}'}",
            subprotocols=[Subprotocol(version) for version in versions] or None,
            additional_headers=headers,
            ssl=tls,
            local_addr=(local_ip, 0),
            compression=compression,
            proxy=None,
            **options,
        )

    async def refusal(self, station_id: str = "CP1", **how: Any) -> int:
        """The HTTP status with which a connection is refused."""
        try:
            connection = await self.dial(station_id, **how)
        except InvalidStatus as error:
            return error.response.status_code
        await connection.close()
        raise AssertionError("the connection was admitted")

    async def until(self, condition: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait for something that happens soon."""
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - conditions of many kinds
                await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(
    site: SiteConfig,
    passwords: Mapping[str, str] | None = None,
    clock: RealClock | None = None,
) -> AsyncIterator[Port]:
    """A running port; whatever is connected at the end is closed by it."""
    port = Port(site, passwords, clock)
    port.number = await port.server.start()
    try:
        yield port
    finally:
        await port.gateway.close()
        await port.server.stop()


class ClientWire:
    """A client's WebSocket as a wire."""

    def __init__(self, connection: ClientConnection) -> None:
        self.subprotocol = str(connection.subprotocol)
        self.connection = connection

    async def send(self, frame: str) -> None:
        try:
            await self.connection.send(frame)
        except ConnectionClosed as error:
            raise ConnectionLost(str(error)) from None

    async def receive(self) -> str:
        try:
            return cast(str, await self.connection.recv())
        except ConnectionClosed as error:
            raise ConnectionLost(str(error)) from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.connection.close(code, reason)
