"""What the station's halves of OCPP 2.0.1 and 2.1 have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gridleaf.domain.events import ChargingState
from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.sim.checks import Abilities, Context, Refusal, refusal
from gridleaf.sim.device import DeviceModel, base_model
from gridleaf.sim.dialect import Admission, Message, Report, Trigger, stamp
from gridleaf.sim.evse import Cause, SimEvse
from gridleaf.sim.profiles import Allowance, Profile, composite
from gridleaf.sim.profiles2x import PURPOSES, parse, rejected, total

if TYPE_CHECKING:
    from gridleaf.sim.station import SimStation

_ENDINGS: Final[dict[Cause, tuple[str, str]]] = {
    "unplugged": ("EVDisconnected", "EVCommunicationLost"),
    "remote": ("Remote", "RemoteStop"),
    "deauthorized": ("DeAuthorized", "Deauthorized"),
    "reset": ("ImmediateReset", "ResetCommand"),
    "soft_reset": ("Reboot", "ResetCommand"),
    "unlock": ("Other", "UnlockCommand"),
    "local": ("Local", "StopAuthorized"),
}
_STATES: Final[dict[ChargingState, str]] = {
    "ev_connected": "EVConnected",
    "charging": "Charging",
    "suspended_ev": "SuspendedEV",
    "suspended_evse": "SuspendedEVSE",
    "idle": "Idle",
}
_REPORT_CHUNK = 20


class Dialect2x:
    """Speaks for a station; the versions add what is their own."""

    version = ""
    model_name = ""
    dynamic = False

    def __init__(self, station: SimStation) -> None:
        self.station = station
        self.device = self.describe()

    def describe(self) -> DeviceModel:
        """The station's variables."""
        return base_model(self.station, self.model_name, self.units())

    # -- what the station says --

    def boot(self, reason: str) -> Message:
        return "BootNotification", {
            "reason": reason,
            "chargingStation": {
                "vendorName": "gridleaf",
                "model": self.model_name,
                "serialNumber": self.station.config.id[:25],
                "firmwareVersion": "1.0",
            },
        }

    def status(self, evse: SimEvse) -> Message:
        if not evse.available and evse.transaction is None:
            status = "Unavailable"
        else:
            status = "Available" if evse.vehicle is None else "Occupied"
        return "StatusNotification", {
            "timestamp": stamp(self.station.now()),
            "connectorStatus": status,
            "evseId": evse.id,
            "connectorId": 1,
        }

    def authorize(self, evse: SimEvse, id_token: str) -> Message:
        return "Authorize", {"idToken": self._token(evse, id_token)}

    def admission(self, answer: Payload) -> Admission:
        accepted = answer["idTokenInfo"]["status"] == "Accepted"
        return Admission(accepted, tuple(answer.get("allowedEnergyTransfer", ())))

    def started(self, evse: SimEvse) -> list[Report]:
        transaction = evse.transaction
        assert transaction is not None
        remote = transaction.remote_start_id
        payload = self._event(
            evse, "Started", "Authorized" if remote is None else "RemoteStart", "Transaction.Begin"
        )
        payload["idToken"] = self._token(evse, transaction.id_token)
        if remote is not None:
            payload["transactionInfo"]["remoteStartId"] = remote
        return [self._report(evse, payload)]

    def updated(self, evse: SimEvse, trigger: Trigger) -> list[Report]:
        word = self.trigger_word(trigger)
        if word is None:
            return []
        context = "Sample.Periodic" if trigger == "periodic" else "Trigger"
        return [self._report(evse, self._event(evse, "Updated", word, context))]

    def trigger_word(self, trigger: Trigger) -> str | None:
        """``triggerReason`` of an update; None where this version does not report it."""
        return {
            "periodic": "MeterValuePeriodic",
            "state": "ChargingStateChanged",
            "asked": "Trigger",
        }.get(trigger)

    def ended(self, evse: SimEvse, cause: Cause) -> list[Report]:
        reason, word = _ENDINGS[cause]
        payload = self._event(evse, "Ended", word, "Transaction.End")
        payload["transactionInfo"]["stoppedReason"] = reason
        return [self._report(evse, payload)]

    def needs(self, evse: SimEvse) -> Message | None:
        """NotifyEVChargingNeeds; only DC tells them here (ISO 15118)."""
        vehicle, transaction = evse.vehicle, evse.transaction
        if vehicle is None or transaction is None or evse.config.current != "DC":
            return None
        most_kw = min(vehicle.charge_max_kw, evse.config.charge_max_kw)
        needs: Payload = {
            "requestedEnergyTransfer": "DC",
            "dcChargingParameters": {
                "evMaxCurrent": round(most_kw * 1000 / 400),
                "evMaxVoltage": 450,
                "evMaxPower": round(most_kw * 1000),
                "evEnergyCapacity": round(vehicle.capacity_kwh * 1000),
                "stateOfCharge": math.floor(vehicle.soc * 100),
                "fullSoC": 100,
            },
        }
        if vehicle.target_soc is not None:
            missing_kwh = max(vehicle.target_soc - vehicle.soc, 0.0) * vehicle.capacity_kwh
            needs["dcChargingParameters"]["energyAmount"] = round(missing_kwh * 1000)
        if evse.departure_at is not None:
            needs["departureTime"] = stamp(evse.departure_at)
        return "NotifyEVChargingNeeds", {"evseId": evse.id, "chargingNeeds": needs}

    def pull(self, profile_id: int) -> Message | None:
        return None

    def pulled(self, profile_id: int, answer: Payload) -> None:
        raise AssertionError(f"{self.version} has no dynamic profiles")

    def answered(self, report: Report, answer: Payload) -> bool:
        info = answer.get("idTokenInfo")
        return info is None or info["status"] == "Accepted"

    def meter_values(self, evse: SimEvse) -> Message:
        return "MeterValues", {"evseId": evse.id, "meterValue": [self._meter(evse, "Trigger")]}

    def _token(self, evse: SimEvse, id_token: str) -> Payload:
        return {"idToken": id_token, "type": "eMAID" if evse.config.current == "DC" else "ISO14443"}

    def _event(self, evse: SimEvse, event: str, trigger: str, context: str) -> Payload:
        transaction = evse.transaction
        assert transaction is not None
        payload: Payload = {
            "eventType": event,
            "timestamp": stamp(self.station.now()),
            "triggerReason": trigger,
            "seqNo": transaction.next_seq_no(),
            "transactionInfo": {
                "transactionId": transaction.id,
                "chargingState": _STATES["ev_connected" if event == "Ended" else evse.state],
            },
            "evse": {"id": evse.id, "connectorId": 1},
            "meterValue": [self._meter(evse, context)],
        }
        if not self.station.link.online:
            payload["offline"] = True
        if evse.config.current == "AC":
            payload["numberOfPhasesUsed"] = evse.phases_used
        return payload

    @staticmethod
    def _report(evse: SimEvse, payload: Payload) -> Report:
        transaction_id = payload["transactionInfo"]["transactionId"]
        return Report(
            action="TransactionEvent",
            payload=payload,
            evse_id=evse.id,
            transaction_id=transaction_id,
        )

    def _meter(self, evse: SimEvse, context: str) -> Payload:
        reading = evse.reading()
        power_w = round(reading.power_kw * 1000, 1)
        sampled = [
            _sample("Power.Active.Import", max(power_w, 0.0), "W", context),
            _sample(
                "Energy.Active.Import.Register", round(reading.import_kwh * 1000, 1), "Wh", context
            ),
        ]
        if evse.bidirectional:
            sampled.append(_sample("Power.Active.Export", max(-power_w, 0.0), "W", context))
            exported_wh = round(reading.export_kwh * 1000, 1)
            sampled.append(_sample("Energy.Active.Export.Register", exported_wh, "Wh", context))
        if reading.soc is not None:
            soc = _sample("SoC", round(reading.soc * 100, 2), "Percent", context)
            sampled.append({**soc, "location": "EV"})
        direction = "Current.Export" if power_w < 0 else "Current.Import"
        for phase, amps in enumerate(reading.amps, 1):
            current = _sample(direction, round(amps, 2), "A", context)
            voltage = _sample("Voltage", evse.voltage_v, "V", context)
            sampled.append({**current, "phase": f"L{phase}"})
            sampled.append({**voltage, "phase": f"L{phase}-N"})
        return {"timestamp": stamp(self.station.now()), "sampledValue": sampled}

    # -- what the central system asks --

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "SetChargingProfile": self._set_profile,
            "ClearChargingProfile": self._clear_profile,
            "GetChargingProfiles": self._get_profiles,
            "GetCompositeSchedule": self._get_composite,
            "RequestStartTransaction": self._request_start,
            "RequestStopTransaction": self._request_stop,
            "GetTransactionStatus": self._transaction_status,
            "TriggerMessage": self._trigger,
            "GetVariables": self._get_variables,
            "SetVariables": self._set_variables,
            "GetBaseReport": self._base_report,
            "ChangeAvailability": self._change_availability,
            "Reset": self._reset,
            "UnlockConnector": self._unlock,
            "DataTransfer": self._data_transfer,
            "ClearCache": self._clear_cache,
        }

    def units(self) -> tuple[str, ...]:
        """The rate units taken: amperes mean nothing to a DC station."""
        dc = any(e.current == "DC" for e in self.station.config.evses)
        return ("W",) if dc else ("A", "W")

    def modes(self, evse_id: int) -> tuple[str, ...]:
        """Operation modes of an EVSE, or of every EVSE for 0; none before 2.1."""
        return ()

    def abilities(self, evse_id: int) -> Abilities:
        return Abilities(
            units=self.units(),
            stack_levels=self.device.stack_levels,
            periods=self.device.periods,
            profiles=self.device.profiles,
            external_ids=self.device.external_ids if self.dynamic else -(2**31),
            modes=self.modes(evse_id),
            dynamic=self.dynamic,
            negative=self.station.config.discharge_via == "negative_limit",
        )

    def judge(
        self, raw: dict[str, Any], profile: Profile, *, starting: bool = False
    ) -> Refusal | None:
        """Why a profile is rejected, None when it is not."""
        station = self.station
        if station.reject_profiles:
            return "UnspecifiedReason", ""
        context = Context(
            evses={e.id: e.config for e in station.evses.values()},
            transactions={
                e.id: e.transaction.id for e in station.evses.values() if e.transaction is not None
            },
            installed=station.profiles.all,
        )
        return refusal(raw, profile, self.abilities(profile.evse_id), context, starting=starting)

    async def _set_profile(self, payload: Payload) -> Payload:
        raw = payload["chargingProfile"]
        profile = parse(raw, payload["evseId"], self.station.epoch())
        refused = self.judge(raw, profile)
        if refused is not None:
            return rejected(*refused)
        self.station.install(profile)
        return {"status": "Accepted"}

    async def _clear_profile(self, payload: Payload) -> Payload:
        criteria = payload.get("chargingProfileCriteria", {})
        purpose = criteria.get("chargingProfilePurpose")
        if purpose is not None and purpose not in PURPOSES:
            return {"status": "Unknown"}
        with self.station.changing():
            found = self.station.profiles.clear(
                profile_id=payload.get("chargingProfileId"),
                evse_id=criteria.get("evseId"),
                purpose=None if purpose is None else PURPOSES[purpose],
                stack_level=criteria.get("stackLevel"),
            )
        return {"status": "Accepted" if found else "Unknown"}

    async def _get_profiles(self, payload: Payload) -> Payload:
        wanted = payload["chargingProfile"]
        purpose, ids = wanted.get("chargingProfilePurpose"), wanted.get("chargingProfileId")
        sources = wanted.get("chargingLimitSource")
        found = [
            profile
            for profile in self.station.profiles.matching(
                evse_id=payload.get("evseId"), stack_level=wanted.get("stackLevel")
            )
            if purpose in (None, (profile.raw or {}).get("chargingProfilePurpose"))
            and (ids is None or profile.id in ids)
            and (sources is None or "CSO" in sources)
        ]
        if not found:
            return {"status": "NoProfiles"}
        for number, profile in enumerate(found, 1):
            report = {
                "requestId": payload["requestId"],
                "chargingLimitSource": "CSO",
                "chargingProfile": [self.as_reported(profile)],
                "evseId": profile.evse_id,
                "tbc": number < len(found),
            }
            self.station.link.call_later(("ReportChargingProfiles", report))
        return {"status": "Accepted"}

    def as_reported(self, profile: Profile) -> Payload:
        """An installed profile as the central system sent it."""
        return dict(profile.raw or {})

    async def _get_composite(self, payload: Payload) -> Payload:
        station, evse_id = self.station, payload["evseId"]
        unit = payload.get("chargingRateUnit", self.units()[0])
        if evse_id == 0:
            evses = list(station.evses.values())
        else:
            evses = [station.evses[evse_id]] if evse_id in station.evses else []
        if not evses:
            return rejected("InvalidValue", f"no EVSE {evse_id}")
        if unit not in self.units():
            return rejected("UnsupportedRateUnit", unit)
        start, duration = station.epoch(), payload["duration"]
        schedules = [
            composite(station.profiles.all, station.situation(evse), start, duration)
            for evse in evses
        ]
        offsets = sorted({offset for schedule in schedules for offset, _ in schedule})
        periods = []
        for offset in offsets:
            held = [
                next(step for begin, step in reversed(schedule) if begin <= offset)
                for schedule in schedules
            ]
            periods.append({"startPeriod": math.ceil(offset), **self.rates(held, evses, unit)})
        return {
            "status": "Accepted",
            "schedule": {
                "evseId": evse_id,
                "duration": duration,
                "scheduleStart": stamp(station.now()),
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": periods,
            },
        }

    def rates(self, held: list[Allowance], evses: list[SimEvse], unit: str) -> Payload:
        """The rates of a composite period: of one EVSE, or the sum of all."""
        return {"limit": total(held, evses, unit, lambda step: step.target_kw)}

    async def _request_start(self, payload: Payload) -> Payload:
        station = self.station
        free = [e for e in station.evses.values() if e.transaction is None and e.available]
        if "evseId" in payload:
            free = [e for e in free if e.id == payload["evseId"]]
        free.sort(key=lambda e: e.vehicle is None)
        if not free:
            return rejected("InvalidValue", "no EVSE is free")
        profile, raw = None, payload.get("chargingProfile")
        if raw is not None:
            profile = parse(raw, free[0].id, station.epoch())
            refused = self.judge(raw, profile, starting=True)
            if refused is not None:
                return rejected(*refused)
        token = payload["idToken"]["idToken"]
        station.remote_start(free[0], token, payload["remoteStartId"], profile)
        return {"status": "Accepted"}

    def _running(self, transaction_id: str) -> SimEvse | None:
        for evse in self.station.evses.values():
            if evse.transaction is not None and evse.transaction.id == transaction_id:
                return evse
        return None

    async def _request_stop(self, payload: Payload) -> Payload:
        evse = self._running(payload["transactionId"])
        if evse is None:
            return rejected("TxNotFound", payload["transactionId"])
        self.station.stop(evse, "remote")
        return {"status": "Accepted"}

    async def _transaction_status(self, payload: Payload) -> Payload:
        waiting = self.station.link.waiting
        if "transactionId" not in payload:
            return {"messagesInQueue": bool(waiting)}
        wanted = payload["transactionId"]
        return {
            "ongoingIndicator": self._running(wanted) is not None,
            "messagesInQueue": any(r.transaction_id == wanted for r in waiting),
        }

    async def _trigger(self, payload: Payload) -> Payload:
        station = self.station
        evses = list(station.evses.values())
        if "evse" in payload:
            evses = [e for e in evses if e.id == payload["evse"]["id"]]
            if not evses:
                return {"status": "Rejected"}
        match payload["requestedMessage"]:
            case "BootNotification":
                station.link.call_later(self.boot("Triggered"))
            case "Heartbeat":
                station.link.call_later(("Heartbeat", {}))
            case "StatusNotification":
                for evse in evses:
                    station.tell_status(evse, again=True)
            case "MeterValues":
                for evse in evses:
                    station.link.call_later(self.meter_values(evse))
            case "TransactionEvent":
                for evse in evses:
                    station.report(evse, "asked")
            case _:
                return {"status": "NotImplemented"}
        return {"status": "Accepted"}

    async def _get_variables(self, payload: Payload) -> Payload:
        return {"getVariableResult": [self.device.get(q) for q in payload["getVariableData"]]}

    async def _set_variables(self, payload: Payload) -> Payload:
        return {"setVariableResult": [self.device.set(q) for q in payload["setVariableData"]]}

    async def _base_report(self, payload: Payload) -> Payload:
        if payload["reportBase"] == "SummaryInventory":
            return {"status": "NotSupported"}
        writable = payload["reportBase"] == "ConfigurationInventory"
        rows = self.device.inventory(writable=writable)
        chunks = [rows[i : i + _REPORT_CHUNK] for i in range(0, len(rows), _REPORT_CHUNK)]
        for number, chunk in enumerate(chunks):
            report = {
                "requestId": payload["requestId"],
                "generatedAt": stamp(self.station.now()),
                "seqNo": number,
                "tbc": number + 1 < len(chunks),
                "reportData": chunk,
            }
            self.station.link.call_later(("NotifyReport", report))
        return {"status": "Accepted"}

    async def _change_availability(self, payload: Payload) -> Payload:
        evses = list(self.station.evses.values())
        if "evse" in payload:
            evses = [e for e in evses if e.id == payload["evse"]["id"]]
        if not evses:
            return {"status": "Rejected"}
        operative = payload["operationalStatus"] == "Operative"
        statuses = [self.station.set_available(evse, operative) for evse in evses]
        return {"status": "Scheduled" if "Scheduled" in statuses else "Accepted"}

    async def _reset(self, payload: Payload) -> Payload:
        if "evseId" in payload:
            return rejected("UnsupportedParam", "an EVSE cannot be reset alone")
        kind = payload["type"]
        if kind == "ImmediateAndResume":
            return {"status": self.station.reset("Resume")}
        return {"status": self.station.reset("Immediate" if kind == "Immediate" else "OnIdle")}

    async def _unlock(self, payload: Payload) -> Payload:
        evse = self.station.evses.get(payload["evseId"])
        if evse is None or payload["connectorId"] != 1:
            return {"status": "UnknownConnector"}
        running = evse.transaction is not None
        return {"status": "OngoingAuthorizedTransaction" if running else "Unlocked"}

    async def _data_transfer(self, payload: Payload) -> Payload:
        return {"status": "UnknownVendorId"}

    async def _clear_cache(self, payload: Payload) -> Payload:
        return {"status": "Accepted"}


def _sample(measurand: str, value: float, unit: str, context: str) -> Payload:
    return {
        "value": value,
        "measurand": measurand,
        "context": context,
        "location": "Outlet",
        "unitOfMeasure": {"unit": unit},
    }
