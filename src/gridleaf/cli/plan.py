"""``gridleaf plan``: solve a planning problem in a file, check the plan and write it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer
from rich.console import Console
from rich.table import Table

from gridleaf.cli.output import check_output, writing
from gridleaf.domain.errors import ConfigError, PlanningFailed
from gridleaf.plan import (
    Bill,
    Plan,
    Problem,
    Progress,
    Trade,
    VisitCosts,
    best_trade,
    bill,
    fallback,
    read_problem,
    solve,
    verify,
    visit_costs,
    write_plan,
)
from gridleaf.plan.method import Method

_JUST = 5e-4
"""Less than this nobody sees: of a price per kWh, and of an energy."""
_FEW = 40
"""So many visits have a row each in the table."""


def _workers(text: str) -> int | Literal["ray"]:
    """A number of threads, or the name of the other machines."""
    if text == "ray":
        return "ray"
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter("must be a number of threads, or ray")
    return int(text)


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)


def plan(
    problem_file: Annotated[
        Path, typer.Argument(metavar="PROBLEM", help="The problem, .json or .npz.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="PLAN", help="Where the plan goes, .json or .npz.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    time_limit: Annotated[
        float | None, typer.Option(min=0.0, metavar="S", help="Seconds for the solver.")
    ] = None,
    gap: Annotated[
        float,
        typer.Option(min=0.0, help="Relative gap at which the fleet method ends."),
    ] = 1e-4,
    method: Annotated[
        Method, typer.Option(help="The exact solver, the fleet method, or by size.")
    ] = "auto",
    workers: Annotated[
        Any,
        typer.Option(
            parser=_workers,
            metavar="N|ray",
            help="Threads of the fleet method, or a Ray cluster; all processors when absent.",
        ),
    ] = None,
) -> None:
    """Plan charging and discharging for a problem file, with proof.

    Exit 0: the plan passed its independent check; 1: it did not; 2: unusable input.
    """
    if out is not None and out.suffix.lower() not in (".json", ".npz"):
        raise ConfigError(str(out), "must be a .json or a .npz file")
    if out is not None:
        check_output(out)
    problem = read_problem(problem_file)
    try:
        with Console(stderr=True, highlight=False).status("Planning") as status:

            def tell(progress: Progress) -> None:
                status.update(
                    f"Planning: {progress.share:.0%} of the vehicles, round {progress.rounds}, "
                    f"gap {progress.gap:.2g}"
                )

            result = solve(
                problem,
                gap=gap,
                time_limit_s=time_limit,
                method=method,
                workers=workers,
                progress=tell,
            )
        failure = None
    except PlanningFailed as error:
        result = fallback(problem)
        failure = str(error)
    faults = verify(problem, result)
    if out is not None:
        with writing(out):
            write_plan(result, out)
    if as_json:
        found = summary(problem, result, faults, failure)
        print(orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY).decode())
    else:
        _show(problem, result, faults, failure)
    if faults:
        raise typer.Exit(1)


def summary(
    problem: Problem, result: Plan, faults: list[str], failure: str | None
) -> dict[str, Any]:
    """What a program may want to know; null where nothing is proven."""
    costs, trade = visit_costs(problem, result), best_trade(problem, result)
    return {
        "method": result.method,
        "objective_eur": result.objective_eur,
        "lower_bound_eur": result.lower_bound_eur,
        "gap": result.gap,
        "seconds": result.seconds,
        "unmet_kwh": float(result.unmet_kwh.sum()),
        "trip_unmet_kwh": float(result.trip_unmet_kwh.sum()),
        "over_limit_kw": float(result.over_limit_kw.max(initial=0.0)),
        "verified": not faults,
        "problems": faults,
        "notes": [*([failure] if failure else []), *result.notes],
        "visits": {
            "id": result.visit_id,
            "charged_kwh": costs.charged_kwh,
            "discharged_kwh": costs.discharged_kwh,
            "energy_eur": costs.energy_eur,
            "life_eur": costs.life_eur,
            "wear_eur": costs.wear_eur,
            "dwell_eur": costs.dwell_eur,
            "depth_eur": costs.depth_eur,
            "spread_eur_per_kwh": trade.spread,
            "wear_eur_per_kwh": trade.wear,
            "verdict": _verdicts(trade, costs),
        },
    }


def _show(problem: Problem, result: Plan, faults: list[str], failure: str | None) -> None:
    console = Console(highlight=False)
    costs = bill(
        problem,
        result.charge_kw,
        result.discharge_kw,
        trip_unmet_kwh=result.trip_unmet_kwh if result.trip_unmet_kwh.size else None,
    )
    console.print(_node_table(problem, result, costs))
    console.print(_visit_table(problem, result))
    lines = {
        "unmet": f"{result.unmet_kwh.sum():.2f} kWh",
        "lacking on trips": f"{result.trip_unmet_kwh.sum():.2f} kWh",
        "energy": f"{costs.energy_eur.sum():.4f} EUR",
        "demand charge": f"{costs.demand_eur.sum():.4f} EUR",
        "wear": f"{costs.wear_eur:.4f} EUR",
        "dwell": f"{costs.dwell_eur:.4f} EUR",
        "value left in batteries": f"{0.0 - costs.value_eur:.4f} EUR",
        "penalties (no money)": f"{costs.penalty_eur:.4f} EUR",
        "objective": f"{result.objective_eur:.4f} EUR",
        "lower bound": f"{result.lower_bound_eur:.4f} EUR",
        "gap": f"{result.gap:.2g}",
        "method": f"{result.method}, {result.seconds:.3f} s",
    }
    table = Table(show_header=False, show_edge=False, box=None)
    for name, value in lines.items():
        table.add_row(name, value)
    console.print(table)
    if failure:
        console.print(f"[yellow]The solver gave no plan[/yellow] ({failure}): plain rules instead.")
    for note in result.notes:
        console.print(f"[yellow]note[/yellow] {note}")
    for fault in faults:
        console.print(f"[red]wrong[/red] {fault}")
    if not faults:
        console.print("[green]The independent check accepts the plan.[/green]")


def _node_table(problem: Problem, result: Plan, costs: Bill) -> Table:
    table = Table(title=f"Plan for {len(result.visit_id)} visits", show_edge=False)
    table.add_column("node")
    for head in (
        "import kWh",
        "export kWh",
        "peak kW",
        "energy EUR",
        "demand EUR",
        "over limit kW",
    ):
        table.add_column(head, justify="right")
    for k, name in enumerate(result.node_id):
        table.add_row(
            name,
            f"{result.import_kw[k] @ problem.step_h:.2f}",
            f"{result.export_kw[k] @ problem.step_h:.2f}",
            f"{result.import_kw[k].max():.2f}",
            f"{costs.energy_eur[k]:.4f}",
            f"{costs.demand_eur[k]:.4f}",
            f"{result.over_limit_kw[k].max():.2f}",
        )
    return table


def _visit_table(problem: Problem, result: Plan) -> Table:
    """The cost of energy beside the cost of life: of each visit where they are few, and of all."""
    costs = visit_costs(problem, result)
    columns = (costs.charged_kwh, costs.discharged_kwh, costs.energy_eur, costs.life_eur)
    digits = (2, 2, 4, 4)
    table = Table(show_edge=False)
    table.add_column("visit")
    for head in ("charged\nkWh", "discharged\nkWh", "energy\nEUR", "life\nEUR"):
        table.add_column(head, justify="right", no_wrap=True)
    few = len(result.visit_id) <= _FEW
    if few:
        table.add_column("spread, wear\nof a kWh given")
        trade = best_trade(problem, result)
        verdicts = _verdicts(trade, costs)
        for n, (name, *values) in enumerate(zip(result.visit_id, *columns, strict=True)):
            numbers = (f"{x:.{d}f}" for x, d in zip(values, digits, strict=True))
            facts = f"{trade.spread[n]:.3f}, {trade.wear[n]:.3f}: {verdicts[n]}"
            table.add_row(name, *numbers, facts if verdicts[n] else "")
        table.add_section()
    sums = (float(column.sum()) for column in columns)
    table.add_row("all", *(f"{x:.{d}f}" for x, d in zip(sums, digits, strict=True)))
    return table


def _verdicts(trade: Trade, costs: VisitCosts) -> list[str]:
    """Whether each visit gives, and why not; "" where it cannot."""
    columns = zip(
        trade.spread.tolist(), trade.wear.tolist(), costs.discharged_kwh.tolist(), strict=True
    )
    return [_verdict(spread, wear, given) for spread, wear, given in columns]


def _verdict(spread: float, wear: float, given_kwh: float) -> str:
    if math.isnan(spread):
        return ""
    if given_kwh > _JUST:
        return "gives"
    return "does not pay" if spread < wear + _JUST else "is held back"
