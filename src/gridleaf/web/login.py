"""Signing in and out, and the gate that stands before the console.

The sign-in page is plain HTML: it works without JavaScript and under the strictest content policy.
"""

from __future__ import annotations

import html
from importlib.resources import files
from urllib.parse import parse_qs, quote, urlsplit

import nicegui
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gridleaf.web.access import is_local
from gridleaf.web.auth import SESSION_LIFE, Accounts, Principal, Throttled

COOKIE = "gridleaf_session"
SCOPE_KEY = "gridleaf.principal"

_STATIC = files("gridleaf.web") / "static"
STYLE = (_STATIC / "console.css").read_bytes()
ICON = (_STATIC / "leaf.svg").read_bytes()
_ASSETS = {"console.css": (STYLE, "text/css"), "leaf.svg": (ICON, "image/svg+xml")}

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# NiceGUI writes its page as an inline script and compiles its templates in the browser.
CONSOLE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_LONGEST_PATH = 2000
router = APIRouter(include_in_schema=False)


@router.get("/assets/{name}")
async def asset(name: str) -> Response:
    """The style sheet and the mark."""
    if name not in _ASSETS:
        return Response(status_code=404)
    body, kind = _ASSETS[name]
    return Response(body, media_type=kind, headers={"Cache-Control": "public, max-age=3600"})


@router.get("/login")
async def login_page(request: Request, next: str = "/") -> Response:
    """The form."""
    return await _form(request, next)


@router.post("/login")
async def login(request: Request) -> Response:
    """Check a name and a password; on success set the session cookie and go on."""
    if not same_origin(request):
        return await _form(request, "/", "This form was sent from another page.", 403)
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    name, password, target = (fields.get(key, [""])[0] for key in ("name", "password", "next"))
    accounts: Accounts = request.app.state.accounts
    peer = request.client.host if request.client else ""
    try:
        principal = await accounts.by_password(name, password, peer)
    except Throttled as error:
        answer = await _form(request, target, f"Too many attempts. {_patience(error.wait_s)}", 429)
        answer.headers["Retry-After"] = str(int(error.wait_s) + 1)
        return answer
    if principal is None:
        return await _form(request, target, "This name and password do not fit together.", 401)
    response = RedirectResponse(_inside(target), 303)
    response.set_cookie(
        COOKIE,
        await accounts.open_session(principal),
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """Forget the session cookie."""
    response = RedirectResponse("/login", 303)
    if same_origin(request):
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _patience(wait_s: float) -> str:
    return (
        f"Try again in {wait_s:.0f} s." if wait_s < 90 else f"Try again in {wait_s / 60:.0f} min."
    )


def _inside(target: str) -> str:
    """Only a path of this very site; everything else leads home."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain and len(target) <= _LONGEST_PATH and _host(target) == "" else "/"


def _host(address: str) -> str | None:
    """Host and port of an address; None when it is none."""
    try:
        return urlsplit(address).netloc
    except ValueError:  # an unfinished IPv6 address
        return None


async def _form(request: Request, target: str, problem: str = "", status: int = 200) -> Response:
    accounts: Accounts = request.app.state.accounts
    site = html.escape(request.app.state.platform.site.name)
    if not problem and await accounts.empty():
        problem = "Nobody can sign in yet. Add a person with: gridleaf account add SITE.toml NAME"
    alert = f'<p class="login-problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · gridleaf</title>
<link rel="icon" href="/assets/leaf.svg">
<link rel="stylesheet" href="/_nicegui/{nicegui.__version__}/static/fonts.css">
<link rel="stylesheet" href="/assets/console.css">
</head>
<body class="login">
<main class="login-card">
<img src="/assets/leaf.svg" alt="" width="40" height="40">
<h1>{site}</h1>
<p class="quiet">Sign in to gridleaf</p>
{alert}
<form method="post" action="/login">
<input type="hidden" name="next" value="{html.escape(_inside(target))}">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button class="button primary" type="submit">Sign in</button>
</form>
</main>
</body>
</html>""",
        status_code=status,
        headers={"Cache-Control": "no-store"},
    )


def same_origin(connection: HTTPConnection) -> bool:
    """Whether a browser says that the request comes from a page of this very site."""
    headers = connection.headers
    origin, host = headers.get("origin"), headers.get("host")
    if origin is not None:
        return bool(host) and _host(origin) == host
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


class Gate:
    """Lets only people who are signed in through to the console.

    With ``auto_login`` whoever sits at this very machine is an operator. A driver gets no further
    than the driver's page. The principal is put into the scope under ``SCOPE_KEY``.
    """

    def __init__(self, inner: ASGIApp, accounts: Accounts, *, auto_login: bool) -> None:
        self._inner = inner
        self._accounts = accounts
        self._auto_login = auto_login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        path = connection.url.path
        if path.startswith("/_nicegui/"):  # the library's own scripts and fonts
            await self._inner(scope, receive, send)
            return
        principal = await self._who(connection)
        if principal is None:
            await self._refuse(scope, receive, send, f"/login?next={quote(path)}")
            return
        wire = path.startswith("/_nicegui_ws/")
        if (wire or scope["method"] not in ("GET", "HEAD")) and not same_origin(connection):
            await self._refuse(scope, receive, send, None)
            return
        if principal.role == "driver" and not wire and not path.startswith("/driver"):
            await RedirectResponse("/driver", 303)(scope, receive, send)
            return
        scope[SCOPE_KEY] = principal
        await self._inner(scope, receive, send)

    async def _who(self, connection: HTTPConnection) -> Principal | None:
        cookie = connection.cookies.get(COOKIE)
        principal = await self._accounts.by_cookie(cookie) if cookie else None
        if principal is None and self._auto_login:
            host = connection.client.host if connection.client else None
            if is_local(host, dict(connection.scope["headers"]), named=True):
                return Principal(name="demo", role="operator")
        return principal

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, login: str | None) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif login is not None and scope["method"] == "GET":
            await RedirectResponse(login, 303)(scope, receive, send)
        else:
            await Response(status_code=403)(scope, receive, send)


class SecurityHeaders:
    """Adds the protective headers to every response; the console needs a wider content policy."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        https = scope["scheme"] == "https"

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                page = Headers(raw=message["headers"]).get("x-nicegui-content") is not None
                added = HEADERS | {
                    "Content-Security-Policy": CONSOLE_POLICY if page else STRICT_POLICY
                }
                if https:
                    added["Strict-Transport-Security"] = "max-age=31536000"
                message["headers"] = [
                    *message["headers"],
                    *((k.lower().encode(), v.encode()) for k, v in added.items()),
                ]
            await send(message)

        await self._inner(scope, receive, protected)
