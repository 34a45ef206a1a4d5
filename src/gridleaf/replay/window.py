"""The part of a log that is replayed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gridleaf.domain.errors import ConfigError
from gridleaf.replay.logs import LoggedVisit, SessionLog
from gridleaf.replay.quality import Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Half-open ``[start, end)``, UTC."""

    start: datetime
    end: datetime


def window_of(
    log: SessionLog, since: datetime | None, until: datetime | None, priced: Window
) -> Window:
    """The window asked for.

    By default whole local days from the first arrival to the last departure of the visits that the
    prices cover: one slip in a date must not make the window longer than there are prices.

    Raises
    ------
    ConfigError
        The log has no usable visit, the prices cover none of them, or the window is empty.
    """
    if not log.visits:
        left_out = [f for f in log.quality.findings if f.outcome == "excluded"]
        reasons = "".join(f"; {f.count} rows: {f.meaning}" for f in left_out)
        raise ConfigError(log.quality.source, f"no usable session in it{reasons}")
    zone = ZoneInfo(log.timezone)
    start, end = since, until
    if start is None or end is None:
        inside = [v for v in log.visits if _covered(v, priced)]
        if not inside:
            raise ConfigError(
                log.quality.source,
                f"no session that the prices ({priced.start.isoformat()} to "
                f"{priced.end.isoformat()}) cover",
            )
        start = start or _midnight(inside[0].arrived_at, zone)
        end = end or _midnight(max(v.departed_at for v in inside) + timedelta(days=1), zone)
    if start >= end:
        raise ConfigError("from", f"{start.isoformat()} is not before {end.isoformat()}")
    return Window(start=start, end=end)


def _covered(visit: LoggedVisit, priced: Window) -> bool:
    return visit.arrived_at >= priced.start and visit.departed_at <= priced.end


def _midnight(at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return local.astimezone(UTC)


def select(log: SessionLog, window: Window, priced: Window, *, asked: bool = True) -> SessionLog:
    """The visits that arrive in the window and lie within the price series.

    A visit still there when the window ends is cut there, so that a month asked for is billed as
    one month. ``asked`` is whether somebody asked for this window, or the prices made it. Every visit left out is counted in the quality summary.

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
            kind = "outside_window" if asked or _covered(visit, priced) else "outside_prices"
            findings.add(kind, "excluded", example)
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
        if not _covered(cut, priced):
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
