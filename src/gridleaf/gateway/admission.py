"""Who may connect: decided from the request alone, before any upgrade and without sockets.

Security profiles of OCPP (2.0.1 part 2, use case A00; 1.6 security whitepaper): 1 is HTTP Basic on
a plain connection, 2 is HTTP Basic over TLS, 3 is a client certificate over TLS.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import TypeAdapter, ValidationError

from gridleaf.domain.clock import Clock
from gridleaf.domain.site import Identity, SiteConfig, Station
from gridleaf.gateway.backoff import Backoff

PREFIX = "/ocpp/"
_identity: TypeAdapter[str] = TypeAdapter(Identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request to connect, as it arrived.

    ``authorization`` holds every header of that name; ``certificate_cn`` is the common name of a
    client certificate that TLS has verified.
    """

    path: str
    authorization: Sequence[str]
    ip: str
    tls: bool = False
    certificate_cn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an attempt is refused. ``status`` is all the peer learns; ``reason`` is for us.

    ``genuine`` tells that the peer proved to be somebody, so that the refusal is a security event
    and not just noise from the network.
    """

    status: int
    reason: str
    station_id: str | None = None
    retry_after_s: float = 0.0
    genuine: bool = False


class Admission:
    """Checks attempts against the stations of a site.

    Passwords are kept as BLAKE2b digests under a key of this process. An unknown identity is
    checked against a digest nobody knows, so that it costs what a known one costs.

    Parameters
    ----------
    secrets
        Station id to password.
    rng
        Source of the key.
    """

    def __init__(
        self, site: SiteConfig, secrets: Mapping[str, str], clock: Clock, rng: random.Random
    ) -> None:
        self._stations = {station.id: station for station in site.stations}
        self._key = rng.randbytes(32)
        self._unknown = (rng.randbytes(32), rng.randbytes(32))
        self._digests = {name: self._expected(secret) for name, secret in secrets.items()}
        self._backoff = Backoff(clock)

    def check(self, attempt: Attempt) -> Station | Refusal:
        """The station that may connect, or why not. Counts failures against address and identity."""
        identity = self._identity_of(attempt)
        if isinstance(identity, Refusal):
            return identity
        wait_s = self._backoff.wait_s(attempt.ip, identity)
        if wait_s > 0:
            return Refusal(status=429, reason="backoff", station_id=identity, retry_after_s=wait_s)
        password_right = self._password_right(identity, attempt.authorization)
        refusal = self._judge(identity, attempt, password_right)
        if refusal is not None:
            self._backoff.failed(attempt.ip, identity)
            return refusal
        self._backoff.succeeded(attempt.ip, identity)
        return self._stations[identity]

    def _identity_of(self, attempt: Attempt) -> str | Refusal:
        """The identity in the path, percent-decoded once (OCPP-J part 4, 3.1.1)."""
        if not attempt.path.startswith(PREFIX):
            self._backoff.failed(attempt.ip, None)
            return Refusal(status=404, reason="path")
        try:
            identity = _identity.validate_python(
                unquote(attempt.path.removeprefix(PREFIX), errors="strict")
            )
        except (UnicodeDecodeError, ValidationError):
            identity = ""
        if identity in ("", ".", ".."):
            self._backoff.failed(attempt.ip, None)
            return Refusal(status=400, reason="identity")
        return identity

    def _judge(self, identity: str, attempt: Attempt, password_right: bool) -> Refusal | None:
        station = self._stations.get(identity)
        if station is None:
            return Refusal(status=401, reason="credentials", station_id=identity)
        certificate_right = attempt.certificate_cn == (station.client_cn or station.id)
        if station.security_profile == 3 and certificate_right:
            return None
        if station.security_profile == 3 and attempt.certificate_cn is not None:
            return Refusal(status=401, reason="certificate", station_id=identity, genuine=True)
        if not password_right:
            return Refusal(status=401, reason="credentials", station_id=identity)
        if station.security_profile == (2 if attempt.tls else 1):
            return None
        return Refusal(status=401, reason="profile", station_id=identity, genuine=True)

    def _password_right(self, identity: str, authorization: Sequence[str]) -> bool:
        """Compares in constant time, also where there is nothing to compare with."""
        password = _password(identity, authorization)
        given = self._digest(password)
        text, binary = self._digests.get(identity, self._unknown)
        as_text = hmac.compare_digest(given, text)
        as_binary = hmac.compare_digest(given, binary)
        return password != b"" and (as_text or as_binary)

    def _expected(self, secret: str) -> tuple[bytes, bytes]:
        """Digests of the two forms in which a station may send its password.

        A 1.6 AuthorizationKey is 40 hexadecimal digits that stand for 20 bytes; stations send those
        bytes (OCPP-J 1.6, 6.2), or the digits themselves.
        """
        text = self._digest(secret.encode())
        try:
            return text, self._digest(bytes.fromhex(secret)) if len(secret) == 40 else text
        except ValueError:
            return text, text

    def _digest(self, password: bytes) -> bytes:
        return hashlib.blake2b(password, key=self._key, digest_size=32).digest()


def _password(identity: str, authorization: Sequence[str]) -> bytes:
    """The password of Basic credentials whose user is ``identity``; empty for anything else.

    An identity may hold colons, so the user name is not simply what stands before the first one.
    """
    if len(authorization) != 1:
        return b""
    scheme, _, credentials = authorization[0].partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
    user = f"{identity}:".encode()
    return decoded.removeprefix(user) if decoded.startswith(user) else b""
