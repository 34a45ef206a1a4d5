"""``gridleaf account``: who may use the console and the API."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from gridleaf.cli.logs import set_up_logs
from gridleaf.domain.clock import RealClock
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import load
from gridleaf.store import open_store
from gridleaf.store.port import Store
from gridleaf.web.auth import Accounts, Role, plain_name

T = TypeVar("T")

LEAST_PASSWORD = 10

SiteFile = Annotated[Path, typer.Argument(metavar="SITE.toml", help="The site file.")]
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Of the account; for a driver the vehicle's id token."),
]
RoleOption = Annotated[Role, typer.Option("--role", help="What the account may do.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Who may use the console and the API.")
    group.command("add")(add)
    group.command("token")(token)
    group.command("list")(list_accounts)
    group.command("remove")(remove)
    app.add_typer(group, name="account")


def add(site_file: SiteFile, name: Name, role: RoleOption = "operator") -> None:
    """Add a person, or give one a new password: asked for, or a line on standard input."""
    _check_name(name)
    password = _password()

    async def work(store: Store) -> None:
        await Accounts(store, RealClock()).add_person(name, role, password)

    _with_store(site_file, work)
    print(f"{name} may sign in as {role}.")


def token(site_file: SiteFile, name: Name, role: RoleOption = "viewer") -> None:
    """Make a token for a program, or renew it. It is printed once and kept only as a hash."""
    _check_name(name)

    async def work(store: Store) -> str:
        return await Accounts(store, RealClock()).add_token(name, role)

    print(_with_store(site_file, work))


def list_accounts(
    site_file: SiteFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show who has an account, without their secrets."""

    async def work(store: Store) -> list[dict[str, str]]:
        return [
            {
                "name": account.name,
                "kind": account.kind,
                "role": account.role,
                "created_at": account.created_at.isoformat(timespec="seconds"),
            }
            for account in sorted(await store.accounts(), key=lambda a: a.name)
        ]

    found = _with_store(site_file, work)
    if as_json:
        print(json.dumps({"accounts": found}))
        return
    table = Table(show_edge=False)
    for head in ("name", "kind", "role", "created_at"):
        table.add_column(head)
    for row in found:
        table.add_row(*row.values())
    Console().print(table)


def remove(site_file: SiteFile, name: Name) -> None:
    """Remove an account; its password, its token and its open sessions are worth nothing at once."""

    async def work(store: Store) -> bool:
        return await store.delete_account(name)

    if not _with_store(site_file, work):
        raise ConfigError(name, "there is no such account")
    print(f"{name} is removed.")


def _with_store(site_file: Path, work: Callable[[Store], Awaitable[T]]) -> T:
    set_up_logs(quiet=True)

    async def run() -> T:
        store = open_store(load(site_file).storage)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def _check_name(name: str) -> None:
    if not plain_name(name):
        raise ConfigError("NAME", "must be 1 to 255 printable characters")


def _password() -> str:
    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < LEAST_PASSWORD:
        raise ConfigError("password", f"must have at least {LEAST_PASSWORD} characters")
    return password
