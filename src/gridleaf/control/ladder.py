"""The degradation ladder: in which words an EVSE is told its setpoint, from rung to rung.

==== ===========================================================================================
0    the preferred rate unit, above the default limit, of the transaction
1    the other rate unit where the station takes it; a profile of its own instead of a dynamic one
2    stack level 0, in the preferred unit
3    a TxDefaultProfile
4    the floor (6 A); the envelope carries it out
5    a pause; the envelope carries it out
==== ===========================================================================================

A rung that says what a lower one has said already is skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gridleaf.domain.events import CapabilitiesRead
from gridleaf.domain.site import Evse, Station

FLOOR_RUNG, PAUSE_RUNG = 4, 5
STACK_LEVEL = 1
"""Where the profiles of a transaction stand, if the station has so many levels; the default limit is
on level 0."""
_DEFAULT_RUNG = 3


@dataclass(frozen=True, slots=True)
class Words:
    """How a profile is put: its unit, stack level and purpose, and whether it may be dynamic."""

    rate_unit: Literal["A", "W"]
    stack_level: int
    purpose: Literal["tx", "tx_default"]
    dynamic: bool


def words(station: Station, evse: Evse, read: CapabilitiesRead | None, rung: int) -> Words:
    """The words of a rung for an EVSE of which ``read`` is known.

    With a single stack level a TxDefaultProfile would take the place of the default limit, so the
    profile stays that of the transaction.
    """
    units = _units(read)
    preferred = preferred_unit(station, evse, read)
    other: Literal["A", "W"] = "W" if preferred == "A" else "A"
    flipped = rung == 1 and evse.current == "AC" and other in units
    most = read.max_stack_level if read is not None else None
    top = STACK_LEVEL if most is None else max(min(STACK_LEVEL, most), 0)
    default = rung >= _DEFAULT_RUNG and top > 0
    return Words(
        rate_unit=other if flipped else preferred,
        stack_level=0 if rung == 2 else top,
        purpose="tx_default" if default else "tx",
        dynamic=rung == 0 and read is not None and read.dynamic_profiles,
    )


def preferred_unit(
    station: Station, evse: Evse, read: CapabilitiesRead | None
) -> Literal["A", "W"]:
    """What the site file says, or amperes for AC and watts for DC, if the station takes it."""
    units = _units(read)
    preferred = station.rate_unit or ("A" if evse.current == "AC" else "W")
    return preferred if preferred in units else units[0]


def _units(read: CapabilitiesRead | None) -> tuple[Literal["A", "W"], ...]:
    return (read.rate_units if read is not None else ()) or ("A", "W")


def rung_above(station: Station, evse: Evse, read: CapabilitiesRead | None, rung: int) -> int:
    """The next rung that says something new; the pause is the last."""
    return next((n for n in _rungs(station, evse, read) if n > rung), PAUSE_RUNG)


def rung_below(station: Station, evse: Evse, read: CapabilitiesRead | None, rung: int) -> int:
    """The rung before that says something of its own; 0 is the first."""
    return next((n for n in reversed(_rungs(station, evse, read)) if n < rung), 0)


def _rungs(station: Station, evse: Evse, read: CapabilitiesRead | None) -> list[int]:
    said: list[Words] = []
    found = []
    for rung in range(FLOOR_RUNG):
        saying = words(station, evse, read, rung)
        if saying not in said:
            found.append(rung)
            said.append(saying)
    return [*found, FLOOR_RUNG, PAUSE_RUNG]
