from __future__ import annotations

import asyncio

from gridleaf.domain.clock import Clock
from gridleaf.sim.timer import Timer
from gridleaf.sim.virtual import run_virtual
from sim_csms import START


def test_deadlines_are_kept_in_time_replaced_and_dropped() -> None:
    async def main(clock: Clock) -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []
        timer = Timer(clock)

        def note(name: str) -> None:
            seen.append((name, clock.monotonic()))

        def repeat() -> None:
            note("repeat")
            timer.at("repeat", clock.monotonic() + 10, repeat)

        async def serve() -> None:
            async with asyncio.TaskGroup() as group:
                timer.start(group)
                await clock.sleep(1e6)

        timer.at("before the start", 2, lambda: note("before the start"))
        serving = asyncio.get_running_loop().create_task(serve())
        await clock.sleep(0)
        timer.at("repeat", 10, repeat)
        timer.at("replaced", 5, lambda: note("never"))
        timer.at("replaced", 25, lambda: note("replaced"))
        timer.at("dropped", 7, lambda: note("never"))
        timer.drop("dropped")
        await clock.sleep(21)
        timer.at("sooner", 22, lambda: note("sooner"))
        assert "sooner" in timer
        await clock.sleep(10)
        assert "sooner" not in timer
        serving.cancel()
        return seen

    assert run_virtual(main, START) == [
        ("before the start", 2.0),
        ("repeat", 10.0),
        ("repeat", 20.0),
        ("sooner", 22.0),
        ("replaced", 25.0),
        ("repeat", 30.0),
    ]
