"""Figures of a mode from what the registers counted."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest

from gridleaf.domain.site import Circuit, Evse, LimitWindow, SiteConfig, Station, Tariff
from gridleaf.replay.metrics import MINUTE, Recording, Tape, aligned, demand_cost, mode_result
from gridleaf.replay.results import ModeResult
from gridleaf.replay.site import ReplayVisit
from gridleaf.replay.window import Window

START = datetime(2024, 5, 6, tzinfo=UTC)
HOURS = 4


def site(
    *, limit_kw: float = 50, row_kw: float = 30, windows: tuple[LimitWindow, ...] = ()
) -> SiteConfig:
    evse = Evse(id=1, current="DC", charge_max_kw=22, discharge_max_kw=22)
    return SiteConfig(
        name="depot",
        import_limit_kw=limit_kw,
        export_limit_kw=20,
        limit_windows=windows,
        circuits=(Circuit(id="row", import_limit_kw=row_kw, load_kw=5),),
        stations=(
            Station(id="A", circuit="row", evses=(evse,)),
            Station(id="B", evses=(evse,)),
        ),
        tariff=Tariff(demand_charge_per_kw=31, demand_interval_min=60),
    )


def visit(station: str, target_soc: float = 0.9, reachable_kwh: float = 10.0) -> ReplayVisit:
    return ReplayVisit(
        visit_id=f"v-{station}",
        vehicle=station,
        id_token=station,
        station_id=station,
        evse_id=1,
        arrived_at=START,
        departed_at=START + timedelta(hours=HOURS),
        energy_kwh=10.0,
        reachable_kwh=reachable_kwh,
        capacity_kwh=40.0,
        arrival_soc=0.5,
        target_soc=target_soc,
        charge_max_kw=22.0,
        discharge_max_kw=22.0,
    )


def result(
    a: list[float],
    b: list[float],
    *,
    final: tuple[float, float] = (0.9, 0.9),
    where: SiteConfig | None = None,
    reachable_kwh: float = 10.0,
) -> ModeResult:
    """One vehicle at each EVSE that moves these energies in the four hours (+ charges) [kWh]."""
    tapes = []
    for station, energies, soc in zip("AB", (a, b), final, strict=True):
        tape = Tape(visit(station, reachable_kwh=reachable_kwh), 0, final_soc=soc)
        tape.imported = [max(e, 0.0) for e in energies]
        tape.exported = [max(-e, 0.0) for e in energies]
        tapes.append(tape)
    return mode_result(
        "v2g",
        Recording(
            tapes=tapes,
            minute_kwh={
                "": np.repeat(np.add(a, b) / 60, 60),
                "row": np.repeat(np.asarray(a) / 60, 60),
            },
            cycles=7,
            messages=100,
        ),
        site=where or site(),
        window=Window(start=START, end=START + timedelta(hours=HOURS)),
        buy=[0.1, 0.2, 0.3, -0.1],
        sell=[0.05, 0.1, 0.15, -0.2],
    )


def test_energy_is_billed_net_at_the_grid_connection_by_interval() -> None:
    got = result([10, 0, -6, 5], [0, 4, -4, 5])
    assert got.grid_kw == pytest.approx((10, 4, -10, 10))
    assert got.energy_cost_eur == pytest.approx(10 * 0.1 + 4 * 0.2 - 10 * 0.15 + 10 * -0.1)
    assert sum(v.energy_cost_eur for v in got.visits) == pytest.approx(got.energy_cost_eur)
    netted = result([10, 0, -6, 5], [0, 4, 6, 5])
    assert netted.energy_cost_eur == pytest.approx(10 * 0.1 + 4 * 0.2 + 0 - 10 * 0.1)


def test_energies_wear_peak_and_cycles() -> None:
    got = result([10, 0, -6, 5], [0, 4, -4, 5])
    assert (got.sessions, got.cycles, got.messages) == (2, 7, 100)
    assert got.charged_kwh == pytest.approx(24)
    assert got.discharged_kwh == pytest.approx(10)
    assert got.wear_cost_eur == pytest.approx(0.4)
    assert got.peak_kw == pytest.approx(10)
    throughput = 24 * 0.93 + 10 / 0.93
    assert got.equivalent_full_cycles == pytest.approx(throughput / 80)
    assert got.total_cost_eur == pytest.approx(
        got.energy_cost_eur + got.demand_cost_eur + got.wear_cost_eur
    )


def test_unmet_energy_counts_only_what_was_reachable() -> None:
    lacking = 0.05 * 40 / 0.93
    got = result([8, 0, 0, 0], [10, 0, 0, 0], final=(0.85, 0.9))
    assert got.unmet_kwh == pytest.approx(lacking)
    assert got.ready_on_time == 1
    excused = result([8, 0, 0, 0], [10, 0, 0, 0], final=(0.85, 0.9), reachable_kwh=9.0)
    assert excused.unmet_kwh == pytest.approx(lacking - 1.0)
    full = result([8, 0, 0, 0], [10, 0, 0, 0], final=(0.95, 0.9))
    assert (full.unmet_kwh, full.ready_on_time) == (0.0, 2)


def test_every_minute_above_a_limit_of_site_or_circuit_is_counted_once() -> None:
    assert result([25, 0, 0, 0], [25, 0, 0, 0]).limit_violations == 0
    circuit = result([25.3, 0, 0, 0], [0, 0, 0, 0])
    assert circuit.limit_violations == 60
    assert circuit.worst_excess_kw == pytest.approx(0.3)
    both = result([40, 0, 0, 0], [20, 0, 0, 0])
    assert both.limit_violations == 60
    assert both.worst_excess_kw == pytest.approx(15)
    export = result([0, 0, -15, 0], [0, 0, -10, 0])
    assert export.limit_violations == 60
    assert export.worst_excess_kw == pytest.approx(5)


def test_what_the_meter_cannot_tell_apart_is_no_violation() -> None:
    assert result([0, 0, 0, 0], [50.2, 0, 0, 0]).limit_violations == 0
    assert result([0, 0, 0, 0], [50.3, 0, 0, 0]).limit_violations == 60


def test_limits_by_time_of_day_hold_in_their_hours_only() -> None:
    evening = LimitWindow(start=time(2), end=time(3), import_limit_kw=5)
    got = result([0, 0, 0, 0], [20, 20, 20, 20], where=site(windows=(evening,)))
    assert got.limit_violations == 60
    assert got.worst_excess_kw == pytest.approx(15)


def test_the_demand_charge_is_pro_rata_and_starts_anew_each_local_month() -> None:
    depot = site()
    window = Window(start=START, end=START + timedelta(hours=HOURS))
    hours = HOURS / (31 * 24)
    assert demand_cost(np.array([3.0, 9.0, 1.0, -5.0]), depot, window) == pytest.approx(
        9 * 31 * hours
    )
    berlin = depot.model_copy(update={"timezone": "Europe/Berlin"})
    new_year = Window(
        start=datetime(2024, 12, 31, 21, tzinfo=UTC), end=datetime(2025, 1, 1, 1, tzinfo=UTC)
    )
    expected = (7 * 2 + 4 * 2) * 31 / (31 * 24)
    assert demand_cost(np.array([7.0, 2.0, 4.0, 3.0]), berlin, new_year) == pytest.approx(expected)
    whole = Window(start=datetime(2024, 5, 1, tzinfo=UTC), end=datetime(2024, 6, 1, tzinfo=UTC))
    power = np.zeros(31 * 24)
    power[100] = 10.0
    assert demand_cost(power, depot, whole) == pytest.approx(310)


def test_a_window_is_widened_to_whole_intervals() -> None:
    odd = Window(start=START + 7 * MINUTE, end=START + 61 * MINUTE)
    assert aligned(odd, 15) == Window(start=START, end=START + 75 * MINUTE)
    assert aligned(aligned(odd, 15), 15) == aligned(odd, 15)
