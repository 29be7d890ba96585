"""Forwarded calls: consumer → AMS → the merchant's upstream and back, one usage event for every admitted call.

`call` is what is forwarded, `exchange` sends it and relays the answer, `recorder` makes its event safe; `headers` says
which headers cross.
"""

from collections.abc import Callable
from datetime import datetime

from shared.access.gate.service import NOT_READY_DETAIL, Admission
from shared.kernel.clock import utc_now
from shared.kernel.errors import Problem
from shared.metering.consume.call import Call, CallMeter, ForwardedAnswer, check_path, request_too_large, upstream_of
from shared.metering.consume.exchange import UpstreamExchange
from shared.metering.consume.headers import to_upstream, traceparent
from shared.metering.consume.recorder import CallRecorder
from shared.platform.events import Events
from shared.platform.secrets import SecretMissing, Secrets
from shared.platform.spool import Spool
from shared.platform.upstream import Upstream


class Forwarder:
    """Forwards calls that the gate has admitted."""

    def __init__(
        self,
        upstream: Upstream,
        spool: Spool,
        events: Events,
        secrets: Secrets,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._upstream = upstream
        self._recorder = CallRecorder(spool, events, now)
        self._secrets = secrets
        self._now = now

    async def check(self, admission: Admission, call: Call) -> None:
        """Refuse what can be refused before anything is counted. Raises Problem 400 `path_invalid`, 413
        `request_too_large`, 503 `usage_backlog` when the call could not be recorded."""
        check_path(call.path)
        bytes_max = upstream_of(admission).request_bytes_max
        if call.content_length is not None and call.content_length > bytes_max:
            raise request_too_large(bytes_max)
        await self._recorder.check()

    async def forward(self, admission: Admission, call: Call) -> ForwardedAnswer:
        """Forward a call that `check` let pass. Raises Problem 502 `merchant_misconfigured`, `upstream_unreachable`,
        `upstream_response_too_large`, 504 `upstream_timeout`, 413 `request_too_large` for a body that turns out to be,
        503 `usage_backlog` when the call could not be recorded after all; ConnectionError or TimeoutError when the
        consumer's body ends early."""
        headers = await self._headers(admission, call)
        meter = CallMeter(self._now())
        return await UpstreamExchange(self._upstream, self._recorder, admission, call, meter).run(headers)

    async def _headers(self, admission: Admission, call: Call) -> dict[str, str]:
        upstream = upstream_of(admission)
        headers = to_upstream(call.headers)
        headers["X-AMS-Request-Id"] = call.request_id
        headers["traceparent"] = traceparent(call.trace_id, call.trace_flags)
        if upstream.auth_header is not None and upstream.auth_secret is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != upstream.auth_header.lower()}
            try:
                headers[upstream.auth_header] = await self._secrets.get(upstream.auth_secret)
            except (SecretMissing, ValueError):
                raise Problem(502, "merchant_misconfigured", NOT_READY_DETAIL) from None
        return headers
