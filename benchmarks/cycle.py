"""Cycle time: observe, plan, envelope, dispatch to every station and its answer, all kept.

Every EVSE has a vehicle and belongs to an OCPP 2.1 station behind an in-memory wire; both sides'
frames are validated against the official schemas, and the stations run in the same process, so their
time counts too. ``python -m benchmarks cycle [--evses 24,100,300] [--repeat 7] [--json]``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import statistics
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import structlog

from gridleaf.domain.clock import RealClock, stopwatch
from gridleaf.domain.events import CapabilitiesRead, TransactionReported
from gridleaf.domain.meter import MeterSample, SiteMeasurement
from gridleaf.domain.site import SiteConfig, parse
from gridleaf.ocpp.peer import Peer
from gridleaf.ocpp.wire import memory_wires
from gridleaf.platform import Platform
from gridleaf.store import sqlite_store

START = datetime(2026, 1, 5, 16, tzinfo=UTC)
Payload = dict[str, Any]


def depot(evses: int) -> SiteConfig:
    """Rows of 16 bidirectional DC EVSEs, each row narrower than its chargers, one grid connection."""
    rows = -(-evses // 16)
    return parse(
        {
            "name": f"{evses} EVSEs",
            "import_limit_kw": 8.0 * evses,
            "export_limit_kw": 4.0 * evses,
            "defaults": {"v2g": True, "target_soc": 0.85, "stay_h": 14},
            "tariff": {"demand_charge_per_kw": 5.0},
            "control": {"horizon_h": 24},
            "circuits": [{"id": f"row-{r}", "import_limit_kw": 200} for r in range(rows)],
            "stations": [
                {
                    "id": f"S{n}",
                    "circuit": f"row-{n // 16}",
                    "evses": [
                        {"id": 1, "current": "DC", "charge_max_kw": 22, "discharge_max_kw": 22}
                    ],
                }
                for n in range(evses)
            ],
        }
    )


async def _accept(_: Payload) -> Payload:
    return {"status": "Accepted"}


async def measure(evses: int, repeat: int, seed: int) -> dict[str, Any]:
    """Times ``repeat`` whole cycles and the planning inside them [s]."""
    rng = random.Random(seed)
    site = depot(evses)
    clock = RealClock(start=START)
    store = sqlite_store(None)
    await store.open()
    platform = Platform(site, clock=clock, store=store, rng=rng, keep_frames=False)
    ids = count()
    tasks = []
    for station in site.stations:
        ours, theirs = memory_wires("ocpp2.1")
        peer = Peer(
            theirs,
            role="station",
            clock=clock,
            new_id=lambda: str(next(ids)),
            handlers=dict.fromkeys(("SetChargingProfile", "UpdateDynamicSchedule"), _accept),
        )
        tasks.append(asyncio.create_task(peer.run()))
        tasks.append(asyncio.create_task(platform.gateway.serve(ours, station.id)))
    await asyncio.sleep(0)
    for station in site.stations:
        now = clock.now()
        await platform.accept(
            CapabilitiesRead(
                station_id=station.id,
                received_at=now,
                v2x_enabled=True,
                operation_modes=("ChargingOnly", "CentralSetpoint"),
                dynamic_profiles=True,
            )
        )
        soc = MeterSample(measured_at=now, measurand="SoC", value=rng.uniform(0.2, 0.7), unit="1")
        await platform.accept(
            TransactionReported(
                station_id=station.id,
                received_at=now,
                transaction_id="t",
                seq_no=0,
                phase="started",
                occurred_at=now - timedelta(minutes=rng.randrange(60)),
                evse_id=1,
                id_token=f"tag-{station.id}",
                samples=(soc,),
            )
        )
    await platform.measured(SiteMeasurement(measured_at=clock.now(), grid_kw=20.0, load_kw=20.0))
    whole, planning = [], []
    for _ in range(repeat):
        began = stopwatch()
        decision = await platform.controller.cycle("timer", renew=True)
        whole.append(stopwatch() - began)
        planning.append(decision.plan_seconds)
        if len(decision.setpoints) != evses or decision.method != "exact":
            raise RuntimeError(f"{decision.method}: {len(decision.setpoints)} setpoints")
        accepted = sum(e.accepted is not None for e in platform.controller.live.evses())
        if accepted != evses:
            raise RuntimeError(f"only {accepted} of {evses} stations accepted their setpoint")
    await platform.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()
    return {
        "evses": evses,
        "cycle_s": statistics.median(whole),
        "cycle_worst_s": max(whole),
        "plan_s": statistics.median(planning),
        "repeat": repeat,
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evses", default="24,100,300")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rows = [
        asyncio.run(measure(int(n), options.repeat, options.seed)) for n in options.evses.split(",")
    ]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'EVSEs':>6} {'cycle s':>9} {'worst s':>9} {'of it planning s':>17}")
    for row in rows:
        print(
            f"{row['evses']:>6} {row['cycle_s']:>9.3f} {row['cycle_worst_s']:>9.3f}"
            f" {row['plan_s']:>17.3f}"
        )


if __name__ == "__main__":
    main()
