"""The site's signals from an MQTT broker."""

from __future__ import annotations

import asyncio
import json
import math
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import aiomqtt
import structlog

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import Mqtt
from gridleaf.signals.intake import Field, Join, Sink, pauses, plausible, reject

KEEPALIVE_S = 15
_MILLISECONDS = 1e11
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Route:
    """Where in the payloads of a topic a field stands."""

    field: Field
    path: tuple[str, ...]
    scale: float


def routes_of(config: Mqtt) -> dict[str, tuple[Route, ...]]:
    """The fields of each topic; raises :class:`ConfigError` for a mapping that cannot work."""
    routes: dict[str, tuple[Route, ...]] = {}
    for field, mapping in config.fields.items():
        topic, _, path = mapping.partition("#")
        where = f"signals.mqtt.fields.{field}"
        if not topic or "+" in topic:
            raise ConfigError(where, f"{mapping!r}: one topic without wildcards is needed")
        if mapping.endswith("#"):
            raise ConfigError(where, f"{mapping!r}: a path into the payload must follow #")
        scale = config.scale.get(field, 1.0)
        if not math.isfinite(scale) or scale == 0:
            raise ConfigError(f"signals.mqtt.scale.{field}", "must be a number other than 0")
        route = Route(field, tuple(path.split(".")) if path else (), scale)
        routes[topic] = (*routes.get(topic, ()), route)
    if not routes:
        raise ConfigError("signals.mqtt.fields", "no field is mapped to a topic")
    return routes


class Payloads:
    """Turns payloads into values; remembers per field what it has seen to tell new from old.

    A value without a time of its own counts as measured when it arrives, so a retained one, which
    may be of any age, is not used. With a time, a value not newer than the last is not used, and a
    time ahead of our clock counts as now.
    """

    def __init__(self, config: Mqtt, clock: Clock) -> None:
        self.routes = routes_of(config)
        self._time_path = tuple(config.timestamp.split(".")) if config.timestamp else None
        self._clock = clock
        self._seen: dict[Field, datetime] = {}
        self._complained: set[tuple[str, str]] = set()

    def read(
        self, topic: str, payload: bytes, *, retained: bool
    ) -> tuple[datetime, dict[Field, float]] | None:
        """When it was measured and the values by field; None when nothing can be used."""
        try:
            content: object = json.loads(payload)
        except ValueError:
            content = payload.decode("utf-8", errors="replace").strip()
        now = self._clock.now()
        said = None if self._time_path is None else _moment(_at(content, self._time_path))
        if said is None and retained:
            self._complain(topic, "retained")
            return None
        values: dict[Field, float] = {}
        for route in self.routes.get(topic, ()):
            number = _number(_at(content, route.path))
            kw = None if number is None else plausible(route.field, number * route.scale)
            if kw is None:
                self._complain(topic, "no number" if number is None else "implausible")
            elif said is not None and said <= self._seen.get(route.field, _LONG_AGO):
                reject("mqtt", "not newer")
            else:
                values[route.field] = kw
                self._complained -= {(topic, "no number"), (topic, "implausible")}
                if said is not None:
                    self._seen[route.field] = said
        return (now if said is None else min(said, now), values) if values else None

    def _complain(self, topic: str, reason: str) -> None:
        reject("mqtt", reason)
        if (topic, reason) not in self._complained:
            self._complained.add((topic, reason))
            _log.warning("mqtt value not used", topic=topic, reason=reason)


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def _at(content: object, path: Sequence[str]) -> object:
    for key in path:
        if isinstance(content, Mapping):
            content = content.get(key)
        elif isinstance(content, list) and key.isdigit() and int(key) < len(content):
            content = content[int(key)]
        else:
            return None
    return content


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _moment(value: object) -> datetime | None:
    """ISO 8601 with an offset, Unix seconds or milliseconds; anything else is no time."""
    number = _number(value)
    try:
        if number is not None:
            return datetime.fromtimestamp(number / (1000 if number > _MILLISECONDS else 1), UTC)
        at = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return at.astimezone(UTC) if at.tzinfo is not None else None


class Inbox:
    """The newest value of each field that was not handed on yet: a slow sink sees no old ones."""

    def __init__(self) -> None:
        self._values: dict[Field, tuple[datetime, float]] = {}
        self._filled = asyncio.Event()

    def put(self, at: datetime, values: Mapping[Field, float]) -> None:
        self._values.update({field: (at, kw) for field, kw in values.items()})
        self._filled.set()

    async def take(self) -> list[SiteMeasurement]:
        """Wait for values; one measurement for each time of measurement, oldest first."""
        await self._filled.wait()
        self._filled.clear()
        taken, self._values = self._values, {}
        measurements = []
        for at in sorted({when for when, _ in taken.values()}):
            now = {field: kw for field, (when, kw) in taken.items() if when == at}
            measurements.append(
                SiteMeasurement(
                    measured_at=at,
                    grid_kw=now.get("grid_kw"),
                    pv_kw=now.get("pv_kw"),
                    load_kw=now.get("load_kw"),
                    source="mqtt",
                )
            )
        return measurements


def check_mqtt(config: Mqtt) -> None:
    """Raises :class:`ConfigError` for a mapping or a password that cannot be used."""
    routes_of(config)
    _password(config)


async def follow_mqtt(config: Mqtt, clock: Clock, sink: Sink) -> None:
    """Hand measurements to ``sink`` until cancelled; reconnects by itself, after 1, 2, 4 ... 60 s.

    Raises
    ------
    ConfigError
        At once, for a mapping or a password that cannot be used.
    """
    payloads = Payloads(config, clock)
    password = _password(config)
    inbox, join = Inbox(), Join(sink)

    async def forward() -> None:
        while True:
            for measurement in await inbox.take():
                await join(measurement)

    async def receive() -> None:
        waits = pauses()
        while True:
            try:
                async with _client(config, password) as client:
                    await _subscribe(client, list(payloads.routes))
                    _log.info("mqtt connected", host=config.host, port=config.port)
                    waits = pauses()
                    async for message in client.messages:
                        read = payloads.read(
                            message.topic.value, bytes(message.payload), retained=message.retain
                        )
                        if read is not None:
                            inbox.put(*read)
            except (aiomqtt.MqttError, OSError) as error:
                wait_s = next(waits)
                _log.warning(
                    "mqtt lost", host=config.host, reason=str(error) or type(error).__name__,
                    retry_s=wait_s,
                )  # fmt: skip
                await clock.sleep(wait_s)

    async with asyncio.TaskGroup() as group:
        group.create_task(forward())
        group.create_task(receive())


def _client(config: Mqtt, password: str | None) -> aiomqtt.Client:
    return aiomqtt.Client(
        config.host,
        config.port,
        username=config.username,
        password=password,
        keepalive=KEEPALIVE_S,
        tls_context=ssl.create_default_context() if config.tls else None,
    )


async def _subscribe(client: aiomqtt.Client, topics: Sequence[str]) -> None:
    granted = await client.subscribe([(topic, 0) for topic in topics])
    codes = [code if isinstance(code, int) else code.value for code in granted]
    refused = [topic for topic, code in zip(topics, codes, strict=True) if code >= 128]
    if refused:
        raise aiomqtt.MqttError(f"the broker refuses the topic {refused[0]}")


def _password(config: Mqtt) -> str | None:
    if config.password_file is not None:
        try:
            return config.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                "signals.mqtt.password_file", f"{config.password_file}: {error}"
            ) from None
    if config.password_env is not None:
        if config.password_env not in os.environ:
            raise ConfigError("signals.mqtt.password_env", f"{config.password_env} is not set")
        return os.environ[config.password_env]
    return None
