"""The station's half of OCPP 1.6J: Core, Smart Charging, Remote Trigger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gridleaf.domain.errors import ProtocolError
from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.sim.device import measurands, meter_interval
from gridleaf.sim.dialect import Admission, Message, Report, Trigger, read_stamp, stamp
from gridleaf.sim.evse import Cause, SimEvse
from gridleaf.sim.profiles import Allowance, Period, Profile, Purpose, composite
from gridleaf.sim.variables import Variable, constant, truth, whole

if TYPE_CHECKING:
    from gridleaf.sim.station import SimStation

_PURPOSES: Final[dict[str, Purpose]] = {
    "ChargePointMaxProfile": "station_max",
    "TxDefaultProfile": "tx_default",
    "TxProfile": "tx",
}
_RECURS_S: Final = {"Daily": 86_400.0, "Weekly": 604_800.0}
_REASONS: Final[dict[Cause, str]] = {
    "unplugged": "EVDisconnected",
    "remote": "Remote",
    "deauthorized": "DeAuthorized",
    "reset": "HardReset",
    "soft_reset": "SoftReset",
    "unlock": "UnlockCommand",
    "local": "Local",
}
_STACK_LEVELS = 8
_PERIODS = 48
_PROFILES = 16


class Dialect16:
    """Speaks for a station; a connector is an EVSE here."""

    def __init__(self, station: SimStation) -> None:
        self._station = station
        self._keys = self._configuration()

    # -- what the station says --

    def boot(self, reason: str) -> Message:
        return "BootNotification", {
            "chargePointVendor": "gridleaf",
            "chargePointModel": "Simulated 1.6",
            "chargePointSerialNumber": self._station.config.id[:25],
            "firmwareVersion": "1.0",
        }

    def status(self, evse: SimEvse) -> Message:
        if not evse.available and evse.transaction is None:
            status = "Unavailable"
        elif evse.vehicle is None:
            status = "Available"
        elif evse.transaction is None:
            status = "Finishing" if evse.finished else "Preparing"
        else:
            status = {
                "charging": "Charging",
                "suspended_ev": "SuspendedEV",
                "suspended_evse": "SuspendedEVSE",
            }.get(evse.state, "Preparing")
        return "StatusNotification", {
            "connectorId": evse.id,
            "errorCode": "NoError",
            "status": status,
            "timestamp": stamp(self._station.now()),
        }

    def authorize(self, evse: SimEvse, id_token: str) -> Message:
        return "Authorize", {"idTag": id_token}

    def admission(self, answer: Payload) -> Admission:
        return Admission(answer["idTagInfo"]["status"] == "Accepted")

    def started(self, evse: SimEvse) -> list[Report]:
        transaction = evse.transaction
        assert transaction is not None
        return [
            self._report(
                evse,
                "StartTransaction",
                {
                    "connectorId": evse.id,
                    "idTag": transaction.id_token,
                    "meterStart": round(evse.reading().import_kwh * 1000),
                    "timestamp": stamp(self._station.now()),
                },
                opens=True,
            )
        ]

    def updated(self, evse: SimEvse, trigger: Trigger) -> list[Report]:
        if trigger not in ("periodic", "asked"):
            return []  # a change of state is told by StatusNotification in 1.6
        context = "Sample.Periodic" if trigger == "periodic" else "Trigger"
        return [self._report(evse, "MeterValues", self._meter(evse, context))]

    def ended(self, evse: SimEvse, cause: Cause) -> list[Report]:
        payload: Payload = {
            "meterStop": round(evse.reading().import_kwh * 1000),
            "timestamp": stamp(self._station.now()),
            "reason": _REASONS[cause],
            "transactionData": self._meter(evse, "Transaction.End")["meterValue"],
        }
        return [self._report(evse, "StopTransaction", payload)]

    def needs(self, evse: SimEvse) -> Message | None:
        return None

    def pull(self, profile_id: int) -> Message | None:
        return None

    def pulled(self, profile_id: int, answer: Payload) -> None:
        raise AssertionError("OCPP 1.6 has no dynamic profiles")

    def answered(self, report: Report, answer: Payload) -> bool:
        if report.action == "StartTransaction":
            central_id = answer["transactionId"]
            transaction = self._station.evses[report.evse_id].transaction
            if transaction is not None and transaction.id == report.transaction_id:
                transaction.central_id = central_id
            for later in self._station.link.waiting:
                if later.transaction_id == report.transaction_id:
                    later.payload["transactionId"] = central_id
        info = answer.get("idTagInfo")
        return info is None or info["status"] == "Accepted" or report.action == "StopTransaction"

    def _report(
        self, evse: SimEvse, action: str, payload: Payload, *, opens: bool = False
    ) -> Report:
        transaction = evse.transaction
        assert transaction is not None
        if transaction.central_id is not None:
            payload["transactionId"] = transaction.central_id
        return Report(
            action=action,
            payload=payload,
            evse_id=evse.id,
            transaction_id=transaction.id,
            opens=opens,
        )

    def _meter(self, evse: SimEvse, context: str) -> Payload:
        reading = evse.reading()
        export_kw, import_kw = max(-reading.power_kw, 0.0), max(reading.power_kw, 0.0)
        rows: list[tuple[str, float, str, str | None]] = [
            ("Power.Active.Import", import_kw * 1000, "W", None),
            ("Energy.Active.Import.Register", reading.import_kwh * 1000, "Wh", None),
        ]
        if evse.bidirectional:
            rows.append(("Power.Active.Export", export_kw * 1000, "W", None))
            rows.append(("Energy.Active.Export.Register", reading.export_kwh * 1000, "Wh", None))
        if reading.soc is not None:
            rows.append(("SoC", reading.soc * 100, "Percent", None))
        direction = "Current.Export" if reading.power_kw < 0 else "Current.Import"
        for phase, amps in enumerate(reading.amps, 1):
            rows.append((direction, amps, "A", f"L{phase}"))
            rows.append(("Voltage", evse.voltage_v, "V", f"L{phase}-N"))
        sampled = []
        for measurand, value, unit, phase_name in rows:
            # registers in whole Wh, as meterStart and meterStop are: they must not run backwards
            text = f"{value:.0f}" if unit == "Wh" else f"{value:.1f}"
            sample = {"value": text, "measurand": measurand, "unit": unit}
            sample["context"] = context
            if measurand == "SoC":
                sample["location"] = "EV"
            if phase_name is not None:
                sample["phase"] = phase_name
            sampled.append(sample)
        at = stamp(self._station.now())
        return {
            "connectorId": evse.id,
            "meterValue": [{"timestamp": at, "sampledValue": sampled}],
        }

    # -- what the central system asks --

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "SetChargingProfile": self._set_profile,
            "ClearChargingProfile": self._clear_profile,
            "GetCompositeSchedule": self._get_composite,
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "TriggerMessage": self._trigger,
            "GetConfiguration": self._get_configuration,
            "ChangeConfiguration": self._change_configuration,
            "ChangeAvailability": self._change_availability,
            "Reset": self._reset,
            "UnlockConnector": self._unlock,
            "DataTransfer": self._data_transfer,
            "ClearCache": self._clear_cache,
        }

    async def _set_profile(self, payload: Payload) -> Payload:
        profile = self._acceptable(payload["csChargingProfiles"], payload["connectorId"])
        if profile is None:
            return {"status": "Rejected"}
        self._install(profile)
        return {"status": "Accepted"}

    def _install(self, profile: Profile) -> None:
        with self._station.changing():
            # a purpose has one profile on each stack level (3.13.2)
            self._station.profiles.clear(
                evse_id=profile.evse_id, purpose=profile.purpose, stack_level=profile.stack_level
            )
            self._station.profiles.install(profile)

    def _acceptable(
        self, raw: dict[str, Any], connector_id: int, *, starting: bool = False
    ) -> Profile | None:
        """The profile as the station keeps it; None when it must be rejected."""
        station = self._station
        profile = _parse(raw, connector_id, station.epoch())
        evse = station.evses.get(connector_id)
        refused = (
            station.reject_profiles
            or (evse is None and connector_id != 0)
            or profile.stack_level > _STACK_LEVELS
            or len(profile.periods) > _PERIODS
            or (len(station.profiles) >= _PROFILES and station.profiles.find(profile.id) is None)
            or profile.unit not in self._units()
            or [p.start_s for p in profile.periods] != sorted({p.start_s for p in profile.periods})
            or profile.periods[0].start_s != 0
            or (profile.purpose == "station_max" and connector_id != 0)
            or (profile.kind == "recurring" and profile.start is None)
        )
        if station.config.discharge_via != "negative_limit":
            refused = refused or any(p.limit is not None and p.limit < 0 for p in profile.periods)
        if profile.purpose == "tx" and not starting:
            transaction = evse.transaction if evse is not None else None
            wanted = raw.get("transactionId")
            refused = refused or transaction is None or wanted not in (None, transaction.central_id)
        return None if refused else profile

    def _units(self) -> tuple[str, ...]:
        dc = any(e.config.current == "DC" for e in self._station.evses.values())
        return ("W",) if dc else ("A", "W")

    async def _clear_profile(self, payload: Payload) -> Payload:
        purpose = payload.get("chargingProfilePurpose")
        with self._station.changing():
            found = self._station.profiles.clear(
                profile_id=payload.get("id"),
                evse_id=payload.get("connectorId"),
                purpose=None if purpose is None else _PURPOSES[purpose],
                stack_level=payload.get("stackLevel"),
            )
        return {"status": "Accepted" if found else "Unknown"}

    async def _get_composite(self, payload: Payload) -> Payload:
        station, connector_id = self._station, payload["connectorId"]
        unit = payload.get("chargingRateUnit", self._units()[0])
        evses = list(station.evses.values()) if connector_id == 0 else []
        if connector_id in station.evses:
            evses = [station.evses[connector_id]]
        if not evses or unit not in self._units() or (connector_id == 0 and len(evses) > 1):
            return {"status": "Rejected"}
        evse, start = evses[0], station.epoch()
        steps = composite(station.profiles.all, station.situation(evse), start, payload["duration"])
        at = stamp(station.now())
        return {
            "status": "Accepted",
            "connectorId": connector_id,
            "scheduleStart": at,
            "chargingSchedule": {
                "duration": payload["duration"],
                "startSchedule": at,
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": [
                    {"startPeriod": math.ceil(offset), "limit": _rate(step, unit, evse)}
                    for offset, step in steps
                ],
            },
        }

    async def _remote_start(self, payload: Payload) -> Payload:
        station = self._station
        free = [e for e in station.evses.values() if e.transaction is None and e.available]
        if "connectorId" in payload:
            free = [e for e in free if e.id == payload["connectorId"]]
        free.sort(key=lambda e: e.vehicle is None)
        if not free:
            return {"status": "Rejected"}
        profile, raw = None, payload.get("chargingProfile")
        if raw is not None:
            profile = self._acceptable(raw, free[0].id, starting=True)
            if profile is None or profile.purpose != "tx":
                return {"status": "Rejected"}
        started = station.remote_start(free[0], payload["idTag"], None, profile)
        return {"status": "Accepted" if started else "Rejected"}

    async def _remote_stop(self, payload: Payload) -> Payload:
        for evse in self._station.evses.values():
            transaction = evse.transaction
            if transaction is not None and transaction.central_id == payload["transactionId"]:
                self._station.stop(evse, "remote")
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    async def _trigger(self, payload: Payload) -> Payload:
        station, wanted = self._station, payload["requestedMessage"]
        evses = list(station.evses.values())
        if "connectorId" in payload:
            evses = [e for e in evses if e.id == payload["connectorId"]]
            if not evses:
                return {"status": "Rejected"}
        match wanted:
            case "BootNotification":
                station.link.call_later(self.boot("Triggered"))
            case "Heartbeat":
                station.link.call_later(("Heartbeat", {}))
            case "StatusNotification":
                for evse in evses:
                    station.tell_status(evse, again=True)
            case "MeterValues":
                for evse in evses:
                    station.sample(evse)
            case _:
                return {"status": "NotImplemented"}
        return {"status": "Accepted"}

    def meter_values(self, evse: SimEvse) -> Message:
        """The meter outside a transaction."""
        return "MeterValues", self._meter(evse, "Trigger")

    async def _get_configuration(self, payload: Payload) -> Payload:
        asked = payload.get("key") or list(self._keys)
        known = [key for key in asked if key in self._keys]
        rows = [
            {
                "key": key,
                "readonly": self._keys[key].write is None,
                "value": self._keys[key].read(),
            }
            for key in known
        ]
        return {"configurationKey": rows, "unknownKey": [k for k in asked if k not in self._keys]}

    async def _change_configuration(self, payload: Payload) -> Payload:
        variable = self._keys.get(payload["key"])
        if variable is None:
            return {"status": "NotSupported"}
        return {"status": variable.set(payload["value"])}

    async def _change_availability(self, payload: Payload) -> Payload:
        evses = list(self._station.evses.values())
        if payload["connectorId"] != 0:
            evses = [e for e in evses if e.id == payload["connectorId"]]
        if not evses:
            return {"status": "Rejected"}
        operative = payload["type"] == "Operative"
        statuses = [self._station.set_available(evse, operative) for evse in evses]
        return {"status": "Scheduled" if "Scheduled" in statuses else "Accepted"}

    async def _reset(self, payload: Payload) -> Payload:
        self._station.reset("Soft" if payload["type"] == "Soft" else "Immediate")
        return {"status": "Accepted"}

    async def _unlock(self, payload: Payload) -> Payload:
        evse = self._station.evses.get(payload["connectorId"])
        if evse is None:
            return {"status": "NotSupported"}
        self._station.stop(evse, "unlock")
        return {"status": "Unlocked"}

    async def _data_transfer(self, payload: Payload) -> Payload:
        return {"status": "UnknownVendorId"}

    async def _clear_cache(self, payload: Payload) -> Payload:
        return {"status": "Accepted"}

    def _configuration(self) -> dict[str, Variable]:
        station = self._station
        units = {"A": "Current", "W": "Power"}

        def timeout(seconds: float) -> None:
            station.connection_timeout_s = seconds

        def attempts(times: float) -> None:
            station.link.attempts = int(times)

        def interval(seconds: float) -> None:
            station.link.attempt_interval_s = seconds

        return {
            "AuthorizeRemoteTxRequests": constant("true", "boolean"),
            "ChargeProfileMaxStackLevel": constant(str(_STACK_LEVELS), "integer"),
            "ChargingScheduleAllowedChargingRateUnit": constant(
                ",".join(units[unit] for unit in self._units())
            ),
            "ChargingScheduleMaxPeriods": constant(str(_PERIODS), "integer"),
            "ClockAlignedDataInterval": constant("0", "integer"),
            "ConnectionTimeOut": whole(lambda: station.connection_timeout_s, timeout, least=1),
            "ConnectorSwitch3to1PhaseSupported": constant(truth(False), "boolean"),
            "GetConfigurationMaxKeys": constant("50", "integer"),
            "HeartbeatInterval": whole(
                lambda: station.heartbeat_interval_s, station.set_heartbeat_interval, least=1
            ),
            "LocalAuthorizeOffline": constant(truth(True), "boolean"),
            "MaxChargingProfilesInstalled": constant(str(_PROFILES), "integer"),
            "MeterValueSampleInterval": meter_interval(station),
            "MeterValuesSampledData": constant(
                ",".join((*measurands(station), "Current.Import", "Voltage", "SoC"))
            ),
            "NumberOfConnectors": constant(str(len(station.config.evses)), "integer"),
            "StopTransactionOnEVSideDisconnect": constant(truth(True), "boolean"),
            "StopTransactionOnInvalidId": constant(truth(True), "boolean"),
            "SupportedFeatureProfiles": constant("Core,SmartCharging,RemoteTrigger"),
            "TransactionMessageAttempts": whole(lambda: station.link.attempts, attempts, least=1),
            "TransactionMessageRetryInterval": whole(
                lambda: station.link.attempt_interval_s, interval, least=1
            ),
        }


def _parse(raw: dict[str, Any], connector_id: int, now: float) -> Profile:
    schedule = raw["chargingSchedule"]
    if not schedule["chargingSchedulePeriod"]:
        raise ProtocolError("OccurrenceConstraintViolation", "chargingSchedulePeriod: empty")
    return Profile(
        id=raw["chargingProfileId"],
        evse_id=connector_id,
        purpose=_PURPOSES[raw["chargingProfilePurpose"]],
        stack_level=raw["stackLevel"],
        kind=raw["chargingProfileKind"].lower(),
        unit=schedule["chargingRateUnit"],
        periods=tuple(
            Period(
                start_s=period["startPeriod"],
                limit=period["limit"],
                phases=period.get("numberPhases"),
            )
            for period in schedule["chargingSchedulePeriod"]
        ),
        start=read_stamp(schedule["startSchedule"]) if "startSchedule" in schedule else None,
        duration_s=schedule.get("duration", math.inf),
        recurs_s=_RECURS_S.get(raw.get("recurrencyKind", ""), math.inf),
        valid_from=read_stamp(raw["validFrom"]) if "validFrom" in raw else -math.inf,
        valid_to=read_stamp(raw["validTo"]) if "validTo" in raw else math.inf,
        updated_at=now,
        raw=raw,
    )


def _rate(step: Allowance, unit: str, evse: SimEvse) -> float:
    """The composite limit in the unit asked for."""
    if unit == "W":
        return round(step.target_kw * 1000, 1)
    return round(step.target_kw * 1000 / (evse.voltage_v * step.phases), 1)
