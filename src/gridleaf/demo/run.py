"""``gridleaf demo``: the depot over WebSockets on a fast clock, or on a virtual one."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gridleaf.app import running
from gridleaf.control.accounts import Totals
from gridleaf.demo.depot import demo_site
from gridleaf.demo.life import Life
from gridleaf.demo.world import START, ZONE, World
from gridleaf.domain.clock import Clock, RealClock
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig, Station
from gridleaf.ocpp.wire import Wire, memory_wires
from gridleaf.platform import Platform
from gridleaf.sim.dial import dial
from gridleaf.sim.virtual import run_virtual
from gridleaf.store import open_store, sqlite_store
from gridleaf.store.port import Store
from gridleaf.tariff import DayAheadSource
from gridleaf.web.auth import Accounts

REMEMBER_S = 2.0
"""How often, in the machine's time, the world is written down [s]."""
PAST_DAYS = 4
PAST_NIGHT_KW = 80.0
"""What the vans drew in the nights before; the month's peak was made then."""
_KEY = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``gridleaf demo`` was asked for; ``stop_after_s`` is in the machine's time [s]."""

    seed: int
    speed: float
    port: int
    ocpp_port: int
    data_dir: Path
    console: bool
    stop_after_s: float | None


def summary(life: Life, platform: Platform, began: datetime) -> dict[str, Any]:
    """The object that ``--json`` prints."""
    tally = life.tally
    now = life.clock.now()
    total = platform.controller.accounts.total or Totals(since=began)
    hours = (now - began) / timedelta(hours=1)
    share = hours / (30 * 24) * life.site.tariff.demand_charge_per_kw
    demand = share * platform.demand.peak_kw(now)
    uncontrolled_demand = share * platform.uncontrolled_demand.peak_kw(now)
    uncontrolled = total.uncontrolled_energy_cost
    return {
        "simulated_h": round(hours, 3),
        "sessions": tally.sessions,
        "ready_on_time": tally.ready_on_time,
        "could_be_ready": tally.could_be_ready,
        "unmet_kwh": round(tally.unmet_kwh, 3),
        "charged_kwh": round(total.charged_kwh, 3),
        "discharged_kwh": round(total.discharged_kwh, 3),
        "evening_discharged_kwh": round(tally.evening_discharged_kwh, 3),
        "cost_eur": round(total.cost + demand, 3),
        "uncontrolled_cost_eur": round(uncontrolled + uncontrolled_demand, 3),
        "energy_cost_eur": round(total.energy_cost, 3),
        "wear_cost_eur": round(total.wear_cost, 3),
        "dwell_cost_eur": round(total.dwell_cost, 3),
        "owed_cost_eur": round(total.owed_cost, 3),
        "uncontrolled_energy_cost_eur": round(uncontrolled, 3),
        "peak_kw": round(platform.demand.peak_kw(now), 3),
        "uncontrolled_peak_kw": round(platform.uncontrolled_demand.peak_kw(now), 3),
        "limit_violations": tally.limit_violations,
        "longest_violation_s": round(tally.longest_violation_s, 1),
        "missed": tally.missed,
        "cycles": platform.controller.cycles,
        "messages": sum(platform.gateway.metrics.messages.values()),
    }


def play(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the demo until its time is up or it is interrupted; returns the summary."""
    return asyncio.run(_play(options, say))


async def _play(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    site = demo_site(
        data_dir=options.data_dir,
        port=options.port,
        ocpp_port=options.ocpp_port,
        call_timeout_s=max(30.0, 10 * options.speed),
        meter_max_age_s=max(60.0, 3 * options.speed),
    )
    world = World(options.seed)
    kept = await _kept(site, world)
    if kept is not None and kept["seed"] != options.seed:
        raise ConfigError(
            str(options.data_dir),
            f"holds a demo of seed {kept['seed']}; use that seed or another folder",
        )
    began = datetime.fromisoformat(kept["start"]) if kept is not None else START
    at = datetime.fromisoformat(kept["at"]) if kept is not None else START
    clock = RealClock(speed=options.speed, start=at)
    passwords = {s.id: secrets.token_urlsafe(24) for s in site.stations}
    async with running(
        site,
        clock=clock,
        rng=random.Random(f"{options.seed}/{at.isoformat()}"),
        secrets=passwords,
        console=options.console,
        auto_login=True,
        source=DayAheadSource(world, clock),
    ) as service:
        url = f"ws://127.0.0.1:{service.ocpp_port}/ocpp"

        async def connect(station: Station) -> Wire:
            return await dial(
                url,
                station_id=station.id,
                password=passwords[station.id],
                subprotocols=station.versions,
            )

        life = Life(
            site,
            clock=clock,
            platform=service.platform,
            world=world,
            connect=connect,
            start=began,
            reaction_s=max(60.0, options.speed),
        )
        if kept is not None:
            life.recall(kept)
            say(f"Going on at {at:%Y-%m-%d %H:%M} UTC.")
        say(f"Stations: {url}/<station id>")
        if service.web_port is not None:
            token = await Accounts(service.platform.store, RealClock()).add_token(
                "demo", "operator"
            )
            say(f"Console:  http://127.0.0.1:{service.web_port}/")
            say(f"Token:    {token}   (Authorization: Bearer ... at /api/v1)")
        living = asyncio.create_task(life.run())
        writing = asyncio.create_task(_write_down(life, service.platform, options.speed))
        await _until(stop, options.stop_after_s, living, service.work, writing)
        living.cancel()
        writing.cancel()
        await asyncio.wait([living, writing])
        await service.platform.store.save_value(_KEY, json.dumps(life.remember()))
        return summary(life, service.platform, began)


async def _until(stop: asyncio.Event, seconds: float | None, *work: asyncio.Task[None]) -> None:
    """Until asked to stop, the time is up, or a part of the work fails."""
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([stopping, *work], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in work:
        if task.done():
            task.result()


async def _kept(site: SiteConfig, world: World) -> dict[str, Any] | None:
    """The world as it was left; a new one gets a past to learn from."""
    store = open_store(site.storage)
    await store.open()
    try:
        text = await store.value(_KEY)
        if text is None:
            await _past(store, world)
    finally:
        await store.close()
    return None if text is None else dict(json.loads(text))


async def _past(store: Store, world: World) -> None:
    """What the site meter showed in the days before: forecasts and the month's peak go by it."""
    step = timedelta(minutes=5)
    rows = []
    for n in range(PAST_DAYS * 288, 0, -1):
        at = START - n * step
        load, pv = world.load_kw(at), world.pv_kw(at)
        night = PAST_NIGHT_KW if at.astimezone(ZONE).hour in (22, 23, 0, 1, 2, 3) else 0.0
        rows.append(
            SiteMeasurement(
                measured_at=at, grid_kw=load - pv + night, pv_kw=pv, load_kw=load, source="sim"
            )
        )
    await store.save_measurements(rows)


async def _write_down(life: Life, platform: Platform, speed: float) -> None:
    while True:
        await life.clock.sleep(REMEMBER_S * speed)
        await platform.store.save_value(_KEY, json.dumps(life.remember()))


def simulate(seed: int, hours: float) -> dict[str, Any]:
    """The same depot on a virtual clock over in-memory wires, as fast as it goes.

    The same seed and hours give the same result to the byte.
    """
    site = demo_site(
        data_dir=Path(),
        port=0,
        ocpp_port=0,
        call_timeout_s=30.0,
        meter_max_age_s=60.0,
        solver_time_limit_s=3600.0,  # a busy machine must not change the result
    )
    return run_virtual(lambda clock: _simulate(site, seed, hours, clock), START)


async def _simulate(site: SiteConfig, seed: int, hours: float, clock: Clock) -> dict[str, Any]:
    world = World(seed)
    store = sqlite_store(None)
    await store.open()
    await _past(store, world)
    platform = Platform(
        site,
        clock=clock,
        store=store,
        rng=random.Random(seed),
        source=DayAheadSource(world, clock),
        timer=lambda: 0.0,
    )
    await platform.restore()
    serving: set[asyncio.Task[None]] = set()

    async def connect(station: Station) -> Wire:
        ours, theirs = memory_wires(station.versions[0])
        task = asyncio.create_task(platform.gateway.serve(ours, station.id, "memory"))
        serving.add(task)
        task.add_done_callback(serving.discard)
        return theirs

    life = Life(site, clock=clock, platform=platform, world=world, connect=connect, start=START)
    work = [asyncio.create_task(platform.run()), asyncio.create_task(life.run())]
    done, _ = await asyncio.wait(
        [*work, asyncio.create_task(clock.sleep(hours * 3600))], return_when=asyncio.FIRST_COMPLETED
    )
    for task in done:
        task.result()
    result = summary(life, platform, START)
    for task in work:
        task.cancel()
    await asyncio.wait(work)
    await platform.close()
    await store.close()
    return result
