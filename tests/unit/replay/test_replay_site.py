"""From a log to a site and to vehicles that need what the log delivered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Evse, SiteConfig, Station, Tariff
from gridleaf.replay.logs import LoggedVisit, SessionLog
from gridleaf.replay.quality import DataQuality, Findings
from gridleaf.replay.site import ReplaySite, assumed_site, given_site
from gridleaf.replay.window import Window, select, window_of

PRICES = Path("prices.csv")
DAY = datetime(2024, 5, 6, tzinfo=UTC)
ALWAYS = Window(start=DAY - timedelta(days=400), end=DAY + timedelta(days=400))


def visit(
    number: int,
    arrive_h: float,
    depart_h: float,
    energy_kwh: float = 5.0,
    station: str | None = None,
    connector: str | None = None,
    charging_h: float | None = None,
    soc: tuple[float | None, float | None] = (None, None),
    max_kw: float | None = None,
    token: str | None = None,
) -> LoggedVisit:
    arrived = DAY + timedelta(hours=arrive_h)
    return LoggedVisit(
        visit_id=f"v{number}",
        arrived_at=arrived,
        departed_at=DAY + timedelta(hours=depart_h),
        energy_kwh=energy_kwh,
        station=station,
        connector=connector,
        id_token=token,
        charge_end_at=None if charging_h is None else arrived + timedelta(hours=charging_h),
        arrival_soc=soc[0],
        departure_soc=soc[1],
        charge_max_kw=max_kw,
    )


def log_of(*visits: LoggedVisit, timezone: str = "Europe/Berlin") -> SessionLog:
    quality: DataQuality = Findings().summary(
        source="log.csv", preset="gridleaf", timezone=timezone, rows=len(visits)
    )
    return SessionLog(
        visits=tuple(sorted(visits, key=lambda v: v.arrived_at)), quality=quality, timezone=timezone
    )


def counts(replay: ReplaySite | SessionLog) -> dict[str, tuple[str, int]]:
    return {f.kind: (f.outcome, f.count) for f in replay.quality.findings}


def sockets(replay: ReplaySite) -> dict[str, list[float]]:
    return {s.id: [e.charge_max_kw for e in s.evses] for s in replay.site.stations}


def test_without_names_visits_share_as_few_evses_as_overlap_needs() -> None:
    replay = assumed_site(log_of(visit(1, 8, 12), visit(2, 9, 11), visit(3, 12, 14)), PRICES)
    assert len(sockets(replay)) == 2
    assert replay.visits[2].station_id == replay.visits[0].station_id
    busy: dict[tuple[str, int], datetime] = {}
    for one in replay.visits:
        key = one.station_id, one.evse_id
        assert busy.get(key, one.arrived_at) <= one.arrived_at
        busy[key] = one.departed_at


def test_names_of_stations_and_connectors_are_kept() -> None:
    replay = assumed_site(
        log_of(
            visit(1, 8, 12, station="B / ST1"),
            visit(2, 9, 11, station="B / ST1"),
            visit(3, 9, 11, station="B / ST2", connector="7"),
        ),
        PRICES,
    )
    assert {name: len(evses) for name, evses in sockets(replay).items()} == {
        "B-ST1": 2,
        "B-ST2": 1,
    }


def test_ratings_are_what_the_visits_prove_rounded_up_to_usual_ones() -> None:
    replay = assumed_site(
        log_of(
            visit(1, 8, 18, 7.0, station="slow", charging_h=1.0),
            visit(2, 8, 9, 14.0, station="middle"),
            visit(3, 8, 9, 40.0, station="fast", max_kw=90.0),
        ),
        PRICES,
    )
    assert sockets(replay) == {
        "fast": [100.0],
        "middle": [22.0],
        "slow": [7.4],
    }
    fast = next(e for s in replay.site.stations for e in s.evses if s.id == "fast")
    assert fast.discharge_max_kw == 22.0
    assert replay.site.import_limit_kw >= 100 + 22 + 7.4
    assert replay.site.import_limit_kw - (100 + 22 + 7.4) <= 1


def test_one_impossible_visit_among_many_does_not_make_a_slow_station_fast() -> None:
    many = [visit(n, 24 * n, 24 * n + 1, 6.5, station="A") for n in range(60)]
    odd = visit(99, 24 * 70, 24 * 70 + 0.3, 12.0, station="A")
    replay = assumed_site(log_of(*many, odd), PRICES)
    assert sockets(replay) == {"A": [7.4]}
    assert counts(replay) == {"energy_unreachable": ("flagged", 1)}
    last = replay.visits[-1]
    assert last.flags == ("energy_unreachable",)
    assert last.reachable_kwh == pytest.approx(7.4 * (0.3 - 1 / 60))


def test_a_cap_keeps_the_busiest_evses_and_reports_the_rest() -> None:
    log = log_of(visit(1, 8, 12), visit(2, 9, 11), visit(3, 12, 14), visit(4, 15, 16))
    replay = assumed_site(log, PRICES, evses=1)
    assert [v.visit_id for v in replay.visits] == ["v1", "v3", "v4"]
    assert counts(replay) == {"no_free_evse": ("excluded", 1)}
    assert replay.quality.used == 3


def test_the_next_arrival_on_a_connector_ends_the_visit_before() -> None:
    replay = assumed_site(
        log_of(
            visit(1, 8, 12, station="A", connector="1"),
            visit(2, 11, 13, station="A", connector="1"),
            visit(3, 11, 14, station="A", connector="1"),
        ),
        PRICES,
    )
    assert [(f.kind, f.outcome, f.count) for f in replay.quality.findings] == [
        ("overlap", "excluded", 1),
        ("overlap", "repaired", 1),
    ]
    assert [v.visit_id for v in replay.visits] == ["v1", "v3"]
    assert replay.visits[0].departed_at == DAY + timedelta(hours=11)
    assert replay.visits[0].flags == ("overlap",)


def test_the_energy_of_the_log_takes_every_vehicle_from_arrival_to_departure() -> None:
    replay = assumed_site(
        log_of(
            visit(1, 8, 18, 20.0),
            visit(2, 8, 18, 70.0, max_kw=11.0),
            visit(3, 8, 18, 20.0, soc=(0.2, 0.6)),
            visit(4, 8, 18, 20.0, soc=(0.5, None)),
            visit(5, 8, 18, 20.0, soc=(None, 0.7)),
            visit(6, 8, 18, 20.0, soc=(0.95, 0.96)),
        ),
        PRICES,
    )
    for one in replay.visits:
        rise = (one.target_soc - one.arrival_soc) * one.capacity_kwh
        assert rise == pytest.approx(0.93 * one.energy_kwh)
        assert 0 <= one.arrival_soc < one.target_soc <= 1
    by_id = {v.visit_id: v for v in replay.visits}
    assert (by_id["v1"].capacity_kwh, by_id["v1"].target_soc) == (40.0, 0.9)
    assert by_id["v2"].capacity_kwh == 100.0
    assert by_id["v3"].capacity_kwh == pytest.approx(0.93 * 20 / 0.4)
    assert by_id["v4"].arrival_soc == 0.5
    assert by_id["v5"].target_soc == 0.7
    told = [a for a in replay.assumptions if "tell no state of charge" in a]
    assert told == [
        "2 of 6 visits tell no state of charge: departure at 90%, arrival lower by the energy of "
        "the log"
    ]


def test_a_vehicle_takes_no_more_than_its_own_charging_proves() -> None:
    replay = assumed_site(
        log_of(
            visit(1, 8, 10, 40.0, station="A"),
            visit(2, 12, 20, 7.0, station="A", charging_h=2.0),
        ),
        PRICES,
    )
    assert [v.charge_max_kw for v in replay.visits] == [22.0, 3.7]


def test_a_given_site_takes_visits_by_name_then_by_power() -> None:
    site = SiteConfig(
        name="mine",
        import_limit_kw=50,
        stations=(
            Station(id="A", evses=(Evse(id=1, charge_max_kw=11), Evse(id=2, charge_max_kw=11))),
            Station(id="B", evses=(Evse(id=1, charge_max_kw=22),)),
        ),
        tariff=Tariff(source="entsoe", adder=0.1, demand_charge_per_kw=9),
    )
    replay = given_site(
        log_of(
            visit(1, 8, 12, station="A", connector="2"),
            visit(2, 9, 11, station="A", connector="2"),
            visit(3, 9, 11, 40.0, station="X"),
            visit(4, 9, 11),
        ),
        site,
        PRICES,
    )
    placed = {v.visit_id: (v.station_id, v.evse_id) for v in replay.visits}
    assert placed == {"v1": ("A", 2), "v2": ("A", 1), "v3": ("B", 1)}
    assert counts(replay) == {
        "no_free_evse": ("excluded", 1),
        "other_connector": ("flagged", 1),
    }
    assert (replay.site.tariff.source, replay.site.tariff.file) == ("csv", PRICES)
    assert (replay.site.tariff.adder, replay.site.tariff.demand_charge_per_kw) == (0.1, 9)


def test_a_site_without_evses_is_refused() -> None:
    with pytest.raises(ConfigError, match="no EVSE"):
        given_site(log_of(visit(1, 8, 9)), SiteConfig(name="x", import_limit_kw=1), PRICES)


def test_the_window_is_whole_local_days_by_default() -> None:
    window = window_of(log_of(visit(1, 8, 12), visit(2, 30, 31)), None, None, ALWAYS)
    assert window == Window(
        start=datetime(2024, 5, 5, 22, tzinfo=UTC), end=datetime(2024, 5, 7, 22, tzinfo=UTC)
    )
    with pytest.raises(ConfigError, match="not before"):
        window_of(log_of(visit(1, 8, 12)), DAY, DAY, ALWAYS)
    with pytest.raises(ConfigError, match="no usable session"):
        window_of(log_of(), None, None, ALWAYS)


def test_a_slip_in_a_year_does_not_make_the_window_longer_than_the_prices() -> None:
    priced = Window(start=DAY - timedelta(days=1), end=DAY + timedelta(days=3))
    log = log_of(visit(1, -900, -890), visit(2, 8, 12), visit(3, 9, 75 * 8766), visit(4, 900, 901))
    window = window_of(log, None, None, priced)
    assert window == Window(
        start=datetime(2024, 5, 5, 22, tzinfo=UTC), end=datetime(2024, 5, 6, 22, tzinfo=UTC)
    )
    chosen = select(log, window, priced, asked=False)
    assert [v.visit_id for v in chosen.visits] == ["v2", "v3"]
    assert counts(chosen) == {"outside_prices": ("excluded", 2), "cut_at_end": ("repaired", 1)}
    later = Window(start=DAY + timedelta(days=2), end=DAY + timedelta(days=3))
    with pytest.raises(ConfigError, match="no session that the prices"):
        window_of(log, None, None, later)


def test_what_lies_outside_of_window_and_prices_is_counted_and_what_sticks_out_is_cut() -> None:
    log = log_of(
        visit(1, -5, 3), visit(2, 8, 12), visit(3, 20, 40, charging_h=15), visit(4, 30, 31)
    )
    window = Window(start=DAY, end=DAY + timedelta(days=1))
    chosen = select(log, window, ALWAYS)
    assert [v.visit_id for v in chosen.visits] == ["v2", "v3"]
    assert chosen.visits[1].departed_at == window.end
    assert chosen.visits[1].charge_end_at == window.end
    assert chosen.visits[1].flags == ("cut_at_end",)
    assert counts(chosen) == {
        "outside_window": ("excluded", 2),
        "cut_at_end": ("repaired", 1),
    }
    priced = Window(start=DAY, end=DAY + timedelta(hours=13))
    assert counts(select(log, window, priced))["outside_prices"] == ("excluded", 1)
    with pytest.raises(ConfigError, match="the prices"):
        select(log, window, Window(start=DAY - timedelta(days=9), end=DAY - timedelta(days=8)))
