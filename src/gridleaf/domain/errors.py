"""The one error tree. A layer maps what it catches to these where it ends."""

from __future__ import annotations


class GridleafError(Exception):
    """Anything gridleaf reports to a person or a peer."""


class ConfigError(GridleafError):
    """A configuration or input file cannot be used; ``path`` names the place, ``reason`` why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class ProblemError(ConfigError):
    """A planning problem is malformed (wrong shape, NaN where a number must be, unknown node)."""


class StaleData(GridleafError):
    """A value is older than it may be for the use asked of it."""


class StoreUnavailable(GridleafError):
    """The store could not make something durable; the sender must keep it and try again."""


class SourceUnavailable(GridleafError):
    """A price or signal source gave no usable answer."""


class ConnectionLost(GridleafError):
    """The station's connection ended before it answered."""


class CallTimeout(GridleafError):
    """The peer did not answer a call in time."""


class RejectedByStation(GridleafError):
    """A station answered a command with a CALLERROR or a refusing status."""

    def __init__(self, action: str, code: str, description: str = "") -> None:
        super().__init__(f"{action}: {code}" + (f" ({description})" if description else ""))
        self.action = action
        self.code = code
        self.description = description


class ProtocolError(GridleafError):
    """An incoming message cannot be accepted; becomes a CALLERROR of the negotiated version.

    ``code`` is the 2.x name of the error (``FormatViolation``, ``NotImplemented``,
    ``InternalError``, ...); the endpoint translates it to the dialect of the version.
    """

    def __init__(
        self, code: str, description: str = "", details: dict[str, object] | None = None
    ) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.details = details or {}


class PlanningFailed(GridleafError):
    """The solver ended without a usable plan (time-out, crash, rubbish)."""
