"""Slowing down whoever guesses passwords, without locking out the station that owns one.

Failures fill leaky buckets: one for each address, one for each pair of address and identity, one
for each identity. A full bucket of an address or a pair refuses until it has leaked. A full bucket
of an identity means that many addresses guess at it: it refuses nobody by itself (the genuine
station would be the victim) but leaves every address a single guess instead of five.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from gridleaf.domain.clock import Clock

_ADDRESS_BURST, _ADDRESS_LEAK_S = 20, 5.0
_PAIR_BURST, _PAIR_LEAK_S = 5, 30.0
_IDENTITY_BURST, _IDENTITY_LEAK_S = 20, 30.0


class _Buckets:
    """Levels that rise by one for each failure and leak one every ``leak_s``; the oldest give way."""

    def __init__(self, leak_s: float, size: int) -> None:
        self._leak_s = leak_s
        self._size = size
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def level(self, key: str, now: float) -> float:
        level, since = self._levels.get(key, (0.0, now))
        return max(0.0, level - (now - since) / self._leak_s)

    def add(self, key: str, now: float) -> None:
        self._levels[key] = (self.level(key, now) + 1.0, now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._size:
            self._levels.popitem(last=False)

    def empty(self, key: str) -> None:
        self._levels.pop(key, None)

    def wait_s(self, key: str, burst: int, now: float) -> float:
        """Until one more failure would fit under ``burst`` [s]."""
        return max(0.0, (self.level(key, now) + 1.0 - burst) * self._leak_s)


class Backoff:
    """Failed attempts to come in, by address and by identity, in bounded memory.

    Parameters
    ----------
    size
        How many addresses, pairs and identities are remembered at most, each.
    """

    def __init__(self, clock: Clock, size: int = 4096) -> None:
        self._clock = clock
        self._addresses = _Buckets(_ADDRESS_LEAK_S, size)
        self._pairs = _Buckets(_PAIR_LEAK_S, size)
        self._identities = _Buckets(_IDENTITY_LEAK_S, size)

    def __len__(self) -> int:
        return len(self._addresses) + len(self._pairs) + len(self._identities)

    def wait_s(self, ip: str, identity: str) -> float:
        """How long this address must wait before it may try this identity [s]; 0 is now."""
        now = self._clock.monotonic()
        address = _network(ip)
        besieged = self._identities.wait_s(identity, _IDENTITY_BURST, now) > 0
        return max(
            self._addresses.wait_s(address, _ADDRESS_BURST, now),
            self._pairs.wait_s(f"{address} {identity}", 1 if besieged else _PAIR_BURST, now),
        )

    def failed(self, ip: str, identity: str | None) -> None:
        """Count a failure; ``identity`` None is a request that named no possible station."""
        now = self._clock.monotonic()
        address = _network(ip)
        self._addresses.add(address, now)
        if identity is not None:
            self._pairs.add(f"{address} {identity}", now)
            self._identities.add(identity, now)

    def succeeded(self, ip: str, identity: str) -> None:
        """Forget what this address did wrong with this identity; its other failures stay."""
        self._pairs.empty(f"{_network(ip)} {identity}")


def _network(ip: str) -> str:
    """The address, or for IPv6 the /64 that one subscriber is given."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv4Address):
        return ip
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
