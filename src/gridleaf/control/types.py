"""What a control cycle sees and what it decides: frozen, complete, replayable."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Literal

from pydantic import TypeAdapter

from gridleaf.battery.curve import PowerCurve
from gridleaf.domain.events import ConnectorStatus
from gridleaf.domain.meter import SiteMeasurement

Policy = Literal["v2g", "smart", "uncontrolled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """What a vehicle's cells make of its use, from their ageing model.

    ``discharge_per_kwh`` is for each kWh given, at the grid side. From each of ``levels_kwh`` on, holding
    a kWh more costs the ``per_kwh_h`` beside it for each hour; the first holds below its level too.
    ``soh`` is the health that it holds for, ``model`` the published model; ``notes`` say what to know.
    """

    discharge_per_kwh: float
    levels_kwh: tuple[float, ...]
    per_kwh_h: tuple[float, ...]
    soh: float
    model: str
    notes: tuple[str, ...] = ()

    def held_per_h(self, energy_kwh: float) -> float:
        """What holding an energy costs per hour, against holding none [currency/h]."""
        cost = self.per_kwh_h[0] * energy_kwh
        for level, (before, after) in zip(
            self.levels_kwh[1:], pairwise(self.per_kwh_h), strict=True
        ):
            cost += (after - before) * max(energy_kwh - level, 0.0)
        return cost


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """One plugged-in vehicle as the cycle sees it. Energies in the battery [kWh]; SoC 0..1.

    ``energy_kwh`` is the best estimate now; where SoC is unknown (``soc`` None) it is relative to
    the arrival (starts at 0) and ``capacity_kwh`` is None. ``target_kwh`` and ``reserve_kwh`` are on
    the same scale. ``said_by`` tells who set the departure: ``driver``, ``operator``, ``vehicle``,
    ``history``, ``default``. ``gauged`` tells whether it is known what the vehicle really takes: it was
    told, or the meter has shown it. A power between 0 and ``charge_min_kw`` or ``discharge_min_kw`` is
    none that the vehicle can do; below ``v2x_from_kwh`` it does not want to be discharged. ``accepts``
    is what a known battery takes over its charge, at the grid side; None is an unknown one.
    ``capacity_by`` tells who knows the capacity: ``vehicle``, ``sessions``, ``site``, ``default``.
    ``discharge_left_kwh`` is what its budget leaves it to give, ``withheld`` why it gives nothing more.
    ``wear_per_kwh`` is the price of each kWh given: that of ``wear`` where the cells are known.
    """

    session_id: str
    transaction_id: str
    id_token: str | None
    vehicle: str
    arrived_at: datetime
    departure_at: datetime
    energy_kwh: float
    target_kwh: float
    reserve_kwh: float
    max_kwh: float
    capacity_kwh: float | None
    soc: float | None
    soc_at: datetime | None
    v2g: bool
    charge_max_kw: float
    discharge_max_kw: float
    gauged: bool
    wear_per_kwh: float
    charged_kwh: float
    discharged_kwh: float
    said_by: str
    charge_min_kw: float = 0.0
    discharge_min_kw: float = 0.0
    v2x_from_kwh: float = 0.0
    accepts: PowerCurve | None = None
    capacity_by: str = ""
    discharge_left_kwh: float | None = None
    withheld: str = ""
    driver_share: float = 0.0
    wear: Wear | None = None

    @property
    def floor_kwh(self) -> float:
        """Below this it is not discharged [kWh]: the driver's reserve, or the vehicle's V2X window."""
        return max(self.reserve_kwh, self.v2x_from_kwh)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseState:
    """One EVSE as the cycle sees it.

    ``power_kw`` is the measured power (signed), ``expected_kw`` the same or, while a newer setpoint
    has not shown in the meter yet, that setpoint; between ``least_kw`` and ``most_kw`` it may be
    anywhere meanwhile. ``setpoint_kw`` is the last accepted setpoint that
    has not expired. ``worst_import_kw`` and ``worst_export_kw`` are what it could do by itself until
    the next cycle (magnitudes): reserved when it is offline or does not obey. ``rung`` is the step of
    the degradation ladder it stands on; ``rate_unit``, ``stack_level``, ``purpose`` and ``dynamic`` are
    how a profile is put there. ``resting`` tells that AC charging was paused within the last
    cycle: contactors and vehicles are not made to switch more often than that. ``refuses_zero`` tells
    that it refused a setpoint of 0, ``unpausable`` that it did so again although it had taken more;
    ``stopping``, that it was asked to end its transaction.
    """

    station_id: str
    evse_id: int
    circuit: str
    current: Literal["AC", "DC"]
    phases: int
    phase: int
    min_a: float
    rate_unit: Literal["A", "W"]
    charge_max_kw: float
    discharge_max_kw: float
    charge_efficiency: float
    discharge_efficiency: float
    online: bool
    status: ConnectorStatus
    obeying: bool
    rung: int
    power_kw: float | None
    power_at: datetime | None
    setpoint_kw: float | None
    setpoint_expires_at: datetime | None
    expected_kw: float
    least_kw: float
    most_kw: float
    worst_import_kw: float
    worst_export_kw: float
    external_limit_kw: float | None
    dynamic: bool
    v2x: bool
    session: SessionState | None
    resting: bool = False
    refuses_zero: bool = False
    unpausable: bool = False
    stopping: bool = False
    stack_level: int = 1
    purpose: Literal["tx", "tx_default"] = "tx"

    @property
    def key(self) -> str:
        """``station/evse``."""
        return f"{self.station_id}/{self.evse_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known or forecast for the horizon: T steps of ``step_h`` hours from ``start``.

    Each of the rest has T numbers. ``price_known`` is False where the tariff's fallback stands in.
    ``arrivals_kw`` is what vehicles are expected to want that have not come yet; () is nobody.
    """

    start: datetime
    step_h: tuple[float, ...]
    import_price: tuple[float, ...]
    export_price: tuple[float, ...]
    price_known: tuple[bool, ...]
    load_kw: tuple[float, ...]
    pv_kw: tuple[float, ...]
    import_limit_kw: tuple[float, ...]
    export_limit_kw: tuple[float, ...]
    arrivals_kw: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    """Everything a decision depends on, and nothing else.

    ``base_kw`` is the net power of the site without its EVSEs now (load minus generation); where the
    meter is not fresh it is 0 and the static share holds instead of the limits. ``base_import_kw`` and
    ``base_export_kw`` are the same seen with caution for either limit. The ceilings are the smallest
    limits that will hold before a setpoint of now expires. ``peak_so_far_kw`` is the highest mean
    import of the billing month.
    """

    at: datetime
    site: str
    policy: Policy
    measurement: SiteMeasurement | None
    meter_fresh: bool
    base_kw: float
    base_import_kw: float
    base_export_kw: float
    grid_event: str | None
    import_limit_kw: float
    export_limit_kw: float
    import_ceiling_kw: float
    export_ceiling_kw: float
    peak_so_far_kw: float
    outlook: Outlook
    evses: tuple[EvseState, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """What one EVSE is told. ``planned_kw`` is what the plan wanted before envelope and rounding.

    ``steps`` is what goes into the profile: (seconds from the decision, kW); the first is now. The
    profile ends at ``expires_at``. ``reasons`` explain, in words, every change from plan to setpoint.
    ``stop`` tells that nothing but the end of the transaction can bring about a setpoint of 0.
    """

    station_id: str
    evse_id: int
    session_id: str
    transaction_id: str
    power_kw: float
    limit_a: float | None
    phases: int
    planned_kw: float
    steps: tuple[tuple[int, float], ...]
    expires_at: datetime
    reasons: tuple[str, ...] = ()
    stop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person should know. ``kind`` is stable, ``text`` is for reading.

    Kinds: ``will_miss_departure``, ``not_obeying``, ``meter_stale``, ``no_meter``, ``station_offline``,
    ``price_missing``, ``over_limit``, ``planner_fallback``, ``soc_unknown``, ``grid_event``,
    ``refuses_zero``, ``not_leading``, ``budget_spent``.
    """

    kind: str
    severity: Literal["info", "warning", "critical"]
    where: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """The plan of one session: signed power [kW] and battery energy [kWh] at the end of each step."""

    session_id: str
    station_id: str
    evse_id: int
    power_kw: tuple[float, ...]
    energy_kwh: tuple[float, ...]
    unmet_kwh: float
    expected_soc: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome of one cycle.

    ``method`` is ``exact``, ``shifted`` (the last plan moved on), ``rules``, ``static`` (no meter) or
    ``uncontrolled``. ``grid_kw`` is the planned net power of the site for each step of the outlook.
    ``shadow_price`` is the marginal value of a kWh at the grid connection in each step.
    """

    at: datetime
    trigger: str
    method: str
    gap: float | None
    objective_eur: float | None
    lower_bound_eur: float | None
    plan_seconds: float
    setpoints: tuple[Setpoint, ...]
    sessions: tuple[SessionPlan, ...]
    grid_kw: tuple[float, ...]
    shadow_price: tuple[float, ...]
    alerts: tuple[Alert, ...] = ()
    notes: tuple[str, ...] = field(default=())


_state: TypeAdapter[SiteState] = TypeAdapter(SiteState)
_decision: TypeAdapter[Decision] = TypeAdapter(Decision)


def state_to_json(state: SiteState) -> bytes:
    return _state.dump_json(state)


def state_from_json(data: bytes) -> SiteState:
    return _state.validate_json(data)


def decision_to_json(decision: Decision) -> bytes:
    return _decision.dump_json(decision)


def decision_from_json(data: bytes) -> Decision:
    return _decision.validate_json(data)
