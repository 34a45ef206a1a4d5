"""What discharging adds to a session, and what it does not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridleaf.control.gain import Gain

TRIP = 0.8


def gain(*moves: tuple[float, float], wear_per_kwh: float = 0.0) -> Gain:
    """Of energies and the prices at which they moved."""
    found = Gain()
    for energy, price in moves:
        found.move(energy, price, max(-energy, 0.0) * wear_per_kwh, TRIP)
    return found


def test_charging_in_cheap_hours_is_no_gain_of_v2g() -> None:
    assert gain((10.0, 0.05), (5.0, -0.1)).eur == 0.0


def test_a_gain_is_what_was_given_less_what_it_took_to_charge_it_again_less_wear() -> None:
    found = gain((-8.0, 0.5), (10.0, 0.2), wear_per_kwh=0.05)
    assert found.eur == pytest.approx(8 * 0.5 - 10 * 0.2 - 8 * 0.05)


def test_the_cheapest_hours_would_have_been_used_without_v2g_too() -> None:
    """20 kWh in the cheap hours were wanted anyway: giving 4 took 5 in the dearer ones."""
    assert gain((-4.0, 0.5), (20.0, 0.1), (5.0, 0.25)).eur == pytest.approx(4 * 0.5 - 5 * 0.25)


def test_what_was_charged_before_it_gave_counts_only_where_nothing_came_after() -> None:
    dear_first = ((10.0, 0.45), (-8.0, 0.5))
    assert gain(*dear_first, (10.0, 0.1)).eur == pytest.approx(8 * 0.5 - 10 * 0.1)
    assert gain(*dear_first).eur == pytest.approx(8 * 0.5 - 10 * 0.45)


def test_what_was_not_charged_again_is_owed() -> None:
    found = gain((-8.0, 0.5), (4.0, 0.2))
    assert found.owed_kwh == pytest.approx(6.0)
    found.owed_eur = 6 * 0.3
    assert found.eur == pytest.approx(8 * 0.5 - 4 * 0.2 - 6 * 0.3)


def test_giving_where_it_does_not_pay_is_a_loss() -> None:
    assert gain((-8.0, 0.21), (10.0, 0.2), wear_per_kwh=0.05).eur < 0


@given(
    st.lists(st.tuples(st.floats(-20, 20), st.floats(-0.5, 1.0)), max_size=12),
    st.floats(0.0, 0.3),
)
def test_it_is_the_same_after_it_was_kept_and_never_more_than_what_was_given_is_worth(
    moves: list[tuple[float, float]], wear: float
) -> None:
    found = gain(*moves, wear_per_kwh=wear)
    assert Gain.again(json.loads(json.dumps(found.kept()))) == found
    dear = [(energy, abs(price)) for energy, price in moves]
    worth = sum(-energy * price for energy, price in dear if energy < 0)
    assert gain(*dear, wear_per_kwh=wear).eur <= worth + 1e-9
