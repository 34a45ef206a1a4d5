"""What was found wrong in a log, and what was done about it: counted, with examples."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from gridleaf.tariff.csv_layout import YEARS

Outcome = Literal["excluded", "repaired", "flagged"]

LONGEST_STAY = timedelta(days=60)
"""Who plugs in for longer is parked for good, or the log has a slip in a date."""

MEANING: dict[str, str] = {
    "missing_value": "arrival, departure or energy is empty",
    "unparsable_value": "arrival, departure or energy cannot be read, or is of a year outside of "
    f"{YEARS[0]} to {YEARS[1]}",
    "surplus_cells": "more cells than the header: an unquoted decimal comma, perhaps",
    "duplicate": "the same row stands there again",
    "repeated_id": "another visit has the same id; it was numbered",
    "not_positive_stay": "departure is not after arrival",
    "implausible_stay": f"the stay is longer than {LONGEST_STAY.days} days",
    "negative_energy": "energy is below zero",
    "zero_energy": "nothing was charged",
    "absurd_power": "the mean power of the stay is above 400 kW",
    "optional_unparsable": "an optional value cannot be read; treated as unknown",
    "absurd_max_power": "the stated power is not above 0 or is above 400 kW; treated as unknown",
    "percent_soc": "states of charge without a unit, all of them above 1, were read as per cent",
    "absurd_soc": "a state of charge outside 0..100 %; treated as unknown",
    "falling_soc": "the state of charge fell while charging; treated as unknown",
    "implausible_capacity": "the capacity contradicts energy and state of charge; treated as unknown",
    "negative_idle": "charging ended after the departure; clipped to the departure",
    "idle_exceeds_stay": "the idle time is longer than the stay; end of charging unknown",
    "ambiguous_time": "local time that exists twice (end of summer time)",
    "nonexistent_time": "local time that does not exist (start of summer time); moved forward",
    "stay_disagrees": "the stated duration differs from departure - arrival by more than 2 min",
    "zone_label_disagrees": "the row's zone label does not fit the zone's calendar",
    "request_disagrees": "the driver announced a departure more than 1 h away from the real one",
    "energy_unreachable": "the energy cannot be reached at the given power within the stay",
    "overlap": "two visits on one connector at a time; the earlier one was cut",
    "outside_window": "arrives outside the time window asked for",
    "cut_at_end": "still there at the end of the window; cut there",
    "outside_prices": "not wholly within the price series",
    "no_free_evse": "no EVSE of the site could take it",
    "other_connector": "its own connector was not known to the site or taken; placed on another",
}
"""What each kind of finding means, in words for the report."""

EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of defect: ``count`` rows had it, ``examples`` names the first few of them."""

    kind: str
    outcome: Outcome
    count: int
    examples: tuple[str, ...]

    @property
    def meaning(self) -> str:
        return MEANING[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuality:
    """How many rows were read and used, and why the others were not.

    ``rows`` equals ``used`` plus the counts of the findings whose outcome is ``excluded``.
    """

    source: str
    preset: str
    timezone: str
    rows: int
    used: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


class Findings:
    """Collects findings; each row is excluded at most once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Outcome], tuple[int, list[str]]] = {}
        self.notes: list[str] = []

    def add(self, kind: str, outcome: Outcome, example: str) -> None:
        if kind not in MEANING:
            raise ValueError(f"no such kind of finding: {kind}")
        count, examples = self._found.get((kind, outcome), (0, []))
        if count < EXAMPLES:
            examples.append(example)
        self._found[kind, outcome] = count + 1, examples

    def extend(self, quality: DataQuality) -> None:
        """Take over what an earlier stage found."""
        for finding in quality.findings:
            self._found[finding.kind, finding.outcome] = finding.count, list(finding.examples)
        self.notes.extend(quality.notes)

    def summary(self, *, source: str, preset: str, timezone: str, rows: int) -> DataQuality:
        """Everything found; what is not excluded counts as used."""
        order = {"excluded": 0, "repaired": 1, "flagged": 2}
        findings = tuple(
            Finding(kind=kind, outcome=outcome, count=count, examples=tuple(examples))
            for (kind, outcome), (count, examples) in sorted(
                self._found.items(), key=lambda item: (order[item[0][1]], item[0][0])
            )
        )
        return DataQuality(
            source=source,
            preset=preset,
            timezone=timezone,
            rows=rows,
            used=rows - sum(f.count for f in findings if f.outcome == "excluded"),
            findings=findings,
            notes=tuple(self.notes),
        )
