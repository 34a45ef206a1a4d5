"""Which charging profiles an OCPP 2.x station refuses, and the reason it gives.

The reasons are those of OCPP 2.1 part 2, section K01 and its appendix of reason codes; a station of
2.0.1 gives the same where the rule exists there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridleaf.domain.site import Evse
from gridleaf.sim.profiles import Profile

MODE_FIELDS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "ChargingOnly": (frozenset({"limit"}), frozenset()),
    "CentralSetpoint": (
        frozenset({"setpoint"}),
        frozenset({"limit", "dischargeLimit", "setpointReactive"}),
    ),
    "Idle": (frozenset(), frozenset()),
}
"""The rates a period of an operation mode must and may have (OCPP 2.1 part 2, K01 table)."""
_RATES: Final = ("limit", "dischargeLimit", "setpoint", "setpointReactive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What the station claims in its variables.

    ``modes`` are the operation modes of the EVSE asked for (of all EVSEs for the whole station);
    empty before OCPP 2.1. ``dynamic`` is SupportsDynamicProfiles, ``negative`` the back-port
    practice of negative limits.
    """

    units: tuple[str, ...]
    stack_levels: int
    periods: int
    profiles: int
    external_ids: int
    modes: tuple[str, ...]
    dynamic: bool
    negative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where the profile is meant to go: ``evses`` by id, ``transactions`` by EVSE id."""

    evses: dict[int, Evse]
    transactions: dict[int, str]
    installed: Sequence[Profile]


Refusal = tuple[str, str]
"""A reason code and what was wrong."""


def refusal(
    raw: dict[str, Any],
    profile: Profile,
    abilities: Abilities,
    context: Context,
    *,
    starting: bool = False,
) -> Refusal | None:
    """Why a SetChargingProfile must be rejected; None when it is acceptable.

    Parameters
    ----------
    raw, profile
        The profile as it came, and as it was read.
    starting
        It came with RequestStartTransaction, so it has no transaction yet.
    """
    return (
        _wrong_place(raw, profile, abilities, context, starting)
        or _wrong_kind(raw, profile, abilities)
        or next(
            (
                found
                for schedule in raw["chargingSchedule"]
                if (found := _wrong_schedule(schedule, raw, profile, abilities, context))
            ),
            None,
        )
        or _conflict(profile, abilities, context)
    )


def _wrong_place(
    raw: dict[str, Any], profile: Profile, abilities: Abilities, context: Context, starting: bool
) -> Refusal | None:
    purpose, evse_id = raw["chargingProfilePurpose"], profile.evse_id
    if evse_id != 0 and evse_id not in context.evses:
        return "InvalidValue", f"no EVSE {evse_id}"
    if purpose not in ("TxProfile", "TxDefaultProfile", "ChargingStationMaxProfile"):
        return "UnsupportedPurpose", purpose
    if starting:
        if purpose != "TxProfile" or profile.transaction_id is not None:
            return "InvalidValue", "a transaction is started with a TxProfile of its own"
    elif purpose == "TxProfile":
        if evse_id == 0:
            return "InvalidValue", "a TxProfile is for one EVSE"
        if profile.transaction_id is None:
            return "MissingParam", "transactionId"
        if context.transactions.get(evse_id) != profile.transaction_id:
            return "TxNotFound", profile.transaction_id
    if purpose == "ChargingStationMaxProfile" and (
        evse_id != 0 or raw["chargingProfileKind"] == "Relative"
    ):
        return "InvalidValue", "a ChargingStationMaxProfile is for the station and not relative"
    if profile.id <= abilities.external_ids:
        return "InvalidProfileId", f"ids up to {abilities.external_ids} are not yours"
    return None


def _wrong_kind(raw: dict[str, Any], profile: Profile, abilities: Abilities) -> Refusal | None:
    dynamic = raw["chargingProfileKind"] == "Dynamic"
    if dynamic and not abilities.dynamic:
        return "UnsupportedKind", "Dynamic"
    if not dynamic and ("dynUpdateInterval" in raw or "dynUpdateTime" in raw):
        return "InvalidProfile", "dynUpdateInterval and dynUpdateTime are for Dynamic"
    if profile.stack_level > abilities.stack_levels:
        return "InvalidStackLevel", f"the highest is {abilities.stack_levels}"
    if profile.kind == "recurring" and math.isinf(profile.recurs_s):
        return "InvalidProfile", "recurrencyKind"
    return None


def _wrong_schedule(
    schedule: dict[str, Any],
    raw: dict[str, Any],
    profile: Profile,
    abilities: Abilities,
    context: Context,
) -> Refusal | None:
    kind, periods = raw["chargingProfileKind"], schedule["chargingSchedulePeriod"]
    if schedule["chargingRateUnit"] not in abilities.units:
        return "UnsupportedRateUnit", schedule["chargingRateUnit"]
    starts = [period["startPeriod"] for period in periods]
    if kind == "Dynamic" and (starts != [0] or len(raw["chargingSchedule"]) != 1):
        return "InvalidSchedule", "Dynamic has one schedule of one period that starts at 0"
    if starts[0] != 0 or starts != sorted(set(starts)):
        return "InvalidSchedule", "startPeriod: from 0 upwards"
    if len(periods) > abilities.periods:
        return "InvalidSchedule", f"at most {abilities.periods} periods"
    if kind in ("Absolute", "Recurring") and "startSchedule" not in schedule:
        return "InvalidSchedule", f"{kind} without startSchedule"
    if kind == "Relative" and "startSchedule" in schedule:
        return "InvalidSchedule", "Relative with startSchedule"
    for name in ("useLocalTime", "randomizedDelay", "limitAtSoC"):
        if schedule.get(name):
            return "InvalidSchedule", f"{name} is not supported"
    for period in periods:
        found = _wrong_period(period, raw, profile, abilities, context)
        if found is not None:
            return found
    return None


def _wrong_period(
    period: dict[str, Any],
    raw: dict[str, Any],
    profile: Profile,
    abilities: Abilities,
    context: Context,
) -> Refusal | None:
    evses = [context.evses[profile.evse_id]] if profile.evse_id else list(context.evses.values())
    phases = period.get("numberPhases")
    if phases is not None or "phaseToUse" in period:
        if any(evse.current == "DC" for evse in evses):
            return "NoPhaseForDC", "numberPhases"
        if "phaseToUse" in period:
            return "InvalidSchedule", "phaseToUse: phases cannot be switched"
        if phases is not None and not 1 <= phases <= min(evse.phases for evse in evses):
            return "InvalidSchedule", "numberPhases"
    if any(f"{rate}_{phase}" in period for rate in _RATES for phase in ("L2", "L3")):
        return "PhaseConflict", "rates of single phases are not supported"
    mode = period.get("operationMode", "ChargingOnly")
    if abilities.modes:
        if mode not in MODE_FIELDS or mode not in abilities.modes:
            return "InvalidOperationMode", mode
        if mode != "ChargingOnly" and raw["chargingProfilePurpose"] == "ChargingStationMaxProfile":
            return "InvalidSchedule", f"{mode} in a ChargingStationMaxProfile"
        must, may = MODE_FIELDS[mode]
        given = {rate for rate in _RATES if rate in period}
        if not must <= given <= must | may:
            return "InvalidSchedule", f"{mode} with {', '.join(sorted(given)) or 'no rate'}"
        if period.get("evseSleep") and mode != "Idle":
            return "InvalidSchedule", f"evseSleep with {mode}"
    limit, setpoint = period.get("limit"), period.get("setpoint")
    if limit is not None and limit < 0 and not abilities.negative:
        return "InvalidSchedule", "negative limit"
    if setpoint is not None:
        low, high = period.get("dischargeLimit", -math.inf), math.inf if limit is None else limit
        if not low <= setpoint <= high:
            return "InvalidSchedule", "setpoint outside dischargeLimit and limit"
    return None


def _conflict(profile: Profile, abilities: Abilities, context: Context) -> Refusal | None:
    others = [p for p in context.installed if p.id != profile.id]
    if len(others) >= abilities.profiles:
        return "InvalidProfile", f"at most {abilities.profiles} profiles"
    for other in others:
        if other.purpose != profile.purpose or other.stack_level != profile.stack_level:
            continue
        if other.purpose == "tx":
            if other.evse_id == profile.evse_id and other.transaction_id == profile.transaction_id:
                return "InvalidStackLevel", f"profile {other.id} has this stack level"
            continue
        same_place = other.evse_id == profile.evse_id or 0 in (other.evse_id, profile.evse_id)
        overlap = other.valid_from < profile.valid_to and profile.valid_from < other.valid_to
        if same_place and overlap:
            return "DuplicateProfile", f"profile {other.id} has this stack level"
    return None
