"""The books of a site: what energy cost, and what charging without any control would have cost.

The counterfactual is honest to the vehicles: each one charges at its full power from arrival until it
has the energy that its target asks for, whatever the limits say. Building and generation are the same
in both.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gridleaf.control.live import LiveSite
from gridleaf.control.problem import charge_bound_kw
from gridleaf.control.types import SiteState

LONGEST_STEP = timedelta(minutes=30)
"""A gap longer than this is not accounted for: nobody knows what happened in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums since ``since``; energies [kWh], money in the site's currency."""

    since: datetime
    energy_cost: float = 0.0
    uncontrolled_energy_cost: float = 0.0
    charged_kwh: float = 0.0
    discharged_kwh: float = 0.0
    hours: float = 0.0


class Accounts:
    """Integrates a site's power and prices between the instants it is shown."""

    def __init__(self, site_timezone: str) -> None:
        self._zone = ZoneInfo(site_timezone)
        self._last_at: datetime | None = None
        self.today: Totals | None = None
        self.total: Totals | None = None
        self.grid_kw = 0.0
        self.uncontrolled_grid_kw = 0.0

    def tick(self, state: SiteState, live: LiveSite) -> None:
        """Account for the time since the last tick at the powers and prices of ``state``."""
        at, last = state.at, self._last_at
        self._last_at = at
        midnight = at.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.total is None or self.today is None:
            self.total = self.total or Totals(since=at)
            self.today = self.today or Totals(since=at)
        if self.today.since < midnight:
            self.today = Totals(since=midnight.astimezone(at.tzinfo))
        if last is None or at <= last or at - last > LONGEST_STEP:
            return
        hours = (at - last) / timedelta(hours=1)
        buy, sell = state.outlook.import_price[0], state.outlook.export_price[0]
        charging = discharging = virtual = net = 0.0
        metered = state.measurement.grid_kw if state.measurement and state.meter_fresh else None
        for evse in state.evses:
            power = evse.expected_kw if evse.power_kw is None else evse.power_kw
            net += power
            charging += max(power, 0.0)
            discharging += max(-power, 0.0)
        self.grid_kw = metered if metered is not None else state.base_kw + net
        marginal = buy if self.grid_kw >= 0 else sell
        for evse in state.evses:
            seen = evse.session
            session = live.sessions.get(seen.session_id) if seen is not None else None
            if seen is None or session is None:
                continue
            power = evse.expected_kw if evse.power_kw is None else evse.power_kw
            session.cost_eur += power * marginal * hours
            into, out_of = evse.charge_efficiency, evse.discharge_efficiency
            arrival = seen.energy_kwh - seen.charged_kwh * into + seen.discharged_kwh / out_of
            wanted = max(seen.target_kwh - arrival, 0.0) / into - session.uncontrolled_kwh
            taken = min(charge_bound_kw(evse, seen) * hours, max(wanted, 0.0))
            session.uncontrolled_kwh += taken
            virtual += taken / hours
            session.uncontrolled_cost_eur += taken * buy
        self.uncontrolled_grid_kw = self.grid_kw - net + virtual
        change = Totals(
            since=at,
            energy_cost=_cost(self.grid_kw, buy, sell) * hours,
            uncontrolled_energy_cost=_cost(self.uncontrolled_grid_kw, buy, sell) * hours,
            charged_kwh=charging * hours,
            discharged_kwh=discharging * hours,
            hours=hours,
        )
        self.today, self.total = _add(self.today, change), _add(self.total, change)


def _cost(grid_kw: float, buy: float, sell: float) -> float:
    return grid_kw * (buy if grid_kw >= 0 else sell)


def _add(a: Totals, b: Totals) -> Totals:
    sums = {name: value + getattr(b, name) for name, value in asdict(a).items() if name != "since"}
    return replace(a, **sums)
