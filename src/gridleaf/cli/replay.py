"""``gridleaf replay``: a real charging log through the real controller, in three modes."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from gridleaf.cli.logs import set_up_logs
from gridleaf.cli.output import check_output, writing
from gridleaf.control.types import Policy
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import load
from gridleaf.replay.logs import read_sessions
from gridleaf.replay.plots import LABEL
from gridleaf.replay.report import SUMMARY, render
from gridleaf.replay.results import MODES, ReplayResult, to_json
from gridleaf.replay.run import prepare
from gridleaf.replay.run import replay as run_replay
from gridleaf.replay.world import Scenario
from gridleaf.tariff import read_price_csv
from gridleaf.tariff.csv_layout import YEARS, plausible


def register(app: typer.Typer) -> None:
    app.command("replay")(replay)


def replay(
    sessions: Annotated[Path, typer.Option(help="Charging log: CSV, gzipped or not, or ACN JSON.")],
    prices: Annotated[Path, typer.Option(help="Price series: CSV, gzipped or not.")],
    site: Annotated[
        Path | None, typer.Option(help="Site file; without one a site is made that fits the log.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="First day or time, local: 2019-11-01.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Day or time at which it ends, local.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    preset: Annotated[
        str | None, typer.Option(help="Layout of the log, where its header does not tell.")
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="FIELD=COLUMN[:UNIT], comma-separated or repeated."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="IANA zone of times in the log that carry no offset.")
    ] = None,
    price_timezone: Annotated[
        str | None, typer.Option(help="The same for the prices; the log's zone when absent.")
    ] = None,
    evses: Annotated[
        int | None, typer.Option(min=1, help="At most so many EVSEs, the busiest ones.")
    ] = None,
    battery: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The vehicles' battery, of the catalogue: plans then count the wear of its cells.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Modes to run at the same time.")] = 2,
) -> None:
    """What a charging log would have cost: uncontrolled, with smart charging, and with V2G.

    Runs the log and the prices through the controller and OCPP messages of a real site on a virtual
    clock, once for each mode.
    """
    set_up_logs(quiet=True)
    if report is not None:
        check_output(report)
    if site is not None and evses is not None:
        raise ConfigError("evses", "a site file says itself which EVSEs there are; leave one out")
    log = read_sessions(sessions, preset=preset, mapping=_mapping(mapping), timezone=timezone)
    series = read_price_csv(prices, timezone=price_timezone or log.timezone)
    scenario = prepare(
        log,
        series,
        prices,
        site=load(site) if site is not None else None,
        since=_moment("from", since, log.timezone),
        until=_moment("to", until, log.timezone),
        evses=evses,
        battery=battery,
        seed=seed,
    )
    result = _run(scenario, workers, series.notes)
    if report is not None:
        with writing(report):
            report.write_text(render(result), encoding="utf-8")
    if as_json:
        print(json.dumps(to_json(result)))
        return
    console = Console()
    _show(result, console)
    if report is not None:
        console.print(f"Report: {report}", highlight=False)


def _run(scenario: Scenario, workers: int, price_notes: tuple[str, ...]) -> ReplayResult:
    command = shlex.join(["gridleaf", *sys.argv[1:]])
    terminal = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=terminal,
        disable=not terminal.is_terminal,
    ) as bar:
        tasks = {mode: bar.add_task(LABEL[mode], total=1.0) for mode in MODES}

        def advance(mode: Policy, share: float) -> None:
            bar.update(tasks[mode], completed=share)

        return run_replay(
            scenario,
            workers=workers,
            progress=advance,
            price_notes=price_notes,
            command=command,
        )


def _mapping(entries: list[str] | None) -> dict[str, str]:
    mapping = {}
    for entry in ",".join(entries or ()).split(","):
        if not entry.strip():
            continue
        field, found, column = entry.partition("=")
        if not found:
            raise ConfigError("map", f"{entry!r}: expected FIELD=COLUMN")
        if field.strip() in mapping:
            raise ConfigError("map", f"{field.strip()!r} is there twice")
        mapping[field.strip()] = column.strip()
    return mapping


def _moment(name: str, text: str | None, timezone: str) -> datetime | None:
    """A day or time of the site's clock."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        if not plausible(at):
            raise ValueError(text)
    except ValueError:
        raise ConfigError(
            name,
            f"{text!r}: expected a day such as 2019-11-01, or with a time, from {YEARS[0]} to "
            f"{YEARS[1]}",
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(timezone))).astimezone(UTC)


def _show(result: ReplayResult, console: Console) -> None:
    quality = result.data_quality
    console.print(
        f"{quality.source}, read as {quality.preset}: {quality.rows} rows, {quality.used} used",
        highlight=False,
    )
    for finding in quality.findings:
        console.print(
            f"  {finding.outcome} {finding.count}: {finding.meaning}", highlight=False, markup=False
        )
    for note in [*quality.notes, *(f"prices: {note}" for note in result.price_notes)]:
        console.print(f"  {note}", highlight=False, markup=False)
    table = Table(show_edge=False)
    table.add_column("")
    for mode in result.modes:
        table.add_column(LABEL[mode.mode], justify="right")
    for name, unit, value, digits in SUMMARY:
        shown = result.currency if unit == "money" else unit
        cells = (f"{value(mode):,.{digits}f}" for mode in result.modes)
        table.add_row(f"{name} {shown}".strip(), *cells)
    console.print(table)
