"""Where the cells are known, wear has their price: in the plan, in the books, and in the explanation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOON, evse, outlook, session, site, state
from gridleaf.control.accounts import Accounts
from gridleaf.control.decide import decide
from gridleaf.control.explain import as_text, explain
from gridleaf.control.live import LiveSite
from gridleaf.control.observe import Imposed, observe
from gridleaf.control.problem import build
from gridleaf.control.session import LiveSession, take_soc
from gridleaf.control.types import SessionState, SiteState, Wear, state_from_json, state_to_json
from gridleaf.control.wear import wear_of
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import Vehicle
from unit.control.test_batteries import observed
from unit.control.test_observe import plugged

LEAF = "nissan-leaf-40"
MODEL = "NMC_Gr_50Ah_B1"
CELLS = Wear(
    discharge_per_kwh=0.06,
    levels_kwh=(12.0, 30.0),
    per_kwh_h=(0.001, 0.003),
    soh=0.93,
    model=MODEL,
)


def vehicle(**changes: Any) -> list[Vehicle]:
    return [Vehicle(id_token="TAG", capacity_kwh=39, **changes)]


def test_a_known_battery_has_the_price_of_its_cells() -> None:
    seen = observed(vehicles=vehicle(battery=LEAF))
    assert seen.wear is not None
    assert seen.wear.model == MODEL
    assert seen.wear_per_kwh == seen.wear.discharge_per_kwh > 0
    assert list(seen.wear.per_kwh_h) == sorted(seen.wear.per_kwh_h)


def test_a_flat_price_of_the_vehicle_stands_instead() -> None:
    seen = observed(vehicles=vehicle(battery=LEAF, wear_per_kwh=0.11))
    assert seen.wear is None
    assert seen.wear_per_kwh == 0.11


def test_an_unknown_battery_has_the_flat_price_of_the_site() -> None:
    seen = observed(vehicles=vehicle(), defaults={"wear_per_kwh": 0.07})
    assert seen.wear is None
    assert seen.wear_per_kwh == 0.07


def test_a_dearer_pack_wears_dearer() -> None:
    cheap, dear = (
        observed(vehicles=vehicle(battery=LEAF), defaults={"battery_price_per_kwh": eur})
        for eur in (60.0, 180.0)
    )
    assert dear.wear_per_kwh == pytest.approx(3 * cheap.wear_per_kwh)


def test_a_battery_in_use_for_long_wears_at_another_price_than_a_new_one() -> None:
    new, old = (
        observed(vehicles=vehicle(battery=LEAF, battery_since=day))
        for day in ("2025-12-01", "2016-01-01")
    )
    assert new.wear is not None
    assert old.wear is not None
    assert old.wear.soh < new.wear.soh
    assert old.wear_per_kwh != new.wear_per_kwh


def test_the_plan_is_made_with_the_levels_of_those_who_have_them() -> None:
    plain = replace(session("plain"), wear=None)
    seen = state(
        evse("DC1", session=replace(session("cells"), wear=CELLS, wear_per_kwh=0.06)),
        evse("DC2", session=plain),
    )
    visits = build(seen, site()).visits
    assert visits.dwell_kwh is not None
    assert visits.dwell_eur_per_kwh_h is not None
    assert visits.dwell_kwh[0].tolist() == [12.0, 30.0]
    assert visits.dwell_eur_per_kwh_h[0].tolist() == [0.001, 0.003]
    assert all(value != value for value in visits.dwell_kwh[1])  # NaN: none
    assert build(state(evse(session=plain)), site()).visits.dwell_kwh is None


def test_a_stored_state_keeps_the_price() -> None:
    seen = state(evse(session=replace(session(), wear=CELLS)))
    assert state_from_json(state_to_json(seen)) == seen


def test_holding_costs_by_the_slopes_of_the_levels() -> None:
    assert CELLS.held_per_h(30.0) == pytest.approx(30 * 0.001)
    assert CELLS.held_per_h(32.0) == pytest.approx(30 * 0.001 + 2 * 0.003)
    assert CELLS.held_per_h(10.0) == pytest.approx(10 * 0.001)


def spread(high: float, **changes: Any) -> SiteState:
    prices = outlook(buy=[high] * 8 + [0.1] * 40, sell=high - 0.01)
    cells = replace(session(energy_kwh=32.0, soc=0.8), wear=CELLS, wear_per_kwh=0.06, **changes)
    return state(evse(session=cells), outlook=prices)


@pytest.mark.parametrize(("high", "pays"), [(0.5, True), (0.15, False)])
def test_v2g_is_used_only_where_the_spread_beats_wear_and_says_so(high: float, pays: bool) -> None:
    seen = spread(high)
    decision = decide(seen, site())
    assert bool(decision.setpoints[0].power_kw < 0) is pays
    facts: Any = explain(seen, decision)
    v2g = facts["sessions"][0]["v2g"]
    assert bool(v2g["gain_per_kwh"] > 0) is pays
    assert v2g["wear_of"] == MODEL
    assert ("it pays" if pays else "it does not pay") in as_text(facts)
    assert f"wear by {MODEL} 0.060" in as_text(facts)


AGAIN = 0.1 / 0.93**2
"""What a kWh costs to buy again at 0.1, losses included."""


@pytest.mark.parametrize(("above", "pays"), [(-0.001, False), (0.001, True)])
def test_v2g_is_used_a_hair_above_its_wear_and_not_a_hair_below(above: float, pays: bool) -> None:
    plain = replace(CELLS, levels_kwh=(12.0,), per_kwh_h=(0.0,))
    high = AGAIN + 0.06 + above
    prices = outlook(buy=[high] * 8 + [0.1] * 40, sell=high)
    cells = replace(session(energy_kwh=32.0, soc=0.8), wear=plain, wear_per_kwh=0.06)
    seen = state(evse(session=cells), outlook=prices)
    decision = decide(seen, site())
    facts: Any = explain(seen, decision)
    assert bool(facts["sessions"][0]["v2g"]["planned_kwh"] > 0) is pays
    assert ("it pays" if pays else "it does not pay") in as_text(facts)


@pytest.mark.parametrize("energy_kwh", [24.0, 32.0, 36.0])
@pytest.mark.parametrize("wear", [CELLS, replace(CELLS, levels_kwh=(12.0,), per_kwh_h=(0.0,))])
def test_the_reason_agrees_with_the_plan_at_every_spread(energy_kwh: float, wear: Wear) -> None:
    """Also where rest is spared, where more is held than wanted, and where giving just pays."""
    verdicts = set()
    for high in (0.13, 0.15, 0.16, 0.17, 0.18, 0.2, 0.3):
        prices = outlook(buy=[high] * 8 + [0.1] * 40, sell=high - 0.01)
        cells = replace(session(energy_kwh=energy_kwh, soc=0.8), wear=wear, wear_per_kwh=0.06)
        seen = state(evse(session=cells), outlook=prices)
        decision = decide(seen, site())
        gives = any(power < -1e-3 for power in decision.sessions[0].power_kw)
        assert ("it pays" if gives else "it does not pay") in as_text(explain(seen, decision))
        verdicts.add(gives)
    assert verdicts == {True, False}


def test_what_hinders_discharging_is_told_instead() -> None:
    seen = spread(0.5, v2g=False)
    decision = decide(seen, site())
    assert "it is not discharged: the driver did not allow V2G" in as_text(explain(seen, decision))


def test_a_vehicle_that_is_charged_late_is_credited_the_life_it_keeps() -> None:
    live, books = LiveSite(site()), Accounts("UTC")
    live.sessions["s1"] = LiveSession("s1", "DC1", 1, "tx-s1", NOON)
    waiting = replace(session(), wear=CELLS)
    for minute in range(121):
        at = NOON + timedelta(minutes=minute)
        now = evse(power_kw=0.0, session=waiting)
        books.tick(state(now, at=at, outlook=replace(outlook(), start=at)), live)
    # without control it had held its 32 kWh soon instead of 20
    assert books.total is not None
    assert -2 * (10 * 0.001 + 2 * 0.003) < books.total.dwell_cost < -0.01
    assert books.total.wear_cost == 0.0
    assert books.total.life_cost == books.total.dwell_cost
    assert live.sessions["s1"].life_eur == pytest.approx(books.total.dwell_cost)


def test_the_price_stays_the_same_while_a_vehicle_gives() -> None:
    known = vehicle(battery=LEAF)
    live, _ = plugged(0.8, vehicles=known)
    first = _seen(live)
    (session_of,) = live.sessions.values()
    take_soc(session_of, 0.45, NOON)
    later = _seen(live)
    assert later.energy_kwh < first.energy_kwh
    assert later.wear_per_kwh == first.wear_per_kwh


def _seen(live: LiveSite) -> SessionState:
    seen = observe(
        live,
        at=NOON,
        policy="v2g",
        measurement=SiteMeasurement(measured_at=NOON, grid_kw=3.0),
        imposed=Imposed(),
        peak_so_far_kw=0.0,
        outlook=outlook(),
    )
    (found,) = (e.session for e in seen.evses if e.session is not None)
    return found


def test_the_levels_of_a_worn_battery_lie_within_what_it_holds() -> None:
    """Full by its gauge is full: the dearest piece is not out of its reach."""
    expected: dict[str, Any] = {
        "charge_kw": 10.0,
        "discharge_kw": 10.0,
        "discharge_efficiency": 0.93,
    }
    spans = []
    for soh in (1.0, 0.75):
        holds = soh * 40.0
        found = wear_of(
            LEAF,
            site().defaults,
            capacity_kwh=holds,
            soh=soh,
            leaves_kwh=0.9 * holds,
            comes_kwh=0.6 * holds,
            lowest_kwh=0.3 * holds,
            **expected,
        )
        assert found is not None
        assert max(found.levels_kwh) < holds
        spans.append((found.levels_kwh[0] / holds, len(found.levels_kwh)))
    assert spans[0] == pytest.approx(spans[1], abs=0.02)
