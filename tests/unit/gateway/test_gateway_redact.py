from __future__ import annotations

import secrets

import orjson
import pytest

from gridleaf.gateway.redact import HIDDEN, redact

SECRET = secrets.token_urlsafe(16)


def call(action: str, payload: dict[str, object]) -> str:
    return orjson.dumps([2, "1", action, payload]).decode()


@pytest.mark.parametrize(
    "frame",
    [
        call(
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "component": {"name": "SecurityCtrlr"},
                        "variable": {"name": "BasicAuthPassword"},
                        "attributeValue": SECRET,
                    }
                ]
            },
        ),
        call("ChangeConfiguration", {"key": "AuthorizationKey", "value": SECRET}),
        call(
            "SetNetworkProfile",
            {"configurationSlot": 1, "connectionData": {"basicAuthPassword": SECRET}},
        ),
        call("SetNetworkProfile", {"connectionData": {"apn": {"apnPassword": SECRET}}}),
        call(
            "SetNetworkProfile",
            {"connectionData": {"vpn": {"server": "v", "user": "u", "key": SECRET}}},
        ),
        call("GetLog", {"log": {"remoteLocation": f"ftp://me:{SECRET}@logs.example/x"}}),
        call(
            "NotifyReport",
            {
                "reportData": [
                    {
                        "component": {"name": "SecurityCtrlr"},
                        "variable": {"name": "BasicAuthPassword"},
                        "variableAttribute": [{"type": "Actual", "value": SECRET}],
                    }
                ]
            },
        ),
        orjson.dumps(
            [3, "1", {"configurationKey": [{"key": "AuthorizationKey", "value": SECRET}]}]
        ).decode(),
        f'[2,"1","SetVariables",{{"password":"{SECRET}"',
    ],
)
def test_a_secret_does_not_survive(frame: str) -> None:
    kept = redact(frame)
    assert SECRET in frame
    assert SECRET not in kept


def test_only_the_secret_is_hidden() -> None:
    frame = call("ChangeConfiguration", {"key": "AuthorizationKey", "value": SECRET})
    assert orjson.loads(redact(frame)) == [
        2,
        "1",
        "ChangeConfiguration",
        {"key": "AuthorizationKey", "value": HIDDEN},
    ]


def test_a_frame_without_secrets_is_kept_to_the_byte() -> None:
    frame = '[2, "1",  "Heartbeat", {}]'
    assert redact(frame) is frame
