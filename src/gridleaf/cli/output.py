"""Files that a command will write: looked at before the long work, not after it."""

from __future__ import annotations

import os
from pathlib import Path

from gridleaf.domain.errors import ConfigError


def check_output(path: Path) -> None:
    """Refuse a path that cannot be written to; raises :class:`ConfigError`."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ConfigError(str(path), "its folder does not exist")
    if path.is_dir():
        raise ConfigError(str(path), "is a folder")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ConfigError(str(path), "may not be written to")
