"""The power that vehicles will want which have not come yet, from the visits of the last four weeks.

A planner that sees only who is plugged in puts work off into hours that newcomers then need. What is
expected of them is a load like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gridleaf.store.port import SessionRecord

Floats = NDArray[np.float64]

DAYS = 28
"""How far back visits are looked at [d]."""
_SHORTEST_S = 600.0
_DAY_S = 86_400.0


class ArrivalHistory:
    """Ended sessions of the last four weeks, by local day and time of arrival.

    Parameters
    ----------
    timezone
        IANA zone of the site.
    """

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        self._visits: list[tuple[int, float, float, float]] = []
        self._table: Floats | None = None

    @classmethod
    def of(cls, timezone: str, sessions: Iterable[SessionRecord]) -> Self:
        """A history of these sessions, in any order."""
        history = cls(timezone)
        for session in sessions:
            history.add(session)
        return history

    def add(self, session: SessionRecord) -> None:
        """Take a session; one that has not ended or took no energy is left out."""
        energy = session.charged_kwh - session.discharged_kwh
        if session.departed_at is None or energy <= 0:
            return
        arrived = session.arrived_at.astimezone(self._zone)
        clock_s = arrived.hour * 3600.0 + arrived.minute * 60 + arrived.second
        stay_s = (session.departed_at - session.arrived_at).total_seconds()
        self._visits.append((arrived.toordinal(), clock_s, max(stay_s, _SHORTEST_S), energy))
        self._table = None

    def expected_kw(self, start: datetime, step_h: Sequence[float] | Floats) -> Floats:
        """Mean power of vehicles that arrive after ``start``, for each step, ``(T,)`` [kW].

        Each day of the horizon is taken to be like the mean of the earlier days of its kind (workday,
        Saturday, Sunday), days without a visit included, since the first visit known. A vehicle's
        energy is spread evenly over its stay, as control would rather have it.
        """
        edges = start.timestamp() + 3600 * np.concatenate([[0.0], np.cumsum(np.asarray(step_h))])
        table = self._recent(start)
        energy = np.zeros(len(edges))
        if len(table):
            today = start.astimezone(self._zone).date()
            last = datetime.fromtimestamp(edges[-1], UTC).astimezone(self._zone).date()
            for ahead in range((last - today).days + 1):
                energy += self._until(today + timedelta(days=ahead), today, table, edges)
        return np.asarray(np.diff(energy) / (np.diff(edges) / 3600))

    def _recent(self, at: datetime) -> Floats:
        """Visits of the last four weeks as rows of day, clock [s], stay [s], energy [kWh]."""
        oldest = at.astimezone(self._zone).toordinal() - DAYS
        if self._table is None:
            self._visits = [v for v in self._visits if v[0] >= oldest]
            self._table = np.array(self._visits, dtype=np.float64).reshape(-1, 4)
        return np.asarray(self._table[self._table[:, 0] >= oldest])

    def _until(self, day: date, today: date, table: Floats, edges: Floats) -> Floats:
        """Energy that arrivals of a day have taken by each edge [kWh], counted from the first."""
        kind = _kind(np.array([day.toordinal()]))[0]
        days = np.arange(int(table[:, 0].min()), today.toordinal())
        like = int(np.count_nonzero(_kind(days) == kind))
        if not like:
            return np.zeros(len(edges))
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=self._zone).timestamp()
        arrive = noon - _DAY_S / 2 + table[:, 1]
        coming = (arrive > edges[0]) & (arrive < edges[-1])
        coming &= (table[:, 0] < today.toordinal()) & (_kind(table[:, 0]) == kind)
        arrive, stay, energy = arrive[coming], table[coming, 2], table[coming, 3]
        share = np.clip((edges[None, :] - arrive[:, None]) / stay[:, None], 0.0, 1.0)
        return np.asarray(energy @ share / like)


def _kind(day: NDArray[np.generic]) -> Floats:
    """0 for workdays, 1 for Saturdays, 2 for Sundays; ``day`` counts from 0001-01-01, a Monday."""
    return np.asarray(np.maximum((day.astype(np.float64) - 1) % 7 - 4, 0.0))
