"""Serving the web application inside a loop that is already running."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

GRACE_S = 2
"""Open event streams and pages get this long to end when the server stops [s]."""


class _Server(uvicorn.Server):
    """A server that leaves the signals to the program around it and tells when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


async def serve(
    app: FastAPI,
    host: str,
    port: int,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
) -> tuple[int, Callable[[], Awaitable[None]]]:
    """Serve ``app`` until the returned function is called.

    Parameters
    ----------
    port
        0 takes any free port.
    certificate, key
        PEM files; with them the server speaks TLS.

    Returns
    -------
    int
        The port it is bound to.
    stop
        Ends open connections and returns when all is closed.

    Raises
    ------
    OSError
        The address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=str(certificate) if certificate else None,
            ssl_keyfile=str(key) if key else None,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    up = asyncio.create_task(server.up.wait())
    await asyncio.wait((task, up), return_when=asyncio.FIRST_COMPLETED)
    if not up.done():
        up.cancel()
        listener.close()
        await task
        raise RuntimeError("the web application did not start")

    async def stop() -> None:
        server.should_exit = True
        await task

    bound: int = listener.getsockname()[1]
    return bound, stop
