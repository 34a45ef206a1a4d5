"""Errors as problem details (RFC 9457): one shape for every refusal of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gridleaf.domain.errors import (
    CallTimeout,
    ConnectionLost,
    GridleafError,
    ProtocolError,
    RejectedByStation,
    StoreUnavailable,
)

PROBLEM = "application/problem+json"
MAX_BODY = 1_000_000
"""Largest request [bytes]."""

log = structlog.get_logger()


class Mistake(BaseModel):
    """One thing that is wrong with a request."""

    where: str
    why: str


class Problem(BaseModel):
    """What went wrong. ``code`` is the station's or the protocol's own word for it, if any."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str | None = None
    mistakes: list[Mistake] | None = None


_STATUS: tuple[tuple[type[GridleafError], int], ...] = (
    (ConnectionLost, 409),
    (ProtocolError, 422),
    (RejectedByStation, 502),
    (CallTimeout, 504),
    (StoreUnavailable, 503),
)


def problem(
    status: int,
    detail: str = "",
    *,
    code: str | None = None,
    mistakes: list[Mistake] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem as a response."""
    body = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, mistakes=mistakes
    )
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        media_type=PROBLEM,
        headers=headers,
    )


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(AnyHTTPException, refused)
    app.add_exception_handler(GridleafError, _mapped)
    app.add_exception_handler(Exception, _unexpected)


class BodyLimit:
    """Refuses a request whose body is too large: at once where it says so, else while it comes."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        if said.isdecimal() and int(said) > MAX_BODY:
            await problem(413, _TOO_LARGE)(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self._inner(scope, counted, send)


_TOO_LARGE = f"the request is larger than {MAX_BODY // 1_000_000} MB"


@contextmanager
def named(what: str) -> Iterator[None]:
    """A KeyError inside means that there is no such ``what``: 404."""
    try:
        yield
    except KeyError:
        raise HTTPException(404, f"there is no such {what}") from None


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    # Neither the input nor its context is repeated: it may hold what nobody else should read.
    assert isinstance(error, RequestValidationError)
    mistakes = [
        Mistake(where=".".join(str(part) for part in item["loc"]), why=item["msg"])
        for item in error.errors()
    ]
    return problem(422, "the request does not fit the description of the API", mistakes=mistakes)


async def refused(request: Request, error: Exception) -> JSONResponse:
    """Answer a refusal with a problem."""
    assert isinstance(error, AnyHTTPException)
    if error.status_code in (401, 403):
        log.warning(
            "access_denied",
            status=error.status_code,
            method=request.method,
            path=request.url.path,
            name=getattr(request.state, "name", None),
            peer=request.client.host if request.client else None,
        )
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _allowed(request)
    return problem(error.status_code, error.detail, headers=headers)


def _allowed(request: Request) -> str:
    """Every method of a resource; the router knows only those of the first route that fits."""
    app: FastAPI = request.app
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    described = app.openapi()["paths"]
    fitting = (ops for template, ops in described.items() if compile_path(template)[0].match(path))
    return ", ".join(sorted({method.upper() for operations in fitting for method in operations}))


async def _mapped(request: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    code = error.code if isinstance(error, ProtocolError | RejectedByStation) else None
    if status == 500:
        log.error("api_error", path=request.url.path, error=type(error).__name__)
        return problem(500)
    return problem(status, str(error), code=code)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("api_error", path=request.url.path, error=type(error).__name__, exc_info=error)
    return problem(500)
