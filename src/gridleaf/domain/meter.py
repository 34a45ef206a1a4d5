"""Measured values in gridleaf's units."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSample:
    """One sampled value of a station's meter, converted to gridleaf's units.

    Attributes
    ----------
    measured_at
        When the station says it was measured (aware, UTC).
    measurand
        OCPP 2.1 name, e.g. ``Power.Active.Import``, ``Energy.Active.Export.Register``, ``SoC``.
        Export measurands keep their name and a value >= 0.
    value
        In kW, kWh, kvar, kvarh, A, V, Hz, degC; SoC and percentages as 0..1.
    unit
        The unit of ``value``: ``kW``, ``kWh``, ``kvar``, ``kvarh``, ``kVA``, ``A``, ``V``, ``Hz``,
        ``degC``, ``1`` (a fraction), or the station's own for what we do not convert.
    phase
        ``L1``, ``L2``, ``L3``, ``L1-N``, ``L1-L2`` ...; None is the sum or not phase-related.
    context
        OCPP reading context, e.g. ``Sample.Periodic``, ``Transaction.Begin``, ``Transaction.End``.
    location
        OCPP location, e.g. ``Outlet``, ``EV``, ``Inlet``.
    raw
        The value and unit exactly as the station sent them, for the record.
    """

    measured_at: datetime
    measurand: str
    value: float
    unit: str
    phase: str | None = None
    context: str = "Sample.Periodic"
    location: str = "Outlet"
    raw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteMeasurement:
    """The site's own signals at one instant; what is not measured is None.

    Attributes
    ----------
    measured_at
        When it was measured (aware, UTC).
    grid_kw
        Power at the grid connection [kW]; + imports, - exports.
    pv_kw
        Generation [kW], >= 0.
    load_kw
        Building load without chargers and without generation [kW].
    source
        Where it came from: ``mqtt``, ``modbus``, ``api``, ``sim``.
    grid_phase_a
        Current per phase at the grid connection [A], + imports, when the meter has it.
    """

    measured_at: datetime
    grid_kw: float | None = None
    pv_kw: float | None = None
    load_kw: float | None = None
    source: str = "api"
    grid_phase_a: tuple[float, float, float] | None = None
