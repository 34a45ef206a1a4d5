"""The peer: two sides over an in-memory wire, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Literal

import orjson
import pytest

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import (
    CallTimeout,
    ConnectionLost,
    ProtocolError,
    RejectedByStation,
    StoreUnavailable,
)
from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.ocpp.peer import Peer
from gridleaf.ocpp.wire import MemoryWire, memory_wires
from gridleaf.sim.virtual import run_virtual
from ocpp_fakes import NOW, V16, V21, V201

ACCEPTED = {"status": "Accepted"}
TIME = {"currentTime": "2026-01-05T12:00:00Z"}


def peer(
    wire: MemoryWire, clock: Clock, role: Literal["csms", "station"] = "csms", **kwargs: Any
) -> Peer:
    ids = count(1)
    return Peer(wire, role=role, clock=clock, new_id=lambda: f"{role}{next(ids)}", **kwargs)


def on_wire(
    scene: Callable[[Peer, MemoryWire, Clock], Awaitable[None]],
    version: str = V201,
    handlers: dict[str, Handler] | None = None,
) -> None:
    """Run a scene with a running peer at one end and the bare wire at the other."""

    async def main(clock: Clock) -> None:
        ours, theirs = memory_wires(version)
        csms = peer(ours, clock, handlers=handlers)
        async with asyncio.TaskGroup() as group:
            group.create_task(csms.run())
            await scene(csms, theirs, clock)
            await theirs.close()

    run_virtual(main, NOW)


async def constant(answer: Payload) -> Payload:
    return answer


def giving(answer: Payload) -> Handler:
    return lambda payload: constant(answer)


def test_two_peers_call_each_other() -> None:
    async def main(clock: Clock) -> None:
        a, b = memory_wires(V21)
        csms = peer(a, clock, "csms", handlers={"Heartbeat": giving(TIME)})
        station = peer(b, clock, "station", handlers={"ClearCache": giving(ACCEPTED)})
        async with asyncio.TaskGroup() as group:
            group.create_task(csms.run())
            group.create_task(station.run())
            assert csms.version == station.version == V21
            assert await station.call("Heartbeat", {}) == TIME
            assert await csms.call("ClearCache", {}) == ACCEPTED
            await csms.close()

    run_virtual(main, NOW)


def test_a_handler_may_call_back_and_be_answered() -> None:
    async def main(clock: Clock) -> None:
        a, b = memory_wires(V201)
        csms, station = peer(a, clock, "csms"), peer(b, clock, "station")

        async def heartbeat(payload: Payload) -> Payload:
            assert await csms.call("ClearCache", {}) == ACCEPTED
            return TIME

        csms.handlers["Heartbeat"] = heartbeat
        station.handlers["ClearCache"] = giving(ACCEPTED)
        async with asyncio.TaskGroup() as group:
            group.create_task(csms.run())
            group.create_task(station.run())
            assert await station.call("Heartbeat", {}) == TIME
            await csms.close()

    run_virtual(main, NOW)


def test_inbound_calls_are_served_one_after_the_other_in_order() -> None:
    served: list[str] = []

    async def heartbeat(payload: Payload) -> Payload:
        name = payload["customData"]["vendorId"]
        served.append(f"+{name}")
        await asyncio.sleep(1 if name == "a" else 0)
        served.append(f"-{name}")
        return TIME

    async def scene(csms: Peer, station: MemoryWire, clock: Clock) -> None:
        for name in "ab":
            payload = {"customData": {"vendorId": name}}
            await station.send(orjson.dumps([2, name, "Heartbeat", payload]).decode())
        assert [orjson.loads(await station.receive())[1] for _ in "ab"] == ["a", "b"]

    on_wire(scene, handlers={"Heartbeat": heartbeat})
    assert served == ["+a", "-a", "+b", "-b"]


def test_calls_queue_so_that_one_is_outstanding_and_keep_their_order() -> None:
    async def scene(csms: Peer, station: MemoryWire, clock: Clock) -> None:
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(csms.call("Reset", {"type": kind}))
                for kind in ("Immediate", "OnIdle")
            ]
            for kind in ("Immediate", "OnIdle"):
                _, message_id, _, payload = orjson.loads(await station.receive())
                assert payload == {"type": kind}
                assert station._inbox.empty()
                await station.send(orjson.dumps([3, message_id, ACCEPTED]).decode())
        assert [c.result() for c in calls] == [ACCEPTED, ACCEPTED]

    on_wire(scene)


def test_a_callerror_is_raised_with_its_code_and_description() -> None:
    async def scene(csms: Peer, station: MemoryWire, clock: Clock) -> None:
        call = asyncio.create_task(csms.call("ClearCache", {}))
        message_id = orjson.loads(await station.receive())[1]
        await station.send(orjson.dumps([4, message_id, "NotSupported", "no", {}]).decode())
        with pytest.raises(RejectedByStation) as error:
            await call
        assert (error.value.code, error.value.description) == ("NotSupported", "no")

    on_wire(scene)


def test_an_invalid_payload_of_ours_is_not_sent_and_blocks_nobody() -> None:
    async def scene(csms: Peer, station: MemoryWire, clock: Clock) -> None:
        with pytest.raises(ProtocolError):
            await csms.call("Reset", {})
        call = asyncio.create_task(csms.call("ClearCache", {}))
        _, message_id, action, _ = orjson.loads(await station.receive())
        assert action == "ClearCache"
        await station.send(orjson.dumps([3, message_id, ACCEPTED]).decode())
        assert await call == ACCEPTED

    on_wire(scene)


def test_the_timeout_counts_from_the_sending_not_from_the_queueing() -> None:
    async def scene(csms: Peer, station: MemoryWire, clock: Clock) -> None:
        started = clock.monotonic()
        calls = [asyncio.create_task(csms.call("ClearCache", {}, timeout_s=5)) for _ in range(3)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(r, CallTimeout) for r in results)
        assert clock.monotonic() - started == pytest.approx(15)

    on_wire(scene)


def test_a_cancelled_call_stays_outstanding_until_its_answer_came() -> None:
    async def scene(csms: Peer, station: MemoryWire, clock: Clock) -> None:
        first = asyncio.create_task(csms.call("ClearCache", {}))
        message_id = orjson.loads(await station.receive())[1]
        first.cancel()
        second = asyncio.create_task(csms.call("Reset", {"type": "OnIdle"}))
        await clock.sleep(10)
        assert station._inbox.empty()
        await station.send(orjson.dumps([3, message_id, ACCEPTED]).decode())
        message_id = orjson.loads(await station.receive())[1]
        await station.send(orjson.dumps([3, message_id, ACCEPTED]).decode())
        assert await second == ACCEPTED
        assert first.cancelled()

    on_wire(scene)


def test_a_cancelled_call_that_is_never_answered_blocks_for_its_timeout_only() -> None:
    async def scene(csms: Peer, station: MemoryWire, clock: Clock) -> None:
        first = asyncio.create_task(csms.call("ClearCache", {}))
        await station.receive()
        await clock.sleep(20)
        first.cancel()
        second = asyncio.create_task(csms.call("Reset", {"type": "OnIdle"}))
        message_id = orjson.loads(await station.receive())[1]
        assert clock.monotonic() == pytest.approx(30)
        await station.send(orjson.dumps([3, message_id, ACCEPTED]).decode())
        assert await second == ACCEPTED

    on_wire(scene)


def test_the_end_of_the_wire_fails_what_is_pending_and_what_is_queued() -> None:
    async def main(clock: Clock) -> None:
        ours, theirs = memory_wires(V201)
        csms = peer(ours, clock)
        running = asyncio.create_task(csms.run())
        calls = [asyncio.create_task(csms.call("ClearCache", {})) for _ in range(3)]
        await theirs.receive()
        await theirs.close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(r, ConnectionLost) for r in results)
        await running
        with pytest.raises(ConnectionLost):
            await csms.call("ClearCache", {})

    run_virtual(main, NOW)


def test_the_handler_at_work_finishes_and_what_waits_is_dropped_when_the_wire_ends() -> None:
    served: list[str] = []

    async def heartbeat(payload: Payload) -> Payload:
        await asyncio.sleep(1)
        served.append("done")
        return TIME

    async def main(clock: Clock) -> None:
        ours, theirs = memory_wires(V201)
        running = asyncio.create_task(peer(ours, clock, handlers={"Heartbeat": heartbeat}).run())
        for i in range(3):
            await theirs.send(f'[2,"{i}","Heartbeat",{{}}]')
        await clock.sleep(0.5)
        await theirs.close()
        await running

    run_virtual(main, NOW)
    assert served == ["done"]


def test_cancelling_a_peer_leaves_no_task_behind() -> None:
    async def forever(payload: Payload) -> Payload:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def main(clock: Clock) -> None:
        ours, theirs = memory_wires(V201)
        running = asyncio.create_task(peer(ours, clock, handlers={"Heartbeat": forever}).run())
        await theirs.send('[2,"1","Heartbeat",{}]')
        await clock.sleep(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main, NOW)


def test_a_peer_that_pipelines_calls_is_slowed_down_not_dropped() -> None:
    total = 600

    async def scene(csms: Peer, station: MemoryWire, clock: Clock) -> None:
        for i in range(total):
            await station.send(f'[2,"{i}","Heartbeat",{{}}]')
        answers = [orjson.loads(await station.receive())[1] for _ in range(total)]
        assert answers == [str(i) for i in range(total)]

    on_wire(scene, handlers={"Heartbeat": giving(TIME)})


def test_a_send_reaches_its_handler_and_gets_no_answer() -> None:
    heard: list[Payload] = []
    stream = {
        "id": 1,
        "pending": 0,
        "basetime": "2026-01-05T12:00:00Z",
        "data": [{"t": 0, "v": "1"}],
    }

    async def keep(payload: Payload) -> Payload:
        heard.append(payload)
        return {}

    async def main(clock: Clock) -> None:
        a, b = memory_wires(V21)
        csms = peer(a, clock, "csms", handlers={"NotifyPeriodicEventStream": keep})
        station = peer(b, clock, "station")
        running = asyncio.create_task(csms.run())
        await station.send("NotifyPeriodicEventStream", stream)
        await clock.sleep(1)
        assert b._inbox.empty()
        await b.close()
        await running

    run_virtual(main, NOW)
    assert heard == [stream]


@pytest.mark.parametrize("error", [RuntimeError("bug"), StoreUnavailable("full")])
def test_a_send_whose_handler_fails_ends_nothing(error: Exception) -> None:
    async def fail(payload: Payload) -> Payload:
        raise error

    async def scene(csms: Peer, station: MemoryWire, clock: Clock) -> None:
        await station.send(
            '[6,"s","NotifyPeriodicEventStream",{"id":1,"pending":0,'
            '"basetime":"2026-01-05T12:00:00Z","data":[{"t":0,"v":"1"}]}]'
        )
        await station.send('[2,"1","Heartbeat",{}]')
        assert orjson.loads(await station.receive()) == [3, "1", TIME]
        assert csms.endpoint.counters["refused"] == 1

    on_wire(scene, V21, {"NotifyPeriodicEventStream": fail, "Heartbeat": giving(TIME)})


def test_every_frame_is_shown_as_it_passes() -> None:
    seen: list[tuple[bool, str]] = []

    async def main(clock: Clock) -> None:
        ours, theirs = memory_wires(V16)
        csms = peer(
            ours,
            clock,
            handlers={"Heartbeat": giving(TIME)},
            on_frame=lambda outgoing, frame: seen.append((outgoing, frame)),
        )
        running = asyncio.create_task(csms.run())
        await theirs.send("garbage")
        await theirs.send('[2,"1","Heartbeat",{}]')
        frames = [await theirs.receive(), await theirs.receive()]
        await theirs.close()
        await running
        assert [f for outgoing, f in seen if not outgoing] == ["garbage", '[2,"1","Heartbeat",{}]']
        assert [f for outgoing, f in seen if outgoing] == frames

    run_virtual(main, NOW)
