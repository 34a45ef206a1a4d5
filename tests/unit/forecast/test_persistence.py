"""Load and PV forecasts from what the site measured."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gridleaf.domain.meter import SiteMeasurement
from gridleaf.forecast import SiteHistory, forecast_site

BERLIN = "Europe/Berlin"
Shape = Callable[[datetime], tuple[float | None, float | None]]


def measured(since: datetime, until: datetime, shape: Shape, every_min: int = 15) -> SiteHistory:
    history = SiteHistory()
    at = since
    while at < until:
        load, pv = shape(at.astimezone(ZoneInfo(BERLIN)))
        history.add(SiteMeasurement(measured_at=at, load_kw=load, pv_kw=pv))
        at += timedelta(minutes=every_min)
    return history


def office(local: datetime) -> tuple[float, float]:
    hour = local.hour + local.minute / 60
    busy = local.weekday() < 5 and 8 <= hour < 18
    return (60.0 if busy else 10.0), max(0.0, 40.0 * np.sin(np.pi * (hour - 6) / 12))


def test_a_weekday_follows_weekdays_and_a_weekend_follows_weekends() -> None:
    monday = datetime(2026, 3, 16, 0, tzinfo=UTC)
    history = measured(monday - timedelta(days=21), monday, office)
    forecast = forecast_site(history, monday, [0.25] * 96, timezone=BERLIN)
    local_noon = 4 * 11
    assert forecast.load_kw[local_noon] == pytest.approx(60.0, rel=0.05)
    saturday = monday + timedelta(days=5)
    history = measured(monday - timedelta(days=21), saturday, office)
    weekend = forecast_site(history, saturday, [0.25] * 96, timezone=BERLIN)
    assert weekend.load_kw[local_noon] < 20.0


def test_pv_is_never_negative_and_is_zero_at_night() -> None:
    now = datetime(2026, 6, 10, 22, tzinfo=UTC)
    history = measured(now - timedelta(days=5), now, lambda t: (10.0, office(t)[1] - 0.4))
    forecast = forecast_site(history, now, [0.25] * 96, timezone=BERLIN)
    assert forecast.pv_kw.min() == 0.0
    assert forecast.pv_kw[:16].max() == 0.0
    assert forecast.pv_kw.max() == pytest.approx(39.6, abs=1.0)


def test_a_surprise_is_carried_on_and_forgotten_in_hours() -> None:
    now = datetime(2026, 3, 18, 12, tzinfo=UTC)
    history = measured(now - timedelta(days=7), now, lambda _: (20.0, 0.0))
    history.add(SiteMeasurement(measured_at=now, load_kw=50.0))
    load = forecast_site(history, now, [0.25] * 48, timezone=BERLIN).load_kw
    assert load[0] == pytest.approx(50.0, abs=3.0)
    assert load[8] == pytest.approx(20 + 30 / np.e, abs=2.0)
    assert load[-1] == pytest.approx(20.0, abs=0.3)
    assert np.all(np.diff(load) < 0)


def test_a_cloudy_hour_lowers_the_next_hours_of_pv() -> None:
    now = datetime(2026, 6, 10, 8, tzinfo=UTC)
    history = measured(now - timedelta(days=5), now, office)
    clear = forecast_site(history, now, [0.25] * 24, timezone=BERLIN).pv_kw
    history.add(SiteMeasurement(measured_at=now, pv_kw=clear[0] / 4))
    cloudy = forecast_site(history, now, [0.25] * 24, timezone=BERLIN).pv_kw
    assert cloudy[0] < 0.4 * clear[0]
    assert clear[16] * 0.85 < cloudy[16] < clear[16]


def test_the_first_day_holds_the_newest_load_and_lets_pv_fade() -> None:
    now = datetime(2026, 6, 10, 10, tzinfo=UTC)
    history = SiteHistory.of([SiteMeasurement(measured_at=now, load_kw=33.0, pv_kw=12.0)])
    forecast = forecast_site(history, now, [0.25] * 96, timezone=BERLIN)
    assert forecast.load_kw == pytest.approx(np.full(96, 33.0))
    assert forecast.pv_kw[0] == pytest.approx(12.0, rel=0.1)
    assert forecast.pv_kw[-1] < 0.01


def test_without_any_measurement_the_default_load_and_no_pv() -> None:
    now = datetime(2026, 6, 10, 10, tzinfo=UTC)
    forecast = forecast_site(SiteHistory(), now, [0.25] * 4, timezone=BERLIN, default_load_kw=7.0)
    assert forecast.load_kw.tolist() == [7.0] * 4
    assert forecast.pv_kw.tolist() == [0.0] * 4


def test_nan_infinite_and_missing_values_are_left_out() -> None:
    now = datetime(2026, 3, 18, 12, tzinfo=UTC)
    history = measured(now - timedelta(days=3), now, lambda _: (20.0, 5.0))
    for bad in (float("nan"), float("inf"), None):
        history.add(SiteMeasurement(measured_at=now, load_kw=bad, pv_kw=bad))
    forecast = forecast_site(history, now, [0.25] * 96, timezone=BERLIN)
    assert forecast.load_kw == pytest.approx(np.full(96, 20.0))
    assert np.isfinite(forecast.pv_kw).all()


@pytest.mark.parametrize(
    "switch", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
)
def test_fault_38_the_same_wall_clock_time_is_compared_across_a_change_of_summer_time(
    switch: datetime,
) -> None:
    def lunch_peak(local: datetime) -> tuple[float, float]:
        return (90.0 if local.hour == 12 else 10.0), 0.0

    now = switch + timedelta(hours=4)
    history = measured(switch - timedelta(days=14), now, lunch_peak)
    load = forecast_site(history, now, [0.25] * 80, timezone=BERLIN).load_kw
    times = [now + timedelta(minutes=15 * k) for k in range(80)]
    peak = [t for t, kw in zip(times, load, strict=True) if kw > 50]
    assert [t.astimezone(ZoneInfo(BERLIN)).hour for t in peak] == [12] * 4


def test_steps_of_any_length_carry_the_same_energy() -> None:
    now = datetime(2026, 3, 18, 5, 3, 20, tzinfo=UTC)
    history = measured(now - timedelta(days=9), now, office, every_min=5)
    fine = forecast_site(history, now, [1 / 60] * 600, timezone=BERLIN).load_kw.sum() / 60
    coarse = forecast_site(history, now, [0.17, 0.83, 1, 2, 3, 3], timezone=BERLIN).load_kw
    assert fine == pytest.approx(float(coarse @ np.array([0.17, 0.83, 1, 2, 3, 3])))


def test_what_is_older_than_four_weeks_is_overwritten_not_mixed() -> None:
    now = datetime(2026, 3, 18, 12, tzinfo=UTC)
    history = measured(
        now - timedelta(days=60), now - timedelta(days=30), lambda _: (500.0, 0.0), 60
    )
    for day in range(3, 0, -1):
        history.add(SiteMeasurement(measured_at=now - timedelta(days=day), load_kw=20.0))
    load = forecast_site(history, now, [0.25], timezone=BERLIN).load_kw
    assert load[0] == pytest.approx(20.0)


def test_a_late_measurement_counts_in_its_own_quarter() -> None:
    now = datetime(2026, 3, 18, 12, tzinfo=UTC)
    history = measured(now - timedelta(days=2), now, lambda _: (20.0, 0.0))
    history.add(SiteMeasurement(measured_at=now - timedelta(days=1), load_kw=60.0))
    assert history.newest[0] == ((now - timedelta(minutes=15)).timestamp(), 20.0)
    load = forecast_site(history, now, [0.25], timezone=BERLIN).load_kw
    assert load[0] > 22.0
