"""The depot of the demo: its grid connection, rows, stations and vehicles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from gridleaf.domain.site import SiteConfig, parse

TIMEZONE = "Europe/Amsterdam"
VANS, POOL_CARS, GUESTS = 16, 6, 2


@dataclass(frozen=True, slots=True)
class Model:
    """A vehicle model: usable energy [kWh] and powers at the grid side [kW].

    ``battery`` is its pack in the catalogue; "" is a generic one.
    """

    name: str
    capacity_kwh: float
    dc_kw: float = 0.0
    discharge_kw: float = 0.0
    ac_kw: float = 0.0
    ac_phases: int = 1
    battery: str = ""


LEAF_24 = Model(
    "Leaf 24 kWh", 22.0, dc_kw=22.0, discharge_kw=10.0, ac_kw=6.6, battery="nissan-leaf-24"
)
LEAF_40 = Model(
    "Leaf 40 kWh", 39.0, dc_kw=22.0, discharge_kw=15.0, ac_kw=6.6, battery="nissan-leaf-40"
)
LEAF_62 = Model(
    "Leaf 62 kWh", 59.0, dc_kw=22.0, discharge_kw=22.0, ac_kw=6.6, battery="nissan-leaf-62"
)
VAN_75 = Model(
    "Van 75 kWh",
    75.0,
    dc_kw=22.0,
    discharge_kw=22.0,
    ac_kw=11.0,
    ac_phases=3,
    battery="van-lfp-75",
)
HATCHBACK = Model("Hatchback 52 kWh", 52.0, ac_kw=11.0, ac_phases=3)
SUV = Model("SUV 77 kWh", 77.0, ac_kw=11.0, ac_phases=3)
PLUG_IN_HYBRID = Model("Plug-in hybrid 13 kWh", 13.0, ac_kw=3.6)
"""Usable energies of the Leafs: 22, 39 and 59 kWh of packs with 96s2p, 96s2p and 96s3p AESC cells
(pushevs.com, 2015-09-28 and 2018-01-29); the others are typical of their class."""

_FLEET = (LEAF_40, LEAF_62, LEAF_40, VAN_75, LEAF_24, LEAF_62, LEAF_40, VAN_75)
_SOH = (0.93, 0.95, 0.88, 0.97, 0.78, 0.91, 0.85, 0.96)
_SINCE_YEAR = (2022, 2023, 2020, 2024, 2015, 2021, 2019, 2024)


def van_model(number: int) -> Model:
    """Model of van ``number``, counted from 1."""
    return _FLEET[(number - 1) % len(_FLEET)]


def van_soh(number: int) -> float:
    """True health of the battery of van ``number``: what the platform has to find out."""
    return _SOH[(number - 1) % len(_FLEET)] - 0.02 * ((number - 1) // len(_FLEET))


def pool_model(number: int) -> Model:
    """Model of pool car ``number``, counted from 1."""
    return (HATCHBACK, SUV, LEAF_40)[(number - 1) % 3]


def gives(number: int) -> bool:
    """Whether the driver of van ``number`` lets it be discharged; two of sixteen do not."""
    return number not in (5, 12)


def demo_site(
    *,
    data_dir: Path,
    port: int,
    ocpp_port: int,
    call_timeout_s: float,
    meter_max_age_s: float,
    solver_time_limit_s: float = 20.0,
) -> SiteConfig:
    """The demo's site: limits that bind in the evening, rows narrower than their chargers.

    Parameters
    ----------
    call_timeout_s, meter_max_age_s
        In the demo's time, which may run faster than the machine's [s].
    solver_time_limit_s
        In the machine's time, the only time a solver knows [s].
    """
    vans = [_bay(n) for n in range(1, VANS + 1)]
    pool = [_pool(n) for n in range(1, POOL_CARS + 1)]
    guests = [_guest(n) for n in range(1, GUESTS + 1)]
    raw: dict[str, Any] = {
        "name": "Depot North",
        "timezone": TIMEZONE,
        "import_limit_kw": 170,
        "export_limit_kw": 90,
        "limit_windows": [
            {"start": "16:30", "end": "20:30", "import_limit_kw": 60, "export_limit_kw": 45}
        ],
        "circuits": [
            {"id": "row-a", "import_limit_kw": 90},
            {"id": "row-b", "import_limit_kw": 90},
            {"id": "ac-row", "import_limit_kw": 44, "fuse_a": 80},
        ],
        "stations": vans + pool + guests,
        "vehicles": [_vehicle(n) for n in range(1, VANS + 1)],
        "defaults": {"stay_h": 1, "energy_kwh": 12, "reserve_soc": 0.3, "v2g": False},
        "tariff": {
            "source": "csv",
            "import_price": 0.27,
            "export_price": 0.1,
            "adder": 0.045,
            "demand_charge_per_kw": 2.2,
        },
        "control": {
            "static_share_kw": 50,
            "margin_kw": 4,
            "meter_max_age_s": meter_max_age_s,
            "solver_time_limit_s": solver_time_limit_s,
        },
        "server": {
            "port": port,
            "ocpp_port": ocpp_port,
            "call_timeout_s": call_timeout_s,
            "ping_interval_s": 3600,
        },
        "storage": {"data_dir": data_dir},
    }
    return parse(raw, "demo")


def _bay(number: int) -> dict[str, Any]:
    return {
        "id": f"BAY-{number:02d}",
        "circuit": "row-a" if number <= VANS // 2 else "row-b",
        "versions": ["ocpp2.1"],
        "evses": [
            {
                "id": 1,
                "current": "DC",
                "charge_max_kw": 22,
                "discharge_max_kw": 22,
                "charge_efficiency": 0.94,
                "discharge_efficiency": 0.93,
            }
        ],
    }


def _pool(number: int) -> dict[str, Any]:
    return {
        "id": f"POOL-{number:02d}",
        "circuit": "ac-row",
        "versions": ["ocpp2.0.1"],
        "evses": [{"id": 1, "charge_max_kw": 11.04, "phases": 3}],
    }


def _guest(number: int) -> dict[str, Any]:
    return {
        "id": f"GUEST-{number:02d}",
        "circuit": "ac-row",
        "versions": ["ocpp1.6"],
        "evses": [{"id": 1, "charge_max_kw": 7.36, "phases": 1, "phase": 1 + number % 3}],
    }


def _vehicle(number: int) -> dict[str, Any]:
    model = van_model(number)
    return {
        "id_token": f"VAN-{number:02d}",
        "name": f"Van {number} ({model.name})",
        "capacity_kwh": model.capacity_kwh,
        "battery_since": date(_SINCE_YEAR[(number - 1) % len(_FLEET)], 3, 1),
        "charge_max_kw": model.dc_kw,
        "discharge_max_kw": model.discharge_kw,
        "v2g": gives(number),
        "reserve_soc": 0.3,
        "target_soc": 0.85,
        "battery": model.battery,
        "discharge_kwh_per_year": 3000,
        "driver_share": 0.3,
    }
