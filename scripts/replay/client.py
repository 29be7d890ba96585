"""A patient client of a running AMS: reports usage and reads it back, and tries again while AMS is busy or away."""

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any

import aiohttp

from shared.kernel.clock import format_time

CALL_S = 30.0
RETRY_FIRST_S, RETRY_MAX_S = 0.1, 5.0
RETRY_AFTER_MAX_S = 30.0
GIVE_UP_S = 90.0
"""How long one call is tried again before AMS counts as gone; a restart of the host takes a few seconds."""

_TRY_AGAIN = frozenset({429, 503})


class AmsError(Exception):
    """AMS refused the call as a whole, or did not answer for GIVE_UP_S seconds. `code` is the problem's, if any."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why AMS did not take an event: a problem code, and its explanation."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: events that were taken, and why the others were not."""

    accepted: int
    rejected: tuple[Rejection, ...]


class UsageClient:
    """Reports usage to AMS and reads it back: `url` is where AMS answers, without `/api`; `notice` is told, once, that
    AMS lets it wait and why. Use as an asynchronous context manager."""

    def __init__(self, url: str, *, connections_max: int, notice: Callable[[str], None]) -> None:
        self._url = url.rstrip("/")
        self._connections_max = connections_max
        self._notice: Callable[[str], None] | None = notice

    async def __aenter__(self) -> "UsageClient":
        connector = aiohttp.TCPConnector(limit=self._connections_max)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=CALL_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def report(self, key: str, events: list[bytes]) -> Receipt:
        """Send encoded events as one batch; the same ids again until there is an answer. Raises AmsError."""
        headers = {"X-AMS-Key": key, "Content-Type": "application/cloudevents-batch+json"}
        body = b"[" + b",".join(events) + b"]"
        status, document = await self._call("POST", "/api/consume", headers, body=body)
        if status not in (202, 422) or "rejected" not in document:
            raise _refused(status, document)
        rejected = tuple(Rejection(item["code"], item["detail"]) for item in document["rejected"])
        return Receipt(document["accepted"] + document["duplicates"], rejected)

    async def totals(self, key: str, start: datetime, end: datetime) -> dict[str, Any]:
        """Read the sums of a key's usage in [start, end), which are whole quarter hours. Raises AmsError."""
        query = {"from": format_time(start), "to": format_time(end), "group_by": "service"}
        status, document = await self._call("GET", "/api/v1/usage/summary", {"X-AMS-Key": key}, query=query)
        if status != 200 or "total" not in document:
            raise _refused(status, document)
        total: dict[str, Any] = document["total"]
        return total

    async def _call(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        body: bytes | None = None,
        query: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Call until there is an answer that is neither 429 nor 503, and return it."""
        deadline = time.monotonic() + GIVE_UP_S
        pause_s = RETRY_FIRST_S
        while True:
            wait_s = 0.0
            try:
                call = self._session.request(method, self._url + path, headers=headers, data=body, params=query)
                async with call as response:
                    if response.status not in _TRY_AGAIN:
                        return response.status, _document(await response.read())
                    reason = f"answers {response.status}"
                    wait_s = _retry_after_s(response.headers.get("Retry-After"))
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                reason = f"cannot be reached: {error or type(error).__name__}"
            except aiohttp.InvalidURL:
                raise AmsError(f"{self._url} is not a URL such as http://127.0.0.1:7071") from None
            if time.monotonic() >= deadline:
                raise AmsError(f"{self._url} {reason}; gave up after {GIVE_UP_S:g} s")
            if self._notice is not None:
                self._notice(f"{self._url} {reason}; trying again for up to {GIVE_UP_S:g} s")
                self._notice = None
            await asyncio.sleep(max(wait_s, pause_s * random.uniform(0.5, 1.0)))  # noqa: S311 - spreads retries, no secret
            pause_s = min(2 * pause_s, RETRY_MAX_S)


def _retry_after_s(header: str | None) -> float:
    """Seconds of a `Retry-After`, bounded; 0 when there is none or it is a date."""
    return min(float(header), RETRY_AFTER_MAX_S) if header is not None and header.isdecimal() else 0.0


def _document(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer, empty when it is none: then something else than AMS has answered."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _refused(status: int, document: dict[str, Any]) -> AmsError:
    if "code" not in document:
        return AmsError(f"status {status} without a problem document: is this AMS?")
    return AmsError(f"{status} {document['code']}: {document.get('detail', '')}", document["code"])
