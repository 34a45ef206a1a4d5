"""Small believable values for tests of control: a site, its EVSEs, their sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gridleaf.control.types import EvseState, Outlook, SessionState, SiteState
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig, parse

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def site(**changes: Any) -> SiteConfig:
    """Two stations on one row: a bidirectional DC and a three-phase AC, 40 kW grid connection."""
    raw: dict[str, Any] = {
        "name": "Test depot",
        "import_limit_kw": 40,
        "export_limit_kw": 20,
        "control": {"static_share_kw": 10},
        "circuits": [{"id": "row", "import_limit_kw": 30}],
        "stations": [
            {
                "id": "DC1",
                "circuit": "row",
                "evses": [{"id": 1, "current": "DC", "charge_max_kw": 22, "discharge_max_kw": 22}],
            },
            {"id": "AC1", "circuit": "row", "evses": [{"id": 1, "charge_max_kw": 11}]},
        ],
    }
    return parse({**raw, **changes})


def session(name: str = "s1", **changes: Any) -> SessionState:
    """Half-full 40 kWh vehicle that may be discharged and leaves in eight hours."""
    base = SessionState(
        session_id=name,
        transaction_id=f"tx-{name}",
        id_token=f"tag-{name}",
        vehicle="",
        arrived_at=NOON - timedelta(hours=1),
        departure_at=NOON + timedelta(hours=8),
        energy_kwh=20.0,
        target_kwh=32.0,
        reserve_kwh=12.0,
        max_kwh=40.0,
        capacity_kwh=40.0,
        soc=0.5,
        soc_at=NOON,
        v2g=True,
        charge_max_kw=22.0,
        discharge_max_kw=22.0,
        gauged=True,
        wear_per_kwh=0.04,
        charged_kwh=0.0,
        discharged_kwh=0.0,
        said_by="driver",
    )
    return replace(base, **changes)


def evse(station_id: str = "DC1", **changes: Any) -> EvseState:
    """A bidirectional DC EVSE, online and obeying, with a vehicle."""
    base = EvseState(
        station_id=station_id,
        evse_id=1,
        circuit="row",
        current="DC",
        phases=3,
        phase=1,
        min_a=0.0,
        rate_unit="W",
        charge_max_kw=22.0,
        discharge_max_kw=22.0,
        charge_efficiency=0.93,
        discharge_efficiency=0.93,
        online=True,
        status="occupied",
        obeying=True,
        rung=0,
        power_kw=0.0,
        power_at=NOON,
        setpoint_kw=None,
        setpoint_expires_at=None,
        expected_kw=0.0,
        least_kw=0.0,
        most_kw=0.0,
        worst_import_kw=22.0,
        worst_export_kw=0.0,
        external_limit_kw=None,
        dynamic=False,
        v2x=True,
        session=session(),
    )
    return replace(base, **changes)


def ac_evse(station_id: str = "AC1", **changes: Any) -> EvseState:
    """A three-phase 11 kW AC EVSE, charging only."""
    charging = session(
        f"{station_id}-s",
        v2g=False,
        discharge_max_kw=0.0,
        charge_max_kw=11.0,
        soc=None,
        capacity_kwh=None,
    )
    ac: dict[str, Any] = {
        "current": "AC",
        "min_a": 6.0,
        "rate_unit": "A",
        "charge_max_kw": 11.0,
        "discharge_max_kw": 0.0,
        "worst_import_kw": 11.0,
        "v2x": False,
        "session": charging,
    }
    return evse(station_id, **{**ac, **changes})


def outlook(
    steps: int = 48,
    *,
    step_h: float = 0.25,
    buy: float | list[float] = 0.3,
    sell: float | list[float] = 0.1,
    load_kw: float = 5.0,
    pv_kw: float = 0.0,
    import_limit_kw: float = 40.0,
    export_limit_kw: float = 20.0,
) -> Outlook:
    def row(value: float | list[float]) -> tuple[float, ...]:
        return tuple(value) if isinstance(value, list) else (value,) * steps

    return Outlook(
        start=NOON,
        step_h=(step_h,) * steps,
        import_price=row(buy),
        export_price=row(sell),
        price_known=(True,) * steps,
        load_kw=row(load_kw),
        pv_kw=row(pv_kw),
        import_limit_kw=row(import_limit_kw),
        export_limit_kw=row(export_limit_kw),
    )


def state(*evses: EvseState, **changes: Any) -> SiteState:
    """A site with a fresh meter and 5 kW of building load."""
    look = changes.pop("outlook", None) or outlook()
    for name, cautious in (
        ("base_kw", ("base_import_kw", "base_export_kw")),
        ("import_limit_kw", ("import_ceiling_kw",)),
        ("export_limit_kw", ("export_ceiling_kw",)),
    ):
        if name in changes:
            changes.update({c: changes[name] for c in cautious if c not in changes})
    base = SiteState(
        at=NOON,
        site="Test depot",
        policy="v2g",
        measurement=SiteMeasurement(measured_at=NOON, grid_kw=5.0, load_kw=5.0, pv_kw=0.0),
        meter_fresh=True,
        base_kw=5.0,
        base_import_kw=5.0,
        base_export_kw=5.0,
        grid_event=None,
        import_limit_kw=40.0,
        export_limit_kw=20.0,
        import_ceiling_kw=40.0,
        export_ceiling_kw=20.0,
        peak_so_far_kw=0.0,
        outlook=look,
        evses=evses,
    )
    return replace(base, **changes)
