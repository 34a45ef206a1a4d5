"""The tree of limits and the shares that are safe with nothing measured."""

from __future__ import annotations

import pytest

from builders import site
from gridleaf.control.limits import path_to_grid, phase_currents_a, static_shares_kw, tree

NESTED = {
    "circuits": [
        {"id": "row", "parent": "hall", "import_limit_kw": 30, "load_kw": 1},
        {"id": "hall", "import_limit_kw": 50, "load_kw": 2},
    ]
}


def test_parents_come_before_their_circuits_and_carry_their_loads() -> None:
    nodes = {node.id: node for node in tree(site(**NESTED))}
    assert list(nodes) == ["", "hall", "row"]
    assert nodes["row"].load_kw == 1
    assert nodes["hall"].load_kw == 3
    assert path_to_grid(nodes.values(), "row") == ("row", "hall", "")


def test_static_shares_give_each_its_floor_and_then_raise_all() -> None:
    shares = static_shares_kw(site(control={"static_share_kw": 12}))
    assert shares["AC1/1"] >= 4.14
    assert sum(shares.values()) == pytest.approx(12, abs=0.2)


def test_static_shares_leave_out_whom_the_floor_does_not_fit() -> None:
    shares = static_shares_kw(site(control={"static_share_kw": 3}))
    assert shares["AC1/1"] == 0.0
    assert shares["DC1/1"] == pytest.approx(3, abs=0.1)


def test_a_single_phase_loads_its_phase_alone() -> None:
    assert phase_currents_a(1, 2, 2.3, 230) == (0, pytest.approx(10), 0)
    assert phase_currents_a(3, 1, 6.9, 230) == pytest.approx((10, 10, 10))
