"""Hours in which everything that can happen does, drawn from a seed; the umpire watches throughout."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from gridleaf.domain.errors import StoreUnavailable
from gridleaf.domain.events import StationEvent
from gridleaf.domain.wishes import Wish
from scenario.depot import Depot, car, giver, play
from scenario.umpire import REACTION_S

HOURS = 2.5


class Trouble:
    """Draws what happens next."""

    def __init__(self, depot: Depot, seed: int) -> None:
        self.depot = depot
        self.rng = random.Random(seed)
        self.told: list[str] = []
        self.plugged: dict[str, float] = {}

    def tell(self, what: str) -> None:
        self.told.append(f"{self.depot.time.now():%H:%M:%S} {what}")

    async def next(self) -> None:
        happenings: list[Callable[[], Awaitable[None]]] = [
            self.arrival,
            self.arrival,
            self.departure,
            self.load,
            self.load,
            self.offline,
            self.deaf,
            self.silence,
            self.limit,
            self.wish,
            self.restart,
            self.reboot,
            self.full_disk,
        ]
        await self.rng.choice(happenings)()

    async def arrival(self) -> None:
        free = [n for n in self.depot.stations if n not in self.plugged]
        if not free:
            return
        name = self.rng.choice(free)
        soc = self.rng.uniform(0.1, 0.95)
        vehicle = {
            "DC-1": giver(1, soc),
            "DC-2": giver(2, soc),
            "AC-3": car("A3", soc, charge_max_kw=11.0, ac_phases=self.rng.choice((1, 3))),
            "AC-1": car("A1", soc, charge_max_kw=7.36, ac_phases=1),
        }[name]
        self.tell(f"{name} {vehicle.id_token} arrives with {soc:.2f}")
        self.plugged[name] = self.depot.stations[name].energy(1)[0]
        departure = self.depot.time.now() + timedelta(hours=self.rng.uniform(0.5, 12))
        await self.depot.stations[name].plug(1, vehicle, departure_at=departure)

    async def departure(self) -> None:
        if self.plugged:
            name = self.rng.choice(sorted(self.plugged))
            self.tell(f"{name} leaves")
            del self.plugged[name]
            await self.depot.unplug(name)

    async def load(self) -> None:
        self.depot.load_kw = self.rng.uniform(0, 40)
        self.depot.pv_kw = self.rng.choice((0.0, 0.0, self.rng.uniform(0, 25)))
        self.tell(f"load {self.depot.load_kw:.1f}, sun {self.depot.pv_kw:.1f}")

    async def offline(self) -> None:
        name = self.rng.choice(sorted(self.depot.stations))
        seconds = self.rng.choice((5, 60, 700, 1500))
        self.tell(f"{name} offline for {seconds} s")
        self.depot.stations[name].offline(seconds)

    async def deaf(self) -> None:
        name = self.rng.choice(sorted(self.depot.stations))
        station = self.depot.stations[name]
        station.reject_profiles = not station.reject_profiles
        self.tell(f"{name} refuses: {station.reject_profiles}")

    async def silence(self) -> None:
        self.depot.meter_on = not self.depot.meter_on
        self.tell(f"meter: {self.depot.meter_on}")

    async def limit(self) -> None:
        limit = self.rng.choice((None, 0.0, 12.0, 30.0))
        export = self.rng.choice((None, 0.0, 5.0))
        self.tell(f"limits {limit} {export}")
        await self.depot.platform.set_limit(limit, export)

    async def wish(self) -> None:
        live = self.depot.platform.controller.live.sessions
        if live:
            name = self.rng.choice(sorted(live))
            said = Wish(
                departure_at=self.depot.time.now() + timedelta(hours=self.rng.uniform(0.2, 8)),
                target_soc=self.rng.choice((None, 0.5, 1.0)),
                v2g=self.rng.choice((None, True, False)),
            )
            self.tell(f"wish for {live[name].station_id}: v2g {said.v2g}")
            await self.depot.platform.wish(name, said)

    async def restart(self) -> None:
        pause_s = self.rng.choice((1, 30, 300))
        self.tell(f"crash, back after {pause_s} s")
        await self.depot.crash()
        await self.depot.time.sleep(pause_s)
        await self.depot.start()

    async def reboot(self) -> None:
        name = self.rng.choice(sorted(self.depot.stations))
        if self.depot.stations[name].config.versions[0] == "ocpp2.1":
            self.tell(f"{name} resets and resumes")
            self.depot.stations[name].reset("Resume")

    async def full_disk(self) -> None:
        store = self.depot.platform.store
        kept = store.append

        async def full(event: StationEvent) -> bool:
            raise StoreUnavailable("the disk is full")

        seconds = self.rng.choice((10, 120))
        self.tell(f"disk full for {seconds} s")
        store.append = full  # type: ignore[method-assign]
        await self.depot.time.sleep(seconds)
        store.append = kept  # type: ignore[method-assign]

    async def calm(self) -> None:
        """Everything is put right."""
        self.depot.meter_on = True
        for station in self.depot.stations.values():
            station.reject_profiles = False
        self.depot.load_kw, self.depot.pv_kw = 8.0, 0.0
        await self.depot.platform.set_limit(None, None)


@pytest.mark.parametrize("parts", [True, False], ids=["whole meter", "grid meter alone"])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_our_stations_keep_every_limit_and_all_is_well_afterwards(
    seed: int, parts: bool
) -> None:
    async def scene(depot: Depot) -> Trouble:
        depot.umpire.only_ours = True
        depot.meter_parts = parts
        trouble = Trouble(depot, seed)
        end = depot.time.now() + timedelta(hours=HOURS)
        while depot.time.now() < end:
            await trouble.next()
            await depot.time.sleep(trouble.rng.choice((1, 20, 90, 400)))
        await trouble.calm()
        await depot.minutes(60)
        for name in depot.stations:
            evse = depot.evse(name)
            said = "\n".join([*trouble.told[-25:], *depot.umpire.faults])
            assert evse.online, said
            assert evse.obeying, f"{name}\n{said}"
            assert (evse.session is not None) == (name in trouble.plugged), f"{name}\n{said}"
            if evse.session is None:
                assert evse.power_kw in (None, 0.0)
                continue
            transaction = depot.stations[name].evses[1].transaction
            assert transaction is not None
            known = str(transaction.central_id or transaction.id)
            assert depot.session(name).transaction_id == known
            assert evse.setpoint_kw is not None, f"{name}\n{said}"
            charged = depot.stations[name].energy(1)[0] - trouble.plugged[name]
            assert depot.session(name).charged.total_kwh == pytest.approx(charged, abs=0.6), said
        live = await depot.platform.store.sessions(state="live")
        assert sorted(s.station_id for s in live) == sorted(trouble.plugged)
        assert depot.umpire.faults == [], "\n".join([*trouble.told, *depot.umpire.faults])
        return trouble

    play(
        scene,
        start=17.0,
        expected_errors=("ocpp_store_unavailable", "station_probe_failed"),
    )


def test_the_umpire_himself_sees_a_broken_limit() -> None:
    async def scene(depot: Depot) -> list[str]:
        await depot.plug("DC-1", giver(1, soc=0.2), leaves=30.0)
        await depot.minutes(5)
        depot.umpire.reaction_s = REACTION_S
        depot.stations["DC-1"].disobey = True
        depot.load_kw = 40.0
        await depot.minutes(2)
        return depot.umpire.faults

    assert any("grid import" in fault for fault in play(scene, start=22.0, fair=False))
