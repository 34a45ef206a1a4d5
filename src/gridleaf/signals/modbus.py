"""A meter of the site by Modbus TCP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import SourceUnavailable
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import Modbus
from gridleaf.signals.intake import Join, Sink, pauses, plausible, reject
from gridleaf.signals.registers import Reading, RegisterMap, decode, load_map, spans

TIMEOUT_S = 3.0
SUNSPEC_BASES = (40000, 50000, 0)
"""Where a SunSpec device may begin (SunSpec Device Information Model Specification, 6.2)."""
_SUNS = [0x5375, 0x6E53]
_END = 0xFFFF
_MOST_MODELS = 100
_log = structlog.get_logger()


async def follow_modbus(config: Modbus, clock: Clock, sink: Sink) -> None:
    """Hand a measurement to ``sink`` every ``every_s`` until cancelled.

    A meter that is away, or refuses our registers, is tried again after 1, 2, 4 ... 60 s.

    Raises
    ------
    ConfigError
        At once, for a register map that does not exist or cannot be used.
    """
    layout = load_map(config.map)
    join = Join(sink)
    waits = pauses()
    while True:
        meter = _Meter(config, layout)
        try:
            await meter.open()
            _log.info("meter connected", host=config.host, map=config.map)
            due = clock.monotonic()
            while True:
                # The time before the request: the value is at most that old.
                measured_at = clock.now()
                measurement = _measurement(config, await meter.read(), measured_at=measured_at)
                waits = pauses()
                if measurement is None:
                    reject("modbus", "not available")
                else:
                    await join(measurement)
                due = max(due + config.every_s, clock.monotonic())
                await clock.sleep(due - clock.monotonic())
        except (ModbusException, OSError, SourceUnavailable) as error:
            wait_s = next(waits)
            _log.warning("meter lost", host=config.host, reason=str(error), retry_s=wait_s)
            await clock.sleep(wait_s)
        finally:
            meter.close()


def _measurement(
    config: Modbus, reading: Reading, *, measured_at: datetime
) -> SiteMeasurement | None:
    sign = -1.0 if config.invert else 1.0
    if reading.power_kw is None:
        return None
    kw = plausible(config.measures, sign * reading.power_kw)
    if kw is None:
        return None
    at_grid = config.measures == "grid_kw"
    amps = reading.phase_a if at_grid else None
    return SiteMeasurement(
        measured_at=measured_at,
        grid_kw=kw if at_grid else None,
        pv_kw=kw if config.measures == "pv_kw" else None,
        load_kw=kw if config.measures == "load_kw" else None,
        source="modbus",
        grid_phase_a=None if amps is None else (sign * amps[0], sign * amps[1], sign * amps[2]),
    )


class _Meter:
    """One connection to one meter."""

    def __init__(self, config: Modbus, layout: RegisterMap) -> None:
        self._layout = layout
        self._unit = config.unit
        self._where = f"{config.host}:{config.port}"
        self._offset = 0
        self._client = AsyncModbusTcpClient(
            config.host, port=config.port, timeout=TIMEOUT_S, retries=0, reconnect_delay=0
        )

    async def open(self) -> None:
        if not await self._client.connect():
            raise SourceUnavailable(f"{self._where} does not answer")
        if self._layout.sunspec_models:
            self._offset = await self._find_model(self._layout.sunspec_models)

    async def read(self) -> Reading:
        registers: dict[int, int] = {}
        for address, count in spans(self._layout):
            words = await self._registers(self._offset + address, count)
            registers.update(enumerate(words, address))
        return decode(self._layout, registers)

    def close(self) -> None:
        self._client.close()

    async def _registers(self, address: int, count: int) -> list[int]:
        read = (
            self._client.read_input_registers
            if self._layout.function == 4
            else self._client.read_holding_registers
        )
        answer = await read(address, count=count, device_id=self._unit)
        if answer.isError() or len(answer.registers) != count:
            code = getattr(answer, "exception_code", "?")
            raise SourceUnavailable(
                f"{self._where} refuses registers {address} to {address + count - 1} of unit"
                f" {self._unit} (exception {code}): wrong map or unit?"
            )
        return list(answer.registers)

    async def _find_model(self, models: Sequence[int]) -> int:
        """Address of the first register after the header of a model; walks the chain of models."""
        for base in SUNSPEC_BASES:
            try:
                marker = await self._registers(base, 2)
            except SourceUnavailable:
                continue
            if marker != _SUNS:
                continue
            at = base + 2
            for _ in range(_MOST_MODELS):
                model, length = await self._registers(at, 2)
                if model in models:
                    return at + 2
                if model == _END:
                    break
                at += 2 + length
            raise SourceUnavailable(f"{self._where} has none of the SunSpec models {list(models)}")
        raise SourceUnavailable(f"{self._where} is no SunSpec device")
