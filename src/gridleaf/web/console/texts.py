"""Numbers, times and states as people read them. Local time of the site; a true minus sign."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gridleaf.web.figures import Doing, Verdict

UNKNOWN = "–"
NARROW = "\u202f"
SPACE = "\u00a0"
_SIGNS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥"}


def number(value: float | None, digits: int = 1) -> str:
    """``-1234.5`` as ``−1 234.5``; a dash when unknown, never ``−0.0``."""
    if value is None:
        return UNKNOWN
    text = f"{value:,.{digits}f}".replace(",", NARROW)
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.") else "−" + text[1:]
    return text


def kw(value: float | None, digits: int = 1) -> str:
    return f"{number(value, digits)}{SPACE}kW" if value is not None else UNKNOWN


def kwh(value: float | None, digits: int = 1) -> str:
    return f"{number(value, digits)}{SPACE}kWh" if value is not None else UNKNOWN


def signed_kw(value: float | None) -> str:
    """With a plus when charging: the sign says the direction."""
    if value is None:
        return UNKNOWN
    text = kw(value)
    return text if text[0] in "−0" else f"+{text}"


def money(value: float | None, currency: str) -> str:
    if value is None:
        return UNKNOWN
    sign = _SIGNS.get(currency, currency + SPACE)
    text = number(abs(value), 2)
    return f"−{sign}{text}" if value < -0.005 else f"{sign}{text}"


def part_of_gain(eur: float | None, share: float, currency: str) -> str:
    """A driver's part of what discharging has added."""
    return f"{money(eur, currency)}, {percent(share)} of what giving back adds"


def price(value: float | None, currency: str) -> str:
    return (
        UNKNOWN
        if value is None
        else f"{number(value, 3)}{SPACE}{_SIGNS.get(currency, currency)}/kWh"
    )


def percent(fraction: float | None) -> str:
    return UNKNOWN if fraction is None else f"{fraction * 100:.0f}{SPACE}%"


def moment(at: datetime | None, zone: ZoneInfo, now: datetime) -> str:
    """``17:45``, ``Tue 07:00`` when it is another day, with the date when more than 6 days away."""
    if at is None:
        return UNKNOWN
    local, today = at.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return local.strftime("%H:%M")
    if abs(local.date() - today.date()) <= timedelta(days=6):
        return local.strftime("%a %H:%M")
    return local.strftime("%d %b %Y %H:%M")


def span(length: timedelta) -> str:
    """``45 min``, ``3 h 20 min``, ``2 d 4 h``."""
    minutes = max(round(length.total_seconds() / 60), 0)
    if minutes < 60:
        return f"{minutes}{SPACE}min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}{SPACE}h {minutes:02d}{SPACE}min"
    days, hours = divmod(hours, 24)
    return f"{days}{SPACE}d {hours}{SPACE}h"


def until(at: datetime, now: datetime) -> str:
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def who(vehicle: str, id_token: str | None) -> str:
    """What to call a vehicle."""
    return vehicle or id_token or "unknown vehicle"


DOING: dict[Doing, str] = {
    "offline": "Offline",
    "faulted": "Faulted",
    "unavailable": "Out of service",
    "free": "Free",
    "charging": "Charging",
    "discharging": "Discharging",
    "waiting": "Waiting",
    "plugged": "Plugged in",
}

VERDICT: dict[Verdict, str] = {
    "ready": "Ready",
    "on_track": "On track",
    "at_risk": "At risk",
}

SAID_BY = {
    "driver": "said by the driver",
    "operator": "set by an operator",
    "vehicle": "from the vehicle",
    "history": "learned from earlier visits",
    "default": "assumed by default",
}

KNOWN_BY = {
    "vehicle": "said by the vehicle",
    "sessions": "measured in its sessions",
    "site": "as configured",
}

FLAGS = {
    "clock_ahead": "station clock ahead",
    "register_reset": "meter restarted",
    "register_jump": "meter jumped",
    "synthetic_start": "start not seen",
    "incomplete": "messages missing",
    "estimated": "end estimated",
}

METHODS = {
    "exact": "Exact optimum",
    "fleet": "Fleet optimum",
    "shifted": "Last plan moved on",
    "rules": "Plain rules",
    "static": "Safe static share",
    "uncontrolled": "Uncontrolled",
}
