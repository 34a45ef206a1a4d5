"""A simulated station: a real OCPP client over any wire, with energy behind its connectors.

It boots, beats its heart, reports transactions and meter values, and obeys charging profiles by the
rules of its OCPP version. Energy is integrated when something changes or somebody asks, so a station
without a vehicle costs a heartbeat now and then.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import CallTimeout, ConnectionLost, RejectedByStation
from gridleaf.domain.site import Station
from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.ocpp.wire import Wire
from gridleaf.sim.dialect import Message, Report, StationDialect, Trigger
from gridleaf.sim.dialect16 import Dialect16
from gridleaf.sim.dialect21 import Dialect21
from gridleaf.sim.dialect201 import Dialect201
from gridleaf.sim.evse import Cause, Pending, SimEvse, Transaction
from gridleaf.sim.link import Link
from gridleaf.sim.memory import recall, remember
from gridleaf.sim.profiles import Allowance, Profile, ProfileStore, Situation, allowance
from gridleaf.sim.timer import Timer
from gridleaf.sim.vehicle import SimVehicle

_log = structlog.get_logger()

_DIALECTS: dict[str, Callable[[SimStation], StationDialect]] = {
    "ocpp1.6": Dialect16,
    "ocpp2.0.1": Dialect201,
    "ocpp2.1": Dialect21,
}
_REBOOT_S = 10.0
_PATIENCE_S = 30.0


class SimStation:
    """One station as the site describes it, speaking one version.

    Parameters
    ----------
    station
        Its EVSEs; ``discharge_via`` tells how it takes a discharge setpoint.
    version
        Its subprotocol: ``ocpp1.6``, ``ocpp2.0.1`` or ``ocpp2.1``.
    connect
        Opens a connection with that subprotocol; raises ConnectionLost or OSError.
    rng
        All its chance: transaction ids, back-off, the phase of its meter.
    voltage_v
        Phase voltage [V].
    meter_interval_s
        How often a running transaction reports its meter [s].
    meter_fixed
        Whether the central system is refused another interval.

    Attributes
    ----------
    reject_profiles
        Fault: every charging profile is refused.
    link
        Its line to the central system.
    """

    def __init__(
        self,
        station: Station,
        *,
        version: str,
        clock: Clock,
        connect: Callable[[], Awaitable[Wire]],
        rng: random.Random,
        voltage_v: float = 230.0,
        meter_interval_s: float = 60.0,
        meter_fixed: bool = False,
    ) -> None:
        self.config = station
        self.version = version
        self.clock = clock
        self.rng = rng
        self.voltage_v = voltage_v
        self.meter_interval_s = meter_interval_s
        self.meter_fixed = meter_fixed
        self.heartbeat_interval_s = 300.0
        self.connection_timeout_s = 120.0
        self.reject_profiles = False
        self.profiles = ProfileStore()
        self.evses = {e.id: SimEvse(e, voltage_v, self._allow) for e in station.evses}
        self.link = Link(station.id, self, clock=clock, rng=rng, connect=connect)
        self.dialect: StationDialect = _DIALECTS[version](self)
        self._zero = clock.now() - timedelta(seconds=clock.monotonic())
        self._offset_s = 0.0
        self._disobey = False
        self._timer = Timer(clock)
        self._boot_reason = "PowerUp"
        self._reset_when_idle = False
        self._meter_phase_s = rng.random() * meter_interval_s
        self._offline_since: float | None = self.epoch()
        for evse in self.evses.values():
            evse.start_at(clock.monotonic())

    # -- what people and drivers do --

    async def run(self) -> None:
        """Connect, boot, report; reconnect with back-off; until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                with self.changing():
                    self._arm_meter()
                self._timer.start(group)
                await self.link.run(group)
        finally:
            self._timer.stop()

    async def plug(
        self, evse_id: int, vehicle: SimVehicle, *, departure_at: datetime | None = None
    ) -> None:
        """Plug a vehicle in, authorise it and start its transaction.

        Returns when the central system was told, or could not be for now.

        Parameters
        ----------
        departure_at
            When the driver told the car to be ready; None when nothing was said.

        Raises
        ------
        ValueError
            The EVSE is occupied.
        """
        evse = self.evses[evse_id]
        if evse.vehicle is not None:
            raise ValueError(f"{self.config.id}/{evse_id} is occupied")
        with self.changing():
            evse.vehicle = replace(vehicle, power_kw=0.0)
            evse.arrivals += 1
            evse.finished = False
            evse.departure_at = departure_at
        self.tell_status(evse)
        if not evse.available:
            return
        await self.clock.sleep(0)  # the status goes first
        pending, evse.pending = evse.pending, None
        if pending is not None and self.clock.monotonic() <= pending.until:
            await self._begin(evse, pending.id_token, pending.remote_start_id, pending.profile)
        else:
            await self._begin(evse, vehicle.id_token)
        await self.link.delivered(_PATIENCE_S)

    async def unplug(self, evse_id: int) -> SimVehicle:
        """End the transaction and return the vehicle as it is now.

        Raises
        ------
        ValueError
            No vehicle is plugged in.
        """
        evse = self.evses[evse_id]
        if evse.vehicle is None:
            raise ValueError(f"{self.config.id}/{evse_id} has no vehicle")
        if evse.transaction is not None:
            self.stop(evse, "unplugged")
        with self.changing():
            evse.open_contactor()
        vehicle, evse.vehicle, evse.departure_at = evse.vehicle, None, None
        self.tell_status(evse)
        return vehicle

    def power_kw(self, evse_id: int) -> float:
        """True power now, + charges [kW]."""
        vehicle = self.vehicle(evse_id)
        return 0.0 if vehicle is None else vehicle.power_kw

    def vehicle(self, evse_id: int) -> SimVehicle | None:
        """The vehicle plugged in, as it is now."""
        self.settle()
        return self.evses[evse_id].vehicle

    def energy(self, evse_id: int) -> tuple[float, float]:
        """True import and export registers now [kWh]."""
        self.settle()
        evse = self.evses[evse_id]
        return evse.import_kwh, evse.export_kwh

    def state(self) -> dict[str, Any]:
        """What the station keeps over a power cut, as JSON-ready values: for :meth:`restore`."""
        return remember(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from an earlier :meth:`state`, before :meth:`run`; transactions are resumed.

        Raises
        ------
        ValueError
            The state is not one of this station.
        """
        recall(self, state)
        with self.changing():
            self._arm_meter()

    # -- faults --

    @property
    def disobey(self) -> bool:
        """Fault: profiles are accepted and ignored; every vehicle gets full power."""
        return self._disobey

    @disobey.setter
    def disobey(self, on: bool) -> None:
        with self.changing():
            self._disobey = on
            for evse in self.evses.values():
                evse.obeys = not on

    @property
    def freeze_meter(self) -> bool:
        """Fault: the meters go on showing what they show now."""
        return any(evse.frozen is not None for evse in self.evses.values())

    @freeze_meter.setter
    def freeze_meter(self, on: bool) -> None:
        self.settle()
        for evse in self.evses.values():
            evse.frozen = evse.reading() if on else None

    @property
    def clock_offset_s(self) -> float:
        """Fault: how far the station's clock is ahead [s]."""
        return self._offset_s

    @clock_offset_s.setter
    def clock_offset_s(self, seconds: float) -> None:
        with self.changing():
            self._offset_s = seconds

    def offline(self, seconds: float) -> None:
        """Fault: the connection breaks now and cannot be opened again for so long [s]."""
        self.link.break_off(seconds)

    # -- time --

    def now(self) -> datetime:
        """The station's clock."""
        return self._zero + timedelta(seconds=self.clock.monotonic() + self._offset_s)

    def epoch(self, monotonic: float | None = None) -> float:
        """The station's clock in seconds since 1970, now or at a monotonic time [s]."""
        at = self.clock.monotonic() if monotonic is None else monotonic
        return self._zero.timestamp() + at + self._offset_s

    # -- for the dialects --

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Settle all energy, let something change what is allowed, then ask anew and report."""
        self.settle()
        yield
        for evse in self.evses.values():
            evse.revise()
        for evse in self.evses.values():
            self._announce(evse)

    def install(self, profile: Profile) -> None:
        """Take a charging profile that was found to be acceptable."""
        with self.changing():
            self.profiles.install(profile)
        self._pull_later(profile)

    def start(
        self,
        evse: SimEvse,
        id_token: str,
        transfers: tuple[str, ...],
        remote_start_id: int | None,
        profile: Profile | None = None,
    ) -> None:
        """Start a transaction on an EVSE with a vehicle, perhaps with a profile of its own."""
        with self.changing():
            evse.transaction = Transaction(
                id=f"{int(self.epoch() * 1000):012x}-{self.rng.getrandbits(64):016x}",
                id_token=id_token,
                began=self.epoch(),
                remote_start_id=remote_start_id,
                transfers=transfers,
            )
            evse.revise()
            evse.transaction.state, evse.transaction.mode = evse.state, evse.allowance.mode
        self.link.report(self.dialect.started(evse))
        self.tell_status(evse)
        if profile is not None:
            self.install(replace(profile, transaction_id=evse.transaction.id))
        self._arm_meter()

    def stop(self, evse: SimEvse, cause: Cause) -> None:
        """End the transaction of an EVSE; the vehicle stays plugged in."""
        transaction = evse.transaction
        if transaction is None:
            return
        self.settle()
        evse.open_contactor()
        if transaction.known:
            self.link.report(self.dialect.ended(evse, cause))
        with self.changing():
            evse.transaction = None
            evse.finished = True
            self.profiles.end_transaction(transaction.id, evse.id)
        self.tell_status(evse)
        if not any(e.transaction for e in self.evses.values()):
            self._timer.drop("meter")
            if self._reset_when_idle:
                self.reset("OnIdle")

    def remote_start(
        self,
        evse: SimEvse,
        id_token: str,
        remote_start_id: int | None,
        profile: Profile | None = None,
    ) -> bool:
        """Start as the central system asks, now or when a vehicle comes; False if it cannot."""
        if evse.transaction is not None or not evse.available:
            return False
        if evse.vehicle is None:
            evse.pending = Pending(
                id_token=id_token,
                remote_start_id=remote_start_id,
                profile=profile,
                until=self.clock.monotonic() + self.connection_timeout_s,
            )
        else:
            self.link.spawn(self._begin(evse, id_token, remote_start_id, profile))
        return True

    def report(self, evse: SimEvse, trigger: Trigger) -> None:
        """Report a running transaction."""
        self.settle()
        transaction = evse.transaction
        if transaction is None:
            return
        transaction.state, transaction.mode = evse.state, evse.allowance.mode
        if transaction.known:
            self.link.report(self.dialect.updated(evse, trigger))

    def sample(self, evse: SimEvse) -> None:
        """Report the meter now, also outside a transaction."""
        if evse.transaction is not None:
            self.report(evse, "asked")
        else:
            self.settle()
            self.link.call_later(self.dialect.meter_values(evse))

    def tell_status(self, evse: SimEvse, *, again: bool = False) -> None:
        """Send the status of a connector where it has changed; offline it waits."""
        message = self.dialect.status(evse)
        word = str(message[1].get("status", message[1].get("connectorStatus")))
        if self.link.online and (again or word != evse.status_told):
            evse.status_told = word
            self.link.call_later(message, otherwise=evse.forget_status)

    def set_available(self, evse: SimEvse, available: bool) -> Literal["Accepted", "Scheduled"]:
        """Operative or not; a running transaction is let finish."""
        evse.available = available
        self.tell_status(evse)
        return "Scheduled" if evse.transaction is not None and not available else "Accepted"

    def reset(
        self, kind: Literal["Immediate", "Soft", "OnIdle", "Resume"]
    ) -> Literal["Accepted", "Scheduled"]:
        """Reboot: end the transactions unless they are to be resumed, hang up, boot anew."""
        running = [e for e in self.evses.values() if e.transaction is not None]
        if kind == "OnIdle" and running:
            self._reset_when_idle = True
            return "Scheduled"
        self._reset_when_idle = False
        self.link.spawn(self._reboot(kind))
        return "Accepted"

    def renegotiate(self, evse: SimEvse) -> None:
        """The vehicle says anew what it needs."""
        if evse.transaction is not None:
            evse.transaction.needs_told = False
            self.link.deliver()

    # -- energy --

    def settle(self) -> None:
        """Bring all energy up to now."""
        now = self.clock.monotonic()
        for evse in self.evses.values():
            evse.settle(now)

    def situation(self, evse: SimEvse) -> Situation:
        """What the limit of an EVSE depends on besides the profiles and the time.

        Without a transaction it is as if one began now.
        """
        transaction = evse.transaction
        via = self.config.discharge_via
        sharing = sum(e.transaction is not None for e in self.evses.values())
        return Situation(
            evse=evse.config,
            voltage_v=self.voltage_v,
            transaction_id=None if transaction is None else transaction.id,
            began=self.epoch() if transaction is None else transaction.began,
            offline_since=self._offline_since,
            sharing=max(sharing, 1),
            may_discharge=via == "negative_limit"
            or (via == "ocpp21" and transaction is not None and "DC_BPT" in transaction.transfers),
        )

    def _allow(self, evse: SimEvse) -> tuple[Allowance, float]:
        at = self.epoch(evse.settled_at)
        result = allowance(self.profiles.all, self.situation(evse), at)
        return result, result.until - self.epoch(0.0)

    def _announce(self, evse: SimEvse) -> None:
        transaction = evse.transaction
        if transaction is None:
            return
        if transaction.mode != evse.allowance.mode:
            self.report(evse, "mode")
        elif transaction.state != evse.state:
            self.report(evse, "state")
        else:
            return
        self.tell_status(evse)

    # -- what is due --

    def set_meter_interval(self, seconds: float) -> None:
        self.meter_interval_s = seconds
        if "meter" in self._timer:
            self._timer.drop("meter")
            self._arm_meter()

    def set_heartbeat_interval(self, seconds: float) -> None:
        self.heartbeat_interval_s = seconds
        self._timer.at("heartbeat", self.clock.monotonic() + seconds, self._beat)

    def _arm_meter(self) -> None:
        """Let the meter be read from now on, if it is not and there is a transaction.

        Readings fall on the same phase of the interval for the life of the station.
        """
        running = any(evse.transaction is not None for evse in self.evses.values())
        if running and "meter" not in self._timer:
            interval, phase = self.meter_interval_s, self._meter_phase_s
            turns = math.floor((self.clock.monotonic() - phase) / interval + 1.01)
            self._meter_at(turns * interval + phase)

    def _meter_at(self, due: float) -> None:
        self._timer.at("meter", due, lambda: self._read_meters(due))

    def _read_meters(self, due: float) -> None:
        missed = max(self.clock.monotonic() - due, 0.0) // self.meter_interval_s
        self._meter_at(due + (missed + 1) * self.meter_interval_s)
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.report(evse, "periodic")
                self.tell_status(evse)

    def _beat(self) -> None:
        if self.link.online:
            self.set_heartbeat_interval(self.heartbeat_interval_s)
            self.link.call_later(("Heartbeat", {}))

    def _pull_later(self, profile: Profile) -> None:
        """Ask for the rates of a dynamic profile, again and again, for as long as it is there."""

        def pull() -> None:
            if self.profiles.find(profile.id) is None:
                return
            self._pull_later(profile)
            message = self.dialect.pull(profile.id)
            if message is not None and self.link.online:
                self.link.call_later(
                    message, lambda answer: self.dialect.pulled(profile.id, answer)
                )

        if profile.pull_every_s is not None:
            due = self.clock.monotonic() + profile.pull_every_s
            self._timer.at(("pull", profile.id), due, pull)
        else:
            self._timer.drop(("pull", profile.id))

    # -- what the link asks and tells --

    def handlers(self) -> Mapping[str, Handler]:
        return self.dialect.handlers()

    def boot_message(self) -> Message:
        return self.dialect.boot(self._boot_reason)

    def came_online(self, *, rebooted: bool, interval_s: float) -> None:
        if interval_s > 0:
            self.heartbeat_interval_s = interval_s
        self.set_heartbeat_interval(self.heartbeat_interval_s)
        with self.changing():
            if self._offline_since is not None:
                self.profiles.reconnected(self._offline_since, self.epoch())
            self._offline_since = None
        for evse in self.evses.values():
            self.tell_status(evse, again=rebooted)
            if rebooted:
                self.report(evse, "resumed")

    def went_offline(self) -> None:
        if self._offline_since is None:
            with self.changing():
                self._offline_since = self.epoch()

    def answered(self, report: Report, answer: Payload) -> None:
        welcome = self.dialect.answered(report, answer)
        evse = self.evses[report.evse_id]
        transaction = evse.transaction
        if not welcome and transaction is not None and transaction.id == report.transaction_id:
            self.stop(evse, "deauthorized")

    def dropped(self, report: Report) -> None:
        transaction = self.evses[report.evse_id].transaction
        if report.opens and transaction is not None and transaction.id == report.transaction_id:
            transaction.known = False

    async def all_delivered(self) -> None:
        for evse in self.evses.values():
            transaction = evse.transaction
            if transaction is None or transaction.needs_told:
                continue
            self.settle()
            message = self.dialect.needs(evse)
            transaction.needs_told = True
            if message is None:
                continue
            try:
                await self.link.call(message)
            except ConnectionLost:
                transaction.needs_told = False
            except (CallTimeout, RejectedByStation) as error:
                _log.info("sim_needs_failed", station=self.config.id, error=str(error))

    async def _reboot(self, kind: str) -> None:
        if kind != "Resume":
            for evse in self.evses.values():
                self.stop(evse, "soft_reset" if kind in ("Soft", "OnIdle") else "reset")
                evse.finished = False
        while kind == "Soft" and self.link.waiting and self.link.online:
            await self.clock.sleep(1.0)
        self.link.booted = False
        self._boot_reason = "RemoteReset"
        self.link.break_off(_REBOOT_S)

    async def _begin(
        self,
        evse: SimEvse,
        id_token: str,
        remote_start_id: int | None = None,
        profile: Profile | None = None,
    ) -> None:
        """Authorise and start; without an answer the token is trusted, but only to charge."""
        arrival, accepted = evse.arrivals, True
        transfers: tuple[str, ...] = ()
        try:
            answer = await self.link.call(self.dialect.authorize(evse, id_token))
        except (ConnectionLost, CallTimeout, RejectedByStation) as error:
            _log.info("sim_authorize_failed", station=self.config.id, error=str(error))
        else:
            admission = self.dialect.admission(answer)
            accepted, transfers = admission.accepted, admission.transfers
        still_there = evse.vehicle is not None and evse.arrivals == arrival
        if accepted and still_there and evse.transaction is None:
            self.start(evse, id_token, transfers, remote_start_id, profile)
