from __future__ import annotations

import asyncio

import pytest

from gateway_fakes import StationEnd, listening, station_site

ALL = ["ocpp2.1", "ocpp2.0.1", "ocpp1.6"]


@pytest.mark.parametrize("offered", [[], ["ocpp1.5"], ["mqtt"], ["ocpp3.0", "OCPP2.0.1"]])
def test_fault_08_without_a_common_version_there_is_no_upgrade(offered: list[str]) -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            assert await port.refusal(versions=offered) == 400
            assert port.store.epochs == {}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("offered", "allowed", "chosen"),
    [
        (ALL, ALL, "ocpp2.1"),
        (ALL[::-1], ALL, "ocpp2.1"),
        (["ocpp1.6", "ocpp2.0.1"], ALL, "ocpp2.0.1"),
        (["x", "ocpp1.6"], ALL, "ocpp1.6"),
        (ALL, ["ocpp1.6", "ocpp2.0.1"], "ocpp2.0.1"),
        (ALL, ["ocpp1.6"], "ocpp1.6"),
    ],
)
def test_fault_08_the_highest_common_version_is_chosen_and_echoed(
    offered: list[str], allowed: list[str], chosen: str
) -> None:
    async def main() -> None:
        async with listening(station_site(versions=allowed)) as port:
            socket = await port.dial(versions=offered)
            assert socket.subprotocol == chosen
            station = StationEnd.over(socket, port.clock)
            await station.boot()
            connection = port.gateway.connection("CP1")
            assert connection is not None
            assert connection.version == chosen

    asyncio.run(main())


def test_fault_08_the_codec_is_bound_to_the_negotiated_version() -> None:
    """A 2.0.1 boot over a 1.6 session, and the other way round, is a schema violation."""

    async def main() -> None:
        boot_2 = '{"reason":"PowerUp","chargingStation":{"vendorName":"v","model":"m"}}'
        boot_1 = '{"chargePointVendor":"v","chargePointModel":"m"}'
        async with listening(station_site()) as port:
            for version, foreign, own in (
                ("ocpp1.6", boot_2, boot_1),
                ("ocpp2.0.1", boot_1, boot_2),
            ):
                socket = await port.dial(versions=[version])
                await socket.send(f'[2,"a","BootNotification",{foreign}]')
                assert str(await socket.recv()).startswith('[4,"a","')
                await socket.send(f'[2,"b","BootNotification",{own}]')
                assert str(await socket.recv()).startswith('[3,"b",')
                await socket.close()

    asyncio.run(main())
