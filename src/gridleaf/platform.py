"""The platform of one site: everything behind the sockets, joined."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter

from gridleaf.control import checkpoint
from gridleaf.control.accounts import Totals
from gridleaf.control.decide import Solver
from gridleaf.control.foresight import Expectations
from gridleaf.control.learn import keep_health, restore_batteries
from gridleaf.control.loop import Controller, Foresight
from gridleaf.control.passports import write_due
from gridleaf.control.session import LiveSession, session_id
from gridleaf.control.types import Decision, SiteState
from gridleaf.domain.clock import Clock, stopwatch
from gridleaf.domain.errors import ConnectionLost, GridleafError, StoreUnavailable
from gridleaf.domain.events import NeedsReported, StationEvent, TransactionReported
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig
from gridleaf.domain.wishes import Wish
from gridleaf.forecast.habits import learned_wish
from gridleaf.gateway.gateway import Gateway
from gridleaf.ocpp.commands import AllowTransfers, RemoteStart, RemoteStop
from gridleaf.ocpp.csms import Authorisation
from gridleaf.plan import solve_exact
from gridleaf.signals import Join, believable, follow_modbus, follow_mqtt
from gridleaf.store.port import SessionRecord, Store
from gridleaf.store.reports import append_report
from gridleaf.tariff import DemandMeter, PriceBook, PriceSource, make_source
from gridleaf.web.notices import Notices
from gridleaf.web.port import Notice, Savings, StationView

log = structlog.get_logger()

NOT_APPLIED = Counter(
    "gridleaf_events_not_applied", "Events that are stored and not in the live view", ["kind"]
)

CHARGE_ONLY = ("AC_single_phase", "AC_two_phase", "AC_three_phase", "DC")
BIDIRECTIONAL = ("AC_BPT", "DC_BPT")
_STEP_H = 0.25
"""Horizon of a state that is only looked at for what is now [h]."""
_HISTORY = timedelta(days=28)
_NONE, _MINUTE = timedelta(0), timedelta(minutes=1)
_AHEAD = timedelta(minutes=5)
"""A clock of a meter may be ahead by so much."""


class Platform:
    """One running site. Implements the ports of the gateway (``Intake``) and of the web.

    Parameters
    ----------
    site, clock, store
        What to run, by which time, and where to keep it. The store must be open.
    rng
        The one source of randomness (transaction ids, jitter).
    source
        Market prices; made from the tariff when absent.
    checkpoint_s
        How often sums and live sessions are written down [s].
    keep_frames
        Whether the OCPP log is kept.
    passport_key
        Where the key is that signs battery passports; none are written when absent.
    """

    def __init__(
        self,
        site: SiteConfig,
        *,
        clock: Clock,
        store: Store,
        rng: random.Random,
        source: PriceSource | None = None,
        solver: Solver = solve_exact,
        timer: Callable[[], float] = stopwatch,
        executor: Executor | None = None,
        checkpoint_s: float = 300.0,
        settle_s: float = Controller.SETTLE_S,
        registry: CollectorRegistry | None = None,
        keep_frames: bool = True,
        passport_key: Path | None = None,
    ) -> None:
        self._site = site
        self._clock = clock
        self._store = store
        source = source or make_source(site.tariff, clock=clock, timezone=site.timezone)
        self._book = PriceBook(source, store, clock)
        self._expected = Expectations(site, clock, self._book)
        interval = site.tariff.demand_interval_min
        self.demand = DemandMeter(interval_min=interval, timezone=site.timezone)
        self.uncontrolled_demand = DemandMeter(interval_min=interval, timezone=site.timezone)
        self.notices = Notices()
        self.controller = Controller(
            site,
            clock=clock,
            store=store,
            execute=self._execute,
            foresight=Foresight(
                prices=self._expected.prices,
                base=self._expected.base,
                arrivals=self._expected.arrivals,
            ),
            peak_kw=lambda: self.demand.peak_kw(clock.now()),
            solver=solver,
            timer=timer,
            executor=executor,
            settle_s=settle_s,
        )
        self.controller.on_cycle.append(self._cycled)
        self.gateway = Gateway(
            site=site,
            clock=clock,
            store=store,
            intake=self,
            rng=rng,
            registry=registry,
            keep_frames=keep_frames,
            timer=timer,
        )
        self._checkpoint_s = checkpoint_s
        self._passport_key = passport_key
        self._kept_at: datetime | None = None
        self._asking: dict[asyncio.Future[None], None] = {}
        self._remote_start_id = rng.randrange(1, 2**30)

    # -- life --

    async def restore(self) -> None:
        """Rebuild the live view from the store: open transactions, wishes, setpoints, sums."""
        store, live = self._store, self.controller.live
        for stored in await store.open_history():
            self._fold(live.apply, stored.event)
        live.take_over()
        for station in live.stations.values():
            station.online = False
        for session in live.sessions.values():
            session.wish = await store.wish(session.session_id)
            kept = await store.session(session.session_id)
            if kept is not None:
                session.cost_eur = kept.cost_eur or 0.0
                session.uncontrolled_cost_eur = kept.uncontrolled_cost_eur or 0.0
                session.life_eur = kept.life_eur or 0.0
            await self._learn_habit(session)
        for record in await store.last_dispatches():
            evse = live.evse(record.station_id, record.evse_id)
            if evse is None:
                continue
            evse.rung = record.rung
            if record.accepted:
                evse.accepted, evse.changed_at = record, record.sent_at
            else:
                evse.refused = evse.session is not None
        now = self._clock.now()
        for past in await store.sessions(since=now - _HISTORY, state="ended", limit=100_000):
            self._expected.visits.add(past)
        sums = await store.value("checkpoint")
        if sums is not None:
            meters = self.demand, self.uncontrolled_demand
            checkpoint.restore(sums, self.controller, *meters, now)
        await restore_batteries(live, store, now)
        for measurement in await store.measurements(now - _HISTORY, now, limit=1_000_000):
            self._expected.history.add(measurement)
            if measurement.grid_kw is not None:
                self.demand.add(measurement.measured_at, measurement.grid_kw)

    async def checkpoint(self) -> None:
        """Write down what events alone could not rebuild."""
        sums = checkpoint.written(self.controller, self.demand, self.uncontrolled_demand)
        await self._store.save_value("checkpoint", sums)
        for session in list(self.controller.live.sessions.values()):
            await self._store.save_session(session.record())

    async def run(self) -> None:
        """Run the site until cancelled: control, prices, signals, books."""
        signals = self._site.signals
        async with asyncio.TaskGroup() as group:
            group.create_task(self.controller.run())
            group.create_task(self._housekeeping())
            if self._passport_key is not None:
                group.create_task(self._keep_passports(self._passport_key))
            if self._site.tariff.source != "none":
                group.create_task(self._refresh_prices())
            hold = timedelta(seconds=self._site.control.meter_max_age_s)
            joined = Join(self.measured, hold=hold)
            if signals.mqtt is not None:
                group.create_task(follow_mqtt(signals.mqtt, self._clock, joined))
            for meter in signals.modbus:
                group.create_task(follow_modbus(meter, self._clock, joined))

    async def _refresh_prices(self) -> None:
        horizon = timedelta(hours=self._site.control.horizon_h)
        while True:
            await self._guarded("prices", self._book.refresh(self._clock.now() + horizon))
            await self._clock.sleep(60.0)

    async def _housekeeping(self) -> None:
        pruned = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._checkpoint_s)
            await self._guarded("checkpoint", self.checkpoint())
            if self._clock.monotonic() - pruned > 86400:
                pruned = self._clock.monotonic()
                keep = timedelta(days=self._site.storage.keep_frames_d)
                await self._guarded("prune", self._store.prune(self._clock.now() - keep))

    async def _keep_passports(self, key: Path) -> None:
        while True:
            await self._clock.sleep(self._checkpoint_s)
            writing = write_due(self._store, self._site, key, self._clock.now())
            await self._guarded("passports", writing)

    async def _guarded(self, what: str, work: Awaitable[object]) -> None:
        try:
            await work
        except GridleafError as error:
            log.warning("background_work_failed", what=what, reason=str(error))

    async def close(self) -> None:
        """Write the last checkpoint and end all connections."""
        await self._guarded("checkpoint", self.checkpoint())
        await self.gateway.close()

    # -- the gateway's port --

    async def accept(self, event: StationEvent) -> bool:
        """Durable first, then live."""
        live = self.controller.live
        stored = await append_report(self._store, event, over=self._is_over(event))
        if stored is None or await self._is_history(stored):
            return stored is not None
        event = stored
        latched, missing = live.grid_event, self._misses_reports(event)
        session = self._fold(self.controller.apply, event)
        for over in live.take_over():
            self._expected.visits.add(over.record())
            await self._guarded("session", self._store.save_session(over.record()))
            kept = keep_health(live, self._store, over, self._clock.now())
            await self._guarded("health", kept)
            self.notices.publish("session", {"session_id": over.session_id})
        if live.grid_event != latched:
            await self._guarded("checkpoint", self.checkpoint())
        match event:
            case TransactionReported(phase="started"):
                if session is not None and session.live:
                    await self._learn_habit(session)
                    await self._guarded("session", self._store.save_session(session.record()))
                    self.notices.publish("session", {"session_id": session.session_id})
            case TransactionReported() | NeedsReported():
                pass
            case _:
                self.notices.publish("station", {"station_id": event.station_id})
        if not missing and isinstance(event, TransactionReported) and self._misses_reports(event):
            self._ask_for_reports(event)
        return True

    def _is_over(self, event: StationEvent) -> bool:
        """Whether the session a report speaks of is known and no longer live."""
        if not isinstance(event, TransactionReported):
            return False
        live, of = self.controller.live, (event.station_id, event.transaction_id)
        return live.session_of(*of) is None and live.remembers(*of)

    def _fold(
        self, apply: Callable[[StationEvent], LiveSession | None], event: StationEvent
    ) -> LiveSession | None:
        """Let the live view see a durable event; one that it trips over stays in the store alone."""
        try:
            return apply(event)
        except Exception:
            NOT_APPLIED.labels(event.kind).inc()
            log.exception("event_not_applied", station=event.station_id, kind=event.kind)
            return None

    def _misses_reports(self, event: StationEvent) -> bool:
        if not isinstance(event, TransactionReported):
            return False
        session = self.controller.live.session_of(event.station_id, event.transaction_id)
        return session is not None and "incomplete" in session.flags

    def _ask_for_reports(self, event: TransactionReported) -> None:
        """A gap: ask whether the station still holds what is missing (OCPP 2.x E14)."""
        version = self.controller.live.stations[event.station_id].version
        if version == "ocpp1.6":
            return
        payload = {"transactionId": event.transaction_id}
        asking = self.gateway.request(event.station_id, "GetTransactionStatus", payload)
        task = asyncio.ensure_future(self._guarded("transaction status", asking))
        self._asking[task] = None
        task.add_done_callback(self._asking.pop)

    async def _is_history(self, event: StationEvent) -> bool:
        """Whether a report is about a transaction that ended before the last restart."""
        if not isinstance(event, TransactionReported) or event.phase == "started":
            return False
        if self.controller.live.remembers(event.station_id, event.transaction_id):
            return False
        kept = await self._store.session(session_id(event.station_id, event.transaction_id))
        return kept is not None and kept.state == "ended"

    async def authorise(self, station_id: str, id_token: str, evse_id: int | None) -> Authorisation:
        """Who may charge, and whether the energy may flow both ways."""
        vehicle = self.controller.live.vehicle(id_token)
        if vehicle is None and self._site.authorise == "known":
            return Authorisation(status="Invalid")
        v2g = vehicle.v2g if vehicle is not None else self._site.defaults.v2g
        station = self.controller.live.stations.get(station_id)
        able = station is not None and any(
            e.config.discharge_max_kw > 0
            for number, e in station.evses.items()
            if evse_id in (None, number)
        )
        transfers = CHARGE_ONLY + (BIDIRECTIONAL if v2g and able else ())
        return Authorisation(status="Accepted", transfers=transfers)

    def pull_setpoint(self, station_id: str, profile_id: int) -> float | None:
        """What a dynamic profile should be at now, for a station that asks."""
        live, now = self.controller.live, self._clock.now()
        for record_evse in live.stations[station_id].evses.values():
            record = record_evse.accepted
            if record is not None and record.profile_id == profile_id:
                return record_evse.setpoint_kw(now)
        return None

    async def _learn_habit(self, session: LiveSession) -> None:
        try:
            own = (
                await self._store.sessions(id_token=session.id_token, limit=100)
                if session.id_token is not None
                else []
            )
            records = [*own, *await self._store.sessions(state="ended", limit=200)]
        except StoreUnavailable as error:
            log.warning("habit_not_learned", reason=str(error))
            return
        session.habit = learned_wish(
            list({r.session_id: r for r in records}.values()),
            id_token=session.id_token,
            station_id=session.station_id,
            evse_id=session.evse_id,
            arrived_at=session.arrived_at,
            timezone=self._site.timezone,
        )

    # -- what control needs --

    async def _execute(self, station_id: str, command: Any) -> Any:
        self._must_lead()
        return await self.gateway.execute(station_id, command)

    def _cycled(self, state: SiteState, decision: Decision) -> None:
        self.notices.publish(
            "decision",
            {"cycle_id": self.controller.last_cycle_id, "method": decision.method},
        )
        for alert in decision.alerts:
            if alert.severity == "critical":
                self.notices.publish("alert", asdict(alert))

    # -- the web's port --

    @property
    def site(self) -> SiteConfig:
        return self._site

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def store(self) -> Store:
        return self._store

    def state(self) -> SiteState:
        return self.controller.observe()

    def decision(self) -> Decision | None:
        return self.controller.last[1] if self.controller.last is not None else None

    def decided_state(self) -> SiteState | None:
        return self.controller.last[0] if self.controller.last is not None else None

    def outlook_start(self) -> datetime | None:
        decided = self.decided_state()
        return None if decided is None else decided.outlook.start

    def stations(self) -> list[StationView]:
        views = []
        for name, station in self.controller.live.stations.items():
            boot, read = station.boot, station.capabilities
            views.append(
                StationView(
                    station_id=name,
                    online=station.online,
                    version=station.version,
                    vendor=boot.vendor if boot is not None else "",
                    model=boot.model if boot is not None else "",
                    firmware_version=boot.firmware_version if boot is not None else "",
                    connected_at=station.connected_at,
                    last_seen_at=station.last_seen_at,
                    evses=tuple(station.evses),
                    capabilities=dict(read.values) if read is not None else {},
                )
            )
        return views

    def savings(self) -> Savings:
        now = self._clock.now()
        today = self.controller.accounts.today or Totals(since=now)
        days = timedelta(hours=today.hours) / timedelta(days=30)
        rate = self._site.tariff.demand_charge_per_kw * days
        return Savings(
            since=today.since,
            cost_eur=today.cost + rate * self.demand.peak_kw(now),
            uncontrolled_cost_eur=today.uncontrolled_energy_cost
            + rate * self.uncontrolled_demand.peak_kw(now),
            charged_kwh=today.charged_kwh,
            discharged_kwh=today.discharged_kwh,
        )

    def current(self, record: SessionRecord) -> SessionRecord:
        live = self.controller.live.sessions.get(record.session_id)
        return record if live is None else live.record()

    async def request(
        self, station_id: str, action: str, payload: dict[str, Any]
    ) -> dict[str, Any]:
        self._known(station_id)
        self._must_lead()
        return await self.gateway.request(station_id, action, payload)

    async def remote_start(self, station_id: str, evse_id: int, id_token: str) -> str:
        if evse_id not in self._known(station_id):
            raise KeyError(f"{station_id} has no EVSE {evse_id}")
        self._remote_start_id += 1
        command = RemoteStart(
            evse_id=evse_id, id_token=id_token, remote_start_id=self._remote_start_id
        )
        return str((await self._execute(station_id, command)).status)

    async def remote_stop(self, session_id: str) -> str:
        session = self._session(session_id)
        command = RemoteStop(transaction_id=session.transaction_id)
        return str((await self._execute(session.station_id, command)).status)

    async def wish(self, session_id: str, wish: Wish) -> None:
        session = self._session(session_id)
        said = replace(wish, said_at=wish.said_at or self._clock.now())
        merged = said if session.wish is None else said.after(session.wish)
        await self._store.save_wish(session_id, merged)
        before = session.wish
        session.wish = merged
        self.controller.wake(f"wish for {session_id}")
        self.notices.publish("session", {"session_id": session_id})
        if wish.v2g is not None and (before is None or before.v2g != wish.v2g):
            await self._tell_transfers(session, wish.v2g)

    async def _tell_transfers(self, session: LiveSession, v2g: bool) -> None:
        """OCPP 2.1 stations renegotiate with the vehicle; for all others the setpoint suffices."""
        station = self.controller.live.stations[session.station_id]
        if station.version != "ocpp2.1" or not station.online:
            return
        command = AllowTransfers(
            transaction_id=session.transaction_id,
            transfers=CHARGE_ONLY + (BIDIRECTIONAL if v2g else ()),
        )
        await self._guarded("allowed transfers", self._execute(session.station_id, command))

    async def measured(self, measurement: SiteMeasurement) -> None:
        """Take a measurement; what no meter of this site can show is left out.

        One from the future is refused, for it would hide all until then.
        """
        ahead = measurement.measured_at - self._clock.now()
        believed = believable(measurement, self._site)
        if ahead > _AHEAD or believed is None:
            late = f"its time is {ahead.total_seconds():.0f} s ahead"
            reason = "no meter of this site can show it" if believed is None else late
            log.warning("measurement_refused", source=measurement.source, reason=reason)
            return
        measurement = believed
        before = self.controller.measurement
        self.controller.measured(measurement)
        kept = self._with_base(measurement)
        self._expected.history.add(kept)
        if measurement.grid_kw is not None:
            self.demand.add(measurement.measured_at, measurement.grid_kw)
        state_due = before is None or (measurement.measured_at - before.measured_at) >= timedelta(
            seconds=1
        )
        # also when it lies in the future: then the clock was set back
        if self._kept_at is None or not _NONE <= measurement.measured_at - self._kept_at < _MINUTE:
            self._kept_at = measurement.measured_at
            self._account()
            await self._guarded("measurement", self._store.save_measurements([kept]))
        if state_due:
            self.notices.publish("state", {"grid_kw": measurement.grid_kw})

    def _account(self) -> None:
        """Bring the books up to now."""
        accounts = self.controller.accounts
        accounts.tick(self.controller.observe(_STEP_H), self.controller.live)
        self.uncontrolled_demand.add(self._clock.now(), accounts.uncontrolled_grid_kw)

    def _with_base(self, measurement: SiteMeasurement) -> SiteMeasurement:
        """With only a grid meter, the building is what the EVSEs do not explain."""
        if measurement.load_kw is not None or measurement.grid_kw is None:
            return measurement
        evses = sum(e.power_kw or 0.0 for e in self.controller.live.evses())
        base = measurement.grid_kw - evses + (measurement.pv_kw or 0.0)
        return replace(measurement, load_kw=max(base, 0.0))

    async def set_limit(self, import_kw: float | None, export_kw: float | None) -> None:
        self.controller.impose(import_kw, export_kw)
        await self._guarded("checkpoint", self.checkpoint())

    async def raise_grid_event(self, reason: str) -> None:
        log.warning("grid_event_raised", site=self._site.name, reason=reason)
        self.controller.live.grid_event = reason
        self.controller.wake("grid event")
        await self._guarded("checkpoint", self.checkpoint())

    async def clear_grid_event(self) -> None:
        self.controller.live.grid_event = None
        self.controller.wake("grid event cleared")
        await self._guarded("checkpoint", self.checkpoint())

    def subscribe(self, after_id: int | None = None) -> AsyncIterator[Notice]:
        return self.notices.follow(after_id)

    def _must_lead(self) -> None:
        if not self.controller.leads:
            raise ConnectionLost("another process leads this site")

    def _known(self, station_id: str) -> tuple[int, ...]:
        station = self.controller.live.stations.get(station_id)
        if station is None:
            raise KeyError(f"no station {station_id!r} is configured")
        return tuple(station.evses)

    def _session(self, session_id: str) -> LiveSession:
        session = self.controller.live.sessions.get(session_id)
        if session is None:
            raise KeyError(f"no live session {session_id!r}")
        return session
