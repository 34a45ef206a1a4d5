"""Small believable events for tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gridleaf.domain.events import StatusReported, TransactionReported
from gridleaf.domain.meter import MeterSample

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


def sample(value: float, at: datetime = NOON, **changes: Any) -> MeterSample:
    base: dict[str, Any] = {
        "measured_at": at,
        "measurand": "Power.Active.Import",
        "value": value,
        "unit": "kW",
    }
    return MeterSample(**{**base, **changes})


def report(seq_no: int, phase: str = "updated", **changes: Any) -> TransactionReported:
    """An event of transaction T1 on EVSE 1 of S1, one a minute, the first one starting it."""
    base: dict[str, Any] = {
        "station_id": "S1",
        "received_at": minutes(seq_no),
        "transaction_id": "T1",
        "seq_no": seq_no,
        "phase": "started" if seq_no == 0 else phase,
        "occurred_at": minutes(seq_no),
        "evse_id": 1,
    }
    return TransactionReported(**{**base, **changes})


def metered(seq_no: int, **changes: Any) -> TransactionReported:
    """A report with two samples whose value is its number."""
    at, value = minutes(seq_no), float(seq_no)
    pair = sample(value, at), sample(value, at, measurand="SoC")
    return report(seq_no, samples=pair, **changes)


def status(word: Any = "available", at: datetime = NOON, **changes: Any) -> StatusReported:
    base: dict[str, Any] = {
        "station_id": "S1",
        "received_at": at,
        "reported_at": at,
        "evse_id": 1,
        "connector_id": 1,
        "status": word,
    }
    return StatusReported(**{**base, **changes})
