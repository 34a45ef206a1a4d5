from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
import pytest

from gridleaf.domain.errors import SourceUnavailable
from gridleaf.domain.prices import PricePoint
from gridleaf.tariff.entsoe import EntsoeSource, parse
from price_fakes import JumpClock, contiguous, utc

TOKEN = "5ecret70-c0de-4a11-9e57-000000000000"
AREA = "10YNL----------L"
TODAY, TOMORROW = utc("2026-01-04T23:00"), utc("2026-01-05T23:00")
ACKNOWLEDGEMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Acknowledgement_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0">
  <mRID>0f1b4861-0c96-4</mRID>
  <createdDateTime>2026-01-13T14:56:57Z</createdDateTime>
  <Reason>
    <code>999</code>
    <text>No matching data found for Data item ENERGY_PRICES (10YNL----------L)</text>
  </Reason>
</Acknowledgement_MarketDocument>"""


def document(*series: str, version: str = "7:3") -> bytes:
    return f"""<?xml version="1.0" encoding="utf-8"?>
<Publication_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:{version}">
  <mRID>64e2af3a87c2404cbea80edc067a1b6f</mRID>
  <revisionNumber>1</revisionNumber>
  <type>A44</type>
  <sender_MarketParticipant.mRID codingScheme="A01">10X1001A1001A450</sender_MarketParticipant.mRID>
  <createdDateTime>2026-01-05T14:36:40Z</createdDateTime>
  {"".join(series)}
</Publication_MarketDocument>""".encode()


def time_series(
    start: str,
    end: str,
    points: dict[int, object],
    *,
    resolution: str = "PT60M",
    curve: str = "A03",
    sequence: int | None = None,
    agreement: str = "A01",
    unit: str = "MWH",
) -> str:
    position = "classificationSequence_AttributeInstanceComponent.position"
    return f"""
  <TimeSeries>
    <mRID>1</mRID>
    <auction.type>A01</auction.type>
    <businessType>A62</businessType>
    <in_Domain.mRID codingScheme="A01">{AREA}</in_Domain.mRID>
    <out_Domain.mRID codingScheme="A01">{AREA}</out_Domain.mRID>
    <contract_MarketAgreement.type>{agreement}</contract_MarketAgreement.type>
    <currency_Unit.name>EUR</currency_Unit.name>
    <price_Measure_Unit.name>{unit}</price_Measure_Unit.name>
    {"" if sequence is None else f"<{position}>{sequence}</{position}>"}
    <curveType>{curve}</curveType>
    <Period>
      <timeInterval><start>{start}Z</start><end>{end}Z</end></timeInterval>
      <resolution>{resolution}</resolution>
      {"".join(f"<Point><position>{n}</position><price.amount>{p}</price.amount></Point>" for n, p in points.items())}
    </Period>
  </TimeSeries>"""


def prices(points: list[PricePoint]) -> list[float]:
    return [round(p.price_per_kwh * 1000, 6) for p in points]


def fetch(
    answer: Callable[[httpx.Request], httpx.Response],
    since: datetime = TODAY,
    until: datetime = TOMORROW,
) -> list[PricePoint]:
    async def go() -> list[PricePoint]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await EntsoeSource(AREA, TOKEN, JumpClock("2026-01-05T12:00"), client).fetch(
                since, until
            )

    return asyncio.run(go())


def test_a_day_of_hours() -> None:
    day = time_series(
        "2026-01-04T23:00", "2026-01-05T23:00", {n: 10 * n for n in range(1, 25)}, curve="A01"
    )
    points = parse(document(day))
    assert prices(points) == [10.0 * n for n in range(1, 25)]
    assert points[0].start == utc("2026-01-04T23:00")
    assert points[-1].end == utc("2026-01-05T23:00")


def test_curve_a03_repeats_the_point_before_up_to_the_end_of_the_period() -> None:
    sparse = time_series(
        "2026-01-04T23:00", "2026-01-05T01:00", {1: 50, 3: -7.5, 4: 40}, resolution="PT15M"
    )
    assert prices(parse(document(sparse))) == [50, 50, -7.5, 40, 40, 40, 40, 40]


def test_curve_a01_leaves_what_is_missing_unknown() -> None:
    gappy = time_series("2026-01-04T23:00", "2026-01-05T03:00", {1: 50, 4: 40}, curve="A01")
    points = parse(document(gappy))
    assert [p.start.hour for p in points] == [23, 2]


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-03-28T23:00", "2026-03-29T22:00", 23),
        ("2026-10-24T22:00", "2026-10-25T23:00", 25),
        ("2028-02-28T23:00", "2028-02-29T23:00", 24),
    ],
)
def test_days_of_23_and_25_hours_and_a_leap_day(start: str, end: str, hours: int) -> None:
    quarters = {n: n for n in range(1, hours * 4 + 1)}
    points = parse(document(time_series(start, end, quarters, resolution="PT15M")))
    assert len(points) == hours * 4
    assert points[-1].end - points[0].start == timedelta(hours=hours)
    assert contiguous(points)


def test_half_hours_and_other_versions_of_the_namespace() -> None:
    day = time_series("2026-01-04T23:00", "2026-01-05T00:00", {1: 1, 2: 2}, resolution="PT30M")
    for version in ("7:0", "7:3", "8:1"):
        assert prices(parse(document(day, version=version))) == [1, 2]


def test_only_the_coupled_auction_counts_whatever_comes_first() -> None:
    span = ("2026-01-04T23:00", "2026-01-05T00:00")
    exaa = time_series(*span, {1: 192.55}, sequence=2)
    coupled = time_series(*span, {1: 196.99}, sequence=1)
    intraday = time_series(*span, {1: 205.0}, agreement="A07")
    assert prices(parse(document(exaa, coupled, intraday))) == [196.99]
    assert parse(document(exaa, intraday)) == []


def test_hours_beside_quarter_hours_give_what_the_auction_traded() -> None:
    before = ("2025-09-01T00:00", "2025-09-01T01:00")
    after = ("2025-11-01T00:00", "2025-11-01T01:00")
    quarters = {1: 10, 2: 20, 3: 30, 4: 40}
    for span, expected in ((before, [77]), (after, [10, 20, 30, 40])):
        hour = time_series(*span, {1: 77})
        fine = time_series(*span, quarters, resolution="PT15M")
        assert prices(parse(document(hour, fine))) == expected
        assert prices(parse(document(fine, hour))) == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ACKNOWLEDGEMENT.encode(), "No matching data found"),
        (b"<html>Service unavailable</html>", "unexpected document html"),
        (b"", "not an XML document"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "not an XML document"),
        (
            document(time_series("2026-01-04T23:00", "2026-01-05T00:00", {1: 1}, unit="GWH")),
            "unknown unit GWH",
        ),
        (
            document(time_series("2026-01-04T23:00", "2026-01-05T00:00", {1: 1}, resolution="P1D")),
            "unknown resolution 'P1D'",
        ),
        (
            document(time_series("2026-01-04T23:00", "2026-01-05T00:00", {1: "n/a"})),
            "a point without",
        ),
        (
            document(time_series("1926-01-04T23:00", "2026-01-05T00:00", {1: 1})),
            "more than two years",
        ),
        (
            document(time_series("2026-01-04", "2026-01-05T00:00", {1: 1})),
            "'2026-01-04Z' is no time",
        ),
    ],
)
def test_what_is_no_document_of_prices_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(content)


def test_the_request_names_zone_period_and_auction() -> None:
    asked: list[httpx.QueryParams] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        day = time_series("2026-01-04T23:00", "2026-01-05T23:00", {1: 50})
        return httpx.Response(200, content=document(day))

    points = fetch(answer, utc("2026-01-05T10:30"), utc("2026-01-05T12:00"))
    assert dict(asked[0]) == {
        "documentType": "A44",
        "contract_MarketAgreement.type": "A01",
        "in_Domain": AREA,
        "out_Domain": AREA,
        "periodStart": "202601051030",
        "periodEnd": "202601051200",
        "securityToken": TOKEN,
    }
    assert [p.start.hour for p in points] == [10, 11]


def test_more_than_a_year_is_asked_in_pieces() -> None:
    spans: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        spans.append((request.url.params["periodStart"], request.url.params["periodEnd"]))
        return httpx.Response(200, content=document())

    assert fetch(answer, utc("2024-01-01T00:00"), utc("2026-01-01T00:00")) == []
    assert spans == [
        ("202401010000", "202412310000"),
        ("202412310000", "202512310000"),
        ("202512310000", "202601010000"),
    ]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (httpx.Response(401, text="Unauthorized"), "the security token is refused"),
        (httpx.Response(200, text=ACKNOWLEDGEMENT), "No matching data found"),
        (httpx.Response(400, text=ACKNOWLEDGEMENT), "HTTP 400: No matching data found"),
        (httpx.Response(503, text="down"), "HTTP 503"),
        (httpx.Response(429, text="slow down"), "HTTP 429"),
    ],
)
def test_every_refusal_is_source_unavailable(response: httpx.Response, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=f"^entsoe:{AREA}: {reason}"):
        fetch(lambda _: response)


def test_the_token_is_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        text = ACKNOWLEDGEMENT.replace("No matching", f"Bad request {request.url}: no matching")
        return httpx.Response(200, text=text.replace("&", "&amp;"))

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {request.url}", request=request)

    caplog.set_level(logging.DEBUG)
    for answer in (echo, refuse, lambda _: httpx.Response(500)):
        with pytest.raises(SourceUnavailable) as caught:
            fetch(answer)
        assert TOKEN not in str(caught.value)
        assert caught.value.__cause__ is None
    assert "HTTP Request: GET" in caplog.text
    assert "securityToken=***" in caplog.text
    assert TOKEN not in caplog.text
