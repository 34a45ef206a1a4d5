"""Against a real MQTT broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Mqtt
from gridleaf.signals import follow_mqtt
from signal_fakes import Broker, Ear, FastClock, running


def config(broker: Broker, **changes: Any) -> Mqtt:
    fields = {"grid_kw": "site/grid", "pv_kw": "site/solar#power", "load_kw": "site/solar#load"}
    return Mqtt.model_validate(
        {
            "host": "127.0.0.1",
            "port": broker.port,
            "fields": fields,
            "scale": {"grid_kw": 0.001},
            **changes,
        }
    )


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_numbers_and_objects_become_measurements(tmp_path: Path) -> None:
    async def test() -> None:
        ear = Ear()
        with Broker(tmp_path) as broker:
            async with (
                running(follow_mqtt(config(broker), FastClock(), ear)),
                broker.repeating(
                    ("site/solar", '{"power": 3.5, "load": 12}'), ("site/grid", "-2500")
                ),
            ):
                heard = await ear.until(lambda m: m.grid_kw is not None and m.pv_kw is not None)
        assert (heard.grid_kw, heard.pv_kw, heard.load_kw) == (-2.5, 3.5, 12.0)
        assert heard.source == "mqtt"

    run(test())


def test_a_retained_value_is_not_taken_for_a_live_one(tmp_path: Path) -> None:
    async def test() -> None:
        ear = Ear()
        with Broker(tmp_path) as broker:
            await broker.publish(("site/grid", "99000"), retain=True)
            async with (
                running(follow_mqtt(config(broker), FastClock(), ear)),
                broker.repeating(("site/solar", '{"power": 1}')),
            ):
                await ear.until(lambda m: m.pv_kw == 1)
                assert all(m.grid_kw is None for m in ear.heard)
                async with broker.repeating(("site/grid", "1000")):
                    live = await ear.until(lambda m: m.grid_kw is not None)
        assert live.grid_kw == 1.0

    run(test())


def test_garbage_passes_unheard_and_the_next_value_counts(tmp_path: Path) -> None:
    async def test() -> None:
        ear = Ear()
        with Broker(tmp_path) as broker:
            async with (
                running(follow_mqtt(config(broker), FastClock(), ear)),
                broker.repeating(("site/grid", "NaN"), ("site/grid", "{"), ("site/grid", "500")),
            ):
                await ear.until(lambda m: m.grid_kw == 0.5)
        assert {m.grid_kw for m in ear.heard} == {0.5}

    run(test())


def test_after_a_restart_of_the_broker_it_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        ear = Ear()
        with Broker(tmp_path) as broker:
            async with running(follow_mqtt(config(broker), FastClock(), ear)):
                async with broker.repeating(("site/grid", "1000")):
                    await ear.until(lambda m: m.grid_kw == 1.0)
                broker.stop()
                broker.start()
                async with broker.repeating(("site/grid", "2000")):
                    await ear.until(lambda m: m.grid_kw == 2.0)

    run(test())


def test_a_broker_that_comes_later_is_found(tmp_path: Path) -> None:
    async def test() -> None:
        ear = Ear()
        broker = Broker(tmp_path)
        with broker:
            pass
        clock = FastClock()
        async with running(follow_mqtt(config(broker), clock, ear)):
            await clock.pause()
            with broker:
                async with broker.repeating(("site/grid", "1000")):
                    await ear.until(lambda m: m.grid_kw == 1.0)

    run(test())


def test_with_a_password_and_never_with_it_in_the_logs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = tmp_path / "password"
    secret.write_text("tr3e-trunk\n")
    login = {"username": "depot", "password": "tr3e-trunk"}

    async def test() -> None:
        ear = Ear()
        authorization = 'authorization { user: "depot", password: "tr3e-trunk" }'
        with Broker(tmp_path, authorization=authorization) as broker:
            good = config(broker, username="depot", password_file=secret)
            bad = config(broker, username="depot", password_env="WRONG_PASSWORD")
            silent = Ear()
            async with (
                running(follow_mqtt(good, FastClock(), ear)),
                running(follow_mqtt(bad, FastClock(), silent)),
            ):
                for _ in range(100):
                    await broker.publish(("site/grid", "1000"), **login)
                    if ear.heard:
                        break
        assert ear.heard
        assert silent.heard == []

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WRONG_PASSWORD", "wr0ng-branch")
        run(test())
    printed = capsys.readouterr()
    for text in (caplog.text, printed.out, printed.err):
        assert "tr3e-trunk" not in text
        assert "wr0ng-branch" not in text


def test_a_topic_that_the_broker_refuses_is_named(tmp_path: Path) -> None:
    users = 'user: "depot", password: "x", permissions: { subscribe: { deny: "site.grid" } }'

    async def test() -> None:
        with Broker(
            tmp_path, authorization=f"authorization {{ users: [{{ {users} }}] }}"
        ) as broker:
            clock = FastClock()
            async with running(
                follow_mqtt(
                    config(broker, username="depot", password_env="X_PASSWORD"), clock, Ear()
                )
            ):
                await clock.pause()

    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        patch.setenv("X_PASSWORD", "x")
        run(test())
    lost = [entry["reason"] for entry in logs if entry["event"] == "mqtt lost"]
    assert lost[0] == "the broker refuses the topic site/grid"


@pytest.mark.parametrize(
    "given", [{"password_env": "UNSET_PASSWORD"}, {"password_file": "/nonexistent"}]
)
def test_a_password_that_is_not_there_is_refused_at_once(given: dict[str, str]) -> None:
    nowhere = Mqtt.model_validate({"host": "127.0.0.1", "fields": {"pv_kw": "a"}, **given})
    with pytest.raises(ConfigError, match=r"signals\.mqtt\.password_"):
        run(follow_mqtt(nowhere, FastClock(), Ear()))
