from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridleaf.control.observe import Imposed
from gridleaf.demo.depot import demo_site
from gridleaf.demo.umpire import Umpire

NIGHT = datetime(2026, 1, 5, 1, tzinfo=UTC)
"""No window narrows the limits of 170 and 90 kW."""
SITE = demo_site(data_dir=Path(), port=0, ocpp_port=0, call_timeout_s=30, meter_max_age_s=60)
PHASES = {s.id: s.evses[0].phases for s in SITE.stations}
STEP_S = 10
NOTHING_IMPOSED = Imposed()


class Game:
    """An umpire with 60 s of patience who is shown powers for so many seconds."""

    def __init__(self, at: datetime = NIGHT) -> None:
        self.umpire = Umpire(SITE, reaction_s=60.0)
        self.at = at

    def show(
        self,
        seconds: float,
        base_kw: float = 0.0,
        step_s: float = STEP_S,
        imposed: Imposed = NOTHING_IMPOSED,
        **powers_kw: float,
    ) -> None:
        powers = {name.replace("_", "-"): power for name, power in powers_kw.items()}
        until = self.at + timedelta(seconds=seconds)
        while self.at < until:
            self.umpire.look(self.at, base_kw, powers, PHASES, imposed)
            self.at += timedelta(seconds=step_s)


def test_an_hour_beyond_the_limit_is_one_violation() -> None:
    game = Game()
    game.show(3600 + STEP_S, 400.0)
    game.show(600, 100.0)
    assert game.umpire.violations == 1
    assert game.umpire.longest_s == 3600.0


def test_half_a_minute_does_not_count() -> None:
    game = Game()
    game.show(30 + STEP_S, 400.0)
    game.show(600, 100.0)
    assert game.umpire.violations == 0
    assert game.umpire.longest_s == 30.0


def test_two_separate_episodes_count_twice() -> None:
    game = Game()
    for seconds in (120, 300):
        game.show(seconds, 400.0)
        game.show(STEP_S, 100.0)
    assert game.umpire.violations == 2
    assert game.umpire.longest_s == 300.0 - STEP_S


@pytest.mark.parametrize("step_s", [0.5, 7, 59, 61, 75, 300])
def test_an_episode_counts_however_the_samples_fall(step_s: float) -> None:
    game = Game()
    game.show(3600, 400.0, step_s=step_s)
    assert game.umpire.violations == 1


def test_exactly_the_reaction_time_is_in_time() -> None:
    game = Game()
    game.show(60 + STEP_S, 400.0)
    assert game.umpire.violations == 0
    game.show(STEP_S, 400.0)
    assert game.umpire.violations == 1


def test_import_and_export_are_limits_of_their_own() -> None:
    game = Game()
    game.show(50, 400.0)
    game.show(50, -400.0)
    assert game.umpire.violations == 0
    game.show(50, -400.0)
    assert game.umpire.violations == 1


def test_a_row_has_its_own_limit() -> None:
    game = Game()
    game.show(120, **{f"BAY_{n:02d}": 22.0 for n in range(1, 6)})
    assert game.umpire.violations == 1


def test_a_window_narrows_the_limit_of_the_grid() -> None:
    game = Game(at=datetime(2026, 1, 5, 17, tzinfo=UTC))
    game.show(120, 100.0)
    assert game.umpire.violations == 1


def test_a_limit_from_outside_counts() -> None:
    game = Game()
    game.show(120, 100.0, imposed=Imposed(import_kw=50.0))
    assert game.umpire.violations == 1


def test_one_phase_of_a_fused_row_may_be_overloaded_below_its_power() -> None:
    """36 kW on three phases are 52 A each; a guest's 7.36 kW add 32 A to its own phase: 84 A of 80."""
    pool = {f"POOL_{n:02d}": 9.0 for n in range(1, 5)}
    game = Game()
    game.show(120, **pool)
    assert game.umpire.violations == 0
    game.show(120, GUEST_01=7.36, **pool)
    assert game.umpire.violations == 1
