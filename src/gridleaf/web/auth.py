"""Who may come in: people with a password, programs with a token, browsers with a session cookie.

Passwords are kept as argon2id (RFC 9106). Tokens are random, so a keyed BLAKE2b (RFC 7693) of them is
enough. The session cookie is signed with the same primitive; the keys are random and live in the
store. A cookie ends with its account: it carries a fingerprint of the account's secret.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import GridleafError
from gridleaf.domain.site import same_token
from gridleaf.store.port import Account, Store

Role = Literal["viewer", "driver", "operator"]

SESSION_LIFE = timedelta(hours=12)
FREE_ATTEMPTS = 5
LONGEST_WAIT_S = 900.0
MOST_PEERS = 10_000
_HASHER = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)
_DECOY = (
    "$argon2id$v=19$m=65536,t=3,p=4$FM4upSqSLc13BCwM7eTcDw$9LzWvS"
    "c9VAYGMPvSVNKB1lz+NfqVnqrH3fybdL2dUbM"
)
"""What an unknown name is checked against, so that it takes as long as a wrong password."""

log = structlog.get_logger()


class Throttled(GridleafError):
    """Too many failed sign-ins from one address; try again after ``wait_s`` [s]."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many failed attempts, try again in {wait_s:.0f} s")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking. A driver's name is the id token of the vehicle, and its sessions are his own.

    Whoever came with a session cookie has the end of that session and the fingerprint of the
    account's secret at the time.
    """

    name: str
    role: Role
    expires_at: datetime | None = None
    fingerprint: str = ""

    @property
    def operates(self) -> bool:
        return self.role == "operator"

    @property
    def watches(self) -> bool:
        """May see everything."""
        return self.role in ("operator", "viewer")

    def owns(self, id_token: str | None) -> bool:
        if self.role != "driver" or id_token is None:
            return False
        return same_token(id_token) == same_token(self.name)


class Accounts:
    """The accounts of a store, and the proofs that people, programs and browsers bring.

    Parameters
    ----------
    store
        Keeps the accounts and the signing keys.
    clock
        Time for expiry and throttling: the time people live in, not a simulated one.
    random_token
        Gives a fresh unguessable text (32 random bytes, URL-safe).
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        random_token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random_token
        self._one_at_a_time = asyncio.Semaphore(1)
        self._keys: dict[str, bytes] = {}
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    # -- keeping accounts --

    async def add_person(self, name: str, role: Role, password: str) -> None:
        """Add a person, or give an existing one a new password and role."""
        await self._save(name, "person", role, _HASHER.hash(password))

    async def add_token(self, name: str, role: Role) -> str:
        """Add a program (or renew its token); the token is returned once and kept only as a hash."""
        secret = self._random()
        await self._save(name, "token", role, await self._mac("token", secret.encode()))
        return f"{name}.{secret}"

    async def _save(
        self, name: str, kind: Literal["person", "token"], role: Role, secret_hash: str
    ) -> None:
        await self._store.save_account(
            Account(
                name=name,
                kind=kind,
                role=role,
                secret_hash=secret_hash,
                created_at=self._clock.now(),
            )
        )

    async def empty(self) -> bool:
        """Nobody can sign in yet."""
        return not any(account.kind == "person" for account in await self._store.accounts())

    # -- checking proofs --

    async def by_password(self, name: str, password: str, peer: str) -> Principal | None:
        """The person, or None; raises :class:`Throttled` after repeated failures of ``peer``.

        An unknown name takes as long as a wrong password.
        """
        account = await self._store.account(name) if plain_name(name) else None
        known = account is not None and account.kind == "person"
        expected = account.secret_hash if account is not None and known else _DECOY
        async with self._one_at_a_time:  # a hash takes 64 MiB; a crowd must not take them all
            self._may_try(peer)
            fits = await asyncio.get_running_loop().run_in_executor(
                None, _verify, expected, password
            )
            if not fits or not known:
                self._failed(peer)
        if account is None or not known or not fits:
            log.warning("sign_in_refused", peer=peer)
            return None
        self._failures.pop(_network(peer), None)
        log.info("signed_in", name=name, role=account.role, peer=peer)
        return Principal(name=name, role=account.role)

    async def by_token(self, token: str) -> Principal | None:
        """The program that this token was given to, or None."""
        name, dot, secret = token.rpartition(".")
        account = await self._store.account(name) if dot and plain_name(name) else None
        known = account is not None and account.kind == "token"
        given = await self._mac("token", secret.encode())
        expected = account.secret_hash if account is not None and known else ""
        if not hmac.compare_digest(given, expected) or account is None:
            return None
        return Principal(name=name, role=account.role)

    async def open_session(self, principal: Principal) -> str:
        """A cookie for a person who has just signed in."""
        account = await self._store.account(principal.name)
        if account is None:
            raise KeyError(principal.name)
        claim = {
            "name": account.name,
            "until": (self._clock.now() + SESSION_LIFE).isoformat(),
            "secret": _fingerprint(account.secret_hash),
        }
        body = base64.urlsafe_b64encode(json.dumps(claim).encode()).decode()
        return f"{body}.{await self._mac('session', body.encode())}"

    async def by_cookie(self, cookie: str) -> Principal | None:
        """The person behind a session cookie; None when it is forged, over or the account changed."""
        body, _, signature = cookie.partition(".")
        if not signature.isascii() or not body.isascii():
            return None
        if not hmac.compare_digest(await self._mac("session", body.encode()), signature):
            return None
        try:
            claim = json.loads(base64.urlsafe_b64decode(body))
        except (binascii.Error, ValueError):
            return None
        until = datetime.fromisoformat(claim["until"])
        if self._clock.now() >= until:
            return None
        account = await self._store.account(claim["name"])
        if account is None or _fingerprint(account.secret_hash) != claim["secret"]:
            return None
        return Principal(
            name=account.name, role=account.role, expires_at=until, fingerprint=claim["secret"]
        )

    async def still_welcome(self, principal: Principal) -> bool:
        """Whether the session of an open page goes on: not over, and the account is what it was."""
        if principal.expires_at is None:
            return True
        if self._clock.now() >= principal.expires_at:
            return False
        account = await self._store.account(principal.name)
        return (
            account is not None
            and account.role == principal.role
            and _fingerprint(account.secret_hash) == principal.fingerprint
        )

    # -- inside --

    async def _mac(self, use: str, data: bytes) -> str:
        key = self._keys.get(use)
        if key is None:
            kept = await self._store.value(f"web.{use}_key")
            if kept is None:
                kept = secrets.token_hex(32)
                await self._store.save_value(f"web.{use}_key", kept)
            key = self._keys[use] = bytes.fromhex(kept)
        return hashlib.blake2b(data, key=key, digest_size=32).hexdigest()

    def _may_try(self, peer: str) -> None:
        failures, last = self._failures.get(_network(peer), (0, 0.0))
        if failures >= FREE_ATTEMPTS:
            wait = min(2.0 ** (failures - FREE_ATTEMPTS), LONGEST_WAIT_S)
            left = last + wait - self._clock.monotonic()
            if left > 0:
                raise Throttled(left)

    def _failed(self, peer: str) -> None:
        network = _network(peer)
        failures, _ = self._failures.pop(network, (0, 0.0))
        self._failures[network] = (failures + 1, self._clock.monotonic())
        while len(self._failures) > MOST_PEERS:
            self._failures.popitem(last=False)


def _verify(expected: str, password: str) -> bool:
    try:
        return _HASHER.verify(expected, password)
    except (VerificationError, InvalidHashError):
        return False


def _network(peer: str) -> str:
    """The address, or the /64 of an IPv6 address: one household or server has a whole one."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return peer


def _fingerprint(secret_hash: str) -> str:
    return hashlib.blake2b(secret_hash.encode(), digest_size=8).hexdigest()


def plain_name(name: str) -> bool:
    """Whether an account may be called so: 1 to 255 printable characters."""
    return 0 < len(name) <= 255 and name.isprintable()
