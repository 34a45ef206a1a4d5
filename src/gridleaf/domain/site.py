"""A site as its operator describes it: one grid connection, nested circuits, stations, tariff.

These models are the TOML file (``gridleaf check`` explains what they refuse) and at the same time
the frozen values that the rest of gridleaf works with. Powers in kW, energies in kWh, prices per
kWh in the site's currency; limits are magnitudes.
"""

from __future__ import annotations

import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from gridleaf.domain.errors import ConfigError

Identity = Annotated[str, Field(pattern=r"^[A-Za-z0-9*\-_=:+|@.]{1,48}$")]
"""OCPP identity: 1 to 48 characters of the ``identifierString`` set (OCPP 2.0.1 part 4, 3.1.1)."""


def _within(
    unit: str, least: float, most: float, *, low: str = "", high: str = ""
) -> AfterValidator:
    """Bounds wide enough for every real site; beyond them the number was meant in another unit."""

    def check(value: float) -> float:
        if value != 0 and not least <= value <= most:
            hint = low if value < least else high
            raise ValueError(
                f"{value:g} {unit} is not plausible ({least:g} to {most:g} {unit} is)"
                + (f": is it in {hint}?" if hint else "")
            )
        return value

    return AfterValidator(check)


def _no_flag(value: object) -> object:
    if value is True or value is False:
        raise ValueError("must be a number")
    return value


def _local(value: object) -> object:
    """Only a time of day; a number would be taken for seconds since midnight."""
    if isinstance(value, time | str):
        return value
    raise ValueError("must be a local time of day such as 17:30:00")


def _without_zone(at: time) -> time:
    if at.tzinfo is not None:
        raise ValueError("must be a local time, without an offset")
    return at


def _day(value: object) -> object:
    """Only a day; a number would be taken for seconds since 1970."""
    if isinstance(value, str) or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise ValueError("must be a day such as 2022-05-01")


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Magnitude = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]
Efficiency = Annotated[Number, Field(ge=0.5, le=1)]
Flag = Annotated[bool, Field(strict=True)]
Port = Annotated[int, Field(strict=True, ge=0, le=65535)]
RemotePort = Annotated[Port, Field(ge=1)]
Host = Annotated[str, Field(pattern=r"^[^\s/.]+(\.[^\s/.]+)*\.?$")]
"""A name or an address; neither empty, which would be every address, nor a URL."""
LocalTime = Annotated[time, BeforeValidator(_local), AfterValidator(_without_zone)]
Day = Annotated[date, BeforeValidator(_day)]

LimitKw = Annotated[Magnitude, _within("kW", 0, 1e6, high="W")]
ConnectionKw = Annotated[Positive, _within("kW", 0.1, 1e6, low="MW", high="W")]
ChargeKw = Annotated[Positive, _within("kW", 0.1, 5000, low="MW", high="W")]
"""The Megawatt Charging System ends at 3,750 kW."""
DischargeKw = Annotated[Magnitude, _within("kW", 0, 5000, high="W")]
PackKwh = Annotated[Positive, _within("kWh", 0.1, 10_000, low="MWh", high="Wh")]
BudgetKwh = Annotated[Magnitude, _within("kWh", 1, 1e7, low="MWh", high="Wh")]
EnergyKwh = Annotated[Positive, _within("kWh", 0.01, 10_000, low="MWh", high="Wh")]
FuseA = Annotated[Positive, _within("A", 1, 20_000, low="kA", high="mA")]
Money = Annotated[Number, Field(ge=-1e6, le=1e6)]
"""Prices differ by a factor of 10,000 between currencies; ``gridleaf check`` notes what is odd."""
Rate = Annotated[Money, Field(ge=0)]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"unknown time zone {name!r}; use an IANA name such as Europe/Berlin"
        ) from None
    return name


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LimitWindow(_Frozen):
    """Limits that hold every day between two local times; the smaller limit wins."""

    start: LocalTime
    end: LocalTime
    import_limit_kw: LimitKw | None = None
    export_limit_kw: LimitKw | None = None

    @model_validator(mode="after")
    def _some_time(self) -> LimitWindow:
        if self.start == self.end:
            raise ValueError("start and end are the same; a limit for all day is the site's own")
        return self


class Circuit(_Frozen):
    """A limit inside the site. ``parent`` is another circuit, or "" for the grid connection.

    ``export_limit_kw`` is the import limit unless given. ``fuse_a`` limits the current of each
    phase [A]. ``load_kw`` is a constant worst case of what else hangs on this circuit.
    """

    id: Identity
    parent: str = ""
    import_limit_kw: ConnectionKw
    export_limit_kw: LimitKw | None = None
    fuse_a: FuseA | None = None
    load_kw: LimitKw = 0.0


_MOST_AC_KW = 500.0
_MOST_RATIO = 20.0


def _same_unit(charge_max_kw: float, discharge_max_kw: float) -> None:
    if discharge_max_kw > _MOST_RATIO * charge_max_kw:
        raise ValueError(
            f"discharge_max_kw: {discharge_max_kw:g} kW is not plausible where at most "
            f"{charge_max_kw:g} kW are charged: is one of them in W?"
        )


class Evse(_Frozen):
    """One EVSE of a station.

    ``phase`` is the grid phase (1, 2, 3) a single-phase EVSE is wired to. ``discharge_max_kw`` > 0
    allows discharging by name. ``min_a`` is the least current an AC EVSE can ask a vehicle for
    (6 A, IEC 61851-1); 0 for DC.
    """

    id: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    current: Literal["AC", "DC"] = "AC"
    charge_max_kw: ChargeKw
    discharge_max_kw: DischargeKw = 0.0
    phases: Annotated[Literal[1, 3], BeforeValidator(_no_flag)] = 3
    phase: Annotated[Literal[1, 2, 3], BeforeValidator(_no_flag)] = 1
    min_a: Annotated[Magnitude, _within("A", 0, 500, high="mA")] = 6.0
    charge_efficiency: Efficiency = 0.93
    discharge_efficiency: Efficiency = 0.93
    circuit: str | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Evse:
        for name in ("charge_max_kw", "discharge_max_kw"):
            if self.current == "AC" and getattr(self, name) > _MOST_AC_KW:
                raise ValueError(
                    f"{name}: {getattr(self, name):g} kW is not plausible with AC: is it in W, or "
                    'is this current = "DC"?'
                )
        _same_unit(self.charge_max_kw, self.discharge_max_kw)
        return self


class Station(_Frozen):
    """A station that may connect.

    The password comes from ``password_file`` or the environment variable ``password_env``, never
    from this file. ``discharge_via`` says how the station takes a discharge setpoint: nothing but
    ``ocpp21`` is standard; ``negative_limit`` is the 1.6/2.0.1 back-port practice.
    ``client_cn`` is the common name of the client certificate (security profile 3).
    """

    id: Identity
    circuit: str = ""
    versions: tuple[Literal["ocpp2.1", "ocpp2.0.1", "ocpp1.6"], ...] = (
        "ocpp2.1",
        "ocpp2.0.1",
        "ocpp1.6",
    )
    security_profile: Annotated[Literal[1, 2, 3], BeforeValidator(_no_flag)] = 1
    password_file: Path | None = None
    password_env: str | None = None
    client_cn: str | None = None
    discharge_via: Literal["none", "ocpp21", "negative_limit"] = "ocpp21"
    rate_unit: Literal["A", "W"] | None = None
    evses: Annotated[tuple[Evse, ...], Field(min_length=1)]


def same_token(id_token: str) -> str:
    """An id token as it is compared: upper and lower case are one (identifierString, CiString)."""
    return id_token.casefold()


class Vehicle(_Frozen):
    """A vehicle known to the site, recognised by its ``id_token``; unknown ones use the defaults.

    The case of the letters of a token means nothing. ``battery`` is a name of the catalogue
    (``gridleaf battery packs``). ``capacity_kwh`` is the usable energy when new; what sessions measure is
    learnt beside it. ``battery_since`` is the day from which the battery is in use.
    ``discharge_kwh_per_year`` and ``discharge_kwh_total`` are what it may give at the grid side; where
    health is predicted to be below ``soh_floor`` by ``soh_floor_on`` it gives nothing more.
    ``driver_share`` is the driver's part of what discharging has added to a session.
    """

    id_token: Annotated[str, Field(min_length=1, max_length=255)]
    name: str = ""
    capacity_kwh: PackKwh
    battery: str | None = None
    charge_max_kw: ChargeKw | None = None
    discharge_max_kw: DischargeKw | None = None
    v2g: Flag = True
    reserve_soc: Fraction | None = None
    target_soc: Fraction | None = None
    departure: LocalTime | None = None
    wear_per_kwh: Rate | None = None
    battery_since: Day | None = None
    discharge_kwh_per_year: BudgetKwh | None = None
    discharge_kwh_total: BudgetKwh | None = None
    soh_floor: Fraction | None = None
    soh_floor_on: Day | None = None
    driver_share: Fraction = 0.0

    @model_validator(mode="after")
    def _one_unit(self) -> Vehicle:
        if (self.soh_floor is None) != (self.soh_floor_on is None):
            raise ValueError("soh_floor and soh_floor_on belong together")
        if self.charge_max_kw is not None and self.discharge_max_kw is not None:
            _same_unit(self.charge_max_kw, self.discharge_max_kw)
        return self


class Defaults(_Frozen):
    """What holds for a session when nobody says anything and no history teaches better.

    Wear has its price from the cells of the vehicle's ``battery``: ``battery_price_per_kwh`` is what a
    pack costs for each kWh it can use when new, and it is used up at ``end_of_life_soh``;
    ``ambient_c`` is the temperature of the packs. ``wear_per_kwh``, flat, is the price where no battery is
    known; of a vehicle that has its own flat price, that one.
    """

    stay_h: Annotated[Positive, _within("h", 0.05, 1000, low="days", high="minutes or s")] = 8.0
    energy_kwh: EnergyKwh = 20.0
    target_soc: Fraction = 0.8
    reserve_soc: Fraction = 0.3
    capacity_kwh: PackKwh = 50.0
    battery: str | None = None
    v2g: Flag = False
    wear_per_kwh: Rate = 0.04
    battery_price_per_kwh: Rate = 120.0
    end_of_life_soh: Annotated[Fraction, Field(lt=0.99)] = 0.7
    ambient_c: Annotated[Number, Field(ge=-40, le=60)] = 20.0


class Tariff(_Frozen):
    """How the grid connection is billed.

    The energy price is the market price of ``source`` times ``factor`` plus ``adder``, and the flat
    ``import_price`` without a source; export earns ``export_factor`` times the market price plus
    ``export_adder``, or the flat ``export_price``. ``demand_charge_per_kw`` is paid on the highest
    mean import of a ``demand_interval_min`` of the billing month.
    """

    source: Literal["none", "csv", "entsoe", "octopus", "awattar", "energy-charts"] = "none"
    file: Path | None = None
    area: str = ""
    token_file: Path | None = None
    token_env: str | None = None
    import_price: Money = 0.25
    export_price: Money = 0.08
    factor: Rate = 1.0
    adder: Money = 0.0
    export_factor: Rate = 1.0
    export_adder: Money = 0.0
    demand_charge_per_kw: Rate = 0.0
    demand_interval_min: Literal[15, 30, 60] = 15


class Mqtt(_Frozen):
    """The site's signals by MQTT. ``fields`` maps ``grid_kw``, ``pv_kw``, ``load_kw`` to topics.

    A mapping is ``topic`` or ``topic#json.path``; ``scale`` multiplies (0.001 for W).
    ``timestamp`` is the JSON path, in every payload that has it, of the time of measurement
    (ISO 8601 with an offset, or Unix seconds or milliseconds).
    """

    host: Host
    port: RemotePort = 1883
    tls: Flag = False
    username: str | None = None
    password_file: Path | None = None
    password_env: str | None = None
    fields: dict[Literal["grid_kw", "pv_kw", "load_kw"], str]
    scale: dict[Literal["grid_kw", "pv_kw", "load_kw"], Number] = {}
    timestamp: str | None = None


class Modbus(_Frozen):
    """A meter by Modbus TCP; ``map`` names a shipped register map or a TOML file of one's own."""

    measures: Literal["grid_kw", "pv_kw", "load_kw"]
    host: Host
    port: RemotePort = 502
    unit: Annotated[int, Field(strict=True, ge=0, le=255)] = 1
    map: str
    every_s: Annotated[Positive, _within("s", 0.01, 3600, high="ms")] = 5.0
    invert: Flag = False


class Signals(_Frozen):
    """Where the site's measurements come from; with none, the safe static share holds."""

    mqtt: Mqtt | None = None
    modbus: tuple[Modbus, ...] = ()


class Control(_Frozen):
    """The control loop.

    ``static_share_kw`` is what all EVSEs together may draw without a meter. Where time allows, a
    vehicle is planned to be done ``ready_early_s`` before its departure.
    """

    cycle_s: Annotated[Positive, _within("s", 1, 3600, low="minutes or h", high="ms")] = 300.0
    horizon_h: Annotated[Positive, _within("h", 1, 96, low="days", high="minutes or s")] = 24.0
    meter_max_age_s: Annotated[Positive, _within("s", 1, 7200, low="minutes", high="ms")] = 60.0
    soc_max_age_s: Annotated[Positive, _within("s", 1, 86_400, low="h", high="ms")] = 900.0
    static_share_kw: LimitKw = 0.0
    margin_kw: LimitKw = 0.0
    ready_early_s: Annotated[Magnitude, _within("s", 1, 86_400, low="h", high="ms")] = 900.0
    policy: Literal["v2g", "smart", "uncontrolled"] = "v2g"
    solver_time_limit_s: Annotated[Positive, _within("s", 0.1, 3600, high="ms")] = 20.0


class Server(_Frozen):
    """Where gridleaf listens. Loopback unless told otherwise; TLS as soon as a key is given."""

    host: Host = "127.0.0.1"
    port: Port = 8080
    ocpp_host: Host = "127.0.0.1"
    ocpp_port: Port = 9000
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    call_timeout_s: Annotated[Positive, _within("s", 1, 86_400, high="ms")] = 30.0
    ping_interval_s: Annotated[Positive, _within("s", 0.1, 3600, high="ms")] = 20.0
    heartbeat_interval_s: Annotated[Positive, _within("s", 1, 86_400, high="ms")] = 300.0


class Storage(_Frozen):
    """SQLite under ``data_dir``, or PostgreSQL when ``url_file`` or ``url_env`` names its URL.

    ``passport_key_file`` signs battery passports; ``passport.key`` under ``data_dir`` when absent.
    """

    data_dir: Path = Path("gridleaf-data")
    url_file: Path | None = None
    url_env: str | None = None
    passport_key_file: Path | None = None
    keep_frames_d: Annotated[Positive, _within("days", 0.01, 36_500)] = 14.0


class SiteConfig(_Frozen):
    """Everything gridleaf needs to know about one site.

    ``authorise`` tells whether any id token may charge or only those of ``vehicles``. ``fuse_a`` and
    ``voltage_v`` are of each phase of the grid connection.
    """

    name: str
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    currency: Annotated[str, Field(min_length=3, max_length=3)] = "EUR"
    import_limit_kw: ConnectionKw
    export_limit_kw: LimitKw = 0.0
    fuse_a: FuseA | None = None
    voltage_v: Annotated[Positive, _within("V", 50, 1000, low="kV")] = 230.0
    authorise: Literal["any", "known"] = "any"
    limit_windows: tuple[LimitWindow, ...] = ()
    circuits: tuple[Circuit, ...] = ()
    stations: tuple[Station, ...] = ()
    vehicles: tuple[Vehicle, ...] = ()
    defaults: Defaults = Defaults()
    tariff: Tariff = Tariff()
    signals: Signals = Signals()
    control: Control = Control()
    server: Server = Server()
    storage: Storage = Storage()

    @model_validator(mode="after")
    def _consistent(self) -> SiteConfig:
        _unique("circuits", [c.id for c in self.circuits])
        _unique("stations", [s.id for s in self.stations])
        _unique("vehicles", [same_token(v.id_token) for v in self.vehicles])
        parents = {c.id: c.parent for c in self.circuits}
        if "" in parents:
            raise ValueError("circuits: the id must not be empty")
        for circuit in self.circuits:
            seen, at = set(), circuit.id
            while at:
                if at not in parents:
                    raise ValueError(f"circuits.{circuit.id}.parent: no circuit {at!r}")
                if at in seen:
                    raise ValueError(
                        f"circuits.{circuit.id}.parent: circuits form a ring at {at!r}"
                    )
                seen.add(at)
                at = parents[at]
        for station in self.stations:
            _unique(f"stations.{station.id}.evses", [e.id for e in station.evses])
            for name in (station.circuit, *(e.circuit for e in station.evses)):
                if name and name not in parents:
                    raise ValueError(f"stations.{station.id}.circuit: no circuit {name!r}")
            if station.password_file is not None and station.password_env is not None:
                raise ValueError(
                    f"stations.{station.id}: give password_file or password_env, not both"
                )
        if self.control.static_share_kw > self.import_limit_kw:
            raise ValueError(
                "control.static_share_kw: must not exceed import_limit_kw; it is drawn blindly"
            )
        if self.control.margin_kw >= self.import_limit_kw:
            raise ValueError("control.margin_kw: leaves nothing of import_limit_kw")
        self._reserves_below_targets()
        for number, meter in enumerate(self.signals.modbus):
            oldest = self.control.meter_max_age_s
            if meter.measures == "grid_kw" and meter.every_s > oldest:
                raise ValueError(
                    f"signals.modbus.{number}.every_s: {meter.every_s:g} s is longer than "
                    f"control.meter_max_age_s ({oldest:g} s): the meter would never stay fresh"
                )
        return self

    def _reserves_below_targets(self) -> None:
        usual = self.defaults
        wanted = [("defaults", usual.reserve_soc, usual.target_soc)]
        for vehicle in self.vehicles:
            if vehicle.v2g:
                reserve, target = vehicle.reserve_soc, vehicle.target_soc
                wanted.append(
                    (
                        f"vehicles.{vehicle.id_token}",
                        usual.reserve_soc if reserve is None else reserve,
                        usual.target_soc if target is None else target,
                    )
                )
        for where, reserve, target in wanted:
            if reserve > target:
                raise ValueError(
                    f"{where}.reserve_soc: {reserve:g} is above target_soc ({target:g})"
                )

    def circuit_of(self, station: Station, evse: Evse) -> str:
        """The circuit an EVSE hangs on; "" is the grid connection itself."""
        return evse.circuit if evse.circuit is not None else station.circuit


def _unique(path: str, names: list[object] | list[str] | list[int]) -> None:
    seen: set[object] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{path}: {name!r} stands there twice")
        seen.add(name)


def load(path: Path) -> SiteConfig:
    """Read a site file.

    Relative paths inside it are resolved against its folder.

    Raises
    ------
    ConfigError
        With the path of the first offending key and the reason (all of them in the message).
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"not valid TOML: {error}") from None
    _resolve_paths(raw, path.resolve().parent)
    return parse(raw, str(path))


def parse(raw: dict[str, object], name: str = "site") -> SiteConfig:
    """Validate an already parsed site; raises :class:`ConfigError` like :func:`load`."""
    try:
        return SiteConfig.model_validate(raw)
    except ValidationError as error:
        raise refusal(error, name) from None


def refusal(error: ValidationError, name: str) -> ConfigError:
    """What a model refuses, as path and reason; ``name`` is the file, or the place in it."""
    problems = [
        (".".join(str(part) for part in item["loc"]) or name, _reason(item["msg"]))
        for item in error.errors()
        # a list whose only entry is wrong counts as empty, and that would be told as well
        if not (item["type"] == "too_short" and item["input"])
    ]
    first, *others = problems
    reason = first[1] + "".join(f"\n  {where}: {why}" for where, why in others)
    return ConfigError(first[0] if first[0] == name else f"{name}: {first[0]}", reason)


def _reason(message: str) -> str:
    if message.startswith("Value error, "):
        return message.removeprefix("Value error, ")
    if message == "Extra inputs are not permitted":
        return "unknown key"
    if message.startswith("Input should be a valid dictionary"):
        return "must be a table such as { key = value, … }"
    return message


_PATH_KEYS = {
    "password_file",
    "token_file",
    "url_file",
    "passport_key_file",
    "file",
    "tls_certificate",
    "tls_key",
    "client_ca",
    "data_dir",
}


def _resolve_paths(node: object, folder: Path) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str) and (
                key in _PATH_KEYS or (key == "map" and value.endswith(".toml"))
            ):
                node[key] = str(folder / value)
            else:
                _resolve_paths(value, folder)
    elif isinstance(node, list):
        for value in node:
            _resolve_paths(value, folder)
