from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry

from gateway_fakes import START, FakeIntake, FakeStore, StationEnd, attach, station_site
from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConnectionLost, RejectedByStation
from gridleaf.domain.events import (
    Booted,
    CapabilitiesRead,
    Connected,
    Disconnected,
    SecurityReported,
    TransactionReported,
)
from gridleaf.gateway import Gateway
from gridleaf.ocpp.commands import Reset
from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.ocpp.semantics import wire_time
from gridleaf.sim.virtual import run_virtual


class World:
    """A gateway on virtual time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.store = FakeStore()
        self.intake = FakeIntake(self.store)
        self.registry = CollectorRegistry()
        self.gateway = Gateway(
            site=station_site("CP1", "CP2"),
            clock=clock,
            store=self.store.as_store(),
            intake=self.intake,
            rng=random.Random(1),
            registry=self.registry,
        )

    def attach(
        self, station_id: str = "CP1", version: str = "ocpp2.0.1", **handlers: Handler
    ) -> StationEnd:
        return attach(self.gateway, self.clock, station_id, version, handlers)[0]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.intake.events]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def virtual(scene: Callable[[World], Awaitable[None]]) -> World:
    worlds: list[World] = []

    async def main(clock: Clock) -> None:
        world = World(clock)
        worlds.append(world)
        await scene(world)
        await world.gateway.close()

    run_virtual(main, START)
    return worlds[0]


async def accepting(payload: Payload) -> Payload:
    return {"status": "Accepted"}


def test_a_connection_has_a_beginning_an_epoch_and_an_end() -> None:
    async def scene(world: World) -> None:
        station = world.attach()
        await station.heartbeat()
        connection = world.gateway.connection("CP1")
        assert connection is not None
        assert (connection.version, connection.epoch, connection.remote) == (
            "ocpp2.0.1",
            1,
            "memory",
        )
        await world.clock.sleep(3)
        await station.heartbeat()
        assert (connection.last_seen_at - connection.connected_at).total_seconds() == 3
        await station.wire.close()
        await world.clock.sleep(1)
        assert world.gateway.connection("CP1") is None

    world = virtual(scene)
    connected, disconnected = world.intake.events
    assert isinstance(connected, Connected)
    assert isinstance(disconnected, Disconnected)
    assert connected.epoch == disconnected.epoch == 1


def test_epochs_rise_with_every_connection() -> None:
    async def scene(world: World) -> None:
        for _ in range(3):
            station = world.attach()
            await station.heartbeat()
            await station.wire.close()
            await world.clock.sleep(1)

    assert [e.epoch for e in virtual(scene).intake.of(Connected)] == [1, 2, 3]


def test_the_heartbeat_interval_of_stations_that_come_together_differs() -> None:
    intervals: list[int] = []

    async def scene(world: World) -> None:
        for name in ("CP1", "CP2") * 5:
            station = world.attach(name)
            intervals.append((await station.boot())["interval"])
            await station.wire.close()

    virtual(scene)
    assert len(set(intervals)) > 5
    assert all(270 <= seconds <= 330 for seconds in intervals)


@pytest.mark.parametrize("boots", [True, False])
def test_a_station_is_asked_what_it_can_do_after_it_booted_or_only_reconnected(boots: bool) -> None:
    asked: list[float] = []

    async def scene(world: World) -> None:
        async def configuration(payload: Payload) -> Payload:
            asked.append(world.clock.monotonic())
            return {"configurationKey": [], "unknownKey": payload.get("key", [])}

        station = world.attach(version="ocpp1.6", GetConfiguration=configuration)
        if boots:
            await station.boot()
        await world.clock.sleep(60)

    world = virtual(scene)
    assert world.intake.of(CapabilitiesRead)
    assert len(asked) == 1
    assert asked[0] == pytest.approx(1 if boots else 11, abs=0.1)


def test_a_command_goes_to_the_station_and_its_answer_comes_back() -> None:
    async def scene(world: World) -> None:
        world.attach(Reset=accepting)
        await world.clock.sleep(0.1)
        answer = await world.gateway.execute("CP1", Reset())
        assert answer.accepted
        assert await world.gateway.request("CP1", "Reset", {"type": "OnIdle"}) == {
            "status": "Accepted"
        }
        with pytest.raises(RejectedByStation):
            await world.gateway.request("CP1", "ClearCache", {})

    world = virtual(scene)
    assert world.metric("gridleaf_ocpp_call_seconds_count", action="Reset") == 2
    assert world.metric("gridleaf_ocpp_call_seconds_count", action="ClearCache") == 1


def test_an_offline_station_gets_no_command() -> None:
    async def scene(world: World) -> None:
        with pytest.raises(ConnectionLost, match="CP1 is not connected"):
            await world.gateway.execute("CP1", Reset())

    virtual(scene)


def test_pending_commands_fail_when_the_connection_ends() -> None:
    async def scene(world: World) -> None:
        async def never(payload: Payload) -> Payload:
            await asyncio.Event().wait()
            return {}

        station = world.attach(Reset=never)
        await world.clock.sleep(0.1)
        pending = [asyncio.create_task(world.gateway.execute("CP1", Reset())) for _ in range(3)]
        await world.clock.sleep(0.1)
        await station.wire.close()
        ends = await asyncio.gather(*pending, return_exceptions=True)
        assert [type(end) for end in ends] == [ConnectionLost] * 3
        station.running.cancel()

    virtual(scene)


def test_a_newer_connection_takes_over_and_is_reported() -> None:
    async def scene(world: World) -> None:
        older, newer = world.attach(Reset=accepting), None
        await older.boot()
        newer = world.attach(Reset=accepting)
        await newer.heartbeat()
        connection = world.gateway.connection("CP1")
        assert connection is not None
        assert connection.epoch == 2
        with pytest.raises(ConnectionLost):
            await older.heartbeat()
        await world.clock.sleep(30)
        assert (await world.gateway.execute("CP1", Reset())).accepted
        assert world.gateway.connection("CP1") is connection

    world = virtual(scene)
    assert world.kinds()[:5] == ["connected", "booted", "disconnected", "connected", "security"]
    assert [e.epoch for e in world.intake.of(Disconnected)] == [1, 2]
    assert world.intake.of(SecurityReported)[0].what == "second connection"


def test_a_replaced_connection_that_no_longer_answers_is_no_security_event() -> None:
    class Deaf:
        """A wire whose far end has gone without a word."""

        subprotocol = "ocpp2.0.1"

        def __init__(self) -> None:
            self.ended = asyncio.Event()

        async def send(self, frame: str) -> None: ...

        async def receive(self) -> str:
            await self.ended.wait()
            raise ConnectionLost("closed")

        async def close(self, code: int = 1000, reason: str = "") -> None:
            self.ended.set()

        async def ping(self) -> None:
            await self.ended.wait()

    async def scene(world: World) -> None:
        gone = Deaf()
        dead = asyncio.create_task(world.gateway.serve(gone, "CP1"))
        await world.clock.sleep(0.1)
        station = world.attach()
        await station.heartbeat()
        await world.clock.sleep(10)
        assert gone.ended.is_set()
        assert dead.done()

    world = virtual(scene)
    assert world.intake.of(SecurityReported) == []
    assert [e.reason for e in world.intake.of(Disconnected)] == ["replaced", "closed"]


def test_an_event_that_a_replaced_connection_was_about_to_report_is_refused() -> None:
    async def scene(world: World) -> None:
        older = world.attach()
        await older.heartbeat()
        connection = world.gateway.connection("CP1")
        assert connection is not None
        await connection.fence()
        with pytest.raises(ConnectionLost):
            await older.boot()

    assert virtual(scene).intake.of(Booted) == []


def test_a_newer_connection_waits_for_the_event_the_older_one_is_storing() -> None:
    """Else both could give the same number to different events of a 1.6 transaction."""

    async def scene(world: World) -> None:
        older = world.attach(version="ocpp1.6")
        await older.boot()
        started = await older.peer.call(
            "StartTransaction",
            {"connectorId": 1, "idTag": "t", "meterStart": 0, "timestamp": wire_time(START)},
        )
        meter = {
            "connectorId": 1,
            "transactionId": started["transactionId"],
            "meterValue": [{"timestamp": wire_time(START), "sampledValue": [{"value": "5"}]}],
        }
        world.intake.delay_s = 5.0
        last = asyncio.create_task(older.peer.call("MeterValues", meter))
        await world.clock.sleep(0.1)
        newer = world.attach(version="ocpp1.6")
        await newer.peer.call("MeterValues", meter)
        await asyncio.wait([last])
        await newer.peer.call("MeterValues", meter)

    reported = virtual(scene).intake.of(TransactionReported)
    assert [event.seq_no for event in reported] == [0, 1, 2, 3]


def test_without_a_store_nobody_is_admitted_and_the_station_may_come_again() -> None:
    async def scene(world: World) -> None:
        world.store.down = True
        turned_away = world.attach()
        await turned_away.running
        assert world.intake.events == []
        world.store.down = False
        world.intake.down = True
        turned_away = world.attach()
        await turned_away.running
        assert world.gateway.connection("CP1") is None
        world.intake.down = False
        await world.attach().heartbeat()

    world = virtual(scene)
    assert world.metric("gridleaf_ocpp_refused_total", reason="store") == 2
    assert world.metric("gridleaf_ocpp_connections_total", version="ocpp2.0.1") == 1


def test_a_disconnect_while_the_store_is_down_is_reported_when_it_is_back() -> None:
    async def scene(world: World) -> None:
        station = world.attach()
        await station.heartbeat()
        world.intake.down = True
        await station.wire.close()
        await world.clock.sleep(20)
        assert world.kinds() == ["connected"]
        world.intake.down = False
        await world.clock.sleep(60)

    assert virtual(scene).kinds() == ["connected", "disconnected"]


def test_a_store_that_is_down_is_an_internal_error_to_the_station_and_the_connection_lives() -> (
    None
):
    async def scene(world: World) -> None:
        station = world.attach()
        await station.heartbeat()
        world.intake.down = True
        with pytest.raises(RejectedByStation, match="InternalError"):
            await station.boot()
        world.intake.down = False
        assert (await station.boot())["status"] == "Accepted"

    virtual(scene)


def test_transaction_ids_of_1_6_cannot_be_guessed_and_are_the_same_for_the_same_start() -> None:
    async def scene(world: World) -> None:
        station = world.attach(version="ocpp1.6")
        await station.heartbeat()
        connection = world.gateway.connection("CP1")
        assert connection is not None
        first = await connection.open_transaction("tag", 1, START, 1.0)
        again = await connection.open_transaction("tag", 1, START, 1.0)
        other = await connection.open_transaction("tag", 1, START, 2.0)
        assert first == again != other
        assert 0 < int(first) < 2**31
        assert abs(int(first) - int(other)) > 1000
        assert await connection.find_transaction(first) == 1
        stranger = world.attach("CP2", "ocpp1.6")
        await stranger.heartbeat()
        foreign = world.gateway.connection("CP2")
        assert foreign is not None
        assert await foreign.find_transaction(first) is None

    virtual(scene)


def test_a_taken_transaction_id_is_drawn_again() -> None:
    async def scene(world: World) -> None:
        station = world.attach(version="ocpp1.6")
        await station.heartbeat()
        connection = world.gateway.connection("CP1")
        assert connection is not None
        connection._rng = random.Random(7)
        first = await connection.open_transaction("tag", 1, START, 1.0)
        connection._rng = random.Random(7)
        second = await connection.open_transaction("tag", 1, START, 2.0)
        assert first != second

    virtual(scene)


def test_frames_are_logged_in_order_and_messages_are_counted() -> None:
    async def scene(world: World) -> None:
        station = world.attach()
        await station.boot()
        await station.heartbeat()
        await world.clock.sleep(0.5)

    world = virtual(scene)
    calls = [row.frame.split('"')[3] for row in world.store.logged if row.frame.startswith("[2")]
    assert calls == ["BootNotification", "Heartbeat"]
    assert [row.outgoing for row in world.store.logged] == [False, True, False, True]
    assert (
        world.metric("gridleaf_ocpp_messages_total", action="BootNotification", direction="in") == 1
    )
    assert world.metric("gridleaf_ocpp_messages_total", action="CALLRESULT", direction="out") == 2
    assert world.metric("gridleaf_ocpp_online", version="ocpp2.0.1") is None


def test_what_a_station_invents_never_becomes_a_label() -> None:
    async def scene(world: World) -> None:
        station = world.attach()
        for number in range(20):
            await station.wire.send(f'[2,"{number}","Invented{number}",{{}}]')
        await world.clock.sleep(1)

    world = virtual(scene)
    assert world.metric("gridleaf_ocpp_messages_total", action="other", direction="in") == 20
    assert len(world.gateway.metrics.messages) == 2


def test_a_defect_in_one_connection_stays_in_that_connection() -> None:
    async def scene(world: World) -> None:
        neighbour = world.attach("CP2")
        await neighbour.heartbeat()
        station = world.attach()
        await station.heartbeat()
        connection = world.gateway.connection("CP1")
        assert connection is not None

        async def broken() -> str:
            raise RuntimeError("defect")

        connection.wire.receive = broken  # type: ignore[method-assign]
        await station.wire.send('[2,"x","Heartbeat",{}]')
        await world.clock.sleep(1)
        assert world.gateway.connection("CP1") is None
        await neighbour.heartbeat()

    virtual(scene)


def test_closing_ends_every_connection_and_admits_none() -> None:
    async def scene(world: World) -> None:
        stations = [world.attach("CP1"), world.attach("CP2")]
        for station in stations:
            await station.heartbeat()
        await world.gateway.close()
        for station in stations:
            await station.running
        late = world.attach("CP1")
        await late.running
        assert world.gateway.connection("CP1") is None

    assert virtual(scene).kinds() == ["connected", "connected", "disconnected", "disconnected"]


def test_an_unknown_station_is_nobody() -> None:
    async def scene(world: World) -> None:
        with pytest.raises(KeyError):
            await attach(world.gateway, world.clock, "GHOST")[1]

    virtual(scene)
