"""Files that a command will write: looked at before the long work, not after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Names the file where writing it fails: the system does not when the disk is full."""
    try:
        yield
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None
