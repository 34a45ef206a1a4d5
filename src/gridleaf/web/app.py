"""The web application: API, console, metrics and health in one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException

from gridleaf.domain.clock import Clock, RealClock
from gridleaf.domain.errors import StoreUnavailable
from gridleaf.web import login
from gridleaf.web.access import is_local
from gridleaf.web.api import create_api
from gridleaf.web.auth import Accounts
from gridleaf.web.console import Console, mount, running
from gridleaf.web.metrics import SiteCollector
from gridleaf.web.port import Platform
from gridleaf.web.problems import BodyLimit, refused


def create_app(
    platform: Platform,
    *,
    registry: CollectorRegistry | None = None,
    auto_login: bool = False,
    clock: Clock | None = None,
) -> FastAPI:
    """The web application of a running platform.

    Parameters
    ----------
    registry
        Metrics of the rest of the platform; the web room adds its own to them.
    auto_login
        Whoever sits at this very machine is signed in to the console as an operator (the demo).
    clock
        The time people live in: sessions end, throttling and event streams go by it. The machine's
        when absent; the platform's own clock may be a simulated one.
    """
    clock = clock or RealClock()
    registry = registry or CollectorRegistry()
    accounts = Accounts(platform.store, clock)
    collector = SiteCollector(platform)
    console = Console(platform, accounts, clock, auto_login=auto_login)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        registry.register(collector)
        try:
            async with running():
                yield
        finally:
            registry.unregister(collector)

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    # a path with a line break fits no mount: the API's errors look alike there too
    app.add_exception_handler(HTTPException, refused)
    app.state.platform = platform
    app.state.accounts = accounts

    @app.get("/health")
    async def health() -> Response:
        """Whether the platform can work: 200, or 503 while its store is down."""
        try:
            await platform.store.value("web.health")
        except StoreUnavailable:
            return JSONResponse({"status": "store unavailable"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    async def metrics(
        request: Request, authorization: Annotated[str | None, Header()] = None
    ) -> Response:
        """Prometheus text; on this very machine without a token, else for viewers and operators."""
        host = request.client.host if request.client else None
        if not is_local(host, dict(request.headers.raw)):
            scheme, _, token = (authorization or "").partition(" ")
            principal = await accounts.by_token(token) if scheme.lower() == "bearer" else None
            if principal is None:
                return PlainTextResponse(
                    "a bearer token is needed", 401, {"WWW-Authenticate": "Bearer"}
                )
            if not principal.watches:
                return PlainTextResponse("not for drivers", 403)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    app.include_router(login.router)
    app.mount("/api/v1", create_api(platform, accounts, clock))
    app.mount("/", mount(console, accounts, auto_login=auto_login))
    app.add_middleware(BodyLimit)
    app.add_middleware(login.SecurityHeaders)
    return app
