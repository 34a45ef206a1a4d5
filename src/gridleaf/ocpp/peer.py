"""Drives an :class:`~gridleaf.ocpp.endpoint.Endpoint` over a wire: one side of one connection.

The reader never waits for a handler, so a handler may itself call the peer and be answered. The
peer's calls are served one after the other, in the order they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

import structlog

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import (
    CallTimeout,
    ConnectionLost,
    ProtocolError,
    RejectedByStation,
    StoreUnavailable,
)
from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.ocpp.endpoint import Endpoint, Incoming, Refusal, Settled
from gridleaf.ocpp.wire import Wire

_log = structlog.get_logger()

_INBOX = 256
"""Calls that may wait to be served; beyond it the wire is no longer read (a peer may have one)."""


class Peer:
    """One side of an OCPP-J connection over a :class:`~gridleaf.ocpp.wire.Wire`.

    Parameters
    ----------
    wire
        An open connection; its subprotocol binds the version.
    role
        Which side this is; it is only told to the log.
    handlers
        Action -> handler; may be filled after construction, before :meth:`run`.
    new_id
        Makes message ids, unique for the connection, at most 36 characters.
    call_timeout_s
        How long a call waits for its answer, counted from when it was sent [s].
    on_frame
        Told of every frame as it passes: (outgoing, frame).

    Attributes
    ----------
    version
        The negotiated subprotocol.
    endpoint
        The state machine, for its ``counters``.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        role: Literal["csms", "station"],
        clock: Clock,
        handlers: Mapping[str, Handler] | None = None,
        new_id: Callable[[], str],
        call_timeout_s: float = 30.0,
        on_frame: Callable[[bool, str], None] | None = None,
    ) -> None:
        self.version = wire.subprotocol
        self.endpoint = Endpoint(self.version)
        self.handlers: dict[str, Handler] = dict(handlers or {})
        self._wire = wire
        self._clock = clock
        self._new_id = new_id
        self._call_timeout_s = call_timeout_s
        self._on_frame = on_frame
        self._log = _log.bind(role=role, version=self.version)
        self._inbox: asyncio.Queue[Incoming | None] = asyncio.Queue(_INBOX)
        self._turn = asyncio.Lock()
        self._answer: asyncio.Future[Payload] | None = None
        self._answer_id = ""
        self._answer_due = 0.0
        self._ended = False

    async def run(self) -> None:
        """Read and serve until the wire ends; then every pending call fails with ConnectionLost.

        The handler at work is let finish; calls that still waited to be served are dropped, which
        the other side will notice and repeat. Never raises ConnectionLost itself.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve())
            try:
                while True:
                    await self._take(await self._wire.receive())
            except ConnectionLost:
                pass
            finally:
                self._end()

    async def call(
        self, action: str, payload: Payload, *, timeout_s: float | None = None
    ) -> Payload:
        """Call the other side and return its answer; further calls wait for their turn.

        Raises
        ------
        ProtocolError
            The action or the payload is not valid in this version; nothing was sent.
        RejectedByStation
            Answered with a CALLERROR, or with a result that is not valid.
        CallTimeout
            Not answered in time; the next call proceeds.
        ConnectionLost
            The connection ended first.
        """
        timeout_s = self._call_timeout_s if timeout_s is None else timeout_s
        async with self._turn:
            await self._until_free()
            message_id = self._new_id()
            frame = self.endpoint.call(message_id, action, payload)
            answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._answer, self._answer_id = answer, message_id
            self._answer_due = self._clock.monotonic() + timeout_s
            try:
                await self._transmit(frame)
                return await self._clock.wait_for(asyncio.shield(answer), timeout_s)
            except TimeoutError:
                self._give_up()
                raise CallTimeout(f"{action}: no answer within {timeout_s:g} s") from None
            except ConnectionLost:
                self._give_up()
                raise

    async def send(self, action: str, payload: Payload) -> None:
        """Send what asks for no answer (2.1 SEND); raises ProtocolError and ConnectionLost."""
        await self._transmit(self.endpoint.send(self._new_id(), action, payload))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection."""
        await self._wire.close(code, reason)

    async def _until_free(self) -> None:
        """A caller that was cancelled leaves its CALL outstanding: wait until that one is over."""
        if self._answer is not None and not self._answer.done():
            remaining_s = max(0.0, self._answer_due - self._clock.monotonic())
            try:
                await self._clock.wait_for(asyncio.shield(self._answer), remaining_s)
            except (TimeoutError, RejectedByStation, ConnectionLost):
                self._give_up()
        if self._ended:
            raise ConnectionLost("the connection has ended")

    def _give_up(self) -> None:
        self.endpoint.abandon(self._answer_id)
        self._answer = None

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        while not self._inbox.empty():
            self._inbox.get_nowait()
        self._inbox.put_nowait(None)
        if self._answer is not None and not self._answer.done():
            self._fail(self._answer, ConnectionLost("the connection ended before the answer"))

    @staticmethod
    def _fail(answer: asyncio.Future[Payload], error: Exception) -> None:
        answer.set_exception(error)
        answer.exception()  # seen: the caller may have been cancelled meanwhile

    async def _take(self, frame: str) -> None:
        if self._on_frame is not None:
            self._on_frame(False, frame)
        event = self.endpoint.receive(frame, self._clock.monotonic())
        if type(event) is Incoming:
            await self._inbox.put(event)
        elif type(event) is Settled:
            await self._settle(event)
        elif type(event) is Refusal:
            self._log.warning("ocpp_frame_refused", reply=event.reply, close=event.close)
            if event.reply is not None:
                await self._transmit(event.reply)
            if event.close:
                await self._wire.close(1008, "too many malformed frames")

    async def _settle(self, event: Settled) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            if isinstance(event.outcome, RejectedByStation):
                self._fail(answer, event.outcome)
            else:
                answer.set_result(event.outcome)
        if event.reply is not None:
            await self._transmit(event.reply)

    async def _serve(self) -> None:
        while (incoming := await self._inbox.get()) is not None:
            frame = self.endpoint.remembered(incoming)
            if frame is None:
                frame = await self._handle(incoming)
            if frame is not None and not self._ended:
                try:
                    await self._transmit(frame)
                except ConnectionLost:
                    return

    async def _handle(self, incoming: Incoming) -> str | None:
        """The frame to answer with, None for a SEND. Never a false success."""
        refusal = ProtocolError("InternalError", "try again later")
        try:
            handler = self.handlers.get(incoming.action)
            if handler is None:
                raise ProtocolError("NotSupported", incoming.action)
            answer = await handler(incoming.payload)
            return None if incoming.is_send else self.endpoint.answer(incoming, answer)
        except ProtocolError as error:
            refusal = error
        except StoreUnavailable as error:
            self._log.error("ocpp_store_unavailable", action=incoming.action, error=str(error))
        except Exception:  # noqa: BLE001 - a handler's defect must not end the connection
            self._log.exception("ocpp_handler_failed", action=incoming.action)
        self.endpoint.counters["refused"] += 1
        return None if incoming.is_send else self.endpoint.refuse(incoming, refusal)

    async def _transmit(self, frame: str) -> None:
        if self._on_frame is not None:
            self._on_frame(True, frame)
        await self._wire.send(frame)
