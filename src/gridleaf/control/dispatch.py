"""Dispatch: from setpoints to commands; what makes room comes before what takes it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from gridleaf.control.ladder import rung_above
from gridleaf.control.live import LiveEvse, LiveSite
from gridleaf.control.types import Decision, EvseState, Setpoint, SiteState
from gridleaf.ocpp.commands import (
    Command,
    RemoteStop,
    SetDefaultLimit,
    SetpointStep,
    SetProfile,
    UpdateSetpoint,
)
from gridleaf.store.port import DispatchRecord

PROFILE_BASE = 1000
DEFAULT_BASE = 2000
"""Profile ids: ours start here, far above what a station reserves for external constraints."""
UNANSWERED = ("timeout", "connection lost")
"""Statuses of a command that the station did not refuse but never answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One command for one EVSE, and what to remember of it when the station accepts.

    ``trusted`` tells whether the EVSE has obeyed so far: for one that has not nobody waits, its worst
    case is reserved.
    """

    station_id: str
    evse_id: int
    command: Command
    record: DispatchRecord
    reduces: bool
    trusted: bool


def profile_id(evse_id: int) -> int:
    """The id of the charging profile of an EVSE; sending it again replaces it."""
    return PROFILE_BASE + evse_id


def orders(
    state: SiteState, decision: Decision, *, renew: bool, again: Collection[str] = ()
) -> list[Order]:
    """The commands that carry out a decision, in the order of the EVSEs.

    A profile is sent whole when it must be renewed; between renewals a dynamic profile (OCPP 2.1) is
    only moved by UpdateDynamicSchedule. An EVSE whose setpoint has not changed is left alone unless
    ``renew``, or it stands in ``again`` (by key): the same is to be said on another rung. One that can
    only be stopped is asked to stop, once a cycle.
    """
    evses = {(e.station_id, e.evse_id): e for e in state.evses}
    result = []
    for setpoint in decision.setpoints:
        evse = evses[setpoint.station_id, setpoint.evse_id]
        held = evse.setpoint_kw
        if setpoint.stop and evse.stopping:
            continue
        moved = held is None or abs(held - setpoint.power_kw) > 1e-6
        if not (moved or renew or setpoint.stop or evse.key in again):
            continue
        update = evse.dynamic and held is not None and not renew
        command: Command
        if setpoint.stop:
            command = RemoteStop(transaction_id=setpoint.transaction_id)
        elif update:
            command = UpdateSetpoint(
                profile_id=profile_id(setpoint.evse_id), power_kw=setpoint.power_kw
            )
        else:
            command = profile(evse, setpoint, decision.at)
        expires = evse.setpoint_expires_at if update else setpoint.expires_at
        current = evse.expected_kw if held is None else held
        result.append(
            Order(
                station_id=setpoint.station_id,
                evse_id=setpoint.evse_id,
                command=command,
                record=DispatchRecord(
                    station_id=setpoint.station_id,
                    evse_id=setpoint.evse_id,
                    transaction_id=setpoint.transaction_id,
                    sent_at=decision.at,
                    expires_at=expires,
                    steps=setpoint.steps,
                    accepted=False,
                    status="",
                    profile_id=profile_id(setpoint.evse_id),
                    rung=evse.rung,
                ),
                reduces=_makes_room(current, setpoint.power_kw),
                trusted=evse.obeying and not setpoint.stop,
            )
        )
    return result


def _makes_room(current_kw: float, next_kw: float) -> bool:
    """Whether a setpoint only moves towards zero: that makes room for others in its direction.

    Discharging harder takes room at the export limit just as charging harder does at the import limit.
    """
    same_way = current_kw * next_kw >= 0
    return same_way and abs(next_kw) <= abs(current_kw) + 1e-6


def profile(evse: EvseState, setpoint: Setpoint, at: datetime) -> SetProfile:
    """The charging profile of a setpoint in the dialect-free form.

    A TxDefaultProfile of the ladder stands above the default limit, which holds again when it ends.
    """
    amps = setpoint.limit_a
    if amps is not None and setpoint.power_kw < 0:
        amps = -amps
    return SetProfile(
        evse_id=setpoint.evse_id,
        transaction_id=setpoint.transaction_id,
        profile_id=profile_id(setpoint.evse_id),
        stack_level=evse.stack_level,
        start=at,
        expires_s=round((setpoint.expires_at - at).total_seconds()),
        steps=tuple(
            SetpointStep(start_s=start, power_kw=power, limit_a=amps)
            for start, power in setpoint.steps
        ),
        rate_unit=evse.rate_unit,
        phases=setpoint.phases if evse.current == "AC" else None,
        dynamic=evse.dynamic,
        v2x=evse.v2x,
        purpose=evse.purpose,
    )


def default_order(evse: LiveEvse, share_kw: float, unit: str, voltage_v: float) -> SetDefaultLimit:
    """The low limit an EVSE falls back to by itself when nothing else holds."""
    config = evse.config
    amps = None
    if config.current == "AC":
        amps = float(int(share_kw * 1000 / voltage_v / config.phases + 1e-6))
    return SetDefaultLimit(
        evse_id=config.id,
        profile_id=DEFAULT_BASE + config.id,
        stack_level=0,
        limit_kw=share_kw,
        limit_a=amps,
        rate_unit="A" if unit == "A" else "W",
        phases=config.phases if config.current == "AC" else None,
    )


def stopped(live: LiveSite, order: Order, at: datetime) -> None:
    """Note that an EVSE was asked to end its transaction, which is all that a stop changes here."""
    evse = live.evse(order.station_id, order.evse_id)
    if evse is not None:
        evse.stopped_at = at


def remember(live: LiveSite, record: DispatchRecord, at: datetime) -> None:
    """Fold the station's answer to a setpoint, which came at ``at``, into the live view."""
    evse = live.evse(record.station_id, record.evse_id)
    session = evse.session if evse is not None else None
    if evse is None or session is None or session.transaction_id != record.transaction_id:
        return
    zero = record.steps[0][1] == 0
    unanswered = not record.accepted and record.status in UNANSWERED
    refused_zero = zero and not record.accepted and not unanswered
    if refused_zero and (evse.takes_more or not evse.refuses_zero):
        evse.unpausable = evse.takes_more
        evse.refuses_zero = True  # no matter of words, until it refuses more too; what held, holds
        return
    if record.accepted:
        evse.unpausable = False
        evse.takes_more = evse.refuses_zero and not zero
        evse.refuses_zero = evse.refuses_zero and not zero
    elif not unanswered and not zero:
        evse.refuses_zero = evse.refuses_zero and evse.takes_more
    evse.refused = not record.accepted
    if not record.accepted:
        if not unanswered:
            read = live.capabilities(evse)
            evse.rung = rung_above(evse.station, evse.config, read, evse.rung)
        return
    before = evse.setpoint_kw(record.sent_at)
    evse.accepted = record
    if before is None or abs(before - record.steps[0][1]) > 1e-6:
        evse.changed_at = at
    if before is not None and before > 0 and record.steps[0][1] == 0:
        evse.paused_at = at
