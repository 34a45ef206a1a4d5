"""Fault 27: meterStop below meterStart, a register that is reset, a jump by a factor of 1000.

Required: a hard flag; no negative energy; the raw value kept; plausible energy marked as estimated.
"""

from __future__ import annotations

import pytest

from gridleaf.control.session import session_id
from gridleaf.domain.events import TransactionReported
from scenario.depot import Depot, play
from scenario.scripted import Scripted


def test_fault_27_a_stop_below_the_start_bills_nothing_negative() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-1", "ocpp1.6")
        await station.boot()
        tx = await station.start(wh=9_000_000)
        await depot.minutes(30)
        await station.stop(tx, 3_000)
        record = await depot.platform.store.session(session_id("AC-1", str(tx)))
        assert record is not None
        assert record.state == "ended"
        assert record.charged_kwh >= 0.0
        assert "register_reset" in record.flags
        kept = await depot.platform.store.transaction_events("AC-1", str(tx))
        ended = kept[-1]
        assert isinstance(ended, TransactionReported)
        assert ended.samples[-1].raw == "3000 Wh"

    play(scene, stations=())


@pytest.mark.parametrize(
    ("registers", "flag"),
    [
        ((0, 1000, 2000, 100, 1100, 2100), "register_reset"),
        ((0, 1000, 2000, 3_000_000, 4000, 5000), "register_jump"),
        ((0, 1000, 2000, 3_000_000, 4_000_000, 5_000_000), "register_jump"),
    ],
    ids=["reset", "one in another unit", "from then on in another unit"],
)
def test_fault_27_a_register_that_lies_is_replaced_by_the_power(
    registers: tuple[int, ...], flag: str
) -> None:
    """6 kW all along, 1 kWh every ten minutes: 5 kWh whatever the register says."""

    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        await station.event("Started", 0, wh=registers[0], kw=6.0)
        for seq_no, wh in enumerate(registers[1:], 1):
            await depot.minutes(10)
            await station.event("Updated", seq_no, wh=wh, kw=6.0)
        session = depot.session("AC-3")
        assert session.charged.total_kwh == pytest.approx(5.0, abs=0.15)
        assert {flag, "estimated"} <= set(session.flags)

    play(scene, stations=())


def test_fault_27_a_register_without_power_beside_it_is_never_counted_twice_or_negative() -> None:
    async def scene(depot: Depot) -> None:
        station = Scripted(depot, "AC-3", "ocpp2.0.1")
        await station.boot()
        await station.event("Started", 0, wh=5000)
        for seq_no, wh in enumerate((6000, 50, 1050, 900_000_000, 2050), 1):
            await depot.minutes(10)
            await station.event("Updated", seq_no, wh=wh)
        assert depot.session("AC-3").charged.total_kwh == pytest.approx(2.0, abs=0.1)

    play(scene, stations=())
