"""The stations that are connected: admission to epochs, commands, probes, the log of frames."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from gridleaf.domain.clock import Clock, stopwatch
from gridleaf.domain.errors import ConnectionLost, StoreUnavailable
from gridleaf.domain.events import Connected, Disconnected, SecurityReported, StationEvent
from gridleaf.domain.site import SiteConfig
from gridleaf.gateway.connection import Connection, Intake
from gridleaf.gateway.framelog import FrameLog
from gridleaf.gateway.metrics import GatewayMetrics
from gridleaf.ocpp.commands import Answer, Command
from gridleaf.ocpp.csms import Payload
from gridleaf.ocpp.wire import Wire
from gridleaf.store.port import Store

PING_TIMEOUT_S = 5.0
"""How long a replaced connection has to show that it is alive [s]."""
BOOT_WAIT_S = 10.0
"""A station that has not booted by then is read all the same: it only reconnected [s]."""
SETTLE_S = 1.0
"""Pause between a boot and the first question [s]."""
DELIVERY_PAUSE_S, DELIVERY_PAUSE_MAX_S = 1.0, 30.0

_log = structlog.get_logger()


class Gateway:
    """Runs connections, over sockets or in memory, and is where commands to stations go.

    A station has one connection at a time. Each gets an epoch from the store that rises for the
    life of the database; a newer connection takes over at once, and the older one is fenced before
    anything else happens, so that no command, answer or event passes through both.

    Parameters
    ----------
    rng
        Jitter and 1.6 transaction ids; pass ``random.SystemRandom()`` where stations are real.
    registry
        Where the metrics are registered; an own one, as :attr:`registry`, when absent.
    keep_frames
        Write every frame to the store's log.
    timer
        Measures how long stations take to answer [s].
    """

    def __init__(
        self,
        *,
        site: SiteConfig,
        clock: Clock,
        store: Store,
        intake: Intake,
        rng: random.Random,
        registry: CollectorRegistry | None = None,
        keep_frames: bool = True,
        timer: Callable[[], float] = stopwatch,
    ) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self.metrics = GatewayMetrics(self.registry, self._live)
        self._site = site
        self._stations = {station.id: station for station in site.stations}
        self._clock = clock
        self._store = store
        self._intake = intake
        self._rng = rng
        self._timer = timer
        self._frames = FrameLog(store, clock, self.metrics) if keep_frames else None
        self._connections: dict[str, Connection] = {}
        self._serving: dict[Connection, asyncio.Future[None]] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._closed = False

    async def serve(self, wire: Wire, station_id: str, remote: str = "") -> None:
        """Run one admitted connection to its end.

        Parameters
        ----------
        wire
            Open, with a subprotocol of OCPP. A wire that has ``ping()`` is asked, when a newer
            connection takes over, whether it is alive.
        remote
            Address of the station, for people.

        Raises
        ------
        KeyError
            No such station is configured.
        """
        station = self._stations[station_id]
        try:
            epoch = await self._store.next_epoch(station_id)
        except StoreUnavailable as error:
            await self._turn_away(wire, station_id, "store", str(error))
            return
        older = self._connections.get(station_id)
        if self._closed or (older is not None and older.epoch > epoch):
            await self._turn_away(wire, station_id, "late", "")
            return
        connection = Connection(
            wire,
            station=station,
            epoch=epoch,
            remote=remote,
            site=self._site,
            clock=self._clock,
            store=self._store,
            intake=self._intake,
            rng=self._rng,
            frames=self._frames,
            metrics=self.metrics,
            timer=self._timer,
        )
        self._connections[station_id] = connection
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._serving[connection] = ended
        try:
            if older is not None:
                await older.fence()
                self._spawn(self._retire(older, connection))
                await self._deliver(_disconnected(older, self._clock, "replaced"))
            await self._run(connection)
        finally:
            try:
                await self._leave(connection)
            finally:
                del self._serving[connection]
                ended.set_result(None)

    async def execute(self, station_id: str, command: Command) -> Answer:
        """Carry out a command on a station.

        Raises
        ------
        ConnectionLost
            The station is not connected, or its connection ended or was replaced meanwhile.
        RejectedByStation, CallTimeout, ProtocolError
            As :meth:`gridleaf.ocpp.csms.Dialect.execute`.
        """
        return await self._connected(station_id).execute(command)

    async def request(self, station_id: str, action: str, payload: Payload) -> Payload:
        """Send any OCPP request; raises like :meth:`execute`."""
        return await self._connected(station_id).call(action, payload)

    def connection(self, station_id: str) -> Connection | None:
        """The connection of a station; None when it is offline."""
        return self._connections.get(station_id)

    def report(self, station_id: str, what: str, detail: str = "") -> None:
        """Report a security event; it is stored as soon as the store takes it."""
        event = SecurityReported(
            station_id=station_id, received_at=self._clock.now(), what=what, detail=detail
        )
        self._spawn(self._deliver(event))

    async def close(self) -> None:
        """End every connection and write what is waiting; no connection is served afterwards."""
        self._closed = True
        ending = list(self._serving.items())
        await asyncio.gather(*(c.wire.close(1001, "going away") for c, _ in ending))
        if ending:
            await asyncio.wait([ended for _, ended in ending])
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._frames is not None:
            await self._frames.close()

    # -- one connection --

    async def _run(self, connection: Connection) -> None:
        log = _log.bind(station=connection.station_id, epoch=connection.epoch)
        try:
            await self._intake.accept(
                Connected(
                    station_id=connection.station_id,
                    received_at=connection.connected_at,
                    version=connection.version,
                    epoch=connection.epoch,
                    remote=connection.remote,
                )
            )
        except StoreUnavailable as error:
            await self._turn_away(connection.wire, connection.station_id, "store", str(error))
            return
        self.metrics.connections[connection.version] += 1
        log.info("station_connected", version=connection.version, remote=connection.remote)
        probe = self._spawn(self._probe(connection))
        try:
            await connection.peer.run()
        except Exception:  # one station's trouble stays with that station
            log.exception("connection_failed")
        finally:
            probe.cancel()
            log.info("station_disconnected", replaced=connection.wire.cut)

    async def _leave(self, connection: Connection) -> None:
        self.metrics.protocol.update(connection.peer.endpoint.counters)
        if self._connections.get(connection.station_id) is connection:
            del self._connections[connection.station_id]
            await self._deliver(_disconnected(connection, self._clock, "closed"))
        await connection.wire.close(1001)

    async def _retire(self, older: Connection, newer: Connection) -> None:
        """Close a replaced connection; report it if somebody was still there."""
        try:
            await self._clock.wait_for(older.wire.ping(), PING_TIMEOUT_S)
        except (TimeoutError, ConnectionLost):
            _log.info("dead_connection_replaced", station=older.station_id, epoch=older.epoch)
        else:
            _log.warning("second_connection", station=older.station_id, epoch=newer.epoch)
            self.report(
                older.station_id,
                "second connection",
                f"epoch {older.epoch} from {older.remote or 'unknown'} was alive when"
                f" epoch {newer.epoch} from {newer.remote or 'unknown'} took over",
            )
        await older.wire.close(1008, "replaced by a newer connection")

    async def _probe(self, connection: Connection) -> None:
        """Ask the station what it can do, once in each connection."""
        with contextlib.suppress(TimeoutError):
            await self._clock.wait_for(connection.booted.wait(), BOOT_WAIT_S)
        await self._clock.sleep(SETTLE_S)
        with contextlib.suppress(ConnectionLost):
            await connection.dialect.probe(connection.call)

    async def _turn_away(self, wire: Wire, station_id: str, reason: str, error: str) -> None:
        self.metrics.refused[reason] += 1
        _log.warning("connection_refused", station=station_id, reason=reason, error=error)
        await wire.close(1013, "try again later")

    # -- around it --

    def _connected(self, station_id: str) -> Connection:
        connection = self._connections.get(station_id)
        if connection is None:
            raise ConnectionLost(f"{station_id} is not connected")
        return connection

    def _live(self) -> Iterable[tuple[str, Mapping[str, int]]]:
        return [(c.version, c.peer.endpoint.counters) for c in self._connections.values()]

    async def _deliver(self, event: StationEvent) -> None:
        """Hand over an event of ours; while the store is down it is tried again in the background."""
        try:
            await self._intake.accept(event)
        except StoreUnavailable:
            _log.warning("event_waits_for_store", station=event.station_id, kind=event.kind)
            if not self._closed:
                self._spawn(self._deliver_later(event))

    async def _deliver_later(self, event: StationEvent) -> None:
        pause_s = DELIVERY_PAUSE_S
        while True:
            await self._clock.sleep(pause_s)
            try:
                await self._intake.accept(event)
                return
            except StoreUnavailable:
                pause_s = min(2 * pause_s, DELIVERY_PAUSE_MAX_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("gateway_task_failed", exc_info=error)


def _disconnected(connection: Connection, clock: Clock, reason: str) -> Disconnected:
    return Disconnected(
        station_id=connection.station_id,
        received_at=clock.now(),
        epoch=connection.epoch,
        reason=reason,
    )
