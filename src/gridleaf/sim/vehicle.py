"""A vehicle's battery behind its charger: what power it takes, and what that does to its charge.

Power is at the grid side of the charger, + charges. The model of one step is exact for a constant
setpoint: the time is cut where the law changes (end of a ramp, zero crossing, a point of the charging
curve, full, empty) and each piece is integrated in closed form.

What the cells accept is a curve over the charge in straight pieces (``battery.curve``). With
``battery`` it is that of a pack of the catalogue at its temperature, its losses are those of charger
and resistance at the power of the moment, and they warm it; otherwise it is a generic one, with
constant efficiencies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gridleaf.battery import curve as curves
from gridleaf.battery import pack as packs
from gridleaf.battery.thermal import settle
from gridleaf.sim.grid_side import TINY, Accepts, Losses, accepts, generic, gives, losses_at

_FRESH_S = 60.0
"""Losses and limits of a pack are taken anew after so long [s]."""


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
    battery
        Name of its pack in the catalogue; "" is a generic one.
    temperature_c, ambient_c
        Of a pack of the catalogue, and of the air around it [°C].
    taper_soc, cutoff
        Of a generic battery: where the constant-voltage phase begins, and the fraction of
        ``charge_max_kw`` at which it ends with a full battery; 1 is a battery without taper.
    charge_efficiency, discharge_efficiency
        Of a generic battery, from the grid side to the cells, and back.
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
    battery: str = ""
    temperature_c: float = curves.USUAL_C
    ambient_c: float = curves.USUAL_C
    taper_soc: float = curves.TAPER_SOC
    cutoff: float = curves.CUTOFF
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
        steepest = max(self.curve.falls) * self.charge_efficiency / 3600
        if self.ramp_kw_per_s <= steepest * self.charge_max_kw:
            raise ValueError(f"{self.id_token}: the taper falls faster than the power can follow")

    @property
    def curve(self) -> Accepts:
        """What the cells accept now."""
        if self.battery:
            return accepts(
                self.battery,
                self.capacity_kwh,
                self.charge_max_kw,
                float(round(self.temperature_c)),
            )
        return generic(self.capacity_kwh, self.charge_max_kw, self.taper_soc, self.cutoff)

    @property
    def full(self) -> bool:
        """At its limit: it takes nothing more."""
        return (self.limit_soc - self.soc) * self.capacity_kwh <= TINY

    @property
    def empty(self) -> bool:
        """At or below ``min_soc``: it gives nothing more."""
        return (self.soc - self.min_soc) * self.capacity_kwh <= TINY

    def accepts_kw(self) -> float:
        """The most the battery takes at its present charge [kW]."""
        if self.full:
            return 0.0
        return min(self.charge_max_kw, self.curve.at(self.soc * self.capacity_kwh))


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
    if not vehicle.battery:
        fixed = Losses(vehicle.charge_efficiency, vehicle.discharge_efficiency)
        return _advance(vehicle, allowed_kw, dt_s, vehicle.discharge_max_kw, fixed)
    imported = exported = 0.0
    left = dt_s
    while left > 0:
        if vehicle.power_kw == 0.0 and (
            allowed_kw == 0.0
            or (allowed_kw > 0 and vehicle.full)
            or (allowed_kw < 0 and vehicle.empty)
        ):
            return _warmed(vehicle, 0.0, left), imported, exported
        took = min(left, _FRESH_S)
        most_out, losses = _pack_now(vehicle, allowed_kw)
        vehicle, got, gave = _advance(vehicle, allowed_kw, took, most_out, losses)
        heat = got * (losses.charger_in - losses.into)
        heat += gave / losses.out_of - gave / losses.charger_out
        vehicle = _warmed(vehicle, heat, took)
        imported, exported, left = imported + got, exported + gave, left - took
    return vehicle, imported, exported


def _pack_now(vehicle: SimVehicle, allowed_kw: float) -> tuple[float, Losses]:
    """What the pack gives at most [kW], and its losses at the power it is about to have."""
    at_c = float(round(vehicle.temperature_c))
    able = gives(vehicle.battery, vehicle.capacity_kwh, vehicle.charge_max_kw, at_c)
    given = min(vehicle.discharge_max_kw, able.at(vehicle.soc))
    taken = max(vehicle.accepts_kw(), vehicle.power_kw, TINY)
    into_kw = min(allowed_kw, taken) if allowed_kw > 0 else vehicle.power_kw
    out_kw = min(-allowed_kw, given) if allowed_kw < 0 else -vehicle.power_kw
    return given, losses_at(
        vehicle.battery,
        vehicle.charge_max_kw,
        round(into_kw, 1),
        round(out_kw, 1),
        round(vehicle.soc, 1),
        at_c,
    )


def _warmed(vehicle: SimVehicle, heat_kwh: float, dt_s: float) -> SimVehicle:
    if heat_kwh == 0.0 and vehicle.temperature_c == vehicle.ambient_c:
        return vehicle
    dt_h = dt_s / 3600
    thermal = packs.named(vehicle.battery).thermal
    after, _ = settle(thermal, vehicle.temperature_c, heat_kwh / dt_h, vehicle.ambient_c, dt_h)
    return replace(vehicle, temperature_c=float(after))


def _advance(
    vehicle: SimVehicle, allowed_kw: float, dt_s: float, most_out_kw: float, losses: Losses
) -> tuple[SimVehicle, float, float]:
    power = vehicle.power_kw
    if dt_s <= 0 or (power == 0.0 and allowed_kw == 0.0):
        return vehicle, 0.0, 0.0
    capacity, into, out_of = vehicle.capacity_kwh, losses.into, losses.out_of
    most, curve = vehicle.charge_max_kw, vehicle.curve
    floor_kwh, ceiling_kwh = vehicle.min_soc * capacity, vehicle.limit_soc * capacity
    energy = vehicle.soc * capacity
    command = min(max(allowed_kw, -most_out_kw), most)
    ramp = vehicle.ramp_kw_per_s
    left, imported, exported = dt_s, 0.0, 0.0

    while left > 0:
        full, empty = ceiling_kwh - energy <= TINY, energy - floor_kwh <= TINY
        if (power > 0 and full) or (power < 0 and empty):
            power = 0.0
        goal = 0.0 if (command > 0 and full) or (command < 0 and empty) else command
        piece = curve.piece(energy)
        slope, point_kwh = curve.falls[piece], min(curve.energy_kwh[piece + 1], ceiling_kwh)
        line = curve.power_kw[piece] + slope * curve.energy_kwh[piece]
        accepted = line - slope * energy
        # at the top of a rising piece it is the command that holds, at that of a falling one the curve
        follows = goal > accepted + math.copysign(TINY, -slope)
        if follows:
            goal = accepted

        if abs(power - goal) > TINY:
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
                # the curve comes down while the ramp goes up: where they meet, it ends
                meets = math.inf
                if rate > 0 and slope > 0:
                    gap = accepted - power
                    speed = rate + slope * into * power / 3600
                    bend = slope * into * rate / 7200
                    meets = 2 * gap / (speed + math.sqrt(speed * speed + 4 * bend * gap))
                room = (point_kwh - energy) * 3600 / into
                until = min(last, meets, _time_to(power, rate, room))
                took = min(left, until)
                got = (power + rate * took / 2) * took / 3600
                imported += got
                energy += got * into
            power = aim if took == last else power + rate * took
            left -= took
            continue

        power = goal if abs(goal) > TINY else 0.0
        if power == 0.0:
            break
        if power < 0:
            speed = -power / out_of / 3600
            until = (energy - floor_kwh) / speed
            took = min(left, until)
            exported -= power * took / 3600
            energy = floor_kwh if took == until else energy - speed * took
        elif follows and slope != 0:
            decay = slope * into / 3600
            end_kw = line - slope * point_kwh
            if slope < 0:
                end_kw = min(end_kw, command)
            end_kwh = (line - end_kw) / slope if end_kw == command else point_kwh
            until = math.log(power / end_kw) / decay if end_kw > 0 else math.inf
            until = max(until, 0.0)
            took = min(left, until)
            after = end_kw if took == until else power * math.exp(-decay * took)
            got = (power - after) / slope
            imported += got / into
            energy = end_kwh if took == until else energy + got
            power = after
        else:
            knee = (line - power) / slope if slope > 0 else point_kwh
            knee = min(max(knee, energy), point_kwh)
            until = (knee - energy) * 3600 / (power * into)
            took = min(left, until)
            imported += power * took / 3600
            energy = knee if took == until else energy + power * took * into / 3600
        left -= took

    if (power > 0 and ceiling_kwh - energy <= TINY) or (power < 0 and energy - floor_kwh <= TINY):
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
