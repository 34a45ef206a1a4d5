"""``gridleaf explain``: why did each vehicle get the power it got."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Annotated

import typer

from gridleaf.control.explain import as_text, explain
from gridleaf.control.types import decision_from_json, state_from_json
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Storage, load
from gridleaf.store import open_store
from gridleaf.store.port import CycleRecord

_DIGITS = 18
"""Those of the largest number of a cycle: stores count in 64 bits."""


def register(app: typer.Typer) -> None:
    app.command("explain")(command)


def command(
    cycle: Annotated[str, typer.Argument(metavar="CYCLE", help='Number of a cycle, or "latest".')],
    site_file: Annotated[
        Path | None, typer.Option("--site", metavar="SITE.toml", help="The site it belongs to.")
    ] = None,
    data_dir: Annotated[
        Path, typer.Option(help="Where the data is, when no site file is given.")
    ] = Path("gridleaf-data"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Explain one control cycle from its stored state and decision."""
    storage = load(site_file).storage if site_file is not None else Storage(data_dir=data_dir)
    if storage.url_file is None and storage.url_env is None and not storage.data_dir.is_dir():
        raise ConfigError(str(storage.data_dir), "no such folder; give --site or --data-dir")
    if cycle != "latest" and not re.fullmatch("[0-9]+", cycle):
        raise ConfigError(f"cycle {cycle}", 'must be a number or "latest"')
    record = asyncio.run(_read(storage, cycle)) if len(cycle) <= _DIGITS else None
    if record is None:
        raise ConfigError(f"cycle {cycle}", "no such cycle is stored")
    facts = explain(state_from_json(record.state), decision_from_json(record.decision))
    print(json.dumps({"cycle_id": record.cycle_id, **facts}) if as_json else as_text(facts))


async def _read(storage: Storage, cycle: str) -> CycleRecord | None:
    store = open_store(storage)
    await store.open()
    try:
        if cycle == "latest":
            newest = await store.cycles(limit=1)
            return newest[0] if newest else None
        return await store.cycle(int(cycle))
    finally:
        await store.close()
