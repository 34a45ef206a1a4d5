"""One polite GET for every price source: time-out, one retry with back-off, no secrets in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from gridleaf.domain.clock import Clock
from gridleaf.domain.errors import SourceUnavailable

TIMEOUT_S = 30.0
RETRY_AFTER_S = 5.0
LONGEST_RETRY_S = 60.0
MALFORMED = (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError)
"""What reading an answer of an unexpected shape raises."""
_MAX_BYTES = 20_000_000


class Web:
    """Fetches pages for one source.

    Parameters
    ----------
    name
        The source's name, for errors.
    client
        Used as it is and left open; without one a client is opened for each fetch, which is right
        for the few requests a day that prices need.
    """

    def __init__(self, name: str, clock: Clock, client: httpx.AsyncClient | None = None) -> None:
        self.name = name
        self._clock = clock
        self._client = client

    async def get(self, url: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer, whatever its status below 500 except 429.

        Raises
        ------
        SourceUnavailable
            After a second failure; neither the address nor the parameters are in the message.
        """
        if self._client is not None:
            return await self._twice(self._client, url, params)
        async with httpx.AsyncClient() as client:
            return await self._twice(client, url, params)

    async def _twice(
        self, client: httpx.AsyncClient, url: str, params: Mapping[str, str] | None
    ) -> httpx.Response:
        trouble = ""
        for attempt in (1, 2):
            pause_s = RETRY_AFTER_S
            try:
                answer = await self._clock.wait_for(
                    client.get(url, params=params, timeout=TIMEOUT_S), TIMEOUT_S
                )
            except TimeoutError:
                trouble = f"no answer within {TIMEOUT_S:g} s"
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                trouble = type(error).__name__
            else:
                if len(answer.content) > _MAX_BYTES:
                    raise SourceUnavailable(f"{self.name}: the answer is too large")
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
                trouble = f"HTTP {answer.status_code}"
                pause_s = _retry_after(answer)
            if attempt == 1:
                await self._clock.sleep(pause_s)
        raise SourceUnavailable(f"{self.name}: {trouble}")

    async def get_json(self, url: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object of a 200; :class:`SourceUnavailable` for everything else."""
        answer = await self.get(url, params)
        if answer.status_code != 200:
            raise SourceUnavailable(f"{self.name}: HTTP {answer.status_code}")
        try:
            page = json.loads(answer.content)
        except ValueError:
            raise SourceUnavailable(f"{self.name}: the answer is not JSON") from None
        if not isinstance(page, dict):
            raise SourceUnavailable(f"{self.name}: unexpected answer")
        return page


def _retry_after(answer: httpx.Response) -> float:
    try:
        return min(max(float(answer.headers.get("retry-after", "")), 1.0), LONGEST_RETRY_S)
    except ValueError:
        return RETRY_AFTER_S


def iso(at: datetime) -> str:
    """``2026-01-05T12:00:00Z``."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
