"""What a replay found: frozen values, as JSON for programs and for the report."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from gridleaf.control.types import Policy
from gridleaf.replay.quality import DataQuality

MODES: tuple[Policy, ...] = ("uncontrolled", "smart", "v2g")
"""The order in which modes are run and shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitResult:
    """One visit in one mode. Energies at the grid side [kWh], SoC 0..1.

    ``unmet_kwh`` is what is missing at departure of the energy that was wanted and reachable.
    ``energy_cost_eur`` values the visit's own import and export at the site's prices. ``soc`` holds
    the state of charge at the start of each metering interval from ``first_interval`` on (at
    arrival for the first), and at departure.
    """

    visit_id: str
    vehicle: str
    arrived_at: datetime
    departed_at: datetime
    charged_kwh: float
    discharged_kwh: float
    unmet_kwh: float
    reachable_kwh: float
    energy_cost_eur: float
    equivalent_full_cycles: float
    departure_soc: float
    first_interval: int
    soc: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleLife:
    """What a mode took from one vehicle's battery, by the full ageing model, as money.

    ``calendar_eur`` and ``cycling_eur`` add up to ``eur``. ``outside`` is the share of the time outside
    what the model was fitted to, for these ``reasons``.
    """

    vehicle: str
    eur: float
    calendar_eur: float
    cycling_eur: float
    outside: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeResult:
    """A replay in one mode. ``grid_kw`` is the mean power of each metering interval (+ imports).

    ``limit_violations`` counts minutes in which the mean power of the site or of a circuit, by the
    stations' registers, was above its limit by more than the tolerance; ``worst_excess_kw`` by how
    much at most. ``demand_cost_eur`` is pro rata where a month is not covered whole.

    ``wear_cost_eur`` is what was planned with: a flat price of each kWh discharged, or, where the vehicles
    have a battery, the cost of their life. ``lives`` are scored by the full ageing model in either case.
    """

    mode: Policy
    sessions: int
    charged_kwh: float
    discharged_kwh: float
    unmet_kwh: float
    energy_cost_eur: float
    demand_cost_eur: float
    wear_cost_eur: float
    peak_kw: float
    limit_violations: int
    worst_excess_kw: float
    equivalent_full_cycles: float
    ready_on_time: int
    cycles: int
    messages: int
    grid_kw: tuple[float, ...]
    visits: tuple[VisitResult, ...]
    lives: tuple[VehicleLife, ...] = ()

    @property
    def life_cost_eur(self) -> float:
        """What it took from all batteries."""
        return sum(life.eur for life in self.lives)

    @property
    def life_calendar_eur(self) -> float:
        """The part of it that time took."""
        return sum(life.calendar_eur for life in self.lives)

    @property
    def life_cycling_eur(self) -> float:
        """The part of it that cycles took."""
        return sum(life.cycling_eur for life in self.lives)

    @property
    def outside_fitted_range(self) -> float:
        """Mean share of the time outside what the ageing model was fitted to."""
        return sum(life.outside for life in self.lives) / max(len(self.lives), 1)

    @property
    def total_cost_eur(self) -> float:
        return self.energy_cost_eur + self.demand_cost_eur + self.wear_cost_eur


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """All modes of one replay. Prices are per kWh, one per metering interval from ``start``."""

    site: str
    timezone: str
    currency: str
    start: datetime
    end: datetime
    interval_h: float
    import_price: tuple[float, ...]
    export_price: tuple[float, ...]
    import_limit_kw: float
    export_limit_kw: float
    evses: int
    data_quality: DataQuality
    price_notes: tuple[str, ...]
    assumptions: tuple[str, ...]
    modes: tuple[ModeResult, ...]
    command: str = ""

    def mode(self, name: Policy) -> ModeResult:
        """The result of a mode that was run; raises KeyError otherwise."""
        for result in self.modes:
            if result.mode == name:
                return result
        raise KeyError(name)


def to_json(result: ReplayResult) -> dict[str, Any]:
    """The result as one JSON object; figures rounded to a tenth of a Wh and a hundredth of a cent."""
    quality = result.data_quality
    return {
        "site": result.site,
        "timezone": result.timezone,
        "currency": result.currency,
        "start": result.start.isoformat(),
        "end": result.end.isoformat(),
        "evses": result.evses,
        "import_limit_kw": result.import_limit_kw,
        "export_limit_kw": result.export_limit_kw,
        "data_quality": {
            "source": quality.source,
            "preset": quality.preset,
            "timezone": quality.timezone,
            "rows": quality.rows,
            "used": quality.used,
            "findings": [
                {
                    "kind": f.kind,
                    "meaning": f.meaning,
                    "outcome": f.outcome,
                    "count": f.count,
                    "examples": list(f.examples),
                }
                for f in quality.findings
            ],
            "notes": list(quality.notes),
            "price_notes": list(result.price_notes),
        },
        "assumptions": list(result.assumptions),
        "modes": {mode.mode: _mode(mode) for mode in result.modes},
        "command": result.command,
    }


def _mode(mode: ModeResult) -> dict[str, Any]:
    figures = {
        field.name: getattr(mode, field.name)
        for field in fields(mode)
        if field.name not in ("mode", "grid_kw", "visits", "lives")
    }
    figures["total_cost_eur"] = mode.total_cost_eur
    for name in (
        "life_cost_eur",
        "life_calendar_eur",
        "life_cycling_eur",
        "outside_fitted_range",
    ):
        figures[name] = getattr(mode, name)
    figures["vehicles"] = [
        {"vehicle": name} | _rounded(sums) for name, sums in by_vehicle(mode).items()
    ]
    return _rounded(figures)


def by_vehicle(mode: ModeResult) -> dict[str, dict[str, float]]:
    """Sums over the visits of each vehicle, in the order of first arrival."""
    lives = {life.vehicle: life for life in mode.lives}
    sums: dict[str, dict[str, float]] = {}
    for visit in mode.visits:
        own = sums.setdefault(
            visit.vehicle,
            {
                "sessions": 0,
                "charged_kwh": 0.0,
                "discharged_kwh": 0.0,
                "unmet_kwh": 0.0,
                "energy_cost_eur": 0.0,
                "equivalent_full_cycles": 0.0,
                "life_cost_eur": lives[visit.vehicle].eur if visit.vehicle in lives else 0.0,
                "outside_fitted_range": (
                    lives[visit.vehicle].outside if visit.vehicle in lives else 0.0
                ),
            },
        )
        own["sessions"] += 1
        own["charged_kwh"] += visit.charged_kwh
        own["discharged_kwh"] += visit.discharged_kwh
        own["unmet_kwh"] += visit.unmet_kwh
        own["energy_cost_eur"] += visit.energy_cost_eur
        own["equivalent_full_cycles"] += visit.equivalent_full_cycles
    return sums


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}
