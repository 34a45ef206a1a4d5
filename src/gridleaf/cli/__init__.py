"""The command line: one file for each command, imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import typer

from gridleaf.domain.errors import GridleafError

COMMANDS = (
    "demo", "run", "check", "init", "plan", "bench", "replay", "explain", "account", "battery",
)  # fmt: skip
"""``gridleaf NAME`` is ``register(app)`` of ``gridleaf.cli.NAME``."""


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of ``gridleaf``: exit 0 done, 1 the work failed, 2 wrong use or unusable input."""
    # before numpy is loaded: threads of BLAS slow the planner down tenfold
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    argv = list(sys.argv[1:] if args is None else args)
    app = typer.Typer(
        name="gridleaf",
        help="Gives every EV battery a second job.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(lambda: None)
    for name in COMMANDS if not argv or argv[0] not in COMMANDS else argv[:1]:
        importlib.import_module(f"gridleaf.cli.{name}").register(app)
    try:
        app(args=argv, prog_name="gridleaf")
    except GridleafError as error:
        print(f"gridleaf: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"gridleaf: {place}{error.strerror or error}", file=sys.stderr)
        raise SystemExit(2) from None
