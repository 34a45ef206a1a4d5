from __future__ import annotations

from prometheus_client import CollectorRegistry

from gateway_fakes import START, FakeStore
from gridleaf.domain.clock import Clock
from gridleaf.gateway import framelog
from gridleaf.gateway.framelog import FrameLog
from gridleaf.gateway.metrics import GatewayMetrics
from gridleaf.sim.virtual import run_virtual


def metrics() -> GatewayMetrics:
    return GatewayMetrics(CollectorRegistry(), list)


def test_frames_are_written_in_groups_within_a_second_and_in_order() -> None:
    store = FakeStore()

    async def main(clock: Clock) -> None:
        log = FrameLog(store.as_store(), clock, metrics())
        for number in range(5):
            log.note("CP1", number % 2 == 0, f'[3,"{number}",{{}}]')
        assert store.logged == []
        await clock.sleep(1.01)
        assert [row.frame for row in store.logged] == [f'[3,"{n}",{{}}]' for n in range(5)]
        assert {row.at for row in store.logged} == {START}
        log.note("CP1", True, "[]")
        await log.close()
        assert store.logged[-1].frame == "[]"

    run_virtual(main, START)


def test_a_store_that_is_down_costs_frames_and_nothing_else() -> None:
    store, counted = FakeStore(), metrics()

    async def main(clock: Clock) -> None:
        log = FrameLog(store.as_store(), clock, counted)
        store.down = True
        log.note("CP1", True, "[1]")
        await clock.sleep(1.5)
        store.down = False
        log.note("CP1", True, "[2]")
        await clock.sleep(1.5)
        await log.close()

    run_virtual(main, START)
    assert [row.frame for row in store.logged] == ["[2]"]
    assert counted.frames_shed == 1


def test_what_waits_is_bounded_and_long_frames_are_cut() -> None:
    store, counted = FakeStore(), metrics()

    async def main(clock: Clock) -> None:
        log = FrameLog(store.as_store(), clock, counted)
        frame = "x" * 200_000
        for _ in range(30):
            log.note("CP1", False, frame)
        await log.close()

    run_virtual(main, START)
    assert len(store.logged) == framelog.CAPACITY // 200_000
    assert counted.frames_shed == 10
    assert all(len(row.frame) < framelog.LONGEST + 50 for row in store.logged)
