"""One EVSE of a simulated station: the vehicle plugged in, its transaction, the meter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from gridleaf.domain.events import ChargingState
from gridleaf.domain.site import Evse
from gridleaf.sim.profiles import Allowance, Profile
from gridleaf.sim.vehicle import SimVehicle, ac_kw, advance

Cause = Literal["unplugged", "remote", "deauthorized", "reset", "soft_reset", "unlock", "local"]
"""Why a transaction ends."""


@dataclass(slots=True, kw_only=True)
class Transaction:
    """A transaction as the station keeps it.

    ``id`` is the station's own; ``central_id`` the number a 1.6 central system gave it. ``began`` is
    in seconds since 1970 of the station's clock. ``transfers`` are the energy transfer modes that
    were allowed (2.1). ``state`` and ``mode`` are what was last reported. ``known`` is False when the
    central system refused to hear of it: then it is not reported any further.
    """

    id: str
    id_token: str
    began: float
    remote_start_id: int | None = None
    central_id: int | None = None
    seq_no: int = 0
    transfers: tuple[str, ...] = ()
    needs_told: bool = False
    state: ChargingState = "ev_connected"
    mode: str = "ChargingOnly"
    known: bool = True

    def next_seq_no(self) -> int:
        self.seq_no += 1
        return self.seq_no - 1


@dataclass(slots=True, kw_only=True)
class Pending:
    """A remote start that waits for a vehicle until ``until`` (monotonic) [s]."""

    id_token: str
    remote_start_id: int | None
    profile: Profile | None
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the meter shows. ``amps`` has one value for each phase in use, none for DC [A]."""

    power_kw: float
    import_kwh: float
    export_kwh: float
    soc: float | None
    amps: tuple[float, ...]


class SimEvse:
    """The energy of one EVSE, integrated exactly but only when somebody asks.

    Parameters
    ----------
    allow
        What the station's profiles allow now, and until which monotonic time [s] that stands.
    """

    def __init__(
        self,
        config: Evse,
        voltage_v: float,
        allow: Callable[[SimEvse], tuple[Allowance, float]],
    ) -> None:
        self.config = config
        self.voltage_v = voltage_v
        self.vehicle: SimVehicle | None = None
        self.departure_at: datetime | None = None
        self.transaction: Transaction | None = None
        self.pending: Pending | None = None
        self.arrivals = 0
        self.available = True
        self.finished = False
        self.import_kwh = 0.0
        self.export_kwh = 0.0
        self.obeys = True
        self.frozen: Reading | None = None
        self.status_told: str | None = None
        self.allowance = Allowance(config.charge_max_kw, 0.0, None, config.phases, "", 0.0)
        self._allow = allow
        self._settled_at = 0.0
        self._stands_until = 0.0
        self._allowed_kw = 0.0

    @property
    def id(self) -> int:
        return self.config.id

    @property
    def bidirectional(self) -> bool:
        return self.config.discharge_max_kw > 0

    @property
    def transfers(self) -> tuple[str, ...]:
        """The energy transfer modes this EVSE and its vehicle could use (OCPP 2.1)."""
        if self.config.current == "AC":
            return ("AC_three_phase" if self.config.phases == 3 else "AC_single_phase",)
        able = self.bidirectional and (self.vehicle is None or self.vehicle.discharge_max_kw > 0)
        return ("DC", "DC_BPT") if able else ("DC",)

    def settle(self, now: float) -> None:
        """Bring the energy up to ``now`` (monotonic) [s]."""
        while self._settled_at < now:
            end = min(now, self._stands_until)
            if self.vehicle is not None and end > self._settled_at:
                self.vehicle, imported, exported = advance(
                    self.vehicle, self._allowed_kw, end - self._settled_at
                )
                self.import_kwh += imported
                self.export_kwh += exported
            self._settled_at = end
            if end >= self._stands_until:
                self.revise()

    def start_at(self, now: float) -> None:
        """Time begins for this EVSE."""
        self._settled_at = now
        self.revise()

    @property
    def settled_at(self) -> float:
        return self._settled_at

    def revise(self) -> None:
        """Ask anew what is allowed; everything before must be settled."""
        if self.vehicle is None or self.transaction is None:
            self._allowed_kw, self._stands_until = 0.0, float("inf")
            return
        self.allowance, until = self._allow(self)
        # an answer stands for a moment at least: rounding must not stop the time
        self._stands_until = max(until, self._settled_at + 1e-3)
        hardware = self.config.charge_max_kw
        target = self.allowance.target_kw if self.obeys else hardware
        if self.config.current == "AC" and target > 0:
            phases = self.allowance.phases if self.obeys else self.config.phases
            limit_a = target * 1000 / (self.voltage_v * phases)
            target = ac_kw(self.vehicle, limit_a, phases, self.voltage_v)
        self._allowed_kw = target

    def reading(self) -> Reading:
        """What the meter shows at the time that was last settled."""
        if self.frozen is not None:
            return self.frozen
        vehicle = self.vehicle
        power = 0.0 if vehicle is None else vehicle.power_kw
        amps: tuple[float, ...] = ()
        if self.config.current == "AC":
            phases = self.phases_used
            amps = (abs(power) * 1000 / (self.voltage_v * phases),) * phases
        return Reading(
            power_kw=power,
            import_kwh=self.import_kwh,
            export_kwh=self.export_kwh,
            soc=vehicle.soc if vehicle is not None and vehicle.reports_soc else None,
            amps=amps,
        )

    @property
    def phases_used(self) -> int:
        if self.vehicle is None:
            return self.config.phases
        return min(self.allowance.phases, self.vehicle.ac_phases)

    @property
    def state(self) -> ChargingState:
        """Charging (in either direction), or who holds it back."""
        vehicle = self.vehicle
        if vehicle is None or self.transaction is None:
            return "idle"
        if self._allowed_kw == 0.0 and vehicle.power_kw == 0.0:
            return "suspended_evse"
        able = not vehicle.full if self._allowed_kw > 0 else not vehicle.empty
        return "charging" if able or vehicle.power_kw != 0.0 else "suspended_ev"

    @property
    def occupied(self) -> bool:
        return self.vehicle is not None

    def forget_status(self) -> None:
        """The status did not get through: it is to be told again."""
        self.status_told = None

    def open_contactor(self) -> None:
        """The vehicle neither takes nor gives from now on."""
        if self.vehicle is not None:
            self.vehicle = replace(self.vehicle, power_kw=0.0)
