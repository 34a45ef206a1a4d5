"""Many cells of one model, each with a history of its own, carried forward as it happens."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridleaf.battery.ageing import kernel, layout
from gridleaf.battery.ageing.models import Model
from gridleaf.battery.ageing.stress import KELVIN, Floats
from gridleaf.battery.ageing.tables import table
from gridleaf.domain.errors import ConfigError

REASONS = ("temperature", "soc", "charge rate", "discharge rate", "depth", "rate")
"""Why a history is outside what a model was fitted to; ``rate``: a rate had to be limited."""
_SOC = (0.0, 1.0, "from 0 to 1")
_TEMPERATURE_C = (layout.COLDEST_C, layout.HOTTEST_C, "from -50 to 90 °C")
_ANY = (0.0, float(np.finfo(float).max), "from 0 on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What ``n`` cells of a model have become; struct of arrays.

    Everything is as of the last piece of history that ended, at most about a day ago; the open piece
    is kept in ``piece``, so that a history may be cut anywhere.

    Attributes
    ----------
    relative_capacity, resistance
        Against the cell at its beginning, (n,) [1]. ``resistance`` stays 1 where the model has none.
    parts
        The parts of loss and growth, (n, 5), in the order of ``model.parts``.
    speed
        How fast each cell ages, (n,): 1 is the published cell.
    efc
        Equivalent full cycles so far, of the beginning's capacity, (n,).
    outside_h
        Hours outside the fitted range, (n, 7): in all, then by each of :data:`REASONS`.
    piece
        The open piece of history, (n, :data:`layout.PIECE`).
    """

    model: Model
    relative_capacity: Floats
    resistance: Floats
    parts: Floats
    speed: Floats
    efc: Floats
    outside_h: Floats
    piece: Floats

    def __len__(self) -> int:
        return len(self.relative_capacity)


def fresh(model: Model, n: int = 1, *, speed: ArrayLike = 1.0) -> Population:
    """``n`` cells as the model begins, none of whose history is known yet.

    ``speed``, one or (n,), spreads cells of one kind: time and throughput count so many times.

    Raises
    ------
    ConfigError
        ``speed`` does not fit, or is no number from 0 on.
    """
    speeds = _fitted("speed", speed, (n,))
    _check("speed", speeds, *_ANY)
    starts = [part.start for part in model.parts]
    piece = np.zeros((n, layout.PIECE))
    piece[:, layout.ANCHOR] = layout.UNKNOWN
    return Population(
        model=model,
        relative_capacity=np.ones(n),
        resistance=np.ones(n),
        parts=np.tile([*starts, *[0.0] * (layout.PARTS - len(starts))], (n, 1)),
        speed=speeds,
        efc=np.zeros(n),
        outside_h=np.zeros((n, layout.REASONS)),
        piece=piece,
    )


def advance(
    population: Population, soc: Floats, temperature_c: Floats, step_h: ArrayLike
) -> Population:
    """Carry cells forward over samples of their history.

    Parameters
    ----------
    soc, temperature_c
        (n, steps), SoC 0..1 and cell temperature [°C]. Each sample is ``step_h`` after the one before
        it, the last of the previous call included; SoC is linear between them. The very first sample
        of a cell is where its history begins.
    step_h
        One length for every step, or (steps,) [h].

    Raises
    ------
    ConfigError
        A shape does not fit, SoC is outside 0..1, or a temperature is outside -50..90 °C.
    """
    soc, temperature_c = (np.require(a, np.float64, ("C", "W")) for a in (soc, temperature_c))
    if soc.ndim != 2 or soc.shape != temperature_c.shape or len(soc) != len(population):
        raise ConfigError(
            "soc", f"{soc.shape} and {temperature_c.shape} do not fit {len(population)} cells"
        )
    if soc.shape[1] == 0:
        return population
    _check("soc", soc, *_SOC)
    _check("temperature_c", temperature_c, *_TEMPERATURE_C)
    hours = _fitted("step_h", step_h, soc.shape[1:])
    if not (hours.min() > 0.0 and np.isfinite(hours).all()):
        raise ConfigError("step_h", "must be above 0")
    pieces, parts, outside = (
        np.array(rows.T, order="C")
        for rows in (population.piece, population.parts, population.outside_h)
    )
    totals = np.array([population.relative_capacity, population.resistance, population.efc])
    model = population.model
    rates = table(model)
    kernel.carry(
        model.code,
        model.laws(),
        model.limits(),
        rates.shape,
        rates.over_soc,
        rates.over_temperature,
        hours,
        soc,
        temperature_c,
        population.speed,
        pieces,
        parts,
        outside,
        totals,
    )
    return replace(
        population,
        relative_capacity=totals[0],
        resistance=totals[1],
        efc=totals[2],
        parts=parts.T,
        outside_h=outside.T,
        piece=pieces.T,
    )


def _fitted(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Values, or one for all, as a new array of a shape."""
    given = np.asarray(values, float)
    try:
        return np.array(np.broadcast_to(given, shape))
    except ValueError:
        raise ConfigError(name, f"{given.shape} does not fit {shape}") from None


def _check(name: str, values: Floats, low: float, high: float, range_: str) -> None:
    if not kernel.within(values.ravel(), low, high):
        raise ConfigError(name, f"must be a number {range_}")


def calendar_rate(population: Population, soc: ArrayLike, temperature_c: ArrayLike) -> Floats:
    """Loss of relative capacity per hour of rest, at each cell's present state.

    ``soc`` and ``temperature_c`` broadcast to (n, k), which is the shape of the result. The rate is
    that of the next day, because at the very beginning most laws are infinitely steep. Errors are those
    of :func:`advance`.
    """
    return _marginal(population, soc, temperature_c, 0.0, 0.0, days=1.0, efc=0.0) / 24.0


def cycling_rate(
    population: Population,
    depth: ArrayLike,
    c_rate: ArrayLike,
    soc: ArrayLike,
    temperature_c: ArrayLike,
) -> Floats:
    """Loss of relative capacity per equivalent full cycle, at each cell's present state.

    ``depth`` (0..1) and ``c_rate`` [1/h] of the cycles, their mean ``soc`` and ``temperature_c``
    broadcast to (n, k), the shape of the result. The rate is that of the next cycle. Errors are those of
    :func:`advance`.
    """
    return _marginal(population, soc, temperature_c, depth, c_rate, days=0.0, efc=1.0)


def _marginal(
    population: Population,
    soc: ArrayLike,
    temperature_c: ArrayLike,
    depth: ArrayLike,
    c_rate: ArrayLike,
    *,
    days: float,
    efc: float,
) -> Floats:
    """Loss over ``days`` and ``efc`` of a piece of history that is the same all the time."""
    model = population.model
    given = [np.asarray(a, float) for a in (soc, temperature_c, depth, c_rate)]
    try:
        wide = np.broadcast_shapes(*(a.shape for a in given), (len(population), 1))
    except ValueError:
        wide = ()
    if len(wide) != 2 or wide[0] != len(population):
        shapes = ", ".join(str(a.shape) for a in given)
        raise ConfigError("soc", f"{shapes} do not fit {len(population)} cells together")
    soc, temperature, depth, c_rate = (np.array(np.broadcast_to(a, wide)) for a in given)
    _check("soc", soc, *_SOC)
    _check("temperature_c", temperature, *_TEMPERATURE_C)
    _check("depth", depth, *_SOC)
    _check("c_rate", c_rate, *_ANY)
    pieces: NDArray[np.float64] = np.zeros((*wide, layout.PIECE))
    q = np.maximum(population.relative_capacity, layout.LEAST_CAPACITY)[:, None]
    pieces[..., layout.HOURS] = 1.0
    pieces[..., layout.LOW] = np.maximum(soc - depth / 2.0, 0.0)
    pieces[..., layout.HIGH] = np.minimum(pieces[..., layout.LOW] + depth, 1.0)
    pieces[..., layout.ANCHOR] = soc
    for place in (layout.CHARGED, layout.DISCHARGED):
        pieces[..., place] = c_rate / 2.0 / q
    pieces[..., layout.CHARGING_H] = pieces[..., layout.DISCHARGING_H] = 0.5
    t = temperature - 25.0
    stretch = ((KELVIN + 45.0) / (temperature + KELVIN)) ** 3
    for place, value in (
        (layout.SUM_SOC, soc),
        (layout.SUM_T, t),
        (layout.SUM_T2, t**2),
        (layout.SUM_T3, t**3),
    ):
        pieces[..., place] = value
    if model.code == layout.NCA_SONY:
        pieces[..., layout.SUM_U : layout.SUM_V] = (soc * stretch)[..., None] ** [1.0, 2.0, 3.0]
        pieces[..., layout.SUM_V : layout.OUT_H] = (np.sqrt(soc) * stretch)[..., None] ** [1.0, 2.0]
    for place, rate in enumerate(model.calendar(soc, temperature + KELVIN)):
        pieces[..., layout.SUM_RATE + place] = rate
    loss = np.empty(wide)
    kernel.marginal(
        model.code,
        model.laws(),
        pieces,
        np.ascontiguousarray(population.parts),
        population.relative_capacity,
        population.speed,
        days,
        efc,
        loss,
    )
    return loss
