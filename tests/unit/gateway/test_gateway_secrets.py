from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway_fakes import PASSWORD, station_site
from gridleaf.domain.errors import ConfigError
from gridleaf.gateway.secrets import load_secrets


def test_a_password_comes_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    file = tmp_path / "cp1"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    assert load_secrets(station_site(password_file=file)) == {"CP1": PASSWORD}


def test_a_password_comes_from_the_environment() -> None:
    site = station_site(password_env="CP1_PASSWORD")
    assert load_secrets(site, {"CP1_PASSWORD": PASSWORD}) == {"CP1": PASSWORD}


def test_a_station_with_a_certificate_needs_no_password() -> None:
    assert load_secrets(station_site(security_profile=3), {}) == {}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "has no password"),
        ({"password_env": "MISSING"}, "MISSING is not set"),
        ({"password_env": "SHORT"}, "has 15 characters"),
        ({"password_file": "/nowhere/cp1"}, "No such file"),
    ],
)
def test_a_missing_or_weak_password_is_refused_with_its_place_and_never_shown(
    given: dict[str, str], why: str
) -> None:
    weak = "weak-password-1"
    with pytest.raises(ConfigError, match=why) as refused:
        load_secrets(station_site(**given), {"SHORT": weak})
    assert refused.value.path.startswith("stations.CP1")
    assert weak not in str(refused.value)


def test_a_file_that_everybody_may_read_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "cp1"
    file.write_text(PASSWORD)
    file.chmod(0o644)
    with capture_logs() as logs:
        load_secrets(station_site(password_file=file))
    assert [line["event"] for line in logs] == ["password_file_is_world_readable"]
    assert PASSWORD not in str(logs)
