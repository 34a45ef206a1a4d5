"""What is compiled and kept on disk: when it is compiled anew, and where nothing can be kept."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import numba
import pytest

PART = """
from gridleaf.domain.compiled import inlined

@inlined
def grown(x):
    return {factor} * x
"""
WHOLE = """
import part_of_whole
from gridleaf.domain.compiled import compiled_with

@compiled_with(part_of_whole)
def whole(x):
    return part_of_whole.grown(x)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    (tmp_path / "whole_of_part.py").write_text(WHOLE)
    write_part(tmp_path, 2.0)
    return tmp_path


def write_part(folder: Path, factor: float, age_s: float = 0.0) -> None:
    path = folder / "part_of_whole.py"
    path.write_text(PART.format(factor=factor))
    time_s = path.stat().st_mtime - age_s
    os.utime(path, (time_s, time_s))


def imported() -> ModuleType:
    """As the next process would import it."""
    for name in ("part_of_whole", "whole_of_part"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module("whole_of_part")


def indexes(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("whole_of_part.whole-*.nbi"))


def test_what_did_not_change_is_not_compiled_again(folder: Path) -> None:
    assert imported().whole(3.0) == 6.0
    again = imported()
    assert again.whole(3.0) == 6.0
    assert sum(again.whole.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("age_s", [0.0, 1e8], ids=["newer", "older, as a package of before has it"])
def test_a_part_that_changed_is_compiled_anew(folder: Path, age_s: float) -> None:
    assert imported().whole(3.0) == 6.0
    write_part(folder, 5.0, age_s)
    assert imported().whole(3.0) == 15.0
    assert len(indexes(folder)) == 1


def test_without_a_folder_to_write_to_it_is_compiled_and_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "__pycache__").write_text("no folder")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, os.devnull)
    assert imported().whole(3.0) == 6.0
    assert imported().whole.stats.cache_path is None


def test_an_index_that_cannot_be_removed_is_not_used(folder: Path) -> None:
    assert imported().whole(3.0) == 6.0
    (index,) = indexes(folder)
    index.unlink()
    index.mkdir()
    write_part(folder, 5.0)
    assert imported().whole(3.0) == 15.0
