"""What all pages of one console share: the platform, the clocks and figures worth computing once."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gridleaf.control.types import EvseState, Outlook, state_from_json
from gridleaf.domain.clock import Clock
from gridleaf.store.port import CycleRecord, Store
from gridleaf.web.auth import Accounts
from gridleaf.web.figures import Timeline, price_steps, quarter, timeline
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
        self._prices = PastPrices()
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

    async def past_prices(self, since: datetime) -> list[tuple[datetime, float]]:
        """Import prices that held, by quarter of an hour, as far back as they are known."""
        await self.timeline()
        known = self._prices.known
        return [(at, known[at][0]) for at in sorted(known) if at >= since]

    async def _compute(self) -> Timeline:
        platform, now = self.platform, self.now()
        start = now - PAST
        decided = platform.decided_state()
        if not self._prices.begun:
            await self._prices.recall(platform.store, start, now)
        if decided is not None:
            self._prices.learn(decided.outlook, now)
        return timeline(
            platform.site,
            now,
            await platform.store.measurements(start, now),
            self._prices.known,
            decided.outlook if decided is not None else None,
            platform.decision(),
            since=start,
        )


class PastPrices:
    """The prices that held, by quarter of an hour, learnt from what decisions looked ahead to."""

    def __init__(self) -> None:
        self.known: dict[datetime, tuple[float, float]] = {}
        self.begun = False
        self._certain: set[datetime] = set()

    async def recall(self, store: Store, since: datetime, now: datetime) -> None:
        """Learn from a stored decision of every hour since ``since``: once, after a start."""
        self.begun = True
        at = since
        while at < now:
            record = await cycle_before(store, at)
            if record is not None:
                self.learn(state_from_json(record.state).outlook, now)
            at += timedelta(hours=1)

    def learn(self, outlook: Outlook, now: datetime) -> None:
        """Keep the prices up to ``now``; a market price wins over the tariff's fallback."""
        for step in price_steps(outlook):
            at = quarter(step["start"])
            while at < min(step["end"], now):
                if step["known"] or at not in self._certain:
                    self.known[at] = (step["import_price"], step["export_price"])
                if step["known"]:
                    self._certain.add(at)
                at += timedelta(minutes=15)
        for at in [at for at in self.known if at < now - 2 * PAST]:
            del self.known[at]
            self._certain.discard(at)


async def cycle_before(store: Store, at: datetime) -> CycleRecord | None:
    """The newest cycle not after ``at``, or the first when none is so old.

    Cycles are found by number only, so the time is searched for by halving: a dozen small reads.
    """
    newest = await store.cycles(limit=1)
    if not newest or newest[0].at <= at:
        return newest[0] if newest else None
    low, high = 0, newest[0].cycle_id  # nothing up to low is after the time, high is
    while high - low > 1:
        middle = (low + high) // 2
        below = await store.cycles(before_id=middle + 1, limit=1)
        if below and below[0].at > at:
            high = below[0].cycle_id
        else:
            low = middle
    found = await store.cycles(before_id=high, limit=1)
    return found[0] if found else await store.cycle(high)
