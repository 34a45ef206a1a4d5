"""The part of a log that is replayed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gridleaf.domain.errors import ConfigError
from gridleaf.replay.logs import SessionLog
from gridleaf.replay.quality import Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Half-open ``[start, end)``, UTC."""

    start: datetime
    end: datetime


def window_of(log: SessionLog, since: datetime | None, until: datetime | None) -> Window:
    """The window asked for; by default whole local days from the first arrival to the last departure.

    Raises
    ------
    ConfigError
        The log has no usable visit, or the window is empty.
    """
    if not log.visits:
        raise ConfigError(log.quality.source, "no usable session in it")
    zone = ZoneInfo(log.timezone)
    first, last = log.visits[0].arrived_at, max(v.departed_at for v in log.visits)
    start = since or _midnight(first, zone)
    end = until or _midnight(last + timedelta(days=1), zone)
    if start >= end:
        raise ConfigError("from", f"{start.isoformat()} is not before {end.isoformat()}")
    return Window(start=start, end=end)


def _midnight(at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return local.astimezone(UTC)


def select(log: SessionLog, window: Window, priced: Window) -> SessionLog:
    """The visits that arrive in the window and lie within the price series.

    A visit still there when the window ends is cut there, so that a month asked for is billed as
    one month. Every visit left out is counted in the quality summary.

    Raises
    ------
    ConfigError
        Nothing is left.
    """
    findings = Findings()
    findings.extend(log.quality)
    visits = []
    for visit in log.visits:
        example = f"{visit.visit_id} at {visit.arrived_at:%Y-%m-%d %H:%M}Z"
        if not window.start <= visit.arrived_at < window.end:
            findings.add("outside_window", "excluded", example)
            continue
        cut = visit
        if visit.departed_at > window.end:
            end = visit.charge_end_at
            cut = replace(
                visit,
                departed_at=window.end,
                charge_end_at=min(end, window.end) if end is not None else None,
                flags=(*visit.flags, "cut_at_end"),
            )
        if cut.arrived_at < priced.start or cut.departed_at > priced.end:
            findings.add("outside_prices", "excluded", example)
            continue
        if cut is not visit:
            findings.add("cut_at_end", "repaired", example)
        visits.append(cut)
    if not visits:
        raise ConfigError(
            log.quality.source,
            f"no session between {window.start.isoformat()} and {window.end.isoformat()} that "
            f"the prices ({priced.start.isoformat()} to {priced.end.isoformat()}) cover",
        )
    quality = findings.summary(
        source=log.quality.source,
        preset=log.quality.preset,
        timezone=log.quality.timezone,
        rows=log.quality.rows,
    )
    return replace(log, visits=tuple(visits), quality=quality)
