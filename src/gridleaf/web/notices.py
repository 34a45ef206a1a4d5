"""Notices to everybody who watches: the newest in a ring, and who waits for the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Literal

from gridleaf.web.port import Notice

Topic = Literal["state", "decision", "station", "session", "alert"]


class Notices:
    """The newest notices in a ring, and everybody who waits for the next one."""

    def __init__(self, size: int = 512) -> None:
        self._ring: deque[Notice] = deque(maxlen=size)
        self._news = asyncio.Event()
        self._last_id = 0

    def publish(self, topic: Topic, data: dict[str, Any]) -> None:
        self._last_id += 1
        self._ring.append(Notice(id=self._last_id, topic=topic, data=data))
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self, after_id: int | None) -> AsyncIterator[Notice]:
        seen = self._last_id if after_id is None else after_id
        while True:
            news = self._news
            for notice in [n for n in self._ring if n.id > seen]:
                seen = notice.id
                yield notice
            if news is self._news:
                await news.wait()
