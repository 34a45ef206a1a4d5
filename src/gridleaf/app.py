"""The composition root: a site in, a running service with its sockets out."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from prometheus_client import CollectorRegistry

from gridleaf.battery.catalogue import catalogue, unknown
from gridleaf.control.batteries import expected
from gridleaf.control.passports import key_file
from gridleaf.control.wear import usual_wear_per_kwh
from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConfigError, GridleafError, StoreUnavailable
from gridleaf.domain.site import Server, SiteConfig
from gridleaf.gateway.secrets import load_secrets
from gridleaf.gateway.server import OcppServer
from gridleaf.gateway.tls import TlsFiles
from gridleaf.platform import Platform
from gridleaf.signals import check_mqtt, load_map
from gridleaf.store import open_store
from gridleaf.tariff import PriceSource, make_source
from gridleaf.web.app import create_app
from gridleaf.web.serve import serve

__all__ = ["Platform", "Service", "refusals", "running"]

_EVERYWHERE = ("0.0.0.0", "::")
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)


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
        Something of :func:`refusals`, before anything listens, or an address cannot be bound.
    StoreUnavailable
        The store cannot be opened, or another process leads this site.
    """
    if source is None:
        source = make_source(site.tariff, clock=clock, timezone=site.timezone)
    if secrets is None:
        secrets = load_secrets(site)
    if wrong := refusals(site, secrets=secrets, source=source, console=console):
        first, *others = wrong
        raise ConfigError(first.path, "\n  ".join((first.reason, *map(str, others))))
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
            passport_key=key_file(site.storage),
        )
        await platform.restore()
        stack.push_async_callback(platform.close)
        server = OcppServer(
            platform.gateway,
            site=site,
            clock=clock,
            secrets=secrets,
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
        work = asyncio.create_task(_plainly(platform.run()))
        stack.push_async_callback(_end, work)
        yield Service(platform=platform, ocpp_port=ocpp_port, web_port=web_port, work=work)


def refusals(
    site: SiteConfig,
    *,
    secrets: dict[str, str] | None = None,
    source: PriceSource | None = None,
    console: bool = True,
) -> list[ConfigError]:
    """Why :func:`running` would not start this site, as far as files and environment tell.

    Uses what the run uses and opens no socket and no store. What is handed in is not looked for.
    """
    signals = site.signals
    needs: list[Callable[[], object]] = [partial(open_store, site.storage)]
    if secrets is None:
        needs.append(partial(load_secrets, site))
    if source is None:
        needs.append(partial(make_source, site.tariff, timezone=site.timezone))
    if signals.mqtt is not None:
        needs.append(partial(check_mqtt, signals.mqtt))
    needs += [partial(load_map, meter.map) for meter in signals.modbus]
    needs.append(partial(_check_batteries, site))
    needs.append(partial(_check_certificates, site))
    if console:
        needs.append(partial(_check_ports, site.server))
    found = []
    for need in needs:
        try:
            need()
        except ConfigError as error:
            found.append(error)
    return found


def _check_batteries(site: SiteConfig) -> None:
    named = [("defaults", site.defaults.battery)]
    named += [(f"vehicles.{v.id_token}", v.battery) for v in site.vehicles]
    known = catalogue()
    for where, battery in named:
        if battery is not None and battery not in known.packs:
            raise ConfigError(f"{where}.battery", str(unknown(battery, "battery", known.packs)))
    for vehicle in site.vehicles:
        # so that no cycle waits for the compiler
        usual_wear_per_kwh(vehicle, site.defaults, 1.0)
        expected(vehicle, site.defaults, _ANY_DAY)


def _check_certificates(site: SiteConfig) -> None:
    server = site.server
    if server.tls_certificate is not None or server.tls_key is not None:
        TlsFiles(server, lambda reason: None)
    elif server.client_ca is not None:
        raise ConfigError("server.client_ca", "needs tls_certificate and tls_key")
    for station in site.stations:
        if station.security_profile == 3 and server.client_ca is None:
            raise ConfigError(f"stations.{station.id}.security_profile", "3 needs server.client_ca")


def _check_ports(server: Server) -> None:
    hosts = {server.host, server.ocpp_host}
    same = len(hosts) == 1 or not hosts.isdisjoint(_EVERYWHERE)
    if same and server.port == server.ocpp_port != 0:
        raise ConfigError("server.ocpp_port", f"{server.port} is the console's port already")


@contextmanager
def _listening(key: str, host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(key, f"cannot listen on {host}:{port}: {reason}") from error


async def _plainly(work: Awaitable[None]) -> None:
    """An error of ours that ended a group of tasks, without the group around it."""
    try:
        await work
    except BaseExceptionGroup as group:
        ours, others = group.split(GridleafError)
        if ours is None or others is not None:
            raise
        error: BaseException = ours
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from group


async def _end(work: asyncio.Task[None]) -> None:
    work.cancel()
    await asyncio.wait([work])
