from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gridleaf.domain.errors import SourceUnavailable
from gridleaf.domain.site import Tariff
from gridleaf.tariff import PriceBook
from price_fakes import JumpClock, PriceShelf, ScriptedSource, series, utc

FLAT = Tariff(import_price=0.30, export_price=0.05)
MONDAY = series("2026-01-04T23:00", [0.10] * 24)
TUESDAY = series("2026-01-05T23:00", [0.20] * 24)
FAR = utc("2026-01-07T12:00")


def refresh(book: PriceBook, until: object = FAR) -> bool:
    return asyncio.run(book.refresh(until))  # type: ignore[arg-type]


def known_hours(book: PriceBook, start: str, hours: int = 24) -> int:
    return sum(book.prices(utc(start), [1.0] * hours, FLAT)[2])


def test_before_noon_one_fetch_is_enough() -> None:
    source, clock = ScriptedSource(MONDAY), JumpClock("2026-01-05T08:00")
    book = PriceBook(source, PriceShelf(), clock)
    assert refresh(book)
    for hour in (8, 9, 10, 11):
        clock.set(f"2026-01-05T{hour:02}:30")
        assert not refresh(book)
    assert len(source.asked) == 1
    assert source.asked[0][0] == utc("2026-01-04T23:00")
    assert book.trouble is None


def test_tomorrow_is_asked_for_from_a_quarter_to_one_in_brussels() -> None:
    source, clock = ScriptedSource(MONDAY, MONDAY + TUESDAY), JumpClock("2026-01-05T08:00")
    book = PriceBook(source, PriceShelf(), clock)
    refresh(book)
    clock.set("2026-01-05T11:44")
    assert not refresh(book)
    clock.set("2026-01-05T11:45")
    assert refresh(book)
    assert known_hours(book, "2026-01-05T12:00", 36) == 35
    assert len(source.asked) == 2


def test_a_late_auction_is_polled_with_growing_pauses_and_never_hammered() -> None:
    source, clock = ScriptedSource(MONDAY), JumpClock("2026-01-05T11:45")
    book = PriceBook(source, PriceShelf(), clock)
    fetched_at = []
    while clock.now() < utc("2026-01-05T17:00"):
        before = len(source.asked)
        refresh(book)
        if len(source.asked) > before:
            fetched_at.append((clock.now() - utc("2026-01-05T11:45")) / timedelta(minutes=1))
        clock.at += timedelta(minutes=1)
    assert fetched_at == [0, 5, 15, 35, 75, 135, 195, 255]
    assert book.trouble == "no prices from 2026-01-05T23:00Z on"


def test_after_the_late_auction_the_pauses_start_small_again() -> None:
    source = ScriptedSource(MONDAY, MONDAY, MONDAY, MONDAY + TUESDAY)
    clock = JumpClock("2026-01-05T11:45")
    book = PriceBook(source, PriceShelf(), clock)
    for minutes in (0, 5, 10):
        clock.at += timedelta(minutes=minutes)
        refresh(book)
    clock.at += timedelta(minutes=20)
    assert refresh(book)
    assert book.trouble is None
    clock.set("2026-01-06T11:45")
    refresh(book)
    clock.at += timedelta(minutes=5)
    refresh(book)
    assert len(source.asked) == 6


def test_the_horizon_bounds_what_is_wanted() -> None:
    source, clock = ScriptedSource(MONDAY), JumpClock("2026-01-05T12:30")
    book = PriceBook(source, PriceShelf(), clock)
    refresh(book, utc("2026-01-05T20:00"))
    assert book.trouble is None


def test_prices_are_kept_with_when_they_were_known_and_only_news_are_written() -> None:
    corrected = [*MONDAY[:20], *series("2026-01-05T19:00", [0.15] * 4)]
    source = ScriptedSource(MONDAY, corrected + TUESDAY)
    shelf, clock = PriceShelf(), JumpClock("2026-01-05T08:00")
    book = PriceBook(source, shelf, clock)
    refresh(book)
    clock.set("2026-01-05T12:00")
    refresh(book)
    assert len(shelf.rows) == 24 + 4 + 24
    assert {row[1] for row in shelf.rows[24:]} == {utc("2026-01-05T12:00")}
    evening = (utc("2026-01-05T19:00"), [4.0])
    assert book.prices(*evening, FLAT)[0] == pytest.approx((0.15,))


def test_a_backtest_sees_only_what_was_known_then() -> None:
    source = ScriptedSource(MONDAY, MONDAY + TUESDAY)
    shelf, clock = PriceShelf(), JumpClock("2026-01-05T08:00")
    book = PriceBook(source, shelf, clock)
    refresh(book)
    clock.set("2026-01-05T12:00")
    refresh(book)
    span = (utc("2026-01-04T23:00"), utc("2026-01-06T23:00"))
    at_nine = asyncio.run(book.as_known_at(utc("2026-01-05T09:00"), *span))
    at_one = asyncio.run(book.as_known_at(utc("2026-01-05T13:00"), *span))
    assert at_nine.covered_until(span[0]) == utc("2026-01-05T23:00")
    assert at_one.covered_until(span[0]) == utc("2026-01-06T23:00")
    nobody = PriceBook(None, shelf, clock)
    assert len(asyncio.run(nobody.as_known_at(FAR, *span))) == 0


def test_a_restart_goes_on_with_what_the_store_has() -> None:
    shelf, clock = PriceShelf(), JumpClock("2026-01-05T08:00")
    refresh(PriceBook(ScriptedSource(MONDAY), shelf, clock))
    source = ScriptedSource(SourceUnavailable("no network"))
    book = PriceBook(source, shelf, clock)
    assert not refresh(book)
    assert source.asked == []
    assert known_hours(book, "2026-01-05T08:00", 15) == 15


def test_without_a_source_every_price_is_the_flat_one() -> None:
    book = PriceBook(None, PriceShelf(), JumpClock("2026-01-05T08:00"))
    assert not refresh(book)
    assert book.prices(utc("2026-01-05T08:00"), (0.25, 1.0), FLAT) == (
        (0.30, 0.30),
        (0.05, 0.05),
        (False, False),
    )


def test_a_store_that_is_down_is_told_and_tried_again() -> None:
    shelf, clock = PriceShelf(), JumpClock("2026-01-05T08:00")
    shelf.down = True
    book = PriceBook(ScriptedSource(MONDAY), shelf, clock)
    assert not refresh(book)
    assert book.trouble == "disk full"
    shelf.down = False
    clock.at += timedelta(minutes=5)
    assert refresh(book)
    assert book.trouble is None
    assert len(shelf.rows) == 24


def test_prices_of_weeks_ago_leave_the_memory() -> None:
    clock = JumpClock("2026-01-05T08:00")
    source = ScriptedSource(MONDAY, series("2026-01-24T23:00", [0.2] * 24))
    book = PriceBook(source, PriceShelf(), clock)
    refresh(book)
    clock.set("2026-01-25T08:00")
    refresh(book, utc("2026-01-25T20:00"))
    assert len(book.curve) == 24
