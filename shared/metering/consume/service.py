"""The one consume endpoint: identify, then take usage reports or forward a call."""

import time
from collections.abc import AsyncIterator, Callable, Mapping

from shared.access.gate.service import Gate, Holder
from shared.access.models import ApiKey
from shared.kernel.errors import Problem
from shared.kernel.problem_codes import ProblemCode
from shared.kernel.telemetry import EVENTS_ACCEPTED
from shared.metering.consume.call import Call, ForwardedAnswer
from shared.metering.consume.forwarding import Forwarder
from shared.metering.consume.headers import bearer_keys
from shared.metering.consume.ingest import UsageReportReceipt, UsageReports
from shared.metering.consume.limits import RateLimiter
from shared.metering.consume.parsing import REPORT_BYTES_MAX, ReportKind

REPORT_S_MAX = 60.0
"""For the whole body of a report: a host is patient with every single byte."""

_REPORTED = EVENTS_ACCEPTED.labels("report")


class Consume:
    """Identifies callers, takes their usage reports and forwards their calls, for every way in. `note` is called with
    every refusal after the key was identified; with those before, the gate calls its own."""

    def __init__(
        self,
        gate: Gate,
        limiter: RateLimiter,
        reports: UsageReports,
        forwarder: Forwarder,
        note: Callable[[ApiKey, ProblemCode], None] = lambda key, code: None,
    ) -> None:
        self._gate = gate
        self._limiter = limiter
        self._reports = reports
        self._forwarder = forwarder
        self._note = note

    async def identify(self, headers: Mapping[str, str]) -> Holder:
        """Find the holder of the request's key. `headers` are by lower-case name. Raises Problem 400 `key_ambiguous`,
        401 or 403."""
        return await self._gate.identify(presented_key(headers), headers)

    async def report(
        self, holder: Holder, kind: ReportKind, body: AsyncIterator[bytes], content_length: int | None
    ) -> UsageReportReceipt:
        """Take a usage report. A refused single event is the whole answer; a batch's receipt has each of its refused
        events. Raises Problem."""
        receipt = await self._reports.take(holder, await read_report(body, content_length), batch=kind == "batch")
        _REPORTED.inc(receipt.accepted)
        for rejected in receipt.rejected:
            self._note(holder.key, rejected.problem.code)
        if kind == "event" and receipt.rejected:
            raise receipt.rejected[0].problem
        return receipt

    async def forward(self, holder: Holder, service: str, call: Call) -> tuple[ForwardedAnswer, dict[str, str]]:
        """Forward a call to a service (slug or id): the upstream's answer, and AMS's own headers for it. Raises
        Problem."""
        try:
            admission = await self._gate.admit(holder, service, forwarding=True)
            await self._forwarder.check(admission, call)  # first, so that what cannot be forwarded uses no limit up
            headers = await self._limiter.take_call(admission)
            await self._limiter.take_quota(admission, 1)
        except Problem as problem:
            self._note(holder.key, problem.code)
            raise
        return await self._forwarder.forward(admission, call), headers


def presented_key(headers: Mapping[str, str]) -> str | None:
    """Find the one key of a request. Raises Problem 400 when there are two different ones."""
    own = headers.get("x-ams-key")
    bearers = bearer_keys(headers.get("authorization") or "")
    # A repeated header arrives joined with a comma, which no key contains.
    given = {key.strip() for key in (own or "").split(",") if key.strip()} | bearers
    if len(given) > 1:
        raise Problem(400, "key_ambiguous", "The request carries two different API keys. Send one.")
    return given.pop() if given else None


async def read_report(
    body: AsyncIterator[bytes], content_length: int | None = None, seconds_max: float = REPORT_S_MAX
) -> bytes:
    """Read the whole body of a usage report. Raises Problem 413 as soon as it is, or is announced to be, over the
    limit; TimeoutError when it dribbles in. That a body stops altogether is for the host to notice, so no timer is
    needed here."""
    if content_length is not None and content_length > REPORT_BYTES_MAX:
        raise _too_large()
    chunks, length = [], 0
    deadline = time.monotonic() + seconds_max
    async for chunk in body:
        length += len(chunk)
        if length > REPORT_BYTES_MAX:
            raise _too_large()
        if time.monotonic() > deadline:
            raise TimeoutError
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large() -> Problem:
    return Problem(413, "body_too_large", f"A usage report is at most {REPORT_BYTES_MAX} bytes.")
