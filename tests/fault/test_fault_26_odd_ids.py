"""Fault 26: transaction ids -1, 0, 2^63-1. Required: names like any other; they never collide."""

from __future__ import annotations

import pytest

from gridleaf.control.session import session_id
from scenario.depot import Depot, play, small_depot
from scenario.scripted import Scripted

ODD = ("-1", "0", str(2**63 - 1), "T/1?#%2e", "x" * 36)
MANY = small_depot(
    stations=[
        {
            "id": f"S{n}",
            "versions": ["ocpp2.0.1"],
            "evses": [{"id": 1, "charge_max_kw": 11, "min_a": 6}],
        }
        for n in range(len(ODD))
    ],
    circuits=[],
)


def test_fault_26_odd_ids_are_led_and_ended_like_any_other() -> None:
    async def scene(depot: Depot) -> None:
        stations = [Scripted(depot, f"S{n}", "ocpp2.0.1") for n in range(len(ODD))]
        for station, tx in zip(stations, ODD, strict=True):
            await station.boot()
            await station.event("Started", 0, tx=tx, wh=0)
        await depot.minutes(6)
        for station, tx in zip(stations, ODD, strict=True):
            assert depot.session(station.station_id).transaction_id == tx
            assert station.profiles()[-1]["transactionId"] == tx
        names = {session_id(f"S{n}", tx) for n, tx in enumerate(ODD)}
        assert len(names) == len(ODD)
        assert all(name.isalnum() for name in names)
        for station, tx in zip(stations, ODD, strict=True):
            await station.event("Ended", 1, tx=tx, wh=500)
        records = await depot.platform.store.sessions()
        assert {r.transaction_id for r in records} == set(ODD)
        assert all(r.charged_kwh == pytest.approx(0.5) for r in records)

    play(scene, site=MANY, stations=())


def test_fault_26_the_same_id_at_two_stations_is_two_transactions() -> None:
    async def scene(depot: Depot) -> None:
        one, two = Scripted(depot, "S0", "ocpp2.0.1"), Scripted(depot, "S1", "ocpp2.0.1")
        for station in (one, two):
            await station.boot()
            await station.event("Started", 0, tx="0", wh=0)
        await depot.minutes(10)
        await one.event("Ended", 1, tx="0", wh=1000)
        assert depot.evse("S0").session is None
        assert depot.session("S1").transaction_id == "0"

    play(scene, site=MANY, stations=())


@pytest.mark.parametrize("odd", [-1, 0, 2**63 - 1])
def test_fault_26_an_odd_id_of_16_touches_no_session(odd: int) -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-1", "ocpp1.6")
        await station.boot()
        own = await station.start()
        await station.stop(odd, 5_000)
        await station.meter(odd, 5_000, 7.0)
        assert depot.session("AC-1").transaction_id == str(own)
        assert depot.session("AC-1").charged.total_kwh == 0.0

    play(scene, stations=())
