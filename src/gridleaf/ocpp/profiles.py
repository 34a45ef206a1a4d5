"""Powers on the wire: the one place where signs and units of charging profiles are turned.

================================  ==========================  ===========================
where                             charge                      discharge
================================  ==========================  ===========================
inside gridleaf                   positive                    negative
2.1 ``setpoint``                  positive                    negative
2.1 ``dischargeLimit``            never sent                  never sent
``limit``, every version          positive                    negative only where the site
                                                              file says ``negative_limit``
2.1 ``v2xChargingParameters``     positive magnitude          positive magnitude
================================  ==========================  ===========================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import structlog

from gridleaf.ocpp.commands import SetpointStep
from gridleaf.ocpp.csms import Payload
from gridleaf.ocpp.semantics import read_time

RateUnit = Literal["A", "W"]

_PHASES: Final = 3
"""Phases a limit in amperes counts on when it does not say (OCPP 2.0.1, numberPhases)."""

_log = structlog.get_logger()


def to_wire(
    power_kw: float,
    unit: RateUnit,
    voltage_v: float,
    *,
    negative: bool,
    phases: int | None = None,
    limit_a: float | None = None,
) -> float:
    """A signed power as the number of a ``limit`` or ``setpoint`` [W, or A per phase].

    Its magnitude is never rounded up: one decimal is kept (the resolution of 1.6), so that no
    limit is exceeded by rounding.

    Parameters
    ----------
    negative
        Whether this field of this station may be negative. Where it may not, a discharge becomes 0:
        the vehicle rests, which is safe, and measurement will show that it does not discharge.
    limit_a
        The magnitude in amperes when it has been worked out already [A].
    """
    if power_kw < 0 and not negative:
        _log.warning("discharge_not_expressible", power_kw=power_kw)
        return 0.0
    if unit == "W":
        rate = abs(power_kw) * 1000
    elif limit_a is not None:
        rate = abs(limit_a) if power_kw else 0.0
    else:
        rate = abs(power_kw) * 1000 / (voltage_v * (phases or _PHASES))
    rate = math.floor(rate * 10 + 1e-6) / 10
    return -rate if power_kw < 0 and rate else rate


def from_wire(rate: float, unit: RateUnit, voltage_v: float, phases: int | None = None) -> float:
    """Inverse of :func:`to_wire`: a ``limit`` or ``setpoint`` as signed power [kW]."""
    if unit == "W":
        return rate / 1000
    return rate * voltage_v * (phases or _PHASES) / 1000


def discharge_magnitude(value: float) -> float:
    """A discharge power or current of a vehicle as a magnitude.

    OCPP 2.1 wants it positive; vehicles and stations send the negative of it too (EVerest #1473).
    """
    return abs(value)


def period_kw(
    period: Mapping[str, Any], name: str, unit: RateUnit, voltage_v: float
) -> float | None:
    """A ``limit`` or ``setpoint`` of a period as signed power over all phases [kW], None if absent.

    With ``_L2`` and ``_L3`` beside it the plain name is that of phase L1 (OCPP 2.1).
    """
    parts = [period[key] for key in (name, f"{name}_L2", f"{name}_L3") if key in period]
    if not parts:
        return None
    phases = 1 if len(parts) > 1 else period.get("numberPhases")
    return from_wire(sum(parts), unit, voltage_v, phases)


def read_steps(
    periods: Iterable[Mapping[str, Any]], unit: RateUnit, voltage_v: float
) -> tuple[SetpointStep, ...]:
    """The periods of a composite schedule as setpoint steps, by setpoint or else by limit."""
    steps = []
    for period in periods:
        name = "setpoint" if "setpoint" in period else "limit"
        power_kw = period_kw(period, name, unit, voltage_v)
        if power_kw is not None:
            limit_a = period[name] if unit == "A" else None
            start_s = int(period["startPeriod"])
            steps.append(SetpointStep(start_s=start_s, power_kw=power_kw, limit_a=limit_a))
    return tuple(steps)


def lowest_limit_kw(schedules: Sequence[Payload], now: datetime, voltage_v: float) -> float | None:
    """The lowest limit that schedules impose now or later [kW]; None when they name none.

    Taking a later, lower limit at once is the side to err on: nobody tells us when it begins.
    """
    limits = []
    for schedule in schedules:
        periods = schedule["chargingSchedulePeriod"]
        elapsed_s = 0.0
        if "startSchedule" in schedule:
            start, _ = read_time(schedule["startSchedule"], now)
            elapsed_s = (now - start).total_seconds()
        for period, following in zip(periods, [*periods[1:], None], strict=True):
            over = following is not None and following["startPeriod"] <= elapsed_s
            limit = period_kw(period, "limit", schedule["chargingRateUnit"], voltage_v)
            if limit is not None and not over:
                limits.append(limit)
    return max(min(limits), 0.0) if limits else None
