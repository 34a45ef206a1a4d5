"""The books of a site: what energy cost, and what charging without any control would have cost.

The counterfactual is what the same site could do without gridleaf: full power at once under plain
static load management. Each vehicle charges with all it can take from arrival until it has the energy
that its target asks for. Where that is more than a circuit or the grid limit of the moment leaves
beside the building, all below it are scaled down in proportion, and what they could not get waits.
Building and generation are the same in both worlds, and in each a kWh more or less is worth what it
is in that world: the import price while its site imports, the export price while it exports. Fuses,
which are limits by phase, do not bind the counterfactual.

Energy that was sold in the evening and will be bought back at night is no gain yet. So a vehicle owes
what it would have to draw to be where it is in the counterfactual, losses included, and never less
than nothing; the debt is valued at the cheapest hours before its departure in which the limits leave
it room, and belongs to the costs. The sums take up every change of a debt; with what a vehicle still
owes when it leaves, it leaves short of the counterfactual, and that stays a cost.

Life is money too. Wear of the discharged energy is a cost; and where a vehicle's cells are known, so is
what holding its charge costs more than holding that of the counterfactual would. A vehicle that is
charged late holds less, and then this is below nothing.

What discharging alone has added is counted beside it for each session (:mod:`gridleaf.control.gain`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gridleaf.control.limits import Node, path_to_grid, tree
from gridleaf.control.live import LiveSite
from gridleaf.control.problem import charge_bound_kw
from gridleaf.control.session import LiveSession
from gridleaf.control.types import EvseState, Outlook, SessionState, SiteState

LONGEST_STEP = timedelta(minutes=30)
"""A gap longer than this is not accounted for: nobody knows what happened in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums since ``since``; energies [kWh], money in the site's currency.

    ``owed_cost`` is by how much the debts of vehicles have grown since then, ``dwell_cost`` what holding
    charge cost more than it would have without control.
    """

    since: datetime
    energy_cost: float = 0.0
    wear_cost: float = 0.0
    owed_cost: float = 0.0
    dwell_cost: float = 0.0
    uncontrolled_energy_cost: float = 0.0
    charged_kwh: float = 0.0
    discharged_kwh: float = 0.0
    hours: float = 0.0

    @property
    def cost(self) -> float:
        """Everything but the demand charge; to be held against ``uncontrolled_energy_cost``."""
        return self.energy_cost + self.life_cost + self.owed_cost

    @property
    def life_cost(self) -> float:
        """What the batteries lost more than they would have without control."""
        return self.wear_cost + self.dwell_cost


@dataclass(frozen=True, slots=True)
class _Guest:
    """A session at its EVSE, as the state shows it and as the books keep it."""

    evse: EvseState
    seen: SessionState
    books: LiveSession

    @property
    def still_wanted_kwh(self) -> float:
        """What the counterfactual has yet to charge, at the grid side [kWh]."""
        missing = max(self.seen.target_kwh - self.arrival_kwh, 0.0)
        return max(missing / self.evse.charge_efficiency - self.books.uncontrolled_kwh, 0.0)

    @property
    def arrival_kwh(self) -> float:
        """What was in the battery at arrival [kWh]."""
        into, out_of = self.evse.charge_efficiency, self.evse.discharge_efficiency
        seen = self.seen
        return seen.energy_kwh - seen.charged_kwh * into + seen.discharged_kwh / out_of

    @property
    def held_per_h(self) -> float:
        """What its charge costs by the hour more than that of the counterfactual, by its cells."""
        wear = self.seen.wear
        if wear is None:
            return 0.0
        plain = self.arrival_kwh + self.books.uncontrolled_kwh * self.evse.charge_efficiency
        return wear.held_per_h(self.seen.energy_kwh) - wear.held_per_h(plain)

    @property
    def round_trip(self) -> float:
        return self.evse.charge_efficiency * self.evse.discharge_efficiency

    @property
    def owed_kwh(self) -> float:
        """What it would draw to catch up with the counterfactual, at the grid side [kWh]."""
        net = self.seen.charged_kwh - self.seen.discharged_kwh / self.round_trip
        return max(self.books.uncontrolled_kwh - net, 0.0)


class Accounts:
    """Integrates a site's power and prices between the instants it is shown.

    Attributes
    ----------
    owed
        Session id -> what its vehicle owes, in the site's currency; of the live sessions. Kept with
        the sums over a restart.
    """

    def __init__(self, site_timezone: str) -> None:
        self._zone = ZoneInfo(site_timezone)
        self._last_at: datetime | None = None
        self._ahead: Outlook | None = None
        self.today: Totals | None = None
        self.total: Totals | None = None
        self.owed: dict[str, float] = {}
        self.grid_kw = 0.0
        self.uncontrolled_grid_kw = 0.0

    def tick(self, state: SiteState, live: LiveSite) -> None:
        """Account for the time since the last tick at the powers and prices of ``state``."""
        at, last = state.at, self._last_at
        self._last_at = at
        self._look_ahead(state.outlook)
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
        powers = {evse.key: _power_kw(evse) for evse in state.evses}
        net = sum(powers.values())
        metered = state.measurement.grid_kw if state.measurement and state.meter_fresh else None
        self.grid_kw = metered if metered is not None else state.base_kw + net
        base = self.grid_kw - net

        guests = [
            _Guest(evse, evse.session, live.sessions[evse.session.session_id])
            for evse in state.evses
            if evse.session is not None and evse.session.session_id in live.sessions
        ]
        nodes = tree(live.site)
        wanted = {
            g.evse.key: min(charge_bound_kw(g.evse, g.seen), g.still_wanted_kwh / hours)
            for g in guests
        }
        virtual = _shared(wanted, guests, nodes, state.import_limit_kw - base)
        self.uncontrolled_grid_kw = base + sum(virtual.values())
        marginal = buy if self.grid_kw >= 0 else sell
        virtual_marginal = buy if self.uncontrolled_grid_kw >= 0 else sell

        wear = dwell = 0.0
        for guest in guests:
            books, power = guest.books, powers[guest.evse.key]
            worn = max(-power, 0.0) * guest.seen.wear_per_kwh * hours
            held = guest.held_per_h * hours
            wear += worn
            dwell += held
            books.life_eur += worn + held
            books.cost_eur += power * marginal * hours + worn + held
            books.gain.move(power * hours, marginal, worn, guest.round_trip)
            taken = virtual[guest.evse.key] * hours
            books.uncontrolled_kwh += taken
            books.uncontrolled_cost_eur += taken * virtual_marginal
        change = Totals(
            since=at,
            energy_cost=_cost(self.grid_kw, buy, sell) * hours,
            wear_cost=wear,
            dwell_cost=dwell,
            owed_cost=self._owe(at, guests, nodes),
            uncontrolled_energy_cost=_cost(self.uncontrolled_grid_kw, buy, sell) * hours,
            charged_kwh=sum(max(p, 0.0) for p in powers.values()) * hours,
            discharged_kwh=sum(max(-p, 0.0) for p in powers.values()) * hours,
            hours=hours,
        )
        self.today, self.total = _add(self.today, change), _add(self.total, change)

    def _look_ahead(self, outlook: Outlook) -> None:
        """Keep the outlook that reaches furthest: a state for the moment has only a short one."""
        if self._ahead is None or _end(outlook) >= _end(self._ahead):
            self._ahead = outlook

    def _owe(self, at: datetime, guests: list[_Guest], nodes: tuple[Node, ...]) -> float:
        """Value all debts anew; returns by how much they have grown, in the site's currency."""
        assert self._ahead is not None
        steps = _cheapest_first(self._ahead, at)
        bounds = {g.evse.key: charge_bound_kw(g.evse, g.seen) for g in guests}
        most = _shared(bounds, guests, nodes, float("inf"))
        together = sum(most.values())
        grown, owed = 0.0, {}
        for guest in guests:
            name = guest.seen.session_id
            share = most[guest.evse.key] / together if together > 0 else 0.0
            stay_h = (guest.seen.departure_at - at) / timedelta(hours=1)
            bound, gain = most[guest.evse.key], guest.books.gain
            owed[name] = _value(guest.owed_kwh, steps, stay_h, bound, share)
            gain.owed_eur = _value(gain.owed_kwh, steps, stay_h, bound, share)
            more = owed[name] - self.owed.get(name, 0.0)
            guest.books.cost_eur += more
            grown += more
        self.owed = owed
        return grown


def _power_kw(evse: EvseState) -> float:
    return evse.expected_kw if evse.power_kw is None else evse.power_kw


def _shared(
    wanted_kw: Mapping[str, float],
    guests: list[_Guest],
    nodes: tuple[Node, ...],
    grid_room_kw: float,
) -> dict[str, float]:
    """What each EVSE gets of what it wants: scaled in proportion below every limit [kW]."""
    given = dict(wanted_kw)
    paths = {g.evse.key: path_to_grid(nodes, g.evse.circuit) for g in guests}
    for node in reversed(nodes):
        below = [key for key in given if node.id in paths[key]]
        room = grid_room_kw if node.parent is None else node.import_kw - node.load_kw
        drawn = sum(given[key] for key in below)
        if drawn > max(room, 0.0):
            share = max(room, 0.0) / drawn
            given.update({key: given[key] * share for key in below})
    return given


@dataclass(frozen=True, slots=True, order=True)
class _Step:
    """A step ahead: its price, its bounds in hours from now, and the room below the grid limit."""

    price: float
    start_h: float
    end_h: float
    room_kw: float


def _cheapest_first(outlook: Outlook, at: datetime) -> list[_Step]:
    """What of the outlook lies ahead."""
    steps = []
    start_h = (outlook.start - at) / timedelta(hours=1)
    for n, length in enumerate(outlook.step_h):
        end_h = start_h + length
        if end_h > 0:
            room = outlook.import_limit_kw[n] - outlook.load_kw[n] + outlook.pv_kw[n]
            steps.append(_Step(outlook.import_price[n], max(start_h, 0.0), end_h, max(room, 0.0)))
        start_h = end_h
    return sorted(steps)


def _value(
    energy_kwh: float, steps: list[_Step], stay_h: float, most_kw: float, share: float
) -> float:
    """What energy costs in the cheapest steps of a stay, in the site's currency.

    A step gives ``most_kw`` at most and ``share`` of its room. What finds no room is valued at the
    dearest step of the stay, or of all where none is.
    """
    cost, left, price = 0.0, energy_kwh, steps[-1].price
    for step in steps:
        if left <= 0:
            break
        hours = min(step.end_h, stay_h) - step.start_h
        if hours > 0:
            price = step.price
            taken = min(left, min(most_kw, share * step.room_kw) * hours)
            cost += taken * price
            left -= taken
    return cost + left * price


def _end(outlook: Outlook) -> datetime:
    return outlook.start + timedelta(hours=sum(outlook.step_h))


def _cost(grid_kw: float, buy: float, sell: float) -> float:
    return grid_kw * (buy if grid_kw >= 0 else sell)


def _add(a: Totals, b: Totals) -> Totals:
    sums = {name: value + getattr(b, name) for name, value in asdict(a).items() if name != "since"}
    return replace(a, **sums)
