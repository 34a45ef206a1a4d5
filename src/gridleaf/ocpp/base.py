"""What the dialects of all versions share: the plumbing around their handlers and encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar

import structlog

from gridleaf.domain.errors import (
    CallTimeout,
    ProtocolError,
    RejectedByStation,
    StoreUnavailable,
)
from gridleaf.domain.events import Booted, CapabilitiesRead, Noted, SecurityReported
from gridleaf.ocpp.commands import (
    Answer,
    Command,
    GetComposite,
    GetValues,
    SetProfile,
    SetValues,
)
from gridleaf.ocpp.csms import Caller, Handler, Host, Payload
from gridleaf.ocpp.semantics import HARD, Registers, read_time, wire_time
from gridleaf.ocpp.units import DEFAULT_MEASURAND, Readings, read_meter_values

E = TypeVar("E")

_log = structlog.get_logger()

ACCEPTING: Final = frozenset({"Accepted", "Scheduled", "Unlocked", "RebootRequired"})
"""Statuses that mean: done, or will be done."""
SAMPLED: Final = (DEFAULT_MEASURAND, "Power.Active.Import")
SAMPLED_BOTH_WAYS: Final = ("Power.Active.Export", "Energy.Active.Export.Register", "SoC")
"""What control needs of a station's meter, and what more where it may discharge."""
SAMPLE_EVERY_S: Final = 60
"""A meter is to be read at least this often during a transaction [s]."""
PURPOSES: Final = {"tx": "TxProfile", "tx_default": "TxDefaultProfile"}


class BaseDialect:
    """One version as the central system speaks it.

    A handler is one short method that turns the payload into an event, hands it to the host and
    returns the response. A command that is one call is one entry of :meth:`encode`.
    """

    version: ClassVar[str]

    def __init__(self, host: Host) -> None:
        self.host = host
        self.registers = Registers()

    def handlers(self) -> Mapping[str, Handler]:
        """Inbound: action -> handler."""
        raise NotImplementedError

    def encode(self, command: Command) -> tuple[str, Payload]:
        """Action and payload of a command that is one call; ProtocolError when there is none."""
        raise NotImplementedError

    async def execute(self, command: Command, call: Caller) -> Answer:
        """Outbound: carry out a command; see :meth:`gridleaf.ocpp.csms.Dialect.execute`."""
        match command:
            case GetComposite():
                return await self.get_composite(command, call)
            case GetValues():
                return await self.get_values(command, call)
            case SetValues():
                return await self.set_values(command, call)
            case _:
                action, payload = self.encode(command)
                return answer_of(await call(action, payload))

    async def get_composite(self, command: GetComposite, call: Caller) -> Answer:
        raise NotImplementedError

    async def get_values(self, command: GetValues, call: Caller) -> Answer:
        raise NotImplementedError

    async def set_values(self, command: SetValues, call: Caller) -> Answer:
        raise NotImplementedError

    # -- for the probe --

    async def probe_values(self, names: tuple[str, ...], call: Caller) -> dict[str, str]:
        """What the station knows of some variables; nothing when it will not say."""
        try:
            return (await self.get_values(GetValues(names=names), call)).values
        except (RejectedByStation, CallTimeout, ProtocolError) as error:
            _log.info("ocpp_probe_failed", station=self.host.station_id, error=str(error))
            return {}

    async def learnt(self, **fields: Any) -> None:
        """Hand over what was read; a store that is down costs us only a later reading."""
        try:
            await self.host.accept(self.event(CapabilitiesRead, **fields))
        except StoreUnavailable as error:
            _log.warning("ocpp_probe_lost", station=self.host.station_id, error=str(error))

    async def sample_enough(
        self, values: Mapping[str, str], measurands: str, interval: str, call: Caller
    ) -> None:
        """Have the station sample what control needs, where its variables show that it does not.

        Best effort: only added to what it samples already; one that refuses is read as it is.
        """
        if measurands in values:
            sampled = words(values[measurands])
            both = self.host.discharge_via != "none"
            for wanted in ((*SAMPLED, *SAMPLED_BOTH_WAYS), SAMPLED) if both else (SAMPLED,):
                missing = [name for name in wanted if name not in sampled]
                value = ",".join((*sampled, *missing))
                if not missing or await self._changed(measurands, value, call):
                    break
        seconds = number(values.get(interval))
        if seconds is not None and not 0 < seconds <= SAMPLE_EVERY_S:
            await self._changed(interval, str(SAMPLE_EVERY_S), call)

    async def _changed(self, name: str, value: str, call: Caller) -> bool:
        try:
            answer = await self.set_values(SetValues(values={name: value}), call)
        except (RejectedByStation, CallTimeout, ProtocolError) as error:
            _log.info("ocpp_sampling_kept", station=self.host.station_id, error=str(error))
            return False
        return answer.accepted

    # -- handlers and what they are made of --

    async def heartbeat(self, payload: Payload) -> Payload:
        """Heartbeat is the same message in every version."""
        return {"currentTime": wire_time(self.host.now())}

    async def booted(self, **station: str) -> Payload:
        """Report a boot and accept it; ``station`` are the fields of a ``Booted``."""
        await self.host.accept(self.event(Booted, **station))
        return {
            "status": "Accepted",
            "currentTime": wire_time(self.host.now()),
            "interval": self.host.heartbeat_interval_s,
        }

    async def security_event(self, payload: Payload) -> Payload:
        """SecurityEventNotification is the same message in every version."""
        await self.alarm(payload["type"], payload.get("techInfo", ""))
        return {}

    def noted(self, action: str, answer: Payload | None = None) -> Handler:
        """A handler that keeps the message as it came and always gives the same answer."""

        async def handle(payload: Payload) -> Payload:
            await self.note(action, payload)
            return dict(answer or {})

        return handle

    async def note(self, action: str, payload: Payload) -> None:
        await self.host.accept(self.event(Noted, action=action, payload=payload))

    async def alarm(self, what: str, detail: str = "") -> None:
        """Something an operator should look at."""
        await self.host.accept(self.event(SecurityReported, what=what, detail=detail))

    def doubt(self, action: str, flags: tuple[str, ...]) -> None:
        """Say what was doubtful: hard rules as a warning."""
        if flags:
            say = _log.warning if HARD.intersection(flags) else _log.info
            say("ocpp_doubtful", station=self.host.station_id, action=action, flags=flags)

    def event(self, kind: Callable[..., E], **fields: Any) -> E:
        return kind(station_id=self.host.station_id, received_at=self.host.now(), **fields)

    def time(self, payload: Payload, path: str = "timestamp") -> tuple[datetime, tuple[str, ...]]:
        """The message's own time, ours where it has none; see ``semantics.read_time``."""
        if path not in payload:
            return self.host.now(), ()
        return read_time(payload[path], self.host.now())

    def readings(self, payload: Payload, key: str = "meterValue") -> Readings:
        now = self.host.now()
        return read_meter_values(payload.get(key, ()), lambda text: read_time(text, now))


def answer_of(response: Payload) -> Answer:
    """An answer from its ``status``; a reason code stands behind it in parentheses."""
    status = response["status"]
    reason = response.get("statusInfo", {}).get("reasonCode")
    return Answer(accepted=status in ACCEPTING, status=f"{status} ({reason})" if reason else status)


def unsupported(command: Command, version: str) -> ProtocolError:
    return ProtocolError("NotSupported", f"{type(command).__name__} does not exist in {version}")


def answer_of_many(statuses: Mapping[str, str]) -> Answer:
    """One answer from the statuses of several values: accepted when all are."""
    refused = [status for status in statuses.values() if status not in ACCEPTING]
    return Answer(
        accepted=not refused, status=refused[0] if refused else "Accepted", values=dict(statuses)
    )


def present(**fields: Any) -> Payload:
    """A payload of the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def expiry(command: SetProfile) -> datetime:
    """When a profile ends by itself."""
    return command.start + timedelta(seconds=command.expires_s)


def yesterday(now: datetime) -> datetime:
    """A start that has passed by any clock, and does not change with every sending."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def words(value: str) -> tuple[str, ...]:
    """A list in a variable, its members separated by commas."""
    return tuple(word.strip() for word in value.split(",") if word.strip())


def number(text: str | None) -> int | None:
    """A whole number of a variable; None when it is none."""
    try:
        return None if text is None else int(float(text))
    except (ValueError, OverflowError):
        return None
