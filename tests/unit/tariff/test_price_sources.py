from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gridleaf.domain.errors import ConfigError, SourceUnavailable
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.site import Tariff
from gridleaf.tariff import DayAheadSource, make_source
from price_fakes import JumpClock, ScriptedSource, contiguous, series, utc

Answer = Callable[[httpx.Request], httpx.Response]
SINCE, UNTIL = utc("2026-05-25T00:00"), utc("2026-05-26T00:00")
HALF_HOUR = timedelta(minutes=30)


def fetch(tariff: Tariff, answer: Answer, clock: JumpClock | None = None) -> list[PricePoint]:
    async def go() -> list[PricePoint]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            source = make_source(
                tariff, client=client, clock=clock or JumpClock("2026-05-25T12:00")
            )
            assert source is not None
            return await source.fetch(SINCE, UNTIL)

    return asyncio.run(go())


def always(body: object, status: int = 200) -> Answer:
    return lambda _: httpx.Response(status, json=body)


# -- Octopus --

AGILE = Tariff(source="octopus", area="E-1R-AGILE-24-10-01-C")


def rate(start: str, end: str | None, pence: float, method: str | None = None) -> dict[str, object]:
    return {
        "value_exc_vat": pence / 1.05,
        "value_inc_vat": pence,
        "valid_from": start,
        "valid_to": end,
        "payment_method": method,
    }


def test_octopus_half_hours_newest_first_over_two_pages() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        first = "page=2" not in str(request.url)
        results = (
            [rate("2026-05-25T13:00:00Z", "2026-05-25T13:30:00Z", -3.0)]
            if first
            else [rate("2026-05-25T12:30:00Z", "2026-05-25T13:00:00Z", 24.5)]
        )
        return httpx.Response(
            200,
            json={
                "count": 2,
                "next": f"{request.url}&page=2" if first else None,
                "previous": None,
                "results": results,
            },
        )

    points = fetch(AGILE, answer)
    assert [p.price_per_kwh for p in points] == [0.245, -0.03]
    assert all(p.end - p.start == HALF_HOUR for p in points)
    assert asked[0].path == (
        "/v1/products/AGILE-24-10-01/electricity-tariffs/E-1R-AGILE-24-10-01-C/standard-unit-rates/"
    )
    assert asked[0].params["period_from"] == "2026-05-25T00:00:00Z"
    assert asked[0].params["period_to"] == "2026-05-26T00:00:00Z"
    assert len(asked) == 2


def test_octopus_rates_without_an_end_and_of_other_ways_to_pay() -> None:
    results = [
        rate("2026-04-01T00:00:00+01:00", None, 25.0, "DIRECT_DEBIT"),
        rate("2026-04-01T00:00:00+01:00", None, 27.0, "NON_DIRECT_DEBIT"),
        rate("2025-04-01T00:00:00Z", "2026-03-31T23:00:00Z", 22.0),
    ]
    points = fetch(AGILE, always({"next": None, "results": results}))
    assert points == [PricePoint(start=utc("2026-03-31T23:00"), end=UNTIL, price_per_kwh=0.25)]


def test_octopus_does_not_follow_a_page_to_another_host() -> None:
    page = {"next": "http://169.254.169.254/latest", "results": []}
    with pytest.raises(SourceUnavailable, match="the next page is somewhere else"):
        fetch(AGILE, always(page))


def test_octopus_needs_a_tariff_code() -> None:
    with pytest.raises(ConfigError, match=r"tariff\.area: 'AGILE-24-10-01' is no tariff code"):
        make_source(Tariff(source="octopus", area="AGILE-24-10-01"))
    named = make_source(Tariff(source="octopus", area="OE-AGILE/E-1R-AGILE-24-10-01-C"))
    assert named is not None
    assert named.name == "octopus:E-1R-AGILE-24-10-01-C"


# -- aWATTar --

GERMANY = Tariff(source="awattar", area="DE")


def hour_ms(text: str, price: float, unit: str = "Eur/MWh") -> dict[str, object]:
    start = round(utc(text).timestamp() * 1000)
    return {
        "start_timestamp": start,
        "end_timestamp": start + 3_600_000,
        "marketprice": price,
        "unit": unit,
    }


def test_awattar_hours_in_milliseconds() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        data = [hour_ms("2026-05-25T11:00", -5.12), hour_ms("2026-05-25T10:00", 42.09)]
        return httpx.Response(
            200, json={"object": "list", "data": data, "url": "/de/v1/marketdata"}
        )

    points = fetch(GERMANY, answer)
    assert [(p.start.hour, p.price_per_kwh) for p in points] == [(10, 0.04209), (11, -0.00512)]
    assert asked[0].host == "api.awattar.de"
    assert asked[0].params["start"] == "1779667200000"
    fetch(Tariff(source="awattar", area="at"), answer)
    assert asked[1].host == "api.awattar.at"


def test_awattar_day_of_25_hours_is_25_points() -> None:
    start = utc("2026-10-24T22:00")
    data = [
        hour_ms((start + n * timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M"), n) for n in range(25)
    ]

    async def go() -> list[PricePoint]:
        transport = httpx.MockTransport(always({"object": "list", "data": data}))
        async with httpx.AsyncClient(transport=transport) as client:
            source = make_source(GERMANY, client=client, clock=JumpClock("2026-10-24T12:00"))
            assert source is not None
            return await source.fetch(start, utc("2026-10-25T23:00"))

    points = asyncio.run(go())
    assert len(points) == 25
    assert contiguous(points)


def test_awattar_with_another_unit_is_not_used() -> None:
    data = [hour_ms("2026-05-25T10:00", 4.2, "Ct/kWh")]
    with pytest.raises(SourceUnavailable, match="unknown unit ct/kwh"):
        fetch(GERMANY, always({"data": data}))


def test_awattar_serves_two_countries() -> None:
    with pytest.raises(ConfigError, match="aWATTar has prices of DE and AT"):
        make_source(Tariff(source="awattar", area="CH"))


# -- energy-charts --

ZONE = Tariff(source="energy-charts", area="DE-LU")


def charts(
    start: str, prices: list[float | None], minutes: int = 15, unit: str = "EUR / MWh"
) -> dict[str, object]:
    first = round(utc(start).timestamp())
    return {
        "license_info": "CC BY 4.0 (creativecommons.org/licenses/by/4.0) from Bundesnetzagentur | SMARD.de",
        "unix_seconds": [first + 60 * minutes * n for n in range(len(prices))],
        "price": prices,
        "unit": unit,
        "deprecated": False,
    }


def test_energy_charts_quarter_hours_with_a_hole() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json=charts("2026-05-25T10:00", [93.91, -1.5, None, 80.0]))

    points = fetch(ZONE, answer)
    assert [(p.start.minute, p.price_per_kwh) for p in points] == [
        (0, 0.09391),
        (15, -0.0015),
        (45, 0.08),
    ]
    assert all(p.end - p.start == timedelta(minutes=15) for p in points)
    assert dict(asked[0].params) == {
        "bzn": "DE-LU",
        "start": "2026-05-25T00:00:00Z",
        "end": "2026-05-26T00:00:00Z",
    }


def test_energy_charts_hours_and_the_unit_it_forgot_at_times() -> None:
    points = fetch(ZONE, always(charts("2026-05-25T10:00", [50, 60], 60, "No Unit")))
    assert [p.end - p.start for p in points] == [timedelta(hours=1)] * 2
    assert points[0].price_per_kwh == 0.05


def test_energy_charts_with_another_unit_is_not_used() -> None:
    with pytest.raises(SourceUnavailable, match="unknown unit EUR / kWh"):
        fetch(ZONE, always(charts("2026-05-25T10:00", [0.05], unit="EUR / kWh")))


# -- all of them --


@pytest.mark.parametrize("tariff", [AGILE, GERMANY, ZONE], ids=lambda t: t.source)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (always({"detail": "Not found"}, 404), "HTTP 404"),
        (always({"detail": "go away"}, 429), "HTTP 429"),
        (lambda _: httpx.Response(200, text="<html>maintenance</html>"), "the answer is not JSON"),
        (always(["unexpected"]), "unexpected answer"),
        (always({"results": ["x"], "data": ["x"], "unix_seconds": [1], "price": []}), "unexpected"),
        (always({}), "unexpected answer"),
    ],
    ids=["404", "429", "html", "list", "rows", "empty object"],
)
def test_answers_that_are_no_prices(tariff: Tariff, answer: Answer, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        fetch(tariff, answer)


@pytest.mark.parametrize(
    ("tariff", "body"),
    [
        (AGILE, {"count": 0, "next": None, "previous": None, "results": []}),
        (GERMANY, {"object": "list", "data": []}),
        (ZONE, {"unix_seconds": [], "price": [], "unit": "EUR / MWh"}),
    ],
    ids=lambda t: t.source if isinstance(t, Tariff) else "",
)
def test_no_prices_yet_is_an_empty_list(tariff: Tariff, body: dict[str, object]) -> None:
    assert fetch(tariff, always(body)) == []


def test_a_failure_is_tried_once_more_after_a_pause() -> None:
    clock = JumpClock("2026-05-25T12:00")
    answers = [
        httpx.Response(503),
        httpx.Response(200, json={"data": [hour_ms("2026-05-25T10:00", 42)]}),
    ]
    assert len(fetch(GERMANY, lambda _: answers.pop(0), clock)) == 1
    assert clock.slept == [5.0]


@pytest.mark.parametrize(("header", "pause_s"), [("17", 17.0), ("3600", 60.0), ("soon", 5.0)])
def test_the_pause_asked_for_is_kept_within_reason(header: str, pause_s: float) -> None:
    clock = JumpClock("2026-05-25T12:00")
    with pytest.raises(SourceUnavailable, match="HTTP 429"):
        fetch(GERMANY, lambda _: httpx.Response(429, headers={"retry-after": header}), clock)
    assert clock.slept == [pause_s]


def test_a_connection_that_fails_twice_is_source_unavailable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("slow", request=request)

    with pytest.raises(SourceUnavailable, match="awattar:DE: ConnectTimeout"):
        fetch(GERMANY, refuse)


def test_no_answer_in_time_is_source_unavailable() -> None:
    class ImpatientClock(JumpClock):
        async def wait_for(self, awaitable: object, timeout_s: float) -> object:  # type: ignore[override]
            awaitable.close()  # type: ignore[attr-defined]
            raise TimeoutError

    with pytest.raises(SourceUnavailable, match="no answer within 30 s"):
        fetch(GERMANY, always({}), ImpatientClock("2026-05-25T12:00"))


def test_a_replayed_file_hides_tomorrow_until_the_auction_published_it() -> None:
    clock = JumpClock("2026-05-25T10:44")
    hours = series("2026-05-24T22:00", [0.1] * 72)
    source = DayAheadSource(ScriptedSource(hours), clock)

    def hours_ahead() -> int:
        return len(asyncio.run(source.fetch(clock.now(), clock.now() + timedelta(hours=48))))

    assert source.name == "scripted:zone"
    assert hours_ahead() == 12
    clock.set("2026-05-25T10:45")
    assert hours_ahead() == 36


# -- which source --


def test_no_source_is_no_source() -> None:
    assert make_source(Tariff()) is None


def test_a_csv_source_reads_its_file_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("start,price\n2026-05-25 12:00,0.1\n")
    source = make_source(Tariff(source="csv", file=path), timezone="Europe/Berlin")
    assert source is not None
    assert source.name == "csv:prices.csv"

    async def starts() -> list[int]:
        return [p.start.hour for p in await source.fetch(SINCE, UNTIL)]

    assert asyncio.run(starts()) == [10]
    path.write_text("start,price\n2026-05-25 12:00,0.1\n2026-05-25 13:00,0.2\n")
    os.utime(path, ns=(1, 1))
    assert asyncio.run(starts()) == [10, 11]
    path.unlink()
    with pytest.raises(SourceUnavailable, match=r"csv:prices\.csv: No such file"):
        asyncio.run(starts())


def test_the_entsoe_token_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tokens.append(request.url.params["securityToken"])
        return httpx.Response(401)

    file = tmp_path / "token"
    file.write_text("from-file\n")
    monkeypatch.setenv("ENTSOE_TOKEN", "from-environment")
    base = Tariff(source="entsoe", area="10YNL----------L")
    for update in ({"token_file": file}, {"token_env": "ENTSOE_TOKEN"}):
        with pytest.raises(SourceUnavailable, match="refused"):
            fetch(base.model_copy(update=update), answer)
    assert tokens == ["from-file", "from-environment"]


@pytest.mark.parametrize(
    ("tariff", "where"),
    [
        (Tariff(source="csv"), "tariff.file"),
        (Tariff(source="entsoe", token_env="X"), "tariff.area"),
        (Tariff(source="entsoe", area="10YNL----------L"), "tariff.token_file"),
        (
            Tariff(source="entsoe", area="10YNL----------L", token_env="UNSET_TOKEN"),
            "tariff.token_env",
        ),
        (Tariff(source="entsoe", area="A", token_file=Path("/nonexistent")), "tariff.token_file"),
        (Tariff(source="octopus"), "tariff.area"),
        (Tariff(source="awattar"), "tariff.area"),
        (Tariff(source="energy-charts"), "tariff.area"),
    ],
)
def test_what_a_source_needs_and_does_not_have_is_named(tariff: Tariff, where: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make_source(tariff)
    assert refused.value.path == where
