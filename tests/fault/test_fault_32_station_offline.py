"""Fault 32: a station goes offline.

Required: its worst case stays reserved in the budget of the site; the station itself falls back to
its default limit when the last setpoint has expired.
"""

from __future__ import annotations

import pytest

from scenario.depot import CYCLE_S, Depot, car, giver, play, small_depot

DEFAULT_KW = 3.0
"""Share of one of the DC stations in the static 12 kW, at least."""


def default_kw(depot: Depot, station_id: str) -> float:
    evse = depot.platform.controller.live.evse(station_id, 1)
    assert evse is not None
    assert evse.default_kw is not None
    return evse.default_kw


@pytest.mark.parametrize("parts", [True, False], ids=["whole meter", "grid meter alone"])
def test_fault_32_what_an_offline_station_may_draw_is_left_to_it(parts: bool) -> None:
    """Also where the building is not measured and the lost station hides in the grid power."""

    async def scene(depot: Depot) -> None:
        depot.meter_parts = parts
        depot.load_kw = 14.0
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=24.0)
        await depot.plug("DC-2", giver(2, soc=0.1), leaves=26.0)
        await depot.plug("AC-3", car("AC", soc=0.1, charge_max_kw=11.0))
        await depot.minutes(15)
        before = depot.power("DC-1")
        assert before > 10.0
        depot.stations["DC-1"].offline(3600)
        await depot.minutes(1.8)
        assert "station_offline" in depot.alerts()
        assert depot.evse("DC-1").worst_import_kw == pytest.approx(before, abs=0.1)
        for _ in range(50):
            held = depot.evse("DC-1").worst_import_kw
            others = [s for s in depot.platform.decision().setpoints if s.station_id != "DC-1"]
            assert sum(s.power_kw for s in others) + held + 14.0 <= 45.0 + 0.1
            assert depot.power("DC-1") <= held + 0.1
            await depot.minutes(1)
        assert depot.power("DC-1") == pytest.approx(default_kw(depot, "DC-1"), abs=0.05)

    play(scene, start=22.0)


def test_fault_32_a_station_falls_back_by_itself_when_its_setpoint_has_expired() -> None:
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=27.0)
        await depot.plug("AC-3", car("AC3", soc=0.1, charge_max_kw=11.0))
        await depot.plug("AC-1", car("AC1", soc=0.1, charge_max_kw=7.36))
        await depot.minutes(10)
        for name in ("DC-1", "AC-3", "AC-1"):
            assert depot.power(name) > default_kw(depot, name) + 0.5
            depot.stations[name].offline(3600)
        await depot.time.sleep(2 * CYCLE_S)
        for name in ("DC-1", "AC-3", "AC-1"):
            assert depot.power(name) <= default_kw(depot, name) + 0.05
        assert sum(default_kw(depot, n) for n in ("DC-1", "AC-3", "AC-1")) <= 12.0

    play(scene, start=22.0)


def test_fault_32_a_station_that_gave_stops_giving_and_its_export_stays_reserved_till_then() -> (
    None
):
    async def scene(depot: Depot) -> None:
        await depot.plug("DC-1", giver(1, soc=0.9), leaves=30.0)
        await depot.plug("DC-2", giver(2, soc=0.9), leaves=30.0)
        await depot.until(17.3)
        given = depot.power("DC-1")
        assert given < -1.0
        depot.stations["DC-1"].offline(3600)
        await depot.minutes(2)
        assert depot.evse("DC-1").worst_export_kw >= -given - 0.1
        await depot.time.sleep(2 * CYCLE_S)
        assert depot.power("DC-1") >= 0.0
        assert depot.evse("DC-1").worst_export_kw == 0.0

    play(scene, site=small_depot(export_limit_kw=10))


def test_fault_32_a_station_that_comes_back_is_led_again() -> None:
    async def scene(depot: Depot) -> None:
        session = await depot.plug("DC-1", giver(1, soc=0.2), leaves=27.0)
        await depot.minutes(10)
        charged = session.charged.total_kwh
        depot.stations["DC-1"].offline(1800)
        await depot.minutes(35)
        assert depot.session("DC-1") is session
        assert depot.evse("DC-1").online
        assert depot.evse("DC-1").setpoint_kw is not None
        assert depot.power("DC-1") == pytest.approx(22.0, abs=0.5)
        assert session.charged.total_kwh > charged + 1.0
        assert "incomplete" not in session.flags
        await depot.until(27.0)
        assert depot.soc("DC-1") >= 0.8 - 0.005

    play(scene, start=22.0)
