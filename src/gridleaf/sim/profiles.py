"""Charging profiles as a station keeps them, and the limit that follows from them.

Free of OCPP versions. The rules are those of OCPP 1.6 section 3.13 and OCPP 2.x part 2 section K
(K01 composite schedule, K28 dynamic profiles):

* of the profiles with one purpose the valid one with the highest stack level leads; at equal level
  that of the EVSE itself before that of the whole station;
* a TxProfile replaces the TxDefaultProfile while it is valid; when it ends, the default holds again;
* station maximum and external constraints only ever lower what is left;
* a limit for the whole station is shared equally by the EVSEs that have a transaction;
* what no profile says, the hardware decides.

Times are seconds since 1970 (UTC) of the station's clock.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gridleaf.domain.site import Evse

Purpose = Literal["station_max", "external", "tx_default", "tx"]
Kind = Literal["absolute", "recurring", "relative", "dynamic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From ``start_s`` after the schedule's start; rates in the unit of the schedule, + charges.

    ``limit`` < 0 is the back-port practice of discharging in OCPP 1.6 and 2.0.1.
    """

    start_s: float = 0.0
    limit: float | None = None
    setpoint: float | None = None
    discharge_limit: float | None = None
    phases: int | None = None
    mode: str = "ChargingOnly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One installed profile; ``evse_id`` 0 is the whole station.

    ``updated_at`` is when it was installed or, for a dynamic one, last updated: its ``duration_s``
    counts from there. ``raw`` is the profile as it came, to be reported as such.
    """

    id: int
    evse_id: int
    purpose: Purpose
    stack_level: int
    kind: Kind
    unit: Literal["A", "W"]
    periods: tuple[Period, ...]
    start: float | None = None
    duration_s: float = math.inf
    recurs_s: float = math.inf
    valid_from: float = -math.inf
    valid_to: float = math.inf
    transaction_id: str | None = None
    max_offline_s: float = math.inf
    dies_offline: bool = False
    pull_every_s: float | None = None
    updated_at: float = 0.0
    raw: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a composite limit depends on besides the profiles and the time.

    ``began`` is the start of the transaction, ``offline_since`` when the central system was lost
    (None: connected), ``sharing`` how many EVSEs share what holds for the station, ``may_discharge``
    whether the transaction is permitted to.
    """

    evse: Evse
    voltage_v: float
    transaction_id: str | None = None
    began: float | None = None
    offline_since: float | None = None
    sharing: int = 1
    may_discharge: bool = False


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an EVSE may do until ``until``: charge and discharge limits are magnitudes [kW].

    ``setpoint_kw`` is what it shall follow within them; None leaves it to the vehicle.
    """

    charge_kw: float
    discharge_kw: float
    setpoint_kw: float | None
    phases: int
    mode: str
    until: float

    @property
    def target_kw(self) -> float:
        """The setpoint within the limits, or the limit itself [kW]."""
        if self.setpoint_kw is None:
            return self.charge_kw
        return min(max(self.setpoint_kw, -self.discharge_kw), self.charge_kw)


def active_period(
    profile: Profile, at: float, began: float | None, offline_since: float | None
) -> tuple[Period | None, float]:
    """The period of a profile that holds at ``at``, and until when this answer stands."""
    end = profile.valid_to
    if offline_since is not None:
        end = min(end, offline_since + profile.max_offline_s)
    if at >= end:
        return None, math.inf
    if at < profile.valid_from:
        return None, min(profile.valid_from, end)
    if profile.kind == "dynamic":
        origin: float | None = profile.updated_at
    elif profile.kind == "relative" or profile.start is None:
        origin = began
    else:
        origin = profile.start
    if origin is None:
        return None, end
    if at < origin:
        return None, min(origin, end)
    following = math.inf
    if profile.kind == "recurring":
        turns = math.floor((at - origin) / profile.recurs_s)
        if origin + (turns + 1) * profile.recurs_s <= at:
            turns += 1  # the division rounded down across the boundary
        following = origin + (turns + 1) * profile.recurs_s
        origin += turns * profile.recurs_s
    over = origin + profile.duration_s
    if at >= over:
        return None, min(following, end)
    starts = [origin + period.start_s for period in profile.periods]
    index = bisect_right(starts, at) - 1
    after = starts[index + 1] if index + 1 < len(starts) else math.inf
    return (profile.periods[index] if index >= 0 else None), min(after, over, following, end)


def _leading(
    profiles: Iterable[Profile], purpose: Purpose, situation: Situation, at: float
) -> tuple[Profile | None, Period | None, float]:
    """The leading profile of a purpose with its period, and until when that stands."""
    evse_id, until = situation.evse.id, math.inf
    candidates = [
        p
        for p in profiles
        if p.purpose == purpose
        and p.evse_id in (0, evse_id)
        and (purpose != "tx" or p.transaction_id in (None, situation.transaction_id))
    ]
    candidates.sort(key=lambda p: (p.stack_level, p.evse_id != 0), reverse=True)
    for profile in candidates:
        period, stands = active_period(profile, at, situation.began, situation.offline_since)
        until = min(until, stands)
        if period is not None:
            return profile, period, until
    return None, None, until


def allowance(profiles: Sequence[Profile], situation: Situation, at: float) -> Allowance:
    """What the profiles allow an EVSE at ``at``."""
    evse, volts = situation.evse, situation.voltage_v
    phases: int = evse.phases if evse.current == "AC" else 1
    until = math.inf
    found: list[tuple[Profile, Period]] = []
    ruling: tuple[Profile, Period] | None = None
    if profiles:
        purposes: list[Purpose] = ["station_max", "external"]
        purposes += ["tx"] if situation.transaction_id is not None else []
        for purpose in (*purposes, "tx_default"):
            if purpose == "tx_default" and ruling is not None:
                break
            profile, period, stands = _leading(profiles, purpose, situation, at)
            until = min(until, stands)
            if profile is not None and period is not None:
                found.append((profile, period))
                if purpose in ("tx", "tx_default"):
                    ruling = profile, period
    if evse.current == "AC":
        for _, period in found:
            phases = min(phases, period.phases or phases)
    scale_a = volts * phases / 1000

    def kw(profile: Profile, rate: float) -> float:
        whole = rate * scale_a if profile.unit == "A" else rate / 1000
        shared = profile.evse_id == 0 and profile.purpose in ("station_max", "external")
        return whole / situation.sharing if shared else whole

    charge = evse.charge_max_kw
    discharge = evse.discharge_max_kw if situation.may_discharge else 0.0
    for profile, period in found:
        if period.limit is not None:
            charge = min(charge, max(kw(profile, period.limit), 0.0))
    setpoint, mode = None, "ChargingOnly"
    if ruling is not None:
        profile, period = ruling
        mode = period.mode
        if mode == "Idle":
            setpoint = 0.0
        elif period.setpoint is not None:
            setpoint = kw(profile, period.setpoint)
        elif period.limit is not None and period.limit < 0:
            setpoint = kw(profile, period.limit)
        if period.discharge_limit is not None:
            discharge = min(discharge, -kw(profile, period.discharge_limit))
    return Allowance(charge, discharge, setpoint, phases, mode, until)


def composite(
    profiles: Sequence[Profile], situation: Situation, start: float, duration_s: float
) -> list[tuple[float, Allowance]]:
    """The allowances of ``[start, start + duration_s)`` as (seconds from start, allowance)."""
    result: list[tuple[float, Allowance]] = []
    at = start
    while at < start + duration_s:
        now = allowance(profiles, situation, at)
        if not result or replace(result[-1][1], until=0.0) != replace(now, until=0.0):
            result.append((at - start, now))
        at = now.until
    return result


class ProfileStore:
    """The profiles a station holds, in the order they were installed."""

    def __init__(self) -> None:
        self._profiles: list[Profile] = []

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles)

    def __len__(self) -> int:
        return len(self._profiles)

    @property
    def all(self) -> Sequence[Profile]:
        return self._profiles

    def find(self, profile_id: int) -> Profile | None:
        return next((p for p in self._profiles if p.id == profile_id), None)

    def install(self, profile: Profile) -> None:
        """Add a profile; it replaces one of the same id."""
        self._profiles = [*(p for p in self._profiles if p.id != profile.id), profile]

    def clear(
        self,
        *,
        profile_id: int | None = None,
        evse_id: int | None = None,
        purpose: Purpose | None = None,
        stack_level: int | None = None,
    ) -> bool:
        """Remove what matches every given criterion; whether there was anything."""
        matching = {
            p.id for p in self.matching(profile_id, evse_id, purpose, stack_level=stack_level)
        }
        self._profiles = [p for p in self._profiles if p.id not in matching]
        return bool(matching)

    def matching(
        self,
        profile_id: int | None = None,
        evse_id: int | None = None,
        purpose: Purpose | None = None,
        *,
        stack_level: int | None = None,
    ) -> list[Profile]:
        """The profiles that match every given criterion."""
        return [
            p
            for p in self._profiles
            if profile_id in (None, p.id)
            and evse_id in (None, p.evse_id)
            and purpose in (None, p.purpose)
            and stack_level in (None, p.stack_level)
        ]

    def end_transaction(self, transaction_id: str, evse_id: int) -> None:
        """Remove the profiles of a transaction that has ended."""
        self._profiles = [
            p
            for p in self._profiles
            if p.purpose != "tx"
            or p.evse_id != evse_id
            or p.transaction_id not in (None, transaction_id)
        ]

    def update(self, profile_id: int, at: float, **rates: float) -> bool:
        """Move the rates of a dynamic profile; False where there is none of that id (K28.FR.06).

        Raises
        ------
        ValueError
            The new setpoint lies outside the limits of the profile.
        """
        old = self.find(profile_id)
        if old is None or old.kind != "dynamic":
            return False
        period = replace(old.periods[0], **rates)  # type: ignore[arg-type]
        if not within_limits(period):
            raise ValueError(f"profile {profile_id}: setpoint outside its limits")
        new = replace(old, periods=(period,), updated_at=at)
        self._profiles = [new if p is old else p for p in self._profiles]
        return True

    def reconnected(self, offline_since: float, at: float) -> None:
        """Remove what became invalid for good while the station was offline."""
        self._profiles = [
            p
            for p in self._profiles
            if not (p.dies_offline and at >= offline_since + p.max_offline_s)
        ]


def within_limits(period: Period) -> bool:
    """Whether the setpoint of a period lies between its limits (V2X.05)."""
    if period.setpoint is None:
        return True
    low = -math.inf if period.discharge_limit is None else period.discharge_limit
    high = math.inf if period.limit is None else period.limit
    return low <= period.setpoint <= high
