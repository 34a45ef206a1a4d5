"""What a mode took from the batteries: stays joined to one history, scored by the full model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Defaults
from gridleaf.replay.life import BATTERY, Stay, lives

START = datetime(2024, 5, 6, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)
USUAL = Defaults()


def night(day: int, soc: list[float], vehicle: str = "van", capacity_kwh: float = 40.0) -> Stay:
    """A stay from 18 h on whose charge is told every hour."""
    begin = START + timedelta(days=day)
    return Stay(
        vehicle=vehicle,
        capacity_kwh=capacity_kwh,
        times=[begin + n * HOUR for n in range(len(soc))],
        soc=soc,
    )


def month(soc: list[float], vehicle: str = "van") -> list[Stay]:
    return [night(day, soc, vehicle) for day in range(30)]


EARLY = np.interp(np.arange(14), [0, 3], [0.5, 0.9]).tolist()
LATE = np.interp(np.arange(14), [10, 13], [0.5, 0.9]).tolist()
GIVING = np.interp(np.arange(14), [0, 3, 8, 13], [0.5, 0.2, 0.2, 0.9]).tolist()


def test_charging_late_costs_less_life_than_charging_at_once() -> None:
    (early,), (late,) = (lives(month(soc), BATTERY, USUAL) for soc in (EARLY, LATE))
    assert 0 < late.calendar_eur < early.calendar_eur
    assert late.eur < early.eur


def test_giving_back_costs_cycles_and_spares_rest() -> None:
    (late,), (giving,) = (lives(month(soc), BATTERY, USUAL) for soc in (LATE, GIVING))
    assert giving.cycling_eur > late.cycling_eur
    assert giving.calendar_eur < late.calendar_eur


def test_life_adds_up_and_says_where_the_model_was_not_fitted() -> None:
    (life,) = lives(month(LATE), BATTERY, USUAL)
    assert life.calendar_eur + life.cycling_eur == pytest.approx(life.eur)
    assert life.outside > 0.9
    assert "depth" in life.reasons


def test_every_vehicle_has_its_own_history() -> None:
    mixed = [
        stay for pair in zip(month(EARLY, "a"), month(LATE, "b"), strict=True) for stay in pair
    ]
    found = lives(mixed, BATTERY, USUAL)
    assert [life.vehicle for life in found] == ["a", "b"]
    assert found[0] == lives(month(EARLY, "a"), BATTERY, USUAL)[0]


def test_a_dearer_pack_loses_more_money() -> None:
    dear = USUAL.model_copy(update={"battery_price_per_kwh": 240.0})
    (usual,), (twice,) = (lives(month(LATE), BATTERY, price) for price in (USUAL, dear))
    assert twice.eur == pytest.approx(2 * usual.eur)


def test_a_vehicle_that_leaves_at_once_loses_nothing() -> None:
    assert lives([night(0, [0.5])], BATTERY, USUAL) == ()
    assert lives([], BATTERY, USUAL) == ()


def test_a_battery_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="no such battery"):
        lives(month(LATE), "nissan-leave", USUAL)


@pytest.mark.parametrize("level", [0.2, 0.9])
def test_one_stay_at_rest_takes_no_cycles_wherever_the_battery_stands(level: float) -> None:
    (life,) = lives([night(0, [level] * 9)], BATTERY, USUAL)
    assert life.cycling_eur == pytest.approx(0.0, abs=1e-9)
    assert life.calendar_eur > 0.0
