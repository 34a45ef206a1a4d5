"""The peer's side of :mod:`benchmarks.ageing`, run by the peer's own Python: blast-lite alone.

``python ageing_peer.py HISTORIES.npz RESULT.npz YEARS MODEL ...``
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np


def main(source: str, target: str, years: int, names: list[str]) -> None:
    """Capacity at the end of each year, and the processor time it took, by model and history."""
    import blast.models  # type: ignore[import-not-found]

    warnings.filterwarnings("ignore")
    columns = np.load(source)
    histories = sorted({key.split("/")[0] for key in columns})
    found: dict[str, Any] = {}
    for name in names:
        for history in histories:
            given = {
                "Time_s": columns[f"{history}/time_s"],
                "SOC": columns[f"{history}/soc"].copy(),
                "Temperature_C": columns[f"{history}/temperature_c"],
            }
            cell = getattr(blast.models, name)()
            began = time.process_time()
            cell.simulate_battery_life(given, threshold_time=years + 0.01)
            seconds = time.process_time() - began
            days = 365.0 * np.arange(1, years + 1)
            capacity = np.interp(days, cell.stressors["t_days"], cell.outputs["q"])
            found[f"{name}/{history}"] = np.append(capacity, seconds)
    np.savez(target, **found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
