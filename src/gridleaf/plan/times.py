"""Where the time of a plan goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gridleaf.domain.clock import stopwatch


@dataclass(slots=True)
class Times:
    """Seconds by part of the work, summed up while a plan is made.

    The exact method has the parts ``build``, ``simplex`` and ``proof``; the fleet method ``packing``,
    ``vehicles``, ``master`` and ``schedules``. The rest is not counted.
    """

    timer: Callable[[], float] = stopwatch
    spent_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Counts what happens inside to a part. Parts do not nest."""
        began = self.timer()
        try:
            yield
        finally:
            self.spent_s[part] = self.spent_s.get(part, 0.0) + self.timer() - began
