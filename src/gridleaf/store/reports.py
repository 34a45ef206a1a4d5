"""Making a station's report durable as what it is: a new one, a repeated one, or one of a reused name.

Stations number the events of a transaction (OCPP 2.x ``seqNo``) and name transactions for life. Some
number nothing, some begin again with the same names; what they say is kept all the same.
"""

from __future__ import annotations

from dataclasses import replace

from gridleaf.domain.events import (
    TRANSACTION_REUSED,
    StationEvent,
    TransactionReported,
    same_report,
)
from gridleaf.store.port import Store


async def append_report(store: Store, event: StationEvent, *, over: bool) -> StationEvent | None:
    """Store an event; returns it as it was stored, None when it is there already.

    ``seq_no_reused``: its number is that of another report; it is stored under the next free one.
    ``transaction_reused``: a start of a transaction that is over already; a new session begins.

    Parameters
    ----------
    over
        Whether the session of its transaction is known to be over, with or without an end.

    Raises
    ------
    StoreUnavailable
        Nothing is stored.
    """
    if not isinstance(event, TransactionReported):
        return event if await store.append(event) else None
    if event.phase == "started" and await _begins_again(store, event, over):
        event = replace(event, flags=(*event.flags, TRANSACTION_REUSED))
    if await store.append(event):
        return event
    if any(same_report(event, told) for told in await _told(store, event)):
        return None
    seq_no = await store.next_seq_no(event.station_id, event.transaction_id)
    event = replace(event, seq_no=seq_no, flags=(*event.flags, "seq_no_reused"))
    return event if await store.append(event) else None


async def _begins_again(store: Store, start: TransactionReported, over: bool) -> bool:
    """Whether a start is another one than that of the transaction that was known by this name."""
    told = await _told(store, start)
    ends = [event for event in told if event.phase == "ended"]
    starts = [event for event in told if event.phase == "started"]
    if starts:
        return (over or bool(ends)) and not any(same_report(start, event) for event in starts)
    readable = "time_unreadable" not in start.flags
    return bool(ends) and readable and start.occurred_at > max(e.occurred_at for e in ends)


async def _told(store: Store, event: TransactionReported) -> list[TransactionReported]:
    events = await store.transaction_events(event.station_id, event.transaction_id)
    return [e for e in events if isinstance(e, TransactionReported)]
