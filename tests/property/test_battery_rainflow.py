"""Rainflow counting: along a history that may be cut anywhere, and on a day that closes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.battery.rainflow import closed_depths, count, cycle_cost, halves


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=200), st.integers(0, 200))
@settings(max_examples=200, deadline=None)
def test_open_cycles_are_carried_over_a_cut(soc: list[float], cut: int) -> None:
    whole, left = count(soc)
    first, between = count(soc[:cut])
    second, end = count(soc[cut:], between)
    assert np.concatenate([first.depth, second.depth]).tolist() == whole.depth.tolist()
    assert end.tolist() == left.tolist()
    assert whole.efc + halves(left).efc == pytest.approx(np.abs(np.diff(soc)).sum() / 2.0)


def test_counting_goes_on_through_a_step_too_small_to_multiply() -> None:
    _, left = count([0.0, 1e-300, 0.5, 1e-300, 0.5])
    assert left.tolist() == [0.0, 0.5]
    assert count([0.0, 1e-200, 1e-150, 0.5])[1].tolist() == [0.0, 0.5]
    assert closed_depths([0.0, 1e-200, 1e-150, 0.5]).tolist() == [0.5]


def test_the_example_of_the_standard_is_counted_as_there() -> None:
    """ASTM E1049-85, figure 6: one full cycle of 4, halves of 3, 4, 6, 8, 8, 9."""
    found, left = count([-2, 1, -3, 5, -1, 3, -4, 4, -2])
    assert found.depth.tolist() == [4.0]
    assert sorted(halves(left).depth) == [3.0, 4.0, 6.0, 8.0, 8.0, 9.0]


def test_the_example_of_the_standard_closed_has_no_halves() -> None:
    """ASTM E1049-85, figure 7, a history that repeats: cycles of 3, 4, 7 and 9."""
    assert sorted(closed_depths([-2, 1, -3, 5, -1, 3, -4, 4])) == [3.0, 4.0, 7.0, 9.0]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 40))
def test_where_a_closed_day_is_said_to_begin_does_not_matter(path: list[int], by: int) -> None:
    turned = path[by % len(path) :] + path[: by % len(path)]
    assert sorted(closed_depths(turned)) == sorted(closed_depths(path))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_the_cycles_of_a_closed_day_go_down_as_far_as_it_does(path: list[int]) -> None:
    falls = sum(max(a - b, 0) for a, b in zip(path, path[1:] + path[:1], strict=True))
    assert closed_depths(path).sum() == falls


def test_a_day_at_rest_has_no_cycle() -> None:
    assert closed_depths([]).tolist() == []
    assert closed_depths([0.7, 0.7, 0.7]).tolist() == []


def test_a_cycle_is_priced_slice_by_slice_from_its_top() -> None:
    prices = np.array([0.1, 0.3])
    assert cycle_cost(np.array([10.0, 4.0, 10.0]), 4.0, prices) == pytest.approx(4 * 0.1 + 2 * 0.3)
    assert cycle_cost(np.array([5.0, 5.0]), 4.0, prices) == 0.0
