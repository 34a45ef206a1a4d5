from __future__ import annotations

import asyncio
import os
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidHandshake

from gateway_fakes import Port, StationEnd, listening, station_site
from gateway_tls import DAY, NOW, Authority, Issued
from gridleaf.domain.events import SecurityReported
from gridleaf.domain.site import SiteConfig


def tls_site(authority: Authority, server: Issued, profile: int, **station: Any) -> SiteConfig:
    return station_site(
        "CP1",
        server={
            "tls_certificate": str(server.certificate),
            "tls_key": str(server.key),
            "client_ca": str(authority.file),
        },
        security_profile=profile,
        **station,
    )


async def is_turned_away(port: Port, tls: ssl.SSLContext) -> bool:
    """A client under TLS 1.3 learns of a refused certificate only when it reads."""
    try:
        connection = await port.dial(password=None, tls=tls)
    except (InvalidHandshake, OSError, EOFError):
        return True
    await connection.close()
    return False


def tls_refusals(port: Port) -> float:
    return (
        port.gateway.registry.get_sample_value("gridleaf_ocpp_refused_total", {"reason": "tls"})
        or 0.0
    )


def test_fault_09_a_lower_profile_than_provisioned_is_refused_with_a_security_event(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        authority = Authority(tmp_path)
        server = authority.issue("gateway")
        async with listening(station_site("CP1", security_profile=2)) as port:
            assert await port.refusal() == 401
            await port.until(lambda: bool(port.intake.of(SecurityReported)))
            assert port.intake.of(SecurityReported)[0].what == "wrong profile"
        async with listening(tls_site(authority, server, 3), {"CP1": "p" * 20}) as port:
            assert await port.refusal(password="p" * 20, tls=authority.client()) == 401
            await port.until(lambda: bool(port.intake.of(SecurityReported)))
            # Whoever knows no secret of the station leaves no trace in the store.
            assert await port.refusal(password="guess", tls=authority.client()) == 401
            assert len(port.intake.events) == 1
            assert port.store.epochs == {}

    asyncio.run(main())


def test_fault_09_profile_2_takes_the_password_over_tls(tmp_path: Path) -> None:
    async def main() -> None:
        authority = Authority(tmp_path)
        async with listening(tls_site(authority, authority.issue("gateway"), 2)) as port:
            station = StationEnd.over(await port.dial(tls=authority.client()), port.clock)
            assert (await station.boot())["status"] == "Accepted"
            assert await port.refusal(password="wrong", tls=authority.client()) == 401

    asyncio.run(main())


def test_fault_09_tls_older_than_1_2_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        authority = Authority(tmp_path)
        old = authority.client()
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        async with listening(tls_site(authority, authority.issue("gateway"), 2)) as port:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await port.dial(tls=old)
            await port.until(lambda: tls_refusals(port) == 1)

    asyncio.run(main())


@pytest.mark.parametrize(
    "bad",
    [
        lambda folder, ca: ca.issue("CP1", until=NOW - DAY),
        lambda folder, ca: Authority(folder, "Foreign CA").issue("CP1"),
    ],
    ids=["expired", "foreign"],
)
def test_fault_09_an_expired_or_foreign_certificate_is_refused(
    tmp_path: Path, bad: Callable[[Path, Authority], Issued]
) -> None:
    async def main() -> None:
        authority = Authority(tmp_path)
        async with listening(tls_site(authority, authority.issue("gateway"), 3)) as port:
            assert await is_turned_away(port, authority.client(bad(tmp_path, authority)))
            await port.until(lambda: tls_refusals(port) == 1)
            assert port.store.epochs == {}
            good = authority.client(authority.issue("CP1"))
            station = StationEnd.over(await port.dial(password=None, tls=good), port.clock)
            assert (await station.boot())["status"] == "Accepted"

    asyncio.run(main())


def test_fault_09_the_certificate_of_another_station_is_refused_with_a_security_event(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        authority = Authority(tmp_path)
        async with listening(tls_site(authority, authority.issue("gateway"), 3)) as port:
            other = authority.client(authority.issue("CP2"))
            assert await port.refusal(password=None, tls=other) == 401
            await port.until(lambda: bool(port.intake.of(SecurityReported)))
            assert port.intake.of(SecurityReported)[0].what == "wrong certificate"

    asyncio.run(main())


def test_fault_09_a_revoked_certificate_is_refused_also_when_it_is_revoked_later(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        authority = Authority(tmp_path)
        revoked, later = authority.issue("CP1"), authority.issue("CP1")
        authority.file.write_bytes(authority.pem + authority.revocation_list(revoked))
        async with listening(tls_site(authority, authority.issue("gateway"), 3)) as port:
            assert await is_turned_away(port, authority.client(revoked))
            assert not await is_turned_away(port, authority.client(later))
            authority.file.write_bytes(
                authority.pem + authority.revocation_list(revoked, later, age=0 * DAY)
            )
            os.utime(authority.file, (1, 1))
            assert port.server._tls.renew()
            assert await is_turned_away(port, authority.client(later))
            await port.until(lambda: tls_refusals(port) == 2)

    asyncio.run(main())


def test_fault_09_certificates_are_renewed_without_ending_a_connection(tmp_path: Path) -> None:
    async def main() -> None:
        authority = Authority(tmp_path)
        server = authority.issue("gateway")
        async with listening(tls_site(authority, server, 3)) as port:
            first = authority.client(authority.issue("CP1"))
            station = StationEnd.over(await port.dial(password=None, tls=first), port.clock)
            await station.boot()
            renewed = authority.issue("gateway")
            server.certificate.write_bytes(renewed.pem)
            server.key.write_bytes(renewed.key.read_bytes())
            os.utime(server.certificate, (1, 1))
            assert port.server._tls.renew()
            assert not port.server._tls.renew()
            await station.heartbeat()
            second = authority.client(authority.issue("CP1"))
            socket = await port.dial(password=None, tls=second)
            shown = socket.transport.get_extra_info("ssl_object").getpeercert()
            assert int(shown["serialNumber"], 16) == renewed.serial

    asyncio.run(main())
