"""What wear costs: a price on holding charge, a price on giving it back, and the bill of a history.

Capacity is money: a pack of P EUR is used up when its relative capacity q has fallen from 1 to the end
of its life, so a loss dq costs P dq / (1 - end of life) EUR (:class:`Worth`; what a used pack is still
worth, and interest, are left out).

The price is the tangent of the full model at a vehicle's present state, along the day that it is
expected to have (:class:`Day`):

* **dwell**: what an hour more at a charge level, and one less of the day as it is, adds to the loss of
  the day. With the loss y growing as k x^p, k the mean over the day of a rate k(SoC), that is linear
  in k(SoC), at the slope that the *present* y gives: an old pack ages more slowly than its lifetime
  average, a new one faster. Planners need it convex, so it is replaced by its lower convex hull over
  the charge, in a few straight pieces.
* **discharge**: the loss of the expected day by cycling less that of the same day had nothing been
  given back, for each kWh given back: a secant, because depth and rate change what every cycle of the
  day costs.
* **depth**: in place of the price of discharge, for planners that can: what the day costs by one cycle
  of a depth, in slices of the depth. Where a cell's loss depends much on the depth no single price
  holds for a plan that is still to be made.
* what is left, cycling by driving and charging and what the hull is below the rate along the expected
  day, is charged to no decision but counted, so that the price adds up to the full model's loss.

:func:`cost_of_life` is the other side: the full model over the history as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridleaf.battery.ageing import kernel, layout
from gridleaf.battery.ageing.models import Model
from gridleaf.battery.ageing.models import model as model_named
from gridleaf.battery.ageing.population import REASONS, Population, advance, fresh
from gridleaf.battery.catalogue import catalogue
from gridleaf.battery.pack import Pack, cell_soc
from gridleaf.battery.rainflow import cycle_cost
from gridleaf.domain.errors import ConfigError

Floats = NDArray[np.float64]

PIECES = 4
"""So many straight pieces of dwell price at most."""
SLICES = 8
"""So many slices of depth."""
YOUNGEST_D, OLDEST_D = 90, 40 * 365
"""A pack is taken to be at least so old, because laws are infinitely steep at birth; and at most [d]."""
_GRID = np.linspace(0.0, 1.0, 51)
_NUDGE = 1e-3
"""Share of the day that is moved to another charge level to find the tangent."""
_SUMS = np.r_[layout.SUM_SOC : layout.SUM_V2 + 1, layout.SUM_RATE : layout.SCALED]
"""Of a piece of history: what is the mean of what was held."""
_MOVES = (
    layout.SWING,
    layout.CHARGED,
    layout.CHARGING_H,
    layout.DISCHARGED,
    layout.DISCHARGING_H,
    layout.FIRST,
    layout.LAST,
)
"""Of a piece of history: what grows with its cycles."""
_ROUGH = 0.02
"""A hull less than this share of the curve's span below it is as good as the curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What a pack is worth.

    ``capacity_kwh`` is usable when new: SoC 1 of every history here is this much energy, so that a
    worn pack swings deeper for the same. ``soh`` is what of it the pack holds: at SoC ``soh`` it is full,
    and its cells rest as full cells do. ``pack`` translates its charge into the cells'; None: the same.
    """

    capacity_kwh: float
    pack_price_eur_per_kwh: float = 120.0
    end_of_life_soh: float = 0.7
    pack: Pack | None = None
    soh: float = 1.0

    @property
    def eur_per_capacity(self) -> float:
        """What losing all relative capacity would cost [EUR]; a loss dq costs dq of it."""
        return self.pack_price_eur_per_kwh * self.capacity_kwh / (1.0 - self.end_of_life_soh)

    def cells(self, soc: ArrayLike) -> Floats:
        """The cells' SoC."""
        return self._within(np.asarray(soc, dtype=np.float64) / self.soh)

    def history(self, soc: ArrayLike) -> Floats:
        """A history as ageing models take it, which widen its swings around their beginning by wear.

        It moves as far as the same energy moved a new pack, and is at the cells' own level when half full:
        nearly so for what begins near that.
        """
        half = np.asarray(0.5 * self.soh)
        level = self.cells(half) - self._within(half)
        return np.clip(self._within(np.asarray(soc, dtype=np.float64)) + level, 0.0, 1.0)

    def _within(self, share: Floats) -> Floats:
        """The cells' SoC at a share of the usable range."""
        share = np.clip(share, 0.0, 1.0)
        return share if self.pack is None else np.clip(cell_soc(self.pack, share), 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What a vehicle is expected to do in a day or so.

    All paths ``(T + 1,)`` are SoC at the edges of the steps ``step_h`` ``(T,)``: ``soc`` as expected,
    ``giving`` a day like it on which ``given_kwh`` are given back (grid side), ``keeping`` the same with
    nothing given back. Where giving back is expected, ``soc`` is ``giving``. ``temperature_c`` is of the
    cells, one or ``(T + 1,)``.
    """

    step_h: Floats
    soc: Floats
    giving: Floats
    keeping: Floats
    given_kwh: float
    temperature_c: ArrayLike = 20.0

    @property
    def expects_giving(self) -> bool:
        return bool((self.soc == self.giving).all())


@dataclass(frozen=True, slots=True, kw_only=True)
class WearPrice:
    """The marginal price of wear. It holds from one day to the next.

    Attributes
    ----------
    discharge_eur_per_kwh
        For each kWh given back, at the grid side.
    dwell_kwh, dwell_eur_per_kwh_h
        Levels of energy (B,) and, from each on, what a kWh more costs for an hour; as
        :class:`gridleaf.plan.Visits` has it.
    dwell_eur_per_h
        What an hour at the first level costs.
    depth_kwh, depth_eur_per_kwh
        A range in J equal slices, and what a kWh taken out of the cells costs in each (J,): instead of
        the price of discharge, and for driving too.
    other_eur_per_h, other_by_depth_eur_per_h
        What no decision is charged with, where discharge or where depth has a price: cycling by
        driving and charging, and what the dwell price lacks along the expected day.
    rest_eur_per_h
        What an hour of the expected day costs in all, but for what is given back.
    soc, rate_eur_per_h
        The dwell price before it was made convex.
    hull_below_eur_per_h, fit_error_eur_per_h
        How far the convex hull is below that at most, and the straight pieces above the hull.
    notes
        What to know about it, in plain sentences.
    """

    discharge_eur_per_kwh: float
    dwell_kwh: Floats
    dwell_eur_per_kwh_h: Floats
    dwell_eur_per_h: float
    depth_kwh: float
    depth_eur_per_kwh: Floats
    other_eur_per_h: float
    other_by_depth_eur_per_h: float
    rest_eur_per_h: float
    soc: Floats
    rate_eur_per_h: Floats
    hull_below_eur_per_h: float
    fit_error_eur_per_h: float
    notes: tuple[str, ...]

    def dwell_at(self, energy_kwh: ArrayLike) -> Floats:
        """What holding these energies costs per hour [EUR/h]."""
        energy = np.asarray(energy_kwh, dtype=np.float64)
        cost = self.dwell_eur_per_h + self.dwell_eur_per_kwh_h[0] * (energy - self.dwell_kwh[0])
        rises = np.diff(self.dwell_eur_per_kwh_h)
        for level, rise in zip(self.dwell_kwh[1:], rises, strict=True):
            cost = cost + rise * np.maximum(energy - level, 0.0)
        return np.asarray(cost)

    def cost_eur(self, step_h: Floats, energy_kwh: Floats, given_kwh: float) -> float:
        """What a day costs, everything counted [EUR]; ``energy_kwh`` ``(T + 1,)`` at the edges."""
        rest = self.other_eur_per_h * float(step_h.sum())
        return self._held(step_h, energy_kwh) + rest + self.discharge_eur_per_kwh * given_kwh

    def cost_by_depth_eur(self, step_h: Floats, energy_kwh: Floats) -> float:
        """The same where the depth of the day's cycles has the price."""
        rest = self.other_by_depth_eur_per_h * float(step_h.sum())
        width = self.depth_kwh / len(self.depth_eur_per_kwh)
        return (
            self._held(step_h, energy_kwh)
            + rest
            + cycle_cost(energy_kwh, width, self.depth_eur_per_kwh)
        )

    def _held(self, step_h: Floats, energy_kwh: Floats) -> float:
        held = self.dwell_at(energy_kwh)
        return float(step_h @ (held[1:] + held[:-1])) / 2.0


def usual_day(
    *,
    leaves_soc: float,
    comes_soc: float,
    lowest_soc: float,
    charge_c: float,
    discharge_c: float,
    capacity_kwh: float,
    discharge_efficiency: float = 0.93,
    temperature_c: float = 20.0,
) -> Day:
    """A working day from 17 h on: in the evening down to ``lowest_soc``, charged for the morning, away.

    ``charge_c`` and ``discharge_c`` are the powers at the cells over the capacity [1/h]. It goes less far
    down, and up, where the night is too short for it.
    """
    night_h = 13.5
    leaves_soc = min(max(leaves_soc, comes_soc), comes_soc + 0.9 * night_h * charge_c)
    slowness = 1.0 / discharge_c + 1.0 / charge_c
    in_time = (comes_soc / discharge_c + leaves_soc / charge_c - night_h) / slowness
    lowest = min(max(lowest_soc, in_time), comes_soc)
    edges = np.linspace(0.0, 24.0, 97)

    def path(lowest: float) -> Floats:
        empty_h = 18.0 + (comes_soc - lowest) / discharge_c
        full_h = 31.5 - max(leaves_soc - lowest, 0.0) / charge_c
        times = np.array([8.0, 17.0, 18.0, empty_h, max(full_h, empty_h), 31.5, 32.0])
        socs = np.array([leaves_soc, comes_soc, comes_soc, lowest, lowest, leaves_soc, leaves_soc])
        return np.asarray(np.interp(8.0 + (9.0 + edges) % 24.0, times, socs))

    giving = path(lowest)
    return Day(
        step_h=np.diff(edges),
        soc=giving,
        giving=giving,
        keeping=path(comes_soc),
        given_kwh=(comes_soc - lowest) * capacity_kwh * discharge_efficiency,
        temperature_c=temperature_c,
    )


def ageing_model(battery: str) -> Model | None:
    """The ageing model of the cells of a pack of the catalogue; None where nobody knows one.

    Raises
    ------
    ConfigError
        There is no such pack.
    """
    return cell_ageing(catalogue().pack(battery).cell)


def cell_ageing(cell: str) -> Model | None:
    """The ageing model that the catalogue states of one of its cells; None where it states none.

    Raises
    ------
    ConfigError
        No model has the name that is stated.
    """
    stated = catalogue().cells[cell].ageing_model
    try:
        return None if stated is None else model_named(stated.name)
    except ConfigError as error:
        raise ConfigError(f"cells.{cell}.ageing_model.name", error.reason) from None


@cache
def worn(model: Model, soh: float, temperature_c: float = 20.0) -> Population:
    """A cell whose relative capacity has fallen to ``soh`` by ordinary driving.

    Every day it goes from 80 % down to 60 % and back. A cell that never gets so far is as it is after
    40 years; none is younger than :data:`YOUNGEST_D`.
    """
    soc = np.interp(
        np.arange(1.0, 25.0), [0.0, 8.0, 9.0, 17.0, 18.0, 24.0], [0.8, 0.8, 0.7, 0.7, 0.6, 0.8]
    )
    cell = advance(fresh(model), np.array([[0.8]]), np.array([[temperature_c]]), 1.0)
    for days in (YOUNGEST_D, *[5] * ((OLDEST_D - YOUNGEST_D) // 5)):
        path = np.tile(soc, days)[None]
        later = advance(cell, path, np.full(path.shape, temperature_c), 1.0)
        if days != YOUNGEST_D and later.relative_capacity[0] < soh:
            break
        cell = later
    return cell


def marginal(
    population: Population,
    worth: Worth,
    day: Day,
    *,
    reach: tuple[float, float] = (0.0, 1.0),
) -> WearPrice:
    """The price of wear of one cell at its present state, along the day that is expected.

    Parameters
    ----------
    population
        One cell, see :func:`worn`.
    reach
        Between which SoC the vehicle can be: where the price has to be convex. A worn pack holds no
        more than ``worth.soh``.
    """
    eur = worth.eur_per_capacity
    hours = float(day.step_h.sum())
    pieces = _pieces(population, worth, day, day.soc)
    calendar = sum(_loss(population, p, hours=p[layout.HOURS]) for p in pieces)
    cycling = _cycling(population, pieces)
    # the charge that is held meanwhile is in the dwell price: only the cycles differ here
    mean = pieces[:, _SUMS].sum(axis=0) / hours
    more, less = (
        _cycling(population, _pieces(population, worth, day, path), mean)
        for path in (day.giving, day.keeping)
    )
    secant = (more - less) * eur / day.given_kwh if day.given_kwh > 0 else 0.0
    discharge = max(secant, 0.0)

    soc = reach[0] + (min(reach[1], worth.soh) - reach[0]) * _GRID
    anchors = pieces[:, [layout.ANCHOR]]
    q = max(float(population.relative_capacity[0]), layout.LEAST_CAPACITY)
    shown = np.clip(anchors + (worth.history(soc) - anchors) / q, 0.0, 1.0)
    mean_c = float(np.mean(np.asarray(day.temperature_c, dtype=np.float64)))
    rate = np.full(len(soc), calendar / hours)
    for piece, held in zip(pieces, shown, strict=True):
        rate += piece[layout.HOURS] / hours * _tangent(population, piece, held, mean_c)
    rate *= eur
    hull = _hull(soc, rate)
    knots = _knots(soc, hull)
    slopes = np.diff(hull[knots]) / np.diff(soc[knots])
    slopes = np.maximum.accumulate(slopes)  # they rise but for rounding
    price = WearPrice(
        discharge_eur_per_kwh=discharge,
        dwell_kwh=soc[knots[:-1]] * worth.capacity_kwh,
        dwell_eur_per_kwh_h=slopes / worth.capacity_kwh,
        dwell_eur_per_h=float(hull[0]),
        depth_kwh=worth.capacity_kwh,
        depth_eur_per_kwh=_by_depth(population, _pieces(population, worth, day, day.giving), mean)
        * eur
        / worth.capacity_kwh,
        other_eur_per_h=0.0,
        other_by_depth_eur_per_h=0.0,
        rest_eur_per_h=0.0,
        soc=soc,
        rate_eur_per_h=rate,
        hull_below_eur_per_h=float((rate - hull).max()),
        fit_error_eur_per_h=float((np.interp(soc, soc[knots], hull[knots]) - hull).max()),
        notes=_notes(population.model, day, worth, soc, rate, hull, secant),
    )
    given = day.given_kwh if day.expects_giving else 0.0
    energy, loss = day.soc * worth.capacity_kwh, (calendar + cycling) * eur
    return replace(
        price,
        other_eur_per_h=(loss - price.cost_eur(day.step_h, energy, given)) / hours,
        other_by_depth_eur_per_h=(loss - price.cost_by_depth_eur(day.step_h, energy)) / hours,
        rest_eur_per_h=(loss - discharge * given) / hours,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeCost:
    """What histories took from the packs of ``n`` vehicles, by the full model; ``(n,)`` each.

    ``calendar_eur`` and ``cycling_eur`` add up to ``eur``. ``outside`` is the share of the time outside
    what the model was fitted to, ``reasons`` the same by reason, both of all days that are over.
    """

    eur: Floats
    calendar_eur: Floats
    cycling_eur: Floats
    loss: Floats
    outside: Floats
    reasons: dict[str, Floats]
    after: Population


def cost_of_life(
    population: Population, worth: Worth, soc: Floats, temperature_c: ArrayLike, step_h: ArrayLike
) -> LifeCost:
    """Score histories with the full model.

    Parameters
    ----------
    soc, temperature_c, step_h
        As :func:`gridleaf.battery.ageing.advance` takes them, ``(n, steps)``; SoC is that of ``worth``.
    """
    cells = worth.history(soc)
    temperature = np.broadcast_to(np.asarray(temperature_c, dtype=np.float64), cells.shape)
    after = advance(population, cells, temperature, step_h)
    parts = population.model.parts
    timed = np.array([-p.capacity * (p.along == "days") for p in parts])
    opened = np.stack([_open(population, timed), _open(after, timed)])
    grown = after.parts[:, : len(parts)] - population.parts[:, : len(parts)]
    calendar = grown @ timed + opened[1, :, 1] - opened[0, :, 1]
    loss = (
        population.relative_capacity - after.relative_capacity + opened[1, :, 0] - opened[0, :, 0]
    )
    eur = worth.eur_per_capacity
    hours = after.outside_h - population.outside_h
    passed = float(np.broadcast_to(np.asarray(step_h, dtype=np.float64), cells.shape[1:]).sum())
    still_open = (after.piece - population.piece)[:, [layout.HOURS, layout.GAP]].sum(axis=1)
    counted = np.maximum(passed - still_open, 1e-9)
    return LifeCost(
        eur=loss * eur,
        calendar_eur=calendar * eur,
        cycling_eur=(loss - calendar) * eur,
        loss=loss,
        outside=hours[:, 0] / counted,
        reasons={name: hours[:, 1 + n] / counted for n, name in enumerate(REASONS)},
        after=after,
    )


# -- the full model along a day --


def _pieces(population: Population, worth: Worth, day: Day, soc: Floats) -> Floats:
    """A day as the pieces of history that the full model makes of it, ``(k, PIECE)``."""
    cells = worth.history(soc)
    temperature = np.broadcast_to(np.asarray(day.temperature_c, dtype=np.float64), cells.shape)
    moves = np.diff(cells)
    cuts = [0]
    through, last = 0.0, 0.0
    for n, move in enumerate(moves.tolist()):
        if move * last < 0.0 and through > 2.0 * layout.PIECE_EFC:
            cuts.append(n)
            through = 0.0
        through += abs(move)
        last = move or last
    cuts.append(len(moves))
    at = replace(fresh(population.model), relative_capacity=population.relative_capacity[:1])
    rows = []
    for first, end in pairwise(cuts):
        hours = np.append(1.0, day.step_h[first:end])
        part = slice(first, end + 1)
        rows.append(advance(at, cells[None, part], temperature[None, part], hours).piece[0])
    return np.array(rows)


def _cycling(population: Population, pieces: Floats, mean: Floats | None = None) -> float:
    """Loss by the cycles of some pieces, while ``mean`` is held per hour instead of what they hold."""
    if mean is not None:
        pieces = pieces.copy()
        pieces[:, _SUMS] = pieces[:, [layout.HOURS]] * mean
    return sum(_loss(population, p, swing=p[layout.SWING]) for p in pieces)


def _by_depth(population: Population, pieces: Floats, mean: Floats) -> Floats:
    """What one cycle a day costs more in each slice of its depth, per capacity ``(SLICES,)``, convex.

    Power is that of the pieces, so a deeper cycle takes longer.
    """
    edges = np.linspace(0.0, 1.0, SLICES + 1)
    q = max(float(population.relative_capacity[0]), layout.LEAST_CAPACITY)
    whole = pieces.sum(axis=0)
    day = np.tile(pieces[0], (SLICES, 1))
    day[:, layout.HOURS] = whole[layout.HOURS]
    day[:, _SUMS] = whole[layout.HOURS] * mean
    day[:, layout.HIGH] = np.maximum(pieces[:, layout.HIGH].max(), edges[1:])
    day[:, layout.LOW] = day[:, layout.HIGH] - edges[1:]
    for place in _MOVES:
        day[:, place] = whole[place] * 2.0 * edges[1:] / q / max(whole[layout.SWING], 1e-9)
    losses = [_loss(population, row, swing=row[layout.SWING]) for row in day]
    hull = _hull(edges, np.array([0.0, *losses]))
    return np.maximum.accumulate(np.maximum(np.diff(hull) / np.diff(edges), 0.0))


def _loss(
    population: Population, piece: Floats, *, hours: float = 0.0, swing: float = 0.0
) -> float:
    """Loss of relative capacity if so many hours, and so much up and down, of a piece came now."""
    return float(_losses(population, piece[None], hours, swing)[0])


def _losses(population: Population, pieces: Floats, hours: float, swing: float) -> Floats:
    q = max(float(population.relative_capacity[0]), layout.LEAST_CAPACITY)
    loss = np.empty((1, len(pieces)))
    kernel.marginal(
        population.model.code,
        population.model.laws(),
        pieces[None],
        population.parts[:1],
        population.relative_capacity[:1],
        population.speed[:1],
        hours / 24.0,
        0.5 * q * swing,
        loss,
    )
    return np.asarray(loss[0])


def _tangent(population: Population, piece: Floats, levels: Floats, temperature_c: float) -> Floats:
    """What an hour more at each level, and an hour less of the piece as it is, adds to its loss."""
    model, count = population.model, len(levels)
    rests = replace(fresh(model, count), relative_capacity=np.ones(count))
    path = np.column_stack((levels, levels))
    hour = advance(rests, path, np.full(path.shape, temperature_c), np.ones(2)).piece[:, _SUMS]
    hours = piece[layout.HOURS]
    moved = np.tile(piece, (2 * count + 1, 1))
    step = _NUDGE * hours
    change = step * (hour - piece[_SUMS] / hours)
    moved[1 : count + 1, _SUMS] += change
    moved[count + 1 :, _SUMS] -= change
    loss = _losses(population, moved, hours, piece[layout.SWING])
    return np.asarray((loss[1 : count + 1] - loss[count + 1 :]) / (2.0 * step))


def _open(population: Population, timed: Floats) -> Floats:
    """Loss in the pieces that are still open, in all and by time alone, ``(n, 2)``."""
    result = np.zeros((len(population), 2))
    for n in np.flatnonzero(population.piece[:, layout.HOURS] > 0.0).tolist():
        one = replace(
            population,
            parts=population.parts[n : n + 1],
            relative_capacity=population.relative_capacity[n : n + 1],
            speed=population.speed[n : n + 1],
        )
        piece = population.piece[n]
        hours = piece[layout.HOURS] + piece[layout.GAP]
        whole_h = max(piece[layout.HOURS], layout.PIECE_H)  # when it ends
        swing = piece[layout.SWING] * (whole_h + piece[layout.GAP]) / whole_h
        result[n] = _losses(one, piece[None], hours, swing)[0], _loss(one, piece, hours=hours)
    return result


# -- the hull and its pieces --


def _hull(x: Floats, y: Floats) -> Floats:
    """The lower convex hull of a curve, at its own points (Andrew's monotone chain)."""
    kept: list[int] = []
    for n in range(len(x)):
        while len(kept) > 1:
            a, b = kept[-2:]
            if (y[b] - y[a]) * (x[n] - x[a]) < (y[n] - y[a]) * (x[b] - x[a]):
                break
            kept.pop()
        kept.append(n)
    return np.interp(x, x[kept], y[kept])


def _knots(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Where a convex curve is cut into at most :data:`PIECES` straight pieces: where it bends most."""
    knots = [0, len(x) - 1]
    for _ in range(PIECES - 1):
        above = np.interp(x, x[knots], y[knots]) - y
        worst = int(above.argmax())
        if above[worst] <= 1e-6 * np.ptp(y):
            break
        knots = sorted([*knots, worst])
    return np.array(knots)


def _notes(
    model: Model, day: Day, worth: Worth, soc: Floats, rate: Floats, hull: Floats, secant: float
) -> tuple[str, ...]:
    notes = []
    span = float(np.ptp(rate))
    below = rate - hull
    if span > 0 and below.max() > _ROUGH * span:
        at = int(below.argmax())
        notes.append(
            f"holding charge is not convex for this cell: the price is its convex hull, at most "
            f"{24 * below[at]:.3f} EUR a day ({below[at] / span:.0%} of its span) below it, at "
            f"{soc[at]:.0%}"
        )
    lowest = int(rate.argmin())
    if lowest > 0 and rate[0] - rate[lowest] > _ROUGH * span:
        notes.append(f"it rests best at {soc[lowest]:.0%}, not at the lowest charge")
    if secant < 0:
        notes.append(
            "the model ages less with these cycles than without: discharging costs nothing"
        )
    fitted = model.fitted
    cells = worth.cells(day.soc)
    depth, warm = float(np.ptp(cells)), np.asarray(day.temperature_c, dtype=np.float64)
    for name, low, high, (least, most) in (
        ("temperature [°C]", float(warm.min()), float(warm.max()), fitted.temperature_c),
        ("depth", depth, depth, fitted.depth),
        ("SoC", float(cells.min()), float(cells.max()), fitted.soc),
    ):
        if low < least - 1e-6 or high > most + 1e-6:
            shown = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
            notes.append(
                f"outside what the model was fitted to: {name} {shown}, not {least:g} to {most:g}"
            )
    return tuple(notes)
