"""Fault 43: a DER alarm, or the permission for V2G is withdrawn.

Required: discharging ends within one cycle and stays ended until somebody clears it.
"""

from __future__ import annotations

from gridleaf.domain.wishes import Wish
from gridleaf.ocpp.semantics import wire_time
from scenario.depot import Depot, giver, play

REACTION_S = 15.0


async def two_giving(depot: Depot) -> None:
    await depot.plug("DC-1", giver(1, soc=0.9), leaves=30.0)
    await depot.plug("DC-2", giver(2, soc=0.9), leaves=30.0)
    await depot.until(17.3)
    assert min(depot.power("DC-1"), depot.power("DC-2")) < -1.0


async def alarm(depot: Depot, **more: object) -> None:
    await depot.stations["DC-1"].link.call(
        (
            "NotifyDERAlarm",
            {"controlType": "HFMustTrip", "timestamp": wire_time(depot.time.now()), **more},
        )
    )


def test_fault_43_a_der_alarm_ends_all_discharging_until_it_is_cleared_by_a_person() -> None:
    async def scene(depot: Depot) -> None:
        await two_giving(depot)
        await alarm(depot, gridEventFault="OverFrequency")
        await depot.time.sleep(REACTION_S)
        assert depot.evse_kw() >= 0.0
        assert "grid_event" in depot.alerts()
        await depot.minutes(15)
        await alarm(depot, gridEventFault="OverFrequency", alarmEnded=True)
        for _ in range(15):
            assert min(depot.power("DC-1"), depot.power("DC-2")) >= 0.0
            await depot.minutes(1)
        await depot.platform.clear_grid_event()
        await depot.time.sleep(REACTION_S)
        assert depot.evse_kw() < -1.0

    play(scene, start=16.9)


def test_fault_43_what_an_operator_tells_of_the_grid_is_latched_like_an_alarm() -> None:
    async def scene(depot: Depot) -> None:
        await two_giving(depot)
        await depot.platform.raise_grid_event("the DSO called")
        await depot.time.sleep(REACTION_S)
        assert depot.evse_kw() >= 0.0
        assert "grid_event" in depot.alerts()
        await depot.crash()
        await depot.minutes(1)
        await depot.start()
        await depot.minutes(2)
        assert min(depot.power("DC-1"), depot.power("DC-2")) >= 0.0
        assert depot.platform.state().grid_event == "the DSO called"
        await depot.platform.clear_grid_event()
        await depot.minutes(2)
        assert depot.evse_kw() < -1.0

    play(scene, start=16.9)


def test_fault_43_the_latch_holds_when_the_process_dies_right_after_the_alarm() -> None:
    async def scene(depot: Depot) -> None:
        await two_giving(depot)
        await alarm(depot, gridEventFault="UnderFrequency")
        await depot.crash()
        await depot.minutes(1)
        await depot.start()
        await depot.minutes(2)
        for _ in range(30):
            assert min(depot.power("DC-1"), depot.power("DC-2")) >= 0.0
            await depot.minutes(1)
        assert "grid_event" in depot.alerts()

    play(scene, start=16.9)


def test_fault_43_a_driver_who_withdraws_the_permission_is_obeyed_at_once() -> None:
    async def scene(depot: Depot) -> None:
        await two_giving(depot)
        session = depot.session("DC-1")
        await depot.platform.wish(session.session_id, Wish(v2g=False))
        await depot.time.sleep(REACTION_S)
        assert depot.power("DC-1") >= 0.0
        (allowed,) = depot.told("DC-1", "NotifyAllowedEnergyTransfer")
        assert not any("BPT" in transfer for transfer in allowed["allowedEnergyTransfer"])
        for _ in range(30):
            assert depot.power("DC-1") >= 0.0
            await depot.minutes(1)
        assert depot.power("DC-2") < 0
        await depot.platform.wish(session.session_id, Wish(v2g=True))
        await depot.minutes(2)
        assert depot.power("DC-1") < 0

    play(scene, start=16.9)
