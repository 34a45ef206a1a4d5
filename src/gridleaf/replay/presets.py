"""The layouts of logs that gridleaf knows by their header.

A preset says which column holds which field, in which unit, and on which clock the file's times
run where they do not say so themselves. ``docs/reference/session-csv.md`` describes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

FIELDS = (
    "arrival",
    "departure",
    "energy_kwh",
    "id",
    "station",
    "connector",
    "id_token",
    "soc_arrival",
    "soc_departure",
    "capacity_kwh",
    "max_kw",
    "requested_kwh",
    "requested_departure",
    "charge_end",
    "charging_time",
    "idle_time",
    "stay",
    "zone_label",
)
"""What a column can mean; the first three are required."""

Unit = Literal["Wh", "kWh", "W", "kW", "%", "1", "s", "min", "h", ""]
UNITS: tuple[Unit, ...] = ("Wh", "kWh", "W", "kW", "%", "1", "s", "min", "h")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file. ``unit`` "" is read from the name; ``zero_unknown``: 0 means no value."""

    name: str
    unit: Unit = ""
    zero_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A known layout: ``signature`` are the columns that give it away.

    ``clock`` is the zone of times without an offset (None: the caller's, else UTC); ``timezone`` the
    zone of the place, for tariffs and weekdays.
    """

    name: str
    signature: frozenset[str]
    columns: Mapping[str, Column]
    clock: str | None = None
    timezone: str | None = None
    notes: tuple[str, ...] = ()
    clock_by_file: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Part of the file's name -> (clock, timezone), where the layout itself does not tell."""


_OWN = {name: Column(name) for name in FIELDS[: FIELDS.index("charging_time")]} | {
    "charging_time": Column("charging_min"),
    "idle_time": Column("idle_min"),
}

PRESETS: dict[str, Preset] = {
    p.name: p
    for p in (
        Preset(
            name="gridleaf",
            signature=frozenset({"arrival", "departure", "energy_kwh"}),
            columns=_OWN,
        ),
        Preset(
            name="epfl",
            signature=frozenset({"CCS", "Energy (Wh)", "Pmax (W)", "SOC arrival"}),
            columns={
                "id": Column("Session"),
                "station": Column("CCS"),
                "arrival": Column("Arrival"),
                "departure": Column("Departure"),
                "energy_kwh": Column("Energy (Wh)"),
                "max_kw": Column("Pmax (W)"),
                "soc_arrival": Column("SOC arrival", "%"),
                "soc_departure": Column("SOC departure", "%"),
                "capacity_kwh": Column("Energy capacity (Wh)"),
            },
            clock="Europe/Zurich",
            timezone="Europe/Zurich",
            notes=(
                "capacity is the log's 'Energy capacity' (energy / change of SoC); its "
                "'TotalCapacity' is a protocol default of 10 kWh in most rows and is not used",
            ),
        ),
        Preset(
            name="boulder-raw",
            signature=frozenset({"Station_Name", "Start_Date___Time", "Energy__kWh_"}),
            columns={
                "id": Column("ObjectId"),
                "station": Column("Station_Name"),
                "arrival": Column("Start_Date___Time"),
                "departure": Column("End_Date___Time"),
                "energy_kwh": Column("Energy__kWh_"),
                "stay": Column("Total_Duration__hh_mm_ss_"),
                "charging_time": Column("Charging_Time__hh_mm_ss_"),
                "zone_label": Column("Start_Time_Zone"),
            },
            clock="UTC",
            timezone="America/Denver",
            notes=(
                "times are UTC, as their +00 says; MST/MDT only names the local zone: stays across "
                "a change to or from summer time last exactly departure - arrival",
            ),
        ),
        Preset(
            name="clean",
            signature=frozenset({"Start", "End", "Park.Duration", "Energy"}),
            columns={
                "arrival": Column("Start"),
                "departure": Column("End"),
                "energy_kwh": Column("Energy", "kWh"),
                "stay": Column("Park.Duration", "min"),
                "charging_time": Column("Charge.Duration", "min"),
                "idle_time": Column("Idle.Duration", "min"),
            },
            clock_by_file={
                "office": ("America/Los_Angeles", "America/Los_Angeles"),
                "boulder": ("UTC", "America/Denver"),
                "paris": ("Europe/Paris", "Europe/Paris"),
                "sap": ("Europe/Paris", "Europe/Paris"),
            },
        ),
        Preset(
            name="acn-json",
            signature=frozenset({"connectionTime", "disconnectTime", "kWhDelivered"}),
            columns={
                "id": Column("sessionID"),
                "station": Column("stationID"),
                "id_token": Column("userID"),
                "arrival": Column("connectionTime"),
                "departure": Column("disconnectTime"),
                "energy_kwh": Column("kWhDelivered", "kWh"),
                "requested_kwh": Column("kWhRequested", "kWh"),
                "requested_departure": Column("requestedDeparture"),
                "charge_end": Column("doneChargingTime"),
            },
            clock="UTC",
            timezone="America/Los_Angeles",
        ),
        Preset(
            name="sap-raw",
            signature=frozenset({"ID borne", "Date demarrage", "Consommation totale (Wh)"}),
            columns={
                "id": Column("ID transaction"),
                "station": Column("ID borne"),
                "connector": Column("ID connecteur borne"),
                "arrival": Column("Date demarrage"),
                "departure": Column("Date fin"),
                "energy_kwh": Column("Consommation totale (Wh)"),
                "soc_arrival": Column("Charge batterie demarrage (%)", zero_unknown=True),
                "soc_departure": Column("Charge batterie fin (%)", zero_unknown=True),
                "stay": Column("Duree totale (s)"),
                "idle_time": Column("Duree inactivite totale (s)"),
            },
            clock="Europe/Paris",
            timezone="Europe/Paris",
            notes=("a state of charge of 0 % means unknown in this log",),
        ),
    )
}


def detect(header: Sequence[str]) -> Preset | None:
    """The preset whose signature the header has; the most specific one where several fit."""
    names = frozenset(header)
    fitting = [p for p in PRESETS.values() if p.signature <= names]
    return max(fitting, key=lambda p: len(p.signature), default=None)
