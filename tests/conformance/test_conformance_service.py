"""The ``ocpp`` package as the station of a whole running service: led by its controller, recorded."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from charging_scene import NAME, TOKEN
from ocpp_package_station import charge
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateway_fakes import PASSWORD
from gridleaf.app import Service, running
from gridleaf.control.live import LiveEvse
from gridleaf.domain.clock import RealClock
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig, parse

LOAD_KW = 4.0


def small_site(data_dir: Path, version: str) -> SiteConfig:
    """Beside the building 6 kW are left of the grid connection."""
    return parse(
        {
            "name": "Foreign station",
            "import_limit_kw": 10,
            "stations": [
                {
                    "id": NAME,
                    "versions": [version],
                    "evses": [{"id": 1, "current": "DC", "charge_max_kw": 11, "min_a": 0}],
                }
            ],
            "control": {"cycle_s": 2, "static_share_kw": 2},
            "defaults": {"stay_h": 1, "energy_kwh": 50},
            "server": {"ocpp_port": 0},
            "storage": {"data_dir": data_dir},
        }
    )


async def dial(service: Service, version: str) -> ClientConnection:
    credentials = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    return await connect(
        f"ws://127.0.0.1:{service.ocpp_port}/ocpp/{NAME}",
        subprotocols=[Subprotocol(version)],
        additional_headers={"Authorization": f"Basic {credentials}"},
        compression=None,
        proxy=None,
    )


async def until(condition: Callable[[], bool], station: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            if station.done():
                station.result()
                raise AssertionError("the station has left")
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_a_foreign_station_is_led_by_the_controller_and_its_session_is_recorded(
    version: str, tmp_path: Path
) -> None:
    async def main() -> None:
        site, clock = small_site(tmp_path, version), RealClock()
        async with running(
            site,
            clock=clock,
            rng=random.Random(1),
            secrets={NAME: PASSWORD},
            console=False,
        ) as service:
            platform = service.platform
            found = platform.controller.live.evse(NAME, 1)
            assert found is not None
            evse: LiveEvse = found

            async def meter() -> None:
                while True:
                    grid_kw = LOAD_KW + (evse.power_kw or 0.0)
                    await platform.measured(
                        SiteMeasurement(
                            measured_at=clock.now(), grid_kw=grid_kw, load_kw=LOAD_KW, pv_kw=0.0
                        )
                    )
                    await clock.sleep(0.2)

            metering = asyncio.create_task(meter())
            station = asyncio.create_task(
                charge(version, NAME, TOKEN, await dial(service, version))
            )
            await until(lambda: evse.power_kw == 6.0, station)
            session = evse.session
            assert session is not None
            assert session.id_token == TOKEN
            await platform.set_limit(7.5, None)
            await until(lambda: evse.power_kw == 3.5, station)
            await platform.set_limit(None, None)
            await until(lambda: evse.power_kw == 6.0, station)
            await until(lambda: evse.obeying and not evse.refused, station)
            assert await platform.remote_stop(session.session_id) == "Accepted"
            left = await asyncio.wait_for(station, 60)
            assert left.state.stop_asked.is_set()
            kept = await platform.store.session(session.session_id)
            assert kept is not None
            assert kept.state == "ended"
            assert kept.departed_at is not None
            assert kept.charged_kwh > 0
            (newest,) = await platform.store.last_dispatches()
            assert newest.accepted
            assert newest.expires_at is not None
            assert newest.expires_at - newest.sent_at <= timedelta(seconds=4)
            assert not service.work.done()
            metering.cancel()
            for direction in ("in", "out"):
                assert platform.gateway.metrics.messages["CALLERROR", direction] == 0

    asyncio.run(main())
