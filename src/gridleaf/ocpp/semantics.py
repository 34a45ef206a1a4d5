"""What a schema cannot check: times, numbers that must fit, registers that cannot run backwards.

Each rule is *soft* (accepted, flagged) or *hard* (:data:`HARD`: accepted and kept, but logged and
not to be counted on); only what cannot be kept at all is refused with a CALLERROR. Whatever a clock
at a station says, ``received_at`` is ours and drives control.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gridleaf.domain.errors import ProtocolError
from gridleaf.domain.meter import MeterSample

TOLERANCE: Final = timedelta(minutes=5)
"""A station's clock may be this far ahead before it is doubted."""
CLOCK_SET_AFTER: Final = datetime(2010, 1, 1, tzinfo=UTC)
"""Before any OCPP 1.6: the station's clock was never set (1970 after a power cut, mostly)."""
YEARS: Final = range(1970, 2101)
"""Years that a clock which lies may still name; .NET's empty date is of year 1."""
MAX_POWER_KW: Final = 4000.0
"""No charger delivers more (MCS: 3.75 MW); a register that ran faster has another unit."""

_SECOND: Final = timedelta(seconds=1)

HARD: Final = frozenset(
    {
        "already_ended",
        "connector_unknown",
        "meter_negative",
        "register_jump",
        "register_reset",
        "stop_before_start",
        "transaction_unknown",
    }
)
"""The flags of hard rules; every other flag is soft."""


def read_time(text: str, now: datetime) -> tuple[datetime, tuple[str, ...]]:
    """A station's timestamp as aware UTC, with flags; nothing is refused for a bad time.

    ``time_unreadable``: no date and time, or one outside :data:`YEARS` that arithmetic would trip
    over; it is now. ``naive_time``: no zone, taken as UTC. ``clock_ahead``: more than
    :data:`TOLERANCE` in the future. ``clock_unset``: before :data:`CLOCK_SET_AFTER`.
    """
    try:
        time = datetime.fromisoformat(text.upper())
        flags = () if time.tzinfo is not None else ("naive_time",)
        time = (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return now, ("time_unreadable",)
    if time.year not in YEARS:
        return now, ("time_unreadable",)
    if time < CLOCK_SET_AFTER:
        flags = (*flags, "clock_unset")
    elif time > now + TOLERANCE:
        flags = (*flags, "clock_ahead")
    return time, flags


def whole(value: float, path: str) -> int:
    """An integer that fits 64 bits; JSON schema lets 1e300 pass as one.

    Raises
    ------
    ProtocolError
        ``PropertyConstraintViolation``.
    """
    if not -(2**63) <= value < 2**63:
        raise ProtocolError("PropertyConstraintViolation", f"{path}: out of range")
    return int(value)


def connector(value: float, path: str, *, station: bool) -> tuple[int | None, tuple[str, ...]]:
    """An EVSE number; what cannot be one is None (unattributed), flagged ``connector_unknown``.

    Parameters
    ----------
    station
        Whether 0, the station itself, is meaningful here.
    """
    number = whole(value, path)
    if number > 0 or (station and number == 0):
        return number, ()
    return None, ("connector_unknown",)


@dataclass(frozen=True, slots=True)
class Start:
    """What is remembered of a 1.6 transaction's start, as long as the connection lasts."""

    at: datetime
    id_token: str


def stop_flags(start: Start | None, at: datetime, id_token: str | None) -> tuple[str, ...]:
    """What a 1.6 StopTransaction contradicts in its start.

    ``stop_before_start``, and ``other_token``: stopped by another token, perhaps of the same group.
    """
    if start is None:
        return ()
    early = ("stop_before_start",) if at < start.at else ()
    other = ("other_token",) if id_token is not None and id_token != start.id_token else ()
    return early + other


def sample_flags(
    samples: Iterable[MeterSample], start: Start | None, stop_at: datetime | None = None
) -> tuple[str, ...]:
    """Samples outside their 1.6 transaction, a second being granted.

    ``sample_before_start`` and ``sample_after_stop``; both soft.
    """
    times = [sample.measured_at for sample in samples]
    early = start is not None and any(at < start.at - _SECOND for at in times)
    late = stop_at is not None and any(at > stop_at + _SECOND for at in times)
    return ("sample_before_start",) * early + ("sample_after_stop",) * late


def register_flags(
    before_kwh: float, before_at: datetime, kwh: float, at: datetime
) -> tuple[str, ...]:
    """Whether a register ran backwards (``register_reset``) or too fast (``register_jump``).

    Too fast is more than :data:`MAX_POWER_KW` since the reading before, one minute at least being
    granted for coarse clocks: that is a register sent in another unit, or another meter.
    """
    if kwh < before_kwh:
        return ("register_reset",)
    elapsed_h = max((at - before_at).total_seconds(), 60.0) / 3600
    return ("register_jump",) if kwh - before_kwh > MAX_POWER_KW * elapsed_h else ()


class Registers:
    """The last energy registers of the transactions of one connection, to compare with the next."""

    _KEPT = 256

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str, str, str | None], tuple[float, datetime]] = (
            OrderedDict()
        )

    def check(self, transaction_id: str, samples: Iterable[MeterSample]) -> tuple[str, ...]:
        """Flags of :func:`register_flags`, and ``meter_negative``.

        Samples out of order are not compared, nor those of different places or phases.
        """
        flags: list[str] = []
        for sample in samples:
            if not sample.measurand.endswith(".Register") or sample.unit != "kWh":
                continue
            if sample.value < 0:
                flags.append("meter_negative")
            key = (transaction_id, sample.measurand, sample.location, sample.phase)
            value, at = self._last.get(key, (sample.value, sample.measured_at))
            if sample.measured_at >= at:
                flags += register_flags(value, at, sample.value, sample.measured_at)
                self._last[key] = (sample.value, sample.measured_at)
                self._last.move_to_end(key)
        while len(self._last) > self._KEPT:
            self._last.popitem(last=False)
        return tuple(dict.fromkeys(flags))


def unique(*groups: Iterable[str]) -> tuple[str, ...]:
    """Flags in the order they were raised, each once."""
    return tuple(dict.fromkeys(flag for group in groups for flag in group))


def wire_time(time: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, at most 24 characters."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
