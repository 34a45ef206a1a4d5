"""The umpire of a scene: at every tick of the meter he holds true power against the invariants."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from gridleaf.control.limits import grid_limits_kw, path_to_grid, tree
from gridleaf.control.types import Decision, SiteState
from gridleaf.sim.profiles import Profile

if TYPE_CHECKING:
    from scenario.depot import Depot

REACTION_S = 30.0
"""What comes from outside (a load, a car, a meter that dies) may show for so long."""
OVER_KW, OVER_A = 0.1, 0.5
GIVES_KW = 0.1


class Umpire:
    """Sees true power, the profiles inside the stations, and every decision.

    Attributes
    ----------
    reaction_s
        How long a limit may be found broken [s].
    only_ours
        Whether a broken limit counts only while a station that could be commanded adds to it.
    longest_s
        Limit -> the longest time for which it was [s].
    """

    def __init__(self, depot: Depot) -> None:
        self.depot = depot
        self.reaction_s = REACTION_S
        self.only_ours = False
        self.longest_s: dict[str, float] = defaultdict(float)
        self.faults: list[str] = []
        self._since: dict[str, datetime] = {}
        self._nodes = tree(depot.site)
        self._paths = {
            s.id: path_to_grid(self._nodes, depot.site.circuit_of(s, s.evses[0]))
            for s in depot.site.stations
        }
        self._silent_since: datetime | None = depot.time.now()
        self.discharge_to_stop: set[str] = set()

    def look(self) -> None:
        """One tick."""
        now = self.depot.time.now()
        self._limits(now)
        self._permission(now)
        self._expiry(now)
        self._reserve()

    def _limits(self, now: datetime) -> None:
        """Invariants 1 and 2: every node and every fused phase, in both directions."""
        site = self.depot.site
        powers = {name: self.depot.power(name) for name in self.depot.stations}
        imposed = self.depot.platform.controller.imposed
        imports, exports = grid_limits_kw(site, now, imposed.import_kw, imposed.export_kw)
        for node in self._nodes:
            inside = [name for name, path in self._paths.items() if node.id in path]
            base = self.depot.base_kw() if node.parent is None else node.load_kw
            flow = base + sum(powers[name] for name in inside)
            limit_in = imports if node.parent is None else node.import_kw
            limit_out = exports if node.parent is None else node.export_kw
            name = node.id or "grid"
            ours = [powers[n] for n in inside if not self.only_ours or self._leads(n)]
            adding = max(ours, default=0.0) > OVER_KW or not self.only_ours
            giving = min(ours, default=0.0) < -OVER_KW or not self.only_ours
            self._broken(f"{name} import", flow > limit_in + OVER_KW and adding, now)
            self._broken(f"{name} export", -flow > limit_out + OVER_KW and giving, now)
            if node.fuse_a is None:
                continue
            amps = [base * 1000 / site.voltage_v / 3] * 3
            for station in inside:
                used = self._amps(station, powers[station])
                amps = [a + u for a, u in zip(amps, used, strict=True)]
            for phase, current in enumerate(amps, 1):
                over = current > node.fuse_a + OVER_A and adding
                self._broken(f"{name} L{phase}", over, now)

    def _amps(self, station_id: str, power_kw: float) -> list[float]:
        """True current on each phase of the grid [A]; a car on fewer phases uses the first ones."""
        evse = self.depot.stations[station_id].evses[1]
        count = evse.phases_used if evse.config.current == "AC" else 3
        each = power_kw * 1000 / self.depot.site.voltage_v / count
        first = evse.config.phase - 1 if evse.config.phases == 1 else 0
        return [each if phase in range(first, first + count) else 0.0 for phase in range(3)]

    def _leads(self, station_id: str) -> bool:
        """Whether the platform could have known, and told a station what to do."""
        station = self.depot.stations[station_id]
        deaf = station.disobey or station.reject_profiles
        return self.depot.up and self.depot.meter_on and station.link.online and not deaf

    def _permission(self, now: datetime) -> None:
        """Invariants 2 and 3: who gives has a fresh site meter, a permission and no grid event."""
        controller = self.depot.platform.controller
        if self.depot.meter_on:
            self._silent_since = None
        else:
            self._silent_since = self._silent_since or now
        stale = self._silent_since is not None and (
            (now - self._silent_since).total_seconds() > self.depot.site.control.meter_max_age_s
        )
        for name in self.depot.stations:
            gives = self.depot.power(name) < -GIVES_KW
            self._broken(f"{name} gives without a meter", gives and stale, now)
            latched = controller.live.grid_event is not None and self.depot.up
            self._broken(f"{name} gives in a grid event", gives and latched, now)
            vehicle = self.depot.stations[name].vehicle(1)
            known = None if vehicle is None else controller.live.vehicle(vehicle.id_token)
            allowed = vehicle is None or (known is not None and known.v2g)
            self._broken(f"{name} gives unasked", gives and not allowed, now)
            evse = controller.live.evse(name, 1)
            session = evse.session if evse is not None else None
            refused = session is not None and session.wish is not None and session.wish.v2g is False
            self._broken(f"{name} gives against the driver's will", gives and refused, now)

    def _expiry(self, now: datetime) -> None:
        """Invariant 4, read in the stations themselves."""
        longest_s = 2 * self.depot.site.control.cycle_s + 1.0
        for name, station in self.depot.stations.items():
            long = any(
                discharges(profile) and ends(profile) - station.epoch() > longest_s
                for profile in station.profiles
            )
            self._broken(f"{name} would give for more than two cycles", long, now)

    def _reserve(self) -> None:
        """Invariant 6 on the true state of charge: nobody gives below his reserve."""
        for name, station in self.depot.stations.items():
            vehicle = station.vehicle(1)
            if vehicle is None:
                continue
            known = self.depot.platform.controller.live.vehicle(vehicle.id_token)
            reserve = known.reserve_soc if known is not None and known.reserve_soc else 0.0
            evse = self.depot.platform.controller.live.evse(name, 1)
            wish = evse.session.wish if evse is not None and evse.session is not None else None
            if wish is not None and wish.reserve_soc is not None:
                reserve = wish.reserve_soc
            if self.depot.power(name) < -GIVES_KW and vehicle.soc < reserve - 0.002:
                self.faults.append(f"{name} gives at {vehicle.soc:.3f}, below {reserve:.3f}")

    def decided(self, state: SiteState, decision: Decision) -> None:
        """Invariants 1 to 4 on paper, for every decision: what was not asked for stays reserved."""
        evses = {e.key: e for e in state.evses}
        ours = {f"{s.station_id}/{s.evse_id}": s for s in decision.setpoints}
        horizon = 2 * self.depot.site.control.cycle_s
        for key, setpoint in ours.items():
            evse, given = evses[key], setpoint.power_kw
            if (setpoint.expires_at - state.at).total_seconds() > horizon:
                self.faults.append(f"{state.at}: {key} is led for more than two cycles")
            if given < 0:
                session = evse.session
                if session is None or session.soc is None or not session.v2g:
                    self.faults.append(f"{state.at}: {key} discharges a car it knows too little of")
                if not state.meter_fresh or state.grid_event is not None or not evse.v2x:
                    self.faults.append(f"{state.at}: {key} discharges without permission")
            if evse.external_limit_kw is not None and given > evse.external_limit_kw + 1e-6:
                self.faults.append(f"{state.at}: {key} goes beyond an external limit")
        limit = (
            state.import_limit_kw if state.meter_fresh else self.depot.site.control.static_share_kw
        )
        base = state.base_kw if state.meter_fresh else 0.0
        charged = sum(max(s.power_kw, 0.0) for k, s in ours.items() if evses[k].obeying)
        given = sum(max(-(evses[k].power_kw or 0.0), 0.0) for k in ours if ours[k].power_kw < 0)
        held = sum(
            e.worst_import_kw
            for e in state.evses
            if not (e.online and e.obeying) and not (e.online and e.session is None)
        )
        if charged > 1e-6 and charged + held + base - given > limit + 1e-6:
            self.faults.append(
                f"{state.at}: {charged:.2f} granted with {held:.2f} reserved, base {base:.2f},"
                f" limit {limit:.2f}"
            )

    def _broken(self, what: str, broken: bool, now: datetime) -> None:
        if not broken:
            self._since.pop(what, None)
            return
        lasted = (now - self._since.setdefault(what, now)).total_seconds()
        self.longest_s[what] = max(self.longest_s[what], lasted)
        if lasted > self.reaction_s:
            self.faults.append(f"{now}: {what} for {lasted:.0f} s")

    def verdict(self) -> None:
        assert self.faults == []


def discharges(profile: Profile) -> bool:
    rates = [p.setpoint if p.setpoint is not None else p.limit for p in profile.periods]
    return any(rate is not None and rate < 0 for rate in rates)


def ends(profile: Profile) -> float:
    """When a profile ends by itself [s since 1970 of the station]."""
    start = profile.updated_at if profile.kind == "dynamic" else profile.start
    assert start is not None
    return min(profile.valid_to, start + profile.duration_s)
