"""``gridleaf demo``: watch a day of V2G at a simulated depot."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from gridleaf.cli.logs import set_up_logs
from gridleaf.domain.errors import ConfigError


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    speed: Annotated[float, typer.Option(min=1, max=2000, help="Times real time.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Vehicles, weather and prices follow from it.")] = 0,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Console and API; 0 takes a free one.")
    ] = 8080,
    ocpp_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Stations; 0 takes a free one.")
    ] = 9000,
    stop_after: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Stop after 90s, 10m, 1h.")
    ] = None,
    simulate: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Simulate so long on a virtual clock, without sockets."
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the data here, and go on from it next time.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No console, no API.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object at the end.")] = False,
) -> None:
    """Run a depot of 24 EVSEs with simulated stations, and show it."""
    from gridleaf.demo import Options, play
    from gridleaf.demo import simulate as run_simulation

    set_up_logs(quiet=True)
    if simulate is not None:
        _report(run_simulation(seed, seconds(simulate) / 3600), as_json=as_json)
        return

    def say(line: str) -> None:
        print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    def run(folder: Path) -> dict[str, Any]:
        return play(
            Options(
                seed=seed,
                speed=speed,
                port=port,
                ocpp_port=ocpp_port,
                data_dir=folder,
                console=not headless,
                stop_after_s=seconds(stop_after) if stop_after is not None else None,
            ),
            say,
        )

    if data_dir is not None:
        result = run(data_dir)
    else:
        with tempfile.TemporaryDirectory(prefix="gridleaf-demo-") as folder:
            result = run(Path(folder))
    _report(result, as_json=as_json)


def seconds(text: str) -> float:
    """A duration such as ``90s``, ``10m``, ``1.5h``, ``1h30m`` or plain seconds [s]."""
    parts = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", text.strip())
    try:
        if parts is None or not any(parts.groups()):
            raise ValueError
        hours, minutes, rest = (float(p or 0) for p in parts.groups())
    except ValueError:
        raise ConfigError(text, "is not a duration such as 90s, 10m or 1h30m") from None
    return hours * 3600 + minutes * 60 + rest


def _report(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    saved = result["uncontrolled_cost_eur"] - result["cost_eur"]
    print(
        f"{result['simulated_h']:.1f} h: {result['sessions']} sessions ended, "
        f"{result['ready_on_time']} ready, {result['could_be_ready']} could be; "
        f"charged {result['charged_kwh']:.0f} kWh, discharged {result['discharged_kwh']:.0f} kWh; "
        f"cost {result['cost_eur']:.2f}, uncontrolled {result['uncontrolled_cost_eur']:.2f}, "
        f"saved {saved:.2f} EUR; peak {result['peak_kw']:.1f} kW; "
        f"{result['limit_violations']} limit violations"
    )
