"""What all pages of one console share: the platform, the clocks and figures worth computing once."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gridleaf.control.types import EvseState, Outlook, state_from_json
from gridleaf.domain.clock import Clock
from gridleaf.store.port import Store
from gridleaf.web.auth import Accounts
from gridleaf.web.figures import Timeline, timeline
from gridleaf.web.port import Platform

PAST = timedelta(hours=6)
_REFRESH_S = 5.0


class Console:
    """One console. ``clock`` is the people's time, ``platform.clock`` the one on the screens."""

    def __init__(
        self, platform: Platform, accounts: Accounts, clock: Clock, *, auto_login: bool
    ) -> None:
        self.platform = platform
        self.accounts = accounts
        self.clock = clock
        self.auto_login = auto_login
        self.zone = ZoneInfo(platform.site.timezone)
        self.currency = platform.site.currency
        self._timeline: Timeline | None = None
        self._computed: tuple[float, datetime | None] = (0.0, None)

    def now(self) -> datetime:
        return self.platform.clock.now()

    def evse_of(self, session_id: str) -> EvseState | None:
        """The EVSE at which a session is live."""
        return next(
            (
                e
                for e in self.platform.state().evses
                if e.session is not None and e.session.session_id == session_id
            ),
            None,
        )

    async def timeline(self) -> Timeline:
        """The depot from six hours ago to the end of the plan.

        Shared by all pages: made anew with a new decision and every few seconds, not for each reader.
        """
        decision = self.platform.decision()
        made = decision.at if decision is not None else None
        at = self.clock.monotonic()
        since, for_decision = self._computed
        if self._timeline is None or for_decision != made or at - since > _REFRESH_S:
            self._computed = (at, made)
            self._timeline = await self._compute()
        return self._timeline

    async def _compute(self) -> Timeline:
        platform, now = self.platform, self.now()
        start = now - PAST
        decided = platform.decided_state()
        return timeline(
            platform.site,
            now,
            await platform.store.measurements(start, now),
            await outlook_around(platform.store, start),
            decided.outlook if decided is not None else None,
            platform.decision(),
            since=start,
        )


async def outlook_around(store: Store, at: datetime) -> Outlook | None:
    """What the newest cycle before ``at`` looked ahead to, or the first cycle when none is so old.

    Cycles are found by number only, so the time is searched for by halving: a dozen small reads.
    """
    newest = await store.cycles(limit=1)
    if not newest:
        return None
    low, high = 1, newest[0].cycle_id
    found = newest[0]
    while low <= high:
        middle = (low + high) // 2
        at_most = await store.cycles(before_id=middle + 1, limit=1)
        if not at_most or at_most[0].at <= at:
            low = middle + 1
        else:
            high = at_most[0].cycle_id - 1
        if at_most:
            found = min((found, at_most[0]), key=lambda record: abs(record.at - at))
    return state_from_json(found.state).outlook
