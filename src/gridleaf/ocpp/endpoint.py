"""One side of an OCPP-J connection as a state machine: frames in, frames and decisions out.

No sockets, no clock, no tasks: whoever drives it (:mod:`gridleaf.ocpp.peer`) hands in frames and
the time, and does what comes back. The rules are those of OCPP-J 1.6 and of part 4 of OCPP 2.0.1
and 2.1: message types CALL 2, CALLRESULT 3, CALLERROR 4 and, in 2.1, CALLRESULTERROR 5 and SEND 6.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gridleaf.domain.errors import ProtocolError, RejectedByStation
from gridleaf.ocpp import schemas
from gridleaf.ocpp.csms import Payload

CALL, RESULT, ERROR, RESULT_ERROR, SEND = 2, 3, 4, 5, 6

MAX_ID_LENGTH: Final = 36
MAX_DEPTH: Final = 32
"""Deepest nesting of a frame; the deepest message of OCPP 2.1 (ReportChargingProfiles) has 14."""
UNREADABLE_ID: Final = "-1"
"""Message id of the answer to a frame whose own id cannot be read (OCPP 2.0.1, part 4)."""

_CODES_16: Final = {
    "FormatViolation": "FormationViolation",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
    "RpcFrameworkError": "FormationViolation",
    "MessageTypeNotSupported": "ProtocolError",
}
"""1.6 spells two codes its own way (errata 5.1, 5.2) and lacks the two about the framework."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A valid CALL or SEND to serve; answer it with :meth:`Endpoint.answer` or ``refuse``."""

    message_id: str
    action: str
    payload: Payload
    digest: int
    is_send: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """The outstanding CALL has ended; ``reply`` is a CALLRESULTERROR to send (2.1)."""

    message_id: str
    outcome: Payload | RejectedByStation
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A frame that cannot be served: send ``reply`` if any; then, if ``close``, end with 1008."""

    reply: str | None
    close: bool = False


class Endpoint:
    """Frames, ids and correlation of one connection, bound to its negotiated version.

    Parameters
    ----------
    version
        The negotiated subprotocol; another version's schemas are never consulted.
    max_frame
        Longest frame that is parsed at all [characters].
    remember
        Answers kept for the case that a CALL comes again.
    strikes, strike_window_s
        So many malformed frames within so many seconds end the connection.

    Attributes
    ----------
    counters
        What happened so far, by name: ``calls``, ``sends``, ``results``, ``malformed``,
        ``invalid``, ``duplicate``, ``unsolicited``, ``result_errors``.
    """

    def __init__(
        self,
        version: str,
        *,
        max_frame: int = 256 * 1024,
        remember: int = 64,
        strikes: int = 10,
        strike_window_s: float = 60.0,
    ) -> None:
        if version not in schemas.VERSIONS:
            raise ValueError(f"not an OCPP subprotocol: {version!r}")
        self.version = version
        self.counters: Counter[str] = Counter()
        self._max_frame = max_frame
        self._remember = remember
        self._strike_window_s = strike_window_s
        self._strikes: deque[float] = deque(maxlen=strikes)
        self._answers: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._outstanding: tuple[str, str] | None = None
        self._actions = schemas.actions(version)
        self._sendable = schemas.sendable(version)

    # -- what arrives --

    def receive(self, frame: str, now: float) -> Incoming | Settled | Refusal | None:
        """Digest one frame; None when there is nothing to do. Never raises.

        Parameters
        ----------
        now
            Monotonic time [s].
        """
        if len(frame) > self._max_frame:
            return self._malformed(UNREADABLE_ID, "RpcFrameworkError", "the frame is too long", now)
        try:
            message = orjson.loads(frame)
        except (orjson.JSONDecodeError, RecursionError):
            return self._malformed(UNREADABLE_ID, "RpcFrameworkError", "not JSON", now)
        if frame.count("[") + frame.count("{") > MAX_DEPTH and _too_deep(message):
            return self._malformed(UNREADABLE_ID, "RpcFrameworkError", "nested too deeply", now)
        if type(message) is not list or len(message) < 2:
            return self._malformed(
                UNREADABLE_ID, "RpcFrameworkError", "not an array of type, id, ...", now
            )
        kind, message_id = message[0], message[1]
        if type(message_id) is not str or not 0 < len(message_id) <= MAX_ID_LENGTH:
            if kind in (RESULT, ERROR, RESULT_ERROR):
                return self._unanswerable(now)
            return self._malformed(
                UNREADABLE_ID, "RpcFrameworkError", "message id: 1 to 36 characters", now
            )
        if type(kind) is int:
            if kind == CALL:
                return self._call(message_id, message, frame, now)
            if kind == RESULT:
                return self._result(message_id, message, now)
            if kind == ERROR:
                return self._error(message_id, message)
            if self.version == "ocpp2.1":
                if kind == SEND:
                    return self._send(message_id, message, frame, now)
                if kind == RESULT_ERROR:
                    self.counters["result_errors"] += 1
                    return None
        return self._malformed(message_id, "MessageTypeNotSupported", "message type", now)

    def _call(
        self, message_id: str, message: list[Any], frame: str, now: float
    ) -> Incoming | Refusal:
        if len(message) != 4 or type(message[2]) is not str:
            return self._malformed(
                message_id, "RpcFrameworkError", "not [2, id, action, payload]", now
            )
        action, payload = message[2], message[3]
        if type(payload) is not dict:
            return self._malformed(message_id, "FormatViolation", "payload: not an object", now)
        self.counters["calls"] += 1
        if action not in self._actions:
            self.counters["invalid"] += 1
            return Refusal(self._error_frame(message_id, "NotImplemented", action[:50]))
        wrong = schemas.violation(self.version, action, "request", payload)
        if wrong is not None:
            self.counters["invalid"] += 1
            return Refusal(self._error_frame(message_id, wrong.code, wrong.description))
        return Incoming(message_id, action, payload, hash(frame))

    def _send(
        self, message_id: str, message: list[Any], frame: str, now: float
    ) -> Incoming | Refusal | None:
        if len(message) != 4 or type(message[2]) is not str or type(message[3]) is not dict:
            return self._unanswerable(now)
        action, payload = message[2], message[3]
        self.counters["sends"] += 1
        if action not in self._sendable or schemas.violation(
            self.version, action, "request", payload
        ):
            self.counters["invalid"] += 1
            return None
        return Incoming(message_id, action, payload, hash(frame), is_send=True)

    def _result(self, message_id: str, message: list[Any], now: float) -> Settled | Refusal | None:
        if self._outstanding is None or message_id != self._outstanding[0]:
            self.counters["unsolicited"] += 1
            return None
        if len(message) != 3 or type(message[2]) is not dict:
            wrong: ProtocolError | None = ProtocolError("FormatViolation", "not [3, id, payload]")
        else:
            wrong = schemas.violation(self.version, self._outstanding[1], "response", message[2])
        action = self._outstanding[1]
        self._outstanding = None
        if wrong is None:
            self.counters["results"] += 1
            return Settled(message_id, message[2])
        self.counters["invalid"] += 1
        reply = None
        if self.version == "ocpp2.1":
            reply = _dump([RESULT_ERROR, message_id, wrong.code, wrong.description, {}])
        outcome = RejectedByStation(action, wrong.code, f"invalid answer: {wrong.description}")
        return Settled(message_id, outcome, reply)

    def _error(self, message_id: str, message: list[Any]) -> Settled | None:
        """A CALLERROR; stations leave out its description and details, which is no reason to wait."""
        if self._outstanding is None or message_id != self._outstanding[0]:
            self.counters["unsolicited"] += 1
            return None
        action = self._outstanding[1]
        self._outstanding = None
        self.counters["errors"] += 1
        code, description = (*message[2:4], "", "")[:2]
        outcome = RejectedByStation(action, str(code) or "GenericError", str(description))
        return Settled(message_id, outcome)

    def _malformed(self, message_id: str, code: str, description: str, now: float) -> Refusal:
        refusal = self._unanswerable(now)
        return Refusal(self._error_frame(message_id, code, description), refusal.close)

    def _unanswerable(self, now: float) -> Refusal:
        """A strike without an answer: what is itself an answer, or asks for none, gets none."""
        self.counters["malformed"] += 1
        self._strikes.append(now)
        full = len(self._strikes) == self._strikes.maxlen
        return Refusal(None, full and now - self._strikes[0] <= self._strike_window_s)

    # -- answers of ours --

    def remembered(self, incoming: Incoming) -> str | None:
        """The answer already given to this very CALL, when it has come again."""
        known = self._answers.get(incoming.message_id)
        if known is None or known[0] != incoming.digest:
            return None
        self.counters["duplicate"] += 1
        return known[1]

    def answer(self, incoming: Incoming, payload: Payload) -> str:
        """The CALLRESULT frame; raises ValueError when the payload is not a valid response."""
        wrong = schemas.violation(self.version, incoming.action, "response", payload)
        if wrong is not None:
            raise ValueError(f"{incoming.action} response: {wrong}")
        frame = _dump([RESULT, incoming.message_id, payload])
        self._keep(incoming, frame)
        return frame

    def refuse(self, incoming: Incoming, error: ProtocolError) -> str:
        """The CALLERROR frame. An InternalError is not remembered: the same CALL may try again."""
        frame = self._error_frame(incoming.message_id, error.code, error.description, error.details)
        if error.code != "InternalError":
            self._keep(incoming, frame)
        return frame

    def _keep(self, incoming: Incoming, frame: str) -> None:
        self._answers[incoming.message_id] = (incoming.digest, frame)
        self._answers.move_to_end(incoming.message_id)
        if len(self._answers) > self._remember:
            self._answers.popitem(last=False)

    def _error_frame(
        self,
        message_id: str,
        code: str,
        description: str,
        details: dict[str, object] | None = None,
    ) -> str:
        if self.version == "ocpp1.6":
            code = _CODES_16.get(code, code)
        return _dump([ERROR, message_id, code, description[:255], details or {}])

    # -- calls of ours --

    def call(self, message_id: str, action: str, payload: Payload) -> str:
        """The CALL frame; it is the outstanding one until settled or :meth:`abandon`-ed.

        Raises
        ------
        ProtocolError
            The action does not exist in this version, or the payload is invalid.
        """
        if self._outstanding is not None:
            raise RuntimeError(f"{self._outstanding[1]} is still outstanding")
        self._check(message_id, action, payload, self._actions)
        self._outstanding = (message_id, action)
        return _dump([CALL, message_id, action, payload])

    def abandon(self, message_id: str) -> None:
        """Stop waiting for an answer; a late one will be ignored and counted."""
        if self._outstanding is not None and self._outstanding[0] == message_id:
            self._outstanding = None

    def send(self, message_id: str, action: str, payload: Payload) -> str:
        """The SEND frame (2.1); raises ProtocolError like :meth:`call`."""
        self._check(message_id, action, payload, self._sendable)
        return _dump([SEND, message_id, action, payload])

    def _check(self, message_id: str, action: str, payload: Payload, known: frozenset[str]) -> None:
        if not 0 < len(message_id) <= MAX_ID_LENGTH:
            raise ValueError(f"message id {message_id!r}: 1 to {MAX_ID_LENGTH} characters")
        if action not in known:
            raise ProtocolError("NotImplemented", f"{action} does not exist in {self.version}")
        wrong = schemas.violation(self.version, action, "request", payload)
        if wrong is not None:
            raise wrong


def _too_deep(node: Any) -> bool:
    level = [node] if isinstance(node, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _dump(message: list[Any]) -> str:
    return orjson.dumps(message).decode()
