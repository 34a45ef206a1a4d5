"""The report: complete, self-contained, and the same bytes for the same result."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest

from gridleaf.control.types import Policy
from gridleaf.replay.plots import busiest_week, telling_visit
from gridleaf.replay.quality import Findings
from gridleaf.replay.report import render
from gridleaf.replay.results import ModeResult, ReplayResult, VisitResult, by_vehicle, to_json

START = datetime(2024, 3, 24, 23, tzinfo=UTC)
DAYS = 10


def visit(mode: Policy, number: int) -> VisitResult:
    first = 32 + 96 * number
    return VisitResult(
        visit_id=f"v{number}",
        vehicle=f"<car {number % 2}>",
        arrived_at=START + timedelta(hours=first / 4),
        departed_at=START + timedelta(hours=first / 4 + 9),
        charged_kwh=20.0 + number,
        discharged_kwh=3.0 * number if mode == "v2g" else 0.0,
        unmet_kwh=0.0,
        reachable_kwh=20.0,
        energy_cost_eur=1.5,
        equivalent_full_cycles=0.4,
        departure_soc=0.9,
        first_interval=first,
        soc=tuple(np.linspace(0.4, 0.9, 36).tolist()),
    )


def mode(name: Policy, energy: float) -> ModeResult:
    hours = np.arange(96 * DAYS) / 4
    power = 40 * ((hours % 24 > 8) & (hours % 24 < 12)) * (1 + hours / 1000)
    visits = tuple(visit(name, n) for n in range(8))
    return ModeResult(
        mode=name,
        sessions=8,
        charged_kwh=188.0,
        discharged_kwh=84.0 if name == "v2g" else 0.0,
        unmet_kwh=0.0,
        energy_cost_eur=energy,
        demand_cost_eur=50.0,
        wear_cost_eur=3.36 if name == "v2g" else 0.0,
        peak_kw=49.0,
        limit_violations=0,
        worst_excess_kw=0.0,
        equivalent_full_cycles=3.2,
        ready_on_time=8,
        cycles=900,
        messages=12000,
        grid_kw=tuple(power.tolist()),
        visits=visits,
    )


def result() -> ReplayResult:
    findings = Findings()
    findings.add("duplicate", "excluded", "row 7 <b>")
    findings.notes.append("times without an offset were read as UTC")
    hours = np.arange(96 * DAYS) / 4
    return ReplayResult(
        site="depot & sons.csv",
        timezone="Europe/Berlin",
        currency="EUR",
        start=START,
        end=START + timedelta(days=DAYS),
        interval_h=0.25,
        import_price=tuple((0.1 + 0.05 * np.sin(hours / 4)).tolist()),
        export_price=tuple((0.1 + 0.05 * np.sin(hours / 4)).tolist()),
        import_limit_kw=60.0,
        export_limit_kw=60.0,
        evses=3,
        data_quality=findings.summary(
            source="depot & sons.csv", preset="clean", timezone="Europe/Berlin", rows=9
        ),
        price_notes=("1 gap",),
        assumptions=("wear costs 0.04 per kWh discharged",),
        modes=(mode("uncontrolled", 100.0), mode("smart", 80.0), mode("v2g", -20.0)),
        command="gridleaf replay --sessions 'depot & sons.csv'",
    )


@cache
def rendered() -> str:
    return render(result())


class Page(HTMLParser):
    """What a browser would fetch, which ids there are, and whether tags close."""

    VOID = frozenset({"meta", "br", "hr", "img", "input", "link", "path", "use", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"] or "")
        for name in ("src", "href", "xlink:href", "data"):
            value = values.get(name)
            if value and not value.startswith("#"):
                self.fetched.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.VOID:
            self.handle_starttag(tag, attrs)
        else:
            self.handle_starttag(tag, attrs)
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_report_needs_nothing_from_outside_and_is_well_formed() -> None:
    text = rendered()
    page = Page(text)
    assert page.fetched == []
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert "<script" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_the_same_result_gives_the_same_bytes() -> None:
    assert rendered() == render(result())


def test_names_from_the_log_are_escaped() -> None:
    text = rendered()
    assert "<car" not in text
    assert "row 7 <b>" not in text
    assert "depot &amp; sons.csv" in text
    assert "&lt;car 1&gt;" in text


def test_every_section_and_figure_is_there_and_labelled() -> None:
    text = rendered()
    for heading in (
        "In total",
        "A week of power",
        "One vehicle",
        "Price",
        "Vehicles",
        "Data quality",
        "Assumptions",
        "Made with",
    ):
        assert f"<h2>{heading}</h2>" in text
    assert text.count("<svg") == 5
    for name in ("cost", "week", "soc", "duration"):
        assert f'aria-labelledby="{name}-caption"' in text
        assert f'<figcaption id="{name}-caption">' in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "the same row stands there again" in text


def test_figures_take_their_colours_from_the_page() -> None:
    body = rendered().partition("<main>")[2]
    assert "#0101" not in body
    assert "var(--v2g)" in body
    assert "var(--part-energy)" in body


def test_the_headline_says_what_is_saved() -> None:
    text = rendered()
    assert "Smart charging saves 20.00 EUR (13%) against uncontrolled charging." in text
    assert "V2G saves 116.64 EUR (78%) against uncontrolled charging." in text
    dear = replace(result(), modes=(mode("uncontrolled", 10.0), mode("smart", 15.0)))
    assert "Smart charging costs 5.00 EUR more (-8%)" in render(dear)
    alone = replace(result(), modes=(mode("uncontrolled", 10.0),))
    assert "Uncontrolled charging only." in render(alone)


def test_the_busiest_week_begins_at_a_local_midnight() -> None:
    first, last = busiest_week(result())
    assert last - first == 7 * 96
    assert first == 3 * 96
    short = replace(
        result(), modes=tuple(replace(m, grid_kw=m.grid_kw[:50]) for m in result().modes)
    )
    assert busiest_week(short) == (0, 50)


def test_the_vehicle_shown_is_the_one_that_discharged_most() -> None:
    shown = telling_visit(result())
    assert shown is not None
    assert shown.visit_id == "v7"


def test_the_json_has_the_agreed_keys() -> None:
    data = to_json(result())
    assert set(data["modes"]) == {"uncontrolled", "smart", "v2g"}
    assert set(data["modes"]["v2g"]) >= {
        "sessions",
        "charged_kwh",
        "discharged_kwh",
        "unmet_kwh",
        "energy_cost_eur",
        "demand_cost_eur",
        "wear_cost_eur",
        "peak_kw",
        "limit_violations",
    }
    assert data["data_quality"]["rows"] == 9
    assert data["data_quality"]["used"] == 8
    assert data["data_quality"]["findings"][0]["examples"] == ["row 7 <b>"]
    assert data["modes"]["v2g"]["total_cost_eur"] == pytest.approx(33.36)


def test_vehicles_are_the_sums_of_their_visits() -> None:
    sums = by_vehicle(result().mode("v2g"))
    assert list(sums) == ["<car 0>", "<car 1>"]
    assert sums["<car 1>"]["sessions"] == 4
    assert sums["<car 1>"]["discharged_kwh"] == pytest.approx(3 * (1 + 3 + 5 + 7))
    with pytest.raises(KeyError):
        replace(result(), modes=()).mode("smart")
