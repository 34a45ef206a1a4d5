"""A believable depot behind the web's port, without stations, solver or time: for pages and API."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fake_depot import (
    HOSTILE,
    MODELS,
    START,
    SteppedClock,
    alert,
    depot,
    fleet_at,
    load_at,
    outlook_at,
    past_health,
    past_passport,
    past_session,
    plan_of,
    pv_at,
    sample,
    setpoint,
)
from gridleaf.control.types import (
    Decision,
    EvseState,
    SessionState,
    SiteState,
    decision_to_json,
    state_to_json,
)
from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConnectionLost, GridleafError
from gridleaf.domain.events import TransactionReported
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import Evse, Station
from gridleaf.domain.wishes import Wish
from gridleaf.store.port import FrameRecord, SessionRecord, Store
from gridleaf.web.port import Notice, Savings, StationView


class FakePlatform:
    """What the pages need, frozen at one moment of a depot's evening."""

    def __init__(self, store: Store, clock: Clock | None = None, *, hostile: bool = False) -> None:
        self.clock: Clock = clock or SteppedClock()
        self.store = store
        self.site = depot()
        self.offline = {"AC03"}
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.starts: list[tuple[str, int, str]] = []
        self.stops: list[str] = []
        self.wishes: list[tuple[str, Wish]] = []
        self.limits: list[tuple[float | None, float | None]] = []
        self.measurements: list[SiteMeasurement] = []
        self.cleared = 0
        self.raised: list[str] = []
        self.moved_on: dict[str, SessionRecord] = {}
        self.fails_with: GridleafError | None = None
        self.notices: list[Notice] = []
        self.news = asyncio.Event()
        self._vendor = HOSTILE if hostile else "Ambibox"
        self._token = HOSTILE if hostile else None
        self._state = self._make_state(random.Random(7))
        self._decision = self._make_decision()

    # -- the world --

    def _make_state(self, rng: random.Random) -> SiteState:
        now = self.clock.now()
        evses = []
        for number, station in enumerate(self.site.stations, 1):
            config = station.evses[0]
            bidirectional = config.discharge_max_kw > 0
            session = None
            if number not in (5, 12, 21, 24) and station.id not in self.offline:
                session = self._make_session(station, config, number, rng)
            power = 0.0
            if (
                session is not None
                and session.v2g
                and number % 3
                and session.soc
                and session.soc > 0.5
            ):
                power = -round(rng.uniform(9, 21.5), 1)
            elif session is not None and number % 4 == 1:
                power = round(min(session.charge_max_kw, rng.uniform(4, 11)), 1)
            obeying = number != 18
            evses.append(
                EvseState(
                    station_id=station.id,
                    evse_id=1,
                    circuit=station.circuit,
                    current=config.current,
                    phases=config.phases,
                    phase=1,
                    min_a=config.min_a,
                    rate_unit="W" if bidirectional else "A",
                    charge_max_kw=config.charge_max_kw,
                    discharge_max_kw=config.discharge_max_kw,
                    charge_efficiency=0.93,
                    discharge_efficiency=0.93,
                    online=station.id not in self.offline,
                    status="faulted" if number == 24 else "occupied" if session else "available",
                    obeying=obeying,
                    rung=0,
                    power_kw=power if obeying else 9.8,
                    power_at=now - timedelta(seconds=20),
                    setpoint_kw=power if session else None,
                    setpoint_expires_at=now + timedelta(minutes=10) if session else None,
                    expected_kw=power,
                    least_kw=power,
                    most_kw=power,
                    worst_import_kw=config.charge_max_kw,
                    worst_export_kw=config.discharge_max_kw,
                    external_limit_kw=None,
                    dynamic=bidirectional,
                    v2x=bidirectional,
                    session=session,
                )
            )
        outlook = outlook_at(now)
        net = load_at(now) - pv_at(now) + sum(e.power_kw or 0 for e in evses)
        return SiteState(
            at=now,
            site=self.site.name,
            policy="v2g",
            measurement=SiteMeasurement(
                measured_at=now - timedelta(seconds=4),
                grid_kw=round(net, 2),
                pv_kw=round(pv_at(now), 2),
                load_kw=round(load_at(now), 2),
                source="sim",
            ),
            meter_fresh=True,
            base_kw=load_at(now) - pv_at(now),
            base_import_kw=load_at(now) - pv_at(now),
            base_export_kw=load_at(now) - pv_at(now),
            import_ceiling_kw=outlook.import_limit_kw[0],
            export_ceiling_kw=outlook.export_limit_kw[0],
            grid_event=None,
            import_limit_kw=outlook.import_limit_kw[0],
            export_limit_kw=outlook.export_limit_kw[0],
            peak_so_far_kw=131.4,
            outlook=outlook,
            evses=tuple(evses),
        )

    def _make_session(
        self, station: Station, config: Evse, number: int, rng: random.Random
    ) -> SessionState:
        now = self.clock.now()
        vehicle = self.site.vehicles[number - 1]
        knows_soc = config.current == "DC"
        capacity = vehicle.capacity_kwh if knows_soc else None
        soc = round(rng.uniform(0.35, 0.93), 3) if knows_soc else None
        target = 0.85 if number % 3 else 0.7
        hostile = self._token if number == 1 else None
        departure = now + timedelta(minutes=35 + 47 * ((number * 5) % 19))
        return SessionState(
            session_id=f"{0xC0FFEE00 + number:020x}",
            transaction_id=f"tx-{number}",
            id_token=hostile or vehicle.id_token,
            vehicle="" if hostile else vehicle.name,
            arrived_at=now - timedelta(minutes=60 + 13 * number),
            departure_at=departure,
            energy_kwh=(soc or 0) * (capacity or 0) if knows_soc else round(3 + 0.7 * number, 1),
            target_kwh=target * (capacity or 0) if knows_soc else 24.0,
            reserve_kwh=0.3 * capacity if capacity else 0.0,
            max_kwh=capacity or 24.0,
            capacity_kwh=capacity,
            soc=soc,
            soc_at=now - timedelta(seconds=30) if knows_soc else None,
            v2g=config.discharge_max_kw > 0 and number % 5 != 0,
            charge_max_kw=min(config.charge_max_kw, MODELS[number % len(MODELS)][2]),
            discharge_max_kw=config.discharge_max_kw,
            gauged=knows_soc,
            wear_per_kwh=0.04,
            charged_kwh=round(4 + 0.6 * number, 2),
            discharged_kwh=round(0.4 * number, 2) if config.discharge_max_kw else 0.0,
            said_by=("driver", "history", "default", "vehicle")[number % 4],
        )

    def _make_decision(self) -> Decision:
        state, outlook = self._state, self._state.outlook
        plans, setpoints, alerts = [], [], []
        net = [load - pv for load, pv in zip(outlook.load_kw, outlook.pv_kw, strict=True)]
        for evse in state.evses:
            if evse.session is None:
                if not evse.online:
                    alerts.append(alert("station_offline", "warning", evse.key, "Offline."))
                continue
            plan = plan_of(evse, evse.session, outlook, net)
            plans.append(plan)
            setpoints.append(setpoint(evse, evse.session, outlook.start))
            if plan.unmet_kwh > 0.1:
                alerts.append(
                    alert(
                        "will_miss_departure",
                        "warning",
                        evse.key,
                        f"Will miss departure by {plan.unmet_kwh:.1f} kWh.",
                    )
                )
            if not evse.obeying:
                alerts.append(
                    alert(
                        "not_obeying",
                        "critical",
                        evse.key,
                        "Does not follow its setpoint: 11.0 kW reserved.",
                    )
                )
        return Decision(
            at=state.at,
            trigger="timer",
            method="exact",
            gap=0.0,
            objective_eur=61.37,
            lower_bound_eur=61.37,
            plan_seconds=0.214,
            setpoints=tuple(setpoints),
            sessions=tuple(plans),
            grid_kw=tuple(net),
            shadow_price=outlook.import_price,
            alerts=tuple(alerts),
            notes=("24 h planned in 48 steps",),
        )

    async def fill(self) -> None:
        """Write a day of history into the store."""
        now = self.clock.now()
        rng = random.Random(11)
        await self.store.save_measurements(
            [
                SiteMeasurement(
                    measured_at=at,
                    grid_kw=load_at(at) - pv_at(at) + fleet_at(at),
                    pv_kw=pv_at(at),
                    load_kw=load_at(at),
                    source="sim",
                )
                for at in (now - timedelta(minutes=5 * n) for n in range(100, 0, -1))
            ]
        )
        for evse in self._state.evses:
            if evse.session is not None:
                await self._fill_session(evse, evse.session)
        for number, vehicle in enumerate(self.site.vehicles):
            if number % 4 != 3:
                await self.store.append_health(past_health(vehicle, now, number))
        for vehicle in self.site.vehicles[:8]:
            await self.store.append_passport(past_passport(vehicle, now))
        for n in range(60):
            await self.store.save_session(past_session(self.site, now, n, rng))
        for n in range(30, -1, -1):
            at = now - timedelta(minutes=15 * n)
            state = replace(self._state, at=at, outlook=outlook_at(at))
            decision = replace(
                self._decision, at=at, trigger=("timer", "arrival of DC03/1", "timer")[n % 3]
            )
            await self.store.save_cycle(
                at, decision.trigger, state_to_json(state), decision_to_json(decision)
            )
        await self._fill_frames()

    async def _fill_session(self, evse: EvseState, session: SessionState) -> None:
        now = self.clock.now()
        minutes = int((now - session.arrived_at).total_seconds() / 60)
        soc = (session.soc or 0.5) - 0.2
        for seq, minute in enumerate(range(0, minutes, 5)):
            at = session.arrived_at + timedelta(minutes=minute)
            power = (
                min(session.charge_max_kw, 11.0)
                if minute < minutes * 0.55
                else evse.power_kw or 0.0
            )
            soc += 0.2 * 5 / minutes
            samples = [sample(at, "Power.Active.Import", max(power, 0.0), "kW")]
            if evse.v2x:
                samples.append(sample(at, "Power.Active.Export", max(-power, 0.0), "kW"))
                samples.append(sample(at, "SoC", soc, "1"))
            await self.store.append(
                TransactionReported(
                    station_id=evse.station_id,
                    received_at=at,
                    transaction_id=session.transaction_id,
                    seq_no=seq,
                    phase="updated" if seq else "started",
                    occurred_at=at,
                    evse_id=1,
                    id_token=session.id_token,
                    samples=tuple(samples),
                )
            )
        await self.store.save_session(
            SessionRecord(
                session_id=session.session_id,
                station_id=evse.station_id,
                evse_id=1,
                transaction_id=session.transaction_id,
                id_token=session.id_token,
                arrived_at=session.arrived_at,
                charged_kwh=session.charged_kwh,
                discharged_kwh=session.discharged_kwh,
                arrival_soc=None if session.soc is None else round(session.soc - 0.2, 2),
                capacity_kwh=session.capacity_kwh,
                target_kwh=session.target_kwh,
                departure_at=session.departure_at,
                cost_eur=round(0.14 * session.charged_kwh - 0.3 * session.discharged_kwh, 2),
                uncontrolled_cost_eur=round(0.27 * session.charged_kwh, 2),
            )
        )

    async def _fill_frames(self) -> None:
        now = self.clock.now()
        rows = []
        for station in self.site.stations:
            for n in range(12):
                at = now - timedelta(minutes=n)
                beat = [[2, f"{n}", "Heartbeat", {}], [3, f"{n}", {"currentTime": at.isoformat()}]]
                profile = {
                    "evseId": 1,
                    "chargingProfile": {"id": 7, "stackLevel": 1, "chargingProfileKind": "Dynamic"},
                }
                rows += [
                    FrameRecord(
                        station_id=station.id, at=at, outgoing=False, frame=json.dumps(beat[0])
                    ),
                    FrameRecord(
                        station_id=station.id, at=at, outgoing=True, frame=json.dumps(beat[1])
                    ),
                ]
                if n % 4 == 0:
                    call = [2, f"p{n}", "SetChargingProfile", profile]
                    answer = [3, f"p{n}", {"status": "Accepted"}]
                    rows += [
                        FrameRecord(
                            station_id=station.id, at=at, outgoing=True, frame=json.dumps(call)
                        ),
                        FrameRecord(
                            station_id=station.id, at=at, outgoing=False, frame=json.dumps(answer)
                        ),
                    ]
        await self.store.log_frames(rows)

    # -- the port --

    def state(self) -> SiteState:
        return self._state

    def decision(self) -> Decision | None:
        return self._decision

    def decided_state(self) -> SiteState | None:
        return self._state

    def outlook_start(self) -> datetime | None:
        return self._state.outlook.start

    def stations(self) -> list[StationView]:
        now = self.clock.now()
        views = []
        for n, station in enumerate(self.site.stations):
            kind = station.id[:2]
            version = {"DC": "ocpp2.1", "AC": "ocpp2.0.1", "WB": "ocpp1.6"}[kind]
            online = station.id not in self.offline
            views.append(
                StationView(
                    station_id=station.id,
                    online=online,
                    version=version,
                    vendor=self._vendor
                    if n == 0
                    else {"DC": "Ambibox", "AC": "Alfen"}.get(kind, "Webasto"),
                    model=HOSTILE
                    if self._vendor == HOSTILE and n == 0
                    else {"DC": "ambiCHARGE", "AC": "Eve Double"}.get(kind, "Live"),
                    firmware_version=f"3.{n % 4}.1",
                    connected_at=now - timedelta(hours=9, minutes=n) if online else None,
                    last_seen_at=now - timedelta(seconds=3 * n if online else 5400),
                    evses=(1,),
                    capabilities={
                        "SmartChargingCtrlr.Enabled": "true",
                        "V2XChargingCtrlr.Enabled": str(kind == "DC").lower(),
                    },
                )
            )
        return views

    def savings(self) -> Savings:
        return Savings(
            since=START.replace(hour=22, minute=0) - timedelta(days=1),
            cost_eur=48.16,
            uncontrolled_cost_eur=86.71,
            charged_kwh=312.4,
            discharged_kwh=96.8,
        )

    async def request(
        self, station_id: str, action: str, payload: dict[str, Any]
    ) -> dict[str, Any]:
        self._reachable(station_id)
        self.requests.append((station_id, action, payload))
        return {"status": "Accepted"}

    async def remote_start(self, station_id: str, evse_id: int, id_token: str) -> str:
        self._reachable(station_id)
        if evse_id != 1:
            raise KeyError(evse_id)
        self.starts.append((station_id, evse_id, id_token))
        return "Accepted"

    async def remote_stop(self, session_id: str) -> str:
        self._live(session_id)
        if self.fails_with is not None:
            raise self.fails_with
        self.stops.append(session_id)
        return "Accepted"

    async def wish(self, session_id: str, wish: Wish) -> None:
        evse = self._live(session_id)
        self.wishes.append((session_id, wish))
        await self.store.save_wish(session_id, wish)
        session = evse.session
        assert session is not None
        changed = replace(
            session,
            departure_at=wish.departure_at or session.departure_at,
            v2g=session.v2g if wish.v2g is None else wish.v2g,
            target_kwh=wish.target_soc * session.capacity_kwh
            if wish.target_soc is not None and session.capacity_kwh
            else session.target_kwh,
            said_by=wish.said_by,
        )
        self._state = replace(
            self._state,
            evses=tuple(replace(e, session=changed) if e is evse else e for e in self._state.evses),
        )
        self._decision = self._make_decision()
        self.publish("session", {"session_id": session_id})

    async def measured(self, measurement: SiteMeasurement) -> None:
        self.measurements.append(measurement)

    def current(self, record: SessionRecord) -> SessionRecord:
        return self.moved_on.get(record.session_id, record)

    async def set_limit(self, import_kw: float | None, export_kw: float | None) -> None:
        self.limits.append((import_kw, export_kw))

    async def raise_grid_event(self, reason: str) -> None:
        self.raised.append(reason)

    async def clear_grid_event(self) -> None:
        self.cleared += 1

    def publish(self, topic: Any, data: dict[str, Any]) -> None:
        self.notices.append(Notice(id=len(self.notices) + 1, topic=topic, data=data))
        self.news.set()

    async def subscribe(self, after_id: int | None = None) -> AsyncIterator[Notice]:
        seen = len(self.notices) if after_id is None else after_id
        while True:
            for notice in self.notices[seen:]:
                seen = notice.id
                yield notice
            self.news.clear()
            await self.news.wait()

    def _reachable(self, station_id: str) -> None:
        if station_id not in {s.id for s in self.site.stations}:
            raise KeyError(station_id)
        if self.fails_with is not None:
            raise self.fails_with
        if station_id in self.offline:
            raise ConnectionLost(f"{station_id} is not connected")

    def _live(self, session_id: str) -> EvseState:
        for evse in self._state.evses:
            if evse.session is not None and evse.session.session_id == session_id:
                return evse
        raise KeyError(session_id)
