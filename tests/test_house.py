"""The house rules that no linter knows."""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "gridleaf"
WALL_CLOCK = re.compile(
    r"datetime\.(now|utcnow|today)\(|time\.(time|monotonic|perf_counter|sleep)\(|asyncio\.sleep\("
)
ALLOWED = {"domain/clock.py", "sim/virtual.py"}


def test_only_the_clock_modules_read_the_time_of_the_machine() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{number}"
        for path in sorted(SOURCE.rglob("*.py"))
        if str(path.relative_to(SOURCE)) not in ALLOWED
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if WALL_CLOCK.search(line)
    ]
    assert found == []
