"""The port stations connect to: WebSockets behind admission, with every resource bounded."""

from __future__ import annotations

import asyncio
import http
import logging
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import SiteConfig, Station
from gridleaf.gateway.admission import Admission, Attempt, Refusal
from gridleaf.gateway.gateway import Gateway
from gridleaf.gateway.socketwire import MAX_FRAME, WRITE_CAP, SocketWire
from gridleaf.gateway.tls import TlsFiles, common_name
from gridleaf.ocpp import schemas

HANDSHAKE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
"""How long a station may take to agree to a close; then the socket is dropped [s]."""
BACKLOG = 1024
"""Connections the kernel holds for us; what does not fit is for the station to try again."""
PENDING, PENDING_PER_IP = 1024, 512
"""Connections that may be between TCP and upgrade, in all and from one address."""
_DEFLATE = ServerPerMessageDeflateFactory(
    server_max_window_bits=11,
    client_max_window_bits=11,
    require_client_max_window_bits=False,
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    compress_settings={"memLevel": 4},
)
"""RFC 7692, which OCPP-J asks of a central system: 2 KiB of window, and no state between messages.
``MAX_FRAME`` bounds what a message inflates to."""
RENEWAL_S = 60.0
"""How often the certificate files are looked at [s]."""

_log = structlog.get_logger()
_quiet = logging.getLogger("gridleaf.gateway.websockets")
_quiet.setLevel(logging.WARNING)  # at DEBUG the library logs headers, credentials included


class OcppServer:
    """Listens for stations at ``/ocpp/<station id>`` and hands the admitted ones to a gateway.

    Authentication is done before the upgrade; whatever the reason, a station that fails it gets the
    same 401. The version is the highest that the station offers and the site file allows.

    Parameters
    ----------
    secrets
        Station id to password, as :func:`gridleaf.gateway.secrets.load_secrets` reads them.
    rng
        Source of the key under which passwords are kept in memory.

    Raises
    ------
    ConfigError
        A certificate file cannot be used.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        site: SiteConfig,
        clock: Clock,
        secrets: Mapping[str, str],
        rng: random.Random,
    ) -> None:
        self._gateway = gateway
        self._site = site
        self._clock = clock
        self._admission = Admission(site, secrets, clock, rng)
        self._tls = (
            TlsFiles(site.server, self._handshake_failed)
            if site.server.tls_certificate is not None or site.server.tls_key is not None
            else None
        )
        self._waiting = _Waiting()
        self._server: Server | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen; returns the bound port."""
        self._warn_of_unreachable_stations()
        server = self._site.server
        ping_s = server.ping_interval_s
        close_s = min(CLOSE_TIMEOUT_S, ping_s / 4)
        self._server = await serve(
            self._handle,
            server.ocpp_host,
            server.ocpp_port,
            process_request=self._admit,
            select_subprotocol=_negotiate,
            create_connection=cast(type[ServerConnection], self._connection),
            ssl=self._tls.context if self._tls is not None else None,
            extensions=[_DEFLATE],
            compression=None,
            server_header=None,
            logger=_quiet,
            open_timeout=HANDSHAKE_TIMEOUT_S,
            ping_interval=ping_s,
            # A silent peer is gone two intervals after it was last heard, closing included.
            ping_timeout=ping_s - close_s,
            close_timeout=close_s,
            max_size=MAX_FRAME,
            write_limit=2 * WRITE_CAP,
            backlog=BACKLOG,
        )
        if self._tls is not None:
            self._renewal = asyncio.get_running_loop().create_task(self._renew(self._tls))
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        _log.info("listening_for_stations", host=server.ocpp_host, port=port, tls=bool(self._tls))
        return port

    async def stop(self) -> None:
        """Stop listening and end every connection (1001); idempotent."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
        if self._server is not None:
            self._server.close()
            self._waiting.turn_out()
            await self._server.wait_closed()

    async def _handle(self, connection: ServerConnection) -> None:
        admitted = cast(_StationConnection, connection)
        await self._gateway.serve(SocketWire(admitted), admitted.station.id, admitted.ip)

    def _connection(self, *args: Any, **options: Any) -> ServerConnection:
        return _StationConnection(self._waiting, *args, **options)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Decide on a request before any upgrade."""
        arrived = cast(_StationConnection, connection)
        self._waiting.leave(arrived)
        tls = arrived.transport.get_extra_info("ssl_object")
        verdict = self._admission.check(
            Attempt(
                path=request.path,
                authorization=request.headers.get_all("Authorization"),
                ip=arrived.ip,
                tls=tls is not None,
                certificate_cn=common_name(tls.getpeercert()) if tls is not None else None,
            )
        )
        if isinstance(verdict, Station):
            arrived.station = verdict
            return None
        self._refused(verdict, arrived.ip)
        return _response(verdict)

    def _refused(self, refusal: Refusal, ip: str) -> None:
        self._gateway.metrics.refused[refusal.reason] += 1
        if refusal.status != 429:  # those are counted only: a flood must not become a log
            _log.warning(
                "connection_refused", station=refusal.station_id, ip=ip, reason=refusal.reason
            )
        if refusal.genuine and refusal.station_id is not None:
            self._gateway.report(refusal.station_id, f"wrong {refusal.reason}", f"from {ip}")

    def _handshake_failed(self, reason: str) -> None:
        self._gateway.metrics.refused["tls"] += 1
        _log.warning("tls_refused", reason=reason)

    async def _renew(self, tls: TlsFiles) -> None:
        while True:
            await self._clock.sleep(RENEWAL_S)
            try:
                if tls.renew():
                    _log.info("certificates_renewed")
            except ConfigError as error:
                _log.error("certificates_not_renewed", error=str(error))

    def _warn_of_unreachable_stations(self) -> None:
        possible = (1,) if self._tls is None else (2, 3)
        for station in self._site.stations:
            if station.security_profile not in possible:
                _log.warning(
                    "station_cannot_connect",
                    station=station.id,
                    security_profile=station.security_profile,
                    tls=self._tls is not None,
                )


class _Waiting:
    """Connections between TCP and upgrade: bounded in all, and for each address."""

    def __init__(self) -> None:
        self.per_ip: Counter[str] = Counter()
        self._connections: dict[ServerConnection, str] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def enter(self, connection: ServerConnection, ip: str) -> bool:
        """Take a place; False when there is none."""
        if len(self._connections) >= PENDING or self.per_ip[ip] >= PENDING_PER_IP:
            return False
        self._connections[connection] = ip
        self.per_ip[ip] += 1
        return True

    def leave(self, connection: ServerConnection) -> None:
        """Give the place to the next; idempotent."""
        ip = self._connections.pop(connection, None)
        if ip is not None:
            self.per_ip[ip] -= 1
            if not self.per_ip[ip]:
                del self.per_ip[ip]

    def turn_out(self) -> None:
        """Drop whoever is still waiting."""
        for connection in list(self._connections):
            connection.transport.abort()


class _StationConnection(ServerConnection):
    """A connection that knows its address and, once admitted, its station."""

    station: Station

    def __init__(self, waiting: _Waiting, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ip = ""
        self._waiting = waiting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.ip = peer[0] if peer else ""
        if not self._waiting.enter(self, self.ip):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.leave(self)
        super().connection_lost(exc)


def _negotiate(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol:
    allowed = cast(_StationConnection, connection).station.versions
    for version in reversed(schemas.VERSIONS):
        if version in offered and version in allowed:
            return Subprotocol(version)
    raise NegotiationError("no common OCPP version")


def _response(refusal: Refusal) -> Response:
    """The same bytes for the same status, whoever asked and whatever was wrong."""
    status = http.HTTPStatus(refusal.status)
    body = f"{status.phrase}\n".encode()
    headers = Headers(
        [
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            ("Content-Type", "text/plain; charset=utf-8"),
        ]
    )
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="ocpp", charset="UTF-8"'
    if refusal.status == 429:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after_s))
    return Response(status.value, status.phrase, headers, body)
