"""Whether AMS can reach a merchant's API: one bounded call, under the rules of forwarded calls."""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Literal

from shared.catalog.models import Service
from shared.catalog.rate_checks import check_rate
from shared.catalog.services.service import Services
from shared.kernel.errors import FieldError, Problem
from shared.platform.limits import Demand, Limits
from shared.platform.secrets import SecretMissing, Secrets
from shared.platform.upstream import (
    Upstream,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamTimeout,
)

TIMEOUT_S = 10.0
BODY_BYTES_MAX = 64 * 1024
TESTS_PER_MINUTE = 10
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of a call: `status` is the API's; None without an answer, for the `reason`. `time_ms` is until the
    headers came."""

    reachable: bool
    status: int | None
    time_ms: int
    reason: str | None


class ConnectionTest:
    """Calls a merchant's API once, to show whether AMS reaches it."""

    def __init__(self, services: Services, upstream: Upstream, secrets: Secrets, limits: Limits) -> None:
        self._services = services
        self._upstream = upstream
        self._secrets = secrets
        self._limits = limits

    async def run(self, service_id: str, method: Literal["GET", "HEAD"], path: str, *, proposed: bool) -> Reached:
        """Call base URL and `path` with the service's own secret; with `proposed`, as its revision has them. Raises
        Problem 400 `request_invalid`; 404; 409 `service_incomplete`; 429 `rate_limited`."""
        segments = path.partition("?")[0].replace("%2e", ".").replace("%2E", ".").split("/")
        if not _PATH.fullmatch(path) or {".", ".."} & set(segments):
            rule = "must be a path without `.` and `..` segments, percent-encoded, with a query if one is wanted"
            raise Problem(400, "request_invalid", f"`path` {rule}.", (FieldError("path", rule),))
        detail = await self._services.read(service_id)
        service = detail.proposed if proposed else detail.service
        if service.upstream is None:
            error = FieldError("upstream.base_url", "must say where calls go")
            raise Problem(409, "service_incomplete", "The service has no upstream yet.", (error,))
        await check_rate(self._limits, Demand(f"test:{service_id}", "minute", TESTS_PER_MINUTE, 60))
        target = f"{service.upstream.base_url}/{path.lstrip('/')}" if path.lstrip("/") else service.upstream.base_url
        try:
            headers = await self._headers(service)
        except SecretMissing:
            return Reached(False, None, 0, "the secret of the upstream is missing")
        return await self._call(
            UpstreamRequest(method, target, headers=headers, body=None, content_length=None, timeout_s=TIMEOUT_S)
        )

    async def _headers(self, service: Service) -> dict[str, str]:
        assert service.upstream is not None
        headers = {"User-Agent": "AMS-connection-test", "Accept": "*/*"}
        if service.upstream.auth_header is not None and service.upstream.auth_secret is not None:
            headers[service.upstream.auth_header] = await self._secrets.get(service.upstream.auth_secret)
        return headers

    async def _call(self, request: UpstreamRequest) -> Reached:
        started = time.perf_counter()
        response: UpstreamResponse | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                response = await self._upstream.send(request)
                time_ms = _since(started)
                reason = await _read_some(response)
        except (TimeoutError, UpstreamTimeout):
            return Reached(False, None, _since(started), f"no answer within {TIMEOUT_S:g} s")
        except UpstreamError as error:
            return Reached(False, None, _since(started), str(error))
        finally:
            if response is not None:
                response.close()
        return Reached(True, response.status, time_ms, reason)


async def _read_some(response: UpstreamResponse) -> str | None:
    """That the body comes too, as far as it is looked at. A redirect is not followed, here as for consumers."""
    size = 0
    async for chunk in response.chunks():
        size += len(chunk)
        if size >= BODY_BYTES_MAX:
            break
    return "it redirects, which is not followed" if 300 <= response.status < 400 else None


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * 1_000)
