"""The composition root: a site in, a running service with its sockets out."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConfigError, StoreUnavailable
from gridleaf.domain.site import SiteConfig
from gridleaf.gateway.secrets import load_secrets
from gridleaf.gateway.server import OcppServer
from gridleaf.platform import Platform
from gridleaf.store import open_store
from gridleaf.tariff import PriceSource
from gridleaf.web.app import create_app
from gridleaf.web.serve import serve

__all__ = ["Platform", "Service", "running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A platform that is up: where it listens, and the task that runs it (ends only when cancelled)."""

    platform: Platform
    ocpp_port: int
    web_port: int | None
    work: asyncio.Task[None]


@asynccontextmanager
async def running(
    site: SiteConfig,
    *,
    clock: Clock,
    rng: random.Random,
    secrets: dict[str, str] | None = None,
    console: bool = True,
    auto_login: bool = False,
    source: PriceSource | None = None,
) -> AsyncIterator[Service]:
    """Open the store, restore the live view, listen for stations and people, and control.

    Parameters
    ----------
    secrets
        Station id to password; read from where the site file says when absent.
    console
        Whether the API and the console are served.
    auto_login
        Whether loopback is signed in to the console by itself (the demo).
    source
        Market prices; made from the tariff when absent.

    Raises
    ------
    ConfigError
        An address cannot be bound, or a secret is missing.
    StoreUnavailable
        The store cannot be opened, or another process leads this site.
    """
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        store = open_store(site.storage)
        await store.open()
        stack.push_async_callback(store.close)
        if not await store.lead():
            raise StoreUnavailable("another gridleaf runs this site on the same store")
        planner = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="planner"))
        platform = Platform(
            site,
            clock=clock,
            store=store,
            rng=rng,
            source=source,
            executor=planner,
            registry=registry,
        )
        await platform.restore()
        stack.push_async_callback(platform.close)
        server = OcppServer(
            platform.gateway,
            site=site,
            clock=clock,
            secrets=load_secrets(site) if secrets is None else secrets,
            rng=rng,
        )
        with _listening("server.ocpp_port", site.server.ocpp_host, site.server.ocpp_port):
            ocpp_port = await server.start()
        stack.push_async_callback(server.stop)
        web_port = None
        if console:
            with _listening("server.port", site.server.host, site.server.port):
                web_port, stop = await serve(
                    create_app(platform, registry=registry, auto_login=auto_login),
                    site.server.host,
                    site.server.port,
                    certificate=site.server.tls_certificate,
                    key=site.server.tls_key,
                )
            stack.push_async_callback(stop)
        work = asyncio.create_task(platform.run())
        stack.push_async_callback(_end, work)
        yield Service(platform=platform, ocpp_port=ocpp_port, web_port=web_port, work=work)


@contextmanager
def _listening(key: str, host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(key, f"cannot listen on {host}:{port}: {reason}") from error


async def _end(work: asyncio.Task[None]) -> None:
    work.cancel()
    await asyncio.wait([work])
