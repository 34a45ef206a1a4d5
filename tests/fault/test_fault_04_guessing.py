from __future__ import annotations

import asyncio
from collections import Counter

from gateway_fakes import PASSWORD, StationEnd, listening, station_site
from gridleaf.gateway.backoff import Backoff


def test_fault_04_fifty_bad_attempts_are_slowed_down_and_the_genuine_station_is_not() -> None:
    async def main() -> None:
        async with listening(station_site("CP1", "CP2")) as port:
            answers = Counter([await port.refusal(password=f"guess {n}") for n in range(50)])
            assert answers == {401: 5, 429: 45}
            # Not even the right password is tried for whoever guesses.
            assert await port.refusal(password=PASSWORD) == 429
            genuine = StationEnd.over(await port.dial(local_ip="127.0.0.2"), port.clock)
            assert (await genuine.boot())["status"] == "Accepted"
            assert (
                port.gateway.registry.get_sample_value(
                    "gridleaf_ocpp_refused_total", {"reason": "backoff"}
                )
                == 46
            )

    asyncio.run(main())


def test_fault_04_a_sweep_over_identities_from_one_address_is_slowed_down() -> None:
    async def main() -> None:
        async with listening(station_site("CP1", "CP2")) as port:
            answers = Counter([await port.refusal(f"CP{n}", password="guess") for n in range(50)])
            assert answers == {401: 20, 429: 30}
            assert await port.refusal("CP2") == 429
            station = await port.dial("CP2", local_ip="127.0.0.2")
            await station.close()

    asyncio.run(main())


def test_fault_04_guessing_at_one_identity_from_many_addresses_does_not_lock_it_out() -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            answers = Counter(
                [
                    await port.refusal(password="guess", local_ip=f"127.0.1.{1 + n // 2}")
                    for n in range(60)
                ]
            )
            # Twenty are heard; then each new address has a single guess.
            assert answers == {401: 40, 429: 20}
            genuine = StationEnd.over(await port.dial(local_ip="127.0.0.2"), port.clock)
            assert (await genuine.boot())["status"] == "Accepted"

    asyncio.run(main())


def test_fault_04_the_counters_are_bounded_in_memory() -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            backoff = Backoff(port.clock, size=50)
            port.server._admission._backoff = backoff
            for number in range(120):
                await port.refusal(f"X{number}", local_ip=f"127.1.{number}.1")
            assert len(backoff) == 150

    asyncio.run(main())
