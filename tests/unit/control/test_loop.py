"""The loop's memory of the meter: what sub-meters miss is learned, parts never freshen the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from builders import NOON, site
from gridleaf.control.loop import Controller, Foresight
from gridleaf.domain.clock import Clock
from gridleaf.domain.events import CapabilitiesRead, Connected, TransactionReported
from gridleaf.domain.meter import MeterSample, SiteMeasurement
from gridleaf.ocpp.commands import Answer, Command, SetProfile
from gridleaf.sim.virtual import run_virtual
from gridleaf.store import sqlite_store


class Station:
    """Takes every setpoint at once; ``power_kw`` is what it draws."""

    def __init__(self) -> None:
        self.power_kw = 0.0
        self.profiles: list[SetProfile] = []

    async def execute(self, _: str, command: Command) -> Answer:
        if isinstance(command, SetProfile):
            self.profiles.append(command)
            self.power_kw = command.steps[0].power_kw
        return Answer(accepted=True, status="Accepted")


def played(scene: Callable[[Controller, Station, Clock], Awaitable[Any]], **changes: Any) -> Any:
    """Runs a scene with one vehicle at DC1 and a controller on a virtual clock."""

    async def main(clock: Clock) -> Any:
        store = sqlite_store(None)
        await store.open()
        station = Station()
        controller = Controller(
            site(
                circuits=[],
                stations=[
                    {
                        "id": "DC1",
                        "evses": [{"id": 1, "current": "DC", "charge_max_kw": 60}],
                    }
                ],
                import_limit_kw=100,
                **changes,
            ),
            clock=clock,
            store=store,
            execute=station.execute,
            foresight=Foresight(
                prices=lambda _, s: ((0.3,) * len(s), (0.1,) * len(s), (True,) * len(s)),
                base=lambda _, s, m: ((m.load_kw or 0.0 if m else 0.0,) * len(s), (0.0,) * len(s)),
            ),
            timer=lambda: 0.0,
        )
        controller.apply(
            Connected(station_id="DC1", received_at=NOON, version="ocpp2.0.1", epoch=1)
        )
        controller.apply(CapabilitiesRead(station_id="DC1", received_at=NOON))
        controller.apply(
            TransactionReported(
                station_id="DC1",
                received_at=NOON,
                transaction_id="t",
                seq_no=0,
                phase="started",
                occurred_at=NOON,
                evse_id=1,
            )
        )
        try:
            return await scene(controller, station, clock)
        finally:
            await store.close()

    return run_virtual(main, NOON)


def meter(controller: Controller, station: Station, clock: Clock, seq_no: int) -> None:
    now = clock.now()
    controller.apply(
        TransactionReported(
            station_id="DC1",
            received_at=now,
            transaction_id="t",
            seq_no=seq_no,
            phase="updated",
            occurred_at=now,
            evse_id=1,
            samples=(
                MeterSample(
                    measured_at=now,
                    measurand="Power.Active.Import",
                    value=station.power_kw,
                    unit="kW",
                ),
            ),
        )
    )


def test_a_load_that_no_sub_meter_sees_breaks_the_limit_at_most_once() -> None:
    async def scene(controller: Controller, station: Station, clock: Clock) -> int:
        over = 0
        for minute in range(1, 30):
            grid = 70.0 + station.power_kw
            over += grid > 100.5
            controller.measured(
                SiteMeasurement(measured_at=clock.now(), grid_kw=grid, load_kw=40.0, pv_kw=0.0)
            )
            meter(controller, station, clock, minute)
            await controller.cycle("test", renew=True)
            await clock.sleep(60)
        return over

    assert played(scene) <= 1


def test_a_dead_grid_meter_is_stale_however_lively_the_building_meter() -> None:
    async def scene(controller: Controller, _: Station, clock: Clock) -> bool:
        controller.measured(SiteMeasurement(measured_at=clock.now(), grid_kw=5.0, load_kw=5.0))
        for _ in range(20):
            await clock.sleep(10)
            controller.measured(SiteMeasurement(measured_at=clock.now(), load_kw=5.0, pv_kw=0.0))
        return controller.observe().meter_fresh

    assert played(scene) is False


def test_every_profile_ends_two_cycles_ahead() -> None:
    async def scene(controller: Controller, station: Station, clock: Clock) -> list[SetProfile]:
        controller.measured(SiteMeasurement(measured_at=clock.now(), grid_kw=5.0))
        loop = asyncio.create_task(controller.run())
        await clock.sleep(1000)
        loop.cancel()
        return station.profiles

    profiles = played(scene)
    assert len(profiles) >= 4
    assert {p.expires_s for p in profiles} == {600}
    assert profiles[-1].start - profiles[0].start >= timedelta(minutes=15)


def test_a_cycle_that_fails_does_not_end_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(controller: Controller, _: Station, clock: Clock) -> int:
        observe, calls = controller.observe, 0

        def sometimes(horizon_h: float | None = None) -> Any:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise RuntimeError("planted")
            return observe(horizon_h)

        monkeypatch.setattr(controller, "observe", sometimes)
        loop = asyncio.create_task(controller.run())
        await clock.sleep(1000)
        loop.cancel()
        return controller.cycles

    assert played(scene) >= 2
