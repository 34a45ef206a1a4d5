from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gridleaf.domain.clock import Clock
from gridleaf.sim.virtual import Deadlock, run_virtual

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_a_month_of_sleep_passes_at_once_and_lands_exactly() -> None:
    async def main(clock: Clock) -> list[datetime]:
        seen = []
        for _ in range(3):
            await clock.sleep(10 * 86_400 + 0.1)
            seen.append(clock.now())
        assert clock.monotonic() == pytest.approx(3 * (864_000 + 0.1), abs=1e-6)
        return seen

    seen = run_virtual(main, START)
    assert seen == [START + k * timedelta(days=10, milliseconds=100) for k in (1, 2, 3)]


def test_timers_fire_in_order_of_time_and_ties_in_order_of_creation() -> None:
    async def main(clock: Clock) -> list[str]:
        seen: list[str] = []

        async def note(name: str, after_s: float) -> None:
            await clock.sleep(after_s)
            seen.append(name)

        await asyncio.gather(
            note("late", 5), note("tie one", 2), note("tie two", 2), note("now", 0)
        )
        return seen

    assert run_virtual(main, START) == ["now", "tie one", "tie two", "late"]


def test_wait_for_times_out_on_virtual_time() -> None:
    async def main(clock: Clock) -> float:
        with pytest.raises(TimeoutError):
            await clock.wait_for(asyncio.Event().wait(), 3600)
        return clock.monotonic()

    assert run_virtual(main, START) == 3600


def test_work_for_an_executor_runs_in_line_without_time_passing() -> None:
    async def main(clock: Clock) -> tuple[int, int, float]:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(None, pow, 3, 2)
        assert future.done()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, divmod, 1, 0)
        return await future, await asyncio.to_thread(max, 4, 2), clock.monotonic()

    assert run_virtual(main, START) == (9, 4, 0.0)


def test_a_deadlock_is_an_error_that_names_who_waits_where() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    async def main(clock: Clock) -> None:
        await clock.sleep(1)
        await asyncio.create_task(wait_for_ever(), name="the-stuck-one")

    with pytest.raises(Deadlock, match=r"the-stuck-one in .*wait_for_ever"):
        run_virtual(main, START)


def test_an_exception_reaches_the_caller() -> None:
    async def main(clock: Clock) -> None:
        await clock.sleep(1)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        run_virtual(main, START)


def test_what_still_runs_at_the_end_is_cancelled_in_order_of_age() -> None:
    ended: list[int] = []

    async def serve(number: int, clock: Clock) -> None:
        try:
            await clock.sleep(1e9)
        finally:
            ended.append(number)

    async def main(clock: Clock) -> str:
        tasks = [asyncio.create_task(serve(number, clock)) for number in range(12)]
        await clock.sleep(1)
        assert not any(task.done() for task in tasks)
        return "done"

    assert run_virtual(main, START) == "done"
    assert ended == list(range(12))


def test_a_naive_start_is_refused() -> None:
    async def main(clock: Clock) -> None:
        raise AssertionError("never runs")

    with pytest.raises(ValueError, match="aware"):
        run_virtual(main, datetime(2026, 1, 5))  # noqa: DTZ001
