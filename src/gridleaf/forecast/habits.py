"""What to expect of a session when nobody says anything: learned from earlier sessions.

Promises made for a silent driver err on the safe side: an early quantile of past departures, a high
quantile of past energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from gridleaf.domain.site import same_token
from gridleaf.domain.wishes import Wish
from gridleaf.store.port import SessionRecord

MIN_OBSERVATIONS = 5
"""Fewer earlier sessions than this teach nothing."""
EARLY, HIGH = 0.1, 0.9
"""Quantiles taken of departures and of energy."""
SIMILAR_H = 2.0
"""Sessions that arrived within this much of the same local time are alike [h]."""
_SOON = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class _Past:
    """An earlier session on the local wall clock; hours count from the midnight before arrival."""

    weekend: bool
    arrival_h: float
    departure_h: float
    energy_kwh: float

    @property
    def stay_h(self) -> float:
        return self.departure_h - self.arrival_h


def learned_wish(
    history: Sequence[SessionRecord],
    *,
    id_token: str | None,
    station_id: str,
    evse_id: int | None,
    arrived_at: datetime,
    timezone: str,
) -> Wish:
    """The wish that the driver of a session most likely has.

    Looks at ended sessions of the same id token, else of the same EVSE, else of the whole site;
    within each first at those of the same kind of day and about the same time of arrival, then (for
    a token) at all of the same kind of day, then at all. The first group with at least
    :data:`MIN_OBSERVATIONS` sessions counts.

    Returns
    -------
    Wish
        ``said_by`` is ``history``, or ``default`` with nothing set: the site's defaults hold.
        ``energy_kwh`` is what was needed net of discharging, at the grid side [kWh].
    """
    zone = ZoneInfo(timezone)
    arrival = arrived_at.astimezone(zone).replace(tzinfo=None)
    weekend, hour = arrival.weekday() >= 5, _hours(arrival)
    ended = [r for r in history if r.departed_at is not None and r.departed_at <= arrived_at]
    wanted = None if id_token is None else same_token(id_token)
    same_vehicle = [r for r in ended if r.id_token and same_token(r.id_token) == wanted]
    same_evse = [r for r in ended if r.station_id == station_id and r.evse_id == evse_id]
    for records, own in ((same_vehicle, True), (same_evse, False), (ended, False)):
        past = [_past(record, zone) for record in records]
        alike = [p for p in past if p.weekend == weekend]
        close = [p for p in alike if abs(p.arrival_h - hour) <= SIMILAR_H]
        for group in (close, alike, past) if own else (close,):
            if len(group) >= MIN_OBSERVATIONS:
                return Wish(
                    departure_at=_departure(group, arrived_at, arrival, zone),
                    energy_kwh=float(
                        np.quantile([p.energy_kwh for p in group], HIGH, method="higher")
                    ),
                    said_by="history",
                    said_at=arrived_at,
                )
    return Wish(said_by="default", said_at=arrived_at)


@lru_cache(maxsize=4096)
def _past(record: SessionRecord, zone: ZoneInfo) -> _Past:
    """An ended session on the wall clock; the same ones are looked at for every arrival."""
    assert record.departed_at is not None
    arrival = record.arrived_at.astimezone(zone).replace(tzinfo=None)
    departure = record.departed_at.astimezone(zone).replace(tzinfo=None)
    needed = record.charged_kwh - record.discharged_kwh + (record.unmet_kwh or 0.0)
    return _Past(
        weekend=arrival.weekday() >= 5,
        arrival_h=_hours(arrival),
        departure_h=_hours(arrival) + (departure - arrival).total_seconds() / 3600,
        energy_kwh=max(needed, 0.0),
    )


def _hours(local: datetime) -> float:
    return local.hour + local.minute / 60 + local.second / 3600


def _departure(
    group: Sequence[_Past], arrived_at: datetime, arrival: datetime, zone: ZoneInfo
) -> datetime:
    """An early quantile of the time of day or of the length of stay, whichever varied less."""
    clock = np.array([p.departure_h for p in group])
    stay = np.array([p.stay_h for p in group])
    by_stay = arrived_at + timedelta(hours=float(np.quantile(stay, EARLY, method="lower")))
    if _spread(clock) >= _spread(stay):
        return by_stay
    midnight = arrival.replace(hour=0, minute=0, second=0, microsecond=0)
    leaving = midnight + timedelta(hours=float(np.quantile(clock, EARLY, method="lower")))
    by_clock = leaving.replace(tzinfo=zone).astimezone(UTC)
    return by_clock if by_clock > arrived_at + _SOON else by_stay


def _spread(hours: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    low, high = np.quantile(hours, [0.25, 0.75])
    return float(high - low)
