"""The benchmark family is what it was measured as: its fingerprints."""

from __future__ import annotations

import numpy as np
import pytest

from gridleaf.bench.instances import depot, fleet
from gridleaf.plan import check


def test_the_ten_cars_are_the_same_as_ever() -> None:
    problem = fleet(10)
    visits, nodes = problem.visits, problem.nodes
    assert visits.arrive.tolist() == [19, 25, 21, 8, 24, 10, 31, 5, 13, 32]
    assert visits.depart.tolist() == [91, 87, 75, 59, 67, 58, 85, 46, 60, 96]
    capacity = [52, 77, 100, 77, 64, 100, 64, 52, 64, 40]
    np.testing.assert_allclose(visits.max_kwh / 0.95, capacity)
    assert visits.charge_kw.tolist() == [11, 11, 7.4, 11, 22, 22, 11, 7.4, 11, 7.4]
    assert visits.discharge_kw.tolist() == [0, 0, 7.4, 0, 22, 22, 11, 0, 0, 7.4]
    first = (
        visits.charge_efficiency[0],
        visits.discharge_efficiency[0],
        visits.energy_kwh[0],
        visits.target_kwh[0],
        visits.wear_eur_per_kwh[0],
    )
    assert first == pytest.approx((0.939491, 0.902183, 11.000208, 42.646584, 0.040341), abs=1e-6)
    assert nodes.import_price_eur_per_kwh[0, :4] == pytest.approx(
        [0.148438018516, 0.128198093728, 0.132424296556, 0.145150020884], abs=1e-12
    )
    # the building's 3.500984172602 kW at noon less 7.727406610313 kW of sun
    assert nodes.load_kw[0, 0] == pytest.approx(3.500984172602 - 7.727406610313, abs=1e-12)


@pytest.mark.parametrize(
    ("count", "limit", "stay", "v2g", "energy", "target"),
    [
        (10, 25.431388317, 536, 5, 255.052350, 501.099788),
        (100, 268.291227830, 4808, 67, 2396.967247, 5007.348667),
        (1000, 2660.283786873, 47239, 721, 24742.658748, 50698.921381),
    ],
)
def test_the_fleets_are_the_same_as_ever(
    count: int, limit: float, stay: int, v2g: int, energy: float, target: float
) -> None:
    problem = fleet(count)
    visits = problem.visits
    assert problem.nodes.import_limit_kw[0, 0] == pytest.approx(limit, abs=1e-9)
    assert int((visits.depart - visits.arrive).sum()) == stay
    assert int((visits.discharge_kw > 0).sum()) == v2g
    assert visits.energy_kwh.sum() == pytest.approx(energy, abs=1e-6)
    assert visits.target_kwh.sum() == pytest.approx(target, abs=1e-6)


@pytest.mark.parametrize("circuits", [0, 1, 3])
def test_depots_of_every_kind_are_well_formed(circuits: int) -> None:
    check(depot(7, circuits=circuits))
    check(depot(7, circuits=circuits, phases=False, v2g=0))
