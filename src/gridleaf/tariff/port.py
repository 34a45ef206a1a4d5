"""Price sources behind one port."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from gridleaf.domain.prices import PricePoint


class PriceSource(Protocol):
    """Where market prices come from."""

    @property
    def name(self) -> str:
        """Stable key under which the prices are kept, e.g. ``entsoe:10YNL----------L``."""

    async def fetch(self, since: datetime, until: datetime) -> list[PricePoint]:
        """Prices whose interval meets ``[since, until)``, oldest first, possibly incomplete.

        Raises :class:`~gridleaf.domain.errors.SourceUnavailable`.
        """
