"""A simulated station's line to the central system: dialling, booting, and what must get through."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import structlog

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import CallTimeout, ConnectionLost, RejectedByStation
from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.ocpp.peer import Peer
from gridleaf.ocpp.wire import Wire
from gridleaf.sim.dialect import Message, Report

_log = structlog.get_logger()

_BACK_OFF_S = 5.0
_BACK_OFF_DOUBLINGS = 4
"""OCPP 2.0.1 part 4, 5.3: RetryBackOffWaitMinimum and RetryBackOffRepeatTimes."""
_PASSING = frozenset({"InternalError", "GenericError"})
"""CALLERRORs that say nothing about the message: it is kept and sent again."""


class Owner(Protocol):
    """Whose line it is."""

    def handlers(self) -> Mapping[str, Handler]: ...

    def boot_message(self) -> Message: ...

    def came_online(self, *, rebooted: bool, interval_s: float) -> None: ...

    def went_offline(self) -> None: ...

    def answered(self, report: Report, answer: Payload) -> None: ...

    def dropped(self, report: Report) -> None:
        """The central system refused a report too often."""

    async def all_delivered(self) -> None:
        """The queue is empty: now for what is not kept when the connection is lost."""


class Link:
    """Keeps one connection open; reports wait here until the central system has answered them.

    Attributes
    ----------
    online
        Whether the central system has accepted the station and the connection is open.
    attempts, attempt_interval_s
        How often a report is sent that the central system refuses, and the wait after the first
        time [s]; it grows with every attempt (OCPP 1.6 section 3.7.1).
    """

    def __init__(
        self,
        name: str,
        owner: Owner,
        *,
        clock: Clock,
        rng: random.Random,
        connect: Callable[[], Awaitable[Wire]],
    ) -> None:
        self.name = name
        self.online = False
        self.booted = False
        self.attempts = 3
        self.attempt_interval_s = 60.0
        self.waiting: deque[Report] = deque()
        self._owner = owner
        self._clock = clock
        self._rng = rng
        self._connect = connect
        self._peer: Peer | None = None
        self._group: asyncio.TaskGroup | None = None
        self._drainer: asyncio.Task[None] | None = None
        self._dark_until = 0.0
        self._messages = 0

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Stay connected until cancelled; back-off between attempts is exponential."""
        self._group = group
        failures = 0
        try:
            while True:
                dark_s = self._dark_until - self._clock.monotonic()
                if dark_s > 0:
                    await self._clock.sleep(dark_s)
                try:
                    wire = await self._connect()
                except (ConnectionLost, OSError) as error:
                    _log.info("sim_dial_failed", station=self.name, error=str(error))
                else:
                    failures = 0
                    await self._serve(wire)
                wait_s = _BACK_OFF_S * 2 ** min(failures, _BACK_OFF_DOUBLINGS)
                failures += 1
                await self._clock.sleep(wait_s + self._rng.random() * _BACK_OFF_S)
        finally:
            self._group = None

    async def call(self, message: Message) -> Payload:
        """Call the central system now.

        Raises
        ------
        ConnectionLost
            Also when the station is not online.
        CallTimeout, RejectedByStation
            As :meth:`gridleaf.ocpp.peer.Peer.call`.
        """
        if self._peer is None or not self.online:
            raise ConnectionLost("offline")
        return await self._peer.call(*message)

    def call_later(
        self,
        message: Message,
        then: Callable[[Payload], None] = lambda _: None,
        otherwise: Callable[[], None] = lambda: None,
    ) -> None:
        """Call without waiting: ``then`` takes the answer, ``otherwise`` hears that there is none."""
        self.spawn(self._call_quietly(message, then, otherwise))

    def report(self, reports: Iterable[Report]) -> None:
        """Keep reports until they are delivered, in order."""
        self.waiting.extend(reports)
        self.deliver()

    def deliver(self) -> None:
        """Send what waits, unless that is being done."""
        idle = self._drainer is None or self._drainer.done()
        if self.online and idle and self._peer is not None and self._group is not None:
            self._drainer = self._group.create_task(self._drain(self._peer))

    async def delivered(self, patience_s: float) -> None:
        """Wait until what waits now was delivered, the connection is lost, or patience ends [s]."""
        if self._drainer is not None and not self._drainer.done():
            with suppress(TimeoutError):
                await self._clock.wait_for(asyncio.wait({self._drainer}), patience_s)

    def break_off(self, seconds: float) -> None:
        """Hang up and stay away for so long [s]."""
        self._dark_until = self._clock.monotonic() + seconds
        if self._peer is not None:
            self.spawn(self._peer.close())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something run as long as the line is kept; dropped while it is not."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(work)

    async def _call_quietly(
        self,
        message: Message,
        then: Callable[[Payload], None],
        otherwise: Callable[[], None],
    ) -> None:
        try:
            answer = await self.call(message)
        except (ConnectionLost, CallTimeout, RejectedByStation) as error:
            _log.info("sim_call_failed", station=self.name, error=str(error))
            otherwise()
        else:
            then(answer)

    async def _serve(self, wire: Wire) -> None:
        peer = Peer(
            wire,
            role="station",
            clock=self._clock,
            handlers=self._owner.handlers(),
            new_id=self._new_id,
        )
        assert self._group is not None
        self._peer = peer
        session = self._group.create_task(self._begin(peer))
        try:
            await peer.run()
        finally:
            session.cancel()
            if self._drainer is not None:
                self._drainer.cancel()
            self._peer, self.online = None, False
            self._owner.went_offline()

    def _new_id(self) -> str:
        self._messages += 1
        return str(self._messages)

    async def _begin(self, peer: Peer) -> None:
        """Boot where that is due, then resume."""
        rebooted, interval_s = not self.booted, 0.0
        while not self.booted:
            try:
                answer = await peer.call(*self._owner.boot_message())
                status, interval_s = answer["status"], float(answer["interval"])
            except (CallTimeout, RejectedByStation):
                status, interval_s = "Rejected", 0.0
            except ConnectionLost:
                return
            self.booted = status == "Accepted"
            if not self.booted:
                await self._clock.sleep(interval_s or self.attempt_interval_s)
        self.online = True
        self._owner.came_online(rebooted=rebooted, interval_s=interval_s)
        self.deliver()

    async def _drain(self, peer: Peer) -> None:
        while self.waiting:
            report = self.waiting[0]
            try:
                answer = await peer.call(report.action, report.payload)
            except ConnectionLost:
                return
            except (CallTimeout, RejectedByStation) as error:
                await self._failed(report, error)
            else:
                self.waiting.popleft()
                self._owner.answered(report, answer)
        await self._owner.all_delivered()

    async def _failed(self, report: Report, error: CallTimeout | RejectedByStation) -> None:
        report.attempts += 1
        refused = isinstance(error, RejectedByStation) and error.code not in _PASSING
        if not refused or report.attempts < self.attempts:
            await self._clock.sleep(self.attempt_interval_s * report.attempts)
            return
        _log.warning("sim_report_dropped", station=self.name, error=str(error))
        self.waiting.popleft()
        if report.opens:
            others = [r for r in self.waiting if r.transaction_id != report.transaction_id]
            self.waiting = deque(others)
        self._owner.dropped(report)
