"""The ``ocpp`` package as the station: connects, charges, obeys a profile and stops."""

from __future__ import annotations

import asyncio

import pytest
from charging_scene import NAME, TOKEN, play
from ocpp_package_station import charge

from gateway_fakes import listening, station_site


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_a_station_on_the_ocpp_package_charges_obeys_a_profile_and_stops(version: str) -> None:
    async def main() -> None:
        async with listening(station_site(NAME)) as port:
            socket = await port.dial(NAME, versions=[version])
            charging = asyncio.create_task(charge(version, NAME, TOKEN, socket))
            scene = asyncio.create_task(play(port, version))
            done, _ = await asyncio.wait(
                {charging, scene}, return_when=asyncio.FIRST_EXCEPTION, timeout=60
            )
            for task in done:
                task.result()
            assert done == {charging, scene}
            station = charging.result()
            assert station.state.profiles
            if version == "ocpp2.1":
                assert station.allowed == ["DC", "DC_BPT"]
            await port.until(lambda: port.gateway.connection(NAME) is None)

    asyncio.run(main())
