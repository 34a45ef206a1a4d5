"""The station's half of OCPP 2.1: bidirectional sessions, central setpoints, dynamic profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridleaf.ocpp.csms import Handler, Payload
from gridleaf.sim.device import DeviceModel
from gridleaf.sim.dialect import Message, Trigger, stamp
from gridleaf.sim.dialect2x import Dialect2x
from gridleaf.sim.evse import SimEvse
from gridleaf.sim.profiles import Allowance, Profile
from gridleaf.sim.profiles2x import rejected, total
from gridleaf.sim.variables import Variable, constant, truth

_RATES: Final = {"limit": "limit", "setpoint": "setpoint", "dischargeLimit": "discharge_limit"}
_BIDIRECTIONAL: Final = ("ChargingOnly", "CentralSetpoint", "Idle")
_V2X_WINDOW: Final = (0.1, 0.9)
"""The car's own window of state of charge for discharging, as ISO 15118-20 reports it."""


class Dialect21(Dialect2x):
    """Adds what 2.1 has for V2X (use cases Q01 to Q04) and dynamic profiles (K28)."""

    version = "ocpp2.1"
    model_name = "Simulated 2.1"
    dynamic = True

    def describe(self) -> DeviceModel:
        device = super().describe()
        device.add(
            "SmartChargingCtrlr",
            {
                "SupportsDynamicProfiles": constant(truth(True), "boolean"),
                "SupportsUseLocalTime": constant(truth(False), "boolean"),
                "SupportsRandomizedDelay": constant(truth(False), "boolean"),
                "SupportsLimitAtSoC": constant(truth(False), "boolean"),
                "SupportedAdditionalPurposes": constant("", "MemberList"),
                "MaxExternalConstraintsId": constant(str(device.external_ids), "integer"),
                "ACPhaseSwitchingSupported": constant(truth(False), "boolean"),
            },
        )
        for evse in self.station.evses.values():
            device.add(
                "ISO15118Ctrlr",
                {"Enabled": constant(truth(evse.config.current == "DC"), "boolean")},
                evse_id=evse.id,
            )
            device.add(
                "V2XChargingCtrlr",
                {
                    "Available": constant(truth(evse.bidirectional), "boolean"),
                    "Enabled": constant(truth(evse.bidirectional), "boolean"),
                    "SupportedOperationModes": constant(
                        ",".join(self.modes(evse.id)), "MemberList"
                    ),
                    "SupportedEnergyTransferModes": constant(
                        ",".join(evse.transfers), "MemberList"
                    ),
                },
                evse_id=evse.id,
            )
            device.add("ConnectedEV", _connected_ev(evse), evse_id=evse.id)
        dc = any(e.config.current == "DC" for e in self.station.evses.values())
        device.add("ISO15118Ctrlr", {"Enabled": constant(truth(dc), "boolean")})
        return device

    def modes(self, evse_id: int) -> tuple[str, ...]:
        evses = [e for e in self.station.evses.values() if evse_id in (0, e.id)]
        return _BIDIRECTIONAL if all(e.bidirectional for e in evses) else ("ChargingOnly",)

    def trigger_word(self, trigger: Trigger) -> str | None:
        if trigger == "mode":
            return "OperationModeChanged"
        return "TxResumed" if trigger == "resumed" else super().trigger_word(trigger)

    def _event(self, evse: SimEvse, event: str, trigger: str, context: str) -> Payload:
        payload = super()._event(evse, event, trigger, context)
        payload["transactionInfo"]["operationMode"] = evse.allowance.mode or "ChargingOnly"
        return payload

    def needs(self, evse: SimEvse) -> Message | None:
        message = super().needs(evse)
        vehicle, transaction = evse.vehicle, evse.transaction
        if message is None or vehicle is None or transaction is None:
            return message
        allowed = [t for t in evse.transfers if t in transaction.transfers or t == "DC"]
        needs = message[1]["chargingNeeds"]
        needs["availableEnergyTransfer"] = allowed
        needs["controlMode"] = "DynamicControl"
        needs["mobilityNeedsMode"] = "EVCC"
        message[1]["timestamp"] = stamp(self.station.now())
        if "DC_BPT" not in allowed:
            return message
        needs["requestedEnergyTransfer"] = "DC_BPT"
        low, high = _V2X_WINDOW
        capacity, soc = vehicle.capacity_kwh, vehicle.soc
        v2x: Payload = {
            "minChargePower": 0,
            "maxChargePower": _watts(min(vehicle.charge_max_kw, evse.config.charge_max_kw)),
            "minDischargePower": 0,
            "maxDischargePower": _watts(
                min(vehicle.discharge_max_kw, evse.config.discharge_max_kw)
            ),
            "evMinEnergyRequest": _watts(max(low - soc, 0.0) * capacity),
            "evMaxEnergyRequest": _watts(max(vehicle.limit_soc - soc, 0.0) * capacity),
            "evMinV2XEnergyRequest": _watts((low - soc) * capacity),
            "evMaxV2XEnergyRequest": _watts((min(high, vehicle.limit_soc) - soc) * capacity),
        }
        if vehicle.target_soc is not None:
            v2x["targetSoC"] = round(vehicle.target_soc * 100)
            v2x["evTargetEnergyRequest"] = _watts((vehicle.target_soc - soc) * capacity)
        needs["v2xChargingParameters"] = v2x
        return message

    # -- what the central system asks --

    def handlers(self) -> Mapping[str, Handler]:
        return {
            **super().handlers(),
            "UpdateDynamicSchedule": self._update_dynamic,
            "NotifyAllowedEnergyTransfer": self._allowed_transfers,
        }

    async def _update_dynamic(self, payload: Payload) -> Payload:
        refused = self._move(payload["chargingProfileId"], payload["scheduleUpdate"])
        return {"status": "Accepted"} if refused is None else rejected(*refused)

    def _move(self, profile_id: int, update: dict[str, Any]) -> tuple[str, str] | None:
        """Move the rates of a dynamic profile; why not, where it cannot be."""
        if unknown := [name for name in update if name not in _RATES]:
            return "InvalidSchedule", f"{unknown[0]} is not supported"
        rates = {_RATES[name]: value for name, value in update.items()}
        station = self.station
        try:
            with station.changing():
                moved = station.profiles.update(profile_id, station.epoch(), **rates)
        except ValueError as error:
            return "InvalidSchedule", str(error)
        return None if moved else ("InvalidProfileId", f"no dynamic profile {profile_id}")

    def pull(self, profile_id: int) -> Message | None:
        return "PullDynamicScheduleUpdate", {"chargingProfileId": profile_id}

    def pulled(self, profile_id: int, answer: Payload) -> None:
        if answer["status"] == "Accepted" and "scheduleUpdate" in answer:
            self._move(profile_id, answer["scheduleUpdate"])

    async def _allowed_transfers(self, payload: Payload) -> Payload:
        """Q02: the vehicle negotiates anew and says its needs again."""
        evse = self._running(payload["transactionId"])
        if evse is None or evse.transaction is None:
            return rejected("TxNotFound", payload["transactionId"])
        with self.station.changing():
            evse.transaction.transfers = tuple(payload["allowedEnergyTransfer"])
        self.station.renegotiate(evse)
        return {"status": "Accepted"}

    def rates(self, held: list[Allowance], evses: list[SimEvse], unit: str) -> Payload:
        if any(step.setpoint_kw is not None for step in held):
            return {
                "operationMode": "CentralSetpoint",
                "setpoint": total(held, evses, unit, lambda step: step.target_kw),
                "limit": total(held, evses, unit, lambda step: step.charge_kw),
                "dischargeLimit": -total(held, evses, unit, lambda step: step.discharge_kw),
            }
        return {"operationMode": "ChargingOnly", **super().rates(held, evses, unit)}

    def as_reported(self, profile: Profile) -> Payload:
        """A dynamic profile is reported with the rates it has now."""
        raw = super().as_reported(profile)
        if profile.kind == "dynamic":
            schedule = dict(raw["chargingSchedule"][0])
            now = {name: getattr(profile.periods[0], field) for name, field in _RATES.items()}
            given = {name: value for name, value in now.items() if value is not None}
            schedule["chargingSchedulePeriod"] = [
                {**schedule["chargingSchedulePeriod"][0], **given}
            ]
            raw["chargingSchedule"] = [schedule]
        return raw


def _watts(kilo: float) -> float:
    """kW as W, kWh as Wh."""
    return round(kilo * 1000)


def _connected_ev(evse: SimEvse) -> dict[str, Variable]:
    def name() -> str:
        return "" if evse.vehicle is None else evse.vehicle.id_token

    protocol = "urn:iso:std:iso:15118:-20:DC,1,0" if evse.config.current == "DC" else ""
    return {
        "Available": Variable(read=lambda: truth(evse.occupied), data_type="boolean"),
        "VehicleId": Variable(read=name),
        "ProtocolAgreed": Variable(read=lambda: protocol if evse.occupied else ""),
    }
