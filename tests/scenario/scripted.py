"""A station played by the test itself: it says what it is told to, in real frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

from gridleaf.ocpp.csms import Payload
from gridleaf.ocpp.peer import Peer
from gridleaf.ocpp.semantics import wire_time
from scenario.depot import Depot

BOOT = {
    "ocpp1.6": {"chargePointVendor": "Script", "chargePointModel": "One"},
    "ocpp2.0.1": {
        "reason": "PowerUp",
        "chargingStation": {"vendorName": "Script", "model": "One"},
    },
}
ANSWERS: dict[str, Payload] = {
    "SetChargingProfile": {"status": "Accepted"},
    "GetConfiguration": {"configurationKey": [], "unknownKey": []},
    "GetTransactionStatus": {"messagesInQueue": False},
    "RemoteStopTransaction": {"status": "Accepted"},
}


class Scripted:
    """One connection of a station to the depot's platform.

    Attributes
    ----------
    asked
        What the platform has asked of it so far: (action, payload).
    answers, rules
        What it answers to an action: always the same, or by a rule that looks at the payload.
    """

    def __init__(self, depot: Depot, station_id: str, version: str) -> None:
        self.depot = depot
        self.station_id = station_id
        self.asked: list[tuple[str, Payload]] = []
        self.answers = dict(ANSWERS)
        self.rules: dict[str, Callable[[Payload], Payload]] = {}
        numbers = count(1)
        self.peer = Peer(
            depot.connect(station_id, version),
            role="station",
            clock=depot.time,
            handlers={
                **{action: self._handler(action) for action in ANSWERS},
                "GetVariables": self._variables,
            },
            new_id=lambda: f"s{next(numbers)}",
        )
        self.running = asyncio.create_task(self.peer.run())

    def _handler(self, action: str) -> Any:
        async def handle(payload: Payload) -> Payload:
            self.asked.append((action, payload))
            rule = self.rules.get(action)
            return self.answers[action] if rule is None else rule(payload)

        return handle

    async def _variables(self, payload: Payload) -> Payload:
        return {
            "getVariableResult": [
                {**item, "attributeStatus": "UnknownVariable"}
                for item in payload["getVariableData"]
            ]
        }

    async def say(self, action: str, payload: Payload) -> Payload:
        """Call the platform and wait for its answer."""
        return await self.peer.call(action, payload)

    async def boot(self) -> None:
        """Boot, and let the platform ask what it wants to know."""
        answer = await self.say("BootNotification", BOOT[self.peer.version])
        assert answer["status"] == "Accepted"
        await self.depot.time.sleep(5)

    async def event(
        self,
        kind: str,
        seq_no: int,
        *,
        tx: str = "T-1",
        at: datetime | None = None,
        wh: float | None = None,
        kw: float | None = None,
        evse: int | None = 1,
        **more: Any,
    ) -> Payload:
        """A TransactionEvent of 2.x, with a register [Wh] and a power [kW] where given."""
        stamp = wire_time(at or self.depot.time.now())
        payload: Payload = {
            "eventType": kind,
            "timestamp": stamp,
            "triggerReason": {"Started": "Authorized", "Ended": "EVDeparted"}.get(
                kind, "MeterValuePeriodic"
            ),
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": tx},
            **more,
        }
        if evse is not None:
            payload["evse"] = {"id": evse, "connectorId": 1}
        if kind == "Started":
            payload.setdefault("idToken", {"idToken": "SCRIPT", "type": "ISO14443"})
        sampled = []
        if wh is not None:
            sampled.append({"measurand": "Energy.Active.Import.Register", "value": wh})
        if kw is not None:
            sampled.append({"measurand": "Power.Active.Import", "value": kw * 1000})
        if sampled:
            payload["meterValue"] = [{"timestamp": stamp, "sampledValue": sampled}]
        return await self.say("TransactionEvent", payload)

    async def start(
        self, *, wh: int = 0, tag: str = "SCRIPT", connector: int = 1, at: datetime | None = None
    ) -> int:
        """StartTransaction of 1.6; returns the id it was given."""
        answer = await self.say(
            "StartTransaction",
            {
                "connectorId": connector,
                "idTag": tag,
                "meterStart": wh,
                "timestamp": wire_time(at or self.depot.time.now()),
            },
        )
        assert answer["idTagInfo"]["status"] == "Accepted"
        return int(answer["transactionId"])

    async def meter(
        self,
        transaction_id: int | None,
        wh: float,
        kw: float | None = None,
        *,
        soc: str | None = None,
        at: datetime | None = None,
    ) -> Payload:
        """MeterValues of 1.6; ``soc`` is what stands on the wire [%]."""
        sampled = [{"value": str(wh), "unit": "Wh"}]
        if kw is not None:
            power = {"value": str(kw * 1000), "unit": "W", "measurand": "Power.Active.Import"}
            sampled.append(power)
        if soc is not None:
            sampled.append({"value": soc, "unit": "Percent", "measurand": "SoC"})
        stamp = wire_time(at or self.depot.time.now())
        payload: Payload = {
            "connectorId": 1,
            "meterValue": [{"timestamp": stamp, "sampledValue": sampled}],
        }
        if transaction_id is not None:
            payload["transactionId"] = transaction_id
        return await self.say("MeterValues", payload)

    async def stop(self, transaction_id: int, wh: int) -> Payload:
        """StopTransaction of 1.6."""
        return await self.say(
            "StopTransaction",
            {
                "transactionId": transaction_id,
                "meterStop": wh,
                "timestamp": wire_time(self.depot.time.now()),
            },
        )

    def profiles(self) -> list[Payload]:
        """The TxProfiles it was sent."""
        found = []
        for action, payload in self.asked:
            if action == "SetChargingProfile":
                profile = payload.get("chargingProfile") or payload["csChargingProfiles"]
                if profile["chargingProfilePurpose"] == "TxProfile":
                    found.append(profile)
        return found
