"""Frames without their secrets, fit to be kept.

Passwords travel in OCPP: SetVariables of ``BasicAuthPassword``, ChangeConfiguration of
``AuthorizationKey``, SetNetworkProfile with its APN and VPN, and URLs with credentials for logs and
firmware. The values are replaced, the rest of the frame stays as it was sent.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

HIDDEN = "(hidden)"
_TRIGGERS = ("password", "authorizationkey", "vpn", "simpin", "secret")
_SECRET_KEY = re.compile(r"password|secret|^simpin$|^authorizationkey$", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(r"password|secret|authorizationkey", re.IGNORECASE)
_VALUES = ("value", "attributeValue", "actualValue", "data")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"]+(?=@)")


def redact(frame: str) -> str:
    """The frame with every secret value replaced; unchanged, and cheaply so, when it has none."""
    lower = frame.lower()
    if "://" in lower and "@" in lower:
        frame = _CREDENTIALS.sub(HIDDEN, frame)
    if not any(trigger in lower for trigger in _TRIGGERS):
        return frame
    try:
        message = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return f"(unreadable frame of {len(frame)} characters that may hold a secret)"
    return orjson.dumps(_clean(message)).decode()


def _clean(node: Any) -> Any:
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    hides_value = _names_a_secret(node)
    is_vpn = "server" in node and "user" in node
    return {
        key: HIDDEN
        if _SECRET_KEY.search(key) or (hides_value and key in _VALUES) or (is_vpn and key == "key")
        else _hidden_attributes(value)
        if hides_value and key == "variableAttribute"
        else _clean(value)
        for key, value in node.items()
    }


def _names_a_secret(node: dict[str, Any]) -> bool:
    """Does this object pair the name of a secret (2.x variable, 1.6 key) with its value?"""
    variable = node.get("variable")
    name = variable.get("name") if isinstance(variable, dict) else node.get("key")
    return isinstance(name, str) and _SECRET_VARIABLE.search(name) is not None


def _hidden_attributes(attributes: Any) -> Any:
    """The attributes of a reported variable (NotifyReport) without their values."""
    if not isinstance(attributes, list):
        return HIDDEN
    return [
        {**item, "value": HIDDEN} if isinstance(item, dict) and "value" in item else item
        for item in attributes
    ]
