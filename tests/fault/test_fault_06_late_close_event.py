from __future__ import annotations

import asyncio

from gateway_fakes import StationEnd, listening, station_site
from gridleaf.domain.events import Disconnected
from gridleaf.ocpp.commands import Reset
from gridleaf.ocpp.csms import Payload


def test_fault_06_the_end_of_the_old_socket_touches_neither_the_new_session_nor_its_calls() -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            released = asyncio.Event()

            async def slow_reset(payload: Payload) -> Payload:
                await released.wait()
                return {"status": "Accepted"}

            old = StationEnd.over(await port.dial(), port.clock)
            await old.boot()
            new = StationEnd.over(await port.dial(), port.clock, {"Reset": slow_reset})
            await new.boot()
            pending = asyncio.create_task(port.gateway.execute("CP1", Reset()))
            await old.running  # the old socket has closed now
            await port.until(lambda: len(port.gateway._serving) == 1)
            connection = port.gateway.connection("CP1")
            assert connection is not None
            assert connection.epoch == 2
            assert not pending.done()
            released.set()
            assert (await pending).accepted
            assert [e.epoch for e in port.intake.of(Disconnected)] == [1]
            assert (
                port.gateway.registry.get_sample_value(
                    "gridleaf_ocpp_online", {"version": "ocpp2.0.1"}
                )
                == 1
            )

    asyncio.run(main())
