"""``gridleaf bench``: claims of speed, measured on this machine with the peer beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args

import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from gridleaf.bench.instances import Family
from gridleaf.bench.measure import Case, machine, measured
from gridleaf.bench.peers import PEERS
from gridleaf.plan.method import Method

ONE_SITE = ("core", "full")
"""The families that the peers have formulas for."""
HEAD = ("visits", "planner", "first s", "again s", "from-to", "gap", "MiB", "")


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Claims of speed, measured here.")
    group.callback()(lambda: None)
    group.command("plan")(plan)
    app.add_typer(group, name="bench")


def plan(
    visits: Annotated[
        str, typer.Option(metavar="N,N,...", help="How many visits the problems have.")
    ] = "10,100,1000",
    family: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="core: one site, one price for both ways; full: with a demand charge and less for "
            "export; depot: all here now, circuits and phases; feeder: sites of 50 with limits; rich: "
            "two stays of each vehicle and a price on charge level; least: full with least powers.",
        ),
    ] = "core,full",
    method: Annotated[Method, typer.Option(help="What plan.solve is asked for.")] = "auto",
    peers: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="highs, highs-ipm, scipy: called directly on the formulas of core and full.",
        ),
    ] = "",
    gap: Annotated[
        float, typer.Option(min=0.0, help="Relative gap at which the fleet method ends.")
    ] = 1e-4,
    repeat: Annotated[
        int, typer.Option(min=0, help="Calls after the first; none after a minute in all.")
    ] = 5,
    time_limit: Annotated[
        float | None, typer.Option(min=0.0, metavar="S", help="Seconds for each call.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Time, gap and memory of whole plan.solve calls by size, and where the time goes.

    Every planner runs in a process of its own. Every plan is checked, which is not in the time.
    Exit 1: a plan was refused or there was none.
    """
    sizes = _sizes(visits)
    families = _names("family", family, get_args(Family))
    others = _names("peers", peers, PEERS)
    cases = [
        Case(
            family=name,
            visits=size,
            planner=planner,
            target_gap=gap,
            repeat=repeat,
            time_limit_s=time_limit,
        )
        for name in families
        for size in sizes
        for planner in (method, *(others if name in ONE_SITE else ()))
    ]
    records = _all(cases)
    if as_json:
        print(orjson.dumps({"machine": machine(), "records": records}).decode())
    else:
        _show(records)
    if any(record.get("failed") or record.get("faults") for record in records):
        raise typer.Exit(1)


def _sizes(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdecimal() and int(word) > 0 for word in words):
        raise typer.BadParameter(
            "must be numbers from 1 on, with commas between", param_hint="visits"
        )
    return [int(word) for word in words]


def _names(option: str, text: str, known: Any) -> list[Any]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"{word!r} is none of {', '.join(known)}", param_hint=option)
    return words


def _all(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """The records of all cases, one after the other."""
    terminal = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=terminal,
        disable=not terminal.is_terminal,
    ) as bar:
        task = bar.add_task("", total=len(cases))
        records = []
        for case in cases:
            bar.update(task, description=f"{case.visits:,} {case.family}, {case.planner}")
            records.append(measured(case))
            bar.advance(task)
    return records


def _show(records: Sequence[dict[str, Any]]) -> None:
    here = machine()
    console = Console(highlight=False)
    console.print(
        f"gridleaf {here['gridleaf']} on {here['processors']} processors, {here['processor']}\n"
        f"Python {here['python']}, HiGHS {here['highspy']}, numba {here['numba']}"
    )
    for family in dict.fromkeys(record["family"] for record in records):
        mine = [record for record in records if record["family"] == family]
        table = Table(
            title=f"Whole calls, {family}", box=SIMPLE_HEAD, show_edge=False, pad_edge=False
        )
        parts = Table(
            title=f"Where the time goes, {family}", box=SIMPLE_HEAD, show_edge=False, pad_edge=False
        )
        for head in HEAD:
            table.add_column(head, justify="left" if head in ("planner", "") else "right")
        for head in ("visits", "planner", "ms"):
            parts.add_column(head, justify="right" if head == "visits" else "left")
        for record in mine:
            table.add_row(*_cells(record, _ours(mine, record["visits"])))
            if "parts_s" in record:
                parts.add_row(f"{record['visits']:,}", record["solver"], _spent(record["parts_s"]))
        console.print(table)
        console.print(parts)
    for line in _footnotes(records):
        console.print(line)


def _ours(records: Sequence[dict[str, Any]], visits: int) -> dict[str, Any]:
    """Our record of a size: the first one."""
    return next(record for record in records if record["visits"] == visits)


def _time(record: dict[str, Any]) -> float | None:
    """Seconds of a call: the median of the later ones, or the only one there is."""
    again = record.get("again_s")
    seconds: float | None = record.get("first_s") if again is None else again
    return seconds


def _cells(record: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    start = [f"{record['visits']:,}", record["planner"]]
    if record.get("failed"):
        return [*start, *[""] * 6, "[red]failed[/red]"]
    more = ">" if record.get("finished") is False else ""
    base, time, memory = _time(ours), _time(record), record["memory_mib"]
    if record["planner"] not in PEERS:
        start[1] = record["solver"]
        told = "[red]REFUSED[/red]" if record["faults"] else "accepted"
    else:
        told = f"{more}{time / base:.2g}x ours" if time and base else ""
    again = _seconds(record["again_s"])
    spread = f"{record['least_s']:.2g}-{record['most_s']:.2g}" if again else ""
    return [
        *start,
        more + _seconds(record["first_s"]),
        again,
        spread,
        f"{record['gap']:.0e}" if "gap" in record else "",
        "" if memory is None else f"{memory:.0f}",
        told,
    ]


def _footnotes(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the tables do not say."""
    if any(record.get("compiled") for record in records):
        yield "The first call of the fleet method compiled; that is kept on disk for the next time."
    elif any(record.get("solver") == "fleet" for record in records):
        yield "The first call of the fleet method found its code compiled on disk."
    solvers = {
        r["solver"]: r["planner"] for r in records if r["planner"] in PEERS and "solver" in r
    }
    for solver, peer in solvers.items():
        yield f"{peer}: {solver}"
    for record in records:
        for fault in (record.get("failed"), *record.get("faults", ())):
            if fault:
                yield (
                    f"[red]wrong[/red] {record['visits']:,} {record['family']} "
                    f"{record['planner']}: {escape(fault)}"
                )


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3g}"


def _spent(parts: dict[str, float]) -> str:
    return ", ".join(
        f"{name} {1e3 * seconds:.{0 if seconds >= 0.1 else 1}f}" for name, seconds in parts.items()
    )
