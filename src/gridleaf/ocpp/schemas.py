"""The official JSON schemas of OCPP 1.6, 2.0.1 and 2.1, applied to raw camelCase payloads.

The schema files are those of the Open Charge Alliance as the ``ocpp`` package carries them; only
its data is used. A validator is compiled when its message is first met. ``format`` keywords are
left to :mod:`gridleaf.ocpp.semantics`: field devices send times without a zone, and a rule that
bends must not live in a schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, Literal

import jsonschema_rs
import orjson

from gridleaf.domain.errors import ProtocolError

Direction = Literal["request", "response"]

VERSIONS: Final = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
"""The subprotocols spoken, oldest first."""

_FOLDERS: Final = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}

_CODES: Final = {
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "type": "TypeConstraintViolation",
    "additionalProperties": "FormatViolation",
}
"""Schema keyword to CALLERROR code (OCPP 2.0.1, part 4); the rest is a property's value."""


def _folder(version: str) -> Traversable:
    return files("ocpp") / _FOLDERS[version] / "schemas"


@cache
def actions(version: str) -> frozenset[str]:
    """The actions that may be called in a version."""
    stems = [entry.name.removesuffix(".json") for entry in _folder(version).iterdir()]
    return frozenset(s.removesuffix("Response") for s in stems if s.endswith("Response"))


@cache
def sendable(version: str) -> frozenset[str]:
    """The actions that travel as SEND, without an answer (2.1: NotifyPeriodicEventStream)."""
    stems = {entry.name.removesuffix(".json") for entry in _folder(version).iterdir()}
    return frozenset(
        s for s in stems if not s.endswith(("Request", "Response")) and f"{s}Response" not in stems
    )


@cache
def _validator(version: str, action: str, direction: Direction) -> Any:
    if direction == "response":
        name = f"{action}Response"
    elif version == "ocpp1.6" or action in sendable(version):
        name = action
    else:
        name = f"{action}Request"
    raw = (_folder(version) / f"{name}.json").read_bytes().removeprefix(b"\xef\xbb\xbf")
    return jsonschema_rs.validator_for(orjson.loads(raw), validate_formats=False)


def violation(
    version: str, action: str, direction: Direction, payload: dict[str, Any]
) -> ProtocolError | None:
    """What is wrong with a payload, None when it is valid.

    The error carries the code of the first violation and, in its description, the path of every
    one of them (at most five).

    Parameters
    ----------
    action
        One of :func:`actions` or :func:`sendable` of the version.
    """
    validator = _validator(version, action, direction)
    if validator.is_valid(payload):
        return None
    errors = list(validator.iter_errors(payload))
    described = [f"{_path(e.instance_path)}: {e.message[:200]}" for e in errors[:5]]
    code = _CODES.get(errors[0].kind.name, "PropertyConstraintViolation")
    return ProtocolError(code, "; ".join(described)[:255])


def _path(parts: Sequence[str | int]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return path.removeprefix(".") or "payload"
