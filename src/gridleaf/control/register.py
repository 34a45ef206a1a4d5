"""The energy of a session: what flowed, whatever the registers of the station say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

_HEADROOM, _ALLOWANCE_KWH = 1.25, 0.2
"""A register may run this much ahead of the EVSE's power before the jump is disbelieved."""
_ROUNDING_KWH = 0.01
"""A register may seem to step back by this much where it is rounded differently (1.6 meterStop)."""
_LONGEST_GUESS_H = 1.0
"""Power is not taken to have stayed the same for longer than this."""
_SHORTEST, _LONGEST = timedelta(seconds=30), timedelta(minutes=15)
_ERROR_KW = 0.5
"""A mean power is told when the steps of the register make no larger error, or after the longest."""
_STEPS_KWH = (1.0, 0.1, 0.01, 0.001)


@dataclass(slots=True)
class Reading:
    """A reading at one place of measurement, and what was counted when it was taken [kWh]."""

    kwh: float
    at: datetime
    power_kw: float | None
    total_kwh: float


@dataclass(slots=True)
class Register:
    """The energy of a session in one direction: what was counted since it began [kWh], never negative.

    ``readings`` are the newest by location: a reading is compared with the last of the same
    place, and what came from another one, or from intervals, meanwhile is not counted again.
    """

    total_kwh: float = 0.0
    readings: dict[str, Reading] = field(default_factory=dict)
    interval_at: datetime | None = None

    def read(
        self,
        value_kwh: float,
        at: datetime,
        power_max_kw: float,
        power_kw: float | None = None,
        place: str = "Outlet",
    ) -> tuple[str, ...]:
        """Take a reading; returns flags when it cannot be what the meter counted.

        A step back is a reset, a step larger than the EVSE could deliver in the time since the last
        reading is a jump (a register sent in the wrong unit). Counting goes on from there; what flowed
        meanwhile is estimated from the power at both ends.

        Parameters
        ----------
        power_max_kw, power_kw
            The most the EVSE can do in this direction, and what it does now; magnitudes [kW].
        """
        before, flags = self.readings.get(place), tuple[str, ...]()
        if before is not None:
            if at < before.at:
                return ()
            flags = self._count(before, value_kwh, at, power_max_kw, power_kw)
        self.readings[place] = Reading(value_kwh, at, power_kw, self.total_kwh)
        return flags

    def _count(
        self,
        before: Reading,
        value_kwh: float,
        at: datetime,
        power_max_kw: float,
        power_kw: float | None,
    ) -> tuple[str, ...]:
        step, counted = value_kwh - before.kwh, self.total_kwh - before.total_kwh
        hours = (at - before.at).total_seconds() / 3600
        if 0 <= step <= _HEADROOM * power_max_kw * hours + _ALLOWANCE_KWH:
            self.total_kwh += max(step - counted, 0.0)
            return ()
        if -_ROUNDING_KWH <= step < 0:
            return ()
        flag = "register_reset" if step < 0 else "register_jump"
        powers = [power for power in (before.power_kw, power_kw) if power is not None]
        if not powers:
            return (flag,)
        mean = min(sum(powers) / len(powers), power_max_kw)
        self.total_kwh += max(mean * min(hours, _LONGEST_GUESS_H) - counted, 0.0)
        return flag, "estimated"

    def add(
        self, interval_kwh: float, at: datetime, power_max_kw: float, since: datetime
    ) -> tuple[str, ...]:
        """Take the energy of an interval that ends at ``at``, of a session that began at ``since``.

        What a register has counted already is not added; more than the EVSE can do is flagged.
        """
        before = since if self.interval_at is None else max(since, self.interval_at)
        if at <= before or any(reading.at >= at for reading in self.readings.values()):
            return ()
        self.interval_at = at
        hours = (at - before).total_seconds() / 3600
        if not 0 <= interval_kwh <= _HEADROOM * power_max_kw * hours + _ALLOWANCE_KWH:
            return ("interval_implausible",)
        self.total_kwh += interval_kwh
        return ()

    def move(self, step: timedelta, earliest: datetime | None = None) -> None:
        """What was read was read later by ``step``, but not before ``earliest``."""
        for reading in self.readings.values():
            moved = reading.at + step
            reading.at = moved if earliest is None else max(moved, earliest)
        if self.interval_at is not None:
            moved = self.interval_at + step
            self.interval_at = moved if earliest is None else max(moved, earliest)


@dataclass(slots=True)
class Gauge:
    """The mean power between readings of the energy, for a meter that tells no power [kW]."""

    since: datetime | None = None
    net_kwh: float = 0.0
    step_kwh: float = 1.0
    """The finest step that the registers have shown."""

    def read(
        self, net_kwh: float, at: datetime, registers_kwh: list[float], settled_at: datetime | None
    ) -> float | None:
        """The mean power up to ``at``; None while the time is too short for the register's steps.

        Parameters
        ----------
        net_kwh, registers_kwh
            What the session has charged less what it gave; what the registers show.
        settled_at
            When the newest setpoint had taken effect: energy from before says nothing of it.
        """
        self.step_kwh = min([self.step_kwh, *map(_step_kwh, registers_kwh)])
        since = self.since
        if since is None or at < since or (settled_at is not None and since < settled_at):
            self.since, self.net_kwh = at, net_kwh
            return None
        hours = (at - since).total_seconds() / 3600
        if at - since < _LONGEST and (at - since < _SHORTEST or self.step_kwh > _ERROR_KW * hours):
            return None
        mean_kw = (net_kwh - self.net_kwh) / hours
        self.since, self.net_kwh = at, net_kwh
        return mean_kw


def _step_kwh(value_kwh: float) -> float:
    """The coarsest step that a register which shows this value can have."""
    return next((step for step in _STEPS_KWH if _is_multiple(value_kwh / step)), _STEPS_KWH[-1])


def _is_multiple(steps: float) -> bool:
    return abs(steps - round(steps)) < 1e-6
