from __future__ import annotations

import math

import numpy as np
import pytest

from gridleaf.battery.exit import (
    Exit,
    Market,
    best_exit,
    break_even_eur_per_year,
    residual_eur,
    use_eur_per_year,
    worth_eur,
)
from gridleaf.domain.errors import ConfigError

FLAT = Market(falls_per_year=0.0, interest=0.0)
YEARS = np.linspace(0, 20, 2001)


def test_a_used_pack_sells_for_the_energy_left_less_its_refit() -> None:
    assert residual_eur(FLAT, 40.0, 3.0, 0.9) == pytest.approx(40 * (60 * 0.9 - 15))


def test_its_price_falls_with_the_years() -> None:
    market = Market(falls_per_year=0.1)
    assert residual_eur(market, 40.0, 2.0, 0.9) == pytest.approx(40 * (60 * 0.81 * 0.9 - 15))


def test_power_counts_only_where_it_is_short() -> None:
    whole = residual_eur(FLAT, 40.0, 0.0, 0.8, 1.9)
    assert whole == residual_eur(FLAT, 40.0, 0.0, 0.8, 1.0)
    assert residual_eur(FLAT, 40.0, 0.0, 0.8, 4.0) == pytest.approx(40 * (60 * 0.8 * 0.5 - 15))


def test_a_recycler_takes_what_nobody_refits() -> None:
    assert residual_eur(FLAT, 40.0, 0.0, 0.59) == pytest.approx(40 * 5)
    dear = Market(falls_per_year=0.5)
    assert residual_eur(dear, 40.0, 10.0, 0.9) == pytest.approx(40 * 5)


def test_use_is_worth_all_when_new_and_nothing_when_useless() -> None:
    assert use_eur_per_year(1000, [1.0, 0.75, 0.5, 0.3], 0.5) == pytest.approx([1000, 500, 0, 0])


def test_constant_use_is_worth_its_annuity() -> None:
    market = Market(interest=0.05)
    worth = worth_eur(market, [0.0, 5.0, 12.0], [100.0] * 3, [0.0] * 3)
    rate = math.log(1.05)
    assert worth == pytest.approx([0.0, *(100 / rate * (1 - math.exp(-rate * t)) for t in (5, 12))])


def test_linear_use_is_integrated_exactly_whatever_the_interest() -> None:
    for interest in (-0.02, 1e-7, 1e-4, 0.03, 0.2):
        market, rate = Market(interest=interest), math.log1p(interest)
        worth = worth_eur(market, [0.0, 10.0], [300.0, 100.0], [0.0, 0.0])
        at = np.linspace(0, 10, 400_001)
        expected = np.trapezoid((300 - 20 * at) * np.exp(-rate * at), at)
        assert worth[-1] == pytest.approx(expected, rel=1e-8)


def test_without_interest_the_worth_is_the_plain_sum() -> None:
    worth = worth_eur(FLAT, [0.0, 1.0, 2.0], [10.0, 10.0, 20.0], [100.0, 80.0, 0.0])
    assert worth == pytest.approx([100.0, 90.0, 25.0])


def test_the_best_time_is_where_use_no_longer_pays_the_fall_of_the_price() -> None:
    """u0 − g τ = (δ + k) S0 e^(−k τ), for use that falls evenly and a price that decays."""
    market, rate, decay = Market(interest=0.05), math.log(1.05), 0.1
    use, price = 800 - 60 * YEARS, 2000 * np.exp(-decay * YEARS)
    found = best_exit(market, YEARS, use, price)
    lost = (rate + decay) * 2000 * math.exp(-decay * found.year)
    assert 800 - 60 * found.year == pytest.approx(lost, abs=60 * 0.011)
    assert found.residual_eur == pytest.approx(2000 * math.exp(-decay * found.year))


def test_what_is_of_no_use_is_sold_at_once() -> None:
    assert best_exit(Market(), YEARS, 0 * YEARS, 2000 * np.exp(-0.1 * YEARS)).year == 0


def test_break_even_is_the_income_at_which_both_are_worth_the_same() -> None:
    market = Market()
    slow, fast = 1 - 0.02 * YEARS, 1 - 0.03 * YEARS
    price = residual_eur(market, 40.0, YEARS, slow)
    without = best_exit(market, YEARS, use_eur_per_year(900, slow, 0.5), price)
    use, price = use_eur_per_year(900, fast, 0.5), residual_eur(market, 40.0, YEARS, fast)
    income = break_even_eur_per_year(market, YEARS, without, use, price)
    assert income > 0
    with_v2g = best_exit(market, YEARS, use + income, price)
    assert with_v2g.worth_eur == pytest.approx(without.worth_eur, rel=1e-9)


def test_v2g_that_spares_the_cells_needs_no_income() -> None:
    market = Market()
    without = Exit(year=5.0, worth_eur=1000.0, residual_eur=0.0)
    use = np.full_like(YEARS, 200.0)
    assert break_even_eur_per_year(market, YEARS, without, use, 0 * YEARS) < 0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"second_life_eur_per_kwh": -1.0}, "second_life"),
        ({"falls_per_year": 1.0}, "falls_per_year"),
        ({"enough_power": 0.0}, "enough_power"),
        ({"interest": -1.0}, "interest"),
        ({"interest": float("nan")}, "interest"),
        ({"recycling_eur_per_kwh": float("-inf")}, "recycling"),
    ],
)
def test_a_market_that_cannot_be_is_refused(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Market(**wrong)


def test_years_begin_with_new_and_rise() -> None:
    with pytest.raises(ConfigError, match="years"):
        worth_eur(FLAT, [1.0, 2.0], [0.0, 0.0], [0.0, 0.0])
