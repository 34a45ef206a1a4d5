"""From logged visits to a site, its EVSEs, and the vehicles that plug in there."""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import (
    Control,
    Defaults,
    Evse,
    SiteConfig,
    Station,
    Tariff,
    Vehicle,
)
from gridleaf.replay.life import BATTERY, SOH
from gridleaf.replay.logs import CAPACITY_KWH, LoggedVisit, SessionLog
from gridleaf.replay.quality import DataQuality, Findings

RATINGS_KW = (3.7, 7.4, 11, 22, 25, 50, 75, 100, 150, 200, 250, 300, 350, 400)
"""Usual ratings of EVSEs [kW]; evidence is rounded up to them, with 3 % for meter error."""
_FAST_KW = 22.0
"""AC ends here: faster visits have EVSEs of their own where the log names none."""
DISCHARGE_MAX_KW = 22.0
"""No EVSE is assumed to discharge faster than the bidirectional ones on the market [kW]."""
PACKS_KWH = (40.0, 62.0, 77.0, 100.0)
"""Battery sizes assumed where the log tells none: the smallest that the energy fits [kWh]."""
FULL_SOC = 0.9
"""Departure state of charge where the log tells none."""
EMPTY_SOC = 0.1
"""Nobody is assumed to arrive below this where the log tells nothing."""
DEMAND_CHARGE_PER_KW = 4.0
"""Demand charge of an assumed site [EUR per kW and month]: about 48 EUR per kW and year."""
START = timedelta(minutes=1)
"""Plugging in, authorising and starting take this long; energy is counted as reachable after it."""
CYCLE_S = 900.0
"""An assumed site plans once in each quarter of an hour, and whenever a vehicle comes or goes [s]."""

_MANY = 50
"""Of that many visits a single one is an outlier."""
_EVIDENCE_MIN_H = 0.25
"""A shorter charge says nothing about power: logs round to minutes [h]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayVisit:
    """One vehicle that plugs in at one EVSE. Energies at the grid side [kWh], SoC 0..1.

    ``energy_kwh`` is what the log delivered and what is wanted again; ``reachable_kwh`` how much of
    it the given power could deliver in the stay. ``vehicle`` is the log's id token, else the visit's
    id; ``id_token`` is what it shows at the station.
    """

    visit_id: str
    vehicle: str
    id_token: str
    station_id: str
    evse_id: int
    arrived_at: datetime
    departed_at: datetime
    energy_kwh: float
    reachable_kwh: float
    capacity_kwh: float
    arrival_soc: float
    target_soc: float
    charge_max_kw: float
    discharge_max_kw: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySite:
    """A site, who plugs in there and when, and what had to be assumed for it."""

    site: SiteConfig
    visits: tuple[ReplayVisit, ...]
    quality: DataQuality
    assumptions: tuple[str, ...]
    battery: str = BATTERY
    """The battery by which the life of the vehicles is scored."""


def assumed_site(
    log: SessionLog,
    prices: Path,
    *,
    usual_price: float = 0.1,
    evses: int | None = None,
    battery: str | None = None,
) -> ReplaySite:
    """A site that fits the log, where none is given.

    The log's stations and connectors are kept where it names them, with as many EVSEs as visits
    overlap; without names the visits are packed onto as few EVSEs as possible. Each EVSE's rating is
    what its own visits prove, rounded up to a usual one. Every EVSE is taken as a bidirectional DC
    one, since those are the ones that there are, discharging with up to 22 kW. ``evses`` keeps only
    that many, the busiest ones. ``usual_price`` [currency per kWh] stands in where the prices have
    gaps. With a ``battery`` all vehicles have that one, and wear has the price of its cells.
    """
    findings = Findings()
    findings.extend(log.quality)
    placed = _partition(log.visits, findings)
    if evses is not None:
        busy = [key for key, _ in Counter(key for key, _ in placed).most_common(evses)]
        kept = set(busy)
        for key, visit in placed:
            if key not in kept:
                findings.add("no_free_evse", "excluded", _example(visit))
        placed = [(key, visit) for key, visit in placed if key in kept]
    stations, where = _stations(placed)
    total = sum(e.charge_max_kw for s in stations for e in s.evses)
    site = SiteConfig(
        name=log.quality.source,
        timezone=log.timezone,
        import_limit_kw=float(round(total + 0.5)),
        export_limit_kw=sum(e.discharge_max_kw for s in stations for e in s.evses),
        stations=stations,
        defaults=Defaults(v2g=True),
        tariff=Tariff(
            source="csv",
            file=prices,
            import_price=usual_price,
            export_price=usual_price,
            demand_charge_per_kw=DEMAND_CHARGE_PER_KW,
        ),
        control=Control(cycle_s=CYCLE_S),
    )
    wanted = [(visit, *where[key]) for key, visit in placed]
    assumptions = (
        f"{len(where)} EVSEs at {len(stations)} stations, rated by what the log's visits prove, "
        f"rounded up to usual ratings: {_ratings(stations)}",
        f"every EVSE is a bidirectional DC one that discharges with its rating, at most "
        f"{DISCHARGE_MAX_KW:g} kW; every vehicle tells its state of charge and can be discharged down "
        f"to a reserve of {site.defaults.reserve_soc:.0%}",
        f"the import limit is the sum of all ratings ({site.import_limit_kw:g} kW), the export limit "
        f"the sum of what they can discharge ({site.export_limit_kw:g} kW)",
        "energy is bought and sold at the bare market price: grid fees, levies and taxes are left "
        "out; the demand charge is "
        f"{DEMAND_CHARGE_PER_KW:g} per kW of the highest quarter of an hour of each month",
        *_of_wear(site, battery, ""),
        "charging and discharging lose 7 % each",
    )
    return _equip(site, wanted, findings, log.quality, assumptions, battery)


def _of_wear(site: SiteConfig, battery: str | None, unless: str) -> tuple[str, ...]:
    """What is assumed about the batteries' life."""
    usual = site.defaults
    scored = (
        f"the life of the batteries is scored by the ageing model of {battery or _own(site)}, every "
        f"vehicle with one in its own size, worn to {SOH:.0%} at first, at {usual.ambient_c:g} °C and "
        f"{usual.battery_price_per_kwh:g} per kWh of pack, used up at {usual.end_of_life_soh:.0%}; "
        "between its stays a vehicle's charge goes in a straight line"
    )
    if battery is not None:
        return scored, "plans count the wear of those cells"
    return scored, f"plans count {usual.wear_per_kwh:g} for each kWh discharged{unless}"


def _own(site: SiteConfig) -> str:
    return site.defaults.battery or BATTERY


def given_site(
    log: SessionLog, site: SiteConfig, prices: Path, *, battery: str | None = None
) -> ReplaySite:
    """The visits at a site of the operator's own description.

    A visit takes the EVSE that its names tell (station id, connector = EVSE id) when it is free,
    else the free EVSE with the least power that suffices; a visit that finds none is excluded.
    """
    findings = Findings()
    findings.extend(log.quality)
    free_at: dict[tuple[str, int], datetime] = {}
    sockets = {(s.id, e.id): e for s in site.stations for e in s.evses}
    if not sockets:
        raise ConfigError("stations", "the site has no EVSE to plug into")
    wanted = []
    for visit in log.visits:
        free = [key for key in sockets if free_at.get(key, visit.arrived_at) <= visit.arrived_at]
        if not free:
            findings.add("no_free_evse", "excluded", _example(visit))
            continue
        own = _own_sockets(visit, sockets)
        key = next((key for key in own if key in free), None)
        if key is None:
            power = likely_kw(visit)
            key = min(free, key=lambda k: _unfit(sockets[k].charge_max_kw, power))
            if own:
                findings.add("other_connector", "flagged", _example(visit))
        free_at[key] = visit.departed_at
        wanted.append((visit, key[0], sockets[key]))
    tariff = site.tariff.model_copy(update={"source": "csv", "file": prices})
    assumptions = (
        "limits, circuits, EVSEs, tariff and reserve are those of the site file; every vehicle of the "
        "log takes part in V2G where its EVSE can discharge, and tells its state of charge at DC ones",
        "the site's own building load and generation are not in the log and count as zero",
        *_of_wear(site, battery, ", unless the site says otherwise for a vehicle"),
    )
    described = site.model_copy(update={"tariff": tariff})
    return _equip(described, wanted, findings, log.quality, assumptions, battery)


def certain_kw(visit: LoggedVisit) -> float:
    """The power that a visit surely had: stated, or its energy over its whole stay [kW]."""
    if visit.charge_max_kw is not None:
        return visit.charge_max_kw
    return visit.energy_kwh / visit.stay_h if visit.stay_h >= _EVIDENCE_MIN_H else 0.0


def likely_kw(visit: LoggedVisit) -> float:
    """The mean power while charging, where the log tells when charging ended [kW]."""
    charging_h = visit.charging_h
    if charging_h is None or charging_h < _EVIDENCE_MIN_H:
        return certain_kw(visit)
    return max(certain_kw(visit), visit.energy_kwh / charging_h)


def _proven_kw(visits: Sequence[LoggedVisit]) -> float:
    """What the visits of one EVSE prove: all but the highest 2 % of them.

    Logs now and then tell an end of charging or an energy that cannot be: a 7 kW station that
    delivered 11 kWh in a quarter of an hour. Of few visits all that is certain counts.
    """
    certain = sorted(certain_kw(v) for v in visits)
    likely = sorted(likely_kw(v) for v in visits)
    usual = int(0.98 * (len(visits) - 1))
    return max(likely[usual], certain[usual if len(visits) >= _MANY else -1])


def _rating(power_kw: float) -> float:
    return next((r for r in RATINGS_KW if power_kw <= r * 1.03), RATINGS_KW[-1])


def _unfit(rating_kw: float, power_kw: float) -> tuple[bool, float]:
    """Least power that suffices first; where none does, the most."""
    short = rating_kw * 1.03 < power_kw
    return short, -rating_kw if short else rating_kw


def _example(visit: LoggedVisit | ReplayVisit) -> str:
    return f"{visit.visit_id} at {visit.arrived_at:%Y-%m-%d %H:%M}Z"


Key = tuple[str, str]
"""(station, connector) of the replay; the connector is a number where the log names none."""


def _partition(visits: Sequence[LoggedVisit], findings: Findings) -> list[tuple[Key, LoggedVisit]]:
    """A place for every visit, no two at a time in one, in order of arrival."""
    groups: dict[tuple[str, str | None], list[LoggedVisit]] = defaultdict(list)
    for visit in visits:
        pool = "fast" if certain_kw(visit) > _FAST_KW * 1.03 else "slow"
        groups[visit.station or f"pool-{pool}", visit.connector].append(visit)
    placed: list[tuple[Key, LoggedVisit]] = []
    for (station, connector), group in groups.items():
        if connector is not None:
            cut = _without_overlap(group, findings)
            placed.extend(((station, connector), visit) for visit in cut)
            continue
        free: list[tuple[datetime, int]] = []
        idle: list[int] = []
        for visit in group:
            while free and free[0][0] <= visit.arrived_at:
                heapq.heappush(idle, heapq.heappop(free)[1])
            number = heapq.heappop(idle) if idle else len(free) + 1
            heapq.heappush(free, (visit.departed_at, number))
            placed.append(((station, str(number)), visit))
    return sorted(placed, key=lambda p: (p[1].arrived_at, p[1].departed_at, p[1].visit_id))


def _without_overlap(group: Sequence[LoggedVisit], findings: Findings) -> list[LoggedVisit]:
    """On a connector that the log names, the next arrival proves that the last vehicle had left."""
    kept: list[LoggedVisit] = []
    for visit in group:
        if kept and kept[-1].departed_at > visit.arrived_at:
            last = kept.pop()
            if last.arrived_at == visit.arrived_at:
                findings.add("overlap", "excluded", _example(last))
            else:
                end = last.charge_end_at
                kept.append(
                    replace(
                        last,
                        departed_at=visit.arrived_at,
                        charge_end_at=min(end, visit.arrived_at) if end is not None else None,
                        flags=(*last.flags, "overlap"),
                    )
                )
                findings.add("overlap", "repaired", _example(last))
        kept.append(visit)
    return kept


def _stations(
    placed: Sequence[tuple[Key, LoggedVisit]],
) -> tuple[tuple[Station, ...], dict[Key, tuple[str, Evse]]]:
    """Stations with EVSEs numbered 1, 2, ..., and where each place of the partition went."""
    at: dict[Key, list[LoggedVisit]] = defaultdict(list)
    for key, visit in placed:
        at[key].append(visit)
    by_station: dict[str, list[Key]] = defaultdict(list)
    for key in sorted(at, key=_natural):
        # Without names each place is a station of its own.
        name = key[0] if not key[0].startswith("pool-") else f"{key[0]}-{int(key[1]):02}"
        by_station[name].append(key)
    stations, where = [], {}
    taken: set[str] = set()
    for name, keys in by_station.items():
        station_id = _identity(name, taken)
        evses = []
        for number, key in enumerate(keys, 1):
            rating = _rating(_proven_kw(at[key]))
            evse = Evse(
                id=number,
                current="DC",
                charge_max_kw=rating,
                discharge_max_kw=min(rating, DISCHARGE_MAX_KW),
                min_a=0.0,
            )
            evses.append(evse)
            where[key] = station_id, evse
        stations.append(Station(id=station_id, versions=("ocpp2.1",), evses=tuple(evses)))
    return tuple(stations), where


def _natural(key: Key) -> tuple[object, ...]:
    """Sorts connector 10 after connector 9."""
    return key[0], key[1].rjust(12)


def _identity(name: str, taken: set[str]) -> str:
    """An OCPP identity made of the log's name for a station."""
    base = re.sub(r"[^A-Za-z0-9*\-_=:+|@.]+", "-", name).strip("-")[:44] or "station"
    identity, number = base, 1
    while identity in taken:
        number += 1
        identity = f"{base}-{number}"
    taken.add(identity)
    return identity


def _own_sockets(visit: LoggedVisit, sockets: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    if visit.station is None:
        return []
    names = {visit.station, _identity(visit.station, set())}
    return [
        key
        for key in sockets
        if key[0] in names and (visit.connector is None or str(key[1]) == visit.connector)
    ]


def _ratings(stations: Iterable[Station]) -> str:
    count = Counter(e.charge_max_kw for s in stations for e in s.evses)
    return ", ".join(f"{number} x {rating:g} kW" for rating, number in sorted(count.items()))


def _equip(
    site: SiteConfig,
    wanted: Sequence[tuple[LoggedVisit, str, Evse]],
    findings: Findings,
    quality: DataQuality,
    assumptions: tuple[str, ...],
    battery: str | None,
) -> ReplaySite:
    """Give every visit a vehicle such that the log's energy takes it from arrival to departure SoC."""
    visits, vehicles = [], []
    assumed_soc = assumed_pack = 0
    for number, (logged, station_id, evse) in enumerate(wanted, 1):
        battery_kwh = logged.energy_kwh * evse.charge_efficiency
        capacity, arrival, target, told = _battery(logged, battery_kwh)
        assumed_soc += not told[0]
        assumed_pack += not told[1]
        power = min(evse.charge_max_kw, _vehicle_kw(logged, evse))
        flags = logged.flags
        if logged.energy_kwh > power * logged.stay_h * 1.01 and "energy_unreachable" not in flags:
            flags = (*flags, "energy_unreachable")
            findings.add(
                "energy_unreachable",
                "flagged",
                f"{_example(logged)}: {power * logged.stay_h:.2f} of {logged.energy_kwh:.2f} kWh",
            )
        reachable = power * max(logged.stay_h - START / timedelta(hours=1), 0.0)
        visit = ReplayVisit(
            visit_id=logged.visit_id,
            vehicle=logged.id_token or logged.visit_id,
            id_token=f"V{number:06}",
            station_id=station_id,
            evse_id=evse.id,
            arrived_at=logged.arrived_at,
            departed_at=logged.departed_at,
            energy_kwh=logged.energy_kwh,
            reachable_kwh=min(reachable, logged.energy_kwh),
            capacity_kwh=capacity,
            arrival_soc=arrival,
            target_soc=target,
            charge_max_kw=power,
            discharge_max_kw=min(evse.discharge_max_kw, power),
            flags=flags,
        )
        visits.append(visit)
        vehicles.append(
            Vehicle(
                id_token=visit.id_token,
                name=visit.vehicle,
                capacity_kwh=capacity,
                battery=battery,
                charge_max_kw=power,
                discharge_max_kw=visit.discharge_max_kw,
                target_soc=target,
            )
        )
    if not visits:
        raise ConfigError(quality.source, "no session finds an EVSE at this site")
    told_all = (
        "the driver tells departure and energy when plugging in: both are those of the log",
        "a vehicle never takes more than the state of charge it left with in the log",
        "a vehicle takes at most the power that the log states or, rounded up to a usual rating, "
        "proves for it",
    )
    said = []
    if assumed_soc:
        said.append(
            f"{assumed_soc} of {len(visits)} visits tell no state of charge: departure at "
            f"{FULL_SOC:.0%}, arrival lower by the energy of the log"
        )
    if assumed_pack:
        packs = ", ".join(f"{pack:g}" for pack in PACKS_KWH)
        said.append(
            f"{assumed_pack} of {len(visits)} visits tell no usable capacity: the smallest of {packs} "
            "kWh that the energy fits"
        )
    return ReplaySite(
        site=site.model_copy(update={"vehicles": tuple(vehicles)}),
        visits=tuple(visits),
        quality=findings.summary(
            source=quality.source,
            preset=quality.preset,
            timezone=quality.timezone,
            rows=quality.rows,
        ),
        assumptions=(*assumptions, *told_all, *said),
        battery=battery or _own(site),
    )


def _battery(
    visit: LoggedVisit, battery_kwh: float
) -> tuple[float, float, float, tuple[bool, bool]]:
    """Capacity [kWh], arrival and target SoC, and whether the log told SoC and capacity."""
    arrival, departure = visit.arrival_soc, visit.departure_soc
    if arrival is not None and departure is not None and departure - arrival >= 0.05:
        capacity = battery_kwh / (departure - arrival)
        if CAPACITY_KWH[0] <= capacity <= CAPACITY_KWH[1]:
            return capacity, arrival, departure, (True, True)
    known = visit.capacity_kwh
    told = departure is not None or arrival is not None
    top = departure
    if top is None:
        top = FULL_SOC if arrival is None else None
    if top is None and arrival is not None:
        capacity = known or _pack(battery_kwh / max(1.0 - arrival, 0.05))
        return (
            capacity,
            arrival,
            min(arrival + battery_kwh / capacity, 1.0),
            (told, known is not None),
        )
    top = top or FULL_SOC
    least = battery_kwh / max(top - EMPTY_SOC, 0.05)
    capacity = known if known is not None and known >= battery_kwh / top else _pack(least)
    return capacity, max(top - battery_kwh / capacity, 0.0), top, (told, capacity == known)


def _vehicle_kw(visit: LoggedVisit, evse: Evse) -> float:
    """What the vehicle itself can take [kW]: stated, or the usual rating that its charging proves."""
    if visit.charge_max_kw is not None:
        return visit.charge_max_kw
    if visit.charging_h is None or visit.charging_h < _EVIDENCE_MIN_H:
        return evse.charge_max_kw
    return _rating(likely_kw(visit))


def _pack(least_kwh: float) -> float:
    return next((pack for pack in PACKS_KWH if pack >= least_kwh), least_kwh)
