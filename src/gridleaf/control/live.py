"""The live view of a site: a reducer of station events, rebuilt from the store after a restart.

Nothing here decides or sends. ``apply`` never raises for what a station reports: doubtful reports are
kept with a flag, and the state of a transaction only moves forward.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gridleaf.control.batteries import Batteries
from gridleaf.control.ladder import FLOOR_RUNG
from gridleaf.control.session import (
    TRAVEL,
    LiveSession,
    count_energy,
    count_phases,
    session_id,
    take_soc,
)
from gridleaf.domain.events import (
    TRANSACTION_REUSED,
    Booted,
    CapabilitiesRead,
    Connected,
    ConnectorStatus,
    Disconnected,
    ExternalLimitReported,
    MeterReported,
    NeedsReported,
    Noted,
    StationEvent,
    StatusReported,
    TransactionReported,
)
from gridleaf.domain.meter import MeterSample
from gridleaf.domain.site import Evse, SiteConfig, Station, Vehicle, same_token
from gridleaf.ocpp.units import AT_ONCE, energy, power_kw
from gridleaf.store.port import DispatchRecord

GRID_EVENTS = ("NotifyDERAlarm",)
_REMEMBERED = 1000
"""Sessions that are over and still known by name."""
_NONE = timedelta(0)
_UNBELIEVABLE = 10.0
"""A power this many times the EVSE's is a mix-up of W and kW, not a power."""
_CLOCK_FLAGS = {"clock_unset", "clock_ahead"}
_LATE = timedelta(seconds=30)
"""By so much a station may be late in letting a setpoint end: its clock, its ramp."""


@dataclass(slots=True)
class LiveEvse:
    """What is known of one EVSE."""

    station: Station
    config: Evse
    circuit: str
    status: ConnectorStatus = "available"
    power_kw: float | None = None
    power_at: datetime | None = None
    external_limits_kw: dict[str, float] = field(default_factory=dict)
    """What external systems limit it to, by source."""
    capabilities: CapabilitiesRead | None = None
    session: LiveSession | None = None
    needs: NeedsReported | None = None
    """What a vehicle said it needs whose session has not begun yet."""
    accepted: DispatchRecord | None = None
    """The newest setpoint that the station accepted."""
    refused: bool = False
    """The newest command was refused or not answered."""
    changed_at: datetime | None = None
    """When the accepted setpoint last moved."""
    paused_at: datetime | None = None
    """When the accepted setpoint last went down to 0."""
    default_kw: float | None = None
    """The TxDefault limit the station accepted [kW]."""
    misses: int = 0
    hits: int = 0
    rung: int = 0
    refuses_zero: bool = False
    """It does not take a setpoint of 0: it can be held at its floor, or be stopped."""
    takes_more: bool = False
    """It has taken more than 0 since it refused 0, so that was no matter of words."""
    unpausable: bool = False
    """It has refused 0 once more after that: only the end of its transaction is left."""
    stopped_at: datetime | None = None
    """When it was last asked to end its transaction, because it could not be held."""
    obeying: bool = True
    judged_at: datetime | None = None

    @property
    def key(self) -> str:
        return f"{self.station.id}/{self.config.id}"

    def setpoint_kw(self, at: datetime) -> float | None:
        """The accepted setpoint that holds at ``at``; None when none holds."""
        record = self.accepted
        if record is None or (record.expires_at is not None and at >= record.expires_at):
            return None
        if self.session is None or record.transaction_id != self.session.transaction_id:
            return None
        elapsed = (at - record.sent_at).total_seconds()
        held = [power for start, power in record.steps if start <= elapsed]
        return held[-1] if held else record.steps[0][1]

    def believes(self, power_kw: float) -> bool:
        """Whether a reading can be this EVSE's power: far beyond its hardware it has another unit."""
        most = max(self.config.charge_max_kw, self.config.discharge_max_kw)
        return abs(power_kw) <= _UNBELIEVABLE * most

    def worst_case_kw(self, at: datetime) -> tuple[float, float]:
        """Import and export it may reach by itself from ``at`` on (magnitudes) [kW].

        What was accepted while it holds, then the default limit, else the hardware's maximum.
        """
        hardware = self.config.charge_max_kw
        fallback = hardware if self.default_kw is None else min(hardware, self.default_kw)
        record = self.accepted
        if not self.obeying or self.refused:
            return hardware, self.config.discharge_max_kw
        if record is None or record.expires_at is None or at >= record.expires_at + _LATE:
            return fallback, 0.0
        powers = [power for _, power in record.steps]
        return max(fallback, *powers), max(0.0, *(-p for p in powers))


@dataclass(slots=True)
class LiveStation:
    """What is known of one station."""

    config: Station
    online: bool = False
    epoch: int = 0
    version: str | None = None
    connected_at: datetime | None = None
    last_seen_at: datetime | None = None
    boot: Booted | None = None
    capabilities: CapabilitiesRead | None = None
    evses: dict[int, LiveEvse] = field(default_factory=dict)
    external_limits_kw: dict[str, float] = field(default_factory=dict)
    """What external systems limit the whole station to, by source."""

    def external_share_kw(self, evse: LiveEvse) -> float | None:
        """The tightest external limit of an EVSE; the station's is shared by those in use."""
        limits = list(evse.external_limits_kw.values())
        if self.external_limits_kw:
            users = sum(e.session is not None for e in self.evses.values())
            limits.append(min(self.external_limits_kw.values()) / max(users, 1))
        return min(limits, default=None)


class LiveSite:
    """All stations of a site and every session that is not over."""

    def __init__(self, site: SiteConfig) -> None:
        self.site = site
        self.stations: dict[str, LiveStation] = {}
        self.sessions: dict[str, LiveSession] = {}
        self._over: dict[str, LiveSession] = {}
        self._reused: dict[str, str] = {}
        """The newest session of a transaction whose name a station has used again."""
        self._changed: dict[str, LiveSession] = {}
        self.grid_event: str | None = None
        self.batteries = Batteries(site.timezone, site.defaults)
        self._vehicles = {same_token(v.id_token): v for v in site.vehicles}
        for station in site.stations:
            live = LiveStation(config=station)
            for evse in station.evses:
                live.evses[evse.id] = LiveEvse(
                    station=station, config=evse, circuit=site.circuit_of(station, evse)
                )
            self.stations[station.id] = live

    def vehicle(self, id_token: str | None) -> Vehicle | None:
        """The known vehicle of an id token."""
        return None if id_token is None else self._vehicles.get(same_token(id_token))

    def giving_kwh(self) -> dict[str, float]:
        """What the live sessions of each known vehicle have given, by its token [kWh]."""
        given: dict[str, float] = {}
        for session in self.sessions.values():
            vehicle = self.vehicle(session.id_token)
            if vehicle is not None:
                before = given.get(vehicle.id_token, 0.0)
                given[vehicle.id_token] = before + session.discharged.total_kwh
        return given

    def evses(self) -> Iterator[LiveEvse]:
        """Every EVSE in the order of the configuration."""
        for station in self.stations.values():
            yield from station.evses.values()

    def evse(self, station_id: str, evse_id: int | None) -> LiveEvse | None:
        station = self.stations.get(station_id)
        return None if station is None or evse_id is None else station.evses.get(evse_id)

    def capabilities(self, evse: LiveEvse) -> CapabilitiesRead | None:
        """What an EVSE can do, as far as it or its station said."""
        return evse.capabilities or self.stations[evse.station.id].capabilities

    def session_of(self, station_id: str, transaction_id: str) -> LiveSession | None:
        return self.sessions.get(self._name(station_id, transaction_id))

    def _name(self, station_id: str, transaction_id: str) -> str:
        name = session_id(station_id, transaction_id)
        return self._reused.get(name, name)

    def shift(self, step: timedelta) -> None:
        """The wall clock was set by ``step``: what was seen is as old as before."""
        for evse in self.evses():
            evse.power_at = _moved(evse.power_at, step)
            evse.changed_at = _moved(evse.changed_at, step)
            evse.judged_at = _moved(evse.judged_at, step)
            evse.paused_at = _moved(evse.paused_at, step)
            evse.stopped_at = _moved(evse.stopped_at, step)
            if evse.accepted is not None:
                evse.accepted = replace(
                    evse.accepted,
                    sent_at=evse.accepted.sent_at + step,
                    expires_at=_moved(evse.accepted.expires_at, step),
                )
        for session in self.sessions.values():
            session.soc_at = _moved(session.soc_at, step)
            session.soc_jump_at = _moved(session.soc_jump_at, step)
            session.discharge_doubt_at = _moved(session.discharge_doubt_at, step)
            session.last_event_at = _moved(session.last_event_at, step)
            session.ahead -= step
            if session.heard is not None:
                session.heard = session.heard[0], session.heard[1] + step
            session.charged.move(step)
            session.discharged.move(step)
            session.gauge.since = _moved(session.gauge.since, step)

    def remembers(self, station_id: str, transaction_id: str) -> bool:
        """Whether the session of a transaction is live, or was so a while ago."""
        name = self._name(station_id, transaction_id)
        return name in self.sessions or name in self._over

    def apply(self, event: StationEvent) -> LiveSession | None:
        """Fold one event in; returns the session it touched, if any."""
        station = self.stations.get(event.station_id)
        if station is None:
            return None
        station.last_seen_at = event.received_at
        match event:
            case Connected():
                station.online = True
                station.epoch = event.epoch
                station.version = event.version
                station.connected_at = event.received_at
            case Disconnected():
                if event.epoch == station.epoch:
                    station.online = False
            case Booted():
                station.boot = event
                for each in station.evses.values():  # perhaps with other firmware
                    each.refuses_zero = each.takes_more = False
            case StatusReported():
                return self._status(station, event)
            case TransactionReported():
                return self._transaction(station, event)
            case MeterReported():
                return self._meter(station, event)
            case NeedsReported():
                evse = station.evses.get(event.evse_id)
                if evse is not None and evse.session is not None:
                    evse.session.take_needs(event)
                    return evse.session
                if evse is not None:
                    evse.needs = event
            case CapabilitiesRead():
                if event.evse_id == 0:
                    station.capabilities = event
                elif (evse := station.evses.get(event.evse_id)) is not None:
                    evse.capabilities = event
            case ExternalLimitReported():
                limited = station if event.evse_id == 0 else station.evses.get(event.evse_id)
                if limited is not None and event.limit_kw is None:
                    limited.external_limits_kw.pop(event.source, None)
                elif limited is not None and event.limit_kw is not None:
                    limited.external_limits_kw[event.source] = event.limit_kw
            case Noted():
                if event.action in GRID_EVENTS and not event.payload.get("alarmEnded"):
                    self.grid_event = f"{event.action} of {event.station_id}"
        return None

    def _status(self, station: LiveStation, event: StatusReported) -> LiveSession | None:
        touched = None
        for evse_id, evse in station.evses.items():
            if event.evse_id not in (0, evse_id):
                continue
            if event.evse_id == 0 and event.status in ("available", "occupied"):
                continue
            evse.status = event.status
            if event.status == "available":
                evse.needs = None
            session = evse.session
            rebooted = station.boot.received_at if station.boot else None
            if (
                event.status == "available"
                and session is not None
                and rebooted is not None
                and session.last_event_at is not None
                and session.last_event_at < rebooted
            ):
                self._suspect(evse, session, event.received_at, "lost_at_reboot")
                touched = session
        return touched

    def _suspect(self, evse: LiveEvse, session: LiveSession, at: datetime, why: str) -> None:
        session.suspect = True
        session.ended_at = session.last_event_at or at
        session.flag(why, "estimated")
        if evse.session is session:
            _release(evse)
        self._end(session)

    def take_over(self) -> list[LiveSession]:
        """Sessions that ended, or were corrected afterwards, since this was asked last."""
        changed = list(self._changed.values())
        self._changed.clear()
        return changed

    def _end(self, session: LiveSession) -> None:
        """No longer live, but remembered for a while: late reports must not bring it back."""
        self.sessions.pop(session.session_id, None)
        self._changed[session.session_id] = session
        self._over[session.session_id] = session
        if len(self._over) > _REMEMBERED:
            del self._over[next(iter(self._over))]

    def _afterwards(self, session: LiveSession, event: TransactionReported) -> LiveSession:
        """A report about a session that is over counts as history; an end corrects a guessed one."""
        session.flag(*event.flags, "late_report")
        session.count(event)
        self._samples(None, session, event.samples, event.received_at, live=False)
        trusted = not _CLOCK_FLAGS & set(event.flags)
        if event.phase == "started" and trusted:
            session.arrived_at = min(session.arrived_at, event.occurred_at)
            session.id_token = event.id_token or session.id_token
        if event.phase == "ended":
            session.ended_at = event.occurred_at if trusted else event.received_at
            session.suspect = False
        self._changed[session.session_id] = session
        return session

    def _transaction(self, station: LiveStation, event: TransactionReported) -> LiveSession | None:
        if event.phase == "started" and TRANSACTION_REUSED in event.flags:
            again = f"{event.transaction_id}\x1f{event.seq_no}"
            name = session_id(event.station_id, event.transaction_id)
            self._reused[name] = session_id(event.station_id, again)
        name = self._name(event.station_id, event.transaction_id)
        session = self.sessions.get(name)
        if session is None and name in self._over:
            return self._afterwards(self._over[name], event)
        trusted = not _CLOCK_FLAGS & set(event.flags)
        began_at = event.occurred_at if trusted else event.received_at
        if session is None:
            session = LiveSession(
                session_id=name,
                station_id=event.station_id,
                evse_id=event.evse_id,
                transaction_id=event.transaction_id,
                arrived_at=began_at,
            )
            if event.phase != "started":
                session.flag("synthetic_start")
            self.sessions[name] = session
        session.flag(*event.flags)
        late = event.offline or event.seq_no < session.highest_seq_no
        session.count(event)
        session.last_event_at = event.received_at
        if session.id_token is None or not _names_the_stopper(event):
            session.id_token = event.id_token or session.id_token
        if event.phase == "started":
            session.arrived_at = min(session.arrived_at, began_at)
        if session.evse_id is None:
            session.evse_id = event.evse_id
        evse = station.evses.get(session.evse_id) if session.evse_id is not None else None
        # what was queued offline may be long over: the first report of now shows that it still runs
        if evse is not None and evse.session is not session and event.phase != "ended" and not late:
            self._plug(evse, session, event)
        self._samples(evse, session, event.samples, event.received_at, live=not late)
        if event.phase == "ended":
            session.ended_at = began_at
            self._end(session)
            if evse is not None and evse.session is session:
                _release(evse)
        return session

    def _plug(self, evse: LiveEvse, session: LiveSession, event: TransactionReported) -> None:
        old = evse.session
        if old is not None:
            if old.arrived_at > session.arrived_at:
                self._suspect(evse, session, event.received_at, "overtaken")
                return
            self._suspect(evse, old, event.received_at, "overtaken")
        evse.session = session
        if evse.needs is not None:
            session.take_needs(evse.needs)
            evse.needs = None
        evse.accepted = None
        evse.changed_at = evse.paused_at = evse.stopped_at = None
        if not evse.obeying or evse.rung >= FLOOR_RUNG:
            evse.rung = 0  # a new vehicle, a new chance; words that were obeyed are kept
        evse.status = "occupied"
        evse.refused = False
        evse.misses = evse.hits = 0

    def _meter(self, station: LiveStation, event: MeterReported) -> LiveSession | None:
        evse = station.evses.get(event.evse_id) if event.evse_id is not None else None
        session = None
        if event.transaction_id is not None:
            session = self.session_of(event.station_id, event.transaction_id)
        elif evse is not None:
            session = evse.session
        if evse is not None and (session is None or session is evse.session):
            self._samples(evse, session, event.samples, event.received_at, live=True)
        elif session is not None:
            self._samples(None, session, event.samples, event.received_at, live=True)
        return session

    def _samples(
        self,
        evse: LiveEvse | None,
        session: LiveSession | None,
        samples: tuple[MeterSample, ...],
        received_at: datetime,
        *,
        live: bool,
    ) -> None:
        power_max = evse.config.charge_max_kw if evse is not None else 1000.0
        discharge_max = evse.config.discharge_max_kw if evse is not None else 1000.0
        if not samples:
            return
        ordered = sorted(samples, key=lambda s: s.measured_at)
        fresh = live
        if session is not None and live:
            fresh = session.follow_clock(ordered[-1].measured_at, received_at)
        ahead = session.ahead if session is not None else _NONE
        for batch in _together(ordered):
            measured_at = batch[-1].measured_at
            at = min(measured_at - ahead, received_at)
            power = power_kw(batch)
            if evse is not None and power is not None and not evse.believes(power):
                power = None
                if session is not None:
                    session.flag("power_implausible")
            travelled = received_at - TRAVEL <= at
            if evse is not None and fresh and power is not None and (travelled or session is None):
                evse.power_kw, evse.power_at = power, at if travelled else received_at
            if session is None:
                continue
            into = None if power is None else max(power, 0.0)
            out_of = None if power is None else max(-power, 0.0)
            charged, discharged = energy(batch, "Import"), energy(batch, "Export")
            flags = (
                *count_energy(session, session.charged, charged, at, power_max, into),
                *count_energy(session, session.discharged, discharged, at, discharge_max, out_of),
            )
            session.flag(*flags)
            if power is not None:
                session.tells_power = True
            elif flags:
                session.gauge.since = None
            elif evse is not None and fresh and travelled and not session.tells_power:
                _gauge(evse, session, at, [e.kwh for e in (charged, discharged) if e is not None])
            for sample in batch:
                if sample.measurand == "SoC":
                    if fresh or not live:
                        take_soc(session, sample.value, at)
                    elif measured_at <= received_at:
                        take_soc(session, sample.value, min(measured_at, at))
            count_phases(session, batch, power)


def _moved(at: datetime | None, step: timedelta) -> datetime | None:
    return None if at is None else at + step


def _together(samples: list[MeterSample]) -> Iterator[list[MeterSample]]:
    """Samples in the order of time, in groups that were measured at once."""
    group: list[MeterSample] = []
    for sample in samples:
        if group and sample.measured_at - group[0].measured_at > AT_ONCE:
            yield group
            group = []
        group.append(sample)
    if group:
        yield group


def _names_the_stopper(event: TransactionReported) -> bool:
    return event.phase == "ended" or event.trigger in ("StopAuthorized", "Deauthorized")


def _release(evse: LiveEvse) -> None:
    if evse.refused:  # perhaps only because the transaction was just over: it proves nothing
        evse.refused = False
        evse.rung = max(evse.rung - 1, 0)
    evse.refuses_zero = evse.refuses_zero and evse.takes_more
    evse.unpausable = False
    evse.session = evse.needs = None
    evse.power_kw = 0.0
    evse.status = "available" if evse.status == "occupied" else evse.status
    evse.accepted = None


def _gauge(evse: LiveEvse, session: LiveSession, at: datetime, told_kwh: list[float]) -> None:
    """Where the meter tells no power, take the mean since the energy was told last."""
    if not told_kwh:
        return
    settled_at = None if evse.changed_at is None else evse.changed_at + _LATE
    net_kwh = session.charged.total_kwh - session.discharged.total_kwh
    mean_kw = session.gauge.read(net_kwh, at, told_kwh, settled_at)
    if mean_kw is not None:
        evse.power_kw, evse.power_at = mean_kw, at


def is_stale(at: datetime | None, now: datetime, max_age_s: float) -> bool:
    """Whether something seen at ``at`` is missing, too old, or from the future by more than that."""
    return at is None or abs(now - at) > timedelta(seconds=max_age_s)
