from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from gateway_fakes import PASSWORD, START, Port, StationEnd, listening, station_site
from gateway_tls import Authority
from gridleaf.domain.clock import Clock, RealClock
from gridleaf.domain.errors import ConfigError, ConnectionLost
from gridleaf.domain.events import Booted, Disconnected
from gridleaf.gateway import OcppServer
from gridleaf.gateway.server import HANDSHAKE_TIMEOUT_S
from gridleaf.gateway.socketwire import MAX_FRAME, WRITE_CAP
from gridleaf.ocpp.csms import Payload
from gridleaf.sim.virtual import run_virtual


def test_a_station_boots_over_a_socket_and_answers_commands() -> None:
    async def main() -> None:
        async with listening(station_site()) as port:

            async def reset(payload: Payload) -> Payload:
                return {"status": "Accepted"}

            station = StationEnd.over(
                await port.dial(versions=["ocpp2.1"]), port.clock, {"Reset": reset}
            )
            assert (await station.boot())["status"] == "Accepted"
            answer = await port.gateway.request("CP1", "Reset", {"type": "Immediate"})
            assert answer == {"status": "Accepted"}
            connection = port.gateway.connection("CP1")
            assert connection is not None
            assert connection.remote == "127.0.0.1"
            await station.wire.close()
            await port.until(lambda: port.gateway.connection("CP1") is None)
        assert [e.vendor for e in port.intake.of(Booted)] == ["Acme"]

    asyncio.run(main())


def test_a_message_beyond_the_cap_ends_the_connection_and_no_other() -> None:
    async def main() -> None:
        async with listening(station_site("CP1", "CP2")) as port:
            neighbour = StationEnd.over(await port.dial("CP2"), port.clock)
            socket = await port.dial("CP1")
            await socket.send("[" + " " * MAX_FRAME)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
            await neighbour.heartbeat()

    asyncio.run(main())


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_messages_are_compressed_for_a_station_that_offers_it(version: str) -> None:
    """RFC 7692, for OCPP-J 2.0.1 part 4."""

    async def main() -> None:
        async with listening(station_site()) as port:
            socket = await port.dial(versions=[version], compression="deflate")
            assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
            station = StationEnd.over(socket, port.clock)
            assert (await station.boot())["status"] == "Accepted"
            await station.heartbeat()
            plain = await port.dial(versions=[version])
            assert "Sec-WebSocket-Extensions" not in plain.response.headers

    asyncio.run(main())


def test_a_small_message_that_inflates_beyond_the_cap_ends_the_connection_and_no_other() -> None:
    async def main() -> None:
        async with listening(station_site("CP1", "CP2")) as port:
            neighbour = StationEnd.over(await port.dial("CP2"), port.clock)
            socket = await port.dial("CP1", compression="deflate")
            await socket.send("[" + " " * (200 * MAX_FRAME))
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
            await neighbour.heartbeat()

    asyncio.run(main())


def test_a_binary_message_ends_the_connection() -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            socket = await port.dial()
            await socket.send(b"[]")
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1003

    asyncio.run(main())


def test_a_station_that_does_not_read_is_cut_off_and_the_others_are_served() -> None:
    """Fault 17 at the socket: the write buffer has a cap, and nobody waits for it."""

    async def main() -> None:
        async with listening(station_site("CP1", "CP2")) as port:
            neighbour = StationEnd.over(await port.dial("CP2"), port.clock)
            socket = await port.dial("CP1")
            await port.until(lambda: port.gateway.connection("CP1") is not None)
            socket.transport.pause_reading()
            connection = port.gateway.connection("CP1")
            assert connection is not None

            async def flood() -> None:
                for _ in range(20 * WRITE_CAP // MAX_FRAME):
                    await connection.wire.send("x" * MAX_FRAME)
                    await neighbour.heartbeat()

            with pytest.raises(ConnectionLost, match="does not read"):
                await flood()
            await port.until(lambda: port.gateway.connection("CP1") is None)
            await neighbour.heartbeat()
            socket.transport.abort()

    asyncio.run(main())


def test_stopping_tells_the_stations_that_we_are_going_away() -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            socket = await port.dial()
            await port.until(lambda: port.gateway.connection("CP1") is not None)
            await port.server.stop()
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
            with pytest.raises(ConnectionRefusedError):
                await port.dial()
            assert len(port.intake.of(Disconnected)) == 1

    asyncio.run(main())


def test_stopping_does_not_wait_for_a_handshake_that_never_comes() -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port.number)
            await port.until(lambda: len(port.server._waiting) == 1)
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S / 2):
                await port.server.stop()
            assert len(port.server._waiting) == 0
            writer.close()

    asyncio.run(main())


def test_a_plain_http_request_without_credentials_gets_the_same_401() -> None:
    async def status(port: Port, headers: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(f"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        line = await reader.readline()
        writer.close()
        return line

    async def main() -> None:
        async with listening(station_site()) as port:
            assert b" 401 " in await status(port, "")

    asyncio.run(main())


def test_stations_that_this_port_can_never_admit_are_named_at_the_start() -> None:
    async def main() -> None:
        with capture_logs() as logs:
            async with listening(station_site("CP1", "CP2", security_profile=2)):
                pass
        named = [line["station"] for line in logs if line["event"] == "station_cannot_connect"]
        assert named == ["CP1", "CP2"]

    asyncio.run(main())


def test_certificate_files_that_cannot_be_used_are_refused_with_their_place(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("gateway")
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")

    def refused(**server: str) -> str:
        site = station_site(server=server)
        with pytest.raises(ConfigError) as error:
            Port(site, {"CP1": PASSWORD}, None)
        return error.value.path

    certificate, key = str(issued.certificate), str(issued.key)
    assert refused(tls_certificate=certificate) == "server"
    assert refused(tls_certificate=str(rubbish), tls_key=key) == "server.tls_certificate"
    assert refused(tls_certificate="/nowhere", tls_key=key) == "server.tls_certificate"
    assert (
        refused(tls_certificate=certificate, tls_key=key, client_ca=str(rubbish))
        == "server.client_ca"
    )


def test_a_bad_renewal_keeps_the_certificate_in_use_and_is_tried_again(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("gateway")
    good = issued.certificate.read_bytes()
    site = station_site(
        server={"tls_certificate": str(issued.certificate), "tls_key": str(issued.key)}
    )

    async def main(clock: Clock) -> list[str]:
        port = Port(site, None, RealClock())
        server = OcppServer(port.gateway, site=site, clock=clock, secrets={}, rng=random.Random(1))
        assert server._tls is not None
        renewing = asyncio.create_task(server._renew(server._tls))
        with capture_logs() as logs:
            issued.certificate.write_bytes(b"half a file")
            await clock.sleep(61)
            issued.certificate.write_bytes(good)
            await clock.sleep(120)
        renewing.cancel()
        return [line["event"] for line in logs]

    events = run_virtual(main, START)
    assert events == ["certificates_not_renewed", "certificates_renewed"]
