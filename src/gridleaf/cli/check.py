"""``gridleaf check``: validate a site file and say what it means before anything starts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from gridleaf.app import refusals
from gridleaf.battery.catalogue import catalogue
from gridleaf.battery.pack import build, usable_kwh
from gridleaf.cli.logs import set_up_logs
from gridleaf.control.limits import floor_kw, static_shares_kw, tree
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import SiteConfig, load

_MANY_TIMES = 100.0
_MEASURED = 1.05
"""What is above by no more than this may have been measured so."""
_LINE_V = 350.0
_STRONG, _DEAR = ("EUR", "USD", "GBP", "CHF"), 5.0
"""Currencies in which no kWh costs as much; a forint is worth 400 times less."""


def register(app: typer.Typer) -> None:
    app.command("check")(check)


def check(
    site_file: Annotated[Path, typer.Argument(metavar="SITE.toml", help="The site file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Validate a site file and explain what gridleaf will do with it; exit 2 if it would not run."""
    set_up_logs()
    try:
        site = load(site_file)
    except ConfigError as error:
        if not as_json:
            raise
        _answer([str(error)], {"site": None, "remarks": []})
    refused = [str(error) for error in refusals(site)]
    warnings = remarks(site)
    if as_json:
        _answer(refused, {"site": site.name, "remarks": warnings})
    _explain(site, warnings)
    for reason in refused:
        print(f"gridleaf run refuses it: {reason}", file=sys.stderr)
    if refused:
        raise typer.Exit(2)
    print("The file is valid.")


def _answer(refused: list[str], more: dict[str, object]) -> NoReturn:
    print(json.dumps({"ok": not refused, "refused": refused, **more}))
    raise typer.Exit(2 if refused else 0)


def _explain(site: SiteConfig, warnings: list[str]) -> None:
    console = Console()
    table = Table(title=f"{site.name}: limits", show_edge=False)
    for head in ("limit", "under", "import kW", "export kW", "EVSEs", "chargers kW", "fuse A"):
        table.add_column(head, justify="left" if head in ("limit", "under") else "right")
    for node in tree(site):
        below = _below(site, node.id)
        table.add_row(
            node.id or "grid connection",
            "" if node.parent is None else node.parent or "grid connection",
            f"{node.import_kw:g}",
            f"{node.export_kw:g}",
            str(len(below)),
            f"{sum(below):g}",
            "" if node.fuse_a is None else f"{node.fuse_a:g}",
        )
    console.print(table)
    for window in site.limit_windows:
        console.print(
            f"{window.start:%H:%M}-{window.end:%H:%M} local: import {_or_same(window.import_limit_kw)},"
            f" export {_or_same(window.export_limit_kw)}"
        )
    console.print(f"{len(site.stations)} stations, {len(site.vehicles)} vehicles known by token")
    for remark in warnings:
        console.print(f"[yellow]note[/yellow] {remark}", highlight=False)


def _or_same(limit_kw: float | None) -> str:
    return "unchanged" if limit_kw is None else f"{limit_kw:g} kW"


def _below(site: SiteConfig, circuit: str) -> list[float]:
    parents = {c.id: c.parent for c in site.circuits}
    powers = []
    for station in site.stations:
        for evse in station.evses:
            at: str | None = site.circuit_of(station, evse)
            while at not in (circuit, None):
                at = parents.get(at or "") if at else None
            if at == circuit:
                powers.append(evse.charge_max_kw)
    return powers


def remarks(site: SiteConfig) -> list[str]:
    """What is allowed but worth knowing."""
    notes = []
    if site.signals.mqtt is None and not site.signals.modbus:
        notes.append(
            "no meter is configured: until one is pushed to the API, all EVSEs share "
            f"{site.control.static_share_kw:g} kW and nothing is exported"
        )
    shares = static_shares_kw(site)
    starved = [
        f"{station.id}/{evse.id}"
        for station in site.stations
        for evse in station.evses
        if shares[f"{station.id}/{evse.id}"] < max(floor_kw(evse, site.voltage_v), 0.1)
    ]
    if starved:
        notes.append(
            "control.static_share_kw is too small for every EVSE's least power: without a meter or "
            f"a connection these cannot charge: {_first_of(starved)}"
        )
    bidirectional = any(e.discharge_max_kw > 0 for s in site.stations for e in s.evses)
    if bidirectional and site.export_limit_kw == 0:
        notes.append(
            "export_limit_kw is 0: vehicles may discharge into the building, never the grid"
        )
    if bidirectional and not (site.defaults.v2g or any(v.v2g for v in site.vehicles)):
        notes.append("no vehicle may discharge: defaults.v2g is false and no vehicle allows it")
    if site.tariff.source == "none":
        notes.append("no price source: the flat import and export price hold")
    if (
        site.server.host not in ("127.0.0.1", "::1", "localhost")
        and not site.server.tls_certificate
    ):
        notes.append("the console listens beyond loopback without TLS: put a TLS proxy before it")
    if (
        site.server.ocpp_host not in ("127.0.0.1", "::1", "localhost")
        and not site.server.tls_certificate
    ):
        notes.append(
            "stations connect without TLS (security profile 1): for a trusted network or VPN only"
        )
    notes += _odd_numbers(site) + _odd_batteries(site)
    possible = (1,) if site.server.tls_certificate is None else (2, 3)
    shut_out = [s.id for s in site.stations if s.security_profile not in possible]
    if shut_out:
        notes.append(
            "security profile 1 is without TLS, 2 and 3 are with it; these stations cannot connect: "
            + _first_of(shut_out)
        )
    return notes


def _odd_numbers(site: SiteConfig) -> list[str]:
    """What a real site may have, though more often the number is in another unit."""
    notes = []
    for node in tree(site):
        below = sum(_below(site, node.id))
        name = "import_limit_kw" if node.id == "" else f"circuits.{node.id}.import_limit_kw"
        if below and node.import_kw > _MANY_TIMES * below:
            notes.append(
                f"{name}: {node.import_kw:g} kW is more than {_MANY_TIMES:g} times what the EVSEs "
                f"below it can draw ({below:g} kW): is it in W?"
            )
    for number, window in enumerate(site.limit_windows):
        for key in ("import_limit_kw", "export_limit_kw"):
            limit_kw, usual_kw = getattr(window, key), getattr(site, key)
            if limit_kw is not None and limit_kw > usual_kw:
                notes.append(
                    f"limit_windows.{number}.{key}: {limit_kw:g} kW does nothing, it is above the "
                    f"site's own {usual_kw:g} kW"
                )
    if site.voltage_v >= _LINE_V:
        notes.append(
            f"voltage_v: {site.voltage_v:g} V must be that of a phase against neutral, such as 230 "
            "where there are 400 between two phases"
        )
    tariff, usual = site.tariff, site.defaults
    prices = {
        "tariff.import_price": tariff.import_price,
        "tariff.export_price": tariff.export_price,
        "tariff.adder": tariff.adder,
        "tariff.export_adder": tariff.export_adder,
        "defaults.wear_per_kwh": usual.wear_per_kwh,
        **{f"vehicles.{v.id_token}.wear_per_kwh": v.wear_per_kwh or 0.0 for v in site.vehicles},
    }
    if site.currency in _STRONG:
        notes += [
            f"{key}: {price:g} {site.currency} per kWh is a lot: is it per MWh, or in cents?"
            for key, price in prices.items()
            if abs(price) > _DEAR
        ]
    return notes


def _odd_batteries(site: SiteConfig) -> list[str]:
    """Vehicles that are said to hold more than their battery does when new."""
    try:
        known = catalogue()
    except ConfigError:  # told as a refusal
        return []
    notes = []
    for vehicle in site.vehicles:
        if vehicle.battery in known.packs:
            new_kwh = float(usable_kwh(build(known, vehicle.battery)))
            if vehicle.capacity_kwh > _MEASURED * new_kwh:
                notes.append(
                    f"vehicles.{vehicle.id_token}.capacity_kwh: {vehicle.capacity_kwh:g} kWh is more "
                    f"than {vehicle.battery} can use when new ({new_kwh:.1f} kWh)"
                )
    return notes


def _first_of(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
