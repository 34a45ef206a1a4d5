"""What a simulated station has to do later: many deadlines, one task."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable

from gridleaf.domain.clock import Clock

_IDLE_S = 86_400.0
_EARLY_S = 1e-6
"""A deadline this near is due: clocks round."""


class Timer:
    """Calls what is due, in the order in which it was set; everything is called once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None
        self._wakes_at = math.inf

    def __contains__(self, key: Hashable) -> bool:
        return key in self._due

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin to call, as a task of ``group``."""
        self._group = group
        self._rearm()

    def stop(self) -> None:
        """The group has ended; deadlines are kept."""
        self._group = self._task = None

    def at(self, key: Hashable, due: float, action: Callable[[], None]) -> None:
        """Call ``action`` at a monotonic time [s]; replaces what was set for ``key``."""
        self._due[key] = due, action
        if due < self._wakes_at:
            self._rearm()

    def drop(self, key: Hashable) -> None:
        self._due.pop(key, None)

    def _rearm(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._group is not None:
            self._task = self._group.create_task(self._run())

    async def _run(self) -> None:
        while True:
            now = self._clock.monotonic()
            self._wakes_at = min((due for due, _ in self._due.values()), default=now + _IDLE_S)
            await self._clock.sleep(max(self._wakes_at - now, 0.0))
            # an action that sets a deadline must not restart the task it runs in
            self._wakes_at = -math.inf
            now = self._clock.monotonic() + _EARLY_S
            for key, (due, action) in list(self._due.items()):
                if due <= now and key in self._due:
                    del self._due[key]
                    action()
