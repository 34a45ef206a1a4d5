"""Vehicles to simulate.

Usable energies and powers are those of data sheets and of the measurements named with each model;
what no sheet gives (taper, efficiency, ramp) is typical: onboard chargers reach about 0.9 from plug
to cells, DC chargers about 0.94 one way, and cars follow a new current within a few seconds
(IEC 61851-1 allows 5 s).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gridleaf.sim.vehicle import SimVehicle


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A kind of vehicle. Energies usable [kWh], powers at the grid side [kW]; 0 is: not able to."""

    name: str
    capacity_kwh: float
    ac_kw: float
    ac_phases: int
    dc_kw: float = 0.0
    discharge_kw: float = 0.0
    dc_taper_soc: float = 0.8


MODELS: Final[dict[str, Model]] = {
    # 24 kWh nameplate, about 22 usable (96s2p AESC, LMO); AC 6.6 kW single-phase, CHAdeMO 46 kW and
    # bidirectional: pushevs.com 2015-09-28; nissanleaf.carhackingwiki.com
    "leaf24": Model(
        name="Nissan Leaf 24 kWh",
        capacity_kwh=22.0,
        ac_kw=6.6,
        ac_phases=1,
        dc_kw=46.0,
        discharge_kw=22.0,
    ),
    # 96s2p x 56.3 Ah, 39.46 kWh, about 39 usable: pushevs.com 2018-01-29
    "leaf40": Model(
        name="Nissan Leaf 40 kWh",
        capacity_kwh=39.0,
        ac_kw=6.6,
        ac_phases=1,
        dc_kw=46.0,
        discharge_kw=22.0,
    ),
    # 96s3p x 56.3 Ah, about 59 usable; CHAdeMO to 100 kW: pushevs.com 2018-01-29
    "leaf62": Model(
        name="Nissan Leaf e+ 62 kWh",
        capacity_kwh=59.0,
        ac_kw=6.6,
        ac_phases=1,
        dc_kw=100.0,
        discharge_kw=22.0,
    ),
    # a van by CCS with ISO 15118-20 DC_BPT, of the size of today's mid-size vans
    "van60": Model(
        name="Van 60 kWh",
        capacity_kwh=60.0,
        ac_kw=11.0,
        ac_phases=3,
        dc_kw=80.0,
        discharge_kw=22.0,
    ),
    # a compact car as sold since 2020: 52 kWh usable, 22 kW three-phase onboard charger
    "hatchback52": Model(
        name="Hatchback 52 kWh", capacity_kwh=52.0, ac_kw=22.0, ac_phases=3, dc_kw=50.0
    ),
    # a family car as sold since 2020: 77 kWh usable, 11 kW three-phase
    "suv77": Model(name="SUV 77 kWh", capacity_kwh=77.0, ac_kw=11.0, ac_phases=3, dc_kw=125.0),
    # a plug-in hybrid: small pack, 7.4 kW single-phase
    "hybrid13": Model(name="Plug-in hybrid 13 kWh", capacity_kwh=13.0, ac_kw=7.36, ac_phases=1),
}


def make(
    model: str,
    current: Literal["AC", "DC"],
    *,
    id_token: str,
    soc: float,
    target_soc: float | None = None,
) -> SimVehicle:
    """A vehicle of the catalogue as it stands at an AC or DC charger.

    Raises
    ------
    KeyError
        No such model.
    ValueError
        It has no DC inlet.
    """
    kind = MODELS[model]
    if current == "AC":
        # the onboard charger, not the cells, is the limit until the battery is almost full
        return SimVehicle(
            id_token=id_token,
            name=kind.name,
            capacity_kwh=kind.capacity_kwh,
            soc=soc,
            charge_max_kw=kind.ac_kw,
            ac_phases=kind.ac_phases,
            taper_soc=0.95,
            charge_efficiency=0.9,
            ramp_kw_per_s=2.0,
            target_soc=target_soc,
        )
    if kind.dc_kw <= 0:
        raise ValueError(f"{kind.name} has no DC inlet")
    return SimVehicle(
        id_token=id_token,
        name=kind.name,
        capacity_kwh=kind.capacity_kwh,
        soc=soc,
        charge_max_kw=kind.dc_kw,
        discharge_max_kw=kind.discharge_kw,
        taper_soc=kind.dc_taper_soc,
        charge_efficiency=0.94,
        discharge_efficiency=0.94,
        ramp_kw_per_s=5.0,
        reports_soc=True,
        target_soc=target_soc,
    )
