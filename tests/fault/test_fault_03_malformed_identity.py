from __future__ import annotations

import asyncio

import pytest

from gateway_fakes import listening, station_site


def test_fault_03_a_user_name_that_is_not_the_identity_gets_401() -> None:
    async def main() -> None:
        async with listening(station_site("CP1", "CP2")) as port:
            assert await port.refusal("CP1", user="CP2") == 401
            assert await port.refusal("CP1", user="") == 401
            assert port.store.epochs == {}

    asyncio.run(main())


@pytest.mark.parametrize(
    "path",
    [
        b"/ocpp/../CP1",
        b"/ocpp/..",
        b"/ocpp/%2e%2e",
        b"/ocpp/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        b"/ocpp/CP1%00",
        b"/ocpp/CP1\x00",
        b"/ocpp/" + b"x" * 49,
        b"/ocpp/" + "Säule".encode(),
        b"/ocpp/S%C3%A4ule",
        b"/ocpp/",
        b"/other/CP1",
    ],
)
def test_fault_03_a_malformed_identity_is_refused_and_nothing_is_created(path: bytes) -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            answered = await reader.read()
            writer.close()
            # What is no HTTP at all is closed without an answer.
            assert answered[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"")
            assert port.store.epochs == {}
            assert port.intake.events == []
            station = await port.dial(local_ip="127.0.0.2")
            await station.close()

    asyncio.run(main())
