"""OCPP 1.6J as the central system speaks it.

A further message is one entry of :meth:`V16.handlers` (``self.noted("Action")`` where it is only to
be kept), a further command one case of :meth:`V16.encode`. 1.6's words stay inside this module: a
connector is an EVSE with one connector, an idTag an id token, connector 0 the station.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final, Literal

from gridleaf.domain.errors import ProtocolError
from gridleaf.domain.events import (
    ConnectorStatus,
    MeterReported,
    StatusReported,
    TransactionReported,
)
from gridleaf.domain.meter import MeterSample
from gridleaf.ocpp import commands, profiles
from gridleaf.ocpp.base import (
    PURPOSES,
    BaseDialect,
    answer_of_many,
    expiry,
    number,
    present,
    unsupported,
    yesterday,
)
from gridleaf.ocpp.commands import Answer, Command
from gridleaf.ocpp.csms import Authorisation, Caller, Handler, Host, Payload
from gridleaf.ocpp.semantics import (
    Start,
    connector,
    sample_flags,
    stop_flags,
    unique,
    whole,
    wire_time,
)
from gridleaf.ocpp.units import DEFAULT_MEASURAND

_STATUS: Final[dict[str, ConnectorStatus]] = {
    "Available": "available",
    "Preparing": "occupied",
    "Charging": "occupied",
    "SuspendedEV": "occupied",
    "SuspendedEVSE": "occupied",
    "Finishing": "occupied",
    "Reserved": "reserved",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
}
_TRIGGERS: Final = {
    "LogStatusNotification": "DiagnosticsStatusNotification",
    "TransactionEvent": "MeterValues",
}
"""2.x words for what 1.6 calls otherwise; the rest is spelt the same."""
_ACTIONS: Final = {
    "started": "StartTransaction",
    "updated": "MeterValues",
    "ended": "StopTransaction",
}
_KEYS: Final = (
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "MaxChargingProfilesInstalled",
    "ConnectorSwitch3to1PhaseSupported",
    "NumberOfConnectors",
    "SupportedFeatureProfiles",
    "MeterValuesSampledData",
    "MeterValueSampleInterval",
)
"""Configuration keys read after boot (1.6, section 9)."""
_STARTS_KEPT: Final = 64


class V16(BaseDialect):
    """The central system's half of OCPP 1.6J for one station."""

    version: ClassVar[str] = "ocpp1.6"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._starts: dict[str, Start] = {}

    # -- inbound --

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "BootNotification": self._boot,
            "Heartbeat": self.heartbeat,
            "StatusNotification": self._status,
            "Authorize": self._authorize,
            "StartTransaction": self._start,
            "StopTransaction": self._stop,
            "MeterValues": self._meter_values,
            "SecurityEventNotification": self.security_event,
            "DataTransfer": self.noted("DataTransfer", {"status": "UnknownVendorId"}),
            "DiagnosticsStatusNotification": self.noted("DiagnosticsStatusNotification"),
            "FirmwareStatusNotification": self.noted("FirmwareStatusNotification"),
            "LogStatusNotification": self.noted("LogStatusNotification"),
            "SignedFirmwareStatusNotification": self.noted("SignedFirmwareStatusNotification"),
        }

    async def _boot(self, payload: Payload) -> Payload:
        return await self.booted(
            vendor=payload["chargePointVendor"],
            model=payload["chargePointModel"],
            serial_number=payload.get("chargePointSerialNumber")
            or payload.get("chargeBoxSerialNumber", ""),
            firmware_version=payload.get("firmwareVersion", ""),
        )

    async def _status(self, payload: Payload) -> Payload:
        evse_id, flags = connector(payload["connectorId"], "connectorId", station=True)
        if evse_id is None:
            self.doubt("StatusNotification", flags)
            await self.note("StatusNotification", payload)
            return {}
        reported_at, flags = self.time(payload)
        self.doubt("StatusNotification", flags)
        error = payload["errorCode"]
        await self.host.accept(
            self.event(
                StatusReported,
                evse_id=evse_id,
                connector_id=min(evse_id, 1),
                status=_STATUS[payload["status"]],
                reported_at=reported_at,
                detail=payload["status"],
                error_code="" if error == "NoError" else error,
            )
        )
        return {}

    async def _authorize(self, payload: Payload) -> Payload:
        return {"idTagInfo": _tag_info(await self.host.authorise(payload["idTag"], None))}

    async def _start(self, payload: Payload) -> Payload:
        evse_id, doubts = connector(payload["connectorId"], "connectorId", station=False)
        started_at, clock = self.time(payload)
        begin = _register(payload["meterStart"], started_at, "Transaction.Begin")
        transaction_id = await self.host.open_transaction(
            payload["idTag"], evse_id or 0, started_at, begin.value
        )
        self._remember(transaction_id, Start(started_at, payload["idTag"]))
        await self._report(
            "started",
            transaction_id,
            evse_id,
            started_at,
            (begin,),
            (doubts, clock),
            id_token=payload["idTag"],
        )
        info = _tag_info(await self.host.authorise(payload["idTag"], evse_id))
        return {"transactionId": int(transaction_id), "idTagInfo": info}

    async def _stop(self, payload: Payload) -> Payload:
        """A transaction of another station, or of none, is left alone and reported."""
        transaction_id = str(whole(payload["transactionId"], "transactionId"))
        id_tag = payload.get("idTag")
        evse_id = await self.host.find_transaction(transaction_id)
        if evse_id is None:
            self.doubt("StopTransaction", ("transaction_unknown",))
            await self.note("StopTransaction", payload)
            await self.alarm("transaction_unknown", f"StopTransaction of {transaction_id}")
        elif await self.host.has_ended(transaction_id):
            self.doubt("StopTransaction", ("already_ended",))
            await self.note("StopTransaction", payload)
        else:
            await self._stopped(transaction_id, evse_id or None, payload)
        if id_tag is None:
            return {}
        return {"idTagInfo": _tag_info(await self.host.authorise(id_tag, evse_id or None))}

    async def _stopped(self, transaction_id: str, evse_id: int | None, payload: Payload) -> None:
        stopped_at, clock = self.time(payload)
        contained = self.readings(payload, "transactionData")
        end = _register(payload["meterStop"], stopped_at, "Transaction.End")
        start = self._starts.get(transaction_id)
        await self._report(
            "ended",
            transaction_id,
            evse_id,
            stopped_at,
            (*contained.samples, end),
            (
                clock,
                contained.flags,
                stop_flags(start, stopped_at, payload.get("idTag")),
                sample_flags(contained.samples, start, stopped_at),
            ),
            stopped_reason=payload.get("reason", "Local"),
        )

    async def _meter_values(self, payload: Payload) -> Payload:
        evse_id, doubts = connector(payload["connectorId"], "connectorId", station=True)
        readings = self.readings(payload)
        transaction_id = str(whole(payload.get("transactionId", -1), "transactionId"))
        known = await self.host.find_transaction(transaction_id)
        if known is None:
            if "transactionId" in payload:
                doubts = (*doubts, "transaction_unknown")
            self.doubt("MeterValues", unique(doubts, readings.flags))
            await self.host.accept(
                self.event(MeterReported, evse_id=evse_id, samples=readings.samples)
            )
            return {}
        measured_at = max((s.measured_at for s in readings.samples), default=self.host.now())
        await self._report(
            "updated",
            transaction_id,
            evse_id or known or None,
            measured_at,
            readings.samples,
            (
                doubts,
                readings.flags,
                sample_flags(readings.samples, self._starts.get(transaction_id)),
            ),
        )
        return {}

    async def _report(
        self,
        phase: Literal["started", "updated", "ended"],
        transaction_id: str,
        evse_id: int | None,
        occurred_at: datetime,
        samples: tuple[MeterSample, ...],
        doubts: tuple[tuple[str, ...], ...],
        *,
        id_token: str | None = None,
        stopped_reason: str = "",
    ) -> None:
        """One event of a transaction. Its start is event 0, so that a repeated start is one row."""
        flags = unique(*doubts, self.registers.check(transaction_id, samples))
        self.doubt(_ACTIONS[phase], flags)
        started = phase == "started"
        await self.host.accept(
            self.event(
                TransactionReported,
                transaction_id=transaction_id,
                seq_no=0 if started else await self.host.next_seq_no(transaction_id),
                phase=phase,
                occurred_at=occurred_at,
                evse_id=evse_id,
                connector_id=None if evse_id is None else 1,
                id_token=id_token,
                trigger=_ACTIONS[phase],
                stopped_reason=stopped_reason,
                samples=samples,
                flags=flags,
            )
        )

    def _remember(self, transaction_id: str, start: Start) -> None:
        self._starts[transaction_id] = start
        if len(self._starts) > _STARTS_KEPT:
            del self._starts[next(iter(self._starts))]

    # -- outbound --

    def encode(self, command: Command) -> tuple[str, Payload]:
        match command:
            case commands.SetProfile():
                return "SetChargingProfile", self._profile(command)
            case commands.SetDefaultLimit():
                return "SetChargingProfile", self._default(command)
            case commands.ClearProfile():
                return "ClearChargingProfile", present(
                    id=command.profile_id,
                    connectorId=command.evse_id,
                    chargingProfilePurpose=command.purpose and PURPOSES[command.purpose],
                )
            case commands.RemoteStart():
                return "RemoteStartTransaction", present(
                    connectorId=command.evse_id or None, idTag=command.id_token
                )
            case commands.RemoteStop():
                return "RemoteStopTransaction", {"transactionId": _own(command.transaction_id)}
            case commands.Trigger():
                return "TriggerMessage", present(
                    requestedMessage=_TRIGGERS.get(command.message, command.message),
                    connectorId=command.evse_id or None,
                )
            case commands.ChangeAvailability():
                kind = "Operative" if command.operative else "Inoperative"
                return "ChangeAvailability", {"connectorId": command.evse_id, "type": kind}
            case commands.Reset():
                return "Reset", {"type": "Hard" if command.immediate else "Soft"}
            case commands.Unlock():
                return "UnlockConnector", {"connectorId": command.evse_id}
            case commands.TransferData():
                return "DataTransfer", present(
                    vendorId=command.vendor_id, messageId=command.message_id, data=command.data
                )
            case _:
                raise unsupported(command, self.version)

    def _profile(self, command: commands.SetProfile) -> Payload:
        """Bounded by ``duration`` alone: 1.6 before its errata forbids validTo on a TxProfile."""
        of_transaction = command.purpose == "tx"
        periods = [
            present(
                startPeriod=step.start_s,
                limit=profiles.to_wire(
                    step.power_kw,
                    command.rate_unit,
                    self.host.voltage_v,
                    negative=command.v2x and self.host.discharge_via == "negative_limit",
                    phases=command.phases,
                    limit_a=step.limit_a,
                ),
                numberPhases=command.phases,
            )
            for step in command.steps
        ]
        profile = present(
            chargingProfileId=command.profile_id,
            transactionId=_own(command.transaction_id) if of_transaction else None,
            stackLevel=command.stack_level,
            chargingProfilePurpose=PURPOSES[command.purpose],
            chargingProfileKind="Absolute",
            validTo=None if of_transaction else wire_time(expiry(command)),
            chargingSchedule={
                "duration": command.expires_s,
                "startSchedule": wire_time(command.start),
                "chargingRateUnit": command.rate_unit,
                "chargingSchedulePeriod": periods,
            },
        )
        return {"connectorId": command.evse_id, "csChargingProfiles": profile}

    def _default(self, command: commands.SetDefaultLimit) -> Payload:
        limit = profiles.to_wire(
            command.limit_kw,
            command.rate_unit,
            self.host.voltage_v,
            negative=False,
            phases=command.phases,
            limit_a=command.limit_a,
        )
        profile = {
            "chargingProfileId": command.profile_id,
            "stackLevel": command.stack_level,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "startSchedule": wire_time(yesterday(self.host.now())),
                "chargingRateUnit": command.rate_unit,
                "chargingSchedulePeriod": [
                    present(startPeriod=0, limit=limit, numberPhases=command.phases)
                ],
            },
        }
        return {"connectorId": command.evse_id, "csChargingProfiles": profile}

    async def get_composite(self, command: commands.GetComposite, call: Caller) -> Answer:
        answer = await call(
            "GetCompositeSchedule",
            {
                "connectorId": command.evse_id,
                "duration": command.duration_s,
                "chargingRateUnit": command.rate_unit,
            },
        )
        schedule = answer.get("chargingSchedule")
        steps: tuple[commands.SetpointStep, ...] = ()
        if schedule is not None:
            steps = profiles.read_steps(
                schedule["chargingSchedulePeriod"],
                schedule["chargingRateUnit"],
                self.host.voltage_v,
            )
        return Answer(accepted=answer["status"] == "Accepted", status=answer["status"], steps=steps)

    async def get_values(self, command: commands.GetValues, call: Caller) -> Answer:
        answer = await call("GetConfiguration", present(key=list(command.names) or None))
        values = {
            entry["key"]: entry.get("value", "") for entry in answer.get("configurationKey", ())
        }
        return Answer(accepted=True, status="Accepted", values=values)

    async def set_values(self, command: commands.SetValues, call: Caller) -> Answer:
        statuses = {}
        for key, value in command.values.items():
            answer = await call("ChangeConfiguration", {"key": key, "value": value})
            statuses[key] = answer["status"]
        return answer_of_many(statuses)

    async def probe(self, call: Caller) -> None:
        values = await self.probe_values(_KEYS, call)
        units = values.get("ChargingScheduleAllowedChargingRateUnit", "")
        offered = [("Current", "A"), ("Power", "W")]
        await self.learnt(
            rate_units=tuple(unit for word, unit in offered if word in units) or ("A", "W"),
            max_stack_level=number(values.get("ChargeProfileMaxStackLevel")),
            max_periods=number(values.get("ChargingScheduleMaxPeriods")),
            values=values,
        )
        await self.sample_enough(values, "MeterValuesSampledData", "MeterValueSampleInterval", call)


def _tag_info(authorisation: Authorisation) -> Payload:
    status = "Invalid" if authorisation.status == "Unknown" else authorisation.status
    expires_at = authorisation.expires_at
    return present(
        status=status,
        parentIdTag=authorisation.group_id,
        expiryDate=None if expires_at is None else wire_time(expires_at),
    )


def _register(meter_wh: float, at: datetime, context: str) -> MeterSample:
    """meterStart and meterStop are the import register [Wh]."""
    return MeterSample(
        measured_at=at,
        measurand=DEFAULT_MEASURAND,
        value=whole(meter_wh, "meter") / 1000,
        unit="kWh",
        context=context,
        raw=f"{meter_wh} Wh",
    )


def _own(transaction_id: str) -> int:
    """A transaction id as 1.6 has it; they are all given out by :class:`Host`."""
    try:
        return int(transaction_id)
    except ValueError:
        raise ProtocolError(
            "PropertyConstraintViolation", "transactionId: not of OCPP 1.6"
        ) from None
