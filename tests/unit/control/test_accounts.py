from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOON, ac_evse, evse, outlook, session, site, state
from gridleaf.control.accounts import Accounts, Totals
from gridleaf.control.live import LiveSite
from gridleaf.control.session import LiveSession
from gridleaf.control.types import EvseState
from gridleaf.domain.meter import SiteMeasurement

INTO = OUT_OF = 0.93
MINUTE = timedelta(minutes=1)


class Books:
    """Accounts that are shown one state after the other, a minute apart unless said otherwise."""

    def __init__(self) -> None:
        self.live = LiveSite(site())
        self.accounts = Accounts("UTC")
        self.at = NOON

    def show(self, *evses: EvseState, after: timedelta = MINUTE, **changes: Any) -> None:
        for one in evses:
            if one.session is not None and one.session.session_id not in self.live.sessions:
                name = one.session.session_id
                self.live.sessions[name] = LiveSession(
                    name, one.station_id, one.evse_id, one.session.transaction_id, NOON
                )
        look = replace(changes.pop("outlook", outlook()), start=self.at)
        self.accounts.tick(state(*evses, at=self.at, outlook=look, **changes), self.live)
        self.at += after

    def leave(self, name: str = "s1") -> None:
        del self.live.sessions[name]

    @property
    def total(self) -> Totals:
        assert self.accounts.total is not None
        return self.accounts.total

    def session(self, name: str = "s1") -> LiveSession:
        return self.live.sessions[name]


def metered(grid_kw: float) -> SiteMeasurement:
    return SiteMeasurement(measured_at=NOON, grid_kw=grid_kw)


def drawing(power_kw: float, **changes: Any) -> EvseState:
    return evse(power_kw=power_kw, expected_kw=power_kw, session=session(**changes))


def test_an_hour_of_import_costs_its_energy() -> None:
    books = Books()
    for _ in range(61):
        books.show(drawing(10.0, energy_kwh=32.0), measurement=metered(15.0))
    assert books.total.energy_cost == pytest.approx(15 * 0.3)
    assert books.total.charged_kwh == pytest.approx(10.0)
    assert books.total.hours == pytest.approx(1.0)
    assert books.session().cost_eur == pytest.approx(10 * 0.3)


def test_energy_sold_and_not_bought_back_is_owed() -> None:
    """Ready at arrival, discharged by 10 kWh: recharging takes the round trip's losses more."""
    books = Books()
    books.show(drawing(-10.0, energy_kwh=32.0), after=timedelta(minutes=20))
    for given in (10 / 3, 20 / 3, 10.0):
        left = 32 - given / OUT_OF
        books.show(
            drawing(-10.0, energy_kwh=left, discharged_kwh=given),
            measurement=metered(-5.0),
            after=timedelta(minutes=20),
            outlook=outlook(buy=[0.5] * 8 + [0.2] * 40, sell=0.4),
        )
    assert books.total.energy_cost == pytest.approx(-5 * 0.4)
    assert books.total.wear_cost == pytest.approx(10 * 0.04)
    assert books.total.owed_cost == pytest.approx(10 / (INTO * OUT_OF) * 0.2)
    assert books.total.cost == pytest.approx(-2.0 + 0.4 + 10 / (INTO * OUT_OF) * 0.2)
    assert books.session().cost_eur == pytest.approx(-10 * 0.4 + 0.4 + books.total.owed_cost)


def test_a_debt_that_was_paid_back_is_gone() -> None:
    books = Books()
    books.show(drawing(0.0, energy_kwh=32.0))
    books.show(drawing(-10.0, energy_kwh=22.0, discharged_kwh=9.3))
    assert books.total.owed_cost > 2.0
    books.show(drawing(0.0, energy_kwh=32.0, discharged_kwh=9.3, charged_kwh=10 / INTO))
    assert books.total.owed_cost == pytest.approx(0.0, abs=1e-9)
    assert books.accounts.owed["s1"] == pytest.approx(0.0, abs=1e-9)


def test_more_energy_than_the_counterfactual_is_no_credit() -> None:
    books = Books()
    books.show(drawing(22.0, energy_kwh=32.0))
    books.show(drawing(22.0, energy_kwh=39.0, charged_kwh=7 / INTO))
    assert books.total.owed_cost == 0.0


def test_a_debt_is_valued_at_the_cheapest_hours_that_have_room_before_the_departure() -> None:
    """Two quarters are cheapest, of 22 and of 5 kW of room; the cheap hours after it do not count."""
    prices = [0.4] * 8 + [0.1, 0.2] + [0.4] * 6 + [0.01] * 32
    limits = [40.0] * 9 + [10.0] + [40.0] * 38
    look = replace(outlook(buy=prices, load_kw=5.0), import_limit_kw=tuple(limits))
    books = Books()
    leaves = NOON + timedelta(hours=4)
    books.show(evse(session=session(energy_kwh=32.0)), outlook=look)
    owing = session(energy_kwh=32 - 8 * INTO, discharged_kwh=8 * INTO * OUT_OF, departure_at=leaves)
    books.show(evse(session=owing), outlook=look)
    cheap, less_cheap = 22 * 0.25, 5 * 0.25
    expected = cheap * 0.1 + less_cheap * 0.2 + (8 - cheap - less_cheap) * 0.4
    assert books.total.owed_cost == pytest.approx(expected)


def test_a_glance_at_the_moment_does_not_shorten_the_view_ahead() -> None:
    full = outlook(buy=[0.5] * 8 + [0.2] * 40)
    short = outlook(1, buy=0.5)
    owing = session(energy_kwh=22.0, discharged_kwh=9.3)
    books = Books()
    books.show(drawing(0.0, energy_kwh=32.0), outlook=full)
    books.show(evse(session=owing), outlook=short)
    assert books.total.owed_cost == pytest.approx(9.3 / (INTO * OUT_OF) * 0.2)


def test_a_vehicle_that_leaves_with_a_debt_leaves_it_in_the_books() -> None:
    books = Books()
    books.show(drawing(0.0, energy_kwh=32.0))
    books.show(drawing(0.0, energy_kwh=22.0, discharged_kwh=9.3))
    owed = books.total.owed_cost
    books.leave()
    for _ in range(3):
        books.show(evse(session=None))
    assert books.total.owed_cost == pytest.approx(owed)
    assert books.accounts.owed == {}


def test_a_debt_of_yesterday_is_no_cost_of_today() -> None:
    books, leaves = Books(), NOON + timedelta(hours=20)
    books.at = NOON.replace(hour=23, minute=58)
    books.show(drawing(0.0, energy_kwh=32.0))
    books.show(drawing(0.0, energy_kwh=22.0, discharged_kwh=9.3, departure_at=leaves))
    books.show(drawing(0.0, energy_kwh=22.0, discharged_kwh=9.3, departure_at=leaves))
    today = books.accounts.today
    assert today is not None
    assert today.since == NOON.replace(day=6, hour=0)
    assert today.owed_cost == pytest.approx(0.0, abs=1e-9)
    books.show(
        drawing(
            0.0, energy_kwh=32.0, discharged_kwh=9.3, charged_kwh=10 / INTO, departure_at=leaves
        )
    )
    assert books.accounts.today is not None
    assert books.accounts.today.owed_cost == pytest.approx(
        -books.total.owed_cost - 9.3 / 0.93**2 * 0.3
    )


def test_each_world_prices_at_its_own_margin() -> None:
    """The site exports, but with the vehicle at full power it would import."""
    books = Books()
    for _ in range(2):
        books.show(drawing(6.0), measurement=metered(-4.0))
    assert books.session().cost_eur == pytest.approx(6 / 60 * 0.1 + books.accounts.owed["s1"])
    assert books.accounts.uncontrolled_grid_kw == pytest.approx(12.0)
    assert books.session().uncontrolled_cost_eur == pytest.approx(22 / 60 * 0.3)


def test_charging_at_once_on_generation_is_priced_as_export_in_both_worlds() -> None:
    books = Books()
    books.show(drawing(22.0), measurement=metered(-4.0))
    books.show(
        drawing(22.0, energy_kwh=20 + 22 / 60 * INTO, charged_kwh=22 / 60),
        measurement=metered(-4.0),
    )
    assert books.session().cost_eur == pytest.approx(22 / 60 * 0.1)
    assert books.session().uncontrolled_cost_eur == pytest.approx(22 / 60 * 0.1)


def test_the_counterfactual_shares_what_the_grid_limit_leaves() -> None:
    """22 and 11 kW want to charge beside 29 kW of building at a limit of 40: 11 kW for both."""
    books = Books()
    for _ in range(2):
        books.show(
            drawing(0.0), ac_evse(), base_kw=29.0, measurement=metered(29.0), import_limit_kw=40.0
        )
    assert books.accounts.uncontrolled_grid_kw == pytest.approx(40.0)
    assert books.session().uncontrolled_kwh == pytest.approx(22 / 3 / 60)
    assert books.session("AC1-s").uncontrolled_kwh == pytest.approx(11 / 3 / 60)


def test_the_counterfactual_keeps_to_the_circuits() -> None:
    books = Books()
    for _ in range(2):
        books.show(drawing(0.0), ac_evse(), measurement=metered(5.0))
    assert books.accounts.uncontrolled_grid_kw == pytest.approx(5.0 + 30.0)


def test_a_building_beyond_the_limit_leaves_the_counterfactual_nothing() -> None:
    books = Books()
    for _ in range(2):
        books.show(drawing(0.0), measurement=metered(45.0))
    assert books.accounts.uncontrolled_grid_kw == pytest.approx(45.0)
    assert books.session().uncontrolled_kwh == 0.0


def test_what_the_limit_denied_the_counterfactual_charges_later() -> None:
    books = Books()
    wanted = (32 - 20) / INTO
    for minute in range(91):
        tight = minute <= 30
        books.show(drawing(0.0), measurement=metered(5.0), import_limit_kw=7.0 if tight else 40.0)
        if minute == 30:
            assert books.session().uncontrolled_kwh == pytest.approx(2 * 0.5)
    assert books.session().uncontrolled_kwh == pytest.approx(wanted)
    assert books.accounts.uncontrolled_grid_kw == pytest.approx(5.0)


def test_charging_at_once_in_truth_saves_nothing_and_costs_nothing_more() -> None:
    books = Books()
    charged = 0.0
    for _ in range(30):
        seen = session(energy_kwh=20 + charged * INTO, charged_kwh=charged)
        books.show(evse(power_kw=22.0, expected_kw=22.0, session=seen), measurement=metered(27.0))
        charged += 22 / 60
    assert books.total.cost == pytest.approx(books.total.uncontrolled_energy_cost)
    assert books.session().cost_eur == pytest.approx(books.session().uncontrolled_cost_eur)


def test_a_gap_is_not_accounted_for() -> None:
    books = Books()
    books.show(drawing(10.0), after=timedelta(hours=2))
    books.show(drawing(10.0))
    assert books.total.hours == 0.0
    assert books.total.cost == 0.0


def test_debts_kept_over_a_restart_are_not_counted_twice() -> None:
    books = Books()
    owing = drawing(0.0, energy_kwh=22.0, discharged_kwh=9.3)
    books.show(drawing(0.0, energy_kwh=32.0))
    books.show(owing)
    owed = books.total.owed_cost
    kept = books.accounts
    books.accounts = Accounts("UTC")
    books.accounts.total, books.accounts.today = kept.total, kept.today
    books.accounts.owed = kept.owed
    books.show(owing)
    books.show(owing)
    assert books.total.owed_cost == pytest.approx(owed)


def test_the_gain_of_discharging_is_counted_beside_the_books() -> None:
    """Ready at arrival: it gives 5 kWh at 0.30, and is valued at what charging them again will cost."""
    books = Books()
    cheap = outlook(buy=[0.3] * 8 + [0.1] * 40, sell=0.28)
    books.show(drawing(0.0, energy_kwh=32.0), measurement=metered(20.0), outlook=cheap)
    for _ in range(30):
        books.show(
            drawing(-10.0, energy_kwh=27.0, discharged_kwh=5.0),
            measurement=metered(20.0),
            outlook=cheap,
        )
    gain = books.session().gain
    assert gain.again_kwh == pytest.approx(5.0 / (INTO * OUT_OF))
    assert gain.eur == pytest.approx(5 * 0.3 - 5 * 0.04 - 5 / (INTO * OUT_OF) * 0.1)
    assert books.session().uncontrolled_cost_eur - books.session().cost_eur > gain.eur - 1e-9
