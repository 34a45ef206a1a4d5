from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridleaf.domain.prices import PricePoint
from gridleaf.domain.site import Tariff
from gridleaf.tariff import PriceCurve, tariff_prices
from gridleaf.tariff.curve import ends_of
from price_fakes import series, utc


def test_a_step_costs_the_time_weighted_mean_of_its_prices() -> None:
    curve = PriceCurve.of(series("2026-01-05T12:00", [0.10, 0.20, 0.40]))
    price, known = curve.means(utc("2026-01-05T12:45"), [0.5, 1.0, 0.25])
    assert price == pytest.approx([0.15, (0.75 * 0.2 + 0.25 * 0.4), 0.40])
    assert known.tolist() == [True, True, True]


def test_quarter_hours_average_to_the_hour() -> None:
    curve = PriceCurve.of(series("2026-01-05T12:00", [0.1, 0.2, 0.3, 0.4], minutes=15))
    price, known = curve.means(utc("2026-01-05T12:00"), [1.0])
    assert price[0] == pytest.approx(0.25)
    assert known[0]


def test_a_step_that_is_not_covered_from_end_to_end_is_not_known() -> None:
    points = series("2026-01-05T12:00", [0.1, 0.2]) + series("2026-01-05T15:00", [0.3])
    _, known = PriceCurve.of(points).means(utc("2026-01-05T11:30"), [1, 1, 1, 1, 1, 1])
    assert known.tolist() == [False, True, False, False, False, False]


def test_no_prices_and_prices_elsewhere_leave_every_step_unknown() -> None:
    assert not PriceCurve.of([]).means(utc("2026-01-05T12:00"), [1, 1])[1].any()
    far = PriceCurve.of(series("2026-01-01T00:00", [0.1] * 24))
    assert not far.means(utc("2026-01-05T12:00"), [1, 1])[1].any()
    assert not far.means(utc("2025-12-05T12:00"), [1, 1])[1].any()


def test_of_two_that_overlap_the_later_start_wins_from_its_start() -> None:
    hour = series("2026-01-05T12:00", [0.4])
    quarter = series("2026-01-05T12:30", [0.8], minutes=15)
    price, known = PriceCurve.of(hour + quarter).means(utc("2026-01-05T12:00"), [0.25] * 4)
    assert price[:3] == pytest.approx([0.4, 0.4, 0.8])
    assert known.tolist() == [True, True, True, False]


def test_covered_until_stops_at_the_first_gap() -> None:
    points = series("2026-01-05T12:00", [0.1, 0.2]) + series("2026-01-05T15:00", [0.3])
    curve = PriceCurve.of(points)
    assert curve.covered_until(utc("2026-01-05T12:30")) == utc("2026-01-05T14:00")
    assert curve.covered_until(utc("2026-01-05T15:00")) == utc("2026-01-05T16:00")
    assert curve.covered_until(utc("2026-01-05T14:30")) == utc("2026-01-05T14:30")
    assert curve.covered_until(utc("2026-01-05T16:00")) == utc("2026-01-05T16:00")
    assert PriceCurve.of([]).covered_until(utc("2026-01-05T16:00")) == utc("2026-01-05T16:00")


def test_the_tariff_turns_market_prices_into_what_is_paid_and_earned() -> None:
    tariff = Tariff(
        factor=1.2, adder=0.15, export_factor=0.9, export_adder=-0.01,
        import_price=0.30, export_price=0.05,
    )  # fmt: skip
    curve = PriceCurve.of(series("2026-01-05T12:00", [0.10, -0.05]))
    buy, sell, known = tariff_prices(curve, utc("2026-01-05T12:00"), (1.0, 1.0, 1.0), tariff)
    assert buy == pytest.approx((0.27, 0.09, 0.30))
    assert sell == pytest.approx((0.08, -0.055, 0.05))
    assert known == (True, True, False)
    assert all(type(value) is float for value in buy + sell)


def test_steps_of_a_25_hour_day_cover_it_exactly() -> None:
    start, hours = utc("2026-10-24T22:00"), 25
    curve = PriceCurve.of(series("2026-10-24T22:00", lambda n: n / 100, hours=hours))
    price, known = curve.means(start, [0.25] * hours * 4)
    assert known.all()
    assert price.sum() * 0.25 == pytest.approx(sum(n / 100 for n in range(hours)))


def test_ends_are_the_shorter_distance_and_at_most_an_hour() -> None:
    quarters = [utc("2026-01-05T12:00") + timedelta(minutes=15 * n) for n in range(4)]
    starts = [utc("2026-01-05T10:00"), utc("2026-01-05T11:00"), *quarters, utc("2026-01-05T15:00")]
    lengths = [end - start for start, end in zip(starts, ends_of(starts), strict=True)]
    hour, quarter = timedelta(hours=1), timedelta(minutes=15)
    assert lengths == [hour, hour, quarter, quarter, quarter, quarter, hour]
    assert ends_of([utc("2026-01-05T10:00")]) == [utc("2026-01-05T11:00")]
    assert ends_of([]) == []


def test_points_come_in_any_order() -> None:
    points: list[PricePoint] = series("2026-01-05T12:00", [0.1, 0.2, 0.3])
    price, _ = PriceCurve.of(points[::-1]).means(utc("2026-01-05T12:00"), [1, 1, 1])
    assert price == pytest.approx([0.1, 0.2, 0.3])


@st.composite
def scattered(draw: st.DrawFn) -> list[PricePoint]:
    """Prices of some quarter-hours of half a day."""
    quarters = draw(st.sets(st.integers(0, 47)))
    prices = draw(st.lists(st.floats(-1, 5), min_size=48, max_size=48))
    day = series("2026-01-05T12:00", prices, minutes=15)
    return [day[n] for n in sorted(quarters)]


@given(scattered(), st.lists(st.integers(1, 90), min_size=1, max_size=12), st.integers(-60, 700))
def test_every_mean_is_the_mean_of_its_minutes(
    points: list[PricePoint], minutes: list[int], first: int
) -> None:
    by_minute = {p.start + timedelta(minutes=n): p.price_per_kwh for p in points for n in range(15)}
    start = utc("2026-01-05T12:00") + timedelta(minutes=first)
    price, known = PriceCurve.of(points).means(start, [m / 60 for m in minutes])
    at = start
    for step, length in enumerate(minutes):
        told = [by_minute.get(at + timedelta(minutes=n)) for n in range(length)]
        at += timedelta(minutes=length)
        assert known[step] == (None not in told)
        expected = sum(p for p in told if p is not None) / length if known[step] else 0.0
        assert price[step] == pytest.approx(expected, abs=1e-9)
