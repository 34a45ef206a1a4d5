"""Charging profiles of OCPP 2.x between the wire and the station's store."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from gridleaf.ocpp.csms import Payload
from gridleaf.sim.dialect import read_stamp
from gridleaf.sim.evse import SimEvse
from gridleaf.sim.profiles import Allowance, Period, Profile, Purpose

PURPOSES: Final[dict[str, Purpose]] = {
    "ChargingStationMaxProfile": "station_max",
    "ChargingStationExternalConstraints": "external",
    "TxDefaultProfile": "tx_default",
    "TxProfile": "tx",
}
_RECURS_S: Final = {"Daily": 86_400.0, "Weekly": 604_800.0}


def parse(raw: dict[str, Any], evse_id: int, now: float) -> Profile:
    """A schema-valid profile as the station keeps it; of several schedules the first counts.

    Parameters
    ----------
    now
        Seconds since 1970 of the station's clock: a dynamic profile runs from here.
    """
    schedule = raw["chargingSchedule"][0]
    return Profile(
        id=raw["id"],
        evse_id=evse_id,
        purpose=PURPOSES.get(raw["chargingProfilePurpose"], "external"),
        stack_level=raw["stackLevel"],
        kind=raw["chargingProfileKind"].lower(),
        unit=schedule["chargingRateUnit"],
        periods=tuple(
            Period(
                start_s=period["startPeriod"],
                limit=period.get("limit"),
                setpoint=period.get("setpoint"),
                discharge_limit=period.get("dischargeLimit"),
                phases=period.get("numberPhases"),
                mode=period.get("operationMode", "ChargingOnly"),
            )
            for period in schedule["chargingSchedulePeriod"]
        ),
        start=read_stamp(schedule["startSchedule"]) if "startSchedule" in schedule else None,
        duration_s=schedule.get("duration", math.inf),
        recurs_s=_RECURS_S.get(raw.get("recurrencyKind", ""), math.inf),
        valid_from=read_stamp(raw["validFrom"]) if "validFrom" in raw else -math.inf,
        valid_to=read_stamp(raw["validTo"]) if "validTo" in raw else math.inf,
        transaction_id=raw.get("transactionId"),
        max_offline_s=raw.get("maxOfflineDuration", math.inf),
        dies_offline=raw.get("invalidAfterOfflineDuration", False),
        pull_every_s=raw.get("dynUpdateInterval") or None,
        updated_at=now,
        raw=raw,
    )


def total(
    held: Sequence[Allowance],
    evses: Sequence[SimEvse],
    unit: str,
    power_kw: Callable[[Allowance], float],
) -> float:
    """The sum of a power over EVSEs in W, or in A per phase."""
    if unit == "W":
        return round(sum(power_kw(step) for step in held) * 1000, 1)
    amps = [
        power_kw(step) * 1000 / (evse.voltage_v * step.phases)
        for step, evse in zip(held, evses, strict=True)
    ]
    return round(sum(amps), 1)


def rejected(reason: str, info: str) -> Payload:
    """A refusing response with its reason."""
    status: Payload = {"reasonCode": reason}
    if info:
        status["additionalInfo"] = info[:512]
    return {"status": "Rejected", "statusInfo": status}
