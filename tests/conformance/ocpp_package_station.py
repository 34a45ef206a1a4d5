"""A station built on the ``ocpp`` package, an implementation that is not ours.

It boots, charges at its maximum until a profile tells otherwise, meters what it does, and stops
when it is asked to.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import count
from types import ModuleType
from typing import Any

from ocpp import v16, v21, v201
from ocpp.routing import on
from websockets.asyncio.client import ClientConnection

MAX_W = 11_000.0
METER_EVERY_S = 0.05
TRANSACTION_ID = "package-1"
VARIABLES = {
    "SmartChargingCtrlr.ProfileStackLevel": "3",
    "SmartChargingCtrlr.RateUnit": "W,A",
    "SmartChargingCtrlr.SupportsDynamicProfiles": "true",
    "ISO15118Ctrlr.Enabled": "true",
    "V2XChargingCtrlr.Enabled": "true",
    "V2XChargingCtrlr.SupportedOperationModes": "ChargingOnly,CentralSetpoint",
}
KEYS = {
    "ChargeProfileMaxStackLevel": "3",
    "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
    "NumberOfConnectors": "1",
}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Charging:
    """What a station of any version has: a power, registers, and somebody who may say stop."""

    def __init__(self) -> None:
        self.power_w = 0.0
        self.imported_wh = 1_000.0
        self.profiles: list[dict[str, Any]] = []
        self.stop_asked = asyncio.Event()

    def samples(self) -> list[tuple[str, str, float]]:
        self.imported_wh += 1.0
        return [
            ("Power.Active.Import", "W", max(self.power_w, 0.0)),
            ("Power.Active.Export", "W", max(-self.power_w, 0.0)),
            ("Energy.Active.Import.Register", "Wh", self.imported_wh),
        ]

    async def until_stopped(self, meter: Any) -> None:
        while not self.stop_asked.is_set():
            await meter()
            await asyncio.sleep(METER_EVERY_S)


class Station16(v16.ChargePoint):  # type: ignore[misc]
    """OCPP 1.6J."""

    def __init__(self, name: str, socket: ClientConnection) -> None:
        super().__init__(name, socket)
        self.state = Charging()
        self.transaction_id = 0

    async def charge(self, token: str) -> None:
        boot = await self.call(
            v16.call.BootNotification(charge_point_model="Package", charge_point_vendor="Mobility")
        )
        assert boot.status == "Accepted"
        for status in ("Available", "Preparing"):
            await self.call(
                v16.call.StatusNotification(connector_id=1, error_code="NoError", status=status)
            )
        answer = await self.call(v16.call.Authorize(id_tag=token))
        assert answer.id_tag_info["status"] == "Accepted"
        started = await self.call(
            v16.call.StartTransaction(
                connector_id=1, id_tag=token, meter_start=1000, timestamp=_now()
            )
        )
        assert started.id_tag_info["status"] == "Accepted"
        self.transaction_id = started.transaction_id
        self.state.power_w = MAX_W
        await self.state.until_stopped(self._meter)
        self.state.power_w = 0.0
        await self.call(
            v16.call.StopTransaction(
                transaction_id=self.transaction_id,
                meter_stop=int(self.state.imported_wh),
                timestamp=_now(),
                reason="Remote",
                id_tag=token,
            )
        )

    async def _meter(self) -> None:
        await self.call(
            v16.call.MeterValues(
                connector_id=1,
                transaction_id=self.transaction_id,
                meter_value=[
                    {
                        "timestamp": _now(),
                        "sampled_value": [
                            {"measurand": name, "unit": unit, "value": str(value)}
                            for name, unit, value in self.state.samples()
                        ],
                    }
                ],
            )
        )

    @on("SetChargingProfile")  # type: ignore[untyped-decorator]
    def set_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        self.state.profiles.append(cs_charging_profiles)
        period = cs_charging_profiles["charging_schedule"]["charging_schedule_period"][0]
        self.state.power_w = min(MAX_W, period["limit"])
        return v16.call_result.SetChargingProfile(status="Accepted")

    @on("RemoteStopTransaction")  # type: ignore[untyped-decorator]
    def remote_stop(self, transaction_id: int) -> Any:
        if transaction_id != self.transaction_id:
            return v16.call_result.RemoteStopTransaction(status="Rejected")
        self.state.stop_asked.set()
        return v16.call_result.RemoteStopTransaction(status="Accepted")

    @on("GetConfiguration")  # type: ignore[untyped-decorator]
    def configuration(self, key: list[str]) -> Any:
        return v16.call_result.GetConfiguration(
            configuration_key=[
                {"key": name, "readonly": True, "value": KEYS[name]} for name in key if name in KEYS
            ],
            unknown_key=[name for name in key if name not in KEYS],
        )


def station_2(package: ModuleType) -> type[Any]:
    """The same for 2.0.1 (``ocpp.v201``) and 2.1 (``ocpp.v21``)."""
    call, call_result = package.call, package.call_result

    class Station2(package.ChargePoint):  # type: ignore[misc, name-defined]
        def __init__(self, name: str, socket: ClientConnection) -> None:
            super().__init__(name, socket)
            self.state = Charging()
            self.seq_nos = count()
            self.allowed: list[str] = []

        async def charge(self, token: str) -> None:
            boot = await self.call(
                call.BootNotification(
                    charging_station={"model": "Package", "vendor_name": "Mobility"},
                    reason="PowerUp",
                )
            )
            assert boot.status == "Accepted"
            await self.call(
                call.StatusNotification(
                    timestamp=_now(), connector_status="Occupied", evse_id=1, connector_id=1
                )
            )
            id_token = {"id_token": token, "type": "ISO14443"}
            answer = await self.call(call.Authorize(id_token=id_token))
            assert answer.id_token_info["status"] == "Accepted"
            self.allowed = getattr(answer, "allowed_energy_transfer", None) or []
            await self._event("Started", "Authorized", "EVConnected", id_token=id_token)
            self.state.power_w = MAX_W
            await self.state.until_stopped(self._meter)
            self.state.power_w = 0.0
            await self._event("Ended", "RemoteStop", "EVConnected", stopped_reason="Remote")

        async def _meter(self) -> None:
            await self._event("Updated", "MeterValuePeriodic", "Charging")

        async def _event(
            self,
            kind: str,
            trigger: str,
            state: str,
            id_token: dict[str, str] | None = None,
            **info: str,
        ) -> None:
            await self.call(
                call.TransactionEvent(
                    event_type=kind,
                    timestamp=_now(),
                    trigger_reason=trigger,
                    seq_no=next(self.seq_nos),
                    transaction_info={
                        "transaction_id": TRANSACTION_ID,
                        "charging_state": state,
                        **info,
                    },
                    evse={"id": 1, "connector_id": 1},
                    id_token=id_token,
                    meter_value=[
                        {
                            "timestamp": _now(),
                            "sampled_value": [
                                {
                                    "measurand": name,
                                    "unit_of_measure": {"unit": unit},
                                    "value": value,
                                }
                                for name, unit, value in self.state.samples()
                            ],
                        }
                    ],
                )
            )

        @on("SetChargingProfile")  # type: ignore[untyped-decorator]
        def set_profile(self, evse_id: int, charging_profile: dict[str, Any], **_: Any) -> Any:
            self.state.profiles.append(charging_profile)
            period = charging_profile["charging_schedule"][0]["charging_schedule_period"][0]
            self.state.power_w = min(MAX_W, period.get("setpoint", period.get("limit", MAX_W)))
            return call_result.SetChargingProfile(status="Accepted")

        @on("RequestStopTransaction")  # type: ignore[untyped-decorator]
        def remote_stop(self, transaction_id: str, **_: Any) -> Any:
            if transaction_id != TRANSACTION_ID:
                return call_result.RequestStopTransaction(status="Rejected")
            self.state.stop_asked.set()
            return call_result.RequestStopTransaction(status="Accepted")

        @on("GetVariables")  # type: ignore[untyped-decorator]
        def variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
            results = []
            for item in get_variable_data:
                value = VARIABLES.get(f"{item['component']['name']}.{item['variable']['name']}")
                results.append(
                    {
                        "component": item["component"],
                        "variable": item["variable"],
                        "attribute_status": "UnknownVariable" if value is None else "Accepted",
                        **({} if value is None else {"attribute_value": value}),
                    }
                )
            return call_result.GetVariables(get_variable_result=results)

    return Station2


class Station21(station_2(v21)):  # type: ignore[misc]
    """OCPP 2.1 with dynamic profiles."""

    @on("UpdateDynamicSchedule")  # type: ignore[untyped-decorator]
    def update(self, charging_profile_id: int, schedule_update: dict[str, float], **_: Any) -> Any:
        if charging_profile_id != self.state.profiles[-1]["id"]:
            return v21.call_result.UpdateDynamicSchedule(status="Rejected")
        self.state.power_w = schedule_update["setpoint"]
        return v21.call_result.UpdateDynamicSchedule(status="Accepted")


STATIONS: dict[str, type[Any]] = {
    "ocpp1.6": Station16,
    "ocpp2.0.1": station_2(v201),
    "ocpp2.1": Station21,
}


async def charge(version: str, name: str, token: str, socket: ClientConnection) -> Any:
    """Run a station of that version through a session; returns it when it has stopped."""
    station = STATIONS[version](name, socket)
    reading = asyncio.create_task(station.start())
    try:
        await station.charge(token)
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await socket.close()
    return station
