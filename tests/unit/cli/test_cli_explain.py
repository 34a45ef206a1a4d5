"""``gridleaf explain`` refuses what is no cycle in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridleaf.cli import main


@pytest.mark.parametrize(
    ("cycle", "reason"),
    [
        ("²", 'must be a number or "latest"'),
        ("newest", 'must be a number or "latest"'),
        ("7", "no such cycle is stored"),
        ("9" * 23, "no such cycle is stored"),
        ("9" * 5000, "no such cycle is stored"),
    ],
    ids=lambda text: text[:25],
)
def test_a_cycle_that_is_none_ends_with_2(
    cycle: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", cycle, "--data-dir", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"gridleaf: cycle {cycle}: {reason}\n"
