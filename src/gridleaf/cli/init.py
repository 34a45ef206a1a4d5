"""``gridleaf init``: a site file to start from, with its secrets beside it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from gridleaf.cli.output import check_output
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import load

TEMPLATE = """\
# A site of gridleaf. `gridleaf check {name}` explains it; the reference page "site file" has every key.
name = "My depot"
timezone = "Europe/Berlin"
import_limit_kw = 60          # of the grid connection
export_limit_kw = 20

[control]
static_share_kw = 15          # all EVSEs together may draw this with no meter and no controller

[defaults]                    # for vehicles that nobody said anything about
stay_h = 8
energy_kwh = 20
target_soc = 0.8
reserve_soc = 0.3
v2g = false

[tariff]
import_price = 0.28           # flat; set source = "entsoe", "octopus", "awattar", "energy-charts" or "csv"
export_price = 0.08

[server]
port = 8080                   # console and API
ocpp_port = 9000              # stations: ws://HOST:9000/ocpp/<station id>

[[circuits]]
id = "row-a"
import_limit_kw = 40

[[stations]]
id = "BAY-01"
circuit = "row-a"
password_file = "secrets/BAY-01"
[[stations.evses]]
id = 1
current = "DC"
charge_max_kw = 22
discharge_max_kw = 22         # allows discharging here, by name; needs OCPP 2.1 and a willing vehicle

[[stations]]
id = "BAY-02"
circuit = "row-a"
password_file = "secrets/BAY-02"
[[stations.evses]]
id = 1
current = "AC"
charge_max_kw = 11
phases = 3

[[vehicles]]
id_token = "TAG-0001"
name = "Van 1"
capacity_kwh = 39
battery = "nissan-leaf-40"         # a pack of the catalogue; leave out what is not there
target_soc = 0.9
reserve_soc = 0.3
v2g = true
"""


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    site_file: Annotated[Path, typer.Argument(metavar="SITE.toml")] = Path("site.toml"),
) -> None:
    """Write a site file to start from, and a random password for each of its stations."""
    if site_file.exists():
        raise ConfigError(str(site_file), "exists already; it is not overwritten")
    site_file.parent.mkdir(parents=True, exist_ok=True)
    # The secrets' folder first: where it cannot be, no half of a site is left behind.
    passwords = site_file.parent / "secrets"
    passwords.mkdir(mode=0o700, exist_ok=True)
    check_output(site_file)
    check_output(passwords / "password")
    site_file.write_text(TEMPLATE.format(name=site_file.name), encoding="utf-8")
    site = load(site_file)
    for station in site.stations:
        path = station.password_file
        if path is not None and not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(secrets.token_urlsafe(24) + "\n")
    print(f"Wrote {site_file} and a password for each station under {passwords}.")
    print(
        f"Next: gridleaf check {site_file}; gridleaf account add {site_file} YOU --role operator;"
    )
    print(f"      gridleaf run {site_file}")
