"""What a simulated station lets be read and set: variables of OCPP 2.x, keys of OCPP 1.6."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

DataType = Literal[
    "string", "decimal", "integer", "dateTime", "boolean", "SequenceList", "MemberList"
]
SetStatus = Literal["Accepted", "Rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One value. ``write`` takes a new one; without it the variable is read-only.

    ``write`` raises ValueError for what it cannot take.
    """

    read: Callable[[], str]
    write: Callable[[str], None] | None = None
    data_type: DataType = "string"
    unit: str | None = None
    values: str | None = None
    most: float | None = None

    def set(self, value: str) -> SetStatus:
        if self.write is None:
            return "Rejected"
        try:
            self.write(value)
        except ValueError:
            return "Rejected"
        return "Accepted"


def constant(value: str, data_type: DataType = "string", values: str | None = None) -> Variable:
    """A variable that always has the same value."""
    return Variable(read=lambda: value, data_type=data_type, values=values)


def whole(
    read: Callable[[], float], write: Callable[[float], None], *, least: float = 0
) -> Variable:
    """A whole number of seconds or times that can be set, not below ``least``."""

    def take(value: str) -> None:
        number = int(value)
        if number < least:
            raise ValueError(value)
        write(number)

    return Variable(read=lambda: f"{read():.0f}", write=take, data_type="integer")


def fixed(variable: Variable) -> Variable:
    """The same variable, which cannot be set."""
    return replace(variable, write=None)


def truth(value: bool) -> str:
    """A boolean as OCPP writes it."""
    return "true" if value else "false"
