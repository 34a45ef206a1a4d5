"""An energy register of a session: what flowed, whatever the register of the station says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

_HEADROOM, _ALLOWANCE_KWH = 1.25, 0.2
"""A register may run this much ahead of the EVSE's power before the jump is disbelieved."""
_ROUNDING_KWH = 0.01
"""A register may seem to step back by this much where it is rounded differently (1.6 meterStop)."""
_LONGEST_GUESS_H = 1.0
"""Power is not taken to have stayed the same for longer than this."""


@dataclass(slots=True)
class Register:
    """One energy register of a session: what was counted since it began [kWh], never negative."""

    total_kwh: float = 0.0
    last_kwh: float | None = None
    last_at: datetime | None = None
    last_power_kw: float | None = None

    def read(
        self, value_kwh: float, at: datetime, power_max_kw: float, power_kw: float | None = None
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
        previous, previous_at, before_kw = self.last_kwh, self.last_at, self.last_power_kw
        if previous_at is not None and at < previous_at:
            return ()
        self.last_kwh, self.last_at, self.last_power_kw = value_kwh, at, power_kw
        if previous is None or previous_at is None:
            return ()
        step = value_kwh - previous
        hours = (at - previous_at).total_seconds() / 3600
        if 0 <= step <= _HEADROOM * power_max_kw * hours + _ALLOWANCE_KWH:
            self.total_kwh += step
            return ()
        if -_ROUNDING_KWH <= step < 0:
            return ()
        flag = "register_reset" if step < 0 else "register_jump"
        powers = [power for power in (before_kw, power_kw) if power is not None]
        if not powers:
            return (flag,)
        mean = min(sum(powers) / len(powers), power_max_kw)
        self.total_kwh += mean * min(hours, _LONGEST_GUESS_H)
        return flag, "estimated"
