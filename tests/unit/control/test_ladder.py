"""Each rung of the ladder says something new, in words that the station has said it takes."""

from __future__ import annotations

from typing import Any

import pytest

from builders import NOON, site
from gridleaf.control.ladder import FLOOR_RUNG, PAUSE_RUNG, rung_above, rung_below, words
from gridleaf.domain.events import CapabilitiesRead
from gridleaf.domain.site import Evse, Station

DC, AC = site().stations


def read(**fields: Any) -> CapabilitiesRead:
    return CapabilitiesRead(station_id="AC1", received_at=NOON, **fields)


def climbed(station: Station, known: CapabilitiesRead | None) -> list[tuple[int, str, int, str]]:
    """The rungs from the first to the floor, with the words of each."""
    evse: Evse = station.evses[0]
    rung = 0
    found: list[tuple[int, str, int, str]] = []
    while rung < FLOOR_RUNG:
        said = words(station, evse, known, rung)
        found.append((rung, said.rate_unit, said.stack_level, said.purpose))
        rung = rung_above(station, evse, known, rung)
    assert rung == FLOOR_RUNG
    assert rung_above(station, evse, known, rung) == PAUSE_RUNG
    assert rung_above(station, evse, known, PAUSE_RUNG) == PAUSE_RUNG
    assert rung_below(station, evse, known, FLOOR_RUNG) == found[-1][0]
    return found


@pytest.mark.parametrize("known", [None, read(max_stack_level=8), read()])
def test_of_a_station_that_takes_everything_every_rung_is_tried(
    known: CapabilitiesRead | None,
) -> None:
    assert climbed(AC, known) == [
        (0, "A", 1, "tx"),
        (1, "W", 1, "tx"),
        (2, "A", 0, "tx"),
        (3, "A", 1, "tx_default"),
    ]


def test_a_unit_that_the_station_does_not_take_is_never_tried() -> None:
    assert climbed(AC, read(rate_units=("A",), max_stack_level=3)) == [
        (0, "A", 1, "tx"),
        (2, "A", 0, "tx"),
        (3, "A", 1, "tx_default"),
    ]
    assert {unit for _, unit, _, _ in climbed(AC, read(rate_units=("W",)))} == {"W"}


def test_a_single_stack_level_is_used_from_the_start_and_the_default_limit_is_left_in_place() -> (
    None
):
    known = read(rate_units=("A",), max_stack_level=0)
    assert climbed(AC, known) == [(0, "A", 0, "tx")]
    assert words(AC, AC.evses[0], known, FLOOR_RUNG).purpose == "tx"


def test_a_dynamic_profile_is_followed_by_one_of_the_common_kind() -> None:
    known = read(dynamic_profiles=True, max_stack_level=0)
    assert climbed(DC, known) == [(0, "W", 0, "tx"), (1, "W", 0, "tx")]
    assert words(DC, DC.evses[0], known, 0).dynamic
    assert not words(DC, DC.evses[0], known, 1).dynamic
