"""``gridleaf battery health``, ``passport`` and ``verify``: what sessions have measured, and its proof."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Console
from rich.table import Table

from gridleaf.battery import passport as book
from gridleaf.battery.health import Sweep, prior
from gridleaf.cli.figure import check_figure, drawing
from gridleaf.cli.logs import set_up_logs
from gridleaf.cli.output import check_output, writing
from gridleaf.control.batteries import next_record
from gridleaf.control.passports import add_entry, heads_file, key_file, own_key
from gridleaf.domain.clock import RealClock
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import SiteConfig, Storage, load, same_token
from gridleaf.replay.logs import LoggedVisit, read_sessions
from gridleaf.store import open_store
from gridleaf.store.port import HealthRecord, Store

T = TypeVar("T")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
SiteOption = Annotated[
    Path | None, typer.Option("--site", metavar="SITE.toml", help="Site file of the store.")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Folder of the store, e.g. the demo's."),
]
VehicleArgument = Annotated[str, typer.Argument(metavar="VEHICLE", help="Its id token.")]


def health(
    vehicle: Annotated[str, typer.Argument(metavar="VEHICLE|all", help="An id token, or all.")],
    site_file: SiteOption = None,
    data_dir: DataOption = None,
    sessions: Annotated[
        Path | None,
        typer.Option(help="A session log in place of a store: CSV with states of charge."),
    ] = None,
    capacity: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="KWH", help="With --sessions: usable energy when new."),
    ] = None,
    efficiency: Annotated[
        float,
        typer.Option(min=0.5, max=1.0, help="With --sessions: from the grid to the cells."),
    ] = 0.93,
    as_json: JsonOption = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw it over time: .svg, .png or .pdf."),
    ] = None,
) -> None:
    """The capacity of batteries as their sessions have shown it, with the band that holds 9 of 10."""
    check_figure(plot)
    if sessions is not None:
        found = _from_log(sessions, vehicle, capacity, efficiency)
    else:
        found = _with_store(_place(site_file, data_dir)[0], _from_store)
        if vehicle != "all":
            found = {name: rows for name, rows in found.items() if name == same_token(vehicle)}
    if not found:
        raise ConfigError(vehicle, "no session has told anything about its battery yet")
    if plot is not None:
        _draw(plot, found)
    if as_json:
        print(orjson.dumps({"vehicles": [_facts(rows) for rows in found.values()]}).decode())
    else:
        _show(found)


def passport(
    vehicle: VehicleArgument,
    site_file: SiteOption = None,
    data_dir: DataOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Where the passport goes.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write an entry to the passport of a battery, sign it, and give the passport out as JSON."""
    if out is not None:
        check_output(out)
    storage, site = _place(site_file, data_dir)
    battery, at = same_token(vehicle), RealClock().now()

    async def work(store: Store) -> list[str]:
        return await add_entry(store, battery, key_file(storage), at, site=site)

    document = book.document(battery, _with_store(storage, work))
    if out is not None:
        with writing(out):
            out.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
    if as_json or out is None:
        print(orjson.dumps(document, option=0 if as_json else orjson.OPT_INDENT_2).decode())
    else:
        newest = document["history"][-1]
        print(f"{out}: entry {newest['number']} of {battery}, signed by {newest['key']}.")


def verify(
    vehicle: VehicleArgument,
    site_file: SiteOption = None,
    data_dir: DataOption = None,
    given: Annotated[
        Path | None,
        typer.Option("--passport", metavar="FILE.json", help="A passport in place of a store."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="HEX", help="The public key that must have signed it, as you know it."
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.json", help="A passport given out before; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the history of a passport.

    Exit 0: it is as it was written, with the key that was given or is kept beside the store; 1: it is
    not; 2: unusable input; 3: it is consistent, but nobody vouches for the key.
    """
    battery = same_token(vehicle)
    signer = None if key is None else book.public_key(key)
    heads = [_head_of_file(path, battery) for path in against or ()]
    if given is not None:
        if site_file is not None or data_dir is not None:
            raise ConfigError("--passport", "takes the place of --site and --data-dir")
        document = book.opened(given)
        entries, wrong = book.entries_of(document), book.faults_of_copy(document)
    else:
        storage, _ = _place(site_file, data_dir)
        known = book.read_heads(heads_file(key_file(storage)))
        heads += [known[battery]] if battery in known else []
        signer = own_key(storage) if signer is None else signer

        async def work(store: Store) -> list[str]:
            return [row.entry for row in await store.passport(battery)]

        entries, wrong = _with_store(storage, work), []
    if not entries and not heads:
        raise ConfigError(battery, "has no passport yet")
    wrong += book.faults(battery, entries, key=signer, heads=heads)
    found = {"entries": len(entries), "faults": wrong, "vouched": signer is not None}
    if as_json:
        print(orjson.dumps(found | {"remembered": bool(heads)}).decode())
    elif wrong:
        print("\n".join(wrong))
    else:
        _tell(battery, entries, vouched=signer is not None, remembered=bool(heads))
    if wrong:
        raise typer.Exit(1)
    if signer is None:
        raise typer.Exit(3)


def _tell(battery: str, entries: Sequence[str], *, vouched: bool, remembered: bool) -> None:
    """What of a history without faults is proven, and what is not."""
    signed = json.loads(entries[-1])["key"]
    if vouched:
        print(f"{len(entries)} entries of {battery}, all as they were written, signed by {signed}.")
    else:
        print(
            f"{len(entries)} entries of {battery} are consistent, but nobody vouches for the key that "
            f"signed them: {signed}. Whoever made the file may have made the key; ask the site for "
            "its own and give it: --key."
        )
    if not remembered:
        print(
            "Whether newer entries were cut off nobody remembers: give one from before, --against."
        )


# -- where it comes from --


def _place(site_file: Path | None, data_dir: Path | None) -> tuple[Storage, SiteConfig | None]:
    if (site_file is None) == (data_dir is None):
        raise ConfigError("--site", "give the site file, or the folder of its store: --data-dir")
    if site_file is not None:
        site = load(site_file)
        return site.storage, site
    assert data_dir is not None
    if not data_dir.is_dir():
        raise ConfigError(str(data_dir), "is no folder")
    return Storage(data_dir=data_dir), None


def _with_store(storage: Storage, work: Callable[[Store], Awaitable[T]]) -> T:
    set_up_logs(quiet=True)

    async def run() -> T:
        store = open_store(storage)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def _from_store(store: Store) -> dict[str, list[HealthRecord]]:
    return {
        newest.vehicle: (await store.health(newest.vehicle))[::-1]
        for newest in await store.latest_health()
    }


def _from_log(
    path: Path, wanted: str, capacity_kwh: float | None, efficiency: float
) -> dict[str, list[HealthRecord]]:
    """What a session log shows: by vehicle, the estimates in the order of the sessions.

    Of those whose capacity nobody tells nothing is known; they are named on stderr.
    """
    visits: dict[str, list[LoggedVisit]] = {}
    for visit in read_sessions(path).visits:
        if visit.id_token and visit.arrival_soc is not None and visit.departure_soc is not None:
            visits.setdefault(same_token(visit.id_token), []).append(visit)
    if not visits:
        raise ConfigError(str(path), "has no session with an id token and both states of charge")
    if wanted != "all":
        visits = {name: stays for name, stays in visits.items() if name == same_token(wanted)}
    found: dict[str, list[HealthRecord]] = {}
    untold: list[str] = []
    for vehicle, stays in sorted(visits.items()):
        told = [visit.stated_kwh for visit in stays if visit.stated_kwh is not None]
        if capacity_kwh is None and not told:
            untold.append(vehicle)
            continue
        nominal = capacity_kwh or median(told)
        stays.sort(key=lambda visit: visit.departed_at)
        begin = prior(nominal, stays[0].departed_at)
        rows: list[HealthRecord] = []
        for visit in stays:
            record = next_record(
                vehicle,
                rows[-1] if rows else None,
                _sweep(visit, efficiency),
                session_id=visit.visit_id,
                nominal_kwh=nominal,
                begin=begin,
            )
            if record is not None:
                rows.append(record)
        if rows:
            found[vehicle] = rows
    if untold:
        words = f"tells no capacity_kwh of {', '.join(untold)}; give --capacity"
        if not found:
            raise ConfigError(str(path), words)
        print(f"{path}: {words}", file=sys.stderr)
    return found


def _sweep(visit: LoggedVisit, efficiency: float) -> Sweep:
    assert visit.arrival_soc is not None
    assert visit.departure_soc is not None
    return Sweep(
        at=visit.departed_at,
        charged_kwh=visit.energy_kwh,
        discharged_kwh=0.0,
        soc_from=visit.arrival_soc,
        soc_to=visit.departure_soc,
        charge_efficiency=efficiency,
        discharge_efficiency=efficiency,
    )


def _head_of_file(path: Path, battery: str) -> book.Head:
    given = book.opened(path)
    if given["battery"] != battery:
        raise ConfigError(str(path), f"is the passport of {given['battery']}")
    head = book.head_of(book.entries_of(given))
    assert head is not None
    return head


# -- how it is shown --


def _facts(rows: Sequence[HealthRecord]) -> dict[str, Any]:
    newest = rows[-1]
    return {
        "vehicle": newest.vehicle,
        "nominal_kwh": newest.nominal_kwh,
        "capacity_kwh": round(newest.capacity_kwh, 3),
        "low_kwh": round(newest.low_kwh, 3),
        "high_kwh": round(newest.high_kwh, 3),
        "soh": round(newest.capacity_kwh / newest.nominal_kwh, 4),
        "sessions": newest.sessions,
        "at": newest.at.isoformat(),
        "history": [
            {
                "version": row.version,
                "at": row.at.isoformat(),
                "session_id": row.session_id,
                "verdict": row.verdict,
                "weight": round(row.weight, 3),
                "capacity_kwh": round(row.capacity_kwh, 3),
                "low_kwh": round(row.low_kwh, 3),
                "high_kwh": round(row.high_kwh, 3),
            }
            for row in rows
        ],
    }


def _show(found: dict[str, list[HealthRecord]]) -> None:
    table = Table(show_edge=False)
    table.add_column("vehicle", no_wrap=True)
    for head in ("new kWh", "now kWh", "9 of 10\nwithin", "health", "sessions", "did not fit"):
        table.add_column(head, justify="right", no_wrap=head.startswith("9"))
    table.add_column("last", no_wrap=True)
    for rows in found.values():
        newest = rows[-1]
        table.add_row(
            newest.vehicle,
            f"{newest.nominal_kwh:.1f}",
            f"{newest.capacity_kwh:.1f}",
            f"{newest.low_kwh:.1f}–{newest.high_kwh:.1f}",
            f"{newest.capacity_kwh / newest.nominal_kwh:.0%}",
            str(newest.sessions),
            str(sum(row.verdict == "outlier" for row in rows)),
            f"{newest.at.astimezone(UTC):%Y-%m-%d}",
        )
    console = Console(highlight=False)
    console.print(table)
    for name, rows in found.items():
        strange = sum(row.verdict == "outlier" for row in rows)
        if 2 * strange > len(rows):
            console.print(
                f"{name}: most sessions do not fit; another capacity, or several vehicles with one token?"
            )


def _draw(path: Path, found: dict[str, list[HealthRecord]]) -> None:
    title = "Health as measured, 90 % bands" if len(found) > 1 else next(iter(found))
    with drawing(path, x="", y="health", title=title) as axes:
        for name, rows in found.items():
            at: list[datetime] = [row.at for row in rows]
            shares = [row.capacity_kwh / row.nominal_kwh for row in rows]
            (line,) = axes.plot(at, shares, marker=".", label=name)
            axes.fill_between(
                at,
                [row.low_kwh / row.nominal_kwh for row in rows],
                [row.high_kwh / row.nominal_kwh for row in rows],
                alpha=0.15,
                color=line.get_color(),
                linewidth=0,
            )
        axes.tick_params(axis="x", labelrotation=30)
        if len(found) > 1:
            axes.legend(fontsize=8, ncols=2)
