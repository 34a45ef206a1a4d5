"""Fault 37: price feed missing, partial, late, NaN, negative, or x1000.

Required: last good, then the default tariff; no arbitrage on bad data (an implausible jump is
quarantined); genuine negative prices are used.
"""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta

import pytest

from gridleaf.domain.errors import SourceUnavailable
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.site import Tariff
from gridleaf.tariff import PriceBook
from price_fakes import JumpClock, PriceShelf, ScriptedSource, series, utc

FLAT = Tariff(import_price=0.30, export_price=0.05)
MONDAY = series("2026-01-04T23:00", lambda n: 0.06 + 0.005 * n)
TUESDAY = series("2026-01-05T23:00", lambda n: 0.05 + 0.005 * n)
UNTIL = utc("2026-01-06T23:00")


def at_two_in_the_afternoon(answer: list[PricePoint] | SourceUnavailable) -> PriceBook:
    """A book that knew Monday since the morning and got ``answer`` after the auction."""
    clock = JumpClock("2026-01-05T08:00")
    book = PriceBook(ScriptedSource(MONDAY, answer), PriceShelf(), clock)
    asyncio.run(book.refresh(UNTIL))
    clock.set("2026-01-05T13:00")
    asyncio.run(book.refresh(UNTIL))
    return book


def monday_is_as_it_was(book: PriceBook) -> bool:
    buy, _, known = book.prices(utc("2026-01-04T23:00"), [1.0] * 24, FLAT)
    return all(known) and buy == pytest.approx([p.price_per_kwh for p in MONDAY])


def tuesday(book: PriceBook) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    buy, _, known = book.prices(utc("2026-01-05T23:00"), [1.0] * 24, FLAT)
    return buy, known


def test_missing_keeps_the_last_good_and_then_the_default_tariff() -> None:
    book = at_two_in_the_afternoon(SourceUnavailable("scripted:zone: HTTP 503"))
    assert monday_is_as_it_was(book)
    assert tuesday(book) == ((0.30,) * 24, (False,) * 24)
    assert book.trouble == "scripted:zone: HTTP 503"


def test_partial_uses_what_is_there() -> None:
    book = at_two_in_the_afternoon(MONDAY + TUESDAY[:10])
    buy, known = tuesday(book)
    assert known == (True,) * 10 + (False,) * 14
    assert buy[:10] == pytest.approx([p.price_per_kwh for p in TUESDAY[:10]])
    assert buy[10:] == (0.30,) * 14


def test_late_is_used_when_it_comes() -> None:
    clock = JumpClock("2026-01-05T13:00")
    book = PriceBook(ScriptedSource(MONDAY, MONDAY + TUESDAY), PriceShelf(), clock)
    asyncio.run(book.refresh(UNTIL))
    assert not any(tuesday(book)[1])
    clock.at += timedelta(minutes=5)
    asyncio.run(book.refresh(UNTIL))
    assert all(tuesday(book)[1])


def test_nan_is_quarantined_and_the_rest_is_used() -> None:
    bad = series("2026-01-05T23:00", lambda n: math.nan if n == 7 else 0.08)
    book = at_two_in_the_afternoon(MONDAY + bad)
    buy, known = tuesday(book)
    assert known == (True,) * 7 + (False,) + (True,) * 16
    assert all(math.isfinite(price) for price in buy)
    assert [item.reason for item in book.quarantined] == ["not a number"]


def test_one_price_times_a_thousand_is_quarantined() -> None:
    spoilt = series("2026-01-05T23:00", lambda n: 80.0 if n == 7 else 0.08)
    book = at_two_in_the_afternoon(MONDAY + spoilt)
    buy, known = tuesday(book)
    assert not known[7]
    assert max(buy) == 0.30


def test_a_whole_day_times_a_thousand_is_quarantined_and_monday_stays() -> None:
    spoilt = [
        PricePoint(start=p.start, end=p.end, price_per_kwh=1000 * p.price_per_kwh)
        for p in MONDAY + TUESDAY
    ]
    book = at_two_in_the_afternoon(spoilt)
    assert monday_is_as_it_was(book)
    assert tuesday(book) == ((0.30,) * 24, (False,) * 24)
    assert len(book.quarantined) == 48


def test_a_whole_day_divided_by_a_thousand_is_quarantined() -> None:
    spoilt = [
        PricePoint(start=p.start, end=p.end, price_per_kwh=p.price_per_kwh / 1000) for p in TUESDAY
    ]
    book = at_two_in_the_afternoon(spoilt)
    assert not any(tuesday(book)[1])


def test_quarantined_prices_are_not_stored() -> None:
    clock, shelf = JumpClock("2026-01-05T08:00"), PriceShelf()
    spoilt = series("2026-01-04T23:00", lambda n: 85.0)
    book = PriceBook(ScriptedSource(spoilt), shelf, clock)
    asyncio.run(book.refresh(UNTIL))
    assert shelf.rows == []
    assert book.trouble is not None


def test_genuine_negative_prices_are_used() -> None:
    windy = series("2026-01-05T23:00", lambda n: -0.12 if 10 <= n < 15 else 0.04)
    book = at_two_in_the_afternoon(MONDAY + windy)
    buy, known = tuesday(book)
    assert all(known)
    assert buy[10:15] == pytest.approx((-0.12,) * 5)
    assert book.quarantined == ()
