"""The station's half of OCPP 2.0.1."""

from __future__ import annotations

from gridleaf.sim.dialect2x import Dialect2x


class Dialect201(Dialect2x):
    """2.0.1 has no discharging of its own; everything it knows is common to 2.x."""

    version = "ocpp2.0.1"
    model_name = "Simulated 2.0.1"
