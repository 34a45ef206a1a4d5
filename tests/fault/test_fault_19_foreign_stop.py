"""Fault 19: StopTransaction with the id of a transaction of another station.

Required: no effect on either session; a security event; ids cannot be guessed and count as
(station, id).
"""

from __future__ import annotations

from itertools import pairwise

from gridleaf.domain.events import SecurityReported
from scenario.depot import Depot, play, small_depot
from scenario.scripted import Scripted

TWO = small_depot(
    stations=[
        {"id": name, "versions": ["ocpp1.6"], "evses": [{"id": 1, "charge_max_kw": 11}]}
        for name in ("VICTIM", "INTRUDER")
    ],
    circuits=[],
)


def test_fault_19_a_stop_from_another_station_leaves_the_session_alone() -> None:
    async def scene(depot: Depot) -> None:
        victim, intruder = (Scripted(depot, n, "ocpp1.6") for n in ("VICTIM", "INTRUDER"))
        await victim.boot()
        await intruder.boot()
        stolen, own = await victim.start(), await intruder.start()
        await intruder.stop(stolen, 99_999)
        await intruder.meter(stolen, 50_000, 11.0)
        assert depot.session("VICTIM").transaction_id == str(stolen)
        assert depot.session("VICTIM").charged.total_kwh == 0.0
        assert depot.session("INTRUDER").transaction_id == str(own)
        kept = await depot.platform.store.events(kinds=["security"])
        reports = [s.event for s in kept if isinstance(s.event, SecurityReported)]
        assert [(r.station_id, r.what) for r in reports] == [("INTRUDER", "transaction_unknown")]
        (record,) = await depot.platform.store.sessions(id_token="SCRIPT", state="live", limit=1)
        assert record.departed_at is None
        await victim.stop(stolen, 1_000)
        assert depot.evse("VICTIM").session is None

    play(scene, site=TWO, stations=())


def test_fault_19_ids_are_not_handed_out_in_a_row() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "VICTIM", "ocpp1.6")
        await station.boot()
        ids = []
        for _ in range(6):
            ids.append(await station.start())
            await station.stop(ids[-1], 0)
            await depot.minutes(1)
        steps = {abs(b - a) for a, b in pairwise(ids)}
        assert len(set(ids)) == 6
        assert min(steps) > 1000

    play(scene, site=TWO, stations=())
