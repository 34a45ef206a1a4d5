"""What a pack is worth when it leaves the vehicle, when that is best, and what V2G does to it.

The price of a used pack follows Neubauer and Pesaran (J. Power Sources 196 (2011) 10351, doi
10.1016/j.jpowsour.2011.06.053): a price for a kWh of storage that falls over the years as new packs
get cheaper, times the health that is left, less what testing and refitting cost. Below that stands what
a recycler pays. Money is in the currency of the prices, time in years from new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridleaf.domain.errors import ConfigError

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What used packs fetch.

    Attributes
    ----------
    second_life_eur_per_kwh
        For each kWh that a used pack still holds, today.
    falls_per_year
        By which share this falls each year.
    refit_eur_per_kwh
        Testing and refitting, for each kWh when new.
    least_capacity, enough_power
        Relative capacity below which nobody refits it; relative power (1 over relative resistance)
        below which the price falls in proportion.
    recycling_eur_per_kwh
        What a recycler pays for each kWh when new; negative is a fee.
    interest
        A year, for the value of later money.
    """

    second_life_eur_per_kwh: float = 60.0
    falls_per_year: float = 0.05
    refit_eur_per_kwh: float = 15.0
    least_capacity: float = 0.6
    enough_power: float = 0.5
    recycling_eur_per_kwh: float = 5.0
    interest: float = 0.05

    def __post_init__(self) -> None:
        for field in fields(self):
            if not math.isfinite(getattr(self, field.name)):
                raise ConfigError(f"market.{field.name}", "must be a number")
        for name in ("second_life_eur_per_kwh", "refit_eur_per_kwh"):
            if getattr(self, name) < 0:
                raise ConfigError(f"market.{name}", "must not be negative")
        for name in ("falls_per_year", "least_capacity"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"market.{name}", "must be from 0 to below 1")
        if not 0 < self.enough_power <= 1:
            raise ConfigError("market.enough_power", "must be above 0 and at most 1")
        if self.interest <= -1:
            raise ConfigError("market.interest", "must be above -1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The best moment to let a pack go.

    ``worth_eur`` is the present value of using it until then and selling it; ``residual_eur`` is
    what it sells for at that time, not discounted.
    """

    year: float
    worth_eur: float
    residual_eur: float


def residual_eur(
    market: Market,
    energy_kwh: float,
    years: ArrayLike,
    capacity: ArrayLike,
    resistance: ArrayLike = 1.0,
) -> Floats:
    """What a pack sells for, whether to a second life or to a recycler [EUR].

    E max(p (1 − f)^t q min(1, 1/(ρ w)) − c, s), without the first term where q is below
    ``least_capacity``: q relative capacity, ρ relative resistance, E ``energy_kwh`` when new.

    Parameters
    ----------
    years, capacity, resistance
        From new, relative to new; broadcast against each other.
    """
    years, capacity = np.asarray(years, dtype=np.float64), np.asarray(capacity, dtype=np.float64)
    power = np.minimum(1.0, 1 / (np.asarray(resistance, dtype=np.float64) * market.enough_power))
    price = market.second_life_eur_per_kwh * (1 - market.falls_per_year) ** years
    refitted = price * capacity * power - market.refit_eur_per_kwh
    refitted = np.where(capacity < market.least_capacity, -np.inf, refitted)
    return energy_kwh * np.maximum(refitted, market.recycling_eur_per_kwh)


def use_eur_per_year(new_eur_per_year: float, capacity: ArrayLike, useless: float) -> Floats:
    """What driving with a pack is worth a year: all of it when new, nothing at ``useless`` capacity."""
    left = (np.asarray(capacity, dtype=np.float64) - useless) / (1 - useless)
    return new_eur_per_year * np.clip(left, 0.0, 1.0)


def worth_eur(
    market: Market, years: ArrayLike, use_eur_per_year: ArrayLike, residual_eur: ArrayLike
) -> Floats:
    """Present value of using a pack until each of ``years`` and selling it then [EUR].

    ∫₀^τ u(t) e^(−δt) dt + e^(−δτ) S(τ), δ = ln(1 + interest). Between the years u is linear, and the
    integral over each is exact.

    Parameters
    ----------
    years
        Ascending from 0, ``(T,)``; the others have as many values along their last axis.
    """
    years = np.asarray(years, dtype=np.float64)
    if years[0] != 0 or not (np.diff(years) > 0).all():
        raise ConfigError("years", "must rise from 0")
    used = np.asarray(use_eur_per_year, dtype=np.float64)
    first, last = _weights(np.diff(years), math.log1p(market.interest))
    begun = (1 + market.interest) ** -years[:-1]
    parts = begun * (first * used[..., :-1] + last * used[..., 1:])
    so_far = np.concatenate((np.zeros_like(used[..., :1]), np.cumsum(parts, axis=-1)), axis=-1)
    return so_far + (1 + market.interest) ** -years * np.asarray(residual_eur, dtype=np.float64)


def best_exit(
    market: Market, years: ArrayLike, use_eur_per_year: ArrayLike, residual_eur: ArrayLike
) -> Exit:
    """The year of the most present value, the earliest among equals; at the years given."""
    worth = worth_eur(market, years, use_eur_per_year, residual_eur)
    best = int(np.argmax(worth))
    return Exit(
        year=float(np.asarray(years)[best]),
        worth_eur=float(worth[best]),
        residual_eur=float(np.asarray(residual_eur)[best]),
    )


def break_even_eur_per_year(
    market: Market,
    years: ArrayLike,
    without_v2g: Exit,
    use_eur_per_year: ArrayLike,
    residual_eur: ArrayLike,
) -> float:
    """What V2G must earn a year, from the first on, to be worth its wear [EUR/year].

    With income y the pack that also serves the grid is worth worth(τ) + y A(τ) when it goes at τ, A
    the present value of 1 a year. It is as good as without V2G at the least y for which some τ
    reaches ``without_v2g``: min over τ of (worth without − worth(τ))/A(τ). Negative where V2G spares
    the cells more than it costs them.

    Parameters
    ----------
    use_eur_per_year, residual_eur
        Of the pack that serves the grid, without that income.
    """
    years = np.asarray(years, dtype=np.float64)
    worth = worth_eur(market, years, use_eur_per_year, residual_eur)
    annuity = worth_eur(market, years, np.ones_like(years), np.zeros_like(years))
    return float(np.min((without_v2g.worth_eur - worth[1:]) / annuity[1:]))


def _weights(length: Floats, rate: float) -> tuple[Floats, Floats]:
    """∫₀^L (1 − t/L) e^(−δt) dt and ∫₀^L (t/L) e^(−δt) dt."""
    x = rate * length
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.where(x == 0, 1.0, -np.expm1(-x) / x)
        late = (whole - np.exp(-x)) / x
    # a difference of near numbers where the interest is small; its series there
    late = np.where(np.abs(x) < 1e-4, 0.5 - x / 3 + x * x / 8, late)
    return length * (whole - late), length * late
