"""OCPP 1.6J, 2.0.1 and 2.1 without sockets.

:class:`~gridleaf.ocpp.peer.Peer` drives one side of a connection over any
:class:`~gridleaf.ocpp.wire.Wire`; a dialect is what the central system says and understands in the
negotiated version.
"""

from __future__ import annotations

from typing import Final

from gridleaf.ocpp.csms import Dialect, Host
from gridleaf.ocpp.v16 import V16
from gridleaf.ocpp.v21 import V21
from gridleaf.ocpp.v201 import V201

_DIALECTS: Final = {kind.version: kind for kind in (V16, V201, V21)}


def dialect(version: str, host: Host) -> Dialect:
    """The central system's half of ``ocpp1.6``, ``ocpp2.0.1`` or ``ocpp2.1`` for one station."""
    return _DIALECTS[version](host)
