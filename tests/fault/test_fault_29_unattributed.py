"""Fault 29: no connector named at a station with several; two active transactions on one EVSE.

Required: unattributed, never silently the first one; the newest is live, the older closed as suspect.
"""

from __future__ import annotations

from gridleaf.control.session import session_id
from scenario.depot import Depot, play, small_depot
from scenario.scripted import Scripted

TWIN = small_depot(
    stations=[
        {
            "id": "TWIN",
            "versions": ["ocpp2.0.1"],
            "evses": [{"id": 1, "charge_max_kw": 11}, {"id": 2, "charge_max_kw": 11}],
        }
    ],
    circuits=[],
)


def test_fault_29_a_transaction_without_an_evse_waits_until_it_is_said() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "TWIN", "ocpp2.0.1")
        await station.boot()
        await station.event("Started", 0, evse=None, wh=0)
        await depot.minutes(6)
        assert all(e.session is None for e in depot.state.evses)
        assert station.profiles() == []
        await station.event("Updated", 1, evse=2, wh=500, kw=3.0)
        await depot.minutes(1)
        assert [e.session is not None for e in depot.state.evses] == [False, True]
        assert station.asked[-1][1]["evseId"] == 2

    play(scene, site=TWIN, stations=())


def test_fault_29_an_evse_that_does_not_exist_is_nobodys() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "TWIN", "ocpp2.0.1")
        await station.boot()
        await station.event("Started", 0, evse=7, wh=0)
        await depot.minutes(6)
        assert all(e.session is None for e in depot.state.evses)
        assert station.profiles() == []

    play(scene, site=TWIN, stations=())


def test_fault_29_of_two_transactions_on_one_evse_the_newest_is_live() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        await station.event("Started", 0, tx="OLD", wh=0)
        await depot.minutes(10)
        await station.event("Started", 0, tx="NEW", wh=1000)
        await station.event("Updated", 1, tx="OLD", wh=1100, kw=3.0)
        await depot.minutes(1)
        assert depot.session("AC-3").transaction_id == "NEW"
        assert station.profiles()[-1]["transactionId"] == "NEW"
        old = await depot.platform.store.session(session_id("AC-3", "OLD"))
        new = await depot.platform.store.session(session_id("AC-3", "NEW"))
        assert old is not None
        assert new is not None
        assert (old.state, new.state) == ("suspect", "live")

    play(scene, stations=())
