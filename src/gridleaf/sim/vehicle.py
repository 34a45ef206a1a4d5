"""A vehicle's battery behind its charger: what power it takes, and what that does to its charge.

Power is at the grid side of the charger, + charges. The model of one step is exact for a constant
setpoint: the time is cut where the law changes (end of a ramp, zero crossing, start of the taper,
full, empty) and each piece is integrated in closed form.

Above ``taper_soc`` the cells are held at constant voltage and accept, with rising charge, less and
less: a straight line from ``charge_max_kw`` at ``taper_soc`` to ``cutoff * charge_max_kw`` at full,
where charging ends. At constant voltage the current decays exponentially, which is this line as a
function of charge (Marra et al., Demand profile study of battery electric vehicle under different
charging options, IEEE PES GM 2012, fit the same two phases).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_TINY = 1e-9
"""Powers [kW] and energies [kWh] closer than this are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimVehicle:
    """One vehicle and the state of its battery.

    Attributes
    ----------
    capacity_kwh
        Usable energy between ``soc`` 0 and 1 [kWh].
    charge_max_kw, discharge_max_kw
        What battery or onboard charger can take and give at the grid side [kW].
    ac_phases, min_a, step_a
        The onboard charger: phases it uses, the current below which it pauses [A] (IEC 61851-1
        knows no less than 6 A), and the steps in which it follows an offered current [A].
    taper_soc, cutoff
        Where the constant-voltage phase begins, and the fraction of ``charge_max_kw`` at which
        it ends with a full battery; 1 is a battery without taper.
    charge_efficiency, discharge_efficiency
        From the grid side to the cells, and back.
    ramp_kw_per_s
        How fast power moves [kW/s].
    min_soc
        Discharging stops here.
    limit_soc
        Charging stops here: the limit that the driver set in the car.
    reports_soc
        Whether the station learns the state of charge (DC; AC of OCPP 1.6 and 2.0.1 does not).
    target_soc
        What the driver set in the car, told where the car reports its needs; None is nothing.
    power_kw
        Power right now [kW].
    """

    id_token: str
    name: str = ""
    capacity_kwh: float
    soc: float
    charge_max_kw: float
    discharge_max_kw: float = 0.0
    ac_phases: int = 3
    min_a: float = 6.0
    step_a: float = 1.0
    taper_soc: float = 0.8
    cutoff: float = 0.05
    charge_efficiency: float = 0.93
    discharge_efficiency: float = 0.93
    ramp_kw_per_s: float = 2.0
    min_soc: float = 0.05
    limit_soc: float = 1.0
    reports_soc: bool = False
    target_soc: float | None = None
    power_kw: float = 0.0

    def __post_init__(self) -> None:
        if self.capacity_kwh <= 0 or self.charge_max_kw <= 0 or self.discharge_max_kw < 0:
            raise ValueError(f"{self.id_token}: capacity and powers must be positive")
        if not (0 <= self.soc <= 1 and 0 <= self.min_soc < self.limit_soc <= 1):
            raise ValueError(f"{self.id_token}: 0 <= min_soc < limit_soc <= 1 and 0 <= soc <= 1")
        if not (0 <= self.taper_soc < 1 and 0 < self.cutoff <= 1):
            raise ValueError(f"{self.id_token}: 0 <= taper_soc < 1 and 0 < cutoff <= 1")
        if not (0 < self.charge_efficiency <= 1 and 0 < self.discharge_efficiency <= 1):
            raise ValueError(f"{self.id_token}: efficiencies must be within 0..1")
        slope_per_s = self.taper_kw_per_kwh * self.charge_efficiency / 3600
        if self.ramp_kw_per_s <= slope_per_s * self.charge_max_kw:
            raise ValueError(f"{self.id_token}: the taper falls faster than the power can follow")

    @property
    def taper_kw_per_kwh(self) -> float:
        """How much less the cells accept for each kWh above ``taper_soc`` [kW/kWh]."""
        span_kwh = (1 - self.taper_soc) * self.capacity_kwh
        return (1 - self.cutoff) * self.charge_max_kw / span_kwh

    @property
    def full(self) -> bool:
        """At its limit: it takes nothing more."""
        return (self.limit_soc - self.soc) * self.capacity_kwh <= _TINY

    @property
    def empty(self) -> bool:
        """At or below ``min_soc``: it gives nothing more."""
        return (self.soc - self.min_soc) * self.capacity_kwh <= _TINY

    def accepts_kw(self) -> float:
        """The most the battery takes at its present charge [kW]."""
        if self.full:
            return 0.0
        line = self.cutoff * self.charge_max_kw
        line += self.taper_kw_per_kwh * (1 - self.soc) * self.capacity_kwh
        return min(self.charge_max_kw, line)


def ac_kw(vehicle: SimVehicle, limit_a: float, phases: int, voltage_v: float) -> float:
    """The power an AC vehicle may take when offered ``limit_a`` on ``phases`` phases [kW].

    The offer is followed in whole steps; below ``min_a`` the vehicle pauses (IEC 61851-1, A.2.2).
    """
    followed_a = math.floor(limit_a / vehicle.step_a + 1e-6) * vehicle.step_a
    if followed_a < vehicle.min_a:
        return 0.0
    used = min(vehicle.ac_phases, phases)
    return min(followed_a * voltage_v * used / 1000, vehicle.charge_max_kw)


def step(vehicle: SimVehicle, allowed_kw: float, dt_s: float) -> tuple[SimVehicle, float]:
    """Let ``dt_s`` pass with the power allowed to be ``allowed_kw``.

    Parameters
    ----------
    allowed_kw
        >= 0: the vehicle charges with this or as much less as it wants; < 0: it discharges with
        exactly this, as far as it can [kW].

    Returns
    -------
    vehicle : SimVehicle
        As it is then.
    mean_power_kw : float
        Mean over ``dt_s`` [kW]; the present power where no time passes.
    """
    after, import_kwh, export_kwh = advance(vehicle, allowed_kw, dt_s)
    if dt_s <= 0:
        return after, after.power_kw
    return after, (import_kwh - export_kwh) * 3600 / dt_s


def advance(vehicle: SimVehicle, allowed_kw: float, dt_s: float) -> tuple[SimVehicle, float, float]:
    """Like :func:`step`, with what a meter counts on the way in each direction [kWh]."""
    power = vehicle.power_kw
    if dt_s <= 0 or (power == 0.0 and allowed_kw == 0.0):
        return vehicle, 0.0, 0.0
    capacity, into, out_of = (
        vehicle.capacity_kwh,
        vehicle.charge_efficiency,
        vehicle.discharge_efficiency,
    )
    most, end_kw = vehicle.charge_max_kw, vehicle.cutoff * vehicle.charge_max_kw
    slope = vehicle.taper_kw_per_kwh
    floor_kwh, ceiling_kwh = vehicle.min_soc * capacity, vehicle.limit_soc * capacity
    last_kw = min(end_kw + slope * (capacity - ceiling_kwh), most)
    taper_kwh = vehicle.taper_soc * capacity
    energy = vehicle.soc * capacity
    command = min(max(allowed_kw, -vehicle.discharge_max_kw), most)
    ramp = vehicle.ramp_kw_per_s
    left, imported, exported = dt_s, 0.0, 0.0

    while left > 0:
        full, empty = ceiling_kwh - energy <= _TINY, energy - floor_kwh <= _TINY
        if (power > 0 and full) or (power < 0 and empty):
            power = 0.0
        goal = 0.0 if (command > 0 and full) or (command < 0 and empty) else command
        accepted = min(most, end_kw + slope * (capacity - energy))
        tapering = goal > accepted - _TINY and slope > 0 and energy >= taper_kwh - _TINY
        if tapering:
            goal = accepted

        if abs(power - goal) > _TINY:
            if math.isinf(ramp):
                power = goal
                continue
            crosses = power * goal < 0
            aim = 0.0 if crosses else goal
            rate = math.copysign(ramp, aim - power)
            last = (aim - power) / rate
            if power < 0 or (power == 0 and aim < 0):
                room = (energy - floor_kwh) * 3600 * out_of
                until = min(last, _time_to(-power, -rate, room))
                took = min(left, until)
                given = (-power - rate * took / 2) * took / 3600
                exported += given
                energy -= given / out_of
            else:
                # the line of the taper comes down while the ramp goes up: where they meet, it ends
                meets = math.inf
                if rate > 0 and slope > 0:
                    gap = end_kw + slope * (capacity - energy) - power
                    speed = rate + slope * into * power / 3600
                    bend = slope * into * rate / 7200
                    meets = 2 * gap / (speed + math.sqrt(speed * speed + 4 * bend * gap))
                room = (ceiling_kwh - energy) * 3600 / into
                until = min(last, meets, _time_to(power, rate, room))
                took = min(left, until)
                got = (power + rate * took / 2) * took / 3600
                imported += got
                energy += got * into
            power = aim if took == last else power + rate * took
            left -= took
            continue

        power = goal if abs(goal) > _TINY else 0.0
        if power == 0.0:
            break
        if power < 0:
            speed = -power / out_of / 3600
            until = (energy - floor_kwh) / speed
            took = min(left, until)
            exported -= power * took / 3600
            energy = floor_kwh if took == until else energy - speed * took
        elif tapering:
            decay = slope * into / 3600
            until = math.log(max(power / last_kw, 1.0)) / decay
            took = min(left, until)
            after = last_kw if took == until else power * math.exp(-decay * took)
            got = (power - after) / slope
            imported += got / into
            energy = ceiling_kwh if took == until else energy + got
            power = after
        else:
            knee = capacity - (power - end_kw) / slope if power > end_kw and slope > 0 else capacity
            knee = min(knee, ceiling_kwh)
            until = (knee - energy) * 3600 / (power * into)
            took = min(left, until)
            imported += power * took / 3600
            energy = knee if took == until else energy + power * took * into / 3600
        left -= took

    if (power > 0 and ceiling_kwh - energy <= _TINY) or (power < 0 and energy - floor_kwh <= _TINY):
        power = 0.0
    if imported == exported == 0.0 and power == vehicle.power_kw:
        return vehicle, 0.0, 0.0
    soc = min(max(energy / capacity, 0.0), 1.0)
    return replace(vehicle, soc=soc, power_kw=power), imported, exported


def _time_to(power_kw: float, rate_kw_per_s: float, energy_kws: float) -> float:
    """When a power that starts at ``power_kw`` and changes at a rate has moved an energy [s]."""
    reach = power_kw * power_kw + 2 * rate_kw_per_s * energy_kws
    speed = power_kw + math.sqrt(reach) if reach >= 0 else 0.0
    return 2 * energy_kws / speed if speed > 0 else math.inf
