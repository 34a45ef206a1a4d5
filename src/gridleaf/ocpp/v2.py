"""What OCPP 2.0.1 and 2.1 have in common, as the central system speaks it.

A further message is one entry of :meth:`V2.handlers` (``self.noted("Action")`` where it is only to
be kept), a further command one case of :meth:`V2.encode`; what only 2.1 has is in
:mod:`gridleaf.ocpp.v21`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridleaf.domain.errors import RejectedByStation
from gridleaf.domain.events import (
    ChargingState,
    ConnectorStatus,
    ExternalLimitReported,
    MeterReported,
    NeedsReported,
    StatusReported,
    TransactionReported,
)
from gridleaf.ocpp import commands, profiles, variables
from gridleaf.ocpp.base import (
    PURPOSES,
    BaseDialect,
    answer_of,
    answer_of_many,
    expiry,
    number,
    present,
    unsupported,
    words,
    yesterday,
)
from gridleaf.ocpp.commands import Answer, Command
from gridleaf.ocpp.csms import Authorisation, Caller, Handler, Host, Payload
from gridleaf.ocpp.needs import read_needs
from gridleaf.ocpp.semantics import connector, unique, whole, wire_time

_STATUS: Final[dict[str, ConnectorStatus]] = {
    "Available": "available",
    "Occupied": "occupied",
    "Reserved": "reserved",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
}
_STATES: Final[dict[str, ChargingState]] = {
    "EVConnected": "ev_connected",
    "Charging": "charging",
    "SuspendedEV": "suspended_ev",
    "SuspendedEVSE": "suspended_evse",
    "Idle": "idle",
}
_PHASES: Final = {"Started": "started", "Updated": "updated", "Ended": "ended"}
_KEPT: Final = (
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyMonitoringReport",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
)
"""Messages that are kept as they came and answered with an empty response."""
_ITEMS: Final = 4
"""GetVariables items per message until the station says how many it takes."""


class V2(BaseDialect):
    """The central system's half of OCPP 2.x for one station."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._items_per_get = _ITEMS
        self._items_per_set = _ITEMS

    # -- inbound --

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "BootNotification": self._boot,
            "Heartbeat": self.heartbeat,
            "StatusNotification": self._status,
            "Authorize": self._authorize,
            "TransactionEvent": self._transaction,
            "MeterValues": self._meter_values,
            "NotifyEVChargingNeeds": self._needs,
            "NotifyEVChargingSchedule": self.noted(
                "NotifyEVChargingSchedule", {"status": "Accepted"}
            ),
            "NotifyChargingLimit": self._limit,
            "ClearedChargingLimit": self._limit_cleared,
            "NotifyEvent": self._events,
            "SecurityEventNotification": self.security_event,
            "DataTransfer": self.noted("DataTransfer", {"status": "UnknownVendorId"}),
            **{action: self.noted(action) for action in _KEPT},
        }

    async def _boot(self, payload: Payload) -> Payload:
        station = payload["chargingStation"]
        return await self.booted(
            vendor=station["vendorName"],
            model=station["model"],
            serial_number=station.get("serialNumber", ""),
            firmware_version=station.get("firmwareVersion", ""),
            reason=payload["reason"],
        )

    async def _status(self, payload: Payload) -> Payload:
        evse_id, doubts = connector(payload["evseId"], "evseId", station=True)
        connector_id, more = connector(payload["connectorId"], "connectorId", station=True)
        reported_at, clock = self.time(payload)
        self.doubt("StatusNotification", unique(doubts, more, clock))
        if evse_id is None or connector_id is None:
            await self.note("StatusNotification", payload)
            return {}
        await self.host.accept(
            self.event(
                StatusReported,
                evse_id=evse_id,
                connector_id=connector_id,
                status=_STATUS[payload["connectorStatus"]],
                reported_at=reported_at,
                detail=payload["connectorStatus"],
            )
        )
        return {}

    async def _events(self, payload: Payload) -> Payload:
        """Kept as they came; an AvailabilityState is a connector's status as well (G01)."""
        await self.note("NotifyEvent", payload)
        for data in payload["eventData"]:
            component, status = data["component"], _STATUS.get(data["actualValue"])
            if data["variable"]["name"] != "AvailabilityState" or status is None:
                continue
            of_station = component["name"] == "ChargingStation"
            evse = component.get("evse", {"id": 0} if of_station else {"id": -1})
            evse_id, doubts = connector(evse["id"], "evse.id", station=of_station)
            connector_id, more = connector(
                evse.get("connectorId", 0), "evse.connectorId", station=True
            )
            reported_at, clock = self.time(data)
            self.doubt("NotifyEvent", unique(doubts, more, clock))
            if evse_id is None or connector_id is None:
                continue
            await self.host.accept(
                self.event(
                    StatusReported,
                    evse_id=evse_id,
                    connector_id=connector_id,
                    status=status,
                    reported_at=reported_at,
                    detail=data["actualValue"],
                )
            )
        return {}

    async def _authorize(self, payload: Payload) -> Payload:
        authorisation = await self._authorise(payload["idToken"], None)
        return {"idTokenInfo": _token_info(authorisation), **self.permission(authorisation)}

    async def _authorise(self, token: Payload, evse_id: int | None) -> Authorisation:
        if token["type"] == "NoAuthorization":
            return Authorisation(status="Accepted")
        return await self.host.authorise(token["idToken"], evse_id)

    def permission(self, authorisation: Authorisation) -> Payload:
        """What an AuthorizeResponse of this version adds about energy transfer."""
        return {}

    async def _transaction(self, payload: Payload) -> Payload:
        """Stored first, then the token is judged: a repeated event gets the same answer."""
        info, evse = payload["transactionInfo"], payload.get("evse", {})
        evse_id, doubts = self._evse_of(evse)
        occurred_at, clock = self.time(payload)
        readings = self.readings(payload)
        registers = self.registers.check(info["transactionId"], readings.samples)
        flags = unique(doubts, clock, readings.flags, registers)
        self.doubt("TransactionEvent", flags)
        token: Payload = payload.get("idToken", {})
        named = token.get("type") not in (None, "NoAuthorization")
        await self.host.accept(
            self.event(
                TransactionReported,
                transaction_id=info["transactionId"],
                seq_no=whole(payload["seqNo"], "seqNo"),
                phase=_PHASES[payload["eventType"]],
                occurred_at=occurred_at,
                evse_id=evse_id,
                connector_id=_whole(evse, "connectorId"),
                id_token=token["idToken"] if named else None,
                charging_state=_STATES.get(info.get("chargingState", "")),
                trigger=payload["triggerReason"],
                stopped_reason=info.get("stoppedReason", ""),
                offline=payload.get("offline", False),
                remote_start_id=_whole(info, "remoteStartId"),
                operation_mode=info.get("operationMode"),
                samples=readings.samples,
                flags=flags,
            )
        )
        if not token:
            return {}
        return {"idTokenInfo": _token_info(await self._authorise(token, evse_id))}

    def _evse_of(self, evse: Payload) -> tuple[int | None, tuple[str, ...]]:
        """The EVSE of a transaction event; where it is left out a station's only EVSE is meant."""
        if evse:
            return connector(evse["id"], "evse.id", station=False)
        only = self.host.evse_ids
        return (only[0] if len(only) == 1 else None), ()

    async def _meter_values(self, payload: Payload) -> Payload:
        evse_id, doubts = connector(payload["evseId"], "evseId", station=True)
        readings = self.readings(payload)
        self.doubt("MeterValues", unique(doubts, readings.flags))
        await self.host.accept(self.event(MeterReported, evse_id=evse_id, samples=readings.samples))
        return {}

    async def _needs(self, payload: Payload) -> Payload:
        """Answered at once; the plan comes as a profile when it is ready."""
        needs = read_needs(payload, self.host.now(), self.host.voltage_v)
        await self.host.accept(self.event(NeedsReported, **needs))
        return {"status": "Processing"}

    async def _limit(self, payload: Payload) -> Payload:
        limit_kw = profiles.lowest_limit_kw(
            payload.get("chargingSchedule", ()), self.host.now(), self.host.voltage_v
        )
        if limit_kw is None:
            await self.note("NotifyChargingLimit", payload)
        else:
            source = payload["chargingLimit"]["chargingLimitSource"]
            await self._external(payload, source, limit_kw)
        return {}

    async def _limit_cleared(self, payload: Payload) -> Payload:
        await self._external(payload, payload["chargingLimitSource"], None)
        return {}

    async def _external(self, payload: Payload, source: str, limit_kw: float | None) -> None:
        evse_id = whole(payload.get("evseId", 0), "evseId")
        await self.host.accept(
            self.event(ExternalLimitReported, evse_id=evse_id, source=source, limit_kw=limit_kw)
        )

    # -- outbound --

    def encode(self, command: Command) -> tuple[str, Payload]:
        match command:
            case commands.SetProfile():
                return "SetChargingProfile", {
                    "evseId": command.evse_id,
                    "chargingProfile": self.profile(command),
                }
            case commands.SetDefaultLimit():
                return "SetChargingProfile", {
                    "evseId": command.evse_id,
                    "chargingProfile": self._default(command),
                }
            case commands.ClearProfile():
                criteria = present(
                    evseId=command.evse_id,
                    chargingProfilePurpose=command.purpose and PURPOSES[command.purpose],
                )
                return "ClearChargingProfile", present(
                    chargingProfileId=command.profile_id,
                    chargingProfileCriteria=criteria or None,
                )
            case commands.RemoteStart():
                return "RequestStartTransaction", present(
                    idToken={"idToken": command.id_token, "type": "Central"},
                    remoteStartId=command.remote_start_id,
                    evseId=command.evse_id or None,
                )
            case commands.RemoteStop():
                return "RequestStopTransaction", {"transactionId": command.transaction_id}
            case commands.Trigger():
                return "TriggerMessage", present(
                    requestedMessage=command.message, evse=_trigger_evse(command)
                )
            case commands.ChangeAvailability():
                return "ChangeAvailability", present(
                    operationalStatus="Operative" if command.operative else "Inoperative",
                    evse={"id": command.evse_id} if command.evse_id else None,
                )
            case commands.Reset():
                return "Reset", {"type": "Immediate" if command.immediate else "OnIdle"}
            case commands.Unlock():
                return "UnlockConnector", {
                    "evseId": command.evse_id,
                    "connectorId": command.connector_id,
                }
            case commands.TransferData():
                return "DataTransfer", present(
                    vendorId=command.vendor_id, messageId=command.message_id, data=command.data
                )
            case _:
                raise unsupported(command, self.version)

    def profile(self, command: commands.SetProfile) -> Payload:
        """A charging profile of limits that ends by itself, twice over: duration and validTo."""
        negative = command.v2x and self.host.discharge_via == "negative_limit"
        return present(
            **self.profile_head(command),
            chargingProfileKind="Absolute",
            validTo=wire_time(expiry(command)),
            chargingSchedule=[
                {
                    "id": command.profile_id,
                    "startSchedule": wire_time(command.start),
                    "duration": command.expires_s,
                    "chargingRateUnit": command.rate_unit,
                    "chargingSchedulePeriod": [
                        {
                            "startPeriod": step.start_s,
                            **self.limit(command, step.power_kw, step.limit_a, negative=negative),
                        }
                        for step in command.steps
                    ],
                }
            ],
        )

    def profile_head(self, command: commands.SetProfile) -> Payload:
        return present(
            id=command.profile_id,
            stackLevel=command.stack_level,
            chargingProfilePurpose=PURPOSES[command.purpose],
            transactionId=command.transaction_id if command.purpose == "tx" else None,
        )

    def limit(
        self,
        command: commands.SetProfile | commands.SetDefaultLimit,
        power_kw: float,
        limit_a: float | None,
        *,
        negative: bool,
    ) -> Payload:
        """The fields of a period that limits the charging rate."""
        rate = profiles.to_wire(
            power_kw,
            command.rate_unit,
            self.host.voltage_v,
            negative=negative,
            phases=command.phases,
            limit_a=limit_a,
        )
        return present(limit=rate, numberPhases=command.phases)

    def _default(self, command: commands.SetDefaultLimit) -> Payload:
        limit = self.limit(command, command.limit_kw, command.limit_a, negative=False)
        return {
            "id": command.profile_id,
            "stackLevel": command.stack_level,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [
                {
                    "id": command.profile_id,
                    "startSchedule": wire_time(yesterday(self.host.now())),
                    "chargingRateUnit": command.rate_unit,
                    "chargingSchedulePeriod": [{"startPeriod": 0, **limit}],
                }
            ],
        }

    async def get_composite(self, command: commands.GetComposite, call: Caller) -> Answer:
        response = await call(
            "GetCompositeSchedule",
            {
                "evseId": command.evse_id,
                "duration": command.duration_s,
                "chargingRateUnit": command.rate_unit,
            },
        )
        answer, schedule = answer_of(response), response.get("schedule")
        if schedule is None:
            return answer
        steps = profiles.read_steps(
            schedule["chargingSchedulePeriod"], schedule["chargingRateUnit"], self.host.voltage_v
        )
        return Answer(accepted=answer.accepted, status=answer.status, steps=steps)

    async def get_values(self, command: commands.GetValues, call: Caller) -> Answer:
        """No names mean all that :meth:`probe` reads; a full inventory is a report of its own.

        A station that refuses a message for one of its items is asked for each of them alone.
        """
        values: dict[str, str] = {}
        pending = _batches(command.names or self.probed(), self._items_per_get)
        refusal: RejectedByStation | None = None
        while pending:
            names = pending.pop(0)
            try:
                values |= await self._get(names, call)
            except RejectedByStation as error:
                refusal = error
                if error.code in ("NotImplemented", "NotSupported"):
                    break
                pending[:0] = [(name,) for name in names] if len(names) > 1 else []
        if refusal is not None and not values:
            raise refusal
        return Answer(accepted=True, status="Accepted", values=values)

    async def _get(self, names: tuple[str, ...], call: Caller) -> dict[str, str]:
        payload = {"getVariableData": [variables.parse(name) for name in names]}
        response = await call("GetVariables", payload)
        return {
            variables.name_of(result): result["attributeValue"]
            for result in response["getVariableResult"]
            if result["attributeStatus"] == "Accepted" and "attributeValue" in result
        }

    async def set_values(self, command: commands.SetValues, call: Caller) -> Answer:
        statuses: dict[str, str] = {}
        for names in _batches(tuple(command.values), self._items_per_set):
            data = [
                {"attributeValue": command.values[name], **variables.parse(name)} for name in names
            ]
            response = await call("SetVariables", {"setVariableData": data})
            for result in response["setVariableResult"]:
                statuses[variables.name_of(result)] = result["attributeStatus"]
        return answer_of_many(statuses)

    # -- what the station can do --

    def probed(self) -> tuple[str, ...]:
        """The variables read after boot."""
        return variables.STATION_VARIABLES

    async def probe(self, call: Caller) -> None:
        first = await self.probe_values((variables.ITEMS_PER_GET,), call)
        self._items_per_get = _items(first.get(variables.ITEMS_PER_GET))
        values = first | await self.probe_values(self.probed(), call)
        self._items_per_set = _items(values.get(variables.ITEMS_PER_SET))
        await self.learn(values)
        await self.sample_enough(
            values, variables.SAMPLED_MEASURANDS, variables.SAMPLED_INTERVAL, call
        )

    async def learn(self, values: dict[str, str]) -> None:
        """Hand over what the variables say."""
        await self.learnt(**self.station_fields(values))

    def station_fields(self, values: dict[str, str]) -> dict[str, Any]:
        """The fields of a CapabilitiesRead that are the station's as a whole."""
        units = words(values.get("SmartChargingCtrlr.RateUnit", ""))
        return {
            "rate_units": tuple(unit for unit in ("A", "W") if unit in units) or ("A", "W"),
            "max_stack_level": number(values.get("SmartChargingCtrlr.ProfileStackLevel")),
            "max_periods": number(values.get("SmartChargingCtrlr.PeriodsPerSchedule")),
            "values": values,
        }


def _whole(payload: Payload, key: str) -> int | None:
    return whole(payload[key], key) if key in payload else None


def _batches(names: tuple[str, ...], size: int) -> list[tuple[str, ...]]:
    return [names[at : at + size] for at in range(0, len(names), size)]


def _items(value: str | None) -> int:
    """Items per message a station takes: what it says, within reason."""
    return min(max(number(value) or _ITEMS, 1), 50)


def _trigger_evse(command: commands.Trigger) -> Payload | None:
    """StatusNotification is asked of a connector, everything else of an EVSE."""
    if not command.evse_id:
        return None
    if command.message == "StatusNotification":
        return {"id": command.evse_id, "connectorId": 1}
    return {"id": command.evse_id}


def _token_info(authorisation: Authorisation) -> Payload:
    group_id, expires_at = authorisation.group_id, authorisation.expires_at
    return present(
        status=authorisation.status,
        groupIdToken=None if group_id is None else {"idToken": group_id, "type": "Central"},
        cacheExpiryDateTime=None if expires_at is None else wire_time(expires_at),
    )
