"""The batteries of a site's vehicles: what their sessions have taught, and what they may still give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from gridleaf.battery.budget import Budget, allowed_discharge_kwh
from gridleaf.battery.health import Estimate, Sweep, informed, left_by_cold, prior, update
from gridleaf.control.session import LiveSession
from gridleaf.control.wear import predicted_fade
from gridleaf.domain.site import Defaults, Evse, Vehicle, same_token
from gridleaf.store.port import HealthRecord

DOUBTFUL = frozenset(
    {
        "soc_jump",
        "soc_out_of_range",
        "register_reset",
        "register_jump",
        "interval_implausible",
        "estimated",
        "incomplete",
    }
)
"""A session with one of these flags says nothing about the battery."""
_BELIEVED = (0.4, 1.15)
"""A capacity that a vehicle tells is believed within these shares of the one in the site file."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a vehicle has given in sessions that are over [kWh]."""

    year: int
    year_kwh: float
    total_kwh: float


class Batteries:
    """Keeps the newest estimate of each vehicle; :mod:`gridleaf.battery.health` makes them.

    Attributes
    ----------
    latest
        The newest record by vehicle (:func:`~gridleaf.domain.site.same_token`).
    given
        What each vehicle with a budget has given.
    """

    def __init__(self, timezone: str, defaults: Defaults) -> None:
        self._zone = ZoneInfo(timezone)
        self._defaults = defaults
        self.latest: dict[str, HealthRecord] = {}
        self.given: dict[str, Given] = {}

    def restore(self, records: Iterable[HealthRecord]) -> None:
        self.latest = {record.vehicle: record for record in records}

    def capacity_kwh(
        self, vehicle: Vehicle | None, told_kwh: float | None, at: datetime
    ) -> tuple[float | None, str]:
        """The capacity to plan with, and who says so; None where nobody does.

        What the vehicle itself told at this session (``vehicle``), where it can be; else what its
        sessions have shown (``sessions``), once that is more than the prior knew, less what the site's
        temperature takes of it; else the site file (``site``).
        """
        if vehicle is None:
            return told_kwh, "vehicle" if told_kwh is not None else ""
        low, high = (share * vehicle.capacity_kwh for share in _BELIEVED)
        if told_kwh is not None and low <= told_kwh <= high:
            return told_kwh, "vehicle"
        record = self.health(vehicle, at)
        if record is not None:
            return record.capacity_kwh * left_by_cold(self._defaults.ambient_c), "sessions"
        return vehicle.capacity_kwh, "site"

    def health(self, vehicle: Vehicle, at: datetime) -> HealthRecord | None:
        """The newest estimate of a vehicle, if it knows more than the prior does."""
        record = self.latest.get(same_token(vehicle.id_token))
        if record is None or not is_of(record, vehicle, at):
            return None
        if not trusted(record, vehicle, self._defaults, at):
            return None
        return record

    def soh(self, vehicle: Vehicle, at: datetime) -> float:
        """Relative capacity, as sessions have shown it, or else as age and model suggest."""
        record = self.health(vehicle, at)
        known = estimate_of(record) if record else expected(vehicle, self._defaults, at)
        return min(known.capacity_kwh / vehicle.capacity_kwh, 1.0)

    def learn(self, session: LiveSession, vehicle: Vehicle, evse: Evse) -> HealthRecord | None:
        """What a session that is over adds; None where it says nothing.

        It counts when it is stored (:meth:`learnt`).
        """
        sweep = sweep_of(session, evse, self._defaults.ambient_c)
        if sweep is None:
            return None
        name = same_token(vehicle.id_token)
        return next_record(
            name,
            self.latest.get(name),
            sweep,
            session_id=session.session_id,
            nominal_kwh=vehicle.capacity_kwh,
            since=vehicle.battery_since,
            begin=expected(vehicle, self._defaults, sweep.at),
        )

    def learnt(self, record: HealthRecord) -> None:
        self.latest[record.vehicle] = record

    def year_start(self, at: datetime) -> datetime:
        """Local midnight of the first day of the year."""
        first = at.astimezone(self._zone).date().replace(month=1, day=1)
        return datetime.combine(first, time(), self._zone).astimezone(UTC)

    def gave(self, vehicle: Vehicle, at: datetime, year_kwh: float, total_kwh: float) -> None:
        """What the sessions of a vehicle that are over have given up to ``at``."""
        year = at.astimezone(self._zone).year
        self.given[same_token(vehicle.id_token)] = Given(year, year_kwh, total_kwh)

    def left_kwh(
        self, vehicle: Vehicle, giving_kwh: float, at: datetime
    ) -> tuple[float | None, str]:
        """What a vehicle may still give [kWh] and what bounds it; None is no bound.

        ``giving_kwh`` is what its sessions that are live have given.
        """
        name = same_token(vehicle.id_token)
        given = self.given.get(name, Given(0, 0.0, 0.0))
        this_year = given.year_kwh if given.year == at.astimezone(self._zone).year else 0.0
        record = self.health(vehicle, at) if vehicle.soh_floor is not None else None
        soh = None if record is None else record.capacity_kwh / record.nominal_kwh
        return allowed_discharge_kwh(
            Budget(
                per_year_kwh=vehicle.discharge_kwh_per_year,
                total_kwh=vehicle.discharge_kwh_total,
                floor_soh=vehicle.soh_floor,
                floor_on=vehicle.soh_floor_on,
            ),
            year_kwh=this_year + giving_kwh,
            total_kwh=given.total_kwh + giving_kwh,
            at=at,
            soh=soh,
            fade=None if soh is None else predicted_fade(vehicle, self._defaults, soh),
        )


def next_record(
    vehicle: str,
    newest: HealthRecord | None,
    sweep: Sweep,
    *,
    session_id: str,
    nominal_kwh: float,
    begin: Estimate,
    since: date | None = None,
) -> HealthRecord | None:
    """The estimate after one more session; None where too little happened in it.

    It goes on from ``newest``, or from the prior ``begin`` where that was of another battery than the one
    of ``nominal_kwh`` that is in use ``since`` a day.
    """
    goes_on = newest is not None and _same(newest, nominal_kwh, since, sweep.at)
    before = estimate_of(newest) if newest is not None and goes_on else begin
    after, weight, verdict = update(before, sweep, begin)
    if verdict == "small":
        return None
    low, high = after.band_kwh
    return HealthRecord(
        vehicle=vehicle,
        version=1 if newest is None else newest.version + 1,
        at=after.at,
        session_id=session_id,
        verdict=verdict,
        weight=weight,
        sessions=after.sessions,
        misfits=after.misfits,
        nominal_kwh=nominal_kwh,
        capacity_kwh=after.capacity_kwh,
        low_kwh=low,
        high_kwh=high,
        mean=after.mean,
        covariance=after.covariance,
    )


def is_of(record: HealthRecord, vehicle: Vehicle, at: datetime) -> bool:
    """Whether a record is of the battery that a vehicle has at ``at``, and not of one before it.

    Another one is told by another capacity in the site file, or by a ``battery_since`` after the record.
    """
    return _same(record, vehicle.capacity_kwh, vehicle.battery_since, at)


def _same(record: HealthRecord, nominal_kwh: float, since: date | None, at: datetime) -> bool:
    replaced = since is not None and record.at < _midnight(since) <= at
    return record.nominal_kwh == nominal_kwh and not replaced


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def trusted(record: HealthRecord, vehicle: Vehicle, defaults: Defaults, at: datetime) -> bool:
    """Whether an estimate knows more than age and model do."""
    return informed(estimate_of(record), expected(vehicle, defaults, at))


def sweep_of(session: LiveSession, evse: Evse, ambient_c: float) -> Sweep | None:
    """What a session tells about the battery: its registers between two states of charge.

    Nobody tells how warm the cells are; they are taken to be as warm as the site, ``ambient_c``. None where the state of charge was not told twice, or a flag casts doubt on what was.
    """
    first, last = session.arrival, session.mark()
    if first.soc is None or last.soc is None or session.soc_at is None:
        return None
    if DOUBTFUL & set(session.flags):
        return None
    return Sweep(
        at=session.soc_at,
        charged_kwh=last.soc_charged_kwh - first.soc_charged_kwh,
        discharged_kwh=last.soc_discharged_kwh - first.soc_discharged_kwh,
        soc_from=first.soc,
        soc_to=last.soc,
        charge_efficiency=evse.charge_efficiency,
        discharge_efficiency=evse.discharge_efficiency,
        temperature_c=ambient_c,
    )


def estimate_of(record: HealthRecord) -> Estimate:
    """The estimate that a record keeps."""
    c, a, b = record.mean
    cc, ca, cb, aa, ab, bb = record.covariance
    return Estimate(
        at=record.at,
        mean=(c, a, b),
        covariance=(cc, ca, cb, aa, ab, bb),
        sessions=record.sessions,
        misfits=record.misfits,
    )


def expected(vehicle: Vehicle, defaults: Defaults, at: datetime) -> Estimate:
    """What is known of a vehicle's battery before its sessions tell anything: by its age.

    And by its cells, at the temperature of the site, where the site file names them.
    """
    made = vehicle.battery_since
    since = None if made is None else _midnight(made)
    if vehicle.battery is None:
        return prior(vehicle.capacity_kwh, at, since)
    # what is compiled takes a moment to load: only those who know a battery wait
    from gridleaf.battery.habits import fade_of

    fade = fade_of(vehicle.battery, round(defaults.ambient_c))
    return prior(vehicle.capacity_kwh, at, since, fade)
