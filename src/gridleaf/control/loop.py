"""The control loop of one site: observe, plan, envelope, dispatch, verify; for ever.

A cycle is stateless: it reads the world anew, decides, sends and is judged by the meter at the next
one. What must survive a restart is in the store; everything else is rebuilt from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from gridleaf.control.accounts import Accounts
from gridleaf.control.decide import Solver, decide
from gridleaf.control.dispatch import Order, default_order, orders, remember, stopped
from gridleaf.control.ladder import preferred_unit
from gridleaf.control.limits import grid_limits_kw, static_shares_kw
from gridleaf.control.live import LiveEvse, LiveSite, is_stale
from gridleaf.control.observe import SETTLE_S, Imposed, observe, step_grid
from gridleaf.control.session import LiveSession
from gridleaf.control.types import (
    Alert,
    Decision,
    Outlook,
    Policy,
    SiteState,
    decision_to_json,
    state_to_json,
)
from gridleaf.control.verify import judge
from gridleaf.domain.clock import Clock, stopwatch
from gridleaf.domain.errors import (
    CallTimeout,
    ConnectionLost,
    ProtocolError,
    RejectedByStation,
    StoreUnavailable,
)
from gridleaf.domain.events import (
    CapabilitiesRead,
    Connected,
    Disconnected,
    ExternalLimitReported,
    NeedsReported,
    Noted,
    StationEvent,
    TransactionReported,
)
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import SiteConfig
from gridleaf.ocpp.commands import Answer, Command, RemoteStop
from gridleaf.plan import solve_exact
from gridleaf.store.port import DispatchRecord, Store

log = structlog.get_logger()

LIMIT_STEP = timedelta(minutes=5)
"""How finely limits by time of day are looked at within a step of the plan."""
CLOCK_STEP = timedelta(seconds=5)
"""Wall and monotonic clock drift apart by this much only when somebody sets the wall clock."""
COMPARE_SHARE, COMPARE_AGE_S = 0.1, 60.0
"""Weight of one comparison of the grid meter with its parts, and how old an EVSE's reading may be."""
Series = tuple[float, ...]
Execute = Callable[[str, Command], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """What is expected: each is asked for the steps of a horizon.

    ``prices(start, step_h)`` gives import price, export price and whether each is known;
    ``base(start, step_h, newest)`` gives building load and generation [kW]; ``arrivals(start,
    step_h)`` what vehicles will want that have not come yet [kW].
    """

    prices: Callable[[datetime, Sequence[float]], tuple[Series, Series, tuple[bool, ...]]]
    base: Callable[[datetime, Sequence[float], SiteMeasurement | None], tuple[Series, Series]]
    arrivals: Callable[[datetime, Sequence[float]], Series] = lambda _start, _step_h: ()


class Controller:
    """Holds the live view of a site and runs its cycles.

    Parameters
    ----------
    execute
        Sends a command to a station; raises ConnectionLost, CallTimeout, RejectedByStation.
    foresight
        Prices and forecasts.
    peak_kw
        The highest mean import of the billing month so far.
    """

    SETTLE_S = 2.0
    """Events that come in a burst share a cycle: it waits this long after the first."""
    PATIENCE_S = 10.0
    """Increases wait this long for the reductions that make room, and the loop for the increases."""

    def __init__(
        self,
        site: SiteConfig,
        *,
        clock: Clock,
        store: Store,
        execute: Execute,
        foresight: Foresight,
        peak_kw: Callable[[], float] = lambda: 0.0,
        solver: Solver = solve_exact,
        timer: Callable[[], float] = stopwatch,
        executor: Executor | None = None,
        settle_s: float = SETTLE_S,
    ) -> None:
        self.site = site
        self.clock = clock
        self.store = store
        self.live = LiveSite(site)
        self.accounts = Accounts(site.timezone)
        self.measurement: SiteMeasurement | None = None
        self.unmetered_kw = 0.0
        """What the grid meter shows beyond building, generation and EVSEs, smoothed [kW]."""
        self.imposed = Imposed()
        self.policy: Policy = site.control.policy
        self.last: tuple[SiteState, Decision] | None = None
        self.last_cycle_id: int | None = None
        self.cycles = 0
        self.leads = True
        """Whether no other process has taken the lead of this site; if one has, nothing is sent."""
        self.on_cycle: list[Callable[[SiteState, Decision], None]] = []
        self._execute = execute
        self._foresight = foresight
        self._peak_kw = peak_kw
        self._solver = solver
        self._timer = timer
        self._executor = executor
        self._settle_s = settle_s
        self._offset = self._clock_offset()
        self._renew = False
        self._wake = asyncio.Event()
        self._reason = ""
        self._shares = static_shares_kw(site)
        self._defaults: dict[str, asyncio.Task[None]] = {}
        self._sending: dict[tuple[str, int], asyncio.Task[bool]] = {}

    # -- what comes in --

    def wake(self, reason: str) -> None:
        """Ask for a cycle now."""
        if not self._wake.is_set():
            self._reason = reason
            self._wake.set()

    def apply(self, event: StationEvent) -> LiveSession | None:
        """Fold a durable event into the live view and react to what cannot wait."""
        self._follow_clock()
        latched = self.live.grid_event
        session = self.live.apply(event)
        match event:
            case TransactionReported(phase="ended"):
                self.wake(f"session ended at {event.station_id}")
            case TransactionReported() if session is not None and self._is_new(session):
                self.wake(f"session began at {event.station_id}")
            case NeedsReported():
                self.wake(f"charging needs of {event.station_id}")
            case Connected() | Disconnected():
                self.wake(f"{event.station_id} {event.kind}")
            case CapabilitiesRead(evse_id=0):
                self._send_defaults(event.station_id)
            case ExternalLimitReported():
                self.wake(f"external limit at {event.station_id}")
            case Noted() if self.live.grid_event != latched:
                self.wake("grid event")
        return session

    def _is_new(self, session: LiveSession) -> bool:
        """Whether a session stands at its EVSE and no cycle has seen it yet."""
        evse = self.live.evse(session.station_id, session.evse_id)
        return evse is not None and evse.session is session and session.seen is None

    def measured(self, measurement: SiteMeasurement) -> None:
        """Take a measurement of the site; a broken limit is answered at once, and a meter's return."""
        self._follow_clock()
        newest, now = self.measurement, self.clock.now()
        if newest is not None and measurement.measured_at < newest.measured_at <= now:
            return
        if measurement.grid_kw is None and newest is not None and newest.grid_kw is not None:
            # only parts: they never make an old reading of the grid look fresh
            load = newest.load_kw if measurement.load_kw is None else measurement.load_kw
            pv = newest.pv_kw if measurement.pv_kw is None else measurement.pv_kw
            self.measurement = replace(newest, load_kw=load, pv_kw=pv)
            return
        if self._is_stale(newest):
            self.wake("the meter is back")
        self.measurement = measurement
        self._compare(measurement)
        if measurement.grid_kw is None:
            return
        import_kw, export_kw = grid_limits_kw(
            self.site, self.clock.now(), self.imposed.import_kw, self.imposed.export_kw
        )
        if measurement.grid_kw > import_kw or measurement.grid_kw < -export_kw:
            self.wake("over limit")

    def _compare(self, measurement: SiteMeasurement) -> None:
        """Learn what the grid meter shows beyond building, generation and EVSEs.

        A broken limit is believed at once, so that a wrong sub-meter cannot break it twice; otherwise
        readings count that were taken while no setpoint was on its way.
        """
        if measurement.grid_kw is None or measurement.load_kw is None:
            return
        evses = [e for e in self.live.evses() if e.session is not None]
        at = measurement.measured_at
        settled = all(
            e.power_at is not None
            and not is_stale(e.power_at, at, 2 * COMPARE_AGE_S)
            and (e.changed_at is None or e.power_at >= e.changed_at + timedelta(seconds=SETTLE_S))
            for e in evses
        )
        drawn = sum(e.power_kw or 0.0 for e in evses)
        parts = measurement.load_kw - (measurement.pv_kw or 0.0)
        beyond = measurement.grid_kw - drawn - parts
        import_kw, export_kw = self._limits(self.clock.now())
        if settled:
            self.unmetered_kw += COMPARE_SHARE * (beyond - self.unmetered_kw)
        elif measurement.grid_kw > import_kw:
            self.unmetered_kw = max(self.unmetered_kw, min(beyond, measurement.grid_kw - import_kw))
        elif measurement.grid_kw < -export_kw:
            self.unmetered_kw = min(self.unmetered_kw, max(beyond, measurement.grid_kw + export_kw))

    def impose(self, import_kw: float | None, export_kw: float | None) -> None:
        """A limit from outside, on top of the configured ones; None lifts it."""
        self.imposed = Imposed(import_kw=import_kw, export_kw=export_kw)
        self.wake("limit changed")

    # -- the cycle --

    def outlook(self, at: datetime, horizon_h: float | None = None) -> Outlook:
        """Prices, limits and forecasts from ``at`` to the end of the horizon, the site's by default."""
        start, step_h = step_grid(at, horizon_h or self.site.control.horizon_h)
        buy, sell, known = self._foresight.prices(start, step_h)
        load, pv = self._foresight.base(start, step_h, self.measurement)
        imports, exports = self._limits_by_step(start, step_h)
        return Outlook(
            start=start,
            step_h=step_h,
            import_price=buy,
            export_price=sell,
            price_known=known,
            load_kw=load,
            pv_kw=pv,
            import_limit_kw=imports,
            export_limit_kw=exports,
            arrivals_kw=self._foresight.arrivals(start, step_h),
        )

    def _limits_by_step(self, start: datetime, step_h: Sequence[float]) -> tuple[Series, Series]:
        """Import and export limit of each step: the smallest that holds within it."""
        if not self.site.limit_windows:
            import_kw, export_kw = self._limits(start)
            return (import_kw,) * len(step_h), (export_kw,) * len(step_h)
        imports, exports = [], []
        edge = start
        for hours in step_h:
            end = edge + timedelta(hours=hours)
            limits = [self._limits(edge)]
            inner = edge + LIMIT_STEP
            while inner < end:
                limits.append(self._limits(inner))
                inner += LIMIT_STEP
            imports.append(min(limit[0] for limit in limits))
            exports.append(min(limit[1] for limit in limits))
            edge = end
        return tuple(imports), tuple(exports)

    def _limits(self, at: datetime) -> tuple[float, float]:
        return grid_limits_kw(self.site, at, self.imposed.import_kw, self.imposed.export_kw)

    def observe(self, horizon_h: float | None = None) -> SiteState:
        """The state of the site now; with a short horizon it costs much less."""
        self._follow_clock()
        at = self.clock.now()
        state = observe(
            self.live,
            at=at,
            policy=self.policy,
            measurement=self.measurement,
            imposed=self.imposed,
            peak_so_far_kw=self._peak_kw(),
            outlook=self.outlook(at, horizon_h),
            unmetered_kw=self.unmetered_kw,
        )
        for evse in state.evses:
            if evse.session is not None and evse.session.session_id in self.live.sessions:
                self.live.sessions[evse.session.session_id].seen = evse.session
        return state

    async def cycle(self, trigger: str, *, renew: bool) -> Decision:
        """One cycle: judge the last one by the meter, observe, decide, keep, send."""
        self._follow_clock()
        await self._look_who_leads()
        judged = judge(self.live, self.clock.now())
        for evse in judged:
            log.warning("obedience", evse=evse.key, obeying=evse.obeying, rung=evse.rung)
        state = self.observe()
        self.accounts.tick(state, self.live)
        decision = await asyncio.get_running_loop().run_in_executor(
            self._executor,
            partial(
                decide,
                state,
                self.site,
                trigger=trigger,
                previous=self.last,
                solver=self._solver,
                timer=self._timer,
            ),
        )
        if not self.leads:
            decision = replace(decision, alerts=(_not_leading(self.site.name), *decision.alerts))
        self.last = (state, decision)
        self.cycles += 1
        try:
            self.last_cycle_id = await self.store.save_cycle(
                state.at, trigger, state_to_json(state), decision_to_json(decision)
            )
        except StoreUnavailable as error:
            log.warning("cycle_not_stored", reason=str(error))
        again = [evse.key for evse in judged]
        if self.leads:
            await self._dispatch(orders(state, decision, renew=renew, again=again))
            if renew:
                self._repeat_defaults()
        for listener in self.on_cycle:
            listener(state, decision)
        return decision

    async def _look_who_leads(self) -> None:
        """A store that does not answer leaves it as it was: control goes on without it."""
        try:
            leads = await self.store.lead()
        except StoreUnavailable:
            return
        if leads != self.leads:
            log.warning("lead_taken" if leads else "lead_lost", site=self.site.name)
            self.leads = leads

    async def run(self) -> None:
        """Cycle on the timer and on events until cancelled. A cycle that fails never ends the loop."""
        period = self.site.control.cycle_s
        due = self.clock.monotonic()
        while True:
            left = due - self.clock.monotonic()
            trigger, renew = "timer", True
            if left > 0:
                try:
                    await self.clock.wait_for(self._wake.wait(), min(left, self._fresh_for_s()))
                    await self.clock.sleep(self._settle_s)
                    trigger, renew = self._reason, False
                except TimeoutError:
                    if due > self.clock.monotonic():
                        if not self._fell_silent():
                            continue
                        trigger, renew = "the meter is silent", False
            if due <= self.clock.monotonic():
                trigger, renew = ("timer" if renew else trigger), True
                due += period
                if due <= self.clock.monotonic():
                    due = self.clock.monotonic() + period
            self._wake.clear()
            renew, self._renew = renew or self._renew, False
            try:
                await self.cycle(trigger, renew=renew)
            except Exception:
                log.exception("cycle_failed", site=self.site.name, trigger=trigger)

    def _follow_clock(self) -> None:
        """When somebody has set the wall clock, what is known moves with it and is sent anew."""
        offset = self._clock_offset()
        step = offset - self._offset
        self._offset = offset
        if abs(step) < CLOCK_STEP:
            return
        log.warning("clock_set", site=self.site.name, step_s=step.total_seconds())
        self.live.shift(step)
        if self.measurement is not None:
            at = self.measurement.measured_at + step
            self.measurement = replace(self.measurement, measured_at=at)
        self._renew = True
        self.wake("the clock was set")

    def _clock_offset(self) -> datetime:
        """The wall time at which the monotonic clock stood at 0."""
        return self.clock.now() - timedelta(seconds=self.clock.monotonic())

    def _is_stale(self, measurement: SiteMeasurement | None) -> bool:
        at = measurement.measured_at if measurement is not None else None
        return is_stale(at, self.clock.now(), self.site.control.meter_max_age_s)

    def _fell_silent(self) -> bool:
        """Whether the newest decision relied on a meter that has been silent for too long since."""
        relied = self.last is not None and self.last[0].meter_fresh
        return relied and self._is_stale(self.measurement)

    def _fresh_for_s(self) -> float:
        """When to look whether the meter has fallen silent [s from now]."""
        longest = self.site.control.meter_max_age_s
        if self.measurement is None:
            return longest
        age = (self.clock.now() - self.measurement.measured_at).total_seconds()
        return longest - age + 0.1 if 0 <= age <= longest else longest

    # -- what goes out --

    async def _dispatch(self, batch: Sequence[Order]) -> None:
        """Reductions first; increases only when every reduction has been confirmed.

        A station that does not answer holds up nobody for longer than ``PATIENCE_S``, and one that has
        not obeyed not at all: its worst case is reserved.
        """
        self._start([o for o in batch if not o.trusted])
        reductions = [o for o in batch if o.trusted and o.reduces]
        increases = [o for o in batch if o.trusted and not o.reduces]
        sent = self._start(reductions)
        await self._settled(sent)
        if len(sent) == len(reductions) and all(task.done() and task.result() for task in sent):
            await self._settled(self._start(increases))
        elif increases:
            log.warning("increases_held_back", count=len(increases))
            for task in sent:
                if not task.done():
                    task.add_done_callback(self._answered_late)

    def _start(self, batch: Sequence[Order]) -> list[asyncio.Task[bool]]:
        """Send commands, except to an EVSE that still owes the answer to one before."""
        started = []
        for order in batch:
            key = (order.station_id, order.evse_id)
            if key in self._sending:
                self._sending[key].add_done_callback(self._answered_late)
                continue
            task = self._sending[key] = asyncio.ensure_future(self._send(order))
            task.add_done_callback(partial(self._sent, key))
            started.append(task)
        return started

    def _sent(self, key: tuple[str, int], _: asyncio.Task[bool]) -> None:
        del self._sending[key]

    def _answered_late(self, _: asyncio.Task[bool]) -> None:
        self.wake("a station answered late")

    async def _settled(self, tasks: Sequence[asyncio.Task[bool]]) -> None:
        """Wait until all is answered, or patience ends."""
        if not tasks:
            return
        try:
            await self.clock.wait_for(asyncio.wait(tasks), self.PATIENCE_S)
        except TimeoutError:
            log.warning("stations_slow", count=sum(not task.done() for task in tasks))

    async def _send(self, order: Order) -> bool:
        """Send one command and remember the answer; True when the station accepted."""
        accepted, status = False, ""
        try:
            answer = await self._execute(order.station_id, order.command)
            accepted, status = answer.accepted, answer.status
        except RejectedByStation as error:
            status = error.code
        except CallTimeout:
            status = "timeout"
        except ConnectionLost:
            status = "connection lost"
        except ProtocolError as error:
            status = error.code
        if isinstance(order.command, RemoteStop):
            log.warning(
                "transaction_stopped",
                station=order.station_id,
                evse=order.evse_id,
                status=status,
                reason="it refuses a setpoint of 0 and its least does not fit",
            )
            stopped(self.live, order, self.clock.now())
            return accepted
        record = replace(order.record, accepted=accepted, status=status)
        remember(self.live, record, self.clock.now())
        if not accepted:
            log.warning(
                "setpoint_refused", station=order.station_id, evse=order.evse_id, status=status
            )
            if order.trusted:
                self.wake(f"{order.station_id} did not take its setpoint")
        await self._keep(record)
        return accepted

    async def _keep(self, record: DispatchRecord) -> None:
        try:
            await self.store.save_dispatch(record)
        except StoreUnavailable as error:
            log.warning("dispatch_not_stored", reason=str(error))

    def _send_defaults(self, station_id: str) -> None:
        """Give a station the limits that it falls back to by itself."""
        if self.policy == "uncontrolled":
            return
        running = self._defaults.get(station_id)
        if running is None or running.done():
            self._defaults[station_id] = asyncio.ensure_future(self._defaults_of(station_id))

    async def _defaults_of(self, station_id: str) -> None:
        station = self.live.stations[station_id]
        for evse in station.evses.values():
            unit = preferred_unit(evse.station, evse.config, self.live.capabilities(evse))
            share = self._shares[evse.key]
            command = default_order(evse, share, unit, self.site.voltage_v)
            evse.default_kw = await self._default(evse, command, share)
        if all(evse.default_kw is not None for evse in station.evses.values()):
            self.wake(f"{station_id} is ready")

    def _repeat_defaults(self) -> None:
        """Ask again where a default limit was not accepted."""
        for name, station in self.live.stations.items():
            missing = any(evse.default_kw is None for evse in station.evses.values())
            if missing and station.online and station.capabilities is not None:
                self._send_defaults(name)

    async def _default(self, evse: LiveEvse, command: Command, share_kw: float) -> float | None:
        try:
            answer = await self._execute(evse.station.id, command)
        except (RejectedByStation, CallTimeout, ConnectionLost, ProtocolError) as error:
            log.warning("default_limit_refused", evse=evse.key, reason=str(error))
            return None
        return share_kw if answer.accepted else None


def _not_leading(site: str) -> Alert:
    return Alert(
        kind="not_leading",
        severity="critical",
        where=site,
        text="Another process leads this site: nothing is sent from here.",
    )
