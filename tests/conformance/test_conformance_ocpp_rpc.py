"""npm ``ocpp-rpc`` in strict mode as the station: connects, charges, obeys a profile and stops.

``GRIDLEAF_NODE_MODULES`` names the ``node_modules`` folder that holds it
(``npm install --prefix FOLDER ocpp-rpc@2.2.1``); without it, or without node, the tests skip. Its
strict mode covers 1.6 and 2.0.1.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from charging_scene import NAME, TOKEN, play

from gateway_fakes import PASSWORD, listening, station_site

SCRIPT = Path(__file__).with_name("ocpp_rpc_station.cjs")


@pytest.fixture(scope="module")
def node() -> str:
    """The node executable, when everything is there."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    modules = os.environ.get("GRIDLEAF_NODE_MODULES")
    if not modules:
        pytest.skip("GRIDLEAF_NODE_MODULES does not name a node_modules folder")
    if not (Path(modules) / "ocpp-rpc").is_dir():
        pytest.skip(f"ocpp-rpc is not installed in {modules}")
    return found


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])
def test_a_station_on_ocpp_rpc_in_strict_mode_charges_obeys_a_profile_and_stops(
    node: str, version: str
) -> None:
    async def main() -> None:
        async with listening(station_site(NAME)) as port:
            station = await asyncio.create_subprocess_exec(
                node,
                str(SCRIPT),
                f"ws://127.0.0.1:{port.number}/ocpp",
                NAME,
                version,
                TOKEN,
                env={**os.environ, "STATION_PASSWORD": PASSWORD},
                stderr=asyncio.subprocess.PIPE,
            )
            said = asyncio.create_task(station.communicate())
            scene = asyncio.create_task(play(port, version))
            try:
                await asyncio.wait({said, scene}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
                if said.done():  # it gave up first: its own words are the better message
                    assert station.returncode == 0, said.result()[1].decode()
                await scene
                assert (await said)[1].decode() == ""
                assert station.returncode == 0
            finally:
                if station.returncode is None:
                    station.kill()
                    await station.wait()

    asyncio.run(main())
