"""A call to forward, its answer, and what is counted while it runs."""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote

from shared.access.gate.service import Admission
from shared.catalog.models import UpstreamConfig
from shared.kernel.errors import Problem

CLIENT_CLOSED_REQUEST = 499
"""The status that is recorded when the consumer went away; nginx's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call to forward. `path` and `query` are as the consumer wrote them, percent-encoded, without `/` and `?` in
    front. `content_length` None means that the length is not known; `has_body` False that there is no body."""

    request_id: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]
    has_body: bool
    content_length: int | None
    trace_id: str
    trace_flags: str


@dataclass(frozen=True, slots=True)
class ForwardedAnswer:
    """The upstream's answer: `body` whole, or `chunks` to be iterated or closed."""

    status: int
    headers: dict[str, str]
    body: bytes | None
    chunks: AsyncIterator[bytes] | None


@dataclass(slots=True)
class CallMeter:
    """What is counted while a call runs. `body_error` is why the consumer's body ended early."""

    started_at: datetime
    started: float = field(default_factory=time.perf_counter)
    request_bytes: int = 0
    response_bytes: int = 0
    response_time_ms: float | None = None
    status: int = 502
    recorded: bool = False
    body_error: Exception | None = None


class BodyTooLarge(Exception):
    """The consumer's body is over the service's limit."""


def check_path(path: str) -> None:
    """Check the path of a call. Raises Problem 400 for a path that an upstream might take to climb out of its base
    URL."""
    decoded = unquote(unquote(path)).replace("\\", "/")
    # Not only `..`: some servers cut path parameters first, so that `..;x` climbs too.
    segments = (segment.partition(";")[0] for segment in decoded.split("/"))
    if path.startswith("/") or any(segment in (".", "..") for segment in segments) or "\0" in decoded:
        raise Problem(400, "path_invalid", "The path must not hold `.` or `..` segments, start with `//`, or hold NUL.")


def upstream_of(admission: Admission) -> UpstreamConfig:
    """The upstream of the service that was admitted."""
    upstream = admission.service.upstream
    assert upstream is not None, "the gate admits no call to a service without one"
    return upstream


def request_too_large(bytes_max: int) -> Problem:
    return Problem(413, "request_too_large", f"The service takes request bodies of at most {bytes_max} bytes.")
