"""What happens at a believable depot: its site, its day of prices and power, its plans and sessions."""

from __future__ import annotations

import asyncio
import math
import random
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gridleaf.battery.passport import Facts, attributes, sign
from gridleaf.control.types import (
    Alert,
    EvseState,
    Outlook,
    SessionPlan,
    SessionState,
    Setpoint,
)
from gridleaf.domain.meter import MeterSample
from gridleaf.domain.site import Circuit, Evse, SiteConfig, Station, Tariff, Vehicle, same_token
from gridleaf.store.port import HealthRecord, PassportRecord, SessionRecord

START = datetime(2026, 5, 13, 15, 40, tzinfo=UTC)
"""A Wednesday, 17:40 in Berlin: the evening peak."""
STEP_H = (1 / 3, *(0.25,) * 23, *(0.5,) * 12, *(1.0,) * 12)
HOSTILE = "<img src=x onerror=\"document.title='owned'\">\r\n=cmd|' /C calc'!A1"
MODELS = (
    ("Leaf 24", 24.0, 6.6),
    ("Leaf 40", 40.0, 22.0),
    ("Leaf e+", 62.0, 22.0),
    ("e-NV200", 40.0, 22.0),
    ("Ariya", 87.0, 22.0),
    ("Outlander", 20.0, 11.0),
)


class SteppedClock:
    """A clock that stands still until it is told to move; sleeping takes the loop's own time."""

    def __init__(self, start: datetime = START) -> None:
        self.at = start
        self.ticks = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.ticks += seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))

    async def wait_for(self, awaitable: Any, timeout_s: float) -> Any:
        return await asyncio.wait_for(awaitable, timeout_s)


def depot() -> SiteConfig:
    """24 EVSEs in four rows: 16 bidirectional DC, 6 three-phase AC, 2 single-phase AC."""
    rows = [
        Circuit(id=f"row-{row}", import_limit_kw=limit)
        for row, limit in zip("ABCD", (90, 90, 80, 60), strict=True)
    ]
    stations = [
        Station(
            id=f"DC{n:02d}",
            circuit="row-A" if n <= 8 else "row-B",
            evses=(Evse(id=1, current="DC", charge_max_kw=22, discharge_max_kw=22, min_a=0),),
        )
        for n in range(1, 17)
    ]
    stations += [
        Station(id=f"AC{n:02d}", circuit="row-C", evses=(Evse(id=1, charge_max_kw=11),))
        for n in range(1, 7)
    ]
    stations += [
        Station(id=f"WB{n:02d}", circuit="row-D", evses=(Evse(id=1, charge_max_kw=7.4, phases=1),))
        for n in range(1, 3)
    ]
    vehicles = tuple(
        Vehicle(
            id_token=f"DE*GLF*{n:04d}",
            name=f"{MODELS[n % len(MODELS)][0]} · {n:02d}",
            capacity_kwh=MODELS[n % len(MODELS)][1],
        )
        for n in range(1, 25)
    )
    return SiteConfig(
        name="Depot Nordhafen",
        timezone="Europe/Berlin",
        import_limit_kw=200,
        export_limit_kw=100,
        circuits=tuple(rows),
        stations=tuple(stations),
        vehicles=vehicles,
        tariff=Tariff(demand_charge_per_kw=8),
    )


def price_at(at: datetime) -> float:
    """A day-ahead price with a noon valley and an evening peak [EUR/kWh]."""
    hour = at.hour + 2 + at.minute / 60
    evening = 0.19 * math.exp(-(((hour % 24) - 19.2) ** 2) / 4)
    morning = 0.08 * math.exp(-(((hour % 24) - 7.5) ** 2) / 3)
    noon = -0.09 * math.exp(-(((hour % 24) - 13) ** 2) / 6)
    return round(0.205 + evening + morning + noon, 4)


def load_at(at: datetime) -> float:
    hour = (at.hour + 2 + at.minute / 60) % 24
    return 24 + 30 * math.exp(-((hour - 13) ** 2) / 22) + 3 * math.sin(at.minute + hour * 7)


def pv_at(at: datetime) -> float:
    hour = (at.hour + 2 + at.minute / 60) % 24
    return max(0.0, 88 * math.cos((hour - 13.4) / 7.6 * math.pi / 2)) if 5.8 < hour < 21 else 0.0


def outlook_at(start: datetime) -> Outlook:
    starts = [start + timedelta(hours=h) for h in accumulate(STEP_H[:-1], initial=0.0)]
    prices = [price_at(at) for at in starts]
    evening = [16 <= (at.hour + 2) % 24 < 20 for at in starts]
    return Outlook(
        start=start,
        step_h=STEP_H,
        import_price=tuple(prices),
        export_price=tuple(round(p * 0.82, 4) for p in prices),
        price_known=(True,) * len(prices),
        load_kw=tuple(load_at(at) for at in starts),
        pv_kw=tuple(pv_at(at) for at in starts),
        import_limit_kw=tuple(120.0 if e else 200.0 for e in evening),
        export_limit_kw=(100.0,) * len(prices),
    )


def alert(kind: str, severity: Any, where: str, text: str) -> Alert:
    return Alert(kind=kind, severity=severity, where=where, text=text)


def sample(at: datetime, measurand: str, value: float, unit: str) -> MeterSample:
    return MeterSample(measured_at=at, measurand=measurand, value=value, unit=unit)


def setpoint(evse: EvseState, session: SessionState, at: datetime) -> Setpoint:
    power = evse.setpoint_kw or 0.0
    reasons = ("row-A can export 4.2 kW more",) if evse.evse_id == 1 and power < -18 else ()
    return Setpoint(
        station_id=evse.station_id,
        evse_id=evse.evse_id,
        session_id=session.session_id,
        transaction_id=session.transaction_id,
        power_kw=power,
        limit_a=None,
        phases=evse.phases,
        planned_kw=power,
        steps=((0, power),),
        expires_at=at + timedelta(minutes=10),
        reasons=reasons,
    )


def plan_of(
    evse: EvseState, session: SessionState, outlook: Outlook, net: list[float]
) -> SessionPlan:
    """Sell in the dearest hours, charge in the cheapest, first come first served inside the limits.

    ``net`` is the grid power of everybody before [kW]; this session's is added to it.
    """
    starts = [outlook.start + timedelta(hours=h) for h in accumulate(STEP_H[:-1], initial=0.0)]
    inside = [t for t, at in enumerate(starts) if at < session.departure_at]
    power = [0.0] * len(STEP_H)
    energy = session.energy_kwh
    if session.v2g and evse.discharge_max_kw and len(inside) > 8:
        for t in sorted(inside, key=lambda t: -outlook.import_price[t])[:9]:
            room = outlook.export_limit_kw[t] + net[t]
            give = min(9.0, room, (energy - session.reserve_kwh - 4) * 0.9 / STEP_H[t])
            if give > 1:
                power[t] = -give
                energy -= give * STEP_H[t] / 0.93
    need = session.target_kwh - energy
    for t in sorted(inside, key=lambda t: outlook.import_price[t]):
        room = outlook.import_limit_kw[t] - net[t]
        take = min(session.charge_max_kw, 15.0, room, need / STEP_H[t] / 0.93)
        if power[t] == 0.0 and take > 0.01:
            power[t] = take
            need -= take * STEP_H[t] * 0.93
    for t, kw in enumerate(power):
        net[t] += kw
    level, levels = session.energy_kwh, []
    for t, kw in enumerate(power):
        level += kw * STEP_H[t] * (0.93 if kw > 0 else 1 / 0.93)
        levels.append(round(level, 3))
    capacity = session.capacity_kwh
    return SessionPlan(
        session_id=session.session_id,
        station_id=evse.station_id,
        evse_id=evse.evse_id,
        power_kw=tuple(round(p, 3) for p in power),
        energy_kwh=tuple(levels),
        unmet_kwh=max(round(need, 2), 0.0),
        expected_soc=min(level / capacity, 1.0) if capacity else None,
    )


def fleet_at(at: datetime) -> float:
    hour = (at.hour + 2 + at.minute / 60) % 24
    if hour < 15:
        return 34 + 18 * math.sin(hour * 2.1)
    return 6.0 if hour < 16.5 else -46 - 9 * math.sin(hour * 9)


def past_session(site: SiteConfig, now: datetime, n: int, rng: random.Random) -> SessionRecord:
    station = site.stations[n % len(site.stations)]
    arrived = now - timedelta(hours=9 + 2.3 * n)
    charged = round(rng.uniform(6, 38), 2)
    discharged = round(rng.uniform(0, 14), 2) if station.id.startswith("DC") else 0.0
    knows_soc = station.id.startswith("DC")
    return SessionRecord(
        session_id=f"{0xBEEF0000 + n:020x}",
        station_id=station.id,
        evse_id=1,
        transaction_id=f"past-{n}",
        id_token=site.vehicles[n % len(site.vehicles)].id_token,
        arrived_at=arrived,
        departed_at=arrived + timedelta(hours=rng.uniform(3, 8)),
        state="suspect" if n == 17 else "ended",
        charged_kwh=charged,
        discharged_kwh=discharged,
        arrival_soc=round(rng.uniform(0.2, 0.5), 2) if knows_soc else None,
        departure_soc=round(rng.uniform(0.7, 0.95), 2) if knows_soc else None,
        unmet_kwh=2.4 if n == 9 else 0.0,
        cost_eur=round(0.16 * charged - 0.31 * discharged, 2),
        uncontrolled_cost_eur=round(0.27 * charged, 2),
        flags=("end", "estimated") if n == 17 else (),
    )


def past_health(vehicle: Vehicle, now: datetime, number: int) -> HealthRecord:
    """An estimate after a few weeks, or after a single session."""
    soh, sessions = 0.97 - 0.013 * (number % 11), 1 if number % 5 == 4 else 12 + number
    spread = 0.08 if sessions == 1 else 0.024
    capacity = soh * vehicle.capacity_kwh
    return HealthRecord(
        vehicle=vehicle.id_token.lower(),
        version=sessions,
        at=now - timedelta(hours=9 + number),
        session_id=f"{0xBEEF0000 + number:020x}",
        verdict="counted",
        weight=1.0,
        sessions=sessions,
        misfits=0,
        nominal_kwh=vehicle.capacity_kwh,
        capacity_kwh=capacity,
        low_kwh=capacity * math.exp(-1.645 * spread),
        high_kwh=capacity * math.exp(1.645 * spread),
        mean=(math.log(capacity), 0.004, -0.002),
        covariance=(spread**2 - 1e-4, 0.0, 0.0, 4e-4, 1e-4, 4e-4),
    )


def past_passport(vehicle: Vehicle, now: datetime) -> PassportRecord:
    """The first entry of a passport."""
    at, battery = now - timedelta(hours=9), same_token(vehicle.id_token)
    found = attributes(Facts(nominal_kwh=vehicle.capacity_kwh), at)
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return PassportRecord(vehicle=battery, number=1, entry=sign(battery, found, at, (), key))
