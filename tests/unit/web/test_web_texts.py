"""Numbers, times and states as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gridleaf.web.console import texts

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 5, 13, 15, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (12.34, "12.3"),
        (-12.36, "−12.4"),
        (-0.04, "0.0"),
        (0.0, "0.0"),
        (12345.6, "12\u202f345.6"),
        (-1000.0, "−1\u202f000.0"),
        (None, "–"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert texts.number(value) == shown


def test_power_carries_its_unit_and_its_direction() -> None:
    assert texts.kw(3.0) == "3.0\u00a0kW"
    assert texts.signed_kw(3.0) == "+3.0\u00a0kW"
    assert texts.signed_kw(-3.0) == "−3.0\u00a0kW"
    assert texts.signed_kw(-0.01) == "0.0\u00a0kW"
    assert texts.signed_kw(None) == "–"


def test_the_drivers_part_is_of_what_giving_back_adds_and_not_of_all_savings() -> None:
    assert texts.part_of_gain(0.12, 0.3, "EUR") == "€0.12, 30\u00a0% of what giving back adds"


def test_money_in_the_currency_of_the_site() -> None:
    assert texts.money(12.5, "EUR") == "€12.50"
    assert texts.money(-0.3, "GBP") == "−£0.30"
    assert texts.money(-0.001, "EUR") == "€0.00"
    assert texts.money(7, "CZK") == "CZK\u00a07.00"
    assert texts.price(0.3084, "EUR") == "0.308\u00a0€/kWh"
    assert texts.money(None, "EUR") == "–"


def test_times_are_local_and_as_short_as_they_are_clear() -> None:
    assert texts.moment(NOW, BERLIN, NOW) == "17:40"
    assert texts.moment(NOW + timedelta(hours=10), BERLIN, NOW) == "Thu 03:40"
    assert texts.moment(NOW - timedelta(days=30), BERLIN, NOW) == "13 Apr 2026 17:40"
    assert texts.moment(None, BERLIN, NOW) == "–"
    before_midnight = datetime(2026, 5, 13, 21, 59, tzinfo=UTC)
    assert texts.moment(before_midnight, BERLIN, NOW) == "23:59"
    assert texts.moment(before_midnight + timedelta(minutes=1), BERLIN, NOW) == "Thu 00:00"


def test_spans_grow_coarser() -> None:
    assert texts.span(timedelta(minutes=45)) == "45\u00a0min"
    assert texts.span(timedelta(minutes=125)) == "2\u00a0h 05\u00a0min"
    assert texts.span(timedelta(hours=52)) == "2\u00a0d 4\u00a0h"
    assert texts.until(NOW + timedelta(minutes=5), NOW) == "in 5\u00a0min"
    assert texts.until(NOW - timedelta(minutes=5), NOW) == "5\u00a0min ago"
