"""Bearer tokens and roles at the door of the API.

====================  =======  =======================  =========
what                  viewer   driver                   operator
====================  =======  =======================  =========
read anything         yes      only what is his own     yes
a session's wish      no       his own                  any
stop a session        no       his own                  any
any other command     no       no                       yes
====================  =======  =======================  =========
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gridleaf.domain.clock import Clock
from gridleaf.store.port import SessionRecord
from gridleaf.web.auth import Accounts, Principal
from gridleaf.web.port import Platform
from gridleaf.web.schema import SessionId

_bearer = HTTPBearer(auto_error=False, description="A token of `gridleaf account token`.")


def _platform(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


def _clock(request: Request) -> Clock:
    clock: Clock = request.app.state.clock
    return clock


async def _principal(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Principal:
    accounts: Accounts = request.app.state.accounts
    principal = await accounts.by_token(credentials.credentials) if credentials else None
    if principal is None:
        raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
    request.state.name = principal.name
    return principal


ThePlatform = Annotated[Platform, Depends(_platform)]
PeoplesClock = Annotated[Clock, Depends(_clock)]
Anyone = Annotated[Principal, Depends(_principal)]


def _watcher(principal: Anyone) -> Principal:
    if not principal.watches:
        raise HTTPException(403, "a driver sees only the sessions of the own vehicle")
    return principal


def _operator(principal: Anyone) -> Principal:
    if not principal.operates:
        raise HTTPException(403, "only an operator may do this")
    return principal


async def _readable(
    session_id: SessionId, principal: Anyone, platform: ThePlatform
) -> SessionRecord:
    session = await platform.store.session(session_id)
    if principal.role == "driver" and (session is None or not principal.owns(session.id_token)):
        # the same answer for a session that is not there: nobody can sweep the ids
        raise HTTPException(403, "this is not a session of the own vehicle")
    if session is None:
        raise HTTPException(404, "there is no such session")
    return platform.current(session)


def _steerable(
    session: Annotated[SessionRecord, Depends(_readable)], principal: Anyone
) -> SessionRecord:
    if principal.role == "viewer":
        raise HTTPException(403, "a viewer may look only")
    return session


Watcher = Depends(_watcher)
Operator = Depends(_operator)
ReadableSession = Annotated[SessionRecord, Depends(_readable)]
SteerableSession = Annotated[SessionRecord, Depends(_steerable)]


def is_local(
    host: str | None, headers: dict[bytes, bytes] | None = None, *, named: bool = False
) -> bool:
    """Whether a request comes from this very machine and through no proxy.

    With ``named`` the request must also have asked for this machine by a name of its own, so that no
    foreign page can reach it by DNS rebinding.
    """
    headers = headers or {}
    if host is None or any(name in headers for name in (b"forwarded", b"x-forwarded-for")):
        return False
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
    if not named:
        return local
    asked = headers.get(b"host", b"").decode("latin-1")
    name = asked.rpartition(":")[0] if asked.rpartition(":")[2].isdigit() else asked
    return local and name in ("localhost", "127.0.0.1", "[::1]")
