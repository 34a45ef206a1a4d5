"""What the central system does with a foreign station: the same scene for every one of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from gateway_fakes import Port
from gridleaf.domain.events import Booted, CapabilitiesRead, TransactionReported
from gridleaf.ocpp.commands import RemoteStop, SetpointStep, SetProfile, UpdateSetpoint

E = TypeVar("E")
NAME, TOKEN = "CP1", "DRIVER-7"
PROFILE_ID = 4711


def metered_kw(port: Port) -> float | None:
    """Power in the newest transaction event, + charging [kW]."""
    for event in reversed(port.intake.of(TransactionReported)):
        power = {s.measurand: s.value for s in event.samples if s.unit == "kW"}
        if power:
            return power["Power.Active.Import"] - power.get("Power.Active.Export", 0.0)
    return None


async def first(port: Port, kind: type[E]) -> E:
    await port.until(lambda: bool(port.intake.of(kind)))
    return port.intake.of(kind)[0]


async def play(port: Port, version: str) -> TransactionReported:
    """A station charges, obeys a profile (2.1: also a discharging one) and stops; returns the end."""
    booted = await first(port, Booted)
    assert booted.station_id == NAME
    started = await first(port, TransactionReported)
    assert (started.phase, started.evse_id, started.id_token) == ("started", 1, TOKEN)
    await port.until(lambda: metered_kw(port) == 11.0)
    capabilities = await first(port, CapabilitiesRead)
    assert capabilities.max_stack_level == 3
    assert set(capabilities.rate_units) == {"A", "W"}

    async def lead(power_kw: float, *, v2x: bool) -> None:
        answer = await port.gateway.execute(
            NAME,
            SetProfile(
                evse_id=1,
                transaction_id=started.transaction_id,
                profile_id=PROFILE_ID,
                stack_level=1,
                start=port.clock.now() - timedelta(seconds=1),
                expires_s=600,
                steps=(SetpointStep(start_s=0, power_kw=power_kw),),
                rate_unit="W",
                dynamic=v2x,
                v2x=v2x,
            ),
        )
        assert answer.accepted
        await port.until(lambda: metered_kw(port) == power_kw)

    await lead(6.1, v2x=False)
    if version == "ocpp2.1":
        await lead(-5.0, v2x=True)
        update = UpdateSetpoint(profile_id=PROFILE_ID, power_kw=-7.4)
        assert (await port.gateway.execute(NAME, update)).accepted
        await port.until(lambda: metered_kw(port) == -7.4)
    stop = RemoteStop(transaction_id=started.transaction_id)
    assert (await port.gateway.execute(NAME, stop)).accepted
    reported = port.intake.of
    await port.until(lambda: reported(TransactionReported)[-1].phase == "ended")
    ended = reported(TransactionReported)[-1]
    assert ended.transaction_id == started.transaction_id
    assert ended.stopped_reason == "Remote"
    assert [e.seq_no for e in reported(TransactionReported)] == list(
        range(len(reported(TransactionReported)))
    )
    for direction in ("in", "out"):
        assert port.gateway.metrics.messages["CALLERROR", direction] == 0
    return ended
