"""The demo's depot on the virtual clock: repeatable to the byte, and a whole day of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from gridleaf.demo import simulate

AGAIN = """
import json
from gridleaf.demo import simulate
print(json.dumps(simulate(seed=3, hours=3)))
"""


def as_bytes(result: dict[str, Any]) -> bytes:
    return json.dumps(result).encode()


def test_the_same_seed_gives_the_same_hours_to_the_byte_also_in_another_process() -> None:
    """Another process has other hashes, and so other orders of sets."""
    first = as_bytes(simulate(seed=3, hours=3))
    again = subprocess.run(
        [sys.executable, "-c", AGAIN],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert again.stdout.splitlines()[-1] == first


def test_another_seed_is_another_world() -> None:
    assert as_bytes(simulate(seed=4, hours=1)) != as_bytes(simulate(seed=3, hours=1))


def test_a_day_of_the_demo_breaks_no_limit_strands_nobody_and_saves_money() -> None:
    day = simulate(seed=0, hours=24)
    assert day["simulated_h"] == 24
    assert day["limit_violations"] == 0
    assert day["sessions"] > 20
    assert day["could_be_ready"] > 15
    assert day["missed"] == []
    assert day["ready_on_time"] >= day["could_be_ready"]
    assert day["evening_discharged_kwh"] > 0
    assert day["cost_eur"] < day["uncontrolled_cost_eur"]
    assert day["messages"] > 10_000
