"""Faults 11, 13, 15, 16 and 18 of section B: what a running peer makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import orjson
import pytest

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import CallTimeout, ProtocolError, StoreUnavailable
from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.ocpp.peer import Peer
from gridleaf.ocpp.wire import MemoryWire, memory_wires
from gridleaf.sim.virtual import run_virtual
from ocpp_fakes import NOW, V16, V21, V201

VERSIONS = [V16, V201, V21]
HEARTBEAT = '[2,"m1","Heartbeat",{}]'
TIME = {"currentTime": "2026-01-05T12:00:00Z"}


def play(
    version: str,
    handlers: dict[str, Handler],
    scene: Callable[[Peer, MemoryWire, Clock], Awaitable[None]],
) -> Peer:
    """A running central system at one end; the scene holds the station's end of the wire."""

    async def main(clock: Clock) -> Peer:
        ours, theirs = memory_wires(version)
        ids = count(1)
        peer = Peer(
            ours, role="csms", clock=clock, handlers=handlers, new_id=lambda: f"c{next(ids)}"
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(peer.run())
            await scene(peer, theirs, clock)
            await theirs.close()
        return peer

    return run_virtual(main, NOW)


async def heartbeat(payload: Payload) -> Payload:
    return TIME


async def exchange(wire: MemoryWire, frame: str) -> list[object]:
    await wire.send(frame)
    answer: list[object] = orjson.loads(await wire.receive())
    return answer


@pytest.mark.parametrize("version", VERSIONS)
def test_fault_11_the_connection_lives_after_a_bad_frame(version: str) -> None:
    async def scene(peer: Peer, wire: MemoryWire, clock: Clock) -> None:
        assert (await exchange(wire, "{"))[:2] == [4, "-1"]
        assert await exchange(wire, HEARTBEAT) == [3, "m1", TIME]

    peer = play(version, {"Heartbeat": heartbeat}, scene)
    assert peer.endpoint.counters["malformed"] == 1


def test_fault_11_the_tenth_bad_frame_closes_with_1008() -> None:
    async def main(clock: Clock) -> int | None:
        ours, theirs = memory_wires(V201)
        peer = Peer(ours, role="csms", clock=clock, new_id=lambda: "c")
        for _ in range(10):
            await theirs.send("rubbish")
        await peer.run()
        return ours.close_code

    assert run_virtual(main, NOW) == 1008


@pytest.mark.parametrize("version", VERSIONS)
def test_fault_13_an_action_we_do_not_handle_is_not_supported(version: str) -> None:
    async def scene(peer: Peer, wire: MemoryWire, clock: Clock) -> None:
        answer = await exchange(wire, '[2,"m1","ClearCache",{}]')
        assert answer == [4, "m1", "NotSupported", "ClearCache", {}]

    play(version, {}, scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_fault_15_a_replayed_call_gets_the_same_answer_and_has_one_effect(version: str) -> None:
    effects: list[int] = []

    async def counting(payload: Payload) -> Payload:
        effects.append(len(effects))
        return {"currentTime": f"2026-01-05T12:00:0{len(effects)}Z"}

    async def scene(peer: Peer, wire: MemoryWire, clock: Clock) -> None:
        answers = [await exchange(wire, HEARTBEAT) for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]

    peer = play(version, {"Heartbeat": counting}, scene)
    assert effects == [0]
    assert peer.endpoint.counters["duplicate"] == 2


def test_fault_15_a_call_that_comes_again_while_it_is_served_has_one_effect() -> None:
    effects: list[int] = []

    async def slow(payload: Payload) -> Payload:
        effects.append(1)
        await asyncio.sleep(5)
        return TIME

    async def scene(peer: Peer, wire: MemoryWire, clock: Clock) -> None:
        await wire.send(HEARTBEAT)
        await wire.send(HEARTBEAT)
        assert await wire.receive() == await wire.receive()

    play(V201, {"Heartbeat": slow}, scene)
    assert effects == [1]


def test_fault_15_a_late_answer_is_ignored_and_counted() -> None:
    async def scene(peer: Peer, wire: MemoryWire, clock: Clock) -> None:
        with pytest.raises(CallTimeout):
            await peer.call("ClearCache", {}, timeout_s=1)
        await wire.receive()
        await wire.send('[3,"c1",{"status":"Accepted"}]')
        assert await exchange(wire, HEARTBEAT) == [3, "m1", TIME]

    peer = play(V201, {"Heartbeat": heartbeat}, scene)
    assert peer.endpoint.counters["unsolicited"] == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_fault_16_a_station_that_never_answers_times_out_and_the_queue_proceeds(
    version: str,
) -> None:
    async def scene(peer: Peer, wire: MemoryWire, clock: Clock) -> None:
        first = asyncio.create_task(peer.call("ClearCache", {}))
        second = asyncio.create_task(peer.call("ClearCache", {}))
        assert orjson.loads(await wire.receive())[1] == "c1"
        await clock.sleep(29.9)
        assert wire._inbox.empty()
        assert orjson.loads(await wire.receive())[1] == "c2"
        assert clock.monotonic() == pytest.approx(30.0)
        await wire.send('[3,"c2",{"status":"Accepted"}]')
        assert await second == {"status": "Accepted"}
        with pytest.raises(CallTimeout, match="ClearCache"):
            await first

    play(version, {}, scene)


@pytest.mark.parametrize(
    "error", [StoreUnavailable("disk full at /secret"), RuntimeError("/secret"), KeyError("secret")]
)
@pytest.mark.parametrize("version", VERSIONS)
def test_fault_18_a_failing_handler_is_an_internal_error_and_nothing_leaks(
    version: str, error: Exception
) -> None:
    async def fail(payload: Payload) -> Payload:
        raise error

    async def scene(peer: Peer, wire: MemoryWire, clock: Clock) -> None:
        answer = await exchange(wire, HEARTBEAT)
        assert answer[:3] == [4, "m1", "InternalError"]
        assert "secret" not in str(answer)

    peer = play(version, {"Heartbeat": fail}, scene)
    assert peer.endpoint.counters["refused"] == 1


def test_fault_18_the_same_message_sent_again_succeeds_once_the_store_is_back() -> None:
    down = [True]

    async def handle(payload: Payload) -> Payload:
        if down.pop() if down else False:
            raise StoreUnavailable("down")
        return TIME

    async def scene(peer: Peer, wire: MemoryWire, clock: Clock) -> None:
        assert (await exchange(wire, HEARTBEAT))[2] == "InternalError"
        assert await exchange(wire, HEARTBEAT) == [3, "m1", TIME]

    play(V201, {"Heartbeat": handle}, scene)


def test_fault_18_a_response_of_ours_that_is_invalid_is_an_internal_error() -> None:
    async def wrong(payload: Payload) -> Payload:
        return {"status": "Accepted"}

    async def scene(peer: Peer, wire: MemoryWire, clock: Clock) -> None:
        assert (await exchange(wire, HEARTBEAT))[2] == "InternalError"

    play(V21, {"Heartbeat": wrong}, scene)


def test_fault_18_a_protocol_error_of_a_handler_is_spelt_in_the_version() -> None:
    async def refuse(payload: Payload) -> Payload:
        raise ProtocolError("OccurrenceConstraintViolation", "x: missing", {"at": "x"})

    for version, code in (
        (V16, "OccurenceConstraintViolation"),
        (V201, "OccurrenceConstraintViolation"),
    ):

        async def scene(peer: Peer, wire: MemoryWire, clock: Clock, code: str = code) -> None:
            assert await exchange(wire, HEARTBEAT) == [4, "m1", code, "x: missing", {"at": "x"}]

        play(version, {"Heartbeat": refuse}, scene)
