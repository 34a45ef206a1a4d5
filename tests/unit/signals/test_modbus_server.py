"""Against a real Modbus TCP server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Modbus
from gridleaf.signals import follow_modbus
from signal_fakes import Ear, FastClock, MeterServer, running, words

SDM630 = {6: words("f", 10.0, 11.0, 12.0, 2300.0, -2500.0, 2700.0), 52: words("f", 2500.0)}


def config(server: MeterServer, **changes: Any) -> Modbus:
    return Modbus.model_validate(
        {
            "measures": "grid_kw",
            "host": "127.0.0.1",
            "port": server.port,
            "map": "eastron-sdm630",
            "every_s": 1.0,
            **changes,
        }
    )


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_meter_is_read_again_and_again() -> None:
    async def test() -> None:
        ear = Ear()
        async with (
            MeterServer(SDM630, function=4) as server,
            running(follow_modbus(config(server), FastClock(), ear)),
        ):
            first = await ear.until(lambda m: True)
            server.set(52, words("f", -4000.0))
            await ear.until(lambda m: m.grid_kw == -4.0)
        assert first.grid_kw == 2.5
        assert first.grid_phase_a == (10.0, -11.0, 12.0)
        assert first.source == "modbus"

    run(test())


def test_a_meter_mounted_the_other_way_round() -> None:
    async def test() -> None:
        ear = Ear()
        async with (
            MeterServer(SDM630, function=4) as server,
            running(follow_modbus(config(server, invert=True), FastClock(), ear)),
        ):
            heard = await ear.until(lambda m: True)
        assert heard.grid_kw == -2.5
        assert heard.grid_phase_a == (-10.0, 11.0, -12.0)

    run(test())


def test_a_meter_of_the_generation_counts_inverted_export() -> None:
    async def test() -> None:
        ear = Ear()
        registers = {52: words("f", -7000.0), 6: SDM630[6]}
        async with (
            MeterServer(registers, function=4) as server,
            running(follow_modbus(config(server, measures="pv_kw", invert=True), FastClock(), ear)),
        ):
            heard = await ear.until(lambda m: True)
        assert (heard.grid_kw, heard.pv_kw, heard.grid_phase_a) == (None, 7.0, None)

    run(test())


def test_low_words_first_and_integers() -> None:
    async def test() -> None:
        ear = Ear()
        registers = {
            12: words("i", 1000, 2000, 3000, 2300, -4600, 6900, low_first=True),
            40: words("i", -15000, low_first=True),
        }
        async with (
            MeterServer(registers, function=4, unit=7) as server,
            running(
                follow_modbus(config(server, map="carlo-gavazzi-em340", unit=7), FastClock(), ear)
            ),
        ):
            heard = await ear.until(lambda m: True)
        assert heard.grid_kw == pytest.approx(-1.5)
        assert heard.grid_phase_a == pytest.approx((1.0, -2.0, 3.0))

    run(test())


def sunspec(model: int, body: list[int], base: int = 40000) -> dict[int, list[int]]:
    common = [1, 66, *[0] * 66]
    return {base: [0x5375, 0x6E53, *common, model, len(body), *body, 0xFFFF, 0]}


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_a_sunspec_meter_with_scale_factors_is_found_wherever_it_begins(base: int) -> None:
    body = [0] * 105
    body[0:5] = words("h", 330, 110, -120, 100, -1)
    body[16:21] = words("h", -250, -90, 60, -220, 1)

    async def test() -> None:
        ear = Ear()
        async with (
            MeterServer(sunspec(203, body, base)) as server,
            running(follow_modbus(config(server, map="sunspec-203"), FastClock(), ear)),
        ):
            heard = await ear.until(lambda m: True)
        assert heard.grid_kw == pytest.approx(-2.5)
        assert heard.grid_phase_a == pytest.approx((-11.0, 12.0, -10.0))

    run(test())


def test_a_sunspec_meter_in_floating_point() -> None:
    body = [0] * 124
    body[2:8] = words("f", 8.0, 9.0, 10.0)
    body[26:34] = words("f", 6200.0, 1800.0, 2000.0, 2400.0)

    async def test() -> None:
        ear = Ear()
        async with (
            MeterServer(sunspec(213, body)) as server,
            running(follow_modbus(config(server, map="sunspec-213"), FastClock(), ear)),
        ):
            heard = await ear.until(lambda m: True)
        assert heard.grid_kw == pytest.approx(6.2)
        assert heard.grid_phase_a == (8.0, 9.0, 10.0)

    run(test())


def test_a_value_that_is_not_available_is_left_out_and_the_next_counts() -> None:
    async def test() -> None:
        ear = Ear()
        registers = {**SDM630, 52: [0x7FC0, 0]}
        async with (
            MeterServer(registers, function=4) as server,
            running(follow_modbus(config(server), FastClock(), ear)),
        ):
            await server.asked(6)
            assert ear.heard == []
            server.set(52, words("f", 1000.0))
            await ear.until(lambda m: m.grid_kw == 1.0)

    run(test())


def test_a_server_that_went_away_is_found_again() -> None:
    async def test() -> None:
        ear = Ear()
        server = MeterServer(SDM630, function=4)
        await server.start()
        clock = FastClock()
        async with running(follow_modbus(config(server, every_s=0.01), clock, ear)):
            await ear.until(lambda m: m.grid_kw == 2.5)
            await server.stop()
            await clock.pause()
            server.set(52, words("f", 3000.0))
            await server.start()
            await ear.until(lambda m: m.grid_kw == 3.0)
            await server.stop()

    run(test())


@pytest.mark.parametrize(
    "wrong",
    [{"map": "janitza-umg"}, {"unit": 9}, {"map": "sunspec-203"}],
    ids=["registers that are not there", "unit that is not there", "no sunspec device"],
)
def test_a_wrong_map_or_unit_brings_nothing_and_says_what_to_look_at(
    wrong: dict[str, Any],
) -> None:
    async def test() -> None:
        ear, clock = Ear(), FastClock()
        async with (
            MeterServer(SDM630, function=4) as server,
            running(follow_modbus(config(server, **wrong), clock, ear)),
        ):
            await clock.pause()
        assert ear.heard == []

    with capture_logs() as logs:
        run(test())
    reason = next(entry["reason"] for entry in logs if entry["event"] == "meter lost")
    assert "wrong map or unit?" in reason or "is no SunSpec device" in reason


def test_a_map_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        """
        name = "Old meter"
        source = "label inside the lid"
        [power]
        address = 100
        type = "uint16"
        scale = 0.1
        """
    )

    async def test() -> None:
        ear = Ear()
        async with (
            MeterServer({100: [425]}) as server,
            running(
                follow_modbus(config(server, map=str(path), measures="load_kw"), FastClock(), ear)
            ),
        ):
            heard = await ear.until(lambda m: True)
        assert heard.load_kw == pytest.approx(42.5)

    run(test())


def test_a_map_that_does_not_exist_is_refused_at_once() -> None:
    nowhere = Modbus(measures="grid_kw", host="127.0.0.1", map="no-such-meter")
    with pytest.raises(ConfigError, match="no register map 'no-such-meter'"):
        run(follow_modbus(nowhere, FastClock(), Ear()))
