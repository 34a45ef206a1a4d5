"""OCPP 2.0.1 as the central system speaks it; all of it is in :mod:`gridleaf.ocpp.v2`."""

from __future__ import annotations

from typing import ClassVar

from gridleaf.ocpp.v2 import V2


class V201(V2):
    """The central system's half of OCPP 2.0.1 for one station."""

    version: ClassVar[str] = "ocpp2.0.1"
