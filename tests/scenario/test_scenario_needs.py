"""What the vehicle says it needs, in whatever order it comes."""

from __future__ import annotations

from datetime import timedelta

from gridleaf.ocpp.semantics import wire_time
from scenario.depot import Depot, play
from scenario.scripted import Scripted


def test_needs_told_before_the_session_began_hold_for_it_also_after_a_restart() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        departure = depot.time.now() + timedelta(hours=3)
        ac = {"energyAmount": 9000, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400}
        await station.say(
            "NotifyEVChargingNeeds",
            {
                "evseId": 1,
                "chargingNeeds": {
                    "requestedEnergyTransfer": "AC_three_phase",
                    "departureTime": wire_time(departure),
                    "acChargingParameters": ac,
                },
            },
        )
        await station.event("Started", 0, wh=0)
        for _ in range(2):
            await depot.minutes(1)
            session = depot.evse("AC-3").session
            assert session is not None
            assert session.target_kwh == 9.0
            assert abs(session.departure_at - departure) < timedelta(seconds=1)
            await depot.platform.checkpoint()
            await depot.crash()
            await depot.start()

    play(scene, start=22.0, stations=("DC-1", "DC-2"), fair=False)
