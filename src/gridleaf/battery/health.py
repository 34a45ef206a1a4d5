"""Health from what is measured: the capacity of a vehicle's battery, and how well it is known.

A session moves energy through two registers and the state of charge from one reading to another:

    kappa (s1 - s0) = (eta_c e^a E_charged - E_discharged / (eta_d e^b)) / e^c

c is the logarithm of the capacity [kWh], kappa what the cold leaves of it, eta_c and eta_d the
efficiencies that the site assumes, a and b by how much they are off. The energies are metered well and
the state of charge is not, so it is the state of charge that is taken as the measurement: fitted the
other way round, energy by state of charge, its errors pull the capacity down (errors in variables;
Plett, J. Power Sources 196 (2011) 2319, 10.1016/j.jpowsour.2010.09.048). What is estimated is
(c, a, b), with a prior, session by session: a Kalman filter with one number measured, in closed form.

While a vehicle only charges, a and c are seen as one number: the spread assumed of the efficiency
stays in the variance of the capacity. What goes in and comes out again moves energy and not the state
of charge, and tells the losses apart from the capacity: where V2G gives now more and now less, both registers together do what neither can alone.

Three things keep it honest. Rounding and drift of the gauge weigh the more the smaller the change of
charge is, so a session counts by the square of it. Errors are taken to be distributed with Student's
t, so doubtful sessions count for less, and one that would count for less than a quarter (a gauge that
was reset, another vehicle with the same token) counts for nothing; when so many in a row are doubtful
that it must be another battery, the estimate begins anew. Sessions in between that are too small to
contradict another battery do not speak for this one. And no vehicle's sessions can show a scale error of
its own gauge, so that is added to the band.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Triangle = tuple[float, float, float, float, float, float]
Fade = Callable[[float], tuple[float, float]]
"""Age [years] -> expected state of health and its standard deviation, 0..1."""

NOMINAL_SD = 0.05
"""What a site file calls the usable energy when new differs from what the gauge covers by this much
(standard deviation): packs differ, and so does what people take for usable."""
FADE_PER_YEAR, FADE_SD_PER_YEAR = 0.023, 0.01
"""Mean loss of capacity per year, and how much that differs between vehicles: 2.3 %/a over 6,300 cars
(Geotab 2019), from 1.8 %/a (Geotab 2024) to 4.2 %/a (Leaf 2015, passively cooled)."""
LEAST_SOH = 0.3
"""No prior expects less: a battery in use holds more, whatever its age."""
UNKNOWN_AGE_Y, UNKNOWN_AGE_SD_Y = 4.0, 5.0
"""What is taken of a vehicle whose age nobody told [years]."""
DRIFT_PER_ROOT_YEAR = 0.01
"""Random walk of the relative capacity around the expected fade."""
EFFICIENCY_SD, EFFICIENCY_TWIN = 0.045, 0.7
"""Spread of the true efficiencies around the assumed ones, and how alike both directions are: from meter
to cells, chargers of cars reach 0.85 to 0.97 and nobody tells which one it is."""
EFFICIENCY_SCATTER = 0.01
"""The same from session to session: other chargers, other powers."""
SOC_STEP, SOC_SD = 0.01, 0.007
"""Steps of the reported state of charge, and the error of each reading on top of the rounding."""
SHAPE_SD = 0.02
"""Energy per step of charge differs over the range by this much; over the full range by nothing."""
SCALE_SD = 0.01
"""Scale error of the gauge, which its own sessions cannot show."""
REGISTER_SD_KWH = 0.02
COLD_C, COLD_PER_K, COLD_SD = 25.0, 0.003, 0.01
"""Below 25 C a kelvin takes so much of the usable capacity; how cold the cells are differs from session to
session, and nobody measures it, so that adds this."""
FREEDOM = 5.0
"""Degrees of freedom of Student's t."""
GATE, LEAST_WEIGHT = 4.0, 0.25
"""A session further off than so many standard deviations, or of less weight, counts for nothing."""
DOUBTED_WEIGHT = 0.5
"""A session of less weight speaks against its battery, even where it counts."""
ANEW_AFTER, ANEW_WIDER = 8, 2.0
"""So many in a row that speak against it are another battery; then the prior is taken wider."""
ANOTHER = 0.2
"""Another battery is one whose capacity differs by so much; a session that could not show that says nothing
about it."""
_YEAR = timedelta(days=365.25)
_LEAST_KWH = 1.0
_TURNS = 12
_Z90 = 1.6448536269514722

Verdict = Literal["counted", "small", "outlier", "anew"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What one session tells: energy through the registers between two readings of the state of charge.

    Energies at the grid side [kWh], >= 0; SoC 0..1; the efficiencies are those the site assumes.
    ``temperature_c`` is what is taken for the battery's, None where nobody knows any.
    """

    at: datetime
    charged_kwh: float
    discharged_kwh: float
    soc_from: float
    soc_to: float
    charge_efficiency: float
    discharge_efficiency: float
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Capacity and efficiencies of one vehicle as known at ``at``.

    Attributes
    ----------
    mean
        Logarithms: of the capacity per full range of the gauge [kWh], and of how much better than
        assumed charging and discharging are.
    covariance
        Of the mean: upper triangle, row by row.
    sessions
        How many counted.
    misfits
        How many in a row spoke against it, but for those too small to speak for it.
    """

    at: datetime
    mean: tuple[float, float, float]
    covariance: Triangle
    sessions: int = 0
    misfits: int = 0

    @property
    def capacity_kwh(self) -> float:
        """Energy per full range of the gauge (median) [kWh]."""
        return math.exp(self.mean[0])

    @property
    def relative_sd(self) -> float:
        """Standard deviation of the capacity as a share of it, the scale of the gauge included."""
        return math.hypot(math.sqrt(self.covariance[0]), SCALE_SD)

    @property
    def sd_kwh(self) -> float:
        return self.capacity_kwh * self.relative_sd

    @property
    def band_kwh(self) -> tuple[float, float]:
        """The capacity lies within with a probability of 90 % [kWh]."""
        factor = math.exp(_Z90 * self.relative_sd)
        return self.capacity_kwh / factor, self.capacity_kwh * factor

    @property
    def round_trip(self) -> tuple[float, float]:
        """How much better than assumed the round trip is (factor), and its relative deviation."""
        _, _, _, a, ab, b = self.covariance
        return math.exp(self.mean[1] + self.mean[2]), math.sqrt(a + 2 * ab + b)


def linear_fade(age_y: float) -> tuple[float, float]:
    """The prior where no ageing model speaks: a mean fade per year and its spread."""
    soh = max(1.0 - FADE_PER_YEAR * age_y, LEAST_SOH)
    return soh, math.hypot(NOMINAL_SD, FADE_SD_PER_YEAR * age_y)


def prior(
    nominal_kwh: float,
    at: datetime,
    made_at: datetime | None = None,
    fade: Fade = linear_fade,
) -> Estimate:
    """What is known of a battery before its first session.

    Parameters
    ----------
    nominal_kwh
        Usable energy when new [kWh].
    made_at
        When it was new; None is not known.
    fade
        Expected health by age, e.g. of an ageing model.
    """
    if made_at is not None:
        soh, sd = fade(max((at - made_at) / _YEAR, 0.0))
    else:
        soh, sd = fade(UNKNOWN_AGE_Y)
        older, _ = fade(UNKNOWN_AGE_Y + UNKNOWN_AGE_SD_Y)
        sd = math.hypot(sd, soh - older)
    loss = EFFICIENCY_SD**2
    return Estimate(
        at=at,
        mean=(math.log(soh * nominal_kwh), 0.0, 0.0),
        covariance=((sd / soh) ** 2, 0.0, 0.0, loss, EFFICIENCY_TWIN * loss, loss),
    )


def predict(estimate: Estimate, at: datetime, fade: Fade = linear_fade) -> Estimate:
    """The estimate moved on in time: capacity falls slowly, and is known a little less."""
    years = (at - estimate.at) / _YEAR
    if years <= 0:
        return estimate
    c, a, b = estimate.mean
    return replace(
        estimate,
        at=at,
        mean=(c + math.log(fade(1.0)[0] / fade(0.0)[0]) * years, a, b),
        covariance=_less_known(estimate, estimate.covariance[0] + DRIFT_PER_ROOT_YEAR**2 * years),
    )


def update(
    estimate: Estimate, sweep: Sweep, again: Estimate, fade: Fade = linear_fade
) -> tuple[Estimate, float, Verdict]:
    """Learn from a session.

    Parameters
    ----------
    again
        The prior to begin anew from, where it turns out to be another battery.

    Returns
    -------
    estimate : Estimate
        At the time of the session.
    weight : float
        How much the session counted, 0..1 (may be a little above where it fits very well).
    verdict : str
        ``counted``; ``small``, too little happened; ``outlier``, it does not fit; ``anew``, it is one
        of many that did not, and the estimate began again with it.
    """
    before = predict(estimate, sweep.at, fade)
    if max(sweep.charged_kwh, sweep.discharged_kwh) < _LEAST_KWH:
        return before, 0.0, "small"
    after, weight = _learn(before, sweep)
    doubts = before.misfits
    if weight < DOUBTED_WEIGHT:
        doubts += 1
    elif _could_contradict(before, sweep):
        doubts = 0
    if doubts >= ANEW_AFTER:
        fresh, fits = _learn(_wider(predict(again, sweep.at, fade)), sweep)
        if fits >= DOUBTED_WEIGHT:
            return replace(fresh, sessions=1, misfits=0), fits, "anew"
    if weight < LEAST_WEIGHT:
        return replace(before, misfits=doubts), 0.0, "outlier"
    return replace(after, sessions=before.sessions + 1, misfits=doubts), weight, "counted"


def informed(estimate: Estimate, before: Estimate) -> bool:
    """Whether sessions have taught more than the prior knew: at least three, and a narrower band."""
    return estimate.sessions >= 3 and estimate.relative_sd < 0.8 * before.relative_sd


def _could_contradict(before: Estimate, sweep: Sweep) -> bool:
    """Whether a session of this size would be doubted if it were of :data:`ANOTHER` battery."""
    change, row = _expected(np.array(before.mean), sweep)
    spread = float(row @ _square(before.covariance) @ row)
    return (ANOTHER * change) ** 2 > GATE**2 * (spread + _noise(before, sweep))


def _wider(estimate: Estimate) -> Estimate:
    variance = estimate.covariance[0] * ANEW_WIDER**2
    return replace(estimate, covariance=_less_known(estimate, variance))


def _less_known(estimate: Estimate, variance: float) -> Triangle:
    """The covariance with another variance of the capacity."""
    _, cov_a, cov_b, a, ab, b = estimate.covariance
    return variance, cov_a, cov_b, a, ab, b


def _learn(before: Estimate, sweep: Sweep) -> tuple[Estimate, float]:
    """One step of the filter: mean (Gauss-Newton) and weight (Student's t, variational) in turn."""
    start, covariance = np.array(before.mean), _square(before.covariance)
    noise, mean, weight = _noise(before, sweep), start, 1.0
    for turn in range(_TURNS):
        expected, row = _expected(mean, sweep)
        seen = covariance @ row
        spread = float(row @ seen)
        miss = sweep.soc_to - sweep.soc_from - expected - float(row @ (start - mean))
        if turn == 0 and miss * miss > GATE**2 * (spread + noise):
            return before, 0.0
        total = spread + noise / weight
        mean = start + seen * (miss / total)
        left = noise / weight / total
        weight = (FREEDOM + 1) / (FREEDOM + ((miss * left) ** 2 + spread * left) / noise)
    covariance = covariance - np.outer(seen, seen) / (spread + noise / weight)
    return replace(before, mean=_triple(mean), covariance=_triangle(covariance)), weight


def _expected(mean: Floats, sweep: Sweep) -> tuple[float, Floats]:
    """The change of charge that a mean expects of a session, and its derivatives."""
    c, a, b = mean.tolist()
    scale = math.exp(-c) / left_by_cold(sweep.temperature_c)
    gained = scale * math.exp(a) * sweep.charge_efficiency * sweep.charged_kwh
    lost = scale * math.exp(-b) * sweep.discharged_kwh / sweep.discharge_efficiency
    return gained - lost, np.array([lost - gained, gained, lost])


def _noise(before: Estimate, sweep: Sweep) -> float:
    """Variance of a session's change of charge around what was expected of it."""
    change, row = _expected(np.array(before.mean), sweep)
    gauge = 2 * (SOC_STEP**2 / 12 + SOC_SD**2)
    shape = (SHAPE_SD * change * max(1 - abs(change), 0.0)) ** 2
    cold = (COLD_SD * change) ** 2
    moved = EFFICIENCY_SCATTER**2 * float(row[1] ** 2 + row[2] ** 2)
    return gauge + shape + cold + moved + 2 * (REGISTER_SD_KWH / before.capacity_kwh) ** 2


def left_by_cold(temperature_c: float | None) -> float:
    """Share of the capacity that can be used at a temperature; all of it where nobody knows any."""
    if temperature_c is None:
        return 1.0
    return 1.0 - COLD_PER_K * min(max(COLD_C - temperature_c, 0.0), 50.0)


def _square(triangle: tuple[float, ...]) -> Floats:
    a, b, c, d, e, f = triangle
    return np.array([[a, b, c], [b, d, e], [c, e, f]])


def _triangle(square: Floats) -> Triangle:
    (a, b, c), (_, d, e), (_, _, f) = square.tolist()
    return a, b, c, d, e, f


def _triple(vector: Floats) -> tuple[float, float, float]:
    a, b, c = vector.tolist()
    return a, b, c
