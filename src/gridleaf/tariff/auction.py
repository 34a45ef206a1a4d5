"""The rhythm of the European day-ahead auction."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

MARKET_ZONE = ZoneInfo("Europe/Brussels")
"""Delivery days of the coupled auction (SDAC) start at midnight here."""
PUBLISHED = time(12, 45)
"""Earliest usual time of tomorrow's prices, in the market's zone."""


def market_midnight(now: datetime, days: int = 0) -> datetime:
    """Start (UTC) of the delivery day ``days`` after the one of ``now``; days have 23 to 25 hours."""
    day = now.astimezone(MARKET_ZONE).date() + timedelta(days=days)
    return datetime.combine(day, time(0), MARKET_ZONE).astimezone(UTC)


def published_until(now: datetime) -> datetime:
    """How far prices are out at ``now``: to the end of today, from 12:45 to the end of tomorrow."""
    late = now.astimezone(MARKET_ZONE).time() >= PUBLISHED
    return market_midnight(now, 2 if late else 1)
