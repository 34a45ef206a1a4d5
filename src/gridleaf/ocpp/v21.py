"""OCPP 2.1 as the central system speaks it: 2.x, and what V2X adds.

Messages and commands are added as in :mod:`gridleaf.ocpp.v2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from gridleaf.ocpp import commands, profiles, variables
from gridleaf.ocpp.base import expiry, present
from gridleaf.ocpp.commands import Command
from gridleaf.ocpp.csms import Authorisation, Handler, Payload
from gridleaf.ocpp.semantics import whole, wire_time
from gridleaf.ocpp.v2 import V2

_KEPT: Final = (
    "NotifyDERAlarm",
    "NotifyDERStartStop",
    "NotifyPeriodicEventStream",
    "NotifyPriorityCharging",
    "ReportDERControl",
)
"""Messages of 2.1 that are kept as they came."""


class V21(V2):
    """The central system's half of OCPP 2.1 for one station."""

    version: ClassVar[str] = "ocpp2.1"

    def handlers(self) -> Mapping[str, Handler]:
        return {
            **super().handlers(),
            "PullDynamicScheduleUpdate": self._pull,
            **{action: self.noted(action) for action in _KEPT},
        }

    def permission(self, authorisation: Authorisation) -> Payload:
        return present(allowedEnergyTransfer=list(authorisation.transfers) or None)

    async def _pull(self, payload: Payload) -> Payload:
        profile_id = whole(payload["chargingProfileId"], "chargingProfileId")
        power_kw = await self.host.pull_setpoint(profile_id)
        if power_kw is None:
            return {"status": "Rejected"}
        return {"status": "Accepted", "scheduleUpdate": self._update(power_kw)}

    def encode(self, command: Command) -> tuple[str, Payload]:
        match command:
            case commands.UpdateSetpoint():
                return "UpdateDynamicSchedule", {
                    "chargingProfileId": command.profile_id,
                    "scheduleUpdate": self._update(command.power_kw),
                }
            case commands.AllowTransfers():
                return "NotifyAllowedEnergyTransfer", {
                    "transactionId": command.transaction_id,
                    "allowedEnergyTransfer": list(command.transfers),
                }
            case _:
                return super().encode(command)

    def _update(self, power_kw: float) -> Payload:
        return {"setpoint": self._setpoint(power_kw, "W")}

    def _setpoint(self, power_kw: float, unit: profiles.RateUnit, **amps: Any) -> float:
        negative = self.host.discharge_via == "ocpp21"
        return profiles.to_wire(power_kw, unit, self.host.voltage_v, negative=negative, **amps)

    def profile(self, command: commands.SetProfile) -> Payload:
        """CentralSetpoint where the station is to be led, else limits (ChargingOnly).

        A led station forgets the profile when it has been offline for as long as the setpoint may
        live (K28, Q03, Q04); then its TxDefaultProfile holds.
        """
        led = command.dynamic or (command.v2x and self.host.discharge_via == "ocpp21")
        if not led:
            return super().profile(command)
        steps = command.steps[:1] if command.dynamic else command.steps
        unit: profiles.RateUnit = "W" if command.dynamic else command.rate_unit
        periods = [
            present(
                startPeriod=0 if command.dynamic else step.start_s,
                operationMode="CentralSetpoint",
                setpoint=self._setpoint(
                    step.power_kw, unit, phases=command.phases, limit_a=step.limit_a
                ),
                numberPhases=command.phases,
            )
            for step in steps
        ]
        schedule = present(
            id=command.profile_id,
            startSchedule=None if command.dynamic else wire_time(command.start),
            duration=command.expires_s,
            chargingRateUnit=unit,
            chargingSchedulePeriod=periods,
        )
        return {
            **self.profile_head(command),
            "chargingProfileKind": "Dynamic" if command.dynamic else "Absolute",
            "validTo": wire_time(expiry(command)),
            "maxOfflineDuration": command.expires_s,
            "invalidAfterOfflineDuration": True,
            "chargingSchedule": [schedule],
        }

    def limit(
        self,
        command: commands.SetProfile | commands.SetDefaultLimit,
        power_kw: float,
        limit_a: float | None,
        *,
        negative: bool,
    ) -> Payload:
        period = super().limit(command, power_kw, limit_a, negative=negative)
        return {"operationMode": "ChargingOnly", **period}

    # -- what the station can do --

    def probed(self) -> tuple[str, ...]:
        return (
            *super().probed(),
            *variables.STATION_VARIABLES_21,
            *variables.EVSE_VARIABLES_21,
            *(
                variables.of_evse(name, evse_id)
                for evse_id in self.host.evse_ids
                for name in variables.EVSE_VARIABLES_21
            ),
        )

    async def learn(self, values: dict[str, str]) -> None:
        """One event for the station, and one for each EVSE that spoke of itself.

        A dynamic profile is of use to us only with CentralSetpoint.
        """
        dynamic = (
            variables.is_true(values.get("SmartChargingCtrlr.SupportsDynamicProfiles"))
            and self.host.discharge_via != "negative_limit"
        )
        spoke = [
            evse_id
            for evse_id in self.host.evse_ids
            if any(
                variables.of_evse(name, evse_id) in values for name in variables.EVSE_VARIABLES_21
            )
        ]
        for evse_id in (0, *spoke):
            v2x = variables.read_v2x(values, evse_id)
            await self.learnt(
                **self.station_fields(values),
                evse_id=evse_id,
                dynamic_profiles=dynamic and "CentralSetpoint" in v2x.operation_modes,
                v2x_enabled=v2x.enabled,
                operation_modes=v2x.operation_modes,
            )
