from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.meter import SiteMeasurement
from gridleaf.domain.site import Mqtt, SiteConfig, load
from gridleaf.signals import routes_of
from gridleaf.signals.mqtt import Inbox, Payloads
from price_fakes import JumpClock, utc

NOON = utc("2026-01-05T12:00")
GRID = Mqtt(host="broker", fields={"grid_kw": "meter/power"}, scale={"grid_kw": 0.001})
NESTED = Mqtt(
    host="broker",
    fields={"grid_kw": "site#grid.power.0", "pv_kw": "site#pv"},
    scale={"grid_kw": 0.001},
    timestamp="at",
)


def read(
    config: Mqtt, topic: str, payload: bytes, *, retained: bool = False
) -> tuple[datetime, dict[str, float]] | None:
    return Payloads(config, JumpClock("2026-01-05T12:00")).read(topic, payload, retained=retained)  # type: ignore[return-value]


@pytest.mark.parametrize("payload", [b"1500", b" 1500.0 ", b'"1500"', b"1.5e3"])
def test_a_plain_number_is_scaled_and_timed_by_its_arrival(payload: bytes) -> None:
    assert read(GRID, "meter/power", payload) == (NOON, {"grid_kw": 1.5})


@pytest.mark.parametrize(
    "payload",
    [b"", b"nan", b"NaN", b"inf", b"unavailable", b"null", b"true", b"[]", b'{"power": 1}', b"\xff\xfe", b"1,5", b"9" * 400, b"1e99"],
)  # fmt: skip
def test_garbage_is_not_used(payload: bytes) -> None:
    assert read(GRID, "meter/power", payload) is None


def test_garbage_does_not_stop_the_next_value() -> None:
    payloads = Payloads(GRID, JumpClock("2026-01-05T12:00"))
    assert payloads.read("meter/power", b"oops", retained=False) is None
    assert payloads.read("meter/power", b"2000", retained=False) == (NOON, {"grid_kw": 2.0})


def test_fields_and_the_time_are_found_by_their_paths() -> None:
    payload = b'{"grid": {"power": [-2500, 1]}, "pv": "3.5", "at": "2026-01-05T12:59:58+01:00"}'
    assert read(NESTED, "site", payload) == (
        NOON - timedelta(seconds=2),
        {"grid_kw": -2.5, "pv_kw": 3.5},
    )


def test_what_is_missing_in_a_payload_leaves_the_others() -> None:
    assert read(NESTED, "site", b'{"pv": 3.5, "grid": {"power": []}}') == (NOON, {"pv_kw": 3.5})


@pytest.mark.parametrize(
    ("said", "measured"),
    [
        ('"2026-01-05T11:59:00Z"', NOON - timedelta(minutes=1)),
        (str(NOON.timestamp() - 60), NOON - timedelta(minutes=1)),
        (str(round(NOON.timestamp() * 1000) - 60_000), NOON - timedelta(minutes=1)),
        ('"2026-01-05T12:30:00Z"', NOON),
        ('"2026-01-05T11:59:00"', NOON),
        ('"yesterday"', NOON),
        ("1e300", NOON),
    ],
    ids=["iso", "seconds", "milliseconds", "ahead of us", "no offset", "no time", "absurd"],
)
def test_the_time_that_a_payload_says(said: str, measured: datetime) -> None:
    answer = read(NESTED, "site", f'{{"pv": 1, "at": {said}}}'.encode())
    assert answer == (measured, {"pv_kw": 1.0})


def test_a_retained_value_without_a_time_is_ignored_until_a_live_one_comes() -> None:
    payloads = Payloads(GRID, JumpClock("2026-01-05T12:00"))
    assert payloads.read("meter/power", b"1500", retained=True) is None
    assert payloads.read("meter/power", b"1600", retained=False) == (NOON, {"grid_kw": 1.6})


def test_a_retained_value_with_a_time_keeps_its_age() -> None:
    payload = b'{"pv": 4, "at": "2026-01-05T10:00:00Z"}'
    assert read(NESTED, "site", payload, retained=True) == (
        utc("2026-01-05T10:00"),
        {"pv_kw": 4.0},
    )
    assert read(NESTED, "site", b'{"pv": 4}', retained=True) is None


def test_the_same_measurement_again_is_not_new() -> None:
    payloads = Payloads(NESTED, JumpClock("2026-01-05T12:00"))
    payload = b'{"pv": 4, "at": "2026-01-05T11:59:00Z"}'
    older = b'{"pv": 9, "at": "2026-01-05T11:58:00Z"}'
    assert payloads.read("site", payload, retained=False) is not None
    assert payloads.read("site", payload, retained=False) is None
    assert payloads.read("site", older, retained=False) is None


def test_other_topics_mean_nothing() -> None:
    assert read(GRID, "meter/other", b"1500") is None


def test_one_topic_serves_several_fields() -> None:
    routes = routes_of(NESTED)
    assert list(routes) == ["site"]
    assert [(r.field, r.path, r.scale) for r in routes["site"]] == [
        ("grid_kw", ("grid", "power", "0"), 0.001),
        ("pv_kw", ("pv",), 1.0),
    ]


@pytest.mark.parametrize(
    ("config", "where"),
    [
        (Mqtt(host="b", fields={}), "signals.mqtt.fields"),
        (Mqtt(host="b", fields={"pv_kw": "a/+/b"}), "signals.mqtt.fields.pv_kw"),
        (Mqtt(host="b", fields={"pv_kw": "#x"}), "signals.mqtt.fields.pv_kw"),
        (Mqtt(host="b", fields={"pv_kw": "a/#"}), "signals.mqtt.fields.pv_kw"),
        (Mqtt(host="b", fields={"pv_kw": "a"}, scale={"pv_kw": 0}), "signals.mqtt.scale.pv_kw"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(config: Mqtt, where: str) -> None:
    with pytest.raises(ConfigError) as refused:
        routes_of(config)
    assert refused.value.path == where


def test_a_slow_sink_gets_the_newest_values_and_no_backlog() -> None:
    async def test() -> list[SiteMeasurement]:
        inbox = Inbox()
        for second in range(100):
            inbox.put(NOON + timedelta(seconds=second), {"grid_kw": float(second)})
        inbox.put(NOON + timedelta(seconds=50), {"pv_kw": 3.0, "load_kw": 4.0})
        return await inbox.take()

    assert asyncio.run(test()) == [
        SiteMeasurement(
            measured_at=NOON + timedelta(seconds=50), pv_kw=3.0, load_kw=4.0, source="mqtt"
        ),
        SiteMeasurement(measured_at=NOON + timedelta(seconds=99), grid_kw=99.0, source="mqtt"),
    ]


def test_the_site_file_carries_the_mapping(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        """
        name = "Depot"
        import_limit_kw = 100
        [signals.mqtt]
        host = "10.0.0.5"
        fields = { grid_kw = "meter#power.total", pv_kw = "solar" }
        scale = { grid_kw = 0.001 }
        timestamp = "ts"
        [[signals.modbus]]
        measures = "pv_kw"
        host = "10.0.0.6"
        map = "own.toml"
        [[signals.modbus]]
        measures = "load_kw"
        host = "10.0.0.7"
        map = "siemens-pac"
        """
    )
    site: SiteConfig = load(path)
    assert site.signals.mqtt is not None
    assert list(routes_of(site.signals.mqtt)) == ["meter", "solar"]
    assert [m.map for m in site.signals.modbus] == [str(tmp_path / "own.toml"), "siemens-pac"]
