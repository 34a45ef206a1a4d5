"""Three ways to treat the same car in the same place: what each leaves of its battery."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Final, Literal

import numpy as np

from gridleaf.battery.ageing import History, Life, Model, layout, simulate
from gridleaf.battery.health import (
    FADE_PER_YEAR,
    FADE_SD_PER_YEAR,
    LEAST_SOH,
    NOMINAL_SD,
    Fade,
    linear_fade,
)
from gridleaf.battery.wear import ageing_model
from gridleaf.domain.errors import ConfigError

Habit = Literal["unmanaged", "delayed", "v2g"]
HABITS: Final[tuple[Habit, ...]] = ("unmanaged", "delayed", "v2g")

FULL: Final = 0.9
"""SoC to which unmanaged charging and V2G charge."""
LOWEST: Final = 0.5
"""SoC on which delayed charging leaves the car after its last trip."""
GIVEN: Final = 0.3
"""What V2G gives in the evening, of the capacity."""
SPREAD: Final = 0.15
"""Standard deviation of how fast cells of one kind age."""
BAND: Final = (0.1, 0.5, 0.9)
"""The quantiles of cells that are told, slowest ageing last."""
MOST_DRIVING: Final = 0.5
OLDEST_Y: Final = 20
"""A battery is expected to lose nothing more beyond this age [years]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Where and how a car is used.

    The cell's temperature is ``mean_c`` over the year, ``amplitude_c`` more in midsummer and less in
    midwinter [°C]. ``driving`` is the share of the capacity that a day's two trips use.
    """

    mean_c: float = 20.0
    amplitude_c: float = 8.0
    driving: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 <= self.driving <= MOST_DRIVING:
            raise ConfigError("driving", f"must be from 0 to {MOST_DRIVING:g} of the capacity")
        coldest, hottest = self.mean_c - self.amplitude_c, self.mean_c + self.amplitude_c
        if not layout.COLDEST_C <= coldest <= hottest <= layout.HOTTEST_C:
            span = f"{layout.COLDEST_C:g} to {layout.HOTTEST_C:g} °C"
            raise ConfigError("mean_c", f"with amplitude_c must be numbers within {span}")


def history(habit: Habit, use: Use) -> History:
    """A year of it, hourly: trips at 8 and 17 h, plugged in from 18 h.

    ``unmanaged`` charges at once and sits full; ``delayed`` charges just before it leaves, to what the
    day needs; ``v2g`` gives in the evening and charges between 4 and 8 h.
    """
    trip = use.driving / 2.0
    top = FULL if habit != "delayed" else LOWEST + use.driving
    home = top - use.driving
    day = [(8.0, top), (9.0, top - trip), (17.0, top - trip), (18.0, home)]
    if habit == "unmanaged":
        knots = [(0.0, top), *day, (22.0, top), (24.0, top)]
    elif habit == "delayed":
        knots = [(0.0, home), (5.0, home), *day, (24.0, home)]
    else:
        given = max(home - GIVEN, 0.1)
        knots = [(0.0, given), (4.0, given), *day, (21.0, given), (24.0, given)]
    hours = np.arange(0.0, 8761.0)
    at, soc = np.array(knots).T
    season = np.sin(2.0 * np.pi * (hours / 24.0 - 100.0) / 365.0)
    return History(
        time_h=hours,
        soc=np.interp(hours % 24.0, at, soc),
        temperature_c=use.mean_c + use.amplitude_c * season,
    )


def compare(model: Model, use: Use, years: int) -> dict[Habit, Life]:
    """What each habit leaves; the arrays of a life are (years, 3), one column for each of :data:`BAND`.

    Cells of one kind differ in how fast they age, normally with :data:`SPREAD`. The capacity of a
    cell falls with that speed, so the quantiles of speed are those of capacity.
    """
    ages = NormalDist(1.0, SPREAD)
    speed = [ages.inv_cdf(1.0 - share) for share in BAND]
    return {habit: simulate(model, history(habit, use), years, speed=speed) for habit in HABITS}


@cache
def fade_of(battery: str, mean_c: float) -> Fade:
    """What the age of a pack of the catalogue tells of its health, before anything is measured.

    The mean is that of its cells' model under the usual use: driven every day and charged at once,
    around ``mean_c``. The spread is no narrower than without a model. The field's ±1 %/a around
    2.3 %/a (:data:`~gridleaf.battery.health.FADE_SD_PER_YEAR`) is of climates and habits as well, and those
    a cell's name does not tell; and published models of one chemistry differ by as much, so which of them is
    right is not known either. Cells that fade faster than the field differ in proportion.
    Where nobody knows how the cells age, :func:`~gridleaf.battery.health.linear_fade`.

    Raises
    ------
    ConfigError
        There is no such pack.
    """
    model = ageing_model(battery)
    if model is None:
        return linear_fade
    life = simulate(model, history("unmanaged", Use(mean_c=mean_c)), OLDEST_Y)
    # most laws grow with a root of time: between the ends of years that is nearer than a line
    at = np.sqrt(np.arange(OLDEST_Y + 1.0))
    left = np.append(1.0, life.relative_capacity).clip(LEAST_SOH)

    def fade(age_y: float) -> tuple[float, float]:
        soh = float(np.interp(math.sqrt(age_y), at, left))
        lost = max(1.0 - soh, FADE_PER_YEAR * age_y)
        return soh, math.hypot(NOMINAL_SD, FADE_SD_PER_YEAR / FADE_PER_YEAR * lost)

    return fade
