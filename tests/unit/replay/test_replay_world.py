"""A small log through the whole platform, in all modes, on a virtual clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from gridleaf.control.types import Policy
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.site import Circuit, Defaults, Evse, SiteConfig, Station, Tariff
from gridleaf.replay.logs import LoggedVisit, SessionLog
from gridleaf.replay.quality import Findings
from gridleaf.replay.results import ModeResult
from gridleaf.replay.run import prepare, replay
from gridleaf.replay.world import Scenario, run_mode
from gridleaf.tariff import PriceSeries

START = datetime(2024, 5, 6, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRICES = Path("prices.csv")


def series() -> PriceSeries:
    """Dear until noon, cheap in the afternoon, and a few days around that are in between."""
    first = datetime(2024, 5, 4, 22, tzinfo=UTC)
    points = []
    for hour in range(24 * 4):
        at = first + hour * HOUR
        price = 0.1
        if at.date() == START.date():
            price = 0.30 if at.hour < 12 else 0.05
        points.append(PricePoint(start=at, end=at + HOUR, price_per_kwh=price))
    return PriceSeries(points=tuple(points))


def log() -> SessionLog:
    visits = tuple(
        LoggedVisit(
            visit_id=f"v{n}",
            arrived_at=START + timedelta(hours=2, minutes=7 * n),
            departed_at=START + timedelta(hours=stay),
            energy_kwh=energy,
            station=f"bay-{n}",
            charge_max_kw=11.0,
            arrival_soc=soc,
            departure_soc=0.9,
        )
        for n, (stay, energy, soc) in enumerate(
            [(11, 10.0, 0.6), (12, 12.0, 0.5), (5, 14.0, 0.4), (11.4, 16.0, 0.7)]
        )
    )
    quality = Findings().summary(source="log.csv", preset="gridleaf", timezone="UTC", rows=4)
    return SessionLog(visits=visits, quality=quality, timezone="UTC")


def depot(limit_kw: float, row_kw: float, demand_charge: float) -> SiteConfig:
    """Four bays, two of them on a row."""
    evse = Evse(
        id=1, current="DC", charge_max_kw=11, discharge_max_kw=11, min_a=0, charge_efficiency=0.93
    )
    return SiteConfig(
        name="depot",
        import_limit_kw=limit_kw,
        export_limit_kw=limit_kw / 2,
        circuits=(Circuit(id="row", import_limit_kw=row_kw),),
        stations=tuple(
            Station(
                id=f"bay-{n}",
                circuit="row" if n < 2 else "",
                versions=("ocpp2.1",),
                evses=(evse,),
            )
            for n in range(4)
        ),
        tariff=Tariff(demand_charge_per_kw=demand_charge),
        defaults=Defaults(v2g=True),
    )


def scenario(site: SiteConfig | None = None) -> Scenario:
    return prepare(
        log(), series(), PRICES, site=site, since=START, until=START + timedelta(hours=16)
    )


@cache
def assumed(mode: Policy) -> ModeResult:
    return run_mode(scenario(), mode)


def test_all_modes_deliver_the_energy_of_the_log_and_break_no_limit() -> None:
    for mode in ("uncontrolled", "smart", "v2g"):
        result = assumed(mode)
        assert result.sessions == 4
        assert result.ready_on_time == 4
        assert result.unmet_kwh == pytest.approx(0.0, abs=0.05)
        assert result.charged_kwh - result.discharged_kwh >= 52.0 - 0.1
        assert result.limit_violations == 0
    assert assumed("uncontrolled").charged_kwh == pytest.approx(52.0, abs=0.1)
    assert assumed("smart").charged_kwh == pytest.approx(52.0, abs=0.1)


def test_smart_charging_waits_for_the_cheap_hours_and_v2g_sells_in_the_dear_ones() -> None:
    roomy = scenario(depot(60, 60, demand_charge=0))
    plain, smart, v2g = (run_mode(roomy, m) for m in ("uncontrolled", "smart", "v2g"))
    assert plain.discharged_kwh == smart.discharged_kwh == 0
    assert v2g.discharged_kwh > 10
    assert v2g.wear_cost_eur == pytest.approx(0.04 * v2g.discharged_kwh)
    assert smart.energy_cost_eur < 0.7 * plain.energy_cost_eur
    assert v2g.total_cost_eur < smart.total_cost_eur < plain.total_cost_eur
    assert v2g.equivalent_full_cycles > smart.equivalent_full_cycles
    assert v2g.ready_on_time == smart.ready_on_time == 4


def test_the_visits_explain_the_site() -> None:
    result = assumed("v2g")
    assert sum(v.energy_cost_eur for v in result.visits) == pytest.approx(result.energy_cost_eur)
    assert sum(result.grid_kw) / 4 == pytest.approx(result.charged_kwh - result.discharged_kwh)
    for visit in result.visits:
        assert min(visit.soc) >= 0.3 - 0.01
        assert visit.soc[-1] == visit.departure_soc == pytest.approx(0.9, abs=0.005)
        assert len(visit.soc) >= (visit.departed_at - visit.arrived_at) / timedelta(minutes=15)


def test_the_same_scenario_gives_the_same_result_to_the_bit() -> None:
    assert run_mode(scenario(), "v2g") == assumed("v2g")


def test_tight_limits_are_broken_by_uncontrolled_charging_and_never_by_ours() -> None:
    tight = scenario(depot(24, 12, demand_charge=2.0))
    plain, v2g = (run_mode(tight, m) for m in ("uncontrolled", "v2g"))
    assert plain.limit_violations > 0
    assert plain.worst_excess_kw > 5
    assert v2g.limit_violations == 0
    assert v2g.worst_excess_kw == 0.0
    assert v2g.ready_on_time == 4
    assert v2g.peak_kw <= 24.0


def test_a_site_of_mixed_stations_speaks_three_versions_and_keeps_its_limits() -> None:
    stations = (
        ("ocpp1.6", Evse(id=1, charge_max_kw=7.4, phases=1)),
        ("ocpp2.0.1", Evse(id=1, charge_max_kw=11)),
        ("ocpp2.1", Evse(id=1, charge_max_kw=11)),
        ("ocpp2.1", Evse(id=1, current="DC", charge_max_kw=22, discharge_max_kw=22, min_a=0)),
    )
    site = SiteConfig(
        name="mixed",
        import_limit_kw=20,
        export_limit_kw=10,
        stations=tuple(
            Station(id=f"bay-{n}", versions=(version,), evses=(evse,))
            for n, (version, evse) in enumerate(stations)
        ),
    )
    result = run_mode(scenario(site), "v2g")
    assert result.limit_violations == 0
    assert result.ready_on_time == 4
    assert [v.discharged_kwh > 1 for v in result.visits] == [False, False, False, True]


def test_fault_39_energy_out_of_reach_is_charged_as_far_as_it_goes_and_not_called_unmet() -> None:
    whole = log()
    hasty = replace(whole.visits[0], departed_at=whole.visits[0].arrived_at + HOUR, energy_kwh=14.0)
    quality = whole.quality
    scene = prepare(
        SessionLog(visits=(hasty, *whole.visits[1:]), quality=quality, timezone="UTC"),
        series(),
        PRICES,
        since=START,
        until=START + timedelta(hours=16),
    )
    assert [f.kind for f in scene.replay.quality.findings] == ["energy_unreachable"]
    result = run_mode(scene, "v2g")
    visit = result.visits[0]
    assert visit.reachable_kwh == pytest.approx(11 * 59 / 60)
    assert visit.charged_kwh == pytest.approx(11.0, abs=0.2)
    assert visit.unmet_kwh == pytest.approx(0.0, abs=0.01)
    assert visit.departure_soc < 0.9
    assert result.ready_on_time == 4


def test_modes_in_processes_of_their_own_give_what_one_process_gives() -> None:
    told: dict[str, float] = {}
    result = replay(
        scenario(),
        modes=("smart", "v2g"),
        workers=2,
        progress=lambda mode, share: told.__setitem__(mode, share),
        price_notes=("a note",),
        command="gridleaf replay",
    )
    assert told == {"smart": 1.0, "v2g": 1.0}
    assert result.mode("v2g") == assumed("v2g")
    assert result.mode("smart") == assumed("smart")
    assert result.evses == 4
    assert len(result.import_price) == 64
    assert result.price_notes == ("a note",)
    assert any("12:45" in line for line in result.assumptions)
