"""Compiles what the tests will need, beside them: whoever comes later finds it on disk."""

from __future__ import annotations

import numpy as np

from gridleaf.battery.ageing import MODELS, History, simulate
from gridleaf.bench.instances import depot, feeder, fleet, rich, with_least_powers
from gridleaf.plan import solve


def main() -> None:
    """Each of what is compiled, once."""
    for problem in (fleet(40, "full"), depot(12), feeder(6, 10), rich(20)):
        solve(problem, method="fleet")
    solve(with_least_powers(fleet(40), 0.3), method="fleet")
    history = History(
        time_h=np.arange(49.0), soc=np.linspace(0.3, 0.9, 49), temperature_c=np.full(49, 20.0)
    )
    for model in MODELS:
        simulate(model, history, 1)


if __name__ == "__main__":
    main()
