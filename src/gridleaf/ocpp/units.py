"""From a station's sampled values to gridleaf's: kW, kWh, A, V, fractions; and back out of them.

A value that cannot be read is flagged and left out, never raised and never guessed into a number:
stations in the field send ``"NaN"``, ``""``, ``"12,5"`` and units that do not fit the measurand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Literal

from gridleaf.domain.meter import MeterSample

DEFAULT_MEASURAND: Final = "Energy.Active.Import.Register"

_UNITS: Final = {
    "Wh": (1000.0, 0.0, "kWh"),
    "kWh": (1.0, 0.0, "kWh"),
    "varh": (1000.0, 0.0, "kvarh"),
    "kvarh": (1.0, 0.0, "kvarh"),
    "VAh": (1000.0, 0.0, "kVAh"),
    "kVAh": (1.0, 0.0, "kVAh"),
    "W": (1000.0, 0.0, "kW"),
    "kW": (1.0, 0.0, "kW"),
    "VA": (1000.0, 0.0, "kVA"),
    "kVA": (1.0, 0.0, "kVA"),
    "var": (1000.0, 0.0, "kvar"),
    "kvar": (1.0, 0.0, "kvar"),
    "A": (1.0, 0.0, "A"),
    "V": (1.0, 0.0, "V"),
    "Hz": (1.0, 0.0, "Hz"),
    "Hertz": (1.0, 0.0, "Hz"),
    "Percent": (100.0, 0.0, "1"),
    "%": (100.0, 0.0, "1"),
    "Celsius": (1.0, 0.0, "degC"),
    "Celcius": (1.0, 0.0, "degC"),
    "K": (1.0, -273.15, "degC"),
    "Fahrenheit": (1.8, -32 / 1.8, "degC"),
}
"""The station's unit -> (divisor, offset, our unit): ours = theirs / divisor + offset.

``Celcius`` is how 1.6 spells it.
"""

_NATURAL: Final = (
    ("Energy.Reactive", "varh"),
    ("Energy.Apparent", "VAh"),
    ("Energy", "Wh"),
    ("Power.Reactive", "var"),
    ("Power.Factor", ""),
    ("Power", "W"),
    ("Current", "A"),
    ("Voltage", "V"),
    ("Frequency", "Hz"),
    ("SoC", "Percent"),
    ("Temperature", "Celsius"),
    ("Display.PresentSOC", "Percent"),
    ("Display.MinimumSOC", "Percent"),
    ("Display.TargetSOC", "Percent"),
    ("Display.MaximumSOC", "Percent"),
    ("Display.BatteryEnergyCapacity", "Wh"),
    ("Display.InletHot", ""),
)
"""Start of a measurand -> the unit that holds when the station names none; first match wins."""

_LARGEST_MULTIPLIER: Final = 24
AT_ONCE: Final = timedelta(seconds=1)
"""Values that are no further apart were measured together, whatever the clock of each says."""
_when: Final = attrgetter("measured_at")


@dataclass(frozen=True, slots=True)
class Readings:
    """What came out of a list of meter values, and what was doubtful about it."""

    samples: tuple[MeterSample, ...] = ()
    flags: tuple[str, ...] = ()


@lru_cache(256)
def natural_unit(measurand: str) -> str:
    """The unit of a measurand when a station names none; "" where there is none."""
    return next((unit for start, unit in _NATURAL if measurand.startswith(start)), "")


def read_meter_values(
    meter_values: Sequence[dict[str, Any]],
    read_time: Callable[[str], tuple[datetime, tuple[str, ...]]],
) -> Readings:
    """Every sample of a ``meterValue`` list, of any version.

    Parameters
    ----------
    read_time
        Turns a timestamp of the station into an aware time and flags
        (:func:`gridleaf.ocpp.semantics.read_time`).
    """
    samples: list[MeterSample] = []
    flags: list[str] = []
    for entry in meter_values:
        measured_at, doubts = read_time(entry["timestamp"])
        flags += doubts
        for sampled in entry["sampledValue"]:
            samples += read_sample(sampled, measured_at, flags)
    return Readings(tuple(samples), tuple(dict.fromkeys(flags)))


def read_sample(
    sampled: dict[str, Any], measured_at: datetime, flags: list[str]
) -> list[MeterSample]:
    """One ``sampledValue`` of any version as no, one or two samples; doubts go into ``flags``.

    Signed meter data is evidence, not a number: it is kept as a sample ``SignedData.<measurand>``
    whose ``raw`` is the blob.
    """
    measurand = sampled.get("measurand", DEFAULT_MEASURAND)
    place = {
        "measured_at": measured_at,
        "phase": sampled.get("phase"),
        "context": sampled.get("context", "Sample.Periodic"),
        "location": sampled.get("location", "Outlet"),
    }
    signed = sampled.get("signedMeterValue", {}).get("signedMeterData")
    if sampled.get("format") == "SignedData":
        signed = sampled["value"]
    kept = []
    if signed is not None:
        evidence = f"SignedData.{measurand}"
        kept.append(MeterSample(measurand=evidence, value=0.0, unit="signed", raw=signed, **place))
    if sampled.get("format") != "SignedData":
        measure = sampled.get("unitOfMeasure", {})
        unit = measure.get("unit") or sampled.get("unit") or natural_unit(measurand)
        converted = convert(sampled["value"], unit, measure.get("multiplier", 0), measurand, flags)
        if converted is not None:
            value, ours = converted
            raw = _raw(sampled["value"], unit, measure.get("multiplier", 0))
            kept.append(MeterSample(measurand=measurand, value=value, unit=ours, raw=raw, **place))
    return kept


def convert(
    value: str | float, unit: str, multiplier: int, measurand: str, flags: list[str]
) -> tuple[float, str] | None:
    """A station's value in our unit; None, with a flag, when it cannot be read.

    ``value_unreadable``: not a finite number. ``unit_unknown``: no such unit for this measurand.
    ``unit_mismatch``: a unit of another dimension; the number is taken in the measurand's own unit
    with the same prefix, as with ``Wh`` for a power. ``sign_odd``: an export below zero; its
    magnitude is kept.
    """
    number = _number(value)
    if number is None or abs(multiplier) > _LARGEST_MULTIPLIER:
        flags.append("value_unreadable")
        return None
    natural = natural_unit(measurand)
    if natural and unit in _UNITS and _UNITS[unit][2] != _UNITS[natural][2]:
        flags.append("unit_mismatch")
        unit = "k" + natural if unit.startswith("k") and "k" + natural in _UNITS else natural
    if unit not in _UNITS:
        if natural:
            flags.append("unit_unknown")
            return None
        return number * 10.0**multiplier, unit
    divisor, offset, ours = _UNITS[unit]
    result = number * 10.0**multiplier / divisor + offset
    if result < 0 and ".Export" in measurand:
        flags.append("sign_odd")
        result = -result
    return result, ours


def _number(value: str | float) -> float | None:
    if isinstance(value, str):
        if "_" in value:
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if math.isfinite(value) else None


def _raw(value: str | float, unit: str, multiplier: int) -> str:
    scale = f" e{multiplier}" if multiplier else ""
    return f"{value}{scale} {unit}".rstrip()


# -- what a set of samples says about power --


def power_kw(samples: Iterable[MeterSample], voltage_v: float = 230.0) -> float | None:
    """The power of an EVSE [kW], + charges, - discharges; None when the samples do not tell.

    The newest samples count, those at the outlet before others; those no more than
    :data:`AT_ONCE` apart are one measurement, the last of each kind counting. Import minus export; the sum of
    the phases where only phases are given; current times voltage where only amperes are given, a
    current without a phase being the sum of all phases (OCPP 1.6, SampledValue).

    Parameters
    ----------
    voltage_v
        Phase voltage to assume where none was sampled [V].
    """
    telling = sorted((s for s in samples if s.measurand in _TELLING), key=_when)
    for measurands, read in ((_POWERS, _from_power), (_CURRENTS, _from_current)):
        chosen = [s for s in telling if s.measurand in measurands]
        if chosen:
            newest = max(s.measured_at for s in chosen)
            place = best_place(s for s in chosen if newest - s.measured_at <= AT_ONCE)
            here = [s for s in telling if newest - s.measured_at <= AT_ONCE and s.location == place]
            return read(here, voltage_v)
    return None


def best_place(samples: Iterable[MeterSample]) -> str:
    """Which of the locations of some samples counts: the outlet, the vehicle, then any other."""
    places = {s.location for s in samples}
    return next((p for p in ("Outlet", "EV") if p in places), min(places))


@dataclass(frozen=True, slots=True)
class Energy:
    """What one measurement tells of the energy in one direction.

    Attributes
    ----------
    kwh
        The register, or what flowed in an interval that ends with the measurement.
    place
        Where it was measured; ``elsewhere``: it was also measured at a place that does not count.
    """

    kwh: float
    place: str
    interval: bool = False
    elsewhere: bool = False


def energy(samples: Iterable[MeterSample], direction: Literal["Import", "Export"]) -> Energy | None:
    """The energy in one direction: one location, the sum of the phases where no total is given.

    A register counts before an interval.
    """
    counted = [s for s in samples if s.measurand.startswith(f"Energy.Active.{direction}.")]
    for kind in ("Register", "Interval"):
        chosen = [s for s in counted if s.measurand == f"Energy.Active.{direction}.{kind}"]
        if chosen:
            place = best_place(chosen)
            here = [s for s in chosen if s.location == place]
            total = _total(_by_phase(here, here[0].measurand))
            if total is not None:
                return Energy(total, place, kind == "Interval", len(here) < len(chosen))
    return None


_POWERS: Final = ("Power.Active.Import", "Power.Active.Export")
_CURRENTS: Final = ("Current.Import", "Current.Export")
_TELLING: Final = frozenset((*_POWERS, *_CURRENTS, "Voltage"))


def _from_power(samples: list[MeterSample], voltage_v: float) -> float | None:
    imported, exported = (_by_phase(samples, name) for name in _POWERS)
    return _net(_total(imported), _total(exported))


def _from_current(samples: list[MeterSample], voltage_v: float) -> float | None:
    volts = {
        phase: value / math.sqrt(3) if phase in _LINE_TO_LINE else value
        for phase, value in _by_phase(samples, "Voltage").items()
    }
    mean_v = sum(volts.values()) / len(volts) if volts else voltage_v

    def power(name: str) -> dict[str | None, float]:
        amps = _by_phase(samples, name)
        return {p: a * volts.get(p, mean_v) / 1000 for p, a in amps.items()}

    imported, exported = (power(name) for name in _CURRENTS)
    return _net(_total(imported), _total(exported))


_PHASES: Final = ("L1", "L2", "L3")
_LINE_TO_LINE: Final = ("L1-L2", "L2-L3", "L3-L1")


def _by_phase(samples: list[MeterSample], measurand: str) -> dict[str | None, float]:
    """Phase -> value; ``L1-N`` counts as ``L1``."""
    return {
        s.phase.removesuffix("-N") if s.phase is not None else None: s.value
        for s in samples
        if s.measurand == measurand
    }


def _total(by_phase: dict[str | None, float]) -> float | None:
    if None in by_phase:
        return by_phase[None]
    values = [by_phase[phase] for phase in _PHASES if phase in by_phase]
    return sum(values) if values else None


def _net(imported: float | None, exported: float | None) -> float | None:
    """Import minus export; a negative import beside an export is the same power told twice."""
    if imported is None and exported is None:
        return None
    if imported is not None and imported < 0 and exported:
        imported = 0.0
    return (imported or 0.0) - (exported or 0.0)
