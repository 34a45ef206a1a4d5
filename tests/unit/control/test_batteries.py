"""A known battery limits the plan: what its cells take over their charge, and the time that costs."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOON, evse, outlook, session, site, state
from gridleaf.battery.catalogue import load
from gridleaf.battery.curve import PowerCurve, given_by, of_battery
from gridleaf.control.limits import offered_kw
from gridleaf.control.observe import Imposed, observe
from gridleaf.control.problem import build, charge_bound_kw
from gridleaf.control.types import SessionState, state_from_json, state_to_json
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import Vehicle
from unit.control.test_observe import plugged

LEAF = of_battery("nissan-leaf-40", 39.0).scaled(1 / 0.93)


def observed(soc: float = 0.5, **site_changes: object) -> SessionState:
    live, _ = plugged(soc, **site_changes)
    seen = observe(
        live,
        at=NOON,
        policy="v2g",
        measurement=SiteMeasurement(measured_at=NOON, grid_kw=3.0),
        imposed=Imposed(),
        peak_so_far_kw=0.0,
        outlook=outlook(),
    )
    assert state_from_json(state_to_json(seen)) == seen
    (found,) = (e.session for e in seen.evses if e.session is not None)
    return found


def vehicle(**changes: object) -> list[Vehicle]:
    return [Vehicle(id_token="TAG", capacity_kwh=39, **changes)]  # type: ignore[arg-type]


def test_a_vehicle_with_a_battery_is_seen_with_its_curve_at_the_grid_side() -> None:
    accepts = observed(vehicles=vehicle(battery="nissan-leaf-40")).accepts
    assert accepts is not None
    assert accepts.at(0.9) == pytest.approx(of_battery("nissan-leaf-40", 39.0).at(0.9) / 0.93)


def test_a_vehicle_without_one_has_no_curve_of_its_own() -> None:
    assert observed(vehicles=vehicle()).accepts is None


def test_the_default_battery_is_that_of_vehicles_nobody_knows() -> None:
    defaults = {"battery": "van-lfp-75", "capacity_kwh": 70.0}
    assert observed(defaults=defaults).accepts is not None
    assert observed(defaults=defaults, vehicles=vehicle()).accepts is None


def test_a_battery_is_asked_for_no_more_than_it_can_give() -> None:
    small = [Vehicle(id_token="TAG", capacity_kwh=2, battery="nissan-leaf-40")]
    gives = given_by("nissan-leaf-40", 2.0).at(0.5) * 0.93
    seen = observed(vehicles=small, defaults={"v2g": True})
    assert seen.discharge_max_kw == pytest.approx(gives)
    assert gives < 22


def test_charging_is_bounded_by_what_the_cells_take_from_here_up() -> None:
    alone = session(soc=0.95, energy_kwh=38.0, accepts=LEAF, v2g=False)
    assert charge_bound_kw(evse(), alone) == pytest.approx(offered_kw(LEAF.at(0.95)))
    assert charge_bound_kw(evse(), alone) < 22.0
    assert charge_bound_kw(evse(), replace(alone, accepts=None)) == 22.0


def test_a_vehicle_that_may_be_discharged_may_take_more_when_it_has_been() -> None:
    both = session(soc=0.9, energy_kwh=36.0, reserve_kwh=12.0, accepts=LEAF)
    assert charge_bound_kw(evse(), both) == 22.0


def planned_h(item: SessionState) -> float:
    """Hours from now within which a session is planned to charge."""
    problem = build(state(evse(session=item)), site())
    lengths = problem.step_h
    most = problem.visits.charge_kw[0]
    return float(lengths @ (most / most.max()))


def test_a_generic_battery_is_given_the_time_of_its_straight_taper() -> None:
    """15 minutes early, and E/(p eta) (ln(1/(1 − k (s − 0.8)))/k − (s − 0.8)) for the taper."""
    item = session(departure_at=NOON + timedelta(hours=6), target_kwh=38.0, v2g=False)
    k, above = 0.95 / 0.2, 0.95 - 0.8
    extra = 40 / (22 * 0.93) * (-math.log(1 - k * above) / k - above)
    assert planned_h(item) == pytest.approx(6 - 0.25 - extra)


def test_a_battery_that_takes_less_over_its_charge_is_given_more_time() -> None:
    generic = session(departure_at=NOON + timedelta(hours=6), target_kwh=38.0, v2g=False)
    slow = replace(generic, accepts=PowerCurve((0.0, 0.6, 1.0), (22.0, 22.0, 1.0)))
    assert planned_h(slow) < planned_h(generic)


@pytest.mark.parametrize("battery", sorted(load().packs))
def test_every_battery_of_the_catalogue_can_be_planned(battery: str) -> None:
    seen = observed(0.6, vehicles=vehicle(battery=battery))
    assert 0 < planned_h(replace(seen, target_kwh=seen.max_kwh)) < 8
