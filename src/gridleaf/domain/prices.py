"""Market prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePoint:
    """A market price of ``[start, end)`` [currency per kWh]."""

    start: datetime
    end: datetime
    price_per_kwh: float
