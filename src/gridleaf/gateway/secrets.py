"""The passwords of a site's stations, from files or the environment; never from the site file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import structlog

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import SiteConfig, Station

SHORTEST = 16
"""Shortest password a station may have [characters] (OCPP 2.0.1 part 2, A00.FR.205)."""

_log = structlog.get_logger()


def load_secrets(site: SiteConfig, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Read the password of every station that authenticates with one.

    Parameters
    ----------
    environ
        Where ``password_env`` is looked up.

    Returns
    -------
    dict
        Station id to password. A station of security profile 3 shows a certificate and is absent.

    Raises
    ------
    ConfigError
        A password is missing, unreadable or shorter than 16 characters; the message never holds it.
    """
    return {
        station.id: _password(station, environ)
        for station in site.stations
        if station.security_profile != 3
    }


def _password(station: Station, environ: Mapping[str, str]) -> str:
    where = f"stations.{station.id}"
    if station.password_file is not None:
        where += ".password_file"
        password = _read(where, station.password_file)
    elif station.password_env is not None:
        where += ".password_env"
        value = environ.get(station.password_env)
        if value is None:
            raise ConfigError(where, f"the variable {station.password_env} is not set")
        password = value
    else:
        raise ConfigError(
            where, "has no password: give password_file or password_env, or security_profile = 3"
        )
    password = password.rstrip("\r\n")
    if len(password) < SHORTEST:
        raise ConfigError(
            where,
            f"the password has {len(password)} characters, OCPP asks for at least {SHORTEST}",
        )
    return password


def _read(where: str, path: Path) -> str:
    try:
        if path.stat().st_mode & stat.S_IROTH:
            _log.warning("password_file_is_world_readable", key=where, file=str(path))
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(where, f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(where, f"{path}: not UTF-8 text") from None
