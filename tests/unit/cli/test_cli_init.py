"""``gridleaf init`` writes a whole site or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridleaf.cli import main
from gridleaf.domain.site import load


def init(path: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["init", str(path)])
    return int(ended.value.code or 0)


def test_a_site_and_its_passwords_are_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "site.toml"
    assert init(path) == 0
    for station in load(path).stations:
        assert station.password_file is not None
        assert station.password_file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new" / "secrets").stat().st_mode & 0o777 == 0o700


def test_where_passwords_cannot_be_kept_no_site_is_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secrets").write_text("a file")
    assert init(tmp_path / "site.toml") == 2
    assert not (tmp_path / "site.toml").exists()
    assert capsys.readouterr().err == f"gridleaf: {tmp_path / 'secrets'}: File exists\n"


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "depot").write_text("a file")
    assert init(tmp_path / "depot" / "site.toml") == 2
    assert str(tmp_path / "depot") in capsys.readouterr().err
