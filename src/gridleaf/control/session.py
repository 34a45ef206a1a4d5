"""One session as its station tells it: energies, state of charge, the station's clock.

Doubtful reports are kept with a flag.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from gridleaf.control.gain import Gain
from gridleaf.control.register import Gauge, Register
from gridleaf.control.types import SessionState
from gridleaf.domain.events import NeedsReported, TransactionReported
from gridleaf.domain.meter import MeterSample
from gridleaf.domain.wishes import Wish
from gridleaf.ocpp.units import AT_ONCE, Energy
from gridleaf.store.port import SessionRecord

TRAVEL = timedelta(minutes=2)
"""A reading may be this old when it arrives; one that claims more was queued or has another clock."""
_JITTER = timedelta(seconds=5)
"""Readings do not all travel equally long."""
_PACE = timedelta(seconds=10)
"""Two readings this far apart, by their clock and by ours, come from a clock that runs."""
_LONGEST_QUEUED = timedelta(days=30)
_FLOWING_A, _NOMINAL_V = 1.0, 230.0
_SOC_JUMP = 0.1
_SMALL_PACK_KWH = 10.0
"""A state of charge that moves by more than 0.1 beyond what a pack of this size explains jumped."""
_NONE = timedelta(0)


def session_id(station_id: str, transaction_id: str) -> str:
    """A stable name for the session of a transaction that can stand in a URL."""
    name = f"{station_id}\x1f{transaction_id}".encode()
    return hashlib.blake2b(name, digest_size=10).hexdigest()


class Mark(NamedTuple):
    """Where the energy of a session stood at one time: what was known, and what the registers said.

    The state of charge was read at ``soc_charged_kwh`` and ``soc_discharged_kwh``.
    """

    soc: float | None = None
    soc_charged_kwh: float = 0.0
    soc_discharged_kwh: float = 0.0
    charged_kwh: float = 0.0
    discharged_kwh: float = 0.0

    def energy_kwh(self, capacity_kwh: float | None, into: float, out_of: float) -> float:
        """Energy in the battery [kWh]; without state of charge or capacity, that since the arrival."""
        if self.soc is None or capacity_kwh is None:
            return max(self.charged_kwh * into - self.discharged_kwh / out_of, 0.0)
        energy = self.soc * capacity_kwh
        energy += (self.charged_kwh - self.soc_charged_kwh) * into
        energy -= (self.discharged_kwh - self.soc_discharged_kwh) / out_of
        return min(max(energy, 0.0), capacity_kwh)


@dataclass(slots=True)
class LiveSession:
    """One plug-in of one vehicle, as far as the station has told."""

    session_id: str
    station_id: str
    evse_id: int | None
    transaction_id: str
    arrived_at: datetime
    id_token: str | None = None
    charged: Register = field(default_factory=Register)
    discharged: Register = field(default_factory=Register)
    gauge: Gauge = field(default_factory=Gauge)
    tells_power: bool = False
    """Whether its meter tells power; where it does not, the energy does."""
    soc: float | None = None
    soc_at: datetime | None = None
    soc_charged_kwh: float = 0.0
    soc_discharged_kwh: float = 0.0
    soc_jump_at: datetime | None = None
    arrival: Mark = field(default_factory=Mark)
    """Where the session stood when its state of charge was told first."""
    needs: NeedsReported | None = None
    needs_from: Mark = field(default_factory=Mark)
    """Where the session stood when its needs came: their energies count from there."""
    seen: SessionState | None = None
    """The session as the newest observation saw it."""
    wish: Wish | None = None
    habit: Wish | None = None
    phases: int | None = None
    gauged: bool = False
    """Whether the meter has shown what the vehicle takes when it is offered power."""
    charge_seen_kw: float | None = None
    """What the vehicle takes when it is offered more [kW]; it is always offered a little more."""
    discharge_misses: int = 0
    """Readings in a row that showed no discharging though it was asked for."""
    discharge_doubt_at: datetime | None = None
    """When discharging was given up because no meter showed it."""
    ahead: timedelta = timedelta(0)
    """How far the station's clock is taken to be ahead of ours."""
    heard: tuple[datetime, datetime] | None = None
    """When the newest reading was taken by the station's clock, and when it came by ours."""
    first_seq_no: int = 0
    highest_seq_no: int = -1
    reports: int = 0
    last_event_at: datetime | None = None
    ended_at: datetime | None = None
    suspect: bool = False
    flags: tuple[str, ...] = ()
    cost_eur: float = 0.0
    uncontrolled_cost_eur: float = 0.0
    life_eur: float = 0.0
    """What of the cost is life of the battery, more than it would have lost without control."""
    uncontrolled_kwh: float = 0.0
    gain: Gain = field(default_factory=Gain)
    """What discharging has added."""

    @property
    def live(self) -> bool:
        return self.ended_at is None and not self.suspect

    @property
    def arrival_soc(self) -> float | None:
        return self.arrival.soc

    def mark(self) -> Mark:
        return Mark(
            self.soc,
            self.soc_charged_kwh,
            self.soc_discharged_kwh,
            self.charged.total_kwh,
            self.discharged.total_kwh,
        )

    def take_needs(self, needs: NeedsReported) -> None:
        """What the vehicle wants from now on."""
        if needs.soc is not None:
            take_soc(self, needs.soc, needs.received_at)
        self.needs, self.needs_from = needs, self.mark()

    def flag(self, *names: str | None) -> None:
        self.flags += tuple(dict.fromkeys(n for n in names if n and n not in self.flags))

    def follow_clock(self, newest: datetime, received_at: datetime) -> bool:
        """Learn from the newest reading of a report how far the station's clock is ahead.

        Returns whether the reading is from now. A session's first reading is; after it one is that is
        no older than what travels, by the clock as known, by ours, or by one that has just run at our
        pace. What is older was queued. One from the future shows that the readings before it were
        late, or that the clock was set: how old it is itself is not known.
        """
        offset, heard = newest - received_at, self.heard
        behind = self.ahead - offset
        self.heard = newest, received_at
        if heard is not None and _NONE <= behind <= TRAVEL:
            return True
        if -TRAVEL <= offset <= _NONE:
            self._set_clock(_NONE, received_at)
            return True
        if heard is None or _at_our_pace(heard, self.heard):
            self._set_clock(offset, received_at)
            return True
        if behind < _NONE:
            self._set_clock(offset, received_at)
        return -_JITTER <= behind < _NONE

    def _set_clock(self, ahead: timedelta, received_at: datetime) -> None:
        """Readings that turn out to have been late lie as much further back."""
        late, earliest = ahead - self.ahead, received_at - _LONGEST_QUEUED
        self.ahead = ahead
        if late > _NONE:
            self.charged.move(-late, earliest)
            self.discharged.move(-late, earliest)
            self.gauge.since = None
            if self.soc_at is not None:
                self.soc_at = max(self.soc_at - late, earliest)

    def count(self, event: TransactionReported) -> None:
        """Count a report that came for the first time; numbers that are missing flag the session."""
        self.reports += 1
        self.highest_seq_no = max(self.highest_seq_no, event.seq_no)
        if event.phase == "started":
            self.first_seq_no = event.seq_no
        if self.highest_seq_no - self.first_seq_no + 1 > self.reports:
            self.flag("incomplete")
        else:
            self.flags = tuple(name for name in self.flags if name != "incomplete")

    def record(self) -> SessionRecord:
        """The view that is kept for history."""
        seen, unmet = self.seen, None
        if seen is not None:
            unmet = max(seen.target_kwh - seen.energy_kwh, 0.0)
        return SessionRecord(
            session_id=self.session_id,
            station_id=self.station_id,
            evse_id=self.evse_id,
            transaction_id=self.transaction_id,
            id_token=self.id_token,
            arrived_at=self.arrived_at,
            departed_at=self.ended_at,
            state="suspect" if self.suspect else "live" if self.ended_at is None else "ended",
            charged_kwh=self.charged.total_kwh,
            discharged_kwh=self.discharged.total_kwh,
            arrival_soc=self.arrival_soc,
            departure_soc=self.soc,
            capacity_kwh=seen.capacity_kwh if seen is not None else None,
            target_kwh=seen.target_kwh if seen is not None else None,
            departure_at=seen.departure_at if seen is not None else None,
            unmet_kwh=unmet,
            cost_eur=self.cost_eur,
            life_eur=self.life_eur,
            uncontrolled_cost_eur=self.uncontrolled_cost_eur,
            driver_eur=self.driver_eur,
            flags=self.flags,
        )

    @property
    def driver_eur(self) -> float:
        """The driver's part of what discharging has added."""
        share = 0.0 if self.seen is None else self.seen.driver_share
        return share * max(self.gain.eur, 0.0)


def _at_our_pace(before: tuple[datetime, datetime], now: tuple[datetime, datetime]) -> bool:
    """Whether a station's clock went as far as ours between two readings: a queue does not."""
    theirs, ours = now[0] - before[0], now[1] - before[1]
    return ours >= _PACE and abs(theirs - ours) <= AT_ONCE


def take_soc(session: LiveSession, soc: float, at: datetime) -> None:
    if not 0.0 <= soc <= 1.0:
        session.flag("soc_out_of_range")
        return
    if session.soc_at is not None and at < session.soc_at:
        return
    if session.soc is not None and session.soc_at is not None:
        moved = session.charged.total_kwh - session.soc_charged_kwh
        moved -= session.discharged.total_kwh - session.soc_discharged_kwh
        step = soc - session.soc
        if abs(step) > _SOC_JUMP and abs(step) > _SOC_JUMP + abs(moved) / _SMALL_PACK_KWH:
            session.soc_jump_at = at
            session.flag("soc_jump")
    session.soc, session.soc_at = soc, at
    session.soc_charged_kwh = session.charged.total_kwh
    session.soc_discharged_kwh = session.discharged.total_kwh
    if session.arrival.soc is None:
        session.arrival = session.mark()


def count_energy(
    session: LiveSession,
    register: Register,
    told: Energy | None,
    at: datetime,
    most_kw: float,
    power_kw: float | None,
) -> tuple[str, ...]:
    """Count what a measurement tells of one direction; what it tells of other places is flagged."""
    if told is None:
        return ()
    if told.elsewhere:
        session.flag("location_ignored")
    if told.interval:
        return register.add(told.kwh, at, most_kw, session.arrived_at)
    return register.read(told.kwh, at, most_kw, power_kw, told.place)


def count_phases(session: LiveSession, samples: list[MeterSample], power: float | None) -> None:
    """How many phases the vehicle uses, where current times voltage explains the power."""
    amps = {
        s.phase[:2]: s.value
        for s in samples
        if s.measurand == "Current.Import" and s.phase in ("L1", "L2", "L3", "L1-N", "L2-N", "L3-N")
    }
    used = [value for value in amps.values() if value > _FLOWING_A]
    if not used or power is None:
        return
    explained = sum(used) * _NOMINAL_V / 1000
    if abs(explained - power) <= 0.15 * explained:
        session.phases = len(used)
