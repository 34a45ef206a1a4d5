"""``gridleaf run``: the platform for real stations."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path
from typing import Annotated

import typer

from gridleaf.app import running
from gridleaf.cli.logs import set_up_logs
from gridleaf.domain.clock import RealClock
from gridleaf.domain.site import SiteConfig, load


def register(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    site_file: Annotated[Path, typer.Argument(metavar="SITE.toml", help="The site file.")],
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Console and API; instead of the file's."),
    ] = None,
    ocpp_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Stations; instead of the file's.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No console, no API.")] = False,
) -> None:
    """Run a site: stations connect to ws(s)://HOST:OCPP-PORT/ocpp/<station id>."""
    set_up_logs()
    site = load(site_file)
    changes = {"port": port, "ocpp_port": ocpp_port}
    server = site.server.model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )
    asyncio.run(_run(site.model_copy(update={"server": server}), console=not headless))


async def _run(site: SiteConfig, *, console: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    rng = random.SystemRandom()
    async with running(site, clock=RealClock(), rng=rng, console=console) as service:
        scheme = "s" if site.server.tls_certificate is not None else ""
        print(
            f"Stations: ws{scheme}://{site.server.ocpp_host}:{service.ocpp_port}/ocpp/<station id>",
            flush=True,
        )
        if service.web_port is not None:
            print(f"Console:  http{scheme}://{site.server.host}:{service.web_port}/", flush=True)
        waiting = asyncio.ensure_future(stop.wait())
        await asyncio.wait([waiting, service.work], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if service.work.done():
            service.work.result()
